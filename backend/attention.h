/* One unit of attention, between lower_attention.c (units, results), attention_operands.c (queries, keys and
 * values as products read them), attention_tile.c (products) and attention_softmax.c (scores).
 *
 * Keys are walked in parts. A row's softmax is whole within a part, and parts are joined in order, so a row's
 * result does not depend on what other rows there are, nor on who computes a part. All of it lies in the
 * thread's scratch:
 *
 *     q_rows [rows][padded]         queries as factors
 *     k_block, v_block              a part of keys and values, where they cannot be read in place
 *     scores, probabilities         [tile][keys], of one tile of rows
 *     sums [rows][value_padded], largest, total [rows]     what the parts so far have come to, f32
 *
 * Rows are queries x the query heads that share a key head, heads innermost. A tile is as many rows as a
 * register tile has. */
#ifndef BACKEND_ATTENTION_H
#define BACKEND_ATTENTION_H
#include "backend/sdpa.h"

enum { SOURCES = 2, SOURCE_MANY = 0, SOURCE_FEW = 1, ATTENTION_VECTORS = 4, AMX_OUTPUTS = 64 };

struct attention {
    struct sdpa sdpa;
    enum atom atom;               /* of lanes */
    bool amx;                     /* products are made by matrix registers */
    enum dtype type;              /* of both factors of the products */
    int group_of_atom, unroll;    /* inputs multiplied at once; groups written out in a loop */
    int queries, keys;            /* of a block, of a part */
    int tile_rows, vectors;       /* of a register tile; vectors: up to ATTENTION_VECTORS */
    int64_t padded, value_padded; /* a head's extent of queries and keys, of values, in whole vectors */
    LLVMValueRef q_rows, k_block, v_block, v_tail, scores, probabilities, sums, largest, total;
    LLVMValueRef products; /* of matrix registers: a tile's rows by some values, [rows][AMX_OUTPUTS] */
    /* Of a part's keys, where the mask says the same to all rows of a unit (else NULL): i32, -1 if they are seen; its numbers. */
    LLVMValueRef seen, added;
    /* Of a tile's rows: the largest score lane by lane, then whole; factors of the sums before and of the
     * part's; its total. */
    LLVMValueRef lane_largest, part_largest, keep, join, part_total;
    /* The unit at work. */
    LLVMValueRef first_query, rows, past; /* past: keys before query 0, i64 */
    LLVMValueRef keys_row, values_row;    /* batch rows of the buffers that hold them */
    LLVMValueRef row, inverse;            /* of the epilogue; 1 / total */
};

/* Where a part's keys or values lie. */
struct attention_source {
    LLVMValueRef base;
    enum dtype type;
    LLVMValueRef
        whole; /* values: how many can be read there in whole steps of the loop; the others lie in v_tail */
    bool in_place;
};

/* Keys first .. first + count. Keys lie in panels, k[panel][group of dims][PANEL keys][dims of a group],
 * values as v[group of keys][value_padded][keys of a group]. Tiles of all rows read the first source, smaller
 * ones the second: for many rows it pays to convert a part once, for few it does not. */
struct attention_part {
    LLVMValueRef first, count, visible; /* of all keys, those below `visible` exist for some row */
    struct attention_source keys[SOURCES], values[SOURCES];
    int64_t panel_rows; /* groups of dims that a panel has */
};

struct attention_tile {
    LLVMValueRef row;   /* the first */
    int rows;           /* the last ones may be beyond the unit's: nobody reads their results */
    LLVMValueRef count; /* of the part's keys, those that some row sees */
};

/* Rows that there is room for: the most that a unit has, and a tile more, since the last one need not be full. */
int64_t attention_rows(const struct attention *a);
/* Row i of a tile, or the unit's last where there is none. */
LLVMValueRef attention_row(struct emitter *e, const struct attention *a, const struct attention_tile *t,
                           LLVMValueRef i);
LLVMValueRef attention_query(struct emitter *e, const struct attention *a, LLVMValueRef row);
LLVMValueRef attention_head(struct emitter *e, const struct attention *a, LLVMValueRef row);
/* Address of base[index]: floats, and elements of the products' factors. */
LLVMValueRef attention_float(struct emitter *e, LLVMValueRef base, LLVMValueRef index);
LLVMValueRef attention_factor(struct emitter *e, const struct attention *a, LLVMValueRef base,
                              LLVMValueRef index);

/* attention_operands.c */
void attention_reserve_operands(struct emitter *e, struct attention *a);
/* The unit's into q_rows. */
void attention_find_queries(struct emitter *e, const struct attention *a);
/* Which batch row of the buffer that holds them keys or values (a->k, a->v) of the unit's batch row are. */
LLVMValueRef attention_source_row(struct emitter *e, const struct attention *a, const struct value *v);
void attention_find_part(struct emitter *e, const struct attention *a, LLVMValueRef first,
                         LLVMValueRef visible, struct attention_part *part);

/* attention_tile.c: all rows of the unit, for a part of keys. */
void attention_tiles(struct emitter *e, const struct attention *a, const struct attention_part *part);

/* attention_softmax.c */
/* Fills `seen` and `added`. */
void attention_find_mask(struct emitter *e, const struct attention *a, const struct attention_part *part);
/* A register tile's scores of keys `column` on of the part: hides what rows do not see, stores them, keeps
 * the largest. */
void attention_note_scores(struct emitter *e, const struct attention *a, const struct attention_part *part,
                           const struct attention_tile *t, LLVMValueRef column, LLVMValueRef *scores);
/* The same of scores that are stored already. */
void attention_note_stored(struct emitter *e, const struct attention *a, const struct attention_part *part,
                           const struct attention_tile *t, LLVMValueRef column);
/* With m the largest score before, p that of the part, m' the larger:
 *     P = 2^(S - p)    keep = 2^(m - m')    join = 2^(p - m')    l = l * keep + join * sum P
 * The sums of values are still to be joined in the same way. */
void attention_softmax(struct emitter *e, const struct attention *a, const struct attention_tile *t);

#endif
