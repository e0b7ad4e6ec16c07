/* A graph of cuDNN's: tensors and operations, then a plan for them. The first thing that fails is kept, and
 * all later calls do nothing; so only the end need be looked at. */
#ifndef GPU_BENCH_CUDNN_GRAPH_H
#define GPU_BENCH_CUDNN_GRAPH_H
#include <cudnn.h>
#include <stdbool.h>

enum { CUDNN_GRAPH_MADE = 96, CUDNN_GRAPH_OPERATIONS = 16 };
typedef cudnnBackendDescriptor_t descriptor; /* the library's */

struct cudnn_graph {
    descriptor made[CUDNN_GRAPH_MADE]; /* all of them, for their release */
    descriptor operations[CUDNN_GRAPH_OPERATIONS];
    int made_count, operations_count;
    int64_t tensors;      /* their numbers are 1, 2, ... in the order they are made */
    cudnnStatus_t status; /* of what failed first */
    const char *failed;   /* what it was */
    char why[200];        /* the library's own words */
};

/* How a tensor comes by its values. */
enum cudnn_place {
    CUDNN_IN_MEMORY,
    CUDNN_BETWEEN /* two operations */,
    CUDNN_BY_VALUE /* in the host's memory */
};

descriptor cudnn_tensor(struct cudnn_graph *g, cudnnDataType_t type, const int64_t dims[4],
                        const int64_t strides[4], enum cudnn_place place);
void cudnn_matmul(struct cudnn_graph *g, descriptor a, descriptor b, descriptor c);
/* y = mode(x, b) computed in `type`; b may be NULL. `condition` of BINARY_SELECT, else NULL. `axis` of
 * GEN_INDEX, else -1. */
void cudnn_pointwise(struct cudnn_graph *g, cudnnPointwiseMode_t mode, cudnnDataType_t type, descriptor x,
                     descriptor b, descriptor condition, descriptor y, int64_t axis);
void cudnn_reduce(struct cudnn_graph *g, cudnnReduceTensorOp_t how, descriptor x, descriptor y);

/* The first plan that the library's heuristics propose and can make; NULL: none, or something failed before.
 */
descriptor cudnn_plan(struct cudnn_graph *g, cudnnHandle_t handle, int64_t *workspace);
/* The arguments of a plan: pointers of tensors by their numbers. */
descriptor cudnn_arguments(struct cudnn_graph *g, int64_t count, int64_t *numbers, void **pointers,
                           void *workspace);
void cudnn_graph_free(struct cudnn_graph *g);
#endif
