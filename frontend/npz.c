/* npz files: a zip archive of npy files, stored or deflated. The directory at the end rules:
 *
 *     { "PK\3\4" ... sizes of name and extra field, name, extra, data } x members
 *     { "PK\1\2" ... method, crc, sizes, place of the above, name, extra, comment } x members
 *     "PK\5\6" ... members, size and place of the directory, comment
 *
 * A tensor's name is its member's without ".npy". Archives beyond 4 GiB (zip64) are refused.
 * Source: PKWARE's APPNOTE.TXT 6.3, sections 4.3.7, 4.3.12, 4.3.16; inflate is zlib's. */
#include "frontend/weights_reader.h"
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

enum { END_BYTES = 22, ENTRY_BYTES = 46, LOCAL_BYTES = 30, LONGEST_COMMENT = 65535 };
enum { STORED = 0, DEFLATED = 8, ENCRYPTED = 1 };
enum {
    BEST_RATIO = 1032
}; /* deflate cannot do better: 258 bytes for a pair of 1-bit codes, zlib's technical notes */

struct member {
    const char *name;
    uint64_t entry; /* its place in the directory */
    uint32_t method, flags, crc, packed, size, local;
};

/* The end record: the last place where one stands and its comment just fills the file. */
static const uint8_t *find_end(struct reader *r) {
    for (size_t back = END_BYTES; back <= r->size && back <= END_BYTES + LONGEST_COMMENT; back++) {
        const uint8_t *at = r->bytes + r->size - back;
        if (!memcmp(at, "PK\5\6", 4) && load_u16(at + 20) == back - END_BYTES) return at;
    }
    return reader_record(r, r->size, "the archive has no directory at its end: it may be cut short"), NULL;
}

/* The next entry of the directory, which ends at `end`. */
static bool read_directory_entry(struct reader *r, struct member *m, uint64_t end) {
    m->entry = r->at;
    if (end - r->at < ENTRY_BYTES || memcmp(r->bytes + r->at, "PK\1\2", 4))
        return reader_fail(r, r->at, "the archive's directory is broken here");
    const uint8_t *at = r->bytes + r->at;
    uint64_t name = load_u16(at + 28), rest = (uint64_t)load_u16(at + 30) + load_u16(at + 32);
    m->flags = load_u16(at + 8);
    m->method = load_u16(at + 10);
    m->crc = load_u32(at + 16);
    m->packed = load_u32(at + 20);
    m->size = load_u32(at + 24);
    m->local = load_u32(at + 42);
    if (end - r->at - ENTRY_BYTES < name + rest)
        return reader_fail(r, r->at, "the archive's directory is cut short here");
    m->name = reader_name(r, at + ENTRY_BYTES, name, r->at + ENTRY_BYTES, "a member's name");
    r->at += ENTRY_BYTES + (size_t)(name + rest);
    return m->name;
}

static bool check_member(struct reader *r, const struct member *m) {
    size_t length = strlen(m->name);
    if (length < 5 || strcmp(m->name + length - 4, ".npy"))
        return reader_fail(r, m->entry, "member '%s' is no .npy file, so this is no npz archive", m->name);
    if (m->packed == UINT32_MAX || m->size == UINT32_MAX || m->local == UINT32_MAX)
        return reader_fail(r, m->entry, "member '%s': zip64 archives are not supported", m->name);
    if (m->flags & ENCRYPTED) return reader_fail(r, m->entry, "member '%s' is encrypted", m->name);
    if (m->method != STORED && m->method != DEFLATED)
        return reader_fail(r, m->entry, "member '%s': compression method %" PRIu32 " is not supported",
                           m->name, m->method);
    if (m->method == STORED ? m->size != m->packed : m->size / BEST_RATIO > m->packed)
        return reader_fail(r, m->entry, "member '%s': %" PRIu32 " bytes cannot be stored in %" PRIu32,
                           m->name, m->size, m->packed);
    return true;
}

