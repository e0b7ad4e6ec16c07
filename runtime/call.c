/* A call: checks, then each thread walks the steps, or the device runs them.
 *
 *     thread 0:  k0 ┃ k1 ┃ guard ┃ k2 …       ┃ barrier, where the step has one
 *     thread 1:  k0 ┃ k1 ┃ guard ┃ k2 …
 */
#include "runtime/float.h"
#include "runtime/model.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* One thread's walk. */
struct walk {
    struct mdl_session *session;
    const struct plan *plan;
    struct lane *lane;
    void **pointers; /* of the plan's refs */
    int64_t thread, threads;
};

static char *base_of(const struct walk *w, const struct mdl_ref *r) {
    struct mdl_session *s = w->session;
    switch ((enum mdl_space)r->space) {
    case MDL_ARENA:
        return s->arena;
    case MDL_WEIGHT:
        return (char *)s->model->weights.data;
    case MDL_STATE:
        return s->states;
    case MDL_INPUT:
        return (char *)s->call.inputs[r->index];
    case MDL_RESULT:
        return s->call.results[r->index];
    case MDL_COUNTER:
        return (char *)&w->lane->counters[r->index];
    }
    return NULL;
}

static void *resolve(const struct walk *w, const struct mdl_ref *r) {
    int64_t offset = r->offset;
    if (r->stride) offset += r->stride * w->lane->counters[r->loop];
    char *base = base_of(w, r);
    return base ? base + offset : NULL; /* NULL: the caller's, and empty */
}

static const struct mdl_ref *refs_of(const struct walk *w) { return w->session->model->descriptor->refs; }

/* Fills the table the first time this lane runs the plan; later only with the caller's buffers. */
static void bind(struct walk *w) {
    const struct plan *p = w->plan;
    const struct mdl_ref *refs = refs_of(w);
    bool *bound = &w->lane->bound[w->session->call.plan_number];
    for (uint32_t i = 0; i < p->variant->steps_count && !*bound; i++) {
        const struct mdl_step *s = &p->variant->steps[i];
        bool fixed = (p->steps[i].kernel || p->steps[i].start) && !p->steps[i].dynamic;
        for (uint32_t j = 0; fixed && j < s->refs; j++)
            w->pointers[s->first_ref + j - p->first_ref] = resolve(w, &refs[s->first_ref + j]);
    }
    *bound = true;
    for (uint32_t i = 0; i < p->patches_count; i++)
        w->pointers[p->patches[i] - p->first_ref] = resolve(w, &refs[p->patches[i]]);
}

static void resolve_step(struct walk *w, uint32_t at) {
    const struct mdl_step *s = &w->plan->variant->steps[at];
    for (uint32_t j = 0; j < s->refs; j++)
        w->pointers[s->first_ref + j - w->plan->first_ref] = resolve(w, &refs_of(w)[s->first_ref + j]);
}

int64_t call_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int32_t run_kernel(struct walk *w, uint32_t at) {
    const struct plan_step *p = &w->plan->steps[at];
    return p->kernel(w->pointers + p->buffers, w->session->call.dims, w->lane->scratch, w->thread,
                     w->threads);
}

static void record(struct walk *w, uint32_t at, int64_t start) {
    struct mdl_session *s = w->session;
    uint64_t n = atomic_fetch_add_explicit(&s->events_used, 1, memory_order_relaxed);
    if (n < s->events_capacity)
        s->events[n] =
            (struct mdl_event){at, (uint32_t)w->thread, &w->plan->variant->steps[at], start, call_now()};
}

static int32_t run_traced(struct walk *w, uint32_t at) {
    int64_t start = call_now();
    int32_t failed = run_kernel(w, at);
    record(w, at, start);
    return failed;
}

/* Notes that the guard just run has failed in this thread: for the message, and for all threads at the next
 * barrier. */
static void note_failure(struct walk *w, uint32_t at) {
    struct lane *l = w->lane;
    if (l->failure.serial) return;
    l->failure.serial = l->guards;
    l->failure.step = &w->plan->variant->steps[at];
    memcpy(&l->failure.value, l->scratch, sizeof l->failure.value);
    unsigned long long first = 0;
    atomic_ullong *failed = &w->session->call.failed;
    while ((!first || first > l->guards) && !atomic_compare_exchange_weak(failed, &first, l->guards))
        continue;
}

/* Waits for the other threads; whether all shall stop. A guard that another thread has reached since then,
 * and this one has not, does not count: all must leave at the same barrier. */
static bool meet(struct walk *w) {
    pool_barrier(w->session->model->pool, w->thread, w->threads);
    unsigned long long failed = atomic_load_explicit(&w->session->call.failed, memory_order_relaxed);
    return failed && failed <= w->lane->guards;
}

