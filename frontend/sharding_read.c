/* A plan, JSON as sharding_json.h shows it, becomes a graph's annotations. */
#include "frontend/sharding_json.h"
#include "frontend/table.h"
#include "ir/names.h"
#include <jansson.h>
#include <string.h>

enum { MAX_PLAN_ERRORS = 20 };

struct plan {
    struct graph *g;
    struct arena *arena; /* scratch */
    const struct source *source;
    const char *text, *end;
    const char *keys[4]; /* the objects around what is being read: "functions", "forward", "values", "y" */
    int depth, errors;
};

/* The line and column of `key` after `from`; keys come in the order of the text. */
static const char *find_key(const struct plan *p, const char *from, const char *key) {
    size_t length = strlen(key);
    for (const char *at = from; (at = memmem(at, (size_t)(p->end - at), key, length)); at++)
        if (at > p->text && at[-1] == '"' && at + length < p->end && at[length] == '"') return at - 1;
    return NULL;
}

static struct loc place(const struct plan *p) {
    const char *at = p->text, *line = p->text;
    struct loc loc = {p->source, 1, 1};
    for (int i = 0; i < p->depth; i++) {
        const char *found = find_key(p, at, p->keys[i]);
        if (!found) break; /* it is escaped */
        at = found;
    }
    for (const char *c = p->text; c < at; c++)
        if (*c == '\n') loc.line++, line = c + 1;
    loc.column = (int)(at - line) + 1;
    return loc;
}

static bool complain(struct plan *p, const char *problem) {
    if (p->errors++ < MAX_PLAN_ERRORS) diag_error(p->g->diag, place(p), "%s", problem);
    return false;
}

static bool unknown(struct plan *p, const char *what, const char *name, const char *const *names, int count) {
    const char *nearest = name[0] && name[1] ? diag_nearest(name, names, count) : NULL;
    return complain(p, nearest ? arena_printf(p->arena, "the model has no %s '%s'; did you mean '%s'?", what,
                                              name, nearest)
                               : arena_printf(p->arena, "the model has no %s '%s'", what, name));
}

/* One dimension: ["data", "?"] */
static bool read_dim(struct plan *p, json_t *list, struct sharding *s, int dim) {
    s->dims[dim].priority = MAX_PRIORITY;
    if (!json_is_array(list)) return complain(p, "\"dims\" has a list of axes for each dimension");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *axis = json_string_value(json_array_get(list, i));
        if (!axis || s->dims[dim].open)
            return complain(p, "a dimension is a list of axes, with \"?\" last or not at all");
        if (!strcmp(axis, "?")) {
            s->dims[dim].open = true;
            continue;
        }
        const char *problem = sharding_add(p->arena, s, dim, axis);
        if (problem) return complain(p, problem);
    }
    return true;
}

static bool read_dims(struct plan *p, json_t *dims, const struct type *t, struct sharding *s) {
    if (!json_is_array(dims) || json_array_size(dims) != (size_t)t->rank)
        return complain(p, arena_printf(p->arena, "\"dims\" needs a list for each of the %d dimensions of %s",
                                        t->rank, type_text(p->arena, t)));
    for (int d = 0; d < t->rank; d++) {
        if (!read_dim(p, json_array_get(dims, (size_t)d), s, d)) return false;
        const char *problem = sharding_indivisible(p->arena, s, d, t->extents[d]);
        if (problem) return complain(p, problem);
    }
    return true;
}

static bool read_priorities(struct plan *p, json_t *list, struct sharding *s) {
    if (!list) return true;
    if (!json_is_array(list) || json_array_size(list) != (size_t)s->rank)
        return complain(p, "\"priorities\" has a number or null for each dimension");
    for (int d = 0; d < s->rank; d++) {
        json_t *one = json_array_get(list, (size_t)d);
        json_int_t value = json_is_integer(one) ? json_integer_value(one) : -1;
        if (json_is_null(one)) continue;
        if (value < 0 || value >= MAX_PRIORITY) return complain(p, "a priority is 0 to 999, or null");
        s->dims[d].priority = (int)value;
    }
    return true;
}

