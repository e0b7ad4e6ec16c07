/* What the peers share: their device, their inputs, their events. */
#include "tests/gpu/bench/peer.h"
#include <stdio.h>
#include <stdlib.h>

void peer_fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

void peer_check(cudaError_t code, const char *what) {
    if (code) peer_fail(what, cudaGetErrorString(code));
}

/* The numbers of ours_open (ours.c), as f32 or rounded to bf16. */
static void fill(void *at, size_t count, bool bf16) {
    uint32_t seed = 1;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        union {
            float value;
            uint32_t bits;
        } x = {.value = (float)(seed >> 8) / (1 << 23) - 1};
        if (bf16)
            ((uint16_t *)at)[i] = (uint16_t)((x.bits + 0x7fff + (x.bits >> 16 & 1)) >> 16);
        else
            ((float *)at)[i] = x.value;
    }
}

void peer_buffer(struct peer *p, size_t count, bool bf16) {
    struct peer_memory *b = &p->memory[p->memory_count++];
    b->bytes = count * (bf16 ? 2 : 4);
    peer_check(cudaMalloc(&b->device, b->bytes), "the peer's memory");
    peer_check(cudaMallocHost(&b->host, b->bytes), "the peer's page-locked memory");
    fill(b->host, count, bf16);
    peer_check(cudaMemcpy(b->device, b->host, b->bytes, cudaMemcpyHostToDevice), "the peer's inputs");
}

bool peer_start(struct peer *p, int device, char *why) {
    cudaError_t code = cudaSetDevice(device);
    if (!code) code = cudaStreamCreateWithFlags(&p->stream, cudaStreamNonBlocking);
    if (!code) code = cudaEventCreate(&p->start);
    if (!code) code = cudaEventCreate(&p->end);
    if (code) snprintf(why, 400, "CUDA's runtime: %s", cudaGetErrorString(code));
    return !code;
}

double peer_run(struct peer *p) {
    float ms = 0;
    for (int i = 0; i < p->copied; i++)
        peer_check(cudaMemcpyAsync(p->memory[i].device, p->memory[i].host, p->memory[i].bytes,
                                   cudaMemcpyHostToDevice, p->stream),
                   "the peer's inputs");
    peer_check(cudaEventRecord(p->start, p->stream), "an event");
    p->launch(p);
    peer_check(cudaEventRecord(p->end, p->stream), "an event");
    peer_check(cudaEventSynchronize(p->end), "the peer's kernels");
    peer_check(cudaEventElapsedTime(&ms, p->start, p->end), "an event");
    return 1e-3 * (double)ms;
}

bool peer_result(const struct peer *p, void *out) {
    const struct peer_memory *b = &p->memory[p->memory_count - 1];
    if (p->other) return false;
    peer_check(cudaMemcpy(out, b->device, b->bytes, cudaMemcpyDeviceToHost), "the peer's result");
    return true;
}

const char *peer_name(const struct peer *p) { return p->name; }

void peer_free(struct peer *p) {
    if (!p) return;
    if (p->release) p->release(p);
    for (int i = 0; i < p->memory_count; i++) cudaFree(p->memory[i].device), cudaFreeHost(p->memory[i].host);
    if (p->start) cudaEventDestroy(p->start);
    if (p->end) cudaEventDestroy(p->end);
    if (p->stream) cudaStreamDestroy(p->stream);
    free(p);
}
