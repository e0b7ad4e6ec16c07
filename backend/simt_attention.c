/* Kernels of domain `attention` on a GPU. A thread block takes a unit of rows and a part of their keys; the
 * warps' states are joined to the block's, the blocks' to the unit's by the last of them (simt_join.h), which
 * makes the results.
 *
 *     block:   for (unit, part of its keys):
 *                  warps: softmax and sums over their share of the keys         simt_attention_fma.c
 *                  join the warps' states in their order
 *                  of several parts: to memory; who is not the last goes on; join them in their order
 *                  for row: sums / total, then the row program
 *
 * How many parts there are is seen at run time: as the grid has blocks for each unit, but of no fewer keys
 * than a warp takes at once. States are joined as FlashDecoding does: with M the largest of the m_i, w_i =
 * 2^(m_i - M), the total is the sum of w_i l_i, the sums are those of w_i o_i. */
#include "backend/simt_attention.h"
#include "backend/emit_family.h"
#include "backend/emit_math.h"
#include "backend/simt.h"
#include "backend/simt_join.h"
#include "backend/simt_mma.h"
#include "ir/number.h"
#include "runtime/abi.h"

enum {
    STATES = 8,     /* whose sums are added in a step of a join */
    MOST_SUMS = 16, /* vectors of values, of all rows of a unit */
    LARGEST = 0,
    TOTAL = 1,
    SUMS = 2
};

typedef LLVMValueRef V;

/* ---- rows and their elements ---- */

V simt_attention_query(struct emitter *e, const struct simt_attention *a, V row) {
    return emit_div(e, row, emit_i64(e, a->sdpa.group));
}

V simt_attention_head(struct emitter *e, const struct simt_attention *a, V row) {
    V group = emit_i64(e, a->sdpa.group);
    return emit_add(e, emit_mul(e, a->sdpa.key_head, group), emit_rem(e, row, group));
}

V simt_attention_row(struct emitter *e, const struct simt_attention *a, V i) {
    return emit_min(e, emit_add(e, a->first_row, i), emit_sub(e, a->rows_end, emit_i64(e, 1)));
}

struct point simt_attention_point(const struct simt_attention *a, struct index position, struct index head,
                                  struct index d, int lanes) {
    struct point p = {.lanes = lanes};
    if (a->sdpa.batched) p.at[p.rank++] = index_uniform(a->sdpa.batch);
    p.at[p.rank++] = position;
    p.at[p.rank++] = head;
    p.at[p.rank++] = d;
    return p;
}

V simt_attention_factor(struct emitter *e, const struct simt_attention *a, struct value *v,
                        const struct point *p) {
    V x = emit_value(e, v, p);
    return x ? emit_round(e, a->compute, emit_cast(e, v->type.dtype, DTYPE_F32, x)) : NULL;
}

V simt_attention_falling(struct emitter *e, const struct simt_attention *a, V x, V by) {
    V none = LLVMBuildFCmp(e->builder, LLVMRealOEQ, by, emit_f32(e, -__builtin_inf()), "");
    V shift = LLVMBuildSelect(e->builder, none, emit_f32(e, 0), by, "");
    shift = emit_splat(e, shift, emit_lanes_of(x));
    return math_exp2_falling(e, LLVMBuildFSub(e->builder, x, shift, ""), a->compute);
}

/* ---- states ---- */

static V float_at(struct emitter *e, V base, V index) {
    return emit_offset(e, base, emit_mul(e, index, emit_i64(e, 4)));
}

V simt_state_largest(struct emitter *e, const struct simt_attention *a, V state, V row) {
    (void)a;
    return float_at(e, state, row);
}

V simt_state_total(struct emitter *e, const struct simt_attention *a, V state, V row) {
    return float_at(e, state, emit_add(e, row, emit_i64(e, a->rows)));
}

V simt_state_sums(struct emitter *e, const struct simt_attention *a, V state, V row, V d) {
    V at = emit_add(e, emit_mul(e, row, emit_i64(e, a->stride)), d);
    return float_at(e, state, emit_add(e, at, emit_i64(e, 2 * a->rows)));
}

static V rows_there(struct emitter *e, const struct simt_attention *a) {
    return emit_min(e, emit_i64(e, a->rows), emit_sub(e, a->rows_end, a->first_row));
}

