/* A compiled model on the GPU: random inputs, timed calls, recorded ones. */
#include "tests/gpu/bench/ours.h"
#include "runtime/cuda.h"
#include "runtime/elements.h"
#include <stdlib.h>

static int64_t count_of(const struct ours *o, const struct mdl_tensor *t) {
    int64_t count = 1;
    for (uint32_t i = 0; i < t->rank; i++) count *= o->m.descriptor->extent(t->extents[i], o->dims);
    return count;
}

/* Floats in -1..1, integers in 0..9, always the same, also of the peers (peer.c). */
static void *random_tensor(const struct ours *o, const struct mdl_tensor *t) {
    const struct element_type *type = &element_types[t->dtype];
    int64_t count = count_of(o, t);
    char *data = measure_memory(count, type->bytes);
    uint32_t seed = 1;
    for (int64_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        long double value =
            type->class == ELEMENT_FLOAT ? (long double)(seed >> 8) / (1 << 23) - 1 : (seed >> 8) % 10;
        element_set(t->dtype, data, (size_t)i, value);
    }
    return data;
}

struct ours ours_open(const char *library, const struct option_list *list, const char *function) {
    struct ours o = {.m = measure_open(library, list), .dims = {1, 1, 1, 1}};
    o.function = measure_function(&o.m, function);
    const struct mdl_function *f = &o.m.descriptor->functions[o.function];
    if (f->dims_count > 4 || f->inputs_count > OURS_TENSORS || f->results_count > OURS_TENSORS)
        measure_fail("a function of fewer dims, inputs and results was expected");
    if (!o.m.descriptor->device) measure_fail("the library is not for a GPU");
    for (uint32_t i = 0; i < f->inputs_count; i++) o.inputs[i] = random_tensor(&o, &f->inputs[i]);
    for (uint32_t i = 0; i < f->results_count; i++)
        o.results[i] = measure_memory(count_of(&o, &f->results[i]), element_types[f->results[i].dtype].bytes);
    o.events = measure_memory(OURS_EVENTS, sizeof *o.events);
    return o;
}

void ours_close(struct ours *o) {
    for (int i = 0; i < OURS_TENSORS; i++) free(o->inputs[i]), free(o->results[i]);
    free(o->events);
    measure_close(&o->m);
}

double ours_call(struct ours *o) {
    double start = measure_now();
    if (o->m.api->call(o->m.session, o->function, o->dims, (const void *const *)o->inputs, o->results))
        measure_fail(o->m.api->error(o->m.session));
    return measure_now() - start;
}

double ours_kernels(struct ours *o) {
    uint64_t count = 0;
    double seconds = 0;
    o->m.api->trace(o->m.session, o->events, OURS_EVENTS, &count);
    ours_call(o);
    o->m.api->trace(o->m.session, NULL, 0, NULL);
    if (!count || count == OURS_EVENTS) measure_fail("the kernels of a call were not recorded, or not all");
    for (uint64_t i = 0; i < count; i++) seconds += 1e-9 * (double)(o->events[i].end - o->events[i].start);
    return seconds;
}

static struct cu_exec *last_graph(const struct device_session *on) {
    const struct cuda_graph *last = NULL;
    for (int i = 0; i < CUDA_GRAPHS; i++)
        if (on->graphs[i].exec && (!last || on->graphs[i].used > last->used)) last = &on->graphs[i];
    if (!last) measure_fail("no call has left a graph");
    return last->exec;
}

/* The library's runtime is of this build, so its structures are those of its headers. */
double ours_graph(struct ours *o) {
    const struct device_session *on = o->m.session->device;
    const struct device *device = o->m.model->device;
    const struct cuda_driver *d = &device->driver;
    struct cu_event *start, *end;
    float ms = 0;
    int code = d->cuCtxSetCurrent(device->context);
    if (!code) code = d->cuEventCreate(&start, 0);
    if (!code) code = d->cuEventCreate(&end, 0);
    if (!code) code = d->cuEventRecord(start, on->stream);
    if (!code) code = d->cuGraphLaunch(last_graph(on), on->stream);
    if (!code) code = d->cuEventRecord(end, on->stream);
    if (!code) code = d->cuEventSynchronize(end);
    if (!code) code = d->cuEventElapsedTime(&ms, start, end);
    if (!code) code = d->cuEventDestroy_v2(start);
    if (!code) code = d->cuEventDestroy_v2(end);
    if (code) measure_fail("the graph cannot be timed");
    return 1e-3 * (double)ms;
}
