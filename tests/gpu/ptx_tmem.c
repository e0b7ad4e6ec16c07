/* Tensor memory: allocation, loads and stores by warps, fences.
 *
 * Loads, stores and products are asynchronous: each has a time on its warp's clock of moves or of products,
 * and is ordered before another operation only if that warp's `tensor.known` reaches the time. That learns
 *   - of the warp's own moves by tcgen05.wait,
 *   - of others' at a fence::after_thread_sync, from what barriers and mbarriers have told: of products
 *     through their commit's mbarrier, of moves that were waited for before a fence::before_thread_sync.
 * (PTX ISA 9.0, 9.7.16.6) */
#include "tests/gpu/ptx_tmem.h"
#include "tests/gpu/ptx_ops.h"
#include <stdlib.h>
#include <string.h>

enum { LOAD, STORE, LEAST_COLUMNS = 32 };

void ptx_tmem_reset(struct block *b) {
    if (!b->tmem) return;
    memset(b->tmem, 0, sizeof *b->tmem);
    b->tmem->most = TMEM_COLUMNS;
}
static struct tmem *memory(struct block *b) {
    if (!b->tmem) {
        b->tmem = malloc(sizeof *b->tmem);
        ptx_tmem_reset(b);
    }
    return b->tmem;
}
void ptx_tmem_end(struct block *b) {
    for (uint32_t c = 0; b->tmem && c < TMEM_COLUMNS; c++)
        if (b->tmem->owner[c])
            ptx_fail(b->tmem->allocator[c], b->tmem->allocated[c], 0,
                     "%u columns of tensor memory, from %u on, were never freed", b->tmem->length[c], c);
}
void ptx_tmem_free(struct block *b) { free(b->tmem); }

/* Of a warp's moves, the last before the first that was not waited for. */
static uint32_t completed(const struct tensor_side *t) {
    uint32_t until = t->moves;
    for (int i = LOAD; i <= STORE; i++)
        if (t->waiting[i] && t->waiting[i] <= until) until = t->waiting[i] - 1;
    return until;
}

static void ordered(struct warp *w, const struct insn *in, uint32_t lane, uint32_t column,
                    const struct clocks *known, uint32_t who, uint32_t clock) {
    bool own = who == MOVES + w->number, product = who < ENGINE;
    if (clock <= (own ? completed(&w->tensor) : known->of[who])) return;
    const char *why = own ? "no tcgen05.wait is between"
                      : clock <= w->known.of[who]
                          ? "no tcgen05.fence::after_thread_sync is after the barrier between"
                      : product ? "its commit was not waited for"
                                : "no tcgen05.fence::before_thread_sync and barrier are between";
    ptx_fail(w, in, lane, "race on tensor memory, column %u, with a %s of warp %u: %s", column,
             product ? "product" : "load or store", who - (product ? PRODUCTS : MOVES), why);
}
/* Nobody else may be reading or writing what is written or freed now. */
static void check_write(struct warp *w, const struct insn *in, uint32_t lane, uint32_t group, uint32_t column,
                        const struct clocks *known, bool pipelined) {
    const struct cell *c = &w->block->tmem->cells[group][column];
    if (c->writer && !pipelined) ordered(w, in, lane, column, known, c->writer - 1, c->clock);
    for (uint32_t i = 0; i < MAX_WARPS / 4; i++)
        if (c->loads[i]) ordered(w, in, lane, column, known, MOVES + 4 * i + group / 2, c->loads[i]);
}
void ptx_tmem_write(struct warp *w, const struct insn *in, uint32_t lane, uint32_t group, uint32_t column,
                    uint32_t who, uint32_t clock, uint64_t product) {
    struct cell *c = &w->block->tmem->cells[group][column];
    check_write(w, in, lane, group, column, &w->tensor.known,
                product && c->writer == who + 1 && c->product == product);
    *c = (struct cell){.writer = who + 1, .clock = clock, .product = product};
}

struct tmem *ptx_tmem_reach(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address,
                            uint32_t columns) {
    struct tmem *t = memory(w->block);
    uint32_t first = address & 0xffff, owner = first < TMEM_COLUMNS ? t->owner[first] : 0;
    if (address >> 16 >= TMEM_LANES || !owner)
        ptx_fail(w, in, lane, "tensor memory at %#x is not allocated", address);
    if (first + columns > owner - 1u + t->length[owner - 1])
        ptx_fail(w, in, lane, "tensor memory: columns %u to %u are outside of the %u allocated at %u", first,
                 first + columns - 1, t->length[owner - 1], owner - 1);
    return t;
}

