/* What a call of a model with a mesh does besides walking its steps, and the table by which the rest of the
 * runtime, and tools, reach it: an ordinary model has no pointer to this table, so it links none of it. */
#include "runtime/mesh.h"
#include "runtime/sections.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int refuse(struct mdl_session *s, int status, const char *text) {
    snprintf(s->error, sizeof s->error, "%s", text);
    return status;
}

static int enter(struct mdl_session *s, uint32_t function) {
    struct mesh *m = s->model->mesh;
    char why[400], text[512];
    if (m->pid != getpid())
        return refuse(s, MDL_PEER, "a forked child is no rank: it cannot call a model that has a mesh");
    if (atomic_exchange(&m->busy, 1)) return MDL_BUSY;
    if (mesh_is_dead(m, why, sizeof why)) {
        atomic_store(&m->busy, 0);
        snprintf(text, sizeof text, "the ranks have parted: %s", why);
        return refuse(s, MDL_PEER, text);
    }
    m->serial++;
    m->agreed = false;
    atomic_store(&m->function, function);
    return MDL_OK;
}

static int wrong_dim(struct mdl_session *s, const struct mdl_function *f, uint32_t i, int64_t given) {
    const struct mdl_dim *d = &f->dims[i];
    if (given % d->unit == 0)
        snprintf(s->error, sizeof s->error, "%s: dim %s is %lld, outside %lld..%lld", f->name, d->name,
                 (long long)given, (long long)(d->min * d->unit), (long long)(d->max * d->unit));
    else
        snprintf(s->error, sizeof s->error,
                 "%s: dim %s is %lld, not a multiple of %lld, into which mesh %s splits it", f->name, d->name,
                 (long long)given, (long long)d->unit, s->model->descriptor->mesh);
    return MDL_INVALID;
}

static int full_dims(struct mdl_session *s, const struct mdl_function *f, const int64_t *given,
                     const int64_t **dims) {
    struct mesh *m = s->model->mesh;
    *dims = m->dims;
    for (uint32_t i = 0; i < f->dims_count; i++) {
        const struct mdl_dim *d = &f->dims[i];
        m->dims[i] = d->axis >= 0 ? m->coordinates[d->axis] : given[i] / d->unit;
        if (d->axis >= 0) continue;
        if (given[i] % d->unit || m->dims[i] < d->min || m->dims[i] > d->max)
            return wrong_dim(s, f, i, given[i]);
    }
    return MDL_OK;
}

static int agree(struct mdl_session *s) {
    struct mesh *m = s->model->mesh;
    int status = mesh_agree(m, atomic_load(&m->function), NULL, s->error, sizeof s->error);
    s->call.parted = status;
    return status;
}

static void start(struct mdl_session *s, const struct mdl_step *step, void *const *pointers) {
    collective_start(s->model->mesh, step, pointers, s->call.dims);
}

static void await(struct mdl_session *s, const struct mdl_step *step) {
    struct mesh *m = s->model->mesh;
    if (operation_await(m, &m->operations[step->kernel])) return;
    mesh_is_dead(m, s->error, sizeof s->error);
    s->call.parted = MDL_PEER;
}

/* A call that this rank alone has refused: before the agreement the others learn of it there, afterwards they
 * are stopped wherever they are. */
static int leave(struct mdl_session *s, int status) {
    struct mesh *m = s->model->mesh;
    char text[MESH_TEXT + 64];
    if (status && !m->agreed) {
        mesh_agree(m, atomic_load(&m->function), s->error, text, sizeof text);
    } else if (status && !s->call.parted) {
        snprintf(text, sizeof text, "rank %d: %.380s", m->rank, s->error);
        mesh_give_up(m, text);
    }
    atomic_store(&m->busy, 0);
    return status;
}

static const int64_t *coordinates(const struct mdl_model *model) { return model->mesh->coordinates; }

static void traffic(const struct mdl_model *model, struct mdl_traffic *t) {
    struct mesh *m = model->mesh;
    pthread_mutex_lock(&m->lock);
    *t = m->traffic;
    pthread_mutex_unlock(&m->lock);
}

static uint64_t waiting(const struct mdl_model *model, char *text, uint64_t size) {
    const struct operation *o = atomic_load(&model->mesh->awaited);
    return o ? mesh_describe(model->mesh, o, text, size) : 0;
}

void mdl_comm_close(struct mdl_comm *comm) {
    if (comm) comm->engine->close(comm);
}

static const struct distributed_calls calls = {
    .open = mesh_open,
    .opened = mesh_opened,
    .close = mesh_close,
    .enter = enter,
    .dims = full_dims,
    .agree = agree,
    .start = start,
    .await = await,
    .leave = leave,
    .coordinates = coordinates,
    .map_sections = sections_map,
    .has_weights = sections_have,
    .verify = sections_verify,
};

const struct mdl_distributed mdl_distributed = {
    .comm_threads = mdl_comm_threads,
    .comm_open = mdl_comm_open,
    .comm_nccl = mdl_comm_nccl,
    .comm_close = mdl_comm_close,
    .traffic = traffic,
    .waiting = waiting,
    .calls = &calls,
};
