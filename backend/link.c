/* Objects and the runtime into a shared library, by a C compiler driver (the system's, or a cross
 * compiler's): it knows where libc is. */
#include "backend/code.h"
#include <string.h>

/* A runtime built with sanitizers leaves their functions to the program that opens the library. */
#ifdef __SANITIZE_ADDRESS__
#define SYMBOLS "-Wl,-z,undefs"
#else
#define SYMBOLS "-Wl,-z,defs"
#endif

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
    return code_run(c, arguments, "link the library");
}
