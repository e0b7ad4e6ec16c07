/* Integer arithmetic, logic, shifts, bytes and bits, by lane. */
#include "tests/gpu/ptx_ops.h"
#include <string.h>

#define UNARY(name, R, T, expression)                                                                        \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) {                                 \
        R *d = OP(0);                                                                                        \
        const T *pa = OP(1);                                                                                 \
        EACH_LANE(const T a = pa[l]; d[l] = (R)(expression));                                                \
    }
#define BINARY(name, R, T, U, expression)                                                                    \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) {                                 \
        R *d = OP(0);                                                                                        \
        const T *pa = OP(1);                                                                                 \
        const U *pb = OP(2);                                                                                 \
        EACH_LANE(const T a = pa[l]; const U b = pb[l]; d[l] = (R)(expression));                             \
    }
#define TERNARY(name, R, T, U, V, expression)                                                                \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) {                                 \
        R *d = OP(0);                                                                                        \
        const T *pa = OP(1);                                                                                 \
        const U *pb = OP(2);                                                                                 \
        const V *pc = OP(3);                                                                                 \
        EACH_LANE(const T a = pa[l]; const U b = pb[l]; const V c = pc[l]; d[l] = (R)(expression));          \
    }
__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

/* Two's complement wraps, so these serve both signs; 16-bit products are made in 32 bits without a sign. */
#define EACH_WIDTH(MAKE)                                                                                     \
    MAKE(16, uint16_t, int16_t, uint32_t, int32_t)                                                           \
    MAKE(32, uint32_t, int32_t, uint64_t, int64_t)                                                           \
    MAKE(64, uint64_t, int64_t, uint128, int128)
