/* A rank's place in its model's mesh: coordinates, groups, the dims of a call; opened and closed with the
 * model. */
#include "runtime/mesh.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

__attribute__((format(printf, 3, 4))) static int fail(const struct mdl_options *o, int status,
                                                      const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (o->error_size) vsnprintf(o->error, o->error_size, format, args);
    va_end(args);
    return status;
}

static int64_t mesh_size(const struct mdl_descriptor *d) {
    int64_t ranks = 1;
    for (uint32_t i = 0; i < d->axes_count; i++) ranks *= d->axes[i].size;
    return ranks;
}

/* The last axis varies fastest. */
static void find_coordinates(const struct mdl_descriptor *d, int64_t rank, int64_t *coordinates) {
    for (uint32_t i = d->axes_count; i-- > 0; rank /= d->axes[i].size)
        coordinates[i] = rank % d->axes[i].size;
}

static int64_t rank_at(const struct mdl_descriptor *d, const int64_t *coordinates) {
    int64_t rank = 0;
    for (uint32_t i = 0; i < d->axes_count; i++) rank = rank * d->axes[i].size + coordinates[i];
    return rank;
}

static uint32_t take_channels(struct mdl_comm *comm, uint32_t count) {
    comm->next_channel += count;
    return comm->next_channel - count;
}

/* Member i has the coordinates of this rank but for the group's axes: i's digits, the first axis' the major
 * one. */
static bool make_group(struct mesh *m, struct mesh_group *g, const struct mdl_group *axes) {
    const struct mdl_descriptor *d = m->model->descriptor;
    int64_t count = 1, at[MDL_MAX_AXES];
    for (uint32_t i = 0; i < axes->axes_count; i++) count *= d->axes[axes->axes[i]].size;
    *g = (struct mesh_group){.count = (int32_t)count, .channel = take_channels(m->comm, 2)};
    g->ranks = calloc((size_t)count, sizeof *g->ranks);
    if (!g->ranks) return false;
    memcpy(at, m->coordinates, sizeof at);
    for (int32_t member = 0; member < g->count; member++) {
        int64_t rest = member;
        for (uint32_t i = axes->axes_count; i-- > 0; rest /= d->axes[axes->axes[i]].size)
            at[axes->axes[i]] = rest % d->axes[axes->axes[i]].size;
        g->ranks[member] = (int32_t)rank_at(d, at);
        if (g->ranks[member] == m->rank) g->own = member;
    }
    return true;
}

static bool make_everybody(struct mesh *m) {
    struct mesh_group *g = &m->everybody;
    *g = (struct mesh_group){.count = m->ranks, .own = m->rank, .channel = take_channels(m->comm, 1)};
    g->ranks = calloc((size_t)m->ranks, sizeof *g->ranks);
    for (int32_t i = 0; g->ranks && i < m->ranks; i++) g->ranks[i] = i;
    return g->ranks != NULL;
}

/* Zeroed memory that a forked child goes on seeing: a watcher may say what its rank was waiting for when it
 * died. */
