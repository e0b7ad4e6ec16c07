/* Types of values: element type and extents. */
#ifndef IR_TYPE_H
#define IR_TYPE_H
#include "ir/extent.h"

enum { MAX_RANK = 8 };

/* Same order as enum mdl_dtype of the runtime's ABI (checked there). */
#define DTYPES(_)                                                                                            \
    _(F64, "f64", 8, FLOAT)                                                                                  \
    _(F32, "f32", 4, FLOAT)                                                                                  \
    _(F16, "f16", 2, FLOAT)                                                                                  \
    _(BF16, "bf16", 2, FLOAT)                                                                                \
    _(I64, "i64", 8, INTEGER)                                                                                \
    _(I32, "i32", 4, INTEGER)                                                                                \
    _(I16, "i16", 2, INTEGER)                                                                                \
    _(I8, "i8", 1, INTEGER)                                                                                  \
    _(U8, "u8", 1, INTEGER)                                                                                  \
    _(BOOL, "bool", 1, LOGICAL)
enum dtype {
#define DTYPE_ENUM(name, text, bytes, class) DTYPE_##name,
    DTYPES(DTYPE_ENUM)
#undef DTYPE_ENUM
        DTYPE_COUNT
};
enum dtype_class { CLASS_FLOAT, CLASS_INTEGER, CLASS_LOGICAL };

const char *dtype_name(enum dtype t);
int dtype_bytes(enum dtype t);
enum dtype_class dtype_class(enum dtype t);
bool dtype_from_name(const char *name, enum dtype *t);
/* `value` rounded to what type `t` can hold: floats to nearest even, integers wrapped. */
double dtype_round_float(enum dtype t, double value);
int64_t dtype_wrap_integer(enum dtype t, int64_t value);

struct type {
    enum dtype dtype;
    int rank;
    const struct extent *extents[MAX_RANK];
};
bool type_equal(const struct type *a, const struct type *b);
bool shape_equal(const struct type *a, const struct type *b); /* of any two element types */
const char *type_text(struct arena *a, const struct type *t); /* "f32[S, 576]"; a scalar is "f32" */
/* Number of elements, and of bytes unpacked; NULL on overflow. */
const struct extent *type_elements(struct extents *x, const struct type *t);
const struct extent *type_bytes(struct extents *x, const struct type *t);

#endif