#define MAKE(N, U, S, WU, WS)                                                                                \
    BINARY(add##N, U, U, U, a + b)                                                                           \
    BINARY(sub##N, U, U, U, a - b)                                                                           \
    BINARY(mul##N, U, U, U, (WU)a *b)                                                                        \
    BINARY(mul_hi_u##N, U, U, U, (WU)a *b >> N)                                                              \
    BINARY(mul_hi_s##N, S, S, S, (WS)a *b >> N)                                                              \
    TERNARY(mad##N, U, U, U, U, (WU)a *b + c)                                                                \
    TERNARY(mad_hi_u##N, U, U, U, U, ((WU)a * b >> N) + c)                                                   \
    TERNARY(mad_hi_s##N, U, S, S, U, (U)((WS)a * b >> N) + c)                                                \
    BINARY(div_u##N, U, U, U, b ? a / b : (U) ~(U)0)                                                         \
    BINARY(rem_u##N, U, U, U, b ? a % b : a)                                                                 \
    BINARY(div_s##N, S, S, S, !b ? (S)-1 : b == -1 ? (S)(0 - (U)a) : (S)(a / b))                             \
    BINARY(rem_s##N, S, S, S, !b ? a : b == -1 ? (S)0 : (S)(a % b))                                          \
    BINARY(min_u##N, U, U, U, a < b ? a : b)                                                                 \
    BINARY(max_u##N, U, U, U, a > b ? a : b)                                                                 \
    BINARY(min_s##N, S, S, S, a < b ? a : b)                                                                 \
    BINARY(max_s##N, S, S, S, a > b ? a : b)                                                                 \
    BINARY(and##N, U, U, U, a &b)                                                                            \
    BINARY(or ##N, U, U, U, a | b)                                                                           \
    BINARY(xor##N, U, U, U, a ^ b)                                                                           \
    UNARY(not ##N, U, U, ~a)                                                                                 \
    UNARY(cnot##N, U, U, !a)                                                                                 \
    UNARY(neg##N, U, U, 0 - a)                                                                               \
    UNARY(abs##N, U, S, a < 0 ? 0 - (U)a : (U)a)                                                             \
    BINARY(shl##N, U, U, uint32_t, b >= N ? 0 : (U)(a << b))                                                 \
    BINARY(shr_u##N, U, U, uint32_t, b >= N ? 0 : (U)(a >> b))                                               \
    BINARY(shr_s##N, S, S, uint32_t, a >> (b >= N ? N - 1 : b))                                              \
    TERNARY(sad_u##N, U, U, U, U, c + (a < b ? b - a : a - b))                                               \
    TERNARY(sad_s##N, U, S, S, U, c + (a < b ? (U)b - (U)a : (U)a - (U)b))
EACH_WIDTH(MAKE)
BINARY(wide_u16, uint32_t, uint16_t, uint16_t, (uint32_t)a *b)
BINARY(wide_s16, int32_t, int16_t, int16_t, (int32_t)a *b)
BINARY(wide_u32, uint64_t, uint32_t, uint32_t, (uint64_t)a *b)
BINARY(wide_s32, int64_t, int32_t, int32_t, (int64_t)a *b)
TERNARY(mad_wide_u16, uint32_t, uint16_t, uint16_t, uint32_t, (uint32_t)a *b + c)
TERNARY(mad_wide_s16, uint32_t, int16_t, int16_t, uint32_t, (uint32_t)((int32_t)a *b) + c)
TERNARY(mad_wide_u32, uint64_t, uint32_t, uint32_t, uint64_t, (uint64_t)a *b + c)
TERNARY(mad_wide_s32, uint64_t, int32_t, int32_t, uint64_t, (uint64_t)((int64_t)a *b) + c)
BINARY(mul24_u, uint32_t, uint32_t, uint32_t, (a & 0xffffff) * (b & 0xffffff))
BINARY(mul24_s, uint32_t, uint32_t, uint32_t,
       (uint32_t)(((int64_t)(int32_t)(a << 8) >> 8) * ((int64_t)(int32_t)(b << 8) >> 8)))

/* With the carry flag, of which a lane has one: the register before the sources. */
#define CARRY(name, T, W, sum, carry)                                                                        \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) {                                 \
        T *d = OP(0);                                                                                        \
        uint32_t *flags = OP(1);                                                                             \
        const T *pa = OP(2), *pb = OP(3);                                                                    \
        EACH_LANE(const W a = pa[l]; const W b = pb[l]; const W c = flags[l] & 1; const W s = sum;           \
                  d[l] = (T)s; flags[l] = carry);                                                            \
    }
CARRY(add_cc32, uint32_t, uint64_t, (a + b + 0 * c), (uint32_t)(s >> 32) & 1)
CARRY(addc_cc32, uint32_t, uint64_t, (a + b + c), (uint32_t)(s >> 32) & 1)
CARRY(sub_cc32, uint32_t, uint64_t, (a - b - 0 * c), (uint32_t)(s >> 32) & 1)
CARRY(subc_cc32, uint32_t, uint64_t, (a - b - c), (uint32_t)(s >> 32) & 1)
CARRY(add_cc64, uint64_t, uint128, (a + b + 0 * c), (uint32_t)(s >> 64) & 1)
CARRY(addc_cc64, uint64_t, uint128, (a + b + c), (uint32_t)(s >> 64) & 1)
CARRY(sub_cc64, uint64_t, uint128, (a - b - 0 * c), (uint32_t)(s >> 64) & 1)
CARRY(subc_cc64, uint64_t, uint128, (a - b - c), (uint32_t)(s >> 64) & 1)

static int32_t clamp32(int64_t v) {
    return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}
BINARY(add_sat, int32_t, int32_t, int32_t, clamp32((int64_t)a + b))
BINARY(sub_sat, int32_t, int32_t, int32_t, clamp32((int64_t)a - b))

static uint64_t bit_field(uint64_t a, uint32_t position, uint32_t length, uint32_t bits, bool sign) {
    position &= 255;
    length &= 255;
    uint32_t last = position + length - 1 < bits - 1 ? position + length - 1 : bits - 1;
    uint64_t fill = sign && length && (a >> last & 1) ? ~UINT64_C(0) : 0;
    if (!length) return 0;
    uint64_t value = position < bits ? a >> position : 0;
    uint32_t have = position < bits ? (length < bits - position ? length : bits - position) : 0;
    uint64_t keep = have >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << have) - 1;
    return (value & keep) | (fill & ~keep);
}
static uint64_t insert(uint64_t a, uint64_t b, uint32_t position, uint32_t length, uint32_t bits) {
    position &= 255;
    length &= 255;
    for (uint32_t i = 0; i < length && position + i < bits; i++) {
        uint64_t bit = UINT64_C(1) << (position + i);
        b = (a >> i & 1) ? b | bit : b & ~bit;
    }
    return b;
}
TERNARY(bfe_u32, uint32_t, uint32_t, uint32_t, uint32_t, bit_field(a, b, c, 32, false))
TERNARY(bfe_s32, uint32_t, uint32_t, uint32_t, uint32_t, bit_field(a, b, c, 32, true))
TERNARY(bfe_u64, uint64_t, uint64_t, uint32_t, uint32_t, bit_field(a, b, c, 64, false))
TERNARY(bfe_s64, uint64_t, uint64_t, uint32_t, uint32_t, bit_field(a, b, c, 64, true))
#define INSERT(name, T, bits)                                                                                \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) {                                 \
        T *d = OP(0);                                                                                        \
        const T *a = OP(1), *b = OP(2);                                                                      \
        const uint32_t *position = OP(3), *length = OP(4);                                                   \
        EACH_LANE(d[l] = (T)insert(a[l], b[l], position[l], length[l], bits));                               \
    }
INSERT(bfi32, uint32_t, 32)
INSERT(bfi64, uint64_t, 64)

static uint64_t reversed(uint64_t a, uint32_t bits) {
    uint64_t r = 0;
    for (uint32_t i = 0; i < bits; i++) r |= (a >> i & 1) << (bits - 1 - i);
    return r;
}
UNARY(popc32, uint32_t, uint32_t, __builtin_popcount(a))
UNARY(popc64, uint32_t, uint64_t, __builtin_popcountll(a))
UNARY(clz32, uint32_t, uint32_t, a ? __builtin_clz(a) : 32)
UNARY(clz64, uint32_t, uint64_t, a ? __builtin_clzll(a) : 64)
UNARY(brev32, uint32_t, uint32_t, reversed(a, 32))
UNARY(brev64, uint64_t, uint64_t, reversed(a, 64))
/* Place of the first bit from the top that is not the sign; with .shiftamt, from the top. */
static uint32_t found(uint64_t a, bool amount, uint32_t bits) {
    if (bits < 64) a &= (UINT64_C(1) << bits) - 1;
    if (!a) return UINT32_MAX;
    uint32_t top = 63 - (uint32_t)__builtin_clzll(a);
    return amount ? bits - 1 - top : top;
}
UNARY(bfind_u32, uint32_t, uint32_t, found(a, in->mode, 32))
UNARY(bfind_s32, uint32_t, int32_t, found((uint32_t)(a < 0 ? ~a : a), in->mode, 32))
UNARY(bfind_u64, uint32_t, uint64_t, found(a, in->mode, 64))
UNARY(bfind_s64, uint32_t, int64_t, found((uint64_t)(a < 0 ? ~a : a), in->mode, 64))
BINARY(bmsk_clamp, uint32_t, uint32_t, uint32_t,
       insert(UINT32_MAX, 0, a > 255 ? 255 : a, b > 32 ? 32 : b, 32))
BINARY(bmsk_wrap, uint32_t, uint32_t, uint32_t, insert(UINT32_MAX, 0, a & 31, b & 31, 32))
BINARY(szext_u, uint32_t, uint32_t, uint32_t, b >= 32 ? a : b ? a & ((UINT32_C(1) << b) - 1) : 0)
BINARY(szext_s, uint32_t, uint32_t, uint32_t,
       b >= 32 ? a
       : b     ? (uint32_t)((int32_t)(a << (32 - b)) >> (32 - b))
               : 0)

/* Funnel shifts: the high half of b:a moved left, the low half moved right. */
static uint64_t joined(uint32_t a, uint32_t b) { return (uint64_t)b << 32 | a; }
TERNARY(shf_l_wrap, uint32_t, uint32_t, uint32_t, uint32_t, joined(a, b) << (c & 31) >> 32)
TERNARY(shf_l_clamp, uint32_t, uint32_t, uint32_t, uint32_t, joined(a, b) << (c > 32 ? 32 : c) >> 32)
TERNARY(shf_r_wrap, uint32_t, uint32_t, uint32_t, uint32_t, joined(a, b) >> (c & 31))
TERNARY(shf_r_clamp, uint32_t, uint32_t, uint32_t, uint32_t, joined(a, b) >> (c > 32 ? 32 : c))

/* The selector's four nibbles for the modes that have a rule instead. */
static uint32_t selector(uint32_t mode, uint32_t c) {
    static const uint16_t rules[7][4] = {
        [1] = {0x3210, 0x4321, 0x5432, 0x6543}, [2] = {0x5670, 0x6701, 0x7012, 0x0123},
        [3] = {0x0000, 0x1111, 0x2222, 0x3333}, [4] = {0x3210, 0x3211, 0x3222, 0x3333},
        [5] = {0x0000, 0x1110, 0x2210, 0x3210}, [6] = {0x1010, 0x3232, 0x1010, 0x3232}};
    return mode ? rules[mode][c & 3] : c;
}
static uint32_t permuted(uint32_t a, uint32_t b, uint32_t select) {
    uint32_t r = 0;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t s = select >> 4 * i & 15, byte = (uint32_t)(joined(a, b) >> 8 * (s & 7)) & 255;
        r |= (s & 8 ? (byte & 128 ? 255u : 0u) : byte) << 8 * i;
    }
    return r;
}
TERNARY(prmt, uint32_t, uint32_t, uint32_t, uint32_t, permuted(a, b, selector(in->mode, c)))

static void lop3(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t *d = OP(0);
    const uint32_t *a = OP(1), *b = OP(2), *c = OP(3), *table = OP(4);
    EACH_LANE(uint32_t r = 0; for (uint32_t i = 0; i < 8; i++) if (table[l] >> i & 1) r |=
                              (i & 4 ? a[l] : ~a[l]) & (i & 2 ? b[l] : ~b[l]) & (i & 1 ? c[l] : ~c[l]);
              d[l] = r);
}

/* dp4a, dp2a: products of bytes added to c; .u32 or .s32 by operand. */
static int64_t byte_of(uint32_t a, uint32_t i, bool sign) {
    return sign ? (int8_t)(a >> 8 * i) : (uint8_t)(a >> 8 * i);
}
static uint32_t dot(const struct insn *in, uint32_t a, uint32_t b, uint32_t c) {
    bool sign_a = in->type == T_S32, sign_b = in->from == T_S32;
    int64_t sum = c;
    if (!in->mode)
        for (uint32_t i = 0; i < 4; i++) sum += byte_of(a, i, sign_a) * byte_of(b, i, sign_b);
    for (uint32_t i = 0; in->mode && i < 2; i++) {
        int64_t half = sign_a ? (int16_t)(a >> 16 * i) : (uint16_t)(a >> 16 * i);
        sum += half * byte_of(b, i + (in->mode == 2 ? 2 : 0), sign_b);
    }
    return (uint32_t)sum;
}
TERNARY(dp, uint32_t, uint32_t, uint32_t, uint32_t, dot(in, a, b, c))

/* Halves of a word. */
#define PAIR(name, T, expression)                                                                            \
    static uint32_t name##_pair(uint32_t x, uint32_t y) {                                                    \
        uint32_t r = 0;                                                                                      \
        for (int i = 0; i < 32; i += 16) {                                                                   \
            const T a = (T)(x >> i), b = (T)(y >> i);                                                        \
            r |= (uint32_t)(uint16_t)(expression) << i;                                                      \
        }                                                                                                    \
        return r;                                                                                            \
    }                                                                                                        \
    BINARY(name, uint32_t, uint32_t, uint32_t, name##_pair(a, b))
PAIR(add16x2, uint16_t, a + b)
PAIR(min_u16x2, uint16_t, a < b ? a : b)
PAIR(max_u16x2, uint16_t, a > b ? a : b)
PAIR(min_s16x2, int16_t, a < b ? a : b)
PAIR(max_s16x2, int16_t, a > b ? a : b)

/* Predicates are masks. */
#define LOGIC(name, expression)                                                                              \
    static void name##_pred(struct warp *w, const struct insn *in, uint32_t mask) {                          \
        const uint32_t a = predicate(w, &in->ops[1]), b = in->sources > 1 ? predicate(w, &in->ops[2]) : 0;   \
        (void)b;                                                                                             \
        set_predicate(w, &in->ops[0], mask, expression);                                                     \
    }
LOGIC(and, a &b)
LOGIC(or, a | b)
LOGIC(xor, a ^ b)
LOGIC(not, ~a)

#define SIGNS(base, word, name, shape)                                                                       \
    {base, word, T_U16, name##_u16, shape}, {base, word, T_S16, name##_s16, shape},                          \
        {base, word, T_U32, name##_u32, shape}, {base, word, T_S32, name##_s32, shape},                      \
        {base, word, T_U64, name##_u64, shape}, {                                                            \
        base, word, T_S64, name##_s64, shape                                                                 \
    }
#define EITHER(base, word, name, shape)                                                                      \
    {base, word, T_U16, name##16, shape}, {base, word, T_S16, name##16, shape},                              \
        {base, word, T_U32, name##32, shape}, {base, word, T_S32, name##32, shape},                          \
        {base, word, T_U64, name##64, shape}, {                                                              \
        base, word, T_S64, name##64, shape                                                                   \
    }
#define UNTYPED(base, name, shape)                                                                           \
    {base, NULL, T_B16, name##16, shape}, {base, NULL, T_B32, name##32, shape}, {                            \
        base, NULL, T_B64, name##64, shape                                                                   \
    }
#define CARRIES(base, word, name)                                                                            \
    {base, word, T_U32, name##32, "tC=tt"}, {base, word, T_S32, name##32, "tC=tt"},                          \
        {base, word, T_B32, name##32, "tC=tt"}, {base, word, T_U64, name##64, "tC=tt"}, {                    \
        base, word, T_S64, name##64, "tC=tt"                                                                 \
    }

static const struct op_row rows[] = {
    {"add", "sat", T_S32, add_sat, "t=tt"},
    {"sub", "sat", T_S32, sub_sat, "t=tt"},
    CARRIES("add", "cc", add_cc),
    CARRIES("addc", NULL, addc_cc),
    CARRIES("sub", "cc", sub_cc),
    CARRIES("subc", NULL, subc_cc),
    EITHER("add", NULL, add, "t=tt"),
    EITHER("sub", NULL, sub, "t=tt"),
    {"add", NULL, T_U16X2, add16x2, "t=tt"},
    {"add", NULL, T_S16X2, add16x2, "t=tt"},
    EITHER("mul", "lo", mul, "t=tt"),
    SIGNS("mul", "hi", mul_hi, "t=tt"),
    {"mul", "wide", T_U16, wide_u16, "W=tt"},
    {"mul", "wide", T_S16, wide_s16, "W=tt"},
    {"mul", "wide", T_U32, wide_u32, "W=tt"},
    {"mul", "wide", T_S32, wide_s32, "W=tt"},
    {"mul24", "lo", T_U32, mul24_u, "t=tt"},
    {"mul24", "lo", T_S32, mul24_s, "t=tt"},
    EITHER("mad", "lo", mad, "t=ttt"),
    SIGNS("mad", "hi", mad_hi, "t=ttt"),
    {"mad", "wide", T_U16, mad_wide_u16, "W=ttW"},
    {"mad", "wide", T_S16, mad_wide_s16, "W=ttW"},
    {"mad", "wide", T_U32, mad_wide_u32, "W=ttW"},
    {"mad", "wide", T_S32, mad_wide_s32, "W=ttW"},
    SIGNS("div", NULL, div, "t=tt"),
    SIGNS("rem", NULL, rem, "t=tt"),
    SIGNS("min", NULL, min, "t=tt"),
    SIGNS("max", NULL, max, "t=tt"),
    SIGNS("sad", NULL, sad, "t=ttt"),
    {"min", NULL, T_U16X2, min_u16x2, "t=tt"},
    {"min", NULL, T_S16X2, min_s16x2, "t=tt"},
    {"max", NULL, T_U16X2, max_u16x2, "t=tt"},
    {"max", NULL, T_S16X2, max_s16x2, "t=tt"},
    UNTYPED("and", and, "t=tt"),
    UNTYPED("or", or, "t=tt"),
    UNTYPED("xor", xor, "t=tt"),
    UNTYPED("not", not, "t=t"),
    {"and", NULL, T_PRED, and_pred, "p=pp"},
    {"or", NULL, T_PRED, or_pred, "p=pp"},
    {"xor", NULL, T_PRED, xor_pred, "p=pp"},
    {"not", NULL, T_PRED, not_pred, "p=p"},
    UNTYPED("cnot", cnot, "t=t"),
    {"neg", NULL, T_S16, neg16, "t=t"},
    {"neg", NULL, T_S32, neg32, "t=t"},
    {"neg", NULL, T_S64, neg64, "t=t"},
    {"abs", NULL, T_S16, abs16, "t=t"},
    {"abs", NULL, T_S32, abs32, "t=t"},
    {"abs", NULL, T_S64, abs64, "t=t"},
    UNTYPED("shl", shl, "t=tl"),
    UNTYPED("shr", shr_u, "t=tl"),
    SIGNS("shr", NULL, shr, "t=tl"),
    {"bfe", NULL, T_U32, bfe_u32, "t=tll"},
    {"bfe", NULL, T_S32, bfe_s32, "t=tll"},
    {"bfe", NULL, T_U64, bfe_u64, "t=tll"},
    {"bfe", NULL, T_S64, bfe_s64, "t=tll"},
    {"bfi", NULL, T_B32, bfi32, "t=ttll"},
    {"bfi", NULL, T_B64, bfi64, "t=ttll"},
    {"popc", NULL, T_B32, popc32, "l=t"},
    {"popc", NULL, T_B64, popc64, "l=t"},
    {"clz", NULL, T_B32, clz32, "l=t"},
    {"clz", NULL, T_B64, clz64, "l=t"},
    {"brev", NULL, T_B32, brev32, "t=t"},
    {"brev", NULL, T_B64, brev64, "t=t"},
    {"bfind", NULL, T_U32, bfind_u32, "l=t"},
    {"bfind", NULL, T_S32, bfind_s32, "l=t"},
    {"bfind", NULL, T_U64, bfind_u64, "l=t"},
    {"bfind", NULL, T_S64, bfind_s64, "l=t"},
    {"bmsk", "clamp", T_B32, bmsk_clamp, "t=tt"},
    {"bmsk", "wrap", T_B32, bmsk_wrap, "t=tt"},
    {"szext", "clamp", T_U32, szext_u, "t=tl"},
    {"szext", "clamp", T_S32, szext_s, "t=tl"},
    {"shf", "l.wrap", T_B32, shf_l_wrap, "t=ttl"},
    {"shf", "l.clamp", T_B32, shf_l_clamp, "t=ttl"},
    {"shf", "r.wrap", T_B32, shf_r_wrap, "t=ttl"},
    {"shf", "r.clamp", T_B32, shf_r_clamp, "t=ttl"},
    {"prmt", NULL, T_B32, prmt, "t=ttl"},
    {"lop3", NULL, T_B32, lop3, "t=tttl"},
    {"dp4a", NULL, T_U32, dp, "l=lll"},
    {"dp4a", NULL, T_S32, dp, "l=lll"},
    {"dp2a", NULL, T_U32, dp, "l=lll"},
    {"dp2a", NULL, T_S32, dp, "l=lll"},
};
OP_TABLE(ptx_integer_ops, rows);
