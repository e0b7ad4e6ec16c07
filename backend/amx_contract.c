/* Tiles of contractions by matrix registers, of any number of rows.
 *
 *     for strip:                 rows, as registers take them, into scratch; once for all who multiply them
 *         for block of outputs:
 *             for tile of rows:  products
 *
 * A tile's inputs are taken in chunks that stay in L1 while the block's panels pass by; if there is one tile only, weights are taken as
 * they lie. Of floats, of which six products a step leave L2 the time to bring all inputs, a panel of weights is taken apart for many tiles:
 *
 *             for so many tiles of rows, whose sums stay in L2:
 *                 for panel:
 *                     for tile of rows:  products */
#include "backend/amx.h"
#include "backend/contract.h"
#include "ir/number.h"

typedef LLVMValueRef V;

struct amx_operand {
    const struct panels *panels;
    V rows;   /* of a strip, [tiles][inputs / 32][32 rows][32] bf16 */
    V staged; /* i64 in scratch: which strip's they are, -1: none's */
    V parts;  /* of amx_f32, a panel of weights, [inputs / 32][3][2 KiB] */
};

bool amx_schedule_fits(struct emitter *e, const struct anchor *anchors, int count) {
    const struct schedule *s = e->kernel->schedule;
    const char *name = atom_info(s->atom)->name;
    if (s->tile[0] != AMX_TILE || s->tile[1] != AMX_TILE) {
        emit_error(e, e->kernel->loc, "schedule: tiles of %s are [%d, %d]", name, AMX_TILE, AMX_TILE);
        return false;
    }
    for (int i = 0; i < count; i++) {
        const struct contraction *c = &anchors[i].panels.c;
        int64_t inner = contraction_inner_inputs(c);
        bool whole = contraction_inputs(c) && inner && inner % AMX_INPUTS == 0,
             blocks = contract_in_blocks(e, c->b_value);
        if (!whole)
            emit_error(e, anchors[i].value->loc, "schedule: %s takes a multiple of %d inputs", name, AMX_INPUTS);
        else if (blocks)
            emit_error(e, anchors[i].value->loc, "schedule: %s takes no weights in blocks; fma does", name);
        if (!whole || blocks) return false;
    }
    return true;
}

static int parts_of(const struct panels *p) { return p->atom == ATOM_amx_f32 ? AMX_PARTS : 1; }

/* Bytes of a row or an output as registers take it. */
static int64_t bytes_of_inputs(const struct panels *p) { return p->inputs_max * 2 * parts_of(p); }

/* Bytes of a strip's tile of rows. */
static int64_t bytes_of_tile(const struct panels *p) { return bytes_of_inputs(p) * AMX_TILE; }

static bool same_rows(const struct contraction *a, const struct contraction *b) {
    return a->node->op == b->node->op && a->node->operands[a->a] == b->node->operands[b->a] &&
           a->rows.count == b->rows.count && !a->outer.count && !b->outer.count;
}

/* Who among the anchors before has the same rows in scratch, or NULL. */
static const struct amx_operand *found_before(const struct group *first, const struct group *g, int number) {
    const struct contraction *c = &g->anchors[number]->panels.c;
    for (const struct group *other = first; other <= g; other++)
        for (int i = 0; i < (other == g ? number : other->count); i++) {
            const struct anchor *a = other->anchors[i];
            if (other->block_rows == g->block_rows && same_rows(&a->panels.c, c)) return a->amx;
        }
    return NULL;
}

static void reserve(struct emitter *e, struct amx_operand *o, int64_t rows) {
    o->rows = emit_scratch(e, round_up(rows, AMX_TILE) / AMX_TILE * bytes_of_tile(o->panels));
    o->staged = emit_scratch(e, 8);
    LLVMBasicBlockRef back = emit_entry_begin(e);
    LLVMBuildStore(e->builder, emit_i64(e, -1), o->staged);
    emit_entry_end(e, back);
}

/* Rows whose sums stay in a quarter of L2, and that a panel of floats is taken apart for. */
static int64_t rows_at_once(struct emitter *e, const struct group *g) {
    if (parts_of(&g->anchors[0]->panels) == 1) return AMX_TILE;
    int64_t rows = e->target->l2_bytes / 4 / (g->count * g->stride * 4), whole = rows / AMX_TILE * AMX_TILE;
    return whole < AMX_TILE ? AMX_TILE : whole > g->block_rows ? round_up(g->block_rows, AMX_TILE) : whole;
}

