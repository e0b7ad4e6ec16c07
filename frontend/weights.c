/* Opens weight files of any kind, and finds tensors in them. */
#include "frontend/weights.h"
#include "frontend/weights_reader.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* How a file's first bytes tell what it is. A safetensors file begins with its header's length, which for any
 * sane header leaves the upper half of eight bytes zero, and then the header, a JSON object. */
static bool is_gguf(const uint8_t *bytes, size_t size) { return size >= 4 && !memcmp(bytes, "GGUF", 4); }
static bool is_npy(const uint8_t *bytes, size_t size) { return size >= 6 && !memcmp(bytes, "\x93NUMPY", 6); }
static bool is_npz(const uint8_t *bytes, size_t size) {
    return size >= 4 && (!memcmp(bytes, "PK\3\4", 4) || !memcmp(bytes, "PK\5\6", 4));
}
static bool is_index(const uint8_t *bytes, size_t size) {
    size_t i = 0;
    while (i < size && memchr(" \t\r\n", bytes[i], 4)) i++;
    return i < size && bytes[i] == '{';
}
static bool is_safetensors(const uint8_t *bytes, size_t size) {
    return (size >= 9 && bytes[8] == '{') || (size >= 8 && !load_u32(bytes + 4));
}

static const struct {
    bool (*is)(const uint8_t *bytes, size_t size);
    bool (*read)(struct reader *r);
    const char *kind;
} kinds[] = {
    {is_gguf, read_gguf, "GGUF"},
    {is_npy, read_npy, "npy"},
    {is_npz, read_npz, "npz"},
    {is_index, read_safetensors_index, "safetensors index"},
    {is_safetensors, read_safetensors, "safetensors"},
};

static bool read_any(struct reader *r) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!kinds[i].is(r->bytes, r->size)) continue;
        r->weights->kind = kinds[i].kind;
        return kinds[i].read(r) && reader_index(r);
    }
    return reader_fail(r, 0, "is no weight file: it begins as none of GGUF, safetensors, npy and npz does");
}

static struct weights *weights_new(struct arena *a, const char *path) {
    struct weights *w = arena_new_object(a, struct weights);
    w->path = arena_strdup(a, path);
    return w;
}

struct weights *weights_try(struct arena *a, const char *path, char **error, bool *io) {
    struct weights *w = weights_new(a, path);
    struct reader r = {.arena = a, .path = w->path, .weights = w};
    if (reader_map(&r) && read_any(&r)) return w;
    unmap_all(w);
    *error = r.error;
    *io = r.io;
    return NULL;
}

struct weights *weights_open(struct arena *a, const char *path, char **error) {
    bool io;
    return weights_try(a, path, error, &io);
}

struct weights *weights_read(struct arena *a, const char *path, const void *bytes, size_t size,
                             char **error) {
    struct weights *w = weights_new(a, path);
    struct reader r = {
        .arena = a, .path = w->path, .weights = w, .bytes = bytes, .size = size, .in_memory = true};
    if (size ? read_any(&r) : reader_fail(&r, 0, "the file is empty")) return w;
    *error = r.error;
    return NULL;
}

void weights_close(struct weights *w) {
    if (w) unmap_all(w);
}

static int compare_name(const void *name, const void *tensor) {
    return strcmp(name, (*(const struct weight_tensor *const *)tensor)->name);
}

const struct weight_tensor *weights_find(const struct weights *w, const char *name) {
    if (!w->count) return NULL;
    struct weight_tensor **found =
        bsearch(name, w->by_name, (size_t)w->count, sizeof *w->by_name, compare_name);
    return found ? *found : NULL;
}

enum { MOST_SUGGESTIONS = 10000 }; /* names compared: a file with more must not take seconds */

const char *weights_suggest(const struct weights *w, const char *name) {
    if (!w->count) return NULL;
    int count = w->count < MOST_SUGGESTIONS ? w->count : MOST_SUGGESTIONS;
    const char **names = calloc((size_t)count, sizeof *names);
    if (!names) return NULL;
    for (int i = 0; i < count; i++) names[i] = w->by_name[i]->name;
    const char *nearest = diag_nearest(name, names, count);
    free(names);
    return nearest;
}

const struct metadata *metadata_find(const struct weights *w, const char *key) {
    for (int i = 0; i < w->metadata_count; i++)
        if (!strcmp(w->metadata[i].key, key)) return &w->metadata[i];
    return NULL;
}

static uint64_t load_number(const struct metadata *m, int64_t i) {
    uint64_t bits = 0;
    memcpy(&bits, m->numbers + i * m->bytes, (size_t)m->bytes); /* little-endian, as format.c demands */
    return bits;
}

static bool has_number(const struct metadata *m, int64_t i) {
    return m->numbers && i >= 0 && i < m->count && m->kind <= METADATA_BOOL;
}

int64_t metadata_integer(const struct metadata *m, int64_t i) {
    if (!has_number(m, i)) return 0;
    if (m->kind == METADATA_FLOAT) {
        double value = metadata_float(m, i);
        if (!(value > -0x1p63)) return value == value ? INT64_MIN : 0;
        return value < 0x1p63 ? (int64_t)value : INT64_MAX;
    }
    uint64_t bits = load_number(m, i);
    if (m->kind == METADATA_BOOL) return bits != 0;
    if (!m->is_signed) return bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
    int unused = 64 - 8 * m->bytes;
    return (int64_t)(bits << unused) >> unused;
}

double metadata_float(const struct metadata *m, int64_t i) {
    double value = 0;
    if (!has_number(m, i)) return 0;
    if (m->kind == METADATA_FLOAT)
        format_decode(m->bytes == 4 ? FORMAT_f32 : FORMAT_f64, m->numbers, i, 1, &value);
    else
        value = m->is_signed ? (double)metadata_integer(m, i) : (double)load_number(m, i);
    return value;
}

struct text metadata_string(const struct metadata *m, int64_t i) {
    if (!m->strings || i < 0 || i >= m->count) return (struct text){"", 0};
    return m->strings[i];
}
