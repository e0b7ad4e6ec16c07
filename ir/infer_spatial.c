/* Types of convolution and pooling over one or two spatial axes: [N, C, L] or [N, C, H, W].
 *
 *     out = (in + lo + hi - dilation*(window - 1) - 1) // stride + 1 */
#include "ir/infer.h"

static const struct extent *number(const struct infer *f, int64_t value) { return extent_const(f->x, value); }

/* Positions of a window of `size` elements on an axis; NULL after reporting that it may not fit. */
static const struct extent *positions(const struct infer *f, int axis, const struct extent *size,
                                      int64_t dilation, int64_t stride, const int64_t *pad) {
    const struct extent *in = type_of(f, 0)->extents[axis];
    const struct extent *padded =
        extent_add(f->x, in, extent_add(f->x, number(f, pad[0]), number(f, pad[1])));
    const struct extent *reach = extent_mul(f->x, extent_sub(f->x, size, number(f, 1)), number(f, dilation));
    const struct extent *last = extent_sub(f->x, extent_sub(f->x, padded, reach), number(f, 1));
    if (!extent_at_most(f->x, number(f, 1), size)) {
        infer_error(f, ABOUT(1), "the window may be empty: axis %d has %s", axis, text_of(f, size));
        return NULL;
    }
    if (!extent_nonnegative(f->x, last)) {
        infer_error(f, ABOUT(0) | ABOUT(1), "axis %d: a window of %s may not fit into %s", axis,
                    text_of(f, extent_add(f->x, reach, number(f, 1))), text_of(f, padded));
        return NULL;
    }
    return extent_add(f->x, extent_floordiv(f->x, last, stride), number(f, 1));
}

/* `count` over groups as a whole number, or NULL after reporting. */
static const struct extent *grouped(const struct infer *f, int operand, const char *what,
                                    const struct extent *count, int64_t groups) {
    const struct extent *each = groups > 0 ? extent_divide(f->x, count, number(f, groups)) : NULL;
    if (!each)
        infer_error(f, ABOUT(operand), "%s %s cannot be divided into %lld groups", text_of(f, count), what,
                    (long long)groups);
    return each;
}

static bool check_image(const struct infer *f) { return check_dtype(f, 0, FLOATS) && check_rank(f, 0, 3, 4); }

static bool check_weight(const struct infer *f) {
    int rank = type_of(f, 0)->rank;
    return check_same_dtype(f, 0, 1) && check_rank(f, 1, rank, rank);
}

bool infer_conv(const struct infer *f) {
    if (!check_image(f) || !check_weight(f)) return false;
    const struct type *x = type_of(f, 0), *w = type_of(f, 1);
    struct type t = {x->dtype, x->rank, {x->extents[0], w->extents[0]}};
    int spatial = x->rank - 2;
    int64_t groups = node_attr(f->n, "groups")->i;
    const struct extent *channels = grouped(f, 0, "channels", x->extents[1], groups);
    if (!channels || !grouped(f, 1, "outputs", w->extents[0], groups)) return false;
    if (channels != w->extents[1])
        return infer_error(f, ABOUT(0) | ABOUT(1), "channels of a group differ: x has %s, w has %s",
                           text_of(f, channels), text_of(f, w->extents[1]));
    if (!check_list(f, "stride", spatial, 1, INT32_MAX) ||
        !check_list(f, "dilation", spatial, 1, INT32_MAX) || !check_list(f, "pad", spatial, 0, INT32_MAX))
        return false;
    for (int i = 0; i < spatial; i++) {
        t.extents[i + 2] =
            positions(f, i + 2, w->extents[i + 2], node_attr(f->n, "dilation")->ints[i],
                      node_attr(f->n, "stride")->ints[i], &node_attr(f->n, "pad")->ints[2 * i]);
        if (!t.extents[i + 2]) return false;
    }
    return give(f, 0, &t);
}

