/* Statements: assignments, effects on params and states, calls, returns. */
#include "frontend/expand.h"
#include <string.h>

static bool in_kernel_block(const struct expander *x) {
    for (const struct block *b = x->block; b && b->owner; b = b->owner->parent)
        if (b->owner->op == OP_kernel) return true;
    return false;
}

/* Which tensor of a state or param is assigned. */
static bool assigned_element(struct expander *x, const struct assignee *t, struct element *el) {
    const struct global *g = el->global;
    if (t->subscripts_count != g->counts_rank) {
        if (g->counts_rank)
            diag_error(x->diag, t->loc, "%s is an array: assign one of its tensors, with %d ind%s", g->name,
                       g->counts_rank, g->counts_rank == 1 ? "ex" : "ices");
        else
            diag_error(x->diag, t->loc, "%s is assigned whole: write() and scatter() make the new value",
                       g->name);
        diag_note(x->diag, g->loc, "%s is declared here", g->name);
        return false;
    }
    for (const struct arg *a = t->subscripts; a; a = a->next)
        if (!element_index(x, el, a)) return false;
    return true;
}

/* k_cache[i] = value */
static void assign_global(struct expander *x, const struct assignee *t, struct global *g,
                          const struct item *item, struct loc loc) {
    struct element el = {.global = g};
    if (in_kernel_block(x)) {
        diag_error(x->diag, t->loc, "a kernel has no effects: %s is assigned outside it", g->name);
        return;
    }
    if (!assigned_element(x, t, &el)) return;
    struct value *v =
        value_of_type(x, item, &g->type, arena_printf(x->arena, "the value assigned to %s", g->name), loc);
    if (!v) return;
    struct value *operands[2] = {v, el.running};
    struct node *n = new_node(x, OP_assign, 2, operands, t->loc);
    n->global = g;
    n->element = el.number;
    if (place_node(x, n)) g->assigned = true;
}

static void bind_local(struct expander *x, const struct assignee *t, struct item item) {
    struct value *v = item.kind == ITEM_VALUE ? item.value : NULL;
    if (v && !v->name && t->name) {
        v->name = t->name;
        v->loc = x->at.source ? x->at : t->loc;
    }
    scope_assign(x, t->name, item, t->loc);
}

static bool find_type(struct expander *x, const struct assignee *t, struct item *item, struct loc loc) {
    struct type type;
    if (!t->type) return true;
    if (!evaluate_type(x, t->type, &type)) return false;
    *item = item_value(value_of_type(x, item, &type, t->name ? t->name : "the value", loc));
    return item->kind != ITEM_ERROR;
}

void bind_target(struct expander *x, const struct assignee *t, struct item item, struct loc loc) {
    if (!t->name) return;
    struct declared *d = scope_find(x, t->name) ? NULL : declared_find(x, t->name);
    if (!find_type(x, t, &item, loc)) item = item_error();
    if (d && d->global) {
        if (item.kind != ITEM_ERROR && !d->broken) assign_global(x, t, d->global, &item, loc);
    } else if (t->subscripts_count) {
        if (scope_find(x, t->name))
            diag_error(x->diag, t->loc,
                       "%s is a value and does not change; write() and scatter() make a new one", t->name);
        else
            report_unknown_name(x, t->name, t->loc);
    } else
        bind_local(x, t, item);
}

static int count_targets(const struct assignee *t) {
    int count = 0;
    for (; t; t = t->next) count++;
    return count;
}

static void expand_assignment(struct expander *x, struct stmt *s) {
    struct item results[MAX_RESULTS];
    int wanted = count_targets(s->targets), count = 1;
    bool alias =
        s->value->kind == EXPR_NAME; /* marks beside it belong to what the name will mean: see loop.c */
    if (wanted == 1)
        results[0] = evaluate(x, s->value);
    else if (s->value->kind == EXPR_CALL)
        count = evaluate_call(x, s->value, results);
    else if (s->value->kind != EXPR_ERROR) {
        diag_error(x->diag, s->value->loc, "%d names on the left need a call that gives %d results", wanted,
                   wanted);
        count = -1;
    }
    if (count >= 0 && count != wanted) {
        diag_error(x->diag, s->value->loc, "this call gives %d result%s, but %d name%s stand on the left",
                   count, count == 1 ? "" : "s", wanted, wanted == 1 ? "" : "s");
        count = -1;
    }
    int i = 0;
    for (const struct assignee *t = s->targets; t; t = t->next, i++) {
        struct item item = count < 0 ? item_error() : results[i];
        bind_target(x, t, item, s->value->loc);
        struct local *bound = t->name ? scope_find(x, t->name) : NULL;
        if (!bound) continue;
        bound->marks = alias ? &t->marks : NULL;
        if (!alias && bound->item.kind == ITEM_VALUE) mark_value(x, bound->item.value, &t->marks);
    }
}

