/* Thread blocks of a GPU as coroutines, one a warp. */
#include "runtime/emulate_block.h"
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STACK = 1 << 26 /* code that is not optimised needs megabytes */,
    SIGNAL_STACK = 1 << 16,
    MOST_BLOCKS = 7
};

static _Thread_local struct coroutine *current;
struct coroutine *emulate_current(void) {
    return current;
}

void emulate_fail(const struct coroutine *c, const char *format, ...) {
    va_list arguments;
    flockfile(stderr);
    fputs("emulated GPU: ", stderr);
    if (c)
        fprintf(stderr, "kernel %s, block %" PRId64 " of %" PRId64 ", warp %" PRId64 ": ",
                c->block->kernel->name, c->warp.block, c->warp.blocks, c->warp.warp);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    funlockfile(stderr);
    abort();
}

void *emulate_allocate(void *old, size_t bytes) {
    void *p = realloc(old, bytes);
    if (!p) emulate_fail(NULL, "out of memory");
    return p;
}

void *emulate_grow(void *array, int64_t count, int64_t *room, size_t element) {
    if (count < *room) return array;
    *room = 2 * *room + 64;
    return emulate_allocate(array, (size_t)*room * element);
}

/* splitmix64 */
static uint32_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)((z ^ z >> 27) >> 16);
}

uint32_t emulate_random(struct block *b) { return next_random(&b->random); }

/* ---- warps ---- */

static void resume(struct coroutine *c) {
    current = c;
    swapcontext(&c->block->scheduler, &c->context);
    current = NULL;
}

void emulate_pause(struct coroutine *c, enum warp_state state) {
    c->state = state;
    swapcontext(&c->context, &c->block->scheduler);
}

/* Arguments of makecontext's functions are ints: the pointer comes in two. */
static void start(unsigned high, unsigned low) {
    struct coroutine *c = (struct coroutine *)(uintptr_t)((uint64_t)high << 32 | low);
    c->block->kernel->code(c->block->buffers, c->block->dims, &c->warp);
    if (c->copies_count) emulate_fail(c, "ends while copies are under way");
    if (c->products_count) emulate_fail(c, "ends while products are under way");
    emulate_pause(c, ENDED);
}

void mdl_emulate_barrier(struct mdl_warp *w) { emulate_pause((struct coroutine *)w, WAITING); }

/* Apart, since getcontext returns twice in the compiler's eyes. */
__attribute__((noinline)) static void prepare(struct coroutine *c) {
    uintptr_t at = (uintptr_t)c;
    getcontext(&c->context);
    c->context.uc_stack.ss_sp = c->stack.start;
    c->context.uc_stack.ss_size = c->stack.bytes;
    makecontext(&c->context, (void (*)(void))start, 2, (unsigned)((uint64_t)at >> 32), (unsigned)at);
}

/* ---- blocks ---- */

static int64_t count(const struct block *b, enum warp_state state) {
    int64_t n = 0;
    for (int64_t i = 0; i < b->kernel->warps; i++) n += b->warps[i].state == state;
    return n;
}
static const struct coroutine *some(const struct block *b, enum warp_state state) {
    const struct coroutine *c = b->warps;
    while (c->state != state) c++;
    return c;
}

/* Who polls goes on once what it waits for is over. */
static void poll(struct block *b) {
    for (int64_t i = 0; i < b->kernel->warps; i++)
        if (b->warps[i].state == POLLING && polled_is_over(&b->warps[i])) b->warps[i].state = READY;
}

/* All that wait go on once all wait. Returns how many have ended. */
static int64_t release(struct block *b) {
    for (poll(b); !count(b, READY) && count(b, POLLING); poll(b))
        if (!engine_step(b)) emulate_fail(some(b, POLLING), "an mbarrier that nobody arrives at");
    int64_t waiting = count(b, WAITING), ended = count(b, ENDED), warps = b->kernel->warps;
    if (waiting && ended && waiting + ended == warps)
        emulate_fail(some(b, WAITING), "a barrier that %" PRId64 " warps have ended without", ended);
    if (waiting != warps) return ended;
    for (int64_t i = 0; i < warps; i++) b->warps[i].state = READY;
    b->interval++;
    return ended;
}

static void check_guards(const struct block *b) {
    if (!region_intact(&b->shared)) emulate_fail(&b->warps[0], "its block wrote before shared memory");
    for (int64_t i = 0; i < b->kernel->warps; i++)
        if (!region_intact(&b->warps[i].scratch))
            emulate_fail(&b->warps[i], "its scratch: written before it");
}

static void run_block(struct block *b) {
    while (release(b) < b->kernel->warps) {
        struct coroutine *c;
        do c = &b->warps[emulate_random(b) % (uint64_t)b->kernel->warps];
        while (c->state != READY);
        resume(c);
    }
    check_guards(b);
    if (!engine_is_idle(b)) emulate_fail(b->tasks[0].of, "its block ends while what it began is under way");
    if (b->warps[0].warp.tensor) emulate_fail(&b->warps[0], "its block has not given tensor memory back");
    for (int64_t i = 0; i < b->kernel->warps; i++) {
        copies_forget(&b->warps[i]);
        products_forget(&b->warps[i]);
    }
}

static void start_block(struct block *b, int64_t number, int64_t blocks) {
    memset(b->shared.start, 0xff, b->shared.bytes);
    copies_begin(b);
    for (int64_t i = 0; i < b->kernel->warps; i++) {
        struct coroutine *c = &b->warps[i];
        memset(c->scratch.start, 0xff, c->scratch.bytes);
        c->warp = (struct mdl_warp){
            number, blocks, i, b->shared.start, c->scratch.start, b->parts.start, (uint32_t *)b->joins.start,
            NULL};
        c->state = READY;
        c->block = b;
        prepare(c);
    }
}

