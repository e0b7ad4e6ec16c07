/* Guarded memory by mmap and mprotect. */
#include "tests/numeric/guarded.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page(void) { return (size_t)sysconf(_SC_PAGESIZE); }
static size_t whole_pages(size_t bytes) { return (bytes + page() - 1) / page() * page(); }

void *guarded_new(size_t bytes, size_t align, enum guard_side side) {
    size_t room = whole_pages(bytes);
    char *map = mmap(NULL, room + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || (room && mprotect(map + page(), room, PROT_READ | PROT_WRITE))) {
        perror("guarded memory");
        exit(1);
    }
    char *memory = map + page();
    if (side == GUARD_AFTER) memory += (room - bytes) / align * align;
    if (bytes) memset(memory, 0xff, bytes);
    return memory;
}

void guarded_free(void *memory, size_t bytes, enum guard_side side) {
    (void)side;
    uintptr_t first = (uintptr_t)memory / page() * page();
    munmap((char *)first - page(), whole_pages(bytes) + 2 * page());
}
