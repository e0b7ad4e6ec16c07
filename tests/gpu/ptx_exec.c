/* Runs kernels: a warp's lanes in lockstep, those at the lowest instruction first, so that ways that parted
 * meet again; the warps of a block in a random order between barriers; blocks one by one. */
#include "tests/gpu/ptx_exec.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t ptx_random(uint64_t *state) { /* splitmix64 */
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(z >> 32);
}

void ptx_fail(struct warp *w, const struct insn *in, uint32_t lane, const char *format, ...) {
    struct block *b = w->block;
    const struct ptx_kernel *k = b->kernel;
    const uint32_t *n = b->launch->block, t = w->number * LANES + lane;
    char words[512];
    va_list list;
    va_start(list, format);
    vsnprintf(words, sizeof words, format, list);
    va_end(list);
    size_t i = (size_t)(in - k->code);
    int used = snprintf(b->message, PTX_MESSAGE,
                        "kernel %s, block (%u, %u, %u), thread (%u, %u, %u): %s\n  line %u: %s",
                        k->function->name, b->id[0], b->id[1], b->id[2], t % n[0], t / n[0] % n[1],
                        t / n[0] / n[1], words, in->line, i < k->code_count ? k->statements[i]->text : "");
    const struct ptx_module *m = k->module;
    if (in->source_line && in->source_file < m->files_count && m->files[in->source_file] &&
        used < PTX_MESSAGE)
        snprintf(b->message + used, PTX_MESSAGE - (size_t)used, "\n  from %s:%u", m->files[in->source_file],
                 in->source_line);
    longjmp(*b->escape, 1);
}

static void add_path(struct warp *w, uint32_t mask, uint32_t pc) {
    for (uint32_t i = 1; i < w->paths_count; i++)
        if (w->paths[i].pc == pc) {
            w->paths[i].mask |= mask;
            w->paths[i].stalled = false;
            return;
        }
    w->paths[w->paths_count++] = (struct path){.pc = pc, .mask = mask};
}
void ptx_goto(struct warp *w, uint32_t mask, uint32_t target) {
    if (mask == w->mask) {
        w->next = target;
        return;
    }
    /* The running path is the first; it is put back with what stays. */
    w->mask &= ~mask;
    w->paths[0].mask = w->mask;
    add_path(w, mask, target);
}
void ptx_end_lanes(struct warp *w, uint32_t mask) {
    w->live &= ~mask;
    w->mask &= ~mask;
    w->paths[0].mask = w->mask;
    for (uint32_t i = 1; i < w->paths_count; i++) w->paths[i].stalled = false;
}

bool ptx_converged(struct warp *w, const struct insn *in, uint32_t mask, uint32_t need) {
    need &= w->live;
    if (!(need & ~mask)) return true;
    uint32_t lane = (uint32_t)__builtin_ctz(mask);
    if (need & w->mask & ~mask)
        ptx_fail(w, in, lane, "lanes %#x are switched off by the predicate, but needed",
                 need & w->mask & ~mask);
    bool hope = false;
    for (uint32_t i = 1; i < w->paths_count; i++) hope |= !w->paths[i].stalled;
    if (!hope)
        ptx_fail(w, in, lane, "lanes %#x are needed, but only %#x are here and the others never come", need,
                 mask);
    w->stalled = true;
    w->next = w->pc;
    return false;
}

void ptx_whole_warp(struct warp *w, const struct insn *in, uint32_t mask) {
    if (mask != UINT32_MAX)
        ptx_fail(w, in, (uint32_t)__builtin_ctz(~mask), "all 32 lanes are needed: only %#x are here", mask);
}

static void check_sources(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t i = in->results; i < (uint32_t)in->results + in->sources; i++) {
        uint32_t missing = mask & ~w->written[in->ops[i].reg];
        if (missing)
            ptx_fail(w, in, (uint32_t)__builtin_ctz(missing),
                     "operand %u is a register that was never written", i + 1);
    }
}

