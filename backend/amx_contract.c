/* Tiles of contractions by matrix registers: of floats always, of codes where there are some rows (lanes make the same sums of fewer).
 *
 *     for strip:                 rows, as registers take them, into scratch; once for all who multiply them
 *         for block of outputs:  codes are unpacked
 *             for tile of rows:  products
 *
 * Of floats, a tile's inputs are taken in chunks that stay in L1 while the block's panels pass by; if there is one tile only, weights
 * are taken as they lie. */
#include "backend/amx.h"
#include "backend/contract.h"
#include "ir/number.h"

enum { LEAST = 8 /* rows of codes that weights are unpacked for; a power of two */ };

typedef LLVMValueRef V;

struct amx_operands {
    const struct panels *panels;
    V rows, scales;   /* of a strip; scales, and scales times totals, [2][rows][blocks] */
    V staged;         /* i64 in scratch: which strip's they are, -1: none's */
    V codes, work;    /* unpacked weights of a block of outputs; registers' sums */
    int64_t capacity; /* rows of a strip */
};

static bool is_quantized(const struct anchor *a) { return a->panels.c.quantized; }

bool amx_schedule_fits(struct emitter *e, const struct anchor *anchors, int count) {
    const struct schedule *s = e->kernel->schedule;
    const char *name = atom_info(s->atom)->name;
    int rows = s->atom == ATOM_amx_int8 ? AMX_ROWS : AMX_TILE;
    if (s->tile[0] != rows || s->tile[1] != TILE_OUTPUTS) {
        emit_error(e, e->kernel->loc, "schedule: tiles of %s are [%d, %d]", name, rows, TILE_OUTPUTS);
        return false;
    }
    for (int i = 0; i < count; i++) {
        int64_t inner = contraction_inner_inputs(&anchors[i].panels.c);
        if (contraction_inputs(&anchors[i].panels.c) && inner && inner % TILE_INPUTS == 0) continue;
        emit_error(e, anchors[i].value->loc, "schedule: %s takes a multiple of %d inputs", name, TILE_INPUTS);
        return false;
    }
    return true;
}

static int64_t blocks_of(const struct panels *p) { return p->inputs_max / TILE_INPUTS; }

/* Bytes of scales of a strip's rows. */
static int64_t plane(const struct amx_operands *o) { return o->capacity * blocks_of(o->panels) * 4; }

static bool same_rows(const struct contraction *a, const struct contraction *b) {
    return a->node->op == b->node->op && a->node->operands[a->a] == b->node->operands[b->a] &&
           a->rows.count == b->rows.count && !a->outer.count && !b->outer.count;
}

/* Who among the anchors before has the same rows in scratch, or NULL. */
static const struct amx_operands *found_before(const struct group *first, const struct group *g, int number) {
    const struct contraction *c = &g->anchors[number]->panels.c;
    for (const struct group *other = first; other <= g; other++)
        for (int i = 0; i < (other == g ? number : other->count); i++) {
            const struct anchor *a = other->anchors[i];
            if (a->amx && other->block_rows == g->block_rows && same_rows(&a->panels.c, c)) return a->amx;
        }
    return NULL;
}

static void reserve_rows(struct emitter *e, struct amx_operands *o) {
    const struct panels *p = o->panels;
    o->rows = emit_scratch(e, o->capacity * p->inputs_max * dtype_bytes(p->a_type));
    if (p->c.quantized) o->scales = emit_scratch(e, 2 * plane(o));
    o->staged = emit_scratch(e, 8);
    LLVMBasicBlockRef back = emit_entry_begin(e);
    LLVMBuildStore(e->builder, emit_i64(e, -1), o->staged);
    emit_entry_end(e, back);
}

static void reserve(struct emitter *e, const struct group *first, struct group *g, int number) {
    struct anchor *a = g->anchors[number];
    const struct amx_operands *before = found_before(first, g, number);
    struct amx_operands *o = arena_new_object(e->arena, struct amx_operands);
    o->panels = &a->panels;
    o->capacity = round_up(g->block_rows, g->matrix_rows);
    if (before) {
        o->rows = before->rows;
        o->scales = before->scales;
        o->staged = before->staged;
    } else {
        reserve_rows(e, o);
    }
    if (is_quantized(a)) {
        o->codes = emit_scratch(e, g->stride * a->panels.inputs_max);
        o->work = emit_scratch(e, AMX_WORK);
    }
    a->amx = o;
}

void amx_plan(struct emitter *e, struct group *g, const struct group *groups) {
    bool codes = is_quantized(g->anchors[0]), good = true;
    for (int i = 0; codes && i < g->count; i++) {
        const struct panels *p = &g->anchors[i]->panels;
        good = good && p->tile && tile_groups(p->tile) == 1 && panels_rows_are_even(p);
    }
    g->matrix_rows = good ? e->kernel->schedule->tile[0] : 0;
    g->matrix_least = codes ? LEAST : 1;
    g->tile_rows = codes ? LEAST / 2 : 0;
    for (int i = 0; good && i < g->count; i++) reserve(e, groups, g, i);
}

