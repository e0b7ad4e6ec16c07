/* Rows of A and panels of B: found in place, or brought into scratch through emit_value, which sees through
 * views. */
#include "backend/panel.h"
#include "backend/amx.h"
#include "backend/emit_family.h"
#include "backend/simt.h"
#include "ir/number.h"

static struct value *operand_a(const struct panels *p) { return p->c.node->operands[p->c.a]; }
static struct value *operand_b(const struct panels *p) { return p->c.b_value; }
static const struct access_map *access_a(const struct panels *p) { return &p->c.map->operands[p->c.a]; }
static const struct access_map *access_b(const struct panels *p) { return &p->c.b_access; }

/* The buffer of a value that is an argument of the kernel, or NULL. */
static const struct buffer *buffer_of(struct emitter *e, const struct value *v) {
    return v->def ? NULL : &e->operands[v->index];
}

static LLVMValueRef inputs_count(struct emitter *e, const struct panels *p) {
    return contraction_count(e, &p->c, &p->c.inputs);
}

static int64_t inputs_bound(const struct panels *p) {
    int64_t bound = 1;
    for (int i = 0; i < p->c.inputs.count; i++)
        bound *= extent_max(p->c.map->loops[p->c.inputs.loops[i]].extent);
    return bound;
}

/* ... outputs_dim/w, inputs_dim/k, outputs_dim:w, [inputs_dim:k] after the other dimensions whole, in order.
 */
int panel_width(const struct buffer *b, int outputs_dim, int inputs_dim, int k) {
    const struct layout *l = b->layout;
    int outer = b->type.rank - 2, tail = k > 1 ? 4 : 3;
    if (!l || l->count != outer + tail) return 0;
    for (int i = 0, dim = 0; i < outer; i++, dim++) {
        while (dim == outputs_dim || dim == inputs_dim) dim++;
        if (l->parts[i].dim != dim || l->parts[i].step != 1 || l->parts[i].count) return 0;
    }
    const struct layout_part *q = &l->parts[outer];
    int64_t width = q[0].step;
    bool good = q[0].dim == outputs_dim && !q[0].count && q[1].dim == inputs_dim && q[1].step == k &&
                !q[1].count && q[2].dim == outputs_dim && q[2].step == 1 && q[2].count == width;
    if (k > 1) good = good && q[3].dim == inputs_dim && q[3].step == 1 && q[3].count == k;
    return good && width <= 1024 ? (int)width : 0;
}

/* Rows can be read where they are if inputs are neighbours in memory, of a type the atom takes, and whole
 * groups. */
static bool rows_lie_right(struct emitter *e, const struct panels *p) {
    const struct value *a = operand_a(p);
    const struct buffer *b = buffer_of(e, below_reshapes(a));
    int last = access_a(p)->rank - 1, k = atom_info(p->atom)->k;
    int64_t inputs;
    if (!b || b->layout || b->stored || p->c.a_inputs < 0 || p->c.a_inputs != last) return false;
    bool whole = extent_is_const(a->type.extents[last], &inputs) && inputs % k == 0;
    if (p->atom == ATOM_fma) return dtype_class(a->type.dtype) == CLASS_FLOAT && a->type.dtype != DTYPE_F64;
    return whole && a->type.dtype == atom_info(p->atom)->a;
}

/* Outputs of one outer index share no tile with those of the next. */
static bool tiles_are_whole(const struct type *t) {
    int64_t outputs;
    return t->rank == 2 ||
           (extent_is_const(t->extents[t->rank - 2], &outputs) && outputs % TILE_OUTPUTS == 0);
}

static bool lies_in_panels(const struct buffer *b, const struct panels *p, int outputs, int inputs) {
    if (p->atom != ATOM_amx_bf16)
        return panel_width(b, outputs, inputs, atom_info(p->atom)->k) == p->outputs;
    struct layout registers = layout_of_registers(b->type.rank, outputs, inputs);
    return layout_equal(b->layout, &registers);
}

