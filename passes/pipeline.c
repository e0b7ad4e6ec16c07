/* Runs passes one after the other, and gives each of them for nothing: checks, dumps, timing, bisection, its
 * name and its input in the message of a crash.
 *
 *     fold,fuse{max=8}  ->  [dump] fold [settle] [verify] [dump]  [dump] fuse{max=8} ... */
#include "ir/print.h"
#include "ir/verify.h"
#include "passes/passes.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- What a pass may ask for ---- */

static const char *option_text(const struct graph *g, const char *name, size_t *length) {
    const char *text = pass_option_find(g->pass->options, name, length);
    if (!text) text = pass_option_find(g->pass->pass->options, name, length);
    if (!text) ice("pass %s asks for an option '%s' that it does not declare", g->pass->pass->name, name);
    return text;
}

int64_t pass_option(const struct graph *g, const char *name) {
    size_t length;
    return strtoll(option_text(g, name, &length), NULL, 10);
}

const char *pass_option_word(const struct graph *g, const char *name) {
    size_t length;
    const char *text = option_text(g, name, &length);
    return arena_strndup(g->pass->scratch, text, length);
}

void pass_explain(const struct graph *g, struct loc loc, const char *format, ...) {
    if (!g->pass->explain) return;
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(g->pass->scratch, format, args);
    va_end(args);
    if (loc.source) fprintf(g->diag->out, "%s:%d:%d: ", loc.source->path, loc.line, loc.column);
    fprintf(g->diag->out, "remark: %s: %s\n", g->pass->pass->name, text);
}

/* ---- One run of the pipeline ---- */

struct run {
    struct graph *g;
    const struct pipeline *p;
    struct arena *scratch; /* the running pass's */
    struct arena *own;     /* the pipeline's, for the whole run */
    char *input;           /* text of the graph before the first pass; malloc'ed */
    size_t input_size;
    const struct step *steps, *step; /* all of them, the running one */
    int number;                      /* of the running step, from 1 */
    int64_t counted;                 /* runs of passes that bisection has counted */
    double *seconds;
};

static bool named(const char *list, const char *name) {
    if (!list) return false;
    for (const char *p = list; *p; p += *p == ',') {
        size_t n = strcspn(p, ",");
        if ((n == strlen(name) && !strncmp(p, name, n)) || (n == 3 && !strncmp(p, "all", 3))) return true;
        p += n;
    }
    return false;
}

static void dump(const struct run *r, const char *when) {
    FILE *out = r->p->out;
    fprintf(out, "# %s %s\n", when, r->step->pass->name);
    graph_print(r->g, out);
}

/* DIR/NN-name.mdl; an error is the user's. */
static void dump_in_tree(const struct run *r, const char *name) {
    const char *dir = r->p->tree, *path = arena_printf(r->own, "%s/%02d-%s.mdl", dir, r->number, name);
    if (mkdir(dir, 0777) && errno != EEXIST) {
        diag_error(r->g->diag, (struct loc){0}, "cannot make folder %s: %s", dir, strerror(errno));
        return;
    }
    FILE *f = fopen(path, "w");
    if (f) graph_print(r->g, f);
    if (!f || ferror(f) | fclose(f))
        diag_error(r->g->diag, (struct loc){0}, "cannot write %s: %s", path, strerror(errno));
}

/* The steps so far as --passes takes them. */
static const char *passes_text(const struct run *r) {
    const char *text = "";
    for (int i = 0; i < r->number; i++) {
        const struct step *s = &r->steps[i];
        bool braces = *s->options;
        text = arena_printf(r->own, "%s%s%s%s%s%s", text, i ? "," : "", s->pass->name, braces ? "{" : "",
                            s->options, braces ? "}" : "");
    }
    return text;
}

/* For ice(): leaves the graph before all passes in a file, and says how to run them on it again: printing it before each would take longer
 * than the passes. */
static void report_crash(void *data, FILE *out) {
    const struct run *r = data;
    const char *folder = getenv("TMPDIR");
    char *path = arena_printf(r->own, "%s/mdlc-crash-XXXXXX.mdl", folder && *folder ? folder : "/tmp");
    int fd = r->input ? mkstemps(path, 4) : -1;
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    bool written = f && fwrite(r->input, 1, r->input_size, f) == r->input_size;
    if (f && fclose(f)) written = false;
    if (!written) {
        fprintf(out, "the graph before the first pass:\n%s\n", r->input ? r->input : "(not available)");
        return;
    }
    fprintf(out, "the graph before the first pass is in %s; this repeats what was done to it:\n", path);
    fprintf(out, "    mdl-opt --passes='%s'", passes_text(r));
    if (r->g->target) fprintf(out, " --target=%s --mcpu=%s", r->g->target->triple, r->g->target->cpu);
    fprintf(out, " --print-ir-before=%s %s\n", r->step->pass->name, path);
}

