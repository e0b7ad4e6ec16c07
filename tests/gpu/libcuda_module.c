/* Modules, functions and launches of the stand-in; names of errors; look-up of entry points. */
#include "tests/gpu/libcuda.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARED_PLAIN = 48 << 10 };
#define ENTER                                                                                                \
    result r;                                                                                                \
    pthread_mutex_lock(&fake_lock);                                                                          \
    if (fake_ready(&r))
#define LEAVE                                                                                                \
    pthread_mutex_unlock(&fake_lock);                                                                        \
    return r

static bool too_new(const char *text) {
    const char *target = strstr(text, ".target sm_"), *ours = getenv("MDL_FAKE_SM");
    return target && atoi(target + 11) > (ours && *ours ? atoi(ours) : 90);
}

/* Options: only JIT_ERROR_LOG_BUFFER (5) and its size (6) are looked at. */
CALL(cuModuleLoadDataEx, struct module **module, const void *image, unsigned options_count, int *options,
     void **values) {
    ENTER {
        char message[PTX_MESSAGE], *log = NULL;
        size_t room = 0;
        for (unsigned i = 0; i < options_count; i++) {
            if (options[i] == 5) log = values[i];
            if (options[i] == 6) room = (size_t)(uintptr_t)values[i];
        }
        struct ptx_module *ptx = NULL;
        if (!image || !module)
            r = INVALID_VALUE;
        else if (!memcmp(image, "\177ELF", 4))
            r = NO_BINARY_FOR_GPU; /* machine code: only PTX is understood */
        else if (too_new(image))
            r = INVALID_PTX;
        else if (!(ptx = ptx_module_new(image, message))) {
            r = INVALID_PTX;
            if (log && room)
                snprintf(log, room, "%s", message);
            else
                fprintf(stderr, "%s", message);
        } else {
            *module = calloc(1, sizeof **module);
            **module = (struct module){.alive = ALIVE, .ptx = ptx};
        }
    }
    LEAVE;
}
CALL(cuModuleLoadData, struct module **module, const void *image) {
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}
CALL(cuModuleUnload, struct module *module) {
    ENTER {
        r = module && module->alive == ALIVE ? CUDA_SUCCESS : INVALID_HANDLE;
        if (!r) {
            fake_drain_all();
            for (struct function *f = module->functions, *next; f; f = next) {
                next = f->next;
                free(f);
            }
            ptx_module_free(module->ptx);
            module->alive = 0;
            free(module);
        }
    }
    LEAVE;
}
CALL(cuModuleGetFunction, struct function **function, struct module *module, const char *name) {
    ENTER {
        const struct ptx_kernel *k = NULL;
        r = !module || module->alive != ALIVE                      ? INVALID_HANDLE
            : !name || !(k = ptx_module_kernel(module->ptx, name)) ? NOT_FOUND
                                                                   : CUDA_SUCCESS;
        struct function *f = r ? NULL : module->functions;
        while (f && f->kernel != k) f = f->next;
        if (!r && !f) {
            f = malloc(sizeof *f);
            uint32_t fixed = ptx_kernel_shared_bytes(k);
            *f = (struct function){module, k, fixed < SHARED_PLAIN ? SHARED_PLAIN - fixed : 0,
                                   module->functions};
            module->functions = f;
        }
        if (!r) *function = f;
    }
    LEAVE;
}
CALL(cuModuleGetGlobal_v2, uint64_t *address, size_t *bytes, struct module *module, const char *name) {
    ENTER {
        uint64_t size = 0, at = 0;
        r = !module || module->alive != ALIVE                              ? INVALID_HANDLE
            : !name || !(at = ptx_module_global(module->ptx, name, &size)) ? NOT_FOUND
                                                                           : CUDA_SUCCESS;
        if (!r && address) *address = at;
        if (!r && bytes) *bytes = size;
    }
    LEAVE;
}

/* CUfunction_attribute: 0 threads, 1 static shared, 3 local, 4 registers, 8 dynamic shared, 9 carve-out. */
CALL(cuFuncSetAttribute, struct function *f, int attribute, int value) {
    ENTER {
        r = !f ? INVALID_HANDLE : attribute != 8 && attribute != 9 ? INVALID_VALUE : CUDA_SUCCESS;
        if (!r && attribute == 8 &&
            (value < 0 || (uint32_t)value + ptx_kernel_shared_bytes(f->kernel) > fake_shared_most()))
            r = INVALID_VALUE;
        else if (!r && attribute == 8)
            f->dynamic = (uint32_t)value;
    }
    LEAVE;
}
CALL(cuFuncGetAttribute, int *value, int attribute, struct function *f) {
    ENTER {
        r = f ? CUDA_SUCCESS : INVALID_HANDLE;
        if (f) switch (attribute) {
            case 0:
                *value = (int)ptx_kernel_max_threads(f->kernel);
                break;
            case 1:
                *value = (int)ptx_kernel_shared_bytes(f->kernel);
                break;
            case 2:
                *value = 0;
                break;
            case 3:
                *value = (int)ptx_kernel_local_bytes(f->kernel);
                break;
            case 4:
                *value = 64;
                break;
            case 5:
            case 6:
                *value = 90;
                break;
            case 8:
                *value = (int)f->dynamic;
                break;
            default:
                r = INVALID_VALUE;
            }
    }
    LEAVE;
}
CALL(cuOccupancyMaxActiveBlocksPerMultiprocessor, int *blocks, struct function *f, int threads,
     size_t dynamic) {
    ENTER {
        r = !f ? INVALID_HANDLE : threads <= 0 || threads > 1024 ? INVALID_VALUE : CUDA_SUCCESS;
        if (!r) {
            size_t shared = ptx_kernel_shared_bytes(f->kernel) + dynamic + 1024;
            int by_threads = 2048 / ((threads + 31) / 32 * 32),
                by_shared = (int)((fake_shared_most() + 1024) / shared);
            *blocks = by_threads < by_shared ? by_threads : by_shared;
            if (*blocks > 32) *blocks = 32;
        }
    }
    LEAVE;
}

