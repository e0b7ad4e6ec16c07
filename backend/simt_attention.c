/* Kernels of domain `attention` on a GPU: a thread block for each query of each head, whose warps share the
 * keys; keys are lanes for scores, dims for values.
 *
 *     warp w:  for keys 32 w, 32 w + 1, ... then on by 32 * warps:
 *                  s = scale * log2(e) * q k^T        a lane a key
 *                  m' = max(m, max s)    p = 2^(s - m')    l = l * 2^(m - m') + sum p
 *                  o = o * 2^(m - m') + sum over keys of p v        a lane a dim, p by shuffles
 *              m, l, o into shared memory
 *     warp 0:  joins the warps' in their order, o / l, then the row program
 *
 * Online softmax: Milakov and Gimelshein, arXiv 1805.02867; keys split and joined: FlashDecoding. */
#include "backend/attention.h"
#include "backend/emit_family.h"
#include "backend/emit_math.h"
#include "backend/simt.h"

#define LOG2_E 1.4426950408889634

enum {
    MOST_PARTS = 16,
    LARGEST = 0,
    TOTAL = 1,
    SUMS = 2,
    DIMS = 16, /* multiplied in a step: so many loads are under way at once */
    KEYS = 4,  /* whose values are added in a step */
};

typedef LLVMValueRef V;

struct simt_attention {
    const struct node *node;
    struct value *q, *k, *v, *at, *mask;
    bool batched, causal;
    enum dtype compute; /* of both factors of the products */
    int64_t dim, value_dim, group;
    int parts; /* vectors of a row of values */
    double scale;
    V queries, keys, heads;         /* of the whole kernel */
    V batch, query, head, key_head; /* the row at work */
    V inverse;                      /* 1 / l */
    V largest, totals;              /* in shared memory, of each warp */
    V sums; /* [warps][vectors of a row], of each warp; in the end the row's are the first's */
};

static bool describe(struct emitter *e, struct simt_attention *a) {
    const struct node *n = e->kernel->body->first;
    while (n && op_info(n->op)->family != FAMILY_sdpa) n = n->next;
    if (!n) ice("kernel %s is scheduled as attention and has none", e->kernel->name);
    int first = n->operands[0]->type.rank - 3;
    int64_t heads, key_heads;
    *a = (struct simt_attention){.node = n, .q = n->operands[0], .k = n->operands[1], .v = n->operands[2]};
    a->at = n->operands_count > 3 ? n->operands[3] : NULL;
    a->mask = n->operands_count > 4 ? n->operands[4] : NULL;
    a->batched = first == 1;
    a->causal = node_attr(n, "causal")->i;
    a->scale = node_attr(n, "scale")->f;
    a->compute = node_attr(n, "compute")->dtype;
    if (!attention_extent(e, a->q, first + 2, "head's extent", &a->dim)) return false;
    if (!attention_extent(e, a->q, first + 1, "number of heads", &heads)) return false;
    if (!attention_extent(e, a->k, first + 1, "number of key heads", &key_heads)) return false;
    if (!attention_extent(e, a->v, first + 2, "extent of a head's values", &a->value_dim)) return false;
    a->group = heads / key_heads;
    a->parts = (int)((a->value_dim + e->lanes - 1) / e->lanes);
    if (a->parts > MOST_PARTS) {
        emit_error(e, n->loc, "sdpa: heads of %lld values are more than the %d that a GPU's schedule holds",
                   (long long)a->value_dim, MOST_PARTS * e->lanes);
        return false;
    }
    a->queries = emit_extent(e, a->q->type.extents[first]);
    a->keys = emit_extent(e, a->k->type.extents[first]);
    a->heads = emit_i64(e, heads);
    a->largest = simt_shared(e, e->block_warps * 4);
    a->totals = simt_shared(e, e->block_warps * 4);
    a->sums = simt_shared(e, (int64_t)e->block_warps * a->parts * e->lanes * 4);
    return true;
}

/* An element of queries, keys or values as a factor of products, in f32. */
static V factor(struct emitter *e, const struct simt_attention *a, struct value *v, const struct point *p) {
    V x = emit_value(e, v, p);
    return x ? emit_round(e, a->compute, emit_cast(e, v->type.dtype, DTYPE_F32, x)) : NULL;
}

/* Point [batch,] row, head, d. */
static struct point point_of(const struct simt_attention *a, struct index row, V head, struct index d,
                             int lanes) {
    struct point p = {.lanes = lanes};
    if (a->batched) p.at[p.rank++] = index_uniform(a->batch);
    p.at[p.rank++] = row;
    p.at[p.rank++] = index_uniform(head);
    p.at[p.rank++] = d;
    return p;
}

