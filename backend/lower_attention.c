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
#include "backend/amx.h"
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

int64_t attention_rows(const struct attention *a) {
    return (int64_t)a->queries * a->sdpa.group + a->tile_rows;
}

LLVMValueRef attention_query(struct emitter *e, const struct attention *a, LLVMValueRef row) {
    return emit_add(e, a->first_query, emit_div(e, row, emit_i64(e, a->sdpa.group)));
}

LLVMValueRef attention_head(struct emitter *e, const struct attention *a, LLVMValueRef row) {
    LLVMValueRef group = emit_i64(e, a->sdpa.group);
    return emit_add(e, emit_mul(e, a->sdpa.key_head, group), emit_rem(e, row, group));
}

/* ---- a unit ---- */

/* The anchor's elements of the row at work: sums over total. */
static LLVMValueRef load_row(struct emitter *e, const struct binding *b, const struct point *p) {
    const struct attention *a = b->data;
    int dims = a->sdpa.node->results[0]->type.rank;
    struct buffer row = {.base =
                             attention_float(e, a->sums, emit_mul(e, a->row, emit_i64(e, a->value_padded))),
                         .type = {DTYPE_F32, 1, {a->sdpa.node->results[0]->type.extents[dims - 1]}}};
    struct point at = {.rank = 1, .lanes = p->lanes, .mask = p->mask, .tail = p->tail};
    at.at[0] = p->at[dims - 1];
    LLVMValueRef sums = emit_load(e, &row, &at);
    LLVMValueRef made = LLVMBuildFMul(e->builder, sums, emit_splat(e, a->inverse, p->lanes), "");
    return emit_cast(e, DTYPE_F32, b->value->type.dtype, made);
}

static void finish_rows(struct emitter *e, struct attention *a, const struct row_program *program) {
    struct binding binding = {.value = a->sdpa.node->results[0], .load = load_row, .data = a};
    struct emit_loop rows;
    emit_loop_begin(e, &rows, emit_i64(e, 0), a->rows, 1, 0, NULL);
    a->row = rows.counter;
    LLVMValueRef total = emit_load_lanes(e, e->f32, attention_float(e, a->total, a->row), 1, NULL);
    LLVMValueRef none = LLVMBuildFCmp(e->builder, LLVMRealOEQ, total, emit_f32(e, 0), "");
    a->inverse = LLVMBuildFDiv(e->builder, emit_f32(e, 1), total, "");
    a->inverse = LLVMBuildSelect(e->builder, none, emit_f32(e, __builtin_nan("")), a->inverse, "");
    LLVMValueRef query =
        emit_add(e, emit_mul(e, a->sdpa.batch, a->sdpa.query_count), attention_query(e, a, rows.counter));
    LLVMValueRef flat = emit_add(e, emit_mul(e, query, a->sdpa.heads), attention_head(e, a, rows.counter));
    emit_bind(e, &binding);
    emit_row_program(e, program, flat, emit_i64(e, 0), emit_i64(e, a->sdpa.value_dim), 1 << 20);
    emit_unbind(e, &binding);
    emit_loop_end(e, &rows, NULL);
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
    a->sdpa.batch = emit_div(e, head, a->sdpa.key_heads);
    a->sdpa.key_head = emit_rem(e, head, a->sdpa.key_heads);
    a->first_query = emit_mul(e, block_at(e, emit_rem(e, number, blocks), blocks), emit_i64(e, a->queries));
    LLVMValueRef queries =
        emit_min(e, emit_sub(e, a->sdpa.query_count, a->first_query), emit_i64(e, a->queries));
    a->rows = emit_mul(e, queries, emit_i64(e, a->sdpa.group));
    a->past = sdpa_past(e, &a->sdpa);
    a->keys_row = attention_source_row(e, a, a->sdpa.k);
    a->values_row = attention_source_row(e, a, a->sdpa.v);
    LLVMValueRef visible = a->sdpa.key_count;
    if (a->sdpa.causal) {
        LLVMValueRef last = emit_add(e, emit_add(e, a->past, a->first_query), queries);
        visible = emit_max(e, emit_min(e, a->sdpa.key_count, last), zero);
    }
    start_rows(e, a);
    attention_find_queries(e, a);
    struct emit_loop parts;
    struct attention_part part;
    emit_loop_begin(e, &parts, zero, visible, a->keys, 0, NULL);
    attention_find_part(e, a, parts.counter, visible, &part);
    attention_find_mask(e, a, &part);
    attention_tiles(e, a, &part);
    emit_loop_end(e, &parts, NULL);
    finish_rows(e, a, program);
}

/* ---- the kernel ---- */

/* Whether the mask is the same for all heads and queries. */
static bool is_mask_of_keys(const struct attention *a) {
    int64_t one;
    for (int i = 0; a->sdpa.mask && i < a->sdpa.mask->type.rank - 1; i++)
        if (a->sdpa.mask->type.rank - i < 4 &&
            (!extent_is_const(a->sdpa.mask->type.extents[i], &one) || one != 1))
            return false;
    return a->sdpa.mask && !a->sdpa.causal;
}

