/* Register tiles in LLVM IR: every sum is one SSA value carried by a phi, never memory; unrolling is done
 * here and forbidden to LLVM. See kernels.md's measurements: 6x64 f32 this way runs at 97-100 % of the FMA
 * peak. */
#include "backend/micro.h"
#include "backend/simt.h"
#include "ir/number.h"
#include <string.h>

static LLVMTypeRef lane_vector(struct emitter *e, const struct micro *m) {
    return emit_vector(e, e->f32, m->lanes);
}

static LLVMValueRef at_byte(struct emitter *e, LLVMValueRef base, LLVMValueRef bytes) {
    return LLVMBuildGEP2(e->builder, e->i8, base, &bytes, 1, "");
}

static LLVMValueRef load_as(struct emitter *e, LLVMTypeRef type, LLVMValueRef address, int alignment) {
    LLVMValueRef v = LLVMBuildLoad2(e->builder, type, address, "");
    LLVMSetAlignment(v, (unsigned)alignment);
    return v;
}

/* With few rows a product is bound by memory: asks for B's bytes some lines before they are wanted, since the
 * hardware's own prefetching stops at each page. Addresses past the end do no harm. */
static void prefetch(struct emitter *e, const struct micro *m, LLVMValueRef address, int64_t bytes) {
    enum { AHEAD = 4096, LINE = 64 };
    for (int64_t at = 0; m->ahead && at < bytes; at += LINE) {
        LLVMValueRef line = at_byte(e, address, emit_i64(e, AHEAD + at));
        LLVMValueRef arguments[] = {line, emit_i32(e, 0), emit_i32(e, 3), emit_i32(e, 1)};
        emit_intrinsic(e, "llvm.prefetch", &e->ptr, 1, arguments, 4);
    }
}

/* ---- fma: one f32 input at a time ---- */

static LLVMValueRef broadcast_float(struct emitter *e, const struct micro *m, int row, LLVMValueRef k) {
    LLVMTypeRef type = emit_type(e, m->a_type);
    LLVMValueRef address = LLVMBuildGEP2(e->builder, type, m->a[row], &k, 1, "");
    int64_t align = greatest_common_divisor(m->a_align, m->k_align * dtype_bytes(m->a_type));
    LLVMValueRef scalar = load_as(e, type, address, (int)align);
    return emit_splat(e, emit_widen(e, m->a_type, scalar), m->lanes);
}

static void add_products(struct emitter *e, const struct micro *m, LLVMValueRef k, LLVMValueRef const *b,
                         LLVMValueRef *sums) {
    for (int r = 0; r < m->rows; r++) {
        LLVMValueRef a = broadcast_float(e, m, r, k);
        for (int v = 0; v < m->vectors; v++)
            sums[r * m->vectors + v] = emit_fma(e, a, b[v], sums[r * m->vectors + v]);
    }
}

static void fma_step(struct emitter *e, const struct micro *m, LLVMValueRef k, LLVMValueRef *sums) {
    LLVMValueRef b[MAX_TILE_SUMS], row = at_byte(e, m->b, LLVMBuildMul(e->builder, k, m->b_step, ""));
    prefetch(e, m, row, (int64_t)m->vectors * m->lanes * dtype_bytes(m->b_type));
    for (int v = 0; v < m->vectors; v++) {
        LLVMValueRef address = at_byte(e, row, emit_i64(e, (int64_t)v * m->lanes * dtype_bytes(m->b_type)));
        LLVMValueRef mask = v + 1 == m->vectors ? m->last_mask : NULL;
        b[v] = emit_widen(e, m->b_type, emit_load_lanes(e, emit_type(e, m->b_type), address, m->lanes, mask));
    }
    add_products(e, m, k, b, sums);
}

/* ---- dot_bf16: two inputs at a time ---- */

