/* Groups become kernel nodes, with a body of their own, in an order that keeps uses behind definitions and
 * effects in place. */
#include "passes/fuse.h"
#include <stdlib.h>
#include <string.h>

struct kernel_builder {
    struct fuser *f;
    int group;
    struct value **operands;
    int operands_count, operands_capacity;
    struct node **constants; /* copied into the body */
    int constants_count, constants_capacity;
};

static bool is_scalar_constant(const struct value *v) {
    if (!value_is_constant(v)) return false;
    for (int i = 0; i < v->def->constant->rank; i++)
        if (v->def->constant->extents[i] != 1) return false;
    return true;
}

static bool is_inside(const struct kernel_builder *k, const struct value *v) {
    int item = v->def ? k->f->item_of[v->def->id] : -1;
    return item >= 0 && group_contains(k->f, k->group, item);
}

static void take_operand(struct kernel_builder *k, struct value *v) {
    struct arena *a = k->f->scratch;
    if (!v || is_inside(k, v)) return;
    if (is_scalar_constant(v)) {
        for (int i = 0; i < k->constants_count; i++)
            if (k->constants[i] == v->def) return;
        arena_push(a, k->constants, k->constants_count, k->constants_capacity, v->def);
        return;
    }
    for (int i = 0; i < k->operands_count; i++)
        if (k->operands[i] == v) return;
    arena_push(a, k->operands, k->operands_count, k->operands_capacity, v);
}

/* Values the group puts in memory: results of home items that somebody outside uses. */
static bool value_used_outside(const struct kernel_builder *k, const struct value *v, int item) {
    const struct fuser *f = k->f;
    const struct item *it = &f->items[item];
    for (int i = 0; i < f->block->results_count; i++)
        if (f->block->results[i] == v) return true;
    for (int u = 0; u < it->users.count; u++) {
        const struct item *user = &f->items[it->users.to[u]];
        bool outside = user->role == ROLE_STRUCTURE, uses = user->node->body != NULL;
        for (int g = 0; g < user->groups.count; g++) outside |= !group_contains(f, user->groups.to[g], item);
        for (int i = 0; i < user->node->operands_count; i++) uses |= user->node->operands[i] == v;
        if (outside && uses) return true;
    }
    return false;
}

/* `v` becomes a result of the kernel; whoever used it is rewired when all kernels are made. */
static void add_result(struct kernel_builder *k, struct node *kernel, struct value *v) {
    struct graph *g = k->f->g;
    struct value *inner = clone_value(&k->f->map, v), *outer = node_add_result(g, kernel, &v->type);
    struct block *body = kernel->body;
    outer->name = v->name;
    outer->loc = v->loc;
    body->results = value_list_with(g, body->results, body->results_count++, inner);
    arena_push(k->f->scratch, k->f->pairs, k->f->pairs_count, k->f->pairs_capacity,
               ((struct value_pair){v, outer}));
}

static struct node *build_body(struct kernel_builder *k) {
    struct fuser *f = k->f;
    const struct group *group = &f->groups[k->group];
    struct node *kernel = node_new(f->g, OP_kernel, k->operands_count, k->operands, (struct loc){0});
    kernel->body = block_new(f->g, kernel);
    for (int i = 0; i < k->operands_count; i++) {
        struct value *v = k->operands[i];
        f->map.values[v->id] = block_argument(f->g, kernel->body, &v->type, v->name, v->loc);
    }
    for (int i = 0; i < k->constants_count; i++)
        block_append(kernel->body, node_clone(f->g, k->constants[i], &f->map));
    for (int i = 0; i < group->count; i++)
        block_append(kernel->body, node_clone(f->g, f->items[group->members[i]].node, &f->map));
    return kernel;
}

/* How much a node tells what its kernel is about. */
static int weight(const struct item *it) {
    return it->role == ROLE_WRITE || it->role == ROLE_QUANTIZE ? ROLE_POINTWISE : it->role;
}

/* The node whose place in the text stands for the kernel: what costs most, the last such. */
static const struct node *leader(const struct fuser *f, const struct group *group) {
    const struct item *best = &f->items[group->members[group->count - 1]];
    for (int i = group->count - 1; i >= 0; i--)
        if (weight(&f->items[group->members[i]]) > weight(best)) best = &f->items[group->members[i]];
    return best->node;
}