uint32_t call_turn(const struct mdl_session *s, uint32_t at, int32_t *counters, int64_t *ends) {
    const struct mdl_step *step = &s->call.plan->variant->steps[at];
    const struct plan_step *p = &s->call.plan->steps[at];
    int32_t *counter = &counters[step->loop];
    if (p->end) return (int64_t)++ * counter < ends[step->loop] ? p->other : at;
    *counter = 0;
    ends[step->loop] = s->model->descriptor->extent(step->count, s->call.dims);
    return ends[step->loop] > 0 ? at : p->other;
}

/* All threads, or none, go on: what thread 0 has found out holds for all. */
static bool have_parted(struct walk *w) {
    pool_barrier(w->session->model->pool, w->thread, w->threads);
    return w->session->call.parted != MDL_OK;
}

static bool part_ways(struct walk *w) {
    if (w->thread == 0) others_of(w->session->model)->agree(w->session);
    return have_parted(w);
}

/* COLLECTIVE, AWAIT: thread 0 speaks for all. True: this rank cannot go on. */
static bool talk(struct walk *w, uint32_t at) {
    const struct plan_step *p = &w->plan->steps[at];
    const struct mdl_step *s = &w->plan->variant->steps[at];
    const struct distributed_calls *others = others_of(w->session->model);
    int64_t start = w->session->events ? call_now() : 0;
    if (p->meet && meet(w)) return true;
    if (p->dynamic && !w->thread) resolve_step(w, at);
    if (p->start && !w->thread) others->start(w->session, s, w->pointers + p->buffers);
    if (p->start) return false;
    if (!w->thread) others->await(w->session, s);
    if (have_parted(w)) return true;
    if (w->session->events) record(w, at, start);
    return false;
}

static inline void walk_steps(struct walk *w, int32_t (*run)(struct walk *, uint32_t)) {
    const struct plan_step *steps = w->plan->steps;
    for (uint32_t at = 0, n = w->plan->variant->steps_count; at < n; at++) {
        const struct plan_step *s = &steps[at];
        if (s->kernel) {
            if (s->dynamic) resolve_step(w, at);
            if (s->guard) w->lane->guards++;
            if (run(w, at) && s->guard) note_failure(w, at);
        } else if (s->start || s->await) {
            if (talk(w, at)) return;
        } else {
            at = call_turn(w->session, at, w->lane->counters, w->lane->ends);
        }
        if (s->barrier && (meet(w) || (s->agree && part_ways(w)))) return;
    }
}

/* Kernels compute in the default floating-point environment, whatever the caller's is. */
static void run_lane(void *context, int64_t thread, int64_t threads) {
    struct mdl_session *s = context;
    const struct plan *p = s->call.plan;
    struct lane *l = &s->lanes[thread];
    struct walk w = {s, p, l, l->pointers + p->table, thread, threads};
    uint64_t environment = float_control();
    set_float_control(FLOAT_DEFAULT);
    l->guards = l->failure.serial = 0;
    bind(&w);
    if (s->events)
        walk_steps(&w, run_traced);
    else
        walk_steps(&w, run_kernel);
    set_float_control(environment);
}

__attribute__((format(printf, 2, 3))) static int invalid(struct mdl_session *s, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(s->error, sizeof s->error, format, args);
    va_end(args);
    return MDL_INVALID;
}

static int check_dims(struct mdl_session *s, const struct mdl_function *f, const int64_t *dims) {
    for (uint32_t i = 0; i < f->dims_count; i++) {
        const struct mdl_dim *d = &f->dims[i];
        if (dims[i] < d->min || dims[i] > d->max)
            return invalid(s, "%s: dim %s is %lld, outside %lld..%lld", f->name, d->name, (long long)dims[i],
                           (long long)d->min, (long long)d->max);
    }
    return MDL_OK;
}

static bool is_empty(const struct mdl_session *s, const struct mdl_tensor *t, const int64_t *dims) {
    for (uint32_t i = 0; i < t->rank; i++)
        if (s->model->descriptor->extent(t->extents[i], dims) <= 0) return true;
    return false;
}

/* Buffers may be NULL only where there is nothing in them. */
static int check_buffers(struct mdl_session *s, const struct mdl_function *f, const int64_t *dims,
                         const void *const *inputs, void *const *results) {
    for (uint32_t i = 0; i < f->inputs_count; i++)
        if (!inputs[i] && !is_empty(s, &f->inputs[i], dims))
            return invalid(s, "%s: input %s is NULL", f->name, f->inputs[i].name);
    for (uint32_t i = 0; i < f->results_count; i++)
        if (!results[i] && !is_empty(s, &f->results[i], dims))
            return invalid(s, "%s: result %s is NULL", f->name, f->results[i].name);
    return MDL_OK;
}

