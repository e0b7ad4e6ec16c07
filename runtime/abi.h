/* What generated code and the runtime say to each other.
 *
 * A compiled model is tables and kernels. The tables (here) are constants of the library; the runtime walks them:
 *
 *     descriptor ─ functions ─ variants ─ steps ─ refs      step = kernel + where its buffers are
 *
 * A kernel is compiled once however many layers call it: each step calls it with other buffers, so code does not
 * grow with a model's depth, and timing, tracing and error messages need no generated code.
 * The compiler writes these structures field by field (backend/tables.c); change both together, and the version. */
#ifndef MDL_ABI_H
#define MDL_ABI_H
#include "runtime/mdl.h"
#include <stdint.h>

#define MDL_ABI_VERSION 8u
#define MDL_ALIGN 64 /* of every buffer: arena, weights, states, scratch; bytes */
#define MDL_MAX_AXES 8
#define MDL_JOINS 4096 /* of a device: counters (uint32_t) in front of a grid's scratch */

/* A kernel, run by all threads of a call at once; `thread` in 0..threads takes its static share of the work.
 * buffers: one pointer for each of the kernel's operands and results, in order. dims: the call's dims, in the
 * order of mdl_function.dims. scratch: this thread's own, mdl_variant.scratch_bytes long, contents undefined.
 * Returns 0, or (guards only) 1 after storing the offending value as int64_t at scratch. */
typedef int32_t mdl_kernel(void *const *buffers, const int64_t *dims, char *scratch, int64_t thread, int64_t threads);

/* Value of the model's extent number `index` (lengths that depend on dims), given the call's dims. */
typedef int64_t mdl_extent(uint32_t index, const int64_t *dims);

/* Where a buffer lives. Its address is base(space, index) + offset + stride * (counter of loop `loop`). */
enum mdl_space {
    MDL_ARENA,   /* the session's arena */
    MDL_WEIGHT,  /* the weights: file or embedded; read-only */
    MDL_STATE,   /* the session's states; offset from their common base */
    MDL_INPUT,   /* the caller's input number `index` (scalars: a copy) */
    MDL_RESULT,  /* the caller's result number `index` */
    MDL_COUNTER  /* an int32_t holding the counter of loop `index` */
};
struct mdl_ref { /* small: a model of many layers has thousands */
    uint16_t space, loop;
    uint32_t index;
    int64_t offset; /* bytes */
    int64_t stride; /* bytes for each iteration of loop number `loop`; 0 outside loops */
};

/* COLLECTIVE only starts its collective: nobody may touch its buffers until the AWAIT of the same number. */
enum mdl_step_kind {
    MDL_STEP_KERNEL,
    MDL_STEP_GUARD,
    MDL_STEP_LOOP,
    MDL_STEP_END,
    MDL_STEP_COLLECTIVE,
    MDL_STEP_AWAIT
};
struct mdl_step {
    uint32_t kind;
    uint32_t barrier;        /* 1: all threads finish this step before any starts the next */
    uint32_t kernel;         /* KERNEL, GUARD: number in mdl_descriptor.kernels; COLLECTIVE, AWAIT: in .collectives */
    uint32_t first_ref, refs; /* KERNEL, GUARD: its buffers, in mdl_descriptor.refs; COLLECTIVE: operands, then results */
    uint32_t loop;           /* LOOP, END: the loop's number in its variant, which names its counter */
    uint32_t count;          /* LOOP: extent that says how often steps up to the matching END are run */
    uint32_t line, column;   /* of the model's text, file mdl_descriptor.source; 0: none */
    uint32_t flops, bytes;   /* extents: arithmetic operations done and bytes touched, for --bench and --trace */
    uint32_t blocks;         /* KERNEL, GUARD of a device: extent: thread blocks that the work has */
    const char *name;        /* KERNEL: "k0.linear"; GUARD: what is wrong, with %lld for the offending value */
};

