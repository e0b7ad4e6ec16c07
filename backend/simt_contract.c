/* Contractions on a GPU: a thread block makes a tile of rows by outputs at a time. Its warps share the inputs
 * of a tile of FMAs or dp4a, and of few rows by tensor cores, and add up what they have in shared memory; of
 * many rows by tensor cores each makes a part of the tile over all inputs. Then the warps share the tile's
 * rows. */
#include "backend/contract.h"
#include "backend/simt.h"
#include "backend/simt_blocks.h"

enum {
    STRIPS_TOGETHER = 8, /* whose tiles follow each other, so that what runs at a time is near to a square and
                            finds operands in L2 */
    LANES_ROWS = 4,      /* of a tile that lanes make of floats, up to MMA_ROWS */
    DEFAULT_STAGES = 3,
    MOST_STAGES = 8
};

typedef LLVMValueRef V;

static int stages_of(const struct emitter *e) {
    return e->kernel->schedule->stages ? e->kernel->schedule->stages : DEFAULT_STAGES;
}

bool simt_schedule_fits(struct emitter *e) {
    const struct schedule *s = e->kernel->schedule;
    enum atom_unit unit = atom_info(s->atom)->unit;
    bool group = unit != UNIT_warp;
    int capability = unit == UNIT_group ? 90 : 100;
    int rows = MMA_ROWS * e->block_warps;
    int most = group ? 256 : 128, least = group ? 3 : 2;
    if (group && e->target->capability != capability) {
        emit_error(e, e->kernel->loc,
                   "schedule: %s has no %s: sm_%da has; mma_bf16 and mma_f16 are everywhere", e->target->cpu,
                   atom_info(s->atom)->name, capability);
        return false;
    }
    if (unit == UNIT_block && rows != TENSOR_ROWS) {
        emit_error(e, e->kernel->loc, "schedule: %s is for blocks of %d warps, not %d",
                   atom_info(s->atom)->name, TENSOR_ROWS / MMA_ROWS, e->block_warps);
        return false;
    }
    bool good = e->target->simt && s->tile[0] >= rows && s->tile[0] % rows == 0 && s->tile[0] <= 4 * rows &&
                s->tile[1] >= e->lanes && s->tile[1] % e->lanes == 0 && s->tile[1] <= most &&
                stages_of(e) >= least && stages_of(e) <= MOST_STAGES && !(group && s->tile[0] != rows);
    if (!good)
        emit_error(e, e->kernel->loc,
                   "schedule: tile=[%d, %d] is not %d%s rows by a multiple of %d outputs, at most %d, in %d "
                   "to %d stages",
                   s->tile[0], s->tile[1], rows, group ? "" : " or a multiple of", e->lanes, most, least,
                   MOST_STAGES);
    return good;
}

bool simt_tile_fits(struct emitter *e, const struct group *g) {
    enum atom atom = e->kernel->schedule->atom;
    if (!g->mma || mma_tile_fits(e, atom, g->tile_rows, (int)g->block_outputs, g->tiles)) return true;
    emit_error(e, e->kernel->loc,
               "schedule: %d warps cannot make tiles of %d x %lld by %s: 8 warps make 128 rows by up to 128 "
               "outputs, multiples of 32",
               e->block_warps, g->tile_rows, (long long)g->block_outputs, atom_info(atom)->name);
    return false;
}

/* ---- shared memory ---- */

/* Of the fewer rows that warps share the inputs of. */
static int few_rows(const struct group *g) { return g->mma ? MMA_ROWS : g->tile_rows; }

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* Tensor memory for the widest tile, and an mbarrier a stage. */
static const struct mma_tensor *take_tensor(struct emitter *e, const struct group *groups, int count) {
    struct mma_tensor *t = arena_new_object(e->arena, struct mma_tensor);
    int64_t columns = 0;
    for (int i = 0; i < count; i++) columns = most(columns, groups[i].block_outputs);
    t->sums = simt_tensor_begin(e, (int)columns);
    t->done = simt_shared(e, (int64_t)stages_of(e) * MBARRIER_BYTES);
    return t;
}

/* Tiles and what they are made in, in shared memory: groups follow each other, so they share it. The last tile may lie where it is made
 * from. */
static void place_tiles(struct emitter *e, struct group *groups, int count) {
    int64_t tiles[MAX_ANCHORS] = {0}, work = 0;
    for (int i = 0; i < count; i++) {
        struct group *g = &groups[i];
        int64_t row = 4 * g->stride, tile = g->tile_rows * row;
        work = most(work, e->block_warps * few_rows(g) * row);
        if (g->mma)
            work = most(work, most(tile, mma_ring_bytes(g->tile_rows, g->tiles ? 0 : (int)g->block_outputs,
                                                        stages_of(e))));
        for (int k = 0; k < g->count - (g->mma ? 1 : 0); k++) tiles[k] = most(tiles[k], tile);
    }
    V all = simt_shared_aligned(e, work, e->maps_count ? SWIZZLE_ALIGN : MDL_ALIGN),
      places[MAX_ANCHORS] = {NULL};
    for (int k = 0; k < MAX_ANCHORS && tiles[k]; k++) places[k] = simt_shared(e, tiles[k]);
    V barriers = simt_shared(e, 2 * MOST_STAGES * MBARRIER_BYTES);
    bool block = atom_info(e->kernel->schedule->atom)->unit == UNIT_block;
    const struct mma_tensor *tensor = block ? take_tensor(e, groups, count) : NULL;
    for (int i = 0; i < count; i++) {
        groups[i].work = all;
        groups[i].barriers = barriers;
        groups[i].tensor = tensor;
        for (int k = 0; k < groups[i].count; k++)
            groups[i].anchors[k]->tile = groups[i].mma && k == groups[i].count - 1 ? all : places[k];
    }
}

