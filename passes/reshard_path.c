/* The cheapest way from one sharding to another: Dijkstra's search over shardings. On a mesh of four axes a
 * tensor of rank 3 has some 1,200 of them, one of rank 8 some 16,000, so nothing is pruned. */
#include "passes/reshard_path.h"
#include "passes/reshard_moves.h"
#include <string.h>

struct label { /* of the best way to a state that is known */
    double seconds, rounds, units;
    int steps;
    uint64_t key; /* the state */
    int state;
};
struct state {
    struct label label;
    struct reshard_step step; /* the last of that way */
    int before;               /* the state it comes from; -1: the first */
};
struct search {
    const struct reshard_space *space;
    struct arena *arena;
    struct state *states;
    int count, capacity;
    int *slots; /* [slots_count] number of a state + 1, where its key hashes to or behind; 0: free */
    int slots_count;
    struct label *heap; /* the least first; outdated labels stay in it */
    int heap_count, heap_capacity;
    int from; /* whose moves are being looked at */
};

/* Six bits an axis: 0 nowhere, 63 partial, else 1 + its place among all dimensions' axes. */
static uint64_t key_of(const struct sharding *s) {
    uint64_t key = 0;
    for (int axis = 0; axis < s->mesh->axes_count; axis++)
        if (s->partial >> axis & 1) key |= UINT64_C(63) << 6 * axis;
    for (int d = 0; d < s->rank; d++)
        for (int i = 0; i < s->dims[d].count; i++)
            key |= (uint64_t)(1 + d * MAX_DIM_AXES + i) << 6 * s->dims[d].axes[i];
    return key;
}

static bool cheaper(const struct label *a, const struct label *b) {
    if (a->seconds != b->seconds) return a->seconds < b->seconds;
    if (a->steps != b->steps) return a->steps < b->steps;
    return a->units < b->units;
}

static bool earlier(const struct label *a, const struct label *b) {
    if (cheaper(a, b) || cheaper(b, a)) return cheaper(a, b);
    return a->key < b->key;
}

static void swap_labels(struct label *a, struct label *b) {
    struct label was = *a;
    *a = *b;
    *b = was;
}

