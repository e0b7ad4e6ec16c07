/* Types of ops that move elements and compute nothing: reshape, transpose, slice, concat and their like. */
#include "ir/infer.h"

/* Copies the extents of an attribute to `t`; entries of -1 stay NULL. */
static bool written_shape(const struct infer *f, const struct attr *shape, struct type *t) {
    if (shape->count > MAX_RANK)
        return infer_error(f, 0, "shape has %d axes; at most %d are supported", shape->count, MAX_RANK);
    t->rank = shape->count;
    for (int i = 0; i < shape->count; i++) t->extents[i] = shape->extents[i];
    return true;
}

static void set_shape(const struct infer *f, struct attr *shape, const struct type *t) {
    const struct extent **extents = arena_new_array(f->g->arena, const struct extent *, t->rank);
    for (int i = 0; i < t->rank; i++) extents[i] = t->extents[i];
    shape->extents = extents;
    shape->count = t->rank;
}

/* What -1 stands for: all elements of x divided by the other extents. */
static bool solve_rest(const struct infer *f, struct type *t, int at) {
    const struct extent *all = type_elements(f->x, type_of(f, 0)), *others = extent_const(f->x, 1);
    for (int i = 0; i < t->rank; i++)
        if (i != at) others = extent_mul(f->x, others, t->extents[i]);
    t->extents[at] = extent_divide(f->x, all, others);
    return t->extents[at] || infer_error(f, ABOUT(0), "-1 has no solution: %s elements of x by %s",
                                         text_of(f, all), text_of(f, others));
}

bool infer_reshape(const struct infer *f) {
    struct attr *shape = node_attr(f->n, "shape");
    struct type t = *type_of(f, 0);
    int rest = -1;
    if (!written_shape(f, shape, &t)) return false;
    for (int i = 0; i < t.rank; i++) {
        if (t.extents[i]) continue;
        if (rest >= 0) return infer_error(f, 0, "shape has more than one -1");
        rest = i;
    }
    if (rest >= 0 && !solve_rest(f, &t, rest)) return false;
    const struct extent *before = type_elements(f->x, type_of(f, 0)), *after = type_elements(f->x, &t);
    if (before != after)
        return infer_error(f, ABOUT(0), "x %s has %s elements, %s has %s", shape_text(f, type_of(f, 0)),
                           text_of(f, before), shape_text(f, &t), text_of(f, after));
    set_shape(f, shape, &t);
    return give(f, 0, &t);
}

bool infer_reshard(const struct infer *f) { return give(f, 0, type_of(f, 0)); }

bool infer_transpose(const struct infer *f) {
    const struct type *x = type_of(f, 0);
    struct type t = *x;
    struct attr *perm = node_attr(f->n, "perm");
    bool seen[MAX_RANK] = {false};
    if (perm->count != x->rank)
        return infer_error(f, ABOUT(0), "perm has %d entries, x has %d ax%ss", perm->count, x->rank,
                           x->rank == 1 ? "i" : "e");
    int64_t *axes = arena_new_array(f->g->arena, int64_t, x->rank);
    for (int i = 0; i < x->rank; i++) {
        int64_t axis = perm->ints[i] < 0 ? perm->ints[i] + x->rank : perm->ints[i];
        if (axis < 0 || axis >= x->rank)
            return infer_error(f, ABOUT(0), "perm: axis %lld is outside -%d..%d", (long long)perm->ints[i],
                               x->rank, x->rank - 1);
        if (seen[axis]) return infer_error(f, 0, "perm names axis %lld twice", (long long)axis);
        seen[axis] = true;
        axes[i] = axis;
        t.extents[i] = x->extents[axis];
    }
    perm->ints = axes;
    return give(f, 0, &t);
}

bool infer_broadcast(const struct infer *f) {
    struct attr *shape = node_attr(f->n, "shape");
    struct type t = *type_of(f, 0);
    if (!written_shape(f, shape, &t)) return false;
    for (int i = 0; i < t.rank; i++)
        if (!t.extents[i]) return infer_error(f, 0, "-1 has no meaning in its shape");
    if (!broadcasts_to(f, type_of(f, 0), &t))
        return infer_error(f, ABOUT(0), "x %s does not broadcast to %s", shape_text(f, type_of(f, 0)),
                           shape_text(f, &t));
    return give(f, 0, &t);
}

