/* Evaluates nodes all of whose operands are constants, by the interpreter.
 *
 *     a : f32 = 2.0
 *     b : f32 = sqrt(a)           becomes     b : f32 = 1.4142135
 *
 * Results of more than `max` elements stay computations: they would only make the model larger. */
#include "ir/collective.h"
#include "ir/interp.h"
#include "passes/build.h"
#include "passes/passes.h"
#include <string.h>

/* Whether an attribute depends on a dim, which nobody knows yet. */
static bool depends_on_dims(const struct node *n) {
    for (int i = 0; i < op_info(n->op)->attrs_count; i++) {
        const struct attr *a = &n->attrs[i];
        if (a->e && !extent_is_const(a->e, NULL)) return true;
        for (int k = 0; a->extents && k < a->count; k++)
            if (a->extents[k] && !extent_is_const(a->extents[k], NULL)) return true;
    }
    return false;
}

/* Ops without operands that are cheaper made than read, or that belong to their place. */
static bool eligible(const struct node *n) {
    enum op_family family = op_info(n->op)->family;
    if (n->body || node_has_effect(n) || collective_of(n) || !n->results_count || family == FAMILY_random)
        return false;
    if (depends_on_dims(n)) return false;
    bool any = n->op == OP_extent;
    for (int i = 0; i < n->operands_count; i++) {
        struct value *x = value_now(n->operands[i]);
        if (x && !value_is_constant(x)) return false;
        any |= x != NULL;
    }
    return any;
}

static bool small(const struct node *n, int64_t max) {
    for (int i = 0; i < n->results_count; i++) {
        int64_t elements = 1, extent;
        for (int d = 0; d < n->results[i]->type.rank; d++)
            if (!extent_is_const(n->results[i]->type.extents[d], &extent) ||
                __builtin_mul_overflow(elements, extent, &elements))
                return false;
        if (elements > max) return false;
    }
    return true;
}

/* A graph with one function that computes just `n`. */
static struct graph *graph_around(struct graph *g, struct arena *scratch, const struct node *n) {
    struct graph *alone = graph_new(scratch, g->diag);
    alone->extents = g->extents;
    struct function *f = graph_function(alone, "fold", n->loc);
    struct clone_map map = clone_map_new(g, scratch);
    for (int i = 0; i < n->operands_count; i++) {
        struct value *x = value_now(n->operands[i]);
        if (x && !map.values[x->id]) block_append(f->body, node_clone(alone, x->def, &map));
    }
    struct node *copy = node_clone(alone, n, &map);
    block_append(f->body, copy);
    f->body->results = copy->results;
    f->body->results_count = copy->results_count;
    return alone;
}

static const struct tensor *tensor_of(struct graph *g, const struct array *x) {
    struct tensor *t = arena_new_object(g->arena, struct tensor);
    void *bytes = arena_alloc(g->arena, (size_t)x->elements + 1, (size_t)dtype_bytes(x->dtype));
    array_to_bytes(x, bytes);
    *t = (struct tensor){.dtype = x->dtype, .rank = x->rank, .data = bytes};
    memcpy(t->extents, x->extents, sizeof t->extents);
    return t;
}

static bool fold_node(struct graph *g, struct node *n) {
    struct arena *scratch = g->pass->scratch;
    struct graph *alone = graph_around(g, scratch, n);
    struct interp *run = interp_new(scratch, alone, false);
    struct array **results = arena_new_array(scratch, struct array *, (size_t)n->results_count);
    const char *error;
    if (!run || !interp_call(run, alone->functions, NULL, results, &error)) return false;
    struct builder b = {g, n, n->loc};
    for (int i = 0; i < n->results_count; i++) {
        struct value *c = build_constant(&b, tensor_of(g, results[i]));
        c->name = n->results[i]->name;
        value_replace(n->results[i], c);
    }
    pass_explain(g, n->loc, "%s of constants", op_info(n->op)->name);
    node_remove(n);
    return true;
}

bool pass_fold(struct graph *g) {
    int64_t max = pass_option(g, "max");
    bool changed = false;
    for (struct function *f = g->functions; f; f = f->next)
        for (struct node *n = node_walk(f->body, NULL), *next; n; n = next) {
            next = node_walk(f->body, n);
            if (eligible(n) && small(n, max)) changed |= fold_node(g, n);
        }
    return changed;
}
