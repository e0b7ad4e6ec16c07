/* Compiled SmolLM2 at --precision=f32 against its references:  smollm2 LIBRARY GOLDEN-FOLDER
 * logits and greedy tokens; prefill in one call, in two, token by token; sessions in two threads; 1 and 2
 * threads. */
#include "tests/models/smollm2_api.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASES = 8, AFTER = 4 }; /* AFTER: tokens that follow a prefill, to see its state */

/* A prompt of the reference, what follows it, and by how much each token beats the second choice. */
struct passage {
    struct ids prompt, greedy, all; /* all: both */
    double margin[64];
};

static struct passage passages[CASES];
static float logits[VOCABULARY], other[VOCABULARY];

static void load_passages(const char *folder) {
    json_t *cases = golden_cases(folder, "greedy.json");
    if (json_array_size(cases) != CASES)
        give_up("greedy.json has %zu cases, not %d", json_array_size(cases), CASES);
    for (size_t i = 0; i < CASES; i++) {
        const json_t *one = json_array_get(cases, i), *margins = json_object_get(one, "margin");
        golden_ids(one, "ids", &passages[i].prompt);
        golden_ids(one, "greedy", &passages[i].greedy);
        golden_ids(one, "ids", &passages[i].all);
        golden_ids(one, "greedy", &passages[i].all);
        if (json_array_size(margins) != passages[i].greedy.count || passages[i].greedy.count > 64)
            give_up("case %zu of greedy.json is not whole", i);
        for (size_t k = 0; k < passages[i].greedy.count; k++)
            passages[i].margin[k] = json_number_value(json_array_get(margins, k));
    }
    json_decref(cases);
}

static void free_passages(void) {
    for (size_t i = 0; i < CASES; i++) {
        ids_free(&passages[i].prompt);
        ids_free(&passages[i].greedy);
        ids_free(&passages[i].all);
    }
}

static int32_t likeliest(const float *x) {
    size_t best = 0;
    for (size_t i = 1; i < VOCABULARY; i++)
        if (x[i] > x[best]) best = i;
    return (int32_t)best;
}

/* Feeds the reference's tokens whatever the model prefers, and counts where it prefers others by a clear
 * margin. */
static size_t wrong_tokens(const struct smollm2 *m, smollm2_session *session, const struct passage *p) {
    size_t wrong = 0;
    for (size_t k = 0; k < p->greedy.count; k++) {
        wrong += likeliest(logits) != p->greedy.data[k] && p->margin[k] >= 0.02;
        smollm2_run(m, session, &p->greedy.data[k], 1, p->prompt.count + k, logits);
    }
    return wrong;
}

static void check_references(const struct smollm2 *m, const char *folder) {
    float *reference = golden_floats(folder, "first_logits.npy", (size_t)CASES * VOCABULARY);
    smollm2_session *session = smollm2_start(m);
    for (size_t i = 0; i < CASES; i++) {
        const struct passage *p = &passages[i];
        const float *expected = reference + i * VOCABULARY;
        m->session_reset(session);
        smollm2_run(m, session, p->prompt.data, p->prompt.count, 0, logits);
        double error = largest_difference(logits, expected, VOCABULARY) / largest(expected, VOCABULARY);
        report(error <= 1e-3, "case %zu: logits within 1e-3 of the reference: %.2g", i, error);
        size_t wrong = wrong_tokens(m, session, p);
        report(wrong == 0, "case %zu: %zu of %zu greedy tokens are not the reference's", i, wrong,
               p->greedy.count);
    }
    m->session_free(session);
    free(reference);
}

/* The logits after the tokens in calls of `first`, then `each` at a time, and after each of AFTER tokens
 * more. */
static void run_in_parts(const struct smollm2 *m, smollm2_session *session, const struct ids *tokens,
                         size_t count, size_t first, size_t each, float *out /* [1 + AFTER, VOCABULARY] */) {
    m->session_reset(session);
    for (size_t at = 0, part = first; at < count; at += part, part = each < count - at ? each : count - at)
        smollm2_run(m, session, tokens->data + at, part, at, out);
    for (size_t i = 0; i < AFTER; i++)
        smollm2_run(m, session, tokens->data + count + i, 1, count + i, out + (i + 1) * VOCABULARY);
}

