/* Top-level names: constants, dims, params and states, options. Order is free: each is evaluated when first
 * needed. */
#include "frontend/expand.h"
#include "ir/piece.h"
#include <string.h>

struct declared *declared_find(struct expander *x, const char *name) {
    return table_find(&x->values, name);
}

static void report_again(struct expander *x, const char *what, const char *name, struct loc loc,
                         struct loc before) {
    diag_error(x->diag, loc, "%s '%s' is declared twice", what, name);
    diag_note(x->diag, before, "the first is here");
}

static void declare_value(struct expander *x, struct decl *d) {
    struct declared *before = declared_find(x, d->name), *made = arena_new_object(x->arena, struct declared);
    if (before) {
        report_again(x, "the name", d->name, d->loc, before->decl->loc);
        return;
    }
    made->decl = d;
    table_set(x->arena, &x->values, d->name, made);
}

/* A version for fixed extents shares the name of its function, and is never called from the text. */
static void declare_function(struct expander *x, struct decl *d) {
    if (d->fixed) return;
    const struct decl *before = table_find(&x->functions, d->name);
    if (before)
        report_again(x, "function", d->name, d->loc, before->loc);
    else
        table_set(x->arena, &x->functions, d->name, d);
}

static void declare_model(struct expander *x, struct decl *d) {
    if (x->graph->name) diag_error(x->diag, d->loc, "the model is named twice");
    x->graph->name = d->name;
}

static void declare_option(struct expander *x, struct decl *d) {
    if (graph_option(x->graph, d->name))
        diag_error(x->diag, d->loc, "option %s is given twice", d->name);
    else
        frontend_option(x->graph, d->name, d->text, d->loc);
}

static void declare_later(struct expander *x, struct decl *d) { (void)x, (void)d; }

static void declare_weights(struct expander *x, struct decl *d) {
    if (!*d->text) diag_error(x->diag, d->loc, "weights: the path is empty");
}

static void (*const declarers[])(struct expander *, struct decl *) = {
    [DECL_MESH] = declare_later,      [DECL_MODEL] = declare_model,   [DECL_CONST] = declare_value,
    [DECL_DIM] = declare_value,       [DECL_PARAM] = declare_value,   [DECL_STATE] = declare_value,
    [DECL_WEIGHTS] = declare_weights, [DECL_OPTION] = declare_option, [DECL_FUNCTION] = declare_function};

enum { DIM_LARGEST = INT32_MAX }; /* a dim used as a value is an i32 */

/* dim S in 1..4096 unit 2: what a caller passes is 2*S. */
static bool evaluate_unit(struct expander *x, const struct decl *d, int64_t max, int64_t *unit) {
    *unit = 1;
    if (!d->unit) return true;
    if (!evaluate_int(x, d->unit, "a dim's unit", unit)) return false;
    if (*unit >= 1 && *unit <= DIM_LARGEST && max <= DIM_LARGEST / *unit) return true;
    diag_error(x->diag, d->unit->loc, "dim %s: %lld units of %lld are no extent", d->name, (long long)max,
               (long long)*unit);
    return false;
}

static struct item evaluate_dim(struct expander *x, struct declared *d) {
    const struct decl *e = d->decl;
    int64_t min, max, unit;
    if (!evaluate_int(x, e->value, "a dim's bound", &min) || !evaluate_int(x, e->to, "a dim's bound", &max))
        return item_error();
    if (min < 0 || max < min || max > DIM_LARGEST) {
        diag_error(x->diag, e->loc, "dim %s: %lld..%lld is not a range of extents", e->name, (long long)min,
                   (long long)max);
        return item_error();
    }
    if (!evaluate_unit(x, e, max, &unit)) return item_error();
    d->dim = graph_dim(x->graph, e->name, min, max, e->loc);
    d->dim->unit = unit;
    return item_extent(extent_dim(x->graph->extents, d->dim));
}

static struct item evaluate_const(struct expander *x, const struct decl *e) {
    struct item i;
    if (override_find(x, e->name, &i)) return i;
    i = evaluate_constant(x, e->value, arena_printf(x->arena, "the constant %s", e->name));
    if (i.kind == ITEM_ERROR || item_known(&i)) return i;
    diag_error(x->diag, e->value->loc, "a constant is a number, not %s", item_text(x, &i));
    return item_error();
}

struct item declared_item(struct expander *x, struct declared *d, struct loc use) {
    struct scope *scope = x->scope;
    if (d->progress == KNOWN) return d->item;
    if (d->progress == BUSY) {
        diag_error(x->diag, use, "%s is defined by itself", d->decl->name);
        diag_note(x->diag, d->decl->loc, "%s is declared here", d->decl->name);
        return item_error();
    }
    d->progress = BUSY;
    x->scope = NULL;
    d->item = d->decl->kind == DECL_DIM ? evaluate_dim(x, d) : evaluate_const(x, d->decl);
    x->scope = scope;
    d->progress = KNOWN;
    return d->item;
}

enum { MAX_COUNTS = 2, MAX_TENSORS = 1 << 20 };