/* `whole`: what this is, if it cannot be a partial sum. */
static bool read_partial(struct plan *p, json_t *list, const char *whole, struct sharding *s) {
    if (list && !json_is_array(list)) return complain(p, "\"partial\" is a list of axes");
    for (size_t i = 0; list && i < json_array_size(list); i++) {
        const char *axis = json_string_value(json_array_get(list, i));
        if (whole) return complain(p, arena_printf(p->arena, "%s is no partial sum", whole));
        const char *problem = axis ? sharding_add(p->arena, s, -1, axis) : "\"partial\" is a list of axes";
        if (problem) return complain(p, problem);
    }
    return true;
}

static bool known_members(struct plan *p, json_t *entry) {
    static const char *const names[] = {"type", "mesh", "dims", "partial", "priorities", "local"};
    const char *key;
    json_t *value;
    json_object_foreach(entry, key, value) {
        size_t i = 0, count = sizeof names / sizeof *names;
        while (i < count && strcmp(names[i], key)) i++;
        if (i == count)
            return complain(
                p, arena_printf(p->arena, "\"%s\" is no part of a sharding: mesh, dims, partial, priorities",
                                key));
    }
    return true;
}

/* An entry, for a value of type `t`; what it says of no mesh stays as it is. */
static void read_entry(struct plan *p, json_t *entry, const struct type *t, const char *whole,
                       const struct sharding **sharding) {
    if (!json_is_object(entry)) {
        complain(p, "an object with \"mesh\" and \"dims\" was expected");
        return;
    }
    json_t *named = json_object_get(entry, "mesh");
    if (!known_members(p, entry) || !named) return;
    const char *name = json_string_value(named);
    const struct mesh *mesh = name ? mesh_find(p->g, name) : NULL;
    if (!mesh) {
        complain(p, name ? mesh_unknown(p->arena, p->g, name) : "\"mesh\" is a mesh's name");
        return;
    }
    struct sharding *s = arena_new_object(p->g->arena, struct sharding);
    *s = (struct sharding){
        .mesh = mesh, .rank = t->rank, .local = json_is_true(json_object_get(entry, "local"))};
    if (read_dims(p, json_object_get(entry, "dims"), t, s) &&
        read_partial(p, json_object_get(entry, "partial"), whole, s) &&
        read_priorities(p, json_object_get(entry, "priorities"), s))
        *sharding = s;
}

/* ---- What the entries speak of ---- */

static void enter(struct plan *p, const char *key) { p->keys[p->depth++] = key; }
static void leave(struct plan *p) { p->depth--; }

/* Runs `each` over the members of an object that may be absent. */
static void members(struct plan *p, json_t *object, const char *name, void *context,
                    void (*each)(struct plan *, const char *key, json_t *value, void *context)) {
    const char *key;
    json_t *value, *inner = json_object_get(object, name);
    if (!inner) return;
    enter(p, name);
    if (!json_is_object(inner)) complain(p, arena_printf(p->arena, "\"%s\" is an object", name));
    json_object_foreach(inner, key, value) {
        enter(p, key);
        each(p, key, value, context);
        leave(p);
    }
    leave(p);
}

static bool axes_equal(const struct mesh *m, json_t *axes) {
    if (!json_is_array(axes) || json_array_size(axes) != (size_t)m->axes_count) return false;
    for (int i = 0; i < m->axes_count; i++) {
        json_t *axis = json_array_get(axes, (size_t)i), *size = json_array_get(axis, 1);
        const char *name = json_string_value(json_array_get(axis, 0));
        if (!name || strcmp(name, m->axes[i].name) || json_integer_value(size) != m->axes[i].size)
            return false;
    }
    return true;
}

static void read_mesh(struct plan *p, const char *key, json_t *value, void *context) {
    const struct mesh *m = mesh_find(p->g, key);
    (void)context;
    if (!m)
        complain(p, mesh_unknown(p->arena, p->g, key));
    else if (!axes_equal(m, json_object_get(value, "axes")))
        complain(p, arena_printf(
                        p->arena, "mesh %s is another one in the model: it has %d ax%ss and %lld ranks there",
                        key, m->axes_count, m->axes_count == 1 ? "i" : "e", (long long)mesh_ranks(m)));
}

