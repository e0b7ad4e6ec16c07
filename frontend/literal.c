/* Items as values of the graph: literals become constants of the type they meet, extents become i32. */
#include "frontend/expand.h"
#include "ir/tensor.h"
#include <math.h>

struct node *new_node(struct expander *x, enum op op, int operands, struct value *const *given,
                      struct loc loc) {
    return node_new(x->graph, op, operands, given, x->at.source ? x->at : loc);
}

struct node *place_node(struct expander *x, struct node *n) {
    if (!step(x, n->loc) || !node_infer(x->graph, n)) return NULL;
    n->on = x->on;
    block_append(x->block, n);
    return n;
}

enum dtype literal_dtype(const struct item *i) {
    if (i->kind == ITEM_BOOL) return DTYPE_BOOL;
    if (i->kind == ITEM_REAL) return DTYPE_F32;
    if (i->kind != ITEM_LIST) return DTYPE_I32;
    enum dtype widest = i->count ? DTYPE_I32 : DTYPE_F32;
    for (int k = 0; k < i->count; k++) {
        enum dtype d = literal_dtype(&i->items[k]);
        if (d == DTYPE_BOOL || d == DTYPE_F32) widest = d;
    }
    return widest;
}

static bool unfit(struct expander *x, const struct item *i, enum dtype dtype, struct loc loc) {
    diag_error(x->diag, loc, "%s cannot be %s", item_text(x, i), dtype_name(dtype));
    return false;
}

/* One number, in the bytes of its element type. */
static bool store(struct expander *x, const struct item *i, enum dtype dtype, void *data, int64_t at,
                  struct loc loc) {
    enum dtype_class class = dtype_class(dtype);
    if (!item_number(i) || (i->kind == ITEM_BOOL) != (class == CLASS_LOGICAL)) return unfit(x, i, dtype, loc);
    if (class == CLASS_FLOAT) {
        double value = i->kind == ITEM_REAL ? i->real : (double)i->integer,
               rounded = dtype_round_float(dtype, value);
        if (isinf(rounded) && !isinf(value)) return unfit(x, i, dtype, loc);
        element_set_float(dtype, data, at, rounded);
        return true;
    }
    if (i->kind == ITEM_REAL || dtype_wrap_integer(dtype, i->integer) != i->integer)
        return unfit(x, i, dtype, loc);
    element_set_integer(dtype, data, at, i->integer);
    return true;
}

/* The shape of a nested list, by its first elements; every other must agree. */
static bool list_shape(struct expander *x, const struct item *i, struct tensor *t, struct loc loc) {
    for (; i->kind == ITEM_LIST; i = &i->items[0]) {
        if (t->rank == MAX_RANK) {
            diag_error(x->diag, loc, "a list nests at most %d deep", MAX_RANK);
            return false;
        }
        t->extents[t->rank++] = i->count;
        if (!i->count) return true;
    }
    return true;
}

static bool fill(struct expander *x, const struct item *i, const struct tensor *t, int axis, int64_t *at,
                 struct loc loc) {
    if (axis == t->rank) return store(x, i, t->dtype, (void *)t->data, (*at)++, loc);
    if (i->kind != ITEM_LIST || i->count != t->extents[axis]) {
        diag_error(x->diag, loc, "the rows of a list differ in length or depth");
        return false;
    }
    for (int k = 0; k < i->count; k++)
        if (!fill(x, &i->items[k], t, axis + 1, at, loc)) return false;
    return true;
}

/* Leaves of a list: rows that agree with `shape` or not, this many are stored at most. */
static size_t leaves(const struct item *i) {
    size_t count = i->kind != ITEM_LIST;
    for (int k = 0; i->kind == ITEM_LIST && k < i->count; k++) count += leaves(&i->items[k]);
    return count;
}

const struct tensor *literal_tensor(struct expander *x, const struct item *i, enum dtype dtype,
                                    struct loc loc) {
    struct tensor *t = arena_new_object(x->graph->arena, struct tensor);
    t->dtype = dtype;
    if (!list_shape(x, i, t, loc)) return NULL;
    t->data = arena_alloc(x->graph->arena, leaves(i) + 1, (size_t)dtype_bytes(dtype));
    int64_t at = 0;
    return fill(x, i, t, 0, &at, loc) ? t : NULL;
}

static struct value *constant_value(struct expander *x, const struct item *i, enum dtype dtype,
                                    struct loc loc) {
    const struct tensor *t = literal_tensor(x, i, dtype, loc);
    if (!t) return NULL;
    struct node *n = new_node(x, OP_constant, 0, NULL, loc);
    n->constant = t;
    n = place_node(x, n);
    return n ? n->results[0] : NULL;
}

struct value *extent_value(struct expander *x, const struct extent *e, struct loc loc) {
    struct node *n = new_node(x, OP_extent, 0, NULL, loc);
    struct attr *a = node_attr(n, "n");
    a->set = true;
    a->e = e;
    n = place_node(x, n);
    return n ? n->results[0] : NULL;
}

struct value *item_as_value(struct expander *x, const struct item *i, int dtype, struct loc loc) {
    switch (i->kind) {
    case ITEM_VALUE:
        return i->value;
    case ITEM_EXTENT:
        return extent_value(x, i->extent, loc);
    case ITEM_INT:
    case ITEM_REAL:
    case ITEM_BOOL:
    case ITEM_LIST:
        return constant_value(x, i, dtype == DTYPE_ANY ? literal_dtype(i) : (enum dtype)dtype, loc);
    case ITEM_GLOBAL:
        diag_error(x->diag, loc, "%s is an array of %lld tensors: give its index", i->element.global->name,
                   (long long)global_elements(i->element.global));
        diag_note(x->diag, i->element.global->loc, "%s is declared here", i->element.global->name);
        return NULL;
    case ITEM_ERROR:
        break;
    }
    return NULL;
}
