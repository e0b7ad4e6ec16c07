/* Products of int8 by tensor cores with weights in packed tiles (tile.h): a block of 32 inputs is one product
 * of an atom, whose integer sums are scaled into floats before the next. */
#ifndef BACKEND_SIMT_BLOCKS_H
#define BACKEND_SIMT_BLOCKS_H
#include "backend/simt_mma.h"

enum { MOST_LINES = 16, MOST_TILES = 8 };

/* A warp's part of a product: rows by outputs, where they are. */
struct mma_blocks {
    const struct format_info *format;
    int rows, tiles;               /* `rows`, a multiple of MMA_ROWS, by 32 outputs of each of the tiles */
    LLVMValueRef tile[MOST_TILES]; /* ptr to the tile of block 0 */
    LLVMValueRef step;             /* i64 bytes from a tile to the next block's */
    LLVMValueRef last;             /* i64 number of the last block */
    LLVMValueRef scales, totals;   /* ptr, of the rows' blocks: f32, i32 */
    struct index line[MOST_LINES]; /* of the rows l/4 + 8 i: which are a lane's first scale and total */
};
/* Of the product, from row `row` and output `output` on. Rows and outputs behind the last read the last's. */
void mma_blocks_begin(struct emitter *e, const struct mma_product *p, int rows, int outputs, LLVMValueRef row,
                      LLVMValueRef output, struct mma_blocks *b);
/* sums += block number `block`, of which `a` has the rows' codes: [rows / 16] fragments. Behind the last
 * block codes must be zeros. sums: [rows / 16][tiles][32], f32; rows l/4 and l/4 + 8 by outputs 8 (l%4) .. +
 * 7 of a tile. */
void mma_blocks_add(struct emitter *e, const struct mma_blocks *b, LLVMValueRef block, LLVMValueRef (*a)[4],
                    LLVMValueRef *sums);
/* The sums into memory, from (row, output) on. */
void mma_blocks_store(struct emitter *e, const struct mma_blocks *b, const LLVMValueRef *sums,
                      LLVMValueRef row, LLVMValueRef output, const struct mma_sums *to);
/* MMA_ROWS rows by one warp, blocks p->begin .. p->end, without shared memory. */
void emit_mma_few_blocks(struct emitter *e, const struct mma_product *p, const struct mma_sums *sums);

#endif