/* What a warp does as a whole. */
static bool together(struct warp *w, const struct insn *in, uint32_t mask) {
    if (!ptx_converged(w, in, mask, w->live)) return false;
    ptx_whole_warp(w, in, mask);
    return true;
}
static uint32_t uniform(struct warp *w, const struct insn *in, uint32_t operand, int64_t offset) {
    uint32_t value = (uint32_t)lane_value(w, &in->ops[operand], 0);
    for (uint32_t l = 1; l < LANES; l++)
        if ((uint32_t)lane_value(w, &in->ops[operand], l) != value)
            ptx_fail(w, in, l, "operand %u differs between the lanes of the warp", operand + 1);
    return value + (uint32_t)offset;
}
uint32_t ptx_one_thread(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t lane = (uint32_t)__builtin_ctz(mask);
    if (mask & (mask - 1)) ptx_fail(w, in, lane, "one thread issues this, but lanes %#x are here", mask);
    return lane;
}

static uint32_t columns_of(struct warp *w, const struct insn *in) {
    uint32_t columns = uniform(w, in, 1, 0);
    if (columns < LEAST_COLUMNS || columns > TMEM_COLUMNS || (columns & (columns - 1)))
        ptx_fail(w, in, 0, "%u columns: a power of two from 32 to 512 is allocated", columns);
    return columns;
}
/* Anywhere where there is room: nobody may rely on a place. */
static void allocate(struct warp *w, const struct insn *in, uint32_t mask) {
    if (!together(w, in, mask)) return;
    struct tmem *t = memory(w->block);
    uint32_t columns = columns_of(w, in), slots = TMEM_COLUMNS / columns, at = 0, tried = 0;
    if (t->relinquished) ptx_fail(w, in, 0, "allocates after tcgen05.relinquish_alloc_permit");
    if (columns > t->most)
        ptx_fail(w, in, 0, "allocates %u columns after %u: that may not increase", columns, t->most);
    uint32_t slot = ptx_random(&w->block->random) % slots;
    for (bool room = false; !room; slot = (slot + 1) % slots) {
        if (tried++ == slots) ptx_fail(w, in, 0, "waits for tensor memory that its own block holds");
        at = slot * columns;
        room = true;
        for (uint32_t c = 0; c < columns; c++) room &= !t->owner[at + c];
    }
    t->most = t->length[at] = (uint16_t)columns;
    t->allocator[at] = w;
    t->allocated[at] = in;
    for (uint32_t c = at; c < at + columns; c++) {
        t->owner[c] = (uint16_t)(at + 1);
        for (uint32_t l = 0; l < TMEM_LANES; l++) t->value[l][c] = UINT32_MAX;
        for (uint32_t g = 0; g < TMEM_GROUPS; g++) t->cells[g][c] = (struct cell){0};
    }
    memcpy(ptx_reach(w, in, 0, S_SHARED, uniform(w, in, 0, in->offset), 4, ACCESS_WRITE), &at, 4);
}
static void release(struct warp *w, const struct insn *in, uint32_t mask) {
    if (!together(w, in, mask)) return;
    uint32_t at = uniform(w, in, 0, 0), columns = columns_of(w, in);
    struct tmem *t = ptx_tmem_reach(w, in, 0, at, columns);
    if (t->owner[at & 0xffff] != at + 1 || t->length[at] != columns)
        ptx_fail(w, in, 0, "%u columns at %#x are not what was allocated", columns, at);
    for (uint32_t c = at; c < at + columns; c++) {
        for (uint32_t g = 0; g < TMEM_GROUPS; g++) check_write(w, in, 0, g, c, &w->known, false);
        t->owner[c] = 0;
    }
}
static void relinquish(struct warp *w, const struct insn *in, uint32_t mask) {
    if (together(w, in, mask)) memory(w->block)->relinquished = true;
}

