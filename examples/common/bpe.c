/* A text is cut at special tokens, the rest into words, and each word's bytes are merged:
 *
 *     "<|im_start|>user"  ->  [<|im_start|>] "user"  ->  1, u s e r  ->  1, us er  ->  1, 4093
 *
 * Inside, tokens are the bytes they stand for; the printable alphabet of the files is undone when loading. */
#include "bpe.h"
#include "merge.h"
#include "names.h"
#include "pretokenizer.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct bpe {
    size_t count;
    char *pool;          /* the bytes of all tokens */
    struct text *tokens; /* [count] in the pool */
    struct names *names; /* bytes to id */
    struct merges *merges;
    struct pretokenizer *pretokenizer;
    int32_t bytes[256];       /* the token of each byte, or -1 */
    int32_t *specials;        /* [special_count] ids, the longest first */
    bool starts_special[256]; /* whether a special token begins with the byte */
    size_t special_count;
    int32_t *word; /* scratch of encode_word */
    size_t word_room;
};

/* GPT-2's alphabet: printable bytes of Latin-1 stand for themselves, the others for U+0100, U+0101 … in
 * order. */
struct alphabet {
    int16_t bytes[512]; /* of a character, or -1 */
};

static bool stands_for_itself(int byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

static void make_alphabet(struct alphabet *a) {
    memset(a->bytes, 0xff, sizeof a->bytes);
    for (int byte = 0, next = 256; byte < 256; byte++)
        a->bytes[stands_for_itself(byte) ? byte : next++] = (int16_t)byte;
}

/* Decodes to `out` (which has room for as many bytes as `printed`) and returns the length, or -1 where a
 * character is not of the alphabet. */
static ptrdiff_t decode(const struct alphabet *a, struct text printed, char *out) {
    ptrdiff_t length = 0;
    for (size_t at = 0; at < printed.length;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t width = utf8proc_iterate((const utf8proc_uint8_t *)printed.bytes + at,
                                                  (utf8proc_ssize_t)(printed.length - at), &c);
        if (width <= 0 || c < 0 || c >= 512 || a->bytes[c] < 0) return -1;
        out[length++] = (char)a->bytes[c];
        at += (size_t)width;
    }
    return length;
}

static bool is_special(const struct bpe_vocab *vocab, size_t id) {
    return vocab->types && (vocab->types[id] == BPE_CONTROL || vocab->types[id] == BPE_USER_DEFINED);
}

/* Texts outside the alphabet, and those of special tokens, are taken as they are. */
static bool load_tokens(struct bpe *b, const struct bpe_vocab *vocab, const struct alphabet *alphabet,
                        struct error *e) {
    if (vocab->token_count > INT32_MAX) return fail(e, "%zu tokens are too many", vocab->token_count);
    size_t bytes = 0;
    for (size_t i = 0; i < vocab->token_count; i++) bytes += vocab->tokens[i].length;
    b->pool = allocate(bytes, 1);
    b->tokens = allocate(vocab->token_count, sizeof *b->tokens);
    b->names = names_new(vocab->token_count);
    b->count = vocab->token_count;
    char *at = b->pool;
    for (size_t i = 0; i < b->count; i++) {
        struct text printed = vocab->tokens[i];
        ptrdiff_t length = is_special(vocab, i) ? -1 : decode(alphabet, printed, at);
        if (length < 0 && printed.length) memcpy(at, printed.bytes, printed.length);
        b->tokens[i] = (struct text){at, length < 0 ? printed.length : (size_t)length};
        at += b->tokens[i].length;
        names_add(b->names, b->tokens[i], (int32_t)i);
    }
    for (int i = 0; i < 256; i++) b->bytes[i] = names_find(b->names, (struct text){(char[]){(char)i}, 1});
    return true;
}

/* Adds the rule "left right"; `scratch` has room for the rule's bytes. */
static bool load_merge(struct bpe *b, struct text rule, const struct alphabet *alphabet, char *scratch) {
    const char *space = memchr(rule.bytes, ' ', rule.length);
    if (!space) return false;
    size_t split = (size_t)(space - rule.bytes);
    ptrdiff_t left = decode(alphabet, (struct text){rule.bytes, split}, scratch);
    if (left < 0) return false;
    ptrdiff_t right = decode(alphabet, (struct text){space + 1, rule.length - split - 1}, scratch + left);
    if (right < 0) return false;
    int32_t left_id = names_find(b->names, (struct text){scratch, (size_t)left});
    int32_t right_id = names_find(b->names, (struct text){scratch + left, (size_t)right});
    int32_t merged = names_find(b->names, (struct text){scratch, (size_t)(left + right)});
    if (left_id < 0 || right_id < 0 || merged < 0) return false;
    merges_add(b->merges, left_id, right_id, merged);
    return true;
}

static bool load_merges(struct bpe *b, const struct bpe_vocab *vocab, const struct alphabet *alphabet,
                        struct error *e) {
    b->merges = merges_new(vocab->merge_count);
    char *scratch = NULL;
    size_t room = 0, i = 0;
    for (; i < vocab->merge_count; i++) {
        scratch = grow(scratch, &room, vocab->merges[i].length + 1, 1);
        if (!load_merge(b, vocab->merges[i], alphabet, scratch)) break;
    }
    free(scratch);
    if (i == vocab->merge_count) return true;
    return fail(e, "merge %zu, '%.*s', is not two tokens whose join is a token", i,
                (int)vocab->merges[i].length, vocab->merges[i].bytes);
}

static int longest_first(const void *a, const void *b, void *context) {
    const struct text *tokens = context;
    const int32_t *x = a, *y = b;
    if (tokens[*x].length != tokens[*y].length) return tokens[*x].length < tokens[*y].length ? 1 : -1;
    return *x - *y;
}

static void load_specials(struct bpe *b, const struct bpe_vocab *vocab) {
    b->specials = allocate(b->count, sizeof *b->specials);
    for (size_t i = 0; i < b->count; i++) {
        if (!is_special(vocab, i) || !b->tokens[i].length) continue;
        b->specials[b->special_count++] = (int32_t)i;
        b->starts_special[(unsigned char)b->tokens[i].bytes[0]] = true;
    }
    qsort_r(b->specials, b->special_count, sizeof *b->specials, longest_first, b->tokens);
}

struct bpe *bpe_new(const struct bpe_vocab *vocab, struct error *e) {
    struct bpe *b = allocate(1, sizeof *b);
    struct alphabet alphabet;
    make_alphabet(&alphabet);
    b->pretokenizer = pretokenizer_new(vocab->pre_tokenizer, e);
    if (b->pretokenizer && load_tokens(b, vocab, &alphabet, e) && load_merges(b, vocab, &alphabet, e)) {
        load_specials(b, vocab);
        return b;
    }
    bpe_free(b);
    return NULL;
}

void bpe_free(struct bpe *b) {
    if (!b) return;
    pretokenizer_free(b->pretokenizer);
    merges_free(b->merges);
    names_free(b->names);
    free(b->specials);
    free(b->tokens);
    free(b->pool);
    free(b->word);
    free(b);
}

/* One run of bpe_encode. */
struct encoding {
    struct bpe *b;
    struct ids *ids;
};

static void encode_word(void *context, struct text word) {
    struct encoding *run = context;
    struct bpe *b = run->b;
    b->word = grow(b->word, &b->word_room, word.length, sizeof *b->word);
    for (size_t i = 0; i < word.length; i++) b->word[i] = b->bytes[(unsigned char)word.bytes[i]];
    size_t count = merges_apply(b->merges, b->word, word.length);
    for (size_t i = 0; i < count; i++)
        if (b->word[i] >= 0) ids_push(run->ids, b->word[i]);
}

/* The longest special token at the head of the text, or -1. */
static int32_t special_at(const struct bpe *b, struct text text) {
    if (!b->starts_special[(unsigned char)text.bytes[0]]) return -1;
    for (size_t i = 0; i < b->special_count; i++) {
        struct text special = b->tokens[b->specials[i]];
        if (special.length <= text.length && memcmp(special.bytes, text.bytes, special.length) == 0)
            return b->specials[i];
    }
    return -1;
}

void bpe_encode(struct bpe *b, struct text text, struct ids *ids) {
    struct encoding run = {b, ids};
    size_t done = 0;
    for (size_t at = 0; at < text.length;) {
        int32_t special = special_at(b, (struct text){text.bytes + at, text.length - at});
        if (special < 0) {
            at++;
            continue;
        }
        pretokenizer_run(b->pretokenizer, (struct text){text.bytes + done, at - done}, encode_word, &run);
        ids_push(ids, special);
        at += b->tokens[special].length;
        done = at;
    }
    pretokenizer_run(b->pretokenizer, (struct text){text.bytes + done, text.length - done}, encode_word,
                     &run);
}

struct text bpe_bytes(const struct bpe *b, int32_t id) {
    return id >= 0 && (size_t)id < b->count ? b->tokens[id] : (struct text){"", 0};
}

int32_t bpe_find(const struct bpe *b, struct text bytes) { return names_find(b->names, bytes); }

size_t bpe_token_count(const struct bpe *b) { return b->count; }

void bpe_print_line(const struct bpe *bpe, const struct ids *ids, FILE *file) {
    for (size_t i = 0; i < ids->count; i++) {
        struct text bytes = bpe_bytes(bpe, ids->data[i]);
        for (size_t k = 0; k < bytes.length; k++) {
            char c = bytes.bytes[k];
            if (c == '\n' || c == '\\') putc('\\', file);
            putc(c == '\n' ? 'n' : c, file);
        }
    }
    putc('\n', file);
}