V simt_own_sums(struct emitter *e, const struct group *g, int rows) {
    return emit_offset(e, g->work, emit_mul(e, e->warp, emit_i64(e, 4 * rows * g->stride)));
}

/* In the warps' order. Where the tile lies over the warps' sums, the sums of all must be read before. */
void simt_join_warps(struct emitter *e, const struct group *g, const struct anchor *a, int rows, V first,
                     int64_t width) {
    struct emit_loop row, column;
    simt_block_barrier(e);
    emit_loop_begin(e, &row, e->warp, emit_i64(e, rows), e->block_warps, 0, NULL);
    emit_loop_begin(e, &column, first, emit_add(e, first, emit_i64(e, width)), e->lanes, 0, NULL);
    V total = NULL, part = contract_sums_at(e, g, g->work, row.counter, column.counter);
    for (int w = 0; w < e->block_warps; w++) {
        V at = emit_offset(e, part, emit_i64(e, 4 * w * rows * g->stride));
        V sum = emit_load_lanes(e, e->f32, at, e->lanes, NULL);
        total = total ? LLVMBuildFAdd(e->builder, total, sum, "") : sum;
    }
    emit_store_lanes(e, total, contract_sums_at(e, g, a->tile, row.counter, column.counter), NULL);
    emit_loop_end(e, &column, NULL);
    emit_loop_end(e, &row, NULL);
    simt_block_barrier(e);
}

V simt_sharers(struct emitter *e, const struct group *g) {
    V warps = emit_i64(e, e->block_warps);
    return g->split.parts ? emit_mul(e, g->split.parts, warps) : warps;
}

V simt_sharer(struct emitter *e, const struct group *g) {
    return g->split.parts ? emit_add(e, emit_mul(e, g->split.part, emit_i64(e, e->block_warps)), e->warp)
                          : e->warp;
}

/* ---- a tile ---- */

/* The warps share the inputs. */
static void multiply_few(struct emitter *e, const struct group *g, const struct anchor *a,
                         struct mma_product *p) {
    int chunks = g->tiles ? TILE_INPUTS / CHUNK_BYTES : MMA_GROUP_CHUNKS;
    V groups = emit_div_up(e, mma_chunks(e, &a->panels.c, a->a.atom), emit_i64(e, chunks));
    V share = emit_div_up(e, groups, simt_sharers(e, g));
    p->begin = emit_min(e, emit_mul(e, simt_sharer(e, g), share), groups);
    p->end = emit_min(e, emit_add(e, p->begin, share), groups);
    struct mma_sums sums = {simt_own_sums(e, g, p->rows), g->stride};
    (g->tiles ? emit_mma_few_blocks : emit_mma_few)(e, p, &sums);
    simt_join_warps(e, g, a, p->rows, emit_i64(e, 0), g->block_outputs);
}

static void multiply(struct emitter *e, const struct group *g, const struct anchor *a, int rows, V row,
                     const struct strip *s, struct index *at) {
    struct mma_product p = {.a = &a->a,
                            .b = g->tiles ? NULL : &a->b,
                            .tiles = g->tiles ? &a->panels : NULL,
                            .at = at,
                            .rows = rows,
                            .outputs = (int)g->block_outputs,
                            .row = row,
                            .rows_end = s->end,
                            .output = s->block,
                            .tensor = g->tensor};
    if (rows == MMA_ROWS) {
        multiply_few(e, g, a, &p);
        return;
    }
    p.begin = emit_i64(e, 0);
    p.end = emit_div_up(e, mma_chunks(e, &a->panels.c, a->a.atom), emit_i64(e, STEP_CHUNKS));
    struct mma_sums sums = {a->tile, g->stride};
    emit_mma_tile(e, &p, stages_of(e), g->work, g->barriers, &sums);
}

/* ---- a thread block's share ---- */

/* Rows from .. stop in tiles of `rows`. */
static void tiles_of_rows(struct emitter *e, struct group *g, int rows, V from, V stop, const struct strip *s,
                          struct index *at) {
    struct emit_loop tiles;
    struct emit_if last;
    bool joins = g->split.parts && rows == simt_split_rows(g);
    emit_loop_begin(e, &tiles, from, stop, rows, 0, NULL);
    if (g->mma && rows >= MMA_ROWS)
        for (int i = 0; i < g->count; i++) multiply(e, g, g->anchors[i], rows, tiles.counter, s, at);
    else
        contract_multiply(e, g, rows, tiles.counter, s, at);
    if (joins) simt_join_parts_begin(e, g, &last);
    contract_finish_rows(e, g, emit_i64(e, rows), tiles.counter, s, at);
    if (joins) emit_if_end(e, &last);
    emit_loop_end(e, &tiles, NULL);
}

