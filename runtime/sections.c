/* A rank's image of the weights, put together from pieces of one file.
 *
 *     file's data:  │ w piece 0 │ w piece 1 │ norm │      section w: file_offset 0, stride[tensor] 1 piece
 *     rank 1:       │ w piece 1 │ norm │                  section norm: no stride
 *
 * Pieces are mapped where pages allow, else read; what the rank does not have can be neither read nor
 * written. */
#include "runtime/sections.h"
#include "runtime/crc32c.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Whether ranks with these coordinates have it; *offset: in the file's data. */
static bool own(const struct mdl_descriptor *d, const struct mdl_section *s, const int64_t *coordinates,
                int64_t *offset) {
    *offset = s->file_offset;
    for (uint32_t a = 0; a < d->axes_count; a++) {
        if (s->only[a] && !(s->only[a] >> coordinates[a] & 1)) return false;
        *offset += coordinates[a] * s->stride[a];
    }
    return true;
}

static bool aligned(int64_t a, int64_t b) {
    long page = sysconf(_SC_PAGESIZE);
    return a % page == 0 && b % page == 0;
}

/* One piece; false: errno says why not. */
static bool map_piece(char *to, int64_t bytes, int fd, int64_t file_offset, const char *data) {
    if (fd >= 0 && aligned((intptr_t)to, file_offset))
        return mmap(to, (size_t)bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, file_offset) != MAP_FAILED;
    memcpy(to, data, (size_t)bytes);
    return true;
}

/* Anonymous pages take memory when they are written. */
static char *reserve(int64_t bytes, int protection) {
    void *p = mmap(NULL, (size_t)bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Where pages are larger than what sections are multiples of, or the data begin inside of one, all is copied.
 */
static bool can_map(const struct mdl_descriptor *d, int fd, int64_t data_offset) {
    if (fd < 0 || !aligned(data_offset, 0)) return false;
    for (uint32_t i = 0; i < d->sections_count; i++) {
        const struct mdl_section *s = &d->sections[i];
        if (!aligned(s->image_offset, s->file_offset)) return false;
        for (uint32_t a = 0; a < d->axes_count; a++)
            if (!aligned(s->stride[a], 0)) return false;
    }
    return true;
}

static int fill(struct weights *w, const struct mdl_descriptor *d, const int64_t *coordinates, int fd,
                int64_t data_offset, char *error, size_t size) {
    const struct mdl_weights_header *h = w->map;
    for (uint32_t i = 0; i < d->sections_count; i++) {
        const struct mdl_section *s = &d->sections[i];
        int64_t at;
        if (!own(d, s, coordinates, &at)) continue;
        bool inside = at >= 0 && s->bytes >= 0 && s->image_offset >= 0 &&
                      s->image_offset + s->bytes <= d->weights_bytes &&
                      (!h || (uint64_t)at + (uint64_t)s->bytes <= h->data_bytes);
        if (!inside) {
            snprintf(error, size, "%s: section %u of the weights is outside of the file's data", d->name, i);
            return MDL_MISMATCH;
        }
        if (!map_piece(w->image + s->image_offset, s->bytes, fd, data_offset + at, w->data + at)) {
            snprintf(error, size, "%s: section %u of the weights: %s", d->name, i, strerror(errno));
            return errno == ENOMEM ? MDL_NO_MEMORY : MDL_IO;
        }
    }
    return MDL_OK;
}

/* Nobody reads the file's data at their old place any more: their pages are this process's no longer. */
static void drop_data(const struct weights *w) {
    const struct mdl_weights_header *h = w->map;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), from = (h->data_offset + page - 1) / page * page,
           to = (h->data_offset + h->data_bytes) / page * page;
    if (from < to)
        mmap((char *)w->map + from, to - from, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

int sections_map(struct weights *w, const struct mdl_descriptor *d, const int64_t *coordinates, int fd,
                 char *error, size_t size) {
    const struct mdl_weights_header *h = w->map;
    int64_t data_offset = h ? (int64_t)h->data_offset : 0;
    bool map = can_map(d, fd, data_offset);
    w->image = reserve(d->weights_bytes, map ? PROT_NONE : PROT_READ | PROT_WRITE);
    if (!w->image) {
        snprintf(error, size, "%s: no memory for an image of the weights: %s", d->name, strerror(errno));
        return MDL_NO_MEMORY;
    }
    w->image_bytes = (size_t)d->weights_bytes;
    int status = fill(w, d, coordinates, map ? fd : -1, data_offset, error, size);
    if (status) return status;
    if (!map) mprotect(w->image, w->image_bytes, PROT_READ);
    if (h) drop_data(w);
    w->data = w->image;
    return MDL_OK;
}

bool sections_have(const struct mdl_descriptor *d, const int64_t *coordinates, int64_t offset,
                   int64_t bytes) {
    int64_t at;
    if (!d->sections_count) return true;
    for (uint32_t i = 0; i < d->sections_count && bytes > 0; i++) {
        const struct mdl_section *s = &d->sections[i];
        bool here = offset >= s->image_offset && offset < s->image_offset + s->bytes;
        if (!here || !own(d, s, coordinates, &at)) continue;
        int64_t part = s->image_offset + s->bytes - offset;
        offset += part;
        bytes -= part;
        i = (uint32_t)-1; /* what follows may be in any section */
    }
    return bytes <= 0;
}

/* Where byte `offset` of the file's data is in the image, and how many bytes follow it there; NULL: not this
 * rank's. */
static const char *find(const struct weights *w, const struct mdl_descriptor *d, const int64_t *coordinates,
                        uint64_t offset, uint64_t *bytes) {
    int64_t at, wanted = (int64_t)offset;
    for (uint32_t i = 0; i < d->sections_count; i++) {
        const struct mdl_section *s = &d->sections[i];
        if (!own(d, s, coordinates, &at) || wanted < at || wanted >= at + s->bytes) continue;
        *bytes = (uint64_t)(at + s->bytes - wanted);
        return w->data + s->image_offset + (wanted - at);
    }
    return NULL;
}

/* True, too, where some of it is not this rank's. */
static bool is_sound(const struct weights *w, const struct mdl_descriptor *d, const int64_t *coordinates,
                     const struct mdl_weights_entry *e) {
    uint32_t sum = 0;
    for (uint64_t done = 0, bytes = 0; done < e->bytes; done += bytes) {
        const char *data = find(w, d, coordinates, e->offset + done, &bytes);
        if (!data) return true;
        if (bytes > e->bytes - done) bytes = e->bytes - done;
        sum = crc32c(sum, data, bytes);
    }
    return sum == e->sum;
}

int sections_verify(const struct weights *w, const struct mdl_descriptor *d, const int64_t *coordinates,
                    char *error, size_t size) {
    const struct mdl_weights_header *h = w->map;
    const struct mdl_weights_entry *entries = h ? (const void *)(h + 1) : NULL;
    for (uint32_t i = 0; h && i < h->tensors; i++) {
        if (is_sound(w, d, coordinates, &entries[i])) continue;
        snprintf(error, size, "tensor %s is damaged: wrong checksum",
                 (const char *)w->map + h->names_offset + entries[i].name);
        return MDL_MISMATCH;
    }
    if (size) error[0] = 0;
    return MDL_OK;
}
