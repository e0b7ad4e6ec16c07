/* A model with a mesh on GPUs: two ranks that are threads, a stand-in for CUDA's driver, and one for NCCL
 * which knows that stand-in's memory. Arguments: the two libraries. */
#include "runtime/comm.h"
#include "runtime/cuda_driver.h"
#include "tests/gpu/handmade.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS = 2, N = 5 };
#define CHECK(condition)                                                                                     \
    if (!(condition)) return #condition

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
    return mdl_open(&mdl_descriptor, NULL, &o, &r->model);
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
