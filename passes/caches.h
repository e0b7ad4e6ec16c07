/* Caches: states that are only written to and attended to, so that how they are stored is the compiler's
 * affair. */
#ifndef PASSES_CACHES_H
#define PASSES_CACHES_H
#include "ir/graph.h"

enum { CACHE_KEYS = 1, CACHE_VALUES = 2, CACHE_SINGLES = 4, CACHE_PAIRS = 8 };

/* [globals] what attention reads each state as, CACHE_KEYS and CACHE_VALUES or'ed, and how the schedules'
 * atoms take inputs: CACHE_SINGLES, CACHE_PAIRS; 0: it is no cache. Works before and after kernels are
 * formed. */
unsigned *find_caches(struct graph *g, struct arena *scratch);
#endif
