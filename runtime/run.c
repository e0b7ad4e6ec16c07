/* Preparing, executing and finishing a run. */
#include "runtime/run.h"
#include "runtime/elements.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int run_exit_status(int status) {
    static const int exits[] = {[MDL_OK] = RUN_DONE,
                                [MDL_INVALID] = RUN_FAILED,
                                [MDL_NO_MEMORY] = RUN_INTERNAL,
                                [MDL_IO] = RUN_IO,
                                [MDL_MISMATCH] = RUN_FAILED,
                                [MDL_BUSY] = RUN_INTERNAL,
                                [MDL_UNSUPPORTED] = RUN_FAILED,
                                [MDL_PEER] = RUN_FAILED,
                                [MDL_DEVICE] = RUN_FAILED};
    return status >= 0 && status <= MDL_DEVICE ? exits[status] : RUN_INTERNAL;
}

/* The first mistake decides the exit status; the others are told too. */
static void keep(int *status, int next) {
    if (!*status) *status = next;
}

static const char *function_name(const void *context, int n) {
    const struct run_executor *e = context;
    return (uint32_t)n < e->functions_count ? e->functions[n].name : NULL;
}

/* Candidates for a misspelt argument: the inputs, then the dims. */
static const char *argument_name(const void *context, int n) {
    const struct mdl_function *f = context;
    uint32_t i = (uint32_t)n;
    if (i < f->inputs_count) return f->inputs[i].name;
    i -= f->inputs_count;
    return i < f->given_dims ? f->dims[i].name : NULL;
}

static int misspelt(const struct run_request *r, const char *what, const char *word, const char *meant) {
    return run_error(r, RUN_USAGE, "%s '%s'%s%s%s", what, word, meant ? "; did you mean '" : "",
                     meant ? meant : "", meant ? "'?" : "");
}

static int find_function(struct run_call *c) {
    const struct run_executor *e = c->executor;
    const char *wanted = c->request->function;
    if (!e->functions_count) return run_error(c->request, RUN_FAILED, "the model exports no function");
    for (uint32_t i = 0; i < e->functions_count; i++) {
        if (wanted && strcmp(e->functions[i].name, wanted)) continue;
        c->number = i;
        c->function = &e->functions[i];
        return RUN_DONE;
    }
    return misspelt(c->request, "there is no function", wanted, options_nearest(wanted, function_name, e));
}

static int allocate(struct run_call *c) {
    const struct mdl_function *f = c->function;
    c->dims = calloc((size_t)f->dims_count + 1, sizeof *c->dims);
    c->units = calloc((size_t)f->dims_count + 1, sizeof *c->units);
    c->dim_from = calloc((size_t)f->dims_count + 1, sizeof *c->dim_from);
    c->inputs = calloc((size_t)f->inputs_count + 1, sizeof *c->inputs);
    c->results = calloc((size_t)f->results_count + 1, sizeof *c->results);
    c->input_data = calloc((size_t)f->inputs_count + 1, sizeof *c->input_data);
    c->result_data = calloc((size_t)f->results_count + 1, sizeof *c->result_data);
    if (!c->dims || !c->units || !c->dim_from || !c->inputs || !c->results || !c->input_data ||
        !c->result_data)
        return run_error(c->request, RUN_INTERNAL, "out of memory");
    for (uint32_t i = 0; i < f->given_dims; i++) c->dims[i] = -1;
    return RUN_DONE;
}

static int input_number(const struct mdl_function *f, const char *name) {
    for (uint32_t i = 0; i < f->inputs_count; i++)
        if (strcmp(f->inputs[i].name, name) == 0) return (int)i;
    return -1;
}

static int dim_number(const struct mdl_function *f, const char *name) {
    for (uint32_t i = 0; i < f->given_dims; i++)
        if (strcmp(f->dims[i].name, name) == 0) return (int)i;
    return -1;
}

static int bind_dim(struct run_call *c, uint32_t dim, int64_t value, const char *from) {
    const struct mdl_dim *d = &c->function->dims[dim];
    if (c->dims[dim] >= 0 && c->dims[dim] != value)
        return run_error(c->request, RUN_FAILED, "%s has %s = %" PRId64 ", but %s has %s = %" PRId64, from,
                         d->name, value, c->dim_from[dim], d->name, c->dims[dim]);
    if (value % d->unit)
        return run_error(c->request, RUN_FAILED,
                         "%s has %s = %" PRId64 ", not a multiple of %" PRId64
                         ", into which the mesh splits it",
                         from, d->name, value, d->unit);
    if (value / d->unit < d->min || value / d->unit > d->max)
        return run_error(c->request, RUN_FAILED, "%s has %s = %" PRId64 ", outside %" PRId64 "..%" PRId64,
                         from, d->name, value, d->min * d->unit, d->max * d->unit);
    c->dims[dim] = value;
    c->units[dim] = value / d->unit;
    c->dim_from[dim] = from;
    return RUN_DONE;
}

