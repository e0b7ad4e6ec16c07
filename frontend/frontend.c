/* The frontend from end to end: text, syntax tree, names, expansion. */
#include "frontend/frontend.h"
#include "frontend/bind.h"
#include "frontend/expand.h"
#include "frontend/parser.h"
#include <ctype.h>
#include <string.h>

/* The folder of a path: "" for a file in the current one. */
static const char *folder_of(struct arena *a, const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? arena_strndup(a, path, (size_t)(slash + 1 - path)) : "";
}

/* A model without a `model` line is called after its file. */
static const char *model_name(struct arena *a, const char *path) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t length = strcspn(base, ".");
    if (!strcmp(path, "-") || !length) return "model";
    char *name = arena_strndup(a, base, length);
    for (char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p)) *p = '_';
    return isdigit((unsigned char)*name) ? arena_printf(a, "_%s", name) : name;
}

struct graph *frontend_parse(struct arena *arena, struct diag *diag, const char *path, const char *text,
                             size_t length, const struct frontend_options *options) {
    static const struct frontend_options defaults;
    const struct source *source = diag_source(diag, strcmp(path, "-") ? path : "<stdin>", text, length);
    struct graph *g = graph_new(arena, diag);
    struct expander x = {.arena = arena, .diag = diag, .graph = g, .options = options ? options : &defaults};
    g->seed = x.options->seed;
    x.tree = parse(arena, diag, source);
    bool piped = !strcmp(path, "-"); /* a file's places do not say from which folder it may read */
    const struct source *first = piped ? x.tree->first_loc.source : NULL;
    x.folder = folder_of(arena, first ? first->path : piped ? "" : path);
    declare(&x);
    if (!g->name) g->name = model_name(arena, path);
    if (!x.stopped) expand_functions(&x);
    if (!x.options->unbound) bind_weights(g, x.options->weights, false);
    return g;
}
