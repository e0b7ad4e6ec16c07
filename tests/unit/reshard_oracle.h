/* The cheapest ways between all shardings of a tensor, by exhaustive search; slow, and small tensors only. */
#ifndef TESTS_UNIT_RESHARD_ORACLE_H
#define TESTS_UNIT_RESHARD_ORACLE_H
#include "reshard_sim.h"

enum { STATES = 128, ELEMENT_BYTES = 4 };
struct edge {
    int from, to;
    int64_t rounds, sent;
};
struct distance {
    int64_t time, steps, sent; /* time < 0: none */
};
struct oracle {
    struct arena *arena, *scratch;
    const struct reshard_tensor *x;
    int count;
    struct sharding states[STATES];
    struct sim *placed[STATES]; /* as seen from the state whose edges are being found; NULL: never arises */
    struct edge *edges;
    int edges_count, edges_capacity;
    struct distance distance[STATES][STATES];
};

/* All states that the tensor has on the mesh, and all steps between them. */
struct oracle *oracle_new(const struct mesh *mesh, const struct reshard_tensor *x);
void oracle_release(struct oracle *o);
/* Fills in o->distance for a cost of alpha, beta; times count 1/ranks of its unit, so that they are whole. */
void oracle_distances(struct oracle *o, const int64_t *cost);
/* Whether the extents can be cut like that. */
bool oracle_legal(const struct reshard_tensor *x, const struct sharding *s);
void insert_axis(struct dim_sharding *d, int position, int axis);

#endif
