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

void simt_mbarriers_begin(struct emitter *e, V first, int count, int arrivals) {
    struct simt_one o;
    V all = emit_i32(e, arrivals);
    simt_one_begin(e, &o);
    for (int i = 0; i < count; i++) {
        V barrier = simt_mbarrier(e, first, emit_i64(e, i));
        if (!e->threaded)
            emulate_mbarrier(e, "mdl_emulate_mbarrier_init", barrier, all);
        else
            emit_intrinsic(e, "llvm.nvvm.mbarrier.init.shared", NULL, 0, (V[]){barrier, all}, 2);
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

void simt_mbarrier_arrive(struct emitter *e, V barrier) {
    struct emit_if one;
    if (!e->threaded) {
        emulate_mbarrier(e, "mdl_emulate_mbarrier_arrive", barrier, emit_i32(e, 1));
        return;
    }
    emit_if_begin(e, &one, elected(e));
    emit_intrinsic(e, "llvm.nvvm.mbarrier.arrive.scope.cta.space.cta", NULL, 0, (V[]){barrier, emit_i32(e, 1)}, 2);
    emit_if_end(e, &one);
    simt_warp_barrier(e);
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

/* Where a block is alone in its cluster, the cluster's addresses are its own: PTX before 8.6 knows no other
 * destination. */
static V in_cluster(struct emitter *e, V to) {
    return LLVMBuildAddrSpaceCast(e->builder, to, LLVMPointerTypeInContext(e->context, SHARED_CLUSTER), "");
}

void simt_copy_bulk(struct emitter *e, V to, V from, V bytes, V barrier) {
    if (!e->threaded) {
        emulate_copy_bulk(e, to, from, bytes, barrier);
        return;
    }
    V no = LLVMConstNull(e->i1), none = LLVMConstNull(e->i16), hint = emit_i64(e, 0);
    V arguments[] = {in_cluster(e, to), barrier, from, bytes, none, hint, no, no};
    emit_intrinsic(e, "llvm.nvvm.cp.async.bulk.global.to.shared.cluster", NULL, 0, arguments, 8);
}

void simt_copy_box(struct emitter *e, const struct operand_map *m, const V *first, V to, V barrier) {
    V arguments[MDL_MAP_DIMS + 8], no = LLVMConstNull(e->i1);
    int count = 0;
    if (!e->threaded) {
        emulate_copy_box(e, m, first, to, barrier);
        return;
    }
    arguments[count++] = in_cluster(e, to);
    arguments[count++] = barrier;
    arguments[count++] = m->at;
    for (int i = 0; i < m->rank; i++) arguments[count++] = LLVMBuildTrunc(e->builder, first[i], e->i32, "");
    arguments[count++] = LLVMConstNull(e->i16); /* to no other block, */
    arguments[count++] = emit_i64(e, 0);        /* no hint to the cache */
    arguments[count++] = no;
    arguments[count++] = no;
    arguments[count++] = emit_i32(e, 0);
    const char *name = arena_printf(e->arena, "llvm.nvvm.cp.async.bulk.tensor.g2s.tile.%dd", m->rank);
    emit_intrinsic(e, name, NULL, 0, arguments, count);
}
