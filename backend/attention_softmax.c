/* Softmax of a tile's scores over a part of keys, in base 2. Largest scores are found while scores are in
 * registers, factors are made for a vector of rows at once, and each score is loaded once, for its
 * exponential. */
#include "backend/attention.h"
#include "backend/emit_math.h"

static LLVMValueRef load_floats(struct emitter *e, LLVMValueRef address, int lanes) {
    return emit_load_lanes(e, e->f32, address, lanes, NULL);
}

static LLVMValueRef hidden_like(LLVMValueRef scores) {
    return emit_constant_like(LLVMTypeOf(scores), -__builtin_inf());
}

/* ---- what rows see ---- */

static LLVMValueRef mask_at(struct emitter *e, const struct attention *a, LLVMValueRef row, LLVMValueRef key,
                            LLVMValueRef exists) {
    struct index head = index_uniform(attention_head(e, a, row)),
                 query = index_uniform(attention_query(e, a, row));
    return sdpa_mask(e, &a->sdpa, head, query, index_lanes(key, 1), exists);
}

/* Lanes of keys key .. key + lanes below `end`. */
static LLVMValueRef keys_below(struct emitter *e, LLVMValueRef key, LLVMValueRef end) {
    return emit_tail_mask(e, key, end, e->lanes);
}

static LLVMValueRef seen_end(struct emitter *e, const struct attention *a, LLVMValueRef row,
                             LLVMValueRef visible) {
    LLVMValueRef query = attention_query(e, a, row);
    return sdpa_visible(e, &a->sdpa, a->past, query, visible);
}

/* ---- scores as they are made ---- */

static LLVMValueRef score_address(struct emitter *e, const struct attention *a, LLVMValueRef row,
                                  LLVMValueRef column) {
    return attention_float(e, a->scores, emit_add(e, emit_mul(e, row, emit_i64(e, a->keys)), column));
}

static void keep_largest(struct emitter *e, const struct attention *a, LLVMValueRef row,
                         LLVMValueRef *scores) {
    LLVMValueRef at = attention_float(e, a->lane_largest, emit_mul(e, row, emit_i64(e, e->lanes)));
    LLVMValueRef largest = load_floats(e, at, e->lanes);
    for (int v = 0; v < a->vectors; v++) largest = emit_larger(e, largest, scores[v]);
    emit_store_lanes(e, largest, at, NULL);
}

static void store_scores(struct emitter *e, const struct attention *a, const struct attention_tile *t,
                         LLVMValueRef column, LLVMValueRef *scores) {
    LLVMValueRef base = attention_float(e, a->scores, column);
    for (int r = 0; r < t->rows; r++)
        for (int v = 0; v < a->vectors; v++)
            emit_store_lanes(
                e, scores[r * a->vectors + v],
                attention_float(e, base, emit_i64(e, (int64_t)r * a->keys + (int64_t)v * e->lanes)), NULL);
}

static void keep_all_largest(struct emitter *e, const struct attention *a, const struct attention_tile *t,
                             LLVMValueRef *scores) {
    for (int r = 0; r < t->rows; r++) keep_largest(e, a, emit_i64(e, r), &scores[r * a->vectors]);
}

/* What a mask that is one for all rows says of vectors of keys: which are seen, and what is added to their scores, where it adds. */
struct hiding {
    LLVMValueRef seen[ATTENTION_VECTORS], added[ATTENTION_VECTORS];
};

static void find_hiding(struct emitter *e, const struct attention *a, LLVMValueRef column, struct hiding *h) {
    for (int v = 0; v < a->vectors; v++) {
        LLVMValueRef at = emit_add(e, column, emit_i64(e, (int64_t)v * e->lanes));
        LLVMValueRef seen = emit_load_lanes(e, e->i32, attention_float(e, a->seen, at), e->lanes, NULL);
        h->seen[v] = LLVMBuildICmp(e->builder, LLVMIntSLT, seen, LLVMConstNull(LLVMTypeOf(seen)), "");
        h->added[v] = a->added ? load_floats(e, attention_float(e, a->added, at), e->lanes) : NULL;
    }
}

