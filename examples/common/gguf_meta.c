/* A cursor walks the mapped file once and notes where each key's value lies; look-ups decode it. All integers
 * are little-endian:  "GGUF" version:u32 tensors:u64 keys:u64, then for each key  name:string type:u32 value
 */
#include "gguf_meta.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64, TYPES };
static const unsigned char widths[TYPES] = {
    [U8] = 1,  [I8] = 1,   [U16] = 2, [I16] = 2, [U32] = 4, [I32] = 4,
    [F32] = 4, [BOOL] = 1, [U64] = 8, [I64] = 8, [F64] = 8,
};

struct key {
    struct text name;
    uint32_t type, element; /* element: of an array */
    uint64_t count;         /* elements of an array */
    const char *value;      /* of an array: its first element */
};
struct gguf_meta {
    char *file;
    size_t size, count, room;
    struct key *keys;
};

/* What is left to read. Running past the end sets `short_of` and yields zeros. */
struct cursor {
    const char *at, *end;
    bool short_of;
};

static const char *take(struct cursor *c, uint64_t bytes) {
    if (c->short_of || bytes > (uint64_t)(c->end - c->at)) {
        c->short_of = true;
        return NULL;
    }
    const char *here = c->at;
    c->at += bytes;
    return here;
}

static uint64_t unsigned_at(const char *bytes, size_t width) {
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) value |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    return value;
}

static uint64_t take_unsigned(struct cursor *c, size_t width) {
    const char *bytes = take(c, width);
    return bytes ? unsigned_at(bytes, width) : 0;
}

static struct text take_text(struct cursor *c) {
    uint64_t length = take_unsigned(c, 8);
    const char *bytes = take(c, length);
    return bytes ? (struct text){bytes, length} : (struct text){"", 0};
}

static bool skip_array(struct cursor *c, struct key *key, struct error *e) {
    key->element = (uint32_t)take_unsigned(c, 4);
    key->count = take_unsigned(c, 8);
    key->value = c->at;
    if (key->element == STRING) {
        for (uint64_t i = 0; i < key->count && !c->short_of; i++) take_text(c);
        return true;
    }
    if (key->element >= TYPES || !widths[key->element])
        return fail(e, "key '%.*s': arrays of type %u are not known", (int)key->name.length, key->name.bytes,
                    key->element);
    if (key->count > (uint64_t)(c->end - c->at) / widths[key->element]) c->short_of = true;
    take(c, c->short_of ? 0 : key->count * widths[key->element]);
    return true;
}

static bool read_key(struct cursor *c, struct key *key, struct error *e) {
    key->name = take_text(c);
    if (key->name.length > 65535)
        return fail(e, "a key's name has %zu bytes; 65535 is the limit", key->name.length);
    key->type = (uint32_t)take_unsigned(c, 4);
    key->value = c->at;
    if (c->short_of) return fail(e, "the file ends within its metadata");
    if (key->type >= TYPES)
        return fail(e, "key '%.*s': type %u is not known", (int)key->name.length, key->name.bytes, key->type);
    if (key->type == ARRAY && !skip_array(c, key, e)) return false;
    if (key->type == STRING) take_text(c);
    take(c, widths[key->type]);
    return !c->short_of ||
           fail(e, "key '%.*s': the file ends within its value", (int)key->name.length, key->name.bytes);
}

static bool read_keys(struct gguf_meta *meta, struct error *e) {
    struct cursor c = {meta->file, meta->file + meta->size, false};
    const char *magic = take(&c, 4);
    if (!magic || memcmp(magic, "GGUF", 4) != 0) return fail(e, "not a GGUF file");
    uint64_t version = take_unsigned(&c, 4);
    if (version != 2 && version != 3)
        return fail(e, "GGUF version %llu is not known", (unsigned long long)version);
    take_unsigned(&c, 8);
    uint64_t count = take_unsigned(&c, 8);
    if (c.short_of) return fail(e, "the file ends within its header");
    for (uint64_t i = 0; i < count;
         i++) { /* each key takes bytes of the file, so a false count ends the loop */
        struct key key = {0};
        if (!read_key(&c, &key, e)) return false;
        meta->keys = grow(meta->keys, &meta->room, meta->count + 1, sizeof *meta->keys);
        meta->keys[meta->count++] = key;
    }
    return true;
}

static bool map_file(struct gguf_meta *meta, const char *path, struct error *e) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* no FIFO is waited for */
    struct stat status;
    if (file < 0) return fail(e, "cannot be opened: %s", strerror(errno));
    bool ok = fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
    if (ok) meta->file = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (!ok) return fail(e, "not a file with anything in it");
    if (meta->file == MAP_FAILED) {
        meta->file = NULL;
        return fail(e, "cannot be mapped: %s", strerror(errno));
    }
    meta->size = (size_t)status.st_size;
    return true;
}

struct gguf_meta *gguf_meta_open(const char *path, struct error *e) {
    struct gguf_meta *meta = allocate(1, sizeof *meta);
    struct error why;
    if (map_file(meta, path, &why) && read_keys(meta, &why)) return meta;
    fail(e, "%s: %s", path, why.text);
    gguf_meta_close(meta);
    return NULL;
}

void gguf_meta_close(struct gguf_meta *meta) {
    if (!meta) return;
    if (meta->file) munmap(meta->file, meta->size);
    free(meta->keys);
    free(meta);
}

static const struct key *find(const struct gguf_meta *meta, const char *name) {
    for (size_t i = 0; i < meta->count; i++)
        if (text_equal(meta->keys[i].name, text_of(name))) return &meta->keys[i];
    return NULL;
}

bool gguf_meta_text(const struct gguf_meta *meta, const char *name, struct text *value) {
    const struct key *key = find(meta, name);
    if (!key || key->type != STRING) return false;
    *value = (struct text){key->value + 8, unsigned_at(key->value, 8)};
    return true;
}

bool gguf_meta_uint(const struct gguf_meta *meta, const char *name, uint64_t *value) {
    const struct key *key = find(meta, name);
    if (!key ||
        (key->type != U8 && key->type != U16 && key->type != U32 && key->type != U64 && key->type != BOOL))
        return false;
    *value = unsigned_at(key->value, widths[key->type]);
    return true;
}

bool gguf_meta_texts(const struct gguf_meta *meta, const char *name, struct text **values, size_t *count) {
    const struct key *key = find(meta, name);
    if (!key || key->type != ARRAY || key->element != STRING) return false;
    struct cursor c = {key->value, meta->file + meta->size, false};
    *values = allocate(key->count, sizeof **values);
    *count = key->count;
    for (size_t i = 0; i < *count; i++) (*values)[i] = take_text(&c);
    return true;
}

bool gguf_meta_ints(const struct gguf_meta *meta, const char *name, int32_t **values, size_t *count) {
    const struct key *key = find(meta, name);
    if (!key || key->type != ARRAY || (key->element != I32 && key->element != U32)) return false;
    *values = allocate(key->count, sizeof **values);
    *count = key->count;
    for (size_t i = 0; i < *count; i++) (*values)[i] = (int32_t)unsigned_at(key->value + 4 * i, 4);
    return true;
}
