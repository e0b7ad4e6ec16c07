/* Ops that are made of others into those: the rules of decompose.def. */
#include "passes/decompose_f64.h"
#include "passes/passes.h"
#include "passes/rules.h"

/* op(x) of a narrow float type = cast(op(cast(x, f32)), narrow). */
static struct value *through_f32(struct builder *b, const struct match *m) {
    struct value *x = match_value(m, "x");
    enum dtype narrow = x->type.dtype;
    if (narrow != DTYPE_F16 && narrow != DTYPE_BF16) return NULL;
    struct node *n = node_new(b->g, m->root->op, m->root->operands_count, m->root->operands, b->loc);
    for (int i = 0; i < op_info(n->op)->attrs_count; i++) n->attrs[i] = m->root->attrs[i];
    n->operands[0] = build_cast(b, x, DTYPE_F32);
    return build_cast(b, build_finish(b, n), m->root->results[0]->type.dtype);
}

static bool is_empty(const struct match *m) {
    const struct type *t = &match_value(m, "x")->type;
    int64_t extent;
    for (int i = 0; i < t->rank; i++)
        if (extent_is_const(t->extents[i], &extent) && !extent) return true;
    return false;
}

const struct rule decompose_rules[] = {
#include "passes/decompose.def"
};
const int decompose_rules_count = sizeof decompose_rules / sizeof *decompose_rules;

bool pass_decompose(struct graph *g) { return rules_apply(g, decompose_rules, decompose_rules_count); }
