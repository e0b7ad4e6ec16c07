/* safetensors files, and the index of a model that is split into several:
 *
 *     length:u64 (little-endian), header (JSON, `length` bytes), data
 *     { "__metadata__": { "key": "string" },
 *       "name": { "dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end] }, ... }
 *                                                             offsets count from the data
 *
 *     model.safetensors.index.json:
 *     { "metadata": {...}, "weight_map": { "name": "file in the same folder", ... } }
 *
 * Tensors cover the data without gaps or overlaps.
 * Source: README.md, section "Format", of github.com/huggingface/safetensors. */
#include "frontend/weights_reader.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8 };
static const uint64_t LONGEST_HEADER = 100000000; /* as the reference implementation's */

static json_t *parse_json(struct reader *r, const uint8_t *bytes, size_t length, uint64_t offset) {
    json_error_t error;
    json_t *json = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, &error);
    uint64_t position = error.position > 0 && (size_t)error.position <= length ? (uint64_t)error.position : 0;
    if (!json)
        return reader_record(r, offset + position, "the header is not valid JSON: %s", error.text), NULL;
    if (json_is_object(json)) return json;
    json_decref(json);
    return reader_record(r, offset, "the header is no JSON object"), NULL;
}

/* Where a name stands in the header, for messages: looked for from the last one on, as names come in order.
 * Once one is not found (it is escaped, say), neither are the rest, so that all together take linear time. */
static uint64_t find_name(struct reader *r, const char *name, uint64_t end) {
    size_t length = strlen(name), from = r->at ? r->at : 1;
    if (!length) return LENGTH_BYTES; /* stands everywhere; and is refused */
    const uint8_t *found = r->bytes + from;
    while ((found = memmem(found, (size_t)(r->bytes + end - found), name, length)) && found[-1] != '"')
        found++;
    r->at = found ? (size_t)(found - r->bytes) : (size_t)end;
    return found ? r->at : LENGTH_BYTES;
}

static bool read_shape(struct reader *r, struct weight_tensor *t, json_t *shape, uint64_t offset) {
    if (!json_is_array(shape)) return reader_fail(r, offset, "tensor '%s' has no list \"shape\"", t->name);
    if (json_array_size(shape) > MAX_RANK)
        return reader_fail(r, offset, "tensor '%s' has %zu dimensions", t->name, json_array_size(shape));
    t->rank = (int)json_array_size(shape);
    for (int i = 0; i < t->rank; i++) {
        json_t *dim = json_array_get(shape, (size_t)i);
        if (!json_is_integer(dim))
            return reader_fail(r, offset, "tensor '%s': dimension %d is no integer", t->name, i);
        t->dims[i] = json_integer_value(dim);
    }
    return true;
}

static bool read_offsets(struct reader *r, const char *name, json_t *offsets, uint64_t offset,
                         uint64_t *begin, uint64_t *end) {
    json_t *first = json_array_get(offsets, 0), *second = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(second))
        return reader_fail(r, offset, "tensor '%s' has no two integers \"data_offsets\"", name);
    json_int_t from = json_integer_value(first), to = json_integer_value(second);
    if (from < 0 || to < from)
        return reader_fail(r, offset, "tensor '%s': its data from %lld to %lld is no range", name,
                           (long long)from, (long long)to);
    *begin = (uint64_t)from;
    *end = (uint64_t)to;
    return true;
}

static bool read_entry(struct reader *r, const char *key, json_t *entry, uint64_t data) {
    uint64_t begin, end, offset = find_name(r, key, data);
    struct weight_tensor t = {
        .name = reader_name(r, (const uint8_t *)key, strlen(key), offset, "a tensor's name")};
    if (!t.name) return false;
    if (!json_is_object(entry)) return reader_fail(r, offset, "tensor '%s' is no JSON object", t.name);
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    if (!dtype) return reader_fail(r, offset, "tensor '%s' has no \"dtype\"", t.name);
    t.format = format_from_safetensors(dtype);
    if (t.format == FORMAT_COUNT)
        return reader_fail(r, offset, "tensor '%s': dtype '%.40s' is not supported", t.name, dtype);
    return read_shape(r, &t, json_object_get(entry, "shape"), offset) &&
           read_offsets(r, t.name, json_object_get(entry, "data_offsets"), offset, &begin, &end) &&
           reader_tensor(r, &t, data + begin, end - begin, offset);
}

static bool read_strings(struct reader *r, json_t *strings) {
    const char *key;
    json_t *value;
    if (!json_is_object(strings)) return reader_fail(r, LENGTH_BYTES, "\"__metadata__\" is no JSON object");
    json_object_foreach(strings, key, value) {
        if (!json_is_string(value))
            return reader_fail(r, LENGTH_BYTES, "metadata '%.200s' is no string", key);
        struct metadata *m = reader_metadata(r, arena_strdup(r->arena, key));
        struct text *text = arena_new_object(r->arena, struct text);
        text->length = json_string_length(value);
        text->bytes = arena_strndup(r->arena, json_string_value(value), text->length);
        m->kind = METADATA_STRING;
        m->strings = text;
    }
    return true;
}

