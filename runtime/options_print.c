/* What a table of options says for itself: --help, the man page, bash's completion. */
#include "runtime/options.h"
#include <ctype.h>
#include <string.h>

enum { WIDTH = 100, HELP_COLUMN = 34 };

/* Prints `text` word by word, lines of at most WIDTH columns that begin at `indent`; the cursor stands at
 * `column`. */
static void wrap(FILE *out, const char *text, int indent, int column) {
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (column > indent && column + length > WIDTH) column = fprintf(out, "\n%*s", indent, "") - 1;
        column += fprintf(out, "%.*s", length, text);
        text += length;
        if (*text == ' ') {
            if (column < WIDTH) column += fprintf(out, " ");
            text++;
        }
    }
    fputc('\n', out);
}

/* "  -o, --output=FILE"; how many columns that was. */
static int print_spelling(const struct option_spec *o, FILE *out) {
    int n = o->letter ? fprintf(out, "  -%c, --%s", o->letter, o->name) : fprintf(out, "      --%s", o->name);
    if (!o->argument) return n;
    if (o->argument[0] != '[') return n + fprintf(out, "=%s", o->argument);
    return n + fprintf(out, "[=%s", o->argument + 1);
}

static void help_rows(const struct option_spec *o, FILE *out) {
    for (; o->name; o++) {
        int column = print_spelling(o, out);
        if (column >= HELP_COLUMN) column = fprintf(out, "\n") - 1;
        fprintf(out, "%*s", HELP_COLUMN - column, "");
        wrap(out, o->help, HELP_COLUMN, HELP_COLUMN);
    }
}

/* Calls `line` for each line of a text; lines end at '\n' or at the end. */
static void each_line(const char *text, FILE *out, void (*line)(FILE *, const char *, int)) {
    while (*text) {
        int length = (int)strcspn(text, "\n");
        line(out, text, length);
        text += length;
        if (*text) text++;
    }
}

static void help_line(FILE *out, const char *text, int length) { fprintf(out, "%.*s\n", length, text); }

void options_print_help(const struct option_program *p, FILE *out) {
    for (int i = 0; p->usage[i]; i++)
        fprintf(out, "%s %s %s\n", i ? "      " : "Usage:", p->name, p->usage[i]);
    fprintf(out, "%c%s.\n\n", toupper((unsigned char)p->summary[0]), p->summary + 1);
    for (const struct option_command *c = p->commands; c && c->name; c++) {
        int column = fprintf(out, "  %s %s", c->name, c->operands);
        fprintf(out, "%*s", column < HELP_COLUMN ? HELP_COLUMN - column : 1, "");
        wrap(out, c->help, HELP_COLUMN, HELP_COLUMN);
    }
    if (p->commands) fputc('\n', out);
    help_rows(p->options, out);
    help_rows(options_common, out);
    for (const struct option_section *s = p->sections; s && s->title; s++) {
        fprintf(out, "\n%s\n", s->title);
        each_line(s->text, out, help_line);
    }
}

/* Text for roff: '\' and '-' escaped, a '.' or ''' that begins a line protected. */
static void roff(FILE *out, const char *text, int length) {
    if (length && strchr(".'", text[0])) fputs("\\&", out);
    for (int i = 0; i < length; i++) {
        if (text[i] == '\\')
            fputs("\\e", out);
        else if (text[i] == '-')
            fputs("\\-", out);
        else
            fputc(text[i], out);
    }
}

/* A line of a paragraph text: empty, to be printed as it is, or running text. */
static void man_line(FILE *out, const char *text, int length) {
    if (!length) {
        fputs(".PP\n", out);
        return;
    }
    if (text[0] == ' ') fputs(".nf\n\\&", out);
    roff(out, text, length);
    fputs(text[0] == ' ' ? "\n.fi\n" : "\n", out);
}

static void man_row(FILE *out, const struct option_spec *o) {
    fputs(".TP\n.B ", out);
    if (o->letter) fprintf(out, "\\-%c, ", o->letter);
    fputs("\\-\\-", out);
    roff(out, o->name, (int)strlen(o->name));
    if (o->argument && o->argument[0] == '[')
        fprintf(out, "[=%s", o->argument + 1);
    else if (o->argument)
        fprintf(out, "=%s", o->argument);
    fputc('\n', out);
    fprintf(out, "%c", toupper((unsigned char)o->help[0]));
    roff(out, o->help + 1, (int)strlen(o->help) - 1);
    fputs(".\n", out);
    if (!o->text) return;
    fputs(".RS\n.PP\n", out);
    each_line(o->text, out, man_line);
    fputs(".RE\n", out);
}

