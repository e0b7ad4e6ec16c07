/* Parts and their counters. A counter is an atomic increment that wraps to 0 where it finds parts - 1: so it
 * is 0 again for the next kernel, and who found that value is the last. Barriers order a block's threads
 * before and behind the one that counts, which releases what they wrote and acquires what others did. */
#include "backend/simt_join.h"
#include "backend/simt.h"
#include "runtime/abi.h"

typedef LLVMValueRef V;

void simt_reserve_parts(struct emitter *e, int64_t bytes) {
    if (e->part_bytes) ice("kernel %s has parts of two kinds", e->kernel->name);
    e->part_bytes = (bytes + MDL_ALIGN - 1) / MDL_ALIGN * MDL_ALIGN;
    if (bytes < 1 || e->part_bytes > UINT32_MAX) ice("kernel %s has parts too large", e->kernel->name);
}

V simt_part(struct emitter *e, V number) {
    return emit_offset(e, e->parts, emit_mul(e, number, emit_i64(e, e->part_bytes)));
}

/* Stores to `last` whether this is the last part. A part alone needs no counter. */
static void count_part(struct emitter *e, V result, V parts, V last) {
    struct emit_if several;
    V counter = emit_offset(e, e->joins, emit_mul(e, result, emit_i64(e, sizeof(uint32_t))));
    V highest = LLVMBuildTrunc(e->builder, emit_sub(e, parts, emit_i64(e, 1)), e->i32, "");
    unsigned device = LLVMGetSyncScopeID(e->context, e->threaded ? "device" : "", e->threaded ? 6 : 0);
    /* LLVM 22 drops an atomic operation's own ordering when it writes PTX. */
    LLVMAtomicOrdering none = LLVMAtomicOrderingMonotonic, both = LLVMAtomicOrderingAcquireRelease;
    LLVMBuildStore(e->builder, emit_i32(e, 1), last);
    emit_if_begin(e, &several, LLVMBuildICmp(e->builder, LLVMIntNE, highest, emit_i32(e, 0), ""));
    LLVMBuildFenceSyncScope(e->builder, both, device, "");
    V found =
        LLVMBuildAtomicRMWSyncScope(e->builder, LLVMAtomicRMWBinOpUIncWrap, counter, highest, none, device);
    LLVMBuildFenceSyncScope(e->builder, both, device, "");
    V is_last = LLVMBuildICmp(e->builder, LLVMIntEQ, found, highest, "");
    LLVMBuildStore(e->builder, LLVMBuildZExt(e->builder, is_last, e->i32, ""), last);
    emit_if_end(e, &several);
}

V simt_is_last(struct emitter *e, V result, V parts) {
    V last = simt_shared(e, sizeof(uint32_t));
    struct simt_one one;
    simt_block_barrier(e);
    simt_one_begin(e, &one);
    count_part(e, result, parts, last);
    simt_one_end(e, &one);
    simt_block_barrier(e);
    V word = LLVMBuildLoad2(e->builder, e->i32, last, "");
    return LLVMBuildICmp(e->builder, LLVMIntNE, word, emit_i32(e, 0), "");
}
