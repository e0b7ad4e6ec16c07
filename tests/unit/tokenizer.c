/* The examples' tokenizers on vocabularies small enough to work out by hand. */
#include "examples/common/bpe.h"
#include "examples/common/merge.h"
#include "examples/common/pretokenizer.h"
#include "examples/common/wordpiece.h"
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Asserts that the ids are `expected`, written as "1 2 3". */
static void expect_ids(const struct ids *ids, const char *expected) {
    char found[4096] = "";
    for (size_t i = 0, at = 0; i < ids->count && at < sizeof found; i++)
        at += (size_t)snprintf(found + at, sizeof found - at, "%s%d", i ? " " : "", ids->data[i]);
    cr_expect_str_eq(found, expected, "ids are %s, expected %s", found, expected);
}

/* Words of one pre-tokenizer, joined by "|". */
static void join_word(void *context, struct text word) {
    char *joined = context;
    size_t length = strlen(joined);
    snprintf(joined + length, 256 - length, "%s%.*s", length ? "|" : "", (int)word.length, word.bytes);
}

static void expect_words(const char *name, const char *text, const char *expected) {
    struct error e;
    struct pretokenizer *p = pretokenizer_new(text_of(name), &e);
    char joined[256] = "";
    cr_assert(p, "%s", e.text);
    pretokenizer_run(p, text_of(text), join_word, joined);
    cr_expect_str_eq(joined, expected, "%s: %s", name, joined);
    pretokenizer_free(p);
}

Test(pretokenizer, words_digits_and_spaces) {
    expect_words("gpt-2", "It's 1969,  you know", "It|'s| 1969|,| | you| know");
    expect_words("smollm", "It's 1969,  you know", "It|'s| |1|9|6|9|,| | you| know");
    expect_words("smollm", "a  7", "a|  |7"); /* what is before a digit ends there */
    expect_words("qwen2", "IT'S 1969\n\nyes", "IT|'S| |1|9|6|9|\n\n|yes");
    expect_words("smollm", "\xC3\xA9t\xC3\xA9 \xF0\x9F\x8E\x89", "\xC3\xA9t\xC3\xA9| \xF0\x9F\x8E\x89");
}

Test(pretokenizer, keeps_bytes_that_are_no_utf8) {
    expect_words("smollm", "ab\xFF\xE4\xB8 c", "ab|\xFF|\xE4|\xB8| c");
}

Test(pretokenizer, refuses_a_name_it_does_not_know) {
    struct error e;
    cr_assert_null(pretokenizer_new(text_of("klingon"), &e));
    cr_expect(strstr(e.text, "klingon") && strstr(e.text, "smollm"), "%s", e.text);
}

Test(merges, earliest_rule_first_then_leftmost) {
    struct merges *m = merges_new(4);
    merges_add(m, 1, 1, 10);  /* 1 1 -> 10 */
    merges_add(m, 10, 1, 11); /* 10 1 -> 11 */
    merges_add(m, 2, 10, 12); /* 2 10 -> 12 */
    int32_t word[] = {2, 1, 1, 1}, odd[] = {1, 1, -1, 1, 1, 1, 1};
    cr_expect_eq(merges_apply(m, word, 4), 2);
    cr_expect(word[0] == 2 && word[1] == 11, "%d %d", word[0], word[1]);
    cr_expect_eq(merges_apply(m, odd, 7), 4);
    cr_expect(odd[0] == 10 && odd[1] == -1 && odd[2] == 10 && odd[3] == 10);
    cr_expect_eq(merges_apply(m, word, 0), 0);
    merges_free(m);
}

/* Applies the rules as the definition says: find the earliest rule, merge its leftmost place, repeat. */
static size_t merge_slowly(const int32_t (*rules)[3], size_t rule_count, int32_t *word, size_t count) {
    for (size_t r = 0; r < rule_count; r++)
        for (size_t i = 0; i + 1 < count; i++) {
            if (word[i] != rules[r][0] || word[i + 1] != rules[r][1]) continue;
            word[i] = rules[r][2];
            memmove(word + i + 1, word + i + 2, (count - i - 2) * sizeof *word);
            return merge_slowly(rules, rule_count, word, count - 1);
        }
    return count;
}

