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
 * what copies fill is two steps behind, not one.
 *
 * What has to be computed, or rounded, on its way into shared memory is loaded before the products of the
 * step before and stored behind them. Weights in packed tiles go past the ring, into fragments. (Stages:
 * CUTLASS's multistage mainloop; 16-byte copies past L1: PTX ISA, cp.async.cg.) */
#include "backend/simt.h"
#include "backend/simt_blocks.h"

enum { MOST_UNITS = 16, MOST_FRAGMENTS = 32, INPUT_PRODUCTS = STEP_CHUNKS / 2 /* atoms take two chunks */ };

typedef LLVMValueRef V;

struct side { /* an operand in the ring */
    const struct mma_operand *operand; /* NULL: it goes past the ring */
    int lines;            /* of the tile */
    int64_t pitch, stage; /* bytes of a column, of a stage */
    V ring;
    V first, last; /* of the lines: the tile's first, the last that there is */
};
struct tile {
    const struct mma_product *p;
    int stages, ahead; /* ahead: steps whose copies are under way; a group's products of the step before still
                          read theirs */
    struct side a, b;
    struct mma_bulk bulk;          /* of B, if `in_bulk` */
    bool in_bulk;
    int warp_rows, warp_outputs;   /* of a warp's part */
    V row_in_tile, output_in_tile; /* where it begins */
    struct mma_blocks blocks;      /* of a product with packed tiles */
};

static int64_t pitch_of(int lines) { return (int64_t)(lines + 1) * CHUNK_BYTES; }
static int64_t stage_of(int lines) { return !lines ? 0 : (STEP_CHUNKS * pitch_of(lines) + 127) / 128 * 128; }

int64_t mma_ring_bytes(int rows, int outputs, int stages) {
    return stages * (stage_of(rows) + stage_of(outputs));
}

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
    for (int i = 0; s->operand && s->operand->buffer && i < units_of(e, s); i++) {
        struct unit u = unit_of(e, s, i);
        mma_copy_chunk(e, s->operand, t->p->at, line_of(e, s, &u), chunk_of(e, &u, step), s->ring,
                       place_in_ring(e, s, &u, slot));
    }
}

static void compute(struct emitter *e, const struct tile *t, const struct side *s, V step,
                    V (*words)[CHUNK_WORDS]) {
    for (int i = 0; s->operand && !s->operand->buffer && i < units_of(e, s); i++) {
        struct unit u = unit_of(e, s, i);
        mma_chunk(e, s->operand, t->p->at, line_of(e, s, &u), chunk_of(e, &u, step), words[i]);
    }
}

static void store(struct emitter *e, const struct side *s, V slot, V (*words)[CHUNK_WORDS]) {
    for (int i = 0; s->operand && !s->operand->buffer && i < units_of(e, s); i++) {
        struct unit u = unit_of(e, s, i);
        mma_store_chunk(e, s->ring, place_in_ring(e, s, &u, slot), words[i]);
    }
}

static V slot_of(struct emitter *e, const struct tile *t, V step) {
    return emit_rem(e, emit_sub(e, step, t->p->begin), emit_i64(e, t->stages));
}

static void copy_step(struct emitter *e, const struct tile *t, V step) {
    struct emit_if more;
    emit_if_begin(e, &more, LLVMBuildICmp(e->builder, LLVMIntSLT, step, t->p->end, ""));
    V slot = slot_of(e, t, step);
    copy(e, t, &t->a, step, slot);
    if (t->in_bulk)
        mma_bulk_copy(e, &t->bulk, step, slot);
    else
        copy(e, t, &t->b, step, slot);
    emit_if_end(e, &more);
    simt_copy_commit(e);
}

/* ---- out of it ---- */

