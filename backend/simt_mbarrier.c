/* Barriers in shared memory, which threads wait at for arrivals and for bytes that copies bring: mbarrier.
 * (PTX ISA, "Parallel Synchronization and Communication Instructions: mbarrier".) */
#include "backend/emulate.h"
#include "backend/simt.h"

enum { ALL = -1, ELECTING_CAPABILITY = 90, SHARED_CLUSTER = 7 /* LLVM's address space */ };

typedef LLVMValueRef V;

/* One lane of those here, always the same. */
static V elected(struct emitter *e) {
    V all = emit_i32(e, ALL);
    if (e->target->capability < ELECTING_CAPABILITY)
        return LLVMBuildICmp(e->builder, LLVMIntEQ, e->lane, emit_i64(e, 0), "");
    return LLVMBuildExtractValue(e->builder, emit_intrinsic(e, "llvm.nvvm.elect.sync", NULL, 0, &all, 1), 1, "");
}

void simt_one_begin(struct emitter *e, struct simt_one *o) {
    emit_if_begin(e, &o->warp, LLVMBuildICmp(e->builder, LLVMIntEQ, e->warp, emit_i64(e, 0), ""));
    if (e->threaded) emit_if_begin(e, &o->lane, elected(e));
}

void simt_one_end(struct emitter *e, struct simt_one *o) {
    if (e->threaded) {
        emit_if_end(e, &o->lane);
        simt_warp_barrier(e);
    }
    emit_if_end(e, &o->warp);
}

V simt_mbarrier(struct emitter *e, V first, V number) {
    return emit_offset(e, first, emit_mul(e, number, emit_i64(e, MBARRIER_BYTES)));
}

void simt_mbarriers_begin(struct emitter *e, V first, int count) {
    struct simt_one o;
    V one = emit_i32(e, 1);
    simt_one_begin(e, &o);
    for (int i = 0; i < count; i++) {
        V barrier = simt_mbarrier(e, first, emit_i64(e, i));
        if (!e->threaded)
            emulate_mbarrier(e, "mdl_emulate_mbarrier_init", barrier, one);
        else
            emit_intrinsic(e, "llvm.nvvm.mbarrier.init.shared", NULL, 0, (V[]){barrier, one}, 2);
    }
    if (e->threaded) emit_intrinsic(e, "llvm.nvvm.fence.mbarrier_init.release.cluster", NULL, 0, NULL, 0);
    simt_one_end(e, &o);
}

void simt_mbarriers_end(struct emitter *e, V first, int count) {
    struct simt_one o;
    if (!e->threaded) return;
    simt_one_begin(e, &o);
    for (int i = 0; i < count; i++) {
        V barrier = simt_mbarrier(e, first, emit_i64(e, i));
        emit_intrinsic(e, "llvm.nvvm.mbarrier.inval.shared", NULL, 0, &barrier, 1);
    }
    simt_one_end(e, &o);
}

void simt_mbarrier_expect(struct emitter *e, V barrier, V bytes) {
    if (!e->threaded)
        emulate_mbarrier(e, "mdl_emulate_mbarrier_expect", barrier, bytes);
    else
        emit_intrinsic(e, "llvm.nvvm.mbarrier.arrive.expect.tx.scope.cta.space.cta", NULL, 0, (V[]){barrier, bytes},
                       2);
}

void simt_mbarrier_wait(struct emitter *e, V barrier, V phase) {
    V parity = LLVMBuildAnd(e->builder, LLVMBuildTrunc(e->builder, phase, e->i32, ""), emit_i32(e, 1), "");
    if (!e->threaded) {
        emulate_mbarrier(e, "mdl_emulate_mbarrier_wait", barrier, parity);
        return;
    }
    LLVMBasicBlockRef wait = LLVMAppendBasicBlockInContext(e->context, e->function, "wait"),
                      over = LLVMAppendBasicBlockInContext(e->context, e->function, "over");
    LLVMBuildBr(e->builder, wait);
    LLVMPositionBuilderAtEnd(e->builder, wait);
    V is_over = emit_intrinsic(e, "llvm.nvvm.mbarrier.try.wait.parity.scope.cta.space.cta", NULL, 0,
                               (V[]){barrier, parity}, 2);
    LLVMBuildCondBr(e->builder, is_over, over, wait);
    LLVMPositionBuilderAtEnd(e->builder, over);
}

void simt_copy_bulk(struct emitter *e, V to, V from, V bytes, V barrier) {
    if (!e->threaded) {
        emulate_copy_bulk(e, to, from, bytes, barrier);
        return;
    }
    /* Where a block is alone in its cluster, the cluster's addresses are its own: PTX before 8.6 knows no
     * other destination. */
    LLVMTypeRef cluster = LLVMPointerTypeInContext(e->context, SHARED_CLUSTER);
    V no = LLVMConstNull(e->i1), none = LLVMConstNull(e->i16), hint = emit_i64(e, 0);
    V there = LLVMBuildAddrSpaceCast(e->builder, to, cluster, "");
    V arguments[] = {there, barrier, from, bytes, none, hint, no, no};
    emit_intrinsic(e, "llvm.nvvm.cp.async.bulk.global.to.shared.cluster", NULL, 0, arguments, 8);
}
