/* GGUF files, versions 2 and 3 (3 only adds big-endian files, which are refused):
 *
 *     "GGUF" version:u32 tensors:u64 pairs:u64
 *     pairs x   { key:string type:u32 value }
 *     tensors x { name:string rank:u32 dims:u64[rank], innermost first, type:u32 offset:u64 }
 *     padding to general.alignment (32 unless given), then data; offsets count from here
 *
 * A string is length:u64 and bytes; an array type:u32 count:u64 and values. All is little-endian.
 * Source: docs/gguf.md of github.com/ggml-org/ggml. */
#include "frontend/weights_reader.h"
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ALIGNMENT = 32, LEAST_ALIGNMENT = 8, DEEPEST_ARRAY = 4 };
enum { LEAST_PAIR = 8 + 1 + 4 + 1, LEAST_TENSOR = 8 + 1 + 4 + 4 + 8 }; /* bytes one takes at the least */

/* Types of values, by their numbers. */
static const struct {
    const char *name;
    enum metadata_kind kind;
    int bytes; /* the fewest one takes */
    bool is_signed;
} value_types[] = {
    {"u8", METADATA_INTEGER, 1, false},    {"i8", METADATA_INTEGER, 1, true},
    {"u16", METADATA_INTEGER, 2, false},   {"i16", METADATA_INTEGER, 2, true},
    {"u32", METADATA_INTEGER, 4, false},   {"i32", METADATA_INTEGER, 4, true},
    {"f32", METADATA_FLOAT, 4, true},      {"bool", METADATA_BOOL, 1, false},
    {"string", METADATA_STRING, 8, false}, {"array", METADATA_NESTED, 12, false},
    {"u64", METADATA_INTEGER, 8, false},   {"i64", METADATA_INTEGER, 8, true},
    {"f64", METADATA_FLOAT, 8, true},
};
enum { VALUE_BOOL = 7, VALUE_ARRAY = 9, VALUE_TYPES = sizeof value_types / sizeof *value_types };

/* Types of tensors that exist but are not read, for messages. Numbers as in the source. */
static const char *const other_types[] = {
    [9] = "Q8_1",     [10] = "Q2_K",  [11] = "Q3_K",   [15] = "Q8_K",  [16] = "IQ2_XXS", [17] = "IQ2_XS",
    [18] = "IQ3_XXS", [19] = "IQ1_S", [20] = "IQ4_NL", [21] = "IQ3_S", [22] = "IQ2_S",   [23] = "IQ4_XS",
    [29] = "IQ1_M",   [34] = "TQ1_0", [35] = "TQ2_0",  [39] = "MXFP4",
};

static bool read_string(struct reader *r, struct text *text, const char *what) {
    uint64_t length;
    if (!reader_u64(r, &length, what)) return false;
    text->length = (size_t)length;
    text->bytes = (const char *)reader_take(r, length, what);
    return text->bytes;
}

/* A key or a tensor's name. */
static const char *read_name(struct reader *r, const char *what) {
    struct text text;
    if (!read_string(r, &text, what)) return NULL;
    return reader_name(r, (const uint8_t *)text.bytes, text.length, r->at - text.length, what);
}

/* `what` is the pair's key as messages put it. */
static bool read_value_type(struct reader *r, uint32_t *type, const char *what) {
    uint64_t offset = r->at;
    if (!reader_u32(r, type, what)) return false;
    if (*type < VALUE_TYPES) return true;
    return reader_fail(r, offset, "%s: there is no value type %" PRIu32, what, *type);
}

static bool check_bools(struct reader *r, const uint8_t *values, uint64_t count, const char *what) {
    for (uint64_t i = 0; i < count; i++)
        if (values[i] > 1) return reader_fail(r, r->at - count + i, "%s: a bool is %d", what, values[i]);
    return true;
}

static bool read_array(struct reader *r, struct metadata *m, int depth, const char *what);

