/* What a contraction is to passes, read off its index map: which axis of which operand walks the outputs (the
 * result's last axis) and which the inputs.
 *
 *     linear(x: f32[S, 576], w: f32[192, 576])      a = x, b = w, b's outputs: axis 0, b's inputs: axis 1
 *     matmul(x: f32[S, 576], w: f32[576, 192])      a = x, b = w, b's outputs: axis 1, b's inputs: axis 0 */
#ifndef PASSES_CONTRACTION_H
#define PASSES_CONTRACTION_H
#include "ir/imap.h"

struct contraction_axes {
    const struct imap *map;
    int a, b;         /* operands: b walks the outputs, a does not */
    int outputs;      /* loop */
    int inputs_count; /* reduction loops */
    int b_outputs;    /* axis of b */
    int b_inputs;     /* axis of b, or -1 if there are several reduction loops */
};
/* False: no product of two operands that register tiles can do. The index map is made in `scratch`. */
bool contraction_axes(struct arena *scratch, struct graph *g, const struct node *n,
                      struct contraction_axes *c);
#endif
