/* Pieces of tensors: from a rank's coordinates to ranges. */
#include "ir/piece.h"

void mesh_coordinates(const struct mesh *m, int64_t rank, int64_t *coordinates) {
    for (int i = m->axes_count - 1; i >= 0; i--) {
        coordinates[i] = rank % m->axes[i].size;
        rank /= m->axes[i].size;
    }
}

struct piece piece_of(const struct sharding *s, int64_t number, int rank, const int64_t *extents) {
    struct piece p = {.rank = rank};
    int64_t coordinates[MAX_MESH_AXES] = {0};
    if (s) mesh_coordinates(s->mesh, number, coordinates);
    for (int d = 0; d < rank; d++) {
        int64_t index = 0;
        for (int i = 0; s && i < s->dims[d].count; i++) {
            int axis = s->dims[d].axes[i];
            index = index * s->mesh->axes[axis].size + coordinates[axis];
        }
        p.extents[d] = extents[d];
        p.start[d] = index * extents[d];
        p.whole[d] = extents[d] * sharding_pieces(s, d);
    }
    return p;
}

int64_t piece_offset(const struct piece *p, int64_t at) {
    int64_t offset = 0, stride = 1;
    for (int d = p->rank - 1; d >= 0; d--) {
        offset += (p->start[d] + at % p->extents[d]) * stride;
        at /= p->extents[d];
        stride *= p->whole[d];
    }
    return offset;
}

struct type piece_whole(struct graph *g, const struct type *local, const struct sharding *s) {
    struct type t = *local;
    for (int d = 0; s && s->local && d < t.rank; d++)
        t.extents[d] = extent_mul(g->extents, t.extents[d], extent_const(g->extents, sharding_pieces(s, d)));
    return t;
}
