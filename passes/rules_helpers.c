/* Helpers that replacements of rules call as $name(...), for what the tables cannot say. */
#include "passes/rules.h"

/* How many elements a reduction of x over the axes takes together, as a number of x's type. */
static struct value *count(struct builder *b, const struct match *m, struct value *x,
                           const struct attr *axes) {
    struct extents *e = b->g->extents;
    const struct extent *product = extent_const(e, 1);
    int64_t number;
    (void)m;
    for (int i = 0; axes->count >= 0 && i < axes->count; i++)
        product =
            extent_mul(e, product, x->type.extents[axes->ints[i] + (axes->ints[i] < 0 ? x->type.rank : 0)]);
    if (axes->count < 0) product = type_elements(e, &x->type);
    if (!product) ice("the number of elements of a tensor overflows");
    if (extent_is_const(product, &number)) return build_scalar(b, x->type.dtype, (double)number);
    return build_cast(b, build_extent(b, product), x->type.dtype);
}

/* x in the shape of the pattern's result. */
static struct value *shaped(struct builder *b, const struct match *m, struct value *x,
                            const struct attr *unused) {
    const struct type *t = &m->root->results[0]->type;
    (void)unused;
    return build_reshape(b, x, t->rank, t->extents);
}

/* x with one more axis, of extent 1, at the end. */
static struct value *column(struct builder *b, const struct match *m, struct value *x,
                            const struct attr *unused) {
    const struct extent *extents[MAX_RANK];
    (void)m, (void)unused;
    if (x->type.rank == MAX_RANK) ice("$column: no room for one more axis");
    for (int i = 0; i < x->type.rank; i++) extents[i] = x->type.extents[i];
    extents[x->type.rank] = extent_const(b->g->extents, 1);
    return build_reshape(b, x, x->type.rank + 1, extents);
}

/* x as a vector. */
static struct value *flat(struct builder *b, const struct match *m, struct value *x,
                          const struct attr *unused) {
    const struct extent *elements = type_elements(b->g->extents, &x->type);
    (void)m, (void)unused;
    if (!elements) ice("the number of elements of a tensor overflows");
    return build_reshape(b, x, 1, &elements);
}

const struct rule_helper_row rule_helpers[] = {
    {"count", count}, {"shaped", shaped}, {"column", column}, {"flat", flat}, {NULL, NULL}};
