/* Arithmetic on what is known at compile time: integers, reals, booleans, and extents over dims. */
#include "frontend/expand.h"
#include <math.h>
#include <string.h>

struct item item_int(int64_t value) {
    return (struct item){.kind = ITEM_INT, .integer = value};
}
struct item item_real(double value) {
    return (struct item){.kind = ITEM_REAL, .real = value};
}
struct item item_bool(bool value) {
    return (struct item){.kind = ITEM_BOOL, .integer = value};
}
struct item item_error(void) {
    return (struct item){.kind = ITEM_ERROR};
}
struct item item_value(struct value *v) {
    return v ? (struct item){.kind = ITEM_VALUE, .value = v} : item_error();
}
struct item item_extent(const struct extent *e) {
    int64_t value;
    if (extent_is_const(e, &value)) return item_int(value);
    return (struct item){.kind = ITEM_EXTENT, .extent = e};
}

bool item_number(const struct item *i) {
    return i->kind == ITEM_INT || i->kind == ITEM_REAL || i->kind == ITEM_BOOL;
}
bool item_known(const struct item *i) { return item_number(i) || i->kind == ITEM_EXTENT; }

const char *item_text(struct expander *x, const struct item *i) {
    switch (i->kind) {
    case ITEM_INT:
        return arena_printf(x->arena, "%lld", (long long)i->integer);
    case ITEM_REAL:
        return arena_printf(x->arena, "%.9g", i->real);
    case ITEM_BOOL:
        return i->integer ? "true" : "false";
    case ITEM_EXTENT:
        return extent_text(x->arena, i->extent);
    case ITEM_LIST:
        return "a list";
    case ITEM_VALUE:
        return arena_printf(x->arena, "a value of type %s", type_text(x->arena, &i->value->type));
    case ITEM_GLOBAL:
        return arena_printf(x->arena, "the array %s", i->element.global->name);
    default:
        return "nothing";
    }
}

static double as_real(const struct item *i) { return i->kind == ITEM_REAL ? i->real : (double)i->integer; }

static struct item overflow(struct expander *x, struct loc loc) {
    diag_error(x->diag, loc, "this does not fit 64 bits");
    return item_error();
}

static struct item by_zero(struct expander *x, struct loc loc) {
    diag_error(x->diag, loc, "division by zero");
    return item_error();
}

static int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b && (a < 0) != (b < 0)); }

/* a ** b of integers, b >= 0, by squaring. */
static bool integer_power(int64_t a, int64_t b, int64_t *result) {
    int64_t power = 1;
    while (b > 0) {
        if (b & 1 && __builtin_mul_overflow(power, a, &power)) return false;
        b >>= 1;
        if (b && __builtin_mul_overflow(a, a, &a)) return false;
    }
    *result = power;
    return true;
}

static struct item integers(struct expander *x, const char *op, int64_t a, int64_t b, struct loc loc) {
    int64_t r = 0;
    bool fits = true;
    if (strchr("/%", *op) && b == 0) return by_zero(x, loc);
    if (strchr("/%", *op) && b == -1 && strcmp(op, "/")) {
        if (*op == '%') return item_int(0);
        return __builtin_sub_overflow((int64_t)0, a, &r) ? overflow(x, loc) : item_int(r);
    }
    if (!strcmp(op, "**")) {
        if (b < 0) return a ? item_real(pow((double)a, (double)b)) : by_zero(x, loc);
        fits = integer_power(a, b, &r);
    } else if (!strcmp(op, "//"))
        r = floor_divide(a, b);
    else if (*op == '/')
        return item_real((double)a / (double)b);
    else if (*op == '%')
        r = a % b + ((a % b && (a < 0) != (b < 0)) ? b : 0);
    else if (*op == '+')
        fits = !__builtin_add_overflow(a, b, &r);
    else if (*op == '-')
        fits = !__builtin_sub_overflow(a, b, &r);
    else
        fits = !__builtin_mul_overflow(a, b, &r);
    return fits ? item_int(r) : overflow(x, loc);
}

