/* Greedy decoding of several tokens a call: guessed tokens are checked by the model all at once, and those
 * that it would have chosen itself are kept. What comes out is what one token a call gives. "Fast inference
 * from transformers via speculative decoding", Leviathan et al. 2023, section 2.3, without chance.
 *
 *     tokens      the   cat   sat   in    a          the: known; the others: guessed by lookup.h
 *     choices     cat   sat   on    …     …          "on" is right, "in" and what follows it are dropped */
#ifndef EXAMPLES_SPECULATE_H
#define EXAMPLES_SPECULATE_H
#include "lookup.h"

enum { SPECULATE_MOST = 16 }; /* tokens a call, the known one included: dim T of smollm2.mdl */

/* A model whose cache is written at the position that a call names, and read up to its own rows only. So what
 * dropped guesses leave in it past the text's end is harmless: no row of a later call sees a row behind its
 * own position, and the rows in front of that have all been written again by then, as each call begins where
 * the text ends. */
struct speculate_model {
    void *context;
    /* The likeliest token after each of `count` <= SPECULATE_MOST tokens, which stand from `position` on. */
    bool (*choices)(void *context, size_t count, const int32_t *tokens, int32_t position,
                    int32_t *choices /* [count] */, struct error *e);
    size_t holds; /* positions of the cache */
};

/* Starts as {.model = …}; its owner calls speculate_free. */
struct speculation {
    struct speculate_model model;
    struct lookup lookup; /* its text is what the caller knows of the cache */
    int32_t tokens[SPECULATE_MOST], choices[SPECULATE_MOST];
    size_t valid,
        at; /* the last call's rows whose tokens the model chose; the one that the text has reached */
    size_t calls, drafted, accepted;
};

/* Tokens that the cache holds already: the prompt. */
void speculate_read(struct speculation *s, const int32_t *tokens, size_t count);

/* Adds a token to the text, by a call where the last one has not seen it; *next is then the likeliest after
 * it. `wanted`: how many tokens are still to come, so that no more are guessed. */
bool speculate_next(struct speculation *s, int32_t token, size_t wanted, int32_t *next, struct error *e);

void speculate_free(struct speculation *s);
#endif
