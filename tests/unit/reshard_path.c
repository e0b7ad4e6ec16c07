/* Reshard paths: as cheap as the cheapest of all ways, found by trying every step on ranks in memory; and
 * each path, carried out there, ends with what the target means. */
#include "passes/reshard_path.h"
#include "reshard_sim.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { STATES = 128, ELEMENT_BYTES = 4 };
static const int64_t costs[][2] = {{1, 0}, {0, 1}, {1, 1}, {100, 1}, {1, 100}, {37, 3}}; /* alpha, beta */
enum { COSTS = sizeof costs / sizeof *costs };

static struct mesh make_mesh(int count, const int64_t *sizes) {
    static const char *const names[] = {"x", "y", "z", "u", "v", "w"};
    struct mesh m = {.name = "m", .axes_count = count};
    for (int i = 0; i < count; i++) m.axes[i] = (struct mesh_axis){names[i], sizes[i], NULL};
    return m;
}

static struct reshard_tensor make_tensor(int rank, const int64_t *extents) {
    struct reshard_tensor x = {.rank = rank, .element_bytes = ELEMENT_BYTES};
    for (int d = 0; d < rank; d++) x.extents[d] = x.multiples[d] = extents[d];
    return x;
}

static void insert_axis(struct dim_sharding *d, int position, int axis) {
    memmove(d->axes + position + 1, d->axes + position, (size_t)(d->count++ - position));
    d->axes[position] = (uint8_t)axis;
}

/* All that can be said of a tensor on a mesh. */
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

static bool legal(const struct reshard_tensor *x, const struct sharding *s) {
    for (int d = 0; d < s->rank; d++)
        for (int64_t i = 0, left = x->extents[d]; i < s->dims[d].count; i++) {
            int64_t size = s->mesh->axes[s->dims[d].axes[i]].size;
            if (left % size) return false;
            left /= size;
        }
    return true;
}

/* The exhaustive search: all states, all edges, found by carrying out all steps. */
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
        bool arises = legal(o->x, &o->states[t]) && !(o->states[t].partial & ~s->partial);
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

