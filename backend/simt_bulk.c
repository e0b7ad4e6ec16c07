/* Operands into the ring by the GPU's engine, which one thread asks for a step's stage and an mbarrier a stage counts. (PTX ISA,
 * "Asynchronous copy": cp.async.bulk, cp.async.bulk.tensor.)
 *
 *     packed weights    a column of a tile's outputs is one stretch of memory
 *     plain rows        a step's 128 bytes of a tile's rows are a box of a tensor map, in swizzled lines
 *
 * Outputs behind the last have the first ones' weights, so that the tile holds no more than weights; rows behind the last are zeros. */
#include "backend/simt_tile.h"

typedef LLVMValueRef V;

bool tile_in_columns(struct emitter *e, const struct mma_operand *o, int lines) {
    V there = mma_lines(e, o);
    return e->target->capability >= 90 && o->packed && LLVMIsAConstantInt(there) &&
           LLVMConstIntGetSExtValue(there) * 2 >= lines;
}

static void copy_lines(struct emitter *e, const struct tile *t, const struct mma_operand *o, V line, V chunk,
                       V count, V to, V barrier) {
    V from = emit_offset(e, o->buffer->base, mma_chunk_place(e, o, t->p->at, line, chunk));
    V bytes = LLVMBuildTrunc(e->builder, emit_mul(e, count, emit_i64(e, CHUNK_BYTES)), e->i32, "");
    simt_copy_bulk(e, to, from, bytes, barrier);
}

static void copy_columns(struct emitter *e, const struct tile *t, const struct side *s, V first, V to,
                         V barrier) {
    V lines = emit_i64(e, s->lines), zero = emit_i64(e, 0), there = mma_lines(e, s->operand);
    V count = emit_min(e, lines, emit_sub(e, there, s->first));
    bool whole = LLVMConstIntGetSExtValue(there) % s->lines == 0;
    struct emit_if behind;
    for (int c = 0; c < STEP_CHUNKS; c++) {
        V chunk = emit_add(e, first, emit_i64(e, c)), column = emit_offset(e, to, emit_i64(e, c * s->pitch));
        copy_lines(e, t, s->operand, s->first, chunk, whole ? lines : count, column, barrier);
        if (whole) continue;
        emit_if_begin(e, &behind, LLVMBuildICmp(e->builder, LLVMIntSLT, count, lines, ""));
        copy_lines(e, t, s->operand, zero, chunk, emit_sub(e, lines, count),
                   emit_offset(e, column, emit_mul(e, count, emit_i64(e, CHUNK_BYTES))), barrier);
        emit_if_end(e, &behind);
    }
}

static void copy_boxes(struct emitter *e, const struct tile *t, const struct side *s, V first, V to,
                       V barrier) {
    int lines = mma_box_lines(s->operand);
    for (int i = 0; i < s->lines; i += lines)
        mma_copy_box(e, s->operand, t->p->at, emit_add(e, s->first, emit_i64(e, i)), first,
                     emit_offset(e, to, emit_i64(e, (int64_t)i * SWIZZLE_LINE)), barrier);
}

void tile_fetch(struct emitter *e, const struct tile *t, V step) {
    V slot = tile_slot(e, t, step), barrier = simt_mbarrier(e, t->full, slot),
      first = emit_mul(e, step, emit_i64(e, STEP_CHUNKS));
    const struct side *sides[] = {&t->a, &t->b};
    int lines = 0;
    for (int i = 0; i < 2; i++) lines += sides[i]->way >= IN_COLUMNS ? sides[i]->lines : 0;
    simt_mbarrier_expect(e, barrier, emit_i32(e, lines * STEP_CHUNKS * CHUNK_BYTES));
    for (int i = 0; i < 2; i++) {
        const struct side *s = sides[i];
        V to = emit_offset(e, s->ring, emit_mul(e, slot, emit_i64(e, s->stage)));
        if (s->way == IN_COLUMNS) copy_columns(e, t, s, first, to, barrier);
        if (s->way == IN_BOXES) copy_boxes(e, t, s, first, to, barrier);
    }
}

void tile_fetched(struct emitter *e, const struct tile *t, V step) {
    simt_mbarrier_wait(e, simt_mbarrier(e, t->full, tile_slot(e, t, step)), tile_round(e, t, step));
}
