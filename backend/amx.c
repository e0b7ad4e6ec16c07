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
static V rows_of_registers(struct emitter *e, V rows) {
    V most = emit_i64(e, AMX_ROWS), one = emit_i64(e, 1);
    V top = emit_min(e, rows, most), bottom = emit_max(e, emit_min(e, emit_sub(e, rows, most), most), one);
    V of_top = emit_mul(e, top, emit_i64(e, 0x0000000100000101)),
      of_bottom = emit_mul(e, bottom, emit_i64(e, 0x0000010001010000));
    return emit_add(e, emit_add(e, of_top, of_bottom),
                    emit_i64(e, (int64_t)AMX_ROWS << 48 | (int64_t)AMX_ROWS << 56));
}

/* Bytes of the rows of registers 0 to 3 and 4 to 7; rows of each, a byte. */
static void configure(struct emitter *e, int64_t low, int64_t high, V rows) {
    int64_t words[] = {1, 0, low, high, 0, 0, 0, 0};
    V lanes[8], at = emit_scratch(e, AMX_BYTES);
    for (int i = 0; i < 8; i++) lanes[i] = emit_i64(e, words[i]);
    V configuration = LLVMConstVector(lanes, 8);
    configuration = LLVMBuildInsertElement(e->builder, configuration, rows, emit_i32(e, 6), "");
    emit_store_lanes(e, configuration, at, NULL);
    emit_intrinsic(e, "llvm.x86.ldtilecfg", NULL, 0, &at, 1);
}

void amx_begin(struct emitter *e, V rows) {
    int64_t each = quarter(AMX_BYTES, AMX_BYTES, AMX_BYTES, AMX_BYTES);
    configure(e, each, each, rows_of_registers(e, rows));
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

static void multiply_bf16(struct emitter *e, int sums, int rows, int weights) {
    multiply(e, "llvm.x86.tdpbf16ps", sums, rows, weights);
}

/* ---- floats ---- */

/* Sums of both sides of rows and outputs. */
static void each_sum(struct emitter *e, void (*move)(struct emitter *, int, V, V), V at, V stride) {
    for (int i = 0; i < SIDES * SIDES; i++) {
        V row = emit_mul(e, stride, emit_i64(e, i / SIDES * AMX_ROWS));
        move(e, SUMS + i, emit_offset(e, at, emit_add(e, row, emit_i64(e, i % SIDES * AMX_BYTES))), stride);
    }
}

void amx_clear_sums(struct emitter *e) {
    for (int i = 0; i < SIDES * SIDES; i++) clear(e, SUMS + i);
}

void amx_store_sums(struct emitter *e, V to, V stride) { each_sum(e, store, to, stride); }

static void begin_sums(struct emitter *e, V more, V at, V stride) {
    struct emit_if again;
    amx_clear_sums(e);
    emit_if_begin(e, &again, more);
    each_sum(e, load, at, stride);
    emit_if_end(e, &again);
}

static void load_sides(struct emitter *e, int to, V from) {
    for (int side = 0; side < SIDES; side++)
        load(e, to + side, emit_offset(e, from, emit_i64(e, side * AMX_ROWS * AMX_BYTES)),
             emit_i64(e, AMX_BYTES));
}

void amx_load_rows(struct emitter *e, V from) { load_sides(e, ROWS, from); }

void amx_load_weights(struct emitter *e, V from) { load_sides(e, WEIGHTS, from); }

void amx_add_half(struct emitter *e, int half) {
    for (int side = 0; side < SIDES; side++)
        multiply_bf16(e, SUMS + SIDES * half + side, ROWS + half, WEIGHTS + side);
}

/* sums += products of all inputs; of few rows, whose products wait for memory, weights are asked for ahead. */
static void add_products(struct emitter *e, V a, V b, V inputs, bool ahead) {
    enum { STEP = AMX_TILE * AMX_BYTES };
    struct emit_loop steps;
    struct micro m = {.ahead = ahead};
    emit_loop_begin(e, &steps, emit_i64(e, 0), inputs, AMX_INPUTS, 0, NULL);
    V bytes = emit_mul(e, steps.counter, emit_i64(e, STEP / AMX_INPUTS));
    V rows = emit_offset(e, a, bytes), weights = emit_offset(e, b, bytes);
    micro_prefetch(e, &m, weights, STEP);
    amx_load_weights(e, weights);
    amx_load_rows(e, rows);
    for (int half = 0; half < SIDES; half++) amx_add_half(e, half);
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
    amx_store_sums(e, to, stride);
}

/* ---- codes ---- */

void amx_begin_codes(struct emitter *e) {
    int64_t quads = TILE_INPUTS / 4, sums = AMX_ROWS, rows = (int64_t)AMX_ROWS << 8 * ROWS;
    configure(e, quarter(AMX_BYTES, 0, 0, 0), quarter(TILE_INPUTS, 0, AMX_BYTES, 0),
              emit_i64(e, sums | rows | quads << 8 * WEIGHTS));
}

void amx_multiply_codes(struct emitter *e, V a, V stride, V b, V to) {
    V line = emit_i64(e, AMX_BYTES);
    load(e, ROWS, a, stride);
    load(e, WEIGHTS, b, line);
    clear(e, SUMS);
    multiply(e, "llvm.x86.tdpbsud", SUMS, ROWS, WEIGHTS);
    store(e, SUMS, to, line);
}

/* ---- 16 rows: a register of them, the others' for weights ---- */

void amx_wide_begin(struct emitter *e, const struct amx_wide *w) {
    for (int i = 0; i < w->outputs / AMX_ROWS; i++) clear(e, SUMS + i);
}

void amx_wide_add(struct emitter *e, const struct amx_wide *w) {
    enum { OTHERS = ROWS + 1, OTHERS_COUNT = 3 };
    struct emit_loop steps;
    emit_loop_begin(e, &steps, emit_i64(e, 0), emit_div(e, w->inputs, emit_i64(e, AMX_INPUTS)), 1, 0, NULL);
    load(e, ROWS, emit_offset(e, w->a, emit_mul(e, steps.counter, emit_i64(e, w->a_step))),
         emit_i64(e, w->a_stride));
    V weights = emit_offset(e, w->b, emit_mul(e, steps.counter, emit_i64(e, w->b_step)));
    for (int i = 0; i < w->outputs / AMX_ROWS; i++) {
        int other = OTHERS + i % OTHERS_COUNT;
        load(e, other, emit_offset(e, weights, emit_i64(e, i * AMX_BYTES)), emit_i64(e, w->b_stride));
        multiply_bf16(e, SUMS + i, ROWS, other);
    }
    emit_loop_end(e, &steps, NULL);
}

void amx_wide_store(struct emitter *e, const struct amx_wide *w, V to, int64_t stride) {
    for (int i = 0; i < w->outputs / AMX_ROWS; i++)
        store(e, SUMS + i, emit_offset(e, to, emit_i64(e, i * AMX_BYTES)), emit_i64(e, stride));
}
