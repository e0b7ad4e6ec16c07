/* Transcendental functions of f32 vectors, and what f32 and f64 share. Those of f64 are in emit_math_f64.c and emit_math_angle.c,
 * powers in emit_math_pow.c. */
#include "backend/emit_math_parts.h"
#include "backend/simt.h"

static V to_f64(struct emitter *e, V a) {
    return LLVMBuildFPExt(e->builder, a, emit_vector(e, e->f64, emit_lanes_of(a)), "");
}
static V to_f32(struct emitter *e, V a) {
    return LLVMBuildFPTrunc(e->builder, a, emit_vector(e, e->f32, emit_lanes_of(a)), "");
}

V math_any(struct emitter *e, V condition) {
    if (e->threaded) return simt_any(e, condition);
    if (emit_lanes_of(condition) == 1) return condition;
    return emit_unary(e, "llvm.vector.reduce.or", condition);
}

V math_scale(struct emitter *e, V x, V bits) {
    double most = 2 * (exponent_bias(x) + 1); /* n is from -most to most - 1 */
    V half = shift_right(e, and_bits(e, plus_bits(e, bits, most), 2 * most - 1), 1); /* (n + most) / 2 */
    V first = plus_bits(e, half, -most / 2), second = LLVMBuildSub(e->builder, bits, first, "");
    return mul(e, mul(e, x, power_of_two(e, x, first)), power_of_two(e, x, second));
}

/* x * 2^n for an integral float n: one instruction where there is one, with the same result. */
static V scale_by(struct emitter *e, V x, V n, V bits) {
    if (e->target->vector_bytes != 64 || emit_lanes_of(x) != 16) return math_scale(e, x, bits);
    V all = LLVMConstAllOnes(e->i16);
    V arguments[] = {x, n, x, all, emit_i32(e, 4)};
    return emit_intrinsic(e, "llvm.x86.avx512.mask.scalef.ps.512", NULL, 0, arguments, 5);
}

/* x = n ln 2 + r, |r| <= ln(2) / 2: gives r; 15 bits of ln 2 make n * hi exact. */
static V reduce_exp(struct emitter *e, V x, V *n, V *bits) {
    *n = nearest(e, mul(e, x, real(x, 0x1.715476p+0)), bits);
    V r = emit_fma(e, *n, real(x, -0x1.62e4p-1), x);
    return emit_fma(e, *n, real(x, -0x1.7f7d1cp-20), r);
}

/* e^r - 1 for |r| <= ln(2) / 2, relative error 1.4e-8. */
static V expm1_reduced(struct emitter *e, V r) {
    V q = POLYNOMIAL(e, r, 0x1.fffffep-2, 0x1.5554b4p-3, 0x1.5556f2p-5, 0x1.122560p-7, 0x1.6b9caap-10);
    return emit_fma(e, mul(e, r, r), q, r);
}

V math_exp(struct emitter *e, V x) {
    if (is_f64(x)) return math_exp_f64(e, x);
    V n, bits;
    x = limit(e, x, -104, 89);
    V r = reduce_exp(e, x, &n, &bits);
    return scale_by(e, add(e, real(x, 1), expm1_reduced(e, r)), n, bits);
}

/* 2^(n + r), n integral, |r| <= 1/2. */
static V exp2_of(struct emitter *e, V n, V bits, V r) {
    V p = POLYNOMIAL(e, r, 1, 0x1.62e430p-1, 0x1.ebfbdcp-3, 0x1.c6af7ap-5, 0x1.3b2dd2p-7, 0x1.5f0946p-10,
                     0x1.417a5cp-13);
    return scale_by(e, p, n, bits);
}

V math_exp2(struct emitter *e, V x) {
    if (is_f64(x)) return math_exp2_f64(e, x);
    V bits, limited = limit(e, x, -151, 129), n = nearest(e, limited, &bits);
    return exp2_of(e, n, bits, sub(e, limited, n));
}

/* 2^x for -127 <= x <= 0: 0 of -127, and what would be below 2^-126 is some number that small. An ULP off, or one of bf16.
 * x + 1.5 * 2^23 + 127 ends in the exponent of 2^n as floats have it, n the nearest integer: one shift makes it. */
