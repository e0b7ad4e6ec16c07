/* Kernels of domain `contract`: register tiles over blocks of rows and outputs, then the epilogue, row by
 * row, while the tile is in L1.
 *
 *     for strip in outer x row blocks:          a thread's share: consecutive (strip, output block) pairs
 *         [copy the strip's rows of A]          only where they do not lie right
 *         for block of outputs:
 *             [pack B; for many rows, unpack weights in blocks]
 *             for tile of rows:                 MR rows, or fewer, first, for what they leave
 *                 for panel in block:  tile of C = A x B, for each anchor
 *                 for row in tile:     row program      bias, activation, residual, rope, quantise, store
 *
 * On a GPU lanes are threads, and a thread block takes the place of a thread: its warps share the inputs of
 * each tile, add up what they have in shared memory, where the finished tile is, and share the tile's rows.
 *
 * Anchors whose products meet in one result (gate and up) share a tile; anchors that only share their input
 * (q, k, v) follow each other, without a barrier between. */
#include "backend/amx.h"
#include "backend/contract.h"
#include "backend/simt.h"
#include "ir/number.h"

/* Threads have rows of their own where there are enough of them, else share blocks of outputs, which are small so that
 * shares are even; finishing rows of several blocks at once keeps the row program's own overhead small. */
enum {
    DEFAULT_BLOCK_ROWS = 96,
    OUTPUTS_AT_ONCE = 128,
    LEAST_SHARE = 4,  /* pairs of a thread, so that one more makes little difference */
    LEAST_TILES = 16, /* in a block of rows that is made for a thread's sake */
    UNPACKED_ROWS =
        8, /* from so many rows on it pays to unpack weights in blocks once, rather than in each tile */
    MOST_UNPACKED_ROWS = 11, /* whose addresses x86's general registers hold */
    MMA_PADDING = 8,   /* floats behind a row of a tile, so that lanes that store eight rows use all banks of
                          shared memory */
    BLOCKS_PADDING = 4 /* the same of two rows in chunks of 16 bytes */
};

static LLVMValueRef extent_of(struct emitter *e, const struct anchor *a, int loop) {
    return emit_extent(e, a->panels.c.map->loops[loop].extent);
}

static LLVMValueRef outputs_of(struct emitter *e, const struct group *g) {
    return extent_of(e, g->anchors[0], g->anchors[0]->panels.c.outputs);
}

/* ---- which anchors go together ---- */

/* Marks in `seen` [graph's nodes] what v is computed from. */
static void mark_origins(const struct value *v, bool *seen) {
    const struct node *n = v->def;
    if (!n || seen[n->id]) return;
    seen[n->id] = true;
    for (int i = 0; i < n->operands_count; i++)
        if (n->operands[i]) mark_origins(n->operands[i], seen);
}

/* Of each result of the kernel [results], what it is computed from [graph's nodes]. */
static bool **origins_of_results(struct emitter *e) {
    const struct block *body = e->kernel->body;
    bool **origins = arena_new_array(e->arena, bool *, (size_t)body->results_count);
    for (int i = 0; i < body->results_count; i++) {
        origins[i] = arena_new_array(e->arena, bool, (size_t)e->graph->nodes);
        mark_origins(body->results[i], origins[i]);
    }
    return origins;
}

/* Whether some result of the kernel needs both. */
static bool meet(const struct emitter *e, bool **origins, const struct value *a, const struct value *b) {
    for (int i = 0; i < e->kernel->body->results_count; i++)
        if (origins[i][a->def->id] && origins[i][b->def->id]) return true;
    return false;
}

static struct group *group_for(struct emitter *e, bool **origins, struct group *groups, int *count,
                               const struct anchor *a) {
    for (int i = 0; i < *count; i++)
        for (int j = 0; j < groups[i].count; j++)
            if (meet(e, origins, groups[i].anchors[j]->value, a->value)) return &groups[i];
    return &groups[(*count)++];
}

