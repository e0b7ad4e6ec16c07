/* Attention by multiply-adds: keys are lanes for scores, dims for values.
 *
 *     warp w:  for keys 32 w, 32 w + 1, ... then on by 32 * warps:
 *                  s = scale * log2(e) * q k^T         a lane a key; k is loaded once for all rows
 *                  m' = max(m, max s)    p = 2^(s - m')    l = l * 2^(m - m') + sum p
 *                  o = o * 2^(m - m') + sum of p v     a lane a dim, p by shuffles
 */
#include "backend/simt.h"
#include "backend/simt_attention.h"
#include "ir/number.h"

enum {
    DIMS = 16, /* multiplied in a step: so many loads are under way at once */
    QUAD = 4,  /* elements of q that a load from shared memory brings */
    KEYS = 8,  /* whose values are added in a step */
    LARGEST = 0,
    TOTAL = 1,
    SUMS = 2 /* of a row's state in registers */
};

typedef LLVMValueRef V;

/* The unit's queries in f32, in shared memory: [rows][dims in whole steps]. */
int64_t simt_fma_bytes(const struct simt_attention *a) {
    return a->rows * round_up(a->sdpa.dim, DIMS) * (int64_t)sizeof(float);
}

static V query_at(struct emitter *e, const struct simt_attention *a, V row, V d) {
    V at = emit_add(e, emit_mul(e, row, emit_i64(e, round_up(a->sdpa.dim, DIMS))), d);
    return emit_offset(e, a->memory, emit_mul(e, at, emit_i64(e, sizeof(float))));
}

/* The unit's queries, row by row, with zeros up to a whole quad. */
static void stage_queries(struct emitter *e, const struct simt_attention *a) {
    struct emit_loop rows;
    emit_loop_begin(e, &rows, e->warp, emit_i64(e, a->rows), e->block_warps, 0, NULL);
    V row = simt_attention_row(e, a, rows.counter);
    struct index query = index_uniform(simt_attention_query(e, a, row));
    V head = simt_attention_head(e, a, row);
    for (int64_t d = 0; d < a->sdpa.dim; d += e->lanes) {
        struct point p = simt_attention_point(a, query, index_uniform(head),
                                              index_lanes(emit_i64(e, d), e->lanes), e->lanes);
        if (d + e->lanes > a->sdpa.dim)
            p.mask = p.tail = emit_tail_mask(e, emit_i64(e, d), emit_i64(e, a->sdpa.dim), e->lanes);
        V x = simt_attention_factor(e, a, a->sdpa.q, &p);
        V end = emit_i64(e, round_up(a->sdpa.dim, QUAD)),
          stored = p.mask ? emit_tail_mask(e, emit_i64(e, d), end, e->lanes) : NULL;
        if (x) emit_store_lanes(e, x, query_at(e, a, rows.counter, emit_i64(e, d)), stored);
    }
    emit_loop_end(e, &rows, NULL);
    simt_block_barrier(e);
}

/* sums[row] += q[row][d ..] k[d ..], `count` dims of 32 keys. */
static void add_products(struct emitter *e, const struct simt_attention *a, struct index key, struct index d,
                         int count, V *sums) {
    V k[QUAD] = {0};
    for (int i = 0; i < count; i++) {
        struct index at = index_add(e, d, index_constant(e, i), 1);
        struct point p = simt_attention_point(a, key, index_uniform(a->sdpa.key_head), at, e->lanes);
        k[i] = simt_attention_factor(e, a, a->sdpa.k, &p);
        if (!k[i]) return;
    }
    for (int r = 0; r < a->rows; r++) {
        V quad = LLVMBuildLoad2(e->builder, LLVMVectorType(e->f32, QUAD),
                                query_at(e, a, emit_i64(e, r), index_vector(e, &d, 1)), "");
        LLVMSetAlignment(quad, QUAD * 4);
        for (int i = 0; i < count; i++) {
            V q = LLVMBuildExtractElement(e->builder, quad, emit_i32(e, i), "");
            sums[r] = emit_fma(e, emit_splat(e, q, e->lanes), k[i], sums[r]);
        }
    }
}

