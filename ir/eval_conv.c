/* Interprets convolution, its transpose, and pooling, over one or two spatial axes. */
#include "ir/eval.h"
#include <math.h>

/* Spatial axes; one axis is two with a height of 1. */
struct window {
    int64_t in[2], out[2], kernel[2], stride[2], lo[2], dilation[2];
};

static struct window window_of(const struct node *n, const struct array *in, const struct array *out,
                               bool has_dilation) {
    struct window w = {{1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}};
    int spatial = in->rank - 2;
    for (int i = 0; i < spatial; i++) {
        int d = 2 - spatial + i;
        w.in[d] = in->extents[2 + i];
        w.out[d] = out->extents[2 + i];
        w.lo[d] = attr_pair(n, "pad", i, 0);
        if (has_dilation) w.dilation[d] = attr_list(n, "dilation", i);
    }
    return w;
}

/* Sets kernel extents (from the weights' shape, or an attribute) and strides. */
static void set_kernel(struct window *w, const struct node *n, int spatial, const struct array *weights) {
    for (int i = 0; i < spatial; i++) {
        int d = 2 - spatial + i;
        w->kernel[d] = weights ? weights->extents[2 + i] : attr_list(n, "size", i);
        bool by_size = !weights && !node_attr(n, "stride")->set;
        w->stride[d] = by_size ? w->kernel[d] : attr_list(n, "stride", i);
    }
}

/* Offset in a plane of what output (y, x) sees through the kernel's (i, j); -1: padding. */
static int64_t seen(const struct window *w, int64_t y, int64_t x, int64_t i, int64_t j) {
    int64_t row = y * w->stride[0] - w->lo[0] + i * w->dilation[0];
    int64_t column = x * w->stride[1] - w->lo[1] + j * w->dilation[1];
    if (row < 0 || row >= w->in[0] || column < 0 || column >= w->in[1]) return -1;
    return row * w->in[1] + column;
}

static double conv_plane(const struct window *w, const double *x, const double *k, int64_t row,
                         int64_t column) {
    double sum = 0;
    for (int64_t i = 0; i < w->kernel[0]; i++)
        for (int64_t j = 0; j < w->kernel[1]; j++) {
            int64_t at = seen(w, row, column, i, j);
            if (at >= 0) sum += x[at] * k[i * w->kernel[1] + j];
        }
    return sum;
}

/* x [N, C, H, W] with w [O, C/groups, h, w] */
bool eval_conv(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0), *k = eval_operand(e, n, 1);
    struct array *y = eval_result(e, n, 0);
    if (!y) return false;
    struct window w = window_of(n, x, y, true);
    set_kernel(&w, n, x->rank - 2, k);
    int64_t channels = k->extents[1], outputs = y->extents[1], plane = w.in[0] * w.in[1];
    int64_t kernel = w.kernel[0] * w.kernel[1], group = outputs / attr_int(n, "groups"),
            pixels = w.out[0] * w.out[1];
    for (int64_t i = 0; i < y->elements; i++) {
        int64_t pixel = i % pixels, o = i / pixels % outputs, image = i / pixels / outputs;
        int64_t first = image * x->extents[1] + o / group * channels;
        for (int64_t c = 0; c < channels; c++)
            y->floats[i] +=
                conv_plane(&w, x->floats + (first + c) * plane, k->floats + (o * channels + c) * kernel,
                           pixel / w.out[1], pixel % w.out[1]);
    }
    return true;
}

/* Adds one input pixel, through the kernel, to an output plane. */
static void spread(const struct window *w, double x, const double *k, int64_t row, int64_t column,
                   double *y) {
    for (int64_t i = 0; i < w->kernel[0]; i++)
        for (int64_t j = 0; j < w->kernel[1]; j++) {
            int64_t at_row = row * w->stride[0] - w->lo[0] + i,
                    at_column = column * w->stride[1] - w->lo[1] + j;
            if (at_row < 0 || at_row >= w->out[0] || at_column < 0 || at_column >= w->out[1]) continue;
            y[at_row * w->out[1] + at_column] += x * k[i * w->kernel[1] + j];
        }
}

/* x [N, C, H, W] with w [C, O/groups, h, w]: each input pixel adds a kernel to the result. */
bool eval_conv_transpose(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0), *k = eval_operand(e, n, 1);
    struct array *y = eval_result(e, n, 0);
    if (!y) return false;
    struct window w = window_of(n, x, y, false);
    set_kernel(&w, n, x->rank - 2, k);
    int64_t channels = x->extents[1], group = k->extents[1], outputs = y->extents[1];
    int64_t pixels = w.in[0] * w.in[1], plane = w.out[0] * w.out[1], kernel = w.kernel[0] * w.kernel[1];
    int64_t per_group = channels / attr_int(n, "groups");
    for (int64_t i = 0; i < x->elements; i++) {
        int64_t pixel = i % pixels, c = i / pixels % channels, image = i / pixels / channels;
        for (int64_t o = 0; o < group; o++)
            spread(&w, x->floats[i], k->floats + (c * group + o) * kernel, pixel / w.in[1], pixel % w.in[1],
                   y->floats + (image * outputs + c / per_group * group + o) * plane);
    }
    return true;
}

/* What of a plane, which begins at `base`, a window has seen. */
struct seen {
    double largest, sum;
    int64_t largest_integer, count;
};
static struct seen look(const struct window *w, const struct array *x, int64_t base, int64_t row,
                        int64_t column) {
    struct seen s = {-INFINITY, 0, INT64_MIN, 0};
    for (int64_t i = 0; i < w->kernel[0]; i++)
        for (int64_t j = 0; j < w->kernel[1]; j++) {
            int64_t at = seen(w, row, column, i, j);
            if (at < 0) continue;
            double value = array_float(x, base + at);
            s.largest = scalar_eval_float(SCALAR_max, s.largest, value, 0);
            if (x->integers && x->integers[base + at] > s.largest_integer)
                s.largest_integer = x->integers[base + at];
            s.sum += value;
            s.count++;
        }
    return s;
}

/* The largest of each window, or the mean of those that are no padding. */
bool eval_pool(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    struct array *y = eval_result(e, n, 0);
    if (!y) return false;
    struct window w = window_of(n, x, y, false);
    set_kernel(&w, n, x->rank - 2, NULL);
    int64_t pixels = w.out[0] * w.out[1], plane = w.in[0] * w.in[1];
    for (int64_t i = 0; i < y->elements; i++) {
        struct seen s = look(&w, x, i / pixels * plane, i % pixels / w.out[1], i % pixels % w.out[1]);
        if (y->integers)
            y->integers[i] = s.largest_integer;
        else
            y->floats[i] = n->op == OP_max_pool ? s.largest : s.sum / (double)s.count;
    }
    return true;
}
