/* The machine that runs code: blocks of warps, what a warp knows, how instructions read and write lanes. */
#ifndef TESTS_GPU_PTX_EXEC_H
#define TESTS_GPU_PTX_EXEC_H
#include "tests/gpu/ptx_code.h"
#include <setjmp.h>

/* Who has done what: of[w] is what is known of warp w's progress, of[PRODUCTS + w] of the tensor core's with
 * its tcgen05 products, of[MOVES + w] of its loads and stores of tensor memory; ENGINE is the copy engine. */
enum { PRODUCTS = MAX_WARPS, ENGINE = 2 * MAX_WARPS, MOVES, CLOCKS = MOVES + MAX_WARPS };
enum { BARRIERS = 16, CLUSTER_BARRIER = BARRIERS, DEPTH = 16 };
struct clocks {
    uint32_t of[CLOCKS];
};

/* A 4-byte word of shared memory. Masks have a bit a byte. */
struct word {
    uint64_t readers; /* since the last write, a bit a warp and a bit its products */
    uint32_t write_clock;
    uint8_t writer, write_mask; /* writer + 1, or 0; the bytes it wrote at that clock */
    uint8_t written, pending;   /* bytes with a value; bytes that a copy on its way will write */
    bool atomic;
};

/* Lanes that go the same way. */
struct path {
    uint32_t pc, mask;
    bool stalled; /* waits for lanes of other paths */
};

/* A copy from global to shared memory that was issued and not waited for. */
struct copy {
    uint32_t mask, bytes;
    uint32_t group[LANES], to[LANES];
    unsigned char data[LANES][16];
};

/* Shared memory that a matrix product reads until it is waited for. */
struct reads {
    uint32_t address, bytes, group;
    const struct insn *in;
};

/* Four registers that such a product reads. */
struct read_registers {
    const struct operand *first;
    uint32_t group, value[4][LANES];
    const struct insn *in;
};

/* A warp's side of tensor memory. Its loads and stores have a clock of their own, and so have its products.
 */
struct tensor_side {
    struct clocks known;                  /* what its tcgen05 operations come after */
    uint32_t products, committed, issuer; /* issued; tracked by a commit; the lane of the last */
    uint32_t moves, waiting[2];           /* loads and stores; the first of each not waited for, or 0 */
};

enum warp_state { W_READY, W_BARRIER, W_DONE };
struct warp {
    struct block *block;
    unsigned char *file; /* registers */
    uint32_t *written;   /* [registers] lanes that have a value */
    uint32_t *made;      /* [registers] 1 + the group of the wgmma under way that makes it; 0: none */
    uint32_t pc, mask;   /* of the instruction that runs */
    uint32_t next;       /* where its lanes go */
    struct path paths[LANES];
    uint32_t paths_count, live; /* live: lanes that have not ended */
    uint32_t awaited;           /* by lanes at an aligned barrier: all that must come; 0: none waits */
    uint32_t number;
    enum warp_state state;
    uint32_t barrier;
    bool stalled; /* the instruction did not happen yet */
    bool yield;   /* waits for something that other warps do */
    struct clocks known;
    uint32_t *returns; /* [LANES][DEPTH] */
    uint32_t depth[LANES];
    unsigned char *local, *call; /* [LANES][local_bytes], [LANES][call_bytes] */
    struct copy *copies;
    size_t copies_count, copies_room;
    uint32_t group[LANES]; /* of cp.async, not yet committed */
    struct reads *reads;   /* of matrix products under way */
    size_t reads_count, reads_room;
    struct read_registers *factors; /* the same */
    size_t factors_count, factors_room;
    uint32_t product_group; /* not yet committed */
    uint32_t fenced;        /* what it wrote up to this clock, the copy engine and products see */
    struct tensor_side tensor;
    uint64_t instructions;
    uint32_t lane; /* of which an error is */
};

struct barrier {
    uint32_t arrived, expected; /* warps */
    uint32_t waiting;           /* a bit a warp */
    struct clocks known;
};

struct block {
    const struct ptx_kernel *kernel;
    const struct ptx_launch *launch;
    const unsigned char *params;
    uint32_t id[3], threads, warps_count;
    unsigned char *shared; /* [shared_bytes], at address SHARED_BASE */
    uint32_t shared_bytes;
    struct word *words;    /* [shared_bytes / 4] */
    uint32_t *read_clocks; /* [2][warps][words] of warps, of their products: clock << 4 | bytes */
    struct barrier barriers[BARRIERS + 1];
    struct warp *warps;
    uint64_t random;
    uint64_t progress; /* counts what waiting warps may wait for */
    uint32_t engine_clock;
    struct mbarrier *mbarriers;
    size_t mbarriers_count, mbarriers_room;
    struct transfer *transfers; /* of the copy engine, under way */
    size_t transfers_count, transfers_room;
    struct tmem *tmem; /* NULL: nothing was allocated yet */
    struct ptx_stats stats;
    uint64_t *lines;
    char *message;
    jmp_buf *escape;
};

