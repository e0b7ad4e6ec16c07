/* A random model as machine code, on ranks that are threads of this process or processes of an MPI: each rank
 * is given its pieces, and compares what it gets with its pieces of what is wanted. */
#include "backend/backend.h"
#include "passes/passes.h"
#include "runtime/abi.h"
#include "runtime/comm.h"
#include "sharding_job.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 20000, MOST_DIMS = RX_DIMS + RX_AXES };

enum verdict job_compile(struct job *j, const char *path) {
    struct graph *g = job_parse(j->a, j->m->text);
    const char *error = "", *runtime = getenv("MDL_RUNTIME");
    if (!g) return FAILED;
    g->target = backend_target(j->a, NULL, NULL, &error);
    if (!g->target) return fprintf(stderr, "FAIL compile: %s\n", error), FAILED;
    enum verdict v = job_apply(g, default_pipeline);
    if (v != PASSED) return v;
    struct backend_options o = {.output = path,
                                .runtime = runtime ? runtime : "runtime/libmdl-runtime.a",
                                .opt_level = 1,
                                .embed_limit = INT64_MAX};
    if (backend_emit(g, ARTIFACT_SO, &o) == BACKEND_DONE) return PASSED;
    fprintf(stderr, "FAIL compile: the backend refuses\n");
    return FAILED;
}

/* ---- One rank ---- */

struct rank {
    struct job *j;
    const struct mdl_descriptor *d;
    struct mdl_comm *comm;
    int number;
    bool good;
    struct arena *a;
    struct mdl_model *model;
    struct mdl_session *session;
    struct mesh mesh; /* the descriptor's, as pieces are computed from it */
    char error[512];
    pthread_t thread;
};

static void read_mesh(struct rank *r) {
    r->mesh = (struct mesh){.axes_count = (int)r->d->axes_count};
    for (uint32_t i = 0; i < r->d->axes_count; i++) r->mesh.axes[i].size = r->d->axes[i].size;
}

static const struct sharding *sharding_of(struct rank *r, const struct mdl_tensor *t) {
    if (!t->splits) return NULL;
    struct sharding *s = arena_new_object(r->a, struct sharding);
    s->mesh = &r->mesh;
    s->rank = (int)t->rank;
    for (uint32_t d = 0; d < t->rank; d++) {
        s->dims[d].count = (int)t->splits[d].count;
        for (uint32_t i = 0; i < t->splits[d].count; i++) s->dims[d].axes[i] = (uint8_t)t->splits[d].axes[i];
    }
    return s;
}

static struct array *piece(struct rank *r, const struct mdl_tensor *t, const struct array *whole) {
    return array_piece(r->a, whole, sharding_of(r, t), r->number);
}

static void *bytes_for(struct rank *r, const struct array *x) {
    return arena_alloc(r->a, (size_t)x->elements + 1, sizeof(double));
}

static bool say(const struct rank *r, int status, const char *what) {
    const char *why = r->session ? r->d->api->error(r->session) : r->error;
    fprintf(stderr, "FAIL compiled: rank %d: %s: status %d: %s\n", r->number, what, status, why);
    return false;
}

/* Dims as a caller passes them: S and T of the model that the function uses. */
static void dims_of(const struct rank *r, const struct mdl_function *f, int s, int64_t *dims) {
    for (uint32_t i = 0; i < f->given_dims && i < MOST_DIMS; i++)
        dims[i] = r->j->dims[s][f->dims[i].name[0] - 'S'];
}

static bool compare(struct rank *r, const struct mdl_function *f, int s, int c, void *const *results) {
    const char *when = arena_printf(r->a, "compiled: rank %d: size %d call %d", r->number, s, c);
    for (uint32_t k = 0; k < f->results_count; k++) {
        const struct array *wanted = piece(r, &f->results[k], r->j->wanted[s][c][k]);
        struct tensor t = {.dtype = wanted->dtype, .rank = wanted->rank, .data = results[k]};
        memcpy(t.extents, wanted->extents, sizeof t.extents);
        if (!job_same(r->j, wanted, array_from_bytes(r->a, &t), (int)k, when)) return false;
    }
    return true;
}

