/* What the tests of PTX are written in: kernels around a few lines, run on arrays; messages that must come.
 * MDL_PTX_DUMP=DIR writes each text there, for ptxas. */
#ifndef TESTS_GPU_PTX_CHECK_H
#define TESTS_GPU_PTX_CHECK_H
#include "tests/gpu/ptx.h"
#include <criterion/criterion.h>

/* A module of the kernel `k` with parameters in, out (pointers) and n (.u32), and `body` in it; `before`:
 * declarations of the module. Registers of the body: %p<16>, %rs<32>, %r<64>, %rd<32>, and %in, %out (b64),
 * %thread, %lane, %n (b32), which have their values. */
struct ptx_module *check_module(const char *before, const char *body);
struct check_run {
    const char *before, *body;
    uint32_t threads, blocks, shared; /* 0: 32, 1, 0 */
    const void *in;
    size_t in_bytes;
    void *out; /* filled with 0xff before */
    size_t out_bytes;
    uint32_t n;
    uint64_t seed, limit;
};
/* True, or the message is there. */
bool check_run(const struct check_run *run, struct ptx_stats *stats, char message[PTX_MESSAGE]);
void check_good(const struct check_run *run, struct ptx_stats *stats); /* it must be */
void check_fails(const struct check_run *run, const char *words);      /* with these words in the message */
void check_refused(const char *before, const char *body, const char *words); /* it is no module */
void check_dump(const char *text);
/* PTX of a module in LLVM's IR, to be freed; optimise: 0, 1, 2. */
char *check_llvm(const char *ir, const char *cpu, int optimise);
uint64_t check_random(void);
uint16_t check_bfloat(int v);
/* Bytes from a matrix's beginning in shared memory to 16 of a row, the piece-th: rows of 16 << swizzle bytes
 * with their pieces exchanged, or, without swizzle (0), blocks of 8 rows by 16 bytes, pieces of a row far
 * apart. */
unsigned check_place(unsigned swizzle, unsigned rows, unsigned row, unsigned piece);
#endif
