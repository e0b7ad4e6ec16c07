/* A tile of tensor cores at work: what simt_tile.c, simt_bulk.c and simt_pipeline.c share. */
#ifndef BACKEND_SIMT_TILE_H
#define BACKEND_SIMT_TILE_H
#include "backend/simt_blocks.h"

/* How an operand comes into the ring. In bulk: by the GPU's engine, which one thread asks, and which arrives at an mbarrier. */
enum way {
    PAST,       /* it goes past the ring, into fragments */
    COMPUTED,   /* what emit_value gives, stored by lanes */
    BY_LANES,   /* cp.async */
    IN_COLUMNS, /* in bulk: packed weights, a column of chunks at a time */
    IN_BOXES    /* in bulk: plain rows, by a tensor map, to swizzled lines */
};

/* An operand in the ring. */
struct side {
    const struct mma_operand *operand; /* NULL: PAST */
    enum way way;
    int lines;            /* of the tile */
    int64_t pitch, stage; /* bytes of a column (0: swizzled lines), of a stage */
    LLVMValueRef ring;
    LLVMValueRef first, last; /* of the lines: the tile's first, the last that there is */
};
struct tile {
    const struct mma_product *p;
    int stages, ahead; /* ahead: steps whose copies are under way */
    struct side a, b;
    bool some_in_bulk, all_in_bulk;
    LLVMValueRef full;                        /* an mbarrier a stage: of copies in bulk */
    LLVMValueRef empty;                       /* of warps that have multiplied it */
    int warp_rows, warp_outputs;              /* of a warp's part */
    LLVMValueRef row_in_tile, output_in_tile; /* where it begins */
    struct mma_blocks blocks;                 /* of a product with packed tiles */
};

/* The stage of a step; how often the ring was filled before. */
LLVMValueRef tile_slot(struct emitter *e, const struct tile *t, LLVMValueRef step);
LLVMValueRef tile_round(struct emitter *e, const struct tile *t, LLVMValueRef step);
/* A side's columns in a stage, from chunk `first` on. */
struct simt_columns tile_columns(struct emitter *e, const struct side *s, LLVMValueRef slot,
                                 LLVMValueRef first);

/* --- simt_bulk.c --- */
/* Whether a tile of so many lines can be had in columns. */
bool tile_in_columns(struct emitter *e, const struct mma_operand *o, int lines);
/* One thread asks for what comes in bulk of a step. This warp, or thread, waits for it. */
void tile_fetch(struct emitter *e, const struct tile *t, LLVMValueRef step);
void tile_fetched(struct emitter *e, const struct tile *t, LLVMValueRef step);

/* --- simt_pipeline.c --- */
/* The products of the step in `slot` begin: sums += them, by groups of four warps, each of 64 rows; by one thread, into tensor
 * memory. */
void tile_multiply_group(struct emitter *e, const struct tile *t, LLVMValueRef slot, LLVMValueRef *sums);
void tile_multiply_block(struct emitter *e, const struct tile *t, LLVMValueRef step);
/* Until the stage of `step` is free: what one thread multiplied there a ring before, if anything was, is done. */
void tile_wait_for_stage(struct emitter *e, const struct tile *t, LLVMValueRef step);
/* All steps of a tile whose operands both come in bulk; at the end all is summed up. sums: [count], of groups. */
void tile_pipeline(struct emitter *e, const struct tile *t, int count, LLVMValueRef *sums);

#endif
