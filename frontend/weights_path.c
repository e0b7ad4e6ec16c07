/* Which files a model may read weights from: none outside its own folder, unless its user says so. */
#include "frontend/weights.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

char *weights_path(struct arena *a, const char *folder, const char *path) {
    if (!*folder || *path == '/') return arena_strdup(a, path);
    size_t length = strlen(folder);
    return arena_printf(a, "%s%s%s", folder, folder[length - 1] == '/' ? "" : "/", path);
}

static bool climbs(const char *path) { /* has a component ".." */
    for (const char *part = path;; part++) {
        size_t length = strcspn(part, "/");
        if (length == 2 && part[0] == '.' && part[1] == '.') return true;
        part += length;
        if (!*part) return false;
    }
}

static bool inside(const char *folder, const char *file) {
    size_t length = strlen(folder);
    if (!strcmp(folder, "/")) return true;
    return !strncmp(folder, file, length) && file[length] == '/';
}

static bool refuse(struct arena *a, char **error, const char *path, const char *why) {
    *error = arena_printf(a, "weights \"%s\" %s", path, why);
    return false;
}

bool weights_path_allowed(struct arena *a, const char *folder, const char *path, char **error) {
    if (!*path) return refuse(a, error, path, "is no path");
    if (*path == '/') return refuse(a, error, path, "is an absolute path: only --weights= may name one");
    if (climbs(path))
        return refuse(a, error, path, "leaves the model's folder by '..': only --weights= may do so");
    char *real_folder = realpath(*folder ? folder : ".", NULL);
    char *real_file = realpath(weights_path(a, folder, path), NULL);
    bool found = real_folder && real_file, allowed = found && inside(real_folder, real_file);
    const char *reason = strerror(errno);
    free(real_folder);
    free(real_file);
    if (!found) return refuse(a, error, path, arena_printf(a, "cannot be opened: %s", reason));
    if (!allowed)
        return refuse(a, error, path,
                      "leaves the model's folder by a symbolic link: only --weights= may do so");
    return true;
}
