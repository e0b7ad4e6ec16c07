/* Arithmetic on f16 and bf16, alone and in pairs: computed in double and rounded once. */
#include "tests/gpu/ptx_number.h"
#include "tests/gpu/ptx_ops.h"
#include <math.h>

enum operation { ADD, SUB, MUL, FMA, MIN, MAX, EX2, TANH, NEG, ABS };

static double lesser(double a, double b, bool nan) {
    if (isnan(a) || isnan(b)) return nan ? NAN : isnan(a) ? b : a;
    return a < b || (a == b && signbit(a)) ? a : b;
}
static double computed(enum operation op, double a, double b, double c, uint32_t flags) {
    switch (op) {
    case ADD:
        return ptx_fma_odd(1, a, b);
    case SUB:
        return ptx_fma_odd(1, a, -b);
    case MUL:
        return a * b;
    case FMA:
        return ptx_fma_odd(a, b, c);
    case MIN:
        return lesser(a, b, flags & F_NAN);
    case MAX:
        return -lesser(-a, -b, flags & F_NAN);
    case EX2:
        return exp2(a);
    default:
        return tanh(a);
    }
}

static uint16_t one(const struct insn *in, const struct ptx_format *f, enum operation op,
                    const uint16_t v[3]) {
    if (op == NEG) return v[0] ^ 0x8000;
    if (op == ABS) return v[0] & 0x7fff;
    double x[3];
    for (int i = 0; i < 3; i++) {
        x[i] = f == &ptx_f16 ? (double)ptx_half(v[i]) : (double)ptx_bfloat(v[i]);
        if ((in->flags & F_FTZ) && fabs(x[i]) < ldexp(1, f->low)) x[i] = copysign(0, x[i]);
    }
    double r = computed(op, x[0], x[1], x[2], in->flags);
    if ((in->flags & F_SAT) && !(r > 0)) r = 0; /* NaN too */
    if ((in->flags & F_SAT) && r > 1) r = 1;
    if ((in->flags & F_RELU) && r < 0) r = 0;
    uint16_t bits = (uint16_t)ptx_pack(f, r, R_RN, false);
    bool small = (bits & 0x7fff) < 1u << (f->significand - 1);
    return (in->flags & F_FTZ) && small ? bits & 0x8000 : bits;
}

/* Pairs are twice as many elements. */
static void run(struct warp *w, const struct insn *in, uint32_t mask, enum operation op) {
    bool pair = in->type == T_F16X2 || in->type == T_BF16X2;
    const struct ptx_format *f = in->type == T_F16 || in->type == T_F16X2 ? &ptx_f16 : &ptx_bf16;
    uint16_t *d = OP(0);
    const uint16_t *p[3];
    for (uint32_t i = 0; i < 3; i++) p[i] = OP(i < in->sources ? i + 1 : 1);
    for (uint32_t l = 0; l < (pair ? 2 * LANES : LANES); l++)
        if (mask >> (pair ? l / 2 : l) & 1)
            d[l] = one(in, f, op, (const uint16_t[]){p[0][l], p[1][l], p[2][l]});
}
#define OPERATION(name, op)                                                                                  \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) { run(w, in, mask, op); }
OPERATION(add, ADD)
OPERATION(sub, SUB)
OPERATION(mul, MUL)
OPERATION(fma_, FMA)
OPERATION(min, MIN)
OPERATION(max, MAX)
OPERATION(ex2, EX2)
OPERATION(tanh_, TANH)
OPERATION(neg, NEG)
OPERATION(abs_, ABS)

#define HALVES(base, name, shape)                                                                            \
    {base, NULL, T_F16, name, shape}, {base, NULL, T_BF16, name, shape}, {base, NULL, T_F16X2, name, shape}, \
    {                                                                                                        \
        base, NULL, T_BF16X2, name, shape                                                                    \
    }
static const struct op_row rows[] = {
    HALVES("add", add, "t=tt"),   HALVES("sub", sub, "t=tt"), HALVES("mul", mul, "t=tt"),
    HALVES("min", min, "t=tt"),   HALVES("max", max, "t=tt"), HALVES("fma", fma_, "t=ttt"),
    HALVES("neg", neg, "t=t"),    HALVES("abs", abs_, "t=t"), HALVES("ex2", ex2, "t=t"),
    HALVES("tanh", tanh_, "t=t"),
};
OP_TABLE(ptx_half_ops, rows);
