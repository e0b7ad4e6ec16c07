/* Which axes of a contraction's operands walk what. */
#include "passes/contraction.h"

static int axis_of(const struct access_map *access, int loop) {
    for (int i = 0; i < access->rank; i++)
        for (int t = 0; t < access->axes[i].count; t++)
            if (access->axes[i].terms[t].loop == loop) return i;
    return -1;
}

/* Every axis is one loop, or none: no windows, strides, offsets. */
static bool simple(const struct access_map *access) {
    for (int i = 0; i < access->rank; i++) {
        const struct axis_map *axis = &access->axes[i];
        bool moved = axis->offset && axis->offset->count;
        if (axis->whole || axis->guarded || moved || axis->count > 1) return false;
        if (axis->count && axis->terms[0].coefficient != 1) return false;
    }
    return true;
}

/* The operands that are multiplied, where there are just two. */
static bool find_operands(const struct node *n, struct contraction_axes *c) {
    enum op_family family = op_info(n->op)->family;
    c->a = 0;
    c->b = family == FAMILY_qlinear ? 3 : 1;
    if (family == FAMILY_linear) return n->operands_count < 3 || !n->operands[2];
    if (family == FAMILY_einsum) return n->operands_count == 2;
    return family == FAMILY_qlinear || family == FAMILY_matmul;
}

static bool loop_fits(const struct contraction_axes *c, int loop) {
    bool in_a = axis_of(&c->map->operands[c->a], loop) >= 0,
         in_b = axis_of(&c->map->operands[c->b], loop) >= 0;
    bool in_result = axis_of(&c->map->results[0], loop) >= 0;
    if (c->map->loops[loop].kind == LOOP_PARALLEL) return in_result;
    return c->map->loops[loop].kind == LOOP_REDUCTION && in_a && in_b && !in_result;
}

bool contraction_axes(struct arena *scratch, struct graph *g, const struct node *n,
                      struct contraction_axes *c) {
    *c = (struct contraction_axes){.b_inputs = -1};
    if (!find_operands(n, c)) return false;
    c->map = imap_of(scratch, g, n);
    const struct access_map *y = &c->map->results[0];
    if (!simple(&c->map->operands[c->a]) || !simple(&c->map->operands[c->b]) || !simple(y)) return false;
    if (!y->rank || y->axes[y->rank - 1].count != 1) return false;
    c->outputs = y->axes[y->rank - 1].terms[0].loop;
    if (axis_of(&c->map->operands[c->a], c->outputs) >= 0) {
        if (axis_of(&c->map->operands[c->b], c->outputs) >= 0) return false;
        int swap = c->a;
        c->a = c->b, c->b = swap;
    }
    for (int loop = 0; loop < c->map->loops_count; loop++) {
        if (!loop_fits(c, loop)) return false;
        if (c->map->loops[loop].kind != LOOP_REDUCTION) continue;
        c->inputs_count++;
        c->b_inputs = c->inputs_count == 1 ? axis_of(&c->map->operands[c->b], loop) : -1;
    }
    c->b_outputs = axis_of(&c->map->operands[c->b], c->outputs);
    return c->inputs_count > 0;
}
