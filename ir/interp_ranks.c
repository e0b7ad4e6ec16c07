/* A partitioned graph, interpreted: its inputs cut into pieces, a thread a rank, results joined.
 *
 *     x : f32[4, 6] @m(data, _)  ─►  [2, 6] to each rank  ─►  each its program  ─►  one whole result
 *
 * A result that several ranks have must be the same on all of them, to the bit. */
#include "ir/collective.h"
#include "ir/exchange.h"
#include "ir/piece.h"
#include <pthread.h>
#include <string.h>

/* ---- Roles ---- */

static bool fits(const struct function *v, const struct function *f, const struct interp *rank) {
    int64_t coordinates[MAX_MESH_AXES];
    mesh_coordinates(rank->mesh, rank->rank, coordinates);
    if (strcmp(v->name, f->name) != 0) return false;
    for (int i = 0; i < rank->graph->dims_count; i++) {
        int64_t fixed = v->fixed ? v->fixed[i] : -1;
        if (!rank->graph->dims[i]->axis && fixed != (f->fixed ? f->fixed[i] : -1)) return false;
    }
    for (int i = 0; v->fixed && i < rank->mesh->axes_count; i++) {
        int64_t fixed = v->fixed[rank->mesh->axes[i].coordinate->id];
        if (fixed >= 0 && fixed != coordinates[i]) return false;
    }
    return true;
}

/* The version of f that a rank runs: the first for its coordinates. */
static const struct function *role(const struct function *f, const struct interp *rank) {
    for (const struct function *v = rank->graph->functions; v; v = v->next)
        if (fits(v, f, rank)) return v;
    return NULL;
}

/* ---- Pieces ---- */

static bool same_element(const struct array *a, int64_t i, const struct array *b, int64_t j) {
    if (a->integers) return a->integers[i] == b->integers[j];
    return !memcmp(&a->floats[i], &b->floats[j], sizeof(double));
}

struct array *array_piece(struct arena *a, const struct array *x, const struct sharding *s, int64_t rank) {
    int64_t extents[MAX_RANK];
    for (int d = 0; d < x->rank; d++) {
        int64_t pieces = s ? sharding_pieces(s, d) : 1;
        if (x->extents[d] % pieces) return NULL;
        extents[d] = x->extents[d] / pieces;
    }
    struct piece p = piece_of(s, rank, x->rank, extents);
    struct array *made = array_new(a, x->dtype, x->rank, extents);
    for (int64_t i = 0; i < made->elements; i++) array_copy(made, i, x, piece_offset(&p, i), 1);
    return made;
}

/* Puts a rank's piece into the whole; false where another rank put something else. */
static bool join(struct arena *a, struct array **whole, bool **there, const struct array *x,
                 const struct sharding *s, int64_t rank) {
    struct piece p = piece_of(s, rank, x->rank, x->extents);
    if (!*whole) {
        *whole = array_new(a, x->dtype, x->rank, p.whole);
        *there = arena_new_array(a, bool, (size_t)(*whole)->elements);
    }
    for (int64_t i = 0; i < x->elements; i++) {
        int64_t at = piece_offset(&p, i);
        if ((*there)[at] && !same_element(x, i, *whole, at)) return false;
        array_copy(*whole, at, x, i, 1);
        (*there)[at] = true;
    }
    return true;
}

/* ---- A call ---- */

struct crew { /* one rank's part of a call */
    struct interp *interp;
    const struct function *f;
    struct eval eval;
    struct array **inputs, **results;
    bool good;
};

static void *work(void *data) {
    struct crew *c = data;
    struct exchange *x = c->interp->exchange;
    exchange_enter(x, c->interp->rank, &c->eval);
    c->good = interp_run(&c->eval, c->f, c->inputs, c->results);
    exchange_leave(x, c->interp->rank, c->good);
    return NULL;
}

static const struct sharding *result_sharding(const struct function *f, int k) {
    return f->result_shardings ? f->result_shardings[k] : NULL;
}

static bool prepare(struct interp *p, struct arena *a, struct crew *c, const struct function *f,
                    struct array *const *inputs, const char **error) {
    int args = f->body->args_count;
    c->f = role(f, c->interp);
    if (!c->f) {
        *error =
            arena_printf(p->arena, "%s: rank %lld has no version of it", f->name, (long long)c->interp->rank);
        return false;
    }
    c->inputs = arena_new_array(a, struct array *, (size_t)args + 1);
    c->results = arena_new_array(a, struct array *, (size_t)f->body->results_count + 1);
    for (int k = 0; k < args; k++) {
        const struct value *v = c->f->body->args[k];
        bool fit = inputs[k]->rank == v->type.rank;
        c->inputs[k] = fit ? array_piece(a, inputs[k], v->sharding, c->interp->rank) : inputs[k];
        if (c->inputs[k]) continue;
        *error = arena_printf(p->arena, "%s: %s does not come out in the equal pieces of %s", f->name,
                              v->name ? v->name : "argument", sharding_text(p->arena, v->sharding));
        return false;
    }
    return true;
}

/* What the rank that first went wrong says; those that waited for it say nothing. */
static const char *first_error(struct interp *p, const struct crew *crew) {
    for (int i = 0; i < p->ranks_count; i++)
        if (!crew[i].good && crew[i].eval.error)
            return arena_printf(p->arena, "rank %d: %s", i, crew[i].eval.error);
    return "a rank failed without saying why";
}

static bool join_results(struct interp *p, const struct crew *crew, const struct function *f,
                         struct array **results, const char **error) {
    for (int k = 0; k < f->body->results_count; k++) {
        bool *there = NULL;
        results[k] = NULL;
        for (int i = 0; i < p->ranks_count; i++) {
            if (join(p->arena, &results[k], &there, crew[i].results[k], result_sharding(crew[i].f, k), i))
                continue;
            *error = arena_printf(p->arena, "%s: rank %d has another result %d than a rank before it",
                                  f->name, i, k);
            return false;
        }
    }
    return true;
}

static void run_crew(struct interp *p, struct arena *a, struct crew *crew) {
    pthread_t *threads = arena_new_array(a, pthread_t, (size_t)p->ranks_count);
    struct exchange *x = exchange_new(a, p->ranks[0]->mesh);
    for (int i = 0; i < p->ranks_count; i++) p->ranks[i]->exchange = x;
    for (int i = 0; i < p->ranks_count; i++)
        if (pthread_create(&threads[i], NULL, work, &crew[i])) ice("no thread for a rank");
    for (int i = 0; i < p->ranks_count; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < p->ranks_count; i++) p->ranks[i]->exchange = NULL;
    exchange_free(x);
}

bool interp_call_ranks(struct interp *p, const struct function *f, struct array *const *inputs,
                struct array **results, const char **error) {
    struct arena *a = arena_new();
    struct crew *crew = arena_new_array(a, struct crew, (size_t)p->ranks_count);
    bool good = true;
    for (int i = 0; i < p->ranks_count && good; i++) {
        crew[i].interp = p->ranks[i];
        good = prepare(p, a, &crew[i], f, inputs, error);
    }
    if (!good) {
        arena_release(a);
        return false;
    }
    for (int i = 0; i < p->ranks_count; i++) crew[i].eval = interp_begin(p->ranks[i]);
    run_crew(p, a, crew);
    for (int i = 0; i < p->ranks_count; i++) good &= crew[i].good;
    if (!good) *error = first_error(p, crew);
    good = good && join_results(p, crew, f, results, error);
    for (int i = 0; i < p->ranks_count; i++) interp_end(&crew[i].eval, good);
    arena_release(a);
    return good;
}