static int find_anchors(struct emitter *e, struct anchor *anchors) {
    int count = 0;
    for (struct node *n = e->kernel->body->first; n && count < MAX_ANCHORS; n = n->next)
        if (contraction_of(e->arena, e->graph, n, &anchors[count].panels.c))
            anchors[count++].value = n->results[0];
    return count;
}

/* ---- reading a finished tile ---- */

/* The anchor's elements at the row at work: a vector of f32 in scratch, indexed from the block's first
 * output. */
static LLVMValueRef load_from_tile(struct emitter *e, const struct binding *b, const struct point *p) {
    const struct anchor *a = b->data;
    const struct group *g = a->group;
    LLVMValueRef first = emit_mul(e, g->row, emit_i64(e, g->stride * 4));
    struct buffer row = {.base = emit_offset(e, a->tile, first),
                         .type = {DTYPE_F32, 1, {a->panels.c.map->loops[a->panels.c.outputs].extent}}};
    struct index back = index_uniform(emit_sub(e, emit_i64(e, 0), g->first_output));
    struct point at = {.rank = 1, .lanes = p->lanes, .mask = p->mask, .tail = p->tail};
    at.at[0] = index_add(e, p->at[p->rank - 1], back, p->lanes);
    at.at[0].align = p->at[p->rank - 1].align < g->stride ? p->at[p->rank - 1].align : 1;
    return emit_load(e, &row, &at);
}

/* ---- one tile ---- */

LLVMValueRef contract_sums_at(struct emitter *e, const struct group *g, LLVMValueRef base, LLVMValueRef row,
                              LLVMValueRef column) {
    LLVMValueRef at = emit_add(e, emit_mul(e, row, emit_i64(e, g->stride)), column);
    return emit_offset(e, base, emit_mul(e, at, emit_i64(e, 4)));
}

static int vectors_of(const struct group *g) { return g->unpacked ? g->unpacked_vectors : g->vectors; }

/* The tiles of a thread's first strip, for which weights come from memory, have a part each of the block of outputs behind this one asked for. */
static void ask_for_next_block(struct emitter *e, const struct anchor *a, LLVMValueRef row,
                               const struct strip *s, LLVMValueRef first, const struct index *at,
                               struct micro *m) {
    LLVMValueRef tile = emit_div(e, emit_sub(e, row, s->begin), emit_i64(e, m->rows)),
                 none = emit_i64(e, INT32_MAX);
    LLVMValueRef next = emit_add(e, first, emit_sub(e, s->block_end, s->block));
    panels_next(e, &a->panels, next, LLVMBuildSelect(e->builder, s->first, tile, none, ""), at, m);
}

static void multiply_panel(struct emitter *e, const struct group *g, const struct anchor *a, int rows,
                           LLVMValueRef row, const struct strip *s, LLVMValueRef first, struct index *at) {
    LLVMValueRef sums[MAX_TILE_SUMS];
    int vectors = vectors_of(g);
    struct micro m = {.atom = a->panels.atom,
                      .rows = rows,
                      .vectors = vectors,
                      .lanes = e->lanes,
                      .unroll = e->kernel->schedule->unroll > 0 ? e->kernel->schedule->unroll : 4,
                      .block_sums = g->unpacked ? a->panels.block_sums : NULL,
                      .ahead = !e->target->simt && !g->unpacked && (rows < g->tile_rows || rows == 1)};
    int count = rows * vectors;
    bool simt = e->target->simt;
    LLVMValueRef column = emit_sub(e, first, s->block), to = simt ? simt_own_sums(e, g, rows) : a->tile;
    panels_rows(e, &a->panels, row, s->end, s->begin, at, &m);
    if (g->unpacked)
        panels_unpacked(e, &a->panels, first, s->block, at, &m);
    else
        panels_outputs(e, &a->panels, first, s->block, at, &m);
    if (!simt && !m.ahead) ask_for_next_block(e, a, row, s, first, at, &m);
    if (simt) panels_share_inputs(e, &a->panels, simt_sharer(e, g), simt_sharers(e, g), &m);
    for (int i = 0; i < count; i++) sums[i] = LLVMConstNull(emit_vector(e, e->f32, e->lanes));
    emit_micro(e, &m, sums);
    for (int i = 0; i < count; i++) {
        LLVMValueRef vector = emit_i64(e, (int64_t)(i % vectors) * e->lanes);
        LLVMValueRef there =
            contract_sums_at(e, g, to, emit_i64(e, i / vectors), emit_add(e, column, vector));
        emit_store_lanes(e, sums[i], there, NULL);
    }
    if (simt) simt_join_warps(e, g, a, rows, column, (int64_t)vectors * e->lanes);
}

