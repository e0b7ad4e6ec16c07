/* A model with a mesh, as the compiler would write it, made by hand; a library of its own.
 *
 *     mesh m = <data=2, tensor=2>
 *     dim S in 1..64 unit 2                                          # the caller's S is a multiple of 2
 *     param w : i32[4096] @m(tensor)                                 # a section of each coordinate of tensor
 *     export fn mix(x: f32[S, 8] @m(data, tensor)) -> f32[S, 8] @m(data, _), f32[S], i32 {
 *         t = sum(x, axis=1)            # partial sums, then all_reduce over tensor
 *         y = x * t                     # all_gather over tensor
 *         return y, t, count            # t: all_gather over data; refused where x[0] is negative
 *     }
 *     export fn turn(v: i64[6] @m([data, tensor])) -> i64[6], i64[4], f32[4] @m([data, tensor])
 *         # three turns of permute (each rank to the next), then a bundle of two tensors, reduced, and all_to_all
 *     export fn wait(ms: i32, who: i32) -> i32 { T times: rank `who` sleeps ms; a sum over all ranks }
 */
#include "tests/distributed/handmesh.h"
#include "tests/run/descriptor.h"
#include <stdbool.h>
#include <string.h>
#include <time.h>

enum { DATA, TENSOR };
enum { PAGE = 4096 };
atomic_bool handmesh_awake;

/* All kernels run in thread 0 alone: what they compute is little. dims: S (units), data, tensor. */

static int32_t check_first(void *const *b, const int64_t *dims, char *scratch, int64_t thread,
                           int64_t threads) {
    const float *x = b[0];
    (void)dims, (void)threads;
    if (thread || x[0] >= 0) return 0;
    int64_t bad = (int64_t)x[0];
    memcpy(scratch, &bad, sizeof bad);
    return 1;
}

/* x[S, 4], t[S]: partial row sums */
static int32_t row_sums(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    const float *x = b[0];
    float *t = b[1];
    (void)scratch, (void)threads;
    for (int64_t i = 0; i < dims[0] && !thread; i++)
        t[i] = x[4 * i] + x[4 * i + 1] + x[4 * i + 2] + x[4 * i + 3];
    return 0;
}

/* g[2, S, 4], t[S], y[S, 8] */
static int32_t scale(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    const float *g = b[0], *t = b[1];
    float *y = b[2];
    (void)scratch, (void)threads;
    for (int64_t i = 0; i < 8 * dims[0] && !thread; i++) {
        int64_t row = i / 8, column = i % 8;
        y[i] = g[(column / 4 * dims[0] + row) * 4 + column % 4] * t[row];
    }
    return 0;
}

/* count, w (this rank's section: its coordinate of tensor), result = calls + 10 * w */
static int32_t count_call(void *const *b, const int64_t *dims, char *scratch, int64_t thread,
                          int64_t threads) {
    (void)dims, (void)scratch, (void)threads;
    if (!thread)
        *(int32_t *)b[2] = ++*(int32_t *)b[0] + (*(const int32_t *)b[1] == 10 + (int32_t)dims[2] ? 0 : 1000);
    return 0;
}

/* from[6], to[6] */
static int32_t copy_six(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    (void)dims, (void)scratch, (void)threads;
    if (!thread) memcpy(b[1], b[0], 6 * sizeof(int64_t));
    return 0;
}

/* a[4][1] and b[4][2], what each rank gives to each; c[4] */
static int32_t fill(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    int64_t rank = 2 * dims[0] + dims[1];
    (void)scratch, (void)threads;
    for (int64_t i = 0; i < 4 && !thread; i++) {
        ((int64_t *)b[0])[i] = 100 * rank + i;
        ((int64_t *)b[1])[2 * i] = ((int64_t *)b[1])[2 * i + 1] = rank;
        ((float *)b[2])[i] = (float)(10 * rank + i);
    }
    return 0;
}

/* sum of a [1], of b [2], result[4 / 4 pieces = 1]... the rank's own: sum a, sum b[0] + sum b[1] */
static int32_t join(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    const int64_t *a = b[0], *c = b[1];
    (void)dims, (void)scratch, (void)threads;
    if (!thread) *(int64_t *)b[2] = a[0] + c[0] + c[1];
    return 0;
}

/* ms, who, one */
static int32_t nap(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    int64_t ms = *(const int32_t *)b[0], rank = 2 * dims[1] + dims[2];
    (void)scratch, (void)threads;
    if (thread) return 0;
    bool sleeps = rank == *(const int32_t *)b[1];
    for (int64_t i = 0; sleeps && i < ms && !handmesh_awake; i++)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    *(int32_t *)b[2] = 1;
    return 0;
}

