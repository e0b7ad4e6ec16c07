/* Canonical, interned polynomials: sums are sorted by monomial (higher degree first, then by symbols' ids),
 * like terms are merged, and equal polynomials are found in a hash table, so that equality is pointer
 * equality. */
#include "ir/extent.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_TERMS = 64, MAX_DEGREE = 16, MAX_SYMBOLS = 4096 };

struct extents {
    struct arena *arena;
    const struct extent **table; /* open addressing, [capacity] */
    int count, capacity;
    const struct symbol **symbols;
    int symbols_count, symbols_capacity;
};

/* A polynomial being built: terms in any order, possibly repeated. */
struct sum {
    struct term terms[MAX_TERMS];
    int count;
    bool overflow;
};

struct extents *extents_new(struct arena *a) {
    struct extents *x = arena_new_object(a, struct extents);
    x->arena = a;
    x->capacity = 256;
    x->table = arena_new_array(a, const struct extent *, x->capacity);
    return x;
}

/* Dims of callers, coordinates, floors: each in the order in which they are declared, so that a dump that is
 * parsed again orders them alike, whoever was interned first. */
static int compare_symbols(const struct symbol *a, const struct symbol *b) {
    if (!a->dim != !b->dim) return a->dim ? -1 : 1;
    if (a->dim && !a->dim->axis != !b->dim->axis) return a->dim->axis ? 1 : -1;
    if (a->dim && a->dim->id != b->dim->id) return a->dim->id - b->dim->id;
    return a->id - b->id;
}

static int compare_monomials(const struct term *a, const struct term *b) {
    if (a->count != b->count) return b->count - a->count;
    for (int i = 0; i < a->count; i++)
        if (a->symbols[i] != b->symbols[i]) return compare_symbols(a->symbols[i], b->symbols[i]);
    return 0;
}

static int compare_terms(const void *a, const void *b) { return compare_monomials(a, b); }

static bool equal_extents(const struct extent *a, const struct sum *b) {
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++)
        if (a->terms[i].coefficient != b->terms[i].coefficient ||
            compare_monomials(&a->terms[i], &b->terms[i]))
            return false;
    return true;
}

static uint64_t hash_terms(const struct term *terms, int count) {
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < count; i++) {
        h = (h ^ (uint64_t)terms[i].coefficient) * 0x100000001b3u;
        for (int j = 0; j < terms[i].count; j++)
            h = (h ^ (uint64_t)(terms[i].symbols[j]->id + 1)) * 0x100000001b3u;
    }
    return h ^ h >> 32;
}

static void insert(struct extents *x, const struct extent *e) {
    uint64_t at = hash_terms(e->terms, e->count) % (uint64_t)x->capacity;
    while (x->table[at]) at = (at + 1) % (uint64_t)x->capacity;
    x->table[at] = e;
}

static void grow_table(struct extents *x) {
    const struct extent **old = x->table;
    int old_capacity = x->capacity;
    x->capacity *= 2;
    x->table = arena_new_array(x->arena, const struct extent *, x->capacity);
    for (int i = 0; i < old_capacity; i++)
        if (old[i]) insert(x, old[i]);
}

static void merge_like_terms(struct sum *s) {
    qsort(s->terms, (size_t)s->count, sizeof *s->terms, compare_terms);
    int kept = 0;
    for (int i = 0; i < s->count; i++) {
        struct term *last = kept ? &s->terms[kept - 1] : NULL;
        if (!last || compare_monomials(last, &s->terms[i]))
            s->terms[kept++] = s->terms[i];
        else if (__builtin_add_overflow(last->coefficient, s->terms[i].coefficient, &last->coefficient))
            s->overflow = true;
    }
    s->count = 0;
    for (int i = 0; i < kept; i++)
        if (s->terms[i].coefficient) s->terms[s->count++] = s->terms[i];
}

/* Numerators are shared, so that nested floors may hold exponentially many symbols: past the limit, more. */
static int count_symbols(const struct sum *s) {
    int count = 0;
    for (int i = 0; i < s->count; i++)
        for (int j = 0; j < s->terms[i].count && count <= MAX_SYMBOLS; j++) {
            const struct symbol *symbol = s->terms[i].symbols[j];
            count += 1 + (symbol->dim ? 0 : symbol->numerator->size);
        }
    return count;
}

