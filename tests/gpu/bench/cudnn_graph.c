/* cuDNN's backend descriptors, made one by one (cuDNN documentation, "Backend API"). */
#include "tests/gpu/bench/cudnn_graph.h"

static bool good(struct cudnn_graph *g, cudnnStatus_t status, const char *what) {
    if (status && !g->failed) {
        g->status = status;
        g->failed = what;
        cudnnGetLastErrorString(g->why, sizeof g->why);
    }
    return !g->failed;
}

static descriptor begin(struct cudnn_graph *g, cudnnBackendDescriptorType_t type, const char *what) {
    descriptor d = NULL;
    if (g->failed) return NULL;
    if (g->made_count == CUDNN_GRAPH_MADE)
        return good(g, CUDNN_STATUS_INTERNAL_ERROR, "room for descriptors"), NULL;
    if (!good(g, cudnnBackendCreateDescriptor(type, &d), what)) return NULL;
    return g->made[g->made_count++] = d;
}

static void set(struct cudnn_graph *g, descriptor d, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values, const char *what) {
    if (!g->failed) good(g, cudnnBackendSetAttribute(d, name, type, count, values), what);
}

static void finish(struct cudnn_graph *g, descriptor d, const char *what) {
    if (!g->failed) good(g, cudnnBackendFinalize(d), what);
}

static void operation(struct cudnn_graph *g, descriptor d, const char *what) {
    finish(g, d, what);
    if (g->failed) return;
    if (g->operations_count == CUDNN_GRAPH_OPERATIONS)
        good(g, CUDNN_STATUS_INTERNAL_ERROR, "room for operations");
    else
        g->operations[g->operations_count++] = d;
}

descriptor cudnn_tensor(struct cudnn_graph *g, cudnnDataType_t type, const int64_t dims[4],
                        const int64_t strides[4], enum cudnn_place place) {
    static const char what[] = "a tensor";
    int64_t number = ++g->tensors, align = 16;
    bool between = place == CUDNN_BETWEEN, value = place == CUDNN_BY_VALUE;
    descriptor d = begin(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR, what);
    set(g, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type, what);
    set(g, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims, what);
    set(g, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides, what);
    set(g, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &number, what);
    set(g, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align, what);
    set(g, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &between, what);
    set(g, d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &value, what);
    finish(g, d, what);
    return d;
}

void cudnn_matmul(struct cudnn_graph *g, descriptor a, descriptor b, descriptor c) {
    static const char what[] = "a product";
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    descriptor how = begin(g, CUDNN_BACKEND_MATMUL_DESCRIPTOR, what);
    set(g, how, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type, what);
    finish(g, how, what);
    descriptor d = begin(g, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, what);
    set(g, d, CUDNN_ATTR_OPERATION_MATMUL_ADESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &a, what);
    set(g, d, CUDNN_ATTR_OPERATION_MATMUL_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &b, what);
    set(g, d, CUDNN_ATTR_OPERATION_MATMUL_CDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &c, what);
    set(g, d, CUDNN_ATTR_OPERATION_MATMUL_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &how, what);
    operation(g, d, what);
}

void cudnn_pointwise(struct cudnn_graph *g, cudnnPointwiseMode_t mode, cudnnDataType_t type, descriptor x,
                     descriptor b, descriptor condition, descriptor y, int64_t axis) {
    static const char what[] = "an operation on elements";
    descriptor how = begin(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, what);
    set(g, how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode, what);
    set(g, how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type, what);
    if (axis >= 0) set(g, how, CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, 1, &axis, what);
    finish(g, how, what);
    descriptor d = begin(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, what);
    set(g, d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &how, what);
    set(g, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x, what);
    if (b) set(g, d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &b, what);
    if (condition)
        set(g, d, CUDNN_ATTR_OPERATION_POINTWISE_TDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &condition, what);
    set(g, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y, what);
    operation(g, d, what);
}

void cudnn_reduce(struct cudnn_graph *g, cudnnReduceTensorOp_t mode, descriptor x, descriptor y) {
    static const char what[] = "a reduction";
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    descriptor how = begin(g, CUDNN_BACKEND_REDUCTION_DESCRIPTOR, what);
    set(g, how, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &mode, what);
    set(g, how, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type, what);
    finish(g, how, what);
    descriptor d = begin(g, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR, what);
    set(g, d, CUDNN_ATTR_OPERATION_REDUCTION_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &how, what);
    set(g, d, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x, what);
    set(g, d, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y, what);
    operation(g, d, what);
}

/* Which engines may do the whole graph, the best one first; how many there are. */
enum { MOST_CONFIGS = 8 };
static int64_t configure(struct cudnn_graph *g, cudnnHandle_t handle, descriptor configs[MOST_CONFIGS]) {
    static const char what[] = "the graph", choice[] = "the choice of an engine";
    cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    int64_t count = 0;
    descriptor graph = begin(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, what);
    set(g, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle, what);
    set(g, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, g->operations_count,
        g->operations, what);
    finish(g, graph, what);
    descriptor heuristics = begin(g, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, choice);
    set(g, heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph,
        choice);
    set(g, heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode, choice);
    finish(g, heuristics, choice);
    for (int i = 0; i < MOST_CONFIGS; i++) configs[i] = begin(g, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, choice);
    if (g->failed) return 0;
    good(g,
         cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                  MOST_CONFIGS, &count, configs),
         choice);
    if (!count) good(g, CUDNN_STATUS_NOT_SUPPORTED, "no engine takes the graph");
    return g->failed ? 0 : count < MOST_CONFIGS ? count : MOST_CONFIGS;
}

descriptor cudnn_plan(struct cudnn_graph *g, cudnnHandle_t handle, int64_t *workspace) {
    static const char what[] = "a plan";
    descriptor configs[MOST_CONFIGS];
    int64_t count = configure(g, handle, configs), got;
    for (int64_t i = 0; i < count && !g->failed; i++) {
        descriptor plan = begin(g, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, what);
        set(g, plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle, what);
        set(g, plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &configs[i],
            what);
        if (g->failed || cudnnBackendFinalize(plan)) continue; /* the next may do */
        good(g,
             cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                                      &got, workspace),
             what);
        return g->failed ? NULL : plan;
    }
    good(g, CUDNN_STATUS_NOT_SUPPORTED, "none of the engines has a plan");
    return NULL;
}

descriptor cudnn_arguments(struct cudnn_graph *g, int64_t count, int64_t *numbers, void **pointers,
                           void *workspace) {
    static const char what[] = "the arguments";
    descriptor d = begin(g, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, what);
    set(g, d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, numbers, what);
    set(g, d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers, what);
    set(g, d, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace, what);
    finish(g, d, what);
    return d;
}

void cudnn_graph_free(struct cudnn_graph *g) {
    while (g->made_count) cudnnBackendDestroyDescriptor(g->made[--g->made_count]);
}
