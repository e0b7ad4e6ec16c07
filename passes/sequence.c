/* Runs the collectives of a function's roles against each other. */
#include "passes/sequence.h"
#include "ir/collective.h"
#include "passes/pass.h"
#include <string.h>

struct role {
    const struct function *f;
    int64_t at;              /* its coordinate */
    const struct node *next; /* the collective that it has come to; NULL: its end */
};
struct roles { /* of one function, for one choice of what else its versions fix */
    struct graph *g;
    int axis;
    const struct mesh *mesh;
    struct role *list;
    int count, capacity;
};

/* ---- Which versions are roles of one program ---- */

/* The axis of which the version fixes the coordinate, with the coordinate; -1: none. */
static int fixed_axis(const struct graph *g, const struct function *f, const struct mesh **mesh,
                      int64_t *at) {
    for (const struct mesh *m = g->meshes; m && f->fixed; m = m->next)
        for (int i = 0; i < m->axes_count; i++)
            if (f->fixed[m->axes[i].coordinate->id] >= 0) {
                *mesh = m;
                *at = f->fixed[m->axes[i].coordinate->id];
                return i;
            }
    return -1;
}

static bool same_but(const struct graph *g, const struct function *a, const struct function *b,
                     int coordinate) {
    if (strcmp(a->name, b->name) || !a->fixed != !b->fixed) return false;
    for (int i = 0; a->fixed && i < g->dims_count; i++)
        if (i != coordinate && a->fixed[i] != b->fixed[i]) return false;
    return true;
}

/* ---- Their collectives ---- */

/* Collectives in order; loops are looked into once, as all roles would go round as often. */
static const struct node *next_collective(const struct function *f, const struct node *n) {
    struct node *at = node_walk(f->body, (struct node *)n);
    while (at && !collective_of(at)) at = node_walk(f->body, at);
    return at;
}

static bool goes_over(struct graph *g, const struct node *n, const struct mesh *m, int axis) {
    struct rank_group over = collective_group(g, n);
    for (int i = 0; i < over.count; i++)
        if (over.mesh == m && over.axes[i] == axis) return true;
    return false;
}

static int64_t peer_of(const struct node *n) {
    return n->op == OP_send ? node_attr(n, "to")->i : node_attr(n, "from")->i;
}

static struct role *role_at(struct roles *r, int64_t at) {
    for (int i = 0; i < r->count; i++)
        if (r->list[i].at == at) return &r->list[i];
    return NULL;
}

static const struct type *moved(const struct node *n) {
    return n->op == OP_receive ? &n->results[0]->type : &n->operands[0]->type;
}

static bool agree(const struct node *a, const struct node *b) {
    if (a->op != b->op || strcmp(node_attr(a, "over")->s, node_attr(b, "over")->s)) return false;
    if (a->operands_count != b->operands_count) return false;
    for (int i = 0; i < a->operands_count; i++)
        if (!type_equal(&a->operands[i]->type, &b->operands[i]->type)) return false;
    return true;
}

/* ---- The run ---- */

static void advance(struct role *r) { r->next = next_collective(r->f, r->next); }

static bool meets(struct roles *r, struct role *sender) {
    struct role *receiver = role_at(r, peer_of(sender->next));
    if (!receiver || !receiver->next || receiver->next->op != OP_receive) return false;
    if (peer_of(receiver->next) != sender->at || !type_equal(moved(sender->next), moved(receiver->next)))
        return false;
    advance(receiver);
    advance(sender);
    return true;
}

static bool all_meet(struct roles *r) {
    for (int i = 0; i < r->count; i++)
        if (!r->list[i].next || !agree(r->list[0].next, r->list[i].next)) return false;
    for (int i = 0; i < r->count; i++) advance(&r->list[i]);
    return true;
}

static bool step(struct roles *r) {
    bool any = false;
    for (int i = 0; i < r->count; i++) {
        struct role *at = &r->list[i];
        while (at->next && !goes_over(r->g, at->next, r->mesh, r->axis)) advance(at), any = true;
        if (at->next && at->next->op == OP_send) any |= meets(r, at);
    }
    const struct node *first = r->list[0].next;
    return (first && first->op != OP_send && first->op != OP_receive && all_meet(r)) || any;
}

static void report(struct roles *r) {
    for (int i = 0, told = 0; i < r->count; i++) {
        const struct node *n = r->list[i].next;
        const char *axis = r->mesh->axes[r->axis].coordinate->name;
        if (!n) continue;
        if (!told++)
            diag_error(r->g->diag, n->loc,
                       "%s: ranks with %s = %lld come to %s here, and others never to what answers it",
                       r->list[i].f->name, axis, (long long)r->list[i].at, op_info(n->op)->name);
        else
            diag_note(r->g->diag, n->loc, "ranks with %s = %lld wait at %s", axis, (long long)r->list[i].at,
                      op_info(n->op)->name);
    }
}

static bool run(struct roles *r) {
    for (int i = 0; i < r->count; i++) r->list[i].next = next_collective(r->list[i].f, NULL);
    while (step(r)) continue;
    for (int i = 0; i < r->count; i++)
        if (r->list[i].next) return report(r), false;
    return true;
}

bool check_sequences(struct graph *g) {
    bool good = true;
    for (const struct function *f = g->functions; f; f = f->next) {
        struct roles r = {.g = g};
        int64_t at = 0;
        r.axis = fixed_axis(g, f, &r.mesh, &at);
        if (r.axis < 0 || at != 0) continue;
        int coordinate = r.mesh->axes[r.axis].coordinate->id;
        for (const struct function *o = g->functions; o; o = o->next) {
            if (!same_but(g, f, o, coordinate)) continue;
            struct role made = {.f = o, .at = o->fixed[coordinate]};
            arena_push(g->pass->scratch, r.list, r.count, r.capacity, made);
        }
        good &= run(&r);
    }
    return good;
}
