/* Kernels of domain `attention`: softmax(scale * q k^T + mask) v without the matrix of scores ever being
 * whole.
 *
 *     for unit in batch x key head x block of queries:        a thread's share
 *         Q = scale * log2(e) * q                               [rows][D]: queries x heads that share the key
 * head for block of keys, up to the last one visible: K^T = transpose of k's block [D][keys] S = Q K^T
 * register tiles for row: m' = max(m, S), P = 2^(S - m'), l = l * 2^(m - m') + sum P, O = O * 2^(m - m') O +=
 * P v                                          register tiles for row: O / l, then the row program
 *
 * Online softmax: Milakov and Gimelshein, arXiv 1805.02867; in blocks: FlashAttention, arXiv 2205.14135,
 * algorithm 1. */
#include "backend/emit.h"
#include "backend/micro.h"

enum { QUERIES = 32, KEYS = 64, MAX_ROWS_IN_TILE = 6, VECTORS = 4 };

struct attention {
    const struct node *node;
    struct value *q, *k, *v, *at, *mask;
    bool batched, causal;
    int queries, keys;          /* of a block */
    int64_t dim, padded, group; /* head's extent, the same in whole vectors, query heads for each key head */
    double scale;
    LLVMValueRef query_count, key_count, heads, key_heads;
    LLVMValueRef q_rows, k_block, v_block, scores, sums, largest, total; /* scratch */
    /* The unit at work. */
    LLVMValueRef batch, key_head, first_query, rows, past; /* past: keys before query 0, i64 */
    LLVMValueRef row;                                      /* of the epilogue */
};

static LLVMValueRef bytes(struct emitter *e, LLVMValueRef floats) {
    return emit_mul(e, floats, emit_i64(e, 4));
}

static LLVMValueRef float_at(struct emitter *e, LLVMValueRef base, LLVMValueRef index) {
    return emit_offset(e, base, bytes(e, index));
}

static LLVMValueRef load_floats(struct emitter *e, LLVMValueRef address, int lanes) {
    return emit_load_lanes(e, e->f32, address, lanes, NULL);
}

/* q, k, v at [batch,] position, head, dim. */
static LLVMValueRef tensor_at(struct emitter *e, const struct attention *a, struct value *v,
                              LLVMValueRef position, LLVMValueRef head, LLVMValueRef dim, int lanes) {
    struct point p = {.lanes = lanes};
    if (a->batched) p.at[p.rank++] = index_uniform(a->batch);
    p.at[p.rank++] = index_uniform(position);
    p.at[p.rank++] = index_uniform(head);
    p.at[p.rank++] = index_lanes(dim, lanes);
    if (a->dim % lanes) {
        struct index i = index_lanes(dim, lanes);
        LLVMValueRef end = emit_splat(e, emit_i64(e, a->dim), lanes);
        p.mask = p.tail = LLVMBuildICmp(e->builder, LLVMIntSLT, index_vector(e, &i, lanes), end, "");
    }
    LLVMValueRef value = emit_cast(e, v->type.dtype, DTYPE_F32, emit_value(e, v, &p));
    if (!p.mask) return value;
    return LLVMBuildSelect(e->builder, p.mask, value, LLVMConstNull(LLVMTypeOf(value)), "");
}

/* Rows of a unit are queries x the group's heads, heads innermost. */
static LLVMValueRef query_of(struct emitter *e, const struct attention *a, LLVMValueRef row) {
    return emit_add(e, a->first_query, emit_div(e, row, emit_i64(e, a->group)));
}
static LLVMValueRef head_of(struct emitter *e, const struct attention *a, LLVMValueRef row) {
    LLVMValueRef group = emit_i64(e, a->group);
    return emit_add(e, emit_mul(e, a->key_head, group), emit_rem(e, row, group));
}

/* ---- what a unit starts from ---- */

