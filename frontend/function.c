/* Functions: expanded where they are called; those a caller of the library sees become the graph's.
 *
 *     fn linear2(x: f32[M, K], w: f32[N, K])      M, K, N bind to the arguments' extents
 */
#include "frontend/expand.h"
#include <string.h>

enum { MAX_FRAMES = 100, MAX_PARAMS = 256, MAX_FUNCTIONS = 2000 };

void report_calls(struct expander *x) {
    if (x->noted == x->diag->errors) return;
    x->noted = x->diag->errors;
    int shown = 0;
    for (const struct frame *f = x->frame; f && f->call.source && shown < 5; f = f->outer, shown++)
        diag_note(x->diag, f->call, "in the call of %s here", f->function->name);
}

static void report_recursion(struct expander *x, const struct decl *f, struct loc loc) {
    const char *chain = f->name;
    for (const struct frame *c = x->frame; c; c = c->outer) {
        chain = arena_printf(x->arena, "%s calls %s", c->function->name, chain);
        if (c->function == f) break;
    }
    diag_error(x->diag, loc, "functions are expanded where they are called, so they cannot recurse: %s",
               chain);
    diag_note(x->diag, f->loc, "%s is declared here", f->name);
}

static int count_params(const struct decl *f) {
    int count = 0;
    for (const struct param_expr *p = f->params; p; p = p->next) count++;
    return count;
}

/* The number of the parameter that argument `a` is for, or -1 after reporting. */
static int param_of(struct expander *x, const struct decl *f, const struct arg *a, int position) {
    const char *names[MAX_PARAMS];
    int i = 0;
    for (const struct param_expr *p = f->params; p; p = p->next, i++) {
        if (a->name ? !strcmp(a->name, p->name) : i == position) return i;
        names[i] = p->name;
    }
    if (a->name)
        diag_error(x->diag, a->loc, "%s has no argument '%s'%s", f->name, a->name,
                   did_you_mean(x, a->name, names, i));
    else
        diag_error(x->diag, a->loc, "%s takes %d argument%s", f->name, i, i == 1 ? "" : "s");
    diag_note(x->diag, f->loc, "%s is declared here", f->name);
    return -1;
}

/* Arguments as given, in the caller's scope, by number of parameter. */
static bool arguments(struct expander *x, const struct decl *f, const struct expr *call, struct item *items,
                      struct loc *locs, bool *given) {
    bool good = true, by_name = false;
    int position = 0;
    for (const struct arg *a = call->args; a; a = a->next) {
        if (by_name && !a->name) {
            diag_error(x->diag, a->loc, "%s: arguments by name come last", f->name);
            return false;
        }
        by_name |= a->name != NULL;
        int i = param_of(x, f, a, position++);
        if (i < 0) return false;
        if (given[i]) {
            diag_error(x->diag, a->loc, "%s: this argument is given twice", f->name);
            return false;
        }
        items[i] = evaluate(x, a->value);
        locs[i] = a->value->loc;
        given[i] = true;
        good &= items[i].kind != ITEM_ERROR;
    }
    return good;
}

static bool is_known_extent(struct expander *x, const char *name) {
    struct declared *d = declared_find(x, name);
    return scope_find(x, name) || (d && !d->global);
}

/* Names in a type that mean nothing yet are bound to the extents found there. */
static void bind_extents(struct expander *x, const struct type_expr *t, const struct value *v) {
    int i = 0;
    for (const struct arg *a = t->extents; a && i < v->type.rank; a = a->next, i++)
        if (a->value->kind == EXPR_NAME && !is_known_extent(x, a->value->text))
            scope_define(x, a->value->text, item_extent(v->type.extents[i]), a->value->loc);
}

/* A parameter takes its argument: an index as a number, a tensor as a value of its type. */
static bool bind_param(struct expander *x, const struct decl *f, const struct param_expr *p, struct item item,
                       struct loc loc) {
    struct type type;
    int64_t index;
    const char *what = arena_printf(x->arena, "%s: argument %s", f->name, p->name);
    if (p->type->index) {
        if (item.kind != ITEM_ERROR && !item_to_int(x, &item, what, loc, &index)) return false;
        if (item.kind != ITEM_ERROR) item = item_int(index);
        scope_define(x, p->name, item, p->loc);
        return item.kind != ITEM_ERROR;
    }
    struct value *v = p->type->bad ? NULL : item_as_value(x, &item, (int)p->type->dtype, loc);
    if (v) bind_extents(x, p->type, v);
    if (!evaluate_type(x, p->type, &type) || !v) return false;
    item = item_value(v);
    if (!value_of_type(x, &item, &type, what, loc)) {
        diag_note(x->diag, p->loc, "%s is declared here", p->name);
        return false;
    }
    if (!v->name) v->name = p->name;
    if (p->marks.sharding && !(v = place_value(x, v, p->marks.sharding, x->graph->nodes, p->loc)))
        return false;
    if (!v->name) v->name = p->name;
    scope_define(x, p->name, item_value(v), p->loc);
    return true;
}

