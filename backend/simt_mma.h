/* Products of matrices by a GPU's tensor cores: tiles of a thread block, in fragments that lie in the
 * registers of a warp's lanes (simt_mma.c). */
#ifndef BACKEND_SIMT_MMA_H
#define BACKEND_SIMT_MMA_H
#include "backend/contraction.h"

/* A warp's part of a tile. */
struct mma_part {
    const struct contraction *c;
    struct index *at;           /* [loops]: where the outer ones stand; the others are set here */
    int rows, outputs;          /* multiples of MMA_ROWS and MMA_OUTPUTS */
    LLVMValueRef row, rows_end; /* the first; rows from `rows_end` on are those of the last before it */
    LLVMValueRef output;        /* the first */
    LLVMValueRef begin, end;    /* of the inputs, in groups of MMA_GROUP */
};
enum {
    MMA_ROWS = 16,
    MMA_OUTPUTS = 8,
    MMA_INPUTS = 16, /* of one mma.sync.m16n8k16 */
    MMA_GROUP = 32   /* inputs whose weights a lane loads at once: 16 bytes */
};

/* Groups of inputs that there are. */
LLVMValueRef mma_groups(struct emitter *e, const struct contraction *c);
/* Sums the part's products into f32s at `to`, `stride` to a row (a row's neighbours adjacent). */
void emit_mma(struct emitter *e, const struct mma_part *p, LLVMValueRef to, int64_t stride);

#endif
