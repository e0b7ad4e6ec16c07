/* Attention by tensor cores: FlashAttention-2 (Dao, arXiv 2307.08691). A warp has 16 rows, whose queries stay
 * in registers as fragments; tiles of keys and values come through shared memory.
 *
 *     for tile of keys:   S = Q K^T                       16 rows x the warp's keys, in registers
 *                         m' = max(m, max S)    P = 2^(c (S - m'))    l = l * 2^(c (m - m')) + sum P
 *                         O = O * 2^(c (m - m')) + P V    sums of P are C's fragments, and A's as they are
 *
 * with c = scale * log2(e). Lane l has rows l/4 and l/4 + 8, four lanes a row: of the largest score they make
 * one at every tile, of the total at the end. Of many rows each warp has its own, and all the tile's keys; up
 * to 16 rows are every warp's, which then shares the keys. Only tiles that some row does not see all of are
 * masked. */
#include "backend/emit_math.h"
#include "backend/simt.h"
#include "backend/simt_attention_tile.h"
#include "backend/simt_mma.h"

enum {
    HALVES = 2,     /* of a fragment's rows: l/4, l/4 + 8 */
    PAIR_KEYS = 16, /* that two products along dims, or one along keys, take */
    MANY_KEYS = 64, /* of a tile */
    STAGES = 2,     /* of copies */
    MOST_PAIRS = 8, /* of 16 keys in a tile; of chunks in a head */
    LARGEST = 0,
    TOTAL = HALVES,
    SUMS = 2 * HALVES
};

typedef LLVMValueRef V;

struct simt_attention_mma {
    enum atom atom;
    struct attention_side k, v;
    int stages, pairs; /* of 16 keys that a warp multiplies of a tile */
    bool many;         /* rows: each warp has its own */
};

/* What a warp's rows are, as fragments have them. */
struct rows {
    V first;                  /* of the warp, in the unit */
    V queries[MOST_PAIRS][4]; /* A's fragments, 16 dims each */
    struct index query[HALVES], head[HALVES];
    double factor; /* c, of scores as products make them */
};

struct simt_attention_mma *simt_mma_form(struct emitter *e, struct simt_attention *a, enum atom atom) {
    struct simt_attention_mma *m = arena_new_object(e->arena, struct simt_attention_mma);
    int keys = a->rows == MMA_ROWS ? PAIR_KEYS * e->block_warps : MANY_KEYS;
    *m = (struct simt_attention_mma){.atom = atom, .many = a->rows > MMA_ROWS};
    m->k = attention_side_of(e, a->sdpa.k, a->sdpa.dim, atom_info(atom)->a, keys);
    m->v = attention_side_of(e, a->sdpa.v, a->sdpa.value_dim, atom_info(atom)->a, keys);
    m->stages = m->k.buffer && m->v.buffer ? STAGES : 1;
    m->pairs = m->many ? keys / PAIR_KEYS : 1;
    if (m->stages == 1) m->k.buffer = m->v.buffer = NULL;
    return m;
}

int64_t simt_mma_bytes(const struct simt_attention *a) {
    return a->mma->stages * (a->mma->k.bytes + a->mma->v.bytes);
}

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

