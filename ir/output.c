/* Output files, under another name until they are complete. */
#include "ir/output.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool output_is_special(const char *path) {
    struct stat st;
    return !stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

bool output_begin(struct output *o, struct arena *a, const char *path) {
    struct stat st;
    *o = (struct output){NULL, NULL};
    if (!path || !strcmp(path, "-")) return true;
    if (!stat(path, &st) && S_ISDIR(st.st_mode)) return errno = EISDIR, false;
    o->path = o->written = path;
    if (!output_is_special(path)) o->written = arena_printf(a, "%s.%ld.tmp", path, (long)getpid());
    return true;
}

FILE *output_open(const struct output *o) { return o->path ? fopen(o->written, "wb") : stdout; }

bool output_close(const struct output *o, FILE *file) {
    bool good = !fflush(file) && !ferror(file);
    int error = errno;
    if (o->path && fclose(file) && good) return false;
    errno = error;
    return good;
}

bool output_keep(const struct output *o) { return o->written == o->path || !rename(o->written, o->path); }

void output_discard(const struct output *o) {
    if (o->written != o->path) unlink(o->written);
}

const char *output_name(const struct output *o) { return o->path ? o->path : "standard output"; }
