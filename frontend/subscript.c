/* Subscripts: x[a:b, ::2, -1, t].
 *
 *     x[1:3, 0]      slice of all axes, then a reshape that drops those with one index
 *     x[t]           t an i32 known at run time: gather with that id
 *     wq[i], e[i][j] a tensor of an array of params or states
 */
#include "frontend/expand.h"
#include <string.h>

struct value *reshape_value(struct expander *x, struct value *v, int rank, const struct extent *const *shape,
                            struct loc loc) {
    struct node *n = new_node(x, OP_reshape, 1, &v, loc);
    const struct extent **kept = arena_new_array(x->graph->arena, const struct extent *, rank + 1);
    for (int i = 0; i < rank; i++) kept[i] = shape[i];
    *node_attr(n, "shape") = (struct attr){.set = true, .count = rank, .extents = kept};
    n = place_node(x, n);
    return n ? n->results[0] : NULL;
}

struct value *slice_value(struct expander *x, struct value *v, const struct extent *const *start,
                          const struct extent *const *extent, const int64_t *steps, struct loc loc) {
    int rank = v->type.rank;
    struct node *n = new_node(x, OP_slice, 1, &v, loc);
    const struct extent **starts = arena_new_array(x->graph->arena, const struct extent *, rank + 1);
    const struct extent **counts = arena_new_array(x->graph->arena, const struct extent *, rank + 1);
    int64_t *step = arena_new_array(x->graph->arena, int64_t, rank + 1);
    for (int i = 0; i < rank; i++) starts[i] = start[i], counts[i] = extent[i], step[i] = steps[i];
    *node_attr(n, "start") = (struct attr){.set = true, .count = rank, .extents = starts};
    *node_attr(n, "extent") = (struct attr){.set = true, .count = rank, .extents = counts};
    *node_attr(n, "step") = (struct attr){.set = true, .count = rank, .ints = step};
    n = place_node(x, n);
    return n ? n->results[0] : NULL;
}

static struct value *gather_one(struct expander *x, struct value *v, struct value *id, int axis,
                                struct loc loc) {
    struct value *operands[2] = {v, id};
    struct node *n = new_node(x, OP_gather, 2, operands, loc);
    *node_attr(n, "axis") = (struct attr){.set = true, .i = axis};
    n = place_node(x, n);
    return n ? n->results[0] : NULL;
}

struct cut { /* what the subscripts ask for, an entry an axis */
    const struct extent *start[MAX_RANK], *extent[MAX_RANK];
    int64_t step[MAX_RANK];
    bool drop[MAX_RANK];
    struct value *id[MAX_RANK];
    bool slices; /* anything but whole axes and ids */
};

static bool outside(struct expander *x, struct loc loc, const char *what, const struct extent *e,
                    const struct extent *axis) {
    diag_error(x->diag, loc, "%s %s is not provably inside the dimension's extent %s", what,
               extent_text(x->arena, e), extent_text(x->arena, axis));
    return false;
}

static const struct extent *constant_extent(struct expander *x, int64_t value) {
    return extent_const(x->graph->extents, value);
}

/* A bound of a slice: negative integers count from the end. `fallback` where it is not written. */
static bool bound(struct expander *x, const struct expr *e, const struct extent *axis,
                  const struct extent *fallback, const struct extent **result) {
    int64_t value;
    *result = fallback;
    if (!e) return true;
    if (!evaluate_extent(x, e, "a slice's bound", result)) return false;
    if (extent_is_const(*result, &value) && value < 0) *result = extent_add(x->graph->extents, axis, *result);
    return *result || report_large_extent(x, e->loc);
}

static bool cut_range(struct expander *x, const struct arg *s, const struct extent *axis, int i,
                      struct cut *c) {
    struct extents *all = x->graph->extents;
    const struct extent *start, *stop, *zero = constant_extent(x, 0);
    int64_t step = 1;
    if (!bound(x, s->value, axis, zero, &start) || !bound(x, s->stop, axis, axis, &stop)) return false;
    if (s->step && !evaluate_int(x, s->step, "a slice's step", &step)) return false;
    if (step < 1) {
        diag_error(x->diag, s->step->loc, "a slice's step is at least 1; flip() reverses");
        return false;
    }
    const struct extent *length = extent_sub(all, stop, start), *room = extent_sub(all, axis, stop);
    if (!length || !room || !extent_nonnegative(all, start))
        return outside(x, s->loc, "the slice's start", start, axis);
    if (!extent_nonnegative(all, room))
        return outside(x, s->stop ? s->stop->loc : s->loc, "the slice's end", stop, axis);
    if (!extent_nonnegative(all, length)) {
        diag_error(x->diag, s->loc, "the slice may end (%s) before it starts (%s)",
                   extent_text(x->arena, stop), extent_text(x->arena, start));
        return false;
    }
    if (step > extent_max(axis))
        step = extent_max(axis) > 1 ? extent_max(axis) : 1; /* as long: the first only */
    c->start[i] = start;
    c->step[i] = step;
    c->extent[i] = extent_floordiv(all, extent_add(all, length, constant_extent(x, step - 1)), step);
    c->slices |= start != zero || stop != axis || step != 1;
    return c->extent[i] || report_large_extent(x, s->loc);
}

