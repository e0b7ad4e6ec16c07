/* Ops that move elements without computing: the operand's point from the result's. */
#include "backend/emit_family.h"

/* Extents are products of the same factors in both shapes: dimensions pair up in groups whose products are
 * equal, so that only indices within a group need dividing. Takes the next group from both shapes; false: no
 * equal products ahead but the whole. */
struct group {
    int from, from_count, to, to_count;
};

static const struct extent *product(struct emitter *e, const struct type *t, int first, int count) {
    const struct extent *all = extent_const(e->graph->extents, 1);
    for (int i = first; i < first + count; i++) all = extent_mul(e->graph->extents, all, t->extents[i]);
    return all;
}

/* The shortest group that begins at g's ends: grows either side until products meet. */
static struct group next_group(struct emitter *e, const struct type *from, const struct type *to, int i,
                               int j) {
    for (int n = 1; i + n <= from->rank; n++)
        for (int m = 1; j + m <= to->rank; m++)
            if (product(e, from, i, n) == product(e, to, j, m)) return (struct group){i, n, j, m};
    return (struct group){i, from->rank - i, j, to->rank - j};
}

struct point point_reshape(struct emitter *e, const struct type *from, const struct type *to,
                           const struct point *p) {
    struct point q = *p;
    q.rank = to->rank;
    int i = 0, j = 0;
    while (i < from->rank || j < to->rank) {
        struct group g = next_group(e, from, to, i, j);
        if (g.from_count == 1 && g.to_count == 1)
            q.at[j] = p->at[i];
        else
            point_unflatten(e, to, point_flatten(e, from, p, g.from, g.from_count), &q, g.to, g.to_count);
        i += g.from_count;
        j += g.to_count;
    }
    return q;
}

const struct value *below_reshapes(const struct value *v) {
    while (v->def && op_info(v->def->op)->family == FAMILY_reshape) v = v->def->operands[0];
    return v;
}

LLVMValueRef emit_family_reshape(struct emitter *e, const struct node *n, int result, const struct point *p) {
    struct point q = point_reshape(e, &n->results[result]->type, &n->operands[0]->type, p);
    return emit_value(e, n->operands[0], &q);
}

LLVMValueRef emit_family_reshard(struct emitter *e, const struct node *n, int result, const struct point *p) {
    (void)result;
    return emit_value(e, n->operands[0], p);
}

LLVMValueRef emit_family_transpose(struct emitter *e, const struct node *n, int result,
                                   const struct point *p) {
    (void)result;
    struct point q = *p;
    const int64_t *perm = node_attr(n, "perm")->ints;
    for (int i = 0; i < p->rank; i++) q.at[perm[i]] = p->at[i];
    return emit_value(e, n->operands[0], &q);
}

LLVMValueRef emit_family_broadcast(struct emitter *e, const struct node *n, int result,
                                   const struct point *p) {
    struct point q = point_broadcast(e, &n->operands[0]->type, &n->results[result]->type, p);
    return emit_value(e, n->operands[0], &q);
}

LLVMValueRef emit_family_slice(struct emitter *e, const struct node *n, int result, const struct point *p) {
    (void)result;
    struct point q = *p;
    const struct attr *start = node_attr(n, "start"), *step = node_attr(n, "step");
    for (int i = 0; i < p->rank; i++) {
        struct index at = index_scale_by(e, p->at[i], step->ints[i], p->lanes);
        q.at[i] = index_add(e, at, index_uniform(emit_extent(e, start->extents[i])), p->lanes);
    }
    return emit_value(e, n->operands[0], &q);
}

LLVMValueRef emit_family_flip(struct emitter *e, const struct node *n, int result, const struct point *p) {
    struct point q = *p;
    const struct attr *axes = node_attr(n, "axis");
    for (int i = 0; i < axes->count; i++) {
        int64_t d = axes->ints[i];
        LLVMValueRef last = emit_sub(e, emit_extent(e, n->results[result]->type.extents[d]), emit_i64(e, 1));
        q.at[d] = index_add(e, index_scale_by(e, p->at[d], -1, p->lanes), index_uniform(last), p->lanes);
    }
    return emit_value(e, n->operands[0], &q);
}

struct point point_window(struct emitter *e, const struct point *p, int axis, struct index lo,
                          LLVMValueRef extent, LLVMValueRef *inside) {
    struct point q = *p;
    q.at[axis] = index_add(e, p->at[axis], index_scale_by(e, lo, -1, p->lanes), p->lanes);
    LLVMValueRef at = index_vector(e, &q.at[axis], p->lanes); /* below 0 is large when unsigned */
    *inside = LLVMBuildICmp(e->builder, LLVMIntULT, at, emit_splat(e, extent, p->lanes), "");
    q.mask = emit_both(e, p->mask, *inside);
    return q;
}

