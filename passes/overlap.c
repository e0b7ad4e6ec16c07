/* Collectives as early, and waits for them as late, as data allows; small ones together.
 *
 *     k0 (x) -> a          k0 (x) -> a
 *     k1 (x) -> b          s = all_reduce(a)
 *     s = all_reduce(a)    k1 (x) -> b
 *     k2 (s, b) -> y       k2 (s, b) -> y
 *
 * A collective begins at its place, and is waited for by the first who reads what it brings
 * (ir/collective.h): so it goes up behind what makes its operands, and what does not need it goes in front of
 * who does.
 *
 * Neighbours of one kind over one group are one message, up to `bucket` bytes (Horovod, arXiv 1802.05799,
 * section 4). Collectives keep their order among themselves: all ranks have the same, and this pass checks
 * that they do. */
#include "ir/collective.h"
#include "ir/number.h"
#include "passes/memory.h"
#include "passes/sequence.h"
#include <string.h>

struct item {
    struct node *node;
    int waiting; /* nodes that must come before and have not */
    int *after;  /* nodes that must come behind */
    int after_count, after_capacity;
    bool done, under_way, waits;
};
struct mover {
    struct graph *g;
    struct arena *a;
    struct item *items;
    int count;
    int *item_of; /* [nodes] or -1 */
};

static void order(struct mover *m, int before, int after) {
    if (before < 0 || before == after) return;
    struct item *it = &m->items[before];
    if (it->after_count && it->after[it->after_count - 1] == after) return;
    arena_push(m->a, it->after, it->after_count, it->after_capacity, after);
    m->items[after].waiting++;
}

static int maker(const struct mover *m, const struct value *v) {
    return v && v->def ? m->item_of[v->def->id] : -1;
}

/* Calls visit with the item of everything that n, or what is inside of it, reads. */
static void each_read(struct mover *m, int i, void (*visit)(struct mover *, int from, int to)) {
    struct node *n = m->items[i].node;
    for (int k = 0; k < n->operands_count; k++) visit(m, maker(m, n->operands[k]), i);
    if (!n->body || n->op == OP_kernel) return;
    for (struct node *inner = NULL; (inner = node_walk(n->body, inner));)
        for (int k = 0; k < inner->operands_count; k++) visit(m, maker(m, inner->operands[k]), i);
    for (int k = 0; k < n->body->results_count; k++) visit(m, maker(m, n->body->results[k]), i);
}

/* ---- What must stay in order ---- */

static bool is_state(const struct value *v) {
    return v && v->def && v->def->op == OP_param &&
           (v->def->global->kind == GLOBAL_STATE || v->def->global->assigned);
}

static bool touches_states(const struct node *n) {
    if (node_has_effect(n) && n->op != OP_send && n->op != OP_receive) return true;
    if (n->op == OP_param) return is_state(n->results[0]);
    for (int i = 0; i < n->operands_count; i++)
        if (is_state(n->operands[i])) return true;
    return false;
}

static bool is_assigned(const struct node *n) {
    for (const struct node *at = n->next; at; at = at->next)
        if (at->op == OP_assign && at->operands[0]->def == n) return true;
    return false;
}

static void order_all(struct mover *m) {
    int state = -1, collective = -1, guard = -1;
    for (int i = 0; i < m->count; i++) {
        const struct node *n = m->items[i].node;
        each_read(m, i, order);
        if (guard >= 0) order(m, guard, i);
        if (n->op == OP_guard) guard = i;
        if (touches_states(n) || is_assigned(n)) order(m, state, i), state = i;
        if (collective_of(n)) order(m, collective, i), collective = i;
    }
}

/* ---- The new order ---- */

static void see_wait(struct mover *m, int from, int to) {
    if (from >= 0 && m->items[from].under_way) m->items[to].waits = true;
}

static bool waits(struct mover *m, int i) {
    m->items[i].waits = false;
    each_read(m, i, see_wait);
    return m->items[i].waits;
}

static void end_wait(struct mover *m, int from, int to) {
    (void)to;
    if (from >= 0) m->items[from].under_way = false;
}

/* The next node: a collective that can begin, else the first that need not wait for one, else the first. */
static int next_item(struct mover *m) {
    int first = -1, free = -1;
    for (int i = 0; i < m->count; i++) {
        const struct item *it = &m->items[i];
        if (it->done || it->waiting) continue;
        if (collective_of(it->node)) return i;
        if (first < 0) first = i;
        if (free < 0 && !waits(m, i)) free = i;
    }
    return free >= 0 ? free : first;
}

static void put(struct mover *m, struct block *b, int i) {
    struct item *it = &m->items[i];
    it->done = true;
    each_read(m, i, end_wait);
    it->under_way = collective_of(it->node) != NULL;
    for (int k = 0; k < it->after_count; k++) m->items[it->after[k]].waiting--;
    block_append(b, it->node);
}

/* ---- Bundles ---- */

static double bytes_of(const struct graph *g, const struct node *n) {
    double bytes = 0;
    for (int i = 0; i < n->operands_count; i++) {
        const struct extent *e = type_bytes(g->extents, &n->operands[i]->type);
        bytes += e ? (double)extent_max(e) : 1e300;
    }
    return bytes;
}

