/* cuDNN's attention: its operations as a graph, for which it has one kernel.
 *
 *     scores = (q k^T) * scale        causal: where(row >= column, scores, -inf)
 *     p = exp(scores - max(scores));  p / sum(p) v
 */
#include "tests/gpu/bench/cudnn_graph.h"
#include "tests/gpu/bench/peer.h"
#include "tests/gpu/bench/peer_unfused.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { Q, K, V, OUT };

struct attention {
    struct peer peer;
    cudnnHandle_t handle;
    struct cudnn_graph graph;
    descriptor plan, arguments;
    void *workspace;
    float scale, minus_infinity;
};

/* The numbers of the tensors that are not between two operations. */
struct numbers {
    int64_t q, k, v, scale, minus_infinity, out;
};

static void set4(int64_t *x, int64_t a, int64_t b, int64_t c, int64_t d) {
    x[0] = a, x[1] = b, x[2] = c, x[3] = d;
}

/* Shapes of the graph, as [batch, heads, rows, columns]. */
struct shapes {
    int64_t rows[4], keys[4], scores[4], row[4],
        one[4]; /* q v out; k^T; scores; one number a row; a scalar */
    int64_t rows_strides[4], keys_strides[4], scores_strides[4], row_strides[4], one_strides[4];
};

/* In memory all are [length, heads, dim]. */
static struct shapes shapes_of(const struct peer_attention *w) {
    struct shapes s;
    int64_t l = w->length, h = w->heads, d = w->dim;
    set4(s.rows, 1, h, l, d), set4(s.rows_strides, l * h * d, d, h * d, 1);
    set4(s.keys, 1, h, d, l), set4(s.keys_strides, l * h * d, d, 1, h * d);
    set4(s.scores, 1, h, l, l), set4(s.scores_strides, h * l * l, l * l, l, 1);
    set4(s.row, 1, h, l, 1), set4(s.row_strides, h * l, l, 1, 1);
    set4(s.one, 1, 1, 1, 1), set4(s.one_strides, 1, 1, 1, 1);
    return s;
}

static descriptor between(struct cudnn_graph *g, const struct shapes *s, cudnnDataType_t type) {
    return cudnn_tensor(g, type, s->scores, s->scores_strides, CUDNN_BETWEEN);
}

/* Scores of keys behind the query's place become -inf. */
static descriptor mask(struct cudnn_graph *g, const struct shapes *s, descriptor scores, struct numbers *n) {
    descriptor row = between(g, s, CUDNN_DATA_INT32), column = between(g, s, CUDNN_DATA_INT32);
    descriptor seen = between(g, s, CUDNN_DATA_BOOLEAN), masked = between(g, s, CUDNN_DATA_FLOAT);
    descriptor infinity = cudnn_tensor(g, CUDNN_DATA_FLOAT, s->one, s->one_strides, CUDNN_BY_VALUE);
    n->minus_infinity = g->tensors;
    cudnn_pointwise(g, CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_INT32, scores, NULL, NULL, row, 2);
    cudnn_pointwise(g, CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_INT32, scores, NULL, NULL, column, 3);
    cudnn_pointwise(g, CUDNN_POINTWISE_CMP_GE, CUDNN_DATA_BOOLEAN, row, column, NULL, seen, -1);
    cudnn_pointwise(g, CUDNN_POINTWISE_BINARY_SELECT, CUDNN_DATA_FLOAT, scores, infinity, seen, masked, -1);
    return masked;
}

static descriptor a_row(struct cudnn_graph *g, const struct shapes *s) {
    return cudnn_tensor(g, CUDNN_DATA_FLOAT, s->row, s->row_strides, CUDNN_BETWEEN);
}

/* The form that the library knows has what a backward pass wants, max + log(sum), also where nobody reads it.
 */
static descriptor softmax(struct cudnn_graph *g, const struct shapes *s, descriptor scores) {
    descriptor most = a_row(g, s), sum = a_row(g, s), logarithm = a_row(g, s), statistics = a_row(g, s);
    descriptor less = between(g, s, CUDNN_DATA_FLOAT), power = between(g, s, CUDNN_DATA_FLOAT);
    descriptor share = between(g, s, CUDNN_DATA_BFLOAT16);
    cudnn_reduce(g, CUDNN_REDUCE_TENSOR_MAX, scores, most);
    cudnn_pointwise(g, CUDNN_POINTWISE_SUB, CUDNN_DATA_FLOAT, scores, most, NULL, less, -1);
    cudnn_pointwise(g, CUDNN_POINTWISE_EXP, CUDNN_DATA_FLOAT, less, NULL, NULL, power, -1);
    cudnn_reduce(g, CUDNN_REDUCE_TENSOR_ADD, power, sum);
    cudnn_pointwise(g, CUDNN_POINTWISE_LOG, CUDNN_DATA_FLOAT, sum, NULL, NULL, logarithm, -1);
    cudnn_pointwise(g, CUDNN_POINTWISE_ADD, CUDNN_DATA_FLOAT, most, logarithm, NULL, statistics, -1);
    cudnn_pointwise(g, CUDNN_POINTWISE_DIV, CUDNN_DATA_FLOAT, power, sum, NULL, share, -1);
    return share;
}