Test(merges, heap_agrees_with_the_definition) {
    static const int32_t rules[][3] = {{0, 1, 3}, {1, 1, 4}, {3, 3, 5}, {2, 4, 6},
                                       {4, 4, 7}, {5, 3, 8}, {6, 0, 9}};
    enum { RULES = sizeof rules / sizeof *rules };
    struct merges *m = merges_new(RULES);
    for (size_t i = 0; i < RULES; i++) merges_add(m, rules[i][0], rules[i][1], rules[i][2]);
    uint32_t random = 1;
    for (int round = 0; round < 2000; round++) {
        int32_t fast[40], slow[40];
        size_t count = 1 + (random >> 16) % 40;
        for (size_t i = 0; i < count; i++) {
            random = random * 1664525u + 1013904223u;
            fast[i] = slow[i] = (int32_t)(random >> 16) % 3;
        }
        size_t left = merges_apply(m, fast, count);
        cr_assert_eq(left, merge_slowly(rules, RULES, slow, count));
        cr_assert_arr_eq(fast, slow, left * sizeof *fast);
    }
    merges_free(m);
}

/* "Ġ" is the space, "Ċ" the newline, "Ã" and "©" the bytes of é. */
static const char *const letters[] = {"h",    "e",     "l",      "o",     "Ġ", "ll", "he",
                                      "hell", "hello", "Ġhello", "<end>", "Ã", "©",  "<end>>"};
static const char *const rules[] = {"l l", "h e", "he ll", "hell o", "Ġ hello"};
enum { LETTERS = sizeof letters / sizeof *letters, RULES = sizeof rules / sizeof *rules };

static struct bpe *small_bpe(const char *pre_tokenizer, const char *last_rule, struct error *e) {
    struct text tokens[LETTERS], merges[RULES];
    int32_t types[LETTERS];
    for (size_t i = 0; i < LETTERS; i++) {
        tokens[i] = text_of(letters[i]);
        types[i] = letters[i][0] == '<' ? BPE_CONTROL : BPE_NORMAL;
    }
    for (size_t i = 0; i < RULES; i++) merges[i] = text_of(rules[i]);
    if (last_rule) merges[RULES - 1] = text_of(last_rule);
    return bpe_new(&(struct bpe_vocab){tokens, types, LETTERS, merges, RULES, text_of(pre_tokenizer)}, e);
}

static void expect_bpe(struct bpe *b, const char *text, const char *expected) {
    struct ids ids = {0};
    bpe_encode(b, text_of(text), &ids);
    expect_ids(&ids, expected);
    ids_free(&ids);
}

Test(bpe, encodes_by_hand) {
    struct error e;
    struct bpe *b = small_bpe("smollm", NULL, &e);
    cr_assert(b, "%s", e.text);
    expect_bpe(b, "hello", "8");
    expect_bpe(b, "hello hello", "8 9");
    expect_bpe(b, "hell", "7");
    expect_bpe(b, "hel", "6 2");
    expect_bpe(b, "", "");
    expect_bpe(b, "\xC3\xA9", "11 12");
    expect_bpe(b, "hexe", "6 1"); /* no token for the byte x */
    bpe_free(b);
}

Test(bpe, special_tokens_the_longest_first) {
    struct error e;
    struct bpe *b = small_bpe("smollm", NULL, &e);
    cr_assert(b, "%s", e.text);
    expect_bpe(b, "hello<end> hello<end>>", "8 10 9 13");
    expect_bpe(b, "<end", "1"); /* no special token: of its bytes only e is one */
    bpe_free(b);
}

Test(bpe, tokens_give_their_bytes) {
    struct error e;
    struct bpe *b = small_bpe("smollm", NULL, &e);
    cr_assert(b, "%s", e.text);
    cr_expect(text_equal(bpe_bytes(b, 9), text_of(" hello")));
    cr_expect(text_equal(bpe_bytes(b, 11), text_of("\xC3")));
    cr_expect_eq(bpe_bytes(b, -1).length, 0);
    cr_expect_eq(bpe_bytes(b, LETTERS).length, 0);
    cr_expect_eq(bpe_find(b, text_of("<end>")), 10);
    cr_expect_eq(bpe_find(b, text_of("nothing")), -1);
    bpe_free(b);
}

Test(bpe, refuses_rules_that_make_no_token) {
    static const char *const bad[] = {"h l", "x y", "hello", "he l l"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error e = {""};
        cr_expect_null(small_bpe("smollm", bad[i], &e), "'%s' was accepted", bad[i]);
        cr_expect(strstr(e.text, bad[i]), "%s", e.text);
    }
}

