/* Broken weight files: each breakage has its own words, with file and place; and no change of any file,
 * however small, may crash a reader or make it look outside the file. */
#include "tests/unit/weights_samples.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct buffer sample;

#define FF8 "\xff\xff\xff\xff\xff\xff\xff\xff"
#define NEST "\11\0\0\0\1\0\0\0\0\0\0\0" /* an array of one array */
#define HUGE_DIM "\0\0\0\0\0\0\0\x40"    /* 2^62 */

/* What is written over a sample: `size` bytes, `offset` bytes after the first place where `after` stands
 * (from the start, if NULL). */
struct patch {
    const char *after;
    size_t offset, size;
    const char *bytes, *words;
};
#define BYTES(text) sizeof text - 1, text

static const struct patch gguf[] = {
    {NULL, 0, BYTES("GGUX"), "begins as none of GGUF, safetensors, npy and npz does"},
    {NULL, 4, BYTES("\4\0\0\0"), "GGUF version 4 is not supported"},
    {NULL, 4, BYTES("\0\0\0\3"), "big-endian"},
    {NULL, 8, BYTES(FF8), "the number of tensors is 18446744073709551615, too large"},
    {NULL, 8, BYTES("\5"), "a tensor's name is empty"},
    {NULL, 16, BYTES(FF8), "the number of metadata pairs is 18446744073709551615, too large"},
    {NULL, 24, BYTES(FF8), "the file ends inside a metadata key"},
    {NULL, 24, BYTES("\0"), "a metadata key is empty"},
    {"general.architecture", 0, BYTES("\xff"), "a metadata key is not UTF-8 (at byte 32)"},
    {"general.architecture", 19, BYTES("\xe2"), "a metadata key is not UTF-8"},
    {"answer", 0, BYTES("\xc0\xaf"), "a metadata key is not UTF-8"},     /* overlong */
    {"answer", 0, BYTES("\xed\xa0\x80"), "a metadata key is not UTF-8"}, /* surrogate */
    {"answer", 1, BYTES("\xf7\xbf\xbf\xbf"), "a metadata key is not UTF-8"},
    {"general.architecture", 3, BYTES("\0"), "a metadata key has a control character, 0"},
    {"answer", 6, BYTES("\15"), "metadata 'answer': there is no value type 13"},
    {"words", 0, BYTES("ratio"), "metadata 'ratio' stands there twice"},
    {"yes", 7, BYTES("\2"), "metadata 'yes': a bool is 2"},
    {"general.architecture", 24, BYTES(FF8), "the file ends inside metadata 'general.architecture'"},
    {"primes", 14, BYTES(FF8), "metadata 'primes': 18446744073709551615 values of i32 do not fit"},
    {"primes", 10, BYTES("\143"), "metadata 'primes': there is no value type 99"},
    {"words", 13, BYTES(FF8), "values of string do not fit"},
    {"words", 21, BYTES(FF8), "the file ends inside metadata 'words'"},
    {"deep", 8, BYTES(NEST NEST NEST NEST NEST), "arrays are nested more than 4 deep"},
    {"general.alignment", 21, BYTES("\0"), "'general.alignment' must be a power of two from 8"},
    {"general.alignment", 21, BYTES("\30"), "'general.alignment' must be a power of two"},
    {"general.alignment", 17, BYTES("\6"), "'general.alignment' must be a power of two"},
    {"alpha", 5, BYTES("\11"), "tensor 'alpha' has 9 dimensions"},
    {"alpha", 5, BYTES("\xff\xff\xff\xff"), "tensor 'alpha' has 4294967295 dimensions"},
    {"alpha", 9, BYTES(FF8), "tensor 'alpha': dimension 1 is 18446744073709551615"},
    {"alpha", 9, BYTES(HUGE_DIM "\4"), "tensor 'alpha': the product of its dimensions overflows"},
    {"alpha", 9, BYTES(HUGE_DIM "\1"), "tensor 'alpha': its size in bytes overflows"},
    {"alpha", 9, BYTES("\0\1"), "tensor 'alpha': its 2048 bytes of data"},
    {"beta", 8, BYTES("\41"), "tensor 'beta': rows of 33 are no whole blocks of q4_1's 32 elements"},
    {"alpha", 25, BYTES("\4"), "tensor 'alpha': type 4 is not supported"},
    {"alpha", 25, BYTES("\12"), "tensor 'alpha': type 10 (Q2_K) is not supported"},
    {"alpha", 29, BYTES("\1"), "tensor 'alpha': its offset, 1, is no multiple of the alignment, 32"},
    {"alpha", 29, BYTES("\0\0\1"), "tensor 'alpha': its 24 bytes of data"},
    {"alpha", 29, BYTES("\xe0\xff\xff\xff\xff\xff\xff\xff"), "end past the end of the file"},
    {"alpha", 29, BYTES("\40"), "tensor 'beta': its data overlaps that of 'alpha'"},
    {"gamma", 0, BYTES("alpha"), "two tensors have the name 'alpha'"},
    {"gamma", 1, BYTES("\n"), "a tensor's name has a control character, 10"},
};

