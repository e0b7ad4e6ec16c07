/* Which loops of a node mesh axes may be laid on, and what that means for its operands and results. */
#include "passes/factors.h"
#include <string.h>

/* ---- What the families add to their index maps ---- */

typedef void rule(struct factors *f);

static void keep_whole(struct factors *f, int loop) {
    if (loop >= 0 && loop < f->map->loops_count) f->whole[loop] = true;
}

static void keep_reductions(struct factors *f) {
    for (int i = 0; i < f->map->loops_count; i++) f->whole[i] |= f->map->loops[i].kind == LOOP_REDUCTION;
}

static void keep_all(struct factors *f) {
    for (int i = 0; i < f->map->loops_count; i++) f->whole[i] = true;
}

static void split_elements(struct factors *f) { keep_reductions(f); } /* and no reduction */
static void split_sum(struct factors *f) { f->combine = COMBINE_SUM; }

static void split_reduce(struct factors *f) {
    static const struct {
        enum op op;
        enum combine combine;
    } rows[] = {{OP_sum, COMBINE_SUM}, {OP_prod, COMBINE_PROD}, {OP_max, COMBINE_MAX}, {OP_min, COMBINE_MIN}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].op == f->node->op) f->combine = rows[i].combine;
    if (!f->combine) keep_reductions(f);
}

/* Loops over the result's axes are numbered as the axes. */
static void split_but_axis(struct factors *f) {
    keep_reductions(f);
    keep_whole(f, (int)node_attr(f->node, "axis")->i);
}
static void split_but_last(struct factors *f) { keep_whole(f, f->node->results[0]->type.rank - 1); }
static void split_but_positions(struct factors *f) { keep_whole(f, f->node->results[0]->type.rank - 3); }

static bool walks(const struct access_map *access, int loop) {
    for (int d = 0; d < access->rank; d++)
        for (int i = 0; i < access->axes[d].count; i++)
            if (access->axes[d].terms[i].loop == loop) return true;
    return false;
}

/* Where a reshape is not seen through (12, S to 12*S), pieces of its result are no pieces of its operand. */
static void split_reshape(struct factors *f) {
    for (int i = 0; i < f->map->loops_count; i++)
        if (!walks(&f->map->operands[0], i) || !walks(&f->map->results[0], i)) keep_whole(f, i);
}

/* Pairs of rope lie along the last axis. */
static void split_pairs(struct factors *f) {
    split_but_positions(f);
    split_but_last(f);
}

static void split_heads(struct factors *f) {
    keep_reductions(f);
    if (node_attr(f->node, "causal")->i) split_but_positions(f);
}

enum { NOT_CUT = 0 };
static rule *const rules[FAMILY_COUNT] = {
    [FAMILY_pointwise] = split_elements,
    [FAMILY_cast] = split_elements,
    [FAMILY_reduce] = split_reduce,
    [FAMILY_argreduce] = split_elements,
    [FAMILY_cumsum] = split_elements,
    [FAMILY_linear] = split_sum,
    [FAMILY_matmul] = split_sum,
    [FAMILY_einsum] = split_sum,
    [FAMILY_quantize] = split_elements,
    [FAMILY_qlinear] = split_elements,
    [FAMILY_reshape] = split_reshape,
    [FAMILY_transpose] = split_elements,
    [FAMILY_broadcast] = split_elements,
    [FAMILY_slice] = split_elements,
    [FAMILY_concat] = split_elements,
    [FAMILY_pad] = split_elements,
    [FAMILY_flip] = split_elements,
    [FAMILY_gather] = split_sum, /* of the table's rows, of which a rank has some */
    [FAMILY_take_along] = split_but_axis,
    [FAMILY_scatter] = split_but_axis,
    [FAMILY_one_hot] = split_but_last,
    [FAMILY_iota] = keep_all,
    [FAMILY_topk] = split_but_axis,
    [FAMILY_sort] = split_but_axis,
    [FAMILY_write] = split_but_axis,
    [FAMILY_normalize] = split_elements,
    [FAMILY_cross_entropy] = keep_all,
    [FAMILY_rope] = split_pairs,
    [FAMILY_sdpa] = split_heads,
    [FAMILY_conv] = split_sum,
    [FAMILY_conv_transpose] = split_sum,
    [FAMILY_pool] = split_elements,
    [FAMILY_random] = keep_all,
    [FAMILY_guard] = keep_all,
    [FAMILY_extent] = keep_all,
};