static void find_b(struct emitter *e, struct panels *p) {
    const struct buffer *b = buffer_of(e, operand_b(p));
    int k = atom_info(p->atom)->k;
    p->b_type = atom_info(p->atom)->b;
    if (!b || !b->stored || p->c.b_inputs < 0) return;
    int outputs = p->c.b_outputs, inputs = p->c.b_inputs;
    const struct format_info *tile = tile_format(b->format);
    bool fits = p->outputs == TILE_OUTPUTS && inputs == b->type.rank - 1 && outputs == b->type.rank - 2 &&
                tiles_are_whole(&b->type);
    int step = k == 4 ? 4 : 1; /* integer products take codes by fours, floats one by one */
    if (tile && fits && tile_step(b->layout) == step) p->tile = tile;
    if (tile || !lies_in_panels(b, p, outputs, inputs)) return;
    if (p->atom != ATOM_fma && format_info(b->format)->dtype != p->b_type) return;
    p->b_packed = true;
    p->b_type = b->format == FORMAT_bf16 ? DTYPE_BF16 : b->format == FORMAT_f16 ? DTYPE_F16 : DTYPE_F32;
}

/* Of a row, one a block. */
static int64_t bytes_of_offsets(const struct panels *p) { return p->inputs_max / TILE_INPUTS * 4; }

void panels_init(struct emitter *e, struct panels *p, int block_rows, int block_outputs) {
    int k = atom_info(p->atom)->k;
    p->inputs_max = round_up(inputs_bound(p), k);
    bool tile = atom_info(p->atom)->unit == UNIT_tile; /* brings rows where it wants them itself */
    p->a_staged = !p->c.quantized && !tile && !rows_lie_right(e, p);
    p->a_type = tile          ? DTYPE_BF16
                : p->a_staged ? atom_info(p->atom)->a
                              : operand_a(p)->type.dtype;
    if (p->a_staged) p->a_scratch = emit_scratch(e, block_rows * p->inputs_max * dtype_bytes(p->a_type));
    find_b(e, p);
    if (p->c.quantized && p->tile && !e->target->simt && micro_has_offsets(e, p->tile))
        p->offsets = emit_scratch(e, block_rows * bytes_of_offsets(p));
    if (!p->tile && !p->b_packed)
        p->b_scratch =
            emit_scratch(e, round_up(block_outputs, p->outputs) * p->inputs_max * dtype_bytes(p->b_type));
}

/* `value` (f32 lanes) in the type that scratch holds. */
static LLVMValueRef as_stored(struct emitter *e, enum dtype t, LLVMValueRef value) {
    return t == DTYPE_F32 ? value : emit_narrow(e, t, value);
}

static struct loop_list all_but_last(const struct loop_list *list) {
    struct loop_list outer = *list;
    outer.count--;
    return outer;
}

/* A vector of A's inputs along the last of their loops, from `input` on; `mask`, NULL if all exist: which do. */
static LLVMValueRef a_lanes(struct emitter *e, const struct panels *p, LLVMValueRef input, struct index *at,
                            LLVMValueRef *mask) {
    struct point point;
    int last = p->c.inputs.loops[p->c.inputs.count - 1];
    at[last] = index_lanes(input, e->lanes);
    contraction_point(e, access_a(p), at, e->lanes, &point);
    *mask = point.mask = point.tail =
        emit_tail_mask(e, input, emit_extent(e, p->c.map->loops[last].extent), e->lanes);
    return emit_value(e, operand_a(p), &point);
}

