/* The kernel's page map has eight bytes a page: bit 63, it is in memory; bit 62, it is swapped out; neither:
 * it was never touched (Documentation/admin-guide/mm/pagemap.rst of Linux). mincore would be simpler, and
 * wrong: it does not tell pages that are swapped out from those that never were. Reading the memory itself to
 * find zeros would be right, and is what is left without the page map, but gives each page an entry in the
 * page tables. */
#include "runtime/touched.h"
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static bool read_all(int fd, void *to, size_t bytes, off_t at) {
    return pread(fd, to, bytes, at) == (ssize_t)bytes;
}

/* Notes what the map says of the system's page number `page`, counted from base. */
static void note(uint64_t entry, size_t page, size_t each, size_t pages, bool *touched) {
    if (entry >> 62) return;
    for (size_t i = page * each; i < (page + 1) * each && i < pages; i++) touched[i] = false;
}

void touched_pages(const char *pagemap, const void *base, size_t pages, bool *touched) {
    size_t system_page = (size_t)sysconf(_SC_PAGESIZE), each = system_page / SAVED_PAGE;
    memset(touched, true, pages * sizeof *touched);
    int fd = each ? open(pagemap, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    size_t count = (pages + each - 1) / each, first = (uintptr_t)base / system_page;
    uint64_t entries[512];
    for (size_t at = 0; at < count; at += 512) {
        size_t some = count - at < 512 ? count - at : 512;
        if (!read_all(fd, entries, some * sizeof *entries, (off_t)((first + at) * sizeof *entries))) break;
        for (size_t i = 0; i < some; i++) note(entries[i], at + i, each, pages, touched);
    }
    close(fd);
}
