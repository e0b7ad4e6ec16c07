/* Each pass keeps what a model computes: random programs give the same results, call after call, before and
 * after every pass of the pipeline; every graph in between verifies, and its dump parses to the same dump. */
#include "frontend/frontend.h"
#include "ir/interp.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "passes/passes.h"
#include "random_program.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { PROGRAMS = 120, STATEMENTS = 14, CALLS = 2, MAX_RESULTS = 8 };
static const int64_t lengths[] = {1, 5};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

struct outcome {
    struct array *results[LENGTHS][CALLS][MAX_RESULTS];
};

static struct graph *parse(struct arena *a, const char *text) {
    struct diag *d = arena_new_object(a, struct diag);
    const struct frontend_options options = {0};
    diag_init(d, a, stderr);
    struct graph *g = frontend_parse(a, d, "t.mdl", text, strlen(text), &options);
    cr_assert_eq(d->errors, 0, "%s", text);
    g->target = target_find(NULL, "x86-64-v3");
    return g;
}

static struct array *input(struct arena *a, enum dtype dtype, int rank, int64_t s, double seed) {
    struct array *x = array_new(a, dtype, rank, (int64_t[]){s, 8});
    for (int64_t i = 0; i < x->elements; i++) {
        double value = sin(seed + 1.7 * (double)i);
        if (x->floats) x->floats[i] = value;
        if (x->integers) x->integers[i] = (int64_t)floor(4 + 3.9 * value);
    }
    return x;
}

static void run(struct arena *a, struct graph *g, struct outcome *o, const char *text) {
    struct interp *p = interp_new(a, g, true);
    cr_assert_not_null(p);
    for (int l = 0; l < LENGTHS; l++) {
        int64_t s = lengths[l];
        interp_reset(p);
        for (int call = 0; call < CALLS; call++) {
            struct array *t = array_new(a, DTYPE_I32, 0, NULL);
            t->integers[0] = (s - 1) / 2;
            struct array *inputs[] = {input(a, DTYPE_F32, 2, s, 0.5 + call), input(a, DTYPE_F32, 2, s, 1.25),
                                      t, input(a, DTYPE_I32, 1, s, 2.5)};
            const char *error = "";
            cr_assert(interp_call(p, g->functions, inputs, o->results[l][call], &error), "%s\n%s", error,
                      text);
        }
    }
}

static bool close_enough(double a, double b) {
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-12 * fmax(1, fmax(fabs(a), fabs(b)));
}

static void compare(const struct graph *g, const struct outcome *was, const struct outcome *is,
                    const char *pass, const char *text) {
    for (int l = 0; l < LENGTHS; l++)
        for (int call = 0; call < CALLS; call++)
            for (int r = 0; r < g->functions->body->results_count; r++) {
                const struct array *x = was->results[l][call][r], *y = is->results[l][call][r];
                cr_assert_eq(x->elements, y->elements);
                for (int64_t i = 0; i < x->elements; i++) {
                    double a = x->floats ? x->floats[i] : (double)x->integers[i];
                    double b = y->floats ? y->floats[i] : (double)y->integers[i];
                    cr_assert(close_enough(a, b), "%s: result %d element %lld: %.17g became %.17g\n%s", pass,
                              r, (long long)i, a, b, text);
                }
            }
}

static void apply(struct graph *g, const char *passes, const char *text) {
    struct pipeline p = {.passes = passes, .verify_each = true, .bisect_limit = -1, .out = stdout};
    cr_assert(pipeline_run(g, &p), "%s\n%s", passes, text);
}

/* One pass after the other, as in the pipeline, with a comparison after each. */
static void check_program(uint64_t seed, const char *const *passes) {
    struct arena *a = arena_new();
    const char *text = random_program(a, seed, STATEMENTS);
    struct graph *g = parse(a, text);
    struct outcome was = {0}, is = {0};
    run(a, g, &was, text);
    for (; *passes; passes++) {
        apply(g, *passes, text);
        const char *dumped = graph_text(a, g);
        run(a, g, &is, dumped);
        compare(g, &was, &is, *passes, dumped);
        cr_assert_str_eq(graph_text(a, parse(a, dumped)), dumped, "%s", *passes);
    }
    arena_release(a);
}

Test(passes_random, pipeline) {
    static const char *const passes[] = {"fold", "simplify", "cse", "dce", "bubble", "precision", "decompose", "fold", "simplify",
                                         "cse",  "dce",      "guards", "fuse", "schedule", "narrow", "layout", "memory", NULL};
    for (uint64_t seed = 1; seed <= PROGRAMS; seed++) check_program(seed, passes);
}

Test(passes_random, other_orders) {
    static const char *const orders[][8] = {
        {"cse", "decompose", "guards", "fuse{max=1}", "schedule", "memory", NULL},
        {"decompose", "dce", "guards", "fuse{max=3}", "simplify", "memory", NULL},
        {"simplify", "guards", "cse", "decompose", "bubble", "fuse{recompute=8}", "cse", NULL}};
    for (uint64_t seed = 1000; seed < 1000 + PROGRAMS / 2; seed++) check_program(seed, orders[seed % 3]);
}
