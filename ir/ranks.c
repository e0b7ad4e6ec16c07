/* Which mesh a partitioned program runs on: found in what it says, as dumps do not say it. */
#include "ir/ranks.h"
#include "ir/collective.h"

static const struct mesh *of_sharding(const struct sharding *s) { return s && s->local ? s->mesh : NULL; }

static const struct mesh *of_dim(const struct graph *g, const struct dim *d) {
    for (const struct mesh *m = g->meshes; m && d->axis; m = m->next)
        for (int k = 0; k < m->axes_count; k++)
            if (m->axes[k].coordinate == d) return m;
    return NULL;
}

static const struct mesh *of_extent(const struct graph *g, const struct extent *e) {
    const struct mesh *m = NULL;
    for (int i = 0; e && i < e->count; i++)
        for (int j = 0; j < e->terms[i].count && !m; j++) {
            const struct symbol *s = e->terms[i].symbols[j];
            m = s->dim ? of_dim(g, s->dim) : of_extent(g, s->numerator);
        }
    return m;
}

/* A rank's own part of a value is a slice from where its coordinates say. */
static const struct mesh *of_attrs(const struct graph *g, const struct node *n) {
    const struct mesh *m = NULL;
    for (int i = 0; i < op_info(n->op)->attrs_count && !m; i++) {
        const struct attr *a = &n->attrs[i];
        m = of_extent(g, a->e);
        for (int k = 0; a->extents && k < a->count && !m; k++) m = of_extent(g, a->extents[k]);
    }
    return m;
}

static const struct mesh *of_function(const struct graph *g, const struct function *f) {
    const struct mesh *m = NULL;
    for (int i = 0; !m && i < f->dims_count; i++) m = of_dim(g, f->dims[i]);
    for (int i = 0; !m && i < f->body->args_count; i++) m = of_sharding(f->body->args[i]->sharding);
    for (int i = 0; !m && f->result_shardings && i < f->body->results_count; i++)
        m = of_sharding(f->result_shardings[i]);
    for (struct node *n = NULL; !m && (n = node_walk(f->body, n));)
        m = collective_of(n) ? collective_group((struct graph *)g, n).mesh : of_attrs(g, n);
    return m;
}

const struct mesh *ranks_mesh(const struct graph *g) {
    const struct mesh *m = NULL;
    for (const struct global *w = g->globals; !m && w; w = w->next) m = of_sharding(w->sharding);
    for (const struct function *f = g->functions; !m && f; f = f->next) m = of_function(g, f);
    return m;
}
