/* Transcendental functions of f32 vectors. Coefficients are minimax fits of our own, by Lawson's reweighted
 * least squares (C. L. Lawson, thesis, UCLA 1961) in 120-bit arithmetic, each rounded to f32 with the rest
 * fitted again; argument reductions are the usual ones (W. Cody, W. Waite: Software Manual for the Elementary
 * Functions, 1980). */
#include "backend/emit_math.h"

typedef LLVMValueRef V;

static V real(V like, double value) { return emit_constant_like(LLVMTypeOf(like), value); }
static V add(struct emitter *e, V a, V b) { return LLVMBuildFAdd(e->builder, a, b, ""); }
static V sub(struct emitter *e, V a, V b) { return LLVMBuildFSub(e->builder, a, b, ""); }
static V mul(struct emitter *e, V a, V b) { return LLVMBuildFMul(e->builder, a, b, ""); }
static V fdiv(struct emitter *e, V a, V b) { return LLVMBuildFDiv(e->builder, a, b, ""); }
static V choose(struct emitter *e, V c, V a, V b) { return LLVMBuildSelect(e->builder, c, a, b, ""); }
static V less(struct emitter *e, V a, V b) { return LLVMBuildFCmp(e->builder, LLVMRealOLT, a, b, ""); }
static V equal(struct emitter *e, V a, V b) { return LLVMBuildFCmp(e->builder, LLVMRealOEQ, a, b, ""); }
static V absolute(struct emitter *e, V a) { return emit_unary(e, "llvm.fabs", a); }
static V copysign_of(struct emitter *e, V size, V sign) {
    return emit_binary(e, "llvm.copysign", size, sign);
}
static bool is_f64(V a) { return LLVMGetTypeKind(emit_element(LLVMTypeOf(a))) == LLVMDoubleTypeKind; }

static V as_bits(struct emitter *e, V a) {
    LLVMTypeRef t = emit_vector(e, is_f64(a) ? e->i64 : e->i32, emit_lanes_of(a));
    return LLVMBuildBitCast(e->builder, a, t, "");
}
static V from_bits(struct emitter *e, V a) {
    bool wide = emit_element(LLVMTypeOf(a)) == e->i64;
    return LLVMBuildBitCast(e->builder, a, emit_vector(e, wide ? e->f64 : e->f32, emit_lanes_of(a)), "");
}
static V to_f64(struct emitter *e, V a) {
    return LLVMBuildFPExt(e->builder, a, emit_vector(e, e->f64, emit_lanes_of(a)), "");
}
static V to_f32(struct emitter *e, V a) {
    return LLVMBuildFPTrunc(e->builder, a, emit_vector(e, e->f32, emit_lanes_of(a)), "");
}

/* c[0] + c[1] x + ... by Horner's rule. */
static V polynomial(struct emitter *e, V x, const double *c, int count) {
    V sum = real(x, c[count - 1]);
    for (int i = count - 2; i >= 0; i--) sum = emit_fma(e, sum, x, real(x, c[i]));
    return sum;
}
#define POLYNOMIAL(e, x, ...)                                                                                \
    polynomial(e, x, (const double[]){__VA_ARGS__},                                                          \
               (int)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double)))

/* The function of libm, called for each lane. */
static V libm(struct emitter *e, const char *name, V a, V b) {
    if (e->target->simt && !e->target->emulated) {
        emit_error(e, e->kernel->loc, "%s of f64 has no code for a GPU; of f32 it has", name);
        return a;
    }
    LLVMTypeRef arguments[] = {e->f64, e->f64}, type = LLVMFunctionType(e->f64, arguments, b ? 2 : 1, 0);
    V f = LLVMGetNamedFunction(e->module, name);
    if (!f) f = LLVMAddFunction(e->module, name, type);
    int lanes = emit_lanes_of(a);
    V made = lanes > 1 ? LLVMGetPoison(LLVMTypeOf(a)) : NULL;
    for (int i = 0; i < lanes; i++) {
        V at = emit_i32(e, i);
        V given[] = {lanes > 1 ? LLVMBuildExtractElement(e->builder, a, at, "") : a,
                     b && lanes > 1 ? LLVMBuildExtractElement(e->builder, b, at, "") : b};
        V one = LLVMBuildCall2(e->builder, type, f, given, b ? 2 : 1, "");
        made = lanes > 1 ? LLVMBuildInsertElement(e->builder, made, one, at, "") : one;
    }
    return made;
}

