/* Kernels as dumps show them, and the marks beside values: what passes decided.
 *
 *     kernel k3 (x0, wq[0]) -> q0 : f32[S, 576] schedule(contract, …) {
 *         q0 : f32[S, 576] = linear(x0, wq[0])
 *     }
 *
 * The body sees only what the list names, spelled as in the list. */
#include "frontend/expand.h"
#include "ir/contraction.h"
#include "ir/schedule.h"
#include <string.h>

bool find_layout(struct expander *x, const struct marks *m, const struct layout **layout) {
    *layout = NULL;
    if (!m->layout) return true;
    *layout = layout_parse(x->graph->arena, m->layout);
    if (!*layout)
        diag_error(x->diag, m->layout_loc, "\"%s\" is not a layout: \"0/32 1/4 0:32 1:4\" is one", m->layout);
    return *layout != NULL;
}

static bool find_space(struct expander *x, const struct marks *m, struct place *place) {
    static const struct {
        const char *name;
        enum space space;
    } spaces[] = {{"arena", SPACE_ARENA}, {"state", SPACE_STATE}, {"result", SPACE_RESULT}};
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (!strcmp(spaces[i].name, m->space)) {
            place->space = spaces[i].space;
            place->offset = m->offset;
            return true;
        }
    diag_error(x->diag, m->space_loc, "a value is in arena(n), in state or in result(n), not in %s",
               m->space);
    return false;
}

void mark_value(struct expander *x, struct value *v, const struct marks *m) {
    if (m->store) diag_error(x->diag, m->store_loc, "only params and states are stored");
    if (m->from) diag_error(x->diag, m->from_loc, "only params come from a file");
    if (m->on)
        diag_error(x->diag, m->on->loc, "where a statement runs stands at its end: on %s(…)", m->on->name);
    if (m->layout) find_layout(x, m, &v->layout);
    if (m->space) find_space(x, m, &v->place);
    if (m->over >= MAX_NODES)
        diag_error(x->diag, m->over_loc, "over: there is no such operand");
    else if (m->over >= 0)
        v->place.in_place = (int)m->over + 1;
}

/* Operands of a kernel, evaluated around it. -1: reported. */
static int kernel_operands(struct expander *x, const struct stmt *s, struct value ***operands) {
    int count = 0;
    for (const struct arg *a = s->values; a; a = a->next) count++;
    *operands = arena_new_array(x->graph->arena, struct value *, count + 1);
    count = 0;
    for (const struct arg *a = s->values; a; a = a->next) {
        struct item i = evaluate(x, a->value);
        if (i.kind == ITEM_ERROR) return -1;
        (*operands)[count] = item_as_value(x, &i, DTYPE_ANY, a->value->loc);
        if (!(*operands)[count++]) return -1;
    }
    return count;
}

static bool kernel_schedule(struct expander *x, const struct stmt *s, struct node *n) {
    const char *error = NULL;
    if (!s->schedule) return true;
    n->schedule = schedule_parse(x->graph->arena, s->schedule, &error);
    if (!n->schedule) diag_error(x->diag, s->schedule_loc, "schedule: %s", error ? error : "malformed");
    return n->schedule != NULL;
}

/* What a schedule carries out must stand in the body. */
static bool scheduled_op(struct expander *x, const struct stmt *s, const struct node *n) {
    enum domain domain = n->schedule ? n->schedule->domain : DOMAIN_loops;
    if (domain != DOMAIN_contract && domain != DOMAIN_attention) return true;
    for (const struct node *c = n->body->first; c; c = c->next) {
        struct contraction product;
        if (domain == DOMAIN_attention ? op_info(c->op)->family == FAMILY_sdpa
                                       : contraction_of(x->arena, x->graph, c, &product))
            return true;
    }
    diag_error(x->diag, s->schedule_loc, "schedule: %s carries out %s, which kernel %s does not hold",
               domain_name(domain), domain == DOMAIN_attention ? "an sdpa" : "a product of two operands",
               n->name);
    return false;
}

/* What the body gives, by the names of the kernel's results. */
static bool kernel_results(struct expander *x, const struct stmt *s, struct node *n) {
    int count = 0;
    for (const struct assignee *t = s->targets; t; t = t->next) count++;
    n->body->results = arena_new_array(x->graph->arena, struct value *, count + 1);
    for (const struct assignee *t = s->targets; t; t = t->next) {
        struct type type;
        struct local *made = t->name && !t->subscripts_count ? scope_find(x, t->name) : NULL;
        if (!made) {
            diag_error(x->diag, t->loc, "the kernel's body does not make %s",
                       t->name ? t->name : "this result");
            return false;
        }
        if (!evaluate_type(x, t->type, &type)) return false;
        struct value *v = value_of_type(x, &made->item, &type, t->name, t->loc);
        if (!v) return false;
        n->body->results[n->body->results_count++] = v;
    }
    return true;
}

static bool kernel_body(struct expander *x, struct stmt *s, struct node *n) {
    struct scope scope;
    struct block *outer = x->block;
    struct loc at = x->at;
    int errors = x->diag->errors;
    scope_push(x, &scope, SCOPE_KERNEL);
    scope.list = s->values;
    scope.block = x->block = n->body;
    x->at = (struct loc){0}; /* the body's statements have places of their own */
    x->frame->loops++;
    expand_statements(x, s->body);
    x->frame->loops--;
    bool good = x->diag->errors == errors && kernel_results(x, s, n);
    x->at = at;
    scope_pop(x);
    x->block = outer;
    return good;
}

void expand_kernel(struct expander *x, struct stmt *s) {
    struct value **operands;
    int count = kernel_operands(x, s, &operands);
    if (count < 0) return;
    struct node *n = new_node(x, OP_kernel, count, operands, s->loc);
    n->name = s->name;
    n->body = block_new(x->graph, n);
    n->parent = x->block;
    for (int i = 0; i < count; i++)
        block_argument(x->graph, n->body, &operands[i]->type, operands[i]->name, operands[i]->loc);
    if (!kernel_schedule(x, s, n) || !kernel_body(x, s, n) || !scheduled_op(x, s, n) || !place_node(x, n))
        return;
    int i = 0;
    for (const struct assignee *t = s->targets; t; t = t->next, i++) {
        n->results[i]->name = t->name;
        mark_value(x, n->results[i], &t->marks);
        mark_sharding(x, n->results[i], t->marks.sharding, NULL);
        bind_target(x, t, item_value(n->results[i]), t->loc);
    }
}
