/* The examples' reader of GGUF metadata: what it finds, and that no damaged file makes it read outside the
 * file. */
#include "examples/common/gguf_meta.h"
#include "examples/common/bpe.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { U32 = 4, I32 = 5, STRING = 8, ARRAY = 9 };

/* A file in the making. */
struct file {
    unsigned char bytes[4096];
    size_t length;
};

static void put(struct file *f, uint64_t value, size_t width) {
    for (size_t i = 0; i < width; i++) f->bytes[f->length++] = (unsigned char)(value >> 8 * i);
}

static void put_text(struct file *f, const char *text) {
    put(f, strlen(text), 8);
    memcpy(f->bytes + f->length, text, strlen(text));
    f->length += strlen(text);
}

static void put_key(struct file *f, const char *name, uint32_t type) {
    put_text(f, name);
    put(f, type, 4);
}

static void put_array(struct file *f, const char *name, uint32_t type, uint64_t count) {
    put_key(f, name, ARRAY);
    put(f, type, 4);
    put(f, count, 8);
}

/* A tokenizer of three tokens and one rule. */
static void make_file(struct file *f) {
    *f = (struct file){{0}, 0};
    memcpy(f->bytes, "GGUF", 4);
    f->length = 4;
    put(f, 3, 4);
    put(f, 0, 8);
    put(f, 6, 8);
    put_key(f, "tokenizer.ggml.model", STRING), put_text(f, "gpt2");
    put_key(f, "tokenizer.ggml.pre", STRING), put_text(f, "smollm");
    put_array(f, "tokenizer.ggml.tokens", STRING, 3), put_text(f, "a"), put_text(f, "b"), put_text(f, "ab");
    put_array(f, "tokenizer.ggml.token_type", I32, 3), put(f, 1, 4), put(f, 1, 4), put(f, 1, 4);
    put_array(f, "tokenizer.ggml.merges", STRING, 1), put_text(f, "a b");
    put_key(f, "tokenizer.ggml.eos_token_id", U32), put(f, 2, 4);
}

static struct gguf_meta *open_bytes(const unsigned char *bytes, size_t length, struct error *e) {
    char path[] = "/tmp/gguf-XXXXXX";
    int descriptor = mkstemp(path);
    cr_assert(descriptor >= 0);
    cr_assert_eq(write(descriptor, bytes, length), (ssize_t)length);
    close(descriptor);
    struct gguf_meta *meta = gguf_meta_open(path, e);
    unlink(path);
    return meta;
}

Test(gguf_meta, finds_keys) {
    struct file f;
    struct error e = {""};
    make_file(&f);
    struct gguf_meta *meta = open_bytes(f.bytes, f.length, &e);
    cr_assert(meta, "%s", e.text);
    struct text text, *texts;
    uint64_t number;
    int32_t *ints;
    size_t count;
    cr_expect(gguf_meta_text(meta, "tokenizer.ggml.model", &text) && text_equal(text, text_of("gpt2")));
    cr_expect(gguf_meta_uint(meta, "tokenizer.ggml.eos_token_id", &number) && number == 2);
    cr_expect_not(gguf_meta_uint(meta, "tokenizer.ggml.model", &number));
    cr_expect_not(gguf_meta_text(meta, "absent", &text));
    cr_assert(gguf_meta_texts(meta, "tokenizer.ggml.tokens", &texts, &count) && count == 3);
    cr_expect(text_equal(texts[2], text_of("ab")));
    cr_assert(gguf_meta_ints(meta, "tokenizer.ggml.token_type", &ints, &count) && count == 3);
    cr_expect_eq(ints[1], 1);
    free(texts);
    free(ints);
    gguf_meta_close(meta);
}

Test(gguf_meta, a_tokenizer_comes_out) {
    struct file f;
    struct error e = {""};
    struct ids ids = {0};
    make_file(&f);
    struct gguf_meta *meta = open_bytes(f.bytes, f.length, &e);
    cr_assert(meta, "%s", e.text);
    struct bpe *b = bpe_from_gguf(meta, &e);
    gguf_meta_close(meta); /* the encoder keeps what it needs */
    cr_assert(b, "%s", e.text);
    bpe_encode(b, text_of("aba"), &ids);
    cr_expect(ids.count == 2 && ids.data[0] == 2 && ids.data[1] == 0);
    ids_free(&ids);
    bpe_free(b);
}

Test(gguf_meta, waits_for_no_fifo, .timeout = 20) {
    char path[64];
    struct error e;
    snprintf(path, sizeof path, "/tmp/gguf-fifo-%d", (int)getpid());
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_null(gguf_meta_open(path, &e));
    cr_expect(strstr(e.text, "not a file"));
    unlink(path);
}

Test(gguf_meta, refuses_every_truncation) {
    struct file f;
    make_file(&f);
    for (size_t length = 0; length < f.length; length++) {
        struct error e = {""};
        cr_expect_null(open_bytes(f.bytes, length, &e), "%zu bytes of %zu were accepted", length, f.length);
        cr_expect(e.text[0] == '/', "an error names its file: %s", e.text);
    }
}

Test(gguf_meta, survives_every_flipped_bit) {
    struct file f;
    make_file(&f);
    for (size_t bit = 0; bit < 8 * f.length; bit++) {
        struct error e = {""};
        f.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        struct gguf_meta *meta = open_bytes(f.bytes, f.length, &e);
        struct bpe *b = meta ? bpe_from_gguf(meta, &e) : NULL;
        cr_expect(b || e.text[0], "bit %zu: no reason is given", bit);
        bpe_free(b);
        gguf_meta_close(meta);
        f.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
}

Test(gguf_meta, refuses_absurd_counts) {
    struct file f;
    struct error e = {""};
    make_file(&f);
    f.length = 24; /* the header and one array of 2^63 strings */
    put_array(&f, "tokenizer.ggml.tokens", STRING, UINT64_C(1) << 63);
    cr_expect_null(open_bytes(f.bytes, f.length, &e));
    f.length = 24;
    put_array(&f, "tokenizer.ggml.token_type", I32, UINT64_C(1) << 62); /* times four is 0 */
    cr_expect_null(open_bytes(f.bytes, f.length, &e));
    cr_expect_null(gguf_meta_open("/nowhere/at.all", &e));
    cr_expect(strstr(e.text, "/nowhere/at.all"), "%s", e.text);
}
