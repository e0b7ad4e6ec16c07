/* Chunks of operands: copied where they lie whole in memory, else made of what emit_value gives for each
 * element, which sees through views and rounds to the atom's type. */
#include "backend/simt_operand.h"
#include "backend/emit_family.h"
#include "backend/simt.h"
#include "backend/tile.h"

typedef LLVMValueRef V;

int chunk_inputs(enum atom atom) { return CHUNK_BYTES / dtype_bytes(atom_info(atom)->a); }

static V inputs_of(struct emitter *e, const struct contraction *c) {
    return contraction_count(e, c, &c->inputs);
}

static bool is_multiple(V count, int64_t of) {
    return LLVMIsAConstantInt(count) && LLVMConstIntGetSExtValue(count) % of == 0;
}

V mma_chunks(struct emitter *e, const struct contraction *c, enum atom atom) {
    return emit_div_up(e, inputs_of(e, c), emit_i64(e, chunk_inputs(atom)));
}

V mma_lines(struct emitter *e, const struct mma_operand *o) { return contraction_count(e, o->c, &o->lines); }

struct index mma_limit(struct emitter *e, struct index i, V last) {
    V lanes = index_vector(e, &i, e->lanes);
    return (struct index){.vector = emit_min(e, lanes, emit_splat(e, last, e->lanes)), .align = 1};
}

/* ---- what lies right ---- */

/* Rows of whole chunks in the atom's type, as a kernel writes them. */
static const struct buffer *plain_rows(struct emitter *e, const struct mma_operand *o) {
    const struct value *v = below_reshapes(o->value);
    int last = o->access->rank - 1;
    int64_t inputs;
    bool along = o->c->inputs.count == 1 && access_axis(o->access, o->c->inputs.loops[0]) == last &&
                 o->access->axes[last].count == 1 && o->access->axes[last].terms[0].coefficient == 1;
    if (v->def || !along || !extent_is_const(o->c->map->loops[o->c->inputs.loops[0]].extent, &inputs) ||
        inputs % chunk_inputs(o->atom))
        return NULL;
    const struct buffer *b = &e->operands[v->index];
    return !b->layout && !b->stored && v->type.dtype == atom_info(o->atom)->a ? b : NULL;
}

/* A weight in chunks. */
static const struct buffer *packed_chunks(struct emitter *e, const struct contraction *c, enum atom atom) {
    const struct buffer *b = c->b_value->def ? NULL : &e->operands[c->b_value->index];
    if (!b || !b->stored || c->b_inputs < 0 || format_info(b->format)->dtype != atom_info(atom)->a ||
        tile_format(b->format))
        return NULL;
    struct layout wanted = layout_of_chunks(b->type.rank, c->b_outputs, c->b_inputs, chunk_inputs(atom));
    return b->layout && layout_equal(b->layout, &wanted) ? b : NULL;
}

struct mma_operand mma_operand_a(struct emitter *e, const struct contraction *c, enum atom atom) {
    struct mma_operand o = {
        .c = c, .atom = atom, .value = c->node->operands[c->a], .access = &c->map->operands[c->a]};
    o.lines = c->rows;
    o.buffer = plain_rows(e, &o);
    return o;
}

struct mma_operand mma_operand_b(struct emitter *e, const struct contraction *c, enum atom atom) {
    struct mma_operand o = {.c = c, .atom = atom, .value = c->b_value, .access = &c->b_access};
    o.lines = (struct loop_list){1, {c->outputs}};
    o.buffer = packed_chunks(e, c, atom);
    o.packed = o.buffer != NULL;
    if (!o.buffer) o.buffer = plain_rows(e, &o);
    return o;
}

/* ---- where a chunk is ---- */

/* Indices of the loops of a list from a flat number by lane. */
static void unflatten(struct emitter *e, const struct mma_operand *o, const struct loop_list *list,
                      struct index flat, struct index *at) {
    for (int i = list->count - 1; i > 0; i--) {
        const struct extent *n = o->c->map->loops[list->loops[i]].extent;
        at[list->loops[i]] = index_rem(e, flat, n, e->lanes);
        flat = index_div(e, flat, n, e->lanes);
    }
    if (list->count) at[list->loops[0]] = flat;
}

