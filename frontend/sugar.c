/* Ops that users write and passes never see: each is a few others. A row of level SUGAR in ops.def needs a
 * function sugar_NAME here, or the compiler does not link.
 *
 *     stack(a, b, axis=0)  =>  concat(reshape(a, [1, …]), reshape(b, [1, …]), axis=0)
 */
#include "frontend/expand.h"
#include <stdlib.h>
#include <string.h>

typedef int sugar_function(struct expander *x, const struct sugar_call *c, struct value **results);

#define SUGAR_CORE(name)
#define SUGAR_INTERNAL(name)
#define SUGAR_STRUCTURE(name)
#define SUGAR_SUGAR(name) static sugar_function sugar_##name;
#define OP(name, level, family, results, signature, body, meaning) SUGAR_##level(name)
#include "ir/ops.def"
#undef OP
#undef SUGAR_SUGAR

static sugar_function *const sugars[OP_COUNT] = {
#define SUGAR_SUGAR(name) [OP_##name] = sugar_##name,
#define OP(name, level, family, results, signature, body, meaning) SUGAR_##level(name)
#include "ir/ops.def"
#undef OP
};

int expand_sugar(struct expander *x, const struct sugar_call *c, struct value **results) {
    return sugars[c->op](x, c, results);
}

static const struct attr *sugar_attr(const struct sugar_call *c, const char *name) {
    return &c->attrs[op_attr(c->op, name)];
}

static int one(struct value *v, struct value **results) {
    results[0] = v;
    return v ? 1 : -1;
}

static int problem(struct expander *x, const struct sugar_call *c, const char *text) {
    diag_error(x->diag, c->loc, "%s: %s", op_info(c->op)->name, text);
    return -1;
}

static int bad_axis(struct expander *x, const struct sugar_call *c, int64_t axis, int rank) {
    return problem(
        x, c, arena_printf(x->arena, "axis %lld does not exist in %d dimensions", (long long)axis, rank));
}

/* An axis counted from the front; false: there is none such. */
static bool to_axis(int64_t given, int rank, int *axis) {
    *axis = (int)(given < 0 ? given + rank : given);
    return given >= -rank && given < rank;
}

static int sugar_gelu(struct expander *x, const struct sugar_call *c, struct value **results) {
    const struct attr *form = sugar_attr(c, "approximate");
    bool tanh = form->set && !strcmp(form->s, "tanh");
    struct node *n = place_node(x, new_node(x, tanh ? OP_gelu_tanh : OP_gelu_erf, 1, c->operands, c->loc));
    return one(n ? n->results[0] : NULL, results);
}

static int sugar_dropout(struct expander *x, const struct sugar_call *c, struct value **results) {
    const struct attr *p = sugar_attr(c, "p");
    if (p->set && !(p->f >= 0 && p->f < 1)) return problem(x, c, "p is a probability, 0 <= p < 1");
    (void)x;
    return one(c->operands[0], results);
}

/* `v` with axes of extent 1 where `fresh` says, in a result of rank `rank`. */
static struct value *insert_axes(struct expander *x, struct value *v, int rank, const bool *fresh,
                                 struct loc loc) {
    const struct extent *shape[MAX_RANK];
    for (int i = 0, from = 0; i < rank; i++)
        shape[i] = fresh[i] ? extent_const(x->graph->extents, 1) : v->type.extents[from++];
    return reshape_value(x, v, rank, shape, loc);
}

/* Marks the axes of an AXES attribute among `rank`. */
static bool chosen_axes(struct expander *x, const struct sugar_call *c, int rank, bool *chosen) {
    const struct attr *a = sugar_attr(c, "axis");
    for (int i = 0; i < a->count; i++) {
        int axis;
        if (!to_axis(a->ints[i], rank, &axis)) return bad_axis(x, c, a->ints[i], rank) > 0;
        if (chosen[axis]) return problem(x, c, "an axis is given twice") > 0;
        chosen[axis] = true;
    }
    return true;
}

static int sugar_unsqueeze(struct expander *x, const struct sugar_call *c, struct value **results) {
    const struct attr *a = sugar_attr(c, "axis");
    struct value *v = c->operands[0];
    bool fresh[MAX_RANK] = {0};
    if (a->count < 0) return problem(x, c, "axis is a number or a list");
    if (v->type.rank + a->count > MAX_RANK) return problem(x, c, "the result has too many dimensions");
    int rank = v->type.rank + a->count;
    return chosen_axes(x, c, rank, fresh) ? one(insert_axes(x, v, rank, fresh, c->loc), results) : -1;
}

