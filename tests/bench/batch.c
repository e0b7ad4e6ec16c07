/* Tokens a second of a compiled language model that goes on with several sequences in one call, all of them
 * together: examples/smollm2/batch.mdl, or another with its functions
 *
 *     prefill(tokens: i32[S], slot: i32, pos: i32) -> f32[V]
 *     decode(tokens: i32[B], slots: i32[B], pos: i32[B]) -> f32[B, V]
 *
 *     bench-batch LIBRARY [--batch=N] [--tg=64] [--depth=256] [--threads=2] [--weights=FILE]
 *
 * Sequence b begins after depth + 7b tokens. Prints one JSON object a line, as peers.py does. */
#include "tests/bench/measure.h"
#include <stdio.h>
#include <stdlib.h>

static const struct option_spec options[] = {
    {0, "batch", "N", "sequences at once [1, 2, 4 and 8, one after the other]", NULL},
    {0, "tg", "N", "tokens to decode for each sequence [64]", NULL},
    {0, "depth", "N", "tokens in the first sequence's slot before decoding [256]", NULL},
    MEASURE_OPTION_ROWS,
    {0}};
static const struct option_program program = {
    .name = "bench-batch",
    .version = "0",
    .summary = "measure a compiled language model that decodes batches",
    .usage = (const char *const[]){"[OPTION...] LIBRARY", NULL},
    .description = "Prints tokens a second of all sequences together, medians over repeated runs.",
    .options = options,
};

enum { RUNS = 3, MOST = 256, APART = 7 };

struct model {
    struct measured m;
    uint32_t prefill, decode;
    float *logits;   /* [batch, vocabulary] */
    int32_t *prompt; /* [depth + 7 batch] */
    int32_t tokens[MOST], slots[MOST], positions[MOST];
};

static void start(struct model *m, int64_t batch, int64_t depth) {
    for (int32_t b = 0; b < batch; b++) {
        int32_t count = (int32_t)depth + APART * b, none = 0;
        m->tokens[b] = measure_token(b), m->slots[b] = b, m->positions[b] = count;
        if (count) measure_call(&m->m, m->prefill, count, (const void *[]){m->prompt, &b, &none}, m->logits);
    }
}

static double decode(struct model *m, int64_t batch, int64_t count, int64_t depth) {
    double rates[RUNS];
    const void *inputs[] = {m->tokens, m->slots, m->positions};
    for (int run = 0; run < RUNS; run++) {
        start(m, batch, depth);
        double begun = measure_now();
        for (int64_t i = 0; i < count; i++) {
            measure_call(&m->m, m->decode, batch, inputs, m->logits);
            for (int64_t b = 0; b < batch; b++) m->positions[b]++;
        }
        rates[run] = (double)(batch * count) / (measure_now() - begun);
    }
    return measure_median(rates, RUNS);
}

static void measure(struct model *m, int64_t batch, int64_t count, int64_t depth) {
    char work[60];
    if (batch < 1 || batch > MOST) measure_fail("--batch: from 1 to 256 sequences are measured");
    m->logits = measure_memory(batch * measure_vocabulary(&m->m, m->decode), sizeof *m->logits);
    m->prompt = measure_memory(depth + APART * batch, sizeof *m->prompt);
    for (int64_t i = 0; i < depth + APART * batch; i++) m->prompt[i] = measure_token(i);
    snprintf(work, sizeof work, "b%lld tg%lld@%lld", (long long)batch, (long long)count, (long long)depth);
    measure_print(&m->m, work, decode(m, batch, count, depth), "tokens/s");
    free(m->logits), free(m->prompt);
}

int main(int argc, char **argv) {
    static struct model m;
    struct option_list list;
    int status = options_parse(&program, argc, argv, &list);
    if (status >= 0) return status;
    const char *path = options_operand(&list, 0);
    if (!path) return options_error(&program, "no library was given");
    m.m = measure_open(path, &list);
    m.prefill = measure_function(&m.m, "prefill");
    m.decode = measure_function(&m.m, "decode");
    int64_t batch = measure_number(&list, "batch", 0), tg = measure_number(&list, "tg", 64);
    int64_t depth = measure_number(&list, "depth", 256);
    for (int64_t b = batch ? batch : 1; b <= (batch ? batch : 8); b *= 2) measure(&m, b, tg, depth);
    measure_close(&m.m);
    options_free(&list);
    return 0;
}
