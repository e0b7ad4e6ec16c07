/* One node for equal computations.
 *
 *     a : f32[4] = exp(x)
 *     b : f32[4] = exp(x)         becomes     a : f32[4] = exp(x)
 *     c : f32[4] = a + b                      c : f32[4] = a + a
 *
 * Two nodes are equal if op, operands, attributes, types and places are. A node serves the block it stands in
 * and those inside. Reads of a state are equal while nothing assigns it in between; a read after an
 * assignment of the same element in the same block is the value assigned. */
#include "passes/build.h"
#include "passes/passes.h"
#include <stdint.h>
#include <string.h>

struct entry { /* an available node */
    struct node *node;
    int next;  /* entry in the same bucket, or -1 */
    int epoch; /* of its state, for reads of one */
};
struct table {
    struct graph *g;
    struct arena *scratch;
    int *buckets; /* [size] */
    uint32_t size;
    struct entry *entries;
    int count, capacity;
    int floor;         /* entries from here on are visible: a kernel's body sees nothing outside */
    int *epochs;       /* [globals] assignments seen */
    struct node **set; /* [globals] the last assignment, if a read now would see it */
    bool changed;
};

static uint32_t mix(uint32_t h, uint64_t x) { return (h ^ (uint32_t)(x ^ x >> 32)) * 2654435761u; }

static uint32_t hash(const struct node *n) {
    uint32_t h = mix(17, (uint64_t)n->op);
    for (int i = 0; i < n->operands_count; i++)
        h = mix(h, n->operands[i] ? (uint64_t)n->operands[i]->id + 1 : 0);
    if (n->global) h = mix(mix(h, (uint64_t)n->global->id), (uint64_t)n->element);
    if (n->results_count) h = mix(h, (uint64_t)n->results[0]->type.dtype);
    return h ^ h >> 15;
}

static size_t tensor_bytes(const struct tensor *t) {
    size_t bytes = (size_t)dtype_bytes(t->dtype);
    for (int i = 0; i < t->rank; i++) bytes *= (size_t)t->extents[i];
    return bytes;
}

static bool constants_equal(const struct tensor *a, const struct tensor *b) {
    if (a == b || !a || !b) return a == b;
    return a->dtype == b->dtype && a->rank == b->rank &&
           !memcmp(a->extents, b->extents, (size_t)a->rank * sizeof *a->extents) &&
           !memcmp(a->data, b->data, tensor_bytes(a));
}

static bool equal(const struct node *a, const struct node *b) {
    const struct op_info *info = op_info(a->op);
    if (a->op != b->op || a->operands_count != b->operands_count || a->results_count != b->results_count)
        return false;
    if (a->global != b->global || a->element != b->element || !constants_equal(a->constant, b->constant))
        return false;
    for (int i = 0; i < a->operands_count; i++)
        if (a->operands[i] != b->operands[i]) return false;
    for (int i = 0; i < info->attrs_count; i++)
        if (!attr_equal(info->attrs[i].kind, &a->attrs[i], &b->attrs[i])) return false;
    for (int i = 0; i < a->results_count; i++)
        if (!type_equal(&a->results[i]->type, &b->results[i]->type)) return false;
    return true;
}

/* Values that live in different places are different values; one that nothing is said about follows its
 * users. */
static bool lives_alike(const struct node *a, const struct node *b) {
    if (!placement_equal(a->on, b->on)) return false;
    for (int i = 0; i < a->results_count; i++) {
        const struct sharding *s = a->results[i]->sharding, *t = b->results[i]->sharding;
        if (!s != !t || !sharding_equal(s, t)) return false;
    }
    return true;
}

/* Random values belong to their place; kernels and scans are left as they are. */
static bool eligible(const struct node *n) {
    return n->results_count && !n->body && !node_has_effect(n) && op_info(n->op)->family != FAMILY_random;
}