static bool call(struct rank *r, int s, int c) {
    const struct mdl_function *f = r->d->functions;
    const void *inputs[RX_ARGS];
    void *results[MAX_RESULTS];
    int64_t dims[MOST_DIMS] = {0};
    dims_of(r, f, s, dims);
    for (uint32_t k = 0; k < f->inputs_count; k++) {
        const struct array *x = piece(r, &f->inputs[k], r->j->inputs[s][c][k]);
        void *data = bytes_for(r, x);
        array_to_bytes(x, data);
        inputs[k] = data;
    }
    for (uint32_t k = 0; k < f->results_count; k++)
        results[k] = bytes_for(r, piece(r, &f->results[k], r->j->wanted[s][c][k]));
    int status = r->d->api->call(r->session, 0, dims, inputs, results);
    return status ? say(r, status, "call") : compare(r, f, s, c, results);
}

/* Every second seed by our own rings. Who finds a difference goes on, as the others wait for it. */
static bool open_and_call(struct rank *r) {
    struct mdl_options o = {.size = sizeof o,
                            .threads = 1 + (int)(r->j->seed / 2 % 2),
                            .error = r->error,
                            .error_size = sizeof r->error,
                            .comm = r->comm,
                            .timeout_ms = TIMEOUT_MS,
                            .algorithm = r->j->seed % 2 ? MDL_RING : MDL_AUTO};
    bool good = true;
    int status = r->d->api->open(r->d, NULL, &o, &r->model);
    if (status) return say(r, status, "open");
    status = r->d->api->session_new(r->model, &r->session);
    if (status) return say(r, status, "session");
    r->d->api->poison(r->session, 1);
    for (int s = 0; s < SIZES; s++) {
        r->d->api->session_reset(r->session);
        for (int c = 0; c < CALLS; c++) good &= call(r, s, c);
    }
    return good;
}

static void *run_rank(void *data) {
    struct rank *r = data;
    r->a = arena_new();
    read_mesh(r);
    r->good = open_and_call(r);
    if (r->session) r->d->api->session_free(r->session);
    if (r->model) r->d->api->close(r->model);
    arena_release(r->a);
    return NULL;
}

bool job_call_rank(struct job *j, const struct mdl_descriptor *d, struct mdl_comm *comm, int rank) {
    struct rank r = {.j = j, .d = d, .comm = comm, .number = rank};
    run_rank(&r);
    return r.good;
}

/* ---- Threads ---- */

/* A model that lives whole everywhere is one rank's, and has no mesh. */
static bool run_all(struct job *j, const struct mdl_descriptor *d) {
    struct mdl_comm *comms[8] = {NULL};
    struct rank ranks[8] = {0};
    int count = d->mesh ? j->m->ranks : 1;
    bool good = true;
    if (d->mesh && d->distributed->comm_threads(count, comms)) return false;
    for (int i = 0; i < count; i++) {
        ranks[i] = (struct rank){.j = j, .d = d, .comm = comms[i], .number = i};
        if (pthread_create(&ranks[i].thread, NULL, run_rank, &ranks[i])) abort();
    }
    for (int i = 0; i < count; i++) {
        pthread_join(ranks[i].thread, NULL);
        good &= ranks[i].good;
    }
    for (int i = 0; i < count && d->mesh; i++) d->distributed->comm_close(comms[i]);
    return good;
}

enum verdict job_run_threads(struct job *j) {
    char folder[] = "/tmp/mdl-sharding-XXXXXX";
    if (!mkdtemp(folder)) return FAILED;
    const char *path = arena_printf(j->a, "%s/libt.so", folder),
               *header = arena_printf(j->a, "%s/t.h", folder);
    enum verdict v = job_compile(j, path);
    void *library = v == PASSED ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    const struct mdl_descriptor *d = library ? dlsym(library, "mdl_descriptor") : NULL;
    if (v == PASSED && !d) fprintf(stderr, "FAIL compiled: %s\n", dlerror());
    if (v == PASSED) v = d && run_all(j, d) ? PASSED : FAILED;
    if (library) dlclose(library);
    unlink(path);
    unlink(header);
    rmdir(folder);
    return v;
}
