/* Dims that are cut.
 *
 *     dim S in 1..8192                              dim S in 1..4096 unit 2
 *     x : f32[S, 576] @m(data, _)          =>       x : f32[2*S, 576] @m(data, _)
 *
 * So pieces have plain extents (here S), and who calls with 7 is told that it is no multiple of 2. */
#include "ir/number.h"
#include "passes/factors.h"
#include "passes/partition.h"
#include <inttypes.h>

struct units {
    struct partition *p;
    int64_t *of; /* [dims] */
    bool good;
};

static const struct dim *dim_of(const struct term *t) {
    for (int i = 0; i < t->count; i++)
        if (t->symbols[i]->dim && !t->symbols[i]->dim->axis) return t->symbols[i]->dim;
    return NULL;
}

/* So that `extent` is a multiple of `pieces`. */
static void need(struct units *u, const struct extent *extent, int64_t pieces) {
    for (int i = 0; i < extent->count; i++) {
        const struct term *t = &extent->terms[i];
        int64_t factor = pieces / greatest_common_divisor(pieces, t->coefficient);
        const struct dim *d = factor > 1 ? dim_of(t) : NULL;
        if (factor == 1) continue;
        if (!d) ice("an extent was cut that cannot be");
        int64_t *unit = &u->of[d->id];
        if (__builtin_mul_overflow(*unit, factor / greatest_common_divisor(*unit, factor), unit))
            ice("too many pieces");
    }
}

static void need_all(struct units *u, const struct type *t, const struct sharding *s) {
    for (int d = 0; s && d < s->rank; d++)
        if (sharding_pieces(s, d) > 1) need(u, t->extents[d], sharding_pieces(s, d));
}

static void need_block(struct units *u, const struct block *b) {
    for (int i = 0; i < b->args_count; i++) need_all(u, &b->args[i]->type, b->args[i]->sharding);
    for (const struct node *n = b->first; n; n = n->next) {
        for (int i = 0; i < n->results_count; i++) need_all(u, &n->results[i]->type, n->results[i]->sharding);
        if (n->body) need_block(u, n->body);
    }
}

/* The dim in units; its old object stays with extents that nobody has replaced. */
static const struct extent *rescale(struct units *u, int id) {
    struct graph *g = u->p->g;
    struct dim *scaled = arena_new_object(g->arena, struct dim);
    int64_t unit = u->of[id];
    *scaled = *g->dims[id];
    scaled->unit *= unit;
    scaled->min = (scaled->min + unit - 1) / unit;
    scaled->max /= unit;
    if (scaled->min > scaled->max) {
        diag_error(g->diag, scaled->loc,
                   "dim %s: no multiple of %" PRId64 " is in its range, but mesh %s cuts it so", scaled->name,
                   unit, u->p->mesh->name);
        u->good = false;
    }
    g->dims[id] = scaled;
    return extent_mul(g->extents, extent_const(g->extents, unit), extent_dim(g->extents, scaled));
}

static void replace_block(struct graph *g, struct block *b, const struct extent *const *by) {
    for (int i = 0; i < b->args_count; i++) type_replace_dims(g, &b->args[i]->type, by);
    for (struct node *n = b->first; n; n = n->next) {
        node_replace_dims(g, n, by);
        if (n->body) replace_block(g, n->body, by);
    }
}

/* A version for one extent of the dim counts units too. */
static void rescale_function(struct units *u, struct function *f) {
    for (int i = 0; i < f->dims_count; i++) {
        int id = f->dims[i]->id;
        const struct dim **dims = (const struct dim **)f->dims;
        dims[i] = u->p->g->dims[id];
        if (!f->fixed || f->fixed[id] < 0 || u->of[id] == 1) continue;
        if (f->fixed[id] % u->of[id]) {
            diag_error(u->p->g->diag, f->loc,
                       "dim %s = %" PRId64 " is no multiple of %" PRId64 ", as mesh %s cuts it",
                       dims[i]->name, f->fixed[id], u->of[id], u->p->mesh->name);
            u->good = false;
        }
        f->fixed[id] /= u->of[id];
    }
}

bool partition_dims(struct partition *p) {
    struct graph *g = p->g;
    struct units u = {p, arena_new_array(g->pass->scratch, int64_t, (size_t)g->dims_count + 1), true};
    const struct extent **by =
        arena_new_array(g->pass->scratch, const struct extent *, (size_t)g->dims_count + 1);
    bool any = false;
    for (int i = 0; i < g->dims_count; i++) u.of[i] = 1;
    for (struct function *f = g->functions; f; f = f->next) need_block(&u, f->body);
    for (int i = 0; i < g->dims_count; i++)
        if (u.of[i] > 1) by[i] = rescale(&u, i), any = true;
    for (struct function *f = g->functions; any && f; f = f->next) {
        replace_block(g, f->body, by);
        rescale_function(&u, f);
    }
    return u.good;
}
