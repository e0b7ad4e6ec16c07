/* GPU's kernels on the processor, with true vectors for warps (runtime/emulate.h). */
#ifndef BACKEND_EMULATE_H
#define BACKEND_EMULATE_H
#include "backend/code.h"
#include "backend/simt.h"

/* Begins e->function as a warp's code; the builder stands in e->entry. */
void emulate_warp_begin(struct emitter *e, const char *name, int warps);
/* Ends it, and makes the kernel that the runtime calls: it runs a grid of such warps. */
void emulate_warp_end(struct emitter *e, const char *name);

void emulate_barrier(struct emitter *e);
/* As their namesakes in simt.h; pointers a lane. */
void emulate_mma(struct emitter *e, enum atom atom, const LLVMValueRef *a, const LLVMValueRef *b, LLVMValueRef *sums);
void emulate_wgmma(struct emitter *e, enum atom atom, int outputs, const struct simt_columns *a, const struct simt_columns *b,
                   LLVMValueRef *sums);
void emulate_tcgen05(struct emitter *e, enum atom atom, int outputs, const struct simt_columns *a, const struct simt_columns *b,
                     LLVMValueRef adds);
void emulate_tensor_load(struct emitter *e, LLVMValueRef column, LLVMValueRef words[TENSOR_LOAD]);
/* A function of the runtime on the block's tensor memory. */
void emulate_tensor(struct emitter *e, const char *name);
void emulate_copy(struct emitter *e, LLVMValueRef to, LLVMValueRef from, LLVMValueRef exists);
void emulate_copy_commit(struct emitter *e);
void emulate_copy_wait(struct emitter *e, LLVMValueRef pending);
void emulate_copy_bulk(struct emitter *e, LLVMValueRef to, LLVMValueRef from, LLVMValueRef bytes, LLVMValueRef barrier);
/* A function of the runtime on a barrier in shared memory, and what it takes (i32). */
void emulate_mbarrier(struct emitter *e, const char *name, LLVMValueRef barrier, LLVMValueRef argument);

#endif
