/* Index maps of contractions and attention.
 *
 *     linear(x: f32[S, 576], w: f32[192, 576])     loops s, n parallel, k reduction
 *     x [s, k]   w [n, k]   result [s, n] */
#include "ir/einsum.h"
#include "ir/imap_build.h"

/* Loops for all axes of the result, then one for what x sums over in its last axis; its number. */
static int loops_of_product(struct map *b, const struct extent *inner) {
    loops_of_result(b);
    return add_loop(b, inner, LOOP_REDUCTION);
}

void map_linear(struct map *b) {
    int lead = type_of(b, 0)->rank - 1, k = loops_of_product(b, type_of(b, 0)->extents[lead]);
    walk_axes(&b->m->operands[0], 0, 0, lead);
    walk(operand_axis(b, 0, lead), k, 1);
    walk(operand_axis(b, 1, 0), lead, 1);
    walk(operand_axis(b, 1, 1), k, 1);
    if (has(b, 2)) walk(operand_axis(b, 2, 0), lead, 1);
}

/* Leading axes of one side of a matmul, right-aligned with the result's `batch` leading axes. */
static void walk_batch(struct map *b, int operand, int count, int batch) {
    for (int i = 0; i < count; i++) {
        int loop = batch - count + i;
        if (type_of(b, operand)->extents[i] == b->m->loops[loop].extent)
            walk(operand_axis(b, operand, i), loop, 1);
    }
}

void map_matmul(struct map *b) {
    int left = type_of(b, 0)->rank, right = type_of(b, 1)->rank, rank = result_of(b, 0)->rank;
    int k = loops_of_product(b, type_of(b, 0)->extents[left - 1]);
    int batch = rank - (left > 1) - (right > 1);
    walk_batch(b, 0, left > 2 ? left - 2 : 0, batch);
    walk_batch(b, 1, right > 2 ? right - 2 : 0, batch);
    if (left > 1) walk(operand_axis(b, 0, left - 2), batch, 1);
    walk(operand_axis(b, 0, left - 1), k, 1);
    walk(operand_axis(b, 1, right > 1 ? right - 2 : 0), k, 1);
    if (right > 1) walk(operand_axis(b, 1, right - 1), rank - 1, 1);
}

void map_einsum(struct map *b) {
    struct einsum e;
    if (einsum_parse(b->arena, node_attr(b->n, "spec")->s, &e)) ice("an einsum that was not inferred");
    const struct extent *extents[MAX_LOOPS] = {NULL};
    for (int o = 0; o < e.operands; o++)
        for (int i = 0; i < e.ranks[o]; i++) {
            extents[e.axes[o][i]] = type_of(b, o)->extents[i];
            walk(operand_axis(b, o, i), e.axes[o][i], 1);
        }
    for (int i = 0; i < e.letters; i++)
        add_loop(b, extents[i], i < e.result_rank ? LOOP_PARALLEL : LOOP_REDUCTION);
    walk_axes(&b->m->results[0], 0, 0, e.result_rank);
}

/* Blocks of 32: codes are made one by one, but the scale and sum of a block by all of it. */
void map_quantize(struct map *b) {
    int last = type_of(b, 0)->rank - 1;
    for (int i = 0; i < last; i++) add_loop(b, type_of(b, 0)->extents[i], LOOP_PARALLEL);
    int block = add_loop(b, result_of(b, 1)->extents[last], LOOP_PARALLEL);
    int within = add_loop(b, number(b, 32), LOOP_ORDERED);
    walk_axes(&b->m->operands[0], 0, 0, last);
    walk_both(operand_axis(b, 0, last), block, 32, within);
    for (int r = 0; r < 3; r++) walk_axes(&b->m->results[r], 0, 0, last);
    walk_both(result_axis(b, 0, last), block, 32, within);
    walk(result_axis(b, 1, last), block, 1);
    walk(result_axis(b, 2, last), block, 1);
}

/* As linear, so that what is true of its loops is true here. */
void map_qlinear(struct map *b) {
    int lead = type_of(b, 0)->rank - 1;
    loops_of_result(b);
    int inner = add_loop(b, type_of(b, 0)->extents[lead], LOOP_REDUCTION);
    for (int o = 0; o < 3; o++) walk_axes(&b->m->operands[o], 0, 0, lead);
    walk(operand_axis(b, 0, lead), inner, 1);
    operand_axis(b, 1, lead)->whole = operand_axis(b, 2, lead)->whole = true; /* one a block of 32 */
    walk(operand_axis(b, 3, 0), lead, 1);
    walk(operand_axis(b, 3, 1), inner, 1);
}