static void dot_bf16_step(struct emitter *e, const struct micro *m, LLVMValueRef k, LLVMValueRef *sums) {
    LLVMTypeRef pairs = LLVMVectorType(e->bf16, (unsigned)(2 * m->lanes));
    LLVMValueRef group = LLVMBuildLShr(e->builder, k, emit_i64(e, 1), ""), b[MAX_TILE_SUMS];
    LLVMValueRef row = at_byte(e, m->b, LLVMBuildMul(e->builder, group, m->b_step, ""));
    for (int v = 0; v < m->vectors; v++)
        b[v] = load_as(e, pairs, at_byte(e, row, emit_i64(e, (int64_t)v * m->lanes * 4)), 2);
    for (int r = 0; r < m->rows; r++) {
        LLVMValueRef pair = load_as(e, e->i32, LLVMBuildGEP2(e->builder, e->bf16, m->a[r], &k, 1, ""), 2);
        LLVMValueRef a = LLVMBuildBitCast(e->builder, emit_splat(e, pair, m->lanes), pairs, "");
        for (int v = 0; v < m->vectors; v++) {
            LLVMValueRef *sum = &sums[r * m->vectors + v], arguments[] = {*sum, a, b[v]};
            *sum = emit_intrinsic(e, "llvm.x86.avx512bf16.dpbf16ps.512", NULL, 0, arguments, 3);
        }
    }
}

/* ---- inputs in a row: the loop over k, and what its unrolling leaves ---- */

typedef void step_function(struct emitter *e, const struct micro *m, LLVMValueRef k, LLVMValueRef *sums);

static void loop_over_inputs(struct emitter *e, const struct micro *m, step_function *step,
                             LLVMValueRef begin, LLVMValueRef end, int unroll, LLVMValueRef *sums) {
    struct emit_loop loop;
    int count = m->rows * m->vectors, group = atom_info(m->atom)->k;
    emit_loop_begin(e, &loop, begin, end, (int64_t)unroll * group, count, sums);
    for (int i = 0; i < count; i++) sums[i] = loop.carried[i];
    for (int u = 0; u < unroll; u++) {
        struct micro at = *m;
        at.k_align = greatest_common_divisor(u ? u * group : unroll * group, unroll * group);
        step(e, &at, LLVMBuildAdd(e->builder, loop.counter, emit_i64(e, (int64_t)u * group), ""), sums);
    }
    emit_loop_end(e, &loop, sums);
    for (int i = 0; i < count; i++) sums[i] = loop.carried[i];
}

static void plain_micro(struct emitter *e, const struct micro *m, step_function *step, LLVMValueRef *sums) {
    int64_t chunk = (int64_t)m->unroll * atom_info(m->atom)->k;
    LLVMValueRef zero = emit_i64(e, 0), rest = emit_rem(e, m->inputs, emit_i64(e, chunk));
    LLVMValueRef whole = emit_sub(e, m->inputs, rest);
    loop_over_inputs(e, m, step, zero, whole, m->unroll, sums);
    bool divides = m->whole || (LLVMIsAConstantInt(rest) && LLVMConstIntGetZExtValue(rest) == 0);
    if (m->unroll > 1 && !divides) loop_over_inputs(e, m, step, whole, m->inputs, 1, sums);
}

/* ---- packed tiles ---- */

/* `count` bytes of a vector's lanes, as many to each; a thread has one lane's. */
static LLVMTypeRef byte_vector(struct emitter *e, int count) {
    if (e->threaded) count /= e->lanes;
    return count > 1 ? LLVMVectorType(e->i8, (unsigned)count) : e->i8;
}

/* Bytes first .. first + count of a tile: of a thread, its own part of them. */
static LLVMValueRef load_bytes(struct emitter *e, LLVMTypeRef type, LLVMValueRef tile, int64_t first,
                               int count, int alignment) {
    LLVMValueRef address = at_byte(e, tile, emit_i64(e, first));
    if (e->threaded) address = at_byte(e, address, emit_mul(e, e->lane, emit_i64(e, count / e->lanes)));
    return load_as(e, type, address, e->threaded ? count / e->lanes : alignment);
}

