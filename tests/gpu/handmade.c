/* The tables of the hand-made model for GPUs. */
#include "tests/gpu/handmade.h"
#include <stddef.h>

/* The text of handmade.ptx, which the makefile made numbers. */
const char handmade_ptx[] = {
#include "tests/gpu/handmade_ptx.inc"
    0};

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { NONE, ONE, TWO, FOUR, EIGHT, S_, S_MINUS_1, M_, N_, M_TIMES_N };
static int64_t extent(uint32_t index, const int64_t *dims) {
    static const int64_t constants[] = {0, 1, 2, 4, 8};
    switch (index) {
    case S_:
    case M_:
        return dims[0];
    case S_MINUS_1:
        return dims[0] - 1;
    case N_:
        return dims[1];
    case M_TIMES_N:
        return dims[0] * dims[1];
    default:
        return constants[index];
    }
}

enum {
    CHECK_IDS,
    COUNT_CALL,
    SCALE,
    REVERSE,
    SCAN_ROW,
    NOTE_COUNTER,
    SET_ZERO,
    COPY,
    CHECK_SIGNS,
    OUTER,
    PEEK,
    CRASH
};
static const struct mdl_launch launches[] = {
    {"check_ids", 32, 0, 1, 0, 0}, {"count_call", 32, 0, 1, 0, 0},   {"scale", 32, 0, 3, 0, 0},
    {"reverse", 64, 0, 0, 0, 128}, {"scan_row", 32, 0, 0, 0, 0},     {"note_counter", 32, 0, 0, 0, 0},
    {"set_zero", 32, 0, 0, 0, 0},  {"copy", 32, 0, 0, 0, 0},         {"check_signs", 32, 0, 1, 0, 0},
    {"outer", 64, 65536, 0, 0, 0}, {"peek", 32, 0, 1, 0, MDL_ALIGN}, {"crash", 32, 0, 1, 0, 0},
};

enum { MIX_REFS = 0, SCAN_REFS = 10, OUTER_REFS = 17, PEEK_REFS = 25, CRASH_REFS = 27 };
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
    /* outer */
    {MDL_INPUT, 0, 0, 0, 0, 0},
    {MDL_ARENA, 0, 64, 0, 0, 0},
    {MDL_INPUT, 1, 0, 0, 0, 0},
    {MDL_ARENA, 0, 64, 0, 0, 0},
    {MDL_INPUT, 1, 0, 0, 0, 0},
    {MDL_WEIGHT, 0, 128, 0, 0, 0},
    {MDL_RESULT, 0, 0, 0, 0, 0},
    {MDL_WEIGHT, 0, 132, 0, 0, 0}, /* of the version for M = 2 */
    /* peek */
    {MDL_ARENA, 0, 4096, 0, 0, 0},
    {MDL_RESULT, 0, 0, 0, 0, 0},
    /* crash */
    {MDL_RESULT, 0, 0, 0, 0, 0},
    /* outer, M = 2 */
    {MDL_ARENA, 0, 64, 0, 0, 0},
    {MDL_INPUT, 1, 0, 0, 0, 0},
    {MDL_WEIGHT, 0, 132, 0, 0, 0},
    {MDL_RESULT, 0, 0, 0, 0, 0},
};

