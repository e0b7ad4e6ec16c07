/* Compiling, loading and checking. */
#include "tests/numeric/compiled.h"
#include "backend/backend.h"
#include "frontend/frontend.h"
#include "passes/pass.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct machine machine_of(int argc, char **argv) {
    return (struct machine){argc > 1 ? argv[1] : NULL, argc > 3 ? argv[3] : NULL, argc > 4 ? argv + 4 : NULL};
}

static struct graph *parse(struct compiled *c, const char *text) {
    struct diag *d = arena_new_object(c->arena, struct diag);
    struct frontend_options o = {.seed = 1};
    diag_init(d, c->arena, stderr);
    struct graph *g = frontend_parse(c->arena, d, "test.mdl", text, strlen(text), &o);
    return d->errors || !frontend_bind(g, NULL) ? NULL : g;
}

/* "name=value name=value" */
static bool set_options(struct graph *g, const char *options) {
    char *text = arena_strdup(g->arena, options);
    for (char *save, *o = strtok_r(text, " ", &save); o; o = strtok_r(NULL, " ", &save)) {
        char *value = strchr(o, '=');
        *value++ = 0;
        if (!frontend_option(g, o, value, (struct loc){0})) return false;
    }
    return true;
}

/* Starts the runner on the library. */
static bool start_runner(struct compiled *c, char *const *command, const char *library) {
    enum { MOST = 16 };
    char *arguments[MOST] = {0};
    int there[2], back[2], n = 0;
    for (; command[n] && n < MOST - 2; n++) arguments[n] = command[n];
    arguments[n] = arena_strdup(c->arena, library);
    if (pipe(there) || pipe(back) || (c->runner = fork()) < 0) return perror("runner"), false;
    if (!c->runner) {
        dup2(there[0], 0), dup2(back[1], 1);
        for (int i = 0; i < 2; i++) close(there[i]), close(back[i]);
        execvp(arguments[0], arguments);
        perror(arguments[0]);
        _exit(127);
    }
    close(there[0]), close(back[1]);
    signal(SIGPIPE, SIG_IGN);
    c->to = fdopen(there[1], "wb"), c->from = fdopen(back[0], "rb");
    return c->to && c->from;
}

/* A CPU's name, or emulate:NAME. */
static const struct target *find_target(struct arena *a, const struct machine *m) {
    static const char emulate[] = "emulate:";
    const char *error;
    bool emulated = m->cpu && !strncmp(m->cpu, emulate, strlen(emulate));
    const struct target *t = emulated ? backend_emulated(a, m->cpu + strlen(emulate))
                                      : backend_target(a, m->triple, m->cpu, &error);
    if (!t) fprintf(stderr, "%s\n", emulated ? "no such GPU or x86" : error);
    return t;
}

static bool emit(struct compiled *c, const char *text, const struct machine *m, const char *options,
                 const char *output) {
    struct graph *g = parse(c, text);
    bool here = !m->triple || !strcmp(m->triple, CUDA_TRIPLE); /* what calls a GPU is this machine's */
    const char *foreign = here ? "" : arena_printf(c->arena, "%s/", m->triple);
    const char *runtime = here ? getenv("MDL_RUNTIME") : NULL;
    if (!g || !set_options(g, options) || !(g->target = find_target(c->arena, m))) return false;
    struct pipeline p = {.bisect_limit = -1, .out = stderr, .verify_each = true};
    struct backend_options o = {
        .output = output,
        .runtime = runtime ? runtime : arena_printf(c->arena, "runtime/%slibmdl-runtime.a", foreign),
        .linker = here ? NULL : arena_printf(c->arena, "%s-gcc", m->triple),
        .opt_level = 1,
        .embed_limit = INT64_MAX};
    return pipeline_run(g, &p) && backend_emit(g, ARTIFACT_SO, &o) == BACKEND_DONE;
}

/* For the runner there is a second library beside the first. */
static bool compile(struct compiled *c, const char *text, const struct machine *m, const char *options) {
    char folder[] = "/tmp/mdl-numeric-XXXXXX";
    const struct machine here = {NULL, NULL, NULL};
    if (!mkdtemp(folder)) return false;
    const char *path = arena_printf(c->arena, "%s/libtest.so", folder);
    bool good = emit(c, text, m->runner ? &here : m, options, path) && pair_open(&c->pair, path);
    if (good && m->runner) {
        const char *there = arena_printf(c->arena, "%s/libthere.so", folder);
        good = emit(c, text, m, options, there) && start_runner(c, m->runner, there);
    }
    c->folder = arena_strdup(c->arena, folder);
    return good;
}

struct compiled *compiled_new(const char *text, const struct machine *m, const char *options) {
    struct arena *a = arena_new();
    struct compiled *c = arena_new_object(a, struct compiled);
    c->arena = a;
    c->graph = parse(c, text);
    if (c->graph) c->interp = interp_new(a, c->graph, false);
    if (c->interp && compile(c, text, m, options)) return c;
    compiled_free(c);
    return NULL;
}

void compiled_free(struct compiled *c) {
    static const char *const names[] = {"libtest.so", "test.h", "libthere.so", "there.h"};
    if (c->to) fclose(c->to);
    if (c->from) fclose(c->from);
    while (c->runner > 0 && waitpid(c->runner, NULL, 0) < 0 && errno == EINTR) {
    }
    pair_close(&c->pair);
    for (size_t i = 0; c->folder && i < sizeof names / sizeof *names; i++)
        unlink(arena_printf(c->arena, "%s/%s", c->folder, names[i]));
    if (c->folder) rmdir(c->folder);
    arena_release(c->arena);
}

