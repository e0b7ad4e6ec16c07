/* Kernels of a GPU on the processor, for tests: a function a warp, with the warp's lanes as vectors; the
 * warps of a thread block take turns at barriers, in an order that nobody may rely on. Generated code calls
 * these (mdlc --target=emulate:ARCH). */
#ifndef RUNTIME_EMULATE_H
#define RUNTIME_EMULATE_H
#include "runtime/abi.h"

typedef void mdl_warp_code(void *const *buffers, const int64_t *dims, struct mdl_warp *w);

/* Runs thread number `thread`'s share of a grid's blocks, of `warps` warps each; if they have parts, thread 0
 * runs them all. Shared memory, scratch and parts begin as 0xff. How many blocks there are, in which order
 * they run, and which warp goes on, is random from $MDL_EMULATE_SEED [1]. A barrier that not all warps come
 * to, or a counter that is not left as zero, ends the program. */
void mdl_emulate(mdl_warp_code *code, void *const *buffers, const int64_t *dims, int64_t thread,
                 int64_t threads, int64_t warps, int64_t shared, int64_t scratch, int64_t part);
void mdl_emulate_barrier(struct mdl_warp *w);
/* Products of fragments as the PTX ISA documents them: registers of 32 lanes each, one after the other. */
void mdl_emulate_mma_bf16(const uint32_t a[4][32], const uint32_t b[2][32], float sums[4][32]);
void mdl_emulate_mma_f16(const uint32_t a[4][32], const uint32_t b[2][32], float sums[4][32]);
void mdl_emulate_mma_tf32(const uint32_t a[4][32], const uint32_t b[2][32], float sums[4][32]);
void mdl_emulate_mma_int8(const uint32_t a[4][32], const uint32_t b[2][32], int32_t sums[4][32]);
/* wgmma.mma_async of 64 lines of A and `outputs` of B, from columns of 16-byte chunks of lines, `pitch` bytes apart: the sums of this
 * warp's 16 rows, [outputs / 8][4][32]. */
void mdl_emulate_wgmma_bf16(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b, int64_t b_pitch, int64_t outputs,
                            float (*sums)[32]);
void mdl_emulate_wgmma_f16(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b, int64_t b_pitch, int64_t outputs,
                           float (*sums)[32]);
void mdl_emulate_wgmma_tf32(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b, int64_t b_pitch, int64_t outputs,
                            float (*sums)[32]);
/* A block's tensor memory, [MDL_TENSOR_ROWS][MDL_TENSOR_COLUMNS], which is taken once, begins as 0xff, and must be given back. */
enum { MDL_TENSOR_ROWS = 128, MDL_TENSOR_COLUMNS = 512 };
void mdl_emulate_tensor_begin(struct mdl_warp *w);
void mdl_emulate_tensor_end(struct mdl_warp *w);
/* The warp's rows, columns of them. */
void mdl_emulate_tensor_load(struct mdl_warp *w, int64_t column, int64_t count, float (*to)[32]);
/* tcgen05.mma of all rows, made at once: operands as of wgmma; `adds`: to what was there. */
void mdl_emulate_tcgen05_bf16(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b, int64_t b_pitch, int64_t outputs,
                              int32_t adds);
void mdl_emulate_tcgen05_f16(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b, int64_t b_pitch, int64_t outputs,
                             int32_t adds);
void mdl_emulate_tcgen05_tf32(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b, int64_t b_pitch, int64_t outputs,
                              int32_t adds);
/* Copies of 16 bytes a lane into shared memory, zeros where `exists` is 0. */
void mdl_emulate_copy(struct mdl_warp *w, char *const to[32], const char *const from[32], const uint8_t exists[32]);
void mdl_emulate_copy_commit(struct mdl_warp *w);
void mdl_emulate_copy_wait(struct mdl_warp *w, int32_t pending);
/* An mbarrier: `arrivals` of each phase, those still to come, the phase's number, bytes still to come. */
struct mdl_mbarrier {
    uint8_t arrivals, pending;
    uint16_t phase;
    int32_t bytes;
};
void mdl_emulate_mbarrier_init(struct mdl_warp *w, struct mdl_mbarrier *m, int32_t arrivals);
void mdl_emulate_mbarrier_expect(struct mdl_warp *w, struct mdl_mbarrier *m, int32_t bytes);
/* Others go on until the phase of that parity is over. That nobody can go on ends the program. */
void mdl_emulate_mbarrier_wait(struct mdl_warp *w, const struct mdl_mbarrier *m, int32_t parity);
void mdl_emulate_copy_bulk(struct mdl_warp *w, char *to, const char *from, int32_t bytes, struct mdl_mbarrier *m);

#endif