static void *shared_new(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static size_t operations_bytes(const struct mdl_descriptor *d) {
    return ((size_t)d->collectives_count + 1) * sizeof(struct operation);
}

static bool make_operations(struct mesh *m) {
    const struct mdl_descriptor *d = m->model->descriptor;
    m->operations = shared_new(operations_bytes(d));
    for (uint32_t i = 0; m->operations && i < d->collectives_count; i++) {
        m->operations[i].elements = calloc((size_t)d->collectives[i].tensors + 1, sizeof(uint64_t));
        if (!m->operations[i].elements) return false;
    }
    return m->operations != NULL;
}

static bool make_tables(struct mesh *m) {
    const struct mdl_descriptor *d = m->model->descriptor;
    size_t ranks = (size_t)m->ranks;
    m->groups_count = (int32_t)d->groups_count;
    m->groups = calloc((size_t)d->groups_count + 1, sizeof *m->groups);
    m->agreement.records = calloc(ranks, sizeof *m->agreement.records);
    m->agreement.transfers = calloc(2 * ranks, sizeof *m->agreement.transfers);
    m->agreement.under_way = calloc(2 * ranks, sizeof *m->agreement.under_way);
    m->inquiry.heard = calloc(ranks, sizeof *m->inquiry.heard);
    bool good = m->groups && m->agreement.records && m->agreement.transfers && m->agreement.under_way &&
                m->inquiry.heard && make_everybody(m) && make_operations(m);
    for (uint32_t i = 0; good && i < d->groups_count; i++) good = make_group(m, &m->groups[i], &d->groups[i]);
    return good;
}

/* The engine's library wants its groups made in the same order everywhere; done by the progress thread. */
static int make_library_groups(struct mesh *m, struct operation *o) {
    const struct mdl_comm_engine *e = m->comm->engine;
    (void)o;
    for (int32_t i = 0; i < m->groups_count; i++) {
        struct mesh_group *g = &m->groups[i];
        if ((g->count > 1 || m->devices) && e->group(m->comm, g->ranks, g->count, &g->library) < 0)
            return MDL_BROKEN;
    }
    return MDL_FINISHED;
}
static void no_cancel(struct mesh *m, struct operation *o) { (void)m, (void)o; }

static int make_groups(struct mesh *m, const struct mdl_options *o) {
    if (!m->use_library) return MDL_OK;
    m->grouping.advance = make_library_groups;
    m->grouping.cancel = no_cancel;
    m->grouping.group = &m->everybody;
    operation_start(m, &m->grouping);
    if (operation_await(m, &m->grouping)) return MDL_OK;
    mesh_is_dead(m, o->error, o->error_size);
    return MDL_PEER;
}

/* A mesh of one rank speaks to nobody, but through the same code. */
static int find_comm(struct mesh *m, const struct mdl_options *o) {
    const struct mdl_descriptor *d = m->model->descriptor;
    int64_t ranks = mesh_size(d) + d->first_rank;
    m->comm = o->comm;
    if (!m->comm && ranks == 1 && mdl_comm_threads(1, &m->own_comm) == MDL_OK) m->comm = m->own_comm;
    if (!m->comm)
        return fail(
            o, MDL_INVALID,
            "model %s is for a mesh of %lld ranks: open it with options.comm (mdl-run: --ranks=%lld, or "
            "mpirun -np %lld)",
            d->name, (long long)ranks, (long long)ranks, (long long)ranks);
    if (d->first_rank)
        return fail(o, MDL_UNSUPPORTED,
                    "model %s: its mesh begins at rank %u; only meshes from rank 0 on can be run", d->name,
                    d->first_rank);
    if (m->comm->size != ranks)
        return fail(o, MDL_INVALID, "model %s is for a mesh of %lld ranks, but there are %d", d->name,
                    (long long)ranks, m->comm->size);
    return MDL_OK;
}

static int check_tables(const struct mdl_descriptor *d, const struct mdl_options *o) {
    for (uint32_t i = 0; i < d->functions_count; i++)
        if (d->functions[i].dims_count > MESH_MOST_DIMS)
            return fail(o, MDL_UNSUPPORTED, "%s: has %u dims, but at most %d are possible over ranks",
                        d->functions[i].name, d->functions[i].dims_count, MESH_MOST_DIMS);
    return d->axes_count <= MDL_MAX_AXES
               ? MDL_OK
               : fail(o, MDL_UNSUPPORTED, "model %s: its mesh has too many axes", d->name);
}

/* What rings and packing do in host memory. */
static int check_engine(const struct mdl_descriptor *d, const struct mdl_comm *comm,
                        const struct mdl_options *o) {
    const char *engine = comm->engine->name;
    if (!comm->engine->devices && d->device && d->collectives_count)
        return fail(o, MDL_UNSUPPORTED,
                    "%s: moves memory of the host, but model %s runs on %s: give it a comm of mdl_comm_nccl",
                    engine, d->name, d->device->kind);
    if (!comm->engine->devices) return MDL_OK;
    if (o->algorithm == MDL_RING)
        return fail(o, MDL_UNSUPPORTED,
                    "%s: rings are for memory of the host; take the library's collectives", engine);
    for (uint32_t i = 0; i < d->collectives_count; i++)
        if (d->collectives[i].tensors > 1)
            return fail(o, MDL_UNSUPPORTED,
                        "%s: collective %u of model %s moves %u tensors together, which is done in memory of "
                        "the host only",
                        engine, i, d->name, d->collectives[i].tensors);
    return MDL_OK;
}

static void set_up(struct mesh *m, const struct mdl_options *o) {
    const struct mdl_comm_engine *e = m->comm->engine;
    m->rank = m->comm->rank;
    m->ranks = m->comm->size;
    m->timeout = o->timeout_ms < 0 ? INT64_MAX : (int64_t)(o->timeout_ms ? o->timeout_ms : 60000) * 1000000;
    m->devices = e->devices != 0;
    m->use_library = m->devices || (o->algorithm != MDL_RING && e->group && e->collective);
    find_coordinates(m->model->descriptor, m->rank, m->coordinates);
}

int mesh_open(struct mdl_model *model, const struct mdl_options *o) {
    struct mesh *m = shared_new(sizeof *m);
    if (!m) return fail(o, MDL_NO_MEMORY, "out of memory");
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&m->done, &monotonic);
    pthread_cond_init(&m->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    m->pid = getpid();
    m->model = model;
    model->mesh = m;
    atomic_init(&m->function, MESH_OPENING);
    int status = check_tables(model->descriptor, o);
    if (!status) status = find_comm(m, o);
    if (!status) status = check_engine(model->descriptor, m->comm, o);
    if (status) return status;
    set_up(m, o);
    if (!make_tables(m) || !progress_start(m)) return fail(o, MDL_NO_MEMORY, "out of memory");
    return MDL_OK;
}

int mesh_opened(struct mdl_model *model, const struct mdl_options *o, int status) {
    struct mesh *m = model->mesh;
    char error[512];
    const char *refused = o->error_size ? o->error : "it could not open the model";
    int agreed = mesh_agree(m, MESH_OPENING, status ? refused : NULL, error, sizeof error);
    if (status) return status;
    if (agreed) return fail(o, agreed, "%s", error);
    status = make_groups(m, o);
    m->opened = status == MDL_OK;
    return status;
}

/* All ranks leave together, so that none takes away what another still needs. */
static void part(struct mesh *m) {
    char why[512];
    if (!m->opened || mesh_is_dead(m, why, sizeof why)) return;
    atomic_store(&m->function, MESH_CLOSING);
    mesh_agree(m, MESH_CLOSING, NULL, why, sizeof why);
}

/* A forked child has no part in it: the mesh is its parent's, whose thread goes on working with it. */
void mesh_close(struct mdl_model *model) {
    struct mesh *m = model->mesh;
    if (!m || m->pid != getpid()) return;
    part(m);
    progress_stop(m);
    if (m->stuck) return; /* its thread has all of this */
    for (int32_t i = 0; m->groups && i < m->groups_count; i++) {
        if (m->groups[i].library) m->comm->engine->group_free(m->comm, m->groups[i].library);
        free(m->groups[i].ranks);
    }
    for (uint32_t i = 0; m->operations && i < model->descriptor->collectives_count; i++) {
        free(m->operations[i].elements);
        free(m->operations[i].memory);
    }
    free(m->groups);
    free(m->everybody.ranks);
    if (m->operations) munmap(m->operations, operations_bytes(model->descriptor));
    free(m->agreement.records);
    free(m->agreement.transfers);
    free(m->agreement.under_way);
    free(m->inquiry.heard);
    mdl_comm_close(m->own_comm);
    pthread_cond_destroy(&m->work);
    pthread_cond_destroy(&m->done);
    pthread_mutex_destroy(&m->lock);
    munmap(m, sizeof *m);
    model->mesh = NULL;
}