/* One compiled version of a function: for any dims, or (--dim=S=1,128) for one choice of them. */
struct mdl_variant {
    const int64_t *dims; /* [function.dims], -1 where any value will do; NULL: all are free. May fix coordinates */
    const struct mdl_step *steps;
    uint32_t steps_count, loops;
    int64_t arena_bytes;   /* the compiler's peak; the session reserves the largest variant's */
    int64_t scratch_bytes; /* for each thread */
};

enum mdl_dtype { MDL_F64, MDL_F32, MDL_F16, MDL_BF16, MDL_I64, MDL_I32, MDL_I16, MDL_I8, MDL_U8, MDL_BOOL };
/* The mesh axes that split one dimension, the major one first. */
struct mdl_split {
    uint32_t count, axes[4];
};
struct mdl_tensor {
    const char *name; /* results: "0", "1", ... */
    uint32_t dtype, rank;
    const uint32_t *extents; /* [rank] extent numbers; of the rank's own piece, where there is a mesh */
    const int32_t *dims;     /* [rank] the function's dim that this extent is, or -1 if it is an expression */
    const struct mdl_split *splits; /* [rank]; NULL: whole on every rank */
};
/* Kernels and extents see how many units a dim has. A coordinate is filled in by the runtime. */
struct mdl_dim {
    const char *name;
    int64_t min, max; /* both included; they count units */
    int64_t unit;     /* the caller passes a multiple of it */
    int32_t axis;     /* -1: the caller passes it; else it is the rank's coordinate on this axis of the mesh */
    uint32_t reserved;
};
struct mdl_function {
    const char *name;
    const struct mdl_dim *dims;
    const struct mdl_tensor *inputs, *results;
    const struct mdl_variant *variants; /* tried in order; the last takes any dims */
    uint32_t dims_count, inputs_count, results_count, variants_count;
    uint32_t given_dims; /* how many of the dims the caller passes; they come first */
    uint32_t reserved;
};

/* A mesh of ranks: first_rank .. first_rank + (product of the sizes) - 1; the last axis varies fastest. */
struct mdl_axis {
    const char *name;
    int64_t size;
};
/* Ranks that differ only in these axes. Members are counted with the first axis as the major one. */
struct mdl_group {
    uint32_t axes_count;
    uint32_t axes[MDL_MAX_AXES];
};

/* N members of a group, d elements; each operand and result is contiguous:
 *     ALL_REDUCE [d] -> [d]   ALL_GATHER [d] -> [N, d]   REDUCE_SCATTER, ALL_TO_ALL [N, d] -> [d], [N, d]
 *     PERMUTE [d] -> [d]      SEND [d] -> nothing        RECEIVE nothing -> [d] */
enum mdl_collective_kind {
    MDL_ALL_REDUCE,
    MDL_ALL_GATHER,
    MDL_REDUCE_SCATTER,
    MDL_ALL_TO_ALL,
    MDL_PERMUTE,
    MDL_SEND,
    MDL_RECEIVE
};
enum { MDL_COLLECTIVE_KINDS = MDL_RECEIVE + 1 };
#define MDL_COLLECTIVE_NAMES                                                                                 \
    "all_reduce", "all_gather", "reduce_scatter", "all_to_all", "permute", "send", "receive"
enum mdl_reduction { MDL_SUM, MDL_MAX, MDL_MIN, MDL_PROD };
struct mdl_collective {
    uint32_t kind, group, dtype, reduction;
    uint32_t tensors; /* moved together, as one message series */
    uint32_t reserved;
    const uint32_t *elements; /* [tensors] extents: d of each operand (RECEIVE: of each result) */
    const int32_t *peers; /* PERMUTE: [members] where each member sends, -1: nowhere (who gets nothing has zeros);
                             SEND, RECEIVE: [1] the member; else NULL */
};

