/* The source of a guess is the longest earlier match of the text's end, of equals the latest. */
#include "lookup.h"

/* Matches of one token are chance; past the longest nothing is gained by looking on. */
enum { SHORTEST = 2, LONGEST = 8, MOST_TRUST = 16 };

/* How many tokens before `end` are also the text's last, LONGEST at most. */
static size_t match(const struct ids *text, size_t end) {
    const int32_t *last = text->data + text->count - 1;
    size_t n = 0;
    while (n < LONGEST && n < end && text->data[end - 1 - n] == last[-(ptrdiff_t)n]) n++;
    return n;
}

static size_t find(const struct ids *text) {
    size_t source = 0, longest = SHORTEST - 1;
    for (size_t end = text->count - 1; end > 0 && longest < LONGEST; end--) {
        size_t n = match(text, end);
        if (n <= longest) continue;
        longest = n;
        source = end;
    }
    return source;
}

void lookup_add(struct lookup *l, int32_t token) {
    bool foretold = l->source && l->text.data[l->source] == token;
    if (foretold && l->trust < MOST_TRUST) l->trust++;
    if (l->source && !foretold) l->trust = l->trust * 2 / 5;
    ids_push(&l->text, token);
    l->source = foretold ? l->source + 1 : find(&l->text);
}

/* Past the text's end a guess follows itself: the text may be going round in a circle. */
size_t lookup_draft(const struct lookup *l, size_t most, int32_t *draft) {
    size_t count = !l->source ? 0 : l->trust < most ? l->trust : most;
    for (size_t i = 0; i < count; i++) {
        size_t at = l->source + i, end = l->text.count;
        draft[i] = at < end ? l->text.data[at] : draft[at - end];
    }
    return count;
}

void lookup_free(struct lookup *l) {
    ids_free(&l->text);
    *l = (struct lookup){0};
}