static void start_rows(struct emitter *e, const struct attention *a) {
    LLVMValueRef factor = emit_splat(e, emit_f32(e, a->scale * 1.4426950408889634), e->lanes);
    LLVMValueRef padded = emit_i64(e, a->padded);
    struct emit_loop rows, dims;
    emit_loop_begin(e, &rows, emit_i64(e, 0), a->rows, 1, 0, NULL);
    LLVMValueRef query = query_of(e, a, rows.counter), head = head_of(e, a, rows.counter);
    LLVMBuildStore(e->builder, emit_f32(e, -__builtin_inf()), float_at(e, a->largest, rows.counter));
    LLVMBuildStore(e->builder, emit_f32(e, 0), float_at(e, a->total, rows.counter));
    emit_loop_begin(e, &dims, emit_i64(e, 0), padded, e->lanes, 0, NULL);
    LLVMValueRef q = tensor_at(e, a, a->q, query, head, dims.counter, e->lanes);
    LLVMValueRef to = emit_add(e, emit_mul(e, rows.counter, padded), dims.counter);
    emit_store_lanes(e, LLVMBuildFMul(e->builder, q, factor, ""), float_at(e, a->q_rows, to), NULL);
    emit_store_lanes(e, LLVMConstNull(LLVMTypeOf(q)), float_at(e, a->sums, to), NULL);
    emit_loop_end(e, &dims, NULL);
    emit_loop_end(e, &rows, NULL);
}

/* Transposes lanes x lanes floats held in `rows`: log2(lanes) perfect shuffles of rows and lanes at once. */
static void transpose(struct emitter *e, LLVMValueRef *rows) {
    LLVMValueRef order[2][MAX_LANES], next[MAX_LANES];
    int n = e->lanes;
    for (int side = 0; side < 2; side++)
        for (int l = 0; l < n; l++) order[side][l] = emit_i32(e, side * (n / 2) + l / 2 + l % 2 * n);
    LLVMValueRef low = LLVMConstVector(order[0], (unsigned)n), high = LLVMConstVector(order[1], (unsigned)n);
    for (int width = 1; width < n; width *= 2) {
        for (int i = 0; i < n / 2; i++) {
            next[2 * i] = LLVMBuildShuffleVector(e->builder, rows[i], rows[i + n / 2], low, "");
            next[2 * i + 1] = LLVMBuildShuffleVector(e->builder, rows[i], rows[i + n / 2], high, "");
        }
        for (int i = 0; i < n; i++) rows[i] = next[i];
    }
}

/* K^T of keys first .. first + keys into scratch [padded][keys]; keys past the last repeat it, and are masked
 * later. */
static void transpose_keys(struct emitter *e, const struct attention *a, LLVMValueRef first,
                           LLVMValueRef visible) {
    LLVMValueRef rows[MAX_LANES], last = emit_sub(e, visible, emit_i64(e, 1));
    struct emit_loop keys, dims;
    emit_loop_begin(e, &keys, emit_i64(e, 0), emit_i64(e, a->keys), e->lanes, 0, NULL);
    emit_loop_begin(e, &dims, emit_i64(e, 0), emit_i64(e, a->padded), e->lanes, 0, NULL);
    for (int l = 0; l < e->lanes; l++) {
        LLVMValueRef key = emit_add(e, emit_add(e, first, keys.counter), emit_i64(e, l));
        rows[l] = tensor_at(e, a, a->k, emit_min(e, key, last), a->key_head, dims.counter, e->lanes);
    }
    transpose(e, rows);
    for (int l = 0; l < e->lanes; l++) {
        LLVMValueRef dim = emit_add(e, dims.counter, emit_i64(e, l));
        LLVMValueRef to = emit_add(e, emit_mul(e, dim, emit_i64(e, a->keys)), keys.counter);
        emit_store_lanes(e, rows[l], float_at(e, a->k_block, to), NULL);
    }
    emit_loop_end(e, &dims, NULL);
    emit_loop_end(e, &keys, NULL);
}

/* V's block as f32 [keys][padded]: unmasked rows of whole vectors for the register tiles. */
static void copy_values(struct emitter *e, const struct attention *a, LLVMValueRef first,
                        LLVMValueRef count) {
    LLVMValueRef padded = emit_i64(e, a->padded);
    struct emit_loop keys, dims;
    emit_loop_begin(e, &keys, emit_i64(e, 0), count, 1, 0, NULL);
    emit_loop_begin(e, &dims, emit_i64(e, 0), padded, e->lanes, 0, NULL);
    LLVMValueRef v =
        tensor_at(e, a, a->v, emit_add(e, first, keys.counter), a->key_head, dims.counter, e->lanes);
    LLVMValueRef to = emit_add(e, emit_mul(e, keys.counter, padded), dims.counter);
    emit_store_lanes(e, v, float_at(e, a->v_block, to), NULL);
    emit_loop_end(e, &dims, NULL);
    emit_loop_end(e, &keys, NULL);
}

/* ---- the two products, in register tiles ---- */

struct product { /* C[rows][columns] (+)= A[rows][inputs] B[inputs][columns], all in scratch */
    LLVMValueRef a, b, c, inputs;
    int64_t a_stride, b_stride, c_stride, columns;
    bool add;
};

