/* The engine that is NCCL: a model's buffers are the memory of a GPU. Rings and reductions are NCCL's;
 * agreement and notes, which are the host's, travel on another comm of the same ranks, the bootstrap.
 *
 *     collective ─► NCCL, one stream ─► an event behind it, asked by `test`
 *     send, receive, post, take, wait ─► bootstrap
 *
 * NCCL and CUDA's driver are opened at run time, so their interfaces are declared here (nccl.h 2.x, cuda.h).
 */
#include "runtime/abi.h"
#include "runtime/comm.h"
#include "runtime/reduce.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NCCL_ID_BYTES = 128, ID_CHANNEL = 31000, CUDA_NOT_READY = 600, NO_TYPE = -1, DISABLE_TIMING = 2 };
struct nccl_id {
    char bytes[NCCL_ID_BYTES];
};

/* All that is called of both; names as there. */
struct functions {
    int (*ncclGetUniqueId)(struct nccl_id *);
    int (*ncclCommInitRank)(void **comm, int ranks, struct nccl_id, int rank);
    int (*ncclCommDestroy)(void *comm);
    int (*ncclCommAbort)(void *comm);
    int (*ncclCommGetAsyncError)(void *comm, int *error);
    int (*ncclAllReduce)(const void *, void *, size_t, int type, int op, void *comm, void *stream);
    int (*ncclAllGather)(const void *, void *, size_t, int type, void *comm, void *stream);
    int (*ncclReduceScatter)(const void *, void *, size_t, int type, int op, void *comm, void *stream);
    int (*ncclSend)(const void *, size_t, int type, int peer, void *comm, void *stream);
    int (*ncclRecv)(void *, size_t, int type, int peer, void *comm, void *stream);
    int (*ncclGroupStart)(void);
    int (*ncclGroupEnd)(void);
    const char *(*ncclGetErrorString)(int);
    int (*cuInit)(unsigned flags);
    int (*cuDeviceGetCount)(int *);
    int (*cuDeviceGet)(int *, int number);
    int (*cuDevicePrimaryCtxRetain)(void **, int device);
    int (*cuDevicePrimaryCtxRelease_v2)(int device);
    int (*cuCtxGetCurrent)(void **);
    int (*cuCtxSetCurrent)(void *);
    int (*cuStreamCreate)(void **, unsigned flags);
    int (*cuStreamDestroy_v2)(void *);
    int (*cuEventCreate)(void **, unsigned flags);
    int (*cuEventRecord)(void *, void *stream);
    int (*cuEventQuery)(void *);
    int (*cuEventDestroy_v2)(void *);
    int (*cuMemsetD8Async)(uint64_t, unsigned char, size_t, void *stream);
};

/* A collective under way. */
struct pending {
    const struct mdl_transfer *transfer;
    void *event, *group;
    struct pending *next;
};
struct nccl_comm {
    struct mdl_comm comm; /* first */
    struct mdl_comm *bootstrap;
    struct functions f;
    void *library, *driver, *context, *stream;
    int device; /* whose primary context this is, and given back at the end; -1: the caller's */
    pthread_mutex_t lock;
    struct pending *pending;
};

static struct nccl_comm *of(struct mdl_comm *comm) { return (struct nccl_comm *)comm; }

static int failed(struct mdl_comm *comm, const char *what, int code) {
    const char *why = of(comm)->f.ncclGetErrorString(code);
    snprintf(comm->error, sizeof comm->error, "NCCL: %s: %.180s", what, why ? why : "?");
    return MDL_BROKEN;
}
static int cuda_failed(struct mdl_comm *comm, const char *what, int code) {
    snprintf(comm->error, sizeof comm->error, "CUDA: %s: error %d", what, code);
    return MDL_BROKEN;
}

/* --- what the bootstrap does --- */

