/* Element by element: what a reducing collective does with what arrives. */
#ifndef RUNTIME_REDUCE_H
#define RUNTIME_REDUCE_H
#include "runtime/abi.h"

extern const uint32_t reduce_bytes[MDL_BOOL + 1]; /* [mdl_dtype] of an element */

/* to[i] = to[i] op from[i] for n elements. Halves are computed in f32 and rounded each time; integers wrap
 * around; of bool, sum and max are `or`, prod and min are `and`; max and min of a NaN are NaN. */
void reduce(uint32_t dtype, enum mdl_reduction op, void *to, const void *from, uint64_t n);

#endif
