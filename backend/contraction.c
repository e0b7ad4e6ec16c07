/* Classification of a contraction's loops, and points of its operands. */
#include "backend/contraction.h"
#include <string.h>

static bool walks(const struct access_map *access, int loop) {
    for (int i = 0; i < access->rank; i++)
        for (int t = 0; t < access->axes[i].count; t++)
            if (access->axes[i].terms[t].loop == loop) return true;
    return false;
}

static bool simple(const struct access_map *access) {
    for (int i = 0; i < access->rank; i++) {
        const struct axis_map *axis = &access->axes[i];
        bool offset = axis->offset && axis->offset->count;
        if (axis->whole || axis->guarded || offset || axis->count > 1) return false;
        if (axis->count && axis->terms[0].coefficient != 1) return false;
    }
    return true;
}

static void list_add(struct loop_list *list, int loop) { list->loops[list->count++] = loop; }

/* Which operands are multiplied. Only ops with one product of two factors a point are contractions here. */
static bool find_factors(const struct node *n, struct contraction *c) {
    c->quantized = op_info(n->op)->family == FAMILY_qlinear;
    c->a_operand = 0;
    c->b_operand = c->quantized ? 3 : 1;
    switch (op_info(n->op)->family) {
    case FAMILY_linear:
        return n->operands_count == 2 || !n->operands[2];
    case FAMILY_qlinear:
    case FAMILY_matmul:
        return true;
    case FAMILY_einsum:
        return n->operands_count == 2;
    default:
        return false;
    }
}

bool contraction_of(struct arena *a, struct graph *g, const struct node *n, struct contraction *c) {
    *c = (struct contraction){.node = n};
    if (!find_factors(n, c)) return false;
    c->map = imap_of(a, g, n);
    const struct access_map *x = &c->map->operands[c->a_operand], *w = &c->map->operands[c->b_operand];
    const struct access_map *y = &c->map->results[0];
    if (!simple(x) || !simple(w) || !simple(y) || !y->rank || y->axes[y->rank - 1].count != 1) return false;
    c->outputs = y->axes[y->rank - 1].terms[0].loop;
    if (walks(x, c->outputs)) {
        if (walks(w, c->outputs) || c->quantized) return false;
        const struct access_map *swap = x;
        x = w, w = swap;
        c->a_operand = 1, c->b_operand = 0;
    }
    for (int loop = 0; loop < c->map->loops_count; loop++) {
        if (loop == c->outputs) continue;
        bool in_a = walks(x, loop), in_b = walks(w, loop), in_y = walks(y, loop);
        if (c->map->loops[loop].kind == LOOP_ORDERED) return false;
        if (c->map->loops[loop].kind == LOOP_REDUCTION) {
            if (!in_a || !in_b || in_y) return false;
            list_add(&c->inputs, loop);
        } else {
            if (!in_y) return false;
            list_add(in_b ? &c->outer : &c->rows, loop);
        }
    }
    return c->inputs.count > 0;
}

LLVMValueRef contraction_count(struct emitter *e, const struct contraction *c, const struct loop_list *list) {
    LLVMValueRef count = emit_i64(e, 1);
    for (int i = 0; i < list->count; i++)
        count = emit_mul(e, count, emit_extent(e, c->map->loops[list->loops[i]].extent));
    return count;
}

void contraction_unflatten(struct emitter *e, const struct contraction *c, const struct loop_list *list,
                           LLVMValueRef flat, struct index *at) {
    for (int i = list->count - 1; i > 0; i--) {
        LLVMValueRef extent = emit_extent(e, c->map->loops[list->loops[i]].extent);
        at[list->loops[i]] = index_uniform(emit_rem(e, flat, extent));
        flat = emit_div(e, flat, extent);
    }
    if (list->count) at[list->loops[0]] = index_uniform(flat);
}

void contraction_point(struct emitter *e, const struct contraction *c, const struct access_map *access,
                       const struct index *at, int lanes, struct point *p) {
    (void)c;
    *p = (struct point){.rank = access->rank, .lanes = lanes};
    for (int i = 0; i < access->rank; i++)
        p->at[i] = access->axes[i].count ? at[access->axes[i].terms[0].loop] : index_constant(e, 0);
}
