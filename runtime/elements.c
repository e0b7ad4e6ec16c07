/* Values of every element type. */
#include "runtime/elements.h"
#include <math.h>
#include <string.h>

const struct element_type element_types[ELEMENT_TYPES] = {
    [MDL_F64] = {"f64", "<f8", 8, ELEMENT_FLOAT, 17, 0, 0},
    [MDL_F32] = {"f32", "<f4", 4, ELEMENT_FLOAT, 9, 0, 0},
    [MDL_F16] = {"f16", "<f2", 2, ELEMENT_FLOAT, 5, 0, 0},
    [MDL_BF16] = {"bf16", "<V2", 2, ELEMENT_FLOAT, 4, 0, 0},
    [MDL_I64] = {"i64", "<i8", 8, ELEMENT_INTEGER, 0, INT64_MIN, INT64_MAX},
    [MDL_I32] = {"i32", "<i4", 4, ELEMENT_INTEGER, 0, INT32_MIN, INT32_MAX},
    [MDL_I16] = {"i16", "<i2", 2, ELEMENT_INTEGER, 0, INT16_MIN, INT16_MAX},
    [MDL_I8] = {"i8", "|i1", 1, ELEMENT_INTEGER, 0, INT8_MIN, INT8_MAX},
    [MDL_U8] = {"u8", "|u1", 1, ELEMENT_INTEGER, 0, 0, UINT8_MAX},
    [MDL_BOOL] = {"bool", "|b1", 1, ELEMENT_BOOL, 0, 0, 1},
};

/* An IEEE format of 16 bits: so many of mantissa, so much added to the exponent. */
struct half_format {
    int mantissa, bias;
};
static const struct half_format f16 = {10, 15}, bf16 = {7, 127};

static long double from_half(uint16_t bits, struct half_format f) {
    int e = (bits & 0x7fff) >> f.mantissa, all_ones = 0x7fff >> f.mantissa;
    int m = bits & ((1 << f.mantissa) - 1);
    long double value;
    if (e == all_ones)
        value = m ? NAN : INFINITY;
    else if (e == 0)
        value = ldexpl(m, 1 - f.bias - f.mantissa);
    else
        value = ldexpl(m + (1 << f.mantissa), e - f.bias - f.mantissa);
    return bits & 0x8000 ? -value : value;
}

/* The exponent counts on from the mantissa, so a mantissa rounded up to 2 and a subnormal need no case of
 * their own. */
static uint16_t to_half(long double value, struct half_format f) {
    uint16_t sign = signbit(value) ? 0x8000 : 0, infinity = (uint16_t)(0x7fff >> f.mantissa << f.mantissa);
    long double a = fabsl(value);
    if (isnan(a)) return (uint16_t)(sign | infinity | 1 << (f.mantissa - 1));
    if (a >= ldexpl(1, f.bias + 1)) return sign | infinity;
    int e = a > 0 ? ilogbl(a) : 1 - f.bias;
    if (e < 1 - f.bias) e = 1 - f.bias;
    long bits = ((long)(e + f.bias - 1) << f.mantissa) + lrintl(ldexpl(a, f.mantissa - e));
    return (uint16_t)(sign | bits);
}

#define GET(type, ...)                                                                                       \
    {                                                                                                        \
        type x;                                                                                              \
        memcpy(&x, (const char *)data + i * sizeof x, sizeof x);                                             \
        return __VA_ARGS__;                                                                                  \
    }
#define SET(type, ...)                                                                                       \
    {                                                                                                        \
        type x = (type)(__VA_ARGS__);                                                                        \
        memcpy((char *)data + i * sizeof x, &x, sizeof x);                                                   \
    }
#define ACCESS(name, type, to_value, to_bits)                                                                \
    static long double get_##name(const void *data, size_t i)                                                \
        GET(type, to_value) static void set_##name(void *data, size_t i, long double value)                  \
            SET(type, to_bits)
ACCESS(f64, double, x, value)
ACCESS(f32, float, x, value)
ACCESS(f16, uint16_t, from_half(x, f16), to_half(value, f16))
ACCESS(bf16, uint16_t, from_half(x, bf16), to_half(value, bf16))
ACCESS(i64, int64_t, x, value)
ACCESS(i32, int32_t, x, value)
ACCESS(i16, int16_t, x, value)
ACCESS(i8, int8_t, x, value)
ACCESS(u8, uint8_t, x, value)
ACCESS(bool, uint8_t, x != 0, value != 0)

static const struct {
    long double (*get)(const void *, size_t);
    void (*set)(void *, size_t, long double);
} accessors[] = {
    [MDL_F64] = {get_f64, set_f64},    [MDL_F32] = {get_f32, set_f32}, [MDL_F16] = {get_f16, set_f16},
    [MDL_BF16] = {get_bf16, set_bf16}, [MDL_I64] = {get_i64, set_i64}, [MDL_I32] = {get_i32, set_i32},
    [MDL_I16] = {get_i16, set_i16},    [MDL_I8] = {get_i8, set_i8},    [MDL_U8] = {get_u8, set_u8},
    [MDL_BOOL] = {get_bool, set_bool},
};

long double element_get(uint32_t dtype, const void *data, size_t i) { return accessors[dtype].get(data, i); }
void element_set(uint32_t dtype, void *data, size_t i, long double v) { accessors[dtype].set(data, i, v); }

/* Which float types hold all values of a type. */
static const uint32_t widens_to[] = {
    [MDL_F32] = 1u << MDL_F64,
    [MDL_F16] = 1u << MDL_F32 | 1u << MDL_F64,
    [MDL_BF16] = 1u << MDL_F32 | 1u << MDL_F64,
    [MDL_I32] = 1u << MDL_F64,
    [MDL_I16] = 1u << MDL_F32 | 1u << MDL_F64,
    [MDL_I8] = 1u << MDL_F32 | 1u << MDL_F64 | 1u << MDL_F16 | 1u << MDL_BF16,
    [MDL_U8] = 1u << MDL_F32 | 1u << MDL_F64 | 1u << MDL_F16 | 1u << MDL_BF16,
    [MDL_BOOL] = 1u << MDL_F32 | 1u << MDL_F64 | 1u << MDL_F16 | 1u << MDL_BF16,
};

bool element_converts(uint32_t from, uint32_t to) {
    if (from == to || widens_to[from] >> to & 1) return true;
    return element_types[from].class != ELEMENT_FLOAT && element_types[to].class == ELEMENT_INTEGER;
}
