/* `mdlc weights FILE`: what is in a weight file.
 *
 *     name                      format  shape             bytes     offset
 *     token_embd.weight         q4_1    [49152, 576]   17694720    1793440
 *     ...
 *     272 tensors, 134515008 elements, 98935296 bytes; GGUF 3; 33 metadata values; general.architecture = llama */
#include "frontend/weights.h"
#include "frontend/weights_reader.h"
#include "ir/literal.h"
#include <inttypes.h>
#include <string.h>

/* Characters, not bytes, of a UTF-8 text; more exact widths are the terminal's business. */
static int width(const char *text) {
    int count = 0;
    for (; *text; text++) count += (*text & 0xc0) != 0x80;
    return count;
}

static int wider(int a, int b) { return a > b ? a : b; }

static void print_tensors(struct arena *a, const struct weights *w, FILE *out) {
    int name = width("name"), shape = width("shape");
    for (int i = 0; i < w->count; i++) {
        name = wider(name, width(w->tensors[i].name));
        shape = wider(shape, width(ints_text(a, w->tensors[i].dims, w->tensors[i].rank)));
    }
    fprintf(out, "%-*s  %-6s  %-*s  %12s  %12s\n", name, "name", "format", shape, "shape", "bytes", "offset");
    for (int i = 0; i < w->count; i++) {
        const struct weight_tensor *t = &w->tensors[i];
        fprintf(out, "%s%*s  %-6s  %-*s  %12zu  %12" PRIu64, t->name, name - width(t->name), "",
                format_name(t->format), shape, ints_text(a, t->dims, t->rank), t->bytes, t->offset);
        if (strcmp(t->file, w->path)) fprintf(out, "  %s", t->file);
        fputc('\n', out);
    }
}

static void print_summary(const struct weights *w, FILE *out) {
    uint64_t elements = 0, bytes = 0;
    for (int i = 0; i < w->count; i++)
        elements += (uint64_t)w->tensors[i].elements, bytes += w->tensors[i].bytes;
    fprintf(out, "%d tensor%s, %" PRIu64 " elements, %" PRIu64 " bytes; %s", w->count,
            w->count == 1 ? "" : "s", elements, bytes, w->kind);
    if (w->metadata_count)
        fprintf(out, "; %d metadata value%s", w->metadata_count, w->metadata_count == 1 ? "" : "s");
    const struct metadata *m = metadata_find(w, "general.architecture");
    struct text name = m ? metadata_string(m, 0) : (struct text){"", 0};
    if (name.length && name.length < 64) fputs("; general.architecture = ", out);
    for (size_t i = 0; name.length < 64 && i < name.length; i++)
        fputc(name.bytes[i] >= ' ' && name.bytes[i] < 127 ? name.bytes[i] : '?', out);
    fputc('\n', out);
}

int weights_list(const char *path, FILE *out) {
    struct arena *a = arena_new();
    char *error;
    bool io;
    struct weights *w = weights_try(a, path, &error, &io);
    if (!w) {
        fprintf(stderr, "%s\n", error);
        arena_release(a);
        return io ? 3 : 1;
    }
    print_tensors(a, w, out);
    print_summary(w, out);
    weights_close(w);
    arena_release(a);
    return fflush(out) || ferror(out) ? 3 : 0;
}
