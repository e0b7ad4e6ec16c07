/* Tiles of keys and values in shared memory: columns of chunks, `[chunk of 8 dims][key][16 bytes]`.
 *
 * Eight keys of a column are 128 neighbouring bytes, all banks: what ldmatrix reads at a time. What eight
 * neighbouring lanes store at a time are G chunks of 8 / G keys, as many chunks as divide a row evenly (8 of
 * 64 dims), and behind each column is room for 8 / G keys: so they too are in different banks. */
#include "backend/simt_attention_tile.h"
#include "backend/emit_family.h"
#include "backend/simt.h"
#include "backend/simt_operand.h"
#include "ir/number.h"

enum { CHUNK_DIMS = 8, OCTET = 8 /* lanes whose 16 bytes are all banks */ };

typedef LLVMValueRef V;

static int together(int chunks) { return (int)greatest_common_divisor(chunks, OCTET); }

/* A buffer whose heads are whole chunks, as a kernel writes them. */
static const struct buffer *plain_heads(struct emitter *e, const struct value *v, int64_t extent,
                                        enum dtype type) {
    v = below_reshapes(v);
    const struct buffer *b = v->def ? NULL : &e->operands[v->index];
    bool fits = b && !b->layout && v->type.dtype == type && extent % CHUNK_DIMS == 0;
    return fits && (!b->stored || b->format == (enum format)type) ? b : NULL;
}

struct attention_side attention_side_of(struct emitter *e, struct value *v, int64_t extent, enum dtype type,
                                        int keys) {
    struct attention_side s = {.value = v, .type = type, .extent = extent, .keys = keys};
    s.buffer = plain_heads(e, v, extent, type);
    s.chunks = (int)(round_up(extent, 2 * CHUNK_DIMS) / CHUNK_DIMS);
    s.pitch = (int64_t)(keys + OCTET / together(s.chunks)) * CHUNK_BYTES;
    s.bytes = round_up(s.chunks * s.pitch, 128);
    return s;
}

/* ---- into a tile ---- */

struct unit { /* which chunk of which key of the tile a lane brings */
    struct index key, chunk;
};

static struct unit unit_of(struct emitter *e, const struct attention_side *s, V number) {
    int g = together(s->chunks);
    struct index lane = simt_lanes(e);
    struct index low = index_rem_by(e, lane, OCTET, e->lanes),
                 octet = index_uniform(emit_mul(e, number, emit_i64(e, e->lanes / OCTET)));
    octet = index_add(e, octet, index_div_by(e, lane, OCTET, e->lanes), e->lanes);
    struct index high = index_rem_by(e, octet, s->chunks / g, e->lanes),
                 rest = index_div_by(e, octet, s->chunks / g, e->lanes);
    struct unit u;
    u.chunk = index_add(e, index_rem_by(e, low, g, e->lanes), index_scale_by(e, high, g, e->lanes), e->lanes);
    u.key = index_add(e, index_div_by(e, low, g, e->lanes), index_scale_by(e, rest, OCTET / g, e->lanes),
                      e->lanes);
    return u;
}

static struct index place_in_tile(struct emitter *e, const struct attention_side *s, const struct unit *u,
                                  V slot) {
    struct index at = index_uniform(emit_mul(e, slot, emit_i64(e, s->bytes)));
    at = index_add(e, at, index_scale_by(e, u->chunk, s->pitch, e->lanes), e->lanes);
    return index_add(e, at, index_scale_by(e, u->key, CHUNK_BYTES, e->lanes), e->lanes);
}

static V is_below(struct emitter *e, struct index i, V end) {
    return LLVMBuildICmp(e->builder, LLVMIntSLT, index_vector(e, &i, e->lanes), emit_splat(e, end, e->lanes),
                         "");
}