static void product_tile(struct emitter *e, const struct product *p, LLVMValueRef row, int rows,
                         int64_t column, int vectors) {
    LLVMValueRef sums[MAX_TILE_SUMS], address[MAX_TILE_SUMS];
    struct micro m = {.atom = ATOM_fma,
                      .rows = rows,
                      .vectors = vectors,
                      .lanes = e->lanes,
                      .unroll = 4,
                      .a_type = DTYPE_F32,
                      .inputs = p->inputs,
                      .b_type = DTYPE_F32,
                      .b_step = emit_i64(e, p->b_stride * 4),
                      .b = emit_offset(e, p->b, emit_i64(e, column * 4))};
    for (int r = 0; r < rows; r++) {
        LLVMValueRef at = emit_add(e, row, emit_i64(e, r));
        m.a[r] = float_at(e, p->a, emit_mul(e, at, emit_i64(e, p->a_stride)));
        for (int v = 0; v < vectors; v++) {
            LLVMValueRef to = emit_add(e, emit_mul(e, at, emit_i64(e, p->c_stride)),
                                       emit_i64(e, column + (int64_t)v * e->lanes));
            address[r * vectors + v] = float_at(e, p->c, to);
            sums[r * vectors + v] = p->add ? load_floats(e, address[r * vectors + v], e->lanes)
                                           : LLVMConstNull(emit_vector(e->f32, e->lanes));
        }
    }
    emit_micro(e, &m, sums);
    for (int i = 0; i < rows * vectors; i++) emit_store_lanes(e, sums[i], address[i], NULL);
}

static void product_rows(struct emitter *e, const struct product *p, LLVMValueRef row, int rows) {
    int most = e->target->vector_registers >= 32 ? VECTORS : 2;
    for (int64_t column = 0; column < p->columns; column += (int64_t)most * e->lanes) {
        int64_t left = (p->columns - column) / e->lanes;
        product_tile(e, p, row, rows, column, left < most ? (int)left : most);
    }
}

static void multiply(struct emitter *e, const struct attention *a, const struct product *p) {
    int most = e->target->vector_registers >= 32 ? MAX_ROWS_IN_TILE : MAX_ROWS_IN_TILE / 2;
    LLVMValueRef from = emit_i64(e, 0);
    for (int rows = most; rows >= 1; rows = rows > 1 ? rows / 2 : 0) {
        LLVMValueRef left = emit_sub(e, a->rows, from);
        LLVMValueRef stop = emit_add(e, from, emit_sub(e, left, emit_rem(e, left, emit_i64(e, rows))));
        struct emit_loop tiles;
        emit_loop_begin(e, &tiles, from, stop, rows, 0, NULL);
        product_rows(e, p, tiles.counter, rows);
        emit_loop_end(e, &tiles, NULL);
        from = stop;
    }
}

/* ---- softmax of a block of scores ---- */

/* The mask's elements for a vector of keys, broadcast as numpy does from the right: [..., heads, queries,
 * keys]. */
static LLVMValueRef apply_mask(struct emitter *e, const struct attention *a, LLVMValueRef scores,
                               LLVMValueRef query, LLVMValueRef head, LLVMValueRef key, LLVMValueRef exists) {
    const struct type *t = &a->mask->type;
    struct index full[4] = {index_uniform(a->batch), index_uniform(head), index_uniform(query),
                            index_lanes(key, 1)};
    struct point p = {.rank = t->rank, .lanes = e->lanes, .mask = exists, .tail = NULL};
    for (int i = 0; i < t->rank; i++) {
        int64_t extent;
        bool one = extent_is_const(t->extents[i], &extent) && extent == 1;
        p.at[i] = one ? index_constant(e, 0) : full[4 - t->rank + i];
    }
    LLVMValueRef mask = emit_value(e, a->mask, &p),
                 hidden = emit_constant_like(LLVMTypeOf(scores), -__builtin_inf());
    if (t->dtype == DTYPE_BOOL) return LLVMBuildSelect(e->builder, mask, scores, hidden, "");
    mask = emit_cast(e, t->dtype, DTYPE_F32, mask);
    return emit_fma(e, mask, emit_constant_like(LLVMTypeOf(scores), 1.4426950408889634), scores);
}

static LLVMValueRef exp2_of(struct emitter *e, LLVMValueRef x) {
    return emit_scalar(e, SCALAR_exp2, DTYPE_F32, &x);
}

