/* Shardings as written, and the values they are given to.
 *
 *     y : f32[S, F] @m(data, ?) = f(x)
 *
 * A value that a statement made takes the sharding itself. One that was there before has a place of its own,
 * so that it is moved: reshard(x) is a value beside it. */
#include "frontend/expand.h"
#include <string.h>

static int entries_rank(const struct sharding_expr *e) {
    int rank = 0;
    for (const struct sharding_entry *at = e->entries; at; at = at->next) rank += !at->partial;
    return rank;
}

static bool entry_axes(struct expander *x, const struct sharding_entry *e, struct sharding *s, int dim) {
    for (const struct arg *a = e->axes; a; a = a->next) {
        const char *problem = sharding_add(x->arena, s, dim, a->name);
        if (!problem) continue;
        diag_error(x->diag, a->loc, "%s", problem);
        return false;
    }
    return true;
}

static bool entry_priority(struct expander *x, const struct sharding_entry *e, struct dim_sharding *d) {
    d->priority = e->priority < 0 ? MAX_PRIORITY : (int)(e->priority % MAX_PRIORITY);
    if (e->priority < MAX_PRIORITY) return true;
    diag_error(x->diag, e->loc, "a priority is 0 to %d; the lowest goes first", MAX_PRIORITY - 1);
    return false;
}

static bool entry(struct expander *x, const struct sharding_entry *e, struct sharding *s, int dim,
                  const struct extent *extent) {
    s->dims[dim].open = e->open;
    if (!entry_axes(x, e, s, dim) || !entry_priority(x, e, &s->dims[dim])) return false;
    const char *problem = sharding_indivisible(x->arena, s, dim, extent);
    if (problem) diag_error(x->diag, e->loc, "%s", problem);
    return !problem;
}

static bool partial_entry(struct expander *x, const struct sharding_entry *e, struct sharding *s,
                          const char *whole) {
    if (whole) {
        diag_error(x->diag, e->loc, "%s is no partial sum: only what is computed may be one", whole);
        return false;
    }
    return entry_axes(x, e, s, -1);
}

static bool all_entries(struct expander *x, const struct sharding_expr *e, const struct type *type,
                        const char *whole, struct sharding *s) {
    const struct sharding_entry *partial = NULL;
    bool good = true;
    int dim = 0;
    for (const struct sharding_entry *at = e->entries; at; at = at->next) {
        if (at->partial)
            good &= partial_entry(x, at, s, whole);
        else if (partial) {
            diag_error(x->diag, at->loc, "the dimensions come before '… partial'");
            return false;
        } else
            good &= entry(x, at, s, dim, type->extents[dim]), dim++;
        if (at->partial) partial = at;
    }
    return good;
}

bool evaluate_sharding(struct expander *x, const struct sharding_expr *e, const struct type *type,
                       const char *whole, const struct sharding **sharding) {
    const struct mesh *m = mesh_find(x->graph, e->mesh);
    int rank = entries_rank(e);
    *sharding = NULL;
    if (!m) {
        diag_error(x->diag, e->loc, "%s", mesh_unknown(x->arena, x->graph, e->mesh));
        return false;
    }
    if (rank != type->rank) {
        diag_error(x->diag, e->loc,
                   "@%s(…) has %d entr%s, but %s has %d dimension%s: write _ for one that is whole", e->mesh,
                   rank, rank == 1 ? "y" : "ies", type_text(x->arena, type), type->rank,
                   type->rank == 1 ? "" : "s");
        return false;
    }
    struct sharding *s = arena_new_object(x->graph->arena, struct sharding);
    *s = (struct sharding){.mesh = m, .rank = rank, .local = e->local};
    if (!all_entries(x, e, type, whole, s)) return false;
    *sharding = s;
    return true;
}

void mark_sharding(struct expander *x, struct value *v, const struct sharding_expr *e, const char *whole) {
    const struct sharding *s;
    if (e && evaluate_sharding(x, e, &v->type, whole, &s)) v->sharding = s;
}

static bool is_written_alike(struct expander *x, const struct sharding *a, const struct sharding *b) {
    return a && !strcmp(sharding_text(x->arena, a), sharding_text(x->arena, b));
}

/* Whether `v` was made by a node from number `first` on, and is no param, which is where it is. */
static bool made_since(struct expander *x, const struct value *v, int first) {
    const struct node *n = v->def;
    if (!n || n->id < first) return false;
    return n->op != OP_param || n->global->kind == GLOBAL_STATE ||
           declared_find(x, n->global->name)->decl->assigned;
}

struct value *place_value(struct expander *x, struct value *v, const struct sharding_expr *e, int first,
                          struct loc loc) {
    const struct sharding *s;
    if (!evaluate_sharding(x, e, &v->type, NULL, &s)) return NULL;
    if (is_written_alike(x, v->sharding, s)) return v;
    if (!v->sharding && made_since(x, v, first)) {
        v->sharding = s;
        return v;
    }
    struct node *n = place_node(x, new_node(x, OP_reshard, 1, &v, loc));
    if (n) n->results[0]->sharding = s;
    return n ? n->results[0] : NULL;
}
