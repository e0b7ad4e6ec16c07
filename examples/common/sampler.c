/* Greedy, or by temperature and top-p, with a random number from splitmix64 (Steele, Lea, Flood 2014). */
#include "sampler.h"
#include <math.h>
#include <stdlib.h>

struct choice {
    double probability;
    int32_t token;
};
struct sampler {
    struct sampling how;
    size_t count;
    uint64_t state;
    struct choice *choices; /* [count] */
};

struct sampler *sampler_new(const struct sampling *how, size_t count) {
    struct sampler *s = allocate(1, sizeof *s);
    *s = (struct sampler){*how, count, (uint64_t)how->seed, allocate(count, sizeof *s->choices)};
    return s;
}

void sampler_free(struct sampler *s) {
    if (!s) return;
    free(s->choices);
    free(s);
}

/* In [0, 1). */
static double uniform(struct sampler *s) {
    uint64_t z = s->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static int32_t likeliest(const float *logits, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (logits[i] > logits[best]) best = i;
    return (int32_t)best;
}

static int likelier_first(const void *a, const void *b) {
    const struct choice *x = a, *y = b;
    if (x->probability != y->probability) return x->probability < y->probability ? 1 : -1;
    return x->token - y->token;
}

/* Softmax into the choices; returns how many can be among the likeliest that reach top_p together: a token
 * below (1 - top_p) / count cannot, as all such tokens together stay under 1 - top_p. */
static size_t probabilities(struct sampler *s, const float *logits) {
    double top = logits[likeliest(logits, s->count)], total = 0;
    for (size_t i = 0; i < s->count; i++) total += exp((logits[i] - top) / s->how.temperature);
    double least = (1 - s->how.top_p) / (double)s->count;
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        double p = exp((logits[i] - top) / s->how.temperature) / total;
        if (p >= least) s->choices[kept++] = (struct choice){p, (int32_t)i};
    }
    return kept;
}

int32_t sampler_next(struct sampler *s, const float *logits) {
    if (s->how.greedy || s->how.temperature <= 0) return likeliest(logits, s->count);
    size_t kept = probabilities(s, logits), end = 0;
    if (!kept) return likeliest(logits, s->count); /* logits that are no numbers */
    qsort(s->choices, kept, sizeof *s->choices, likelier_first);
    double reached = 0;
    while (end < kept && (end == 0 || reached < s->how.top_p)) reached += s->choices[end++].probability;
    double left = uniform(s) * reached;
    for (size_t i = 0; i + 1 < end; i++)
        if ((left -= s->choices[i].probability) < 0) return s->choices[i].token;
    return s->choices[end - 1].token;
}
