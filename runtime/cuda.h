/* Models whose steps run on a GPU by CUDA's driver; only those link what is declared here.
 *
 *     device: driver, context, module, kernels, weights           shared by the model's sessions
 *     device_session: stream, blocks of the GPU's memory, graphs  one call at a time
 *
 *     a call:   inputs ─► staging ─► exchange: inputs│failure│results ─► staging ─► results
 *                         (page-locked)     (the GPU's)
 *               the copies and all kernels are one CUDA graph, recorded when dims first come and kept
 */
#ifndef RUNTIME_CUDA_H
#define RUNTIME_CUDA_H
#include "runtime/cuda_driver.h"
#include "runtime/model.h"

/* Memory of the GPU. */
struct cuda_block {
    uint64_t at; /* 0: none */
    size_t bytes;
};

struct device {
    struct cuda_driver driver;
    int number, handle;
    int capability; /* 90: 9.0 */
    char name[80];
    struct cu_context *context;
    struct cu_module *module;
    int processors;
    struct cu_function **kernels; /* [mdl_descriptor.kernels_count], */
    int *resident;                /* and how many blocks of each run at a time, where that is asked for */
    struct cuda_block weights;
    bool one_by_one; /* CUDA_LAUNCH_BLOCKING=1: each kernel is waited for; one that fails has a name */
};

/* In front of a step's scratch; the ABI's. */
enum { CUDA_JOIN_BYTES = MDL_JOINS * 4 };

/* Of one plan and choice of dims, with all addresses in it. */
struct cuda_graph {
    struct cu_exec *exec; /* NULL: the place is free */
    uint32_t plan;
    int64_t *dims; /* [most dims of a function] */
    uint64_t used; /* when, by the session's count of calls */
};
enum { CUDA_GRAPHS = 32 }; /* kept by a session; the least recently used goes first */

/* What a guard leaves; the ABI's. */
struct cuda_failure {
    int64_t serial, value;
};

/* Where a call's inputs and results lie in the exchange, and in staging alike. */
struct cuda_layout {
    size_t *inputs, *results, *input_bytes, *result_bytes;
    size_t failure, bytes;
};

struct device_session {
    struct cu_stream *stream;
    struct cuda_block arena, states;
    struct cuda_block scratch, counters, exchange; /* as large as the calls so far needed; joins, then scratch */
    char *staging;                                 /* page-locked, as long as the exchange */
    struct cuda_layout layout;                     /* of the call */
    uint64_t *values;                              /* of one launch: its parameters, */
    void **parameters;                             /* where they stand, */
    unsigned char *maps;                           /* [maps][MDL_MAP_BYTES], the last of them */
    int32_t *loop_counters;                        /* [most_loops] */
    int64_t *loop_ends;                            /* [most_loops] */
    void **buffers;                                /* of collectives, as in a lane's tables */
    struct cuda_graph graphs[CUDA_GRAPHS];
    int64_t *graph_dims; /* of all of them */
    uint64_t calls;
    struct cu_event **events;   /* of a trace */
    size_t events_count, marks; /* that there are; that this call has recorded */
};

/* A thread's stay in the device's context, and where to write what fails meanwhile. */
struct cuda_visit {
    struct device *device;
    char *error;
    size_t error_size;
    struct cu_context *before;
};
/* Of a session, with its error. */
int cuda_enter(struct cuda_visit *v, struct mdl_session *s);
void cuda_leave(struct cuda_visit *v);
/* Writes "cuda:0 (NVIDIA H100): " and the text; returns status. */
int cuda_fail(struct cuda_visit *v, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* MDL_OK for code 0; else cuda_fail with the text and what the driver says. */
int cuda_check(struct cuda_visit *v, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* cuda_image.c: the best of the model's images for the device, loaded, and its kernels. */
int cuda_load(struct cuda_visit *v, const struct mdl_descriptor *d);
/* Of the programs from `first` on, all for GPUs or not, the one with the image that suits a device of this capability best; `first`
 * where there is none. */
const struct mdl_descriptor *cuda_choose(const struct mdl_descriptor *first, int capability);

/* cuda_memory.c. `what` names the memory in messages. */
int cuda_allocate(struct cuda_visit *v, struct cuda_block *b, size_t bytes, const char *what);
void cuda_free(struct cuda_visit *v, struct cuda_block *b);
/* Twice as long, if it can be, where it is too short; its contents are lost. */
int cuda_grow(struct cuda_visit *v, struct cuda_block *b, size_t bytes, const char *what);
/* Waits for all that is on the stream; a CUresult. */
int cuda_wait(struct cuda_visit *v, struct cu_stream *stream);
/* Copies between the host's memory of any kind and the device's, through page-locked pieces. */
int cuda_upload(struct cuda_visit *v, uint64_t to, const char *from, size_t bytes, struct cu_stream *);
int cuda_download(struct cuda_visit *v, char *to, uint64_t from, size_t bytes, struct cu_stream *);

/* cuda_session.c */
int cuda_session_new(struct mdl_session *s);
void cuda_session_free(struct mdl_session *s);
int cuda_session_reset(struct mdl_session *s);
int cuda_read_states(struct mdl_session *s, char *to);
int cuda_write_states(struct mdl_session *s, const char *from);
void cuda_memory(const struct mdl_session *s, struct mdl_memory *m);

/* cuda_exchange.c: where inputs and results lie; memory for the largest step of the call. */
int cuda_reserve(struct cuda_visit *v, struct mdl_session *s);
void cuda_lay_out(struct mdl_session *s);
void cuda_put_inputs(struct mdl_session *s);
void cuda_take_results(struct mdl_session *s);

/* cuda_graph.c: the session's graphs. */
struct cuda_graph *cuda_find_graph(struct mdl_session *s); /* of this call; NULL: there is none */
int cuda_record_graph(struct cuda_visit *v, struct mdl_session *s, struct cuda_graph **graph);
void cuda_drop_graphs(struct cuda_visit *v, struct device_session *s);

/* cuda_steps.c: puts the call on the stream: copy in, all kernels in order, copy out. `each` is called before
 * the first kernel, with CUDA_BEFORE_STEPS, and behind each; NULL: nothing is. */
#define CUDA_BEFORE_STEPS UINT32_MAX
typedef int cuda_after_step(struct cuda_visit *v, struct mdl_session *s, uint32_t step);
int cuda_enqueue(struct cuda_visit *v, struct mdl_session *s, cuda_after_step *each);
/* Thread blocks of a step. */
int64_t cuda_blocks(const struct mdl_session *s, const struct mdl_step *step);

uint64_t cuda_resolve(const struct mdl_session *s, const struct mdl_ref *r); /* where the buffer is */

/* cuda_maps.c: the tensor maps of a step's kernel, for this call's dims, into the session's room for them. */
int cuda_encode_maps(struct cuda_visit *v, struct mdl_session *s, const struct mdl_step *step);

/* cuda_call.c */
int cuda_run(struct mdl_session *s);
/* What the guards' word in staging says. */
int cuda_look_at_guards(struct cuda_visit *v, struct mdl_session *s);

/* cuda_ranks.c: behind the last of the first guards; at a COLLECTIVE or an AWAIT. */
int cuda_agree(struct cuda_visit *v, struct mdl_session *s);
int cuda_talk(struct cuda_visit *v, struct mdl_session *s, uint32_t step);
int cuda_upload_weights(struct cuda_visit *v, const struct mdl_model *m, struct cu_stream *stream);

/* cuda_trace.c: the call with an event behind each kernel. */
int cuda_run_traced(struct cuda_visit *v, struct mdl_session *s);

#endif
