/* Tokens a second of a compiled language model `forward(tokens: i32[S], pos: i32) -> f32[V]`, measured as the
 * peers are: prefill is one call for N tokens from an empty state; decode is N calls of one token after a
 * prefix of `depth`.
 *
 *     bench-llm LIBRARY [--pp=512] [--tg=128] [--depth=0] [--runs=3] [--threads=2] [--weights=FILE]
 *
 * Besides, the time from opening the library to the logits after one token. Prints one JSON object a line, as
 * peers.py does: {"peer", "work", "value", "unit"}. */
#include "tests/bench/measure.h"
#include <stdio.h>
#include <stdlib.h>

static const struct option_spec options[] = {
    {0, "pp", "N", "tokens of the prefill [512]; 0: none", NULL},
    {0, "tg", "N", "tokens to decode [128]; 0: none", NULL},
    {0, "depth", "N", "tokens in the state before decoding [0]", NULL},
    {0, "runs", "N", "repetitions of each, from 1 to 100 [3]", NULL},
    MEASURE_OPTION_ROWS,
    {0}};
static const struct option_program program = {
    .name = "bench-llm",
    .version = "0",
    .summary = "measure a compiled language model",
    .usage = (const char *const[]){"[OPTION...] LIBRARY", NULL},
    .description = "Prints tokens a second, medians over repeated runs.",
    .options = options,
};

enum { MOST_RUNS = 100 };

struct model {
    struct measured m;
    uint32_t forward;
    int runs;
    float *logits;
    int32_t *tokens;
};

static void forward(struct model *m, int64_t count, int32_t position) {
    for (int64_t i = 0; i < count; i++) m->tokens[i] = measure_token(i);
    measure_call(&m->m, m->forward, count, (const void *[]){m->tokens, &position}, m->logits);
}

static double prefill(struct model *m, int64_t count) {
    double seconds[MOST_RUNS];
    for (int run = -1; run < m->runs; run++) {
        m->m.api->session_reset(m->m.session);
        double start = measure_now();
        forward(m, count, 0);
        if (run >= 0) seconds[run] = measure_now() - start;
    }
    return (double)count / measure_median(seconds, m->runs);
}

static double decode(struct model *m, int64_t count, int64_t depth) {
    double rates[MOST_RUNS];
    for (int run = 0; run < m->runs; run++) {
        int32_t position = (int32_t)(depth ? depth : 1);
        m->m.api->session_reset(m->m.session);
        forward(m, position, 0);
        double start = measure_now();
        for (int64_t i = 0; i < count; i++) forward(m, 1, position++);
        rates[run] = (double)count / (measure_now() - start);
    }
    return measure_median(rates, m->runs);
}

int main(int argc, char **argv) {
    struct option_list list;
    char work[40];
    int status = options_parse(&program, argc, argv, &list);
    if (status >= 0) return status;
    const char *path = options_operand(&list, 0);
    if (!path) return options_error(&program, "no library was given");
    double begun = measure_now();
    struct model m = {.m = measure_open(path, &list)};
    int64_t pp = measure_number(&list, "pp", 512), tg = measure_number(&list, "tg", 128);
    int64_t depth = measure_number(&list, "depth", 0), longest = pp > depth ? pp : depth;
    m.forward = measure_function(&m.m, "forward");
    m.tokens = measure_memory(longest, sizeof *m.tokens);
    m.logits = measure_memory(measure_vocabulary(&m.m, m.forward), sizeof *m.logits);
    m.runs = (int)measure_number(&list, "runs", 3);
    if (m.runs < 1 || m.runs > MOST_RUNS) measure_fail("--runs: from 1 to 100");
    forward(&m, 1, 0);
    measure_print(&m.m, "first", 1e3 * (measure_now() - begun), "ms");
    snprintf(work, sizeof work, "pp%lld", (long long)pp);
    if (pp) measure_print(&m.m, work, prefill(&m, pp), "tokens/s");
    snprintf(work, sizeof work, "tg%lld", (long long)tg);
    if (tg) measure_print(&m.m, work, decode(&m, tg, depth), "tokens/s");
    measure_close(&m.m);
    options_free(&list);
    free(m.tokens), free(m.logits);
    return 0;
}
