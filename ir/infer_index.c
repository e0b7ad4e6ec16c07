/* Types of ops that address by ids or make values from indices: gather, scatter, write, one_hot, iota, and
 * the random initialisers. Ids are checked when the model runs, by guards that a pass makes explicit. */
#include "ir/infer.h"

/* [before axis] + ids' shape + [after axis] of operand 0. */
static bool shape_at_ids(const struct infer *f, int64_t axis, struct type *t) {
    const struct type *x = type_of(f, 0), *ids = type_of(f, 1);
    t->rank = 0;
    return append_extents(f, t, x->extents, (int)axis) && append_extents(f, t, ids->extents, ids->rank) &&
           append_extents(f, t, &x->extents[axis + 1], x->rank - (int)axis - 1);
}

bool infer_gather(const struct infer *f) {
    struct type t = {.dtype = type_of(f, 0)->dtype};
    return check_dtype(f, 1, IDS) && check_axis(f, "axis", type_of(f, 0)->rank) &&
           shape_at_ids(f, node_attr(f->n, "axis")->i, &t) && give(f, 0, &t);
}

bool infer_take_along(const struct infer *f) {
    struct type t = *type_of(f, 0);
    if (!check_dtype(f, 1, IDS) || !check_axis(f, "axis", t.rank) || !check_rank(f, 1, t.rank, t.rank))
        return false;
    int axis = (int)node_attr(f->n, "axis")->i;
    for (int i = 0; i < t.rank; i++) {
        const char *what = arena_printf(f->g->arena, "extents of axis %d", i);
        if (i != axis && !check_same_extent(f, what, 0, i, 1, i)) return false;
    }
    t.extents[axis] = type_of(f, 1)->extents[axis];
    return give(f, 0, &t);
}

bool infer_scatter(const struct infer *f) {
    const struct type *x = type_of(f, 0);
    struct type wanted = {.dtype = x->dtype};
    if (!check_dtype(f, 1, IDS) || !check_axis(f, "axis", x->rank) || !check_same_dtype(f, 0, 2))
        return false;
    if (node_attr(f->n, "reduce")->s[0] == 'a' && !check_dtype(f, 0, NUMBERS)) return false;
    if (!shape_at_ids(f, node_attr(f->n, "axis")->i, &wanted)) return false;
    if (!type_equal(&wanted, type_of(f, 2)))
        return infer_error(f, ABOUT(0) | ABOUT(1) | ABOUT(2), "updates must be %s, is %s",
                           type_text(f->g->arena, &wanted), operand_text(f, 2));
    return give(f, 0, x);
}

bool infer_one_hot(const struct infer *f) {
    struct type t = *type_of(f, 0);
    t.dtype = DTYPE_F32;
    return check_dtype(f, 0, IDS) && append_extents(f, &t, &node_attr(f->n, "n")->e, 1) && give(f, 0, &t);
}

bool infer_iota(const struct infer *f) {
    const struct extent *n = node_attr(f->n, "n")->e;
    const struct type t = {DTYPE_I32, 1, {n}};
    if (extent_max(n) > INT32_MAX) return infer_error(f, 0, "%s may not fit an i32", text_of(f, n));
    return give(f, 0, &t);
}

/* An operand with a number for each batch row of x, or, of rank `least`, one for all of them. */
static bool check_batch_rows(const struct infer *f, int operand, int least, int axis) {
    if (!check_dtype(f, operand, IDS) || !check_rank(f, operand, least, axis > 0)) return false;
    return !type_of(f, operand)->rank || check_same_extent(f, "batches", 1, 0, operand, 0);
}

static bool check_fits(const struct infer *f, int axis) {
    const struct extent *x = type_of(f, 1)->extents[axis], *room = type_of(f, 0)->extents[axis];
    return extent_min(x) <= extent_max(room) ||
           infer_error(f, ABOUT(0) | ABOUT(1), "x never fits: axis %d has %s, buffer has %s", axis,
                       text_of(f, x), text_of(f, room));
}

/* x goes to buffer[..., at : at + extent of x, ...], or batch row b of it to buffer[rows[b], ..., at[b] :
 * ...]; that it fits is checked when the model runs, except where it never can. */
bool infer_write(const struct infer *f) {
    const struct type *buffer = type_of(f, 0), *x = type_of(f, 1);
    if (!check_axis(f, "axis", buffer->rank)) return false;
    int axis = (int)node_attr(f->n, "axis")->i;
    if (x->rank != buffer->rank)
        return infer_error(f, ABOUT(0) | ABOUT(1), "x must have as many axes as buffer, %d, is %s",
                           buffer->rank, operand_text(f, 1));
    if (has(f, 3) && !axis) return infer_error(f, ABOUT(3), "rows need an axis behind the batch's, not 0");
    for (int i = 0; i < buffer->rank; i++) {
        const char *what = arena_printf(f->g->arena, "extents of axis %d", i);
        bool differ = i == axis || (i == 0 && has(f, 3));
        if (differ ? !check_fits(f, i) : !check_same_extent(f, what, 0, i, 1, i)) return false;
    }
    return check_batch_rows(f, 2, 0, axis) && (!has(f, 3) || check_batch_rows(f, 3, 1, axis)) &&
           give(f, 0, buffer);
}

bool infer_random(const struct infer *f) {
    const struct attr *shape = node_attr(f->n, "shape");
    struct type t = {.dtype = DTYPE_F32};
    for (int i = 0; i < shape->count; i++)
        if (!shape->extents[i]) return infer_error(f, 0, "-1 has no meaning in its shape");
    if (f->n->op == OP_normal && node_attr(f->n, "std")->f < 0) return infer_error(f, 0, "std is negative");
    if (f->n->op == OP_uniform && node_attr(f->n, "lo")->f > node_attr(f->n, "hi")->f)
        return infer_error(f, 0, "lo is greater than hi");
    return append_extents(f, &t, shape->extents, shape->count) && give(f, 0, &t);
}

bool infer_guard(const struct infer *f) { return check_dtype(f, 0, IDS); }

bool infer_extent(const struct infer *f) {
    const struct extent *n = node_attr(f->n, "n")->e;
    const struct type t = {DTYPE_I32, 0, {NULL}};
    if (extent_max(n) > INT32_MAX || extent_min(n) < INT32_MIN)
        return infer_error(f, 0, "%s may not fit an i32", text_of(f, n));
    return give(f, 0, &t);
}
