/* Kernels of domain `attention`: softmax(scale * q k^T + mask) v without the matrix of scores ever being
 * whole.
 *
 *     for unit in batch x key head x block of queries:                a thread's share
 *         for part of keys, up to the last one visible:
 *             for tile of rows:                                       queries x heads that share the key head
 *                 S = scale * log2(e) * Q K^T,   p = max S,   P = 2^(S - p)
 *                 m' = max(m, p)
 *                 l = l * 2^(m - m') + 2^(p - m') sum P,   O = O * 2^(m - m') + 2^(p - m') P V
 *         for row: O / l, then the row program
 *
 * Online softmax: Milakov and Gimelshein, arXiv 1805.02867; in blocks: FlashAttention, arXiv 2205.14135,
 * algorithm 1. */
#include "backend/attention.h"
#include "backend/micro.h"
#include "ir/layout.h"
#include "ir/number.h"

enum { QUERIES = 32, KEYS = 256, UNROLL = 4 };

LLVMValueRef attention_float(struct emitter *e, LLVMValueRef base, LLVMValueRef index) {
    return emit_offset(e, base, emit_mul(e, index, emit_i64(e, 4)));
}

LLVMValueRef attention_factor(struct emitter *e, const struct attention *a, LLVMValueRef base,
                              LLVMValueRef index) {
    return emit_offset(e, base, emit_mul(e, index, emit_i64(e, dtype_bytes(a->type))));
}

LLVMValueRef attention_row(struct emitter *e, const struct attention *a, const struct attention_tile *t,
                           LLVMValueRef i) {
    return emit_min(e, emit_add(e, t->row, i), emit_sub(e, a->rows, emit_i64(e, 1)));
}

LLVMValueRef attention_query(struct emitter *e, const struct attention *a, LLVMValueRef row) {
    return emit_add(e, a->first_query, emit_div(e, row, emit_i64(e, a->group)));
}

LLVMValueRef attention_head(struct emitter *e, const struct attention *a, LLVMValueRef row) {
    LLVMValueRef group = emit_i64(e, a->group);
    return emit_add(e, emit_mul(e, a->key_head, group), emit_rem(e, row, group));
}

/* ---- a unit ---- */

/* The anchor's elements of the row at work: sums over total. */
static LLVMValueRef load_row(struct emitter *e, const struct binding *b, const struct point *p) {
    const struct attention *a = b->data;
    int dims = a->node->results[0]->type.rank;
    struct buffer row = {.base = attention_float(e, a->sums, emit_mul(e, a->row, emit_i64(e, a->value_padded))),
                         .type = {DTYPE_F32, 1, {a->node->results[0]->type.extents[dims - 1]}}};
    struct point at = {.rank = 1, .lanes = p->lanes, .mask = p->mask, .tail = p->tail};
    at.at[0] = p->at[dims - 1];
    LLVMValueRef sums = emit_load(e, &row, &at);
    LLVMValueRef made = LLVMBuildFMul(e->builder, sums, emit_splat(e, a->inverse, p->lanes), "");
    return emit_cast(e, DTYPE_F32, b->value->type.dtype, made);
}

