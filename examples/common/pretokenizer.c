/* Pre-tokenizers are rows of patterns, applied one after the other to what the one before cut:
 *
 *     "In 1969"  --\p{N}-->  "In " "1" "9" "6" "9"  --words-->  "In" " " "1" "9" "6" "9"
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "pretokenizer.h"
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

enum { MOST_PATTERNS = 2 };

/* Contractions, then letters, digits or signs with at most one space before them, then spaces; GPT-2's own,
 * from the `encoder.py` published with it. */
#define GPT2_WORDS "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* Qwen2's, from the tokenizer.json published with it. */
#define QWEN2_WORDS                                                                                          \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "                                    \
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"                                                           \
    "\\s+(?!\\S)|\\s+"

static const struct {
    const char *name;
    const char *patterns[MOST_PATTERNS];
} known[] = {
    {"gpt-2", {GPT2_WORDS}},
    {"smollm", {"\\p{N}", GPT2_WORDS}}, /* each digit is a word */
    {"starcoder", {"\\p{N}", GPT2_WORDS}},
    {"qwen2", {QWEN2_WORDS}},
};
enum { KNOWN = sizeof known / sizeof *known };

struct pretokenizer {
    pcre2_code *patterns[MOST_PATTERNS];
    pcre2_match_data *matches[MOST_PATTERNS];
    size_t count;
};

/* One run: where words go. */
struct sink {
    const struct pretokenizer *p;
    void (*word)(void *context, struct text word);
    void *context;
};

static bool add_pattern(struct pretokenizer *p, const char *pattern, struct error *e) {
    int code;
    PCRE2_SIZE offset;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                         &code, &offset, NULL);
    if (!compiled) return fail(e, "PCRE2 refuses a pattern at %zu (error %d)", (size_t)offset, code);
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* without it the matcher is only slower */
    p->patterns[p->count] = compiled;
    p->matches[p->count] = pcre2_match_data_create_from_pattern(compiled, NULL);
    return p->matches[p->count++] || fail(e, "out of memory");
}

static bool refuse_name(struct text name, struct error *e) {
    char list[100] = "";
    for (size_t i = 0, at = 0; i < KNOWN && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, " %s", known[i].name);
    return fail(e, "the pre-tokenizer '%.*s' is not known here; known are:%s", (int)name.length, name.bytes,
                list);
}

static bool add_patterns(struct pretokenizer *p, struct text name, struct error *e) {
    for (size_t i = 0; i < KNOWN; i++) {
        if (!text_equal(name, text_of(known[i].name))) continue;
        for (size_t k = 0; k < MOST_PATTERNS && known[i].patterns[k]; k++)
            if (!add_pattern(p, known[i].patterns[k], e)) return false;
        return true;
    }
    return refuse_name(name, e);
}

struct pretokenizer *pretokenizer_new(struct text name, struct error *e) {
    struct pretokenizer *p = allocate(1, sizeof *p);
    if (add_patterns(p, name, e)) return p;
    pretokenizer_free(p);
    return NULL;
}

void pretokenizer_free(struct pretokenizer *p) {
    if (!p) return;
    for (size_t i = 0; i < p->count; i++) {
        pcre2_match_data_free(p->matches[i]);
        pcre2_code_free(p->patterns[i]);
    }
    free(p);
}

static void cut(const struct sink *sink, size_t pattern, struct text text);

static void pass_on(const struct sink *sink, size_t pattern, struct text piece) {
    if (!piece.length) return;
    if (pattern == sink->p->count)
        sink->word(sink->context, piece);
    else
        cut(sink, pattern, piece);
}

/* Matches and what is between them go on to the next pattern. The text is valid UTF-8. */
static void cut(const struct sink *sink, size_t pattern, struct text text) {
    pcre2_match_data *match = sink->p->matches[pattern];
    size_t done = 0;
    while (done < text.length) {
        int found = pcre2_match(sink->p->patterns[pattern], (PCRE2_SPTR)text.bytes, text.length, done,
                                PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, match, NULL);
        if (found < 0) break;
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(match);
        pass_on(sink, pattern + 1, (struct text){text.bytes + done, span[0] - done});
        pass_on(sink, pattern + 1, (struct text){text.bytes + span[0], span[1] - span[0]});
        done = span[1];
    }
    pass_on(sink, pattern + 1, (struct text){text.bytes + done, text.length - done});
}

/* The length of the longest prefix that is UTF-8. */
static size_t valid_prefix(struct text text) {
    size_t at = 0;
    while (at < text.length) {
        utf8proc_int32_t character;
        utf8proc_ssize_t width = utf8proc_iterate((const utf8proc_uint8_t *)text.bytes + at,
                                                  (utf8proc_ssize_t)(text.length - at), &character);
        if (width <= 0) break;
        at += (size_t)width;
    }
    return at;
}

void pretokenizer_run(const struct pretokenizer *p, struct text text,
                      void (*word)(void *context, struct text word), void *context) {
    const struct sink sink = {p, word, context};
    while (text.length) {
        size_t valid = valid_prefix(text);
        pass_on(&sink, 0, (struct text){text.bytes, valid});
        if (valid < text.length)
            word(context, (struct text){text.bytes + valid, 1}); /* a byte that is no UTF-8 */
        size_t used = valid < text.length ? valid + 1 : valid;
        text = (struct text){text.bytes + used, text.length - used};
    }
}
