/* Versions of functions for extents known at compile time: --dim=S=1,128 (option dim = S=1,128).
 *
 *     export fn forward(tokens: i32[S]) ...      export fn forward(tokens: i32[1]) ... fixed(S=1)
 *                                                export fn forward(tokens: i32[128]) ... fixed(S=128)
 *                                                export fn forward(tokens: i32[S]) ...
 *
 * The versions come before the function itself: a call takes the first that fits. Several options make all
 * combinations of their extents. */
#include "passes/build.h"
#include "passes/passes.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VERSIONS = 64 };

struct wish { /* one option: a dim and extents */
    const struct dim *dim;
    int64_t values[MAX_VERSIONS];
    int count;
    struct wish *next;
};

static const struct dim *find_dim(const struct graph *g, const char *name, size_t length) {
    for (int i = 0; i < g->dims_count; i++)
        if (strlen(g->dims[i]->name) == length && !strncmp(g->dims[i]->name, name, length)) return g->dims[i];
    return NULL;
}

static bool add_value(struct graph *g, struct wish *w, const char **text, struct loc loc) {
    char *end;
    long long value = strtoll(*text, &end, 10);
    if (end == *text || (*end && *end != ',')) {
        diag_error(g->diag, loc, "dim: expected extents separated by commas, as in S=1,128, at '%s'", *text);
        return false;
    }
    *text = *end ? end + 1 : end;
    if (value < w->dim->min || value > w->dim->max) {
        diag_error(g->diag, loc, "dim: %s = %lld is outside %" PRId64 "..%" PRId64, w->dim->name, value,
                   w->dim->min, w->dim->max);
        return false;
    }
    if (w->count == MAX_VERSIONS) {
        diag_error(g->diag, loc, "dim: more than %d extents for %s", MAX_VERSIONS, w->dim->name);
        return false;
    }
    w->values[w->count++] = value;
    return true;
}

/* "S=1,128" */
static struct wish *parse_wish(struct graph *g, const struct option *o) {
    size_t length = strcspn(o->value, "=");
    struct wish *w = arena_new_object(g->pass->scratch, struct wish);
    const char *text = o->value + length + (o->value[length] == '=');
    w->dim = find_dim(g, o->value, length);
    if (!w->dim) {
        diag_error(g->diag, o->loc, "dim: the model has no dim '%.*s'", (int)length, o->value);
        return NULL;
    }
    if (!*text) diag_error(g->diag, o->loc, "dim: expected extents, as in S=1,128");
    while (*text)
        if (!add_value(g, w, &text, o->loc)) return NULL;
    return w;
}

struct function *function_version(struct graph *g, const struct function *f, const int64_t *fixed) {
    struct function *v = arena_new_object(g->arena, struct function);
    struct clone_map map = clone_map_new(g, g->pass->scratch);
    struct block *body = block_new(g, NULL);
    const struct extent **dims =
        arena_new_array(g->pass->scratch, const struct extent *, (size_t)g->dims_count);
    for (int i = 0; i < g->dims_count; i++)
        dims[i] = fixed[i] < 0 ? NULL : extent_const(g->extents, fixed[i]);
    map.dims = dims;
    *v = *f;
    v->fixed = arena_new_array(g->arena, int64_t, (size_t)g->dims_count);
    memcpy(v->fixed, fixed, (size_t)g->dims_count * sizeof *fixed);
    for (int i = 0; i < f->body->args_count; i++) {
        struct value *from = f->body->args[i];
        struct type type = from->type;
        type_replace_dims(g, &type, dims);
        map.values[from->id] = block_argument(g, body, &type, from->name, from->loc);
        map.values[from->id]->sharding = from->sharding;
    }
    for (struct node *n = f->body->first; n; n = n->next) block_append(body, node_clone(g, n, &map));
    body->results_count = f->body->results_count;
    body->results = arena_new_array(g->arena, struct value *, (size_t)body->results_count);
    for (int i = 0; i < body->results_count; i++) body->results[i] = clone_value(&map, f->body->results[i]);
    v->body = body;
    return v;
}

/* All combinations of the wishes from `w` on; versions are linked at *end. */
static void make_versions(struct graph *g, const struct function *f, const struct wish *w, int64_t *fixed,
                          bool any, struct function ***end) {
    if (!w) {
        if (any) **end = function_version(g, f, fixed), *end = &(**end)->next;
        return;
    }
    if (!function_has_dim(f, w->dim)) {
        make_versions(g, f, w->next, fixed, any, end);
        return;
    }
    for (int i = 0; i < w->count; i++) {
        fixed[w->dim->id] = w->values[i];
        make_versions(g, f, w->next, fixed, true, end);
    }
    fixed[w->dim->id] = -1;
}

/* Made before, in a dump that is read again. */
static bool has_versions(const struct graph *g, const struct function *f) {
    for (const struct function *v = g->functions; v; v = v->next)
        if (v->fixed && !strcmp(v->name, f->name)) return true;
    return false;
}

bool pass_specialise(struct graph *g) {
    struct wish *wishes = NULL, **last = &wishes;
    bool changed = false;
    for (const struct option *o = g->options; o; o = o->next)
        if (!strcmp(o->name, "dim") && (*last = parse_wish(g, o))) last = &(*last)->next;
    int64_t *fixed = arena_new_array(g->pass->scratch, int64_t, (size_t)g->dims_count + 1);
    for (int i = 0; i < g->dims_count; i++) fixed[i] = -1;
    for (struct function **at = &g->functions; wishes && *at;) {
        struct function *f = *at, *first = NULL, **end = &first; /* versions of f */
        if (f->exported && !f->fixed && !has_versions(g, f)) make_versions(g, f, wishes, fixed, false, &end);
        changed |= first != NULL;
        *end = f;
        *at = first;
        at = &f->next;
    }
    return changed;
}
