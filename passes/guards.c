/* Makes explicit what must hold before a call may change anything: ids inside their tables, writes inside
 * their buffers.
 *
 *     x = gather(embed, tokens)          guard(tokens, lo=0, hi=49152, what="gather: id")
 *     w = write(s, k, at=pos)            guard(pos, lo=0, hi=8192 - S + 1, what="write: position")
 *     k_cache[0] = w                     x = gather(embed, tokens)
 *                                        ...
 *
 * What ranges prove (range.c) needs no guard. That no two batch rows go to one row of a buffer is checked by
 * how often each row is named. Guards, and what they are computed from, go to the top of the function, before
 * the first effect. One that cannot go there, because it looks at a state that has been assigned by then or
 * at what a loop computes, stays where it is, and assignments wait (guards_delay.c).
 */
#include "passes/guards.h"
#include "passes/build.h"
#include "passes/passes.h"
#include "passes/range.h"
#include <string.h>

/* What an op promises not to do: use an element of operand `ids` outside lo .. limit(node). */
static const struct extent *extent_of_axis(struct graph *g, const struct node *n) {
    (void)g;
    return n->operands[0]->type.extents[node_attr(n, "axis")->i];
}

/* A write of x at p stays inside: 0 <= p < buffer - x + 1. */
static const struct extent *positions_of_write(struct graph *g, const struct node *n) {
    int64_t axis = node_attr(n, "axis")->i;
    const struct extent *room =
        extent_sub(g->extents, n->operands[0]->type.extents[axis], n->operands[1]->type.extents[axis]);
    return extent_add(g->extents, room, extent_const(g->extents, 1));
}

static const struct extent *rows_of_write(struct graph *g, const struct node *n) {
    (void)g;
    return n->operands[0]->type.extents[0];
}

static const struct extent *elements_of_global(struct graph *g, const struct node *n) {
    return extent_const(g->extents,
                        n->global->counts_rank ? n->global->counts[n->global->counts_rank - 1] : 1);
}

static const struct {
    enum op op;
    int operand;
    const struct extent *(*limit)(struct graph *g, const struct node *n);
    const char *what;
} checks[] = {
    {OP_gather, 1, extent_of_axis, "gather: id"},   {OP_take_along, 1, extent_of_axis, "take_along: id"},
    {OP_scatter, 1, extent_of_axis, "scatter: id"}, {OP_write, 2, positions_of_write, "write: position"},
    {OP_write, 3, rows_of_write, "write: row"},     {OP_param, 0, elements_of_global, "index"},
    {OP_assign, 1, elements_of_global, "index"}};
enum { CHECKS = sizeof checks / sizeof *checks };

struct guarding {
    struct graph *g;
    struct function *f;
    struct node *first;   /* the function's first node: hoisted nodes go before it */
    struct node **guards; /* those that could not be hoisted */
    int count, capacity;
    struct named_rows { /* what counts how often each of a write's rows is named */
        struct value *rows, *times;
    } * named;
    int named_count, named_capacity;
    bool changed;
};

/* ---- Hoisting ---- */

static bool reads_state(const struct node *n) {
    return n->op == OP_param && (n->global->kind == GLOBAL_STATE || n->global->assigned);
}

static bool assigned_before(const struct guarding *x, const struct node *read) {
    for (struct node *n = NULL; (n = node_walk(x->f->body, n)) && n != read;)
        if (n->op == OP_assign && n->global == read->global) return true;
    return false;
}

/* Whether the value can be computed at the top of the function; what `seen` [graph's nodes] has was asked. */
static bool all_can_hoist(const struct guarding *x, const struct value *v, bool *seen) {
    const struct node *n = v->def;
    if (!n) { /* an argument of the function, not of a loop */
        for (int i = 0; i < x->f->body->args_count; i++)
            if (x->f->body->args[i] == v) return true;
        return false;
    }
    if (seen[n->id]) return true;
    seen[n->id] = true;
    if (n->body || node_has_effect(n) || n->op == OP_write) return false;
    if (reads_state(n) && (assigned_before(x, n) || n->parent != x->f->body)) return false;
    for (int i = 0; i < n->operands_count; i++)
        if (n->operands[i] && !all_can_hoist(x, n->operands[i], seen)) return false;
    return true;
}

static bool can_hoist(const struct guarding *x, const struct value *v) {
    return all_can_hoist(x, v, arena_new_array(x->g->pass->scratch, bool, (size_t)x->g->nodes));
}

/* Moves the node and what it uses to the top, operands first. Moved nodes are marked by `rewriting`. */
static void hoist(struct guarding *x, struct node *n) {
    if (n->rewriting == x) return;
    n->rewriting = x;
    for (int i = 0; i < n->operands_count; i++)
        if (n->operands[i] && n->operands[i]->def) hoist(x, n->operands[i]->def);
    if (n == x->first) {
        x->first = n->next;
        return;
    }
    if (n->parent) node_remove(n);
    if (x->first)
        node_insert_before(n, x->first);
    else
        block_append(x->f->body, n);
}

/* ---- Guards ---- */

static bool same_guard(const struct node *a, const struct node *b) {
    return a->operands[0] == b->operands[0] && node_attr(a, "lo")->e == node_attr(b, "lo")->e &&
           node_attr(a, "hi")->e == node_attr(b, "hi")->e;
}

