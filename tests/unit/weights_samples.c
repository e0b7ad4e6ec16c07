#include "tests/unit/weights_samples.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

void put(struct buffer *b, const void *bytes, size_t size) {
    if (size > sizeof b->bytes - b->size) abort();
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
}

void put_number(struct buffer *b, uint64_t value, int bytes) { put(b, &value, (size_t)bytes); }
void put_text(struct buffer *b, const char *text) { put(b, text, strlen(text)); }

static void put_counting(struct buffer *b, size_t count) {
    for (size_t i = 0; i < count; i++) put_number(b, i & 255, 1);
}

static void put_string(struct buffer *b, const char *text) {
    put_number(b, strlen(text), 8);
    put_text(b, text);
}

static void put_key(struct buffer *b, const char *key, uint32_t type) {
    put_string(b, key);
    put_number(b, type, 4);
}

static void put_tensor(struct buffer *b, const char *name, int rank, const uint64_t *dims, uint32_t type,
                       uint64_t offset) {
    put_string(b, name);
    put_number(b, (uint64_t)rank, 4);
    for (int i = 0; i < rank; i++) put_number(b, dims[i], 8);
    put_number(b, type, 4);
    put_number(b, offset, 8);
}

static void put_metadata(struct buffer *b) {
    float half = 0.5f;
    put_key(b, "general.architecture", 8);
    put_string(b, "sample");
    put_key(b, "general.alignment", 4);
    put_number(b, 32, 4);
    put_key(b, "answer", 3);
    put_number(b, (uint64_t)-42, 2);
    put_key(b, "ratio", 6);
    put(b, &half, 4);
    put_key(b, "big", 10);
    put_number(b, UINT64_MAX, 8);
    put_key(b, "yes", 7);
    put_number(b, 1, 1);
    put_key(b, "words", 9);
    put_number(b, 8, 4), put_number(b, 3, 8);
    put_string(b, "one"), put_string(b, ""), put_string(b, "three");
    put_key(b, "primes", 9);
    put_number(b, 5, 4), put_number(b, 3, 8);
    put_number(b, 2, 4), put_number(b, 3, 4), put_number(b, 5, 4);
    put_key(b, "deep", 9);
    put_number(b, 9, 4), put_number(b, 2, 8);
    put_number(b, 0, 4), put_number(b, 1, 8), put_number(b, 1, 1);
    put_number(b, 0, 4), put_number(b, 2, 8), put_number(b, 2, 1), put_number(b, 3, 1);
}

static void pad(struct buffer *b) {
    while (b->size % 32) put_number(b, 0, 1);
}

void sample_gguf(struct buffer *b) {
    b->size = 0;
    put_text(b, "GGUF");
    put_number(b, 3, 4);
    put_number(b, 4, 8), put_number(b, 9, 8);
    put_metadata(b);
    put_tensor(b, "alpha", 2, (uint64_t[]){3, 2}, 0, 0);
    put_tensor(b, "beta", 2, (uint64_t[]){32, 2}, 3, 32);
    put_tensor(b, "gamma", 1, (uint64_t[]){4}, 1, 96);
    put_tensor(b, "delta", 1, (uint64_t[]){256}, 14, 128);
    pad(b);
    for (int i = 0; i < 6; i++) put(b, &(float){(float)i}, 4);
    pad(b);
    for (int i = 0; i < 2; i++) { /* d = 1, m = -2, codes 0..15 and 0..15 */
        put_number(b, 0x3c00, 2), put_number(b, 0xc000, 2);
        for (int k = 0; k < 16; k++) put_number(b, (uint64_t)(k * 17), 1);
    }
    pad(b);
    for (int i = 0; i < 4; i++) put_number(b, 0x3c00, 2);
    pad(b);
    put_counting(b, 208);
    put_number(b, 0x3c00, 2);
}

void sample_safetensors(struct buffer *b, const char *header, size_t data) {
    b->size = 0;
    put_number(b, strlen(header), 8);
    put_text(b, header);
    put_counting(b, data);
}

void sample_npy(struct buffer *b, const char *header, size_t data) {
    b->size = 0;
    put(b, "\x93NUMPY\1\0", 8);
    put_number(b, strlen(header), 2);
    put_text(b, header);
    put_counting(b, data);
}

static size_t deflate_raw(const struct buffer *in, uint8_t *out, size_t room) {
    z_stream z = {.next_in = (z_const Bytef *)in->bytes,
                  .avail_in = (uInt)in->size,
                  .next_out = out,
                  .avail_out = (uInt)room};
    if (deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) abort();
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) abort();
    deflateEnd(&z);
    return z.total_out;
}

/* Puts a member's header and data, and its entry into the directory. */
static void put_member(struct buffer *b, struct buffer *directory, const char *name, int method,
                       const struct buffer *array) {
    static uint8_t packed[1 << 14];
    size_t size = array->size, local = b->size;
    if (method) size = deflate_raw(array, packed, sizeof packed);
    struct buffer common = {.size = 0}; /* what both headers share: version to length of extra field */
    put_number(&common, 20, 2), put_number(&common, 0, 2), put_number(&common, (uint64_t)method, 2);
    put_number(&common, 0, 4);
    put_number(&common, crc32(0, array->bytes, (uInt)array->size), 4);
    put_number(&common, size, 4), put_number(&common, array->size, 4);
    put_number(&common, strlen(name), 2), put_number(&common, 0, 2);
    put(b, "PK\3\4", 4);
    put(b, common.bytes, common.size);
    put_text(b, name);
    put(b, method ? packed : array->bytes, size);
    put(directory, "PK\1\2", 4);
    put_number(directory, 20, 2);
    put(directory, common.bytes, common.size);
    put_number(directory, 0, 2), put_number(directory, 0, 2), put_number(directory, 0, 2);
    put_number(directory, 0, 4), put_number(directory, local, 4);
    put_text(directory, name);
}

void sample_npz(struct buffer *b) {
    static struct buffer directory, array;
    b->size = directory.size = 0;
    sample_npy(&array, "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2), }\n", 16);
    put_member(b, &directory, "first.npy", 0, &array);
    sample_npy(&array, "{'descr': '|u1', 'fortran_order': False, 'shape': (200,), }\n", 200);
    put_member(b, &directory, "second.npy", 8, &array);
    size_t start = b->size;
    put(b, directory.bytes, directory.size);
    put(b, "PK\5\6\0\0\0\0", 8);
    put_number(b, 2, 2), put_number(b, 2, 2);
    put_number(b, directory.size, 4), put_number(b, start, 4);
    put_number(b, 0, 2);
}
