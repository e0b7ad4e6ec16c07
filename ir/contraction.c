/* Classification of a contraction's loops. */
#include "ir/contraction.h"

int access_axis(const struct access_map *access, int loop) {
    for (int i = 0; i < access->rank; i++)
        for (int t = 0; t < access->axes[i].count; t++)
            if (access->axes[i].terms[t].loop == loop) return i;
    return -1;
}

static bool walks(const struct access_map *access, int loop) { return access_axis(access, loop) >= 0; }

/* Whether an axis is walked by all the loops of `list`, the last fastest, as one: index = block * 32 +
 * within. */
static bool is_walked_as_one(const struct contraction *c, const struct axis_map *axis,
                             const struct loop_list *list) {
    int64_t step = 1, extent;
    if (axis->count != list->count) return false;
    for (int i = list->count - 1; i >= 0; i--) {
        if (axis->terms[i].loop != list->loops[i] || axis->terms[i].coefficient != step) return false;
        bool known = extent_is_const(c->map->loops[list->loops[i]].extent, &extent);
        if ((!known && i) || (known && i && __builtin_mul_overflow(step, extent, &step))) return false;
    }
    return true;
}

/* Every axis is one loop, or none, or all the inputs as one: no windows, strides, offsets. */
static bool is_simple(const struct contraction *c, const struct access_map *access) {
    for (int i = 0; i < access->rank; i++) {
        const struct axis_map *axis = &access->axes[i];
        bool moved = axis->offset && axis->offset->count;
        if (axis->whole || axis->guarded || moved) return false;
        bool one = axis->count == 1 && axis->terms[0].coefficient == 1;
        if (axis->count && !one && !is_walked_as_one(c, axis, &c->inputs)) return false;
    }
    return true;
}

static int axis_of_inputs(const struct contraction *c, const struct access_map *access) {
    int axis = access_axis(access, c->inputs.loops[0]);
    return axis >= 0 && is_walked_as_one(c, &access->axes[axis], &c->inputs) ? axis : -1;
}

/* The operands that are multiplied, where there are just two. */
static bool find_factors(const struct node *n, struct contraction *c) {
    enum op_family family = op_info(n->op)->family;
    c->quantized = family == FAMILY_qlinear;
    c->a = 0;
    c->b = c->quantized ? 3 : 1;
    if (family == FAMILY_linear) return n->operands_count < 3 || !n->operands[2];
    if (family == FAMILY_einsum) return n->operands_count == 2;
    return c->quantized || family == FAMILY_matmul;
}

static void list_add(struct loop_list *list, int loop) { list->loops[list->count++] = loop; }

/* Puts each loop in its list; false: one that no register tile can walk. */
static bool sort_loops(struct contraction *c) {
    const struct access_map *a = &c->map->operands[c->a], *b = &c->map->operands[c->b],
                            *y = &c->map->results[0];
    for (int loop = 0; loop < c->map->loops_count; loop++) {
        enum loop_kind kind = c->map->loops[loop].kind;
        if (kind == LOOP_ORDERED) return false;
        if (kind == LOOP_REDUCTION) {
            if (!walks(a, loop) || !walks(b, loop) || walks(y, loop)) return false;
            list_add(&c->inputs, loop);
        } else if (loop != c->outputs) {
            if (!walks(y, loop)) return false;
            list_add(walks(b, loop) ? &c->outer : &c->rows, loop);
        }
    }
    return c->inputs.count > 0;
}

/* B is what is transposed: then a param's layout can be what the register tiles want. */
static void find_b_value(struct contraction *c) {
    c->b_value = c->node->operands[c->b];
    c->b_access = c->map->operands[c->b];
    for (const struct node *n; (n = c->b_value->def) && n->op == OP_transpose; c->b_value = n->operands[0]) {
        const struct attr *perm = node_attr(n, "perm");
        struct access_map below = {.rank = c->b_access.rank};
        for (int i = 0; i < below.rank; i++) below.axes[perm->ints[i]] = c->b_access.axes[i];
        c->b_access = below;
    }
}

bool contraction_of(struct arena *arena, struct graph *g, const struct node *n, struct contraction *c) {
    *c = (struct contraction){.node = n};
    if (!find_factors(n, c)) return false;
    c->map = imap_of(arena, g, n);
    const struct access_map *y = &c->map->results[0];
    if (!y->rank || y->axes[y->rank - 1].count != 1) return false;
    c->outputs = y->axes[y->rank - 1].terms[0].loop;
    if (walks(&c->map->operands[c->a], c->outputs)) {
        if (walks(&c->map->operands[c->b], c->outputs) || c->quantized) return false;
        int swap = c->a;
        c->a = c->b, c->b = swap;
    }
    const struct access_map *a = &c->map->operands[c->a], *b = &c->map->operands[c->b];
    if (!sort_loops(c) || !is_simple(c, a) || !is_simple(c, b) || !is_simple(c, y)) return false;
    find_b_value(c);
    c->b_outputs = access_axis(&c->b_access, c->outputs);
    c->a_inputs = axis_of_inputs(c, a);
    c->b_inputs = axis_of_inputs(c, &c->b_access);
    return true;
}

int64_t contraction_inputs(const struct contraction *c) {
    int64_t inputs = 1, extent;
    for (int i = 0; i < c->inputs.count; i++)
        if (!extent_is_const(c->map->loops[c->inputs.loops[i]].extent, &extent) ||
            __builtin_mul_overflow(inputs, extent, &inputs))
            return 0;
    return inputs;
}

int64_t contraction_inner_inputs(const struct contraction *c) {
    int64_t inputs;
    return extent_is_const(c->map->loops[c->inputs.loops[c->inputs.count - 1]].extent, &inputs) ? inputs : 0;
}