static V exp2_normal(struct emitter *e, V x, enum dtype t) {
    V magic = real(x, rounder(x) + exponent_bias(x)), shifted = add(e, x, magic);
    V power = from_bits(e, shift_left(e, as_bits(e, shifted), mantissa_bits(x)));
    V r = sub(e, x, sub(e, shifted, magic));
    V p = t == DTYPE_BF16 ? POLYNOMIAL(e, r, 1, 0x1.62f5fap-1, 0x1.f00c4cp-3, 0x1.c2a254p-5)
                          : POLYNOMIAL(e, r, 1, 0x1.62e42ap-1, 0x1.ebf9c2p-3, 0x1.c6b6d8p-5, 0x1.3ce8aep-7,
                                       0x1.5bda5cp-10);
    return mul(e, p, power);
}

V math_exp2_falling(struct emitter *e, V x, enum dtype t) {
    if (e->threaded && t != DTYPE_F32) /* to 2 ULP of f32: PTX ISA, ex2 */
        return emit_intrinsic(e, "llvm.nvvm.ex2.approx.ftz", (LLVMTypeRef[]){e->f32}, 1, &x, 1);
    return exp2_normal(e, emit_larger(e, real(x, -127), x), t);
}

/* 2^n (e^r - 1) + (2^n - 1), all halved, since 2^128 does not exist. */
static V expm1_f32(struct emitter *e, V x) {
    V n, bits, limited = limit(e, x, -30, 89);
    V m = expm1_reduced(e, reduce_exp(e, limited, &n, &bits)), half = scale_by(e, real(x, 0.5), n, bits);
    V t = emit_fma(e, half, m, sub(e, half, real(x, 0.5)));
    V made = add(e, t, t);
    return choose(e, equal(e, x, real(x, 0)), x, made); /* keeps -0 */
}
V math_expm1(struct emitter *e, V x) { return is_f64(x) ? math_expm1_f64(e, x) : expm1_f32(e, x); }

/* log(1 + f) for sqrt(1/2) <= 1 + f < sqrt(2), plus k ln 2. */
static V log_reduced(struct emitter *e, V f, V k) {
    V p = POLYNOMIAL(e, f, 0x1.555548p-2, -0x1.000006p-2, 0x1.99a476p-3, -0x1.555c46p-3, 0x1.233ba8p-3,
                     -0x1.fc2884p-4, 0x1.e6bf38p-4, -0x1.de02d6p-4, 0x1.14763ap-4);
    V square = mul(e, f, f), tail = mul(e, mul(e, square, f), p);
    tail = emit_fma(e, k, real(f, 0x1.7f7d1cp-20), tail);
    tail = emit_fma(e, square, real(f, -0.5), tail);
    return emit_fma(e, k, real(f, 0x1.62e4p-1), add(e, f, tail));
}

/* The exponent k, as bits of an i32, that brings a normal positive u into sqrt(1/2)..sqrt(2) by u * 2^-k. */
static V log_exponent(struct emitter *e, V u) {
    V bits = as_bits(e, u);
    LLVMTypeRef t = LLVMTypeOf(bits);
    V above = LLVMBuildSub(e->builder, bits, emit_constant_like(t, 0x3f3504f3), ""); /* sqrt(1/2) */
    return LLVMBuildAShr(e->builder, above, emit_constant_like(t, 23), "");
}

V math_log_ends(struct emitter *e, V u, V made) {
    V zero = real(u, 0), infinity = real(u, __builtin_inf());
    made = choose(e, equal(e, u, infinity), infinity, made);
    made = choose(e, LLVMBuildFCmp(e->builder, LLVMRealULT, u, zero, ""), real(u, __builtin_nan("")), made);
    return choose(e, equal(e, u, zero), real(u, -__builtin_inf()), made);
}

