/* Reduction loops: nests that carry accumulators, scalar or, over the innermost loop, a vector whose lanes
 * are brought together at the end in a fixed order, so that results do not depend on who computes them. */
#include "backend/emit_fold.h"
#include "backend/simt.h"

/* Calls the step at one place of the nest; `sums` change in place. */
static void run_step(struct emitter *e, const struct fold *f, struct index *at, int lanes, LLVMValueRef tail,
                     LLVMValueRef *sums) {
    f->step(e, f->data, at, lanes, tail, sums);
}

static void run_loops(struct emitter *e, const struct fold *f, int depth, struct index *at,
                      LLVMValueRef *sums);

/* The innermost loop by vectors; what does not fill one is a last, masked, step. */
static void run_vectors(struct emitter *e, const struct fold *f, struct index *at, LLVMValueRef *sums) {
    LLVMValueRef count = f->counts[f->loops - 1], lanes = emit_i64(e, f->vector);
    LLVMValueRef full = emit_mul(e, emit_div(e, count, lanes), lanes);
    int64_t n = LLVMIsAConstantInt(count) ? LLVMConstIntGetSExtValue(count) : -1;
    struct emit_loop l;
    if (n < 0 || n >= f->vector) {
        emit_loop_begin(e, &l, emit_i64(e, 0), full, f->vector, f->count, sums);
        for (int i = 0; i < f->count; i++) sums[i] = l.carried[i];
        at[f->loops - 1] = index_lanes(l.counter, f->vector);
        run_step(e, f, at, f->vector, NULL, sums);
        emit_loop_end(e, &l, sums);
        for (int i = 0; i < f->count; i++) sums[i] = l.carried[i];
    }
    if (n >= 0 && n % f->vector == 0) return;
    /* Zero or one times: a loop, since accumulators leave it. */
    emit_loop_begin(e, &l, full, count, f->vector, f->count, sums);
    for (int i = 0; i < f->count; i++) sums[i] = l.carried[i];
    at[f->loops - 1] = index_lanes(l.counter, f->vector);
    run_step(e, f, at, f->vector, emit_tail_mask(e, l.counter, count, f->vector), sums);
    emit_loop_end(e, &l, sums);
    for (int i = 0; i < f->count; i++) sums[i] = l.carried[i];
}

static void run_loops(struct emitter *e, const struct fold *f, int depth, struct index *at,
                      LLVMValueRef *sums) {
    if (depth == f->loops) {
        run_step(e, f, at, f->vector, NULL, sums);
        return;
    }
    if (depth == f->loops - 1 && f->vector > 1) {
        run_vectors(e, f, at, sums);
        return;
    }
    struct emit_loop l;
    emit_loop_begin(e, &l, emit_i64(e, 0), f->counts[depth], 1, f->count, sums);
    for (int i = 0; i < f->count; i++) sums[i] = l.carried[i];
    at[depth] = index_uniform(l.counter);
    run_loops(e, f, depth + 1, at, sums);
    emit_loop_end(e, &l, sums);
    for (int i = 0; i < f->count; i++) sums[i] = l.carried[i];
}

void emit_fold(struct emitter *e, const struct fold *f, LLVMValueRef *sums) {
    struct index at[MAX_LOOPS];
    for (int i = 0; i < f->count; i++)
        sums[i] = emit_splat(e, f->initial[i], f->vector > 1 ? f->vector : f->lanes);
    run_loops(e, f, 0, at, sums);
}

int emit_width(const struct emitter *e, LLVMValueRef vector) {
    return e->threaded ? e->lanes : emit_lanes_of(vector);
}

static LLVMValueRef pick_lanes(struct emitter *e, LLVMValueRef vector, int first, int count) {
    LLVMValueRef picks[MAX_LANES];
    for (int i = 0; i < count; i++) picks[i] = emit_i32(e, first + i);
    if (count == 1) return LLVMBuildExtractElement(e->builder, vector, picks[0], "");
    return LLVMBuildShuffleVector(e->builder, vector, LLVMGetPoison(LLVMTypeOf(vector)),
                                  LLVMConstVector(picks, (unsigned)count), "");
}

void emit_halves(struct emitter *e, LLVMValueRef vector, int lanes, LLVMValueRef halves[2]) {
    int half = lanes / 2;
    if (e->threaded) {
        LLVMValueRef other = simt_shuffle_xor(e, vector, half);
        LLVMValueRef bit = LLVMBuildAnd(e->builder, e->lane, emit_i64(e, half), "");
        LLVMValueRef upper = LLVMBuildICmp(e->builder, LLVMIntNE, bit, emit_i64(e, 0), "");
        halves[0] = LLVMBuildSelect(e->builder, upper, other, vector, "");
        halves[1] = LLVMBuildSelect(e->builder, upper, vector, other, "");
        return;
    }
    for (int i = 0; i < 2; i++) halves[i] = pick_lanes(e, vector, i * half, half);
}

LLVMValueRef emit_horizontal(struct emitter *e, enum scalar_op op, LLVMValueRef vector) {
    for (int lanes = emit_width(e, vector); lanes > 1; lanes /= 2) {
        LLVMValueRef halves[2];
        emit_halves(e, vector, lanes, halves);
        vector = emit_scalar(e, op, DTYPE_F32, halves);
    }
    return vector;
}

LLVMValueRef emit_larger(struct emitter *e, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef greater = LLVMBuildFCmp(e->builder, LLVMRealOGT, a, b, "");
    return LLVMBuildSelect(e->builder, greater, a, b, "");
}

LLVMValueRef emit_largest_lane(struct emitter *e, LLVMValueRef vector) {
    for (int lanes = emit_width(e, vector); lanes > 1; lanes /= 2) {
        LLVMValueRef halves[2];
        emit_halves(e, vector, lanes, halves);
        vector = emit_larger(e, halves[0], halves[1]);
    }
    return vector;
}
