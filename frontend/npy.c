/* npy files: one array each.
 *
 *     "\x93NUMPY" major:u8 minor:u8 length:u16 (version 1; u32 from 2 on) header data
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }     a Python dict, padded by blanks
 *
 * The tensor's name is the file's, without folder and ".npy".
 * Source: numpy.org/doc/stable/reference/generated/numpy.lib.format.html (NEP 1). */
#include "frontend/weights_reader.h"
#include <inttypes.h>
#include <string.h>

enum { LONGEST_HEADER = 1 << 20, MAGIC_BYTES = 6 };

/* Element types; '|' is for single bytes, '<' for little-endian ones. */
static const struct {
    const char *descr;
    enum format format;
} descrs[] = {
    {"<f8", FORMAT_f64}, {"<f4", FORMAT_f32}, {"<f2", FORMAT_f16}, {"<i8", FORMAT_i64},  {"<i4", FORMAT_i32},
    {"<i2", FORMAT_i16}, {"|i1", FORMAT_i8},  {"|u1", FORMAT_u8},  {"|b1", FORMAT_bool},
};

struct dict { /* the header as it is read; `at` counts from the reader's bytes, `end` is its end */
    struct reader *r;
    size_t at, end;
    const char *name; /* of the tensor */
    bool has_descr, has_order, has_shape;
    struct weight_tensor tensor;
};

static bool dict_fail(struct dict *d, const char *message) {
    return reader_fail(d->r, d->at, "tensor '%s': the header %s", d->name, message);
}

static char peek(struct dict *d) { /* 0 at the end */
    while (d->at < d->end && memchr(" \t\r\n", d->r->bytes[d->at], 4)) d->at++;
    return d->at < d->end ? (char)d->r->bytes[d->at] : 0;
}

static bool accept(struct dict *d, const char *word) {
    size_t length = strlen(word);
    if (!peek(d) || d->end - d->at < length || memcmp(d->r->bytes + d->at, word, length)) return false;
    d->at += length;
    return true;
}

static bool expect(struct dict *d, const char *word) {
    return accept(d, word) || dict_fail(d, arena_printf(d->r->arena, "lacks '%s' here", word));
}

/* A quoted string without escapes. */
static const char *read_quoted(struct dict *d) {
    char quote = peek(d);
    if (quote != '\'' && quote != '"') return dict_fail(d, "lacks a string here"), NULL;
    const uint8_t *begin = d->r->bytes + d->at + 1, *end = memchr(begin, quote, d->end - d->at - 1);
    if (!end) return dict_fail(d, "ends inside a string"), NULL;
    d->at += (size_t)(end - begin) + 2;
    return arena_strndup(d->r->arena, (const char *)begin, (size_t)(end - begin));
}

static bool read_descr(struct dict *d) {
    size_t place = d->at;
    if (peek(d) == '[') return dict_fail(d, "describes an array of records, which is not supported");
    const char *descr = read_quoted(d);
    if (!descr) return false;
    d->tensor.format = FORMAT_COUNT;
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++)
        if (!strcmp(descrs[i].descr, descr)) d->tensor.format = descrs[i].format;
    if (d->tensor.format != FORMAT_COUNT) return true;
    return reader_fail(d->r, place, "tensor '%s': element type '%.40s' is not supported", d->name, descr);
}

static bool read_order(struct dict *d) {
    if (accept(d, "False")) return true;
    if (accept(d, "True"))
        return dict_fail(d,
                         "says Fortran order, which is not supported: save it by numpy.ascontiguousarray()");
    return dict_fail(d, "has a 'fortran_order' that is neither True nor False");
}

static bool read_dim(struct dict *d, int64_t *dim) {
    char c = peek(d);
    if (c < '0' || c > '9') return dict_fail(d, "lacks a dimension here");
    for (*dim = 0; d->at < d->end && (c = (char)d->r->bytes[d->at]) >= '0' && c <= '9'; d->at++)
        if (__builtin_mul_overflow(*dim, 10, dim) || __builtin_add_overflow(*dim, c - '0', dim))
            return dict_fail(d, "has a dimension that overflows");
    return true;
}

static bool read_shape(struct dict *d) {
    if (!expect(d, "(")) return false;
    while (!accept(d, ")")) {
        if (d->tensor.rank == MAX_RANK) return dict_fail(d, "has too many dimensions");
        if (!read_dim(d, &d->tensor.dims[d->tensor.rank++])) return false;
        if (!accept(d, ",") && peek(d) != ')') return dict_fail(d, "lacks ')' here");
    }
    return true;
}

static bool read_item(struct dict *d) {
    const struct {
        const char *key;
        bool *seen;
        bool (*read)(struct dict *d);
    } items[] = {{"descr", &d->has_descr, read_descr},
                 {"fortran_order", &d->has_order, read_order},
                 {"shape", &d->has_shape, read_shape}};
    const char *key = read_quoted(d);
    if (!key || !expect(d, ":")) return false;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        if (strcmp(items[i].key, key)) continue;
        if (*items[i].seen) return dict_fail(d, arena_printf(d->r->arena, "has two '%s'", key));
        *items[i].seen = true;
        return items[i].read(d);
    }
    return dict_fail(d, arena_printf(d->r->arena, "has an unknown '%.40s'", key));
}

static bool read_dict(struct dict *d) {
    if (!expect(d, "{")) return false;
    while (!accept(d, "}")) {
        if (!read_item(d)) return false;
        if (!accept(d, ",") && peek(d) != '}') return dict_fail(d, "lacks '}' here");
    }
    if (peek(d)) return dict_fail(d, "goes on after '}'");
    if (!d->has_descr || !d->has_order || !d->has_shape)
        return dict_fail(d, "needs 'descr', 'fortran_order' and 'shape'");
    return true;
}

static bool read_length(struct reader *r, uint32_t *length) {
    uint16_t shorter;
    const uint8_t *start = reader_take(r, MAGIC_BYTES + 2, "the header");
    if (!start) return false;
    int major = start[MAGIC_BYTES];
    if (memcmp(start, "\x93NUMPY", MAGIC_BYTES)) return reader_fail(r, 0, "is no npy array");
    if (major < 1 || major > 3) return reader_fail(r, MAGIC_BYTES, "npy version %d is not supported", major);
    if (major > 1) return reader_u32(r, length, "the header's length");
    if (!reader_u16(r, &shorter, "the header's length")) return false;
    *length = shorter;
    return true;
}

bool read_npy_array(struct reader *r, const char *name) {
    uint32_t length;
    if (!read_length(r, &length)) return false;
    if (length > LONGEST_HEADER)
        return reader_fail(r, r->at, "a header of %" PRIu32 " bytes is too long", length);
    size_t header = r->at;
    if (!reader_take(r, length, "the header")) return false;
    struct dict d = {.r = r, .at = header, .end = r->at, .name = name, .tensor = {.name = name}};
    return read_dict(&d) && reader_tensor(r, &d.tensor, r->at, r->size - r->at, header);
}

bool read_npy(struct reader *r) {
    const char *slash = strrchr(r->path, '/'), *name = slash ? slash + 1 : r->path;
    size_t length = strlen(name);
    if (length > 4 && !strcmp(name + length - 4, ".npy")) length -= 4;
    name = reader_name(r, (const uint8_t *)name, length, 0, "the array's name");
    return name && read_npy_array(r, name);
}
