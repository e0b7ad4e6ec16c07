/* What the parts of the shard pass share.
 *
 *     shard.c            the pass: which mesh, annotations, explanations
 *     shard_meshes.c     several meshes as one
 *     shard_propagate.c  from what is annotated to where everything would like to live
 *     shard_cost.c       what it costs to move, and what is said of it
 *     shard_sums.c       sums of partial sums are made before these are reduced
 *     shard_cut.c        how each node is cut
 *     shard_execute.c    reshards where that is not how its operands live */
#ifndef PASSES_SHARD_H
#define PASSES_SHARD_H
#include "passes/build.h"
#include "passes/factors.h"
#include "passes/passes.h"
#include "passes/reshard_path.h"

struct sharder {
    struct graph *g;
    struct arena *a; /* the pass's scratch */
    const struct mesh *mesh;
    struct function *f;             /* the one at work; NULL: all */
    int values;                     /* of the graph when the pass began: arrays have so many entries */
    struct sharding *wanted;        /* [values] by annotation and propagation */
    struct sharding *globals;       /* [globals] */
    bool *asked;                    /* [values] a person wrote where it lives */
    const char **why;               /* [values] what last changed it, in words; NULL: nothing did */
    const char **global_why;        /* [globals] */
    const struct factors **factors; /* [nodes], made at first use */
    int nodes;
    int64_t typical;   /* what a dim is taken to be where bytes are compared */
    int priority;      /* annotations up to this one are in force */
    int next_priority; /* the lowest that has not come yet */
};

/* The mesh that the model's values live on: of several, one that says all that was said on them
 * (shard_meshes.c); NULL: there is one rank. False after an error. */
bool shard_find_mesh(struct graph *g, const struct mesh **mesh);
/* Where a value is wanted; params and states share their global's. */
struct sharding *shard_slot(struct sharder *s, const struct value *v);
const struct factors *shard_factors(struct sharder *s, const struct node *n);
/* Adds partial sums to each other before they meet what is whole; between propagation and execution. */
void shard_regroup_sums(struct sharder *s);
/* Extents as numbers, where dims are typical. */
int64_t shard_extent(const struct sharder *s, const struct extent *e);
const char *value_label(struct sharder *s, const struct value *v); /* its name, or what makes it */

/* Fills `wanted` and `globals` from the annotations in force, to a fixed point. */
void shard_propagate(struct sharder *s);
/* The type as reshard_path() wants it, and the costs that ways are compared by. */
struct reshard_tensor shard_tensor(const struct sharder *s, const struct type *t);
extern const struct reshard_cost shard_cost;
/* Bytes that a rank sends when a value of that type moves; false if it cannot. */
bool move_bytes(struct sharder *s, const struct type *t, const struct sharding *from,
                const struct sharding *to, double *bytes);
/* Says what reshard node n moves and for whom, for --explain=shard and --deny=reshard; an error where there
 * is no way. */
void explain_reshard(struct sharder *s, const struct value *from, const struct node *n,
                     const struct node *reader);
/* False after an error: option deny says nothing that is known. */
bool deny_is_valid(const struct graph *g);
/* Where the function's result must be: as annotated, else whole. */
struct sharding shard_result(const struct sharder *s, const struct function *f, int i);
/* Where a value is, once it has been made; and where it should be when it is no partial sum: as wanted, or as
 * it is. */
const struct sharding *shard_place(const struct value *v);
struct sharding shard_settled(struct sharder *s, const struct value *v);
/* The cut that a node is run with, and where its operands must be and its results are made under it; false:
 * nowhere. */
struct cut shard_choose(struct sharder *s, const struct factors *f);
bool shard_operand_place(const struct factors *f, int k, const struct cut *cut, struct sharding *place);
bool shard_result_place(const struct factors *f, int k, const struct cut *cut, struct sharding *place);
/* Gives every value its sharding; explicit reshards where it changes. */
void shard_execute(struct sharder *s, struct function *f);
#endif