static int take_error(struct mdl_comm *comm, int status) {
    if (status < 0) memcpy(comm->error, of(comm)->bootstrap->error, sizeof comm->error);
    return status;
}
static int nccl_send(struct mdl_comm *comm, int32_t to, uint32_t channel, const void *data, uint64_t bytes,
                     struct mdl_transfer *t) {
    struct mdl_comm *b = of(comm)->bootstrap;
    return take_error(comm, b->engine->send(b, to, channel, data, bytes, t));
}
static int nccl_receive(struct mdl_comm *comm, int32_t from, uint32_t channel, void *data, uint64_t bytes,
                        struct mdl_transfer *t) {
    struct mdl_comm *b = of(comm)->bootstrap;
    return take_error(comm, b->engine->receive(b, from, channel, data, bytes, t));
}
static void nccl_post(struct mdl_comm *comm, int32_t to, const struct mdl_note *note) {
    of(comm)->bootstrap->engine->post(of(comm)->bootstrap, to, note);
}
static int nccl_take(struct mdl_comm *comm, struct mdl_note *note) {
    return of(comm)->bootstrap->engine->take(of(comm)->bootstrap, note);
}
/* Events do not wake anybody, so waits are short. */
static void nccl_wait(struct mdl_comm *comm, int32_t most_us, int64_t idle_us) {
    enum { SHORT_US = 50 };
    struct mdl_comm *b = of(comm)->bootstrap;
    bool busy = of(comm)->pending != NULL;
    b->engine->wait(b, busy && most_us > SHORT_US ? SHORT_US : most_us, idle_us);
}
static void nccl_wake(struct mdl_comm *comm) { of(comm)->bootstrap->engine->wake(of(comm)->bootstrap); }

/* --- groups --- */

/* A message of a few bytes, here and now. */
static int pass(struct mdl_comm *comm, int32_t from, int32_t to, void *data, uint64_t bytes) {
    struct mdl_comm *b = of(comm)->bootstrap;
    struct mdl_transfer t;
    int status = from == comm->rank ? b->engine->send(b, to, ID_CHANNEL, data, bytes, &t)
                                    : b->engine->receive(b, from, ID_CHANNEL, data, bytes, &t);
    while (status == MDL_UNDER_WAY && !(status = b->engine->test(b, &t))) b->engine->wait(b, 1000, 0);
    return take_error(comm, status);
}

/* The first member makes the id and gives it to the others. */
static int share_id(struct mdl_comm *comm, const int32_t *ranks, int32_t count, struct nccl_id *id) {
    bool first = ranks[0] == comm->rank;
    int code = first ? of(comm)->f.ncclGetUniqueId(id) : 0;
    if (code) return failed(comm, "ncclGetUniqueId", code);
    if (!first) return pass(comm, ranks[0], comm->rank, id, sizeof *id);
    for (int32_t i = 1; i < count; i++)
        if (pass(comm, comm->rank, ranks[i], id, sizeof *id) < 0) return MDL_BROKEN;
    return MDL_FINISHED;
}

static int nccl_group(struct mdl_comm *comm, const int32_t *ranks, int32_t count, void **group) {
    struct nccl_comm *c = of(comm);
    struct nccl_id id;
    int place = 0;
    while (place < count && ranks[place] != comm->rank) place++;
    if (share_id(comm, ranks, count, &id) < 0) return MDL_BROKEN;
    c->f.cuCtxSetCurrent(c->context);
    int code = c->f.ncclCommInitRank(group, count, id, place);
    return code ? failed(comm, "ncclCommInitRank", code) : MDL_UNDER_WAY;
}

static void nccl_group_free(struct mdl_comm *comm, void *group) {
    if (comm->broken)
        of(comm)->f.ncclCommAbort(group);
    else
        of(comm)->f.ncclCommDestroy(group);
}

/* --- collectives --- */

/* ncclDataType_t, ncclRedOp_t. NCCL has no 16-bit integers; bool is what bytes 0 and 1 are. */
static int type_of(const struct mdl_library_collective *c) {
    static const int types[MDL_BOOL + 1] = {8, 7, 6, 9, 4, 2, NO_TYPE, 0, 1, 1};
    return types[c->dtype];
}
static int op_of(const struct mdl_library_collective *c) {
    enum { SUM, PROD, MAX, MIN };
    static const int ops[] = {[MDL_SUM] = SUM, [MDL_MAX] = MAX, [MDL_MIN] = MIN, [MDL_PROD] = PROD},
                     of_bool[] = {[MDL_SUM] = MAX, [MDL_MAX] = MAX, [MDL_MIN] = MIN, [MDL_PROD] = MIN};
    return c->dtype == MDL_BOOL ? of_bool[c->reduction] : ops[c->reduction];
}
enum { BYTES = 1 /* ncclUint8 */ };