/* Codes p .. p + count of a tile, as <count x i8>; of a thread, its own of them. */
static LLVMValueRef load_codes(struct emitter *e, const struct micro *m, LLVMValueRef tile, int p,
                               int count) {
    const struct format_info *t = m->tile;
    struct tile_code c = tile_code(t, p);
    LLVMTypeRef bytes = byte_vector(e, count);
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

/* Scales or minima of a vector of outputs, as f32. */
static LLVMValueRef load_scales(struct emitter *e, const struct micro *m, LLVMValueRef tile, int64_t offset,
                                int vector) {
    enum dtype stored = tile_scale_type(m->tile);
    int64_t first = (int64_t)vector * m->lanes;
    LLVMValueRef address = at_byte(e, tile, emit_i64(e, offset + first * dtype_bytes(stored)));
    return emit_widen(e, stored, emit_load_lanes(e, emit_type(e, stored), address, m->lanes, NULL));
}

/* fma on one group of inputs of a tile: codes become f32 weights in registers, shared by the rows. Inputs k
 * and k + 16 follow each other, since 4-bit codes share a byte. */
static void fma_group(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef k0, int group,
                      LLVMValueRef *sums) {
    const struct format_info *t = m->tile;
    LLVMTypeRef floats = lane_vector(e, m);
    LLVMValueRef scale[MAX_TILE_SUMS], minimum[MAX_TILE_SUMS];
    for (int v = 0; v < m->vectors; v++) {
        scale[v] = load_scales(e, m, tile, tile_scales(t, group), v);
        minimum[v] = t->minimum
                         ? load_scales(e, m, tile, tile_minima(t, group), v)
                         : LLVMBuildFMul(e->builder, scale[v], emit_constant_like(floats, -t->bias), "");
    }
    int span = TILE_INPUTS / tile_groups(t);
    for (int i = 0; i < span; i++) {
        int k = group * span + (tile_groups(t) == 1 ? i / 2 + i % 2 * 16 : i);
        LLVMValueRef b[MAX_TILE_SUMS];
        for (int v = 0; v < m->vectors; v++) {
            LLVMValueRef codes = load_codes(e, m, tile, tile_position(k, v * m->lanes, 1), m->lanes);
            LLVMValueRef wide = LLVMBuildZExt(e->builder, codes, emit_vector(e, e->i32, m->lanes), "");
            b[v] = emit_fma(e, LLVMBuildSIToFP(e->builder, wide, floats, ""), scale[v], minimum[v]);
        }
        add_products(e, m, LLVMBuildAdd(e->builder, k0, emit_i64(e, k), ""), b, sums);
    }
}

static void fma_tile(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef block,
                     LLVMValueRef *sums) {
    LLVMValueRef k0 = LLVMBuildMul(e->builder, block, emit_i64(e, TILE_INPUTS), "");
    for (int group = 0; group < tile_groups(m->tile); group++) fma_group(e, m, tile, k0, group, sums);
}

/* Even and odd bytes of 32-bit lanes as pairs of i16. */
static LLVMValueRef byte_pairs(struct emitter *e, LLVMValueRef words, LLVMTypeRef halves, int odd,
                               bool is_signed) {
    LLVMValueRef as_halves = LLVMBuildBitCast(e->builder, words, halves, ""),
                 eight = emit_constant_like(halves, 8);
    if (!odd) as_halves = LLVMBuildShl(e->builder, as_halves, eight, "");
    return is_signed ? LLVMBuildAShr(e->builder, as_halves, eight, "")
                     : LLVMBuildLShr(e->builder, as_halves, eight, "");
}

/* Sums of pairs of i16 products in i32. No u8 * s8 instruction here: vpmaddubsw would saturate at 255 * 127
 * * 2. */
static LLVMValueRef multiply_pairs(struct emitter *e, const struct micro *m, LLVMValueRef w, LLVMValueRef x) {
    LLVMValueRef arguments[] = {w, x};
    const char *name = m->lanes == 4   ? "llvm.x86.sse2.pmadd.wd"
                       : m->lanes == 8 ? "llvm.x86.avx2.pmadd.wd"
                                       : "llvm.x86.avx512.pmaddw.d.512";
    return emit_intrinsic(e, name, NULL, 0, arguments, 2);
}

/* Codes of 8 bits are signed to s8 * s8 products once 128 is taken off, so that much less of the bias is
 * left. */
static int signed_by(const struct emitter *e, const struct micro *m) {
    return e->target->byte_dot == DOT_sdot && m->tile->bits == 8 ? 128 : 0;
}

/* The instruction for it, or NULL: sum[l] += w[l][0..4) . x[0..4). */
static LLVMValueRef dot_instruction(struct emitter *e, const struct micro *m, LLVMValueRef sum,
                                    LLVMValueRef w, LLVMValueRef x) {
    static const struct {
        enum byte_dot dot;
        int lanes, overloads;
        const char *name;
    } instructions[] = {{DOT_busd, 16, 0, "llvm.x86.avx512.vpdpbusd.512"},
                        {DOT_busd, 8, 0, "llvm.x86.avx512.vpdpbusd.256"},
                        {DOT_sdot, 4, 2, "llvm.aarch64.neon.sdot"},
                        {DOT_usdot, 4, 2, "llvm.aarch64.neon.usdot"}};
    int i = 0, count = sizeof instructions / sizeof *instructions;
    while (i < count && (instructions[i].dot != e->target->byte_dot || instructions[i].lanes != m->lanes))
        i++;
    if (i == count) return NULL;
    LLVMTypeRef bytes = LLVMVectorType(e->i8, (unsigned)(4 * m->lanes)),
                overloads[] = {LLVMTypeOf(sum), bytes};
    w = LLVMBuildBitCast(e->builder, w, bytes, "");
    if (signed_by(e, m)) w = LLVMBuildXor(e->builder, w, emit_constant_like(bytes, -128), "");
    LLVMValueRef arguments[] = {sum, w, LLVMBuildBitCast(e->builder, x, bytes, "")};
    return emit_intrinsic(e, instructions[i].name, overloads, instructions[i].overloads, arguments, 3);
}

/* The same by products of 16 bits, which hold 255 * -128, added up in pairs. */
static LLVMValueRef dot_by_pairs(struct emitter *e, const struct micro *m, LLVMValueRef sum, LLVMValueRef w,
                                 LLVMValueRef x) {
    LLVMTypeRef bytes = LLVMVectorType(e->i8, 16), halves = LLVMVectorType(e->i16, 16);
    LLVMTypeRef words = emit_vector(e, e->i32, m->lanes), overloads[] = {words, LLVMVectorType(e->i16, 8)};
    w = LLVMBuildZExt(e->builder, LLVMBuildBitCast(e->builder, w, bytes, ""), halves, "");
    x = LLVMBuildSExt(e->builder, LLVMBuildBitCast(e->builder, x, bytes, ""), halves, "");
    LLVMValueRef product = LLVMBuildMul(e->builder, w, x, ""), pairs[2];
    for (int half = 0; half < 2; half++) {
        LLVMValueRef numbers[8], part;
        for (int i = 0; i < 8; i++) numbers[i] = emit_i32(e, 8 * half + i);
        part = LLVMBuildShuffleVector(e->builder, product, product, LLVMConstVector(numbers, 8), "");
        pairs[half] = emit_intrinsic(e, "llvm.aarch64.neon.saddlp", overloads, 2, &part, 1);
    }
    LLVMValueRef quads = emit_intrinsic(e, "llvm.aarch64.neon.addp", &words, 1, pairs, 2);
    return LLVMBuildAdd(e->builder, sum, quads, "");
}

/* sum[l] += w[l][0..4) . x[0..4), w unsigned, x signed bytes. */
static LLVMValueRef dot_bytes(struct emitter *e, const struct micro *m, LLVMValueRef sum, LLVMValueRef w,
                              LLVMValueRef x) {
    if (e->target->simt) return simt_dot4(e, w, x, sum);
    LLVMValueRef made = dot_instruction(e, m, sum, w, x);
    if (made) return made;
    if (!strncmp(e->target->triple, "aarch64", 7)) return dot_by_pairs(e, m, sum, w, x);
    LLVMTypeRef words = emit_vector(e, e->i32, m->lanes),
                halves = LLVMVectorType(e->i16, (unsigned)(2 * m->lanes));
    w = LLVMBuildBitCast(e->builder, w, words, ""), x = LLVMBuildBitCast(e->builder, x, words, "");
    for (int odd = 0; odd < 2; odd++) {
        LLVMValueRef part =
            multiply_pairs(e, m, byte_pairs(e, w, halves, odd, false), byte_pairs(e, x, halves, odd, true));
        sum = LLVMBuildAdd(e->builder, sum, part, "");
    }
    return sum;
}

static LLVMValueRef load_block_scalar(struct emitter *e, LLVMTypeRef type, LLVMValueRef base,
                                      LLVMValueRef block) {
    return load_as(e, type, LLVMBuildGEP2(e->builder, type, base, &block, 1, ""), 4);
}

/* Where integer sums of a row start: at -bias * (sum of its codes), one scalar for all outputs, so that
 * biased codes cost nothing. A format with groups of 16 takes the bias off group by group instead, see
 * dot_group. */
static LLVMValueRef first_sum(struct emitter *e, const struct micro *m, int row, LLVMValueRef block) {
    LLVMTypeRef words = emit_vector(e, e->i32, m->lanes);
    int bias = m->tile->bias - signed_by(e, m);
    if (!bias || tile_groups(m->tile) > 1) return LLVMConstNull(words);
    LLVMValueRef total = load_block_scalar(e, e->i32, m->totals[row], block);
    return emit_splat(e, LLVMBuildMul(e->builder, total, emit_i32(e, -bias), ""), m->lanes);
}

/* Integer products of one group of inputs, then scaled into the f32 sums. */
static void dot_group(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef block,
                      int group, LLVMValueRef *sums) {
    const struct format_info *t = m->tile;
    LLVMTypeRef floats = lane_vector(e, m), bytes = byte_vector(e, 4 * m->lanes);
    LLVMValueRef part[MAX_TILE_SUMS], scale[MAX_TILE_SUMS];
    LLVMValueRef k0 = LLVMBuildMul(e->builder, block, emit_i64(e, TILE_INPUTS), "");
    for (int r = 0; r < m->rows; r++)
        for (int v = 0; v < m->vectors; v++)
            part[r * m->vectors + v] = v ? part[r * m->vectors] : first_sum(e, m, r, block);
    int quads = TILE_INPUTS / 4 / tile_groups(t);
    for (int q = 0; q < quads; q++) {
        int k = (group * quads + (tile_groups(t) == 1 ? q / 2 + q % 2 * 4 : q)) * 4;
        LLVMValueRef w[MAX_TILE_SUMS];
        for (int v = 0; v < m->vectors; v++)
            w[v] = load_codes(e, m, tile, tile_position(k, v * m->lanes, 4), 4 * m->lanes);
        for (int r = 0; r < m->rows; r++) {
            LLVMValueRef at = LLVMBuildAdd(e->builder, k0, emit_i64(e, k), "");
            int align = m->a_align >= 4 ? (int)greatest_common_divisor(k ? k : 16, m->a_align) : 4;
            LLVMValueRef quad =
                load_as(e, e->i32, LLVMBuildGEP2(e->builder, e->i8, m->a[r], &at, 1, ""), align);
            LLVMValueRef x = emit_splat(e, quad, m->lanes);
            for (int v = 0; v < m->vectors; v++) {
                LLVMValueRef *sum = &part[r * m->vectors + v];
                *sum = dot_bytes(e, m, *sum, w[v], x);
                if (!t->bias || tile_groups(t) == 1) continue;
                LLVMValueRef none = LLVMConstNull(LLVMTypeOf(*sum));
                *sum = LLVMBuildSub(e->builder, *sum,
                                    dot_bytes(e, m, none, emit_constant_like(bytes, t->bias), x), "");
            }
        }
    }
    for (int v = 0; v < m->vectors; v++) scale[v] = load_scales(e, m, tile, tile_scales(t, group), v);
    for (int r = 0; r < m->rows; r++) {
        LLVMValueRef d = emit_splat(e, load_block_scalar(e, e->f32, m->scales[r], block), m->lanes);
        for (int v = 0; v < m->vectors; v++) {
            LLVMValueRef whole = LLVMBuildSIToFP(e->builder, part[r * m->vectors + v], floats, "");
            LLVMValueRef factor = LLVMBuildFMul(e->builder, scale[v], d, "");
            sums[r * m->vectors + v] = emit_fma(e, whole, factor, sums[r * m->vectors + v]);
        }
    }
}

/* + minimum * (scale of the row's block * sum of its codes). */
static void add_minima(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef block,
                       LLVMValueRef *sums) {
    LLVMValueRef minimum[MAX_TILE_SUMS];
    for (int v = 0; v < m->vectors; v++) minimum[v] = load_scales(e, m, tile, tile_minima(m->tile, 0), v);
    for (int r = 0; r < m->rows; r++) {
        /* Splat first: broadcasts from memory are free, from a scalar register they are not. */
        LLVMValueRef total = emit_splat(e, load_block_scalar(e, e->i32, m->totals[r], block), m->lanes);
        LLVMValueRef d = emit_splat(e, load_block_scalar(e, e->f32, m->scales[r], block), m->lanes);
        LLVMValueRef x =
            LLVMBuildFMul(e->builder, LLVMBuildSIToFP(e->builder, total, lane_vector(e, m), ""), d, "");
        for (int v = 0; v < m->vectors; v++)
            sums[r * m->vectors + v] = emit_fma(e, minimum[v], x, sums[r * m->vectors + v]);
    }
}

static void dot_int8_tile(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef block,
                          LLVMValueRef *sums) {
    for (int group = 0; group < tile_groups(m->tile); group++) dot_group(e, m, tile, block, group, sums);
    if (m->tile->minimum) add_minima(e, m, tile, block, sums);
}

static void tiled_micro(struct emitter *e, const struct micro *m, LLVMValueRef *sums) {
    struct emit_loop loop;
    int count = m->rows * m->vectors;
    LLVMValueRef blocks = emit_div(e, m->inputs, emit_i64(e, TILE_INPUTS));
    emit_loop_begin(e, &loop, emit_i64(e, 0), blocks, 1, count, sums);
    for (int i = 0; i < count; i++) sums[i] = loop.carried[i];
    LLVMValueRef tile = at_byte(e, m->b, LLVMBuildMul(e->builder, loop.counter, m->b_step, ""));
    prefetch(e, m, tile, tile_bytes(m->tile));
    if (m->atom == ATOM_dot_int8)
        dot_int8_tile(e, m, tile, loop.counter, sums);
    else
        fma_tile(e, m, tile, loop.counter, sums);
    emit_loop_end(e, &loop, sums);
    for (int i = 0; i < count; i++) sums[i] = loop.carried[i];
}

void emit_micro(struct emitter *e, const struct micro *m, LLVMValueRef *sums) {
    if (m->tile)
        tiled_micro(e, m, sums);
    else
        plain_micro(e, m, m->atom == ATOM_dot_bf16 ? dot_bf16_step : fma_step, sums);
}
