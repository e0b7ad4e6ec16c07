/* Random numbers by counting: the number at any place is a function of its place alone, so threads, ranks,
 * the interpreter and the compiler agree on it without talking.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC11). Counter:
 * words 0, 1 the element's index, words 2, 3 the stream (a param array's element, or a random op's seed); low
 * word first. Of the four words made, element i of a uniform uses the first, of a normal the first two: u0 =
 * (w0 >> 8) / 2^24, u1 = (w1 >> 8) / 2^24        in [0, 1), exact in f32 uniform(lo, hi) = lo + (hi - lo) *
 * u0 normal(std)     = std * sqrt(-2 log(1 - u0)) * cos(2 pi u1)        (Box and Muller, 1958) */
#ifndef IR_RANDOM_H
#define IR_RANDOM_H
#include <stdint.h>

struct random_key {
    uint32_t words[2];
};
/* The name's 64-bit FNV-1a hash xor `seed` times 0x9e3779b97f4a7c15; low word first. */
struct random_key random_key(uint64_t seed, const char *name);
#define RANDOM_OPS "#random" /* the name for the ops normal and uniform; no global can have it */

void random_words(struct random_key key, const uint32_t counter[4], uint32_t words[4]);
double random_uniform(struct random_key key, uint64_t stream, uint64_t index, double lo, double hi);
double random_normal(struct random_key key, uint64_t stream, uint64_t index, double std);

#endif
