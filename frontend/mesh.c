/* Meshes: mesh m = <data=2, tensor=3> ranks 0..5 on cpu; and their axes by name. */
#include "frontend/expand.h"
#include <string.h>

enum { MAX_MESHES = 64, MAX_RANKS = 4096, MAX_FIRST_RANK = 1 << 20 };

static bool mesh_sizes(struct expander *x, const struct decl *d, int64_t *sizes, int *count) {
    int64_t ranks = 1;
    *count = 0;
    for (const struct arg *a = d->counts; a; a = a->next) {
        if (*count == MAX_MESH_AXES) {
            diag_error(x->diag, a->loc, "a mesh has at most %d axes", MAX_MESH_AXES);
            return false;
        }
        for (const struct arg *b = d->counts; b != a; b = b->next)
            if (!strcmp(a->name, b->name)) {
                diag_error(x->diag, a->loc, "mesh %s has two axes named '%s'", d->name, a->name);
                return false;
            }
        int64_t *size = &sizes[(*count)++];
        if (!evaluate_int(x, a->value, arena_printf(x->arena, "the size of axis %s", a->name), size))
            return false;
        if (*size < 1 || *size > MAX_RANKS || (ranks *= *size) > MAX_RANKS) {
            diag_error(x->diag, a->value->loc, "axis %s of %lld: a mesh has 1 to %d ranks", a->name,
                       (long long)*size, MAX_RANKS);
            return false;
        }
    }
    return true;
}

/* ranks 0..3: both ends included, as many as the axes make. */
static bool mesh_range(struct expander *x, const struct decl *d, struct mesh *m) {
    int64_t last, ranks = mesh_ranks(m);
    if (!d->value) return true;
    if (!evaluate_int(x, d->value, "a rank", &m->first_rank) || !evaluate_int(x, d->to, "a rank", &last))
        return false;
    bool sound = m->first_rank >= 0 && m->first_rank <= MAX_FIRST_RANK && last >= 0 && last < INT32_MAX;
    if (sound && last - m->first_rank + 1 == ranks) return true;
    if (!sound)
        diag_error(x->diag, d->value->loc, "ranks are counted from 0 to %d", MAX_FIRST_RANK);
    else
        diag_error(x->diag, d->value->loc, "ranks %lld..%lld are %lld, but the axes of %s make %lld",
                   (long long)m->first_rank, (long long)last, (long long)(last - m->first_rank + 1), d->name,
                   (long long)ranks);
    m->first_rank = 0;
    return false;
}

static void mesh_kind(struct expander *x, const struct decl *d, struct mesh *m) {
    if (!d->text || !strcmp(d->text, "cpu")) return;
    m->device = MESH_CUDA;
    if (strcmp(d->text, "cuda"))
        diag_error(x->diag, d->at, "a mesh is of ranks on cpu or on cuda, not on %s", d->text);
}

static int count_meshes(const struct graph *g) {
    int count = 0;
    for (const struct mesh *m = g->meshes; m; m = m->next) count++;
    return count;
}

void declare_mesh(struct expander *x, const struct decl *d) {
    int64_t sizes[MAX_MESH_AXES];
    int count, i = 0;
    const struct mesh *before = mesh_find(x->graph, d->name);
    if (x->stopped) return;
    if (count_meshes(x->graph) == MAX_MESHES) {
        diag_error(x->diag, d->loc, "there are more than %d meshes", MAX_MESHES);
        x->stopped = true;
        return;
    }
    if (before) {
        diag_error(x->diag, d->loc, "mesh '%s' is declared twice", d->name);
        diag_note(x->diag, before->loc, "the first is here");
        return;
    }
    bool good = mesh_sizes(x, d, sizes, &count);
    struct mesh *m = graph_mesh(x->graph, d->name, d->loc);
    for (const struct arg *a = d->counts; a && i < count; a = a->next, i++)
        graph_mesh_axis(x->graph, m, a->name, good ? sizes[i] : 1);
    if (good) mesh_range(x, d, m);
    mesh_kind(x, d, m);
}

/* The axis called "m.tensor". */
static const struct mesh_axis *coordinate_find(const struct expander *x, const char *name) {
    for (const struct mesh *m = x->graph->meshes; m; m = m->next)
        for (int i = 0; i < m->axes_count; i++)
            if (!strcmp(m->axes[i].coordinate->name, name)) return &m->axes[i];
    return NULL;
}

const struct dim *axis_coordinate(struct expander *x, const char *name, struct loc loc) {
    const struct mesh_axis *axis = coordinate_find(x, name);
    if (axis) return axis->coordinate;
    const char **names = arena_new_array(x->arena, const char *, x->graph->dims_count + 1);
    int count = 0;
    for (int i = 0; i < x->graph->dims_count; i++)
        if (x->graph->dims[i]->axis) names[count++] = x->graph->dims[i]->name;
    diag_error(x->diag, loc, "there is no mesh axis '%s'%s", name, did_you_mean(x, name, names, count));
    return NULL;
}