/* sum + q[d] k[d]. */
static V add_product(struct emitter *e, const struct simt_attention *a, struct index key, struct index d,
                     V sum) {
    struct point q = point_of(a, index_uniform(a->query), a->head, d, 1),
                 k = point_of(a, key, a->key_head, d, e->lanes);
    V x = factor(e, a, a->q, &q), y = factor(e, a, a->k, &k);
    return x && y ? emit_fma(e, emit_splat(e, x, e->lanes), y, sum) : sum;
}

/* q . k for 32 keys, DIMS at a time. */
static V products(struct emitter *e, const struct simt_attention *a, struct index key) {
    V sum = emit_splat(e, emit_f32(e, 0), e->lanes);
    int64_t whole = a->dim / DIMS * DIMS;
    struct emit_loop dims;
    emit_loop_begin(e, &dims, emit_i64(e, 0), emit_i64(e, whole), DIMS, 1, &sum);
    sum = dims.carried[0];
    struct index first = {dims.counter, 0, DIMS, NULL};
    for (int i = 0; i < DIMS; i++)
        sum = add_product(e, a, key, index_add(e, first, index_constant(e, i), 1), sum);
    emit_loop_end(e, &dims, &sum);
    sum = dims.carried[0];
    for (int64_t d = whole; d < a->dim; d++) sum = add_product(e, a, key, index_constant(e, d), sum);
    return sum;
}

/* The mask's elements for 32 keys, broadcast as numpy does from the right: [..., heads, queries, keys]. */
static V apply_mask(struct emitter *e, const struct simt_attention *a, struct index key, V scores) {
    const struct type *t = &a->mask->type;
    struct index full[4] = {index_uniform(a->batch), index_uniform(a->head), index_uniform(a->query), key};
    struct point p = {.rank = t->rank, .lanes = e->lanes};
    for (int i = 0; i < t->rank; i++) {
        int64_t extent;
        bool one = extent_is_const(t->extents[i], &extent) && extent == 1;
        p.at[i] = one ? index_constant(e, 0) : full[4 - t->rank + i];
    }
    V mask = emit_value(e, a->mask, &p), hidden = emit_constant_like(LLVMTypeOf(scores), -__builtin_inf());
    if (!mask) return scores;
    if (t->dtype == DTYPE_BOOL) return LLVMBuildSelect(e->builder, mask, scores, hidden, "");
    return emit_fma(e, emit_cast(e, t->dtype, DTYPE_F32, mask),
                    emit_constant_like(LLVMTypeOf(scores), LOG2_E), scores);
}

/* 2^(x - by), where `by` may be -inf if x is. */
static V falling(struct emitter *e, const struct simt_attention *a, V x, V by) {
    V none = LLVMBuildFCmp(e->builder, LLVMRealOEQ, by, emit_f32(e, -__builtin_inf()), "");
    V shift = LLVMBuildSelect(e->builder, none, emit_f32(e, 0), by, "");
    shift = emit_splat(e, shift, emit_lanes_of(x));
    return math_exp2_falling(e, LLVMBuildFSub(e->builder, x, shift, ""), a->compute);
}

/* o + p v of one key; what is not there has p = 0, and is read where something is. */
static void add_value(struct emitter *e, const struct simt_attention *a, V first, V count, V key, V p,
                      V *sums) {
    V last = emit_sub(e, count, emit_i64(e, 1)),
      one = simt_shuffle_from(e, p, LLVMBuildTrunc(e->builder, key, e->i32, ""));
    V row = emit_add(e, first, emit_min(e, key, last));
    for (int i = 0; i < a->parts; i++) {
        V begin = emit_i64(e, (int64_t)i * e->lanes);
        struct point v = point_of(a, index_uniform(row), a->key_head, index_lanes(begin, e->lanes), e->lanes);
        if ((i + 1) * e->lanes > a->value_dim)
            v.mask = v.tail = emit_tail_mask(e, begin, emit_i64(e, a->value_dim), e->lanes);
        V x = factor(e, a, a->v, &v);
        if (x) sums[i] = emit_fma(e, emit_splat(e, one, e->lanes), x, sums[i]);
    }
}

/* o = o * keep + p v of `count` keys, KEYS at a time. */
static void add_values(struct emitter *e, const struct simt_attention *a, V first, V count, V p, V keep,
                       V *sums) {
    for (int i = 0; i < a->parts; i++)
        sums[i] = LLVMBuildFMul(e->builder, sums[i], emit_splat(e, keep, e->lanes), "");
    struct emit_loop keys;
    emit_loop_begin(e, &keys, emit_i64(e, 0), count, KEYS, a->parts, sums);
    for (int i = 0; i < a->parts; i++) sums[i] = keys.carried[i];
    for (int k = 0; k < KEYS; k++)
        add_value(e, a, first, count, emit_add(e, keys.counter, emit_i64(e, k)), p, sums);
    emit_loop_end(e, &keys, sums);
    for (int i = 0; i < a->parts; i++) sums[i] = keys.carried[i];
}

