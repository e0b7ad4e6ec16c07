/* The op that a kernel of domain `attention` is about, as all lowerings of it read it. */
#ifndef BACKEND_SDPA_H
#define BACKEND_SDPA_H
#include "backend/emit.h"

#define LOG2_E 1.4426950408889634 /* exponentials are in base 2 */

struct sdpa {
    const struct node *node;
    struct value *q, *k, *v, *at, *mask; /* at, mask: or NULL */
    bool batched, causal;
    int64_t dim, value_dim; /* a head's extent of queries and keys; of values and results */
    int64_t group;          /* query heads for each key head */
    double scale;
    LLVMValueRef batches, query_count, key_count, heads, key_heads;
    LLVMValueRef batch, key_head; /* at work */
};

/* False after a diagnostic: of what must be constant and is not. */
bool sdpa_describe(struct emitter *e, struct sdpa *s);
/* Keys before query 0 of the batch row: `at`, one for all or one a row. */
LLVMValueRef sdpa_past(struct emitter *e, const struct sdpa *s);
/* Of `end` keys, how many there are for a query: causal, up to itself. */
LLVMValueRef sdpa_visible(struct emitter *e, const struct sdpa *s, LLVMValueRef past, LLVMValueRef query,
                          LLVMValueRef end);
/* The mask's elements for some keys, of which `exists` (NULL: all) are there: i1s, or f32 to add to scores.
 */
LLVMValueRef sdpa_mask(struct emitter *e, const struct sdpa *s, struct index head, struct index query,
                       struct index key, LLVMValueRef exists);
/* Scores, in base 2, with such elements applied. */
LLVMValueRef sdpa_apply_mask(struct emitter *e, const struct sdpa *s, LLVMValueRef mask, LLVMValueRef scores);

#endif
