/* Memory of emulated thread blocks: guards around it, accesses by each lane's own address, copies that come
 * at their wait. */
#include "runtime/emulate_block.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PATTERN = 0xa5, POISON = 0xff, CHUNK = 16 };

/* ---- regions ---- */

static size_t page(void) { return (size_t)sysconf(_SC_PAGESIZE); }

void region_release(struct region *r) {
    if (r->map) munmap(r->map, r->pages_bytes + 2 * page());
    *r = (struct region){NULL, 0, NULL, 0};
}

static void map(struct region *r, size_t bytes) {
    size_t room = (bytes + page() - 1) / page() * page();
    char *m = mmap(NULL, room + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED || (room && mprotect(m + page(), room, PROT_READ | PROT_WRITE)))
        emulate_fail(NULL, "out of memory");
    r->map = m;
    r->pages_bytes = room;
}

/* Between the page before and the start. */
static size_t slack(const struct region *r) { return (size_t)(r->start - r->map) - page(); }

void region_fit(struct region *r, size_t bytes) {
    if (r->map && r->bytes == bytes) return;
    if (!r->map || r->pages_bytes < bytes) {
        region_release(r);
        map(r, bytes);
    }
    r->bytes = bytes;
    r->start = r->map + page() + r->pages_bytes - bytes;
    memset(r->map + page(), PATTERN, slack(r));
}

bool region_intact(const struct region *r) {
    const unsigned char *before = (const unsigned char *)r->map + page();
    for (size_t i = 0; i < slack(r); i++)
        if (before[i] != PATTERN) return false;
    return true;
}

bool region_around(const struct region *r, uintptr_t at, ptrdiff_t *by) {
    uintptr_t map = (uintptr_t)r->map, start = (uintptr_t)r->start, end = start + r->bytes;
    *by = at < start ? -(ptrdiff_t)(start - at) : (ptrdiff_t)(at - end);
    return r->map && at >= map && at < end + page();
}

/* ---- copies ---- */

static struct chunk *chunk_at(const struct coroutine *c, const char *p) {
    const struct region *shared = &c->block->shared;
    uintptr_t at = (uintptr_t)p - (uintptr_t)shared->start;
    return at < shared->bytes ? &c->block->chunks[at / CHUNK] : NULL;
}

void copies_begin(struct block *b) {
    size_t count = b->shared.bytes / CHUNK;
    if (count > b->chunks_room)
        b->chunks = emulate_allocate(b->chunks, (b->chunks_room = count) * sizeof *b->chunks);
    if (count) memset(b->chunks, 0, count * sizeof *b->chunks);
    b->interval = 1;
}

void copies_forget(struct coroutine *c) { c->copies_count = c->copies_committed = 0; }

void chunk_begin(const struct coroutine *c, char *to, const char *from) {
    struct chunk *chunk = chunk_at(c, to);
    if (!chunk || ((uintptr_t)to | (uintptr_t)from) % CHUNK)
        emulate_fail(c, "a copy from %p to %p: %s", (const void *)from, (void *)to,
                     chunk ? "not aligned to 16 bytes" : "not in shared memory");
    if (chunk->under_way) emulate_fail(c, "a copy to where a copy is under way");
    if (from) (void)*(const volatile char *)from, (void)*(const volatile char *)(from + CHUNK - 1);
    chunk->under_way = true;
    memset(to, POISON, CHUNK);
}

void chunk_deliver(const struct coroutine *c, char *to, const char *from, uint32_t interval) {
    for (int i = 0; i < CHUNK; i++)
        if ((unsigned char)to[i] != POISON)
            emulate_fail(c, "shared memory at %td was written while a copy to it was under way",
                         to + i - c->block->shared.start);
    *chunk_at(c, to) = (struct chunk){false, (int16_t)c->warp.warp, interval};
    if (from)
        memcpy(to, from, CHUNK);
    else
        memset(to, 0, CHUNK);
}

static void begin_copy(struct coroutine *c, char *to, const char *from) {
    chunk_begin(c, to, from);
    c->copies = emulate_grow(c->copies, c->copies_count, &c->copies_room, sizeof *c->copies);
    c->copies[c->copies_count++] = (struct copy){to, from, c->copies_committed};
}

void mdl_emulate_copy(struct mdl_warp *w, char *const to[EMULATED_LANES],
                      const char *const from[EMULATED_LANES], const uint8_t exists[EMULATED_LANES]) {
    for (int l = 0; l < EMULATED_LANES; l++)
        begin_copy((struct coroutine *)w, to[l], exists[l] ? from[l] : NULL);
}

void mdl_emulate_copy_commit(struct mdl_warp *w) { ((struct coroutine *)w)->copies_committed++; }

void mdl_emulate_copy_wait(struct mdl_warp *w, int32_t pending) {
    struct coroutine *c = (struct coroutine *)w;
    int64_t there = 0;
    for (; there < c->copies_count && c->copies[there].group < c->copies_committed - pending; there++)
        chunk_deliver(c, c->copies[there].to, c->copies[there].from, c->block->interval);
    c->copies_count -= there;
    if (there) memmove(c->copies, c->copies + there, (size_t)c->copies_count * sizeof *c->copies);
}

/* ---- accesses by lanes ---- */

void memory_check(int64_t lane, const char *p, int64_t bytes, const char *verb) {
    const struct coroutine *c = emulate_current();
    if (!c) return; /* a guard: no warp's */
    if ((uintptr_t)p % (uintptr_t)bytes)
        emulate_fail(c, "lane %" PRId64 " %s %" PRId64 " bytes at %p: not aligned", lane, verb, bytes,
                     (const void *)p);
    const struct chunk *chunk = chunk_at(c, p);
    if (!chunk) return;
    ptrdiff_t at = p - c->block->shared.start;
    if (chunk->under_way)
        emulate_fail(c, "lane %" PRId64 " %s shared memory at %td while a copy to it is under way", lane,
                     verb, at);
    if (chunk->interval == c->block->interval && chunk->warp != c->warp.warp)
        emulate_fail(c,
                     "lane %" PRId64
                     " %s shared memory at %td, which warp %d's copy brought: no barrier is between",
                     lane, verb, at, chunk->warp);
}

void mdl_emulate_load(const char *const *from, const uint8_t *mask, void *to, int64_t bytes, int64_t lanes) {
    for (int64_t l = 0; l < lanes; l++) {
        char *own = (char *)to + l * bytes;
        if (mask[l]) {
            memory_check(l, from[l], bytes, "loads");
            memcpy(own, from[l], (size_t)bytes);
        } else
            memset(own, 0, (size_t)bytes);
    }
}

void mdl_emulate_store(char *const *to, const uint8_t *mask, const void *from, int64_t bytes, int64_t lanes) {
    for (int64_t l = 0; l < lanes; l++) {
        if (!mask[l]) continue;
        memory_check(l, to[l], bytes, "stores");
        memcpy(to[l], (const char *)from + l * bytes, (size_t)bytes);
    }
}
