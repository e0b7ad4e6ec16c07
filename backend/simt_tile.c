/* A tile of a thread block, from a ring of stages in shared memory that copies fill while products are made:
 *
 *     step of 8 chunks (128 bytes) of inputs:   all warps wait for this step's copies
 *                                               begin those of a later step, into the stage done with last
 *                                               each warp its part of the tile: fragments, mma.sync
 *     at the end:                               sums into shared memory, for the row program
 *
 * A stage holds columns of chunks, `[chunk][line][16 bytes]`, with the room of one chunk behind a column.
 * Eight lines of a column are 128 neighbouring bytes, all of a warp's banks, which is what ldmatrix reads at
 * a time; and eight chunks of a line, which neighbouring lanes bring from a row in memory, differ by a column
 * and 16 bytes: so neither has conflicts. Weights lie in such columns already (layout_of_chunks).
 *
 * Products of groups of warps, and those that one thread issues for all, run on beside the next step's: so
 * what copies fill is two steps behind, not one. Where all that they read comes in bulk, simt_pipeline.c has
 * the steps.
 *
 * What has to be computed, or rounded, on its way into shared memory is loaded before the products of the
 * step before and stored behind them. Weights in packed tiles go past the ring, into fragments. (Stages:
 * CUTLASS's multistage mainloop; 16-byte copies past L1: PTX ISA, cp.async.cg.) */
#include "backend/simt.h"
#include "backend/simt_tile.h"

enum { MOST_UNITS = 16, MOST_FRAGMENTS = 32, INPUT_PRODUCTS = STEP_CHUNKS / 2 /* atoms take two chunks */ };

typedef LLVMValueRef V;

static int64_t pitch_of(int lines) { return (int64_t)(lines + 1) * CHUNK_BYTES; }
static int64_t stage_of(int lines) { return !lines ? 0 : (STEP_CHUNKS * pitch_of(lines) + 127) / 128 * 128; }

/* Both sides' begin where swizzled lines may. */
static int64_t ring_of(int lines, int stages) {
    return (stages * stage_of(lines) + SWIZZLE_ALIGN - 1) / SWIZZLE_ALIGN * SWIZZLE_ALIGN;
}

int64_t mma_ring_bytes(int rows, int outputs, int stages) { return ring_of(rows, stages) + ring_of(outputs, stages); }

/* ---- into the ring ---- */

/* Which line and chunk of a step this lane brings as number `unit` of the warp's. Neighbours in memory are
 * brought by neighbours. */
struct unit {
    struct index line, chunk; /* in the tile, in the step */
};

static int units_of(struct emitter *e, const struct side *s) {
    return s->lines * STEP_CHUNKS / (e->lanes * e->block_warps);
}

static struct unit unit_of(struct emitter *e, const struct side *s, int unit) {
    struct index lane = simt_lanes(e);
    V number = emit_add(e, emit_i64(e, (int64_t)unit * e->block_warps), e->warp);
    struct unit u;
    if (s->operand->packed) {
        V columns = emit_i64(e, s->lines / e->lanes);
        V line = emit_mul(e, emit_rem(e, number, columns), emit_i64(e, e->lanes));
        u.line = index_add(e, index_uniform(line), lane, e->lanes);
        u.chunk = index_uniform(emit_div(e, number, columns));
        return u;
    }
    int rows = e->lanes / STEP_CHUNKS;
    struct index own = index_div_by(e, lane, STEP_CHUNKS, e->lanes);
    u.line = index_add(e, index_uniform(emit_mul(e, number, emit_i64(e, rows))), own, e->lanes);
    u.chunk = index_rem_by(e, lane, STEP_CHUNKS, e->lanes);
    return u;
}

static struct index place_in_ring(struct emitter *e, const struct side *s, const struct unit *u, V slot) {
    struct index at = index_uniform(emit_mul(e, slot, emit_i64(e, s->stage)));
    at = index_add(e, at, index_scale_by(e, u->chunk, s->pitch, e->lanes), e->lanes);
    return index_add(e, at, index_scale_by(e, u->line, CHUNK_BYTES, e->lanes), e->lanes);
}

