/* The rules of byte-pair encoding and their application to one word. */
#ifndef EXAMPLES_MERGE_H
#define EXAMPLES_MERGE_H
#include "base.h"

struct merges;

/* Room for up to `most` rules. merges_free releases it. */
struct merges *merges_new(size_t most);

/* Adds the next rule: tokens left and right become `merged`. The first of equal rules stays. */
void merges_add(struct merges *m, int32_t left, int32_t right, int32_t merged);

/* Merges `word` in place, the earliest rule first and the leftmost of equals, and returns its new length. Ids
 * of -1 merge with nothing. Time n log n. */
size_t merges_apply(struct merges *m, int32_t *word /* [count] */, size_t count);

void merges_free(struct merges *m);
#endif