/* Hides the keys a row does not see, applies the mask, writes the scores back; gives the row's largest. */
static LLVMValueRef mask_row(struct emitter *e, const struct attention *a, LLVMValueRef row,
                             LLVMValueRef first, LLVMValueRef visible) {
    LLVMValueRef query = query_of(e, a, row), head = head_of(e, a, row), end = visible;
    LLVMValueRef least = emit_constant_like(emit_vector(e->f32, e->lanes), -__builtin_inf());
    if (a->causal) end = emit_min(e, visible, emit_add(e, emit_add(e, a->past, query), emit_i64(e, 1)));
    LLVMValueRef base = emit_mul(e, row, emit_i64(e, a->keys));
    struct emit_loop keys;
    emit_loop_begin(e, &keys, emit_i64(e, 0), emit_i64(e, a->keys), e->lanes, 1, &least);
    LLVMValueRef address = float_at(e, a->scores, emit_add(e, base, keys.counter)),
                 key = emit_add(e, first, keys.counter);
    LLVMValueRef scores = load_floats(e, address, e->lanes);
    struct index number = index_lanes(key, 1);
    LLVMValueRef seen = LLVMBuildICmp(e->builder, LLVMIntSLT, index_vector(e, &number, e->lanes),
                                      emit_splat(e, end, e->lanes), "");
    if (a->mask) scores = apply_mask(e, a, scores, query, head, key, seen);
    scores = LLVMBuildSelect(e->builder, seen, scores, least, "");
    emit_store_lanes(e, scores, address, NULL);
    LLVMValueRef pair[] = {keys.carried[0], scores}, largest = emit_scalar(e, SCALAR_max, DTYPE_F32, pair);
    emit_loop_end(e, &keys, &largest);
    return emit_horizontal(e, SCALAR_max, keys.carried[0]);
}

/* P = 2^(S - m), written over S; gives its sum. */
static LLVMValueRef exponentials(struct emitter *e, const struct attention *a, LLVMValueRef row,
                                 LLVMValueRef largest) {
    LLVMValueRef sum = LLVMConstNull(emit_vector(e->f32, e->lanes)),
                 base = emit_mul(e, row, emit_i64(e, a->keys));
    LLVMValueRef shift = emit_splat(e, largest, e->lanes);
    struct emit_loop keys;
    emit_loop_begin(e, &keys, emit_i64(e, 0), emit_i64(e, a->keys), e->lanes, 1, &sum);
    LLVMValueRef address = float_at(e, a->scores, emit_add(e, base, keys.counter));
    LLVMValueRef p = exp2_of(e, LLVMBuildFSub(e->builder, load_floats(e, address, e->lanes), shift, ""));
    emit_store_lanes(e, p, address, NULL);
    sum = LLVMBuildFAdd(e->builder, keys.carried[0], p, "");
    emit_loop_end(e, &keys, &sum);
    return emit_horizontal(e, SCALAR_add, keys.carried[0]);
}

static void scale_sums(struct emitter *e, const struct attention *a, LLVMValueRef row, LLVMValueRef factor) {
    LLVMValueRef base = emit_mul(e, row, emit_i64(e, a->padded)), by = emit_splat(e, factor, e->lanes);
    struct emit_loop dims;
    emit_loop_begin(e, &dims, emit_i64(e, 0), emit_i64(e, a->padded), e->lanes, 0, NULL);
    LLVMValueRef address = float_at(e, a->sums, emit_add(e, base, dims.counter));
    emit_store_lanes(e, LLVMBuildFMul(e->builder, load_floats(e, address, e->lanes), by, ""), address, NULL);
    emit_loop_end(e, &dims, NULL);
}

static void softmax_rows(struct emitter *e, const struct attention *a, LLVMValueRef first,
                         LLVMValueRef visible) {
    struct emit_loop rows;
    emit_loop_begin(e, &rows, emit_i64(e, 0), a->rows, 1, 0, NULL);
    LLVMValueRef largest_at = float_at(e, a->largest, rows.counter),
                 total_at = float_at(e, a->total, rows.counter);
    LLVMValueRef before = load_floats(e, largest_at, 1), hidden = emit_f32(e, -__builtin_inf());
    LLVMValueRef pair[] = {before, mask_row(e, a, rows.counter, first, visible)};
    LLVMValueRef largest = emit_scalar(e, SCALAR_max, DTYPE_F32, pair);
    /* While a row has seen no key, its largest is -inf; 0 in its place keeps -inf - -inf out. */
    LLVMValueRef nothing = LLVMBuildFCmp(e->builder, LLVMRealOEQ, largest, hidden, "");
    LLVMValueRef shift = LLVMBuildSelect(e->builder, nothing, emit_f32(e, 0), largest, "");
    LLVMValueRef factor = exp2_of(e, LLVMBuildFSub(e->builder, before, shift, ""));
    LLVMValueRef sum = exponentials(e, a, rows.counter, shift);
    LLVMBuildStore(e->builder, emit_fma(e, load_floats(e, total_at, 1), factor, sum), total_at);
    LLVMBuildStore(e->builder, largest, largest_at);
    scale_sums(e, a, rows.counter, factor);
    emit_loop_end(e, &rows, NULL);
}