/* A float of each of the states, a lane each; `else_` where there is none. */
static V of_states(struct emitter *e, V address, int64_t step, V count, double else_) {
    struct index at = index_scale_by(e, simt_lanes(e), step / 4, e->lanes);
    V exists = emit_tail_mask(e, emit_i64(e, 0), count, e->lanes);
    V x = emit_load_at(e, e->f32, address, at, e->lanes, exists);
    return LLVMBuildSelect(e->builder, exists, x, emit_constant_like(LLVMTypeOf(x), else_), "");
}

/* Sum of 32 dims at `address` of the first of `count` states, of weight number i that of state i. */
static V weighted(struct emitter *e, V address, int64_t step, V count, V weights) {
    V sum = emit_splat(e, emit_f32(e, 0), e->lanes), last = emit_sub(e, count, emit_i64(e, 1));
    struct emit_loop states;
    emit_loop_begin(e, &states, emit_i64(e, 0), count, STATES, 1, &sum);
    sum = states.carried[0];
    for (int i = 0; i < STATES; i++) {
        V number = emit_add(e, states.counter, emit_i64(e, i));
        V from = emit_offset(e, address, emit_mul(e, emit_min(e, number, last), emit_i64(e, step)));
        V one = simt_shuffle_from(e, weights, LLVMBuildTrunc(e->builder, number, e->i32, ""));
        sum =
            emit_fma(e, emit_splat(e, one, e->lanes), emit_load_lanes(e, e->f32, from, e->lanes, NULL), sum);
    }
    emit_loop_end(e, &states, &sum);
    return states.carried[0];
}

/* A vector of a row's sums, with what the row's first vector brings. */
static void put(struct emitter *e, const struct simt_attention *a, V state, V row, V d, const V *made) {
    struct emit_if first;
    emit_store_lanes(e, made[SUMS], simt_state_sums(e, a, state, row, d), NULL);
    emit_if_begin(e, &first, LLVMBuildICmp(e->builder, LLVMIntEQ, d, emit_i64(e, 0), ""));
    LLVMBuildStore(e->builder, made[LARGEST], simt_state_largest(e, a, state, row));
    LLVMBuildStore(e->builder, made[TOTAL], simt_state_total(e, a, state, row));
    emit_if_end(e, &first);
}

/* `count` states (at most 32), `step` bytes apart from `from` on, as one: the block's; and where `shared`, at
 * `part` too. The block's warps share the rows' vectors. */
static void join(struct emitter *e, const struct simt_attention *a, V from, int64_t step, V count, V part,
                 V shared) {
    V chunks = emit_i64(e, a->chunks), made[3];
    struct emit_loop tasks;
    struct emit_if several;
    emit_loop_begin(e, &tasks, e->warp, emit_mul(e, rows_there(e, a), chunks), e->block_warps, 0, NULL);
    V row = emit_div(e, tasks.counter, chunks),
      d = emit_mul(e, emit_rem(e, tasks.counter, chunks), emit_i64(e, e->lanes));
    V m = of_states(e, simt_state_largest(e, a, from, row), step, count, -__builtin_inf());
    V l = of_states(e, simt_state_total(e, a, from, row), step, count, 0);
    made[LARGEST] = emit_largest_lane(e, m);
    V weights = simt_attention_falling(e, a, m, made[LARGEST]);
    made[TOTAL] = emit_horizontal(e, SCALAR_add, LLVMBuildFMul(e->builder, weights, l, ""));
    made[SUMS] = weighted(e, simt_state_sums(e, a, from, row, d), step, count, weights);
    put(e, a, a->joined, row, d, made);
    if (part) {
        emit_if_begin(e, &several, shared);
        put(e, a, part, row, d, made);
        emit_if_end(e, &several);
    }
    emit_loop_end(e, &tasks, NULL);
}

/* ---- results ---- */

struct result {
    const struct simt_attention *a;
    V row, inverse; /* of the unit; 1 / total */
};

static V load_row(struct emitter *e, const struct binding *b, const struct point *p) {
    const struct result *r = b->data;
    V none = emit_i64(e, 0), base = simt_state_sums(e, r->a, r->a->joined, r->row, none);
    V sums = emit_load_at(e, e->f32, base, p->at[p->rank - 1], p->lanes, p->mask);
    return emit_cast(e, DTYPE_F32, b->value->type.dtype,
                     LLVMBuildFMul(e->builder, sums, emit_splat(e, r->inverse, p->lanes), ""));
}

