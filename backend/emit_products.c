/* Sums of products and windows wherever no register tiling was scheduled: linear, matmul, einsum, qlinear,
 * conv, pool, all by their index maps.
 *
 *     conv   x [n, c, 2*l + j - 1] guarded   w [o, c, j]   result [n, o, l]
 *            for c, j: sum += x[...] * w[...] */
#include "backend/emit_family.h"
#include "backend/emit_fold.h"
#include <math.h>

enum { QUANTISED_BLOCK = 32 };

struct products {
    const struct node *n;
    const struct imap *map;
    struct index loops[MAX_LOOPS]; /* parallel ones; reduced ones filled in by steps */
    int reduced[MAX_LOOPS], count;
    int lanes; /* of the result */
    LLVMValueRef mask, tail;
    enum dtype sum; /* type that is summed in */
    bool failed;
};

/* Finds the parallel loops' indices from the result's point: an axis is one loop, or counts a slow one in
 * steps of a fast one (groups of channels). */
static void read_result(struct emitter *e, struct products *s, int result, const struct point *p) {
    const struct access_map *map = &s->map->results[result];
    for (int i = 0; i < map->rank; i++) {
        const struct axis_map *a = &map->axes[i];
        if (!a->count) continue;
        int slow = a->count > 1 && a->terms[1].coefficient > a->terms[0].coefficient ? 1 : 0,
            fast = a->count > 1 ? 1 - slow : slow;
        if (fast == slow) {
            s->loops[a->terms[0].loop] = p->at[i];
            continue;
        }
        int64_t step = a->terms[slow].coefficient;
        s->loops[a->terms[slow].loop] = index_div_by(e, p->at[i], step, p->lanes);
        s->loops[a->terms[fast].loop] = index_rem_by(e, p->at[i], step, p->lanes);
    }
}

/* Where operand k is read; *inside: lanes that are no padding, NULL for all. */
static struct point operand_point(struct emitter *e, struct products *s, int k, int lanes,
                                  LLVMValueRef *inside) {
    const struct access_map *map = &s->map->operands[k];
    struct point q = {.rank = map->rank, .lanes = lanes, .mask = s->mask, .tail = s->tail};
    *inside = NULL;
    for (int i = 0; i < map->rank; i++) {
        const struct axis_map *a = &map->axes[i];
        struct index at = a->offset ? index_uniform(emit_extent(e, a->offset)) : index_constant(e, 0);
        for (int t = 0; t < a->count; t++)
            at = index_add(
                e, at, index_scale_by(e, s->loops[a->terms[t].loop], a->terms[t].coefficient, lanes), lanes);
        q.at[i] = at;
        if (!a->guarded) continue;
        LLVMValueRef extent = emit_splat(e, emit_extent(e, s->n->operands[k]->type.extents[i]), lanes);
        LLVMValueRef here = LLVMBuildICmp(e->builder, LLVMIntULT, index_vector(e, &at, lanes), extent, "");
        *inside = emit_both(e, *inside, here);
    }
    q.mask = emit_both(e, q.mask, *inside);
    return q;
}

/* Steps know the reduced loops; with one result lane, the innermost may bring lanes of its own. */
static int begin_step(struct products *s, const struct index *at, int lanes, LLVMValueRef tail) {
    for (int i = 0; i < s->count; i++) s->loops[s->reduced[i]] = at[i];
    if (s->lanes > 1 || lanes == 1) return s->lanes;
    s->mask = s->tail = tail;
    return lanes;
}

static bool is_quantised(const struct node *n) { return op_info(n->op)->family == FAMILY_qlinear; }

static LLVMValueRef factor(struct emitter *e, struct products *s, int k, int lanes) {
    LLVMValueRef inside;
    struct point q = operand_point(e, s, k, lanes, &inside);
    if (is_quantised(s->n) && k == 1) /* a scale for each block of inputs */
        q.at[q.rank - 1] = index_div_by(e, s->loops[s->reduced[0]], QUANTISED_BLOCK, lanes);
    LLVMValueRef v = emit_value(e, s->n->operands[k], &q);
    if (!v) {
        s->failed = true;
        return NULL;
    }
    enum dtype t = s->n->operands[k]->type.dtype;
    int slot = op_info(s->n->op)->family == FAMILY_linear || op_info(s->n->op)->family == FAMILY_matmul ||
                       op_info(s->n->op)->family == FAMILY_einsum
                   ? op_attr(s->n->op, "compute")
                   : -1;
    const struct attr *compute = slot >= 0 ? &s->n->attrs[slot] : NULL;
    if (compute && compute->set && dtype_class(compute->dtype) == CLASS_FLOAT &&
        dtype_bytes(compute->dtype) < dtype_bytes(t)) {
        v = emit_cast(e, t, compute->dtype, v);
        t = compute->dtype;
    }
    v = emit_cast(e, t, s->sum, v);
    return inside ? LLVMBuildSelect(e->builder, inside, v, LLVMConstNull(LLVMTypeOf(v)), "") : v;
}

