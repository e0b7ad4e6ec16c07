/* A cursor over a weight file's bytes that cannot leave them, and the checks every tensor passes. */
#include "frontend/weights_reader.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void reader_record(struct reader *r, uint64_t offset, const char *format, ...) {
    if (r->error) return;
    va_list args;
    va_start(args, format);
    const char *message = arena_vprintf(r->arena, format, args);
    va_end(args);
    uint64_t place = r->inflated ? r->base : r->base + offset;
    r->error = arena_printf(r->arena, "%s: %s (at byte %" PRIu64 ")", r->path, message, place);
}

bool reader_fail_io(struct reader *r, const char *doing) {
    if (r->error) return false;
    r->error = arena_printf(r->arena, "%s: cannot %s: %s", r->path, doing, strerror(errno));
    r->io = true;
    return false;
}

const uint8_t *reader_take(struct reader *r, uint64_t count, const char *what) {
    if (count > r->size - r->at) {
        reader_record(r, r->at, "the file ends inside %s: %" PRIu64 " bytes wanted, %zu left", what, count,
                      r->size - r->at);
        return NULL;
    }
    const uint8_t *taken = r->bytes + r->at;
    r->at += count;
    return taken;
}

uint32_t load_u16(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8; }
uint32_t load_u32(const uint8_t *at) { return load_u16(at) | load_u16(at + 2) << 16; }

bool reader_u16(struct reader *r, uint16_t *value, const char *what) {
    const uint8_t *at = reader_take(r, 2, what);
    if (at) *value = (uint16_t)load_u16(at);
    return at;
}

bool reader_u32(struct reader *r, uint32_t *value, const char *what) {
    const uint8_t *at = reader_take(r, 4, what);
    if (at) *value = load_u32(at);
    return at;
}

bool reader_u64(struct reader *r, uint64_t *value, const char *what) {
    const uint8_t *at = reader_take(r, 8, what);
    if (at) *value = load_u32(at) | (uint64_t)load_u32(at + 4) << 32;
    return at;
}

/* Length of the UTF-8 character at `at`, or 0 if it is none (RFC 3629: no overlong forms, no surrogates). */
static int utf8_length(const uint8_t *at, uint64_t left) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (at[0] < 0x80) return 1;
    int length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc0 || at[0] > 0xf7 || left < (uint64_t)length) return 0;
    uint32_t code = at[0] & (0x7fu >> length);
    for (int i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (at[i] & 0x3f);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0;
    return length;
}

const char *reader_name(struct reader *r, const uint8_t *bytes, uint64_t length, uint64_t offset,
                        const char *what) {
    if (!length) return reader_record(r, offset, "%s is empty", what), NULL;
    if (length > UINT16_MAX)
        return reader_record(r, offset, "%s is %" PRIu64 " bytes long", what, length), NULL;
    for (uint64_t i = 0; i < length;) {
        int character = utf8_length(bytes + i, length - i);
        if (!character) return reader_record(r, offset + i, "%s is not UTF-8", what), NULL;
        if (bytes[i] < 0x20 || bytes[i] == 0x7f)
            return reader_record(r, offset + i, "%s has a control character, %d", what, bytes[i]), NULL;
        i += (uint64_t)character;
    }
    return arena_strndup(r->arena, (const char *)bytes, length);
}

/* Fills in elements and bytes. A dim of 0 counts as 1 for overflow, so that strides cannot overflow either.
 */
static bool measure(struct reader *r, struct weight_tensor *t, uint64_t offset) {
    const struct format_info *info = format_info(t->format);
    int64_t product = 1, bytes;
    bool empty = false;
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] < 0)
            return reader_fail(r, offset, "tensor '%s': dimension %d is %" PRId64, t->name, i, t->dims[i]);
        empty |= !t->dims[i];
        if (__builtin_mul_overflow(product, t->dims[i] ? t->dims[i] : 1, &product))
            return reader_fail(r, offset, "tensor '%s': the product of its dimensions overflows", t->name);
    }
    int64_t innermost = t->rank ? t->dims[t->rank - 1] : 1;
    if (innermost % info->elements)
        return reader_fail(r, offset,
                           "tensor '%s': rows of %" PRId64 " are no whole blocks of %s's %d elements",
                           t->name, innermost, info->name, info->elements);
    t->elements = empty ? 0 : product;
    if (!format_bytes(t->format, empty ? product - product % info->elements : product, &bytes))
        return reader_fail(r, offset, "tensor '%s': its size in bytes overflows", t->name);
    t->bytes = empty ? 0 : (size_t)bytes;
    return true;
}

