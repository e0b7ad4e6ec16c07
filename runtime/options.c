/* Parsing a command line by its table. */
#include "runtime/options.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const struct option_spec options_common[] = {
    {'h', "help", NULL, "print this help", NULL},
    {0, "version", NULL, "print the version", NULL},
    {0, "man", NULL, "print the man page (roff)", NULL},
    {0, "bash-completion", NULL, "print bash's completion of this program", NULL},
    {0}};

struct parse {
    const struct option_program *program;
    char *const *argv;
    int argc, at; /* argv[at] is next */
    struct option_list *list;
};

static int usage_message(const struct option_program *p, const char *format, va_list args) {
    fprintf(stderr, "%s: ", p->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nTry '%s --help'.\n", p->name);
    return OPTIONS_USAGE;
}

int options_error(const struct option_program *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int status = usage_message(p, format, args);
    va_end(args);
    return status;
}

static int min3(int a, int b, int c) {
    int m = a < b ? a : b;
    return m < c ? m : c;
}

enum { LONGEST_WORD = 64 };

/* Levenshtein's distance; words longer than LONGEST_WORD are far from everything. */
static int edit_distance(const char *a, const char *b) {
    int row[LONGEST_WORD + 1], m = (int)strnlen(a, LONGEST_WORD + 1), n = (int)strnlen(b, LONGEST_WORD + 1);
    if (m > LONGEST_WORD || n > LONGEST_WORD) return LONGEST_WORD;
    for (int j = 0; j <= n; j++) row[j] = j;
    for (int i = 1; i <= m; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n];
}

const char *options_nearest(const char *word, const char *(*next)(const void *, int), const void *context) {
    const char *best = NULL, *candidate;
    int length = (int)strnlen(word, LONGEST_WORD), nearest = length < 4 ? 2 : length / 3 + 1;
    for (int n = 0; (candidate = next(context, n)); n++) {
        int distance = edit_distance(word, candidate);
        if (distance < nearest && distance < length) {
            nearest = distance;
            best = candidate;
        }
    }
    return best;
}

/* Candidate number `n` for a misspelt option: the program's, then the common ones. */
static const char *option_name(const void *context, int n) {
    const struct option_program *p = context;
    const struct option_spec *o = p->options;
    for (; o->name && n; n--) o++;
    if (o->name) return o->name;
    for (o = options_common; o->name && n; n--) o++;
    return o->name;
}

static const struct option_spec *find_in(const struct option_spec *o, const char *name, size_t length,
                                         char letter) {
    for (; o->name; o++)
        if (letter ? o->letter == letter : !strncmp(o->name, name, length) && !o->name[length]) return o;
    return NULL;
}

static const struct option_spec *find(const struct option_program *p, const char *name, size_t length,
                                      char letter) {
    const struct option_spec *o = find_in(p->options, name, length, letter);
    return o ? o : find_in(options_common, name, length, letter);
}

static void append(struct option_list *list, const struct option_spec *option, const char *value) {
    list->args[list->count++] = (struct option_arg){option, value};
}

/* Takes the value of `o` from what stands after it in the same word (NULL: nothing), or from the next word.
 */
static int take_value(struct parse *s, const struct option_spec *o, const char *attached) {
    bool optional = o->argument && o->argument[0] == '[';
    if (!o->argument && attached) return options_error(s->program, "--%s takes no value", o->name);
    if (o->argument && !attached && !optional) {
        if (s->at >= s->argc)
            return options_error(s->program, "--%s needs a value: %s", o->name, o->argument);
        attached = s->argv[s->at++];
    }
    append(s->list, o, attached);
    return OPTIONS_RUN;
}

static int unknown_option(const struct option_program *p, const char *name, size_t length) {
    char word[LONGEST_WORD + 1];
    snprintf(word, sizeof word, "%.*s", (int)(length > LONGEST_WORD ? LONGEST_WORD : length), name);
    const char *meant = options_nearest(word, option_name, p);
    if (meant) return options_error(p, "unknown option --%s; did you mean --%s?", word, meant);
    return options_error(p, "unknown option --%s", word);
}

static int parse_long(struct parse *s, const char *text) {
    size_t length = strcspn(text, "=");
    const struct option_spec *o = find(s->program, text, length, 0);
    if (!o) return unknown_option(s->program, text, length);
    return take_value(s, o, text[length] ? text + length + 1 : NULL);
}

/* "-o", "-ofile", or flags in a row: "-vh". */
static int parse_letters(struct parse *s, const char *text) {
    for (; *text; text++) {
        const struct option_spec *o = find(s->program, NULL, 0, *text);
        if (!o) return options_error(s->program, "unknown option -%c", *text);
        if (o->argument) return take_value(s, o, text[1] ? text + 1 + (text[1] == '=') : NULL);
        append(s->list, o, NULL);
    }
    return OPTIONS_RUN;
}

static int parse_all(struct parse *s) {
    bool only_operands = false;
    while (s->at < s->argc) {
        const char *word = s->argv[s->at++];
        int status = OPTIONS_RUN;
        if (only_operands || word[0] != '-' || !word[1])
            append(s->list, NULL, word);
        else if (!strcmp(word, "--"))
            only_operands = true;
        else
            status = word[1] == '-' ? parse_long(s, word + 2) : parse_letters(s, word + 1);
        if (status != OPTIONS_RUN) return status;
    }
    return OPTIONS_RUN;
}

/* Prints what one of the common options asks for; OPTIONS_RUN if it is none of them. */
static int answer(const struct option_program *p, const struct option_spec *o) {
    if (o == &options_common[0])
        options_print_help(p, stdout);
    else if (o == &options_common[1])
        printf("%s %s\n", p->name, p->version);
    else if (o == &options_common[2])
        options_print_man(p, stdout);
    else if (o == &options_common[3])
        options_print_bash_completion(p, stdout);
    else
        return OPTIONS_RUN;
    if (!fflush(stdout) && !ferror(stdout)) return OPTIONS_DONE;
    fprintf(stderr, "%s: standard output: %s\n", p->name, strerror(errno));
    return OPTIONS_IO;
}

/* A mistake anywhere is reported before --help is answered. */
int options_parse(const struct option_program *p, int argc, char *const *argv, struct option_list *list) {
    struct parse s = {p, argv, argc, 1, list};
    size_t letters = 1;
    for (int i = 1; i < argc; i++) letters += strlen(argv[i]) + 1;
    *list = (struct option_list){calloc(letters, sizeof *list->args), 0};
    if (!list->args) {
        fprintf(stderr, "%s: out of memory\n", p->name);
        return OPTIONS_NO_MEMORY;
    }
    int status = parse_all(&s);
    for (int i = 0; i < list->count && status == OPTIONS_RUN; i++)
        if (list->args[i].option) status = answer(p, list->args[i].option);
    if (status != OPTIONS_RUN) options_free(list);
    return status;
}

void options_free(struct option_list *list) {
    free(list->args);
    *list = (struct option_list){NULL, 0};
}

const struct option_arg *options_next(const struct option_list *list, const char *name, int *at) {
    while (*at < list->count) {
        const struct option_arg *arg = &list->args[(*at)++];
        if (name ? arg->option && !strcmp(arg->option->name, name) : !arg->option) return arg;
    }
    return NULL;
}

bool options_given(const struct option_list *list, const char *name) {
    int at = 0;
    return options_next(list, name, &at) != NULL;
}

const char *options_value(const struct option_list *list, const char *name) {
    const char *value = NULL;
    const struct option_arg *arg;
    for (int at = 0; (arg = options_next(list, name, &at));) value = arg->value;
    return value;
}

const char *options_operand(const struct option_list *list, int n) {
    const struct option_arg *arg;
    for (int at = 0; (arg = options_next(list, NULL, &at));)
        if (!n--) return arg->value;
    return NULL;
}
