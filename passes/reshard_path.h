/* The cheapest way from one sharding of a tensor to another.
 *
 *     f32[8, 6] @m(x, _)  ->  @m(_, x)     all-to-all over m.x                    and not all-gather, slice
 *     f32[8] @m(_, x partial)  ->  @m(_)   slice over m.y, all-reduce over m.x,   where beta outweighs alpha
 *                                          all-gather over m.y
 *
 * A step is one collective of a group of N ranks, S bytes a rank's piece before it. It costs alpha * rounds +
 * beta * bytes, where bytes are those that one rank sends:
 *
 *     step            effect                                             rounds     bytes
 *     slice           unused axes become the minor axes of `to_dim`      0          0
 *     all-gather      the minor axes of `from_dim` vanish                N - 1      (N - 1) S
 *     reduce-scatter  partial axes become the minor axes of `to_dim`     N - 1      (N - 1)/N S
 *     all-reduce      partial axes vanish                                2 (N - 1)  2 (N - 1)/N S
 *     all-to-all      minor axes of `from_dim` become those of `to_dim`  N - 1      (N - 1)/N S
 *     permute         other axes cut dimensions into as many pieces      1          S
 *
 * The model is Hockney's ("The communication challenge for MPP", Parallel Computing 20, 1994), applied to
 * rings as by Thakur, Rabenseifner and Gropp ("Optimization of collective communication operations in MPICH",
 * IJHPCA 19, 2005); their pairwise exchange is the all-to-all. */
#ifndef PASSES_RESHARD_PATH_H
#define PASSES_RESHARD_PATH_H
#include "ir/sharding.h"

struct reshard_cost {
    double alpha; /* seconds a round of messages */
    double beta;  /* seconds a byte that a rank sends */
};
struct reshard_tensor { /* whole, as if there were no mesh */
    int rank;
    int64_t extents[SHARDING_RANK];   /* estimates where they are symbolic: they only make costs */
    int64_t multiples[SHARDING_RANK]; /* what each extent is known to be a multiple of; 0: of anything */
    double element_bytes;
};

enum reshard_kind {
    RESHARD_SLICE,
    RESHARD_ALL_GATHER,
    RESHARD_REDUCE_SCATTER,
    RESHARD_ALL_REDUCE,
    RESHARD_ALL_TO_ALL,
    RESHARD_PERMUTE
};
struct reshard_step {
    enum reshard_kind kind;
    struct rank_group over; /* who takes part; of a slice, the axes that cut */
    int from_dim, to_dim;   /* as in the table above; -1 where a kind has none */
    const int32_t *to;      /* permute: [members] member i sends its piece to member to[i]; else NULL */
    struct sharding after;  /* `local` as `from` is; axes of one rank only in the last step's */
    double bytes;           /* that a rank sends */
    double seconds;
};

/* The cheapest steps from `from` to `to` (NULL: whole on every rank), in `a`; returns how many: 0 also where
 * only axes of one rank differ. Of equally
 * cheap ways it is the one with fewer steps, then fewer bytes, then the first in a fixed order. -1 if there
 * is none, with the reason in *why: meshes differ, an extent is not divisible, or `to` is a partial sum where
 * `from` is not.
 *
 * It is optimal where at most four axes have more than one rank (RESHARD_AXES). On larger meshes axes that
 * neither sharding names stay out, and if more than four remain, steps only lead to what begins as `from` or
 * `to` does, without permutes. */
enum { RESHARD_AXES = 4 };
int reshard_path(struct arena *a, const struct reshard_tensor *x, const struct sharding *from,
                 const struct sharding *to, const struct reshard_cost *cost, struct reshard_step **steps,
                 const char **why);

/* "all-to-all of dimension 0 to 1 over m.x: 96 bytes" */
const char *reshard_step_text(struct arena *a, const struct reshard_step *step);

#endif