static struct numbers build(struct cudnn_graph *g, const struct peer_attention *w) {
    struct shapes s = shapes_of(w);
    struct numbers n = {0};
    descriptor q = cudnn_tensor(g, CUDNN_DATA_BFLOAT16, s.rows, s.rows_strides, CUDNN_IN_MEMORY);
    n.q = g->tensors;
    descriptor k = cudnn_tensor(g, CUDNN_DATA_BFLOAT16, s.keys, s.keys_strides, CUDNN_IN_MEMORY);
    n.k = g->tensors;
    descriptor v = cudnn_tensor(g, CUDNN_DATA_BFLOAT16, s.rows, s.rows_strides, CUDNN_IN_MEMORY);
    n.v = g->tensors;
    descriptor out = cudnn_tensor(g, CUDNN_DATA_BFLOAT16, s.rows, s.rows_strides, CUDNN_IN_MEMORY);
    n.out = g->tensors;
    descriptor scale = cudnn_tensor(g, CUDNN_DATA_FLOAT, s.one, s.one_strides, CUDNN_BY_VALUE);
    n.scale = g->tensors;
    descriptor products = between(g, &s, CUDNN_DATA_FLOAT), scores = between(g, &s, CUDNN_DATA_FLOAT);
    cudnn_matmul(g, q, k, products);
    cudnn_pointwise(g, CUDNN_POINTWISE_MUL, CUDNN_DATA_FLOAT, products, scale, NULL, scores, -1);
    if (w->causal) scores = mask(g, &s, scores, &n);
    cudnn_matmul(g, softmax(g, &s, scores), v, out);
    return n;
}

static void launch(struct peer *p) {
    struct attention *a = (struct attention *)p;
    cudnnStatus_t status = cudnnBackendExecute(a->handle, a->plan, a->arguments);
    if (status) peer_fail("cudnnBackendExecute", cudnnGetErrorString(status));
}

static void release(struct peer *p) {
    struct attention *a = (struct attention *)p;
    cudnn_graph_free(&a->graph);
    if (a->workspace) cudaFree(a->workspace);
    if (a->handle) cudnnDestroy(a->handle);
}

static void bind(struct attention *a, const struct numbers *n, bool causal) {
    int64_t numbers[] = {n->q, n->k, n->v, n->out, n->scale, n->minus_infinity};
    struct peer_memory *m = a->peer.memory;
    void *pointers[] = {m[Q].device, m[K].device, m[V].device, m[OUT].device, &a->scale, &a->minus_infinity};
    a->arguments = cudnn_arguments(&a->graph, causal ? 6 : 5, numbers, pointers, a->workspace);
}

static bool prepare(struct attention *a, const struct peer_attention *w, int device, char *why) {
    int64_t workspace = 0;
    if (!peer_start(&a->peer, device, why)) return false;
    cudnnStatus_t status = cudnnCreate(&a->handle);
    if (status) a->handle = NULL;
    if (!status) status = cudnnSetStream(a->handle, a->peer.stream);
    if (status) snprintf(why, 400, "cuDNN: %s", cudnnGetErrorString(status));
    if (status) return false;
    struct numbers n = build(&a->graph, w);
    a->plan = cudnn_plan(&a->graph, a->handle, &workspace);
    for (int i = 0; i < 4 && a->plan; i++)
        peer_buffer(&a->peer, (size_t)(w->length * w->heads * w->dim), true);
    if (a->plan && workspace) peer_check(cudaMalloc(&a->workspace, (size_t)workspace), "cuDNN's workspace");
    if (a->plan) bind(a, &n, w->causal);
    if (a->graph.failed)
        snprintf(why, 400, "cuDNN: %s: %s %s", a->graph.failed, cudnnGetErrorString(a->graph.status),
                 a->graph.why);
    return !a->graph.failed;
}

struct peer *peer_attention(const struct peer_attention *work, int device, char *why) {
    struct attention *a = calloc(1, sizeof *a);
    if (!a) peer_fail("peer_attention", "out of memory");
    a->scale = 1 / sqrtf((float)work->dim);
    a->minus_infinity = -INFINITY;
    a->peer = (struct peer){.name = "cuDNN", .launch = launch, .release = release, .copied = 3};
    if (prepare(a, work, device, why)) return &a->peer;
    peer_free(&a->peer);
    fprintf(stderr, "no fused attention of cuDNN's: %s\n", why);
    return peer_unfused(work, device, why);
}
