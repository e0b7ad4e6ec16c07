/* mdl-run --trace: a call as a Chrome trace ("Trace Event Format", complete events), for chrome://tracing or
 * Perfetto. */
#include "runtime/library.h"
#include "runtime/library_ranks.h"
#include "runtime/replace.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Text as the inside of a JSON string. */
static void print_json(FILE *out, const char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') fputc('\\', out);
        if (c < ' ')
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
}

/* ts and dur are microseconds. */
static void print_slice(FILE *out, const struct library *l, const struct run_call *c,
                        const struct mdl_event *e, int64_t origin) {
    const struct mdl_descriptor *d = l->descriptor;
    const struct mdl_step *s = e->what;
    bool guard = s->kind == MDL_STEP_GUARD;
    fprintf(out, ",\n{\"name\":\"%s", guard ? "guard: " : "");
    print_json(out, s->name);
    if (s->line) {
        const char *slash = strrchr(d->source, '/');
        fputc(' ', out);
        print_json(out, slash ? slash + 1 : d->source);
        fprintf(out, ":%u", s->line);
    }
    fprintf(out, "\",\"cat\":\"%s\",\"ph\":\"X\",\"ts\":%.3f,\"dur\":%.3f,\"pid\":1,\"tid\":%u",
            guard ? "guard" : "kernel", (double)(e->start - origin) / 1e3, (double)(e->end - e->start) / 1e3,
            e->thread);
    fprintf(out, ",\"args\":{\"step\":%u,\"source\":\"", e->step);
    print_json(out, d->source);
    fprintf(out, ":%u:%u\",\"flops\":%" PRId64 ",\"bytes\":%" PRId64 "}}", s->line, s->column,
            d->extent(s->flops, c->units), d->extent(s->bytes, c->units));
}

static void print_trace(FILE *out, const struct library *l, const struct run_call *c,
                        const struct recording *rec) {
    int64_t origin = INT64_MAX;
    for (uint64_t i = 0; i < rec->count; i++)
        if (rec->events[i].start < origin) origin = rec->events[i].start;
    fprintf(out, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{\"name\":\"process_name\",\"ph\":\"M\","
                 "\"pid\":1,\"args\":{\"name\":\"");
    print_json(out, l->descriptor->name);
    fputc('.', out);
    print_json(out, c->function->name);
    fputs("\"}}", out);
    for (uint64_t i = 0; i < rec->count; i++) print_slice(out, l, c, &rec->events[i], origin);
    fputs("\n]}\n", out);
}

static int write_trace(const struct library *l, const struct run_call *c, const struct recording *rec,
                       const char *path) {
    struct replacement out;
    bool good = replace_begin(&out, path);
    if (good) {
        print_trace(out.file, l, c, rec);
        good = replace_end(&out);
    }
    return good ? RUN_DONE : run_error(c->request, RUN_IO, "%s: %s", path, strerror(errno));
}

int library_trace(struct library *l, struct run_call *c, const char *path) {
    struct recording rec = {0};
    int status = record_call(l, c, &rec);
    if (!status && ranks_speaks(l)) status = write_trace(l, c, &rec, path);
    free(rec.events);
    return status;
}
