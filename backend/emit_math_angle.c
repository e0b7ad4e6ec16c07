/* sin and cos of f64 vectors: what is left of the angle when quarters of a turn are taken away, in two parts,
 * then polynomials. */
#include "backend/emit_math_parts.h"

/* 64 zeros, then 2 / pi from 2^-1 down to 2^-1216: floor(2^1216 * 2 / pi), computed with 3000 bits. */
/* clang-format off */
static const uint64_t two_over_pi[] = {
    0,
    0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561, 0xb7246e3a424dd2e0,
    0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484, 0xe99c7026b45f7e41, 0x3991d639835339f4,
    0x9c845f8bbdf9283b, 0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab};
/* clang-format on */

/* An angle >= 0 as n quarters of a turn and r, |r| <= pi / 4 (and a little), in two parts. */
struct quarters {
    V n; /* the low bits of an i64 */
    struct double_double r;
};

/* By pi / 2 in three parts of up to 32 bits, of which n, below 2^20, makes exact products, and one of 53. */
static struct quarters near_quarters(struct emitter *e, V x) {
    struct quarters q;
    V n = nearest(e, mul(e, x, real(x, 0x1.45f306dc9c883p-1)), &q.n);
    V first = emit_fma(e, n, real(x, -0x1.921fb54400000p+0), x);
    struct double_double second = exact_sum(e, first, mul(e, n, real(x, -0x1.0b4611a400000p-34))),
                         third = exact_sum(e, second.hi, mul(e, n, real(x, -0x1.13198a2e00000p-65)));
    V rest = emit_fma(e, n, real(x, -0x1.b839a252049c1p-104), add(e, second.lo, third.lo));
    q.r = ordered_sum(e, third.hi, rest);
    return q;
}

/* The words of 2 / pi at number `at` of each lane. */
static V load_words(struct emitter *e, V at) {
    int lanes = emit_lanes_of(at);
    struct index i = lanes > 1 ? (struct index){.align = 1, .vector = at} : index_uniform(at);
    return emit_load_constant(e, e->i64, emit_table(e, two_over_pi, sizeof two_over_pi), i, lanes);
}

/* M. Payne, R. Hanek: Radian reduction for trigonometric functions, 1983. x = M 2^(E - 52), M < 2^53. Bits of 2 / pi
 * above 2^(54 - E) make whole turns with M and are left out; 192 bits from there make x * 2 / pi modulo 4 to
 * 2^-137, while no f64 is nearer to a quarter than 2^-62. Gives the upper 128 bits: two of n, 126 of a quarter.
 *
 *     0 ... 0 1 0 1 0 0 0 1 0 1 1 1 1 1 0 ...     3 words from bit E + 10 of the table on
 *     M * words[0] * 2^64 + M * words[1] + M * words[2] / 2^64, modulo 2^128 */
static V turned_bits(struct emitter *e, V x) {
    V bits = as_bits(e, x), exponent = shift_right(e, bits, 52);
    LLVMTypeRef t = LLVMTypeOf(bits), i128 = LLVMInt128TypeInContext(e->context);
    LLVMTypeRef wide = emit_vector(e, i128, emit_lanes_of(x));
    V m = LLVMBuildOr(e->builder, and_bits(e, bits, 0x1p52 - 1), emit_constant_like(t, 0x1p52), "");
    V from = emit_binary(e, "llvm.smax", plus_bits(e, exponent, 10 - 1023), LLVMConstNull(t));
    V word = shift_right(e, from, 6), shift = and_bits(e, from, 63), next = load_words(e, word), products[3];
    for (int i = 0; i < 3; i++) {
        V parts[] = {next, load_words(e, plus_bits(e, word, i + 1)), shift};
        V window = emit_intrinsic(e, "llvm.fshl", &t, 1, parts, 3);
        products[i] = LLVMBuildMul(e->builder, LLVMBuildZExt(e->builder, m, wide, ""),
                                   LLVMBuildZExt(e->builder, window, wide, ""), "");
        next = parts[1];
    }
    V upper = LLVMBuildAdd(e->builder, shift_left(e, products[0], 64), products[1], "");
    return LLVMBuildAdd(e->builder, upper, shift_right(e, products[2], 64), "");
}

