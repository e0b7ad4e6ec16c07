/* Index maps of convolution and pooling.
 *
 *     conv(x: f32[N, C, L], w: f32[O, C, 3], stride=2, pad=1)     loops n, o, l parallel, c, j reduction
 *     x [n, c, 2*l + j - 1] guarded   w [o, c, j]   result [n, o, l]
 *
 * Channels in groups are counted as group * size + member. Where a group's size is not a number, that is not
 * affine: then outputs are one loop, and the channels of x are `whole`. */
#include "ir/imap_build.h"

struct channels {
    int group, out, in;            /* loops; group -1: none */
    int64_t out_step, in_step;     /* outputs and inputs of a group */
    const struct extent *in_count; /* the same as an extent */
    bool whole;                    /* not affine */
};

/* The parallel loops of outputs; add_inputs() adds the reduction. */
static struct channels add_outputs(struct map *b, const struct extent *outputs, const struct extent *inputs) {
    int64_t groups = node_attr(b->n, "groups")->i;
    const struct extent *out = extent_divide(b->x, outputs, number(b, groups));
    struct channels c = {.group = -1, .in_count = extent_divide(b->x, inputs, number(b, groups))};
    c.whole = groups > 1 && !(extent_is_const(out, &c.out_step) && extent_is_const(c.in_count, &c.in_step));
    if (groups > 1 && !c.whole) c.group = add_loop(b, number(b, groups), LOOP_PARALLEL);
    c.out = add_loop(b, c.whole ? outputs : out, LOOP_PARALLEL);
    return c;
}

static void add_inputs(struct map *b, struct channels *c) {
    c->in = add_loop(b, c->in_count, LOOP_REDUCTION);
}

static void walk_outputs(struct axis_map *axis, const struct channels *c) {
    if (c->group >= 0) walk(axis, c->group, c->out_step);
    walk(axis, c->out, 1);
}

static void walk_inputs(struct axis_map *axis, const struct channels *c) {
    axis->whole = c->whole;
    if (c->whole) return;
    if (c->group >= 0) walk(axis, c->group, c->in_step);
    walk(axis, c->in, 1);
}

/* Loops over the spatial axes of the result; the first one's number. */
static int add_positions(struct map *b) {
    const struct type *t = result_of(b, 0);
    int first = b->m->loops_count;
    for (int i = 2; i < t->rank; i++) add_loop(b, t->extents[i], LOOP_PARALLEL);
    walk_axes(&b->m->results[0], 2, first, t->rank - 2);
    return first;
}

/* x's spatial axis number `i` at stride * position + dilation * j - pad. */
static void walk_window(struct map *b, int i, int position, int j, int64_t dilation) {
    struct axis_map *axis = operand_axis(b, 0, i + 2);
    const int64_t *pad = &node_attr(b->n, "pad")->ints[2 * i];
    walk(axis, position, node_attr(b->n, "stride")->ints[i]);
    walk(axis, j, dilation);
    if (pad[0]) axis->offset = number(b, -pad[0]);
    axis->guarded = pad[0] || pad[1];
}

void map_conv(struct map *b) {
    const struct type *x = type_of(b, 0), *w = type_of(b, 1);
    int n = add_loop(b, x->extents[0], LOOP_PARALLEL);
    struct channels c = add_outputs(b, w->extents[0], x->extents[1]);
    int position = add_positions(b);
    add_inputs(b, &c);
    walk(operand_axis(b, 0, 0), n, 1);
    walk(result_axis(b, 0, 0), n, 1);
    walk_inputs(operand_axis(b, 0, 1), &c);
    walk_outputs(operand_axis(b, 1, 0), &c);
    walk_outputs(result_axis(b, 0, 1), &c);
    walk(operand_axis(b, 1, 1), c.in, 1);
    for (int i = 0; i < x->rank - 2; i++) {
        int j = add_loop(b, w->extents[i + 2], LOOP_REDUCTION);
        walk(operand_axis(b, 1, i + 2), j, 1);
        walk_window(b, i, position + i, j, node_attr(b->n, "dilation")->ints[i]);
    }
}

/* Position p of the result has x's elements (p + pad - j) / stride, for those j where that is whole: affine
 * for stride 1 only. */
static void walk_spread(struct map *b, int i, int position, int j) {
    struct axis_map *axis = operand_axis(b, 0, i + 2);
    axis->whole = node_attr(b->n, "stride")->ints[i] != 1;
    if (axis->whole) return;
    walk(axis, position, 1);
    walk(axis, j, -1);
    axis->offset = number(b, node_attr(b->n, "pad")->ints[2 * i]);
    axis->guarded = true;
}

void map_conv_transpose(struct map *b) {
    const struct type *x = type_of(b, 0), *w = type_of(b, 1);
    int n = add_loop(b, x->extents[0], LOOP_PARALLEL);
    struct channels c = add_outputs(b, result_of(b, 0)->extents[1], x->extents[1]);
    int position = add_positions(b);
    add_inputs(b, &c);
    walk(operand_axis(b, 0, 0), n, 1);
    walk(result_axis(b, 0, 0), n, 1);
    walk_inputs(operand_axis(b, 0, 1), &c);
    walk_inputs(operand_axis(b, 1, 0), &c);
    walk_outputs(result_axis(b, 0, 1), &c);
    operand_axis(b, 1, 1)->whole = c.whole;
    if (!c.whole) walk(operand_axis(b, 1, 1), c.out, 1);
    for (int i = 0; i < x->rank - 2; i++) {
        int j = add_loop(b, w->extents[i + 2], LOOP_REDUCTION);
        walk(operand_axis(b, 1, i + 2), j, 1);
        walk_spread(b, i, position + i, j);
    }
}

void map_pool(struct map *b) {
    const struct type *x = type_of(b, 0);
    add_loop(b, x->extents[0], LOOP_PARALLEL);
    add_loop(b, x->extents[1], LOOP_PARALLEL);
    walk_axes(&b->m->operands[0], 0, 0, 2);
    walk_axes(&b->m->results[0], 0, 0, 2);
    int position = add_positions(b);
    for (int i = 0; i < x->rank - 2; i++) {
        int j = add_loop(b, number(b, node_attr(b->n, "size")->ints[i]), LOOP_REDUCTION);
        walk_window(b, i, position + i, j, 1);
    }
}
