/* Exponentials, logarithms, tanh and erf of f64 vectors: the f32 functions of emit_math.c with longer
 * polynomials, and sums in two parts where one would lose more than the last bit. */
#include "backend/emit_math_parts.h"

#define LN2_HIGH 0x1.62e42fefa3800p-1 /* 42 bits, so that 11 bits times it are exact */
#define LN2_LOW 0x1.ef35793c76730p-45

/* x = n ln 2 + r, |r| <= ln(2) / 2, in two parts. */
static struct double_double reduce_exp(struct emitter *e, V x, V *bits) {
    V n = nearest(e, mul(e, x, real(x, 0x1.71547652b82fep+0)), bits);
    V high = emit_fma(e, n, real(x, -LN2_HIGH), x), low = mul(e, n, real(x, LN2_LOW));
    V r = sub(e, high, low);
    return (struct double_double){r, sub(e, sub(e, high, r), low)};
}

/* e^r - 1 - r for |r| <= ln(2) / 2, to 2^-55.6 of e^r - 1. */
static V expm1_tail(struct emitter *e, V r) {
    V q =
        POLYNOMIAL(e, r, 0x1.0000000000005p-1, 0x1.5555555555548p-3, 0x1.555555555213bp-5,
                   0x1.1111111115406p-7, 0x1.6c16c17f20980p-10, 0x1.a01a01897d7d9p-13, 0x1.a019a6cdb4cf2p-16,
                   0x1.71de5a363f577p-19, 0x1.28a26482ff6aap-22, 0x1.aeb4511b88b77p-26);
    return mul(e, mul(e, r, r), q);
}

V math_exp_f64(struct emitter *e, V x) {
    V bits, r = reduce_exp(e, limit(e, x, -746, 710), &bits).hi;
    return math_scale(e, add(e, real(x, 1), add(e, r, expm1_tail(e, r))), bits);
}

V math_exp2_reduced_f64(struct emitter *e, V r) {
    V q =
        POLYNOMIAL(e, r, 0x1.ebfbdff82c59cp-3, 0x1.c6b08d704a0d4p-5, 0x1.3b2ab6fba11e7p-7,
                   0x1.5d87fe78b3bd6p-10, 0x1.4309130c05e9fp-13, 0x1.ffcbfbf8b6d99p-17, 0x1.62bfcdcf616e6p-20,
                   0x1.b5260db6a3741p-24, 0x1.e611bdc846331p-28, 0x1.e80ed8e98355fp-32);
    return add(e, real(r, 1), emit_fma(e, r, real(r, 0x1.62e42fefa39efp-1), mul(e, mul(e, r, r), q)));
}

V math_exp2_f64(struct emitter *e, V x) {
    V bits;
    x = limit(e, x, -1076, 1025);
    V r = sub(e, x, nearest(e, x, &bits));
    return math_scale(e, math_exp2_reduced_f64(e, r), bits);
}

/* 2^n (e^r - 1) + (2^n - 1), all halved, since 2^1024 does not exist. What is too small for halves is its own
 * result. */
V math_expm1_f64(struct emitter *e, V x) {
    V bits;
    struct double_double r = reduce_exp(e, limit(e, x, -40, 710), &bits);
    V half = power_of_two(e, x, plus_bits(e, bits, -1));
    V tail = mul(e, half, add(e, expm1_tail(e, r.hi), r.lo));
    struct double_double sum = ordered_sum(e, sub(e, half, real(x, 0.5)), mul(e, half, r.hi));
    V made = add(e, sum.hi, add(e, sum.lo, tail));
    return choose(e, less(e, absolute(e, x), real(x, 0x1p-54)), x, add(e, made, made));
}

/* log(1 + f) for sqrt(1/2) <= 1 + f < sqrt(2), plus k ln 2; `rest` (or NULL) is what f lost. */
static V log_reduced(struct emitter *e, V f, V rest, V k) {
    V p =
        POLYNOMIAL(e, f, 0x1.5555555555535p-2, -0x1.fffffffffef30p-3, 0x1.999999999f389p-3,
                   -0x1.5555555669bc6p-3, 0x1.24924922bb28ep-3, -0x1.ffffff2cf3ee4p-4, 0x1.c71c71d785ca4p-4,
                   -0x1.9999c23eb0117p-4, 0x1.745d3ff2c5ac6p-4, -0x1.5550f2fc2e292p-4, 0x1.3b0b7e02bd8c5p-4,
                   -0x1.24d708ec42b58p-4, 0x1.11cd4196c3e0ap-4, -0x1.fba6994e9a428p-5, 0x1.d05ab32e756c1p-5,
                   -0x1.d1094389cf17bp-5, 0x1.0a5a20631a431p-4, -0x1.ea2ea63f1a2ebp-5, 0x1.acd23382a34e6p-6);
    V square = mul(e, f, f), tail = mul(e, mul(e, square, f), p);
    if (rest) tail = add(e, tail, emit_fma(e, negative(e, f), rest, rest));
    tail = emit_fma(e, k, real(f, LN2_LOW), tail);
    tail = emit_fma(e, square, real(f, -0.5), tail);
    struct double_double sum = ordered_sum(e, mul(e, k, real(f, LN2_HIGH)), f);
    return add(e, sum.hi, add(e, sum.lo, tail));
}

