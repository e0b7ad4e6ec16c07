/* What a contraction is, read off its index map: which loops walk rows, outputs and inputs.
 *
 *     linear(x: f32[S, 576], w: f32[192, 576])       rows: S      outputs: 192      inputs: 576
 *     einsum("bhqd,bhkd->bhqk", q, k)                outer: b h   rows: q   outputs: k   inputs: d
 *
 * The result's last axis is the outputs; B is the operand that walks them, A the other. Of the remaining
 * parallel loops, those that walk only A are rows (flattened: a register tile takes neighbours among them,
 * which share B); those that walk B, or both, are outer. */
#ifndef IR_CONTRACTION_H
#define IR_CONTRACTION_H
#include "ir/imap.h"

struct loop_list {
    int count, loops[MAX_LOOPS]; /* numbers in the index map, outermost first */
};
struct contraction {
    const struct node *node;
    const struct imap *map;
    int a, b;    /* operands of the node */
    int outputs; /* the loop */
    struct loop_list outer, rows, inputs;
    struct value *b_value;      /* B, below the transposes that the node reads it through */
    struct access_map b_access; /* of b_value */
    int b_outputs;              /* axis of b_value */
    int a_inputs, b_inputs;     /* axis that the inputs walk as one, or -1 */
    bool quantized;             /* A is codes, with scales and sums beside them */
};
/* False: no product of two operands that register tiles can do. The index map is made in `a`. */
bool contraction_of(struct arena *a, struct graph *g, const struct node *n, struct contraction *c);
/* How many inputs there are, and how many of them the innermost loop walks, if that is known; else 0. */
int64_t contraction_inputs(const struct contraction *c);
int64_t contraction_inner_inputs(const struct contraction *c);
/* The axis that walks a loop, or -1. */
int access_axis(const struct access_map *access, int loop);

#endif
