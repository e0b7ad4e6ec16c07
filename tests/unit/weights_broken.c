/* Broken weight files: each breakage has its own words, with file and place; and no change of any file,
 * however small, may crash a reader or make it look outside the file. */
#include "tests/unit/weights_samples.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct buffer sample;

#define FF8 "\xff\xff\xff\xff\xff\xff\xff\xff"
#define COUNT(table) sizeof table / sizeof *table

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

Test(broken, each_case_in_its_words) {
    const char *words;
    for (size_t i = 0; (words = broken_sample(i, &sample)); i++) expect_error(words);
}

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
