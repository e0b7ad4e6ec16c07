/* One random model with inputs for some calls, and what they are to give. */
#ifndef TESTS_FUZZ_SHARDING_JOB_H
#define TESTS_FUZZ_SHARDING_JOB_H
#include "ir/interp.h"
#include "random_model.h"

enum { CALLS = 2, SIZES = 2, MAX_RESULTS = 4 };
enum verdict { PASSED, FAILED, REFUSED /* the compiler says that the model cannot be had so */ };

struct job {
    struct arena *a;
    struct rx_model *m;
    uint64_t seed;
    bool exact;
    double tolerance; /* of reals, relative to the largest element of a result */
    int64_t dims[SIZES][RX_DIMS];
    struct array *inputs[SIZES][CALLS][RX_ARGS];
    struct array *wanted[SIZES][CALLS][MAX_RESULTS];
};

struct job *job_new(struct arena *a, uint64_t seed, bool exact);
/* NULL after messages. */
struct graph *job_parse(struct arena *a, const char *text);
/* All calls by the interpreter: what they give is wanted, if `first`, else compared; says on stderr what
 * differs. `when`: for the message. */
bool job_interpret(struct job *j, struct graph *g, const char *when, bool first);
/* Whether x, of call c of size s or a piece of it, is as wanted: y. */
bool job_same(const struct job *j, const struct array *y, const struct array *x, int k, const char *when);
enum verdict job_apply(struct graph *g, const char *passes);

/* What rank `rank` of a compiled model does: opens it, makes all calls on its pieces, compares its results.
 */
struct mdl_comm;
struct mdl_descriptor;
bool job_call_rank(struct job *j, const struct mdl_descriptor *d, struct mdl_comm *comm, int rank);
/* The model as a library at `path`. */
enum verdict job_compile(struct job *j, const char *path);
/* Compiled, on ranks that are threads. */
enum verdict job_run_threads(struct job *j);
#endif
