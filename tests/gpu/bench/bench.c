/* Ours and NVIDIA's libraries at the same work on one GPU, alternately:
 *
 *     bench-gpu gemm LIBRARY          run(x: [M, K]) -> [M, N]         cuBLAS
 *     bench-gpu attention LIBRARY     run(q, k, v: bf16[S, H, D])      cuDNN
 *     bench-gpu matvec LIBRARY        run(x: [1, K]) -> [1, N]         a copy within the GPU's memory
 *     bench-gpu decode LIBRARY        forward(tokens: i32[S], pos: i32) -> [V]
 *     bench-gpu call LIBRARY          run
 *
 * Prints rows of the table of tests/gpu/RESULTS.md: medians over the rounds, and how far the rounds' ratios
 * lie apart. */
#include "runtime/elements.h"
#include "tests/gpu/bench/copy.h"
#include "tests/gpu/bench/ours.h"
#include "tests/gpu/bench/peers.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROUNDS = 100, MOST_DEPTH = 1024 };

static const struct option_spec options[] = {
    {0, "name", "TEXT", "what the row is called", NULL},
    {0, "reach", "X", "the ratio or figure to reach", NULL},
    {0, "rounds", "N", "of ours, then the peer's, from 1 to 100 [15]", NULL},
    {0, "copy", "MIB", "matvec: how much a copy copies [1024]", NULL},
    {0, "tokens", "N", "decode: tokens a round [128]", NULL},
    {0, "depth", "N", "decode: tokens before them, from 1 to 1024 [64]", NULL},
    {0, "causal", NULL, "attention: of each query, the keys up to its own place", NULL},
    {0, "tf32", NULL, "gemm: the peer's may round f32 to 10 bits", NULL},
    MEASURE_OPTION_ROWS,
    {0}};
static const struct option_program program = {
    .name = "bench-gpu",
    .version = "0",
    .summary = "measure compiled models on a GPU beside its vendor's libraries",
    .usage = (const char *const[]){"[OPTION...] gemm|attention|matvec|decode|call LIBRARY", NULL},
    .description = "Prints rows of a table.",
    .options = options,
};

struct bench {
    const struct option_list *list;
    const char *library;
    int rounds, device;
};

/* Two figures a round, of the same kind. */
struct rounds {
    double ours[MOST_ROUNDS], theirs[MOST_ROUNDS];
};
struct row {
    const char *name, *unit, *peer;
    double ours, theirs;          /* theirs < 0: there is none */
    double ratio, least, largest; /* ratio < 0: the figure is what counts */
    bool at_most;                 /* less is better */
};

static double reach(const struct bench *b) {
    const char *text = options_value(b->list, "reach");
    return text ? strtod(text, NULL) : -1;
}

static void print_row(const struct row *r, double wanted) {
    double figure = r->ratio < 0 ? r->ours : r->ratio;
    const char *mark = wanted < 0 ? "" : (r->at_most ? figure <= wanted : figure >= wanted) ? " ✓" : " ✗";
    printf("| %s | %.4g %s | ", r->name, r->ours, r->unit);
    if (r->theirs >= 0) printf("%.4g ", r->theirs);
    printf("%s | ", r->peer);
    if (r->ratio >= 0)
        printf("**%.2f** (%.2f to %.2f)%s | ", r->ratio, r->least, r->largest, mark);
    else
        printf("%.4g (%.4g to %.4g)%s | ", r->ours, r->least, r->largest, mark);
    if (wanted >= 0) printf("%s %g ", r->at_most ? "≤" : "≥", wanted);
    puts("|");
    fflush(stdout);
}

static void spread(struct row *r, const double *values, int count) {
    r->least = r->largest = values[0];
    for (int i = 1; i < count; i++) {
        if (values[i] < r->least) r->least = values[i];
        if (values[i] > r->largest) r->largest = values[i];
    }
}

/* The row of figures of which more is better. `peer`: whose the second ones are, or why there are none. */
static struct row compare(const struct bench *b, const char *name, const char *unit, const char *peer,
                          struct rounds *f, bool theirs) {
    struct row r = {.name = name, .unit = unit, .peer = peer, .theirs = -1, .ratio = -1};
    double ratios[MOST_ROUNDS] = {0};
    for (int i = 0; i < b->rounds; i++) ratios[i] = theirs ? f->ours[i] / f->theirs[i] : 0;
    spread(&r, theirs ? ratios : f->ours, b->rounds);
    r.ours = measure_median(f->ours, b->rounds);
    if (theirs) r.theirs = measure_median(f->theirs, b->rounds), r.ratio = measure_median(ratios, b->rounds);
    return r;
}

