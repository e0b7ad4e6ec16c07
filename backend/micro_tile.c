/* Register tiles of weights in packed tiles (tile.h): codes become floats in registers, or are multiplied as they are (micro_codes.c). */
#include "backend/micro_tile.h"

LLVMTypeRef micro_lane_vector(struct emitter *e, const struct micro *m) {
    return emit_vector(e, e->f32, m->lanes);
}

LLVMTypeRef micro_byte_vector(struct emitter *e, int count) {
    if (e->threaded) count /= e->lanes;
    return count > 1 ? LLVMVectorType(e->i8, (unsigned)count) : e->i8;
}

/* Bytes first .. first + count of a tile: of a thread, its own part of them. */
static LLVMValueRef load_bytes(struct emitter *e, LLVMTypeRef type, LLVMValueRef tile, int64_t first,
                               int count, int alignment) {
    LLVMValueRef address = emit_offset(e, tile, emit_i64(e, first));
    if (e->threaded) address = emit_offset(e, address, emit_mul(e, e->lane, emit_i64(e, count / e->lanes)));
    return emit_load_aligned(e, type, address, (unsigned)(e->threaded ? count / e->lanes : alignment), false);
}

LLVMValueRef micro_load_codes(struct emitter *e, const struct micro *m, LLVMValueRef tile, int p, int count) {
    const struct format_info *t = m->tile;
    struct tile_code c = tile_code(t, p);
    LLVMTypeRef bytes = micro_byte_vector(e, count);
    LLVMValueRef codes = load_bytes(e, bytes, tile, c.low, count, count > 64 ? 64 : count);
    if (t->bits == 8) return codes;
    if (c.low_shift) codes = LLVMBuildLShr(e->builder, codes, emit_constant_like(bytes, c.low_shift), "");
    codes = LLVMBuildAnd(e->builder, codes, emit_constant_like(bytes, 15), "");
    if (t->bits == 4) return codes;
    LLVMValueRef upper = load_bytes(e, bytes, tile, c.upper, count, 1);
    upper = LLVMBuildLShr(e->builder, upper, emit_constant_like(bytes, c.upper_shift), "");
    upper = LLVMBuildAnd(e->builder, upper, emit_constant_like(bytes, (1 << (t->bits - 4)) - 1), "");
    return LLVMBuildOr(e->builder, codes, LLVMBuildShl(e->builder, upper, emit_constant_like(bytes, 4), ""),
                       "");
}

LLVMValueRef micro_load_scales(struct emitter *e, const struct micro *m, LLVMValueRef tile, int64_t offset,
                               int vector) {
    enum dtype stored = tile_scale_type(m->tile);
    int64_t first = (int64_t)vector * m->lanes;
    LLVMValueRef address = emit_offset(e, tile, emit_i64(e, offset + first * dtype_bytes(stored)));
    return emit_widen(e, stored, emit_load_lanes(e, emit_type(e, stored), address, m->lanes, NULL));
}

/* ---- f32 ---- */

struct group_scales { /* of one group of inputs, a vector of outputs each */
    LLVMValueRef scale[MAX_TILE_SUMS], minimum[MAX_TILE_SUMS];
};

static void load_group(struct emitter *e, const struct micro *m, LLVMValueRef tile, int group,
                       struct group_scales *s) {
    const struct format_info *t = m->tile;
    for (int v = 0; v < m->vectors; v++) {
        s->scale[v] = micro_load_scales(e, m, tile, tile_scales(t, group), v);
        s->minimum[v] = t->minimum ? micro_load_scales(e, m, tile, tile_minima(t, group), v)
                                   : LLVMBuildFMul(e->builder, s->scale[v],
                                                   emit_constant_like(micro_lane_vector(e, m), -t->bias), "");
    }
}

