/* cvt: between integers, floats, the small formats and their pairs, with every rounding. */
#include "tests/gpu/ptx_number.h"
#include "tests/gpu/ptx_ops.h"
#include <fenv.h>
#include <math.h>
#include <string.h>

static bool is_float(enum ptx_type t) {
    return t == T_F32 || t == T_F64 || t == T_F16 || t == T_BF16 || t == T_TF32;
}
static bool is_signed(enum ptx_type t) { return t == T_S8 || t == T_S16 || t == T_S32 || t == T_S64; }
static const struct ptx_format *format(enum ptx_type t) {
    switch (t) {
    case T_F16:
    case T_F16X2:
        return &ptx_f16;
    case T_BF16:
    case T_BF16X2:
        return &ptx_bf16;
    case T_E4M3X2:
        return &ptx_e4m3;
    case T_E5M2X2:
        return &ptx_e5m2;
    default:
        return &ptx_tf32;
    }
}

static double float_value(enum ptx_type t, uint64_t bits) {
    float f;
    double d;
    uint32_t u = (uint32_t)bits;
    memcpy(&f, &u, sizeof f);
    memcpy(&d, &bits, sizeof d);
    return t == T_F64                  ? d
           : t == T_F32 || t == T_TF32 ? (double)f
           : t == T_F16                ? (double)ptx_half((uint16_t)bits)
                                       : (double)ptx_bfloat((uint16_t)bits);
}

double ptx_float_at(const struct warp *w, const struct operand *o, enum ptx_type type, uint32_t lane) {
    return float_value(type, lane_value(w, o, lane));
}

static void fenv_round(uint8_t r) {
    fesetround(r == R_RZ || r == R_RZI   ? FE_TOWARDZERO
               : r == R_RM || r == R_RMI ? FE_DOWNWARD
               : r == R_RP || r == R_RPI ? FE_UPWARD
                                         : FE_TONEAREST);
}
static float narrow(double value, uint8_t round) {
    volatile double from = value;
    fenv_round(round);
    volatile float f = (float)from;
    fenv_round(R_RN);
    return f;
}
static float from_integer(uint64_t bits, bool sign, uint8_t round) {
    volatile uint64_t from = bits;
    fenv_round(round);
    volatile float f = sign ? (float)(int64_t)from : (float)from;
    fenv_round(R_RN);
    return f;
}
static double integral(double value, uint8_t round) {
    switch (round) {
    case R_RZI:
        return trunc(value);
    case R_RMI:
        return floor(value);
    case R_RPI:
        return ceil(value);
    default:
        return nearbyint(value);
    }
}

static uint64_t float_bits(const struct insn *in, double value) {
    bool ftz = in->flags & F_FTZ;
    if (ftz && in->from == T_F32 && fabs(value) < 0x1p-126) value = copysign(0, value);
    if (in->round >= R_RNI) value = integral(value, in->round);
    if (in->flags & F_SAT) value = value > 0 ? (value < 1 ? value : 1) : 0;
    if ((in->flags & F_RELU) && value < 0) value = 0;
    if (in->type == T_F64) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        return bits;
    }
    if (in->type == T_F32) {
        float f = narrow(value, in->round);
        if (ftz && fabsf(f) < 0x1p-126f) f = copysignf(0, f);
        if (isnan(f)) return 0x7fffffff;
        uint32_t u;
        memcpy(&u, &f, sizeof u);
        return u;
    }
    uint32_t bits = ptx_pack(format(in->type), value, in->round, in->flags & F_SATFINITE);
    return in->type == T_TF32 ? (uint64_t)bits << 13 : bits;
}

static uint64_t extended(enum ptx_type t, uint64_t bits) {
    uint32_t n = 64 - 8 * ptx_type_bytes(t);
    return is_signed(t) ? (uint64_t)((int64_t)(bits << n) >> n) : bits << n >> n;
}

