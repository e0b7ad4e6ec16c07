/* What comm_nccl.c calls of NCCL and of CUDA's driver, for ranks that are threads of one process: for tests
 * on machines without GPUs. Buffers are in host memory, or in that of another stand-in for the driver,
 * $MDL_CUDA, which says where that is (tests/gpu/plain_cuda.c). Collectives are done when they are called,
 * which real ones are not. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS = 8, IDS = 64, BYTES = 1, INT32 = 2, FLOAT32 = 7, SUM = 0 };
struct nccl_id {
    char bytes[128];
};

/* All ranks of a group; what they wait for is told by `changed`. */
struct meeting {
    int ranks, joined, arrived, left;
    unsigned round;
    const void *in[RANKS];
    struct message *mail[RANKS][RANKS]; /* [to][from] */
};
struct message {
    struct message *next;
    size_t bytes;
    char data[];
};
struct member {
    struct meeting *meeting;
    int rank;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct meeting meetings[IDS];
static int next_id;

/* Receives of a group come after all of its sends. */
static _Thread_local struct {
    bool open;
    int count;
    struct {
        void *to;
        size_t bytes;
        int peer;
        struct member *member;
    } receives[RANKS];
} group;

#define EXPORT __attribute__((visibility("default")))
int ncclGetUniqueId(struct nccl_id *id);
int ncclCommInitRank(void **comm, int ranks, struct nccl_id id, int rank);
int ncclCommDestroy(void *comm);
int ncclCommAbort(void *comm);
int ncclCommGetAsyncError(void *comm, int *error);
int ncclAllReduce(const void *in, void *out, size_t n, int type, int op, void *comm, void *stream);
int ncclAllGather(const void *in, void *out, size_t n, int type, void *comm, void *stream);
int ncclReduceScatter(const void *in, void *out, size_t n, int type, int op, void *comm, void *stream);
int ncclSend(const void *in, size_t n, int type, int peer, void *comm, void *stream);
int ncclRecv(void *out, size_t n, int type, int peer, void *comm, void *stream);
int ncclGroupStart(void);
int ncclGroupEnd(void);
const char *ncclGetErrorString(int code);
int cuInit(unsigned flags);
int cuDeviceGetCount(int *count);
int cuDeviceGet(int *device, int number);
int cuDevicePrimaryCtxRetain(void **context, int device);
int cuDevicePrimaryCtxRelease_v2(int device);
int cuCtxGetCurrent(void **context);
int cuCtxSetCurrent(void *context);
int cuStreamCreate(void **stream, unsigned flags);
int cuStreamDestroy_v2(void *stream);
int cuEventCreate(void **event, unsigned flags);
int cuEventRecord(void *event, void *stream);
int cuEventQuery(void *event);
int cuEventDestroy_v2(void *event);
int cuMemsetD8Async(uint64_t to, unsigned char value, size_t n, void *stream);

/* The host's address of a buffer. */
static void *host(const void *at, size_t bytes) {
    void *driver = getenv("MDL_CUDA") ? dlopen(getenv("MDL_CUDA"), RTLD_NOW | RTLD_NOLOAD) : NULL;
    void *symbol = driver ? dlsym(driver, "plain_cuda_memory") : NULL;
    void *(*find)(uint64_t at, size_t bytes);
    memcpy(&find, &symbol, sizeof find);
    void *found = symbol && bytes ? find((uintptr_t)at, bytes) : (void *)(uintptr_t)at;
    if (driver) dlclose(driver);
    return found;
}

EXPORT int ncclGetUniqueId(struct nccl_id *id) {
    pthread_mutex_lock(&lock);
    int n = next_id++ % IDS;
    pthread_mutex_unlock(&lock);
    memset(id, 0, sizeof *id);
    memcpy(id->bytes, &n, sizeof n);
    memset(&meetings[n], 0, sizeof meetings[n]);
    return 0;
}

EXPORT int ncclCommInitRank(void **comm, int ranks, struct nccl_id id, int rank) {
    struct member *m = malloc(sizeof *m);
    int n;
    memcpy(&n, id.bytes, sizeof n);
    *m = (struct member){&meetings[n], rank};
    pthread_mutex_lock(&lock);
    m->meeting->ranks = ranks;
    m->meeting->joined++;
    pthread_cond_broadcast(&changed);
    while (m->meeting->joined < ranks) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    *comm = m;
    return 0;
}
EXPORT int ncclCommDestroy(void *comm) {
    free(comm);
    return 0;
}
EXPORT int ncclCommAbort(void *comm) { return ncclCommDestroy(comm); }
EXPORT int ncclCommGetAsyncError(void *comm, int *error) {
    (void)comm;
    *error = 0;
    return 0;
}

/* Under the lock: returns when all ranks have come. */
static void meet(struct meeting *m) {
    unsigned round = m->round;
    if (++m->arrived == m->ranks) {
        m->arrived = 0;
        m->round++;
        pthread_cond_broadcast(&changed);
    }
    while (m->round == round) pthread_cond_wait(&changed, &lock);
}

/* Elements from..from + n of the sum over ranks. */
static int sum(struct member *m, const void *in, void *out, size_t from, size_t n, int type, int op) {
    struct meeting *g = m->meeting;
    if (op != SUM || (type != INT32 && type != FLOAT32)) return 4; /* ncclInvalidArgument */
    void *made = calloc(n + 1, 4);
    pthread_mutex_lock(&lock);
    g->in[m->rank] = in;
    meet(g);
    for (int r = 0; r < g->ranks; r++)
        for (size_t i = 0; i < n; i++) {
            if (type == INT32)
                ((int32_t *)made)[i] += ((const int32_t *)g->in[r])[from + i];
            else
                ((float *)made)[i] += ((const float *)g->in[r])[from + i];
        }
    meet(g);
    pthread_mutex_unlock(&lock);
    memcpy(out, made, 4 * n);
    free(made);
    return 0;
}
EXPORT int ncclAllReduce(const void *in, void *out, size_t n, int type, int op, void *comm, void *stream) {
    (void)stream;
    return sum(comm, host(in, 4 * n), host(out, 4 * n), 0, n, type, op);
}
EXPORT int ncclReduceScatter(const void *in, void *out, size_t n, int type, int op, void *comm,
                             void *stream) {
    (void)stream;
    struct member *m = comm;
    return sum(m, host(in, (size_t)m->meeting->ranks * 4 * n), host(out, 4 * n), (size_t)m->rank * n, n, type,
               op);
}
EXPORT int ncclAllGather(const void *in, void *out, size_t n, int type, void *comm, void *stream) {
    struct member *m = comm;
    struct meeting *g = m->meeting;
    (void)stream;
    if (type != BYTES) return 4;
    char *to = host(out, (size_t)g->ranks * n);
    const void *from = host(in, n);
    pthread_mutex_lock(&lock);
    g->in[m->rank] = from;
    meet(g);
    for (int r = 0; r < g->ranks; r++) memcpy(to + (size_t)r * n, g->in[r], n);
    meet(g);
    pthread_mutex_unlock(&lock);
    return 0;
}

EXPORT int ncclSend(const void *in, size_t n, int type, int peer, void *comm, void *stream) {
    struct member *m = comm;
    struct message *made = malloc(sizeof *made + n), **at;
    (void)stream;
    if (type != BYTES) return 4;
    made->next = NULL;
    made->bytes = n;
    memcpy(made->data, host(in, n), n);
    pthread_mutex_lock(&lock);
    for (at = &m->meeting->mail[peer][m->rank]; *at; at = &(*at)->next) continue;
    *at = made;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return 0;
}
static int receive(void *out, size_t n, int peer, struct member *m) {
    pthread_mutex_lock(&lock);
    struct message **at = &m->meeting->mail[m->rank][peer];
    while (!*at) pthread_cond_wait(&changed, &lock);
    struct message *got = *at;
    *at = got->next;
    pthread_mutex_unlock(&lock);
    bool same = got->bytes == n;
    if (same) memcpy(host(out, n), got->data, n);
    free(got);
    return same ? 0 : 5;
}
EXPORT int ncclRecv(void *out, size_t n, int type, int peer, void *comm, void *stream) {
    (void)stream;
    if (type != BYTES || group.count == RANKS) return 4;
    if (!group.open) return receive(out, n, peer, comm);
    group.receives[group.count].to = out;
    group.receives[group.count].bytes = n;
    group.receives[group.count].peer = peer;
    group.receives[group.count++].member = comm;
    return 0;
}
EXPORT int ncclGroupStart(void) {
    group.open = true;
    group.count = 0;
    return 0;
}
EXPORT int ncclGroupEnd(void) {
    int code = 0;
    for (int i = 0; i < group.count && !code; i++)
        code = receive(group.receives[i].to, group.receives[i].bytes, group.receives[i].peer,
                       group.receives[i].member);
    group.open = false;
    return code;
}
EXPORT const char *ncclGetErrorString(int code) { return code == 4 ? "invalid argument" : "invalid usage"; }

static char anything;
EXPORT int cuInit(unsigned flags) { return flags != 0; }
EXPORT int cuDeviceGetCount(int *count) { return *count = 1, 0; }
EXPORT int cuDeviceGet(int *device, int number) { return *device = number, number != 0; }
EXPORT int cuDevicePrimaryCtxRetain(void **context, int device) { return *context = &anything, device != 0; }
EXPORT int cuDevicePrimaryCtxRelease_v2(int device) { return device != 0; }
EXPORT int cuCtxGetCurrent(void **context) {
    *context = &anything;
    return 0;
}
EXPORT int cuCtxSetCurrent(void *context) { return context != &anything; }
EXPORT int cuStreamCreate(void **stream, unsigned flags) {
    (void)flags;
    *stream = &anything;
    return 0;
}
EXPORT int cuStreamDestroy_v2(void *stream) { return stream != &anything; }
EXPORT int cuEventCreate(void **event, unsigned flags) {
    (void)flags;
    return !(*event = malloc(1));
}
EXPORT int cuEventRecord(void *event, void *stream) { return !event || stream != &anything; }
EXPORT int cuEventQuery(void *event) { return !event; }
EXPORT int cuEventDestroy_v2(void *event) {
    free(event);
    return 0;
}
EXPORT int cuMemsetD8Async(uint64_t to, unsigned char value, size_t n, void *stream) {
    memset((void *)(uintptr_t)to, value, n);
    return stream != &anything;
}
