/* A value that all who read it round to bf16 is stored as bf16 by the kernel that makes it: half the bytes move,
 * and an operand lies in memory as it is multiplied, to be copied or read there instead of rounded on its way.
 *
 *     kernel k0 (x) -> h : f32[S, D] {                     kernel k0 (x) -> h : bf16[S, D] {
 *         h : f32[S, D] = silu(x)                              h0 : f32[S, D] = silu(x)
 *     }                                            ──►         h : bf16[S, D] = cast(h0, bf16)
 *                                                          }
 *     kernel k1 (h, w) -> y : f32[S, F] {                  kernel k1 (h, w) -> y : f32[S, F] {
 *         y : f32[S, F] = linear(h, w, compute=bf16)           y : f32[S, F] = linear(h, w, compute=bf16)
 *     }                                                    }
 *
 * No result changes by a bit, since what is rounded already is rounded to itself. Who rounds is read off a
 * kernel's atom, so `schedule` comes first: fma multiplies f32 as it is, though `compute` allows bf16. (One thing
 * changes: up to 16 rows by weights in blocks a GPU makes by fma, and now of the factors that more rows have.)
 * Results, what loops carry, what is assigned or sent keep their type, and so does what others read too: nothing
 * is stored twice. */
#include "ir/contraction.h"
#include "passes/fuse.h"

struct narrower {
    struct graph *g;
    bool *exact; /* [values] somebody reads all its bits */
};

/* Whether `n`, in a kernel's body, multiplies operand k as bf16 and does nothing else with it. A processor scales
 * queries before it rounds them. */
static bool multiplies(const struct narrower *w, const struct node *kernel, const struct node *n, int k) {
    enum role role = node_role(n);
    struct contraction c;
    if ((role != ROLE_CONTRACT && role != ROLE_ATTENTION) || n->op == OP_qlinear) return false;
    if (!kernel->schedule || atom_info(kernel->schedule->atom)->a != DTYPE_BF16) return false;
    if (node_attr(n, "compute")->dtype != DTYPE_BF16) return false;
    if (role == ROLE_ATTENTION) return k == 1 || k == 2 || (k == 0 && w->g->target && w->g->target->simt);
    return contraction_of(w->g->pass->scratch, w->g, n, &c) && (k == c.a || k == c.b);
}

/* Whether all that n takes of operand k is its value in bf16. */
static bool rounds(const struct narrower *w, const struct node *n, int k) {
    const struct node *kernel = n->parent->owner;
    if (n->op == OP_kernel) return !w->exact[n->body->args[k]->id];
    if (!kernel || kernel->op != OP_kernel) return false;
    if (node_role(n) == ROLE_VIEW && n->operands_count == 1) return !w->exact[n->results[0]->id];
    return multiplies(w, kernel, n, k);
}

/* Backwards, as who reads a view decides about what it shows. */
static void find_exact(struct narrower *w, const struct block *b) {
    for (int i = 0; i < b->results_count; i++) w->exact[b->results[i]->id] = true;
    for (const struct node *n = b->last; n; n = n->prev) {
        if (n->body) find_exact(w, n->body);
        for (int k = 0; k < n->operands_count; k++)
            if (n->operands[k] && !rounds(w, n, k)) w->exact[n->operands[k]->id] = true;
    }
}

/* What is made element by element can go one step further; pieces that are joined, writes, and ops that stand
 * alone cannot. */
static bool can_end_in_cast(const struct node *kernel, const struct value *made) {
    if (!kernel->schedule || kernel->schedule->domain == DOMAIN_ordered) return false;
    return !made->def || (made->def->op != OP_concat && made->def->op != OP_write);
}

static bool narrow_result(struct narrower *w, struct node *kernel, int result) {
    struct value *outer = kernel->results[result], *made = kernel->body->results[result];
    if (outer->type.dtype != DTYPE_F32 || w->exact[outer->id] || outer->place.space) return false;
    if (!can_end_in_cast(kernel, made)) return false;
    struct node *cast = node_new(w->g, OP_cast, 1, &made, made->loc);
    *node_attr(cast, "to") = (struct attr){.set = true, .dtype = DTYPE_BF16};
    if (!node_infer(w->g, cast)) ice("a value cannot be rounded");
    block_append(kernel->body, cast);
    kernel->body->results[result] = cast->results[0];
    outer->type.dtype = DTYPE_BF16;
    pass_explain(w->g, outer->loc, "%s's result %s is stored as bf16", kernel->name ? kernel->name : "kernel",
                 outer->name ? outer->name : arena_printf(w->g->pass->scratch, "%d", result));
    return true;
}

/* Arguments have their operands' types, and views their arguments'. */
static void take_types(struct narrower *w, const struct node *kernel) {
    bool changed = false;
    for (int k = 0; k < kernel->operands_count; k++) {
        changed = changed || kernel->body->args[k]->type.dtype != kernel->operands[k]->type.dtype;
        kernel->body->args[k]->type = kernel->operands[k]->type;
    }
    for (struct node *n = kernel->body->first; changed && n; n = n->next)
        if (!node_infer(w->g, n)) ice("%s does not take bf16", op_info(n->op)->name);
}

bool pass_narrow(struct graph *g) {
    struct narrower w = {g, arena_new_array(g->pass->scratch, bool, (size_t)g->values + 1)};
    bool changed = false;
    for (struct function *f = g->functions; f; f = f->next) {
        find_exact(&w, f->body);
        for (struct node *n = NULL; (n = node_walk(f->body, n));) {
            if (n->op != OP_kernel) continue;
            take_types(&w, n);
            for (int i = 0; i < n->results_count; i++) changed |= narrow_result(&w, n, i);
        }
    }
    return changed;
}
