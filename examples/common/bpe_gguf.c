/* The vocabulary of byte-pair encoding in a GGUF file's metadata. */
#include "bpe.h"
#include <stdlib.h>

/* Reads the arrays; what they hold of memory is the caller's, read or not. */
static bool read_vocab(const struct gguf_meta *meta, struct text **tokens, struct text **merges,
                       int32_t **types, struct bpe_vocab *vocab, struct error *e) {
    struct text model;
    size_t type_count;
    if (!gguf_meta_text(meta, "tokenizer.ggml.model", &model)) return fail(e, "the file has no tokenizer");
    if (!text_equal(model, text_of("gpt2")))
        return fail(
            e, "the file's tokenizer is '%.*s'; only 'gpt2', byte-level byte-pair encoding, is known here",
            (int)model.length, model.bytes);
    if (!gguf_meta_texts(meta, "tokenizer.ggml.tokens", tokens, &vocab->token_count) || !vocab->token_count)
        return fail(e, "the file has no tokenizer.ggml.tokens");
    if (!gguf_meta_texts(meta, "tokenizer.ggml.merges", merges, &vocab->merge_count))
        return fail(e, "the file has no tokenizer.ggml.merges");
    if (gguf_meta_ints(meta, "tokenizer.ggml.token_type", types, &type_count) &&
        type_count != vocab->token_count)
        return fail(e, "tokenizer.ggml.token_type has %zu entries for %zu tokens", type_count,
                    vocab->token_count);
    if (!gguf_meta_text(meta, "tokenizer.ggml.pre", &vocab->pre_tokenizer))
        return fail(e, "the file does not name its pre-tokenizer (tokenizer.ggml.pre)");
    return true;
}

struct bpe *bpe_from_gguf(const struct gguf_meta *meta, struct error *e) {
    struct text *tokens = NULL, *merges = NULL;
    int32_t *types = NULL;
    struct bpe_vocab vocab = {0};
    struct bpe *bpe = NULL;
    if (read_vocab(meta, &tokens, &merges, &types, &vocab, e)) {
        vocab.tokens = tokens;
        vocab.merges = merges;
        vocab.types = types;
        bpe = bpe_new(&vocab, e);
    }
    free(tokens);
    free(merges);
    free(types);
    return bpe;
}