static struct item reals(struct expander *x, const char *op, double a, double b, struct loc loc) {
    bool zero = !(b < 0 || b > 0);
    if (strchr("/%", *op) && zero && !isnan(b)) return by_zero(x, loc);
    if (!strcmp(op, "**")) return item_real(pow(a, b));
    if (!strcmp(op, "//")) return item_real(floor(a / b));
    if (*op == '/') return item_real(a / b);
    if (*op == '%') return item_real(a - floor(a / b) * b);
    if (*op == '+') return item_real(a + b);
    return item_real(*op == '-' ? a - b : a * b);
}

static bool comparison(const char *op, const struct item *a, const struct item *b) {
    bool whole = a->kind != ITEM_REAL && b->kind != ITEM_REAL;
    double p = as_real(a), q = as_real(b);
    bool less = whole ? a->integer < b->integer : p < q, more = whole ? a->integer > b->integer : p > q;
    bool equal = whole ? a->integer == b->integer : p <= q && p >= q;
    if (!strcmp(op, "==")) return equal;
    if (!strcmp(op, "!=")) return !equal;
    if (*op == '<') return less || (op[1] && equal);
    return more || (op[1] && equal);
}

bool report_large_extent(struct expander *x, struct loc loc) {
    diag_error(x->diag, loc,
               "this extent is too large: its numbers have 64 bits, its terms are at most 64, %s",
               "and its dims, those inside of // included, 4096");
    return false;
}

static const struct extent *to_extent(struct expander *x, const struct item *i) {
    return i->kind == ITEM_EXTENT ? i->extent : extent_const(x->graph->extents, i->integer);
}

/* a / n must come out whole for all dims; a // n and a % n need a positive constant. */
static const struct extent *extent_quotient(struct expander *x, const char *op, const struct extent *a,
                                            const struct extent *b) {
    struct extents *all = x->graph->extents;
    int64_t n;
    if (!strcmp(op, "/")) return extent_divide(all, a, b);
    if (!extent_is_const(b, &n) || n <= 0) return NULL;
    const struct extent *q = extent_floordiv(all, a, n);
    return *op == '%' ? extent_sub(all, a, extent_mul(all, q, b)) : q;
}

static struct item extents(struct expander *x, const char *op, const struct item *a, const struct item *b,
                           struct loc loc) {
    struct extents *all = x->graph->extents;
    const struct extent *p = to_extent(x, a), *q = to_extent(x, b), *r;
    int64_t n;
    if (strchr("/%", *op))
        r = extent_quotient(x, op, p, q);
    else
        r = *op == '+' ? extent_add(all, p, q) : *op == '-' ? extent_sub(all, p, q) : extent_mul(all, p, q);
    if (r) return item_extent(r);
    const char *left = item_text(x, a), *right = item_text(x, b);
    if (*op == '/' && !op[1])
        diag_error(x->diag, loc, "(%s) / (%s) is not whole for every value of the dims", left, right);
    else if (strchr("/%", *op) && (!extent_is_const(q, &n) || n <= 0))
        diag_error(x->diag, loc, "'%s' of an extent needs a positive integer on its right, not %s", op,
                   right);
    else
        report_large_extent(x, loc);
    return item_error();
}

static bool is_comparison(const char *op) { return strchr("<>!", *op) || !strcmp(op, "=="); }

