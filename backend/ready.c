/* Whether the passes have brought a graph to where code is made from it: everything that computes is in a
 * kernel, and every kernel's result has a buffer. A pipeline of the user's own may end before that. */
#include "backend/code.h"
#include "ir/collective.h"

static bool refuse(struct code *c, struct loc loc, const char *what, const char *pass) {
    emit_error(c->emitters[0], loc, "%s: run pass %s before code is made", what, pass);
    return false;
}

static bool has_places(struct code *c, const struct node *n) {
    for (int i = 0; i < n->results_count; i++)
        if (n->results[i]->place.space == SPACE_NONE)
            return refuse(c, n->loc,
                          arena_printf(c->arena, "%s %s has a result without a buffer", op_info(n->op)->name,
                                       n->name ? n->name : ""),
                          "memory");
    return true;
}

static bool block_ready(struct code *c, const struct block *b) {
    for (const struct node *n = b->first; n; n = n->next) {
        bool free_standing =
            n->op == OP_param || n->op == OP_constant || n->op == OP_assign || n->op == OP_guard;
        if (free_standing) continue;
        if (n->op != OP_kernel && n->op != OP_scan && !collective_of(n)) {
            const char *name = op_info(n->op)->name;
            return refuse(c, n->loc, arena_printf(c->arena, "%s stands outside of a kernel", name), "fuse");
        }
        if (n->op == OP_scan ? !block_ready(c, n->body) : !has_places(c, n)) return false;
    }
    return true;
}

bool graph_ready(struct code *c) {
    for (const struct function *f = c->graph->functions; f; f = f->next)
        if (f->exported && !block_ready(c, f->body)) return false;
    return true;
}
