/* cuBLAS at y = x w^T, all row-major. */
#include "tests/gpu/bench/peer.h"
#include <cublas_v2.h>
#include <stdio.h>
#include <stdlib.h>

enum { X, W, Y };

struct product {
    struct peer peer;
    struct peer_gemm work;
    cublasHandle_t handle;
};

/* Column-major, as cuBLAS has it: y^T [N, M] = w [N, K] x^T [K, M], where w and x lie with K as the fast one.
 */
static void launch(struct peer *p) {
    const struct product *g = (const struct product *)p;
    const float one = 1, zero = 0;
    cudaDataType_t type = g->work.bf16 ? CUDA_R_16BF : CUDA_R_32F;
    cublasComputeType_t how = g->work.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    int m = (int)g->work.m, n = (int)g->work.n, k = (int)g->work.k;
    cublasStatus_t status = cublasGemmEx(g->handle, CUBLAS_OP_T, CUBLAS_OP_N, n, m, k, &one,
                                         p->memory[W].device, type, k, p->memory[X].device, type, k, &zero,
                                         p->memory[Y].device, type, n, how, CUBLAS_GEMM_DEFAULT);
    if (status) peer_fail("cublasGemmEx", cublasGetStatusString(status));
}

static void release(struct peer *p) {
    struct product *g = (struct product *)p;
    if (g->handle) cublasDestroy(g->handle);
}

struct peer *peer_gemm(const struct peer_gemm *work, int device, char *why) {
    struct product *g = calloc(1, sizeof *g);
    if (!g) peer_fail("peer_gemm", "out of memory");
    g->peer = (struct peer){.name = work->tf32 ? "cuBLAS, TF32" : "cuBLAS",
                            .launch = launch,
                            .release = release,
                            .copied = 1,
                            .other = true /* weights */};
    g->work = *work;
    bool good = peer_start(&g->peer, device, why);
    cublasStatus_t status = good ? cublasCreate(&g->handle) : CUBLAS_STATUS_SUCCESS;
    if (status) g->handle = NULL;
    if (good && !status) status = cublasSetStream(g->handle, g->peer.stream);
    if (status) snprintf(why, 400, "cuBLAS: %s", cublasGetStatusString(status));
    if (!good || status) {
        peer_free(&g->peer);
        return NULL;
    }
    peer_buffer(&g->peer, (size_t)(work->m * work->k), work->bf16);
    peer_buffer(&g->peer, (size_t)(work->n * work->k), work->bf16);
    peer_buffer(&g->peer, (size_t)(work->m * work->n), work->bf16);
    return &g->peer;
}
