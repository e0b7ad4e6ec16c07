/* The two products of attention, in register tiles, one tile of rows after the other.
 *
 *     S = Q K^T      panels of keys, as many columns at a time as a register tile has
 *     P = softmax(S) within the part
 *     O = O * keep + join * P V
 */
#include "backend/amx.h"
#include "backend/attention.h"
#include "backend/micro.h"
#include "ir/layout.h"

static struct micro micro_of(struct emitter *e, const struct attention *a, const struct attention_tile *t,
                             LLVMValueRef factors, int64_t stride, LLVMValueRef inputs) {
    struct micro m = {
        .atom = a->atom, .rows = t->rows, .lanes = e->lanes, .unroll = a->unroll, .inputs = inputs};
    m.a_type = a->type;
    for (int r = 0; r < t->rows; r++) m.a[r] = attention_factor(e, a, factors, emit_i64(e, r * stride));
    return m;
}

static void start_sums(struct emitter *e, int count, LLVMValueRef *sums) {
    for (int i = 0; i < count; i++) sums[i] = LLVMConstNull(emit_vector(e, e->f32, e->lanes));
}

/* ---- scores ---- */

static LLVMValueRef queries_of(struct emitter *e, const struct attention *a, const struct attention_tile *t) {
    return attention_factor(e, a, a->q_rows, emit_mul(e, t->row, emit_i64(e, a->padded)));
}

/* Key `column` of the part's first group of dims. */
static LLVMValueRef keys_at(struct emitter *e, const struct attention *a, const struct attention_part *part,
                            const struct attention_source *keys, LLVMValueRef column) {
    LLVMValueRef panel = emit_i64(e, PANEL_KEYS);
    int64_t group = a->group_of_atom * dtype_bytes(keys->type);
    LLVMValueRef in_panel = emit_mul(e, emit_rem(e, column, panel), emit_i64(e, group));
    LLVMValueRef panels =
        emit_mul(e, emit_div(e, column, panel), emit_i64(e, part->panel_rows * PANEL_KEYS * group));
    return emit_offset(e, keys->base, emit_add(e, panels, in_panel));
}

static void scores_at(struct emitter *e, const struct attention *a, const struct attention_part *part,
                      const struct attention_tile *t, const struct attention_source *keys,
                      LLVMValueRef column) {
    LLVMValueRef sums[MAX_TILE_SUMS];
    int64_t group = a->group_of_atom * dtype_bytes(keys->type),
            inputs = (a->sdpa.dim + a->group_of_atom - 1) / a->group_of_atom;
    struct micro m =
        micro_of(e, a, t, queries_of(e, a, t), a->padded, emit_i64(e, inputs * a->group_of_atom));
    m.vectors = a->vectors;
    m.b = keys_at(e, a, part, keys, column);
    m.b_type = keys->type;
    m.b_step = emit_i64(e, PANEL_KEYS * group);
    start_sums(e, t->rows * a->vectors, sums);
    emit_micro(e, &m, sums);
    attention_note_scores(e, a, part, t, column, sums);
}

/* The same by matrix registers, a panel of keys; of a register's rows, those behind the tile's are whatever was there. */
static void scores_of_panel(struct emitter *e, const struct attention *a, const struct attention_part *part,
                            const struct attention_tile *t, const struct attention_source *keys,
                            LLVMValueRef column) {
    enum { PAIRS = PANEL_KEYS * 4 /* bytes of a pair of dims of a panel's keys */ };
    struct amx_wide w = {.a = queries_of(e, a, t),
                         .b = keys_at(e, a, part, keys, column),
                         .inputs = emit_i64(e, a->sdpa.dim),
                         .a_stride = a->padded * 2,
                         .a_step = AMX_BYTES,
                         .b_stride = PAIRS,
                         .b_step = AMX_ROWS * PAIRS,
                         .outputs = PANEL_KEYS};
    amx_wide_begin(e, &w);
    amx_wide_add(e, &w);
    amx_wide_store(e, &w, attention_float(e, a->scores, column), a->keys * 4);
    attention_note_stored(e, a, part, t, column);
}