bool reader_tensor(struct reader *r, const struct weight_tensor *t, uint64_t start, uint64_t given,
                   uint64_t offset) {
    struct weights *w = r->weights;
    struct weight_tensor added = *t;
    if (!measure(r, &added, offset)) return false;
    if (given != UINT64_MAX && given != added.bytes)
        return reader_fail(r, offset, "tensor '%s': its shape takes %zu bytes of %s, but it has %" PRIu64,
                           t->name, added.bytes, format_name(t->format), given);
    if (start > r->size || added.bytes > r->size - start)
        return reader_fail(r, offset,
                           "tensor '%s': its %zu bytes of data from byte %" PRIu64
                           " end past the end of the file, which has %zu",
                           t->name, added.bytes, start, r->size);
    if (w->count == INT_MAX / 2) return reader_fail(r, offset, "too many tensors");
    added.data = r->bytes + start;
    added.offset = r->inflated ? r->base : r->base + start;
    added.file = r->path;
    arena_push(r->arena, w->tensors, w->count, r->tensors_capacity, added);
    return true;
}

struct metadata *reader_metadata(struct reader *r, const char *key) {
    struct weights *w = r->weights;
    struct metadata m = {.key = key, .count = 1};
    arena_push(r->arena, w->metadata, w->metadata_count, r->metadata_capacity, m);
    return &w->metadata[w->metadata_count - 1];
}

static int compare_places(const void *a, const void *b) {
    const struct weight_tensor *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return strcmp(x->name, y->name);
}

bool reader_sort(struct reader *r) {
    struct weights *w = r->weights;
    if (!w->count) return true;
    qsort(w->tensors, (size_t)w->count, sizeof *w->tensors, compare_places);
    const struct weight_tensor *last = NULL; /* that has data */
    for (const struct weight_tensor *t = w->tensors; t < w->tensors + w->count; t++) {
        if (!t->bytes) continue;
        if (last && t->offset < last->offset + last->bytes)
            return reader_fail(r, t->offset, "tensor '%s': its data overlaps that of '%s'", t->name,
                               last->name);
        last = t;
    }
    return true;
}

static int compare_names(const void *a, const void *b) {
    const struct weight_tensor *const *x = a, *const *y = b;
    int order = strcmp((*x)->name, (*y)->name);
    return order ? order : ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

bool reader_index(struct reader *r) {
    struct weights *w = r->weights;
    if (!w->count) return true;
    w->by_name = arena_new_array(r->arena, struct weight_tensor *, (size_t)w->count);
    for (int i = 0; i < w->count; i++) w->by_name[i] = &w->tensors[i];
    qsort(w->by_name, (size_t)w->count, sizeof *w->by_name, compare_names);
    for (int i = 1; i < w->count; i++)
        if (!strcmp(w->by_name[i - 1]->name, w->by_name[i]->name))
            return reader_fail(r, w->by_name[i]->offset, "two tensors have the name '%s'",
                               w->by_name[i]->name);
    return true;
}

/* Opens without waiting, so that a pipe is refused rather than waited for. */
bool reader_map(struct reader *r) {
    struct stat status;
    int file = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return reader_fail_io(r, "open");
    void *data = MAP_FAILED;
    if (fstat(file, &status))
        reader_fail_io(r, "read");
    else if (!S_ISREG(status.st_mode))
        errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL, reader_fail_io(r, "read");
    else if (!status.st_size)
        reader_record(r, 0, "the file is empty");
    else if ((data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0)) == MAP_FAILED)
        reader_fail_io(r, "map");
    close(file);
    if (data == MAP_FAILED) return false;
    struct mapping *m = arena_new_object(r->arena, struct mapping);
    *m = (struct mapping){data, (size_t)status.st_size, r->weights->mappings};
    r->weights->mappings = m;
    r->bytes = data;
    r->size = (size_t)status.st_size;
    return true;
}

void unmap_all(struct weights *w) {
    for (struct mapping *m = w->mappings; m; m = m->next) munmap(m->data, m->size);
    w->mappings = NULL;
}
