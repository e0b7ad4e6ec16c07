/* From annotations to all values, forwards and backwards, to a fixed point (GSPMD, arXiv 2105.04663,
 * section 3.5; Shardy's basic strategy).
 *
 *     w_up : f32[F, D] @m(tensor, _)
 *     h = linear(x, w_up)          n is cut by tensor, so h : @m(_, tensor)
 *     y = linear(h, w_down)        k is cut by tensor, so w_down : @m(_, tensor)
 *
 * A node's loops take the longest list of axes that all who have an opinion agree on; whoever walks the loop
 * and is open takes it over. Elementwise ops and views come first, as they move nothing. */
#include "passes/shard.h"
#include <string.h>

static bool uses_axis(const struct sharding *s, int axis) { return sharding_used(s) >> axis & 1; }

/* ---- Loops ---- */

/* The longest list where one continues the other; what both begin with where they part. */
static void agree(struct axis_list *with, const struct axis_list *list) {
    if (axes_prefix(with, list)) {
        *with = *list;
        return;
    }
    int same = 0;
    while (same < list->count && with->axes[same] == list->axes[same]) same++;
    if (same < list->count) with->count = same;
}

static void vote(struct sharder *s, const struct factors *f, const struct access_map *access,
                 const struct value *v, struct cut *cut) {
    struct cut mine = {0};
    factors_project(f, access, shard_slot(s, v), &mine);
    for (int i = 0; i < f->map->loops_count; i++)
        if (mine.loops[i].count && cut->loops[i].count)
            agree(&cut->loops[i], &mine.loops[i]);
        else if (mine.loops[i].count)
            cut->loops[i] = mine.loops[i];
}

/* An axis lies on one loop: the first that has it. */
static void once(const struct factors *f, struct cut *cut) {
    uint32_t used = 0;
    for (int i = 0; i < f->map->loops_count; i++)
        for (int k = 0; k < cut->loops[i].count; k++) {
            if (used >> cut->loops[i].axes[k] & 1) cut->loops[i].count = k;
            if (k < cut->loops[i].count) used |= 1u << cut->loops[i].axes[k];
        }
}

/* ---- Values ---- */

static void note_why(struct sharder *s, const struct value *v, const struct node *n) {
    const char *text = n->loc.source ? arena_printf(s->a, "through %s at %s:%d:%d", op_info(n->op)->name,
                                                    n->loc.source->path, n->loc.line, n->loc.column)
                                     : arena_printf(s->a, "through %s", op_info(n->op)->name);
    if (v->def && v->def->op == OP_param)
        s->global_why[v->def->global->id] = text;
    else
        s->why[v->id] = text;
}

/* Takes over a longer list for one dimension, if it is open and the axes are free. */
static bool extend(const struct sharder *s, struct sharding *have, const struct type *type, int d,
                   const struct dim_sharding *list) {
    struct dim_sharding *dim = &have->dims[d];
    if (!dim->open || list->count <= dim->count || memcmp(list->axes, dim->axes, (size_t)dim->count))
        return false;
    int64_t pieces = 1;
    for (int i = 0; i < list->count; i++) {
        pieces *= s->mesh->axes[list->axes[i]].size;
        if (i >= dim->count && uses_axis(have, list->axes[i])) return false;
    }
    if (!extent_can_cut(type->extents[d], pieces)) return false;
    memcpy(dim->axes, list->axes, sizeof dim->axes);
    dim->count = list->count;
    return true;
}

static bool take_over(struct sharder *s, const struct factors *f, const struct access_map *access,
                      const struct value *v, const struct cut *cut) {
    struct sharding place, *have = shard_slot(s, v);
    bool changed = false;
    if (!factors_place(f, access, &v->type, cut, &place)) return false;
    for (int d = 0; d < place.rank; d++) changed |= extend(s, have, &v->type, d, &place.dims[d]);
    if (changed) note_why(s, v, f->node);
    return changed;
}

static bool through_node(struct sharder *s, struct node *n) {
    const struct factors *f = shard_factors(s, n);
    struct cut cut = {0};
    bool changed = false;
    if (!f) return false;
    for (int i = 0; i < n->results_count; i++) vote(s, f, &f->map->results[i], n->results[i], &cut);
    for (int i = 0; i < n->operands_count; i++)
        if (n->operands[i]) vote(s, f, &f->map->operands[i], value_now(n->operands[i]), &cut);
    once(f, &cut);
    for (int i = 0; i < n->results_count; i++)
        changed |= take_over(s, f, &f->map->results[i], n->results[i], &cut);
    for (int i = 0; i < n->operands_count; i++)
        if (n->operands[i]) changed |= take_over(s, f, &f->map->operands[i], value_now(n->operands[i]), &cut);
    return changed;
}

/* ---- What is one tensor under several names ---- */

static bool tie(struct sharder *s, struct sharding *a, struct sharding *b, const struct type *type) {
    bool changed = false;
    for (int d = 0; a != b && d < type->rank; d++)
        changed |= extend(s, a, type, d, &b->dims[d]) || extend(s, b, type, d, &a->dims[d]);
    return changed;
}

static bool through_scan(struct sharder *s, const struct node *n) {
    bool changed = false;
    for (int i = 0; i < n->operands_count; i++) {
        struct sharding *inside = shard_slot(s, n->body->args[i + 1]);
        const struct type *type = &n->results[i]->type;
        changed |= tie(s, inside, shard_slot(s, value_now(n->operands[i])), type);
        changed |= tie(s, inside, shard_slot(s, value_now(n->body->results[i])), type);
        changed |= tie(s, inside, shard_slot(s, n->results[i]), type);
    }
    return changed;
}

static bool through_assign(struct sharder *s, const struct node *n) {
    return tie(s, &s->globals[n->global->id], shard_slot(s, value_now(n->operands[0])), &n->global->type);
}

/* ---- To a fixed point ---- */

static bool is_light(const struct node *n) {
    switch (op_info(n->op)->family) {
    case FAMILY_pointwise:
    case FAMILY_cast:
    case FAMILY_reshape:
    case FAMILY_transpose:
    case FAMILY_broadcast:
    case FAMILY_reshard:
        return true;
    default:
        return false;
    }
}

static bool through(struct sharder *s, struct node *n, bool light) {
    if (n->op == OP_scan) return through_scan(s, n);
    if (n->op == OP_assign) return through_assign(s, n);
    return (!light || is_light(n)) && through_node(s, n);
}

static bool sweep(struct sharder *s, struct function *f, bool light) {
    struct node **nodes = NULL;
    int count = 0, capacity = 0;
    bool changed = false;
    for (struct node *n = NULL; (n = node_walk(f->body, n));) {
        arena_push(s->a, nodes, count, capacity, n);
        changed |= through(s, n, light);
    }
    while (count > 0) changed |= through(s, nodes[--count], light);
    return changed;
}

static bool sweep_all(struct sharder *s, bool light) {
    bool changed = false;
    for (struct function *f = s->g->functions; f; f = f->next) changed |= sweep(s, f, light);
    return changed;
}

void shard_propagate(struct sharder *s) {
    do {
        while (sweep_all(s, true)) continue;
    } while (sweep_all(s, false));
}
