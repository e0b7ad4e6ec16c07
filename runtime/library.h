/* mdl-run's side of a compiled model: the opened library, and what its calls record. */
#ifndef RUNTIME_LIBRARY_H
#define RUNTIME_LIBRARY_H
#include "runtime/run.h"

struct library {
    void *handle; /* of dlopen */
    const struct mdl_descriptor *descriptor;
    struct mdl_model *model; /* over ranks: the first of this process's */
    struct mdl_session *session;
    struct ranks *ranks; /* library_ranks.h; NULL: the model has no mesh */
    const struct run_request *request;
    struct run_executor executor;
};

/* The slices of one call. */
struct recording {
    struct mdl_event *events; /* malloc */
    uint64_t count, capacity;
};

/* Whether the file is a whole library for this machine: RUN_DONE, or an exit status after a message. */
int library_check(const struct run_request *r, const char *path);
/* Finds the library's descriptor; an exit status after a message. The model is opened by library_start. */
int library_load(struct library *l, const struct run_request *r, const char *path);
struct ranks_settings;
/* How the model is opened; NULL and 0: as it finds best. */
struct library_settings {
    const char *weights, *device;
    int threads; /* over ranks: of each */
};
/* Opens the model, and a session. */
int library_start(struct library *l, const struct run_request *r, const struct ranks_settings *ranks,
                  const struct library_settings *s);
void library_close(struct library *l, int status); /* `status`: the program's */

/* The kernels of calls, by name. */
enum { RECORDED_CALLS = 15 };
struct kernel_time {
    const struct mdl_step *step; /* the first of its name */
    uint64_t runs;               /* in one call */
    double flops, bytes;         /* of one call */
    double times[RECORDED_CALLS] /* seconds, of all its runs in each call */, time;
};
struct kernel_times {
    struct kernel_time *rows; /* malloc */
    size_t count, capacity;
    int calls;
    struct recording recording;
};
double library_now(void); /* seconds, of a clock that only goes on */
/* One more call, of RECORDED_CALLS at most, and what its kernels took. */
int library_time_kernels(struct library *l, struct run_call *c, struct kernel_times *t);
void kernel_times_free(struct kernel_times *t);

/* Makes one more call and records it; grows the recording as needed. */
int record_call(struct library *l, struct run_call *c, struct recording *rec);
/* --list, --stats, --bench, --trace */
void library_list(const struct library *l);
void library_stats(struct library *l);
int library_bench(struct library *l, struct run_call *c, double seconds);
int library_trace(struct library *l, struct run_call *c, const char *path);

#endif