/* ---- a strip ---- */

/* Scales and totals of the strip's rows, which follow each other in memory; zeros where a register has more rows. */
static void copy_scales(struct emitter *e, const struct amx_operands *o, const struct strip *s,
                        struct index *at) {
    struct micro m = {.rows = 1};
    struct emit_loop loop;
    V blocks = emit_i64(e, blocks_of(o->panels)), rows = emit_sub(e, s->end, s->begin);
    V count = emit_mul(e, rows, blocks),
      whole = emit_mul(e, emit_max(e, rows, emit_i64(e, AMX_ROWS)), blocks);
    panels_rows(e, o->panels, s->begin, NULL, s->begin, at, &m);
    emit_loop_begin(e, &loop, emit_i64(e, 0), whole, e->lanes, 0, NULL);
    V bytes = emit_mul(e, loop.counter, emit_i64(e, 4)),
      mask = emit_tail_mask(e, loop.counter, count, e->lanes);
    V room = emit_tail_mask(e, loop.counter, whole, e->lanes), to = emit_offset(e, o->scales, bytes);
    V scale = emit_load_lanes(e, e->f32, emit_offset(e, m.scales[0], bytes), e->lanes, mask);
    V total = emit_load_lanes(e, e->i32, emit_offset(e, m.totals[0], bytes), e->lanes, mask);
    total = LLVMBuildFMul(e->builder, LLVMBuildSIToFP(e->builder, total, LLVMTypeOf(scale), ""), scale, "");
    emit_store_lanes(e, scale, to, room);
    emit_store_lanes(e, total, emit_offset(e, to, emit_i64(e, plane(o))), room);
    emit_loop_end(e, &loop, NULL);
}

/* Rows behind the last are the last's again, as far as a tile has any; a strip of one tile has no more than its own (amx_begin). */
static void copy_rows(struct emitter *e, const struct group *g, const struct amx_operands *o,
                      const struct strip *s, struct index *at) {
    struct emit_loop loop;
    V rows = emit_sub(e, s->end, s->begin), tile = emit_i64(e, g->matrix_rows), one = emit_i64(e, 1);
    V whole = emit_mul(e, emit_div_up(e, rows, tile), tile);
    V few = LLVMBuildICmp(e->builder, LLVMIntSLT, rows, tile, "");
    int64_t bytes = TILE_INPUTS * dtype_bytes(o->panels->a_type), step = bytes * g->matrix_rows;
    emit_loop_begin(e, &loop, emit_i64(e, 0), LLVMBuildSelect(e->builder, few, rows, whole, ""), 1, 0, NULL);
    V row = emit_min(e, emit_add(e, s->begin, loop.counter), emit_sub(e, s->end, one));
    contraction_unflatten(e, &o->panels->c, &o->panels->c.rows, row, at);
    V to = emit_add(e, emit_mul(e, emit_div(e, loop.counter, tile), emit_i64(e, step * blocks_of(o->panels))),
                    emit_mul(e, emit_rem(e, loop.counter, tile), emit_i64(e, bytes)));
    panels_stage_row(e, o->panels, emit_offset(e, o->rows, to), step, at);
    emit_loop_end(e, &loop, NULL);
}

void amx_stage_rows(struct emitter *e, const struct group *g, V number, const struct strip *s,
                    struct index *at) {
    for (int i = 0; i < g->count; i++) {
        const struct amx_operands *o = g->anchors[i]->amx;
        struct emit_if wanted;
        bool shared = false;
        for (int j = 0; j < i; j++) shared = shared || g->anchors[j]->amx->rows == o->rows;
        if (shared) continue;
        V staged = LLVMBuildLoad2(e->builder, e->i64, o->staged, "");
        V anew = LLVMBuildICmp(e->builder, LLVMIntNE, staged, number, "");
        V enough = LLVMBuildICmp(e->builder, LLVMIntSGE, emit_sub(e, s->end, s->begin),
                                 emit_i64(e, g->matrix_least), "");
        emit_if_begin(e, &wanted, LLVMBuildAnd(e->builder, anew, enough, ""));
        copy_rows(e, g, o, s, at);
        if (o->scales) copy_scales(e, o, s, at);
        LLVMBuildStore(e->builder, number, o->staged);
        emit_if_end(e, &wanted);
    }
}

/* ---- a block of outputs ---- */

static V codes_at(struct emitter *e, const struct amx_operands *o, V from_block) {
    return emit_offset(e, o->codes, emit_mul(e, from_block, emit_i64(e, o->panels->inputs_max)));
}

static void unpack(struct emitter *e, const struct amx_operands *o, const struct strip *s, struct index *at) {
    struct emit_loop panels;
    struct micro m = {
        .lanes = e->lanes, .vectors = TILE_OUTPUTS / e->lanes, .inputs = emit_i64(e, o->panels->inputs_max)};
    emit_loop_begin(e, &panels, s->block, s->block_end, TILE_OUTPUTS, 0, NULL);
    panels_outputs(e, o->panels, panels.counter, s->block, at, &m);
    amx_unpack(e, &m, codes_at(e, o, emit_sub(e, panels.counter, s->block)));
    emit_loop_end(e, &panels, NULL);
}

