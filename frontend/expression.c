/* Expressions: names, operators, lists; and the limits on how much is expanded. */
#include "frontend/expand.h"
#include <string.h>

bool step(struct expander *x, struct loc loc) {
    if (x->stopped) return false;
    bool large = x->graph->nodes - x->first_node > MAX_NODES;
    if (++x->steps <= MAX_STEPS && !large) return true;
    diag_error(x->diag, loc, "this expands to too much: more than %d %s", large ? MAX_NODES : MAX_STEPS,
               large ? "operations" : "statements and expressions");
    x->stopped = true;
    return false;
}

bool enter(struct expander *x, struct loc loc) {
    if (!step(x, loc)) return false;
    if (x->depth < MAX_DEPTH) return ++x->depth;
    diag_error(x->diag, loc, "loops, calls and expressions are nested too deeply here");
    x->stopped = true;
    return false;
}

void leave(struct expander *x) { x->depth--; }

/* The block argument that stands for `e` in the kernel around it, or NULL. */
static struct value *kernel_argument(const struct expander *x, const struct expr *e) {
    const struct scope *s = x->scope;
    while (s && s->kind == SCOPE_BLOCK) s = s->outer;
    if (!s || s->kind != SCOPE_KERNEL || (e->kind != EXPR_NAME && e->kind != EXPR_INDEX)) return NULL;
    int i = 0;
    for (const struct arg *a = s->list; a; a = a->next, i++)
        if (ast_same(a->value, e)) return i < s->block->args_count ? s->block->args[i] : NULL;
    return NULL;
}

static bool in_kernel(const struct expander *x) {
    const struct scope *s = x->scope;
    while (s && s->kind == SCOPE_BLOCK) s = s->outer;
    return s && s->kind == SCOPE_KERNEL;
}

static struct item global_item(struct expander *x, struct global *g, struct loc loc) {
    struct element element = {.global = g};
    if (in_kernel(x)) {
        diag_error(x->diag, loc, "%s is not among what this kernel takes", g->name);
        return item_error();
    }
    if (!g->counts_rank) return element_read(x, &element, loc);
    return (struct item){.kind = ITEM_GLOBAL, .element = element};
}

/* A param or state where constants are still being made. */
static struct item not_constant(struct expander *x, const struct decl *d, struct loc loc) {
    if (!x->block)
        diag_error(x->diag, loc, "%s must be known at compile time, but %s is a %s", x->constant_of, d->name,
                   d->kind == DECL_STATE ? "state" : "param");
    return item_error();
}

/* m.tensor: where a rank is on the axis. */
static struct item coordinate(struct expander *x, const struct expr *e) {
    const struct dim *d = axis_coordinate(x, e->text, e->loc);
    if (!d) return item_error();
    if (x->function) function_add_coordinate(x->graph, x->function, d);
    return item_extent(extent_dim(x->graph->extents, d));
}

/* Whether a call of the function gives the dims of `e`, as a dim or constant says; ranks know their places. */
static bool given_extent(struct expander *x, const struct extent *e, const struct declared *d,
                         struct loc loc) {
    for (int i = 0; i < e->count; i++)
        for (int j = 0; j < e->terms[i].count; j++) {
            const struct symbol *s = e->terms[i].symbols[j];
            if (!s->dim && !given_extent(x, s->numerator, d, loc)) return false;
            if (!s->dim || function_has_dim(x->function, s->dim)) continue;
            if (s->dim->axis) {
                function_add_coordinate(x->graph, x->function, s->dim);
                continue;
            }
            diag_error(x->diag, loc, "a call of %s does not give %s: it is no extent of an argument",
                       x->function->name, s->dim->name);
            diag_note(x->diag, d->decl->loc, "%s is declared here", d->decl->name);
            return false;
        }
    return true;
}

