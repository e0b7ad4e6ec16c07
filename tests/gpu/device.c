/* Opening, calling and closing the hand-made model on the watched stand-in. */
#include "tests/gpu/device.h"
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static void find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    cr_assert(symbol, "%s", name);
    memcpy(function, &symbol, sizeof symbol);
}

void device_watch(struct fixture *f) {
    setenv("MDL_WATCHED_CUDA", "tests/gpu/libcuda.so", 0);
    setenv("MDL_CUDA", "tests/gpu/watched_cuda.so", 1);
    void *library = dlopen(getenv("MDL_CUDA"), RTLD_NOW | RTLD_LOCAL);
    cr_assert(library, "%s", dlerror());
    find(library, "watched_fail", &f->watch.fail);
    find(library, "watched_calls", &f->watch.calls);
    find(library, "watched_done", &f->watch.done);
    find(library, "watched_name", &f->watch.name);
    f->watch.fail(NULL, 0, 0);
}

int device_open(struct fixture *f, const struct mdl_descriptor *d, const char *device) {
    struct mdl_options options = {
        .size = sizeof options, .error = f->error, .error_size = sizeof f->error, .device = device};
    return mdl_open(d, NULL, &options, &f->model);
}

void device_start(struct fixture *f) {
    device_watch(f);
    cr_assert_eq(device_open(f, &mdl_descriptor, NULL), MDL_OK, "%s", f->error);
    cr_assert_eq(mdl_session_new(f->model, &f->session), MDL_OK, "%s", mdl_error(NULL));
    handmade_inputs(&f->call);
}

void device_end(struct fixture *f) {
    mdl_session_free(f->session);
    mdl_close(f->model);
    f->session = NULL;
    f->model = NULL;
}

int device_mix(struct fixture *f, int64_t extent) { return handmade_mix(f->session, &f->call, extent); }

int device_outer(struct mdl_session *s, int32_t m, int32_t n, const int32_t *x, const int32_t *y,
                 int32_t *z) {
    const void *inputs[] = {x, y};
    void *results[] = {z};
    return mdl_call(s, HANDMADE_OUTER, (int64_t[]){m, n}, inputs, results);
}
