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
 * masked. Here products are mma.sync; of many rows they may be those of groups (simt_attention_group.c). */
#include "backend/simt.h"
#include "backend/simt_attention_rows.h"

enum { STAGES = 2 /* of copies */ };

typedef LLVMValueRef V;

struct simt_attention_mma *simt_mma_form(struct emitter *e, struct simt_attention *a, enum atom atom) {
    struct simt_attention_mma *m = arena_new_object(e->arena, struct simt_attention_mma);
    bool many = a->rows > MMA_ROWS;
    int keys = many ? e->kernel->schedule->tile[1] : PAIR_KEYS * e->block_warps;
    *m =
        (struct simt_attention_mma){.atom = atom, .many = many, .group = atom_info(atom)->unit == UNIT_group};
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

/* ---- products of warps ---- */

static void scores(struct emitter *e, const struct simt_attention_mma *m, const struct attention_rows *r,
                   V slot, V key, V *s) {
    V words[4];
    for (int i = 0; i < m->pairs * 2 * MMA_SUMS; i++) s[i] = emit_splat(e, emit_f32(e, 0), e->lanes);
    for (int k = 0; k < m->k.chunks / 2; k++)
        for (int j = 0; j < m->pairs; j++) {
            attention_by_dims(e, &m->k, slot, emit_add(e, key, emit_i64(e, j * PAIR_KEYS)), 2 * k, words);
            for (int i = 0; i < 2; i++)
                simt_mma(e, m->atom, r->queries[k], &words[2 * i], &s[(2 * j + i) * MMA_SUMS]);
        }
}

static void add_values(struct emitter *e, const struct simt_attention_mma *m, V slot, V key, const V *p,
                       V *sums) {
    for (int j = 0; j < m->pairs; j++, p += 2 * MMA_SUMS) {
        V words[4], a[4];
        attention_weights(e, m, p, a);
        for (int c = 0; c < m->v.chunks; c += 2) {
            attention_by_keys(e, &m->v, slot, emit_add(e, key, emit_i64(e, j * PAIR_KEYS)), c, words);
            for (int i = 0; i < 2; i++) simt_mma(e, m->atom, a, &words[2 * i], &sums[(c + i) * MMA_SUMS]);
        }
    }
}

static void warp_step(struct emitter *e, const struct simt_attention *a, const struct attention_rows *r,
                      V tile, struct attention_pass pass, V *state) {
    const struct simt_attention_mma *m = a->mma;
    V s[MOST_SCORES], keep[HALVES], slot = attention_slot(e, m, tile);
    V key = m->many ? emit_i64(e, 0) : emit_mul(e, e->warp, emit_i64(e, PAIR_KEYS));
    attention_ahead(e, a, tile);
    scores(e, m, r, slot, key, s);
    if (pass.cut) attention_hide(e, a, r, emit_add(e, attention_first_key(e, a, tile), key), s);
    attention_soften(e, a, r, s, state, keep);
    attention_keep(e, a, keep, state);
    add_values(e, m, slot, key, s, state + SUMS);
}

/* ---- tiles ---- */

V attention_slot(struct emitter *e, const struct simt_attention_mma *m, V tile) {
    return emit_rem(e, tile, emit_i64(e, m->stages));
}

V attention_first_key(struct emitter *e, const struct simt_attention *a, V tile) {
    return emit_add(e, a->first_key, emit_mul(e, tile, emit_i64(e, a->mma->k.keys)));
}

static void bring_side(struct emitter *e, const struct simt_attention *a, const struct attention_side *s,
                       V tile) {
    attention_bring(e, a, s, attention_first_key(e, a, tile), a->end_key, attention_slot(e, a->mma, tile));
}

/* What a step needs: the tile's keys, and its values or those of the tile before. */
static void bring(struct emitter *e, const struct simt_attention *a, V tile, bool keys, bool values) {
    const struct simt_attention_mma *m = a->mma;
    if (keys) bring_side(e, a, &m->k, tile);
    if (values) bring_side(e, a, &m->v, m->group ? emit_sub(e, tile, emit_i64(e, 1)) : tile);
    simt_copy_commit(e);
}

/* Once it is passed what a step needs is there, and all warps are done with the step before it, whose place the
 * next one's takes. */
static void wait_for_step(struct emitter *e, const struct simt_attention *a, V tile,
                          struct attention_pass pass) {
    if (a->mma->stages > 1)
        simt_copy_wait(e, a->mma->stages - 2);
    else {
        simt_block_barrier(e);
        bring(e, a, tile, pass.scores, pass.values);
    }
    if (a->mma->group) simt_proxy_fence(e);
    simt_block_barrier(e);
}

void attention_ahead(struct emitter *e, const struct simt_attention *a, V tile) {
    int stages = a->mma->stages;
    if (stages > 1) bring(e, a, emit_add(e, tile, emit_i64(e, stages - 1)), true, true);
}

static int state_of(const struct simt_attention_mma *m) {
    return SUMS + m->v.chunks * MMA_SUMS + (m->group ? m->pairs * 4 : 0);
}

/* Tiles begin .. end. */
static void pass_over(struct emitter *e, const struct simt_attention *a, const struct attention_rows *r,
                      V begin, V end, struct attention_pass pass, V *state) {
    int all = state_of(a->mma);
    struct emit_loop loop;
    emit_loop_begin(e, &loop, begin, end, 1, all, state);
    for (int i = 0; i < all; i++) state[i] = loop.carried[i];
    wait_for_step(e, a, loop.counter, pass);
    (a->mma->group ? attention_group_step : warp_step)(e, a, r, loop.counter, pass, state);
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

/* All tiles: whole ones first; of a group, scores of the first without values, values of the last without scores. */
static void all_tiles(struct emitter *e, const struct simt_attention *a, const struct attention_rows *r,
                      V *state) {
    bool group = a->mma->group;
    V zero = emit_i64(e, 0), one = emit_i64(e, 1),
      keys = emit_max(e, emit_sub(e, a->end_key, a->first_key), zero);
    V count = emit_div_up(e, keys, emit_i64(e, a->mma->k.keys)), whole = whole_tiles(e, a, count);
    V some = emit_min(e, count, one), first = group ? some : zero;
    for (int i = 0; i + 1 < a->mma->stages; i++) bring(e, a, emit_i64(e, i), true, !group);
    if (group) pass_over(e, a, r, zero, first, (struct attention_pass){.scores = true, .cut = true}, state);
    if (!a->sdpa.mask) pass_over(e, a, r, first, whole, (struct attention_pass){true, true, false}, state);
    pass_over(e, a, r, emit_max(e, first, whole), count, (struct attention_pass){true, true, true}, state);
    if (group)
        pass_over(e, a, r, count, emit_add(e, count, some), (struct attention_pass){.values = true}, state);
    simt_copy_wait(e, 0);
    simt_block_barrier(e);
}

void simt_attend_mma(struct emitter *e, const struct simt_attention *a) {
    struct simt_attention_mma m = *a->mma;
    struct simt_attention at = *a;
    struct attention_rows r;
    V state[MAX_CARRIED];
    at.mma = &m;
    m.k.ring = a->memory;
    m.v.ring = emit_offset(e, a->memory, emit_i64(e, m.stages * m.k.bytes));
    attention_find_rows(e, &at, &r);
    for (int i = 0; i < SUMS + m.v.chunks * MMA_SUMS; i++)
        state[i] = emit_splat(e, emit_f32(e, i < TOTAL ? -__builtin_inf() : 0), e->lanes);
    for (int i = SUMS + m.v.chunks * MMA_SUMS; i < state_of(&m); i++)
        state[i] = LLVMConstNull(emit_vector(e, e->i32, e->lanes));
    all_tiles(e, &at, &r, state);
    attention_store_state(e, &at, &r, state);
}