/* Flat row of the anchor's result, over all its axes but the last. */
static LLVMValueRef result_row(struct emitter *e, const struct anchor *a, const struct index *at) {
    const struct access_map *y = &a->panels.c.map->results[0];
    LLVMValueRef flat = emit_i64(e, 0);
    for (int i = 0; i + 1 < y->rank; i++) {
        flat = emit_mul(e, flat, emit_extent(e, a->value->type.extents[i]));
        if (y->axes[i].count) flat = emit_add(e, flat, at[y->axes[i].terms[0].loop].base);
    }
    return flat;
}

void contract_finish_rows(struct emitter *e, struct group *g, LLVMValueRef rows, LLVMValueRef first_row,
                          const struct strip *s, struct index *at) {
    const struct anchor *a = g->anchors[0];
    struct emit_loop loop;
    bool simt = e->target->simt;
    LLVMValueRef begin = simt ? e->warp : emit_i64(e, 0),
                 count = emit_min(e, rows, emit_sub(e, s->end, first_row));
    emit_loop_begin(e, &loop, begin, count, simt ? e->block_warps : 1, 0, NULL);
    contraction_unflatten(e, &a->panels.c, &a->panels.c.rows, emit_add(e, first_row, loop.counter), at);
    g->row = loop.counter;
    g->first_output = s->block;
    for (int i = 0; i < g->count; i++) emit_bind(e, &g->anchors[i]->binding);
    emit_row_program(e, g->program, result_row(e, a, at), s->block, s->block_end,
                     g->block_outputs ? g->block_outputs : 1 << 20);
    for (int i = g->count - 1; i >= 0; i--) emit_unbind(e, &g->anchors[i]->binding);
    emit_loop_end(e, &loop, NULL);
    if (simt) simt_block_barrier(e); /* before the next tile is put there */
}

void contract_multiply(struct emitter *e, const struct group *g, int rows, LLVMValueRef row,
                       const struct strip *s, struct index *at) {
    struct emit_loop panels;
    emit_loop_begin(e, &panels, s->block, s->block_end, (int64_t)vectors_of(g) * e->lanes, 0, NULL);
    for (int i = 0; i < g->count; i++) multiply_panel(e, g, g->anchors[i], rows, row, s, panels.counter, at);
    emit_loop_end(e, &panels, NULL);
}

/* ---- a strip's tiles ---- */

/* A strip's rows in tiles of several sizes: those before stop[i] that no size before has, in tiles of rows[i], the last of which may be short:
 * what it lacks is made of its last row's inputs, and left out at the end. */
struct sizes {
    int count, rows[MAX_TILE_ROWS];
    LLVMValueRef stop[MAX_TILE_ROWS];
};

/* Whether matrix registers multiply codes, where there are rows enough. */
static bool by_registers(const struct group *g) { return g->anchors[0]->panels.block_sums; }

/* Of weights in packed tiles: whether there are rows enough to unpack them, for tiles of a size of their own. */
static void add_unpacked(struct emitter *e, struct group *g, const struct strip *s, const struct index *at,
                         struct sizes *z) {
    struct emit_if many;
    bool registers = by_registers(g);
    LLVMValueRef rows = emit_sub(e, s->end, s->begin), least = emit_i64(e, registers ? AMX_ROWS : UNPACKED_ROWS),
                 whole = emit_sub(e, s->end, registers ? emit_rem(e, rows, least) : emit_i64(e, 0));
    LLVMValueRef enough = LLVMBuildICmp(e->builder, LLVMIntSGE, rows, least, "");
    emit_if_begin(e, &many, enough);
    if (registers) amx_begin_codes(e);
    for (int i = 0; i < g->count; i++)
        panels_unpack_outputs(e, &g->anchors[i]->panels, s->block, s->block_end, at);
    emit_if_end(e, &many);
    z->rows[z->count] = g->unpacked_rows;
    z->stop[z->count++] = LLVMBuildSelect(e->builder, enough, whole, s->begin, "");
}

