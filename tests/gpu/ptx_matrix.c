/* Matrix instructions of a warp: mma.sync and the loads and stores of its fragments.
 *
 * A register holds p = 32 / bits elements. With g = lane / 4 and t = lane % 4, register i of A has row
 * g + 8 (i % 2), columns p t + 4 p (i / 2) and on; register i of B has column g, rows p t + 4 p i and on;
 * element i of C and D has row g + 8 (i / 2), column 2 t + i % 2. */
#include "tests/gpu/ptx_number.h"
#include "tests/gpu/ptx_ops.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { M = 16, N = 8, MOST_K = 64 };

uint32_t ptx_element_bits(enum ptx_type t) {
    return t == T_F16 || t == T_BF16                              ? 16
           : t == T_TF32                                          ? 32
           : t == T_S8 || t == T_U8 || t == T_E4M3 || t == T_E5M2 ? 8
                                                                  : 0;
}

/* Words of elements to numbers, a loop for each kind; products of two such numbers are exact in double. */
#define EXPAND(per, expression)                                                                              \
    for (uint32_t i = 0; i < count; i++)                                                                     \
        for (uint32_t e = 0; e < per; e++) {                                                                 \
            const uint32_t v = words[i] >> (32 / per * e & 31);                                              \
            to[i * per + e] = (float)(expression);                                                           \
        }                                                                                                    \
    break
void ptx_expand(enum ptx_type t, const uint32_t *words, uint32_t count, float *to) {
    switch (t) {
    case T_F16:
        EXPAND(2, ptx_half((uint16_t)v));
    case T_BF16:
        EXPAND(2, ptx_bfloat((uint16_t)v));
    case T_S8:
        EXPAND(4, (int8_t)v);
    case T_U8:
        EXPAND(4, (uint8_t)v);
    case T_E4M3:
        EXPAND(4, ptx_unpack(&ptx_e4m3, v & 255));
    case T_E5M2:
        EXPAND(4, ptx_unpack(&ptx_e5m2, v & 255));
    default: /* tf32: the low bits are not looked at */
        for (uint32_t i = 0; i < count; i++) {
            uint32_t v = words[i] & 0xffffe000;
            memcpy(&to[i], &v, sizeof v);
        }
    }
}

static uint32_t reg(const struct warp *w, const struct operand *o, uint32_t lane) {
    return ((const uint32_t *)lanes_of(w, o))[lane];
}

/* sum[m][n] of M rows of A and N columns of B, exact but for the sum's own roundings in double. Pairs of
 * columns are a vector on every machine that runs this. */
typedef double twins __attribute__((vector_size(2 * sizeof(double))));
union columns {
    double of[N];
    twins pairs[N / 2];
};
static void multiply(uint32_t k, float a[M][MOST_K], union columns b[MOST_K], union columns sum[M]) {
    for (uint32_t m = 0; m < M; m++) {
        twins r0 = {0}, r1 = {0}, r2 = {0}, r3 = {0};
        for (uint32_t i = 0; i < k; i++) {
            const twins v = {(double)a[m][i], (double)a[m][i]};
            r0 += v * b[i].pairs[0];
            r1 += v * b[i].pairs[1];
            r2 += v * b[i].pairs[2];
            r3 += v * b[i].pairs[3];
        }
        sum[m].pairs[0] = r0;
        sum[m].pairs[1] = r1;
        sum[m].pairs[2] = r2;
        sum[m].pairs[3] = r3;
    }
}