struct point mma_point(struct emitter *e, const struct mma_operand *o, struct index *at, struct index line,
                       struct index input) {
    struct point p;
    unflatten(e, o, &o->lines, line, at);
    unflatten(e, o, &o->c->inputs, input, at);
    contraction_point(e, o->access, at, e->lanes, &p);
    return p;
}

/* Bytes from the buffer's start. */
static struct index address_of(struct emitter *e, const struct mma_operand *o, const struct point *p) {
    struct index element = o->packed ? emit_position(e, o->buffer, p)
                                     : point_flatten(e, &o->value->type, p, 0, o->value->type.rank);
    return index_scale_by(e, element, dtype_bytes(atom_info(o->atom)->a), e->lanes);
}

/* Lanes whose input is one, NULL: all; the others' becomes the last that there is. */
static V limit_inputs(struct emitter *e, const struct mma_operand *o, struct index *input) {
    V count = inputs_of(e, o->c);
    if (o->packed || is_multiple(count, (int64_t)STEP_CHUNKS * chunk_inputs(o->atom))) return NULL;
    V numbers = index_vector(e, input, e->lanes);
    V exists = LLVMBuildICmp(e->builder, LLVMIntSLT, numbers, emit_splat(e, count, e->lanes), "");
    *input = mma_limit(e, *input, emit_sub(e, count, emit_i64(e, 1)));
    return exists;
}

static struct index first_input(struct emitter *e, const struct mma_operand *o, struct index chunk) {
    return index_scale_by(e, chunk, chunk_inputs(o->atom), e->lanes);
}

/* Where a chunk is in the buffer; where there is none, some that is. */
static struct index place_of(struct emitter *e, const struct mma_operand *o, struct index *at,
                             struct index line, struct index chunk, V *exists) {
    struct index input = first_input(e, o, chunk);
    *exists = limit_inputs(e, o, &input);
    if (*exists) { /* the last input's chunk */
        input = index_scale_by(e, index_div_by(e, input, chunk_inputs(o->atom), e->lanes),
                               chunk_inputs(o->atom), e->lanes);
    }
    struct point p = mma_point(e, o, at, line, input);
    return address_of(e, o, &p);
}

V mma_chunk_place(struct emitter *e, const struct mma_operand *o, struct index *at, V line, V chunk) {
    struct point p = mma_point(e, o, at, index_uniform(line), first_input(e, o, index_uniform(chunk)));
    return address_of(e, o, &p).base;
}

/* ---- chunks ---- */

static V element(struct emitter *e, const struct mma_operand *o, struct index *at, struct index line,
                 struct index input) {
    V exists = limit_inputs(e, o, &input), zero = emit_splat(e, emit_f32(e, 0), e->lanes);
    struct point p = mma_point(e, o, at, line, input);
    V x = emit_value(e, o->value, &p);
    if (!x) return zero;
    x = emit_cast(e, o->value->type.dtype, DTYPE_F32, x);
    return exists ? LLVMBuildSelect(e->builder, exists, x, zero, "") : x;
}

V mma_pair(struct emitter *e, enum dtype t, V low, V high) {
    if (e->threaded) {
        V both = LLVMGetPoison(LLVMVectorType(e->f32, 2));
        LLVMTypeRef halves = LLVMVectorType(t == DTYPE_F16 ? e->f16 : e->bf16, 2);
        both = LLVMBuildInsertElement(e->builder, both, low, emit_i32(e, 0), "");
        both = LLVMBuildInsertElement(e->builder, both, high, emit_i32(e, 1), "");
        return LLVMBuildBitCast(e->builder, LLVMBuildFPTrunc(e->builder, both, halves, ""), e->i32, "");
    }
    LLVMTypeRef words = emit_vector(e, e->i32, e->lanes), bits = emit_vector(e, e->i16, e->lanes);
    low =
        LLVMBuildZExt(e->builder, LLVMBuildBitCast(e->builder, emit_narrow(e, t, low), bits, ""), words, "");
    high =
        LLVMBuildZExt(e->builder, LLVMBuildBitCast(e->builder, emit_narrow(e, t, high), bits, ""), words, "");
    return LLVMBuildOr(e->builder, low, LLVMBuildShl(e->builder, high, emit_constant_like(words, 16), ""),
                       "");
}

