/* Where the ranks of a partitioned program meet when it is interpreted: each rank is a thread, one of them
 * runs at a time, and who needs another's numbers waits.
 *
 *     rank 0  ───linear──┐ all_reduce ┌── add ──        The last of a group to come does the exchange for
 *     rank 1    ──linear─┘            └── add ──        all of it. If nobody can go on, that is an error. */
#ifndef IR_EXCHANGE_H
#define IR_EXCHANGE_H
#include "ir/eval.h"

struct exchange;

/* A call of all ranks of p. */
bool interp_call_ranks(struct interp *p, const struct function *f, struct array *const *inputs,
                struct array **results, const char **error);

struct exchange *exchange_new(struct arena *a, const struct mesh *m);
void exchange_free(struct exchange *x);
/* Around what a rank does: in between, no other rank runs unless this one waits. */
void exchange_enter(struct exchange *x, int64_t rank, struct eval *e);
void exchange_leave(struct exchange *x, int64_t rank, bool good);
/* A node of family collective, send or receive; returns when this rank has its results. */
bool exchange_collective(struct eval *e, const struct node *n);

/* The members' operands as their results: members[i] stands at nodes[i], and their shapes agree. */
bool exchange_combine(struct eval *const *members, const struct node *const *nodes, int count);
#endif