/* First and last index of an axis lie in x, for all values of the dims. */
static bool check_range(const struct infer *f, int axis, const struct extent *start,
                        const struct extent *count, int64_t step) {
    const struct extent *have = type_of(f, 0)->extents[axis], *one = extent_const(f->x, 1);
    const struct extent *way =
        extent_mul(f->x, extent_sub(f->x, count, one), extent_const(f->x, step < 0 ? -step : step));
    const struct extent *last = step < 0 ? extent_sub(f->x, start, way) : extent_add(f->x, start, way);
    if (!extent_nonnegative(f->x, count))
        return infer_error(f, ABOUT(0), "axis %d: %s elements may be negative", axis, text_of(f, count));
    const struct extent *low = step < 0 ? last : start, *high = step < 0 ? start : last;
    if (!extent_nonnegative(f->x, low))
        return infer_error(f, ABOUT(0), "axis %d: index %s may be negative", axis, text_of(f, low));
    const struct extent *beyond = extent_add(f->x, high, one);
    if (extent_at_most(f->x, beyond, have)) return true;
    return infer_error(f, ABOUT(0), "axis %d: end %s may lie beyond the extent %s", axis, text_of(f, beyond),
                       text_of(f, have));
}

bool infer_slice(const struct infer *f) {
    struct type t = *type_of(f, 0);
    const struct attr *start = node_attr(f->n, "start"), *extent = node_attr(f->n, "extent"),
                      *step = node_attr(f->n, "step");
    if (start->count != t.rank || extent->count != t.rank || step->count != t.rank)
        return infer_error(f, ABOUT(0), "start, extent and step need %d entr%s each, have %d, %d and %d",
                           t.rank, t.rank == 1 ? "y" : "ies", start->count, extent->count, step->count);
    for (int i = 0; i < t.rank; i++) {
        if (!start->extents[i] || !extent->extents[i])
            return infer_error(f, 0, "axis %d: its bounds are not extents", i);
        if (!step->ints[i] || step->ints[i] == INT64_MIN)
            return infer_error(f, 0, "axis %d: step must not be %lld", i, (long long)step->ints[i]);
        if (!check_range(f, i, start->extents[i], extent->extents[i], step->ints[i])) return false;
        t.extents[i] = extent->extents[i];
    }
    return give(f, 0, &t);
}

bool infer_concat(const struct infer *f) {
    struct type t = *type_of(f, 0);
    if (!check_axis(f, "axis", t.rank)) return false;
    int axis = (int)node_attr(f->n, "axis")->i;
    for (int i = 1; i < f->n->operands_count; i++) {
        if (!check_same_dtype(f, 0, i) || !check_rank(f, i, t.rank, t.rank)) return false;
        for (int j = 0; j < t.rank; j++) {
            const char *what = arena_printf(f->g->arena, "extents of axis %d", j);
            if (j != axis && !check_same_extent(f, what, 0, j, i, j)) return false;
        }
        t.extents[axis] = extent_add(f->x, t.extents[axis], type_of(f, i)->extents[axis]);
    }
    return give(f, 0, &t);
}

/* The value that fills is one the element type has. */
static bool check_fill(const struct infer *f, double value) {
    enum dtype t = type_of(f, 0)->dtype;
    if (dtype_class(t) == CLASS_FLOAT) return true;
    bool whole = value >= -0x1p53 && value <= 0x1p53 && (double)(int64_t)value == value;
    if (whole && dtype_wrap_integer(t, (int64_t)value) == (int64_t)value) return true;
    return infer_error(f, ABOUT(0), "value=%g is not a number that %s has", value, dtype_name(t));
}

bool infer_pad(const struct infer *f) {
    struct type t = *type_of(f, 0);
    const struct attr *pads = node_attr(f->n, "pads");
    if (!check_list(f, "pads", t.rank, 0, INT64_MAX) || !check_fill(f, node_attr(f->n, "value")->f))
        return false;
    for (int i = 0; i < 2 * t.rank; i++)
        t.extents[i / 2] = extent_add(f->x, t.extents[i / 2], extent_const(f->x, pads->ints[i]));
    return give(f, 0, &t);
}

bool infer_flip(const struct infer *f) {
    return check_axes(f, "axis", type_of(f, 0)->rank) && give(f, 0, type_of(f, 0));
}

/* Sugar is expanded before it can be asked for a type. */
bool infer_sugar(const struct infer *f) { ice("%s reached inference unexpanded", f->info->name); }
