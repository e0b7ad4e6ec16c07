/* Kernels of a GPU on the processor, for tests: a function a warp, with the warp's lanes as vectors; the
 * warps of a thread block take turns at barriers, in an order that nobody may rely on. Generated code calls
 * these (mdlc --target=emulate:ARCH). */
#ifndef RUNTIME_EMULATE_H
#define RUNTIME_EMULATE_H
#include "runtime/abi.h"

typedef void mdl_warp_code(void *const *buffers, const int64_t *dims, struct mdl_warp *w);

/* Runs thread number `thread`'s share of a grid's blocks, of `warps` warps each. Shared memory and scratch
 * begin as 0xff. How many blocks there are, and which warp goes on, is random from $MDL_EMULATE_SEED [1]. A
 * barrier that not all warps come to ends the program. */
void mdl_emulate(mdl_warp_code *code, void *const *buffers, const int64_t *dims, int64_t thread,
                 int64_t threads, int64_t warps, int64_t shared, int64_t scratch);
void mdl_emulate_barrier(struct mdl_warp *w);
/* Products of fragments as the PTX ISA documents them: registers of 32 lanes each, one after the other. */
void mdl_emulate_mma_bf16(const uint32_t a[4][32], const uint32_t b[2][32], float sums[4][32]);
void mdl_emulate_mma_f16(const uint32_t a[4][32], const uint32_t b[2][32], float sums[4][32]);
void mdl_emulate_mma_tf32(const uint32_t a[4][32], const uint32_t b[2][32], float sums[4][32]);
void mdl_emulate_mma_int8(const uint32_t a[4][32], const uint32_t b[2][32], int32_t sums[4][32]);
/* sums += w . x of each lane's four bytes: dp4a.u32.s32. */
void mdl_emulate_dot4(const uint8_t w[32][4], const int8_t x[32][4], int32_t sums[32]);
/* Copies of 16 bytes a lane into shared memory, zeros where `exists` is 0. */
void mdl_emulate_copy(struct mdl_warp *w, char *const to[32], const char *const from[32], const uint8_t exists[32]);
void mdl_emulate_copy_commit(struct mdl_warp *w);
void mdl_emulate_copy_wait(struct mdl_warp *w, int32_t pending);

#endif
