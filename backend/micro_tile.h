/* What micro.c, micro_tile.c and micro_codes.c share. */
#ifndef BACKEND_MICRO_TILE_H
#define BACKEND_MICRO_TILE_H
#include "backend/micro.h"

/* With few rows a product is bound by memory: asks for B's bytes some lines before they are wanted, since the hardware's own prefetching
 * stops at each page. Addresses past the end do no harm. */
void micro_prefetch(struct emitter *e, const struct micro *m, LLVMValueRef address, int64_t bytes);
/* Asks for these bytes, to L2. */
void micro_ask(struct emitter *e, LLVMValueRef address, int64_t bytes);
/* sums[rows * vectors] += a[r][k] b[v], f32. */
void micro_add_products(struct emitter *e, const struct micro *m, LLVMValueRef k, LLVMValueRef const *b,
                        LLVMValueRef *sums);
/* emit_micro where B lies in packed tiles. */
void micro_tiles(struct emitter *e, const struct micro *m, LLVMValueRef *sums);
/* The products of one tile, which is number `block` along the inputs: of codes. */
void micro_add_codes(struct emitter *e, const struct micro *m, LLVMValueRef tile, LLVMValueRef block, LLVMValueRef *sums);
/* By matrix registers, the integer products of a block of inputs, that micro_add_codes of the same block then reads. */
void micro_multiply_block(struct emitter *e, const struct micro *m, LLVMValueRef block);
/* micro_unpack of codes. */
void micro_unpack_codes(struct emitter *e, const struct micro *m, const struct unpacked *u, LLVMValueRef to);
/* Where 4 bytes for each output, the panel's row number `row`, lie for a vector of a tile's outputs. */
LLVMValueRef micro_unpacked_at(struct emitter *e, const struct micro *m, const struct unpacked *u, LLVMValueRef panel,
                               int64_t row, int v);

/* Lanes of f32; `count` bytes of a vector's lanes, as many to each, of which a thread has one lane's. */
LLVMTypeRef micro_lane_vector(struct emitter *e, const struct micro *m);
LLVMTypeRef micro_byte_vector(struct emitter *e, int count);
/* Codes p .. p + count of a tile, as <count x i8>; of a thread, its own of them. */
LLVMValueRef micro_load_codes(struct emitter *e, const struct micro *m, LLVMValueRef tile, int p, int count);
/* Scales or minima of a vector of outputs, as f32. */
LLVMValueRef micro_load_scales(struct emitter *e, const struct micro *m, LLVMValueRef tile, int64_t offset, int vector);

#endif
