/* From a graph of kernels to an artifact: code, tables, weights, header; all files or none. */
#include "backend/code.h"
#include "config.h"
#include "ir/ranks.h"
#include <errno.h>
#include <llvm-c/ErrorHandling.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct outputs {
    struct output at[2 + MAX_PROGRAMS]; /* library, header, weights of each program; or one */
    int count;
};

const char *backend_compiler(struct arena *a) {
    unsigned major, minor, patch;
    LLVMGetVersion(&major, &minor, &patch);
    return arena_printf(a, "mdlc %s, LLVM %u.%u.%u", PACKAGE_VERSION, major, minor, patch);
}

/* NULL after a diagnostic. */
static const struct output *add_output(struct code *c, struct outputs *o, const char *path) {
    struct output *out = &o->at[o->count];
    if (!output_begin(out, c->arena, path)) return code_io_error(c, path), NULL;
    o->count++;
    return out;
}

bool code_io_error(struct code *c, const char *path) {
    emit_error(c->emitters[0], (struct loc){0}, "%s: %s", path, strerror(errno));
    c->io_failed = true;
    return false;
}

static bool finish_outputs(struct code *c, struct outputs *o, bool good) {
    for (int i = 0; i < o->count && good; i++)
        if (!output_keep(&o->at[i])) good = code_io_error(c, o->at[i].path);
    for (int i = 0; i < o->count && !good; i++) output_discard(&o->at[i]);
    return good;
}

static bool write_file(struct code *c, const struct output *o, const char *bytes, size_t size) {
    FILE *out = output_open(o);
    if (!out) return code_io_error(c, output_name(o));
    fwrite(bytes, 1, size, out);
    return output_close(o, out) || code_io_error(c, output_name(o));
}

static bool write_text(struct code *c, const struct output *o, const char *text) {
    return write_file(c, o, text, strlen(text));
}

