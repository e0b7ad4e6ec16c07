/* The broken files: what is changed in which sample, and the words that must be said of it. */
#include "tests/unit/weights_samples.h"
#include <stdlib.h>
#include <string.h>

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
    {"{\"\\u0061\":{" F32("[1]", "[0,4]") "},\"\":{}}", 4, "a tensor's name is empty (at byte 8)"},
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

#define COUNT(table) sizeof table / sizeof *table

/* A row a kind of file: samples that are patched, or headers that are wrong from the start. */
static const struct {
    void (*sample)(struct buffer *b);
    const struct patch *patches;
    void (*with_header)(struct buffer *b, const char *header, size_t data);
    const struct header *headers;
    size_t count;
} kinds[] = {
    {.sample = sample_gguf, .patches = gguf, .count = COUNT(gguf)},
    {.sample = sample_npz, .patches = npz, .count = COUNT(npz)},
    {.with_header = sample_safetensors, .headers = safetensors, .count = COUNT(safetensors)},
    {.with_header = sample_npy, .headers = npy, .count = COUNT(npy)},
};

static void apply(const struct patch *p, struct buffer *b) {
    uint8_t *at = b->bytes;
    if (p->after) at = memmem(at, b->size, p->after, strlen(p->after));
    if (!at || p->offset + p->size > (size_t)(b->bytes + b->size - at)) abort();
    memcpy(at + p->offset, p->bytes, p->size);
}

const char *broken_sample(size_t number, struct buffer *b) {
    for (size_t k = 0; k < COUNT(kinds); number -= kinds[k++].count) {
        if (number >= kinds[k].count) continue;
        if (kinds[k].patches) {
            kinds[k].sample(b);
            apply(&kinds[k].patches[number], b);
            return kinds[k].patches[number].words;
        }
        kinds[k].with_header(b, kinds[k].headers[number].text, kinds[k].headers[number].data);
        return kinds[k].headers[number].words;
    }
    return NULL;
}