/* (in - 1) * stride + window - lo - hi + output_pad */
static const struct extent *spread(const struct infer *f, int i) {
    const struct extent *in = type_of(f, 0)->extents[i + 2], *window = type_of(f, 1)->extents[i + 2];
    const int64_t *pad = &node_attr(f->n, "pad")->ints[2 * i];
    int64_t stride = node_attr(f->n, "stride")->ints[i], extra = node_attr(f->n, "output_pad")->ints[i];
    const struct extent *steps = extent_mul(f->x, extent_sub(f->x, in, number(f, 1)), number(f, stride));
    return extent_add(f->x, extent_add(f->x, steps, window), number(f, extra - pad[0] - pad[1]));
}

bool infer_conv_transpose(const struct infer *f) {
    if (!check_image(f) || !check_weight(f)) return false;
    const struct type *x = type_of(f, 0), *w = type_of(f, 1);
    int spatial = x->rank - 2;
    int64_t groups = node_attr(f->n, "groups")->i;
    if (!check_same_extent(f, "channels", 0, 1, 1, 0) || !grouped(f, 0, "channels", x->extents[1], groups))
        return false;
    if (!check_list(f, "stride", spatial, 1, INT32_MAX) || !check_list(f, "pad", spatial, 0, INT32_MAX) ||
        !check_list(f, "output_pad", spatial, 0, INT32_MAX))
        return false;
    struct type t = {x->dtype, x->rank, {x->extents[0], extent_mul(f->x, w->extents[1], number(f, groups))}};
    for (int i = 0; i < spatial; i++) {
        int64_t stride = node_attr(f->n, "stride")->ints[i], extra = node_attr(f->n, "output_pad")->ints[i];
        if (extra >= stride)
            return infer_error(f, 0, "output_pad=%lld must be less than stride=%lld", (long long)extra,
                               (long long)stride);
        if (!extent_at_most(f->x, number(f, 1), x->extents[i + 2]))
            return infer_error(f, ABOUT(0), "axis %d of x may be empty", i + 2);
        t.extents[i + 2] = spread(f, i);
    }
    return give(f, 0, &t);
}

/* The padding is narrower than the window, so that each window has an element of x. */
static bool check_window(const struct infer *f, int i) {
    int64_t size = node_attr(f->n, "size")->ints[i];
    const int64_t *pad = &node_attr(f->n, "pad")->ints[2 * i];
    if (pad[0] >= size || pad[1] >= size)
        return infer_error(f, 0, "pad=[%lld, %lld] must be less than size=%lld", (long long)pad[0],
                           (long long)pad[1], (long long)size);
    return extent_at_most(f->x, number(f, 1), type_of(f, 0)->extents[i + 2]) ||
           infer_error(f, ABOUT(0), "axis %d of x may be empty", i + 2);
}

bool infer_pool(const struct infer *f) {
    struct type t = *type_of(f, 0);
    int spatial = t.rank - 2;
    struct attr *stride = node_attr(f->n, "stride"), *size = node_attr(f->n, "size");
    if (!check_dtype(f, 0, f->n->op == OP_avg_pool ? FLOATS : NUMBERS) || !check_rank(f, 0, 3, 4) ||
        !check_list(f, "size", spatial, 1, INT32_MAX))
        return false;
    if (!stride->set) stride->ints = size->ints, stride->count = size->count, stride->set = true;
    if (!check_list(f, "stride", spatial, 1, INT32_MAX) || !check_list(f, "pad", spatial, 0, INT32_MAX))
        return false;
    for (int i = 0; i < spatial; i++) {
        if (!check_window(f, i)) return false;
        t.extents[i + 2] = positions(f, i + 2, number(f, size->ints[i]), 1, stride->ints[i],
                                     &node_attr(f->n, "pad")->ints[2 * i]);
        if (!t.extents[i + 2]) return false;
    }
    return give(f, 0, &t);
}
