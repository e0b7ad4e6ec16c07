/* What a call needs of memory besides arena and states. The exchange holds its inputs and results, laid out
 * for the call's dims, so that one copy brings all in and one takes all out; staging is the same in
 * page-locked memory:
 *
 *     input 0 │ input 1 │ … │ failure │ result 0 │ result 1 │ …         each at a multiple of MDL_ALIGN
 *     ├──────── copied in ───────────┤
 *                           ├──────── copied out ─────────────┤
 *
 * Memory only grows; when it does its address changes, and recorded graphs, which hold addresses, are
 * dropped. */
#include "runtime/cuda.h"
#include "runtime/reduce.h"
#include <string.h>

static size_t bytes_of(const struct mdl_session *s, const struct mdl_tensor *t) {
    size_t bytes = reduce_bytes[t->dtype];
    for (uint32_t i = 0; i < t->rank; i++) {
        int64_t n = s->model->descriptor->extent(t->extents[i], s->call.dims);
        bytes *= n > 0 ? (size_t)n : 0;
    }
    return bytes;
}

static size_t place(size_t *end, size_t bytes) {
    size_t at = *end;
    *end += (bytes + MDL_ALIGN - 1) / MDL_ALIGN * MDL_ALIGN;
    return at;
}

void cuda_lay_out(struct mdl_session *s) {
    struct cuda_layout *l = &s->device->layout;
    const struct mdl_function *f = s->call.function;
    size_t end = 0;
    for (uint32_t i = 0; i < f->inputs_count; i++)
        l->inputs[i] = place(&end, l->input_bytes[i] = bytes_of(s, &f->inputs[i]));
    l->failure = place(&end, sizeof(struct cuda_failure));
    for (uint32_t i = 0; i < f->results_count; i++)
        l->results[i] = place(&end, l->result_bytes[i] = bytes_of(s, &f->results[i]));
    l->bytes = end;
}

void cuda_put_inputs(struct mdl_session *s) {
    struct device_session *on = s->device;
    const struct cuda_layout *l = &on->layout;
    for (uint32_t i = 0; i < s->call.function->inputs_count; i++)
        if (l->input_bytes[i]) memcpy(on->staging + l->inputs[i], s->call.inputs[i], l->input_bytes[i]);
    memset(on->staging + l->failure, 0, sizeof(struct cuda_failure));
}

void cuda_take_results(struct mdl_session *s) {
    struct device_session *on = s->device;
    const struct cuda_layout *l = &on->layout;
    for (uint32_t i = 0; i < s->call.function->results_count; i++)
        if (l->result_bytes[i]) memcpy(s->call.results[i], on->staging + l->results[i], l->result_bytes[i]);
}

/* The largest scratch of a step, and the longest loop. */
struct needs {
    size_t scratch;
    int64_t turns;
};

static struct needs find_needs(const struct mdl_session *s) {
    const struct mdl_descriptor *d = s->model->descriptor;
    const struct mdl_variant *variant = s->call.plan->variant;
    struct needs n = {0};
    for (uint32_t i = 0; i < variant->steps_count; i++) {
        const struct mdl_step *step = &variant->steps[i];
        if (step->kind == MDL_STEP_LOOP) {
            int64_t turns = d->extent(step->count, s->call.dims);
            if (turns > n.turns) n.turns = turns;
        } else if (step->kind == MDL_STEP_KERNEL || step->kind == MDL_STEP_GUARD) {
            const struct mdl_launch *l = &d->device->launches[step->kernel];
            size_t block = l->threads / 32 * (size_t)l->scratch + l->part;
            size_t scratch = CUDA_JOIN_BYTES + (size_t)cuda_blocks(s, step) * block;
            if (block && scratch > n.scratch) n.scratch = scratch;
        }
    }
    return n;
}

/* 0, 1, 2, …: what a reference to a loop's counter points into. */
static int fill_counters(struct cuda_visit *v, struct device_session *on) {
    int32_t numbers[1024];
    enum { PIECE = sizeof numbers / sizeof *numbers };
    int status = MDL_OK;
    for (size_t at = 0, n = on->counters.bytes / sizeof *numbers; at < n && !status; at += PIECE) {
        size_t some = n - at < PIECE ? n - at : PIECE;
        for (size_t i = 0; i < some; i++) numbers[i] = (int32_t)(at + i);
        status = cuda_upload(v, on->counters.at + at * sizeof *numbers, (const char *)numbers,
                             some * sizeof *numbers, on->stream);
    }
    return status;
}

static int reserve_counters(struct cuda_visit *v, struct device_session *on, int64_t turns) {
    enum { LEAST = 1024 };
    size_t wanted = (size_t)(turns > LEAST ? turns : LEAST) * sizeof(int32_t);
    if (!turns || wanted <= on->counters.bytes) return MDL_OK;
    int status = cuda_grow(v, &on->counters, wanted, "the counters of loops");
    if (!status) status = fill_counters(v, on);
    if (status) cuda_free(v, &on->counters);
    return status;
}

static int reserve_exchange(struct cuda_visit *v, struct device_session *on) {
    const struct cuda_driver *d = &v->device->driver;
    if (on->layout.bytes <= on->exchange.bytes) return MDL_OK;
    if (on->staging) d->cuMemFreeHost(on->staging);
    on->staging = NULL;
    int status = cuda_grow(v, &on->exchange, on->layout.bytes, "inputs and results");
    if (status) return status;
    void *staging = NULL;
    int code = d->cuMemAllocHost_v2(&staging, on->exchange.bytes);
    on->staging = code ? NULL : staging;
    status =
        cuda_check(v, code, "%zu bytes of page-locked memory for inputs and results", on->exchange.bytes);
    if (status) cuda_free(v, &on->exchange);
    return status;
}

/* Its counters are zeros between kernels. */
static int reserve_scratch(struct cuda_visit *v, struct device_session *on, size_t bytes) {
    if (bytes <= on->scratch.bytes) return MDL_OK;
    int status = cuda_grow(v, &on->scratch, bytes, "the scratch of a step");
    if (status) return status;
    int code = v->device->driver.cuMemsetD8Async(on->scratch.at, 0, CUDA_JOIN_BYTES, on->stream);
    status = cuda_check(v, code, "the counters of parts cannot be set to zero");
    if (status) cuda_free(v, &on->scratch);
    return status;
}

int cuda_reserve(struct cuda_visit *v, struct mdl_session *s) {
    struct device_session *on = s->device;
    struct needs n = find_needs(s);
    bool grows = n.scratch > on->scratch.bytes || (size_t)n.turns * sizeof(int32_t) > on->counters.bytes ||
                 on->layout.bytes > on->exchange.bytes;
    if (grows) cuda_drop_graphs(v, on);
    int status = reserve_exchange(v, on);
    if (!status) status = reserve_counters(v, on, n.turns);
    return status ? status : reserve_scratch(v, on, n.scratch);
}
