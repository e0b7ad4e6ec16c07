/* A graph's shardings as JSON. Names are identifiers, so nothing needs escaping. */
#include "frontend/sharding_json.h"
#include "ir/names.h"
#include <string.h>

bool sharding_json_has(const struct names *names, const struct node *n) {
    return names_has_statement(names, n) && !(n->parent->owner && n->parent->owner->op == OP_kernel);
}

void sharding_json_names(struct graph *g) {
    for (struct function *f = g->functions; f; f = f->next) {
        struct names *names = names_new(g->arena, g, f->body);
        for (struct node *n = NULL; (n = node_walk(f->body, n));)
            for (int i = 0; i < n->results_count; i++)
                if (n->results[i]->name && sharding_json_has(names, n))
                    n->results[i]->name = names_value(names, n->results[i]);
    }
}

static const char *quoted_axes(struct arena *a, const struct sharding *s, int dim) {
    const struct dim_sharding *d = &s->dims[dim];
    const char *text = "";
    for (int i = 0; i < d->count; i++)
        text = arena_printf(a, "%s%s\"%s\"", text, i ? ", " : "", s->mesh->axes[d->axes[i]].name);
    return d->open ? arena_printf(a, "%s%s\"?\"", text, d->count ? ", " : "") : text;
}

static void write_priorities(FILE *out, const struct sharding *s) {
    bool any = false;
    for (int d = 0; d < s->rank; d++) any |= s->dims[d].priority < MAX_PRIORITY;
    if (!any) return;
    fputs(", \"priorities\": [", out);
    for (int d = 0; d < s->rank; d++) {
        if (d) fputs(", ", out);
        if (s->dims[d].priority < MAX_PRIORITY)
            fprintf(out, "%d", s->dims[d].priority);
        else
            fputs("null", out);
    }
    fputc(']', out);
}

static void write_sharding(FILE *out, struct arena *a, const struct sharding *s) {
    bool first = true;
    fprintf(out, ", \"mesh\": \"%s\", \"dims\": [", s->mesh->name);
    for (int d = 0; d < s->rank; d++) fprintf(out, "%s[%s]", d ? ", " : "", quoted_axes(a, s, d));
    fputc(']', out);
    for (int i = 0; i < s->mesh->axes_count; i++) {
        if (!(s->partial >> i & 1)) continue;
        fprintf(out, "%s\"%s\"", first ? ", \"partial\": [" : ", ", s->mesh->axes[i].name);
        first = false;
    }
    if (!first) fputc(']', out);
    write_priorities(out, s);
    if (s->local) fputs(", \"local\": true", out);
}

/* {"type": "f32[4]", "mesh": "m", "dims": [["data"]]} */
static void write_entry(FILE *out, struct arena *a, const struct type *t, const struct sharding *s) {
    fprintf(out, "{\"type\": \"%s\"", type_text(a, t));
    if (s) write_sharding(out, a, s);
    fputc('}', out);
}

static void write_member(FILE *out, const char *name, int indent, bool *first) {
    fprintf(out, "%s\n%*s\"%s\": ", *first ? "" : ",", indent, "", name);
    *first = false;
}

static void close_object(FILE *out, int indent, bool empty) {
    if (!empty) fprintf(out, "\n%*s", indent, "");
    fputc('}', out);
}

static void write_mesh(FILE *out, const struct mesh *m) {
    fputs("{\"axes\": [", out);
    for (int i = 0; i < m->axes_count; i++)
        fprintf(out, "%s[\"%s\", %lld]", i ? ", " : "", m->axes[i].name, (long long)m->axes[i].size);
    long long first = (long long)m->first_rank;
    fprintf(out, "], \"ranks\": [%lld, %lld], \"device\": \"%s\"}", first,
            first + (long long)mesh_ranks(m) - 1, m->device == MESH_CUDA ? "cuda" : "cpu");
}

static void write_results(FILE *out, struct arena *a, const struct function *f) {
    fputs("\"results\": [", out);
    for (int i = 0; i < f->body->results_count; i++) {
        if (i) fputs(", ", out);
        write_entry(out, a, &f->body->results[i]->type, f->result_shardings ? f->result_shardings[i] : NULL);
    }
    fputs("],\n", out);
}

/* Values that the source names; what passes made has no name, or that of what it was copied from. */
static void write_values(FILE *out, struct arena *a, const struct graph *g, const struct function *f) {
    struct names *names = names_new(a, g, f->body);
    bool first = true;
    fputs("      \"values\": {", out);
    for (struct node *n = NULL; (n = node_walk(f->body, n));)
        for (int i = 0; i < n->results_count && sharding_json_has(names, n); i++) {
            struct value *v = n->results[i];
            if (!v->name || strcmp(v->name, names_value(names, v))) continue;
            write_member(out, v->name, 8, &first);
            write_entry(out, a, &v->type, v->sharding);
        }
    close_object(out, 6, first);
}

static void write_function(FILE *out, struct arena *a, const struct graph *g, const struct function *f) {
    bool first = true;
    fputs("{\n      \"arguments\": {", out);
    for (int i = 0; i < f->body->args_count; i++) {
        write_member(out, f->body->args[i]->name, 8, &first);
        write_entry(out, a, &f->body->args[i]->type, f->body->args[i]->sharding);
    }
    close_object(out, 6, first);
    fputs(",\n      ", out);
    write_results(out, a, f);
    write_values(out, a, g, f);
    fputs("\n    }", out);
}

static void write_functions(FILE *out, struct arena *a, const struct graph *g) {
    bool first = true;
    fputs("  \"functions\": {", out);
    for (const struct function *f = g->functions; f; f = f->next) {
        if (f->fixed) continue;
        write_member(out, f->name, 4, &first);
        write_function(out, a, g, f);
    }
    close_object(out, 2, first);
}

void sharding_json_write(const struct graph *g, FILE *out) {
    struct arena *a = arena_new();
    bool first = true;
    fputs("{\n  \"meshes\": {", out);
    for (const struct mesh *m = g->meshes; m; m = m->next) {
        write_member(out, m->name, 4, &first);
        write_mesh(out, m);
    }
    close_object(out, 2, first);
    fputs(",\n  \"globals\": {", out);
    first = true;
    for (const struct global *global = g->globals; global; global = global->next) {
        write_member(out, global->name, 4, &first);
        write_entry(out, a, &global->type, global->sharding);
    }
    close_object(out, 2, first);
    fputs(",\n", out);
    write_functions(out, a, g);
    fputs("\n}\n", out);
    arena_release(a);
}