/* Tiles of tile_rows, half of it, ... 1 row. Fewer rows than a tile has are made of as many of the larger sizes as fit; where there are more, what
 * whole tiles leave is one, of the smallest size that holds it. The smaller sizes come first: they wait for memory, ask for it ahead
 * (micro.c), and leave the block's weights in cache for the others. */
static void add_halves(struct emitter *e, const struct group *g, LLVMValueRef from, LLVMValueRef end,
                       struct sizes *z) {
    int most = g->unpacked_rows && g->tile_rows > UNPACKED_ROWS / 2 ? UNPACKED_ROWS / 2 : g->tile_rows,
        halves = 0;
    LLVMValueRef stop[MAX_TILE_ROWS + 1] = {end}, rows = emit_sub(e, end, from), whole = emit_i64(e, most),
                                      rest = emit_rem(e, rows, whole),
                                      many = LLVMBuildICmp(e->builder, LLVMIntSGT, rows, whole, "");
    for (int size = most; size >= 1; size /= 2, halves++) {
        LLVMValueRef exact = emit_rem(e, emit_sub(e, stop[halves], from), emit_i64(e, size)),
                     holds = LLVMBuildICmp(e->builder, LLVMIntSLE, rest, emit_i64(e, size / 2), "");
        LLVMValueRef one = LLVMBuildSelect(e->builder, holds, rest, emit_i64(e, 0), "");
        stop[halves + 1] = emit_add(e, from, LLVMBuildSelect(e->builder, many, one, exact, ""));
    }
    while (halves--) {
        z->rows[z->count] = most >> halves;
        z->stop[z->count++] = stop[halves];
    }
}

static LLVMValueRef tiles_of(struct emitter *e, const struct strip *s, const struct sizes *z) {
    LLVMValueRef count = emit_i64(e, 0), from = s->begin;
    for (int i = 0; i < z->count; i++) {
        LLVMValueRef tiles = emit_div_up(e, emit_sub(e, z->stop[i], from), emit_i64(e, z->rows[i]));
        count = emit_add(e, count, tiles);
        from = z->stop[i];
    }
    return count;
}

/* The tile that begins at `row`, of the size whose turn it is; returns how many rows it has. */
static LLVMValueRef multiply_tile(struct emitter *e, struct group *g, LLVMValueRef row, const struct strip *s,
                                  const struct sizes *z, struct index *at) {
    LLVMValueRef end = s->end, from = s->begin, rows = emit_i64(e, z->rows[z->count - 1]);
    for (int i = 0; i < z->count; i++) {
        struct emit_if turn;
        struct strip part = *s;
        LLVMValueRef begun = LLVMBuildICmp(e->builder, LLVMIntSGE, row, from, ""),
                     more = LLVMBuildICmp(e->builder, LLVMIntSLT, row, z->stop[i], "");
        LLVMValueRef is_turn = LLVMBuildAnd(e->builder, begun, more, "");
        part.end = z->stop[i];
        emit_if_begin(e, &turn, is_turn);
        g->unpacked = g->unpacked_rows && i == 0;
        contract_multiply(e, g, z->rows[i], row, &part, at);
        g->unpacked = false;
        emit_if_end(e, &turn);
        rows = LLVMBuildSelect(e->builder, is_turn, emit_i64(e, z->rows[i]), rows, "");
        end = LLVMBuildSelect(e->builder, is_turn, z->stop[i], end, "");
        from = z->stop[i];
    }
    return emit_min(e, rows, emit_sub(e, end, row));
}

