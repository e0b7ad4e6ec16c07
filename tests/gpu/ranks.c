/* A model with a mesh on GPUs: two ranks that are threads, a stand-in for CUDA's driver, and one for NCCL
 * which knows that stand-in's memory. Arguments: the two libraries.
 *
 *     mesh m = <r=2>
 *     param w : i32[8] @m(r)
 *     export fn total(x: i32[N] partial) -> i32[N], i32[4] = 8 * all_reduce(x), w       # refuses a negative
 * x
 */
#include "runtime/comm.h"
#include "runtime/cuda_driver.h"
#include "tests/gpu/handmade.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS = 2, N = 5, PIECE = 4096 };
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define CHECK(condition)                                                                                     \
    if (!(condition)) return #condition

/* ---- the model ---- */

enum { NONE, ONE, THREE, FOUR, N_ };
static int64_t extent(uint32_t index, const int64_t *dims) {
    static const int64_t constants[] = {0, 1, 3, 4};
    return index == N_ ? dims[1] : constants[index];
}
enum { COPY, CHECK_SIGNS };
static const struct mdl_launch launches[] = {{"copy", 32, 0, 0, 0, 0}, {"check_signs", 32, 0, 1, 0, 0}};
static const struct mdl_ref refs[] = {
    {MDL_INPUT, 0, 0, 0, 0, 0},      {MDL_INPUT, 0, 0, 0, 0, 0},    {MDL_ARENA, 0, 64, 0, 0, 0},
    {MDL_ARENA, 0, 64, 0, 0, 0},     {MDL_ARENA, 0, 4096, 0, 0, 0}, {MDL_ARENA, 0, 4096, 0, 0, 0},
    {MDL_ARENA, 0, 64, 0, 0, 0},     {MDL_ARENA, 0, 64, 0, 0, 0},   {MDL_RESULT, 0, 0, 0, 0, 0},
    {MDL_WEIGHT, 0, PIECE, 0, 0, 0}, {MDL_RESULT, 1, 0, 0, 0, 0},
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

static struct mdl_image images[] = {{"sm_80", handmade_ptx, 0}};
static const struct mdl_device device = {"cuda", &mdl_cuda, launches, images, COUNT(images), 0};
static const struct mdl_descriptor total = {
    .abi_version = MDL_ABI_VERSION,
    .functions_count = 1,
    .kernels_count = COUNT(launches),
    .name = "total",
    .source = "total.mdl",
    .target = "sm_80",
    .features = "",
    .functions = functions,
    .refs = refs,
    .extent = extent,
    .embedded_weights = &weights,
    .weights_bytes = 2 * PIECE,
    .api = &mdl_api,
    .mesh = "m",
    .axes = axes,
    .groups = groups,
    .collectives = collectives,
    .sections = sections,
    .axes_count = 1,
    .groups_count = 1,
    .collectives_count = 1,
    .sections_count = COUNT(sections),
    .distributed = &mdl_distributed,
    .device = &device,
};

/* ---- the ranks ---- */

struct rank {
    struct mdl_comm *bootstrap, *comm;
    struct mdl_model *model;
    struct mdl_session *session;
    const char *wrong;
    char why[512];
    pthread_t thread;
};

static int open_model(struct rank *r, struct mdl_comm *comm) {
    struct mdl_options o = MDL_OPTIONS;
    o.comm = comm;
    o.error = r->why;
    o.error_size = sizeof r->why;
    o.device = "cuda:0";
    return mdl_open(&total, NULL, &o, &r->model);
}

static int call(struct rank *r, int32_t refused, int32_t *y, int32_t *w) {
    int32_t x[N], rank = r->bootstrap->rank;
    for (int i = 0; i < N; i++) x[i] = 10 * rank + i + 1;
    if (rank == refused) x[3] = -4;
    return mdl_call(r->session, 0, (int64_t[]){1, N}, (const void *[]){x}, (void *[]){y, w});
}

static const char *calls(struct rank *r) {
    int32_t y[N], w[4];
    for (int c = 0; c < 20; c++) {
        memset(y, 0, sizeof y);
        CHECK(call(r, -1, y, w) == MDL_OK);
        for (int i = 0; i < N; i++) CHECK(y[i] == 4 * (10 + 2 * (i + 1)));
        for (int i = 0; i < 4; i++) CHECK(w[i] == 100 * r->bootstrap->rank + i);
        CHECK(call(r, c % RANKS, y, w) == MDL_INVALID);
        CHECK(strstr(mdl_error(r->session), "total.mdl:5:7: total: -4 is negative"));
    }
    return NULL;
}

static const char *traffic(struct rank *r) {
    struct mdl_traffic t;
    mdl_distributed.traffic(r->model, &t);
    CHECK(t.started[MDL_ALL_REDUCE] == 20 * 3);
    return NULL;
}

/* Of the library that the runtime has open too. */
static const char *make_context(void *driver) {
    int (*retain)(struct cu_context **, int), (*set)(struct cu_context *);
    struct cu_context *context;
    void *symbols[] = {dlsym(driver, "cuDevicePrimaryCtxRetain"), dlsym(driver, "cuCtxSetCurrent")};
    CHECK(symbols[0] && symbols[1]);
    memcpy(&retain, &symbols[0], sizeof retain);
    memcpy(&set, &symbols[1], sizeof set);
    CHECK(!retain(&context, 10) && !set(context));
    return NULL;
}

static const char *story(struct rank *r, void *driver) {
    CHECK(open_model(r, r->bootstrap) == MDL_UNSUPPORTED);
    CHECK(strstr(r->why, "threads: moves memory of the host, but model total runs on cuda"));
    const char *wrong = make_context(driver);
    if (wrong) return wrong;
    CHECK(mdl_comm_nccl(r->bootstrap, r->why, sizeof r->why, &r->comm) == MDL_OK);
    CHECK(open_model(r, r->comm) == MDL_OK && mdl_session_new(r->model, &r->session) == MDL_OK);
    wrong = calls(r);
    if (!wrong) wrong = traffic(r);
    return wrong;
}

static void *live(void *argument) {
    struct rank *r = argument;
    void *driver = dlopen(getenv("MDL_CUDA"), RTLD_NOW | RTLD_LOCAL);
    r->wrong = driver ? story(r, driver) : dlerror();
    mdl_session_free(r->session);
    mdl_close(r->model);
    mdl_comm_close(r->comm);
    mdl_comm_close(r->bootstrap);
    return NULL;
}

int main(int argc, char **argv) {
    struct mdl_comm *comms[RANKS];
    struct rank ranks[RANKS] = {0};
    int failures = 0;
    if (argc < 3 || mdl_comm_threads(RANKS, comms)) return 99;
    setenv("MDL_CUDA", argv[1], 1);
    setenv("MDL_NCCL", argv[2], 1);
    for (int i = 0; i < RANKS; i++) {
        ranks[i].bootstrap = comms[i];
        pthread_create(&ranks[i].thread, NULL, live, &ranks[i]);
    }
    for (int i = 0; i < RANKS; i++) {
        pthread_join(ranks[i].thread, NULL);
        if (ranks[i].wrong) fprintf(stderr, "rank %d: %s; %s\n", i, ranks[i].wrong, ranks[i].why);
        failures += ranks[i].wrong != NULL;
    }
    return failures != 0;
}