/* The clone map is shared by all kernels: what one entered is taken out again. */
static void forget(struct kernel_builder *k) {
    struct fuser *f = k->f;
    const struct group *group = &f->groups[k->group];
    for (int i = 0; i < k->operands_count; i++) f->map.values[k->operands[i]->id] = NULL;
    for (int i = 0; i < k->constants_count; i++) f->map.values[k->constants[i]->results[0]->id] = NULL;
    for (int i = 0; i < group->count; i++) {
        const struct node *n = f->items[group->members[i]].node;
        for (int r = 0; r < n->results_count; r++) f->map.values[n->results[r]->id] = NULL;
    }
}

static struct node *build_kernel(struct fuser *f, int number) {
    struct kernel_builder k = {.f = f, .group = number};
    const struct group *group = &f->groups[number];
    for (int i = 0; i < group->count; i++) {
        const struct node *n = f->items[group->members[i]].node;
        for (int o = 0; o < n->operands_count; o++) take_operand(&k, n->operands[o]);
    }
    struct node *kernel = build_body(&k);
    for (int i = 0; i < group->count; i++) {
        const struct item *it = &f->items[group->members[i]];
        for (int r = 0; it->home == number && r < it->node->results_count; r++)
            if (value_used_outside(&k, it->node->results[r], group->members[i]))
                add_result(&k, kernel, it->node->results[r]);
    }
    kernel->loc = leader(f, group)->loc;
    struct schedule *s = arena_new_object(f->g->arena, struct schedule);
    s->domain = group->domain;
    kernel->schedule = s;
    kernel->name = arena_printf(f->g->arena, "k%d", (*f->kernels)++);
    forget(&k);
    return kernel;
}

/* ---- Order ---- */

struct orderer {
    struct fuser *f;
    int *waiting; /* [groups] groups that must run before and have not */
    int *key;     /* [groups] a group runs as soon as it may, lowest key first: where its last member stood */
    int *order, count;
};

static bool wait_more(struct fuser *f, int next, void *waiting) {
    return (void)f, ((int *)waiting)[next]++, false;
}
static bool wait_less(struct fuser *f, int next, void *waiting) {
    return (void)f, ((int *)waiting)[next]--, false;
}

/* A group is done by taking the ready one with the lowest key, again and again. Ready groups are few, but
 * looking for them is not: `first` skips what is done. */
static void put_in_order(struct orderer *o) {
    struct fuser *f = o->f;
    int *by_key = arena_new_array(f->scratch, int, (size_t)f->count), total = 0, first = 0;
    for (int i = 0; i < f->count; i++) by_key[i] = -1;
    for (int g = 0; g < f->groups_count; g++)
        if (f->groups[g].alive) by_key[o->key[g]] = g, total++;
    while (o->count < total) {
        while (first < f->count && by_key[first] < 0) first++;
        int at = first;
        while (at < f->count && (by_key[at] < 0 || o->waiting[by_key[at]])) at++;
        if (at >= f->count) ice("groups of nodes depend on each other in a circle");
        o->order[o->count++] = by_key[at];
        group_successors(f, by_key[at], wait_less, o->waiting);
        by_key[at] = -1;
    }
}

static int last_member(const struct group *g) { return g->members[g->count - 1]; }

static struct orderer orderer_new(struct fuser *f) {
    struct orderer o = {.f = f};
    o.waiting = arena_new_array(f->scratch, int, (size_t)f->groups_count);
    o.key = arena_new_array(f->scratch, int, (size_t)f->groups_count);
    o.order = arena_new_array(f->scratch, int, (size_t)f->groups_count);
    for (int g = 0; g < f->groups_count; g++) {
        if (!f->groups[g].alive) continue;
        o.key[g] = last_member(&f->groups[g]);
        group_successors(f, g, wait_more, o.waiting);
    }
    return o;
}

static void append_group(struct fuser *f, int group) {
    const struct item *first = &f->items[f->groups[group].members[0]];
    struct node *n = first->role == ROLE_STRUCTURE ? first->node : build_kernel(f, group);
    if (n->op != OP_kernel || n->results_count) block_append(f->block, n);
}

void fuser_build(struct fuser *f) {
    struct orderer o = orderer_new(f);
    put_in_order(&o);
    f->map = clone_map_new(f->g, f->scratch);
    f->block->first = f->block->last = NULL;
    for (int i = 0; i < o.count; i++) append_group(f, o.order[i]);
    for (int i = 0; i < f->pairs_count; i++) value_replace(f->pairs[i].old, f->pairs[i].new);
}
