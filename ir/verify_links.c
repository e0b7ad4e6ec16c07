/* The verifier's first look: that the graph can be walked at all. Each node and value is met once, under an
 * id of its own, and points back to where it was met. */
#include "ir/verify_parts.h"

static bool claim(struct verify *v, bool *seen, int id, int limit, struct loc loc, const char *what) {
    if (id < 0 || id >= limit)
        return verify_error(v, loc, "%s %d has an id that was not given out", what, id);
    if (seen[id]) return verify_error(v, loc, "%s %d stands in two places", what, id);
    return seen[id] = true;
}

/* A list of values that `def` (NULL: a block, as arguments) defines. */
static bool check_defined(struct verify *v, struct value *const *values, int count, const struct node *def,
                          struct loc loc) {
    for (int i = 0; i < count; i++) {
        const struct value *value = values[i];
        if (!value) return verify_error(v, loc, "result or argument %d is missing", i);
        if (!claim(v, v->seen_values, value->id, v->g->values, loc, "value")) return false;
        if (value->def != def || value->index != i)
            return verify_error(v, loc, "%s does not point to where it is defined", verify_name(v, value));
    }
    return true;
}

static bool check_operands(struct verify *v, const struct node *n) {
    for (int i = 0; i < n->operands_count; i++) {
        int id = n->operands[i] ? n->operands[i]->id : 0;
        if (n->operands[i] && (id < 0 || id >= v->g->values))
            return verify_error(v, n->loc, "value %d has an id that was not given out", id);
    }
    return true;
}

static bool check_block(struct verify *v, const struct block *b, const struct node *owner, struct loc loc);

static bool check_node(struct verify *v, const struct block *b, const struct node *n,
                       const struct node *prev) {
    if ((int)n->op < 0 || n->op >= OP_COUNT) return verify_error(v, n->loc, "node %d has no op", n->id);
    if (!claim(v, v->seen_nodes, n->id, v->g->nodes, n->loc, "node")) return false;
    if (n->parent != b || n->prev != prev)
        return verify_error(v, n->loc, "node %d does not point to its block and neighbours", n->id);
    return check_operands(v, n) && check_defined(v, n->results, n->results_count, n, n->loc) &&
           (!n->body || check_block(v, n->body, n, n->loc));
}

static bool check_block(struct verify *v, const struct block *b, const struct node *owner, struct loc loc) {
    const struct node *prev = NULL;
    if (b->owner != owner) return verify_error(v, loc, "a block does not point to its owner");
    if (!check_defined(v, b->args, b->args_count, NULL, loc)) return false;
    for (const struct node *n = b->first; n; prev = n, n = n->next)
        if (!check_node(v, b, n, prev)) return false;
    if (b->last != prev) return verify_error(v, loc, "a block does not end at its last node");
    for (int i = 0; i < b->results_count; i++)
        if (!b->results[i] || b->results[i]->id < 0 || b->results[i]->id >= v->g->values)
            return verify_error(v, loc, "result %d of a block is missing", i);
    return true;
}

bool verify_links(struct verify *v) {
    bool fine = true;
    v->seen_nodes = arena_new_array(v->g->arena, bool, v->g->nodes);
    v->seen_values = arena_new_array(v->g->arena, bool, v->g->values);
    for (const struct function *f = v->g->functions; f; f = f->next)
        fine &= f->body ? check_block(v, f->body, NULL, f->loc)
                        : verify_error(v, f->loc, "function %s has no body", f->name);
    return fine;
}
