/* A model over ranks that are threads of this process: what calls give, and what happens when ranks differ,
 * refuse, stall or leave. Under ThreadSanitizer: make check-races-ranks */
#include "runtime/crc32c.h"
#include "runtime/mesh.h"
#include "tests/distributed/handmesh.h"
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RANKS = 4, S = 6, PAGE = 4096, LONG_MS = 60000 };
static const char *weights_file;

struct rank {
    int number, threads, timeout_ms;
    struct mdl_comm *comm;
    const struct mdl_descriptor *descriptor;
    struct mdl_model *model;
    struct mdl_session *session;
    const char *(*story)(struct rank *); /* what went wrong, or NULL */
    const char *wrong;
    char error[512];
    int32_t count; /* the last call's result 2 */
    pthread_t thread;
};

#define CHECK(condition)                                                                                     \
    if (!(condition)) return #condition

/* Rank (data, tensor) has rows data*3 .. and columns tensor*4 .. of x[6, 8] = row + column. */
static int mix(struct rank *r, int64_t s, float first) {
    float x[65 * 4], y[65 * 8], t[130]; /* enough for S = 130 */
    int64_t rows = s / 2, data = r->number / 2, tensor = r->number % 2;
    for (int64_t i = 0; i < rows * 4; i++) x[i] = (float)(data * rows + i / 4 + tensor * 4 + i % 4);
    x[0] += first;
    int status =
        mdl_call(r->session, HANDMESH_MIX, (int64_t[]){s}, (const void *[]){x}, (void *[]){y, t, &r->count});
    if (status || first != 0) return status;
    for (int64_t i = 0; i < rows * 8; i++) {
        float row = (float)(data * rows + i / 8), sum = 8 * row + 28;
        if (y[i] != (row + (float)(i % 8)) * sum) return -1;
    }
    for (int64_t i = 0; i < s; i++)
        if (t[i] != (float)(8 * i + 28)) return -2;
    return MDL_OK;
}

static bool says(const struct rank *r, const char *text) {
    bool found = strstr(mdl_error(r->session), text) != NULL;
    if (!found) fprintf(stderr, "ranks: rank %d says: %s\n", r->number, mdl_error(r->session));
    return found;
}

/* --- what a call gives --- */

static const char *many_calls(struct rank *r) {
    struct mdl_traffic t;
    for (int i = 0; i < 100; i++) {
        CHECK(mix(r, S, 0) == MDL_OK);
        CHECK(r->count == i + 1);
    }
    mdl_distributed.traffic(r->model, &t);
    CHECK(t.sent[MDL_ALL_REDUCE] == 100 * 3 * 4); /* 2 (N-1)/N of 3 floats: 2 in a phase and 1 in the other */
    CHECK(t.sent[MDL_ALL_GATHER] == 100 * (3 * 4 * 4 + 3 * 4));
    CHECK(t.started[MDL_ALL_GATHER] == 200);
    return NULL;
}

static const char *turns(struct rank *r) {
    int64_t v[6], to[6], sum;
    float x[4];
    for (int i = 0; i < 6; i++) v[i] = 10 * r->number + i;
    for (int call = 0; call < 20; call++) {
        CHECK(mdl_call(r->session, HANDMESH_TURN, NULL, (const void *[]){v}, (void *[]){to, &sum, x}) ==
              MDL_OK);
        for (int i = 0; i < 6; i++)
            CHECK(to[i] == 10 * ((r->number + 1) % RANKS) + i); /* three places back */
        CHECK(sum == 612 + 4 * r->number);
        for (int i = 0; i < 4; i++) CHECK(x[i] == (float)(10 * i + r->number));
    }
    return NULL;
}

/* --- refusals: all ranks hear of them, and the next call is well --- */

static const char *other_dims(struct rank *r) {
    CHECK(mix(r, r->number == 2 ? 8 : S, 0) == MDL_INVALID);
    CHECK(says(r, "mix: the ranks' dims differ: rank 2 has S = 8, rank 0 has S = 6"));
    return mix(r, S, 0) == MDL_OK && r->count == 1 ? NULL : "the next call";
}

static const char *odd_dim(struct rank *r) {
    CHECK(mix(r, 7, 0) == MDL_INVALID);
    CHECK(says(r, "mix: dim S is 7, not a multiple of 2, into which mesh m splits it"));
    CHECK(mix(r, r->number == 1 ? 130 : S, 0) == MDL_INVALID);
    CHECK(says(r, r->number == 1 ? "mix: dim S is 130, outside 2..128"
                                 : "rank 1 has refused the call: mix: dim S is 130"));
    return mix(r, S, 0) == MDL_OK ? NULL : "the next call";
}