static LLVMValueRef hide(struct emitter *e, const struct attention *a, const struct hiding *h, int v,
                         LLVMValueRef score) {
    if (h->added[v]) score = sdpa_apply_mask(e, &a->sdpa, h->added[v], score);
    return LLVMBuildSelect(e->builder, h->seen[v], score, hidden_like(score), "");
}

void attention_find_mask(struct emitter *e, const struct attention *a, const struct attention_part *part) {
    if (!a->seen) return;
    struct emit_loop columns;
    LLVMValueRef whole = emit_i64(e, (int64_t)a->vectors * e->lanes), none = emit_i64(e, 0);
    LLVMValueRef end = emit_mul(e, emit_div_up(e, part->count, whole), whole);
    emit_loop_begin(e, &columns, none, end, e->lanes, 0, NULL);
    LLVMValueRef key = emit_add(e, part->first, columns.counter), seen = keys_below(e, key, part->visible);
    LLVMValueRef mask = mask_at(e, a, none, key, seen);
    if (a->added)
        emit_store_lanes(e, mask, attention_float(e, a->added, columns.counter), NULL);
    else
        seen = LLVMBuildAnd(e->builder, seen, mask, "");
    seen = LLVMBuildSExt(e->builder, seen, emit_vector(e, e->i32, e->lanes), "");
    emit_store_lanes(e, seen, attention_float(e, a->seen, columns.counter), NULL);
    emit_loop_end(e, &columns, NULL);
}

/* The scores of one row after another, from where they have been stored: all of them, or without those that `hiding` hides. */
static void keep_stored(struct emitter *e, const struct attention *a, const struct attention_tile *t,
                        LLVMValueRef column, const struct hiding *h) {
    struct emit_loop rows;
    LLVMValueRef scores[ATTENTION_VECTORS];
    emit_loop_begin(e, &rows, emit_i64(e, 0), emit_i64(e, t->rows), 1, 0, NULL);
    for (int v = 0; v < a->vectors; v++) {
        LLVMValueRef at = emit_add(e, column, emit_i64(e, (int64_t)v * e->lanes)),
                     address = score_address(e, a, rows.counter, at);
        scores[v] = load_floats(e, address, e->lanes);
        if (!h) continue;
        scores[v] = hide(e, a, h, v, scores[v]);
        emit_store_lanes(e, scores[v], address, NULL);
    }
    keep_largest(e, a, rows.counter, scores);
    emit_loop_end(e, &rows, NULL);
}

/* The same without those that a row does not see. */
static void hide_by_rows(struct emitter *e, const struct attention *a, const struct attention_part *part,
                         const struct attention_tile *t, LLVMValueRef column) {
    struct emit_loop rows;
    emit_loop_begin(e, &rows, emit_i64(e, 0), emit_i64(e, t->rows), 1, 0, NULL);
    LLVMValueRef row = attention_row(e, a, t, rows.counter);
    LLVMValueRef end = seen_end(e, a, row, part->visible), scores[MAX_LANES];
    for (int v = 0; v < a->vectors; v++) {
        LLVMValueRef at = emit_add(e, column, emit_i64(e, (int64_t)v * e->lanes));
        LLVMValueRef address = score_address(e, a, rows.counter, at), key = emit_add(e, part->first, at);
        LLVMValueRef exists = keys_below(e, key, end);
        scores[v] = load_floats(e, address, e->lanes);
        if (a->sdpa.mask)
            scores[v] = sdpa_apply_mask(e, &a->sdpa, mask_at(e, a, row, key, exists), scores[v]);
        scores[v] = LLVMBuildSelect(e->builder, exists, scores[v], hidden_like(scores[v]), "");
        emit_store_lanes(e, scores[v], address, NULL);
    }
    keep_largest(e, a, rows.counter, scores);
    emit_loop_end(e, &rows, NULL);
}