static void read_global(struct plan *p, const char *key, json_t *value, void *context) {
    const char **names = arena_new_array(p->arena, const char *, (size_t)p->g->globals_count + 1);
    int count = 0;
    (void)context;
    for (struct global *global = p->g->globals; global; global = global->next) {
        names[count++] = global->name;
        if (strcmp(global->name, key)) continue;
        read_entry(p, value, &global->type, key, &global->sharding);
        return;
    }
    unknown(p, "param or state", key, names, count);
}

static void read_argument(struct plan *p, const char *key, json_t *value, void *context) {
    const struct block *b = ((struct function *)context)->body;
    const char **names = arena_new_array(p->arena, const char *, (size_t)b->args_count + 1);
    for (int i = 0; i < b->args_count; i++) {
        names[i] = b->args[i]->name;
        if (strcmp(names[i], key)) continue;
        read_entry(p, value, &b->args[i]->type, "an argument", &b->args[i]->sharding);
        return;
    }
    unknown(p, "argument", key, names, b->args_count);
}

static void read_results(struct plan *p, json_t *list, struct function *f) {
    size_t count = (size_t)f->body->results_count;
    if (!list) return;
    enter(p, "results");
    if (!json_is_array(list) || json_array_size(list) != count)
        complain(p, arena_printf(p->arena, "%s has %zu results", f->name, count));
    else if (!f->result_shardings)
        f->result_shardings = arena_new_array(p->g->arena, const struct sharding *, count + 1);
    for (size_t i = 0; i < count && json_array_size(list) == count; i++) {
        json_t *entry = json_array_get(list, i);
        if (!json_is_null(entry))
            read_entry(p, entry, &f->body->results[i]->type, "a result", &f->result_shardings[i]);
    }
    leave(p);
}

static void read_value(struct plan *p, const char *key, json_t *value, void *context) {
    const struct table *values = context;
    struct value *v = table_find(values, key);
    if (v) {
        read_entry(p, value, &v->type, NULL, &v->sharding);
        if (v->def->op == OP_scan)
            v->def->body->args[v->index + 1]->sharding = v->sharding; /* what it carries */
        return;
    }
    const char **names = arena_new_array(p->arena, const char *, (size_t)values->count + 1);
    for (int i = 0; i < values->count; i++) names[i] = values->entries[i].name;
    unknown(p, "value", key, names, values->count);
}

/* Values of a function by name. */
static void list_values(struct plan *p, struct function *f, struct table *values) {
    struct names *names = names_new(p->arena, p->g, f->body);
    for (struct node *n = NULL; (n = node_walk(f->body, n));)
        for (int i = 0; i < n->results_count && sharding_json_has(names, n); i++)
            table_set(p->arena, values, names_value(names, n->results[i]), n->results[i]);
}

/* Versions for fixed extents are made later, or stand in a dump that says where everything is. */
static void read_function(struct plan *p, const char *key, json_t *value, void *context) {
    int found = 0, count = 0;
    (void)context;
    for (struct function *f = p->g->functions; f; f = f->next, count++) {
        struct table values = {0};
        if (f->fixed || strcmp(f->name, key)) continue;
        found++;
        list_values(p, f, &values);
        members(p, value, "arguments", f, read_argument);
        read_results(p, json_object_get(value, "results"), f);
        members(p, value, "values", &values, read_value);
    }
    if (found) return;
    const char **names = arena_new_array(p->arena, const char *, (size_t)count + 1);
    count = 0;
    for (struct function *f = p->g->functions; f; f = f->next) names[count++] = f->name;
    unknown(p, "function", key, names, count);
}

bool sharding_json_read(struct graph *g, const char *path, const char *text, size_t length) {
    struct plan p = {.g = g, .arena = g->arena, .text = text, .end = text + length};
    json_error_t error;
    json_t *plan = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    p.source = diag_source(g->diag, path, text, length);
    if (!plan) {
        diag_error(
            g->diag,
            (struct loc){p.source, error.line < 1 ? 1 : error.line, error.column < 1 ? 1 : error.column},
            "%s", error.text);
        return false;
    }
    if (!json_is_object(plan)) complain(&p, "a plan is an object with \"globals\" and \"functions\"");
    members(&p, plan, "meshes", NULL, read_mesh);
    if (!p.errors) members(&p, plan, "globals", NULL, read_global);
    members(&p, plan, "functions", NULL, read_function);
    json_decref(plan);
    return !p.errors;
}