/* Which piece of the weights file a rank maps where. Bytes are multiples of 4096. */
struct mdl_section {
    int64_t image_offset, bytes, file_offset; /* in the rank's image; in the file's data */
    int64_t stride[MDL_MAX_AXES];             /* file_offset + sum of coordinate * stride */
    uint64_t only[MDL_MAX_AXES];              /* bit c: ranks with coordinate c have it; 0: all */
};

/* A state's initial contents: zeros unless `initial` >= 0, its offset in the weights. */
struct mdl_state {
    const char *name;
    int64_t offset, bytes; /* in the session's state block */
    int64_t initial;
};

struct mdl_comm;
struct mdl_event;
struct mdl_model;
struct mdl_session;

/* A tensor map of CUDA: boxes of a tensor, which lies in one of the step's buffers without gaps, that the device's engine copies
 * to shared memory. A box is lines of 128 bytes, whose pieces of 16 bytes change places (CU_TENSOR_MAP_SWIZZLE_128B); what reaches
 * outside of the tensor is zeros there. The innermost dimension is the first; it has a multiple of 16 bytes. */
enum { MDL_MAP_DIMS = 5, MDL_MAP_BYTES = 128, MDL_MAP_ALIGN = 64 };
struct mdl_map {
    uint32_t buffer; /* of the step's, in order */
    uint32_t dtype, rank;
    uint32_t extents[MDL_MAP_DIMS]; /* [rank] extent numbers, of the tensor */
    uint32_t box[MDL_MAP_DIMS];     /* [rank] elements, of a box */
};
/* How a kernel runs on a device; by mdl_step.kernel. Its parameters are 8 bytes each: a pointer for each of the step's
 * buffers in order; the call's dims; scratch; failure; the step's number in its variant (int64_t). Maps follow, of
 * MDL_MAP_BYTES each. Pointers are the device's. `failure` points to {int64_t serial, value}, zeros before each call: a guard that finds a value outside
 * stores it and 1 + its step's number, unless one has before; kernels return at once where serial is not 0.
 *
 *     counters [MDL_JOINS] │ scratch of warp 0 │ warp 1 │ … │ part 0 │ part 1 │ …
 *                          └ `scratch` points here          a part for each block, which all blocks may read and write
 *
 * Counters are zeros before a kernel, which leaves zeros. What else is there, the kernel finds undefined. */
struct mdl_launch {
    const char *name;    /* its entry in the images */
    uint32_t threads;    /* of a block: a multiple of 32 */
    uint32_t shared;     /* bytes of dynamic shared memory a block */
    uint32_t max_blocks; /* the grid is the smaller of it and the step's `blocks`, at least 1; 0: no limit */
    uint32_t part;       /* bytes of a part, a multiple of MDL_ALIGN */
    int64_t scratch;     /* bytes for each warp of the grid, a multiple of MDL_ALIGN: warp w's begin at scratch + w * this */
    const struct mdl_map *maps;
    uint32_t maps_count;
    uint32_t resident; /* 1: of blocks there are no more than run at a time, since each takes as much of the work as is left to it */
};
/* Where a GPU's kernels run on the processor, for tests (runtime/emulate.h): a kernel, and what a warp sees of its grid. */
struct mdl_warp {
    int64_t block, blocks, warp;
    char *shared;  /* the block's */
    char *scratch; /* the warp's own */
    char *parts;   /* the grid's */
    uint32_t *joins;
    float *tensor; /* the block's tensor memory, while it has some */
};
struct mdl_emulated {
    void (*code)(void *const *buffers, const int64_t *dims, struct mdl_warp *w);
    const char *name;
    int64_t warps;                 /* of a block */
    int64_t shared, scratch, part; /* bytes, of a block, of a warp, of a block's part */
};
struct mdl_image {
    const char *arch; /* "sm_90a" */
    const void *code; /* text of PTX with its NUL, or a cubin, which is an ELF file */
    int64_t bytes;
};
struct device_calls;
struct mdl_device {
    const char *kind;                 /* "cuda" */
    const struct device_calls *calls; /* &mdl_cuda: what runs steps there; NULL: not linked */
    const struct mdl_launch *launches; /* [mdl_descriptor.kernels_count] */
    const struct mdl_image *images;
    uint32_t images_count, reserved;
};