void panels_stage_row(struct emitter *e, const struct panels *p, LLVMValueRef to, int64_t step,
                      struct index *at) {
    struct loop_list outer = all_but_last(&p->c.inputs);
    LLVMValueRef count = emit_extent(e, p->c.map->loops[p->c.inputs.loops[outer.count]].extent);
    struct emit_loop over, along;
    bool parts = p->atom == ATOM_amx_f32;
    emit_loop_begin(e, &over, emit_i64(e, 0), contraction_count(e, &p->c, &outer), 1, 0, NULL);
    contraction_unflatten(e, &p->c, &outer, over.counter, at);
    emit_loop_begin(e, &along, emit_i64(e, 0), count, parts ? AMX_INPUTS : e->lanes, 0, NULL);
    LLVMValueRef where = emit_add(e, emit_mul(e, over.counter, count), along.counter), mask;
    LLVMValueRef size = emit_i64(e, dtype_bytes(p->a_type)), bytes = emit_mul(e, where, size);
    if (step) {
        LLVMValueRef group = emit_i64(e, TILE_INPUTS);
        bytes = emit_add(e, emit_mul(e, emit_div(e, where, group), emit_i64(e, step)),
                         emit_mul(e, emit_rem(e, where, group), size));
    }
    LLVMValueRef value = a_lanes(e, p, along.counter, at, &mask);
    if (parts) {
        LLVMValueRef next = emit_add(e, along.counter, emit_i64(e, e->lanes));
        amx_store_parts(e, value, a_lanes(e, p, next, at, &mask), emit_offset(e, to, bytes));
    } else {
        emit_store_lanes(e, as_stored(e, p->a_type, value), emit_offset(e, to, bytes), mask);
    }
    emit_loop_end(e, &along, NULL);
    emit_loop_end(e, &over, NULL);
}

/* Zeros behind the last input, up to whole groups of the atom. */
static void pad_row(struct emitter *e, const struct panels *p, LLVMValueRef to) {
    int size = dtype_bytes(p->a_type);
    for (int i = 1; i < atom_info(p->atom)->k; i++) {
        LLVMValueRef where = emit_add(e, inputs_count(e, p), emit_i64(e, i - 1));
        LLVMValueRef inside = LLVMBuildICmp(e->builder, LLVMIntSLT, where, emit_i64(e, p->inputs_max), "");
        struct emit_if room;
        emit_if_begin(e, &room, inside);
        LLVMValueRef address = emit_offset(e, to, emit_mul(e, where, emit_i64(e, size)));
        LLVMBuildStore(e->builder, LLVMConstNull(emit_type(e, p->a_type)), address);
        emit_if_end(e, &room);
    }
}

/* B at one input and a vector of outputs, zero where there is no such input or output. */
static LLVMValueRef b_lanes(struct emitter *e, const struct panels *p, LLVMValueRef input,
                            LLVMValueRef output, struct index *at) {
    struct point point;
    LLVMValueRef outputs = emit_extent(e, p->c.map->loops[p->c.outputs].extent);
    LLVMValueRef last = emit_sub(e, inputs_count(e, p), emit_i64(e, 1));
    contraction_unflatten(e, &p->c, &p->c.inputs, emit_min(e, input, last), at);
    at[p->c.outputs] = index_lanes(output, e->lanes);
    contraction_point(e, access_b(p), at, e->lanes, &point);
    point.mask = point.tail = emit_tail_mask(e, output, outputs, e->lanes);
    LLVMValueRef value = emit_value(e, operand_b(p), &point), zero = LLVMConstNull(LLVMTypeOf(value));
    value = LLVMBuildSelect(e->builder, point.mask, value, zero, "");
    LLVMValueRef exists = LLVMBuildICmp(e->builder, LLVMIntSLE, input, last, "");
    return atom_info(p->atom)->k == 1 ? value : LLVMBuildSelect(e->builder, exists, value, zero, "");
}

/* a0 b0 a1 b1 ... */
static LLVMValueRef interleave(struct emitter *e, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef order[2 * MAX_LANES];
    for (int l = 0; l < e->lanes; l++)
        order[2 * l] = emit_i32(e, l), order[2 * l + 1] = emit_i32(e, e->lanes + l);
    return LLVMBuildShuffleVector(e->builder, a, b, LLVMConstVector(order, (unsigned)(2 * e->lanes)), "");
}

/* One group of the atom's inputs for a vector of outputs, as a panel holds it. */
static LLVMValueRef b_group(struct emitter *e, const struct panels *p, LLVMValueRef input,
                            LLVMValueRef output, struct index *at) {
    LLVMValueRef first = as_stored(e, p->b_type, b_lanes(e, p, input, output, at));
    if (atom_info(p->atom)->k == 1) return first;
    LLVMValueRef next = emit_add(e, input, emit_i64(e, 1));
    return interleave(e, first, as_stored(e, p->b_type, b_lanes(e, p, next, output, at)));
}

