/* Arithmetic of PTX, an instruction a row: run on values at the borders and at random, and compared with C.
 */
#include "tests/gpu/ptx_check.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t meaning(uint64_t a, uint64_t b, uint64_t c);
struct row {
    const char *code; /* of a, b, c: %a2 %a4 %a8 ..., to %d2, %d4 or %d8 */
    int bytes;        /* of the result */
    meaning *expected;
    enum kind {
        ANY,
        SINGLE,
        DOUBLE,
        HALF,
        BFLOAT,
        SMALL,
        HALF_PAIR,
        BFLOAT_PAIR,
        SINGLE_PAIR
    } kind;           /* what the operands are */
    double tolerance; /* relative, of a floating result; 0: to the bit */
};

#define U32(x) ((uint32_t)(x))
#define S32(x) ((int32_t)(x))
#define S64(x) ((int64_t)(x))
#define U16(x) ((uint16_t)(x))
#define S16(x) ((int16_t)(x))
#define IS(name, expression)                                                                                 \
    static uint64_t name(uint64_t a, uint64_t b, uint64_t c) {                                               \
        (void)a, (void)b, (void)c;                                                                           \
        return (uint64_t)(expression);                                                                       \
    }
static float f(uint64_t bits) {
    uint32_t u = (uint32_t)bits;
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}
static double d(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
static uint64_t of_f(float v) {
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return isnan(v) ? 0x7fffffff : u;
}
static uint64_t of_d(double v) {
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

/* Integers. */
IS(add32, a + b)
IS(sub64, a - b)
IS(mul_lo16, (uint32_t)U16(a) * U16(b))
IS(mul_hi_s32, (S64(S32(a)) * S32(b)) >> 32)
IS(mul_hi_u32, ((uint64_t)U32(a) * U32(b)) >> 32)
__extension__ typedef unsigned __int128 wide;
IS(mul_hi_u64, ((wide)a * b) >> 64)
IS(mul_wide_s32, S64(S32(a)) * S32(b))
IS(mul_wide_u16, U32(U16(a)) * U16(b))
IS(mad_lo32, U32(a) * U32(b) + U32(c))
IS(mad_wide_u32, (uint64_t)U32(a) * U32(b) + c)
IS(mad_lo64, a *b + c)
IS(div_s32, U32(b) ? (S32(b) == -1 ? 0 - U32(a) : U32(S32(a) / S32(b))) : UINT32_MAX)
IS(rem_u64, b ? a % b : a)
IS(min_s32, S32(a) < S32(b) ? a : b)
IS(max_u64, a > b ? a : b)
IS(min_s16, S16(a) < S16(b) ? a : b)
IS(abs_s32, S32(a) < 0 ? 0 - a : a)
IS(neg_s64, 0 - a)
IS(and32, a &b)
IS(xor64, a ^ b)
IS(not16, ~a)
IS(shl32, U32(b) > 31 ? 0 : U32(a) << U32(b))
IS(shr_s32, S32(a) >> (U32(b) > 31 ? 31 : U32(b)))
IS(shr_u64, U32(b) > 63 ? 0 : a >> U32(b))
IS(shf_l_wrap, (((uint64_t)U32(b) << 32 | U32(a)) << (c & 31)) >> 32)
IS(shf_r_clamp, U32(c) > 31 ? b : ((uint64_t)U32(b) << 32 | U32(a)) >> U32(c))
IS(popc64, __builtin_popcountll(a))
IS(clz32, U32(a) ? __builtin_clz(U32(a)) : 32)
static uint64_t brev32(uint64_t a, uint64_t b, uint64_t c) {
    uint32_t v = U32(a);
    (void)b, (void)c;
    v = v >> 16 | v << 16;
    v = (v & 0xff00ff00) >> 8 | (v & 0x00ff00ff) << 8;
    v = (v & 0xf0f0f0f0) >> 4 | (v & 0x0f0f0f0f) << 4;
    v = (v & 0xcccccccc) >> 2 | (v & 0x33333333) << 2;
    return (v & 0xaaaaaaaa) >> 1 | (v & 0x55555555) << 1;
}
IS(bfe_u32, U32(a) << 12 >> 20)
IS(bfe_s32, S32(U32(a) << 12) >> 20)
IS(bfi32, (U32(b) & 0xfff00fff) | (U32(a) & 0xff) << 12)
IS(prmt,
   (U32(a) >> 8 & 255) | (U32(b) & 255) << 8 | (U32(a) >> 24) << 16 | (U32(b) & 0x80000000 ? 0xff000000u : 0))
IS(lop3, (U32(a) & U32(b)) ^ U32(c))
static uint64_t dp4a(uint64_t a, uint64_t b, uint64_t c) {
    for (int i = 0; i < 32; i += 8) c += (uint64_t)((int8_t)(a >> i) * (int8_t)(b >> i));
    return c;
}
static uint64_t dp4a_us(uint64_t a, uint64_t b, uint64_t c) {
    for (int i = 0; i < 32; i += 8) c += (uint64_t)((uint8_t)(a >> i) * (int8_t)(b >> i));
    return c;
}
IS(dp2a, c + (uint64_t)(S16(a) * (int8_t)(b >> 16) + S16(a >> 16) * (int8_t)(b >> 24)))
IS(add64_by_carry, a + b)
IS(sub64_by_carry, a - b)
IS(carry_of_sum, c + c + (a + b < a))
IS(sad, (S32(a) > S32(b) ? U32(a) - U32(b) : U32(b) - U32(a)) + U32(c))
IS(bfind, U32(a) ? 31 - U32(__builtin_clz(U32(a))) : UINT32_MAX)
static uint64_t min_u16x2(uint64_t a, uint64_t b, uint64_t c) {
    uint32_t low = U16(a) < U16(b) ? U16(a) : U16(b),
             high = U16(a >> 16) < U16(b >> 16) ? U16(a >> 16) : U16(b >> 16);
    (void)c;
    return low | high << 16;
}
IS(sat_add, S64(S32(a)) + S32(b) > INT32_MAX   ? INT32_MAX
            : S64(S32(a)) + S32(b) < INT32_MIN ? INT32_MIN
                                               : S64(S32(a)) + S32(b))

/* Choices. */
IS(select_lt, S32(a) < S32(b) ? a : b)
IS(select_unsigned, U32(a) >= U32(b) ? a : b)
IS(setp_and, U32(a) == U32(b) || S32(c) <= 0 ? a : b)
IS(setp_both, (S64(a) > S64(b) ? 1 : 0) | (S64(a) > S64(b) ? 0 : 2))
IS(set_u32, f(a) < f(b) ? UINT32_MAX : 0)
IS(slct, S32(c) >= 0 ? a : b)
IS(setp_ltu, !(f(a) >= f(b)))
IS(setp_ne, f(a) < f(b) || f(a) > f(b))
IS(setp_num, !isnan(f(a)) && !isnan(f(b)))

/* Floats. */
static float flushed(float v) { return fabsf(v) < 0x1p-126f ? copysignf(0, v) : v; }
IS(single_fadd, of_f(f(a) + f(b)))
IS(fadd_ftz, of_f(flushed(flushed(f(a)) + flushed(f(b)))))
IS(fmul_sat, of_f(f(a) * f(b) > 0 ? fminf(f(a) * f(b), 1) : 0))
IS(single_ffma, of_f(fmaf(f(a), f(b), f(c))))
IS(single_fdiv, of_f(f(a) / f(b)))
IS(single_fsqrt, of_f(sqrtf(f(a))))
IS(frcp, of_f(1 / f(a)))
IS(frsqrt, of_f((float)(1 / sqrt((double)f(a)))))
IS(fex2, of_f((float)exp2((double)f(a))))
IS(flg2, of_f((float)log2((double)f(a))))
IS(fsin, of_f((float)sin((double)f(a))))
IS(fcos, of_f((float)cos((double)f(a))))
IS(ftanh, of_f((float)tanh((double)f(a))))
IS(fmin_, of_f(fminf(f(a), f(b))))
IS(fmax_nan, of_f(isnan(f(a)) || isnan(f(b)) ? NAN : fmaxf(f(a), f(b))))
IS(fneg, U32(a) ^ 0x80000000)
IS(fabs_, U32(a) & 0x7fffffff)
IS(fcopysign, (U32(a) & 0x80000000) | (U32(b) & 0x7fffffff))
IS(dadd, of_d(d(a) + d(b)))
IS(dfma, of_d(fma(d(a), d(b), d(c))))
IS(ddiv, of_d(d(a) / d(b)))
IS(dsub, of_d(d(a) - d(b)))
IS(dmul, of_d(d(a) * d(b)))
IS(drcp, of_d(1 / d(a)))
IS(dneg, a ^ UINT64_C(1) << 63)
IS(dabs, a << 1 >> 1)
IS(dcopysign, (a >> 63 << 63) | b << 1 >> 1)
IS(dselect, d(a) < d(b) ? c : a)
IS(dselect_unordered, !(d(a) >= d(b)) ? c : a)
IS(pair_fma, of_f(fmaf(f(a), f(b), f(c))) | of_f(fmaf(f(a >> 32), f(b >> 32), f(c >> 32))) << 32)
/* Sums of two small numbers are exact in double; a directed rounding is the neighbour on that side. */
static uint64_t add_rz(uint64_t a, uint64_t b, uint64_t c) {
    double exact = (double)f(a) + (double)f(b);
    float near = (float)exact;
    (void)c;
    if (fabs((double)near) > fabs(exact)) near = nextafterf(near, 0);
    return of_f(near);
}
static uint64_t add_rp(uint64_t a, uint64_t b, uint64_t c) {
    double exact = (double)f(a) + (double)f(b);
    float near = (float)exact;
    (void)c;
    return of_f((double)near < exact ? nextafterf(near, INFINITY) : near);
}

/* Halves: the compiler's own f16; bf16 rounded by hand. */
static float h(uint64_t bits) {
    uint16_t u = U16(bits);
    __extension__ _Float16 v;
    memcpy(&v, &u, sizeof v);
    return (float)v;
}
static uint64_t of_h(double v) {
    __extension__ _Float16 r = (_Float16)v;
    uint16_t u;
    memcpy(&u, &r, sizeof u);
    return isnan(v) ? 0x7fff : u;
}
static float bf(uint64_t bits) { return f((uint64_t)U16(bits) << 16); }
static uint64_t of_bf(float v) {
    uint32_t u = U32(of_f(v)), low = u & 0xffff, high = u >> 16;
    if (isnan(v)) return 0x7fff;
    return low > 0x8000 || (low == 0x8000 && (high & 1)) ? high + 1 : high;
}
IS(hadd, of_h((double)h(a) + (double)h(b)))
IS(hmul, of_h((double)h(a) * (double)h(b)))
IS(hmax, of_h((double)fmaxf(h(a), h(b))))
IS(hneg, U16(a) ^ 0x8000)
IS(mixed_fma, of_f(fmaf(bf(a), bf(b), f(c))))
IS(setp_halves, (h(a) < h(b) ? 1 : 0) | (h(a >> 16) < h(b >> 16) ? 2 : 0))
IS(setp_half, bf(a) >= bf(b))
IS(hadd2, of_h((double)h(a) + (double)h(b)) | of_h((double)h(a >> 16) + (double)h(b >> 16)) << 16)
IS(bmul2, of_bf(bf(a) * bf(b)) | of_bf(bf(a >> 16) * bf(b >> 16)) << 16)
IS(badd, of_bf(bf(a) + bf(b)))
IS(bfma_relu, of_bf(fmaf(bf(a), bf(b), bf(c)) < 0 ? 0 : fmaf(bf(a), bf(b), bf(c))))

/* Conversions. */
IS(cvt_s64_s32, S64(S32(a)))
IS(cvt_s32_s8, S32((int8_t)a))
IS(cvt_u32_u8, (uint8_t)a)
IS(cvt_sat_s8, S32(a) > 127 ? 127 : S32(a) < -128 ? -128 : S32(a))
IS(cvt_sat_u8, S32(a) > 255 ? 255 : S32(a) < 0 ? 0 : S32(a))
IS(cvt_f32_s32, of_f((float)S32(a)))
IS(cvt_f32_u64, of_f((float)a))
IS(cvt_f64_s64, of_d((double)S64(a)))
IS(cvt_f64_f32, of_d((double)f(a)))
IS(cvt_f32_f64, of_f((float)d(a)))
static uint64_t to_s32(double v) {
    return isnan(v) ? 0 : v >= 0x1p31 ? INT32_MAX : v <= -0x1p31 ? U32(INT32_MIN) : U32(S32(v));
}
IS(cvt_rzi, to_s32(trunc((double)f(a))))
IS(cvt_rni, to_s32(nearbyint((double)f(a))))
IS(cvt_rmi, to_s32(floor((double)f(a))))
IS(cvt_rpi_f32, of_f(ceilf(f(a))))
IS(cvt_u32_f32, f(a) >= 0x1p32f ? UINT32_MAX : f(a) > 0 ? U32(f(a)) : 0)
IS(cvt_bf16, of_bf(f(a)))
IS(cvt_f16, of_h((double)f(a)))
IS(cvt_bf16_rz, isnan(f(a)) ? 0x7fff : U32(a) >> 16)
IS(cvt_bf16x2, of_bf(f(a)) << 16 | of_bf(f(b)))
IS(cvt_f16x2, of_h((double)f(a)) << 16 | of_h((double)f(b)))
IS(cvt_f32_f16, of_f(h(a)))
IS(cvt_f32_bf16, of_f(bf(a)))
IS(cvt_tf32, isnan(f(a)) ? 0x7fffe000 : (U32(a) + 0x1000) & 0xffffe000)
static uint64_t e4m3(float v) { /* nearest of all that there are, even ones first */
    float best = INFINITY;
    uint32_t found = 0;
    for (uint32_t i = 0; i < 127; i++) {
        float x = i >> 3 ? ldexpf((float)(8 + (i & 7)), (int)(i >> 3) - 10) : ldexpf((float)(i & 7), -9);
        float error = fabsf(fabsf(v) - x);
        if (error < best || (error == best && !(i & 1))) {
            best = error;
            found = i;
        }
    }
    return isnan(v) ? 0x7f : found | (signbit(v) ? 0x80 : 0);
}
IS(cvt_e4m3x2, e4m3(f(a)) << 8 | e4m3(f(b)))
IS(moved, a)
IS(swapped, a >> 32 | a << 32)
IS(middle, U16(a >> 16) | (uint64_t)U16(a) << 16)

static const struct row rows[] = {
    {"add.s32 %d4, %a4, %b4;", 4, add32, 0, 0},
    {"sub.s64 %d8, %a8, %b8;", 8, sub64, 0, 0},
    {"mul.lo.s16 %d2, %a2, %b2;", 2, mul_lo16, 0, 0},
    {"mul.hi.s32 %d4, %a4, %b4;", 4, mul_hi_s32, 0, 0},
    {"mul.hi.u32 %d4, %a4, %b4;", 4, mul_hi_u32, 0, 0},
    {"mul.hi.u64 %d8, %a8, %b8;", 8, mul_hi_u64, 0, 0},
    {"mul.wide.s32 %d8, %a4, %b4;", 8, mul_wide_s32, 0, 0},
    {"mul.wide.u16 %d4, %a2, %b2;", 4, mul_wide_u16, 0, 0},
    {"mad.lo.s32 %d4, %a4, %b4, %c4;", 4, mad_lo32, 0, 0},
    {"mad.wide.u32 %d8, %a4, %b4, %c8;", 8, mad_wide_u32, 0, 0},
    {"mad.lo.s64 %d8, %a8, %b8, %c8;", 8, mad_lo64, 0, 0},
    {"setp.eq.s32 %p1, %b4, 0; mov.u32 %d4, -1; @%p1 bra DONE; div.s32 %d4, %a4, %b4; DONE:", 4, div_s32, 0,
     0},
    {"setp.eq.s64 %p1, %b8, 0; mov.u64 %d8, %a8; @!%p1 rem.u64 %d8, %a8, %b8;", 8, rem_u64, 0, 0},
    {"min.s32 %d4, %a4, %b4;", 4, min_s32, 0, 0},
    {"max.u64 %d8, %a8, %b8;", 8, max_u64, 0, 0},
    {"min.s16 %d2, %a2, %b2;", 2, min_s16, 0, 0},
    {"abs.s32 %d4, %a4;", 4, abs_s32, 0, 0},
    {"neg.s64 %d8, %a8;", 8, neg_s64, 0, 0},
    {"and.b32 %d4, %a4, %b4;", 4, and32, 0, 0},
    {"xor.b64 %d8, %a8, %b8;", 8, xor64, 0, 0},
    {"not.b16 %d2, %a2;", 2, not16, 0, 0},
    {"shl.b32 %d4, %a4, %b4;", 4, shl32, SMALL, 0},
    {"shr.s32 %d4, %a4, %b4;", 4, shr_s32, SMALL, 0},
    {"shr.u64 %d8, %a8, %b4;", 8, shr_u64, SMALL, 0},
    {"shf.l.wrap.b32 %d4, %a4, %b4, %c4;", 4, shf_l_wrap, SMALL, 0},
    {"shf.r.clamp.b32 %d4, %a4, %b4, %c4;", 4, shf_r_clamp, SMALL, 0},
    {"popc.b64 %d4, %a8;", 4, popc64, 0, 0},
    {"clz.b32 %d4, %a4;", 4, clz32, 0, 0},
    {"brev.b32 %d4, %a4;", 4, brev32, 0, 0},
    {"bfind.u32 %d4, %a4;", 4, bfind, 0, 0},
    {"bfe.u32 %d4, %a4, 8, 12;", 4, bfe_u32, 0, 0},
    {"bfe.s32 %d4, %a4, 8, 12;", 4, bfe_s32, 0, 0},
    {"bfi.b32 %d4, %a4, %b4, 12, 8;", 4, bfi32, 0, 0},
    {"prmt.b32 %d4, %a4, %b4, 0xf341;", 4, prmt, 0, 0},
    {"lop3.b32 %d4, %a4, %b4, %c4, 0x6a;", 4, lop3, 0, 0},
    {"dp4a.s32.s32 %d4, %a4, %b4, %c4;", 4, dp4a, 0, 0},
    {"dp4a.u32.s32 %d4, %a4, %b4, %c4;", 4, dp4a_us, 0, 0},
    {"dp2a.hi.s32.s32 %d4, %a4, %b4, %c4;", 4, dp2a, 0, 0},
    {"sad.s32 %d4, %a4, %b4, %c4;", 4, sad, 0, 0},
    {"min.u16x2 %d4, %a4, %b4;", 4, min_u16x2, 0, 0},
    {"add.sat.s32 %d4, %a4, %b4;", 4, sat_add, 0, 0},
    {"mov.b64 {%r1, %r2}, %a8; mov.b64 {%r3, %r4}, %b8; add.cc.u32 %r5, %r1, %r3; addc.u32 %r6, %r2, %r4; "
     "mov.b64 %d8, {%r5, %r6};",
     8, add64_by_carry, 0, 0},
    {"mov.b64 {%r1, %r2}, %a8; mov.b64 {%r3, %r4}, %b8; sub.cc.u32 %r5, %r1, %r3; subc.u32 %r6, %r2, %r4; "
     "mov.b64 %d8, {%r5, %r6};",
     8, sub64_by_carry, 0, 0},
    {"add.cc.s64 %d8, %a8, %b8; addc.cc.s64 %d8, %c8, %c8;", 8, carry_of_sum, 0, 0},

    {"setp.lt.s32 %p1, %a4, %b4; selp.b32 %d4, %a4, %b4, %p1;", 4, select_lt, SMALL, 0},
    {"setp.hs.u32 %p1, %a4, %b4; selp.b32 %d4, %a4, %b4, %p1;", 4, select_unsigned, SMALL, 0},
    {"setp.gt.s32 %p2, %c4, 0; setp.eq.or.s32 %p1, %a4, %b4, !%p2; selp.b32 %d4, %a4, %b4, %p1;", 4, setp_and,
     SMALL, 0},
    {"setp.gt.s64 %p1|%p2, %a8, %b8; selp.b32 %r1, 1, 0, %p1; selp.b32 %r2, 2, 0, %p2; or.b32 %d4, %r1, %r2;",
     4, setp_both, 0, 0},
    {"set.lt.u32.f32 %d4, %a4, %b4;", 4, set_u32, SINGLE, 0},
    {"slct.b32.s32 %d4, %a4, %b4, %c4;", 4, slct, 0, 0},
    {"setp.ltu.f32 %p1, %a4, %b4; selp.b32 %d4, 1, 0, %p1;", 4, setp_ltu, SINGLE, 0},
    {"setp.ne.f32 %p1, %a4, %b4; selp.b32 %d4, 1, 0, %p1;", 4, setp_ne, SINGLE, 0},
    {"setp.num.f32 %p1, %a4, %b4; selp.b32 %d4, 1, 0, %p1;", 4, setp_num, SINGLE, 0},

    {"add.f32 %d4, %a4, %b4;", 4, single_fadd, SINGLE, 0},
    {"add.ftz.f32 %d4, %a4, %b4;", 4, fadd_ftz, SINGLE, 0},
    {"add.rz.f32 %d4, %a4, %b4;", 4, add_rz, SMALL, 0},
    {"add.rp.f32 %d4, %a4, %b4;", 4, add_rp, SMALL, 0},
    {"mul.sat.f32 %d4, %a4, %b4;", 4, fmul_sat, SINGLE, 0},
    {"fma.rn.f32 %d4, %a4, %b4, %c4;", 4, single_ffma, SINGLE, 0},
    {"div.rn.f32 %d4, %a4, %b4;", 4, single_fdiv, SINGLE, 0},
    {"sqrt.rn.f32 %d4, %a4;", 4, single_fsqrt, SINGLE, 0},
    {"rcp.approx.f32 %d4, %a4;", 4, frcp, SINGLE, 1e-6},
    {"rsqrt.approx.f32 %d4, %a4;", 4, frsqrt, SINGLE, 1e-6},
    {"ex2.approx.f32 %d4, %a4;", 4, fex2, SINGLE, 1e-6},
    {"lg2.approx.f32 %d4, %a4;", 4, flg2, SINGLE, 1e-6},
    {"sin.approx.f32 %d4, %a4;", 4, fsin, SMALL, 1e-5},
    {"cos.approx.f32 %d4, %a4;", 4, fcos, SMALL, 1e-5},
    {"tanh.approx.f32 %d4, %a4;", 4, ftanh, SINGLE, 1e-5},
    {"min.f32 %d4, %a4, %b4;", 4, fmin_, SINGLE, 0},
    {"max.NaN.f32 %d4, %a4, %b4;", 4, fmax_nan, SINGLE, 0},
    {"neg.f32 %d4, %a4;", 4, fneg, SINGLE, 0},
    {"abs.f32 %d4, %a4;", 4, fabs_, SINGLE, 0},
    {"copysign.f32 %d4, %a4, %b4;", 4, fcopysign, SINGLE, 0},
    {"add.f64 %d8, %a8, %b8;", 8, dadd, DOUBLE, 0},
    {"fma.rn.f64 %d8, %a8, %b8, %c8;", 8, dfma, DOUBLE, 0},
    {"div.rn.f64 %d8, %a8, %b8;", 8, ddiv, DOUBLE, 0},
    {"sub.rn.f64 %d8, %a8, %b8;", 8, dsub, DOUBLE, 0},
    {"mul.rn.f64 %d8, %a8, %b8;", 8, dmul, DOUBLE, 0},
    {"rcp.rn.f64 %d8, %a8;", 8, drcp, DOUBLE, 0},
    {"neg.f64 %d8, %a8;", 8, dneg, DOUBLE, 0},
    {"abs.f64 %d8, %a8;", 8, dabs, DOUBLE, 0},
    {"copysign.f64 %d8, %a8, %b8;", 8, dcopysign, DOUBLE, 0},
    {"setp.lt.f64 %p1, %a8, %b8; selp.f64 %d8, %c8, %a8, %p1;", 8, dselect, DOUBLE, 0},
    {"setp.ltu.f64 %p1, %a8, %b8; selp.f64 %d8, %c8, %a8, %p1;", 8, dselect_unordered, DOUBLE, 0},
    {"fma.rn.f32x2 %d8, %a8, %b8, %c8;", 8, pair_fma, SINGLE_PAIR, 0},
    {"add.f16 %d2, %a2, %b2;", 2, hadd, HALF, 0},
    {"mul.f16 %d2, %a2, %b2;", 2, hmul, HALF, 0},
    {"max.f16 %d2, %a2, %b2;", 2, hmax, HALF, 0},
    {"neg.f16 %d2, %a2;", 2, hneg, HALF, 0},
    {"fma.rn.f32.bf16 %d4, %a2, %b2, %c4;", 4, mixed_fma, SINGLE, 0},
    {"setp.lt.f16x2 %p1|%p2, %a4, %b4; selp.b32 %r1, 1, 0, %p1; selp.b32 %r2, 2, 0, %p2; or.b32 %d4, %r1, "
     "%r2;",
     4, setp_halves, HALF_PAIR, 0},
    {"setp.ge.bf16 %p1, %a2, %b2; selp.b32 %d4, 1, 0, %p1;", 4, setp_half, BFLOAT, 0},
    {"add.f16x2 %d4, %a4, %b4;", 4, hadd2, HALF_PAIR, 0},
    {"add.bf16 %d2, %a2, %b2;", 2, badd, BFLOAT, 0},
    {"mul.bf16x2 %d4, %a4, %b4;", 4, bmul2, BFLOAT_PAIR, 0},
    {"fma.rn.relu.bf16 %d2, %a2, %b2, %c2;", 2, bfma_relu, BFLOAT, 0},

    {"cvt.s64.s32 %d8, %a4;", 8, cvt_s64_s32, 0, 0},
    {"cvt.s32.s8 %d4, %a4;", 4, cvt_s32_s8, 0, 0},
    {"cvt.u32.u8 %d4, %a2;", 4, cvt_u32_u8, 0, 0},
    {"cvt.sat.s8.s32 %d4, %a4;", 4, cvt_sat_s8, SMALL, 0},
    {"cvt.sat.u8.s32 %d4, %a4;", 4, cvt_sat_u8, SMALL, 0},
    {"cvt.rn.f32.s32 %d4, %a4;", 4, cvt_f32_s32, 0, 0},
    {"cvt.rn.f32.u64 %d4, %a8;", 4, cvt_f32_u64, 0, 0},
    {"cvt.rn.f64.s64 %d8, %a8;", 8, cvt_f64_s64, 0, 0},
    {"cvt.f64.f32 %d8, %a4;", 8, cvt_f64_f32, SMALL, 0},
    {"cvt.rn.f32.f64 %d4, %a8;", 4, cvt_f32_f64, DOUBLE, 0},
    {"cvt.rzi.s32.f32 %d4, %a4;", 4, cvt_rzi, SINGLE, 0},
    {"cvt.rni.s32.f32 %d4, %a4;", 4, cvt_rni, SINGLE, 0},
    {"cvt.rmi.s32.f32 %d4, %a4;", 4, cvt_rmi, SINGLE, 0},
    {"cvt.rpi.f32.f32 %d4, %a4;", 4, cvt_rpi_f32, SINGLE, 0},
    {"cvt.rzi.u32.f32 %d4, %a4;", 4, cvt_u32_f32, SINGLE, 0},
    {"cvt.rn.bf16.f32 %d2, %a4;", 2, cvt_bf16, SINGLE, 0},
    {"cvt.rn.f16.f32 %d2, %a4;", 2, cvt_f16, SINGLE, 0},
    {"cvt.rz.bf16.f32 %d2, %a4;", 2, cvt_bf16_rz, SINGLE, 0},
    {"cvt.rn.bf16x2.f32 %d4, %a4, %b4;", 4, cvt_bf16x2, SINGLE, 0},
    {"cvt.rn.f16x2.f32 %d4, %a4, %b4;", 4, cvt_f16x2, SINGLE, 0},
    {"cvt.f32.f16 %d4, %a2;", 4, cvt_f32_f16, HALF, 0},
    {"cvt.f32.bf16 %d4, %a2;", 4, cvt_f32_bf16, BFLOAT, 0},
    {"cvt.rna.tf32.f32 %d4, %a4;", 4, cvt_tf32, SMALL, 0},
    {"cvt.rn.satfinite.e4m3x2.f32 %d2, %a4, %b4;", 2, cvt_e4m3x2, SINGLE, 0},
    {"mov.b64 {%r1, %r2}, %a8; mov.b64 %d8, {%r2, %r1};", 8, swapped, 0, 0},
    {"mov.b64 {%rs1, %rs2, _, _}, %a8; mov.b32 %d4, {%rs2, %rs1};", 4, middle, 0, 0},
    {"{ .reg .b64 %a9; mov.u64 %a9, %a8; mov.u64 %d8, %a9; }", 8, moved, 0, 0},
};

enum { VALUES = 256 };
static uint64_t value(enum kind kind, int i) {
    static const uint32_t singles[] = {0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000,
                                       0xff800000, 0x7fc00000, 1,          0x80000001, 0x7f7fffff,
                                       0x00800000, 0x4effffff, 0x4f000000, 0xcf000000, 0x3f000000,
                                       0x3fc00000, 0x477fefff, 0x477ff000};
    static const double doubles[] = {0,         -0.0, 1,         -1,         INFINITY,
                                     -INFINITY, NAN,  0x1p-1074, -0x1p-1074, 0x1.fffffffffffffp1023};
    enum { DOUBLES = sizeof doubles / sizeof *doubles };
    uint64_t r = check_random();
    switch (kind) {
    case SINGLE:
    case SMALL:
        if (kind == SMALL && i % 2) return of_f((float)(int)(r % 20001) / 1024 - 10); /* as floats: near 1 */
        if (kind == SMALL) return r % 80 - (i % 4 ? 0 : 40);
        return i < 18 ? singles[i] : i % 3 ? of_f(((float)(r % 2000003) - 1000001) / 997) : r & 0xffffffff;
    case DOUBLE:
        if (i < DOUBLES) return of_d(doubles[i]);
        return i % 3 ? of_d(((double)(r % 2000003) - 1000001) / 997)
                     : (r & ~(UINT64_C(0x7ff) << 52)) | ((r >> 52 & 0x7ff) % 0x7ff) << 52;
    default:
        return i < 16 ? (uint64_t)(i - 8) : i < 32 ? UINT64_C(1) << (i * 2) : r;
    }
}

static bool is_nan(const struct row *row, uint64_t bits) {
    const char *c = row->code;
    bool bfloat = row->kind == BFLOAT || row->kind == BFLOAT_PAIR || strstr(c, "bf16.f32");
    return row->bytes == 8   ? isnan(d(bits))
           : row->bytes == 4 ? isnan(f(bits))
                             : isnan(bfloat ? bf(bits) : h(bits));
}
static bool agree(const struct row *row, uint64_t got, uint64_t expected) {
    uint64_t keep = row->bytes == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * row->bytes) - 1;
    got &= keep;
    expected &= keep;
    if (got == expected) return true;
    if (row->kind == SINGLE_PAIR) {
        struct row half = *row;
        half.bytes = 4;
        half.kind = SINGLE;
        return agree(&half, got, expected) && agree(&half, got >> 32, expected >> 32);
    }
    if (row->kind >= HALF_PAIR) { /* two halves, either of which may be no number */
        struct row half = *row;
        half.bytes = 2;
        half.kind = row->kind == HALF_PAIR ? HALF : BFLOAT;
        return agree(&half, got, expected) && agree(&half, got >> 16, expected >> 16);
    }
    if (row->kind && is_nan(row, got) && is_nan(row, expected)) return true;
    return row->tolerance > 0 && fabs((double)f(got) - (double)f(expected)) <=
                                     row->tolerance * fmax(fabs((double)f(expected)), 1e-30);
}

static void check_row(const struct row *row) {
    uint64_t in[VALUES][3], out[VALUES];
    char body[2048];
    for (int i = 0; i < VALUES; i++)
        for (int k = 0; k < 3; k++)
            in[i][k] = value(row->kind, k == 1 ? i * 7 % VALUES : k ? i * 13 % VALUES : i);
    snprintf(body, sizeof body,
             ".reg .b16 %%a2, %%b2, %%c2, %%d2; .reg .b32 %%a4, %%b4, %%c4, %%d4; .reg .b64 %%a8, %%b8, "
             "%%c8, %%d8;\n"
             "mad.wide.u32 %%rd1, %%thread, 24, %%in; mad.wide.u32 %%rd2, %%thread, 8, %%out;\n"
             "ld.global.b64 %%a8, [%%rd1]; ld.global.b64 %%b8, [%%rd1+8]; ld.global.b64 %%c8, [%%rd1+16];\n"
             "cvt.u32.u64 %%a4, %%a8; cvt.u32.u64 %%b4, %%b8; cvt.u32.u64 %%c4, %%c8;\n"
             "cvt.u16.u64 %%a2, %%a8; cvt.u16.u64 %%b2, %%b8; cvt.u16.u64 %%c2, %%c8;\n"
             "%s\nst.global.b%d [%%rd2], %%d%d;",
             row->code, 8 * row->bytes, row->bytes);
    check_good(&(struct check_run){.body = body,
                                   .threads = VALUES,
                                   .in = in,
                                   .in_bytes = sizeof in,
                                   .out = out,
                                   .out_bytes = sizeof out},
               NULL);
    for (int i = 0; i < VALUES; i++) {
        uint64_t expected = row->expected(in[i][0], in[i][1], in[i][2]);
        cr_expect(agree(row, out[i], expected), "%s of %#llx, %#llx, %#llx gives %#llx, not %#llx", row->code,
                  (unsigned long long)in[i][0], (unsigned long long)in[i][1], (unsigned long long)in[i][2],
                  (unsigned long long)out[i], (unsigned long long)expected);
    }
}

Test(ptx, instructions_mean_what_C_says) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check_row(&rows[i]);
}