static void check_parts(const struct smollm2 *m, const struct ids *tokens, size_t count, size_t step) {
    enum { LENGTH = (1 + AFTER) * VOCABULARY };
    float *whole = allocate(LENGTH, sizeof *whole), *parts = allocate(LENGTH, sizeof *parts);
    smollm2_session *session = smollm2_start(m);
    run_in_parts(m, session, tokens, count, count, count, whole);
    double scale = largest(whole, LENGTH), worst = 0;
    for (size_t split = 1; split < count; split += step) {
        run_in_parts(m, session, tokens, count, split, count, parts);
        double error = largest_difference(whole, parts, LENGTH) / scale;
        if (!(error <= worst)) worst = error;
    }
    report(worst <= 1e-4, "%zu tokens in two calls, every %zu. split, and what follows: %.2g", count, step,
           worst);
    run_in_parts(m, session, tokens, count, 1, 1, parts);
    double error = largest_difference(whole, parts, LENGTH) / scale;
    report(error <= 1e-4, "%zu tokens one by one, and what follows: %.2g", count, error);
    m->session_free(session);
    free(whole);
    free(parts);
}

/* One passage, token by token after its prompt, all logits kept. */
struct work {
    const struct smollm2 *m;
    const struct passage *p;
    float *logits; /* [greedy, VOCABULARY] */
};

static void *work_run(void *argument) {
    const struct work *w = argument;
    smollm2_session *session = smollm2_start(w->m);
    smollm2_run(w->m, session, w->p->prompt.data, w->p->prompt.count, 0, w->logits);
    for (size_t k = 0; k + 1 < w->p->greedy.count; k++)
        smollm2_run(w->m, session, &w->p->greedy.data[k], 1, w->p->prompt.count + k,
                    w->logits + (k + 1) * VOCABULARY);
    w->m->session_free(session);
    return NULL;
}

static struct work work_new(const struct smollm2 *m, const struct passage *p) {
    return (struct work){m, p, allocate(p->greedy.count * VOCABULARY, sizeof(float))};
}

static bool same_logits(const struct work *a, const struct work *b) {
    return memcmp(a->logits, b->logits, a->p->greedy.count * VOCABULARY * sizeof(float)) == 0;
}

static void check_sessions(const struct smollm2 *m) {
    struct work alone[2], together[2];
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        alone[i] = work_new(m, &passages[4 + i]);
        together[i] = work_new(m, &passages[4 + i]);
        work_run(&alone[i]);
    }
    for (size_t i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, work_run, &together[i]) != 0) give_up("no thread");
    for (size_t i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 2; i++) {
        report(same_logits(&alone[i], &together[i]),
               "session %zu beside another thread's: the same bytes as alone", i);
        free(alone[i].logits);
        free(together[i].logits);
    }
}

static void check_threads(const char *library) {
    struct smollm2 one = smollm2_load(library, 1), two = smollm2_load(library, 2);
    struct work a = work_new(&one, &passages[4]), b = work_new(&two, &passages[4]);
    work_run(&a);
    work_run(&b);
    report(same_logits(&a, &b), "1 and 2 threads: the same bytes");
    free(a.logits);
    free(b.logits);
    smollm2_unload(&one);
    smollm2_unload(&two);
}

/* A call that is refused says why and changes nothing. */
static void check_refusals(const struct smollm2 *m) {
    const struct ids *p = &passages[0].all;
    smollm2_session *session = smollm2_start(m), *clean = smollm2_start(m);
    int32_t bad[] = {p->data[4], VOCABULARY}, negative = -1;
    smollm2_run(m, session, p->data, 4, 0, logits);
    report(m->forward(session, 2, bad, 4, logits) == MDL_INVALID, "id past the table: %s", m->error(session));
    report(m->forward(session, 1, &negative, 4, logits) == MDL_INVALID, "id below 0: %s", m->error(session));
    report(m->forward(session, 1, p->data, 8192, logits) == MDL_INVALID, "past the cache: %s",
           m->error(session));
    report(m->forward(session, 1, p->data, -1, logits) == MDL_INVALID, "before the cache: %s",
           m->error(session));
    report(m->forward(session, 0, p->data, 4, logits) == MDL_INVALID, "no tokens: %s", m->error(session));
    smollm2_run(m, session, p->data + 4, 1, 4, logits);
    smollm2_run(m, clean, p->data, 4, 0, other);
    smollm2_run(m, clean, p->data + 4, 1, 4, other);
    report(memcmp(logits, other, sizeof logits) == 0, "after refused calls the state is as before");
    m->session_free(session);
    m->session_free(clean);
}

int main(int argc, char **argv) {
    if (argc != 3) give_up("usage: smollm2 LIBRARY GOLDEN-FOLDER");
    load_passages(argv[2]);
    double begun = seconds_now();
    struct smollm2 m = smollm2_load(argv[1], 2);
    printf("opened in %.1f ms\n", 1e3 * (seconds_now() - begun));
    check_references(&m, argv[2]);
    check_parts(&m, &passages[4].all, 24, 1);
    check_parts(&m, &passages[4].all, 50, 7);
    check_sessions(&m);
    check_refusals(&m);
    smollm2_unload(&m);
    check_threads(argv[1]);
    free_passages();
    return report_end();
}