static int all_to_all(struct nccl_comm *c, void *group, const struct mdl_library_collective *x,
                      size_t bytes) {
    int code = c->f.ncclGroupStart();
    for (int32_t i = 0; i < x->count && !code; i++) {
        size_t at = (size_t)i * bytes;
        code = c->f.ncclSend((const char *)x->in + at, bytes, BYTES, i, group, c->stream);
        if (!code) code = c->f.ncclRecv((char *)x->out + at, bytes, BYTES, i, group, c->stream);
    }
    int end = c->f.ncclGroupEnd();
    return code ? code : end;
}

static int permute(struct nccl_comm *c, void *group, const struct mdl_library_collective *x, size_t bytes) {
    int32_t to = x->peers[x->own], from = -1;
    for (int32_t i = 0; i < x->count; i++)
        if (x->peers[i] == x->own) from = i;
    if (from < 0) c->f.cuMemsetD8Async((uint64_t)(uintptr_t)x->out, 0, bytes, c->stream);
    int code = c->f.ncclGroupStart();
    if (!code && to >= 0) code = c->f.ncclSend(x->in, bytes, BYTES, to, group, c->stream);
    if (!code && from >= 0) code = c->f.ncclRecv(x->out, bytes, BYTES, from, group, c->stream);
    int end = c->f.ncclGroupEnd();
    return code ? code : end;
}

static int begin(struct nccl_comm *c, void *group, const struct mdl_library_collective *x) {
    size_t bytes = x->elements * reduce_bytes[x->dtype];
    switch ((enum mdl_collective_kind)x->kind) {
    case MDL_ALL_REDUCE:
        return c->f.ncclAllReduce(x->in, x->out, x->elements, type_of(x), op_of(x), group, c->stream);
    case MDL_REDUCE_SCATTER:
        return c->f.ncclReduceScatter(x->in, x->out, x->elements, type_of(x), op_of(x), group, c->stream);
    case MDL_ALL_GATHER:
        return c->f.ncclAllGather(x->in, x->out, bytes, BYTES, group, c->stream);
    case MDL_ALL_TO_ALL:
        return all_to_all(c, group, x, bytes);
    case MDL_PERMUTE:
        return permute(c, group, x, bytes);
    case MDL_SEND:
        return c->f.ncclSend(x->in, bytes, BYTES, x->peers[0], group, c->stream);
    case MDL_RECEIVE:
        return c->f.ncclRecv(x->out, bytes, BYTES, x->peers[0], group, c->stream);
    }
    return 0;
}

static int enqueue(struct mdl_comm *comm, void *group, const struct mdl_library_collective *x,
                   struct pending *p) {
    struct nccl_comm *c = of(comm);
    c->f.cuCtxSetCurrent(c->context);
    int code = begin(c, group, x);
    if (code) return failed(comm, "a collective", code);
    code = c->f.cuEventCreate(&p->event, DISABLE_TIMING);
    if (!code) code = c->f.cuEventRecord(p->event, c->stream);
    return code ? cuda_failed(comm, "an event behind a collective", code) : MDL_UNDER_WAY;
}

static void keep_pending(struct nccl_comm *c, struct pending *p) {
    pthread_mutex_lock(&c->lock);
    p->next = c->pending;
    c->pending = p;
    pthread_mutex_unlock(&c->lock);
}

static void drop(struct nccl_comm *c, struct pending *p) {
    if (p->event) c->f.cuEventDestroy_v2(p->event);
    free(p);
}