static const struct patch npz[] = {
    {"PK\5\6", 0, BYTES("XX"), "no directory at its end"},
    {"PK\5\6", 4, BYTES("\1"), "archives in several parts"},
    {"PK\5\6", 8, BYTES("\3\0\3"), "the archive's directory is broken here"},
    {"PK\5\6", 8, BYTES("\1\0\1"), "goes on after its 1 members"},
    {"PK\5\6", 10, BYTES("\xff\xff"), "zip64"},
    {"PK\5\6", 12, BYTES("\0"), "does not end here"},
    {"PK\5\6", 16, BYTES("\xff\xff\xff\x7f"), "does not end here"},
    {"PK\5\6", 20, BYTES("\1"), "no directory at its end"},
    {"PK\1\2", 0, BYTES("X"), "the archive's directory is broken here"},
    {"PK\1\2", 8, BYTES("\1"), "member 'first.npy' is encrypted"},
    {"PK\1\2", 10, BYTES("\14"), "member 'first.npy': compression method 12"},
    {"PK\1\2", 10, BYTES("\10"), "member 'first.npy': its compressed data is broken"},
    {"PK\1\2", 16, BYTES("\1\2\3\4"), "member 'first.npy': its checksum differs"},
    {"PK\1\2", 20, BYTES("\1"), "bytes cannot be stored in 1"},
    {"PK\1\2", 20, BYTES("\0\0\1\0\0\0\1\0"), "member 'first.npy': its 65536 bytes reach into the directory"},
    {"PK\1\2", 24, BYTES("\xff\xff\xff\xff"), "zip64"},
    {"PK\1\2", 28, BYTES("\xff\xff"), "the archive's directory is cut short"},
    {"PK\1\2", 28, BYTES("\0\0\11"), "a member's name is empty"},
    {"PK\1\2", 42, BYTES("\1"), "member 'first.npy': there is no member at byte 1"},
    {"PK\1\2", 42, BYTES("\xff\xff\xff\x7f"), "there is no member at byte 2147483647"},
    {"PK\1\2", 46, BYTES("other"), "member 'other.npy' has another name here"},
    {"PK\1\2", 46, BYTES("first.txt"), "member 'first.txt' is no .npy file"},
    {"PK\1\2", 46, BYTES("\xc3"), "a member's name is not UTF-8"},
    {"first.npy", 9, BYTES("X"), "member 'first.npy': its checksum differs"},
    {"second.npy", 10, BYTES("\xff\xff"), "member 'second.npy': its compressed data is broken"},
};

struct header { /* a sample with this header and so much data */
    const char *text;
    size_t data;
    const char *words;
};
#define ENTRY(rest) "{\"x\":{" rest "}}"
#define F32(shape, offsets) "\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets
#define TWO(a, b) "{\"x\":{" a "},\"y\":{" b "}}"

