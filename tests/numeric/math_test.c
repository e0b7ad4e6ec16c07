/* How far compiled functions are from the true values, in units of the last place, over all exponents, at
 * vectors and at the single elements behind them. The bounds are what backend/README.md states.
 * Arguments: as ops_test's. */
#include "tests/numeric/compiled.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* long double has 11 bits more than f64; glibc's functions of it are within a few of its ULP. */
typedef long double exact_function(long double x, long double y);
#define EXACT(name)                                                                                          \
    static long double exact_##name(long double x, long double y) {                                          \
        (void)y;                                                                                             \
        return name##l(x);                                                                                   \
    }
EXACT(exp)
EXACT(exp2)
EXACT(expm1)
EXACT(log)
EXACT(log1p)
EXACT(tanh)
EXACT(erf)
EXACT(sin)
EXACT(cos)
EXACT(sqrt)
/* Beside 1: what is asked of gelu is not its tail's last place. */
static long double exact_gelu(long double x, long double y) {
    (void)y;
    return x / 2 * erfcl(-x / sqrtl(2)) + 1;
}
/* The remainder with the divisor's sign. */
static long double exact_rem(long double x, long double y) {
    long double r = fmodl(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

static const struct function_case {
    const char *expression;
    exact_function *exact;
    double bound32, bound64; /* ULP */
    float largest32;         /* of f32 tested for |x| up to this; 0: all there are */
} cases[] = {
    {"exp(x)", exact_exp, 1.1, 1.1, 0},     {"exp2(x)", exact_exp2, 1.1, 1.1, 0},
    {"expm1(x)", exact_expm1, 2, 1.5, 0},   {"log(x)", exact_log, 1, 1, 0},
    {"log1p(x)", exact_log1p, 2, 1, 0},     {"tanh(x)", exact_tanh, 3, 1.5, 0},
    {"erf(x)", exact_erf, 1.4, 1.5, 0},     {"sin(x)", exact_sin, 1.6, 1, 1e9f},
    {"cos(x)", exact_cos, 1.6, 1, 1e9f},    {"sqrt(x)", exact_sqrt, 0.501, 0.501, 0},
    {"x ** y", powl, 0.6, 1.5, 0},          {"x % y", exact_rem, 0.501, 0.501, 0},
    {"gelu(x) + 1", exact_gelu, 1.6, 7, 0},
};
enum { CASES = sizeof cases / sizeof *cases };

static const struct kind {
    const char *name;
    size_t bytes;
    int mantissa, least; /* bits of the mantissa; exponent of the smallest number */
    double largest;
} kinds[] = {{"f32", sizeof(float), FLT_MANT_DIG, -149, FLT_MAX},
             {"f64", sizeof(double), DBL_MANT_DIG, -1074, DBL_MAX}};

/* The distance between neighbours at x. */
static long double ulp(const struct kind *k, long double x) {
    int exponent;
    frexpl(x, &exponent);
    return ldexpl(1, exponent - k->mantissa > k->least && x != 0 ? exponent - k->mantissa : k->least);
}

static double narrowed(const struct kind *k, long double x) { return k->bytes == 4 ? (float)x : (double)x; }

static double distance(const struct kind *k, double got, long double want) {
    double rounded = narrowed(k, want);
    if (isnan(got) || isnan(rounded)) return isnan(got) && isnan(rounded) ? 0 : INFINITY;
    if (got == rounded && !isfinite(got)) return 0;
    if (got == 0 && rounded == 0 && signbit(got) != signbit(rounded)) return INFINITY;
    if (!isfinite(got) || !isfinite(rounded))
        return fabsl(want) < (long double)k->largest * 0.9999999L || isfinite(got) ? INFINITY : 0.5;
    return (double)(fabsl((long double)got - want) / ulp(k, want));
}

/* ---- arguments ---- */

struct arguments {
    int64_t count;
    double *x, *y;
};

static uint64_t next_random(void) {
    static uint64_t state = 1;
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return state ^ state >> 29;
}
static double uniform(double size) { return ((double)(next_random() >> 11) * 0x1p-52 - 1) * size; }

/* Any bit pattern: all signs and exponents, NaN and infinities too. */
static double any_number(const struct kind *k) {
    uint64_t bits = next_random();
    uint32_t half = (uint32_t)(bits >> 32);
    float single;
    double wide;
    memcpy(&single, &half, sizeof single);
    memcpy(&wide, &bits, sizeof wide);
    return k->bytes == 4 ? (double)single : wide;
}

/* Ends of ranges, signed zeros, subnormals; the f64 that is nearest to a multiple of pi / 2 for its size. */
static const double special[] = {
    0,        -0.0,       1,          -1,         INFINITY,  -INFINITY,           NAN,        0x1p-149,
    88.72284, 88.7229,    -87.33655,  -103.97,    0x1p-1074, -0x1p-1074,          0x1p-1022,  DBL_MAX,
    -DBL_MAX, 709.782712, 709.782713, -708.39642, -745.1332, -745.1333,           0.5,        -0.5,
    2,        -2,         3,          -3,         0x1p53,    0x1p53 - 1,          1 - 0x1p53, 0x1p52 + 0.5,
    0x1p20,   0x1.8p63,   1e300,      -1e-300,    1e22,      0x16ac5b262ca1ffp797};
enum { SPECIAL = sizeof special / sizeof *special, RANDOM = 1 << 18, TOTAL = RANDOM + SPECIAL * SPECIAL };

/* A second argument with which x ** y is about all there is, x % y has a quotient of some bits. */
static double partner(const struct kind *k, bool power, double x) {
    if (next_random() % 4 == 0) return any_number(k);
    double range = power ? log2(fabs(x)) : 0;
    return power ? uniform((k->bytes == 4 ? 160 : 1100) / range)
                 : x * exp2(uniform(40)) * (1.5 + uniform(0.5));
}

static void take(const struct kind *k, const struct function_case *c, struct arguments *a, double x,
                 double y) {
    x = narrowed(k, x), y = narrowed(k, y);
    if (k->bytes == 4 && c->largest32 != 0 && !(fabs(x) <= (double)c->largest32)) return;
    a->x[a->count] = x, a->y[a->count++] = y;
}

static void fill(const struct kind *k, const struct function_case *c, struct arguments *a) {
    bool two = strchr(c->expression, 'y');
    a->count = 0;
    for (int i = 0; i < RANDOM; i++) {
        double x = i % 3 == 0 ? any_number(k) : uniform(i % 3 == 1 ? 3 : 800);
        if (i % 8 == 0) x = (double)(rint(uniform(0x1p20)) * acosl(0)); /* next to quarters of a turn */
        take(k, c, a, x, two ? partner(k, c->exact == powl, x) : 0);
    }
    for (int i = 0; i < SPECIAL; i++)
        for (int j = 0; j < (two ? SPECIAL : 1); j++) take(k, c, a, special[i], special[j]);
}

/* ---- calls ---- */

static void put(const struct kind *k, void *to, const double *from, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (k->bytes == 4)
            ((float *)to)[i] = (float)from[i];
        else
            ((double *)to)[i] = from[i];
}

static int check(struct compiled *c, const struct kind *k, int number, const struct arguments *a) {
    const struct function_case *f = &cases[number];
    struct pair_call call = {.function = (uint32_t)number, .dims = {a->count}};
    double worst = 0, bound = k->bytes == 4 ? f->bound32 : f->bound64;
    int64_t at = 0;
    pair_call_begin(c->pair.descriptor, &call);
    put(k, call.in[0], a->x, a->count), put(k, call.in[1], a->y, a->count);
    if (!compiled_run(c, &call) || call.status[1]) return 1;
    for (int64_t i = 0; i < a->count; i++) {
        const void *y = call.out[1][0];
        double got = k->bytes == 4 ? (double)((const float *)y)[i] : ((const double *)y)[i];
        double d = distance(k, got, f->exact(a->x[i], a->y[i]));
        if (d > worst) worst = d, at = i;
    }
    printf("%s %-8s %6.3f ULP at most, at %a, %a (bound %g), %lld values\n", k->name, f->expression, worst,
           a->x[at], a->y[at], bound, (long long)a->count);
    pair_call_end(&call);
    return worst > bound;
}

static int check_kind(const struct kind *k, const struct machine *m, struct arguments *a) {
    char text[8192] = "model test\ndim N in 0..10000000\n";
    int wrong = 0;
    for (int i = 0; i < CASES; i++)
        sprintf(text + strlen(text), "export fn f%d_(x: %s[N], y: %s[N]) = %s\n", i, k->name, k->name,
                cases[i].expression);
    struct compiled *c = compiled_new(text, m, "");
    if (!c) return 1;
    for (int i = 0; i < CASES; i++) {
        fill(k, &cases[i], a);
        wrong += check(c, k, i, a);
    }
    compiled_free(c);
    return wrong;
}

int main(int argc, char **argv) {
    struct machine m = machine_of(argc, argv);
    static double x[TOTAL], y[TOTAL];
    struct arguments a = {0, x, y};
    int wrong = 0;
    for (int i = 0; i < 2; i++)
        if (argc < 3 || strstr(kinds[i].name, argv[2])) wrong += check_kind(&kinds[i], &m, &a);
    return wrong != 0;
}