static struct index line_of(struct emitter *e, const struct side *s, const struct unit *u) {
    return mma_limit(e, index_add(e, index_uniform(s->first), u->line, e->lanes), s->last);
}

static struct index chunk_of(struct emitter *e, const struct unit *u, V step) {
    return index_add(e, index_uniform(emit_mul(e, step, emit_i64(e, STEP_CHUNKS))), u->chunk, e->lanes);
}

/* Copies of a side for a step begin. */
static void copy(struct emitter *e, const struct tile *t, const struct side *s, V step, V slot) {
    for (int i = 0; s->way == BY_LANES && i < units_of(e, s); i++) {
        struct unit u = unit_of(e, s, i);
        mma_copy_chunk(e, s->operand, t->p->at, line_of(e, s, &u), chunk_of(e, &u, step), s->ring,
                       place_in_ring(e, s, &u, slot));
    }
}

static void compute(struct emitter *e, const struct tile *t, const struct side *s, V step,
                    V (*words)[CHUNK_WORDS]) {
    for (int i = 0; s->way == COMPUTED && i < units_of(e, s); i++) {
        struct unit u = unit_of(e, s, i);
        mma_chunk(e, s->operand, t->p->at, line_of(e, s, &u), chunk_of(e, &u, step), words[i]);
    }
}

static void store(struct emitter *e, const struct side *s, V slot, V (*words)[CHUNK_WORDS]) {
    for (int i = 0; s->way == COMPUTED && i < units_of(e, s); i++) {
        struct unit u = unit_of(e, s, i);
        mma_store_chunk(e, s->ring, place_in_ring(e, s, &u, slot), words[i]);
    }
}

V tile_slot(struct emitter *e, const struct tile *t, V step) {
    return emit_rem(e, emit_sub(e, step, t->p->begin), emit_i64(e, t->stages));
}

V tile_round(struct emitter *e, const struct tile *t, V step) {
    return emit_div(e, emit_sub(e, step, t->p->begin), emit_i64(e, t->stages));
}

static void copy_step(struct emitter *e, const struct tile *t, V step) {
    struct emit_if more;
    struct simt_one one;
    emit_if_begin(e, &more, LLVMBuildICmp(e->builder, LLVMIntSLT, step, t->p->end, ""));
    V slot = tile_slot(e, t, step);
    copy(e, t, &t->a, step, slot);
    copy(e, t, &t->b, step, slot);
    if (t->some_in_bulk) {
        simt_one_begin(e, &one);
        tile_fetch(e, t, step);
        simt_one_end(e, &one);
    }
    emit_if_end(e, &more);
    simt_copy_commit(e);
}

/* ---- out of it ---- */

struct simt_columns tile_columns(struct emitter *e, const struct side *s, V slot, V first) {
    V bytes = emit_mul(e, slot, emit_i64(e, s->stage)), apart = emit_i64(e, s->pitch ? s->pitch : CHUNK_BYTES);
    return (struct simt_columns){s->ring, emit_add(e, bytes, emit_mul(e, first, apart)), s->pitch};
}

/* Fragments of 16 lines by two of their chunks. */
static void fragments(struct emitter *e, const struct simt_columns *m, V line, bool lines_first, V words[4]) {
    simt_load_matrix(e, m->base, simt_matrices(e, m, line, lines_first), words);
}

/* sums += the step in `slot`. */
static void multiply(struct emitter *e, const struct tile *t, V slot, V *sums) {
    int rows = t->warp_rows / MMA_ROWS, pairs = t->warp_outputs / (2 * MMA_OUTPUTS);
    V a[MOST_FRAGMENTS][4], b[MOST_FRAGMENTS][4];
    for (int k = 0; k < INPUT_PRODUCTS; k++) {
        V first = emit_i64(e, 2 * k);
        struct simt_columns from_a = tile_columns(e, &t->a, slot, first), from_b = tile_columns(e, &t->b, slot, first);
        for (int i = 0; i < rows; i++)
            fragments(e, &from_a, emit_add(e, t->row_in_tile, emit_i64(e, (int64_t)i * MMA_ROWS)), true, a[i]);
        for (int j = 0; j < pairs; j++)
            fragments(e, &from_b, emit_add(e, t->output_in_tile, emit_i64(e, (int64_t)j * 2 * MMA_OUTPUTS)), false, b[j]);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < 2 * pairs; j++)
                simt_mma(e, t->a.operand->atom, a[i], &b[j / 2][j % 2 * 2],
                         &sums[(i * 2 * pairs + j) * MMA_SUMS]);
    }
}

