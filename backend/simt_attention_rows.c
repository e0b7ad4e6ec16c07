/* Rows of attention by tensor cores, as fragments in a warp's registers: their queries, scores and weights, states. */
#include "backend/simt_attention_rows.h"
#include "backend/emit_math.h"
#include "backend/simt.h"

typedef LLVMValueRef V;

/* ---- queries ---- */

/* Lane l's dims of a word: `first` + 2 (l%4), + 1. */
static struct index pair_at(struct emitter *e, int64_t first) {
    struct index quarter = index_rem_by(e, simt_lanes(e), 4, e->lanes);
    return index_add(e, index_scale_by(e, quarter, 2, e->lanes), index_constant(e, first), e->lanes);
}

static struct index row_at(struct emitter *e, V first, int half) {
    struct index row = index_div_by(e, simt_lanes(e), 4, e->lanes);
    return index_add(e, index_uniform(emit_add(e, first, emit_i64(e, 8 * half))), row, e->lanes);
}

static V query_word(struct emitter *e, const struct simt_attention *a, const struct attention_rows *r,
                    int half, int64_t first) {
    V dims[2];
    for (int i = 0; i < 2; i++) {
        struct index d = index_add(e, pair_at(e, first), index_constant(e, i), e->lanes);
        struct point p = simt_attention_point(a, r->query[half], r->head[half], d, e->lanes);
        if (a->sdpa.dim % PAIR_KEYS) {
            V end = emit_splat(e, emit_i64(e, a->sdpa.dim), e->lanes);
            p.mask = LLVMBuildICmp(e->builder, LLVMIntSLT, index_vector(e, &d, e->lanes), end, "");
        }
        dims[i] = simt_attention_factor(e, a, a->sdpa.q, &p);
        if (!dims[i]) return LLVMConstNull(emit_vector(e, e->i32, e->lanes));
        V zero = LLVMConstNull(LLVMTypeOf(dims[i]));
        if (p.mask) dims[i] = LLVMBuildSelect(e->builder, p.mask, dims[i], zero, "");
    }
    return mma_pair(e, a->mma->k.type, dims[0], dims[1]);
}

void attention_find_rows(struct emitter *e, const struct simt_attention *a, struct attention_rows *r) {
    V rows = emit_i64(e, MMA_ROWS), last = emit_sub(e, a->rows_end, emit_i64(e, 1));
    r->first = a->mma->many ? emit_mul(e, e->warp, rows) : emit_i64(e, 0);
    r->factor = a->sdpa.scale * LOG2_E;
    for (int h = 0; h < HALVES; h++) {
        struct index row = row_at(e, emit_add(e, a->first_row, r->first), h);
        row = mma_limit(e, row, last);
        r->query[h] = index_div_by(e, row, a->sdpa.group, e->lanes);
        r->head[h] = index_add(e, index_rem_by(e, row, a->sdpa.group, e->lanes),
                               index_uniform(simt_attention_head(e, a, emit_i64(e, 0))), e->lanes);
    }
    for (int k = 0; k < a->mma->k.chunks / 2; k++)
        for (int i = 0; i < 4; i++) r->queries[k][i] = query_word(e, a, r, i % 2, k * 16 + i / 2 * 8);
}

/* ---- scores ---- */

void attention_hide(struct emitter *e, const struct simt_attention *a, const struct attention_rows *r,
                    V first, V *s) {
    LLVMTypeRef floats = emit_vector(e, e->f32, e->lanes);
    V ends[HALVES], end = emit_splat(e, a->end_key, e->lanes), last = emit_sub(e, a->end_key, emit_i64(e, 1));
    for (int h = 0; h < HALVES; h++) {
        V query = index_vector(e, &r->query[h], e->lanes), past = emit_splat(e, a->past, e->lanes);
        V one = emit_splat(e, emit_i64(e, 1), e->lanes);
        ends[h] = a->sdpa.causal ? emit_min(e, end, emit_add(e, emit_add(e, past, query), one)) : end;
    }
    for (int i = 0; i < a->mma->pairs * 2 * MMA_SUMS; i++) {
        int h = i % MMA_SUMS / 2;
        struct index key = pair_at(e, i / MMA_SUMS * MMA_OUTPUTS + i % 2);
        key = index_add(e, key, index_uniform(first), e->lanes);
        if (a->sdpa.mask) {
            V mask = sdpa_mask(e, &a->sdpa, r->head[h], r->query[h], mma_limit(e, key, last), NULL);
            s[i] = LLVMBuildFMul(e->builder, s[i], emit_constant_like(floats, r->factor), "");
            s[i] = sdpa_apply_mask(e, &a->sdpa, mask, s[i]);
        }
        V sees = LLVMBuildICmp(e->builder, LLVMIntSLT, index_vector(e, &key, e->lanes), ends[h], "");
        s[i] = LLVMBuildSelect(e->builder, sees, s[i], emit_constant_like(floats, -__builtin_inf()), "");
    }
}