/* One index: an extent drops the axis, a run-time i32 gathers. */
static bool cut_index(struct expander *x, const struct arg *s, const struct extent *axis, int i,
                      struct cut *c) {
    struct item item = evaluate(x, s->value);
    const struct extent *at;
    int64_t value;
    if (item.kind == ITEM_VALUE) {
        const struct type *t = &item.value->type;
        c->start[i] = constant_extent(x, 0), c->extent[i] = axis, c->step[i] = 1, c->id[i] = item.value;
        if (t->dtype == DTYPE_I32 && !t->rank) return true;
        diag_error(x->diag, s->loc, "an index is an integer or an i32, not %s; gather() takes many",
                   type_text(x->arena, t));
        return false;
    }
    if (!item_to_extent(x, &item, "an index", s->loc, &at)) return false;
    const struct extent *written = at;
    if (extent_is_const(at, &value) && value < 0) at = extent_add(x->graph->extents, axis, at);
    const struct extent *room = extent_sub(x->graph->extents, axis, at);
    room = extent_sub(x->graph->extents, room, constant_extent(x, 1));
    if (!extent_nonnegative(x->graph->extents, at) || !extent_nonnegative(x->graph->extents, room))
        return outside(x, s->loc, "the index", written, axis);
    c->start[i] = at, c->extent[i] = constant_extent(x, 1), c->step[i] = 1;
    return c->drop[i] = c->slices = true;
}

static struct value *apply_cut(struct expander *x, struct value *v, const struct cut *c, struct loc loc) {
    const struct extent *shape[MAX_RANK];
    int rank = v->type.rank, left = 0;
    if (c->slices) v = slice_value(x, v, c->start, c->extent, c->step, loc);
    for (int i = 0; i < rank; i++)
        if (!c->drop[i]) shape[left++] = c->extent[i];
    if (v && left < rank) v = reshape_value(x, v, left, shape, loc);
    for (int i = 0, axis = 0; v && i < rank; i++) {
        if (c->id[i]) v = gather_one(x, v, c->id[i], axis, loc);
        axis += !c->drop[i] && !c->id[i];
    }
    return v;
}

static struct item subscript_value(struct expander *x, struct value *v, const struct expr *e) {
    struct cut c = {0};
    int i = 0;
    if (e->count > v->type.rank) {
        diag_error(x->diag, e->loc, "%d subscripts for %s", e->count, type_text(x->arena, &v->type));
        return item_error();
    }
    bool good = true;
    for (const struct arg *s = e->args; s; s = s->next, i++) {
        const struct extent *axis = v->type.extents[i];
        good &= s->range ? cut_range(x, s, axis, i, &c) : cut_index(x, s, axis, i, &c);
    }
    for (; i < v->type.rank; i++)
        c.start[i] = constant_extent(x, 0), c.extent[i] = v->type.extents[i], c.step[i] = 1;
    return good ? item_value(apply_cut(x, v, &c, e->loc)) : item_error();
}

static bool is_scan_variable(const struct value *v, const struct block *block) {
    for (const struct block *b = block; b && b->owner; b = b->owner->parent)
        if (b->owner->op == OP_scan && b->args_count && b->args[0] == v) return true;
    return false;
}

/* t, or t + c as written, where t is the variable of a scan. */
static struct value *scan_variable(struct expander *x, struct value *v, int64_t *offset) {
    *offset = 0;
    if (is_scan_variable(v, x->block)) return v;
    const struct node *n = v->def;
    if (!n || n->op != OP_add) return NULL;
    for (int i = 0; i < 2; i++) {
        const struct node *c = n->operands[1 - i]->def;
        if (!is_scan_variable(n->operands[i], x->block) || !c || c->op != OP_constant) continue;
        if (c->constant->dtype != DTYPE_I32 || c->constant->rank) continue;
        int32_t value;
        memcpy(&value, c->constant->data, sizeof value);
        *offset = value;
        return n->operands[i];
    }
    return NULL;
}