/* S=128 */
static int bind_given_dim(struct run_call *c, const struct run_pair *p, uint32_t dim) {
    char *end;
    errno = 0;
    long long value = strtoll(p->value, &end, 10);
    if (end == p->value || *end || errno || value < 0)
        return run_error(c->request, RUN_USAGE, "%s=%s: a whole number was expected", p->name, p->value);
    return bind_dim(c, dim, value, "the command line");
}

/* The value given for input `i`, or NULL. */
static const char *value_of(const struct run_call *c, uint32_t i) {
    for (int j = 0; j < c->request->values_count; j++)
        if (strcmp(c->request->values[j].name, c->function->inputs[i].name) == 0)
            return c->request->values[j].value;
    return NULL;
}

static int64_t pieces(const struct run_call *c, const struct mdl_tensor *t, uint32_t d) {
    const struct run_executor *e = c->executor;
    return e->pieces ? e->pieces(e->context, t, d) : 1;
}

/* The extent where dim `dim` has `value` units and the others 1. */
static int64_t probe(struct run_call *c, uint32_t extent, uint32_t dim, int64_t value) {
    const struct mdl_function *f = c->function;
    int64_t at[64] = {0}, *units = f->dims_count <= 64 ? at : NULL;
    for (uint32_t i = 0; units && i < f->given_dims; i++) units[i] = i == dim ? value : 1;
    return units ? c->executor->extent(c->executor->context, extent, units) : 0;
}

/* The one dim that has units and on which the extent depends, by so much a unit; -1: there is no such. */
static int find_dim(struct run_call *c, uint32_t extent, int64_t *first, int64_t *slope) {
    int found = -1;
    for (uint32_t i = 0; i < c->function->given_dims; i++) {
        int64_t one = probe(c, extent, i, 1), two = probe(c, extent, i, 2), three = probe(c, extent, i, 3);
        if (one == two && two == three) continue;
        if (found >= 0 || two - one != three - two || c->function->dims[i].unit == 1) return -1;
        found = (int)i;
        *first = one;
        *slope = two - one;
    }
    return found;
}

/* What dimension `d` of an input, `whole` long, says of the dims. */
static int bind_extent(struct run_call *c, const struct mdl_tensor *t, uint32_t d, int64_t whole) {
    int64_t cut = pieces(c, t, d), first = 1, slope = 1;
    int dim = t->dims[d];
    if (cut > 1 && whole % cut)
        return run_error(c->request, RUN_FAILED,
                         "input %s: its dimension %u is %" PRId64 ", not a multiple of %" PRId64
                         ", into which the mesh splits it",
                         t->name, d, whole, cut);
    if (dim < 0) dim = find_dim(c, t->extents[d], &first, &slope);
    if (dim < 0 || (whole / cut - first) % slope) return RUN_DONE; /* the shape is compared later */
    int64_t units = 1 + (whole / cut - first) / slope;
    return bind_dim(c, (uint32_t)dim, units * c->function->dims[dim].unit, t->name);
}

static int bind_shape(struct run_call *c, uint32_t input) {
    const struct mdl_tensor *t = &c->function->inputs[input];
    const struct npy_array *a = &c->inputs[input];
    int status = RUN_DONE;
    char shape[256];
    if (a->rank != t->rank)
        return run_error(c->request, RUN_FAILED, "input %s: has shape %s, but %u dimensions are wanted",
                         t->name, run_print_shape(a, shape, sizeof shape), t->rank);
    for (uint32_t d = 0; d < t->rank; d++) keep(&status, bind_extent(c, t, d, a->shape[d]));
    return status;
}

static int read_argument(struct run_call *c, const struct run_pair *p, bool *seen) {
    int input = input_number(c->function, p->name), dim = dim_number(c->function, p->name);
    if (input < 0 && dim >= 0) return bind_given_dim(c, p, (uint32_t)dim);
    if (input < 0) {
        const char *meant = options_nearest(p->name, argument_name, c->function);
        char what[128];
        snprintf(what, sizeof what, "function %s has no input", c->function->name);
        return misspelt(c->request, what, p->name, meant);
    }
    if (seen[input]) return run_error(c->request, RUN_USAGE, "input %s is given twice", p->name);
    seen[input] = true;
    char what[128];
    snprintf(what, sizeof what, "input %s", p->name);
    int status = run_read_value(c->request, what, p->value, &c->function->inputs[input], &c->inputs[input]);
    if (status || run_is_random(p->value)) return status;
    return bind_shape(c, (uint32_t)input);
}

static int read_arguments(struct run_call *c) {
    const struct mdl_function *f = c->function;
    bool *seen = calloc((size_t)f->inputs_count + 1, sizeof *seen);
    if (!seen) return run_error(c->request, RUN_INTERNAL, "out of memory");
    int status = RUN_DONE;
    for (int i = 0; i < c->request->values_count; i++)
        keep(&status, read_argument(c, &c->request->values[i], seen));
    for (uint32_t i = 0; i < f->inputs_count; i++)
        if (!seen[i])
            keep(&status, run_error(c->request, RUN_USAGE,
                                    "input %s of function %s is missing: %s=@FILE.npy, a number, or random",
                                    f->inputs[i].name, f->name, f->inputs[i].name));
    free(seen);
    return status;
}

