/* Passes: a pass is one file with one function, and one row in passes.def (or in a plug-in). Installed.
 *
 *     bool pass_dce(struct graph *g);      true: it changed something
 *
 * The pipeline runs, verifies, dumps, times and bisects passes; a pass only transforms. */
#ifndef PASSES_PASS_H
#define PASSES_PASS_H
#include "ir/graph.h"

#define MDL_PASS_ABI 1 /* changes whenever the installed headers do */

typedef bool pass_function(struct graph *g);
struct pass {
    const char *name;
    pass_function *run;
    const char *meaning; /* one line, for --list-passes */
    const char *options; /* "max=8 cost=1.5": names and defaults of what `name{...}` may set; "" for none */
};

/* What a running pass may ask for, through g->pass. */
struct pass_run {
    const struct pass *pass;
    struct arena *scratch; /* reset after the pass */
    const char *options;   /* as given: "max=4" */
    bool explain;          /* --explain=NAME: say what was decided, by pass_explain */
};
int64_t pass_option(const struct graph *g,
                    const char *name); /* its value, or its default; dies with ice() if undeclared */
const char *pass_option_word(const struct graph *g, const char *name);
/* A line for --explain, at a place in the model's text; free when not asked for. */
void pass_explain(const struct graph *g, struct loc loc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A plug-in (mdl-opt --load-pass=./mine.so) exports this table. */
struct pass_plugin {
    int abi; /* MDL_PASS_ABI */
    int count;
    const struct pass *passes;
};
#define MDL_PASS_PLUGIN_SYMBOL "mdl_pass_plugin"

/* The pipeline: parses "fold,fuse{max=8}" and runs it. */
struct pipeline {
    const char *passes;         /* names, or NULL: the default pipeline */
    const char *before, *after; /* --print-ir-before/after: a pass's name, "all", or NULL */
    bool after_change;          /* --print-ir-after-change */
    const char *tree;           /* --print-ir-tree=DIR: a file a pass, NN-name.mdl */
    bool verify_each, time_passes;
    int64_t bisect_limit; /* --opt-bisect-limit; -1: none */
    const char *explain;  /* names of passes, by commas */
    FILE *out;            /* dumps, lists */
};
/* Adds the passes of a shared library; false with a message in *error (which names both ABI versions if they
 * differ). */
bool passes_load(const char *path, struct arena *a, const char **error);
void passes_list(FILE *out);
/* Whether `text` names a valid pipeline; *error says which part is not, with the nearest pass's name. */
bool pipeline_check(const char *text, struct arena *a, const char **error);
/* The default pipeline up to the first run of a pass, and with it; "" if it has no such pass. */
const char *pipeline_until(struct arena *a, const char *pass);
/* false: a pass reported errors, or verification failed. */
bool pipeline_run(struct graph *g, const struct pipeline *p);

#endif