/* The extent that `s` is, or NULL where that is too large. */
static const struct extent *intern(struct extents *x, struct sum *s) {
    if (!s->overflow) merge_like_terms(s);
    if (s->overflow) return NULL;
    uint64_t at = hash_terms(s->terms, s->count) % (uint64_t)x->capacity;
    for (; x->table[at]; at = (at + 1) % (uint64_t)x->capacity)
        if (equal_extents(x->table[at], s)) return x->table[at];
    int size = count_symbols(s);
    if (size > MAX_SYMBOLS) return NULL;
    struct extent *e = arena_new_object(x->arena, struct extent);
    struct term *terms = arena_new_array(x->arena, struct term, s->count);
    if (s->count) memcpy(terms, s->terms, (size_t)s->count * sizeof *terms);
    *e = (struct extent){s->count, terms, x->count++, size};
    x->table[at] = e;
    if (x->count * 2 > x->capacity) grow_table(x);
    return e;
}

static void sum_add(struct sum *s, struct term t) {
    if (s->count == MAX_TERMS)
        s->overflow = true;
    else
        s->terms[s->count++] = t;
}

/* Adds factor * e. */
static void sum_add_scaled(struct sum *s, const struct extent *e, int64_t factor) {
    for (int i = 0; i < e->count; i++) {
        struct term t = e->terms[i];
        if (__builtin_mul_overflow(t.coefficient, factor, &t.coefficient)) s->overflow = true;
        sum_add(s, t);
    }
}

static struct term term_product(struct extents *x, const struct term *a, const struct term *b,
                                bool *overflow) {
    struct term product = {.count = a->count + b->count};
    if (product.count > MAX_DEGREE ||
        __builtin_mul_overflow(a->coefficient, b->coefficient, &product.coefficient)) {
        *overflow = true;
        return (struct term){0};
    }
    const struct symbol **symbols = arena_new_array(x->arena, const struct symbol *, product.count);
    for (int i = 0, j = 0, k = 0; k < product.count; k++) {
        bool from_a = j == b->count || (i < a->count && compare_symbols(a->symbols[i], b->symbols[j]) <= 0);
        symbols[k] = from_a ? a->symbols[i++] : b->symbols[j++];
    }
    product.symbols = symbols;
    return product;
}

static const struct extent *from_symbol(struct extents *x, const struct symbol *symbol) {
    const struct symbol **one = arena_new_array(x->arena, const struct symbol *, 1);
    one[0] = symbol;
    struct sum s = {.count = 1};
    s.terms[0] = (struct term){1, 1, one};
    return intern(x, &s);
}

static const struct symbol *find_symbol(struct extents *x, struct symbol wanted) {
    for (int i = 0; i < x->symbols_count; i++) {
        const struct symbol *s = x->symbols[i];
        if (s->dim == wanted.dim && s->numerator == wanted.numerator && s->divisor == wanted.divisor)
            return s;
    }
    struct symbol *s = arena_new_object(x->arena, struct symbol);
    *s = wanted;
    s->id = x->symbols_count;
    arena_push(x->arena, x->symbols, x->symbols_count, x->symbols_capacity, s);
    return s;
}

const struct extent *extent_const(struct extents *x, int64_t value) {
    struct sum s = {.count = 1};
    s.terms[0] = (struct term){value, 0, NULL};
    return intern(x, &s);
}

const struct extent *extent_dim(struct extents *x, const struct dim *dim) {
    return from_symbol(x, find_symbol(x, (struct symbol){.dim = dim}));
}

const struct extent *extent_add(struct extents *x, const struct extent *a, const struct extent *b) {
    if (!a || !b) return NULL;
    struct sum s = {0};
    sum_add_scaled(&s, a, 1);
    sum_add_scaled(&s, b, 1);
    return intern(x, &s);
}

const struct extent *extent_sub(struct extents *x, const struct extent *a, const struct extent *b) {
    if (!a || !b) return NULL;
    struct sum s = {0};
    sum_add_scaled(&s, a, 1);
    sum_add_scaled(&s, b, -1);
    return intern(x, &s);
}

