/* Queries, keys and values as the register tiles of attention read them. Keys and values are read in place
 * where the layout pass has laid them out so; else a part of them is brought into scratch, once for all rows
 * of the unit. */
#include "backend/attention.h"
#include "backend/emit_family.h"
#include "ir/layout.h"
#include "ir/number.h"

/* ---- elements of q, k, v ---- */

/* q, k, v at [batch,] position, head, dim .. dim + lanes, as f32, 0 beyond the head. */
static LLVMValueRef tensor_at(struct emitter *e, const struct attention *a, struct value *v,
                              LLVMValueRef position, LLVMValueRef head, LLVMValueRef dim) {
    struct point p = {.lanes = e->lanes};
    if (a->sdpa.batched) p.at[p.rank++] = index_uniform(a->sdpa.batch);
    p.at[p.rank++] = index_uniform(position);
    p.at[p.rank++] = index_uniform(head);
    p.at[p.rank++] = index_lanes(dim, e->lanes);
    int64_t extent = v == a->sdpa.v ? a->sdpa.value_dim : a->sdpa.dim;
    if (extent % ((int64_t)e->lanes * a->group_of_atom))
        p.mask = p.tail = emit_tail_mask(e, dim, emit_i64(e, extent), e->lanes);
    LLVMValueRef value = emit_cast(e, v->type.dtype, DTYPE_F32, emit_value(e, v, &p));
    if (!p.mask) return value;
    return LLVMBuildSelect(e->builder, p.mask, value, LLVMConstNull(LLVMTypeOf(value)), "");
}

/* Scaled for exponentials in base 2. All at once: rows that lie far apart are then waited for together. */
void attention_find_queries(struct emitter *e, const struct attention *a) {
    LLVMValueRef factor = emit_splat(e, emit_f32(e, a->sdpa.scale * LOG2_E), e->lanes);
    struct emit_loop rows;
    emit_loop_begin(e, &rows, emit_i64(e, 0), a->rows, 1, 0, NULL);
    LLVMValueRef query = attention_query(e, a, rows.counter), head = attention_head(e, a, rows.counter);
    LLVMValueRef to = emit_mul(e, rows.counter, emit_i64(e, a->padded));
    for (int64_t dim = 0; dim < a->padded; dim += e->lanes) {
        LLVMValueRef at = emit_i64(e, dim);
        LLVMValueRef q = LLVMBuildFMul(e->builder, tensor_at(e, a, a->sdpa.q, query, head, at), factor, "");
        emit_store_lanes(e, emit_narrow(e, a->type, q),
                         attention_factor(e, a, a->q_rows, emit_add(e, to, at)), NULL);
    }
    emit_loop_end(e, &rows, NULL);
}

/* ---- parts brought into scratch ---- */

/* a0 b0 a1 b1 ... of vectors of 16 bits, or their concatenation, as 32-bit lanes. */
static LLVMValueRef pairs_of(struct emitter *e, LLVMValueRef a, LLVMValueRef b, bool interleaved) {
    LLVMValueRef order[2 * MAX_LANES];
    int n = e->lanes;
    for (int i = 0; i < 2 * n; i++) order[i] = emit_i32(e, interleaved ? i % 2 * n + i / 2 : i);
    LLVMValueRef both =
        LLVMBuildShuffleVector(e->builder, a, b, LLVMConstVector(order, (unsigned)(2 * n)), "");
    return LLVMBuildBitCast(e->builder, both, emit_vector(e, e->i32, n), "");
}

/* Transposes lanes x lanes elements held in `rows`: log2(lanes) perfect shuffles of rows and lanes at once.
 */
static void transpose(struct emitter *e, LLVMValueRef *rows) {
    LLVMValueRef order[2][MAX_LANES], next[MAX_LANES];
    int n = e->lanes;
    for (int side = 0; side < 2; side++)
        for (int l = 0; l < n; l++) order[side][l] = emit_i32(e, side * (n / 2) + l / 2 + l % 2 * n);
    LLVMValueRef low = LLVMConstVector(order[0], (unsigned)n), high = LLVMConstVector(order[1], (unsigned)n);
    for (int width = 1; width < n; width *= 2) {
        for (int i = 0; i < n / 2; i++) {
            next[2 * i] = LLVMBuildShuffleVector(e->builder, rows[i], rows[i + n / 2], low, "");
            next[2 * i + 1] = LLVMBuildShuffleVector(e->builder, rows[i], rows[i + n / 2], high, "");
        }
        for (int i = 0; i < n; i++) rows[i] = next[i];
    }
}