static const struct header safetensors[] = {
    {"[]", 0, "the header is no JSON object (at byte 8)"},
    {"{\"x\":", 0, "the header is not valid JSON"},
    {"{} x", 0, "the header is not valid JSON"},
    {"{\"\xff\":{}}", 0, "the header is not valid JSON"},
    {"{\"a\\u0000b\":{}}", 0, "the header is not valid JSON"},
    {"{\"a\\u0001b\":{}}", 0, "a tensor's name has a control character, 1"},
    {"{\"\":{}}", 0, "a tensor's name is empty"},
    {"{\"x\":{},\"x\":{}}", 0, "duplicate object key"},
    {"{\"x\":7}", 0, "tensor 'x' is no JSON object (at byte 10)"},
    {"{\"__metadata__\":[]}", 0, "\"__metadata__\" is no JSON object"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "metadata 'k' is no string"},
    {ENTRY("\"shape\":[1],\"data_offsets\":[0,4]"), 4, "tensor 'x' has no \"dtype\""},
    {ENTRY("\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]"), 1,
     "tensor 'x': dtype 'F8_E4M3' is not supported"},
    {ENTRY("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, "tensor 'x' has no list \"shape\""},
    {ENTRY(F32("[1.0]", "[0,4]")), 4, "dimension 0 is no integer"},
    {ENTRY(F32("[-1]", "[0,4]")), 4, "tensor 'x': dimension 0 is -1"},
    {ENTRY(F32("[1,1,1,1,1,1,1,1,1]", "[0,4]")), 4, "tensor 'x' has 9 dimensions"},
    {ENTRY(F32("[99999999999999999999]", "[0,4]")), 4, "too big integer"},
    {ENTRY(F32("[4611686018427387904,0,4]", "[0,0]")), 0, "the product of its dimensions overflows"},
    {ENTRY(F32("[4611686018427387904]", "[0,4]")), 4, "its size in bytes overflows"},
    {ENTRY("\"dtype\":\"F32\",\"shape\":[1]"), 4, "no two integers \"data_offsets\""},
    {ENTRY(F32("[1]", "[0]")), 4, "no two integers \"data_offsets\""},
    {ENTRY(F32("[1]", "[0,\"4\"]")), 4, "no two integers \"data_offsets\""},
    {ENTRY(F32("[1]", "[-4,0]")), 4, "tensor 'x': its data from -4 to 0 is no range"},
    {ENTRY(F32("[1]", "[4,0]")), 4, "tensor 'x': its data from 4 to 0 is no range"},
    {ENTRY(F32("[2]", "[0,4]")), 4, "tensor 'x': its shape takes 8 bytes of f32, but it has 4"},
    {ENTRY(F32("[2]", "[0,8]")), 7, "tensor 'x': its 8 bytes of data"},
    {ENTRY(F32("[1]", "[9223372036854775803,9223372036854775807]")), 4, "end past the end of the file"},
    {ENTRY(F32("[1]", "[4,8]")), 8, "4 bytes before tensor 'x' belong to none"},
    {ENTRY(F32("[1]", "[0,4]")), 6, "2 bytes after the last tensor belong to none"},
    {TWO(F32("[2]", "[0,8]"), F32("[2]", "[4,12]")), 12, "tensor 'y': its data overlaps that of 'x'"},
};

#define DICT(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape "}"

static const struct header npy[] = {
    {"", 0, "the header lacks '{' here"},
    {"{", 0, "the header lacks a string here"},
    {"{}", 0, "needs 'descr', 'fortran_order' and 'shape'"},
    {"{'descr' '<f4'}", 0, "the header lacks ':' here"},
    {"{'descr': '<f4", 0, "the header ends inside a string"},
    {"{'descr': '<f4', 'descr': '<f4'}", 0, "has two 'descr'"},
    {"{'color': 'red'}", 0, "has an unknown 'color'"},
    {"{'descr': '<f4' 'x'}", 0, "the header lacks '}' here"},
    {DICT("'<f4'", "False", "(1,)") " x", 4, "goes on after '}'"},
    {DICT("'>f4'", "False", "(1,)"), 4, "element type '>f4' is not supported"},
    {DICT("'|O'", "False", "(1,)"), 4, "element type '|O' is not supported"},
    {DICT("[('a', '<f4')]", "False", "(1,)"), 4, "array of records"},
    {DICT("'<f4'", "True", "(1,)"), 4, "Fortran order"},
    {DICT("'<f4'", "0", "(1,)"), 4, "neither True nor False"},
    {DICT("'<f4'", "False", "1"), 4, "lacks '(' here"},
    {DICT("'<f4'", "False", "(-1,)"), 4, "lacks a dimension here"},
    {DICT("'<f4'", "False", "(1 2)"), 4, "lacks ')' here"},
    {DICT("'<f4'", "False", "(1,1,1,1,1,1,1,1,1)"), 4, "has too many dimensions"},
    {DICT("'<f4'", "False", "(99999999999999999999,)"), 4, "a dimension that overflows"},
    {DICT("'<f4'", "False", "(4611686018427387904, 4)"), 4, "the product of its dimensions overflows"},
    {DICT("'<f4'", "False", "(2,)"), 7, "its shape takes 8 bytes of f32, but it has 7"},
    {DICT("'<f4'", "False", "(2,)"), 9, "its shape takes 8 bytes of f32, but it has 9"},
};

/* Reads a copy of exactly the sample's size, so that AddressSanitizer sees a byte read too many. The error
 * must name the file and a place. */
static struct weights *read_sample(struct arena *a, uint8_t **copy, char **error) {
    *copy = malloc(sample.size + !sample.size);
    memcpy(*copy, sample.bytes, sample.size);
    struct weights *w = weights_read(a, "dir/x.bin", *copy, sample.size, error);
    if (!w) cr_assert(!strncmp(*error, "dir/x.bin: ", 11) && strstr(*error, " (at byte "), "%s", *error);
    return w;
}

static void expect_error(const char *words) {
    struct arena *a = arena_new();
    uint8_t *copy;
    char *error = NULL;
    cr_assert_null(read_sample(a, &copy, &error), "nothing said '%s'", words);
    cr_assert(strstr(error, words), "'%s' does not say '%s'", error, words);
    free(copy);
    arena_release(a);
}

static void expect_patches(void (*build)(struct buffer *), const struct patch *patches, size_t count) {
    for (const struct patch *p = patches; p < patches + count; p++) {
        build(&sample);
        uint8_t *at = sample.bytes;
        if (p->after) at = memmem(at, sample.size, p->after, strlen(p->after));
        cr_assert(at && p->offset + p->size <= (size_t)(sample.bytes + sample.size - at), "%s", p->words);
        memcpy(at + p->offset, p->bytes, p->size);
        expect_error(p->words);
    }
}

static void expect_headers(void (*build)(struct buffer *, const char *, size_t), const struct header *headers,
                           size_t count) {
    for (const struct header *h = headers; h < headers + count; h++) {
        build(&sample, h->text, h->data);
        expect_error(h->words);
    }
}
#define COUNT(table) sizeof table / sizeof *table

Test(broken, gguf) { expect_patches(sample_gguf, gguf, COUNT(gguf)); }
Test(broken, npz) { expect_patches(sample_npz, npz, COUNT(npz)); }
Test(broken, safetensors) { expect_headers(sample_safetensors, safetensors, COUNT(safetensors)); }
Test(broken, npy) { expect_headers(sample_npy, npy, COUNT(npy)); }

Test(broken, lengths_of_headers) {
    sample_safetensors(&sample, SAFETENSORS_HEADER, 40);
    memcpy(sample.bytes, "\0\1\0\0\0\0\0", 8);
    expect_error("the header's length is 256, too large for a file of");
    memcpy(sample.bytes, FF8, 8);
    expect_error("the header's length is 18446744073709551615");
    sample_npy(&sample, NPY_HEADER, 24);
    sample.bytes[9] = 4;
    expect_error("the file ends inside the header");
    sample.bytes[6] = 9;
    expect_error("npy version 9 is not supported");
    sample.bytes[6] = 2; /* whose length has four bytes */
    expect_error("is too long");
    sample.size = 0;
    expect_error("the file is empty");
    put_text(&sample, "{\"weight_map\":{}}");
    expect_error("an index in memory");
}

static void sample_one_safetensors(struct buffer *b) { sample_safetensors(b, SAFETENSORS_HEADER, 40); }
static void sample_one_npy(struct buffer *b) { sample_npy(b, NPY_HEADER, 24); }
static void (*const builders[])(struct buffer *) = {sample_gguf, sample_npz, sample_one_safetensors,
                                                    sample_one_npy};

Test(broken, cut_anywhere) {
    struct arena *a = arena_new();
    for (size_t k = 0; k < COUNT(builders); k++) {
        builders[k](&sample);
        for (sample.size--; sample.size < sizeof sample.bytes; sample.size--) {
            uint8_t *copy;
            char *error = NULL;
            arena_reset(a);
            cr_assert_null(read_sample(a, &copy, &error), "a file cut to %zu bytes is read", sample.size);
            free(copy);
        }
    }
}

/* What is read must lie in the file (or, inflated, in the arena: AddressSanitizer knows), and be readable. */
static void use(const struct weights *w, const uint8_t *bytes, size_t size) {
    static double values[256];
    for (int i = 0; i < w->count; i++) {
        const struct weight_tensor *t = &w->tensors[i];
        const uint8_t *data = t->data;
        if (strcmp(w->kind, "npz")) cr_assert(data >= bytes && data + t->bytes <= bytes + size);
        cr_assert_eq(weights_find(w, t->name), t);
        int block = format_info(t->format)->elements;
        for (int64_t k = 0; k < t->elements; k += block) format_decode(t->format, t->data, k, block, values);
    }
    for (int i = 0; i < w->metadata_count; i++) {
        const struct metadata *m = &w->metadata[i];
        cr_assert_eq(metadata_find(w, m->key), m);
        size_t sum = 0;
        for (int64_t k = 0; m->kind == METADATA_STRING && k < m->count; k++)
            for (size_t c = 0; c < metadata_string(m, k).length; c++)
                sum += (uint8_t)metadata_string(m, k).bytes[c];
        for (int64_t k = 0; m->kind != METADATA_STRING && k < m->count; k++)
            sum += (size_t)metadata_integer(m, k) + (metadata_float(m, k) > 0);
        cr_assert_geq(sum, 0);
    }
}

static int read_mutant(struct arena *a) { /* 1: it is valid */
    uint8_t *copy;
    char *error = NULL;
    arena_reset(a);
    struct weights *w = read_sample(a, &copy, &error);
    if (w) use(w, copy, sample.size);
    free(copy);
    return w != NULL;
}

Test(broken, each_bit_flipped) {
    struct arena *a = arena_new();
    for (size_t k = 0; k < COUNT(builders); k++) {
        builders[k](&sample);
        int valid = 0;
        for (size_t bit = 0; bit < 8 * sample.size; bit++) {
            sample.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            valid += read_mutant(a);
            sample.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        cr_log_info("sample %zu: %d of %zu flips leave a valid file", k, valid, 8 * sample.size);
        cr_assert_eq(read_mutant(a), 1);
    }
}

static unsigned random_below(unsigned limit) {
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % limit;
}

Test(broken, random_changes) {
    static const uint8_t telling[] = {0,    1,    2,   7,   8,   0x20, 0x7f, 0x80,
                                      0xfe, 0xff, '0', '9', '"', '[',  '{',  0xc3};
    struct arena *a = arena_new();
    for (int round = 0; round < 20000; round++) {
        builders[round % (int)COUNT(builders)](&sample);
        unsigned changes = 1 + random_below(6), at = random_below((unsigned)sample.size);
        for (unsigned i = 0; i < changes; i++) {
            sample.bytes[at] = telling[random_below(sizeof telling)];
            at = random_below(2) ? (at + 1) % (unsigned)sample.size : random_below((unsigned)sample.size);
        }
        read_mutant(a);
    }
}
