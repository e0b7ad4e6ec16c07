/* Reductions within a kernel: sums, products, extremes, positions of extremes, and blocks' scales. */
#include "backend/emit_family.h"
#include "backend/emit_fold.h"
#include <math.h>

/* How each op combines, and what it starts from. */
struct reducer {
    enum scalar_op combine;
    double first;     /* floats */
    bool least, most; /* starts from the type's smallest or largest value */
    bool truth;       /* of truth values, whatever the operand's type */
};
static const struct reducer reducers[OP_COUNT] = {
    [OP_sum] = {SCALAR_add, 0, false, false, false},
    [OP_mean] = {SCALAR_add, 0, false, false, false},
    [OP_prod] = {SCALAR_mul, 1, false, false, false},
    [OP_max] = {SCALAR_max, -INFINITY, true, false, false},
    [OP_min] = {SCALAR_min, INFINITY, false, true, false},
    [OP_any] = {SCALAR_or, 0, false, false, true},
    [OP_all] = {SCALAR_and, 1, false, false, true},
};

static LLVMValueRef first_of(struct emitter *e, const struct reducer *r, enum dtype t) {
    LLVMTypeRef type = emit_compute_type(e, t);
    if (dtype_class(t) == CLASS_FLOAT) return LLVMConstReal(type, r->first);
    if (t == DTYPE_BOOL) return LLVMConstInt(type, r->most || r->first == 1, 0);
    int bits = 8 * dtype_bytes(t) - (t != DTYPE_U8);
    int64_t most = (int64_t)(((uint64_t)1 << bits) - 1), least = t == DTYPE_U8 ? 0 : -most - 1;
    return LLVMConstInt(type, (uint64_t)(r->least ? least : r->most ? most : (int64_t)r->first), 1);
}

struct reduction {
    const struct node *n;
    const struct reducer *how;
    struct point base;  /* of the operand; reduced axes filled in by the steps */
    int axes[MAX_RANK]; /* reduced axes, a loop each */
    int count;
    enum dtype dtype; /* that it is reduced in */
    bool failed;
};

/* The operand's point from the result's, with reduced axes left open. */
static void open_point(struct emitter *e, struct reduction *r, const struct point *p) {
    const struct type *x = &r->n->operands[0]->type;
    const struct attr *axis = node_attr(r->n, "axis");
    bool reduced[MAX_RANK] = {false},
         keep = op_info(r->n->op)->family == FAMILY_reduce && node_attr(r->n, "keep")->i;
    if (op_info(r->n->op)->family == FAMILY_argreduce)
        reduced[axis->i] = true;
    else
        for (int i = 0; i < axis->count; i++) reduced[axis->ints[i]] = true;
    r->base = *p;
    r->base.rank = x->rank;
    for (int i = 0, j = 0; i < x->rank; i++) {
        if (reduced[i]) r->axes[r->count++] = i;
        r->base.at[i] = reduced[i] ? index_constant(e, 0) : p->at[j];
        j += !reduced[i] || keep;
    }
}

static struct point step_point(const struct reduction *r, const struct index *at, int lanes,
                               LLVMValueRef tail) {
    struct point q = r->base;
    for (int i = 0; i < r->count; i++) q.at[r->axes[i]] = at[i];
    if (q.lanes == 1 && lanes > 1) {
        q.lanes = lanes;
        q.mask = q.tail = tail;
    }
    return q;
}

/* The operand at `at` of the reduced axes; NULL, and the reduction has failed, where it has no value. */
static LLVMValueRef step_value(struct emitter *e, struct reduction *r, const struct index *at, int lanes,
                               LLVMValueRef tail, struct point *q) {
    *q = step_point(r, at, lanes, tail);
    LLVMValueRef v = emit_value(e, r->n->operands[0], q);
    if (!v) r->failed = true;
    return v;
}

static LLVMValueRef keep_masked(struct emitter *e, LLVMValueRef tail, LLVMValueRef new, LLVMValueRef old) {
    return tail ? LLVMBuildSelect(e->builder, tail, new, old, "") : new;
}

static void reduce_step(struct emitter *e, void *data, const struct index *at, int lanes, LLVMValueRef tail,
                        LLVMValueRef *sums) {
    struct reduction *r = data;
    struct point q;
    LLVMValueRef v = step_value(e, r, at, lanes, tail, &q);
    if (!v) return;
    LLVMValueRef pair[] = {sums[0], emit_cast(e, r->n->operands[0]->type.dtype, r->dtype, v)};
    sums[0] = keep_masked(e, tail, emit_scalar(e, r->how->combine, r->dtype, pair), sums[0]);
}

/* Fills in loops; by vectors where one lane is asked for and the last reduced axis is the operand's last. */
static void plan_fold(struct emitter *e, const struct reduction *r, struct fold *f) {
    const struct type *x = &r->n->operands[0]->type;
    f->loops = r->count;
    for (int i = 0; i < r->count; i++) f->counts[i] = emit_extent(e, x->extents[r->axes[i]]);
    f->lanes = r->base.lanes;
    f->vector = f->lanes == 1 && r->count && r->axes[r->count - 1] == x->rank - 1 ? e->lanes : 1;
}

