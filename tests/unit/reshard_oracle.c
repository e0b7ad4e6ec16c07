/* The exhaustive search for reshard paths. It knows no rule of what a step leads to: it carries each out, of
 * any group, kind and dimensions, and looks which sharding describes what the ranks then hold. */
#include "reshard_oracle.h"
#include <stdlib.h>
#include <string.h>

void insert_axis(struct dim_sharding *d, int position, int axis) {
    memmove(d->axes + position + 1, d->axes + position, (size_t)(d->count++ - position));
    d->axes[position] = (uint8_t)axis;
}

static int all_states(struct sharding s, int axis, struct sharding *states, int count) {
    if (axis == s.mesh->axes_count) return states[count] = s, count + 1;
    count = all_states(s, axis + 1, states, count);
    struct sharding next = s;
    next.partial |= 1u << axis;
    count = all_states(next, axis + 1, states, count);
    for (int d = 0; d < s.rank; d++)
        for (int i = 0; i <= s.dims[d].count; i++) {
            next = s;
            insert_axis(&next.dims[d], i, axis);
            count = all_states(next, axis + 1, states, count);
        }
    return count;
}

bool oracle_legal(const struct reshard_tensor *x, const struct sharding *s) {
    for (int d = 0; d < s->rank; d++)
        for (int64_t i = 0, left = x->extents[d]; i < s->dims[d].count; i++) {
            int64_t size = s->mesh->axes[s->dims[d].axes[i]].size;
            if (left % size) return false;
            left /= size;
        }
    return true;
}

static void try_step(struct oracle *o, int from, const struct reshard_step *step) {
    struct sim *after = sim_step(o->scratch, o->placed[from], step);
    if (!after) return;
    struct edge e = {.from = from};
    sim_price(o->placed[from], step, &e.rounds, &e.sent);
    for (e.to = 0; e.to < o->count; e.to++)
        if (e.to != from && o->placed[e.to] && sim_equal(after, o->placed[e.to]))
            arena_push(o->arena, o->edges, o->edges_count, o->edges_capacity, e);
}

static void try_group(struct oracle *o, int from, const struct rank_group *over) {
    int rank = o->x->rank;
    for (int kind = RESHARD_SLICE; kind < RESHARD_PERMUTE; kind++)
        for (int from_dim = 0; from_dim < rank; from_dim++)
            for (int to_dim = 0; to_dim < rank; to_dim++) {
                struct reshard_step step = {
                    .kind = (enum reshard_kind)kind, .over = *over, .from_dim = from_dim, .to_dim = to_dim};
                try_step(o, from, &step);
            }
}

/* Every sequence of axes. */
static void try_groups(struct oracle *o, int from, struct rank_group over, uint32_t used) {
    for (int axis = 0; axis < over.mesh->axes_count; axis++) {
        if (used >> axis & 1) continue;
        struct rank_group next = over;
        next.axes[next.count++] = (uint8_t)axis;
        try_group(o, from, &next);
        try_groups(o, from, next, used | 1u << axis);
    }
}

/* Whether the ranks of one are those of the other in another order. */
static bool is_permutation(const struct sim *s, const struct sim *t) {
    bool taken[SIM_RANKS] = {false};
    for (int64_t i = 0, j; i < mesh_ranks(s->mesh); i++) {
        for (j = 0; j < mesh_ranks(t->mesh); j++)
            if (!taken[j] && sim_piece_equal(&s->pieces[i], &t->pieces[j], s->rank)) break;
        if (j == mesh_ranks(t->mesh)) return false;
        taken[j] = true;
    }
    return true;
}

static void find_edges(struct oracle *o, int from) {
    const struct sharding *s = &o->states[from];
    arena_reset(o->scratch);
    for (int t = 0; t < o->count; t++) {
        bool arises = oracle_legal(o->x, &o->states[t]) && !(o->states[t].partial & ~s->partial);
        o->placed[t] = arises ? sim_place(o->scratch, o->x, &o->states[t], s->partial) : NULL;
    }
    if (!o->placed[from]) return;
    try_groups(o, from, (struct rank_group){.mesh = s->mesh}, 0);
    struct edge e = {from, 0, 1, sim_cells(o->placed[from]) * mesh_ranks(s->mesh)};
    for (e.to = 0; e.to < o->count; e.to++)
        if (e.to != from && o->placed[e.to] && is_permutation(o->placed[from], o->placed[e.to]))
            arena_push(o->arena, o->edges, o->edges_count, o->edges_capacity, e);
}

static void shorten(struct distance *best, struct distance d) {
    bool better = best->time < 0 || d.time < best->time;
    if (d.time == best->time)
        better = d.steps < best->steps || (d.steps == best->steps && d.sent < best->sent);
    if (better) *best = d;
}

/* Floyd and Warshall. */
void oracle_distances(struct oracle *o, const int64_t *cost) {
    for (int i = 0; i < o->count; i++)
        for (int j = 0; j < o->count; j++)
            o->distance[i][j] = (struct distance){i == j && oracle_legal(o->x, &o->states[i]) ? 0 : -1, 0, 0};
    for (int i = 0; i < o->edges_count; i++) {
        const struct edge *e = &o->edges[i];
        int64_t time =
            cost[0] * e->rounds * mesh_ranks(o->states[0].mesh) + cost[1] * e->sent * ELEMENT_BYTES;
        shorten(&o->distance[e->from][e->to], (struct distance){time, 1, e->sent});
    }
    for (int k = 0; k < o->count; k++)
        for (int i = 0; i < o->count; i++)
            for (int j = 0; j < o->count; j++) {
                struct distance a = o->distance[i][k], b = o->distance[k][j];
                if (a.time < 0 || b.time < 0) continue;
                shorten(&o->distance[i][j],
                        (struct distance){a.time + b.time, a.steps + b.steps, a.sent + b.sent});
            }
}

struct oracle *oracle_new(const struct mesh *mesh, const struct reshard_tensor *x) {
    struct oracle *o = calloc(1, sizeof *o);
    o->arena = arena_new();
    o->scratch = arena_new();
    o->x = x;
    struct sharding whole = {.mesh = mesh, .rank = x->rank};
    for (int d = 0; d < x->rank; d++) whole.dims[d].priority = MAX_PRIORITY;
    o->count = all_states(whole, 0, o->states, 0);
    for (int s = 0; s < o->count; s++) find_edges(o, s);
    return o;
}

void oracle_release(struct oracle *o) {
    arena_release(o->arena);
    arena_release(o->scratch);
    free(o);
}