/* The exponent k that brings a normal positive u into sqrt(1/2)..sqrt(2) by u * 2^-k. */
static V log_exponent(struct emitter *e, V u) {
    V above = plus_bits(e, as_bits(e, u), -0x3fe6a09ep32); /* the upper half of sqrt(1/2) */
    return LLVMBuildAShr(e->builder, above, emit_constant_like(LLVMTypeOf(above), 52), "");
}

V math_split_f64(struct emitter *e, V x, V *k) {
    V tiny = less(e, x, real(x, 0x1p-1022)), u = choose(e, tiny, mul(e, x, real(x, 0x1p54)), x);
    V exponent = log_exponent(e, u), whole = integer_to_f64(e, exponent);
    *k = choose(e, tiny, sub(e, whole, real(x, 54)), whole);
    return from_bits(e, LLVMBuildSub(e->builder, as_bits(e, u), shift_left(e, exponent, 52), ""));
}

V math_log_f64(struct emitter *e, V x) {
    V k, m = math_split_f64(e, x, &k);
    return math_log_ends(e, x, log_reduced(e, sub(e, m, real(x, 1)), NULL, k));
}

/* log(1 + x): f = (1 + x) 2^-k - 1 = x 2^-k + (2^-k - 1). As 2^-1024 is not normal, x is taken in quarters; what
 * is too small for that is its own logarithm. */
V math_log1p_f64(struct emitter *e, V x) {
    V u = add(e, real(x, 1), x), k = log_exponent(e, u);
    V power = power_of_two(e, x, LLVMBuildSub(e->builder, emit_constant_like(LLVMTypeOf(k), 2), k, ""));
    V part = mul(e, mul(e, x, real(x, 0.25)), power), rest = emit_fma(e, power, real(x, 0.25), real(x, -1));
    struct double_double f = exact_sum(e, part, rest);
    V made = math_log_ends(e, u, log_reduced(e, f.hi, f.lo, integer_to_f64(e, k)));
    return choose(e, less(e, absolute(e, x), real(x, 0x1p-54)), x, made);
}

/* |x| < 0.5625: x + x^3 P(x^2); else 1 - 2 / (e^(2|x|) + 1). */
V math_tanh_f64(struct emitter *e, V x) {
    V one = real(x, 1), t = absolute(e, x), square = mul(e, x, x);
    V p = POLYNOMIAL(e, square, -0x1.555555555554bp-2, 0x1.1111111110255p-3, -0x1.ba1ba1b93131ap-5,
                     0x1.664f48486ccdep-6, -0x1.226e2ce7fe388p-7, 0x1.d6d243dbfeaccp-9,
                     -0x1.7d8b6ab44eeaap-10, 0x1.345f69f792dcbp-11, -0x1.e7fedda1e47b0p-13,
                     0x1.59539710e34d0p-14, -0x1.3ce1df92f9618p-16);
    V small = emit_fma(e, mul(e, square, x), p, x);
    V power = math_exp_f64(e, add(e, t, t)), large = sub(e, one, fdiv(e, real(x, 2), add(e, power, one)));
    return copysign_of(e, choose(e, less(e, t, real(x, 0.5625)), small, large), x); /* keeps -0 */
}

/* |x| < 0.9: x + x P(x^2); else 1 - exp(-t Q(t)). */
V math_erf_f64(struct emitter *e, V x) {
    V t = absolute(e, x);
    V p = POLYNOMIAL(e, mul(e, x, x), 0x1.06eba8214db69p-3, -0x1.812746b037a25p-2, 0x1.ce2f21a045951p-4,
                     -0x1.b82ce31358f39p-6, 0x1.565bcd2d00316p-8, -0x1.c02db937965ccp-11,
                     0x1.f9a3b36b6f683p-14, -0x1.f4dba47bab725p-17, 0x1.ba471267d8b66p-20,
                     -0x1.6197e15bd33a5p-23, 0x1.0216b16c5ad69p-26, -0x1.24ce3d071bfc1p-30);
    V small = emit_fma(e, x, p, x), far = choose(e, less(e, real(x, 6), t), real(x, 6), t);
    V q = POLYNOMIAL(e, far, 0x1.20dd74e6db1ffp+0, 0x1.45f30783dd1b3p-1, 0x1.a4f51d1525dc2p-4,
                     -0x1.396e354159d7fp-6, -0x1.a82da3b1682c2p-13, 0x1.b842658ad90d2p-10,
                     -0x1.2641287f52880p-11, -0x1.83f15d7c42073p-17, 0x1.abf57ada6658ep-14,
                     -0x1.f0d7d18aab93dp-15, 0x1.69fb5aec4e777p-16, -0x1.821b373ee2784p-18,
                     0x1.38676203ea3b0p-20, -0x1.7e8456d53812cp-23, 0x1.58ef29246a58dp-26,
                     -0x1.b1139e7cf39a7p-30, 0x1.524e25d995e7ap-34, -0x1.ef2e01983172bp-40);
    V large = sub(e, real(x, 1), math_exp_f64(e, negative(e, mul(e, far, q))));
    return choose(e, less(e, t, real(x, 0.9)), small, copysign_of(e, large, x));
}
