/* Reads and writes single elements in the bytes of their type. */
#include "ir/tensor.h"
#include "ir/half.h"
#include <string.h>

int64_t tensor_elements(const struct tensor *t) {
    int64_t elements = 1;
    for (int i = 0; i < t->rank; i++) elements *= t->extents[i];
    return elements;
}

/* One row a type: its C type for the bytes, and how they and a number turn into each other. A double is
 * rounded to 16 bits before it becomes a float, not twice. */
#define CODECS(_)                                                                                            \
    _(F64, double, (bits), (value))                                                                          \
    _(F32, float, (double)(bits), (float)(value))                                                            \
    _(F16, uint16_t, (double)half_to_float(bits),                                                            \
      float_to_half((float)dtype_round_float(DTYPE_F16, (double)(value))))                                   \
    _(BF16, uint16_t, (double)bf16_to_float(bits),                                                           \
      float_to_bf16((float)dtype_round_float(DTYPE_BF16, (double)(value))))                                  \
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
        return read;                                                                                         \
    }
        CODECS(READ)
    default:
        ice("element type %d", (int)t);
    }
}

int64_t element_integer(enum dtype t, const void *data, int64_t i) {
    const char *at = (const char *)data + i * dtype_bytes(t);
    switch (t) {
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
