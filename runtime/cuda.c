/* A model on a GPU: opened, closed, and the table by which the rest of the runtime reaches this part. A model
 * for the processor has no pointer to the table, so it links none of it. */
#include "runtime/cuda.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int write_error(struct cuda_visit *v, int status, const char *why, const char *format, va_list args) {
    char what[300];
    const struct device *d = v->device;
    vsnprintf(what, sizeof what, format, args);
    if (v->error_size)
        snprintf(v->error, v->error_size, "cuda:%d%s%s%s: %s%s%s", d->number, *d->name ? " (" : "", d->name,
                 *d->name ? ")" : "", what, why ? ": " : "", why ? why : "");
    return status;
}

int cuda_fail(struct cuda_visit *v, int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    write_error(v, status, NULL, format, args);
    va_end(args);
    return status;
}

int cuda_check(struct cuda_visit *v, int code, const char *format, ...) {
    char why[200];
    va_list args;
    if (!code) return MDL_OK;
    cuda_driver_text(&v->device->driver, code, why, sizeof why);
    va_start(args, format);
    write_error(v, MDL_OK, why, format, args);
    va_end(args);
    return cuda_driver_status(code);
}

static int enter(struct cuda_visit *v) {
    const struct cuda_driver *d = &v->device->driver;
    int code = d->cuCtxGetCurrent(&v->before);
    if (!code && v->before != v->device->context) code = d->cuCtxSetCurrent(v->device->context);
    return cuda_check(v, code, "its context cannot be used");
}

int cuda_enter(struct cuda_visit *v, struct mdl_session *s) {
    *v = (struct cuda_visit){s->model->device, s->error, sizeof s->error, NULL};
    return enter(v);
}

/* The thread may have a context of its own. */
void cuda_leave(struct cuda_visit *v) {
    if (v->before != v->device->context) v->device->driver.cuCtxSetCurrent(v->before);
}

/* "cuda:1" */
static int read_number(struct device *d, const struct mdl_options *o) {
    const char *colon = o->device ? strchr(o->device, ':') : NULL;
    char *end = NULL;
    if (!colon) return MDL_OK;
    long n = strtol(colon + 1, &end, 10);
    d->number = (int)n;
    if (end != colon + 1 && !*end && n >= 0 && n < 1024 && colon[1] >= '0' && colon[1] <= '9') return MDL_OK;
    if (o->error_size)
        snprintf(o->error, o->error_size, "options.device is %s: cuda:N was expected", o->device);
    return MDL_INVALID;
}

static int open_driver(struct mdl_model *m, const struct mdl_options *o) {
    char why[400];
    int status = cuda_driver_open(&m->device->driver, why, sizeof why);
    if (status && o->error_size)
        snprintf(o->error, o->error_size, "model %s was compiled for cuda: %s", m->descriptor->name, why);
    return status;
}

/* The GPU that the caller works with, or whose comm it has opened; else the first. */
static int find_current(struct cuda_visit *v, int count) {
    struct device *d = v->device;
    struct cu_context *now = NULL;
    int handle, code = d->driver.cuCtxGetCurrent(&now);
    if (code || !now) return code;
    code = d->driver.cuCtxGetDevice(&handle);
    for (int i = 0, other; i < count && !code; i++) {
        code = d->driver.cuDeviceGet(&other, i);
        if (!code && other == handle) d->number = i;
    }
    return code;
}

static int find_device(struct cuda_visit *v, bool given) {
    struct device *d = v->device;
    int count = 0, major = 0, minor = 0;
    int code = d->driver.cuInit(0);
    if (!code) code = d->driver.cuDeviceGetCount(&count);
    if (!code && !given) code = find_current(v, count);
    if (code) return cuda_check(v, code, "CUDA cannot be used here");
    if (d->number >= count)
        return cuda_fail(v, MDL_UNSUPPORTED, "there is no such device: there %s %d",
                         count == 1 ? "is" : "are", count);
    code = d->driver.cuDeviceGet(&d->handle, d->number);
    if (!code) code = d->driver.cuDeviceGetName(d->name, (int)sizeof d->name, d->handle);
    d->name[sizeof d->name - 1] = 0;
    if (!code) code = d->driver.cuDeviceGetAttribute(&major, CU_DEVICE_CAPABILITY_MAJOR, d->handle);
    if (!code) code = d->driver.cuDeviceGetAttribute(&minor, CU_DEVICE_CAPABILITY_MINOR, d->handle);
    if (!code) code = d->driver.cuDeviceGetAttribute(&d->processors, CU_DEVICE_MULTIPROCESSORS, d->handle);
    d->capability = 10 * major + minor;
    return cuda_check(v, code, "cannot be asked what it is");
}

