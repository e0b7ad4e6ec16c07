/* Slices go up through what computes them, so that only what is read is computed.
 *
 *     y : f32[S, F] = linear(x, w)                       t : f32[1, D] = x[S-1:S]
 *     z : f32[S, F] = silu(y)              becomes       y : f32[1, F] = linear(t, w)
 *     r : f32[1, F] = z[S-1:S]                           r : f32[1, F] = silu(y)
 *
 * A model that returns what follows its last token computes the last layer for that token alone, but for the keys
 * and values that it leaves in its caches.
 *
 * The index map says what each operand is asked for: the part of its axes that the loops left over walk. Loops
 * whose results depend on their place stay whole (factors.h), but for positions of `rope` and of a causal `sdpa`,
 * which begin later. It is done where all who read a value read the same part of it. Not through ops that refuse
 * ids: whoever passes a bad one is told, read or not. Nor where a contraction would be left with a part of a
 * param, which is packed as a whole. */
#include "ir/imap.h"
#include "passes/build.h"
#include "passes/factors.h"
#include "passes/passes.h"

struct slices { /* of one value */
    struct node **nodes;
    int count, capacity;
};
struct bubbler {
    struct graph *g;
    int *uses; /* [values] when the pass began; a slice that takes a use over leaves the count as it is */
    struct slices *slices; /* [values] */
    int values;
};
struct part {                            /* of a loop or an axis: extent elements from start on, step apart */
    const struct extent *start, *extent; /* start NULL: all of it */
    int64_t step;
};

static bool is_zero(const struct extent *e) { return e->count == 0; }

/* What a slice takes of an axis of a value of type `t`. */
static struct part part_of_axis(const struct node *slice, const struct type *t, int axis) {
    struct part p = {node_attr(slice, "start")->extents[axis], node_attr(slice, "extent")->extents[axis],
                     node_attr(slice, "step")->ints[axis]};
    if (is_zero(p.start) && p.extent == t->extents[axis] && p.step == 1) p.start = NULL;
    return p;
}

/* ---- What may be done ---- */

static bool same_part(const struct node *a, const struct node *b) {
    const struct op_info *info = op_info(OP_slice);
    for (int i = 0; i < info->attrs_count; i++)
        if (!attr_equal(info->attrs[i].kind, &a->attrs[i], &b->attrs[i])) return false;
    return true;
}

/* The one part that everybody reads of n's result, as one of the slices; or NULL. */
static const struct node *what_is_read(const struct bubbler *b, const struct node *n) {
    int id = n->results[0]->id;
    const struct slices *s = id < b->values ? &b->slices[id] : NULL;
    if (!s || !s->count || s->count != b->uses[id]) return NULL;
    for (int i = 0; i < s->count; i++)
        if (s->nodes[i]->parent != n->parent || !placement_equal(s->nodes[i]->on, n->on) ||
            s->nodes[i]->results[0]->sharding || !same_part(s->nodes[0], s->nodes[i]))
            return NULL;
    return s->nodes[0];
}

static bool refuses_ids(const struct node *n) {
    return n->op == OP_gather || n->op == OP_take_along || n->op == OP_scatter || n->op == OP_write;
}

static bool is_param(const struct value *v) {
    while (v->def && (v->def->op == OP_reshape || v->def->op == OP_transpose)) v = v->def->operands[0];
    return v->def && v->def->op == OP_param && v->def->global->kind == GLOBAL_PARAM;
}

static bool contracts(const struct node *n) {
    switch (op_info(n->op)->family) {
    case FAMILY_linear:
    case FAMILY_matmul:
    case FAMILY_einsum:
    case FAMILY_conv:
    case FAMILY_conv_transpose:
        return true;
    default:
        return false;
    }
}

/* The operand that says at which position loop `loop` begins; -1: none does. */
static int position_of(const struct node *n, int loop) {
    if (loop != n->results[0]->type.rank - 3) return -1;
    return n->op == OP_rope ? 1 : n->op == OP_sdpa && node_attr(n, "causal")->i ? 3 : -1;
}

/* The parts of n's loops that a slice of its result reads. */
static bool parts_of_loops(const struct factors *f, const struct node *slice, struct part *loops) {
    const struct type *t = &f->node->results[0]->type;
    bool some = false;
    for (int d = 0; d < t->rank; d++) {
        struct part p = part_of_axis(slice, t, d);
        const struct axis_map *axis = &f->map->results[0].axes[d];
        if (!p.start) continue;
        if (axis->whole || axis->count != 1 || axis->terms[0].coefficient != 1) return false;
        int loop = axis->terms[0].loop;
        if (f->map->loops[loop].kind != LOOP_PARALLEL) return false;
        if (f->whole[loop] && !(position_of(f->node, loop) >= 0 && p.step == 1)) return false;
        loops[loop] = p;
        some = true;
    }
    return some;
}

/* The part of an operand's axis that those of the loops walk; false where it is none that a slice can take. */
static bool part_of_operand(struct extents *x, const struct axis_map *axis, const struct part *loops,
                            struct part *made) {
    *made = (struct part){0};
    for (int i = 0; i < axis->count; i++) {
        const struct part *p = &loops[axis->terms[i].loop];
        const struct extent *step = extent_const(x, axis->terms[i].coefficient);
        if (!p->start) continue;
        /* Of several loops the outermost's elements are neighbours together: outer * step + inner. */
        if (i > 0 || (axis->count > 1 && p->step != 1)) return false;
        *made = (struct part){extent_mul(x, p->start, step), extent_mul(x, p->extent, step), p->step};
        if (!made->start || !made->extent) return false;
    }
    return true;
}