static V of_quad(struct emitter *e, V x, V (*join)(struct emitter *e, V a, V b)) {
    x = join(e, x, simt_shuffle_xor(e, x, 1));
    return join(e, x, simt_shuffle_xor(e, x, 2));
}
/* One instruction; scores that are NaN make weights that are. */
static V larger(struct emitter *e, V a, V b) { return emit_binary(e, "llvm.maxnum", a, b); }
static V sum(struct emitter *e, V a, V b) { return LLVMBuildFAdd(e->builder, a, b, ""); }

/* 2^(factor * x - shift) */
static V weight(struct emitter *e, const struct simt_attention *a, V x, double factor, V shift) {
    V at = emit_fma(e, x, emit_constant_like(LLVMTypeOf(x), factor), LLVMBuildFNeg(e->builder, shift, ""));
    return math_exp2_falling(e, at, a->mma->k.type);
}

/* Scores of one half's rows into weights; largest and total follow. What is to be kept of the total so far, and of sums. */
static V soften_half(struct emitter *e, const struct simt_attention *a, double factor, int half, V *s,
                     V *state) {
    int count = a->mma->pairs * 2 * MMA_SUMS;
    V largest = state[LARGEST + half], *total = &state[TOTAL + half];
    LLVMTypeRef floats = LLVMTypeOf(largest);
    for (int i = 0; i < count; i++)
        if (i % MMA_SUMS / 2 == half) largest = larger(e, largest, s[i]);
    largest = of_quad(e, largest, larger);
    V none =
        LLVMBuildFCmp(e->builder, LLVMRealOEQ, largest, emit_constant_like(floats, -__builtin_inf()), "");
    V shift = LLVMBuildFMul(e->builder, largest, emit_constant_like(floats, factor), "");
    shift = LLVMBuildSelect(e->builder, none, LLVMConstNull(floats), shift, "");
    V keep = weight(e, a, state[LARGEST + half], factor, shift);
    state[LARGEST + half] = largest;
    *total = LLVMBuildFMul(e->builder, *total, keep, "");
    for (int i = 0; i < count; i++)
        if (i % MMA_SUMS / 2 == half) *total = sum(e, *total, s[i] = weight(e, a, s[i], factor, shift));
    return keep;
}

void attention_soften(struct emitter *e, const struct simt_attention *a, const struct attention_rows *r, V *s,
                      V *state, V keep[HALVES]) {
    for (int h = 0; h < HALVES; h++) keep[h] = soften_half(e, a, a->sdpa.mask ? 1 : r->factor, h, s, state);
}

void attention_keep(struct emitter *e, const struct simt_attention *a, const V keep[HALVES], V *state) {
    for (int i = 0; i < a->mma->v.chunks * MMA_SUMS; i++)
        state[SUMS + i] = LLVMBuildFMul(e->builder, state[SUMS + i], keep[i % MMA_SUMS / 2], "");
}

void attention_weights(struct emitter *e, const struct simt_attention_mma *m, const V *s, V words[4]) {
    for (int i = 0; i < 4; i++) words[i] = mma_pair(e, m->v.type, s[2 * i], s[2 * i + 1]);
}

/* ---- states ---- */

void attention_store_state(struct emitter *e, const struct simt_attention *a, const struct attention_rows *r,
                           V *state) {
    V to = a->mma->many ? a->joined
                        : emit_offset(e, a->of_warps, emit_mul(e, e->warp, emit_i64(e, a->warp_step)));
    V zero = emit_i64(e, 0), tiles_of_row[MAX_CARRIED];
    struct index quarter = index_rem_by(e, index_lanes(zero, e->lanes), 4, e->lanes);
    V one = LLVMBuildICmp(e->builder, LLVMIntEQ, index_vector(e, &quarter, e->lanes),
                          emit_splat(e, zero, e->lanes), "");
    for (int h = 0; h < HALVES; h++) {
        struct index row = row_at(e, r->first, h);
        V largest = state[LARGEST + h];
        V factor = emit_constant_like(LLVMTypeOf(largest), a->sdpa.mask ? 1 : r->factor);
        largest = LLVMBuildFMul(e->builder, largest, factor, "");
        emit_store_at(e, largest, simt_state_largest(e, a, to, zero), row, e->lanes, one);
        emit_store_at(e, of_quad(e, state[TOTAL + h], sum), simt_state_total(e, a, to, zero), row, e->lanes,
                      one);
    }
    int outputs = a->chunks * e->lanes, count = outputs / MMA_OUTPUTS * MMA_SUMS;
    for (int i = 0; i < count; i++)
        tiles_of_row[i] =
            i < a->mma->v.chunks * MMA_SUMS ? state[SUMS + i] : emit_splat(e, emit_f32(e, 0), e->lanes);
    struct mma_sums sums = {simt_state_sums(e, a, to, zero, zero), a->stride};
    mma_store_sums(e, tiles_of_row, MMA_ROWS, outputs, r->first, zero, &sums);
}
