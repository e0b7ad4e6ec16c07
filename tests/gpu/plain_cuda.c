/* A libcuda for one model: its kernels are those of handmade.ptx, written in C. Where the interpreter of PTX
 * finds what is wrong with kernels, this one finds what is wrong with their caller: nothing on a stream is
 * done before somebody waits for it, memory of the device is at addresses that the host cannot use, and every
 * access is checked. */
#include "runtime/cuda_driver.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ENOUGH = 4096, MOST_PARAMETERS = 16, MOST_SHARED = 227 << 10 };
enum {
    INVALID_VALUE = 1,
    NOT_FOUND = 500,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_FAILED = 719,
    CAPTURE_UNSUPPORTED = 900
};
static const struct {
    int code;
    const char *name, *text;
} errors[] = {
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CU_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CU_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {CU_INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
};

struct cu_context {
    atomic_int users;
};
struct cu_module {
    const char *text;
};
struct cu_function {
    const struct kernel *kernel;
    unsigned most_shared;
};
struct allocation {
    uint64_t at;
    size_t bytes;
    char *host;
};
enum kind { COPY_IN, COPY_OUT, COPY, FILL, KERNEL, EVENT, GRAPH };
struct node {
    enum kind kind;
    uint64_t to, from;
    void *host;
    size_t bytes;
    unsigned char value;
    struct cu_function *function;
    unsigned blocks, threads, shared;
    uint64_t parameters[MOST_PARAMETERS];
    struct cu_event *event;
    struct cu_exec *exec;
};
struct list {
    struct node *nodes;
    size_t count, room;
};
struct cu_stream {
    struct list work, recorded;
    bool recording;
};
struct cu_graph {
    struct list list;
};
struct cu_exec {
    struct list list;
};
struct cu_event {
    double time;
    struct cu_stream *stream;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct allocation allocations[ENOUGH];
static int used; /* of them at most so far */
static struct cu_context primary;
static struct cu_function functions[64];
static atomic_int sticky; /* what a kernel did; all calls fail from then on */
static _Thread_local struct cu_context *current;
static _Thread_local bool recording_here;

/* ---- memory ---- */

/* The host's address of the device's, or NULL. */
static void *find(uint64_t at, size_t bytes) {
    void *found = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < used; i++) {
        const struct allocation *a = &allocations[i];
        if (a->at && at >= a->at && at + bytes <= a->at + a->bytes) found = a->host + (at - a->at);
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* For a stand-in for NCCL (tests/distributed/fake_nccl.c). */
__attribute__((visibility("default"))) void *plain_cuda_memory(uint64_t at, size_t bytes);
void *plain_cuda_memory(uint64_t at, size_t bytes) { return find(at, bytes); }

/* What a kernel reads or writes; outside of all memory: a place that does not matter. */
static void *access_to(uint64_t at, size_t bytes) {
    static _Thread_local uint64_t nowhere[2];
    void *p = at % bytes ? NULL : find(at, bytes);
    if (p) return p;
    sticky = ILLEGAL_ADDRESS;
    return nowhere;
}
#define F32(at) (*(float *)access_to((at), 4))
#define I32(at) (*(int32_t *)access_to((at), 4))
#define I64(at) (*(int64_t *)access_to((at), 8))

/* ---- kernels: a call does a thread block; p: the parameters ---- */

struct block {
    const uint64_t *p;
    uint64_t block, blocks, threads;
    unsigned shared;
};
#define REFUSED(failure) (I64(failure) != 0)

static void refuse(uint64_t failure, int32_t value, uint64_t step) {
    I64(failure + 8) = value;
    I64(failure) = (int64_t)step + 1;
}

static void check_ids(const struct block *b) {
    for (uint64_t i = 0; i < b->p[1] && !REFUSED(b->p[3]); i++)
        if (I32(b->p[0] + 4 * i) < 0 || I32(b->p[0] + 4 * i) >= 4)
            refuse(b->p[3], I32(b->p[0] + 4 * i), b->p[4]);
}
static void count_call(const struct block *b) {
    if (!REFUSED(b->p[4])) I32(b->p[1]) = ++I32(b->p[0]);
}
static void scale(const struct block *b) {
    const uint64_t *p = b->p;
    if (REFUSED(p[7])) return;
    for (uint64_t t = 0; t < b->threads; t++)
        for (uint64_t i = b->block * b->threads + t; i < p[5]; i += b->blocks * b->threads)
            F32(p[4] + 4 * i) = F32(p[0] + 4 * i) * F32(p[2]) * F32(p[3] + 4 * (uint64_t)I32(p[1] + 4 * i));
}
static void reverse(const struct block *b) {
    const uint64_t *p = b->p;
    if (REFUSED(p[4])) return;
    for (uint64_t t = 0; t < b->threads; t++) {
        uint64_t own = b->block * b->threads + t, stop = p[3] + 4 * own;
        F32(stop) = 0;
        for (uint64_t i = own; i < p[2]; i += b->blocks * b->threads) {
            F32(stop) = F32(p[0] + 4 * (p[2] - 1 - i));
            F32(p[1] + 4 * i) = F32(stop);
        }
    }
}
static void scan_row(const struct block *b) {
    const uint64_t *p = b->p;
    int32_t j = I32(p[2]);
    for (int l = 0; l < 8; l++)
        F32(p[3] + 4 * (uint64_t)(8 * j + l)) = F32(p[1]) + (float)(100 * j) + (float)l + F32(p[0]);
}
static void note_counter(const struct block *b) { I32(b->p[1]) = I32(b->p[0]) + 1; }
static void set_zero(const struct block *b) { I32(b->p[0]) = 0; }
static void copy(const struct block *b) { I32(b->p[1] + 4 * b->block) = I32(b->p[0] + 4 * b->block); }
static void check_signs(const struct block *b) {
    for (uint64_t i = 0; i < b->p[2] && !REFUSED(b->p[4]); i++)
        if (I32(b->p[0] + 4 * i) < 0) refuse(b->p[4], I32(b->p[0] + 4 * i), b->p[5]);
}
static void outer(const struct block *b) {
    const uint64_t *p = b->p;
    if (b->shared < 65536) sticky = ILLEGAL_ADDRESS;
    for (uint64_t i = 0; i < p[5] && !REFUSED(p[7]); i++)
        I32(p[3] + 4 * (b->block * p[5] + i)) = I32(p[0] + 4 * b->block) * I32(p[1] + 4 * i) + I32(p[2]);
}
static void peek(const struct block *b) {
    I32(b->p[1]) = I32(b->p[0]);
    I32(b->p[1] + 4) = I32(b->p[2]);
    I32(b->p[1] + 8) = I32(b->p[2] - 4) | I32(b->p[2] - 16384);
}
static void crash(const struct block *b) { I32(64) = (int32_t)b->block; }

static const struct kernel {
    const char *name;
    int parameters;
    void (*run)(const struct block *);
} kernels[] = {
    {"check_ids", 5, check_ids},
    {"count_call", 6, count_call},
    {"scale", 9, scale},
    {"reverse", 6, reverse},
    {"scan_row", 8, scan_row},
    {"note_counter", 6, note_counter},
    {"set_zero", 5, set_zero},
    {"copy", 7, copy},
    {"check_signs", 6, check_signs},
    {"outer", 9, outer},
    {"peek", 5, peek},
    {"crash", 4, crash},
};

/* ---- streams ---- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void append(struct list *l, const struct node *n) {
    if (l->count == l->room) {
        l->room = l->room ? 2 * l->room : 16;
        l->nodes = realloc(l->nodes, l->room * sizeof *l->nodes);
        if (!l->nodes) abort();
    }
    l->nodes[l->count++] = *n;
}

static int put(struct cu_stream *s, const struct node *n) {
    if (sticky) return sticky;
    if (!current || !s) return INVALID_VALUE;
    append(s->recording ? &s->recorded : &s->work, n);
    return 0;
}

static void run_kernel(const struct node *n) {
    struct block b = {n->parameters, 0, n->blocks, n->threads, n->shared};
    for (; b.block < b.blocks && !sticky; b.block++) n->function->kernel->run(&b);
}

static void run_list(const struct list *l);
static void run_node(const struct node *n) {
    void *to = n->kind == COPY_IN || n->kind == COPY || n->kind == FILL ? find(n->to, n->bytes) : n->host,
         *from = n->kind == COPY_OUT || n->kind == COPY ? find(n->from, n->bytes) : n->host;
    bool copies = n->kind == COPY_IN || n->kind == COPY || n->kind == COPY_OUT;
    if ((copies && (!to || !from)) || (n->kind == FILL && !to)) {
        sticky = ILLEGAL_ADDRESS;
        return;
    }
    if (copies) memmove(to, from, n->bytes);
    if (n->kind == FILL) memset(to, n->value, n->bytes);
    if (n->kind == KERNEL) run_kernel(n);
    if (n->kind == EVENT) n->event->time = now();
    if (n->kind == GRAPH) run_list(&n->exec->list);
}
static void run_list(const struct list *l) {
    for (size_t i = 0; i < l->count && !sticky; i++) run_node(&l->nodes[i]);
}

/* ---- the driver's functions ---- */

#define EXPORT __attribute__((visibility("default")))
#define DECLARE(name, parameters) EXPORT int name parameters;
CUDA_DRIVER_FUNCTIONS(DECLARE)
#undef DECLARE

int cuInit(unsigned flags) { return flags ? INVALID_VALUE : 0; }
int cuGetErrorName(int code, const char **name) {
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].code == code) return *name = errors[i].name, 0;
    return INVALID_VALUE;
}
int cuGetErrorString(int code, const char **text) {
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].code == code) return *text = errors[i].text, 0;
    return INVALID_VALUE;
}
int cuDeviceGetCount(int *count) { return *count = 1, 0; }
int cuDeviceGet(int *device, int number) { return *device = 10, number ? INVALID_VALUE : 0; }
int cuDeviceGetName(char *name, int size, int device) {
    snprintf(name, (size_t)size, "stand-in");
    return device == 10 ? 0 : INVALID_VALUE;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    const char *capability = getenv("MDL_FAKE_SM");
    int n = capability ? atoi(capability) : 90;
    bool major = attribute == CU_DEVICE_CAPABILITY_MAJOR, minor = attribute == CU_DEVICE_CAPABILITY_MINOR,
         processors = attribute == CU_DEVICE_MULTIPROCESSORS;
    *value = major ? n / 10 : minor ? n % 10 : 4;
    return device == 10 && (major || minor || processors) ? 0 : INVALID_VALUE;
}
int cuDevicePrimaryCtxRetain(struct cu_context **c, int device) {
    primary.users++;
    *c = &primary;
    return device == 10 ? sticky : INVALID_VALUE;
}
int cuDevicePrimaryCtxRelease_v2(int device) {
    return device == 10 && primary.users-- > 0 ? 0 : INVALID_VALUE;
}
int cuCtxGetCurrent(struct cu_context **c) { return *c = current, 0; }
int cuCtxGetDevice(int *device) { return *device = 10, current ? 0 : INVALID_VALUE; }
int cuCtxSetCurrent(struct cu_context *c) { return current = c, 0; }