const struct extent *extent_mul(struct extents *x, const struct extent *a, const struct extent *b) {
    if (!a || !b) return NULL;
    struct sum s = {0};
    for (int i = 0; i < a->count; i++)
        for (int j = 0; j < b->count; j++)
            sum_add(&s, term_product(x, &a->terms[i], &b->terms[j], &s.overflow));
    return intern(x, &s);
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/* floor((d*q + r) / d) = q + floor(r / d): whole multiples leave the floor, so that equal extents look equal.
 */
const struct extent *extent_floordiv(struct extents *x, const struct extent *a, int64_t divisor) {
    if (!a || divisor <= 0) return NULL;
    struct sum quotient = {0}, rest = {0};
    for (int i = 0; i < a->count; i++) {
        struct term q = a->terms[i], r = a->terms[i];
        q.coefficient = floor_div(q.coefficient, divisor);
        r.coefficient %= divisor; /* not q * divisor away, which may overflow */
        if (r.coefficient < 0) r.coefficient += divisor;
        if (q.coefficient) sum_add(&quotient, q);
        if (r.coefficient) sum_add(&rest, r);
    }
    const struct extent *whole = intern(x, &quotient), *remainder = intern(x, &rest);
    if (!whole || !remainder) return NULL;
    if (extent_min(remainder) >= 0 && extent_max(remainder) < divisor) return whole;
    const struct symbol *only =
        remainder->count == 1 && remainder->terms[0].coefficient == 1 && remainder->terms[0].count == 1
            ? remainder->terms[0].symbols[0]
            : NULL;
    struct symbol floor = {.numerator = remainder, .divisor = divisor};
    if (only && !only->dim) { /* floor(floor(n / p) / q) = floor(n / (p*q)) */
        floor.numerator = only->numerator;
        if (__builtin_mul_overflow(only->divisor, divisor, &floor.divisor)) return NULL;
    }
    return extent_add(x, whole, from_symbol(x, find_symbol(x, floor)));
}

/* a / b as one monomial, if a is a multiple of b. */
static bool divide_terms(struct extents *x, const struct term *a, const struct term *b,
                         struct term *quotient) {
    if (a->coefficient % b->coefficient || a->count < b->count) return false;
    const struct symbol **symbols = arena_new_array(x->arena, const struct symbol *, a->count);
    int kept = 0, j = 0;
    for (int i = 0; i < a->count; i++) {
        if (j < b->count && a->symbols[i] == b->symbols[j])
            j++;
        else
            symbols[kept++] = a->symbols[i];
    }
    *quotient = (struct term){a->coefficient / b->coefficient, kept, symbols};
    return j == b->count;
}

/* Polynomial long division by leading terms. */
const struct extent *extent_divide(struct extents *x, const struct extent *a, const struct extent *b) {
    if (!a || !b || !b->count) return NULL;
    const struct extent *quotient = extent_const(x, 0);
    for (int steps = 0; a && a->count && steps < MAX_TERMS; steps++) {
        struct sum s = {.count = 1};
        bool minimum = a->terms[0].coefficient == INT64_MIN;
        if (minimum || !divide_terms(x, &a->terms[0], &b->terms[0], &s.terms[0])) return NULL;
        const struct extent *part = intern(x, &s);
        quotient = extent_add(x, quotient, part);
        a = extent_sub(x, a, extent_mul(x, part, b));
    }
    return a && !a->count ? quotient : NULL;
}

static const struct extent *replace_symbol(struct extents *x, const struct symbol *s,
                                           const struct extent *const *by) {
    if (!s->dim) return extent_floordiv(x, extent_replace(x, s->numerator, by), s->divisor);
    return by[s->dim->id] ? by[s->dim->id] : extent_dim(x, s->dim);
}

const struct extent *extent_replace(struct extents *x, const struct extent *e,
                                    const struct extent *const *by) {
    const struct extent *total = extent_const(x, 0);
    for (int i = 0; e && i < e->count; i++) {
        const struct extent *product = extent_const(x, e->terms[i].coefficient);
        for (int j = 0; j < e->terms[i].count; j++)
            product = extent_mul(x, product, replace_symbol(x, e->terms[i].symbols[j], by));
        total = extent_add(x, total, product);
    }
    return e ? total : NULL;
}

bool extent_is_const(const struct extent *e, int64_t *value) {
    if (e->count > 1 || (e->count == 1 && e->terms[0].count)) return false;
    if (value) *value = e->count ? e->terms[0].coefficient : 0;
    return true;
}

static int64_t saturating_mul(int64_t a, int64_t b) {
    int64_t product;
    if (!__builtin_mul_overflow(a, b, &product)) return product;
    return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

static int64_t saturating_add(int64_t a, int64_t b) {
    int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum)) return sum;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

struct range {
    int64_t min, max;
};

static struct range range_product(struct range a, struct range b) {
    int64_t corners[4] = {saturating_mul(a.min, b.min), saturating_mul(a.min, b.max),
                          saturating_mul(a.max, b.min), saturating_mul(a.max, b.max)};
    struct range product = {corners[0], corners[0]};
    for (int i = 1; i < 4; i++) {
        if (corners[i] < product.min) product.min = corners[i];
        if (corners[i] > product.max) product.max = corners[i];
    }
    return product;
}

static struct range extent_range(const struct extent *e) {
    struct range total = {0, 0};
    for (int i = 0; i < e->count; i++) {
        struct range product = {e->terms[i].coefficient, e->terms[i].coefficient};
        for (int j = 0; j < e->terms[i].count; j++) {
            const struct symbol *s = e->terms[i].symbols[j];
            struct range r = s->dim ? (struct range){s->dim->min, s->dim->max} : extent_range(s->numerator);
            if (!s->dim) r = (struct range){floor_div(r.min, s->divisor), floor_div(r.max, s->divisor)};
            product = range_product(product, r);
        }
        total =
            (struct range){saturating_add(total.min, product.min), saturating_add(total.max, product.max)};
    }
    return total;
}

int64_t extent_min(const struct extent *e) { return extent_range(e).min; }
int64_t extent_max(const struct extent *e) { return extent_range(e).max; }

int64_t extent_eval(const struct extent *e, const int64_t *dims) {
    int64_t total = 0;
    for (int i = 0; i < e->count; i++) {
        int64_t product = e->terms[i].coefficient;
        for (int j = 0; j < e->terms[i].count; j++) {
            const struct symbol *s = e->terms[i].symbols[j];
            int64_t v = s->dim ? dims[s->dim->id] : floor_div(extent_eval(s->numerator, dims), s->divisor);
            product = saturating_mul(product, v);
        }
        total = saturating_add(total, product);
    }
    return total;
}

static const char *symbol_text(struct arena *a, const struct symbol *s, bool alone) {
    if (s->dim) return s->dim->name;
    const char *numerator = extent_text(a, s->numerator);
    bool simple = s->numerator->count == 1 && s->numerator->terms[0].coefficient == 1;
    const char *inner =
        arena_printf(a, simple ? "%s // %lld" : "(%s) // %lld", numerator, (long long)s->divisor);
    return alone ? inner : arena_printf(a, "(%s)", inner);
}

/* The monomial with a non-negative coefficient; the caller writes the sign. */
static const char *term_text(struct arena *a, const struct term *t) {
    bool negative = t->coefficient < 0;
    uint64_t magnitude = negative ? 0 - (uint64_t)t->coefficient : (uint64_t)t->coefficient;
    bool one = magnitude == 1 && t->count;
    const char *text = one ? "" : arena_printf(a, "%llu", (unsigned long long)magnitude);
    for (int i = 0; i < t->count; i++) {
        bool alone = one && !negative && t->count == 1;
        text = arena_printf(a, "%s%s%s", text, *text ? "*" : "", symbol_text(a, t->symbols[i], alone));
    }
    return text;
}

const char *extent_text(struct arena *a, const struct extent *e) {
    if (!e) return "?";
    if (!e->count) return "0";
    const char *text = "";
    for (int i = 0; i < e->count; i++) {
        bool negative = e->terms[i].coefficient < 0;
        const char *sign = i == 0 ? (negative ? "-" : "") : negative ? " - " : " + ";
        text = arena_printf(a, "%s%s%s", text, sign, term_text(a, &e->terms[i]));
    }
    return text;
}
