/* Algebra and merging of views: the rules of simplify.def, and the functions they call. */
#include "passes/passes.h"
#include "passes/rules.h"
#include <math.h>
#include <string.h>

static struct value *operand(const struct match *m, int i) { return value_now(m->root->operands[i]); }

/* The operand itself if it has the result's type: for views that change nothing. */
static struct value *operand_of_same_type(const struct match *m) {
    struct value *x = operand(m, 0);
    return type_equal(&x->type, &m->root->results[0]->type) ? x : NULL;
}

static struct value *identity_cast(struct builder *b, const struct match *m) {
    return (void)b, operand_of_same_type(m);
}
static struct value *identity_reshape(struct builder *b, const struct match *m) {
    return (void)b, operand_of_same_type(m);
}
static struct value *identity_broadcast(struct builder *b, const struct match *m) {
    return (void)b, operand_of_same_type(m);
}

/* x / c = x * (1 / c) exactly where 1 / c is a power of two and no denormal. */
static struct value *division_by_power_of_two(struct builder *b, const struct match *m) {
    double c;
    int exponent;
    enum dtype dtype = m->root->results[0]->type.dtype;
    if (dtype_class(dtype) != CLASS_FLOAT || !value_splat(m->g->pass->scratch, operand(m, 1), &c))
        return NULL;
    if (!isfinite(c) || fabs(frexp(c, &exponent)) != 0.5 || exponent < -12 || exponent > 12) return NULL;
    if (operand(m, 1)->type.rank) return NULL;
    return build2(b, OP_mul, match_value(m, "x"), build_scalar(b, dtype, 1 / c));
}

/* What a type can hold exactly: bits of its significand or integer, and whether it is one of floats. */
static const struct {
    int bits, exponent;
} precisions[DTYPE_COUNT] = {
    [DTYPE_F64] = {53, 11}, [DTYPE_F32] = {24, 8}, [DTYPE_F16] = {11, 5}, [DTYPE_BF16] = {8, 8},
    [DTYPE_I64] = {63, 0},  [DTYPE_I32] = {31, 0}, [DTYPE_I16] = {15, 0}, [DTYPE_I8] = {7, 0},
    [DTYPE_U8] = {8, 0},    [DTYPE_BOOL] = {1, 0}};

static bool lossless(enum dtype from, enum dtype to) {
    bool from_float = dtype_class(from) == CLASS_FLOAT, to_float = dtype_class(to) == CLASS_FLOAT;
    if (from == to) return true;
    if (from_float && !to_float) return false;
    if (from_float)
        return precisions[from].bits <= precisions[to].bits &&
               precisions[from].exponent <= precisions[to].exponent;
    if (to_float) return to != DTYPE_F16 && precisions[from].bits <= precisions[to].bits;
    if (to == DTYPE_U8 || to == DTYPE_BOOL) return from == DTYPE_BOOL;
    return precisions[from].bits <= precisions[to].bits;
}

/* Floats become integers by saturating, integers by wrapping: by way of floats, an integer must fit. */
static struct value *cast_of_cast(struct builder *b, const struct match *m) {
    struct value *x = match_value(m, "x"), *middle = operand(m, 0);
    enum dtype from = x->type.dtype, by = middle->type.dtype, to = m->root->results[0]->type.dtype;
    if (to == DTYPE_BOOL || !lossless(from, by)) return NULL;
    bool saturates = dtype_class(from) != CLASS_FLOAT && dtype_class(by) == CLASS_FLOAT &&
                     dtype_class(to) != CLASS_FLOAT;
    if (saturates && !lossless(from, to)) return NULL;
    return build_cast(b, x, to);
}

/* Transposes that move only axes of extent 1 are reshapes, which cost nothing. */
static struct value *identity_transpose(struct builder *b, const struct match *m) {
    const struct attr *perm = node_attr(m->root, "perm");
    const struct type *type = &m->root->results[0]->type;
    struct value *x = operand(m, 0);
    int64_t last = -1, one;
    bool same = true;
    for (int i = 0; i < perm->count; i++) {
        same &= perm->ints[i] == i;
        if (extent_is_const(x->type.extents[perm->ints[i]], &one) && one == 1) continue;
        if (perm->ints[i] < last) return NULL;
        last = perm->ints[i];
    }
    return same ? x : build_reshape(b, x, type->rank, type->extents);
}

static struct value *transpose_of_transpose(struct builder *b, const struct match *m) {
    const struct attr *inner = match_attr(m, "P"), *outer = match_attr(m, "Q");
    int64_t perm[MAX_RANK];
    for (int i = 0; i < outer->count; i++) perm[i] = inner->ints[outer->ints[i]];
    return build_transpose(b, match_value(m, "x"), perm);
}

static struct value *identity_slice(struct builder *b, const struct match *m) {
    const struct attr *step = node_attr(m->root, "step");
    (void)b;
    for (int i = 0; i < step->count; i++)
        if (step->ints[i] != 1) return NULL;
    return operand_of_same_type(m);
}

