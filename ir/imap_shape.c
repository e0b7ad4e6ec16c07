/* Index maps of ops that move elements, so that a consumer can read through them instead of waiting for a
 * copy.
 *
 *     reshape(x: f32[S, 576], [S, 9, 64])     loops s, h, d     x [s, 64*h + d]       result [s, h, d]
 *     reshape(x: f32[4, 6], [8, 3])           loops a, b, c     x [a, 3*b + c]        result [2*a + b, c] */
#include "ir/imap_build.h"

void map_transpose(struct map *b) {
    const struct attr *perm = node_attr(b->n, "perm");
    loops_of_result(b);
    for (int i = 0; i < perm->count; i++) walk(operand_axis(b, 0, (int)perm->ints[i]), i, 1);
}

void map_reshard(struct map *b) {
    loops_of_result(b);
    walk_axes(&b->m->operands[0], 0, 0, result_of(b, 0)->rank);
}

void map_slice(struct map *b) {
    loops_of_result(b);
    for (int i = 0; i < result_of(b, 0)->rank; i++) {
        walk(operand_axis(b, 0, i), i, node_attr(b->n, "step")->ints[i]);
        operand_axis(b, 0, i)->offset = node_attr(b->n, "start")->extents[i];
    }
}

void map_flip(struct map *b) {
    const struct attr *axes = node_attr(b->n, "axis");
    const struct type *t = type_of(b, 0);
    loops_of_result(b);
    for (int i = 0, next = 0; i < t->rank; i++) {
        bool flipped = next < axes->count && axes->ints[next] == i;
        if (flipped) next++;
        walk(operand_axis(b, 0, i), i, flipped ? -1 : 1);
        if (flipped) operand_axis(b, 0, i)->offset = extent_sub(b->x, t->extents[i], number(b, 1));
    }
}

/* Each operand has the indices from where the one before it ended. */
void map_concat(struct map *b) {
    int axis = (int)node_attr(b->n, "axis")->i, rank = result_of(b, 0)->rank;
    const struct extent *offset = number(b, 0);
    loops_of_result(b);
    for (int i = 0; i < b->n->operands_count; i++) {
        walk_axes(&b->m->operands[i], 0, 0, rank);
        operand_axis(b, i, axis)->offset = offset;
        operand_axis(b, i, axis)->guarded = b->n->operands_count > 1;
        offset = extent_sub(b->x, offset, type_of(b, i)->extents[axis]);
    }
}

void map_pad(struct map *b) {
    const int64_t *pads = node_attr(b->n, "pads")->ints;
    int rank = result_of(b, 0)->rank;
    loops_of_result(b);
    walk_axes(&b->m->operands[0], 0, 0, rank);
    for (int i = 0; i < rank; i++) {
        if (pads[2 * i]) operand_axis(b, 0, i)->offset = number(b, -pads[2 * i]);
        operand_axis(b, 0, i)->guarded = pads[2 * i] || pads[2 * i + 1];
    }
}

/* One side of a reshape while it is cut into factors, from the innermost axis outwards. */
struct side {
    struct access_map *access;
    const struct type *type;
    int axis;                  /* the one being cut; below it all is done */
    const struct extent *rest; /* what is left of it; NULL: not begun */
    int64_t step;              /* product of the factors cut off so far */
};

/* Begins the next axis if need be; false if there is none. */
static bool begin_axis(struct side *s, int first) {
    if (s->rest) return true;
    if (s->axis <= first) return false;
    s->rest = s->type->extents[--s->axis];
    s->step = 1;
    return true;
}

/* Cuts `factor` off the axis, walked by `loop`. False if the rest cannot be counted past it. */
static bool cut(struct map *b, struct side *s, const struct extent *factor, int loop) {
    struct axis_map *axis = &s->access->axes[s->axis];
    int64_t value;
    if (axis->count == MAX_AXIS_TERMS) return false;
    walk(axis, loop, s->step);
    if (s->rest == factor) {
        s->rest = NULL;
        return true;
    }
    s->rest = extent_divide(b->x, s->rest, factor);
    return s->rest && extent_is_const(factor, &value) && value > 0 &&
           !__builtin_mul_overflow(s->step, value, &s->step);
}