/* Writes a tokenizer.json, and loads it. `change`, if not NULL, is merged over the file's top level. */
static struct wordpiece *small_wordpiece(const char *change, struct error *e) {
    static const char *const pieces[] = {"[PAD]",        "[UNK]",        "[CLS]", "[SEP]", "token",
                                         "##ization",    "##s",          "cafe",  ",",     "!",
                                         "\xE5\x8C\x97", "\xE4\xBA\xAC", "s",     "'"};
    json_t *vocab = json_object(), *file;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        json_object_set_new(vocab, pieces[i], json_integer((json_int_t)i));
    file = json_pack("{s:{s:s,s:s,s:s,s:i,s:o},s:{s:s,s:b,s:b,s:n,s:b},s:{s:s},s:{s:s,s:[{s:{s:s}},{s:{s:s}},"
                     "{s:{s:s}}]},s:[{s:i,s:s}]}",
                     "model", "type", "WordPiece", "unk_token", "[UNK]", "continuing_subword_prefix", "##",
                     "max_input_chars_per_word", 12, "vocab", vocab, "normalizer", "type", "BertNormalizer",
                     "clean_text", 1, "handle_chinese_chars", 1, "strip_accents", "lowercase", 1,
                     "pre_tokenizer", "type", "BertPreTokenizer", "post_processor", "type",
                     "TemplateProcessing", "single", "SpecialToken", "id", "[CLS]", "Sequence", "id", "A",
                     "SpecialToken", "id", "[SEP]", "added_tokens", "id", 3, "content", "[SEP]");
    cr_assert(file);
    json_t *changes = change ? json_loads(change, 0, NULL) : json_object();
    cr_assert(changes);
    json_object_update(file, changes);
    char path[] = "/tmp/tokenizer-XXXXXX";
    int descriptor = mkstemp(path);
    cr_assert(descriptor >= 0);
    json_dumpfd(file, descriptor, 0);
    close(descriptor);
    json_decref(file);
    json_decref(changes);
    struct wordpiece *w = wordpiece_open(path, e);
    unlink(path);
    return w;
}

static void expect_wordpiece(const struct wordpiece *w, const char *text, size_t most, const char *expected) {
    struct ids ids = {0};
    wordpiece_encode(w, text_of(text), most, &ids);
    expect_ids(&ids, expected);
    ids_free(&ids);
}

Test(wordpiece, encodes_by_hand) {
    struct error e;
    struct wordpiece *w = small_wordpiece(NULL, &e);
    cr_assert(w, "%s", e.text);
    expect_wordpiece(w, "Tokenization, tokens!", 512, "2 4 5 8 4 6 9 3");
    expect_wordpiece(w, "CAF\xC3\x89", 512, "2 7 3");                  /* composed */
    expect_wordpiece(w, "cafe\xCC\x81", 512, "2 7 3");                 /* decomposed */
    expect_wordpiece(w, "\xE5\x8C\x97\xE4\xBA\xAC", 512, "2 10 11 3"); /* each ideograph a word */
    expect_wordpiece(w,
                     "to\xC2\xADken\t\xE2\x80\x83"
                     "cafe",
                     512, "2 4 7 3"); /* soft hyphen dropped, wide space */
    expect_wordpiece(w, "tokenizations tokenx", 512, "2 1 1 3");
    expect_wordpiece(w, "it's", 512, "2 1 13 12 3");
    expect_wordpiece(w, "cafe[SEP]cafe", 512, "2 7 3 7 3");
    expect_wordpiece(w, "", 512, "2 3");
    wordpiece_free(w);
}

Test(wordpiece, cuts_the_text_not_its_ends) {
    struct error e;
    struct wordpiece *w = small_wordpiece(NULL, &e);
    cr_assert(w, "%s", e.text);
    expect_wordpiece(w, "cafe cafe cafe", 4, "2 7 7 3");
    expect_wordpiece(w, "cafe", 2, "2 3");
    wordpiece_free(w);
}

Test(wordpiece, refuses_what_it_does_not_do) {
    static const struct {
        const char *change, *why;
    } bad[] = {
        {"{\"model\":{\"type\":\"BPE\"}}", "model is BPE"},
        {"{\"normalizer\":{\"type\":\"NFKC\"}}", "normalizer is NFKC"},
        {"{\"pre_tokenizer\":null}", "pre_tokenizer is missing"},
        {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}}", "no place for the text"},
        {"{\"added_tokens\":[{\"id\":-1,\"content\":\"x\"}]}", "added token 0"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":\"b\"}}}", "the id of 'a'"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", "lacks unk_token"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error e = {""};
        cr_expect_null(small_wordpiece(bad[i].change, &e), "%s was accepted", bad[i].change);
        cr_expect(strstr(e.text, bad[i].why), "%s: %s", bad[i].change, e.text);
    }
}
