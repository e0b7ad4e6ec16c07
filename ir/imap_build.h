/* Shared by the files of index maps, imap_*.c, and by nobody else: what a family's map is made of.
 *
 * map_<family>(b) adds the loops of b->n and says for each axis of each operand and result what walks it. An
 * axis of which nothing is said stays at index 0. */
#ifndef IR_IMAP_BUILD_H
#define IR_IMAP_BUILD_H
#include "ir/imap.h"

struct map {
    struct arena *arena;
    struct extents *x;
    const struct node *n;
    struct imap *m;
};

#define FAMILY(name) void map_##name(struct map *b);
#include "ir/families.def"
#undef FAMILY

static inline bool has(const struct map *b, int operand) {
    return operand < b->n->operands_count && b->n->operands[operand] != NULL;
}
static inline const struct type *type_of(const struct map *b, int operand) {
    return &b->n->operands[operand]->type;
}
static inline const struct type *result_of(const struct map *b, int result) {
    return &b->n->results[result]->type;
}
static inline struct axis_map *operand_axis(struct map *b, int operand, int axis) {
    return &b->m->operands[operand].axes[axis];
}
static inline struct axis_map *result_axis(struct map *b, int result, int axis) {
    return &b->m->results[result].axes[axis];
}
static inline const struct extent *number(const struct map *b, int64_t value) {
    return extent_const(b->x, value);
}

int add_loop(struct map *b, const struct extent *extent, enum loop_kind kind); /* its number */
void walk(struct axis_map *axis, int loop, int64_t coefficient); /* the index grows by coefficient * loop */
/* The axis is counted by two loops, index = outer * step + inner. */
void walk_both(struct axis_map *axis, int outer, int64_t step, int inner);
/* Axes first..first+count-1 by loops loop..loop+count-1. */
void walk_axes(struct access_map *access, int first, int loop, int count);
/* The operand's axes by the loops 0..rank-1 of a shape it broadcasts to; axes of extent 1 that stretch stay
 * at 0. */
void walk_broadcast(struct map *b, int operand, int rank);
/* A parallel loop for each axis of result 0, which it walks: loop numbers are axes from now on. */
void loops_of_result(struct map *b);
/* The same, but `axis` has kind LOOP_ORDERED. */
void loops_around(struct map *b, int64_t axis);

#endif
