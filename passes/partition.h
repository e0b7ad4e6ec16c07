/* What the parts of partitioning share.
 *
 *     partition.c          the pass; types become those of one rank's pieces
 *     partition_dims.c     dims that are cut count units of what a caller passes
 *     partition_gather.c   look-ups in tables of which a rank has some rows
 *     partition_reshard.c  reshards become slices, views and collectives
 *     partition_stages.c   programs by role: what is placed on some ranks only */
#ifndef PASSES_PARTITION_H
#define PASSES_PARTITION_H
#include "passes/build.h"
#include "passes/passes.h"

struct partition {
    struct graph *g;
    const struct mesh *mesh;
    int64_t typical; /* what a dim is taken to be where ways to move a value are compared */
};

/* The piece's extents; the type must have been made divisible. */
struct type local_type(struct graph *g, const struct type *whole, const struct sharding *s);
/* The same sharding, of a piece. */
const struct sharding *local_sharding(struct graph *g, const struct sharding *s);

/* Every dim that some sharding cuts where its extent's factor does not suffice becomes a multiple; false
 * after errors. */
bool partition_dims(struct partition *p);

/* Puts in front of node `n`, a reshard with its operand local already, what brings its operand there; its
 * value. */
struct value *partition_reshard(struct partition *p, struct node *n);
/* n, a gather whose table's rows are cut, on pieces. */
void partition_gather(struct partition *p, struct node *n);
/* The result of n, combined over the axes by a word of all_reduce; a node behind n. */
void combine_behind(struct partition *p, struct node *n, uint32_t axes, const char *reduce);
/* A rank's place among the ranks that an ordered list of axes tells apart. */
const struct extent *axes_index(struct partition *p, const uint8_t *axes, int count);

/* Functions with placed nodes become versions by role; false after errors. */
bool partition_stages(struct partition *p);
#endif
