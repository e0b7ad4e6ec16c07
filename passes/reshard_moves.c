/* One step from a sharding: where slices and collectives lead, and what they cost. */
#include "passes/reshard_moves.h"
#include <string.h>

struct walk {
    const struct reshard_space *space;
    const struct sharding *at;
    double piece; /* units of a rank's piece before the step */
    void (*visit)(void *data, const struct reshard_move *move);
    void *data;
};

/* Rounds are passes * (N - 1); each sends a whole piece or an N-th of one. */
static const struct kind {
    const char *name;
    int passes;
    bool whole_pieces;
} kinds[] = {
    [RESHARD_SLICE] = {"slice", 0, false},
    [RESHARD_ALL_GATHER] = {"all-gather", 1, true},
    [RESHARD_REDUCE_SCATTER] = {"reduce-scatter", 1, false},
    [RESHARD_ALL_REDUCE] = {"all-reduce", 2, false},
    [RESHARD_ALL_TO_ALL] = {"all-to-all", 1, false},
    [RESHARD_PERMUTE] = {"permute", 1, true},
};

const char *reshard_step_text(struct arena *a, const struct reshard_step *step) {
    const char *text = kinds[step->kind].name;
    if (step->from_dim >= 0) text = arena_printf(a, "%s of dimension %d", text, step->from_dim);
    if (step->to_dim >= 0)
        text = arena_printf(a, "%s %s %d", text, step->from_dim >= 0 ? "to" : "of dimension", step->to_dim);
    return arena_printf(a, "%s over %s: %.0f bytes", text, rank_group_text(a, &step->over), step->bytes);
}

bool reshard_divides(const struct reshard_tensor *x, const struct sharding *s, int dim) {
    return x->multiples[dim] % sharding_pieces(s, dim) == 0;
}

/* Whether the list is a beginning of the other. */
static bool begins(const struct dim_sharding *list, const struct dim_sharding *other) {
    return list->count <= other->count && !memcmp(list->axes, other->axes, (size_t)list->count);
}

static bool too_far(const struct reshard_space *space, const struct sharding *s) {
    for (int d = 0; space->narrow && d < s->rank; d++)
        if (!begins(&s->dims[d], &space->from.dims[d]) && !begins(&s->dims[d], &space->to.dims[d]))
            return true;
    return false;
}

static void offer(const struct walk *w, struct reshard_move *m) {
    if (too_far(w->space, &m->step.after)) return;
    const struct kind *kind = &kinds[m->step.kind];
    double members = (double)rank_group_members(&m->step.over);
    m->rounds = m->step.kind == RESHARD_PERMUTE ? 1 : kind->passes * (members - 1);
    m->units = m->rounds * w->piece / (kind->whole_pieces ? 1 : members);
    w->visit(w->data, m);
}

static struct reshard_move start(const struct walk *w, enum reshard_kind kind, int from_dim, int to_dim) {
    return (struct reshard_move){.step = {.kind = kind,
                                          .over = {.mesh = w->space->mesh},
                                          .from_dim = from_dim,
                                          .to_dim = to_dim,
                                          .after = *w->at}};
}

/* Makes `axis` the minor one of a dimension; false if that has no room for it. */
static bool put_axis(struct sharding *s, int dim, int axis) {
    struct dim_sharding *d = &s->dims[dim];
    if (d->count == MAX_DIM_AXES) return false;
    d->axes[d->count++] = (uint8_t)axis;
    return true;
}

static void join(struct rank_group *group, int axis) { group->axes[group->count++] = (uint8_t)axis; }

/* Offers the move with each sequence of axes of the pool behind those that to_dim has. A partial axis ceases
 * to be one. */
static void append(const struct walk *w, const struct reshard_move *m, uint32_t pool) {
    for (int axis = 0; axis < w->space->mesh->axes_count; axis++) {
        if (!(pool >> axis & 1)) continue;
        struct reshard_move next = *m;
        struct sharding *after = &next.step.after;
        if (!put_axis(after, m->step.to_dim, axis)) continue;
        if (!reshard_divides(w->space->tensor, after, m->step.to_dim)) continue;
        after->partial &= ~(1u << axis);
        join(&next.step.over, axis);
        offer(w, &next);
        append(w, &next, pool & ~(1u << axis));
    }
}

