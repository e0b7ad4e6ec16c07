/* Loads a tokenizer.json and spells words with its pieces:
 *
 *     "tokenization"  ->  token ##ization        a word that cannot be spelt is [UNK]
 */
#include "wordpiece.h"
#include "bert_text.h"
#include "names.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct special {
    struct text text;
    int32_t id;
};
struct wordpiece {
    json_t *file; /* owns the bytes of all texts here */
    struct names *vocab;
    struct bert_steps steps;
    struct special *specials; /* [special_count] */
    size_t special_count;
    struct text prefix;       /* of a piece that continues a word, "##" */
    int32_t unknown;          /* [UNK] */
    size_t longest;           /* characters of a word that is spelt at all */
    struct ids before, after; /* what the template puts around a text */
};

static struct text json_text(const json_t *string) {
    return (struct text){json_string_value(string), json_string_length(string)};
}

/* Whether object[field]["type"] is `type`; says so if not. */
static bool expect_type(const json_t *object, const char *field, const char *type, struct error *e) {
    const char *found = json_string_value(json_object_get(json_object_get(object, field), "type"));
    if (found && strcmp(found, type) == 0) return true;
    return fail(e, "its %s is %s, where %s is expected", field, found ? found : "missing", type);
}

static bool load_vocab(struct wordpiece *w, const json_t *model, struct error *e) {
    json_t *vocab = json_object_get(model, "vocab");
    const char *piece;
    const json_t *id;
    if (!json_is_object(vocab)) return fail(e, "its model has no vocabulary");
    w->vocab = names_new(json_object_size(vocab));
    json_object_foreach(vocab, piece, id) {
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || value > INT32_MAX)
            return fail(e, "the id of '%s' is not a whole number from 0 on", piece);
        names_add(w->vocab, text_of(piece), (int32_t)value);
    }
    return true;
}

static bool load_model(struct wordpiece *w, struct error *e) {
    const json_t *model = json_object_get(w->file, "model");
    if (!expect_type(w->file, "model", "WordPiece", e) || !load_vocab(w, model, e)) return false;
    const json_t *unknown = json_object_get(model, "unk_token"),
                 *prefix = json_object_get(model, "continuing_subword_prefix");
    const json_t *longest = json_object_get(model, "max_input_chars_per_word");
    if (!json_is_string(unknown) || !json_is_string(prefix))
        return fail(e, "its model lacks unk_token or prefix");
    w->prefix = json_text(prefix);
    w->unknown = names_find(w->vocab, json_text(unknown));
    if (w->unknown < 0) return fail(e, "'%s' is not in the vocabulary", json_string_value(unknown));
    w->longest = json_integer_value(longest) > 0 ? (size_t)json_integer_value(longest) : 100; /* BERT's own */
    return true;
}

static bool load_steps(struct wordpiece *w, struct error *e) {
    if (!expect_type(w->file, "normalizer", "BertNormalizer", e)) return false;
    if (!expect_type(w->file, "pre_tokenizer", "BertPreTokenizer", e)) return false;
    const json_t *normalizer = json_object_get(w->file, "normalizer");
    const json_t *accents = json_object_get(normalizer, "strip_accents");
    w->steps.clean = json_is_true(json_object_get(normalizer, "clean_text"));
    w->steps.chinese = json_is_true(json_object_get(normalizer, "handle_chinese_chars"));
    w->steps.lowercase = json_is_true(json_object_get(normalizer, "lowercase"));
    w->steps.accents =
        json_is_boolean(accents) ? json_is_true(accents) : w->steps.lowercase; /* null: as lowercase */
    return true;
}

static bool load_specials(struct wordpiece *w, struct error *e) {
    const json_t *added = json_object_get(w->file, "added_tokens"), *entry;
    size_t i;
    w->specials = allocate(json_array_size(added), sizeof *w->specials);
    json_array_foreach(added, i, entry) {
        const json_t *content = json_object_get(entry, "content"), *id = json_object_get(entry, "id");
        json_int_t value = json_integer_value(id);
        if (!json_is_string(content) || !json_is_integer(id) || value < 0 || value > INT32_MAX)
            return fail(e, "added token %zu lacks its text or id", i);
        if (json_string_length(content))
            w->specials[w->special_count++] = (struct special){json_text(content), (int32_t)value};
    }
    return true;
}