/* The nearest n: what is beyond half a quarter is negative. The fraction's bits make three floats, then two. */
static struct quarters far_quarters(struct emitter *e, V x) {
    V turned = turned_bits(e, x), fraction = shift_left(e, turned, 2);
    LLVMTypeRef t = LLVMTypeOf(as_bits(e, x));
    V top = LLVMBuildTrunc(e->builder, shift_right(e, turned, 64), t, "");
    V high = LLVMBuildTrunc(e->builder, shift_right(e, fraction, 64), t, "");
    V low = LLVMBuildTrunc(e->builder, fraction, t, "");
    V a = integer_to_f64(e, LLVMBuildAShr(e->builder, high, emit_constant_like(t, 32), "")),
      b = integer_to_f64(e, and_bits(e, high, 0x1p32 - 1)), c = integer_to_f64(e, shift_right(e, low, 13));
    struct double_double y = ordered_sum(e, mul(e, a, real(a, 0x1p-32)), mul(e, b, real(b, 0x1p-64)));
    y = ordered_sum(e, y.hi, emit_fma(e, c, real(c, 0x1p-115), y.lo));
    V half_pi = real(x, 0x1.921fb54442d18p+0), half_pi_low = real(x, 0x1.1a62633145c07p-54);
    struct double_double r = exact_product(e, y.hi, half_pi);
    r.lo = add(e, r.lo, emit_fma(e, y.hi, half_pi_low, mul(e, y.lo, half_pi)));
    return (struct quarters){shift_right(e, plus_bits(e, top, 0x1p61), 62), r};
}

/* Of angles from 2^20 on the second way, which is only gone where some lane has one: a loop of no or one round. */
static struct quarters quarters_of(struct emitter *e, V x) {
    struct quarters near = near_quarters(e, x);
    V is_far = both(e, LLVMBuildFCmp(e->builder, LLVMRealOGE, x, real(x, 0x1p20), ""),
                    less(e, x, real(x, __builtin_inf())));
    struct emit_loop once;
    V rounds = LLVMBuildZExt(e->builder, math_any(e, is_far), e->i64, ""),
      carried[] = {near.n, near.r.hi, near.r.lo};
    emit_loop_begin(e, &once, emit_i64(e, 0), rounds, 1, 3, carried);
    struct quarters far = far_quarters(e, x);
    V next[] = {choose(e, is_far, far.n, once.carried[0]), choose(e, is_far, far.r.hi, once.carried[1]),
                choose(e, is_far, far.r.lo, once.carried[2])};
    emit_loop_end(e, &once, next);
    return (struct quarters){once.carried[0], {once.carried[1], once.carried[2]}};
}

/* sin(r + lo) = sin r + lo cos r. */
static V sine_of(struct emitter *e, struct double_double r) {
    V s = mul(e, r.hi, r.hi);
    V p = POLYNOMIAL(e, s, -0x1.5555555555548p-3, 0x1.111111110f754p-7, -0x1.a01a019bf0c2fp-13,
                     0x1.71de355dcf160p-19, -0x1.ae5e538713b63p-26, 0x1.5d8df458c3548p-33);
    V tail = emit_fma(e, mul(e, s, real(s, -0.5)), r.lo, r.lo);
    return add(e, r.hi, emit_fma(e, mul(e, s, r.hi), p, tail));
}

/* 1 - s / 2 + s^2 P(s), s = r^2, with what 1 - s / 2 loses; cos(r + lo) = cos r - lo sin r. */
static V cosine_of(struct emitter *e, struct double_double r) {
    V s = mul(e, r.hi, r.hi);
    V p = POLYNOMIAL(e, s, 0x1.555555555554bp-5, -0x1.6c16c16c15015p-10, 0x1.a01a019c8f301p-16,
                     -0x1.27e4f7f1a25d3p-22, 0x1.1ee9dbe07ed48p-29, -0x1.8fa69038ca123p-37);
    struct double_double first = ordered_sum(e, real(s, 1), mul(e, s, real(s, -0.5)));
    V tail = sub(e, first.lo, mul(e, r.hi, r.lo));
    return add(e, first.hi, emit_fma(e, mul(e, s, s), p, tail));
}

static V sine_of_quarters(struct emitter *e, struct quarters q, int more) {
    return math_by_quarter(e, plus_bits(e, q.n, more), sine_of(e, q.r), cosine_of(e, q.r));
}

V math_sin_f64(struct emitter *e, V x) {
    V size = absolute(e, x), made = sine_of_quarters(e, quarters_of(e, size), 0);
    V sign = LLVMBuildXor(e->builder, as_bits(e, x), as_bits(e, size), "");
    return from_bits(e, LLVMBuildXor(e->builder, as_bits(e, made), sign, ""));
}

V math_cos_f64(struct emitter *e, V x) { return sine_of_quarters(e, quarters_of(e, absolute(e, x)), 1); }
