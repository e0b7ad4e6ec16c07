/* Random small models as text: every kind of op that passes treat differently, states and loops among them.
 */
#ifndef TESTS_UNIT_RANDOM_PROGRAM_H
#define TESTS_UNIT_RANDOM_PROGRAM_H
#include "ir/arena.h"
#include <stdint.h>

/* A model with one function, f(x: f32[S, 8], y: f32[S, 8], t: i32, ids: i32[S]), S in 1..12, of `statements`
 * random statements; t must be 0 <= t < S and ids 0 <= id < 8. Values stay small, so that results compare. */
const char *random_program(struct arena *a, uint64_t seed, int statements);
#endif
