/* The examples' tokenizers on the real vocabularies:  tokenizers bpe GGUF GOLDEN-FOLDER
 *                                                     tokenizers wordpiece TOKENIZER-JSON GOLDEN-FOLDER */
#include "examples/common/bpe.h"
#include "examples/common/wordpiece.h"
#include "tests/models/golden.h"
#include <stdio.h>
#include <string.h>

/* An encoder of either kind. */
struct encoder {
    struct bpe *bpe;
    struct wordpiece *wordpiece;
    const char *file, *text_key; /* of the reference */
};

static struct encoder encoder_open(const char *kind, const char *path) {
    struct encoder c = {.file = "cases.json", .text_key = "text"};
    struct error e;
    if (strcmp(kind, "bpe") == 0) {
        struct gguf_meta *meta = gguf_meta_open(path, &e);
        c = (struct encoder){
            .bpe = meta ? bpe_from_gguf(meta, &e) : NULL, .file = "greedy.json", .text_key = "prompt"};
        gguf_meta_close(meta);
    } else {
        c.wordpiece = wordpiece_open(path, &e);
    }
    if (!c.bpe && !c.wordpiece) give_up("%s", e.text);
    return c;
}

static void check(const struct encoder *c, const json_t *one) {
    const json_t *string = json_object_get(one, c->text_key);
    struct text text = {json_string_value(string), json_string_length(string)};
    struct ids ids = {0}, expected = {0};
    golden_ids(one, "ids", &expected);
    if (c->bpe)
        bpe_encode(c->bpe, text, &ids);
    else
        wordpiece_encode(c->wordpiece, text, 512, &ids);
    bool same =
        ids.count == expected.count && memcmp(ids.data, expected.data, ids.count * sizeof *ids.data) == 0;
    report(same && ids.count, "%.40s…: %zu tokens", text.bytes, ids.count);
    ids_free(&ids);
    ids_free(&expected);
}

/* What is generated decodes to the reference's text. */
static void check_decoding(const struct encoder *c, const json_t *one) {
    const json_t *string = json_object_get(one, "text");
    struct text expected = {json_string_value(string), json_string_length(string)};
    struct ids ids = {0};
    size_t at = 0;
    bool same = true;
    golden_ids(one, "greedy", &ids);
    for (size_t i = 0; i < ids.count && same; i++) {
        struct text bytes = bpe_bytes(c->bpe, ids.data[i]);
        same = bytes.length <= expected.length - at &&
               memcmp(bytes.bytes, expected.bytes + at, bytes.length) == 0;
        at += bytes.length;
    }
    report(same && at == expected.length, "its %zu greedy tokens decode", ids.count);
    ids_free(&ids);
}

int main(int argc, char **argv) {
    if (argc != 4) give_up("usage: tokenizers bpe|wordpiece FILE GOLDEN-FOLDER");
    struct encoder c = encoder_open(argv[1], argv[2]);
    json_t *cases = golden_cases(argv[3], c.file);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        check(&c, json_array_get(cases, i));
        if (c.bpe) check_decoding(&c, json_array_get(cases, i));
    }
    json_decref(cases);
    bpe_free(c.bpe);
    wordpiece_free(c.wordpiece);
    return report_end();
}