/* As multiply, with weights in packed tiles: a step is four blocks, one after the other, since a block takes many registers. */
static void multiply_blocks(struct emitter *e, const struct tile *t, V step, V slot, V *sums) {
    V a[MOST_FRAGMENTS][4], first = emit_mul(e, step, emit_i64(e, INPUT_PRODUCTS));
    int rows = t->warp_rows / MMA_ROWS, count = rows * (t->warp_outputs / MMA_OUTPUTS) * MMA_SUMS;
    struct emit_loop blocks;
    emit_loop_begin(e, &blocks, emit_i64(e, 0), emit_i64(e, INPUT_PRODUCTS), 1, count, sums);
    for (int i = 0; i < count; i++) sums[i] = blocks.carried[i];
    struct simt_columns from = tile_columns(e, &t->a, slot, emit_mul(e, blocks.counter, emit_i64(e, 2)));
    for (int i = 0; i < rows; i++)
        fragments(e, &from, emit_add(e, t->row_in_tile, emit_i64(e, (int64_t)i * MMA_ROWS)), true, a[i]);
    mma_blocks_add(e, &t->blocks, emit_add(e, first, blocks.counter), a, sums);
    emit_loop_end(e, &blocks, sums);
    for (int i = 0; i < count; i++) sums[i] = blocks.carried[i];
}

static void multiply_step(struct emitter *e, const struct tile *t, V step, V *sums) {
    V slot = tile_slot(e, t, step);
    if (t->p->tiles)
        multiply_blocks(e, t, step, slot, sums);
    else if (atom_info(t->p->a->atom)->unit == UNIT_group)
        tile_multiply_group(e, t, slot, sums);
    else
        multiply(e, t, slot, sums);
}

/* ---- out of tensor memory ---- */

/* A lane's row of neighbouring sums. Rows are 8 banks from each other, so that of eight lanes' 16 bytes the
 * last four would meet the banks of the first: they store each two chunks the other way round. */
static void store_columns(struct emitter *e, V column, const V words[TENSOR_LOAD],
                          const struct mma_sums *sums) {
    struct index lane = simt_lanes(e),
                 odd = index_rem_by(e, index_div_by(e, lane, 4, e->lanes), 2, e->lanes), row = lane;
    V swaps = index_vector(e, &odd, e->lanes), quarter = emit_rem(e, e->warp, emit_i64(e, 4));
    swaps = LLVMBuildICmp(e->builder, LLVMIntNE, swaps, emit_splat(e, emit_i64(e, 0), e->lanes), "");
    row = index_add(e, row, index_uniform(emit_mul(e, quarter, emit_i64(e, 32))), e->lanes);
    struct index at = index_scale_by(e, row, 4 * sums->stride, e->lanes);
    at = index_add(e, at, index_uniform(emit_mul(e, column, emit_i64(e, 4))), e->lanes);
    for (int i = 0; i < TENSOR_LOAD / CHUNK_WORDS; i++) {
        V chunk[CHUNK_WORDS];
        for (int w = 0; w < CHUNK_WORDS; w++)
            chunk[w] = LLVMBuildSelect(e->builder, swaps, words[(i ^ 1) * CHUNK_WORDS + w],
                                       words[i * CHUNK_WORDS + w], "");
        struct index other = index_scale_by(e, odd, i % 2 ? -CHUNK_BYTES : CHUNK_BYTES, e->lanes);
        other = index_add(e, other, index_constant(e, i * CHUNK_BYTES), e->lanes);
        mma_store_chunk(e, sums->to, index_add(e, at, other, e->lanes), chunk);
    }
}

