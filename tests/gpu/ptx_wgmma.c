/* wgmma: products of a warp group, 64 rows by N columns, of which a warp has 16 rows; B, and A unless it is
 * in registers, are in shared memory as a descriptor says. What it reads is read when it is issued and held to be read until
 * it is waited for; until then what it makes is in registers that were never written. */
#include "tests/gpu/ptx_number.h"
#include "tests/gpu/ptx_ops.h"
#include "tests/gpu/ptx_tile.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_N = 256, MOST_K = 32 };

enum { NEGATIVE = 1, A_TRANSPOSED = 2, B_TRANSPOSED = 4 };

/* Bits 0-13 address, 16-29 leading and 32-45 stride offset, all of them / 16; 62-63: no swizzle, 128, 64, 32
 * bytes. */
static struct tile tile(uint64_t bits, bool transposed) {
    static const uint8_t swizzles[] = {0, 3, 2, 1};
    struct tile t = ptx_tile(bits, swizzles[bits >> 62]);
    t.transposed = transposed;
    return t;
}

static void note_read(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address) {
    if (w->reads_count == w->reads_room) {
        w->reads_room = w->reads_room ? 2 * w->reads_room : 256;
        w->reads = realloc(w->reads, w->reads_room * sizeof *w->reads);
    }
    w->reads[w->reads_count++] = (struct reads){address, 16, w->product_group, in};
    ptx_shared_read(w, in, lane, address, 16, false);
}

static void note_registers(struct warp *w, const struct insn *in, const struct operand *ops) {
    if (w->factors_count == w->factors_room) {
        w->factors_room = w->factors_room ? 2 * w->factors_room : 64;
        w->factors = realloc(w->factors, w->factors_room * sizeof *w->factors);
    }
    struct read_registers *f = &w->factors[w->factors_count++];
    *f = (struct read_registers){.first = ops, .group = w->product_group, .in = in};
    for (uint32_t i = 0; i < 4; i++) memcpy(f->value[i], lanes_of(w, &ops[i]), sizeof f->value[i]);
}

/* Element e of register i of A in registers: as mma's. */
static void gather_registers(struct warp *w, const struct insn *in, const struct operand *ops,
                             enum ptx_type type, uint32_t k, float *to) {
    note_registers(w, in, ops);
    uint32_t width = ptx_element_bits(type), p = 32 / width;
    float some[4 * LANES];
    for (uint32_t i = 0; i < 4; i++) {
        ptx_expand(type, lanes_of(w, &ops[i]), LANES, some);
        for (uint32_t e = 0; e < p * LANES; e++)
            to[(e / p / 4 + 8 * (i % 2)) * k + e % (4 * p) + 4 * p * (i / 2)] = some[e];
    }
}

static void store_sums(struct warp *w, const struct insn *in, uint32_t n, const double *sums, bool keep) {
    for (uint32_t l = 0; l < LANES; l++)
        for (uint32_t i = 0; i < n / 2; i++) {
            double s = sums[(l / 4 + 8 * (i / 2 % 2)) * MOST_N + i / 4 * 8 + 2 * (l % 4) + i % 2];
            if (in->type == T_F32) {
                float *d = (float *)OP(i) + l;
                *d = (float)(s + (keep ? (double)*d : 0));
            } else if (in->type == T_F16) {
                uint16_t *d = (uint16_t *)OP(i / 2) + 2 * l + i % 2;
                *d = (uint16_t)ptx_pack(&ptx_f16, s + (keep ? (double)ptx_half(*d) : 0), R_RN, false);
            } else {
                uint32_t *d = (uint32_t *)OP(i) + l;
                *d = (uint32_t)(int64_t)s + (keep ? *d : 0);
            }
        }
}

/* results: D. sources: A (a descriptor or four registers), B, whether D is added. compare: N / 8; vector: K;
 * round: whether the product is NEGATIVE, ... */
static void product(struct warp *w, const struct insn *in, uint32_t mask) {
    static _Thread_local float a[16 * MOST_K], b[MOST_N * MOST_K];
    static _Thread_local double sums[16 * MOST_N];
    uint32_t k = in->vector, n = in->compare * 8u, regs_a = in->mode;
    ptx_whole_warp(w, in, mask);
    const struct operand *src = in->ops + in->results;
    enum ptx_type type_a = (enum ptx_type)in->from, type_b = (enum ptx_type)in->combine;
    if (regs_a)
        gather_registers(w, in, src, type_a, k, a);
    else
        ptx_gather(w, in, 0, tile(lane_value(w, &src[0], 0), in->round & A_TRANSPOSED), type_a,
                   w->number % 4 * 16, 16, k, note_read, a);
    src += regs_a ? regs_a : 1;
    ptx_gather(w, in, 0, tile(lane_value(w, &src[0], 0), in->round & B_TRANSPOSED), type_b, 0, n, k,
               note_read, b);
    bool keep = predicate(w, &src[1]) & 1;
    for (uint32_t l = 0; l < in->results; l++) {
        uint32_t reg = in->ops[l].reg;
        if (keep && !w->made[reg] && w->written[reg] != UINT32_MAX)
            ptx_fail(w, in, 0, "adds to a register that was never written");
        w->made[reg] = w->product_group + 1;
        w->written[reg] = 0;
    }
    double sign = in->round & NEGATIVE ? -1 : 1;
    for (uint32_t m = 0; m < 16; m++)
        for (uint32_t j = 0; j < n; j++) {
            double s = 0;
            for (uint32_t i = 0; i < k; i++) s += (double)a[m * k + i] * (double)b[j * k + i];
            sums[m * MOST_N + j] = sign * s;
        }
    store_sums(w, in, n, sums, keep);
}

