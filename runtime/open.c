/* Opening and closing a model. */
#include "runtime/cpu.h"
#include "runtime/model.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The caller's options; fields that it does not know yet are as in MDL_OPTIONS. */
static struct mdl_options options_of(const struct mdl_options *given) {
    struct mdl_options o = MDL_OPTIONS;
    if (given) memcpy(&o, given, given->size < sizeof o ? given->size : sizeof o);
    if (!o.error) o.error_size = 0;
    return o;
}

__attribute__((format(printf, 3, 4))) static int fail(const struct mdl_options *o, int status,
                                                      const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (o->error_size) vsnprintf(o->error, o->error_size, format, args);
    va_end(args);
    return status;
}

static int check_abi(const struct mdl_descriptor *d, const struct mdl_options *o) {
    if (d->abi_version == MDL_ABI_VERSION) return MDL_OK;
    return fail(o, MDL_UNSUPPORTED, "model %s has ABI version %u, this runtime %u", d->name, d->abi_version,
                MDL_ABI_VERSION);
}

static int check_machine(const struct mdl_descriptor *d, const struct mdl_options *o) {
    char missing[64];
    if (!cpu_has(d->features, missing, sizeof missing))
        return fail(o, MDL_UNSUPPORTED, "model %s was compiled for %s: this processor or system lacks %s",
                    d->name, d->target, missing);
    if (o->threads < 0) return fail(o, MDL_INVALID, "options.threads is %d", o->threads);
    return MDL_OK;
}

/* Whether the program is for the device that the caller wants; its number is the device's part's to read. */
static bool runs_on(const struct mdl_descriptor *d, const char *wanted) {
    const char *kind = d->device ? d->device->kind : "cpu";
    size_t length = strcspn(wanted, ":");
    return !strncmp(wanted, kind, length) && !kind[length] && (d->device || !wanted[length]);
}

/* The model's program for the device; NULL after a message. */
static const struct mdl_descriptor *choose_program(const struct mdl_descriptor *d, const struct mdl_options *o) {
    const struct mdl_descriptor *p = d;
    while (p && o->device && !runs_on(p, o->device)) p = p->other;
    if (!p)
        fail(o, MDL_UNSUPPORTED, "model %s was compiled for %s (%s)%s: it cannot run on device %s", d->name,
             d->device ? d->device->kind : "cpu", d->target, d->other ? " and others" : "", o->device);
    else if (p->device && !p->device->calls)
        fail(o, MDL_UNSUPPORTED, "model %s was compiled for %s, but linked without what runs it there", d->name,
             p->device->kind);
    if (!p || !p->device) return p;
    return p->device->calls ? p->device->calls->choose(p, o) : NULL;
}

static int fill(struct mdl_model *m, const char *weights, const struct mdl_options *o) {
    const int64_t *coordinates = m->mesh ? others_of(m)->coordinates(m) : NULL;
    int status = weights_open(&m->weights, m->descriptor, weights, coordinates, o->error, o->error_size);
    if (status) return status;
    if (!plans_new(m)) return fail(o, MDL_NO_MEMORY, "out of memory");
    if (m->descriptor->device) return device_of(m)->open(m, o);
    m->pool = pool_new(o->threads);
    return m->pool ? MDL_OK : fail(o, MDL_NO_MEMORY, "out of memory");
}

/* Where there is a mesh all ranks open the model, or none does. */
static int open_model(struct mdl_model *m, const char *weights, const struct mdl_options *o) {
    const struct mdl_descriptor *d = m->descriptor;
    if (!d->mesh) return fill(m, weights, o);
    if (!d->distributed)
        return fail(o, MDL_UNSUPPORTED,
                    "model %s has a mesh, but was linked without what speaks to other ranks", d->name);
    int status = d->distributed->calls->open(m, o);
    if (!status) status = d->distributed->calls->opened(m, o, fill(m, weights, o));
    return status;
}

static void model_free(struct mdl_model *m) {
    if (m->mesh) others_of(m)->close(m);
    if (m->device) device_of(m)->close(m);
    pool_free(m->pool);
    plans_free(m);
    weights_close(&m->weights);
    free(m);
}

int mdl_open(const struct mdl_descriptor *d, const char *weights, const struct mdl_options *options,
             struct mdl_model **model) {
    struct mdl_options o = options_of(options);
    *model = NULL;
    if (o.error_size) o.error[0] = 0;
    int status = check_abi(d, &o);
    if (status) return status;
    d = choose_program(d, &o);
    if (!d) return MDL_UNSUPPORTED;
    status = check_machine(d, &o);
    if (status) return status;
    struct mdl_model *m = calloc(1, sizeof *m);
    if (!m) return fail(&o, MDL_NO_MEMORY, "out of memory");
    m->descriptor = d;
    atomic_init(&m->references, 1);
    status = open_model(m, weights, &o);
    if (status)
        model_free(m);
    else
        *model = m;
    return status;
}

void model_release(struct mdl_model *m) {
    if (atomic_fetch_sub(&m->references, 1) == 1) model_free(m);
}

void mdl_close(struct mdl_model *m) {
    if (m) model_release(m);
}

static int verify(struct mdl_model *m, char *message, uint64_t size) {
    if (m->weights.image)
        return others_of(m)->verify(&m->weights, m->descriptor, others_of(m)->coordinates(m), message,
                                    message ? size : 0);
    return weights_verify(&m->weights, message, message ? size : 0);
}

/* Neither may be called while the session is in a call. */
static void trace(struct mdl_session *s, struct mdl_event *events, uint64_t capacity, uint64_t *count) {
    s->events = events;
    s->events_capacity = events ? capacity : 0;
    s->events_count = events ? count : NULL;
    atomic_store(&s->events_used, 0);
    if (count) *count = 0;
}

static void poison(struct mdl_session *s, int on) { s->poison = on != 0; }

const struct mdl_api mdl_api = {
    .open = mdl_open,
    .session_new = mdl_session_new,
    .session_reset = mdl_session_reset,
    .session_free = mdl_session_free,
    .call = mdl_call,
    .error = mdl_error,
    .close = mdl_close,
    .verify = verify,
    .trace = trace,
    .poison = poison,
    .session_save = mdl_session_save,
    .session_load = mdl_session_load,
    .memory = session_memory,
};