static LLVMValueRef multiply_add(struct emitter *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef sum) {
    if (emit_is_float(LLVMTypeOf(a))) return emit_fma(e, a, b, sum);
    return LLVMBuildAdd(e->builder, LLVMBuildMul(e->builder, a, b, ""), sum, "");
}

/* Masked lanes read zeros, so they add nothing to a sum, but for an infinity among the uniform factors. */
static void product_step(struct emitter *e, void *data, const struct index *at, int lanes, LLVMValueRef tail,
                         LLVMValueRef *sums) {
    struct products *s = data;
    lanes = begin_step(s, at, lanes, tail);
    bool quantised = is_quantised(s->n), biased = op_info(s->n->op)->family == FAMILY_linear;
    LLVMValueRef product = NULL, last = NULL;
    int count = biased ? 2 : s->n->operands_count;
    for (int k = 0; k < count && !s->failed; k++) {
        if (quantised && k == 2) continue; /* the sums serve weights kept without their minimum */
        LLVMValueRef v = factor(e, s, k, lanes);
        if (!v) return;
        if (last) product = product ? multiply_add(e, product, last, LLVMConstNull(LLVMTypeOf(v))) : last;
        last = v;
    }
    if (s->failed) return;
    LLVMValueRef one = emit_constant_like(LLVMTypeOf(last), 1),
                 sum = multiply_add(e, product ? product : one, last, sums[0]);
    sums[0] = tail ? LLVMBuildSelect(e->builder, tail, sum, sums[0], "") : sum;
}

/* The result's lane loop, or -1 if its last axis is not one loop. */
static int lane_loop(const struct node *n, const struct imap *map) {
    const struct type *t = &n->results[0]->type;
    int64_t one;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (extent_is_const(t->extents[i], &one) && one == 1) continue;
        const struct axis_map *a = &map->results[0].axes[i];
        for (int k = 0; k < a->count; k++)
            if (a->terms[k].coefficient == 1) return a->terms[k].loop;
        return -1;
    }
    return -1;
}

static int64_t coefficient(const struct axis_map *a, int loop) {
    for (int i = 0; i < a->count; i++)
        if (a->terms[i].loop == loop) return a->terms[i].coefficient;
    return 0;
}

bool fold_follows_lanes(struct emitter *e, const struct node *n) {
    const struct imap *map = imap_of(e->arena, e->graph, n);
    int lane = lane_loop(n, map);
    for (int k = 0; k < n->operands_count && lane >= 0; k++) {
        const struct access_map *a = &map->operands[k];
        for (int i = 0; i < a->rank; i++) {
            int64_t c = coefficient(&a->axes[i], lane);
            if (a->axes[i].whole || c > 1 || c < 0 || (c == 1 && i < a->rank - 1)) return false;
        }
    }
    return lane >= 0;
}

/* By vectors over the last reduced loop, where operands have it as their last axis or not at all. */
static int reduction_vector(struct emitter *e, const struct products *s) {
    if (s->lanes > 1 || !s->count) return 1;
    int last = s->reduced[s->count - 1];
    for (int k = 0; k < s->n->operands_count; k++) {
        const struct access_map *a = &s->map->operands[k];
        for (int i = 0; i < a->rank && !(is_quantised(s->n) && (k == 1 || k == 2)); i++) {
            int64_t c = coefficient(&a->axes[i], last);
            if (a->axes[i].whole || c > 1 || c < 0 || (c == 1 && i < a->rank - 1)) return 1;
        }
    }
    int64_t n;
    bool short_loop = extent_is_const(s->map->loops[last].extent, &n) && n < e->lanes;
    return short_loop ? 1 : e->lanes;
}

