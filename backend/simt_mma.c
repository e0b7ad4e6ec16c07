/* mma.sync.m16n8k16 of bf16: fragments from memory, products, sums to memory.
 *
 *     A, 16 rows x 16 inputs    lane l has rows l/4, l/4 + 8 at inputs 2(l%4), + 1, + 8, + 9
 *     B, 16 inputs x 8 outputs  lane l has output l/4 at the same inputs
 *     C, 16 rows x 8 outputs    lane l has rows l/4, l/4 + 8 at outputs 2(l%4), + 1
 *
 * (PTX ISA, "Matrix Fragments for mma.m16n8k16".) Weights lie in fragments (passes/layout.c): a lane's four
 * registers for two steps of 16 inputs are one load of 16 bytes, and a warp's loads one stretch of 512. A's
 * elements are asked of emit_value, which sees through views and rounds to bf16: four neighbouring lanes read
 * 32 neighbouring bytes of a row. So neither goes through shared memory: the warps of a block find each
 * other's fragments in L1. What the next step multiplies is loaded before this one's products. */
#include "backend/simt_mma.h"
#include "backend/simt.h"

enum { STEPS = MMA_GROUP / MMA_INPUTS, A_WORDS = 4 * STEPS, B_WORDS = 2 * STEPS, C_SUMS = 4 };

typedef LLVMValueRef V;

/* Where this lane's elements are in a fragment: row (or output) l/4, inputs (or outputs) 2 (l%4). */
struct lane_place {
    struct index row, pair;
};

static struct lane_place place_of_lane(struct emitter *e) {
    struct index lane = index_lanes(emit_i64(e, 0), e->lanes);
    struct index row = index_div_by(e, lane, 4, e->lanes), quarter = index_rem_by(e, lane, 4, e->lanes);
    return (struct lane_place){row, index_scale_by(e, quarter, 2, e->lanes)};
}

/* Indices of the loops of a list from a flat number by lane. */
static void unflatten(struct emitter *e, const struct contraction *c, const struct loop_list *list,
                      struct index flat, struct index *at) {
    for (int i = list->count - 1; i > 0; i--) {
        const struct extent *n = c->map->loops[list->loops[i]].extent;
        at[list->loops[i]] = index_rem(e, flat, n, e->lanes);
        flat = index_div(e, flat, n, e->lanes);
    }
    if (list->count) at[list->loops[0]] = flat;
}

/* The smaller of each lane's index and last, so that what is not there is read where something is. */
static struct index limit(struct emitter *e, struct index i, V last) {
    V lanes = index_vector(e, &i, e->lanes);
    return (struct index){.vector = emit_min(e, lanes, emit_splat(e, last, e->lanes)), .align = 1};
}

static V inputs_of(struct emitter *e, const struct contraction *c) {
    return contraction_count(e, c, &c->inputs);
}

V mma_groups(struct emitter *e, const struct contraction *c) {
    return emit_div_up(e, inputs_of(e, c), emit_i64(e, MMA_GROUP));
}

static bool fills_groups(struct emitter *e, const struct contraction *c) {
    V inputs = inputs_of(e, c);
    return LLVMIsAConstantInt(inputs) && LLVMConstIntGetSExtValue(inputs) % MMA_GROUP == 0;
}

/* An operand's element at this lane's input k of the loops as they stand; 0 behind the last input. */
static V element(struct emitter *e, const struct mma_part *p, struct value *v,
                 const struct access_map *access, struct index k) {
    struct point at;
    V inside = NULL;
    if (!fills_groups(e, p->c)) {
        V count = emit_splat(e, inputs_of(e, p->c), e->lanes);
        inside = LLVMBuildICmp(e->builder, LLVMIntSLT, index_vector(e, &k, e->lanes), count, "");
        k = limit(e, k, emit_sub(e, inputs_of(e, p->c), emit_i64(e, 1)));
    }
    unflatten(e, p->c, &p->c->inputs, k, p->at);
    contraction_point(e, access, p->at, e->lanes, &at);
    V x = emit_value(e, v, &at);
    if (!x) return emit_splat(e, emit_f32(e, 0), e->lanes);
    x = emit_cast(e, v->type.dtype, DTYPE_F32, x);
    return inside ? LLVMBuildSelect(e->builder, inside, x, LLVMConstNull(LLVMTypeOf(x)), "") : x;
}

