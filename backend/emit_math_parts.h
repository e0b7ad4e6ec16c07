/* What the emit_math*.c are made of: arithmetic on scalars and vectors of f32 and f64 alike, and f64 in two
 * parts. Coefficients are minimax fits of our own, by Lawson's reweighted least squares (C. L. Lawson, thesis,
 * UCLA 1961) in 120-bit arithmetic for f32, 320-bit for f64, each rounded to its type with the rest fitted
 * again; argument reductions are the usual ones (W. Cody, W. Waite: Software Manual for the Elementary
 * Functions, 1980). */
#ifndef BACKEND_EMIT_MATH_PARTS_H
#define BACKEND_EMIT_MATH_PARTS_H
#include "backend/emit_math.h"

typedef LLVMValueRef V;

static inline V real(V like, double value) { return emit_constant_like(LLVMTypeOf(like), value); }
static inline V add(struct emitter *e, V a, V b) { return LLVMBuildFAdd(e->builder, a, b, ""); }
static inline V sub(struct emitter *e, V a, V b) { return LLVMBuildFSub(e->builder, a, b, ""); }
static inline V mul(struct emitter *e, V a, V b) { return LLVMBuildFMul(e->builder, a, b, ""); }
static inline V fdiv(struct emitter *e, V a, V b) { return LLVMBuildFDiv(e->builder, a, b, ""); }
static inline V negative(struct emitter *e, V a) { return LLVMBuildFNeg(e->builder, a, ""); }
static inline V both(struct emitter *e, V a, V b) { return LLVMBuildAnd(e->builder, a, b, ""); }
static inline V either(struct emitter *e, V a, V b) { return LLVMBuildOr(e->builder, a, b, ""); }
static inline V choose(struct emitter *e, V c, V a, V b) { return LLVMBuildSelect(e->builder, c, a, b, ""); }
static inline V less(struct emitter *e, V a, V b) { return LLVMBuildFCmp(e->builder, LLVMRealOLT, a, b, ""); }
static inline V equal(struct emitter *e, V a, V b) {
    return LLVMBuildFCmp(e->builder, LLVMRealOEQ, a, b, "");
}
static inline V absolute(struct emitter *e, V a) { return emit_unary(e, "llvm.fabs", a); }
static inline V copysign_of(struct emitter *e, V size, V sign) {
    return emit_binary(e, "llvm.copysign", size, sign);
}
static inline bool is_f64(V a) { return LLVMGetTypeKind(emit_element(LLVMTypeOf(a))) == LLVMDoubleTypeKind; }

/* Integers of a's width, and back. */
static inline V as_bits(struct emitter *e, V a) {
    LLVMTypeRef t = emit_vector(e, is_f64(a) ? e->i64 : e->i32, emit_lanes_of(a));
    return LLVMBuildBitCast(e->builder, a, t, "");
}
static inline V from_bits(struct emitter *e, V a) {
    bool wide = emit_element(LLVMTypeOf(a)) == e->i64;
    return LLVMBuildBitCast(e->builder, a, emit_vector(e, wide ? e->f64 : e->f32, emit_lanes_of(a)), "");
}
static inline V plus_bits(struct emitter *e, V bits, double number) {
    return LLVMBuildAdd(e->builder, bits, emit_constant_like(LLVMTypeOf(bits), number), "");
}
static inline V and_bits(struct emitter *e, V bits, double mask) {
    return LLVMBuildAnd(e->builder, bits, emit_constant_like(LLVMTypeOf(bits), mask), "");
}
static inline V shift_left(struct emitter *e, V bits, int by) {
    return LLVMBuildShl(e->builder, bits, emit_constant_like(LLVMTypeOf(bits), by), "");
}
static inline V shift_right(struct emitter *e, V bits, int by) { /* unsigned */
    return LLVMBuildLShr(e->builder, bits, emit_constant_like(LLVMTypeOf(bits), by), "");
}

/* Of IEEE's formats: bits of the mantissa that are stored, the exponent's bias, 1.5 * 2^mantissa. */
static inline int mantissa_bits(V a) { return is_f64(a) ? 52 : 23; }
static inline int exponent_bias(V a) { return is_f64(a) ? 1023 : 127; }
static inline double rounder(V a) { return is_f64(a) ? 0x1.8p52 : 0x1.8p23; }

/* The nearest integer of an f32 within +-2^22 (f64: 2^51) as a float, its low bits in *bits: adding 1.5 *
 * 2^23 rounds. */
static inline V nearest(struct emitter *e, V x, V *bits) {
    V magic = real(x, rounder(x)), shifted = add(e, x, magic);
    *bits = as_bits(e, shifted);
    return sub(e, shifted, magic);
}

/* An integer of 64 bits within +-2^51 as an f64: the same backwards. */
static inline V integer_to_f64(struct emitter *e, V bits) {
    V made = from_bits(e, plus_bits(e, bits, 0x4338p48)); /* 0x1.8p52's bits */
    return sub(e, made, real(made, 0x1.8p52));
}

