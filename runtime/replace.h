/* An output file that appears whole or not at all: it is written beside its place and moved there when
 * complete. What stands there and is no ordinary file, /dev/null say, is written in place. (The compiler,
 * which includes nothing of the runtime, has ir/output.h for the same.) */
#ifndef RUNTIME_REPLACE_H
#define RUNTIME_REPLACE_H
#include <stdbool.h>
#include <stdio.h>

struct replacement {
    FILE *file;
    const char *path;
    char written[4096]; /* the name it is written under; `path` itself for what is no ordinary file */
};

/* Opens r->file; false with errno set. `path` must outlive *r. */
bool replace_begin(struct replacement *r, const char *path);
/* Closes it and gives it its name; false with errno set and nothing left behind if not all of it was written.
 */
bool replace_end(struct replacement *r);

#endif