/* What follows a tile's products is there once, whatever its size. */
static void block_of_outputs(struct emitter *e, struct group *g, const struct strip *s, struct index *at) {
    struct sizes sizes = {0};
    struct emit_loop tiles;
    if (g->unpacked_rows) add_unpacked(e, g, s, at, &sizes);
    add_halves(e, g, sizes.count ? sizes.stop[0] : s->begin, s->end, &sizes);
    for (int i = 0; i < g->count; i++)
        panels_pack_outputs(e, &g->anchors[i]->panels, s->block, s->block_end, at);
    emit_loop_begin(e, &tiles, emit_i64(e, 0), tiles_of(e, s, &sizes), 1, 1, &s->begin);
    LLVMValueRef row = tiles.carried[0], rows = multiply_tile(e, g, row, s, &sizes, at);
    contract_finish_rows(e, g, rows, row, s, at);
    LLVMValueRef next = emit_add(e, row, rows);
    emit_loop_end(e, &tiles, &next);
    if (by_registers(g)) amx_end(e);
}

/* ---- a group's share of the kernel's work ---- */

static int largest_tile(const struct group *g) {
    return g->unpacked_rows > g->tile_rows ? g->unpacked_rows : g->tile_rows;
}

/* As many blocks of rows as there are, or so many more that each thread has as many, where there are rows enough: shares are even, and rows that a
 * kernel leaves in a core's L2 are those that the core reads in the next one. */
static LLVMValueRef shared_row_blocks(struct emitter *e, const struct shape *s) {
    LLVMValueRef whole = emit_mul(e, emit_div_up(e, s->row_blocks, e->threads), e->threads),
                 tiles = emit_mul(e, whole, emit_i64(e, LEAST_TILES));
    LLVMValueRef enough = LLVMBuildICmp(e->builder, LLVMIntSLE, tiles, s->row_tiles, "");
    return LLVMBuildSelect(e->builder, enough, whole, s->row_blocks, "");
}

static struct shape shape_of(struct emitter *e, const struct group *g) {
    const struct contraction *c = &g->anchors[0]->panels.c;
    struct shape s = {.rows = contraction_count(e, c, &c->rows), .outputs = outputs_of(e, g)};
    s.block_outputs =
        g->block_outputs ? emit_i64(e, g->block_outputs) : emit_max(e, s.outputs, emit_i64(e, 1));
    s.output_blocks = emit_div_up(e, s.outputs, s.block_outputs);
    s.row_tiles = emit_div_up(e, s.rows, emit_i64(e, largest_tile(g)));
    s.row_blocks = emit_div_up(e, s.rows, emit_i64(e, g->block_rows));
    if (g->unpacked_rows) { /* strips are long */
        LLVMValueRef pairs = emit_mul(e, e->threads, emit_i64(e, LEAST_SHARE));
        LLVMValueRef even = emit_div_up(e, pairs, emit_max(e, s.output_blocks, emit_i64(e, 1)));
        s.row_blocks = emit_max(e, s.row_blocks, emit_min(e, even, s.row_tiles));
    }
    if (!e->target->simt) s.row_blocks = shared_row_blocks(e, &s);
    s.strips = emit_mul(e, contraction_count(e, c, &c->outer), s.row_blocks);
    s.total = emit_mul(e, s.strips, s.output_blocks);
    return s;
}

/* The first row of block `number`: blocks of rows are even to a tile, so that threads have equal shares where
 * the last block would have been a small one. */
static LLVMValueRef block_row(struct emitter *e, const struct group *g, const struct shape *s,
                              LLVMValueRef number) {
    LLVMValueRef per_outer = emit_max(e, s->row_blocks, emit_i64(e, 1));
    LLVMValueRef tile = emit_div(e, emit_mul(e, number, s->row_tiles), per_outer);
    return emit_min(e, emit_mul(e, tile, emit_i64(e, largest_tile(g))), s->rows);
}

