/* Products of floats by AMX's products of bf16: each is the sum of three, weights are taken apart while those before them are multiplied, and what
 * an infinity spoils is made again by multiply-adds. */
#include "backend/amx.h"
#include "backend/micro_tile.h"

typedef LLVMValueRef V;

/* ---- numbers in parts ---- */

static V lanes_i32(struct emitter *e, int64_t value) { return emit_splat(e, emit_i32(e, value), AMX_ROWS); }

/* Sign, exponent and eight bits, which are a bf16 and zeros. */
static V upper_half(struct emitter *e, V bits) {
    return LLVMBuildAnd(e->builder, bits, lanes_i32(e, 0xffff0000), "");
}

/* The parts of 16 numbers, each in the upper half of 32 bits. */
static void take_apart(struct emitter *e, V numbers, V parts[AMX_PARTS]) {
    V left = numbers;
    for (int i = 0; i < AMX_PARTS; i++) {
        parts[i] = LLVMBuildBitCast(e->builder, left, emit_vector(e, e->i32, AMX_ROWS), "");
        V part = LLVMBuildBitCast(e->builder, upper_half(e, parts[i]), LLVMTypeOf(numbers), "");
        left = LLVMBuildFSub(e->builder, left, part, "");
    }
}

void amx_store_parts(struct emitter *e, V left, V right, V to) {
    V lefts[AMX_PARTS], rights[AMX_PARTS], upper[AMX_INPUTS];
    LLVMTypeRef halves = emit_vector(e, e->i16, AMX_INPUTS);
    take_apart(e, left, lefts);
    take_apart(e, right, rights);
    for (int i = 0; i < AMX_INPUTS; i++) upper[i] = emit_i32(e, 2 * i + 1);
    for (int i = 0; i < AMX_PARTS; i++) {
        V a = LLVMBuildBitCast(e->builder, lefts[i], halves, ""),
          b = LLVMBuildBitCast(e->builder, rights[i], halves, "");
        V part = LLVMBuildShuffleVector(e->builder, a, b, LLVMConstVector(upper, AMX_INPUTS), "");
        emit_store_lanes(e, part, emit_offset(e, to, emit_i64(e, (int64_t)i * AMX_PART_BYTES)), NULL);
    }
}

/* ---- weights ---- */

enum {
    ROW_BYTES = AMX_TILE * 4,              /* of an input's weights, as they lie: f32 */
    FLOATS_BYTES = AMX_INPUTS * ROW_BYTES, /* of a step's */
    PARTS_BYTES = AMX_PARTS * AMX_PART_BYTES,
    PAIRS = AMX_INPUTS / 2,
    AHEAD = 8192 /* memory's latency, in bytes: with 4096 SmolLM2 makes 34 tokens/s on Granite Rapids, with this 40, as with more */
};

static V load_floats(struct emitter *e, V at) { return emit_load_lanes(e, e->f32, at, AMX_ROWS, NULL); }

static V floats_behind(struct emitter *e, V at) {
    return load_floats(e, emit_offset(e, at, emit_i64(e, AMX_BYTES)));
}

/* Two inputs of 16 outputs, side by side. */
static void store_pairs(struct emitter *e, V even, V odd, V to) {
    V parts[2][AMX_PARTS];
    take_apart(e, even, parts[0]);
    take_apart(e, odd, parts[1]);
    for (int i = 0; i < AMX_PARTS; i++) {
        V low = LLVMBuildLShr(e->builder, parts[0][i], lanes_i32(e, 16), "");
        V pairs = LLVMBuildOr(e->builder, low, upper_half(e, parts[1][i]), "");
        emit_store_lanes(e, pairs, emit_offset(e, to, emit_i64(e, (int64_t)i * AMX_PART_BYTES)), NULL);
    }
}

/* Pairs `begin` to `end` of a step's inputs, all outputs. */
static void take_pairs_apart(struct emitter *e, V floats, V parts, int begin, int end) {
    struct emit_loop pairs;
    emit_loop_begin(e, &pairs, emit_i64(e, begin), emit_i64(e, end), 1, 0, NULL);
    V even = emit_offset(e, floats, emit_mul(e, pairs.counter, emit_i64(e, 2 * ROW_BYTES))),
      odd = emit_offset(e, even, emit_i64(e, ROW_BYTES)),
      to = emit_offset(e, parts, emit_mul(e, pairs.counter, emit_i64(e, AMX_BYTES)));
    micro_ask(e, emit_offset(e, even, emit_i64(e, AHEAD)), 2 * ROW_BYTES);
    store_pairs(e, load_floats(e, even), load_floats(e, odd), to);
    store_pairs(e, floats_behind(e, even), floats_behind(e, odd),
                emit_offset(e, to, emit_i64(e, AMX_ROWS * AMX_BYTES)));
    emit_loop_end(e, &pairs, NULL);
}