/* The whole model. Exported as `<model>_descriptor`, and as `mdl_descriptor` for tools that open any model. */
struct mdl_descriptor {
    uint32_t abi_version, functions_count, states_count, kernels_count;
    const char *name, *source, *target; /* model's name; path of the .mdl; CPU it was compiled for */
    const char *features; /* space-separated CPU features that the code needs ("avx512f avx512vnni"), checked at open */
    uint8_t build_id[32]; /* the weights file carries the same */
    const struct mdl_function *functions;
    const struct mdl_state *states;
    mdl_kernel *const *kernels;
    const struct mdl_ref *refs;
    mdl_extent *extent;
    int64_t state_bytes;
    const void *embedded_weights; /* NULL: they are in a file */
    int64_t weights_bytes;        /* of data, without the file's header; with sections: of a rank's image */
    const struct mdl_api *api;    /* the runtime linked into this library */
    /* Of a model with a mesh; else zeros. */
    const char *mesh; /* its name; NULL: none */
    const struct mdl_axis *axes;
    const struct mdl_group *groups;
    const struct mdl_collective *collectives;
    const struct mdl_section *sections;
    uint32_t axes_count, groups_count, collectives_count, sections_count, first_rank, reserved;
    const struct mdl_distributed *distributed; /* &mdl_distributed: what speaks to other ranks; NULL: not linked */
    const struct mdl_device *device; /* on which the steps run, with no `kernels`; NULL: the processor */
    const struct mdl_descriptor *other; /* the same model made for another device, with the same functions; NULL: none */
    const char *weights_suffix; /* of the weights file's name, behind the library's stem: ".weights" */
};
extern const struct device_calls mdl_cuda; /* the runtime's own; only models for GPUs refer to it */

struct mdl_memory;
/* The runtime's calls, for tools that reach a model through its descriptor. Semantics: runtime/README.md. */
struct mdl_api {
    int (*open)(const struct mdl_descriptor *, const char *weights, const struct mdl_options *, struct mdl_model **);
    int (*session_new)(struct mdl_model *, struct mdl_session **);
    int (*session_reset)(struct mdl_session *);
    void (*session_free)(struct mdl_session *);
    int (*call)(struct mdl_session *, uint32_t function, const int64_t *dims, const void *const *inputs, void *const *results);
    const char *(*error)(const struct mdl_session *);
    void (*close)(struct mdl_model *);
    int (*verify)(struct mdl_model *, char *message, uint64_t size); /* checks every tensor's checksum */
    /* Records a slice for each step of later calls until `events` is full; NULL stops. */
    void (*trace)(struct mdl_session *, struct mdl_event *events, uint64_t capacity, uint64_t *count);
    /* Fills the arena and scratch with NaN bytes (0xff) before each call: a test's way to see reads of what nobody wrote. */
    void (*poison)(struct mdl_session *, int on);
    int (*session_save)(struct mdl_session *, const char *path, const void *note, uint64_t note_bytes);
    int (*session_load)(struct mdl_session *, const char *path, void *note, uint64_t room, uint64_t *note_bytes);
    void (*memory)(const struct mdl_session *, struct mdl_memory *);
};

