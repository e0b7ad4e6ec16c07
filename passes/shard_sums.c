/* Partial sums are added to each other before they meet what is whole, so that they are reduced once.
 *
 *     t = x + p      p, q partial over tensor        t = p + q
 *     y = t + q                                =>    y = x + t          one all-reduce, not two
 *
 * as in PaLM's parallel block (arXiv 2204.02311, section 2). It changes roundings, as every distribution of a
 * sum does. */
#include "passes/shard.h"

struct sums {
    struct sharder *s;
    uint32_t *partial; /* [values] axes over which a value will be a partial sum */
    int *uses;
};

/* As shard_execute will find it: operands that agree cut a reduction. */
static uint32_t made_partial(struct sums *u, const struct node *n) {
    const struct factors *f = shard_factors(u->s, n);
    struct cut cut = {0};
    if (!f || f->combine != COMBINE_SUM || op_info(n->op)->family == FAMILY_gather) return 0;
    for (int i = 0; i < n->operands_count; i++)
        if (n->operands[i])
            factors_project(f, &f->map->operands[i], shard_slot(u->s, value_now(n->operands[i])), &cut);
    return factors_reduced(f, &cut);
}

static uint32_t of(const struct sums *u, const struct value *v) {
    return u->partial[value_now((struct value *)v)->id];
}

static uint32_t passed_on(struct sums *u, const struct node *n) {
    if (node_adds(n)) return of(u, n->operands[0]) == of(u, n->operands[1]) ? of(u, n->operands[0]) : 0;
    if (n->operands_count == 1 && node_is_linear(n, 0)) return of(u, n->operands[0]);
    return 0;
}

/* The operand of `add` that is a sum of something whole and a partial sum over `axes`, used here only; or -1.
 */
static int inner_sum(const struct sums *u, const struct node *add, uint32_t axes) {
    for (int i = 0; i < 2; i++) {
        const struct node *inner = value_now(add->operands[i])->def;
        if (!inner || inner->op != OP_add || inner->parent != add->parent || inner->on != add->on) continue;
        const struct value *t = inner->results[0];
        if (u->uses[t->id] != 1 || u->s->asked[t->id] || !shape_equal(&t->type, &add->results[0]->type))
            continue;
        if (!shape_equal(&inner->operands[0]->type, &inner->operands[1]->type)) continue;
        uint32_t a = of(u, inner->operands[0]), b = of(u, inner->operands[1]);
        if ((a == axes && !b) || (b == axes && !a)) return i;
    }
    return -1;
}

static void regroup(struct sums *u, struct node *add) {
    for (int q = 0; q < 2; q++) {
        uint32_t axes = of(u, add->operands[q]);
        if (!axes || of(u, add->operands[1 - q])) continue;
        int i = inner_sum(u, add, axes);
        if (i != 1 - q || !shape_equal(&add->operands[q]->type, &add->results[0]->type)) continue;
        struct node *inner = value_now(add->operands[i])->def;
        int p = of(u, inner->operands[0]) == axes ? 0 : 1;
        struct value *whole = value_now(inner->operands[1 - p]), *first = value_now(inner->operands[p]);
        inner->operands[0] = first;
        inner->operands[1] = value_now(add->operands[q]);
        add->operands[0] = whole;
        add->operands[1] = inner->results[0];
        node_remove(inner);
        node_insert_before(inner, add);
        u->partial[inner->results[0]->id] = axes;
        pass_explain(u->s->g, add->loc, "two partial sums are added first, and reduced once");
        return;
    }
}

void shard_regroup_sums(struct sharder *s) {
    struct sums u = {s, arena_new_array(s->a, uint32_t, (size_t)s->g->values + 1), graph_uses(s->g, s->a)};
    for (struct function *f = s->g->functions; f; f = f->next)
        for (struct node *n = node_walk(f->body, NULL), *next; n; n = next) {
            next = node_walk(f->body, n);
            if (n->results_count != 1 || n->op == OP_scan) continue;
            if (n->op == OP_add) regroup(&u, n);
            u.partial[n->results[0]->id] = made_partial(&u, n) | passed_on(&u, n);
        }
}