/* A pair of the last axis is turned together, so each element of the result sees more than its own of x. */
void map_rope(struct map *b) {
    int last = type_of(b, 0)->rank - 1;
    loops_of_result(b);
    walk_axes(&b->m->operands[0], 0, 0, last);
    operand_axis(b, 0, last)->whole = true;
    if (has(b, 1)) walk_axes(&b->m->operands[1], 0, 0, type_of(b, 1)->rank);
}

/* Query heads are counted as key head * group + member where the group's size is a number. */
static void walk_heads(struct map *b, int batch) {
    const struct extent *heads = type_of(b, 0)->extents[batch + 1], *keys = type_of(b, 1)->extents[batch + 1];
    const struct extent *group = extent_divide(b->x, heads, keys);
    int64_t size;
    if (!group || !extent_is_const(group, &size)) {
        int head = add_loop(b, heads, LOOP_PARALLEL);
        walk(operand_axis(b, 0, batch + 1), head, 1);
        walk(result_axis(b, 0, batch + 1), head, 1);
        operand_axis(b, 1, batch + 1)->whole = operand_axis(b, 2, batch + 1)->whole = true;
        return;
    }
    int key = add_loop(b, keys, LOOP_PARALLEL), member = add_loop(b, group, LOOP_PARALLEL);
    walk_both(operand_axis(b, 0, batch + 1), key, size, member);
    walk_both(result_axis(b, 0, batch + 1), key, size, member);
    walk(operand_axis(b, 1, batch + 1), key, 1);
    walk(operand_axis(b, 2, batch + 1), key, 1);
}

/* The mask's axes, from the right: keys, queries, heads, batch; those of extent 1 that stretch stay at 0. */
static void walk_mask(struct map *b, int batch, int query, int key) {
    const struct type *mask = type_of(b, 4);
    const struct axis_map *sources[] = {operand_axis(b, 1, batch), operand_axis(b, 0, batch),
                                        operand_axis(b, 0, batch + 1), operand_axis(b, 0, 0)};
    const struct extent *extents[] = {b->m->loops[key].extent, b->m->loops[query].extent,
                                      type_of(b, 0)->extents[batch + 1], type_of(b, 0)->extents[0]};
    for (int i = 0; i < mask->rank; i++)
        if (mask->extents[mask->rank - 1 - i] == extents[i])
            *operand_axis(b, 4, mask->rank - 1 - i) = *sources[i];
}

/* Loops: [batch,] queries, key heads, members of a head's group, outputs; keys and head dimension are
 * reduced. */
void map_sdpa(struct map *b) {
    const struct type *q = type_of(b, 0), *k = type_of(b, 1), *v = type_of(b, 2);
    int batch = q->rank - 3;
    if (batch) add_loop(b, q->extents[0], LOOP_PARALLEL);
    int query = add_loop(b, q->extents[batch], LOOP_PARALLEL);
    walk_heads(b, batch);
    int output = add_loop(b, v->extents[batch + 2], LOOP_PARALLEL);
    int key = add_loop(b, k->extents[batch], LOOP_REDUCTION);
    int inner = add_loop(b, q->extents[batch + 2], LOOP_REDUCTION);
    for (int i = 0; i < 3; i++) walk_axes(&b->m->operands[i], 0, 0, batch);
    walk_axes(&b->m->results[0], 0, 0, batch);
    walk(operand_axis(b, 0, batch), query, 1);
    walk(result_axis(b, 0, batch), query, 1);
    walk(operand_axis(b, 1, batch), key, 1);
    walk(operand_axis(b, 2, batch), key, 1);
    walk(operand_axis(b, 0, batch + 2), inner, 1);
    walk(operand_axis(b, 1, batch + 2), inner, 1);
    walk(operand_axis(b, 2, batch + 2), output, 1);
    walk(result_axis(b, 0, batch + 2), output, 1);
    if (has(b, 3)) walk_axes(&b->m->operands[3], 0, 0, type_of(b, 3)->rank);
    if (has(b, 4)) walk_mask(b, batch, query, key);
}
