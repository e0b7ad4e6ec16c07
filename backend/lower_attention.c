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
#include "backend/attention.h"
#include "backend/emit_family.h"
#include "backend/micro.h"

enum { QUERIES = 32, KEYS = 64, MAX_ROWS_IN_TILE = 6, VECTORS = 4 };

LLVMValueRef attention_float(struct emitter *e, LLVMValueRef base, LLVMValueRef index) {
    return emit_offset(e, base, emit_mul(e, index, emit_i64(e, 4)));
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

LLVMValueRef attention_query(struct emitter *e, const struct attention *a, LLVMValueRef row) {
    return emit_add(e, a->first_query, emit_div(e, row, emit_i64(e, a->group)));
}

LLVMValueRef attention_head(struct emitter *e, const struct attention *a, LLVMValueRef row) {
    LLVMValueRef group = emit_i64(e, a->group);
    return emit_add(e, emit_mul(e, a->key_head, group), emit_rem(e, row, group));
}

/* ---- what a unit starts from ---- */

static void start_rows(struct emitter *e, const struct attention *a) {
    LLVMValueRef factor = emit_splat(e, emit_f32(e, a->scale * 1.4426950408889634), e->lanes);
    LLVMValueRef padded = emit_i64(e, a->padded);
    struct emit_loop rows, dims;
    emit_loop_begin(e, &rows, emit_i64(e, 0), a->rows, 1, 0, NULL);
    LLVMValueRef query = attention_query(e, a, rows.counter), head = attention_head(e, a, rows.counter);
    LLVMBuildStore(e->builder, emit_f32(e, -__builtin_inf()), attention_float(e, a->largest, rows.counter));
    LLVMBuildStore(e->builder, emit_f32(e, 0), attention_float(e, a->total, rows.counter));
    emit_loop_begin(e, &dims, emit_i64(e, 0), padded, e->lanes, 0, NULL);
    LLVMValueRef q = tensor_at(e, a, a->q, query, head, dims.counter, e->lanes);
    LLVMValueRef to = emit_add(e, emit_mul(e, rows.counter, padded), dims.counter);
    emit_store_lanes(e, LLVMBuildFMul(e->builder, q, factor, ""), attention_float(e, a->q_rows, to), NULL);
    emit_store_lanes(e, LLVMConstNull(LLVMTypeOf(q)), attention_float(e, a->sums, to), NULL);
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
        emit_store_lanes(e, rows[l], attention_float(e, a->k_block, to), NULL);
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
    emit_store_lanes(e, v, attention_float(e, a->v_block, to), NULL);
    emit_loop_end(e, &dims, NULL);
    emit_loop_end(e, &keys, NULL);
}

/* ---- the two products, in register tiles ---- */

struct product { /* C[rows][columns] = A[rows][inputs] B[inputs][columns], or with factor: + factor[rows] * C
                  */
    LLVMValueRef a, b, c, inputs, factor;
    enum dtype b_type;
    LLVMValueRef b_step; /* bytes from one input of B to the next */
    int64_t a_stride, c_stride, columns;
};

static void product_tile(struct emitter *e, const struct product *p, LLVMValueRef row, int rows,
                         int64_t column, int vectors) {
    LLVMValueRef sums[MAX_TILE_SUMS], address[MAX_TILE_SUMS];
    struct micro m = {.atom = ATOM_fma, .rows = rows, .vectors = vectors, .lanes = e->lanes, .unroll = 4};
    m.a_type = DTYPE_F32;
    m.b_type = p->b_type;
    m.inputs = p->inputs;
    m.b_step = p->b_step;
    m.b = emit_offset(e, p->b, emit_i64(e, column * dtype_bytes(p->b_type)));
    for (int r = 0; r < rows; r++) {
        LLVMValueRef at = emit_add(e, row, emit_i64(e, r)), factor = NULL;
        m.a[r] = attention_float(e, p->a, emit_mul(e, at, emit_i64(e, p->a_stride)));
        if (p->factor) factor = emit_splat(e, load_floats(e, attention_float(e, p->factor, at), 1), e->lanes);
        for (int v = 0; v < vectors; v++) {
            LLVMValueRef *sum = &sums[r * vectors + v];
            LLVMValueRef where = emit_add(e, emit_mul(e, at, emit_i64(e, p->c_stride)),
                                          emit_i64(e, column + (int64_t)v * e->lanes));
            address[r * vectors + v] = attention_float(e, p->c, where);
            *sum = LLVMConstNull(emit_vector(e->f32, e->lanes));
            if (factor)
                *sum =
                    LLVMBuildFMul(e->builder, load_floats(e, address[r * vectors + v], e->lanes), factor, "");
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

/* ---- a unit ---- */

/* The buffer that keys or values are rows of: the operand itself, or one whose batch rows ids choose; else
 * NULL. */
static const struct buffer *source_of(struct emitter *e, const struct value *v) {
    const struct node *n = v->def;
    bool rows = n && n->op == OP_gather && node_attr(n, "axis")->i == 0 && n->operands[0]->type.rank == 4;
    if (rows) v = n->operands[0];
    return v->def ? NULL : &e->operands[v->index];
}

/* Which batch row of its source the unit's keys or values are. */
static LLVMValueRef source_row(struct emitter *e, const struct attention *a, const struct value *v) {
    if (!v->def || !source_of(e, v)) return a->batch;
    struct value *ids = v->def->operands[1];
    struct point p = {.rank = ids->type.rank, .lanes = 1, .at = {index_uniform(a->batch)}};
    return emit_index_value(e, ids, &p);
}

/* The type that the elements of an operand lie in, if it is a buffer of plain floats that a register tile can
 * read. */
static bool lies_plain(struct emitter *e, const struct value *v, enum dtype *type) {
    const struct buffer *b = source_of(e, v);
    if (!b || (b->stored && b->format > FORMAT_bf16)) return false;
    *type = b->stored ? (enum dtype)b->format : b->type.dtype;
    return *type == DTYPE_F32 || *type == DTYPE_F16 || *type == DTYPE_BF16;
}

/* [batch,] tokens/keys, heads, dim, tokens:keys: a block of keys is K^T already (the layout pass chose it).
 */
static bool keys_lie_transposed(struct emitter *e, const struct attention *a) {
    const struct buffer *b = source_of(e, a->k);
    const struct layout *l = b ? b->layout : NULL;
    int tokens = b ? b->type.rank - 3 : 0, first = l ? l->count - 4 : 0;
    if (!l || first != tokens || (tokens && (l->parts[0].dim || l->parts[0].step != 1 || l->parts[0].count)))
        return false;
    const struct layout_part *p = &l->parts[first];
    return p[0].dim == tokens && p[0].step == a->keys && !p[0].count && p[1].dim == tokens + 1 &&
           p[1].step == 1 && !p[1].count && p[2].dim == tokens + 2 && p[2].step == 1 && !p[2].count &&
           p[3].dim == tokens && p[3].step == 1 && p[3].count == a->keys;
}

/* Where K^T of a block of keys lies, as B of a product: in place, or transposed into scratch. */
static void find_keys(struct emitter *e, const struct attention *a, LLVMValueRef first, LLVMValueRef visible,
                      struct product *p) {
    if (!lies_plain(e, a->k, &p->b_type) || !keys_lie_transposed(e, a)) {
        transpose_keys(e, a, first, visible);
        p->b_type = DTYPE_F32;
        p->b = a->k_block;
    } else {
        LLVMValueRef keys = emit_i64(e, a->keys),
                     blocks = emit_add(e, a->key_count, emit_i64(e, a->keys - 1));
        LLVMValueRef block =
            emit_add(e, emit_mul(e, a->keys_row, emit_div(e, blocks, keys)), emit_div(e, first, keys));
        LLVMValueRef head = emit_add(e, emit_mul(e, block, a->key_heads), a->key_head);
        LLVMValueRef bytes = emit_i64(e, a->dim * a->keys * dtype_bytes(p->b_type));
        p->b = emit_offset(e, source_of(e, a->k)->base, emit_mul(e, head, bytes));
    }
    p->b_step = emit_i64(e, (int64_t)a->keys * dtype_bytes(p->b_type));
}

/* Where the values of keys from `first` on lie: in place if they are floats in whole vectors, row-major; else
 * in a copy. */
static void find_values(struct emitter *e, const struct attention *a, LLVMValueRef first, LLVMValueRef count,
                        struct product *p) {
    const struct buffer *b = source_of(e, a->v);
    bool plain = lies_plain(e, a->v, &p->b_type) && !b->layout && a->padded == a->dim;
    if (!plain) {
        copy_values(e, a, first, count);
        p->b_type = DTYPE_F32;
        p->b = a->v_block;
        p->b_step = emit_i64(e, a->padded * 4);
        return;
    }
    LLVMValueRef position = emit_add(e, emit_mul(e, a->values_row, a->key_count), first);
    LLVMValueRef row = emit_add(e, emit_mul(e, position, a->key_heads), a->key_head);
    LLVMValueRef bytes = emit_i64(e, a->dim * dtype_bytes(p->b_type));
    p->b = emit_offset(e, b->base, emit_mul(e, row, bytes));
    p->b_step = emit_mul(e, a->key_heads, bytes);
}

static void block_of_keys(struct emitter *e, const struct attention *a, LLVMValueRef first,
                          LLVMValueRef visible) {
    LLVMValueRef count = emit_min(e, emit_sub(e, visible, first), emit_i64(e, a->keys));
    struct product scores = {.a = a->q_rows, .c = a->scores, .inputs = emit_i64(e, a->dim)};
    scores.a_stride = a->padded;
    scores.c_stride = scores.columns = a->keys;
    struct product values = {.a = a->scores, .c = a->sums, .inputs = count, .factor = a->factor};
    values.a_stride = a->keys;
    values.c_stride = values.columns = a->padded;
    find_keys(e, a, first, visible, &scores);
    multiply(e, a, &scores);
    attention_softmax(e, a, first, visible);
    find_values(e, a, first, count, &values);
    multiply(e, a, &values);
}

/* The anchor's elements of the row at work: sums over total. */
static LLVMValueRef load_row(struct emitter *e, const struct binding *b, const struct point *p) {
    const struct attention *a = b->data;
    int dims = a->node->results[0]->type.rank;
    struct buffer row = {.base = attention_float(e, a->sums, emit_mul(e, a->row, emit_i64(e, a->padded))),
                         .type = {DTYPE_F32, 1, {a->node->results[0]->type.extents[dims - 1]}}};
    struct point at = {.rank = 1, .lanes = p->lanes, .mask = p->mask, .tail = p->tail};
    at.at[0] = p->at[dims - 1];
    LLVMValueRef total = load_floats(e, attention_float(e, a->total, a->row), 1),
                 sums = emit_load(e, &row, &at);
    LLVMValueRef made = LLVMBuildFDiv(e->builder, sums, emit_splat(e, total, p->lanes), "");
    return emit_cast(e, DTYPE_F32, b->value->type.dtype, made);
}

static void finish_rows(struct emitter *e, struct attention *a, const struct row_program *program) {
    struct binding binding = {.value = a->node->results[0], .load = load_row, .data = a};
    struct emit_loop rows;
    emit_loop_begin(e, &rows, emit_i64(e, 0), a->rows, 1, 0, NULL);
    a->row = rows.counter;
    LLVMValueRef query =
        emit_add(e, emit_mul(e, a->batch, a->query_count), attention_query(e, a, rows.counter));
    LLVMValueRef flat = emit_add(e, emit_mul(e, query, a->heads), attention_head(e, a, rows.counter));
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
    a->keys_row = source_row(e, a, a->k);
    a->values_row = source_row(e, a, a->v);
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
    int64_t vectors = (rows + e->lanes - 1) / e->lanes * e->lanes * 4;
    a->largest = emit_scratch(e, vectors);
    a->total = emit_scratch(e, vectors);
    a->factor = emit_scratch(e, vectors);
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
