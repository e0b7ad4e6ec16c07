/* Random models on random meshes: what all ranks compute together is what one computes alone.
 *
 *     sharding --count=2000 --seed=1 [--real] [--keep=DIR]      sharding --print --seed=7 [--real]
 *
 * Each model is interpreted as it was written; then after `shard`, after `partition` and at the end of the
 * pipeline by all ranks of its mesh (ir/exchange.h). Every graph in between verifies, and its dump parses to
 * the same dump. Integers must come out equal, reals as float64 that differ by what orders of sums differ by
 * (from what is computed after `decompose`, whose constants are f32).
 * Each seed runs in a process of its own, so that one crash is one failure. */
#include "frontend/frontend.h"
#include "ir/interp.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "passes/passes.h"
#include "random_model.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 2, SIZES = 2, MAX_RESULTS = 4, LIMIT_SECONDS = 60 };
enum { PASSED, FAILED, REFUSED };

struct job {
    struct arena *a;
    struct rx_model *m;
    bool exact;
    struct array *inputs[SIZES][CALLS][RX_ARGS];
    struct array *wanted[SIZES][CALLS][MAX_RESULTS];
};

static struct graph *parse(struct arena *a, const char *text) {
    struct diag *d = arena_new_object(a, struct diag);
    const struct frontend_options options = {0};
    diag_init(d, a, stderr);
    struct graph *g = frontend_parse(a, d, "t.mdl", text, strlen(text), &options);
    if (d->errors) return NULL;
    g->target = target_find(NULL, "x86-64-v3");
    return g;
}

static const char *dump(struct arena *a, const struct graph *g) {
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    graph_print(g, out);
    fclose(out);
    const char *copy = arena_strdup(a, text);
    free(text);
    return copy;
}

/* ---- Data ---- */

static void fill(struct job *j, const struct rx_value *v, struct array *x, uint64_t salt) {
    struct rx_model random = {.state = salt};
    for (int64_t i = 0; i < x->elements; i++) {
        int n = (int)v->lo + rx_below(&random, (int)(v->hi - v->lo) + 1);
        if (x->integers) x->integers[i] = n;
        if (x->floats && j->exact) x->floats[i] = n;
        if (x->floats && !j->exact) x->floats[i] = (rx_below(&random, 1 << 20) - (1 << 19)) * 0x1p-18;
    }
}

static void make_inputs(struct job *j, uint64_t seed) {
    static const int multiples[SIZES] = {1, 3};
    for (int s = 0; s < SIZES; s++)
        for (int c = 0; c < CALLS; c++)
            for (int k = 0; k < j->m->args_count; k++) {
                const struct rx_value *v = &j->m->args[k];
                int64_t extents[RX_RANK];
                for (int d = 0; d < v->rank; d++) {
                    /* dims differ in the last round but one, so that none is taken for another */
                    int64_t dim = j->m->ranks * (v->extents[d].dim == 1 ? 1 + s : multiples[s]);
                    extents[d] = v->extents[d].factor * (v->extents[d].dim < 0 ? 1 : dim);
                }
                struct array *x = array_new(j->a, v->kind == 'f' ? DTYPE_F32 : DTYPE_I32, v->rank, extents);
                fill(j, v, x, seed * 1000 + (uint64_t)(s * 100 + c * 10 + k));
                j->inputs[s][c][k] = x;
            }
}

/* ---- Running and comparing ---- */

static bool close_enough(const struct job *j, double a, double b, double largest) {
    if (a == b || (isnan(a) && isnan(b))) return true;
    return !j->exact && fabs(a - b) <= 1e-9 * fmax(1, largest);
}

static bool same(const struct job *j, const struct array *x, const struct array *y, int k, const char *when) {
    double largest = 0;
    if (x->elements != y->elements) {
        fprintf(stderr, "FAIL %s: result %d has %lld elements, not %lld\n", when, k, (long long)y->elements,
                (long long)x->elements);
        return false;
    }
    for (int64_t i = 0; x->floats && i < x->elements; i++)
        if (isfinite(x->floats[i])) largest = fmax(largest, fabs(x->floats[i]));
    for (int64_t i = 0; i < x->elements; i++) {
        double a = x->floats ? x->floats[i] : (double)x->integers[i];
        double b = y->floats ? y->floats[i] : (double)y->integers[i];
        if (close_enough(j, a, b, largest)) continue;
        fprintf(stderr, "FAIL %s: result %d element %lld is %.17g, not %.17g\n", when, k, (long long)i, b, a);
        return false;
    }
    return true;
}

/* All calls; `wanted` is filled in if `first`, else compared with. */
static bool run(struct job *j, struct graph *g, const char *when, bool first) {
    const struct function *f = g->functions;
    struct interp *p = interp_new(j->a, g, !j->exact);
    for (int s = 0; p && s < SIZES; s++) {
        interp_reset(p);
        for (int c = 0; c < CALLS; c++) {
            struct array *results[MAX_RESULTS];
            const char *error = "";
            if (!interp_call(p, f, j->inputs[s][c], results, &error)) {
                fprintf(stderr, "FAIL %s: %s\n", when, error);
                return false;
            }
            for (int k = 0; k < f->body->results_count; k++)
                if (first)
                    j->wanted[s][c][k] = results[k];
                else if (!same(j, j->wanted[s][c][k], results[k], k, when))
                    return false;
        }
    }
    return p != NULL;
}

/* ---- One model ---- */