/* The first variant compiled for these dims; the last is for any. */
static uint32_t choose(const struct mdl_function *f, const int64_t *dims) {
    for (uint32_t v = 0; v + 1 < f->variants_count; v++) {
        const int64_t *wanted = f->variants[v].dims;
        uint32_t i = 0;
        while (wanted && i < f->dims_count && (wanted[i] < 0 || wanted[i] == dims[i])) i++;
        if (!wanted || i == f->dims_count) return v;
    }
    return f->variants_count - 1;
}

int call_report(struct mdl_session *s, const struct mdl_step *step, int64_t found) {
    const char *value = strstr(step->name, "%lld"), *rest = value ? value + strlen("%lld") : "";
    int length = value ? (int)(value - step->name) : (int)strlen(step->name);
    char number[24] = "", where[300] = "";
    if (value) snprintf(number, sizeof number, "%lld", (long long)found);
    if (step->line)
        snprintf(where, sizeof where, "%s:%u:%u: ", s->model->descriptor->source, step->line, step->column);
    return invalid(s, "%s%.*s%s%s", where, length, step->name, number, rest);
}

/* The first failure in the order of the steps, of the lowest thread. */
static int report(struct mdl_session *s) {
    unsigned long long failed = atomic_load(&s->call.failed);
    const struct lane *l = s->lanes;
    while (l->failure.serial != failed) l++;
    return call_report(s, l->failure.step, l->failure.value);
}

/* About how much of the arena a call writes: places are for the dims' maxima, so a part of each buffer. */
static double arena_share(const struct call *c) {
    const struct mdl_function *f = c->function;
    double bytes = (double)c->plan->variant->arena_bytes;
    for (uint32_t i = 0; i < f->dims_count; i++)
        if (f->dims[i].max > 0) bytes *= (double)c->dims[i] / (double)f->dims[i].max;
    return bytes;
}

/* The checks that need no kernel; then the call stands in s->call. */
static int prepare(struct mdl_session *s, uint32_t function, const int64_t *dims, const void *const *inputs,
                   void *const *results) {
    const struct mdl_descriptor *d = s->model->descriptor;
    const struct distributed_calls *others = others_of(s->model);
    if (function >= d->functions_count) return invalid(s, "there is no function number %u", function);
    const struct mdl_function *f = &d->functions[function];
    int status = others ? others->dims(s, f, dims, &dims) : check_dims(s, f, dims);
    if (!status) status = check_buffers(s, f, dims, inputs, results);
    if (status) return status;
    struct plan *p = &s->model->plans[function][choose(f, dims)];
    s->call.function = f;
    s->call.plan = p;
    s->call.plan_number = (uint32_t)(p - s->model->all_plans);
    s->call.dims = dims;
    s->call.inputs = inputs;
    s->call.results = results;
    return MDL_OK;
}

static int run(struct mdl_session *s) {
    const struct distributed_calls *others = others_of(s->model);
    if (others && !s->call.plan->agrees && others->agree(s)) return s->call.parted;
    if (s->device) return device_of(s->model)->run(s);
    session_trim(s, arena_share(&s->call));
    if (s->poison) memset(s->arena, 0xff, s->arena_bytes + (size_t)s->lanes_count * s->scratch_bytes);
    pool_run(s->model->pool, run_lane, s);
    return s->call.parted ? s->call.parted : atomic_load(&s->call.failed) ? report(s) : MDL_OK;
}

static int call(struct mdl_session *s, uint32_t function, const int64_t *dims, const void *const *inputs,
                void *const *results) {
    const struct distributed_calls *others = others_of(s->model);
    int status = others ? others->enter(s, function) : MDL_OK;
    if (status) return status;
    s->call.parted = MDL_OK;
    atomic_store_explicit(&s->call.failed, 0, memory_order_relaxed);
    status = prepare(s, function, dims, inputs, results);
    if (!status) status = run(s);
    return others ? others->leave(s, status) : status;
}

int mdl_call(struct mdl_session *s, uint32_t function, const int64_t *dims, const void *const *inputs,
             void *const *results) {
    if (atomic_exchange_explicit(&s->busy, 1, memory_order_acquire)) return MDL_BUSY;
    s->error[0] = 0;
    int status = call(s, function, dims, inputs, results);
    if (s->events_count) {
        uint64_t used = atomic_load(&s->events_used);
        *s->events_count = used < s->events_capacity ? used : s->events_capacity;
    }
    atomic_store_explicit(&s->busy, 0, memory_order_release);
    return status;
}
