/* No text, however broken, crashes the frontend or takes it long: every prefix of the texts in tests/frontend
 * and examples, and the same texts with tokens deleted, doubled and exchanged. Same seed, same texts. */
#include "frontend/frontend.h"
#include "ir/print.h"
#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *folder(void) { return getenv("srcdir") ? getenv("srcdir") : "."; }

static char *read_all(const char *path, size_t *length) {
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s", path);
    char *text = calloc(1, 1 << 20);
    *length = fread(text, 1, (1 << 20) - 1, f);
    fclose(f);
    return text;
}

/* Parses exactly `length` bytes; whatever is right must print. */
static void feed(const char *text, size_t length) {
    struct arena *a = arena_new();
    struct diag d;
    FILE *null = fopen("/dev/null", "w");
    char *exact = malloc(length ? length : 1); /* so that a sanitizer sees a read past the end */
    memcpy(exact, text, length);
    diag_init(&d, a, null);
    struct frontend_options options = {.unbound = true};
    clock_t start = clock();
    struct graph *g = frontend_parse(a, &d, "-", exact, length, &options);
    if (!d.errors) graph_print(g, null);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    cr_assert(seconds < 5, "%.1f s for\n%.*s", seconds, (int)length, text);
    fclose(null);
    free(exact);
    arena_release(a);
}

static void each_text(void (*use)(const char *text, size_t length)) {
    static const char *const patterns[] = {"tests/frontend/*.mdl", "examples/*/*.mdl"};
    int seen = 0;
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
        char pattern[4096];
        glob_t found;
        snprintf(pattern, sizeof pattern, "%s/%s", folder(), patterns[p]);
        if (glob(pattern, 0, NULL, &found)) continue;
        for (size_t i = 0; i < found.gl_pathc; i++, seen++) {
            size_t length;
            char *text = read_all(found.gl_pathv[i], &length);
            if (!strstr(found.gl_pathv[i], "expo") && !strstr(found.gl_pathv[i], "too_much"))
                use(text, length);
            free(text);
        }
        globfree(&found);
    }
    cr_assert(seen > 10, "no texts below %s", folder());
}

/* Long texts are cut at every line and at a sample of bytes, the others at every byte. */
static void feed_prefixes(const char *text, size_t length) {
    size_t step = length / 300 + 1;
    for (size_t n = 0; n <= length; n += step) feed(text, n);
}

Test(frontend_fuzz, prefixes) { each_text(feed_prefixes); }

static uint64_t state;
static uint32_t below(uint32_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % n;
}

/* Splits into words, numbers, blanks and single characters. */
static size_t token_end(const char *text, size_t at, size_t length) {
    const char *word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.";
    size_t end = at + 1;
    if (!strchr(word, text[at])) return end;
    while (end < length && text[end] && strchr(word, text[end])) end++;
    return end;
}

static void feed_mutated(const char *text, size_t length) {
    enum { TOKENS = 20000 };
    static size_t starts[TOKENS + 1];
    int count = 0;
    for (size_t at = 0; at < length && count < TOKENS; at = starts[count]) {
        starts[count] = at;
        starts[++count] = token_end(text, at, length);
    }
    for (int round = 0; count && round < 60; round++) {
        char *out = malloc(4 * length + 64);
        size_t n = 0;
        int changes = 1 + (int)below(6), places[8];
        for (int i = 0; i < changes; i++) places[i] = (int)below((uint32_t)count);
        for (int i = 0; i < count; i++) {
            int copies = 1, from = i;
            for (int k = 0; k < changes; k++)
                if (places[k] == i) copies = (int)below(3), from = below(2) ? i : (int)below((uint32_t)count);
            for (; copies-- && n + starts[from + 1] - starts[from] < 4 * length;
                 n += starts[from + 1] - starts[from])
                memcpy(out + n, text + starts[from], starts[from + 1] - starts[from]);
        }
        feed(out, n);
        free(out);
    }
}

Test(frontend_fuzz, mutations) {
    state = 20240229;
    each_text(feed_mutated);
}

Test(frontend_fuzz, towers) {
    static const char *const parts[] = {"(",
                                        "[",
                                        "{",
                                        "-",
                                        "not ",
                                        "f(",
                                        "x[",
                                        "a = ",
                                        "1 + ",
                                        "x ** ",
                                        "for i in 0..9 {\n",
                                        "fn f(x: f32) {\n",
                                        "\"",
                                        "{i}",
                                        "x, ",
                                        "kernel k (x) -> y : f32 {\n",
                                        "@m(",
                                        "@m([a, ",
                                        "stage 0 {\n",
                                        "mesh m = <a=2> ",
                                        "if "};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t each = strlen(parts[i]), n = 0;
        char *text = malloc(400000 + 100);
        n += (size_t)sprintf(text, "export fn f(x: f32[4]) {\ny = ");
        for (; n < 400000; n += each) memcpy(text + n, parts[i], each);
        feed(text, n);
        feed(text + 29, n - 29);
        free(text);
    }
}
