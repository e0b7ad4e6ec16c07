/* Factors of a node: its loops, as what mesh axes can be laid on (as in GSPMD and Shardy).
 *
 *     linear(x: f32[S, 576], w: f32[192, 576])     loops s, n, k
 *     axes on n: w's rows and the result's columns are cut; axes on k: the result is a partial sum
 *
 * All follows from the index map, but for a column over the families: which loops know their place (positions
 * of rope, ids of iota), and what a cut reduction needs. */
#ifndef PASSES_FACTORS_H
#define PASSES_FACTORS_H
#include "ir/imap.h"

/* How the pieces of a cut reduction make the whole. */
enum combine {
    COMBINE_NONE, /* they do not: such loops stay whole */
    COMBINE_SUM,  /* the result is a partial sum, a state that a value may stay in */
    COMBINE_PROD, /* these are combined where they are made */
    COMBINE_MAX,
    COMBINE_MIN
};

struct axis_list { /* mesh axes on one loop, major first */
    int count;
    uint8_t axes[MAX_DIM_AXES];
};
struct factors {
    const struct node *node;
    const struct imap *map;
    const struct mesh *mesh;
    bool whole[MAX_LOOPS]; /* cannot be cut */
    enum combine combine;
};
/* Axes for each loop: what a node is run with. */
struct cut {
    struct axis_list loops[MAX_LOOPS];
};

/* NULL for nodes without an index map. */
const struct factors *factors_of(struct arena *a, struct graph *g, const struct node *n,
                                 const struct mesh *m);

/* Whether `extent` can be cut into `pieces`, given that a dim may be asked to be a multiple of what it takes.
 */
bool extent_can_cut(const struct extent *extent, int64_t pieces);
int64_t axes_pieces(const struct mesh *m, const struct axis_list *l);
bool axes_equal(const struct axis_list *a, const struct axis_list *b);
bool axes_prefix(const struct axis_list *shorter, const struct axis_list *longer);

/* What the sharding of an operand or result says about the loops that walk it; loops it says nothing of are
 * left. */
void factors_project(const struct factors *f, const struct access_map *access, const struct sharding *s,
                     struct cut *cut);
/* The sharding that an operand or result has under a cut, without what is partial; false if it has none. */
bool factors_place(const struct factors *f, const struct access_map *access, const struct type *type,
                   const struct cut *cut, struct sharding *s);
/* Axes on reductions. */
uint32_t factors_reduced(const struct factors *f, const struct cut *cut);
/* Whether the node is linear in the operand alone: a partial sum may pass through. */
bool node_is_linear(const struct node *n, int operand);
/* Whether the node adds: all its operands may be partial sums over the same axes. */
bool node_adds(const struct node *n);

#endif
