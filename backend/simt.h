/* What the threads of a warp do together, where they are the lanes of a vector (emitter.threaded). All
 * threads of the warp must come here. */
#ifndef BACKEND_SIMT_H
#define BACKEND_SIMT_H
#include "backend/emit.h"

/* The value of the lane whose number differs in the bits of `mask`; of `lane` (i32). Values of any scalar
 * type. */
LLVMValueRef simt_shuffle_xor(struct emitter *e, LLVMValueRef value, int mask);
LLVMValueRef simt_shuffle_from(struct emitter *e, LLVMValueRef value, LLVMValueRef lane);
/* Whether some lane's condition holds, as an i1 that is the same for all; which, as the bits of an i32. */
LLVMValueRef simt_any(struct emitter *e, LLVMValueRef condition);
LLVMValueRef simt_ballot(struct emitter *e, LLVMValueRef condition);
/* The same for all threads of the block. */
void simt_block_barrier(struct emitter *e);
/* This thread block's share begin..end of `count` things. */
void simt_split(struct emitter *e, LLVMValueRef count, LLVMValueRef *begin, LLVMValueRef *end);
/* `bytes` of the thread block's shared memory, 64-byte aligned, for the whole kernel. */
LLVMValueRef simt_shared(struct emitter *e, int64_t bytes);
/* What a lane has stored before, others of the warp may read behind it. Nothing where lanes are no threads.
 */
void simt_warp_barrier(struct emitter *e);
/* sum + w[0..4) . x[0..4): unsigned bytes of w, signed ones of x, each four in 32 bits. */
LLVMValueRef simt_dot4(struct emitter *e, LLVMValueRef w, LLVMValueRef x, LLVMValueRef sum);
/* sums[4] += A[4] B[2], fragments of mma.sync.m16n8k16 of bf16 (simt_mma.c). */
void simt_mma_bf16(struct emitter *e, const LLVMValueRef *a, const LLVMValueRef *b, LLVMValueRef *sums);
/* order[rank] = number, of n keys of memory type t in scratch; as mdl_argsort of the runtime orders them. */
void simt_argsort(struct emitter *e, enum dtype t, LLVMValueRef keys, LLVMValueRef n, bool descending,
                  LLVMValueRef order);
/* Special registers, as i64: "tid.x", "ctaid.x", "nctaid.x". */
LLVMValueRef simt_register(struct emitter *e, const char *name);

#endif
