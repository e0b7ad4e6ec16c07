/* Whether all ranks run the same sequence of collectives on each communicator. */
#ifndef PASSES_SEQUENCE_H
#define PASSES_SEQUENCE_H
#include "ir/graph.h"

/* False after an error at the first collective that some ranks run and others do not. Ranks that run one
 * program run one sequence; so what is compared are the programs of the roles that a function has (versions
 * with fixed coordinates). They are run against each other, as if every message waited for its receiver: if
 * all come to their ends so, no order of arrival can stop them. */
bool check_sequences(struct graph *g);

#endif