void amx_block_begin(struct emitter *e, const struct group *g, const struct strip *s, struct index *at) {
    for (int i = 0; i < g->count; i++) {
        const struct anchor *a = g->anchors[i];
        if (is_quantized(a))
            unpack(e, a->amx, s, at);
        else
            panels_pack_outputs(e, &a->panels, s->block, s->block_end, at);
    }
    amx_begin(e, e->kernel->schedule->atom, emit_sub(e, s->end, s->begin));
}

void amx_block_end(struct emitter *e) { amx_end(e); }

/* ---- a tile ---- */

/* Where its rows begin. */
static V rows_at(struct emitter *e, const struct amx_operands *o, V row, const struct strip *s) {
    V bytes = emit_i64(e, o->panels->inputs_max * dtype_bytes(o->panels->a_type));
    return emit_offset(e, o->rows, emit_mul(e, emit_sub(e, row, s->begin), bytes));
}

static V sums_at(struct emitter *e, const struct group *g, const struct anchor *a, V from_block) {
    return contract_sums_at(e, g, a->tile, emit_i64(e, 0), from_block);
}

static void multiply_codes(struct emitter *e, const struct group *g, const struct anchor *a, V row,
                           const struct strip *s, struct index *at) {
    const struct amx_operands *o = a->amx;
    struct emit_loop panels;
    struct micro m = {.lanes = e->lanes, .vectors = TILE_OUTPUTS / e->lanes};
    V from_strip = emit_mul(e, emit_sub(e, row, s->begin), emit_i64(e, blocks_of(o->panels) * 4));
    struct amx_codes c = {
        .a = rows_at(e, o, row, s), .blocks = emit_i64(e, blocks_of(o->panels)), .work = o->work};
    c.scales = emit_offset(e, o->scales, from_strip);
    if (o->panels->tile->minimum) c.totals = emit_offset(e, c.scales, emit_i64(e, plane(o)));
    emit_loop_begin(e, &panels, s->block, s->block_end, TILE_OUTPUTS, 0, NULL);
    V from_block = emit_sub(e, panels.counter, s->block);
    c.b = codes_at(e, o, from_block);
    panels_outputs(e, o->panels, panels.counter, s->block, at, &m);
    amx_multiply_int8(e, &c, &m, sums_at(e, g, a, from_block), emit_i64(e, g->stride * 4));
    emit_loop_end(e, &panels, NULL);
}

static void multiply_floats(struct emitter *e, const struct group *g, const struct anchor *a, V row,
                            const struct strip *s, struct index *at) {
    const struct amx_operands *o = a->amx;
    enum { BYTES = 2, GROUP = 2 }; /* of an input; inputs that weights have beside each other */
    struct emit_loop chunks, panels;
    struct micro m = {0};
    struct amx_floats f = {0};
    int64_t inputs = o->panels->inputs_max, most = e->target->l1_bytes / 2 / (AMX_TILE * BYTES),
            count = (inputs + most - 1) / most, part = round_up((inputs + count - 1) / count, TILE_INPUTS);
    V rows = rows_at(e, o, row, s), all = emit_i64(e, inputs);
    f.few = LLVMBuildICmp(e->builder, LLVMIntSLE, emit_sub(e, s->end, s->begin), emit_i64(e, AMX_TILE), "");
    V chunk = LLVMBuildSelect(e->builder, f.few, all, emit_i64(e, part), "");
    emit_loop_begin(e, &chunks, emit_i64(e, 0), emit_div_up(e, all, chunk), 1, 0, NULL);
    V first = emit_mul(e, chunks.counter, chunk);
    f.inputs = emit_min(e, emit_sub(e, all, first), chunk);
    if (count > 1) f.more = LLVMBuildICmp(e->builder, LLVMIntNE, chunks.counter, emit_i64(e, 0), "");
    f.a = emit_offset(e, rows, emit_mul(e, first, emit_i64(e, AMX_TILE * BYTES)));
    emit_loop_begin(e, &panels, s->block, s->block_end, TILE_OUTPUTS, 0, NULL);
    panels_outputs(e, o->panels, panels.counter, s->block, at, &m);
    f.b = emit_offset(e, m.b, emit_mul(e, emit_div(e, first, emit_i64(e, GROUP)), m.b_step));
    amx_multiply_bf16(e, &f, sums_at(e, g, a, emit_sub(e, panels.counter, s->block)),
                      emit_i64(e, g->stride * 4));
    emit_loop_end(e, &panels, NULL);
    emit_loop_end(e, &chunks, NULL);
}

void amx_multiply(struct emitter *e, const struct group *g, const struct anchor *a, int rows, V row,
                  const struct strip *s, struct index *at) {
    (void)rows;
    (is_quantized(a) ? multiply_codes : multiply_floats)(e, g, a, row, s, at);
}
