/* A call's rows are handed out one by one; when they are used up, or the text goes another way, the next call
 * follows. */
#include "speculate.h"

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Drafts end where the cache ends and where no more tokens are wanted: each call gives one more than guessed.
 */
static size_t draft(struct speculation *s, size_t wanted) {
    size_t used = s->lookup.text.count, room = s->model.holds > used ? s->model.holds - used : 0;
    size_t most = least(wanted ? wanted - 1 : 0, least(room, SPECULATE_MOST - 1));
    return lookup_draft(&s->lookup, most, s->tokens + 1);
}

static bool check(struct speculation *s, size_t wanted, struct error *e) {
    int32_t position = (int32_t)s->lookup.text.count - 1;
    size_t guessed = draft(s, wanted);
    s->valid = 0;
    if (!s->model.choices(s->model.context, 1 + guessed, s->tokens, position, s->choices, e)) return false;
    size_t right = 0;
    while (right < guessed && s->tokens[right + 1] == s->choices[right]) right++;
    s->valid = 1 + right;
    s->at = 0;
    s->calls++;
    s->drafted += guessed;
    s->accepted += right;
    return true;
}

void speculate_read(struct speculation *s, const int32_t *tokens, size_t count) {
    for (size_t i = 0; i < count; i++) lookup_add(&s->lookup, tokens[i]);
    s->valid = 0;
}

bool speculate_next(struct speculation *s, int32_t token, size_t wanted, int32_t *next, struct error *e) {
    lookup_add(&s->lookup, token);
    if (s->at + 1 < s->valid && s->tokens[s->at + 1] == token) {
        s->at++;
    } else {
        s->tokens[0] = token;
        if (!check(s, wanted, e)) return false;
    }
    *next = s->choices[s->at];
    return true;
}

void speculate_free(struct speculation *s) { lookup_free(&s->lookup); }
