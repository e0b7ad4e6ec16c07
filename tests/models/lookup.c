/* Drafts by prompt lookup on compiled SmolLM2:  lookup LIBRARY GOLDEN-FOLDER
 * Several tokens in one call give what one token a call gives, to the bit; so does text generated with
 * guesses. */
#include "examples/common/speculate.h"
#include "tests/models/smollm2_api.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASES = 8, TOKENS = 48, CONTEXT = 8192 };

static float logits[VOCABULARY], other[VOCABULARY];

/* A model and the session that guesses are checked in. */
struct checker {
    const struct smollm2 *m;
    smollm2_session *session;
};

static int32_t likeliest(const float *x) {
    size_t best = 0;
    for (size_t i = 1; i < VOCABULARY; i++)
        if (x[i] > x[best]) best = i;
    return (int32_t)best;
}

static bool choices(void *context, size_t count, const int32_t *tokens, int32_t position, int32_t *chosen,
                    struct error *e) {
    const struct checker *c = context;
    int32_t rows[SPECULATE_MOST];
    int64_t n = (int64_t)count;
    for (size_t i = 0; i < count; i++) rows[i] = (int32_t)i;
    if (c->m->choices(c->session, n, n, tokens, rows, position, chosen) == MDL_OK) return true;
    return fail(e, "%s", c->m->error(c->session));
}

/* Logits after one token more must be the same bytes in both sessions. */
static bool same_state(const struct smollm2 *m, smollm2_session *a, smollm2_session *b, size_t position) {
    const int32_t token = 28;
    smollm2_run(m, a, &token, 1, position, logits);
    smollm2_run(m, b, &token, 1, position, other);
    return memcmp(logits, other, sizeof logits) == 0;
}

/* The last `count` tokens at once, rows from all over, against one by one. */
static void check_rows(const struct smollm2 *m, const struct ids *all) {
    smollm2_session *a = smollm2_start(m), *b = smollm2_start(m);
    for (size_t count = 2; count <= SPECULATE_MOST; count++) {
        size_t first = all->count - count, wrong = 0;
        int32_t chosen[SPECULATE_MOST];
        struct checker c = {m, b};
        struct error e = {""};
        m->session_reset(a);
        m->session_reset(b);
        smollm2_run(m, a, all->data, first, 0, logits);
        smollm2_run(m, b, all->data, first, 0, other);
        if (!choices(&c, count, all->data + first, (int32_t)first, chosen, &e)) give_up("%s", e.text);
        for (size_t i = 0; i < count; i++) {
            smollm2_run(m, a, all->data + first + i, 1, first + i, logits);
            wrong += likeliest(logits) != chosen[i];
        }
        report(wrong == 0 && same_state(m, a, b, all->count),
               "%zu tokens in one call: the choices and the state of one by one", count);
    }
    m->session_free(a);
    m->session_free(b);
}

static void check_refusals(const struct smollm2 *m) {
    smollm2_session *s = smollm2_start(m);
    int32_t tokens[SPECULATE_MOST + 1] = {0}, rows[SPECULATE_MOST + 1] = {0}, chosen[SPECULATE_MOST + 1];
    rows[1] = 2;
    report(m->choices(s, 2, 2, tokens, rows, 0, chosen) == MDL_INVALID, "a row that is not there: %s",
           m->error(s));
    rows[1] = 0;
    report(m->choices(s, 2, 17, tokens, rows, 0, chosen) == MDL_INVALID, "too many rows: %s", m->error(s));
    m->session_free(s);
}

/* Generates both ways; gives the number of guesses that were right. */
static size_t check_text(const struct smollm2 *m, const struct ids *prompt, const char *name) {
    smollm2_session *plain = smollm2_start(m), *guessing = smollm2_start(m);
    struct checker c = {m, guessing};
    struct speculation s = {.model = {&c, choices, CONTEXT}};
    struct error e = {""};
    size_t wrong = 0, at = prompt->count;
    smollm2_run(m, plain, prompt->data, prompt->count, 0, logits);
    smollm2_run(m, guessing, prompt->data, prompt->count, 0, other);
    speculate_read(&s, prompt->data, prompt->count);
    int32_t a = likeliest(logits), b = likeliest(other);
    for (size_t left = TOKENS; left > 0; left--, at++) {
        wrong += a != b;
        smollm2_run(m, plain, &a, 1, at, logits);
        a = likeliest(logits);
        if (!speculate_next(&s, b, left, &b, &e)) give_up("%s", e.text);
    }
    report(wrong == 0 && a == b && same_state(m, plain, guessing, at),
           "%s: the same tokens and state; %zu of %zu guesses were right, %zu calls", name, s.accepted,
           s.drafted, s.calls);
    size_t accepted = s.accepted;
    speculate_free(&s);
    m->session_free(plain);
    m->session_free(guessing);
    return accepted;
}

int main(int argc, char **argv) {
    if (argc != 3) give_up("usage: lookup LIBRARY GOLDEN-FOLDER");
    struct smollm2 m = smollm2_load(argv[1], 2);
    json_t *cases = golden_cases(argv[2], "greedy.json");
    struct ids twice = {0};
    for (size_t i = 0; i < CASES && i < json_array_size(cases); i++) {
        struct ids prompt = {0};
        char name[32];
        snprintf(name, sizeof name, "case %zu", i);
        golden_ids(json_array_get(cases, i), "ids", &prompt);
        check_text(&m, &prompt, name);
        ids_free(&prompt);
    }
    for (int k = 0; k < 2; k++) {
        golden_ids(json_array_get(cases, 7), "ids", &twice);
        golden_ids(json_array_get(cases, 7), "greedy", &twice);
    }
    check_rows(&m, &twice);
    check_refusals(&m);
    report(check_text(&m, &twice, "a text said twice") > TOKENS / 2, "most of its guesses were right");
    ids_free(&twice);
    json_decref(cases);
    smollm2_unload(&m);
    return report_end();
}
