/* Building and changing graphs. */
#include "ir/graph.h"
#include <string.h>

struct graph *graph_new(struct arena *a, struct diag *d) {
    struct graph *g = arena_new_object(a, struct graph);
    g->arena = a;
    g->diag = d;
    g->extents = extents_new(a);
    op_info((enum op)0); /* makes the op table while there is one thread */
    return g;
}

struct dim *graph_dim(struct graph *g, const char *name, int64_t min, int64_t max, struct loc loc) {
    struct dim *d = arena_new_object(g->arena, struct dim);
    *d = (struct dim){.name = arena_strdup(g->arena, name),
                      .min = min,
                      .max = max,
                      .unit = 1,
                      .loc = loc,
                      .id = g->dims_count};
    arena_push(g->arena, g->dims, g->dims_count, g->dims_capacity, d);
    return d;
}

struct mesh *graph_mesh(struct graph *g, const char *name, struct loc loc) {
    struct mesh *made = arena_new_object(g->arena, struct mesh), **end = &g->meshes;
    *made = (struct mesh){.name = arena_strdup(g->arena, name), .loc = loc};
    for (; *end; end = &(*end)->next) made->id++;
    return *end = made;
}

void graph_mesh_axis(struct graph *g, struct mesh *m, const char *name, int64_t size) {
    struct mesh_axis *axis = &m->axes[m->axes_count++];
    struct dim *coordinate =
        graph_dim(g, arena_printf(g->arena, "%s.%s", m->name, name), 0, size - 1, m->loc);
    coordinate->axis = axis;
    *axis = (struct mesh_axis){arena_strdup(g->arena, name), size, coordinate};
}

struct global *graph_global(struct graph *g, enum global_kind kind, const char *name, struct loc loc) {
    struct global *made = arena_new_object(g->arena, struct global), **end = &g->globals;
    *made = (struct global){
        .kind = kind, .name = arena_strdup(g->arena, name), .loc = loc, .id = g->globals_count++};
    while (*end) end = &(*end)->next;
    return *end = made;
}

struct function *graph_function(struct graph *g, const char *name, struct loc loc) {
    struct function *made = arena_new_object(g->arena, struct function), **end = &g->functions;
    *made = (struct function){.name = arena_strdup(g->arena, name), .loc = loc, .body = block_new(g, NULL)};
    while (*end) end = &(*end)->next;
    return *end = made;
}

bool function_has_dim(const struct function *f, const struct dim *d) {
    for (int i = 0; i < f->dims_count; i++)
        if (f->dims[i] == d) return true;
    return false;
}

void function_add_coordinate(struct graph *g, struct function *f, const struct dim *coordinate) {
    if (function_has_dim(f, coordinate)) return;
    const struct dim **longer = arena_new_array(g->arena, const struct dim *, (size_t)f->dims_count + 1);
    int at = 0;
    while (at < f->dims_count && (!f->dims[at]->axis || f->dims[at]->id < coordinate->id)) at++;
    if (at) memcpy(longer, f->dims, (size_t)at * sizeof *longer);
    longer[at] = coordinate;
    if (at < f->dims_count)
        memcpy(longer + at + 1, f->dims + at, (size_t)(f->dims_count - at) * sizeof *longer);
    f->dims = longer;
    f->dims_count++;
}

const char *graph_option(const struct graph *g, const char *name) {
    const char *value = NULL;
    for (const struct option *o = g->options; o; o = o->next)
        if (!strcmp(o->name, name)) value = o->value;
    return value;
}

int64_t global_elements(const struct global *global) {
    int64_t elements = 1;
    for (int i = 0; i < global->counts_rank; i++) elements *= global->counts[i];
    return elements;
}

const char *global_element_name(struct arena *a, const struct global *global, int64_t i) {
    if (!global->counts_rank) return global->name;
    if (global->counts_rank == 1) return arena_printf(a, "%s[%lld]", global->name, (long long)i);
    return arena_printf(a, "%s[%lld][%lld]", global->name, (long long)(i / global->counts[1]),
                        (long long)(i % global->counts[1]));
}

struct block *block_new(struct graph *g, struct node *owner) {
    struct block *b = arena_new_object(g->arena, struct block);
    b->owner = owner;
    return b;
}

static struct value *value_new(struct graph *g, const struct type *type, int index, struct loc loc) {
    struct value *v = arena_new_object(g->arena, struct value);
    *v = (struct value){.id = g->values++, .type = *type, .index = index, .loc = loc};
    return v;
}

/* `list` with one more value; lists are short, so each growth is a copy. */
static struct value **with(struct graph *g, struct value **list, int count, struct value *v) {
    struct value **longer = arena_new_array(g->arena, struct value *, count + 1);
    if (count) memcpy(longer, list, (size_t)count * sizeof *list);
    longer[count] = v;
    return longer;
}

