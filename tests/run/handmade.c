/* The tables and kernels of the hand-made model. */
#include "tests/run/handmade.h"
#include <string.h>

/* Thread `thread`'s share of 0..n. */
static void share(int64_t n, int64_t thread, int64_t threads, int64_t *from, int64_t *to) {
    *from = n * thread / threads;
    *to = n * (thread + 1) / threads;
}

/* ids[S] */
static int32_t check_ids(void *const *b, const int64_t *dims, char *scratch, int64_t thread,
                         int64_t threads) {
    const int32_t *ids = b[0];
    int64_t from, to;
    share(dims[0], thread, threads, &from, &to);
    for (; from < to; from++) {
        if (ids[from] >= 0 && ids[from] < 4) continue;
        int64_t bad = ids[from];
        memcpy(scratch, &bad, sizeof bad);
        return 1;
    }
    return 0;
}

/* count, result */
static int32_t count_call(void *const *b, const int64_t *dims, char *scratch, int64_t thread,
                          int64_t threads) {
    (void)dims, (void)scratch, (void)threads;
    if (thread) return 0;
    *(int32_t *)b[1] = ++*(int32_t *)b[0];
    return 0;
}

/* x[S], ids[S], a, table[4], t[S] */
static int32_t scale(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    const float *x = b[0], *a = b[2], *table = b[3];
    const int32_t *ids = b[1];
    float *t = b[4];
    int64_t from, to;
    (void)scratch;
    share(dims[0], thread, threads, &from, &to);
    for (; from < to; from++) t[from] = x[from] * *a * table[ids[from]];
    return 0;
}

/* t[S], result[S] */
static int32_t reverse(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    const float *t = b[0];
    float *y = b[1];
    int64_t from, to;
    (void)scratch;
    share(dims[0], thread, threads, &from, &to);
    for (; from < to; from++) y[from] = t[dims[0] - 1 - from];
    return 0;
}

/* x[S], table[i], j, y[i] of [2, 8] */
static int32_t scan_row(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    const float *x = b[0], *w = b[1];
    int32_t j = *(int32_t *)b[2];
    float *y = b[3];
    int64_t from, to;
    (void)dims, (void)scratch;
    share(8, thread, threads, &from, &to);
    for (; from < to; from++) y[j * 8 + from] = *w + 100.0f * (float)j + (float)from + x[0];
    return 0;
}

/* counter of the loop, result */
static int32_t note_counter(void *const *b, const int64_t *dims, char *scratch, int64_t thread,
                            int64_t threads) {
    (void)dims, (void)scratch, (void)threads;
    if (!thread) *(int32_t *)b[1] = *(int32_t *)b[0] + 1;
    return 0;
}

/* result */
static int32_t set_zero(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    (void)dims, (void)scratch, (void)threads;
    if (!thread) *(int32_t *)b[0] = 0;
    return 0;
}

enum { S_, FOUR, TWO, EIGHT, S_MINUS_1, TWELVE_S };
static int64_t extent(uint32_t index, const int64_t *dims) {
    const int64_t values[] = {dims[0], 4, 2, 8, dims[0] - 1, 12 * dims[0]};
    return values[index];
}

enum { CHECK_IDS, COUNT_CALL, SCALE, REVERSE, SCAN_ROW, NOTE_COUNTER, SET_ZERO, KERNELS };
static mdl_kernel *const kernels[] = {check_ids, count_call,   scale,   reverse,
                                      scan_row,  note_counter, set_zero};

static const struct mdl_ref refs[] = {
    /* mix */
    {MDL_INPUT, 1, 0, 0, 0, 0},
    {MDL_STATE, 0, 64, 0, 0, 0},
    {MDL_RESULT, 1, 0, 0, 0, 0},
    {MDL_INPUT, 0, 0, 0, 0, 0},
    {MDL_INPUT, 1, 0, 0, 0, 0},
    {MDL_INPUT, 2, 0, 0, 0, 0},
    {MDL_WEIGHT, 0, 0, 0, 0, 0},
    {MDL_ARENA, 0, 128, 0, 0, 0},
    {MDL_ARENA, 0, 128, 0, 0, 0},
    {MDL_RESULT, 0, 0, 0, 0, 0},
    /* scan */
    {MDL_RESULT, 1, 0, 0, 0, 0},
    {MDL_INPUT, 0, 0, 0, 0, 0},
    {MDL_WEIGHT, 0, 0, 4, 0, 0},
    {MDL_COUNTER, 1, 0, 0, 0, 0},
    {MDL_RESULT, 0, 0, 64, 0, 0},
    {MDL_COUNTER, 2, 0, 0, 0, 0},
    {MDL_RESULT, 1, 0, 0, 0, 0},
};

