/* Thread blocks of a GPU as coroutines, one a warp; copies into shared memory are made at once. */
#include "runtime/emulate.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { STACK = 1 << 24, MOST_BLOCKS = 7, COPY_BYTES = 16 };

enum state { READY, WAITING, ENDED };

struct coroutine {
    struct mdl_warp warp; /* first: a warp is its coroutine */
    ucontext_t context;
    enum state state;
    struct grid *grid;
    char *stack;
};
struct grid {
    mdl_warp_code *code;
    void *const *buffers;
    const int64_t *dims;
    int64_t warps;
    uint64_t random;
    ucontext_t scheduler;
    struct coroutine *all; /* [warps] */
};

static uint32_t next_random(uint64_t *state) { /* splitmix64 */
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)((z ^ z >> 27) >> 16);
}

static _Noreturn void give_up(const char *why) {
    fprintf(stderr, "emulated GPU: %s\n", why);
    abort();
}

static void *take(size_t bytes) {
    void *p = malloc(bytes ? bytes : 1);
    if (!p) give_up("out of memory");
    memset(p, 0xff, bytes);
    return p;
}

/* Arguments of makecontext's functions are ints: the pointer comes in two. */
static void start(unsigned high, unsigned low) {
    struct coroutine *c = (struct coroutine *)(uintptr_t)((uint64_t)high << 32 | low);
    c->grid->code(c->grid->buffers, c->grid->dims, &c->warp);
    c->state = ENDED;
    swapcontext(&c->context, &c->grid->scheduler);
}

void mdl_emulate_barrier(struct mdl_warp *w) {
    struct coroutine *c = (struct coroutine *)w;
    c->state = WAITING;
    swapcontext(&c->context, &c->grid->scheduler);
}

/* All that wait go on once all wait. */
static int64_t release(struct grid *g) {
    int64_t waiting = 0, ended = 0;
    for (int64_t i = 0; i < g->warps; i++) {
        waiting += g->all[i].state == WAITING;
        ended += g->all[i].state == ENDED;
    }
    if (waiting && waiting + ended == g->warps && ended)
        give_up("a barrier that some warps have ended without");
    for (int64_t i = 0; i < g->warps && waiting == g->warps; i++) g->all[i].state = READY;
    return ended;
}

static void run_block(struct grid *g) {
    while (release(g) < g->warps) {
        struct coroutine *c;
        do c = &g->all[next_random(&g->random) % (uint64_t)g->warps];
        while (c->state != READY);
        swapcontext(&g->scheduler, &c->context);
    }
}

/* Apart, since getcontext returns twice in the compiler's eyes. */
__attribute__((noinline)) static void prepare(struct coroutine *c) {
    uintptr_t at = (uintptr_t)c;
    getcontext(&c->context);
    c->context.uc_stack.ss_sp = c->stack;
    c->context.uc_stack.ss_size = STACK;
    makecontext(&c->context, (void (*)(void))start, 2, (unsigned)((uint64_t)at >> 32), (unsigned)at);
}

static void start_block(struct grid *g, int64_t block, int64_t blocks, char *shared, int64_t shared_bytes,
                        int64_t scratch) {
    memset(shared, 0xff, (size_t)shared_bytes);
    for (int64_t i = 0; i < g->warps; i++) {
        struct coroutine *c = &g->all[i];
        c->warp.block = block;
        c->warp.blocks = blocks;
        c->warp.warp = i;
        c->warp.shared = shared;
        memset(c->warp.scratch, 0xff, (size_t)scratch);
        c->state = READY;
        c->grid = g;
        prepare(c);
    }
}

static uint64_t seed(void) {
    const char *given = getenv("MDL_EMULATE_SEED");
    return given ? strtoull(given, NULL, 10) : 1;
}

void mdl_emulate(mdl_warp_code *code, void *const *buffers, const int64_t *dims, int64_t thread,
                 int64_t threads, int64_t warps, int64_t shared, int64_t scratch) {
    struct grid g = {.code = code, .buffers = buffers, .dims = dims, .warps = warps, .random = seed()};
    int64_t blocks = 1 + next_random(&g.random) % MOST_BLOCKS;
    char *memory = take((size_t)shared);
    g.all = take((size_t)warps * sizeof *g.all);
    for (int64_t i = 0; i < warps; i++) {
        g.all[i].stack = malloc(STACK);
        g.all[i].warp.scratch = aligned_alloc(64, ((size_t)scratch + 64) / 64 * 64);
        if (!g.all[i].warp.scratch) give_up("out of memory");
    }
    for (int64_t b = thread; b < blocks; b += threads) {
        start_block(&g, b, blocks, memory, shared, scratch);
        run_block(&g);
    }
    for (int64_t i = 0; i < warps; i++) {
        free(g.all[i].stack);
        free(g.all[i].warp.scratch);
    }
    free(g.all);
    free(memory);
}

void mdl_emulate_copy(struct mdl_warp *w, char *const to[32], const char *const from[32], const uint8_t exists[32]) {
    (void)w;
    for (int l = 0; l < 32; l++) {
        memset(to[l], 0, COPY_BYTES);
        if (exists[l]) memcpy(to[l], from[l], COPY_BYTES);
    }
}

void mdl_emulate_copy_commit(struct mdl_warp *w) { (void)w; }

void mdl_emulate_copy_wait(struct mdl_warp *w, int32_t pending) { (void)w, (void)pending; }