/* ... of codes of inputs, a vector of outputs. */
static LLVMValueRef weights_of(struct emitter *e, const struct micro *m, LLVMValueRef codes,
                               const struct group_scales *s, int v) {
    return emit_fma(e, LLVMBuildSIToFP(e->builder, codes, micro_lane_vector(e, m), ""), s->scale[v],
                    s->minimum[v]);
}

/* A tile as parts of PART inputs, which are alike but for where they lie: a loop, where written out they would be most of a library. Codes
 * with a plane of upper bits are written out, as a part. */
enum { PART = 8 };
struct part {
    LLVMValueRef first; /* i64, of its inputs */
    LLVMValueRef codes; /* a tile whose input 0 has its codes' bytes where this part's first has them */
    LLVMValueRef shift; /* i32, of the codes in these bytes; NULL: `codes` is the whole tile */
    int count;          /* of inputs */
};

static bool is_in_parts(const struct emitter *e, const struct format_info *t) {
    return !e->target->simt && tile_is_even(t);
}

static struct part part_begin(struct emitter *e, const struct micro *m, LLVMValueRef tile,
                              struct emit_loop *loop, int count, LLVMValueRef *sums) {
    struct part p = {emit_i64(e, 0), tile, NULL, TILE_INPUTS};
    if (!is_in_parts(e, m->tile)) return p;
    int64_t low = tile_low_bytes(m->tile) / TILE_OUTPUTS; /* inputs that have bytes of their own */
    emit_loop_begin(e, loop, p.first, emit_i64(e, TILE_INPUTS), PART, count, sums);
    for (int i = 0; i < count; i++) sums[i] = loop->carried[i];
    LLVMValueRef row = emit_rem(e, loop->counter, emit_i64(e, low)),
                 upper = emit_div(e, loop->counter, emit_i64(e, low)),
                 shift = emit_mul(e, upper, emit_i64(e, m->tile->bits));
    p.first = loop->counter;
    p.codes = emit_offset(e, tile, emit_mul(e, row, emit_i64(e, TILE_OUTPUTS)));
    p.shift = LLVMBuildTrunc(e->builder, shift, e->i32, "");
    p.count = PART;
    return p;
}

static void part_end(struct emitter *e, const struct micro *m, struct emit_loop *loop, int count,
                     LLVMValueRef *sums) {
    if (!is_in_parts(e, m->tile)) return;
    emit_loop_end(e, loop, sums);
    for (int i = 0; i < count; i++) sums[i] = loop->carried[i];
}

/* Codes of a part's input number k for a vector of outputs, as i32. */
static LLVMValueRef codes_of(struct emitter *e, const struct micro *m, const struct part *p, int k, int v) {
    LLVMTypeRef words = emit_vector(e, e->i32, m->lanes);
    int position = tile_position(k, v * m->lanes, 1);
    if (!p->shift)
        return LLVMBuildZExt(e->builder, micro_load_codes(e, m, p->codes, position, m->lanes), words, "");
    LLVMValueRef bytes = load_bytes(e, micro_byte_vector(e, m->lanes), p->codes,
                                    tile_codes(m->tile) + position, m->lanes, m->lanes);
    LLVMValueRef wide = LLVMBuildZExt(e->builder, bytes, words, "");
    if (m->tile->bits == 8) return wide;
    wide = LLVMBuildLShr(e->builder, wide, emit_splat(e, p->shift, m->lanes), "");
    return LLVMBuildAnd(e->builder, wide, emit_constant_like(words, 15), "");
}

/* One tile; weights are shared by the rows. */
static void fma_tile(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef block,
                     LLVMValueRef *sums) {
    LLVMValueRef k0 = LLVMBuildMul(e->builder, block, emit_i64(e, TILE_INPUTS), ""), b[MAX_TILE_SUMS];
    struct emit_loop loop;
    struct group_scales s;
    int count = m->rows * m->vectors;
    load_group(e, m, tile, 0, &s);
    struct part part = part_begin(e, m, tile, &loop, count, sums);
    k0 = LLVMBuildAdd(e->builder, k0, part.first, "");
    for (int k = 0; k < part.count; k++) {
        if (k && k % m->tile->group == 0) load_group(e, m, tile, k / m->tile->group, &s);
        for (int v = 0; v < m->vectors; v++) b[v] = weights_of(e, m, codes_of(e, m, &part, k, v), &s, v);
        micro_add_products(e, m, LLVMBuildAdd(e->builder, k0, emit_i64(e, k), ""), b, sums);
    }
    part_end(e, m, &loop, count, sums);
}