static int nccl_collective(struct mdl_comm *comm, void *group, const struct mdl_library_collective *x,
                           struct mdl_transfer *t) {
    struct nccl_comm *c = of(comm);
    bool reduces = x->kind == MDL_ALL_REDUCE || x->kind == MDL_REDUCE_SCATTER;
    if (reduces && type_of(x) == NO_TYPE) {
        snprintf(comm->error, sizeof comm->error, "NCCL cannot reduce 16-bit integers");
        return MDL_BROKEN;
    }
    struct pending *p = malloc(sizeof *p);
    if (!p) {
        snprintf(comm->error, sizeof comm->error, "out of memory");
        return MDL_BROKEN;
    }
    *p = (struct pending){.transfer = t, .group = group};
    int status = enqueue(comm, group, x, p);
    if (status == MDL_UNDER_WAY)
        keep_pending(c, p);
    else
        drop(c, p);
    return status;
}

/* Takes the collective of this transfer out of the list; NULL: the transfer is the bootstrap's. */
static struct pending *take_pending(struct nccl_comm *c, const struct mdl_transfer *t) {
    pthread_mutex_lock(&c->lock);
    struct pending **at = &c->pending, *p;
    while (*at && (*at)->transfer != t) at = &(*at)->next;
    if ((p = *at)) *at = p->next;
    pthread_mutex_unlock(&c->lock);
    return p;
}

static int look(struct mdl_comm *comm, const struct pending *p) {
    struct nccl_comm *c = of(comm);
    int error = 0, code;
    c->f.cuCtxSetCurrent(c->context);
    code = c->f.ncclCommGetAsyncError(p->group, &error);
    if (code || error) return failed(comm, "a collective under way", code ? code : error);
    code = c->f.cuEventQuery(p->event);
    if (code == CUDA_NOT_READY) return MDL_UNDER_WAY;
    return code ? cuda_failed(comm, "a collective under way", code) : MDL_FINISHED;
}

static int nccl_test(struct mdl_comm *comm, struct mdl_transfer *t) {
    struct nccl_comm *c = of(comm);
    struct pending *p = take_pending(c, t);
    if (!p) return take_error(comm, c->bootstrap->engine->test(c->bootstrap, t));
    int status = look(comm, p);
    if (status != MDL_UNDER_WAY) {
        drop(c, p);
        return status;
    }
    keep_pending(c, p);
    return status;
}

/* What is on the stream ends when its group is given up. */
static void nccl_cancel(struct mdl_comm *comm, struct mdl_transfer *t) {
    struct nccl_comm *c = of(comm);
    struct pending *p = take_pending(c, t);
    if (p)
        drop(c, p);
    else
        c->bootstrap->engine->cancel(c->bootstrap, t);
}

/* --- opening and closing --- */

static void nccl_abort(struct mdl_comm *comm, int status) {
    of(comm)->bootstrap->engine->abort(of(comm)->bootstrap, status);
}