/* x limited to lo..hi; NaN stays. */
static V limit(struct emitter *e, V x, double lo, double hi) {
    x = choose(e, less(e, x, real(x, lo)), real(x, lo), x);
    return choose(e, less(e, real(x, hi), x), real(x, hi), x);
}

/* The nearest integer of an f32 within +-2^22 (f64: 2^51) as a float, its low bits in *bits: adding 1.5 *
 * 2^23 rounds. */
static V nearest(struct emitter *e, V x, V *bits) {
    V magic = real(x, is_f64(x) ? 0x1.8p52 : 0x1.8p23), shifted = add(e, x, magic);
    *bits = as_bits(e, shifted);
    return sub(e, shifted, magic);
}

/* x * 2^n, n as nearest() leaves it; in two steps, so that results out of the normal range come out right,
 * rounded once. */
static V scale(struct emitter *e, V x, V bits) {
    LLVMTypeRef t = LLVMTypeOf(bits);
    bool wide = is_f64(x);
    V mantissa = emit_constant_like(t, wide ? 52 : 23), bias = emit_constant_like(t, wide ? 1023 : 127);
    int sign_up = wide ? 13 : 10; /* the low half of the mantissa is n, in two's complement */
    V up = emit_constant_like(t, sign_up);
    V n = LLVMBuildAShr(e->builder, LLVMBuildShl(e->builder, bits, up, ""), up, "");
    V half = LLVMBuildAShr(e->builder, n, emit_constant_like(t, 1), ""),
      rest = LLVMBuildSub(e->builder, n, half, "");
    V first = LLVMBuildShl(e->builder, LLVMBuildAdd(e->builder, half, bias, ""), mantissa, "");
    V second = LLVMBuildShl(e->builder, LLVMBuildAdd(e->builder, rest, bias, ""), mantissa, "");
    return mul(e, mul(e, x, from_bits(e, first)), from_bits(e, second));
}

/* x * 2^n for an integral float n: one instruction where there is one, with the same result. */
static V scale_by(struct emitter *e, V x, V n, V bits) {
    if (e->target->vector_bytes != 64 || emit_lanes_of(x) != 16 || is_f64(x)) return scale(e, x, bits);
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
    if (is_f64(x)) return libm(e, "exp", x, NULL);
    V n, bits;
    x = limit(e, x, -104, 89);
    V r = reduce_exp(e, x, &n, &bits);
    return scale_by(e, add(e, real(x, 1), expm1_reduced(e, r)), n, bits);
}

V math_exp2(struct emitter *e, V x) {
    if (is_f64(x)) return libm(e, "exp2", x, NULL);
    V bits;
    x = limit(e, x, -151, 129);
    V n = nearest(e, x, &bits), r = sub(e, x, n);
    V p = POLYNOMIAL(e, r, 1, 0x1.62e430p-1, 0x1.ebfbdcp-3, 0x1.c6af7ap-5, 0x1.3b2dd2p-7, 0x1.5f0946p-10,
                     0x1.417a5cp-13);
    return scale_by(e, p, n, bits);
}

V math_exp2_falling(struct emitter *e, V x, enum dtype t) {
    V bits;
    if (e->threaded && t != DTYPE_F32) /* to 2 ULP of f32: PTX ISA, ex2 */
        return emit_intrinsic(e, "llvm.nvvm.ex2.approx.ftz", (LLVMTypeRef[]){e->f32}, 1, &x, 1);
    x = emit_larger(e, real(x, -151), x);
    V n = nearest(e, x, &bits), r = sub(e, x, n);
    V p = t == DTYPE_BF16 ? POLYNOMIAL(e, r, 1, 0x1.62f5fap-1, 0x1.f00c4cp-3, 0x1.c2a254p-5)
                          : POLYNOMIAL(e, r, 1, 0x1.62e42ap-1, 0x1.ebf9c2p-3, 0x1.c6b6d8p-5, 0x1.3ce8aep-7,
                                       0x1.5bda5cp-10);
    return scale_by(e, p, n, bits);
}

