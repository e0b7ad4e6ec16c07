/* How far compiled f32 functions are from the true values, in units of the last place, over all exponents, at
 * vectors and at the single elements behind them. The bounds are what backend/README.md states.
 * Arguments: as ops_test's; the second is not looked at. */
#include "tests/numeric/compiled.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct function_case {
    const char *expression;
    long double (*exact)(long double);
    double bound;  /* ULP */
    float largest; /* tested for |x| up to this; 0: all there are */
} cases[] = {
    {"exp(x)", expl, 1, 0},       {"exp2(x)", exp2l, 1, 0},    {"expm1(x)", expm1l, 2, 0},
    {"log(x)", logl, 1, 0},       {"log1p(x)", log1pl, 2, 0},  {"tanh(x)", tanhl, 3, 0},
    {"erf(x)", erfl, 1, 0},       {"sin(x)", sinl, 1.6, 1e9f}, {"cos(x)", cosl, 1.6, 1e9f},
    {"sqrt(x)", sqrtl, 0.501, 0},
};
enum { CASES = sizeof cases / sizeof *cases, STEP = 9973, TOTAL = (1 << 30) / STEP * 4 + 64 };

static float from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The distance between neighbours of f32 at x. */
static double ulp(long double x) {
    if (x == 0 || fabsl(x) < 0x1p-126L) return 0x1p-149;
    int exponent;
    frexpl(x, &exponent);
    return ldexp(1, exponent - 24);
}

static double distance(float got, long double want) {
    float rounded = (float)want;
    if ((isnan(got) && isnan(rounded)) || got == rounded)
        return isfinite(rounded) ? fabs((double)(got - want)) / ulp(want) : 0;
    if (!isfinite(got) || !isfinite(rounded))
        return fabsl(want) < 0x1.fffffep127L * 0.9999999L || isfinite(got) ? INFINITY : 0.5;
    return fabs((double)((long double)got - want)) / ulp(want);
}

/* Every STEP-th bit pattern: all signs and exponents, NaN and infinities too. */
static int64_t fill(float *x, float largest) {
    int64_t n = 0;
    for (uint64_t bits = 0; bits < (uint64_t)1 << 32; bits += STEP) {
        float value = from_bits((uint32_t)bits);
        if (!largest || (fabsf(value) <= largest && isfinite(value))) x[n++] = value;
    }
    const float special[] = {0,   -0.0f,     1,         -1,       INFINITY,   -INFINITY,
                             NAN, 0x1p-149f, 88.72284f, 88.7229f, -87.33655f, -103.97f};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (!largest || isfinite(special[i])) x[n++] = special[i];
    return n;
}

static int check(struct compiled *c, int number, int64_t n, const float *x) {
    const struct function_case *k = &cases[number];
    struct pair_call call = {.function = (uint32_t)number, .dims = {n}};
    double worst = 0;
    float at = 0;
    pair_call_begin(c->pair.descriptor, &call);
    memcpy(call.in[0], x, call.in_bytes[0]);
    if (!compiled_run(c, &call) || call.status[1]) return 1;
    const float *y = call.out[1][0];
    for (int64_t i = 0; i < n; i++) {
        double d = distance(y[i], k->exact(x[i]));
        if (d > worst) worst = d, at = x[i];
    }
    printf("%-10s %5.2f ULP at most, at %a (bound %g), %lld values\n", k->expression, worst, (double)at,
           k->bound, (long long)n);
    pair_call_end(&call);
    return worst > k->bound;
}

int main(int argc, char **argv) {
    char text[4096] = "model test\ndim N in 0..10000000\n";
    int wrong = 0;
    for (int i = 0; i < CASES; i++)
        sprintf(text + strlen(text), "export fn f%d_(x: f32[N]) = %s\n", i, cases[i].expression);
    struct machine m = machine_of(argc, argv);
    struct compiled *c = compiled_new(text, &m, "");
    float *x = malloc(TOTAL * sizeof *x);
    if (!c || !x) return 1;
    for (int i = 0; i < CASES; i++) wrong += check(c, i, fill(x, cases[i].largest), x);
    free(x);
    compiled_free(c);
    return wrong != 0;
}
