/* Attention and rotary embedding of f64 out of other ops, since their own kernels compute in f32.
 *
 *     sdpa(q, k, v)  =>  s = where(seen, scale * q k, -inf) + mask;  p = exp(s - max(s));  p v / sum(p)
 *     rope(x)        =>  [a cos - b sin, b cos + a sin]        a, b the two of each pair */
#include "passes/decompose_f64.h"
#include <math.h>

static struct value *scalar(struct builder *b, double value) { return build_scalar(b, DTYPE_F64, value); }

static struct value *iota(struct builder *b, const struct extent *n, enum dtype t) {
    struct node *made = node_new(b->g, OP_iota, 0, NULL, b->loc);
    *node_attr(made, "n") = (struct attr){.set = true, .e = n};
    return build_cast(b, build_finish(b, made), t);
}

static struct value *einsum(struct builder *b, const char *spec, struct value *x, struct value *y) {
    struct node *made = node_new(b->g, OP_einsum, 2, (struct value *[]){x, y}, b->loc);
    *node_attr(made, "spec") = (struct attr){.set = true, .s = spec};
    return build_finish(b, made);
}

/* x where the condition holds, else `other`. */
static struct value *where(struct builder *b, struct value *condition, struct value *x, double other) {
    return build_finish(
        b, node_new(b->g, OP_where, 3, (struct value *[]){condition, x, scalar(b, other)}, b->loc));
}

/* x with `count` axes of extent 1 behind its own. */
static struct value *with_ones(struct builder *b, struct value *x, int count) {
    const struct extent *extents[MAX_RANK];
    int rank = x->type.rank + count;
    for (int i = 0; i < rank; i++)
        extents[i] = i < x->type.rank ? x->type.extents[i] : extent_const(b->g->extents, 1);
    return build_reshape(b, x, rank, extents);
}

/* at + 0, 1, ...: of [S] rows, or with a position for each batch row [batch, S]. */
static struct value *positions(struct builder *b, struct value *at, const struct extent *rows, enum dtype t) {
    struct value *first = iota(b, rows, t);
    if (!at) return first;
    at = build_cast(b, at, t);
    return build2(b, OP_add, at->type.rank ? with_ones(b, at, 1) : at, first);
}

/* ---- sdpa ---- */

struct heads {
    int batch; /* axes before the rows: 0 or 1 */
    const struct extent *groups, *in_group;
};

/* [batch, rows, heads, dim] to [batch, rows, groups, heads of each, dim] */
static struct value *in_groups(struct builder *b, const struct heads *h, struct value *q) {
    const struct extent *extents[MAX_RANK];
    int rank = 0;
    for (int i = 0; i <= h->batch; i++) extents[rank++] = q->type.extents[i];
    extents[rank++] = h->groups;
    extents[rank++] = h->in_group;
    extents[rank++] = q->type.extents[q->type.rank - 1];
    return build_reshape(b, q, rank, extents);
}

/* [batch, heads, queries, keys], or what broadcasts to that, to the axes of scores. */
static struct value *mask_in_groups(struct builder *b, const struct heads *h, struct value *mask) {
    const struct extent *extents[MAX_RANK], *one = extent_const(b->g->extents, 1);
    int rank = 0, heads = mask->type.rank - 3;
    if (heads < 0) return mask;
    for (int i = 0; i < mask->type.rank; i++) {
        bool all = mask->type.extents[i] == one;
        if (i == heads) extents[rank++] = all ? one : h->groups;
        extents[rank++] = i != heads || all ? mask->type.extents[i] : h->in_group;
    }
    return build_reshape(b, mask, rank, extents);
}

/* -inf for keys behind a query's own position. */
static struct value *hide_later(struct builder *b, const struct heads *h, struct value *at,
                                struct value *scores) {
    const struct extent *const *extents = scores->type.extents + h->batch + 2;
    struct value *rows = with_ones(b, positions(b, at, extents[0], DTYPE_I64), 1);
    if (rows->type.rank == 3) { /* [batch, queries, 1] */
        const struct extent *one = extent_const(b->g->extents, 1);
        rows = build_reshape(b, rows, 5,
                             (const struct extent *[]){rows->type.extents[0], one, one, extents[0], one});
    }
    return where(b, build2(b, OP_le, iota(b, extents[1], DTYPE_I64), rows), scores, -INFINITY);
}

static struct value *add_mask(struct builder *b, struct value *mask, struct value *scores) {
    if (mask->type.dtype == DTYPE_BOOL) return where(b, mask, scores, -INFINITY);
    return build2(b, OP_add, scores, build_cast(b, mask, DTYPE_F64));
}

/* A reduction along the last axis, which stays, as 1. */
static struct value *over_keys(struct builder *b, enum op op, struct value *x) {
    int64_t last = x->type.rank - 1;
    struct node *made = node_new(b->g, op, 1, &x, b->loc);
    *node_attr(made, "axis") = attr_ints(b->g, 1, &last);
    *node_attr(made, "keep") = (struct attr){.set = true, .i = 1};
    return build_finish(b, made);
}

