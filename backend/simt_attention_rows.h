/* What a warp of tensor cores knows of its 16 rows, and has of them as fragments: between simt_attention_mma.c, which
 * has tiles come and go, and products of warps (there) and of groups of them (simt_attention_group.c). */
#ifndef BACKEND_SIMT_ATTENTION_ROWS_H
#define BACKEND_SIMT_ATTENTION_ROWS_H
#include "backend/simt_attention_tile.h"
#include "backend/simt_mma.h"

enum {
    HALVES = 2,     /* of a fragment's rows: l/4, l/4 + 8 */
    PAIR_KEYS = 16, /* that two products along dims, or one along keys, take */
    MOST_PAIRS = 8, /* of 16 keys in a tile; of chunks in a head */
    MOST_SCORES = MOST_PAIRS * 2 * MMA_SUMS,
    /* Of a state: of each half, then fragments of the sums of values, [v.chunks][MMA_SUMS]; behind them, of groups, the
     * weights that are still to be multiplied, [pairs][4]. */
    LARGEST = 0,
    TOTAL = HALVES,
    SUMS = 2 * HALVES
};

struct simt_attention_mma {
    enum atom atom;
    struct attention_side k, v;
    int stages, pairs; /* of 16 keys that a warp multiplies of a tile */
    bool many;         /* rows: each warp has its own */
    bool group;        /* of four warps makes products; values are a tile behind keys */
};

/* What a warp's rows are, as fragments have them. */
struct attention_rows {
    LLVMValueRef first;                  /* of the warp, in the unit */
    LLVMValueRef queries[MOST_PAIRS][4]; /* A's fragments, 16 dims each */
    struct index query[HALVES], head[HALVES];
    double factor; /* c, of scores as products make them */
};

/* What a pass over tiles makes of each. */
struct attention_pass {
    bool scores, values; /* both, unless it is a group's; its values are those of the tile before */
    bool cut;            /* some row does not see all keys */
};

void attention_find_rows(struct emitter *e, const struct simt_attention *a, struct attention_rows *r);
/* -inf for keys that a row does not see, `first` the first of the scores'; and the mask. */
void attention_hide(struct emitter *e, const struct simt_attention *a, const struct attention_rows *r,
                    LLVMValueRef first, LLVMValueRef *s);
/* Scores into weights; the state's largest and total follow. keep[half]: what the sums are to be multiplied by. */
void attention_soften(struct emitter *e, const struct simt_attention *a, const struct attention_rows *r,
                      LLVMValueRef *s, LLVMValueRef *state, LLVMValueRef keep[HALVES]);
void attention_keep(struct emitter *e, const struct simt_attention *a, const LLVMValueRef keep[HALVES],
                    LLVMValueRef *state);
/* The weights of 16 keys, sums of two products, as A's fragment. */
void attention_weights(struct emitter *e, const struct simt_attention_mma *m, const LLVMValueRef *s,
                       LLVMValueRef words[4]);
/* The state, its maximum scaled and its totals whole, into memory. */
void attention_store_state(struct emitter *e, const struct simt_attention *a, const struct attention_rows *r,
                           LLVMValueRef *state);

/* simt_attention_mma.c: where in their rings a tile's keys and values are; its first key; copies of the next
 * step begin, which all warps of the block come to. */
LLVMValueRef attention_slot(struct emitter *e, const struct simt_attention_mma *m, LLVMValueRef tile);
LLVMValueRef attention_first_key(struct emitter *e, const struct simt_attention *a, LLVMValueRef tile);
void attention_ahead(struct emitter *e, const struct simt_attention *a, LLVMValueRef tile);

/* simt_attention_group.c: a step of a pass, once what it needs is there. */
void attention_group_step(struct emitter *e, const struct simt_attention *a, const struct attention_rows *r,
                          LLVMValueRef tile, struct attention_pass pass, LLVMValueRef *state);
#endif