/* vector: K; type, from, mode: of D and C, of A, of B. */
static void mma(struct warp *w, const struct insn *in, uint32_t mask) {
    float a[M][MOST_K], some[4 * LANES];
    union columns b[MOST_K], sum[M];
    enum ptx_type type_a = (enum ptx_type)in->from, type_b = (enum ptx_type)in->mode;
    uint32_t k = in->vector, bits = ptx_element_bits(type_a), p = 32 / bits;
    uint32_t regs_a = M * k * bits / 1024, regs_b = N * k * bits / 1024;
    ptx_whole_warp(w, in, mask);
    const struct operand *ops_a = in->ops + in->results, *ops_b = ops_a + regs_a, *ops_c = ops_b + regs_b;
    for (uint32_t i = 0; i < regs_a; i++) {
        ptx_expand(type_a, lanes_of(w, &ops_a[i]), LANES, some);
        for (uint32_t e = 0; e < p * LANES; e++)
            a[e / p / 4 + 8 * (i % 2)][e % (4 * p) + 4 * p * (i / 2)] = some[e];
    }
    for (uint32_t i = 0; i < regs_b; i++) {
        ptx_expand(type_b, lanes_of(w, &ops_b[i]), LANES, some);
        for (uint32_t e = 0; e < p * LANES; e++)
            b[p * (e / p % 4) + 4 * p * i + e % p].of[e / p / 4] = (double)some[e];
    }
    multiply(k, a, b, sum);
    for (uint32_t l = 0; l < LANES; l++)
        for (uint32_t i = 0; i < 4; i++) {
            double s = sum[l / 4 + 8 * (i / 2)].of[2 * (l % 4) + i % 2];
            if (in->type == T_F16) {
                double c = (double)ptx_half((uint16_t)(reg(w, &ops_c[i / 2], l) >> 16 * (i % 2)));
                ((uint16_t *)OP(i / 2))[2 * l + i % 2] = (uint16_t)ptx_pack(&ptx_f16, s + c, R_RN, false);
            } else if (in->type == T_F32) {
                union {
                    uint32_t u;
                    float f;
                } c = {reg(w, &ops_c[i], l)};
                c.f = (float)(s + (double)c.f);
                ((float *)OP(i))[l] = c.f;
            } else {
                int64_t v = (int64_t)s + (int32_t)reg(w, &ops_c[i], l);
                if (in->flags & F_SATFINITE) v = v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v;
                ((uint32_t *)OP(i))[l] = (uint32_t)v;
            }
        }
}

/* Addresses of rows come from lanes 0-7 for the first matrix, 8-15 for the second and so on. */
static void rows(struct warp *w, const struct insn *in, uint32_t mask, uint32_t operand, uint32_t count,
                 unsigned char *row[32], uint32_t address[32]) {
    ptx_whole_warp(w, in, mask);
    for (uint32_t l = 0; l < 8 * count; l++) {
        uint64_t a = ptx_address(w, in, operand, l, in->offset);
        if (in->space == S_GENERIC && ptx_space_of(&a) != S_SHARED)
            ptx_fail(w, in, l, "the address is not of shared memory");
        row[l] = ptx_shared(w, in, l, a, 16, 16);
        address[l] = (uint32_t)a;
    }
    for (uint32_t i = 0; i < count; i++) ptx_conflicts(w, in, 255u << 8 * i, address, 16);
}
static void load_matrix(struct warp *w, const struct insn *in, uint32_t mask) {
    unsigned char *row[32];
    uint32_t address[32] = {0}, count = in->results;
    rows(w, in, mask, count, count, row, address);
    for (uint32_t l = 0; l < 8 * count; l++) ptx_shared_read(w, in, l, address[l], 16, false);
    uint32_t value[4][LANES];
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t l = 0; l < LANES; l++) {
            uint16_t pair[2];
            for (uint32_t e = 0; e < 2; e++) {
                uint32_t r = in->flags & F_TRANS ? 2 * (l % 4) + e : l / 4,
                         c = in->flags & F_TRANS ? l / 4 : 2 * (l % 4) + e;
                memcpy(&pair[e], row[8 * i + r] + 2 * c, 2);
            }
            value[i][l] = pair[0] | (uint32_t)pair[1] << 16;
        }
    for (uint32_t i = 0; i < count; i++) memcpy(OP(i), value[i], sizeof value[i]);
}
static void store_matrix(struct warp *w, const struct insn *in, uint32_t mask) {
    unsigned char *row[32];
    uint32_t address[32] = {0}, count = in->sources - 1u;
    rows(w, in, mask, 0, count, row, address);
    for (uint32_t l = 0; l < 8 * count; l++) ptx_shared_write(w, in, l, address[l], 16, false);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t l = 0; l < LANES; l++)
            for (uint32_t e = 0; e < 2; e++) {
                uint32_t r = in->flags & F_TRANS ? 2 * (l % 4) + e : l / 4,
                         c = in->flags & F_TRANS ? l / 4 : 2 * (l % 4) + e;
                uint16_t v = (uint16_t)(reg(w, &in->ops[1 + i], l) >> 16 * e);
                memcpy(row[8 * i + r] + 2 * c, &v, 2);
            }
}