/* Two bf16s in a register, the first in the low half. */
static V pair_of(struct emitter *e, V low, V high) {
    if (e->threaded) {
        V both = LLVMGetPoison(LLVMVectorType(e->f32, 2));
        both = LLVMBuildInsertElement(e->builder, both, low, emit_i32(e, 0), "");
        both = LLVMBuildInsertElement(e->builder, both, high, emit_i32(e, 1), "");
        return LLVMBuildBitCast(
            e->builder, LLVMBuildFPTrunc(e->builder, both, LLVMVectorType(e->bf16, 2), ""), e->i32, "");
    }
    LLVMTypeRef words = emit_vector(e, e->i32, e->lanes);
    low = LLVMBuildZExt(e->builder, emit_narrow(e, DTYPE_BF16, low), words, "");
    high = LLVMBuildZExt(e->builder, emit_narrow(e, DTYPE_BF16, high), words, "");
    return LLVMBuildOr(e->builder, low, LLVMBuildShl(e->builder, high, emit_constant_like(words, 16), ""),
                       "");
}

/* This lane's inputs first, first + 1. */
static V word(struct emitter *e, const struct mma_part *p, struct value *v, const struct access_map *access,
              struct index first) {
    V low = element(e, p, v, access, first);
    return pair_of(e, low, element(e, p, v, access, index_add(e, first, index_constant(e, 1), e->lanes)));
}

/* Input number `step` * 16 + `offset` + 2 (l%4) of the group. */
static struct index input_at(struct emitter *e, const struct lane_place *lane, V group, int step,
                             int offset) {
    struct index k = {emit_mul(e, group, emit_i64(e, MMA_GROUP)), 0, MMA_GROUP, NULL};
    k = index_add(e, k, index_constant(e, step * MMA_INPUTS + offset), e->lanes);
    return index_add(e, k, lane->pair, e->lanes);
}

static void load_a(struct emitter *e, const struct mma_part *p, const struct lane_place *lane, V group,
                   V *words) {
    struct value *v = p->c->node->operands[p->c->a];
    const struct access_map *access = &p->c->map->operands[p->c->a];
    V last = emit_sub(e, p->rows_end, emit_i64(e, 1));
    for (int t = 0; t < p->rows / MMA_ROWS; t++)
        for (int half = 0; half < 2; half++) {
            struct index row = index_uniform(emit_add(e, p->row, emit_i64(e, t * MMA_ROWS + half * 8)));
            unflatten(e, p->c, &p->c->rows, limit(e, index_add(e, row, lane->row, e->lanes), last), p->at);
            for (int s = 0; s < STEPS; s++)
                for (int upper = 0; upper < 2; upper++)
                    words[t * A_WORDS + s * 4 + upper * 2 + half] =
                        word(e, p, v, access, input_at(e, lane, group, s, upper * 8));
        }
}

/* The weight's buffer if it lies in fragments, else NULL. */
static const struct buffer *in_fragments(struct emitter *e, const struct contraction *c) {
    const struct value *v = c->b_value;
    const struct buffer *b = v->def ? NULL : &e->operands[v->index];
    struct layout wanted = layout_of_fragments(c->b_outputs, c->b_inputs);
    bool fits = b && b->stored && b->format == FORMAT_bf16 && b->layout && layout_equal(b->layout, &wanted);
    return fits ? b : NULL;
}

static void load_fragments(struct emitter *e, const struct mma_part *p, const struct buffer *b, V group,
                           V *words) {
    V groups = mma_groups(e, p->c), tile = emit_div(e, p->output, emit_i64(e, MMA_OUTPUTS));
    V outputs = emit_extent(e, p->c->map->loops[p->c->outputs].extent);
    V last = emit_sub(e, emit_div_up(e, outputs, emit_i64(e, MMA_OUTPUTS)), emit_i64(e, 1));
    struct index lane = index_scale_by(e, index_lanes(emit_i64(e, 0), e->lanes), B_WORDS, e->lanes);
    for (int t = 0; t < p->outputs / MMA_OUTPUTS; t++) {
        V number = emit_min(e, emit_add(e, tile, emit_i64(e, t)), last);
        V first = emit_mul(e, emit_add(e, emit_mul(e, number, groups), group), emit_i64(e, 32 * B_WORDS));
        struct index at = {first, 0, 32 * B_WORDS, NULL};
        for (int i = 0; i < B_WORDS; i++) {
            struct index own = index_add(e, index_add(e, at, lane, e->lanes), index_constant(e, i), e->lanes);
            words[t * B_WORDS + i] = emit_load_constant(e, e->i32, b->base, own, e->lanes);
        }
    }
}

