/* Arithmetic on f32 and f64: IEEE's, with PTX's flush, saturation and directed roundings; what is approximate
 * on a GPU is correctly rounded or nearly so here. */
#include "tests/gpu/ptx_ops.h"
#include <fenv.h>
#include <math.h>
#include <string.h>

static float bits_float(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
static float flush(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }
static float saturate(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; } /* NaN: 0 */
static void round_by(uint8_t round) {
    fesetround(round == R_RZ   ? FE_TOWARDZERO
               : round == R_RM ? FE_DOWNWARD
               : round == R_RP ? FE_UPWARD
                               : FE_TONEAREST);
}

/* The scalar functions, all of three operands so that one loop serves them with flags. */
#define SCALAR(name, T, expression)                                                                          \
    static T name##_one(T a, T b, T c) {                                                                     \
        (void)b, (void)c;                                                                                    \
        return (expression);                                                                                 \
    }
/* Called through pointers: the compiler may not move them past a change of the rounding. */
typedef float scalar32(float, float, float);
typedef double scalar64(double, double, double);

static void with_flags32(struct warp *w, const struct insn *in, uint32_t mask, scalar32 *volatile one) {
    float *d = OP(0);
    const float *pa = OP(1), *pb = OP(in->sources > 1 ? 2 : 1), *pc = OP(in->sources > 2 ? 3 : 1);
    bool ftz = in->flags & F_FTZ;
    scalar32 *run = one;
    round_by(in->round);
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        float a = pa[l], b = pb[l], c = pc[l];
        if (ftz) a = flush(a), b = flush(b), c = flush(c);
        float r = run(a, b, c);
        if (ftz) r = flush(r);
        if (in->flags & F_SAT) r = saturate(r);
        d[l] = isnan(r) ? bits_float(0x7fffffff) : r;
    }
    round_by(R_RN);
}
static void with_flags64(struct warp *w, const struct insn *in, uint32_t mask, scalar64 *volatile one) {
    double *d = OP(0);
    const double *pa = OP(1), *pb = OP(in->sources > 1 ? 2 : 1), *pc = OP(in->sources > 2 ? 3 : 1);
    scalar64 *run = one;
    round_by(in->round);
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        d[l] = run(pa[l], pb[l], pc[l]);
    }
    round_by(R_RN);
}

