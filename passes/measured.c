/* The file of measured schedules. */
#include "passes/measured.h"
#include "passes/fuse.h"
#include <string.h>

/* ---- what a kernel is called there ---- */

static const char *operand_text(struct arena *a, const struct node *kernel, int i) {
    const struct value *v = kernel->operands[i];
    const struct global *w = kernel_param(kernel, kernel->body->args[i]);
    const char *text = type_text(a, &v->type);
    bool narrower = w && strcmp(format_info(w->store)->name, dtype_name(v->type.dtype));
    return narrower ? arena_printf(a, "%s of %s", text, format_info(w->store)->name) : text;
}

const char *kernel_text(struct arena *a, const struct node *kernel, enum atom atom) {
    const char *text = "";
    for (int i = 0; i < kernel->operands_count; i++)
        text = arena_printf(a, "%s%s%s", text, i ? ", " : "", operand_text(a, kernel, i));
    for (int i = 0; i < kernel->results_count; i++)
        text = arena_printf(a, "%s%s%s", text, i ? ", " : " -> ", type_text(a, &kernel->results[i]->type));
    for (const struct node *n = kernel->body->first; n; n = n->next)
        text = arena_printf(a, "%s%s%s", text, n == kernel->body->first ? ": " : " ", op_info(n->op)->name);
    return arena_printf(a, "%s by %s", text, atom_info(atom)->name);
}

bool kernel_reads_blocks(const struct node *kernel) {
    for (const struct node *n = kernel->body->first; n; n = n->next) {
        if (node_role(n) != ROLE_CONTRACT) continue;
        for (int i = 0; i < n->operands_count; i++) {
            const struct global *w = n->operands[i] ? kernel_param(kernel, n->operands[i]) : NULL;
            if (w && format_info(w->store)->bits) return true;
        }
    }
    return false;
}

/* ---- the file ---- */

enum { FIELDS = 5 };

/* Splits a line at its tabs; false: there are not as many fields. */
static bool split(struct arena *a, const char *line, size_t length, const char **fields) {
    const char *end = line + length;
    for (int i = 0; i < FIELDS; i++) {
        const char *tab = memchr(line, '\t', (size_t)(end - line));
        if (!tab != (i + 1 == FIELDS)) return false;
        fields[i] = arena_strndup(a, line, (size_t)((tab ? tab : end) - line));
        if (tab) line = tab + 1;
    }
    return true;
}

static bool read_line(struct arena *a, struct diag *d, struct measured *m, struct loc loc, const char *text,
                      size_t length) {
    const char *fields[FIELDS], *error;
    if (!length || *text == '#') return true;
    if (!split(a, text, length, fields)) {
        diag_error(d, loc,
                   "a line of measured schedules is a CPU, a compiler, a kernel, a schedule and its figures, "
                   "with tabs between them");
        return false;
    }
    struct measured_line line = {fields[0], fields[1], fields[2], fields[3], fields[4], NULL};
    line.parsed = schedule_parse(a, line.schedule, &error);
    if (!line.parsed) {
        diag_error(d, loc, "%s", error);
        return false;
    }
    measured_put(a, m, &line);
    return true;
}

bool measured_read(struct arena *a, struct diag *d, struct measured *m, const char *path, const char *text,
                   size_t length) {
    struct loc loc = {diag_source(d, path, text, length), 1, 1};
    bool good = true;
    for (const char *end = text + length; text < end; loc.line++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
        good &= read_line(a, d, m, loc, text, (size_t)(stop - text));
        text = stop + (newline != NULL);
    }
    return good;
}

/* Whether a line is for a CPU or compiler: "*" is for all, of those written by hand. */
static bool is_for(const char *wanted, const char *name) { return !strcmp(wanted, "*") || !strcmp(wanted, name); }

static struct measured_line *find(const struct measured *m, const char *cpu, const char *compiler,
                                  const char *kernel) {
    for (int i = 0; i < m->count; i++) {
        struct measured_line *l = &m->lines[i];
        if (!strcmp(l->kernel, kernel) && !strcmp(l->cpu, cpu) && !strcmp(l->compiler, compiler)) return l;
    }
    return NULL;
}

const struct schedule *measured_find(const struct measured *m, const char *cpu, const char *kernel) {
    const struct schedule *found = NULL;
    for (int i = 0; i < m->count; i++) {
        const struct measured_line *l = &m->lines[i];
        if (!strcmp(l->kernel, kernel) && is_for(l->cpu, cpu) && is_for(l->compiler, m->compiler)) found = l->parsed;
    }
    return found;
}

void measured_put(struct arena *a, struct measured *m, const struct measured_line *line) {
    struct measured_line *same = find(m, line->cpu, line->compiler, line->kernel);
    if (same)
        *same = *line;
    else
        arena_push(a, m->lines, m->count, m->capacity, *line);
}

void measured_print(const struct measured *m, FILE *out) {
    fputs("# CPU, compiler, kernel, schedule, how long it takes and what was derived, where; separated by "
          "tabs: mdlc --schedules=FILE\n",
          out);
    for (int i = 0; i < m->count; i++) {
        const struct measured_line *l = &m->lines[i];
        fprintf(out, "%s\t%s\t%s\t%s\t%s\n", l->cpu, l->compiler, l->kernel, l->schedule, l->figures);
    }
}
