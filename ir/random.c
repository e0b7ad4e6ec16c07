/* Philox4x32-10, and the distributions made of it. */
#include "ir/random.h"
#include <math.h>
#include <string.h>

struct random_key random_key(uint64_t seed, const char *name) {
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, 64 bits */
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    hash ^= seed * 0x9e3779b97f4a7c15u;
    return (struct random_key){{(uint32_t)hash, (uint32_t)(hash >> 32)}};
}

void random_words(struct random_key key, const uint32_t counter[4], uint32_t words[4]) {
    uint32_t k0 = key.words[0], k1 = key.words[1];
    memcpy(words, counter, 4 * sizeof *words);
    for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
        uint64_t a = (uint64_t)0xd2511f53u * words[0], b = (uint64_t)0xcd9e8d57u * words[2];
        words[0] = (uint32_t)(b >> 32) ^ words[1] ^ k0;
        words[1] = (uint32_t)b;
        words[2] = (uint32_t)(a >> 32) ^ words[3] ^ k1;
        words[3] = (uint32_t)a;
    }
}

static void words_at(struct random_key key, uint64_t stream, uint64_t index, uint32_t words[4]) {
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream,
                                 (uint32_t)(stream >> 32)};
    random_words(key, counter, words);
}

static double unit(uint32_t word) { return (word >> 8) * 0x1p-24; }

double random_uniform(struct random_key key, uint64_t stream, uint64_t index, double lo, double hi) {
    uint32_t words[4];
    words_at(key, stream, index, words);
    return lo + (hi - lo) * unit(words[0]);
}

double random_normal(struct random_key key, uint64_t stream, uint64_t index, double std) {
    static const double two_pi = 6.283185307179586;
    uint32_t words[4];
    words_at(key, stream, index, words);
    return std * sqrt(-2 * log(1 - unit(words[0]))) * cos(two_pi * unit(words[1]));
}