static uint64_t integer_of_float(const struct insn *in, double value) {
    uint32_t bits = 8 * ptx_type_bytes(in->type);
    bool sign = is_signed(in->type);
    if (isnan(value)) return in->from == T_F64 || bits == 64 ? UINT64_C(1) << (bits - 1) : 0;
    if ((in->flags & F_FTZ) && fabs(value) < 0x1p-126) value = 0;
    value = integral(value, in->round);
    double top = ldexp(1, (int)bits - (sign ? 1 : 0)), bottom = sign ? -top : 0;
    if (value >= top)
        return sign ? (UINT64_C(1) << (bits - 1)) - 1 : bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    if (value <= bottom) return sign ? UINT64_C(1) << (bits - 1) : 0;
    return sign ? (uint64_t)(int64_t)value : (uint64_t)value;
}

static uint64_t integer_of_integer(const struct insn *in, uint64_t v) {
    if (!(in->flags & F_SAT)) return extended(in->type, v); /* the register may be wider than the type */
    uint32_t bits = 8 * ptx_type_bytes(in->type);
    bool from_sign = is_signed(in->from), sign = is_signed(in->type);
    int64_t s = (int64_t)v, low = sign ? -(INT64_C(1) << (bits - 1)) : 0;
    uint64_t high = sign         ? (UINT64_C(1) << (bits - 1)) - 1
                    : bits == 64 ? UINT64_MAX
                                 : (UINT64_C(1) << bits) - 1;
    if (from_sign && s < 0) return s < low ? (uint64_t)low : v;
    return v > high ? high : v;
}

static void convert(struct warp *w, const struct insn *in, uint32_t mask) {
    bool from_float = is_float(in->from), to_float = is_float(in->type);
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        uint64_t bits = lane_value(w, &in->ops[1], l), r;
        if (from_float) {
            double value = float_value(in->from, bits);
            r = to_float ? float_bits(in, value) : integer_of_float(in, value);
        } else {
            bits = extended(in->from, bits);
            bool sign = is_signed(in->from);
            if (!to_float)
                r = integer_of_integer(in, bits);
            else if (in->type == T_F32) {
                float f = from_integer(bits, sign, in->round);
                if (in->flags & F_SAT) f = f > 0 ? (f < 1 ? f : 1) : 0;
                uint32_t u;
                memcpy(&u, &f, sizeof u);
                r = u;
            } else
                r = float_bits(in, sign ? (double)(int64_t)bits : (double)bits);
        }
        set_lane(w, &in->ops[0], l, r);
    }
}

/* Pairs: the first operand is the upper half. */
static void pack_pair(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t half = ptx_type_bytes(in->type) * 4;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        uint64_t r = 0;
        for (uint32_t i = 0; i < 2; i++) {
            double value = in->sources == 2 ? float_value(T_F32, lane_value(w, &in->ops[2 - i], l))
                                            : float_value(in->from == T_F16X2 ? T_F16 : T_BF16,
                                                          lane_value(w, &in->ops[1], l) >> 16 * i & 0xffff);
            if ((in->flags & F_RELU) && value < 0) value = 0;
            r |= (uint64_t)ptx_pack(format(in->type), value, in->round, in->flags & F_SATFINITE) << half * i;
        }
        set_lane(w, &in->ops[0], l, r);
    }
}
static void unpack_pair(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest), r = 0;
        uint64_t bits = lane_value(w, &in->ops[1], l);
        for (uint32_t i = 0; i < 2; i++) {
            double value = ptx_unpack(format(in->from), (uint32_t)(bits >> 8 * i & 255));
            if ((in->flags & F_RELU) && value < 0) value = 0;
            r |= ptx_pack(format(in->type), value, R_RN, false) << 16 * i;
        }
        set_lane(w, &in->ops[0], l, r);
    }
}

/* The frequent ones, in loops that compilers make vectors of. */
#define FAST(name, R, T, expression)                                                                         \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) {                                 \
        R *d = OP(0);                                                                                        \
        const T *pa = OP(1);                                                                                 \
        EACH_LANE(const T a = pa[l]; d[l] = (R)(expression));                                                \
    }
