/* The frontend: a .mdl text becomes a graph. */
#ifndef FRONTEND_FRONTEND_H
#define FRONTEND_FRONTEND_H
#include "ir/graph.h"

struct frontend_options {
    uint64_t seed;       /* --seed, of the initialisers */
    const char *weights; /* --weights=PATH: a file or folder used for every `weights`; NULL: as written */
};

/* The graph of a .mdl text, in `arena`, which must outlive it, as must `text`. What is wrong is reported to
 * `diag`; the graph is whole only if diag->errors did not grow. `path` is what messages call the file, and
 * weights are resolved against its folder ("-": against the folder of the first loc("file":…) in the text,
 * else the current one). The weight files are not opened: see frontend_bind. */
struct graph *frontend_parse(struct arena *arena, struct diag *diag, const char *path, const char *text,
                             size_t length, const struct frontend_options *options);

#endif
