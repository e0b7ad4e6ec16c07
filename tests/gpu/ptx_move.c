/* Values moved, packed, compared and chosen. */
#include "tests/gpu/ptx_number.h"
#include "tests/gpu/ptx_ops.h"
#include <math.h>
#include <string.h>
#include <time.h>

static void move(struct warp *w, const struct insn *in, uint32_t mask) {
    if (mask == UINT32_MAX)
        memcpy(OP(0), OP(1), (size_t)in->ops[0].size * LANES);
    else
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            uint32_t l = (uint32_t)__builtin_ctz(rest), n = in->ops[0].size;
            memcpy((char *)OP(0) + l * n, (char *)OP(1) + l * n, n);
        }
}
static void move_predicate(struct warp *w, const struct insn *in, uint32_t mask) {
    set_predicate(w, &in->ops[0], mask, predicate(w, &in->ops[1]));
}

/* Several registers become one, or one several: bytes in order, through one lane's buffer. */
static void repack(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest), at = 0;
        unsigned char bytes[64];
        for (uint32_t i = in->results; i < in->results + in->sources; at += in->ops[i++].size)
            memcpy(bytes + at, w->file + in->ops[i].at + l * in->ops[i].size, in->ops[i].size);
        at = 0;
        for (uint32_t i = 0; i < in->results; at += in->ops[i++].size)
            memcpy(w->file + in->ops[i].at + l * in->ops[i].size, bytes + at, in->ops[i].size);
    }
}

static void clock_value(struct warp *w, const struct insn *in, uint32_t mask) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t t =
        in->mode == SP_CLOCK64 ? (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec : w->instructions;
    for (uint32_t rest = mask; rest; rest &= rest - 1)
        set_lane(w, &in->ops[0], (uint32_t)__builtin_ctz(rest), t);
}

/* The lanes for which a comparison holds: all of them are compared, the caller masks. */
#define COMPARED(a_op_b)                                                                                     \
    for (uint32_t l = 0; l < LANES; l++) set |= (uint32_t)(a_op_b) << l;                                     \
    break
#define ORDERED(T)                                                                                           \
    {                                                                                                        \
        const T *a = OP(in->results), *b = OP(in->results + 1);                                              \
        switch (in->compare) {                                                                               \
        case C_EQ:                                                                                           \
            COMPARED(a[l] == b[l]);                                                                          \
        case C_NE:                                                                                           \
            COMPARED(a[l] != b[l]);                                                                          \
        case C_LT:                                                                                           \
        case C_LO:                                                                                           \
            COMPARED(a[l] < b[l]);                                                                           \
        case C_LE:                                                                                           \
        case C_LS:                                                                                           \
            COMPARED(a[l] <= b[l]);                                                                          \
        case C_GT:                                                                                           \
        case C_HI:                                                                                           \
            COMPARED(a[l] > b[l]);                                                                           \
        default:                                                                                             \
            COMPARED(a[l] >= b[l]);                                                                          \
        }                                                                                                    \
        break;                                                                                               \
    }
static bool holds(enum ptx_compare c, double a, double b) {
    bool unordered = isnan(a) || isnan(b);
    switch (c) {
    case C_EQ:
        return a == b;
    case C_NE:
        return !unordered && a != b;
    case C_LT:
        return a < b;
    case C_LE:
        return a <= b;
    case C_GT:
        return a > b;
    case C_GE:
        return a >= b;
    case C_EQU:
        return unordered || a == b;
    case C_NEU:
        return a != b;
    case C_LTU:
        return unordered || a < b;
    case C_LEU:
        return unordered || a <= b;
    case C_GTU:
        return unordered || a > b;
    case C_GEU:
        return unordered || a >= b;
    case C_NUM:
        return !unordered;
    default:
        return unordered;
    }
}
static uint32_t floats_compared(struct warp *w, const struct insn *in) {
    uint32_t set = 0;
    for (uint32_t l = 0; l < LANES; l++) {
        double a = ptx_float_at(w, &in->ops[in->results], in->type, l),
               b = ptx_float_at(w, &in->ops[in->results + 1], in->type, l);
        if ((in->flags & F_FTZ) && in->type == T_F32) {
            a = fabs(a) < 0x1p-126 ? 0 : a;
            b = fabs(b) < 0x1p-126 ? 0 : b;
        }
        set |= (uint32_t)holds(in->compare, a, b) << l;
    }
    return set;
}
static uint32_t compared(struct warp *w, const struct insn *in) {
    uint32_t set = 0;
    switch (in->type) {
    case T_B16:
    case T_U16:
        ORDERED(uint16_t)
    case T_S16:
        ORDERED(int16_t)
    case T_B32:
    case T_U32:
        ORDERED(uint32_t)
    case T_S32:
        ORDERED(int32_t)
    case T_B64:
    case T_U64:
        ORDERED(uint64_t)
    case T_S64:
        ORDERED(int64_t)
    default:
        return floats_compared(w, in);
    }
    return set;
}
static uint32_t combined(struct warp *w, const struct insn *in, uint32_t set) {
    if (in->combine == B_NONE) return set;
    uint32_t other = predicate(w, &in->ops[in->results + in->sources - 1]);
    if (in->flags & F_NOT) other = ~other;
    return in->combine == B_AND ? set & other : in->combine == B_OR ? set | other : set ^ other;
}
/* Halves of a word: each has its predicate. */
static void setp_pair(struct warp *w, const struct insn *in, uint32_t mask) {
    const uint32_t *a = OP(in->results), *b = OP(in->results + 1);
    for (uint32_t half = 0; half < in->results; half++) {
        uint32_t set = 0;
        for (uint32_t l = 0; l < LANES; l++) {
            uint16_t x = (uint16_t)(a[l] >> 16 * half), y = (uint16_t)(b[l] >> 16 * half);
            bool f16 = in->type == T_F16X2;
            set |= (uint32_t)holds(in->compare, (double)(f16 ? ptx_half(x) : ptx_bfloat(x)),
                                   (double)(f16 ? ptx_half(y) : ptx_bfloat(y)))
                   << l;
        }
        set_predicate(w, &in->ops[half], mask, combined(w, in, set));
    }
}
static void setp(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t set = compared(w, in), not = combined(w, in, ~set);
    set = combined(w, in, set);
    set_predicate(w, &in->ops[0], mask, set);
    if (in->results > 1) set_predicate(w, &in->ops[1], mask, not );
}
/* set: the result is all ones, or 1.0 */
static void set_value(struct warp *w, const struct insn *in, uint32_t mask) {
    struct insn by = *in;
    by.type = in->from;
    uint32_t set = combined(w, in, compared(w, &by)), yes = in->type == T_F32 ? 0x3f800000 : UINT32_MAX;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        set_lane(w, &in->ops[0], l, set >> l & 1 ? yes : 0);
    }
}

