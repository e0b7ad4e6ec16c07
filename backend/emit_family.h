/* A function for each family of ops (ir/families.def): the value of result `result` of node n at a point, in
 * its compute type, from the values of its operands; NULL after a diagnostic. */
#ifndef BACKEND_EMIT_FAMILY_H
#define BACKEND_EMIT_FAMILY_H
#include "backend/emit.h"

typedef LLVMValueRef emit_family(struct emitter *e, const struct node *n, int result, const struct point *p);

emit_family unsupported;                                                   /* says so, at the node's place */
emit_family emit_family_pointwise, emit_family_cast, emit_family_constant; /* emit_value.c */
emit_family emit_family_reshape, emit_family_transpose, emit_family_broadcast,
    emit_family_reshard; /* emit_view.c */
emit_family emit_family_slice, emit_family_concat, emit_family_pad, emit_family_flip, emit_family_write;
emit_family emit_family_gather, emit_family_take_along, emit_family_one_hot; /* emit_lookup.c */
emit_family emit_family_iota, emit_family_extent, emit_family_random;
emit_family emit_family_reduce, emit_family_argreduce, emit_family_quantize; /* emit_reduce.c */
emit_family emit_family_linear, emit_family_matmul, emit_family_einsum,
    emit_family_qlinear;                                                    /* emit_products.c */
emit_family emit_family_conv, emit_family_conv_transpose, emit_family_pool; /* emit_windows.c */
emit_family emit_family_rope;                                               /* emit_rope.c */

/* The point of an operand that numpy's rules repeat to the result's shape. */
struct point point_broadcast(struct emitter *e, const struct type *operand, const struct type *result,
                             const struct point *p);
/* The point of a tensor of type `to` that has the same row-major position. */
struct point point_reshape(struct emitter *e, const struct type *from, const struct type *to,
                           const struct point *p);
/* The value that `v` shows in another shape, or v: elements lie in the same order in both. */
const struct value *below_reshapes(const struct value *v);
/* An integer value as i64. */
LLVMValueRef emit_index_value(struct emitter *e, struct value *v, const struct point *p);
/* The id at a point of the ids, as an index; one that is the same for all lanes stays one scalar, so that
 * what it leads to is read by vectors. False after a diagnostic. */
bool emit_id(struct emitter *e, struct value *ids, const struct point *at, struct index *id);
/* Makes `p`, a point of what `write` writes, the point of its buffer where that goes. False after a
 * diagnostic. */
bool point_written(struct emitter *e, const struct node *write, struct point *p);
/* `p` with only the lanes where lo <= index < lo + extent of dimension `axis`, which then counts from lo;
 * *inside: those lanes as i1s, or NULL if it is all. */
struct point point_window(struct emitter *e, const struct point *p, int axis, struct index lo,
                          LLVMValueRef extent, LLVMValueRef *inside);

#endif
