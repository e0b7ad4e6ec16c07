/* A collective of the model, from its step to a ring or the engine's library.
 *
 *     one tensor:   operand ────────────────────────────► ring ─► result
 *     a bundle:     operands ─► packed, member by member ─► ring ─► packed ─► results */
#include "runtime/mesh.h"
#include "runtime/reduce.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool by_member(uint32_t kind, bool in) {
    return kind == MDL_ALL_TO_ALL || kind == (in ? MDL_REDUCE_SCATTER : MDL_ALL_GATHER);
}

/* Between a bundle's tensors and their packed form: [rows][all tensors' elements]. */
static void pack(struct operation *o, char *packed, bool in) {
    uint64_t size = reduce_bytes[o->what->dtype], row = o->ring.elements * size, at = 0;
    uint64_t rows = by_member(o->what->kind, in) ? (uint64_t)o->group->count : 1;
    bool receives = o->what->kind == MDL_RECEIVE;
    void *const *tensors = o->pointers + (in || receives ? 0 : o->what->tensors);
    for (uint32_t t = 0; t < o->what->tensors; t++) {
        uint64_t bytes = o->elements[t] * size;
        for (uint64_t r = 0; r < rows && bytes; r++) {
            char *tensor = (char *)tensors[t] + r * bytes, *place = packed + r * row + at;
            memcpy(in ? place : tensor, in ? tensor : place, bytes);
        }
        at += bytes;
    }
}

static bool reserve(struct operation *o, uint64_t bytes) {
    if (bytes <= o->memory_bytes) return true;
    free(o->memory);
    o->memory = malloc(bytes);
    o->memory_bytes = o->memory ? bytes : 0;
    return o->memory != NULL;
}

static uint64_t aligned(uint64_t bytes) { return (bytes + MDL_ALIGN - 1) / MDL_ALIGN * MDL_ALIGN; }

/* Where the ring reads and writes; its scratch. False: no memory. */
static bool place(struct operation *o) {
    struct ring *r = &o->ring;
    bool bundle = o->what->tensors > 1, sends = o->what->kind == MDL_SEND,
         receives = o->what->kind == MDL_RECEIVE;
    uint64_t scratch = aligned(ring_scratch(r)), in = bundle ? aligned(ring_in_bytes(r)) : 0,
             out = bundle ? aligned(ring_out_bytes(r)) : 0;
    if (!reserve(o, scratch + in + out)) return false;
    r->scratch = o->memory;
    r->in = bundle ? o->memory + scratch : receives ? NULL : o->pointers[0];
    r->out = bundle ? o->memory + scratch + in : sends ? NULL : o->pointers[receives ? 0 : 1];
    if (bundle && !receives) pack(o, o->memory + scratch, true);
    return true;
}

/* Hands it to the engine's library; false: that does not have it. */
static bool begin_library(struct mesh *m, struct operation *o, int *status) {
    const struct mdl_comm_engine *e = m->comm->engine;
    const struct ring *r = &o->ring;
    struct mdl_library_collective c = {r->kind, r->dtype,    r->reduction, r->count, r->own,
                                       0,       r->elements, r->in,        r->out,   r->peers};
    bool good = m->use_library && o->group->library && r->elements && (r->count > 1 || m->devices);
    if (!good) return false;
    *status = e->collective(m->comm, o->group->library, &c, &o->transfer);
    o->library = *status == MDL_UNDER_WAY;
    return *status != MDL_FINISHED;
}

/* What is handed to the library counts as what a ring would send: the payload. */
static uint64_t library_bytes(const struct ring *r) {
    uint64_t n = (uint64_t)r->count, part = r->elements * reduce_bytes[r->dtype];
    switch ((enum mdl_collective_kind)r->kind) {
    case MDL_ALL_REDUCE:
        return 2 * part * (n - 1) / n;
    case MDL_PERMUTE:
        return r->peers[r->own] < 0 || r->peers[r->own] == r->own ? 0 : part;
    case MDL_SEND:
        return part;
    case MDL_RECEIVE:
        return 0;
    default:
        return part * (n - 1);
    }
}

static int begin(struct mesh *m, struct operation *o) {
    int status = MDL_UNDER_WAY;
    o->begun = true;
    o->library = false;
    if (!begin_library(m, o, &status)) ring_begin(&o->ring);
    return status;
}

static int advance(struct mesh *m, struct operation *o) {
    int status = o->begun ? MDL_UNDER_WAY : begin(m, o);
    if (status < 0) return status;
    status = o->library ? m->comm->engine->test(m->comm, &o->transfer) : ring_advance(&o->ring);
    if (status != MDL_FINISHED) return status;
    mesh_count(m, o->what->kind, o->library ? library_bytes(&o->ring) : o->ring.sent);
    if (o->what->tensors > 1 && o->what->kind != MDL_SEND) pack(o, o->ring.out, false);
    return status;
}

static void cancel(struct mesh *m, struct operation *o) {
    if (o->begun && o->library)
        m->comm->engine->cancel(m->comm, &o->transfer);
    else if (o->begun)
        ring_cancel(&o->ring);
}

void collective_start(struct mesh *m, const struct mdl_step *s, void *const *pointers, const int64_t *dims) {
    const struct mdl_descriptor *d = m->model->descriptor;
    struct operation *o = &m->operations[s->kernel];
    const struct mdl_collective *what = &d->collectives[s->kernel];
    struct mesh_group *g = &m->groups[what->group];
    operation_await(m, o);
    o->advance = advance;
    o->cancel = cancel;
    o->step = s;
    o->what = what;
    o->group = g;
    o->pointers = pointers;
    uint64_t elements = 0;
    for (uint32_t t = 0; t < what->tensors; t++) {
        int64_t n = d->extent(what->elements[t], dims);
        o->elements[t] = n > 0 ? (uint64_t)n : 0;
        elements += o->elements[t];
    }
    o->ring = (struct ring){.comm = m->comm,
                            .members = g->ranks,
                            .count = g->count,
                            .own = g->own,
                            .channel = g->channel + (what->kind >= MDL_SEND),
                            .kind = what->kind,
                            .dtype = what->dtype,
                            .reduction = what->reduction,
                            .elements = elements,
                            .peers = what->peers};
    if (!place(o)) {
        char text[MESH_TEXT];
        size_t length = mesh_describe(m, o, text, sizeof text);
        snprintf(text + length, sizeof text - length, ": out of memory");
        mesh_give_up(m, text);
    }
    operation_start(m, o);
}
