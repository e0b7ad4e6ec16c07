/* Ranges of integer values, as extents: what is provable about an id without running anything. */
#ifndef PASSES_RANGE_H
#define PASSES_RANGE_H
#include "ir/graph.h"

struct range {
    const struct extent *lo, *hi; /* both included; NULL: nothing known on that side */
};
/* Whatever any element of v can be. Never wrong; often NULL. */
struct range range_of(struct graph *g, struct value *v);
/* Whether lo <= x < hi for every element x, whatever the dims. */
bool range_within(struct graph *g, struct range r, const struct extent *lo, const struct extent *hi);
#endif