int cuModuleLoadDataEx(struct cu_module **module, const void *image, unsigned count, int *options,
                       void **values) {
    const char *text = image;
    if (sticky || !current) return sticky ? sticky : INVALID_VALUE;
    if (!memcmp(image, "\177ELF", 4)) return CU_NO_BINARY_FOR_GPU;
    if (!strstr(text, ".version")) {
        for (unsigned i = 0; i < count; i++)
            if (options[i] == CU_JIT_ERROR_LOG) strcpy(values[i], "line 1; fatal: a .version was expected\n");
        return CU_INVALID_PTX;
    }
    *module = malloc(sizeof **module);
    (*module)->text = text;
    return 0;
}
int cuModuleUnload(struct cu_module *m) { return free(m), sticky; }
int cuModuleGetFunction(struct cu_function **f, struct cu_module *m, const char *name) {
    char entry[100];
    snprintf(entry, sizeof entry, ".entry %s(", name);
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        if (strcmp(kernels[i].name, name) || !strstr(m->text, entry)) continue;
        pthread_mutex_lock(&lock);
        functions[i].kernel = &kernels[i];
        pthread_mutex_unlock(&lock);
        return *f = &functions[i], sticky;
    }
    return NOT_FOUND;
}
int cuFuncGetAttribute(int *value, int attribute, struct cu_function *f) {
    *value = 1024;
    return f && attribute == CU_FUNC_MAX_THREADS_PER_BLOCK ? sticky : INVALID_VALUE;
}
int cuFuncSetAttribute(struct cu_function *f, int attribute, int value) {
    if (attribute != CU_FUNC_MAX_DYNAMIC_SHARED || value > MOST_SHARED) return INVALID_VALUE;
    pthread_mutex_lock(&lock);
    f->most_shared = (unsigned)value;
    pthread_mutex_unlock(&lock);
    return sticky;
}

