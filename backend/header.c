/* m.h: the model's functions for C and C++, with what a caller needs to know beside each. */
#include "backend/code.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* How values travel: f16 and bf16 by their bits, truth values as bytes of 0 or 1. */
static const char *const c_types[DTYPE_COUNT] = {
    [DTYPE_F64] = "double",  [DTYPE_F32] = "float",   [DTYPE_F16] = "uint16_t", [DTYPE_BF16] = "uint16_t",
    [DTYPE_I64] = "int64_t", [DTYPE_I32] = "int32_t", [DTYPE_I16] = "int16_t",  [DTYPE_I8] = "int8_t",
    [DTYPE_U8] = "uint8_t",  [DTYPE_BOOL] = "uint8_t"};
static const char *const reserved[] = {
    "NULL",    "int16_t",   "int32_t",  "int64_t",  "int8_t",   "linux",    "uint16_t", "uint8_t",
    "unix",    "alignas",   "alignof",  "and",      "asm",      "auto",     "bool",     "break",
    "case",    "catch",     "char",     "class",    "const",    "continue", "default",  "delete",
    "do",      "double",    "else",     "enum",     "explicit", "export",   "extern",   "false",
    "float",   "for",       "friend",   "goto",     "if",       "inline",   "int",      "long",
    "mutable", "namespace", "new",      "not",      "operator", "or",       "private",  "protected",
    "public",  "register",  "restrict", "return",   "session",  "short",    "signed",   "sizeof",
    "static",  "struct",    "switch",   "template", "this",     "throw",    "true",     "try",
    "typedef", "typename",  "union",    "unsigned", "using",    "virtual",  "void",     "volatile",
    "while",   "xor"};

/* Whether the first `length` letters are a word of C or C++, or a name that the header gives itself: result0.
 */
static bool is_reserved(const char *name, size_t length) {
    static const char *const ours[] = {"result", "shape"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (length == strlen(reserved[i]) && !strncmp(name, reserved[i], length)) return true;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        size_t stem = strlen(ours[i]);
        if (length > stem && !strncmp(name, ours[i], stem) &&
            strspn(name + stem, "0123456789") >= length - stem)
            return true;
    }
    return false;
}

/* A parameter's name; a reserved one gets an underscore, and so does one that would then be the same. */
static const char *c_name(struct code *c, const char *name, int number) {
    if (!name) return arena_printf(c->arena, "x%d", number);
    size_t length = strlen(name);
    while (length && name[length - 1] == '_') length--;
    return is_reserved(name, length) ? arena_printf(c->arena, "%s_", name) : name;
}

/* The functions that every model has besides its own: m_open, ... */
static const char *const every_model_has[] = {"open",         "close",         "error",        "session_new",
                                              "session_free", "session_reset", "session_save", "session_load",
                                              "model",        "session",       "descriptor"};
/* And every model with a mesh. */
static const char *const every_mesh_has[] = {"comm_threads", "comm_open", "comm_nccl", "comm_close"};

static const struct function *shaped(const struct graph *g, const char *name) {
    for (const struct function *f = g->functions; f; f = f->next) {
        size_t length = strlen(f->name);
        bool is = !strncmp(name, f->name, length) && !strcmp(name + length, "_shape");
        if (f->exported && is && function_has_shape(f)) return f;
    }
    return NULL;
}

bool header_names_differ(struct code *c) {
    const char *m = c->graph->name;
    for (const struct function *f = c->graph->functions; f; f = f->next) {
        bool taken = f->exported && shaped(c->graph, f->name);
        for (size_t i = 0; f->exported && i < sizeof every_model_has / sizeof *every_model_has; i++)
            taken |= !strcmp(f->name, every_model_has[i]);
        for (size_t i = 0; f->exported && c->mesh && i < sizeof every_mesh_has / sizeof *every_mesh_has; i++)
            taken |= !strcmp(f->name, every_mesh_has[i]);
        if (!taken) continue;
        emit_error(c->emitters[0], f->loc,
                   "%s_%s has another meaning in the model's header: name %s otherwise", m, f->name, f->name);
        return false;
    }
    return true;
}

/* Text inside a comment of C, which it must not end. */
static void put_comment(FILE *out, const char *text) {
    for (const char *p = text; *p; p++) {
        fputc(*p, out);
        if (*p == '*' && p[1] == '/') fputc(' ', out);
    }
}

static const char *note(enum dtype t) {
    if (t == DTYPE_F16) return ", IEEE half precision";
    if (t == DTYPE_BF16) return ", bfloat16";
    return t == DTYPE_BOOL ? ", 0 or 1" : "";
}

/* An extent of a piece as callers count dims: where S is passed as a multiple of 2, S is S // 2 and 2*S is S.
 */