static bool same_kind(const struct node *a, const struct node *b) {
    bool moves = collective_of(a) && a->op != OP_send && a->op != OP_receive;
    if (!moves || a->op != b->op || strcmp(node_attr(a, "over")->s, node_attr(b, "over")->s)) return false;
    if (a->operands[0]->type.dtype != b->operands[0]->type.dtype || a->op == OP_permute) return false;
    return a->op != OP_all_reduce || !strcmp(node_attr(a, "reduce")->s, node_attr(b, "reduce")->s);
}

static bool depends(const struct node *b, const struct node *a) {
    for (int i = 0; i < b->operands_count; i++)
        if (b->operands[i]->def == a) return true;
    return false;
}

/* a takes what b moves. */
static void join(struct graph *g, struct node *a, struct node *b) {
    int count = a->operands_count + b->operands_count;
    struct value **operands = arena_new_array(g->arena, struct value *, (size_t)count);
    struct value **results = arena_new_array(g->arena, struct value *, (size_t)count);
    memcpy(operands, a->operands, (size_t)a->operands_count * sizeof *operands);
    memcpy(operands + a->operands_count, b->operands, (size_t)b->operands_count * sizeof *operands);
    memcpy(results, a->results, (size_t)a->results_count * sizeof *results);
    memcpy(results + a->results_count, b->results, (size_t)b->results_count * sizeof *results);
    for (int i = 0; i < count; i++) results[i]->def = a, results[i]->index = i;
    a->operands = operands;
    a->results = results;
    a->operands_count = a->results_count = count;
    node_remove(b);
}

static bool is_at_hand(const struct node *n) { return n->op == OP_param || n->op == OP_constant; }

static bool bundle(struct graph *g, struct block *b, double most) {
    bool changed = false;
    for (struct node *n = b->first; n; n = n->next) {
        if (!collective_of(n) || n->op == OP_send || n->op == OP_receive) continue;
        double bytes = bytes_of(g, n);
        for (struct node *m = n->next, *next; m; m = next) {
            next = m->next;
            if (is_at_hand(m) && !depends(n, m)) continue;
            if (!same_kind(n, m) || depends(m, n) || bytes + bytes_of(g, m) > most) break;
            for (int i = 0; i < m->operands_count; i++) { /* params between the two go in front */
                struct node *def = m->operands[i]->def;
                if (!def || !is_at_hand(def) || def->parent != b) continue;
                node_remove(def);
                node_insert_before(def, n);
            }
            bytes += bytes_of(g, m);
            join(g, n, m);
            changed = true;
        }
    }
    return changed;
}

/* ---- The pass ---- */

static bool has_collectives(struct block *b) {
    for (const struct node *n = b->first; n; n = n->next)
        if (collective_of(n)) return true;
    return false;
}

static void move(struct graph *g, struct block *b) {
    struct mover m = {.g = g, .a = g->pass->scratch};
    for (struct node *n = b->first; n; n = n->next) m.count++;
    m.items = arena_new_array(m.a, struct item, (size_t)m.count + 1);
    m.item_of = arena_new_array(m.a, int, (size_t)g->nodes + 1);
    for (int i = 0; i < g->nodes; i++) m.item_of[i] = -1;
    int i = 0;
    for (struct node *n = b->first; n; n = n->next, i++) {
        m.items[i].node = n;
        m.item_of[n->id] = i;
    }
    order_all(&m);
    b->first = b->last = NULL;
    for (int done = 0; done < m.count; done++) {
        int next = next_item(&m);
        if (next < 0) ice("nodes wait for each other in a circle");
        put(&m, b, next);
    }
}

static double bucket_bytes(const struct graph *g) {
    const char *text = graph_option(g, "bucket");
    double bytes = 0;
    if (!bytes_from_text(text ? text : "25M", &bytes))
        diag_error(g->diag, (struct loc){0}, "bucket=%s: bytes were expected, as 25M, 64k or 0", text);
    return bytes;
}
/* Params and states may be stored in other formats and layouts than their type says: a kernel makes what is
 * sent. */
static void copy_stored(struct graph *g, struct block *b) {
    for (struct node *n = b->first; n; n = n->next)
        for (int i = 0; collective_of(n) && i < n->operands_count; i++)
            if (n->operands[i]->def && n->operands[i]->def->op == OP_param)
                n->operands[i] = copy_kernel(g, b, n, n->operands[i]);
}

static bool overlap_block(struct graph *g, struct block *b) {
    bool changed = false;
    for (struct node *n = b->first; n; n = n->next)
        if (n->op == OP_scan) changed |= overlap_block(g, n->body);
    if (!has_collectives(b)) return changed;
    copy_stored(g, b);
    move(g, b);
    bundle(g, b, bucket_bytes(g));
    return true;
}

bool pass_overlap(struct graph *g) {
    bool changed = false;
    for (struct function *f = g->functions; f; f = f->next) changed |= overlap_block(g, f->body);
    check_sequences(g);
    return changed;
}
