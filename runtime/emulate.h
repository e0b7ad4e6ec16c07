/* Kernels of a GPU on the processor, for tests: a function a warp, with the warp's lanes as vectors; the
 * warps of a thread block take turns at barriers, in an order that nobody may rely on. Generated code calls
 * these (mdlc --target=emulate:ARCH). What a kernel must not do ends the program with a message that names
 * kernel, block and warp. */
#ifndef RUNTIME_EMULATE_H
#define RUNTIME_EMULATE_H
#include "runtime/abi.h"

enum { EMULATED_LANES = 32 };

/* Runs thread number `thread`'s share of a grid's blocks; if they have parts, thread 0 runs them all. Shared
 * memory, scratch and parts begin as 0xff, between guards. How many blocks there are, their order, and which
 * warp goes on, is random from $MDL_EMULATE_SEED [1]. */
void mdl_emulate(const struct mdl_emulated *kernel, void *const *buffers, const int64_t *dims, int64_t thread,
                 int64_t threads);
/* All warps of the block come to it, or none. */
void mdl_emulate_barrier(struct mdl_warp *w);

/* An element of `bytes` for each lane whose `mask` is not 0, at an address of that alignment; lanes that load
 * nothing have zeros. */
void mdl_emulate_load(const char *const *from, const uint8_t *mask, void *to, int64_t bytes, int64_t lanes);
void mdl_emulate_store(char *const *to, const uint8_t *mask, const void *from, int64_t bytes, int64_t lanes);

/* Asynchronous copies of 16 bytes a lane into shared memory, zeros where `exists` is 0. What comes lies in no
 * place before its warp waits for its group, and is nobody else's before the next barrier. */
void mdl_emulate_copy(struct mdl_warp *w, char *const to[EMULATED_LANES],
                      const char *const from[EMULATED_LANES], const uint8_t exists[EMULATED_LANES]);
void mdl_emulate_copy_commit(struct mdl_warp *w);
void mdl_emulate_copy_wait(struct mdl_warp *w, int32_t pending);

/* Products of fragments as the PTX ISA documents them: registers of 32 lanes each, one after the other. */
void mdl_emulate_mma_bf16(const uint32_t a[4][32], const uint32_t b[2][32], float sums[4][32]);
void mdl_emulate_mma_f16(const uint32_t a[4][32], const uint32_t b[2][32], float sums[4][32]);
void mdl_emulate_mma_tf32(const uint32_t a[4][32], const uint32_t b[2][32], float sums[4][32]);
void mdl_emulate_mma_int8(const uint32_t a[4][32], const uint32_t b[2][32], int32_t sums[4][32]);
/* wgmma.mma_async of 64 lines of A and `outputs` of B, from columns of 16-byte chunks of lines, `pitch` bytes
 * apart, or, where that is 0, from swizzled lines of 128 bytes (as CU_TENSOR_MAP_SWIZZLE_128B puts them): the
 * sums of this warp's 16 rows, [outputs / 8][4][32]. */
void mdl_emulate_wgmma_bf16(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b,
                            int64_t b_pitch, int64_t outputs, float (*sums)[32]);
void mdl_emulate_wgmma_f16(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b, int64_t b_pitch,
                           int64_t outputs, float (*sums)[32]);
void mdl_emulate_wgmma_tf32(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b,
                            int64_t b_pitch, int64_t outputs, float (*sums)[32]);
/* A in registers, as fragments of mma; transposed: B is 16 lines of outputs / 8 chunks. */
void mdl_emulate_wgmma_registers_bf16(struct mdl_warp *w, const uint32_t a[4][32], const char *b,
                                      int64_t b_pitch, int64_t outputs, int32_t transposed,
                                      float (*sums)[32]);
void mdl_emulate_wgmma_registers_f16(struct mdl_warp *w, const uint32_t a[4][32], const char *b,
                                     int64_t b_pitch, int64_t outputs, int32_t transposed, float (*sums)[32]);
void mdl_emulate_wgmma_commit(struct mdl_warp *w);
void mdl_emulate_wgmma_wait(struct mdl_warp *w, int32_t pending);
/* sums += w . x of each lane's four bytes: dp4a.u32.s32. */
void mdl_emulate_dot4(const uint8_t w[32][4], const int8_t x[32][4], int32_t sums[32]);

/* A block's tensor memory, [MDL_TENSOR_ROWS][MDL_TENSOR_COLUMNS], which is taken once, begins as 0xff, and
 * must be given back. */
enum { MDL_TENSOR_ROWS = 128, MDL_TENSOR_COLUMNS = 512 };
void mdl_emulate_tensor_begin(struct mdl_warp *w);
void mdl_emulate_tensor_end(struct mdl_warp *w);
/* The warp's rows, columns of them. */
void mdl_emulate_tensor_load(struct mdl_warp *w, int64_t column, int64_t count, float (*to)[32]);
/* tcgen05.mma of all rows, made after all warps wait, in order: operands as of wgmma; `adds`: to what was
 * there. */
void mdl_emulate_tcgen05_bf16(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b,
                              int64_t b_pitch, int64_t outputs, int32_t adds);
void mdl_emulate_tcgen05_f16(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b,
                             int64_t b_pitch, int64_t outputs, int32_t adds);
void mdl_emulate_tcgen05_tf32(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b,
                              int64_t b_pitch, int64_t outputs, int32_t adds);
/* An mbarrier: `arrivals` of each phase, those still to come, the phase's number, bytes still to come. */
struct mdl_mbarrier {
    uint8_t arrivals, pending;
    uint16_t phase;
    int32_t bytes;
};
/* One arrival behind all products begun before. */
void mdl_emulate_tcgen05_commit(struct mdl_warp *w, struct mdl_mbarrier *m, int32_t arrivals);
void mdl_emulate_mbarrier_init(struct mdl_warp *w, struct mdl_mbarrier *m, int32_t arrivals);
void mdl_emulate_mbarrier_arrive(struct mdl_warp *w, struct mdl_mbarrier *m, int32_t arrivals);
void mdl_emulate_mbarrier_expect(struct mdl_warp *w, struct mdl_mbarrier *m, int32_t bytes);
/* Others go on until the phase of that parity is over. That nobody can go on ends the program. */
void mdl_emulate_mbarrier_wait(struct mdl_warp *w, const struct mdl_mbarrier *m, int32_t parity);
/* Comes, from the call on, when all warps wait; nobody may look before. */
void mdl_emulate_copy_bulk(struct mdl_warp *w, char *to, const char *from, int32_t bytes,
                           struct mdl_mbarrier *m);
/* The same of a box of a tensor [extents, the innermost dimension first] that lies at `base` without gaps, from element `first`
 * on, to swizzled lines; zeros where it is outside. */
struct mdl_box {
    const char *base;
    int64_t bytes /* of an element */, rank;
    int64_t extents[MDL_MAP_DIMS], box[MDL_MAP_DIMS], first[MDL_MAP_DIMS]; /* beyond the rank: 1, 1, 0 */
};
void mdl_emulate_copy_box(struct mdl_warp *w, char *to, const struct mdl_box *b, struct mdl_mbarrier *m);

#endif
