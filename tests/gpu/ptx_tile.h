/* Matrices in shared memory, rows along K, as the descriptors of wgmma and tcgen05 say where they lie. */
#ifndef TESTS_GPU_PTX_TILE_H
#define TESTS_GPU_PTX_TILE_H
#include "tests/gpu/ptx_exec.h"

/* Bytes; swizzle 0-3: none, 32, 64, 128 bytes. Eight rows are a group, at multiples of the stride; without a
 * swizzle a row's 16-byte pieces are apart by the leading offset. */
struct tile {
    uint32_t start, leading, stride, swizzle;
};
/* What both kinds of descriptors have: bits 0-13 start, 16-29 leading and 32-45 stride offset, all / 16. */
struct tile ptx_tile(uint64_t bits, uint32_t swizzle);

/* [rows, k] elements from row `first` on, as numbers, row by row. Every 16 bytes must have been made visible
 * to asynchronous readers; `note` checks and notes that they are read. Eight rows' are read at a time, from different banks. */
typedef void ptx_note(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address);
void ptx_gather(struct warp *w, const struct insn *in, uint32_t lane, struct tile t, enum ptx_type type,
                uint32_t first, uint32_t rows, uint32_t k, ptx_note *note, float *to);
#endif
