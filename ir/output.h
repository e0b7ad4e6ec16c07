/* A file that appears whole or not at all: it is written under another name, and takes its own when it is
 * complete. What stands at its name and is no ordinary file, /dev/null say, is written where it is.
 *
 *     output_begin ─► output_open … output_close ─► output_keep, or output_discard
 *
 * Functions that can fail answer false, or NULL, with errno set. */
#ifndef IR_OUTPUT_H
#define IR_OUTPUT_H
#include "ir/arena.h"
#include <stdbool.h>
#include <stdio.h>

struct output {
    const char *path;    /* where it will be; NULL: standard output */
    const char *written; /* where it is written until then; may be `path` itself */
};

/* Whether something stands at `path` that is neither a file nor a folder. */
bool output_is_special(const char *path);
/* NULL and "-" name standard output. Nothing is made yet; fails if `path` is a folder. */
bool output_begin(struct output *o, struct arena *a, const char *path);
/* For writing; output_close gives it back, and says whether everything arrived. */
FILE *output_open(const struct output *o);
bool output_close(const struct output *o, FILE *file);
bool output_keep(const struct output *o);        /* complete: takes its own name */
void output_discard(const struct output *o);     /* removes what was written */
const char *output_name(const struct output *o); /* for messages */

#endif
