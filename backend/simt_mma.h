/* Products of matrices by a GPU's tensor cores, summed up in registers of a warp's lanes: by warps that share
 * the inputs of few rows (simt_mma.c), or by a thread block that brings operands into shared memory
 * (simt_tile.c). */
#ifndef BACKEND_SIMT_MMA_H
#define BACKEND_SIMT_MMA_H
#include "backend/panel.h"
#include "backend/simt.h"
#include "backend/simt_operand.h"

enum {
    MMA_ROWS = 16, /* of an atom */
    MMA_OUTPUTS = 8,
    MMA_SUMS = 4,        /* of them, in each lane */
    MMA_GROUP_CHUNKS = 4 /* of inputs, of which a lane of few rows takes one */
};

/* What a kernel keeps for products that one thread issues. */
struct mma_tensor {
    struct simt_tensor sums;
    LLVMValueRef done; /* an mbarrier a stage of the ring */
};
struct mma_product {
    const struct mma_operand *a, *b;
    const struct panels *tiles; /* B in packed tiles, in place of `b`: products of int8 (simt_blocks.h); else NULL */
    struct index *at;           /* [loops]: where the outer ones stand; the others are set here */
    int rows, outputs;          /* of the tile; multiples of MMA_ROWS and 2 * MMA_OUTPUTS */
    LLVMValueRef row, rows_end; /* the first; rows from `rows_end` on are those of the last before it */
    LLVMValueRef output;        /* the first; behind the last there is, the last is read */
    const struct mma_tensor *tensor; /* of atoms of a block; else NULL */
    LLVMValueRef begin, end;    /* of the inputs, in groups of MMA_GROUP_CHUNKS (few rows' blocks: of 32) or in steps of STEP_CHUNKS */
};
/* Where the sums go, f32s, `stride` to a row (a row's neighbours adjacent). */
struct mma_sums {
    LLVMValueRef to;
    int64_t stride;
};
/* MMA_ROWS rows by one warp, without shared memory. */
void emit_mma_few(struct emitter *e, const struct mma_product *p, const struct mma_sums *sums);
/* The whole block's; every warp sums a part of the tile over all inputs. `ring`: mma_ring_bytes of shared
 * memory, whose contents all warps have done with; so they have at the end. `barriers`: room for two mbarriers a stage. */
void emit_mma_tile(struct emitter *e, const struct mma_product *p, int stages, LLVMValueRef ring, LLVMValueRef barriers,
                   const struct mma_sums *sums);
/* Whether the block's warps can share a tile, and a warp's registers hold its part. tiles: weights do not come through the ring. */
bool mma_tile_fits(const struct emitter *e, enum atom atom, int rows, int outputs, bool tiles);
/* outputs: 0 where weights do not come through it. */
int64_t mma_ring_bytes(int rows, int outputs, int stages);

/* A warp's sums of `rows` x `outputs`, tile by tile of an atom, into memory from (row, output) on. */
void mma_store_sums(struct emitter *e, const LLVMValueRef *tiles, int rows, int outputs, LLVMValueRef row,
                    LLVMValueRef output, const struct mma_sums *sums);

#endif
