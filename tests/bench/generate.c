/* What generation does beyond a token a call, measured on compiled SmolLM2: guessing ahead (--lookup), and a
 * prompt whose state is restored from a file (--prefix).
 *
 *     bench-generate LIBRARY --gguf=FILE [--tokens=128] [--pp=512] [--threads=2] [--weights=FILE]
 *
 * Prints one JSON object a line, as peers.py does: {"peer", "work", "value", "unit"}. Ways are measured in
 * turns, so that all see the same machine; figures are medians. */
#include "examples/common/bpe.h"
#include "examples/common/speculate.h"
#include "tests/bench/measure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option_spec options[] = {
    {0, "gguf", "FILE", "the GGUF file, for its tokenizer", NULL},
    {0, "tokens", "N", "tokens to generate [128]", NULL},
    {0, "pp", "N", "tokens of the prompt that is restored [512]", NULL},
    MEASURE_OPTION_ROWS,
    {0}};
static const struct option_program program = {
    .name = "bench-generate",
    .version = "0",
    .summary = "measure guessing ahead and restored prompts",
    .usage = (const char *const[]){"[OPTION...] LIBRARY", NULL},
    .description = "Prints tokens a second and times to the first token, medians over repeated runs.",
    .options = options,
};

enum { RUNS = 5, MOST = 4096, CONTEXT = 8192 };

/* Text to be said again, and text that is new. */
static const char copied[] =
    "struct point { int x, y; };\n"
    "static int distance(struct point a, struct point b) {\n"
    "    int dx = a.x - b.x, dy = a.y - b.y;\n"
    "    return dx * dx + dy * dy;\n"
    "}\n"
    "static struct point nearest(const struct point *points, int count, struct point to) {\n"
    "    struct point best = points[0];\n"
    "    for (int i = 1; i < count; i++)\n"
    "        if (distance(points[i], to) < distance(best, to)) best = points[i];\n"
    "    return best;\n"
    "}\n";
static const char fresh[] = "Once upon a time, in a small village by the sea, there lived";

struct bench {
    struct measured m;
    uint32_t forward, choices;
    float *logits; /* [vocabulary] */
    int64_t vocabulary, tokens;
};

/* ---- the model ---- */

static int32_t likeliest(const struct bench *b) {
    int64_t best = 0;
    for (int64_t i = 1; i < b->vocabulary; i++)
        if (b->logits[i] > b->logits[best]) best = i;
    return (int32_t)best;
}

static int32_t forward(struct bench *b, const int32_t *tokens, int64_t count, int32_t position) {
    measure_call(&b->m, b->forward, count, (const void *[]){tokens, &position}, b->logits);
    return likeliest(b);
}

static bool choices(void *context, size_t count, const int32_t *tokens, int32_t position, int32_t *chosen,
                    struct error *e) {
    struct bench *b = context;
    int32_t rows[SPECULATE_MOST];
    int64_t dims[] = {(int64_t)count, (int64_t)count};
    const void *inputs[] = {tokens, rows, &position};
    void *results[] = {chosen};
    for (size_t i = 0; i < count; i++) rows[i] = (int32_t)i;
    if (b->m.api->call(b->m.session, b->choices, dims, inputs, results) == MDL_OK) return true;
    return fail(e, "%s", b->m.api->error(b->m.session));
}

/* ---- guessing ahead ---- */

/* Tokens a second after the prompt; the tokens go to `out`. `s`: guesses, or NULL. */
static double generate(struct bench *b, const struct ids *prompt, struct speculation *s, int32_t *out) {
    struct error e;
    b->m.api->session_reset(b->m.session);
    int32_t token = forward(b, prompt->data, (int64_t)prompt->count, 0);
    if (s) speculate_read(s, prompt->data, prompt->count);
    double begun = measure_now();
    for (int64_t i = 0; i < b->tokens; i++) {
        out[i] = token;
        if (!s)
            token = forward(b, &token, 1, (int32_t)((int64_t)prompt->count + i));
        else if (!speculate_next(s, token, (size_t)(b->tokens - i), &token, &e))
            measure_fail(e.text);
    }
    return (double)b->tokens / (measure_now() - begun);
}

