/* Reshard paths: as cheap as the cheapest of all ways, found by trying every step on ranks in memory; and
 * each path, carried out there, ends with what the target means. */
#include "reshard_oracle.h"
#include <criterion/criterion.h>

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
    oracle_distances(o, cost);
    for (int i = 0; i < o->count; i++) {
        arena_reset(o->scratch);
        for (int j = 0; j < o->count; j++) check_pair(o, i, j, cost);
    }
}

/* Returns how many states there are. */
static int check_exhaustively(const struct mesh *mesh, int rank, const int64_t *extents) {
    struct reshard_tensor x = make_tensor(rank, extents);
    struct oracle *o = oracle_new(mesh, &x);
    int count = o->count;
    for (int c = 0; c < COSTS; c++) check_all_pairs(o, costs[c]);
    oracle_release(o);
    return count;
}

Test(reshard_path, is_optimal_on_all_states_of_3d_tensors_over_2_axis_meshes) {
    static const int64_t meshes[][2] = {{2, 2}, {2, 3}, {4, 2}, {3, 3}};
    static const int64_t extents[][3] = {{12, 12, 4}, {4, 4, 4}, {18, 9, 3}, {8, 2, 6}, {4, 1, 2},
                                         {5, 4, 7},   {6, 4, 3}, {1, 24, 1}, {2, 2, 2}, {3, 9, 5}};
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

/* Numbers that are the same in each run. */
static uint64_t random_state = 1;
static int random_below(int n) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)((random_state >> 33) % (uint64_t)n);
}

static struct sharding random_sharding(const struct mesh *m, int rank, uint32_t may_be_partial) {
    struct sharding s = {.mesh = m, .rank = rank};
    for (int axis = 0; axis < m->axes_count; axis++) {
        int d = random_below(rank + 2);
        if (d < rank && s.dims[d].count < MAX_DIM_AXES)
            insert_axis(&s.dims[d], random_below(s.dims[d].count + 1), axis);
        else if (d == rank && may_be_partial >> axis & 1)
            s.partial |= 1u << axis;
    }
    return s;
}

/* Gathers and reduces everything, then slices: what nothing found may be dearer than. */
static double plain_way(const struct reshard_tensor *x, const struct sharding *from,
                        const struct sharding *to, const struct reshard_cost *cost) {
    double bytes = ELEMENT_BYTES, whole, rounds = 0, summands = 1;
    for (int d = 0; d < x->rank; d++) bytes *= (double)x->extents[d];
    whole = bytes;
    for (int d = 0; d < x->rank; d++) bytes /= (double)sharding_pieces(from, d);
    double sent = whole - bytes;
    for (int d = 0; d < x->rank; d++) rounds += (double)(sharding_pieces(from, d) - 1);
    for (int axis = 0; axis < from->mesh->axes_count; axis++)
        if ((from->partial & ~to->partial) >> axis & 1) summands *= (double)from->mesh->axes[axis].size;
    return cost->alpha * (rounds + 2 * (summands - 1)) +
           cost->beta * (sent + 2 * whole * (summands - 1) / summands);
}

/* One random tensor and pair of shardings; false if the extents do not allow them. */
static bool check_random(struct arena *a, const struct mesh *m) {
    static const int64_t some[] = {1, 2, 3, 4, 6, 8, 12};
    int rank = 1 + random_below(4);
    int64_t extents[4];
    for (int d = 0; d < rank; d++) extents[d] = some[random_below(rank < 4 ? 7 : 5)];
    struct reshard_tensor x = make_tensor(rank, extents);
    struct sharding from = random_sharding(m, rank, ~0u), to = random_sharding(m, rank, from.partial);
    struct reshard_cost cost = {random_below(1000), random_below(10)};
    struct reshard_step *steps;
    const char *why;
    int count = reshard_path(a, &x, &from, &to, &cost, &steps, &why);
    bool possible = oracle_legal(&x, &from) && oracle_legal(&x, &to);
    cr_assert_eq(count >= 0, possible);
    if (!possible) return false;
    double seconds = 0;
    for (int i = 0; i < count; i++) seconds += steps[i].seconds;
    cr_assert_leq(seconds, plain_way(&x, &from, &to, &cost) * (1 + 1e-9));
    check_path(a, &x, &from, &to, &cost, steps, count);
    return true;
}

