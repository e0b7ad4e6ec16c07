/* The command line of the programs: a table of options, each with its field and range; their main. */
#include "options.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, WHOLE, REAL, IDS };

struct option {
    const char *name, *value; /* value NULL: takes none */
    enum kind kind;
    size_t field; /* of struct options */
    double low, high;
    const char *help;
};

#define FIELD(name) offsetof(struct options, name)
static const struct option table[] = {
    {"prompt", "TEXT", TEXT, FIELD(prompt), 0, 0, "the text to continue; with --chat, what the user says"},
    {"ids", "1,2,3", IDS, FIELD(ids), 0, 0, "the prompt as token ids"},
    {"tokens", "N", WHOLE, FIELD(tokens), 0, INT32_MAX, "how many tokens to generate at most [128]"},
    {"chat", NULL, FLAG, FIELD(chat), 0, 0,
     "talk in turns; without --prompt, each line of standard input is one"},
    {"system", "TEXT", TEXT, FIELD(system), 0, 0, "the system prompt of --chat [the model's own]"},
    {"greedy", NULL, FLAG, FIELD(sampling.greedy), 0, 0, "always take the likeliest token"},
    {"temperature", "X", REAL, FIELD(sampling.temperature), 0, 1e6, "below 1 sharpens the choice [0.2]"},
    {"top-p", "X", REAL, FIELD(sampling.top_p), 1e-9, 1,
     "choose among the fewest tokens that reach probability X [0.9]"},
    {"seed", "N", WHOLE, FIELD(sampling.seed), 0, INT32_MAX, "of the random numbers [1]"},
    {"lookup", NULL, FLAG, FIELD(lookup), 0, 0,
     "with --greedy: guess ahead from what the text has said before; the same tokens, sooner"},
    {"prefix", "FILE", TEXT, FIELD(prefix), 0, 0,
     "keep the model's state after the prompt in FILE; a prompt that begins alike starts from there"},
    {"print-ids", NULL, FLAG, FIELD(print_ids), 0, 0,
     "print ids, not text: the prompt's on a line, the generated on the next"},
    {"stats", NULL, FLAG, FIELD(stats), 0, 0, "print times and tokens a second on standard error"},
    {"threads", "N", WHOLE, FIELD(threads), 0, 4096, "threads to compute with [all processors]"},
    {"ranks", "N", WHOLE, FIELD(ranks), 1, 1024,
     "the ranks are threads of this process; without, mpirun starts them"},
    {"device", "cpu|cuda:N", TEXT, FIELD(device), 0, 0,
     "where to compute [the first that the library is for]"},
    {"weights", "FILE", TEXT, FIELD(weights), 0, 0, "the compiled model's weights [beside its library]"},
    {"gguf", "FILE", TEXT, FIELD(gguf), 0, 0, "the GGUF file, for its tokenizer [beside this program]"},
};
enum { OPTIONS = sizeof table / sizeof *table };

static bool read_whole(const struct option *row, const char *value, int64_t *number, struct error *e) {
    char *end;
    errno = 0;
    *number = strtoll(value, &end, 10);
    if (end != value && !*end && !errno && *number >= row->low && *number <= row->high) return true;
    return fail(e, "'%s' is not a whole number from %.0f to %.0f", value, row->low, row->high);
}

static bool read_real(const struct option *row, const char *value, double *number, struct error *e) {
    char *end;
    *number = strtod(value, &end);
    if (end != value && !*end && *number >= row->low && *number <= row->high) return true;
    return fail(e, "'%s' is not a number from %g to %g", value, row->low, row->high);
}

static bool read_value(struct options *o, const struct option *row, const char *value, struct error *e) {
    void *field = (char *)o + row->field;
    if (row->kind == FLAG) return *(bool *)field = true;
    if (row->kind == WHOLE) return read_whole(row, value, field, e);
    if (row->kind == REAL) return read_real(row, value, field, e);
    if (row->kind == IDS) return (o->have_ids = true) && ids_parse(field, value, e);
    *(const char **)field = value;
    return true;
}

static bool takes(const struct options_program *p, const struct option *row) {
    for (const char *const *name = p->takes; name && *name; name++)
        if (!strcmp(*name, row->name)) return true;
    return !p->takes;
}

static void help(const struct options_program *p) {
    printf("usage: %s\n", p->about);
    for (size_t i = 0; i < OPTIONS; i++) {
        char spelled[40];
        snprintf(spelled, sizeof spelled, "--%s%s%s", table[i].name, table[i].value ? "=" : "",
                 table[i].value ? table[i].value : "");
        if (takes(p, &table[i])) printf("  %-18s %s\n", spelled, table[i].help);
    }
    puts("  --help             print this");
}

/* Reads "--name" or "--name=value". */
static bool read_option(struct options *o, const struct options_program *p, const char *argument,
                        struct error *e) {
    if (strncmp(argument, "--", 2) != 0) return fail(e, "'%s' is not an option (%s)", argument, p->prompts);
    const char *name = argument + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    for (size_t i = 0; i < OPTIONS; i++) {
        if (strlen(table[i].name) != length || memcmp(table[i].name, name, length) != 0) continue;
        if (!takes(p, &table[i])) break;
        if (!table[i].value != !equals)
            return fail(e, "--%s takes %s value", table[i].name, table[i].value ? "a" : "no");
        struct error why;
        if (read_value(o, &table[i], equals ? equals + 1 : NULL, &why)) return true;
        return fail(e, "--%s: %s", table[i].name, why.text);
    }
    return fail(e, "there is no option '%s'; --help lists them", argument);
}

/* Returns -1, or the exit status where there is nothing more to do: 0 after --help, 2 after a mistake, which
 * it has printed. */
static int parse(struct options *o, const struct options_program *p, int argc, char **argv) {
    *o = (struct options){.tokens = 128, .sampling = {.temperature = 0.2, .top_p = 0.9, .seed = 1}};
    struct error e;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) return help(p), 0;
        if (read_option(o, p, argv[i], &e)) continue;
        fprintf(stderr, "%s: %s\n", p->name, e.text);
        return 2;
    }
    if (!p->check || p->check(o, &e)) return -1;
    fprintf(stderr, "%s: %s\n", p->name, e.text);
    return 2;
}

int options_main(const struct options_program *p, int argc, char **argv) {
    struct options options;
    struct error e = {""};
    int status = parse(&options, p, argc, argv);
    if (status < 0) {
        status = p->run(&options, &e);
        if (*e.text) fprintf(stderr, "%s: %s\n", p->name, e.text);
    }
    ids_free(&options.ids);
    return end_program(status);
}

struct mdl_options options_of_model(const struct options *o, struct error *e) {
    struct mdl_options options = MDL_OPTIONS;
    options.threads = (int32_t)o->threads;
    options.device = o->device;
    options.error = e->text;
    options.error_size = sizeof e->text;
    return options;
}