LLVMValueRef emit_family_reduce(struct emitter *e, const struct node *n, int result, const struct point *p) {
    struct reduction r = {.n = n, .how = &reducers[n->op]};
    if (!r.how->combine) return unsupported(e, n, result, p);
    enum dtype t = n->results[result]->type.dtype;
    r.dtype = r.how->truth ? DTYPE_BOOL : t;
    open_point(e, &r, p);
    struct fold f = {.count = 1, .initial = {first_of(e, r.how, r.dtype)}, .step = reduce_step, .data = &r};
    plan_fold(e, &r, &f);
    LLVMValueRef sum;
    emit_fold(e, &f, &sum);
    if (r.failed) return NULL;
    if (f.vector > 1) sum = emit_horizontal(e, r.how->combine, sum);
    if (n->op == OP_mean) {
        LLVMValueRef count = emit_i64(e, 1);
        for (int i = 0; i < f.loops; i++) count = emit_mul(e, count, f.counts[i]);
        sum = LLVMBuildFDiv(e->builder, sum,
                            emit_splat(e, emit_cast(e, DTYPE_I64, t, count), emit_lanes_of(sum)), "");
    }
    return emit_wrap(e, t, emit_cast(e, r.dtype, t, sum));
}

/* ---- argmax, argmin ---- */

/* Whether a is a better choice than b: beyond it, or the first NaN. */
static LLVMValueRef better(struct emitter *e, bool largest, LLVMValueRef a, LLVMValueRef b) {
    if (!emit_is_float(LLVMTypeOf(a))) {
        bool truth = emit_element(LLVMTypeOf(a)) == e->i1;
        LLVMIntPredicate more = truth ? LLVMIntUGT : LLVMIntSGT;
        return largest ? LLVMBuildICmp(e->builder, more, a, b, "")
                       : LLVMBuildICmp(e->builder, more, b, a, "");
    }
    LLVMValueRef beyond = LLVMBuildFCmp(e->builder, largest ? LLVMRealOGT : LLVMRealOLT, a, b, "");
    LLVMValueRef nan = LLVMBuildAnd(e->builder, LLVMBuildFCmp(e->builder, LLVMRealUNO, a, a, ""),
                                    LLVMBuildFCmp(e->builder, LLVMRealORD, b, b, ""), "");
    return LLVMBuildOr(e->builder, beyond, nan, "");
}

/* sums: the best value, and its position (-1: none yet). */
static void argreduce_step(struct emitter *e, void *data, const struct index *at, int lanes,
                           LLVMValueRef tail, LLVMValueRef *sums) {
    struct reduction *r = data;
    struct point q;
    LLVMValueRef v = step_value(e, r, at, lanes, tail, &q);
    if (!v) return;
    v = emit_round(e, r->n->operands[0]->type.dtype, v); /* what ties rounded may not before */
    LLVMTypeRef positions = emit_vector(e, e->i32, q.lanes);
    LLVMValueRef here =
        LLVMBuildTrunc(e->builder, index_vector(e, &q.at[r->axes[0]], q.lanes), positions, "");
    LLVMValueRef none = LLVMBuildICmp(e->builder, LLVMIntSLT, sums[1], LLVMConstNull(positions), "");
    LLVMValueRef take = LLVMBuildOr(e->builder, none, better(e, r->n->op == OP_argmax, v, sums[0]), "");
    if (tail) take = LLVMBuildAnd(e->builder, take, tail, "");
    sums[0] = LLVMBuildSelect(e->builder, take, v, sums[0], "");
    sums[1] = LLVMBuildSelect(e->builder, take, here, sums[1], "");
}

/* Brings the lanes' choices together: the better one, of equal ones the first; lanes without a choice lose.
 */
static LLVMValueRef choose_lane(struct emitter *e, bool largest, LLVMValueRef value, LLVMValueRef position) {
    for (int lanes = emit_width(e, value); lanes > 1; lanes /= 2) {
        LLVMValueRef values[2], positions[2];
        emit_halves(e, value, lanes, values);
        emit_halves(e, position, lanes, positions);
        LLVMValueRef a = values[0], b = values[1], i = positions[0], j = positions[1];
        LLVMValueRef equal = LLVMBuildNot(e->builder, better(e, largest, a, b), "");
        LLVMValueRef earlier =
            LLVMBuildAnd(e->builder, equal, LLVMBuildICmp(e->builder, LLVMIntULT, j, i, ""), "");
        LLVMValueRef some = LLVMBuildICmp(e->builder, LLVMIntSGE, j, LLVMConstNull(LLVMTypeOf(j)), "");
        LLVMValueRef take = LLVMBuildAnd(e->builder, some,
                                         LLVMBuildOr(e->builder, earlier, better(e, largest, b, a), ""), "");
        LLVMValueRef empty = LLVMBuildICmp(e->builder, LLVMIntSLT, i, LLVMConstNull(LLVMTypeOf(i)), "");
        take = LLVMBuildOr(e->builder, take, LLVMBuildAnd(e->builder, some, empty, ""), "");
        value = LLVMBuildSelect(e->builder, take, b, a, "");
        position = LLVMBuildSelect(e->builder, take, j, i, "");
    }
    return position;
}

LLVMValueRef emit_family_argreduce(struct emitter *e, const struct node *n, int result,
                                   const struct point *p) {
    struct reduction r = {.n = n, .dtype = n->operands[0]->type.dtype};
    (void)result;
    open_point(e, &r, p);
    LLVMValueRef nothing = LLVMConstNull(emit_compute_type(e, r.dtype));
    struct fold f = {.count = 2, .initial = {nothing, emit_i32(e, -1)}, .step = argreduce_step, .data = &r};
    plan_fold(e, &r, &f);
    LLVMValueRef sums[2];
    emit_fold(e, &f, sums);
    if (r.failed) return NULL;
    return f.vector > 1 ? choose_lane(e, n->op == OP_argmax, sums[0], sums[1]) : sums[1];
}
