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
/* The lower and the upper half of a vector's lanes; one of two is a scalar. To threads, which have all a lane
 * still: this lane's and that of the other half, in the same order for both. */
void emit_halves(struct emitter *e, LLVMValueRef vector, int lanes, LLVMValueRef halves[2]);
/* How many lanes there are to bring together. */
int emit_width(const struct emitter *e, LLVMValueRef vector);

/* Whether lanes along the result's last axis are lanes of all the node's operands too: neighbours, or the
 * same element. Else the reduction itself is better done by vectors. */
bool fold_follows_lanes(struct emitter *e, const struct node *n);

#endif