static const struct extent *as_passed(struct code *c, const struct extent *e) {
    struct graph *g = c->graph;
    const struct extent **by = arena_new_array(c->arena, const struct extent *, (size_t)g->dims_count + 1);
    int64_t unit = 1;
    for (int i = 0; i < g->dims_count; i++) {
        if (g->dims[i]->unit == 1) continue;
        struct dim *passed = arena_new_object(c->arena, struct dim);
        *passed = *g->dims[i];
        passed->unit = 1;
        by[i] = extent_dim(g->extents, passed);
        if (e->count == 1 && e->terms[0].count == 1 && e->terms[0].symbols[0]->dim == g->dims[i])
            unit = g->dims[i]->unit;
        else
            by[i] = extent_floordiv(g->extents, by[i], g->dims[i]->unit);
    }
    return extent_floordiv(g->extents, extent_replace(g->extents, e, by), unit);
}

static void put_shape(struct code *c, FILE *out, const struct type *t) {
    fputc('[', out);
    for (int i = 0; i < t->rank; i++)
        fprintf(out, "%s%s", i ? ", " : "", extent_text(c->arena, as_passed(c, t->extents[i])));
    fputc(']', out);
}

/* Of a piece: which. */
static const char *piece(struct code *c, const struct sharding *s) {
    return s ? arena_printf(c->arena, ", this rank's piece: %s", sharding_text(c->arena, s)) : "";
}

static void put_input(struct code *c, FILE *out, const struct value *v, int number) {
    const char *name = c_name(c, v->name, number);
    fprintf(out, ",\n    ");
    if (!v->type.rank) {
        fprintf(out, "%s %s", c_types[v->type.dtype], name);
        if (*note(v->type.dtype)) fprintf(out, " /*%s */", note(v->type.dtype) + 1);
        return;
    }
    fprintf(out, "const %s *%s /* ", c_types[v->type.dtype], name);
    put_shape(c, out, &v->type);
    fprintf(out, "%s%s */", note(v->type.dtype), piece(c, v->sharding));
}

static void put_result(struct code *c, FILE *out, const struct function *f, int number) {
    const struct value *v = f->body->results[number];
    fprintf(out, ",\n    %s *result%d /* ", c_types[v->type.dtype], number);
    if (v->type.rank)
        put_shape(c, out, &v->type);
    else
        fputs("one", out);
    fprintf(out, "%s%s */", note(v->type.dtype),
            piece(c, f->result_shardings ? f->result_shardings[number] : NULL));
}

/* The .mdl's own line, and what limits its dims have. */
static void put_about(FILE *out, const struct function *f) {
    fprintf(out, "/* %s", f->name);
    if (f->loc.source && f->loc.line > 0) {
        fputs(", ", out);
        put_comment(out, f->loc.source->path);
        fprintf(out, ":%d", f->loc.line);
    }
    fputs(".", out);
    for (int i = 0, given = given_dims(f); i < given; i++) {
        const struct dim *d = f->dims[i];
        fprintf(out, " %s: %lld..%lld", d->name, (long long)(d->min * d->unit),
                (long long)(d->max * d->unit));
        if (d->unit > 1) fprintf(out, " by %lld", (long long)d->unit);
        fputs(i + 1 < given ? "," : ".", out);
    }
    fputs(" */\n", out);
}

static void put_function(struct code *c, FILE *out, const struct function *f) {
    const char *m = c->graph->name;
    const struct block *b = f->body;
    fputc('\n', out);
    put_about(out, f);
    fprintf(out, "int %s_%s(%s_session *session", m, f->name, m);
    for (int i = 0; i < given_dims(f); i++) fprintf(out, ",\n    int64_t %s", c_name(c, f->dims[i]->name, i));
    for (int i = 0; i < b->args_count; i++) put_input(c, out, b->args[i], i);
    for (int i = 0; i < b->results_count; i++) put_result(c, out, f, i);
    fputs(");\n", out);
    if (!function_has_shape(f)) return;
    fprintf(out, "/* The extents of its results; a pointer may be NULL. */\nvoid %s_%s_shape(", m, f->name);
    for (int i = 0; i < given_dims(f); i++) fprintf(out, "int64_t %s, ", c_name(c, f->dims[i]->name, i));
    for (int i = 0; i < b->results_count; i++)
        fprintf(out, "%sint64_t *shape%d /* [%d] */", i ? ", " : "", i, b->results[i]->type.rank);
    fputs(");\n", out);
}

