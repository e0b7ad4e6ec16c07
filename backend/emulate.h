/* GPU's kernels on the processor, with true vectors for warps (runtime/emulate.h). */
#ifndef BACKEND_EMULATE_H
#define BACKEND_EMULATE_H
#include "backend/code.h"

/* Begins e->function as a warp's code; the builder stands in e->entry. */
void emulate_warp_begin(struct emitter *e, const char *name, int warps);
/* Ends it, and makes the kernel that the runtime calls: it runs a grid of such warps. */
void emulate_warp_end(struct emitter *e, const char *name);

void emulate_barrier(struct emitter *e);
void emulate_mma_bf16(struct emitter *e, const LLVMValueRef *a, const LLVMValueRef *b, LLVMValueRef *sums);

#endif
