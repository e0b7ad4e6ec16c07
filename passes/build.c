/* Making nodes in the middle of a block. */
#include "passes/build.h"
#include "ir/interp.h"
#include <string.h>

struct value *build_finish(struct builder *b, struct node *n) {
    if (!node_infer(b->g, n)) ice("a pass made a malformed %s", op_info(n->op)->name);
    n->on = b->before->on;
    node_insert_before(n, b->before);
    return n->results_count ? n->results[0] : NULL;
}

struct value *build1(struct builder *b, enum op op, struct value *x) {
    int operands = op_info(op)->operands_count;
    struct node *n = node_new(b->g, op, operands > 1 ? operands : 1, NULL, b->loc);
    n->operands[0] = x;
    return build_finish(b, n);
}

struct value *build2(struct builder *b, enum op op, struct value *x, struct value *y) {
    int operands = op_info(op)->operands_count;
    struct node *n = node_new(b->g, op, operands > 2 ? operands : 2, NULL, b->loc);
    n->operands[0] = x;
    n->operands[1] = y;
    return build_finish(b, n);
}

struct value *build_constant(struct builder *b, const struct tensor *t) {
    struct node *n = node_new(b->g, OP_constant, 0, NULL, b->loc);
    n->constant = t;
    return build_finish(b, n);
}

struct value *build_scalar(struct builder *b, enum dtype dtype, double value) {
    struct array *x = array_new(b->g->arena, dtype, 0, NULL);
    struct tensor *t = arena_new_object(b->g->arena, struct tensor);
    void *bytes = arena_alloc(b->g->arena, 1, 8);
    if (dtype_class(dtype) == CLASS_FLOAT)
        x->floats[0] = value;
    else
        x->integers[0] = (int64_t)value;
    array_to_bytes(x, bytes);
    *t = (struct tensor){.dtype = dtype, .data = bytes};
    return build_constant(b, t);
}

struct value *build_cast(struct builder *b, struct value *x, enum dtype to) {
    if (x->type.dtype == to) return x;
    struct node *n = node_new(b->g, OP_cast, 1, &x, b->loc);
    *node_attr(n, "to") = (struct attr){.set = true, .dtype = to};
    return build_finish(b, n);
}

struct value *build_extent(struct builder *b, const struct extent *e) {
    int64_t value;
    if (extent_is_const(e, &value) && value <= INT32_MAX) return build_scalar(b, DTYPE_I32, (double)value);
    struct node *n = node_new(b->g, OP_extent, 0, NULL, b->loc);
    *node_attr(n, "n") = (struct attr){.set = true, .e = e};
    return build_finish(b, n);
}

static struct value *build_shaped(struct builder *b, enum op op, struct value *x, int rank,
                                  const struct extent *const *extents) {
    struct type wanted = {.rank = rank};
    memcpy(wanted.extents, extents, (size_t)rank * sizeof *extents);
    if (shape_equal(&x->type, &wanted)) return x;
    struct node *n = node_new(b->g, op, 1, &x, b->loc);
    *node_attr(n, "shape") = attr_extents(b->g, rank, extents);
    return build_finish(b, n);
}

struct value *build_reshape(struct builder *b, struct value *x, int rank,
                            const struct extent *const *extents) {
    return build_shaped(b, OP_reshape, x, rank, extents);
}

struct value *build_broadcast(struct builder *b, struct value *x, int rank,
                              const struct extent *const *extents) {
    return build_shaped(b, OP_broadcast, x, rank, extents);
}

struct value *build_slice(struct builder *b, struct value *x, const struct extent *const *start,
                          const struct extent *const *extent, const int64_t *step) {
    struct node *n = node_new(b->g, OP_slice, 1, &x, b->loc);
    *node_attr(n, "start") = attr_extents(b->g, x->type.rank, start);
    *node_attr(n, "extent") = attr_extents(b->g, x->type.rank, extent);
    *node_attr(n, "step") = attr_ints(b->g, x->type.rank, step);
    return build_finish(b, n);
}

struct value *build_transpose(struct builder *b, struct value *x, const int64_t *perm) {
    struct node *n = node_new(b->g, OP_transpose, 1, &x, b->loc);
    *node_attr(n, "perm") = attr_ints(b->g, x->type.rank, perm);
    return build_finish(b, n);
}

struct attr attr_ints(struct graph *g, int count, const int64_t *ints) {
    int64_t *copy = arena_new_array(g->arena, int64_t, (size_t)count);
    if (count) memcpy(copy, ints, (size_t)count * sizeof *ints);
    return (struct attr){.set = true, .count = count, .ints = copy};
}

struct attr attr_extents(struct graph *g, int count, const struct extent *const *extents) {
    const struct extent **copy = arena_new_array(g->arena, const struct extent *, (size_t)count);
    if (count) memcpy(copy, extents, (size_t)count * sizeof *extents);
    return (struct attr){.set = true, .count = count, .extents = copy};
}

static bool text_equal(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

static bool list_equal(const struct attr *a, const struct attr *b, int numbers) {
    return a->count == b->count &&
           (a->count <= 0 || !memcmp(a->ints, b->ints, (size_t)(a->count * numbers) * sizeof *a->ints));
}

static bool extents_equal(const struct attr *a, const struct attr *b) {
    return a->count == b->count &&
           (a->count <= 0 || !memcmp(a->extents, b->extents, (size_t)a->count * sizeof *a->extents));
}

bool attr_equal(enum attr_kind kind, const struct attr *a, const struct attr *b) {
    if (a->set != b->set) return false;
    switch (kind) {
    case ATTR_INT:
    case ATTR_FLAG:
        return a->i == b->i;
    case ATTR_FLOAT:
        return !memcmp(&a->f, &b->f, sizeof a->f);
    case ATTR_WORD:
    case ATTR_STRING:
        return text_equal(a->s, b->s);
    case ATTR_DTYPE:
        return a->dtype == b->dtype;
    case ATTR_EXTENT:
        return a->e == b->e;
    case ATTR_INTS:
    case ATTR_AXES:
        return list_equal(a, b, 1);
    case ATTR_PAIRS:
        return list_equal(a, b, 2);
    case ATTR_EXTENTS:
        return extents_equal(a, b);
    }
    return false;
}

void node_take_shape(struct graph *g, struct node *n, const struct type *t) {
    enum op_family family = op_info(n->op)->family;
    if (family == FAMILY_reshape || family == FAMILY_broadcast)
        *node_attr(n, "shape") = attr_extents(g, t->rank, t->extents);
    if (family == FAMILY_slice) *node_attr(n, "extent") = attr_extents(g, t->rank, t->extents);
}

bool value_is_constant(const struct value *v) { return v && v->def && v->def->op == OP_constant; }

bool value_splat(struct arena *scratch, const struct value *v, double *splat) {
    if (!value_is_constant(v)) return false;
    const struct tensor *t = v->def->constant;
    size_t size = (size_t)dtype_bytes(t->dtype), count = 1;
    for (int i = 0; i < t->rank; i++) count *= (size_t)t->extents[i];
    if (!count) return false;
    for (size_t i = 1; i < count; i++)
        if (memcmp(t->data, (const char *)t->data + i * size, size)) return false;
    const struct tensor first = {.dtype = t->dtype, .data = t->data};
    const struct array *x = array_from_bytes(scratch, &first);
    *splat = dtype_class(t->dtype) == CLASS_FLOAT ? x->floats[0] : (double)x->integers[0];
    return true;
}
