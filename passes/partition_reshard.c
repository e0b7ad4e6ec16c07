/* A reshard, as what ranks do: slices of what they have, collectives, and views around them.
 *
 *     y : f32[S, 192] @m(_, tensor) = reshard(x : f32[S, 576])
 *         y = x[:, m.tensor*192 : m.tensor*192 + 192]
 *     y : f32[S, 576] = reshard(x : f32[S, 192] @m(_, tensor))
 *         t : f32[3, S, 192] = all_gather("m.tensor", x)
 *         y = reshape(transpose(t, [1, 0, 2]), [S, 576])
 *
 * Collectives have a leading axis for their members; transposes and reshapes around them cost nothing, as
 * kernels read through them. The way is the cheapest there is (reshard_path.h). */
#include "ir/number.h"
#include "passes/partition.h"
#include "passes/reshard_path.h"
#include "passes/shard.h"

struct route {
    struct partition *p;
    struct builder b;
    struct value *at; /* the value so far */
};

static const struct extent *number(const struct partition *p, int64_t n) {
    return extent_const(p->g->extents, n);
}

static const struct extent *times(const struct partition *p, const struct extent *e, int64_t n) {
    return extent_mul(p->g->extents, e, number(p, n));
}

static const struct extent *part(const struct partition *p, const struct extent *e, int64_t n) {
    const struct extent *q = extent_divide(p->g->extents, e, number(p, n));
    if (!q) ice("an extent is not divisible by its pieces");
    return q;
}

const struct extent *axes_index(struct partition *p, const uint8_t *axes, int count) {
    const struct extent *index = number(p, 0);
    for (int i = 0; i < count; i++) {
        const struct mesh_axis *a = &p->mesh->axes[axes[i]];
        index = extent_add(p->g->extents, times(p, index, a->size), extent_dim(p->g->extents, a->coordinate));
    }
    return index;
}

/* ---- Views ---- */

/* Dimension d of [.., N*e, ..] becomes the first: [N, .., e, ..]. */
static void parts_first(struct route *r, int d, int64_t members) {
    const struct type *t = &r->at->type;
    const struct extent *shape[MAX_RANK + 1];
    int64_t perm[MAX_RANK + 1];
    for (int i = 0, k = 0; i < t->rank; i++) {
        if (i == d) shape[k++] = number(r->p, members);
        shape[k++] = i == d ? part(r->p, t->extents[i], members) : t->extents[i];
    }
    for (int i = 0, k = 1; i <= t->rank; i++)
        if (i == d)
            perm[0] = i;
        else
            perm[k++] = i;
    r->at = build_transpose(&r->b, build_reshape(&r->b, r->at, t->rank + 1, shape), perm);
}

/* [N, .., e, ..] becomes [.., N*e, ..] at dimension d of the result. */
static void parts_joined(struct route *r, int d) {
    const struct type *t = &r->at->type;
    const struct extent *shape[MAX_RANK + 1];
    int64_t perm[MAX_RANK + 1], members = 1;
    extent_is_const(t->extents[0], &members);
    for (int i = 0; i < t->rank; i++) perm[i] = i < d ? i + 1 : i == d ? 0 : i;
    for (int i = 0; i + 1 < t->rank; i++)
        shape[i] = i == d ? times(r->p, t->extents[i + 1], members) : t->extents[i + 1];
    int rank = t->rank - 1;
    r->at = build_reshape(&r->b, build_transpose(&r->b, r->at, perm), rank, shape);
}

static void slice(struct route *r, const struct reshard_step *step) {
    struct partition *p = r->p;
    const struct type *t = &r->at->type;
    const struct extent *start[MAX_RANK], *extent[MAX_RANK];
    int64_t ones[MAX_RANK];
    for (int i = 0; i < t->rank; i++) {
        bool cut = i == step->to_dim;
        ones[i] = 1;
        extent[i] = cut ? part(p, t->extents[i], rank_group_members(&step->over)) : t->extents[i];
        start[i] =
            cut ? extent_mul(p->g->extents, axes_index(p, step->over.axes, step->over.count), extent[i])
                : number(p, 0);
    }
    r->at = build_slice(&r->b, r->at, start, extent, ones);
}