/* The path with the lowest instruction of those that can go on becomes the first. */
static void choose_path(struct warp *w) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < w->paths_count; i++) {
        const struct path *a = &w->paths[i], *b = &w->paths[best];
        if (a->stalled != b->stalled ? b->stalled : a->pc < b->pc) best = i;
    }
    struct path swap = w->paths[0];
    w->paths[0] = w->paths[best];
    w->paths[best] = swap;
}
static void join_paths(struct warp *w) {
    for (uint32_t i = 1; i < w->paths_count; i++)
        if (w->paths[i].pc == w->paths[0].pc) {
            w->paths[0].mask |= w->paths[i].mask;
            w->paths[0].stalled = false;
            w->paths[i] = w->paths[--w->paths_count];
            return;
        }
}

static void step(struct warp *w) {
    struct block *b = w->block;
    if (w->paths_count > 1) choose_path(w);
    w->pc = w->paths[0].pc;
    w->mask = w->paths[0].mask;
    w->next = w->pc + 1;
    const struct insn *in = &b->kernel->code[w->pc];
    uint32_t mask = w->mask;
    if (in->guarded) {
        uint32_t missing = mask & ~w->written[in->guard.reg];
        if (missing) ptx_fail(w, in, (uint32_t)__builtin_ctz(missing), "the predicate was never written");
        uint32_t p = predicate(w, &in->guard);
        mask &= in->guard_not ? ~p : p;
    }
    b->stats.instructions++;
    w->instructions++;
    if (mask) {
        check_sources(w, in, mask);
        in->run(w, in, mask);
        b->stats.lane_operations += (uint32_t)__builtin_popcount(mask);
        uint32_t written = w->stalled || in->flags & F_NOTES ? 0 : in->results;
        for (uint32_t i = 0; i < written; i++) w->written[in->ops[i].reg] |= mask;
    }
    w->paths[0].pc = w->next;
    w->paths[0].stalled = w->stalled;
    w->stalled = false;
    if (!w->mask)
        w->paths[0] = w->paths[--w->paths_count];
    else if (w->paths_count > 1)
        join_paths(w);
    if (!w->live) w->state = W_DONE;
}

static void run_warp(struct warp *w) {
    enum { QUANTUM = 1 << 16 };
    w->yield = false;
    for (uint32_t i = 0; i < QUANTUM && w->state == W_READY && !w->yield; i++) step(w);
    uint64_t limit = w->block->launch->limit ? w->block->launch->limit : UINT64_C(1) << 30;
    if (w->state == W_READY && w->instructions > limit)
        ptx_fail(w, &w->block->kernel->code[w->paths[0].pc], (uint32_t)__builtin_ctz(w->paths[0].mask),
                 "%llu instructions and no end", (unsigned long long)w->instructions);
}

/* Barriers whose warps are all there let them go on. Those without a count are for warps that have not ended.
 */
static void release_barriers(struct block *b) {
    uint32_t live = 0;
    for (uint32_t i = 0; i < b->warps_count; i++) live += b->warps[i].state != W_DONE;
    for (uint32_t n = 0; n <= CLUSTER_BARRIER; n++) {
        struct barrier *barrier = &b->barriers[n];
        if (!barrier->arrived || barrier->arrived < (barrier->expected ? barrier->expected : live)) continue;
        for (uint32_t i = 0; i < b->warps_count; i++)
            if (barrier->waiting >> i & 1) {
                ptx_know(&b->warps[i].known, &barrier->known);
                b->warps[i].state = W_READY;
            }
        *barrier = (struct barrier){0};
        b->progress++;
    }
}

static _Noreturn void deadlock(struct block *b, const char *how) {
    for (uint32_t i = 0; i < b->warps_count; i++) {
        struct warp *w = &b->warps[i];
        if (w->state == W_DONE) continue;
        uint32_t pc = w->paths[0].pc;
        if (w->state == W_BARRIER) {
            const struct barrier *barrier = &b->barriers[w->barrier];
            ptx_fail(w, &b->kernel->code[pc ? pc - 1 : 0], (uint32_t)__builtin_ctz(w->live),
                     "deadlock: waits at barrier %u, where %u warps came%s", w->barrier, barrier->arrived,
                     how);
        }
        ptx_fail(w, &b->kernel->code[pc], (uint32_t)__builtin_ctz(w->live),
                 "deadlock: waits for what never comes%s", how);
    }
    abort();
}

