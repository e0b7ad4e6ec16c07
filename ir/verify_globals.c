/* The verifier's look at what a graph declares: dims, params and states, functions. */
#include "ir/verify_parts.h"
#include <string.h>

static void check_dims(struct verify *v) {
    for (int i = 0; i < v->g->dims_count; i++) {
        const struct dim *d = v->g->dims[i];
        if (d->id != i) verify_error(v, d->loc, "dim %s has id %d, stands at %d", d->name, d->id, i);
        if (d->min < 0 || d->min > d->max)
            verify_error(v, d->loc, "dim %s has the empty or negative range %lld..%lld", d->name,
                         (long long)d->min, (long long)d->max);
        for (int j = 0; j < i; j++)
            if (!strcmp(v->g->dims[j]->name, d->name))
                verify_error(v, d->loc, "two dims are named %s", d->name);
    }
}

/* Its extents are constants, and its bytes fit. */
static void check_type(struct verify *v, const struct global *global) {
    const struct type *t = &global->type;
    int64_t value;
    for (int i = 0; i < t->rank; i++)
        if (!t->extents[i] || !extent_is_const(t->extents[i], &value) || value < 0) {
            verify_error(v, global->loc, "%s: extent %d is %s, not a constant", global->name, i,
                         extent_text(v->g->arena, t->extents[i]));
            return;
        }
    if (!type_bytes(v->g->extents, t)) verify_error(v, global->loc, "%s is too large", global->name);
}

static void check_counts(struct verify *v, const struct global *global) {
    if (global->counts_rank < 0 || global->counts_rank > 2) {
        verify_error(v, global->loc, "%s is an array of %d axes", global->name, global->counts_rank);
        return;
    }
    int64_t product = 1;
    for (int i = 0; i < global->counts_rank; i++)
        if (global->counts[i] < 0 || __builtin_mul_overflow(product, global->counts[i], &product))
            verify_error(v, global->loc, "%s has %lld elements on axis %d", global->name,
                         (long long)global->counts[i], i);
}

/* A quantised format's blocks lie along the last axis, whole ones. */
static void check_store(struct verify *v, const struct global *global) {
    const struct type *t = &global->type;
    int64_t row = 1, block = format_info(global->store)->elements;
    if (t->rank && (!t->extents[t->rank - 1] || !extent_is_const(t->extents[t->rank - 1], &row))) return;
    if (row % block)
        verify_error(v, global->loc, "%s: rows of %lld are no whole blocks of %s, which have %lld elements",
                     global->name, (long long)row, format_info(global->store)->name, (long long)block);
}

/* Inner parts of an axis make up the step of the next: "0/32 0:32" is whole, "0/32 0:16" and "0/3 0:32" are
 * not. */
static void check_layout(struct verify *v, const struct global *global) {
    const struct layout *l = global->layout;
    for (int i = 0; l && i < l->count; i++)
        if (l->parts[i].dim < 0 || l->parts[i].dim >= global->type.rank) {
            verify_error(v, global->loc, "%s: its layout names axis %d of %d", global->name, l->parts[i].dim,
                         global->type.rank);
            return;
        }
    for (int dim = 0; l && dim < global->type.rank; dim++)
        if (!layout_covers(l, dim))
            verify_error(
                v, global->loc,
                "%s: the parts of axis %d in layout(\"%s\") do not count each index once, from an outermost "
                "part without a count to an innermost one in steps of 1",
                global->name, dim, layout_text(v->g->arena, l));
}

static void check_init(struct verify *v, const struct global *global) {
    const struct init *init = &global->init;
    if (init->kind == INIT_FILE && global->kind == GLOBAL_STATE)
        verify_error(v, global->loc, "state %s comes from a file", global->name);
    if (init->kind == INIT_LIST && !init->list)
        verify_error(v, global->loc, "%s has an empty initialiser", global->name);
}

/* All ids, in order, and names that differ: quadratic in the declarations, of which a
 * model that shares arrays has tens. */
static void check_names(struct verify *v) {
    for (const struct global *a = v->g->globals; a; a = a->next)
        for (const struct global *b = v->g->globals; b != a; b = b->next)
            if (!strcmp(a->name, b->name))
                verify_error(v, a->loc, "two params or states are named %s", a->name);
    for (const struct function *a = v->g->functions; a; a = a->next)
        for (const struct function *b = v->g->functions; b != a; b = b->next)
            if (!strcmp(a->name, b->name) && !a->fixed && !b->fixed)
                verify_error(v, a->loc, "two functions are named %s", a->name);
}

void verify_globals(struct verify *v) {
    check_dims(v);
    verify_meshes(v);
    for (const struct global *global = v->g->globals; global; global = global->next) {
        if (global->id < 0 || global->id >= v->g->globals_count)
            verify_error(v, global->loc, "%s has an id that was not given out", global->name);
        check_type(v, global);
        check_counts(v, global);
        check_store(v, global);
        check_layout(v, global);
        check_init(v, global);
    }
    check_names(v);
}

bool verify_has_global(const struct verify *v, const struct global *global) {
    for (const struct global *g = v->g->globals; g; g = g->next)
        if (g == global) return true;
    return false;
}
