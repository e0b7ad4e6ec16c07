/* Where statements run.
 *
 *     stage k { ... }        all of them, at place k of the axis named pipeline or stage
 *     y = f(x) on dev(1)     one, at place 1 of the only axis there is
 */
#include "frontend/expand.h"
#include <string.h>

struct found { /* axes that answer to a name */
    const struct mesh *mesh;
    int axis, count;
};

static void find_axes(const struct expander *x, const char *name, struct found *f) {
    for (const struct mesh *m = x->graph->meshes; m; m = m->next)
        for (int i = 0; i < m->axes_count; i++)
            if (!strcmp(m->axes[i].name, name) || !strcmp(m->axes[i].coordinate->name, name))
                f->mesh = m, f->axis = i, f->count++;
}

static int count_axes(const struct expander *x) {
    int count = 0;
    for (const struct mesh *m = x->graph->meshes; m; m = m->next) count += m->axes_count;
    return count;
}

/* An axis by its name, by m.axis, by its mesh where that has no other, or as `dev` where there is no other.
 */
static bool find_place(struct expander *x, const char *name, struct loc loc, struct found *f) {
    *f = (struct found){0};
    find_axes(x, name, f);
    const struct mesh *m = mesh_find(x->graph, name);
    if (!f->count && m && m->axes_count == 1) *f = (struct found){m, 0, 1};
    if (!f->count && !strcmp(name, "dev") && count_axes(x) == 1) *f = (struct found){x->graph->meshes, 0, 1};
    if (f->count == 1) return true;
    if (f->count)
        diag_error(x->diag, loc, "%s is an axis of several meshes: write %s.%s", name, f->mesh->name, name);
    else if (m)
        diag_error(x->diag, loc, "mesh %s has %d axes: write which, %s.%s", name, m->axes_count, name,
                   m->axes[0].name);
    else if (!x->graph->meshes)
        diag_error(x->diag, loc, "there is no mesh to run on: declare one, mesh m = <%s=2>", name);
    else if (!strcmp(name, "dev"))
        diag_error(x->diag, loc, "dev is the axis of a mesh that has only one; here are %d: write which, %s",
                   count_axes(x), x->graph->meshes->axes[0].coordinate->name);
    else
        axis_coordinate(x, name, loc); /* reports */
    return false;
}

static const struct placement *placement(struct expander *x, const struct found *f,
                                         const struct expr *index) {
    int64_t at;
    if (!evaluate_int(x, index, "a place on a mesh axis", &at)) return NULL;
    struct placement *p = arena_new_object(x->graph->arena, struct placement);
    *p = (struct placement){f->mesh, f->axis, at};
    const char *problem = placement_invalid(x->arena, x->graph, p);
    if (!problem) return p;
    diag_error(x->diag, index->loc, "%s", problem);
    return NULL;
}

bool evaluate_placement(struct expander *x, const struct placement_expr *e, const struct placement **on) {
    struct found f;
    *on = find_place(x, e->name, e->loc, &f) ? placement(x, &f, e->index) : NULL;
    return *on != NULL;
}

/* The axis that `stage` counts. */
static bool find_pipeline(struct expander *x, struct loc loc, struct found *f) {
    *f = (struct found){0};
    find_axes(x, "pipeline", f);
    find_axes(x, "stage", f);
    if (f->count == 1) return true;
    diag_error(
        x->diag, loc,
        f->count ? "several mesh axes are named pipeline or stage: write which at each statement, on %s.%s(k)"
                 : "stage places statements on a mesh axis named pipeline or stage, and there is none%s%s",
        f->count ? f->mesh->name : "", f->count ? f->mesh->axes[f->axis].name : "");
    return false;
}

static const struct placement *stage_place(struct expander *x, const struct stmt *s) {
    struct found f;
    if (x->staged) {
        diag_error(x->diag, s->loc, "stages do not nest");
        return NULL;
    }
    return find_pipeline(x, s->loc, &f) ? placement(x, &f, s->from) : NULL;
}

/* Without a place that is known, the names are bound all the same. */
void expand_stage(struct expander *x, struct stmt *s) {
    const struct placement *outer = x->on, *on = s->from ? stage_place(x, s) : NULL;
    bool staged = x->staged;
    if (on)
        x->on = on;
    else
        s->from = NULL; /* reported: the next expansion says nothing */
    x->staged = true;
    expand_statements(x, s->body);
    x->staged = staged;
    x->on = outer;
}
