/* What the rules of inference share: reporting with notes, checks of operands, axes and lists, broadcasting,
 * and the giving of types to results. */
#include "ir/infer.h"
#include <stdlib.h>
#include <string.h>

const char *operand_name(const struct infer *f, int operand) {
    int last = f->info->operands_count - 1;
    const struct operand_spec *spec = &f->info->operands[operand < last ? operand : last];
    if (!spec->variadic) return spec->name;
    return arena_printf(f->g->arena, "%s[%d]", spec->name, operand - last);
}

const char *operand_text(const struct infer *f, int operand) {
    return type_text(f->g->arena, type_of(f, operand));
}

const char *text_of(const struct infer *f, const struct extent *e) { return extent_text(f->g->arena, e); }

/* Where a reader finds the operand: a param where it is declared, another value where it is made. */
static void note(const struct infer *f, int operand) {
    const struct value *v = f->n->operands[operand];
    struct loc loc = v->def && v->def->global ? v->def->global->loc : v->loc;
    if (!loc.source || (loc.line == f->n->loc.line && loc.source == f->n->loc.source)) return;
    const char *name = v->def && v->def->global ? v->def->global->name : v->name;
    const char *formal = operand_name(f, operand), *type = operand_text(f, operand);
    if (name && strcmp(name, formal))
        diag_note(f->g->diag, loc, "%s is %s : %s, declared here", formal, name, type);
    else
        diag_note(f->g->diag, loc, "%s : %s declared here", formal, type);
}

bool infer_error(const struct infer *f, unsigned about, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(f->g->arena, format, args);
    va_end(args);
    const char *name = f->info->infix ? f->info->infix : f->info->name;
    diag_error(f->g->diag, f->n->loc, f->info->infix ? "operator %s: %s" : "%s: %s", name, text);
    for (int i = 0; i < f->n->operands_count; i++)
        if (i < 32 && about & ABOUT(i) && f->n->operands[i]) note(f, i);
    return false;
}

static bool dtype_is(enum dtype t, enum wanted wanted) {
    switch (wanted) {
    case FLOATS:
        return dtype_class(t) == CLASS_FLOAT;
    case NUMBERS:
        return dtype_class(t) != CLASS_LOGICAL;
    case IDS:
        return t == DTYPE_I32 || t == DTYPE_I64;
    case LOGICALS:
        return t == DTYPE_BOOL;
    }
    return false;
}

bool check_dtype(const struct infer *f, int operand, enum wanted wanted) {
    static const char *const names[] = {
        [FLOATS] = "of a float type", [NUMBERS] = "a number", [IDS] = "i32 or i64", [LOGICALS] = "bool"};
    enum dtype t = type_of(f, operand)->dtype;
    if (dtype_is(t, wanted)) return true;
    return infer_error(f, ABOUT(operand), "%s must be %s, is %s", operand_name(f, operand), names[wanted],
                       dtype_name(t));
}

bool check_same_dtype(const struct infer *f, int a, int b) {
    enum dtype x = type_of(f, a)->dtype, y = type_of(f, b)->dtype;
    if (x == y) return true;
    return infer_error(f, ABOUT(a) | ABOUT(b), "element types differ: %s is %s, %s is %s; write a cast",
                       operand_name(f, a), dtype_name(x), operand_name(f, b), dtype_name(y));
}

bool check_rank(const struct infer *f, int operand, int min, int max) {
    int rank = type_of(f, operand)->rank;
    const char *name = operand_name(f, operand), *type = operand_text(f, operand);
    if (rank >= min && rank <= max) return true;
    if (max == 0) return infer_error(f, ABOUT(operand), "%s must be a scalar, is %s", name, type);
    if (min == max)
        return infer_error(f, ABOUT(operand), "%s must have %d ax%ss, is %s", name, min, min == 1 ? "i" : "e",
                           type);
    if (max == MAX_RANK)
        return infer_error(f, ABOUT(operand), "%s must have at least %d ax%ss, is %s", name, min,
                           min == 1 ? "i" : "e", type);
    return infer_error(f, ABOUT(operand), "%s must have %d to %d axes, is %s", name, min, max, type);
}

bool check_same_extent(const struct infer *f, const char *what, int a, int a_axis, int b, int b_axis) {
    const struct extent *x = type_of(f, a)->extents[a_axis], *y = type_of(f, b)->extents[b_axis];
    if (x == y) return true;
    return infer_error(f, ABOUT(a) | ABOUT(b), "%s differ: %s has %s, %s has %s", what, operand_name(f, a),
                       text_of(f, x), operand_name(f, b), text_of(f, y));
}

/* `axis` counted from the start, or -1 after reporting. */
static int64_t from_start(const struct infer *f, const char *attr, int64_t axis, int rank) {
    if (axis >= -(int64_t)rank && axis < rank) return axis < 0 ? axis + rank : axis;
    if (rank == 0)
        infer_error(f, ABOUT(0), "%s=%lld: a scalar has no axes", attr, (long long)axis);
    else
        infer_error(f, ABOUT(0), "%s=%lld is outside -%d..%d", attr, (long long)axis, rank, rank - 1);
    return -1;
}

