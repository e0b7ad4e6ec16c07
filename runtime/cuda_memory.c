/* A GPU's memory: taken, given back, filled and read. */
#include "runtime/cuda.h"
#include <string.h>

int cuda_allocate(struct cuda_visit *v, struct cuda_block *b, size_t bytes, const char *what) {
    *b = (struct cuda_block){0};
    if (!bytes) return MDL_OK;
    int code = v->device->driver.cuMemAlloc_v2(&b->at, bytes);
    if (code) b->at = 0;
    b->bytes = code ? 0 : bytes;
    return cuda_check(v, code, "%zu bytes for %s", bytes, what);
}

void cuda_free(struct cuda_visit *v, struct cuda_block *b) {
    if (b->at) v->device->driver.cuMemFree_v2(b->at);
    *b = (struct cuda_block){0};
}

int cuda_grow(struct cuda_visit *v, struct cuda_block *b, size_t bytes, const char *what) {
    if (bytes <= b->bytes) return MDL_OK;
    size_t twice = 2 * b->bytes;
    cuda_free(v, b);
    int status = twice > bytes ? cuda_allocate(v, b, twice, what) : MDL_NO_MEMORY;
    return status == MDL_NO_MEMORY ? cuda_allocate(v, b, bytes, what) : status;
}

/* Where waiting fails it is tried once more: what is on the stream uses memory that may be about to be given
 * back. */
int cuda_wait(struct cuda_visit *v, struct cu_stream *stream) {
    int code = v->device->driver.cuStreamSynchronize(stream);
    if (code) v->device->driver.cuStreamSynchronize(stream);
    return code;
}

/* Two page-locked pieces: while one is on its way the other is filled or emptied. */
enum { PIECE = 8 << 20, PIECES = 2 };
struct pieces {
    char *at[PIECES];
    struct cu_event *free[PIECES]; /* passed: the copy from or to the piece is done */
    size_t bytes;                  /* of one */
};

static void pieces_free(struct cuda_visit *v, struct pieces *p) {
    const struct cuda_driver *d = &v->device->driver;
    for (int i = 0; i < PIECES; i++) {
        if (p->free[i]) d->cuEventDestroy_v2(p->free[i]);
        if (p->at[i]) d->cuMemFreeHost(p->at[i]);
    }
}

static int pieces_new(struct cuda_visit *v, struct pieces *p, size_t bytes) {
    const struct cuda_driver *d = &v->device->driver;
    int code = 0;
    *p = (struct pieces){.bytes = bytes < PIECE ? bytes : PIECE};
    for (int i = 0; i < PIECES && !code; i++) {
        void *at = NULL;
        code = d->cuMemAllocHost_v2(&at, p->bytes);
        p->at[i] = code ? NULL : at;
        if (!code) code = d->cuEventCreate(&p->free[i], CU_EVENT_DISABLE_TIMING);
        if (code) p->free[i] = NULL;
    }
    int status = cuda_check(v, code, "%zu bytes of page-locked memory", PIECES * p->bytes);
    if (status) pieces_free(v, p);
    return status;
}

static size_t length_of(const struct pieces *p, size_t done, size_t bytes) {
    return bytes - done < p->bytes ? bytes - done : p->bytes;
}

int cuda_upload(struct cuda_visit *v, uint64_t to, const char *from, size_t bytes, struct cu_stream *stream) {
    const struct cuda_driver *d = &v->device->driver;
    struct pieces p;
    int status = bytes ? pieces_new(v, &p, bytes) : MDL_OK, code = 0, i = 0;
    if (status || !bytes) return status;
    for (size_t done = 0; done < bytes && !code; done += p.bytes, i = (i + 1) % PIECES) {
        size_t length = length_of(&p, done, bytes);
        if (done >= PIECES * p.bytes) code = d->cuEventSynchronize(p.free[i]);
        if (code) break;
        memcpy(p.at[i], from + done, length);
        code = d->cuMemcpyHtoDAsync_v2(to + done, p.at[i], length, stream);
        if (!code) code = d->cuEventRecord(p.free[i], stream);
    }
    int end = cuda_wait(v, stream);
    pieces_free(v, &p);
    return cuda_check(v, code ? code : end, "%zu bytes cannot be copied to it", bytes);
}

/* The copy of each piece is begun before the one before it is emptied. */
int cuda_download(struct cuda_visit *v, char *to, uint64_t from, size_t bytes, struct cu_stream *stream) {
    const struct cuda_driver *d = &v->device->driver;
    struct pieces p;
    int status = bytes ? pieces_new(v, &p, bytes) : MDL_OK, code = 0;
    if (status || !bytes) return status;
    for (size_t done = 0, i = 0; done < bytes + p.bytes && !code; done += p.bytes, i++) {
        if (done < bytes)
            code = d->cuMemcpyDtoHAsync_v2(p.at[i % PIECES], from + done, length_of(&p, done, bytes), stream);
        if (done < bytes && !code) code = d->cuEventRecord(p.free[i % PIECES], stream);
        if (!i || code) continue;
        size_t before = done - p.bytes;
        code = d->cuEventSynchronize(p.free[(i - 1) % PIECES]);
        if (!code) memcpy(to + before, p.at[(i - 1) % PIECES], length_of(&p, before, bytes));
    }
    int end = cuda_wait(v, stream);
    pieces_free(v, &p);
    return cuda_check(v, code ? code : end, "%zu bytes cannot be copied from it", bytes);
}