_Noreturn void ptx_fail(struct warp *w, const struct insn *in, uint32_t lane, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
uint32_t ptx_random(uint64_t *state);

/* Paths of a warp. */
void ptx_goto(struct warp *w, uint32_t mask, uint32_t target); /* some lanes of the running path leave it */
void ptx_end_lanes(struct warp *w, uint32_t mask);
/* False: the lanes of `need` are not all here yet, and the instruction has not happened. */
bool ptx_converged(struct warp *w, const struct insn *in, uint32_t mask, uint32_t need);
void ptx_whole_warp(struct warp *w, const struct insn *in, uint32_t mask); /* an error if lanes are missing */
void ptx_know(struct clocks *to, const struct clocks *of);

double ptx_float_at(const struct warp *w, const struct operand *o, enum ptx_type type, uint32_t lane);

/* Memory. `lanes` of the space's address; NULL pointers are never given: errors end the launch. */
uint64_t ptx_address(const struct warp *w, const struct insn *in, uint32_t operand, uint32_t lane,
                     int64_t offset);
enum ptx_access { ACCESS_READ, ACCESS_WRITE, ACCESS_ATOMIC };
unsigned char *ptx_reach(struct warp *w, const struct insn *in, uint32_t lane, enum ptx_space space,
                         uint64_t address, uint32_t bytes, enum ptx_access access);
enum ptx_space ptx_space_of(uint64_t *address); /* of a generic address, which becomes the space's */

/* Shared memory's shadow; addresses count from SHARED_BASE. */
unsigned char *ptx_shared(struct warp *w, const struct insn *in, uint32_t lane, uint64_t address,
                          uint32_t bytes, uint32_t align);
void ptx_shared_read(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address, uint32_t bytes,
                     bool atomic);
/* By a tcgen05 product of this warp, the clock-th: until that is known to be complete. */
void ptx_shared_read_by_product(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address,
                                uint32_t bytes, uint32_t clock);
void ptx_shared_write(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address, uint32_t bytes,
                      bool atomic);
void ptx_shared_pending(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address,
                        uint32_t bytes);
void ptx_shared_arrive(struct warp *w, uint32_t writer, uint32_t clock, uint32_t address, const void *data,
                       uint32_t bytes);
void ptx_conflicts(struct warp *w, const struct insn *in, uint32_t mask, const uint32_t *addresses,
                   uint32_t bytes);

/* A barrier in shared memory: of arrivals and of bytes. */
struct mbarrier {
    uint32_t address, expected, pending, phase;
    int64_t bytes;
    struct clocks gathered, known; /* of the phase that runs; of those that are over */
};
struct mbarrier *ptx_mbarrier(struct warp *w, const struct insn *in, uint32_t lane, uint64_t address);
struct mbarrier *ptx_mbarrier_at(struct block *b, uint32_t address);
void ptx_mbarrier_arrive(struct block *b, struct mbarrier *m, uint32_t arrivals, int64_t bytes);

/* What the copy engine does at a time of its own. */
struct tensor_map;
struct transfer {
    enum { BULK_LOAD, BULK_STORE, TENSOR_LOAD, TENSOR_STORE, COPIES_ARRIVE, PRODUCTS_ARRIVE } kind;
    struct warp *warp;
    const struct insn *in;
    uint32_t lane, mask, shared, bytes, mbarrier, group;
    uint64_t global;
    int32_t at[5];
    uint32_t last_copy; /* COPIES_ARRIVE: group numbers of lanes are those of the copies before */
    struct clocks known;
};
struct transfer *ptx_transfer_new(struct block *b);
bool ptx_engine_step(struct block *b); /* one transfer arrives; false: none is under way */
void ptx_engine_reset(struct block *b);
void ptx_engine_free(struct block *b);
bool ptx_engine_busy(const struct block *b, const struct warp *w, uint32_t lane, uint32_t first_group);
void ptx_copies_arrive(struct warp *w, uint32_t mask,
                       uint32_t count); /* cp.async's first so many, by the engine */
/* Whether stores were made visible to the copy engine. */
void ptx_shared_fenced(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address,
                       uint32_t bytes);

/* Tensor memory: free when a block starts, and again when it ends. */
void ptx_tmem_reset(struct block *b);
void ptx_tmem_end(struct block *b);
void ptx_tmem_free(struct block *b);

static inline void *lanes_of(const struct warp *w, const struct operand *o) { return w->file + o->at; }
#define OP(i) lanes_of(w, &in->ops[i])

/* A statement for each active lane `l`; all of them at once is what compilers make vectors of. */
#define EACH_LANE(statement)                                                                                 \
    do {                                                                                                     \
        if (mask == UINT32_MAX) {                                                                            \
            _Pragma("GCC ivdep") for (uint32_t l = 0; l < LANES; l++) { statement; }                         \
        } else                                                                                               \
            for (uint32_t rest = mask; rest; rest &= rest - 1) {                                             \
                uint32_t l = (uint32_t)__builtin_ctz(rest);                                                  \
                statement;                                                                                   \
            }                                                                                                \
    } while (0)

/* A register's value by lane as an integer, whatever its size. */
static inline uint64_t lane_value(const struct warp *w, const struct operand *o, uint32_t lane) {
    const unsigned char *p = w->file + o->at;
    switch (o->size) {
    case 2:
        return ((const uint16_t *)(const void *)p)[lane];
    case 4:
        return ((const uint32_t *)(const void *)p)[lane];
    default:
        return ((const uint64_t *)(const void *)p)[lane];
    }
}
static inline void set_lane(const struct warp *w, const struct operand *o, uint32_t lane, uint64_t value) {
    unsigned char *p = w->file + o->at;
    switch (o->size) {
    case 2:
        ((uint16_t *)(void *)p)[lane] = (uint16_t)value;
        return;
    case 4:
        ((uint32_t *)(void *)p)[lane] = (uint32_t)value;
        return;
    default:
        ((uint64_t *)(void *)p)[lane] = value;
        return;
    }
}
static inline uint32_t predicate(const struct warp *w, const struct operand *o) {
    return *(const uint32_t *)(const void *)(w->file + o->at);
}
static inline void set_predicate(const struct warp *w, const struct operand *o, uint32_t mask,
                                 uint32_t value) {
    uint32_t *p = (uint32_t *)(void *)(w->file + o->at);
    *p = (*p & ~mask) | (value & mask);
}
#endif
