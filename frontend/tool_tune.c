/* mdlc tune MODEL ...: measures what else may carry each kernel out, and writes what was faster (passes/measured.h).
 *
 *     the library as it is derived ──┐
 *     for n = 1, 2, ...:             ├─ whole calls of the one and the other in turn ─► each kernel's least times side by side
 *         alternative n to every kernel, compiled ─┘
 *
 * Kernels are measured where they are used, after what runs before them; in turn, so that both meet the same neighbours on the
 * machine. What was faster is measured once more, all together. */
#include "frontend/tool.h"
#include "ir/output.h"
#include "passes/measured.h"
#include "passes/passes.h"
#include "runtime/library.h"
#include "runtime/library_ranks.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEAST_CALLS = 5 };
static const double SECONDS = 4, SECONDS_AGAIN = 12; /* of calls, unless LEAST_CALLS take longer */
static const double WORTHWHILE = .97;                /* of the derived schedule's time: less is noise */

struct tuning {
    struct tool *t;
    struct run_request request;
    struct tool_target target;
    struct pipeline pipeline;
    struct measured all; /* what the file said before, and says then */
    struct measured found;
    double *shares; /* [found.capacity] of the time of what was derived; by line */
    int shares_count, shares_capacity;
};
struct candidate {
    struct graph *graph;
    struct library library;
    struct run_call call;
    bool begun; /* the call's parts are to be freed */
};

static void progress(const char *what, int number) {
    if (isatty(2)) fprintf(stderr, "\rtune: %s %d\033[K", what, number);
}

/* ---- libraries ---- */

/* The graph with alternative `number` (0: none) to every kernel, or with schedules that were measured (NULL: none). */
static int derive(struct tuning *x, int number, const struct measured *measured, struct candidate *c) {
    struct tool *t = x->t;
    struct pipeline p = x->pipeline;
    const char *passes = p.passes ? p.passes : default_pipeline, *at = strstr(passes, "schedule");
    if (number && (!at || at[strlen("schedule")] == '{'))
        return options_error(t->program,
                             "tune: --passes has no plain `schedule`, whose alternatives are measured");
    if (number) {
        int before = (int)(at - passes);
        p.passes = arena_printf(t->arena, "%.*sschedule{alternative=%d}%s", before, passes, number,
                                at + strlen("schedule"));
    }
    int status = tool_program(t, 1, &p, &x->target, true, false, measured);
    c->graph = t->graph;
    return status;
}

/* Compiles and opens it. What is open needs no names: the files are gone at once, however this ends. */
static int open_library(struct tuning *x, struct candidate *c) {
    struct tool *t = x->t;
    const char *temporary = getenv("TMPDIR");
    char *folder = arena_printf(t->arena, "%s/mdlc-tune-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) return tool_error(t->program, TOOL_IO, "%s: %s", folder, strerror(errno));
    const char *name = c->graph->name, *library = arena_printf(t->arena, "%s/lib%s.so", folder, name),
               *weights = arena_printf(t->arena, "%s/%s.weights", folder, name);
    int status = tool_emit(t, &c->graph, 1, ARTIFACT_SO, library);
    const struct ranks_settings alone = {0};
    const struct library_settings settings = {.weights = access(weights, F_OK) ? NULL : weights};
    if (!status) status = library_load(&c->library, &x->request, library);
    if (!status) status = library_start(&c->library, &x->request, &alone, &settings);
    unlink(library);
    unlink(weights);
    unlink(arena_printf(t->arena, "%s/%s.h", folder, name));
    rmdir(folder);
    if (status) return status;
    c->begun = true;
    return run_prepare(&c->library.executor, &x->request, &c->call);
}

static void close_library(struct candidate *c, int status) {
    if (c->begun) run_call_free(&c->call);
    library_close(&c->library, status);
    *c = (struct candidate){0};
}

/* ---- kernels ---- */

/* The kernel that `step` runs: code is named after the first that has it, "k6.linear". */
static const struct node *kernel_of_step(const struct graph *g, const char *step) {
    size_t length = strcspn(step, ".");
    for (const struct function *f = g->functions; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));)
            if (n->op == OP_kernel && n->name && strlen(n->name) == length && !strncmp(n->name, step, length))
                return n;
    return NULL;
}

