/* The tables of the hand-made model for GPUs. */
#include "tests/gpu/handmade.h"
#include "tests/run/handmade_tables.h"

/* The text of handmade.ptx, which the makefile made numbers. */
const char handmade_ptx[] = {
#include "tests/gpu/handmade_ptx.inc"
    0};

enum { M_ = HANDMADE_EXTENTS, N_, M_TIMES_N };
static int64_t extent(uint32_t index, const int64_t *dims) {
    if (index < HANDMADE_EXTENTS) return handmade_extent(index, dims);
    return index == M_ ? dims[0] : index == N_ ? dims[1] : dims[0] * dims[1];
}

enum { COPY = HANDMADE_KERNELS, CHECK_SIGNS, OUTER, PEEK, CRASH };
#define LAUNCH(name, threads, shared, blocks, scratch) {name, threads, shared, blocks, 0, scratch, NULL, 0, 0}
static const struct mdl_launch launches[] = {
    LAUNCH("check_ids", 32, 0, 1, 0),
    LAUNCH("count_call", 32, 0, 1, 0),
    LAUNCH("scale", 32, 0, 3, 0),
    {"reverse", 64, 0, 0, 0, 128, NULL, 0, 1},
    LAUNCH("scan_row", 32, 0, 0, 0),
    LAUNCH("note_counter", 32, 0, 0, 0),
    LAUNCH("set_zero", 32, 0, 0, 0),
    LAUNCH("copy", 32, 0, 0, 0),
    LAUNCH("check_signs", 32, 0, 1, 0),
    LAUNCH("outer", 64, 65536, 0, 0),
    LAUNCH("peek", 32, 0, 1, MDL_ALIGN),
    LAUNCH("crash", 32, 0, 1, 0),
};

enum { OUTER_REFS = HANDMADE_REFS, PEEK_REFS = OUTER_REFS + 8, CRASH_REFS = PEEK_REFS + 2 };
static const struct mdl_ref refs[] = {
    MIX_AND_SCAN_REFS,
    /* outer */
    {MDL_INPUT, 0, 0, 0, 0},
    {MDL_ARENA, 0, 0, 64, 0},
    {MDL_INPUT, 0, 1, 0, 0},
    {MDL_ARENA, 0, 0, 64, 0},
    {MDL_INPUT, 0, 1, 0, 0},
    {MDL_WEIGHT, 0, 0, 128, 0},
    {MDL_RESULT, 0, 0, 0, 0},
    {MDL_WEIGHT, 0, 0, 132, 0}, /* of the version for M = 2 */
    /* peek */
    {MDL_ARENA, 0, 0, 4096, 0},
    {MDL_RESULT, 0, 0, 0, 0},
    /* crash */
    {MDL_RESULT, 0, 0, 0, 0},
    /* outer, M = 2 */
    {MDL_ARENA, 0, 0, 64, 0},
    {MDL_INPUT, 0, 1, 0, 0},
    {MDL_WEIGHT, 0, 0, 132, 0},
    {MDL_RESULT, 0, 0, 0, 0},
};

#define OUTER_STEPS(first_ref)                                                                               \
    {                                                                                                        \
        {MDL_STEP_KERNEL, 1, COPY, OUTER_REFS, 2, 0, 0, 20, 9, NONE, NONE, M_, "k6.copy"},                   \
            {MDL_STEP_GUARD, 1,    CHECK_SIGNS, OUTER_REFS + 2,           1, 0, 0, 21, 5,                    \
             NONE,           NONE, ONE,         "outer: %lld is negative"},                                  \
            {MDL_STEP_KERNEL, 0, OUTER, first_ref, 4, 0, 0, 22, 9, M_TIMES_N, M_TIMES_N, M_, "k7.outer"},    \
    }
static const struct mdl_step outer_steps[] = OUTER_STEPS(OUTER_REFS + 3);
static const struct mdl_step outer_two_steps[] = OUTER_STEPS(CRASH_REFS + 1);
static const struct mdl_step peek_steps[] = {
    {MDL_STEP_KERNEL, 0, PEEK, PEEK_REFS, 2, 0, 0, 30, 1, NONE, NONE, ONE, "k8.peek"}};
static const struct mdl_step crash_steps[] = {
    {MDL_STEP_KERNEL, 0, CRASH, CRASH_REFS, 1, 0, 0, 40, 3, NONE, NONE, ONE, "k9.crash"}};

enum { ARENA = 8192 };
#define VARIANT(dims, steps)                                                                                 \
    { dims, steps, COUNT(steps), 0, ARENA, 0 }
static const int64_t only_two[] = {2, -1};
MIX_AND_SCAN_VARIANTS(ARENA, 0);
static const struct mdl_variant outer_variants[] = {VARIANT(only_two, outer_two_steps),
                                                    VARIANT(NULL, outer_steps)};
static const struct mdl_variant peek_variants[] = {VARIANT(NULL, peek_steps)};
static const struct mdl_variant crash_variants[] = {VARIANT(NULL, crash_steps)};

static const uint32_t extents_four[] = {FOUR}, extents_m[] = {M_}, extents_n[] = {N_}, extents_mn[] = {M_, N_};
static const int32_t second_dim[] = {1}, both_dims[] = {0, 1};
static const struct mdl_tensor outer_inputs[] = {{"x", MDL_I32, 1, extents_m, first_dim, NULL},
                                                 {"y", MDL_I32, 1, extents_n, second_dim, NULL}};
static const struct mdl_tensor outer_results[] = {{"0", MDL_I32, 2, extents_mn, both_dims, NULL}};
static const struct mdl_tensor peek_results[] = {{"0", MDL_I32, 1, extents_four, no_dims, NULL}};
static const struct mdl_tensor crash_results[] = {{"0", MDL_I32, 0, NULL, NULL, NULL}};
static const struct mdl_dim dims_mn[] = {{"M", 1, 100, 1, -1, 0}, {"N", 1, 100, 1, -1, 0}};
static const struct mdl_function functions[] = {
    MIX_AND_SCAN,
    {"outer", dims_mn, outer_inputs, outer_results, outer_variants, 2, 2, 1, 2, 2, 0},
    {"peek", NULL, NULL, peek_results, peek_variants, 0, 0, 1, 1, 0, 0},
    {"crash", NULL, NULL, crash_results, crash_variants, 0, 0, 1, 1, 0, 0},
};

static const struct {
    float table[16];
    int32_t count[16], plus[16];
} weights = {{1, 10, 100, 1000}, {7}, {0, 1000}};

static const struct mdl_image images[] = {{"sm_80", handmade_ptx, sizeof handmade_ptx}};
static const struct mdl_device device = {"cuda", &mdl_cuda, launches, images, COUNT(images), 0};

const struct mdl_descriptor mdl_descriptor = {
    DESCRIPTOR("handmade_gpu", "handmade.mdl", "sm_80"),
    .states_count = COUNT(states),
    .kernels_count = COUNT(launches),
    .build_id = {0xb0, 0x11, 0xd1, 0xd1},
    .states = states,
    .state_bytes = HANDMADE_STATE_BYTES,
    .embedded_weights = &weights,
    .weights_bytes = sizeof weights,
    .device = &device,
};
