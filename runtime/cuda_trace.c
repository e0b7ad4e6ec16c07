/* A call with the time of each kernel, without a graph: an event of the driver's before the first kernel and
 * behind each. A kernel's time is that from the end of the one before it to its own. */
#include "runtime/cuda.h"
#include <stdlib.h>

/* The session's event number `at`, made if it is new. */
static int find_event(struct cuda_visit *v, struct device_session *on, size_t at, struct cu_event **event) {
    if (at == on->events_count) {
        struct cu_event **more = realloc(on->events, (at + 1) * sizeof(struct cu_event *));
        if (!more) return cuda_fail(v, MDL_NO_MEMORY, "out of memory");
        on->events = more;
        int code = v->device->driver.cuEventCreate(&on->events[at], 0);
        if (code) return cuda_check(v, code, "an event for a trace");
        on->events_count++;
    }
    *event = on->events[at];
    return MDL_OK;
}

/* As many kernels are noted as there is room for. */
static int mark(struct cuda_visit *v, struct mdl_session *s, uint32_t step) {
    struct device_session *on = s->device;
    struct cu_event *event = NULL;
    if (step != CUDA_BEFORE_STEPS) {
        uint64_t n = atomic_load_explicit(&s->events_used, memory_order_relaxed);
        if (n >= s->events_capacity) return MDL_OK;
        s->events[n] = (struct mdl_event){step, 0, &s->call.plan->variant->steps[step], 0, 0};
        atomic_store_explicit(&s->events_used, n + 1, memory_order_relaxed);
    }
    int status = find_event(v, on, on->marks, &event);
    if (!status)
        status = cuda_check(v, v->device->driver.cuEventRecord(event, on->stream), "an event for a trace");
    on->marks++;
    return status;
}

/* The events' times, which are relative, from `start` on. */
static int read_times(struct cuda_visit *v, struct mdl_session *s, uint64_t first, int64_t start) {
    const struct device_session *on = s->device;
    for (size_t i = 1; i < on->marks; i++) {
        float ms = 0;
        int code = v->device->driver.cuEventElapsedTime(&ms, on->events[i - 1], on->events[i]);
        if (code) return cuda_check(v, code, "the time of a kernel");
        int64_t end = start + (int64_t)((double)ms * 1e6);
        s->events[first + i - 1].start = start;
        s->events[first + i - 1].end = end;
        start = end;
    }
    return MDL_OK;
}

int cuda_run_traced(struct cuda_visit *v, struct mdl_session *s) {
    uint64_t first = atomic_load_explicit(&s->events_used, memory_order_relaxed);
    int64_t start = call_now();
    s->device->marks = 0;
    int status = cuda_enqueue(v, s, mark);
    if (!status)
        status =
            cuda_check(v, cuda_wait(v, s->device->stream), "a kernel of %s failed", s->call.function->name);
    return status ? status : read_times(v, s, first, start);
}
