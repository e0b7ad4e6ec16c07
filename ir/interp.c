/* The interpreter's outside: params and states, binding of dims, one call that changes states only if it
 * succeeds. */
#include "ir/interp.h"
#include "ir/eval.h"
#include "ir/init.h"
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

static struct array *global_array(struct arena *a, const struct global *global) {
    int64_t extents[MAX_RANK] = {0};
    for (int d = 0; d < global->type.rank; d++)
        if (!extent_is_const(global->type.extents[d], &extents[d]))
            ice("%s has an extent that is not constant", global->name);
    return array_new(a, global->type.dtype, global->type.rank, extents);
}

static void fill(const struct graph *g, const struct global *global, int64_t element, struct array *x) {
    if (x->floats)
        init_floats(g, global, element, 0, x->elements, x->floats);
    else
        init_integers(g, global, element, 0, x->elements, x->integers);
}

/* New arrays are zero already, and stay untouched memory. */
static bool starts_zero(const struct global *global) {
    return global->init.kind == INIT_FILL && global->init.a == 0;
}

/* Whether what a global starts with is at hand. */
static bool usable(struct graph *g, const struct global *global) {
    if (global->init.kind != INIT_FILE || global->stored) return true;
    diag_error(g->diag, global->loc, "%s is not bound to a file, so it has no value", global->name);
    return false;
}

struct interp *interp_new(struct arena *a, struct graph *g, bool exact) {
    struct interp *p = arena_new_object(a, struct interp);
    *p = (struct interp){.arena = a, .graph = g, .exact = exact};
    p->slots = arena_new_array(a, struct slot *, (size_t)g->globals_count);
    bool good = true;
    for (struct global *global = g->globals; global; global = global->next) {
        int64_t count = global_elements(global);
        good &= usable(g, global);
        p->slots[global->id] = arena_new_array(a, struct slot, (size_t)count);
    }
    return good ? p : NULL;
}

void interp_reset(struct interp *p) {
    for (struct global *global = p->graph->globals; global; global = global->next) {
        if (global->kind != GLOBAL_STATE) continue;
        for (int64_t i = 0; i < global_elements(global); i++) {
            struct array *x = p->slots[global->id][i].now;
            if (x) fill(p->graph, global, i, x);
        }
    }
}

/* Whether a compiled model keeps a param in a format that changes its numbers (--quantize, --precision=bf16).
 */
static bool stored_anew(const struct global *global, enum format from) {
    return global->kind == GLOBAL_PARAM && global->store && global->store != from &&
           format_info(global->store)->encodes;
}

/* The numbers that are left when x is stored as the model's passes decided. */
static void store_and_load(struct interp *p, const struct global *global, struct array *x) {
    struct arena *scratch = arena_new();
    int64_t bytes, bad;
    float *floats = arena_new_array(scratch, float, (size_t)x->elements);
    for (int64_t i = 0; i < x->elements; i++) floats[i] = (float)x->floats[i];
    if (format_bytes(global->store, x->elements, &bytes)) {
        void *encoded = arena_alloc(scratch, (size_t)bytes, 1);
        if (format_encode(global->store, floats, x->elements, encoded, &bad))
            format_decode(global->store, encoded, 0, x->elements, x->floats);
        else
            diag_error(p->graph->diag, global->loc, "%s cannot be stored as %s: see its element %lld",
                       global->name, format_name(global->store), (long long)bad);
    }
    arena_release(scratch);
}

/* A global's tensor before its first assignment. Small params are decoded once; large ones stay as they are
 * stored, and whoever reads them decodes what it needs. */
struct cell interp_global(struct interp *p, const struct global *global, int64_t element) {
    enum { SMALL = 1 << 16 };
    struct slot *slot = &p->slots[global->id][element];
    if (slot->pending) return (struct cell){slot->pending, NULL};
    if (slot->now) return (struct cell){slot->now, NULL};
    struct array *x;
    if (!global->stored || global->init.kind != INIT_FILE) {
        x = slot->now = global_array(p->arena, global);
        if (!starts_zero(global)) fill(p->graph, global, element, x);
        if (x->floats && stored_anew(global, format_of_dtype(x->dtype))) store_and_load(p, global, x);
        return (struct cell){x, NULL};
    }
    struct cell cell = {arena_new_object(p->arena, struct array), &global->stored[element]};
    x = cell.array;
    *x = (struct array){.dtype = global->type.dtype, .rank = global->type.rank, .elements = 1};
    for (int d = 0; d < x->rank; d++) {
        extent_is_const(global->type.extents[d], &x->extents[d]);
        x->elements *= x->extents[d];
    }
    bool anew = stored_anew(global, cell.stored->format) && dtype_class(x->dtype) == CLASS_FLOAT;
    if (x->elements > SMALL && !anew) return cell;
    slot->now = eval_decoded(p->arena, &cell);
    if (anew) store_and_load(p, global, slot->now);
    return (struct cell){slot->now, NULL};
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

static const char *shape_text(struct arena *a, const struct array *x) {
    const char *text = "[";
    for (int d = 0; d < x->rank; d++)
        text = arena_printf(a, "%s%s%lld", text, d ? ", " : "", (long long)x->extents[d]);
    return arena_printf(a, "%s]", text);
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
                    x->rank ? shape_text(e->arena, x) : "", type_text(e->arena, t));
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
                        shape_text(e->arena, x), extent_text(e->arena, t->extents[d]), (long long)wanted,
                        type_text(e->arena, t));
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

static struct array *copied(struct arena *a, const struct array *x) {
    struct array *copy = array_new(a, x->dtype, x->rank, x->extents);
    array_copy(copy, 0, x, 0, x->elements);
    return copy;
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
            slot->pending = copied(call, slot->pending);
            return;
        }
}

static void keep(struct interp *p, const struct global *global, struct slot *slot) {
    if (!slot->now) slot->now = global_array(p->arena, global);
    if (!same_numbers(slot->now, slot->pending))
        array_copy(slot->now, 0, slot->pending, 0, slot->now->elements);
}

/* Ends the call: what was assigned is kept or forgotten. */
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
        results[k] =
            cell->stored ? eval_decoded(e->interp->arena, cell) : copied(e->interp->arena, cell->array);
    }
}

bool interp_call(struct interp *p, const struct function *f, struct array *const *inputs,
                 struct array **results, const char **error) {
    struct arena *a = arena_new();
    struct eval e = {.interp = p, .graph = p->graph, .call = a, .arena = a};
    e.dims = arena_new_array(a, int64_t, (size_t)p->graph->dims_count);
    e.cells = arena_new_array(a, struct cell, (size_t)p->graph->values);
    for (int i = 0; i < p->graph->dims_count; i++) e.dims[i] = -1;
    bool good = bind(&e, f, inputs) && eval_block(&e, f->body);
    if (good)
        give_results(&e, f, results);
    else
        *error = e.error;
    settle(p, a, good);
    arena_release(a);
    return good;
}
