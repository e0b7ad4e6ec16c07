/* The interpreter's outside: binding of dims, one call that changes states only if it succeeds. */
#include "ir/interp.h"
#include "ir/eval.h"
#include "ir/exchange.h"
#include "ir/literal.h"
#include "ir/piece.h"
#include "ir/ranks.h"
#include "ir/tensor.h"
#include <string.h>

struct array *array_new(struct arena *a, enum dtype dtype, int rank, const int64_t *extents) {
    struct array *x = arena_new_object(a, struct array);
    *x = (struct array){.dtype = dtype, .rank = rank, .elements = 1};
    for (int d = 0; d < rank; d++) {
        x->extents[d] = extents[d];
        if (extents[d] < 0 || __builtin_mul_overflow(x->elements, extents[d], &x->elements))
            ice("an array with an extent of %lld", (long long)extents[d]);
    }
    if (dtype_class(dtype) == CLASS_FLOAT)
        x->floats = arena_new_array(a, double, (size_t)x->elements);
    else
        x->integers = arena_new_array(a, int64_t, (size_t)x->elements);
    return x;
}

struct array *array_from_bytes(struct arena *a, const struct tensor *t) {
    struct array *x = array_new(a, t->dtype, t->rank, t->extents);
    for (int64_t i = 0; i < x->elements; i++)
        if (x->floats)
            x->floats[i] = element_float(t->dtype, t->data, i);
        else
            x->integers[i] = element_integer(t->dtype, t->data, i);
    return x;
}

void array_to_bytes(const struct array *x, void *bytes) {
    for (int64_t i = 0; i < x->elements; i++)
        if (x->floats)
            element_set_float(x->dtype, bytes, i, x->floats[i]);
        else
            element_set_integer(x->dtype, bytes, i, x->integers[i]);
}