/* Bytes that a model on this rank has sent since it was opened: payload where it leaves. */
struct mdl_traffic {
    uint64_t sent[MDL_COLLECTIVE_KINDS], started[MDL_COLLECTIVE_KINDS]; /* bytes; how many collectives */
    uint64_t control;                                                   /* bytes of agreement and of bad news */
};
struct distributed_calls;
/* The part of the runtime that only models with a mesh have (runtime/comm.h says what a comm is). */
struct mdl_distributed {
    int (*comm_threads)(int32_t ranks, struct mdl_comm **comms);
    int (*comm_open)(const char *engine, char *error, uint64_t error_size, struct mdl_comm **);
    int (*comm_nccl)(struct mdl_comm *bootstrap, char *error, uint64_t error_size, struct mdl_comm **);
    void (*comm_close)(struct mdl_comm *);
    void (*traffic)(const struct mdl_model *, struct mdl_traffic *);
    /* What the model waits for now: "rank 1: collective 3 (all_reduce over tensor), m.mdl:7:9"; its length, 0 if for
     * nothing. May be called in a signal handler. */
    uint64_t (*waiting)(const struct mdl_model *, char *text, uint64_t size);
    const struct distributed_calls *calls; /* the runtime's own */
};
extern const struct mdl_distributed mdl_distributed;

/* What a session has, in bytes. In the processor's memory it is mapped, to whole pages, which are given at first
 * touch. */
struct mdl_memory {
    int64_t arena, scratch /* of each thread; of a device: of all */, states;
    int64_t threads; /* 0: on a device */
    int64_t buffers; /* of a device: for inputs, results and counters; as much of page-locked memory again */
    int64_t weights; /* of a device, which all sessions share */
};
struct mdl_event {
    uint32_t step, thread;
    const struct mdl_step *what;
    int64_t start, end; /* ns, CLOCK_MONOTONIC */
};

/* m.weights: this header, the table, then the data at data_offset. All integers little-endian.
 * `header_sum` covers the header (with header_sum zero) and the table; each entry's sum its tensor. Sums are CRC-32C
 * (Castagnoli; RFC 3720, section 12.1). */
struct mdl_weights_header {
    char magic[8]; /* "MDLWTS\0\1" */
    uint8_t build_id[32];
    uint64_t file_bytes, data_offset, data_bytes;
    uint32_t tensors, header_sum;
    uint64_t names_offset, names_bytes; /* NUL-terminated names, one after the other */
};
struct mdl_weights_entry {
    uint64_t offset, bytes; /* from data_offset */
    uint32_t name;          /* offset in the names */
    uint32_t sum;
};

/* A saved session: this header, the note, then runs of pages: a head, and pages * 4096 bytes of the state block. All
 * integers little-endian; pages that are in no run are zeros. Sums are CRC-32C as above: of the header with header_sum
 * zero, of the note, of a run's head up to the sum and its pages, of the states' names (with their NUL), offsets and
 * sizes. */
struct mdl_saved_header {
    char magic[8]; /* "MDLSES\0\1" */
    uint8_t build_id[32];
    uint64_t file_bytes, state_bytes, note_bytes;
    uint32_t states_sum, note_sum, runs, header_sum;
};
struct mdl_saved_run {
    uint64_t first, pages; /* in the state block; a run begins after the one before it ends */
    uint32_t reserved, sum;
};

/* Entry points that generated wrappers call; same as mdl_api. */
int mdl_open(const struct mdl_descriptor *, const char *weights, const struct mdl_options *, struct mdl_model **);
int mdl_session_new(struct mdl_model *, struct mdl_session **);
int mdl_session_reset(struct mdl_session *);
void mdl_session_free(struct mdl_session *);
int mdl_session_save(struct mdl_session *, const char *path, const void *note, uint64_t note_bytes);
int mdl_session_load(struct mdl_session *, const char *path, void *note, uint64_t room, uint64_t *note_bytes);
int mdl_call(struct mdl_session *, uint32_t function, const int64_t *dims, const void *const *inputs, void *const *results);
const char *mdl_error(const struct mdl_session *);
void mdl_close(struct mdl_model *);
extern const struct mdl_api mdl_api;

/* Kernels of data-dependent order, called by generated code; src and dst hold `rows` rows of n elements.
 * values: element type mdl_dtype; order: int32_t. Ties go to the lower index; NaN counts as largest. */
void mdl_argsort(uint32_t dtype, const void *src, int64_t n, int32_t descending, int32_t *order /* [n] */);

#endif
