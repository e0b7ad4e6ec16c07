/* Reads and writes single elements in the bytes of their type. */
#include "ir/tensor.h"
#include <math.h>
#include <string.h>

int64_t tensor_elements(const struct tensor *t) {
    int64_t elements = 1;
    for (int i = 0; i < t->rank; i++) elements *= t->extents[i];
    return elements;
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static double half_value(uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double magnitude = exponent == 31 ? (fraction ? NAN : INFINITY)
                       : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                      : ldexp(fraction, -24);
    return bits >> 15 ? -magnitude : magnitude;
}

static uint16_t half_bits(double value) {
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double magnitude = fabs(dtype_round_float(DTYPE_F16, value));
    int exponent;
    if (isnan(magnitude)) return sign | 0x7e00;
    if (isinf(magnitude)) return sign | 0x7c00;
    if (magnitude < 0x1p-14) return sign | (uint16_t)ldexp(magnitude, 24);
    double fraction = frexp(magnitude, &exponent);
    return sign | (uint16_t)((exponent + 14) << 10 | ((int)ldexp(fraction, 11) & 1023));
}

/* bfloat16 is the upper half of a binary32. */
static double brain_value(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return (double)value;
}

static uint16_t brain_bits(double value) {
    float rounded = (float)dtype_round_float(DTYPE_BF16, value);
    uint32_t wide;
    memcpy(&wide, &rounded, sizeof wide);
    return (uint16_t)(wide >> 16 | (isnan(value) ? 0x40 : 0));
}

/* One row a type: its C type for the bytes, and how they and a number turn into each other. */
#define CODECS(_)                                                                                            \
    _(F64, double, (bits), (value))                                                                          \
    _(F32, float, (double)(bits), (float)(value))                                                            \
    _(F16, uint16_t, half_value(bits), half_bits((double)(value)))                                           \
    _(BF16, uint16_t, brain_value(bits), brain_bits((double)(value)))                                        \
    _(I64, int64_t, (bits), (int64_t)(value))                                                                \
    _(I32, int32_t, (bits), (int32_t)(value))                                                                \
    _(I16, int16_t, (bits), (int16_t)(value))                                                                \
    _(I8, int8_t, (bits), (int8_t)(value))                                                                   \
    _(U8, uint8_t, (bits), (uint8_t)(value))                                                                 \
    _(BOOL, uint8_t, ((bits) != 0), (uint8_t)((value) != 0))

double element_float(enum dtype t, const void *data, int64_t i) {
    const char *at = (const char *)data + i * dtype_bytes(t);
    switch (t) {
#define READ(name, c_type, read, write)                                                                      \
    case DTYPE_##name: {                                                                                     \
        c_type bits;                                                                                         \
        memcpy(&bits, at, sizeof bits);                                                                      \
        return (double)(read);                                                                               \
    }
        CODECS(READ)
#undef READ
    default:
        ice("element type %d", (int)t);
    }
}

int64_t element_integer(enum dtype t, const void *data, int64_t i) {
    const char *at = (const char *)data + i * dtype_bytes(t);
    switch (t) {
#define READ(name, c_type, read, write)                                                                      \
    case DTYPE_##name: {                                                                                     \
        c_type bits;                                                                                         \
        memcpy(&bits, at, sizeof bits);                                                                      \
        return (int64_t)(read);                                                                              \
    }
        CODECS(READ)
#undef READ
    default:
        ice("element type %d", (int)t);
    }
}

void element_set_float(enum dtype t, void *data, int64_t i, double value) {
    char *at = (char *)data + i * dtype_bytes(t);
    if (dtype_class(t) != CLASS_FLOAT) {
        element_set_integer(t, data, i, (int64_t)value);
        return;
    }
    switch (t) {
#define WRITE(name, c_type, read, write)                                                                     \
    case DTYPE_##name: {                                                                                     \
        c_type bits = write;                                                                                 \
        memcpy(at, &bits, sizeof bits);                                                                      \
        return;                                                                                              \
    }
        CODECS(WRITE)
    default:
        ice("element type %d", (int)t);
    }
}

void element_set_integer(enum dtype t, void *data, int64_t i, int64_t integer) {
    char *at = (char *)data + i * dtype_bytes(t);
    int64_t value = dtype_wrap_integer(t, integer);
    switch (t) {
        CODECS(WRITE)
#undef WRITE
    default:
        ice("element type %d", (int)t);
    }
}
