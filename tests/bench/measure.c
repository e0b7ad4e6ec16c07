/* A compiled model opened by its descriptor, a clock, medians, lines for bench.py. */
#include "tests/bench/measure.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LARGEST = 1 << 20 };

void measure_fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

double measure_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double measure_median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

int64_t measure_number(const struct option_list *list, const char *name, int64_t fallback) {
    const char *text = options_value(list, name);
    if (!text) return fallback;
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || value < 0 || value > LARGEST) {
        fprintf(stderr, "--%s: a number up to %d was expected, not '%s'\n", name, LARGEST, text);
        exit(2);
    }
    return value;
}

void *measure_memory(int64_t count, size_t size) {
    void *memory = calloc(count > 0 ? (size_t)count : 1, size);
    if (!memory) measure_fail("out of memory");
    return memory;
}

int32_t measure_token(int64_t i) { return (int32_t)((i * 7919) % 40000 + 10); }

struct measured measure_open(const char *path, const struct option_list *list) {
    struct measured m = {0};
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) measure_fail(dlerror());
    if (!(m.descriptor = dlsym(library, "mdl_descriptor"))) measure_fail("this is no compiled model");
    char error[256] = "";
    struct mdl_options o = MDL_OPTIONS;
    o.threads = (int32_t)measure_number(list, "threads", 2), o.error = error, o.error_size = sizeof error;
    o.device = options_value(list, "device");
    m.api = m.descriptor->api;
    if (m.api->open(m.descriptor, options_value(list, "weights"), &o, &m.model)) measure_fail(error);
    if (m.api->session_new(m.model, &m.session)) measure_fail("no memory for a session");
    return m;
}

void measure_close(struct measured *m) {
    m->api->session_free(m->session);
    m->api->close(m->model);
}

uint32_t measure_function(const struct measured *m, const char *name) {
    const struct mdl_descriptor *d = m->descriptor;
    for (uint32_t i = 0; i < d->functions_count; i++)
        if (!strcmp(d->functions[i].name, name)) return i;
    fprintf(stderr, "%s has no function %s\n", d->name, name);
    exit(1);
}

int64_t measure_vocabulary(const struct measured *m, uint32_t function) {
    const struct mdl_tensor *result = &m->descriptor->functions[function].results[0];
    int64_t one[] = {1};
    if (!result->rank) measure_fail("the model's result is no vector");
    return m->descriptor->extent(result->extents[result->rank - 1], one);
}

void measure_call(const struct measured *m, uint32_t function, int64_t dim, const void *const *inputs,
                  void *result) {
    if (m->api->call(m->session, function, &dim, inputs, &result)) measure_fail(m->api->error(m->session));
}

void measure_print(const struct measured *m, const char *work, double value, const char *unit) {
    printf("{\"peer\": \"mdlc\", \"work\": \"%s %s\", \"value\": %.3f, \"unit\": \"%s\"}\n",
           m->descriptor->name, work, value, unit);
}