/* Where a pair of inputs of 16 outputs lies that would be row `row`, bytes `lane` of its panel: layout_of_registers. */
static void in_registers(struct emitter *e, const struct panels *p, LLVMValueRef input, LLVMValueRef *row,
                         LLVMValueRef *lane) {
    int64_t pair = (int64_t)e->lanes * 2 * dtype_bytes(p->b_type), pairs = TILE_INPUTS / 2;
    LLVMValueRef number = emit_rem(e, emit_div(e, input, emit_i64(e, 2)), emit_i64(e, pairs));
    *row = emit_sub(
        e, *row, emit_mul(e, number, emit_i64(e, pair))); /* one pair apart, not as many as the panel has */
    *lane = emit_mul(e, *lane, emit_i64(e, pairs));
}

void panels_pack_outputs(struct emitter *e, const struct panels *p, LLVMValueRef begin, LLVMValueRef end,
                         struct index *at) {
    if (p->tile || p->b_packed) return;
    int k = atom_info(p->atom)->k;
    int64_t group = (int64_t)p->outputs * k * dtype_bytes(p->b_type);
    struct emit_loop panels, inputs, outputs;
    emit_loop_begin(e, &panels, begin, end, p->outputs, 0, NULL);
    LLVMValueRef to =
        emit_mul(e, emit_sub(e, panels.counter, begin), emit_i64(e, p->inputs_max * dtype_bytes(p->b_type)));
    emit_loop_begin(e, &inputs, emit_i64(e, 0), inputs_count(e, p), k, 0, NULL);
    LLVMValueRef row = emit_mul(e, emit_div(e, inputs.counter, emit_i64(e, k)), emit_i64(e, group));
    emit_loop_begin(e, &outputs, emit_i64(e, 0), emit_i64(e, p->outputs), e->lanes, 0, NULL);
    LLVMValueRef value = b_group(e, p, inputs.counter, emit_add(e, panels.counter, outputs.counter), at);
    LLVMValueRef lane = emit_mul(e, outputs.counter, emit_i64(e, (int64_t)k * dtype_bytes(p->b_type)));
    if (p->atom == ATOM_amx_bf16) in_registers(e, p, inputs.counter, &row, &lane);
    emit_store_lanes(e, value, emit_offset(e, p->b_scratch, emit_add(e, emit_add(e, to, row), lane)), NULL);
    emit_loop_end(e, &outputs, NULL);
    emit_loop_end(e, &inputs, NULL);
    emit_loop_end(e, &panels, NULL);
    simt_warp_barrier(e);
}

/* Address of the first element of a row-major operand at a point. */
static LLVMValueRef address_of(struct emitter *e, const struct value *v, const struct point *p) {
    struct index flat = point_flatten(e, &v->type, p, 0, p->rank);
    LLVMValueRef bytes = emit_mul(e, flat.base, emit_i64(e, dtype_bytes(v->type.dtype)));
    return emit_offset(e, buffer_of(e, below_reshapes(v))->base, bytes);
}

static void row_in_place(struct emitter *e, const struct panels *p, int r, struct index *at,
                         struct micro *m) {
    struct point point;
    for (int i = 0; i < p->c.inputs.count; i++) at[p->c.inputs.loops[i]] = index_constant(e, 0);
    contraction_point(e, access_a(p), at, 1, &point);
    m->a[r] = address_of(e, operand_a(p), &point);
    if (!p->c.quantized) return;
    m->scales[r] = address_of(e, p->c.node->operands[1], &point); /* same rows, their first block */
    m->totals[r] = address_of(e, p->c.node->operands[2], &point);
}

/* Where the offsets of row `row` of the scratch lie. */
static LLVMValueRef offsets_of(struct emitter *e, const struct panels *p, LLVMValueRef row) {
    return emit_offset(e, p->offsets, emit_mul(e, row, emit_i64(e, bytes_of_offsets(p))));
}

static LLVMValueRef wide_row(struct emitter *e, const struct panels *p, LLVMValueRef row) {
    return emit_offset(e, p->wide_rows, emit_mul(e, row, emit_i64(e, 2 * p->inputs_max)));
}

