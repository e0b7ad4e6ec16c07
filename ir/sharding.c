/* Meshes, shardings and groups: names, numbers and text. */
#include "ir/sharding.h"
#include "ir/graph.h"
#include <string.h>

int64_t mesh_ranks(const struct mesh *m) {
    int64_t ranks = 1;
    for (int i = 0; i < m->axes_count; i++) ranks *= m->axes[i].size;
    return ranks;
}

int mesh_axis(const struct mesh *m, const char *name) {
    for (int i = 0; i < m->axes_count; i++)
        if (!strcmp(m->axes[i].name, name)) return i;
    return -1;
}

/* Adds the axis called "m.tensor", `length` long. */
static bool group_add(struct graph *g, struct arena *a, const char *name, size_t length,
                      struct rank_group *group, const char **why) {
    for (const struct mesh *m = g->meshes; m; m = m->next)
        for (int i = 0; i < m->axes_count; i++) {
            const char *axis = m->axes[i].coordinate->name;
            if (strlen(axis) != length || memcmp(axis, name, length)) continue;
            if (group->count && group->mesh != m)
                return *why = arena_printf(a, "%s is an axis of another mesh", axis), false;
            for (int k = 0; k < group->count; k++)
                if (group->axes[k] == i) return *why = arena_printf(a, "%s is there twice", axis), false;
            group->mesh = m;
            group->axes[group->count++] = (uint8_t)i;
            return true;
        }
    *why = arena_printf(a, "there is no mesh axis '%.*s'; write mesh.axis", (int)length, name);
    return false;
}

bool rank_group_parse(struct graph *g, struct arena *a, const char *text, struct rank_group *group,
                      const char **why) {
    *group = (struct rank_group){0};
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        if (!group_add(g, a, at, length, group, why)) return false;
        at += length;
        if (!*at) return true;
    }
}

const char *rank_group_text(struct arena *a, const struct rank_group *group) {
    const char *text = "";
    for (int i = 0; i < group->count; i++)
        text = arena_printf(a, "%s%s%s.%s", text, i ? "," : "", group->mesh->name,
                            group->mesh->axes[group->axes[i]].name);
    return text;
}

int64_t rank_group_members(const struct rank_group *group) {
    int64_t members = 1;
    for (int i = 0; i < group->count; i++) members *= group->mesh->axes[group->axes[i]].size;
    return members;
}

int64_t sharding_pieces(const struct sharding *s, int dim) {
    int64_t pieces = 1;
    for (int i = 0; s && i < s->dims[dim].count; i++) pieces *= s->mesh->axes[s->dims[dim].axes[i]].size;
    return pieces;
}

uint32_t sharding_used(const struct sharding *s) {
    uint32_t used = s ? s->partial : 0;
    for (int d = 0; s && d < s->rank; d++)
        for (int i = 0; i < s->dims[d].count; i++) used |= 1u << s->dims[d].axes[i];
    return used;
}

bool sharding_is_whole(const struct sharding *s) { return !sharding_used(s); }

bool sharding_equal(const struct sharding *a, const struct sharding *b) {
    if (!a || !b) return sharding_is_whole(a) && sharding_is_whole(b);
    if (a->mesh != b->mesh) return sharding_is_whole(a) && sharding_is_whole(b);
    if (a->rank != b->rank || a->partial != b->partial) return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dims[d].count != b->dims[d].count ||
            memcmp(a->dims[d].axes, b->dims[d].axes, (size_t)a->dims[d].count))
            return false;
    return true;
}

/* One dimension: _ ? tensor [data, tensor], with `?` in the brackets where more may come, and !0. */
static const char *dim_text(struct arena *a, const struct mesh *m, const struct dim_sharding *d) {
    const char *text = "";
    for (int i = 0; i < d->count; i++)
        text = arena_printf(a, "%s%s%s", text, i ? ", " : "", m->axes[d->axes[i]].name);
    if (!d->count)
        text = d->open ? "?" : "_";
    else if (d->open)
        text = arena_printf(a, "[%s, ?]", text);
    else if (d->count > 1)
        text = arena_printf(a, "[%s]", text);
    return d->priority < MAX_PRIORITY ? arena_printf(a, "%s!%d", text, d->priority) : text;
}

const char *sharding_text(struct arena *a, const struct sharding *s) {
    const char *text = "";
    for (int d = 0; d < s->rank; d++)
        text = arena_printf(a, "%s%s%s", text, d ? ", " : "", dim_text(a, s->mesh, &s->dims[d]));
    for (int i = 0; i < s->mesh->axes_count; i++)
        if (s->partial >> i & 1)
            text = arena_printf(a, "%s%s%s partial", text, *text ? ", " : "", s->mesh->axes[i].name);
    return arena_printf(a, "@%s(%s)%s", s->mesh->name, text, s->local ? " local" : "");
}

bool placement_equal(const struct placement *a, const struct placement *b) {
    return a == b || (a && b && a->mesh == b->mesh && a->axis == b->axis && a->index == b->index);
}

const char *placement_text(struct arena *a, const struct placement *p) {
    return arena_printf(a, "on %s(%lld)", p->mesh->axes[p->axis].coordinate->name, (long long)p->index);
}
