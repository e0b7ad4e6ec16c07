/* Products of int8: codes of weights in packed tiles (tile.h) by codes of rows, the integer sums of a group of inputs scaled into floats. */
#include "backend/amx.h"
#include "backend/dot.h"
#include "backend/micro_tile.h"
#include "ir/number.h"

static LLVMValueRef load_block_scalar(struct emitter *e, LLVMTypeRef type, LLVMValueRef base,
                                      LLVMValueRef block) {
    return emit_load_aligned(e, type, LLVMBuildGEP2(e->builder, type, base, &block, 1, ""), 4, false);
}

static struct dot dot_for(int lanes, const struct format_info *t) {
    return (struct dot){lanes, (1 << t->bits) - 1};
}
static struct dot dot_of(const struct micro *m) { return dot_for(m->lanes, m->tile); }

/* What is to be taken off codes. A format with groups of 16 takes it off group by group instead, see add_quad. */
static int bias_of(const struct emitter *e, const struct format_info *t) {
    struct dot d = dot_for(e->lanes, t);
    return tile_groups(t) > 1 ? 0 : t->bias - dot_offset(e, &d);
}

bool micro_has_offsets(const struct emitter *e, const struct format_info *t) {
    return t->minimum || bias_of(e, t);
}

LLVMValueRef micro_offset(struct emitter *e, const struct format_info *t, LLVMValueRef total,
                          LLVMValueRef scale) {
    if (!t->minimum)
        return LLVMBuildMul(e->builder, total, emit_constant_like(LLVMTypeOf(total), -bias_of(e, t)), "");
    return LLVMBuildFMul(e->builder, LLVMBuildSIToFP(e->builder, total, LLVMTypeOf(scale), ""), scale, "");
}

static LLVMValueRef load_offset(struct emitter *e, const struct micro *m, int row, LLVMValueRef block) {
    LLVMTypeRef type = m->tile->minimum ? e->f32 : e->i32;
    LLVMValueRef offset = m->offsets[row]
                              ? load_block_scalar(e, type, m->offsets[row], block)
                              : micro_offset(e, m->tile, load_block_scalar(e, e->i32, m->totals[row], block),
                                             load_block_scalar(e, e->f32, m->scales[row], block));
    return emit_splat(e, offset, m->lanes);
}

/* Where integer sums of a row start, so that biased codes cost nothing. */
static LLVMValueRef first_sum(struct emitter *e, const struct micro *m, int row, LLVMValueRef block) {
    return bias_of(e, m->tile) ? load_offset(e, m, row, block)
                               : LLVMConstNull(emit_vector(e, e->i32, m->lanes));
}

/* Inputs k .. k + 3 of a row's block, whose first is k0, in all lanes. */
static LLVMValueRef load_quad(struct emitter *e, const struct micro *m, int row, LLVMValueRef k0, int k) {
    LLVMValueRef at = LLVMBuildAdd(e->builder, k0, emit_i64(e, k), "");
    int align = m->a_align >= 4 ? (int)greatest_common_divisor(k ? k : 16, m->a_align) : 4;
    LLVMValueRef quad = LLVMBuildGEP2(e->builder, e->i8, m->a[row], &at, 1, "");
    return emit_splat(e, emit_load_aligned(e, e->i32, quad, (unsigned)align, false), m->lanes);
}

/* part += w . x of a vector of outputs, and a format's groups without their bias. */
static LLVMValueRef add_quad(struct emitter *e, const struct micro *m, LLVMValueRef part, LLVMValueRef w,
                             LLVMValueRef x) {
    struct dot d = dot_of(m);
    part = dot_add(e, &d, part, w, x);
    if (!m->tile->bias || tile_groups(m->tile) == 1) return part;
    LLVMValueRef bias = emit_constant_like(micro_byte_vector(e, 4 * m->lanes), m->tile->bias);
    return LLVMBuildSub(e->builder, part, dot_add(e, &d, dot_none(e, &d), bias, x), "");
}

static LLVMValueRef load_weights(struct emitter *e, const struct micro *m, LLVMValueRef tile, int k,
                                 int vector) {
    return micro_load_codes(e, m, tile, tile_position(k, vector * m->lanes, 4), 4 * m->lanes);
}