static void keep_input(struct run *r) {
    FILE *f = open_memstream(&r->input, &r->input_size);
    if (!f) return;
    graph_print(r->g, f);
    fclose(f);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool run_with(struct run *r, const char *options) {
    struct pass_run current = {r->step->pass, r->scratch, options, named(r->p->explain, r->step->pass->name)};
    r->g->pass = &current;
    double start = now();
    bool changed = r->step->pass->run(r->g);
    graph_settle(r->g);
    r->seconds[r->number - 1] += now() - start;
    r->g->pass = NULL;
    arena_reset(r->scratch);
    return changed;
}

/* Counts this run against the limit of --opt-bisect-limit; true: the pass may do its work. */
static bool bisect(struct run *r, const struct function *f) {
    bool go = ++r->counted <= r->p->bisect_limit;
    fprintf(stderr, "BISECT: %srunning pass (%" PRId64 ") %s on function (%s)\n", go ? "" : "NOT ",
            r->counted, r->step->pass->name, f->name);
    return go;
}

/* Bisection runs a pass on one function after the other, so that a limit finds the function too. */
static bool run_bisected(struct run *r, const char *skipped) {
    struct graph *g = r->g;
    struct function *all = g->functions;
    bool changed = false;
    for (struct function *f = all, *next; f; f = next) {
        next = f->next;
        bool go = bisect(r, f);
        if (!go && skipped == pass_leave_out) continue;
        g->functions = f;
        f->next = NULL;
        changed |= run_with(r, go ? r->step->options : skipped);
        f->next = next;
    }
    g->functions = all;
    return changed;
}

static bool run_step(struct run *r) {
    const char *name = r->step->pass->name, *skipped = pass_skipped(r->step->pass);
    if (named(r->p->before, name)) dump(r, "before");
    ice_context(arena_printf(r->own, "pass %s", name), report_crash, r);
    bool bisecting = r->p->bisect_limit >= 0 && skipped != pass_always;
    bool changed = bisecting ? run_bisected(r, skipped) : run_with(r, r->step->options);
    if (named(r->p->after, name) || (r->p->after_change && changed)) dump(r, "after");
    if (r->p->tree) dump_in_tree(r, name);
    bool good = !r->p->verify_each || graph_verify(r->g);
    if (!good) diag_note(r->g->diag, (struct loc){0}, "found after pass %s (number %d)", name, r->number);
    ice_context(NULL, NULL, NULL);
    return good && !r->g->diag->errors;
}

static void print_times(const struct run *r, const struct step *steps, int count) {
    double total = 0;
    for (int i = 0; i < count; i++) total += r->seconds[i];
    fprintf(stderr, "%10s %6s  pass\n", "ms", "share");
    for (int i = 0; i < count; i++)
        fprintf(stderr, "%10.3f %5.1f%%  %s\n", 1e3 * r->seconds[i],
                total > 0 ? 100 * r->seconds[i] / total : 0.0, steps[i].pass->name);
    fprintf(stderr, "%10.3f %5.1f%%  total\n", 1e3 * total, 100.0);
}

bool pipeline_run(struct graph *g, const struct pipeline *p) {
    struct run r = {.g = g, .p = p, .scratch = arena_new(), .own = arena_new()};
    struct step *steps;
    const char *error;
    bool good = true;
    int count = pipeline_parse(p->passes ? p->passes : default_pipeline, r.own, &steps, &error);
    if (count < 0) {
        diag_error(g->diag, (struct loc){0}, "--passes: %s", error);
        count = 0;
        good = false;
    }
    r.seconds = arena_new_array(r.own, double, (size_t)count + 1);
    r.steps = steps;
    if (good && p->tree) dump_in_tree(&r, "input");
    keep_input(&r);
    for (int i = 0; good && i < count; i++) {
        r.step = &steps[i];
        r.number = i + 1;
        good = run_step(&r);
    }
    if (p->time_passes) print_times(&r, steps, count);
    free(r.input);
    arena_release(r.scratch);
    arena_release(r.own);
    return good;
}