void amx_plan(struct emitter *e, struct group *g, const struct group *groups) {
    g->rows_at_once = rows_at_once(e, g);
    for (int i = 0; i < g->count; i++) {
        struct anchor *a = g->anchors[i];
        const struct amx_operand *before = found_before(groups, g, i);
        a->amx = arena_new_object(e->arena, struct amx_operand);
        if (before) *a->amx = *before;
        a->amx->panels = &a->panels;
        if (!before) reserve(e, a->amx, g->block_rows);
        if (!before && parts_of(&a->panels) > 1)
            a->amx->parts = emit_scratch(e, AMX_TILE * bytes_of_inputs(&a->panels));
    }
}

/* ---- a strip ---- */

/* Rows behind the last are the last's again; a strip of one tile has no more than there are (amx_begin). */
static void copy_rows(struct emitter *e, const struct amx_operand *o, const struct strip *s,
                      struct index *at) {
    struct emit_loop loop;
    V rows = emit_sub(e, s->end, s->begin), tile = emit_i64(e, AMX_TILE), one = emit_i64(e, 1);
    V few = LLVMBuildICmp(e->builder, LLVMIntSLT, rows, tile, "");
    V count = LLVMBuildSelect(e->builder, few, rows, emit_mul(e, emit_div_up(e, rows, tile), tile), "");
    emit_loop_begin(e, &loop, emit_i64(e, 0), count, 1, 0, NULL);
    V row = emit_min(e, emit_add(e, s->begin, loop.counter), emit_sub(e, s->end, one));
    V to = emit_add(e, emit_mul(e, emit_div(e, loop.counter, tile), emit_i64(e, bytes_of_tile(o->panels))),
                    emit_mul(e, emit_rem(e, loop.counter, tile), emit_i64(e, AMX_BYTES)));
    contraction_unflatten(e, &o->panels->c, &o->panels->c.rows, row, at);
    panels_stage_row(e, o->panels, emit_offset(e, o->rows, to),
                     (int64_t)AMX_TILE * AMX_BYTES * parts_of(o->panels), at);
    emit_loop_end(e, &loop, NULL);
}

void amx_stage_rows(struct emitter *e, const struct group *g, V number, const struct strip *s,
                    struct index *at) {
    for (int i = 0; i < g->count; i++) {
        const struct amx_operand *o = g->anchors[i]->amx;
        struct emit_if wanted;
        bool shared = false;
        for (int j = 0; j < i; j++) shared = shared || g->anchors[j]->amx->rows == o->rows;
        if (shared) continue;
        V staged = LLVMBuildLoad2(e->builder, e->i64, o->staged, "");
        emit_if_begin(e, &wanted, LLVMBuildICmp(e->builder, LLVMIntNE, staged, number, ""));
        copy_rows(e, o, s, at);
        LLVMBuildStore(e->builder, number, o->staged);
        emit_if_end(e, &wanted);
    }
}

/* ---- a block of outputs ---- */

/* Inputs of a chunk, the last of which may be smaller. */
static V chunk_of_inputs(struct emitter *e, const struct panels *p, V few) {
    int64_t inputs = p->inputs_max, most = e->target->l1_bytes / 2 / (AMX_TILE * 2),
            count = (inputs + most - 1) / most, part = round_up((inputs + count - 1) / count, AMX_INPUTS);
    return LLVMBuildSelect(e->builder, few, emit_i64(e, inputs), emit_i64(e, part), "");
}

/* A strip's tile of rows, from where it is staged. */
static V rows_of_tile(struct emitter *e, const struct anchor *a, V row, const struct strip *s) {
    V tile = emit_div(e, emit_sub(e, row, s->begin), emit_i64(e, AMX_TILE));
    return emit_offset(e, a->amx->rows, emit_mul(e, tile, emit_i64(e, bytes_of_tile(&a->panels))));
}

