/* What all emitters of kernels share: the module being made, loops, buffers, values at points.
 *
 *     kernel k0 (x, w) -> y { ... }      lower_DOMAIN walks its iteration space and asks, point by point,
 *                                        emit_value(e, y, point), which recurses through the body to loads
 *
 * A point is an index a dimension for `lanes` neighbours at once, so the same recursion makes scalar and
 * vector code. On a GPU a vector of 32 lanes is one scalar in each of a warp's 32 threads: an index of stride 1 is its base
 * plus the thread's lane, a mask is an i1, a sum over lanes is made by shuffles, and control is the same for all threads of
 * a warp, but for accesses under a mask. Code for one lane is done by all threads alike.
 *
 * Values are computed in their compute type: f64 for f64, f32 for the other floats, i64 for i64,
 * i32 for the other integers, i1 for bool; one scalar, or a vector of `lanes` of them. */
#ifndef BACKEND_EMIT_H
#define BACKEND_EMIT_H
#include "backend/backend.h"
#include "runtime/abi.h"
#include <llvm-c/Core.h>
#include <llvm-c/DebugInfo.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>

enum {
    MAX_LANES = 128, /* four bytes in each of 32 */
    MAX_BUFFERS = 256,
    MAX_CARRIED = 192,
    SIMT_CHUNK = 128 /* elements that a warp makes at a time */
};

/* The index of one dimension at every lane: lane l is at base + stride * l, or at vector[l]. */
struct index {
    LLVMValueRef base;   /* i64 */
    int64_t stride;      /* 0: the same for all lanes; 1: neighbours */
    int64_t align;       /* `base`, or all of `vector`, is known to be a multiple of this; at least 1 */
    LLVMValueRef vector; /* <lanes x i64>, or NULL */
};
struct point {
    int rank, lanes;
    LLVMValueRef mask; /* lanes that may be read, <lanes x i1> (i1 for one lane); NULL: all */
    LLVMValueRef tail; /* that part of `mask` which only cuts a loop's end: at least one lane is set */
    struct index at[MAX_RANK];
};

/* Memory that holds a tensor. */
struct buffer {
    LLVMValueRef base; /* ptr, 64-byte aligned */
    struct type type;
    const struct layout *layout; /* NULL: row-major */
    enum format format;          /* how elements are stored; only where `stored` */
    bool stored;                 /* a param: its elements lie as `format` says; else as their dtype */
    bool constant;               /* never written while the kernel runs */
};

/* Boxes of a buffer's tensor that a GPU's engine brings to shared memory, as struct mdl_map has them. */
struct operand_map {
    int buffer;
    enum dtype dtype;
    int rank;
    const struct extent *extents[MDL_MAP_DIMS];
    int box[MDL_MAP_DIMS];
    LLVMValueRef at; /* where the map is; NULL: emulated */
};

struct emitter;

/* A value that is found somewhere instead of being computed: the contraction's anchor in a tile of scratch, a
 * row program's value in a row of it. load() returns the value at the point in its compute type, or NULL to
 * have it computed after all. */
struct binding {
    const struct value *value;
    LLVMValueRef (*load)(struct emitter *e, const struct binding *b, const struct point *p);
    void (*made)(struct emitter *e, const struct binding *b, const struct point *p,
                 LLVMValueRef value); /* or NULL */
    void *data;
    struct binding *next;
};

struct memo_scope;
struct emit_table {
    const void *bytes;
    size_t size;
    LLVMValueRef global;
    struct emit_table *next;
};