static void copy(struct emitter *e, const struct simt_attention *a, const struct attention_side *s,
                 struct index key, struct index chunk, V end, struct index to) {
    V exists = is_below(e, key, end);
    if (s->extent % (2 * CHUNK_DIMS)) {
        V there = is_below(e, chunk, emit_i64(e, s->extent / CHUNK_DIMS));
        exists = LLVMBuildAnd(e->builder, exists, there, "");
    }
    struct point p = simt_attention_point(a, key, index_uniform(a->sdpa.key_head),
                                          index_scale_by(e, chunk, CHUNK_DIMS, e->lanes), e->lanes);
    struct index from = point_flatten(e, &s->value->type, &p, 0, p.rank);
    simt_copy_async(e, s->ring, to, s->buffer->base, index_scale_by(e, from, dtype_bytes(s->type), e->lanes),
                    exists);
}

static void compute(struct emitter *e, const struct simt_attention *a, const struct attention_side *s,
                    struct index key, struct index chunk, V end, struct index to) {
    V dims[CHUNK_DIMS], words[CHUNK_WORDS];
    key = mma_limit(e, key, emit_sub(e, end, emit_i64(e, 1)));
    struct index first = index_scale_by(e, chunk, CHUNK_DIMS, e->lanes);
    for (int i = 0; i < CHUNK_DIMS; i++) {
        struct index d = index_add(e, first, index_constant(e, i), e->lanes);
        struct point p = simt_attention_point(a, key, index_uniform(a->sdpa.key_head), d, e->lanes);
        if (s->extent % (2 * CHUNK_DIMS)) p.mask = is_below(e, d, emit_i64(e, s->extent));
        dims[i] = simt_attention_factor(e, a, s->value, &p);
        if (!dims[i]) return;
        V zero = LLVMConstNull(LLVMTypeOf(dims[i]));
        if (p.mask) dims[i] = LLVMBuildSelect(e->builder, p.mask, dims[i], zero, "");
    }
    for (int i = 0; i < CHUNK_WORDS; i++) words[i] = mma_pair(e, s->type, dims[2 * i], dims[2 * i + 1]);
    mma_store_chunk(e, s->ring, to, words);
}

static void bring_unit(struct emitter *e, const struct simt_attention *a, const struct attention_side *s,
                       V first, V end, V slot, V number) {
    struct unit u = unit_of(e, s, number);
    struct index key = index_add(e, index_uniform(first), u.key, e->lanes);
    (s->buffer ? copy : compute)(e, a, s, key, u.chunk, end, place_in_tile(e, s, &u, slot));
}

/* Copies are written out; what is computed has enough loads under way, and registers are few. */
void attention_bring(struct emitter *e, const struct simt_attention *a, const struct attention_side *s,
                     V first, V end, V slot) {
    int units = s->keys * s->chunks / e->lanes; /* of a warp each */
    if (s->buffer && units % e->block_warps == 0) {
        for (int i = 0; i < units; i += e->block_warps)
            bring_unit(e, a, s, first, end, slot, emit_add(e, emit_i64(e, i), e->warp));
        return;
    }
    struct emit_loop loop;
    emit_loop_begin(e, &loop, e->warp, emit_i64(e, units), e->block_warps, 0, NULL);
    bring_unit(e, a, s, first, end, slot, loop.counter);
    emit_loop_end(e, &loop, NULL);
}

/* ---- out of it ---- */

static struct simt_columns columns_of(struct emitter *e, const struct attention_side *s, V slot, int chunk) {
    V bytes = emit_add(e, emit_mul(e, slot, emit_i64(e, s->bytes)), emit_i64(e, chunk * s->pitch));
    return (struct simt_columns){s->ring, bytes, s->pitch};
}

void attention_by_dims(struct emitter *e, const struct attention_side *s, V slot, V key, int chunk,
                       V words[4]) {
    struct simt_columns m = columns_of(e, s, slot, chunk);
    simt_load_matrix(e, s->ring, simt_matrices(e, &m, key, false), words);
}

void attention_by_keys(struct emitter *e, const struct attention_side *s, V slot, V key, int chunk,
                       V words[4]) {
    struct simt_columns m = columns_of(e, s, slot, chunk);
    simt_load_transposed(e, s->ring, simt_matrices(e, &m, key, true), words);
}
