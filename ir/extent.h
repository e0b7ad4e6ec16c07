/* Extents: lengths that may depend on dims, which stay symbolic through the whole compiler.
 *
 * An extent is an integer polynomial over symbols, where a symbol is a dim or floor(extent / constant):
 *     S - 1        2*S*H + 4        (S + 1) // 2
 * Extents are canonical and interned: two extents are provably equal if and only if they are the same
 * pointer. */
#ifndef IR_EXTENT_H
#define IR_EXTENT_H
#include "ir/arena.h"
#include "ir/diag.h"
#include <stdbool.h>
#include <stdint.h>

/* A length known only at run time, within min..max (both included). */
struct dim {
    const char *name;
    int64_t min, max;
    int64_t unit;                 /* what a caller passes is unit * this; 1 but where a mesh axis splits it */
    const struct mesh_axis *axis; /* not NULL: a rank's coordinate, which no caller passes */
    struct loc loc;
    int id; /* dense in the graph */
};

struct symbol { /* a dim, or floor(numerator / divisor), divisor >= 2 */
    const struct dim *dim;
    const struct extent *numerator;
    int64_t divisor;
    int id;
};
struct term { /* coefficient * product of symbols; sorted, a power is a repetition */
    int64_t coefficient;
    int count;
    const struct symbol *const *symbols;
};
struct extent {
    int count; /* terms, sorted; none: zero. A constant term has no symbols and comes last. */
    const struct term *terms;
    int id;   /* dense in the interner */
    int size; /* symbols in it, those of floors included: what a walk over it costs */
};

struct extents; /* the interner; one a graph */
struct extents *extents_new(struct arena *a);

/* Arithmetic gives NULL when a coefficient overflows int64, or the polynomial passes 64 terms or, with what
 * its floors hold, 4096 symbols; and NULL of NULL. */
const struct extent *extent_const(struct extents *x, int64_t value);
const struct extent *extent_dim(struct extents *x, const struct dim *dim);
const struct extent *extent_add(struct extents *x, const struct extent *a, const struct extent *b);
const struct extent *extent_sub(struct extents *x, const struct extent *a, const struct extent *b);
const struct extent *extent_mul(struct extents *x, const struct extent *a, const struct extent *b);
/* floor(a / divisor), divisor > 0; a polynomial again where every coefficient is divisible. */
const struct extent *extent_floordiv(struct extents *x, const struct extent *a, int64_t divisor);
/* The q with q * b == a for all dims, or NULL if there is none. For reshape's -1. */
const struct extent *extent_divide(struct extents *x, const struct extent *a, const struct extent *b);
/* `e` with every dim d replaced by by[d->id] where that is not NULL. */
const struct extent *extent_replace(struct extents *x, const struct extent *e,
                                    const struct extent *const *by);

bool extent_is_const(const struct extent *e, int64_t *value); /* value may be NULL */
/* Bounds over all values the dims may take; saturate at INT64_MIN/MAX. Sound, exact for sums of single dims.
 */
int64_t extent_min(const struct extent *e);
int64_t extent_max(const struct extent *e);
/* Whether it is provably >= 0, or a <= b, for all values of the dims. Finds more than the bounds do: S - (S
 * // 2) >= 0. False of NULL. */
bool extent_nonnegative(struct extents *x, const struct extent *e);
bool extent_at_most(struct extents *x, const struct extent *a, const struct extent *b);
/* Its value for the dims' values, indexed by dim->id. Overflow saturates. */
int64_t extent_eval(const struct extent *e, const int64_t *dims);

/* In the language's spelling, e.g. "2*S + 1"; lives in `a`. */
const char *extent_text(struct arena *a, const struct extent *e);

#endif