#define FLOAT1(name, expression)                                                                             \
    SCALAR(name##32, float, expression)                                                                      \
    static void name##32(struct warp * w, const struct insn *in, uint32_t mask) {                            \
        if ((in->flags & (F_FTZ | F_SAT)) || in->round > R_RN) {                                             \
            with_flags32(w, in, mask, name##32_one);                                                         \
            return;                                                                                          \
        }                                                                                                    \
        float *d = OP(0);                                                                                    \
        const float *a = OP(1), *b = OP(in->sources > 1 ? 2 : 1), *c = OP(in->sources > 2 ? 3 : 1);          \
        EACH_LANE(d[l] = name##32_one(a[l], b[l], c[l]));                                                    \
    }
#define FLOAT(name, expression32, expression64)                                                              \
    FLOAT1(name, expression32)                                                                               \
    SCALAR(name##64, double, expression64)                                                                   \
    static void name##64(struct warp * w, const struct insn *in, uint32_t mask) {                            \
        with_flags64(w, in, mask, name##64_one);                                                             \
    }

FLOAT(add, a + b, a + b)
FLOAT(sub, a - b, a - b)
FLOAT(mul, a *b, a *b)
FLOAT(fma, fmaf(a, b, c), fma(a, b, c))
FLOAT(div, a / b, a / b)
FLOAT(rcp, 1 / a, 1 / a)
FLOAT(sqrt, sqrtf(a), sqrt(a))
FLOAT(rsqrt, (float)(1 / sqrt((double)a)), 1 / sqrt(a))
FLOAT1(ex2, (float)exp2((double)a))
FLOAT1(lg2, (float)log2((double)a))
FLOAT1(sin, (float)sin((double)a))
FLOAT1(cos, (float)cos((double)a))
FLOAT1(tanh, (float)tanh((double)a))
FLOAT(copysign, copysignf(b, a), copysign(b, a))

/* Of two zeros the negative one is less; a NaN loses unless .NaN says otherwise. */
#define LESSER(T) (isnan(a) ? b : isnan(b) ? a : a < b || (a == b && signbit(a)) ? a : b)
#define GREATER(T) (isnan(a) ? b : isnan(b) ? a : a > b || (a == b && !signbit(a)) ? a : b)
static float lesser32(float a, float b) { return LESSER(float); }
static float greater32(float a, float b) { return GREATER(float); }
static double lesser64(double a, double b) { return LESSER(double); }
static double greater64(double a, double b) { return GREATER(double); }
static void extreme32(struct warp *w, const struct insn *in, uint32_t mask, float (*choose)(float, float)) {
    float *d = OP(0);
    bool ftz = in->flags & F_FTZ, nan = in->flags & F_NAN, sign = in->mode;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        int l = __builtin_ctz(rest);
        float r = 0;
        bool negative = false, any = false;
        for (int i = 1; i <= in->sources; i++) {
            const float *p = OP(i);
            float a = ftz ? flush(p[l]) : p[l];
            negative ^= !!signbit(a);
            any |= isnan(a);
            if (in->flags & F_ABS) a = fabsf(a);
            r = i == 1 ? a : choose(r, a);
        }
        if (sign) r = copysignf(r, negative ? -1.0f : 1.0f);
        d[l] = (any && nan) || isnan(r) ? bits_float(0x7fffffff) : r;
    }
}
static void min32(struct warp *w, const struct insn *in, uint32_t mask) { extreme32(w, in, mask, lesser32); }
static void max32(struct warp *w, const struct insn *in, uint32_t mask) { extreme32(w, in, mask, greater32); }
#define EXTREME64(name, choose)                                                                              \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) {                                 \
        double *d = OP(0);                                                                                   \
        const double *a = OP(1), *b = OP(2);                                                                 \
        EACH_LANE(d[l] = choose(a[l], b[l]));                                                                \
    }
EXTREME64(min64, lesser64)
EXTREME64(max64, greater64)

/* Signs change whatever the value is. */
#define SIGN(name, T, operation, ftz)                                                                        \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) {                                 \
        T *d = OP(0);                                                                                        \
        const T *a = OP(1);                                                                                  \
        bool small = ftz && (in->flags & F_FTZ);                                                             \
        EACH_LANE(T v = a[l]; if (small && !(v << 1 >> 24)) v &= (T)1 << (sizeof(T) * 8 - 1);                \
                  d[l] = operation);                                                                         \
    }
SIGN(neg32, uint32_t, v ^ UINT32_C(0x80000000), true)
SIGN(abs32, uint32_t, v &UINT32_C(0x7fffffff), true)
SIGN(neg64, uint64_t, v ^ UINT64_C(1) << 63, false)
SIGN(abs64, uint64_t, v & ~(UINT64_C(1) << 63), false)

/* testp.class: is a finite, infinite, a number, ... */
static bool class_of(const char *name, double a, bool normal) {
    if (!strcmp(name, "finite")) return isfinite(a);
    if (!strcmp(name, "infinite")) return isinf(a);
    if (!strcmp(name, "number")) return !isnan(a);
    if (!strcmp(name, "notanumber")) return isnan(a);
    if (!strcmp(name, "normal")) return isfinite(a) && a != 0 && normal;
    return a != 0 && isfinite(a) && !normal;
}
#define TESTP(word)                                                                                          \
    static void testp_##word(struct warp *w, const struct insn *in, uint32_t mask) {                         \
        uint32_t set = 0;                                                                                    \
        for (uint32_t l = 0; l < LANES; l++) {                                                               \
            bool wide = in->ops[1].size == 8;                                                                \
            double a = wide ? ((const double *)OP(1))[l] : (double)((const float *)OP(1))[l];                \
            set |= (uint32_t)class_of(#word, a, fabs(a) >= (wide ? 0x1p-1022 : 0x1p-126)) << l;              \
        }                                                                                                    \
        set_predicate(w, &in->ops[0], mask, set);                                                            \
    }
TESTP(finite)
TESTP(infinite)
TESTP(number)
TESTP(notanumber)
TESTP(normal)
TESTP(subnormal)

