/* What a call of a model with a mesh does between its kernels. Collectives are the engine's, on a stream of
 * its own, so the session's stream is waited for before one begins; such calls are not recorded as graphs.
 *
 *     stream:  k0 ─ k1 ─┐             ┌─ k2 …
 *     host:             wait ─ start … await
 *     engine:                 └─ all_reduce ─┘
 */
#include "runtime/cuda.h"

/* All kernels so far are done, and no guard has failed. */
static int stand_still(struct cuda_visit *v, struct mdl_session *s) {
    const struct device_session *on = s->device;
    size_t at = on->layout.failure;
    int code = v->device->driver.cuMemcpyDtoHAsync_v2(on->staging + at, on->exchange.at + at,
                                                      sizeof(struct cuda_failure), on->stream);
    int end = cuda_wait(v, on->stream);
    int status = cuda_check(v, code ? code : end, "a kernel of %s failed", s->call.function->name);
    return status ? status : cuda_look_at_guards(v, s);
}

int cuda_agree(struct cuda_visit *v, struct mdl_session *s) {
    int status = stand_still(v, s);
    return status ? status : others_of(s->model)->agree(s);
}

static int start(struct cuda_visit *v, struct mdl_session *s, uint32_t number) {
    const struct plan *p = s->call.plan;
    const struct mdl_step *step = &p->variant->steps[number];
    void **buffers = s->device->buffers + p->table + p->steps[number].buffers;
    int status = stand_still(v, s);
    if (status) return status;
    for (uint32_t i = 0; i < step->refs; i++)
        buffers[i] = (void *)(uintptr_t)cuda_resolve(s, &s->model->descriptor->refs[step->first_ref + i]);
    others_of(s->model)->start(s, step, buffers);
    return MDL_OK;
}

int cuda_talk(struct cuda_visit *v, struct mdl_session *s, uint32_t number) {
    if (s->call.plan->steps[number].start) return start(v, s, number);
    others_of(s->model)->await(s, &s->call.plan->variant->steps[number]);
    return s->call.parted;
}

/* A rank has only its own sections of the weights; the rest of the image cannot be read. */
int cuda_upload_weights(struct cuda_visit *v, const struct mdl_model *m, struct cu_stream *stream) {
    const struct mdl_descriptor *d = m->descriptor;
    const struct distributed_calls *others = others_of(m);
    int status = MDL_OK;
    if (!m->weights.image)
        return cuda_upload(v, v->device->weights.at, m->weights.data, (size_t)d->weights_bytes, stream);
    for (uint32_t i = 0; i < d->sections_count && !status; i++) {
        const struct mdl_section *s = &d->sections[i];
        if (!others->has_weights(d, others->coordinates(m), s->image_offset, s->bytes)) continue;
        status = cuda_upload(v, v->device->weights.at + (uint64_t)s->image_offset,
                             m->weights.data + s->image_offset, (size_t)s->bytes, stream);
    }
    return status;
}
