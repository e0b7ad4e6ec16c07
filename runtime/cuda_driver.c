/* CUDA's driver: found, and what its codes mean. */
#include "runtime/cuda_driver.h"
#include "runtime/mdl.h"
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t offset; /* in struct cuda_driver */
    bool later;    /* NULL will do */
} functions[] = {
#define ROW(name, parameters) {#name, offsetof(struct cuda_driver, name), false},
    CUDA_DRIVER_FUNCTIONS(ROW)
#undef ROW
#define ROW(name, parameters) {#name, offsetof(struct cuda_driver, name), true},
    CUDA_DRIVER_LATER_FUNCTIONS(ROW)
#undef ROW
};

/* The first function that the library lacks, or NULL. */
static const char *find_functions(struct cuda_driver *d) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *symbol = dlsym(d->library, functions[i].name);
        if (!symbol && !functions[i].later) return functions[i].name;
        memcpy((char *)d + functions[i].offset, &symbol, sizeof symbol);
    }
    return NULL;
}

/* The driver has threads and handlers of its own, so it is never taken out of the process again. */
int cuda_driver_open(struct cuda_driver *d, char *error, size_t size) {
    const char *path = getenv("MDL_CUDA");
    if (!path || !*path) path = "libcuda.so.1";
    d->library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!d->library) {
        const char *why = dlerror();
        if (size)
            snprintf(error, size, "%s cannot be opened ($MDL_CUDA: where else it is): %s", path,
                     why ? why : "?");
        return MDL_UNSUPPORTED;
    }
    const char *missing = find_functions(d);
    if (!missing) return MDL_OK;
    if (size)
        snprintf(error, size, "%s has no %s: it is older than CUDA 11.4, or something else", path, missing);
    return MDL_UNSUPPORTED;
}

void cuda_driver_close(struct cuda_driver *d) {
    if (d->library) dlclose(d->library);
}

void cuda_driver_text(const struct cuda_driver *d, int code, char *text, size_t size) {
    const char *name = NULL, *meaning = NULL;
    if (d->cuGetErrorName(code, &name) || !name) name = "an error that the driver has no name for";
    if (d->cuGetErrorString(code, &meaning) || !meaning) meaning = "?";
    snprintf(text, size, "%s (%d): %s", name, code, meaning);
}

int cuda_driver_status(int code) {
    switch (code) {
    case 0:
        return MDL_OK;
    case CU_OUT_OF_MEMORY:
        return MDL_NO_MEMORY;
    case CU_INSUFFICIENT_DRIVER:
    case CU_NO_DEVICE:
    case CU_NO_BINARY_FOR_GPU:
    case CU_INVALID_PTX:
    case CU_UNSUPPORTED_PTX_VERSION:
    case CU_JIT_COMPILER_NOT_FOUND:
    case CU_SYSTEM_DRIVER_MISMATCH:
        return MDL_UNSUPPORTED;
    default:
        return MDL_DEVICE;
    }
}
