/* References from JSON and .npy files, comparisons, and one line of output a check. */
#include "tests/models/golden.h"
#include "runtime/npy.h"
#include <dlfcn.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int passed, failed;

void give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

json_t *golden_cases(const char *folder, const char *name) {
    char path[4096];
    json_error_t why;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    json_t *file = json_load_file(path, 0, &why);
    if (!file) give_up("%s:%d: %s", path, why.line, why.text);
    json_t *cases = json_incref(json_object_get(file, "cases"));
    json_decref(file);
    if (!json_array_size(cases)) give_up("%s has no cases", path);
    return cases;
}

void golden_ids(const json_t *object, const char *key, struct ids *ids) {
    const json_t *array = json_object_get(object, key), *id;
    size_t i;
    json_array_foreach(array, i, id) ids_push(ids, (int32_t)json_integer_value(id));
}

float *golden_floats(const char *folder, const char *name, size_t count) {
    char path[4096], why[400];
    struct npy_array array;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (npy_read(path, &array, why, sizeof why) != NPY_OK) give_up("%s: %s", path, why);
    if (array.dtype != MDL_F32 || array.count != count)
        give_up("%s is not an f32 array of %zu elements", path, count);
    return array.data;
}

double largest(const float *x, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)x[i]) <= most)) most = fabs((double)x[i]);
    return most;
}

double largest_difference(const float *x, const float *y, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)x[i] - (double)y[i]);
        if (isnan(difference)) return difference;
        if (difference > most) most = difference;
    }
    return most;
}

void report(bool ok, const char *format, ...) {
    va_list arguments;
    *(ok ? &passed : &failed) += 1;
    printf("%s - ", ok ? "ok" : "FAILED");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

int report_end(void) {
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}

double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void *open_library(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) give_up("%s", dlerror());
    return library;
}

void *symbol(void *library, const char *name) {
    void *address = dlsym(library, name);
    if (!address) give_up("%s", dlerror());
    return address;
}
