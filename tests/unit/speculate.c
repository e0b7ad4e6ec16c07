/* Guessing from the text so far, and greedy decoding by it: the tokens are those of one token a call. */
#include "examples/common/speculate.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void add_all(struct lookup *l, const char *letters) {
    for (; *letters; letters++) lookup_add(l, *letters);
}

static void expect_draft(const struct lookup *l, size_t most, const char *letters) {
    int32_t draft[32];
    size_t count = lookup_draft(l, most, draft);
    cr_expect_eq(count, strlen(letters), "%zu tokens, not '%s'", count, letters);
    for (size_t i = 0; i < count && letters[i]; i++) cr_expect_eq(draft[i], letters[i]);
}

Test(lookup, nothing_is_guessed_of_a_text_that_does_not_repeat) {
    struct lookup l = {0};
    expect_draft(&l, 9, "");
    add_all(&l, "abcdefgh");
    expect_draft(&l, 9, "");
    add_all(&l, "a"); /* one token is chance */
    expect_draft(&l, 9, "");
    cr_expect_eq(l.source, 0);
    lookup_free(&l);
}

Test(lookup, guesses_get_longer_while_they_are_right) {
    struct lookup l = {0};
    add_all(&l, "abcdefgh.ab");
    cr_expect_eq(l.source, 2);
    expect_draft(&l, 9, ""); /* not tried yet */
    add_all(&l, "c");
    expect_draft(&l, 9, "d");
    add_all(&l, "de");
    expect_draft(&l, 9, "fgh");
    expect_draft(&l, 2, "fg");
    add_all(&l, "fgh.");
    expect_draft(&l, 9, "abcdefg"); /* goes on into what was copied */
    lookup_free(&l);
    add_all(&l, "abcabcabca");
    expect_draft(&l, 9, "bcabc"); /* its last three, then in a circle */
    lookup_free(&l);
}

Test(lookup, wrong_guesses_end_it) {
    struct lookup l = {0};
    add_all(&l, "abcdefgh.abcdef");
    cr_expect_eq(l.trust, 4);
    add_all(&l, "x");
    cr_expect_eq(l.trust, 1);
    expect_draft(&l, 9, "");
    add_all(&l, "ab");
    expect_draft(&l, 9, "c");
    add_all(&l, "y");
    cr_expect_eq(l.trust, 0);
    add_all(&l, "ab");
    expect_draft(&l, 9, "");
    lookup_free(&l);
}

Test(lookup, the_longest_match_is_taken_and_of_equals_the_latest) {
    struct lookup l = {0};
    add_all(&l, "1abcX 2bcY 3bcZ 1abc");
    cr_expect_eq(l.text.data[l.source], 'X');
    lookup_free(&l);
    add_all(&l, "1abcX 2bcY 3bcZ 4bc");
    cr_expect_eq(l.text.data[l.source], 'Z');
    lookup_free(&l);
}

/* A model that chooses by its cache alone, as a transformer does, and so finds what dropped guesses leave in
 * it: the next token is a hash of the last few, often one that continues the text's period. */
enum { HOLDS = 200 };
struct fake {
    int32_t cache[HOLDS];
    int32_t period, surprise; /* every so many positions, something else */
    size_t calls, longest;
};

static int32_t after(const struct fake *f, int32_t position) {
    if (f->surprise && position % f->surprise == 0) return 1000 + position;
    return position + 1 >= f->period ? f->cache[position + 1 - f->period] : 7 * position % 50;
}

static bool fake_choices(void *context, size_t count, const int32_t *tokens, int32_t position, int32_t *out,
                         struct error *e) {
    struct fake *f = context;
    if (position < 0 || (size_t)position + count > HOLDS) return fail(e, "past the cache");
    f->calls++;
    if (count > f->longest) f->longest = count;
    for (size_t i = 0; i < count; i++) {
        f->cache[(size_t)position + i] = tokens[i];
        out[i] = after(f, position + (int32_t)i);
    }
    return true;
}

/* Generates to the cache's end by both ways, and compares each token and the caches. */
static struct speculation expect_same(int32_t period, int32_t surprise) {
    struct fake plain = {.period = period, .surprise = surprise}, guessed = plain;
    struct speculation s = {.model = {&guessed, fake_choices, HOLDS}};
    struct error e = {""};
    int32_t prompt[12], a, b;
    for (int32_t i = 0; i < 12; i++) prompt[i] = guessed.cache[i] = plain.cache[i] = i % period;
    speculate_read(&s, prompt, 12);
    a = b = after(&plain, 11);
    for (int32_t at = 12; at < HOLDS; at++) {
        cr_assert_eq(a, b, "period %d, position %d", period, at);
        cr_assert(fake_choices(&plain, 1, &a, at, &a, &e));
        cr_assert(speculate_next(&s, b, (size_t)(HOLDS - at), &b, &e), "%s", e.text);
    }
    cr_expect_arr_eq(plain.cache, guessed.cache, sizeof plain.cache);
    cr_expect(!speculate_next(&s, b, 9, &b, &e), "a token past the cache was taken");
    cr_expect_leq(guessed.longest, SPECULATE_MOST);
    cr_expect_eq(s.calls, guessed.calls);
    speculate_free(&s);
    return s;
}

Test(speculate, same_tokens_whatever_is_guessed) {
    for (int32_t period = 1; period < 12; period++)
        for (int32_t surprise = 0; surprise < 40; surprise++) expect_same(period, surprise);
}

Test(speculate, fewer_calls_where_a_text_repeats_and_none_more_where_not) {
    struct speculation copied = expect_same(5, 0), now_and_then = expect_same(5, 30),
                       never = expect_same(9, 1);
    cr_expect_lt(copied.calls, 30, "%zu calls", copied.calls);
    cr_expect(now_and_then.calls > copied.calls && now_and_then.calls < 100, "%zu calls", now_and_then.calls);
    cr_expect(never.calls == HOLDS - 12 && never.drafted == 0, "%zu guesses", never.drafted);
}

Test(speculate, no_more_is_guessed_than_wanted) {
    struct fake f = {.period = 2};
    struct speculation s = {.model = {&f, fake_choices, HOLDS}};
    struct error e;
    int32_t prompt[20], next;
    for (int32_t i = 0; i < 20; i++) prompt[i] = f.cache[i] = i % 2;
    speculate_read(&s, prompt, 20);
    cr_assert(speculate_next(&s, 0, 3, &next, &e) && next == 1);
    cr_expect_eq(f.longest, 3);
    for (int i = 0; i < 2; i++) cr_assert(speculate_next(&s, next, 2 - (size_t)i, &next, &e));
    cr_expect_eq(f.calls, 1);
    cr_assert(speculate_next(&s, next, 0, &next, &e));
    cr_expect(f.calls == 2 && s.drafted == 2 && s.accepted == 2);
    speculate_free(&s);
}

Test(speculate, a_text_that_goes_another_way_drops_what_was_checked) {
    struct fake f = {.period = 2};
    struct speculation s = {.model = {&f, fake_choices, HOLDS}};
    struct error e;
    int32_t prompt[20], next;
    for (int32_t i = 0; i < 20; i++) prompt[i] = f.cache[i] = i % 2;
    speculate_read(&s, prompt, 20);
    cr_assert(speculate_next(&s, 0, 9, &next, &e) && next == 1 && f.longest > 2);
    cr_assert(speculate_next(&s, 5, 9, &next, &e)); /* not 1 */
    cr_expect(f.calls == 2 && f.cache[21] == 5 && next == 0, "%d after 5", next);
    speculate_free(&s);
}