struct value *block_argument(struct graph *g, struct block *b, const struct type *type, const char *name,
                             struct loc loc) {
    struct value *v = value_new(g, type, b->args_count, loc);
    v->name = name;
    b->args = with(g, b->args, b->args_count++, v);
    return v;
}

struct value **value_list_with(struct graph *g, struct value **list, int count, struct value *v) {
    struct value **longer = arena_new_array(g->arena, struct value *, (size_t)count + 1);
    if (count) memcpy(longer, list, (size_t)count * sizeof *list);
    longer[count] = v;
    return longer;
}

void block_append(struct block *b, struct node *n) {
    n->parent = b;
    n->prev = b->last;
    n->next = NULL;
    *(b->last ? &b->last->next : &b->first) = n;
    b->last = n;
}

void node_insert_before(struct node *n, struct node *before) {
    n->parent = before->parent;
    n->prev = before->prev;
    n->next = before;
    *(before->prev ? &before->prev->next : &before->parent->first) = n;
    before->prev = n;
}

void node_remove(struct node *n) {
    *(n->prev ? &n->prev->next : &n->parent->first) = n->next;
    *(n->next ? &n->next->prev : &n->parent->last) = n->prev;
    n->prev = n->next = NULL;
    n->parent = NULL;
}

struct node *node_new(struct graph *g, enum op op, int operands, struct value *const *given, struct loc loc) {
    struct node *n = arena_new_object(g->arena, struct node);
    *n = (struct node){.id = g->nodes++, .op = op, .loc = loc, .operands_count = operands};
    n->operands = arena_new_array(g->arena, struct value *, operands);
    if (operands && given) memcpy(n->operands, given, (size_t)operands * sizeof *given);
    n->attrs = arena_new_array(g->arena, struct attr, op_info(op)->attrs_count);
    return n;
}

struct value *node_add_result(struct graph *g, struct node *n, const struct type *type) {
    struct value *v = value_new(g, type, n->results_count, n->loc);
    v->def = n;
    n->results = with(g, n->results, n->results_count++, v);
    return v;
}

struct attr *node_attr(const struct node *n, const char *name) {
    return &n->attrs[op_attr(n->op, name)];
}

void value_replace(struct value *old, struct value *new) {
    new = value_now(new);
    if (value_now(old) == new) return;
    if (!new->sharding) new->sharding = value_now(old)->sharding;
    value_now(old)->replaced = new;
}

struct value *value_now(struct value *v) {
    while (v && v->replaced) v = v->replaced;
    return v;
}

static void settle_list(struct value **list, int count) {
    for (int i = 0; i < count; i++) list[i] = value_now(list[i]);
}

void graph_settle(struct graph *g) {
    for (struct function *f = g->functions; f; f = f->next) {
        settle_list(f->body->results, f->body->results_count);
        for (struct node *n = NULL; (n = node_walk(f->body, n));) {
            settle_list(n->operands, n->operands_count);
            if (n->body) settle_list(n->body->results, n->body->results_count);
        }
    }
}

/* The node after `n` and all inside it: its neighbour, or its owner's, up to `root`. */
static struct node *after(struct block *root, struct node *n) {
    while (!n->next) {
        if (n->parent == root) return NULL;
        n = n->parent->owner;
    }
    return n->next;
}

struct node *node_walk(struct block *root, struct node *n) {
    if (!n) return root->first;
    if (n->body && n->body->first) return n->body->first;
    return after(root, n);
}

static void count_list(int *uses, struct value *const *list, int count) {
    for (int i = 0; i < count; i++)
        if (list[i]) uses[list[i]->id]++;
}

int *graph_uses(struct graph *g, struct arena *scratch) {
    int *uses = arena_new_array(scratch, int, g->values);
    for (struct function *f = g->functions; f; f = f->next) {
        count_list(uses, f->body->results, f->body->results_count);
        for (struct node *n = NULL; (n = node_walk(f->body, n));) {
            count_list(uses, n->operands, n->operands_count);
            if (n->body) count_list(uses, n->body->results, n->body->results_count);
        }
    }
    return uses;
}

static bool is_effect(enum op op) {
    return op == OP_assign || op == OP_guard || op == OP_send || op == OP_receive;
}

bool node_has_effect(const struct node *n) {
    if (is_effect(n->op)) return true;
    for (struct node *inner = NULL; n->body && (inner = node_walk(n->body, inner));)
        if (is_effect(inner->op)) return true;
    return false;
}

struct value *node_put_behind(struct graph *g, struct node *n, int result, struct node *behind) {
    struct value *v = n->results[result], *made = node_add_result(g, behind, &v->type);
    made->name = v->name;
    made->sharding = v->sharding;
    made->def = n;
    made->index = result;
    n->results[result] = made;
    behind->results[0] = v;
    behind->on = n->on;
    v->def = behind;
    v->index = 0;
    if (n->next)
        node_insert_before(behind, n->next);
    else
        block_append(n->parent, behind);
    return made;
}