/* What passes decide has its place where a caller has it: not where a function is expanded. */
static bool refuse_placed_params(struct expander *x, struct decl *f) {
    for (const struct param_expr *p = f->params; p && !f->broken; p = p->next) {
        f->broken = p->marks.layout || p->marks.space || p->marks.over >= 0;
        if (f->broken)
            diag_error(x->diag, p->loc,
                       "layout, in and over mean nothing beside an argument of %s, which is %s", f->name,
                       "expanded where it is called");
    }
    return !f->broken;
}

/* All parameters, those of type index first, since types may use them; then the names that extents bind, for
 * types before them: (a: f32[N + 1], b: f32[N]). */
static bool bind_params(struct expander *x, const struct decl *f, struct item *items, struct loc *locs,
                        const bool *given, struct loc call) {
    bool good = true;
    for (int round = 0; round < 2; round++) {
        int i = 0;
        for (const struct param_expr *p = f->params; p && round; p = p->next, i++)
            if (given[i] && items[i].kind == ITEM_VALUE) bind_extents(x, p->type, items[i].value);
        i = 0;
        for (const struct param_expr *p = f->params; p; p = p->next, i++) {
            if (p->type->index != (round == 0)) continue;
            if (!given[i] && !p->fallback) {
                diag_error(x->diag, call, "%s: argument %s is missing", f->name, p->name);
                diag_note(x->diag, p->loc, "%s is declared here", p->name);
                good = false;
                continue;
            }
            if (!given[i]) items[i] = evaluate(x, p->fallback), locs[i] = p->fallback->loc;
            good &= items[i].kind != ITEM_ERROR && bind_param(x, f, p, items[i], locs[i]);
        }
    }
    return good;
}

/* Results as the signature wants them. */
static bool check_results(struct expander *x, const struct decl *f, struct frame *frame) {
    int wanted = 0;
    bool good = true;
    for (const struct type_expr *t = f->type; t; t = t->next) wanted++;
    if (!f->type) return true;
    if (wanted != frame->results_count) {
        diag_error(x->diag, f->loc, "%s returns %d value%s, but its signature says %d", f->name,
                   frame->results_count, frame->results_count == 1 ? "" : "s", wanted);
        return false;
    }
    int i = 0;
    for (const struct type_expr *t = f->type; t; t = t->next, i++) {
        struct type type;
        struct loc loc = frame->results_locs[i];
        const char *what =
            arena_printf(x->arena, wanted > 1 ? "%s: result %d" : "%s: the result", f->name, i);
        struct value *v =
            evaluate_type(x, t, &type) ? value_of_type(x, &frame->results[i], &type, what, loc) : NULL;
        if (!v && frame->results[i].kind != ITEM_ERROR)
            diag_note(x->diag, t->loc, "the signature says so here");
        if (v && t->sharding && frame->call.source)
            v = place_value(x, v, t->sharding, frame->first_node, t->loc);
        frame->results[i] = item_value(v);
        good &= v != NULL;
    }
    return good;
}

/* Expands the body in the scope at hand. */
static bool expand_body(struct expander *x, struct decl *f, struct frame *frame) {
    int errors = x->diag->errors;
    frame->function = f;
    frame->outer = x->frame;
    x->frame = frame;
    frame->first_node = x->graph->nodes;
    f->busy = true;
    expand_statements(x, f->body);
    if (x->diag->errors == errors && !frame->failed && !x->stopped && !check_results(x, f, frame))
        f->broken = true;
    if (x->diag->errors > errors) report_calls(x);
    f->busy = false;
    x->frame = frame->outer;
    return x->diag->errors == errors && !frame->failed && !x->stopped;
}

int call_function(struct expander *x, struct decl *f, const struct expr *call, struct item *results) {
    if (f->busy) return report_recursion(x, f, call->loc), -1;
    if (f->broken || !refuse_placed_params(x, f)) return -1; /* reported */
    if (x->frames >= MAX_FRAMES) {
        diag_error(x->diag, call->loc, "calls are nested too deeply: %d functions", MAX_FRAMES);
        x->stopped = true;
        return -1;
    }
    int count = count_params(f);
    if (count > MAX_PARAMS) return -1; /* reported where it is declared */
    struct item *items = arena_new_array(x->arena, struct item, count + 1);
    struct loc *locs = arena_new_array(x->arena, struct loc, count + 1);
    bool *given = arena_new_array(x->arena, bool, count + 1);
    if (!arguments(x, f, call, items, locs, given)) return -1;
    struct scope scope;
    struct frame frame = {.call = call->loc};
    x->frames++;
    scope_push(x, &scope, SCOPE_FUNCTION);
    bool good = bind_params(x, f, items, locs, given, call->loc) && expand_body(x, f, &frame);
    scope_pop(x);
    x->frames--;
    for (int i = 0; good && i < frame.results_count; i++) results[i] = frame.results[i];
    return good ? frame.results_count : -1;
}