/* The template is a list of special tokens around the text, sequence A. */
static bool load_template(struct wordpiece *w, struct error *e) {
    if (!expect_type(w->file, "post_processor", "TemplateProcessing", e)) return false;
    const json_t *single = json_object_get(json_object_get(w->file, "post_processor"), "single"), *part;
    struct ids *side = &w->before;
    size_t i;
    json_array_foreach(single, i, part) {
        const json_t *name = json_object_get(json_object_get(part, "SpecialToken"), "id");
        if (json_object_get(part, "Sequence")) {
            side = &w->after;
            continue;
        }
        int32_t id = json_is_string(name) ? names_find(w->vocab, json_text(name)) : -1;
        if (id < 0)
            return fail(e, "part %zu of its template is neither a sequence nor a token of the vocabulary", i);
        ids_push(side, id);
    }
    return side == &w->after || fail(e, "its template has no place for the text");
}

struct wordpiece *wordpiece_open(const char *path, struct error *e) {
    struct wordpiece *w = allocate(1, sizeof *w);
    json_error_t json_why;
    struct error why;
    w->file = json_load_file(path, JSON_REJECT_DUPLICATES, &json_why);
    if (!w->file)
        fail(e, "%s:%d: %s", path, json_why.line, json_why.text);
    else if (load_model(w, &why) && load_steps(w, &why) && load_specials(w, &why) && load_template(w, &why))
        return w;
    else
        fail(e, "%s: %s", path, why.text);
    wordpiece_free(w);
    return NULL;
}

void wordpiece_free(struct wordpiece *w) {
    if (!w) return;
    json_decref(w->file);
    names_free(w->vocab);
    free(w->specials);
    ids_free(&w->before);
    ids_free(&w->after);
    free(w);
}

/* One run of wordpiece_encode. */
struct spelling {
    const struct wordpiece *w;
    struct ids *ids;
    char *piece; /* the prefix and the rest of the word */
    size_t room;
};

static bool begins_character(char byte) { return ((unsigned char)byte & 0xC0) != 0x80; }

static size_t characters(struct text text) {
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++) count += begins_character(text.bytes[i]);
    return count;
}

/* The longest piece that begins at `from`, its end in *end; -1 if there is none. */
static int32_t longest_piece(struct spelling *run, struct text word, size_t from, size_t *end) {
    size_t prefix = from ? run->w->prefix.length : 0;
    memcpy(run->piece, run->w->prefix.bytes, prefix);
    memcpy(run->piece + prefix, word.bytes + from, word.length - from);
    for (*end = word.length; *end > from; --*end) {
        if (*end < word.length && !begins_character(word.bytes[*end])) continue;
        int32_t id = names_find(run->w->vocab, (struct text){run->piece, prefix + *end - from});
        if (id >= 0) return id;
    }
    return -1;
}

static void spell(void *context, struct text word) {
    struct spelling *run = context;
    size_t begun = run->ids->count;
    bool known = characters(word) <= run->w->longest;
    run->piece = grow(run->piece, &run->room, run->w->prefix.length + word.length, 1);
    for (size_t at = 0, end = 0; known && at < word.length; at = end) {
        int32_t id = longest_piece(run, word, at, &end);
        if (id < 0)
            known = false;
        else
            ids_push(run->ids, id);
    }
    if (known) return;
    run->ids->count = begun;
    ids_push(run->ids, run->w->unknown);
}

static const struct special *special_at(const struct wordpiece *w, struct text text) {
    const struct special *longest = NULL;
    for (size_t i = 0; i < w->special_count; i++) {
        const struct special *s = &w->specials[i];
        if (s->text.length > text.length || memcmp(s->text.bytes, text.bytes, s->text.length) != 0) continue;
        if (!longest || s->text.length > longest->text.length) longest = s;
    }
    return longest;
}

static void encode_all(struct spelling *run, struct text text) {
    const struct wordpiece *w = run->w;
    size_t done = 0;
    for (size_t at = 0; at < text.length;) {
        const struct special *special = special_at(w, (struct text){text.bytes + at, text.length - at});
        if (!special) {
            at++;
            continue;
        }
        bert_words(&w->steps, (struct text){text.bytes + done, at - done}, spell, run);
        ids_push(run->ids, special->id);
        done = at += special->text.length;
    }
    bert_words(&w->steps, (struct text){text.bytes + done, text.length - done}, spell, run);
}

void wordpiece_encode(const struct wordpiece *w, struct text text, size_t most, struct ids *ids) {
    size_t begun = ids->count, around = w->before.count + w->after.count;
    struct spelling run = {.w = w, .ids = ids};
    for (size_t i = 0; i < w->before.count; i++) ids_push(ids, w->before.data[i]);
    encode_all(&run, text);
    size_t end = begun + (most > around ? most - w->after.count : w->before.count);
    if (ids->count > end) ids->count = end;
    for (size_t i = 0; i < w->after.count; i++) ids_push(ids, w->after.data[i]);
    free(run.piece);
}

int32_t wordpiece_padding(const struct wordpiece *w) {
    int32_t id = names_find(w->vocab, text_of("[PAD]"));
    return id < 0 ? 0 : id;
}
