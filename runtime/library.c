/* A compiled model's library: found, opened, and offered as an executor, all through its descriptor. */
#include "runtime/library.h"
#include "runtime/library_ranks.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static int64_t extent(void *context, uint32_t index, const int64_t *dims) {
    const struct library *l = context;
    return l->descriptor->extent(index, dims);
}

static int call(void *context, uint32_t function, const int64_t *dims, const void *const *inputs,
                void *const *results) {
    struct library *l = context;
    if (l->ranks) return ranks_call(l, function, dims, inputs, results);
    return l->descriptor->api->call(l->session, function, dims, inputs, results);
}

static int64_t pieces(void *context, const struct mdl_tensor *t, uint32_t d) {
    const struct library *l = context;
    return ranks_pieces(l->descriptor, t, d);
}

static const char *error(void *context) {
    const struct library *l = context;
    return l->ranks ? ranks_error(l) : l->descriptor->api->error(l->session);
}

/* dlopen looks for a bare name along the system's path; a name on a command line means the file here. */
static void *open_here(const char *path) {
    char here[4096];
    if (strchr(path, '/')) return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    snprintf(here, sizeof here, "./%s", path);
    return dlopen(here, RTLD_NOW | RTLD_LOCAL);
}

int library_load(struct library *l, const struct run_request *r, const char *path) {
    int status = library_check(r, path);
    if (status) return status;
    *l = (struct library){.handle = open_here(path)};
    if (!l->handle) return run_error(r, RUN_IO, "%s", dlerror());
    l->descriptor = dlsym(l->handle, "mdl_descriptor");
    if (!l->descriptor)
        return run_error(r, RUN_FAILED, "%s: not a compiled model: it has no mdl_descriptor", path);
    if (l->descriptor->abi_version != MDL_ABI_VERSION)
        return run_error(r, RUN_FAILED,
                         "%s: has ABI version %u, but this program knows %u: compile the model again", path,
                         l->descriptor->abi_version, MDL_ABI_VERSION);
    l->executor = (struct run_executor){.functions = l->descriptor->functions,
                                        .functions_count = l->descriptor->functions_count,
                                        .context = l,
                                        .extent = extent,
                                        .pieces = pieces,
                                        .call = call,
                                        .error = error};
    return RUN_DONE;
}

int library_start(struct library *l, const struct run_request *r, const struct ranks_settings *ranks,
                  const struct library_settings *s) {
    l->request = r;
    if (l->descriptor->mesh) return ranks_start(l, r, ranks, s);
    if (ranks->ranks || ranks->comm)
        return run_error(r, RUN_USAGE, "model %s has no mesh: it runs without --ranks and --comm",
                         l->descriptor->name);
    char why[512] = "";
    struct mdl_options options = {.size = sizeof options,
                                  .threads = s->threads,
                                  .error = why,
                                  .error_size = sizeof why,
                                  .device = s->device};
    const struct mdl_api *api = l->descriptor->api;
    int status = api->open(l->descriptor, s->weights, &options, &l->model);
    if (status) return run_error(r, run_exit_status(status), "%s", why);
    status = api->session_new(l->model, &l->session);
    return status ? run_error(r, run_exit_status(status), "no session: %s", api->error(NULL)) : RUN_DONE;
}

void library_close(struct library *l, int status) {
    if (l->ranks) ranks_close(l, status);
    if (l->session) l->descriptor->api->session_free(l->session);
    if (l->model) l->descriptor->api->close(l->model);
    if (l->handle) dlclose(l->handle);
}

/* A full recording may lack slices, so the call is made again with twice the room. */
int record_call(struct library *l, struct run_call *c, struct recording *rec) {
    for (;;) {
        if (!rec->events || rec->count == rec->capacity) {
            rec->capacity = rec->capacity ? 2 * rec->capacity : 1 << 14;
            free(rec->events);
            rec->events = malloc(rec->capacity * sizeof *rec->events);
            if (!rec->events) return run_error(c->request, RUN_INTERNAL, "out of memory");
        }
        l->descriptor->api->trace(l->session, rec->events, rec->capacity, &rec->count);
        int status = run_execute(c);
        l->descriptor->api->trace(l->session, NULL, 0, NULL);
        bool full = ranks_any(l, !status && rec->count == rec->capacity);
        if (status || !full) return status;
        if (rec->count < rec->capacity) rec->count = rec->capacity; /* another rank's was full */
    }
}