static void commit(struct warp *w, const struct insn *in, uint32_t mask) {
    (void)in, (void)mask;
    w->product_group++;
}
/* What products of groups before `first` read of registers, and make. */
static void release_registers(struct warp *w, const struct insn *in, uint32_t first) {
    size_t kept = 0;
    for (size_t i = 0; i < w->factors_count; i++) {
        const struct read_registers *f = &w->factors[i];
        for (uint32_t r = 0; r < 4; r++)
            if (memcmp(f->value[r], lanes_of(w, &f->first[r]), sizeof f->value[r]))
                ptx_fail(w, f->in, 0, "a register that the product reads was written before the wait for it");
        if (f->group >= first) w->factors[kept++] = *f;
    }
    w->factors_count = kept;
    for (uint32_t r = 0; r < w->block->kernel->registers_count; r++) {
        if (w->made[r] && w->written[r])
            ptx_fail(w, in, 0, "a register that a product makes was written before this wait");
        if (!w->made[r] || w->made[r] > first) continue;
        w->made[r] = 0;
        w->written[r] = UINT32_MAX;
    }
}

/* Until here nobody may have changed what the products read. */
static void wait(struct warp *w, const struct insn *in, uint32_t mask) {
    uint32_t pending = (uint32_t)lane_value(w, &in->ops[0], (uint32_t)__builtin_ctz(mask));
    uint32_t first = w->product_group > pending ? w->product_group - pending : 0;
    size_t kept = 0;
    for (size_t i = 0; i < w->reads_count; i++) {
        const struct reads *r = &w->reads[i];
        if (r->group >= first)
            w->reads[kept++] = *r;
        else
            ptx_shared_read(w, r->in, 0, r->address, r->bytes, false);
    }
    w->reads_count = kept;
    release_registers(w, in, first);
}
static void nothing(struct warp *w, const struct insn *in, uint32_t mask) { (void)w, (void)in, (void)mask; }

static const struct op_row rows[] = {
    {"wgmma", "mma_async", T_NONE, product, NULL},
    {"wgmma", "fence", T_NONE, nothing, "="},
    {"wgmma", "commit_group", T_NONE, commit, "="},
    {"wgmma", "wait_group", T_NONE, wait, "=l"},
};
OP_TABLE(ptx_wgmma_ops, rows);

static bool no(struct decoder *d, const char *what) {
    ptx_complain(d->module, d->statement->line, "%s: %s", d->statement->text, what);
    return false;
}
/* Two scales are 1 or -1; of elements of 16 bits alone there are transpositions, 0 or 1: of B, of A too unless it is in registers. */
static bool immediates(struct decoder *d, uint32_t from) {
    const struct statement *s = d->statement;
    uint32_t flags = 0, turns = ptx_element_bits(d->insn->from) != 16 ? 0 : d->insn->mode ? 1 : 2;
    if (s->count != from + 2 + turns) return no(d, "another number of operands");
    for (uint32_t i = from; i < s->count; i++) {
        const struct arg *a = &s->args[i];
        int64_t v = (int64_t)a->bits;
        bool scale = i < from + 2;
        if (a->kind != A_INTEGER || (v != 1 && v != (scale ? -1 : 0)))
            return no(d, "scales are 1 or -1, transpositions 0 or 1");
        if (scale && v == -1) flags ^= NEGATIVE;
        if (!scale && v) flags |= i + 1 == s->count ? B_TRANSPOSED : A_TRANSPOSED;
    }
    d->insn->round = (uint8_t)flags;
    return true;
}

bool ptx_wgmma_op(struct decoder *d, const struct opcode *o, bool *known) {
    const struct statement *s = d->statement;
    struct insn *in = d->insn;
    if (in->run != product) return true;
    *known = true;
    in->flags |= F_NOTES;
    unsigned n = 0, k = 0;
    for (uint32_t i = 0; i < o->words_count; i++) sscanf(o->words[i], "m64n%uk%u", &n, &k);
    enum ptx_type dt = o->types[0], at = o->types[1], bt = o->types[2];
    uint32_t width = ptx_element_bits(at);
    bool whole = at == T_S8 || at == T_U8, eight = width == 8;
    bool types = o->types_count == 3 && width && ptx_element_bits(bt) == width && (eight || at == bt) &&
                 (whole ? dt == T_S32 : dt == T_F32 || (dt == T_F16 && at != T_BF16 && at != T_TF32));
    if (!types || !n || n % 8 || n > MOST_N || k != 256 / width)
        return no(d, "this matrix product is not known");
    uint32_t results = dt == T_F16 ? n / 4 : n / 2;
    if (s->count < 4 || s->args[0].kind != A_VECTOR || s->args[0].count != results)
        return no(d, "D has another number of registers");
    for (uint32_t i = 0; i < results; i++)
        if (!ptx_emit(d, &s->args[0].items[i], 'l', T_B32)) return false;
    d->results = results;
    d->sources = 0;
    if (s->args[1].kind == A_VECTOR) {
        in->mode = 4;
        if (s->args[1].count != 4) return no(d, "A has another number of registers");
        for (uint32_t i = 0; i < 4; i++)
            if (!ptx_emit(d, &s->args[1].items[i], 'l', T_B32)) return false;
    } else if (!ptx_emit(d, &s->args[1], 'q', T_B64))
        return false;
    if (!ptx_emit(d, &s->args[2], 'q', T_B64) || !ptx_emit(d, &s->args[3], 'p', T_PRED)) return false;
    in->type = (uint8_t)dt;
    in->from = (uint8_t)at;
    in->combine = (uint8_t)bt;
    in->compare = (uint8_t)(n / 8);
    in->vector = (uint8_t)k;
    return immediates(d, 4);
}