/* A side's columns in a stage, from chunk `first` (i64) on. */
static struct simt_columns columns_of(struct emitter *e, const struct side *s, V slot, V first) {
    V bytes = emit_mul(e, slot, emit_i64(e, s->stage));
    return (struct simt_columns){s->ring, emit_add(e, bytes, emit_mul(e, first, emit_i64(e, s->pitch))), s->pitch};
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
        struct simt_columns from_a = columns_of(e, &t->a, slot, first), from_b = columns_of(e, &t->b, slot, first);
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

/* The same by groups of four warps, each of 64 rows; begun, not done. */
static void multiply_group(struct emitter *e, const struct tile *t, V slot, V *sums) {
    V group = emit_mul(e, emit_div(e, e->warp, emit_i64(e, 4)), emit_i64(e, 64 * CHUNK_BYTES));
    simt_wgmma_begin(e);
    for (int k = 0; k < INPUT_PRODUCTS; k++) {
        struct simt_columns a = columns_of(e, &t->a, slot, emit_i64(e, 2 * k)), b = columns_of(e, &t->b, slot, emit_i64(e, 2 * k));
        a.bytes = emit_add(e, a.bytes, group);
        simt_wgmma(e, t->a.operand->atom, t->b.lines, &a, &b, sums);
    }
    simt_wgmma_commit(e);
}

/* As multiply, with weights in packed tiles: a step is four blocks, one after the other, since a block takes many registers. */
static void multiply_blocks(struct emitter *e, const struct tile *t, V step, V slot, V *sums) {
    V a[MOST_FRAGMENTS][4], first = emit_mul(e, step, emit_i64(e, INPUT_PRODUCTS));
    int rows = t->warp_rows / MMA_ROWS, count = rows * (t->warp_outputs / MMA_OUTPUTS) * MMA_SUMS;
    struct emit_loop blocks;
    emit_loop_begin(e, &blocks, emit_i64(e, 0), emit_i64(e, INPUT_PRODUCTS), 1, count, sums);
    for (int i = 0; i < count; i++) sums[i] = blocks.carried[i];
    struct simt_columns from = columns_of(e, &t->a, slot, emit_mul(e, blocks.counter, emit_i64(e, 2)));
    for (int i = 0; i < rows; i++)
        fragments(e, &from, emit_add(e, t->row_in_tile, emit_i64(e, (int64_t)i * MMA_ROWS)), true, a[i]);
    mma_blocks_add(e, &t->blocks, emit_add(e, first, blocks.counter), a, sums);
    emit_loop_end(e, &blocks, sums);
    for (int i = 0; i < count; i++) sums[i] = blocks.carried[i];
}

static void multiply_step(struct emitter *e, const struct tile *t, V step, V *sums) {
    V slot = slot_of(e, t, step);
    if (t->p->tiles)
        multiply_blocks(e, t, step, slot, sums);
    else if (atom_info(t->p->a->atom)->unit == UNIT_group)
        multiply_group(e, t, slot, sums);
    else
        multiply(e, t, slot, sums);
}

/* ---- by one thread, into tensor memory ---- */

static V done(struct emitter *e, const struct tile *t, V slot) {
    return simt_mbarrier(e, t->p->tensor->done, slot);
}

/* A step's products begin. */
static void multiply_block(struct emitter *e, const struct tile *t, V step) {
    struct simt_one one;
    V slot = slot_of(e, t, step), adds = LLVMBuildICmp(e->builder, LLVMIntNE, step, t->p->begin, "");
    simt_one_begin(e, &one);
    simt_tensor_after(e); /* the tile before was read by all warps */
    for (int k = 0; k < INPUT_PRODUCTS; k++) {
        struct simt_columns a = columns_of(e, &t->a, slot, emit_i64(e, 2 * k)), b = columns_of(e, &t->b, slot, emit_i64(e, 2 * k));
        simt_tcgen05(e, t->a.operand->atom, t->b.lines, &a, &b, &t->p->tensor->sums,
                     k ? LLVMConstAllOnes(e->i1) : adds);
    }
    simt_tcgen05_commit(e, done(e, t, slot));
    simt_one_end(e, &one);
}

/* Until the stage of `step` is free: what was multiplied there a ring before, if anything was, is done. */
static void wait_for_stage(struct emitter *e, const struct tile *t, V step) {
    V round = emit_div(e, emit_sub(e, step, t->p->begin), emit_i64(e, t->stages));
    simt_mbarrier_wait(e, done(e, t, slot_of(e, t, step)), emit_sub(e, round, emit_i64(e, 1)));
}

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
        for (int i = 0; there && i < t->stages; i++)
            wait_for_stage(e, t, emit_add(e, t->p->end, emit_i64(e, i)));
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

static struct side side_of(struct emitter *e, const struct mma_operand *o, int lines, V ring, V first,
                           V end) {
    return (struct side){
        o, lines, pitch_of(lines), stage_of(lines), ring, first, emit_sub(e, end, emit_i64(e, 1))};
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

/* B in bulk, if it can be had so and the products read past the caches of threads, as those copies write. */
static void plan_bulk(struct emitter *e, struct tile *t, V barriers) {
    t->in_bulk = barriers && mma_bulk_suits(e, t->b.operand, t->b.lines);
    t->bulk = (struct mma_bulk){t->b.operand, t->p->at,  t->b.lines, t->stages, t->b.pitch,
                                t->b.stage,   t->b.ring, t->b.first, barriers};
    if (!t->in_bulk) return;
    simt_proxy_fence(e); /* what lay in the ring before */
    simt_mbarriers_begin(e, barriers, t->stages);
    simt_block_barrier(e);
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

void emit_mma_tile(struct emitter *e, const struct mma_product *p, int stages, V ring, V barriers,
                   const struct mma_sums *sums) {
    V one = emit_i64(e, 1), b_ring = emit_offset(e, ring, emit_i64(e, stages * stage_of(p->rows)));
    enum atom_unit unit = atom_info(p->a->atom)->unit;
    bool group = unit == UNIT_group, block = unit == UNIT_block;
    bool asynchronous = group || block; /* products run on when they have begun */
    struct tile t = {.p = p, .stages = stages, .ahead = asynchronous ? stages - 2 : stages - 1};
    t.a = side_of(e, p->a, p->rows, ring, p->row, p->rows_end);
    t.b = side_of(e, p->b, p->outputs, b_ring, p->output, mma_lines(e, p->b ? p->b : p->a));
    if (!block) (group ? share_rows : share_tile)(e, &t);
    if (p->tiles)
        mma_blocks_begin(e, p, t.warp_rows, t.warp_outputs, emit_add(e, p->row, t.row_in_tile),
                         emit_add(e, p->output, t.output_in_tile), &t.blocks);
    int count = t.warp_rows / MMA_ROWS * (t.warp_outputs / MMA_OUTPUTS) * MMA_SUMS;
    V state[MAX_CARRIED], a[MOST_UNITS][CHUNK_WORDS], b[MOST_UNITS][CHUNK_WORDS];
    if (!mma_tile_fits(e, p->a->atom, p->rows, p->outputs, p->tiles != NULL)) ice("no tile of %d x %d", p->rows, p->outputs);
    plan_bulk(e, &t, asynchronous ? barriers : NULL);
    if (block) simt_mbarriers_begin(e, p->tensor->done, stages);
    fill(e, &t);
    for (int i = 0; i < count; i++) state[i] = emit_splat(e, emit_f32(e, 0), e->lanes);
    struct emit_loop steps;
    emit_loop_begin(e, &steps, p->begin, p->end, 1, count, state);
    for (int i = 0; i < count; i++) state[i] = steps.carried[i];
    simt_copy_wait(e, t.ahead - 1);
    if (t.in_bulk) mma_bulk_wait(e, &t.bulk, emit_sub(e, steps.counter, p->begin), slot_of(e, &t, steps.counter));
    if (asynchronous) simt_proxy_fence(e);
    simt_block_barrier(e);
    V later = emit_add(e, steps.counter, emit_i64(e, t.ahead));
    if (block) {
        multiply_block(e, &t, steps.counter);
        wait_for_stage(e, &t, later);
    }
    copy_step(e, &t, later);
    V next = emit_add(e, steps.counter, one), ahead = emit_min(e, next, emit_sub(e, p->end, one));
    compute(e, &t, &t.a, ahead, a);
    compute(e, &t, &t.b, ahead, b);
    if (!block) multiply_step(e, &t, steps.counter, state);
    store(e, &t.a, slot_of(e, &t, next), a);
    store(e, &t.b, slot_of(e, &t, next), b);
    if (group) simt_wgmma_wait(e, 1);
    emit_loop_end(e, &steps, state);
    if (group) simt_wgmma_wait(e, 0);
    simt_copy_wait(e, 0);
    simt_block_barrier(e);
    if (t.in_bulk) simt_mbarriers_end(e, barriers, stages);
    if (block)
        take_sums(e, &t, sums);
    else
        store_sums(e, &t, steps.carried, sums);
    simt_block_barrier(e);
    if (block) simt_mbarriers_end(e, p->tensor->done, stages);
}