/* The sums, or zeros where there was no step, into shared memory: each four warps have all rows, of a part of
 * the columns. */
static void take_sums(struct emitter *e, const struct tile *t, const struct mma_sums *sums) {
    V words[TENSOR_LOAD], share = emit_i64(e, t->b.lines / (e->block_warps / 4));
    V first = emit_mul(e, emit_div(e, e->warp, emit_i64(e, 4)), share), end = emit_add(e, first, share);
    for (int there = 0; there < 2; there++) {
        struct emit_if some;
        struct emit_loop columns;
        emit_if_begin(e, &some, LLVMBuildICmp(e->builder, there ? LLVMIntSLT : LLVMIntSGE, t->p->begin, t->p->end, ""));
        simt_tensor_after(e);
        emit_loop_begin(e, &columns, first, end, TENSOR_LOAD, 0, NULL);
        for (int i = 0; i < TENSOR_LOAD; i++) words[i] = emit_constant_like(emit_vector(e, e->i32, e->lanes), 0);
        if (there) simt_tensor_load(e, &t->p->tensor->sums, columns.counter, words);
        store_columns(e, columns.counter, words, sums);
        emit_loop_end(e, &columns, NULL);
        emit_if_end(e, &some);
    }
    simt_tensor_before(e);
}

/* ---- the tile ---- */

static enum way way_of(struct emitter *e, const struct mma_operand *o, int lines) {
    if (!o) return PAST;
    if (!o->buffer) return COMPUTED;
    if (atom_info(o->atom)->unit == UNIT_warp) return BY_LANES;
    if (o->box.map && lines % mma_box_lines(o) == 0) return IN_BOXES;
    return tile_in_columns(e, o, lines) ? IN_COLUMNS : BY_LANES;
}

static struct side side_of(struct emitter *e, const struct mma_operand *o, int lines, V ring, V first, V end) {
    enum way way = way_of(e, o, lines);
    bool swizzled = way == IN_BOXES;
    return (struct side){.operand = o,
                         .way = way,
                         .lines = lines,
                         .pitch = swizzled ? 0 : pitch_of(lines),
                         .stage = swizzled ? lines * SWIZZLE_LINE : stage_of(lines),
                         .ring = ring,
                         .first = first,
                         .last = emit_sub(e, end, emit_i64(e, 1))};
}

static void share_rows(struct emitter *e, struct tile *t) {
    t->warp_rows = MMA_ROWS;
    t->warp_outputs = t->b.lines;
    t->row_in_tile = emit_mul(e, e->warp, emit_i64(e, MMA_ROWS));
    t->output_in_tile = emit_i64(e, 0);
}

/* In how many parts across the outputs the warps share a tile: the parts are as near to squares as they can be, since a part loads its
 * rows and its outputs for each product. 0: they cannot. `together`: outputs that a warp has at least. */
static int parts_across(int rows, int outputs, int warps, int together) {
    int best = 0, least = 0;
    for (int across = 1; across <= warps; across *= 2) {
        if (warps % across || outputs % across || rows % (warps / across)) continue;
        int own_rows = rows / (warps / across), own = outputs / across;
        if (own_rows % MMA_ROWS || own % together || (best && own_rows + own >= least)) continue;
        best = across;
        least = own_rows + own;
    }
    return best;
}

static int outputs_together(bool tiles) { return tiles ? TILE_OUTPUTS : 2 * MMA_OUTPUTS; }

static void share_tile(struct emitter *e, struct tile *t) {
    int best = parts_across(t->a.lines, t->b.lines, e->block_warps, outputs_together(t->p->tiles));
    V across = emit_i64(e, best);
    t->warp_rows = t->a.lines / (e->block_warps / best);
    t->warp_outputs = t->b.lines / best;
    t->row_in_tile = emit_mul(e, emit_div(e, e->warp, across), emit_i64(e, t->warp_rows));
    t->output_in_tile = emit_mul(e, emit_rem(e, e->warp, across), emit_i64(e, t->warp_outputs));
}

