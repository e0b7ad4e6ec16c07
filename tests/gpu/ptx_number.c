/* The small floating formats, rounded from double by their definition. */
#include "tests/gpu/ptx_number.h"
#include <math.h>
#include <string.h>

const struct ptx_format ptx_f16 = {11, -14, 15, 0x7fff, 0x7c00, 0x7bff};
const struct ptx_format ptx_bf16 = {8, -126, 127, 0x7fff, 0x7f80, 0x7f7f};
const struct ptx_format ptx_tf32 = {11, -126, 127, 0x3ffff, 0x3fc00, 0x3fbff}; /* without f32's low 13 bits */
const struct ptx_format ptx_e4m3 = {4, -6, 8, 0x7f, 0, 0x7e};
const struct ptx_format ptx_e5m2 = {3, -14, 15, 0x7f, 0x7c, 0x7b};

static uint32_t exponent_bits(const struct ptx_format *f) {
    return f->low == -126 ? 8 : f->low == -6 ? 4 : 5;
}

static double to_integer(double x, enum ptx_round round, bool minus) {
    switch (round) {
    case R_RZ:
        return floor(x);
    case R_RM:
        return minus ? ceil(x) : floor(x);
    case R_RP:
        return minus ? floor(x) : ceil(x);
    case R_RNA:
        return floor(x + 0.5);
    default:
        return nearbyint(x); /* to even */
    }
}

uint32_t ptx_pack(const struct ptx_format *f, double value, enum ptx_round round, bool saturate) {
    uint32_t width = exponent_bits(f), fraction = f->significand - 1;
    uint32_t sign = (uint32_t) !!signbit(value) << (width + fraction);
    if (isnan(value)) return f->nan;
    double x = fabs(value);
    if (isinf(x) || x >= ldexp(1, f->high + 2)) {
        bool away = isinf(x) || round == R_RN || round == R_NONE || round == R_RNA ||
                    (round == R_RM && sign) || (round == R_RP && !sign);
        return sign | (saturate || !away ? f->largest : f->infinite ? f->infinite : f->nan);
    }
    int e;
    frexp(x, &e);
    e = e - 1 < f->low ? f->low : e - 1;
    double units = to_integer(ldexp(x, (int)fraction - e), round, sign != 0); /* of the last place */
    uint64_t n = (uint64_t)units;
    uint64_t bits = n >> fraction ? ((uint64_t)(e - f->low) << fraction) + n : n;
    if (bits > f->largest) {
        bool away = !(round == R_RZ || (round == R_RM && !sign) || (round == R_RP && sign));
        bits = saturate || !away ? f->largest : f->infinite ? f->infinite : f->nan;
    }
    return sign | (uint32_t)bits;
}

double ptx_unpack(const struct ptx_format *f, uint32_t bits) {
    uint32_t width = exponent_bits(f), fraction = f->significand - 1;
    uint32_t magnitude = bits & ((UINT32_C(1) << (width + fraction)) - 1);
    double sign = bits >> (width + fraction) & 1 ? -1 : 1;
    if (f->infinite ? magnitude > f->infinite : magnitude == f->nan) return NAN;
    if (f->infinite && magnitude == f->infinite) return sign * INFINITY;
    uint32_t e = magnitude >> fraction, n = magnitude & ((UINT32_C(1) << fraction) - 1);
    if (!e) return sign * ldexp(n, f->low - (int)fraction);
    return sign * ldexp((double)(n | UINT32_C(1) << fraction), (int)e - 1 + f->low - (int)fraction);
}

double ptx_fma_odd(double a, double b, double c) {
    double p = a * b, s = p + c; /* products of small formats are exact */
    if (!isfinite(s)) return s;
    double back = s - p, error = (p - (s - back)) + (c - back);
    uint64_t bits;
    memcpy(&bits, &s, sizeof bits);
    if (error == 0 || (bits & 1)) return s;
    return nextafter(s, error > 0 ? INFINITY : -INFINITY);
}

float ptx_half(uint16_t bits) {
    uint32_t e = bits >> 10 & 31, n = bits & 1023, u;
    float value;
    if (e == 0) {
        value = (float)n * 0x1p-24f;
        return bits & 0x8000 ? -value : value;
    }
    u = (uint32_t)(bits & 0x8000) << 16 | (e == 31 ? 255 : e + 112) << 23 | n << 13;
    memcpy(&value, &u, sizeof value);
    return value;
}
