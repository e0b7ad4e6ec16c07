/* A copy within the GPU's memory, by the driver's own kernel. */
#include "tests/gpu/bench/copy.h"
#include "tests/bench/measure.h"
#include <stdio.h>
#include <stdlib.h>

static void check(const struct copy *c, int code, const char *what) {
    char why[200];
    if (!code) return;
    cuda_driver_text(&c->driver, code, why, sizeof why);
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

struct copy copy_new(int number, size_t bytes) {
    struct copy c = {.bytes = bytes};
    struct cu_context *context;
    char why[400];
    if (cuda_driver_open(&c.driver, why, sizeof why)) {
        fprintf(stderr, "no GPU: %s\n", why);
        exit(77);
    }
    const struct cuda_driver *d = &c.driver;
    check(&c, d->cuInit(0), "CUDA cannot be used here");
    check(&c, d->cuDeviceGet(&c.device, number), "the device");
    check(&c, d->cuDevicePrimaryCtxRetain(&context, c.device), "its context");
    check(&c, d->cuCtxSetCurrent(context), "its context");
    check(&c, d->cuStreamCreate(&c.stream, CU_STREAM_NON_BLOCKING), "a stream");
    check(&c, d->cuEventCreate(&c.start, 0), "an event");
    check(&c, d->cuEventCreate(&c.end, 0), "an event");
    check(&c, d->cuMemAlloc_v2(&c.from, bytes), "memory to copy");
    check(&c, d->cuMemAlloc_v2(&c.to, bytes), "memory to copy");
    check(&c, d->cuMemsetD8Async(c.from, 1, bytes, c.stream), "memory to copy");
    copy_run(&c);
    return c;
}

double copy_run(struct copy *c) {
    const struct cuda_driver *d = &c->driver;
    float ms = 0;
    check(c, d->cuEventRecord(c->start, c->stream), "a copy");
    check(c, d->cuMemcpyDtoDAsync_v2(c->to, c->from, c->bytes, c->stream), "a copy");
    check(c, d->cuEventRecord(c->end, c->stream), "a copy");
    check(c, d->cuEventSynchronize(c->end), "a copy");
    check(c, d->cuEventElapsedTime(&ms, c->start, c->end), "a copy");
    if (!(ms > 0)) measure_fail("a copy took no time: --copy wants more bytes");
    return 2 * (double)c->bytes / (1e-3 * (double)ms);
}

void copy_free(struct copy *c) {
    const struct cuda_driver *d = &c->driver;
    d->cuMemFree_v2(c->from), d->cuMemFree_v2(c->to);
    d->cuEventDestroy_v2(c->start), d->cuEventDestroy_v2(c->end);
    d->cuStreamDestroy_v2(c->stream);
    d->cuDevicePrimaryCtxRelease_v2(c->device);
    cuda_driver_close(&c->driver);
}
