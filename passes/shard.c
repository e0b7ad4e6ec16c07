/* Where every value lives on the mesh.
 *
 *     h = linear(x, w_up)             w_up : @m(tensor, _)       h : @m(_, tensor)
 *     y = linear(h, w_down)     =>    y0 : @m(_, _, tensor partial) = linear(h, w_down)
 *                                     y : @m(_, _) = reshard(y0)
 *
 * Annotations are propagated in the order of their priorities; then each node is cut, and what does not fit
 * is moved by explicit `reshard` nodes. Types stay those of the whole: partition makes them local. Arguments
 * and results of functions are whole unless annotated, as a caller would not guess otherwise. */
#include "passes/shard.h"
#include <string.h>

struct sharding *shard_slot(struct sharder *s, const struct value *v) {
    if (v->def && v->def->op == OP_param) return &s->globals[v->def->global->id];
    return &s->wanted[v->id];
}

const struct factors *shard_factors(struct sharder *s, const struct node *n) {
    if (n->id >= s->nodes) return factors_of(s->a, s->g, n, s->mesh);
    if (!s->factors[n->id]) s->factors[n->id] = factors_of(s->a, s->g, n, s->mesh);
    return s->factors[n->id];
}

/* ---- Annotations ---- */

static struct sharding nothing_said(const struct mesh *m, int rank, bool open) {
    struct sharding s = {.mesh = m, .rank = rank};
    for (int d = 0; d < rank; d++) s.dims[d] = (struct dim_sharding){.open = open, .priority = MAX_PRIORITY};
    return s;
}

/* Where an annotation's priority has not come yet, its dimension is open and empty. Axes of one rank cut
 * nothing. */
static struct sharding in_force(const struct sharder *s, const struct sharding *given, int rank) {
    if (!given || given->mesh != s->mesh) return nothing_said(s->mesh, rank, true);
    struct sharding now = *given;
    for (int d = 0; d < rank; d++) {
        struct dim_sharding *dim = &now.dims[d];
        int count = 0;
        if (dim->priority > s->priority)
            *dim = (struct dim_sharding){.open = true, .priority = dim->priority};
        for (int i = 0; i < dim->count; i++)
            if (s->mesh->axes[dim->axes[i]].size > 1) dim->axes[count++] = dim->axes[i];
        dim->count = count;
    }
    for (int i = 0; i < s->mesh->axes_count; i++)
        if (s->mesh->axes[i].size == 1) now.partial &= ~(1u << i);
    return now;
}

/* Dimension d loses the axes that were found for it and that the annotation has elsewhere. */
static void give_way(struct sharding *slot, const struct sharding *now, int d) {
    struct dim_sharding *dim = &slot->dims[d];
    int own = now->dims[d].count;
    for (int i = own; i < dim->count; i++)
        if (sharding_used(now) >> dim->axes[i] & 1) dim->count = i;
}

/* An annotation that comes into force closes its dimension; what was found for it before gives way. */
static void apply(const struct sharder *s, struct sharding *slot, const struct sharding *given) {
    struct sharding now = in_force(s, given, slot->rank);
    if (!given) return;
    for (int d = 0; d < slot->rank; d++) {
        const struct dim_sharding *dim = &now.dims[d], *found = &slot->dims[d];
        bool goes_on =
            dim->open && dim->count <= found->count && !memcmp(dim->axes, found->axes, (size_t)dim->count);
        if (given->dims[d].priority == s->priority && !goes_on) slot->dims[d] = *dim;
    }
    for (int d = 0; d < slot->rank; d++) give_way(slot, &now, d);
    slot->partial = now.partial;
}

/* The annotation of result i of a function, for the value that it returns: what it does not cut stays open.
 * NULL: there is none, or the value has its own. */
static const struct sharding *returned(const struct sharder *s, const struct function *f, int i) {
    const struct value *v = f->body->results[i];
    const struct sharding *given = f->result_shardings ? f->result_shardings[i] : NULL;
    if (!given || !v->def || v->def->op == OP_param || v->sharding) return NULL;
    struct sharding *hint = arena_new_object(s->a, struct sharding);
    *hint = *given;
    for (int d = 0; d < hint->rank; d++) hint->dims[d].open |= !hint->dims[d].count;
    return hint;
}

static void each_annotation(struct sharder *s,
                            void (*see)(struct sharder *, struct sharding *, const struct sharding *)) {
    for (const struct global *w = s->g->globals; w; w = w->next) see(s, &s->globals[w->id], w->sharding);
    for (struct function *f = s->g->functions; f; f = f->next) {
        for (int i = 0; i < f->body->args_count; i++)
            see(s, &s->wanted[f->body->args[i]->id], f->body->args[i]->sharding);
        for (struct node *n = NULL; (n = node_walk(f->body, n));) {
            for (int i = 0; i < n->results_count; i++)
                if (n->op != OP_param) see(s, &s->wanted[n->results[i]->id], n->results[i]->sharding);
            for (int i = 0; n->op == OP_scan && i < n->body->args_count; i++)
                see(s, &s->wanted[n->body->args[i]->id], n->body->args[i]->sharding);
        }
        for (int i = 0; i < f->body->results_count; i++)
            see(s, &s->wanted[f->body->results[i]->id], returned(s, f, i));
    }
}

static void apply_one(struct sharder *s, struct sharding *slot, const struct sharding *given) {
    apply(s, slot, given);
}

static void find_priority(struct sharder *s, struct sharding *slot, const struct sharding *given) {
    for (int d = 0; given && d < slot->rank; d++) {
        int p = given->dims[d].priority;
        if (p > s->priority && p < s->next_priority) s->next_priority = p;
    }
}

