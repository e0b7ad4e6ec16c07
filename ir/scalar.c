/* Scalar expressions: a small infix parser for the bodies in ops.def, and evaluation of the primitives. */
#include "ir/scalar.h"
#include "ir/diag.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int arity;
} primitives[SCALAR_COUNT] = {
    [SCALAR_ARGUMENT] = {"", 0},
    [SCALAR_CONSTANT] = {"", 0},
#define SCALAR(name, operands, meaning) [SCALAR_##name] = {#name, operands},
#include "ir/scalars.def"
#undef SCALAR
};

const char *scalar_name(enum scalar_op op) { return primitives[op].name; }
int scalar_arity(enum scalar_op op) { return primitives[op].arity; }

struct parser {
    struct arena *arena;
    const char *text, *at;
};

static const struct scalar *parse_comparison(struct parser *p);

static _Noreturn void malformed(const struct parser *p) {
    ice("scalar body '%s' is malformed at '%s'", p->text, p->at);
}

static bool accept(struct parser *p, const char *token) {
    while (*p->at == ' ') p->at++;
    if (strncmp(p->at, token, strlen(token))) return false;
    p->at += strlen(token);
    return true;
}

static void expect(struct parser *p, const char *token) {
    if (!accept(p, token)) malformed(p);
}

static const struct scalar *make(struct parser *p, struct scalar s) {
    struct scalar *made = arena_new_object(p->arena, struct scalar);
    *made = s;
    return made;
}

static const struct scalar *parse_call(struct parser *p, const char *name, size_t length) {
    struct scalar s = {.op = SCALAR_CONSTANT};
    for (int i = 0; i < SCALAR_COUNT; i++)
        if (strlen(primitives[i].name) == length && !strncmp(primitives[i].name, name, length))
            s.op = (enum scalar_op)i;
    if (s.op == SCALAR_CONSTANT) malformed(p);
    expect(p, "(");
    for (int i = 0; i < primitives[s.op].arity; i++) {
        if (i) expect(p, ",");
        s.operands[i] = parse_comparison(p);
    }
    expect(p, ")");
    return make(p, s);
}

static const struct scalar *parse_primary(struct parser *p) {
    if (accept(p, "(")) {
        const struct scalar *inner = parse_comparison(p);
        expect(p, ")");
        return inner;
    }
    if (isdigit((unsigned char)*p->at) || *p->at == '-') {
        char *end;
        double value = strtod(p->at, &end);
        if (end == p->at) malformed(p);
        p->at = end;
        return make(p, (struct scalar){.op = SCALAR_CONSTANT, .value = value});
    }
    const char *name = p->at;
    while (isalnum((unsigned char)*p->at)) p->at++;
    size_t length = (size_t)(p->at - name);
    if (length == 1 && *name >= 'a' && *name <= 'c')
        return make(p, (struct scalar){.op = SCALAR_ARGUMENT, .argument = *name - 'a'});
    return parse_call(p, name, length);
}

static const struct scalar *binary(struct parser *p, enum scalar_op op, const struct scalar *a,
                                   const struct scalar *b) {
    return make(p, (struct scalar){.op = op, .operands = {a, b}});
}

static const struct scalar *parse_product(struct parser *p) {
    const struct scalar *s = parse_primary(p);
    for (;;) {
        if (accept(p, "*"))
            s = binary(p, SCALAR_mul, s, parse_primary(p));
        else if (accept(p, "/"))
            s = binary(p, SCALAR_div, s, parse_primary(p));
        else
            return s;
    }
}

static const struct scalar *parse_sum(struct parser *p) {
    const struct scalar *s = parse_product(p);
    for (;;) {
        if (accept(p, "+"))
            s = binary(p, SCALAR_add, s, parse_product(p));
        else if (accept(p, "-"))
            s = binary(p, SCALAR_sub, s, parse_product(p));
        else
            return s;
    }
}

static const struct scalar *parse_comparison(struct parser *p) {
    const struct scalar *s = parse_sum(p);
    if (accept(p, "==")) return binary(p, SCALAR_eq, s, parse_sum(p));
    if (accept(p, "!=")) return binary(p, SCALAR_ne, s, parse_sum(p));
    if (accept(p, "<=")) return binary(p, SCALAR_le, s, parse_sum(p));
    if (accept(p, "<")) return binary(p, SCALAR_lt, s, parse_sum(p));
    return s;
}

