/* A call on its stream: inputs in, each step's kernel with its parameters, results out. The stream may be
 * recording. */
#include "runtime/cuda.h"
#include <limits.h>

int64_t cuda_blocks(const struct mdl_session *s, const struct mdl_step *step) {
    const struct mdl_descriptor *d = s->model->descriptor;
    const struct mdl_launch *l = &d->device->launches[step->kernel];
    int64_t blocks = d->extent(step->blocks, s->call.dims);
    if (l->max_blocks && blocks > l->max_blocks) blocks = l->max_blocks;
    if (l->resident && blocks > s->model->device->resident[step->kernel]) blocks = s->model->device->resident[step->kernel];
    return blocks > 1 ? blocks : 1;
}

static uint64_t base_of(const struct mdl_session *s, const struct mdl_ref *r) {
    const struct device_session *on = s->device;
    switch ((enum mdl_space)r->space) {
    case MDL_ARENA:
        return on->arena.at;
    case MDL_WEIGHT:
        return s->model->device->weights.at;
    case MDL_STATE:
        return on->states.at;
    case MDL_INPUT:
        return on->exchange.at + on->layout.inputs[r->index];
    case MDL_RESULT:
        return on->exchange.at + on->layout.results[r->index];
    case MDL_COUNTER:
        return on->counters.at + (uint64_t)on->loop_counters[r->index] * sizeof(int32_t);
    }
    return 0;
}

uint64_t cuda_resolve(const struct mdl_session *s, const struct mdl_ref *r) {
    int64_t offset = r->offset;
    if (r->stride) offset += r->stride * s->device->loop_counters[r->loop];
    return base_of(s, r) + (uint64_t)offset;
}

/* As the ABI has them (struct mdl_launch). */
static void set_parameters(struct mdl_session *s, const struct mdl_step *step, uint32_t number) {
    struct device_session *on = s->device;
    uint64_t *next = on->values;
    for (uint32_t i = 0; i < step->refs; i++)
        *next++ = cuda_resolve(s, &s->model->descriptor->refs[step->first_ref + i]);
    for (uint32_t i = 0; i < s->call.function->dims_count; i++) *next++ = (uint64_t)s->call.dims[i];
    *next++ = on->scratch.at + CUDA_JOIN_BYTES;
    *next++ = on->exchange.at + on->layout.failure;
    *next++ = number;
    void **parameter = on->parameters;
    for (uint64_t *value = on->values; value < next; value++) *parameter++ = value;
    for (uint32_t i = 0; i < s->model->descriptor->device->launches[step->kernel].maps_count; i++)
        *parameter++ = on->maps + (size_t)i * MDL_MAP_BYTES;
}

static int launch(struct cuda_visit *v, struct mdl_session *s, uint32_t number) {
    const struct mdl_step *step = &s->call.plan->variant->steps[number];
    const struct mdl_launch *l = &s->model->descriptor->device->launches[step->kernel];
    int64_t blocks = cuda_blocks(s, step);
    if (blocks > INT_MAX)
        return cuda_fail(v, MDL_UNSUPPORTED, "kernel %s needs %lld thread blocks, more than there can be",
                         step->name, (long long)blocks);
    int status = cuda_encode_maps(v, s, step);
    if (status) return status;
    set_parameters(s, step, number);
    int code =
        v->device->driver.cuLaunchKernel(v->device->kernels[step->kernel], (unsigned)blocks, 1, 1, l->threads,
                                         1, 1, l->shared, s->device->stream, s->device->parameters, NULL);
    return cuda_check(v, code, "kernel %s of %s:%u:%u cannot be launched", l->name,
                      s->model->descriptor->source, step->line, step->column);
}

static int run_step(struct cuda_visit *v, struct mdl_session *s, uint32_t at, cuda_after_step *each) {
    const struct plan_step *p = &s->call.plan->steps[at];
    if (p->start || p->await) return cuda_talk(v, s, at);
    int status = launch(v, s, at);
    if (!status && each) status = each(v, s, at);
    return status || !p->agree ? status : cuda_agree(v, s);
}

static int run_steps(struct cuda_visit *v, struct mdl_session *s, cuda_after_step *each) {
    const struct mdl_variant *variant = s->call.plan->variant;
    int status = MDL_OK;
    for (uint32_t at = 0; at < variant->steps_count && !status; at++) {
        uint32_t kind = variant->steps[at].kind;
        if (kind == MDL_STEP_LOOP || kind == MDL_STEP_END)
            at = call_turn(s, at, s->device->loop_counters, s->device->loop_ends);
        else
            status = run_step(v, s, at, each);
    }
    return status;
}

int cuda_enqueue(struct cuda_visit *v, struct mdl_session *s, cuda_after_step *each) {
    const struct cuda_driver *d = &v->device->driver;
    const struct device_session *on = s->device;
    const struct cuda_layout *l = &on->layout;
    int code = d->cuMemcpyHtoDAsync_v2(on->exchange.at, on->staging, l->failure + sizeof(struct cuda_failure),
                                       on->stream);
    int status = cuda_check(v, code, "the inputs cannot be copied to it");
    if (!status && each) status = each(v, s, CUDA_BEFORE_STEPS);
    if (!status) status = run_steps(v, s, each);
    if (status) return status;
    code = d->cuMemcpyDtoHAsync_v2(on->staging + l->failure, on->exchange.at + l->failure,
                                   l->bytes - l->failure, on->stream);
    return cuda_check(v, code, "the results cannot be copied from it");
}
