/* Ranges of integer values: iota, argmax, constants, clip, loops' variables and arithmetic on them. */
#include "passes/range.h"
#include "ir/interp.h"
#include "passes/build.h"
#include "passes/pass.h"

enum { MAX_DEPTH = 40 };

static const struct range unknown = {NULL, NULL};

static struct range range_at(struct graph *g, struct value *v, int depth);

static struct range numbers(struct graph *g, int64_t lo, int64_t hi) {
    return (struct range){extent_const(g->extents, lo), extent_const(g->extents, hi)};
}

/* 0 .. n - 1 */
static struct range below(struct graph *g, const struct extent *n) {
    return (struct range){extent_const(g->extents, 0),
                          extent_sub(g->extents, n, extent_const(g->extents, 1))};
}

static bool at_most(struct graph *g, const struct extent *a, const struct extent *b) {
    const struct extent *rest = a && b ? extent_sub(g->extents, b, a) : NULL;
    return rest && extent_min(rest) >= 0;
}

/* Arithmetic on i32 wraps: bounds hold only where they fit the type for all dims. */
static struct range fitted(struct graph *g, const struct value *v, struct range r) {
    int bits = 8 * dtype_bytes(v->type.dtype) - 1;
    int64_t most = bits >= 63 ? INT64_MAX : (INT64_C(1) << bits) - 1;
    (void)g;
    if (v->type.dtype == DTYPE_U8 || dtype_class(v->type.dtype) != CLASS_INTEGER) return unknown;
    if (!r.lo || !r.hi || extent_min(r.lo) < -most || extent_max(r.hi) > most) return unknown;
    return r;
}

static struct range of_operand(struct graph *g, const struct node *n, int i, int depth) {
    return range_at(g, n->operands[i], depth + 1);
}

static struct range either(struct graph *g, struct range a, struct range b) {
    struct range r = unknown;
    r.lo = at_most(g, a.lo, b.lo) ? a.lo : at_most(g, b.lo, a.lo) ? b.lo : NULL;
    r.hi = at_most(g, a.hi, b.hi) ? b.hi : at_most(g, b.hi, a.hi) ? a.hi : NULL;
    return r;
}

static struct range of_constant(struct graph *g, const struct node *n, int depth) {
    (void)depth;
    const struct tensor *t = n->constant;
    if (dtype_class(t->dtype) == CLASS_FLOAT) return unknown;
    const struct array *x = array_from_bytes(g->pass->scratch, t);
    if (!x->elements) return unknown;
    int64_t lo = x->integers[0], hi = lo;
    for (int64_t i = 1; i < x->elements; i++) {
        if (x->integers[i] < lo) lo = x->integers[i];
        if (x->integers[i] > hi) hi = x->integers[i];
    }
    return numbers(g, lo, hi);
}

static struct range of_view(struct graph *g, const struct node *n, int depth) {
    return of_operand(g, n, 0, depth);
}

static struct range of_concat(struct graph *g, const struct node *n, int depth) {
    struct range r = of_operand(g, n, 0, depth);
    for (int i = 1; i < n->operands_count; i++) r = either(g, r, of_operand(g, n, i, depth));
    return r;
}

static struct range of_pad(struct graph *g, const struct node *n, int depth) {
    int64_t value = (int64_t)node_attr(n, "value")->f;
    return either(g, of_operand(g, n, 0, depth), numbers(g, value, value));
}

static struct range of_cast(struct graph *g, const struct node *n, int depth) {
    return fitted(g, n->results[0], of_operand(g, n, 0, depth));
}

static struct range of_iota(struct graph *g, const struct node *n, int depth) {
    (void)depth;
    return below(g, node_attr(n, "n")->e);
}

static struct range of_extent(struct graph *g, const struct node *n, int depth) {
    (void)g, (void)depth;
    return (struct range){node_attr(n, "n")->e, node_attr(n, "n")->e};
}

/* Of nothing, the largest and the smallest are what they began with. */
static struct range of_extreme(struct graph *g, const struct node *n, int depth) {
    const struct type *type = &n->operands[0]->type;
    for (int i = 0; i < type->rank; i++)
        if (extent_min(type->extents[i]) < 1) return unknown;
    return of_operand(g, n, 0, depth);
}

static struct range of_order(struct graph *g, const struct node *n, int depth) {
    (void)depth;
    return below(g, n->operands[0]->type.extents[node_attr(n, "axis")->i]);
}

/* The place of the largest or smallest: nothing has none. */
static struct range of_place(struct graph *g, const struct node *n, int depth) {
    bool some = extent_min(n->operands[0]->type.extents[node_attr(n, "axis")->i]) >= 1;
    return some ? of_order(g, n, depth) : unknown;
}

