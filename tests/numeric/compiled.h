/* A .mdl text, compiled in this process, beside the interpreter's reading of the same text. What was compiled
 * runs in this process too (on a GPU, if it was compiled for one), or, for another kind of machine, in an
 * emulator at the other end of two pipes. */
#ifndef TESTS_COMPILED_H
#define TESTS_COMPILED_H
#include "ir/interp.h"
#include "tests/numeric/pair.h"
#include <sys/types.h>

/* What is compiled for. */
struct machine {
    const char *cpu;     /* NULL: native, or generic; emulate:NAME: another processor's kernels here */
    const char *triple;  /* NULL: this machine's */
    char *const *runner; /* the command that runs `remote` there, to which the library's path is added; NULL:
                            none needed */
};
/* Arguments [CPU [TYPE [TRIPLE RUNNER...]]] of a program. */
struct machine machine_of(int argc, char **argv);

struct compiled {
    struct arena *arena;
    struct graph *graph; /* not optimised: the interpreter's */
    struct interp *interp;
    struct pair pair; /* for this machine; with a runner only its descriptor is used */
    FILE *to, *from;  /* the runner, or NULL */
    pid_t runner;
    const char *folder; /* of the libraries */
};

/* Compiles with options "precision=bf16 ..." (or ""). NULL after saying why on stderr. */
struct compiled *compiled_new(const char *text, const struct machine *m, const char *options);
void compiled_free(struct compiled *c);
/* Makes a call that was begun, here or through the runner; false: the runner died. */
bool compiled_run(struct compiled *c, struct pair_call *call);

/* One call of a function: random inputs for these dims, run by the compiled code, with guard pages on one
 * side of every array, by one thread and by three, and by the interpreter. */
struct check {
    const char *function;
    const int64_t *dims;
    enum guard_side side;
    unsigned seed;
    double tolerance; /* of the largest expected magnitude; multiplied for narrow types */
};
/* Whether all agree, the two calls bit by bit; if not, `*what` says where. Where the interpreter refuses the
 * call, compiled code may do anything but crash. */
bool compiled_agrees(struct compiled *c, const struct check *k, const char **what);

#endif