static void slices_and_reduce_scatters(const struct walk *w) {
    for (int d = 0; d < w->at->rank; d++) {
        struct reshard_move slice = start(w, RESHARD_SLICE, -1, d);
        append(w, &slice, w->space->movable & ~sharding_used(w->at));
        struct reshard_move scatter = start(w, RESHARD_REDUCE_SCATTER, -1, d);
        append(w, &scatter, w->at->partial);
    }
}

static void all_reduces(const struct walk *w) {
    uint32_t partial = w->at->partial;
    for (uint32_t axes = partial; axes; axes = (axes - 1) & partial) {
        struct reshard_move m = start(w, RESHARD_ALL_REDUCE, -1, -1);
        m.step.after.partial &= ~axes;
        for (int axis = 0; axis < w->space->mesh->axes_count; axis++)
            if (axes >> axis & 1) join(&m.step.over, axis);
        offer(w, &m);
    }
}

/* Takes the last `count` axes from the move's from_dim. */
static void take(const struct walk *w, struct reshard_move *m, int count) {
    const struct dim_sharding *had = &w->at->dims[m->step.from_dim];
    for (int i = had->count - count; i < had->count; i++) join(&m->step.over, had->axes[i]);
    m->step.after.dims[m->step.from_dim].count = had->count - count;
}

static void all_to_all(const struct walk *w, struct reshard_move m) {
    for (int i = 0; i < m.step.over.count; i++)
        if (!put_axis(&m.step.after, m.step.to_dim, m.step.over.axes[i])) return;
    if (reshard_divides(w->space->tensor, &m.step.after, m.step.to_dim)) offer(w, &m);
}

static void all_gathers_and_all_to_alls(const struct walk *w) {
    for (int d = 0; d < w->at->rank; d++)
        for (int count = 1; count <= w->at->dims[d].count; count++) {
            struct reshard_move gather = start(w, RESHARD_ALL_GATHER, d, -1);
            take(w, &gather, count);
            offer(w, &gather);
            for (int to = 0; to < w->at->rank; to++) {
                struct reshard_move exchange = start(w, RESHARD_ALL_TO_ALL, d, to);
                take(w, &exchange, count);
                if (to != d) all_to_all(w, exchange);
            }
        }
}

static void relabel(const struct walk *w, struct reshard_move *m, int dim, uint32_t pool);

/* Cuts `dim` further, into `pieces` of each piece there is, by axes of the pool; then those behind it. */
static void recut(const struct walk *w, const struct reshard_move *m, int dim, int64_t pieces,
                  uint32_t pool) {
    struct reshard_move next = *m;
    if (pieces == 1) relabel(w, &next, dim + 1, pool);
    for (int axis = 0; pieces > 1 && axis < w->space->mesh->axes_count; axis++) {
        int64_t size = w->space->mesh->axes[axis].size;
        next = *m;
        if (pool >> axis & 1 && pieces % size == 0 && put_axis(&next.step.after, dim, axis))
            recut(w, &next, dim, pieces / size, pool & ~(1u << axis));
    }
}

/* Cuts the dimensions from `dim` on by any axes of the pool, each into as many pieces as it is in. */
static void relabel(const struct walk *w, struct reshard_move *m, int dim, uint32_t pool) {
    if (dim == w->at->rank) {
        if (!sharding_equal(&m->step.after, w->at)) offer(w, m);
        return;
    }
    m->step.after.dims[dim].count = 0;
    recut(w, m, dim, sharding_pieces(w->at, dim), pool);
}

static void permutes(const struct walk *w) {
    if (w->space->narrow) return;
    struct reshard_move m = start(w, RESHARD_PERMUTE, -1, -1);
    relabel(w, &m, 0, w->space->movable & ~w->at->partial);
}

/* Bytes of a rank's piece * scale. */
static double piece_units(const struct reshard_space *space, const struct sharding *s) {
    double units = space->tensor->element_bytes * space->scale;
    for (int d = 0; d < s->rank; d++)
        units = units * (double)space->tensor->extents[d] / (double)sharding_pieces(s, d);
    return units;
}

void reshard_moves(const struct reshard_space *space, const struct sharding *at,
                   void (*visit)(void *data, const struct reshard_move *move), void *data) {
    struct walk w = {space, at, piece_units(space, at), visit, data};
    slices_and_reduce_scatters(&w);
    all_reduces(&w);
    all_gathers_and_all_to_alls(&w);
    permutes(&w);
}
