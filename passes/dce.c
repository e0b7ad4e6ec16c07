/* Removes nodes whose results nobody uses and that have no effect.
 *
 *     a : f32[4] = x + 1.0
 *     b : f32[4] = x * 2.0        becomes     b : f32[4] = x * 2.0
 *     return b                                return b
 *
 * From the last node to the first, so that what only served a removed node goes too. Results of kernels that
 * nobody uses are dropped from them; values that a scan carries stay. */
#include "passes/build.h"
#include "passes/passes.h"

struct dce {
    int *uses; /* [values] */
    bool changed;
};

static void unuse(struct dce *d, struct value *const *list, int count) {
    for (int i = 0; i < count; i++)
        if (list[i]) d->uses[list[i]->id]--;
}

/* All that `n` and the nodes inside it use is used once less. */
static void forget(struct dce *d, struct node *n) {
    unuse(d, n->operands, n->operands_count);
    if (n->body) unuse(d, n->body->results, n->body->results_count);
    for (struct node *inner = NULL; n->body && (inner = node_walk(n->body, inner));) {
        unuse(d, inner->operands, inner->operands_count);
        if (inner->body) unuse(d, inner->body->results, inner->body->results_count);
    }
}

static bool unused(const struct dce *d, const struct node *n) {
    for (int i = 0; i < n->results_count; i++)
        if (d->uses[n->results[i]->id]) return false;
    return !node_has_effect(n);
}

/* Results of a kernel that nobody reads any more: out of the node and out of its body. */
static void drop_results(struct dce *d, struct node *kernel) {
    int kept = 0;
    for (int i = 0; i < kernel->results_count; i++) {
        struct value *inner = kernel->body->results[i];
        if (!d->uses[kernel->results[i]->id]) {
            d->uses[inner->id]--;
            d->changed = true;
            continue;
        }
        kernel->results[kept] = kernel->results[i];
        kernel->results[kept]->index = kept;
        kernel->body->results[kept++] = inner;
    }
    kernel->results_count = kernel->body->results_count = kept;
}

static void clean(struct dce *d, struct block *b) {
    for (struct node *n = b->last, *prev; n; n = prev) {
        prev = n->prev;
        if (unused(d, n)) {
            forget(d, n);
            node_remove(n);
            d->changed = true;
            continue;
        }
        if (n->op == OP_kernel) drop_results(d, n);
        if (n->body) clean(d, n->body);
    }
}

bool pass_dce(struct graph *g) {
    struct dce d = {.uses = graph_uses(g, g->pass->scratch)};
    for (struct function *f = g->functions; f; f = f->next) clean(&d, f->body);
    return d.changed;
}