/* Adds the dims of `e` to a function's list, in order of first use. */
static void collect_dims(struct expander *x, struct function *f, const struct extent *e, int *capacity) {
    for (int t = 0; t < e->count; t++)
        for (int i = 0; i < e->terms[t].count; i++) {
            const struct symbol *s = e->terms[t].symbols[i];
            if (!s->dim)
                collect_dims(x, f, s->numerator, capacity);
            else if (!s->dim->axis && !function_has_dim(f, s->dim))
                arena_push(x->graph->arena, f->dims, f->dims_count, *capacity, s->dim);
        }
}

/* The first name in a signature's types that is no constant or dim, or NULL. */
static const struct expr *unbound_name(struct expander *x, const struct decl *f) {
    for (const struct param_expr *p = f->params; p; p = p->next)
        for (const struct arg *a = p->type->extents; a; a = a->next)
            if (a->value->kind == EXPR_NAME && !is_known_extent(x, a->value->text)) return a->value;
    return NULL;
}

static bool has_index(const struct decl *f) {
    for (const struct param_expr *p = f->params; p; p = p->next)
        if (p->type->index) return true;
    return false;
}

static bool function_arguments(struct expander *x, const struct decl *d, struct function *f) {
    bool good = true;
    int capacity = 0;
    for (const struct param_expr *p = d->params; p; p = p->next) {
        struct type type;
        if (!evaluate_type(x, p->type, &type)) {
            scope_define(x, p->name, item_error(), p->loc);
            good = false;
            continue;
        }
        struct value *v = block_argument(x->graph, f->body, &type, p->name, p->loc);
        for (int i = 0; i < type.rank; i++) collect_dims(x, f, type.extents[i], &capacity);
        mark_value(x, v, &p->marks);
        mark_sharding(x, v, p->marks.sharding, "an argument");
        scope_define(x, p->name, item_value(v), p->loc);
    }
    return good;
}

/* What `fixed` speaks of: a dim, or a coordinate m.pipeline. */
static bool fixed_dim(struct expander *x, const struct arg *a, const struct dim **dim) {
    struct declared *d = a->name ? declared_find(x, a->name) : NULL;
    bool coordinate = a->name && strchr(a->name, '.');
    *dim = coordinate ? axis_coordinate(x, a->name, a->loc) : d ? d->dim : NULL;
    if (!coordinate && (!d || d->decl->kind != DECL_DIM))
        diag_error(x->diag, a->loc, "fixed(…) gives dims their extents: fixed(S=1)");
    return *dim;
}

/* fixed(S=1, T=128): a version made for those extents. */
static bool function_fixed(struct expander *x, const struct decl *d, struct function *f) {
    if (!d->fixed) return true;
    f->fixed = arena_new_array(x->graph->arena, int64_t, x->graph->dims_count + 1);
    for (int i = 0; i < x->graph->dims_count; i++) f->fixed[i] = -1;
    for (const struct arg *a = d->fixed; a; a = a->next) {
        const struct dim *dim;
        int64_t value;
        if (!fixed_dim(x, a, &dim) || !evaluate_int(x, a->value, "an extent", &value)) return false;
        if (value < dim->min || value > dim->max) {
            diag_error(x->diag, a->value->loc, "%lld is not among the extents of %s", (long long)value,
                       a->name);
            return false;
        }
        f->fixed[dim->id] = value;
    }
    return true;
}

/* Where the caller gets the results: said in the signature, since a value may have a place of its own. */
static void result_shardings(struct expander *x, const struct decl *d, struct function *f) {
    int i = 0;
    for (const struct type_expr *t = d->type; t && i < f->body->results_count; t = t->next, i++) {
        if (!t->sharding) continue;
        if (!f->result_shardings)
            f->result_shardings =
                arena_new_array(x->graph->arena, const struct sharding *, (size_t)f->body->results_count);
        evaluate_sharding(x, t->sharding, &f->body->results[i]->type, "a result", &f->result_shardings[i]);
    }
}

static void function_results(struct expander *x, const struct decl *d, struct function *f,
                             const struct frame *frame) {
    f->body->results = arena_new_array(x->graph->arena, struct value *, frame->results_count + 1);
    for (int i = 0; i < frame->results_count; i++) {
        struct value *v = item_as_value(x, &frame->results[i], DTYPE_ANY, frame->results_locs[i]);
        if (v) f->body->results[f->body->results_count++] = v;
    }
    if (f->body->results_count < frame->results_count && !x->diag->errors)
        ice("%s: a result failed without a message", d->name);
    result_shardings(x, d, f);
}