/* Two f32 in a 64-bit register. */
#define PAIRS(name)                                                                                          \
    static void name##_pairs(struct warp *w, const struct insn *in, uint32_t mask) {                         \
        scalar32 *volatile one = name##32_one;                                                               \
        scalar32 *run = one;                                                                                 \
        float *d = OP(0);                                                                                    \
        const float *a = OP(1), *b = OP(2), *c = OP(in->sources > 2 ? 3 : 1);                                \
        round_by(in->round);                                                                                 \
        for (uint32_t l = 0; l < 2 * LANES; l++)                                                             \
            if (mask >> l / 2 & 1) {                                                                         \
                bool ftz = in->flags & F_FTZ;                                                                \
                float r = ftz ? run(flush(a[l]), flush(b[l]), flush(c[l])) : run(a[l], b[l], c[l]);          \
                d[l] = ftz ? flush(r) : r;                                                                   \
            }                                                                                                \
        round_by(R_RN);                                                                                      \
    }
PAIRS(add)
PAIRS(sub)
PAIRS(mul)
PAIRS(fma)

/* Operands of 16 bits among those of f32. */
static void mixed(struct warp *w, const struct insn *in, uint32_t mask, scalar32 *volatile one) {
    scalar32 *run = one;
    float *d = OP(0);
    round_by(in->round);
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        float v[3] = {0};
        for (uint32_t i = 0; i < in->sources; i++)
            v[i] = (float)ptx_float_at(w, &in->ops[1 + i],
                                       in->ops[1 + i].size == 2 ? (enum ptx_type)in->from : T_F32, l);
        float r = run(v[0], v[1], v[2]);
        if (in->flags & F_SAT) r = saturate(r);
        d[l] = isnan(r) ? bits_float(0x7fffffff) : r;
    }
    round_by(R_RN);
}
#define MIXED(name)                                                                                          \
    static void name##_mixed(struct warp *w, const struct insn *in, uint32_t mask) {                         \
        mixed(w, in, mask, name##32_one);                                                                    \
    }
MIXED(add)
MIXED(sub)
MIXED(fma)
#define MIXES(base, name, shape)                                                                             \
    {base, "f32.f16", T_F32, name##_mixed, shape}, { base, "f32.bf16", T_F32, name##_mixed, shape }

#define BOTH(base, name, shape)                                                                              \
    {base, NULL, T_F32, name##32, shape}, { base, NULL, T_F64, name##64, shape }
#define TESTS(word)                                                                                          \
    {"testp", #word, T_F32, testp_##word, "p=t"}, { "testp", #word, T_F64, testp_##word, "p=t" }
static const struct op_row rows[] = {
    MIXES("add", add, "t=ft"),
    MIXES("sub", sub, "t=ft"),
    MIXES("fma", fma, "t=fft"),
    BOTH("add", add, "t=tt"),
    BOTH("sub", sub, "t=tt"),
    BOTH("mul", mul, "t=tt"),
    BOTH("fma", fma, "t=ttt"),
    BOTH("mad", fma, "t=ttt"),
    BOTH("div", div, "t=tt"),
    BOTH("rcp", rcp, "t=t"),
    BOTH("sqrt", sqrt, "t=t"),
    BOTH("rsqrt", rsqrt, "t=t"),
    BOTH("copysign", copysign, "t=tt"),
    BOTH("neg", neg, "t=t"),
    BOTH("abs", abs, "t=t"),
    {"ex2", NULL, T_F32, ex232, "t=t"},
    {"lg2", NULL, T_F32, lg232, "t=t"},
    {"sin", NULL, T_F32, sin32, "t=t"},
    {"cos", NULL, T_F32, cos32, "t=t"},
    {"tanh", NULL, T_F32, tanh32, "t=t"},
    {"min", NULL, T_F32, min32, "t=tt?t"},
    {"max", NULL, T_F32, max32, "t=tt?t"},
    {"min", NULL, T_F64, min64, "t=tt"},
    {"max", NULL, T_F64, max64, "t=tt"},
    {"add", NULL, T_F32X2, add_pairs, "t=tt"},
    {"sub", NULL, T_F32X2, sub_pairs, "t=tt"},
    {"mul", NULL, T_F32X2, mul_pairs, "t=tt"},
    {"fma", NULL, T_F32X2, fma_pairs, "t=ttt"},
    TESTS(finite),
    TESTS(infinite),
    TESTS(number),
    TESTS(notanumber),
    TESTS(normal),
    TESTS(subnormal),
};
OP_TABLE(ptx_float_ops, rows);
