/* Columns of packed weights into the ring by the GPU's engine for bulk copies, which one thread asks for and
 * an mbarrier a stage counts: cp.async.bulk (PTX ISA). A column of a tile's outputs is one stretch of memory.
 * Outputs behind the last have the first ones' weights, so that the tile holds no more than weights. */
#include "backend/simt.h"
#include "backend/simt_mma.h"

typedef LLVMValueRef V;

bool mma_bulk_suits(struct emitter *e, const struct mma_operand *o, int lines) {
    V there = mma_lines(e, o);
    return e->target->capability >= 90 && o->packed && LLVMIsAConstantInt(there) &&
           LLVMConstIntGetSExtValue(there) * 2 >= lines;
}

static void copy_lines(struct emitter *e, const struct mma_bulk *b, V line, V chunk, V count, V to,
                       V barrier) {
    V from = emit_offset(e, b->operand->buffer->base, mma_chunk_place(e, b->operand, b->at, line, chunk));
    V bytes = LLVMBuildTrunc(e->builder, emit_mul(e, count, emit_i64(e, CHUNK_BYTES)), e->i32, "");
    simt_copy_bulk(e, to, from, bytes, barrier);
}

void mma_bulk_copy(struct emitter *e, const struct mma_bulk *b, V step, V slot) {
    V lines = emit_i64(e, b->lines), zero = emit_i64(e, 0), there = mma_lines(e, b->operand);
    V count = emit_min(e, lines, emit_sub(e, there, b->first)), barrier = simt_mbarrier(e, b->barriers, slot);
    bool whole = LLVMConstIntGetSExtValue(there) % b->lines == 0;
    struct simt_one one;
    struct emit_if behind;
    simt_one_begin(e, &one);
    simt_mbarrier_expect(e, barrier, emit_i32(e, b->lines * STEP_CHUNKS * CHUNK_BYTES));
    for (int c = 0; c < STEP_CHUNKS; c++) {
        V chunk = emit_add(e, emit_mul(e, step, emit_i64(e, STEP_CHUNKS)), emit_i64(e, c));
        V to = emit_offset(e, b->ring,
                           emit_add(e, emit_mul(e, slot, emit_i64(e, b->stage)), emit_i64(e, c * b->pitch)));
        copy_lines(e, b, b->first, chunk, whole ? lines : count, to, barrier);
        if (whole) continue;
        emit_if_begin(e, &behind, LLVMBuildICmp(e->builder, LLVMIntSLT, count, lines, ""));
        copy_lines(e, b, zero, chunk, emit_sub(e, lines, count),
                   emit_offset(e, to, emit_mul(e, count, emit_i64(e, CHUNK_BYTES))), barrier);
        emit_if_end(e, &behind);
    }
    simt_one_end(e, &one);
}

void mma_bulk_wait(struct emitter *e, const struct mma_bulk *b, V steps, V slot) {
    simt_mbarrier_wait(e, simt_mbarrier(e, b->barriers, slot), emit_div(e, steps, emit_i64(e, b->stages)));
}
