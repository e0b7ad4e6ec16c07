/* The frontend: a .mdl text becomes a graph. */
#ifndef FRONTEND_FRONTEND_H
#define FRONTEND_FRONTEND_H
#include "ir/graph.h"

/* --const=L=4: takes the place of what the file says. */
struct frontend_constant {
    const char *name, *text; /* text: L=4 */
    enum { FRONTEND_INTEGER, FRONTEND_REAL, FRONTEND_LOGICAL } kind;
    int64_t integer;
    double real;
    struct frontend_constant *next;
};

struct frontend_options {
    const struct frontend_constant *constants;
    uint64_t seed; /* --seed, of the initialisers */
    const char
        *weights; /* --weights=PATH: a folder to look in, or a file that serves every tensor; NULL: none */
    bool unbound; /* look at no weight file */
};

/* The graph of a .mdl text, in `arena`, which must outlive it, as must `text`. What is wrong is reported to
 * `diag`; the graph is whole only if diag->errors did not grow. `path` is what messages call the file, and
 * weights are resolved against its folder ("-": against the folder of the first loc("file":line:column) in
 * the text, else the current one). Weight files that exist are opened, and what is read from them checked;
 * one that is missing is no error until frontend_bind(). */
struct graph *frontend_parse(struct arena *arena, struct diag *diag, const char *path, const char *text,
                             size_t length, const struct frontend_options *options);

/* Finds every param that comes from a file in it: name, shape, format, `stored` filled in. Paths as written
 * must stay in the model's folder; `weights` (--weights=PATH, or NULL) goes anywhere. Reports what is missing
 * and returns false. Files stay mapped until the process ends. */
bool frontend_bind(struct graph *g, const char *weights);

/* Adds the constants of "L=4,SCALE=0.5" before those in `list`; false if it is not of that form. */
bool frontend_constants(struct arena *a, const char *text, struct frontend_constant **list);

/* `option name = value`, from a text or a command line (loc without source); the later value holds. Reports
 * and returns false where there is no such option or value. */
bool frontend_option(struct graph *g, const char *name, const char *value, struct loc loc);

#endif
