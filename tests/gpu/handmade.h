/* A model for GPUs as the compiler would write it, made by hand with the kernels of handmade.ptx: for tests
 * of the runtime without the compiler.
 *
 *     model handmade_gpu
 *     dim S in 1..1000; dim M, N in 1..100
 *     param table : f32[4] = [1, 10, 100, 1000]
 *     state count : i32 = 7
 *     export fn mix(x: f32[S], ids: i32[S], a: f32) -> f32[S], i32 {
 *         t = x * a * gather(table, ids)        # refuses ids outside 0..4
 *         count = count + 1
 *         return flip(t, axis=0), count
 *     }
 *     export fn scan(x: f32[S]) -> f32[4, 2, 8], i32 {
 *         y[i, j, l] = table[i] + 100 * j + l + x[0]       # loops i and j
 *         return y, S - 1                                  # counted by a loop that may be empty
 *     }
 *     export fn outer(x: i32[M], y: i32[N]) -> i32[M, N]   # x[m] * y[n]; for M = 2 another version adds
 * 1000; # its second step refuses a negative y export fn peek() -> i32[2]                           # words
 * of the arena and the scratch, as they were export fn crash() -> i32                             # writes
 * where nothing is
 */
#ifndef TESTS_GPU_HANDMADE_H
#define TESTS_GPU_HANDMADE_H
#include "runtime/abi.h"

enum { HANDMADE_MIX, HANDMADE_SCAN, HANDMADE_OUTER, HANDMADE_PEEK, HANDMADE_CRASH };
extern const struct mdl_descriptor mdl_descriptor;
extern const char handmade_ptx[];

#endif