int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, struct cu_function *f, int threads, size_t shared) {
    *blocks = 32;
    return f && threads > 0 && shared <= MOST_SHARED ? sticky : INVALID_VALUE;
}

/* Taking and giving back memory is not allowed to a thread that records. */
int cuMemAlloc_v2(uint64_t *at, size_t bytes) {
    static uint64_t next = 0x5000000000000;
    int code = sticky             ? sticky
               : recording_here   ? CAPTURE_UNSUPPORTED
               : current && bytes ? CU_OUT_OF_MEMORY
                                  : INVALID_VALUE;
    if (code != CU_OUT_OF_MEMORY) return code;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < ENOUGH && code; i++) {
        if (allocations[i].at) continue;
        allocations[i] = (struct allocation){next, bytes, malloc(bytes)};
        memset(allocations[i].host, 0x7f, bytes);
        *at = next;
        next += (bytes + 511) / 256 * 256;
        if (used <= i) used = i + 1;
        code = 0;
    }
    pthread_mutex_unlock(&lock);
    return code;
}
int cuMemFree_v2(uint64_t at) {
    int code = INVALID_VALUE;
    if (sticky) return sticky;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < ENOUGH; i++) {
        if (!at || allocations[i].at != at) continue;
        free(allocations[i].host);
        allocations[i] = (struct allocation){0};
        code = 0;
    }
    pthread_mutex_unlock(&lock);
    return code;
}
int cuMemAllocHost_v2(void **at, size_t bytes) {
    if (sticky || recording_here) return sticky ? sticky : CAPTURE_UNSUPPORTED;
    return *at = malloc(bytes), *at ? 0 : CU_OUT_OF_MEMORY;
}
int cuMemFreeHost(void *at) { return free(at), sticky; }

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, struct cu_stream *s) {
    return put(s, &(struct node){.kind = COPY_IN, .to = to, .host = (void *)from, .bytes = bytes});
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, struct cu_stream *s) {
    return put(s, &(struct node){.kind = COPY_OUT, .host = to, .from = from, .bytes = bytes});
}
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, struct cu_stream *s) {
    return put(s, &(struct node){.kind = COPY, .to = to, .from = from, .bytes = bytes});
}
int cuMemsetD8Async(uint64_t at, unsigned char value, size_t bytes, struct cu_stream *s) {
    return put(s, &(struct node){.kind = FILL, .to = at, .value = value, .bytes = bytes});
}
int cuLaunchKernel(struct cu_function *f, unsigned x, unsigned y, unsigned z, unsigned threads,
                   unsigned threads_y, unsigned threads_z, unsigned shared, struct cu_stream *s,
                   void **parameters, void **extra) {
    struct node n = {.kind = KERNEL, .function = f, .blocks = x, .threads = threads, .shared = shared};
    bool plain =
        x && y == 1 && z == 1 && threads && threads <= 1024 && threads_y == 1 && threads_z == 1 && !extra;
    if (!plain || (shared > 48 << 10 && shared > f->most_shared)) return INVALID_VALUE;
    for (int i = 0; i < f->kernel->parameters; i++) memcpy(&n.parameters[i], parameters[i], sizeof(uint64_t));
    return put(s, &n);
}