/* Without a mask: a tile whose first row sees all of these keys, or one after the other. `scores`: in registers; NULL: stored. */
static void note_seen(struct emitter *e, const struct attention *a, const struct attention_part *part,
                      const struct attention_tile *t, LLVMValueRef column, LLVMValueRef *scores) {
    LLVMValueRef end =
        emit_add(e, emit_add(e, part->first, column), emit_i64(e, (int64_t)a->vectors * e->lanes));
    LLVMValueRef all = LLVMBuildICmp(e->builder, LLVMIntSLE, end, seen_end(e, a, t->row, part->visible), "");
    struct emit_if whole, cut;
    emit_if_begin(e, &whole, all);
    if (scores)
        keep_all_largest(e, a, t, scores);
    else
        keep_stored(e, a, t, column, NULL);
    emit_if_end(e, &whole);
    emit_if_begin(e, &cut, LLVMBuildNot(e->builder, all, ""));
    hide_by_rows(e, a, part, t, column);
    emit_if_end(e, &cut);
}

void attention_note_scores(struct emitter *e, const struct attention *a, const struct attention_part *part,
                           const struct attention_tile *t, LLVMValueRef column, LLVMValueRef *scores) {
    struct hiding h;
    if (a->seen) find_hiding(e, a, column, &h);
    for (int i = 0; a->seen && i < t->rows * a->vectors; i++)
        scores[i] = hide(e, a, &h, i % a->vectors, scores[i]);
    store_scores(e, a, t, column, scores);
    if (a->seen)
        keep_all_largest(e, a, t, scores);
    else if (a->sdpa.mask)
        hide_by_rows(e, a, part, t, column);
    else
        note_seen(e, a, part, t, column, scores);
}

void attention_note_stored(struct emitter *e, const struct attention *a, const struct attention_part *part,
                           const struct attention_tile *t, LLVMValueRef column) {
    struct hiding h;
    if (a->seen) {
        find_hiding(e, a, column, &h);
        keep_stored(e, a, t, column, &h);
    } else if (a->sdpa.mask) {
        hide_by_rows(e, a, part, t, column);
    } else {
        note_seen(e, a, part, t, column, NULL);
    }
}

/* ---- factors of rows ---- */

/* While a row has seen no key, its largest score is -inf; 0 in its place keeps -inf - -inf out. */
static LLVMValueRef shift_of(struct emitter *e, LLVMValueRef largest) {
    LLVMValueRef nothing = LLVMBuildFCmp(e->builder, LLVMRealOEQ, largest, hidden_like(largest), "");
    return LLVMBuildSelect(e->builder, nothing, LLVMConstNull(LLVMTypeOf(largest)), largest, "");
}

/* The tile's rows i .. i + lanes, as lanes; NULL: all of these exist. */
static LLVMValueRef lanes_of_rows(struct emitter *e, const struct attention_tile *t, int i) {
    return i + e->lanes <= t->rows ? NULL : emit_tail_mask(e, emit_i64(e, i), emit_i64(e, t->rows), e->lanes);
}

static void find_factors(struct emitter *e, const struct attention *a, const struct attention_tile *t) {
    struct emit_loop rows;
    emit_loop_begin(e, &rows, emit_i64(e, 0), emit_i64(e, t->rows), 1, 0, NULL);
    LLVMValueRef from = attention_float(e, a->lane_largest, emit_mul(e, rows.counter, emit_i64(e, e->lanes)));
    LLVMBuildStore(e->builder, emit_largest_lane(e, load_floats(e, from, e->lanes)),
                   attention_float(e, a->part_largest, rows.counter));
    emit_loop_end(e, &rows, NULL);
    for (int i = 0; i < t->rows; i += e->lanes) {
        LLVMValueRef here = emit_i64(e, i);
        LLVMValueRef at = attention_float(e, a->largest, emit_add(e, t->row, here));
        LLVMValueRef before = load_floats(e, at, e->lanes);
        LLVMValueRef part = load_floats(e, attention_float(e, a->part_largest, here), e->lanes);
        LLVMValueRef largest = emit_larger(e, before, part), shift = shift_of(e, largest);
        LLVMValueRef keep = math_exp2_falling(e, LLVMBuildFSub(e->builder, before, shift, ""), DTYPE_F32);
        LLVMValueRef join = math_exp2_falling(e, LLVMBuildFSub(e->builder, part, shift, ""), DTYPE_F32);
        emit_store_lanes(e, largest, at, lanes_of_rows(e, t, i));
        emit_store_lanes(e, shift_of(e, part), attention_float(e, a->part_largest, here), NULL);
        emit_store_lanes(e, keep, attention_float(e, a->keep, here), NULL);
        emit_store_lanes(e, join, attention_float(e, a->join, here), NULL);
    }
}

