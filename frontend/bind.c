/* Params meet their files: each tensor's name is found, its shape and format are checked, its bytes kept.
 *
 *     param wq[30] : f32[576, 576] from "blk.{i}.attn_q.weight"     stored[7] = "blk.7.attn_q.weight"
 */
#include "frontend/bind.h"
#include "frontend/frontend.h"
#include "frontend/table.h"
#include "frontend/weights.h"
#include "ir/literal.h"
#include "ir/piece.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct opened {              /* a weight file */
    struct weights *weights; /* NULL: missing, or could not be read, which was reported */
};
struct binder {
    struct graph *graph;
    const char *override; /* --weights, or NULL */
    bool required;
    struct table files; /* of struct opened, by path */
};

static bool is_folder(const char *path) {
    struct stat s;
    return !stat(path, &s) && S_ISDIR(s.st_mode);
}

/* Where the file of `init` is; NULL after reporting that it may not be read from there. */
static const char *file_path(struct binder *b, const struct init *init) {
    struct arena *a = b->graph->arena;
    char *error;
    if (b->override && !is_folder(b->override)) return b->override;
    if (!init->file) {
        diag_error(b->graph->diag, init->loc,
                   "no weight file is named for this folder: write weights \"file\"");
        return NULL;
    }
    if (b->override) return weights_path(a, b->override, init->file);
    if (weights_path_allowed(a, init->folder, init->file, &error))
        return weights_path(a, init->folder, init->file);
    diag_error(b->graph->diag, init->loc, "%s", error);
    diag_note(b->graph->diag, init->loc, "--weights=PATH reads weights from anywhere");
    return NULL;
}

static bool is_missing(const char *path) {
    struct stat s;
    return stat(path, &s) && (errno == ENOENT || errno == ENOTDIR);
}

/* Opens each file once; reports once. */
static struct weights *open_file(struct binder *b, const struct init *init) {
    struct arena *a = b->graph->arena;
    const char *key = init->file ? init->file : "";
    struct opened *o = table_find(&b->files, key);
    if (o) return o->weights;
    o = arena_new_object(a, struct opened);
    table_set(a, &b->files, key, o);
    const char *unresolved = b->override ? b->override : weights_path(a, init->folder, key);
    if (!b->required && is_missing(unresolved)) return NULL;
    const char *path = file_path(b, init);
    char *error = NULL;
    if (!path || (!b->required && is_missing(path))) return NULL;
    o->weights = weights_open(a, path, &error);
    if (!o->weights) diag_error(b->graph->diag, init->loc, "%s", error);
    return o->weights;
}

/* The name of one tensor: {i} and {j} are its indices. */
static const char *tensor_name(struct arena *a, const struct global *g, int64_t element) {
    int64_t inner = g->counts_rank == 2 ? g->counts[1] : 1, index[2] = {element / inner, element % inner};
    const char *text = g->init.tensor, *name = "";
    for (const char *brace; (brace = strchr(text, '{')); text = brace) {
        bool known =
            (brace[1] == 'i' || brace[1] == 'j') && brace[2] == '}' && brace[1] - 'i' < g->counts_rank;
        name = arena_printf(a, "%s%.*s", name, (int)(brace - text), text);
        name = known ? arena_printf(a, "%s%lld", name, (long long)index[brace[1] - 'i'])
                     : arena_printf(a, "%s{", name);
        brace += known ? 3 : 1;
    }
    return arena_printf(a, "%s%s", name, text);
}

static bool same_shape(const struct type *type, const struct weight_tensor *t) {
    bool same = type->rank == t->rank;
    for (int i = 0; same && i < t->rank; i++) {
        int64_t extent;
        same = extent_is_const(type->extents[i], &extent) && extent == t->dims[i];
    }
    return same;
}

/* Floats convert to each other; integers to types at least as wide. */
static bool convertible(enum dtype to, enum dtype from) {
    if (dtype_class(to) != dtype_class(from)) return false;
    return dtype_class(to) != CLASS_INTEGER ||
           dtype_wrap_integer(to, dtype_wrap_integer(from, INT64_MIN)) == dtype_wrap_integer(from, INT64_MIN);
}

static bool check_tensor(struct binder *b, const struct global *g, const struct weights *w,
                         const struct weight_tensor *t, const char *name) {
    struct arena *a = b->graph->arena;
    struct diag *d = b->graph->diag;
    if (!t) {
        const char *nearest = weights_suggest(w, name);
        diag_error(d, g->loc, "%s has no tensor '%s' for %s%s", w->path, name, g->name,
                   nearest ? arena_printf(a, "; did you mean '%s'?", nearest) : "");
        return false;
    }
    struct type whole = piece_whole(b->graph, &g->type, g->sharding);
    if (!same_shape(&whole, t)) {
        diag_error(d, g->loc, "shapes differ: %s is %s, but '%s' in %s is %s", g->name, type_text(a, &whole),
                   name, w->path, ints_text(a, t->dims, t->rank));
        return false;
    }
    if (convertible(g->type.dtype, format_info(t->format)->dtype)) return true;
    diag_error(d, g->loc, "%s is %s, but '%s' in %s is stored as %s, which does not convert to it", g->name,
               dtype_name(g->type.dtype), name, w->path, format_name(t->format));
    return false;
}

static bool bind_global(struct binder *b, struct global *g) {
    struct arena *a = b->graph->arena;
    struct weights *w = open_file(b, &g->init);
    if (!w) return !b->required;
    int64_t elements = global_elements(g);
    struct stored *stored = arena_new_array(a, struct stored, (size_t)elements);
    for (int64_t i = 0; i < elements; i++) {
        const char *name = tensor_name(a, g, i);
        const struct weight_tensor *t = weights_find(w, name);
        if (!check_tensor(b, g, w, t, name)) return false;
        stored[i] = (struct stored){t->format, t->data, t->bytes};
    }
    g->stored = stored;
    return true;
}

bool bind_weights(struct graph *g, const char *weights, bool required) {
    struct binder b = {.graph = g, .override = weights, .required = required};
    bool good = true;
    for (struct global *p = g->globals; p; p = p->next)
        if (p->init.kind == INIT_FILE && p->init.tensor && !p->stored) good &= bind_global(&b, p);
    return good;
}

bool frontend_bind(struct graph *g, const char *weights) { return bind_weights(g, weights, true); }
