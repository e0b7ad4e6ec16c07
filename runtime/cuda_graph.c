/* A session's graphs: calls recorded once for each choice of dims, and launched whole from then on. */
#include "runtime/cuda.h"
#include <string.h>

/* Where a function has no dims there may be no array of them. */
static bool is_of_call(const struct cuda_graph *g, const struct mdl_session *s) {
    size_t dims = s->call.function->dims_count;
    bool same = g->exec && g->plan == s->call.plan_number;
    return same && (!dims || !memcmp(g->dims, s->call.dims, dims * sizeof *g->dims));
}

struct cuda_graph *cuda_find_graph(struct mdl_session *s) {
    struct device_session *on = s->device;
    for (int i = 0; i < CUDA_GRAPHS; i++) {
        struct cuda_graph *g = &on->graphs[i];
        if (!is_of_call(g, s)) continue;
        g->used = on->calls;
        return g;
    }
    return NULL;
}

static void drop(struct cuda_visit *v, struct cuda_graph *g) {
    if (g->exec) v->device->driver.cuGraphExecDestroy(g->exec);
    g->exec = NULL;
}

void cuda_drop_graphs(struct cuda_visit *v, struct device_session *on) {
    for (int i = 0; i < CUDA_GRAPHS; i++) drop(v, &on->graphs[i]);
}

/* A free place, else the one that has not been used for longest. */
static struct cuda_graph *make_place(struct cuda_visit *v, struct device_session *on) {
    struct cuda_graph *oldest = &on->graphs[0];
    for (int i = 0; i < CUDA_GRAPHS; i++) {
        if (!on->graphs[i].exec) return &on->graphs[i];
        if (on->graphs[i].used < oldest->used) oldest = &on->graphs[i];
    }
    drop(v, oldest);
    return oldest;
}

/* Recording ends whatever has happened, or the stream could not be used any more. */
static int record(struct cuda_visit *v, struct mdl_session *s, struct cu_graph **graph) {
    const struct cuda_driver *d = &v->device->driver;
    struct cu_stream *stream = s->device->stream;
    *graph = NULL;
    int status = cuda_check(v, d->cuStreamBeginCapture_v2(stream, CU_CAPTURE_THREAD_LOCAL), "a recording");
    if (status) return status;
    status = cuda_enqueue(v, s, NULL);
    int code = d->cuStreamEndCapture(stream, graph);
    if (code) *graph = NULL;
    return status ? status : cuda_check(v, code, "the end of a recording");
}

int cuda_record_graph(struct cuda_visit *v, struct mdl_session *s, struct cuda_graph **recorded) {
    const struct cuda_driver *d = &v->device->driver;
    struct cu_exec *exec = NULL;
    struct cu_graph *graph;
    int status = record(v, s, &graph);
    if (!status)
        status = cuda_check(v, d->cuGraphInstantiateWithFlags(&exec, graph, 0), "a graph of the call");
    if (graph) d->cuGraphDestroy(graph);
    if (status) return status;
    struct cuda_graph *g = make_place(v, s->device);
    g->exec = exec;
    g->plan = s->call.plan_number;
    g->used = s->device->calls;
    for (uint32_t i = 0; i < s->call.function->dims_count; i++) g->dims[i] = s->call.dims[i];
    *recorded = g;
    return MDL_OK;
}
