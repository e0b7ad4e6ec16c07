/* The tables and kernels of the hand-made model. */
#include "tests/run/handmade_tables.h"
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

static mdl_kernel *const kernels[] = {check_ids, count_call,   scale,   reverse,
                                      scan_row,  note_counter, set_zero};

static int64_t extent(uint32_t index, const int64_t *dims) { return handmade_extent(index, dims); }
static const struct mdl_ref refs[] = {MIX_AND_SCAN_REFS};
MIX_AND_SCAN_VARIANTS(4352, 64);
static const struct mdl_function functions[] = {MIX_AND_SCAN};

const struct mdl_descriptor mdl_descriptor = {
    DESCRIPTOR("handmade", "handmade.mdl", "any"),
    .states_count = COUNT(states),
    .kernels_count = HANDMADE_KERNELS,
    .build_id = {0xb0, 0x11, 0xd1, 0xd0},
    .states = states,
    .kernels = kernels,
    .state_bytes = HANDMADE_STATE_BYTES,
    .weights_bytes = 128,
};