static int check_all_bound(const struct run_call *c) {
    int status = RUN_DONE;
    for (uint32_t i = 0; i < c->function->given_dims; i++)
        if (c->dims[i] < 0)
            keep(&status, run_error(c->request, RUN_USAGE, "dim %s is not known from any input: give %s=N",
                                    c->function->dims[i].name, c->function->dims[i].name));
    return status;
}

/* Gives *a the whole shape that `t` has at the call's dims. */
static void set_shape(const struct run_call *c, const struct mdl_tensor *t, struct npy_array *a) {
    const struct run_executor *e = c->executor;
    *a = (struct npy_array){.dtype = t->dtype, .rank = t->rank};
    for (uint32_t d = 0; d < t->rank; d++)
        a->shape[d] = e->extent(e->context, t->extents[d], c->units) * pieces(c, t, d);
}

/* An input's shape against the type's; or, where it is random, its values. */
static int complete_input(struct run_call *c, uint32_t i, uint64_t *random) {
    const struct mdl_tensor *t = &c->function->inputs[i];
    const char *value = value_of(c, i);
    struct npy_array wanted, *a = &c->inputs[i];
    char what[128], have[256], want[256];
    set_shape(c, t, &wanted);
    if (run_is_random(value)) {
        *a = wanted;
        snprintf(what, sizeof what, "input %s", t->name);
        return run_fill_random(c->request, what, value, random, a);
    }
    if (memcmp(wanted.shape, a->shape, t->rank * sizeof *a->shape) == 0) return RUN_DONE;
    return run_error(c->request, RUN_FAILED, "input %s: has shape %s, but %s is wanted", t->name,
                     run_print_shape(a, have, sizeof have), run_print_shape(&wanted, want, sizeof want));
}

static int complete(struct run_call *c) {
    uint64_t random = c->request->seed;
    int status = RUN_DONE;
    for (uint32_t i = 0; i < c->function->inputs_count; i++) keep(&status, complete_input(c, i, &random));
    for (uint32_t i = 0; i < c->function->results_count && !status; i++) {
        set_shape(c, &c->function->results[i], &c->results[i]);
        if (!npy_alloc(&c->results[i]))
            return run_error(c->request, RUN_INTERNAL, "result %u: out of memory", i);
        c->result_data[i] = c->results[i].data;
    }
    for (uint32_t i = 0; i < c->function->inputs_count; i++) c->input_data[i] = c->inputs[i].data;
    return status;
}

int run_prepare(const struct run_executor *e, const struct run_request *r, struct run_call *c) {
    *c = (struct run_call){.executor = e, .request = r};
    int status = find_function(c);
    for (uint32_t i = 0; !status && i < c->function->inputs_count; i++)
        if (c->function->inputs[i].rank > NPY_MAX_RANK)
            status = run_error(r, RUN_FAILED, "input %s has more than %d dimensions",
                               c->function->inputs[i].name, NPY_MAX_RANK);
    if (!status) status = allocate(c);
    if (!status) status = read_arguments(c);
    if (!status) status = check_all_bound(c);
    if (!status) status = complete(c);
    return status;
}

int run_execute(struct run_call *c) {
    const struct run_executor *e = c->executor;
    int status = e->call(e->context, c->number, c->dims, c->input_data, c->result_data);
    return status ? run_error(c->request, run_exit_status(status), "%s", e->error(e->context)) : RUN_DONE;
}

static int write_results(const struct run_call *c) {
    const struct run_request *r = c->request;
    char path[4096], error[256];
    if (mkdir(r->output, 0777) && errno != EEXIST)
        return run_error(r, RUN_IO, "%s: %s", r->output, strerror(errno));
    for (uint32_t i = 0; i < c->function->results_count; i++) {
        int n = snprintf(path, sizeof path, "%s/%u.npy", r->output, i);
        if (n < 0 || (size_t)n >= sizeof path)
            return run_error(r, RUN_IO, "%s: the path is too long", r->output);
        if (npy_write(path, &c->results[i], error, sizeof error))
            return run_error(r, RUN_IO, "%s: %s", path, error);
    }
    return RUN_DONE;
}

int run_finish(const struct run_call *c) {
    int status = run_check_expected(c);
    if (c->request->output) {
        keep(&status, write_results(c));
        return status;
    }
    for (uint32_t i = 0; i < c->function->results_count; i++) {
        printf("%u: ", i);
        run_print_array(stdout, &c->results[i]);
    }
    keep(&status, run_printed(c->request));
    return status;
}

void run_call_free(struct run_call *c) {
    for (uint32_t i = 0; c->inputs && i < c->function->inputs_count; i++) npy_free(&c->inputs[i]);
    for (uint32_t i = 0; c->results && i < c->function->results_count; i++) npy_free(&c->results[i]);
    free(c->dims);
    free(c->units);
    free(c->dim_from);
    free(c->inputs);
    free(c->results);
    free(c->input_data);
    free(c->result_data);
}