/* Of codes, what tiles of weights would make of a row each for itself. */
static void stage_codes(struct emitter *e, const struct panels *p, LLVMValueRef row, struct index *at) {
    struct emit_loop along;
    struct micro m = {.lanes = e->lanes, .inputs = inputs_count(e, p)};
    row_in_place(e, p, 0, at, &m);
    if (p->wide_rows) micro_widen_row(e, &m, wide_row(e, p, row));
    if (!p->offsets) return;
    LLVMValueRef blocks = emit_div(e, inputs_count(e, p), emit_i64(e, TILE_INPUTS)),
                 to = offsets_of(e, p, row);
    emit_loop_begin(e, &along, emit_i64(e, 0), blocks, e->lanes, 0, NULL);
    LLVMValueRef mask = emit_tail_mask(e, along.counter, blocks, e->lanes),
                 bytes = emit_mul(e, along.counter, emit_i64(e, 4));
    LLVMValueRef total = emit_load_lanes(e, e->i32, emit_offset(e, m.totals[0], bytes), e->lanes, mask),
                 scale = emit_load_lanes(e, e->f32, emit_offset(e, m.scales[0], bytes), e->lanes, mask);
    emit_store_lanes(e, micro_offset(e, p->tile, total, scale), emit_offset(e, to, bytes), mask);
    emit_loop_end(e, &along, NULL);
}

void panels_stage_rows(struct emitter *e, const struct panels *p, LLVMValueRef begin, LLVMValueRef end,
                       struct index *at) {
    if (!p->a_staged && !p->offsets && !p->wide_rows) return;
    struct emit_loop rows;
    emit_loop_begin(e, &rows, begin, end, 1, 0, NULL);
    contraction_unflatten(e, &p->c, &p->c.rows, rows.counter, at);
    LLVMValueRef row = emit_sub(e, rows.counter, begin),
                 bytes = emit_i64(e, p->inputs_max * dtype_bytes(p->a_type));
    if (!p->a_staged) {
        stage_codes(e, p, row, at);
    } else {
        LLVMValueRef to = emit_offset(e, p->a_scratch, emit_mul(e, row, bytes));
        panels_stage_row(e, p, to, 0, at);
        pad_row(e, p, to);
    }
    emit_loop_end(e, &rows, NULL);
    simt_warp_barrier(e);
}

/* Of all rows, in bytes. On a processor they may be the caller's, which lie anywhere. */
static int64_t row_alignment(struct emitter *e, const struct panels *p) {
    LLVMValueRef inputs = p->a_staged ? emit_i64(e, p->inputs_max) : inputs_count(e, p);
    int bytes = dtype_bytes(p->a_type);
    if (!e->threaded || !LLVMIsAConstantInt(inputs)) return bytes;
    return greatest_common_divisor(16, LLVMConstIntGetSExtValue(inputs) * bytes);
}

/* Of codes, whose rows follow each other: number r from the first. */
static void row_behind(struct emitter *e, const struct panels *p, int r, struct micro *m) {
    int64_t blocks = p->inputs_max / TILE_INPUTS;
    m->a[r] = emit_offset(e, m->a[0], emit_i64(e, r * p->inputs_max));
    m->scales[r] = emit_offset(e, m->scales[0], emit_i64(e, r * blocks * 4));
    if (m->offsets[0]) m->offsets[r] = emit_offset(e, m->offsets[0], emit_i64(e, r * bytes_of_offsets(p)));
}

