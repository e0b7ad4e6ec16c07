/* The passes that come with the compiler, and the table that the pipeline looks them up in. */
#ifndef PASSES_PASSES_H
#define PASSES_PASSES_H
#include "passes/pass.h"

#define PASS(name, skipped, options, meaning) bool pass_##name(struct graph *g);
#include "passes/passes.def"
#undef PASS

extern const char default_pipeline[];

/* The pass with this name, ours or a plug-in's; NULL if there is none. */
const struct pass *pass_find(const char *name);
/* The name of a pass that `name` may have been meant for, or NULL. */
const char *pass_nearest(const char *name, struct arena *a);
/* What --opt-bisect-limit does to a pass past its limit. */
extern const char pass_leave_out[], pass_always[];
const char *pass_skipped(const struct pass *p); /* pass_leave_out, pass_always, or options */

/* Looks `name` up in a list "max=8 cost=2": its value (length in *length), or NULL. */
const char *pass_option_find(const char *list, const char *name, size_t *length);
/* Whether every option of `given` is declared by the pass, with a number where its default is one; else
 * *error says what is wrong. */
bool pass_options_check(const struct pass *p, const char *given, struct arena *a, const char **error);

/* Steps of a pipeline: "fold,fuse{max=8}". */
struct step {
    const struct pass *pass;
    const char *options;
};
/* Parses into steps (in `a`); -1 with *error in words. */
int pipeline_parse(const char *text, struct arena *a, struct step **steps, const char **error);

#endif