static bool same_schedule(struct arena *a, const struct node *n, const struct node *m) {
    return n->schedule && m->schedule &&
           !strcmp(schedule_text(a, n->schedule), schedule_text(a, m->schedule));
}

static bool some_differ(struct arena *a, const struct graph *g, const struct graph *h) {
    for (const struct function *f = g->functions; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));) {
            const struct node *m = n->op == OP_kernel && n->name ? kernel_of_step(h, n->name) : NULL;
            if (m && !same_schedule(a, n, m)) return true;
        }
    return false;
}

static double least(const struct kernel_times *t, const struct kernel_time *k) {
    double seconds = k->times[0];
    for (int i = 1; i < t->calls; i++)
        if (k->times[i] < seconds) seconds = k->times[i];
    return seconds;
}

static const struct kernel_time *time_of(const struct kernel_times *t, const char *name) {
    for (size_t i = 0; i < t->count; i++)
        if (!strcmp(t->rows[i].step->name, name)) return &t->rows[i];
    return NULL;
}

static const char *where(const struct tuning *x, const struct run_call *c) {
    const char *text = c->function->name;
    for (uint32_t i = 0; i < c->function->given_dims; i++)
        text =
            arena_printf(x->t->arena, "%s %s=%lld", text, c->function->dims[i].name, (long long)c->dims[i]);
    return text;
}

/* Keeps the schedule if none better was found for such kernels. */
static void keep(struct tuning *x, const struct candidate *c, const struct node *kernel, double seconds,
                 double derived) {
    struct arena *a = x->t->arena;
    struct measured *m = &x->found;
    struct measured_line line = {.cpu = c->graph->target->cpu,
                                 .compiler = m->compiler,
                                 .kernel = kernel_text(a, kernel, kernel->schedule->atom),
                                 .schedule = schedule_text(a, kernel->schedule),
                                 .parsed = kernel->schedule};
    double share = seconds / derived;
    for (int i = 0; i < m->count; i++)
        if (!strcmp(m->lines[i].kernel, line.kernel) && x->shares[i] <= share) return;
    line.figures = arena_printf(a, "%.1f of %.1f us, %s", 1e6 * seconds, 1e6 * derived, where(x, &c->call));
    measured_put(a, m, &line);
    if (x->shares_count < m->count) arena_push(a, x->shares, x->shares_count, x->shares_capacity, share);
    for (int i = 0; i < m->count; i++)
        if (!strcmp(m->lines[i].kernel, line.kernel)) x->shares[i] = share;
}

static void compare(struct tuning *x, const struct candidate *base, const struct kernel_times *derived,
                    const struct candidate *c, const struct kernel_times *times) {
    for (size_t i = 0; i < times->count; i++) {
        const char *name = times->rows[i].step->name;
        const struct kernel_time *before = time_of(derived, name);
        const struct node *kernel = kernel_of_step(c->graph, name),
                          *as_derived = kernel_of_step(base->graph, name);
        if (!before || !kernel || !as_derived || same_schedule(x->t->arena, kernel, as_derived)) continue;
        double seconds = least(times, &times->rows[i]), usual = least(derived, before);
        if (seconds < WORTHWHILE * usual) keep(x, c, kernel, seconds, usual);
    }
}

static int measure(struct tuning *x, struct candidate *base, struct candidate *c, double seconds) {
    struct kernel_times derived = {0}, times = {0};
    double begun = library_now();
    int status = run_execute(&c->call); /* pages and caches are warm from here on */
    while (!status && times.calls < RECORDED_CALLS &&
           (times.calls < LEAST_CALLS || library_now() - begun < seconds)) {
        status = library_time_kernels(&base->library, &base->call, &derived);
        if (!status) status = library_time_kernels(&c->library, &c->call, &times);
    }
    if (!status) compare(x, base, &derived, c, &times);
    kernel_times_free(&derived);
    kernel_times_free(&times);
    return status;
}