/* [L] or [L][E] */
static bool global_counts(struct expander *x, const struct decl *d, struct global *g) {
    int64_t count;
    for (const struct arg *a = d->counts; a; a = a->next) {
        if (g->counts_rank == MAX_COUNTS) {
            diag_error(x->diag, a->loc, "an array of tensors has at most two indices");
            return false;
        }
        if (!evaluate_int(x, a->value, "the number of tensors", &count)) return false;
        if (count < 1 || count > MAX_TENSORS || global_elements(g) * count > MAX_TENSORS) {
            diag_error(x->diag, a->loc, "%s cannot have %lld tensors", d->name, (long long)count);
            return false;
        }
        g->counts[g->counts_rank++] = count;
    }
    return true;
}

static bool global_type(struct expander *x, const struct decl *d, struct global *g) {
    if (!evaluate_type(x, d->type, &g->type)) return false;
    int i = 0;
    for (const struct arg *a = d->type->extents; a; a = a->next, i++)
        if (!extent_is_const(g->type.extents[i], NULL)) {
            diag_error(x->diag, a->loc, "a %s's extents are constants; %s is known only at run time",
                       d->kind == DECL_STATE ? "state" : "param", extent_text(x->arena, g->type.extents[i]));
            return false;
        }
    return true;
}

static void global_marks(struct expander *x, const struct marks *m, struct global *g) {
    if (m->store && (g->store = format_find(m->store)) == FORMAT_COUNT)
        diag_error(x->diag, m->store_loc, "unknown storage format '%s'", m->store);
    find_layout(x, m, &g->layout);
    if (m->on) diag_error(x->diag, m->on->loc, "only statements run on a device");
    if (m->sharding) evaluate_sharding(x, m->sharding, &g->type, g->name, &g->sharding);
    if (m->space) diag_error(x->diag, m->space_loc, "only values inside functions have a place");
    if (m->over >= 0) diag_error(x->diag, m->over_loc, "only values inside functions have a place");
}

/* Where the first contents come from. `weights`: the declaration above, or NULL. */
static void global_init(struct expander *x, const struct decl *d, const struct decl *weights,
                        struct global *g) {
    bool param = d->kind == DECL_PARAM;
    const char *file = weights ? weights->text : NULL;
    if (d->marks.from && (d->value || !param)) {
        diag_error(x->diag, d->marks.from_loc,
                   param ? "%s has both 'from' and '='" : "%s is a state: it has no 'from'", d->name);
        return;
    }
    if (d->value || !param) {
        struct type whole = piece_whole(x->graph, &g->type, g->sharding);
        if (d->value)
            initializer(x, d->value, &whole, &g->init);
        else
            g->init.kind = INIT_FILL;
        return;
    }
    g->init = (struct init){.kind = INIT_FILE,
                            .file = file,
                            .folder = x->folder,
                            .tensor = d->marks.from ? d->marks.from : d->name,
                            .loc = weights ? weights->loc : d->loc};
    static const char *const braces[] = {"{i}", "{j}"};
    for (int i = 0; i < g->counts_rank; i++)
        if (!strstr(g->init.tensor, braces[i])) {
            diag_error(x->diag, d->marks.from ? d->marks.from_loc : d->loc,
                       "%s is an array: the name of its tensors, '%s', must contain %s", d->name,
                       g->init.tensor, braces[i]);
            return;
        }
    if (file || x->options->weights) return;
    diag_error(x->diag, d->loc, "%s has no initialiser, and no 'weights \"file\"' stands above it", d->name);
    g->init.kind = INIT_FILL; /* reported: nobody is to look for it */
}

static void declare_global(struct expander *x, struct declared *d, const struct decl *weights) {
    const struct decl *e = d->decl;
    enum global_kind kind = e->kind == DECL_PARAM ? GLOBAL_PARAM : GLOBAL_STATE;
    if (x->graph->globals_count >= MAX_GLOBALS) {
        if (!x->stopped) diag_error(x->diag, e->loc, "there are more than %d params and states", MAX_GLOBALS);
        x->stopped = true;
        return;
    }
    struct global *g = graph_global(x->graph, kind, e->name, e->marks.loc.source ? e->marks.loc : e->loc);
    d->global = g;
    if (!global_type(x, e, g) || !global_counts(x, e, g)) {
        d->broken = true;
        return;
    }
    global_marks(x, &e->marks, g);
    global_init(x, e, weights, g);
}

static void evaluate_all(struct expander *x, enum decl_kind kind) {
    for (int i = 0; i < x->values.count; i++) {
        struct declared *d = x->values.entries[i].data;
        if (d->decl->kind == kind) declared_item(x, d, d->decl->loc);
    }
}

void declare(struct expander *x) {
    const struct decl *weights = NULL;
    for (struct decl *d = x->tree->decls; d; d = d->next) declarers[d->kind](x, d);
    check_overrides(x);
    evaluate_all(x, DECL_DIM);
    for (struct decl *d = x->tree->decls; d; d = d->next)
        if (d->kind == DECL_MESH) declare_mesh(x, d);
    evaluate_all(x, DECL_CONST); /* which may speak of axes */
    for (struct decl *d = x->tree->decls; d; d = d->next) {
        if (d->kind == DECL_WEIGHTS) weights = d;
        if (d->kind != DECL_PARAM && d->kind != DECL_STATE) continue;
        struct declared *found = declared_find(x, d->name);
        if (found->decl == d) declare_global(x, found, weights);
    }
}
