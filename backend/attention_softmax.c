/* Softmax of a block of attention's scores, in base 2, online. A row of a block is a few registers, so each
 * row is loaded twice: for its largest, and for its exponentials; factors are made for a vector of rows at
 * once between the two. */
#include "backend/attention.h"

static LLVMValueRef load_floats(struct emitter *e, LLVMValueRef address, int lanes) {
    return emit_load_lanes(e, e->f32, address, lanes, NULL);
}

static LLVMValueRef exp2_of(struct emitter *e, LLVMValueRef x) {
    return emit_scalar(e, SCALAR_exp2, DTYPE_F32, &x);
}

/* The mask's elements for a vector of keys, broadcast as numpy does from the right: [..., heads, queries,
 * keys]. */
static LLVMValueRef apply_mask(struct emitter *e, const struct attention *a, LLVMValueRef scores,
                               LLVMValueRef row, LLVMValueRef key, LLVMValueRef exists) {
    const struct type *t = &a->mask->type;
    struct index full[4] = {index_uniform(a->batch), index_uniform(attention_head(e, a, row)),
                            index_uniform(attention_query(e, a, row)), index_lanes(key, 1)};
    struct point p = {.rank = t->rank, .lanes = e->lanes, .mask = exists, .tail = NULL};
    for (int i = 0; i < t->rank; i++) {
        int64_t extent;
        bool one = extent_is_const(t->extents[i], &extent) && extent == 1;
        p.at[i] = one ? index_constant(e, 0) : full[4 - t->rank + i];
    }
    LLVMValueRef mask = emit_value(e, a->mask, &p),
                 hidden = emit_constant_like(LLVMTypeOf(scores), -__builtin_inf());
    if (t->dtype == DTYPE_BOOL) return LLVMBuildSelect(e->builder, mask, scores, hidden, "");
    mask = emit_cast(e, t->dtype, DTYPE_F32, mask);
    return emit_fma(e, mask, emit_constant_like(LLVMTypeOf(scores), 1.4426950408889634), scores);
}

/* Hides the keys that a row does not see and writes the scores back. */
static LLVMValueRef hide(struct emitter *e, const struct attention *a, LLVMValueRef scores, LLVMValueRef row,
                         LLVMValueRef key, LLVMValueRef visible, LLVMValueRef address) {
    LLVMValueRef end = visible, hidden = emit_constant_like(LLVMTypeOf(scores), -__builtin_inf());
    if (a->causal) {
        LLVMValueRef seen = emit_add(e, a->past, attention_query(e, a, row));
        end = emit_min(e, visible, emit_add(e, seen, emit_i64(e, 1)));
    }
    struct index number = index_lanes(key, 1);
    LLVMValueRef exists = LLVMBuildICmp(e->builder, LLVMIntSLT, index_vector(e, &number, e->lanes),
                                        emit_splat(e, end, e->lanes), "");
    if (a->mask) scores = apply_mask(e, a, scores, row, key, exists);
    scores = LLVMBuildSelect(e->builder, exists, scores, hidden, "");
    emit_store_lanes(e, scores, address, NULL);
    return scores;
}

/* largest[row] of every row so far, kept in `factor` until the old one has been used. */
static void find_largest(struct emitter *e, const struct attention *a, LLVMValueRef first,
                         LLVMValueRef visible, bool hiding) {
    struct emit_loop rows;
    emit_loop_begin(e, &rows, emit_i64(e, 0), a->rows, 1, 0, NULL);
    LLVMValueRef base = emit_mul(e, rows.counter, emit_i64(e, a->keys)), largest = NULL;
    for (int k = 0; k < a->keys; k += e->lanes) {
        LLVMValueRef address = attention_float(e, a->scores, emit_add(e, base, emit_i64(e, k)));
        LLVMValueRef scores = load_floats(e, address, e->lanes);
        if (hiding)
            scores = hide(e, a, scores, rows.counter, emit_add(e, first, emit_i64(e, k)), visible, address);
        largest = largest ? emit_larger(e, largest, scores) : scores;
    }
    LLVMValueRef before = load_floats(e, attention_float(e, a->largest, rows.counter), 1);
    LLVMBuildStore(e->builder, emit_larger(e, emit_largest_lane(e, largest), before),
                   attention_float(e, a->factor, rows.counter));
    emit_loop_end(e, &rows, NULL);
}

