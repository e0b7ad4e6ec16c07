/* Attention as scores in memory: cuBLAS's products of all heads, cuDNN's softmax between them. */
#include "tests/gpu/bench/peer_unfused.h"
#include "tests/gpu/bench/peer.h"
#include <cublas_v2.h>
#include <cudnn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { Q, K, V, OUT };

struct unfused {
    struct peer peer;
    struct peer_attention work;
    cublasHandle_t blas;
    cudnnHandle_t dnn;
    cudnnTensorDescriptor_t rows; /* of scores: [heads * length, length] */
    void *scores;                 /* bf16 [heads, length, length] */
};

static void check_blas(cublasStatus_t status) {
    if (status) peer_fail("cublasGemmStridedBatchedEx", cublasGetStatusString(status));
}

/* Column-major: scores^T [keys, queries] = k [keys, d] q^T [d, queries]; out^T [d, queries] = v^T [d, keys]
 * scores^T. A head's rows lie heads * d apart. */
static void launch(struct peer *p) {
    struct unfused *u = (struct unfused *)p;
    struct peer_memory *m = p->memory;
    int l = (int)u->work.length, h = (int)u->work.heads, d = (int)u->work.dim, wide = h * d;
    long long square = (long long)l * l;
    const float one = 1, zero = 0, scale = 1 / sqrtf((float)d);
    check_blas(cublasGemmStridedBatchedEx(u->blas, CUBLAS_OP_T, CUBLAS_OP_N, l, l, d, &scale, m[K].device,
                                          CUDA_R_16BF, wide, d, m[Q].device, CUDA_R_16BF, wide, d, &zero,
                                          u->scores, CUDA_R_16BF, l, square, h, CUBLAS_COMPUTE_32F,
                                          CUBLAS_GEMM_DEFAULT));
    cudnnStatus_t status = cudnnSoftmaxForward(u->dnn, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_INSTANCE,
                                               &one, u->rows, u->scores, &zero, u->rows, u->scores);
    if (status) peer_fail("cudnnSoftmaxForward", cudnnGetErrorString(status));
    check_blas(cublasGemmStridedBatchedEx(u->blas, CUBLAS_OP_N, CUBLAS_OP_N, d, l, l, &one, m[V].device,
                                          CUDA_R_16BF, wide, d, u->scores, CUDA_R_16BF, l, square, &zero,
                                          m[OUT].device, CUDA_R_16BF, wide, d, h, CUBLAS_COMPUTE_32F,
                                          CUBLAS_GEMM_DEFAULT));
}

static void release(struct peer *p) {
    struct unfused *u = (struct unfused *)p;
    if (u->scores) cudaFree(u->scores);
    if (u->rows) cudnnDestroyTensorDescriptor(u->rows);
    if (u->dnn) cudnnDestroy(u->dnn);
    if (u->blas) cublasDestroy(u->blas);
}

static bool prepare(struct unfused *u, int device, char *why) {
    const struct peer_attention *w = &u->work;
    size_t elements = (size_t)(w->length * w->heads * w->dim);
    if (!peer_start(&u->peer, device, why)) return false;
    snprintf(why, 400, "cuBLAS and cuDNN cannot be started");
    if (cublasCreate(&u->blas)) return u->blas = NULL, false;
    if (cudnnCreate(&u->dnn)) return u->dnn = NULL, false;
    if (cudnnCreateTensorDescriptor(&u->rows)) return u->rows = NULL, false;
    if (cublasSetStream(u->blas, u->peer.stream) || cudnnSetStream(u->dnn, u->peer.stream)) return false;
    if (cudnnSetTensor4dDescriptor(u->rows, CUDNN_TENSOR_NCHW, CUDNN_DATA_BFLOAT16,
                                   (int)(w->heads * w->length), (int)w->length, 1, 1))
        return false;
    for (int i = 0; i < 4; i++) peer_buffer(&u->peer, elements, true);
    peer_check(cudaMalloc(&u->scores, (size_t)(w->heads * w->length * w->length) * 2), "memory for scores");
    return true;
}

struct peer *peer_unfused(const struct peer_attention *work, int device, char *why) {
    struct unfused *u = calloc(1, sizeof *u);
    if (!u) peer_fail("peer_unfused", "out of memory");
    u->work = *work;
    u->peer = (struct peer){.name = work->causal ? "cuBLAS and softmax, all keys" : "cuBLAS and softmax",
                            .launch = launch,
                            .release = release,
                            .copied = 3,
                            .other = work->causal};
    if (prepare(u, device, why)) return &u->peer;
    peer_free(&u->peer);
    return NULL;
}
