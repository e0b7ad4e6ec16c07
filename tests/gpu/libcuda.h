/* The parts of the stand-in for CUDA's driver: handles, queues of operations, what a graph holds. The names
 * and numbers are the driver API's, which this stands in for. */
#ifndef TESTS_GPU_LIBCUDA_H
#define TESTS_GPU_LIBCUDA_H
#include "tests/gpu/ptx.h"
#include <pthread.h>

enum {
    CUDA_SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    INVALID_PTX = 218,
    INVALID_SOURCE = 300,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_UNMATCHED = 903,
    HOST_ALREADY_REGISTERED = 712,
    HOST_NOT_REGISTERED = 713,
    INVALID_DEVICE = 101,
};
typedef int result;

enum { ALIVE = 0x6d646c63 };
enum op_kind {
    OP_TO_DEVICE,
    OP_TO_HOST,
    OP_ON_DEVICE,
    OP_SET8,
    OP_SET32,
    OP_LAUNCH,
    OP_RECORD,
    OP_WAIT,
    OP_GRAPH
};
struct event;
struct graph;
struct op {
    struct op *next;
    enum op_kind kind;
    uint64_t to, from, bytes; /* device addresses, or pointers of the host */
    uint32_t value;
    const struct ptx_kernel *kernel;
    struct ptx_launch launch;
    unsigned char *params;
    struct event *event;
    uint64_t ticket; /* the event's recording that is waited for */
    struct graph *graph;
    unsigned char *staged; /* of pageable host memory: it was read at the call */
};
struct graph {
    uint32_t alive;
    struct op *first, **last;
    uint32_t users;
};
struct stream {
    uint32_t alive;
    struct op *first, **last;
    struct graph *capture; /* NULL: operations are queued */
    struct stream *next;
};
struct event {
    uint32_t alive;
    uint64_t recorded, done; /* tickets */
    double time;
    struct stream *stream;
};
struct function {
    struct module *module;
    const struct ptx_kernel *kernel;
    uint32_t dynamic; /* allowed bytes of dynamic shared memory */
    struct function *next;
};
struct module {
    uint32_t alive;
    struct ptx_module *ptx;
    struct function *functions;
};

/* All calls hold it; queues run while somebody waits for them. */
extern pthread_mutex_t fake_lock;
extern int fake_failed;          /* the error that all calls give once a kernel has failed */
uint32_t fake_shared_most(void); /* bytes a block may have, by the compute capability */
bool fake_ready(result *why);    /* initialised, and a context is current */
struct stream *
fake_stream(struct stream *s); /* NULL and small numbers: the default one; NULL result: no stream */
result fake_submit(struct stream *s, struct op op);
result fake_drain(struct stream *s);
result fake_drain_all(void);
void fake_free_ops(struct op *op);
bool fake_pinned(const void *p, uint64_t bytes);
#define EXPORT __attribute__((visibility("default")))
#define CALL(name, ...)                                                                                      \
    EXPORT result name(__VA_ARGS__);                                                                         \
    EXPORT result name(__VA_ARGS__)
#endif