static struct item name(struct expander *x, const struct expr *e) {
    struct local *local = scope_find(x, e->text);
    if (local) {
        if (x->block || local->item.kind != ITEM_VALUE) return local->item;
        diag_error(x->diag, e->loc, "%s must be known at compile time, but %s is a value", x->constant_of,
                   e->text);
        if (local->loc.source) diag_note(x->diag, local->loc, "%s is bound here", e->text);
        return item_error();
    }
    struct declared *d = declared_find(x, e->text);
    if (strchr(e->text, '.')) return coordinate(x, e);
    if (!d) {
        report_unknown_name(x, e->text, e->loc);
        return item_error();
    }
    if (d->broken) return item_error();
    if (d->global && x->block) return global_item(x, d->global, e->loc);
    if (d->decl->kind == DECL_PARAM || d->decl->kind == DECL_STATE) return not_constant(x, d->decl, e->loc);
    struct item item = declared_item(x, d, e->loc);
    bool given = !x->function || item.kind != ITEM_EXTENT || given_extent(x, item.extent, d, e->loc);
    return given ? item : item_error();
}

/* Whether two elements of a list nest alike: by their first elements, as those of each do already. */
static bool same_rows(const struct item *a, const struct item *b) {
    for (; a->kind == ITEM_LIST && b->kind == ITEM_LIST; a = a->items, b = b->items) {
        if (a->count != b->count) return false;
        if (!a->count) return true;
    }
    return a->kind != ITEM_LIST && b->kind != ITEM_LIST;
}

static struct item list(struct expander *x, const struct expr *e) {
    struct item result = {.kind = ITEM_LIST, .items = arena_new_array(x->arena, struct item, e->count)};
    for (const struct arg *a = e->args; a; a = a->next) {
        struct item *i = &result.items[result.count++];
        *i = evaluate(x, a->value);
        if (i->kind == ITEM_ERROR) return item_error();
        if (i->kind != ITEM_LIST && !item_number(i)) {
            diag_error(x->diag, a->loc,
                       "a list as a value holds numbers, not %s; stack() and concat() join values",
                       item_text(x, i));
            return item_error();
        }
        if (same_rows(&result.items[0], i)) continue;
        diag_error(x->diag, a->loc, "the rows of a list differ in length or depth");
        return item_error();
    }
    return result;
}

/* The op written as an operator; `unary` tells -x from a - b. */
static enum op operator_op(const char *text, bool unary) {
    if (unary && !strcmp(text, "-")) return OP_neg;
    for (int op = 0; op < OP_COUNT; op++) {
        const char *infix = op_info((enum op)op)->infix;
        if (infix && !strcmp(infix, text)) return (enum op)op;
    }
    return OP_COUNT;
}

struct item operate(struct expander *x, enum op op, int count, const struct item *operands, struct loc loc) {
    struct value *values[3];
    struct loc locs[3] = {loc, loc, loc};
    if (!operands_as_values(x, op, count, operands, locs, values)) return item_error();
    struct node *n = place_node(x, new_node(x, op, count, values, loc));
    return item_value(n ? n->results[0] : NULL);
}

/* Without a block only constants can be made. */
static bool may_compute(struct expander *x, struct loc loc, const char *what) {
    if (x->block) return true;
    diag_error(x->diag, loc, "%s must be known at compile time: %s is not", x->constant_of, what);
    return false;
}

static struct item operation(struct expander *x, const struct expr *e, int count,
                             const struct item *operands) {
    enum op op = operator_op(e->text, count == 1);
    if (!may_compute(x, e->loc, arena_printf(x->arena, "'%s' of values", e->text))) return item_error();
    if (!strcmp(e->text, "+") && count == 1) return operands[0];
    if (op == OP_COUNT) {
        diag_error(x->diag, e->loc, "'%s' is for constants and dims; of values, write floor(a / b) or a cast",
                   e->text);
        return item_error();
    }
    return operate(x, op, count, operands, e->loc);
}

static struct item unary(struct expander *x, const struct expr *e) {
    bool smallest = e->left->kind == EXPR_INT && e->left->integer == INT64_MIN && *e->text == '-';
    if (smallest) return item_int(INT64_MIN);
    struct item a = evaluate(x, e->left), result;
    if (a.kind == ITEM_ERROR) return a;
    if (item_known(&a) && constant_unary(x, e->text, &a, e->loc, &result)) return result;
    return operation(x, e, 1, &a);
}