/* q . k of all rows for 32 keys, DIMS at a time. */
static void products(struct emitter *e, const struct simt_attention *a, struct index key, V *sums) {
    int64_t dim = a->sdpa.dim, whole = dim / DIMS * DIMS;
    struct emit_loop dims;
    for (int r = 0; r < a->rows; r++) sums[r] = emit_splat(e, emit_f32(e, 0), e->lanes);
    emit_loop_begin(e, &dims, emit_i64(e, 0), emit_i64(e, whole), DIMS, a->rows, sums);
    for (int r = 0; r < a->rows; r++) sums[r] = dims.carried[r];
    struct index first = {dims.counter, 0, DIMS, NULL};
    for (int i = 0; i < DIMS; i += QUAD)
        add_products(e, a, key, index_add(e, first, index_constant(e, i), 1), QUAD, sums);
    emit_loop_end(e, &dims, sums);
    for (int r = 0; r < a->rows; r++) sums[r] = dims.carried[r];
    for (int64_t d = whole; d < dim; d += QUAD)
        add_products(e, a, key, index_constant(e, d), dim - d < QUAD ? (int)(dim - d) : QUAD, sums);
}

/* Scores of a row in base 2, -inf where it does not see a key. */
static V hide(struct emitter *e, const struct simt_attention *a, int row, V first, struct index key,
              V score) {
    LLVMTypeRef type = LLVMTypeOf(score);
    V flat = simt_attention_row(e, a, emit_i64(e, row)), query = simt_attention_query(e, a, flat);
    V end = sdpa_visible(e, &a->sdpa, a->past, query, a->end_key);
    score = LLVMBuildFMul(e->builder, score, emit_constant_like(type, a->sdpa.scale * LOG2_E), "");
    if (a->sdpa.mask) {
        V mask = sdpa_mask(e, &a->sdpa, index_uniform(simt_attention_head(e, a, flat)), index_uniform(query),
                           key, NULL);
        score = sdpa_apply_mask(e, &a->sdpa, mask, score);
    }
    V exists = emit_tail_mask(e, first, end, e->lanes);
    return LLVMBuildSelect(e->builder, exists, score, emit_constant_like(type, -__builtin_inf()), "");
}

/* sums[row] += p[row] v of key number `key` from `first` on; of what is not there p is 0, and the last one is
 * read instead. */
static void add_value(struct emitter *e, const struct simt_attention *a, V first, V count, V key, const V *p,
                      V *sums) {
    V last = emit_sub(e, count, emit_i64(e, 1)), lane = LLVMBuildTrunc(e->builder, key, e->i32, "");
    struct index position = index_uniform(emit_add(e, first, emit_min(e, key, last)));
    V one[SIMT_FMA_ROWS];
    for (int r = 0; r < a->rows; r++) one[r] = emit_splat(e, simt_shuffle_from(e, p[r], lane), e->lanes);
    for (int i = 0; i < a->chunks; i++) {
        V begin = emit_i64(e, (int64_t)i * e->lanes);
        struct point v = simt_attention_point(a, position, index_uniform(a->sdpa.key_head),
                                              index_lanes(begin, e->lanes), e->lanes);
        if ((i + 1) * e->lanes > a->sdpa.value_dim)
            v.mask = v.tail = emit_tail_mask(e, begin, emit_i64(e, a->sdpa.value_dim), e->lanes);
        V x = simt_attention_factor(e, a, a->sdpa.v, &v);
        for (int r = 0; x && r < a->rows; r++)
            sums[r * a->chunks + i] = emit_fma(e, one[r], x, sums[r * a->chunks + i]);
    }
}

/* The same for `count` keys, KEYS at a time. */
static void add_values(struct emitter *e, const struct simt_attention *a, V first, V count, const V *p,
                       V *sums) {
    int all = a->rows * a->chunks;
    struct emit_loop keys;
    emit_loop_begin(e, &keys, emit_i64(e, 0), count, KEYS, all, sums);
    for (int i = 0; i < all; i++) sums[i] = keys.carried[i];
    for (int k = 0; k < KEYS; k++)
        add_value(e, a, first, count, emit_add(e, keys.counter, emit_i64(e, k)), p, sums);
    emit_loop_end(e, &keys, sums);
    for (int i = 0; i < all; i++) sums[i] = keys.carried[i];
}