/* The factor both sides have next: the whole of one rest, where it divides the other. */
static const struct extent *common(struct map *b, const struct side *x, const struct side *y) {
    if (extent_divide(b->x, x->rest, y->rest)) return y->rest;
    return extent_divide(b->x, y->rest, x->rest) ? x->rest : NULL;
}

/* An axis of extent 1 that is begun and needs no loop stays at index 0. */
static bool skip_one(struct map *b, struct side *s) {
    if (!s->rest || s->rest != number(b, 1)) return false;
    s->rest = NULL;
    return true;
}

/* Cuts both sides from the right down to axes `first`. Returns how far it came: at each point where axes of
 * both sides end together, the map so far is kept; past the last such point it is undone. */
static void cut_both(struct map *b, struct side *x, struct side *y, int first) {
    for (;;) {
        struct imap kept = *b->m;
        struct access_map kept_x = *x->access, kept_y = *y->access;
        struct side at_x = *x, at_y = *y;
        bool more;
        do {
            bool left = begin_axis(x, first), right = begin_axis(y, first), one = false;
            if (left) one = skip_one(b, x);
            if (right) one |= skip_one(b, y);
            more = left || right;
            if (!more || one) continue;
            const struct extent *factor = left && right ? common(b, x, y) : NULL;
            int loop = factor && b->m->loops_count < MAX_LOOPS ? add_loop(b, factor, LOOP_PARALLEL) : -1;
            if (loop >= 0 && cut(b, x, factor, loop) && cut(b, y, factor, loop)) continue;
            *b->m = kept;
            *x->access = kept_x;
            *y->access = kept_y;
            *x = at_x;
            *y = at_y;
            return;
        } while (more && (x->rest || y->rest));
        if (!more) return;
    }
}

/* Axes first..end-1 without a common factor: the result's have loops, x's may be touched anywhere. */
static void leave_whole(struct map *b, const struct side *x, const struct side *y, int first) {
    for (int i = first; i < x->axis; i++) x->access->axes[i].whole = true;
    for (int i = first; i < y->axis; i++)
        walk(&y->access->axes[i], add_loop(b, y->type->extents[i], LOOP_PARALLEL), 1);
}

static void renumber_axes(struct access_map *access, const int *number_of) {
    for (int i = 0; i < access->rank; i++) {
        struct axis_map *axis = &access->axes[i], old = *axis;
        for (int j = 0; j < old.count; j++) {
            axis->terms[j] = old.terms[old.count - 1 - j];
            axis->terms[j].loop = number_of[axis->terms[j].loop];
        }
    }
}

/* Loops were made innermost first: numbers them in the order in which they walk the result. */
static void renumber(struct map *b) {
    struct imap *m = b->m;
    struct loop loops[MAX_LOOPS];
    int number_of[MAX_LOOPS] = {0}, count = 0;
    for (int i = 0; i < m->results[0].rank; i++) {
        const struct axis_map *axis = &m->results[0].axes[i];
        for (int j = axis->count - 1; j >= 0; j--) {
            loops[count] = m->loops[axis->terms[j].loop];
            number_of[axis->terms[j].loop] = count++;
        }
    }
    for (int i = 0; i < count; i++) m->loops[i] = loops[i];
    renumber_axes(&m->operands[0], number_of);
    renumber_axes(&m->results[0], number_of);
}

/* Equal leading axes are themselves; the rest is cut into common factors from the right. */
void map_reshape(struct map *b) {
    const struct type *from = type_of(b, 0), *to = result_of(b, 0);
    int first = 0;
    while (first < from->rank && first < to->rank && from->extents[first] == to->extents[first]) first++;
    for (int i = 0; i < first; i++) {
        int loop = add_loop(b, to->extents[i], LOOP_PARALLEL);
        walk(operand_axis(b, 0, i), loop, 1);
        walk(result_axis(b, 0, i), loop, 1);
    }
    struct side x = {.access = &b->m->operands[0], .type = from, .axis = from->rank};
    struct side y = {.access = &b->m->results[0], .type = to, .axis = to->rank};
    cut_both(b, &x, &y, first);
    leave_whole(b, &x, &y, first);
    renumber(b);
}