/* Groups of dims dim .. of one key: a vector of groups. */
static LLVMValueRef groups_of_key(struct emitter *e, const struct attention *a, LLVMValueRef key,
                                  LLVMValueRef dim) {
    LLVMValueRef low = tensor_at(e, a, a->sdpa.k, key, a->sdpa.key_head, dim);
    if (a->group_of_atom == 1) return low;
    LLVMValueRef high =
        tensor_at(e, a, a->sdpa.k, key, a->sdpa.key_head, emit_add(e, dim, emit_i64(e, e->lanes)));
    return pairs_of(e, emit_narrow(e, a->type, low), emit_narrow(e, a->type, high), false);
}

static int64_t packed_rows(const struct emitter *e, const struct attention *a) {
    return round_up(a->sdpa.dim, (int64_t)e->lanes * a->group_of_atom) / a->group_of_atom;
}

/* How much of `extent` a loop's body takes: all, written out, if it is few vectors, so that a row's address is found once and its loads are
 * under way together. */
static int64_t written_out(const struct emitter *e, int64_t extent) {
    enum { FEW = 8 };
    return extent <= (int64_t)FEW * e->lanes ? extent : e->lanes;
}

/* Panels of keys in scratch; keys past the last repeat it, and their scores are hidden. */
static void pack_keys(struct emitter *e, const struct attention *a, const struct attention_part *part) {
    LLVMValueRef rows[MAX_LANES], last = emit_sub(e, part->visible, emit_i64(e, 1)),
                                  panel = emit_i64(e, PANEL_KEYS);
    int64_t extent = packed_rows(e, a), body = written_out(e, extent);
    struct emit_loop keys, groups;
    emit_loop_begin(e, &keys, emit_i64(e, 0), part->count, e->lanes, 0, NULL);
    LLVMValueRef to = emit_mul(e, emit_div(e, keys.counter, panel), emit_i64(e, extent));
    emit_loop_begin(e, &groups, emit_i64(e, 0), emit_i64(e, extent), body, 0, NULL);
    for (int64_t i = 0; i < body; i += e->lanes) {
        LLVMValueRef group = emit_add(e, groups.counter, emit_i64(e, i));
        for (int l = 0; l < e->lanes; l++) {
            LLVMValueRef key = emit_add(e, emit_add(e, part->first, keys.counter), emit_i64(e, l));
            LLVMValueRef dim = emit_mul(e, group, emit_i64(e, a->group_of_atom));
            rows[l] = groups_of_key(e, a, emit_min(e, key, last), dim);
        }
        transpose(e, rows);
        for (int l = 0; l < e->lanes; l++) {
            LLVMValueRef row = emit_add(e, emit_add(e, to, group), emit_i64(e, l));
            LLVMValueRef at = emit_add(e, emit_mul(e, row, panel), emit_rem(e, keys.counter, panel));
            emit_store_lanes(e, rows[l], attention_float(e, a->k_block, at), NULL);
        }
    }
    emit_loop_end(e, &groups, NULL);
    emit_loop_end(e, &keys, NULL);
}

/* A key's values, 0 if the part has no such key. */
static LLVMValueRef values_of_key(struct emitter *e, const struct attention *a,
                                  const struct attention_part *part, LLVMValueRef key, LLVMValueRef dim) {
    LLVMValueRef last = emit_sub(e, part->count, emit_i64(e, 1));
    LLVMValueRef position = emit_add(e, part->first, emit_min(e, key, last));
    LLVMValueRef v = tensor_at(e, a, a->sdpa.v, position, a->sdpa.key_head, dim);
    LLVMValueRef exists = LLVMBuildICmp(e->builder, LLVMIntSLE, key, last, "");
    return emit_narrow(e, a->type, LLVMBuildSelect(e->builder, exists, v, LLVMConstNull(LLVMTypeOf(v)), ""));
}