/* The kernel's results of the unit's rows, which the warps share. */
static void finish_rows(struct emitter *e, const struct simt_attention *a,
                        const struct row_program *program) {
    struct emit_loop rows;
    emit_loop_begin(e, &rows, e->warp, rows_there(e, a), e->block_warps, 0, NULL);
    struct result result = {.a = a, .row = rows.counter};
    struct binding binding = {.value = a->sdpa.node->results[0], .load = load_row, .data = &result};
    V total = LLVMBuildLoad2(e->builder, e->f32, simt_state_total(e, a, a->joined, rows.counter), "");
    V none = LLVMBuildFCmp(e->builder, LLVMRealOEQ, total, emit_f32(e, 0), "");
    result.inverse = LLVMBuildFDiv(e->builder, emit_f32(e, 1), total, "");
    result.inverse = LLVMBuildSelect(e->builder, none, emit_f32(e, __builtin_nan("")), result.inverse, "");
    V row = emit_add(e, a->first_row, rows.counter);
    V place = emit_add(e, emit_mul(e, a->sdpa.batch, a->sdpa.query_count), simt_attention_query(e, a, row));
    V flat = emit_add(e, emit_mul(e, place, a->sdpa.heads), simt_attention_head(e, a, row));
    emit_bind(e, &binding);
    emit_row_program(e, program, flat, emit_i64(e, 0), emit_i64(e, a->sdpa.value_dim), 1 << 20);
    emit_unbind(e, &binding);
    emit_loop_end(e, &rows, NULL);
}

/* ---- units and parts ---- */

/* What there is to do: `units` rows of all, each in up to `splits` parts. */
struct work {
    V units, splits;
};

static V rows_of_head(struct emitter *e, const struct simt_attention *a) {
    return emit_mul(e, a->sdpa.query_count, emit_i64(e, a->sdpa.group));
}

static struct work find_work(struct emitter *e, const struct simt_attention *a) {
    V tiles = emit_div_up(e, rows_of_head(e, a), emit_i64(e, a->rows)), one = emit_i64(e, 1);
    struct work w = {.units = emit_mul(e, emit_mul(e, a->sdpa.batches, a->sdpa.key_heads), tiles)};
    V most = emit_div(e, e->blocks, emit_max(e, w.units, one));
    w.splits = emit_min(e, emit_max(e, most, one), emit_i64(e, a->most_parts));
    return w;
}

/* Later rows see more keys: they come first. */
static void find_unit(struct emitter *e, struct simt_attention *a, V number) {
    V heads = emit_mul(e, a->sdpa.batches, a->sdpa.key_heads), head = emit_rem(e, number, heads);
    V tiles = emit_div_up(e, rows_of_head(e, a), emit_i64(e, a->rows));
    V tile = emit_sub(e, emit_sub(e, tiles, emit_i64(e, 1)), emit_div(e, number, heads));
    a->sdpa.batch = emit_div(e, head, a->sdpa.key_heads);
    a->sdpa.key_head = emit_rem(e, head, a->sdpa.key_heads);
    a->first_row = emit_mul(e, tile, emit_i64(e, a->rows));
    a->rows_end = emit_min(e, emit_add(e, a->first_row, emit_i64(e, a->rows)), rows_of_head(e, a));
    a->past = sdpa_past(e, &a->sdpa);
}

/* Keys of part number `part` of the unit; how many parts it has. */
static V find_part(struct emitter *e, struct simt_attention *a, V splits, V part) {
    V zero = emit_i64(e, 0), last = emit_sub(e, a->rows_end, emit_i64(e, 1)), grain = emit_i64(e, a->grain);
    V end = sdpa_visible(e, &a->sdpa, a->past, simt_attention_query(e, a, last), a->sdpa.key_count);
    end = emit_max(e, end, zero);
    V share = emit_mul(e, emit_div_up(e, emit_div_up(e, end, splits), grain), grain);
    share = emit_max(e, share, grain);
    a->first_key = emit_mul(e, part, share);
    a->end_key = emit_min(e, emit_add(e, a->first_key, share), end);
    return emit_max(e, emit_div_up(e, end, share), emit_i64(e, 1));
}

/* The block's state has what the warps found; if the unit has several parts the last block's, what all did.
 * Then the results. */
