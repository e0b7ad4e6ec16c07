/* Proofs about extents that bounds alone do not give: that an index stays inside for all values of the dims.
 *
 *     S - 1 - 2*((S + 1) // 2 - 1) >= 0      floors are replaced by what bounds them: d*(n // d) <= n
 *     S*T - S >= 0  where T >= 1             dims are counted from their minimum: S*(T' + 1) - S = S*T'
 *     S - S*m.tensor >= 0  on 2 ranks        a rank's coordinate is tried at both its ends, as that is where
 *                                            a polynomial of degree 1 in it is least */
#include "ir/extent.h"

enum { MAX_FLOORS = 8 };

/* A term that is one floor times a number, or -1. */
static int find_floor(const struct extent *e) {
    for (int i = 0; i < e->count; i++)
        if (e->terms[i].count == 1 && !e->terms[i].symbols[0]->dim) return i;
    return -1;
}

/* Puts a polynomial without the floor of term `at` for `e`, which is not negative only where e is not:
 * with d*e = d*rest + c*d*(n // d) and n - d < d*(n // d) <= n, e is at least bound/d, and whole. */
static const struct extent *without_floor(struct extents *x, const struct extent *e, int at) {
    const struct symbol *s = e->terms[at].symbols[0];
    int64_t c = e->terms[at].coefficient, d = s->divisor, slack;
    struct term floor = e->terms[at];
    const struct extent term = {.count = 1, .terms = &floor};
    const struct extent *rest = extent_sub(x, e, &term);
    const struct extent *bound = extent_add(x, extent_mul(x, rest, extent_const(x, d)),
                                            extent_mul(x, s->numerator, extent_const(x, c)));
    if (__builtin_mul_overflow(c > 0 ? c : 0, d - 1, &slack)) return NULL;
    if (__builtin_sub_overflow(d - 1, slack, &slack)) return NULL;
    return extent_add(x, bound, extent_const(x, slack));
}

/* `e` with each dim d written as min(d) + d', where d' is spelled as d. */
static const struct extent *from_minimum(struct extents *x, const struct extent *e) {
    const struct extent *total = extent_const(x, 0);
    for (int i = 0; i < e->count; i++) {
        const struct extent *product = extent_const(x, e->terms[i].coefficient);
        for (int j = 0; j < e->terms[i].count; j++) {
            const struct dim *d = e->terms[i].symbols[j]->dim;
            if (!d) return NULL;
            const struct extent *shifted = extent_add(x, extent_dim(x, d), extent_const(x, d->min));
            product = extent_mul(x, product, shifted);
        }
        total = extent_add(x, total, product);
        if (!total) return NULL;
    }
    return total;
}

/* Least value of coefficient * product of the d', each in 0..max-min. False where it overflows. */
static bool least(const struct term *t, int64_t *value) {
    *value = t->count && t->coefficient > 0 ? 0 : t->coefficient;
    for (int j = 0; t->coefficient < 0 && j < t->count; j++) {
        const struct dim *d = t->symbols[j]->dim;
        int64_t width;
        if (__builtin_sub_overflow(d->max, d->min, &width) || __builtin_mul_overflow(*value, width, value))
            return false;
    }
    return true;
}

static bool nonnegative_from_minimum(struct extents *x, const struct extent *e) {
    const struct extent *shifted = from_minimum(x, e);
    int64_t total = 0, part;
    for (int i = 0; shifted && i < shifted->count; i++)
        if (!least(&shifted->terms[i], &part) || __builtin_add_overflow(total, part, &total)) return false;
    return shifted && total >= 0;
}

/* ---- Coordinates ---- */

static int degree(const struct term *t, const struct dim *d) {
    int degree = 0;
    for (int j = 0; j < t->count; j++) degree += t->symbols[j]->dim == d;
    return degree;
}

static bool has_coordinate(const struct extent *e) {
    for (int i = 0; i < e->count; i++)
        for (int j = 0; j < e->terms[i].count; j++) {
            const struct symbol *s = e->terms[i].symbols[j];
            if (s->dim ? s->dim->axis != NULL : has_coordinate(s->numerator)) return true;
        }
    return false;
}

/* A coordinate in which e has degree 1, if none stands inside a floor; else NULL. */
static const struct dim *find_coordinate(const struct extent *e) {
    const struct dim *found = NULL;
    for (int i = 0; i < e->count; i++)
        for (int j = 0; j < e->terms[i].count; j++) {
            const struct symbol *s = e->terms[i].symbols[j];
            if (!s->dim && has_coordinate(s->numerator)) return NULL;
            if (s->dim && s->dim->axis) found = s->dim;
        }
    for (int i = 0; found && i < e->count; i++)
        if (degree(&e->terms[i], found) > 1) return NULL;
    return found;
}

static const struct extent *at_coordinate(struct extents *x, const struct extent *e, const struct dim *d,
                                          int64_t value) {
    const struct extent *total = extent_const(x, 0);
    for (int i = 0; i < e->count; i++) {
        const struct term *t = &e->terms[i];
        const struct extent *product = extent_const(x, t->coefficient);
        for (int j = 0; j < t->count; j++) {
            const struct term one = {1, 1, &t->symbols[j]};
            const struct extent symbol = {.count = 1, .terms = &one};
            product = extent_mul(x, product, t->symbols[j]->dim == d ? extent_const(x, value) : &symbol);
        }
        total = extent_add(x, total, product);
    }
    return total;
}

bool extent_nonnegative(struct extents *x, const struct extent *e) {
    const struct dim *d = e ? find_coordinate(e) : NULL;
    if (d && extent_min(e) < 0)
        return extent_nonnegative(x, at_coordinate(x, e, d, d->min)) &&
               extent_nonnegative(x, at_coordinate(x, e, d, d->max));
    for (int floors = 0; e && floors <= MAX_FLOORS; floors++) {
        if (extent_min(e) >= 0 || nonnegative_from_minimum(x, e)) return true;
        int at = find_floor(e);
        if (at < 0) return false;
        e = without_floor(x, e, at);
    }
    return false;
}

bool extent_at_most(struct extents *x, const struct extent *a, const struct extent *b) {
    return extent_nonnegative(x, extent_sub(x, b, a));
}
