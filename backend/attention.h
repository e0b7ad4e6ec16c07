/* One unit of attention, between lower_attention.c (queries, keys, products) and attention_softmax.c
 * (scores). All of its tensors lie in the thread's scratch, in f32:
 *
 *     q_rows [rows][padded]   k_block [padded][keys]   v_block [keys][padded]
 *     scores [rows][keys]     sums [rows][padded]      largest, total, factor [rows]
 *
 * Rows are queries x the query heads that share a key head, heads innermost. */
#ifndef BACKEND_ATTENTION_H
#define BACKEND_ATTENTION_H
#include "backend/emit.h"

struct attention {
    const struct node *node;
    struct value *q, *k, *v, *at, *mask;
    bool batched, causal;
    int queries, keys;          /* of a block */
    int64_t dim, padded, group; /* head's extent, the same in whole vectors, query heads for each key head */
    double scale;
    LLVMValueRef query_count, key_count, heads, key_heads;
    LLVMValueRef q_rows, k_block, v_block, scores, sums, largest, total, factor;
    /* The unit at work. */
    LLVMValueRef batch, key_head, first_query, rows, past; /* past: keys before query 0, i64 */
    LLVMValueRef keys_row, values_row;                     /* batch rows of the buffers that hold them */
    LLVMValueRef row;                                      /* of the epilogue */
};

LLVMValueRef attention_query(struct emitter *e, const struct attention *a, LLVMValueRef row);
LLVMValueRef attention_head(struct emitter *e, const struct attention *a, LLVMValueRef row);
LLVMValueRef attention_float(struct emitter *e, LLVMValueRef base,
                             LLVMValueRef index); /* address of base[index] */

/* Scores of keys first .. first + keys, of which those below `visible` exist: hides what rows do not see,
 * then m' = max(m, S)    factor = 2^(m - m')    P = 2^(S - m')    l = l * factor + sum P with P written over
 * S. The sums of values are still to be scaled by `factor`. */
void attention_softmax(struct emitter *e, const struct attention *a, LLVMValueRef first,
                       LLVMValueRef visible);

#endif