static void finish_part(struct emitter *e, const struct simt_attention *a, const struct row_program *program,
                        V first_part, V part, V parts) {
    struct emit_if last, several;
    V split = LLVMBuildICmp(e->builder, LLVMIntSGT, parts, emit_i64(e, 1), "");
    V unit = emit_rem(e, first_part, emit_i64(e, MDL_JOINS));
    simt_block_barrier(e);
    if (!a->of_warps) {
        finish_rows(e, a, program);
        return;
    }
    V to = a->most_parts > 1 ? simt_part(e, emit_add(e, first_part, part)) : NULL;
    join(e, a, a->of_warps, a->warp_step, emit_i64(e, e->block_warps), to, split);
    if (!to) {
        simt_block_barrier(e);
        finish_rows(e, a, program);
        return;
    }
    emit_if_begin(e, &last, simt_is_last(e, unit, parts));
    emit_if_begin(e, &several, split);
    join(e, a, simt_part(e, first_part), e->part_bytes, parts, NULL, NULL);
    simt_block_barrier(e);
    emit_if_end(e, &several);
    finish_rows(e, a, program);
    emit_if_end(e, &last);
}

/* ---- the kernel ---- */

static bool refuse(struct emitter *e, const struct sdpa *s, const char *what) {
    emit_error(e, e->kernel->loc, "schedule: on a GPU, attention of heads of %lld dims and %lld values %s",
               (long long)s->dim, (long long)s->value_dim, what);
    return false;
}

/* Whether products of the atom's type are what the op computes, or keep all that its operands have. */
static bool multiplies(enum atom atom, const struct sdpa *s) {
    enum dtype t = atom_info(atom)->a, compute = node_attr(s->node, "compute")->dtype;
    return compute == t || (s->k->type.dtype == t && s->q->type.dtype == t);
}

/* That of single warps, which few rows have, where groups of warps make many. */
static enum atom warp_atom(enum atom atom) {
    return atom == ATOM_wgmma_bf16 ? ATOM_mma_bf16 : atom == ATOM_wgmma_f16 ? ATOM_mma_f16 : atom;
}

static bool check_matrix_schedule(struct emitter *e, const struct sdpa *s) {
    const struct schedule *h = e->kernel->schedule;
    if (warp_atom(h->atom) != ATOM_mma_bf16 && warp_atom(h->atom) != ATOM_mma_f16)
        return refuse(e, s, "have one of the atoms fma, mma_bf16, mma_f16, wgmma_bf16, wgmma_f16");
    if (!multiplies(h->atom, s))
        return refuse(e, s,
                      arena_printf(e->arena, "are not multiplied in %s", dtype_name(atom_info(h->atom)->a)));
    if (s->dim > SIMT_MMA_DIMS || s->value_dim > SIMT_MMA_DIMS)
        return refuse(e, s, "are more than tensor cores take here, which is 128: atom=fma");
    bool many = h->tile[0] == MMA_ROWS * e->block_warps, group = atom_info(h->atom)->unit == UNIT_group;
    if (group && e->target->capability != 90)
        return refuse(e, s, "are multiplied by wgmma on sm_90a alone: atom=mma_bf16 or mma_f16");
    if (group && (!many || e->block_warps % 4))
        return refuse(e, s, "take tiles of 64 rows for each four warps, by wgmma");
    if (many && (h->tile[1] <= 0 || h->tile[1] % MMA_ROWS || h->tile[1] > SIMT_MMA_KEYS))
        return refuse(e, s, "take multiples of 16 keys at a time, up to 128");
    return many || h->tile[0] == MMA_ROWS || refuse(e, s, "take tiles of 16 rows, or of 16 for each warp");
}

/* What the schedule asks for can be had. */
static bool check_schedule(struct emitter *e, const struct sdpa *s) {
    const struct schedule *h = e->kernel->schedule;
    int64_t chunks = (s->value_dim + e->lanes - 1) / e->lanes;
    int64_t most_rows = chunks > MOST_SUMS ? 0 : chunks ? MOST_SUMS / chunks : MOST_SUMS;
    if (most_rows > SIMT_FMA_ROWS) most_rows = SIMT_FMA_ROWS;
    if (h->block[0] > e->lanes) return refuse(e, s, "are of at most 32 parts: block=[parts, 0, 0]");
    if (!most_rows) return refuse(e, s, "are more than its registers hold, which is 512 values");
    if (h->atom != ATOM_fma) return check_matrix_schedule(e, s);
    return (h->tile[0] > 0 && h->tile[0] <= most_rows) ||
           refuse(e, s, arena_printf(e->arena, "take tiles of 1 to %d rows", (int)most_rows));
}

