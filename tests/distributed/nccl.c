/* The NCCL engine on a NCCL that is not one (fake_nccl.c, its argument): which functions it calls with what;
 * what it refuses. */
#include "tests/distributed/handmesh.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS = 4 };
static struct mdl_descriptor plain; /* without the bundle */
static const int32_t members[RANKS] = {0, 1, 2, 3}, next[RANKS] = {1, 2, 3, -1}, to_rank[] = {2},
                     from_rank[] = {1};

#define CHECK(condition)                                                                                     \
    if (!(condition)) return #condition

struct rank {
    struct mdl_comm *bootstrap, *comm;
    void *group;
    const char *wrong;
    pthread_t thread;
};

static bool run(struct rank *r, uint32_t kind, uint32_t dtype, uint64_t n, const void *in, void *out,
                const int32_t *peers) {
    const struct mdl_comm_engine *e = r->comm->engine;
    struct mdl_library_collective c = {kind, dtype, MDL_SUM, RANKS, r->comm->rank, 0, n, in, out, peers};
    struct mdl_transfer t;
    int status = e->collective(r->comm, r->group, &c, &t);
    while (status == MDL_UNDER_WAY && !(status = e->test(r->comm, &t))) e->wait(r->comm, 1000, 0);
    return status == MDL_FINISHED;
}

static const char *each_kind(struct rank *r) {
    int32_t rank = r->comm->rank, in[2 * RANKS], out[2 * RANKS];
    for (int i = 0; i < 2 * RANKS; i++) in[i] = 10 * rank + i;
    CHECK(run(r, MDL_ALL_REDUCE, MDL_I32, 8, in, out, NULL));
    for (int i = 0; i < 8; i++) CHECK(out[i] == 60 + 4 * i);
    CHECK(run(r, MDL_REDUCE_SCATTER, MDL_I32, 2, in, out, NULL));
    CHECK(out[0] == 60 + 8 * rank && out[1] == 64 + 8 * rank);
    CHECK(run(r, MDL_ALL_GATHER, MDL_I32, 2, in, out, NULL));
    for (int i = 0; i < 8; i++) CHECK(out[i] == 10 * (i / 2) + i % 2);
    CHECK(run(r, MDL_ALL_TO_ALL, MDL_I32, 2, in, out, NULL));
    for (int i = 0; i < 8; i++) CHECK(out[i] == 10 * (i / 2) + 2 * rank + i % 2);
    CHECK(run(r, MDL_PERMUTE, MDL_I32, 2, in, out, next));
    CHECK(out[1] == (rank ? 10 * rank - 9 : 0));
    out[0] = -1;
    if (rank == 1) CHECK(run(r, MDL_SEND, MDL_I32, 2, in, NULL, to_rank));
    if (rank == 2) CHECK(run(r, MDL_RECEIVE, MDL_I32, 2, NULL, out, from_rank));
    CHECK(out[0] == (rank == 2 ? 10 : -1));
    CHECK(!run(r, MDL_ALL_REDUCE, MDL_I16, 2, in, out, NULL));
    CHECK(strstr(r->comm->error, "NCCL cannot reduce 16-bit integers"));
    CHECK(!run(r, MDL_ALL_REDUCE, MDL_F64, 2, in, out, NULL));
    CHECK(strstr(r->comm->error, "invalid argument")); /* which the fake says */
    return NULL;
}

/* x[2, 4] of ones: sums of 8. */
static const char *call(struct rank *r) {
    struct mdl_options o = MDL_OPTIONS;
    struct mdl_model *model;
    struct mdl_session *session;
    char why[512];
    float x[8] = {1, 1, 1, 1, 1, 1, 1, 1}, y[16], t[4];
    int32_t count;
    o.threads = 1;
    o.comm = r->comm;
    o.error = why;
    o.error_size = sizeof why;
    CHECK(mdl_open(&mdl_descriptor, NULL, &o, &model) == MDL_UNSUPPORTED);
    CHECK(strstr(why, "nccl: collective 4 of model handmesh moves 2 tensors together"));
    o.algorithm = MDL_RING;
    CHECK(mdl_open(&plain, NULL, &o, &model) == MDL_UNSUPPORTED);
    CHECK(strstr(why, "rings are for memory of the host"));
    o.algorithm = MDL_AUTO;
    CHECK(mdl_open(&plain, NULL, &o, &model) == MDL_OK && mdl_session_new(model, &session) == MDL_OK);
    for (int i = 1; i <= 20; i++) {
        CHECK(mdl_call(session, HANDMESH_MIX, (int64_t[]){4}, (const void *[]){x},
                       (void *[]){y, t, &count}) == MDL_OK);
        CHECK(count == i && y[15] == 8 && t[0] == 8 && t[3] == 8);
    }
    mdl_session_free(session);
    mdl_close(model);
    return NULL;
}

static const char *story(struct rank *r) {
    char why[512];
    CHECK(mdl_comm_nccl(r->bootstrap, why, sizeof why, &r->comm) == MDL_OK);
    CHECK(r->comm->engine->group(r->comm, members, RANKS, &r->group) == MDL_UNDER_WAY);
    const char *wrong = each_kind(r);
    r->comm->engine->group_free(r->comm, r->group);
    return wrong ? wrong : call(r);
}

static void *live(void *argument) {
    struct rank *r = argument;
    r->wrong = story(r);
    mdl_comm_close(r->comm);
    mdl_comm_close(r->bootstrap);
    return NULL;
}

static const char *without(struct mdl_comm *bootstrap) {
    struct mdl_comm *comm;
    char why[512];
    setenv("MDL_NCCL", "/nonexistent/libnccl.so", 1);
    CHECK(mdl_comm_nccl(bootstrap, why, sizeof why, &comm) == MDL_IO && !comm);
    CHECK(strstr(why, "NCCL cannot be used here: /nonexistent/libnccl.so"));
    return NULL;
}

int main(int argc, char **argv) {
    struct mdl_comm *comms[RANKS];
    struct rank ranks[RANKS] = {0};
    int failures = 0;
    if (argc < 2 || mdl_comm_threads(RANKS, comms)) return 1;
    const char *wrong = without(comms[0]);
    if (wrong) fprintf(stderr, "nccl: without it: %s\n", wrong);
    setenv("MDL_NCCL", argv[1], 1);
    setenv("MDL_CUDA", argv[1], 1);
    plain = mdl_descriptor;
    plain.functions_count = 1;
    plain.collectives_count = 4;
    for (int i = 0; i < RANKS; i++) {
        ranks[i].bootstrap = comms[i];
        pthread_create(&ranks[i].thread, NULL, live, &ranks[i]);
    }
    for (int i = 0; i < RANKS; i++) {
        pthread_join(ranks[i].thread, NULL);
        if (ranks[i].wrong) fprintf(stderr, "nccl: rank %d: %s\n", i, ranks[i].wrong);
        failures += ranks[i].wrong != NULL;
    }
    return failures || wrong;
}
