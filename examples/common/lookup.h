/* Guesses how a text goes on from what it has already said: where its last tokens stood before, what followed
 * them there is likely to follow again. "Prompt lookup decoding", Saxena 2023.
 *
 *     … the cat sat on the mat . The dog saw the cat     sat on the mat
 *           └──────┴ stood here before       └─────┴──── so this is guessed */
#ifndef EXAMPLES_LOOKUP_H
#define EXAMPLES_LOOKUP_H
#include "base.h"

/* Starts as {0}; its owner calls lookup_free. */
struct lookup {
    struct ids text; /* so far */
    size_t source;   /* where in the text the next token is foretold; 0: nowhere */
    size_t trust;    /* how many tokens in a row may be guessed */
};

/* The text's next token, guessed or not. Each token that the source foretold raises the trust by one; one
 * that it did not takes more than half of it. So guesses get longer while a text is copied, and where it is
 * new they stop, and cost nothing, until it repeats itself again. */
void lookup_add(struct lookup *l, int32_t token);

/* Guesses the next tokens, at most `most`; how many. */
size_t lookup_draft(const struct lookup *l, size_t most, int32_t *draft /* [most] */);

void lookup_free(struct lookup *l);
#endif
