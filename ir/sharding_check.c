/* What may be wrong with a sharding, in words for messages; shared by texts, plans and the verifier. */
#include "ir/graph.h"
#include <string.h>

static const char *did_you_mean(struct arena *a, const char *word, const char *const *names, int count) {
    const char *nearest = word[0] && word[1] ? diag_nearest(word, names, count) : NULL; /* x is not y */
    return nearest ? arena_printf(a, "; did you mean '%s'?", nearest) : "";
}

const struct mesh *mesh_find(const struct graph *g, const char *name) {
    const struct mesh *m = g->meshes;
    while (m && strcmp(m->name, name)) m = m->next;
    return m;
}

const char *mesh_unknown(struct arena *a, const struct graph *g, const char *name) {
    int count = 0;
    for (const struct mesh *m = g->meshes; m; m = m->next) count++;
    const char **names = arena_new_array(a, const char *, count + 1);
    if (!count) return arena_printf(a, "there is no mesh '%s': declare it, mesh %s = <data=2>", name, name);
    count = 0;
    for (const struct mesh *m = g->meshes; m; m = m->next) names[count++] = m->name;
    return arena_printf(a, "there is no mesh '%s'%s", name, did_you_mean(a, name, names, count));
}

static const char *axis_unknown(struct arena *a, const struct mesh *m, const char *name) {
    const char *names[MAX_MESH_AXES], *list = "";
    for (int i = 0; i < m->axes_count; i++) {
        names[i] = m->axes[i].name;
        list = arena_printf(a, "%s%s%s", list, i ? ", " : "", names[i]);
    }
    const char *nearest = did_you_mean(a, name, names, m->axes_count);
    if (*nearest) return arena_printf(a, "mesh %s has no axis '%s'%s", m->name, name, nearest);
    return arena_printf(a, "mesh %s has no axis '%s'; it has %s", m->name, name, list);
}

const char *sharding_add(struct arena *a, struct sharding *s, int dim, const char *name) {
    int axis = mesh_axis(s->mesh, name);
    if (axis < 0) return axis_unknown(a, s->mesh, name);
    if (sharding_used(s) >> axis & 1)
        return arena_printf(
            a, "axis %s is used twice: it splits one dimension, or the value is partial over it", name);
    if (dim < 0) {
        s->partial |= 1u << axis;
        return NULL;
    }
    struct dim_sharding *d = &s->dims[dim];
    if (d->count == MAX_DIM_AXES) return arena_printf(a, "at most %d axes split one dimension", MAX_DIM_AXES);
    d->axes[d->count++] = (uint8_t)axis;
    return NULL;
}

/* "2, 3, 4, 6, 8, 9 …": what divides n, from 2 on. */
static const char *divisors(struct arena *a, int64_t n) {
    enum { SHOWN = 6, SOUGHT = 1 << 16 };
    const char *list = "";
    int found = 0;
    for (int64_t d = 2; d <= n && d < SOUGHT && found <= SHOWN; d++) {
        if (n % d) continue;
        if (found++ == SHOWN) return arena_printf(a, "%s …", list);
        list = arena_printf(a, "%s%s%lld", list, found > 1 ? ", " : "", (long long)d);
    }
    return found ? list : NULL;
}

/* "5 ranks of tensor", "6 ranks of [data, tensor]" */
static const char *pieces_text(struct arena *a, const struct sharding *s, int dim) {
    const struct dim_sharding *d = &s->dims[dim];
    const char *axes = "";
    for (int i = 0; i < d->count; i++)
        axes = arena_printf(a, "%s%s%s", axes, i ? ", " : "", s->mesh->axes[d->axes[i]].name);
    return arena_printf(a, d->count > 1 ? "%lld ranks of [%s]" : "%lld ranks of %s",
                        (long long)sharding_pieces(s, dim), axes);
}

const char *sharding_indivisible(struct arena *a, const struct sharding *s, int dim, const struct extent *e) {
    int64_t pieces = sharding_pieces(s, dim), n, min, max;
    if (s->local || pieces == 1) return NULL;
    if (!extent_is_const(e, &n)) {
        min = extent_min(e), max = extent_max(e);
        if (max / pieces * pieces >= min) return NULL;
        return arena_printf(a, "%s is within %lld..%lld, where nothing is divisible by %s", extent_text(a, e),
                            (long long)min, (long long)max, pieces_text(a, s, dim));
    }
    if (n % pieces == 0) return NULL;
    const char *list = divisors(a, n), *by = pieces_text(a, s, dim);
    if (!list) return arena_printf(a, "%lld is not divisible by %s", (long long)n, by);
    bool one = !strchr(list, ',') && !strstr(list, "…");
    return arena_printf(a, "%lld is not divisible by %s; %s divide%s it", (long long)n, by, list,
                        one ? "s" : "");
}

static bool mesh_is_of(const struct graph *g, const struct mesh *mesh) {
    for (const struct mesh *m = g->meshes; m; m = m->next)
        if (m == mesh) return true;
    return false;
}

const char *sharding_invalid(struct arena *a, const struct graph *g, const struct sharding *s, int rank) {
    if (!mesh_is_of(g, s->mesh)) return "its mesh is not of this graph";
    if (s->rank != rank)
        return arena_printf(a, "its sharding has %d entries for %d dimensions", s->rank, rank);
    if (s->partial >> s->mesh->axes_count) return "it is partial over an axis that its mesh has not";
    uint32_t used = s->partial;
    for (int d = 0; d < s->rank; d++) {
        const struct dim_sharding *at = &s->dims[d];
        if (at->count < 0 || at->count > MAX_DIM_AXES)
            return arena_printf(a, "%d axes split its dimension %d", at->count, d);
        for (int i = 0; i < at->count; i++) {
            if (at->axes[i] >= s->mesh->axes_count)
                return arena_printf(a, "its dimension %d is split by an axis that its mesh has not", d);
            if (used >> at->axes[i] & 1)
                return arena_printf(a, "it uses axis %s twice", s->mesh->axes[at->axes[i]].name);
            used |= 1u << at->axes[i];
        }
    }
    return NULL;
}

const char *placement_invalid(struct arena *a, const struct graph *g, const struct placement *p) {
    if (!mesh_is_of(g, p->mesh) || p->axis < 0 || p->axis >= p->mesh->axes_count)
        return "it is placed on an axis that is not of this graph";
    const struct mesh_axis *axis = &p->mesh->axes[p->axis];
    if (p->index >= 0 && p->index < axis->size) return NULL;
    return arena_printf(a, "%lld is no place on %s, which has 0..%lld", (long long)p->index,
                        axis->coordinate->name, (long long)axis->size - 1);
}
