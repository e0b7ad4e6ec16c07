/* Byte-level byte-pair encoding, as GPT-2's: text is cut into words by patterns, and in each word adjacent
 * symbols are merged, the earliest rule first, until no rule applies. "Language models are unsupervised
 * multitask learners", Radford et al. 2019, section 2.2. */
#ifndef EXAMPLES_BPE_H
#define EXAMPLES_BPE_H
#include "base.h"
#include "gguf_meta.h"
#include <stdio.h>

enum bpe_type {
    BPE_NORMAL = 1,
    BPE_UNKNOWN,
    BPE_CONTROL,
    BPE_USER_DEFINED,
    BPE_UNUSED,
    BPE_BYTE
}; /* GGUF's */

/* A vocabulary as files have it: tokens and rules in GPT-2's printable alphabet, in which a byte is a
 * character. */
struct bpe_vocab {
    const struct text *tokens; /* [token_count] */
    const int32_t *types;      /* [token_count] of enum bpe_type; NULL: all are normal */
    size_t token_count;
    const struct text *merges; /* [merge_count], "left right", the first to be applied first */
    size_t merge_count;
    struct text pre_tokenizer; /* a name that pretokenizer.h knows */
};

struct bpe;

/* The encoder, which copies what it needs; NULL with a reason in `e`. bpe_free releases it. */
struct bpe *bpe_new(const struct bpe_vocab *vocab, struct error *e);

/* The same from the metadata of a GGUF file (tokenizer.ggml.*). */
struct bpe *bpe_from_gguf(const struct gguf_meta *meta, struct error *e);
void bpe_free(struct bpe *bpe);

/* Adds the ids of a text to `ids`. Control and user-defined tokens are recognised where their text stands.
 * Bytes for which the vocabulary has no token are left out. */
void bpe_encode(struct bpe *bpe, struct text text, struct ids *ids);

/* The bytes a token stands for; none for an id outside the vocabulary. They may end within a UTF-8 character.
 */
struct text bpe_bytes(const struct bpe *bpe, int32_t id);

/* The text of the ids on one line: its newlines as \n, its backslashes doubled. */
void bpe_print_line(const struct bpe *bpe, const struct ids *ids, FILE *file);

/* The token that stands for exactly these bytes, or -1. */
int32_t bpe_find(const struct bpe *bpe, struct text bytes);

size_t bpe_token_count(const struct bpe *bpe);
#endif