/* Values in scratch up to a whole step of the product's loop. */
static void pack_values(struct emitter *e, const struct attention *a, const struct attention_part *part,
                        LLVMValueRef whole) {
    int k = a->group_of_atom;
    int64_t body = written_out(e, a->value_padded);
    LLVMValueRef padded = emit_i64(e, a->value_padded);
    struct emit_loop keys, dims;
    emit_loop_begin(e, &keys, emit_i64(e, 0), whole, k, 0, NULL);
    LLVMValueRef to = emit_mul(e, emit_div(e, keys.counter, emit_i64(e, k)), padded),
                 next = emit_add(e, keys.counter, emit_i64(e, 1));
    emit_loop_begin(e, &dims, emit_i64(e, 0), padded, body, 0, NULL);
    for (int64_t i = 0; i < body; i += e->lanes) {
        LLVMValueRef dim = emit_add(e, dims.counter, emit_i64(e, i)),
                     v = values_of_key(e, a, part, keys.counter, dim);
        if (k == 2) v = pairs_of(e, v, values_of_key(e, a, part, next, dim), true);
        emit_store_lanes(e, v, attention_float(e, a->v_block, emit_add(e, to, dim)), NULL);
    }
    emit_loop_end(e, &dims, NULL);
    emit_loop_end(e, &keys, NULL);
}

/* `count` elements as f32 into scratch, where they lie as they did. */
static void widen(struct emitter *e, const struct attention_source *from, LLVMValueRef count,
                  LLVMValueRef to) {
    struct emit_loop loop;
    emit_loop_begin(e, &loop, emit_i64(e, 0), count, e->lanes, 0, NULL);
    LLVMValueRef at =
        emit_offset(e, from->base, emit_mul(e, loop.counter, emit_i64(e, dtype_bytes(from->type))));
    LLVMValueRef v = emit_load_lanes(e, emit_type(e, from->type), at, e->lanes, NULL);
    emit_store_lanes(e, emit_widen(e, from->type, v), attention_float(e, to, loop.counter), NULL);
    emit_loop_end(e, &loop, NULL);
}

/* ---- in place ---- */

/* The buffer that keys or values are rows of: the operand itself, or one whose batch rows ids choose; else
 * NULL. */
static const struct buffer *source_of(struct emitter *e, const struct value *v) {
    const struct node *n = v->def;
    bool rows = n && n->op == OP_gather && node_attr(n, "axis")->i == 0 && n->operands[0]->type.rank == 4;
    if (rows) v = n->operands[0];
    return v->def ? NULL : &e->operands[v->index];
}

LLVMValueRef attention_source_row(struct emitter *e, const struct attention *a, const struct value *v) {
    if (!v->def || !source_of(e, v)) return a->sdpa.batch;
    struct value *ids = v->def->operands[1];
    struct point p = {.rank = ids->type.rank, .lanes = 1, .at = {index_uniform(a->sdpa.batch)}};
    return emit_index_value(e, ids, &p);
}

/* Whether an operand is a buffer of floats that the products' atom can read, in the layout of keys or of
 * values. */
static bool lies_so(struct emitter *e, const struct attention *a, const struct value *v,
                    struct layout (*layout_of)(int rank, int group), struct attention_source *s) {
    const struct buffer *b = source_of(e, v);
    if (!b || (b->stored && b->format > FORMAT_bf16)) return false;
    struct layout wanted = layout_of(b->type.rank, a->group_of_atom);
    if (!layout_equal(b->layout, &wanted)) return false;
    s->type = b->stored ? (enum dtype)b->format : b->type.dtype;
    s->base = b->base;
    s->in_place = true;
    return a->group_of_atom == 1 ? s->type == DTYPE_F32 || s->type == DTYPE_F16 || s->type == DTYPE_BF16
                                 : s->type == a->type;
}

/* Number of a source's batch row and the unit's key head, outermost in both layouts. */
static LLVMValueRef head_number(struct emitter *e, const struct attention *a, LLVMValueRef row) {
    return emit_add(e, emit_mul(e, row, a->sdpa.key_heads), a->sdpa.key_head);
}