V math_log(struct emitter *e, V x) {
    if (is_f64(x)) return math_log_f64(e, x);
    V tiny = less(e, x, real(x, 0x1p-126)), u = choose(e, tiny, mul(e, x, real(x, 0x1p25)), x);
    V k = log_exponent(e, u);
    LLVMTypeRef t = LLVMTypeOf(k);
    V shifted = LLVMBuildSub(e->builder, as_bits(e, u),
                             LLVMBuildShl(e->builder, k, emit_constant_like(t, 23), ""), "");
    V whole = LLVMBuildSIToFP(e->builder, k, LLVMTypeOf(x), "");
    whole = choose(e, tiny, sub(e, whole, real(x, 25)), whole);
    return math_log_ends(e, x, log_reduced(e, sub(e, from_bits(e, shifted), real(x, 1)), whole));
}

/* log(1 + x): f = (1 + x) 2^-k - 1 = x 2^-k + (2^-k - 1) loses nothing of x. As 2^-128 is not normal, x is
 * taken in quarters; what is too small for that is its own logarithm. */
static V log1p_f32(struct emitter *e, V x) {
    V u = add(e, real(x, 1), x), k = log_exponent(e, u), quarter = mul(e, x, real(x, 0.25));
    LLVMTypeRef t = LLVMTypeOf(k);
    V exponent = LLVMBuildSub(e->builder, emit_constant_like(t, 129), k, "");
    V power = from_bits(e, LLVMBuildShl(e->builder, exponent, emit_constant_like(t, 23), "")); /* 2^(2 - k) */
    V f = emit_fma(e, quarter, power, emit_fma(e, power, real(x, 0.25), real(x, -1)));
    V made = math_log_ends(e, u, log_reduced(e, f, LLVMBuildSIToFP(e->builder, k, LLVMTypeOf(x), "")));
    return choose(e, less(e, absolute(e, x), real(x, 0x1p-60)), x, made);
}
V math_log1p(struct emitter *e, V x) { return is_f64(x) ? math_log1p_f64(e, x) : log1p_f32(e, x); }

/* -t / (t + 2), t = e^(-2|x|) - 1: no cancellation anywhere. */
V math_tanh(struct emitter *e, V x) {
    if (is_f64(x)) return math_tanh_f64(e, x);
    V t = expm1_f32(e, mul(e, absolute(e, x), real(x, -2)));
    return copysign_of(e, fdiv(e, t, add(e, t, real(x, 2))), x);
}

/* |x| < 0.9: x + x P(x^2); else 1 - exp(-t Q(t)). */
V math_erf(struct emitter *e, V x) {
    if (is_f64(x)) return math_erf_f64(e, x);
    V t = absolute(e, x), square = mul(e, x, x);
    V p = POLYNOMIAL(e, square, 0x1.06eba8p-3, -0x1.812740p-2, 0x1.ce2d64p-4, -0x1.b80124p-6, 0x1.544b08p-8,
                     -0x1.a61810p-11, 0x1.4fa924p-14);
    V small = emit_fma(e, x, p, x);
    V far = choose(e, less(e, real(x, 4), t), real(x, 4), t);
    V q = POLYNOMIAL(e, far, -0x1.a0cddcp+0, -0x1.d58bcep-1, -0x1.36bd30p-3, 0x1.0ad0f8p-5, -0x1.0f4c88p-8,
                     0x1.4d77f0p-15, 0x1.2e09b6p-14, -0x1.004ec4p-17);
    V bits, n = nearest(e, mul(e, far, q), &bits), r = emit_fma(e, far, q, LLVMBuildFNeg(e->builder, n, ""));
    V large = sub(e, real(x, 1), exp2_of(e, n, bits, r));
    return choose(e, less(e, t, real(x, 0.9)), small, copysign_of(e, large, x));
}

/* (x + |x|) / 2 - |x| Phi(-|x|): no 1 + erf that would cancel. log2 Phi(-t) is little more than a parabola: a weighted minimax fit
 * for t <= 6.5, best where t Phi(-t) is large. */
V math_gelu(struct emitter *e, V x) {
    V half = mul(e, x, real(x, 0.5));
    if (is_f64(x)) return emit_fma(e, half, math_erf_f64(e, mul(e, x, real(x, 0.70710678118654752))), half);
    V t = absolute(e, x), beyond = less(e, real(x, 6.5), t), near = choose(e, beyond, real(x, 6.5), t);
    V p = POLYNOMIAL(e, near, -0x1.fffffep-1, -0x1.26aeeep+0, -0x1.d63870p-2, -0x1.ae2864p-5, 0x1.ce8b1ep-8,
                     -0x1.b37184p-14, -0x1.cd8316p-13, 0x1.ce02a8p-15, -0x1.a6dbb0p-18, 0x1.3c59f6p-22);
    V tail = choose(e, beyond, real(x, 0), exp2_normal(e, p, DTYPE_F32));
    V linear = emit_fma(e, t, real(x, 0.5), half);
    return emit_fma(e, LLVMBuildFNeg(e->builder, near, ""), tail, linear);
}

