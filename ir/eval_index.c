/* Interprets ops whose positions are data: gather, scatter, write, sorting. */
#include "ir/eval.h"
#include <math.h>
#include <stdlib.h>

static bool check_id(struct eval *e, const struct node *n, int64_t id, int64_t count) {
    if (id >= 0 && id < count) return true;
    return eval_fail(e, n, "id %lld is outside 0..%lld", (long long)id, (long long)count);
}

/* Copies a run of a table; floats may have to be decoded first. */
static void take_run(struct eval *e, const struct node *n, const struct array *table, struct array *y,
                     int64_t to, int64_t from, int64_t count, double *buffer) {
    if (!y->floats) {
        array_copy(y, to, table, from, count);
        return;
    }
    const struct array run = {.floats = (double *)eval_floats(e, n, 0, from, count, buffer)};
    array_copy(y, to, &run, 0, count);
}

/* y[outer, ids, inner] = table[outer, id, inner] */
bool eval_gather(struct eval *e, const struct node *n) {
    const struct array *table = eval_shape_of(e, n, 0), *ids = eval_operand(e, n, 1);
    struct array *y = eval_result(e, n, 0);
    if (!y) return false;
    if (y->integers) table = eval_operand(e, n, 0);
    int axis = attr_axis(n, table->rank);
    int64_t outer = array_outer(table, axis), inner = array_inner(table, axis), count = table->extents[axis];
    double *buffer = arena_new_array(e->arena, double, (size_t)inner);
    for (int64_t i = 0; i < ids->elements; i++) {
        int64_t id = ids->integers[i];
        if (!check_id(e, n, id, count)) return false;
        for (int64_t o = 0; o < outer; o++)
            take_run(e, n, table, y, (o * ids->elements + i) * inner, (o * count + id) * inner, inner,
                     buffer);
    }
    return true;
}

bool eval_take_along(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0), *ids = eval_operand(e, n, 1);
    struct array *y = eval_result(e, n, 0);
    int64_t id_strides[MAX_RANK], x_strides[MAX_RANK], i = 0;
    if (!y) return false;
    int axis = attr_axis(n, x->rank);
    array_broadcast_strides(ids, y->rank, y->extents, id_strides);
    array_broadcast_strides(x, y->rank, y->extents, x_strides);
    int64_t step = array_inner(x, axis);
    x_strides[axis] = 0;
    struct walk w = walk_over(y->rank, y->extents);
    walk_add(&w, id_strides);
    walk_add(&w, x_strides);
    for (bool more = walk_start(&w); more; more = walk_next(&w), i++) {
        int64_t id = ids->integers[w.at[0]];
        if (!check_id(e, n, id, x->extents[axis])) return false;
        array_copy(y, i, x, w.at[1] + id * step, 1);
    }
    return true;
}

static void add_run(struct array *y, int64_t to, const struct array *x, int64_t from, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (y->floats)
            y->floats[to + i] += x->floats[from + i];
        else
            y->integers[to + i] = (int64_t)((uint64_t)y->integers[to + i] + (uint64_t)x->integers[from + i]);
}

/* Updates lie as gather's result would: [outer, ids, inner]. Of equal ids the last one stays, or all add up.
 */
bool eval_scatter(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0), *ids = eval_operand(e, n, 1);
    const struct array *updates = eval_operand(e, n, 2);
    struct array *y = eval_result(e, n, 0);
    if (!y) return false;
    int axis = attr_axis(n, x->rank);
    bool add = attr_is_word(n, "reduce", "add");
    int64_t outer = array_outer(x, axis), inner = array_inner(x, axis), count = x->extents[axis];
    array_copy(y, 0, x, 0, x->elements);
    for (int64_t i = 0; i < ids->elements; i++) {
        int64_t id = ids->integers[i];
        if (!check_id(e, n, id, count)) return false;
        for (int64_t o = 0; o < outer; o++)
            (add ? add_run : array_copy)(y, (o * count + id) * inner, updates,
                                         (o * ids->elements + i) * inner, inner);
    }
    return true;
}

/* Whether no two batch rows go to the same row of the buffer, and all to one there is. */
static bool check_rows(struct eval *e, const struct node *n, const struct array *rows, int64_t count) {
    for (int64_t i = 0; rows && i < rows->elements; i++) {
        if (!check_id(e, n, rows->integers[i], count)) return false;
        for (int64_t j = 0; j < i; j++)
            if (rows->integers[i] == rows->integers[j])
                return eval_fail(e, n, "two batch rows go to row %lld", (long long)rows->integers[i]);
    }
    return true;
}

