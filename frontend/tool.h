/* What the command lines mdlc and mdl-opt share: exit statuses, reading a model, writing an artifact, the
 * pipeline's options. Only tool_*.c include this; they are the one place that may include every directory. */
#ifndef FRONTEND_TOOL_H
#define FRONTEND_TOOL_H
#include "backend/backend.h"
#include "frontend/frontend.h"
#include "passes/pass.h"
#include "runtime/options.h"

enum { TOOL_DONE = 0, TOOL_INPUT = 1, TOOL_USAGE = 2, TOOL_IO = 3, TOOL_OURS = 70 };

/* Rows of both programs: options of the language (`option precision = int8`) that the command line spells
 * alike. The rows after the first group answer that they are not yet supported, as they do in a model. */
#define TOOL_LANGUAGE_ROWS                                                                                   \
    {0, "precision", "f32|tf32|bf16|int8", "what contractions may compute in [f32]", TOOL_PRECISION_TEXT},   \
        {0, "quantize", "q4_0|q4_1|q5_0|q5_1|q8_0", "store the weights of contractions in this format",      \
         NULL},                                                                                              \
        {0, "dim", "NAME=N,...", "also compile versions for these extents of a dim", TOOL_DIM_TEXT},         \
        {0, "fast-math", "0|1", "rewrite by rules that change roundings, infinities or signs of zero [0]",   \
         NULL},                                                                                              \
        {0, "bucket", "BYTES", "put collectives of one kind together up to so many bytes [25M]",             \
         TOOL_BUCKET_TEXT},                                                                                  \
        {0, "deny", "reshard[:BYTES]", "refuse communication that nobody asked for", TOOL_DENY_TEXT},        \
        {0, "remat", "WORD", "not yet supported", NULL}, {0, "pipeline", "WORD", "not yet supported", NULL}, \
        {0, "sync", "WORD", "not yet supported", NULL}, {                                                    \
        0, "memory", "WORD", "not yet supported", NULL                                                       \
    }
#define TOOL_PRECISION_TEXT                                                                                  \
    "f32: what was written. tf32: the same, whose factors a GPU may cut to 10 bits of mantissa. bf16: "       \
    "factors rounded to bf16. int8: activations in blocks of 32 with a scale each, for weights that are "    \
    "stored in blocks. Sums are f32 always."
#define TOOL_BUCKET_TEXT "A number, or one with k, M or G behind it; 0: each by itself."
#define TOOL_DENY_TEXT                                                                                       \
    "An error for each value that has to move over the mesh to where no annotation of its own puts it, if "  \
    "a rank sends more than BYTES for it [0], with dims as pass shard takes them to be."
#define TOOL_DIM_TEXT "May be given once a dim. The version is picked at the call."

/* Rows of both programs: how a model is read. */
#define TOOL_INPUT_ROWS                                                                                      \
    {0, "weights", "PATH", "where weight files are, instead of beside the model",                            \
     "A folder, or a file that serves every tensor."},                                                       \
        {0, "const", "NAME=VALUE,...", "give constants of the model other values",                           \
         "May be given many times."},                                                                        \
        {0, "sharding", "FILE", "where values live, as --emit=sharding writes it",                           \
         "It replaces what the model says of a value."},                                                     \
    {                                                                                                        \
        0, "seed", "N", "seed of random initialisers, and of inputs that are `random` [0]", NULL             \
    }

/* A row of both programs: the machine. tool_targets reads it. */
#define TOOL_TARGET_ROW                                                                                      \
    {                                                                                                        \
        0, "target", "TRIPLE", "the kind of machine to compile for [this one]",                              \
            "x86_64-linux-gnu or aarch64-linux-gnu; cuda:sm_90a, or several by commas, for GPUs; "           \
            "cpu+cuda:sm_90a for a library that has both. emulate:sm_90a, emulate:sapphirerapids: this "     \
            "machine, by the kernels of that GPU or x86 (for tests)."                                                                           \
    }

