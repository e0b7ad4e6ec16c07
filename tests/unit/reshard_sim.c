/* Ranks in memory: placements by definition, steps by moving elements. */
#include "reshard_sim.h"
#include <string.h>

static int64_t cells_of(const struct sim_piece *p, int rank) {
    int64_t cells = 1;
    for (int d = 0; d < rank; d++) cells *= p->extents[d];
    return cells;
}

int64_t sim_cells(const struct sim *s) { return cells_of(&s->pieces[0], s->rank); }

/* A rank's coordinates; the last axis varies fastest. */
static void rank_to_coordinates(const struct mesh *m, int64_t rank, int64_t *coordinates) {
    for (int axis = m->axes_count - 1; axis >= 0; axis--) {
        coordinates[axis] = rank % m->axes[axis].size;
        rank /= m->axes[axis].size;
    }
}

static int64_t rank_at(const struct mesh *m, const int64_t *coordinates) {
    int64_t rank = 0;
    for (int axis = 0; axis < m->axes_count; axis++) rank = rank * m->axes[axis].size + coordinates[axis];
    return rank;
}

/* Member `member` of the group that `rank` is in; the first axis is the major one. */
static int64_t member_rank(const struct rank_group *over, int64_t rank, int64_t member) {
    int64_t coordinates[MAX_MESH_AXES];
    rank_to_coordinates(over->mesh, rank, coordinates);
    for (int i = over->count - 1; i >= 0; i--) {
        int64_t size = over->mesh->axes[over->axes[i]].size;
        coordinates[over->axes[i]] = member % size;
        member /= size;
    }
    return rank_at(over->mesh, coordinates);
}

static int64_t member_of(const struct rank_group *over, int64_t rank) {
    for (int64_t m = 0;; m++)
        if (member_rank(over, rank, m) == rank) return m;
}

/* The addends in what a rank holds: those whose coordinates are its own on the axes that still are partial.
 * Each rank at first made the addend of its own coordinates over `origin`. */
static uint32_t addends_of(const struct mesh *m, int64_t rank, uint32_t partial, uint32_t origin) {
    int64_t mine[MAX_MESH_AXES], other[MAX_MESH_AXES];
    uint32_t addends = 0;
    rank_to_coordinates(m, rank, mine);
    for (int64_t r = 0; r < mesh_ranks(m); r++) {
        bool in = true;
        int addend = 0;
        rank_to_coordinates(m, r, other);
        for (int axis = 0; axis < m->axes_count; axis++) {
            if (origin >> axis & 1) addend = addend * (int)m->axes[axis].size + (int)other[axis];
            in = in && (!(partial >> axis & 1) || mine[axis] == other[axis]);
        }
        if (in) addends |= 1u << addend;
    }
    return addends;
}

/* Advances an index by one; false behind the last. */
static bool next_index(const int64_t *extents, int rank, int64_t *index) {
    for (int d = rank - 1; d >= 0; d--) {
        if (++index[d] < extents[d]) return true;
        index[d] = 0;
    }
    return false;
}

static int64_t offset_of(const int64_t *extents, int rank, const int64_t *index) {
    int64_t offset = 0;
    for (int d = 0; d < rank; d++) offset = offset * extents[d] + index[d];
    return offset;
}

static struct sim_piece new_piece(struct arena *a, const int64_t *extents, int rank) {
    struct sim_piece p = {{0}, NULL};
    memcpy(p.extents, extents, (size_t)rank * sizeof *extents);
    p.cells = arena_new_array(a, struct sim_cell, (size_t)cells_of(&p, rank));
    return p;
}

static struct sim_piece place(struct arena *a, const struct reshard_tensor *x, const struct sharding *s,
                              int64_t r, uint32_t origin) {
    int64_t coordinates[MAX_MESH_AXES], begin[SHARDING_RANK], local[SHARDING_RANK],
        index[SHARDING_RANK] = {0};
    rank_to_coordinates(s->mesh, r, coordinates);
    for (int d = 0; d < x->rank; d++) {
        local[d] = x->extents[d];
        begin[d] = 0;
        for (int i = 0; i < s->dims[d].count; i++) { /* a piece of what the axes before have left */
            local[d] /= s->mesh->axes[s->dims[d].axes[i]].size;
            begin[d] += local[d] * coordinates[s->dims[d].axes[i]];
        }
    }
    struct sim_piece p = new_piece(a, local, x->rank);
    uint32_t addends = addends_of(s->mesh, r, s->partial, origin);
    do {
        int64_t whole[SHARDING_RANK];
        for (int d = 0; d < x->rank; d++) whole[d] = begin[d] + index[d];
        p.cells[offset_of(local, x->rank, index)] =
            (struct sim_cell){(int)offset_of(x->extents, x->rank, whole), addends};
    } while (next_index(local, x->rank, index));
    return p;
}

struct sim *sim_place(struct arena *a, const struct reshard_tensor *x, const struct sharding *s,
                      uint32_t origin) {
    struct sim *sim = arena_new_object(a, struct sim);
    *sim = (struct sim){.mesh = s->mesh, .rank = x->rank};
    for (int64_t r = 0; r < mesh_ranks(s->mesh); r++) sim->pieces[r] = place(a, x, s, r, origin);
    return sim;
}

bool sim_piece_equal(const struct sim_piece *p, const struct sim_piece *q, int rank) {
    return !memcmp(p->extents, q->extents, sizeof p->extents) &&
           !memcmp(p->cells, q->cells, (size_t)cells_of(p, rank) * sizeof *p->cells);
}

