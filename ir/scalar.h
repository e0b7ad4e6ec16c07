/* Scalar expressions: what a pointwise op computes at one point, as a tree over the primitives of
 * scalars.def. Written in ops.def as text over the operands a, b, c: "a / (1 + exp(-a))". */
#ifndef IR_SCALAR_H
#define IR_SCALAR_H
#include "ir/arena.h"
#include "ir/type.h"

enum scalar_op {
    SCALAR_ARGUMENT, /* operand number `argument` */
    SCALAR_CONSTANT, /* `value` */
#define SCALAR(name, operands, meaning) SCALAR_##name,
#include "ir/scalars.def"
#undef SCALAR
    SCALAR_COUNT
};
struct scalar {
    enum scalar_op op;
    int argument;
    double value;
    const struct scalar *operands[3];
};

const char *scalar_name(enum scalar_op op);
int scalar_arity(enum scalar_op op);
/* Parses infix + - * / < <= == != and calls of primitives; dies with ice() on a malformed body (they are
 * ours). */
const struct scalar *scalar_parse(struct arena *a, const char *text);
/* One primitive in float64 / in wrapping int64. */
double scalar_eval_float(enum scalar_op op, double a, double b, double c);
int64_t scalar_eval_integer(enum scalar_op op, int64_t a, int64_t b, int64_t c);

#endif
