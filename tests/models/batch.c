/* Compiled SmolLM2 for several sequences against itself for one:  batch LIBRARY BATCH-LIBRARY
 *
 * Sequences of a batch, in whatever slots and company, give the bytes that each gives alone. */
#include "smollm2_batch.h"
#include "tests/models/smollm2_api.h"
#include <string.h>

enum { SEQUENCES = 5, STEPS = 6, SLOTS = 8, LONGEST = 2048 };

struct batch {
    __typeof__(smollm2_batch_open) *open;
    __typeof__(smollm2_batch_session_new) *session_new;
    __typeof__(smollm2_batch_session_free) *session_free;
    __typeof__(smollm2_batch_prefill) *prefill;
    __typeof__(smollm2_batch_decode) *decode;
    __typeof__(smollm2_batch_error) *error;
    __typeof__(smollm2_batch_close) *close;
    smollm2_batch_model *model;
    smollm2_batch_session *session;
};

static struct batch batch_load(const char *path, int threads) {
    void *library = open_library(path);
    struct batch b = {0};
    *(void **)&b.open = symbol(library, "smollm2_batch_open");
    *(void **)&b.session_new = symbol(library, "smollm2_batch_session_new");
    *(void **)&b.session_free = symbol(library, "smollm2_batch_session_free");
    *(void **)&b.prefill = symbol(library, "smollm2_batch_prefill");
    *(void **)&b.decode = symbol(library, "smollm2_batch_decode");
    *(void **)&b.error = symbol(library, "smollm2_batch_error");
    *(void **)&b.close = symbol(library, "smollm2_batch_close");
    char why[400] = "";
    struct mdl_options options = MDL_OPTIONS;
    options.threads = threads, options.error = why, options.error_size = sizeof why;
    if (b.open(NULL, &options, &b.model) != MDL_OK) give_up("%s: %s", path, why);
    if (b.session_new(b.model, &b.session) != MDL_OK) give_up("no session");
    return b;
}

static void batch_unload(struct batch *b) {
    b->session_free(b->session);
    b->close(b->model);
}

/* Sequences of different lengths, on both sides of a block of keys; token `at` of sequence s. */
static const int32_t lengths[SEQUENCES] = {3, 70, 1, 64, 129};
static const int32_t slot_of[SEQUENCES] = {6, 0, 3, 7, 1};
static int32_t token(int32_t s, int32_t at) { return (s * 7919 + at * 131 + 17) % VOCABULARY; }

static int32_t tokens[SEQUENCES][LONGEST];
static float *alone; /* [SEQUENCES, 1 + STEPS, VOCABULARY]: logits of each sequence by itself */
static const float *logits_of(int32_t s, int32_t step) {
    return alone + (size_t)(s * (1 + STEPS) + step) * VOCABULARY;
}

static void run_alone(const struct smollm2 *m) {
    smollm2_session *session = smollm2_start(m);
    alone = allocate((size_t)SEQUENCES * (1 + STEPS) * VOCABULARY, sizeof *alone);
    for (int32_t s = 0; s < SEQUENCES; s++) {
        for (int32_t i = 0; i < LONGEST; i++) tokens[s][i] = token(s, i);
        smollm2_run(m, session, tokens[s], (size_t)lengths[s], 0, (float *)logits_of(s, 0));
        for (int32_t k = 0; k < STEPS; k++)
            smollm2_run(m, session, &tokens[s][lengths[s] + k], 1, (size_t)(lengths[s] + k),
                        (float *)logits_of(s, k + 1));
    }
    m->session_free(session);
}

static size_t prefill(const struct batch *b, int32_t s, int32_t slot, float *logits) {
    if (b->prefill(b->session, lengths[s], tokens[s], slot, 0, logits) != MDL_OK)
        give_up("prefill: %s", b->error(b->session));
    return memcmp(logits, logits_of(s, 0), VOCABULARY * sizeof *logits) != 0;
}

