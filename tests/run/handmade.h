/* A model as the compiler would write it, made by hand: for tests of the runtime and of mdl-run without the
 * compiler.
 *
 *     model handmade
 *     dim S in 1..1000
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
 */
#ifndef TESTS_HANDMADE_H
#define TESTS_HANDMADE_H
#include "runtime/abi.h"
#include <stdbool.h>

enum { HANDMADE_MIX, HANDMADE_SCAN };
/* How a weights file may be wrong. */
enum handmade_damage {
    SOUND,
    BAD_MAGIC,
    BAD_SUM,
    BAD_BUILD,
    BAD_SIZE,
    BAD_BOUNDS,
    BAD_ENTRY,
    BAD_NAMES,
    BAD_TENSOR,
    TRUNCATED
};

extern const struct mdl_descriptor mdl_descriptor;

/* Writes the model's weights to `path`; whether that went well. */
bool handmade_write_weights(const char *path, enum handmade_damage damage);

#endif