/* Ops of the language that other parts will bring. */
static bool is_training(const char *name) {
    static const char *const names[] = {"grad", "state_like", "adamw"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) return true;
    return false;
}

int evaluate_call(struct expander *x, const struct expr *e, struct item *results) {
    const struct expr *callee = e->left;
    if (callee->kind == EXPR_CALL && callee->left->kind == EXPR_NAME) callee = callee->left;
    if (callee->kind != EXPR_NAME) {
        diag_error(x->diag, e->loc, "only a function's name can be called");
        return -1;
    }
    struct decl *f = table_find(&x->functions, callee->text);
    if (!f && is_training(callee->text)) {
        diag_error(x->diag, e->loc, "%s is not yet supported here", callee->text);
        return -1;
    }
    if (callee != e->left) {
        diag_error(x->diag, e->loc, "what %s gives cannot be called", callee->text);
        return -1;
    }
    if (f && in_kernel_block(x)) {
        diag_error(x->diag, e->loc, "a kernel holds only ops, not calls of functions");
        return -1;
    }
    if (f) return call_function(x, f, e, results);
    enum op op = op_find(callee->text);
    bool callable = op != OP_COUNT && !op_info(op)->infix;
    if (callable) return call_operation(x, op, e, results);
    report_unknown_function(x, callee->text, e->loc);
    return -1;
}

static void expand_call(struct expander *x, struct stmt *s) {
    struct item results[MAX_RESULTS];
    if (s->value->kind == EXPR_CALL) evaluate_call(x, s->value, results);
}

static void expand_return(struct expander *x, struct stmt *s) {
    struct frame *f = x->frame;
    f->returned = true;
    if (f->loops) {
        diag_error(x->diag, s->loc, "return stands at the end of a function, not inside a loop or kernel");
        f->failed = true;
        return;
    }
    f->results = arena_new_array(x->arena, struct item, MAX_RESULTS);
    f->results_locs = arena_new_array(x->arena, struct loc, MAX_RESULTS);
    if (s->values && !s->values->next && s->values->value->kind == EXPR_CALL && f->function->type &&
        f->function->type->next) {
        f->results_count = evaluate_call(x, s->values->value, f->results);
        if (f->results_count < 0) f->failed = true, f->results_count = 0;
        for (int i = 0; i < f->results_count; i++) f->results_locs[i] = s->values->value->loc;
        return;
    }
    for (const struct arg *a = s->values; a; a = a->next) {
        if (f->results_count == MAX_RESULTS) {
            diag_error(x->diag, a->loc, "a function has at most %d results", MAX_RESULTS);
            f->failed = true;
            return;
        }
        f->results_locs[f->results_count] = a->value->loc;
        f->results[f->results_count++] = evaluate(x, a->value);
    }
}

/* A statement that failed before makes nothing; its names stand for errors already reported. */
static void poison(struct expander *x, const struct stmt *s) {
    if (s->kind == STMT_RETURN) x->frame->returned = x->frame->failed = true;
    for (const struct assignee *t = s->targets; t; t = t->next) {
        struct declared *d = !t->name || scope_find(x, t->name) ? NULL : declared_find(x, t->name);
        if (t->name && !t->subscripts_count && !(d && d->global))
            scope_assign(x, t->name, item_error(), t->loc);
    }
}

static void expand_statement(struct expander *x, struct stmt *s) {
    static void (*const kinds[])(struct expander *, struct stmt *) = {
        [STMT_ASSIGN] = expand_assignment, [STMT_CALL] = expand_call, [STMT_RETURN] = expand_return,
        [STMT_FOR] = expand_for,           [STMT_SCAN] = expand_scan, [STMT_KERNEL] = expand_kernel};
    int errors = x->diag->errors;
    struct loc at = x->at;
    if (s->marks.loc.source) x->at = s->marks.loc;
    if (s->failed)
        poison(x, s);
    else
        kinds[s->kind](x, s);
    x->at = at;
    if (x->diag->errors == errors) return;
    report_calls(x);
    s->failed = s->kind != STMT_FOR;
    if (s->failed) poison(x, s);
}

void expand_statements(struct expander *x, struct stmt *s) {
    for (; s && !x->stopped; s = s->next) {
        if (x->frame->returned && !x->frame->failed) {
            diag_error(x->diag, s->loc, "nothing comes after return");
            x->frame->failed = true;
            return;
        }
        if (!enter(x, s->loc)) return;
        expand_statement(x, s);
        leave(x);
    }
}