/* Keys that the row sees: those before query 0 of its batch row, and up to itself. */
static V visible_keys(struct emitter *e, const struct simt_attention *a) {
    if (!a->causal) return a->keys;
    V past = emit_i64(e, 0);
    if (a->at) {
        struct point p = {.rank = a->at->type.rank, .lanes = 1, .at = {index_uniform(a->batch)}};
        past = emit_index_value(e, a->at, &p);
    }
    V end = emit_add(e, emit_add(e, past, a->query), emit_i64(e, 1));
    return emit_max(e, emit_min(e, a->keys, end), emit_i64(e, 0));
}

/* Element `index` of floats. */
static V float_at(struct emitter *e, V base, V index) {
    return emit_offset(e, base, emit_mul(e, index, emit_i64(e, 4)));
}

static struct index sums_at(struct emitter *e, const struct simt_attention *a, V warp, int part) {
    V row = emit_mul(e, warp, emit_i64(e, (int64_t)a->parts * e->lanes));
    return index_lanes(emit_add(e, row, emit_i64(e, (int64_t)part * e->lanes)), e->lanes);
}

/* 32 keys from `first` on; in place of those that are not there the last one, so that no load needs a mask.
 */
static struct index existing_keys(struct emitter *e, V first, V end) {
    struct index key = index_lanes(first, e->lanes);
    V last = emit_splat(e, emit_sub(e, end, emit_i64(e, 1)), e->lanes);
    return (struct index){.vector = emit_min(e, index_vector(e, &key, e->lanes), last), .align = 1};
}

/* This warp's part of the keys; its sums, their total and the largest score go to shared memory. */
static void attend(struct emitter *e, struct simt_attention *a) {
    V state[SUMS + MOST_PARTS] = {emit_f32(e, -__builtin_inf()), emit_f32(e, 0)}, end = visible_keys(e, a);
    for (int i = 0; i < a->parts; i++) state[SUMS + i] = emit_splat(e, emit_f32(e, 0), e->lanes);
    V lanes = emit_i64(e, e->lanes);
    struct emit_loop keys;
    emit_loop_begin(e, &keys, emit_mul(e, e->warp, lanes), end, (int64_t)e->lanes * e->block_warps,
                    SUMS + a->parts, state);
    V exists = emit_tail_mask(e, keys.counter, end, e->lanes);
    struct index key = existing_keys(e, keys.counter, end);
    V scores = products(e, a, key);
    scores = LLVMBuildFMul(e->builder, scores, emit_constant_like(LLVMTypeOf(scores), a->scale * LOG2_E), "");
    if (a->mask) scores = apply_mask(e, a, key, scores);
    V hidden = emit_constant_like(LLVMTypeOf(scores), -__builtin_inf());
    scores = LLVMBuildSelect(e->builder, exists, scores, hidden, "");
    V next[SUMS + MOST_PARTS];
    next[LARGEST] = emit_larger(e, keys.carried[LARGEST], emit_largest_lane(e, scores));
    V p = falling(e, a, scores, next[LARGEST]), keep = falling(e, a, keys.carried[LARGEST], next[LARGEST]);
    next[TOTAL] = emit_fma(e, keys.carried[TOTAL], keep, emit_horizontal(e, SCALAR_add, p));
    for (int i = 0; i < a->parts; i++) next[SUMS + i] = keys.carried[SUMS + i];
    V count = emit_min(e, lanes, emit_sub(e, end, keys.counter));
    add_values(e, a, keys.counter, count, emit_round(e, a->compute, p), keep, next + SUMS);
    emit_loop_end(e, &keys, next);
    LLVMBuildStore(e->builder, keys.carried[LARGEST], float_at(e, a->largest, e->warp));
    LLVMBuildStore(e->builder, keys.carried[TOTAL], float_at(e, a->totals, e->warp));
    for (int i = 0; i < a->parts; i++)
        emit_store_at(e, keys.carried[SUMS + i], a->sums, sums_at(e, a, e->warp, i), e->lanes, NULL);
}

