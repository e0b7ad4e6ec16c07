/* What the threads of a warp do together, where they are the lanes of a vector (emitter.threaded). All
 * threads of the warp must come here. */
#ifndef BACKEND_SIMT_H
#define BACKEND_SIMT_H
#include "backend/emit.h"

/* Each lane's number. */
struct index simt_lanes(struct emitter *e);
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
/* `bytes` of the thread block's shared memory, 64-byte aligned, for the whole kernel; or aligned to `align`. */
LLVMValueRef simt_shared(struct emitter *e, int64_t bytes);
LLVMValueRef simt_shared_aligned(struct emitter *e, int64_t bytes, int align);
/* What a lane has stored before, others of the warp may read behind it. Nothing where lanes are no threads.
 */
void simt_warp_barrier(struct emitter *e);
/* sum + w[0..4) . x[0..4): unsigned bytes of w, signed ones of x, each four in 32 bits. */
LLVMValueRef simt_dot4(struct emitter *e, LLVMValueRef w, LLVMValueRef x, LLVMValueRef sum);
/* sums[4] += A[4] B[2], fragments of an atom mma_...: 16 rows by 8 outputs by 32 bytes of inputs. A register is 4 bytes of
 * inputs or a sum (simt_mma.c). */
void simt_mma(struct emitter *e, enum atom atom, const LLVMValueRef *a, const LLVMValueRef *b, LLVMValueRef *sums);
/* Columns of chunks in shared memory: line n's chunk c is at base + bytes + c * pitch + 16 n. Where the pitch is 0, swizzled lines: it is
 * at base + bytes + 128 n + 16 c, after bits 4 to 6 of that address are changed by bits 7 to 9 (xor); such lines begin at multiples
 * of SWIZZLE_ALIGN. So eight lines' chunks lie in different banks. */
enum { SWIZZLE_LINE = 128, SWIZZLE_ALIGN = 1024 };
struct simt_columns {
    LLVMValueRef base, bytes;
    int64_t pitch;
};
/* Four matrices of 8 rows of 16 bytes from shared memory, in fragments: lane l gives where row l % 8 of matrix l / 8 is, in bytes
 * from `base`, and gets bytes 4 (l % 4) .. of row l / 4 of each. ldmatrix.x4 */
void simt_load_matrix(struct emitter *e, LLVMValueRef base, struct index at, LLVMValueRef words[4]);
/* The same of matrices of 2-byte elements, transposed. */
void simt_load_transposed(struct emitter *e, LLVMValueRef base, struct index at, LLVMValueRef words[4]);
/* Where lanes find the four matrices that lines `line` .. + 15 by two chunks are, bytes from the columns' base: for A lines first, for B
 * chunks, so that fragments come in the order of an atom's registers. */
struct index simt_matrices(struct emitter *e, const struct simt_columns *m, LLVMValueRef line, bool lines_first);

/* Asynchronous copies into shared memory, 16 bytes a lane, at and from so many bytes behind the bases; zeros where `exists` (lanes,
 * NULL: all) says that there is nothing. What was begun before a commit is a group of this warp. After a wait that leaves at most
 * `pending` groups under way, the older ones are there for this warp; for the others of the block after a barrier. cp.async */
void simt_copy_async(struct emitter *e, LLVMValueRef to, struct index at, LLVMValueRef from, struct index from_at, LLVMValueRef exists);
void simt_copy_commit(struct emitter *e);
void simt_copy_wait(struct emitter *e, int pending);
/* What one thread of the block does, always the same: all warps come to both. In between lanes are not all there. */
struct simt_one {
    struct emit_if warp, lane;
};
void simt_one_begin(struct emitter *e, struct simt_one *o);
void simt_one_end(struct emitter *e, struct simt_one *o);

/* Of sm_90 and later. `count` barriers in shared memory, MBARRIER_BYTES each and aligned to as many, from `first` on; number `number`
 * (i64) of them. A phase, 0 first, is over when so many have arrived, and as many bytes as they expect; then the next one begins. All
 * warps come to begin, and a barrier of the block follows before they are used; to end, when nobody uses them any more, before the
 * memory or they themselves are used anew. */
enum { MBARRIER_BYTES = 8 };
void simt_mbarriers_begin(struct emitter *e, LLVMValueRef first, int count, int arrivals);
void simt_mbarriers_end(struct emitter *e, LLVMValueRef first, int count);
LLVMValueRef simt_mbarrier(struct emitter *e, LLVMValueRef first, LLVMValueRef number);
/* This warp arrives, once for all its lanes. */
void simt_mbarrier_arrive(struct emitter *e, LLVMValueRef barrier);
/* One thread arrives, and expects `bytes` (i32) in this phase. */
void simt_mbarrier_expect(struct emitter *e, LLVMValueRef barrier, LLVMValueRef bytes);
/* This warp, all its lanes, or one thread, until phase number `phase` (i64) is over: the one under way or the one before, which of a new barrier is -1
 * and over. */
