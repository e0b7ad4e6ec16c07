/* The verifier's look at meshes, and at where values live and nodes run. */
#include "ir/verify_parts.h"
#include <string.h>

static void check_mesh(struct verify *v, const struct mesh *m, int id) {
    if (m->id != id) verify_error(v, m->loc, "mesh %s has id %d, stands at %d", m->name, m->id, id);
    for (int i = 0; i < m->axes_count; i++) {
        const struct mesh_axis *axis = &m->axes[i];
        const struct dim *d = axis->coordinate;
        if (axis->size < 1) verify_error(v, m->loc, "mesh %s: axis %s is empty", m->name, axis->name);
        if (!d || d->axis != axis || d->min != 0 || d->max != axis->size - 1)
            verify_error(v, m->loc, "mesh %s: axis %s has no coordinate of its size", m->name, axis->name);
    }
    for (const struct mesh *before = v->g->meshes; before != m; before = before->next)
        if (!strcmp(before->name, m->name)) verify_error(v, m->loc, "two meshes are named %s", m->name);
}

void verify_meshes(struct verify *v) {
    int id = 0;
    for (const struct mesh *m = v->g->meshes; m; m = m->next) check_mesh(v, m, id++);
    for (const struct global *global = v->g->globals; global; global = global->next) {
        const struct sharding *s = global->sharding;
        const char *problem = s ? sharding_invalid(v->g->arena, v->g, s, global->type.rank) : NULL;
        if (problem) verify_error(v, global->loc, "%s: %s", global->name, problem);
    }
}

void verify_sharding(struct verify *v, const struct sharding *s, const struct value *value) {
    const char *problem = s ? sharding_invalid(v->g->arena, v->g, s, value->type.rank) : NULL;
    if (problem) verify_error(v, value->loc, "%s: %s", verify_name(v, value), problem);
}

void verify_places(struct verify *v, const struct node *n) {
    const char *problem = n->on ? placement_invalid(v->g->arena, v->g, n->on) : NULL;
    if (problem) verify_error(v, n->loc, "%s: %s", op_info(n->op)->name, problem);
    for (int i = 0; i < n->results_count; i++) verify_sharding(v, n->results[i]->sharding, n->results[i]);
}