static struct item binary(struct expander *x, const struct expr *e) {
    struct item operands[2], result;
    operands[0] = evaluate(x, e->left); /* first, whatever compiler: it makes nodes */
    operands[1] = evaluate(x, e->right);
    if (operands[0].kind == ITEM_ERROR || operands[1].kind == ITEM_ERROR) return item_error();
    if (item_known(&operands[0]) && item_known(&operands[1]) &&
        constant_binary(x, e->text, &operands[0], &operands[1], e->loc, &result))
        return result;
    return operation(x, e, 2, operands);
}

/* sqrt, exp and log of constants are constants. */
static bool folds(const struct expander *x, const struct expr *e) {
    static const char *const names[] = {"sqrt", "exp", "log"};
    if (e->left->kind != EXPR_NAME || !e->args || e->args->next || e->args->name) return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(e->left->text, names[i])) return !table_find(&x->functions, names[i]);
    return false;
}

static struct item fold_call(struct expander *x, const struct expr *e) {
    struct item a = evaluate(x, e->args->value), result;
    if (a.kind == ITEM_ERROR) return a;
    if (constant_call(x, e->left->text, &a, e->loc, &result)) return result;
    if (!may_compute(x, e->loc, arena_printf(x->arena, "%s of %s", e->left->text, item_text(x, &a))))
        return item_error();
    return operate(x, op_find(e->left->text), 1, &a, e->loc);
}

/* A call where one result is meant. */
static struct item call(struct expander *x, const struct expr *e) {
    struct item results[MAX_RESULTS];
    if (folds(x, e)) return fold_call(x, e);
    if (!may_compute(x, e->loc, "a call")) return item_error();
    int count = evaluate_call(x, e, results);
    if (count < 0) return item_error();
    if (count == 1) return results[0];
    diag_error(x->diag, e->loc, "this call gives %d results where one is needed", count);
    return item_error();
}

static struct item by_kind(struct expander *x, const struct expr *e) {
    struct value *given = kernel_argument(x, e);
    if (given) return item_value(given);
    switch (e->kind) {
    case EXPR_INT:
        if (e->integer != INT64_MIN) return item_int(e->integer);
        diag_error(x->diag, e->loc, "this integer does not fit 64 bits");
        return item_error();
    case EXPR_FLOAT:
        return item_real(e->real);
    case EXPR_BOOL:
        return item_bool(e->integer);
    case EXPR_NAME:
        return name(x, e);
    case EXPR_LIST:
        return list(x, e);
    case EXPR_CALL:
        return call(x, e);
    case EXPR_INDEX:
        return subscript(x, e);
    case EXPR_UNARY:
        return unary(x, e);
    case EXPR_BINARY:
        return binary(x, e);
    case EXPR_STRING:
        diag_error(x->diag, e->loc, "a string is not a value");
        break;
    case EXPR_DTYPE:
        diag_error(x->diag, e->loc, "an element type is not a value; write cast(x, %s)", e->text);
        break;
    case EXPR_ERROR:
        break;
    }
    return item_error();
}

struct item evaluate(struct expander *x, const struct expr *e) {
    if (!enter(x, e->loc)) return item_error();
    struct item result = by_kind(x, e);
    leave(x);
    return result;
}

struct item evaluate_constant(struct expander *x, const struct expr *e, const char *what) {
    struct block *block = x->block;
    const char *before = x->constant_of;
    x->block = NULL;
    x->constant_of = what;
    struct item result = evaluate(x, e);
    x->block = block;
    x->constant_of = before;
    return result;
}

bool evaluate_extent(struct expander *x, const struct expr *e, const char *what,
                     const struct extent **extent) {
    struct item i = evaluate_constant(x, e, what);
    return item_to_extent(x, &i, what, e->loc, extent);
}

bool evaluate_int(struct expander *x, const struct expr *e, const char *what, int64_t *value) {
    struct item i = evaluate_constant(x, e, what);
    if (i.kind == ITEM_EXTENT) {
        diag_error(x->diag, e->loc, "%s must be an integer known at compile time, but %s depends on a dim",
                   what, item_text(x, &i));
        return false;
    }
    return item_to_int(x, &i, what, e->loc, value);
}
