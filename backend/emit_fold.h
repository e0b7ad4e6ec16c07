/* Reduction loops. */
#ifndef BACKEND_EMIT_FOLD_H
#define BACKEND_EMIT_FOLD_H
#include "backend/emit.h"
#include "ir/imap.h"

/* One step: `at` has an index for each loop, the last one by `lanes` neighbours if the fold is by vectors;
 * lanes that `tail` does not have must leave the sums as they are. */
typedef void fold_step(struct emitter *e, void *data, const struct index *at, int lanes, LLVMValueRef tail,
                       LLVMValueRef *sums);

struct fold {
    int loops;
    LLVMValueRef counts[MAX_LOOPS];
    int lanes;  /* of the result: sums are vectors of so many */
    int vector; /* or, for a result of one lane: the innermost loop goes by so many; 1: one by one */
    int count;  /* of the sums */
    LLVMValueRef initial[4];
    fold_step *step;
    void *data;
};
/* The sums; of a fold by vectors, still with their lanes apart. */
void emit_fold(struct emitter *e, const struct fold *f, LLVMValueRef *sums);
/* Half of a vector's lanes; one of two is a scalar. */
LLVMValueRef emit_halves(struct emitter *e, LLVMValueRef vector, int lanes, bool upper);

/* Whether lanes along the result's last axis are lanes of all the node's operands too: neighbours, or the
 * same element. Else the reduction itself is better done by vectors. */
bool fold_follows_lanes(struct emitter *e, const struct node *n);

#endif