static void unpack_floats(struct emitter *e, const struct micro *m, const struct unpacked *u,
                          LLVMValueRef to) {
    struct emit_loop loop, parts;
    struct group_scales s;
    LLVMValueRef blocks = emit_div(e, m->inputs, emit_i64(e, TILE_INPUTS)), row = emit_i64(e, 4 * u->outputs);
    emit_loop_begin(e, &loop, emit_i64(e, 0), blocks, 1, 0, NULL);
    LLVMValueRef tile = emit_offset(e, m->b, LLVMBuildMul(e->builder, loop.counter, m->b_step, "")),
                 k0 = emit_mul(e, loop.counter, emit_i64(e, TILE_INPUTS));
    load_group(e, m, tile, 0, &s);
    struct part part = part_begin(e, m, tile, &parts, 0, NULL);
    to = emit_offset(e, to, emit_mul(e, emit_add(e, k0, part.first), row));
    for (int k = 0; k < part.count; k++) {
        if (k && k % m->tile->group == 0) load_group(e, m, tile, k / m->tile->group, &s);
        for (int v = 0; v < m->vectors; v++)
            emit_store_lanes(e, weights_of(e, m, codes_of(e, m, &part, k, v), &s, v),
                             micro_unpacked_at(e, m, u, to, k, v), NULL);
    }
    part_end(e, m, &parts, 0, NULL);
    emit_loop_end(e, &loop, NULL);
}

LLVMValueRef micro_unpacked_at(struct emitter *e, const struct micro *m, const struct unpacked *u,
                               LLVMValueRef panel, int64_t row, int v) {
    int64_t output = (int64_t)v * m->lanes;
    return emit_offset(
        e, panel,
        emit_i64(e, output / u->outputs * u->panel_bytes + 4 * (row * u->outputs + output % u->outputs)));
}

void micro_unpack(struct emitter *e, const struct micro *m, const struct unpacked *u, LLVMValueRef to) {
    (m->atom == ATOM_dot_int8 ? micro_unpack_codes : unpack_floats)(e, m, u, to);
}

void micro_tiles(struct emitter *e, const struct micro *m, LLVMValueRef *sums) {
    struct emit_loop loop;
    int count = m->rows * m->vectors;
    LLVMValueRef blocks = emit_div(e, m->inputs, emit_i64(e, TILE_INPUTS)), one = emit_i64(e, 1);
    if (m->block_sums) micro_multiply_block(e, m, emit_i64(e, 0));
    emit_loop_begin(e, &loop, emit_i64(e, 0), blocks, 1, count, sums);
    for (int i = 0; i < count; i++) sums[i] = loop.carried[i];
    /* while a block's sums are scaled, the next one's are made (the last one's again) */
    if (m->block_sums)
        micro_multiply_block(e, m, emit_min(e, emit_add(e, loop.counter, one), emit_sub(e, blocks, one)));
    LLVMValueRef tile = emit_offset(e, m->b, LLVMBuildMul(e->builder, loop.counter, m->b_step, ""));
    micro_prefetch(e, m, tile, tile_bytes(m->tile));
    if (m->atom == ATOM_dot_int8)
        micro_add_codes(e, m, tile, loop.counter, sums);
    else
        fma_tile(e, m, tile, loop.counter, sums);
    emit_loop_end(e, &loop, sums);
    for (int i = 0; i < count; i++) sums[i] = loop.carried[i];
}
