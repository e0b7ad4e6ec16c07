/* mdlc interpret: an executor (runtime/run.h) that runs a graph's functions on the interpreter, so that the
 * same command line calls a model compiled or not. Of a partitioned graph all ranks are run; arrays are
 * whole. */
#include "frontend/tool.h"
#include "ir/interp.h"
#include "ir/piece.h"
#include "runtime/run.h"
#include <string.h>

struct interpreter {
    struct graph *graph;
    struct interp *interp;
    struct arena *arena;
    const struct function **functions; /* exported ones, in order */
    const struct extent **extents;     /* by number */
    int extents_count, extents_capacity;
    struct type *whole;          /* [values] of arguments and results: those of the whole */
    const struct function *last; /* whose dims are bound below */
    const char *error;
};

/* The call's dims by dim->id, as extents want them. */
static int64_t *dims_by_id(struct interpreter *p, const struct function *f, const int64_t *dims) {
    int64_t *by_id = arena_new_array(p->arena, int64_t, (size_t)p->graph->dims_count);
    for (int i = 0; i < f->dims_count; i++) by_id[f->dims[i]->id] = dims[i];
    return by_id;
}

/* A caller passes units * unit; extents count units. */
static int64_t *units_by_id(struct interpreter *p, const struct function *f, const int64_t *dims) {
    int64_t *by_id = dims_by_id(p, f, dims);
    for (int i = 0; i < f->dims_count; i++) by_id[f->dims[i]->id] /= f->dims[i]->unit;
    return by_id;
}

/* Every function numbers its own extents; the number says which function too. */
static int64_t extent_value(void *context, uint32_t index, const int64_t *dims) {
    struct interpreter *p = context;
    return extent_eval(p->extents[index], dims_by_id(p, p->last, dims));
}

static const char *last_error(void *context) { return ((struct interpreter *)context)->error; }

static struct array *read_input(struct interpreter *p, const struct type *t, const int64_t *dims,
                                const void *data) {
    struct tensor tensor = {.dtype = t->dtype, .rank = t->rank, .data = data};
    for (int i = 0; i < t->rank; i++) tensor.extents[i] = extent_eval(t->extents[i], dims);
    return array_from_bytes(p->arena, &tensor);
}

static int call(void *context, uint32_t number, const int64_t *dims, const void *const *inputs,
                void *const *results) {
    struct interpreter *p = context;
    const struct function *f = p->functions[number];
    const int64_t *by_id = units_by_id(p, f, dims);
    struct array **in = arena_new_array(p->arena, struct array *, (size_t)f->body->args_count);
    struct array **out = arena_new_array(p->arena, struct array *, (size_t)f->body->results_count);
    for (int i = 0; i < f->body->args_count; i++)
        in[i] = read_input(p, &p->whole[f->body->args[i]->id], by_id, inputs[i]);
    if (!interp_call(p->interp, f, in, out, &p->error)) return MDL_INVALID;
    for (int i = 0; i < f->body->results_count; i++) array_to_bytes(out[i], results[i]);
    return MDL_OK;
}

static struct mdl_tensor describe_tensor(struct interpreter *p, const struct function *f,
                                         const struct value *v, const struct sharding *s, const char *name) {
    struct type t = p->whole[v->id] = piece_whole(p->graph, &v->type, s);
    uint32_t *extents = arena_new_array(p->arena, uint32_t, MAX_RANK);
    int32_t *dims = arena_new_array(p->arena, int32_t, MAX_RANK);
    for (int i = 0; i < t.rank; i++) {
        extents[i] = (uint32_t)p->extents_count;
        arena_push(p->arena, p->extents, p->extents_count, p->extents_capacity, t.extents[i]);
        dims[i] = -1;
        for (int d = 0; d < f->dims_count; d++)
            if (extent_dim(p->graph->extents, f->dims[d]) == t.extents[i]) dims[i] = d;
    }
    return (struct mdl_tensor){name, (uint32_t)t.dtype, (uint32_t)t.rank, extents, dims, NULL};
}

static struct mdl_function describe(struct interpreter *p, const struct function *f) {
    const struct block *body = f->body;
    struct mdl_dim *dims = arena_new_array(p->arena, struct mdl_dim, (size_t)f->dims_count);
    struct mdl_tensor *inputs = arena_new_array(p->arena, struct mdl_tensor, (size_t)body->args_count);
    struct mdl_tensor *results = arena_new_array(p->arena, struct mdl_tensor, (size_t)body->results_count);
    uint32_t given = 0; /* the coordinates come behind them */
    for (int i = 0; i < f->dims_count; i++) {
        const struct dim *d = f->dims[i];
        given += !d->axis;
        dims[i] = (struct mdl_dim){d->name, d->min, d->max, d->unit, d->axis ? 0 : -1, 0};
    }
    for (int i = 0; i < body->args_count; i++)
        inputs[i] = describe_tensor(p, f, body->args[i], body->args[i]->sharding, body->args[i]->name);
    for (int i = 0; i < body->results_count; i++)
        results[i] =
            describe_tensor(p, f, body->results[i], f->result_shardings ? f->result_shardings[i] : NULL,
                            arena_printf(p->arena, "%d", i));
    return (struct mdl_function){.name = f->name,
                                 .dims = dims,
                                 .inputs = inputs,
                                 .results = results,
                                 .dims_count = (uint32_t)f->dims_count,
                                 .inputs_count = (uint32_t)body->args_count,
                                 .results_count = (uint32_t)body->results_count,
                                 .given_dims = given};
}

static void list_functions(struct interpreter *p, struct run_executor *e) {
    int count = 0, at = 0;
    for (const struct function *f = p->graph->functions; f; f = f->next) count += f->exported;
    p->functions = arena_new_array(p->arena, const struct function *, (size_t)count);
    p->whole = arena_new_array(p->arena, struct type, (size_t)p->graph->values);
    struct mdl_function *described = arena_new_array(p->arena, struct mdl_function, (size_t)count);
    for (const struct function *f = p->graph->functions; f; f = f->next) {
        if (!f->exported) continue;
        p->functions[at] = f;
        described[at++] = describe(p, f);
    }
    e->functions = described;
    e->functions_count = (uint32_t)count;
}

static int interpret(struct tool *t, const struct run_request *request) {
    struct interpreter p = {
        .graph = t->graph, .arena = t->arena, .interp = interp_new(t->arena, t->graph, false)};
    struct run_executor executor = {.context = &p, .extent = extent_value, .call = call, .error = last_error};
    struct run_call c;
    if (!p.interp) return TOOL_INPUT;
    list_functions(&p, &executor);
    if (!executor.functions_count)
        return tool_error(t->program, TOOL_INPUT, "%s: exports no function", t->path);
    p.last = p.functions[0];
    for (uint32_t i = 0; request->function && i < executor.functions_count; i++)
        if (!strcmp(executor.functions[i].name, request->function)) p.last = p.functions[i];
    int status = run_prepare(&executor, request, &c);
    if (!status) status = run_execute(&c);
    if (!status) status = run_finish(&c);
    run_call_free(&c);
    return status;
}

int tool_interpret(struct tool *t) {
    struct run_request request;
    int status = run_parse(t->program, t->list, 2, &request);
    if (!status) status = tool_parse(t, 1);
    if (!status && !frontend_bind(t->graph, options_value(t->list, "weights"))) status = TOOL_INPUT;
    if (!status) status = interpret(t, &request);
    run_request_free(&request);
    return status;
}