static V query_word(struct emitter *e, const struct simt_attention *a, const struct rows *r, int half,
                    int64_t first) {
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

static void find_rows(struct emitter *e, const struct simt_attention *a, struct rows *r) {
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

static void scores(struct emitter *e, const struct simt_attention_mma *m, const struct rows *r, V slot, V key,
                   V *s) {
    V words[4];
    for (int i = 0; i < m->pairs * 2 * MMA_SUMS; i++) s[i] = emit_splat(e, emit_f32(e, 0), e->lanes);
    for (int k = 0; k < m->k.chunks / 2; k++)
        for (int j = 0; j < m->pairs; j++) {
            attention_by_dims(e, &m->k, slot, emit_add(e, key, emit_i64(e, j * PAIR_KEYS)), 2 * k, words);
            for (int i = 0; i < 2; i++)
                simt_mma(e, m->atom, r->queries[k], &words[2 * i], &s[(2 * j + i) * MMA_SUMS]);
        }
}

/* -inf for keys that a row does not see, `first` the first of the scores'; and the mask. */
static void hide(struct emitter *e, const struct simt_attention *a, const struct rows *r, V first, V *s) {
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

/* Scores of one half's rows into weights; largest, total and sums follow. */
static void soften(struct emitter *e, const struct simt_attention *a, double factor, int half, V *s,
                   V *state) {
    int count = a->mma->pairs * 2 * MMA_SUMS, tiles = a->mma->v.chunks;
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
    for (int i = 0; i < tiles * MMA_SUMS; i++)
        if (i % MMA_SUMS / 2 == half) state[SUMS + i] = LLVMBuildFMul(e->builder, state[SUMS + i], keep, "");
}

/* ---- values ---- */

/* The weights of 16 keys are A's fragment: of C's tiles of 8 keys, the first is its inputs 0 .. 8. */
static void add_values(struct emitter *e, const struct simt_attention_mma *m, V slot, V key, const V *p,
                       V *sums) {
    for (int j = 0; j < m->pairs; j++, p += 2 * MMA_SUMS) {
        V words[4], a[4];
        for (int i = 0; i < 4; i++) a[i] = mma_pair(e, m->v.type, p[2 * i], p[2 * i + 1]);
        for (int c = 0; c < m->v.chunks; c += 2) {
            attention_by_keys(e, &m->v, slot, emit_add(e, key, emit_i64(e, j * PAIR_KEYS)), c, words);
            for (int i = 0; i < 2; i++) simt_mma(e, m->atom, a, &words[2 * i], &sums[(c + i) * MMA_SUMS]);
        }
    }
}

/* ---- tiles ---- */

static V key_of_tile(struct emitter *e, const struct simt_attention *a, V tile) {
    return emit_add(e, a->first_key, emit_mul(e, tile, emit_i64(e, a->mma->k.keys)));
}

static void bring(struct emitter *e, const struct simt_attention *a, V tile) {
    const struct simt_attention_mma *m = a->mma;
    V slot = emit_rem(e, tile, emit_i64(e, m->stages)), first = key_of_tile(e, a, tile);
    attention_bring(e, a, &m->k, first, a->end_key, slot);
    attention_bring(e, a, &m->v, first, a->end_key, slot);
    simt_copy_commit(e);
}

/* Once it is passed a tile is there, and all warps are done with the one before it, whose place the next
 * takes. */
static void wait_for_tile(struct emitter *e, const struct simt_attention *a, V tile) {
    int stages = a->mma->stages;
    if (stages > 1) {
        simt_copy_wait(e, stages - 2);
        simt_block_barrier(e);
        bring(e, a, emit_add(e, tile, emit_i64(e, stages - 1)));
        return;
    }
    simt_block_barrier(e);
    bring(e, a, tile);
    simt_block_barrier(e);
}

/* Tiles begin .. end, of which `cut` ones have keys that some row does not see. */
static void tiles(struct emitter *e, const struct simt_attention *a, const struct rows *r, V begin, V end,
                  bool cut, V *state) {
    const struct simt_attention_mma *m = a->mma;
    int all = SUMS + m->v.chunks * MMA_SUMS;
    V s[MOST_PAIRS * 2 * MMA_SUMS];
    struct emit_loop loop;
    emit_loop_begin(e, &loop, begin, end, 1, all, state);
    for (int i = 0; i < all; i++) state[i] = loop.carried[i];
    wait_for_tile(e, a, loop.counter);
    V key = m->many ? emit_i64(e, 0) : emit_mul(e, e->warp, emit_i64(e, PAIR_KEYS));
    V slot = emit_rem(e, loop.counter, emit_i64(e, m->stages));
    scores(e, m, r, slot, key, s);
    if (cut) hide(e, a, r, emit_add(e, key_of_tile(e, a, loop.counter), key), s);
    for (int h = 0; h < HALVES; h++) soften(e, a, a->sdpa.mask ? 1 : r->factor, h, s, state);
    add_values(e, m, slot, key, s, state + SUMS);
    emit_loop_end(e, &loop, state);
    for (int i = 0; i < all; i++) state[i] = loop.carried[i];
}

/* How many tiles all rows of the unit see whole. */
static V whole_tiles(struct emitter *e, const struct simt_attention *a, V count) {
    if (a->sdpa.mask) return emit_i64(e, 0);
    V query = simt_attention_query(e, a, a->first_row);
    V keys = emit_sub(e, sdpa_visible(e, &a->sdpa, a->past, query, a->end_key), a->first_key);
    V whole = emit_div(e, emit_max(e, keys, emit_i64(e, 0)), emit_i64(e, a->mma->k.keys));
    return emit_min(e, whole, count);
}

/* ---- the end ---- */

static void store_state(struct emitter *e, const struct simt_attention *a, const struct rows *r, V *state) {
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

void simt_attend_mma(struct emitter *e, const struct simt_attention *a) {
    struct simt_attention_mma m = *a->mma;
    struct simt_attention at = *a;
    struct rows r;
    V state[MAX_CARRIED], zero = emit_i64(e, 0);
    int all = SUMS + m.v.chunks * MMA_SUMS;
    at.mma = &m;
    m.k.ring = a->memory;
    m.v.ring = emit_offset(e, a->memory, emit_i64(e, m.stages * m.k.bytes));
    find_rows(e, &at, &r);
    for (int i = 0; i < all; i++)
        state[i] = emit_splat(e, emit_f32(e, i < TOTAL ? -__builtin_inf() : 0), e->lanes);
    V keys = emit_max(e, emit_sub(e, a->end_key, a->first_key), zero);
    V count = emit_div_up(e, keys, emit_i64(e, m.k.keys)), whole = whole_tiles(e, &at, count);
    for (int i = 0; i + 1 < m.stages; i++) bring(e, &at, emit_i64(e, i));
    if (!a->sdpa.mask) tiles(e, &at, &r, zero, whole, false, state);
    tiles(e, &at, &r, whole, count, true, state);
    simt_copy_wait(e, 0);
    simt_block_barrier(e);
    store_state(e, &at, &r, state);
}
