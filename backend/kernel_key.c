/* What makes two kernels the same code: equal text of bodies with values numbered in order, types,
 * attributes, how operands and results are stored, the schedule; and where the dims that their extents are
 * made of stand among the function's. Names, places in the arena, locations and other dims do not count. */
#include "backend/kernel_key.h"
#include <stdlib.h>
#include <string.h>

/* The key being written: its text, and which of the function's dims it depends on. */
struct key {
    FILE *out;
    const struct function *f;
    bool *uses; /* [f->dims_count] */
};

static void note_dims(struct key *k, const struct extent *x) {
    for (int i = 0; i < x->count; i++)
        for (int j = 0; j < x->terms[i].count; j++) {
            const struct symbol *s = x->terms[i].symbols[j];
            if (!s->dim) note_dims(k, s->numerator);
            for (int d = 0; d < k->f->dims_count; d++) k->uses[d] |= k->f->dims[d] == s->dim;
        }
}

static void put_extent(struct key *k, const struct extent *x) {
    fprintf(k->out, "%d ", x ? x->id : -1);
    if (x) note_dims(k, x);
}

static void put_type(struct key *k, const struct type *t) {
    fprintf(k->out, "%d[", (int)t->dtype);
    for (int i = 0; i < t->rank; i++) put_extent(k, t->extents[i]);
    fputc(']', k->out);
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

static void put_attr(struct key *k, const struct attr *a) {
    if (!a->set) {
        fputs("-,", k->out);
        return;
    }
    fprintf(k->out, "%lld %a %s %d ", (long long)a->i, a->f, a->s ? a->s : "", (int)a->dtype);
    put_extent(k, a->e);
    fputc(':', k->out);
    int ints = a->count < 0 ? 0 : a->count;
    for (int i = 0; a->extents && i < ints; i++) put_extent(k, a->extents[i]);
    for (int i = 0; a->ints && i < ints; i++) fprintf(k->out, "%lld ", (long long)a->ints[i]);
    fputc(',', k->out);
}

/* Pairs have two numbers for each of `count`; the second half is past what put_attr writes. */
static void put_attrs(struct key *k, const struct node *n) {
    const struct op_info *info = op_info(n->op);
    for (int i = 0; i < info->attrs_count; i++) {
        const struct attr *a = &n->attrs[i];
        put_attr(k, a);
        if (info->attrs[i].kind != ATTR_PAIRS || !a->ints) continue;
        for (int j = a->count; j < 2 * a->count; j++) fprintf(k->out, "%lld ", (long long)a->ints[j]);
    }
}

static void put_node(struct key *k, const struct node *n, int *local, int *next) {
    fprintf(k->out, "\n%d(", (int)n->op);
    for (int i = 0; i < n->operands_count; i++)
        fprintf(k->out, "%d ", n->operands[i] ? local[n->operands[i]->id] : -1);
    fputc(')', k->out);
    put_attrs(k, n);
    if (n->constant) put_tensor(k->out, n->constant);
    for (int i = 0; i < n->results_count; i++) {
        local[n->results[i]->id] = (*next)++;
        put_type(k, &n->results[i]->type);
        put_layout(k->out, n->results[i]->layout);
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

static void put_kernel(struct code *c, struct key *k, const struct node *n) {
    FILE *out = k->out;
    int next = 0;
    for (int i = 0; i < n->body->args_count; i++) {
        struct home h = home_of(c, k->f, n->operands[i]);
        c->local[n->body->args[i]->id] = next++;
        put_type(k, &n->body->args[i]->type);
        put_layout(out, n->operands[i]->layout);
        put_home(out, &h);
    }
    for (const struct node *m = n->body->first; m; m = m->next) put_node(k, m, c->local, &next);
    fputs("\n->", out);
    for (int i = 0; i < n->results_count; i++) {
        struct home h = home_of(c, k->f, n->results[i]);
        fprintf(out, "%d over %d ", c->local[n->body->results[i]->id], n->results[i]->place.in_place);
        put_layout(out, n->results[i]->layout);
        put_home(out, &h);
    }
    if (n->schedule) fprintf(out, "\n%s", schedule_text(c->arena, n->schedule));
}

static void put_guard(struct code *c, struct key *k, const struct node *n) {
    struct home h = home_of(c, k->f, n->operands[0]);
    put_type(k, &n->operands[0]->type);
    put_home(k->out, &h);
    put_attr(k, node_attr(n, "lo"));
    put_attr(k, node_attr(n, "hi"));
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
    struct key k = {open_memstream(&text, &size), f, arena_new_array(c->arena, bool, f->dims_count + 1)};
    if (!k.out) ice("out of memory");
    fprintf(k.out, "%s ", op_info(n->op)->name);
    if (n->op == OP_guard)
        put_guard(c, &k, n);
    else
        put_kernel(c, &k, n);
    fputs("\ndims", k.out);
    for (int i = 0; i < f->dims_count; i++)
        if (k.uses[i]) fprintf(k.out, " %d=%d", i, f->dims[i]->id);
    fclose(k.out);
    const char *key = arena_strndup(c->arena, text, size);
    free(text);
    return key;
}
