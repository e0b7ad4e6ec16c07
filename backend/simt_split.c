/* Few rows on a GPU whose tiles are fewer than it has blocks for: the inputs of a tile are split in parts, a
 * block's each, whose sums the last block adds up in the parts' order, and finishes (simt_join.h). Stream-K's
 * special case of equal shares: Osama et al., arXiv 2301.03598, "split-K". */
#include "backend/contract.h"
#include "backend/simt.h"
#include "backend/simt_join.h"

typedef LLVMValueRef V;

/* Tiles of one row, of tensor cores MMA_ROWS: what few_or_many makes apart. */
int simt_split_rows(const struct group *g) { return g->mma && !g->by_lanes ? MMA_ROWS : 1; }

static int64_t tile_elements(const struct group *g) { return simt_split_rows(g) * g->block_outputs; }

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

V simt_parts(struct emitter *e, struct group *groups, int count, V rows, V tiles) {
    int64_t most = INT64_MAX, few = INT64_MAX, elements = 1;
    V one = emit_i64(e, 1);
    for (int i = 0; i < count; i++) {
        int64_t here = groups[i].count * tile_elements(&groups[i]);
        few = least(few, simt_split_rows(&groups[i]));
        if (here > elements) elements = here;
        for (int k = 0; k < groups[i].count; k++)
            most = least(most, contraction_parts(e->kernel->schedule, &groups[i].anchors[k]->panels.c));
    }
    if (most == 1) return one;
    simt_reserve_parts(e, elements * 4);
    V parts = emit_max(e, emit_div(e, e->blocks, emit_max(e, tiles, one)), one);
    V is_few = LLVMBuildICmp(e->builder, LLVMIntSLE, rows, emit_i64(e, few), "");
    parts = LLVMBuildSelect(e->builder, is_few, emit_min(e, parts, emit_i64(e, most)), one, "parts");
    for (int i = 0; i < count; i++) groups[i].split.parts = parts;
    return parts;
}

/* Element (row, column) of anchor `k` of a part. */
static V in_part(struct emitter *e, const struct group *g, V part, int k, V row, V column) {
    V at = emit_add(e, emit_mul(e, row, emit_i64(e, g->block_outputs)), column);
    return emit_offset(e, part,
                       emit_mul(e, emit_add(e, at, emit_i64(e, k * tile_elements(g))), emit_i64(e, 4)));
}

/* All elements of the tiles, a warp a row. */
typedef void each_element(struct emitter *e, const struct group *g, V part, int k, V row, V column);
static void for_elements(struct emitter *e, const struct group *g, V part, each_element *each) {
    for (int k = 0; k < g->count; k++) {
        struct emit_loop row, column;
        emit_loop_begin(e, &row, e->warp, emit_i64(e, simt_split_rows(g)), e->block_warps, 0, NULL);
        emit_loop_begin(e, &column, emit_i64(e, 0), emit_i64(e, g->block_outputs), e->lanes, 0, NULL);
        each(e, g, part, k, row.counter, column.counter);
        emit_loop_end(e, &column, NULL);
        emit_loop_end(e, &row, NULL);
    }
}

static void put(struct emitter *e, const struct group *g, V part, int k, V row, V column) {
    V sum =
        emit_load_lanes(e, e->f32, contract_sums_at(e, g, g->anchors[k]->tile, row, column), e->lanes, NULL);
    emit_store_lanes(e, sum, in_part(e, g, part, k, row, column), NULL);
}

/* `first`: number of the tile's first part. */
static void add_up(struct emitter *e, const struct group *g, V first, int k, V row, V column) {
    struct emit_loop parts;
    V total = emit_splat(e, emit_f32(e, 0), e->lanes);
    emit_loop_begin(e, &parts, emit_i64(e, 0), g->split.parts, 1, 1, &total);
    V part = simt_part(e, emit_add(e, first, parts.counter));
    V sum = emit_load_lanes(e, e->f32, in_part(e, g, part, k, row, column), e->lanes, NULL);
    total = LLVMBuildFAdd(e->builder, parts.carried[0], sum, "");
    emit_loop_end(e, &parts, &total);
    emit_store_lanes(e, parts.carried[0], contract_sums_at(e, g, g->anchors[k]->tile, row, column), NULL);
}

static void if_several(struct emitter *e, const struct group *g, V first, V part, each_element *each) {
    struct emit_if several;
    emit_if_begin(e, &several, LLVMBuildICmp(e->builder, LLVMIntSGT, g->split.parts, emit_i64(e, 1), ""));
    for_elements(e, g, part ? simt_part(e, emit_add(e, first, part)) : first, each);
    if (!part) simt_block_barrier(e);
    emit_if_end(e, &several);
}

void simt_join_parts_begin(struct emitter *e, const struct group *g, struct emit_if *last) {
    V first = emit_mul(e, g->split.tile, g->split.parts);
    if_several(e, g, first, g->split.part, put);
    emit_if_begin(e, last, simt_is_last(e, g->split.tile, g->split.parts));
    if_several(e, g, first, NULL, add_up);
}
