/* What mdlc and mdl-opt share. */
#include "frontend/tool.h"
#include "frontend/sharding_json.h"
#include "ir/output.h"
#include "ir/print.h"
#include "ir/target.h"
#include "ir/verify.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_MODEL = 64 << 20 }; /* bytes of text; more is a mistake, not a model */

int tool_error(const struct option_program *program, int status, const char *format, ...) {
    va_list args;
    fprintf(stderr, "%s: ", program->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

bool tool_number(const struct tool *t, const char *name, int64_t least, int64_t *number) {
    const char *text = options_value(t->list, name);
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end != text && !*end && !errno && value >= least) return *number = value, true;
    options_error(t->program, "--%s=%s: a whole number from %" PRId64 " on was expected", name, text, least);
    return false;
}

/* One more; false after a usage message. */
static bool add_target(const struct tool *t, struct tool_target found, struct tool_target *all, int *count,
                       int most) {
    if (*count < most) return all[(*count)++] = found, true;
    options_error(t->program, "--target=%s: %d at most here", options_value(t->list, "target"), most);
    return false;
}

/* cuda:ARCH,...: a program for each, since schedules differ. */
static bool find_gpus(const struct tool *t, const char *list, struct tool_target *all, int *count, int most) {
    int before = *count;
    for (const char *p = list; *p; p += *p == ',') {
        const char *name = arena_strndup(t->arena, p, strcspn(p, ","));
        const struct target *gpu = target_find(CUDA_TRIPLE, name);
        if (!gpu) {
            options_error(t->program,
                          "--target=cuda:%s: '%s' is no architecture that code is made for: mdlc "
                          "--list-cpus --target=" CUDA_TRIPLE " lists them",
                          list, name);
            return false;
        }
        if (!add_target(t, (struct tool_target){.triple = CUDA_TRIPLE, .cpu = gpu->cpu}, all, count, most))
            return false;
        p += strlen(name);
    }
    if (*count == before)
        return options_error(t->program, "--target=cuda: needs an architecture: cuda:sm_90a"), false;
    return true;
}

static bool find_target(const struct tool *t, const char *given, struct tool_target *found) {
    const char *known, *names = "";
    if (given && !strcmp(given, "cpu")) given = NULL;
    if (given && !strncmp(given, "emulate:", 8)) {
        *found = (struct tool_target){.emulated = given + 8};
        return true;
    }
    *found = (struct tool_target){.triple = given ? target_triple(given) : NULL,
                                  .cpu = options_value(t->list, "mcpu")};
    if (!given || found->triple) return true;
    for (int i = 0; (known = target_triple_number(i)); i++)
        names = arena_printf(t->arena, "%s%s%s", names, i ? ", " : "", known);
    options_error(t->program, "--target=%s: unknown; known are cpu, cuda:ARCH,..., %s", given, names);
    return false;
}

int tool_targets(const struct tool *t, struct tool_target *found, int most) {
    const char *given = options_value(t->list, "target");
    int count = 0;
    if (!given) return find_target(t, NULL, found);
    for (const char *p = given;; p++) {
        const char *name = arena_strndup(t->arena, p, strcspn(p, "+"));
        struct tool_target one;
        bool good = !strncmp(name, "cuda:", 5)
                        ? find_gpus(t, name + 5, found, &count, most)
                        : find_target(t, name, &one) && add_target(t, one, found, &count, most);
        if (!good) return 0;
        p += strlen(name);
        if (!*p) return count;
    }
}

const char *tool_read_text(struct tool *t, const char *path, size_t *length) {
    const struct option_program *program = t->program;
    struct arena *a = t->arena;
    bool standard = !strcmp(path, "-");
    FILE *f = standard ? stdin : fopen(path, "rb");
    char *text = NULL;
    size_t capacity = 0, got;
    *length = 0;
    if (!f) {
        tool_error(program, TOOL_IO, "%s: %s", path, strerror(errno));
        return NULL;
    }
    do {
        if (capacity - *length < 2) {
            size_t wanted = capacity ? capacity * 2 : 1 << 16;
            char *longer = arena_new_array(a, char, wanted);
            if (*length) memcpy(longer, text, *length);
            text = longer, capacity = wanted;
        }
        got = fread(text + *length, 1, capacity - *length - 1, f);
        *length += got;
    } while (got && *length <= LARGEST_MODEL);
    bool failed = ferror(f), huge = *length > LARGEST_MODEL;
    if (failed)
        tool_error(program, TOOL_IO, "%s: %s", path, strerror(errno));
    else if (huge)
        tool_error(program, TOOL_IO, "%s: larger than %d MiB, which is no honest text", path,
                   LARGEST_MODEL >> 20);
    if (!standard) fclose(f);
    return failed || huge ? NULL : text;
}

/* --sharding=FILE */
static int read_plan(struct tool *t) {
    const char *path = options_value(t->list, "sharding");
    size_t length;
    if (!path) return TOOL_DONE;
    const char *text = tool_read_text(t, path, &length);
    if (!text) return TOOL_IO;
    sharding_json_names(t->graph);
    return sharding_json_read(t->graph, path, text, length) ? TOOL_DONE : TOOL_INPUT;
}

/* Options of the language, `option precision = int8`, given by --precision=int8: the same checks. */
static int add_language_options(struct tool *t) {
    static const struct option_spec rows[] = {TOOL_LANGUAGE_ROWS};
    int status = TOOL_DONE;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct option_arg *given;
        for (int at = 0; (given = options_next(t->list, rows[i].name, &at));) {
            const char *text = arena_printf(t->arena, "--%s=%s", rows[i].name, given->value);
            struct loc loc = {.source = diag_source(&t->diag, text, NULL, 0)};
            if (!frontend_option(t->graph, rows[i].name, given->value, loc)) status = TOOL_USAGE;
        }
    }
    return status;
}