void panels_rows(struct emitter *e, const struct panels *p, LLVMValueRef first, LLVMValueRef end,
                 LLVMValueRef block_begin, struct index *at, struct micro *m) {
    m->a_type = p->a_type;
    m->inputs = inputs_count(e, p);
    m->a_align = row_alignment(e, p);
    int k = atom_info(p->atom)->k;
    if (k > 1 && !p->c.quantized)
        m->inputs = emit_mul(e, emit_div_up(e, m->inputs, emit_i64(e, k)), emit_i64(e, k));
    for (int r = 0; r < m->rows; r++) {
        if (r && m->block_sums) {
            row_behind(e, p, r, m);
            continue;
        }
        LLVMValueRef row = emit_add(e, first, emit_i64(e, r));
        if (r) row = emit_min(e, row, emit_sub(e, end, emit_i64(e, 1)));
        contraction_unflatten(e, &p->c, &p->c.rows, row, at);
        LLVMValueRef staged = emit_sub(e, row, block_begin);
        if (!p->a_staged) {
            row_in_place(e, p, r, at, m);
            if (p->wide_rows) m->wide_rows[r] = wide_row(e, p, staged);
            if (p->offsets) m->offsets[r] = offsets_of(e, p, staged);
            continue;
        }
        LLVMValueRef bytes = emit_mul(e, staged, emit_i64(e, p->inputs_max * dtype_bytes(p->a_type)));
        m->a[r] = emit_offset(e, p->a_scratch, bytes);
    }
}

/* Flat number of B's dimensions that are neither outputs nor inputs. */
static LLVMValueRef outer_number(struct emitter *e, const struct panels *p, const struct index *at) {
    LLVMValueRef flat = emit_i64(e, 0);
    for (int i = 0; i < access_b(p)->rank; i++) {
        const struct axis_map *axis = &access_b(p)->axes[i];
        if (i == p->c.b_outputs || i == p->c.b_inputs) continue;
        flat = emit_mul(e, flat, emit_extent(e, operand_b(p)->type.extents[i]));
        if (axis->count) flat = emit_add(e, flat, at[axis->terms[0].loop].base);
    }
    return flat;
}

void panels_outputs(struct emitter *e, const struct panels *p, LLVMValueRef first, LLVMValueRef block_begin,
                    const struct index *at, struct micro *m) {
    int k = atom_info(p->atom)->k;
    m->tile = p->tile;
    m->b_type = p->b_type;
    m->b_step = emit_i64(e, (int64_t)p->outputs * k * dtype_bytes(p->b_type));
    if (!p->tile && !p->b_packed) {
        LLVMValueRef bytes =
            emit_mul(e, emit_sub(e, first, block_begin), emit_i64(e, p->inputs_max * dtype_bytes(p->b_type)));
        m->b = emit_offset(e, p->b_scratch, bytes);
        return;
    }
    LLVMValueRef outputs = emit_extent(e, p->c.map->loops[p->c.outputs].extent),
                 base = buffer_of(e, operand_b(p))->base;
    LLVMValueRef outer = outer_number(e, p, at);
    if (p->tile) {
        LLVMValueRef blocks = emit_div(e, inputs_count(e, p), emit_i64(e, TILE_INPUTS));
        LLVMValueRef row =
            emit_div(e, emit_add(e, emit_mul(e, outer, outputs), first), emit_i64(e, TILE_OUTPUTS));
        m->b_step = emit_i64(e, tile_bytes(p->tile));
        m->b = emit_offset(e, base, emit_mul(e, emit_mul(e, row, blocks), m->b_step));
        return;
    }
    LLVMValueRef panel = emit_add(e, emit_mul(e, outer, emit_div_up(e, outputs, emit_i64(e, p->outputs))),
                                  emit_div(e, first, emit_i64(e, p->outputs)));
    LLVMValueRef groups = emit_div_up(e, inputs_count(e, p), emit_i64(e, k));
    m->b = emit_offset(e, base, emit_mul(e, emit_mul(e, panel, groups), m->b_step));
}

void panels_next(struct emitter *e, const struct panels *p, LLVMValueRef first, LLVMValueRef part,
                 const struct index *at, struct micro *m) {
    if (!p->b_packed) return;
    struct micro next = {.lanes = m->lanes};
    panels_outputs(e, p, first, first, at, &next);
    LLVMValueRef line = emit_i64(e, CACHE_LINE), body = emit_mul(e, emit_i64(e, m->unroll), next.b_step),
                 there = emit_offset(e, next.b, emit_mul(e, part, line));
    LLVMValueRef is_part = LLVMBuildICmp(e->builder, LLVMIntSLT, part, emit_div_up(e, body, line), "");
    m->next = LLVMBuildSelect(e->builder, is_part, there, m->b, "");
}