/* sum, result: counts */
static int32_t add(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    (void)dims, (void)scratch, (void)threads;
    if (!thread) *(int32_t *)b[1] += *(const int32_t *)b[0];
    return 0;
}
static int32_t zero(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    (void)dims, (void)scratch, (void)threads;
    if (!thread) *(int32_t *)b[0] = 0;
    return 0;
}

enum { S_, S2, FOUR_S, EIGHT, FOUR, SIX, ONE, TWO, THREE, NOTHING, EIGHT_S, PIECE_FOUR };
static int64_t extent(uint32_t index, const int64_t *dims) {
    const int64_t s = dims ? dims[0] : 0, values[] = {s, 2 * s, 4 * s, 8, 4, 6, 1, 2, 3, 0, 8 * s, 4};
    return values[index];
}

enum { CHECK_FIRST, ROW_SUMS, SCALE, COUNT_CALL, COPY_SIX, FILL, JOIN, NAP, ADD, ZERO, KERNELS };
static mdl_kernel *const kernels[] = {check_first, row_sums, scale, count_call, copy_six,
                                      fill,        join,     nap,   add,        zero};

enum { GROUP_TENSOR, GROUP_DATA, GROUP_ALL };
static const struct mdl_axis axes[] = {{"data", 2}, {"tensor", 2}};
static const struct mdl_group groups[] = {{1, {TENSOR}}, {1, {DATA}}, {2, {DATA, TENSOR}}};

static const uint32_t of_s[] = {S_}, of_4s[] = {FOUR_S}, of_six[] = {SIX}, of_bundle[] = {ONE, TWO},
                      of_one[] = {ONE};
static const int32_t to_next[] = {1, 2, 3, 0};
static const struct mdl_collective collectives[] = {
    {MDL_ALL_REDUCE, GROUP_TENSOR, MDL_F32, MDL_SUM, 1, 0, of_s, NULL},
    {MDL_ALL_GATHER, GROUP_TENSOR, MDL_F32, MDL_SUM, 1, 0, of_4s, NULL},
    {MDL_ALL_GATHER, GROUP_DATA, MDL_F32, MDL_SUM, 1, 0, of_s, NULL},
    {MDL_PERMUTE, GROUP_ALL, MDL_I64, MDL_SUM, 1, 0, of_six, to_next},
    {MDL_REDUCE_SCATTER, GROUP_ALL, MDL_I64, MDL_SUM, 2, 0, of_bundle, NULL},
    {MDL_ALL_TO_ALL, GROUP_ALL, MDL_F32, MDL_SUM, 1, 0, of_one, NULL},
    {MDL_ALL_REDUCE, GROUP_ALL, MDL_I32, MDL_SUM, 1, 0, of_one, NULL},
};

enum {
    AT_T = 0,
    AT_SUM = 1024,
    AT_G = 4096,
    AT_A = 0,
    AT_B = 64,
    AT_C = 128,
    AT_SUM_A = 192,
    AT_SUM_B = 256,
    AT_V = 320
};
static const struct mdl_ref refs[] = {
    /*  0 check */ {MDL_INPUT, 0, 0, 0, 0},
    /*  1 sums */ {MDL_INPUT, 0, 0, 0, 0},
    /*  2 */ {MDL_ARENA, 0, 0, AT_T, 0},
    /*  3 all_reduce */ {MDL_ARENA, 0, 0, AT_T, 0},
    /*  4 */ {MDL_ARENA, 0, 0, AT_SUM, 0},
    /*  5 all_gather x */ {MDL_INPUT, 0, 0, 0, 0},
    /*  6 */ {MDL_ARENA, 0, 0, AT_G, 0},
    /*  7 all_gather t */ {MDL_ARENA, 0, 0, AT_SUM, 0},
    /*  8 */ {MDL_RESULT, 0, 1, 0, 0},
    /*  9 scale */ {MDL_ARENA, 0, 0, AT_G, 0},
    /* 10 */ {MDL_ARENA, 0, 0, AT_SUM, 0},
    /* 11 */ {MDL_RESULT, 0, 0, 0, 0},
    /* 12 count */ {MDL_STATE, 0, 0, 0, 0},
    /* 13 */ {MDL_WEIGHT, 0, 0, 0, 0},
    /* 14 */ {MDL_RESULT, 0, 2, 0, 0},
    /* 15 copy in */ {MDL_INPUT, 0, 0, 0, 0},
    /* 16 */ {MDL_ARENA, 0, 0, AT_V, 0},
    /* 17 permute */ {MDL_ARENA, 0, 0, AT_V, 0},
    /* 18 */ {MDL_RESULT, 0, 0, 0, 0},
    /* 19 copy back */ {MDL_RESULT, 0, 0, 0, 0},
    /* 20 */ {MDL_ARENA, 0, 0, AT_V, 0},
    /* 21 fill */ {MDL_ARENA, 0, 0, AT_A, 0},
    /* 22 */ {MDL_ARENA, 0, 0, AT_B, 0},
    /* 23 */ {MDL_ARENA, 0, 0, AT_C, 0},
    /* 24 reduce_scatter */ {MDL_ARENA, 0, 0, AT_A, 0},
    /* 25 */ {MDL_ARENA, 0, 0, AT_B, 0},
    /* 26 */ {MDL_ARENA, 0, 0, AT_SUM_A, 0},
    /* 27 */ {MDL_ARENA, 0, 0, AT_SUM_B, 0},
    /* 28 all_to_all */ {MDL_ARENA, 0, 0, AT_C, 0},
    /* 29 */ {MDL_RESULT, 0, 2, 0, 0},
    /* 30 join */ {MDL_ARENA, 0, 0, AT_SUM_A, 0},
    /* 31 */ {MDL_ARENA, 0, 0, AT_SUM_B, 0},
    /* 32 */ {MDL_RESULT, 0, 1, 0, 0},
    /* 33 nap */ {MDL_INPUT, 0, 0, 0, 0},
    /* 34 */ {MDL_INPUT, 0, 1, 0, 0},
    /* 35 */ {MDL_ARENA, 0, 0, AT_T, 0},
    /* 36 all_reduce */ {MDL_ARENA, 0, 0, AT_T, 0},
    /* 37 */ {MDL_ARENA, 0, 0, AT_SUM, 0},
    /* 38 add */ {MDL_ARENA, 0, 0, AT_SUM, 0},
    /* 39 */ {MDL_RESULT, 0, 0, 0, 0},
    /* 40 zero */ {MDL_RESULT, 0, 0, 0, 0},
};

