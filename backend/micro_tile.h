/* What micro.c and micro_tile.c share. */
#ifndef BACKEND_MICRO_TILE_H
#define BACKEND_MICRO_TILE_H
#include "backend/micro.h"

/* With few rows a product is bound by memory: asks for B's bytes some lines before they are wanted, since the hardware's own prefetching
 * stops at each page. Addresses past the end do no harm. */
void micro_prefetch(struct emitter *e, const struct micro *m, LLVMValueRef address, int64_t bytes);
/* sums[rows * vectors] += a[r][k] b[v], f32. */
void micro_add_products(struct emitter *e, const struct micro *m, LLVMValueRef k, LLVMValueRef const *b,
                        LLVMValueRef *sums);
/* Scales or minima, `offset` bytes into a packed tile, of a vector of its outputs, as f32; codes of inputs k .. k + 3 of one, four bytes a
 * lane. */
LLVMValueRef micro_scales(struct emitter *e, const struct micro *m, LLVMValueRef tile, int64_t offset,
                          int vector);
LLVMValueRef micro_codes(struct emitter *e, const struct micro *m, LLVMValueRef tile, int k, int vector);
/* emit_micro where B lies in packed tiles. */
void micro_tiles(struct emitter *e, const struct micro *m, LLVMValueRef *sums);

#endif