int64_t panels_unpacked_bytes(const struct panels *p) {
    return p->inputs_max * (p->block_sums ? 1 : p->c.quantized ? 2 : 4);
}

void panels_make_room(struct emitter *e, struct panels *p, int64_t rows, int64_t outputs, int panel) {
    p->unpacked = (struct unpacked){panel, panel * panels_unpacked_bytes(p)};
    p->b_scratch = emit_scratch(e, outputs * panels_unpacked_bytes(p));
    if (p->c.quantized && !p->block_sums) p->wide_rows = emit_scratch(e, rows * 2 * p->inputs_max);
}

/* Where the unpacked panels of outputs `from_block` .. of the block lie. */
static LLVMValueRef unpacked_panel(struct emitter *e, const struct panels *p, LLVMValueRef from_block) {
    LLVMValueRef panel = emit_div(e, from_block, emit_i64(e, p->unpacked.outputs));
    return emit_offset(e, p->b_scratch, emit_mul(e, panel, emit_i64(e, p->unpacked.panel_bytes)));
}

void panels_unpack_outputs(struct emitter *e, const struct panels *p, LLVMValueRef begin, LLVMValueRef end,
                           const struct index *at) {
    struct emit_loop panels;
    struct micro m = {
        .atom = p->atom,
        .vectors = TILE_OUTPUTS / e->lanes,
        .lanes = e->lanes,
        .inputs = inputs_count(e, p),
        .block_sums = p->block_sums};
    emit_loop_begin(e, &panels, begin, end, TILE_OUTPUTS, 0, NULL);
    panels_outputs(e, p, panels.counter, begin, at, &m);
    micro_unpack(e, &m, &p->unpacked, unpacked_panel(e, p, emit_sub(e, panels.counter, begin)));
    emit_loop_end(e, &panels, NULL);
}

void panels_unpacked(struct emitter *e, const struct panels *p, LLVMValueRef first, LLVMValueRef block_begin,
                     const struct index *at, struct micro *m) {
    LLVMValueRef from_block = emit_sub(e, first, block_begin), there = unpacked_panel(e, p, from_block);
    if (!p->c.quantized) {
        m->b = there;
        m->b_type = DTYPE_F32;
        m->b_step = emit_i64(e, 4 * p->unpacked.outputs);
        return;
    }
    LLVMValueRef column =
        emit_rem(e, from_block, emit_i64(e, TILE_OUTPUTS)); /* scales are read where they are */
    panels_outputs(e, p, emit_sub(e, first, column), block_begin, at, m);
    m->b = emit_offset(e, m->b, emit_mul(e, column, emit_i64(e, dtype_bytes(tile_scale_type(p->tile)))));
    m->wide = there;
}

void panels_share_inputs(struct emitter *e, const struct panels *p, LLVMValueRef part, LLVMValueRef parts,
                         struct micro *m) {
    LLVMValueRef stretch = emit_i64(e, TILE_INPUTS), inputs = m->inputs;
    LLVMValueRef blocks = emit_div_up(e, emit_div_up(e, inputs, stretch), parts);
    LLVMValueRef block = emit_mul(e, part, blocks), first = emit_min(e, emit_mul(e, block, stretch), inputs);
    m->inputs = emit_min(e, emit_sub(e, inputs, first), emit_mul(e, blocks, stretch));
    LLVMValueRef group =
        p->tile ? emit_div(e, first, stretch) : emit_div(e, first, emit_i64(e, atom_info(m->atom)->k));
    m->b = emit_offset(e, m->b, emit_mul(e, group, m->b_step));
    for (int r = 0; r < m->rows; r++) {
        m->a[r] = emit_offset(e, m->a[r], emit_mul(e, first, emit_i64(e, dtype_bytes(m->a_type))));
        if (!p->c.quantized) continue;
        LLVMValueRef bytes = emit_mul(e, emit_div(e, first, stretch), emit_i64(e, 4));
        m->scales[r] = emit_offset(e, m->scales[r], bytes);
        m->totals[r] = emit_offset(e, m->totals[r], bytes);
    }
}
