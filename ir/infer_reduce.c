/* Types of reductions, and of what walks an axis and keeps it: running sums, normalisation, sorting. */
#include "ir/infer.h"

/* What each reduction takes; the table is also the list of those that an empty axis leaves undefined. */
static const struct {
    enum op op;
    enum wanted wanted;
    bool needs_element;
} reductions[] = {{OP_sum, NUMBERS, false},   {OP_mean, FLOATS, false},      {OP_prod, NUMBERS, false},
                  {OP_max, NUMBERS, true},    {OP_min, NUMBERS, true},       {OP_any, LOGICALS, false},
                  {OP_all, LOGICALS, false},  {OP_logsumexp, FLOATS, false}, {OP_var, FLOATS, false},
                  {OP_argmax, NUMBERS, true}, {OP_argmin, NUMBERS, true}};

static bool check_not_empty(const struct infer *f, int64_t axis) {
    if (extent_max(type_of(f, 0)->extents[axis]) > 0) return true;
    return infer_error(f, ABOUT(0), "axis %lld of x is empty", (long long)axis);
}

static bool check_reduction(const struct infer *f, const int64_t *axes, int count) {
    for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++) {
        if (reductions[i].op != f->n->op) continue;
        if (!check_dtype(f, 0, reductions[i].wanted)) return false;
        for (int j = 0; reductions[i].needs_element && j < count; j++)
            if (!check_not_empty(f, axes[j])) return false;
        return true;
    }
    ice("reduction %s is not in infer's table", f->info->name);
}

/* `t` without its axes; with `keep`, they stay with extent 1. */
static void drop_axes(const struct infer *f, struct type *t, const int64_t *axes, int count, bool keep) {
    int kept = 0, next = 0;
    for (int i = 0; i < t->rank; i++) {
        bool dropped = next < count && axes[next] == i;
        if (dropped) next++;
        if (!dropped || keep) t->extents[kept++] = dropped ? extent_const(f->x, 1) : t->extents[i];
    }
    t->rank = kept;
}

bool infer_reduce(const struct infer *f) {
    struct type t = *type_of(f, 0);
    if (!check_axes(f, "axis", t.rank)) return false;
    const struct attr *axes = node_attr(f->n, "axis");
    if (!check_reduction(f, axes->ints, axes->count)) return false;
    drop_axes(f, &t, axes->ints, axes->count, node_attr(f->n, "keep")->i);
    return give(f, 0, &t);
}

bool infer_argreduce(const struct infer *f) {
    struct type t = *type_of(f, 0);
    if (!check_axis(f, "axis", t.rank)) return false;
    const struct attr *axis = node_attr(f->n, "axis");
    if (!check_reduction(f, &axis->i, 1)) return false;
    drop_axes(f, &t, &axis->i, 1, false);
    t.dtype = DTYPE_I32;
    return give(f, 0, &t);
}

bool infer_cumsum(const struct infer *f) {
    return check_dtype(f, 0, NUMBERS) && check_axis(f, "axis", type_of(f, 0)->rank) &&
           give(f, 0, type_of(f, 0));
}

bool infer_sort(const struct infer *f) {
    struct type t = *type_of(f, 0);
    if (f->n->op == OP_argsort) t.dtype = DTYPE_I32;
    return check_dtype(f, 0, NUMBERS) && check_axis(f, "axis", t.rank) && give(f, 0, &t);
}

bool infer_topk(const struct infer *f) {
    struct type t = *type_of(f, 0), ids;
    if (!check_dtype(f, 0, NUMBERS) || !check_axis(f, "axis", t.rank)) return false;
    int64_t axis = node_attr(f->n, "axis")->i;
    const struct extent *k = node_attr(f->n, "k")->e;
    if (!extent_at_most(f->x, k, t.extents[axis]))
        return infer_error(f, ABOUT(0), "k=%s may exceed axis %lld of x, which has %s", text_of(f, k),
                           (long long)axis, text_of(f, t.extents[axis]));
    t.extents[axis] = k;
    ids = t;
    ids.dtype = DTYPE_I32;
    return give(f, 0, &t) && give(f, 1, &ids);
}

/* softmax and log_softmax have an axis; the norms an eps, and the last axis. */
bool infer_normalize(const struct infer *f) {
    const struct type *t = type_of(f, 0);
    if (!check_dtype(f, 0, FLOATS)) return false;
    if (f->n->op == OP_softmax || f->n->op == OP_log_softmax)
        return check_axis(f, "axis", t->rank) && give(f, 0, t);
    if (!check_rank(f, 0, 1, MAX_RANK)) return false;
    if (node_attr(f->n, "eps")->f < 0) return infer_error(f, 0, "eps is negative");
    return give(f, 0, t);
}

bool infer_cross_entropy(const struct infer *f) {
    struct type t = {type_of(f, 0)->dtype, 0, {NULL}};
    if (!check_dtype(f, 0, FLOATS) || !check_dtype(f, 1, IDS) || !check_rank(f, 0, 1, MAX_RANK)) return false;
    int rows = type_of(f, 0)->rank - 1;
    if (!check_rank(f, 1, rows, rows)) return false;
    for (int i = 0; i < rows; i++)
        if (!check_same_extent(f, "rows", 0, i, 1, i)) return false;
    return give(f, 0, &t);
}
