/* Sum, max, min and product of arrays, for each element type. */
#include "runtime/reduce.h"
#include <string.h>

const uint32_t reduce_bytes[MDL_BOOL + 1] = {8, 4, 2, 2, 8, 4, 2, 1, 1, 1};

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float from_bf16(uint16_t h) { return float_of((uint32_t)h << 16); }
static uint16_t to_bf16(float x) {
    uint32_t b = bits_of(x);
    if ((b & 0x7fffffff) > 0x7f800000) return (uint16_t)(b >> 16 | 0x40);
    return (uint16_t)((b + 0x7fff + (b >> 16 & 1)) >> 16);
}

static float from_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, m = h & 0x7fff;
    if (m >= 0x7c00) return float_of(sign | m << 13 | 0x7f800000);
    if (m < 0x0400) return float_of(sign | bits_of((float)m * 0x1p-24f));
    return float_of(sign | ((m << 13) + (112u << 23)));
}
/* Adding 0.5, whose last place is f16's smallest number, rounds what is below f16's normal numbers. */
static uint16_t to_f16(float x) {
    uint32_t b = bits_of(x), sign = b >> 16 & 0x8000;
    b &= 0x7fffffff;
    if (b > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (b >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
    if (b < 0x38800000) return (uint16_t)(sign | (bits_of(float_of(b) + 0.5f) - 0x3f000000));
    b += 0xfff + (b >> 13 & 1);
    return (uint16_t)(sign | ((b >> 13) - (112u << 10)));
}

#define SAME(x) (x)
#define SUM(a, b) ((a) + (b))
#define PROD(a, b) ((a) * (b))
#define MAX(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
#define MIN(a, b) ((a) < (b) || (a) != (a) ? (a) : (b))

/* T: stored; C: computed with; unsigned where it may wrap around. */
#define LOOP(T, C, OP, load, store)                                                                          \
    for (uint64_t i = 0; i < n; i++) {                                                                       \
        C a = (C)load(t[i]), b = (C)load(f[i]);                                                              \
        t[i] = (T)store((C)OP(a, b));                                                                        \
    }
#define DEFINE(name, T, A, C, load, store)                                                                   \
    static void name(enum mdl_reduction op, void *to, const void *from, uint64_t n) {                        \
        T *t = to;                                                                                           \
        const T *f = from;                                                                                   \
        if (op == MDL_SUM)                                                                                   \
            LOOP(T, A, SUM, load, store)                                                                     \
        else if (op == MDL_PROD)                                                                             \
            LOOP(T, A, PROD, load, store)                                                                    \
        else if (op == MDL_MAX)                                                                              \
            LOOP(T, C, MAX, load, store)                                                                     \
        else                                                                                                 \
            LOOP(T, C, MIN, load, store)                                                                     \
    }

DEFINE(reduce_f64, double, double, double, SAME, SAME)
DEFINE(reduce_f32, float, float, float, SAME, SAME)
DEFINE(reduce_f16, uint16_t, float, float, from_f16, to_f16)
DEFINE(reduce_bf16, uint16_t, float, float, from_bf16, to_bf16)
DEFINE(reduce_i64, int64_t, uint64_t, int64_t, SAME, SAME)
DEFINE(reduce_i32, int32_t, uint32_t, int32_t, SAME, SAME)
DEFINE(reduce_i16, int16_t, uint32_t, int32_t, SAME, SAME)
DEFINE(reduce_i8, int8_t, uint32_t, int32_t, SAME, SAME)
DEFINE(reduce_u8, uint8_t, uint32_t, uint32_t, SAME, SAME)

static void reduce_bool(enum mdl_reduction op, void *to, const void *from, uint64_t n) {
    reduce_u8(op == MDL_SUM || op == MDL_MAX ? MDL_MAX : MDL_MIN, to, from, n);
}

void reduce(uint32_t dtype, enum mdl_reduction op, void *to, const void *from, uint64_t n) {
    static void (*const by_type[])(enum mdl_reduction, void *, const void *,
                                   uint64_t) = {reduce_f64, reduce_f32, reduce_f16, reduce_bf16, reduce_i64,
                                                reduce_i32, reduce_i16, reduce_i8,  reduce_u8,   reduce_bool};
    by_type[dtype](op, to, from, n);
}