/* ---- products ---- */

/* Of which parts, the smaller ones first; each keeps one side of the one before. */
static const struct {
    int row, weight;
} products[] = {{2, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 2}, {0, 0}};
enum { PRODUCTS = sizeof products / sizeof *products };

static V part_of(struct emitter *e, V step, int part) {
    return emit_offset(e, step, emit_i64(e, (int64_t)part * AMX_PART_BYTES));
}

static void load_product(struct emitter *e, V rows, V weights, int i) {
    int row = products[i].row, weight = products[i].weight;
    if (!i || row != products[i - 1].row) amx_load_rows(e, part_of(e, rows, row));
    if (!i || weight != products[i - 1].weight) amx_load_weights(e, part_of(e, weights, weight));
}

static V rows_at(struct emitter *e, const struct amx_parts *p, V step) {
    return emit_offset(e, p->a, emit_mul(e, step, emit_i64(e, PARTS_BYTES)));
}

static V weights_at(struct emitter *e, const struct amx_parts *p, V step) {
    return emit_offset(e, p->parts, emit_mul(e, step, emit_i64(e, PARTS_BYTES)));
}

static V steps_of(struct emitter *e, const struct amx_parts *p) {
    return emit_div(e, p->inputs, emit_i64(e, AMX_INPUTS));
}

static void add_made(struct emitter *e, const struct amx_parts *p) {
    struct emit_loop steps;
    emit_loop_begin(e, &steps, emit_i64(e, 0), steps_of(e, p), 1, 0, NULL);
    V rows = rows_at(e, p, steps.counter), weights = weights_at(e, p, steps.counter);
    for (int i = 0; i < PRODUCTS; i++) {
        load_product(e, rows, weights, i);
        amx_add_half(e, 0);
        amx_add_half(e, 1);
    }
    emit_loop_end(e, &steps, NULL);
}

/* What nobody reads again takes the place of the step's before the last, in L1. */
static V made_at(struct emitter *e, const struct amx_parts *p, V step) {
    V turn = LLVMBuildAnd(e->builder, step, emit_i64(e, 1), "");
    return weights_at(e, p, LLVMBuildSelect(e->builder, p->few, turn, step, ""));
}

/* While a step is multiplied, the next one's weights are taken apart (the last one's again), which takes about as long. */
static void make_and_add(struct emitter *e, const struct amx_parts *p) {
    struct emit_loop steps;
    V one = emit_i64(e, 1), last = emit_sub(e, steps_of(e, p), one),
      has_lower = LLVMBuildICmp(e->builder, LLVMIntSGT, p->rows, emit_i64(e, AMX_ROWS), "");
    take_pairs_apart(e, p->b, p->parts, 0, PAIRS);
    emit_loop_begin(e, &steps, emit_i64(e, 0), steps_of(e, p), 1, 0, NULL);
    V next = emit_min(e, emit_add(e, steps.counter, one), last), rows = rows_at(e, p, steps.counter),
      weights = made_at(e, p, steps.counter), next_weights = made_at(e, p, next),
      floats = emit_offset(e, p->b, emit_mul(e, next, emit_i64(e, FLOATS_BYTES)));
    for (int i = 0; i < PRODUCTS; i++) {
        struct emit_if lower;
        load_product(e, rows, weights, i);
        amx_add_half(e, 0);
        emit_if_begin(e, &lower, has_lower);
        amx_add_half(e, 1);
        emit_if_end(e, &lower);
        take_pairs_apart(e, floats, next_weights, i * PAIRS / PRODUCTS, (i + 1) * PAIRS / PRODUCTS);
    }
    emit_loop_end(e, &steps, NULL);
}

/* ---- where sums are NaN: parts of infinities are, behind the first, and sums of parts may overflow both ways ---- */

static V unordered(struct emitter *e, V a, V b) {
    return LLVMBuildFCmp(e->builder, LLVMRealUNO, a, b, "");
}