static void check_random_meshes(int axes, int largest, int cases) {
    struct arena *a = arena_new();
    for (int found = 0; found < cases;) {
        int64_t sizes[MAX_MESH_AXES];
        arena_reset(a);
        for (int i = 0; i < axes; i++) sizes[i] = 1 + random_below(largest);
        struct mesh m = make_mesh(axes, sizes);
        if (mesh_ranks(&m) <= SIM_RANKS) found += check_random(a, &m);
    }
    arena_release(a);
}

Test(reshard_path, is_valid_on_random_meshes_of_3_axes) { check_random_meshes(3, 4, 3000); }

/* More axes than the search is optimal for. */
Test(reshard_path, is_valid_on_random_meshes_of_4_to_6_axes) {
    check_random_meshes(4, 3, 500);
    check_random_meshes(5, 2, 500);
    check_random_meshes(6, 2, 500);
}

static struct sharding with_axis(struct sharding s, int dim, int axis) {
    insert_axis(&s.dims[dim], s.dims[dim].count, axis);
    return s;
}

static const char *path_text(struct arena *a, const struct reshard_tensor *x, const struct sharding *from,
                             const struct sharding *to, struct reshard_cost cost) {
    struct reshard_step *steps;
    const char *text = "", *why;
    int count = reshard_path(a, x, from, to, &cost, &steps, &why);
    if (count < 0) return why;
    for (int i = 0; i < count; i++)
        text = arena_printf(a, "%s%s%s", text, i ? "; " : "", reshard_step_text(a, &steps[i]));
    return text;
}

Test(reshard_path, finds_what_people_write) {
    struct arena *a = arena_new();
    struct mesh m = make_mesh(2, (int64_t[]){4, 2});
    struct reshard_tensor x = make_tensor(2, (int64_t[]){16, 8});
    struct sharding whole = {.mesh = &m, .rank = 2}, rows = with_axis(whole, 0, 0), partial = whole;
    struct sharding columns = with_axis(whole, 1, 0);
    struct reshard_cost far = {1, 1e-6}, wide = {1e-6, 1};
    partial.partial = 1;
    cr_expect_str_eq(path_text(a, &x, &rows, &columns, wide),
                     "all-to-all of dimension 0 to 1 over m.x: 96 bytes");
    cr_expect_str_eq(path_text(a, &x, &partial, &rows, far),
                     "reduce-scatter of dimension 0 over m.x: 384 bytes");
    cr_expect_str_eq(path_text(a, &x, &rows, NULL, wide), "all-gather of dimension 0 over m.x: 384 bytes");
    cr_expect_str_eq(path_text(a, &x, NULL, &rows, wide), "slice of dimension 0 over m.x: 0 bytes");
    cr_expect_str_eq(path_text(a, &x, &partial, NULL, far), "all-reduce over m.x: 768 bytes");
    cr_expect_str_eq(path_text(a, &x, &partial, &whole, wide),
                     "slice of dimension 0 over m.y: 0 bytes; all-reduce over m.x: 384 bytes; "
                     "all-gather of dimension 0 over m.y: 256 bytes");
    arena_release(a);
}

Test(reshard_path, says_why_there_is_none) {
    struct arena *a = arena_new();
    struct mesh m = make_mesh(2, (int64_t[]){4, 1}), other = m;
    struct reshard_tensor x = make_tensor(1, (int64_t[]){6});
    struct sharding whole = {.mesh = &m, .rank = 1}, cut = with_axis(whole, 0, 0), partial = whole, far = cut;
    struct reshard_cost cost = {1, 1};
    partial.partial = 1, far.mesh = &other;
    cr_expect_str_eq(path_text(a, &x, &whole, &cut, cost),
                     "dimension 0, a multiple of 6, cannot be cut into 4 pieces");
    cr_expect_str_eq(path_text(a, &x, &whole, &partial, cost),
                     "what is no partial sum over m.x does not become one");
    cr_expect_str_eq(path_text(a, &x, &cut, &far, cost), "the two shardings are on different meshes");
    partial.partial = 2; /* the sum of one addend */
    cr_expect_str_eq(path_text(a, &x, &whole, &partial, cost), "");
    x.multiples[0] = 0; /* symbolic: 6 is an estimate */
    cr_expect_str_eq(path_text(a, &x, &whole, &cut, cost), "slice of dimension 0 over m.x: 0 bytes");
    cr_expect_str_eq(path_text(a, &x, &cut, &whole, cost), "all-gather of dimension 0 over m.x: 18 bytes");
    arena_release(a);
}