static void add_totals(struct emitter *e, const struct attention *a, const struct attention_tile *t) {
    for (int i = 0; i < t->rows; i += e->lanes) {
        LLVMValueRef here = emit_i64(e, i), at = attention_float(e, a->total, emit_add(e, t->row, here));
        LLVMValueRef before = load_floats(e, at, e->lanes);
        LLVMValueRef part = load_floats(e, attention_float(e, a->part_total, here), e->lanes);
        before = LLVMBuildFMul(e->builder, before,
                               load_floats(e, attention_float(e, a->keep, here), e->lanes), "");
        LLVMValueRef join = load_floats(e, attention_float(e, a->join, here), e->lanes);
        emit_store_lanes(e, emit_fma(e, part, join, before), at, lanes_of_rows(e, t, i));
    }
}

/* ---- exponentials ---- */

static LLVMValueRef exponentials_of(struct emitter *e, const struct attention *a, LLVMValueRef row,
                                    LLVMValueRef column, LLVMValueRef shift) {
    LLVMValueRef sum = NULL, from = score_address(e, a, row, column);
    LLVMValueRef to =
        attention_factor(e, a, a->probabilities, emit_add(e, emit_mul(e, row, emit_i64(e, a->keys)), column));
    for (int v = 0; v < a->vectors; v++) {
        LLVMValueRef at = emit_i64(e, (int64_t)v * e->lanes);
        LLVMValueRef s = load_floats(e, attention_float(e, from, at), e->lanes);
        LLVMValueRef p = math_exp2_falling(e, LLVMBuildFSub(e->builder, s, shift, ""), a->type);
        emit_store_lanes(e, emit_narrow(e, a->type, p), attention_factor(e, a, to, at), NULL);
        sum = sum ? LLVMBuildFAdd(e->builder, sum, p, "") : p;
    }
    return sum;
}

static void exponentials(struct emitter *e, const struct attention *a, const struct attention_tile *t) {
    struct emit_loop rows, columns;
    LLVMValueRef none = LLVMConstNull(emit_vector(e, e->f32, e->lanes));
    emit_loop_begin(e, &rows, emit_i64(e, 0), emit_i64(e, t->rows), 1, 0, NULL);
    LLVMValueRef shift = load_floats(e, attention_float(e, a->part_largest, rows.counter), 1);
    shift = emit_splat(e, shift, e->lanes);
    emit_loop_begin(e, &columns, emit_i64(e, 0), t->count, a->vectors * e->lanes, 1, &none);
    LLVMValueRef sum = exponentials_of(e, a, rows.counter, columns.counter, shift);
    sum = LLVMBuildFAdd(e->builder, columns.carried[0], sum, "");
    emit_loop_end(e, &columns, &sum);
    LLVMBuildStore(e->builder, emit_horizontal(e, SCALAR_add, columns.carried[0]),
                   attention_float(e, a->part_total, rows.counter));
    emit_loop_end(e, &rows, NULL);
}

void attention_softmax(struct emitter *e, const struct attention *a, const struct attention_tile *t) {
    find_factors(e, a, t);
    exponentials(e, a, t);
    add_totals(e, a, t);
}
