/* Products that read shared memory themselves, and a tile's steps where all that they read comes in bulk: no warp waits for another
 * but for what it needs.
 *
 *     one thread    waits until a stage is empty, asks for a later step's operands there, as many steps ahead as there are stages
 *     who multiplies    waits until a stage is full; begins its products; of the step before, once they are done, the stage is empty
 *
 * By wgmma all warps multiply, and arrive at a stage's mbarrier when they have; by tcgen05 the thread itself does, and the products
 * arrive. (CUTLASS's PipelineTmaAsync and PipelineUmmaAsync have stages with such pairs of mbarriers.) */
#include "backend/simt_tile.h"

typedef LLVMValueRef V;

enum { INPUT_PRODUCTS = STEP_CHUNKS / 2 /* atoms take two chunks */ };

static void operands(struct emitter *e, const struct tile *t, V slot, int product, struct simt_columns *a,
                     struct simt_columns *b) {
    V first = emit_i64(e, 2 * product);
    *a = tile_columns(e, &t->a, slot, first);
    *b = tile_columns(e, &t->b, slot, first);
}

void tile_multiply_group(struct emitter *e, const struct tile *t, V slot, V *sums) {
    V group = emit_mul(e, emit_div(e, e->warp, emit_i64(e, 4)),
                       emit_i64(e, 64 * (t->a.pitch ? CHUNK_BYTES : SWIZZLE_LINE)));
    simt_wgmma_begin(e);
    for (int k = 0; k < INPUT_PRODUCTS; k++) {
        struct simt_columns a, b;
        operands(e, t, slot, k, &a, &b);
        a.bytes = emit_add(e, a.bytes, group);
        simt_wgmma(e, t->a.operand->atom, t->b.lines, &a, &b, sums);
    }
    simt_wgmma_commit(e);
}

static V done(struct emitter *e, const struct tile *t, V slot) {
    return simt_mbarrier(e, t->p->tensor->done, slot);
}

void tile_multiply_block(struct emitter *e, const struct tile *t, V step) {
    V slot = tile_slot(e, t, step), adds = LLVMBuildICmp(e->builder, LLVMIntNE, step, t->p->begin, "");
    for (int k = 0; k < INPUT_PRODUCTS; k++) {
        struct simt_columns a, b;
        operands(e, t, slot, k, &a, &b);
        simt_tcgen05(e, t->a.operand->atom, t->b.lines, &a, &b, &t->p->tensor->sums,
                     k ? LLVMConstAllOnes(e->i1) : adds);
    }
    simt_tcgen05_commit(e, done(e, t, slot));
}

void tile_wait_for_stage(struct emitter *e, const struct tile *t, V step) {
    simt_mbarrier_wait(e, done(e, t, tile_slot(e, t, step)),
                       emit_sub(e, tile_round(e, t, step), emit_i64(e, 1)));
}

/* One thread: the first steps, as many as there are stages. */
static void fill(struct emitter *e, const struct tile *t) {
    struct emit_loop steps;
    V end = emit_min(e, t->p->end, emit_add(e, t->p->begin, emit_i64(e, t->stages)));
    emit_loop_begin(e, &steps, t->p->begin, end, 1, 0, NULL);
    tile_fetch(e, t, steps.counter);
    emit_loop_end(e, &steps, NULL);
}

/* One thread: what comes where `step` was, when that is done with: the barriers say so. */
static void refill(struct emitter *e, const struct tile *t, V step, V barriers) {
    struct emit_if more;
    V later = emit_add(e, step, emit_i64(e, t->stages));
    emit_if_begin(e, &more, LLVMBuildICmp(e->builder, LLVMIntSLT, later, t->p->end, ""));
    simt_mbarrier_wait(e, simt_mbarrier(e, barriers, tile_slot(e, t, step)), tile_round(e, t, step));
    tile_fetch(e, t, later);
    emit_if_end(e, &more);
}

static V is_first(struct emitter *e, const struct tile *t, V step) {
    return LLVMBuildICmp(e->builder, LLVMIntEQ, step, t->p->begin, "");
}

static void steps_of_groups(struct emitter *e, const struct tile *t, int count, V *sums) {
    struct simt_one one;
    struct emit_loop steps;
    struct emit_if has_before;
    simt_one_begin(e, &one);
    fill(e, t);
    simt_one_end(e, &one);
    emit_loop_begin(e, &steps, t->p->begin, t->p->end, 1, count, sums);
    for (int i = 0; i < count; i++) sums[i] = steps.carried[i];
    tile_fetched(e, t, steps.counter);
    tile_multiply_group(e, t, tile_slot(e, t, steps.counter), sums);
    simt_wgmma_wait(e, 1);
    V before = emit_sub(e, steps.counter, emit_i64(e, 1));
    emit_if_begin(e, &has_before, LLVMBuildNot(e->builder, is_first(e, t, steps.counter), ""));
    simt_mbarrier_arrive(e, simt_mbarrier(e, t->empty, tile_slot(e, t, before)));
    simt_one_begin(e, &one);
    refill(e, t, before, t->empty);
    simt_one_end(e, &one);
    emit_if_end(e, &has_before);
    emit_loop_end(e, &steps, sums);
    for (int i = 0; i < count; i++) sums[i] = steps.carried[i];
    simt_wgmma_wait(e, 0);
}

static void steps_of_block(struct emitter *e, const struct tile *t) {
    struct simt_one one;
    struct emit_loop steps;
    struct emit_if has_before;
    simt_one_begin(e, &one);
    fill(e, t);
    simt_tensor_after(e); /* the tile before was read by all warps */
    emit_loop_begin(e, &steps, t->p->begin, t->p->end, 1, 0, NULL);
    tile_fetched(e, t, steps.counter);
    tile_multiply_block(e, t, steps.counter);
    emit_if_begin(e, &has_before, LLVMBuildNot(e->builder, is_first(e, t, steps.counter), ""));
    refill(e, t, emit_sub(e, steps.counter, emit_i64(e, 1)), t->p->tensor->done);
    emit_if_end(e, &has_before);
    emit_loop_end(e, &steps, NULL);
    for (int i = 0; i < t->stages; i++) tile_wait_for_stage(e, t, emit_add(e, t->p->end, emit_i64(e, i)));
    simt_one_end(e, &one);
}

void tile_pipeline(struct emitter *e, const struct tile *t, int count, V *sums) {
    if (atom_info(t->p->a->atom)->unit == UNIT_group)
        steps_of_groups(e, t, count, sums);
    else
        steps_of_block(e, t);
}
