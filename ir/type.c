/* Element types and tensor types. */
#include "ir/type.h"
#include <float.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    int bytes;
    enum dtype_class class;
} dtypes[] = {
#define DTYPE_ROW(name, text, bytes, class) {text, bytes, CLASS_##class},
    DTYPES(DTYPE_ROW)
#undef DTYPE_ROW
};

const char *dtype_name(enum dtype t) { return dtypes[t].name; }
int dtype_bytes(enum dtype t) { return dtypes[t].bytes; }
enum dtype_class dtype_class(enum dtype t) { return dtypes[t].class; }

bool dtype_from_name(const char *name, enum dtype *t) {
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (!strcmp(dtypes[i].name, name)) return *t = (enum dtype)i, true;
    return false;
}

/* Rounds to `digits` significant bits with smallest exponent `lowest` (of the last digit of subnormals),
 * halves to even; past `largest` is infinity. One rounding, straight from float64. */
static double round_to_digits(double value, int digits, int lowest, double largest) {
    int exponent;
    if (!isfinite(value) || value == 0) return value;
    frexp(value, &exponent);
    int last = exponent - digits > lowest ? exponent - digits : lowest;
    double rounded = ldexp(nearbyint(ldexp(value, -last)), last);
    return fabs(rounded) > largest ? copysign(INFINITY, value) : rounded;
}

double dtype_round_float(enum dtype t, double value) {
    switch (t) {
    case DTYPE_F32:
        return (double)(float)value;
    case DTYPE_F16:
        return round_to_digits(value, 11, -24, 65504.0);
    case DTYPE_BF16:
        return round_to_digits(value, 8, -133, 0x1.fep127);
    default:
        return value;
    }
}

int64_t dtype_wrap_integer(enum dtype t, int64_t value) {
    switch (t) {
    case DTYPE_I32:
        return (int32_t)(uint32_t)value;
    case DTYPE_I16:
        return (int16_t)(uint16_t)value;
    case DTYPE_I8:
        return (int8_t)(uint8_t)value;
    case DTYPE_U8:
        return (uint8_t)value;
    case DTYPE_BOOL:
        return value != 0;
    default:
        return value;
    }
}

bool type_equal(const struct type *a, const struct type *b) {
    return a->dtype == b->dtype && shape_equal(a, b);
}

bool shape_equal(const struct type *a, const struct type *b) {
    return a->rank == b->rank && !memcmp(a->extents, b->extents, (size_t)a->rank * sizeof *a->extents);
}

const char *type_text(struct arena *a, const struct type *t) {
    const char *text = dtype_name(t->dtype);
    if (!t->rank) return text;
    for (int i = 0; i < t->rank; i++)
        text = arena_printf(a, "%s%s%s", text, i ? ", " : "[", extent_text(a, t->extents[i]));
    return arena_printf(a, "%s]", text);
}

const struct extent *type_elements(struct extents *x, const struct type *t) {
    const struct extent *product = extent_const(x, 1);
    for (int i = 0; i < t->rank; i++) product = extent_mul(x, product, t->extents[i]);
    return product;
}

const struct extent *type_bytes(struct extents *x, const struct type *t) {
    return extent_mul(x, type_elements(x, t), extent_const(x, dtype_bytes(t->dtype)));
}