static bool guarded_already(const struct guarding *x, const struct node *guard) {
    for (struct node *n = x->f->body->first; n; n = n->next)
        if (n->op == OP_guard && n != guard && same_guard(n, guard)) return true;
    return false;
}

/* 1 if the loops around the node make a round at all, else 0. */
static const struct extent *runs(struct graph *g, const struct node *n) {
    const struct extent *runs = extent_const(g->extents, 1);
    for (const struct node *loop = n->parent->owner; loop; loop = loop->parent->owner) {
        int64_t most = extent_max(loop->count);
        if (most < 1) return extent_const(g->extents, 0);
        if (extent_min(loop->count) > 0) continue;
        const struct extent *up = extent_add(g->extents, loop->count, extent_const(g->extents, most - 1));
        runs = extent_mul(g->extents, runs, extent_floordiv(g->extents, up, most));
    }
    return runs;
}

/* What the guard of node n looks at where no loop is around it: nothing if n is never reached. */
static struct value *reached(struct guarding *x, struct node *n, struct value *ids) {
    const struct extent *extents[MAX_RANK] = {runs(x->g, n)};
    struct builder b = {x->g, n, n->loc};
    if (extents[0] == extent_const(x->g->extents, 1) || ids->type.rank == MAX_RANK) return ids;
    memcpy(extents + 1, ids->type.extents, (size_t)ids->type.rank * sizeof *extents);
    return build_broadcast(&b, ids, ids->type.rank + 1, extents);
}

static void add_guard(struct guarding *x, struct node *n, struct value *ids, int64_t lo,
                      const struct extent *hi, const char *what) {
    struct graph *g = x->g;
    struct node *guard = node_new(g, OP_guard, 1, &ids, n->loc);
    *node_attr(guard, "lo") = (struct attr){.set = true, .e = extent_const(g->extents, lo)};
    *node_attr(guard, "hi") = (struct attr){.set = true, .e = hi};
    *node_attr(guard, "what") = (struct attr){.set = true, .s = what};
    if (!node_infer(g, guard)) ice("a guard for %s does not infer", what);
    bool top = can_hoist(x, ids);
    if (guarded_already(x, guard)) return;
    x->changed = true;
    pass_explain(g, n->loc, "%s: %s", what, top ? "checked before anything else" : "checked where it stands");
    if (top) {
        guard->operands[0] = reached(x, n, ids);
        hoist(x, guard);
        return;
    }
    node_insert_before(guard, n);
    arena_push(g->pass->scratch, x->guards, x->count, x->capacity, guard);
}

static void check_node(struct guarding *x, struct node *n) {
    const struct extent *zero = extent_const(x->g->extents, 0);
    for (int i = 0; i < CHECKS; i++) {
        if (checks[i].op != n->op || n->operands_count <= checks[i].operand) continue;
        struct value *ids = n->operands[checks[i].operand];
        if (!ids) continue;
        const struct extent *hi = checks[i].limit(x->g, n);
        if (!hi || range_within(x->g, range_of(x->g, ids), zero, hi)) continue;
        add_guard(x, n, ids, 0, hi, checks[i].what);
    }
}

/* sum(cast(reshape(rows, [B, 1]) == rows, i32)), made once for all writes that share the rows. */
static struct value *times_named(struct guarding *x, struct node *n, struct value *rows) {
    for (int i = 0; i < x->named_count; i++) {
        const struct block *in = x->named[i].times->def->parent;
        if (x->named[i].rows == rows && (in == n->parent || in == x->f->body)) return x->named[i].times;
    }
    struct builder b = {x->g, n, n->loc};
    const struct extent *column[2] = {rows->type.extents[0], extent_const(x->g->extents, 1)};
    struct value *equal = build2(&b, OP_eq, build_reshape(&b, rows, 2, column), rows);
    struct value *times = build1(&b, OP_sum, build_cast(&b, equal, DTYPE_I32));
    struct named_rows made = {rows, times};
    arena_push(x->g->pass->scratch, x->named, x->named_count, x->named_capacity, made);
    return times;
}

/* Batch rows that go to one row of the buffer would be written in no order. */
static void check_rows_differ(struct guarding *x, struct node *n) {
    struct value *rows = n->op == OP_write ? n->operands[3] : NULL;
    if (!rows || extent_max(rows->type.extents[0]) <= 1) return;
    add_guard(x, n, times_named(x, n, rows), 1, extent_const(x->g->extents, 2), "write: uses of a row");
}

static void guard_function(struct guarding *x) {
    x->first = x->f->body->first;
    for (struct node *n = node_walk(x->f->body, NULL), *next; n; n = next) {
        next = node_walk(x->f->body, n);
        if (n->parent->owner && n->parent->owner->op == OP_kernel) continue;
        check_node(x, n);
        check_rows_differ(x, n);
    }
    if (x->count) delay_assignments(x->g, x->f, x->guards[x->count - 1]);
}

bool pass_guards(struct graph *g) {
    bool changed = false;
    for (struct function *f = g->functions; f; f = f->next) {
        struct guarding x = {.g = g, .f = f};
        guard_function(&x);
        changed |= x.changed;
    }
    return changed;
}