static void scores(struct emitter *e, const struct attention *a, const struct attention_part *part,
                   const struct attention_tile *t, const struct attention_source *keys) {
    LLVMValueRef hidden = emit_constant_like(emit_vector(e, e->f32, e->lanes), -__builtin_inf());
    for (int r = 0; r < t->rows; r++)
        emit_store_lanes(e, hidden, attention_float(e, a->lane_largest, emit_i64(e, (int64_t)r * e->lanes)),
                         NULL);
    struct emit_loop columns;
    emit_loop_begin(e, &columns, emit_i64(e, 0), t->count, a->vectors * e->lanes, 0, NULL);
    (a->amx ? scores_of_panel : scores_at)(e, a, part, t, keys, columns.counter);
    emit_loop_end(e, &columns, NULL);
}

/* ---- values ---- */

static LLVMValueRef factor_of(struct emitter *e, LLVMValueRef factors, LLVMValueRef row) {
    LLVMValueRef one = emit_load_lanes(e, e->f32, attention_float(e, factors, row), 1, NULL);
    return emit_splat(e, one, e->lanes);
}

/* Row r of a tile's products, vectors of values from `column` on. */
static void join_row(struct emitter *e, const struct attention *a, const struct attention_part *part,
                     const struct attention_tile *t, LLVMValueRef r, LLVMValueRef column, int vectors,
                     LLVMValueRef const *products) {
    LLVMValueRef row = emit_add(e, t->row, r);
    LLVMValueRef base =
        attention_float(e, a->sums, emit_add(e, emit_mul(e, row, emit_i64(e, a->value_padded)), column));
    LLVMValueRef first = LLVMBuildICmp(e->builder, LLVMIntEQ, part->first, emit_i64(e, 0), "");
    LLVMValueRef keep = factor_of(e, a->keep, r), join = factor_of(e, a->join, r);
    for (int v = 0; v < vectors; v++) {
        LLVMValueRef at = attention_float(e, base, emit_i64(e, (int64_t)v * e->lanes));
        LLVMValueRef before = emit_load_lanes(e, e->f32, at, e->lanes, NULL);
        before = LLVMBuildSelect(e->builder, first, LLVMConstNull(LLVMTypeOf(before)), before, "");
        before = LLVMBuildFMul(e->builder, before, keep, "");
        emit_store_lanes(e, emit_fma(e, products[v], join, before), at, NULL);
    }
}

static void values_at(struct emitter *e, const struct attention *a, const struct attention_part *part,
                      const struct attention_tile *t, const struct attention_source *values,
                      LLVMValueRef column, int vectors) {
    LLVMValueRef sums[MAX_TILE_SUMS], step = emit_i64(e, (int64_t)a->unroll * a->group_of_atom);
    LLVMValueRef steps = emit_div_up(e, t->count, step);
    LLVMValueRef inputs = emit_min(e, emit_mul(e, steps, step), values->whole);
    int64_t group = a->group_of_atom * dtype_bytes(values->type);
    struct micro m = micro_of(e, a, t, a->probabilities, a->keys, inputs);
    m.whole = true;
    m.vectors = vectors;
    m.b_type = values->type;
    m.b_step = emit_i64(e, a->value_padded * group);
    LLVMValueRef first = emit_mul(e, column, emit_i64(e, group));
    m.b = emit_offset(e, values->base, first);
    start_sums(e, t->rows * vectors, sums);
    emit_micro(e, &m, sums);
    if (values->in_place) {
        LLVMValueRef rest = LLVMBuildICmp(e->builder, LLVMIntSGT, t->count, values->whole, "");
        for (int r = 0; r < t->rows; r++) m.a[r] = attention_factor(e, a, m.a[r], values->whole);
        m.inputs = LLVMBuildSelect(e->builder, rest, step, emit_i64(e, 0), "");
        m.unroll = 1;
        m.b = emit_offset(e, a->v_tail, first);
        emit_micro(e, &m, sums);
    }
    for (int r = 0; r < t->rows; r++)
        join_row(e, a, part, t, emit_i64(e, r), column, vectors, &sums[r * vectors]);
}