static bool outside_array(struct expander *x, const struct global *g, int64_t value, int64_t count,
                          struct loc loc) {
    diag_error(x->diag, loc, "%lld is outside %s, which has %lld tensors", (long long)value, g->name,
               (long long)count);
    diag_note(x->diag, g->loc, "%s is declared here", g->name);
    return false;
}

/* Adds `running` to the place of an element; steps beyond the array are checked where the loop is known. */
static bool running_index(struct expander *x, struct element *el, struct value *v, int64_t more,
                          int64_t count, struct loc loc) {
    int64_t offset, most;
    const struct global *g = el->global;
    struct value *variable = scan_variable(x, v, &offset);
    offset += more;
    if (!variable || el->indices + 1 < g->counts_rank) {
        diag_error(x->diag, loc,
                   "%s is indexed by an integer known at compile time, or %sby a scan's variable", g->name,
                   variable ? "in its last index " : "");
        return false;
    }
    const struct block *b = x->block;
    while (b->args_count == 0 || b->args[0] != variable) b = b->owner->parent;
    most = extent_max(b->owner->count);
    if (offset < 0 || most > count - offset)
        return outside_array(x, g, offset < 0 ? offset : most - 1 + offset, count, loc);
    el->number += offset;
    el->running = variable;
    return true;
}

static bool is_simple(const struct expr *e) { return e->kind == EXPR_NAME || e->kind == EXPR_INT; }

/* wq[2 + t], wq[t - 1]: an index that needs no node. */
static bool offset_index(struct expander *x, struct element *el, const struct arg *index, int64_t count,
                         bool *good) {
    const struct expr *e = index->value;
    if (e->kind != EXPR_BINARY || !strchr("+-", *e->text) || !is_simple(e->left) || !is_simple(e->right))
        return false;
    struct item a = evaluate(x, e->left), b = evaluate(x, e->right);
    *good = false;
    if (a.kind == ITEM_ERROR || b.kind == ITEM_ERROR) return true; /* reported */
    bool swap = a.kind == ITEM_INT && *e->text == '+';
    struct item *variable = swap ? &b : &a, *number = swap ? &a : &b;
    if (variable->kind != ITEM_VALUE || number->kind != ITEM_INT ||
        !is_scan_variable(variable->value, x->block))
        return false;
    if (number->integer > INT32_MAX || number->integer < -INT32_MAX) return false;
    *good = running_index(x, el, variable->value, *e->text == '-' ? -number->integer : number->integer, count,
                          index->loc);
    return true;
}

bool element_index(struct expander *x, struct element *el, const struct arg *index) {
    const struct global *g = el->global;
    int64_t count = g->counts[el->indices], value;
    if (index->range) {
        diag_error(x->diag, index->loc, "%s is an array of tensors: it has no slices, only single indices",
                   g->name);
        return false;
    }
    bool good;
    el->number *= count;
    if (offset_index(x, el, index, count, &good)) return el->indices++, good;
    struct item item = evaluate(x, index->value);
    if (item.kind == ITEM_VALUE) {
        if (!running_index(x, el, item.value, 0, count, index->loc)) return false;
    } else {
        if (!item_to_int(x, &item, "an array's index", index->loc, &value)) return false;
        if (value < -count || value >= count) return outside_array(x, g, value, count, index->loc);
        el->number += value < 0 ? value + count : value;
    }
    el->indices++;
    return true;
}

struct item element_read(struct expander *x, const struct element *el, struct loc loc) {
    struct node *n = new_node(x, OP_param, 1, &el->running, loc);
    n->global = el->global;
    n->element = el->number;
    n = place_node(x, n);
    return item_value(n ? n->results[0] : NULL);
}

static struct item subscript_global(struct expander *x, struct element el, const struct expr *e) {
    if (e->count != 1) {
        diag_error(x->diag, e->loc, "%s is an array of tensors: each of its indices has brackets of its own",
                   el.global->name);
        return item_error();
    }
    if (!element_index(x, &el, e->args)) return item_error();
    if (el.indices < el.global->counts_rank) return (struct item){.kind = ITEM_GLOBAL, .element = el};
    return element_read(x, &el, e->loc);
}

struct item subscript(struct expander *x, const struct expr *e) {
    struct item base = evaluate(x, e->left);
    if (base.kind == ITEM_ERROR) return base;
    if (base.kind == ITEM_GLOBAL) return subscript_global(x, base.element, e);
    if (!x->block) {
        diag_error(x->diag, e->loc, "%s must be known at compile time: an element of a value is not",
                   x->constant_of);
        return item_error();
    }
    struct value *v = item_as_value(x, &base, DTYPE_ANY, e->loc);
    return v ? subscript_value(x, v, e) : item_error();
}
