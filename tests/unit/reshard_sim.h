/* Ranks of a mesh in memory, for tests of resharding: each holds its piece, element by element, and of each
 * element it knows which addends of a sum are in it. */
#ifndef TESTS_UNIT_RESHARD_SIM_H
#define TESTS_UNIT_RESHARD_SIM_H
#include "passes/reshard_path.h"

enum { SIM_RANKS = 27 };
struct sim_cell {
    int element;
    uint32_t addends; /* bit c: that of coordinate c over the axes that were partial at first */
};
struct sim_piece {
    int64_t extents[SHARDING_RANK];
    struct sim_cell *cells; /* row-major */
};
struct sim {
    const struct mesh *mesh;
    int rank; /* of the tensor */
    struct sim_piece pieces[SIM_RANKS];
};

int64_t sim_cells(const struct sim *s); /* of a piece */
/* What each rank should hold by what a sharding means, of a tensor that was partial over the axes `origin`.
 */
struct sim *sim_place(struct arena *a, const struct reshard_tensor *x, const struct sharding *s,
                      uint32_t origin);
bool sim_equal(const struct sim *s, const struct sim *t);
bool sim_piece_equal(const struct sim_piece *p, const struct sim_piece *q, int rank);
/* Carries out a step; it may be any, also one that makes no sense. NULL if a piece is not divisible,
 * different elements or an addend twice would be added, or receivers are not one each. */
struct sim *sim_step(struct arena *a, const struct sim *s, const struct reshard_step *step);
/* What the step costs: rounds, and elements that a rank sends times the ranks of the mesh (so that it is a
 * whole number). */
void sim_price(const struct sim *s, const struct reshard_step *step, int64_t *rounds, int64_t *sent);

#endif