/* ---- Index maps ---- */

/* An axis that is cut by its loops as a number by its digits: index = outer * step + inner, inner < step. */
static bool is_digits(const struct imap *map, const struct axis_map *axis) {
    for (int i = 0; i < axis->count; i++) {
        int64_t inner, step = 1;
        for (int k = i + 1; k < axis->count; k++) {
            if (!extent_is_const(map->loops[axis->terms[k].loop].extent, &inner)) return false;
            if (__builtin_mul_overflow(step, inner, &step)) return false;
        }
        if (axis->terms[i].coefficient != step) return false;
    }
    return true;
}

/* Whether pieces of the axis are what pieces of its loops touch. */
static bool is_plain(const struct imap *map, const struct axis_map *axis) {
    return !axis->whole && !axis->guarded && (!axis->offset || axis->offset->count == 0) &&
           is_digits(map, axis);
}

static void check_access(struct factors *f, const struct access_map *access, const struct type *type) {
    for (int d = 0; d < access->rank; d++) {
        const struct axis_map *axis = &access->axes[d];
        bool plain = is_plain(f->map, axis);
        for (int i = 0; i < axis->count; i++) {
            int loop = axis->terms[i].loop;
            /* Part of the operand only, as a slice takes: its pieces lie elsewhere. */
            bool part = axis->count == 1 && type->extents[d] != f->map->loops[loop].extent;
            if (!plain || part) f->whole[loop] = true;
        }
    }
}

/* The rows of a table are summed over, in effect: a rank gives those that it has, and zeros for the others.
 */
static const struct imap *gather_map(struct arena *a, const struct node *n, const struct imap *map) {
    struct imap *copy = arena_new_object(a, struct imap);
    int axis = (int)node_attr(n, "axis")->i;
    if (map->loops_count == MAX_LOOPS) return map;
    *copy = *map;
    copy->operands = arena_new_array(a, struct access_map, (size_t)map->operands_count);
    memcpy(copy->operands, map->operands, (size_t)map->operands_count * sizeof *map->operands);
    copy->loops[copy->loops_count++] = (struct loop){n->operands[0]->type.extents[axis], LOOP_REDUCTION};
    copy->operands[0].axes[axis] = (struct axis_map){.count = 1, .terms = {{map->loops_count, 1}}};
    return copy;
}

const struct factors *factors_of(struct arena *a, struct graph *g, const struct node *n,
                                 const struct mesh *m) {
    const struct imap *map = imap_of(a, g, n);
    enum op_family family = op_info(n->op)->family;
    if (!map || !n->results_count) return NULL;
    if (family == FAMILY_gather) map = gather_map(a, n, map);
    struct factors *f = arena_new_object(a, struct factors);
    *f = (struct factors){.node = n, .map = map, .mesh = m};
    for (int i = 0; i < map->loops_count; i++) f->whole[i] = map->loops[i].kind == LOOP_ORDERED;
    for (int i = 0; i < map->operands_count; i++)
        if (n->operands[i]) check_access(f, &map->operands[i], &n->operands[i]->type);
    for (int i = 0; i < map->results_count; i++) check_access(f, &map->results[i], &n->results[i]->type);
    (rules[family] ? rules[family] : keep_all)(f);
    return f;
}

/* ---- Lists of axes ---- */

int64_t axes_pieces(const struct mesh *m, const struct axis_list *l) {
    int64_t pieces = 1;
    for (int i = 0; i < l->count; i++) pieces *= m->axes[l->axes[i]].size;
    return pieces;
}

bool axes_prefix(const struct axis_list *shorter, const struct axis_list *longer) {
    return shorter->count <= longer->count && !memcmp(shorter->axes, longer->axes, (size_t)shorter->count);
}