static const char *name_of(const struct bench *b) {
    const char *name = options_value(b->list, "name");
    return name ? name : options_operand(b->list, 0);
}

/* Attention's: means of numbers in -1..1, whose sums have another order and other roundings to bf16. */
static void check_result(const struct ours *o, const struct peer *p, int64_t count) {
    const double allowed = 0.02;
    uint16_t *theirs = measure_memory(count, sizeof *theirs);
    bool same_work = peer_result(p, theirs);
    for (int64_t i = 0; same_work && i < count; i++) {
        double a = (double)element_get(MDL_BF16, o->results[0], (size_t)i);
        double b = (double)element_get(MDL_BF16, theirs, (size_t)i);
        if (fabs(a - b) <= allowed) continue;
        fprintf(stderr, "element %lld is %g, %s's %g\n", (long long)i, a, peer_name(p), b);
        measure_fail("the peer computes something else");
    }
    free(theirs);
}

/* Of `operations`, which give so many results, rounds of ours, then of the peer, if there is one, in TFLOP/s.
 */
static void against_peer(const struct bench *b, struct ours *o, struct peer *p, const char *why,
                         double operations, int64_t results) {
    struct rounds f = {0};
    char peer[500];
    ours_kernels(o); /* memory and the library's own choices come with the first */
    if (p) peer_run(p), check_result(o, p, results);
    for (int i = 0; i < b->rounds; i++) {
        f.ours[i] = 1e-12 * operations / ours_kernels(o);
        if (p) f.theirs[i] = 1e-12 * operations / peer_run(p);
    }
    snprintf(peer, sizeof peer, p ? "%s" : "none: %s", p ? peer_name(p) : why);
    struct row r = compare(b, name_of(b), "TFLOP/s", peer, &f, p != NULL);
    print_row(&r, p ? reach(b) : -1);
    peer_free(p);
    ours_close(o);
}

static int64_t extent(const struct ours *o, const struct mdl_tensor *t, uint32_t axis) {
    if (axis >= t->rank) measure_fail("a tensor of another rank was expected");
    return o->m.descriptor->extent(t->extents[axis], o->dims);
}

static void bench_gemm(const struct bench *b) {
    struct ours o = ours_open(b->library, b->list, "run");
    const struct mdl_function *f = &o.m.descriptor->functions[o.function];
    struct peer_gemm g = {.m = extent(&o, f->inputs, 0),
                          .n = extent(&o, f->results, 1),
                          .k = extent(&o, f->inputs, 1),
                          .bf16 = f->inputs->dtype == MDL_BF16,
                          .tf32 = options_given(b->list, "tf32")};
    char why[400] = "";
    struct peer *p = peer_gemm(&g, b->device, why);
    against_peer(b, &o, p, why, 2 * (double)g.m * (double)g.n * (double)g.k, g.m * g.n);
}

static void bench_attention(const struct bench *b) {
    struct ours o = ours_open(b->library, b->list, "run");
    const struct mdl_tensor *q = o.m.descriptor->functions[o.function].inputs;
    struct peer_attention a = {.length = extent(&o, q, 0),
                               .heads = extent(&o, q, 1),
                               .dim = extent(&o, q, 2),
                               .causal = options_given(b->list, "causal")};
    double keys = a.causal ? 0.5 * (double)(a.length + 1) : (double)a.length; /* that a query sees */
    char why[400] = "";
    struct peer *p = peer_attention(&a, b->device, why);
    against_peer(b, &o, p, why, 4 * (double)a.length * keys * (double)a.heads * (double)a.dim,
                 a.length * a.heads * a.dim);
}

/* All bytes of the weights, which are read once. */
static void bench_matvec(const struct bench *b) {
    struct ours o = ours_open(b->library, b->list, "run");
    struct copy c = copy_new(b->device, (size_t)measure_number(b->list, "copy", 1024) << 20);
    double bytes = (double)o.m.descriptor->weights_bytes;
    struct rounds f = {0};
    ours_kernels(&o);
    for (int i = 0; i < b->rounds; i++) {
        f.ours[i] = 1e-9 * bytes / ours_kernels(&o);
        f.theirs[i] = 1e-9 * copy_run(&c);
    }
    struct row r = compare(b, name_of(b), "GB/s", "copy", &f, true);
    print_row(&r, reach(b));
    copy_free(&c);
    ours_close(&o);
}

