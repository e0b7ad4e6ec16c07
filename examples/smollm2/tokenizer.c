/* SmolLM2's text: tokens from the GGUF file's metadata, which of them end a turn, a chat's turns as ids. */
#include "tokenizer.h"
#include "../common/chatml.h"
#include <stdlib.h>

static const char gguf_name[] = "SmolLM2-135M-Instruct.Q4_1.gguf";

static void add_end(struct tokenizer *t, int64_t token) {
    if (token >= 0 && token < VOCABULARY && t->end_count < MOST_ENDS)
        t->ends[t->end_count++] = (int32_t)token;
}

static void find_ends(struct tokenizer *t) {
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"};
    static const char *const names[] = {"<|im_end|>", "<|endoftext|>"};
    for (size_t i = 0; i < 2; i++) {
        uint64_t token;
        if (gguf_meta_uint(t->meta, keys[i], &token) && token < VOCABULARY) add_end(t, (int64_t)token);
        add_end(t, bpe_find(t->bpe, text_of(names[i])));
    }
}

bool tokenizer_open(struct tokenizer *t, const char *gguf, struct error *e) {
    char beside[4096];
    path_beside_program(beside, sizeof beside, gguf_name);
    t->meta = gguf_meta_open(gguf ? gguf : beside, e);
    if (!t->meta) return false;
    t->bpe = bpe_from_gguf(t->meta, e);
    if (!t->bpe) return false;
    if (bpe_token_count(t->bpe) != VOCABULARY)
        return fail(e, "the tokenizer has %zu tokens, the model %d", bpe_token_count(t->bpe), VOCABULARY);
    find_ends(t);
    return true;
}

void tokenizer_close(struct tokenizer *t) {
    bpe_free(t->bpe);
    gguf_meta_close(t->meta);
}

bool tokenizer_ends(const struct tokenizer *t, int32_t token) {
    for (size_t i = 0; i < t->end_count; i++)
        if (t->ends[i] == token) return true;
    return false;
}

bool tokenizer_turn(struct tokenizer *t, bool first, const char *system, struct text user, struct ids *ids,
                    struct error *e) {
    struct text jinja, given = {"", 0};
    if (!gguf_meta_text(t->meta, "tokenizer.chat_template", &jinja) || !chatml_known(jinja))
        return fail(e, "the file's chat template is not ChatML, the only form known here");
    if (first) given = system ? text_of(system) : chatml_system(jinja);
    char *prompt = chatml_prompt(!first, given, user);
    bpe_encode(t->bpe, text_of(prompt), ids);
    free(prompt);
    return true;
}
