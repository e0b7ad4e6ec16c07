/* A program's command line as one table: the parser, --help, the man page and bash's completion all come from
 * its rows.
 *
 *     static const struct option_spec options[] = {
 *         {'o', "output", "FILE", "write the library to FILE", NULL},
 *         {0, "emit", "graph|llvm|so", "what to write", "More about it, a paragraph or several, for the man page."},
 *         {0, "verify-each", NULL, "check the graph after each pass", NULL},
 *         {0}};
 *     static const struct option_program program = {.name = "mdlc", .options = options, ...};
 *     struct option_list list;
 *     int status = options_parse(&program, argc, argv, &list);
 *     if (status >= 0) return status; // --help was printed (0), or a mistake was reported (2)
 *
 * Accepted: --name=value, --name value, -o value, -ovalue, --name for flags, options and operands in any
 * order, `--` (the rest are operands), `-` (an operand). Every program also has --help, --version, --man and
 * --bash-completion. */
#ifndef RUNTIME_OPTIONS_H
#define RUNTIME_OPTIONS_H
#include <stdbool.h>
#include <stdio.h>

/* One option. `argument` is what the value is called in the help, and how it is completed: FILE and DIR
 * complete paths, `a|b|c` these words. In brackets, `[N]`, the value may be left out, and is then only read
 * after an equals sign. */
struct option_spec {
    char letter;          /* 'o' for -o; 0: none */
    const char *name;     /* "output" for --output; NULL ends a table */
    const char *argument; /* NULL: a flag */
    const char *help;     /* one line, no capital, no full stop */
    const char
        *text; /* more, for the man page, in paragraphs as option_program.description; NULL: nothing to add */
};

/* A word that may stand first among the operands: "weights FILE". */
struct option_command {
    const char *name, *operands, *help; /* name NULL ends a table */
};

struct option_section {
    const char *title, *text; /* "EXAMPLES"; title NULL ends a table */
};

/* Paragraphs are separated by an empty line; lines that begin with a space are printed as they are. */
struct option_program {
    const char *name, *version;
    const char *summary;      /* one line, as in a man page's NAME */
    const char *const *usage; /* what follows the name, one line a form: "[OPTION...] FILE"; ends with NULL */
    const char *description;
    const struct option_spec *options;
    const struct option_command *commands; /* NULL: none */
    const struct option_section *sections; /* NULL: none */
};

struct option_arg {
    const struct option_spec *option; /* NULL: an operand */
    const char *value;                /* in argv; NULL: none was given */
};
struct option_list {
    struct option_arg *args; /* in the order given */
    int count;
};

enum { OPTIONS_RUN = -1, OPTIONS_DONE = 0, OPTIONS_USAGE = 2, OPTIONS_IO = 3, OPTIONS_NO_MEMORY = 70 };

/* Parses argv[1..argc-1]. OPTIONS_RUN: go on with *list, which options_free gives back. Otherwise the
 * program's exit status: OPTIONS_DONE after printing what --help and its like asked for, OPTIONS_IO if
 * that failed, OPTIONS_USAGE after a message to stderr. */
int options_parse(const struct option_program *program, int argc, char *const *argv,
                  struct option_list *list);
void options_free(struct option_list *list);

bool options_given(const struct option_list *list, const char *name);
/* The value of the last --name; NULL when not given. */
const char *options_value(const struct option_list *list, const char *name);
/* Each --name in turn: start with *at = 0, ends with NULL. `name` NULL: each operand. */
const struct option_arg *options_next(const struct option_list *list, const char *name, int *at);
/* Operand number `n` from 0; NULL past the last. */
const char *options_operand(const struct option_list *list, int n);
/* Reports a usage mistake as "program: message", points at --help and returns OPTIONS_USAGE. */
int options_error(const struct option_program *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The candidate nearest to `word` if it is near enough to be what was meant, else NULL; `next` gives the
 * candidates one by one and ends with NULL. */
const char *options_nearest(const char *word, const char *(*next)(const void *context, int n),
                            const void *context);

void options_print_help(const struct option_program *program, FILE *out);
void options_print_man(const struct option_program *program, FILE *out); /* roff, section 1 */
void options_print_bash_completion(const struct option_program *program, FILE *out);

/* The rows every program has; options_parse looks here last. */
extern const struct option_spec options_common[];

#endif