/* A malformed graph is a mistake of the compiler. */
static bool well_formed(const struct graph *g, const char *passes) {
    if (g->diag->errors || graph_verify((struct graph *)g)) return true;
    fprintf(stderr, "FAIL %s: a malformed graph\n", passes);
    return false;
}

/* Refused where the compiler says that the model cannot be had so. */
static int apply(struct job *j, struct graph *g, const char *passes, bool first) {
    struct pipeline p = {.passes = passes, .bisect_limit = -1, .out = stdout};
    if (!pipeline_run(g, &p)) {
        fprintf(stderr, "REFUSED by %s\n", passes);
        return REFUSED;
    }
    if (!well_formed(g, passes)) return FAILED;
    const char *dumped = dump(j->a, g);
    struct graph *again = parse(j->a, dumped);
    const char *twice = again ? dump(j->a, again) : "(it does not parse)\n";
    if (strcmp(dumped, twice) != 0) {
        fprintf(stderr, "FAIL %s: its dump becomes another one\n%s----\n%s", passes, dumped, twice);
        return FAILED;
    }
    return run(j, g, passes, first) ? PASSED : FAILED;
}

static int check(uint64_t seed, bool exact) {
    static const char *const steps[] = {"specialise,fold,simplify,cse,dce,decompose",
                                        "shard",
                                        "partition",
                                        "precision,fold,simplify,cse,dce",
                                        "guards,fuse,overlap",
                                        "schedule,layout,memory"};
    struct job j = {.a = arena_new(), .exact = exact};
    int status = PASSED;
    j.m = random_model(j.a, seed, exact);
    struct graph *g = parse(j.a, j.m->text);
    if (!g) fprintf(stderr, "FAIL parse\n");
    if (!g) return FAILED;
    make_inputs(&j, seed);
    if (!run(&j, g, "as written", true)) return FAILED;
    for (size_t i = 0; status == PASSED && i < sizeof steps / sizeof *steps; i++)
        status = apply(&j, g, steps[i], i == 0 && !exact);
    arena_release(j.a);
    return status;
}

/* ---- Many models ---- */

struct settings {
    uint64_t seed;
    long count;
    bool real, print, verbose;
    const char *keep;
};

/* The child's messages are read once it has ended, so they go to a file. */
static int check_apart(const struct settings *s, uint64_t seed, int said) {
    fflush(NULL);
    if (ftruncate(said, 0) || lseek(said, 0, SEEK_SET)) return FAILED;
    pid_t child = fork();
    if (child == 0) {
        dup2(said, 1);
        dup2(said, 2);
        alarm(LIMIT_SECONDS);
        int status = check(seed, !s->real);
        fflush(NULL);
        _exit(status);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) return FAILED;
    return WIFEXITED(status) && WEXITSTATUS(status) <= REFUSED ? WEXITSTATUS(status) : FAILED;
}

static void keep_model(const struct settings *s, uint64_t seed) {
    struct arena *a = arena_new();
    FILE *out = fopen(
        arena_printf(a, "%s/%s%llu.mdl", s->keep, s->real ? "real" : "exact", (unsigned long long)seed), "w");
    if (out) fputs(random_model(a, seed, !s->real)->text, out);
    if (out) fclose(out);
    arena_release(a);
}

/* What the child said: its first lines, or all. */
static void report(const struct settings *s, uint64_t seed, const char *what, int said) {
    static char text[1 << 20];
    printf("%s --seed=%llu%s\n", what, (unsigned long long)seed, s->real ? " --real" : "");
    ssize_t length = pread(said, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = 0;
    char *end = text;
    for (int i = 0; i < 6 && (end = strchr(end, '\n')); i++) end++;
    if (end && !s->verbose) *end = 0;
    printf("%s\n", text);
    if (s->keep) keep_model(s, seed);
}

static int check_many(const struct settings *s) {
    long counts[3] = {0};
    FILE *said = tmpfile();
    if (!said) return EXIT_FAILURE;
    for (long i = 0; i < s->count; i++) {
        int status = check_apart(s, s->seed + (uint64_t)i, fileno(said));
        counts[status]++;
        if (status == FAILED) report(s, s->seed + (uint64_t)i, "failed:", fileno(said));
        if (status == REFUSED && (s->verbose || s->keep))
            report(s, s->seed + (uint64_t)i, "refused:", fileno(said));
    }
    fclose(said);
    printf("%s: %ld models equal, %ld refused, %ld failed\n", s->real ? "reals" : "integers", counts[PASSED],
           counts[REFUSED], counts[FAILED]);
    return counts[FAILED] || !counts[PASSED] ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    struct settings s = {.seed = 1, .count = 1};
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (!strncmp(arg, "--seed=", 7))
            s.seed = strtoull(arg + 7, NULL, 10);
        else if (!strncmp(arg, "--count=", 8))
            s.count = strtol(arg + 8, NULL, 10);
        else if (!strncmp(arg, "--keep=", 7))
            s.keep = arg + 7;
        else if (!strcmp(arg, "--real"))
            s.real = true;
        else if (!strcmp(arg, "--print"))
            s.print = true;
        else if (!strcmp(arg, "--verbose"))
            s.verbose = true;
        else
            return fprintf(stderr, "usage: sharding [--seed=N] [--count=N] [--real] [--keep=DIR] [--print] "
                                   "[--verbose]\n"),
                   2;
    }
    if (!s.print) return check_many(&s);
    struct arena *a = arena_new();
    fputs(random_model(a, s.seed, !s.real)->text, stdout);
    arena_release(a);
    return EXIT_SUCCESS;
}
