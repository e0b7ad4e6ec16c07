/* What makes two kernels the same code: equal text of bodies with values numbered in order, types,
 * attributes, how operands and results are stored, the schedule. Names, places in the arena and locations do
 * not count. */
#include "backend/kernel_key.h"
#include <stdlib.h>
#include <string.h>

static void put_type(FILE *out, const struct type *t) {
    fprintf(out, "%d[", (int)t->dtype);
    for (int i = 0; i < t->rank; i++) fprintf(out, "%d ", t->extents[i]->id);
    fputc(']', out);
}

static void put_layout(FILE *out, const struct layout *l) {
    for (int i = 0; l && i < l->count; i++)
        fprintf(out, "%d/%lld:%lld ", l->parts[i].dim, (long long)l->parts[i].step,
                (long long)l->parts[i].count);
}

static void put_bytes(FILE *out, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) fprintf(out, "%02x", ((const unsigned char *)bytes)[i]);
}

static void put_tensor(FILE *out, const struct tensor *t) {
    size_t bytes = (size_t)dtype_bytes(t->dtype);
    for (int i = 0; i < t->rank; i++) bytes *= (size_t)t->extents[i];
    put_bytes(out, t->data, bytes);
}

static void put_attr(FILE *out, const struct attr *a) {
    if (!a->set) {
        fputs("-,", out);
        return;
    }
    fprintf(out, "%lld %a %s %d %d:", (long long)a->i, a->f, a->s ? a->s : "", (int)a->dtype,
            a->e ? a->e->id : -1);
    int ints = a->count < 0 ? 0 : a->count;
    for (int i = 0; a->extents && i < ints; i++) fprintf(out, "%d ", a->extents[i] ? a->extents[i]->id : -1);
    for (int i = 0; a->ints && i < ints; i++) fprintf(out, "%lld ", (long long)a->ints[i]);
    fputc(',', out);
}

/* Pairs have two numbers for each of `count`; the second half is past what put_attr writes. */
static void put_attrs(FILE *out, const struct node *n) {
    const struct op_info *info = op_info(n->op);
    for (int i = 0; i < info->attrs_count; i++) {
        const struct attr *a = &n->attrs[i];
        put_attr(out, a);
        if (info->attrs[i].kind != ATTR_PAIRS || !a->ints) continue;
        for (int j = a->count; j < 2 * a->count; j++) fprintf(out, "%lld ", (long long)a->ints[j]);
    }
}

static void put_node(FILE *out, const struct node *n, int *local, int *next) {
    fprintf(out, "\n%d(", (int)n->op);
    for (int i = 0; i < n->operands_count; i++)
        fprintf(out, "%d ", n->operands[i] ? local[n->operands[i]->id] : -1);
    fputc(')', out);
    put_attrs(out, n);
    if (n->constant) put_tensor(out, n->constant);
    for (int i = 0; i < n->results_count; i++) {
        local[n->results[i]->id] = (*next)++;
        put_type(out, &n->results[i]->type);
        put_layout(out, n->results[i]->layout);
    }
}

static void put_home(FILE *out, const struct home *h) {
    if (!h->global) {
        fputs("own;", out);
        return;
    }
    fprintf(out, "%d ", (int)h->global->store);
    put_layout(out, h->global->layout);
    fputc(';', out);
}

static void put_kernel(struct code *c, FILE *out, const struct function *f, const struct node *n) {
    int next = 0;
    for (int i = 0; i < n->body->args_count; i++) {
        struct home h = home_of(c, f, n->operands[i]);
        c->local[n->body->args[i]->id] = next++;
        put_type(out, &n->body->args[i]->type);
        put_layout(out, n->operands[i]->layout);
        put_home(out, &h);
    }
    for (const struct node *m = n->body->first; m; m = m->next) put_node(out, m, c->local, &next);
    fputs("\n->", out);
    for (int i = 0; i < n->results_count; i++) {
        struct home h = home_of(c, f, n->results[i]);
        fprintf(out, "%d over %d ", c->local[n->body->results[i]->id], n->results[i]->place.in_place);
        put_layout(out, n->results[i]->layout);
        put_home(out, &h);
    }
    if (n->schedule) fprintf(out, "\n%s", schedule_text(c->arena, n->schedule));
}

static void put_guard(struct code *c, FILE *out, const struct function *f, const struct node *n) {
    struct home h = home_of(c, f, n->operands[0]);
    put_type(out, &n->operands[0]->type);
    put_home(out, &h);
    put_attr(out, node_attr(n, "lo"));
    put_attr(out, node_attr(n, "hi"));
}

/* Copies made here have values of their own, newer than the table. */
static void make_room(struct code *c) {
    if (c->graph->values <= c->local_count) return;
    c->local_count = 2 * c->graph->values;
    c->local = arena_new_array(c->arena, int, c->local_count);
}

const char *kernel_key(struct code *c, const struct function *f, const struct node *n) {
    make_room(c);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) ice("out of memory");
    fprintf(out, "%s dims", op_info(n->op)->name);
    for (int i = 0; i < f->dims_count; i++) fprintf(out, " %d", f->dims[i]->id);
    fputc('\n', out);
    if (n->op == OP_guard)
        put_guard(c, out, f, n);
    else
        put_kernel(c, out, f, n);
    fclose(out);
    const char *key = arena_strndup(c->arena, text, size);
    free(text);
    return key;
}
