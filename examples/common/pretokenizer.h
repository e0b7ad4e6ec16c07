/* Cutting text into the words that byte-pair encoding works on, by the patterns a model was trained with. */
#ifndef EXAMPLES_PRETOKENIZER_H
#define EXAMPLES_PRETOKENIZER_H
#include "base.h"

struct pretokenizer;

/* The one that GGUF files call `name`; NULL with the known names in `e`. pretokenizer_free releases it. */
struct pretokenizer *pretokenizer_new(struct text name, struct error *e);
void pretokenizer_free(struct pretokenizer *p);

/* Calls `word` for each word in order. All bytes of the text are in one of them, whether they are UTF-8 or
 * not. */
void pretokenizer_run(const struct pretokenizer *p, struct text text,
                      void (*word)(void *context, struct text word), void *context);
#endif
