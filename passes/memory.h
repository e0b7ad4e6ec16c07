/* What the parts of the memory pass share.
 *
 *     memory.c         the pass        memory_scan.c     values that loops carry
 *     memory_share.c   who may be in whose buffer        memory_offsets.c  offsets in the arena */
#ifndef PASSES_MEMORY_H
#define PASSES_MEMORY_H
#include "passes/build.h"
#include "passes/passes.h"

struct use { /* of a value, by a node at a position, or (node NULL) by a function's or body's result */
    const struct node *node;
    int position;
    struct use *next;
};
struct plan { /* of one function */
    struct graph *g;
    struct arena *scratch;
    struct function *f;
    int nodes;           /* positions given */
    int *position;       /* [g->nodes] order of execution; a scan's body lies between its begin and its end */
    int *end;            /* [g->nodes] of scans: the position behind the body */
    struct use **uses;   /* [g->values] */
    struct value **same; /* [g->values] the value whose buffer this one is in; NULL: its own */
    int last_guard;      /* position of the last guard, or -1 */
};
/* Numbers the function's nodes and lists uses; call again when nodes were added. */
void plan_number(struct plan *p);
/* The value that stands for the whole buffer. */
struct value *plan_buffer(const struct plan *p, struct value *v);
/* Whether `v` is a result of a kernel. */
bool made_by_kernel(const struct value *v);

/* A kernel in front of `before` (NULL: at the end of `b`) that copies v. */
struct value *copy_kernel(struct graph *g, struct block *b, struct node *before, struct value *v);
/* Whether kernel operand `operand` may be overwritten by result number `result` while the kernel runs: each
 * element is read only where it is written, or it is the buffer of a write. */
bool may_overwrite(const struct node *kernel, int operand, int result);
/* Makes carried values of every scan of the function stay in one buffer each: copies where needed, p->same
 * elsewhere. */
void plan_scans(struct plan *p);
/* Results in the caller's arrays, states and dying operands overwritten where that is safe. */
void plan_places(struct plan *p);
/* Offsets of all that is left; false after a diagnostic. */
bool plan_offsets(struct plan *p);
#endif