/* part += the products of inputs k .. k + 3 of a block. */
static void dot_quad(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef k0, int k,
                     LLVMValueRef *part) {
    LLVMValueRef w[MAX_TILE_SUMS];
    for (int v = 0; v < m->vectors; v++) w[v] = load_weights(e, m, tile, k, v);
    for (int r = 0; r < m->rows; r++) {
        LLVMValueRef x = load_quad(e, m, r, k0, k);
        for (int v = 0; v < m->vectors; v++)
            part[r * m->vectors + v] = add_quad(e, m, part[r * m->vectors + v], w[v], x);
    }
}

/* ---- codes as pairs of i16, or bytes, for many rows ---- */

enum { QUADS = TILE_INPUTS / 4 };

bool micro_by_registers(const struct emitter *e, enum atom atom, const struct format_info *t) {
    return atom == ATOM_dot_int8 && e->target->amx_fast && e->lanes == AMX_ROWS && tile_is_even(t);
}

bool micro_unpacks(const struct emitter *e, enum atom atom, const struct format_info *t) {
    struct dot d = dot_for(e->lanes, t);
    if (atom == ATOM_fma) return true;
    return atom == ATOM_dot_int8 && tile_is_even(t) && dot_widens(e, &d);
}

void micro_unpack_codes(struct emitter *e, const struct micro *m, const struct unpacked *u, LLVMValueRef to) {
    struct emit_loop loop, quads;
    struct dot d = dot_of(m);
    int halves = m->block_sums ? 1 : 2;
    LLVMTypeRef words = emit_vector(e, e->i32, m->lanes);
    LLVMValueRef blocks = emit_div(e, m->inputs, emit_i64(e, TILE_INPUTS)),
                 row = emit_i64(e, (int64_t)halves * 4 * u->outputs);
    emit_loop_begin(e, &loop, emit_i64(e, 0), blocks, 1, 0, NULL);
    LLVMValueRef tile = emit_offset(e, m->b, emit_mul(e, loop.counter, m->b_step));
    emit_loop_begin(e, &quads, emit_i64(e, 0), emit_i64(e, QUADS / 2), 1, 0,
                    NULL); /* two of 4 bits share bytes */
    LLVMValueRef from = emit_offset(e, tile, emit_mul(e, quads.counter, emit_i64(e, 4 * TILE_OUTPUTS)));
    LLVMValueRef quad = emit_add(e, emit_mul(e, loop.counter, emit_i64(e, QUADS)), quads.counter);
    to = emit_offset(e, to, emit_mul(e, quad, row));
    for (int i = 0; i < 2 * halves * m->vectors; i++) {
        int v = i / halves / 2, upper = i / halves % 2, half = i % halves;
        LLVMValueRef w = load_weights(e, m, from, upper * TILE_INPUTS / 2, v);
        if (halves > 1) w = dot_widen(e, &d, w, half, false);
        w = LLVMBuildBitCast(e->builder, w, words, "");
        emit_store_lanes(e, w, micro_unpacked_at(e, m, u, to, upper * halves * QUADS / 2 + half, v), NULL);
    }
    emit_loop_end(e, &quads, NULL);
    emit_loop_end(e, &loop, NULL);
}

/* Rows have whole blocks, so whole vectors of quads. */
void micro_widen_row(struct emitter *e, const struct micro *m, LLVMValueRef to) {
    struct emit_loop loop;
    struct dot d = {m->lanes, 0};
    LLVMTypeRef words = emit_vector(e, e->i32, m->lanes);
    emit_loop_begin(e, &loop, emit_i64(e, 0), m->inputs, 4 * m->lanes, 0, NULL);
    LLVMValueRef quads = emit_load_lanes(e, e->i32, emit_offset(e, m->a[0], loop.counter), m->lanes, NULL);
    for (int half = 0; half < 2; half++) {
        LLVMValueRef wide = LLVMBuildBitCast(e->builder, dot_widen(e, &d, quads, half, true), words, "");
        LLVMValueRef plane = half ? emit_offset(e, to, m->inputs) : to;
        emit_store_lanes(e, wide, emit_offset(e, plane, loop.counter), NULL);
    }
    emit_loop_end(e, &loop, NULL);
}

