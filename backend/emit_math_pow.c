/* Powers: of f32 through f64, of f64 through logarithms in two parts, of integers by squares. */
#include "backend/emit_math_parts.h"

/* ---- f32: through f64 ---- */

/* log2 of a positive f64 made from an f32: relative error 1e-15. */
static V log2_for_f32(struct emitter *e, V x) {
    V k, m = math_split_f64(e, x, &k);
    V s = fdiv(e, sub(e, m, real(m, 1)), add(e, m, real(m, 1)));
    V p = POLYNOMIAL(e, mul(e, s, s), 0x1.71547652b82ffp+1, 0x1.ec709dc39c8dfp-1, 0x1.2776c516bcc67p-1,
                     0x1.a61756628e846p-2, 0x1.484fb186b0366p-2, 0x1.0bb7100c5d7b0p-2, 0x1.f1955e7aa9434p-3);
    return emit_fma(e, s, p, k);
}

/* 2^x in f64 for |x| <= 1000: relative error 1.4e-14. */
static V exp2_for_f32(struct emitter *e, V x) {
    V bits, n = nearest(e, x, &bits), r = sub(e, x, n);
    V p = POLYNOMIAL(e, r, 0x1.0000000000039p+0, 0x1.62e42fefa3751p-1, 0x1.ebfbdff815705p-3,
                     0x1.c6b08d70d209cp-5, 0x1.3b2ab72a10ef6p-7, 0x1.5d87fd900c085p-10, 0x1.43088fca314fap-13,
                     0x1.ffce2461700c4p-17, 0x1.63edf169f7f83p-20, 0x1.b3f4287ba2c0bp-24);
    return math_scale(e, p, bits);
}

/* 2^(y log2 a), a = |x| not zero or infinite. */
static V power_f32(struct emitter *e, V a, V y) {
    V wide = LLVMBuildFPExt(e->builder, a, emit_vector(e, e->f64, emit_lanes_of(a)), "");
    V by = LLVMBuildFPExt(e->builder, y, LLVMTypeOf(wide), "");
    V made = exp2_for_f32(e, limit(e, mul(e, by, log2_for_f32(e, wide)), -300, 300));
    return LLVMBuildFPTrunc(e->builder, made, LLVMTypeOf(a), "");
}

/* ---- f64: logarithms in two parts, to 2^-66, since the exponent's 11 bits are lost of them ---- */

/* Low parts may be some ULP of the high ones; what is lost is 2^-100. */
static struct double_double times(struct emitter *e, struct double_double a, struct double_double b) {
    struct double_double p = exact_product(e, a.hi, b.hi);
    p.lo = add(e, p.lo, emit_fma(e, a.hi, b.lo, mul(e, a.lo, b.hi)));
    return p;
}
/* a + b, where b is the smaller. */
static struct double_double plus(struct emitter *e, struct double_double a, struct double_double b) {
    struct double_double sum = ordered_sum(e, a.hi, b.hi);
    sum.lo = add(e, sum.lo, add(e, a.lo, b.lo));
    return sum;
}

/* k + s (2 / ln 2 + z (2 / (3 ln 2) + z P(z))), s = (m - 1) / (m + 1), z = s^2, x = 2^k m: the series of atanh. */
static struct double_double log2_f64(struct emitter *e, V x) {
    V k, m = math_split_f64(e, x, &k), one = real(x, 1), f = sub(e, m, one);
    struct double_double below = exact_sum(e, m, one);
    V inverse = fdiv(e, one, below.hi), first = mul(e, f, inverse);
    struct double_double back = exact_product(e, first, below.hi);
    V left = sub(e, sub(e, sub(e, f, back.hi), back.lo), mul(e, first, below.lo));
    struct double_double s = {first, mul(e, left, inverse)}, z = times(e, s, s);
    V p = POLYNOMIAL(e, z.hi, 0x1.2776c50ef9bfcp-1, 0x1.a61762a7aedd9p-2, 0x1.484b13d6ad59cp-2,
                     0x1.0c9a853ab51e2p-2, 0x1.c68ee984ea82cp-3, 0x1.8a09b1dc86e59p-3, 0x1.58fd4a3960949p-3,
                     0x1.61eca85296fcep-3);
    struct double_double third = {real(x, 0x1.ec709dc3a03fdp-1), real(x, 0x1.d27f05548af0cp-55)},
                         all = {real(x, 0x1.71547652b82fep+1), real(x, 0x1.777d0ffda0d24p-55)};
    third = plus(e, third, (struct double_double){mul(e, z.hi, p), real(x, 0)});
    all = plus(e, all, times(e, z, third));
    return plus(e, (struct double_double){k, real(x, 0)}, times(e, s, all));
}

/* 2^(y log2 a), a = |x| not zero or infinite. */
static V power_f64(struct emitter *e, V a, V y) {
    struct double_double l = log2_f64(e, a), p = exact_product(e, y, l.hi);
    V rest = emit_fma(e, y, l.lo, p.lo), bits, limited = limit(e, p.hi, -1080, 1030);
    rest = choose(e, equal(e, limited, p.hi), rest, real(a, 0)); /* of infinity there is none */
    V r = add(e, sub(e, limited, nearest(e, limited, &bits)), rest);
    return math_scale(e, math_exp2_reduced_f64(e, r), bits);
}

/* ---- C's pow() ---- */

static V is_whole(struct emitter *e, V x) {
    V size = absolute(e, x), all = real(x, is_f64(x) ? 0x1p52 : 0x1p23); /* no fractions from here on */
    V rounded = sub(e, add(e, size, all), all);
    return either(e, LLVMBuildFCmp(e->builder, LLVMRealOGE, size, all, ""), equal(e, rounded, size));
}

/* The cases that Annex F lists, around the power of finite numbers. */
V math_pow(struct emitter *e, V x, V y) {
    V a = absolute(e, x), zero = real(x, 0), one = real(x, 1), infinity = real(x, __builtin_inf());
    V made = is_f64(x) ? power_f64(e, a, y) : power_f32(e, a, y);
    V is_zero = equal(e, a, zero), is_infinite = equal(e, a, infinity), falls = less(e, y, zero);
    V large = choose(e, is_zero, falls, LLVMBuildNot(e->builder, falls, ""));
    made = choose(e, either(e, is_zero, is_infinite), choose(e, large, infinity, zero), made);
    V whole = is_whole(e, y), even = is_whole(e, mul(e, y, real(y, 0.5)));
    V odd = both(e, whole, LLVMBuildNot(e->builder, even, ""));
    V finite_negative = both(e, less(e, x, zero), LLVMBuildNot(e->builder, is_infinite, ""));
    V undefined = both(e, finite_negative, LLVMBuildNot(e->builder, whole, ""));
    made = choose(e, undefined, real(x, __builtin_nan("")), made);
    made = mul(e, made, choose(e, odd, copysign_of(e, one, x), one));
    made = choose(e, LLVMBuildFCmp(e->builder, LLVMRealUNO, x, y, ""), add(e, x, y), made);
    V unit = both(e, equal(e, a, one), equal(e, absolute(e, y), infinity));
    V is_one = either(e, either(e, equal(e, y, zero), equal(e, x, one)), unit);
    return choose(e, is_one, one, made);
}

/* ---- integers ---- */

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