/* Rows of both programs: how the pipeline runs and what it shows. tool_pipeline reads them. */
#define TOOL_PIPELINE_ROWS                                                                                   \
    {0, "passes", "LIST", "run these passes, in this order: fold,fuse{max=8}", TOOL_PASSES_TEXT},            \
        {0, "load-pass", "FILE", "add the passes of a plug-in", TOOL_LOAD_PASS_TEXT},                        \
        {0, "list-passes", NULL, "list the passes and their options", NULL},                                 \
        {0, "print-ir-before", "PASS", "print the graph before each run of PASS", NULL},                     \
        {0, "print-ir-before-all", NULL, "print the graph before every pass", NULL},                         \
        {0, "print-ir-after", "PASS", "print the graph after each run of PASS", NULL},                       \
        {0, "print-ir-after-all", NULL, "print the graph after every pass", NULL},                           \
        {0, "print-ir-after-change", NULL, "print the graph after every pass that changed it", NULL},        \
        {0, "print-ir-tree", "DIR", "write the graph after each pass to DIR/NN-pass.mdl", NULL},             \
        {0, "verify-each", NULL, "check the graph after each pass", NULL},                                   \
        {0, "time-passes", NULL, "print how long each pass took", NULL},                                     \
        {0, "opt-bisect-limit", "N", "run only the first N passes that may be left out", NULL}, {            \
        0, "explain", "PASSES", "say what these passes decided, and why: fuse,memory", NULL                  \
    }
#define TOOL_PASSES_TEXT                                                                                     \
    "Names by commas; options of a pass in braces. A dump is a program: what one run printed can be cut, "   \
    "edited and fed "                                                                                        \
    "to another."
#define TOOL_LOAD_PASS_TEXT                                                                                  \
    "FILE is a shared library built against the installed headers. It is refused if they are of another "    \
    "version."

/* A model being worked on. */
struct tool {
    const struct option_program *program;
    const struct option_list *list;
    struct arena *arena;
    struct diag diag;
    struct graph *graph;
    const char *path; /* of the model, "-" for standard input */
    const char *text; /* of the model parsed last */
    size_t length;
};

/* A program's main(): parses the command line, answers fatal signals, releases what `run` used. */
int tool_main(const struct option_program *program, int argc, char **argv, int (*run)(struct tool *t));

/* Reports "program: message" on stderr, returns `status`. */
int tool_error(const struct option_program *program, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The options that change how the pipeline runs; loads plug-ins. TOOL_DONE, or the exit status. */
int tool_pipeline(struct tool *t, struct pipeline *p);
/* --list-passes */
int tool_list_passes(struct tool *t);
/* A usage message if there are more than `most` operands. */
int tool_operands(const struct tool *t, int most);
/* Reads and parses the model named by operand `n`, and adds the command line's options of the language. */
int tool_parse(struct tool *t, int n);
/* Runs the pipeline `p` over a graph that is found valid first. */
int tool_run(struct tool *t, const struct pipeline *p);
/* Prints the graph to --output, as `print` does it. */
int tool_print(struct tool *t, void (*print)(const struct graph *g, FILE *out));

/* --target and --mcpu. */
struct tool_target {
    const char *triple;   /* in targets.def's spelling; NULL: not given */
    const char *cpu;      /* NULL: not given */
    const char *emulated; /* the GPU or x86 whose kernels this machine is to run; NULL: none */
};
/* How many there are, by + between them, of GPUs also by commas; 0 after a usage message. */
int tool_targets(const struct tool *t, struct tool_target *found, int most);
/* A number of 64 bits from an option's value; false after a usage message. */
bool tool_number(const struct tool *t, const char *name, int64_t least, int64_t *number);

/* The whole of a file, or of standard input for "-", with a NUL behind. NULL after a message. */
const char *tool_read_text(struct tool *t, const char *path, size_t *length);

/* --- of mdlc (tool_compile.c) --- */
/* Parses operand `operand` and runs the passes for a target. weights: binds them first; named: values get the names that --sharding
 * speaks of; measured: schedules, NULL: those of --schedules. */
struct measured;
int tool_program(struct tool *t, int operand, const struct pipeline *p, const struct tool_target *target, bool weights,
                 bool named, const struct measured *measured);
/* Writes an artifact of programs that tool_program made. output NULL: by the model's name, or standard output. */
int tool_emit(struct tool *t, struct graph *const *programs, int count, enum artifact kind, const char *output);
/* The lines of a file of schedules, for this compiler. */
int tool_read_schedules(struct tool *t, const char *path, struct measured *m);

/* After printing to standard output: TOOL_DONE if all of it arrived. */
int tool_printed(struct tool *t);

/* mdlc interpret MODEL ...: mdl-run's arguments on the interpreter (tool_interpret.c). Operands from number 2
 * on. */
int tool_interpret(struct tool *t);
/* mdlc tune MODEL ...: the same operands (tool_tune.c). */
int tool_tune(struct tool *t);

#endif
