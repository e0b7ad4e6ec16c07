/* A thread block at work: its warps, which are coroutines, its memory between guards, its copies under way.
 */
#ifndef RUNTIME_EMULATE_BLOCK_H
#define RUNTIME_EMULATE_BLOCK_H
#include "runtime/emulate.h"
#include <stdbool.h>
#include <stddef.h>
#include <ucontext.h>

/* Memory of `bytes` that ends at a page that nobody may touch. The bytes between it and the page before,
 * which nobody may touch either, keep a pattern. */
struct region {
    char *map; /* NULL: none yet */
    size_t pages_bytes;
    char *start; /* 64-byte aligned */
    size_t bytes;
};
/* Makes or changes it to have room for `bytes`, a multiple of 64. */
void region_fit(struct region *r, size_t bytes);
void region_release(struct region *r);
/* Whether what lies before it is as it was. */
bool region_intact(const struct region *r);
/* Whether an address lies in it or its guards; if so, how far from its start (< 0: before it) or behind its
 * end. */
bool region_around(const struct region *r, uintptr_t at, ptrdiff_t *by);

/* 16 bytes of shared memory: whether a copy into them is under way, and of which warp, in which interval
 * between barriers, the last one that came was. */
struct chunk {
    bool under_way;
    int16_t warp;
    uint32_t interval; /* 0: never */
};
struct copy {
    char *to;
    const char *from; /* NULL: zeros */
    int64_t group;    /* groups committed before it */
};

/* A wgmma under way: what it reads from shared memory, which must stay as it was when it was begun. */
struct product {
    struct product_operand {
        const char *columns; /* of chunks of 16 bytes, a line after the other; or swizzled lines, pitch 0 */
        int64_t pitch, lines, chunks; /* none: it is in registers */
        const char *shared;           /* the block's */
    } a, b;
    uint64_t sum;  /* of these bytes */
    int64_t group; /* groups committed before it */
};

/* What a block has others do while it goes on: a copy in bulk, a product of tcgen05, an arrival once the
 * products before it are made. */
struct tensor_product {
    const struct mdl_warp *w;
    struct product_operand a, b;
    bool adds; /* to the sums that are there */
    int elements;
    double (*element)(uint32_t word, int i); /* of `elements` in a word */
};
struct task {
    enum task_kind { TASK_COPY, TASK_BOX, TASK_PRODUCT, TASK_COMMIT } kind;
    struct coroutine *of;
    struct mdl_mbarrier *arrives; /* copies and commits */
    char *to;
    const char *from;
    int32_t bytes;
    struct mdl_box box;
    struct tensor_product product;
};

enum warp_state { READY, WAITING /* at the block's barrier */, POLLING /* an mbarrier */, ENDED };
struct coroutine {
    struct mdl_warp warp; /* first: a warp is its coroutine */
    ucontext_t context;
    enum warp_state state;
    struct block *block;
    struct region stack, scratch;
    struct copy *copies; /* not yet there, oldest first */
    int64_t copies_count, copies_room, copies_committed;
    struct product *products; /* the same */
    int64_t products_count, products_room, products_committed;
    const struct mdl_mbarrier *polled; /* until its phase of this parity is over */
    int32_t parity;
};
struct block {
    const struct mdl_emulated *kernel;
    void *const *buffers;
    const int64_t *dims;
    uint64_t random;
    ucontext_t scheduler;
    struct coroutine *warps;
    int64_t warps_room;
    struct region shared;
    struct region parts, joins; /* the grid's: parts [blocks], counters */
    struct chunk *chunks;       /* [shared bytes / 16] */
    size_t chunks_room;
    uint32_t interval;  /* from 1 on */
    struct task *tasks; /* under way, oldest first */
    int64_t tasks_count, tasks_room;
    struct block *next; /* of those that wait for work */
};

/* Gives way to others. */
void emulate_pause(struct coroutine *c, enum warp_state state);
/* Whether what a warp polls is over. emulate_mbarrier.c */
bool polled_is_over(const struct coroutine *c);
/* The warp that runs in this thread; NULL: none. */
struct coroutine *emulate_current(void);
/* "emulated GPU: kernel k3, block 2 of 5, warp 1: ..." and the end. `c` may be NULL. */
_Noreturn void emulate_fail(const struct coroutine *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void *emulate_allocate(void *old, size_t bytes); /* as realloc; the end if there is none */
/* `array` of `count` elements with room for one more. */
void *emulate_grow(void *array, int64_t count, int64_t *room, size_t element);

/* --- emulate_memory.c --- */
void copies_begin(struct block *b);      /* of a thread block: no copy has come or is under way */
void copies_forget(struct coroutine *c); /* at its end */
/* Of `bytes` at `p`: that they are aligned, and no copy is under way or new there. The end if not. */
void memory_check(int64_t lane, const char *p, int64_t bytes, const char *verb);

/* 16 bytes of shared memory at `to` are under way, from `from` (NULL: zeros). */
void chunk_begin(const struct coroutine *c, char *to, const char *from);
/* They are there; in this interval `c`'s alone, if it is not 0. */
void chunk_deliver(const struct coroutine *c, char *to, const char *from, uint32_t interval);

/* --- emulate_engine.c --- */
void engine_multiply(struct coroutine *c, const struct tensor_product *p);
/* Does one of what may be done next, in a random order; false: nothing is under way. */
bool engine_step(struct block *b);
bool engine_is_idle(const struct block *b);
void mbarrier_arrive(const struct coroutine *c, struct mdl_mbarrier *m, int arrivals, int32_t bytes);
void tensor_multiply(const struct tensor_product *p);
uint32_t emulate_random(struct block *b);

/* --- emulate_product.c --- */
const char *product_chunk(const struct product_operand *o, int64_t line, int64_t chunk); /* where it lies */
/* Where 16 bytes of a line lie that begin at `at`, behind the block's shared memory, in swizzled lines. */
static inline ptrdiff_t swizzled(ptrdiff_t at) { return at ^ (at >> 7 & 7) << 4; }
void product_check(const struct product_operand *o); /* that it is all there */
void product_begin(struct coroutine *c, struct product_operand a, struct product_operand b);
void products_forget(struct coroutine *c);

/* --- emulate_fault.c --- */
/* While some thread of this library is between them, what touches a guard is told with the kernel's name. */
void faults_watch(void);
void faults_leave(void);

#endif
