/* Tiles of keys and of values in shared memory, as tensor cores read them (simt_attention_tile.c). */
#ifndef BACKEND_SIMT_ATTENTION_TILE_H
#define BACKEND_SIMT_ATTENTION_TILE_H
#include "backend/simt.h"
#include "backend/simt_attention.h"

struct attention_side {
    struct value *value;
    enum dtype type;             /* of elements in the tile: bf16, f16 */
    const struct buffer *buffer; /* has whole aligned chunks of that type; NULL: elements are computed */
    int64_t extent;              /* of a head */
    int keys, chunks;            /* of a tile; chunks of 8 dims, an even number, zeros behind the extent */
    int64_t pitch, bytes;        /* of a column of chunks; of a tile */
    LLVMValueRef ring;           /* where tiles lie, one after the other */
};

struct attention_side attention_side_of(struct emitter *e, struct value *v, int64_t extent, enum dtype type,
                                        int keys);
/* The block's warps bring keys first .. first + keys into tile number `slot`: what is not below `end` is read
 * as zeros, or as the last key. By asynchronous copies where there is a buffer. */
void attention_bring(struct emitter *e, const struct simt_attention *a, const struct attention_side *s,
                     LLVMValueRef first, LLVMValueRef end, LLVMValueRef slot);
/* Columns of all its keys, from chunk number `chunk` on. */
struct simt_columns attention_columns(struct emitter *e, const struct attention_side *s, LLVMValueRef slot,
                                      int chunk);
/* 16 keys from `key` on by chunks chunk, + 1: B's fragments for products along the dims, two of 8 keys; for
 * products along the keys, two of 8 dims. */
void attention_by_dims(struct emitter *e, const struct attention_side *s, LLVMValueRef slot, LLVMValueRef key,
                       int chunk, LLVMValueRef words[4]);
void attention_by_keys(struct emitter *e, const struct attention_side *s, LLVMValueRef slot, LLVMValueRef key,
                       int chunk, LLVMValueRef words[4]);

#endif
