/* Values of initialisers: `= zeros`, `= normal(std=0.02)`, `= [1, 2]`. One place, so that the weights that
 * are packed at compile time, a session's first states and the interpreter's are the same. */
#ifndef IR_INIT_H
#define IR_INIT_H
#include "ir/graph.h"

/* Elements first ... first + count - 1 of tensor number `element` of a global that is not read from a file,
 * rounded to its element type. */
void init_floats(const struct graph *g, const struct global *global, int64_t element, int64_t first,
                 int64_t count, double *out);
/* The same for integer types and bool. */
void init_integers(const struct graph *g, const struct global *global, int64_t element, int64_t first,
                   int64_t count, int64_t *out);

#endif
