/* Characters pass one by one through the steps, and come out as words:
 *
 *     "Un Café, 北京"  ->  un | cafe | , | 北 | 京
 *
 * The steps and character classes are those of BERT's `tokenization.py` (BasicTokenizer), as published with
 * the model. */
#include "bert_text.h"
#include <stdlib.h>
#include <utf8proc.h>

/* The word being collected, and where complete ones go. */
struct collector {
    const struct bert_steps *steps;
    char *word;
    size_t length, room;
    void (*emit)(void *context, struct text word);
    void *context;
};

static bool is_space(utf8proc_int32_t c) {
    if (c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85) return true;
    utf8proc_category_t category = utf8proc_category(c);
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
           category == UTF8PROC_CATEGORY_ZP;
}

/* Cc, Cf, Cs, Co and Cn, but for the controls that count as spaces. */
static bool is_control(utf8proc_int32_t c) {
    if (c == '\t' || c == '\n' || c == '\r') return false;
    utf8proc_category_t category = utf8proc_category(c);
    return category == UTF8PROC_CATEGORY_CN || category >= UTF8PROC_CATEGORY_CC;
}

/* Every ASCII sign counts, and Unicode's P*. */
static bool is_punctuation(utf8proc_int32_t c) {
    if ((c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~'))
        return true;
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

/* The blocks of CJK ideographs. */
static bool is_chinese(utf8proc_int32_t c) {
    static const utf8proc_int32_t blocks[][2] = {
        {0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
        {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F},
    };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (c >= blocks[i][0] && c <= blocks[i][1]) return true;
    return false;
}

static void end_word(struct collector *to) {
    if (to->length) to->emit(to->context, (struct text){to->word, to->length});
    to->length = 0;
}

static void append(struct collector *to, utf8proc_int32_t c) {
    to->word = grow(to->word, &to->room, to->length + 4, 1);
    to->length += (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)to->word + to->length);
}

/* Lowercases, and cuts: a sign is a word of its own. */
static void put(struct collector *to, utf8proc_int32_t c) {
    if (to->steps->lowercase) c = utf8proc_tolower(c);
    if (is_space(c)) {
        end_word(to);
        return;
    }
    bool alone = is_punctuation(c);
    if (alone) end_word(to);
    append(to, c);
    if (alone) end_word(to);
}

/* Decomposes (NFD) and leaves out the marks. */
static void put_stripped(struct collector *to, utf8proc_int32_t c) {
    utf8proc_int32_t parts[16];
    int boundary = 0;
    utf8proc_ssize_t count =
        utf8proc_decompose_char(c, parts, 16, UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundary);
    for (utf8proc_ssize_t i = 0; i < count && i < 16; i++)
        if (utf8proc_category(parts[i]) != UTF8PROC_CATEGORY_MN) put(to, parts[i]);
}

static void pass(struct collector *to, utf8proc_int32_t c) {
    const struct bert_steps *steps = to->steps;
    if (steps->clean && (c == 0 || c == 0xFFFD || is_control(c))) return;
    bool alone = steps->chinese && is_chinese(c);
    if (alone) end_word(to);
    if (steps->accents)
        put_stripped(to, c);
    else
        put(to, c);
    if (alone) end_word(to);
}

void bert_words(const struct bert_steps *steps, struct text text,
                void (*word)(void *context, struct text word), void *context) {
    struct collector to = {.steps = steps, .emit = word, .context = context};
    for (size_t at = 0; at < text.length;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t width = utf8proc_iterate((const utf8proc_uint8_t *)text.bytes + at,
                                                  (utf8proc_ssize_t)(text.length - at), &c);
        pass(&to, width > 0 ? c : 0xFFFD);
        at += width > 0 ? (size_t)width : 1;
    }
    end_word(&to);
    free(to.word);
}