V math_round(struct emitter *e, enum math_rounding how, V a) {
    static const char *const names[] = {"llvm.floor", "llvm.ceil", "llvm.nearbyint"};
    return emit_unary(e, names[how], a);
}

/* Of f64: the fraction of a turn, in quarters: |r| <= 1/8 turn as f32 radians, and which quarter, as bits. */
static V split_turns(struct emitter *e, V turns, V *which) {
    V f = sub(e, turns, math_round(e, MATH_NEAREST, turns));
    V n = nearest(e, mul(e, f, real(f, 4)), which);
    LLVMTypeRef t = emit_vector(e, e->i32, emit_lanes_of(turns));
    *which = LLVMBuildTrunc(e->builder, *which, t, "");
    return to_f32(e, mul(e, emit_fma(e, n, real(f, -0.25), f), real(f, 6.283185307179586)));
}

/* sin and cos of |y| <= pi / 4. */
static V sine_of(struct emitter *e, V y) {
    V s = mul(e, y, y), p = POLYNOMIAL(e, s, -0x1.555556p-3, 0x1.111174p-7, -0x1.a0595ap-13, 0x1.7c3068p-19);
    return emit_fma(e, mul(e, s, y), p, y);
}
static V cosine_of(struct emitter *e, V y) {
    V s = mul(e, y, y), p = POLYNOMIAL(e, s, 0x1.55554ap-5, -0x1.6c0c28p-10, 0x1.99e816p-16);
    V half = emit_fma(e, s, real(s, -0.5), real(s, 1));
    return emit_fma(e, mul(e, s, s), p, half);
}

/* By parity of n the sine or the cosine, negative where bit 1 is set. */
V math_by_quarter(struct emitter *e, V n, V sine, V cosine) {
    V odd = LLVMBuildTrunc(e->builder, n, emit_vector(e, e->i1, emit_lanes_of(n)), "");
    V sign = shift_left(e, and_bits(e, n, 2), is_f64(sine) ? 62 : 30);
    return from_bits(e, LLVMBuildXor(e->builder, as_bits(e, choose(e, odd, cosine, sine)), sign, ""));
}

void math_sincos_turns(struct emitter *e, V turns, V *sine, V *cosine) {
    V n, y = split_turns(e, turns, &n), s = sine_of(e, y), c = cosine_of(e, y);
    if (sine) *sine = math_by_quarter(e, n, s, c);
    V next = LLVMBuildAdd(e->builder, n, emit_constant_like(LLVMTypeOf(n), 1), "");
    if (cosine) *cosine = math_by_quarter(e, next, s, c);
}

/* x / (2 pi) in f64 for an f32 x, whole turns removed. 1 / (2 pi) is in three parts: the first two have 28
 * bits, so that their products with x's 24 are exact; together they keep 109, enough for |x| < 2^80. Beyond,
 * the angle is some number. */
static V turns_of(struct emitter *e, V x) {
    V wide = to_f64(e, x), first = mul(e, wide, real(wide, 0x1.45f306cp-3)),
      second = mul(e, wide, real(wide, 0x1.c9c882ap-31));
    first = sub(e, first, math_round(e, MATH_NEAREST, first));
    second = sub(e, second, math_round(e, MATH_NEAREST, second));
    return add(e, first, add(e, second, mul(e, wide, real(wide, 0x1.4fe13abe8fa9ap-61))));
}

V math_sin(struct emitter *e, V x) {
    if (is_f64(x)) return math_sin_f64(e, x);
    V made;
    math_sincos_turns(e, turns_of(e, x), &made, NULL);
    return choose(e, equal(e, x, real(x, 0)), x, made);
}

