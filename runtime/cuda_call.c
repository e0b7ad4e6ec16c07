/* A call on a GPU: its graph is found or recorded, launched, and waited for; then the guards' word is read.
 */
#include "runtime/cuda.h"
#include <string.h>

/* Who asks for the GPU's memory to be filled wants to see reads of what nobody wrote. */
static int poison(struct cuda_visit *v, struct mdl_session *s) {
    const struct cuda_driver *d = &v->device->driver;
    const struct cuda_block *arena = &s->device->arena, *scratch = &s->device->scratch;
    int code = 0;
    if (arena->at) code = d->cuMemsetD8Async(arena->at, 0xff, arena->bytes, s->device->stream);
    if (scratch->at && !code)
        code = d->cuMemsetD8Async(scratch->at + CUDA_JOIN_BYTES, 0xff, scratch->bytes - CUDA_JOIN_BYTES,
                                  s->device->stream);
    return cuda_check(v, code, "its memory cannot be filled");
}

/* What a kernel did wrong is told by whatever waits for it. */
static int wait_for_all(struct cuda_visit *v, struct mdl_session *s) {
    return cuda_check(v, cuda_wait(v, s->device->stream),
                      "a kernel of %s failed (CUDA_LAUNCH_BLOCKING=1 tells which)", s->call.function->name);
}

static int wait_for_one(struct cuda_visit *v, struct mdl_session *s, uint32_t number) {
    if (number == CUDA_BEFORE_STEPS) return MDL_OK;
    const struct mdl_step *step = &s->call.plan->variant->steps[number];
    return cuda_check(v, cuda_wait(v, s->device->stream), "kernel %s (%s:%u:%u) failed",
                      s->model->descriptor->device->launches[step->kernel].name, s->model->descriptor->source,
                      step->line, step->column);
}

static int launch_graph(struct cuda_visit *v, struct mdl_session *s, struct cuda_graph *g) {
    int status = g ? MDL_OK : cuda_record_graph(v, s, &g);
    if (status) return status;
    return cuda_check(v, v->device->driver.cuGraphLaunch(g->exec, s->device->stream),
                      "the graph of %s cannot be launched", s->call.function->name);
}

/* A call whose graph is there takes no memory. */
static int run(struct cuda_visit *v, struct mdl_session *s) {
    bool step_by_step = s->events || v->device->one_by_one || s->model->mesh;
    s->device->calls++;
    cuda_lay_out(s);
    struct cuda_graph *g = step_by_step ? NULL : cuda_find_graph(s);
    int status = g ? MDL_OK : cuda_reserve(v, s);
    if (status) return status;
    cuda_put_inputs(s);
    if (s->poison) status = poison(v, s);
    if (status) return status;
    if (s->events) return cuda_run_traced(v, s);
    if (v->device->one_by_one) return cuda_enqueue(v, s, wait_for_one);
    return step_by_step ? cuda_enqueue(v, s, NULL) : launch_graph(v, s, g);
}

/* A guard that failed stored its step's number. */
int cuda_look_at_guards(struct cuda_visit *v, struct mdl_session *s) {
    const struct mdl_variant *variant = s->call.plan->variant;
    struct cuda_failure f;
    memcpy(&f, s->device->staging + s->device->layout.failure, sizeof f);
    if (!f.serial) return MDL_OK;
    if (f.serial < 0 || f.serial > variant->steps_count ||
        variant->steps[f.serial - 1].kind != MDL_STEP_GUARD)
        return cuda_fail(v, MDL_DEVICE, "step %lld of %s says that it failed, but is no guard",
                         (long long)f.serial - 1, s->call.function->name);
    return call_report(s, &variant->steps[f.serial - 1], f.value);
}

int cuda_run(struct mdl_session *s) {
    struct cuda_visit v;
    int status = cuda_enter(&v, s);
    if (status) return status;
    status = run(&v, s);
    if (!status)
        status = wait_for_all(&v, s);
    else
        cuda_wait(&v, s->device->stream); /* the next call has the stream to itself */
    if (!status) status = cuda_look_at_guards(&v, s);
    if (!status) cuda_take_results(s);
    cuda_leave(&v);
    return status;
}
