/* Whether all ranks are about to do the same: each sends its record to each other, and all come to the same
 * conclusion from the same records. Nothing has changed yet when it is negative, so that the next call may
 * go well.
 *
 *     rank 0: {forward, S=7}  ─┐
 *     rank 1: {forward, S=8}  ─┼─► on all: "forward: rank 1 has S = 8, rank 0 has S = 7"
 *     rank 2: {forward, S=7}  ─┘ */
#include "runtime/mesh.h"
#include <stdio.h>
#include <string.h>

static int agree_begin(struct mesh *m, struct agreement *a) {
    const struct mdl_comm_engine *e = m->comm->engine;
    struct record *own = &a->records[m->rank];
    for (int32_t i = 0; i < m->ranks; i++) {
        if (i == m->rank) continue;
        if (e->receive(m->comm, i, m->everybody.channel, &a->records[i], sizeof *own, &a->transfers[i]) < 0)
            return MDL_BROKEN;
        a->under_way[i] = true;
    }
    for (int32_t i = 0; i < m->ranks; i++) {
        int32_t to = (m->rank + i) % m->ranks, at = m->ranks + to;
        if (to == m->rank) continue;
        if (e->send(m->comm, to, m->everybody.channel, own, sizeof *own, &a->transfers[at]) < 0)
            return MDL_BROKEN;
        a->under_way[at] = true;
        mesh_count(m, MDL_COLLECTIVE_KINDS, sizeof *own);
    }
    return MDL_UNDER_WAY;
}

static int agree_advance(struct mesh *m, struct operation *o) {
    struct agreement *a = (struct agreement *)o;
    if (!o->begun && agree_begin(m, a) < 0) return MDL_BROKEN;
    o->begun = true;
    int status = MDL_FINISHED;
    for (int32_t i = 0; i < 2 * m->ranks; i++) {
        if (!a->under_way[i]) continue;
        int one = m->comm->engine->test(m->comm, &a->transfers[i]);
        if (one != MDL_UNDER_WAY) a->under_way[i] = false;
        if (one == MDL_BROKEN) return MDL_BROKEN;
        if (one == MDL_UNDER_WAY) status = MDL_UNDER_WAY;
    }
    return status;
}

static void agree_cancel(struct mesh *m, struct operation *o) {
    struct agreement *a = (struct agreement *)o;
    for (int32_t i = 0; i < 2 * m->ranks; i++) {
        if (a->under_way[i]) m->comm->engine->cancel(m->comm, &a->transfers[i]);
        a->under_way[i] = false;
    }
}

static const char *does(const struct mesh *m, const struct record *r) {
    const struct mdl_descriptor *d = m->model->descriptor;
    if (r->function == MESH_OPENING) return "opens the model";
    if (r->function == MESH_CLOSING) return "closes the model";
    return r->function < d->functions_count ? d->functions[r->function].name
                                            : "a function that is not in the model";
}

/* The caller's value of dim `i`. */
static long long dim_of(const struct mesh *m, const struct record *r, uint32_t i) {
    return (long long)(r->dims[i] * m->model->descriptor->functions[r->function].dims[i].unit);
}

/* How `b`, which rank `other` has sent, differs from rank 0's `a`; false: it does not. */
static bool differs(const struct mesh *m, const struct record *a, const struct record *b, int32_t other,
                    char *text, size_t size) {
    const struct mdl_descriptor *d = m->model->descriptor;
    if (memcmp(a->build_id, b->build_id, sizeof a->build_id)) {
        snprintf(text, size, "%s: rank %d has another build of the model than rank 0", d->name, other);
        return true;
    }
    if (a->function != b->function || a->dims_count != b->dims_count || a->serial != b->serial) {
        bool same = a->function == b->function;
        snprintf(text, size, "%s: the ranks differ in what they do: rank %d %s%s%s, rank 0 %s%s%s", d->name,
                 other, b->function < MESH_CLOSING ? "calls " : "", does(m, b), same ? " (another call)" : "",
                 a->function < MESH_CLOSING ? "calls " : "", does(m, a), "");
        return true;
    }
    for (uint32_t i = 0; i < a->dims_count; i++)
        if (a->dims[i] != b->dims[i]) {
            const struct mdl_function *f = &d->functions[a->function];
            snprintf(text, size, "%s: the ranks' dims differ: rank %d has %s = %lld, rank 0 has %s = %lld",
                     f->name, other, f->dims[i].name, dim_of(m, b, i), f->dims[i].name, dim_of(m, a, i));
            return true;
        }
    return false;
}

/* The same on every rank, as all have the same records; the lowest rank that refuses is named. */
static int conclude(const struct mesh *m, char *error, size_t size) {
    const struct record *records = m->agreement.records;
    for (int32_t i = 0; i < m->ranks; i++) {
        if (!records[i].refused) continue;
        if (!records[m->rank].refused)
            snprintf(error, size, "rank %d %s: %s", i,
                     records[i].function == MESH_OPENING ? "cannot open the model" : "has refused the call",
                     records[i].text);
        return MDL_INVALID;
    }
    for (int32_t i = 1; i < m->ranks; i++)
        if (differs(m, &records[0], &records[i], i, error, size)) return MDL_INVALID;
    return MDL_OK;
}

static void fill(struct mesh *m, struct record *r, uint32_t function, const char *refused) {
    const struct mdl_descriptor *d = m->model->descriptor;
    *r = (struct record){.serial = m->serial, .function = function, .refused = refused != NULL};
    memcpy(r->build_id, d->build_id, sizeof r->build_id);
    if (refused) snprintf(r->text, sizeof r->text, "%s", refused);
    if (refused || function >= d->functions_count) return;
    r->dims_count = d->functions[function].given_dims;
    memcpy(r->dims, m->dims, r->dims_count * sizeof *r->dims);
}

int mesh_agree(struct mesh *m, uint32_t function, const char *refused, char *error, size_t size) {
    struct agreement *a = &m->agreement;
    a->operation.advance = agree_advance;
    a->operation.cancel = agree_cancel;
    a->operation.group = &m->everybody;
    m->agreed = true;
    fill(m, &a->records[m->rank], function, refused);
    operation_start(m, &a->operation);
    bool good = operation_await(m, &a->operation);
    if (good) return conclude(m, error, size);
    mesh_is_dead(m, error, size);
    return MDL_PEER;
}
