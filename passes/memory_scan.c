/* Values that loops carry stay in one buffer each.
 *
 *     for t scan 0..T { h1 = f(h1) }      h0 is copied into the buffer of h1, unless it dies there; f(h1) is
 *                                         made in it, or copied into it at the end of each round */
#include "passes/memory.h"

struct value *copy_kernel(struct graph *g, struct block *b, struct node *before, struct value *v) {
    struct node *kernel = node_new(g, OP_kernel, 1, &v, v->loc);
    struct schedule *s = arena_new_object(g->arena, struct schedule);
    struct block *body = kernel->body = block_new(g, kernel);
    struct value *x = block_argument(g, body, &v->type, v->name, v->loc);
    struct node *copy = node_new(g, OP_reshape, 1, &x, v->loc);
    *node_attr(copy, "shape") = attr_extents(g, v->type.rank, v->type.extents);
    if (!node_infer(g, copy)) ice("a copy of a value does not infer");
    block_append(body, copy);
    body->results = copy->results;
    body->results_count = 1;
    s->domain = DOMAIN_loops;
    s->tile[0] = 1;
    s->tile[1] = g->target ? g->target->vector_bytes / 4 : 4;
    kernel->schedule = s;
    kernel->name = "copy";
    if (before)
        node_insert_before(kernel, before);
    else
        block_append(b, kernel);
    return node_add_result(g, kernel, &v->type);
}

static int count_uses(const struct plan *p, const struct value *v) {
    int count = 0;
    for (const struct use *u = p->uses[v->id]; u; u = u->next) count++;
    return count;
}

static bool used_after(const struct plan *p, const struct value *v, int position) {
    for (const struct use *u = p->uses[v->id]; u; u = u->next)
        if (u->position > position) return true;
    return false;
}

/* The initial value is made in the buffer, or copied there. */
static void start_carried(struct plan *p, struct node *scan, int i, struct value *buffer) {
    struct value *initial = scan->operands[i];
    bool alone = made_by_kernel(initial) && initial->def->parent == scan->parent && !p->same[initial->id] &&
                 count_uses(p, initial) == 1;
    if (!alone) scan->operands[i] = initial = copy_kernel(p->g, scan->parent, scan, initial);
    p->same[initial->id] = buffer;
}

/* Whether the round's result may be made in the buffer while the old value is still in it. */
static bool made_in_place(const struct plan *p, const struct node *scan, const struct value *made,
                          const struct value *old) {
    const struct node *kernel = made->def;
    if (!made_by_kernel(made) || kernel->parent != scan->body || p->same[made->id]) return false;
    if (used_after(p, old, p->position[kernel->id])) return false;
    for (int k = 0; k < kernel->operands_count; k++)
        if (kernel->operands[k] == old) {
            if (!may_overwrite(kernel, k, made->index)) return false;
            kernel->results[made->index]->place.in_place = k + 1;
        }
    return true;
}

static int times_result(const struct block *b, const struct value *v) {
    int times = 0;
    for (int i = 0; i < b->results_count; i++) times += b->results[i] == v;
    return times;
}

/* Results that are old values of other buffers are taken out first, as those buffers are about to change. */
static void save_old_values(struct plan *p, struct node *scan, int carried) {
    struct block *body = scan->body;
    for (int i = 0; i < carried; i++) {
        struct value *v = body->results[i];
        bool old = !v->def && v != body->args[i + 1];
        for (int a = 0; old && a < body->args_count; a++)
            if (body->args[a] == v) body->results[i] = copy_kernel(p->g, body, NULL, v);
    }
}

static void plan_scan(struct plan *p, struct node *scan) {
    struct block *body = scan->body;
    int carried = scan->operands_count;
    for (int i = 0; i < carried; i++) {
        struct value *old = body->args[i + 1];
        p->same[scan->results[i]->id] = old;
        start_carried(p, scan, i, old);
    }
    struct value **wanted = arena_new_array(p->scratch, struct value *, (size_t)carried + 1);
    for (int i = 0; i < carried; i++) wanted[i] = body->results[i];
    save_old_values(p, scan, carried);
    for (int i = 0; i < carried; i++) {
        struct value *made = body->results[i], *old = body->args[i + 1];
        if (made == old) continue;
        bool mine = made == wanted[i] && times_result(body, made) == 1 && made_in_place(p, scan, made, old);
        if (!mine) made = body->results[i] = copy_kernel(p->g, body, NULL, made);
        p->same[made->id] = old;
    }
}

void plan_scans(struct plan *p) {
    bool any = false;
    for (struct node *n = NULL; (n = node_walk(p->f->body, n));) any |= n->op == OP_scan;
    if (!any) return;
    plan_number(p);
    for (struct node *n = NULL; (n = node_walk(p->f->body, n));)
        if (n->op == OP_scan) plan_scan(p, n);
}
