/* A .mdl text, compiled in this process and loaded, beside the interpreter's reading of the same text. */
#ifndef TESTS_COMPILED_H
#define TESTS_COMPILED_H
#include "ir/interp.h"
#include "runtime/abi.h"
#include "tests/numeric/guarded.h"

struct compiled {
    struct arena *arena;
    struct graph *graph; /* not optimised: the interpreter's */
    struct interp *interp;
    void *library;
    const struct mdl_descriptor *descriptor;
    struct mdl_model *models[2]; /* opened for one thread, and for three */
    struct mdl_session *sessions[2];
};

/* Compiles for `cpu` ("native", ...), with options "precision=bf16 ..." (or ""). NULL after saying why on
 * stderr. */
struct compiled *compiled_new(const char *text, const char *cpu, const char *options);
void compiled_free(struct compiled *c);

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
