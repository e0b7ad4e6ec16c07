/* A session on a GPU: its stream, arena and states. What depends on a call's dims comes with the calls. */
#include "runtime/cuda.h"
#include <stdlib.h>
#include <string.h>

static int set_initial_states(struct cuda_visit *v, struct mdl_session *s) {
    const struct mdl_descriptor *d = s->model->descriptor;
    const struct cuda_driver *driver = &v->device->driver;
    struct device_session *on = s->device;
    int code = on->states.at ? driver->cuMemsetD8Async(on->states.at, 0, on->states.bytes, on->stream) : 0;
    for (uint32_t i = 0; i < d->states_count && !code; i++) {
        const struct mdl_state *state = &d->states[i];
        if (state->initial >= 0 && state->bytes > 0 &&
            session_has_weights(s->model, state->initial, state->bytes))
            code = driver->cuMemcpyDtoDAsync_v2(on->states.at + (uint64_t)state->offset,
                                                v->device->weights.at + (uint64_t)state->initial,
                                                (size_t)state->bytes, on->stream);
    }
    int end = cuda_wait(v, on->stream);
    return cuda_check(v, code ? code : end, "the states cannot be given their initial values");
}

struct most {
    size_t refs, dims, inputs, results, maps;
};

static void keep(size_t *most, size_t n) {
    if (n > *most) *most = n;
}

static struct most find_most(const struct mdl_descriptor *d) {
    struct most m = {0};
    for (uint32_t i = 0; i < d->functions_count; i++) {
        const struct mdl_function *f = &d->functions[i];
        keep(&m.dims, f->dims_count);
        keep(&m.inputs, f->inputs_count);
        keep(&m.results, f->results_count);
        for (uint32_t j = 0; j < f->variants_count; j++)
            for (uint32_t k = 0; k < f->variants[j].steps_count; k++)
                keep(&m.refs, f->variants[j].steps[k].refs);
    }
    for (uint32_t i = 0; i < d->kernels_count; i++) keep(&m.maps, d->device->launches[i].maps_count);
    return m;
}

enum { OTHER_PARAMETERS = 3 }; /* scratch, failure, the step's number */

/* All that calls write to in the host's memory, but for staging. */
static bool make_tables(struct device_session *on, const struct mdl_model *m) {
    struct most most = find_most(m->descriptor);
    size_t values = most.refs + most.dims + OTHER_PARAMETERS;
    on->values = calloc(values, sizeof *on->values);
    on->parameters = calloc(values + most.maps, sizeof *on->parameters);
    on->maps = aligned_alloc(MDL_MAP_ALIGN, (most.maps + 1) * MDL_MAP_BYTES);
    on->loop_counters = calloc((size_t)m->most_loops + 1, sizeof *on->loop_counters);
    on->loop_ends = calloc((size_t)m->most_loops + 1, sizeof *on->loop_ends);
    on->buffers = calloc(m->mesh ? m->pointers + 1 : 1, sizeof *on->buffers);
    on->graph_dims = calloc(CUDA_GRAPHS * (most.dims + 1), sizeof *on->graph_dims);
    on->layout.inputs = calloc(2 * (most.inputs + most.results) + 1, sizeof *on->layout.inputs);
    if (on->maps) memset(on->maps, 0, (most.maps + 1) * MDL_MAP_BYTES);
    bool good = on->values && on->parameters && on->maps && on->loop_counters && on->loop_ends && on->buffers &&
                on->graph_dims && on->layout.inputs;
    if (!good) return false;
    on->layout.results = on->layout.inputs + most.inputs;
    on->layout.input_bytes = on->layout.results + most.results;
    on->layout.result_bytes = on->layout.input_bytes + most.inputs;
    for (int i = 0; i < CUDA_GRAPHS; i++) on->graphs[i].dims = on->graph_dims + (size_t)i * most.dims;
    return true;
}

static int take_memory(struct cuda_visit *v, struct mdl_session *s) {
    struct device_session *on = s->device;
    int code = v->device->driver.cuStreamCreate(&on->stream, CU_STREAM_NON_BLOCKING);
    if (code) on->stream = NULL;
    int status = cuda_check(v, code, "a stream for the session");
    if (!status) status = cuda_allocate(v, &on->arena, (size_t)s->model->arena_bytes, "the arena");
    if (!status)
        status = cuda_allocate(v, &on->states, (size_t)s->model->descriptor->state_bytes, "the states");
    return status ? status : set_initial_states(v, s);
}

int cuda_session_new(struct mdl_session *s) {
    struct cuda_visit v;
    int status = cuda_enter(&v, s);
    if (status) return status;
    s->device = calloc(1, sizeof *s->device);
    if (!s->device || !make_tables(s->device, s->model))
        status = cuda_fail(&v, MDL_NO_MEMORY, "out of memory");
    else
        status = take_memory(&v, s);
    cuda_leave(&v);
    return status;
}

static void free_device_memory(struct cuda_visit *v, struct device_session *on) {
    const struct cuda_driver *d = &v->device->driver;
    for (size_t i = 0; i < on->events_count; i++) d->cuEventDestroy_v2(on->events[i]);
    cuda_drop_graphs(v, on);
    cuda_free(v, &on->arena);
    cuda_free(v, &on->states);
    cuda_free(v, &on->scratch);
    cuda_free(v, &on->counters);
    cuda_free(v, &on->exchange);
    if (on->staging) d->cuMemFreeHost(on->staging);
    if (on->stream) d->cuStreamDestroy_v2(on->stream);
}

void cuda_session_free(struct mdl_session *s) {
    struct device_session *on = s->device;
    struct cuda_visit v;
    bool entered = !cuda_enter(&v, s);
    free_device_memory(&v, on); /* tried in any case: there will be no other time */
    if (entered) cuda_leave(&v);
    free(on->events);
    free(on->values);
    free(on->parameters);
    free(on->maps);
    free(on->loop_counters);
    free(on->loop_ends);
    free(on->buffers);
    free(on->graph_dims);
    free(on->layout.inputs);
    free(on);
    s->device = NULL;
}

int cuda_session_reset(struct mdl_session *s) {
    struct cuda_visit v;
    int status = cuda_enter(&v, s);
    if (status) return status;
    status = set_initial_states(&v, s);
    cuda_leave(&v);
    return status;
}

int cuda_read_states(struct mdl_session *s, char *to) {
    struct cuda_visit v;
    int status = cuda_enter(&v, s);
    if (status) return status;
    status = cuda_download(&v, to, s->device->states.at, s->device->states.bytes, s->device->stream);
    cuda_leave(&v);
    return status;
}

int cuda_write_states(struct mdl_session *s, const char *from) {
    struct cuda_visit v;
    int status = cuda_enter(&v, s);
    if (status) return status;
    status = cuda_upload(&v, s->device->states.at, from, s->device->states.bytes, s->device->stream);
    cuda_leave(&v);
    return status;
}

void cuda_memory(const struct mdl_session *s, struct mdl_memory *m) {
    const struct device_session *on = s->device;
    *m = (struct mdl_memory){.arena = (int64_t)on->arena.bytes,
                             .scratch = (int64_t)on->scratch.bytes,
                             .states = (int64_t)on->states.bytes,
                             .buffers = (int64_t)(on->exchange.bytes + on->counters.bytes),
                             .weights = (int64_t)s->model->device->weights.bytes};
}