static void man_synopsis(const struct option_program *p, FILE *out) {
    fputs(".SH SYNOPSIS\n", out);
    for (int i = 0; p->usage[i]; i++) {
        if (i) fputs(".br\n", out);
        fputs(".B ", out);
        roff(out, p->name, (int)strlen(p->name));
        fputc('\n', out);
        roff(out, p->usage[i], (int)strlen(p->usage[i]));
        fputc('\n', out);
    }
}

static void man_commands(const struct option_command *c, FILE *out) {
    fputs(".SH COMMANDS\n", out);
    for (; c->name; c++) {
        fprintf(out, ".TP\n.B %s\n", c->name);
        roff(out, c->operands, (int)strlen(c->operands));
        fputs("\n.br\n", out);
        roff(out, c->help, (int)strlen(c->help));
        fputs(".\n", out);
    }
}

void options_print_man(const struct option_program *p, FILE *out) {
    fputs(".TH ", out);
    for (const char *c = p->name; *c; c++) fputc(toupper((unsigned char)*c), out);
    fprintf(out, " 1 \"\" \"mdlc %s\" \"User Commands\"\n.SH NAME\n", p->version);
    roff(out, p->name, (int)strlen(p->name));
    fputs(" \\- ", out);
    roff(out, p->summary, (int)strlen(p->summary));
    fputc('\n', out);
    man_synopsis(p, out);
    fputs(".SH DESCRIPTION\n", out);
    each_line(p->description, out, man_line);
    if (p->commands) man_commands(p->commands, out);
    fputs(".SH OPTIONS\n", out);
    for (const struct option_spec *o = p->options; o->name; o++) man_row(out, o);
    for (const struct option_spec *o = options_common; o->name; o++) man_row(out, o);
    for (const struct option_section *s = p->sections; s && s->title; s++) {
        fprintf(out, ".SH %s\n", s->title);
        each_line(s->text, out, man_line);
    }
}

/* The function's name in bash: "-" becomes "_". */
static void print_identifier(const char *name, FILE *out) {
    for (; *name; name++) fputc(isalnum((unsigned char)*name) ? *name : '_', out);
}

/* How the value of an option is completed, as bash's `compgen` is told. */
static void completion_action(const char *argument, FILE *out) {
    if (argument[0] == '[') argument++;
    if (strstr(argument, "DIR"))
        fputs("-d", out);
    else if (strchr(argument, '|')) {
        fputs("-W '", out);
        for (; *argument && *argument != ']'; argument++) fputc(*argument == '|' ? ' ' : *argument, out);
        fputc('\'', out);
    } else
        fputs("-f", out);
}

static void completion_cases(const struct option_spec *o, FILE *out) {
    for (; o->name; o++) {
        if (!o->argument) continue;
        fprintf(out, "    --%s", o->name);
        if (o->letter) fprintf(out, " | -%c", o->letter);
        fputs(") COMPREPLY=($(compgen ", out);
        completion_action(o->argument, out);
        fputs(" -- \"$value\")); return ;;\n", out);
    }
}

/* Words to complete an option's own name from; those with a value end in '='. */
static void completion_words(const struct option_spec *o, FILE *out) {
    for (; o->name; o++) fprintf(out, " --%s%s", o->name, o->argument && o->argument[0] != '[' ? "=" : "");
}

/* Bash splits words at '=', so `--emit=gr` arrives as the three words `--emit` `=` `gr`. */
void options_print_bash_completion(const struct option_program *p, FILE *out) {
    fprintf(out, "# bash completion of %s, printed by '%s --bash-completion'\n_", p->name, p->name);
    print_identifier(p->name, out);
    fputs("() {\n"
          "    local value=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    COMPREPLY=()\n"
          "    if [[ $value == = ]]; then value=; elif [[ $option == = ]]; then "
          "option=${COMP_WORDS[COMP_CWORD - 2]}; fi\n"
          "    case $option in\n",
          out);
    completion_cases(p->options, out);
    fputs("    esac\n    if [[ $value == -* ]]; then\n        COMPREPLY=($(compgen -W '", out);
    completion_words(p->options, out);
    completion_words(options_common, out);
    fputs("' -- \"$value\"))\n        [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n        return\n    "
          "fi\n",
          out);
    fputs("    COMPREPLY=($(compgen -f", out);
    if (p->commands) fputs(" -W '", out);
    for (const struct option_command *c = p->commands; c && c->name; c++) fprintf(out, "%s ", c->name);
    if (p->commands) fputs("'", out);
    fputs(" -- \"$value\"))\n}\ncomplete -o filenames -F _", out);
    print_identifier(p->name, out);
    fprintf(out, " %s\n", p->name);
}
