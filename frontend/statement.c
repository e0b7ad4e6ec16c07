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

static bool assigns(const struct stmt *s, const char *name) {
    for (; s; s = s->next) {
        for (const struct assignee *t = s->targets; t; t = t->next)
            if (t->name && !strcmp(t->name, name)) return true;
        if (s->kind != STMT_KERNEL && assigns(s->body, name)) return true;
    }
    return false;
}

/* Whether the loop below carries the name: what stands beside it is then of the loop's value, see loop.c. */
static bool is_carried_next(const struct stmt *s, const char *name) {
    do {
        if (s->kind != STMT_ASSIGN || (s->value->kind != EXPR_NAME && s->value->kind != EXPR_INDEX))
            return false;
        s = s->next;
    } while (s && s->kind != STMT_SCAN);
    return s && assigns(s->body, name);
}

/* The sharding of a target, beside its type or at the end of a statement that has only this one. */
static const struct sharding_expr *target_sharding(struct expander *x, const struct stmt *s,
                                                   const struct assignee *t) {
    const struct sharding_expr *beside = t->marks.sharding, *behind = s->marks.sharding;
    if (!behind) return beside;
    if (s->targets->next && t == s->targets)
        diag_error(x->diag, behind->loc,
                   "this statement has several results: write @%s(…) beside the type of each", behind->mesh);
    else if (beside && beside != behind && !s->targets->next)
        diag_error(x->diag, behind->loc, "this is given twice");
    return beside ? beside : behind;
}

static void refuse_sharding(struct expander *x, const struct sharding_expr *e) {
    if (e)
        diag_error(x->diag, e->loc,
                   "there is no new value here: a state or param has @%s(…) where it is declared", e->mesh);
}

static void place_target(struct expander *x, const struct stmt *s, struct assignee *t, struct local *bound,
                         int first) {
    const struct sharding_expr *e = target_sharding(x, s, t);
    if (!e) return;
    if (is_carried_next(s, t->name)) {
        t->marks.sharding = e;
        bound->marks = &t->marks;
        return;
    }
    struct value *v = place_value(x, bound->item.value, e, first, t->loc);
    bound->item = item_value(v);
    if (v && !v->name) v->name = t->name;
}

static void expand_assignment(struct expander *x, struct stmt *s) {
    struct item results[MAX_RESULTS];
    int wanted = count_targets(s->targets), count = 1, first = x->graph->nodes;
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
    for (struct assignee *t = s->targets; t; t = t->next, i++) {
        struct item item = count < 0 ? item_error() : results[i];
        bind_target(x, t, item, s->value->loc);
        struct local *bound = t->name ? scope_find(x, t->name) : NULL;
        if (!bound) {
            refuse_sharding(x, target_sharding(x, s, t));
            continue;
        }
        bound->marks = alias ? &t->marks : NULL;
        if (!alias && bound->item.kind == ITEM_VALUE) mark_value(x, bound->item.value, &t->marks);
        if (bound->item.kind == ITEM_VALUE) place_target(x, s, t, bound, first);
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

/* return y @m(data): as if y were rebound before. */
static void place_returned(struct expander *x, const struct stmt *s, int first) {
    struct frame *f = x->frame;
    const struct sharding_expr *e = s->marks.sharding;
    if (f->results_count != 1) {
        diag_error(x->diag, e->loc, "@%s(…) behind a return is for one value", e->mesh);
        return;
    }
    struct value *v = item_as_value(x, &f->results[0], DTYPE_ANY, e->loc);
    if (v) v = place_value(x, v, e, first, e->loc);
    f->results[0] = item_value(v);
    if (!v) f->failed = true;
}

/* Into the frame's lists, which have room. */
static void evaluate_returned(struct expander *x, struct stmt *s) {
    struct frame *f = x->frame;
    if (s->values && !s->values->next && s->values->value->kind == EXPR_CALL && f->function->type &&
        f->function->type->next) {
        f->results_count = evaluate_call(x, s->values->value, f->results);
        if (f->results_count < 0) f->failed = true, f->results_count = 0;
        for (int i = 0; i < f->results_count; i++) f->results_locs[i] = s->values->value->loc;
        return;
    }
    int first = x->graph->nodes;
    for (const struct arg *a = s->values; a; a = a->next) {
        if (f->results_count == MAX_RESULTS) {
            diag_error(x->diag, a->loc, "a function has at most %d results", MAX_RESULTS);
            f->failed = true;
            return;
        }
        f->results_locs[f->results_count] = a->value->loc;
        f->results[f->results_count++] = evaluate(x, a->value);
    }
    if (s->marks.sharding) place_returned(x, s, first);
}

static void expand_return(struct expander *x, struct stmt *s) {
    struct frame *f = x->frame;
    struct item results[MAX_RESULTS];
    struct loc locs[MAX_RESULTS];
    f->returned = true;
    if (f->loops) {
        diag_error(x->diag, s->loc, "return stands at the end of a function, not inside a loop or kernel");
        f->failed = true;
        return;
    }
    f->results = results;
    f->results_locs = locs;
    evaluate_returned(x, s);
    size_t count = (size_t)f->results_count; /* mostly one: calls are many */
    f->results = arena_new_array(x->arena, struct item, count);
    f->results_locs = arena_new_array(x->arena, struct loc, count);
    if (count) memcpy(f->results, results, count * sizeof *results);
    if (count) memcpy(f->results_locs, locs, count * sizeof *locs);
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
        [STMT_FOR] = expand_for,           [STMT_SCAN] = expand_scan, [STMT_STAGE] = expand_stage,
        [STMT_KERNEL] = expand_kernel};
    const struct placement *on = x->on;
    int errors = x->diag->errors;
    struct loc at = x->at;
    if (s->kind != STMT_ASSIGN && s->kind != STMT_RETURN) refuse_sharding(x, s->marks.sharding);
    if (s->marks.loc.source) x->at = s->marks.loc;
    if (s->marks.on && !s->failed) evaluate_placement(x, s->marks.on, &x->on);
    if (s->failed)
        poison(x, s);
    else
        kinds[s->kind](x, s);
    x->at = at;
    x->on = on;
    if (x->diag->errors == errors) return;
    report_calls(x);
    s->failed |= s->kind != STMT_FOR && s->kind != STMT_STAGE;
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