static bool can_slice(const struct bubbler *b, const struct factors *f, const struct part *loops) {
    const struct node *n = f->node;
    for (int i = 0; i < n->operands_count; i++)
        for (int d = 0; n->operands[i] && d < f->map->operands[i].rank; d++) {
            struct part p;
            if (!part_of_operand(b->g->extents, &f->map->operands[i].axes[d], loops, &p)) return false;
            if (p.start && contracts(n) && is_param(n->operands[i])) return false;
        }
    return true;
}

/* ---- Doing it ---- */

/* The part of operand `number` that is asked for, before n. */
static struct value *slice_operand(struct bubbler *b, const struct factors *f, struct node *n, int number,
                                   const struct part *loops) {
    struct value *v = n->operands[number];
    struct builder at = {b->g, n, n->loc};
    const struct access_map *access = &f->map->operands[number];
    const struct extent *start[MAX_RANK], *extent[MAX_RANK];
    int64_t step[MAX_RANK];
    bool some = false;
    for (int d = 0; d < access->rank; d++) {
        struct part p;
        if (!part_of_operand(b->g->extents, &access->axes[d], loops, &p)) ice("a part of an operand is none");
        start[d] = p.start ? p.start : extent_const(b->g->extents, 0);
        extent[d] = p.start ? p.extent : v->type.extents[d];
        step[d] = p.start ? p.step : 1;
        some = some || p.start;
    }
    if (!some) return v;
    struct value *made = build_slice(&at, v, start, extent, step);
    if (v->id >= b->values) return made;
    struct slices *s = &b->slices[v->id];
    arena_push(b->g->pass->scratch, s->nodes, s->count, s->capacity, made->def);
    return made;
}

/* Positions that begin at `first` of what they were. */
static void begin_later(struct bubbler *b, struct node *n, int operand, const struct extent *first) {
    struct builder at = {b->g, n, n->loc};
    struct value *offset = build_extent(&at, first), *position = n->operands[operand];
    if (position) offset = build2(&at, OP_add, position, build_cast(&at, offset, position->type.dtype));
    n->operands[operand] = offset;
}

static void take_part(struct bubbler *b, const struct factors *f, struct node *n, const struct part *loops) {
    struct value *result = n->results[0];
    const struct slices *read = &b->slices[result->id];
    const struct type t = read->nodes[0]->results[0]->type;
    pass_explain(b->g, n->loc, "%s: only %s of %s is read", op_info(n->op)->name,
                 type_text(b->g->pass->scratch, &t), type_text(b->g->pass->scratch, &result->type));
    for (int i = 0; i < n->operands_count; i++)
        if (n->operands[i]) n->operands[i] = slice_operand(b, f, n, i, loops);
    for (int l = 0; l < f->map->loops_count; l++)
        if (loops[l].start && position_of(n, l) >= 0) begin_later(b, n, position_of(n, l), loops[l].start);
    node_take_shape(b->g, n, &t);
    if (!node_infer(b->g, n) || !type_equal(&result->type, &t))
        ice("a part of %s does not infer", op_info(n->op)->name);
    for (int i = 0; i < read->count; i++) {
        value_replace(read->nodes[i]->results[0], result);
        node_remove(read->nodes[i]);
    }
}

static bool visit(struct bubbler *b, struct node *n) {
    struct part loops[MAX_LOOPS] = {0};
    if (n->results_count != 1 || n->body || node_has_effect(n) || refuses_ids(n) || n->op == OP_slice)
        return false;
    const struct node *slice = what_is_read(b, n);
    if (!slice || n->results[0]->sharding) return false;
    const struct factors *f = factors_of(b->g->pass->scratch, b->g, n, NULL);
    if (!f || !parts_of_loops(f, slice, loops) || !can_slice(b, f, loops)) return false;
    take_part(b, f, n, loops);
    return true;
}

static void note_slices(struct bubbler *b, const struct function *f) {
    for (struct node *n = NULL; (n = node_walk(f->body, n));) {
        if (n->op != OP_slice) continue;
        struct slices *s = &b->slices[n->operands[0]->id];
        arena_push(b->g->pass->scratch, s->nodes, s->count, s->capacity, n);
    }
}

/* Backwards: who reads a value has been asked what it needs of it. */
static bool visit_block(struct bubbler *b, struct block *block) {
    bool changed = false;
    for (struct node *n = block->last, *before; n; n = before) {
        if (n->body) changed |= visit_block(b, n->body);
        changed |= visit(b, n);
        before = n->prev; /* slices of n's operands among them */
    }
    return changed;
}

bool pass_bubble(struct graph *g) {
    struct arena *scratch = g->pass->scratch;
    struct bubbler b = {g, graph_uses(g, scratch),
                        arena_new_array(scratch, struct slices, (size_t)g->values + 1), g->values};
    bool changed = false;
    for (struct function *f = g->functions; f; f = f->next) {
        note_slices(&b, f);
        changed |= visit_block(&b, f->body);
    }
    return changed;
}