static const char *other_function(struct rank *r) {
    int32_t one = 0, sum;
    int status = r->number == 3 ? mdl_call(r->session, HANDMESH_WAIT, (int64_t[]){1},
                                           (const void *[]){&one, &one}, (void *[]){&sum})
                                : mix(r, S, 0);
    CHECK(status == MDL_INVALID);
    CHECK(says(r, "rank 3 calls wait, rank 0 calls mix"));
    return mix(r, S, 0) == MDL_OK ? NULL : "the next call";
}

static const char *one_guard(struct rank *r) {
    CHECK(mix(r, S, r->number == 2 ? -100 : 0) == MDL_INVALID);
    CHECK(says(r, r->number == 2 ? "handmesh.mdl:3:14: mix: x begins with -97, which is negative"
                                 : "rank 2 has refused the call: handmesh.mdl:3:14: mix: x begins with -97"));
    return mix(r, S, 0) == MDL_OK && r->count == 1 ? NULL : "the next call";
}

/* --- ends --- */

static int nap(struct rank *r, int32_t ms, int32_t who) {
    int32_t sum = 0;
    return mdl_call(r->session, HANDMESH_WAIT, (int64_t[]){2}, (const void *[]){&ms, &who}, (void *[]){&sum});
}

static atomic_int given_up; /* ranks that have */

/* Rank 3 sleeps until the others have given up, whenever that is. */
static const char *stall(struct rank *r) {
    CHECK(nap(r, 0, 0) == MDL_OK);
    int status = nap(r, LONG_MS, 3);
    if (++given_up == RANKS - 1) handmesh_awake = true;
    CHECK(status == MDL_PEER);
    CHECK(says(r, "collective 6 (all_reduce over data,tensor), handmesh.mdl:15:21"));
    CHECK(says(r, "rank 3"));
    CHECK(mix(r, S, 0) == MDL_PEER);
    CHECK(says(r, "the ranks have parted: "));
    return NULL;
}

/* Rank 1 comes when it has heard that the others have given up. */
static const char *absence(struct rank *r) {
    char why[512];
    CHECK(r->model);
    for (int ms = 0; r->number == 1 && !mesh_is_dead(r->model->mesh, why, sizeof why) && ms < LONG_MS; ms++)
        usleep(1000);
    CHECK(mix(r, S, 0) == MDL_PEER);
    CHECK(says(r, r->number == 1 ? "the ranks have parted" : "the start of mix"));
    CHECK(says(r, "rank 1 has not come to it"));
    return NULL;
}

static const char *departure(struct rank *r) {
    CHECK(mix(r, S, 0) == MDL_OK);
    if (r->number == 1) return NULL; /* closes */
    CHECK(mix(r, S, 0) == MDL_INVALID);
    CHECK(says(r, "rank 1 closes the model"));
    return NULL;
}

/* A forked child may neither call nor wait for the others, but it may close what it has. */
static const char *forked_child(struct rank *r) {
    CHECK(mix(r, S, 0) == MDL_OK);
    pid_t child = r->number == 1 ? fork() : -1;
    if (child == 0) {
        alarm(30); /* a close that hangs is ended */
        int status = mix(r, S, 0);
        mdl_session_free(r->session);
        mdl_close(r->model);
        _exit(status != MDL_PEER);
    }
    int ended = 0;
    CHECK(child < 0 || waitpid(child, &ended, 0) == child);
    CHECK(ended == 0);
    return mix(r, S, 0) == MDL_OK ? NULL : "the next call";
}

/* --- opening --- */

static struct mdl_descriptor other_build;
static const char *another_build(struct rank *r) {
    CHECK(r->model == NULL);
    CHECK(strstr(r->error, "rank 2 has another build of the model than rank 0"));
    return NULL;
}

/* --- weights in a file --- */

struct file {
    struct mdl_weights_header header;
    struct mdl_weights_entry entries[3];
    char names[32];
    _Alignas(PAGE) char data[3][PAGE];
};
static struct mdl_descriptor from_file;

/* Three tensors of a page: w for tensor = 0, for tensor = 1, and one that rank 0 alone has. */
static bool write_weights(const char *path, int damaged) {
    static struct file f;
    memset(&f, 0, sizeof f);
    memcpy(f.names, "w0\0w1\0own", 10);
    for (uint32_t i = 0; i < 3; i++) {
        int32_t first = 10 + (int32_t)i;
        memcpy(f.data[i], &first, sizeof first);
        f.entries[i] = (struct mdl_weights_entry){i * PAGE, PAGE, 3 * i, crc32c(0, f.data[i], PAGE)};
    }
    f.header = (struct mdl_weights_header){.file_bytes = sizeof f,
                                           .data_offset = offsetof(struct file, data),
                                           .data_bytes = sizeof f.data,
                                           .tensors = 3,
                                           .names_offset = offsetof(struct file, names),
                                           .names_bytes = 10};
    memcpy(f.header.magic, "MDLWTS\0\1", 8);
    memcpy(f.header.build_id, from_file.build_id, 32);
    f.header.header_sum = crc32c(crc32c(0, &f.header, sizeof f.header), f.entries, sizeof f.entries);
    if (damaged >= 0) f.data[damaged][100] ^= 1;
    FILE *out = fopen(path, "wb");
    return out && fwrite(&f, sizeof f, 1, out) == 1 && !fclose(out);
}