static const struct mdl_step mix_steps[] = {
    {MDL_STEP_GUARD, 0, CHECK_IDS, 0, 1, 0, 0, 7, 22, S_, FOUR, 0, "gather: id %lld is outside 0..4"},
    {MDL_STEP_KERNEL, 0, COUNT_CALL, 1, 2, 0, 0, 8, 9, TWO, EIGHT, 0, "k0.count"},
    {MDL_STEP_KERNEL, 1, SCALE, 3, 5, 0, 0, 7, 9, S_, TWELVE_S, 0, "k1.scale"},
    {MDL_STEP_KERNEL, 0, REVERSE, 8, 2, 0, 0, 9, 12, S_, TWELVE_S, 0, "k2.reverse"},
};
static const struct mdl_step scan_steps[] = {
    {MDL_STEP_KERNEL, 1, SET_ZERO, 10, 1, 0, 0, 0, 0, S_, S_, 0, "k3.zero"},
    {MDL_STEP_LOOP, 0, 0, 0, 0, 0, FOUR, 12, 9, S_, S_, 0, "i"},
    {MDL_STEP_LOOP, 0, 0, 0, 0, 1, TWO, 12, 9, S_, S_, 0, "j"},
    {MDL_STEP_KERNEL, 0, SCAN_ROW, 11, 4, 0, 0, 12, 9, EIGHT, EIGHT, 0, "k4.row"},
    {MDL_STEP_END, 0, 0, 0, 0, 1, 0, 0, 0, S_, S_, 0, "j"},
    {MDL_STEP_END, 1, 0, 0, 0, 0, 0, 0, 0, S_, S_, 0, "i"},
    {MDL_STEP_LOOP, 0, 0, 0, 0, 2, S_MINUS_1, 13, 9, S_, S_, 0, "k"},
    {MDL_STEP_KERNEL, 0, NOTE_COUNTER, 15, 2, 0, 0, 13, 9, S_, S_, 0, "k5.note"},
    {MDL_STEP_END, 0, 0, 0, 0, 2, 0, 0, 0, S_, S_, 0, "k"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))
static const int64_t only_one[] = {1};
static const struct mdl_variant mix_variants[] = {{only_one, mix_steps, COUNT(mix_steps), 0, 4352, 64},
                                                  {NULL, mix_steps, COUNT(mix_steps), 0, 4352, 64}};
static const struct mdl_variant scan_variants[] = {{NULL, scan_steps, COUNT(scan_steps), 3, 0, 0}};

static const uint32_t extents_s[] = {S_}, extents_428[] = {FOUR, TWO, EIGHT};
static const int32_t dims_s[] = {0}, dims_none[] = {-1, -1, -1};
static const struct mdl_tensor mix_inputs[] = {{"x", MDL_F32, 1, extents_s, dims_s, NULL},
                                               {"ids", MDL_I32, 1, extents_s, dims_s, NULL},
                                               {"a", MDL_F32, 0, extents_s, dims_s, NULL}};
static const struct mdl_tensor mix_results[] = {{"0", MDL_F32, 1, extents_s, dims_s, NULL},
                                                {"1", MDL_I32, 0, extents_s, dims_s, NULL}};
static const struct mdl_tensor scan_results[] = {{"0", MDL_F32, 3, extents_428, dims_none, NULL},
                                                 {"1", MDL_I32, 0, extents_s, dims_s, NULL}};
static const struct mdl_dim dims[] = {{"S", 1, 1000, 1, -1, 0}};
static const struct mdl_function functions[] = {
    {"mix", dims, mix_inputs, mix_results, mix_variants, 1, 3, 2, 2, 1, 0},
    {"scan", dims, mix_inputs, scan_results, scan_variants, 1, 1, 2, 1, 1, 0},
};
static const struct mdl_state states[] = {{"ring", 0, 64, -1}, {"count", 64, 4, 64}};

const struct mdl_descriptor mdl_descriptor = {
    .abi_version = MDL_ABI_VERSION,
    .weights_suffix = ".weights",
    .functions_count = COUNT(functions),
    .states_count = COUNT(states),
    .kernels_count = KERNELS,
    .name = "handmade",
    .source = "handmade.mdl",
    .target = "any",
    .features = "",
    .build_id = {0xb0, 0x11, 0xd1, 0xd0},
    .functions = functions,
    .states = states,
    .kernels = kernels,
    .refs = refs,
    .extent = extent,
    .state_bytes = 128,
    .weights_bytes = 128,
    .api = &mdl_api,
};
