/* A look-up in a table of which a rank has some rows: rows that others have give zeros, and the sum over
 * ranks is the look-up (so does Megatron-LM embed, arXiv 1909.08053, section 3).
 *
 *     x = gather(table, ids)     =>     guard(ids, 0, V, ...)      ids outside the whole table stay errors
 *                                       l = ids - first;  mine = l >= 0 and l < rows
 *                                       x = where(mine, gather(table, clip(l, 0, rows - 1)), 0) */
#include "passes/partition.h"

struct rows { /* of the table, that the rank has */
    const struct extent *first, *count, *all;
};

static struct rows rows_of(struct partition *p, const struct node *n) {
    int axis = (int)node_attr(n, "axis")->i;
    const struct value *table = n->operands[0];
    const struct dim_sharding *cut = &table->sharding->dims[axis];
    struct extents *x = p->g->extents;
    const struct extent *count = table->type.extents[axis],
                        *pieces = extent_const(x, sharding_pieces(table->sharding, axis));
    return (struct rows){extent_mul(x, axes_index(p, cut->axes, cut->count), count), count,
                         extent_mul(x, count, pieces)};
}

static void guard_ids(struct partition *p, struct node *n, const struct rows *r) {
    struct node *guard = node_new(p->g, OP_guard, 1, &n->operands[1], n->loc);
    *node_attr(guard, "lo") = (struct attr){.set = true, .e = extent_const(p->g->extents, 0)};
    *node_attr(guard, "hi") = (struct attr){.set = true, .e = r->all};
    *node_attr(guard, "what") = (struct attr){.set = true, .s = "gather: id"};
    if (!node_infer(p->g, guard)) ice("a guard does not infer");
    guard->on = n->on;
    node_insert_before(guard, n);
}

/* A scalar of the ids' type. */
static struct value *scalar(struct builder *b, const struct extent *e, const struct value *ids) {
    return build_cast(b, build_extent(b, e), ids->type.dtype);
}

/* n looks up ids that lie inside the piece; returns which of them are the rank's own, [ids' shape]. */
static struct value *keep_inside(struct partition *p, struct node *n, const struct rows *r) {
    struct builder b = {p->g, n, n->loc};
    struct extents *x = p->g->extents;
    struct value *ids = n->operands[1], *local = build2(&b, OP_sub, ids, scalar(&b, r->first, ids));
    struct value *zero = scalar(&b, extent_const(x, 0), ids), *end = scalar(&b, r->count, ids);
    struct value *last = scalar(&b, extent_sub(x, r->count, extent_const(x, 1)), ids);
    struct value *limits[] = {local, zero, last};
    struct value *above = build2(&b, OP_ge, local, zero), *below = build2(&b, OP_lt, local, end);
    n->operands[1] = build_finish(&b, node_new(p->g, OP_clip, 3, limits, n->loc));
    if (!node_infer(p->g, n)) ice("a gather of pieces does not infer");
    return build2(&b, OP_and, above, below);
}

/* `mine` with an extent of 1 for every axis of the result that ids do not have. */
static struct value *along_result(struct partition *p, struct node *n, struct value *mine) {
    struct builder b = {p->g, n, n->loc};
    const struct type *t = &n->results[0]->type;
    const struct extent *shape[MAX_RANK];
    int axis = (int)node_attr(n, "axis")->i;
    for (int i = 0; i < t->rank; i++)
        shape[i] = i >= axis && i < axis + mine->type.rank ? mine->type.extents[i - axis]
                                                           : extent_const(p->g->extents, 1);
    return build_reshape(&b, mine, t->rank, shape);
}

void partition_gather(struct partition *p, struct node *n) {
    struct rows r = rows_of(p, n);
    struct builder b = {p->g, n, n->loc};
    guard_ids(p, n, &r);
    struct value *mine = along_result(p, n, keep_inside(p, n, &r)), *v = n->results[0];
    struct value *nothing = build_cast(&b, build_scalar(&b, DTYPE_F32, 0), v->type.dtype);
    struct node *choice = node_new(p->g, OP_where, 3, (struct value *[]){mine, NULL, nothing}, n->loc);
    choice->operands[1] = node_put_behind(p->g, n, 0, choice);
    if (!node_infer(p->g, choice)) ice("a choice of rows does not infer");
}
