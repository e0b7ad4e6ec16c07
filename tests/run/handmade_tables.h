/* The tables of mix and scan (handmade.h), which the models made by hand for processors and for GPUs have in
 * common; each file that includes this has the kernels, in this order, what it has beyond, and the
 * descriptor. */
#ifndef TESTS_HANDMADE_TABLES_H
#define TESTS_HANDMADE_TABLES_H
#include "tests/run/descriptor.h"
#include "tests/run/handmade.h"
#include <stddef.h>

enum { CHECK_IDS, COUNT_CALL, SCALE, REVERSE, SCAN_ROW, NOTE_COUNTER, SET_ZERO, HANDMADE_KERNELS };

enum { NONE, ONE, TWO, FOUR, EIGHT, S_, S_MINUS_1, TWELVE_S, HANDMADE_EXTENTS };
static int64_t handmade_extent(uint32_t index, const int64_t *dims) {
    static const int64_t constants[] = {0, 1, 2, 4, 8};
    if (index < S_) return constants[index];
    return index == S_ ? dims[0] : index == S_MINUS_1 ? dims[0] - 1 : 12 * dims[0];
}

enum { MIX_REFS = 0, SCAN_REFS = 10, HANDMADE_REFS = 17 };
/* clang-format off */
#define MIX_AND_SCAN_REFS                                                                                    \
    /* mix */                                                                                                \
    {MDL_INPUT, 0, 1, 0, 0}, {MDL_STATE, 0, 0, 64, 0}, {MDL_RESULT, 0, 1, 0, 0},                    \
    {MDL_INPUT, 0, 0, 0, 0}, {MDL_INPUT, 0, 1, 0, 0}, {MDL_INPUT, 0, 2, 0, 0},                      \
    {MDL_WEIGHT, 0, 0, 0, 0}, {MDL_ARENA, 0, 0, 128, 0},                                               \
    {MDL_ARENA, 0, 0, 128, 0}, {MDL_RESULT, 0, 0, 0, 0},                                               \
    /* scan */                                                                                               \
    {MDL_RESULT, 0, 1, 0, 0},                                                                             \
    {MDL_INPUT, 0, 0, 0, 0}, {MDL_WEIGHT, 0, 0, 0, 4}, {MDL_COUNTER, 0, 1, 0, 0}, {MDL_RESULT, 0, 0, 0, 64}, \
    {MDL_COUNTER, 0, 2, 0, 0}, {MDL_RESULT, 0, 1, 0, 0}
/* clang-format on */

static const struct mdl_step mix_steps[] = {
    {MDL_STEP_GUARD, 0, CHECK_IDS, 0, 1, 0, 0, 7, 22, NONE, NONE, ONE, "gather: id %lld is outside 0..4"},
    {MDL_STEP_KERNEL, 0, COUNT_CALL, 1, 2, 0, 0, 8, 9, ONE, EIGHT, ONE, "k0.count"},
    {MDL_STEP_KERNEL, 1, SCALE, 3, 5, 0, 0, 7, 9, S_, TWELVE_S, S_, "k1.scale"},
    {MDL_STEP_KERNEL, 0, REVERSE, 8, 2, 0, 0, 9, 12, S_, TWELVE_S, S_, "k2.reverse"},
};
static const struct mdl_step scan_steps[] = {
    {MDL_STEP_KERNEL, 1, SET_ZERO, SCAN_REFS, 1, 0, 0, 0, 0, NONE, NONE, ONE, "k3.zero"},
    {MDL_STEP_LOOP, 0, 0, 0, 0, 0, FOUR, 12, 9, NONE, NONE, NONE, "i"},
    {MDL_STEP_LOOP, 0, 0, 0, 0, 1, TWO, 12, 9, NONE, NONE, NONE, "j"},
    {MDL_STEP_KERNEL, 0, SCAN_ROW, SCAN_REFS + 1, 4, 0, 0, 12, 9, EIGHT, EIGHT, ONE, "k4.row"},
    {MDL_STEP_END, 0, 0, 0, 0, 1, 0, 0, 0, NONE, NONE, NONE, "j"},
    {MDL_STEP_END, 1, 0, 0, 0, 0, 0, 0, 0, NONE, NONE, NONE, "i"},
    {MDL_STEP_LOOP, 0, 0, 0, 0, 2, S_MINUS_1, 13, 9, NONE, NONE, NONE, "k"},
    {MDL_STEP_KERNEL, 0, NOTE_COUNTER, SCAN_REFS + 5, 2, 0, 0, 13, 9, NONE, NONE, NONE, "k5.note"},
    {MDL_STEP_END, 0, 0, 0, 0, 2, 0, 0, 0, NONE, NONE, NONE, "k"},
};

/* Two versions of mix, one of them for S = 1; scan has three loops. */
static const int64_t only_one[] = {1};
#define MIX_AND_SCAN_VARIANTS(arena_bytes, scratch_bytes)                                                    \
    static const struct mdl_variant mix_variants[] = {                                                       \
        {only_one, mix_steps, COUNT(mix_steps), 0, arena_bytes, scratch_bytes},                              \
        {NULL, mix_steps, COUNT(mix_steps), 0, arena_bytes, scratch_bytes}};                                 \
    static const struct mdl_variant scan_variants[] = {                                                      \
        {NULL, scan_steps, COUNT(scan_steps), 3, arena_bytes, scratch_bytes}}

static const uint32_t extents_s[] = {S_}, extents_428[] = {FOUR, TWO, EIGHT};
static const int32_t first_dim[] = {0}, no_dims[] = {-1, -1, -1};
static const struct mdl_tensor mix_inputs[] = {{"x", MDL_F32, 1, extents_s, first_dim, NULL},
                                               {"ids", MDL_I32, 1, extents_s, first_dim, NULL},
                                               {"a", MDL_F32, 0, NULL, NULL, NULL}};
static const struct mdl_tensor mix_results[] = {{"0", MDL_F32, 1, extents_s, first_dim, NULL},
                                                {"1", MDL_I32, 0, NULL, NULL, NULL}};
static const struct mdl_tensor scan_results[] = {{"0", MDL_F32, 3, extents_428, no_dims, NULL},
                                                 {"1", MDL_I32, 0, NULL, NULL, NULL}};
static const struct mdl_dim dim_s[] = {{"S", 1, 1000, 1, -1, 0}};
#define MIX_AND_SCAN                                                                                         \
    {"mix", dim_s, mix_inputs, mix_results, mix_variants, 1, 3, 2, 2, 1, 0}, {                               \
        "scan", dim_s, mix_inputs, scan_results, scan_variants, 1, 1, 2, 1, 1, 0                             \
    }

static const struct mdl_state states[] = {{"ring", 0, 64, -1}, {"count", 64, 4, 64}};
enum { HANDMADE_STATE_BYTES = 128 };

#endif