/* What was faster once, all together and longer: the best of several measurements is lucky, too. */
static int confirm(struct tuning *x, struct candidate *base) {
    struct measured first = x->found;
    struct candidate c = {0};
    progress("once more, of", first.count);
    x->found = (struct measured){.compiler = first.compiler};
    x->shares_count = 0;
    int status = derive(x, 0, &first, &c);
    if (!status) status = open_library(x, &c);
    if (!status) status = measure(x, base, &c, SECONDS_AGAIN);
    close_library(&c, status);
    return status;
}

/* ---- the file ---- */

/* What the file says of other CPUs, compilers and kernels stays. */
static int read_before(struct tuning *x, const char *path) {
    bool there = path && strcmp(path, "-") && !output_is_special(path) && !access(path, F_OK);
    x->all.compiler = x->found.compiler;
    return there ? tool_read_schedules(x->t, path, &x->all) : TOOL_DONE;
}

static int write_found(struct tuning *x, const char *path) {
    struct tool *t = x->t;
    struct output out;
    FILE *file = NULL;
    for (int i = 0; i < x->found.count; i++) measured_put(t->arena, &x->all, &x->found.lines[i]);
    if (output_begin(&out, t->arena, path)) file = output_open(&out);
    if (!file) return tool_error(t->program, TOOL_IO, "%s: %s", path, strerror(errno));
    measured_print(&x->all, file);
    if (output_close(&out, file) && output_keep(&out)) return TOOL_DONE;
    int error = errno;
    output_discard(&out);
    return tool_error(t->program, TOOL_IO, "%s: %s", output_name(&out), strerror(error));
}

static int tune(struct tuning *x) {
    struct candidate base = {0};
    progress("compiling", 0);
    int status = derive(x, 0, NULL, &base);
    if (!status && base.graph->target->simt)
        status = options_error(x->t->program,
                               "tune measures on this machine, by its processor: --target names a GPU");
    const char *path = options_value(x->t->list, "output");
    if (!path && !status) path = arena_printf(x->t->arena, "%s.schedules", base.graph->name);
    if (!status) status = read_before(x, path);
    if (!status && base.graph->meshes)
        status = tool_error(x->t->program, TOOL_INPUT, "%s has a mesh: tune measures models of one rank",
                            x->t->path);
    if (!status) status = open_library(x, &base);
    for (int number = 1; !status; number++) {
        struct candidate c = {0};
        progress("alternative", number);
        status = derive(x, number, NULL, &c);
        if (status || !some_differ(x->t->arena, base.graph, c.graph)) break;
        status = open_library(x, &c);
        if (!status) status = measure(x, &base, &c, SECONDS);
        close_library(&c, status);
    }
    if (!status && x->found.count) status = confirm(x, &base);
    if (isatty(2)) fputs("\r\033[K", stderr);
    if (!status) status = write_found(x, path);
    close_library(&base, status);
    return status;
}

int tool_tune(struct tool *t) {
    struct tuning x = {.t = t, .found = {.compiler = backend_compiler(t->arena)}};
    if (options_given(t->list, "schedules"))
        return options_error(t->program, "tune compares with what is derived: --schedules is for compiling");
    const char *model = options_operand(t->list, 1);
    if (model && !strcmp(model, "-"))
        return options_error(t->program, "tune compiles the model several times: it must be a file");
    int status = run_parse(t->program, t->list, 2, &x.request);
    if (!status) status = tool_pipeline(t, &x.pipeline);
    if (!status && !tool_targets(t, &x.target, 1)) status = TOOL_USAGE;
    if (!status) status = tune(&x);
    run_request_free(&x.request);
    return status;
}
