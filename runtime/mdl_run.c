/* mdl-run: calls a function of a compiled model from the command line. */
#include "config.h"
#include "runtime/library_ranks.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define RANKS_TEXT                                                                                           \
    "Inputs are given whole, results come whole: each rank has its pieces of them. Under mpirun each "       \
    "process is a "                                                                                          \
    "rank, and rank 0 prints. With --stats each rank's bytes are counted by the kind of collective."

static const struct option_spec options[] = {
    RUN_OPTION_ROWS,
    {0, "bench", "[SECONDS]", "then time calls for SECONDS [1]: min, median, p90, and each kernel",
     "Prints the time of a call, GFLOP/s and GB/s at the median, and a table with the median time of all "
     "runs of each kernel in "
     "a call, from its first thread's start to its last thread's end, without the wait for the other "
     "threads. States go on "
     "from call to call."},
    {0, "threads", "N", "threads a call may use [as many as the process may run on]", NULL},
    {0, "device", "cpu|cuda:N", "where to run [what the model was compiled for; of GPUs the first]",
     "A model is compiled for the processor or for GPUs, and runs there only; cuda:1 is the system's second "
     "GPU."},
    {0, "ranks", "N", "run a model with a mesh on N ranks that are threads of this process", RANKS_TEXT},
    {0, "comm", "auto|threads|mpi|openmpi|mpich|nccl", "how ranks speak to each other [auto]",
     "auto: threads with --ranks, else the MPI whose mpirun started this process. The part for each MPI is "
     "looked for in "
     "$MDL_COMM_PATH, then where mdl-run was installed. Ranks of a model for GPUs find each other so, and "
     "move tensors by "
     "NCCL; each takes the GPU of its number."},
    {0, "collective", "ring|mpi",
     "whose algorithms make collectives: rings of ours, or the MPI library's [mpi]",
     "The library's are used where it has the element type and the operation. Rings give the same bits with "
     "any engine."},
    {0, "timeout", "SECONDS", "how long a collective may take before all ranks give up [60]", NULL},
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
                 "  mdl-run libsmollm2.so tokens=1,2,3 pos=0 --bench --threads=2\n"
                 "  mdl-run --ranks=4 --stats libsharded.so x=random\n"
                 "  mpirun -np 4 mdl-run libsharded.so x=@x.npy --expect=0=@y.npy"},
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
    struct library_settings library;
    double bench; /* seconds; 0: no */
    struct ranks_settings ranks;
};

static int parse_ranks(const struct option_list *list, struct ranks_settings *s) {
    const char *ranks = options_value(list, "ranks"), *timeout = options_value(list, "timeout"),
               *collective = options_value(list, "collective");
    char *end;
    s->comm = options_value(list, "comm");
    if (ranks) {
        long n = strtol(ranks, &end, 10);
        if (end == ranks || *end || n < 1 || n > 1024)
            return options_error(&program, "--ranks=%s: a number from 1 to 1024 was expected", ranks);
        s->ranks = (int32_t)n;
    }
    if (timeout) {
        double seconds = strtod(timeout, &end);
        if (end == timeout || *end || !(seconds >= .001 && seconds < 1e6))
            return options_error(&program, "--timeout=%s: seconds were expected", timeout);
        s->timeout_ms = (int32_t)(seconds * 1e3);
    }
    if (collective && strcmp(collective, "ring") && strcmp(collective, "mpi"))
        return options_error(&program, "--collective=%s: ring or mpi was expected", collective);
    s->algorithm = collective && !strcmp(collective, "ring") ? MDL_RING : MDL_AUTO;
    return RUN_DONE;
}

static int parse_settings(const struct option_list *list, struct settings *s) {
    const char *threads = options_value(list, "threads"), *bench = options_value(list, "bench");
    char *end;
    *s = (struct settings){
        .library = {.weights = options_value(list, "weights"), .device = options_value(list, "device")},
        .bench = options_given(list, "bench") ? 1 : 0};
    if (threads) {
        long n = strtol(threads, &end, 10);
        if (end == threads || *end || n < 1 || n > INT_MAX)
            return options_error(&program, "--threads=%s: a number from 1 was expected", threads);
        s->library.threads = (int)n;
    }
    if (bench) {
        s->bench = strtod(bench, &end);
        if (end == bench || *end || !(s->bench > 0))
            return options_error(&program, "--bench=%s: seconds were expected", bench);
    }
    return parse_ranks(list, &s->ranks);
}

static int verify(const struct library *l, const struct run_request *r) {
    char message[300];
    int status = l->descriptor->api->verify(l->model, message, sizeof message);
    return status ? run_error(r, run_exit_status(status), "%s", message) : RUN_DONE;
}

/* What is wrong with the command line is the same on all ranks, and said by the first. */
static int prepare(struct library *l, struct run_request *r, struct run_call *c) {
    r->quiet = !ranks_speaks(l);
    int status = run_prepare(&l->executor, r, c);
    r->quiet = false;
    return status;
}

static int call(struct library *l, const struct option_list *list, struct run_request *r,
                const struct settings *s) {
    struct run_call c;
    const char *trace = options_value(list, "trace");
    int status = prepare(l, r, &c);
    if (!status) status = run_execute(&c);
    if (!status && ranks_speaks(l)) status = run_finish(&c);
    if (!status && s->bench > 0) status = library_bench(l, &c, s->bench);
    if (!status && trace) status = library_trace(l, &c, trace);
    if (!status && options_given(list, "stats")) library_stats(l);
    run_call_free(&c);
    return status;
}

/* --verify alone checks and is done; a function or values make it a call as well. */
static int run(struct library *l, const struct option_list *list, struct run_request *r) {
    struct settings s;
    int status = parse_settings(list, &s);
    if (!status) status = library_load(l, r, options_operand(list, 0));
    if (!status && options_given(list, "list")) {
        library_list(l);
        return RUN_DONE;
    }
    if (!status) status = library_start(l, r, &s.ranks, &s.library);
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
    library_close(&library, status);
    run_request_free(&request);
    options_free(&list);
    return status ? status : run_printed(&request);
}
