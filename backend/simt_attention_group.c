/* Products of attention by groups of four warps, 64 rows: FlashAttention-3 (Shah et al., arXiv 2407.08608, sections 3.1,
 * 3.2). Both have A in registers: queries, and weights, whose fragments are the sums of the scores; keys are read from
 * their tile along the dims, values along the keys.
 *
 *     keys of tile i               S = Q K^T begins        \
 *     values of tile i - 1         O += P V begins          | one after the other in the tensor cores
 *     wait for S                   S into weights: beside O += P V, and the products of the block's other group
 *     wait for O                   O = O * 2^(c (m - m')), P = S
 *
 * Registers that products have are out of reach until the wait, which is why scores, as well as sums, go through it. */
#include "backend/simt.h"
#include "backend/simt_attention_rows.h"
#include <string.h>

typedef LLVMValueRef V;

static void scores(struct emitter *e, const struct simt_attention_mma *m, const struct attention_rows *r,
                   V slot, V *s) {
    for (int k = 0; k < m->k.chunks / 2; k++) {
        struct simt_columns keys = attention_columns(e, &m->k, slot, 2 * k);
        simt_wgmma_registers(e, m->atom, m->k.keys, r->queries[k], &keys, false, k > 0, s);
    }
    simt_wgmma_commit(e);
}

static void add_values(struct emitter *e, const struct simt_attention_mma *m, V slot, V (*weights)[4],
                       V *sums) {
    const struct simt_columns tile = attention_columns(e, &m->v, slot, 0);
    for (int j = 0; j < m->pairs; j++) {
        struct simt_columns values = tile;
        values.bytes = emit_add(e, tile.bytes, emit_i64(e, j * PAIR_KEYS * CHUNK_BYTES));
        simt_wgmma_registers(e, m->atom, m->v.chunks * MMA_OUTPUTS, weights[j], &values, true, true, sums);
    }
    simt_wgmma_commit(e);
}

void attention_group_step(struct emitter *e, const struct simt_attention *a, const struct attention_rows *r,
                          V tile, struct attention_pass pass, V *state) {
    const struct simt_attention_mma *m = a->mma;
    int sums = m->v.chunks * MMA_SUMS, count = m->pairs * 2 * MMA_SUMS;
    V keep[HALVES], *weights = state + SUMS + sums;
    V made[MAX_CARRIED], *s = made + sums; /* sums, scores */
    V before = emit_sub(e, tile, emit_i64(e, 1));
    simt_wgmma_begin(e);
    if (pass.scores) scores(e, m, r, attention_slot(e, m, tile), s);
    if (pass.values) add_values(e, m, attention_slot(e, m, before), (V(*)[4])weights, state + SUMS);
    if (pass.scores) {
        attention_ahead(e, a, tile);
        simt_wgmma_wait_for(e, pass.values ? 1 : 0, s, count);
        if (pass.cut) attention_hide(e, a, r, attention_first_key(e, a, tile), s);
        attention_soften(e, a, r, s, state, keep);
    }
    memcpy(made, state + SUMS, (size_t)sums * sizeof *made);
    if (pass.values) simt_wgmma_wait_for(e, 0, made, sums + (pass.scores ? count : 0));
    memcpy(state + SUMS, made, (size_t)sums * sizeof *made);
    if (!pass.scores) return;
    attention_keep(e, a, keep, state);
    for (int j = 0; j < m->pairs; j++) attention_weights(e, m, s + j * 2 * MMA_SUMS, weights + 4 * j);
}