static void load_b(struct emitter *e, const struct mma_part *p, const struct lane_place *lane, V group,
                   V *words) {
    const struct buffer *b = in_fragments(e, p->c);
    if (b) {
        load_fragments(e, p, b, group, words);
        return;
    }
    struct value *v = p->c->node->operands[p->c->b];
    V last = emit_sub(e, emit_extent(e, p->c->map->loops[p->c->outputs].extent), emit_i64(e, 1));
    for (int t = 0; t < p->outputs / MMA_OUTPUTS; t++) {
        struct index output = index_uniform(emit_add(e, p->output, emit_i64(e, t * MMA_OUTPUTS)));
        p->at[p->c->outputs] = limit(e, index_add(e, output, lane->row, e->lanes), last);
        for (int s = 0; s < STEPS; s++)
            for (int upper = 0; upper < 2; upper++)
                words[t * B_WORDS + s * 2 + upper] =
                    word(e, p, v, &p->c->map->operands[p->c->b], input_at(e, lane, group, s, upper * 8));
    }
}

/* C of each pair of tiles += A B. */
static void multiply(struct emitter *e, const struct mma_part *p, const V *a, const V *b, V *sums) {
    int rows = p->rows / MMA_ROWS, outputs = p->outputs / MMA_OUTPUTS;
    for (int s = 0; s < STEPS; s++)
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < outputs; j++)
                simt_mma(e, ATOM_mma_bf16, &a[i * A_WORDS + s * 4], &b[j * B_WORDS + s * 2],
                              &sums[(i * outputs + j) * C_SUMS]);
}

static void store_sums(struct emitter *e, const struct mma_part *p, const struct lane_place *lane,
                       const V *sums, V to, int64_t stride) {
    int outputs = p->outputs / MMA_OUTPUTS;
    for (int i = 0; i < p->rows / MMA_ROWS; i++)
        for (int j = 0; j < outputs; j++)
            for (int n = 0; n < C_SUMS; n++) {
                int64_t first = (i * MMA_ROWS + n / 2 * 8) * stride + (int64_t)j * MMA_OUTPUTS + n % 2;
                struct index at =
                    index_add(e, index_scale_by(e, lane->row, stride, e->lanes), lane->pair, e->lanes);
                at = index_add(e, at, index_constant(e, first), e->lanes);
                emit_store_at(e, sums[(i * outputs + j) * C_SUMS + n], to, at, e->lanes, NULL);
            }
}

void emit_mma(struct emitter *e, const struct mma_part *p, V to, int64_t stride) {
    int a_words = p->rows / MMA_ROWS * A_WORDS, b_words = p->outputs / MMA_OUTPUTS * B_WORDS;
    int sums_count = p->rows / MMA_ROWS * (p->outputs / MMA_OUTPUTS) * C_SUMS;
    if (a_words + b_words + sums_count > MAX_CARRIED)
        ice("a warp's tile of %d x %d is too large", p->rows, p->outputs);
    struct lane_place lane = place_of_lane(e);
    V state[MAX_CARRIED], next[MAX_CARRIED], one = emit_i64(e, 1);
    V last = emit_max(e, emit_sub(e, p->end, one), emit_i64(e, 0));
    load_a(e, p, &lane, emit_min(e, p->begin, last), state);
    load_b(e, p, &lane, emit_min(e, p->begin, last), state + a_words);
    for (int i = 0; i < sums_count; i++)
        state[a_words + b_words + i] = emit_splat(e, emit_f32(e, 0), e->lanes);
    struct emit_loop groups;
    emit_loop_begin(e, &groups, p->begin, p->end, 1, a_words + b_words + sums_count, state);
    V ahead = emit_min(e, emit_add(e, groups.counter, one), last);
    load_a(e, p, &lane, ahead, next);
    load_b(e, p, &lane, ahead, next + a_words);
    for (int i = 0; i < sums_count; i++) next[a_words + b_words + i] = groups.carried[a_words + b_words + i];
    multiply(e, p, groups.carried, groups.carried + a_words, next + a_words + b_words);
    emit_loop_end(e, &groups, next);
    store_sums(e, p, &lane, groups.carried + a_words + b_words, to, stride);
}
