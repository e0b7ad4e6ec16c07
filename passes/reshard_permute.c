/* Who sends to whom when whole pieces change places. */
#include "passes/reshard_moves.h"

static uint32_t axes_between(const struct dim_sharding *d, int begin, int end) {
    uint32_t axes = 0;
    for (int i = begin; i < end; i++) axes |= 1u << d->axes[i];
    return axes;
}

/* The axes of a dimension that are not at its beginning or end both before and after. */
static uint32_t changed_axes(const struct dim_sharding *before, const struct dim_sharding *after) {
    int shorter = before->count < after->count ? before->count : after->count;
    int front = 0, back = 0;
    while (front < shorter && before->axes[front] == after->axes[front]) front++;
    while (front + back < shorter &&
           before->axes[before->count - 1 - back] == after->axes[after->count - 1 - back])
        back++;
    return axes_between(before, front, before->count - back) |
           axes_between(after, front, after->count - back);
}

/* The place of a member on an axis of its group. */
static int64_t coordinate(const struct rank_group *group, int64_t member, int axis) {
    for (int i = group->count - 1; i >= 0; i--) {
        int64_t size = group->mesh->axes[group->axes[i]].size;
        if (group->axes[i] == axis) return member % size;
        member /= size;
    }
    return 0;
}

/* Which of the pieces that its group holds a member has: their number in row-major order. */
static int64_t piece_of(const struct rank_group *group, const struct sharding *s, int64_t member) {
    uint32_t axes = 0;
    int64_t piece = 0;
    for (int i = 0; i < group->count; i++) axes |= 1u << group->axes[i];
    for (int d = 0; d < s->rank; d++)
        for (int i = 0; i < s->dims[d].count; i++) {
            int axis = s->dims[d].axes[i];
            if (axes >> axis & 1)
                piece = piece * group->mesh->axes[axis].size + coordinate(group, member, axis);
        }
    return piece;
}

static void group_of_axes(struct rank_group *group, const struct mesh *mesh, uint32_t axes) {
    *group = (struct rank_group){.mesh = mesh};
    for (int axis = 0; axis < mesh->axes_count; axis++)
        if (axes >> axis & 1) group->axes[group->count++] = (uint8_t)axis;
}

/* The first member that still needs the piece. */
static int32_t receiver(const int64_t *needs, const bool *served, int64_t members, int64_t piece) {
    for (int64_t j = 0; j < members; j++)
        if (!served[j] && needs[j] == piece) return (int32_t)j;
    ice("a permute in which nobody needs piece %lld", (long long)piece);
}

/* As many members of the group have a piece before as after, so each finds its receiver. */
void reshard_permutation(struct arena *a, const struct sharding *before, struct reshard_step *step) {
    uint32_t axes = 0;
    for (int d = 0; d < before->rank; d++) axes |= changed_axes(&before->dims[d], &step->after.dims[d]);
    group_of_axes(&step->over, before->mesh, axes);
    int64_t members = rank_group_members(&step->over);
    int32_t *to = arena_new_array(a, int32_t, (size_t)members);
    int64_t *has = arena_new_array(a, int64_t, (size_t)members);
    int64_t *needs = arena_new_array(a, int64_t, (size_t)members);
    bool *served = arena_new_array(a, bool, (size_t)members);
    for (int64_t i = 0; i < members; i++) {
        has[i] = piece_of(&step->over, before, i);
        needs[i] = piece_of(&step->over, &step->after, i);
        served[i] = has[i] == needs[i];
    }
    for (int64_t i = 0; i < members; i++) {
        to[i] = has[i] == needs[i] ? (int32_t)i : receiver(needs, served, members, has[i]);
        served[to[i]] = true;
    }
    step->to = to;
}