/* The integer products of a block. */
static void add_wide(struct emitter *e, const struct micro *m, LLVMValueRef block, LLVMValueRef *sums) {
    struct emit_loop loop;
    struct dot d = dot_of(m);
    int count = m->rows * m->vectors;
    LLVMTypeRef halves = LLVMVectorType(e->i16, (unsigned)(2 * m->lanes));
    struct unpacked u = {.outputs = m->vectors * m->lanes};
    emit_loop_begin(e, &loop, emit_i64(e, 0), emit_i64(e, QUADS), 1, count, sums);
    for (int i = 0; i < count; i++) sums[i] = loop.carried[i];
    LLVMValueRef quad = emit_add(e, emit_mul(e, block, emit_i64(e, QUADS)), loop.counter);
    LLVMValueRef pairs = emit_offset(e, m->wide, emit_mul(e, quad, emit_i64(e, 2 * 4 * u.outputs)));
    for (int half = 0; half < 2; half++) {
        LLVMValueRef w[MAX_TILE_SUMS];
        for (int v = 0; v < m->vectors; v++)
            w[v] = emit_load_aligned(e, halves, micro_unpacked_at(e, m, &u, pairs, half, v), 4, false);
        for (int r = 0; r < m->rows; r++) {
            LLVMValueRef plane = half ? emit_offset(e, m->wide_rows[r], m->inputs) : m->wide_rows[r];
            LLVMValueRef x = emit_splat(e, load_block_scalar(e, e->i32, plane, quad), m->lanes);
            x = LLVMBuildBitCast(e->builder, x, LLVMTypeOf(w[0]), "");
            for (int v = 0; v < m->vectors; v++)
                sums[r * m->vectors + v] = dot_add_wide(e, &d, sums[r * m->vectors + v], w[v], x);
        }
    }
    emit_loop_end(e, &loop, sums);
    for (int i = 0; i < count; i++) sums[i] = loop.carried[i];
}

/* A loop of two quads, k and k + 16, which share bytes of 4 bits: written out, they would all be begun at once, where few registers have
 * no room for that. */
static bool in_loop(const struct emitter *e, const struct micro *m) {
    return e->target->vector_registers < 32 && !e->target->simt && tile_is_even(m->tile);
}

static void loop_over_quads(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef k0,
                            LLVMValueRef *part) {
    struct emit_loop loop;
    int count = m->rows * m->vectors;
    emit_loop_begin(e, &loop, emit_i64(e, 0), emit_i64(e, TILE_INPUTS / 2), 4, count, part);
    for (int i = 0; i < count; i++) part[i] = loop.carried[i];
    tile = emit_offset(e, tile, LLVMBuildMul(e->builder, loop.counter, emit_i64(e, TILE_OUTPUTS), ""));
    k0 = LLVMBuildAdd(e->builder, k0, loop.counter, "");
    LLVMValueRef x[2][MAX_TILE_ROWS];
    for (int h = 0; h < 2; h++)
        for (int r = 0; r < m->rows; r++) x[h][r] = load_quad(e, m, r, k0, h * TILE_INPUTS / 2);
    for (int v = 0; v < m->vectors; v++)
        for (int h = 0; h < 2; h++) {
            LLVMValueRef w = load_weights(e, m, tile, h * TILE_INPUTS / 2, v);
            for (int r = 0; r < m->rows; r++)
                part[r * m->vectors + v] = add_quad(e, m, part[r * m->vectors + v], w, x[h][r]);
        }
    emit_loop_end(e, &loop, part);
    for (int i = 0; i < count; i++) part[i] = loop.carried[i];
}

/* The first input of the quads of a tile in the order in which they are taken, as input_number's. */
static int quad_input(const struct format_info *t, int q) {
    return 4 * (tile_groups(t) == 1 ? q / 2 + q % 2 * 4 : q);
}

/* ---- by matrix registers ---- */

static LLVMValueRef block_sums_at(struct emitter *e, const struct micro *m, LLVMValueRef block) {
    LLVMValueRef turn = LLVMBuildAnd(e->builder, block, emit_i64(e, 1), "");
    return emit_offset(e, m->block_sums, emit_mul(e, turn, emit_i64(e, AMX_ROWS * AMX_BYTES)));
}