static int open_context(struct cuda_visit *v) {
    struct device *d = v->device;
    int code = d->driver.cuDevicePrimaryCtxRetain(&d->context, d->handle);
    if (code) d->context = NULL;
    return cuda_check(v, code, "its context cannot be made");
}

static int copy_weights(struct cuda_visit *v, const struct mdl_model *m) {
    size_t bytes = (size_t)m->descriptor->weights_bytes;
    struct cu_stream *stream;
    if (!bytes) return MDL_OK;
    int status = cuda_allocate(v, &v->device->weights, bytes, "the weights");
    if (!status)
        status = cuda_check(v, v->device->driver.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING),
                            "a stream for the weights");
    if (status) return status;
    status = cuda_upload_weights(v, m, stream);
    if (m->weights.map)
        madvise(m->weights.map, m->weights.map_bytes, MADV_DONTNEED); /* a page is read again if need be */
    v->device->driver.cuStreamDestroy_v2(stream);
    return status;
}

static int fill(struct cuda_visit *v, struct mdl_model *m) {
    int status = enter(v);
    if (status) return status;
    status = cuda_load(v, m->descriptor);
    if (!status) status = copy_weights(v, m);
    cuda_leave(v);
    return status;
}

static bool has_other(const struct mdl_descriptor *first) {
    for (const struct mdl_descriptor *d = first->other; d; d = d->other)
        if (d->device && d->device->calls == first->device->calls) return true;
    return false;
}

/* What goes wrong here goes wrong again, and is said, when the device is opened. */
static const struct mdl_descriptor *choose(const struct mdl_descriptor *first, const struct mdl_options *o) {
    struct mdl_options silent = *o;
    struct device d = {0};
    struct mdl_model m = {.descriptor = first, .device = &d};
    struct cuda_visit v = {.device = &d};
    silent.error_size = 0;
    if (!has_other(first)) return first;
    int status = read_number(&d, &silent);
    if (!status) status = open_driver(&m, &silent);
    if (!status) status = find_device(&v, o->device && strchr(o->device, ':'));
    cuda_driver_close(&d.driver);
    return status ? first : cuda_choose(first, d.capability);
}

static int open_device(struct mdl_model *m, const struct mdl_options *o) {
    const char *blocking = getenv("CUDA_LAUNCH_BLOCKING");
    m->device = calloc(1, sizeof *m->device);
    if (!m->device) {
        if (o->error_size) snprintf(o->error, o->error_size, "out of memory");
        return MDL_NO_MEMORY;
    }
    struct cuda_visit v = {m->device, o->error, (size_t)o->error_size, NULL};
    m->device->one_by_one = blocking && !strcmp(blocking, "1");
    int status = read_number(m->device, o);
    if (!status) status = open_driver(m, o);
    if (!status) status = find_device(&v, o->device && strchr(o->device, ':'));
    if (!status) status = open_context(&v);
    if (!status) status = fill(&v, m);
    return status;
}

static void close_device(struct mdl_model *m) {
    struct device *d = m->device;
    struct cuda_visit v = {.device = d};
    bool entered = d->context && !enter(&v);
    cuda_free(&v, &d->weights);
    if (d->module) d->driver.cuModuleUnload(d->module);
    if (entered) cuda_leave(&v);
    if (d->context) d->driver.cuDevicePrimaryCtxRelease_v2(d->handle);
    cuda_driver_close(&d->driver);
    free(d->kernels);
    free(d->resident);
    free(d);
    m->device = NULL;
}

const struct device_calls mdl_cuda = {
    .choose = choose,
    .open = open_device,
    .close = close_device,
    .session_new = cuda_session_new,
    .session_free = cuda_session_free,
    .session_reset = cuda_session_reset,
    .run = cuda_run,
    .read_states = cuda_read_states,
    .write_states = cuda_write_states,
    .memory = cuda_memory,
};