/* Whether the unit has a tile of all rows, so that a part is read often enough to be converted once. */
static LLVMValueRef has_whole_tile(struct emitter *e, const struct attention *a) {
    return LLVMBuildICmp(e->builder, LLVMIntSGT, a->rows, emit_i64(e, a->tile_rows / 2), "");
}

/* Tiles of all rows read f32: converts what lies narrower. */
static void convert(struct emitter *e, const struct attention *a, struct attention_source *s,
                    LLVMValueRef count, LLVMValueRef block) {
    struct emit_if many;
    s[SOURCE_MANY] = s[SOURCE_FEW];
    if (s->type == a->type) return;
    emit_if_begin(e, &many, has_whole_tile(e, a));
    widen(e, &s[SOURCE_FEW], count, block);
    emit_if_end(e, &many);
    s[SOURCE_MANY].type = DTYPE_F32;
    s[SOURCE_MANY].base = block;
}

static void find_keys(struct emitter *e, const struct attention *a, struct attention_part *part) {
    struct attention_source *s = part->keys;
    if (!lies_so(e, a, a->sdpa.k, layout_of_keys, &s[SOURCE_FEW])) {
        part->panel_rows = packed_rows(e, a);
        pack_keys(e, a, part);
        s[SOURCE_MANY] = s[SOURCE_FEW] = (struct attention_source){.base = a->k_block, .type = a->type};
        return;
    }
    part->panel_rows = round_up(a->sdpa.dim, a->group_of_atom) / a->group_of_atom;
    int64_t panel = part->panel_rows * a->group_of_atom * PANEL_KEYS;
    LLVMValueRef number = emit_add(e,
                                   emit_mul(e, head_number(e, a, a->keys_row),
                                            emit_div_up(e, a->sdpa.key_count, emit_i64(e, PANEL_KEYS))),
                                   emit_div(e, part->first, emit_i64(e, PANEL_KEYS)));
    s[SOURCE_FEW].base = emit_offset(
        e, s[SOURCE_FEW].base, emit_mul(e, number, emit_i64(e, panel * dtype_bytes(s[SOURCE_FEW].type))));
    LLVMValueRef panels = emit_div_up(e, part->count, emit_i64(e, PANEL_KEYS));
    convert(e, a, s, emit_mul(e, panels, emit_i64(e, panel)), a->k_block);
}

/* The last step of the product with values in place: what is not there reads as 0, whatever lies behind. */
static void copy_tail(struct emitter *e, const struct attention *a, const struct attention_part *part,
                      const struct attention_source *s) {
    struct emit_if cut;
    struct emit_loop dims;
    int k = a->group_of_atom;
    LLVMTypeRef group = k == 2 ? e->i32 : dtype_bytes(s->type) == 2 ? e->i16 : e->i32;
    LLVMValueRef left = emit_sub(e, part->count, s->whole), padded = emit_i64(e, a->value_padded);
    LLVMValueRef bytes = emit_i64(e, k * dtype_bytes(s->type)), none = LLVMConstNull(group);
    emit_if_begin(e, &cut, LLVMBuildICmp(e->builder, LLVMIntSGT, left, emit_i64(e, 0), ""));
    LLVMValueRef first = emit_div(e, s->whole, emit_i64(e, k)),
                 last = emit_sub(e, emit_div_up(e, part->count, emit_i64(e, k)), emit_i64(e, 1));
    emit_loop_begin(e, &dims, emit_i64(e, 0), padded, e->lanes, 0, NULL);
    for (int i = 0; i < a->unroll; i++) {
        LLVMValueRef number = emit_min(e, emit_add(e, first, emit_i64(e, i)), last);
        LLVMValueRef from = emit_add(e, emit_mul(e, number, padded), dims.counter);
        LLVMValueRef to = emit_add(e, emit_i64(e, i * a->value_padded), dims.counter);
        LLVMValueRef v =
            emit_load_lanes(e, group, emit_offset(e, s->base, emit_mul(e, from, bytes)), e->lanes, NULL);
        LLVMValueRef some = LLVMBuildICmp(e->builder, LLVMIntSGT, left, emit_i64(e, (int64_t)i * k), "");
        LLVMValueRef all =
            LLVMBuildICmp(e->builder, LLVMIntSGT, left, emit_i64(e, (int64_t)i * k + k - 1), "");
        LLVMValueRef part_of = k == 2 ? LLVMConstInt(group, 0xffff, 0) : none;
        LLVMValueRef mask = LLVMBuildSelect(e->builder, some, part_of, none, "");
        mask = LLVMBuildSelect(e->builder, all, LLVMConstAllOnes(group), mask, "");
        v = LLVMBuildAnd(e->builder, v, emit_splat(e, mask, e->lanes), "");
        emit_store_lanes(e, v, emit_offset(e, a->v_tail, emit_mul(e, to, bytes)), NULL);
    }
    emit_loop_end(e, &dims, NULL);
    emit_if_end(e, &cut);
}

