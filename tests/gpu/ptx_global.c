/* Device memory: a table of allocations, whose number is in the address. A pointer one past an allocation is
 * is still in its slot, and no address can be read by the host: the upper bits are those of no virtual
 * address. */
#include "tests/gpu/ptx.h"
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1 << 14, OFFSET_BITS = 34 };
#define TAG UINT64_C(0x00dd000000000000)
#define FIRST                                                                                                \
    (UINT64_C(1) << 33) /* offset of an allocation in its slot: what is a little before is in it too */
static struct {
    unsigned char *memory;
    uint64_t bytes;
} table[SLOTS];
static uint32_t last; /* numbers come back as late as possible, so that a freed address stays bad */

uint64_t ptx_allocate(uint64_t bytes) {
    if (!bytes || bytes > FIRST) return 0;
    for (uint32_t tried = 1; tried < SLOTS; tried++) {
        last = last + 1 < SLOTS ? last + 1 : 1;
        if (table[last].memory) continue;
        unsigned char *memory = aligned_alloc(256, (bytes + 255) & ~UINT64_C(255));
        if (!memory) return 0;
        memset(memory, 0xff, bytes);
        table[last].memory = memory;
        table[last].bytes = bytes;
        return TAG | (uint64_t)last << OFFSET_BITS | FIRST;
    }
    return 0;
}

static uint64_t offset_of(uint64_t address) { return (address & ((UINT64_C(1) << OFFSET_BITS) - 1)) - FIRST; }
static uint32_t slot(uint64_t address) {
    return (address & UINT64_C(0xffff000000000000)) == TAG ? (uint32_t)(address >> OFFSET_BITS) & (SLOTS - 1)
                                                           : 0;
}
bool ptx_release(uint64_t address) {
    uint32_t s = slot(address);
    if (!s || !table[s].memory || offset_of(address)) return false;
    free(table[s].memory);
    table[s].memory = NULL;
    return true;
}
void *ptx_memory(uint64_t address, uint64_t bytes) {
    uint32_t s = slot(address);
    uint64_t offset = offset_of(address);
    if (!s || !table[s].memory || offset > table[s].bytes || bytes > table[s].bytes - offset) return NULL;
    return table[s].memory + offset;
}
bool ptx_allocation(uint64_t address, uint64_t *base, uint64_t *bytes) {
    uint32_t s = slot(address);
    if (!s || !table[s].memory) return false;
    *base = TAG | (uint64_t)s << OFFSET_BITS | FIRST;
    *bytes = table[s].bytes;
    return true;
}