V math_cos(struct emitter *e, V x) {
    if (is_f64(x)) return math_cos_f64(e, x);
    V made;
    math_sincos_turns(e, turns_of(e, x), NULL, &made);
    return made;
}

/* The biased exponent that x >= 0 would have if exponents had no end below; x or, if it is subnormal, x * 2^54, and how
 * much that is. */
static V endless_exponent(struct emitter *e, V x, V *normal, V *shift) {
    V tiny = less(e, x, real(x, 0x1p-1022));
    *normal = choose(e, tiny, mul(e, x, real(x, 0x1p54)), x);
    V exponent = shift_right(e, as_bits(e, *normal), 52);
    *shift =
        choose(e, tiny, emit_constant_like(LLVMTypeOf(exponent), 54), LLVMConstNull(LLVMTypeOf(exponent)));
    return LLVMBuildSub(e->builder, exponent, *shift, "");
}

/* fmod of f64s, exact: 50 bits of the quotient at a time, as often as the lane asks whose exponents differ
 * most. With t = |b| 2^up, |b| or large enough, n = r / t, rounded down, is below 2^50; the quotient's own rounding
 * may have made it one too large, which is mended. r - n t has no more bits than t: nothing is rounded. */
static V fmod_f64(struct emitter *e, V a, V b) {
    enum { STEP = 49 }; /* bits of r that a round takes away */
    V by = absolute(e, b), first = absolute(e, a), zero = real(a, 0), normal, shift, unused[2];
    V exponent = endless_exponent(e, by, &normal, &shift);
    LLVMTypeRef t = LLVMTypeOf(exponent);
    V good = both(e, less(e, zero, by), less(e, first, real(a, __builtin_inf())));
    V gap = LLVMBuildSub(e->builder, endless_exponent(e, first, &unused[0], &unused[1]), exponent, "");
    gap = choose(e, good, gap, emit_constant_like(t, -1));
    gap = LLVMBuildTrunc(e->builder, gap, emit_vector(e, e->i32, emit_lanes_of(a)), "");
    V most = LLVMBuildSExt(e->builder, emit_horizontal(e, SCALAR_max, gap), e->i64, "");
    most = emit_max(e, emit_add(e, most, emit_i64(e, STEP)), emit_i64(e, 0));
    struct emit_loop rounds;
    emit_loop_begin(e, &rounds, emit_i64(e, 0), emit_div(e, most, emit_i64(e, STEP)), 1, 1, &first);
    V r = rounds.carried[0], bits;
    V up = LLVMBuildSub(e->builder, endless_exponent(e, r, &unused[0], &unused[1]), exponent, "");
    up = emit_binary(e, "llvm.smax", plus_bits(e, up, -STEP), LLVMConstNull(t));
    V scaled = math_scale(e, normal, LLVMBuildSub(e->builder, up, shift, "")), quotient = fdiv(e, r, scaled);
    V n = nearest(e, quotient, &bits);
    V above = either(e, less(e, quotient, n), equal(e, mul(e, n, scaled), real(a, __builtin_inf())));
    n = choose(e, above, sub(e, n, real(n, 1)), n);
    struct double_double taken = exact_product(e, n, scaled);
    V rest = sub(e, sub(e, r, taken.hi), taken.lo);
    rest = choose(e, less(e, rest, zero), add(e, rest, scaled), rest);
    V next = choose(e, less(e, r, by), r, rest);
    emit_loop_end(e, &rounds, &next);
    return copysign_of(e, choose(e, good, rounds.carried[0], real(a, __builtin_nan(""))), a);
}

/* The remainder by fmod, moved into the divisor's sign. */
V math_rem(struct emitter *e, V a, V b) {
    V wide = is_f64(a) ? a : to_f64(e, a), by = is_f64(b) ? b : to_f64(e, b), r = fmod_f64(e, wide, by);
    V differs = LLVMBuildFCmp(e->builder, LLVMRealONE, r, real(r, 0), "");
    V mixed = LLVMBuildXor(e->builder, less(e, r, real(r, 0)), less(e, by, real(r, 0)), "");
    r = choose(e, both(e, differs, mixed), add(e, r, by), r);
    return is_f64(a) ? r : to_f32(e, r);
}
