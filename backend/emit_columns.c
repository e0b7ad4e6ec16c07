/* Loops along a row, a vector at a time, and what to do with the columns that do not fill one: a masked
 * vector where masks cost nothing (AVX-512), else one element after the other. */
#include "backend/emit.h"

/* Whether end - begin is known to be a multiple of `lanes`. */
static bool fills(LLVMValueRef begin, LLVMValueRef end, int64_t align, int lanes) {
    if (!LLVMIsAConstantInt(end)) return false;
    int64_t n = LLVMConstIntGetSExtValue(end);
    return LLVMIsAConstantInt(begin) ? (n - LLVMConstIntGetSExtValue(begin)) % lanes == 0
                                     : align % lanes == 0 && n % lanes == 0;
}

LLVMValueRef emit_tail_mask(struct emitter *e, LLVMValueRef begin, LLVMValueRef end, int lanes) {
    struct index at = index_lanes(begin, 1);
    return LLVMBuildICmp(e->builder, LLVMIntSLT, index_vector(e, &at, lanes), emit_splat(e, end, lanes), "");
}

static void vectors(struct emitter *e, LLVMValueRef begin, LLVMValueRef end, int64_t align, int lanes,
                    emit_columns_body *body, void *data) {
    struct emit_loop l;
    emit_loop_begin(e, &l, begin, end, lanes, 0, NULL);
    struct index at = index_lanes(l.counter, align % lanes == 0 ? lanes : 1);
    body(e, data, &at, lanes, NULL);
    emit_loop_end(e, &l, NULL);
}

static void masked(struct emitter *e, LLVMValueRef begin, LLVMValueRef end, int64_t align,
                   emit_columns_body *body, void *data) {
    struct emit_if some;
    emit_if_begin(e, &some, LLVMBuildICmp(e->builder, LLVMIntSLT, begin, end, ""));
    struct index at = index_lanes(begin, align % e->lanes == 0 ? e->lanes : 1);
    body(e, data, &at, e->lanes, emit_tail_mask(e, begin, end, e->lanes));
    emit_if_end(e, &some);
}

void emit_columns(struct emitter *e, LLVMValueRef begin, LLVMValueRef end, int64_t align,
                  emit_columns_body *body, void *data) {
    if (fills(begin, end, align, e->lanes)) {
        vectors(e, begin, end, align, e->lanes, body, data);
        return;
    }
    int64_t n = LLVMIsAConstantInt(end) ? LLVMConstIntGetSExtValue(end) : INT64_MAX;
    LLVMValueRef whole = emit_div(e, emit_sub(e, end, begin), emit_i64(e, e->lanes));
    LLVMValueRef full = emit_add(e, begin, emit_mul(e, whole, emit_i64(e, e->lanes)));
    if (n >= e->lanes)
        vectors(e, begin, full, align, e->lanes, body, data);
    else
        full = begin;
    if (e->target->vector_bytes == 64 && n > 1)
        masked(e, full, end, align, body, data);
    else
        vectors(e, full, end, 1, 1, body, data);
}
