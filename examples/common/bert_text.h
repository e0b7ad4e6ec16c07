/* BERT's normalisation and cutting of text into words. */
#ifndef EXAMPLES_BERT_TEXT_H
#define EXAMPLES_BERT_TEXT_H
#include "base.h"

/* Which steps a tokenizer asks for. */
struct bert_steps {
    bool clean, chinese, accents,
        lowercase; /* drop controls; space out CJK characters; strip accents; lowercase */
};

/* Calls `word` for each word, in UTF-8, in order. Bytes that are no UTF-8 count as U+FFFD. */
void bert_words(const struct bert_steps *steps, struct text text,
                void (*word)(void *context, struct text word), void *context);
#endif