static bool read_constants(struct tool *t, struct frontend_options *o) {
    struct frontend_constant *list = NULL;
    const struct option_arg *given;
    for (int at = 0; (given = options_next(t->list, "const", &at));)
        if (!frontend_constants(t->arena, given->value, &list)) {
            options_error(t->program, "--const=%s: numbers were expected, as in L=4,SCALE=0.5", given->value);
            return false;
        }
    o->constants = list;
    return true;
}

int tool_parse(struct tool *t, int n) {
    struct frontend_options options = {.seed = 0, .weights = options_value(t->list, "weights")};
    int64_t seed = 0;
    if (options_given(t->list, "seed") && !tool_number(t, "seed", 0, &seed)) return TOOL_USAGE;
    options.seed = (uint64_t)seed;
    if (!read_constants(t, &options)) return TOOL_USAGE;
    t->path = options_operand(t->list, n);
    if (!t->path) return options_error(t->program, "no model was given");
    diag_init(&t->diag, t->arena, stderr);
    bool again = t->text && !strcmp(t->path, "-"); /* for another target: standard input is read once */
    const char *text = again ? t->text : tool_read_text(t, t->path, &t->length);
    if (!text) return TOOL_IO;
    t->text = text;
    ice_context(arena_printf(t->arena, "reading %s", t->path), NULL, NULL);
    t->graph = frontend_parse(t->arena, &t->diag, t->path, text, t->length, &options);
    ice_context(NULL, NULL, NULL);
    if (t->diag.errors) return TOOL_INPUT;
    int status = read_plan(t);
    return status ? status : add_language_options(t);
}

static const char *all_or(const struct tool *t, const char *all, const char *one) {
    return options_given(t->list, all) ? "all" : options_value(t->list, one);
}

/* The passes that options like --print-ir-after=PASS speak of. */
static bool check_names(struct tool *t) {
    static const char *const options[] = {"print-ir-before", "print-ir-after", "explain"};
    const char *error, *names;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        names = options_value(t->list, options[i]);
        if (!names || !strcmp(names, "all") || pipeline_check(names, t->arena, &error)) continue;
        options_error(t->program, "--%s: %s", options[i], error);
        return false;
    }
    return true;
}

int tool_pipeline(struct tool *t, struct pipeline *p) {
    const char *error = NULL;
    *p = (struct pipeline){.passes = options_value(t->list, "passes"),
                           .before = all_or(t, "print-ir-before-all", "print-ir-before"),
                           .after = all_or(t, "print-ir-after-all", "print-ir-after"),
                           .after_change = options_given(t->list, "print-ir-after-change"),
                           .tree = options_value(t->list, "print-ir-tree"),
                           .verify_each = options_given(t->list, "verify-each"),
                           .time_passes = options_given(t->list, "time-passes"),
                           .bisect_limit = -1,
                           .explain = options_value(t->list, "explain"),
                           .out = stderr};
    const struct option_arg *plugin;
    for (int at = 0; (plugin = options_next(t->list, "load-pass", &at));)
        if (!passes_load(plugin->value, t->arena, &error))
            return tool_error(t->program, TOOL_INPUT, "%s", error);
    if (options_given(t->list, "opt-bisect-limit") &&
        !tool_number(t, "opt-bisect-limit", 0, &p->bisect_limit))
        return TOOL_USAGE;
    if (p->passes && !pipeline_check(p->passes, t->arena, &error))
        return options_error(t->program, "--passes: %s", error);
    return check_names(t) ? TOOL_DONE : TOOL_USAGE;
}

int tool_run(struct tool *t, const struct pipeline *p) {
    bool good = graph_verify(t->graph) && pipeline_run(t->graph, p) && !t->diag.errors;
    return good ? TOOL_DONE : TOOL_INPUT;
}

int tool_list_passes(struct tool *t) {
    passes_list(stdout);
    return tool_printed(t);
}

int tool_operands(const struct tool *t, int most) {
    const char *extra = options_operand(t->list, most);
    return extra ? options_error(t->program, "'%s': one file at a time", extra) : TOOL_DONE;
}

int tool_print(struct tool *t, void (*print)(const struct graph *, FILE *)) {
    struct output out;
    FILE *file = NULL;
    if (output_begin(&out, t->arena, options_value(t->list, "output"))) file = output_open(&out);
    if (!file)
        return tool_error(t->program, TOOL_IO, "%s: %s", options_value(t->list, "output"), strerror(errno));
    print(t->graph, file);
    if (output_close(&out, file) && output_keep(&out)) return TOOL_DONE;
    int error = errno;
    output_discard(&out);
    return tool_error(t->program, TOOL_IO, "%s: %s", output_name(&out), strerror(error));
}

int tool_printed(struct tool *t) {
    if (!fflush(stdout) && !ferror(stdout)) return TOOL_DONE;
    return tool_error(t->program, TOOL_IO, "standard output: %s", strerror(errno));
}

int tool_main(const struct option_program *program, int argc, char **argv, int (*run)(struct tool *t)) {
    struct option_list list;
    int status = options_parse(program, argc, argv, &list);
    if (status >= 0) return status;
    struct tool tool = {.program = program, .list = &list, .arena = arena_new()};
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of output like others */
    ice_on_signals();
    status = run(&tool);
    int unsaid = tool.diag.limit ? tool.diag.errors - tool.diag.limit : 0;
    if (unsaid > 0) fprintf(stderr, "%s: %d more error%s\n", program->name, unsaid, unsaid == 1 ? "" : "s");
    arena_release(tool.arena);
    options_free(&list);
    return status;
}
