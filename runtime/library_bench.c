/* mdl-run --bench: the time of whole calls, then, from recorded calls, of each kernel. */
#include "runtime/library.h"
#include "runtime/library_ranks.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_CALLS = 100000, LEAST_CALLS = 5, NAME_COLUMNS = 40 };

double library_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times, int count) {
    qsort(times, (size_t)count, sizeof *times, by_value);
    return times[count / 2];
}

/* One run of a step by all threads: from the first's start to the last's end. */
struct span {
    const struct mdl_step *step;
    int64_t start, end;
};

static struct kernel_time *find_row(struct kernel_times *t, const struct mdl_step *step) {
    for (size_t i = 0; i < t->count; i++)
        if (t->rows[i].step == step || strcmp(t->rows[i].step->name, step->name) == 0) return &t->rows[i];
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 32;
        struct kernel_time *rows = realloc(t->rows, capacity * sizeof *rows);
        if (!rows) return NULL;
        t->rows = rows;
        t->capacity = capacity;
    }
    t->rows[t->count] = (struct kernel_time){.step = step};
    return &t->rows[t->count++];
}

/* The spans of a recording: every thread runs the same steps in the same order, so its n-th slice belongs to
 * span n. `next` [threads] and `spans` [slices] are the caller's, large enough. Returns how many spans there
 * are. */
static size_t find_spans(const struct recording *rec, size_t *next, struct span *spans) {
    size_t count = 0;
    for (uint64_t i = 0; i < rec->count; i++) {
        const struct mdl_event *e = &rec->events[i];
        struct span *s = &spans[next[e->thread]++];
        if (next[e->thread] > count) *s = (struct span){e->what, e->start, e->end}, count++;
        if (e->start < s->start) s->start = e->start;
        if (e->end > s->end) s->end = e->end;
    }
    return count;
}

static bool add_spans(const struct library *l, const struct run_call *c, struct kernel_times *t,
                      const struct span *spans, size_t count) {
    const struct mdl_descriptor *d = l->descriptor;
    for (size_t i = 0; i < count; i++) {
        struct kernel_time *k = find_row(t, spans[i].step);
        if (!k) return false;
        k->times[t->calls] += 1e-9 * (double)(spans[i].end - spans[i].start);
        if (t->calls) continue;
        k->runs++;
        k->flops += (double)d->extent(spans[i].step->flops, c->units);
        k->bytes += (double)d->extent(spans[i].step->bytes, c->units);
    }
    return true;
}

int library_time_kernels(struct library *l, struct run_call *c, struct kernel_times *t) {
    int status = record_call(l, c, &t->recording);
    if (status) return status;
    const struct recording *rec = &t->recording;
    uint32_t threads = 1;
    for (uint64_t i = 0; i < rec->count; i++)
        if (rec->events[i].thread >= threads) threads = rec->events[i].thread + 1;
    size_t *next = calloc(threads, sizeof *next);
    struct span *spans = calloc(rec->count + 1, sizeof *spans);
    bool good = next && spans && add_spans(l, c, t, spans, find_spans(rec, next, spans));
    free(next);
    free(spans);
    t->calls++;
    return good ? RUN_DONE : run_error(c->request, RUN_INTERNAL, "out of memory");
}

void kernel_times_free(struct kernel_times *t) {
    free(t->recording.events);
    free(t->rows);
}

static int by_time(const void *a, const void *b) {
    const struct kernel_time *x = a, *y = b;
    return by_value(&y->time, &x->time);
}

static double per_second(double amount, double seconds) { return seconds > 0 ? 1e-9 * amount / seconds : 0; }

static void print_table(const struct kernel_times *t) {
    double all = 0;
    for (size_t i = 0; i < t->count; i++) all += t->rows[i].time;
    printf("\n%-*s %6s %6s %10s %6s %10s %8s\n", NAME_COLUMNS, "kernel", "line", "runs", "us", "%", "GFLOP/s",
           "GB/s");
    for (size_t i = 0; i < t->count; i++) {
        const struct kernel_time *k = &t->rows[i];
        printf("%-*.*s %6u %6" PRIu64 " %10.2f %6.1f %10.2f %8.2f\n", NAME_COLUMNS, NAME_COLUMNS,
               k->step->name, k->step->line, k->runs, 1e6 * k->time, all > 0 ? 100 * k->time / all : 0,
               per_second(k->flops, k->time), per_second(k->bytes, k->time));
    }
}

/* Whole calls for `seconds`; how many there were, or -1. */
static int time_calls(struct library *l, struct run_call *c, double seconds, double *times) {
    double begin = library_now();
    int calls = 0;
    while (ranks_any(l, calls < MOST_CALLS && (calls < LEAST_CALLS || library_now() - begin < seconds))) {
        double start = library_now();
        if (run_execute(c)) return -1;
        times[calls++] = library_now() - start;
    }
    return calls;
}

static void print_call(const struct library *l, const struct run_call *c, const struct kernel_times *t,
                       double *times, int calls) {
    double flops = 0, bytes = 0, middle = median(times, calls);
    for (size_t i = 0; i < t->count; i++) {
        flops += t->rows[i].flops;
        bytes += t->rows[i].bytes;
    }
    printf("%s.%s", l->descriptor->name, c->function->name);
    for (uint32_t i = 0; i < c->function->given_dims; i++)
        printf("%s%s = %" PRId64, i ? ", " : ": ", c->function->dims[i].name, c->dims[i]);
    printf("; %d calls\nmin %.2f us, median %.2f us, p90 %.2f us; at the median %.2f GFLOP/s, %.2f GB/s\n",
           calls, 1e6 * times[0], 1e6 * middle, 1e6 * times[calls * 9 / 10], per_second(flops, middle),
           per_second(bytes, middle));
}

static int record_all(struct library *l, struct run_call *c, struct kernel_times *t) {
    int status = RUN_DONE;
    while (t->calls < RECORDED_CALLS && !status) status = library_time_kernels(l, c, t);
    for (size_t i = 0; i < t->count; i++) t->rows[i].time = median(t->rows[i].times, RECORDED_CALLS);
    if (t->count) qsort(t->rows, t->count, sizeof *t->rows, by_time);
    return status;
}

int library_bench(struct library *l, struct run_call *c, double seconds) {
    struct kernel_times t = {0};
    double *times = calloc(MOST_CALLS, sizeof *times);
    int calls = times ? time_calls(l, c, seconds, times) : 0;
    int status = calls < 0 ? RUN_FAILED : RUN_DONE;
    if (!times) status = run_error(c->request, RUN_INTERNAL, "out of memory");
    if (!status) status = record_all(l, c, &t);
    if (!status) {
        print_call(l, c, &t, times, calls);
        print_table(&t);
    }
    free(times);
    kernel_times_free(&t);
    return status;
}
