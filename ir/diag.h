/* Places in the model's text, and messages about them in clang's form:
 *
 *     smollm2.mdl:21:9: error: linear: inner extents differ: x has 576, w has 1536
 *         q = linear(x, wq[i])
 *             ^
 */
#ifndef IR_DIAG_H
#define IR_DIAG_H
#include "ir/arena.h"
#include <stdbool.h>
#include <stdio.h>

/* A text that locations point into; `text` NULL when only its path is known (a loc(...) in a dump). */
struct source {
    const char *path;
    const char *text;
    size_t length;
    struct source *next;
};
struct loc {
    const struct source *source; /* NULL: no place */
    int line, column;            /* from 1; columns count bytes */
};

struct diag {
    struct arena *arena;
    FILE *out;              /* where messages go: stderr for the tools, a memory stream in tests */
    struct source *sources; /* all texts seen, for carets */
    int errors, warnings;
    int limit; /* errors printed before the rest is only counted; 0: no limit */
};

void diag_init(struct diag *d, struct arena *arena, FILE *out);
/* The source with this path, made if new. `text` (may be NULL) must live as long as the arena. */
const struct source *diag_source(struct diag *d, const char *path, const char *text, size_t length);

/* Counts and prints; notes belong to the error or warning before them. */
void diag_error(struct diag *d, struct loc loc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void diag_warning(struct diag *d, struct loc loc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void diag_note(struct diag *d, struct loc loc, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The candidate nearest to `word` by edit distance, or NULL if none is near enough to be meant (distance at
 * most a third of the word's length, at least 1). For "did you mean". */
const char *diag_nearest(const char *word, const char *const *candidates, int count);

/* An error of the compiler itself: says where it was (see ice_context), then exits with status 70. */
_Noreturn void ice(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What the compiler is doing ("pass fuse"), for the message of ice() and of fatal signals; NULL: nothing
 * special. `report`, if not NULL, is called by ice() with `data` to print what graph it began with and a
 * command that repeats it. */
void ice_context(const char *doing, void (*report)(void *data, FILE *out), void *data);
/* From now on a fatal signal (SIGSEGV, SIGABRT, ...), of our code or of a library's, is answered as by ice().
 */
void ice_on_signals(void);

#endif
