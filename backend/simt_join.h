/* What a result's parts, made by several blocks of a grid, come to, without a second kernel and without a
 * block that waits for another: each writes its part to memory of the GPU that all see, and the one that
 * finds itself the last joins them.
 *
 *     block of (result, part):  write simt_part(number)
 *                               if simt_is_last(result, parts):
 *                                   for each part, in their order:  add what it has
 *
 * The sum is the same whoever is the last.
 *
 * (FlashDecoding's and Stream-K's way: Osama et al., arXiv 2301.03598.) */
#ifndef BACKEND_SIMT_JOIN_H
#define BACKEND_SIMT_JOIN_H
#include "backend/emit.h"

/* How long each part of the kernel is. There are as many as blocks. Once a kernel, before what follows. */
void simt_reserve_parts(struct emitter *e, int64_t bytes);
/* Where part `number` (i64) lies, at a multiple of MDL_ALIGN; undefined until it is written. */
LLVMValueRef simt_part(struct emitter *e, LLVMValueRef number);
/* Whether this block is the last of `parts` (i64, at least 1) to come here for result number `result` (i64,
 * below MDL_JOINS): an i1, the same for all its threads, all of which come here. What any of them wrote
 * before, the last one's threads may read behind it. */
LLVMValueRef simt_is_last(struct emitter *e, LLVMValueRef result, LLVMValueRef parts);

#endif