int cuStreamCreate(struct cu_stream **s, unsigned flags) {
    if (sticky || !current || flags != CU_STREAM_NON_BLOCKING) return sticky ? sticky : INVALID_VALUE;
    return *s = calloc(1, sizeof **s), *s ? 0 : CU_OUT_OF_MEMORY;
}
int cuStreamDestroy_v2(struct cu_stream *s) {
    free(s->work.nodes);
    free(s->recorded.nodes);
    return free(s), sticky;
}
int cuStreamSynchronize(struct cu_stream *s) {
    if (s->recording) return CAPTURE_UNSUPPORTED;
    run_list(&s->work);
    s->work.count = 0;
    return sticky;
}
int cuStreamBeginCapture_v2(struct cu_stream *s, int mode) {
    if (sticky || s->recording || mode != CU_CAPTURE_THREAD_LOCAL) return sticky ? sticky : INVALID_VALUE;
    s->recording = recording_here = true;
    return 0;
}
int cuStreamEndCapture(struct cu_stream *s, struct cu_graph **g) {
    if (!s->recording) return INVALID_VALUE;
    s->recording = recording_here = false;
    *g = malloc(sizeof **g);
    (*g)->list = s->recorded;
    s->recorded = (struct list){0};
    return sticky;
}
int cuGraphInstantiateWithFlags(struct cu_exec **e, struct cu_graph *g, unsigned long long flags) {
    if (sticky || !g || flags) return sticky ? sticky : INVALID_VALUE;
    *e = calloc(1, sizeof **e);
    for (size_t i = 0; i < g->list.count; i++) append(&(*e)->list, &g->list.nodes[i]);
    return 0;
}
int cuGraphDestroy(struct cu_graph *g) {
    free(g->list.nodes);
    return free(g), sticky;
}
int cuGraphLaunch(struct cu_exec *e, struct cu_stream *s) {
    return put(s, &(struct node){.kind = GRAPH, .exec = e});
}
int cuGraphExecDestroy(struct cu_exec *e) {
    free(e->list.nodes);
    return free(e), sticky;
}

int cuEventCreate(struct cu_event **e, unsigned flags) {
    if (sticky || (flags && flags != CU_EVENT_DISABLE_TIMING)) return sticky ? sticky : INVALID_VALUE;
    return *e = calloc(1, sizeof **e), *e ? 0 : CU_OUT_OF_MEMORY;
}
int cuEventRecord(struct cu_event *e, struct cu_stream *s) {
    e->stream = s;
    return put(s, &(struct node){.kind = EVENT, .event = e});
}
int cuEventSynchronize(struct cu_event *e) { return e->stream ? cuStreamSynchronize(e->stream) : 0; }
int cuEventElapsedTime(float *ms, struct cu_event *start, struct cu_event *end) {
    *ms = (float)(end->time - start->time);
    return start->time > 0 && end->time >= start->time ? sticky : INVALID_VALUE;
}
/* What NCCL's engine asks besides. */
EXPORT int cuEventQuery(struct cu_event *e);
int cuEventQuery(struct cu_event *e) { return cuEventSynchronize(e); }

int cuEventDestroy_v2(struct cu_event *e) { return free(e), sticky; }