static void computed_chunk(struct emitter *e, const struct mma_operand *o, struct index *at,
                           struct index line, struct index chunk, V words[CHUNK_WORDS]) {
    enum dtype t = atom_info(o->atom)->a;
    struct index input = first_input(e, o, chunk);
    V all[CHUNK_BYTES];
    for (int i = 0; i < chunk_inputs(o->atom); i++)
        all[i] = element(e, o, at, line, index_add(e, input, index_constant(e, i), e->lanes));
    for (int i = 0; i < CHUNK_WORDS; i++)
        words[i] = t == DTYPE_F32 ? LLVMBuildBitCast(e->builder, all[i], emit_vector(e, e->i32, e->lanes), "")
                                  : mma_pair(e, t, all[2 * i], all[2 * i + 1]);
}

void mma_load_chunk(struct emitter *e, V from, struct index at, bool constant, V words[CHUNK_WORDS]) {
    if (e->threaded) {
        V whole = emit_load_aligned(e, LLVMVectorType(e->i32, CHUNK_WORDS),
                                    emit_addresses(e, from, at, 1, e->lanes), CHUNK_BYTES, constant);
        for (int i = 0; i < CHUNK_WORDS; i++)
            words[i] = LLVMBuildExtractElement(e->builder, whole, emit_i32(e, i), "");
        return;
    }
    struct index word = index_div_by(e, at, CHUNK_BYTES / CHUNK_WORDS, e->lanes);
    for (int i = 0; i < CHUNK_WORDS; i++)
        words[i] = emit_load_at(e, e->i32, from, index_add(e, word, index_constant(e, i), e->lanes),
                                e->lanes, NULL);
}

void mma_chunk(struct emitter *e, const struct mma_operand *o, struct index *at, struct index line,
               struct index chunk, V words[CHUNK_WORDS]) {
    if (!o->buffer) {
        computed_chunk(e, o, at, line, chunk, words);
        return;
    }
    V exists, none = emit_constant_like(emit_vector(e, e->i32, e->lanes), 0);
    struct index from = place_of(e, o, at, line, chunk, &exists);
    mma_load_chunk(e, o->buffer->base, from, o->buffer->constant, words);
    for (int i = 0; i < CHUNK_WORDS && exists; i++)
        words[i] = LLVMBuildSelect(e->builder, exists, words[i], none, "");
}

void mma_copy_chunk(struct emitter *e, const struct mma_operand *o, struct index *at, struct index line,
                    struct index chunk, V to, struct index to_at) {
    V exists;
    struct index from = place_of(e, o, at, line, chunk, &exists);
    simt_copy_async(e, to, to_at, o->buffer->base, from, exists);
}

void mma_store_chunk(struct emitter *e, V to, struct index at, const V words[CHUNK_WORDS]) {
    if (e->threaded) {
        V whole = LLVMGetPoison(LLVMVectorType(e->i32, CHUNK_WORDS));
        for (int i = 0; i < CHUNK_WORDS; i++)
            whole = LLVMBuildInsertElement(e->builder, whole, words[i], emit_i32(e, i), "");
        V store = LLVMBuildStore(e->builder, whole, emit_addresses(e, to, at, 1, e->lanes));
        LLVMSetAlignment(store, CHUNK_BYTES);
        return;
    }
    struct index word = index_div_by(e, at, CHUNK_BYTES / CHUNK_WORDS, e->lanes);
    for (int i = 0; i < CHUNK_WORDS; i++)
        emit_store_at(e, words[i], to, index_add(e, word, index_constant(e, i), e->lanes), e->lanes, NULL);
}
