/* AMX by LLVM's intrinsics that name registers: which one holds what is the same in all tiles. */
#include "backend/amx.h"
#include "backend/micro_tile.h"

typedef LLVMValueRef V;

/* Registers: sums of rows top, bottom by outputs left, right; rows; weights. */
enum { SUMS, ROWS = 4, WEIGHTS = 6, SIDES = 2 };

static V number(struct emitter *e, int n) { return LLVMConstInt(e->i8, (unsigned)n, 0); }

/* ---- the configuration: palette 1, bytes of a row and rows of each register ---- */

static int64_t quarter(int a, int b, int c, int d) {
    return (int64_t)a | (int64_t)b << 16 | (int64_t)c << 32 | (int64_t)d << 48;
}

/* Rows of the registers, a byte each. */
static V rows_of_registers(struct emitter *e, V rows, int weights) {
    V most = emit_i64(e, AMX_ROWS), one = emit_i64(e, 1);
    V top = emit_min(e, rows, most), bottom = emit_max(e, emit_min(e, emit_sub(e, rows, most), most), one);
    V of_top = emit_mul(e, top, emit_i64(e, 0x0000000100000101)),
      of_bottom = emit_mul(e, bottom, emit_i64(e, 0x0000010001010000));
    return emit_add(e, emit_add(e, of_top, of_bottom),
                    emit_i64(e, (int64_t)weights << 48 | (int64_t)weights << 56));
}

void amx_begin(struct emitter *e, enum atom atom, V rows) {
    int bytes = atom == ATOM_amx_int8 ? AMX_BYTES / 2 : AMX_BYTES; /* of a block of 32 inputs */
    int64_t words[] = {1, 0, quarter(64, 64, 64, 64), quarter(bytes, bytes, 64, 64), 0, 0, 0, 0};
    V lanes[8], at = emit_scratch(e, AMX_BYTES);
    for (int i = 0; i < 8; i++) lanes[i] = emit_i64(e, words[i]);
    V configuration = LLVMConstVector(lanes, 8);
    configuration = LLVMBuildInsertElement(e->builder, configuration, rows_of_registers(e, rows, bytes / 4),
                                           emit_i32(e, 6), "");
    emit_store_lanes(e, configuration, at, NULL);
    emit_intrinsic(e, "llvm.x86.ldtilecfg", NULL, 0, &at, 1);
}

void amx_end(struct emitter *e) { emit_intrinsic(e, "llvm.x86.tilerelease", NULL, 0, NULL, 0); }

/* ---- instructions ---- */

static void clear(struct emitter *e, int to) {
    V arguments[] = {number(e, to)};
    emit_intrinsic(e, "llvm.x86.tilezero", NULL, 0, arguments, 1);
}

static void load(struct emitter *e, int to, V from, V stride) {
    V arguments[] = {number(e, to), from, stride};
    emit_intrinsic(e, "llvm.x86.tileloadd64", NULL, 0, arguments, 3);
}

static void store(struct emitter *e, int from, V to, V stride) {
    V arguments[] = {number(e, from), to, stride};
    emit_intrinsic(e, "llvm.x86.tilestored64", NULL, 0, arguments, 3);
}

static void multiply(struct emitter *e, const char *instruction, int sums, int rows, int weights) {
    V arguments[] = {number(e, sums), number(e, rows), number(e, weights)};
    emit_intrinsic(e, instruction, NULL, 0, arguments, 3);
}

/* ---- floats ---- */

/* Sums of both sides of rows and outputs. */
static void each_sum(struct emitter *e, void (*move)(struct emitter *, int, V, V), V at, V stride) {
    for (int i = 0; i < SIDES * SIDES; i++) {
        V row = emit_mul(e, stride, emit_i64(e, i / SIDES * AMX_ROWS));
        move(e, SUMS + i, emit_offset(e, at, emit_add(e, row, emit_i64(e, i % SIDES * AMX_BYTES))), stride);
    }
}

static void begin_sums(struct emitter *e, V more, V at, V stride) {
    struct emit_if again;
    for (int i = 0; i < SIDES * SIDES; i++) clear(e, SUMS + i);
    if (!more) return;
    emit_if_begin(e, &again, more);
    each_sum(e, load, at, stride);
    emit_if_end(e, &again);
}

/* sums += products of all inputs; of few rows, whose products wait for memory, weights are asked for ahead. */
static void add_products(struct emitter *e, V a, V b, V inputs, bool ahead) {
    enum { INPUTS = AMX_BYTES / 2, PANEL = SIDES * AMX_BYTES, ROWS_BYTES = AMX_ROWS * AMX_BYTES };
    struct emit_loop steps;
    struct micro m = {.ahead = ahead};
    V panel = emit_i64(e, PANEL), line = emit_i64(e, AMX_BYTES);
    emit_loop_begin(e, &steps, emit_i64(e, 0), inputs, INPUTS, 0, NULL);
    V rows = emit_offset(e, a, emit_mul(e, steps.counter, emit_i64(e, SIDES * ROWS_BYTES / INPUTS))),
      weights = emit_offset(e, b, emit_mul(e, steps.counter, emit_i64(e, PANEL / 2)));
    micro_prefetch(e, &m, weights, PANEL * AMX_ROWS);
    for (int side = 0; side < SIDES; side++) {
        load(e, WEIGHTS + side, emit_offset(e, weights, emit_i64(e, side * AMX_BYTES)), panel);
        load(e, ROWS + side, emit_offset(e, rows, emit_i64(e, side * ROWS_BYTES)), line);
    }
    for (int i = 0; i < SIDES * SIDES; i++)
        multiply(e, "llvm.x86.tdpbf16ps", SUMS + i, ROWS + i / SIDES, WEIGHTS + i % SIDES);
    emit_loop_end(e, &steps, NULL);
}