/* Divided last, so that of no keys the result is 0 / 0, as the kernels' is. */
struct value *attention_of_f64(struct builder *b, const struct match *m) {
    const struct node *n = m->root;
    struct value *q = n->operands[0], *at = n->operands_count > 3 ? n->operands[3] : NULL,
                 *mask = n->operands_count > 4 ? n->operands[4] : NULL;
    const struct type *result = &n->results[0]->type;
    if (result->dtype != DTYPE_F64) return NULL;
    struct value *k = build_cast(b, n->operands[1], DTYPE_F64), *v = build_cast(b, n->operands[2], DTYPE_F64);
    struct heads h = {.batch = q->type.rank - 3};
    h.groups = k->type.extents[h.batch + 1];
    h.in_group = extent_divide(b->g->extents, q->type.extents[h.batch + 1], h.groups);
    struct value *scores =
        einsum(b, h.batch ? "bsgrd,btgd->bgrst" : "sgrd,tgd->grst", in_groups(b, &h, q), k);
    scores = build2(b, OP_mul, scores, scalar(b, node_attr(n, "scale")->f));
    if (node_attr(n, "causal")->i) scores = hide_later(b, &h, at, scores);
    if (mask) scores = add_mask(b, mask_in_groups(b, &h, mask), scores);
    struct value *weights = build1(b, OP_exp, build2(b, OP_sub, scores, over_keys(b, OP_max, scores)));
    struct value *sums = einsum(b, h.batch ? "bgrst,btgd->bgrsd" : "grst,tgd->grsd", weights, v);
    struct value *made = build2(b, OP_div, sums, over_keys(b, OP_sum, weights));
    static const int64_t back[2][5] = {{2, 0, 1, 3},
                                       {0, 3, 1, 2, 4}}; /* [batch, rows, groups, heads of each, dim] */
    return build_reshape(b, build_transpose(b, made, back[h.batch]), result->rank, result->extents);
}

/* ---- rope ---- */

/* [dim / 2] base^(-2j/dim): radians a position, a constant. */
static struct value *angles(struct builder *b, int64_t dim, double base) {
    double *radians = arena_new_array(b->g->arena, double, (size_t)(dim / 2));
    for (int64_t j = 0; j < dim / 2; j++) radians[j] = pow(base, -2.0 * (double)j / (double)dim);
    struct tensor *t = arena_new_object(b->g->arena, struct tensor);
    *t = (struct tensor){DTYPE_F64, 1, {dim / 2}, radians};
    return build_constant(b, t);
}

/* The first or second of each pair: [..., dim / 2]. */
static struct value *half(struct builder *b, struct value *x, bool interleaved, int64_t which) {
    struct extents *e = b->g->extents;
    const struct extent *start[MAX_RANK], *extent[MAX_RANK];
    int64_t step[MAX_RANK], dim = 0;
    int last = x->type.rank - 1;
    for (int i = 0; i <= last; i++) {
        start[i] = extent_const(e, 0);
        extent[i] = x->type.extents[i];
        step[i] = 1;
    }
    extent_is_const(extent[last], &dim);
    start[last] = extent_const(e, interleaved ? which : which * (dim / 2));
    extent[last] = extent_const(e, dim / 2);
    step[last] = interleaved ? 2 : 1;
    return build_slice(b, x, start, extent, step);
}

/* Both halves, each as [..., dim / 2]; interleaved they are neighbours of a last axis of 2 first. */
static struct value *join(struct builder *b, const struct type *t, bool interleaved, struct value *first,
                          struct value *second) {
    if (interleaved) first = with_ones(b, first, 1), second = with_ones(b, second, 1);
    struct node *made = node_new(b->g, OP_concat, 2, (struct value *[]){first, second}, b->loc);
    *node_attr(made, "axis") = (struct attr){.set = true, .i = first->type.rank - 1};
    return build_reshape(b, build_finish(b, made), t->rank, t->extents);
}

struct value *rope_of_f64(struct builder *b, const struct match *m) {
    const struct node *n = m->root;
    const struct type *t = &n->results[0]->type;
    struct value *x = n->operands[0], *at = n->operands_count > 1 ? n->operands[1] : NULL;
    int64_t dim;
    if (t->dtype != DTYPE_F64 || !extent_is_const(t->extents[t->rank - 1], &dim)) return NULL;
    bool interleaved = *node_attr(n, "style")->s == 'i';
    struct value *where =
        with_ones(b, positions(b, at, t->extents[t->rank - 3], DTYPE_F64), 2); /* [rows, heads, dim] */
    struct value *angle = build2(b, OP_mul, where, angles(b, dim, node_attr(n, "base")->f));
    struct value *c = build1(b, OP_cos, angle), *s = build1(b, OP_sin, angle);
    struct value *first = half(b, x, interleaved, 0), *second = half(b, x, interleaved, 1);
    struct value *turned[2] = {build2(b, OP_sub, build2(b, OP_mul, first, c), build2(b, OP_mul, second, s)),
                               build2(b, OP_add, build2(b, OP_mul, second, c), build2(b, OP_mul, first, s))};
    return join(b, t, interleaved, turned[0], turned[1]);
}