static int epoch_of(const struct table *t, const struct node *n) {
    return n->global ? t->epochs[n->global->id] : 0;
}

static struct node *lookup(const struct table *t, const struct node *n, uint32_t bucket) {
    for (int e = t->buckets[bucket]; e >= t->floor; e = t->entries[e].next)
        if (equal(t->entries[e].node, n) && lives_alike(t->entries[e].node, n) &&
            t->entries[e].epoch == epoch_of(t, n))
            return t->entries[e].node;
    return NULL;
}

static void replace(struct table *t, struct node *n, struct value *const *by) {
    for (int i = 0; i < n->results_count; i++) value_replace(n->results[i], by[i]);
    node_remove(n);
    t->changed = true;
}

/* The assignment whose value a read of a state gives, if it is known to. */
static struct node *assignment_before(const struct table *t, const struct node *read) {
    struct node *set = read->op == OP_param ? t->set[read->global->id] : NULL;
    bool same = set && set->parent == read->parent && set->element == read->element &&
                (set->operands_count > 1 ? set->operands[1] : NULL) ==
                    (read->operands_count ? read->operands[0] : NULL);
    return same ? set : NULL;
}

static void note_assignment(struct table *t, struct node *n) {
    t->epochs[n->global->id]++;
    t->set[n->global->id] = n;
}

static void visit(struct table *t, struct node *n) {
    for (int i = 0; i < n->operands_count; i++) n->operands[i] = value_now(n->operands[i]);
    if (n->op == OP_assign) note_assignment(t, n);
    struct node *set = assignment_before(t, n);
    if (set) {
        replace(t, n, set->operands);
        return;
    }
    if (!eligible(n)) return;
    uint32_t bucket = hash(n) % t->size;
    struct node *same = lookup(t, n, bucket);
    if (same) {
        replace(t, n, same->results);
        return;
    }
    struct entry e = {n, t->buckets[bucket], epoch_of(t, n)};
    t->buckets[bucket] = t->count;
    arena_push(t->scratch, t->entries, t->count, t->capacity, e);
}

static void visit_block(struct table *t, struct block *b);

/* What the loop assigns is not known when its body starts, as a round follows others, nor behind it. */
static void forget_assigned(struct table *t, const struct node *scan) {
    for (struct node *inner = NULL; (inner = node_walk(scan->body, inner));)
        if (inner->op == OP_assign) {
            t->epochs[inner->global->id]++;
            t->set[inner->global->id] = NULL;
        }
}

static void visit_inner(struct table *t, struct node *n) {
    int floor = t->floor;
    forget_assigned(t, n);
    if (n->op == OP_kernel) t->floor = t->count;
    visit_block(t, n->body);
    t->floor = floor;
    forget_assigned(t, n);
}

static void visit_block(struct table *t, struct block *b) {
    int before = t->count;
    for (struct node *n = b->first, *next; n; n = next) {
        next = n->next;
        visit(t, n);
        if (n->parent && n->body) visit_inner(t, n);
    }
    while (t->count > before) { /* what the block made available ends with it */
        const struct entry *e = &t->entries[--t->count];
        t->buckets[hash(e->node) % t->size] = e->next;
    }
}

bool pass_cse(struct graph *g) {
    struct arena *scratch = g->pass->scratch;
    struct table t = {.g = g, .scratch = scratch, .size = (uint32_t)(2 * g->nodes + 1)};
    t.buckets = arena_new_array(scratch, int, t.size);
    t.epochs = arena_new_array(scratch, int, (size_t)g->globals_count + 1);
    t.set = arena_new_array(scratch, struct node *, (size_t)g->globals_count + 1);
    for (uint32_t i = 0; i < t.size; i++) t.buckets[i] = -1;
    for (struct function *f = g->functions; f; f = f->next) {
        memset(t.set, 0, (size_t)g->globals_count * sizeof *t.set);
        visit_block(&t, f->body);
    }
    return t.changed;
}
