/* What a node costs: arithmetic operations, from its loops, and bytes moved, from its types. */
#include "ir/imap.h"

/* Operations an iteration of the loops; families that are not here do none, or are counted below. */
static const int per_iteration[FAMILY_COUNT] = {
    [FAMILY_cast] = 1,   [FAMILY_reduce] = 1, [FAMILY_argreduce] = 1, [FAMILY_cumsum] = 1,
    [FAMILY_linear] = 2, [FAMILY_matmul] = 2, [FAMILY_quantize] = 3,  [FAMILY_qlinear] = 2,
    [FAMILY_topk] = 1,   [FAMILY_sort] = 1,   [FAMILY_normalize] = 4, [FAMILY_cross_entropy] = 3,
    [FAMILY_rope] = 3,   [FAMILY_conv] = 2,   [FAMILY_pool] = 1,      [FAMILY_random] = 1,
};
/* Reductions of more than one operation an element. */
static const struct {
    enum op op;
    int operations;
} heavy[] = {{OP_var, 3}, {OP_logsumexp, 3}};

static int primitives(const struct scalar *s) {
    if (s->op == SCALAR_ARGUMENT || s->op == SCALAR_CONSTANT) return 0;
    int count = 1;
    for (int i = 0; i < scalar_arity(s->op); i++) count += primitives(s->operands[i]);
    return count;
}

static int operations(const struct node *n) {
    const struct op_info *info = op_info(n->op);
    if (info->body) return primitives(info->body);
    if (info->family == FAMILY_einsum) return n->operands_count; /* products, and the sum */
    for (size_t i = 0; i < sizeof heavy / sizeof *heavy; i++)
        if (heavy[i].op == n->op) return heavy[i].operations;
    return per_iteration[info->family];
}

static const struct extent *scaled(struct graph *g, const struct extent *e, int64_t factor) {
    return extent_mul(g->extents, e, extent_const(g->extents, factor));
}

/* Two products, for scores and for outputs: 2 * queries * heads * keys * (head dimension + value dimension).
 */
static const struct extent *attention_flops(struct graph *g, const struct node *n) {
    const struct type *q = &n->operands[0]->type, *k = &n->operands[1]->type, *v = &n->operands[2]->type;
    struct type rows = *q;
    rows.rank--;
    const struct extent *dims = extent_add(g->extents, q->extents[q->rank - 1], v->extents[v->rank - 1]);
    const struct extent *pairs =
        extent_mul(g->extents, type_elements(g->extents, &rows), k->extents[k->rank - 3]);
    return scaled(g, extent_mul(g->extents, pairs, dims), 2);
}

/* Each element of x meets the weights of its channel: 2 * elements of x * w's other extents. */
static const struct extent *spread_flops(struct graph *g, const struct node *n) {
    struct type w = n->operands[1]->type;
    w.extents[0] = extent_const(g->extents, 1);
    const struct extent *x = type_elements(g->extents, &n->operands[0]->type);
    return scaled(g, extent_mul(g->extents, x, type_elements(g->extents, &w)), 2);
}

static const struct extent *loop_flops(struct graph *g, const struct node *n) {
    const struct imap *m = imap_of(g->arena, g, n);
    const struct extent *total = extent_const(g->extents, operations(n));
    for (int i = 0; m && i < m->loops_count && total && total->count; i++)
        total = extent_mul(g->extents, total, m->loops[i].extent);
    return total;
}

static const struct extent *body_flops(struct graph *g, const struct node *n) {
    const struct extent *total = extent_const(g->extents, 0);
    for (const struct node *inner = n->body->first; inner; inner = inner->next)
        total = extent_add(g->extents, total, node_flops(g, inner));
    return n->count ? extent_mul(g->extents, total, n->count) : total;
}

const struct extent *node_flops(struct graph *g, const struct node *n) {
    if (n->body) return body_flops(g, n);
    if (op_info(n->op)->level == LEVEL_STRUCTURE) return extent_const(g->extents, 0);
    if (n->op == OP_sdpa) return attention_flops(g, n);
    if (n->op == OP_conv_transpose) return spread_flops(g, n);
    const struct extent *flops = loop_flops(g, n);
    bool bias = n->op == OP_linear && n->operands[2];
    return bias ? extent_add(g->extents, flops, type_elements(g->extents, &n->results[0]->type)) : flops;
}

/* Of a table only the rows that ids name are read: as much as the result has. */
static const struct extent *operand_bytes(struct graph *g, const struct node *n, int operand) {
    bool table = (n->op == OP_gather || n->op == OP_take_along) && operand == 0;
    return type_bytes(g->extents, table ? &n->results[0]->type : &n->operands[operand]->type);
}

/* A value given twice is read once. */
static bool seen(const struct node *n, int operand) {
    for (int i = 0; i < operand; i++)
        if (n->operands[i] == n->operands[operand]) return true;
    return false;
}

const struct extent *node_bytes(struct graph *g, const struct node *n) {
    const struct extent *total = extent_const(g->extents, 0);
    for (int i = 0; i < n->operands_count; i++)
        if (n->operands[i] && !seen(n, i)) total = extent_add(g->extents, total, operand_bytes(g, n, i));
    for (int i = 0; i < n->results_count; i++)
        total = extent_add(g->extents, total, type_bytes(g->extents, &n->results[i]->type));
    return total;
}
