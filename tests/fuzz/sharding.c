/* Random models on random meshes: what all ranks compute together is what one computes alone.
 *
 *     sharding --count=2000 --seed=1 [--real]      each pass, interpreted: verified, printed and parsed again
 *     sharding --count=2000 --compile              machine code, ranks that are threads
 *     mpirun -np 4 sharding --count=500 --comm=mpi those of 4 ranks, one process a rank
 *     sharding --print --seed=7 [--real]           the model
 *
 * Each model is interpreted as it was written; then after `shard`, after `partition` and at the end of the
 * pipeline by all ranks of its mesh (ir/exchange.h). Integers must come out equal, reals as float64 that
 * differ by what orders of sums differ by (from what is computed after `decompose`, whose constants are f32).
 * Each seed runs in a process of its own, so that one crash is one failure. */
#include "ir/print.h"
#include "runtime/abi.h"
#include "runtime/comm.h"
#include "sharding_job.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 60 };

struct settings {
    uint64_t seed;
    long count;
    bool real, print, verbose, compile;
    const char *keep, *comm;
};

/* ---- One model ---- */

static bool round_trips(struct job *j, const struct graph *g, const char *passes) {
    const char *dumped = graph_text(j->a, g);
    struct graph *again = job_parse(j->a, dumped);
    const char *twice = again ? graph_text(j->a, again) : "(it does not parse)\n";
    if (!strcmp(dumped, twice)) return true;
    fprintf(stderr, "FAIL %s: its dump becomes another one\n%s----\n%s", passes, dumped, twice);
    return false;
}

/* The graph as written, or as it is after `decompose`, gives what is wanted. */
static struct graph *reference(struct job *j) {
    struct graph *g = job_parse(j->a, j->m->text);
    if (!g) fprintf(stderr, "FAIL parse\n");
    if (!g || !job_interpret(j, g, "as written", true)) return NULL;
    if (j->exact) return g;
    if (job_apply(g, "specialise,fold,simplify,cse,dce,decompose") != PASSED) return NULL;
    return job_interpret(j, g, "decompose", true) ? g : NULL;
}

static enum verdict check_passes(struct job *j, struct graph *g) {
    static const char *const steps[] = {"specialise,fold,simplify,cse,dce,decompose",
                                        "shard",
                                        "partition",
                                        "precision,fold,simplify,cse,dce",
                                        "guards,fuse,overlap",
                                        "schedule,narrow,layout,memory"};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        enum verdict v = job_apply(g, steps[i]);
        if (v != PASSED) return v;
        if (!round_trips(j, g, steps[i]) || !job_interpret(j, g, steps[i], false)) return FAILED;
    }
    return PASSED;
}

static enum verdict check(const struct settings *s, uint64_t seed) {
    struct arena *a = arena_new();
    struct job *j = job_new(a, seed, !s->real);
    struct graph *g = reference(j);
    enum verdict v = FAILED;
    j->tolerance = s->compile ? 1e-3 : 1e-9;
    if (g) v = s->compile ? job_run_threads(j) : check_passes(j, g);
    arena_release(a);
    return v;
}

/* ---- Many models ---- */

/* The child's messages are read once it has ended, so they go to a file. */
static enum verdict check_apart(const struct settings *s, uint64_t seed, int said) {
    fflush(NULL);
    if (ftruncate(said, 0) || lseek(said, 0, SEEK_SET)) return FAILED;
    pid_t child = fork();
    if (child == 0) {
        dup2(said, 1);
        dup2(said, 2);
        alarm(LIMIT_SECONDS);
        int status = (int)check(s, seed);
        fflush(NULL);
        _exit(status);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) return FAILED;
    return WIFEXITED(status) && WEXITSTATUS(status) <= REFUSED ? (enum verdict)WEXITSTATUS(status) : FAILED;
}

static void keep_model(const struct settings *s, uint64_t seed) {
    struct arena *a = arena_new();
    const char *kind = s->real ? "real" : "exact";
    FILE *out = fopen(arena_printf(a, "%s/%s%llu.mdl", s->keep, kind, (unsigned long long)seed), "w");
    if (out) fputs(random_model(a, seed, !s->real)->text, out);
    if (out) fclose(out);
    arena_release(a);
}

