/* SmolLM2's text: tokens from the GGUF file's metadata, which of them end a turn, a chat's turns as ids. */
#ifndef SMOLLM2_TOKENIZER_H
#define SMOLLM2_TOKENIZER_H
#include "../common/bpe.h"

enum { VOCABULARY = 49152, MOST_ENDS = 4 }; /* as in smollm2.mdl, batch.mdl */

/* Starts as {0}; tokenizer_close releases it, opened or not. */
struct tokenizer {
    struct gguf_meta *meta;
    struct bpe *bpe;
    int32_t ends[MOST_ENDS]; /* tokens that end a turn */
    size_t end_count;
};

/* gguf: NULL is the file beside the running program. */
bool tokenizer_open(struct tokenizer *t, const char *gguf, struct error *e);
void tokenizer_close(struct tokenizer *t);

bool tokenizer_ends(const struct tokenizer *t, int32_t token);

/* Adds a user's turn to `ids`: the chat's first with its system prompt (NULL: the file's own), a later one
 * behind the end of the model's last. */
bool tokenizer_turn(struct tokenizer *t, bool first, const char *system, struct text user, struct ids *ids,
                    struct error *e);
#endif