static int sugar_squeeze(struct expander *x, const struct sugar_call *c, struct value **results) {
    struct value *v = c->operands[0];
    const struct extent *shape[MAX_RANK], *single = extent_const(x->graph->extents, 1);
    bool gone[MAX_RANK] = {0}, all = sugar_attr(c, "axis")->count < 0;
    int rank = 0;
    if (!chosen_axes(x, c, v->type.rank, gone)) return -1;
    for (int i = 0; i < v->type.rank; i++) {
        if (gone[i] && v->type.extents[i] != single)
            return problem(x, c,
                           arena_printf(x->arena, "axis %d of %s has extent %s, not 1", i,
                                        type_text(x->arena, &v->type),
                                        extent_text(x->arena, v->type.extents[i])));
        if (!gone[i] && !(all && v->type.extents[i] == single)) shape[rank++] = v->type.extents[i];
    }
    return one(reshape_value(x, v, rank, shape, c->loc), results);
}

static int sugar_stack(struct expander *x, const struct sugar_call *c, struct value **results) {
    int axis, rank = c->operands[0]->type.rank + 1;
    bool fresh[MAX_RANK + 1] = {0};
    const struct attr *a = sugar_attr(c, "axis");
    if (!to_axis(a->i, rank, &axis)) return bad_axis(x, c, a->i, rank);
    if (rank > MAX_RANK) return problem(x, c, "the result has too many dimensions");
    fresh[axis] = true;
    for (int i = 0; i < c->count; i++) {
        if (c->operands[i]->type.rank + 1 != rank)
            return problem(x, c, "operands differ in their number of dimensions");
        c->operands[i] = insert_axes(x, c->operands[i], rank, fresh, c->loc);
        if (!c->operands[i]) return -1;
    }
    struct node *n = new_node(x, OP_concat, c->count, c->operands, c->loc);
    *node_attr(n, "axis") = (struct attr){.set = true, .i = axis};
    n = place_node(x, n);
    return one(n ? n->results[0] : NULL, results);
}

/* The sizes of split, with -1 filled in: what the others leave. False after reporting. */
static bool split_sizes(struct expander *x, const struct sugar_call *c, const struct extent *whole,
                        const struct extent **sizes) {
    const struct attr *a = sugar_attr(c, "sizes");
    int open = -1;
    struct extents *all = x->graph->extents;
    const struct extent *left = whole;
    for (int i = 0; i < a->count; i++) {
        sizes[i] = a->extents[i];
        if (!sizes[i] && open >= 0) return problem(x, c, "only one size may be -1") > 0;
        if (!sizes[i])
            open = i;
        else
            left = extent_sub(all, left, sizes[i]);
    }
    if (open >= 0) sizes[open] = left;
    if (open >= 0 && extent_nonnegative(all, left)) return true;
    if (open < 0 && left == extent_const(all, 0)) return true;
    return problem(x, c,
                   arena_printf(x->arena, "the sizes do not add up to the axis's extent %s",
                                extent_text(x->arena, whole))) > 0;
}

static int sugar_split(struct expander *x, const struct sugar_call *c, struct value **results) {
    struct value *v = c->operands[0];
    const struct attr *sizes = sugar_attr(c, "sizes"), *given = sugar_attr(c, "axis");
    const struct extent *start[MAX_RANK], *extent[MAX_RANK], *size[MAX_RESULTS];
    int64_t steps[MAX_RANK], wanted = given->set ? given->i : -1;
    int axis, rank = v->type.rank;
    if (!to_axis(wanted, rank, &axis)) return bad_axis(x, c, wanted, rank);
    if (sizes->count < 1 || sizes->count > MAX_RESULTS)
        return problem(x, c, "it makes between 1 and 64 pieces");
    if (!split_sizes(x, c, v->type.extents[axis], size)) return -1;
    for (int i = 0; i < rank; i++)
        start[i] = extent_const(x->graph->extents, 0), extent[i] = v->type.extents[i], steps[i] = 1;
    for (int i = 0; i < sizes->count; i++) {
        extent[axis] = size[i];
        results[i] = slice_value(x, v, start, extent, steps, c->loc);
        start[axis] = extent_add(x->graph->extents, start[axis], size[i]);
        if (!results[i] || !start[axis]) return -1;
    }
    return sizes->count;
}
