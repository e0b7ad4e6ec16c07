/* A product of 32 inputs by 32 outputs of a packed tile, whose codes go straight from memory into fragments:
 *
 *     codes of a tile      the word of (four inputs g, output o) is at byte 4 (32 g + o)
 *     lane l loads         outputs 4 (l/4) .. + 3 of fours l%4 and l%4 + 4, 16 bytes each (of 4 bits: both)
 *     product i = 0 .. 3   its column j is output 4 j + i
 *     sums of a lane       rows l/4, l/4 + 8 at outputs 8 (l%4) .. + 7, whose scales are neighbours too
 *
 * What micro.c does for dp4a: (sum of codes - bias * sum of the row's) * (scale of the output * scale of the
 * row), and a minimum times the row's sum. */
#include "backend/simt_blocks.h"
#include "backend/simt.h"

enum {
    PRODUCTS = TILE_OUTPUTS / MMA_OUTPUTS,
    LANE_OUTPUTS = 8, /* of a tile, in each of two rows */
    TILE_SUMS = PRODUCTS * MMA_SUMS,
    FOURS = 4 * TILE_OUTPUTS, /* bytes of four inputs' codes of 8 bits */
    MOST_FRAGMENTS = MOST_LINES / 2,
    ONE_POINT_FIVE = 0x4b400000 /* 1.5 * 2^23 as a float, whose last bit is 1 */
};

typedef LLVMValueRef V;

static struct index column_of(struct emitter *e) { return index_rem_by(e, simt_lanes(e), 4, e->lanes); }
static struct index line_of(struct emitter *e) { return index_div_by(e, simt_lanes(e), 4, e->lanes); }
static LLVMTypeRef words_of(struct emitter *e) { return emit_vector(e, e->i32, e->lanes); }

static V bits(struct emitter *e, V word, LLVMTypeRef type) {
    return LLVMBuildBitCast(e->builder, word, type, "");
}

/* ---- the weights' side ---- */

static struct index from_tile(struct emitter *e, struct index at, int64_t offset) {
    return index_add(e, at, index_constant(e, offset), e->lanes);
}

/* In each byte the bits from `shift` on that `mask` has, a constant or a number by lane. */
static V bits_of_bytes(struct emitter *e, V word, V shift, int mask) {
    V kept = emit_constant_like(words_of(e), mask * 0x01010101);
    return LLVMBuildAnd(e->builder, LLVMBuildLShr(e->builder, word, shift, ""), kept, "");
}

/* The upper bits of codes of 5 and 6 bits: the plane has `of` bits a code, of fours of inputs g in byte g %
 * of, from bit g / of * of on. */
static void add_upper(struct emitter *e, const struct mma_blocks *b, V tile, V (*codes)[PRODUCTS]) {
    int of = b->format->bits - 4;
    struct index column = column_of(e),
                 shift = index_scale_by(e, index_div_by(e, column, of, e->lanes), of, e->lanes);
    struct index at = index_scale_by(e, index_rem_by(e, column, of, e->lanes), FOURS, e->lanes);
    at = index_add(e, at, index_scale_by(e, line_of(e), CHUNK_BYTES, e->lanes), e->lanes);
    V upper[CHUNK_WORDS],
        bit = LLVMBuildTrunc(e->builder, index_vector(e, &shift, e->lanes), words_of(e), "");
    mma_load_chunk(e, tile, from_tile(e, at, tile_upper(b->format)), true, upper);
    for (int half = 0; half < 2;
         half++, bit = LLVMBuildAdd(e->builder, bit, emit_constant_like(words_of(e), 4), ""))
        for (int i = 0; i < PRODUCTS; i++) {
            V part = bits_of_bytes(e, upper[i], bit, (1 << of) - 1);
            part = LLVMBuildShl(e->builder, part, emit_constant_like(words_of(e), 4), "");
            codes[half][i] = LLVMBuildOr(e->builder, codes[half][i], part, "");
        }
}

