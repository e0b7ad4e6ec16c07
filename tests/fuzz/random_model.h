/* Random models on random meshes, as text: what a person may annotate, and nothing that may not be.
 *
 *     mesh m = <a=2, b=3>
 *     param p0 : f32[12, 8] @m(b, _) = [[1, -3, ...
 *     export fn f(x0: f32[S, 8] @m(a, ?)) -> f32[S, 12] {
 *         v0 = linear(x0, p0) ...
 *
 * Exact: every value is an integer that f32 holds, whatever the order of its sums, so results are equal to
 * the bit. Else: reals, and ops with roundings. */
#ifndef TESTS_FUZZ_RANDOM_MODEL_H
#define TESTS_FUZZ_RANDOM_MODEL_H
#include "ir/arena.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { RX_RANK = 4, RX_AXES = 3, RX_DIMS = 2, RX_VALUES = 64, RX_ARGS = 8, RX_GLOBALS = 10 };

struct rx_extent { /* factor, or factor * dim */
    int factor;
    int dim; /* number, or -1 */
};
struct rx_value {
    char name[16];
    char kind; /* f f32, i i32, b bool */
    int rank;
    struct rx_extent extents[RX_RANK];
    double lo, hi; /* where its elements are */
    bool steady;   /* real mode: not made by sums, so that comparing it is safe */
};
struct rx_model {
    struct arena *a;
    uint64_t state; /* of the generator */
    bool exact;
    int axes_count, sizes[RX_AXES], ranks;
    int stages; /* of axis p, which statements are placed on; 0: there is none */
    int dims_count;
    int64_t dim_max;                                    /* of each: 3 * ranks; multiples of `ranks` fit all */
    struct rx_value globals[RX_GLOBALS], args[RX_ARGS]; /* args: what a call gives */
    bool is_state[RX_GLOBALS];
    int globals_count, args_count;
    struct rx_value values[RX_VALUES]; /* at hand where the text is written */
    int values_count, names, depth;
    FILE *out;
    const char *text;
};

/* The same model for the same seed. */
struct rx_model *random_model(struct arena *a, uint64_t seed, bool exact);

/* ---- For the parts of the generator ---- */

uint64_t rx_next(struct rx_model *m);
int rx_below(struct rx_model *m, int n); /* 0 .. n-1 */
bool rx_chance(struct rx_model *m, int percent);
double rx_largest(const struct rx_model *m, struct rx_extent e); /* what an extent is at most */
const char *rx_extents_text(struct rx_model *m, int rank, const struct rx_extent *e); /* "S, 2*T" */
/* " @m(a, ?)", a legal annotation, or sometimes nothing. */
const char *rx_annotation(struct rx_model *m, int rank, const struct rx_extent *e);
/* " on m.p(1)" for a statement that touches `state`, or (NULL) none; "" where the model has no stages. */
const char *rx_placement(struct rx_model *m, const struct rx_value *state);
void rx_add(struct rx_model *m, const struct rx_value *v);
/* A statement that makes a value like `v` (its name is chosen here), perhaps annotated. */
struct rx_value rx_let(struct rx_model *m, struct rx_value v, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* One more statement, of any kind that the values at hand allow. */
void rx_statement(struct rx_model *m);
#endif
