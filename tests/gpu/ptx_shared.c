/* Shared memory's shadow: what was written, by whom and when; what copies are on their way; races; banks.
 *
 * Each warp has a clock, which steps at its barriers, and knows how far the others were when it last met
 * them. An access is ordered after another warp's if that warp's clock then is known now. */
#include "tests/gpu/ptx_exec.h"
#include <stdio.h>
#include <string.h>

void ptx_know(struct clocks *to, const struct clocks *of) {
    for (int i = 0; i < CLOCKS; i++)
        if (to->of[i] < of->of[i]) to->of[i] = of->of[i];
}

unsigned char *ptx_shared(struct warp *w, const struct insn *in, uint32_t lane, uint64_t address,
                          uint32_t bytes, uint32_t align) {
    struct block *b = w->block;
    if (address < SHARED_BASE || address - SHARED_BASE > b->shared_bytes ||
        bytes > b->shared_bytes - (address - SHARED_BASE))
        ptx_fail(w, in, lane, "shared address %#llx, %u bytes, is outside the block's %u bytes (from %#x on)",
                 (unsigned long long)address, bytes, b->shared_bytes, SHARED_BASE);
    if (address % align)
        ptx_fail(w, in, lane, "shared address %#llx is not aligned to %u bytes", (unsigned long long)address,
                 align);
    return b->shared + (address - SHARED_BASE);
}

/* The bytes of word i that [offset, offset + bytes) has, a bit each. */
static uint32_t bytes_of(uint32_t i, uint32_t offset, uint32_t bytes) {
    uint32_t begin = offset > 4 * i ? offset - 4 * i : 0,
             end = offset + bytes - 4 * i < 4 ? offset + bytes - 4 * i : 4;
    return ((1u << end) - 1) & ~((1u << begin) - 1);
}
#define EACH_WORD(i, mask)                                                                                   \
    for (uint32_t i = offset / 4, mask;                                                                      \
         i <= (offset + bytes - 1) / 4 && (mask = bytes_of(i, offset, bytes), true); i++)

static const char *who(uint32_t writer, char *name, size_t room) {
    if (writer == ENGINE) return "the bulk copy engine";
    snprintf(name, room, "%swarp %u", writer >= PRODUCTS ? "a product of " : "", writer % MAX_WARPS);
    return name;
}

static void check_writer(struct warp *w, const struct insn *in, uint32_t lane, const struct word *word,
                         uint32_t i, uint32_t mask, bool atomic, const char *kind) {
    char name[32];
    uint32_t writer = word->writer - 1u;
    if (!word->writer || writer == w->number || !(word->write_mask & mask) || (atomic && word->atomic))
        return;
    if (word->write_clock > w->known.of[writer])
        ptx_fail(w, in, lane, "%s race on shared memory at %#x with %s: no barrier is between", kind,
                 SHARED_BASE + 4 * i, who(writer, name, sizeof name));
}

/* When the words of shared memory were last read: by a warp, or by its products. */
static uint32_t *clocks_of(const struct block *b, uint32_t reader) {
    uint32_t row = reader < PRODUCTS ? reader : b->warps_count + reader - PRODUCTS;
    return b->read_clocks + (size_t)row * ((b->shared_bytes + 3) / 4);
}

static void read_as(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address, uint32_t bytes,
                    bool atomic, uint32_t reader, uint32_t clock) {
    struct block *b = w->block;
    uint32_t offset = address - SHARED_BASE, *clocks = clocks_of(b, reader);
    EACH_WORD(i, mask) {
        struct word *word = &b->words[i];
        if (word->pending & mask)
            ptx_fail(w, in, lane,
                     "reads shared memory at %#x, which an asynchronous copy has not reached: it was not "
                     "waited for",
                     SHARED_BASE + 4 * i);
        if (mask & ~(uint32_t)word->written)
            ptx_fail(w, in, lane, "reads shared memory at %#x, which was never written", SHARED_BASE + 4 * i);
        check_writer(w, in, lane, word, i, mask, atomic, "read-after-write");
        if (atomic) continue;
        uint32_t before = word->readers >> reader & 1 ? clocks[i] : 0;
        clocks[i] = clock << 4 | mask | (before >> 4 == clock ? before & 15 : 0);
        word->readers |= UINT64_C(1) << reader;
    }
}
void ptx_shared_read(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address, uint32_t bytes,
                     bool atomic) {
    read_as(w, in, lane, address, bytes, atomic, w->number, w->known.of[w->number]);
}
void ptx_shared_read_by_product(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address,
                                uint32_t bytes, uint32_t clock) {
    read_as(w, in, lane, address, bytes, false, PRODUCTS + w->number, clock);
}