static bool fail(struct eval *e, const struct function *f, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool fail(struct eval *e, const struct function *f, const char *format, ...) {
    struct arena *a = e->interp->arena;
    va_list args;
    va_start(args, format);
    e->error = arena_printf(a, "%s: %s", f->name, arena_vprintf(a, format, args));
    va_end(args);
    return false;
}

static const char *argument_name(const struct function *f, int k) {
    return f->body->args[k]->name ? f->body->args[k]->name : "argument";
}

static bool mentions(const struct extent *e, const struct dim *dim) {
    for (int t = 0; t < e->count; t++)
        for (int s = 0; s < e->terms[t].count; s++) {
            const struct symbol *symbol = e->terms[t].symbols[s];
            if (symbol->dim ? symbol->dim == dim : mentions(symbol->numerator, dim)) return true;
        }
    return false;
}

/* The one dim of `e` that has no value yet; NULL if there is none or more than one. */
static const struct dim *only_unknown(const struct eval *e, const struct extent *extent) {
    const struct dim *unknown = NULL;
    for (int i = 0; i < e->graph->dims_count; i++) {
        const struct dim *dim = e->graph->dims[i];
        if (e->dims[i] >= 0 || !mentions(extent, dim)) continue;
        if (unknown) return NULL;
        unknown = dim;
    }
    return unknown;
}

/* Solves extent == actual for its unknown dim, as if it were linear; the check that follows finds out where
 * it is not. Returns whether a dim got its value. */
static bool solve(struct eval *e, const struct extent *extent, int64_t actual) {
    const struct dim *dim = only_unknown(e, extent);
    if (!dim) return false;
    e->dims[dim->id] = 0;
    int64_t at_zero = eval_length(e, extent), slope, rest;
    e->dims[dim->id] = 1;
    bool fits = !__builtin_sub_overflow(eval_length(e, extent), at_zero, &slope) &&
                !__builtin_sub_overflow(actual, at_zero, &rest);
    e->dims[dim->id] = fits && slope > 0 && rest >= 0 ? rest / slope : -1;
    return e->dims[dim->id] >= 0;
}

static void bind_all(struct eval *e, const struct function *f, struct array *const *inputs) {
    for (bool changed = true; changed;) {
        changed = false;
        for (int k = 0; k < f->body->args_count; k++)
            for (int d = 0; d < f->body->args[k]->type.rank; d++)
                changed |= solve(e, f->body->args[k]->type.extents[d], inputs[k]->extents[d]);
    }
}

static bool check_input(struct eval *e, const struct function *f, int k, const struct array *x) {
    const struct type *t = &f->body->args[k]->type;
    if (x->dtype != t->dtype || x->rank != t->rank)
        return fail(e, f, "%s is %s%s, but %s is wanted", argument_name(f, k), dtype_name(x->dtype),
                    x->rank ? ints_text(e->arena, x->extents, x->rank) : "", type_text(e->arena, t));
    return true;
}

static bool check_dims(struct eval *e, const struct function *f) {
    for (int i = 0; i < f->dims_count; i++)
        if (e->dims[f->dims[i]->id] < 0)
            return fail(e, f, "no argument tells the extent %s", f->dims[i]->name);
    for (int i = 0; i < e->graph->dims_count; i++) {
        const struct dim *dim = e->graph->dims[i];
        long long value = (long long)e->dims[i];
        if (value < 0) continue;
        if (value < dim->min || value > dim->max)
            return fail(e, f, "%s is %lld, but must be in %lld..%lld", dim->name, value, (long long)dim->min,
                        (long long)dim->max);
        if (f->fixed && f->fixed[i] >= 0 && f->fixed[i] != value)
            return fail(e, f, "%s is %lld, but this version is for %lld", dim->name, value,
                        (long long)f->fixed[i]);
    }
    return true;
}

static bool check_extents(struct eval *e, const struct function *f, int k, const struct array *x) {
    const struct type *t = &f->body->args[k]->type;
    for (int d = 0; d < t->rank; d++) {
        int64_t wanted = eval_length(e, t->extents[d]);
        if (wanted != x->extents[d])
            return fail(e, f, "%s has shape %s, but %s = %lld in %s", argument_name(f, k),
                        ints_text(e->arena, x->extents, x->rank), extent_text(e->arena, t->extents[d]),
                        (long long)wanted, type_text(e->arena, t));
    }
    return true;
}

/* Gives the dims their values from the inputs' shapes, and checks all of both. */
static bool bind(struct eval *e, const struct function *f, struct array *const *inputs) {
    for (int k = 0; k < f->body->args_count; k++)
        if (!check_input(e, f, k, inputs[k])) return false;
    bind_all(e, f, inputs);
    if (!check_dims(e, f)) return false;
    for (int k = 0; k < f->body->args_count; k++) {
        if (!check_extents(e, f, k, inputs[k])) return false;
        e->cells[f->body->args[k]->id] = (struct cell){inputs[k], NULL};
    }
    return true;
}

static bool same_numbers(const struct array *a, const struct array *b) {
    return a && b && a->floats == b->floats && a->integers == b->integers;
}

/* What a slot was assigned may be what another one held before (a, b = b, a): such numbers are set aside
 * before anything is overwritten. */
static void set_aside(struct interp *p, struct arena *call, struct slot *slot) {
    for (const struct global *global = p->graph->globals; global; global = global->next)
        for (int64_t i = 0; i < global_elements(global); i++) {
            const struct slot *other = &p->slots[global->id][i];
            if (other == slot || !other->pending || !same_numbers(slot->pending, other->now)) continue;
            slot->pending = array_copy_of(call, slot->pending);
            return;
        }
}

static void keep(struct interp *p, const struct global *global, struct slot *slot) {
    if (!slot->now) slot->now = interp_global_array(p->arena, global);
    if (!same_numbers(slot->now, slot->pending))
        array_copy(slot->now, 0, slot->pending, 0, slot->now->elements);
}

/* What was assigned is kept or forgotten. */
static void settle(struct interp *p, struct arena *call, bool good) {
    for (int step = 0; step < 2; step++)
        for (struct global *global = p->graph->globals; global; global = global->next)
            for (int64_t i = 0; i < global_elements(global); i++) {
                struct slot *slot = &p->slots[global->id][i];
                if (!slot->pending) continue;
                if (step == 0 && good) set_aside(p, call, slot);
                if (step == 1 && good) keep(p, global, slot);
                if (step == 1) slot->pending = NULL;
            }
}

static void give_results(struct eval *e, const struct function *f, struct array **results) {
    const struct block *b = f->body;
    for (int k = 0; k < b->results_count; k++) {
        const struct cell *cell = &e->cells[value_now(b->results[k])->id];
        results[k] = cell->stored ? eval_decoded(e->interp->arena, cell)
                                  : array_copy_of(e->interp->arena, cell->array);
    }
}

struct eval interp_begin(struct interp *p) {
    struct arena *a = arena_new();
    struct eval e = {.interp = p, .graph = p->graph, .call = a, .arena = a};
    e.dims = arena_new_array(a, int64_t, (size_t)p->graph->dims_count);
    e.cells = arena_new_array(a, struct cell, (size_t)p->graph->values);
    for (int i = 0; i < p->graph->dims_count; i++) e.dims[i] = -1;
    if (p->mesh) {
        int64_t coordinates[MAX_MESH_AXES];
        mesh_coordinates(p->mesh, p->rank, coordinates);
        for (int i = 0; i < p->mesh->axes_count; i++)
            e.dims[p->mesh->axes[i].coordinate->id] = coordinates[i];
    }
    return e;
}

bool interp_run(struct eval *e, const struct function *f, struct array *const *inputs,
                struct array **results) {
    bool good = bind(e, f, inputs) && eval_block(e, f->body);
    if (good) give_results(e, f, results);
    return good;
}

void interp_end(struct eval *e, bool good) {
    settle(e->interp, e->call, good);
    arena_release(e->call);
}

static struct interp *one(struct arena *a, struct graph *g, bool exact) {
    struct interp *p = arena_new_object(a, struct interp);
    *p = (struct interp){.arena = a, .graph = g, .exact = exact};
    return interp_globals(p) ? p : NULL;
}

struct interp *interp_new(struct arena *a, struct graph *g, bool exact) {
    struct interp *p = one(a, g, exact);
    const struct mesh *m = p ? ranks_mesh(g) : NULL;
    if (!m) return p;
    int64_t count = mesh_ranks(m);
    p->ranks = arena_new_array(a, struct interp *, (size_t)count);
    p->ranks_count = (int)count;
    for (int i = 0; i < p->ranks_count; i++) {
        p->ranks[i] = one(a, g, exact);
        p->ranks[i]->mesh = m;
        p->ranks[i]->rank = i;
    }
    return p;
}

void interp_reset(struct interp *p) {
    interp_globals_reset(p);
    for (int i = 0; i < p->ranks_count; i++) interp_globals_reset(p->ranks[i]);
}

bool interp_call(struct interp *p, const struct function *f, struct array *const *inputs,
                 struct array **results, const char **error) {
    if (p->ranks) return interp_call_ranks(p, f, inputs, results, error);
    struct eval e = interp_begin(p);
    bool good = interp_run(&e, f, inputs, results);
    if (!good) *error = e.error;
    interp_end(&e, good);
    return good;
}