/* The same by matrix registers. */
static void values_by_registers(struct emitter *e, const struct attention *a,
                                const struct attention_part *part, const struct attention_tile *t,
                                const struct attention_source *values, LLVMValueRef column, int vectors) {
    LLVMValueRef step = emit_i64(e, (int64_t)a->unroll * a->group_of_atom), zero = emit_i64(e, 0),
                 steps = emit_div_up(e, t->count, step), products[MAX_TILE_SUMS];
    int64_t pairs = a->value_padded * 4;
    struct amx_wide w = {.a = a->probabilities,
                         .b = attention_float(e, values->base, column),
                         .inputs = emit_min(e, emit_mul(e, steps, step), values->whole),
                         .a_stride = a->keys * 2,
                         .a_step = AMX_BYTES,
                         .b_stride = pairs,
                         .b_step = AMX_ROWS * pairs,
                         .outputs = vectors * e->lanes};
    amx_wide_begin(e, &w);
    amx_wide_add(e, &w);
    if (values->in_place) {
        LLVMValueRef rest = LLVMBuildICmp(e->builder, LLVMIntSGT, t->count, values->whole, "");
        w.a = attention_factor(e, a, w.a, values->whole);
        w.b = attention_float(e, a->v_tail, column);
        w.inputs = LLVMBuildSelect(e->builder, rest, step, zero, "");
        amx_wide_add(e, &w);
    }
    amx_wide_store(e, &w, a->products, AMX_OUTPUTS * 4);
    struct emit_loop rows;
    emit_loop_begin(e, &rows, zero, emit_i64(e, t->rows), 1, 0, NULL);
    LLVMValueRef from = attention_float(e, a->products, emit_mul(e, rows.counter, emit_i64(e, AMX_OUTPUTS)));
    for (int v = 0; v < vectors; v++)
        products[v] = emit_load_lanes(e, e->f32, attention_float(e, from, emit_i64(e, (int64_t)v * e->lanes)),
                                      e->lanes, NULL);
    join_row(e, a, part, t, rows.counter, column, vectors, products);
    emit_loop_end(e, &rows, NULL);
}

/* All columns: as many vectors at a time as a register tile has, then those that are left. */
static void values(struct emitter *e, const struct attention *a, const struct attention_part *part,
                   const struct attention_tile *t, const struct attention_source *values) {
    int64_t width = (int64_t)a->vectors * e->lanes, whole = a->value_padded / width * width;
    int left = (int)(a->value_padded - whole) / e->lanes;
    struct emit_loop columns;
    if (whole) {
        emit_loop_begin(e, &columns, emit_i64(e, 0), emit_i64(e, whole), width, 0, NULL);
        (a->amx ? values_by_registers : values_at)(e, a, part, t, values, columns.counter, a->vectors);
        emit_loop_end(e, &columns, NULL);
    }
    if (left) (a->amx ? values_by_registers : values_at)(e, a, part, t, values, emit_i64(e, whole), left);
}

/* ---- tiles ---- */

/* How many of the part's keys the tile's last row sees. */
static LLVMValueRef keys_seen(struct emitter *e, const struct attention *a, const struct attention_part *part,
                              const struct attention_tile *t) {
    if (!a->sdpa.causal) return part->count;
    LLVMValueRef last = emit_min(e, emit_add(e, t->row, emit_i64(e, t->rows)), a->rows);
    LLVMValueRef query = attention_query(e, a, emit_sub(e, last, emit_i64(e, 1)));
    LLVMValueRef seen = emit_add(e, emit_add(e, a->past, query), emit_i64(e, 1));
    return emit_min(e, part->count, emit_sub(e, seen, part->first));
}

static void tile(struct emitter *e, const struct attention *a, const struct attention_part *part,
                 struct attention_tile *t) {
    int source = t->rows == a->tile_rows ? SOURCE_MANY : SOURCE_FEW;
    t->count = keys_seen(e, a, part, t);
    struct emit_if some;
    emit_if_begin(e, &some, LLVMBuildICmp(e->builder, LLVMIntSGT, t->count, emit_i64(e, 0), ""));
    scores(e, a, part, t, &part->keys[source]);
    attention_softmax(e, a, t);
    values(e, a, part, t, &part->values[source]);
    emit_if_end(e, &some);
}

/* Rows in tiles of tile_rows, then of fewer: a tile may be filled up with rows that are not there. Matrix registers multiply a smaller
 * tile too, so that a row's sums do not depend on its tile, and faster than lanes would; what is less then is the softmax. */
void attention_tiles(struct emitter *e, const struct attention *a, const struct attention_part *part) {
    LLVMValueRef from = emit_i64(e, 0);
    for (int rows = a->tile_rows; rows >= 1; rows /= a->amx ? 4 : 2) {
        struct attention_tile t = {.rows = rows};
        struct emit_loop tiles;
        LLVMValueRef stop = emit_sub(e, a->rows, emit_i64(e, rows / 2));
        emit_loop_begin(e, &tiles, from, stop, rows, 0, NULL);
        t.row = tiles.counter;
        tile(e, a, part, &t);
        emit_loop_end(e, &tiles, NULL);
        from = tiles.counter;
    }
}