/* ---- Collectives ---- */

static struct node *collective(struct partition *p, enum op op, struct value *x,
                               const struct rank_group *over, struct loc loc) {
    struct node *n = node_new(p->g, op, 1, &x, loc);
    *node_attr(n, "over") = (struct attr){.set = true, .s = rank_group_text(p->g->arena, over)};
    return n;
}

static void exchange(struct route *r, enum op op, const struct reshard_step *step) {
    struct node *n = collective(r->p, op, r->at, &step->over, r->b.loc);
    if (op == OP_permute) {
        int count = (int)rank_group_members(&step->over);
        int64_t *to = arena_new_array(r->p->g->arena, int64_t, (size_t)count);
        for (int i = 0; i < count; i++) to[i] = step->to[i];
        *node_attr(n, "to") = attr_ints(r->p->g, count, to);
    }
    r->at = build_finish(&r->b, n);
}

static void take_step(struct route *r, const struct reshard_step *step) {
    int64_t members = rank_group_members(&step->over);
    switch (step->kind) {
    case RESHARD_SLICE:
        slice(r, step);
        break;
    case RESHARD_ALL_GATHER:
        exchange(r, OP_all_gather, step);
        parts_joined(r, step->from_dim);
        break;
    case RESHARD_REDUCE_SCATTER:
        parts_first(r, step->to_dim, members);
        exchange(r, OP_reduce_scatter, step);
        break;
    case RESHARD_ALL_REDUCE:
        exchange(r, OP_all_reduce, step);
        break;
    case RESHARD_ALL_TO_ALL:
        parts_first(r, step->to_dim, members);
        exchange(r, OP_all_to_all, step);
        parts_joined(r, step->from_dim);
        break;
    case RESHARD_PERMUTE:
        exchange(r, OP_permute, step);
        break;
    }
}

void combine_behind(struct partition *p, struct node *n, uint32_t axes, const char *reduce) {
    struct rank_group over = {.mesh = p->mesh};
    for (int i = 0; i < p->mesh->axes_count; i++)
        if (axes >> i & 1) over.axes[over.count++] = (uint8_t)i;
    struct node *c = collective(p, OP_all_reduce, n->results[0], &over, n->loc);
    *node_attr(c, "reduce") = (struct attr){.set = true, .s = reduce};
    c->operands[0] = node_put_behind(p->g, n, 0, c);
}

/* What the extents are multiples of, now that dims count units: a way through pieces that nobody has asked
 * for must not ask more of callers. */
static struct reshard_tensor known_tensor(struct partition *p, const struct type *t) {
    struct sharder costs = {.g = p->g, .a = p->g->pass->scratch, .mesh = p->mesh, .typical = p->typical};
    struct reshard_tensor x = shard_tensor(&costs, t);
    for (int d = 0; d < t->rank; d++) {
        int64_t multiple = 0;
        for (int i = 0; i < t->extents[d]->count; i++)
            multiple = greatest_common_divisor(multiple, t->extents[d]->terms[i].coefficient);
        x.multiples[d] = multiple > 0 ? multiple : 1;
    }
    return x;
}

struct value *partition_reshard(struct partition *p, struct node *n) {
    struct value *from = value_now(n->operands[0]);
    struct reshard_tensor x = known_tensor(p, &n->results[0]->type);
    struct reshard_step *steps;
    const char *why;
    struct route r = {p, {p->g, n, n->loc}, from};
    int count = reshard_path(p->g->pass->scratch, &x, from->sharding, n->results[0]->sharding, &shard_cost,
                             &steps, &why);
    if (count < 0) ice("a reshard without a way was let through: %s", why);
    for (int i = 0; i < count; i++) take_step(&r, &steps[i]);
    return r.at;
}