static void finish_rows(struct emitter *e, struct attention *a, const struct row_program *program) {
    struct binding binding = {.value = a->node->results[0], .load = load_row, .data = a};
    struct emit_loop rows;
    emit_loop_begin(e, &rows, emit_i64(e, 0), a->rows, 1, 0, NULL);
    a->row = rows.counter;
    LLVMValueRef total = emit_load_lanes(e, e->f32, attention_float(e, a->total, a->row), 1, NULL);
    LLVMValueRef none = LLVMBuildFCmp(e->builder, LLVMRealOEQ, total, emit_f32(e, 0), "");
    a->inverse = LLVMBuildFDiv(e->builder, emit_f32(e, 1), total, "");
    a->inverse = LLVMBuildSelect(e->builder, none, emit_f32(e, __builtin_nan("")), a->inverse, "");
    LLVMValueRef query =
        emit_add(e, emit_mul(e, a->batch, a->query_count), attention_query(e, a, rows.counter));
    LLVMValueRef flat = emit_add(e, emit_mul(e, query, a->heads), attention_head(e, a, rows.counter));
    emit_bind(e, &binding);
    emit_row_program(e, program, flat, emit_i64(e, 0), emit_i64(e, a->value_dim), 1 << 20);
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

/* No row has seen a key. */
static void start_rows(struct emitter *e, const struct attention *a) {
    LLVMValueRef floats = emit_splat(e, emit_f32(e, -__builtin_inf()), e->lanes);
    struct emit_loop rows;
    emit_loop_begin(e, &rows, emit_i64(e, 0), a->rows, e->lanes, 0, NULL);
    emit_store_lanes(e, floats, attention_float(e, a->largest, rows.counter), NULL);
    emit_store_lanes(e, LLVMConstNull(LLVMTypeOf(floats)), attention_float(e, a->total, rows.counter), NULL);
    emit_loop_end(e, &rows, NULL);
}

/* Blocks in the order first, last, second, last but one, ...: later queries see more keys, and threads take
 * neighbours. */
static LLVMValueRef block_at(struct emitter *e, LLVMValueRef number, LLVMValueRef blocks) {
    LLVMValueRef half = emit_div(e, number, emit_i64(e, 2)), odd = emit_rem(e, number, emit_i64(e, 2));
    LLVMValueRef from_end = emit_sub(e, emit_sub(e, blocks, emit_i64(e, 1)), half);
    LLVMValueRef is_odd = LLVMBuildICmp(e->builder, LLVMIntNE, odd, emit_i64(e, 0), "");
    return LLVMBuildSelect(e->builder, is_odd, from_end, half, "");
}

static void unit(struct emitter *e, struct attention *a, const struct row_program *program,
                 LLVMValueRef number, LLVMValueRef blocks) {
    LLVMValueRef head = emit_div(e, number, blocks), zero = emit_i64(e, 0);
    a->batch = emit_div(e, head, a->key_heads);
    a->key_head = emit_rem(e, head, a->key_heads);
    a->first_query = emit_mul(e, block_at(e, emit_rem(e, number, blocks), blocks), emit_i64(e, a->queries));
    LLVMValueRef queries = emit_min(e, emit_sub(e, a->query_count, a->first_query), emit_i64(e, a->queries));
    a->rows = emit_mul(e, queries, emit_i64(e, a->group));
    a->past = past_of(e, a);
    a->keys_row = attention_source_row(e, a, a->k);
    a->values_row = attention_source_row(e, a, a->v);
    LLVMValueRef visible = a->key_count;
    if (a->causal) {
        LLVMValueRef last = emit_add(e, emit_add(e, a->past, a->first_query), queries);
        visible = emit_max(e, emit_min(e, a->key_count, last), zero);
    }
    start_rows(e, a);
    struct emit_loop parts;
    struct attention_part part;
    emit_loop_begin(e, &parts, zero, visible, a->keys, 0, NULL);
    attention_find_part(e, a, parts.counter, visible, &part);
    attention_tiles(e, a, &part);
    emit_loop_end(e, &parts, NULL);
    finish_rows(e, a, program);
}

/* ---- the kernel ---- */

static const struct node *find_anchor(const struct emitter *e) {
    for (const struct node *n = e->kernel->body->first; n; n = n->next)
        if (op_info(n->op)->family == FAMILY_sdpa) return n;
    ice("kernel %s is scheduled as attention and has none", e->kernel->name);
}

bool attention_extent(struct emitter *e, const struct value *v, int dim, const char *what, int64_t *value) {
    if (extent_is_const(v->type.extents[dim], value) && *value > 0) return true;
    emit_error(e, v->loc, "sdpa: the %s must be a constant to be compiled, not %s", what,
               extent_text(e->arena, v->type.extents[dim]));
    return false;
}

/* Whether the mask is the same for all heads and queries. */
static bool is_mask_of_keys(const struct attention *a) {
    int64_t one;
    for (int i = 0; a->mask && i < a->mask->type.rank - 1; i++)
        if (a->mask->type.rank - i < 4 && (!extent_is_const(a->mask->type.extents[i], &one) || one != 1))
            return false;
    return a->mask && !a->causal;
}

/* What the schedule says, as far as it can be followed. */
static void follow_schedule(struct emitter *e, struct attention *a) {
    const struct schedule *s = e->kernel->schedule;
    int most = e->target->vector_registers >= 32 ? 4 : 2;
    int64_t width = s->block[1];
    bool good = width > 0 && width % e->lanes == 0 && PANEL_KEYS % width == 0 && width / e->lanes <= most;
    a->vectors = good ? (int)(width / e->lanes) : 1;
    a->tile_rows = (int)(s->block[0] > 0 && s->block[0] <= MAX_TILE_ROWS ? s->block[0] : 1);
    if (a->tile_rows * a->vectors > MAX_TILE_SUMS) a->tile_rows = MAX_TILE_SUMS / a->vectors;
    a->unroll = s->unroll > 0 && s->unroll <= 2 * UNROLL ? s->unroll : UNROLL;
    a->queries = s->tile[0] > 0 ? s->tile[0] : QUERIES;
    a->keys = s->tile[1] > 0 && s->tile[1] % PANEL_KEYS == 0 ? s->tile[1] : KEYS;
    bool pairs = s->atom == ATOM_dot_bf16 && e->target->dot_bf16 && e->lanes == 16;
    a->atom = pairs ? ATOM_dot_bf16 : ATOM_fma;
    a->type = atom_info(a->atom)->a;
    a->group_of_atom = atom_info(a->atom)->k;
}

static void reserve(struct emitter *e, struct attention *a) {
    int64_t rows = (int64_t)a->queries * a->group + a->tile_rows, of_rows = (rows + e->lanes) * 4;
    int64_t tile = round_up(a->tile_rows, e->lanes) * 4, scores = (int64_t)a->tile_rows * a->keys;
    attention_reserve_operands(e, a);
    a->scores = emit_scratch(e, scores * 4);
    a->probabilities = a->type == DTYPE_F32 ? a->scores : emit_scratch(e, scores * dtype_bytes(a->type));
    a->sums = emit_scratch(e, rows * a->value_padded * 4);
    a->largest = emit_scratch(e, of_rows);
    a->total = emit_scratch(e, of_rows);
    a->lane_largest = emit_scratch(e, (int64_t)a->tile_rows * e->lanes * 4);
    a->part_largest = emit_scratch(e, tile);
    a->keep = emit_scratch(e, tile);
    a->join = emit_scratch(e, tile);
    a->part_total = emit_scratch(e, tile);
}

static bool describe(struct emitter *e, struct attention *a) {
    const struct node *n = a->node = find_anchor(e);
    int64_t heads, key_heads;
    a->q = n->operands[0], a->k = n->operands[1], a->v = n->operands[2];
    a->at = n->operands_count > 3 ? n->operands[3] : NULL;
    a->mask = n->operands_count > 4 ? n->operands[4] : NULL;
    int rank = a->q->type.rank, first = rank - 3;
    a->batched = rank == 4;
    a->causal = node_attr(n, "causal")->i;
    a->mask_of_keys = is_mask_of_keys(a);
    a->scale = node_attr(n, "scale")->f;
    if (!attention_extent(e, a->q, first + 2, "head's extent", &a->dim)) return false;
    if (!attention_extent(e, a->q, first + 1, "number of heads", &heads)) return false;
    if (!attention_extent(e, a->k, first + 1, "number of key heads", &key_heads)) return false;
    a->group = heads / key_heads;
    if (!attention_extent(e, a->v, first + 2, "extent of a head's values", &a->value_dim)) return false;
    a->padded = round_up(a->dim, e->lanes);
    a->value_padded = round_up(a->value_dim, e->lanes);
    a->query_count = emit_extent(e, a->q->type.extents[first]);
    a->key_count = emit_extent(e, a->k->type.extents[first]);
    a->heads = emit_i64(e, heads);
    a->key_heads = emit_i64(e, key_heads);
    follow_schedule(e, a);
    reserve(e, a);
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
    LLVMValueRef blocks = emit_div_up(e, a.query_count, queries);
    emit_split(e, emit_mul(e, emit_mul(e, batches, a.key_heads), blocks), 1, &begin, &end);
    struct emit_loop units;
    emit_loop_begin(e, &units, begin, end, 1, 0, NULL);
    unit(e, &a, program, units.counter, blocks);
    emit_loop_end(e, &units, NULL);
    return e->errors == 0;
}
