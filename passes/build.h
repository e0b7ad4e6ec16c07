/* Making nodes in the middle of a block, in one line each. Installed: plug-ins use it too.
 *
 *     struct builder b = {g, before, before->loc};
 *     y = build2(&b, OP_add, x, build_scalar(&b, DTYPE_F32, 1e-5));
 *
 * Every node is put before `b.before`, its types inferred; operands that do not fit are our own bug: ice().
 */
#ifndef PASSES_BUILD_H
#define PASSES_BUILD_H
#include "ir/graph.h"

struct builder {
    struct graph *g;
    struct node *before;
    struct loc loc;
};
/* Infers the node's types and puts it into the block; its first result. */
struct value *build_finish(struct builder *b, struct node *n);
struct value *build1(struct builder *b, enum op op, struct value *x);
struct value *build2(struct builder *b, enum op op, struct value *x, struct value *y);
/* A constant of rank 0. */
struct value *build_scalar(struct builder *b, enum dtype dtype, double value);
struct value *build_constant(struct builder *b, const struct tensor *t);
struct value *build_cast(struct builder *b, struct value *x,
                         enum dtype to);                               /* x itself if it is that already */
struct value *build_extent(struct builder *b, const struct extent *e); /* i32; a constant if it is one */
/* x itself where the shape is that already. */
struct value *build_reshape(struct builder *b, struct value *x, int rank,
                            const struct extent *const *extents);
struct value *build_broadcast(struct builder *b, struct value *x, int rank,
                              const struct extent *const *extents);
/* x[start : : step], so many elements of each axis. */
struct value *build_slice(struct builder *b, struct value *x, const struct extent *const *start,
                          const struct extent *const *extent, const int64_t *step);
struct value *build_transpose(struct builder *b, struct value *x, const int64_t *perm); /* [x's rank] */

/* Values of attributes, in the graph's arena. */
struct attr attr_ints(struct graph *g, int count, const int64_t *ints);
struct attr attr_extents(struct graph *g, int count, const struct extent *const *extents);
bool attr_equal(enum attr_kind kind, const struct attr *a, const struct attr *b);

/* Attributes that give a result's shape, of an op that has them, say that of t. */
void node_take_shape(struct graph *g, struct node *n, const struct type *t);

/* The constant's one value if all its elements are equal to it, as a double; false for all other values. */
bool value_splat(struct arena *scratch, const struct value *v, double *splat);
bool value_is_constant(const struct value *v);

/* A copy of node `n` (with its body, if it has one), not in any block. Values are looked up in
 * map[value->id]; those without an entry stay themselves. The copy's results are entered. `dims`, if not
 * NULL, are replaced in types and attributes: see extent_replace(). */
struct clone_map {
    struct value **values; /* [count] */
    int count;             /* graph's values when the map was made; later values are never mapped */
    const struct extent *const *dims;
};
struct clone_map clone_map_new(const struct graph *g, struct arena *scratch);
struct node *node_clone(struct graph *g, const struct node *n, struct clone_map *map);
struct value *clone_value(const struct clone_map *map, struct value *v);
void type_replace_dims(struct graph *g, struct type *t, const struct extent *const *by);
void node_replace_dims(struct graph *g, struct node *n, const struct extent *const *by); /* not in its body */

/* A copy of the function in which dim number d is fixed[d], where that is not negative; not linked into the
 * graph. */
struct function *function_version(struct graph *g, const struct function *f, const int64_t *fixed);
#endif