/* ---- a unit ---- */

static void block_of_keys(struct emitter *e, const struct attention *a, LLVMValueRef first,
                          LLVMValueRef visible) {
    LLVMValueRef count = emit_min(e, emit_sub(e, visible, first), emit_i64(e, a->keys));
    struct product scores = {.a = a->q_rows,
                             .b = a->k_block,
                             .c = a->scores,
                             .inputs = emit_i64(e, a->dim),
                             .a_stride = a->padded,
                             .b_stride = a->keys,
                             .c_stride = a->keys,
                             .columns = a->keys};
    struct product values = {.a = a->scores,
                             .b = a->v_block,
                             .c = a->sums,
                             .inputs = count,
                             .a_stride = a->keys,
                             .b_stride = a->padded,
                             .c_stride = a->padded,
                             .columns = a->padded,
                             .add = true};
    transpose_keys(e, a, first, visible);
    multiply(e, a, &scores);
    softmax_rows(e, a, first, visible);
    copy_values(e, a, first, count);
    multiply(e, a, &values);
}

/* The anchor's elements of the row at work: sums over total. */
static LLVMValueRef load_row(struct emitter *e, const struct binding *b, const struct point *p) {
    const struct attention *a = b->data;
    int dims = a->node->results[0]->type.rank;
    struct buffer row = {.base = float_at(e, a->sums, emit_mul(e, a->row, emit_i64(e, a->padded))),
                         .type = {DTYPE_F32, 1, {a->node->results[0]->type.extents[dims - 1]}}};
    struct point at = {.rank = 1, .lanes = p->lanes, .mask = p->mask, .tail = p->tail};
    at.at[0] = p->at[dims - 1];
    LLVMValueRef total = load_floats(e, float_at(e, a->total, a->row), 1), sums = emit_load(e, &row, &at);
    LLVMValueRef made = LLVMBuildFDiv(e->builder, sums, emit_splat(e, total, p->lanes), "");
    return emit_cast(e, DTYPE_F32, b->value->type.dtype, made);
}

static void finish_rows(struct emitter *e, struct attention *a, const struct row_program *program) {
    struct binding binding = {.value = a->node->results[0], .load = load_row, .data = a};
    struct emit_loop rows;
    emit_loop_begin(e, &rows, emit_i64(e, 0), a->rows, 1, 0, NULL);
    a->row = rows.counter;
    LLVMValueRef query = emit_add(e, emit_mul(e, a->batch, a->query_count), query_of(e, a, rows.counter));
    LLVMValueRef flat = emit_add(e, emit_mul(e, query, a->heads), head_of(e, a, rows.counter));
    emit_bind(e, &binding);
    emit_row_program(e, program, flat, emit_i64(e, 0), emit_i64(e, a->dim), 1 << 20);
    emit_unbind(e, &binding);
    emit_loop_end(e, &rows, NULL);
}

/* Keys that come before query 0: `at`, one for all or one a batch row. */
static LLVMValueRef past_of(struct emitter *e, const struct attention *a) {
    if (!a->at) return emit_i64(e, 0);
    struct point p = {.rank = a->at->type.rank, .lanes = 1};
    p.at[0] = index_uniform(a->batch);
    return emit_cast(e, a->at->type.dtype, DTYPE_I64, emit_value(e, a->at, &p));
}

