/* Compiling, loading and checking. */
#include "tests/numeric/compiled.h"
#include "backend/backend.h"
#include "frontend/frontend.h"
#include "passes/pass.h"
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TENSORS = 16 };

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

static bool open_session(struct compiled *c, int number, int threads) {
    char why[300] = "";
    const struct mdl_api *api = c->descriptor->api;
    struct mdl_options o = MDL_OPTIONS;
    o.threads = threads;
    o.error = why;
    o.error_size = sizeof why;
    int status = api->open(c->descriptor, NULL, &o, &c->models[number]);
    if (!status) status = api->session_new(c->models[number], &c->sessions[number]);
    if (status)
        fprintf(stderr, "status %d: %s\n", status, why);
    else
        api->poison(c->sessions[number], 1);
    return !status;
}

static bool load(struct compiled *c, const char *path) {
    c->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (c->library) c->descriptor = dlsym(c->library, "mdl_descriptor");
    if (!c->descriptor) fprintf(stderr, "%s\n", dlerror());
    return c->descriptor && open_session(c, 0, 1) && open_session(c, 1, 3);
}

static bool compile(struct compiled *c, const char *text, const char *cpu, const char *options) {
    struct graph *g = parse(c, text);
    const char *error, *runtime = getenv("MDL_RUNTIME");
    char folder[] = "/tmp/mdl-numeric-XXXXXX";
    if (!g || !set_options(g, options)) return false;
    if (!(g->target = backend_target(c->arena, cpu, &error))) return false;
    struct pipeline p = {.bisect_limit = -1, .out = stderr, .verify_each = true};
    if (!pipeline_run(g, &p) || !mkdtemp(folder)) return false;
    struct backend_options o = {.output = arena_printf(c->arena, "%s/libtest.so", folder),
                                .runtime = runtime ? runtime : "runtime/libmdl-runtime.a",
                                .opt_level = 1,
                                .embed_limit = INT64_MAX};
    bool good = backend_emit(g, ARTIFACT_SO, &o) == BACKEND_DONE && load(c, o.output);
    unlink(o.output);
    unlink(arena_printf(c->arena, "%s/test.h", folder));
    rmdir(folder);
    return good;
}

struct compiled *compiled_new(const char *text, const char *cpu, const char *options) {
    struct arena *a = arena_new();
    struct compiled *c = arena_new_object(a, struct compiled);
    c->arena = a;
    c->graph = parse(c, text);
    if (c->graph) c->interp = interp_new(a, c->graph, false);
    if (c->interp && compile(c, text, cpu, options)) return c;
    compiled_free(c);
    return NULL;
}

void compiled_free(struct compiled *c) {
    for (int i = 0; i < 2; i++) {
        if (c->sessions[i]) c->descriptor->api->session_free(c->sessions[i]);
        if (c->models[i]) c->descriptor->api->close(c->models[i]);
    }
    if (c->library) dlclose(c->library);
    arena_release(c->arena);
}

/* ---- one call ---- */

struct call {
    struct compiled *c;
    const struct check *k;
    const struct mdl_function *f;
    uint32_t number;
    struct array *inputs[MAX_TENSORS], *expected[MAX_TENSORS];
    void *in[MAX_TENSORS], *out[MAX_TENSORS], *single[MAX_TENSORS]; /* single: one thread's results */
    size_t in_bytes[MAX_TENSORS], out_bytes[MAX_TENSORS];
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

static int shape_of(const struct call *c, const struct mdl_tensor *t, int64_t *extents, size_t *bytes) {
    *bytes = (size_t)dtype_bytes((enum dtype)t->dtype);
    for (uint32_t i = 0; i < t->rank; i++) {
        extents[i] = c->c->descriptor->extent(t->extents[i], c->k->dims);
        *bytes *= (size_t)extents[i];
    }
    return (int)t->rank;
}

static void make_buffers(struct call *c) {
    unsigned seed = c->k->seed;
    int64_t extents[MAX_RANK];
    for (uint32_t i = 0; i < c->f->inputs_count; i++) {
        const struct mdl_tensor *t = &c->f->inputs[i];
        int rank = shape_of(c, t, extents, &c->in_bytes[i]);
        c->inputs[i] = array_new(c->c->arena, (enum dtype)t->dtype, rank, extents);
        fill(c->inputs[i], t->name, &seed);
        c->in[i] = guarded_new(c->in_bytes[i], (size_t)dtype_bytes((enum dtype)t->dtype), c->k->side);
        array_to_bytes(c->inputs[i], c->in[i]);
    }
    for (uint32_t i = 0; i < c->f->results_count; i++) {
        const struct mdl_tensor *t = &c->f->results[i];
        shape_of(c, t, extents, &c->out_bytes[i]);
        c->out[i] = guarded_new(c->out_bytes[i], (size_t)dtype_bytes((enum dtype)t->dtype), c->k->side);
        c->single[i] = guarded_new(c->out_bytes[i], (size_t)dtype_bytes((enum dtype)t->dtype), c->k->side);
    }
}

static void free_buffers(struct call *c) {
    for (uint32_t i = 0; i < c->f->inputs_count; i++) guarded_free(c->in[i], c->in_bytes[i], c->k->side);
    for (uint32_t i = 0; i < c->f->results_count; i++) {
        guarded_free(c->out[i], c->out_bytes[i], c->k->side);
        guarded_free(c->single[i], c->out_bytes[i], c->k->side);
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
    for (uint32_t i = 0; i < c->f->results_count; i++) {
        struct tensor t = {.dtype = c->expected[i]->dtype, .rank = c->expected[i]->rank, .data = c->out[i]};
        memcpy(t.extents, c->expected[i]->extents, sizeof t.extents);
        if (!compare(c, i, array_from_bytes(c->c->arena, &t), what)) return false;
        if (c->out_bytes[i] && memcmp(c->out[i], c->single[i], c->out_bytes[i])) {
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
    const struct mdl_descriptor *d = c->descriptor;
    struct call call = {.c = c, .k = k};
    while (call.number < d->functions_count && strcmp(d->functions[call.number].name, k->function))
        call.number++;
    *what = "there is no such function";
    if (call.number == d->functions_count) return false;
    call.f = &d->functions[call.number];
    make_buffers(&call);
    const char *why = "";
    bool agreed =
        interp_call(c->interp, function_named(c->graph, k->function), call.inputs, call.expected, &why);
    const void *const *in = (const void *const *)call.in;
    int status = d->api->call(c->sessions[0], call.number, k->dims, in, call.single);
    int other = d->api->call(c->sessions[1], call.number, k->dims, in, call.out);
    bool good = !agreed;
    if (agreed && status)
        *what = arena_printf(c->arena, "the call failed: %s", d->api->error(c->sessions[0]));
    if (status != other) *what = "the call's status is not the same for one thread and three";
    if (agreed && !status && !other) good = compare_all(&call, what);
    free_buffers(&call);
    return good;
}
