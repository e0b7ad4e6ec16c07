/* What the parts of the search for reshard paths share.
 *
 *     reshard_path.c     the search
 *     reshard_moves.c    one step from a sharding
 *     reshard_permute.c  who sends to whom */
#ifndef PASSES_RESHARD_MOVES_H
#define PASSES_RESHARD_MOVES_H
#include "passes/reshard_path.h"

/* Shardings here, the states of the search, name only `movable` axes: those of several ranks that are not
 * partial from the beginning to the end. */
struct reshard_space {
    const struct mesh *mesh;
    const struct reshard_tensor *tensor;
    const struct reshard_cost *cost;
    uint32_t movable; /* bit a: axis a */
    double scale;     /* costs count bytes in 1/scale, so that they are whole numbers and sums exact */
    struct sharding from, to; /* the first and the last state */
    bool narrow;              /* only states whose dimensions begin as those of `from` or `to` do */
};
struct reshard_move {
    struct reshard_step step; /* without bytes, seconds, and a permute's group */
    double rounds, units;     /* units: bytes * scale */
};

/* Calls `visit` with each state that one step leads to, always in the same order. */
void reshard_moves(const struct reshard_space *space, const struct sharding *at,
                   void (*visit)(void *data, const struct reshard_move *move), void *data);
/* Whether dimension `dim` can be cut as `s` says. */
bool reshard_divides(const struct reshard_tensor *x, const struct sharding *s, int dim);
/* Fills in `over` and `to` of a permute that leads from `before` to step->after: pieces that need not move
 * stay. */
void reshard_permutation(struct arena *a, const struct sharding *before, struct reshard_step *step);

#endif