static void begin(struct emitter *e, struct products *s, const struct node *n, int result,
                  const struct point *p) {
    *s = (struct products){.n = n,
                           .map = imap_of(e->arena, e->graph, n),
                           .lanes = p->lanes,
                           .mask = p->mask,
                           .tail = p->tail,
                           .sum = n->results[result]->type.dtype};
    read_result(e, s, result, p);
    for (int i = 0; i < s->map->loops_count; i++)
        if (s->map->loops[i].kind == LOOP_REDUCTION) s->reduced[s->count++] = i;
}

static void plan(struct emitter *e, struct products *s, struct fold *f) {
    f->loops = s->count;
    for (int i = 0; i < s->count; i++) f->counts[i] = emit_extent(e, s->map->loops[s->reduced[i]].extent);
    f->lanes = s->lanes;
    f->vector = reduction_vector(e, s);
    f->data = s;
}

static LLVMValueRef sum_products(struct emitter *e, const struct node *n, int result, const struct point *p) {
    struct products s;
    begin(e, &s, n, result, p);
    struct fold f = {
        .count = 1, .initial = {LLVMConstNull(emit_compute_type(e, s.sum))}, .step = product_step};
    plan(e, &s, &f);
    LLVMValueRef sum;
    emit_fold(e, &f, &sum);
    if (s.failed) return NULL;
    if (f.vector > 1) sum = emit_horizontal(e, SCALAR_add, sum);
    return emit_wrap(e, s.sum, sum);
}

LLVMValueRef emit_family_linear(struct emitter *e, const struct node *n, int result, const struct point *p) {
    LLVMValueRef sum = sum_products(e, n, result, p);
    struct value *bias = n->operands[2];
    if (!sum || !bias) return sum;
    struct point q = point_broadcast(e, &bias->type, &n->results[result]->type, p);
    LLVMValueRef b = emit_value(e, bias, &q);
    if (!b) return NULL;
    LLVMValueRef pair[] = {sum, b};
    return emit_wrap(e, bias->type.dtype, emit_scalar(e, SCALAR_add, bias->type.dtype, pair));
}
LLVMValueRef emit_family_matmul(struct emitter *e, const struct node *n, int result, const struct point *p) {
    return sum_products(e, n, result, p);
}
LLVMValueRef emit_family_einsum(struct emitter *e, const struct node *n, int result, const struct point *p) {
    return sum_products(e, n, result, p);
}
LLVMValueRef emit_family_qlinear(struct emitter *e, const struct node *n, int result, const struct point *p) {
    return sum_products(e, n, result, p);
}
LLVMValueRef emit_family_conv(struct emitter *e, const struct node *n, int result, const struct point *p) {
    return sum_products(e, n, result, p);
}

/* ---- pooling ---- */

/* sums: the largest, or the sum and how many were no padding. */
static void pool_step(struct emitter *e, void *data, const struct index *at, int lanes, LLVMValueRef tail,
                      LLVMValueRef *sums) {
    struct products *s = data;
    lanes = begin_step(s, at, lanes, tail);
    LLVMValueRef inside;
    struct point q = operand_point(e, s, 0, lanes, &inside);
    LLVMValueRef v = emit_value(e, s->n->operands[0], &q);
    if (!v) {
        s->failed = true;
        return;
    }
    inside = emit_both(e, inside, tail);
    bool largest = s->n->op == OP_max_pool;
    LLVMValueRef pair[] = {sums[0], v}, one[] = {sums[1], emit_constant_like(LLVMTypeOf(sums[1]), 1)};
    LLVMValueRef next = emit_scalar(e, largest ? SCALAR_max : SCALAR_add, s->sum, pair);
    LLVMValueRef more = emit_scalar(e, SCALAR_add, s->sum, one);
    sums[0] = inside ? LLVMBuildSelect(e->builder, inside, next, sums[0], "") : next;
    sums[1] = inside ? LLVMBuildSelect(e->builder, inside, more, sums[1], "") : more;
}

static LLVMValueRef least(struct emitter *e, enum dtype t) {
    LLVMTypeRef type = emit_compute_type(e, t);
    if (dtype_class(t) == CLASS_FLOAT) return LLVMConstReal(type, -INFINITY);
    if (t == DTYPE_U8 || t == DTYPE_BOOL) return LLVMConstNull(type);
    return LLVMConstInt(
        type, (uint64_t)INT64_MIN >> (64 - 8 * dtype_bytes(t)) | ~(uint64_t)0 << (8 * dtype_bytes(t) - 1), 1);
}

