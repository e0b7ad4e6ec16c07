/* The model of tests/run/handmade.h for GPUs, with the kernels of handmade.ptx, and three functions more:
 *
 *     dim M, N in 1..100
 *     export fn outer(x: i32[M], y: i32[N]) -> i32[M, N]   # x[m] * y[n]; for M = 2 another version adds 1000;
 *                                                          # its second step refuses a negative y
 *     export fn peek() -> i32[2]                           # words of the arena and the scratch, as they were
 *     export fn crash() -> i32                             # writes where nothing is
 */
#ifndef TESTS_GPU_HANDMADE_H
#define TESTS_GPU_HANDMADE_H
#include "tests/run/handmade.h"

enum { HANDMADE_OUTER = HANDMADE_SCAN + 1, HANDMADE_PEEK, HANDMADE_CRASH };
extern const char handmade_ptx[];

#endif
