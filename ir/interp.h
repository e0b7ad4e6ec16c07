/* The oracle: runs a function of a graph, at any level, slowly and plainly: float64 inside for floats, int64
 * for integers, each node's result rounded to its element type unless `exact`. */
#ifndef IR_INTERP_H
#define IR_INTERP_H
#include "ir/graph.h"

struct array { /* an interpreter's tensor; row-major */
    enum dtype dtype;
    int rank;
    int64_t extents[MAX_RANK];
    int64_t elements;
    double *floats;    /* float types */
    int64_t *integers; /* integer types and bool */
};

struct interp; /* params loaded, states alive between calls */
/* exact: keep float64 between nodes instead of rounding to each value's type. Lives in `a`. NULL after a
 * diagnostic. Of a partitioned graph all ranks of the mesh are run, and whoever calls sees wholes, as of any
 * other graph. */
struct interp *interp_new(struct arena *a, struct graph *g, bool exact);
void interp_reset(struct interp *p); /* states back to their initial contents */
/* Runs function f. inputs: one an argument; results: filled in, one a result. Dims are bound from the inputs'
 * shapes. On a failed check (id outside its table, write past its buffer, dims that disagree) returns false
 * with `*error` in words and no state changed. */
bool interp_call(struct interp *p, const struct function *f, struct array *const *inputs,
                 struct array **results, const char **error);
struct array *array_new(struct arena *a, enum dtype dtype, int rank, const int64_t *extents);
/* The piece that rank number `rank` of the mesh has (s NULL: all of it); NULL: there are no equal pieces. */
struct array *array_piece(struct arena *a, const struct array *x, const struct sharding *s, int64_t rank);
/* From and to a dtype's own bytes. */
struct array *array_from_bytes(struct arena *a, const struct tensor *t);
void array_to_bytes(const struct array *x, void *bytes);

#endif
