/* Dumps: a graph as a .mdl program, which parses again to the same graph. */
#ifndef IR_PRINT_H
#define IR_PRINT_H
#include "ir/graph.h"

void graph_print(const struct graph *g, FILE *out);
const char *graph_text(struct arena *a, const struct graph *g);
/* One statement, for messages: `q0 : f32[S, 576] = linear(n0, wq[0])`. */
const char *node_text(struct arena *a, const struct graph *g, const struct node *n);

#endif
