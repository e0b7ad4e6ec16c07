/* Output files, under another name until they are complete. */
#include "runtime/replace.h"
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool replace_begin(struct replacement *r, const char *path) {
    struct stat st;
    bool ordinary = stat(path, &st) || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
    static atomic_uint serial; /* so that threads do not meet in one file */
    unsigned number = atomic_fetch_add(&serial, 1);
    int n = ordinary ? snprintf(r->written, sizeof r->written, "%s.%ld.%u.tmp", path, (long)getpid(), number)
                     : snprintf(r->written, sizeof r->written, "%s", path);
    r->path = path;
    r->file = NULL;
    if (n < 0 || (size_t)n >= sizeof r->written) return errno = ENAMETOOLONG, false;
    r->file = fopen(r->written, "wb");
    return r->file != NULL;
}

bool replace_end(struct replacement *r) {
    bool good = !fflush(r->file) && !ferror(r->file), in_place = !strcmp(r->written, r->path);
    int error = errno;
    if (fclose(r->file) && good) good = false, error = errno;
    if (good && (in_place || !rename(r->written, r->path))) return true;
    if (good) error = errno;
    if (!in_place) unlink(r->written);
    errno = error;
    return false;
}