static uint32_t bits_of(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}
static uint16_t bfloat_of(float f) {
    uint32_t u = bits_of(f);
    return f != f ? 0x7fff : (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
static uint16_t half_of(float f) {
    uint32_t u = bits_of(f), sign = u >> 16 & 0x8000, x = u & 0x7fffffff;
    if (x > 0x7f800000) return 0x7fff;
    if (x >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
    if (x < 0x38800000) return (uint16_t)(sign | (uint32_t)nearbyintf(fabsf(f) * 0x1p24f));
    return (uint16_t)(sign | ((x - 0x38000000 + 0xfff + (x >> 13 & 1)) >> 13));
}
FAST(u64_u32, uint64_t, uint32_t, a)
FAST(s64_s32, int64_t, int32_t, a)
FAST(u32_u64, uint32_t, uint64_t, a)
FAST(u32_u16, uint32_t, uint16_t, a)
FAST(s32_s16, int32_t, int16_t, a)
FAST(u16_u32, uint16_t, uint32_t, a)
FAST(f32_s32, float, int32_t, a)
FAST(f32_u32, float, uint32_t, a)
FAST(bf16_f32, uint16_t, float, bfloat_of(a))
FAST(f16_f32, uint16_t, float, half_of(a))
FAST(f32_bf16, float, uint16_t, ptx_bfloat(a))
FAST(f32_f16, float, uint16_t, ptx_half(a))
#define FAST_PAIR(name, function)                                                                            \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) {                                 \
        uint32_t *d = OP(0);                                                                                 \
        const float *a = OP(1), *b = OP(2);                                                                  \
        EACH_LANE(d[l] = (uint32_t)function(a[l]) << 16 | function(b[l]));                                   \
    }
FAST_PAIR(bf16x2_f32, bfloat_of)
FAST_PAIR(f16x2_f32, half_of)

static const struct {
    enum ptx_type to, from;
    ptx_op *run;
} fast[] = {
    {T_U64, T_U32, u64_u32},   {T_S64, T_U32, u64_u32},       {T_S64, T_S32, s64_s32},
    {T_U64, T_S32, s64_s32},   {T_U32, T_U64, u32_u64},       {T_S32, T_U64, u32_u64},
    {T_U32, T_S64, u32_u64},   {T_S32, T_S64, u32_u64},       {T_U32, T_U16, u32_u16},
    {T_S32, T_U16, u32_u16},   {T_S32, T_S16, s32_s16},       {T_U32, T_S16, s32_s16},
    {T_U16, T_U32, u16_u32},   {T_F32, T_S32, f32_s32},       {T_F32, T_U32, f32_u32},
    {T_BF16, T_F32, bf16_f32}, {T_F16, T_F32, f16_f32},       {T_F32, T_BF16, f32_bf16},
    {T_F32, T_F16, f32_f16},   {T_BF16X2, T_F32, bf16x2_f32}, {T_F16X2, T_F32, f16x2_f32},
};

ptx_op *ptx_convert_op(const struct opcode *o, struct insn *in) {
    enum ptx_type to = o->types[0], from = o->types[1];
    bool pair_to = to == T_F16X2 || to == T_BF16X2 || to == T_E4M3X2 || to == T_E5M2X2;
    bool pair_from = from == T_F16X2 || from == T_BF16X2 || from == T_E4M3X2 || from == T_E5M2X2;
    if (!to || !from) return NULL;
    in->type = (uint8_t)to;
    in->from = (uint8_t)from;
    bool plain = !o->flags && o->round <= R_RN;
    bool exact = in->ops[0].size == ptx_type_bytes(to) && in->ops[1].size == ptx_type_bytes(from);
    for (size_t i = 0; plain && exact && i < sizeof fast / sizeof *fast; i++)
        if (fast[i].to == to && fast[i].from == from) return fast[i].run;
    if (pair_from && (from == T_E4M3X2 || from == T_E5M2X2)) return to == T_F16X2 ? unpack_pair : NULL;
    if (pair_to) return pair_from || from == T_F32 ? pack_pair : NULL;
    return convert;
}
