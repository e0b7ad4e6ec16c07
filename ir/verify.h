/* Invariants of a graph, checked after the frontend and, on demand, after each pass. */
#ifndef IR_VERIFY_H
#define IR_VERIFY_H
#include "ir/graph.h"

/* Reports each violation at its node's place; returns whether there was none. Checked: operands are defined
 * before use and visible; types are what inference gives; attributes are canonical; block structure, links
 * and ids; kernels see only their arguments; effects stand where they may; globals are well-formed. */
bool graph_verify(struct graph *g);

#endif
