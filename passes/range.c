/* Ranges of integer values: iota, argmax, constants, clip, loops' variables and arithmetic on them. */
#include "passes/range.h"
#include "ir/interp.h"
#include "passes/build.h"
#include "passes/pass.h"

enum { MAX_WALK = 128 };

/* The values looked at for one question, each once: a graph has many more ways to a value than values. */
struct walk {
    struct graph *g;
    int count;
    struct known {
        const struct value *value;
        struct range range;
    } known[MAX_WALK];
};

static const struct range unknown = {NULL, NULL};

static struct range range_at(struct walk *w, struct value *v);

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
static struct range fitted(const struct value *v, struct range r) {
    int bits = 8 * dtype_bytes(v->type.dtype) - 1;
    int64_t most = bits >= 63 ? INT64_MAX : (INT64_C(1) << bits) - 1;
    if (v->type.dtype == DTYPE_U8 || dtype_class(v->type.dtype) != CLASS_INTEGER) return unknown;
    if (!r.lo || !r.hi || extent_min(r.lo) < -most || extent_max(r.hi) > most) return unknown;
    return r;
}

static struct range of_operand(struct walk *w, const struct node *n, int i) {
    return range_at(w, n->operands[i]);
}

static struct range either(struct graph *g, struct range a, struct range b) {
    struct range r = unknown;
    r.lo = at_most(g, a.lo, b.lo) ? a.lo : at_most(g, b.lo, a.lo) ? b.lo : NULL;
    r.hi = at_most(g, a.hi, b.hi) ? b.hi : at_most(g, b.hi, a.hi) ? a.hi : NULL;
    return r;
}

static struct range of_constant(struct walk *w, const struct node *n) {
    const struct tensor *t = n->constant;
    if (dtype_class(t->dtype) == CLASS_FLOAT) return unknown;
    const struct array *x = array_from_bytes(w->g->pass->scratch, t);
    if (!x->elements) return unknown;
    int64_t lo = x->integers[0], hi = lo;
    for (int64_t i = 1; i < x->elements; i++) {
        if (x->integers[i] < lo) lo = x->integers[i];
        if (x->integers[i] > hi) hi = x->integers[i];
    }
    return numbers(w->g, lo, hi);
}

static struct range of_view(struct walk *w, const struct node *n) { return of_operand(w, n, 0); }

static struct range of_concat(struct walk *w, const struct node *n) {
    struct range r = of_operand(w, n, 0);
    for (int i = 1; i < n->operands_count; i++) r = either(w->g, r, of_operand(w, n, i));
    return r;
}

static struct range of_pad(struct walk *w, const struct node *n) {
    int64_t value = (int64_t)node_attr(n, "value")->f;
    return either(w->g, of_operand(w, n, 0), numbers(w->g, value, value));
}

static struct range of_cast(struct walk *w, const struct node *n) {
    return fitted(n->results[0], of_operand(w, n, 0));
}

static struct range of_iota(struct walk *w, const struct node *n) {
    return below(w->g, node_attr(n, "n")->e);
}

static struct range of_extent(struct walk *w, const struct node *n) {
    (void)w;
    return (struct range){node_attr(n, "n")->e, node_attr(n, "n")->e};
}

/* Of nothing, the largest and the smallest are what they began with. */
static struct range of_extreme(struct walk *w, const struct node *n) {
    const struct type *type = &n->operands[0]->type;
    for (int i = 0; i < type->rank; i++)
        if (extent_min(type->extents[i]) < 1) return unknown;
    return of_operand(w, n, 0);
}

static struct range of_order(struct walk *w, const struct node *n) {
    return below(w->g, n->operands[0]->type.extents[node_attr(n, "axis")->i]);
}

/* The place of the largest or smallest: nothing has none. */
static struct range of_place(struct walk *w, const struct node *n) {
    bool some = extent_min(n->operands[0]->type.extents[node_attr(n, "axis")->i]) >= 1;
    return some ? of_order(w, n) : unknown;
}

static struct range of_add(struct walk *w, const struct node *n) {
    struct range a = of_operand(w, n, 0), b = of_operand(w, n, 1);
    return (struct range){extent_add(w->g->extents, a.lo, b.lo), extent_add(w->g->extents, a.hi, b.hi)};
}

static struct range of_sub(struct walk *w, const struct node *n) {
    struct range a = of_operand(w, n, 0), b = of_operand(w, n, 1);
    return (struct range){extent_sub(w->g->extents, a.lo, b.hi), extent_sub(w->g->extents, a.hi, b.lo)};
}

static struct range of_mul(struct walk *w, const struct node *n) {
    struct range a = of_operand(w, n, 0), b = of_operand(w, n, 1);
    if (!a.lo || !b.lo || extent_min(a.lo) < 0 || extent_min(b.lo) < 0) return unknown;
    return (struct range){extent_mul(w->g->extents, a.lo, b.lo), extent_mul(w->g->extents, a.hi, b.hi)};
}

/* The remainder has the divisor's sign. */
static struct range of_rem(struct walk *w, const struct node *n) {
    struct range b = of_operand(w, n, 1);
    if (!b.lo || !b.hi || extent_min(b.lo) < 1) return unknown;
    return below(w->g, b.hi);
}

static struct range of_minimum(struct walk *w, const struct node *n) {
    struct range a = of_operand(w, n, 0), b = of_operand(w, n, 1), r = either(w->g, a, b);
    r.hi = !a.hi || at_most(w->g, b.hi, a.hi) ? b.hi : a.hi;
    return r;
}

static struct range of_maximum(struct walk *w, const struct node *n) {
    struct range a = of_operand(w, n, 0), b = of_operand(w, n, 1), r = either(w->g, a, b);
    r.lo = !a.lo || at_most(w->g, a.lo, b.lo) ? b.lo : a.lo;
    return r;
}

/* min(max(x, lo), hi) */
static struct range of_clip(struct walk *w, const struct node *n) {
    struct range lo = of_operand(w, n, 1), hi = of_operand(w, n, 2);
    return (struct range){at_most(w->g, lo.lo, hi.lo) ? lo.lo : NULL, hi.hi};
}

static struct range of_where(struct walk *w, const struct node *n) {
    return either(w->g, of_operand(w, n, 1), of_operand(w, n, 2));
}

static const struct {
    enum op op;
    struct range (*run)(struct walk *w, const struct node *n);
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

static struct range of_result(struct walk *w, const struct value *v) {
    const struct node *n = v->def;
    if (n->op == OP_topk && v->index == 1) return of_order(w, n);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].op != n->op) continue;
        struct range r = rules[i].run(w, n);
        return rules[i].arithmetic ? fitted(v, r) : r;
    }
    return unknown;
}

static struct range range_at(struct walk *w, struct value *v) {
    v = value_now(v);
    if (!v || dtype_class(v->type.dtype) != CLASS_INTEGER) return unknown;
    for (int i = 0; i < w->count; i++)
        if (w->known[i].value == v) return w->known[i].range;
    if (w->count == MAX_WALK) return unknown;
    int at = w->count++;
    w->known[at].value = v;
    w->known[at].range = v->def ? of_result(w, v) : of_argument(w->g, v);
    return w->known[at].range;
}

struct range range_of(struct graph *g, struct value *v) {
    struct walk w = {.g = g, .count = 0};
    return range_at(&w, v);
}

bool range_within(struct graph *g, struct range r, const struct extent *lo, const struct extent *hi) {
    const struct extent *last = extent_sub(g->extents, hi, extent_const(g->extents, 1));
    return at_most(g, lo, r.lo) && at_most(g, r.hi, last);
}
