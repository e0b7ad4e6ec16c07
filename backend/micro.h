/* Register tiles: the innermost loop of contractions and attention. `rows` rows of A times `vectors` vectors
 * of outputs of B, summed over the inputs in registers; an atom (ir/atoms.def) says how one vector of sums is
 * added to.
 *
 *     a[r][k]                      one scalar group, broadcast
 *     b[k][0 .. vectors * lanes)   adjacent outputs
 *     sums[r * vectors + v] */
#ifndef BACKEND_MICRO_H
#define BACKEND_MICRO_H
#include "backend/emit.h"
#include "backend/tile.h"

enum { MAX_TILE_ROWS = 16, MAX_TILE_SUMS = 32, CACHE_LINE = 64 /* bytes, for prefetches */ };

struct micro {
    enum atom atom;
    int rows, vectors, lanes;
    int unroll;                    /* input groups written out in a loop's body */
    bool ahead;                    /* whether B's bytes are prefetched */
    LLVMValueRef next; /* ptr to a line of B that is multiplied later: a loop's body that begins k inputs on asks for the line k inputs on; or NULL */
    LLVMValueRef a[MAX_TILE_ROWS]; /* ptr to input 0 of each row, inputs adjacent, in `a_type` */
    int64_t a_align,
        k_align; /* a's rows are aligned to so many bytes; the step's k is a multiple of so many inputs */
    bool whole;  /* `inputs` is a multiple of unroll * the atom's k */
    enum dtype a_type;      /* as it lies in memory; fma widens, the other atoms need their own type */
    LLVMValueRef inputs;    /* i64, how many; a multiple of the atom's k, and of 32 with block formats */
    LLVMValueRef b;         /* ptr to input group 0 of the outputs */
    enum dtype b_type;      /* of B in memory, unless `tile` */
    LLVMValueRef b_step;    /* i64 bytes from one input group to the next (tile: from one tile to the next) */
    LLVMValueRef last_mask; /* of B's last vector, <lanes x i1>; NULL: all lanes exist. fma only */
    const struct format_info *tile;     /* B lies in packed tiles; `vectors * lanes` is 32, or with `wide` less */
    LLVMValueRef wide; /* dot_int8: ptr to the tiles' codes as micro_unpack leaves them, `vectors * lanes` outputs; NULL: they are packed */
    LLVMValueRef block_sums; /* of codes that matrix registers multiply: ptr to i32 [2][16 rows][16 outputs], in turn one block's; or NULL */
    LLVMValueRef wide_rows[MAX_TILE_ROWS]; /* ptr to each row's codes, as micro_widen_row leaves them */
    LLVMValueRef scales[MAX_TILE_ROWS]; /* dot_int8: ptr to each row's f32 scales, one a block of 32 inputs */
    LLVMValueRef totals[MAX_TILE_ROWS]; /* dot_int8: ptr to each row's i32 sums of codes, one a block */
    LLVMValueRef offsets[MAX_TILE_ROWS]; /* ptr to micro_offset of these; NULL: to be computed */
};

/* Whether the target can multiply by the atom of the kernel's schedule; false after a diagnostic. */
bool micro_has_atom(struct emitter *e, enum atom atom);
/* sums: [rows * vectors] initial values in, sums out. */
void emit_micro(struct emitter *e, const struct micro *m, LLVMValueRef *sums);
/* What a block of a row's codes gives whatever the weights are: where their integer sums start, -bias * total (i32); or by what minima are
 * multiplied, scale * total (f32). Of scalars or vectors; four bytes each. */
bool micro_has_offsets(const struct emitter *e, const struct format_info *t);
LLVMValueRef micro_offset(struct emitter *e, const struct format_info *t, LLVMValueRef total, LLVMValueRef scale);
/* Whether matrix registers multiply codes of many rows. */
bool micro_by_registers(const struct emitter *e, enum atom atom, const struct format_info *t);
/* Whether tiles of the format are worth unpacking for many rows, which lanes multiply. */
bool micro_unpacks(const struct emitter *e, enum atom atom, const struct format_info *t);
/* Panels that tiles of 32 outputs are unpacked to: as f32, [inputs][outputs], which are B of any tile of floats; or, of codes that are
 * multiplied as pairs of i16, as such, [inputs / 4 quads][2 pairs][outputs]; or by matrix registers, as bytes, [inputs / 4 quads][outputs][4].
 * Products are those of the tiles, bit for bit. */
struct unpacked {
    int outputs; /* of a panel, a divisor of 32 */
    int64_t panel_bytes;
};
/* All inputs of one tile of outputs. */
void micro_unpack(struct emitter *e, const struct micro *m, const struct unpacked *u, LLVMValueRef to);
/* A row's codes as pairs of i16, [2 pairs][inputs / 4 quads], which its blocks' products read as often as there are outputs. */
void micro_widen_row(struct emitter *e, const struct micro *m, LLVMValueRef to);

#endif
