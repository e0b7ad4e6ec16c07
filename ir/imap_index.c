/* Index maps of ops that address by ids: which index of the addressed axis is touched only the ids know, so
 * that axis is `whole`.
 *
 *     gather(table: f32[V, D], ids: i32[S])     loops s, d     table [whole, d]   ids [s]   result [s, d] */
#include "ir/imap_build.h"

/* Operand's axes around `axis` by loops, where `ids` loops stand in place of that axis. */
static void walk_around(struct map *b, int operand, int axis, int ids) {
    int rank = type_of(b, operand)->rank;
    walk_axes(&b->m->operands[operand], 0, 0, axis);
    operand_axis(b, operand, axis)->whole = true;
    walk_axes(&b->m->operands[operand], axis + 1, axis + ids, rank - axis - 1);
}

void map_gather(struct map *b) {
    int axis = (int)node_attr(b->n, "axis")->i, ids = type_of(b, 1)->rank;
    loops_of_result(b);
    walk_around(b, 0, axis, ids);
    walk_axes(&b->m->operands[1], 0, axis, ids);
}

void map_take_along(struct map *b) {
    loops_of_result(b);
    walk_around(b, 0, (int)node_attr(b->n, "axis")->i, 1);
    walk_axes(&b->m->operands[1], 0, 0, type_of(b, 1)->rank);
}

/* Updates come one after the other: the last one at an index stays. */
void map_scatter(struct map *b) {
    int axis = (int)node_attr(b->n, "axis")->i, ids = type_of(b, 1)->rank, rank = type_of(b, 0)->rank;
    loops_around(b, axis);
    walk_axes(&b->m->operands[0], 0, 0, rank);
    for (int i = 0; i < ids; i++) operand_axis(b, 1, i)->whole = operand_axis(b, 2, axis + i)->whole = true;
    walk_axes(&b->m->operands[2], 0, 0, axis);
    walk_axes(&b->m->operands[2], axis + ids, axis + 1, rank - axis - 1);
}

/* The batch row of x that a row of the buffer gets, `rows` alone knows. */
void map_write(struct map *b) {
    loops_of_result(b);
    walk_axes(&b->m->operands[0], 0, 0, type_of(b, 0)->rank);
    walk_around(b, 1, (int)node_attr(b->n, "axis")->i, 1);
    if (type_of(b, 2)->rank) walk_axes(&b->m->operands[2], 0, 0, 1);
    if (!has(b, 3)) return;
    *operand_axis(b, 1, 0) = *operand_axis(b, 3, 0) = (struct axis_map){.whole = true};
    if (type_of(b, 2)->rank) *operand_axis(b, 2, 0) = (struct axis_map){.whole = true};
}
