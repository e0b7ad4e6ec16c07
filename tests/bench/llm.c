/* Tokens a second of a compiled language model `forward(tokens: i32[S], pos: i32) -> f32[V]`, measured as the
 * peers are: prefill is one call for N tokens from an empty state; decode is N calls of one token after a
 * prefix of `depth`.
 *
 *     bench-llm LIBRARY [--pp=512] [--tg=128] [--depth=0] [--threads=2] [--weights=FILE]
 *
 * Prints one JSON object a line, as peers.py does: {"peer", "work", "value", "unit"}. */
#include "runtime/abi.h"
#include "runtime/options.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct option_spec options[] = {
    {0, "pp", "N", "tokens of the prefill [512]; 0: none", NULL},
    {0, "tg", "N", "tokens to decode [128]; 0: none", NULL},
    {0, "depth", "N", "tokens in the state before decoding [0]", NULL},
    {0, "threads", "N", "threads a call may use [2]", NULL},
    {0, "weights", "FILE", "the weights file", NULL},
    {0}};
static const struct option_program program = {
    .name = "bench-llm",
    .version = "0",
    .summary = "measure a compiled language model",
    .usage = (const char *const[]){"[OPTION...] LIBRARY", NULL},
    .description = "Prints tokens a second, medians over repeated runs.",
    .options = options,
};

enum { RUNS = 5, LARGEST = 1 << 20 };

struct model {
    const struct mdl_api *api;
    struct mdl_session *session;
    float *logits;
    int32_t *tokens;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "bench-llm: %s\n", what);
    exit(1);
}

/* The peers' token ids, so that both do the same work. */
static void forward(struct model *m, int64_t count, int32_t position) {
    for (int64_t i = 0; i < count; i++) m->tokens[i] = (int32_t)((i * 7919) % 40000 + 10);
    const void *inputs[] = {m->tokens, &position};
    void *results[] = {m->logits};
    if (m->api->call(m->session, 0, &count, inputs, results)) fail(m->api->error(m->session));
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

static double prefill(struct model *m, int64_t count) {
    double seconds[RUNS];
    for (int run = -1; run < RUNS; run++) {
        m->api->session_reset(m->session);
        double start = now();
        forward(m, count, 0);
        if (run >= 0) seconds[run] = now() - start;
    }
    return (double)count / median(seconds, RUNS);
}

static double decode(struct model *m, int64_t count, int64_t depth) {
    double rates[3];
    for (int run = 0; run < 3; run++) {
        int32_t position = (int32_t)(depth ? depth : 1);
        m->api->session_reset(m->session);
        forward(m, position, 0);
        double start = now();
        for (int64_t i = 0; i < count; i++) forward(m, 1, position++);
        rates[run] = (double)count / (now() - start);
    }
    return median(rates, 3);
}

static int64_t number(const struct option_list *list, const char *name, int64_t fallback) {
    const char *text = options_value(list, name);
    if (!text) return fallback;
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || value < 0 || value > LARGEST)
        fail("a number was expected after --pp, --tg, --depth, --threads");
    return value;
}

int main(int argc, char **argv) {
    struct option_list list;
    int status = options_parse(&program, argc, argv, &list);
    if (status >= 0) return status;
    const char *path = options_operand(&list, 0);
    if (!path) return options_error(&program, "no library was given");
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) fail(dlerror());
    const struct mdl_descriptor *d = dlsym(library, "mdl_descriptor");
    if (!d) fail("this is no compiled model");
    char error[256] = "";
    struct mdl_options o = MDL_OPTIONS;
    o.threads = (int32_t)number(&list, "threads", 2), o.error = error, o.error_size = sizeof error;
    struct mdl_model *opened;
    struct model m = {.api = d->api};
    if (m.api->open(d, options_value(&list, "weights"), &o, &opened)) fail(error);
    if (m.api->session_new(opened, &m.session)) fail("no session");
    int64_t pp = number(&list, "pp", 512), tg = number(&list, "tg", 128), depth = number(&list, "depth", 0);
    int64_t one[] = {1}, longest = pp > depth ? pp : depth;
    int64_t vocabulary = d->extent(d->functions[0].results[0].extents[0], one);
    m.tokens = calloc((size_t)(longest > 1 ? longest : 1), sizeof *m.tokens);
    m.logits = calloc((size_t)vocabulary, sizeof *m.logits);
    if (!m.tokens || !m.logits) fail("out of memory");
    const char *line =
        "{\"peer\": \"mdlc\", \"work\": \"%s %s%lld\", \"value\": %.3f, \"unit\": \"tokens/s\"}\n";
    if (pp) printf(line, d->name, "pp", (long long)pp, prefill(&m, pp));
    if (tg) printf(line, d->name, "tg", (long long)tg, decode(&m, tg, depth));
    m.api->session_free(m.session);
    m.api->close(opened);
    options_free(&list);
    free(m.tokens), free(m.logits);
    return 0;
}