static void heap_push(struct search *s, struct label label) {
    arena_push(s->arena, s->heap, s->heap_count, s->heap_capacity, label);
    for (int i = s->heap_count - 1; i > 0 && earlier(&s->heap[i], &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap_labels(&s->heap[i], &s->heap[(i - 1) / 2]);
}

static struct label heap_pop(struct search *s) {
    struct label least = s->heap[0];
    s->heap[0] = s->heap[--s->heap_count];
    for (int i = 0, child; (child = 2 * i + 1) < s->heap_count; i = child) {
        if (child + 1 < s->heap_count && earlier(&s->heap[child + 1], &s->heap[child])) child++;
        if (!earlier(&s->heap[child], &s->heap[i])) break;
        swap_labels(&s->heap[child], &s->heap[i]);
    }
    return least;
}

/* The slot of a key: where it is, or where it would be. */
static int *slot_of(const struct search *s, uint64_t key) {
    uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15);
    size_t mask = (size_t)s->slots_count - 1, at = (size_t)(hash >> 32) & mask;
    while (s->slots[at] && s->states[s->slots[at] - 1].label.key != key) at = (at + 1) & mask;
    return &s->slots[at];
}

static void more_slots(struct search *s) {
    s->slots_count = s->slots_count ? 4 * s->slots_count : 256;
    s->slots = arena_new_array(s->arena, int, (size_t)s->slots_count);
    for (int i = 0; i < s->count; i++) *slot_of(s, s->states[i].label.key) = i + 1;
}

/* A way to a state, which is taken if it is new or better than the known one. */
static void reach(struct search *s, struct label label, const struct reshard_step *step) {
    if (2 * s->count >= s->slots_count) more_slots(s);
    int *slot = slot_of(s, label.key);
    bool is_new = !*slot;
    label.state = is_new ? s->count : *slot - 1;
    struct state state = {label, *step, s->from};
    if (is_new) {
        *slot = s->count + 1;
        arena_push(s->arena, s->states, s->count, s->capacity, state);
    } else if (cheaper(&label, &s->states[label.state].label)) {
        s->states[label.state] = state;
    } else {
        return;
    }
    heap_push(s, label);
}

static void reach_by(void *data, const struct reshard_move *move) {
    struct search *s = data;
    const struct reshard_space *space = s->space;
    struct label label = s->states[s->from].label;
    label.rounds += move->rounds;
    label.units += move->units;
    label.steps++;
    label.seconds = space->cost->alpha * label.rounds + space->cost->beta * (label.units / space->scale);
    label.key = key_of(&move->step.after);
    struct reshard_step step = move->step;
    step.bytes = move->units / space->scale;
    step.seconds = space->cost->alpha * move->rounds + space->cost->beta * step.bytes;
    reach(s, label, &step);
}

/* The number of the state space->to. */
static int search(struct search *s) {
    const struct reshard_space *space = s->space;
    uint64_t target = key_of(&space->to);
    s->from = -1;
    reach(s, (struct label){.key = key_of(&space->from)}, &(struct reshard_step){.after = space->from});
    while (s->heap_count) {
        struct label label = heap_pop(s);
        if (label.key == target) return label.state;
        if (cheaper(&s->states[label.state].label, &label)) continue;
        s->from = label.state;
        struct sharding at = s->states[label.state].step.after; /* states move when they become more */
        reshard_moves(space, &at, reach_by, s);
    }
    ice("no way from one sharding to another");
}

/* Whether `x` can be cut as `s` says. */
static bool can_be_cut(struct arena *a, const struct reshard_tensor *x, const struct sharding *s,
                       const char **why) {
    for (int d = 0; d < s->rank; d++)
        if (!reshard_divides(x, s, d))
            return *why = arena_printf(a, "dimension %d, a multiple of %lld, cannot be cut into %lld pieces",
                                       d, (long long)x->multiples[d], (long long)sharding_pieces(s, d)),
                   false;
    return true;
}

static bool can_be_reached(struct arena *a, const struct reshard_tensor *x, const struct sharding *from,
                           const struct sharding *to, const char **why) {
    if (from->mesh != to->mesh) return *why = "the two shardings are on different meshes", false;
    for (int axis = 0; axis < to->mesh->axes_count; axis++)
        if ((to->partial & ~from->partial) >> axis & 1 && to->mesh->axes[axis].size > 1)
            return *why = arena_printf(a, "what is no partial sum over %s.%s does not become one",
                                       to->mesh->name, to->mesh->axes[axis].name),
                   false;
    return can_be_cut(a, x, from, why) && can_be_cut(a, x, to, why);
}

static int count_axes(uint32_t axes) {
    int count = 0;
    for (; axes; axes &= axes - 1) count++;
    return count;
}

/* The axes that steps may use. More than RESHARD_AXES only where the shardings name them. */
static uint32_t movable_axes(const struct sharding *from, const struct sharding *to) {
    const struct mesh *mesh = from->mesh;
    uint32_t axes = 0, named = sharding_used(from) | sharding_used(to);
    for (int axis = 0; axis < mesh->axes_count; axis++)
        if (mesh->axes[axis].size > 1) axes |= 1u << axis;
    axes &= ~(from->partial & to->partial);
    for (int axis = mesh->axes_count - 1; axis >= 0 && count_axes(axes) > RESHARD_AXES; axis--)
        axes &= ~(1u << axis & ~named);
    return axes;
}

/* What a sharding says of these axes. */
static struct sharding restrict_to(const struct sharding *s, uint32_t axes) {
    struct sharding r = {.mesh = s->mesh, .rank = s->rank, .partial = s->partial & axes, .local = s->local};
    for (int d = 0; d < s->rank; d++) {
        r.dims[d].priority = MAX_PRIORITY;
        for (int i = 0; i < s->dims[d].count; i++)
            if (axes >> s->dims[d].axes[i] & 1) r.dims[d].axes[r.dims[d].count++] = s->dims[d].axes[i];
    }
    return r;
}

static double scale_of(const struct mesh *mesh, uint32_t axes) {
    double ranks = 1;
    for (int axis = 0; axis < mesh->axes_count; axis++)
        if (axes >> axis & 1) ranks *= (double)mesh->axes[axis].size;
    return ranks * ranks;
}

/* The steps that lead to a state, first to last; axes that stay partial are put back. */
static int trace(struct arena *a, const struct search *s, int state, uint32_t kept,
                 struct reshard_step **steps) {
    int count = s->states[state].label.steps;
    *steps = arena_new_array(a, struct reshard_step, (size_t)count);
    for (int i = count - 1; i >= 0; i--) {
        const struct state *at = &s->states[state];
        struct reshard_step *step = &(*steps)[i];
        *step = at->step;
        if (step->kind == RESHARD_PERMUTE) reshard_permutation(a, &s->states[at->before].step.after, step);
        step->after.partial |= kept;
        state = at->before;
    }
    return count;
}

static int find_path(struct arena *a, struct reshard_space *space, uint32_t kept,
                     struct reshard_step **steps) {
    struct search s = {.space = space, .arena = arena_new()};
    int state = search(&s);
    int count = trace(a, &s, state, kept, steps);
    arena_release(s.arena);
    return count;
}

int reshard_path(struct arena *a, const struct reshard_tensor *x, const struct sharding *from,
                 const struct sharding *to, const struct reshard_cost *cost, struct reshard_step **steps,
                 const char **why) {
    *steps = NULL;
    if (sharding_is_whole(from) && sharding_is_whole(to)) return 0;
    struct sharding whole = restrict_to(sharding_is_whole(from) ? to : from, 0);
    if (sharding_is_whole(from)) from = &whole;
    if (sharding_is_whole(to)) to = &whole;
    if (!can_be_reached(a, x, from, to, why)) return -1;
    uint32_t axes = movable_axes(from, to);
    struct reshard_space space = {.mesh = from->mesh,
                                  .tensor = x,
                                  .cost = cost,
                                  .movable = axes,
                                  .scale = scale_of(from->mesh, axes),
                                  .from = restrict_to(from, axes),
                                  .to = restrict_to(to, axes),
                                  .narrow = count_axes(axes) > RESHARD_AXES};
    int count = find_path(a, &space, from->partial & to->partial, steps);
    if (!count) return 0;
    (*steps)[count - 1].after = *to;
    (*steps)[count - 1].after.local = from->local;
    return count;
}
