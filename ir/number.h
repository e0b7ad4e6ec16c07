/* Whole numbers: what tiles, blocks and layouts are computed with. */
#ifndef IR_NUMBER_H
#define IR_NUMBER_H
#include <stdint.h>

/* The least multiple of `to` (> 0) that is not below n >= 0; the caller knows that it fits. */
static inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Never negative; of 0 and b it is |b|. */
static inline int64_t greatest_common_divisor(int64_t a, int64_t b) {
    while (b) {
        int64_t rest = a % b;
        a = b, b = rest;
    }
    return a < 0 ? -a : a;
}

#endif