static void run_block(struct block *b) {
    uint32_t idle = 0;
    for (;;) {
        uint32_t ready[MAX_WARPS], count = 0, live = 0;
        release_barriers(b);
        for (uint32_t i = 0; i < b->warps_count; i++) {
            live += b->warps[i].state != W_DONE;
            if (b->warps[i].state == W_READY) ready[count++] = i;
        }
        if (!live) {
            ptx_tmem_end(b);
            return;
        }
        if (!count && ptx_engine_step(b)) continue;
        if (!count) deadlock(b, ", and the others have ended or wait elsewhere");
        struct warp *w = &b->warps[ready[ptx_random(&b->random) % count]];
        uint64_t before = b->progress;
        run_warp(w);
        if (w->yield || !(ptx_random(&b->random) % 4)) ptx_engine_step(b);
        idle = w->yield && before == b->progress ? idle + 1 : 0;
        if (idle > 200 * count) deadlock(b, ", and nothing changes");
    }
}

static uint32_t special(const struct block *b, const struct warp *w, uint32_t lane, enum ptx_special kind) {
    const uint32_t *n = b->launch->block, t = w->number * LANES + lane;
    switch (kind) {
    case SP_TID_X:
        return t % n[0];
    case SP_TID_Y:
        return t / n[0] % n[1];
    case SP_TID_Z:
        return t / n[0] / n[1];
    case SP_NTID_X:
    case SP_NTID_Y:
    case SP_NTID_Z:
        return n[kind - SP_NTID_X];
    case SP_CTAID_X:
    case SP_CTAID_Y:
    case SP_CTAID_Z:
        return b->id[kind - SP_CTAID_X];
    case SP_NCTAID_X:
    case SP_NCTAID_Y:
    case SP_NCTAID_Z:
        return b->launch->grid[kind - SP_NCTAID_X];
    case SP_LANEID:
        return lane;
    case SP_WARPID:
        return w->number;
    case SP_NWARPID:
        return b->warps_count;
    case SP_LANEMASK_EQ:
        return 1u << lane;
    case SP_LANEMASK_LT:
        return (1u << lane) - 1;
    case SP_LANEMASK_LE:
        return (1u << lane) | ((1u << lane) - 1);
    case SP_LANEMASK_GT:
        return ~((1u << lane) | ((1u << lane) - 1));
    case SP_LANEMASK_GE:
        return ~((1u << lane) - 1);
    case SP_ONE:
        return 1;
    case SP_DYNAMIC_SIZE:
        return b->launch->shared;
    case SP_TOTAL_SIZE:
        return b->shared_bytes;
    default:
        return 0;
    }
}

static void start_warp(struct block *b, struct warp *w) {
    const struct ptx_kernel *k = b->kernel;
    uint32_t threads = b->threads - w->number * LANES;
    if (k->image_bytes) memcpy(w->file + k->image_at, k->image, k->image_bytes);
    memset(w->written, 0, k->registers_count * sizeof *w->written);
    memset(w->made, 0, k->registers_count * sizeof *w->made);
    w->written[0] = UINT32_MAX;
    for (size_t i = 0; i < k->undefined_count; i++) w->written[k->undefined[i]] = UINT32_MAX;
    memset(w->file, 0xff, k->image_at);
    for (int s = SP_TID_X; s < SP_COUNT; s++)
        for (uint32_t l = 0; l < LANES && k->specials[s]; l++)
            ((uint32_t *)(void *)(w->file + k->specials[s]))[l] = special(b, w, l, (enum ptx_special)s);
    if (k->local_bytes) memset(w->local, 0xff, (size_t)k->local_bytes * LANES);
    w->awaited = 0;
    w->live = threads >= LANES ? UINT32_MAX : (1u << threads) - 1;
    w->paths[0] = (struct path){.pc = k->entry, .mask = w->live};
    w->paths_count = 1;
    w->state = W_READY;
    w->known = (struct clocks){0};
    w->known.of[w->number] = 1;
    w->copies_count = 0;
    w->reads_count = w->factors_count = 0;
    w->product_group = 0;
    w->fenced = 0;
    w->tensor = (struct tensor_side){0};
    w->instructions = 0;
    memset(w->group, 0, sizeof w->group);
    memset(w->depth, 0, sizeof w->depth);
}

