/* Params meet their files. */
#ifndef FRONTEND_BIND_H
#define FRONTEND_BIND_H
#include "ir/graph.h"

/* frontend_bind(), where a missing file may be tolerated: then its params stay unbound. */
bool bind_weights(struct graph *g, const char *weights, bool required);

#endif