LLVMValueRef emit_family_pool(struct emitter *e, const struct node *n, int result, const struct point *p) {
    struct products s;
    begin(e, &s, n, result, p);
    LLVMValueRef zero = LLVMConstNull(emit_compute_type(e, s.sum));
    struct fold f = {
        .count = 2, .initial = {n->op == OP_max_pool ? least(e, s.sum) : zero, zero}, .step = pool_step};
    plan(e, &s, &f);
    f.vector = 1;
    LLVMValueRef sums[2];
    emit_fold(e, &f, sums);
    if (s.failed) return NULL;
    return n->op == OP_max_pool ? sums[0] : LLVMBuildFDiv(e->builder, sums[0], sums[1], "");
}

/* ---- transposed convolution ---- */

/* Position p of the result sees x at (p + pad - j) / stride, for those j of the kernel where that is whole
 * and inside. */
static struct point spread_point(struct emitter *e, struct products *s, const struct index *positions,
                                 const struct index *j, int lanes, LLVMValueRef *inside) {
    struct point q = operand_point(e, s, 0, lanes, inside);
    int spatial = q.rank - 2;
    LLVMTypeRef type = emit_vector(e, e->i64, lanes);
    for (int i = 0; i < spatial; i++) {
        int64_t stride = node_attr(s->n, "stride")->ints[i], pad = node_attr(s->n, "pad")->ints[2 * i];
        if (stride == 1) continue;
        struct index sum = index_add(e, index_add(e, positions[i], index_constant(e, pad), lanes),
                                     index_scale_by(e, j[i], -1, lanes), lanes);
        LLVMValueRef v = index_vector(e, &sum, lanes), by = emit_constant_like(type, (double)stride);
        LLVMValueRef whole = LLVMBuildICmp(e->builder, LLVMIntEQ, LLVMBuildSRem(e->builder, v, by, ""),
                                           LLVMConstNull(type), "");
        LLVMValueRef at = LLVMBuildSDiv(e->builder, v, by, "");
        LLVMValueRef extent = emit_splat(e, emit_extent(e, s->n->operands[0]->type.extents[i + 2]), lanes);
        *inside = emit_both(
            e, *inside,
            LLVMBuildAnd(e->builder, whole, LLVMBuildICmp(e->builder, LLVMIntULT, at, extent, ""), ""));
        q.at[i + 2] = lanes > 1 ? (struct index){.vector = at, .align = 1} : index_uniform(at);
    }
    q.mask = emit_both(e, s->mask, *inside);
    return q;
}

struct spread {
    struct products s;
    struct index positions[MAX_RANK];
};

static void spread_step(struct emitter *e, void *data, const struct index *at, int lanes, LLVMValueRef tail,
                        LLVMValueRef *sums) {
    struct spread *t = data;
    lanes = begin_step(&t->s, at, lanes, tail);
    LLVMValueRef inside;
    struct point q = spread_point(e, &t->s, t->positions, &at[1], lanes, &inside);
    LLVMValueRef x = emit_value(e, t->s.n->operands[0], &q), w = factor(e, &t->s, 1, lanes);
    if (!x || !w) {
        t->s.failed = true;
        return;
    }
    LLVMValueRef sum =
        multiply_add(e, emit_cast(e, t->s.n->operands[0]->type.dtype, t->s.sum, x), w, sums[0]);
    sums[0] = inside ? LLVMBuildSelect(e->builder, inside, sum, sums[0], "") : sum;
}

/* Reduced loops: the channels of x, then the kernel's positions. */
LLVMValueRef emit_family_conv_transpose(struct emitter *e, const struct node *n, int result,
                                        const struct point *p) {
    struct spread t;
    begin(e, &t.s, n, result, p);
    for (int i = 2; i < p->rank; i++) t.positions[i - 2] = p->at[i];
    struct fold f = {
        .count = 1, .initial = {LLVMConstNull(emit_compute_type(e, t.s.sum))}, .step = spread_step};
    plan(e, &t.s, &f);
    f.vector = 1;
    f.data = &t;
    LLVMValueRef sum;
    emit_fold(e, &f, &sum);
    return t.s.failed ? NULL : sum;
}
