/* Whole numbers: what tiles, blocks and layouts are computed with. */
#ifndef IR_NUMBER_H
#define IR_NUMBER_H
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

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

/* "25M", "64k", "0": bytes, k, M and G counting in 1024s; false if it is none of these. */
static inline bool bytes_from_text(const char *text, double *bytes) {
    char *end;
    *bytes = strtod(text, &end);
    for (const char *unit = "kMG"; *unit && *end; unit++) {
        *bytes *= 1024;
        if (*end == *unit && !end[1]) return end != text && *bytes >= 0;
    }
    return !*end && end != text && *bytes >= 0;
}

#endif