static void start_slots(struct sharder *s) {
    for (const struct global *w = s->g->globals; w; w = w->next)
        s->globals[w->id] = nothing_said(s->mesh, w->type.rank, true);
    for (struct function *f = s->g->functions; f; f = f->next) {
        for (int i = 0; i < f->body->args_count; i++) {
            const struct value *v = f->body->args[i];
            s->wanted[v->id] = nothing_said(s->mesh, v->type.rank, v->sharding != NULL);
            s->asked[v->id] = v->sharding != NULL;
        }
        for (struct node *n = NULL; (n = node_walk(f->body, n));) {
            for (int i = 0; i < n->results_count; i++) {
                const struct value *v = n->results[i];
                s->wanted[v->id] = nothing_said(s->mesh, v->type.rank, true);
                s->asked[v->id] = v->sharding != NULL;
            }
            for (int i = 0; n->op == OP_scan && i < n->body->args_count; i++)
                s->wanted[n->body->args[i]->id] = nothing_said(s->mesh, n->body->args[i]->type.rank, true);
        }
    }
}

/* ---- The pass ---- */

struct sharding shard_result(const struct sharder *s, const struct function *f, int i) {
    int rank = f->body->results[i]->type.rank;
    const struct sharding *given = f->result_shardings ? f->result_shardings[i] : NULL;
    struct sharding to = given ? in_force(s, given, rank) : nothing_said(s->mesh, rank, false);
    to.partial = 0;
    return to;
}

static void explain_values(struct sharder *s, const bool *annotated) {
    for (const struct global *w = s->g->globals; w; w = w->next)
        pass_explain(s->g, w->loc, "%s lives at %s: %s", w->name, sharding_text(s->a, w->sharding),
                     s->global_why[w->id] ? s->global_why[w->id]
                     : annotated[w->id]   ? "as annotated"
                                          : "nothing asked for more");
    for (struct function *f = s->g->functions; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));)
            for (int i = 0; i < n->results_count && n->id < s->nodes; i++) {
                const struct value *v = n->results[i];
                if (n->op == OP_param || v->id >= s->values) continue;
                pass_explain(s->g, n->loc, "%s lives at %s: %s", value_label(s, v),
                             sharding_text(s->a, v->sharding),
                             s->asked[v->id] ? "as annotated"
                             : s->why[v->id] ? s->why[v->id]
                                             : "nothing asked for more");
            }
}

static bool is_partitioned(const struct graph *g) {
    for (const struct global *w = g->globals; w; w = w->next)
        if (w->sharding && w->sharding->local) return true;
    for (const struct function *f = g->functions; f; f = f->next)
        for (int i = 0; i < f->body->args_count; i++)
            if (f->body->args[i]->sharding && f->body->args[i]->sharding->local) return true;
    return false;
}

/* With one rank there is nothing to say. */
static bool forget(struct graph *g) {
    bool changed = false;
    for (struct global *w = g->globals; w; w = w->next) changed |= w->sharding != NULL, w->sharding = NULL;
    for (struct function *f = g->functions; f; f = f->next) {
        f->result_shardings = NULL;
        for (int i = 0; i < f->body->args_count; i++) f->body->args[i]->sharding = NULL;
        for (struct node *n = node_walk(f->body, NULL), *next; n; n = next) {
            next = node_walk(f->body, n);
            n->on = NULL;
            for (int i = 0; i < n->results_count; i++) n->results[i]->sharding = NULL;
            if (n->op != OP_reshard) continue;
            value_replace(n->results[0], n->operands[0]);
            node_remove(n);
            changed = true;
        }
    }
    return changed;
}

bool pass_shard(struct graph *g) {
    const struct mesh *m;
    struct arena *a = g->pass->scratch;
    if (is_partitioned(g) || !shard_find_mesh(g, &m)) return false;
    if (!m) return forget(g);
    if (!deny_is_valid(g)) return false;
    struct sharder s = {.g = g,
                        .a = a,
                        .mesh = m,
                        .values = g->values,
                        .nodes = g->nodes,
                        .priority = -1,
                        .typical = pass_option(g, "typical")};
    s.wanted = arena_new_array(a, struct sharding, (size_t)g->values + 1);
    s.globals = arena_new_array(a, struct sharding, (size_t)g->globals_count + 1);
    s.asked = arena_new_array(a, bool, (size_t)g->values + 1);
    s.why = arena_new_array(a, const char *, (size_t)g->values + 1);
    s.global_why = arena_new_array(a, const char *, (size_t)g->globals_count + 1);
    s.factors = arena_new_array(a, const struct factors *, (size_t)g->nodes + 1);
    start_slots(&s);
    for (;;) {
        s.next_priority = MAX_PRIORITY + 1;
        each_annotation(&s, find_priority);
        if (s.next_priority > MAX_PRIORITY) break;
        s.priority = s.next_priority;
        each_annotation(&s, apply_one);
        shard_propagate(&s);
    }
    shard_regroup_sums(&s);
    for (struct function *f = g->functions; f; f = f->next) shard_execute(&s, f);
    bool *annotated = arena_new_array(a, bool, (size_t)g->globals_count + 1);
    for (struct global *w = g->globals; w; w = w->next) {
        annotated[w->id] = w->sharding != NULL;
        struct sharding *kept = arena_new_object(g->arena, struct sharding);
        *kept = s.globals[w->id];
        for (int d = 0; d < kept->rank; d++)
            kept->dims[d].open = false, kept->dims[d].priority = MAX_PRIORITY;
        w->sharding = kept;
    }
    explain_values(&s, annotated);
    return true;
}
