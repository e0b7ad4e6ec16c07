/* mixed: long contractions in bf16, the others as they are.
 *
 *     y = linear(x, w)    inner extent >= min:    y = linear(x, w, compute=bf16)
 *
 * Products of bf16 are several times faster where the machine has them, and a long sum is what costs most;
 * short ones, and attention, keep their precision. Sums are f32 either way. */
#include "ir/graph.h"
#include "passes/pass.h"

/* Elements that one element of the result sums over, if that is a number. */
static int64_t inner_extent(const struct node *n) {
    const struct type *x = &n->operands[0]->type;
    int64_t extent = 0;
    if (x->rank) extent_is_const(x->extents[x->rank - 1], &extent);
    return extent;
}

static bool pass_mixed(struct graph *g) {
    int64_t min = pass_option(g, "min");
    bool changed = false;
    for (struct function *f = g->functions; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));) {
            if (n->op != OP_linear && n->op != OP_matmul) continue;
            struct attr *compute = node_attr(n, "compute");
            bool f32 = n->results[0]->type.dtype == DTYPE_F32 && !compute->set; /* set: chosen already */
            if (!f32 || inner_extent(n) < min) continue;
            *compute = (struct attr){.set = true, .dtype = DTYPE_BF16};
            pass_explain(g, n->loc, "%s of %lld inputs computes in bf16", op_info(n->op)->name,
                         (long long)inner_extent(n));
            changed = true;
        }
    return changed;
}

static const struct pass passes[] = {
    {"mixed", pass_mixed, "contractions over at least min inputs compute in bf16", "min=512"}};

const struct pass_plugin mdl_pass_plugin = {MDL_PASS_ABI, 1, passes};
