/* Streams, events, graphs: operations wait in queues until somebody waits for them, as late as a real driver
 * may do them; so a result that is read without waiting is not there. */
#include "tests/gpu/libcuda.h"
#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct stream standard = {.alive = ALIVE, .last = &standard.first}, *streams = &standard;

struct stream *fake_stream(struct stream *s) {
    if ((uintptr_t)s <= 2) return &standard;
    for (struct stream *p = streams; p; p = p->next)
        if (p == s) return s;
    return NULL;
}

static void append(struct op **first, struct op ***last, struct op op) {
    struct op *p = malloc(sizeof *p);
    *p = op;
    p->next = NULL;
    if (!*first) *last = first;
    **last = p;
    *last = &p->next;
}
void fake_free_ops(struct op *op) {
    while (op) {
        struct op *next = op->next;
        free(op->params);
        free(op->staged);
        free(op);
        op = next;
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static result launch(const struct op *op) {
    char message[PTX_MESSAGE];
    fenv_t callers; /* how the host rounds is nothing to a GPU */
    struct ptx_launch how = op->launch;
    const char *seed = getenv("MDL_FAKE_SEED"), *report = getenv("MDL_FAKE_STATS");
    how.seed = seed ? strtoull(seed, NULL, 0) : 1;
    struct ptx_stats stats = {0};
    fegetenv(&callers);
    fesetenv(FE_DFL_ENV);
    bool done = ptx_run(op->kernel, &how, op->params, &stats, message);
    fesetenv(&callers);
    if (!done) {
        fprintf(stderr, "%s\n", message);
        return fake_failed = LAUNCH_FAILED;
    }
    if (report)
        fprintf(stderr, "%s: %llu instructions, %llu by lane, %llu shared accesses, %llu bank conflicts\n",
                ptx_kernel_name(op->kernel), (unsigned long long)stats.instructions,
                (unsigned long long)stats.lane_operations, (unsigned long long)stats.shared_accesses,
                (unsigned long long)stats.bank_conflicts);
    return CUDA_SUCCESS;
}

static result perform(struct op *op);
static result perform_all(struct op *op) {
    for (result r; op; op = op->next)
        if ((r = perform(op))) return r;
    return CUDA_SUCCESS;
}

static result perform(struct op *op) {
    void *to = op->kind == OP_TO_HOST ? (void *)(uintptr_t)op->to : ptx_memory(op->to, op->bytes);
    void *from = op->kind == OP_TO_DEVICE ? (op->staged ? op->staged : (void *)(uintptr_t)op->from)
                                          : ptx_memory(op->from, op->bytes);
    switch (op->kind) {
    case OP_TO_DEVICE:
    case OP_TO_HOST:
    case OP_ON_DEVICE:
        if (!to || !from) return fake_failed = ILLEGAL_ADDRESS; /* freed meanwhile */
        memmove(to, from, op->bytes);
        return CUDA_SUCCESS;
    case OP_SET8:
    case OP_SET32:
        if (!to) return fake_failed = ILLEGAL_ADDRESS;
        if (op->kind == OP_SET8) memset(to, (int)op->value, op->bytes);
        for (uint64_t i = 0; op->kind == OP_SET32 && i < op->bytes / 4; i++) ((uint32_t *)to)[i] = op->value;
        return CUDA_SUCCESS;
    case OP_LAUNCH:
        return launch(op);
    case OP_RECORD:
        op->event->done = op->ticket;
        op->event->time = now();
        return CUDA_SUCCESS;
    case OP_WAIT:
        return op->event->done < op->ticket && op->event->stream ? fake_drain(op->event->stream)
                                                                 : CUDA_SUCCESS;
    case OP_GRAPH: {
        result r = perform_all(op->graph->first);
        if (!--op->graph->users && !op->graph->alive) {
            fake_free_ops(op->graph->first);
            free(op->graph);
        }
        return r;
    }
    }
    return INVALID_VALUE;
}

result fake_drain(struct stream *s) {
    while (s->first && !fake_failed) {
        struct op *op = s->first;
        s->first = op->next;
        op->next = NULL;
        perform(op);
        fake_free_ops(op);
    }
    return fake_failed;
}
result fake_drain_all(void) {
    for (struct stream *s = streams; s; s = s->next) fake_drain(s);
    return fake_failed;
}

/* The default stream waits for all others, and they for it. */
result fake_submit(struct stream *s, struct op op) {
    if (fake_failed) return fake_failed;
    if (s->capture) {
        if (op.kind == OP_RECORD || op.kind == OP_WAIT || op.kind == OP_GRAPH) return CAPTURE_UNSUPPORTED;
        append(&s->capture->first, &s->capture->last, op);
        return CUDA_SUCCESS;
    }
    if (s == &standard)
        fake_drain_all();
    else
        fake_drain(&standard);
    append(&s->first, &s->last, op);
    return fake_failed;
}

#define ENTER                                                                                                \
    result r;                                                                                                \
    pthread_mutex_lock(&fake_lock);                                                                          \
    if (fake_ready(&r))
#define LEAVE                                                                                                \
    pthread_mutex_unlock(&fake_lock);                                                                        \
    return r

CALL(cuStreamCreate, struct stream **stream, unsigned flags) {
    ENTER {
        struct stream *s = calloc(1, sizeof *s);
        *s = (struct stream){.alive = ALIVE, .next = streams->next};
        s->last = &s->first;
        streams->next = s;
        *stream = s;
        r = flags > 1 ? INVALID_VALUE : CUDA_SUCCESS;
    }
    LEAVE;
}
CALL(cuStreamCreateWithPriority, struct stream **stream, unsigned flags, int priority) {
    (void)priority;
    return cuStreamCreate(stream, flags);
}
CALL(cuStreamDestroy_v2, struct stream *stream) {
    ENTER {
        struct stream **p = &streams->next;
        while (*p && *p != stream) p = &(*p)->next;
        r = *p ? CUDA_SUCCESS : INVALID_HANDLE;
        if (*p) {
            fake_drain(stream);
            fake_free_ops(stream->first);
            *p = stream->next;
            free(stream);
        }
    }
    LEAVE;
}
CALL(cuStreamSynchronize, struct stream *stream) {
    ENTER {
        struct stream *s = fake_stream(stream);
        r = !s               ? INVALID_HANDLE
            : s->capture     ? CAPTURE_UNSUPPORTED
            : s == &standard ? fake_drain_all()
                             : fake_drain(s);
    }
    LEAVE;
}
/* Each query lets the stream go on by one operation. */
CALL(cuStreamQuery, struct stream *stream) {
    ENTER {
        struct stream *s = fake_stream(stream);
        if (!s)
            r = INVALID_HANDLE;
        else if (s->first) {
            struct op *op = s->first;
            s->first = op->next;
            op->next = NULL;
            perform(op);
            fake_free_ops(op);
            r = fake_failed ? fake_failed : s->first ? NOT_READY : CUDA_SUCCESS;
        }
    }
    LEAVE;
}
CALL(cuStreamWaitEvent, struct stream *stream, struct event *event, unsigned flags) {
    ENTER {
        struct stream *s = fake_stream(stream);
        r = !s || !event || event->alive != ALIVE ? INVALID_HANDLE : flags > 1 ? INVALID_VALUE : CUDA_SUCCESS;
        if (!r && event->recorded)
            r = fake_submit(s, (struct op){.kind = OP_WAIT, .event = event, .ticket = event->recorded});
    }
    LEAVE;
}
CALL(cuCtxSynchronize, void) {
    ENTER r = fake_drain_all();
    LEAVE;
}

CALL(cuEventCreate, struct event **event, unsigned flags) {
    ENTER {
        (void)flags;
        *event = calloc(1, sizeof **event);
        (*event)->alive = ALIVE;
        r = CUDA_SUCCESS;
    }
    LEAVE;
}
static struct event *known(struct event *e) { return e && e->alive == ALIVE ? e : NULL; }
CALL(cuEventRecord, struct event *event, struct stream *stream) {
    ENTER {
        struct stream *s = fake_stream(stream);
        r = s && known(event) ? CUDA_SUCCESS : INVALID_HANDLE;
        if (!r && !(r = fake_submit(
                        s, (struct op){.kind = OP_RECORD, .event = event, .ticket = event->recorded + 1}))) {
            event->recorded++;
            event->stream = s;
        }
    }
    LEAVE;
}
CALL(cuEventQuery, struct event *event) {
    ENTER r = !known(event) ? INVALID_HANDLE : event->done == event->recorded ? CUDA_SUCCESS : NOT_READY;
    LEAVE;
}
CALL(cuEventSynchronize, struct event *event) {
    ENTER {
        r = known(event) ? CUDA_SUCCESS : INVALID_HANDLE;
        if (!r && event->done < event->recorded) r = fake_drain(event->stream);
    }
    LEAVE;
}
CALL(cuEventElapsedTime, float *milliseconds, struct event *start, struct event *end) {
    ENTER {
        r = !known(start) || !known(end) || !start->recorded || !end->recorded ? INVALID_HANDLE
            : start->done < start->recorded || end->done < end->recorded       ? NOT_READY
                                                                               : CUDA_SUCCESS;
        if (!r) *milliseconds = (float)(end->time - start->time);
    }
    LEAVE;
}
CALL(cuEventElapsedTime_v2, float *milliseconds, struct event *start, struct event *end) {
    return cuEventElapsedTime(milliseconds, start, end);
}
CALL(cuEventDestroy_v2, struct event *event) {
    ENTER {
        r = known(event) ? CUDA_SUCCESS : INVALID_HANDLE;
        if (!r) {
            fake_drain_all(); /* queues may hold it */
            event->alive = 0;
            free(event);
        }
    }
    LEAVE;
}

CALL(cuStreamBeginCapture_v2, struct stream *stream, int mode) {
    ENTER {
        struct stream *s = fake_stream(stream);
        r = !s                             ? INVALID_HANDLE
            : s == &standard || s->capture ? CAPTURE_UNSUPPORTED
            : mode < 0 || mode > 2         ? INVALID_VALUE
                                           : CUDA_SUCCESS;
        if (!r) {
            s->capture = calloc(1, sizeof *s->capture);
            s->capture->alive = ALIVE;
            s->capture->last = &s->capture->first;
        }
    }
    LEAVE;
}
CALL(cuStreamEndCapture, struct stream *stream, struct graph **graph) {
    ENTER {
        struct stream *s = fake_stream(stream);
        r = !s ? INVALID_HANDLE : !s->capture ? CAPTURE_UNMATCHED : CUDA_SUCCESS;
        if (!r) {
            *graph = s->capture;
            s->capture = NULL;
        }
    }
    LEAVE;
}
CALL(cuStreamIsCapturing, struct stream *stream, int *status) {
    ENTER {
        struct stream *s = fake_stream(stream);
        r = s ? CUDA_SUCCESS : INVALID_HANDLE;
        if (s) *status = s->capture ? 1 : 0;
    }
    LEAVE;
}
/* An instance is a copy: the graph may go. */
CALL(cuGraphInstantiateWithFlags, struct graph **instance, struct graph *graph, unsigned long long flags) {
    ENTER {
        (void)flags;
        r = graph && graph->alive == ALIVE ? CUDA_SUCCESS : INVALID_VALUE;
        if (!r) {
            struct graph *copy = calloc(1, sizeof *copy);
            copy->alive = ALIVE + 1;
            copy->last = &copy->first;
            for (struct op *op = graph->first; op; op = op->next) {
                struct op one = *op;
                if (op->params) {
                    uint32_t bytes = ptx_kernel_param_bytes(op->kernel);
                    one.params = malloc(bytes + 1);
                    memcpy(one.params, op->params, bytes);
                }
                append(&copy->first, &copy->last, one);
            }
            *instance = copy;
        }
    }
    LEAVE;
}
CALL(cuGraphLaunch, struct graph *instance, struct stream *stream) {
    ENTER {
        struct stream *s = fake_stream(stream);
        r = s && instance && instance->alive == ALIVE + 1 ? CUDA_SUCCESS : INVALID_HANDLE;
        if (!r && !(r = fake_submit(s, (struct op){.kind = OP_GRAPH, .graph = instance}))) instance->users++;
    }
    LEAVE;
}
static result destroy(struct graph *g, uint32_t alive) {
    if (!g || g->alive != alive) return INVALID_VALUE;
    g->alive = 0;
    if (g->users) return CUDA_SUCCESS; /* after its last run */
    fake_free_ops(g->first);
    free(g);
    return CUDA_SUCCESS;
}
CALL(cuGraphExecDestroy, struct graph *instance) {
    ENTER r = destroy(instance, ALIVE + 1);
    LEAVE;
}
CALL(cuGraphDestroy, struct graph *graph) {
    ENTER r = destroy(graph, ALIVE);
    LEAVE;
}
CALL(cuGraphUpload, struct graph *instance, struct stream *stream) {
    ENTER r = fake_stream(stream) && instance && instance->alive == ALIVE + 1 ? CUDA_SUCCESS : INVALID_HANDLE;
    LEAVE;
}
CALL(cuGraphGetNodes, struct graph *graph, void **nodes, size_t *count) {
    ENTER {
        r = graph && graph->alive == ALIVE && count ? CUDA_SUCCESS : INVALID_VALUE;
        size_t n = 0;
        for (struct op *op = r ? NULL : graph->first; op; op = op->next, n++)
            if (nodes && n < *count) nodes[n] = op;
        if (!r) *count = n;
    }
    LEAVE;
}
