/* Thread blocks of a GPU as coroutines, one a warp; copies into shared memory are made at once. */
#include "runtime/emulate.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { STACK = 1 << 18, MOST_BLOCKS = 7, COPY_BYTES = 16 };

enum state { READY, WAITING /* at the block's barrier */, POLLING /* an mbarrier */, ENDED };

struct coroutine {
    struct mdl_warp warp; /* first: a warp is its coroutine */
    ucontext_t context;
    enum state state;
    struct grid *grid;
    char *stack;
    const struct mdl_mbarrier *polled; /* until its phase of this parity is over */
    int32_t parity;
};
struct grid {
    mdl_warp_code *code;
    void *const *buffers;
    const int64_t *dims;
    int64_t warps;
    uint64_t random;
    ucontext_t scheduler;
    struct coroutine *all; /* [warps] */
    char *parts;
    uint32_t *joins; /* [MDL_JOINS] */
    float *tensor;   /* of the block that runs */
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
    void *p = aligned_alloc(MDL_ALIGN, (bytes / MDL_ALIGN + 1) * MDL_ALIGN);
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

static void stop(struct coroutine *c, enum state why) {
    c->state = why;
    swapcontext(&c->context, &c->grid->scheduler);
}

void mdl_emulate_barrier(struct mdl_warp *w) { stop((struct coroutine *)w, WAITING); }

static bool is_over(const struct mdl_mbarrier *m, int32_t parity) { return (m->phase & 1) != parity; }

/* All that wait go on once all wait; who polls, once what it waits for is over. */
static int64_t release(struct grid *g) {
    int64_t waiting = 0, ended = 0, polling = 0;
    for (int64_t i = 0; i < g->warps; i++) {
        struct coroutine *c = &g->all[i];
        if (c->state == POLLING && is_over(c->polled, c->parity)) c->state = READY;
        waiting += c->state == WAITING;
        polling += c->state == POLLING;
        ended += c->state == ENDED;
    }
    if (polling && polling + waiting + ended == g->warps) give_up("an mbarrier that nobody arrives at");
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
    if (g->tensor) give_up("tensor memory that a block has not given back");
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
        c->warp.parts = g->parts;
        c->warp.joins = g->joins;
        c->warp.tensor = NULL;
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

/* Numbers below n in a random order. */
static void shuffle(int64_t *order, int64_t n, uint64_t *random) {
    for (int64_t i = 0; i < n; i++) {
        int64_t j = next_random(random) % (uint64_t)(i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

static void take_grid(struct grid *g, int64_t blocks, int64_t scratch, int64_t part) {
    g->all = take((size_t)g->warps * sizeof *g->all);
    g->parts = take((size_t)(blocks * part));
    g->joins = take(MDL_JOINS * sizeof *g->joins);
    memset(g->joins, 0, MDL_JOINS * sizeof *g->joins);
    for (int64_t i = 0; i < g->warps; i++) {
        g->all[i].stack = take(STACK);
        g->all[i].warp.scratch = take((size_t)scratch);
    }
}

static void release_grid(struct grid *g) {
    for (int64_t i = 0; i < g->warps; i++) {
        free(g->all[i].stack);
        free(g->all[i].warp.scratch);
    }
    for (int64_t i = 0; i < MDL_JOINS; i++)
        if (g->joins[i]) give_up("a counter of parts is not left as zero");
    free(g->joins);
    free(g->parts);
    free(g->all);
}

void mdl_emulate(mdl_warp_code *code, void *const *buffers, const int64_t *dims, int64_t thread,
                 int64_t threads, int64_t warps, int64_t shared, int64_t scratch, int64_t part) {
    struct grid g = {.code = code, .buffers = buffers, .dims = dims, .warps = warps, .random = seed()};
    int64_t blocks = 1 + next_random(&g.random) % MOST_BLOCKS, order[MOST_BLOCKS] = {0};
    if (part && thread) return;
    char *memory = take((size_t)shared);
    take_grid(&g, blocks, scratch, part);
    shuffle(order, blocks, &g.random);
    for (int64_t b = thread; b < blocks; b += part ? 1 : threads) {
        start_block(&g, order[b], blocks, memory, shared, scratch);
        run_block(&g);
    }
    release_grid(&g);
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

static void arrive(struct mdl_mbarrier *m, int arrivals, int32_t bytes) {
    if (m->pending < arrivals) give_up("more arrivals than an mbarrier waits for");
    m->pending = (uint8_t)(m->pending - arrivals);
    m->bytes += bytes;
    if (m->pending || m->bytes) return;
    m->pending = m->arrivals;
    m->phase++;
}

void mdl_emulate_mbarrier_init(struct mdl_warp *w, struct mdl_mbarrier *m, int32_t arrivals) {
    (void)w;
    *m = (struct mdl_mbarrier){.arrivals = (uint8_t)arrivals, .pending = (uint8_t)arrivals};
}

void mdl_emulate_mbarrier_expect(struct mdl_warp *w, struct mdl_mbarrier *m, int32_t bytes) {
    (void)w;
    arrive(m, 1, bytes);
}

void mdl_emulate_mbarrier_wait(struct mdl_warp *w, const struct mdl_mbarrier *m, int32_t parity) {
    struct coroutine *c = (struct coroutine *)w;
    c->polled = m;
    c->parity = parity;
    stop(c, POLLING);
}

void mdl_emulate_copy_bulk(struct mdl_warp *w, char *to, const char *from, int32_t bytes,
                           struct mdl_mbarrier *m) {
    (void)w;
    memcpy(to, from, (size_t)bytes);
    arrive(m, 0, -bytes);
}

static void set_tensor(struct mdl_warp *w, float *tensor) {
    struct grid *g = ((struct coroutine *)w)->grid;
    if (!tensor == !g->tensor) give_up("tensor memory that is taken twice, or was not");
    g->tensor = tensor;
    for (int64_t i = 0; i < g->warps; i++) g->all[i].warp.tensor = tensor;
}

void mdl_emulate_tensor_begin(struct mdl_warp *w) {
    set_tensor(w, take(sizeof(float[MDL_TENSOR_ROWS][MDL_TENSOR_COLUMNS])));
}

void mdl_emulate_tensor_end(struct mdl_warp *w) {
    free(w->tensor);
    set_tensor(w, NULL);
}
