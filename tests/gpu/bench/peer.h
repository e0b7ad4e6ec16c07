/* What the peers' files share: a device's stream, buffers, events. */
#ifndef GPU_BENCH_PEER_H
#define GPU_BENCH_PEER_H
#include "tests/gpu/bench/peers.h"
#include <cuda_runtime_api.h>
#include <stddef.h>

struct peer_memory {
    void *device, *host; /* host: page-locked, what is copied in before each run */
    size_t bytes;
};
struct peer {
    const char *name;
    void (*launch)(struct peer *p); /* puts its kernels on the stream */
    void (*release)(struct peer *p);
    cudaStream_t stream;
    cudaEvent_t start, end;
    struct peer_memory memory[4];
    int memory_count,
        copied; /* copied: how many of them are inputs; they come first. The result is the last */
    bool other; /* it does not compute what ours does */
};

/* false, with the reason, where CUDA cannot be used. */
bool peer_start(struct peer *p, int device, char *why);
/* One more buffer, full of numbers. */
void peer_buffer(struct peer *p, size_t count, bool bf16);
void peer_check(cudaError_t code, const char *what);
void peer_fail(const char *what, const char *why) __attribute__((noreturn));
#endif
