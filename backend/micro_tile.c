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

/* The weights of input k of a tile for a vector of outputs. */
static LLVMValueRef weights_of(struct emitter *e, const struct micro *m, LLVMValueRef tile,
                               const struct group_scales *s, int k, int v) {
    LLVMValueRef codes = micro_load_codes(e, m, tile, tile_position(k, v * m->lanes, 1), m->lanes);
    LLVMValueRef wide = LLVMBuildZExt(e->builder, codes, emit_vector(e, e->i32, m->lanes), "");
    return emit_fma(e, LLVMBuildSIToFP(e->builder, wide, micro_lane_vector(e, m), ""), s->scale[v],
                    s->minimum[v]);
}

/* Where unpacked weights of input k of a tile are. */
static LLVMValueRef unpacked_at(struct emitter *e, const struct micro *m, LLVMValueRef tile, int k, int v) {
    return emit_offset(e, tile, emit_i64(e, 4 * ((int64_t)k * TILE_OUTPUTS + (int64_t)v * m->lanes)));
}

/* The inputs in the order in which they are summed up, packed or not: k and k + 16 follow each other, since codes of 4 bits share a byte. */
static int input_number(const struct format_info *t, int i) {
    return tile_groups(t) == 1 ? i / 2 + i % 2 * 16 : i;
}

/* A tile as parts of PART inputs, which are alike but for where they lie: a loop, where written out they would be most of a library. Codes
 * with a plane of upper bits are written out, as a part. */
enum { PART = 8 };
struct part {
    LLVMValueRef first; /* i64, of its inputs */
    int count;          /* of inputs, in the order in which they are summed up */
};

static bool is_in_parts(const struct emitter *e, const struct micro *m) {
    const struct format_info *t = m->tile;
    return !e->target->simt && (m->unpacked || (tile_groups(t) == 1 && (t->bits == 4 || t->bits == 8)));
}

static struct part part_begin(struct emitter *e, const struct micro *m, struct emit_loop *loop, int count,
                              LLVMValueRef *sums) {
    if (!is_in_parts(e, m)) return (struct part){emit_i64(e, 0), TILE_INPUTS};
    int stop = tile_groups(m->tile) == 1 ? TILE_INPUTS / 2 : TILE_INPUTS;
    emit_loop_begin(e, loop, emit_i64(e, 0), emit_i64(e, stop), input_number(m->tile, PART), count, sums);
    for (int i = 0; i < count; i++) sums[i] = loop->carried[i];
    return (struct part){loop->counter, PART};
}

static void part_end(struct emitter *e, const struct micro *m, struct emit_loop *loop, int count,
                     LLVMValueRef *sums) {
    if (!is_in_parts(e, m)) return;
    emit_loop_end(e, loop, sums);
    for (int i = 0; i < count; i++) sums[i] = loop->carried[i];
}

/* Where a part's first input is in a tile that has so many bytes for each input. */
static LLVMValueRef part_at(struct emitter *e, const struct part *p, LLVMValueRef tile, int bytes) {
    return emit_offset(e, tile, emit_mul(e, p->first, emit_i64(e, bytes)));
}

/* One tile; weights are shared by the rows. */
static void fma_tile(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef block,
                     LLVMValueRef *sums) {
    LLVMValueRef k0 = LLVMBuildMul(e->builder, block, emit_i64(e, TILE_INPUTS), ""), b[MAX_TILE_SUMS];
    struct emit_loop loop;
    struct group_scales s;
    int count = m->rows * m->vectors;
    if (!m->unpacked) load_group(e, m, tile, 0, &s);
    struct part part = part_begin(e, m, &loop, count, sums);
    LLVMValueRef at = part_at(e, &part, tile, m->unpacked ? UNPACKED_BYTES / TILE_INPUTS : TILE_OUTPUTS);
    k0 = LLVMBuildAdd(e->builder, k0, part.first, "");
    for (int i = 0; i < part.count; i++) {
        int k = input_number(m->tile, i), group = i / m->tile->group;
        if (!m->unpacked && group && i % m->tile->group == 0) load_group(e, m, tile, group, &s);
        for (int v = 0; v < m->vectors; v++)
            b[v] = m->unpacked
                       ? emit_load_aligned(e, micro_lane_vector(e, m), unpacked_at(e, m, at, k, v), 4, false)
                       : weights_of(e, m, at, &s, k, v);
        micro_add_products(e, m, LLVMBuildAdd(e->builder, k0, emit_i64(e, k), ""), b, sums);
    }
    part_end(e, m, &loop, count, sums);
}

static void unpack_floats(struct emitter *e, const struct micro *m, LLVMValueRef to) {
    struct emit_loop loop, parts;
    struct group_scales s;
    LLVMValueRef blocks = emit_div(e, m->inputs, emit_i64(e, TILE_INPUTS));
    emit_loop_begin(e, &loop, emit_i64(e, 0), blocks, 1, 0, NULL);
    LLVMValueRef tile = emit_offset(e, m->b, LLVMBuildMul(e->builder, loop.counter, m->b_step, ""));
    to = emit_offset(e, to, LLVMBuildMul(e->builder, loop.counter, emit_i64(e, UNPACKED_BYTES), ""));
    load_group(e, m, tile, 0, &s);
    struct part part = part_begin(e, m, &parts, 0, NULL);
    LLVMValueRef from = part_at(e, &part, tile, TILE_OUTPUTS);
    to = part_at(e, &part, to, UNPACKED_BYTES / TILE_INPUTS);
    for (int i = 0; i < part.count; i++) {
        int k = input_number(m->tile, i), group = i / m->tile->group;
        if (group && i % m->tile->group == 0) load_group(e, m, tile, group, &s);
        for (int v = 0; v < m->vectors; v++)
            emit_store_lanes(e, weights_of(e, m, from, &s, k, v), unpacked_at(e, m, to, k, v), NULL);
    }
    part_end(e, m, &parts, 0, NULL);
    emit_loop_end(e, &loop, NULL);
}

void micro_unpack(struct emitter *e, const struct micro *m, LLVMValueRef to) {
    (m->atom == ATOM_dot_int8 ? micro_unpack_codes : unpack_floats)(e, m, to);
}

void micro_tiles(struct emitter *e, const struct micro *m, LLVMValueRef *sums) {
    struct emit_loop loop;
    int count = m->rows * m->vectors;
    LLVMValueRef blocks = emit_div(e, m->inputs, emit_i64(e, TILE_INPUTS));
    emit_loop_begin(e, &loop, emit_i64(e, 0), blocks, 1, count, sums);
    for (int i = 0; i < count; i++) sums[i] = loop.carried[i];
    LLVMValueRef tile = emit_offset(e, m->b, LLVMBuildMul(e->builder, loop.counter, m->b_step, ""));
    micro_prefetch(e, m, tile, m->unpacked && !m->wide ? UNPACKED_BYTES : tile_bytes(m->tile));
    if (m->atom == ATOM_dot_int8)
        micro_add_codes(e, m, tile, loop.counter, sums);
    else
        fma_tile(e, m, tile, loop.counter, sums);
    emit_loop_end(e, &loop, sums);
    for (int i = 0; i < count; i++) sums[i] = loop.carried[i];
}