/* Every byte of the data belongs to a tensor; overlaps were found before. */
static bool check_gaps(struct reader *r, uint64_t data) {
    const struct weights *w = r->weights;
    uint64_t end = data;
    for (const struct weight_tensor *t = w->tensors; t < w->tensors + w->count; t++) {
        if (!t->bytes) continue;
        if (t->offset > end)
            return reader_fail(r, end, "%" PRIu64 " bytes before tensor '%s' belong to none", t->offset - end,
                               t->name);
        end = t->offset + t->bytes;
    }
    return end == r->size ||
           reader_fail(r, end, "%" PRIu64 " bytes after the last tensor belong to none", r->size - end);
}

static bool read_entries(struct reader *r, json_t *header, uint64_t data) {
    const char *key;
    json_t *entry;
    json_object_foreach(header, key, entry) {
        bool read = strcmp(key, "__metadata__") ? read_entry(r, key, entry, data) : read_strings(r, entry);
        if (!read) return false;
    }
    return reader_sort(r) && check_gaps(r, data);
}

bool read_safetensors(struct reader *r) {
    uint64_t length;
    if (!reader_u64(r, &length, "the header's length")) return false;
    if (length > LONGEST_HEADER || length > r->size - LENGTH_BYTES)
        return reader_fail(r, 0, "the header's length is %" PRIu64 ", too large for a file of %zu bytes",
                           length, r->size);
    json_t *header = parse_json(r, r->bytes + LENGTH_BYTES, (size_t)length, LENGTH_BYTES);
    if (!header) return false;
    bool read = read_entries(r, header, LENGTH_BYTES + length);
    json_decref(header);
    return read;
}

/* A shard's path: its name must be a plain one, and what it leads to must lie beside what the index's path
 * leads to (in a download cache both are links into one folder). */
static const char *shard_path(struct reader *r, const char *name) {
    bool plain = *name && !strchr(name, '/') && strcmp(name, "..") && strcmp(name, ".");
    if (!plain) return reader_record(r, 0, "shard '%.200s' is no plain file name", name), NULL;
    const char *slash = strrchr(r->path, '/');
    int folder = slash ? (int)(slash + 1 - r->path) : 0;
    char *path = arena_printf(r->arena, "%.*s%s", folder, r->path, name);
    char *index_real = realpath(r->path, NULL), *shard_real = realpath(path, NULL);
    size_t beside = index_real ? (size_t)(strrchr(index_real, '/') + 1 - index_real) : 0;
    bool found = index_real && shard_real;
    bool inside = found && !strncmp(index_real, shard_real, beside) && !strchr(shard_real + beside, '/');
    free(index_real);
    free(shard_real);
    if (!found) return reader_fail_io(r, arena_printf(r->arena, "open its shard '%s'", path)), NULL;
    if (!inside) return reader_record(r, 0, "shard '%s' lies outside the folder of the index", path), NULL;
    return path;
}

/* Reads one shard and adds those of its tensors that the map places in it. */
static bool read_shard(struct reader *r, json_t *map, const char *shard) {
    struct weights part = {0}, *w = r->weights;
    struct reader inner = {.arena = r->arena, .path = shard_path(r, shard), .weights = &part};
    if (!inner.path) return false;
    bool read = reader_map(&inner) && read_safetensors(&inner) && reader_index(&inner);
    for (struct mapping *m = part.mappings, *next; m; m = next) {
        next = m->next;
        m->next = w->mappings;
        w->mappings = m;
    }
    if (!read) return r->error = inner.error, r->io = inner.io, false;
    for (int i = 0; i < part.count; i++) {
        const char *placed = json_string_value(json_object_get(map, part.tensors[i].name));
        if (!placed || strcmp(placed, shard)) continue;
        arena_push(r->arena, w->tensors, w->count, r->tensors_capacity, part.tensors[i]);
    }
    return true;
}

static bool read_shards(struct reader *r, json_t *map, json_t *done) {
    const char *name;
    json_t *shard;
    json_object_foreach(map, name, shard) {
        uint64_t offset = find_name(r, name, r->size);
        if (!json_is_string(shard))
            return reader_fail(r, offset, "tensor '%.200s': its shard is no string", name);
        if (json_object_get(done, json_string_value(shard))) continue;
        if (!read_shard(r, map, json_string_value(shard))) return false;
        json_object_set_new(done, json_string_value(shard), json_true());
    }
    return true;
}

/* All that the map names must have been found. */
static bool check_map(struct reader *r, json_t *map) {
    const char *name;
    json_t *shard;
    if (!reader_index(r)) return false;
    r->at = 0;
    json_object_foreach(map, name, shard) {
        uint64_t offset = find_name(r, name, r->size);
        if (!weights_find(r->weights, name))
            return reader_fail(r, offset, "tensor '%.200s' is not in its shard '%.200s'", name,
                               json_string_value(shard));
    }
    return true;
}

bool read_safetensors_index(struct reader *r) {
    if (r->in_memory) return reader_fail(r, 0, "an index in memory has no shards beside it");
    if (r->size > LONGEST_HEADER) return reader_fail(r, 0, "an index of %zu bytes is too long", r->size);
    json_t *index = parse_json(r, r->bytes, r->size, 0);
    if (!index) return false;
    json_t *map = json_object_get(index, "weight_map"), *done = json_object();
    bool read = json_is_object(map) || reader_fail(r, 0, "the index has no \"weight_map\"");
    read = read && read_shards(r, map, done) && check_map(r, map);
    json_decref(done);
    json_decref(index);
    return read;
}
