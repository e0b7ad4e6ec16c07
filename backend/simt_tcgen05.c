/* Products that one thread issues for its block, both operands in shared memory, sums in tensor memory:
 * tcgen05.mma of sm_100a. Tensor memory is 128 lanes, one a row of a tile, by columns of 32 bits, one an
 * output; an address has the lane in its upper half, and a warp reaches the 32 lanes from 32 (number % 4) on.
 * (PTX ISA, "TensorCore 5th Generation Family Instructions".) */
#include "backend/emulate.h"
#include "backend/simt.h"

enum {
    TENSOR = 6 /* LLVM's address space for it */,
    LEAST_COLUMNS = 32, /* that are allocated, in powers of two */
    MOST_COLUMNS = 512,
    LANES_BIT = 21 /* of an address: 32 lanes */
};

typedef LLVMValueRef V;

static V only_threads(struct emitter *e, const char *name, V *arguments, int count) {
    return e->threaded ? emit_intrinsic(e, name, NULL, 0, arguments, count) : NULL;
}

static V pointer(struct emitter *e, V address) {
    return LLVMBuildIntToPtr(e->builder, address, LLVMPointerTypeInContext(e->context, TENSOR), "");
}

static V is_first_warp(struct emitter *e) {
    return LLVMBuildICmp(e->builder, LLVMIntEQ, e->warp, emit_i64(e, 0), "");
}

void simt_tensor_before(struct emitter *e) {
    only_threads(e, "llvm.nvvm.tcgen05.fence.before.thread.sync", NULL, 0);
}
void simt_tensor_after(struct emitter *e) {
    only_threads(e, "llvm.nvvm.tcgen05.fence.after.thread.sync", NULL, 0);
}

struct simt_tensor simt_tensor_begin(struct emitter *e, int columns) {
    struct simt_tensor t = {.columns = LEAST_COLUMNS};
    struct emit_if first;
    while (t.columns < columns) t.columns *= 2;
    if (t.columns > MOST_COLUMNS) ice("%d columns of tensor memory", columns);
    V slot = simt_shared(e, 4), arguments[] = {slot, emit_i32(e, t.columns)};
    emit_if_begin(e, &first, is_first_warp(e));
    if (!e->threaded) emulate_tensor(e, "mdl_emulate_tensor_begin");
    only_threads(e, "llvm.nvvm.tcgen05.alloc.shared.cg1", arguments, 2);
    only_threads(e, "llvm.nvvm.tcgen05.relinq.alloc.permit.cg1", NULL, 0);
    emit_if_end(e, &first);
    simt_tensor_before(e);
    simt_block_barrier(e);
    simt_tensor_after(e);
    if (e->threaded) t.address = LLVMBuildLoad2(e->builder, e->i32, slot, "sums");
    return t;
}

void simt_tensor_end(struct emitter *e, const struct simt_tensor *t) {
    struct emit_if first;
    emit_if_begin(e, &first, is_first_warp(e));
    if (!e->threaded)
        emulate_tensor(e, "mdl_emulate_tensor_end");
    else
        only_threads(e, "llvm.nvvm.tcgen05.dealloc.cg1",
                     (V[]){pointer(e, t->address), emit_i32(e, t->columns)}, 2);
    emit_if_end(e, &first);
}

/* Sums of f32, 1 at bit 4; A's type at 7, B's at 10; outputs / 8 at 17, rows / 16 at 24. */
static V instruction(struct emitter *e, enum atom atom, int outputs) {
    enum dtype t = atom_info(atom)->a;
    int type = t == DTYPE_F16 ? 0 : t == DTYPE_BF16 ? 1 : 2;
    return emit_i32(e, 1 << 4 | type << 7 | type << 10 | outputs / 8 << 17 | TENSOR_ROWS / 16 << 24);
}

void simt_tcgen05(struct emitter *e, enum atom atom, int outputs, const struct simt_columns *a,
                  const struct simt_columns *b, const struct simt_tensor *t, V adds) {
    if (!e->threaded) {
        emulate_tcgen05(e, atom, outputs, a, b, adds);
        return;
    }
    V version = emit_i64(e, INT64_C(1) << 46), kind = emit_i32(e, atom_info(atom)->a == DTYPE_F32);
    V arguments[] = {pointer(e, t->address),
                     LLVMBuildOr(e->builder, simt_columns_descriptor(e, a), version, ""),
                     LLVMBuildOr(e->builder, simt_columns_descriptor(e, b), version, ""),
                     instruction(e, atom, outputs),
                     adds,
                     kind,
                     emit_i32(e, 1) /* one block */,
                     emit_i32(e, 0) /* A is not kept */};
    emit_intrinsic(e, "llvm.nvvm.tcgen05.mma.shared", NULL, 0, arguments, 8);
}

void simt_tcgen05_commit(struct emitter *e, V barrier) {
    if (e->threaded)
        only_threads(e, "llvm.nvvm.tcgen05.commit.shared.cg1", &barrier, 1);
    else
        emulate_mbarrier(e, "mdl_emulate_tcgen05_commit", barrier, emit_i32(e, 1));
}

void simt_tensor_load(struct emitter *e, const struct simt_tensor *t, V column, V words[TENSOR_LOAD]) {
    if (!e->threaded) {
        emulate_tensor_load(e, column, words);
        return;
    }
    V lanes = emit_mul(e, emit_rem(e, e->warp, emit_i64(e, 4)), emit_i64(e, 1 << LANES_BIT));
    V own = LLVMBuildTrunc(e->builder, emit_add(e, lanes, column), e->i32, "");
    V arguments[] = {pointer(e, LLVMBuildAdd(e->builder, t->address, own, "")), LLVMConstNull(e->i1)};
    V all = only_threads(e, "llvm.nvvm.tcgen05.ld.32x32b.x16", arguments, 2);
    only_threads(e, "llvm.nvvm.tcgen05.wait.ld", NULL, 0);
    for (int i = 0; i < TENSOR_LOAD; i++)
        words[i] = LLVMBuildExtractElement(e->builder, all, emit_i32(e, i), "");
}
