/* The small floating formats: to and from double, with PTX's roundings. */
#ifndef TESTS_GPU_PTX_NUMBER_H
#define TESTS_GPU_PTX_NUMBER_H
#include "tests/gpu/ptx_code.h"

/* significand: bits with the hidden one; low: exponent of the smallest normal number; high: of the largest;
 * nan: without a sign; infinite: the pattern, or 0 where the format has none (then `largest` is used). */
struct ptx_format {
    uint32_t significand;
    int low, high;
    uint32_t nan, infinite, largest;
};
extern const struct ptx_format ptx_f16, ptx_bf16, ptx_tf32, ptx_e4m3, ptx_e5m2;
uint32_t ptx_pack(const struct ptx_format *f, double value, enum ptx_round round, bool saturate);
double ptx_unpack(const struct ptx_format *f, uint32_t bits);
/* What a sum or fused product in double is before it is rounded once more: its last bit says whether it was
 * exact. */
double ptx_fma_odd(double a, double b, double c);

float ptx_half(uint16_t bits); /* of f16 */
static inline float ptx_bfloat(uint16_t bits) {
    union {
        uint32_t u;
        float f;
    } v = {(uint32_t)bits << 16};
    return v.f;
}
#endif
