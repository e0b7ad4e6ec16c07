/* mbarrier: barriers in shared memory, of arrivals and of bytes that copies bring. */
#include "tests/gpu/ptx_ops.h"
#include <stdlib.h>
#include <string.h>

struct mbarrier *ptx_mbarrier_at(struct block *b, uint32_t address) {
    for (size_t i = 0; i < b->mbarriers_count; i++)
        if (b->mbarriers[i].address == address) return &b->mbarriers[i];
    return NULL;
}

/* One that was initialised, before this warp's eyes or those of a warp that it met since. */
struct mbarrier *ptx_mbarrier(struct warp *w, const struct insn *in, uint32_t lane, uint64_t address) {
    if (in->space == S_GENERIC && address >> WINDOW_BITS && ptx_space_of(&address) != S_SHARED)
        ptx_fail(w, in, lane, "the barrier is not in shared memory");
    ptx_shared(w, in, lane, address, 8, 8);
    struct mbarrier *m = ptx_mbarrier_at(w->block, (uint32_t)address);
    if (!m) ptx_fail(w, in, lane, "no mbarrier was initialised at %#x", (uint32_t)address);
    ptx_shared_read(w, in, lane, (uint32_t)address, 8, true);
    return m;
}

static void complete(struct block *b, struct mbarrier *m) {
    if (m->pending || m->bytes) return;
    m->phase++;
    m->pending = m->expected;
    ptx_know(&m->known, &m->gathered);
    b->progress++;
}
void ptx_mbarrier_arrive(struct block *b, struct mbarrier *m, uint32_t arrivals, int64_t bytes) {
    m->pending -= arrivals;
    m->bytes += bytes;
    b->progress++;
    complete(b, m);
}

static void init(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest), count = (uint32_t)lane_value(w, &in->ops[1], l);
        uint64_t address = ptx_address(w, in, 0, l, in->offset);
        if (in->space == S_GENERIC && address >> WINDOW_BITS) ptx_space_of(&address);
        struct block *b = w->block;
        ptx_shared(w, in, l, address, 8, 8);
        ptx_shared_write(w, in, l, (uint32_t)address, 8, false);
        if (!count || count >= 1u << 20) ptx_fail(w, in, l, "an mbarrier of %u arrivals", count);
        struct mbarrier *m = ptx_mbarrier_at(b, (uint32_t)address);
        if (!m && b->mbarriers_count == b->mbarriers_room) {
            b->mbarriers_room = b->mbarriers_room ? 2 * b->mbarriers_room : 16;
            b->mbarriers = realloc(b->mbarriers, b->mbarriers_room * sizeof *b->mbarriers);
        }
        if (!m) m = &b->mbarriers[b->mbarriers_count++];
        *m = (struct mbarrier){.address = (uint32_t)address, .expected = count, .pending = count};
    }
}
static void invalidate(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        struct mbarrier *m = ptx_mbarrier(w, in, l, ptx_address(w, in, 0, l, in->offset));
        *m = w->block->mbarriers[--w->block->mbarriers_count];
    }
}

/* mode 0: arrive {count}; 1: arrive.expect_tx bytes; 2: expect_tx bytes */
static void arrive(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t at = in->results;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        struct mbarrier *m = ptx_mbarrier(w, in, l, ptx_address(w, in, at, l, in->offset));
        uint32_t n = in->sources > 1 ? (uint32_t)lane_value(w, &in->ops[at + 1], l) : 1,
                 arrivals = in->mode == 0   ? n
                            : in->mode == 1 ? 1
                                            : 0;
        if (arrivals > m->pending)
            ptx_fail(w, in, l, "%u arrivals, but the mbarrier's phase waits for %u", arrivals, m->pending);
        if (at) set_lane(w, &in->ops[0], l, m->phase);
        ptx_know(&m->gathered, &w->known);
        ptx_mbarrier_arrive(w->block, m, arrivals, in->mode ? (int64_t)n : 0);
    }
    w->known.of[w->number]++;
}

/* mode 0: of the phase that a state names, 1: of a parity */
static void wait(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t over = 0;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        struct mbarrier *m = ptx_mbarrier(w, in, l, ptx_address(w, in, 1, l, in->offset));
        uint64_t which = lane_value(w, &in->ops[2], l);
        if (in->mode ? (m->phase & 1) == (which & 1) : m->phase == (uint32_t)which) continue;
        over |= rest & -rest;
        ptx_know(&w->known, &m->known);
    }
    if (over != mask) w->yield = true;
    set_predicate(w, &in->ops[0], mask, over);
}

/* cp.async.mbarrier.arrive: when the copies before have arrived. With .noinc that is one of the arrivals that
 * the barrier waits for (mode 1), else one more. */
static void arrive_after_copies(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        struct mbarrier *m = ptx_mbarrier(w, in, l, ptx_address(w, in, 0, l, in->offset));
        if (!in->mode) m->pending++;
        struct transfer *t = ptx_transfer_new(w->block);
        *t = (struct transfer){.kind = COPIES_ARRIVE,
                               .warp = w,
                               .in = in,
                               .lane = l,
                               .mask = rest & -rest,
                               .mbarrier = m->address,
                               .last_copy = (uint32_t)w->copies_count,
                               .known = w->known};
    }
    w->known.of[w->number]++;
}

static const struct op_row rows[] = {
    {"mbarrier", "init", T_B64, init, "=al"},
    {"mbarrier", "inval", T_B64, invalidate, "=a"},
    {"mbarrier", "arrive", T_B64, arrive, "q=a?l"},
    {"mbarrier", "expect_tx", T_B64, arrive, "=al"},
    {"mbarrier", "test_wait.parity", T_B64, wait, "p=al"},
    {"mbarrier", "try_wait.parity", T_B64, wait, "p=al?k"},
    {"mbarrier", "test_wait", T_B64, wait, "p=aq"},
    {"mbarrier", "try_wait", T_B64, wait, "p=aq?k"},
    {"cp", "async.mbarrier", T_B64, arrive_after_copies, "=a"},
};
OP_TABLE(ptx_mbarrier_ops, rows);