/* The lanes that a warp reaches are its own 32 of the 128. */
static struct tmem *own_lanes(struct warp *w, const struct insn *in, uint32_t address, uint32_t columns) {
    uint32_t first = w->number % 4 * LANES;
    if (address >> 16 != first)
        ptx_fail(w, in, 0, "warp %u reaches lanes %u to %u of tensor memory, not those from %u on", w->number,
                 first, first + LANES - 1, address >> 16);
    return ptx_tmem_reach(w, in, 0, address, columns);
}
static uint32_t issue(struct tensor_side *t, uint32_t kind) {
    t->moves++;
    if (!t->waiting[kind]) t->waiting[kind] = t->moves;
    return t->moves;
}

/* Register i of lane l: column i of the warp's lane l. Who uses it waits for the load; only for other
 * operations on the memory a tcgen05.wait is needed (9.7.16.6.4.5). Lanes that nothing was written to stay
 * without a value: of products of 64 rows each warp has 16. */
static void load(struct warp *w, const struct insn *in, uint32_t mask) {
    if (!together(w, in, mask)) return;
    uint32_t n = in->results, address = uniform(w, in, n, in->offset), first = address & 0xffff;
    struct tmem *t = own_lanes(w, in, address, n);
    uint32_t clock = issue(&w->tensor, LOAD);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t valid = 0, *to = OP(i);
        for (uint32_t half = 0; half < 2; half++) {
            struct cell *c = &t->cells[(address >> 16) / TMEM_GROUP + half][first + i];
            if (!c->writer) continue;
            ordered(w, in, half * TMEM_GROUP, first + i, &w->tensor.known, c->writer - 1, c->clock);
            c->loads[w->number / 4] = clock;
            valid |= 0xffffu << half * TMEM_GROUP;
        }
        if (!valid) ptx_fail(w, in, 0, "tensor memory, column %u, was never written", first + i);
        for (uint32_t l = 0; l < LANES; l++) to[l] = t->value[(address >> 16) + l][first + i];
        w->written[in->ops[i].reg] = valid;
    }
}
static void store(struct warp *w, const struct insn *in, uint32_t mask) {
    if (!together(w, in, mask)) return;
    uint32_t n = in->sources - 1u, address = uniform(w, in, 0, in->offset), first = address & 0xffff;
    struct tmem *t = own_lanes(w, in, address, n);
    uint32_t clock = issue(&w->tensor, STORE);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *from = OP(i + 1);
        for (uint32_t half = 0; half < 2; half++)
            ptx_tmem_write(w, in, half * TMEM_GROUP, (address >> 16) / TMEM_GROUP + half, first + i,
                           MOVES + w->number, clock, 0);
        for (uint32_t l = 0; l < LANES; l++) t->value[(address >> 16) + l][first + i] = from[l];
    }
}
static void wait_load(struct warp *w, const struct insn *in, uint32_t mask) {
    if (together(w, in, mask)) w->tensor.waiting[LOAD] = 0;
}
static void wait_store(struct warp *w, const struct insn *in, uint32_t mask) {
    if (together(w, in, mask)) w->tensor.waiting[STORE] = 0;
}

void ptx_tmem_before(struct warp *w) { w->known.of[MOVES + w->number] = completed(&w->tensor); }
static void before(struct warp *w, const struct insn *in, uint32_t mask) {
    (void)in, (void)mask;
    ptx_tmem_before(w);
}
static void after(struct warp *w, const struct insn *in, uint32_t mask) {
    (void)in, (void)mask;
    ptx_know(&w->tensor.known, &w->known);
}

static const struct op_row rows[] = {
    {"tcgen05", "alloc", T_B32, allocate, "=al"},
    {"tcgen05", "dealloc", T_B32, release, "=ll"},
    {"tcgen05", "relinquish_alloc_permit", T_NONE, relinquish, "="},
    {"tcgen05", "ld", T_B32, load, "R=a"},
    {"tcgen05", "st", T_B32, store, "=aR"},
    {"tcgen05", "wait::ld", T_NONE, wait_load, "="},
    {"tcgen05", "wait::st", T_NONE, wait_store, "="},
    {"tcgen05", "fence::before_thread_sync", T_NONE, before, "="},
    {"tcgen05", "fence::after_thread_sync", T_NONE, after, "="},
};
OP_TABLE(ptx_tmem_ops, rows);
