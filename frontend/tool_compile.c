/* From a model's text to files, for one target or several: what mdlc's commands share. */
#include "frontend/sharding_json.h"
#include "frontend/tool.h"
#include "frontend/weights.h"
#include "ir/output.h"
#include "passes/measured.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The folder of this executable, for what lies beside it. */
static const char *own_folder(struct arena *a) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0) return ".";
    path[length] = 0;
    char *slash = strrchr(path, '/');
    return arena_strndup(a, path, slash ? (size_t)(slash - path) : 0);
}

/* Whether code for the graph's target runs on another kind of machine. */
static bool is_foreign(const struct tool *t) {
    const char *host = backend_host_triple();
    return !target_is_gpu(t->graph->target) && (!host || strcmp(host, t->graph->target->triple) != 0);
}

/* The runtime's archive: where $MDL_RUNTIME says, in the build tree, or where it was installed. */
static const char *find_runtime(const struct tool *t) {
    const char *named = getenv("MDL_RUNTIME"), *folder = own_folder(t->arena);
    const char *kind = is_foreign(t) ? arena_printf(t->arena, "%s/", t->graph->target->triple) : "";
    const char *places[] = {named ? named : "",
                            arena_printf(t->arena, "%s/runtime/%slibmdl-runtime.a", folder, kind),
                            arena_printf(t->arena, "%s/../lib/mdlc/%slibmdl-runtime.a", folder, kind),
                            arena_printf(t->arena, PKGLIBDIR "/%slibmdl-runtime.a", kind)};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (*places[i] && !access(places[i], R_OK)) return places[i];
    return NULL;
}

/* The C compiler that links for the target: NULL is this machine's, "no" what configure did not find. */
static const char *find_linker(const struct tool *t) {
    if (!is_foreign(t)) return NULL;
    return strcmp(CROSS_CC, "no") ? CROSS_CC : arena_printf(t->arena, "%s-gcc", t->graph->target->triple);
}

/* NVIDIA's assembler: what the environment names, or configure found. NULL: none. */
static const char *find_assembler(void) {
    const char *path = getenv("MDL_PTXAS");
    if (!path) path = PTXAS;
    return access(path, X_OK) ? NULL : path;
}

static int no_runtime(const struct tool *t) {
    if (!is_foreign(t))
        return tool_error(t->program, TOOL_IO, "libmdl-runtime.a was not found: set MDL_RUNTIME to its path");
    const char *triple = t->graph->target->triple;
    return tool_error(t->program, TOOL_IO,
                      "there is no libmdl-runtime.a for %s: build mdlc where configure finds %s-gcc, or set "
                      "MDL_RUNTIME to its path; --emit=asm, obj, llvm and header work without it",
                      triple, triple);
}

static int choose_target(struct tool *t, const struct tool_target *given) {
    const char *error = NULL;
    if (given->emulated) {
        t->graph->target = backend_emulated(t->arena, given->emulated);
        return t->graph->target
                   ? TOOL_DONE
                   : options_error(t->program,
                                   "--target=emulate:%s: no such GPU or x86; --list-cpus lists them",
                                   given->emulated);
    }
    t->graph->target = backend_target(t->arena, given->triple, given->cpu, &error);
    return t->graph->target ? TOOL_DONE : options_error(t->program, "--mcpu: %s", error);
}

static bool exports_something(struct tool *t) {
    for (const struct function *f = t->graph->functions; f; f = f->next)
        if (f->exported) return true;
    struct loc start = {diag_source(&t->diag, t->path, NULL, 0), 1, 1};
    diag_error(&t->diag, start, "the model exports no function, so there is nothing to compile");
    return false;
}

int tool_emit(struct tool *t, struct graph *const *programs, int count, enum artifact kind,
              const char *output) {
    const char *level = options_value(t->list, "optimize");
    struct backend_options o = {.output = output,
                                .runtime = find_runtime(t),
                                .linker = find_linker(t),
                                .assembler = find_assembler(),
                                .opt_level = 2,
                                .progress = isatty(2),
                                .embed_limit = 64 * 1024};
    if (level && (strlen(level) != 1 || *level < '0' || *level > '3'))
        return options_error(t->program, "-O%s: a level from 0 to 3 was expected", level);
    if (!exports_something(t)) return TOOL_INPUT;
    if (level) o.opt_level = *level - '0';
    if (!output && kind == ARTIFACT_SO) o.output = arena_printf(t->arena, "lib%s.so", t->graph->name);
    if (!output && kind == ARTIFACT_OBJ) o.output = arena_printf(t->arena, "%s.o", t->graph->name);
    if (kind == ARTIFACT_SO && (!strcmp(o.output, "-") || output_is_special(o.output)))
        return options_error(t->program, "--output=%s: a library is a file, with others beside it", o.output);
    if (kind == ARTIFACT_SO && !o.runtime) return no_runtime(t);
    static const int statuses[] = {
        [BACKEND_DONE] = TOOL_DONE, [BACKEND_INPUT] = TOOL_INPUT, [BACKEND_IO] = TOOL_IO};
    return statuses[backend_emit_programs(programs, count, kind, &o)];
}

int tool_read_schedules(struct tool *t, const char *path, struct measured *m) {
    size_t length;
    const char *text = tool_read_text(t, path, &length);
    m->compiler = backend_compiler(t->arena);
    if (!text) return TOOL_IO;
    return measured_read(t->arena, &t->diag, m, path, text, length) ? TOOL_DONE : TOOL_INPUT;
}

/* --schedules=FILE */
static int add_schedules(struct tool *t) {
    const char *path = options_value(t->list, "schedules");
    if (!path) return TOOL_DONE;
    struct measured *m = arena_new_object(t->arena, struct measured);
    t->graph->measured = m;
    return tool_read_schedules(t, path, m);
}

int tool_program(struct tool *t, int operand, const struct pipeline *p, const struct tool_target *target,
                 bool weights, bool named, const struct measured *measured) {
    int status = tool_parse(t, operand);
    if (!status) status = choose_target(t, target);
    if (!status && !measured) status = add_schedules(t);
    if (!status && measured) t->graph->measured = measured;
    if (!status && weights && !frontend_bind(t->graph, options_value(t->list, "weights")))
        status = TOOL_INPUT;
    if (!status && named) sharding_json_names(t->graph);
    return status ? status : tool_run(t, p);
}
