/* A libcuda that hands every call on to another one, $MDL_WATCHED_CUDA, counts it, and lets a test make the
 * n-th call of a function fail, most without being done. */
#include "tests/gpu/watched_cuda.h"
#include "runtime/cuda_driver.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct cuda_driver real;

enum {
#define NUMBER(name, parameters) NUMBER_##name,
    CUDA_DRIVER_FUNCTIONS(NUMBER)
#undef NUMBER
        FUNCTIONS
};
static const char *const names[FUNCTIONS + 1] = {
#define NAME(name, parameters) #name,
    CUDA_DRIVER_FUNCTIONS(NAME)
#undef NAME
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long calls[FUNCTIONS], done[FUNCTIONS];
static int failing = -1, failing_code;
static long failing_call;

static int find(const char *name) {
    for (int i = 0; i < FUNCTIONS; i++)
        if (!strcmp(names[i], name)) return i;
    abort();
}

__attribute__((constructor)) static void open_real(void) {
    const char *path = getenv("MDL_WATCHED_CUDA");
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) abort();
#define FIND(name, parameters)                                                                               \
    {                                                                                                        \
        void *symbol = dlsym(library, #name);                                                                \
        if (!symbol) abort();                                                                                \
        memcpy(&real.name, &symbol, sizeof symbol);                                                          \
    }
    CUDA_DRIVER_FUNCTIONS(FIND)
#undef FIND
}

/* Notes a call; the code with which it shall fail, or 0. */
static int note(int number) {
    pthread_mutex_lock(&lock);
    int code = ++calls[number] == failing_call && number == failing ? failing_code : 0;
    pthread_mutex_unlock(&lock);
    return code;
}

static int note_result(int number, int code) {
    pthread_mutex_lock(&lock);
    done[number] += !code;
    pthread_mutex_unlock(&lock);
    return code;
}

#define EXPORT __attribute__((visibility("default")))
EXPORT void watched_fail(const char *name, long call, int code) {
    pthread_mutex_lock(&lock);
    failing = name ? find(name) : -1;
    failing_call = call;
    failing_code = code;
    memset(calls, 0, sizeof calls);
    memset(done, 0, sizeof done);
    pthread_mutex_unlock(&lock);
}
EXPORT long watched_calls(const char *name) { return calls[find(name)]; }
EXPORT long watched_done(const char *name) { return done[find(name)]; }
EXPORT const char *watched_name(int number) { return names[number]; }

/* What gives something back has done so even if it says that it failed; so has what ends a recording. */
static bool is_done_anyway(const char *name) {
    return strstr(name, "Free") || strstr(name, "Destroy") || strstr(name, "Unload") ||
           strstr(name, "Release");
}

/* A function of one to eleven parameters. */
#define PASS(name, arguments)                                                                                \
    int code = note(NUMBER_##name);                                                                          \
    if (code && !is_done_anyway(#name)) return code;                                                         \
    int result = real.name arguments;                                                                        \
    return code ? code : note_result(NUMBER_##name, result);
#define W1(name, A)                                                                                          \
    int name(A);                                                                                             \
    EXPORT int name(A a) { PASS(name, (a)) }
#define W2(name, A, B)                                                                                       \
    int name(A, B);                                                                                          \
    EXPORT int name(A a, B b) { PASS(name, (a, b)) }
#define W3(name, A, B, C)                                                                                    \
    int name(A, B, C);                                                                                       \
    EXPORT int name(A a, B b, C c) { PASS(name, (a, b, c)) }
#define W4(name, A, B, C, D)                                                                                 \
    int name(A, B, C, D);                                                                                    \
    EXPORT int name(A a, B b, C c, D d) { PASS(name, (a, b, c, d)) }
#define W5(name, A, B, C, D, E)                                                                              \
    int name(A, B, C, D, E);                                                                                 \
    EXPORT int name(A a, B b, C c, D d, E e) { PASS(name, (a, b, c, d, e)) }

typedef struct cu_stream *stream;
W1(cuInit, unsigned)
W2(cuGetErrorName, int, const char **)
W2(cuGetErrorString, int, const char **)
W1(cuDeviceGetCount, int *)
W2(cuDeviceGet, int *, int)
W3(cuDeviceGetName, char *, int, int)
W3(cuDeviceGetAttribute, int *, int, int)
W2(cuDevicePrimaryCtxRetain, struct cu_context **, int)
W1(cuDevicePrimaryCtxRelease_v2, int)
W1(cuCtxGetCurrent, struct cu_context **)
W1(cuCtxGetDevice, int *)
W1(cuCtxSetCurrent, struct cu_context *)
W5(cuModuleLoadDataEx, struct cu_module **, const void *, unsigned, int *, void **)
W1(cuModuleUnload, struct cu_module *)
W3(cuModuleGetFunction, struct cu_function **, struct cu_module *, const char *)
W3(cuFuncGetAttribute, int *, int, struct cu_function *)
W3(cuFuncSetAttribute, struct cu_function *, int, int)
W4(cuOccupancyMaxActiveBlocksPerMultiprocessor, int *, struct cu_function *, int, size_t)
W2(cuMemAlloc_v2, uint64_t *, size_t)
W1(cuMemFree_v2, uint64_t)
W2(cuMemAllocHost_v2, void **, size_t)
W1(cuMemFreeHost, void *)
W4(cuMemcpyHtoDAsync_v2, uint64_t, const void *, size_t, stream)
W4(cuMemcpyDtoHAsync_v2, void *, uint64_t, size_t, stream)
W4(cuMemcpyDtoDAsync_v2, uint64_t, uint64_t, size_t, stream)
W4(cuMemsetD8Async, uint64_t, unsigned char, size_t, stream)
W2(cuStreamCreate, struct cu_stream **, unsigned)
W1(cuStreamDestroy_v2, stream)
W1(cuStreamSynchronize, stream)
W2(cuStreamBeginCapture_v2, stream, int)

int cuStreamEndCapture(stream, struct cu_graph **);
EXPORT int cuStreamEndCapture(stream s, struct cu_graph **graph) {
    int code = note(NUMBER_cuStreamEndCapture), result = real.cuStreamEndCapture(s, graph);
    if (code && !result) real.cuGraphDestroy(*graph);
    return code ? code : note_result(NUMBER_cuStreamEndCapture, result);
}
W3(cuGraphInstantiateWithFlags, struct cu_exec **, struct cu_graph *, unsigned long long)
W1(cuGraphDestroy, struct cu_graph *)
W2(cuGraphLaunch, struct cu_exec *, stream)
W1(cuGraphExecDestroy, struct cu_exec *)
W2(cuEventCreate, struct cu_event **, unsigned)
W2(cuEventRecord, struct cu_event *, stream)
W1(cuEventSynchronize, struct cu_event *)
W3(cuEventElapsedTime, float *, struct cu_event *, struct cu_event *)
W1(cuEventDestroy_v2, struct cu_event *)

int cuLaunchKernel(struct cu_function *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                   stream, void **, void **);
EXPORT int cuLaunchKernel(struct cu_function *f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e,
                          unsigned g, unsigned shared, stream s, void **parameters, void **extra) {
    PASS(cuLaunchKernel, (f, a, b, c, d, e, g, shared, s, parameters, extra))
}