/* What every model has; @ stands for its name, $ for it in capitals. */
static const char common[] =
    "typedef struct mdl_model @_model;\n"
    "typedef struct mdl_session @_session;\n\n"
    "/* Every call gives MDL_OK or another code of enum mdl_status, and never ends the program or prints.\n"
    " *\n"
    " * `weights` names the weights file, which is mapped and shared by all that open it; NULL: the one that "
    "the\n"
    " * environment's $_WEIGHTS or MDL_WEIGHTS names, else the one beside the library. `options` may be "
    "NULL.\n"
    " * *model is the caller's until @_close, which may come before its sessions are freed. */\n"
    "int @_open(const char *weights, const struct mdl_options *options, @_model **model);\n"
    "void @_close(@_model *model);\n\n"
    "/* A session has states of its own, as initialised; @_session_reset sets them back. Sessions may be "
    "used by\n"
    " * different threads at once, one session by one thread at a time (else MDL_BUSY). */\n"
    "int @_session_new(@_model *model, @_session **session);\n"
    "int @_session_reset(@_session *session);\n"
    "void @_session_free(@_session *session);\n"
    "/* Writes the session's states to a file, with a note of the caller's (tokens that they come from, "
    "say), and reads "
    "them\n"
    " * back, in any session of the same build of the model. The file appears whole or not at all, and has "
    "only what "
    "is not\n"
    " * zero. Loading checks all of it before the states change: if it fails, the session is as it was. "
    "*note_bytes "
    "becomes the\n"
    " * note's size (may be NULL); a note longer than `room` is refused (MDL_INVALID); `note` NULL: it is "
    "not wanted. */\n"
    "int @_session_save(@_session *session, const char *path, const void *note, uint64_t note_bytes);\n"
    "int @_session_load(@_session *session, const char *path, void *note, uint64_t room, uint64_t "
    "*note_bytes);\n"
    "/* What went wrong in the session's last call, in words; \"\" if nothing. Valid until its next call. "
    "*/\n"
    "const char *@_error(const @_session *session);\n\n"
    "/* Below: tensors are row-major, in arrays of the caller's, with the shapes given; inputs are only "
    "read, results\n"
    " * written; no alignment is asked for beyond the element's. A call that fails has changed no state. "
    "*/\n";

static void put_text(FILE *out, const char *text, const char *name, const char *capitals) {
    for (const char *p = text; *p; p++) {
        if (*p == '@')
            fputs(name, out);
        else if (*p == '$')
            fputs(capitals, out);
        else
            fputc(*p, out);
    }
}

/* How ranks find each other; @ as in `common`. */
static const char of_ranks[] =
    "/* Each rank opens a comm, then the model with it in mdl_options.comm, and closes it after the model: "
    "ranks "
    "that are\n"
    " * threads of this process share what @_comm_threads makes; processes under mpirun open theirs by "
    "@_comm_open (engine\n"
    " * NULL: the launcher's); on GPUs NCCL's, made with that by @_comm_nccl, takes its place. "
    "runtime/comm.h says the rest.\n"
    " * All ranks make the same calls with the same dims. Of an array that lies in pieces, a rank passes its "
    "own; of others\n"
    " * all pass the same, and get the same. When a rank fails or stalls, the calls of all end with "
    "MDL_PEER. */\n"
    "int @_comm_threads(int32_t ranks, struct mdl_comm **comms /* [ranks] */);\n"
    "int @_comm_open(const char *engine, char *error, uint64_t error_size, struct mdl_comm **comm);\n"
    "int @_comm_nccl(struct mdl_comm *bootstrap, char *error, uint64_t error_size, struct mdl_comm **comm);\n"
    "void @_comm_close(struct mdl_comm *comm);\n";

static void put_mesh(struct code *c, FILE *out) {
    const struct mesh *mesh = c->mesh;
    fprintf(out, "\n/* A model of %lld ranks: mesh %s = <", (long long)mesh_ranks(mesh), mesh->name);
    for (int i = 0; i < mesh->axes_count; i++)
        fprintf(out, "%s%s=%lld", i ? ", " : "", mesh->axes[i].name, (long long)mesh->axes[i].size);
    fputs(">, the last axis varies fastest. */\n", out);
    put_text(out, of_ranks, c->graph->name, "");
}

static char *upper(struct code *c, const char *name) {
    char *text = arena_strdup(c->arena, name);
    for (char *p = text; *p; p++) *p = (char)toupper((unsigned char)*p);
    return text;
}

char *header_text(struct code *c) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) ice("out of memory");
    const char *m = c->graph->name, *guard = upper(c, m);
    fprintf(out, "/* Model %s, compiled by mdlc from ", m);
    put_comment(out, c->source);
    fprintf(out, " for %s. Link with lib%s.so. */\n", c->graph->target->cpu, m);
    fprintf(out, "#ifndef %s_MODEL_H\n#define %s_MODEL_H\n#include \"runtime/%s.h\"\n#include <stdint.h>\n\n",
            guard, guard, c->mesh ? "comm" : "mdl");
    fputs("#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n", out);
    put_text(out, common, m, guard);
    if (c->mesh) put_mesh(c, out);
    for (const struct function *f = c->graph->functions; f; f = f->next)
        if (f->exported && !is_variant_of_earlier(c->graph, f))
            put_function(c, out, general_variant(c->graph, f->name));
    fputs("\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n", out);
    fclose(out);
    char *kept = arena_strndup(c->arena, text, size);
    free(text);
    return kept;
}