/* Whether the schedule's atom can make the products; false after a diagnostic. */
static bool schedule_fits(struct emitter *e, const struct attention *a) {
    enum atom atom = e->kernel->schedule->atom;
    if (!micro_has_atom(e, atom)) return false;
    const char *wrong = NULL;
    if (atom_info(atom)->sum != DTYPE_F32) wrong = "is for codes; attention's products are of floats";
    if (atom == ATOM_amx_f32) wrong = "has no attention; amx_bf16 and fma have";
    if (atom == ATOM_amx_bf16 && (a->sdpa.dim % AMX_INPUTS || a->sdpa.value_dim % e->lanes))
        wrong = "takes heads of a multiple of 32 dims, and values of a multiple of 16";
    if (wrong) emit_error(e, a->sdpa.node->loc, "schedule: %s %s", atom_info(atom)->name, wrong);
    return !wrong;
}

/* What the schedule says; tiles, as far as they can be followed. */
static void follow_schedule(struct emitter *e, struct attention *a) {
    const struct schedule *s = e->kernel->schedule;
    int most = e->target->vector_registers >= 32 ? ATTENTION_VECTORS : 2;
    int64_t width = s->block[1];
    bool good = width > 0 && width % e->lanes == 0 && PANEL_KEYS % width == 0 && width / e->lanes <= most;
    a->vectors = good ? (int)(width / e->lanes) : 1;
    a->tile_rows = (int)(s->block[0] > 0 && s->block[0] <= MAX_TILE_ROWS ? s->block[0] : 1);
    if (a->tile_rows * a->vectors > MAX_TILE_SUMS) a->tile_rows = MAX_TILE_SUMS / a->vectors;
    a->unroll = s->unroll > 0 && s->unroll <= 2 * UNROLL ? s->unroll : UNROLL;
    a->queries = s->tile[0] > 0 ? s->tile[0] : QUERIES;
    a->keys = s->tile[1] > 0 && s->tile[1] % PANEL_KEYS == 0 ? s->tile[1] : KEYS;
    a->amx = atom_info(s->atom)->unit == UNIT_tile;
    if (a->amx) {
        a->tile_rows = AMX_ROWS;
        a->vectors = AMX_OUTPUTS / e->lanes;
        a->unroll = AMX_INPUTS / 2; /* pairs of keys */
    }
    a->atom = a->amx ? ATOM_dot_bf16 : s->atom;
    a->type = atom_info(a->atom)->a;
    a->group_of_atom = atom_info(a->atom)->k;
}

static void reserve(struct emitter *e, struct attention *a) {
    int64_t rows = attention_rows(a), of_rows = (rows + e->lanes) * 4;
    int64_t tile = round_up(a->tile_rows, e->lanes) * 4, scores = (int64_t)a->tile_rows * a->keys;
    attention_reserve_operands(e, a);
    a->scores = emit_scratch(e, scores * 4);
    a->probabilities = a->type == DTYPE_F32 ? a->scores : emit_scratch(e, scores * dtype_bytes(a->type));
    a->sums = emit_scratch(e, rows * a->value_padded * 4);
    if (a->amx) a->products = emit_scratch(e, (int64_t)a->tile_rows * AMX_OUTPUTS * 4);
    a->largest = emit_scratch(e, of_rows);
    a->total = emit_scratch(e, of_rows);
    a->lane_largest = emit_scratch(e, (int64_t)a->tile_rows * e->lanes * 4);
    a->part_largest = emit_scratch(e, tile);
    a->keep = emit_scratch(e, tile);
    a->join = emit_scratch(e, tile);
    a->part_total = emit_scratch(e, tile);
    if (!is_mask_of_keys(a)) return;
    a->seen = emit_scratch(e, (int64_t)a->keys * 4);
    if (a->sdpa.mask->type.dtype != DTYPE_BOOL) a->added = emit_scratch(e, (int64_t)a->keys * 4);
}

static bool describe(struct emitter *e, struct attention *a) {
    if (!sdpa_describe(e, &a->sdpa)) return false;
    a->padded = round_up(a->sdpa.dim, e->lanes);
    a->value_padded = round_up(a->sdpa.value_dim, e->lanes);
    if (!schedule_fits(e, a)) return false;
    follow_schedule(e, a);
    reserve(e, a);
    return true;
}

void lower_attention(struct emitter *e) {
    struct attention a = {0};
    LLVMValueRef begin, end;
    if (!describe(e, &a)) return;
    const struct row_program *program = row_plan(e, a.sdpa.node->results[0]);
    if (!program) ice("kernel %s: no way from its attention to its results", e->kernel->name);
    LLVMValueRef queries = emit_i64(e, a.queries);
    LLVMValueRef blocks = emit_div_up(e, a.sdpa.query_count, queries);
    emit_split(e, emit_mul(e, emit_mul(e, a.sdpa.batches, a.sdpa.key_heads), blocks), 1, &begin, &end);
    struct emit_loop units;
    if (a.amx) amx_begin(e, emit_i64(e, AMX_TILE));
    emit_loop_begin(e, &units, begin, end, 1, 0, NULL);
    unit(e, &a, program, units.counter, blocks);
    emit_loop_end(e, &units, NULL);
    if (a.amx) amx_end(e);
}
