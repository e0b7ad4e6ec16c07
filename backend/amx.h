/* Intel's AMX: eight registers of 16 rows of 64 bytes, and products of them (Intel SDM volume 1, chapter 18; volume 2, LDTILECFG,
 * TDPBF16PS). A register tile has 32 rows, or fewer, by 32 outputs: two registers of rows by two of weights into four of sums.
 *
 *     C [32 rows][32 outputs] = A [inputs / 32][32 rows][32] x B [inputs / 32][2][16 pairs of inputs][16 outputs][2]
 *
 * A row's sums do not depend on what other rows there are, nor on how many. */
#ifndef BACKEND_AMX_H
#define BACKEND_AMX_H
#include "backend/micro.h"

enum { AMX_ROWS = 16, AMX_TILE = 2 * AMX_ROWS, AMX_BYTES = 64, AMX_INPUTS = AMX_BYTES / 2 /* of a step */ };

/* Until amx_end this thread's registers are for tiles of `rows` rows (i64, at least 1; 32 from there on). */
void amx_begin(struct emitter *e, LLVMValueRef rows);
void amx_end(struct emitter *e);

struct amx_floats {
    LLVMValueRef a, b, inputs; /* the tile's rows; a panel of 32 outputs; i64, a multiple of 32 */
    LLVMValueRef more;         /* i1: what is in C already is added to */
    LLVMValueRef few;          /* i1: no other rows are multiplied by these weights */
};
/* C of 32 rows by 32 outputs, f32, to `to`, `stride` bytes from one row to the next. */
void amx_multiply_bf16(struct emitter *e, const struct amx_floats *f, LLVMValueRef to, LLVMValueRef stride);

/* What it is made of: sums of nothing; rows, or weights, of 32 inputs, 2 KiB; the products of the upper rows (half 0), or the lower ones (1); sums
 * to memory. */
void amx_clear_sums(struct emitter *e);
void amx_load_rows(struct emitter *e, LLVMValueRef from);
void amx_load_weights(struct emitter *e, LLVMValueRef from);
void amx_add_half(struct emitter *e, int half);
void amx_store_sums(struct emitter *e, LLVMValueRef to, LLVMValueRef stride);

/* Codes of 16 rows by 16 outputs, a block of 32 inputs at a time: sums of their own, since each is scaled by itself (micro_codes.c).
 *
 *     C [16 rows][16 outputs] i32 = A [16 rows][32] s8, `stride` bytes from one to the next, x B [8 quads of inputs][16 outputs][4] u8
 *
 * From amx_begin_codes to amx_end registers are for these. */
void amx_begin_codes(struct emitter *e);
void amx_multiply_codes(struct emitter *e, LLVMValueRef a, LLVMValueRef stride, LLVMValueRef b, LLVMValueRef to);

/* --- amx_f32.c: floats as sums of three bf16 ---
 *
 * A part is the leading eight bits of what those before it leave. Of the nine products of parts six are added up; the others are below 2^-21 of
 * the whole, 2^-24 as a rule (Henry, Tang and Heinecke, arXiv 1904.06376, section 3). Parts below 2^-126 count as zero (TDPBF16PS).
 *
 *     C [32 rows][32 outputs] = A [inputs / 32][3 parts][32 rows][32] x B [inputs][32 outputs] of f32 */
enum { AMX_PARTS = 3, AMX_PART_BYTES = AMX_TILE * AMX_BYTES /* from a part of 32 inputs to the next */ };

/* 32 inputs of a row, in two vectors, to such an A. */
void amx_store_parts(struct emitter *e, LLVMValueRef left, LLVMValueRef right, LLVMValueRef to);

struct amx_parts {
    LLVMValueRef a, b, inputs;
    LLVMValueRef rows;       /* i64: as many of the tile's as are wanted */
    LLVMValueRef parts;      /* B's, [inputs / 32][3] of what a step of bf16 has */
    LLVMValueRef first, few; /* i1: parts are made now, and read by others if there are not few */
};
void amx_multiply_f32(struct emitter *e, const struct amx_parts *p, LLVMValueRef to, LLVMValueRef stride);

/* --- products of bf16 of 16 rows by up to 64 outputs ---
 *
 * Operands lie anywhere: bytes from one row (of pairs of inputs, for b) to the next, and from 32 inputs to the next. */
struct amx_wide {
    LLVMValueRef a, b, inputs;
    int64_t a_stride, a_step, b_stride, b_step;
    int outputs; /* a multiple of 16 */
};
void amx_wide_begin(struct emitter *e, const struct amx_wide *w); /* sums of nothing */
void amx_wide_add(struct emitter *e, const struct amx_wide *w);
void amx_wide_store(struct emitter *e, const struct amx_wide *w, LLVMValueRef to, int64_t stride);

#endif