/* `count` values of one type; of nested arrays only the end is found. */
static bool read_values(struct reader *r, struct metadata *m, uint32_t type, uint64_t count, int depth,
                        const char *what) {
    uint64_t bytes = (uint64_t)value_types[type].bytes;
    if (count > (r->size - r->at) / bytes)
        return reader_fail(r, r->at, "%s: %" PRIu64 " values of %s do not fit into the %zu bytes left", what,
                           count, value_types[type].name, r->size - r->at);
    m->kind = value_types[type].kind;
    m->count = (int64_t)count;
    if (m->kind < METADATA_STRING) {
        m->bytes = value_types[type].bytes;
        m->is_signed = value_types[type].is_signed;
        m->numbers = reader_take(r, count * bytes, what);
        return m->numbers && (type != VALUE_BOOL || check_bools(r, m->numbers, count, what));
    }
    struct text *strings = NULL;
    if (m->kind == METADATA_STRING && depth < 2)
        m->strings = strings = arena_new_array(r->arena, struct text, count);
    for (uint64_t i = 0; i < count; i++) {
        struct metadata inner = {0};
        struct text skipped;
        bool read = m->kind == METADATA_STRING ? read_string(r, strings ? &strings[i] : &skipped, what)
                                               : read_array(r, &inner, depth + 1, what);
        if (!read) return false;
    }
    return true;
}

static bool read_array(struct reader *r, struct metadata *m, int depth, const char *what) {
    uint32_t type;
    uint64_t count;
    if (depth > DEEPEST_ARRAY)
        return reader_fail(r, r->at, "%s: arrays are nested more than %d deep", what, DEEPEST_ARRAY);
    m->array = true;
    return read_value_type(r, &type, what) && reader_u64(r, &count, what) &&
           read_values(r, m, type, count, depth, what);
}

static bool read_pair(struct reader *r) {
    uint32_t type;
    const char *key = read_name(r, "a metadata key");
    if (!key) return false;
    const char *what = arena_printf(r->arena, "metadata '%s'", key);
    struct metadata *m = reader_metadata(r, key);
    if (!read_value_type(r, &type, what)) return false;
    return type == VALUE_ARRAY ? read_array(r, m, 1, what) : read_values(r, m, type, 1, 1, what);
}

static int compare_keys(const void *a, const void *b) {
    const struct metadata *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

static bool check_keys(struct reader *r) {
    const struct weights *w = r->weights;
    size_t count = (size_t)w->metadata_count;
    if (!count) return true;
    const struct metadata **sorted = arena_new_array(r->arena, const struct metadata *, count);
    for (size_t i = 0; i < count; i++) sorted[i] = &w->metadata[i];
    qsort(sorted, count, sizeof *sorted, compare_keys);
    for (size_t i = 1; i < count; i++)
        if (!strcmp(sorted[i - 1]->key, sorted[i]->key))
            return reader_fail(r, r->at, "metadata '%s' stands there twice", sorted[i]->key);
    return true;
}

static bool find_alignment(struct reader *r, uint64_t *alignment) {
    const struct metadata *m = metadata_find(r->weights, "general.alignment");
    *alignment = DEFAULT_ALIGNMENT;
    if (!m) return true;
    int64_t value = m->array || m->kind != METADATA_INTEGER ? 0 : metadata_integer(m, 0);
    if (value < LEAST_ALIGNMENT || value > UINT32_MAX || (value & (value - 1)))
        return reader_fail(r, (uint64_t)(m->numbers ? (size_t)(m->numbers - r->bytes) : r->at),
                           "metadata 'general.alignment' must be a power of two from %d", LEAST_ALIGNMENT);
    *alignment = (uint64_t)value;
    return true;
}

struct described { /* a tensor as its entry describes it, before the data's place is known */
    struct weight_tensor tensor;
    uint64_t from, offset; /* data from the start of all data; the entry's place */
};

static bool read_dims(struct reader *r, struct weight_tensor *t, const char *what) {
    uint32_t rank;
    uint64_t dim, offset = r->at;
    if (!reader_u32(r, &rank, what)) return false;
    if (rank > MAX_RANK) return reader_fail(r, offset, "%s has %" PRIu32 " dimensions", what, rank);
    t->rank = (int)rank;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (!reader_u64(r, &dim, what)) return false;
        if (dim > INT64_MAX) return reader_fail(r, r->at - 8, "%s: dimension %d is %" PRIu64, what, i, dim);
        t->dims[i] = (int64_t)dim;
    }
    return true;
}

