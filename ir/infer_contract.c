/* Types of contractions.
 *
 *     linear(x: f32[S, 576], w: f32[192, 576]) : f32[S, 192]
 *
 * Operands have one element type, which is the result's; with `compute` (set by passes) they may be f32 or
 * bf16 in any mixture and the result is f32. */
#include "ir/einsum.h"
#include "ir/infer.h"
#include <string.h>

static bool is_short(enum dtype t) { return t == DTYPE_F32 || t == DTYPE_BF16; }

/* The result's element type, from operands 0..count-1. */
static bool check_compute(const struct infer *f, enum dtype *result) {
    const struct attr *compute = node_attr(f->n, "compute");
    *result = compute->set ? DTYPE_F32 : type_of(f, 0)->dtype;
    if (compute->set && !is_short(compute->dtype))
        return infer_error(f, 0, "compute must be f32 or bf16, is %s", dtype_name(compute->dtype));
    for (int i = 0; i < f->n->operands_count; i++) {
        if (!has(f, i)) continue;
        if (compute->set && !is_short(type_of(f, i)->dtype))
            return infer_error(f, ABOUT(i), "with compute=%s, %s must be f32 or bf16, is %s",
                               dtype_name(compute->dtype), operand_name(f, i),
                               dtype_name(type_of(f, i)->dtype));
        if (!compute->set && (!check_dtype(f, i, NUMBERS) || !check_same_dtype(f, 0, i))) return false;
    }
    return true;
}

bool infer_linear(const struct infer *f) {
    struct type t = {0};
    if (!check_compute(f, &t.dtype) || !check_rank(f, 0, 1, MAX_RANK) || !check_rank(f, 1, 2, 2))
        return false;
    const struct type *x = type_of(f, 0), *w = type_of(f, 1);
    if (!check_same_extent(f, "inner extents", 0, x->rank - 1, 1, 1)) return false;
    if (has(f, 2) && (!check_rank(f, 2, 1, 1) || !check_same_extent(f, "outputs", 1, 0, 2, 0))) return false;
    return append_extents(f, &t, x->extents, x->rank - 1) && append_extents(f, &t, w->extents, 1) &&
           give(f, 0, &t);
}

/* numpy's rules: a vector is a row on the left and a column on the right; leading axes broadcast. */
bool infer_matmul(const struct infer *f) {
    struct type t = {0};
    if (!check_compute(f, &t.dtype) || !check_rank(f, 0, 1, MAX_RANK) || !check_rank(f, 1, 1, MAX_RANK))
        return false;
    const struct type *a = type_of(f, 0), *b = type_of(f, 1);
    if (!check_same_extent(f, "inner extents", 0, a->rank - 1, 1, b->rank > 1 ? b->rank - 2 : 0))
        return false;
    int a_batch = a->rank > 2 ? a->rank - 2 : 0, b_batch = b->rank > 2 ? b->rank - 2 : 0;
    struct type left = {t.dtype, a_batch, {NULL}}, right = {t.dtype, b_batch, {NULL}};
    memcpy(left.extents, a->extents, (size_t)a_batch * sizeof *left.extents);
    memcpy(right.extents, b->extents, (size_t)b_batch * sizeof *right.extents);
    if (!join_types(f, &left, &right)) return false;
    t.rank = 0;
    return append_extents(f, &t, left.extents, left.rank) &&
           append_extents(f, &t, &a->extents[a_batch], a->rank > 1) &&
           append_extents(f, &t, &b->extents[b->rank - 1], b->rank > 1) && give(f, 0, &t);
}

/* Each letter has one extent wherever it stands. */
static bool check_letters(const struct infer *f, const struct einsum *e, const struct extent **extents) {
    int owner[sizeof e->letter] = {0};
    for (int o = 0; o < e->operands; o++)
        for (int i = 0; i < e->ranks[o]; i++) {
            int loop = e->axes[o][i];
            const struct extent *have = type_of(f, o)->extents[i];
            if (!extents[loop]) extents[loop] = have, owner[loop] = o;
            if (extents[loop] != have)
                return infer_error(f, ABOUT(owner[loop]) | ABOUT(o),
                                   "extents of '%c' differ: %s has %s, %s has %s", e->letter[loop],
                                   operand_name(f, owner[loop]), text_of(f, extents[loop]),
                                   operand_name(f, o), text_of(f, have));
        }
    return true;
}

