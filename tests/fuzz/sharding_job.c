/* Inputs, calls and comparisons. */
#include "sharding_job.h"
#include "frontend/frontend.h"
#include "ir/verify.h"
#include "passes/passes.h"
#include <math.h>
#include <string.h>

struct graph *job_parse(struct arena *a, const char *text) {
    struct diag *d = arena_new_object(a, struct diag);
    const struct frontend_options options = {0};
    diag_init(d, a, stderr);
    struct graph *g = frontend_parse(a, d, "t.mdl", text, strlen(text), &options);
    if (d->errors) return NULL;
    g->target = target_find(NULL, "x86-64-v3");
    return g;
}

/* ---- Data ---- */

static void fill(const struct job *j, const struct rx_value *v, struct array *x, uint64_t salt) {
    struct rx_model random = {.state = salt};
    for (int64_t i = 0; i < x->elements; i++) {
        int n = (int)v->lo + rx_below(&random, (int)(v->hi - v->lo) + 1);
        if (x->integers) x->integers[i] = n;
        if (x->floats && j->exact) x->floats[i] = n;
        if (x->floats && !j->exact) x->floats[i] = (rx_below(&random, 1 << 20) - (1 << 19)) * 0x1p-18;
    }
}

static struct array *input(struct job *j, const struct rx_value *v, const int64_t *dims, uint64_t salt) {
    int64_t extents[RX_RANK];
    for (int d = 0; d < v->rank; d++)
        extents[d] = v->extents[d].factor * (v->extents[d].dim < 0 ? 1 : dims[v->extents[d].dim]);
    struct array *x = array_new(j->a, v->kind == 'f' ? DTYPE_F32 : DTYPE_I32, v->rank, extents);
    fill(j, v, x, salt);
    return x;
}

/* Multiples of the ranks, so that all pieces are equal; different for the two dims where there is room. */
struct job *job_new(struct arena *a, uint64_t seed, bool exact) {
    static const int multiples[SIZES][RX_DIMS] = {{1, 1}, {3, 2}};
    struct job *j = arena_new_object(a, struct job);
    *j = (struct job){
        .a = a, .m = random_model(a, seed, exact), .seed = seed, .exact = exact, .tolerance = 1e-9};
    for (int s = 0; s < SIZES; s++) {
        for (int d = 0; d < RX_DIMS; d++) j->dims[s][d] = j->m->ranks * multiples[s][d];
        for (int c = 0; c < CALLS; c++)
            for (int k = 0; k < j->m->args_count; k++)
                j->inputs[s][c][k] =
                    input(j, &j->m->args[k], j->dims[s], seed * 1000 + (uint64_t)(s * 100 + c * 10 + k));
    }
    return j;
}

/* ---- Comparing ---- */

/* Zeros are equal whatever their sign. */
static bool close_enough(const struct job *j, double a, double b, double largest) {
    if (a == b || (isnan(a) && isnan(b))) return true;
    if (j->exact) return false;
    return fabs(a - b) <= j->tolerance * fmax(1, largest) || (j->tolerance > 1e-6 && largest > 1e30);
}

bool job_same(const struct job *j, const struct array *y, const struct array *x, int k, const char *when) {
    double largest = 0;
    if (x->elements != y->elements) {
        fprintf(stderr, "FAIL %s: result %d has %lld elements, not %lld\n", when, k, (long long)x->elements,
                (long long)y->elements);
        return false;
    }
    for (int64_t i = 0; y->floats && i < y->elements; i++)
        largest = fmax(largest, isfinite(y->floats[i]) ? fabs(y->floats[i]) : INFINITY);
    for (int64_t i = 0; i < x->elements; i++) {
        double a = x->floats ? x->floats[i] : (double)x->integers[i];
        double b = y->floats ? y->floats[i] : (double)y->integers[i];
        if (close_enough(j, a, b, largest)) continue;
        fprintf(stderr, "FAIL %s: result %d element %lld is %.17g, not %.17g\n", when, k, (long long)i, a, b);
        return false;
    }
    return true;
}

/* ---- Interpreting ---- */

static bool interpret_call(struct job *j, struct interp *p, const struct function *f, int s, int c,
                           const char *when, bool first) {
    struct array *results[MAX_RESULTS];
    const char *error = "";
    if (!interp_call(p, f, j->inputs[s][c], results, &error)) {
        fprintf(stderr, "FAIL %s: %s\n", when, error);
        return false;
    }
    for (int k = 0; k < f->body->results_count; k++)
        if (first)
            j->wanted[s][c][k] = results[k];
        else if (!job_same(j, j->wanted[s][c][k], results[k], k, when))
            return false;
    return true;
}

bool job_interpret(struct job *j, struct graph *g, const char *when, bool first) {
    struct interp *p = interp_new(j->a, g, !j->exact);
    for (int s = 0; p && s < SIZES; s++) {
        interp_reset(p);
        for (int c = 0; c < CALLS; c++)
            if (!interpret_call(j, p, g->functions, s, c, when, first)) return false;
    }
    return p != NULL;
}

/* ---- Passes ---- */

/* A malformed graph is a mistake of the compiler. */
enum verdict job_apply(struct graph *g, const char *passes) {
    struct pipeline p = {.passes = passes, .bisect_limit = -1, .out = stdout};
    bool good = pipeline_run(g, &p);
    if (!good) fprintf(stderr, "REFUSED by %s\n", passes);
    if (!good || graph_verify(g)) return good ? PASSED : REFUSED;
    fprintf(stderr, "FAIL %s: a malformed graph\n", passes);
    return FAILED;
}
