/* What generation does beyond a token a call, measured on compiled SmolLM2: guessing ahead (--lookup), and a
 * prompt whose state is restored from a file (--prefix).
 *
 *     bench-generate LIBRARY --gguf=FILE [--tokens=128] [--pp=512] [--threads=2] [--weights=FILE]
 *
 * Prints one JSON object a line, as peers.py does: {"peer", "work", "value", "unit"}. Ways are measured in
 * turns, so that all see the same machine; figures are medians. */
#include "examples/common/bpe.h"
#include "examples/common/speculate.h"
#include "runtime/abi.h"
#include "runtime/options.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct option_spec options[] = {
    {0, "gguf", "FILE", "the GGUF file, for its tokenizer", NULL},
    {0, "tokens", "N", "tokens to generate [128]", NULL},
    {0, "pp", "N", "tokens of the prompt that is restored [512]", NULL},
    {0, "threads", "N", "threads a call may use [2]", NULL},
    {0, "weights", "FILE", "the weights file", NULL},
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
    const struct mdl_descriptor *d;
    const struct mdl_api *api;
    struct mdl_session *session;
    uint32_t forward, choices;
    float *logits; /* [vocabulary] */
    int64_t vocabulary, tokens;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

__attribute__((noreturn)) static void give_up(const char *what) {
    fprintf(stderr, "bench-generate: %s\n", what);
    exit(1);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values) {
    qsort(values, RUNS, sizeof *values, compare);
    return values[RUNS / 2];
}

static void print(const struct bench *b, const char *work, double value, const char *unit) {
    printf("{\"peer\": \"mdlc\", \"work\": \"%s %s\", \"value\": %.3f, \"unit\": \"%s\"}\n", b->d->name, work,
           value, unit);
}

/* ---- the model ---- */

static int32_t likeliest(const struct bench *b) {
    int64_t best = 0;
    for (int64_t i = 1; i < b->vocabulary; i++)
        if (b->logits[i] > b->logits[best]) best = i;
    return (int32_t)best;
}

static int32_t forward(struct bench *b, const int32_t *tokens, int64_t count, int32_t position) {
    const void *inputs[] = {tokens, &position};
    void *results[] = {b->logits};
    if (b->api->call(b->session, b->forward, &count, inputs, results)) give_up(b->api->error(b->session));
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
    if (b->api->call(b->session, b->choices, dims, inputs, results) == MDL_OK) return true;
    return fail(e, "%s", b->api->error(b->session));
}

static uint32_t find(const struct mdl_descriptor *d, const char *name) {
    for (uint32_t i = 0; i < d->functions_count; i++)
        if (!strcmp(d->functions[i].name, name)) return i;
    give_up("the model has not the functions forward and choices");
}

/* ---- guessing ahead ---- */

/* Tokens a second after the prompt; the tokens go to `out`. `s`: guesses, or NULL. */
static double generate(struct bench *b, const struct ids *prompt, struct speculation *s, int32_t *out) {
    struct error e;
    b->api->session_reset(b->session);
    int32_t token = forward(b, prompt->data, (int64_t)prompt->count, 0);
    if (s) speculate_read(s, prompt->data, prompt->count);
    double begun = now();
    for (int64_t i = 0; i < b->tokens; i++) {
        out[i] = token;
        if (!s)
            token = forward(b, &token, 1, (int32_t)((int64_t)prompt->count + i));
        else if (!speculate_next(s, token, (size_t)(b->tokens - i), &token, &e))
            give_up(e.text);
    }
    return (double)b->tokens / (now() - begun);
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
            give_up("guessing ahead gives other tokens");
    }
    for (int way = 0; way < 2; way++) {
        snprintf(work, sizeof work, "%s tg%lld%s", name, (long long)b->tokens, way ? " lookup" : "");
        print(b, work, median(rates[way]), "tokens/s");
    }
    snprintf(work, sizeof work, "%s tg%lld guessed rightly", name, (long long)b->tokens);
    print(b, work, (double)accepted, "tokens");
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
    if (fd < 0) give_up("no temporary file");
    close(fd);
    for (int64_t i = 0; i < count; i++) tokens[i] = (int32_t)((i * 7919) % 40000 + 10);
    for (int run = 0; run < RUNS; run++) {
        b->api->session_reset(b->session);
        double begun = now();
        a = forward(b, tokens, count, 0);
        cold[run] = 1e3 * (now() - begun);
        begun = now();
        if (b->api->session_save(b->session, path, tokens, (uint64_t)count * sizeof *tokens))
            give_up(b->api->error(b->session));
        saving[run] = 1e3 * (now() - begun);
        b->api->session_reset(b->session);
        begun = now();
        if (b->api->session_load(b->session, path, NULL, 0, NULL)) give_up(b->api->error(b->session));
        c = forward(b, tokens + count - 1, 1, (int32_t)count - 1);
        restored[run] = 1e3 * (now() - begun);
        if (a != c) give_up("a restored prompt gives another token");
    }
    const struct {
        const char *name;
        double *times;
    } rows[] = {{"cold", cold}, {"restored", restored}, {"saving", saving}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(work, sizeof work, "first token of pp%lld %s", (long long)count, rows[i].name);
        print(b, work, median(rows[i].times), "ms");
    }
    unlink(path);
    free(tokens);
}

static int64_t number(const struct option_list *list, const char *name, int64_t fallback, int64_t most) {
    const char *text = options_value(list, name);
    if (!text) return fallback;
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || value < 1 || value > most)
        give_up("a number was expected after --tokens, --pp, --threads");
    return value;
}

static void open_session(struct bench *b, const char *path, const struct option_list *list,
                         struct mdl_model **model) {
    char error[256] = "";
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) give_up(dlerror());
    b->d = dlsym(library, "mdl_descriptor");
    if (!b->d) give_up("this is no compiled model");
    struct mdl_options o = MDL_OPTIONS;
    o.threads = (int32_t)number(list, "threads", 2, 256), o.error = error, o.error_size = sizeof error;
    b->api = b->d->api;
    if (b->api->open(b->d, options_value(list, "weights"), &o, model)) give_up(error);
    if (b->api->session_new(*model, &b->session)) give_up("no session");
    b->forward = find(b->d, "forward");
    b->choices = find(b->d, "choices");
    b->vocabulary = b->d->extent(b->d->functions[b->forward].results[0].extents[0], (int64_t[]){1});
    b->logits = allocate((size_t)b->vocabulary, sizeof *b->logits);
}

int main(int argc, char **argv) {
    struct option_list list;
    struct bench b = {0};
    struct mdl_model *model;
    struct error e;
    int status = options_parse(&program, argc, argv, &list);
    if (status >= 0) return status;
    const char *path = options_operand(&list, 0), *gguf = options_value(&list, "gguf");
    if (!path || !gguf) return options_error(&program, "a library and --gguf=FILE are needed");
    open_session(&b, path, &list, &model);
    struct gguf_meta *meta = gguf_meta_open(gguf, &e);
    struct bpe *bpe = meta ? bpe_from_gguf(meta, &e) : NULL;
    if (!bpe) give_up(e.text);
    b.tokens = number(&list, "tokens", 128, MOST);
    char *twice = allocate(2 * sizeof copied, 1);
    strcat(strcpy(twice, copied), copied);
    guessing(&b, bpe, twice, "copying");
    guessing(&b, bpe, fresh, "new text");
    prompts(&b, number(&list, "pp", 512, CONTEXT));
    bpe_free(bpe);
    gguf_meta_close(meta);
    b.api->session_free(b.session);
    b.api->close(model);
    options_free(&list);
    free(twice), free(b.logits);
    return 0;
}