static void guessing(struct bench *b, struct bpe *bpe, const char *text, const char *name) {
    static int32_t plain[MOST], guessed[MOST];
    double rates[2][RUNS];
    size_t accepted = 0;
    struct ids prompt = {0};
    char work[80];
    bpe_encode(bpe, text_of(text), &prompt);
    for (int run = 0; run < RUNS; run++) {
        struct speculation s = {.model = {b, choices, CONTEXT}};
        rates[0][run] = generate(b, &prompt, NULL, plain);
        rates[1][run] = generate(b, &prompt, &s, guessed);
        accepted = s.accepted;
        speculate_free(&s);
        if (memcmp(plain, guessed, (size_t)b->tokens * sizeof *plain))
            measure_fail("guessing ahead gives other tokens");
    }
    for (int way = 0; way < 2; way++) {
        snprintf(work, sizeof work, "%s tg%lld%s", name, (long long)b->tokens, way ? " lookup" : "");
        measure_print(&b->m, work, measure_median(rates[way], RUNS), "tokens/s");
    }
    snprintf(work, sizeof work, "%s tg%lld guessed rightly", name, (long long)b->tokens);
    measure_print(&b->m, work, (double)accepted, "tokens");
    ids_free(&prompt);
}

/* ---- a prompt from a file ---- */

/* Milliseconds until the first token is known: of a prompt that is new, and of one whose state a file has, of
 * which the last token is evaluated. */
static void prompts(struct bench *b, int64_t count) {
    char path[] = "/tmp/bench-generate-XXXXXX", work[80];
    double cold[RUNS], saving[RUNS], restored[RUNS];
    int32_t *tokens = allocate((size_t)count, sizeof *tokens), a, c;
    int fd = mkstemp(path);
    if (fd < 0) measure_fail("no temporary file");
    close(fd);
    for (int64_t i = 0; i < count; i++) tokens[i] = measure_token(i);
    for (int run = 0; run < RUNS; run++) {
        b->m.api->session_reset(b->m.session);
        double begun = measure_now();
        a = forward(b, tokens, count, 0);
        cold[run] = 1e3 * (measure_now() - begun);
        begun = measure_now();
        if (b->m.api->session_save(b->m.session, path, tokens, (uint64_t)count * sizeof *tokens))
            measure_fail(b->m.api->error(b->m.session));
        saving[run] = 1e3 * (measure_now() - begun);
        b->m.api->session_reset(b->m.session);
        begun = measure_now();
        if (b->m.api->session_load(b->m.session, path, NULL, 0, NULL))
            measure_fail(b->m.api->error(b->m.session));
        c = forward(b, tokens + count - 1, 1, (int32_t)count - 1);
        restored[run] = 1e3 * (measure_now() - begun);
        if (a != c) measure_fail("a restored prompt gives another token");
    }
    const struct {
        const char *name;
        double *times;
    } rows[] = {{"cold", cold}, {"restored", restored}, {"saving", saving}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(work, sizeof work, "first token of pp%lld %s", (long long)count, rows[i].name);
        measure_print(&b->m, work, measure_median(rows[i].times, RUNS), "ms");
    }
    unlink(path);
    free(tokens);
}

/* The number of tokens that an option says, from 1 to `most`. */
static int64_t count_of(const struct option_list *list, const char *name, int64_t fallback, int64_t most) {
    int64_t count = measure_number(list, name, fallback);
    if (count < 1 || count > most) measure_fail("--tokens: from 1 to 4096; --pp: from 1 to 8192");
    return count;
}

int main(int argc, char **argv) {
    struct option_list list;
    struct bench b = {0};
    struct error e;
    int status = options_parse(&program, argc, argv, &list);
    if (status >= 0) return status;
    const char *path = options_operand(&list, 0), *gguf = options_value(&list, "gguf");
    if (!path || !gguf) return options_error(&program, "a library and --gguf=FILE are needed");
    b.m = measure_open(path, &list);
    b.forward = measure_function(&b.m, "forward");
    b.choices = measure_function(&b.m, "choices");
    b.vocabulary = measure_vocabulary(&b.m, b.forward);
    b.logits = measure_memory(b.vocabulary, sizeof *b.logits);
    struct gguf_meta *meta = gguf_meta_open(gguf, &e);
    struct bpe *bpe = meta ? bpe_from_gguf(meta, &e) : NULL;
    if (!bpe) measure_fail(e.text);
    b.tokens = count_of(&list, "tokens", 128, MOST);
    char *twice = allocate(2 * sizeof copied, 1);
    strcat(strcpy(twice, copied), copied);
    guessing(&b, bpe, twice, "copying");
    guessing(&b, bpe, fresh, "new text");
    prompts(&b, count_of(&list, "pp", 512, CONTEXT));
    bpe_free(bpe);
    gguf_meta_close(meta);
    measure_close(&b.m);
    options_free(&list);
    free(twice), free(b.logits);
    return 0;
}
