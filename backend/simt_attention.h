/* Attention on a GPU, between simt_attention.c (what a block takes, how parts are joined, results) and its
 * inner loops: simt_attention_fma.c.
 *
 * A row is a query of a head. A unit is `rows` rows of the heads that share a key head (heads innermost), for
 * which keys and values are read once. Its keys are split in parts, each a block's. What a part of the keys
 * has come to for the rows, a state, lies in memory as
 *
 *     largest score [rows], total [rows], sums [rows][padded]        f32; sums of 2^(score - largest) * values
 */
#ifndef BACKEND_SIMT_ATTENTION_H
#define BACKEND_SIMT_ATTENTION_H
#include "backend/sdpa.h"

struct simt_attention {
    struct sdpa sdpa;
    enum dtype compute; /* of both factors of the products */
    int rows, chunks;   /* of a unit; vectors of a row of values */
    int most_parts;
    int64_t padded, state_bytes;
    LLVMValueRef joined;   /* the block's state, in shared memory */
    LLVMValueRef of_warps; /* [warps] states, in shared memory: warps share the keys */
    /* The unit and part at work. */
    LLVMValueRef first_row, rows_end, past, first_key, end_key;
};

/* The query and the head (of all) of row number `row` of the batch row and key head at work. */
LLVMValueRef simt_attention_query(struct emitter *e, const struct simt_attention *a, LLVMValueRef row);
LLVMValueRef simt_attention_head(struct emitter *e, const struct simt_attention *a, LLVMValueRef row);
/* Row i of the unit, or the last one where there is none. */
LLVMValueRef simt_attention_row(struct emitter *e, const struct simt_attention *a, LLVMValueRef i);
/* Point [batch,] position, head, d of queries, keys or values, for e->lanes. */
struct point simt_attention_point(const struct simt_attention *a, struct index position, LLVMValueRef head,
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

/* simt_attention_fma.c: reserves what it needs; this warp's share of the part's keys, into its state. */
struct simt_attention_fma {
    LLVMValueRef queries; /* of the unit in f32, in shared memory: [rows][stride] */
    int64_t stride;
};
void simt_attention_fma_reserve(struct emitter *e, const struct simt_attention *a,
                                struct simt_attention_fma *f);
void simt_attend_fma(struct emitter *e, const struct simt_attention *a, const struct simt_attention_fma *f);

#endif
