/* Interprets ops that move elements and compute nothing. */
#include "ir/eval.h"

/* The same numbers in another shape. */
bool eval_reshape(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    const struct type *t = &n->results[0]->type;
    struct array *y = arena_new_object(e->arena, struct array);
    int64_t elements = 1;
    *y = *x;
    y->rank = t->rank;
    for (int d = 0; d < t->rank; d++) elements *= y->extents[d] = eval_length(e, t->extents[d]);
    e->cells[n->results[0]->id] = (struct cell){y, NULL};
    if (elements == x->elements) return true;
    return eval_fail(e, n, "%lld elements do not fit the shape of %lld", (long long)x->elements,
                     (long long)elements);
}

bool eval_reshard(struct eval *e, const struct node *n) {
    struct array *y = arena_new_object(e->arena, struct array);
    *y = *eval_operand(e, n, 0);
    e->cells[n->results[0]->id] = (struct cell){y, NULL};
    return true;
}

/* Fills `y` in order with the elements of `x` that lie `strides` apart from `base` on. */
static void take(struct array *y, const struct array *x, int64_t base, const int64_t *strides) {
    struct walk w = walk_over(y->rank, y->extents);
    int64_t i = 0;
    walk_add(&w, strides);
    for (bool more = walk_start(&w); more; more = walk_next(&w), i++) array_copy(y, i, x, base + w.at[0], 1);
}

bool eval_transpose(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    struct array *y = eval_result(e, n, 0);
    int64_t own[MAX_RANK], strides[MAX_RANK];
    if (!y) return false;
    array_strides(x, own);
    for (int d = 0; d < y->rank; d++) {
        int64_t axis = node_attr(n, "perm")->ints[d];
        strides[d] = own[axis < 0 ? axis + y->rank : axis];
    }
    take(y, x, 0, strides);
    return true;
}

bool eval_broadcast(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    struct array *y = eval_result(e, n, 0);
    int64_t strides[MAX_RANK];
    if (!y) return false;
    array_broadcast_strides(x, y->rank, y->extents, strides);
    take(y, x, 0, strides);
    return true;
}

bool eval_slice(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    struct array *y = eval_result(e, n, 0);
    int64_t strides[MAX_RANK], base = 0;
    if (!y) return false;
    array_strides(x, strides);
    for (int d = 0; d < y->rank; d++) {
        int64_t start = eval_length(e, node_attr(n, "start")->extents[d]),
                step = node_attr(n, "step")->ints[d];
        int64_t last = start + (y->extents[d] - 1) * step;
        bool inside = start >= 0 && start < x->extents[d] && last >= 0 && last < x->extents[d];
        if (y->extents[d] && !inside)
            return eval_fail(e, n, "%lld..%lld is not inside 0..%lld", (long long)start, (long long)last,
                             (long long)x->extents[d]);
        base += start * strides[d];
        strides[d] *= step;
    }
    take(y, x, base, strides);
    return true;
}

bool eval_flip(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    const struct attr *axes = node_attr(n, "axis");
    struct array *y = eval_result(e, n, 0);
    int64_t strides[MAX_RANK], base = 0;
    if (!y) return false;
    array_strides(x, strides);
    for (int i = 0; i < (axes->count < 0 ? x->rank : axes->count); i++) {
        int64_t axis = axes->count < 0 ? i : axes->ints[i];
        if (axis < 0) axis += x->rank;
        base += (x->extents[axis] - 1) * strides[axis];
        strides[axis] = -strides[axis];
    }
    take(y, x, base, strides);
    return true;
}

bool eval_concat(struct eval *e, const struct node *n) {
    struct array *y = eval_result(e, n, 0);
    if (!y) return false;
    int axis = attr_axis(n, y->rank);
    int64_t inner = array_inner(y, axis), outer = array_outer(y, axis), at = 0;
    for (int k = 0; k < n->operands_count; k++) {
        const struct array *x = eval_operand(e, n, k);
        int64_t run = x->extents[axis] * inner;
        for (int64_t i = 0; i < outer; i++) array_copy(y, i * y->extents[axis] * inner + at, x, i * run, run);
        at += run;
    }
    return true;
}

static void fill(struct array *y, double value) {
    for (int64_t i = 0; i < y->elements; i++)
        if (y->floats)
            y->floats[i] = value;
        else
            y->integers[i] = (int64_t)value;
}

bool eval_pad(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    struct array *y = eval_result(e, n, 0);
    int64_t strides[MAX_RANK], base = 0, i = 0;
    if (!y) return false;
    fill(y, attr_float(n, "value"));
    array_strides(y, strides);
    for (int d = 0; d < x->rank; d++) base += attr_pair(n, "pads", d, 0) * strides[d];
    struct walk w = walk_over(x->rank, x->extents);
    walk_add(&w, strides);
    for (bool more = walk_start(&w); more; more = walk_next(&w), i++) array_copy(y, base + w.at[0], x, i, 1);
    return true;
}