void contract_strip(struct emitter *e, const struct group *g, const struct shape *s, LLVMValueRef strip,
                    LLVMValueRef block, LLVMValueRef blocks, struct index *at, struct strip *made) {
    const struct contraction *c = &g->anchors[0]->panels.c;
    LLVMValueRef one = emit_i64(e, 1), per_outer = emit_max(e, s->row_blocks, one),
                 number = emit_rem(e, strip, per_outer);
    contraction_unflatten(e, c, &c->outer, emit_div(e, strip, per_outer), at);
    made->begin = block_row(e, g, s, number);
    made->end = block_row(e, g, s, emit_add(e, number, one));
    made->block = emit_mul(e, block, s->block_outputs);
    made->block_end = emit_min(e, emit_mul(e, emit_add(e, block, blocks), s->block_outputs), s->outputs);
}

/* The (strip, block) pairs begin .. end of this group, numbered strip by strip. */
static void lower_group(struct emitter *e, struct group *g, const struct shape *s, LLVMValueRef begin,
                        LLVMValueRef end) {
    struct index at[MAX_LOOPS] = {0};
    struct emit_loop strips, blocks;
    struct strip strip;
    LLVMValueRef per_strip = emit_max(e, s->output_blocks, emit_i64(e, 1)), zero = emit_i64(e, 0);
    emit_loop_begin(e, &strips, emit_div(e, begin, per_strip), emit_div_up(e, end, per_strip), 1, 0, NULL);
    LLVMValueRef first = emit_mul(e, strips.counter, per_strip);
    LLVMValueRef from = emit_max(e, emit_sub(e, begin, first), zero),
                 to = emit_min(e, emit_sub(e, end, first), per_strip);
    contract_strip(e, g, s, strips.counter, zero, zero, at, &strip);
    strip.first = LLVMBuildICmp(e->builder, LLVMIntEQ, strips.counter, emit_div(e, begin, per_strip), "");
    for (int i = 0; i < g->count; i++)
        panels_stage_rows(e, &g->anchors[i]->panels, strip.begin, strip.end, at);
    if (g->amx) amx_stage_rows(e, g, strips.counter, &strip, at);
    emit_loop_begin(e, &blocks, from, to, g->blocks_at_once, 0, NULL);
    LLVMValueRef several = emit_min(e, emit_i64(e, g->blocks_at_once), emit_sub(e, to, blocks.counter));
    contract_strip(e, g, s, strips.counter, blocks.counter, several, at, &strip);
    (g->amx ? amx_block : block_of_outputs)(e, g, &strip, at);
    emit_loop_end(e, &blocks, NULL);
    emit_loop_end(e, &strips, NULL);
}

/* ---- the kernel ---- */

bool contract_in_blocks(const struct emitter *e, const struct value *w) {
    return !w->def && e->operands[w->index].stored && tile_format(e->operands[w->index].format);
}

/* Weights in packed tiles that are unpacked for many rows, in tiles of two vectors of outputs by as many rows as registers hold sums for: a
 * vector of weights, which comes from L2, serves as many rows as can be; or of a matrix register's rows and outputs. What is unpacked stays in
 * half of L2. */
static void plan_unpacking(struct emitter *e, struct group *g) {
    enum { VECTORS = 2 };
    int64_t bytes = 0;
    bool lanes = !e->target->simt && g->block_outputs, registers = lanes;
    for (int i = 0; i < g->count; i++) {
        const struct panels *p = &g->anchors[i]->panels;
        lanes = lanes && p->tile && micro_unpacks(e, p->atom, p->tile);
        registers = registers && p->tile && contraction_inputs(&p->c) && micro_by_registers(e, p->atom, p->tile);
    }
    if (!lanes && !registers) return;
    g->unpacked_vectors = g->vectors < VECTORS ? g->vectors : VECTORS;
    int rows = (e->target->vector_registers - 2 * g->unpacked_vectors) / g->unpacked_vectors;
    g->unpacked_rows = rows > MOST_UNPACKED_ROWS ? MOST_UNPACKED_ROWS : rows;
    if (registers) {
        g->unpacked_vectors = 1;
        g->unpacked_rows = AMX_ROWS;
    }
    for (int i = 0; i < g->count; i++) {
        struct panels *p = &g->anchors[i]->panels;
        if (registers) p->block_sums = emit_scratch(e, 2 * AMX_ROWS * AMX_BYTES);
        bytes += panels_unpacked_bytes(p);
    }
    while (g->blocks_at_once > 1 && g->blocks_at_once * g->block_outputs * bytes > e->target->l2_bytes / 2)
        g->blocks_at_once /= 2;
    g->stride = g->blocks_at_once * g->block_outputs;
    for (int i = 0; i < g->count; i++)
        panels_make_room(e, &g->anchors[i]->panels, g->block_rows, g->stride, g->unpacked_vectors * e->lanes);
}