struct emitter {
    struct arena *arena;
    struct graph *graph;
    const struct target *target;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMTargetMachineRef machine;
    LLVMTargetDataRef layout;
    LLVMDIBuilderRef debug;
    LLVMMetadataRef debug_file, debug_unit, debug_scope;
    LLVMTypeRef f64, f32, f16, bf16, i64, i32, i16, i8, i1, ptr;
    int lanes;         /* f32 in a register: the vector width that loops use */
    bool threaded;     /* a vector's lanes are the threads of a warp, so that all values are scalars */
    LLVMValueRef lane; /* threaded: this thread's, i64 */
    LLVMValueRef block, blocks;   /* of a GPU: the thread block's number, how many there are; i64 */
    LLVMValueRef warp;            /* of a GPU: of this thread in its block, i64 */
    int block_warps;              /* of a GPU: warps of a block */
    LLVMValueRef shared;          /* emulated: the block's shared memory */
    int64_t shared_bytes;         /* of a GPU: reserved so far of the block's shared memory */
    LLVMValueRef scratch_of_warp; /* threaded: where a warp's scratch begins */
    LLVMValueRef scratch_of_grid; /* threaded: bytes of all warps' */
    LLVMValueRef parts, joins;    /* of a GPU: memory and counters that a grid's blocks share (simt_join.h) */
    int64_t part_bytes;           /* of a GPU: of one part; 0: the kernel has none */
    bool narrow;                  /* threaded: indices and extents of the kernel are below 2^31 */
    int buffers_count;            /* threaded: parameters that are buffers; dims follow */
    struct operand_map
        *maps; /* of a GPU: [maps_count] of the kernel's operands; threaded: the last parameters */
    int maps_count, maps_capacity;
    struct rope_table *ropes; /* of the kernel: emit_rope.c */
    int errors;               /* reported by LLVM or for ops without a lowering */
    struct emit_table *tables;

    /* The kernel being emitted. */
    const struct function *owner; /* whose dims `dims` are */
    const struct node *kernel;    /* its body, schedule, operands */
    LLVMValueRef function;        /* int32_t (void *const *, const int64_t *, char *, int64_t, int64_t) */
    LLVMBasicBlockRef entry;      /* holds what is computed once: extents, base pointers, tables */
    LLVMValueRef buffers, dims, scratch, thread, threads; /* the function's parameters */
    int64_t scratch_bytes;                                /* reserved so far by emit_scratch */
    struct buffer operands[MAX_BUFFERS];                  /* of the body's arguments */
    struct buffer results[MAX_BUFFERS];                   /* of the body's results */
    struct memo_scope *memo, *memo_outside; /* computed so far that dominates this place; while in `entry` */
    struct binding *bindings;
    LLVMValueRef *extents; /* [extent id] computed in `entry`, or NULL */
    int extents_count;
};

/* --- The module --- */
/* A context, module and code generator for a target, with an arena of their own; `source` is the
 * model's file. */
struct emitter *emitter_new(struct graph *g, const struct target *t, const char *name, const char *source,
                            int opt_level);
