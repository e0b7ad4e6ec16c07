/* Where values of a function's level live: weights, states, the arena, the caller's arrays, loops' counters.
 */
#include "backend/code.h"
#include "backend/pack.h"
#include "ir/number.h"

int64_t home_bytes(const struct global *g) { return round_up(packed_bytes(g), MDL_ALIGN); }

void homes_place_states(struct code *c) {
    c->state_offsets = arena_new_array(c->arena, int64_t, c->graph->globals_count);
    for (const struct global *g = c->graph->globals; g; g = g->next) {
        if (g->kind != GLOBAL_STATE) continue;
        c->state_offsets[g->id] = c->state_bytes;
        c->state_bytes += home_bytes(g) * global_elements(g);
    }
}

/* Scans are numbered in the order of the text, outer before inner, as counters are. */
uint32_t home_loop(const struct function *f, const struct node *scan) {
    uint32_t number = 0;
    for (struct node *n = NULL; (n = node_walk(f->body, n));) {
        if (n == scan) return number;
        number += n->op == OP_scan;
    }
    ice("a loop is not in its function");
}

/* The scan whose variable v is, or NULL. */
static const struct node *scan_of_variable(const struct value *v, const struct function *f) {
    for (struct node *n = NULL; (n = node_walk(f->body, n));)
        if (n->op == OP_scan && n->body->args_count && n->body->args[0] == v) return n;
    return NULL;
}

/* A tensor of a global; one chosen by a loop's variable is a stride away for each iteration. */
static struct home home_global(struct code *c, const struct function *f, const struct global *g,
                               int64_t element, const struct value *index) {
    struct home h = {.global = g, .space = g->kind == GLOBAL_STATE ? MDL_STATE : MDL_WEIGHT};
    if (g->kind == GLOBAL_STATE)
        h.offset = c->state_offsets[g->id] + element * home_bytes(g);
    else
        h.offset = weight_of_global(c, g, element)->offset;
    if (!index) return h;
    const struct node *scan = scan_of_variable(index, f);
    if (!scan) {
        emit_error(c->emitters[0], index->loc,
                   "%s is indexed by a value that is not a loop's variable: not supported here", g->name);
        return h;
    }
    h.stride = home_bytes(g);
    h.loop = home_loop(f, scan);
    return h;
}

static struct home home_state_value(struct code *c, const struct function *f, const struct value *v) {
    for (struct node *n = NULL; (n = node_walk(f->body, n));)
        if (n->op == OP_assign && n->operands[0] == v)
            return home_global(c, f, n->global, n->element, n->operands_count > 1 ? n->operands[1] : NULL);
    ice("a value is placed in a state, but assigned to none");
}

static bool is_argument(const struct function *f, const struct value *v) {
    return !v->def && v->index < f->body->args_count && f->body->args[v->index] == v;
}

struct home home_of(struct code *c, const struct function *f, const struct value *v) {
    const struct node *n = v->def;
    if (n && n->op == OP_param)
        return home_global(c, f, n->global, n->element, n->operands_count ? n->operands[0] : NULL);
    if (n && n->op == OP_constant)
        return (struct home){.space = MDL_WEIGHT, .offset = weight_of_constant(c, n)->offset};
    if (n && n->op == OP_kernel && v->place.in_place)
        return home_of(c, f, n->operands[v->place.in_place - 1]);
    if (is_argument(f, v)) return (struct home){.space = MDL_INPUT, .index = (uint32_t)v->index};
    const struct node *scan = n ? NULL : scan_of_variable(v, f);
    if (scan) return (struct home){.space = MDL_COUNTER, .index = home_loop(f, scan)};
    switch (v->place.space) {
    case SPACE_ARENA:
        return (struct home){.space = MDL_ARENA, .offset = v->place.offset};
    case SPACE_RESULT:
        return (struct home){.space = MDL_RESULT, .index = (uint32_t)v->place.offset};
    case SPACE_STATE:
        return home_state_value(c, f, v);
    default:
        ice("value %d of function %s has no place", v->id, f->name);
    }
}