static struct range of_add(struct graph *g, const struct node *n, int depth) {
    struct range a = of_operand(g, n, 0, depth), b = of_operand(g, n, 1, depth);
    return (struct range){extent_add(g->extents, a.lo, b.lo), extent_add(g->extents, a.hi, b.hi)};
}

static struct range of_sub(struct graph *g, const struct node *n, int depth) {
    struct range a = of_operand(g, n, 0, depth), b = of_operand(g, n, 1, depth);
    return (struct range){extent_sub(g->extents, a.lo, b.hi), extent_sub(g->extents, a.hi, b.lo)};
}

static struct range of_mul(struct graph *g, const struct node *n, int depth) {
    struct range a = of_operand(g, n, 0, depth), b = of_operand(g, n, 1, depth);
    if (!a.lo || !b.lo || extent_min(a.lo) < 0 || extent_min(b.lo) < 0) return unknown;
    return (struct range){extent_mul(g->extents, a.lo, b.lo), extent_mul(g->extents, a.hi, b.hi)};
}

/* The remainder has the divisor's sign. */
static struct range of_rem(struct graph *g, const struct node *n, int depth) {
    struct range b = of_operand(g, n, 1, depth);
    if (!b.lo || !b.hi || extent_min(b.lo) < 1) return unknown;
    return below(g, b.hi);
}

static struct range of_minimum(struct graph *g, const struct node *n, int depth) {
    struct range a = of_operand(g, n, 0, depth), b = of_operand(g, n, 1, depth), r = either(g, a, b);
    r.hi = !a.hi || at_most(g, b.hi, a.hi) ? b.hi : a.hi;
    return r;
}

static struct range of_maximum(struct graph *g, const struct node *n, int depth) {
    struct range a = of_operand(g, n, 0, depth), b = of_operand(g, n, 1, depth), r = either(g, a, b);
    r.lo = !a.lo || at_most(g, a.lo, b.lo) ? b.lo : a.lo;
    return r;
}

/* min(max(x, lo), hi) */
static struct range of_clip(struct graph *g, const struct node *n, int depth) {
    struct range lo = of_operand(g, n, 1, depth), hi = of_operand(g, n, 2, depth);
    return (struct range){at_most(g, lo.lo, hi.lo) ? lo.lo : NULL, hi.hi};
}

static struct range of_where(struct graph *g, const struct node *n, int depth) {
    return either(g, of_operand(g, n, 1, depth), of_operand(g, n, 2, depth));
}

static const struct {
    enum op op;
    struct range (*run)(struct graph *g, const struct node *n, int depth);
    bool arithmetic; /* may wrap */
} rules[] = {{OP_constant, of_constant, false},
             {OP_reshape, of_view, false},
             {OP_transpose, of_view, false},
             {OP_broadcast, of_view, false},
             {OP_slice, of_view, false},
             {OP_reshard, of_view, false},
             {OP_flip, of_view, false},
             {OP_gather, of_view, false},
             {OP_take_along, of_view, false},
             {OP_sort, of_view, false},
             {OP_concat, of_concat, false},
             {OP_pad, of_pad, false},
             {OP_cast, of_cast, false},
             {OP_iota, of_iota, true},
             {OP_extent, of_extent, true},
             {OP_argmax, of_place, true},
             {OP_argmin, of_place, true},
             {OP_argsort, of_order, true},
             {OP_add, of_add, true},
             {OP_sub, of_sub, true},
             {OP_mul, of_mul, true},
             {OP_rem, of_rem, false},
             {OP_minimum, of_minimum, false},
             {OP_maximum, of_maximum, false},
             {OP_clip, of_clip, false},
             {OP_where, of_where, false},
             {OP_max, of_extreme, false},
             {OP_min, of_extreme, false}};

/* A value that is no node's result: a loop's variable, or nothing is known. */
static struct range of_argument(struct graph *g, const struct value *v) {
    for (struct function *f = g->functions; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));)
            if (n->op == OP_scan && n->body->args_count && n->body->args[0] == v) return below(g, n->count);
    return unknown;
}

static struct range range_at(struct graph *g, struct value *v, int depth) {
    v = value_now(v);
    if (!v || depth > MAX_DEPTH || dtype_class(v->type.dtype) != CLASS_INTEGER) return unknown;
    const struct node *n = v->def;
    if (!n) return of_argument(g, v);
    if (n->op == OP_topk && v->index == 1) return of_order(g, n, depth);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].op != n->op) continue;
        struct range r = rules[i].run(g, n, depth);
        return rules[i].arithmetic ? fitted(g, v, r) : r;
    }
    return unknown;
}

struct range range_of(struct graph *g, struct value *v) {
    return range_at(g, v, 0);
}

bool range_within(struct graph *g, struct range r, const struct extent *lo, const struct extent *hi) {
    const struct extent *last = extent_sub(g->extents, hi, extent_const(g->extents, 1));
    return at_most(g, lo, r.lo) && at_most(g, r.hi, last);
}