const struct scalar *scalar_parse(struct arena *a, const char *text) {
    struct parser p = {a, text, text};
    const struct scalar *s = parse_comparison(&p);
    accept(&p, "");
    if (*p.at) malformed(&p);
    return s;
}

/* fmin and fmax drop NaNs; ours keep them, as numpy's do. */
static double float_min(double a, double b) { return isnan(a) || isnan(b) ? NAN : a < b ? a : b; }
static double float_max(double a, double b) { return isnan(a) || isnan(b) ? NAN : a > b ? a : b; }

static double float_rem(double a, double b) {
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* Here and below the primitives are the language of bodies, not ops: this is the one place that says what
 * they do. */
double scalar_eval_float(enum scalar_op op, double a, double b, double c) {
    switch (op) {
    case SCALAR_neg:
        return -a;
    case SCALAR_abs:
        return fabs(a);
    case SCALAR_sqrt:
        return sqrt(a);
    case SCALAR_exp:
        return exp(a);
    case SCALAR_exp2:
        return exp2(a);
    case SCALAR_expm1:
        return expm1(a);
    case SCALAR_log:
        return log(a);
    case SCALAR_log1p:
        return log1p(a);
    case SCALAR_sin:
        return sin(a);
    case SCALAR_cos:
        return cos(a);
    case SCALAR_tanh:
        return tanh(a);
    case SCALAR_erf:
        return erf(a);
    case SCALAR_gelu:
        return a / 2 * erfc(a * -0.70710678118654752); /* 1 / sqrt 2; 1 + erf would cancel below 0 */
    case SCALAR_floor:
        return floor(a);
    case SCALAR_ceil:
        return ceil(a);
    case SCALAR_round:
        return nearbyint(a);
    case SCALAR_not:
        return a == 0;
    case SCALAR_add:
        return a + b;
    case SCALAR_sub:
        return a - b;
    case SCALAR_mul:
        return a * b;
    case SCALAR_div:
        return a / b;
    case SCALAR_rem:
        return float_rem(a, b);
    case SCALAR_pow:
        return pow(a, b);
    case SCALAR_min:
        return float_min(a, b);
    case SCALAR_max:
        return float_max(a, b);
    case SCALAR_eq:
        return a == b;
    case SCALAR_ne:
        return a != b;
    case SCALAR_lt:
        return a < b;
    case SCALAR_le:
        return a <= b;
    case SCALAR_and:
        return a != 0 && b != 0;
    case SCALAR_or:
        return a != 0 || b != 0;
    case SCALAR_select:
        return a != 0 ? b : c;
    default:
        ice("scalar primitive %d has no float evaluation", (int)op);
    }
}

static int64_t integer_rem(int64_t a, int64_t b) {
    if (b == 0 || b == -1) return 0; /* by -1: INT64_MIN % -1 overflows */
    int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static int64_t integer_pow(int64_t base, int64_t exponent) {
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
    uint64_t power = 1, square = (uint64_t)base;
    for (; exponent; exponent >>= 1, square *= square)
        if (exponent & 1) power *= square;
    return (int64_t)power;
}

int64_t scalar_eval_integer(enum scalar_op op, int64_t a, int64_t b, int64_t c) {
    uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
    switch (op) {
    case SCALAR_neg:
        return (int64_t)(0 - ua);
    case SCALAR_abs:
        return a < 0 ? (int64_t)(0 - ua) : a;
    case SCALAR_not:
        return a == 0;
    case SCALAR_floor:
    case SCALAR_ceil:
    case SCALAR_round:
        return a;
    case SCALAR_add:
        return (int64_t)(ua + ub);
    case SCALAR_sub:
        return (int64_t)(ua - ub);
    case SCALAR_mul:
        return (int64_t)(ua * ub);
    case SCALAR_rem:
        return integer_rem(a, b);
    case SCALAR_pow:
        return integer_pow(a, b);
    case SCALAR_min:
        return a < b ? a : b;
    case SCALAR_max:
        return a > b ? a : b;
    case SCALAR_eq:
        return a == b;
    case SCALAR_ne:
        return a != b;
    case SCALAR_lt:
        return a < b;
    case SCALAR_le:
        return a <= b;
    case SCALAR_and:
        return a != 0 && b != 0;
    case SCALAR_or:
        return a != 0 || b != 0;
    case SCALAR_select:
        return a != 0 ? b : c;
    default:
        ice("scalar primitive %s is not for integers", scalar_name(op));
    }
}