/* One row has a tile of its own; for tensor cores up to MMA_ROWS have, and one only of weights in packed tiles, which are too much
 * work to make fragments of for few rows, but for codes. Of more the last tile is not filled. */
static void few_or_many(struct emitter *e, struct group *g, const struct strip *s, struct index *at) {
    int sizes[] = {1, g->by_lanes && !g->tiles ? LANES_ROWS : MMA_ROWS}, most[] = {1, MMA_ROWS};
    V count = emit_sub(e, s->end, s->begin), from = s->begin;
    for (int i = g->mma && !g->by_lanes ? 1 : 0; i < (g->mma ? 2 : 1); i++) {
        V is_few = LLVMBuildICmp(e->builder, LLVMIntSLE, count, emit_i64(e, most[i]), "");
        V to = LLVMBuildSelect(e->builder, is_few, s->end, s->begin, "");
        tiles_of_rows(e, g, sizes[i], from, to, s, at);
        from = to;
    }
    if (g->tile_rows > few_rows(g) || !g->mma) tiles_of_rows(e, g, g->tile_rows, from, s->end, s, at);
}

/* Pair `number`: of STRIPS_TOGETHER strips, all with a block of outputs before the next block. */
static void find_pair(struct emitter *e, const struct shape *s, V number, V *strip, V *block) {
    V one = emit_i64(e, 1), together = emit_i64(e, STRIPS_TOGETHER);
    V pairs = emit_mul(e, together, emit_max(e, s->output_blocks, one));
    V first = emit_mul(e, emit_div(e, number, pairs), together), within = emit_rem(e, number, pairs);
    V strips = emit_max(e, emit_min(e, together, emit_sub(e, s->strips, first)), one);
    *strip = emit_add(e, first, emit_rem(e, within, strips));
    *block = emit_div(e, within, strips);
}

/* Of the rows that lanes may make, where tensor cores make more. */
static V few_end(struct emitter *e, const struct strip *s) {
    V count = emit_sub(e, s->end, s->begin);
    V is_few = LLVMBuildICmp(e->builder, LLVMIntSLE, count, emit_i64(e, MMA_ROWS), "");
    return LLVMBuildSelect(e->builder, is_few, s->end, s->begin, "");
}

/* The block's share of a group's `total` pairs, or parts of them, whose first has number `first` in the kernel: those that have the
 * block's number, counted by blocks. So what runs at a time are neighbours, and shares differ by one at most. */
static void lower_group(struct emitter *e, struct group *g, const struct shape *s, V first, V total) {
    struct index at[MAX_LOOPS] = {0};
    struct emit_loop shares;
    struct strip strip;
    V strip_number, block, tile = g->split.tile;
    V from =
        emit_rem(e, emit_sub(e, emit_add(e, e->block, e->blocks), emit_rem(e, first, e->blocks)), e->blocks);
    V count = emit_div_up(e, emit_max(e, emit_sub(e, total, from), emit_i64(e, 0)), e->blocks);
    emit_loop_begin(e, &shares, emit_i64(e, 0), count, 1, 0, NULL);
    V number = emit_add(e, from, emit_mul(e, shares.counter, e->blocks));
    V pair = g->split.parts ? emit_div(e, number, g->split.parts) : number;
    if (g->split.parts) g->split.part = emit_rem(e, number, g->split.parts);
    g->split.tile = emit_add(e, tile, pair);
    find_pair(e, s, pair, &strip_number, &block);
    contract_strip(e, g, s, strip_number, block, emit_i64(e, 1), at, &strip);
    V rows_end = g->mma ? few_end(e, &strip) : strip.end;
    for (int i = 0; i < g->count && (!g->mma || g->by_lanes); i++) {
        panels_stage_rows(e, &g->anchors[i]->panels, strip.begin, rows_end, at);
        panels_pack_outputs(e, &g->anchors[i]->panels, strip.block, strip.block_end, at);
    }
    few_or_many(e, g, &strip, at);
    emit_loop_end(e, &shares, NULL);
}

void simt_lower_groups(struct emitter *e, struct group *groups, const struct shape *shapes, int count,
                       V total) {
    V before = emit_i64(e, 0);
    place_tiles(e, groups, count);
    V parts = simt_parts(e, groups, count, shapes[0].rows, total);
    for (int i = 0; i < count; i++) {
        groups[i].split.tile = before;
        lower_group(e, &groups[i], &shapes[i], emit_mul(e, before, parts),
                    emit_mul(e, shapes[i].total, parts));
        before = emit_add(e, before, shapes[i].total);
    }
    if (groups->tensor) simt_tensor_end(e, &groups->tensor->sums);
}