/* Zeros for keys from .. to of v_block, in f32. */
static void clear(struct emitter *e, const struct attention *a, LLVMValueRef from, LLVMValueRef to) {
    LLVMValueRef dim = emit_i64(e, a->sdpa.value_dim), none = LLVMConstNull(emit_vector(e, e->f32, e->lanes));
    struct emit_loop loop;
    emit_loop_begin(e, &loop, emit_mul(e, from, dim), emit_mul(e, to, dim), e->lanes, 0, NULL);
    emit_store_lanes(e, none, attention_float(e, a->v_block, loop.counter), NULL);
    emit_loop_end(e, &loop, NULL);
}

static void find_values(struct emitter *e, const struct attention *a, struct attention_part *part) {
    struct attention_source *s = part->values;
    int64_t step = (int64_t)a->unroll * a->group_of_atom;
    LLVMValueRef up = emit_mul(e, emit_div_up(e, part->count, emit_i64(e, step)), emit_i64(e, step));
    if (a->value_padded != a->sdpa.value_dim || !lies_so(e, a, a->sdpa.v, layout_of_values, &s[SOURCE_FEW])) {
        pack_values(e, a, part, up);
        s[SOURCE_MANY] = s[SOURCE_FEW] =
            (struct attention_source){.base = a->v_block, .type = a->type, .whole = up};
        return;
    }
    LLVMValueRef groups = emit_div_up(e, a->sdpa.key_count, emit_i64(e, a->group_of_atom));
    LLVMValueRef number = emit_add(e, emit_mul(e, head_number(e, a, a->values_row), groups),
                                   emit_div(e, part->first, emit_i64(e, a->group_of_atom)));
    int64_t bytes = a->sdpa.value_dim * a->group_of_atom * dtype_bytes(s[SOURCE_FEW].type);
    s[SOURCE_FEW].base = emit_offset(e, s[SOURCE_FEW].base, emit_mul(e, number, emit_i64(e, bytes)));
    s[SOURCE_FEW].whole = emit_mul(e, emit_div(e, part->count, emit_i64(e, step)), emit_i64(e, step));
    copy_tail(e, a, part, &s[SOURCE_FEW]);
    convert(e, a, s, emit_mul(e, part->count, emit_i64(e, a->sdpa.value_dim)), a->v_block);
    if (s[SOURCE_MANY].type == s[SOURCE_FEW].type) return;
    clear(e, a, part->count, up);
    s[SOURCE_MANY].in_place = false; /* converted values have no tail elsewhere: zeros lie behind them */
    s[SOURCE_MANY].whole = up;
}

void attention_find_part(struct emitter *e, const struct attention *a, LLVMValueRef first,
                         LLVMValueRef visible, struct attention_part *part) {
    *part = (struct attention_part){.first = first, .visible = visible};
    part->count = emit_min(e, emit_sub(e, visible, first), emit_i64(e, a->keys));
    find_keys(e, a, part);
    find_values(e, a, part);
}

void attention_reserve_operands(struct emitter *e, struct attention *a) {
    int64_t group = a->group_of_atom * dtype_bytes(a->type), keys = round_up(a->keys, PANEL_KEYS);
    a->q_rows = emit_scratch(e, attention_rows(a) * a->padded * dtype_bytes(a->type));
    a->k_block = emit_scratch(e, packed_rows(e, a) * keys * group);
    a->v_block = emit_scratch(e, a->value_padded * round_up(a->keys, (int64_t)a->unroll * a->group_of_atom) *
                                     dtype_bytes(a->type));
    a->v_tail = emit_scratch(e, a->unroll * a->value_padded * group);
}