static void release(struct nccl_comm *c) {
    if (c->stream) c->f.cuStreamDestroy_v2(c->stream);
    if (c->device >= 0) c->f.cuDevicePrimaryCtxRelease_v2(c->device);
    if (c->library) dlclose(c->library);
    if (c->driver) dlclose(c->driver);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static void nccl_close(struct mdl_comm *comm) {
    struct nccl_comm *c = of(comm);
    c->bootstrap->broken |= comm->broken;
    if (!comm->broken) release(c);
}

static const struct mdl_comm_engine engine = {
    .size = sizeof engine,
    .devices = 1,
    .name = "nccl",
    .send = nccl_send,
    .receive = nccl_receive,
    .test = nccl_test,
    .cancel = nccl_cancel,
    .post = nccl_post,
    .take = nccl_take,
    .wait = nccl_wait,
    .wake = nccl_wake,
    .group = nccl_group,
    .group_free = nccl_group_free,
    .collective = nccl_collective,
    .abort = nccl_abort,
    .close = nccl_close,
};

static bool find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

/* The first function that a library lacks, or NULL. */
static const char *find_functions(struct nccl_comm *c) {
    const struct {
        bool driver;
        const char *name;
        void *function;
    } all[] = {
#define NCCL(call) {false, #call, &c->f.call}
#define CUDA(call)                                                                                           \
    { true, #call, &c->f.call }
        NCCL(ncclGetUniqueId),
        NCCL(ncclCommInitRank),
        NCCL(ncclCommDestroy),
        NCCL(ncclCommAbort),
        NCCL(ncclCommGetAsyncError),
        NCCL(ncclAllReduce),
        NCCL(ncclAllGather),
        NCCL(ncclReduceScatter),
        NCCL(ncclSend),
        NCCL(ncclRecv),
        NCCL(ncclGroupStart),
        NCCL(ncclGroupEnd),
        NCCL(ncclGetErrorString),
        CUDA(cuInit),
        CUDA(cuDeviceGetCount),
        CUDA(cuDeviceGet),
        CUDA(cuDevicePrimaryCtxRetain),
        CUDA(cuDevicePrimaryCtxRelease_v2),
        CUDA(cuCtxGetCurrent),
        CUDA(cuCtxSetCurrent),
        CUDA(cuStreamCreate),
        CUDA(cuStreamDestroy_v2),
        CUDA(cuEventCreate),
        CUDA(cuEventRecord),
        CUDA(cuEventQuery),
        CUDA(cuEventDestroy_v2),
        CUDA(cuMemsetD8Async),
#undef NCCL
#undef CUDA
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!find(all[i].driver ? c->driver : c->library, all[i].name, all[i].function)) return all[i].name;
    return NULL;
}

static int load(struct nccl_comm *c, char *error, uint64_t size) {
    const char *nccl = getenv("MDL_NCCL"), *cuda = getenv("MDL_CUDA");
    c->library = dlopen(nccl ? nccl : "libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (c->library) c->driver = dlopen(cuda ? cuda : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!c->driver) {
        snprintf(error, size, "NCCL cannot be used here: %s ($MDL_NCCL, $MDL_CUDA: where else they are)",
                 dlerror());
        return MDL_IO;
    }
    const char *missing = find_functions(c);
    if (missing) snprintf(error, size, "NCCL cannot be used here: the library has no %s", missing);
    return missing ? MDL_UNSUPPORTED : MDL_OK;
}

/* That which is current in this thread; if none is, that of the GPU of the rank's number, which becomes
 * current.
 */
static bool find_context(struct nccl_comm *c) {
    int count = 0, device;
    if (!c->f.cuCtxGetCurrent(&c->context) && c->context) return true;
    bool found = !c->f.cuInit(0) && !c->f.cuDeviceGetCount(&count) && count > 0 &&
                 !c->f.cuDeviceGet(&device, c->bootstrap->rank % count) &&
                 !c->f.cuDevicePrimaryCtxRetain(&c->context, device);
    if (!found) return false;
    c->device = device;
    return !c->f.cuCtxSetCurrent(c->context);
}

static int open_stream(struct nccl_comm *c, char *error, uint64_t size) {
    enum { NON_BLOCKING = 1 };
    if (!find_context(c)) {
        snprintf(error, size, "NCCL: there is no CUDA context, and none can be made");
        return MDL_UNSUPPORTED;
    }
    if (!c->f.cuStreamCreate(&c->stream, NON_BLOCKING)) return MDL_OK;
    snprintf(error, size, "NCCL: a CUDA stream cannot be made");
    return MDL_NO_MEMORY;
}

int mdl_comm_nccl(struct mdl_comm *bootstrap, char *error, uint64_t size, struct mdl_comm **comm) {
    struct nccl_comm *c = calloc(1, sizeof *c);
    *comm = NULL;
    if (!c) return MDL_NO_MEMORY;
    pthread_mutex_init(&c->lock, NULL);
    c->bootstrap = bootstrap;
    c->device = -1;
    int status = load(c, error, size);
    if (!status) status = open_stream(c, error, size);
    if (status) {
        release(c);
        return status;
    }
    c->comm = (struct mdl_comm){.engine = &engine, .rank = bootstrap->rank, .size = bootstrap->size};
    *comm = &c->comm;
    return MDL_OK;
}
