/* The bandwidth of the GPU's memory: a copy within it, which reads and writes. */
#ifndef GPU_BENCH_COPY_H
#define GPU_BENCH_COPY_H
#include "runtime/cuda_driver.h"

struct copy {
    struct cuda_driver driver;
    int device;
    struct cu_stream *stream;
    struct cu_event *start, *end;
    uint64_t from, to;
    size_t bytes;
};

/* A copy of so many bytes on GPU number `number`; what fails ends the program, where there is no GPU with
 * exit status 77. */
struct copy copy_new(int number, size_t bytes);
/* Bytes a second, read and written, of one copy. */
double copy_run(struct copy *c);
void copy_free(struct copy *c);
#endif
