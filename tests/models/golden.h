/* What the tests of whole models share: reading references, comparing, and reporting one line a check. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H
#include "examples/common/base.h"
#include <jansson.h>

/* A JSON file's array "cases"; says why and exits with status 1 if it cannot be read. json_decref releases
 * it. */
json_t *golden_cases(const char *folder, const char *name);

/* An array of whole numbers under a key, added to `ids`. */
void golden_ids(const json_t *object, const char *key, struct ids *ids);

/* An f32 .npy file of `count` elements, for free(); exits with status 1 if it is something else. */
float *golden_floats(const char *folder, const char *name, size_t count);

/* The largest absolute value, and the largest absolute difference; NaN where there is one. */
double largest(const float *x, size_t count);
double largest_difference(const float *x, const float *y, size_t count);

/* Prints "ok - …" or "FAILED - …" and counts. */
void report(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints how many passed; the program's exit status. */
int report_end(void);

double seconds_now(void);

/* Prints why and exits with status 1: for what the checks cannot go on without. */
void give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The function `name` of a library opened by dlopen; gives up if it has none. */
void *symbol(void *library, const char *name);
void *open_library(const char *path);
#endif
