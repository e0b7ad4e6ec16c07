/* Single elements of weights in packed tiles (tile.h): what a gather of rows reads. Contractions do not come
 * here; they read whole tiles (micro.c). */
#include "backend/emit.h"
#include "backend/tile.h"

/* Lanes of `type` at base + offsets[l]; lanes outside the mask read the first element instead. */
static LLVMValueRef gather(struct emitter *e, LLVMTypeRef type, LLVMValueRef base, LLVMValueRef offsets,
                           const struct point *p) {
    if (p->mask)
        offsets = LLVMBuildSelect(e->builder, p->mask, offsets, LLVMConstNull(LLVMTypeOf(offsets)), "");
    LLVMValueRef lanes = LLVMGetUndef(emit_vector(e, type, p->lanes));
    int count = e->threaded ? 1 : p->lanes;
    for (int l = 0; l < count; l++) {
        LLVMValueRef offset =
            count > 1 ? LLVMBuildExtractElement(e->builder, offsets, emit_i32(e, l), "") : offsets;
        LLVMValueRef one =
            LLVMBuildLoad2(e->builder, type, LLVMBuildGEP2(e->builder, e->i8, base, &offset, 1, ""), "");
        LLVMSetAlignment(one, 1);
        if (count == 1) return one;
        lanes = LLVMBuildInsertElement(e->builder, lanes, one, emit_i32(e, l), "");
    }
    return lanes;
}

struct place_in_tiles { /* of each lane; <lanes x i64> */
    LLVMValueRef tile, input, output;
};

static LLVMValueRef times(struct emitter *e, LLVMValueRef v, int64_t by) {
    return emit_mul(e, v, emit_constant_like(LLVMTypeOf(v), (double)by));
}
static LLVMValueRef over(struct emitter *e, LLVMValueRef v, int64_t by) {
    return emit_div(e, v, emit_constant_like(LLVMTypeOf(v), (double)by));
}
static LLVMValueRef modulo(struct emitter *e, LLVMValueRef v, int64_t by) {
    return emit_rem(e, v, emit_constant_like(LLVMTypeOf(v), (double)by));
}
static LLVMValueRef plus(struct emitter *e, LLVMValueRef v, int64_t add) {
    return emit_add(e, v, emit_constant_like(LLVMTypeOf(v), (double)add));
}

static LLVMValueRef scales(struct emitter *e, const struct buffer *b, const struct format_info *f,
                           const struct place_in_tiles *at, int64_t first, const struct point *p) {
    enum dtype stored = tile_scale_type(f);
    LLVMValueRef group = times(e, over(e, at->input, f->group), (int64_t)TILE_OUTPUTS * dtype_bytes(stored));
    LLVMValueRef offset =
        emit_add(e, emit_add(e, at->tile, group), times(e, at->output, dtype_bytes(stored)));
    return emit_widen(e, stored, gather(e, emit_type(e, stored), b->base, plus(e, offset, first), p));
}

/* Bits of the plane at `offset` of the tile, `bits` a code, codes split over bytes as tile.h says. */
static LLVMValueRef plane(struct emitter *e, const struct buffer *b, const struct place_in_tiles *at,
                          LLVMValueRef position, int64_t offset, int bits, const struct point *p) {
    int64_t bytes = TILE_CODES / 8 * bits;
    LLVMValueRef address = plus(e, emit_add(e, at->tile, modulo(e, position, bytes)), offset);
    LLVMTypeRef wide = emit_vector(e, e->i32, p->lanes);
    LLVMValueRef byte = LLVMBuildZExt(e->builder, gather(e, e->i8, b->base, address, p), wide, "");
    LLVMValueRef shift = LLVMBuildTrunc(e->builder, times(e, over(e, position, bytes), bits), wide, "");
    return LLVMBuildAnd(e->builder, LLVMBuildLShr(e->builder, byte, shift, ""),
                        emit_constant_like(wide, (1 << bits) - 1), "");
}

LLVMValueRef emit_load_packed(struct emitter *e, const struct buffer *b, const struct point *p) {
    const struct format_info *f = tile_format(b->format);
    int last = b->type.rank - 1, step = tile_step(b->layout), upper = f->bits == 8 ? 0 : f->bits - 4;
    LLVMValueRef inputs =
        emit_splat(e, emit_div(e, emit_extent(e, b->type.extents[last]), emit_i64(e, TILE_INPUTS)), p->lanes);
    struct index flat = point_flatten(e, &b->type, p, 0, last);
    LLVMValueRef row = index_vector(e, &flat, p->lanes), column = index_vector(e, &p->at[last], p->lanes);
    LLVMValueRef number =
        emit_add(e, emit_mul(e, over(e, row, TILE_OUTPUTS), inputs), over(e, column, TILE_INPUTS));
    struct place_in_tiles at = {times(e, number, tile_bytes(f)), modulo(e, column, TILE_INPUTS),
                                modulo(e, row, TILE_OUTPUTS)};
    LLVMValueRef in_group = times(e, over(e, at.input, step), TILE_OUTPUTS);
    LLVMValueRef position =
        emit_add(e, times(e, emit_add(e, in_group, at.output), step), modulo(e, at.input, step));
    LLVMValueRef code = plane(e, b, &at, position, tile_codes(f), f->bits == 8 ? 8 : 4, p);
    if (upper) {
        LLVMValueRef high = plane(e, b, &at, position, tile_upper(f), upper, p);
        code = LLVMBuildOr(e->builder, code,
                           LLVMBuildShl(e->builder, high, emit_constant_like(LLVMTypeOf(high), 4), ""), "");
    }
    LLVMTypeRef floats = emit_vector(e, e->f32, p->lanes);
    code = LLVMBuildSub(e->builder, code, emit_constant_like(LLVMTypeOf(code), f->bias), "");
    LLVMValueRef value = LLVMBuildSIToFP(e->builder, code, floats, ""),
                 scale = scales(e, b, f, &at, tile_scales(f, 0), p);
    if (!f->minimum) return LLVMBuildFMul(e->builder, value, scale, "");
    return emit_fma(e, value, scale, scales(e, b, f, &at, tile_minima(f, 0), p));
}
