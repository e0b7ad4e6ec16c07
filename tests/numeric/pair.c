/* Calls of a compiled model by two sessions, here or at the other end of a pipe. */
#include "tests/numeric/pair.h"
#include "runtime/elements.h"
#include <dlfcn.h>
#include <fenv.h>
#include <stdlib.h>
#include <string.h>

static bool open_session(struct pair *p, int number, int threads) {
    char why[300] = "";
    const struct mdl_api *api = p->descriptor->api;
    struct mdl_options o = MDL_OPTIONS;
    o.threads = threads;
    o.device = getenv("MDL_DEVICE");
    o.error = why;
    o.error_size = sizeof why;
    int status = api->open(p->descriptor, NULL, &o, &p->models[number]);
    if (!status) status = api->session_new(p->models[number], &p->sessions[number]);
    if (status)
        fprintf(stderr, "status %d: %s\n", status, why);
    else
        api->poison(p->sessions[number], 1);
    return !status;
}

bool pair_open(struct pair *p, const char *path) {
    p->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (p->library) p->descriptor = dlsym(p->library, "mdl_descriptor");
    if (!p->descriptor) fprintf(stderr, "%s\n", dlerror());
    return p->descriptor && open_session(p, 0, 1) && open_session(p, 1, 3);
}

void pair_close(struct pair *p) {
    for (int i = 0; i < 2; i++) {
        if (p->sessions[i]) p->descriptor->api->session_free(p->sessions[i]);
        if (p->models[i]) p->descriptor->api->close(p->models[i]);
    }
    if (p->library) dlclose(p->library);
}

static size_t element_bytes(const struct mdl_tensor *t) { return element_types[t->dtype].bytes; }

size_t pair_shape(const struct mdl_descriptor *d, const struct mdl_tensor *t, const int64_t *dims,
                  int64_t *extents) {
    size_t bytes = element_bytes(t);
    for (uint32_t i = 0; i < t->rank; i++) bytes *= (size_t)(extents[i] = d->extent(t->extents[i], dims));
    return bytes;
}

void pair_call_begin(const struct mdl_descriptor *d, struct pair_call *c) {
    int64_t extents[64];
    c->f = &d->functions[c->function];
    for (uint32_t i = 0; i < c->f->inputs_count; i++) {
        c->in_bytes[i] = pair_shape(d, &c->f->inputs[i], c->dims, extents);
        c->in[i] = guarded_new(c->in_bytes[i], element_bytes(&c->f->inputs[i]), c->side);
    }
    for (uint32_t i = 0; i < c->f->results_count; i++) {
        c->out_bytes[i] = pair_shape(d, &c->f->results[i], c->dims, extents);
        for (int s = 0; s < 2; s++)
            c->out[s][i] = guarded_new(c->out_bytes[i], element_bytes(&c->f->results[i]), c->side);
    }
}

void pair_call_run(struct pair *p, struct pair_call *c) {
    fesetround(FE_TOWARDZERO); /* kernels run in the default environment whatever the caller's is */
    for (int s = 0; s < 2; s++)
        c->status[s] = p->descriptor->api->call(p->sessions[s], c->function, c->dims,
                                                (const void *const *)c->in, c->out[s]);
    fesetround(FE_TONEAREST);
}

void pair_call_end(struct pair_call *c) {
    for (uint32_t i = 0; i < c->f->inputs_count; i++) guarded_free(c->in[i], c->in_bytes[i], c->side);
    for (uint32_t i = 0; i < c->f->results_count; i++)
        for (int s = 0; s < 2; s++) guarded_free(c->out[s][i], c->out_bytes[i], c->side);
}

/* ---- pipes ---- */

struct head {
    uint32_t function, side;
    int64_t dims[PAIR_DIMS];
};

static bool put(FILE *to, const void *bytes, size_t size) { return fwrite(bytes, 1, size, to) == size; }
static bool get(FILE *from, void *bytes, size_t size) { return fread(bytes, 1, size, from) == size; }

bool pair_send_call(FILE *to, const struct pair_call *c) {
    struct head h = {c->function, c->side, {0}};
    memcpy(h.dims, c->dims, sizeof h.dims);
    bool good = put(to, &h, sizeof h);
    for (uint32_t i = 0; i < c->f->inputs_count && good; i++) good = put(to, c->in[i], c->in_bytes[i]);
    return good && !fflush(to);
}

bool pair_receive_call(FILE *from, const struct mdl_descriptor *d, struct pair_call *c) {
    struct head h;
    if (!get(from, &h, sizeof h) || h.function >= d->functions_count) return false;
    *c = (struct pair_call){.function = h.function, .side = (enum guard_side)h.side};
    memcpy(c->dims, h.dims, sizeof h.dims);
    pair_call_begin(d, c);
    bool good = true;
    for (uint32_t i = 0; i < c->f->inputs_count && good; i++) good = get(from, c->in[i], c->in_bytes[i]);
    return good;
}

bool pair_send_results(FILE *to, const struct pair_call *c) {
    bool good = put(to, c->status, sizeof c->status), all = !c->status[0] && !c->status[1];
    for (int s = 0; s < 2 && all; s++)
        for (uint32_t i = 0; i < c->f->results_count && good; i++)
            good = put(to, c->out[s][i], c->out_bytes[i]);
    return good && !fflush(to);
}

bool pair_receive_results(FILE *from, struct pair_call *c) {
    bool good = get(from, c->status, sizeof c->status), all = !c->status[0] && !c->status[1];
    for (int s = 0; s < 2 && all; s++)
        for (uint32_t i = 0; i < c->f->results_count && good; i++)
            good = get(from, c->out[s][i], c->out_bytes[i]);
    return good;
}