/* 2^n (e^r - 1) + (2^n - 1), all halved, since 2^128 does not exist. */
static V expm1_f32(struct emitter *e, V x) {
    V n, bits, limited = limit(e, x, -30, 89);
    V m = expm1_reduced(e, reduce_exp(e, limited, &n, &bits)), half = scale_by(e, real(x, 0.5), n, bits);
    V t = emit_fma(e, half, m, sub(e, half, real(x, 0.5)));
    V made = add(e, t, t);
    return choose(e, equal(e, x, real(x, 0)), x, made); /* keeps -0 */
}
V math_expm1(struct emitter *e, V x) { return is_f64(x) ? libm(e, "expm1", x, NULL) : expm1_f32(e, x); }

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

/* What a logarithm is at the ends: log(0) = -inf, log(x < 0) = NaN, log(inf) = inf; `u` = x or 1 + x. */
static V log_ends(struct emitter *e, V u, V made) {
    V zero = real(u, 0), infinity = real(u, __builtin_inf());
    made = choose(e, equal(e, u, infinity), infinity, made);
    made = choose(e, LLVMBuildFCmp(e->builder, LLVMRealULT, u, zero, ""), real(u, __builtin_nan("")), made);
    return choose(e, equal(e, u, zero), real(u, -__builtin_inf()), made);
}

V math_log(struct emitter *e, V x) {
    if (is_f64(x)) return libm(e, "log", x, NULL);
    V tiny = less(e, x, real(x, 0x1p-126)), u = choose(e, tiny, mul(e, x, real(x, 0x1p25)), x);
    V k = log_exponent(e, u);
    LLVMTypeRef t = LLVMTypeOf(k);
    V shifted = LLVMBuildSub(e->builder, as_bits(e, u),
                             LLVMBuildShl(e->builder, k, emit_constant_like(t, 23), ""), "");
    V whole = LLVMBuildSIToFP(e->builder, k, LLVMTypeOf(x), "");
    whole = choose(e, tiny, sub(e, whole, real(x, 25)), whole);
    return log_ends(e, x, log_reduced(e, sub(e, from_bits(e, shifted), real(x, 1)), whole));
}

/* log(1 + x): f = (1 + x) 2^-k - 1 = x 2^-k + (2^-k - 1) loses nothing of x. As 2^-128 is not normal, x is
 * taken in quarters; what is too small for that is its own logarithm. */
static V log1p_f32(struct emitter *e, V x) {
    V u = add(e, real(x, 1), x), k = log_exponent(e, u), quarter = mul(e, x, real(x, 0.25));
    LLVMTypeRef t = LLVMTypeOf(k);
    V exponent = LLVMBuildSub(e->builder, emit_constant_like(t, 129), k, "");
    V power = from_bits(e, LLVMBuildShl(e->builder, exponent, emit_constant_like(t, 23), "")); /* 2^(2 - k) */
    V f = emit_fma(e, quarter, power, emit_fma(e, power, real(x, 0.25), real(x, -1)));
    V made = log_ends(e, u, log_reduced(e, f, LLVMBuildSIToFP(e->builder, k, LLVMTypeOf(x), "")));
    return choose(e, less(e, absolute(e, x), real(x, 0x1p-60)), x, made);
}
V math_log1p(struct emitter *e, V x) { return is_f64(x) ? libm(e, "log1p", x, NULL) : log1p_f32(e, x); }

