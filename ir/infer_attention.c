/* Types of rope and sdpa, on [seq, heads, dim] or [batch, seq, heads, dim].
 *
 *     sdpa(q: f32[S, 9, 64], k: f32[8192, 3, 64], v: f32[8192, 3, 64], causal, at=pos) : f32[S, 9, 64] */
#include "ir/infer.h"
#include <math.h>

/* A position: one number, or one a batch row where there is a batch. */
static bool check_at(const struct infer *f, int operand, bool batch) {
    if (!has(f, operand)) return true;
    if (!check_dtype(f, operand, IDS) || !check_rank(f, operand, 0, batch ? 1 : 0)) return false;
    return type_of(f, operand)->rank == 0 || check_same_extent(f, "batches", 0, 0, operand, 0);
}

bool infer_rope(const struct infer *f) {
    const struct type *t = type_of(f, 0);
    if (!check_dtype(f, 0, FLOATS) || !check_rank(f, 0, 3, 4) || !check_at(f, 1, t->rank == 4)) return false;
    const struct extent *dim = t->extents[t->rank - 1];
    if (!extent_divide(f->x, dim, extent_const(f->x, 2)))
        return infer_error(f, ABOUT(0), "the last extent must be even, is %s", text_of(f, dim));
    double base = node_attr(f->n, "base")->f;
    if (!(base > 0) || isinf(base)) return infer_error(f, 0, "base must be positive and finite");
    return give(f, 0, t);
}

static bool check_mask(const struct infer *f, int operand) {
    if (!has(f, operand)) return true;
    const struct type *q = type_of(f, 0), *k = type_of(f, 1), *mask = type_of(f, operand);
    int batch = q->rank - 3;
    if (mask->dtype != DTYPE_BOOL && dtype_class(mask->dtype) != CLASS_FLOAT)
        return infer_error(f, ABOUT(operand), "mask must be bool or of a float type, is %s",
                           dtype_name(mask->dtype));
    struct type wanted = {mask->dtype, 3, {q->extents[batch + 1], q->extents[batch], k->extents[batch]}};
    if (batch)
        wanted = (struct type){mask->dtype, 4, {q->extents[0], q->extents[2], q->extents[1], k->extents[1]}};
    if (broadcasts_to(f, mask, &wanted)) return true;
    return infer_error(
        f, ABOUT(0) | ABOUT(1) | ABOUT(operand), "mask %s does not broadcast to %s%s", shape_text(f, mask),
        batch ? "[batch, heads, queries, keys] = " : "[heads, queries, keys] = ", shape_text(f, &wanted));
}

static bool check_heads(const struct infer *f) {
    const struct type *q = type_of(f, 0), *k = type_of(f, 1);
    int batch = q->rank - 3;
    if (batch &&
        (!check_same_extent(f, "batches", 0, 0, 1, 0) || !check_same_extent(f, "batches", 0, 0, 2, 0)))
        return false;
    if (!check_same_extent(f, "numbers of keys", 1, batch, 2, batch) ||
        !check_same_extent(f, "numbers of key heads", 1, batch + 1, 2, batch + 1) ||
        !check_same_extent(f, "head dimensions", 0, batch + 2, 1, batch + 2))
        return false;
    const struct extent *heads = q->extents[batch + 1], *groups = k->extents[batch + 1];
    return extent_divide(f->x, heads, groups) ||
           infer_error(f, ABOUT(0) | ABOUT(1), "%s query heads are not a multiple of %s key heads",
                       text_of(f, heads), text_of(f, groups));
}

static bool fill_scale(const struct infer *f) {
    struct attr *scale = node_attr(f->n, "scale");
    const struct type *q = type_of(f, 0);
    int64_t dim;
    if (scale->set) return true;
    if (!extent_is_const(q->extents[q->rank - 1], &dim) || dim <= 0)
        return infer_error(f, ABOUT(0), "scale must be written where the head dimension is %s",
                           text_of(f, q->extents[q->rank - 1]));
    scale->f = 1 / sqrt((double)dim);
    return scale->set = true;
}

/* f32 with `compute`, else q's own type. Keys and values may be of other float types. */
static bool check_types(const struct infer *f, enum dtype *result) {
    const struct attr *compute = node_attr(f->n, "compute");
    *result = compute->set ? DTYPE_F32 : type_of(f, 0)->dtype;
    if (compute->set && compute->dtype != DTYPE_F32 && compute->dtype != DTYPE_BF16)
        return infer_error(f, 0, "compute must be f32 or bf16, is %s", dtype_name(compute->dtype));
    return check_dtype(f, 0, FLOATS) && check_dtype(f, 1, FLOATS) && check_dtype(f, 2, FLOATS);
}

bool infer_sdpa(const struct infer *f) {
    struct type t;
    if (!check_types(f, &t.dtype) || !check_rank(f, 0, 3, 4)) return false;
    const struct type *q = type_of(f, 0);
    int rank = q->rank;
    if (!check_rank(f, 1, rank, rank) || !check_rank(f, 2, rank, rank) || !check_heads(f)) return false;
    if (has(f, 3) && !node_attr(f->n, "causal")->i) return infer_error(f, ABOUT(3), "at without causal");
    if (!check_at(f, 3, rank == 4) || !check_mask(f, 4) || !fill_scale(f)) return false;
    struct type result = *q;
    result.dtype = t.dtype;
    result.extents[rank - 1] = type_of(f, 2)->extents[rank - 1];
    return give(f, 0, &result);
}