static void start_block(struct block *b, uint32_t x, uint32_t y, uint32_t z) {
    b->id[0] = x;
    b->id[1] = y;
    b->id[2] = z;
    b->random =
        b->launch->seed + (x + (uint64_t)b->launch->grid[0] * (y + (uint64_t)b->launch->grid[1] * z)) * 7919;
    memset(b->shared, 0xff, b->shared_bytes);
    memset(b->words, 0, (b->shared_bytes + 3) / 4 * sizeof *b->words);
    memset(b->barriers, 0, sizeof b->barriers);
    b->engine_clock = 1;
    ptx_engine_reset(b);
    ptx_tmem_reset(b);
    for (uint32_t i = 0; i < b->warps_count; i++) start_warp(b, &b->warps[i]);
}

static void allocate(struct block *b) {
    const struct ptx_kernel *k = b->kernel;
    size_t words = (b->shared_bytes + 3) / 4;
    b->shared = malloc(b->shared_bytes + 16);
    b->words = calloc(words + 1, sizeof *b->words);
    b->read_clocks = calloc(2 * words * b->warps_count + 1, sizeof *b->read_clocks);
    b->warps = calloc(b->warps_count, sizeof *b->warps);
    for (uint32_t i = 0; i < b->warps_count; i++) {
        struct warp *w = &b->warps[i];
        w->block = b;
        w->number = i;
        w->file = aligned_alloc(64, k->file_bytes);
        w->written = calloc(k->registers_count, sizeof *w->written);
        w->made = calloc(k->registers_count, sizeof *w->made);
        w->returns = calloc(LANES * DEPTH, sizeof *w->returns);
        w->local = malloc((size_t)k->local_bytes * LANES + 1);
        w->call = malloc((size_t)k->call_bytes * LANES + 1);
    }
}
static void release(struct block *b) {
    ptx_tmem_free(b);
    for (uint32_t i = 0; i < b->warps_count; i++) {
        struct warp *w = &b->warps[i];
        free(w->file);
        free(w->written);
        free(w->made);
        free(w->returns);
        free(w->local);
        free(w->call);
        free(w->copies);
        free(w->reads);
        free(w->factors);
    }
    free(b->warps);
    free(b->read_clocks);
    free(b->words);
    free(b->shared);
    ptx_engine_free(b);
}

static const char *refused(const struct ptx_kernel *k, const struct ptx_launch *l) {
    uint64_t threads = (uint64_t)l->block[0] * l->block[1] * l->block[2];
    if (!threads || threads > 1024) return "a block has 1 to 1024 threads";
    if (threads > k->function->max_threads) return "more threads than the kernel's .maxntid";
    for (int i = 0; i < 3; i++)
        if (k->function->required[0] && k->function->required[i] != l->block[i])
            return "the block is not the kernel's .reqntid";
    if (!l->grid[0] || !l->grid[1] || !l->grid[2]) return "the grid is empty";
    return NULL;
}

bool ptx_run(const struct ptx_kernel *k, const struct ptx_launch *launch, const void *params,
             struct ptx_stats *stats, char *message) {
    const char *why = refused(k, launch);
    if (why) return snprintf(message, PTX_MESSAGE, "kernel %s: %s", k->function->name, why), false;
    jmp_buf escape;
    struct block b = {.kernel = k, .launch = launch, .params = params, .message = message, .escape = &escape};
    b.threads = launch->block[0] * launch->block[1] * launch->block[2];
    b.warps_count = (b.threads + LANES - 1) / LANES;
    b.shared_bytes = k->dynamic_base - SHARED_BASE + launch->shared;
    b.lines = stats ? stats->lines : NULL;
    struct block *block = &b;
    volatile bool good = false;
    allocate(block);
    if (!setjmp(escape)) {
        for (uint32_t z = 0; z < launch->grid[2]; z++)
            for (uint32_t y = 0; y < launch->grid[1]; y++)
                for (uint32_t x = 0; x < launch->grid[0]; x++) {
                    start_block(block, x, y, z);
                    run_block(block);
                }
        good = true;
    }
    if (stats) {
        stats->instructions += block->stats.instructions;
        stats->lane_operations += block->stats.lane_operations;
        stats->shared_accesses += block->stats.shared_accesses;
        stats->bank_conflicts += block->stats.bank_conflicts;
    }
    release(block);
    return good;
}
