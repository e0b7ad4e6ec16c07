/* Finds the MPI that started this process, and opens the shim that was built for it. */
#include "runtime/comm.h"
#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each MPI's launcher leaves these in the environment of what it starts. */
static const struct {
    const char *engine, *variable, *package;
    int flags; /* OpenMPI opens parts of itself, which look for its symbols among all of the process's */
} engines[] = {{"openmpi", "OMPI_COMM_WORLD_SIZE", "libopenmpi-dev", RTLD_NOW | RTLD_GLOBAL},
               {"mpich", "PMI_RANK", "libmpich-dev", RTLD_NOW | RTLD_LOCAL}};
enum { ENGINES = sizeof engines / sizeof *engines };

static int find_engine(const char *name, char *error, uint64_t size) {
    bool any = !name || !strcmp(name, "mpi");
    for (int i = 0; i < ENGINES; i++)
        if (any ? getenv(engines[i].variable) != NULL : !strcmp(name, engines[i].engine)) return i;
    if (any)
        snprintf(error, size, "this process was not started by mpirun, of OpenMPI or of MPICH");
    else
        snprintf(error, size, "there is no engine '%s': openmpi and mpich can be opened", name);
    return -1;
}

/* The first of the folders that has the shim; false: none. */
static bool find_shim(const char *engine, char *path, size_t size) {
    const char *folders = getenv("MDL_COMM_PATH");
    char all[PATH_MAX];
    snprintf(all, sizeof all, "%s%s%s", folders ? folders : "", folders ? ":" : "", PKGLIBDIR);
    for (char *rest = all, *folder; (folder = strsep(&rest, ":"));) {
        int n = snprintf(path, size, "%s/libmdl-%s.so", folder, engine);
        if (*folder && n > 0 && (size_t)n < size && access(path, R_OK) == 0) return true;
    }
    return false;
}

int mdl_comm_open(const char *engine, char *error, uint64_t size, struct mdl_comm **comm) {
    char path[PATH_MAX];
    *comm = NULL;
    int i = find_engine(engine, error, size);
    if (i < 0) return MDL_INVALID;
    if (!find_shim(engines[i].engine, path, sizeof path)) {
        snprintf(error, size,
                 "libmdl-%s.so was not found in $MDL_COMM_PATH nor in %s: build mdlc where %s is installed",
                 engines[i].engine, PKGLIBDIR, engines[i].package);
        return MDL_IO;
    }
    void *shim = dlopen(path, engines[i].flags);
    int (*open)(struct mdl_comm **, char *, uint64_t);
    void *symbol = shim ? dlsym(shim, "mdl_comm_mpi") : NULL;
    if (!symbol) {
        snprintf(error, size, "%s", dlerror());
        return MDL_IO;
    }
    memcpy(&open, &symbol, sizeof open);
    return open(comm, error, size);
}
