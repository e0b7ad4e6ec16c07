/* A stand-in for CUDA's driver on machines without one: devices, contexts, memory, modules, launches, on the
 * interpreter of PTX. Bad calls give the driver's error codes. MDL_FAKE_SM: the compute capability, 90;
 * MDL_FAKE_DEVICES: how many, 1. */
#include "tests/gpu/libcuda.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
int fake_failed;
static bool initialised;
static uint64_t in_use;
enum { MOST_DEVICES = 8, SHARED_PLAIN = 48 << 10 };
#define MEMORY (UINT64_C(8) << 30)
static struct context { int device, retained; } contexts[MOST_DEVICES];
static _Thread_local struct context *current;

static int from_environment(const char *name, int otherwise) {
    const char *value = getenv(name);
    return value && *value ? atoi(value) : otherwise;
}
static int devices(void) {
    int n = from_environment("MDL_FAKE_DEVICES", 1);
    return n < 0 ? 0 : n > MOST_DEVICES ? MOST_DEVICES : n;
}
static int capability(void) { return from_environment("MDL_FAKE_SM", 90); }

uint32_t fake_shared_most(void) {
    int sm = capability();
    return (sm == 80 || sm == 87 ? 163u : sm < 90 ? 99u : 227u) << 10;
}

bool fake_ready(result *why) {
    *why = !initialised ? NOT_INITIALIZED : !current ? INVALID_CONTEXT : fake_failed;
    return !*why;
}
#define LOCKED(statement)                                                                                    \
    result r = CUDA_SUCCESS;                                                                                 \
    pthread_mutex_lock(&fake_lock);                                                                          \
    statement;                                                                                               \
    pthread_mutex_unlock(&fake_lock);                                                                        \
    return r
#define WITH_CONTEXT(statement) LOCKED(if (fake_ready(&r)) statement)

CALL(cuInit, unsigned flags) { LOCKED(if (flags) r = INVALID_VALUE; else initialised = true); }
CALL(cuDriverGetVersion, int *version) { return version ? (*version = 13000, CUDA_SUCCESS) : INVALID_VALUE; }
CALL(cuDeviceGetCount, int *count) { LOCKED(if (!initialised) r = NOT_INITIALIZED; else *count = devices()); }
CALL(cuDeviceGet, int *device, int ordinal) {
    LOCKED(if (!initialised) r = NOT_INITIALIZED;
           else if (ordinal < 0 || ordinal >= devices()) r = INVALID_DEVICE; else *device = ordinal);
}
CALL(cuDeviceGetName, char *name, int room, int device) {
    if (device < 0 || device >= devices()) return INVALID_DEVICE;
    snprintf(name, (size_t)room, "stand-in of sm_%d", capability());
    return CUDA_SUCCESS;
}
CALL(cuDeviceTotalMem_v2, size_t *bytes, int device) {
    if (device < 0 || device >= devices()) return INVALID_DEVICE;
    *bytes = MEMORY;
    return CUDA_SUCCESS;
}
CALL(cuDeviceGetUuid_v2, unsigned char *uuid, int device) {
    if (device < 0 || device >= devices()) return INVALID_DEVICE;
    memset(uuid, 0, 16);
    uuid[15] = (unsigned char)(device + 1);
    return CUDA_SUCCESS;
}

/* By the numbers of CUdevice_attribute. */
static const struct {
    int attribute, value;
} attributes[] = {
    {1, 1024},         {2, 1024},  {3, 1024},      {4, 64},          {5, 2147483647}, {6, 65535},
    {7, 65535}, /* threads and grids */
    {8, SHARED_PLAIN}, {9, 65536}, {10, 32},       {11, 2147483647}, {12, 65536},     {13, 1980000},
    {14, 512},         {15, 1},    {16, 4},        {17, 0},          {18, 0},         {19, 1},
    {20, 0},           {31, 1},    {32, 0},        {33, 0},          {34, 0},         {35, 0},
    {36, 2619000},     {37, 5120}, {38, 52428800}, {39, 2048},       {40, 3},         {41, 1},
    {82, 65536},       {83, 1},    {89, 1},        {95, 1},          {106, 32},       {111, 1024},
    {115, 0},          {118, 1},
};
CALL(cuDeviceGetAttribute, int *value, int attribute, int device) {
    if (device < 0 || device >= devices()) return INVALID_DEVICE;
    if (attribute == 75 || attribute == 76) {
        *value = attribute == 75 ? capability() / 10 : capability() % 10;
        return CUDA_SUCCESS;
    }
    if (attribute == 81 || attribute == 97) { /* of a multiprocessor, of a block */
        *value = (int)fake_shared_most() + (attribute == 81 ? 1024 : 0);
        return CUDA_SUCCESS;
    }
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
        if (attributes[i].attribute == attribute) return *value = attributes[i].value, CUDA_SUCCESS;
    return INVALID_VALUE;
}