/* Chunks of so many lines are shared by all lanes, each of which keeps few at a time. */
static bool lines_fit(const struct emitter *e, int lines) {
    int threads = e->lanes * e->block_warps, chunks = lines * STEP_CHUNKS;
    return chunks % threads == 0 && chunks / threads <= MOST_UNITS;
}

bool mma_tile_fits(const struct emitter *e, enum atom atom, int rows, int outputs, bool tiles) {
    enum atom_unit unit = atom_info(atom)->unit;
    int sums = rows * outputs / (e->lanes * e->block_warps);
    if (rows <= MMA_ROWS || !lines_fit(e, rows) || !(tiles || lines_fit(e, outputs))) return false;
    if (outputs / MMA_OUTPUTS * MMA_SUMS > MAX_CARRIED || (tiles && outputs > MOST_TILES * TILE_OUTPUTS)) return false; /* few rows' */
    if (unit == UNIT_block) return true;
    if (sums > MAX_CARRIED) return false;
    if (unit == UNIT_group) return e->block_warps % 4 == 0;
    int across = parts_across(rows, outputs, e->block_warps, outputs_together(tiles));
    return across && rows / (e->block_warps / across) / MMA_ROWS <= MOST_FRAGMENTS && outputs / across / (2 * MMA_OUTPUTS) <= MOST_FRAGMENTS;
}

/* The mbarriers of stages. */
static void begin_barriers(struct emitter *e, const struct tile *t) {
    if (t->some_in_bulk) simt_proxy_fence(e); /* what lay in the ring before */
    if (t->some_in_bulk) simt_mbarriers_begin(e, t->full, t->stages, 1);
    if (t->p->tensor)
        simt_mbarriers_begin(e, t->p->tensor->done, t->stages, 1);
    else if (t->all_in_bulk)
        simt_mbarriers_begin(e, t->empty, t->stages, e->block_warps);
    if (t->some_in_bulk) simt_block_barrier(e);
}

static void end_barriers(struct emitter *e, const struct tile *t) {
    if (t->some_in_bulk) simt_mbarriers_end(e, t->full, t->stages);
    if (t->p->tensor)
        simt_mbarriers_end(e, t->p->tensor->done, t->stages);
    else if (t->all_in_bulk)
        simt_mbarriers_end(e, t->empty, t->stages);
}

/* The first steps, as many as copies are under way. */
static void fill(struct emitter *e, const struct tile *t) {
    V words[MOST_UNITS][CHUNK_WORDS];
    const struct side *sides[] = {&t->a, &t->b};
    for (int i = 0; i < t->ahead; i++) copy_step(e, t, emit_add(e, t->p->begin, emit_i64(e, i)));
    for (int i = 0; i < 2; i++) {
        struct emit_if some;
        emit_if_begin(e, &some, LLVMBuildICmp(e->builder, LLVMIntSLT, t->p->begin, t->p->end, ""));
        compute(e, t, sides[i], t->p->begin, words);
        store(e, sides[i], emit_i64(e, 0), words);
        emit_if_end(e, &some);
    }
}

static void store_sums(struct emitter *e, const struct tile *t, const V *sums, const struct mma_sums *to) {
    if (t->p->tiles)
        mma_blocks_store(e, &t->blocks, sums, t->row_in_tile, t->output_in_tile, to);
    else
        mma_store_sums(e, sums, t->warp_rows, t->warp_outputs, t->row_in_tile, t->output_in_tile, to);
}