/* 32 keys from `first` on; in place of those that are not there the last one, so that no load needs a mask.
 */
static struct index existing_keys(struct emitter *e, V first, V end) {
    struct index key = index_lanes(first, e->lanes);
    V last = emit_splat(e, emit_sub(e, end, emit_i64(e, 1)), e->lanes);
    return (struct index){.vector = emit_min(e, index_vector(e, &key, e->lanes), last), .align = 1};
}

/* Scores of 32 keys into all rows' largest, totals and sums; p: their weights. */
static void add_scores(struct emitter *e, const struct simt_attention *a, V first, struct index key, V *state,
                       V *p) {
    V *sums = state + SUMS * a->rows;
    for (int r = 0; r < a->rows; r++) {
        V *largest = &state[LARGEST * a->rows + r], *total = &state[TOTAL * a->rows + r];
        V score = hide(e, a, r, first, key, p[r]), before = *largest;
        *largest = emit_larger(e, before, emit_largest_lane(e, score));
        p[r] = simt_attention_falling(e, a, score, *largest);
        V keep = simt_attention_falling(e, a, before, *largest);
        *total = emit_fma(e, *total, keep, emit_horizontal(e, SCALAR_add, p[r]));
        p[r] = emit_round(e, a->compute, p[r]);
        for (int i = 0; i < a->chunks; i++)
            sums[r * a->chunks + i] =
                LLVMBuildFMul(e->builder, sums[r * a->chunks + i], emit_splat(e, keep, e->lanes), "");
    }
}

static void store_state(struct emitter *e, const struct simt_attention *a, const V *state) {
    V to = emit_offset(e, a->of_warps, emit_mul(e, e->warp, emit_i64(e, a->warp_step)));
    for (int r = 0; r < a->rows; r++) {
        V row = emit_i64(e, r);
        LLVMBuildStore(e->builder, state[LARGEST * a->rows + r], simt_state_largest(e, a, to, row));
        LLVMBuildStore(e->builder, state[TOTAL * a->rows + r], simt_state_total(e, a, to, row));
        for (int i = 0; i < a->chunks; i++)
            emit_store_lanes(e, state[SUMS * a->rows + r * a->chunks + i],
                             simt_state_sums(e, a, to, row, emit_i64(e, (int64_t)i * e->lanes)), NULL);
    }
}

void simt_attend_fma(struct emitter *e, const struct simt_attention *a) {
    V state[MAX_CARRIED], p[SIMT_FMA_ROWS], lanes = emit_i64(e, e->lanes);
    int all = a->rows * (SUMS + a->chunks);
    if (a->rows > SIMT_FMA_ROWS || all > MAX_CARRIED)
        ice("kernel %s: a state of %d is too large", e->kernel->name, all);
    for (int i = 0; i < all; i++)
        state[i] = i < a->rows       ? emit_f32(e, -__builtin_inf())
                   : i < 2 * a->rows ? emit_f32(e, 0)
                                     : emit_splat(e, emit_f32(e, 0), e->lanes);
    stage_queries(e, a);
    struct emit_loop keys;
    emit_loop_begin(e, &keys, emit_add(e, a->first_key, emit_mul(e, e->warp, lanes)), a->end_key,
                    (int64_t)e->lanes * e->block_warps, all, state);
    for (int i = 0; i < all; i++) state[i] = keys.carried[i];
    struct index key = existing_keys(e, keys.counter, a->end_key);
    products(e, a, key, p);
    add_scores(e, a, keys.counter, key, state, p);
    V count = emit_min(e, lanes, emit_sub(e, a->end_key, keys.counter));
    add_values(e, a, keys.counter, count, p, state + SUMS * a->rows);
    emit_loop_end(e, &keys, state);
    store_state(e, a, keys.carried);
}