CALL(cuDevicePrimaryCtxRetain, struct context **context, int device) {
    LOCKED(if (!initialised) r = NOT_INITIALIZED;
           else if (device < 0 || device >= devices()) r = INVALID_DEVICE; else {
               contexts[device].device = device;
               contexts[device].retained++;
               *context = &contexts[device];
           });
}
CALL(cuDevicePrimaryCtxRelease_v2, int device) {
    LOCKED(if (device < 0 || device >= devices()) r = INVALID_DEVICE;
           else if (!contexts[device].retained) r = INVALID_CONTEXT; else {
               if (!--contexts[device].retained) fake_drain_all();
           });
}
CALL(cuCtxSetCurrent, struct context *context) {
    LOCKED(if (context && (context < contexts || context >= contexts + MOST_DEVICES)) r = INVALID_CONTEXT;
           else current = context);
}
CALL(cuCtxGetCurrent, struct context **context) { LOCKED(*context = current); }
CALL(cuCtxGetDevice, int *device) { WITH_CONTEXT(*device = current->device); }

CALL(cuMemAlloc_v2, uint64_t *address, size_t bytes) {
    WITH_CONTEXT({
        uint64_t got = bytes && in_use + bytes <= MEMORY ? ptx_allocate(bytes) : 0;
        r = got ? CUDA_SUCCESS : bytes ? OUT_OF_MEMORY : INVALID_VALUE;
        if (got) *address = got;
        if (got) in_use += bytes;
    });
}
CALL(cuMemFree_v2, uint64_t address) {
    LOCKED(if (address) {
        uint64_t base;
        uint64_t bytes;
        if (!initialised)
            r = NOT_INITIALIZED;
        else if (!ptx_allocation(address, &base, &bytes) || base != address)
            r = INVALID_VALUE;
        else {
            fake_drain_all(); /* the driver waits, too */
            ptx_release(address);
            in_use -= bytes;
        }
    });
}
CALL(cuMemGetInfo_v2, size_t *available, size_t *total) {
    WITH_CONTEXT({
        *total = MEMORY;
        *available = MEMORY - in_use;
    });
}
CALL(cuMemGetAddressRange_v2, uint64_t *base, size_t *bytes, uint64_t address) {
    WITH_CONTEXT({
        uint64_t begin;
        uint64_t size;
        if (!ptx_allocation(address, &begin, &size))
            r = NOT_FOUND;
        else {
            if (base) *base = begin;
            if (bytes) *bytes = size;
        }
    });
}

/* Host memory that the driver knows of: copies from it happen when the stream comes to them. */
static struct range {
    struct range *next;
    const char *begin;
    uint64_t bytes;
    bool allocated;
} * ranges;
bool fake_pinned(const void *p, uint64_t bytes) {
    const char *at = p;
    for (struct range *i = ranges; i; i = i->next)
        if (at >= i->begin && at + bytes <= i->begin + i->bytes) return true;
    return false;
}
static void pin(const void *p, uint64_t bytes, bool allocated) {
    struct range *new = malloc(sizeof *new);
    *new = (struct range){ranges, p, bytes, allocated};
    ranges = new;
}
static bool unpin(void *p, bool allocated) {
    for (struct range **i = &ranges; *i; i = &(*i)->next)
        if ((*i)->begin == p && (*i)->allocated == allocated) {
            struct range *gone = *i;
            *i = gone->next;
            if (allocated) free(p);
            free(gone);
            return true;
        }
    return false;
}
CALL(cuMemAllocHost_v2, void **p, size_t bytes) {
    WITH_CONTEXT({
        *p = bytes ? aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095) : NULL;
        r = *p ? CUDA_SUCCESS : INVALID_VALUE;
        if (*p) pin(*p, bytes, true);
    });
}
CALL(cuMemHostAlloc, void **p, size_t bytes, unsigned flags) {
    (void)flags;
    return cuMemAllocHost_v2(p, bytes);
}
CALL(cuMemFreeHost, void *p) { LOCKED(fake_drain_all(); r = unpin(p, true) ? CUDA_SUCCESS : INVALID_VALUE); }
CALL(cuMemHostRegister_v2, void *p, size_t bytes, unsigned flags) {
    (void)flags;
    WITH_CONTEXT({
        r = !p || !bytes ? INVALID_VALUE : fake_pinned(p, bytes) ? HOST_ALREADY_REGISTERED : CUDA_SUCCESS;
        if (!r) pin(p, bytes, false);
    });
}
CALL(cuMemHostUnregister, void *p) {
    LOCKED(fake_drain_all(); r = unpin(p, false) ? CUDA_SUCCESS : HOST_NOT_REGISTERED);
}

