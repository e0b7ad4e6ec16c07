/* Row programs from the inside: row_plan.c finds ways and needs, row_stages.c in how many passes over the row,
 * row_emit.c makes code. */
#ifndef BACKEND_ROW_H
#define BACKEND_ROW_H
#include "backend/emit_family.h"

enum row_kind {
    ROW_COLUMNS, /* an element for each of the row's */
    ROW_BLOCK,   /* one for each 32: a quantisation's scale or sum */
    ROW_SCALAR   /* one a row */
};
struct row_result {
    enum row_kind kind;
    int number; /* of the kernel's result */
    struct value *value;
    struct node *
        *path; /* from a value of the anchor's shape to `value` (or the operand of its quantisation) */
    int path_count;
    struct node *write; /* the result is this write's buffer, overwritten: `value` is what is written */
};
/* A value of the row that several stages use, kept in scratch from the first on. */
struct row_kept {
    struct value *value;
    int stage; /* that makes it; loops after it read it */
};
/* What is made of reductions, one a row: once, behind the stage that makes the last of them, not for each column. */
struct row_scalar {
    struct value *value;
    int stage;
};
struct row_stage { /* a pass over the row that ends in a reduction; after the last, results are stored */
    struct node *reduction;
};
bool row_reduces(const struct row_program *p, const struct node *n);
/* Whether a value of this type has one element for each row of the anchor's. */
bool row_has_one(const struct type *anchor, const struct type *t);
/* Finds the stages, what is made of them once a row, and what is kept between them. dependent: [values] what comes after the anchor. */
void row_plan_stages(struct emitter *e, struct row_program *p, const bool *dependent);

#endif
