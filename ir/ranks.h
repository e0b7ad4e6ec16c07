/* Which mesh a partitioned program runs on. */
#ifndef IR_RANKS_H
#define IR_RANKS_H
#include "ir/graph.h"

/* The mesh whose pieces, coordinates or collectives some function has; NULL: the program is one of a single
 * rank. */
const struct mesh *ranks_mesh(const struct graph *g);

#endif