static const struct mdl_step mix_steps[] = {
    {MDL_STEP_GUARD, 0, CHECK_IDS, 0, 1, 0, 0, 7, 22, NONE, NONE, ONE, "gather: id %lld is outside 0..4"},
    {MDL_STEP_KERNEL, 0, COUNT_CALL, 1, 2, 0, 0, 8, 9, ONE, EIGHT, ONE, "k0.count"},
    {MDL_STEP_KERNEL, 1, SCALE, 3, 5, 0, 0, 7, 9, S_, S_, S_, "k1.scale"},
    {MDL_STEP_KERNEL, 0, REVERSE, 8, 2, 0, 0, 9, 12, S_, S_, S_, "k2.reverse"},
};
static const struct mdl_step scan_steps[] = {
    {MDL_STEP_KERNEL, 1, SET_ZERO, 10, 1, 0, 0, 0, 0, NONE, NONE, ONE, "k3.zero"},
    {MDL_STEP_LOOP, 0, 0, 0, 0, 0, FOUR, 12, 9, NONE, NONE, NONE, "i"},
    {MDL_STEP_LOOP, 0, 0, 0, 0, 1, TWO, 12, 9, NONE, NONE, NONE, "j"},
    {MDL_STEP_KERNEL, 0, SCAN_ROW, 11, 4, 0, 0, 12, 9, EIGHT, EIGHT, ONE, "k4.row"},
    {MDL_STEP_END, 0, 0, 0, 0, 1, 0, 0, 0, NONE, NONE, NONE, "j"},
    {MDL_STEP_END, 1, 0, 0, 0, 0, 0, 0, 0, NONE, NONE, NONE, "i"},
    {MDL_STEP_LOOP, 0, 0, 0, 0, 2, S_MINUS_1, 13, 9, NONE, NONE, NONE, "k"},
    {MDL_STEP_KERNEL, 0, NOTE_COUNTER, 15, 2, 0, 0, 13, 9, NONE, NONE, NONE, "k5.note"},
    {MDL_STEP_END, 0, 0, 0, 0, 2, 0, 0, 0, NONE, NONE, NONE, "k"},
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
#define VARIANT(dims, steps, loops)                                                                          \
    { dims, steps, COUNT(steps), loops, ARENA, 0 }
static const int64_t only_one[] = {1}, only_two[] = {2, -1};
static const struct mdl_variant mix_variants[] = {VARIANT(only_one, mix_steps, 0),
                                                  VARIANT(NULL, mix_steps, 0)};
static const struct mdl_variant scan_variants[] = {VARIANT(NULL, scan_steps, 3)};
static const struct mdl_variant outer_variants[] = {VARIANT(only_two, outer_two_steps, 0),
                                                    VARIANT(NULL, outer_steps, 0)};
static const struct mdl_variant peek_variants[] = {VARIANT(NULL, peek_steps, 0)};
static const struct mdl_variant crash_variants[] = {VARIANT(NULL, crash_steps, 0)};

static const uint32_t extents_s[] = {S_}, extents_428[] = {FOUR, TWO, EIGHT}, extents_four[] = {FOUR},
                      extents_m[] = {M_}, extents_n[] = {N_}, extents_mn[] = {M_, N_};
static const int32_t first_dim[] = {0}, second_dim[] = {1}, both_dims[] = {0, 1}, no_dims[] = {-1, -1, -1};
static const struct mdl_tensor mix_inputs[] = {{"x", MDL_F32, 1, extents_s, first_dim, NULL},
                                               {"ids", MDL_I32, 1, extents_s, first_dim, NULL},
                                               {"a", MDL_F32, 0, NULL, NULL, NULL}};
static const struct mdl_tensor mix_results[] = {{"0", MDL_F32, 1, extents_s, first_dim, NULL},
                                                {"1", MDL_I32, 0, NULL, NULL, NULL}};
static const struct mdl_tensor scan_results[] = {{"0", MDL_F32, 3, extents_428, no_dims, NULL},
                                                 {"1", MDL_I32, 0, NULL, NULL, NULL}};
static const struct mdl_tensor outer_inputs[] = {{"x", MDL_I32, 1, extents_m, first_dim, NULL},
                                                 {"y", MDL_I32, 1, extents_n, second_dim, NULL}};
static const struct mdl_tensor outer_results[] = {{"0", MDL_I32, 2, extents_mn, both_dims, NULL}};
static const struct mdl_tensor peek_results[] = {{"0", MDL_I32, 1, extents_four, no_dims, NULL}};
static const struct mdl_tensor crash_results[] = {{"0", MDL_I32, 0, NULL, NULL, NULL}};
static const struct mdl_dim dim_s[] = {{"S", 1, 1000, 1, -1, 0}},
                            dims_mn[] = {{"M", 1, 100, 1, -1, 0}, {"N", 1, 100, 1, -1, 0}};
static const struct mdl_function functions[] = {
    {"mix", dim_s, mix_inputs, mix_results, mix_variants, 1, 3, 2, 2, 1, 0},
    {"scan", dim_s, mix_inputs, scan_results, scan_variants, 1, 1, 2, 1, 1, 0},
    {"outer", dims_mn, outer_inputs, outer_results, outer_variants, 2, 2, 1, 2, 2, 0},
    {"peek", NULL, NULL, peek_results, peek_variants, 0, 0, 1, 1, 0, 0},
    {"crash", NULL, NULL, crash_results, crash_variants, 0, 0, 1, 1, 0, 0},
};
static const struct mdl_state states[] = {{"ring", 0, 64, -1}, {"count", 64, 4, 64}};

static const struct {
    float table[16];
    int32_t count[16], plus[16];
} weights = {{1, 10, 100, 1000}, {7}, {0, 1000}};

static const struct mdl_image images[] = {{"sm_80", handmade_ptx, sizeof handmade_ptx}};
static const struct mdl_device device = {"cuda", &mdl_cuda, launches, images, COUNT(images), 0};

const struct mdl_descriptor mdl_descriptor = {
    .abi_version = MDL_ABI_VERSION,
    .weights_suffix = ".weights",
    .functions_count = COUNT(functions),
    .states_count = COUNT(states),
    .kernels_count = COUNT(launches),
    .name = "handmade_gpu",
    .source = "handmade.mdl",
    .target = "sm_80",
    .features = "",
    .build_id = {0xb0, 0x11, 0xd1, 0xd1},
    .functions = functions,
    .states = states,
    .refs = refs,
    .extent = extent,
    .state_bytes = 128,
    .embedded_weights = &weights,
    .weights_bytes = sizeof weights,
    .api = &mdl_api,
    .device = &device,
};
