/* Attention on a GPU, between simt_attention.c (what a block takes, how parts are joined, results) and its
 * inner loops: simt_attention_fma.c, simt_attention_mma.c.
 *
 * A row is a query of a head. A unit is `rows` rows of the heads that share a key head (heads innermost), for
 * which keys and values are read once. Its keys are split in parts, each a block's. What a part of the keys
 * has come to for the rows, a state, lies in memory as
 *
 *     largest score [rows], total [rows], sums [rows][stride]     f32: sums of 2^(score - largest) values
 */
#ifndef BACKEND_SIMT_ATTENTION_H
#define BACKEND_SIMT_ATTENTION_H
#include "backend/sdpa.h"

struct simt_attention {
    struct sdpa sdpa;
    enum dtype compute; /* of both factors of the products */
    /* This block's part of a unit's keys: a state of each warp into `of_warps`; or, where that is NULL and
     * warps have rows of their own, one into `joined`. */
    void (*attend)(struct emitter *e, const struct simt_attention *a);
    const struct simt_attention_mma *mma;   /* what it needs besides; NULL: multiply-adds */
    int rows, chunks;                       /* of a unit; vectors of 32 values in a row */
    int most_parts, grain;                  /* of a unit; keys that a part is a multiple of */
    int64_t stride, state_bytes, warp_step; /* warp_step: from one warp's state to the next, bytes */
    LLVMValueRef memory, joined, of_warps;  /* shared; of `memory`, attend's own, others may be parts */
    /* The unit and part at work. */
    LLVMValueRef first_row, rows_end, past, first_key, end_key;
};

/* The query and the head (of all) of row number `row` of the batch row and key head at work. */
LLVMValueRef simt_attention_query(struct emitter *e, const struct simt_attention *a, LLVMValueRef row);
LLVMValueRef simt_attention_head(struct emitter *e, const struct simt_attention *a, LLVMValueRef row);
/* Row i of the unit, or the last one where there is none. */
LLVMValueRef simt_attention_row(struct emitter *e, const struct simt_attention *a, LLVMValueRef i);
/* Point [batch,] position, head, d of queries, keys or values. */
struct point simt_attention_point(const struct simt_attention *a, struct index position, struct index head,
                                  struct index d, int lanes);
/* An element of queries, keys or values as a factor of products, in f32. */
LLVMValueRef simt_attention_factor(struct emitter *e, const struct simt_attention *a, struct value *v,
                                   const struct point *p);
/* 2^(x - by), where `by` may be -inf if x is; as exact as the products' factors. */
LLVMValueRef simt_attention_falling(struct emitter *e, const struct simt_attention *a, LLVMValueRef x,
                                    LLVMValueRef by);
/* Where a state's largest score and total of a row are; element `d` of its sums. */
LLVMValueRef simt_state_largest(struct emitter *e, const struct simt_attention *a, LLVMValueRef state,
                                LLVMValueRef row);
LLVMValueRef simt_state_total(struct emitter *e, const struct simt_attention *a, LLVMValueRef state,
                              LLVMValueRef row);
LLVMValueRef simt_state_sums(struct emitter *e, const struct simt_attention *a, LLVMValueRef state,
                             LLVMValueRef row, LLVMValueRef d);

enum {
    SIMT_FMA_ROWS = 8,   /* of a unit, at most, and vectors of values of all of them: */
    SIMT_FEW_ROWS = 64,  /* of a head, that are few for tensor cores */
    SIMT_MMA_DIMS = 128, /* of a head, at most: more do not stay in registers */
    SIMT_MMA_KEYS = 128  /* of a tile */
};

/* simt_attention_fma.c */
int64_t simt_fma_bytes(const struct simt_attention *a); /* of memory */
void simt_attend_fma(struct emitter *e, const struct simt_attention *a);

/* simt_attention_mma.c: rows are MMA_ROWS, which the warps share the keys for; or as many for each warp. */
struct simt_attention_mma *simt_mma_form(struct emitter *e, struct simt_attention *a, enum atom atom);
int64_t simt_mma_bytes(const struct simt_attention *a);
void simt_attend_mma(struct emitter *e, const struct simt_attention *a);

#endif
