/* Objects and the runtime into a shared library, by a C compiler driver (the system's, or a cross
 * compiler's): it knows where libc is. */
#include "backend/code.h"
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

/* A runtime built with sanitizers leaves their functions to the program that opens the library. */
#ifdef __SANITIZE_ADDRESS__
#define SYMBOLS "-Wl,-z,undefs"
#else
#define SYMBOLS "-Wl,-z,defs"
#endif

/* Runs a program to its end; false: it could not be run, or failed. */
static bool run(struct code *c, char *const *arguments) {
    c->io_failed = true;
    pid_t child;
    int status, failed = posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ);
    if (failed) {
        emit_error(c->emitters[0], (struct loc){0}, "%s could not be run to link the library: %s",
                   arguments[0], strerror(failed));
        return false;
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) ice("waitpid: %s", strerror(errno));
    if (WIFEXITED(status) && !WEXITSTATUS(status)) return c->io_failed = false, true;
    emit_error(c->emitters[0], (struct loc){0}, "linking failed: %s exited with status %d", arguments[0],
               WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return false;
}

bool link_library(struct code *c, const char *const *objects, int count, const char *output) {
    enum { FIXED = 16 };
    char *driver = arena_strdup(c->arena, c->options->linker ? c->options->linker : "cc"), *rest;
    char **arguments = arena_new_array(c->arena, char *, FIXED + strlen(driver) + (size_t)count + 1);
    int n = 0;
    const char *soname = arena_printf(c->arena, "-Wl,-soname,lib%s.so", c->graph->name);
    const char *before[] = {"-shared", "-o", output, soname};
    const char *after[] = {
        c->options->runtime,
        "-Wl,--gc-sections",
        "-Wl,--exclude-libs,ALL",
        "-Wl,--as-needed",
        SYMBOLS,
        "-Wl,-z,noexecstack",
        "-Wl,--build-id=none",
        "-Wl,--compress-debug-sections=zlib", /* the runtime's: a third of a small library */
        "-lm",
        "-lpthread"};
    for (char *word = strtok_r(driver, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        arguments[n++] = word;
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        arguments[n++] = arena_strdup(c->arena, before[i]);
    for (int i = 0; i < count; i++) arguments[n++] = arena_strdup(c->arena, objects[i]);
    for (size_t i = 0; i < sizeof after / sizeof *after; i++)
        arguments[n++] = arena_strdup(c->arena, after[i]);
    return run(c, arguments);
}