/* A function of the graph. */
static void expand_function(struct expander *x, struct decl *d) {
    struct scope scope;
    struct frame frame = {0};
    struct function *f = graph_function(x->graph, d->name, d->marks.loc.source ? d->marks.loc : d->loc);
    f->exported = d->exported;
    x->block = f->body;
    scope_push(x, &scope, SCOPE_FUNCTION);
    bool good = function_arguments(x, d, f) && function_fixed(x, d, f);
    x->function = f;
    if (good && expand_body(x, d, &frame)) function_results(x, d, f, &frame);
    x->function = NULL;
    scope_pop(x);
    x->block = NULL;
}

static bool concrete(struct expander *x, const struct decl *f) {
    return !has_index(f) && !unbound_name(x, f);
}

static void check_signature(struct expander *x, const struct decl *f) {
    struct table seen = {0};
    if (count_params(f) > MAX_PARAMS)
        diag_error(x->diag, f->loc, "a function has at most %d arguments", MAX_PARAMS);
    for (const struct param_expr *p = f->params; p; p = p->next) {
        const struct param_expr *before = table_find(&seen, p->name);
        if (before) {
            diag_error(x->diag, p->loc, "%s has two arguments named '%s'", f->name, p->name);
            diag_note(x->diag, before->loc, "the first is here");
        }
        table_set(x->arena, &seen, p->name, (void *)p);
    }
    if (!f->exported) return;
    const struct expr *name = unbound_name(x, f);
    if (name) {
        diag_error(x->diag, name->loc,
                   "'%s' is neither a constant nor a dim, as an exported function's extents must be",
                   name->text);
        if (table_find(&x->values, name->text)) return;
        diag_note(x->diag, name->loc, "declare it: dim %s in 1..4096", name->text);
    }
    if (has_index(f))
        diag_error(x->diag, f->loc, "%s is exported, so it has no argument of type index", f->name);
}

/* Marks the functions that others call, and the params and states that are assigned. */
static void mark_called_expr(struct expander *x, const struct expr *e) {
    if (!e) return;
    if (e->kind == EXPR_CALL && e->left->kind == EXPR_NAME) {
        struct decl *f = table_find(&x->functions, e->left->text);
        if (f) f->called = true;
    }
    mark_called_expr(x, e->left);
    mark_called_expr(x, e->right);
    for (const struct arg *a = e->args; a; a = a->next) {
        mark_called_expr(x, a->value);
        mark_called_expr(x, a->stop);
        mark_called_expr(x, a->step);
    }
}

/* A param or state that is not hidden by an argument of `f`. */
static void mark_assigned(struct expander *x, const struct decl *f, const struct assignee *t) {
    struct declared *d = t->name ? declared_find(x, t->name) : NULL;
    for (const struct param_expr *p = f->params; p && d; p = p->next)
        if (!strcmp(p->name, t->name)) return;
    if (d) d->decl->assigned = true;
}

static void mark_called(struct expander *x, const struct decl *f, const struct stmt *s) {
    for (; s; s = s->next) {
        mark_called_expr(x, s->value);
        for (const struct arg *a = s->values; a; a = a->next) mark_called_expr(x, a->value);
        for (const struct assignee *t = s->targets; t; t = t->next) mark_assigned(x, f, t);
        mark_called(x, f, s->body);
    }
}

/* Takes the last function out of the graph: it was expanded only to see that it is right. */
static void drop_last_function(struct graph *g) {
    struct function **last = &g->functions;
    while ((*last)->next) last = &(*last)->next;
    *last = NULL;
}

/* Exported functions, or, where there are none, those that nobody calls, become the graph's. The rest that
 * can be checked by itself is, for its errors. */
void expand_functions(struct expander *x) {
    bool any = false;
    if (x->functions.count > MAX_FUNCTIONS) {
        const struct decl *last = x->functions.entries[MAX_FUNCTIONS].data;
        diag_error(x->diag, last->loc, "there are more than %d functions", MAX_FUNCTIONS);
        return;
    }
    for (struct decl *d = x->tree->decls; d; d = d->next) {
        if (d->kind != DECL_FUNCTION) continue;
        check_signature(x, d);
        mark_called(x, d, d->body);
        any |= d->exported;
    }
    for (struct decl *d = x->tree->decls; d && !x->stopped; d = d->next) {
        if (d->kind != DECL_FUNCTION || (!d->fixed && table_find(&x->functions, d->name) != d)) continue;
        bool wanted = d->exported || (!d->called && concrete(x, d));
        if (!wanted || has_index(d) || unbound_name(x, d) || count_params(d) > MAX_PARAMS) continue;
        expand_function(x, d);
        if (any && !d->exported) drop_last_function(x->graph);
    }
}