static bool check_position(struct eval *e, const struct node *n, int64_t at, int64_t count, int64_t room) {
    if (at >= 0 && at <= room && count <= room - at) return true;
    return eval_fail(e, n, "%lld positions from %lld on are not inside 0..%lld", (long long)count,
                     (long long)at, (long long)room);
}

/* A buffer with x, cast to its type, from position `at` of the axis on; outer: all axes before it. */
bool eval_write(struct eval *e, const struct node *n) {
    const struct array *buffer = eval_operand(e, n, 0), *x = eval_operand(e, n, 1);
    const struct array *at = eval_operand(e, n, 2), *rows = eval_operand(e, n, 3);
    struct array *y = eval_result(e, n, 0);
    if (!y || !check_rows(e, n, rows, y->extents[0])) return false;
    int axis = attr_axis(n, buffer->rank);
    int64_t count = x->extents[axis], room = y->extents[axis], inner = array_inner(y, axis);
    int64_t run = count * inner, outer = array_outer(x, axis), batch = axis ? x->extents[0] : 1;
    array_copy(y, 0, buffer, 0, buffer->elements);
    for (int64_t i = 0; i < at->elements; i++)
        if (!check_position(e, n, at->integers[i], count, room)) return false;
    for (int64_t o = 0; o < outer; o++) {
        int64_t each = outer / batch, b = o / each, position = at->integers[at->rank ? b : 0];
        int64_t to = (rows ? rows->integers[b] : b) * each + o % each;
        for (int64_t i = 0; i < run; i++)
            array_cast_element(y, (to * room + position) * inner + i, x, o * run + i);
    }
    return true;
}

struct keyed { /* an element to be sorted */
    double key;
    int64_t integer, index;
};

/* Ascending; NaN is larger than all, as numpy sorts; ties to the lower index. */
static int compare_keys(const struct keyed *a, const struct keyed *b) {
    if (isnan(a->key) || isnan(b->key)) return !!isnan(a->key) - !!isnan(b->key);
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->integer > b->integer) - (a->integer < b->integer);
}
static int ascending(const void *a, const void *b) {
    const struct keyed *x = a, *y = b;
    int order = compare_keys(x, y);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}
static int descending(const void *a, const void *b) {
    const struct keyed *x = a, *y = b;
    int order = compare_keys(y, x);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* Sorts each row of `x` along an axis and gives the first `count` of each: values, indices, or both. */
static void sort_rows(struct eval *e, const struct array *x, int axis, int64_t count,
                      int (*order)(const void *, const void *), struct array *values, struct array *indices) {
    int64_t inner = array_inner(x, axis), outer = array_outer(x, axis), length = x->extents[axis];
    struct keyed *row = arena_new_array(e->arena, struct keyed, (size_t)length);
    for (int64_t r = 0; r < outer * inner; r++) {
        int64_t from = r / inner * length * inner + r % inner, to = r / inner * count * inner + r % inner;
        for (int64_t j = 0; j < length; j++) {
            int64_t at = from + j * inner;
            row[j] = (struct keyed){x->floats ? x->floats[at] : 0, x->integers ? x->integers[at] : 0, j};
        }
        qsort(row, (size_t)length, sizeof *row, order);
        for (int64_t j = 0; j < count; j++) {
            if (values) array_copy(values, to + j * inner, x, from + row[j].index * inner, 1);
            if (indices) indices->integers[to + j * inner] = row[j].index;
        }
    }
}

bool eval_topk(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    struct array *values = eval_result(e, n, 0), *indices = eval_result(e, n, 1);
    if (!values || !indices) return false;
    int axis = attr_axis(n, x->rank);
    if (values->extents[axis] > x->extents[axis])
        return eval_fail(e, n, "k is %lld, but there are %lld elements", (long long)values->extents[axis],
                         (long long)x->extents[axis]);
    sort_rows(e, x, axis, values->extents[axis], descending, values, indices);
    return true;
}

bool eval_sort(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    struct array *y = eval_result(e, n, 0);
    if (!y) return false;
    int axis = attr_axis(n, x->rank);
    bool indices = n->op == OP_argsort;
    sort_rows(e, x, axis, x->extents[axis], ascending, indices ? NULL : y, indices ? y : NULL);
    return true;
}
