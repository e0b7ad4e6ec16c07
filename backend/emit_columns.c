/* Loops along a row, a vector at a time, and what to do with the columns that do not fill one: a masked
 * vector where masks cost nothing (AVX-512), else one element after the other. */
#include "backend/emit.h"

LLVMValueRef emit_both(struct emitter *e, LLVMValueRef a, LLVMValueRef b) {
    return !a ? b : !b ? a : LLVMBuildAnd(e->builder, a, b, "");
}

LLVMValueRef emit_tail_mask(struct emitter *e, LLVMValueRef begin, LLVMValueRef end, int lanes) {
    struct index at = index_lanes(begin, 1);
    return LLVMBuildICmp(e->builder, LLVMIntSLT, index_vector(e, &at, lanes), emit_splat(e, end, lanes), "");
}

static void vectors(struct emitter *e, const struct stretch *s, LLVMValueRef begin, LLVMValueRef end,
                    int lanes, emit_columns_body *body, void *data) {
    struct emit_loop l;
    emit_loop_begin(e, &l, begin, end, lanes, 0, NULL);
    struct index at = index_lanes(l.counter, s->align % lanes == 0 ? lanes : 1);
    body(e, data, &at, lanes, NULL);
    emit_loop_end(e, &l, NULL);
}

static void masked(struct emitter *e, const struct stretch *s, LLVMValueRef begin, emit_columns_body *body,
                   void *data) {
    struct emit_if some;
    emit_if_begin(e, &some, LLVMBuildICmp(e->builder, LLVMIntSLT, begin, s->end, ""));
    struct index at = index_lanes(begin, s->align % s->lanes == 0 ? s->lanes : 1);
    body(e, data, &at, s->lanes, emit_tail_mask(e, begin, s->end, s->lanes));
    emit_if_end(e, &some);
}

static bool fills(const struct stretch *s) {
    int64_t n = LLVMIsAConstantInt(s->end) ? LLVMConstIntGetSExtValue(s->end) : 1;
    return s->align % s->lanes == 0 && (s->end_align % s->lanes == 0 || n % s->lanes == 0);
}

/* Whether stores under a mask are to be had. Without conversions to bf16, LLVM 22.1.8 turns a store of one
 * 16-bit lane of 32-bit arithmetic into one of four bytes, so those AVX-512 CPUs finish rows one element at a
 * time. */
static bool has_masks(const struct emitter *e) {
    return e->target->simt || (e->target->vector_bytes == 64 && e->target->bf16);
}

void emit_columns(struct emitter *e, const struct stretch *s, emit_columns_body *body, void *data) {
    if (s->lanes == 1 || fills(s)) {
        vectors(e, s, s->begin, s->end, s->lanes, body, data);
        return;
    }
    LLVMValueRef whole = emit_div(e, emit_sub(e, s->end, s->begin), emit_i64(e, s->lanes));
    LLVMValueRef full = emit_add(e, s->begin, emit_mul(e, whole, emit_i64(e, s->lanes)));
    if (!LLVMIsAConstantInt(whole) || LLVMConstIntGetZExtValue(whole))
        vectors(e, s, s->begin, full, s->lanes, body, data);
    if (has_masks(e) || s->whole_vectors)
        masked(e, s, full, body, data);
    else
        vectors(e, s, full, s->end, 1, body, data);
}