/* For a vector of rows: factor = 2^(m - m'), l = l * factor. While a row has seen no key, its largest is
 * -inf; 0 in its place keeps -inf - -inf out. */
static void scale_totals(struct emitter *e, const struct attention *a) {
    LLVMTypeRef floats = emit_vector(e->f32, e->lanes);
    LLVMValueRef hidden = emit_constant_like(floats, -__builtin_inf());
    struct emit_loop rows;
    emit_loop_begin(e, &rows, emit_i64(e, 0), a->rows, e->lanes, 0, NULL);
    LLVMValueRef largest_at = attention_float(e, a->largest, rows.counter),
                 total_at = attention_float(e, a->total, rows.counter);
    LLVMValueRef factor_at = attention_float(e, a->factor, rows.counter),
                 largest = load_floats(e, factor_at, e->lanes);
    LLVMValueRef nothing = LLVMBuildFCmp(e->builder, LLVMRealOEQ, largest, hidden, "");
    LLVMValueRef shift = LLVMBuildSelect(e->builder, nothing, LLVMConstNull(floats), largest, "");
    LLVMValueRef factor =
        exp2_of(e, LLVMBuildFSub(e->builder, load_floats(e, largest_at, e->lanes), shift, ""));
    emit_store_lanes(e, largest, largest_at, NULL);
    emit_store_lanes(e, factor, factor_at, NULL);
    emit_store_lanes(e, LLVMBuildFMul(e->builder, load_floats(e, total_at, e->lanes), factor, ""), total_at,
                     NULL);
    emit_loop_end(e, &rows, NULL);
}

static void exponentials(struct emitter *e, const struct attention *a) {
    LLVMValueRef hidden = emit_f32(e, -__builtin_inf());
    struct emit_loop rows;
    emit_loop_begin(e, &rows, emit_i64(e, 0), a->rows, 1, 0, NULL);
    LLVMValueRef base = emit_mul(e, rows.counter, emit_i64(e, a->keys)), sum = NULL;
    LLVMValueRef largest = load_floats(e, attention_float(e, a->largest, rows.counter), 1);
    LLVMValueRef nothing = LLVMBuildFCmp(e->builder, LLVMRealOEQ, largest, hidden, "");
    LLVMValueRef shift =
        emit_splat(e, LLVMBuildSelect(e->builder, nothing, emit_f32(e, 0), largest, ""), e->lanes);
    for (int k = 0; k < a->keys; k += e->lanes) {
        LLVMValueRef address = attention_float(e, a->scores, emit_add(e, base, emit_i64(e, k)));
        LLVMValueRef p = exp2_of(e, LLVMBuildFSub(e->builder, load_floats(e, address, e->lanes), shift, ""));
        emit_store_lanes(e, p, address, NULL);
        sum = sum ? LLVMBuildFAdd(e->builder, sum, p, "") : p;
    }
    LLVMValueRef total_at = attention_float(e, a->total, rows.counter);
    LLVMValueRef total =
        LLVMBuildFAdd(e->builder, load_floats(e, total_at, 1), emit_horizontal(e, SCALAR_add, sum), "");
    LLVMBuildStore(e->builder, total, total_at);
    emit_loop_end(e, &rows, NULL);
}

/* Whether every row of the unit sees every key of the block: then nothing is to be hidden. */
static LLVMValueRef sees_all(struct emitter *e, const struct attention *a, LLVMValueRef first,
                             LLVMValueRef visible) {
    LLVMValueRef end = emit_add(e, first, emit_i64(e, a->keys)), least = visible;
    if (a->causal) {
        LLVMValueRef of_first = emit_add(e, emit_add(e, a->past, a->first_query), emit_i64(e, 1));
        least = emit_min(e, least, of_first);
    }
    return LLVMBuildICmp(e->builder, LLVMIntSLE, end, least, "");
}

void attention_softmax(struct emitter *e, const struct attention *a, LLVMValueRef first,
                       LLVMValueRef visible) {
    if (a->mask) {
        find_largest(e, a, first, visible, true);
    } else {
        LLVMValueRef all = sees_all(e, a, first, visible);
        struct emit_if whole, part;
        emit_if_begin(e, &whole, all);
        find_largest(e, a, first, visible, false);
        emit_if_end(e, &whole);
        emit_if_begin(e, &part, LLVMBuildNot(e->builder, all, ""));
        find_largest(e, a, first, visible, true);
        emit_if_end(e, &part);
    }
    scale_totals(e, a);
    exponentials(e, a);
}
