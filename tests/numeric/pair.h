/* A compiled model opened twice, for one thread and for three, and calls of it beside guard pages. It needs
 * nothing of the compiler, so that it also runs where only the model's own machine is (remote.c). */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H
#include "runtime/abi.h"
#include "tests/numeric/guarded.h"
#include <stdbool.h>
#include <stdio.h>

enum { PAIR_TENSORS = 16, PAIR_DIMS = 8 };

struct pair {
    void *library;
    const struct mdl_descriptor *descriptor;
    struct mdl_model *models[2];
    struct mdl_session *sessions[2]; /* their arenas are full of NaN before each call */
};
/* false after saying why on stderr. */
bool pair_open(struct pair *p, const char *path);
void pair_close(struct pair *p);

struct pair_call {
    const struct mdl_function *f;
    uint32_t function;
    int64_t dims[PAIR_DIMS];
    enum guard_side side;
    void *in[PAIR_TENSORS], *out[2][PAIR_TENSORS]; /* of the one session, and of the other */
    size_t in_bytes[PAIR_TENSORS], out_bytes[PAIR_TENSORS];
    int status[2];
};
/* The extents of a tensor at these dims into `extents`; returns its bytes. */
size_t pair_shape(const struct mdl_descriptor *d, const struct mdl_tensor *t, const int64_t *dims,
                  int64_t *extents);
/* Buffers beside guard pages for `function`, `dims`, `side`, which are set. */
void pair_call_begin(const struct mdl_descriptor *d, struct pair_call *c);
void pair_call_run(struct pair *p, struct pair_call *c);
void pair_call_end(struct pair_call *c);

/* The same through pipes: function, side, dims and inputs go, both statuses and, if both are 0, both
 * sessions' results come back. false: the other side is gone. */
bool pair_send_call(FILE *to, const struct pair_call *c);
bool pair_receive_results(FILE *from, struct pair_call *c);
bool pair_receive_call(FILE *from, const struct mdl_descriptor *d, struct pair_call *c); /* begins `c` */
bool pair_send_results(FILE *to, const struct pair_call *c);

#endif