/* All steps, where lanes bring some of what is multiplied. */
static void emit_steps(struct emitter *e, const struct tile *t, int count, V *state) {
    const struct mma_product *p = t->p;
    enum atom_unit unit = atom_info(p->a->atom)->unit;
    V one = emit_i64(e, 1), a[MOST_UNITS][CHUNK_WORDS], b[MOST_UNITS][CHUNK_WORDS];
    struct emit_loop steps;
    fill(e, t);
    emit_loop_begin(e, &steps, p->begin, p->end, 1, count, state);
    for (int i = 0; i < count; i++) state[i] = steps.carried[i];
    simt_copy_wait(e, t->ahead - 1);
    if (t->some_in_bulk) tile_fetched(e, t, steps.counter);
    if (unit != UNIT_warp) simt_proxy_fence(e);
    simt_block_barrier(e);
    V later = emit_add(e, steps.counter, emit_i64(e, t->ahead));
    if (unit == UNIT_block) {
        struct simt_one first;
        simt_one_begin(e, &first);
        simt_tensor_after(e); /* the tile before was read by all warps */
        tile_multiply_block(e, t, steps.counter);
        simt_one_end(e, &first);
        tile_wait_for_stage(e, t, later);
    }
    copy_step(e, t, later);
    V next = emit_add(e, steps.counter, one), ahead = emit_min(e, next, emit_sub(e, p->end, one));
    compute(e, t, &t->a, ahead, a);
    compute(e, t, &t->b, ahead, b);
    if (unit != UNIT_block) multiply_step(e, t, steps.counter, state);
    store(e, &t->a, tile_slot(e, t, next), a);
    store(e, &t->b, tile_slot(e, t, next), b);
    if (unit == UNIT_group) simt_wgmma_wait(e, 1);
    emit_loop_end(e, &steps, state);
    for (int i = 0; i < count; i++) state[i] = steps.carried[i];
    if (unit == UNIT_group) simt_wgmma_wait(e, 0);
    for (int i = 0; unit == UNIT_block && i < t->stages; i++) tile_wait_for_stage(e, t, emit_add(e, p->end, emit_i64(e, i)));
    simt_copy_wait(e, 0);
}

/* Products that run on when they have begun still read the stages of the step before. */
static struct tile plan_tile(struct emitter *e, const struct mma_product *p, int stages, V ring, V barriers) {
    bool asynchronous = atom_info(p->a->atom)->unit != UNIT_warp;
    struct tile t = {.p = p, .stages = stages, .ahead = asynchronous ? stages - 2 : stages - 1};
    V b_ring = emit_offset(e, ring, emit_i64(e, ring_of(p->rows, stages)));
    t.a = side_of(e, p->a, p->rows, ring, p->row, p->rows_end);
    t.b = side_of(e, p->b, p->outputs, b_ring, p->output, mma_lines(e, p->b ? p->b : p->a));
    t.some_in_bulk = t.a.way >= IN_COLUMNS || t.b.way >= IN_COLUMNS;
    t.all_in_bulk = t.a.way >= IN_COLUMNS && t.b.way >= IN_COLUMNS;
    t.full = barriers;
    t.empty = simt_mbarrier(e, barriers, emit_i64(e, stages));
    return t;
}

void emit_mma_tile(struct emitter *e, const struct mma_product *p, int stages, V ring, V barriers,
                   const struct mma_sums *sums) {
    enum atom_unit unit = atom_info(p->a->atom)->unit;
    if (!mma_tile_fits(e, p->a->atom, p->rows, p->outputs, p->tiles != NULL)) ice("no tile of %d x %d", p->rows, p->outputs);
    struct tile t = plan_tile(e, p, stages, ring, barriers);
    if (unit != UNIT_block) (unit == UNIT_group ? share_rows : share_tile)(e, &t);
    if (p->tiles)
        mma_blocks_begin(e, p, t.warp_rows, t.warp_outputs, emit_add(e, p->row, t.row_in_tile),
                         emit_add(e, p->output, t.output_in_tile), &t.blocks);
    int count = t.warp_rows / MMA_ROWS * (t.warp_outputs / MMA_OUTPUTS) * MMA_SUMS;
    V state[MAX_CARRIED];
    for (int i = 0; i < count; i++) state[i] = emit_splat(e, emit_f32(e, 0), e->lanes);
    begin_barriers(e, &t);
    (t.all_in_bulk ? tile_pipeline : emit_steps)(e, &t, count, state);
    simt_block_barrier(e);
    if (unit == UNIT_block)
        take_sums(e, &t, sums);
    else
        store_sums(e, &t, state, sums);
    simt_block_barrier(e);
    end_barriers(e, &t);
}