static void check_readers(struct warp *w, const struct insn *in, uint32_t lane, uint32_t i, uint32_t mask) {
    struct block *b = w->block;
    char name[32];
    for (uint64_t rest = b->words[i].readers & ~(UINT64_C(1) << w->number); rest; rest &= rest - 1) {
        uint32_t reader = (uint32_t)__builtin_ctzll(rest), clock = clocks_of(b, reader)[i];
        if ((clock & mask) && clock >> 4 > w->known.of[reader])
            ptx_fail(w, in, lane,
                     "write-after-read race on shared memory at %#x with %s: no barrier is between",
                     SHARED_BASE + 4 * i, who(reader, name, sizeof name));
    }
}

static void check_write(struct warp *w, const struct insn *in, uint32_t lane, uint32_t i, uint32_t mask,
                        bool atomic) {
    struct word *word = &w->block->words[i];
    if (word->pending & mask)
        ptx_fail(w, in, lane,
                 "writes shared memory at %#x, which an asynchronous copy on its way will write too",
                 SHARED_BASE + 4 * i);
    check_writer(w, in, lane, word, i, mask, atomic, "write-after-write");
    check_readers(w, in, lane, i, mask);
}

static void note_write(struct word *word, uint32_t writer, uint32_t clock, uint32_t mask, bool atomic) {
    bool same = word->writer == writer + 1 && word->write_clock == clock;
    word->write_mask = (uint8_t)(mask | (same ? word->write_mask : 0));
    word->writer = (uint8_t)(writer + 1);
    word->write_clock = clock;
    word->written |= (uint8_t)mask;
    word->atomic = atomic;
    if (mask == 15) word->readers = 0;
}

void ptx_shared_write(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address, uint32_t bytes,
                      bool atomic) {
    uint32_t offset = address - SHARED_BASE;
    EACH_WORD(i, mask) {
        check_write(w, in, lane, i, mask, atomic);
        note_write(&w->block->words[i], w->number, w->known.of[w->number], mask, atomic);
    }
}

/* A copy was issued: until it arrives, nobody may look. */
void ptx_shared_pending(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address,
                        uint32_t bytes) {
    uint32_t offset = address - SHARED_BASE;
    EACH_WORD(i, mask) {
        check_write(w, in, lane, i, mask, false);
        w->block->words[i].pending |= (uint8_t)mask;
    }
    memset(w->block->shared + offset, 0xff, bytes);
}
void ptx_shared_arrive(struct warp *w, uint32_t writer, uint32_t clock, uint32_t address, const void *data,
                       uint32_t bytes) {
    uint32_t offset = address - SHARED_BASE;
    memcpy(w->block->shared + offset, data, bytes);
    EACH_WORD(i, mask) {
        w->block->words[i].pending &= (uint8_t)~mask;
        note_write(&w->block->words[i], writer, clock, mask, false);
    }
}

/* Ordinary stores are seen by the copy engine and by wgmma only after their writer's fence.proxy.async. */
void ptx_shared_fenced(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address,
                       uint32_t bytes) {
    uint32_t offset = address - SHARED_BASE;
    EACH_WORD(i, mask) {
        const struct word *word = &w->block->words[i];
        uint32_t writer = word->writer - 1u;
        if (!word->writer || writer == ENGINE || !mask || word->write_clock <= w->block->warps[writer].fenced)
            continue;
        ptx_fail(w, in, lane, "shared memory at %#x was stored by warp %u, without a fence.proxy.async since",
                 SHARED_BASE + 4 * i, writer);
    }
}

/* Passes that lanes [begin, end) need beyond the first: words of one bank, each word once. */
static uint32_t passes(uint32_t mask, uint32_t begin, uint32_t end, const uint32_t *addresses,
                       uint32_t words) {
    uint32_t seen[32][32], count[32] = {0}, most = 1;
    for (uint32_t l = begin; l < end; l++)
        for (uint32_t k = 0; k < words && (mask >> l & 1); k++) {
            uint32_t word = addresses[l] / 4 + k, bank = word % 32, i = 0;
            while (i < count[bank] && seen[bank][i] != word) i++;
            if (i == count[bank] && i < 32) seen[bank][count[bank]++] = word;
            if (count[bank] > most) most = count[bank];
        }
    return most - 1;
}

/* 8 and 16 bytes a lane go in phases of 16 and 8 lanes. */
void ptx_conflicts(struct warp *w, const struct insn *in, uint32_t mask, const uint32_t *addresses,
                   uint32_t bytes) {
    uint32_t lanes = bytes > 8 ? 8 : bytes > 4 ? 16 : 32, extra = 0;
    for (uint32_t begin = 0; begin < LANES; begin += lanes) {
        uint32_t part = lanes == 32 ? mask : mask & ((1u << lanes) - 1) << begin;
        if (!part) continue;
        w->block->stats.shared_accesses++;
        extra += passes(part, begin, begin + lanes, addresses, bytes > 4 ? bytes / 4 : 1);
    }
    w->block->stats.bank_conflicts += extra;
    if (w->block->lines && extra) w->block->lines[in - w->block->kernel->code] += extra;
}