static bool read_type(struct reader *r, struct weight_tensor *t, const char *what) {
    uint32_t type;
    if (!reader_u32(r, &type, what)) return false;
    t->format = format_from_gguf(type);
    if (t->format != FORMAT_COUNT) return true;
    bool known = type < sizeof other_types / sizeof *other_types && other_types[type];
    return reader_fail(r, r->at - 4, "%s: type %" PRIu32 "%s%s%s is not supported", what, type,
                       known ? " (" : "", known ? other_types[type] : "", known ? ")" : "");
}

static bool read_tensor(struct reader *r, struct described *d, uint64_t alignment) {
    d->offset = r->at;
    d->tensor.name = read_name(r, "a tensor's name");
    if (!d->tensor.name) return false;
    const char *what = arena_printf(r->arena, "tensor '%s'", d->tensor.name);
    if (!read_dims(r, &d->tensor, what) || !read_type(r, &d->tensor, what)) return false;
    if (!reader_u64(r, &d->from, what)) return false;
    if (d->from % alignment)
        return reader_fail(r, r->at - 8,
                           "%s: its offset, %" PRIu64 ", is no multiple of the alignment, %" PRIu64, what,
                           d->from, alignment);
    return true;
}

/* A count of things that take at least `least` bytes each. */
static bool read_count(struct reader *r, uint64_t *count, uint64_t least, const char *what) {
    if (!reader_u64(r, count, what)) return false;
    if (*count > (r->size - r->at) / least || *count > INT_MAX / 2)
        return reader_fail(r, r->at - 8, "%s is %" PRIu64 ", too large for a file of %zu bytes", what, *count,
                           r->size);
    return true;
}

static bool read_header(struct reader *r, uint64_t *tensors, uint64_t *pairs) {
    uint32_t version;
    if (!reader_take(r, 4, "the header") || !reader_u32(r, &version, "the header")) return false;
    if (version == 0x03000000 || version == 0x02000000)
        return reader_fail(r, 4, "big-endian GGUF files are not supported");
    if (version != 2 && version != 3)
        return reader_fail(r, 4, "GGUF version %" PRIu32 " is not supported: only 2 and 3 are", version);
    r->weights->kind = version == 2 ? "GGUF 2" : "GGUF 3";
    return read_count(r, tensors, LEAST_TENSOR, "the number of tensors") &&
           read_count(r, pairs, LEAST_PAIR, "the number of metadata pairs");
}

bool read_gguf(struct reader *r) {
    uint64_t tensors, pairs, alignment;
    if (!read_header(r, &tensors, &pairs)) return false;
    for (uint64_t i = 0; i < pairs; i++)
        if (!read_pair(r)) return false;
    if (!check_keys(r) || !find_alignment(r, &alignment)) return false;
    struct described *all = arena_new_array(r->arena, struct described, tensors);
    for (uint64_t i = 0; i < tensors; i++)
        if (!read_tensor(r, &all[i], alignment)) return false;
    uint64_t data = (r->at + alignment - 1) / alignment * alignment;
    for (uint64_t i = 0; i < tensors; i++) {
        uint64_t start = all[i].from > UINT64_MAX - data ? UINT64_MAX : data + all[i].from;
        if (!reader_tensor(r, &all[i].tensor, start, UINT64_MAX, all[i].offset)) return false;
    }
    return reader_sort(r);
}