/* A copy or fill; device addresses are looked at now. Pageable memory is read at the call. */
static result transfer(struct op op, struct stream *stream, bool wait) {
    WITH_CONTEXT({
        struct stream *s = fake_stream(stream);
        bool set = op.kind == OP_SET8 || op.kind == OP_SET32;
        if (!s)
            r = INVALID_HANDLE;
        else if (wait && s->capture)
            r = CAPTURE_UNSUPPORTED;
        else if (!op.bytes)
            r = CUDA_SUCCESS;
        else if (op.kind != OP_TO_HOST && !ptx_memory(op.to, op.bytes))
            r = INVALID_VALUE;
        else if (!set && op.kind != OP_TO_DEVICE && !ptx_memory(op.from, op.bytes))
            r = INVALID_VALUE;
        else if ((op.kind == OP_TO_HOST && (ptx_memory(op.to, 1) || !op.to)) ||
                 (op.kind == OP_TO_DEVICE && (ptx_memory(op.from, 1) || !op.from)))
            r = INVALID_VALUE; /* host memory is wanted */
        else {
            const void *from = (const void *)(uintptr_t)op.from;
            if (op.kind == OP_TO_DEVICE && !s->capture && !fake_pinned(from, op.bytes)) {
                op.staged = malloc(op.bytes);
                memcpy(op.staged, from, op.bytes);
            }
            if (op.kind == OP_TO_HOST && !fake_pinned((void *)(uintptr_t)op.to, op.bytes))
                wait |= !s->capture;
            r = fake_submit(s, op);
            if (!r && wait) r = fake_drain(s);
        }
    });
}
#define TO_DEVICE                                                                                            \
    { .kind = OP_TO_DEVICE, .to = to, .from = (uint64_t)(uintptr_t)from, .bytes = bytes }
#define TO_HOST                                                                                              \
    { .kind = OP_TO_HOST, .to = (uint64_t)(uintptr_t)to, .from = from, .bytes = bytes }
#define ON_DEVICE                                                                                            \
    { .kind = OP_ON_DEVICE, .to = to, .from = from, .bytes = bytes }
CALL(cuMemcpyHtoD_v2, uint64_t to, const void *from, size_t bytes) {
    return transfer((struct op)TO_DEVICE, NULL, true);
}
CALL(cuMemcpyDtoH_v2, void *to, uint64_t from, size_t bytes) {
    return transfer((struct op)TO_HOST, NULL, true);
}
CALL(cuMemcpyDtoD_v2, uint64_t to, uint64_t from, size_t bytes) {
    return transfer((struct op)ON_DEVICE, NULL, false);
}
CALL(cuMemcpyHtoDAsync_v2, uint64_t to, const void *from, size_t bytes, struct stream *s) {
    return transfer((struct op)TO_DEVICE, s, false);
}
CALL(cuMemcpyDtoHAsync_v2, void *to, uint64_t from, size_t bytes, struct stream *s) {
    return transfer((struct op)TO_HOST, s, false);
}
CALL(cuMemcpyDtoDAsync_v2, uint64_t to, uint64_t from, size_t bytes, struct stream *s) {
    return transfer((struct op)ON_DEVICE, s, false);
}
#define SET8                                                                                                 \
    { .kind = OP_SET8, .to = to, .bytes = n, .value = value }
#define SET32                                                                                                \
    { .kind = OP_SET32, .to = to, .bytes = 4 * n, .value = value }
CALL(cuMemsetD8_v2, uint64_t to, unsigned char value, size_t n) {
    return transfer((struct op)SET8, NULL, false);
}
CALL(cuMemsetD8Async, uint64_t to, unsigned char value, size_t n, struct stream *s) {
    return transfer((struct op)SET8, s, false);
}
CALL(cuMemsetD32_v2, uint64_t to, unsigned value, size_t n) {
    return to & 3 ? INVALID_VALUE : transfer((struct op)SET32, NULL, false);
}
CALL(cuMemsetD32Async, uint64_t to, unsigned value, size_t n, struct stream *s) {
    return to & 3 ? INVALID_VALUE : transfer((struct op)SET32, s, false);
}