static const struct op_row matrix_rows[] = {
    {"mma", "sync", T_NONE, mma, NULL},
    {"ldmatrix", "m8n8", T_NONE, load_matrix, "R=a"},
    {"stmatrix", "m8n8", T_NONE, store_matrix, "=aR"},
};
OP_TABLE(ptx_matrix_ops, matrix_rows);

static bool no(struct decoder *d, const char *what) {
    ptx_complain(d->module, d->statement->line, "%s: %s", d->statement->text, what);
    return false;
}

/* What the hardware has: kinds of elements and their K. */
static const struct {
    enum ptx_type d, a;
    uint32_t k[2];
} shapes[] = {{T_F32, T_F16, {8, 16}},   {T_F16, T_F16, {8, 16}},   {T_F32, T_BF16, {8, 16}},
              {T_F32, T_TF32, {4, 8}},   {T_S32, T_S8, {16, 32}},   {T_S32, T_U8, {16, 32}},
              {T_F32, T_E4M3, {16, 32}}, {T_F32, T_E5M2, {16, 32}}, {T_F16, T_E4M3, {16, 32}},
              {T_F16, T_E5M2, {16, 32}}};

static bool mma_op(struct decoder *d, const struct opcode *o) {
    struct insn *in = d->insn;
    const struct statement *s = d->statement;
    unsigned k = 0;
    for (uint32_t i = 0; i < o->words_count; i++) sscanf(o->words[i], "m16n8k%u", &k);
    bool found = false;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && o->types_count == 4; i++)
        found |= shapes[i].d == o->types[0] && shapes[i].a == o->types[1] &&
                 (shapes[i].k[0] == k || shapes[i].k[1] == k);
    bool same = ptx_element_bits(o->types[1]) == 8
                    ? ptx_element_bits(o->types[2]) == 8 && (o->types[2] <= T_S8) == (o->types[1] <= T_S8)
                    : o->types[2] == o->types[1];
    if (!found || !same || o->types[3] != o->types[0] || !ptx_has(o, "row.col"))
        return no(d, "this matrix product is not known");
    in->vector = (uint8_t)k;
    in->from = (uint8_t)o->types[1];
    in->mode = (uint8_t)o->types[2];
    uint32_t bits = ptx_element_bits(o->types[1]), acc = o->types[0] == T_F16 ? 2 : 4;
    const uint32_t counts[4] = {acc, M * k * bits / 1024, N * k * bits / 1024, acc};
    if (s->count != 4) return no(d, "a matrix product has four operands");
    for (uint32_t i = 0; i < 4; i++) {
        const struct arg *a = &s->args[i];
        uint32_t n = a->kind == A_VECTOR ? a->count : 1;
        if (n != counts[i]) return no(d, "a fragment has another number of registers");
        for (uint32_t r = 0; r < n; r++)
            if (!ptx_emit(d, a->kind == A_VECTOR ? &a->items[r] : a, 'l', T_B32)) return false;
        if (!i) {
            d->results = n;
            d->sources = 0;
        }
    }
    return true;
}

bool ptx_matrix_op(struct decoder *d, const struct opcode *o, bool *known) {
    if (!strcmp(o->base, "mma")) {
        *known = true;
        return mma_op(d, o);
    }
    bool load = !strcmp(o->base, "ldmatrix"), store = !strcmp(o->base, "stmatrix");
    if (!load && !store) return true;
    d->insn->type = T_B32; /* of the registers */
    const struct statement *s = d->statement;
    const struct arg *a = s->count == 2 ? &s->args[load ? 0 : 1] : NULL;
    uint32_t n = a && a->kind == A_VECTOR ? a->count : 1;
    uint32_t wanted = ptx_has(o, "x4") ? 4 : ptx_has(o, "x2") ? 2 : 1;
    if (!ptx_has(o, "b16") || n != wanted) return no(d, "the number or kind of matrices is another");
    return true;
}
