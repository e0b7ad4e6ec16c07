/* Products of bytes, four a lane: what the atom dot_int8 is on each kind of machine.
 *
 *     sum[l] += w[l][0..4) . x[l][0..4)       w unsigned, up to `most`; x signed
 *
 * x86's vpmaddubsw adds pairs of products into i16, and saturates: with codes of 4 bits a sum takes eight of them first. So sums are
 * made in two steps: products are added to a partial sum, and that, after at most dot_room products, to a sum of i32. */
#ifndef BACKEND_DOT_H
#define BACKEND_DOT_H
#include "backend/emit.h"

struct dot {
    int lanes, most;
};

/* Products that a partial sum takes; 0: as many as there are, in i32, beginning at any number. */
int dot_room(const struct emitter *e, const struct dot *d);
/* A partial sum of none. */
LLVMValueRef dot_none(struct emitter *e, const struct dot *d);
/* What must be taken off each w, and off the bias of codes, for the machine's instruction: 128 where it multiplies signed bytes and w has 8
 * bits, else 0; dot_add does the former. */
int dot_offset(const struct emitter *e, const struct dot *d);
/* w, x: 4 bytes a lane, of vectors of bytes or of i32. */
LLVMValueRef dot_add(struct emitter *e, const struct dot *d, LLVMValueRef sum, LLVMValueRef w,
                     LLVMValueRef x);
/* Whether that is made of pairs of i16: then codes may be widened once for many products. */
bool dot_widens(const struct emitter *e, const struct dot *d);
/* Bytes 0 and 2 (half 0), or 1 and 3 of each lane, as pairs of i16. */
LLVMValueRef dot_widen(struct emitter *e, const struct dot *d, LLVMValueRef bytes, int half, bool is_signed);
LLVMValueRef dot_add_wide(struct emitter *e, const struct dot *d, LLVMValueRef sum, LLVMValueRef w, LLVMValueRef x);
/* total (i32 lanes) + a partial sum. */
LLVMValueRef dot_total(struct emitter *e, const struct dot *d, LLVMValueRef total, LLVMValueRef sum);

#endif
