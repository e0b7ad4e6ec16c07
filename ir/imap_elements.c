/* Index maps of ops that make each element of their result alone, or along one axis: elementwise ops,
 * reductions, running sums, sorting, normalisation, and the makers of values.
 *
 *     add(a: f32[S, 4], b: f32[4])     loops s, i parallel         a [s, i]   b [i]   result [s, i]
 *     sum(x: f32[S, 4], axis=0)        loops s reduction, i        x [s, i]           result [i]
 *     softmax(x: f32[S, 4])            loops s, i ordered          x [s, i]           result [s, i] */
#include "ir/imap_build.h"

void map_pointwise(struct map *b) {
    loops_of_result(b);
    for (int i = 0; i < b->n->operands_count; i++) walk_broadcast(b, i, result_of(b, 0)->rank);
}

void map_cast(struct map *b) { map_pointwise(b); }
void map_broadcast(struct map *b) { map_pointwise(b); }
void map_iota(struct map *b) { loops_of_result(b); }
void map_random(struct map *b) { loops_of_result(b); }
void map_extent(struct map *b) { loops_of_result(b); }

void map_one_hot(struct map *b) {
    loops_of_result(b);
    walk_axes(&b->m->operands[0], 0, 0, type_of(b, 0)->rank);
}

/* A loop for each axis of operand 0; those in `axes` are reductions, the result walks the others. */
static void map_reduction(struct map *b, const int64_t *axes, int count, bool keep) {
    const struct type *x = type_of(b, 0);
    for (int i = 0, next = 0, to = 0; i < x->rank; i++) {
        bool reduced = next < count && axes[next] == i;
        if (reduced) next++;
        int loop = add_loop(b, x->extents[i], reduced ? LOOP_REDUCTION : LOOP_PARALLEL);
        walk(operand_axis(b, 0, i), loop, 1);
        if (!reduced) walk(result_axis(b, 0, to), loop, 1);
        if (!reduced || keep) to++;
    }
}

void map_reduce(struct map *b) {
    const struct attr *axes = node_attr(b->n, "axis");
    map_reduction(b, axes->ints, axes->count, node_attr(b->n, "keep")->i);
}

void map_argreduce(struct map *b) { map_reduction(b, &node_attr(b->n, "axis")->i, 1, false); }

static void map_along(struct map *b, int64_t axis) {
    loops_around(b, axis);
    walk_axes(&b->m->operands[0], 0, 0, type_of(b, 0)->rank);
}

void map_cumsum(struct map *b) { map_along(b, node_attr(b->n, "axis")->i); }
void map_sort(struct map *b) { map_along(b, node_attr(b->n, "axis")->i); }

void map_normalize(struct map *b) {
    bool softmax = b->n->op == OP_softmax || b->n->op == OP_log_softmax;
    map_along(b, softmax ? node_attr(b->n, "axis")->i : type_of(b, 0)->rank - 1);
}

void map_topk(struct map *b) {
    int64_t axis = node_attr(b->n, "axis")->i;
    loops_around(b, axis);
    for (int i = 0; i < type_of(b, 0)->rank; i++) {
        if (i == axis)
            operand_axis(b, 0, i)->whole = true;
        else
            walk(operand_axis(b, 0, i), i, 1);
        walk(result_axis(b, 1, i), i, 1);
    }
}

/* All rows and classes add to one number; a row's target picks among the classes. */
void map_cross_entropy(struct map *b) {
    const struct type *logits = type_of(b, 0);
    for (int i = 0; i < logits->rank; i++) add_loop(b, logits->extents[i], LOOP_REDUCTION);
    walk_axes(&b->m->operands[0], 0, 0, logits->rank);
    walk_axes(&b->m->operands[1], 0, 0, logits->rank - 1);
}

void map_guard(struct map *b) {
    const struct type *x = type_of(b, 0);
    for (int i = 0; i < x->rank; i++) add_loop(b, x->extents[i], LOOP_PARALLEL);
    walk_axes(&b->m->operands[0], 0, 0, x->rank);
}

/* Sugar is expanded before, and what has a syntax of its own has no map: imap_of() stops both. */
static void none(const struct map *b) { ice("%s has no index map", op_info(b->n->op)->name); }
void map_sugar(struct map *b) { none(b); }
void map_param(struct map *b) { none(b); }
void map_constant(struct map *b) { none(b); }
void map_assign(struct map *b) { none(b); }
void map_kernel(struct map *b) { none(b); }
void map_scan(struct map *b) { none(b); }
