/* Intel's AMX: eight registers of 16 rows of 64 bytes, and products of them (Intel SDM volume 1, chapter 18; volume 2, LDTILECFG,
 * TDPBF16PS, TDPBSSD). A register tile has 32 rows, or fewer, by 32 outputs: two registers of rows by two of weights into four of sums.
 *
 *     C [32 rows][32 outputs] = A [rows][inputs] x B [inputs / k][32 outputs][k]
 *
 * A row's sums do not depend on what other rows there are, nor on how many. */
#ifndef BACKEND_AMX_H
#define BACKEND_AMX_H
#include "backend/micro.h"

enum { AMX_ROWS = 16, AMX_TILE = 2 * AMX_ROWS, AMX_BYTES = 64 };

/* Until amx_end this thread's registers are for tiles of `rows` rows (i64, at least 1; 32 from there on) of the atom's factors. */
void amx_begin(struct emitter *e, enum atom atom, LLVMValueRef rows);
void amx_end(struct emitter *e);

/* Rows as registers take them: [inputs / 32][32 rows][32], of codes [inputs / 32][16 rows][32]. */

struct amx_floats {
    LLVMValueRef a, b, inputs; /* the tile's rows; a panel of 32 outputs; i64, a multiple of 32 */
    LLVMValueRef more;         /* i1: what is in C already is added to; NULL: it begins here */
    LLVMValueRef few;          /* i1: no other rows are multiplied by these weights */
};
/* C of 32 rows by 32 outputs, f32, to `to`, `stride` bytes from one row to the next. */
void amx_multiply_bf16(struct emitter *e, const struct amx_floats *f, LLVMValueRef to, LLVMValueRef stride);

/* ---- codes in blocks of 32 inputs: sums of i32 in a register are scaled into f32 before the next block's ---- */

enum { AMX_CODES = TILE_CODES, AMX_WORK = AMX_ROWS * AMX_BYTES };

/* Packed tiles of 32 outputs as signed bytes, [inputs / 32][8][32 outputs][4]. m: its B side. */
void amx_unpack(struct emitter *e, const struct micro *m, LLVMValueRef to);
struct amx_codes {
    LLVMValueRef a, b, blocks; /* the tile's rows; weights, unpacked; i64, of 32 inputs */
    LLVMValueRef scales,
        totals; /* of the tile's rows, [16][blocks]: f32 scales; these times the sums of codes (NULL: nobody asks) */
    LLVMValueRef work; /* 64-byte aligned scratch of AMX_WORK bytes */
};
/* C of 16 rows by 32 outputs. m: its B side, packed. */
void amx_multiply_int8(struct emitter *e, const struct amx_codes *c, const struct micro *m, LLVMValueRef to,
                       LLVMValueRef stride);

#endif