/* What is being done, on a line of the terminal that the next call overwrites; NULL: nothing any more. */
static void show_progress(const struct code *c, const char *doing) {
    if (!c->options->progress || !isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r\033[K%s", doing ? doing : "");
    fflush(stderr);
}

static const char *source_path(const struct graph *g) {
    for (const struct function *f = g->functions; f; f = f->next)
        if (f->loc.source) return f->loc.source->path;
    return arena_printf(g->arena, "%s.mdl", g->name);
}

/* ---- code ---- */

struct job { /* one emitter's module to bytes */
    struct emitter *emitter;
    bool assembly, good;
    LLVMMemoryBufferRef code;
    pthread_t thread;
};

static void *work(void *data) {
    struct job *j = data;
    j->good = emitter_finish(j->emitter);
    if (j->good) j->code = emitter_code(j->emitter, j->assembly);
    if (j->emitter->errors) j->good = false;
    return NULL;
}

/* All modules at once, a thread each. */
static bool generate(struct code *c, struct job *jobs, bool assembly) {
    bool good = true;
    show_progress(c, arena_printf(c->arena, "compiling %d kernels", c->kernels_count));
    for (int i = 0; i < c->emitters_count; i++) {
        jobs[i] = (struct job){.emitter = c->emitters[i], .assembly = assembly};
        if (i && pthread_create(&jobs[i].thread, NULL, work, &jobs[i])) ice("no thread for code generation");
    }
    work(&jobs[0]);
    for (int i = 0; i < c->emitters_count; i++) {
        if (i) pthread_join(jobs[i].thread, NULL);
        good = good && jobs[i].good;
    }
    return good;
}

static void release(struct job *jobs, int count) {
    for (int i = 0; i < count; i++)
        if (jobs[i].code) LLVMDisposeMemoryBuffer(jobs[i].code);
}

/* The PTX of each program, in turn. */
static bool write_images(struct code *c, const struct output *o) {
    const char *text = "";
    for (const struct code *p = c; p; p = p->next)
        text = arena_printf(c->arena, "%s// %s\n%s", text, p->images[0].arch, (const char *)p->images[0].code);
    return write_text(c, o, text);
}

static bool write_code(struct code *c, const struct output *o, enum artifact kind) {
    struct job jobs[MAX_EMITTERS] = {0};
    bool good;
    if (kind == ARTIFACT_ASM && c->device) return write_images(c, o);
    if (kind == ARTIFACT_LLVM) {
        struct emitter *e = c->device ? c->device : c->emitters[0];
        good = c->device || emitter_finish(e);
        char *text = LLVMPrintModuleToString(e->module);
        good = good && write_text(c, o, text);
        LLVMDisposeMessage(text);
        return good;
    }
    good = generate(c, jobs, kind == ARTIFACT_ASM);
    good = good && write_file(c, o, LLVMGetBufferStart(jobs[0].code), LLVMGetBufferSize(jobs[0].code));
    release(jobs, c->emitters_count);
    return good;
}

/* Objects of one program, beside the library to be; counts those that are there. */
static bool write_objects(struct code *c, const struct output *library, const char **objects, int *written) {
    struct job jobs[MAX_EMITTERS] = {0};
    bool good = generate(c, jobs, false);
    for (int i = 0; i < c->emitters_count && good; i++) {
        struct output object = {library->path, arena_printf(c->arena, "%s.%d.o", library->written, *written)};
        objects[(*written)++] = object.written;
        good = write_file(c, &object, LLVMGetBufferStart(jobs[i].code), LLVMGetBufferSize(jobs[i].code));
    }
    release(jobs, c->emitters_count);
    return good;
}

static bool write_library(struct code *codes, int count, const struct output *o) {
    const char *objects[MAX_PROGRAMS * MAX_EMITTERS];
    int written = 0;
    bool good = true;
    for (int i = 0; i < count && good; i++) good = write_objects(&codes[i], o, objects, &written);
    good = good && link_library(codes, objects, written, o->written);
    for (int i = 0; i < written; i++) unlink(objects[i]);
    return good;
}

/* ---- artifacts ---- */

/* m.h and m.weights stand beside libm.so, named after the library's file without "lib" and ".so", unless that is
 * all of it; runtime/weights.c looks for them by the same rule. */
static const char *beside(struct code *c, const char *output, const char *suffix) {
    const char *slash = strrchr(output, '/'), *base = slash ? slash + 1 : output, *dot = strstr(base, ".so");
    const char *stem = !strncmp(base, "lib", 3) && base[3] && base[3] != '.' ? base + 3 : base;
    int length = dot && dot > stem ? (int)(dot - stem) : (int)strlen(stem);
    return arena_printf(c->arena, "%.*s%.*s%s", (int)(base - output), output, length, stem, suffix);
}

const char *descriptor_name(struct code *c) {
    return c->number ? arena_printf(c->arena, "mdl_descriptor%d", c->number) : "mdl_descriptor";
}

const char *weights_suffix(const struct code *c) {
    if (c->like) return weights_suffix(c->like);
    if (!c->number) return ".weights";
    return c->device ? arena_printf(c->arena, ".%s.weights", c->graph->target->cpu) : ".cpu.weights";
}

/* Its weights' file, if they are one, and all that stands in memory. */
static bool emit_program(struct code *c, struct outputs *o) {
    bool outside = !c->embedded && c->weights_bytes && !c->like;
    const struct output *weights = NULL;
    if (outside) weights = add_output(c, o, beside(c, c->options->output, weights_suffix(c)));
    if (outside && (!weights || !weights_write(c, weights))) return false;
    if (c->like)
        memcpy(c->build_id, c->like->build_id, sizeof c->build_id);
    else if (!outside)
        build_id_make(c);
    return tables_emit(c, ARTIFACT_SO);
}

static bool emit_library(struct code *codes, int count, struct outputs *o) {
    const struct output *library = add_output(codes, o, codes->options->output);
    const struct output *header =
        library ? add_output(codes, o, beside(codes, codes->options->output, ".h")) : NULL;
    bool good = header != NULL;
    for (int i = 0; i < count && good; i++) good = emit_program(&codes[i], o);
    return good && write_library(codes, count, library) && write_text(codes, header, header_text(codes));
}

/* Modules without the weights' bytes if they would be a file. */
static bool emit_code(struct code *codes, int count, enum artifact kind, struct outputs *o) {
    const struct output *out = add_output(codes, o, codes->options->output);
    for (int i = 0; i < count && out; i++) {
        build_id_make(&codes[i]);
        if (!tables_emit(&codes[i], kind)) return false;
    }
    return out && write_code(codes, out, kind);
}

/* What the language has and this backend not yet. */
static bool is_supported(struct code *c) {
    int errors = c->graph->diag->errors;
    for (const struct global *g = c->graph->globals; g; g = g->next)
        if (g->kind == GLOBAL_PARAM && g->assigned)
            emit_error(c->emitters[0], g->loc, "param %s is assigned: not yet supported here", g->name);
    return c->graph->diag->errors == errors;
}

/* Places everything, of the programs from the first on; false after a diagnostic. */
static bool prepare(const struct code *first, struct code *c) {
    if (!is_supported(c) || !graph_ready(c)) return false;
    weights_place(c);
    homes_place_states(c);
    c->like = weights_like(first, c);
    show_progress(c,
                  arena_printf(c->arena, "packing %lld MB of weights", (long long)(c->file_bytes >> 20)));
    return weights_pack(c);
}

static bool emit_artifact(struct code *codes, int count, enum artifact kind, struct outputs *o) {
    for (int i = 0; i < count; i++) {
        codes[i].mesh = ranks_mesh(codes[i].graph);
        mesh_add_coordinates(&codes[i]);
        if (!header_names_differ(&codes[i])) return false;
    }
    if (kind == ARTIFACT_HEADER) {
        const struct output *out = add_output(codes, o, codes->options->output);
        return out && write_text(codes, out, header_text(codes));
    }
    for (int i = 0; i < count; i++)
        if (!prepare(codes, &codes[i])) return false;
    return kind == ARTIFACT_SO ? emit_library(codes, count, o) : emit_code(codes, count, kind, o);
}

/* Of the tables beside a device's kernels: any machine of this kind. */
static const struct target *host_target(void) { return target_find(backend_host_triple(), "generic"); }

static void llvm_failed(const char *reason) { ice("LLVM: %s", reason); }

static void begin(struct code *c, struct graph *g, enum artifact kind, const struct backend_options *options) {
    *c = (struct code){.graph = g, .arena = g->arena, .options = options, .source = source_path(g)};
    c->kernels_end = &c->kernels;
    c->weights_end = &c->weights;
    c->emitters_count = kind == ARTIFACT_SO ? MAX_EMITTERS : 1;
    if (target_is_gpu(g->target)) {
        c->emitters_count = 1;
        c->device = emitter_new(g, g->target, g->name, c->source, options->opt_level);
    }
    for (int i = 0; i < c->emitters_count; i++)
        c->emitters[i] =
            emitter_new(g, c->device ? host_target() : g->target, g->name, c->source, options->opt_level);
}

static void end(struct code *c) {
    for (int i = 0; i < c->emitters_count; i++) emitter_release(c->emitters[i]);
    if (c->device) emitter_release(c->device);
}

enum backend_status backend_emit_programs(struct graph *const *graphs, int count,
                                          enum artifact kind, const struct backend_options *options) {
    struct code codes[MAX_PROGRAMS];
    struct outputs o = {.count = 0};
    bool good, io_failed = false;
    LLVMInstallFatalErrorHandler(llvm_failed);
    ice_context("code generation", NULL, NULL);
    for (int i = 0; i < count; i++) {
        begin(&codes[i], graphs[i], kind, options);
        codes[i].number = i;
        if (i) codes[i - 1].next = &codes[i];
    }
    good = emit_artifact(codes, count, kind, &o);
    for (int i = 0; i < count; i++) good = good && !codes[i].graph->diag->errors;
    good = finish_outputs(codes, &o, good);
    show_progress(codes, NULL);
    ice_context(NULL, NULL, NULL);
    LLVMResetFatalErrorHandler();
    for (int i = 0; i < count; i++) {
        io_failed = io_failed || codes[i].io_failed;
        end(&codes[i]);
    }
    return good ? BACKEND_DONE : io_failed ? BACKEND_IO : BACKEND_INPUT;
}

enum backend_status backend_emit(struct graph *g, enum artifact kind, const struct backend_options *options) {
    return backend_emit_programs(&g, 1, kind, options);
}
