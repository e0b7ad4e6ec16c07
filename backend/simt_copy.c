/* Asynchronous copies from global to shared memory: cp.async, of 16 bytes a lane, past L1. */
#include "backend/emulate.h"
#include "backend/simt.h"

enum { BYTES = 16 };

typedef LLVMValueRef V;

void simt_copy_async(struct emitter *e, V to, struct index at, V from, struct index from_at, V exists) {
    V destination = emit_addresses(e, to, at, 1, e->lanes),
      source = emit_addresses(e, from, from_at, 1, e->lanes);
    if (!e->threaded) {
        emulate_copy(e, destination, source, exists);
        return;
    }
    if (!exists) {
        emit_intrinsic(e, "llvm.nvvm.cp.async.cg.shared.global.16", NULL, 0, (V[]){destination, source}, 2);
        return;
    }
    V bytes = LLVMBuildSelect(e->builder, exists, emit_i32(e, BYTES), emit_i32(e, 0), "");
    emit_intrinsic(e, "llvm.nvvm.cp.async.cg.shared.global.16.s", NULL, 0, (V[]){destination, source, bytes},
                   3);
}

void simt_copy_commit(struct emitter *e) {
    if (e->threaded)
        emit_intrinsic(e, "llvm.nvvm.cp.async.commit.group", NULL, 0, NULL, 0);
    else
        emulate_commit(e, "copy");
}

void simt_copy_wait(struct emitter *e, int pending) {
    V left = emit_i32(e, pending);
    if (e->threaded)
        emit_intrinsic(e, "llvm.nvvm.cp.async.wait.group", NULL, 0, &left, 1);
    else
        emulate_wait(e, "copy", pending);
}
