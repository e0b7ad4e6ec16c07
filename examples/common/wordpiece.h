/* WordPiece as BERT's: text is cleaned, lowercased, stripped of accents, cut at spaces and signs, and each
 * word is spelt with the longest pieces of the vocabulary, from the left ("BERT", Devlin et al. 2019;
 * "Japanese and Korean voice search", Schuster and Nakajima 2012). */
#ifndef EXAMPLES_WORDPIECE_H
#define EXAMPLES_WORDPIECE_H
#include "base.h"

struct wordpiece;

/* Loads a tokenizer.json (of the `tokenizers` library); NULL with a reason in `e`, also where the file asks
 * for something else than BERT's normaliser, pre-tokenizer and template. wordpiece_free releases it. */
struct wordpiece *wordpiece_open(const char *path, struct error *e);
void wordpiece_free(struct wordpiece *w);

/* Adds a text's ids to `ids`, begun and ended as the file's template says ([CLS] … [SEP]), the text cut so
 * that they are at most `most`. Special tokens are recognised where their text stands. */
void wordpiece_encode(const struct wordpiece *w, struct text text, size_t most, struct ids *ids);

/* The id that pads a batch, [PAD]'s, or 0 where the vocabulary has none. */
int32_t wordpiece_padding(const struct wordpiece *w);
#endif
