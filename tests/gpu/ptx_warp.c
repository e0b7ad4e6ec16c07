/* What the lanes of a warp do together: shuffles, votes, matches, reductions. */
#include "tests/gpu/ptx_ops.h"
#include <string.h>

/* The lanes an instruction's mask operand names, which must be the same for all that are here. */
static bool together(struct warp *w, const struct insn *in, uint32_t mask, const struct operand *members,
                     uint32_t *need) {
    uint32_t lane = (uint32_t)__builtin_ctz(mask);
    *need = (uint32_t)lane_value(w, members, lane);
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        if ((uint32_t)lane_value(w, members, l) != *need)
            ptx_fail(w, in, l, "the lanes' member masks differ");
        if (!(*need >> l & 1)) ptx_fail(w, in, l, "the lane is not in the member mask %#x", *need);
    }
    if (*need & ~w->live)
        ptx_fail(w, in, lane, "lanes %#x of the member mask have ended or never were", *need & ~w->live);
    return ptx_converged(w, in, mask, *need);
}

/* mode: 0 up, 1 down, 2 bfly, 3 idx */
static void shuffle(struct warp *w, const struct insn *in, uint32_t mask) {
    const uint32_t *a = OP(in->results), *b = OP(in->results + 1), *c = OP(in->results + 2);
    uint32_t need, result[LANES], inside = 0;
    if (!together(w, in, mask, &in->ops[in->results + 3], &need)) return;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest), by = b[l] & 31, clamp = c[l] & 31,
                 segment = c[l] >> 8 & 31;
        uint32_t low = l & segment, high = low | (clamp & ~segment), from;
        bool good;
        if (in->mode == 0) {
            from = l - by;
            good = (int32_t)from >= (int32_t)high;
        } else {
            from = in->mode == 1 ? l + by : in->mode == 2 ? l ^ by : low | (by & ~segment);
            good = from <= high;
        }
        if (!good) from = l;
        if (!(mask >> from & 1)) ptx_fail(w, in, l, "reads lane %u, which is not active", from);
        result[l] = a[from];
        inside |= (uint32_t)good << l;
    }
    uint32_t *d = OP(0);
    EACH_LANE(d[l] = result[l]);
    if (in->results > 1) set_predicate(w, &in->ops[1], mask, inside);
}

static uint32_t voted(struct warp *w, const struct insn *in, uint32_t mask, bool *good) {
    uint32_t need;
    *good = together(w, in, mask, &in->ops[2], &need);
    return (predicate(w, &in->ops[1]) ^ (in->flags & F_NOT ? UINT32_MAX : 0)) & mask;
}
#define VOTE(name, expression)                                                                               \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) {                                 \
        bool good;                                                                                           \
        uint32_t set = voted(w, in, mask, &good);                                                            \
        if (good) set_predicate(w, &in->ops[0], mask, (expression) ? UINT32_MAX : 0);                        \
    }
VOTE(vote_all, set == mask)
VOTE(vote_any, set != 0)
VOTE(vote_uni, set == mask || !set)
static void vote_ballot(struct warp *w, const struct insn *in, uint32_t mask) {
    bool good;
    uint32_t set = voted(w, in, mask, &good), *d = OP(0);
    if (good) EACH_LANE(d[l] = set);
}
static void active_mask(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t *d = OP(0);
    EACH_LANE(d[l] = w->mask);
}

static void match_any(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t need, result[LANES], *d = OP(0);
    if (!together(w, in, mask, &in->ops[2], &need)) return;
    for (uint32_t l = 0; l < LANES; l++) {
        result[l] = 0;
        for (uint32_t rest = mask; rest; rest &= rest - 1)
            if (lane_value(w, &in->ops[1], (uint32_t)__builtin_ctz(rest)) == lane_value(w, &in->ops[1], l))
                result[l] |= rest & -rest;
    }
    EACH_LANE(d[l] = result[l]);
}
static void match_all(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t need, *d = OP(0), first = (uint32_t)__builtin_ctz(mask);
    if (!together(w, in, mask, &in->ops[in->results + 1], &need)) return;
    bool same = true;
    for (uint32_t rest = mask; rest; rest &= rest - 1)
        same &= lane_value(w, &in->ops[in->results], (uint32_t)__builtin_ctz(rest)) ==
                lane_value(w, &in->ops[in->results], first);
    EACH_LANE(d[l] = same ? mask : 0);
    if (in->results > 1) set_predicate(w, &in->ops[1], mask, same ? UINT32_MAX : 0);
}

#define REDUCE(name, T, expression)                                                                          \
    static void name(struct warp *w, const struct insn *in, uint32_t mask) {                                 \
        uint32_t need;                                                                                       \
        if (!together(w, in, mask, &in->ops[2], &need)) return;                                              \
        T *d = OP(0), r = ((const T *)OP(1))[__builtin_ctz(mask)];                                           \
        const T *v = OP(1);                                                                                  \
        for (uint32_t rest = mask & (mask - 1); rest; rest &= rest - 1) {                                    \
            const T b = v[__builtin_ctz(rest)];                                                              \
            r = expression;                                                                                  \
        }                                                                                                    \
        EACH_LANE(d[l] = r);                                                                                 \
    }
REDUCE(redux_add, uint32_t, r + b)
REDUCE(redux_and, uint32_t, r &b)
REDUCE(redux_or, uint32_t, r | b)
REDUCE(redux_xor, uint32_t, r ^ b)
REDUCE(redux_min_u, uint32_t, b < r ? b : r)
REDUCE(redux_max_u, uint32_t, b > r ? b : r)
REDUCE(redux_min_s, int32_t, b < r ? b : r)
REDUCE(redux_max_s, int32_t, b > r ? b : r)

/* elect.sync: one lane of the members, here the first. */
static void elect(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t need, *d = OP(0);
    if (!together(w, in, mask, &in->ops[2], &need)) return;
    uint32_t leader = (uint32_t)__builtin_ctz(mask);
    EACH_LANE(d[l] = leader);
    set_predicate(w, &in->ops[1], mask, 1u << leader);
}

static const struct op_row rows[] = {
    {"shfl", "sync", T_B32, shuffle, "E=lltl"},     {"vote", "all", T_PRED, vote_all, "p=pl"},
    {"vote", "any", T_PRED, vote_any, "p=pl"},      {"vote", "uni", T_PRED, vote_uni, "p=pl"},
    {"vote", "ballot", T_B32, vote_ballot, "l=pl"}, {"activemask", NULL, T_B32, active_mask, "l="},
    {"match", "any", T_NONE, match_any, "l=tl"},    {"match", "all", T_NONE, match_all, "E=tl"},
    {"redux", "add", T_U32, redux_add, "l=ll"},     {"redux", "add", T_S32, redux_add, "l=ll"},
    {"redux", "min", T_U32, redux_min_u, "l=ll"},   {"redux", "min", T_S32, redux_min_s, "l=ll"},
    {"redux", "max", T_U32, redux_max_u, "l=ll"},   {"redux", "max", T_S32, redux_max_s, "l=ll"},
    {"redux", "and", T_B32, redux_and, "l=ll"},     {"redux", "or", T_B32, redux_or, "l=ll"},
    {"redux", "xor", T_B32, redux_xor, "l=ll"},     {"elect", "sync", T_NONE, elect, "E=l"},
};
OP_TABLE(ptx_warp_ops, rows);