/* Blocks of outputs are whole panels, and whole groups of what the epilogue reads together (a head for rope).
 */
static bool plan_group(struct emitter *e, struct group *g, const struct group *groups) {
    const struct schedule *s = e->kernel->schedule;
    struct anchor *first = g->anchors[0];
    int panel = s->tile[1], group = (int)g->program->column_group;
    g->tile_rows = s->tile[0];
    g->vectors = first->panels.outputs / e->lanes;
    g->block_rows = s->block[0] > 0 ? s->block[0] : round_up(DEFAULT_BLOCK_ROWS, g->tile_rows);
    g->block_outputs = panel / greatest_common_divisor(panel, group) * group;
    if (s->block[1] > 0) g->block_outputs = round_up(s->block[1], g->block_outputs);
    int64_t most = extent_max(first->panels.c.map->loops[first->panels.c.outputs].extent);
    /* Nobody asks for a thread's first block ahead: where L3 is far, and rows may be few, it is a small one. */
    bool first_waits = s->atom == ATOM_fma && target_l3_is_far(e->target);
    bool several = !e->target->simt && !first_waits && g->block_outputs < OUTPUTS_AT_ONCE;
    g->blocks_at_once = several ? OUTPUTS_AT_ONCE / g->block_outputs : 1;
    g->mma = atom_of_gpu(s->atom);
    g->amx = atom_info(s->atom)->unit == UNIT_tile;
    g->tiles = s->atom == ATOM_mma_int8;
    g->stride = g->blocks_at_once * g->block_outputs + (g->tiles ? BLOCKS_PADDING : g->mma ? MMA_PADDING : 0);
    if (g->program->whole_rows) {
        g->stride = round_up(most, panel);
        g->block_outputs = 0;
        g->blocks_at_once = 1;
    }
    g->by_lanes = g->mma;
    for (int i = 0; i < g->count; i++)
        g->by_lanes = g->by_lanes && contract_in_blocks(e, g->anchors[i]->panels.c.b_value);
    for (int i = 0; i < g->count; i++) {
        struct anchor *a = g->anchors[i];
        if (!g->mma || g->by_lanes)
            panels_init(e, &a->panels, g->mma ? MMA_ROWS : (int)g->block_rows, (int)g->stride);
        g->by_lanes = g->by_lanes && a->panels.tile;
        if (g->mma) a->a = mma_operand_a(e, &a->panels.c, s->atom);
        if (g->mma && !g->tiles) a->b = mma_operand_b(e, &a->panels.c, s->atom);
        if (g->mma) mma_find_box(e, &a->a, s->tile[0]);
        if (g->mma && !g->tiles) mma_find_box(e, &a->b, s->tile[1]);
        if (a->panels.c.quantized && !a->panels.tile) {
            diag_error(e->graph->diag, a->value->loc,
                       "qlinear: its weight is not stored in blocks of 32 along the inputs; "
                       "quantise the param, or use linear");
            return false;
        }
    }
    if (g->amx) amx_plan(e, g, groups);
    plan_unpacking(e, g);
    for (int i = 0; !e->target->simt && i < g->count; i++)
        g->anchors[i]->tile = emit_scratch(e, (g->amx ? g->rows_at_once : largest_tile(g)) * g->stride * 4);
    return true;
}

