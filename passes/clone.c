/* Copies of nodes with other values for operands and, where wanted, numbers for dims. */
#include "passes/build.h"
#include <string.h>

struct clone_map clone_map_new(const struct graph *g, struct arena *scratch) {
    struct clone_map map = {arena_new_array(scratch, struct value *, (size_t)g->values), g->values, NULL};
    return map;
}

struct value *clone_value(const struct clone_map *map, struct value *v) {
    v = value_now(v);
    return v && v->id < map->count && map->values[v->id] ? map->values[v->id] : v;
}

void type_replace_dims(struct graph *g, struct type *t, const struct extent *const *by) {
    for (int i = 0; by && i < t->rank; i++) t->extents[i] = extent_replace(g->extents, t->extents[i], by);
}

static void attr_replace_dims(struct graph *g, struct attr *a, const struct extent *const *by) {
    if (a->e) a->e = extent_replace(g->extents, a->e, by);
    if (!a->extents) return;
    const struct extent **list = arena_new_array(g->arena, const struct extent *, (size_t)a->count);
    for (int i = 0; i < a->count; i++)
        list[i] = a->extents[i] ? extent_replace(g->extents, a->extents[i], by) : NULL;
    a->extents = list;
}

void node_replace_dims(struct graph *g, struct node *n, const struct extent *const *by) {
    for (int i = 0; by && i < op_info(n->op)->attrs_count; i++) attr_replace_dims(g, &n->attrs[i], by);
    if (by && n->count) n->count = extent_replace(g->extents, n->count, by);
    for (int i = 0; i < n->results_count; i++) type_replace_dims(g, &n->results[i]->type, by);
}

static void enter(struct clone_map *map, const struct value *from, struct value *to) {
    to->name = from->name;
    to->layout = from->layout;
    to->sharding = from->sharding;
    to->place = from->place;
    to->loc = from->loc;
    if (from->id < map->count) map->values[from->id] = to;
}

static struct value **clone_list(struct graph *g, struct clone_map *map, struct value *const *list,
                                 int count) {
    struct value **copy = arena_new_array(g->arena, struct value *, (size_t)count);
    for (int i = 0; i < count; i++) copy[i] = clone_value(map, list[i]);
    return copy;
}

static struct block *clone_block(struct graph *g, const struct block *b, struct node *owner,
                                 struct clone_map *map) {
    struct block *copy = block_new(g, owner);
    for (int i = 0; i < b->args_count; i++) {
        struct type type = b->args[i]->type;
        type_replace_dims(g, &type, map->dims);
        enter(map, b->args[i], block_argument(g, copy, &type, NULL, b->args[i]->loc));
    }
    for (struct node *n = b->first; n; n = n->next) block_append(copy, node_clone(g, n, map));
    copy->results = clone_list(g, map, b->results, b->results_count);
    copy->results_count = b->results_count;
    return copy;
}

struct node *node_clone(struct graph *g, const struct node *n, struct clone_map *map) {
    struct node *copy = node_new(g, n->op, n->operands_count, NULL, n->loc);
    int attrs = op_info(n->op)->attrs_count;
    for (int i = 0; i < n->operands_count; i++) copy->operands[i] = clone_value(map, n->operands[i]);
    for (int i = 0; i < attrs; i++) copy->attrs[i] = n->attrs[i];
    copy->global = n->global;
    copy->element = n->element;
    copy->constant = n->constant;
    copy->name = n->name;
    copy->schedule = n->schedule;
    copy->count = n->count;
    copy->on = n->on;
    for (int i = 0; i < n->results_count; i++)
        enter(map, n->results[i], node_add_result(g, copy, &n->results[i]->type));
    node_replace_dims(g, copy, map->dims);
    if (n->body) copy->body = clone_block(g, n->body, copy, map);
    return copy;
}