static const char *sections(struct rank *r) {
    char why[200];
    CHECK(mix(r, S, 0) == MDL_OK); /* count: 1, if w is the rank's own */
    CHECK(r->count == 1);
    int tensor = r->number % 2, status = mdl_api.verify(r->model, why, sizeof why);
    CHECK(status == (tensor == 1 ? MDL_MISMATCH : MDL_OK));
    CHECK(tensor == 0 || strstr(why, "tensor w1 is damaged"));
    return NULL;
}

/* --- running them --- */

static void *live(void *argument) {
    struct rank *r = argument;
    struct mdl_options o = MDL_OPTIONS;
    o.threads = r->threads;
    o.error = r->error;
    o.error_size = sizeof r->error;
    o.comm = r->comm;
    o.timeout_ms = r->timeout_ms;
    int status = mdl_open(r->descriptor, weights_file, &o, &r->model);
    if (!status && mdl_session_new(r->model, &r->session)) status = MDL_NO_MEMORY;
    r->wrong = r->story(r);
    if (status && r->wrong) fprintf(stderr, "ranks: rank %d: %s\n", r->number, r->error);
    mdl_session_free(r->session);
    mdl_close(r->model);
    mdl_comm_close(r->comm);
    return NULL;
}

struct tale {
    const char *name;
    const char *(*story)(struct rank *);
    int timeout_ms;
    const struct mdl_descriptor *descriptor, *third; /* third: rank 2's; NULL: all have the same */
};

static int tell(const struct tale *t, int threads) {
    struct mdl_comm *comms[RANKS];
    struct rank ranks[RANKS];
    int failures = 0;
    if (mdl_comm_threads(RANKS, comms)) return 1;
    handmesh_awake = false;
    given_up = 0;
    for (int i = 0; i < RANKS; i++) {
        const struct mdl_descriptor *d = i == 2 && t->third ? t->third : t->descriptor;
        ranks[i] = (struct rank){.number = i,
                                 .threads = threads,
                                 .timeout_ms = t->timeout_ms,
                                 .comm = comms[i],
                                 .descriptor = d,
                                 .story = t->story};
        pthread_create(&ranks[i].thread, NULL, live, &ranks[i]);
    }
    for (int i = 0; i < RANKS; i++) {
        pthread_join(ranks[i].thread, NULL);
        if (!ranks[i].wrong) continue;
        fprintf(stderr, "ranks: %s, %d threads, rank %d: %s\n", t->name, threads, i, ranks[i].wrong);
        failures++;
    }
    return failures;
}

static const char *lone_rank(void) {
    struct mdl_options o = MDL_OPTIONS;
    struct mdl_model *model;
    char why[300];
    o.error = why;
    o.error_size = sizeof why;
    CHECK(mdl_open(&mdl_descriptor, NULL, &o, &model) == MDL_INVALID);
    CHECK(strstr(why, "model handmesh is for a mesh of 4 ranks: open it with options.comm"));
    return NULL;
}

int main(void) {
    char path[] = "/tmp/mdl-ranks-XXXXXX";
    int fd = mkstemp(path), failures = 0;
    other_build = from_file = mdl_descriptor;
    other_build.build_id[5] ^= 1;
    from_file.embedded_weights = NULL;
    const struct tale tales[] = {
        {"many calls", many_calls, 0, &mdl_descriptor, NULL},
        {"turns", turns, 0, &mdl_descriptor, NULL},
        {"other dims", other_dims, 0, &mdl_descriptor, NULL},
        {"odd dim", odd_dim, 0, &mdl_descriptor, NULL},
        {"other function", other_function, 0, &mdl_descriptor, NULL},
        {"one guard", one_guard, 0, &mdl_descriptor, NULL},
        {"stall", stall, 2000, &mdl_descriptor, NULL},
        {"absence", absence, 2000, &mdl_descriptor, NULL},
        {"departure", departure, 0, &mdl_descriptor, NULL},
        {"forked child", forked_child, 0, &mdl_descriptor, NULL},
        {"another build", another_build, 0, &mdl_descriptor, &other_build},
    };
    const struct tale weights_tale = {"sections", sections, 0, &from_file, NULL};
    for (size_t i = 0; i < sizeof tales / sizeof *tales; i++)
        for (int threads = 1; threads <= 2; threads++) failures += tell(&tales[i], threads);
    const char *wrong = lone_rank();
    if (wrong) fprintf(stderr, "ranks: lone rank: %s\n", wrong);
    if (fd < 0 || !write_weights(path, 1)) return 1;
    weights_file = path;
    failures += tell(&weights_tale, 1);
    close(fd);
    unlink(path);
    return failures != 0 || wrong;
}