bool check_axis(const struct infer *f, const char *attr, int rank) {
    struct attr *a = node_attr(f->n, attr);
    int64_t axis = from_start(f, attr, a->i, rank);
    if (axis < 0) return false;
    a->i = axis;
    return true;
}

static bool set_axes(const struct infer *f, struct attr *a, const bool *chosen) {
    int64_t *axes = arena_new_array(f->g->arena, int64_t, MAX_RANK);
    a->count = 0;
    for (int i = 0; i < MAX_RANK; i++)
        if (chosen[i]) axes[a->count++] = i;
    a->ints = axes;
    return true;
}

bool check_axes(const struct infer *f, const char *attr, int rank) {
    struct attr *a = node_attr(f->n, attr);
    bool chosen[MAX_RANK] = {false};
    if (a->count < 0) memset(chosen, true, (size_t)rank * sizeof *chosen);
    for (int i = 0; i < a->count; i++) {
        int64_t axis = from_start(f, attr, a->ints[i], rank);
        if (axis < 0) return false;
        if (chosen[axis]) return infer_error(f, 0, "%s names axis %lld twice", attr, (long long)axis);
        chosen[axis] = true;
    }
    return set_axes(f, a, chosen);
}

bool check_list(const struct infer *f, const char *attr, int count, int64_t min, int64_t max) {
    struct attr *a = node_attr(f->n, attr);
    int each = f->info->attrs[op_attr(f->n->op, attr)].kind == ATTR_PAIRS ? 2 : 1;
    if (a->count != count && a->count != 1)
        return infer_error(f, 0, "%s has %d entries for %d ax%ss", attr, a->count, count,
                           count == 1 ? "i" : "e");
    int64_t *ints = arena_new_array(f->g->arena, int64_t, count * each);
    for (int i = 0; i < count * each; i++) {
        ints[i] = a->ints[a->count == 1 ? i % each : i];
        if (ints[i] < min || ints[i] > max)
            return infer_error(f, 0, "%s=%lld is outside %lld..%lld", attr, (long long)ints[i],
                               (long long)min, (long long)max);
    }
    a->ints = ints;
    a->count = count;
    return true;
}

bool append_extents(const struct infer *f, struct type *t, const struct extent *const *extents, int count) {
    if (count > MAX_RANK - t->rank)
        return infer_error(f, 0, "the result would have %d axes; at most %d are supported", t->rank + count,
                           MAX_RANK);
    for (int i = 0; i < count; i++) t->extents[t->rank++] = extents[i];
    return true;
}

/* "[S, 576]" */
const char *shape_text(const struct infer *f, const struct type *t) {
    const char *text = strchr(type_text(f->g->arena, t), '[');
    return text ? text : "a scalar";
}

static bool is_one(const struct infer *f, const struct extent *e) { return e == extent_const(f->x, 1); }

/* The extent that `a` and `b` broadcast to, or NULL. Either may be missing. */
static const struct extent *joined_extent(const struct infer *f, const struct extent *a,
                                          const struct extent *b) {
    if (!a || !b) return a ? a : b;
    if (a == b || is_one(f, b)) return a;
    return is_one(f, a) ? b : NULL;
}

bool join_types(const struct infer *f, struct type *t, const struct type *other) {
    struct type joined = {t->dtype, t->rank > other->rank ? t->rank : other->rank, {NULL}};
    for (int i = 1; i <= joined.rank; i++) {
        const struct extent *a = i <= t->rank ? t->extents[t->rank - i] : NULL;
        const struct extent *b = i <= other->rank ? other->extents[other->rank - i] : NULL;
        const struct extent *e = joined_extent(f, a, b);
        if (!e)
            return infer_error(f, ~0u, "shapes do not broadcast: %s against %s, counted from the right",
                               shape_text(f, t), shape_text(f, other));
        joined.extents[joined.rank - i] = e;
    }
    *t = joined;
    return true;
}

bool join_shape(const struct infer *f, struct type *t, int operand) {
    return join_types(f, t, type_of(f, operand));
}

bool broadcasts_to(const struct infer *f, const struct type *from, const struct type *to) {
    if (from->rank > to->rank) return false;
    for (int i = 1; i <= from->rank; i++) {
        const struct extent *e = from->extents[from->rank - i];
        if (e != to->extents[to->rank - i] && !is_one(f, e)) return false;
    }
    return true;
}

static bool check_size(const struct infer *f, const struct type *t) {
    for (int i = 0; i < t->rank; i++) {
        if (!t->extents[i]) return infer_error(f, 0, "extent %d of the result is too large to compute", i);
        if (!extent_nonnegative(f->x, t->extents[i]))
            return infer_error(f, ABOUT(0), "extent %d of the result may be negative: %s", i,
                               text_of(f, t->extents[i]));
    }
    const struct extent *bytes = type_bytes(f->x, t);
    if (bytes && extent_max(bytes) < INT64_MAX) return true;
    return infer_error(f, ABOUT(0), "the result may be too large: %s", type_text(f->g->arena, t));
}

bool give(const struct infer *f, int index, const struct type *t) {
    if (!check_size(f, t)) return false;
    if (index < f->n->results_count)
        f->n->results[index]->type = *t;
    else
        node_add_result(f->g, f->n, t);
    return true;
}