/* A tile of rows by all of the block's outputs. */
static void multiply_bf16(struct emitter *e, const struct group *g, const struct anchor *a, V row,
                          const struct strip *s, struct index *at) {
    struct emit_loop chunks, panels;
    struct micro m = {0};
    struct amx_floats f = {0};
    V rows = rows_of_tile(e, a, row, s), all = emit_i64(e, a->panels.inputs_max);
    f.few = LLVMBuildICmp(e->builder, LLVMIntSLE, emit_sub(e, s->end, s->begin), emit_i64(e, AMX_TILE), "");
    V chunk = chunk_of_inputs(e, &a->panels, f.few);
    emit_loop_begin(e, &chunks, emit_i64(e, 0), emit_div_up(e, all, chunk), 1, 0, NULL);
    V first = emit_mul(e, chunks.counter, chunk);
    f.inputs = emit_min(e, emit_sub(e, all, first), chunk);
    f.more = LLVMBuildICmp(e->builder, LLVMIntNE, chunks.counter, emit_i64(e, 0), "");
    f.a = emit_offset(e, rows, emit_mul(e, first, emit_i64(e, AMX_TILE * 2)));
    emit_loop_begin(e, &panels, s->block, s->block_end, AMX_TILE, 0, NULL);
    panels_outputs(e, &a->panels, panels.counter, s->block, at, &m);
    f.b = emit_offset(e, m.b, emit_mul(e, emit_div(e, first, emit_i64(e, 2)), m.b_step)); /* of pairs */
    V to = contract_sums_at(e, g, a->tile, emit_i64(e, 0), emit_sub(e, panels.counter, s->block));
    amx_multiply_bf16(e, &f, to, emit_i64(e, g->stride * 4));
    emit_loop_end(e, &panels, NULL);
    emit_loop_end(e, &chunks, NULL);
}

/* Tiles of floats, of rows from `begin` on; the first takes weights apart. */
static void multiply_f32(struct emitter *e, const struct group *g, const struct anchor *a, V begin,
                         const struct strip *s, struct index *at) {
    struct emit_loop panels, tiles;
    struct micro m = {0};
    V end = emit_min(e, emit_add(e, begin, emit_i64(e, g->rows_at_once)), s->end), tile = emit_i64(e, AMX_TILE);
    emit_loop_begin(e, &panels, s->block, s->block_end, AMX_TILE, 0, NULL);
    panels_outputs(e, &a->panels, panels.counter, s->block, at, &m);
    V column = emit_sub(e, panels.counter, s->block);
    emit_loop_begin(e, &tiles, begin, end, AMX_TILE, 0, NULL);
    struct amx_parts p = {.a = rows_of_tile(e, a, tiles.counter, s),
                          .b = m.b,
                          .inputs = emit_i64(e, a->panels.inputs_max),
                          .rows = emit_min(e, emit_sub(e, end, tiles.counter), tile),
                          .parts = a->amx->parts,
                          .first = LLVMBuildICmp(e->builder, LLVMIntEQ, tiles.counter, begin, ""),
                          .few = LLVMBuildICmp(e->builder, LLVMIntSLE, emit_sub(e, end, begin), tile, "")};
    V to = contract_sums_at(e, g, a->tile, emit_sub(e, tiles.counter, begin), column);
    amx_multiply_f32(e, &p, to, emit_i64(e, g->stride * 4));
    emit_loop_end(e, &tiles, NULL);
    emit_loop_end(e, &panels, NULL);
}

void amx_block(struct emitter *e, struct group *g, const struct strip *s, struct index *at) {
    struct emit_loop rows;
    for (int i = 0; i < g->count; i++)
        panels_pack_outputs(e, &g->anchors[i]->panels, s->block, s->block_end, at);
    amx_begin(e, emit_sub(e, s->end, s->begin));
    emit_loop_begin(e, &rows, s->begin, s->end, g->rows_at_once, 0, NULL);
    for (int i = 0; i < g->count; i++) {
        const struct anchor *a = g->anchors[i];
        (a->amx->parts ? multiply_f32 : multiply_bf16)(e, g, a, rows.counter, s, at);
    }
    contract_finish_rows(e, g, emit_i64(e, g->rows_at_once), rows.counter, s, at);
    emit_loop_end(e, &rows, NULL);
    amx_end(e);
}