bool emitter_finish(struct emitter *e); /* verifies and tidies the module; false: errors were reported */
LLVMMemoryBufferRef emitter_code(struct emitter *e, bool assembly); /* an object, or its text */
void emitter_release(struct emitter *e);
/* diag_error that several emitters may call at once. */
void emit_error(struct emitter *e, struct loc loc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- Types and constants --- */
LLVMTypeRef emit_type(struct emitter *e, enum dtype t); /* as it lies in memory (bool: i8, bf16: i16) */
LLVMTypeRef emit_compute_type(struct emitter *e, enum dtype t);            /* as it is computed with */
LLVMTypeRef emit_vector(struct emitter *e, LLVMTypeRef scalar, int lanes); /* `scalar` itself for one lane */
LLVMTypeRef emit_element(LLVMTypeRef t); /* of a vector; a scalar's is itself */
int emit_lanes_of(LLVMValueRef v);
bool emit_is_float(LLVMTypeRef t);
LLVMValueRef emit_i64(struct emitter *e, int64_t value);
LLVMValueRef emit_i32(struct emitter *e, int32_t value);
LLVMValueRef emit_f32(struct emitter *e, double value);
/* `value` in the type of scalar or vector `like`. */
LLVMValueRef emit_constant_like(LLVMTypeRef like, double value);
LLVMValueRef emit_splat(struct emitter *e, LLVMValueRef scalar, int lanes);
/* A private constant of the module holding `bytes`, 64-byte aligned. Equal ones are shared. */
LLVMValueRef emit_table(struct emitter *e, const void *bytes, size_t size);

/* --- Instructions --- */
/* Calls an LLVM intrinsic; `overloads` as its name needs them. ice() if there is none. */
LLVMValueRef emit_intrinsic(struct emitter *e, const char *name, LLVMTypeRef *overloads, int overloads_count,
                            LLVMValueRef *arguments, int count);
LLVMValueRef emit_unary(struct emitter *e, const char *name, LLVMValueRef a); /* overloaded on a's type */
LLVMValueRef emit_binary(struct emitter *e, const char *name, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef emit_fma(struct emitter *e, LLVMValueRef a, LLVMValueRef b,
                      LLVMValueRef c);                                    /* a * b + c; scalars or vectors */
LLVMValueRef emit_min(struct emitter *e, LLVMValueRef a, LLVMValueRef b); /* of i64 indices, signed */
LLVMValueRef emit_max(struct emitter *e, LLVMValueRef a, LLVMValueRef b);
/* i64 arithmetic on indices: folded, and computed once in a scope. */
LLVMValueRef emit_add(struct emitter *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef emit_sub(struct emitter *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef emit_mul(struct emitter *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef emit_div(struct emitter *e, LLVMValueRef a, LLVMValueRef b);    /* both >= 0 */
LLVMValueRef emit_div_up(struct emitter *e, LLVMValueRef a, LLVMValueRef b); /* the same, rounded up */
LLVMValueRef emit_rem(struct emitter *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef emit_extent(struct emitter *e, const struct extent *x); /* i64, computed at the kernel's entry */
LLVMValueRef emit_extent_here(struct emitter *e, const struct extent *x); /* where the builder stands */
LLVMValueRef emit_offset(struct emitter *e, LLVMValueRef base, LLVMValueRef bytes); /* ptr + bytes */
/* Adds up (or takes the largest of) a vector's lanes by halves: the same order always. */
LLVMValueRef emit_horizontal(struct emitter *e, enum scalar_op op, LLVMValueRef vector);
/* The larger of floats, and the largest of a vector's lanes, in one instruction a step: `b` where `a` is NaN, so for those
 * who have no NaN or do not mind which is lost. */
LLVMValueRef emit_larger(struct emitter *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef emit_largest_lane(struct emitter *e, LLVMValueRef vector);

/* --- Control --- */
/* for (i = begin; i < end; i += step): after begin the builder stands in the body, after end behind the loop.
 * Carried values are phis; never unrolled or vectorised by LLVM. Opens a scope of the memo. */
struct emit_loop {
    LLVMValueRef counter;              /* i64 */
    LLVMValueRef carried[MAX_CARRIED]; /* in the body: from the step before; after emit_loop_end: the last */
    int carried_count;
    int64_t step;
    LLVMBasicBlockRef before, head, body, after;
};
void emit_loop_begin(struct emitter *e, struct emit_loop *l, LLVMValueRef begin, LLVMValueRef end,
                     int64_t step, int carried, const LLVMValueRef *initial);
void emit_loop_end(struct emitter *e, struct emit_loop *l, const LLVMValueRef *next);
/* if (condition) { ... }: nothing leaves the braces but through memory. Opens a scope of the memo. */
struct emit_if {
    LLVMBasicBlockRef after;
};
void emit_if_begin(struct emitter *e, struct emit_if *i, LLVMValueRef condition);
void emit_if_end(struct emitter *e, struct emit_if *i);
/* This thread's share begin..end of `count` things, in whole multiples of `grain` but for the last. */
void emit_split(struct emitter *e, LLVMValueRef count, int64_t grain, LLVMValueRef *begin, LLVMValueRef *end);
/* Columns begin..end of a row, `lanes` at a time: calls body with the index of each stretch; the last may be
 * cut by `tail` (NULL: all lanes), or, where masks are slow and whole vectors not asked for, done with one
 * lane at a time. align, end_align: numbers that begin and end are multiples of. */
struct stretch {
    LLVMValueRef begin, end;
    int64_t align, end_align;
    int lanes;
    bool whole_vectors;
};
typedef void emit_columns_body(struct emitter *e, void *data, const struct index *column, int lanes,
                               LLVMValueRef tail);
void emit_columns(struct emitter *e, const struct stretch *s, emit_columns_body *body, void *data);
/* Lanes of both masks; NULL: all lanes. */
LLVMValueRef emit_both(struct emitter *e, LLVMValueRef a, LLVMValueRef b);
/* Lanes l with begin + l < end, as i1s. */
LLVMValueRef emit_tail_mask(struct emitter *e, LLVMValueRef begin, LLVMValueRef end, int lanes);
/* `bytes` of this thread's scratch, 64-byte aligned, for the whole kernel. */
LLVMValueRef emit_scratch(struct emitter *e, int64_t bytes);
/* Until emit_entry_end, instructions go to the kernel's entry block. */
LLVMBasicBlockRef emit_entry_begin(struct emitter *e);
void emit_entry_end(struct emitter *e, LLVMBasicBlockRef back);
void emit_location(struct emitter *e, struct loc loc); /* of the instructions that follow */
/* Closes the entry block, where the builder stands, and opens what follows it and the memo's scopes of both. */
void emit_body_begin(struct emitter *e);
/* Until emit_function_end, instructions go to the body of `f`, a function that kernels call; it has no places in the
 * model's text. */
struct emit_outside {
    LLVMValueRef function;
    LLVMBasicBlockRef entry, block;
    LLVMMetadataRef location;
    struct memo_scope *memo;
};
void emit_function_begin(struct emitter *e, struct emit_outside *outside, LLVMValueRef f);
void emit_function_end(struct emitter *e, const struct emit_outside *outside);

/* Scopes of the memo: what was computed inside is forgotten when the scope closes. */
void emit_scope_begin(struct emitter *e);
void emit_scope_end(struct emitter *e);

/* --- Indices and points --- */
struct index index_uniform(LLVMValueRef base);              /* stride 0 */
struct index index_lanes(LLVMValueRef base, int64_t align); /* stride 1 */
struct index index_add(struct emitter *e, struct index a, struct index b, int lanes);
struct index index_scale(struct emitter *e, struct index a, const struct extent *by, int lanes); /* a * by */
struct index index_scale_by(struct emitter *e, struct index a, int64_t by, int lanes);
struct index index_div_by(struct emitter *e, struct index a, int64_t by, int lanes); /* a >= 0, by > 0 */
struct index index_rem_by(struct emitter *e, struct index a, int64_t by, int lanes);
struct index index_div(struct emitter *e, struct index a, const struct extent *by, int lanes);
struct index index_rem(struct emitter *e, struct index a, const struct extent *by, int lanes);
struct index index_constant(struct emitter *e, int64_t value);
bool index_is_uniform(const struct index *i);
int64_t index_lanes_align(const struct index *i); /* what all lanes are known to be multiples of */
/* All lanes as <lanes x i64>. */
LLVMValueRef index_vector(struct emitter *e, const struct index *i, int lanes);
/* Row-major position of a point in a tensor of this type's first `dims` dimensions, and back. */
struct index point_flatten(struct emitter *e, const struct type *t, const struct point *p, int first,
                           int dims);
void point_unflatten(struct emitter *e, const struct type *t, struct index flat, struct point *p, int first,
                     int dims);

/* --- Memory --- */
/* The elements of a tensor at a point, in its compute type; masked lanes read as 0. */
LLVMValueRef emit_load(struct emitter *e, const struct buffer *b, const struct point *p);
void emit_store(struct emitter *e, const struct buffer *b, const struct point *p, LLVMValueRef value);
/* The same of params in block formats (q4_0 ... in the layout that pack.c writes). packed.c */
LLVMValueRef emit_load_packed(struct emitter *e, const struct buffer *b, const struct point *p);
/* `lanes` elements of memory type `t` at `address` (aligned to an element at least), as they lie; of threads, stores are
 * of as many as there are. */
LLVMValueRef emit_load_lanes(struct emitter *e, LLVMTypeRef t, LLVMValueRef address, int lanes,
                             LLVMValueRef mask);
void emit_store_lanes(struct emitter *e, LLVMValueRef value, LLVMValueRef address, LLVMValueRef mask);
/* The same at an index, in elements, from `base`: gathers and scatters where lanes are not neighbours. */
LLVMValueRef emit_load_at(struct emitter *e, LLVMTypeRef t, LLVMValueRef base, struct index at, int lanes,
                          LLVMValueRef mask);
/* The same of what nobody writes while the kernel runs; all lanes are there. */
LLVMValueRef emit_load_constant(struct emitter *e, LLVMTypeRef t, LLVMValueRef base, struct index at,
                                int lanes);
void emit_store_at(struct emitter *e, LLVMValueRef value, LLVMValueRef base, struct index at, int lanes,
                   LLVMValueRef mask);
/* Position, in elements, of a point in memory. */
struct index emit_position(struct emitter *e, const struct buffer *b, const struct point *p);
/* A thread's load, of an address with that alignment; of what no thread writes, through the cache that need not see writes. */
LLVMValueRef emit_load_aligned(struct emitter *e, LLVMTypeRef t, LLVMValueRef address, unsigned align,
                               bool constant);
/* <lanes x ptr> to the elements of size `bytes` at an index; of threads, each its own. */
LLVMValueRef emit_addresses(struct emitter *e, LLVMValueRef base, struct index at, int64_t bytes, int lanes);
/* Between memory type and compute type, and between compute types as `cast` converts. */
LLVMValueRef emit_widen(struct emitter *e, enum dtype t, LLVMValueRef value);
LLVMValueRef emit_narrow(struct emitter *e, enum dtype t, LLVMValueRef value);
/* A narrow float as it would be had it been stored: what is computed in f32 is rounded where a jump may
 * follow (comparisons, conversions to integers), and else only when it is stored. */
LLVMValueRef emit_round(struct emitter *e, enum dtype t, LLVMValueRef value);
/* An integer of a narrow type back into its range, as arithmetic in it would have wrapped. */
LLVMValueRef emit_wrap(struct emitter *e, enum dtype t, LLVMValueRef value);
LLVMValueRef emit_cast(struct emitter *e, enum dtype from, enum dtype to, LLVMValueRef value);

/* --- Values --- */
/* One primitive of scalars.def on compute types; `t` the operands' dtype. */
LLVMValueRef emit_scalar(struct emitter *e, enum scalar_op op, enum dtype t, LLVMValueRef const *operands);
/* A value of the kernel's body at a point: bound, remembered, an operand's load, or computed by its op's
 * family. NULL after a diagnostic (an op without lowering here). */
LLVMValueRef emit_value(struct emitter *e, struct value *v, const struct point *p);
void emit_bind(struct emitter *e, struct binding *b);
void emit_unbind(struct emitter *e, struct binding *b);
/* Remembers `made` as v at p, in the present scope. */
void emit_remember(struct emitter *e, const struct value *v, const struct point *p, LLVMValueRef made);

/* Whether a kernel's elements are sums over others, so that few of them are much work. lower_loops.c */
bool kernel_reduces(const struct node *kernel);

/* --- Row programs: what a kernel does with the rows of its anchor --- */
/* The anchor is the value whose rows drive the kernel: a contraction's product, or the operand of the first
 * reduction of a kernel of domain `rows`. Its last axis is the row; the axes before it, flattened, count
 * rows. The plan says, for each result of the kernel, how a point of the anchor leads to the result's
 * (through reshape, transpose, write). */
struct row_program {
    struct value *anchor;
    bool *in_place;       /* [values] */
    bool whole_rows;      /* values are reduced along rows: all columns of a row must be at hand at once */
    int64_t column_group; /* else: a result's column reads only columns of its own aligned group of this many
                             (rope: the head's extent; quantize: 32; elementwise: 1) */
    int results_count, stages_count, kept_count, scalars_count;
    struct row_result *results;
    struct row_stage *stages; /* reductions along the row, in order */
    struct row_kept *kept;
    struct row_scalar *scalars;
};
/* NULL: the kernel's results cannot be reached from the anchor point by point. */
const struct row_program *row_plan(struct emitter *e, struct value *anchor);
/* The write that result number `result` of a kernel driven by rows is, if it is one: rows put only what is
 * written where it belongs, in a buffer that holds the rest already. */
struct node *row_write(const struct node *kernel, int result);
/* Does one row: columns begin..end (multiples of the program's column_group; all of them if it needs whole
 * rows). `row` is the flat row. The anchor's elements come from its binding; operands from their buffers.
 * begin_align: a number that `begin` is known to be a multiple of. */
void emit_row_program(struct emitter *e, const struct row_program *p, LLVMValueRef row, LLVMValueRef begin,
                      LLVMValueRef end, int64_t begin_align);

/* --- Lowering a kernel: one function a domain; emit_error() says what cannot be --- */
typedef void lower_function(struct emitter *e);
lower_function lower_loops, lower_rows, lower_ordered; /* lower_loops.c, lower_rows.c, lower_ordered.c */
lower_function lower_contract, lower_attention;        /* lower_contract.c, lower_attention.c */
lower_function lower_simt_attention;                   /* simt_attention.c */

#endif
