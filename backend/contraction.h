/* What a contraction is, read off its index map: which loops walk rows, outputs and inputs.
 *
 *     linear(x: f32[S, 576], w: f32[192, 576])       rows: S      outputs: 192      inputs: 576
 *     einsum("bhqd,bhkd->bhqk", q, k)                outer: b h   rows: q   outputs: k   inputs: d
 *
 * The result's last axis is the outputs. Of the other parallel loops, those that walk only A are rows
 * (flattened: a register tile takes neighbours among them, which share B); those that walk B, or both, are
 * outer. */
#ifndef BACKEND_CONTRACTION_H
#define BACKEND_CONTRACTION_H
#include "backend/emit.h"
#include "ir/imap.h"

struct loop_list {
    int count, loops[MAX_LOOPS]; /* numbers in the index map, outermost first */
};
struct contraction {
    const struct node *node;
    const struct imap *map;
    int a_operand, b_operand; /* of the node; a is the side that shares rows' elements among outputs */
    struct loop_list outer, rows, inputs;
    int outputs;    /* the loop */
    bool quantized; /* A is codes, with scales and sums beside them */
};
/* False: this node is not a contraction that register tiles can do. */
bool contraction_of(struct arena *a, struct graph *g, const struct node *n, struct contraction *c);

LLVMValueRef contraction_count(struct emitter *e, const struct contraction *c, const struct loop_list *list);
/* Loops' indices from a flat number of `list`, into at[loop]. */
void contraction_unflatten(struct emitter *e, const struct contraction *c, const struct loop_list *list,
                           LLVMValueRef flat, struct index *at);
/* The point of an operand or result where the loops stand at at[loop]. */
void contraction_point(struct emitter *e, const struct contraction *c, const struct access_map *access,
                       const struct index *at, int lanes, struct point *p);
#endif
