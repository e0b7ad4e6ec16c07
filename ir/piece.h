/* Where a rank's piece lies in a whole tensor.
 *
 *     @m(data, _) over <data=2, tensor=2>     ranks 0 and 1 have the first half of the rows, 2 and 3 the second
 */
#ifndef IR_PIECE_H
#define IR_PIECE_H
#include "ir/graph.h"

struct piece {
    int rank;
    int64_t extents[MAX_RANK]; /* of the piece */
    int64_t start[MAX_RANK];   /* in the whole */
    int64_t whole[MAX_RANK];   /* extents of the whole */
};
/* A rank's coordinates, [axes]: the last axis varies fastest over ranks. `rank` counts from the mesh's first.
 */
void mesh_coordinates(const struct mesh *m, int64_t rank, int64_t *coordinates);
/* The piece of rank number `number` of the mesh, whose own extents are `extents`; s NULL: the whole. */
struct piece piece_of(const struct sharding *s, int64_t number, int rank, const int64_t *extents);
/* The whole tensor's type, of which `local` is the piece; without a local sharding the same. */
struct type piece_whole(struct graph *g, const struct type *local, const struct sharding *s);
/* Element `at` of the piece, row-major, as an element of the whole. */
int64_t piece_offset(const struct piece *p, int64_t at);
#endif