bool sim_equal(const struct sim *s, const struct sim *t) {
    for (int64_t r = 0; r < mesh_ranks(s->mesh); r++)
        if (!sim_piece_equal(&s->pieces[r], &t->pieces[r], s->rank)) return false;
    return true;
}

/* Fills `small` from the part of `big` that begins at `shift` along `dim`; or, `back`, that part from it. */
static void copy_cells(struct sim_piece *small, const struct sim_piece *big, int rank, int dim, int64_t shift,
                       bool back) {
    int64_t index[SHARDING_RANK] = {0};
    do {
        int64_t moved[SHARDING_RANK];
        memcpy(moved, index, sizeof moved);
        moved[dim] += shift;
        struct sim_cell *s = &small->cells[offset_of(small->extents, rank, index)];
        struct sim_cell *b = &big->cells[offset_of(big->extents, rank, moved)];
        if (back)
            *b = *s;
        else
            *s = *b;
    } while (next_index(small->extents, rank, index));
}

/* Block `number` of `count` along a dimension. False: not divisible. */
static bool block(struct arena *a, struct sim_piece *p, int rank, int dim, int64_t number, int64_t count) {
    if (p->extents[dim] % count) return false;
    struct sim_piece whole = *p;
    int64_t extents[SHARDING_RANK];
    memcpy(extents, p->extents, sizeof extents);
    extents[dim] /= count;
    *p = new_piece(a, extents, rank);
    copy_cells(p, &whole, rank, dim, number * extents[dim], false);
    return true;
}

static struct sim_piece concat(struct arena *a, struct sim_piece *parts, int64_t count, int rank, int dim) {
    int64_t extents[SHARDING_RANK];
    memcpy(extents, parts[0].extents, sizeof extents);
    extents[dim] *= count;
    struct sim_piece p = new_piece(a, extents, rank);
    for (int64_t i = 0; i < count; i++) copy_cells(&parts[i], &p, rank, dim, i * parts[i].extents[dim], true);
    return p;
}

static bool add(struct arena *a, const struct sim_piece *parts, int64_t count, int rank,
                struct sim_piece *sum) {
    *sum = new_piece(a, parts[0].extents, rank);
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = 0; c < cells_of(sum, rank); c++) {
            struct sim_cell *to = &sum->cells[c], from = parts[i].cells[c];
            if (i && (to->element != from.element || to->addends & from.addends)) return false;
            *to = (struct sim_cell){from.element, to->addends | from.addends};
        }
    return true;
}

static bool receive(const struct sim_piece *parts, int64_t count, const int32_t *to, int64_t me,
                    struct sim_piece *received) {
    int senders = 0;
    for (int64_t i = 0; i < count; i++)
        if (to[i] == me) *received = parts[i], senders++;
    return senders == 1;
}

/* What member `me` holds after the step, from what all members hold before. */
static bool result(struct arena *a, const struct reshard_step *step, struct sim_piece *parts, int64_t count,
                   int rank, int64_t me, struct sim_piece *p) {
    switch (step->kind) {
    case RESHARD_SLICE:
        *p = parts[me];
        return block(a, p, rank, step->to_dim, me, count);
    case RESHARD_ALL_GATHER:
        *p = concat(a, parts, count, rank, step->from_dim);
        return true;
    case RESHARD_ALL_REDUCE:
        return add(a, parts, count, rank, p);
    case RESHARD_REDUCE_SCATTER:
        return add(a, parts, count, rank, p) && block(a, p, rank, step->to_dim, me, count);
    case RESHARD_ALL_TO_ALL:
        for (int64_t i = 0; i < count; i++)
            if (!block(a, &parts[i], rank, step->to_dim, me, count)) return false;
        *p = concat(a, parts, count, rank, step->from_dim);
        return true;
    case RESHARD_PERMUTE:
        return receive(parts, count, step->to, me, p);
    }
    return false;
}

struct sim *sim_step(struct arena *a, const struct sim *s, const struct reshard_step *step) {
    struct sim *after = arena_new_object(a, struct sim);
    int64_t count = rank_group_members(&step->over);
    *after = (struct sim){.mesh = s->mesh, .rank = s->rank};
    for (int64_t r = 0; r < mesh_ranks(s->mesh); r++) {
        struct sim_piece parts[SIM_RANKS];
        for (int64_t m = 0; m < count; m++) parts[m] = s->pieces[member_rank(&step->over, r, m)];
        if (!result(a, step, parts, count, s->rank, member_of(&step->over, r), &after->pieces[r]))
            return NULL;
    }
    return after;
}

void sim_price(const struct sim *s, const struct reshard_step *step, int64_t *rounds, int64_t *sent) {
    int64_t n = rank_group_members(&step->over), piece = sim_cells(s) * mesh_ranks(s->mesh);
    *rounds = n - 1;
    *sent = piece / n * (n - 1);
    switch (step->kind) {
    case RESHARD_SLICE:
        *rounds = *sent = 0;
        break;
    case RESHARD_ALL_GATHER:
        *sent = piece * (n - 1);
        break;
    case RESHARD_ALL_REDUCE:
        *rounds *= 2, *sent *= 2;
        break;
    case RESHARD_PERMUTE:
        *rounds = 1, *sent = piece;
        break;
    case RESHARD_REDUCE_SCATTER:
    case RESHARD_ALL_TO_ALL:
        break;
    }
}
