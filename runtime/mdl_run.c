/* mdl-run: calls a function of a compiled model from the command line. */
#include "config.h"
#include "runtime/library.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const struct option_spec options[] = {
    RUN_OPTION_ROWS,
    {0, "bench", "[SECONDS]", "then time calls for SECONDS [1]: min, median, p90, and each kernel",
     "Prints the time of a call, GFLOP/s and GB/s at the median, and a table with the median time of all "
     "runs of each kernel in "
     "a call, from its first thread's start to its last thread's end, without the wait for the other "
     "threads. States go on "
     "from call to call."},
    {0, "threads", "N", "threads a call may use [as many as the process may run on]", NULL},
    {0, "stats", NULL, "then print the memory that the session has and the process uses",
     "A session's memory is what the compiler printed (--list), in whole pages; of it only what has been "
     "touched is resident."},
    {0, "trace", "FILE.json", "then record one more call as a Chrome trace",
     "For chrome://tracing or ui.perfetto.dev: a slice "
     "for each kernel and thread, named after the kernel and its source line."},
    {0, "verify", NULL, "check the checksum of every tensor in the weights file first", NULL},
    {0, "list", NULL, "list functions, inputs, results, dims, states and sizes; call nothing", NULL},
    {0, "weights", "FILE", "the weights file",
     "Without this option: $NAME_WEIGHTS for a model called name, else $MDL_WEIGHTS, else NAME.weights "
     "beside libNAME.so."},
    {0}};

static const struct option_section sections[] = {
    {"INPUTS", RUN_VALUES_TEXT},
    {"EXIT STATUS", "  0   done\n"
                    "  1   the model refused the call, an input is wrong, or --expect found a difference\n"
                    "  2   the command line is wrong\n"
                    "  3   a file cannot be read or written\n"
                    "  70  out of memory, or a mistake of ours"},
    {"EXAMPLES", "  mdl-run --list libmlp.so\n"
                 "  mdl-run libmlp.so forward x=@x.npy --expect=0=@y.npy --rtol=1e-4\n"
                 "  mdl-run libsmollm2.so tokens=1,2,3 pos=0 --bench --threads=2"},
    {0}};

static const struct option_program program = {
    .name = "mdl-run",
    .version = PACKAGE_VERSION,
    .summary = "call a function of a compiled model",
    .usage = (const char *const[]){"[OPTION...] LIBRARY [FUNCTION] [NAME=VALUE...]", NULL},
    .description = "Opens LIBRARY, which mdlc made, calls FUNCTION (the first, if none is named) and prints, "
                   "writes or checks "
                   "its results.",
    .options = options,
    .sections = sections,
};

struct settings {
    int threads;
    double bench; /* seconds; 0: no */
};

static int parse_settings(const struct option_list *list, struct settings *s) {
    const char *threads = options_value(list, "threads"), *bench = options_value(list, "bench");
    char *end;
    *s = (struct settings){0, options_given(list, "bench") ? 1 : 0};
    if (threads) {
        long n = strtol(threads, &end, 10);
        if (end == threads || *end || n < 1 || n > INT_MAX)
            return options_error(&program, "--threads=%s: a number from 1 was expected", threads);
        s->threads = (int)n;
    }
    if (bench) {
        s->bench = strtod(bench, &end);
        if (end == bench || *end || !(s->bench > 0))
            return options_error(&program, "--bench=%s: seconds were expected", bench);
    }
    return RUN_DONE;
}

static int verify(const struct library *l, const struct run_request *r) {
    char message[300];
    int status = l->descriptor->api->verify(l->model, message, sizeof message);
    return status ? run_error(r, run_exit_status(status), "%s", message) : RUN_DONE;
}

static int call(struct library *l, const struct option_list *list, const struct run_request *r,
                const struct settings *s) {
    struct run_call c;
    const char *trace = options_value(list, "trace");
    int status = run_prepare(&l->executor, r, &c);
    if (!status) status = run_execute(&c);
    if (!status) status = run_finish(&c);
    if (!status && s->bench > 0) status = library_bench(l, &c, s->bench);
    if (!status && trace) status = library_trace(l, &c, trace);
    if (!status && options_given(list, "stats")) library_stats(l);
    run_call_free(&c);
    return status;
}

/* --verify alone checks and is done; a function or values make it a call as well. */
static int run(struct library *l, const struct option_list *list, const struct run_request *r) {
    struct settings s;
    int status = parse_settings(list, &s);
    if (!status) status = library_load(l, r, options_operand(list, 0));
    if (!status && options_given(list, "list")) {
        library_list(l);
        return RUN_DONE;
    }
    if (!status) status = library_start(l, r, options_value(list, "weights"), s.threads);
    bool check = options_given(list, "verify");
    if (!status && check) status = verify(l, r);
    if (status || (check && !r->function && !r->values_count)) return status;
    return call(l, list, r, &s);
}

int main(int argc, char **argv) {
    struct option_list list;
    struct run_request request;
    struct library library = {0};
    int status = options_parse(&program, argc, argv, &list);
    if (status >= 0) return status;
    if (!options_operand(&list, 0)) {
        status = options_error(&program, "no library was given");
        options_free(&list);
        return status;
    }
    status = run_parse(&program, &list, 1, &request);
    if (!status) status = run(&library, &list, &request);
    library_close(&library);
    run_request_free(&request);
    options_free(&list);
    if (fflush(stdout) && !status)
        status = run_error(&request, RUN_IO, "standard output: %s", strerror(errno));
    return status;
}