/* Floyd and Warshall; times count 1/ranks of the costs' unit, so that they are whole numbers. */
static void all_distances(struct oracle *o, const int64_t *cost) {
    for (int i = 0; i < o->count; i++)
        for (int j = 0; j < o->count; j++)
            o->distance[i][j] = (struct distance){i == j && legal(o->x, &o->states[i]) ? 0 : -1, 0, 0};
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

static bool near(double a, double b) { return a - b <= 1e-9 * b && b - a <= 1e-9 * b; }

/* Carries the steps out and compares what each says of itself: its sharding, its bytes, its time. */
static void check_path(struct arena *a, const struct reshard_tensor *x, const struct sharding *from,
                       const struct sharding *to, const struct reshard_cost *cost,
                       const struct reshard_step *steps, int count) {
    struct sim *at = sim_place(a, x, from, from->partial);
    for (int i = 0; i < count; i++) {
        const char *text = reshard_step_text(a, &steps[i]);
        int64_t rounds, sent;
        sim_price(at, &steps[i], &rounds, &sent);
        double bytes = (double)sent * ELEMENT_BYTES / (double)mesh_ranks(from->mesh);
        cr_assert(near(steps[i].bytes, bytes), "%s: %g sent", text, bytes);
        cr_assert(near(steps[i].seconds, cost->alpha * (double)rounds + cost->beta * bytes), "%s", text);
        at = sim_step(a, at, &steps[i]);
        cr_assert(at, "%s of %s", text, sharding_text(a, from));
        cr_assert(sim_equal(at, sim_place(a, x, &steps[i].after, from->partial)), "%s -> %s: %s, not %s",
                  sharding_text(a, from), sharding_text(a, to), text, sharding_text(a, &steps[i].after));
    }
    cr_assert(sim_equal(at, sim_place(a, x, to, from->partial)), "%s", sharding_text(a, to));
    cr_assert(!count || sharding_equal(&steps[count - 1].after, to));
}

static void check_pair(struct oracle *o, int i, int j, const int64_t *cost) {
    const struct sharding *from = &o->states[i], *to = &o->states[j];
    struct reshard_cost c = {(double)cost[0], (double)cost[1]};
    struct distance best = o->distance[i][j];
    struct reshard_step *steps;
    const char *why = NULL;
    int count = reshard_path(o->scratch, o->x, from, to, &c, &steps, &why);
    cr_assert_eq(count, best.time < 0 ? -1 : (int)best.steps, "%s -> %s: %d steps, should be %d",
                 sharding_text(o->scratch, from), sharding_text(o->scratch, to), count, (int)best.steps);
    cr_assert((count < 0) == (why != NULL));
    if (count < 0) return;
    double seconds = 0, bytes = 0, ranks = (double)mesh_ranks(from->mesh);
    for (int k = 0; k < count; k++) seconds += steps[k].seconds, bytes += steps[k].bytes;
    cr_assert(near(seconds, (double)best.time / ranks), "%s -> %s: %g, should be %g",
              sharding_text(o->scratch, from), sharding_text(o->scratch, to), seconds,
              (double)best.time / ranks);
    cr_assert(near(bytes, (double)best.sent * ELEMENT_BYTES / ranks));
    check_path(o->scratch, o->x, from, to, &c, steps, count);
}

static void check_all_pairs(struct oracle *o, const int64_t *cost) {
    all_distances(o, cost);
    for (int i = 0; i < o->count; i++) {
        arena_reset(o->scratch);
        for (int j = 0; j < o->count; j++) check_pair(o, i, j, cost);
    }
}

/* Returns how many states there are. */
static int check_exhaustively(const struct mesh *mesh, int rank, const int64_t *extents) {
    struct reshard_tensor x = make_tensor(rank, extents);
    struct oracle *o = calloc(1, sizeof *o);
    o->arena = arena_new(), o->scratch = arena_new(), o->x = &x;
    struct sharding whole = {.mesh = mesh, .rank = rank};
    for (int d = 0; d < rank; d++) whole.dims[d].priority = MAX_PRIORITY;
    int count = o->count = all_states(whole, 0, o->states, 0);
    for (int s = 0; s < o->count; s++) find_edges(o, s);
    for (int c = 0; c < COSTS; c++) check_all_pairs(o, costs[c]);
    arena_release(o->arena), arena_release(o->scratch);
    free(o);
    return count;
}

Test(reshard_path, is_optimal_on_all_states_of_3d_tensors_over_2_axis_meshes) {
    static const int64_t meshes[][2] = {{2, 2}, {2, 3}, {4, 2}, {3, 3}};
    static const int64_t extents[][3] = {{12, 12, 24}, {8, 8, 8}, {36, 9, 18}, {8, 2, 6}, {4, 1, 2},
                                         {5, 4, 7},    {6, 4, 3}, {1, 24, 1},  {2, 2, 2}, {3, 9, 5}};
    for (size_t m = 0; m < sizeof meshes / sizeof *meshes; m++)
        for (size_t e = 0; e < sizeof extents / sizeof *extents; e++) {
            struct mesh mesh = make_mesh(2, meshes[m]);
            cr_assert_eq(check_exhaustively(&mesh, 3, extents[e]), 28);
        }
}

Test(reshard_path, is_optimal_on_all_states_of_matrices_over_3_axis_meshes) {
    static const int64_t cases[][5] = {{2, 2, 2, 8, 8}, {2, 2, 4, 16, 8}, {2, 3, 2, 12, 2}, {2, 2, 2, 4, 6}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mesh mesh = make_mesh(3, cases[i]);
        cr_assert_eq(check_exhaustively(&mesh, 2, cases[i] + 3), 92);
    }
}