/* x[s1 + s2 * step1 : ... : step1 * step2] */
static struct value *slice_of_slice(struct builder *b, const struct match *m) {
    const struct node *outer = m->root, *inner = operand(m, 0)->def;
    struct extents *e = b->g->extents;
    const struct extent *start[MAX_RANK];
    int64_t step[MAX_RANK];
    int rank = outer->results[0]->type.rank;
    for (int i = 0; i < rank; i++) {
        int64_t first = node_attr(inner, "step")->ints[i];
        if (__builtin_mul_overflow(first, node_attr(outer, "step")->ints[i], &step[i])) return NULL;
        start[i] = extent_add(e, node_attr(inner, "start")->extents[i],
                              extent_mul(e, node_attr(outer, "start")->extents[i], extent_const(e, first)));
        if (!start[i]) return NULL;
    }
    return build_slice(b, match_value(m, "x"), start, node_attr(outer, "extent")->extents, step);
}

/* Whether a slice takes from start..start + (extent-1)*step only inside lo..lo+size. */
static bool slice_within(struct extents *e, const struct node *slice, int axis, const struct extent *lo,
                         const struct extent *size) {
    const struct extent *start = node_attr(slice, "start")->extents[axis];
    const struct extent *steps = extent_sub(e, node_attr(slice, "extent")->extents[axis], extent_const(e, 1));
    int64_t step = node_attr(slice, "step")->ints[axis];
    const struct extent *last = extent_add(e, start, extent_mul(e, steps, extent_const(e, step)));
    const struct extent *end = extent_sub(e, extent_add(e, lo, size), extent_const(e, 1));
    if (step < 0) return false;
    const struct extent *below = extent_sub(e, start, lo), *above = extent_sub(e, end, last);
    return below && above && extent_min(below) >= 0 && extent_min(above) >= 0;
}

static struct value *slice_of_concat(struct builder *b, const struct match *m) {
    const struct node *slice = m->root, *concat = operand(m, 0)->def;
    struct extents *e = b->g->extents;
    int axis = (int)node_attr(concat, "axis")->i;
    const struct extent *lo = extent_const(e, 0), *start[MAX_RANK];
    int rank = slice->results[0]->type.rank;
    for (int i = 0; i < concat->operands_count; i++) {
        struct value *part = value_now(concat->operands[i]);
        const struct extent *size = part->type.extents[axis];
        if (slice_within(e, slice, axis, lo, size)) {
            memcpy(start, node_attr(slice, "start")->extents, (size_t)rank * sizeof *start);
            start[axis] = extent_sub(e, start[axis], lo);
            return build_slice(b, part, start, node_attr(slice, "extent")->extents,
                               node_attr(slice, "step")->ints);
        }
        lo = extent_add(e, lo, size);
        if (!lo) return NULL;
    }
    return NULL;
}

static struct value *concat_of_one(struct builder *b, const struct match *m) {
    return (void)b, operand_of_same_type(m);
}

static struct value *identity_pad(struct builder *b, const struct match *m) {
    const struct attr *pads = node_attr(m->root, "pads");
    (void)b;
    for (int i = 0; i < 2 * pads->count; i++)
        if (pads->ints[i]) return NULL;
    return operand_of_same_type(m);
}

/* matmul(x, transpose(w, [1, 0])) = linear(x, w) */
static struct value *matmul_of_transpose(struct builder *b, const struct match *m) {
    struct value *x = match_value(m, "x"), *w = match_value(m, "w");
    if (w->type.rank != 2 || x->type.rank < 1 || operand(m, 1)->type.extents[0] != w->type.extents[1])
        return NULL;
    struct node *n = node_new(b->g, OP_linear, op_info(OP_linear)->operands_count, NULL, b->loc);
    n->operands[0] = x;
    n->operands[1] = w;
    *node_attr(n, "compute") = *node_attr(m->root, "compute");
    return build_finish(b, n);
}

const struct rule simplify_rules[] = {
#include "passes/simplify.def"
};
const int simplify_rules_count = sizeof simplify_rules / sizeof *simplify_rules;
const struct rule fastmath_rules[] = {
#include "passes/fastmath.def"
};
const int fastmath_rules_count = sizeof fastmath_rules / sizeof *fastmath_rules;

static bool fast_math(const struct graph *g) {
    const char *option = graph_option(g, "fast-math");
    return pass_option(g, "fast-math") || (option && strcmp(option, "0") && strcmp(option, "off"));
}

bool pass_simplify(struct graph *g) {
    bool changed = rules_apply(g, simplify_rules, simplify_rules_count);
    if (fast_math(g)) {
        changed |= rules_apply(g, fastmath_rules, fastmath_rules_count);
        changed |= rules_apply(g, simplify_rules, simplify_rules_count);
    }
    return changed;
}
