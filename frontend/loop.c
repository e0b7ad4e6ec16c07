/* Loops: `for i in` is expanded here, `for t scan` stays a loop.
 *
 *     h = zero                         scan (h0 = zero, t) {         args: t, h; operands: what h is before
 *     for t scan 0..T {           =>       …
 *         h = h + x[t]                 } results: h as the body leaves it
 *     }
 */
#include "frontend/expand.h"
#include <string.h>

static bool for_bound(struct expander *x, const struct expr *e, int64_t *value) {
    struct item i = evaluate_constant(x, e, "a loop's bound");
    if (i.kind == ITEM_EXTENT) {
        diag_error(x->diag, e->loc,
                   "'for … in' is expanded at compile time, but %s is known only at run time; use 'scan'",
                   item_text(x, &i));
        return false;
    }
    return item_to_int(x, &i, "a loop's bound", e->loc, value);
}

void expand_for(struct expander *x, struct stmt *s) {
    int64_t from, to;
    bool good = for_bound(x, s->from, &from);
    if (!for_bound(x, s->to, &to) || !good) {
        s->failed = true; /* so that nothing is reported again in the next expansion */
        return;
    }
    x->frame->loops++;
    for (int64_t i = from; i < to && step(x, s->loc); i++) {
        struct scope scope;
        scope_push(x, &scope, SCOPE_BLOCK);
        scope_define(x, s->name, item_int(i), s->loc);
        expand_statements(x, s->body);
        scope_pop(x);
    }
    x->frame->loops--;
}

/* Names assigned in a body, in order of first assignment. */
static void collect_assigned(struct expander *x, const struct stmt *s, struct table *assigned) {
    for (; s; s = s->next) {
        for (const struct assignee *t = s->targets; t; t = t->next)
            if (t->name && !t->subscripts_count) table_set(x->arena, assigned, t->name, (void *)t);
        if (s->kind != STMT_KERNEL) collect_assigned(x, s->body, assigned);
    }
}

struct carried {
    const char *name;
    struct local *local;  /* outside */
    struct value *before; /* the loop */
};

/* What a scan carries: names bound outside and assigned inside, as values. -1: reported. */
static int find_carried(struct expander *x, const struct stmt *s, struct carried **list) {
    struct table assigned = {0};
    int count = 0;
    collect_assigned(x, s->body, &assigned);
    *list = arena_new_array(x->arena, struct carried, assigned.count + 1);
    for (int i = 0; i < assigned.count; i++) {
        struct carried c = {assigned.entries[i].name, scope_find(x, assigned.entries[i].name), NULL};
        if (!c.local || !strcmp(c.name, s->name)) continue;
        if (c.local->item.kind == ITEM_ERROR) return -1;
        c.before = item_as_value(x, &c.local->item, DTYPE_ANY, s->loc);
        if (!c.before) return -1;
        (*list)[count++] = c;
    }
    return count;
}

/* The number of iterations, and where they start. */
static bool scan_range(struct expander *x, const struct stmt *s, const struct extent **from,
                       const struct extent **count) {
    const struct extent *to;
    if (!evaluate_extent(x, s->from, "a loop's bound", from) ||
        !evaluate_extent(x, s->to, "a loop's bound", &to))
        return false;
    *count = extent_sub(x->graph->extents, to, *from);
    if (extent_min(*from) < INT32_MIN || extent_max(to) > INT32_MAX) {
        diag_error(x->diag, s->loc, "a loop's variable is an i32: %s..%s does not fit it",
                   extent_text(x->arena, *from), extent_text(x->arena, to));
        return false;
    }
    if (extent_nonnegative(x->graph->extents, *count)) return true;
    diag_error(x->diag, s->to->loc, "the loop may end (%s) before it starts (%s)", extent_text(x->arena, to),
               extent_text(x->arena, *from));
    return false;
}

/* The loop's variable: counts from 0 in the block, from `from` for the body. */
static struct item scan_variable_item(struct expander *x, struct value *t, const struct extent *from,
                                      struct loc loc) {
    int64_t zero;
    struct item operands[2] = {item_value(t), item_extent(from)};
    if (extent_is_const(from, &zero) && !zero) return operands[0];
    return operate(x, OP_add, 2, operands, loc);
}

static bool scan_results(struct expander *x, const struct stmt *s, struct node *n,
                         const struct carried *carried) {
    int count = n->operands_count;
    bool good = true;
    n->body->results = arena_new_array(x->graph->arena, struct value *, count + 1);
    n->body->results_count = count;
    for (int i = 0; i < count; i++) {
        struct local *inside = scope_find(x, carried[i].name);
        const char *what =
            arena_printf(x->arena, "%s is carried from step to step and keeps its type: it", carried[i].name);
        n->body->results[i] = value_of_type(x, &inside->item, &carried[i].before->type, what, s->loc);
        good &= n->body->results[i] != NULL;
    }
    return good;
}

/* Expands the body with the carried names bound to the block's arguments. */
static bool scan_body(struct expander *x, struct stmt *s, struct node *n, const struct carried *carried,
                      const struct extent *from) {
    struct scope scope;
    struct block *outer = x->block;
    const struct type counter = {.dtype = DTYPE_I32};
    int errors = x->diag->errors;
    x->block = n->body;
    scope_push(x, &scope, SCOPE_BLOCK);
    struct value *t = block_argument(x->graph, n->body, &counter, s->name, n->loc);
    for (int i = 0; i < n->operands_count; i++) {
        struct value *v = block_argument(x->graph, n->body, &carried[i].before->type, carried[i].name,
                                         carried[i].local->loc);
        scope_define(x, carried[i].name, item_value(v), carried[i].local->loc);
    }
    scope_define(x, s->name, scan_variable_item(x, t, from, s->loc), s->loc);
    x->frame->loops++;
    expand_statements(x, s->body);
    x->frame->loops--;
    bool good = x->diag->errors == errors && scan_results(x, s, n, carried);
    scope_pop(x);
    x->block = outer;
    return good;
}

void expand_scan(struct expander *x, struct stmt *s) {
    struct carried *carried;
    const struct extent *from, *count;
    if (!scan_range(x, s, &from, &count)) return;
    int carried_count = find_carried(x, s, &carried);
    if (carried_count < 0) return;
    struct value **before = arena_new_array(x->arena, struct value *, carried_count + 1);
    for (int i = 0; i < carried_count; i++) before[i] = carried[i].before;
    struct node *n = new_node(x, OP_scan, carried_count, before, s->loc);
    n->name = s->name;
    n->count = count;
    n->body = block_new(x->graph, n);
    n->parent = x->block; /* seen by what the body looks up, before the node has its place */
    bool good = scan_body(x, s, n, carried, from) && place_node(x, n);
    for (int i = 0; i < carried_count; i++) {
        struct local *l = carried[i].local;
        l->item = good ? item_value(n->results[i]) : item_error();
        if (!good) continue;
        n->results[i]->name = carried[i].name;
        if (!l->marks) continue;
        mark_value(x, n->results[i], l->marks);
        mark_sharding(x, n->results[i], l->marks->sharding, NULL);
        n->body->args[i + 1]->sharding = n->results[i]->sharding;
    }
}
