/* Running one function of a model from a command line, whatever runs it: mdl-run's compiled library, mdlc's
 * interpreter.
 *
 *     run_parse:    options and operands ──► run_request               (nothing is known of a model yet)
 *     run_prepare:  request, executor ──► run_call                     (inputs are read, dims bound, all checked)
 *     run_execute:  calls
 *     run_finish:   --expect, --output, or a summary on stdout
 *
 * An executor describes its functions as a compiled library does (struct mdl_function; `variants` is not
 * looked at). Each step returns the program's exit status, RUN_DONE to go on, after saying on stderr what is
 * wrong: as many mistakes as there are. */
#ifndef RUNTIME_RUN_H
#define RUNTIME_RUN_H
#include "runtime/abi.h"
#include "runtime/npy.h"
#include "runtime/options.h"
#include <stdbool.h>
#include <stdint.h>

enum { RUN_DONE = 0, RUN_FAILED = 1, RUN_USAGE = 2, RUN_IO = 3, RUN_INTERNAL = 70 };

/* What can run functions. */
struct run_executor {
    const struct mdl_function *functions;
    uint32_t functions_count;
    void *context; /* of the calls below */
    /* Value of extent number `index` of the functions' tensors. */
    int64_t (*extent)(void *context, uint32_t index, const int64_t *dims);
    /* Into how many pieces dimension `d` of `t` is cut over ranks: extents are a piece's. NULL: nothing is cut. */
    int64_t (*pieces)(void *context, const struct mdl_tensor *t, uint32_t d);
    /* Calls function number `function`: the dims that are given, in the order of its dims, one pointer an input
     * (row-major, whole), one a result, which the caller allocated. An enum mdl_status; `error` says why it is not MDL_OK. */
    int (*call)(void *context, uint32_t function, const int64_t *dims, const void *const *inputs,
                void *const *results);
    const char *(*error)(void *context);
};

/* `name=value`, in the order given. */
struct run_pair {
    char *name;
    const char *value;
};
struct run_request {
    const char *program;  /* for messages */
    const char *function; /* NULL: the first */
    struct run_pair *values, *expects;
    int values_count, expects_count;
    double rtol, atol;
    const char *output; /* NULL: a summary on stdout */
    uint64_t seed;
    bool quiet; /* another rank says what is wrong */
};

/* Rows for the program's table of options; run_parse reads them. A program that has --output and --seed for
 * other things too takes the first three only. */
#define RUN_EXPECT_ROWS                                                                                      \
    {0, "expect", "N=VALUE", "compare result number N with VALUE", RUN_EXPECT_TEXT},                         \
        {0, "rtol", "X", "relative tolerance of --expect [1e-5]", 0}, {                                      \
        0, "atol", "X", "absolute tolerance of --expect [1e-8]", 0                                           \
    }
#define RUN_OPTION_ROWS                                                                                      \
    RUN_EXPECT_ROWS,                                                                                         \
        {0, "output", "DIR", "write the results to DIR/0.npy, DIR/1.npy, ...", RUN_OUTPUT_TEXT}, {           \
        0, "seed", "N", "seed of the `random` inputs [0]", 0                                                 \
    }
#define RUN_EXPECT_TEXT                                                                                      \
    "VALUE is spelled as an input's. An element x agrees with y when |x - y| <= atol + rtol*|y|, or both "   \
    "are NaN. "                                                                                              \
    "Where one does not, the largest difference and its place are printed and the exit status is 1."
#define RUN_OUTPUT_TEXT                                                                                      \
    "The folder is made if need be. Without this option a summary is printed to standard output."
/* A section for the program's documentation. */
#define RUN_VALUES_TEXT                                                                                      \
    "Inputs are given by name, in any order, as NAME=VALUE. A VALUE is:\n\n"                                 \
    "  @FILE.npy        an array from a NumPy file, converted only where no value changes\n"                 \
    "  3, -1.5, true    a number, for a scalar\n"                                                            \
    "  1,2,3            a list, for an input of one dimension\n"                                             \
    "  random           floats uniform in [-1, 1), integers in 0..9\n"                                       \
    "  random:LO..HI    floats uniform in [LO, HI), integers in LO..HI, both included\n\n"                   \
    "Dims are taken from the shapes of the inputs. Where only `random` inputs have a dim, it is given in "   \
    "the same "                                                                                              \
    "way: S=128.\n\n"                                                                                        \
    "NumPy has no bf16: such arrays are written as type '<V2' and read from '<V2' or '<u2'."

/* Splits up the options of RUN_OPTION_ROWS, and the operands from number `first` on: FUNCTION and NAME=VALUE.
 */
int run_parse(const struct option_program *program, const struct option_list *list, int first,
              struct run_request *r);
void run_request_free(struct run_request *r);

struct run_call {
    const struct run_executor *executor;
    const struct run_request *request;
    const struct mdl_function *function;
    uint32_t number;       /* of the function */
    int64_t *dims;         /* [given_dims] -1: not bound yet */
    int64_t *units;        /* [dims] what extents are functions of: dims in units, coordinates 0 */
    const char **dim_from; /* [dims] which argument said so */
    struct npy_array *inputs, *results;
    const void **input_data;
    void **result_data;
};
int run_prepare(const struct run_executor *e, const struct run_request *r, struct run_call *c);
int run_execute(struct run_call *c);
int run_finish(const struct run_call *c);
void run_call_free(struct run_call *c);

/* The exit status for an enum mdl_status. */
int run_exit_status(int status);
/* Whether all that was printed has got out: RUN_DONE, or RUN_IO after a message. */
int run_printed(const struct run_request *r);
/* "program: message" on stderr; returns `status`. */
int run_error(const struct run_request *r, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- between the files of this module --- */

/* Reads `value` as `t`: an array that may still have any shape (scalars and lists: rank 0 or 1), converted to
 * the type of `t`. `what` names it in messages. `random` gives an array without data: run_fill_random when
 * its shape is known. */
int run_read_value(const struct run_request *r, const char *what, const char *value,
                   const struct mdl_tensor *t, struct npy_array *a);
/* The array of a file, in the file's type. */
int run_read_file(const struct run_request *r, const char *what, const char *path, struct npy_array *a);
bool run_is_random(const char *value);
int run_fill_random(const struct run_request *r, const char *what, const char *value, uint64_t *state,
                    struct npy_array *a);
int run_check_expected(const struct run_call *c);
/* "i32[3, 4] = [[1 2 ...", shortened in the middle where it is long. */
void run_print_array(FILE *out, const struct npy_array *a);
/* "[2, 3]" */
const char *run_print_shape(const struct npy_array *a, char *out, size_t size);

#endif