bool infer_einsum(const struct infer *f) {
    struct einsum e;
    struct type t = {0};
    const char *spec = node_attr(f->n, "spec")->s, *wrong = einsum_parse(f->g->arena, spec, &e);
    const struct extent *extents[sizeof e.letter] = {NULL};
    if (wrong) return infer_error(f, 0, "\"%s\": %s", spec, wrong);
    if (e.operands != f->n->operands_count)
        return infer_error(f, 0, "\"%s\" names %d operand%s, given %d", spec, e.operands,
                           e.operands == 1 ? "" : "s", f->n->operands_count);
    if (!check_compute(f, &t.dtype)) return false;
    for (int o = 0; o < e.operands; o++)
        if (type_of(f, o)->rank != e.ranks[o])
            return infer_error(f, ABOUT(o), "\"%s\" gives %s %d ax%ss, it is %s", spec, operand_name(f, o),
                               e.ranks[o], e.ranks[o] == 1 ? "i" : "e", operand_text(f, o));
    return check_letters(f, &e, extents) && append_extents(f, &t, extents, e.result_rank) && give(f, 0, &t);
}

/* The last extent in blocks of 32, or NULL after reporting. */
static const struct extent *blocks(const struct infer *f, int operand) {
    const struct type *t = type_of(f, operand);
    if (!check_rank(f, operand, 1, MAX_RANK)) return NULL;
    const struct extent *count = extent_divide(f->x, t->extents[t->rank - 1], extent_const(f->x, 32));
    if (!count)
        infer_error(f, ABOUT(operand), "the last extent of %s, %s, is not a multiple of 32",
                    operand_name(f, operand), text_of(f, t->extents[t->rank - 1]));
    return count;
}

bool infer_quantize(const struct infer *f) {
    struct type codes = *type_of(f, 0), scales = codes, sums;
    if (codes.dtype != DTYPE_F32)
        return infer_error(f, ABOUT(0), "x must be f32, is %s", dtype_name(codes.dtype));
    const struct extent *count = blocks(f, 0);
    if (!count) return false;
    codes.dtype = DTYPE_I8;
    scales.extents[scales.rank - 1] = count;
    sums = scales;
    sums.dtype = DTYPE_I32;
    return give(f, 0, &codes) && give(f, 1, &scales) && give(f, 2, &sums);
}

/* Operand `i` is one number of type `dtype` for each block of the codes. */
static bool check_blocks(const struct infer *f, int i, enum dtype dtype, const struct extent *count) {
    struct type wanted = *type_of(f, 0);
    wanted.dtype = dtype;
    wanted.extents[wanted.rank - 1] = count;
    if (type_equal(type_of(f, i), &wanted)) return true;
    return infer_error(f, ABOUT(0) | ABOUT(i), "%s must be %s, is %s", operand_name(f, i),
                       type_text(f->g->arena, &wanted), operand_text(f, i));
}

bool infer_qlinear(const struct infer *f) {
    struct type t = *type_of(f, 0);
    if (t.dtype != DTYPE_I8) return infer_error(f, ABOUT(0), "codes must be i8, is %s", dtype_name(t.dtype));
    const struct extent *count = blocks(f, 0);
    if (!count || !check_blocks(f, 1, DTYPE_F32, count) || !check_blocks(f, 2, DTYPE_I32, count))
        return false;
    if (!check_dtype(f, 3, FLOATS) || !check_rank(f, 3, 2, 2)) return false;
    if (!check_same_extent(f, "inner extents", 0, t.rank - 1, 3, 1)) return false;
    t.dtype = DTYPE_F32;
    t.extents[t.rank - 1] = type_of(f, 3)->extents[0];
    return give(f, 0, &t);
}
