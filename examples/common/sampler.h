/* Choosing the next token from a model's logits. */
#ifndef EXAMPLES_SAMPLER_H
#define EXAMPLES_SAMPLER_H
#include "base.h"

struct sampler;

/* How to choose: the likeliest where `greedy` or temperature is 0; else by chance from softmax(logits /
 * temperature), among the fewest tokens whose probabilities reach top_p together ("The curious case of neural
 * text degeneration", Holtzman et al. 2020, section 3.1). The same seed gives the same choices. */
struct sampling {
    bool greedy;
    double temperature; /* >= 0 */
    double top_p;       /* in (0, 1]; 1: among all */
    int64_t seed;
};

/* A sampler for a vocabulary of `count` tokens; sampler_free releases it. */
struct sampler *sampler_new(const struct sampling *how, size_t count);
void sampler_free(struct sampler *s);

/* The next token; of equal logits the first. */
int32_t sampler_next(struct sampler *s, const float *logits /* [count] */);
#endif