static result launch(struct function *f, const unsigned grid[3], const unsigned block[3], unsigned shared,
                     struct stream *stream, void **params) {
    struct stream *s = fake_stream(stream);
    if (!f || !s) return INVALID_HANDLE;
    uint64_t threads = (uint64_t)block[0] * block[1] * block[2];
    if (!grid[0] || !grid[1] || !grid[2] || grid[1] > 65535 || grid[2] > 65535 || !threads ||
        threads > 1024 || block[2] > 64)
        return INVALID_VALUE;
    if (threads > ptx_kernel_max_threads(f->kernel) || shared > f->dynamic) return INVALID_VALUE;
    uint32_t n = ptx_kernel_params(f->kernel);
    if (n && !params) return INVALID_VALUE;
    struct op op = {
        .kind = OP_LAUNCH, .kernel = f->kernel, .params = calloc(1, ptx_kernel_param_bytes(f->kernel) + 1)};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t offset, bytes;
        ptx_kernel_param(f->kernel, i, &offset, &bytes);
        memcpy(op.params + offset, params[i], bytes);
    }
    for (int i = 0; i < 3; i++) {
        op.launch.grid[i] = grid[i];
        op.launch.block[i] = block[i];
    }
    op.launch.shared = shared;
    return fake_submit(s, op);
}
/* What `extra` may hold instead of an array of pointers. */
static void packed(struct function *f, void **extra, void ***params, void *room[]) {
    char *buffer = NULL;
    for (; extra && *extra; extra += 2)
        if ((uintptr_t)*extra == 1) buffer = extra[1];
    for (uint32_t i = 0; buffer && i < ptx_kernel_params(f->kernel) && i < 1024; i++) {
        uint32_t offset, bytes;
        ptx_kernel_param(f->kernel, i, &offset, &bytes);
        room[i] = buffer + offset;
        *params = room;
    }
}
CALL(cuLaunchKernel, struct function *f, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
     unsigned block_y, unsigned block_z, unsigned shared, struct stream *stream, void **params,
     void **extra) {
    ENTER {
        void *room[1024];
        if (f && !params) packed(f, extra, &params, room);
        r = launch(f, (const unsigned[]){grid_x, grid_y, grid_z},
                   (const unsigned[]){block_x, block_y, block_z}, shared, stream, params);
    }
    LEAVE;
}
struct launch_config {
    unsigned grid[3], block[3], shared;
    struct stream *stream;
    void *attributes;
    unsigned attributes_count;
};
CALL(cuLaunchKernelEx, const struct launch_config *c, struct function *f, void **params, void **extra) {
    ENTER {
        void *room[1024];
        if (f && !params) packed(f, extra, &params, room);
        r = c ? launch(f, c->grid, c->block, c->shared, c->stream, params) : INVALID_VALUE;
    }
    LEAVE;
}

static const struct {
    int code;
    const char *name, *words;
} errors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {300, "CUDA_ERROR_INVALID_SOURCE", "device kernel image is invalid"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {712, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED",
     "part or all of the requested memory range is already mapped"},
    {713, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED",
     "pointer does not correspond to a registered memory region"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not initiated in this stream"},
};
CALL(cuGetErrorName, int code, const char **name) {
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].code == code) return *name = errors[i].name, CUDA_SUCCESS;
    return *name = NULL, INVALID_VALUE;
}
CALL(cuGetErrorString, int code, const char **words) {
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].code == code) return *words = errors[i].words, CUDA_SUCCESS;
    return *words = NULL, INVALID_VALUE;
}

/* The newest version of an entry point, as the driver gives it. */
CALL(cuGetProcAddress_v2, const char *name, void **function, int version, uint64_t flags, int *status) {
    char exact[128];
    (void)version, (void)flags;
    Dl_info own;
    void *library = dladdr((void *)(uintptr_t)cuGetProcAddress_v2, &own)
                        ? dlopen(own.dli_fname, RTLD_LAZY | RTLD_NOLOAD)
                        : NULL;
    snprintf(exact, sizeof exact, "%s_v2", name);
    *function = library ? dlsym(library, exact) : NULL;
    if (library && !*function) *function = dlsym(library, name);
    if (library) dlclose(library);
    if (status) *status = *function ? 0 : 1;
    return *function ? CUDA_SUCCESS : NOT_FOUND;
}
CALL(cuGetProcAddress, const char *name, void **function, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, function, version, flags, NULL);
}