/* Both words of each product's fragment. */
static void load_codes(struct emitter *e, const struct mma_blocks *b, V tile, V (*codes)[PRODUCTS]) {
    struct index at = index_scale_by(e, column_of(e), FOURS, e->lanes);
    at = index_add(e, at, index_scale_by(e, line_of(e), CHUNK_BYTES, e->lanes), e->lanes);
    at = from_tile(e, at, tile_codes(b->format));
    mma_load_chunk(e, tile, at, true, codes[0]);
    if (b->format->bits == 8) {
        mma_load_chunk(e, tile, from_tile(e, at, 4 * FOURS), true, codes[1]);
        return;
    }
    V four = emit_constant_like(words_of(e), 4), none = emit_constant_like(words_of(e), 0);
    for (int i = 0; i < PRODUCTS; i++) {
        V both = codes[0][i];
        codes[0][i] = bits_of_bytes(e, both, none, 15);
        codes[1][i] = bits_of_bytes(e, both, four, 15);
    }
    if (b->format->bits > 4) add_upper(e, b, tile, codes);
}

/* A lane's scales or minima, as f32. */
static void load_scales(struct emitter *e, const struct mma_blocks *b, V tile, int64_t offset, V *scales) {
    enum dtype t = tile_scale_type(b->format);
    int size = dtype_bytes(t), chunks = LANE_OUTPUTS * size / CHUNK_BYTES;
    struct index at = index_scale_by(e, column_of(e), (int64_t)LANE_OUTPUTS * size, e->lanes);
    V words[LANE_OUTPUTS];
    for (int i = 0; i < chunks; i++)
        mma_load_chunk(e, tile, from_tile(e, at, offset + i * CHUNK_BYTES), true, &words[i * CHUNK_WORDS]);
    LLVMTypeRef halves = emit_vector(e, e->i16, e->lanes), floats = emit_vector(e, e->f32, e->lanes);
    for (int i = 0; i < LANE_OUTPUTS; i++) {
        if (t == DTYPE_F32) {
            scales[i] = bits(e, words[i], floats);
            continue;
        }
        V half = words[i / 2];
        if (i % 2) half = LLVMBuildLShr(e->builder, half, emit_constant_like(words_of(e), 16), "");
        half = LLVMBuildTrunc(e->builder, half, halves, "");
        scales[i] = emit_widen(e, t, bits(e, half, emit_vector(e, e->f16, e->lanes)));
    }
}

/* ---- a block ---- */

/* The inputs of a group of scales: both words of the fragment, or one of them. */
static void only_group(struct emitter *e, const struct mma_blocks *b, int group, V low, V high, V pair[2]) {
    V none = emit_constant_like(words_of(e), 0);
    bool one = tile_groups(b->format) == 1;
    pair[0] = one || group == 0 ? low : none;
    pair[1] = one || group == 1 ? high : none;
}

/* Where integer sums of a fragment's rows start: at -bias times what the rows add up to, and at the bits
 * of 1.5 * 2^23, so that they become floats by a subtraction, which costs a quarter of a conversion. No sum
 * reaches 2^22. */
static void first_sums(struct emitter *e, const struct mma_blocks *b, const V a[4], int group,
                       V first[MMA_SUMS]) {
    V zero = emit_constant_like(words_of(e), 0), pair[2];
    V bias = emit_constant_like(words_of(e), (int32_t)((uint32_t)b->format->bias * 0x01010101u));
    for (int i = 0; i < MMA_SUMS; i++) first[i] = zero;
    if (b->format->bias) {
        only_group(e, b, group, bias, bias, pair);
        simt_mma(e, ATOM_mma_int8, a, pair, first);
    }
    for (int i = 0; i < MMA_SUMS; i++)
        first[i] = LLVMBuildSub(e->builder, emit_constant_like(words_of(e), ONE_POINT_FIVE), first[i], "");
}

static V as_float(struct emitter *e, V sum) {
    LLVMTypeRef floats = emit_vector(e, e->f32, e->lanes);
    return LLVMBuildFSub(e->builder, bits(e, sum, floats), emit_constant_like(floats, 12582912), "");
}

/* What the rows of a lane have for the block. */
struct row_scales {
    V scale[MOST_LINES], total[MOST_LINES]; /* total: scaled, for minima */
};

/* Numbers of rows, zeros where there is no such block. */
static void load_row_scales(struct emitter *e, const struct mma_blocks *b, V block, V number,
                            struct row_scales *r) {
    LLVMTypeRef floats = emit_vector(e, e->f32, e->lanes);
    V exists = emit_splat(e, LLVMBuildICmp(e->builder, LLVMIntEQ, block, number, ""), e->lanes);
    for (int i = 0; i < b->rows / 8; i++) {
        struct index at = index_add(e, b->line[i], index_uniform(number), e->lanes);
        V scale = emit_load_at(e, e->f32, b->scales, at, e->lanes, NULL);
        r->scale[i] = LLVMBuildSelect(e->builder, exists, scale, LLVMConstNull(floats), "");
        if (!b->format->minimum) continue;
        V total = emit_load_at(e, e->i32, b->totals, at, e->lanes, NULL);
        r->total[i] =
            LLVMBuildFMul(e->builder, LLVMBuildSIToFP(e->builder, total, floats, ""), r->scale[i], "");
    }
}