void micro_multiply_block(struct emitter *e, const struct micro *m, LLVMValueRef block) {
    LLVMValueRef a = emit_offset(e, m->a[0], emit_mul(e, block, emit_i64(e, TILE_INPUTS))),
                 b = emit_offset(e, m->wide, emit_mul(e, block, emit_i64(e, QUADS * AMX_BYTES)));
    amx_multiply_codes(e, a, m->inputs, b, block_sums_at(e, m, block));
}

static void load_block_sums(struct emitter *e, const struct micro *m, LLVMValueRef block, LLVMValueRef *sums) {
    LLVMValueRef from = block_sums_at(e, m, block);
    for (int r = 0; r < m->rows; r++) {
        LLVMValueRef row = emit_offset(e, from, emit_i64(e, (int64_t)r * AMX_BYTES));
        sums[r] = LLVMBuildAdd(e->builder, sums[r], emit_load_lanes(e, e->i32, row, m->lanes, NULL), "");
    }
}

/* Integer products of one group of inputs. */
static void dot_group(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef block,
                      int group, LLVMValueRef *whole) {
    LLVMValueRef partial[MAX_TILE_SUMS], k0 = LLVMBuildMul(e->builder, block, emit_i64(e, TILE_INPUTS), "");
    struct dot d = dot_of(m);
    int groups = tile_groups(m->tile), quads = TILE_INPUTS / 4 / groups, room = dot_room(e, &d),
        count = m->rows * m->vectors, at_once = room && room < quads ? room : quads; /* powers of two */
    LLVMValueRef *sums = room ? partial : whole;
    for (int i = 0; i < count; i++)
        whole[i] = i % m->vectors ? whole[i - 1] : first_sum(e, m, i / m->vectors, block);
    if (m->wide) {
        (m->block_sums ? load_block_sums : add_wide)(e, m, block, whole);
        return;
    }
    for (int first = 0; first < quads; first += at_once) {
        for (int i = 0; room && i < count; i++) partial[i] = dot_none(e, &d);
        if (in_loop(e, m))
            loop_over_quads(e, m, tile, k0, sums);
        else
            for (int q = first; q < first + at_once; q++)
                dot_quad(e, m, tile, k0, quad_input(m->tile, group * quads + q), sums);
        for (int i = 0; room && i < count; i++) whole[i] = dot_total(e, &d, whole[i], partial[i]);
    }
}

/* The same, scaled into the f32 sums. */
static void scale_group(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef block,
                        int group, LLVMValueRef *sums) {
    LLVMValueRef whole[MAX_TILE_SUMS], scale[MAX_TILE_SUMS];
    dot_group(e, m, tile, block, group, whole);
    for (int v = 0; v < m->vectors; v++)
        scale[v] = micro_load_scales(e, m, tile, tile_scales(m->tile, group), v);
    for (int r = 0; r < m->rows; r++) {
        LLVMValueRef d = emit_splat(e, load_block_scalar(e, e->f32, m->scales[r], block), m->lanes);
        for (int v = 0; v < m->vectors; v++) {
            LLVMValueRef products =
                LLVMBuildSIToFP(e->builder, whole[r * m->vectors + v], micro_lane_vector(e, m), "");
            LLVMValueRef factor = LLVMBuildFMul(e->builder, scale[v], d, "");
            sums[r * m->vectors + v] = emit_fma(e, products, factor, sums[r * m->vectors + v]);
        }
    }
}

static void add_minima(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef block,
                       LLVMValueRef *sums) {
    LLVMValueRef minimum[MAX_TILE_SUMS];
    for (int v = 0; v < m->vectors; v++)
        minimum[v] = micro_load_scales(e, m, tile, tile_minima(m->tile, 0), v);
    for (int r = 0; r < m->rows; r++) {
        LLVMValueRef x = load_offset(e, m, r, block);
        for (int v = 0; v < m->vectors; v++)
            sums[r * m->vectors + v] = emit_fma(e, minimum[v], x, sums[r * m->vectors + v]);
    }
}

void micro_add_codes(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef block,
                     LLVMValueRef *sums) {
    for (int group = 0; group < tile_groups(m->tile); group++) scale_group(e, m, tile, block, group, sums);
    if (m->tile->minimum) add_minima(e, m, tile, block, sums);
}