/* Step number steps[s] of the `count` sequences listed; how many differ from what they are alone. */
static size_t decode(const struct batch *b, const int32_t *list, int32_t count, const int32_t *steps,
                     float *logits) {
    int32_t next[SEQUENCES] = {0}, slots[SEQUENCES] = {0}, positions[SEQUENCES] = {0};
    size_t wrong = 0;
    for (int32_t i = 0; i < count; i++) {
        int32_t s = list[i];
        slots[i] = slot_of[s], positions[i] = lengths[s] + steps[s], next[i] = tokens[s][positions[i]];
    }
    if (b->decode(b->session, count, next, slots, positions, logits) != MDL_OK)
        give_up("decode: %s", b->error(b->session));
    for (int32_t i = 0; i < count; i++)
        wrong += memcmp(logits + (size_t)i * VOCABULARY, logits_of(list[i], steps[list[i]] + 1),
                        VOCABULARY * sizeof *logits) != 0;
    return wrong;
}

/* Sequences come and go: each step another set and order of them, a prompt in between. */
static void check_company(const struct batch *b, int threads) {
    static const struct {
        int32_t count, list[SEQUENCES];
    } calls[] = {{4, {0, 1, 2, 3}}, {3, {3, 0, 1}},       {5, {4, 2, 3, 1, 0}},
                 {1, {2}},          {5, {0, 1, 2, 3, 4}}, {2, {4, 0}}};
    float *logits = allocate((size_t)SLOTS * VOCABULARY, sizeof *logits);
    int32_t steps[SEQUENCES] = {0};
    size_t wrong = 0, all = SEQUENCES;
    for (int32_t s = 0; s < 4; s++) wrong += prefill(b, s, slot_of[s], logits);
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
        if (c == 2) wrong += prefill(b, 4, slot_of[4], logits);
        wrong += decode(b, calls[c].list, calls[c].count, steps, logits);
        for (int32_t i = 0; i < calls[c].count; i++) steps[calls[c].list[i]]++;
        all += (size_t)calls[c].count;
    }
    report(wrong == 0, "%d threads: %zu of %zu logits of batches have other bytes than alone", threads, wrong,
           all);
    free(logits);
}

/* A slot is used again, by a shorter sequence than the one before. */
static void check_slots_again(const struct batch *b) {
    float *logits = allocate((size_t)SLOTS * VOCABULARY, sizeof *logits);
    int32_t steps[SEQUENCES] = {0}, list[] = {2};
    prefill(b, 4, slot_of[2], logits);
    size_t wrong = prefill(b, 2, slot_of[2], logits);
    for (; steps[2] < STEPS; steps[2]++) wrong += decode(b, list, 1, steps, logits);
    report(wrong == 0, "a slot used again: %zu calls differ", wrong);
    free(logits);
}

/* A call that is refused says why and changes nothing. */
static void check_refusals(const struct batch *b) {
    static const struct {
        int32_t slots[2], positions[2];
        const char *why;
    } calls[] = {{{6, 6}, {3, 4}, "uses of a row"},
                 {{6, 8}, {3, 0}, "write: row 8"},
                 {{6, -1}, {3, 0}, "write: row -1"},
                 {{6, 0}, {3, LONGEST}, "write: position 2048"}};
    float *logits = allocate((size_t)SLOTS * VOCABULARY, sizeof *logits);
    int32_t wrong[2] = {5, 5}, steps[SEQUENCES] = {0}, list[] = {0};
    prefill(b, 0, slot_of[0], logits);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        int status = b->decode(b->session, 2, wrong, calls[i].slots, calls[i].positions, logits);
        report(status == MDL_INVALID && strstr(b->error(b->session), calls[i].why), "refused: %s",
               b->error(b->session));
    }
    int status = b->prefill(b->session, LONGEST - 1, tokens[0], slot_of[0], 2, logits);
    report(status == MDL_INVALID, "refused: %s", b->error(b->session));
    report(decode(b, list, 1, steps, logits) == 0, "after refused calls the caches are what they were");
    free(logits);
}

int main(int argc, char **argv) {
    if (argc != 3) give_up("usage: batch LIBRARY BATCH-LIBRARY");
    struct smollm2 m = smollm2_load(argv[1], 0);
    run_alone(&m);
    smollm2_unload(&m);
    for (int threads = 1; threads <= 2; threads++) {
        struct batch b = batch_load(argv[2], threads);
        check_company(&b, threads);
        check_slots_again(&b);
        check_refusals(&b);
        batch_unload(&b);
    }
    free(alone);
    return report_end();
}