/* -t / (t + 2), t = e^(-2|x|) - 1: no cancellation anywhere. */
V math_tanh(struct emitter *e, V x) {
    if (is_f64(x)) return libm(e, "tanh", x, NULL);
    V t = expm1_f32(e, mul(e, absolute(e, x), real(x, -2)));
    return copysign_of(e, fdiv(e, t, add(e, t, real(x, 2))), x);
}

/* |x| < 0.9: x + x P(x^2); else 1 - exp(-t Q(t)). */
V math_erf(struct emitter *e, V x) {
    if (is_f64(x)) return libm(e, "erf", x, NULL);
    V t = absolute(e, x), square = mul(e, x, x);
    V p = POLYNOMIAL(e, square, 0x1.06eba8p-3, -0x1.812740p-2, 0x1.ce2d64p-4, -0x1.b80124p-6, 0x1.544b08p-8,
                     -0x1.a61810p-11, 0x1.4fa924p-14);
    V small = emit_fma(e, x, p, x);
    V far = choose(e, less(e, real(x, 4), t), real(x, 4), t);
    V q = POLYNOMIAL(e, far, 0x1.20e818p+0, 0x1.4576eep-1, 0x1.aec696p-4, -0x1.71e2cap-6, 0x1.7819a6p-9,
                     -0x1.ce4916p-16, -0x1.a2b6a8p-15, 0x1.635162p-18);
    V large = LLVMBuildFNeg(e->builder, expm1_f32(e, LLVMBuildFNeg(e->builder, mul(e, far, q), "")), "");
    return choose(e, less(e, t, real(x, 0.9)), small, copysign_of(e, large, x));
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

/* sin of quarter n: by parity of n the sine or the cosine, negative where bit 1 is set. */
static V by_quarter(struct emitter *e, V n, V sine, V cosine) {
    LLVMTypeRef t = LLVMTypeOf(n);
    V odd = LLVMBuildTrunc(e->builder, n, emit_vector(e, e->i1, emit_lanes_of(n)), "");
    V sign = LLVMBuildShl(e->builder, LLVMBuildAnd(e->builder, n, emit_constant_like(t, 2), ""),
                          emit_constant_like(t, 30), "");
    return from_bits(e, LLVMBuildXor(e->builder, as_bits(e, choose(e, odd, cosine, sine)), sign, ""));
}

void math_sincos_turns(struct emitter *e, V turns, V *sine, V *cosine) {
    V n, y = split_turns(e, turns, &n), s = sine_of(e, y), c = cosine_of(e, y);
    if (sine) *sine = by_quarter(e, n, s, c);
    V next = LLVMBuildAdd(e->builder, n, emit_constant_like(LLVMTypeOf(n), 1), "");
    if (cosine) *cosine = by_quarter(e, next, s, c);
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
    if (is_f64(x)) return libm(e, "sin", x, NULL);
    V made;
    math_sincos_turns(e, turns_of(e, x), &made, NULL);
    return choose(e, equal(e, x, real(x, 0)), x, made);
}

V math_cos(struct emitter *e, V x) {
    if (is_f64(x)) return libm(e, "cos", x, NULL);
    V made;
    math_sincos_turns(e, turns_of(e, x), NULL, &made);
    return made;
}

/* log2 of a positive f64 made from an f32: relative error 1e-15. */
static V log2_f64(struct emitter *e, V x) {
    V bits = as_bits(e, x);
    LLVMTypeRef t = LLVMTypeOf(bits);
    /* An integer that no double holds: emit_constant_like would round it. */
    V half_root = emit_splat(e, emit_i64(e, 0x3fe6a09e667f3bcd), emit_lanes_of(x));
    V above = LLVMBuildSub(e->builder, bits, half_root, "");
    V k = LLVMBuildAShr(e->builder, above, emit_constant_like(t, 52), "");
    V m = from_bits(
        e, LLVMBuildSub(e->builder, bits, LLVMBuildShl(e->builder, k, emit_constant_like(t, 52), ""), ""));
    V s = fdiv(e, sub(e, m, real(m, 1)), add(e, m, real(m, 1)));
    V p = POLYNOMIAL(e, mul(e, s, s), 0x1.71547652b82ffp+1, 0x1.ec709dc39c8dfp-1, 0x1.2776c516bcc67p-1,
                     0x1.a61756628e846p-2, 0x1.484fb186b0366p-2, 0x1.0bb7100c5d7b0p-2, 0x1.f1955e7aa9434p-3);
    return emit_fma(e, s, p, LLVMBuildSIToFP(e->builder, k, LLVMTypeOf(x), ""));
}

/* 2^x in f64 for |x| <= 1000: relative error 1.4e-14. */
static V exp2_f64(struct emitter *e, V x) {
    V bits, n = nearest(e, x, &bits), r = sub(e, x, n);
    V p = POLYNOMIAL(e, r, 0x1.0000000000039p+0, 0x1.62e42fefa3751p-1, 0x1.ebfbdff815705p-3,
                     0x1.c6b08d70d209cp-5, 0x1.3b2ab72a10ef6p-7, 0x1.5d87fd900c085p-10, 0x1.43088fca314fap-13,
                     0x1.ffce2461700c4p-17, 0x1.63edf169f7f83p-20, 0x1.b3f4287ba2c0bp-24);
    return scale(e, p, bits);
}

/* 2^(y log2 |x|) in f64, then the cases that C's pow() lists. */
static V pow_f32(struct emitter *e, V x, V y) {
    V a = absolute(e, x), wide = to_f64(e, a), zero = real(x, 0), one = real(x, 1),
      infinity = real(x, __builtin_inf());
    V l = log2_f64(e, wide);
    l = choose(e, equal(e, a, zero), real(l, -__builtin_inf()), l);
    l = choose(e, equal(e, a, infinity), real(l, __builtin_inf()), l);
    V made = to_f32(e, exp2_f64(e, limit(e, mul(e, to_f64(e, y), l), -300, 300)));
    V half = mul(e, y, real(y, 0.5));
    V whole = equal(e, math_round(e, MATH_FLOOR, y), y),
      even = equal(e, math_round(e, MATH_FLOOR, half), half);
    V odd = LLVMBuildAnd(e->builder, whole, LLVMBuildNot(e->builder, even, ""), "");
    V signed_one = copysign_of(e, one, x);
    V finite_negative =
        LLVMBuildAnd(e->builder, less(e, x, zero), LLVMBuildNot(e->builder, equal(e, a, infinity), ""), "");
    V undefined = LLVMBuildAnd(e->builder, finite_negative, LLVMBuildNot(e->builder, whole, ""), "");
    made = choose(e, undefined, real(x, __builtin_nan("")), made);
    made = mul(e, made, choose(e, odd, signed_one, one));
    made = choose(e, LLVMBuildFCmp(e->builder, LLVMRealUNO, x, y, ""), add(e, x, y), made);
    V unit = LLVMBuildAnd(e->builder, equal(e, a, one), equal(e, absolute(e, y), infinity), "");
    V is_one =
        LLVMBuildOr(e->builder, LLVMBuildOr(e->builder, equal(e, y, zero), equal(e, x, one), ""), unit, "");
    return choose(e, is_one, one, made);
}
V math_pow(struct emitter *e, V x, V y) { return is_f64(x) ? libm(e, "pow", x, y) : pow_f32(e, x, y); }

/* Squares for each of the exponent's bits. */
V math_integer_pow(struct emitter *e, V base, V exponent) {
    LLVMTypeRef t = LLVMTypeOf(base);
    V one = emit_constant_like(t, 1), zero = LLVMConstNull(t), power = one, square = base;
    int bits = (int)LLVMGetIntTypeWidth(emit_element(t));
    for (int i = 0; i < bits - 1; i++) {
        V bit = LLVMBuildAnd(e->builder, LLVMBuildLShr(e->builder, exponent, emit_constant_like(t, i), ""),
                             one, "");
        V set = LLVMBuildICmp(e->builder, LLVMIntNE, bit, zero, "");
        power = choose(e, set, LLVMBuildMul(e->builder, power, square, ""), power);
        square = LLVMBuildMul(e->builder, square, square, "");
    }
    V unit =
        choose(e, LLVMBuildICmp(e->builder, LLVMIntEQ, LLVMBuildMul(e->builder, base, base, ""), one, ""),
               power, zero);
    /* 1 and -1 repeat with the exponent's lowest bit, which `power` has for negative ones too; other bases
     * that square to 1 modulo 2^n are not 1 / themselves. */
    V is_unit = LLVMBuildOr(e->builder, LLVMBuildICmp(e->builder, LLVMIntEQ, base, one, ""),
                            LLVMBuildICmp(e->builder, LLVMIntEQ, base, emit_constant_like(t, -1), ""), "");
    V negative = LLVMBuildICmp(e->builder, LLVMIntSLT, exponent, zero, "");
    return choose(e, negative, choose(e, is_unit, unit, zero), power);
}

/* fmod of f64s that hold f32s, without libm: 28 bits of the quotient at a time. n t and r - n t are exact,
 * since n has 29 bits and t 24; n may be one too large, which is mended at once, or one too small, which the
 * next round sees. */
static V fmod_of_f32(struct emitter *e, V a, V b) {
    enum { BITS = 28, ROUNDS = 277 / BITS + 3, MANTISSA = 52, EXPONENT = 0x7ff };
    V by = absolute(e, b), zero = real(a, 0), first = absolute(e, a);
    LLVMTypeRef t = LLVMTypeOf(as_bits(e, a));
    V mantissa = emit_constant_like(t, MANTISSA), mask = emit_constant_like(t, EXPONENT);
    V exponent = LLVMBuildAnd(e->builder, LLVMBuildLShr(e->builder, as_bits(e, by), mantissa, ""), mask, "");
    struct emit_loop rounds;
    emit_loop_begin(e, &rounds, emit_i64(e, 0), emit_i64(e, ROUNDS), 1, 1, &first);
    V r = rounds.carried[0];
    V own = LLVMBuildAnd(e->builder, LLVMBuildLShr(e->builder, as_bits(e, r), mantissa, ""), mask, "");
    V up = LLVMBuildSub(e->builder, LLVMBuildSub(e->builder, own, exponent, ""), emit_constant_like(t, BITS),
                        "");
    up = emit_binary(e, "llvm.smax", up, LLVMConstNull(t));
    V scaled = LLVMBuildAdd(e->builder, as_bits(e, by), LLVMBuildShl(e->builder, up, mantissa, ""), "");
    scaled = from_bits(e, scaled);
    V n = emit_unary(e, "llvm.floor", fdiv(e, r, scaled));
    V rest = emit_fma(e, LLVMBuildFNeg(e->builder, n, ""), scaled, r);
    rest = choose(e, less(e, rest, zero), add(e, rest, scaled), rest);
    V next = choose(e, less(e, r, by), r, rest);
    emit_loop_end(e, &rounds, &next);
    V good = LLVMBuildAnd(e->builder, less(e, zero, by), less(e, first, real(a, __builtin_inf())), "");
    return copysign_of(e, choose(e, good, rounds.carried[0], real(a, __builtin_nan(""))), a);
}

/* The remainder by fmod (exact), moved into the divisor's sign. */
V math_rem(struct emitter *e, V a, V b) {
    V wide = is_f64(a) ? a : to_f64(e, a), by = is_f64(b) ? b : to_f64(e, b);
    V r = e->target->simt && !is_f64(a) ? fmod_of_f32(e, wide, by) : libm(e, "fmod", wide, by);
    V zero = real(r, 0);
    V differs = LLVMBuildFCmp(e->builder, LLVMRealONE, r, zero, "");
    V mixed = LLVMBuildXor(e->builder, less(e, r, zero), less(e, by, zero), "");
    r = choose(e, LLVMBuildAnd(e->builder, differs, mixed, ""), add(e, r, by), r);
    return is_f64(a) ? r : to_f32(e, r);
}