void amx_multiply_bf16(struct emitter *e, const struct amx_floats *f, V to, V stride) {
    struct emit_if few, many;
    begin_sums(e, f->more, to, stride);
    emit_if_begin(e, &few, f->few);
    add_products(e, f->a, f->b, f->inputs, true);
    emit_if_end(e, &few);
    emit_if_begin(e, &many, LLVMBuildNot(e->builder, f->few, ""));
    add_products(e, f->a, f->b, f->inputs, false);
    emit_if_end(e, &many);
    each_sum(e, store, to, stride);
}

/* ---- codes ---- */

void amx_unpack(struct emitter *e, const struct micro *m, V to) {
    enum { QUADS = TILE_INPUTS / 4 };
    struct emit_loop blocks;
    LLVMTypeRef bytes = LLVMVectorType(e->i8, AMX_BYTES);
    V bias = emit_constant_like(bytes, m->tile->bias);
    emit_loop_begin(e, &blocks, emit_i64(e, 0), emit_div(e, m->inputs, emit_i64(e, TILE_INPUTS)), 1, 0, NULL);
    V tile = emit_offset(e, m->b, emit_mul(e, blocks.counter, m->b_step));
    to = emit_offset(e, to, emit_mul(e, blocks.counter, emit_i64(e, AMX_CODES)));
    for (int q = 0; q < QUADS; q++)
        for (int side = 0; side < SIDES; side++) {
            V codes = LLVMBuildSub(e->builder, micro_codes(e, m, tile, 4 * q, side), bias, "");
            emit_store_lanes(e, codes, emit_offset(e, to, emit_i64(e, (q * SIDES + side) * AMX_BYTES)), NULL);
        }
    emit_loop_end(e, &blocks, NULL);
}

/* Number `block` of a row's, in all lanes. */
static V of_row(struct emitter *e, const struct amx_codes *c, V from, int row, V block) {
    V at = emit_add(e, emit_mul(e, c->blocks, emit_i64(e, row)), block);
    V one = emit_load_aligned(e, e->f32, emit_offset(e, from, emit_mul(e, at, emit_i64(e, 4))), 4, false);
    return emit_splat(e, one, AMX_ROWS);
}

/* A block's sums of 16 outputs, as micro_tile.c scales and adds them, operation by operation. */
static void scale_block(struct emitter *e, const struct amx_codes *c, const struct micro *m, V block,
                        int side, V *sums) {
    LLVMTypeRef words = emit_vector(e, e->i32, AMX_ROWS), floats = emit_vector(e, e->f32, AMX_ROWS);
    V tile = emit_offset(e, m->b, emit_mul(e, block, m->b_step)), minimum = NULL;
    V scale = micro_scales(e, m, tile, tile_scales(m->tile, 0), side);
    if (c->totals) minimum = micro_scales(e, m, tile, tile_minima(m->tile, 0), side);
    for (int r = 0; r < AMX_ROWS; r++) {
        V whole = emit_load_aligned(e, words, emit_offset(e, c->work, emit_i64(e, r * AMX_BYTES)), AMX_BYTES,
                                    false);
        V factor = LLVMBuildFMul(e->builder, scale, of_row(e, c, c->scales, r, block), "");
        sums[r] = emit_fma(e, LLVMBuildSIToFP(e->builder, whole, floats, ""), factor, sums[r]);
        if (minimum) sums[r] = emit_fma(e, minimum, of_row(e, c, c->totals, r, block), sums[r]);
    }
}

/* The block's sums of 16 rows and 16 outputs into c->work. */
static void multiply_block(struct emitter *e, const struct amx_codes *c, V block, int side) {
    V rows = emit_mul(e, block, emit_i64(e, AMX_ROWS * TILE_INPUTS)),
      weights = emit_add(e, emit_mul(e, block, emit_i64(e, AMX_CODES)), emit_i64(e, side * AMX_BYTES));
    clear(e, SUMS);
    load(e, ROWS, emit_offset(e, c->a, rows), emit_i64(e, TILE_INPUTS));
    load(e, WEIGHTS, emit_offset(e, c->b, weights), emit_i64(e, SIDES * AMX_BYTES));
    multiply(e, "llvm.x86.tdpbssd", SUMS, ROWS, WEIGHTS);
    store(e, SUMS, c->work, emit_i64(e, AMX_BYTES));
}

void amx_multiply_int8(struct emitter *e, const struct amx_codes *c, const struct micro *m, V to, V stride) {
    V sums[AMX_ROWS];
    for (int side = 0; side < SIDES; side++) {
        struct emit_loop blocks;
        for (int r = 0; r < AMX_ROWS; r++) sums[r] = LLVMConstNull(emit_vector(e, e->f32, AMX_ROWS));
        emit_loop_begin(e, &blocks, emit_i64(e, 0), c->blocks, 1, AMX_ROWS, sums);
        for (int r = 0; r < AMX_ROWS; r++) sums[r] = blocks.carried[r];
        multiply_block(e, c, blocks.counter, side);
        scale_block(e, c, m, blocks.counter, side, sums);
        emit_loop_end(e, &blocks, sums);
        for (int r = 0; r < AMX_ROWS; r++) {
            V at = emit_add(e, emit_mul(e, stride, emit_i64(e, r)), emit_i64(e, side * AMX_BYTES));
            emit_store_lanes(e, blocks.carried[r], emit_offset(e, to, at), NULL);
        }
    }
}
