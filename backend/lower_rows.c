/* Kernels of domain `rows`: each thread takes rows of the space that the first reduction walks, and runs the
 * row program on each. */
#include "backend/emit.h"

/* The operand of the first reduction: its last axis is the row. */
static struct value *find_anchor(const struct block *b) {
    for (const struct node *n = b->first; n; n = n->next) {
        enum op_family family = op_info(n->op)->family;
        if (family == FAMILY_reduce || family == FAMILY_argreduce || family == FAMILY_quantize)
            return n->operands[0];
    }
    return NULL;
}

void lower_rows(struct emitter *e) {
    struct value *anchor = find_anchor(e->kernel->body);
    const struct row_program *p = anchor ? row_plan(e, anchor) : NULL;
    if (!p) {
        lower_loops(e); /* right for any body, if slower */
        return;
    }
    const struct type *t = &anchor->type;
    LLVMValueRef rows = emit_i64(e, 1), begin, end;
    for (int i = 0; i + 1 < t->rank; i++) rows = emit_mul(e, rows, emit_extent(e, t->extents[i]));
    emit_split(e, rows, 1, &begin, &end);
    struct emit_loop row;
    emit_loop_begin(e, &row, begin, end, 1, 0, NULL);
    emit_row_program(e, p, row.counter, emit_i64(e, 0), emit_extent(e, t->extents[t->rank - 1]), 1 << 20);
    emit_loop_end(e, &row, NULL);
}