bool compiled_run(struct compiled *c, struct pair_call *call) {
    if (c->to) return pair_send_call(c->to, call) && pair_receive_results(c->from, call);
    pair_call_run(&c->pair, call);
    return true;
}

/* ---- one call ---- */

struct call {
    struct compiled *c;
    const struct check *k;
    struct pair_call made;
    struct array *inputs[PAIR_TENSORS], *expected[PAIR_TENSORS];
};

static uint32_t next_random(unsigned *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Floats in -2.5..2.5, representable; integers in -3..3, ids in 0..2, positions 0 or 1. */
static void fill(struct array *x, const char *name, unsigned *seed) {
    bool ids = !strncmp(name, "ids", 3), at = !strncmp(name, "at", 2);
    for (int64_t i = 0; i < x->elements; i++) {
        uint32_t r = next_random(seed);
        if (x->floats)
            x->floats[i] = dtype_round_float(x->dtype, (double)(int)(r % 2001) / 400 - 2.5);
        else if (x->dtype == DTYPE_BOOL)
            x->integers[i] = r & 1;
        else
            x->integers[i] = ids ? r % 3 : at ? r % 2 : dtype_wrap_integer(x->dtype, (int64_t)(r % 7) - 3);
    }
}

static void fill_inputs(struct call *c) {
    unsigned seed = c->k->seed;
    int64_t extents[MAX_RANK];
    for (uint32_t i = 0; i < c->made.f->inputs_count; i++) {
        const struct mdl_tensor *t = &c->made.f->inputs[i];
        pair_shape(c->c->pair.descriptor, t, c->made.dims, extents);
        c->inputs[i] = array_new(c->c->arena, (enum dtype)t->dtype, (int)t->rank, extents);
        fill(c->inputs[i], t->name, &seed);
        array_to_bytes(c->inputs[i], c->made.in[i]);
    }
}

/* How much coarser than f32 a type is. */
static double coarseness(enum dtype t) { return t == DTYPE_BF16 ? 4e3 : t == DTYPE_F16 ? 1e3 : 1; }

static double number(const struct array *x, int64_t i) {
    return x->floats ? x->floats[i] : (double)x->integers[i];
}

/* Both NaN, equal, or near as measured by the largest finite magnitude. */
static bool compare(const struct call *c, uint32_t result, const struct array *got, const char **what) {
    const struct array *want = c->expected[result];
    double largest = 0;
    for (int64_t i = 0; i < want->elements; i++)
        if (isfinite(number(want, i)) && fabs(number(want, i)) > largest) largest = fabs(number(want, i));
    double allowed =
        want->floats ? c->k->tolerance * coarseness(want->dtype) * (largest > 1e-3 ? largest : 1e-3) : 0;
    for (int64_t i = 0; i < want->elements; i++) {
        double a = number(got, i), b = number(want, i);
        if (a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= allowed) continue;
        *what = arena_printf(c->c->arena, "result %u, element %lld of %lld: %.9g, expected %.9g", result,
                             (long long)i, (long long)want->elements, a, b);
        return false;
    }
    return true;
}

static bool compare_all(const struct call *c, const char **what) {
    const struct pair_call *made = &c->made;
    for (uint32_t i = 0; i < made->f->results_count; i++) {
        struct tensor t = {
            .dtype = c->expected[i]->dtype, .rank = c->expected[i]->rank, .data = made->out[1][i]};
        memcpy(t.extents, c->expected[i]->extents, sizeof t.extents);
        if (!compare(c, i, array_from_bytes(c->c->arena, &t), what)) return false;
        if (made->out_bytes[i] && memcmp(made->out[0][i], made->out[1][i], made->out_bytes[i])) {
            *what = arena_printf(c->c->arena, "result %u is not the same for one thread and three", i);
            return false;
        }
    }
    return true;
}

static const struct function *function_named(const struct graph *g, const char *name) {
    const struct function *f = g->functions;
    while (f && (!f->exported || strcmp(f->name, name))) f = f->next;
    return f;
}

bool compiled_agrees(struct compiled *c, const struct check *k, const char **what) {
    const struct mdl_descriptor *d = c->pair.descriptor;
    struct call call = {.c = c, .k = k, .made = {.side = k->side}};
    struct pair_call *made = &call.made;
    while (made->function < d->functions_count && strcmp(d->functions[made->function].name, k->function))
        made->function++;
    *what = "there is no such function";
    if (made->function == d->functions_count) return false;
    memcpy(made->dims, k->dims, d->functions[made->function].dims_count * sizeof *k->dims);
    pair_call_begin(d, made);
    fill_inputs(&call);
    const char *why = "";
    bool agreed =
        interp_call(c->interp, function_named(c->graph, k->function), call.inputs, call.expected, &why);
    bool alive = compiled_run(c, made), good = !agreed;
    if (!alive)
        *what = "the runner died";
    else if (made->status[0] != made->status[1])
        *what = "the call's status is not the same for one thread and three", good = false;
    else if (agreed && made->status[0])
        *what = arena_printf(c->arena, "the call failed with status %d", made->status[0]);
    else if (agreed)
        good = compare_all(&call, what);
    pair_call_end(made);
    return good && alive;
}
