/* Command lines by table: what is accepted, what is refused, what the table prints about itself. */
#include "runtime/options.h"
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_spec options[] = {
    {'o', "output", "FILE", "where to write", NULL},
    {0, "emit", "graph|so", "what to write", "First.\n\n  verbatim\n\nLast."},
    {0, "before", "[PASS]", "print before PASS", NULL},
    {'v', "verify", NULL, "check", NULL},
    {0}};
static const struct option_command commands[] = {{"weights", "FILE", "list tensors"}, {0}};
static const struct option_program program = {.name = "tool",
                                              .version = "1",
                                              .summary = "do things",
                                              .usage = (const char *const[]){"[OPTION...] FILE", NULL},
                                              .description = ".A dot-led line.",
                                              .options = options,
                                              .commands = commands};

/* Parses the words of `line`; returns them as "name=value name=value (operand)", or the exit status. */
static const char *parse(const char *line) {
    static char out[1024], copy[1024];
    char tool[] = "tool", *argv[32] = {tool};
    int argc = 1;
    struct option_list list;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) argv[argc++] = word;
    int status = options_parse(&program, argc, argv, &list);
    snprintf(out, sizeof out, "%d", status);
    if (status != OPTIONS_RUN) return out;
    size_t at = 0;
    for (int i = 0; i < list.count; i++) {
        const struct option_arg *a = &list.args[i];
        if (!a->option)
            at += (size_t)snprintf(out + at, sizeof out - at, "(%s) ", a->value);
        else
            at += (size_t)snprintf(out + at, sizeof out - at, "%s=%s ", a->option->name,
                                   a->value ? a->value : "");
    }
    options_free(&list);
    return out;
}

Test(options, spellings) {
    cr_assert_str_eq(parse("a -ofoo -o bar --output=x --output y -o=z b"),
                     "(a) output=foo output=bar output=x output=y output=z (b) ");
    cr_assert_str_eq(parse("--before p --before=q -v - -- --emit"),
                     "before= (p) before=q verify= (-) (--emit) ");
    cr_assert_str_eq(parse("-vofile --emit=a=b"), "verify= output=file emit=a=b ");
}

Test(options, mistakes, .init = cr_redirect_stderr) {
    cr_assert_str_eq(parse("a --emmit=so"), "2");
    cr_assert_str_eq(parse("a --nothing-like-it"), "2");
    cr_assert_str_eq(parse("a --verify=1"), "2");
    cr_assert_str_eq(parse("a -o"), "2");
    cr_assert_str_eq(parse("a -vq"), "2");
    fflush(stderr);
    cr_assert_stderr_eq_str("tool: unknown option --emmit; did you mean --emit?\nTry 'tool --help'.\n"
                            "tool: unknown option --nothing-like-it\nTry 'tool --help'.\n"
                            "tool: --verify takes no value\nTry 'tool --help'.\n"
                            "tool: --output needs a value: FILE\nTry 'tool --help'.\n"
                            "tool: unknown option -q\nTry 'tool --help'.\n");
}

Test(options, lookup) {
    struct option_list list;
    static char words[][16] = {"tool", "--emit=so", "one", "--emit=graph", "two"};
    char *const argv[] = {words[0], words[1], words[2], words[3], words[4]};
    cr_assert_eq(options_parse(&program, 5, argv, &list), OPTIONS_RUN);
    cr_assert_str_eq(options_value(&list, "emit"), "graph");
    cr_assert(options_given(&list, "emit") && !options_given(&list, "verify"));
    cr_assert_str_eq(options_operand(&list, 1), "two");
    cr_assert_null(options_operand(&list, 2));
    int at = 0;
    cr_assert_str_eq(options_next(&list, "emit", &at)->value, "so");
    cr_assert_str_eq(options_next(&list, "emit", &at)->value, "graph");
    cr_assert_null(options_next(&list, "emit", &at));
    options_free(&list);
}

/* What `print` writes. */
static char *text_of(void (*print)(const struct option_program *, FILE *)) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    print(&program, out);
    fclose(out);
    return text;
}

static void contains(void (*print)(const struct option_program *, FILE *), const char *wanted) {
    char *text = text_of(print);
    cr_assert(strstr(text, wanted), "'%s' is not in:\n%s", wanted, text);
    free(text);
}

Test(options, documentation) {
    contains(options_print_help, "  -o, --output=FILE               where to write\n");
    contains(options_print_help, "      --before[=PASS]             print before PASS\n");
    contains(options_print_help, "  weights FILE                    list tensors\n");
    contains(options_print_man, ".SH DESCRIPTION\n\\&.A dot\\-led line.\n");
    contains(options_print_man, "\\-o, \\-\\-output=FILE\n");
    contains(options_print_man, ".nf\n\\&  verbatim\n.fi\n");
    contains(options_print_bash_completion, "--emit) COMPREPLY=($(compgen -W 'graph so' -- \"$value\"))");
    contains(options_print_bash_completion, "complete -o filenames -F _tool tool\n");
}