/* Each operand where the index is in its stretch. */
LLVMValueRef emit_family_concat(struct emitter *e, const struct node *n, int result, const struct point *p) {
    int axis = (int)node_attr(n, "axis")->i;
    LLVMTypeRef type = emit_vector(e, emit_compute_type(e, n->results[result]->type.dtype), p->lanes);
    LLVMValueRef made = LLVMConstNull(type), lo = emit_i64(e, 0);
    for (int i = 0; i < n->operands_count; i++) {
        LLVMValueRef extent = emit_extent(e, n->operands[i]->type.extents[axis]), inside;
        struct point q = point_window(e, p, axis, index_uniform(lo), extent, &inside);
        LLVMValueRef v = emit_value(e, n->operands[i], &q);
        if (!v) return NULL;
        made = LLVMBuildSelect(e->builder, inside, v, made, "");
        lo = emit_add(e, lo, extent);
    }
    return made;
}

LLVMValueRef emit_family_pad(struct emitter *e, const struct node *n, int result, const struct point *p) {
    const struct attr *pads = node_attr(n, "pads");
    const struct type *from = &n->operands[0]->type;
    struct point q = *p;
    LLVMValueRef inside = NULL;
    for (int i = 0; i < p->rank; i++) {
        if (!pads->ints[2 * i] && !pads->ints[2 * i + 1]) continue;
        LLVMValueRef here;
        q = point_window(e, &q, i, index_constant(e, pads->ints[2 * i]), emit_extent(e, from->extents[i]),
                         &here);
        inside = emit_both(e, inside, here);
    }
    LLVMValueRef v = emit_value(e, n->operands[0], &q);
    if (!v || !inside) return v;
    enum dtype t = n->results[result]->type.dtype;
    LLVMValueRef filler = emit_constant_like(LLVMTypeOf(v), node_attr(n, "value")->f);
    return LLVMBuildSelect(e->builder, inside, v, emit_wrap(e, t, filler), "");
}

/* What `v` has for the batch row of a point of x: its one number, or one of a list. */
static bool of_batch_row(struct emitter *e, struct value *v, const struct point *p, struct index *found) {
    struct point q = *p;
    q.rank = v->type.rank;
    return emit_id(e, v, &q, found);
}

bool point_written(struct emitter *e, const struct node *write, struct point *p) {
    int axis = (int)node_attr(write, "axis")->i;
    struct value *rows = write->operands[3];
    struct index at, row = p->at[0];
    if (!of_batch_row(e, write->operands[2], p, &at)) return false;
    if (rows && !of_batch_row(e, rows, p, &row)) return false;
    p->at[axis] = index_add(e, p->at[axis], at, p->lanes);
    if (rows) p->at[0] = row;
    return true;
}

/* The batch row of x that goes to the point's row of the buffer, found by looking through all of them; the
 * mask leaves out the lanes whose row gets none. */
static LLVMValueRef find_batch_row(struct emitter *e, struct value *rows, struct point *p) {
    int lanes = index_is_uniform(&p->at[0]) ? 1 : p->lanes;
    LLVMValueRef row = index_vector(e, &p->at[0], lanes), none = emit_splat(e, emit_i64(e, -1), lanes);
    struct emit_loop batch;
    emit_loop_begin(e, &batch, emit_i64(e, 0), emit_extent(e, rows->type.extents[0]), 1, 1, &none);
    struct point at = {.rank = 1, .lanes = 1, .at = {index_uniform(batch.counter)}};
    LLVMValueRef id = emit_index_value(e, rows, &at);
    if (!id) return NULL;
    LLVMValueRef hit = LLVMBuildICmp(e->builder, LLVMIntEQ, row, emit_splat(e, id, lanes), "");
    LLVMValueRef next =
        LLVMBuildSelect(e->builder, hit, emit_splat(e, batch.counter, lanes), batch.carried[0], "");
    emit_loop_end(e, &batch, &next);
    LLVMValueRef found = batch.carried[0];
    LLVMValueRef gets = LLVMBuildICmp(e->builder, LLVMIntNE, found, none, "");
    p->at[0] = lanes == 1 ? index_uniform(found) : (struct index){.vector = found, .align = 1};
    gets = emit_splat(e, gets, p->lanes);
    p->mask = emit_both(e, p->mask, gets);
    return gets;
}

/* The update where the index is in it, else the buffer. */
LLVMValueRef emit_family_write(struct emitter *e, const struct node *n, int result, const struct point *p) {
    int axis = (int)node_attr(n, "axis")->i;
    struct value *x = n->operands[1], *rows = n->operands[3];
    struct point q = *p;
    struct index at;
    LLVMValueRef old = emit_value(e, n->operands[0], p), gets = NULL, inside;
    if (!old || (rows && !(gets = find_batch_row(e, rows, &q)))) return NULL;
    if (!of_batch_row(e, n->operands[2], &q, &at)) return NULL;
    q = point_window(e, &q, axis, at, emit_extent(e, x->type.extents[axis]), &inside);
    LLVMValueRef new = emit_value(e, x, &q);
    if (!new) return NULL;
    new = emit_cast(e, x->type.dtype, n->results[result]->type.dtype, new);
    return LLVMBuildSelect(e->builder, emit_both(e, gets, inside), new, old, "");
}