/* ---- blocks between kernels: their stacks are kept ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *idle;

static struct block *take_block(void) {
    pthread_mutex_lock(&lock);
    struct block *b = idle;
    if (b) idle = b->next;
    pthread_mutex_unlock(&lock);
    if (!b) memset(b = emulate_allocate(NULL, sizeof *b), 0, sizeof *b);
    return b;
}

static void give_block(struct block *b) {
    pthread_mutex_lock(&lock);
    b->next = idle;
    idle = b;
    pthread_mutex_unlock(&lock);
}

static size_t whole(int64_t bytes) { return ((size_t)bytes + 63) & ~(size_t)63; }

static void fit(struct block *b, const struct mdl_emulated *kernel) {
    b->kernel = kernel;
    if (kernel->warps > b->warps_room) {
        b->warps = emulate_allocate(b->warps, (size_t)kernel->warps * sizeof *b->warps);
        memset(b->warps + b->warps_room, 0, (size_t)(kernel->warps - b->warps_room) * sizeof *b->warps);
        b->warps_room = kernel->warps;
    }
    region_fit(&b->shared, whole(kernel->shared));
    for (int64_t i = 0; i < kernel->warps; i++) {
        region_fit(&b->warps[i].stack, STACK);
        region_fit(&b->warps[i].scratch, whole(kernel->scratch));
    }
}

/* When the library is closed. */
__attribute__((destructor)) static void release_idle(void) {
    for (struct block *b; (b = idle);) {
        idle = b->next;
        for (int64_t i = 0; i < b->warps_room; i++) {
            region_release(&b->warps[i].stack);
            region_release(&b->warps[i].scratch);
            free(b->warps[i].copies);
            free(b->warps[i].products);
        }
        region_release(&b->shared);
        region_release(&b->parts);
        region_release(&b->joins);
        free(b->warps);
        free(b->chunks);
        free(b->tasks);
        free(b);
    }
}

/* ---- grids ---- */

/* From the environment's, another for each kernel. */
static uint64_t seed_of(const struct mdl_emulated *kernel) {
    const char *given = getenv("MDL_EMULATE_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 1;
    for (const char *p = kernel->name; *p; p++) seed = (seed ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    return seed;
}

/* Parts and counters of a grid, and what it left there. */
static void begin_parts(struct block *b, int64_t blocks) {
    region_fit(&b->parts, (size_t)(blocks * b->kernel->part));
    region_fit(&b->joins, MDL_JOINS * sizeof(uint32_t));
    memset(b->parts.start, 0xff, b->parts.bytes);
    memset(b->joins.start, 0, b->joins.bytes);
}
static void end_parts(const struct block *b) {
    const uint32_t *joins = (const uint32_t *)b->joins.start;
    for (int64_t i = 0; i < MDL_JOINS; i++)
        if (joins[i])
            emulate_fail(&b->warps[0], "its grid leaves counter %" PRId64 " of parts as %" PRIu32, i,
                         joins[i]);
    if (!region_intact(&b->parts)) emulate_fail(&b->warps[0], "its grid wrote before the parts");
}

/* Every thread of the call finds the same number of blocks, and takes its own in an order of its own. */
static void run_grid(struct block *b, int64_t thread, int64_t threads) {
    int64_t mine[MOST_BLOCKS], count = 0, blocks = 1 + next_random(&b->random) % MOST_BLOCKS;
    b->random += (uint64_t)thread;
    for (int64_t i = thread; i < blocks; i += threads) mine[count++] = i;
    begin_parts(b, blocks);
    for (; count; count--) {
        int64_t next = next_random(&b->random) % (uint64_t)count;
        start_block(b, mine[next], blocks);
        run_block(b);
        mine[next] = mine[count - 1];
    }
    end_parts(b);
}

void mdl_emulate(const struct mdl_emulated *kernel, void *const *buffers, const int64_t *dims, int64_t thread,
                 int64_t threads) {
    char faults[SIGNAL_STACK];
    stack_t ours = {.ss_sp = faults, .ss_size = sizeof faults}, old;
    if (kernel->part && thread) return; /* blocks of one grid share them */
    struct block *b = take_block();
    fit(b, kernel);
    b->buffers = buffers;
    b->dims = dims;
    b->random = seed_of(kernel);
    sigaltstack(&ours, &old);
    faults_watch();
    run_grid(b, thread, kernel->part ? 1 : threads);
    faults_leave();
    sigaltstack(&old, NULL);
    give_block(b);
}

static void set_tensor(struct coroutine *c, float *tensor) {
    struct block *b = c->block;
    if (!tensor == !c->warp.tensor) emulate_fail(c, "tensor memory that is taken twice, or was not");
    for (int64_t i = 0; i < b->kernel->warps; i++) b->warps[i].warp.tensor = tensor;
}

void mdl_emulate_tensor_begin(struct mdl_warp *w) {
    size_t bytes = sizeof(float[MDL_TENSOR_ROWS][MDL_TENSOR_COLUMNS]);
    set_tensor((struct coroutine *)w, memset(emulate_allocate(NULL, bytes), 0xff, bytes));
}

void mdl_emulate_tensor_end(struct mdl_warp *w) {
    if (!engine_is_idle(((struct coroutine *)w)->block))
        emulate_fail((struct coroutine *)w, "gives tensor memory back that a product under way may use");
    free(w->tensor);
    set_tensor((struct coroutine *)w, NULL);
}
