/* Kernels of domain `attention` on a GPU: a warp for each query of each head, with keys as lanes for scores
 * and dims as lanes for values.
 *
 *     for 32 keys, up to the last one visible:
 *         s = scale * log2(e) * q k^T        a lane a key
 *         m' = max(m, max s)    p = 2^(s - m')    l = l * 2^(m - m') + sum p
 *         o = o * 2^(m - m') + sum over keys of p v        a lane a dim, p by shuffles
 *     o / l, then the row program
 *
 * Online softmax: Milakov and Gimelshein, arXiv 1805.02867. */
#include "backend/attention.h"
#include "backend/emit_family.h"
#include "backend/emit_math.h"
#include "backend/simt.h"

#define LOG2_E 1.4426950408889634

enum { MOST_PARTS = 16, LARGEST = 0, TOTAL = 1, SUMS = 2 };

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
    V inverse, row_sums;            /* 1 / l; its sums, in scratch */
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
    a->row_sums = emit_scratch(e, (int64_t)a->parts * e->lanes * 4);
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

/* q . k for 32 keys. */
static V products(struct emitter *e, const struct simt_attention *a, struct index key, V exists) {
    V zero = emit_splat(e, emit_f32(e, 0), e->lanes), sum;
    struct emit_loop dims;
    emit_loop_begin(e, &dims, emit_i64(e, 0), emit_i64(e, a->dim), 1, 1, &zero);
    struct index d = index_uniform(dims.counter);
    struct point q = point_of(a, index_uniform(a->query), a->head, d, 1),
                 k = point_of(a, key, a->key_head, d, e->lanes);
    k.mask = k.tail = exists;
    V x = factor(e, a, a->q, &q), y = factor(e, a, a->k, &k);
    sum = x && y ? emit_fma(e, emit_splat(e, x, e->lanes), y, dims.carried[0]) : dims.carried[0];
    emit_loop_end(e, &dims, &sum);
    return dims.carried[0];
}

