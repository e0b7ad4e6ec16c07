/* Matrices in shared memory as the descriptors of wgmma and tcgen05 say where they lie. */
#ifndef TESTS_GPU_PTX_TILE_H
#define TESTS_GPU_PTX_TILE_H
#include "tests/gpu/ptx_exec.h"

/* Bytes; swizzle 0-3: none, 32, 64, 128 bytes. Along K, eight rows are a group, at multiples of the stride; without
 * a swizzle a row's 16-byte pieces are apart by the leading offset. Transposed, with pieces of eight neighbouring
 * rows of 2 bytes each: without a swizzle pieces are apart by the stride, eight along K by the leading offset; else
 * what the swizzle has of a piece's neighbours is together, the next by the leading offset, eight along K by the
 * stride. (PTX ISA 9.3, "Strides"; CUTLASS, mma_sm90_desc.hpp, "Major-MN") */
struct tile {
    uint32_t start, leading, stride, swizzle;
    bool transposed;
};
/* What both kinds of descriptors have: bits 0-13 start, 16-29 leading and 32-45 stride offset, all / 16. */
struct tile ptx_tile(uint64_t bits, uint32_t swizzle);

/* [rows, k] elements from row `first` on, as numbers, row by row. Every 16 bytes must have been made visible
 * to asynchronous readers; `note` checks and notes that they are read. Eight rows' are read at a time, from different banks. */
typedef void ptx_note(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address);
void ptx_gather(struct warp *w, const struct insn *in, uint32_t lane, struct tile t, enum ptx_type type,
                uint32_t first, uint32_t rows, uint32_t k, ptx_note *note, float *to);
#endif
