/* A compiled model on the GPU, and how long its kernels and its calls take. */
#ifndef GPU_BENCH_OURS_H
#define GPU_BENCH_OURS_H
#include "tests/bench/measure.h"

enum { OURS_TENSORS = 8, OURS_EVENTS = 4096 };

struct ours {
    struct measured m;
    uint32_t function;
    int64_t dims[4]; /* those of the function, which the caller sets; 1 at first */
    void *inputs[OURS_TENSORS], *results[OURS_TENSORS];
    struct mdl_event *events; /* [OURS_EVENTS] */
};

/* The library that the command line names, and its function, with random inputs. Whatever fails ends the
 * program. */
struct ours ours_open(const char *library, const struct option_list *list, const char *function);
void ours_close(struct ours *o);

/* Seconds of a call, with the copies of its inputs and results. */
double ours_call(struct ours *o);
/* Seconds that the kernels of one more call took on the GPU, between events of the driver. */
double ours_kernels(struct ours *o);
/* Seconds that the GPU takes for the graph of the last call, its copies included, launched once more. */
double ours_graph(struct ours *o);
#endif
