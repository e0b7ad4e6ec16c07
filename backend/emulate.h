/* GPU's kernels on the processor, with true vectors for warps (runtime/emulate.h), and instructions of other processors
 * (runtime/emulate_x86.h). */
#ifndef BACKEND_EMULATE_H
#define BACKEND_EMULATE_H
#include "backend/code.h"
#include "backend/simt.h"

/* Begins e->function as a warp's code; the builder stands in e->entry. */
void emulate_warp_begin(struct emitter *e, const char *name, int warps);
/* Ends it, and makes the kernel that the runtime calls: it runs a grid of such warps. */
void emulate_warp_end(struct emitter *e, const char *name);

void emulate_barrier(struct emitter *e);
/* Each lane's own element, at pointers a lane; where `mask` (NULL: all true) is false, 0. */
LLVMValueRef emulate_load(struct emitter *e, LLVMTypeRef element, LLVMValueRef pointers, LLVMValueRef mask);
void emulate_store(struct emitter *e, LLVMValueRef value, LLVMValueRef pointers, LLVMValueRef mask);
/* As their namesakes in simt.h; pointers a lane. */
void emulate_mma(struct emitter *e, enum atom atom, const LLVMValueRef *a, const LLVMValueRef *b, LLVMValueRef *sums);
LLVMValueRef emulate_dot4(struct emitter *e, LLVMValueRef w, LLVMValueRef x, LLVMValueRef sum);
void emulate_wgmma(struct emitter *e, enum atom atom, int outputs, const struct simt_columns *a, const struct simt_columns *b,
                   LLVMValueRef *sums);
void emulate_wgmma_registers(struct emitter *e, enum atom atom, int outputs, const LLVMValueRef a[4],
                             const struct simt_columns *b, bool transposed, LLVMValueRef *sums);
void emulate_tcgen05(struct emitter *e, enum atom atom, int outputs, const struct simt_columns *a, const struct simt_columns *b,
                     LLVMValueRef adds);
void emulate_tensor_load(struct emitter *e, LLVMValueRef column, LLVMValueRef words[TENSOR_LOAD]);
/* A function of the runtime on the block's tensor memory. */
void emulate_tensor(struct emitter *e, const char *name);
void emulate_copy(struct emitter *e, LLVMValueRef to, LLVMValueRef from, LLVMValueRef exists);
/* Groups of what is asynchronous: "copy", "wgmma". */
void emulate_commit(struct emitter *e, const char *of);
void emulate_wait(struct emitter *e, const char *of, int pending);
void emulate_copy_bulk(struct emitter *e, LLVMValueRef to, LLVMValueRef from, LLVMValueRef bytes, LLVMValueRef barrier);
void emulate_copy_box(struct emitter *e, const struct operand_map *m, const LLVMValueRef *first,
                      LLVMValueRef to, LLVMValueRef barrier);
/* A function of the runtime on a barrier in shared memory, and what it takes (i32). */
void emulate_mbarrier(struct emitter *e, const char *name, LLVMValueRef barrier, LLVMValueRef argument);

/* LLVM's intrinsic of an instruction that this machine may lack, as a function of the runtime: llvm.x86.tdpbf16ps is
 * mdl_x86_tdpbf16ps. Vectors go by address, the result's before the others. */
LLVMValueRef emulate_instruction(struct emitter *e, const char *name, LLVMTypeRef result, const LLVMValueRef *arguments, int count);

#endif
