/* Sorting on a GPU: a warp counts, for 32 elements of a row at a time, how many others come before each,
 * which is where it goes. Needs no memory but the order's, and n * n / 32 steps. */
#include "backend/simt.h"

typedef LLVMValueRef V;

/* Whether a comes before b in rising order; NaN is the largest. */
static V is_less(struct emitter *e, enum dtype t, V a, V b) {
    if (dtype_class(t) == CLASS_FLOAT) {
        V number = LLVMBuildFCmp(e->builder, LLVMRealORD, a, a, ""),
          nan = LLVMBuildFCmp(e->builder, LLVMRealUNO, b, b, "");
        V less = LLVMBuildFCmp(e->builder, LLVMRealOLT, a, b, "");
        return LLVMBuildOr(e->builder, less, LLVMBuildAnd(e->builder, number, nan, ""), "");
    }
    return LLVMBuildICmp(e->builder, t == DTYPE_BOOL ? LLVMIntULT : LLVMIntSLT, a, b, "");
}

void simt_argsort(struct emitter *e, enum dtype t, V keys, V n, bool descending, V order) {
    LLVMTypeRef type = emit_type(e, t);
    struct emit_loop mine, others;
    simt_warp_barrier(e); /* behind the keys' stores */
    emit_loop_begin(e, &mine, emit_i64(e, 0), n, e->lanes, 0, NULL);
    struct index at = index_lanes(mine.counter, e->lanes);
    V exists = emit_tail_mask(e, mine.counter, n, e->lanes), place = index_vector(e, &at, e->lanes);
    V key = emit_widen(e, t, emit_load_at(e, type, keys, at, e->lanes, exists));
    V before = LLVMConstNull(LLVMTypeOf(place));
    emit_loop_begin(e, &others, emit_i64(e, 0), n, 1, 1, &before);
    V other = emit_widen(e, t, emit_load_at(e, type, keys, index_uniform(others.counter), 1, NULL));
    other = emit_splat(e, other, e->lanes);
    V first = descending ? is_less(e, t, key, other) : is_less(e, t, other, key);
    V later = descending ? is_less(e, t, other, key) : is_less(e, t, key, other);
    V earlier = LLVMBuildICmp(e->builder, LLVMIntSLT, emit_splat(e, others.counter, e->lanes), place, "");
    V equal = LLVMBuildNot(e->builder, LLVMBuildOr(e->builder, first, later, ""), "");
    V counts = LLVMBuildOr(e->builder, first, LLVMBuildAnd(e->builder, equal, earlier, ""), "");
    before = LLVMBuildAdd(e->builder, others.carried[0],
                          LLVMBuildZExt(e->builder, counts, LLVMTypeOf(place), ""), "");
    emit_loop_end(e, &others, &before);
    struct index to = {.vector = others.carried[0], .align = 1};
    V number = LLVMBuildTrunc(e->builder, place, emit_vector(e, e->i32, e->lanes), "");
    emit_store_at(e, number, order, to, e->lanes, exists);
    emit_loop_end(e, &mine, NULL);
    simt_warp_barrier(e);
}
