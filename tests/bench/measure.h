/* What the programs that measure share: a compiled model opened by its descriptor, a clock, medians, lines
 * for bench.py. Whatever goes wrong ends the program, with the reason. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H
#include "runtime/abi.h"
#include "runtime/options.h"

/* Rows of every such program's options. */
#define MEASURE_OPTION_ROWS                                                                                  \
    {0, "threads", "N", "threads a call may use [2]", NULL},                                                 \
        {0, "device", "cpu|cuda:N", "where to run [what the library is for]", NULL}, {                       \
        0, "weights", "FILE", "the weights file", NULL                                                       \
    }

struct measured {
    const struct mdl_descriptor *descriptor;
    const struct mdl_api *api;
    struct mdl_model *model;
    struct mdl_session *session;
};

/* Opens the library at `path` as the options say, with a session. measure_close releases it. */
struct measured measure_open(const char *path, const struct option_list *list);
void measure_close(struct measured *m);

/* An exported function by its name, and the last extent of its first result: a vocabulary. */
uint32_t measure_function(const struct measured *m, const char *name);
int64_t measure_vocabulary(const struct measured *m, uint32_t function);
void measure_call(const struct measured *m, uint32_t function, int64_t dim, const void *const *inputs,
                  void *result);

/* Token i of a text: the peers' ids, so that both do the same work. */
int32_t measure_token(int64_t i);

double measure_now(void); /* seconds */
double measure_median(double *values, int count); /* puts them in order */
int64_t measure_number(const struct option_list *list, const char *name, int64_t fallback);
void *measure_memory(int64_t count, size_t size);
void measure_fail(const char *what) __attribute__((noreturn));

/* A line for bench.py: {"peer": "mdlc", "work": "MODEL WORK", ...}. */
void measure_print(const struct measured *m, const char *work, double value, const char *unit);
#endif