void simt_mbarrier_wait(struct emitter *e, LLVMValueRef barrier, LLVMValueRef phase);
/* One thread has `bytes` (i32, a multiple of 16, from where both are aligned to 16) brought from global to shared memory, where `barrier`
 * counts them. cp.async.bulk */
void simt_copy_bulk(struct emitter *e, LLVMValueRef to, LLVMValueRef from, LLVMValueRef bytes, LLVMValueRef barrier);
/* The same of a box of a tensor, from the element first[i64 a dimension, the innermost first] on, to swizzled lines. cp.async.bulk.tensor */
void simt_copy_box(struct emitter *e, const struct operand_map *m, const LLVMValueRef *first, LLVMValueRef to, LLVMValueRef barrier);

/* As the instructions that read them take them: bits 0 to 13 the address, 16 to 29 from a chunk to the next, 32 to 45 from eight lines to
 * the next, all of them / 16; bit 62: swizzled lines of 128 bytes. */
LLVMValueRef simt_columns_descriptor(struct emitter *e, const struct simt_columns *m);
/* sums += A B of 64 lines of A and `outputs` lines of B, two chunks of each, by four warps of an atom wgmma_..., each of which has the
 * sums of 16 rows as fragments of mma, [outputs / 8][4]. Between begin and commit; neither the sums nor what the products read may be
 * touched before a wait that leaves at most `pending` commits under way. */
void simt_wgmma(struct emitter *e, enum atom atom, int outputs, const struct simt_columns *a, const struct simt_columns *b,
                LLVMValueRef *sums);
/* The same of rows of A that are in each warp's registers, as an atom mma_... has them, which stay as they are until the wait.
 * `transposed`, of 2-byte elements: B is 16 lines of outputs / 8 chunks, inputs by outputs. Unless it `adds`, sums = A B. */
void simt_wgmma_registers(struct emitter *e, enum atom atom, int outputs, const LLVMValueRef a[4], const struct simt_columns *b,
                          bool transposed, bool adds, LLVMValueRef *sums);
void simt_wgmma_begin(struct emitter *e);
void simt_wgmma_commit(struct emitter *e);
void simt_wgmma_wait(struct emitter *e, int pending);
/* For what is used in the same pass of a loop: `count` values that come into being with this wait. */
void simt_wgmma_wait_for(struct emitter *e, int pending, LLVMValueRef *sums, int count);
/* What this thread wrote to shared memory may be read by such products, behind a barrier. */
void simt_proxy_fence(struct emitter *e);

/* Sums in the block's tensor memory: TENSOR_ROWS rows by `columns`. All warps come to begin and end, once each for the whole kernel; before
 * the end all have loaded, and a barrier was between. */
enum { TENSOR_ROWS = 128, TENSOR_LOAD = 16 };
struct simt_tensor {
    LLVMValueRef address; /* i32; NULL where lanes are no threads */
    int columns;
};
struct simt_tensor simt_tensor_begin(struct emitter *e, int columns);
void simt_tensor_end(struct emitter *e, const struct simt_tensor *t);
/* One thread: sums = A B of two chunks of TENSOR_ROWS lines of A and `outputs` of B, by an atom tcgen05_...; where `adds` (i1) what was there
 * is added. Products follow each other; they are over when a barrier that a commit behind them names has had its one arrival. Until then
 * neither the sums nor what the products read may be touched. */
void simt_tcgen05(struct emitter *e, enum atom atom, int outputs, const struct simt_columns *a, const struct simt_columns *b,
                  const struct simt_tensor *t, LLVMValueRef adds);
void simt_tcgen05_commit(struct emitter *e, LLVMValueRef barrier);
/* The bits of TENSOR_LOAD columns from `column` (i64) on, of each lane's own row: 32 (warp % 4) + lane. */
void simt_tensor_load(struct emitter *e, const struct simt_tensor *t, LLVMValueRef column, LLVMValueRef words[TENSOR_LOAD]);
/* Around a barrier between this thread's tensor memory, before, and another's, after. */
void simt_tensor_before(struct emitter *e);
void simt_tensor_after(struct emitter *e);
/* order[rank] = number, of n keys of memory type t in scratch; as mdl_argsort of the runtime orders them. */
void simt_argsort(struct emitter *e, enum dtype t, LLVMValueRef keys, LLVMValueRef n, bool descending,
                  LLVMValueRef order);
/* Special registers, as i64: "tid.x", "ctaid.x", "nctaid.x". */
LLVMValueRef simt_register(struct emitter *e, const char *name);

#endif