static V any_lane(struct emitter *e, V lanes) {
    V bits = LLVMBuildBitCast(e->builder, lanes, e->i16, "");
    return LLVMBuildICmp(e->builder, LLVMIntNE, bits, LLVMConstNull(e->i16), "");
}

/* A row's input as it was: its first part, of what is not finite; or the sum of all. */
static V number_of(struct emitter *e, const struct amx_parts *p, V row, V input) {
    V parts[AMX_PARTS], per_step = emit_i64(e, AMX_INPUTS),
      line = emit_offset(e, rows_at(e, p, emit_div(e, input, per_step)), emit_mul(e, row, emit_i64(e, AMX_BYTES))),
      at = emit_offset(e, line, emit_mul(e, emit_rem(e, input, per_step), emit_i64(e, 2)));
    for (int i = 0; i < AMX_PARTS; i++) {
        V half = LLVMBuildLoad2(e->builder, e->i16, part_of(e, at, i), "");
        V bits = LLVMBuildShl(e->builder, LLVMBuildZExt(e->builder, half, e->i32, ""), emit_i32(e, 16), "");
        parts[i] = LLVMBuildBitCast(e->builder, bits, e->f32, "");
    }
    V rest = LLVMBuildFAdd(e->builder, parts[1], parts[2], ""),
      sum = LLVMBuildFAdd(e->builder, parts[0], rest, "");
    return LLVMBuildSelect(e->builder, unordered(e, rest, rest), parts[0], sum, "");
}

/* Of 32 outputs of a row, those that are NaN. */
static void make_again(struct emitter *e, const struct amx_parts *p, V row, V sums) {
    struct emit_loop inputs;
    V zero = LLVMConstNull(emit_vector(e, e->f32, AMX_ROWS)), none[] = {zero, zero};
    emit_loop_begin(e, &inputs, emit_i64(e, 0), p->inputs, 1, 2, none);
    V weights = emit_offset(e, p->b, emit_mul(e, inputs.counter, emit_i64(e, ROW_BYTES))),
      number = emit_splat(e, number_of(e, p, row, inputs.counter), AMX_ROWS);
    V next[] = {emit_fma(e, number, load_floats(e, weights), inputs.carried[0]),
                emit_fma(e, number, floats_behind(e, weights), inputs.carried[1])};
    emit_loop_end(e, &inputs, next);
    for (int side = 0; side < 2; side++) {
        V at = emit_offset(e, sums, emit_i64(e, side * AMX_BYTES)), had = load_floats(e, at);
        V has = LLVMBuildSelect(e->builder, unordered(e, had, had), inputs.carried[side], had, "");
        emit_store_lanes(e, has, at, NULL);
    }
}

static V row_of_sums(struct emitter *e, V sums, V row, V stride) {
    return emit_offset(e, sums, emit_mul(e, row, stride));
}

static void mend(struct emitter *e, const struct amx_parts *p, V sums, V stride) {
    struct emit_loop look, rows;
    struct emit_if found, wrong;
    V none = LLVMConstNull(emit_vector(e, e->i1, AMX_ROWS)), zero = emit_i64(e, 0);
    emit_loop_begin(e, &look, zero, p->rows, 1, 1, &none);
    V at = row_of_sums(e, sums, look.counter, stride);
    V seen = LLVMBuildOr(e->builder, look.carried[0], unordered(e, load_floats(e, at), floats_behind(e, at)), "");
    emit_loop_end(e, &look, &seen);
    emit_if_begin(e, &found, any_lane(e, look.carried[0]));
    emit_loop_begin(e, &rows, zero, p->rows, 1, 0, NULL);
    at = row_of_sums(e, sums, rows.counter, stride);
    emit_if_begin(e, &wrong, any_lane(e, unordered(e, load_floats(e, at), floats_behind(e, at))));
    make_again(e, p, rows.counter, at);
    emit_if_end(e, &wrong);
    emit_loop_end(e, &rows, NULL);
    emit_if_end(e, &found);
}

void amx_multiply_f32(struct emitter *e, const struct amx_parts *p, V to, V stride) {
    struct emit_if first, others;
    amx_clear_sums(e);
    emit_if_begin(e, &first, p->first);
    make_and_add(e, p);
    emit_if_end(e, &first);
    emit_if_begin(e, &others, LLVMBuildNot(e->builder, p->first, ""));
    add_made(e, p);
    emit_if_end(e, &others);
    amx_store_sums(e, to, stride);
    mend(e, p, to, stride);
}