#define SELECT(name, T)                                                                                      \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) {                                 \
        T *d = OP(0);                                                                                        \
        const T *a = OP(1), *b = OP(2);                                                                      \
        const uint32_t p = predicate(w, &in->ops[3]) ^ (in->flags & F_NOT ? UINT32_MAX : 0);                 \
        EACH_LANE(d[l] = p >> l & 1 ? a[l] : b[l]);                                                          \
    }
SELECT(selp16, uint16_t)
SELECT(selp32, uint32_t)
SELECT(selp64, uint64_t)
static void slct(struct warp *w, const struct insn *in, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest), c = (uint32_t)lane_value(w, &in->ops[3], l);
        bool first = in->from == T_F32 ? ptx_float_at(w, &in->ops[3], T_F32, l) >= 0 : (int32_t)c >= 0;
        set_lane(w, &in->ops[0], l, lane_value(w, &in->ops[first ? 1 : 2], l));
    }
}

#define CHOICES(base, run, shape)                                                                            \
    {base, NULL, T_B16, run##16, shape}, {base, NULL, T_U16, run##16, shape},                                \
        {base, NULL, T_S16, run##16, shape}, {base, NULL, T_F16, run##16, shape},                            \
        {base, NULL, T_BF16, run##16, shape}, {base, NULL, T_B32, run##32, shape},                           \
        {base, NULL, T_U32, run##32, shape}, {base, NULL, T_S32, run##32, shape},                            \
        {base, NULL, T_F32, run##32, shape}, {base, NULL, T_B64, run##64, shape},                            \
        {base, NULL, T_U64, run##64, shape}, {base, NULL, T_S64, run##64, shape}, {                          \
        base, NULL, T_F64, run##64, shape                                                                    \
    }
static const struct op_row rows[] = {
    {"setp", NULL, T_F16X2, setp_pair, "P=tt?p"},
    {"setp", NULL, T_BF16X2, setp_pair, "P=tt?p"},
    {"setp", NULL, T_NONE, setp, "P=tt?p"},
    {"set", NULL, T_NONE, set_value, "t=ff?p"},
    CHOICES("selp", selp, "t=ttp"),
    {"slct", NULL, T_NONE, slct, "t=ttf"},
    {"mov", NULL, T_PRED, move_predicate, "p=p"},
    {"mov", NULL, T_NONE, move, "t=t"},
};
OP_TABLE(ptx_move_ops, rows);

/* mov has more forms: braces, clocks. */
bool ptx_move_op(struct decoder *d, enum ptx_type type) {
    const struct arg *args = d->statement->args;
    struct insn *in = d->insn;
    if (d->statement->count != 2) return false;
    const struct arg *to = &args[0], *from = &args[1];
    const char *name = from->kind == A_SYMBOL && from->name ? from->name : "";
    bool timer = !strcmp(name, "%globaltimer") || !strcmp(name, "%globaltimer_lo");
    if (!strcmp(name, "%clock") || !strcmp(name, "%clock64") || timer) {
        in->mode = timer ? SP_CLOCK64 : SP_CLOCK;
        in->run = clock_value;
        if (!ptx_emit(d, to, 't', type)) return false;
        d->results = 1;
        d->sources = 0;
        return true;
    }
    if (to->kind != A_VECTOR && from->kind != A_VECTOR) return false;
    in->run = repack;
    static const enum ptx_type parts[] = {[2] = T_B16, [4] = T_B32, [8] = T_B64, [1] = T_NONE, [16] = T_B128};
    uint32_t total = ptx_type_bytes(type), bytes[2] = {total, total};
    for (int i = 0; i < 2; i++) {
        if (args[i].kind == A_VECTOR && args[i].count) bytes[i] = total / args[i].count;
        uint32_t n = args[i].kind == A_VECTOR ? args[i].count : 1;
        for (uint32_t k = 0; k < n; k++)
            if (bytes[i] < 2 || bytes[i] > 16 ||
                !ptx_emit(d, args[i].kind == A_VECTOR ? &args[i].items[k] : &args[i], 't', parts[bytes[i]])) {
                ptx_complain(d->module, d->statement->line, "%s: registers do not make up %u bytes",
                             d->statement->text, total);
                return false;
            }
        d->results = i ? d->results : n;
        d->sources = i ? n : 0;
    }
    return true;
}