bool constant_binary(struct expander *x, const char *op, const struct item *a, const struct item *b,
                     struct loc loc, struct item *result) {
    bool logical = !strcmp(op, "and") || !strcmp(op, "or"),
         extent = a->kind == ITEM_EXTENT || b->kind == ITEM_EXTENT;
    bool real = a->kind == ITEM_REAL || b->kind == ITEM_REAL,
         truth = a->kind == ITEM_BOOL || b->kind == ITEM_BOOL;
    if (extent && (real || truth || logical || is_comparison(op) || !strcmp(op, "**"))) return false;
    if (logical && !(a->kind == ITEM_BOOL && b->kind == ITEM_BOOL)) {
        diag_error(x->diag, loc, "'%s' takes bool, not %s and %s", op, item_text(x, a), item_text(x, b));
        *result = item_error();
    } else if (logical)
        *result = item_bool(*op == 'a' ? a->integer && b->integer : a->integer || b->integer);
    else if (is_comparison(op))
        *result = item_bool(comparison(op, a, b));
    else if (truth) {
        diag_error(x->diag, loc, "'%s' takes numbers, not %s and %s", op, item_text(x, a), item_text(x, b));
        *result = item_error();
    } else if (extent)
        *result = extents(x, op, a, b, loc);
    else
        *result =
            real ? reals(x, op, as_real(a), as_real(b), loc) : integers(x, op, a->integer, b->integer, loc);
    return true;
}

bool constant_unary(struct expander *x, const char *op, const struct item *a, struct loc loc,
                    struct item *result) {
    struct item zero = item_int(0);
    bool not = !strcmp(op, "not");
    if (not != (a->kind == ITEM_BOOL)) {
        if (a->kind == ITEM_EXTENT) return false;
        diag_error(x->diag, loc, "'%s' takes %s, not %s", op, not ? "bool" : "numbers", item_text(x, a));
        *result = item_error();
    } else if (not )
        *result = item_bool(!a->integer);
    else if (*op == '+')
        *result = *a;
    else if (a->kind == ITEM_REAL)
        *result = item_real(-a->real);
    else
        return constant_binary(x, "-", &zero, a, loc, result);
    return true;
}

bool constant_call(struct expander *x, const char *name, const struct item *a, struct loc loc,
                   struct item *result) {
    static const struct {
        const char *name;
        double (*function)(double);
    } functions[] = {{"sqrt", sqrt}, {"exp", exp}, {"log", log}};
    if (a->kind != ITEM_INT && a->kind != ITEM_REAL) return false;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(functions[i].name, name)) continue;
        *result = item_real(functions[i].function(as_real(a)));
        if (isnan(result->real) && !isnan(as_real(a)))
            diag_error(x->diag, loc, "%s of %s is not a number", name, item_text(x, a)),
                *result = item_error();
        return true;
    }
    return false;
}

bool item_to_int(struct expander *x, const struct item *i, const char *what, struct loc loc, int64_t *value) {
    if (i->kind == ITEM_ERROR) return false;
    if (i->kind == ITEM_INT) return *value = i->integer, true;
    bool whole = i->kind == ITEM_REAL && fabs(i->real) < 9e15 && i->real <= floor(i->real);
    if (whole) return *value = (int64_t)i->real, true;
    if (i->kind == ITEM_REAL)
        diag_error(x->diag, loc, "%s must be whole, not %s", what, item_text(x, i));
    else
        diag_error(x->diag, loc, "%s must be an integer known at compile time, not %s", what,
                   item_text(x, i));
    return false;
}

bool item_to_extent(struct expander *x, const struct item *i, const char *what, struct loc loc,
                    const struct extent **e) {
    int64_t value;
    if (i->kind == ITEM_EXTENT) return *e = i->extent, true;
    if (i->kind == ITEM_VALUE) {
        diag_error(x->diag, loc, "%s must be made of constants and dims, not %s", what, item_text(x, i));
        return false;
    }
    if (!item_to_int(x, i, what, loc, &value)) return false;
    *e = extent_const(x->graph->extents, value);
    return true;
}

bool item_to_real(struct expander *x, const struct item *i, const char *what, struct loc loc, double *value) {
    if (i->kind == ITEM_ERROR) return false;
    if (i->kind == ITEM_INT || i->kind == ITEM_REAL) return *value = as_real(i), true;
    diag_error(x->diag, loc, "%s must be a number known at compile time, not %s", what, item_text(x, i));
    return false;
}
