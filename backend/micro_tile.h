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
/* emit_micro where B lies in packed tiles. */
void micro_tiles(struct emitter *e, const struct micro *m, LLVMValueRef *sums);

#endif
