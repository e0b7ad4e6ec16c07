/* Kernels of domain `contract` at work: what lower_contract.c shares with what GPUs do otherwise
 * (simt_contract.c). */
#ifndef BACKEND_CONTRACT_H
#define BACKEND_CONTRACT_H
#include "backend/panel.h"
#include "backend/simt_mma.h"

enum { MAX_ANCHORS = 8 };

struct anchor {
    struct panels panels;
    struct mma_operand a, b; /* of tensor cores */
    struct value *value;
    struct amx_operand *amx; /* of matrix registers (amx_contract.c) */
    LLVMValueRef tile; /* its finished tile, f32 [tile rows][block], in scratch or shared memory */
    struct binding binding;
    struct group *group;
};
/* What a binding needs to find the anchor's elements of the row at work. */
struct group {
    struct anchor *anchors[MAX_ANCHORS];
    int count;
    const struct row_program *program;
    int tile_rows, vectors;
    int64_t block_rows, block_outputs; /* block_outputs: 0, all (the epilogue needs whole rows) */
    int64_t blocks_at_once;            /* blocks of outputs that a tile takes before its rows are finished */
    int64_t stride;                    /* of C in scratch, elements */
    int unpacked_rows, unpacked_vectors; /* tiles of weights that are unpacked for many rows; 0: they never are */
    bool unpacked;                       /* at work: they are */
    bool amx;                            /* matrix registers make its tiles, of AMX_TILE rows, ... */
    int64_t rows_at_once;                /* ... several of which are finished at once */
    LLVMValueRef work; /* of a GPU: shared memory for each warp's sums of a tile, or a ring of stages */
    LLVMValueRef barriers; /* of a GPU: in shared memory, two mbarriers a stage */
    bool mma;          /* its tensor cores make tiles ... */
    bool tiles;        /* ... of codes, straight from packed tiles (simt_blocks.h) */
    bool by_lanes;     /* weights lie in packed tiles, from which lanes make one row (of floats: few) */
    const struct mma_tensor *tensor; /* of the kernel, where one thread issues products; else NULL */
    struct {
        LLVMValueRef parts, part, tile; /* i64: how many a tile's inputs are split in (NULL: they never are); at work: which, of which
                                           tile of the kernel */
    } split;
    LLVMValueRef row, first_output; /* at work: row in the tile, first output of the block */
};
struct strip { /* rows begin .. end of one outer index, by outputs block .. block_end */
    LLVMValueRef begin, end, block, block_end;
    LLVMValueRef first; /* i1: the first of a thread's share */
};
struct shape { /* of a group's work */
    LLVMValueRef rows, row_tiles, outputs, row_blocks, output_blocks, strips, total, block_outputs;
};

/* Whether this factor is a weight in packed tiles. */
bool contract_in_blocks(const struct emitter *e, const struct value *w);
/* Where a row of a tile at `base` has its sums from `column` on. */
LLVMValueRef contract_sums_at(struct emitter *e, const struct group *g, LLVMValueRef base, LLVMValueRef row,
                              LLVMValueRef column);
/* Pair number `number` (strip, block of outputs) of a group, as the strip's rows and the block's outputs. */
void contract_strip(struct emitter *e, const struct group *g, const struct shape *s, LLVMValueRef strip,
                    LLVMValueRef block, LLVMValueRef blocks, struct index *at, struct strip *made);
/* The products of the tile of `rows` rows that begins at `row`, all of the block's outputs, by lanes. */
void contract_multiply(struct emitter *e, const struct group *g, int rows, LLVMValueRef row, const struct strip *s,
                       struct index *at);
/* The row program on the tile's rows, i64, as far as the strip has them. */
void contract_finish_rows(struct emitter *e, struct group *g, LLVMValueRef rows, LLVMValueRef first_row,
                          const struct strip *s, struct index *at);

/* --- amx_contract.c: tiles of matrix registers --- */
bool amx_schedule_fits(struct emitter *e, const struct anchor *anchors, int count); /* false after a diagnostic */
/* A group of the kernel's `groups`, those before which are planned already. */
void amx_plan(struct emitter *e, struct group *g, const struct group *groups);
/* Brings the rows of strip `number` to where tiles are read. */
void amx_stage_rows(struct emitter *e, const struct group *g, LLVMValueRef number, const struct strip *s, struct index *at);
/* All of a strip's rows by a block of outputs. */
void amx_block(struct emitter *e, struct group *g, const struct strip *s, struct index *at);

/* --- simt_contract.c --- */
bool simt_schedule_fits(struct emitter *e);
bool simt_tile_fits(struct emitter *e, const struct group *g); /* false after a diagnostic */
/* Where this warp puts its own sums of a tile of `rows`; sums of all warps from `first` on, `width` columns,
 * as one. */
LLVMValueRef simt_own_sums(struct emitter *e, const struct group *g, int rows);
void simt_join_warps(struct emitter *e, const struct group *g, const struct anchor *a, int rows,
                     LLVMValueRef first, int64_t width);
/* All groups, of `total` pairs; the blocks of the grid share them. */
void simt_lower_groups(struct emitter *e, struct group *groups, const struct shape *shapes, int count, LLVMValueRef total);

/* Who shares the inputs of a tile of few rows: the warps of the block, or of all blocks that have a part; which of them this warp is. */
LLVMValueRef simt_sharers(struct emitter *e, const struct group *g);
LLVMValueRef simt_sharer(struct emitter *e, const struct group *g);

/* --- simt_split.c --- */
int simt_split_rows(const struct group *g); /* of tiles whose inputs may be split */
/* How many parts the inputs of each of the kernel's `tiles` are split in, of so many rows; leaves it in the groups. */
LLVMValueRef simt_parts(struct emitter *e, struct group *groups, int count, LLVMValueRef rows, LLVMValueRef tiles);
/* Leaves the part's tiles of few rows where other blocks see them; what follows, until emit_if_end, the last block does, with the sums of
 * all parts in its tiles. */
void simt_join_parts_begin(struct emitter *e, const struct group *g, struct emit_if *last);

#endif