bool axes_equal(const struct axis_list *a, const struct axis_list *b) {
    return a->count == b->count && axes_prefix(a, b);
}

/* A term can be cut where its coefficient is a multiple, or where it has a dim that callers can be asked to
 * pass a multiple of. */
static bool term_can_cut(const struct term *t, int64_t pieces) {
    if (t->coefficient % pieces == 0) return true;
    for (int i = 0; i < t->count; i++)
        if (t->symbols[i]->dim && !t->symbols[i]->dim->axis) return true;
    return false;
}

bool extent_can_cut(const struct extent *extent, int64_t pieces) {
    for (int i = 0; i < extent->count; i++)
        if (!term_can_cut(&extent->terms[i], pieces)) return false;
    return true;
}

/* ---- From a tensor to the loops and back ---- */

/* Axes of a dimension go to its loops from the outermost inwards; a loop is left when it is cut into single
 * iterations. */
void factors_project(const struct factors *f, const struct access_map *access, const struct sharding *s,
                     struct cut *cut) {
    for (int d = 0; s && d < access->rank; d++) {
        const struct axis_map *axis = &access->axes[d];
        int next = 0;
        for (int i = 0; i < axis->count && next < s->dims[d].count; i++) {
            int loop = axis->terms[i].loop;
            const struct extent *extent = f->map->loops[loop].extent;
            struct axis_list *list = &cut->loops[loop];
            int64_t pieces = 1, length;
            if (f->whole[loop]) break;
            list->count = 0;
            while (next < s->dims[d].count) {
                pieces *= f->mesh->axes[s->dims[d].axes[next]].size;
                if (!extent_can_cut(extent, pieces)) break;
                list->axes[list->count++] = s->dims[d].axes[next++];
            }
            if (!extent_is_const(extent, &length) || axes_pieces(f->mesh, list) != length) break;
        }
    }
}

bool factors_place(const struct factors *f, const struct access_map *access, const struct type *type,
                   const struct cut *cut, struct sharding *s) {
    *s = (struct sharding){.mesh = f->mesh, .rank = type->rank};
    for (int d = 0; d < access->rank; d++) {
        const struct axis_map *axis = &access->axes[d];
        bool complete = true;
        for (int i = 0; i < axis->count; i++) {
            int64_t length;
            const struct axis_list *list = &cut->loops[axis->terms[i].loop];
            if (list->count && !complete) return false;
            if (s->dims[d].count + list->count > MAX_DIM_AXES) return false;
            for (int k = 0; k < list->count; k++) s->dims[d].axes[s->dims[d].count++] = list->axes[k];
            complete = complete && extent_is_const(f->map->loops[axis->terms[i].loop].extent, &length) &&
                       axes_pieces(f->mesh, list) == length;
        }
        s->dims[d].priority = MAX_PRIORITY;
    }
    return true;
}

uint32_t factors_reduced(const struct factors *f, const struct cut *cut) {
    uint32_t axes = 0;
    for (int i = 0; i < f->map->loops_count; i++)
        for (int k = 0; f->map->loops[i].kind == LOOP_REDUCTION && k < cut->loops[i].count; k++)
            axes |= 1u << cut->loops[i].axes[k];
    return axes;
}

/* ---- Partial sums ---- */

bool node_adds(const struct node *n) { return n->op == OP_add || n->op == OP_sub; }

/* Every element of the result is a sum of elements of the operand, times what does not depend on it. Rounding
 * aside: a conversion to a narrower type is not linear. */
bool node_is_linear(const struct node *n, int operand) {
    enum op_family family = op_info(n->op)->family;
    switch (family) {
    case FAMILY_reshape:
    case FAMILY_transpose:
    case FAMILY_slice:
    case FAMILY_flip:
        return true;
    case FAMILY_linear:
    case FAMILY_matmul:
    case FAMILY_einsum:
        return dtype_class(n->results[0]->type.dtype) == CLASS_FLOAT;
    default:
        return n->op == OP_neg || n->op == OP_sum || (n->op == OP_mul && n->operands_count == 2) ||
               (n->op == OP_div && operand == 0);
    }
}