/* The sums of product i's register c are row c / 2 at output i + 4 (c % 2) of the lane's. */
static void add_group(struct emitter *e, const struct mma_blocks *b, V tile, int group, V (*codes)[PRODUCTS],
                      V (*a)[4], V (*first)[MMA_SUMS], const struct row_scales *r, int number, V *sums) {
    V scales[LANE_OUTPUTS], pair[2];
    load_scales(e, b, tile, tile_scales(b->format, group), scales);
    for (int f = 0; f < b->rows / MMA_ROWS; f++)
        for (int i = 0; i < PRODUCTS; i++) {
            V part[MMA_SUMS], *to = &sums[(f * b->tiles + number) * TILE_SUMS + i * MMA_SUMS];
            for (int c = 0; c < MMA_SUMS; c++) part[c] = first[f][c];
            only_group(e, b, group, codes[0][i], codes[1][i], pair);
            simt_mma(e, ATOM_mma_int8, a[f], pair, part);
            for (int c = 0; c < MMA_SUMS; c++) {
                V factor = LLVMBuildFMul(e->builder, scales[i + 4 * (c % 2)], r->scale[2 * f + c / 2], "");
                to[c] = emit_fma(e, as_float(e, part[c]), factor, to[c]);
            }
        }
}

static void add_minima(struct emitter *e, const struct mma_blocks *b, V tile, const struct row_scales *r,
                       int number, V *sums) {
    V minima[LANE_OUTPUTS];
    load_scales(e, b, tile, tile_minima(b->format, 0), minima);
    for (int f = 0; f < b->rows / MMA_ROWS; f++)
        for (int s = 0; s < TILE_SUMS; s++) {
            V *to = &sums[(f * b->tiles + number) * TILE_SUMS + s];
            int i = s / MMA_SUMS, c = s % MMA_SUMS;
            *to = emit_fma(e, minima[i + 4 * (c % 2)], r->total[2 * f + c / 2], *to);
        }
}

void mma_blocks_add(struct emitter *e, const struct mma_blocks *b, V block, V (*a)[4], V *sums) {
    V first[MOST_FRAGMENTS][MMA_SUMS], codes[2][PRODUCTS], number = emit_min(e, block, b->last);
    struct row_scales rows;
    load_row_scales(e, b, block, number, &rows);
    for (int g = 0; g < tile_groups(b->format); g++) {
        for (int f = 0; f < b->rows / MMA_ROWS; f++) first_sums(e, b, a[f], g, first[f]);
        for (int t = 0; t < b->tiles; t++) {
            V tile = emit_offset(e, b->tile[t], emit_mul(e, number, b->step));
            load_codes(e, b, tile, codes);
            add_group(e, b, tile, g, codes, a, first, &rows, t, sums);
            if (b->format->minimum) add_minima(e, b, tile, &rows, t, sums);
        }
    }
}

/* ---- a warp's part ---- */

static V buffer_of(struct emitter *e, const struct mma_operand *a, int operand) {
    return e->operands[a->c->node->operands[operand]->index].base;
}

/* Row l/4 + 8 i of the part, as the first of its elements in an operand of that type. */
static struct index row_of(struct emitter *e, const struct mma_product *p, const struct type *t, V row,
                           int i) {
    V last = emit_sub(e, p->rows_end, emit_i64(e, 1));
    struct index line =
        index_add(e, index_uniform(emit_add(e, row, emit_i64(e, 8 * i))), line_of(e), e->lanes);
    struct point point = mma_point(e, p->a, p->at, mma_limit(e, line, last), index_constant(e, 0));
    return point_flatten(e, t, &point, 0, t->rank);
}