/* 2^n, n the low bits of `bits`, for which it is normal. */
static inline V power_of_two(struct emitter *e, V like, V bits) {
    return from_bits(e, shift_left(e, plus_bits(e, bits, exponent_bias(like)), mantissa_bits(like)));
}

/* c[0] + c[step] x + ... by Horner's rule. */
static inline V horner(struct emitter *e, V x, const double *c, int count, int step) {
    int last = (count - 1) / step * step;
    V sum = real(x, c[last]);
    for (int i = last - step; i >= 0; i -= step) sum = emit_fma(e, sum, x, real(x, c[i]));
    return sum;
}
/* c[0] + c[1] x + ...; of the long ones it is the latency that counts: as two in x^2, of f64 as four in x^4. */
static inline V polynomial(struct emitter *e, V x, const double *c, int count) {
    if (count < 8) return horner(e, x, c, count, 1);
    V square = mul(e, x, x);
    if (!is_f64(x)) return emit_fma(e, horner(e, square, c + 1, count - 1, 2), x, horner(e, square, c, count, 2));
    V fourth = mul(e, square, square), parts[4];
    for (int i = 0; i < 4; i++) parts[i] = horner(e, fourth, c + i, count - i, 4);
    V low = emit_fma(e, parts[1], x, parts[0]), high = emit_fma(e, parts[3], x, parts[2]);
    return emit_fma(e, high, square, low);
}
#define POLYNOMIAL(e, x, ...)                                                                                \
    polynomial(e, x, (const double[]){__VA_ARGS__},                                                          \
               (int)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double)))

/* x limited to lo..hi; NaN stays. */
static inline V limit(struct emitter *e, V x, double lo, double hi) {
    x = choose(e, less(e, x, real(x, lo)), real(x, lo), x);
    return choose(e, less(e, real(x, hi), x), real(x, hi), x);
}

/* A number in two parts: lo is what hi lost when it was rounded. */
struct double_double {
    V hi, lo;
};
/* a + b for |a| >= |b| or a = 0, and for any (T. J. Dekker 1971; D. E. Knuth, TAOCP 2, 4.2.2). */
static inline struct double_double ordered_sum(struct emitter *e, V a, V b) {
    V hi = add(e, a, b);
    return (struct double_double){hi, sub(e, b, sub(e, hi, a))};
}
static inline struct double_double exact_sum(struct emitter *e, V a, V b) {
    V hi = add(e, a, b), of_b = sub(e, hi, a), of_a = sub(e, hi, of_b);
    return (struct double_double){hi, add(e, sub(e, a, of_a), sub(e, b, of_b))};
}
/* a * b of f64; without the instruction exact if 52 bits hold one of them, else to 2^-106. */
static inline struct double_double exact_product(struct emitter *e, V a, V b) {
    V hi = mul(e, a, b);
    if (e->target->fma) return (struct double_double){hi, emit_fma(e, a, b, negative(e, hi))};
    const double upper = -0x1p27; /* all bits but 27 */
    V a1 = from_bits(e, and_bits(e, as_bits(e, a), upper)), a2 = sub(e, a, a1);
    V b1 = from_bits(e, and_bits(e, as_bits(e, b), upper)), b2 = sub(e, b, b1);
    V lo = sub(e, mul(e, a1, b1), hi);
    lo = add(e, add(e, lo, mul(e, a1, b2)), mul(e, a2, b1));
    return (struct double_double){hi, add(e, lo, mul(e, a2, b2))};
}

/* x * 2^n, n the low bits of `bits` (12 of f64's, 9 of f32's); in two steps, so that results out of the
 * normal range come out right, rounded once. emit_math.c */
V math_scale(struct emitter *e, V x, V bits);
/* What a logarithm is at the ends: log(0) = -inf, log(x < 0) = NaN, log(inf) = inf; `u` = x or 1 + x. */
V math_log_ends(struct emitter *e, V u, V made);
/* sin of quarter n of a turn, of which only the low bits count, and an angle with this sine and cosine. */
V math_by_quarter(struct emitter *e, V n, V sine, V cosine);
/* Whether some lane's condition holds, as an i1 that is the same for all. */
V math_any(struct emitter *e, V condition);

/* emit_math_f64.c, emit_math_angle.c, emit_math_pow.c */
math_function math_exp_f64, math_exp2_f64, math_expm1_f64, math_log_f64, math_log1p_f64, math_tanh_f64,
    math_erf_f64, math_sin_f64, math_cos_f64;
/* A positive x as 2^k m, sqrt(1/2) <= m < sqrt(2): m, and k as a float. */
V math_split_f64(struct emitter *e, V x, V *k);
/* 2^r for |r| <= 1/2, to 2^-57.7. */
V math_exp2_reduced_f64(struct emitter *e, V r);

#endif