static void unit(struct emitter *e, struct attention *a, const struct row_program *program,
                 LLVMValueRef number, LLVMValueRef blocks) {
    LLVMValueRef head = emit_div(e, number, blocks), zero = emit_i64(e, 0);
    a->batch = emit_div(e, head, a->key_heads);
    a->key_head = emit_rem(e, head, a->key_heads);
    a->first_query = emit_mul(e, emit_rem(e, number, blocks), emit_i64(e, a->queries));
    LLVMValueRef queries = emit_min(e, emit_sub(e, a->query_count, a->first_query), emit_i64(e, a->queries));
    a->rows = emit_mul(e, queries, emit_i64(e, a->group));
    a->past = past_of(e, a);
    LLVMValueRef visible = a->key_count;
    if (a->causal) {
        LLVMValueRef last = emit_add(e, emit_add(e, a->past, a->first_query), queries);
        visible = emit_max(e, emit_min(e, a->key_count, last), zero);
    }
    start_rows(e, a);
    struct emit_loop keys;
    emit_loop_begin(e, &keys, zero, visible, a->keys, 0, NULL);
    block_of_keys(e, a, keys.counter, visible);
    emit_loop_end(e, &keys, NULL);
    finish_rows(e, a, program);
}

/* ---- the kernel ---- */

static const struct node *find_anchor(const struct emitter *e) {
    for (const struct node *n = e->kernel->body->first; n; n = n->next)
        if (op_info(n->op)->family == FAMILY_sdpa) return n;
    ice("kernel %s is scheduled as attention and has none", e->kernel->name);
}

static bool constant_extent(struct emitter *e, const struct value *v, int dim, const char *what,
                            int64_t *value) {
    if (extent_is_const(v->type.extents[dim], value) && *value > 0) return true;
    diag_error(e->graph->diag, v->loc, "sdpa: the %s must be a constant to be compiled, not %s", what,
               extent_text(e->arena, v->type.extents[dim]));
    return false;
}

static bool describe(struct emitter *e, struct attention *a) {
    const struct node *n = a->node = find_anchor(e);
    const struct schedule *s = e->kernel->schedule;
    int64_t heads, key_heads;
    a->q = n->operands[0], a->k = n->operands[1], a->v = n->operands[2];
    a->at = n->operands_count > 3 ? n->operands[3] : NULL;
    a->mask = n->operands_count > 4 ? n->operands[4] : NULL;
    int rank = a->q->type.rank, first = rank - 3;
    a->batched = rank == 4;
    a->causal = node_attr(n, "causal")->i;
    a->scale = node_attr(n, "scale")->f;
    if (!constant_extent(e, a->q, first + 2, "head's extent", &a->dim)) return false;
    if (!constant_extent(e, a->q, first + 1, "number of heads", &heads)) return false;
    if (!constant_extent(e, a->k, first + 1, "number of key heads", &key_heads)) return false;
    a->group = heads / key_heads;
    a->padded = (a->dim + e->lanes - 1) / e->lanes * e->lanes;
    a->queries = s->tile[0] > 0 ? s->tile[0] : QUERIES;
    a->keys = s->tile[1] > 0 && s->tile[1] % (VECTORS * e->lanes) == 0 ? s->tile[1] : KEYS;
    a->query_count = emit_extent(e, a->q->type.extents[first]);
    a->key_count = emit_extent(e, a->k->type.extents[first]);
    a->heads = emit_i64(e, heads);
    a->key_heads = emit_i64(e, key_heads);
    int64_t rows = a->queries * a->group;
    a->q_rows = emit_scratch(e, rows * a->padded * 4);
    a->k_block = emit_scratch(e, a->padded * a->keys * 4);
    a->v_block = emit_scratch(e, a->padded * a->keys * 4);
    a->scores = emit_scratch(e, rows * a->keys * 4);
    a->sums = emit_scratch(e, rows * a->padded * 4);
    a->largest = emit_scratch(e, rows * 4);
    a->total = emit_scratch(e, rows * 4);
    return true;
}

bool lower_attention(struct emitter *e) {
    struct attention a = {0};
    LLVMValueRef begin, end;
    if (!describe(e, &a)) return false;
    const struct row_program *program = row_plan(e, a.node->results[0]);
    if (!program) ice("kernel %s: no way from its attention to its results", e->kernel->name);
    LLVMValueRef batches = a.batched ? emit_extent(e, a.q->type.extents[0]) : emit_i64(e, 1),
                 queries = emit_i64(e, a.queries);
    LLVMValueRef blocks = emit_div(e, emit_add(e, a.query_count, emit_i64(e, a.queries - 1)), queries);
    emit_split(e, emit_mul(e, emit_mul(e, batches, a.key_heads), blocks), 1, &begin, &end);
    struct emit_loop units;
    emit_loop_begin(e, &units, begin, end, 1, 0, NULL);
    unit(e, &a, program, units.counter, blocks);
    emit_loop_end(e, &units, NULL);
    return e->errors == 0;
}