/* The warps' sums as one, in place of the first's. */
static void join(struct emitter *e, struct simt_attention *a) {
    V state[SUMS + MOST_PARTS] = {emit_f32(e, -__builtin_inf()), emit_f32(e, 0)}, next[SUMS + MOST_PARTS];
    for (int i = 0; i < a->parts; i++) state[SUMS + i] = emit_splat(e, emit_f32(e, 0), e->lanes);
    struct emit_loop warps;
    emit_loop_begin(e, &warps, emit_i64(e, 0), emit_i64(e, e->block_warps), 1, SUMS + a->parts, state);
    V largest = LLVMBuildLoad2(e->builder, e->f32, float_at(e, a->largest, warps.counter), "");
    V total = LLVMBuildLoad2(e->builder, e->f32, float_at(e, a->totals, warps.counter), "");
    next[LARGEST] = emit_larger(e, warps.carried[LARGEST], largest);
    V keep = falling(e, a, warps.carried[LARGEST], next[LARGEST]),
      add = falling(e, a, largest, next[LARGEST]);
    next[TOTAL] = emit_fma(e, total, add, LLVMBuildFMul(e->builder, warps.carried[TOTAL], keep, ""));
    for (int i = 0; i < a->parts; i++) {
        V sum = emit_load_at(e, e->f32, a->sums, sums_at(e, a, warps.counter, i), e->lanes, NULL);
        V kept = LLVMBuildFMul(e->builder, warps.carried[SUMS + i], emit_splat(e, keep, e->lanes), "");
        next[SUMS + i] = emit_fma(e, sum, emit_splat(e, add, e->lanes), kept);
    }
    emit_loop_end(e, &warps, next);
    V none = LLVMBuildFCmp(e->builder, LLVMRealOEQ, warps.carried[TOTAL], emit_f32(e, 0), "");
    a->inverse = LLVMBuildFDiv(e->builder, emit_f32(e, 1), warps.carried[TOTAL], "");
    a->inverse = LLVMBuildSelect(e->builder, none, emit_f32(e, __builtin_nan("")), a->inverse, "");
    for (int i = 0; i < a->parts; i++)
        emit_store_at(e, warps.carried[SUMS + i], a->sums, sums_at(e, a, emit_i64(e, 0), i), e->lanes, NULL);
    simt_warp_barrier(e);
}

static V load_row(struct emitter *e, const struct binding *b, const struct point *p) {
    const struct simt_attention *a = b->data;
    V sums = emit_load_at(e, e->f32, a->sums, p->at[p->rank - 1], p->lanes, p->mask);
    return emit_cast(e, DTYPE_F32, b->value->type.dtype,
                     LLVMBuildFMul(e->builder, sums, emit_splat(e, a->inverse, p->lanes), ""));
}

/* Joins the warps' parts, and makes the kernel's results of the row. */
static void finish_row(struct emitter *e, struct simt_attention *a, const struct row_program *program,
                       V row) {
    struct binding binding = {.value = a->node->results[0], .load = load_row, .data = a};
    struct emit_if first;
    emit_if_begin(e, &first, LLVMBuildICmp(e->builder, LLVMIntEQ, e->warp, emit_i64(e, 0), ""));
    join(e, a);
    emit_bind(e, &binding);
    emit_row_program(e, program, row, emit_i64(e, 0), emit_i64(e, a->value_dim), 1 << 20);
    emit_unbind(e, &binding);
    emit_if_end(e, &first);
}

/* Which row of which batch this is. */
static void find_row(struct emitter *e, struct simt_attention *a, V number) {
    V place = emit_div(e, number, a->heads);
    a->head = emit_rem(e, number, a->heads);
    a->key_head = emit_div(e, a->head, emit_i64(e, a->group));
    a->batch = emit_div(e, place, a->queries);
    a->query = emit_rem(e, place, a->queries);
}

bool lower_simt_attention(struct emitter *e) {
    struct simt_attention a;
    int errors = e->errors;
    if (!describe(e, &a)) return false;
    const struct row_program *program = row_plan(e, a.node->results[0]);
    if (!program) ice("kernel %s: no way from its attention to its results", e->kernel->name);
    V batches = a.batched ? emit_extent(e, a.q->type.extents[0]) : emit_i64(e, 1);
    V count = emit_mul(e, emit_mul(e, batches, a.queries), a.heads);
    V begin, end;
    simt_split(e, count, &begin, &end);
    struct emit_loop rows;
    emit_loop_begin(e, &rows, begin, end, 1, 0, NULL);
    find_row(e, &a, rows.counter);
    attend(e, &a);
    simt_block_barrier(e);
    finish_row(e, &a, program, rows.counter);
    simt_block_barrier(e); /* before the next row's sums */
    emit_loop_end(e, &rows, NULL);
    return e->errors == errors;
}