/* A way to make units of so many rows, in up to so many parts, but for where its memory is. */
static struct simt_attention form_of(struct emitter *e, const struct sdpa *s, int rows, int parts) {
    enum atom atom = e->kernel->schedule->atom;
    if (rows == MMA_ROWS) atom = warp_atom(atom);
    struct simt_attention a = {
        .sdpa = *s, .rows = rows, .most_parts = parts > 1 ? parts : 1, .grain = e->lanes};
    bool fma = atom == ATOM_fma;
    a.compute = fma ? node_attr(s->node, "compute")->dtype : atom_info(atom)->a;
    a.attend = fma ? simt_attend_fma : simt_attend_mma;
    a.chunks = (int)((s->value_dim + e->lanes - 1) / e->lanes);
    a.stride = (int64_t)a.chunks * e->lanes + (fma ? 0 : MMA_OUTPUTS); /* else fragments' rows share banks */
    a.state_bytes = rows * (2 + a.stride) * (int64_t)sizeof(float);
    a.warp_step = round_up(a.state_bytes, 128) + 16; /* lanes that read one of each find other banks */
    if (!fma) a.mma = simt_mma_form(e, &a, atom);
    return a;
}

static bool shares_rows(const struct simt_attention *a) { return !a->mma || a->rows == MMA_ROWS; }

/* In its shared memory: attend's own, over which states of tensor cores go once it is done; the block's
 * state. */
static int64_t place(struct emitter *e, struct simt_attention *a, V memory) {
    int64_t own = a->mma ? simt_mma_bytes(a) : simt_fma_bytes(a), states = e->block_warps * a->warp_step;
    int64_t of_warps = a->mma ? 0 : round_up(own, 64);
    int64_t joined = shares_rows(a) ? round_up(of_warps + states > own ? of_warps + states : own, 64) : 0;
    if (memory) {
        a->memory = memory;
        a->of_warps = shares_rows(a) ? emit_offset(e, memory, emit_i64(e, of_warps)) : NULL;
        a->joined = emit_offset(e, memory, emit_i64(e, joined));
    }
    return joined + a->state_bytes > own ? joined + a->state_bytes : own;
}

static void do_units(struct emitter *e, struct simt_attention *a, const struct row_program *program) {
    struct work work = find_work(e, a);
    struct emit_loop items;
    struct emit_if some;
    V begin, end;
    simt_split(e, emit_mul(e, work.units, work.splits), &begin, &end);
    emit_loop_begin(e, &items, begin, end, 1, 0, NULL);
    V unit = emit_div(e, items.counter, work.splits), part = emit_rem(e, items.counter, work.splits);
    find_unit(e, a, unit);
    V parts = find_part(e, a, work.splits, part);
    emit_if_begin(e, &some, LLVMBuildICmp(e->builder, LLVMIntSLT, part, parts, ""));
    a->attend(e, a);
    finish_part(e, a, program, emit_mul(e, unit, work.splits), part, parts);
    simt_block_barrier(e); /* before the next one's states */
    emit_if_end(e, &some);
    emit_loop_end(e, &items, NULL);
}

/* Of units that are 16 rows for each warp a kernel has a second form, of 16 rows for all, where it may be
 * given few: there the keys are what there is to share. */
void lower_simt_attention(struct emitter *e) {
    const struct schedule *h = e->kernel->schedule;
    struct sdpa s;
    int parts = (int)h->block[0];
    if (!sdpa_describe(e, &s) || !check_schedule(e, &s)) return;
    const struct row_program *program = row_plan(e, s.node->results[0]);
    if (!program) ice("kernel %s: no way from its attention to its results", e->kernel->name);
    struct simt_attention many = form_of(e, &s, h->tile[0], parts), few = many;
    bool both = !shares_rows(&many) && parts > 1;
    if (both) few = form_of(e, &s, MMA_ROWS, parts);
    int64_t bytes = place(e, &many, NULL), bytes_of_few = place(e, &few, NULL);
    V memory = simt_shared(e, bytes > bytes_of_few ? bytes : bytes_of_few);
    place(e, &many, memory);
    place(e, &few, memory);
    if (!shares_rows(&many)) many.most_parts = 1;
    if (few.most_parts > 1 && shares_rows(&few)) simt_reserve_parts(e, few.state_bytes);
    struct emit_if way;
    V is_few = LLVMBuildICmp(e->builder, LLVMIntSLE, rows_of_head(e, &few), emit_i64(e, SIMT_FEW_ROWS), "");
    if (both) {
        emit_if_begin(e, &way, is_few);
        do_units(e, &few, program);
        emit_if_end(e, &way);
        emit_if_begin(e, &way, LLVMBuildNot(e->builder, is_few, ""));
    }
    do_units(e, &many, program);
    if (both) emit_if_end(e, &way);
}
