/* 16-bit floats: IEEE binary16 (f16) and bfloat16 (the upper half of a binary32), to and from float.
 * Conversions to 16 bits round to nearest, ties to even; NaN stays NaN, what is too large becomes infinite.
 */
#ifndef IR_HALF_H
#define IR_HALF_H
#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The 15 lower bits, moved to a float's place, are the value times 2^-112 whether normal or subnormal: the
 * product restores it exactly. Exponent 31 is infinity or NaN. */
static inline float half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff;
    if (rest >= 0x7c00) return float_from_bits(sign | 0x7f800000u | rest << 13);
    return float_from_bits(sign | float_bits(float_from_bits(rest << 13) * 0x1p112f));
}

/* From 2^-14 on, adding half of the last place kept (less one, unless that place is odd) and cutting rounds
 * to even. Below, adding 0.5 to the magnitude lets the float unit round at 2^-24, the spacing of subnormals.
 */
static inline uint16_t float_to_half(float value) {
    uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    if (rest > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (rest >> 13 & 0x3ff));
    if (rest >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520, halfway to 65536 */
    if (rest >= 0x38800000) return (uint16_t)(sign | (rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13);
    return (uint16_t)(sign | (float_bits(float_from_bits(rest) + 0.5f) - 0x3f000000));
}

static inline float bf16_to_float(uint16_t value) { return float_from_bits((uint32_t)value << 16); }

static inline uint16_t float_to_bf16(float value) {
    uint32_t bits = float_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