static bool schedule_fits(struct emitter *e, const struct anchor *anchors, int count) {
    const struct schedule *s = e->kernel->schedule;
    if (!micro_has_atom(e, s->atom)) return false;
    bool of_codes = atom_info(s->atom)->sum == DTYPE_I32;
    for (int i = 0; i < count; i++)
        if (of_codes != anchors[i].panels.c.quantized) {
            emit_error(
                e, anchors[i].value->loc, "schedule: %s is for products of %s", atom_info(s->atom)->name,
                of_codes ? "codes, qlinear" : "floats; qlinear's are dot_int8's, or on a GPU mma_int8's");
            return false;
        }
    if (atom_of_gpu(s->atom)) return simt_schedule_fits(e);
    if (atom_info(s->atom)->unit == UNIT_tile) return amx_schedule_fits(e, anchors, count);
    bool good = s->tile[0] >= 1 && s->tile[0] <= MAX_TILE_ROWS && s->tile[1] >= e->lanes &&
                s->tile[1] % e->lanes == 0 && s->tile[0] * (s->tile[1] / e->lanes) <= MAX_TILE_SUMS;
    if (!good)
        diag_error(e->graph->diag, e->kernel->loc,
                   "schedule: tile=[%d, %d] is not 1..%d rows by a multiple of %d outputs, at most %d "
                   "vectors in all",
                   s->tile[0], s->tile[1], MAX_TILE_ROWS, e->lanes, MAX_TILE_SUMS);
    return good;
}

/* What lanes have for the operands of tensor cores' products, for few rows. */
static enum atom atom_of_lanes(enum atom atom) {
    return !atom_of_gpu(atom) ? atom : atom_info(atom)->sum == DTYPE_I32 ? ATOM_dot_int8 : ATOM_fma;
}

void lower_contract(struct emitter *e) {
    struct anchor *anchors = arena_new_array(e->arena, struct anchor, MAX_ANCHORS);
    struct group groups[MAX_ANCHORS] = {0};
    struct shape shapes[MAX_ANCHORS];
    int count = find_anchors(e, anchors), groups_count = 0;
    if (!count) ice("kernel %s is scheduled as a contraction and has none", e->kernel->name);
    if (!schedule_fits(e, anchors, count)) return;
    bool **origins = origins_of_results(e);
    for (int i = 0; i < count; i++) {
        struct anchor *a = &anchors[i];
        a->group = group_for(e, origins, groups, &groups_count, a);
        a->group->anchors[a->group->count++] = a;
        a->panels.atom = atom_of_lanes(e->kernel->schedule->atom);
        a->panels.outputs =
            a->panels.atom == e->kernel->schedule->atom ? e->kernel->schedule->tile[1] : TILE_OUTPUTS;
        a->binding = (struct binding){.value = a->value, .load = load_from_tile, .data = a};
    }
    LLVMValueRef total = emit_i64(e, 0), begin, end;
    for (int i = 0; i < groups_count; i++) {
        groups[i].program = row_plan(e, groups[i].anchors[0]->value);
        if (!groups[i].program) ice("kernel %s: no way from its contraction to its results", e->kernel->name);
        if (e->target->simt && groups[i].program->whole_rows) {
            lower_loops(e); /* no shared memory is so large */
            return;
        }
        if (!plan_group(e, &groups[i], groups) || !simt_tile_fits(e, &groups[i])) return;
        shapes[i] = shape_of(e, &groups[i]);
        total = emit_add(e, total, shapes[i].total);
    }
    if (e->target->simt) {
        simt_lower_groups(e, groups, shapes, groups_count, total);
        return;
    }
    LLVMValueRef zero = emit_i64(e, 0), before = zero;
    emit_split(e, total, 1, &begin, &end);
    for (int i = 0; i < groups_count; i++) {
        LLVMValueRef from = emit_max(e, emit_sub(e, begin, before), zero);
        LLVMValueRef to = emit_max(e, emit_min(e, emit_sub(e, end, before), shapes[i].total), zero);
        lower_group(e, &groups[i], &shapes[i], from, to);
        before = emit_add(e, before, shapes[i].total);
    }
}
