/* Tensor memory of a block on sm_100a: 128 lanes by 512 columns of 32 bits. An address has the lane in its
 * upper half, the column in its lower. (PTX ISA 9.0, 9.7.16.1) */
#ifndef TESTS_GPU_PTX_TMEM_H
#define TESTS_GPU_PTX_TMEM_H
#include "tests/gpu/ptx_exec.h"

enum { TMEM_LANES = 128, TMEM_COLUMNS = 512, TMEM_GROUP = 16, TMEM_GROUPS = TMEM_LANES / TMEM_GROUP };

/* 16 lanes of a column, which are written together. */
struct cell {
    uint32_t writer, clock;        /* of the last write, as struct clocks counts; writer + 1, or 0 */
    uint64_t product;              /* what kind of product wrote; 0: another operation */
    uint32_t loads[MAX_WARPS / 4]; /* since then by warp w at w / 4: clocks of its moves, or 0 */
};
struct tmem {
    uint32_t value[TMEM_LANES][TMEM_COLUMNS];
    struct cell cells[TMEM_GROUPS][TMEM_COLUMNS];
    uint16_t owner[TMEM_COLUMNS];  /* the first column of its allocation + 1; 0: free */
    uint16_t length[TMEM_COLUMNS]; /* of the allocation that begins here */
    struct warp *allocator[TMEM_COLUMNS];
    const struct insn *allocated[TMEM_COLUMNS];
    uint32_t most; /* columns of the next allocation */
    bool relinquished;
};

/* The block's, if all the columns are of one allocation. */
struct tmem *ptx_tmem_reach(struct warp *w, const struct insn *in, uint32_t lane, uint32_t address,
                            uint32_t columns);
/* A cell is written by `who` at `clock`. What happened to it before must be known in `known`, but for
 * products of the same kind by the same warp, which the hardware keeps in order. */
void ptx_tmem_write(struct warp *w, const struct insn *in, uint32_t lane, uint32_t group, uint32_t column,
                    uint32_t who, uint32_t clock, uint64_t product);
/* tcgen05.fence::before_thread_sync: what synchronises from here on tells of loads and stores that are over.
 */
void ptx_tmem_before(struct warp *w);
/* The lane of an instruction that one thread issues. */
uint32_t ptx_one_thread(struct warp *w, const struct insn *in, uint32_t mask);
#endif