/* Calls of one token each, by what a program sees; and how much longer they are than the GPU's part of them.
 */
static void bench_decode(const struct bench *b) {
    struct ours o = ours_open(b->library, b->list, "forward");
    struct rounds f = {0};
    static int32_t tokens[MOST_DEPTH];
    int32_t position = 0;
    int64_t count = measure_number(b->list, "tokens", 128), depth = measure_number(b->list, "depth", 64);
    if (depth < 1 || depth > MOST_DEPTH) measure_fail("--depth: from 1 to 1024");
    double *calls = measure_memory(count, sizeof *calls), *graphs = measure_memory(count, sizeof *graphs);
    double overhead[MOST_ROUNDS] = {0};
    void *given[] = {o.inputs[0], o.inputs[1]};
    for (int i = 0; i < depth; i++) tokens[i] = measure_token(i);
    o.inputs[0] = tokens, o.inputs[1] = &position;
    for (int round = 0; round < b->rounds; round++) {
        o.m.api->session_reset(o.m.session);
        position = 0, o.dims[0] = depth;
        ours_call(&o);
        position = (int32_t)depth, o.dims[0] = 1;
        ours_call(&o);
        double start = measure_now();
        for (int64_t i = 0; i < count; i++, position++) calls[i] = ours_call(&o);
        f.ours[round] = (double)count / (measure_now() - start);
        for (int64_t i = 0; i < count; i++) graphs[i] = ours_graph(&o);
        overhead[round] = 1e6 * (measure_median(calls, (int)count) - measure_median(graphs, (int)count));
    }
    char name[200];
    struct row r = compare(b, name_of(b), "tokens/s", "", &f, false);
    print_row(&r, reach(b));
    snprintf(name, sizeof name, "%s: a call less its graph's time", name_of(b));
    r = (struct row){.name = name, .unit = "us", .peer = "", .theirs = -1, .ratio = -1, .at_most = true};
    spread(&r, overhead, b->rounds);
    r.ours = measure_median(overhead, b->rounds);
    print_row(&r, 10 /* us, of the project */);
    o.inputs[0] = given[0], o.inputs[1] = given[1];
    free(calls), free(graphs);
    ours_close(&o);
}

static void bench_call(const struct bench *b) {
    struct ours o = ours_open(b->library, b->list, "run");
    double calls[MOST_ROUNDS] = {0};
    ours_call(&o);
    for (int i = 0; i < b->rounds; i++) calls[i] = 1e6 * ours_call(&o);
    struct row r = {.name = name_of(b), .unit = "us", .peer = "", .theirs = -1, .ratio = -1, .at_most = true};
    spread(&r, calls, b->rounds);
    r.ours = measure_median(calls, b->rounds);
    print_row(&r, reach(b));
    ours_close(&o);
}

static const struct {
    const char *name;
    void (*run)(const struct bench *b);
} works[] = {{"gemm", bench_gemm},
             {"attention", bench_attention},
             {"matvec", bench_matvec},
             {"decode", bench_decode},
             {"call", bench_call}};

int main(int argc, char **argv) {
    struct option_list list;
    int status = options_parse(&program, argc, argv, &list);
    if (status >= 0) return status;
    const char *work = options_operand(&list, 0), *device = options_value(&list, "device");
    const char *colon = device ? strchr(device, ':') : NULL;
    struct bench b = {&list, options_operand(&list, 1), (int)measure_number(&list, "rounds", 15),
                      colon ? atoi(colon + 1) : 0};
    if (!b.library) return options_error(&program, "what to measure, and a library, were expected");
    if (b.rounds < 1 || b.rounds > MOST_ROUNDS) return options_error(&program, "--rounds: from 1 to 100");
    size_t i = 0;
    while (i < sizeof works / sizeof *works && strcmp(works[i].name, work)) i++;
    if (i == sizeof works / sizeof *works) return options_error(&program, "there is no work '%s'", work);
    works[i].run(&b);
    options_free(&list);
    return 0;
}
