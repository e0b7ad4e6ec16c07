/* Few rows by mma.sync: weights go straight from memory into fragments, since nobody else reads them.
 *
 *     A, 16 rows x 32 bytes    lane l has rows l/4, l/4 + 8, of each words l%4 and 4 + l%4
 *     B, 32 bytes x 8 outputs  lane l has output l/4, the same words
 *     C, 16 rows x 8 outputs   lane l has rows l/4, l/4 + 8 at outputs 2(l%4), + 1
 *
 * (PTX ISA, "Matrix Fragments for mma".) Which inputs a word stands for does not matter as long as A and B
 * agree: so a lane loads a chunk of 16 bytes, number l%4 of a group of four, and its first two words make one
 * product, the others the next. */
#include "backend/simt_mma.h"
#include "backend/simt.h"

enum { PRODUCTS = 2 /* of a group */ };

typedef LLVMValueRef V;

/* Two sums of a lane, neighbours. Stored as one, 16 lanes at a time use all banks of shared memory, if a row
 * is 8 banks from the next. */
static void store_pair(struct emitter *e, const V *pair, V to, struct index at) {
    if (!e->threaded) {
        emit_store_at(e, pair[0], to, at, e->lanes, NULL);
        emit_store_at(e, pair[1], to, index_add(e, at, index_constant(e, 1), e->lanes), e->lanes, NULL);
        return;
    }
    V both = LLVMGetPoison(LLVMVectorType(e->f32, 2));
    for (int i = 0; i < 2; i++) both = LLVMBuildInsertElement(e->builder, both, pair[i], emit_i32(e, i), "");
    LLVMSetAlignment(LLVMBuildStore(e->builder, both, emit_addresses(e, to, at, 4, e->lanes)), 8);
}

void mma_store_sums(struct emitter *e, const V *tiles, int rows, int outputs, V row, V output,
                    const struct mma_sums *sums) {
    struct index lane = simt_lanes(e),
                 own = index_scale_by(e, index_div_by(e, lane, 4, e->lanes), sums->stride, e->lanes);
    own = index_add(e, own, index_scale_by(e, index_rem_by(e, lane, 4, e->lanes), 2, e->lanes), e->lanes);
    V start = emit_add(e, emit_mul(e, row, emit_i64(e, sums->stride)), output);
    own = index_add(e, own, index_uniform(start), e->lanes);
    for (int i = 0; i < rows / MMA_ROWS; i++)
        for (int j = 0; j < outputs / MMA_OUTPUTS; j++, tiles += MMA_SUMS)
            for (int half = 0; half < 2; half++) {
                int64_t there = (i * MMA_ROWS + half * 8) * sums->stride + (int64_t)j * MMA_OUTPUTS;
                store_pair(e, &tiles[2 * half], sums->to,
                           index_add(e, own, index_constant(e, there), e->lanes));
            }
}

/* Line `first` + l/4 of an operand, chunk l%4 of a group. */
static void load_lines(struct emitter *e, const struct mma_operand *o, struct index *at, V first, V last,
                       V group, V *words) {
    struct index lane = simt_lanes(e),
                 line = index_add(e, index_uniform(first), index_div_by(e, lane, 4, e->lanes), e->lanes);
    struct index chunk = {emit_mul(e, group, emit_i64(e, MMA_GROUP_CHUNKS)), 0, MMA_GROUP_CHUNKS, NULL};
    chunk = index_add(e, chunk, index_rem_by(e, lane, 4, e->lanes), e->lanes);
    mma_chunk(e, o, at, mma_limit(e, line, last), chunk, words);
}

void emit_mma_few(struct emitter *e, const struct mma_product *p, const struct mma_sums *sums) {
    int tiles = p->outputs / MMA_OUTPUTS, count = tiles * MMA_SUMS;
    V state[MAX_CARRIED], one = emit_i64(e, 1), low[CHUNK_WORDS], high[CHUNK_WORDS], b[CHUNK_WORDS];
    V last_row = emit_sub(e, p->rows_end, one), last = emit_sub(e, mma_lines(e, p->b), one);
    if (count > MAX_CARRIED) ice("few rows by %d outputs are too many", p->outputs);
    for (int i = 0; i < count; i++) state[i] = emit_splat(e, emit_f32(e, 0), e->lanes);
    struct emit_loop groups;
    emit_loop_begin(e, &groups, p->begin, p->end, 1, count, state);
    for (int i = 0; i < count; i++) state[i] = groups.carried[i];
    load_lines(e, p->a, p->at, p->row, last_row, groups.counter, low);
    load_lines(e, p->a, p->at, emit_add(e, p->row, emit_i64(e, 8)), last_row, groups.counter, high);
    for (int t = 0; t < tiles; t++) {
        load_lines(e, p->b, p->at, emit_add(e, p->output, emit_i64(e, (int64_t)t * MMA_OUTPUTS)), last,
                   groups.counter, b);
        for (int i = 0; i < PRODUCTS; i++) {
            V a[] = {low[2 * i], high[2 * i], low[2 * i + 1], high[2 * i + 1]};
            simt_mma(e, p->b->atom, a, &b[2 * i], &state[t * MMA_SUMS]);
        }
    }
    emit_loop_end(e, &groups, state);
    mma_store_sums(e, groups.carried, MMA_ROWS, p->outputs, emit_i64(e, 0), emit_i64(e, 0), sums);
}