#define STEP(kind, barrier, number, ref, count, line, column, name)                                          \
    { MDL_STEP_##kind, barrier, number, ref, count, 0, 0, line, column, NOTHING, NOTHING, 0, name }
static const struct mdl_step mix_steps[] = {
    STEP(GUARD, 0, CHECK_FIRST, 0, 1, 3, 14, "mix: x begins with %lld, which is negative"),
    STEP(COLLECTIVE, 0, 1, 5, 2, 5, 9, "all_gather"),
    STEP(KERNEL, 0, ROW_SUMS, 1, 2, 4, 9, "k0.sum"),
    STEP(COLLECTIVE, 0, 0, 3, 2, 4, 9, "all_reduce"),
    STEP(KERNEL, 0, COUNT_CALL, 12, 3, 6, 9, "k1.count"),
    STEP(AWAIT, 0, 0, 0, 0, 4, 9, "all_reduce"),
    STEP(COLLECTIVE, 0, 2, 7, 2, 6, 19, "all_gather"),
    STEP(AWAIT, 0, 1, 0, 0, 5, 9, "all_gather"),
    STEP(KERNEL, 0, SCALE, 9, 3, 5, 9, "k2.scale"),
    STEP(AWAIT, 0, 2, 0, 0, 6, 19, "all_gather"),
};
static const struct mdl_step turn_steps[] = {
    STEP(KERNEL, 0, FILL, 21, 3, 10, 9, "k3.fill"),
    STEP(KERNEL, 0, COPY_SIX, 15, 2, 9, 9, "k4.copy"),
    {MDL_STEP_LOOP, 0, 0, 0, 0, 0, THREE, 9, 9, NOTHING, NOTHING, 0, "i"},
    STEP(COLLECTIVE, 0, 3, 17, 2, 9, 13, "permute"),
    STEP(AWAIT, 0, 3, 0, 0, 9, 13, "permute"),
    STEP(KERNEL, 1, COPY_SIX, 19, 2, 9, 9, "k4.copy"),
    {MDL_STEP_END, 0, 0, 0, 0, 0, 0, 9, 9, NOTHING, NOTHING, 0, "i"},
    STEP(COLLECTIVE, 0, 4, 24, 4, 10, 13, "reduce_scatter"),
    STEP(COLLECTIVE, 0, 5, 28, 2, 11, 13, "all_to_all"),
    STEP(AWAIT, 0, 4, 0, 0, 10, 13, "reduce_scatter"),
    STEP(KERNEL, 0, JOIN, 30, 3, 10, 9, "k5.join"),
    STEP(AWAIT, 0, 5, 0, 0, 11, 13, "all_to_all"),
};
static const struct mdl_step wait_steps[] = {
    STEP(KERNEL, 1, ZERO, 40, 1, 13, 9, "k6.zero"),
    {MDL_STEP_LOOP, 0, 0, 0, 0, 0, S_, 14, 9, NOTHING, NOTHING, 0, "i"},
    STEP(KERNEL, 0, NAP, 33, 3, 14, 13, "k7.nap"),
    STEP(COLLECTIVE, 0, 6, 36, 2, 15, 21, "all_reduce"),
    STEP(AWAIT, 0, 6, 0, 0, 15, 21, "all_reduce"),
    STEP(KERNEL, 1, ADD, 38, 2, 15, 9, "k8.add"),
    {MDL_STEP_END, 0, 0, 0, 0, 0, 0, 14, 9, NOTHING, NOTHING, 0, "i"},
};

static const int64_t only_rank_3[] = {1, 1, 1};
static const struct mdl_variant mix_variants[] = {{only_rank_3, mix_steps, COUNT(mix_steps), 0, 16384, 64},
                                                  {NULL, mix_steps, COUNT(mix_steps), 0, 16384, 64}};
static const struct mdl_variant turn_variants[] = {{NULL, turn_steps, COUNT(turn_steps), 1, 4096, 64}};
static const struct mdl_variant wait_variants[] = {{NULL, wait_steps, COUNT(wait_steps), 1, 4096, 64}};

static const uint32_t x_extents[] = {S_, FOUR}, y_extents[] = {S_, EIGHT}, t_extents[] = {S2}, six[] = {SIX},
                      one[] = {ONE}, piece_four[] = {PIECE_FOUR};
static const int32_t no_dims[] = {-1, -1}, s_first[] = {0, -1};
static const struct mdl_split x_splits[] = {{1, {DATA}}, {1, {TENSOR}}}, y_splits[] = {{1, {DATA}}, {0, {0}}},
                              all_splits[] = {{2, {DATA, TENSOR}}};
static const struct mdl_tensor mix_inputs[] = {{"x", MDL_F32, 2, x_extents, s_first, x_splits}};
static const struct mdl_tensor mix_results[] = {{"0", MDL_F32, 2, y_extents, s_first, y_splits},
                                                {"1", MDL_F32, 1, t_extents, no_dims, NULL},
                                                {"2", MDL_I32, 0, NULL, NULL, NULL}};
static const struct mdl_tensor turn_inputs[] = {{"v", MDL_I64, 1, six, no_dims, all_splits}};
static const struct mdl_tensor turn_results[] = {{"0", MDL_I64, 1, six, no_dims, all_splits},
                                                 {"1", MDL_I64, 1, one, no_dims, all_splits},
                                                 {"2", MDL_F32, 1, piece_four, no_dims, all_splits}};
static const struct mdl_tensor wait_inputs[] = {{"ms", MDL_I32, 0, NULL, NULL, NULL},
                                                {"who", MDL_I32, 0, NULL, NULL, NULL}};
static const struct mdl_tensor wait_results[] = {{"0", MDL_I32, 0, NULL, NULL, NULL}};
static const struct mdl_dim mix_dims[] = {
    {"S", 1, 64, 2, -1, 0}, {"m.data", 0, 1, 1, DATA, 0}, {"m.tensor", 0, 1, 1, TENSOR, 0}};
static const struct mdl_dim turn_dims[] = {{"m.data", 0, 1, 1, DATA, 0}, {"m.tensor", 0, 1, 1, TENSOR, 0}};
static const struct mdl_dim wait_dims[] = {
    {"T", 1, 1000000, 1, -1, 0}, {"m.data", 0, 1, 1, DATA, 0}, {"m.tensor", 0, 1, 1, TENSOR, 0}};
static const struct mdl_function functions[] = {
    {"mix", mix_dims, mix_inputs, mix_results, mix_variants, 3, 1, 3, 2, 1, 0},
    {"turn", turn_dims, turn_inputs, turn_results, turn_variants, 2, 1, 3, 1, 0, 0},
    {"wait", wait_dims, wait_inputs, wait_results, wait_variants, 3, 2, 1, 1, 1, 0},
};
static const struct mdl_state states[] = {{"count", 0, 4, -1}};

/* w's pieces for tensor = 0 and 1, and a page that rank (0, 0) alone has. */
static const struct { _Alignas(PAGE) int32_t piece[3][PAGE / 4]; } weights = {{{10}, {11}, {12}}};
static const struct mdl_section sections[] = {{0, PAGE, 0, {0, PAGE}, {0}},
                                              {PAGE, PAGE, 2 * PAGE, {0}, {1, 1}}};

const struct mdl_descriptor mdl_descriptor = {
    DESCRIPTOR("handmesh", "handmesh.mdl", "any"),
    DESCRIPTOR_OF_MESH,
    .states_count = COUNT(states),
    .kernels_count = KERNELS,
    .build_id = {0x4a, 0x4d},
    .states = states,
    .kernels = kernels,
    .state_bytes = 64,
    .embedded_weights = &weights,
    .weights_bytes = 2 * PAGE,
};