/* What the child said: its first lines, or all. */
static void report(const struct settings *s, uint64_t seed, const char *what, int said) {
    static char text[1 << 20];
    printf("%s --seed=%llu%s\n", what, (unsigned long long)seed, s->real ? " --real" : "");
    ssize_t length = pread(said, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = 0;
    char *end = text;
    for (int i = 0; i < 6 && (end = strchr(end, '\n')); i++) end++;
    if (end && !s->verbose) *end = 0;
    printf("%s\n", text);
    if (s->keep) keep_model(s, seed);
}

static int check_many(const struct settings *s) {
    long counts[3] = {0};
    FILE *said = tmpfile();
    if (!said) return EXIT_FAILURE;
    for (long i = 0; i < s->count; i++) {
        enum verdict v = check_apart(s, s->seed + (uint64_t)i, fileno(said));
        counts[v]++;
        if (v == FAILED) report(s, s->seed + (uint64_t)i, "failed:", fileno(said));
        if (v == REFUSED && (s->verbose || s->keep))
            report(s, s->seed + (uint64_t)i, "refused:", fileno(said));
    }
    fclose(said);
    printf("%s%s: %ld models equal, %ld refused, %ld failed\n", s->compile ? "compiled " : "",
           s->real ? "reals" : "integers", counts[PASSED], counts[REFUSED], counts[FAILED]);
    return counts[FAILED] || !counts[PASSED] ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- Processes ---- */

/* Rank 0 compiles and tells the others, by renaming a file to its verdict. */
static enum verdict library_of(struct job *j, const struct settings *s, int rank, const char *path) {
    const char *done = arena_printf(j->a, "%s.done", path);
    if (rank == 0) {
        enum verdict v = job_compile(j, path);
        const char *new = arena_printf(j->a, "%s.new", path);
        FILE *out = fopen(new, "w");
        if (out) fprintf(out, "%d", (int)v), fclose(out);
        rename(new, done);
        return v;
    }
    int v = FAILED;
    FILE *in = NULL;
    for (int i = 0; i < LIMIT_SECONDS * 500 && !(in = fopen(done, "r")); i++) usleep(2000);
    if (in && fscanf(in, "%d", &v) != 1) v = FAILED;
    if (in) fclose(in);
    (void)s;
    return (enum verdict)v;
}

/* This rank's part of one model; models of other numbers of ranks are left out. */
static void check_process(const struct settings *s, uint64_t seed, struct mdl_comm *comm, long *counts) {
    struct arena *a = arena_new();
    struct job *j = job_new(a, seed, !s->real);
    const char *path = arena_printf(a, "%s/lib%llu.so", s->keep, (unsigned long long)seed);
    bool ours = j->m->ranks == comm->size && reference(j);
    j->tolerance = 1e-3;
    enum verdict v = ours ? library_of(j, s, comm->rank, path) : REFUSED;
    void *library = v == PASSED ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    const struct mdl_descriptor *d = library ? dlsym(library, "mdl_descriptor") : NULL;
    if (v == PASSED && !(d && job_call_rank(j, d, d->mesh ? comm : NULL, comm->rank))) v = FAILED;
    if (v == FAILED) fprintf(stderr, "failed: --seed=%llu\n", (unsigned long long)seed);
    if (ours) counts[v]++;
    if (library) dlclose(library);
    arena_release(a);
}

static int check_processes(const struct settings *s) {
    char why[512] = "";
    long counts[3] = {0};
    struct mdl_comm *comm;
    if (mdl_comm_open(s->comm, why, sizeof why, &comm)) {
        fprintf(stderr, "sharding: %s\n", why);
        return EXIT_FAILURE;
    }
    for (long i = 0; i < s->count && !comm->broken; i++)
        check_process(s, s->seed + (uint64_t)i, comm, counts);
    if (comm->rank == 0 || counts[FAILED])
        printf("%s, rank %d of %d: %s: %ld models equal, %ld refused, %ld failed\n", s->comm, comm->rank,
               comm->size, s->real ? "reals" : "integers", counts[PASSED], counts[REFUSED], counts[FAILED]);
    bool broken = comm->broken;
    mdl_comm_close(comm);
    return broken || counts[FAILED] ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- Command line ---- */

static bool parse_argument(struct settings *s, const char *arg) {
    static const char *const flags[] = {"--real", "--print", "--verbose", "--compile"};
    bool *const on[] = {&s->real, &s->print, &s->verbose, &s->compile};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (!strcmp(arg, flags[i])) return *on[i] = true;
    const char *value = strchr(arg, '=');
    if (!value) return false;
    size_t length = (size_t)(value++ - arg);
    if (!strncmp(arg, "--seed", length))
        s->seed = strtoull(value, NULL, 10);
    else if (!strncmp(arg, "--count", length))
        s->count = strtol(value, NULL, 10);
    else if (!strncmp(arg, "--keep", length))
        s->keep = value;
    else if (!strncmp(arg, "--comm", length))
        s->comm = value;
    else
        return false;
    return true;
}

int main(int argc, char **argv) {
    struct settings s = {.seed = 1, .count = 1};
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++)
        if (!parse_argument(&s, argv[i])) {
            fprintf(stderr,
                    "usage: sharding [--seed=N] [--count=N] [--real] [--print] [--verbose] [--compile] "
                    "[--keep=FOLDER] [--comm=openmpi|mpich]\n");
            return 2;
        }
    if (s.comm && !s.keep) s.keep = ".";
    if (s.comm) return check_processes(&s);
    if (!s.print) return check_many(&s);
    struct arena *a = arena_new();
    fputs(random_model(a, s.seed, !s.real)->text, stdout);
    arena_release(a);
    return EXIT_SUCCESS;
}