/* Where the member's data begins, from its own header. */
static bool find_data(struct reader *r, const struct member *m, uint64_t directory, uint64_t *data) {
    if (m->local > directory || directory - m->local < LOCAL_BYTES ||
        memcmp(r->bytes + m->local, "PK\3\4", 4))
        return reader_fail(r, m->entry, "member '%s': there is no member at byte %" PRIu32, m->name,
                           m->local);
    const uint8_t *at = r->bytes + m->local;
    uint64_t name = load_u16(at + 26), after = m->local + LOCAL_BYTES + name + load_u16(at + 28);
    if (after > directory || m->packed > directory - after)
        return reader_fail(r, m->local, "member '%s': its %" PRIu32 " bytes reach into the directory",
                           m->name, m->packed);
    if (name != strlen(m->name) || memcmp(at + LOCAL_BYTES, m->name, name))
        return reader_fail(r, m->local, "member '%s' has another name here", m->name);
    *data = after;
    return true;
}

static const uint8_t *inflate_member(struct reader *r, const struct member *m, uint64_t data) {
    uint8_t *out = arena_alloc(r->arena, m->size ? m->size : 1, 1);
    z_stream z = {.next_in = (z_const Bytef *)(r->bytes + data),
                  .avail_in = m->packed,
                  .next_out = out,
                  .avail_out = m->size};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return reader_record(r, data, "member '%s': zlib cannot start", m->name), NULL;
    int status = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    if (status != Z_STREAM_END || z.avail_out || z.avail_in)
        return reader_record(r, data, "member '%s': its compressed data is broken", m->name), NULL;
    return out;
}

static bool read_member(struct reader *r, const struct member *m, uint64_t directory) {
    uint64_t data;
    if (!check_member(r, m) || !find_data(r, m, directory, &data)) return false;
    const uint8_t *bytes = m->method == STORED ? r->bytes + data : inflate_member(r, m, data);
    if (!bytes) return false;
    if (crc32(0, bytes, m->size) != m->crc)
        return reader_fail(r, data, "member '%s': its checksum differs", m->name);
    struct reader inner = *r;
    inner.bytes = bytes;
    inner.size = m->size;
    inner.at = 0;
    inner.base = data;
    inner.inflated = m->method == DEFLATED;
    bool read = read_npy_array(&inner, arena_strndup(r->arena, m->name, strlen(m->name) - 4));
    r->tensors_capacity = inner.tensors_capacity;
    r->error = inner.error;
    return read;
}

bool read_npz(struct reader *r) {
    const uint8_t *end = find_end(r);
    if (!end) return false;
    uint64_t members = load_u16(end + 10), bytes = load_u32(end + 12), directory = load_u32(end + 16);
    uint64_t stop = (uint64_t)(end - r->bytes), inflated = 0;
    if (members == UINT16_MAX || directory == UINT32_MAX)
        return reader_fail(r, stop, "zip64 archives are not supported");
    if (load_u16(end + 4) || load_u16(end + 6) || load_u16(end + 8) != members)
        return reader_fail(r, stop, "archives in several parts are not supported");
    if (directory > stop || bytes != stop - directory)
        return reader_fail(
            r, stop, "the archive's directory of %" PRIu64 " bytes at byte %" PRIu64 " does not end here",
            bytes, directory);
    r->at = (size_t)directory;
    for (uint64_t i = 0; i < members; i++) {
        struct member m;
        if (!read_directory_entry(r, &m, stop)) return false;
        if (!read_member(r, &m, directory)) return false;
        inflated += m.size;
        if (inflated / BEST_RATIO > r->size)
            return reader_fail(r, m.entry, "the archive's members overlap: they cannot all be in %zu bytes",
                               r->size);
    }
    return r->at == stop ||
           reader_fail(r, r->at, "the archive's directory goes on after its %" PRIu64 " members", members);
}