void mma_blocks_begin(struct emitter *e, const struct mma_product *p, int rows, int outputs, V row, V output,
                      struct mma_blocks *b) {
    const struct contraction *c = p->a->c;
    *b = (struct mma_blocks){.format = p->tiles->tile, .rows = rows, .tiles = outputs / TILE_OUTPUTS};
    if (rows / 8 > MOST_LINES || b->tiles > MOST_TILES)
        ice("a warp's part of %d x %d is too large", rows, outputs);
    b->scales = buffer_of(e, p->a, 1);
    b->totals = buffer_of(e, p->a, 2);
    for (int i = 0; i < rows / 8; i++) b->line[i] = row_of(e, p, &c->node->operands[1]->type, row, i);
    V all = emit_extent(e, c->map->loops[c->outputs].extent), width = emit_i64(e, TILE_OUTPUTS);
    V last = emit_mul(e, emit_div(e, emit_sub(e, all, emit_i64(e, 1)), width), width);
    for (int t = 0; t < b->tiles; t++) {
        V first = emit_min(e, emit_add(e, output, emit_i64(e, (int64_t)t * TILE_OUTPUTS)), last);
        struct micro m;
        panels_outputs(e, p->tiles, first, NULL, p->at, &m);
        b->tile[t] = m.b;
        b->step = m.b_step;
    }
    V blocks = emit_div(e, contraction_count(e, c, &c->inputs), emit_i64(e, TILE_INPUTS));
    b->last = emit_sub(e, blocks, emit_i64(e, 1));
}

/* Four neighbours at a time: a quarter of a warp, two rows, use all banks if a row is 4 banks more than a
 * multiple of 8 from the next. */
void mma_blocks_store(struct emitter *e, const struct mma_blocks *b, const V *sums, V row, V output,
                      const struct mma_sums *to) {
    struct index own = index_scale_by(e, line_of(e), to->stride, e->lanes);
    own = index_add(e, own, index_scale_by(e, column_of(e), LANE_OUTPUTS, e->lanes), e->lanes);
    own = index_add(e, own, index_uniform(emit_add(e, emit_mul(e, row, emit_i64(e, to->stride)), output)),
                    e->lanes);
    for (int f = 0; f < b->rows / MMA_ROWS; f++)
        for (int t = 0; t < b->tiles; t++, sums += TILE_SUMS)
            for (int c = 0; c < MMA_SUMS; c++) {
                int64_t there =
                    (f * MMA_ROWS + c / 2 * 8) * to->stride + (int64_t)t * TILE_OUTPUTS + 4 * (c % 2);
                struct index at = index_add(e, own, index_constant(e, there), e->lanes);
                V words[PRODUCTS];
                for (int i = 0; i < PRODUCTS; i++) words[i] = bits(e, sums[i * MMA_SUMS + c], words_of(e));
                mma_store_chunk(e, to->to, index_scale_by(e, at, 4, e->lanes), words);
            }
}

/* ---- few rows ---- */

void emit_mma_few_blocks(struct emitter *e, const struct mma_product *p, const struct mma_sums *sums) {
    struct mma_blocks b;
    struct index line[2];
    int count = p->outputs / TILE_OUTPUTS * TILE_SUMS;
    V state[MAX_CARRIED], zero = emit_i64(e, 0), codes = buffer_of(e, p->a, 0), a[1][4];
    mma_blocks_begin(e, p, MMA_ROWS, p->outputs, p->row, p->output, &b);
    for (int i = 0; i < 2; i++) {
        line[i] = index_div_by(e, row_of(e, p, &p->a->value->type, p->row, i), 4, e->lanes);
        line[i] = index_add(e, line[i], column_of(e), e->lanes);
    }
    for (int i = 0; i < count; i++) state[i] = emit_splat(e, emit_f32(e, 0), e->lanes);
    struct emit_loop blocks;
    emit_loop_begin(e, &blocks, p->begin, p->end, 1, count, state);
    for (int i = 0; i < count; i++) state[i] = blocks.carried[i];
    for (int i = 0; i < 4; i++) {
        V word = emit_add(e, emit_mul(e, blocks.counter, emit_i64(e, 8)), emit_i64(e, 4 * (i / 2)));
        struct index at = index_add(e, line[i % 2], index_uniform(word), e->lanes);
        a[0][i] = emit_load_at(e, e->i32, codes, at, e->lanes, NULL);
    }
    mma_blocks_add(e, &b, blocks.counter, a, state);
    emit_loop_end(e, &blocks, state);
    mma_blocks_store(e, &b, blocks.carried, zero, zero, sums);
}
