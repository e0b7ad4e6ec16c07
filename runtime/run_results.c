/* What a run does with results: comparing them with what was expected, printing them. */
#include "runtime/elements.h"
#include "runtime/run.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *run_print_shape(const struct npy_array *a, char *out, size_t size) {
    size_t at = (size_t)snprintf(out, size, "[");
    for (uint32_t i = 0; i < a->rank && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%lld", i ? ", " : "", (long long)a->shape[i]);
    if (at < size) snprintf(out + at, size - at, "]");
    return out;
}

/* "[1, 2]": the indices of element `i`. */
static const char *print_index(const struct npy_array *a, size_t i, char *out, size_t size) {
    struct npy_array index = {.rank = a->rank};
    for (uint32_t d = a->rank; d-- > 0; i /= (size_t)a->shape[d])
        index.shape[d] = (int64_t)(i % (size_t)a->shape[d]);
    return run_print_shape(&index, out, size);
}

static void print_element(FILE *out, const struct npy_array *a, size_t i, int digits) {
    const struct element_type *t = &element_types[a->dtype];
    long double x = element_get(a->dtype, a->data, i);
    if (t->class == ELEMENT_FLOAT)
        fprintf(out, "%.*Lg", digits && digits < t->digits ? digits : t->digits, x);
    else if (t->class == ELEMENT_BOOL)
        fputs(x != 0 ? "true" : "false", out);
    else
        fprintf(out, "%.0Lf", x);
}

enum { EDGE = 3, PRINT_DIGITS = 6 };

/* Elements from `at` on of dimension `d` and those inside it; of more than 2*EDGE rows only the first and
 * last. */
static void print_rows(FILE *out, const struct npy_array *a, uint32_t d, size_t at, size_t step) {
    if (d == a->rank) {
        print_element(out, a, at, PRINT_DIGITS);
        return;
    }
    int64_t n = a->shape[d];
    step /= n ? (size_t)n : 1;
    fputc('[', out);
    for (int64_t i = 0; i < n; i++) {
        bool skip = n > 2 * EDGE && i == EDGE;
        if (i && d + 1 == a->rank)
            fputc(' ', out);
        else if (i)
            fprintf(out, "\n%*s", (int)d + 1, "");
        if (skip)
            fputs("...", out);
        else
            print_rows(out, a, d + 1, at + (size_t)i * step, step);
        if (skip) i = n - EDGE - 1;
    }
    fputc(']', out);
}

void run_print_array(FILE *out, const struct npy_array *a) {
    char shape[256] = "";
    if (a->rank) run_print_shape(a, shape, sizeof shape);
    fprintf(out, "%s%s =%s", element_types[a->dtype].name, shape, a->rank > 1 ? "\n" : " ");
    print_rows(out, a, 0, 0, a->count);
    fputc('\n', out);
}

int run_printed(const struct run_request *r) {
    if (fflush(stdout)) return run_error(r, RUN_IO, "standard output: %s", strerror(errno));
    /* what an earlier flush could not write is no longer there for this one */
    return ferror(stdout) ? run_error(r, RUN_IO, "standard output: not all of it was written") : RUN_DONE;
}

struct comparison {
    size_t differ, worst; /* how many; where most */
    long double most;
};

static void compare(const struct run_request *r, const struct npy_array *x, const struct npy_array *y,
                    struct comparison *c) {
    for (size_t i = 0; i < x->count; i++) {
        long double a = element_get(x->dtype, x->data, i), b = element_get(y->dtype, y->data, i);
        if (a == b || (isnan(a) && isnan(b))) continue;
        long double difference = isnan(a) || isnan(b) ? INFINITY : fabsl(a - b);
        bool agree = isfinite(b) && difference <= r->atol + r->rtol * fabsl(b);
        if (agree) continue;
        if (!c->differ || difference > c->most) {
            c->worst = i;
            c->most = difference;
        }
        c->differ++;
    }
}

static int report(const struct run_request *r, const char *number, const struct npy_array *x,
                  const struct npy_array *y, const struct comparison *c) {
    char index[256];
    fprintf(stderr, "%s: result %s: %zu of %zu elements differ; the largest difference is %.4Lg", r->program,
            number, c->differ, x->count, c->most);
    if (x->rank) fprintf(stderr, " at %s", print_index(x, c->worst, index, sizeof index));
    fprintf(stderr, ": ");
    print_element(stderr, x, c->worst, 0);
    fprintf(stderr, ", expected ");
    print_element(stderr, y, c->worst, 0);
    fprintf(stderr, " (rtol %g, atol %g)\n", r->rtol, r->atol);
    return RUN_FAILED;
}

static int check_array(const struct run_call *c, const char *number, const struct npy_array *x,
                       const struct npy_array *y) {
    char have[256], want[256];
    if (x->rank != y->rank || memcmp(x->shape, y->shape, x->rank * sizeof *x->shape))
        return run_error(c->request, RUN_FAILED, "result %s: has shape %s, expected %s", number,
                         run_print_shape(x, have, sizeof have), run_print_shape(y, want, sizeof want));
    struct comparison result = {0};
    compare(c->request, x, y, &result);
    return result.differ ? report(c->request, number, x, y, &result) : RUN_DONE;
}

/* The expected array: a file in its own type, to be compared as it is; anything else in the result's. */
static int read_expected(const struct run_call *c, const struct run_pair *p, uint32_t result,
                         struct npy_array *y) {
    char what[64];
    snprintf(what, sizeof what, "--expect of result %u", result);
    if (p->value[0] != '@')
        return run_read_value(c->request, what, p->value, &c->function->results[result], y);
    return run_read_file(c->request, what, p->value + 1, y);
}

static int check_one(const struct run_call *c, const struct run_pair *p) {
    char *end;
    unsigned long result = strtoul(p->name, &end, 10);
    if (end == p->name || *end || result >= c->function->results_count)
        return run_error(c->request, RUN_USAGE,
                         "--expect=%s=...: function %s has %u results, numbered from 0", p->name,
                         c->function->name, c->function->results_count);
    if (run_is_random(p->value))
        return run_error(c->request, RUN_USAGE, "--expect=%s=%s: not a value", p->name, p->value);
    struct npy_array expected;
    int status = read_expected(c, p, (uint32_t)result, &expected);
    if (status) return status;
    status = check_array(c, p->name, &c->results[result], &expected);
    npy_free(&expected);
    return status;
}

int run_check_expected(const struct run_call *c) {
    int status = RUN_DONE;
    for (int i = 0; i < c->request->expects_count; i++) {
        int next = check_one(c, &c->request->expects[i]);
        if (!status) status = next;
    }
    return status;
}
