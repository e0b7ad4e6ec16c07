/* A contraction's loops at run time: how many, where they stand, and the points of operands there. */
#ifndef BACKEND_CONTRACTION_H
#define BACKEND_CONTRACTION_H
#include "backend/emit.h"
#include "ir/contraction.h"

LLVMValueRef contraction_count(struct emitter *e, const struct contraction *c, const struct loop_list *list);
/* Loops' indices from a flat number of `list`, into at[loop]. */
void contraction_unflatten(struct emitter *e, const struct contraction *c, const struct loop_list *list,
                           LLVMValueRef flat, struct index *at);
/* The point of an operand or result where the loops stand at at[loop]. */
void contraction_point(struct emitter *e, const struct access_map *access, const struct index *at, int lanes,
                       struct point *p);
/* Parts, of schedule.block[2] inputs each, that a GPU's schedule lets the inputs of few rows be split in: 1 where it does not. */
int64_t contraction_parts(const struct schedule *s, const struct contraction *c);

#endif
