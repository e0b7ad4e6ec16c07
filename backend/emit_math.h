/* Functions that the hardware does not have, as polynomials on scalars and vectors of f32 and f64. Errors in ULP are
 * measured by tests/numeric/math_test.c over all exponents; infinities, NaN, zeros' signs and subnormals are as C's Annex F
 * has them. */
#ifndef BACKEND_EMIT_MATH_H
#define BACKEND_EMIT_MATH_H
#include "backend/emit.h"

typedef LLVMValueRef math_function(struct emitter *e, LLVMValueRef a);
math_function math_exp, math_exp2, math_expm1, math_log, math_log1p, math_sin, math_cos, math_tanh, math_erf;
/* a Phi(a), f32 to 2^-23 of max(1, |a|), above -3 to 1.3e-6 of itself; below -6.5, where it is no more than 3e-10, 0. */
math_function math_gelu;
/* 2^x for x <= 0, as exact as `t` asks: f32 to 1.5 ULP, bf16 to 1e-4. What would be below 2^-126 is some number that small;
 * -inf gives 0. */
LLVMValueRef math_exp2_falling(struct emitter *e, LLVMValueRef a, enum dtype t);
LLVMValueRef math_pow(struct emitter *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef math_integer_pow(struct emitter *e, LLVMValueRef a,
                              LLVMValueRef b); /* wraps; b < 0: 0, but of 1 and -1 */
LLVMValueRef math_rem(struct emitter *e, LLVMValueRef a, LLVMValueRef b); /* exact but for one rounding; the divisor's sign */

enum math_rounding { MATH_FLOOR, MATH_CEIL, MATH_NEAREST };
LLVMValueRef math_round(struct emitter *e, enum math_rounding how, LLVMValueRef a);

/* sin and cos of 2 pi * turns, where `turns` is f64 of any size: exact reduction. Both results are f32. */
void math_sincos_turns(struct emitter *e, LLVMValueRef turns, LLVMValueRef *sine, LLVMValueRef *cosine);

#endif