/* The mask's elements for 32 keys, broadcast as numpy does from the right: [..., heads, queries, keys]. */
static V apply_mask(struct emitter *e, const struct simt_attention *a, struct index key, V exists, V scores) {
    const struct type *t = &a->mask->type;
    struct index full[4] = {index_uniform(a->batch), index_uniform(a->head), index_uniform(a->query), key};
    struct point p = {.rank = t->rank, .lanes = e->lanes, .mask = exists, .tail = exists};
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

/* o = o * keep + p v. */
static void add_values(struct emitter *e, const struct simt_attention *a, V first, V count, V p, V keep,
                       V *sums) {
    for (int i = 0; i < a->parts; i++)
        sums[i] = LLVMBuildFMul(e->builder, sums[i], emit_splat(e, keep, e->lanes), "");
    struct emit_loop keys;
    emit_loop_begin(e, &keys, emit_i64(e, 0), count, 1, a->parts, sums);
    V one = simt_shuffle_from(e, p, LLVMBuildTrunc(e->builder, keys.counter, e->i32, ""));
    V next[MOST_PARTS], row = emit_add(e, first, keys.counter);
    for (int i = 0; i < a->parts; i++) {
        V begin = emit_i64(e, (int64_t)i * e->lanes);
        struct point v = point_of(a, index_uniform(row), a->key_head, index_lanes(begin, e->lanes), e->lanes);
        if ((i + 1) * e->lanes > a->value_dim)
            v.mask = v.tail = emit_tail_mask(e, begin, emit_i64(e, a->value_dim), e->lanes);
        V x = factor(e, a, a->v, &v);
        next[i] = x ? emit_fma(e, emit_splat(e, one, e->lanes), x, keys.carried[i]) : keys.carried[i];
    }
    emit_loop_end(e, &keys, next);
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

/* The row's sums and their total. */
static void attend(struct emitter *e, struct simt_attention *a) {
    V state[SUMS + MOST_PARTS] = {emit_f32(e, -__builtin_inf()), emit_f32(e, 0)}, end = visible_keys(e, a);
    for (int i = 0; i < a->parts; i++) state[SUMS + i] = emit_splat(e, emit_f32(e, 0), e->lanes);
    struct emit_loop keys;
    emit_loop_begin(e, &keys, emit_i64(e, 0), end, e->lanes, SUMS + a->parts, state);
    V exists = emit_tail_mask(e, keys.counter, end, e->lanes);
    struct index key = index_lanes(keys.counter, e->lanes);
    V scores = products(e, a, key, exists);
    scores = LLVMBuildFMul(e->builder, scores, emit_constant_like(LLVMTypeOf(scores), a->scale * LOG2_E), "");
    if (a->mask) scores = apply_mask(e, a, key, exists, scores);
    V hidden = emit_constant_like(LLVMTypeOf(scores), -__builtin_inf());
    scores = LLVMBuildSelect(e->builder, exists, scores, hidden, "");
    V next[SUMS + MOST_PARTS];
    next[LARGEST] = emit_larger(e, keys.carried[LARGEST], emit_largest_lane(e, scores));
    V p = falling(e, a, scores, next[LARGEST]), keep = falling(e, a, keys.carried[LARGEST], next[LARGEST]);
    next[TOTAL] = emit_fma(e, keys.carried[TOTAL], keep, emit_horizontal(e, SCALAR_add, p));
    for (int i = 0; i < a->parts; i++) next[SUMS + i] = keys.carried[SUMS + i];
    V count = emit_min(e, emit_i64(e, e->lanes), emit_sub(e, end, keys.counter));
    add_values(e, a, keys.counter, count, emit_round(e, a->compute, p), keep, next + SUMS);
    emit_loop_end(e, &keys, next);
    for (int i = 0; i < a->parts; i++)
        emit_store_at(e, keys.carried[SUMS + i], a->row_sums,
                      index_lanes(emit_i64(e, (int64_t)i * e->lanes), e->lanes), e->lanes, NULL);
    V none = LLVMBuildFCmp(e->builder, LLVMRealOEQ, keys.carried[TOTAL], emit_f32(e, 0), "");
    a->inverse = LLVMBuildFDiv(e->builder, emit_f32(e, 1), keys.carried[TOTAL], "");
    a->inverse = LLVMBuildSelect(e->builder, none, emit_f32(e, __builtin_nan("")), a->inverse, "");
    simt_warp_barrier(e);
}

static V load_row(struct emitter *e, const struct binding *b, const struct point *p) {
    const struct simt_attention *a = b->data;
    V sums = emit_load_at(e, e->f32, a->row_sums, p->at[p->rank - 1], p->lanes, p->mask);
    return emit_cast(e, DTYPE_F32, b->value->type.dtype,
                     LLVMBuildFMul(e->builder, sums, emit_splat(e, a->inverse, p->lanes), ""));
}

bool lower_simt_attention(struct emitter *e) {
    struct simt_attention a;
    V begin, end;
    int errors = e->errors;
    if (!describe(e, &a)) return false;
    const struct row_program *program = row_plan(e, a.node->results[0]);
    if (!program) ice("kernel %s: no way from its attention to its results", e->kernel->name);
    V batches = a.batched ? emit_extent(e, a.q->type.extents[0]) : emit_i64(e, 1);
    emit_split(e, emit_mul(e, emit_mul(e, batches, a.queries), a.heads), 1, &begin, &end);
    struct emit_loop rows;
    emit_loop_begin(e, &rows, begin, end, 1, 0, NULL);
    V place = emit_div(e, rows.counter, a.heads);
    a.head = emit_rem(e, rows.counter, a.heads);
    a.key_head = emit_div(e, a.head, emit_i64(e, a.group));
    a.batch = emit_div(e, place, a.queries);
    a.query = emit_rem(e, place, a.queries);
    attend(e, &a);
    struct binding binding = {.value = a.node->results[0], .load = load_row, .data = &a};
    emit_bind(e, &binding);
    emit_row_program(e, program, rows.counter, emit_i64(e, 0), emit_i64(e, a.value_dim), 1 << 20);
    emit_unbind(e, &binding);
    simt_warp_barrier(e); /* before the next row's sums */
    emit_loop_end(e, &rows, NULL);
    return e->errors == errors;
}
