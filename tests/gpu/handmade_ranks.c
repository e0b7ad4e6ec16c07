/* A model with a mesh for GPUs, made by hand with kernels of handmade.ptx.
 *
 *     model total
 *     mesh m = <r=2>
 *     param w : i32[8] @m(r)
 *     export fn total(x: i32[N] partial) -> i32[N], i32[4] = 8 * all_reduce(x), w       # refuses a negative x
 */
#include "tests/run/descriptor.h"
#include <stddef.h>

enum { RANKS = 2, PIECE = 4096 };

static const char ptx[] = {
#include "tests/gpu/handmade_ptx.inc"
    0};

enum { NONE, ONE, THREE, FOUR, N_ };
static int64_t extent(uint32_t index, const int64_t *dims) {
    static const int64_t constants[] = {0, 1, 3, 4};
    return index == N_ ? dims[1] : constants[index];
}
enum { COPY, CHECK_SIGNS };
static const struct mdl_launch launches[] = {{"copy", 32, 0, 0, 0, 0, NULL, 0, 0}, {"check_signs", 32, 0, 1, 0, 0, NULL, 0, 0}};
static const struct mdl_ref refs[] = {
    {MDL_INPUT, 0, 0, 0, 0},      {MDL_INPUT, 0, 0, 0, 0},    {MDL_ARENA, 0, 0, 64, 0},
    {MDL_ARENA, 0, 0, 64, 0},     {MDL_ARENA, 0, 0, 4096, 0}, {MDL_ARENA, 0, 0, 4096, 0},
    {MDL_ARENA, 0, 0, 64, 0},     {MDL_ARENA, 0, 0, 64, 0},   {MDL_RESULT, 0, 0, 0, 0},
    {MDL_WEIGHT, 0, 0, PIECE, 0}, {MDL_RESULT, 0, 1, 0, 0},
};
static const struct mdl_step steps[] = {
    {MDL_STEP_GUARD, 0, CHECK_SIGNS, 0, 1, 0, 0, 5, 7, NONE, NONE, ONE, "total: %lld is negative"},
    {MDL_STEP_KERNEL, 1, COPY, 1, 2, 0, 0, 6, 1, NONE, NONE, N_, "k0.copy"},
    {MDL_STEP_LOOP, 0, 0, 0, 0, 0, THREE, 6, 1, NONE, NONE, NONE, "i"},
    {MDL_STEP_COLLECTIVE, 0, 0, 3, 2, 0, 0, 6, 3, NONE, NONE, NONE, "all_reduce"},
    {MDL_STEP_AWAIT, 1, 0, 3, 2, 0, 0, 6, 3, NONE, NONE, NONE, "all_reduce"},
    {MDL_STEP_KERNEL, 1, COPY, 5, 2, 0, 0, 6, 3, NONE, NONE, N_, "k1.copy"},
    {MDL_STEP_END, 1, 0, 0, 0, 0, 0, 0, 0, NONE, NONE, NONE, "i"},
    {MDL_STEP_KERNEL, 1, COPY, 7, 2, 0, 0, 7, 1, NONE, NONE, N_, "k2.copy"},
    {MDL_STEP_KERNEL, 1, COPY, 9, 2, 0, 0, 8, 1, NONE, NONE, FOUR, "k3.copy"},
};
static const struct mdl_variant variants[] = {{NULL, steps, COUNT(steps), 1, 8192, 0}};
static const uint32_t extents_n[] = {N_}, extents_four[] = {FOUR};
static const int32_t dims_n[] = {1}, no_dims[] = {-1};
static const struct mdl_split split = {1, {0}};
static const struct mdl_tensor inputs[] = {{"x", MDL_I32, 1, extents_n, dims_n, NULL}},
                               results[] = {{"0", MDL_I32, 1, extents_n, dims_n, NULL},
                                            {"1", MDL_I32, 1, extents_four, no_dims, &split}};
static const struct mdl_dim dims[] = {{"M", 1, 9, 1, -1, 0}, {"N", 1, 9, 1, -1, 0}};
static const struct mdl_function functions[] = {{"total", dims, inputs, results, variants, 2, 1, 2, 1, 2, 0}};

static const struct mdl_axis axes[] = {{"r", RANKS}};
static const struct mdl_group groups[] = {{1, {0}}};
static const struct mdl_collective collectives[] = {
    {MDL_ALL_REDUCE, 0, MDL_I32, MDL_SUM, 1, 0, extents_n, NULL}};
/* What only rank 0 has; and each rank's piece of w. */
static const struct mdl_section sections[] = {{0, PIECE, 2 * PIECE, {0}, {1}},
                                              {PIECE, PIECE, 0, {PIECE}, {0}}};
static struct {
    int32_t w[RANKS][PIECE / 4], rest[PIECE / 4];
} weights = {{{0, 1, 2, 3}, {100, 101, 102, 103}}, {0}};

static const struct mdl_image images[] = {{"sm_80", ptx, sizeof ptx}};
static const struct mdl_device device = {"cuda", &mdl_cuda, launches, images, COUNT(images), 0};
const struct mdl_descriptor mdl_descriptor = {
    DESCRIPTOR("total", "total.mdl", "sm_80"),
    DESCRIPTOR_OF_MESH,
    .kernels_count = COUNT(launches),
    .embedded_weights = &weights,
    .weights_bytes = 2 * PIECE,
    .device = &device,
};
