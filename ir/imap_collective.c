/* Index maps of what ranks exchange: a loop over the members of the group.
 *
 *     all_gather(x: f32[S, 192])        loops r, s, d           x [s, d]     result [r, s, d]
 *     reduce_scatter(x: f32[3, S])      loops s, r (reduction)  x [r, s]     result [s] */
#include "ir/collective.h"
#include "ir/imap_build.h"

/* One space for all operands: they differ in shape at most, so the first stands for them. */
void map_collective(struct map *b) {
    const struct collective *row = collective_of(b->n);
    const struct type *x = type_of(b, 0);
    int from = row->takes_parts, first = row->gives_parts, member = -1;
    if (row->gives_parts) member = add_loop(b, result_of(b, 0)->extents[0], LOOP_PARALLEL);
    for (int i = from; i < x->rank; i++) add_loop(b, x->extents[i], LOOP_PARALLEL);
    if (row->takes_parts && member < 0) member = add_loop(b, x->extents[0], LOOP_REDUCTION);
    if (row->takes_parts) walk(operand_axis(b, 0, 0), member, 1);
    if (row->gives_parts) walk(result_axis(b, 0, 0), member, 1);
    walk_axes(&b->m->operands[0], from, first, x->rank - from);
    walk_axes(&b->m->results[0], first, first, x->rank - from);
    for (int i = 1; i < b->n->operands_count; i++) {
        for (int k = 0; k < type_of(b, i)->rank; k++) operand_axis(b, i, k)->whole = true;
        for (int k = 0; k < result_of(b, i)->rank; k++) result_axis(b, i, k)->whole = true;
    }
}

void map_send(struct map *b) {
    for (int i = 0; i < type_of(b, 0)->rank; i++) add_loop(b, type_of(b, 0)->extents[i], LOOP_PARALLEL);
    walk_axes(&b->m->operands[0], 0, 0, type_of(b, 0)->rank);
}

void map_receive(struct map *b) { loops_of_result(b); }
