/* What has to move, once it is known how each node is cut.
 *
 *     y = linear(h, w)     h : @m(_, tensor)     w : @m(_, tensor)
 *
 * cuts the sum: y0 : @m(_, _, tensor partial) is what the node makes, and y : @m(_, _) = reshard(y0) follows.
 * A partial sum stays one for as long as all who read it can do with it. */
#include "passes/shard.h"
#include <string.h>

/* ---- Where values are ---- */

const struct sharding *shard_place(const struct value *v) { return v->sharding; }

static const struct sharding *keep(struct sharder *s, const struct sharding *place) {
    struct sharding *kept = arena_new_object(s->g->arena, struct sharding);
    *kept = *place;
    for (int d = 0; d < kept->rank; d++) {
        kept->dims[d].open = false;
        kept->dims[d].priority = MAX_PRIORITY;
    }
    return kept;
}

static struct sharding without_partial(const struct sharding *place) {
    struct sharding p = *place;
    p.partial = 0;
    return p;
}

/* Where a value that is made as `made` should live once it is no partial sum: as wanted, or as it is. */
struct sharding shard_settled(struct sharder *s, const struct value *v) {
    return v->id < s->values ? without_partial(shard_slot(s, v)) : without_partial(v->sharding);
}

/* ---- Reshards ---- */

static struct node *behind(struct sharder *s, const struct value *v) {
    if (v->def) return v->def->next;
    for (struct node *n = NULL; (n = node_walk(s->f->body, n));) {
        for (int i = 0; n->op == OP_scan && i < n->body->args_count; i++)
            if (n->body->args[i] == v) return n->body->first;
    }
    return s->f->body->first;
}

static struct block *block_of(struct sharder *s, const struct value *v) {
    if (v->def) return v->def->parent;
    for (struct node *n = NULL; (n = node_walk(s->f->body, n));)
        for (int i = 0; n->op == OP_scan && i < n->body->args_count; i++)
            if (n->body->args[i] == v) return n->body;
    return s->f->body;
}

/* A reshard of v that is there already, behind its definition. */
static struct value *find_reshard(const struct node *from, const struct value *v, const struct sharding *to) {
    for (const struct node *n = from; n && n->op == OP_reshard; n = n->next)
        if (n->operands[0] == v && sharding_equal(n->results[0]->sharding, to)) return n->results[0];
    return NULL;
}

static struct value *reshard(struct sharder *s, struct value *v, const struct sharding *to,
                             const struct node *reader) {
    struct node *before = behind(s, v);
    struct value *found = find_reshard(before, v, to);
    if (found) return found;
    struct node *n = node_new(s->g, OP_reshard, 1, &v, reader ? reader->loc : v->loc);
    if (!node_infer(s->g, n)) ice("a reshard does not infer");
    while (before && before->op == OP_reshard) before = before->next;
    if (before)
        node_insert_before(n, before);
    else
        block_append(block_of(s, v), n);
    n->on = v->def ? v->def->on : NULL;
    n->results[0]->sharding = keep(s, to);
    n->results[0]->name = v->name;
    explain_reshard(s, v, n, reader);
    return n->results[0];
}

/* v as `to` wants it. A partial sum is reduced once, to where it is wanted, for all who need it whole. */
static struct value *moved(struct sharder *s, struct value *v, const struct sharding *to,
                           const struct node *reader) {
    if (sharding_equal(shard_place(v), to)) return v;
    if (shard_place(v)->partial & ~to->partial) {
        struct sharding whole = shard_settled(s, v);
        v = reshard(s, v, &whole, reader);
    }
    return sharding_equal(shard_place(v), to) ? v : reshard(s, v, to, reader);
}

/* ---- Partial sums that stay ---- */

static bool reads_linearly(const struct node *n, const struct value *v) {
    for (int i = 0; i < n->operands_count; i++)
        if (value_now(n->operands[i]) == v && !node_is_linear(n, i) && !node_adds(n)) return false;
    return true;
}

/* Whether all readers can do with a partial sum. */
static bool may_stay_partial(struct sharder *s, const struct value *v) {
    for (int i = 0; i < s->f->body->results_count; i++)
        if (value_now(s->f->body->results[i]) == v) return false;
    for (struct node *n = NULL; (n = node_walk(s->f->body, n));) {
        bool reads = false;
        for (int i = 0; i < n->operands_count; i++) reads |= n->operands[i] && value_now(n->operands[i]) == v;
        if (reads && (n->op == OP_scan || !reads_linearly(n, v))) return false;
        for (int i = 0; n->op == OP_scan && i < n->body->results_count; i++)
            if (value_now(n->body->results[i]) == v) return false;
    }
    return true;
}

static double elements(const struct sharder *s, const struct type *t) {
    double count = 1;
    for (int i = 0; i < t->rank; i++) count *= (double)shard_extent(s, t->extents[i]);
    return count;
}

/* The axes over which the node's result is partial because its operands are: all of them, where it adds, or
 * the one that it is linear in. 0: partial operands are reduced first. */
static uint32_t passes_partial(struct sharder *s, const struct node *n) {
    uint32_t axes = 0;
    int partial = 0, at = -1;
    for (int i = 0; i < n->operands_count; i++) {
        const struct value *v = n->operands[i] ? value_now(n->operands[i]) : NULL;
        if (!v || !shard_place(v)->partial) continue;
        if (partial++ && shard_place(v)->partial != axes) return 0;
        axes = shard_place(v)->partial;
        at = i;
    }
    if (!partial || n->results_count != 1) return 0;
    if (node_adds(n) && partial == n->operands_count) return axes;
    if (partial != 1 || !node_is_linear(n, at)) return 0;
    const struct value *v = value_now(n->operands[at]);
    bool grows = elements(s, &n->results[0]->type) > elements(s, &v->type);
    return !grows && may_stay_partial(s, v) ? axes : 0;
}

/* ---- Nodes ---- */

static bool cuts_axes(const struct factors *f, const struct cut *cut, uint32_t axes) {
    for (int i = 0; i < f->map->loops_count; i++)
        for (int k = 0; k < cut->loops[i].count; k++)
            if (axes >> cut->loops[i].axes[k] & 1) return true;
    return false;
}

/* Where the result is made. A maximum over pieces is no state to stay in: it is combined at once, which
 * partitioning does where it sees a cut loop of such a reduction; here it counts as whole. */
static struct sharding target_of(struct sharder *s, const struct value *v) {
    struct sharding to = *shard_slot(s, v);
    return to.partial ? to : shard_settled(s, v);
}

/* The node makes another value, and v is what it becomes by a reshard behind it. */
static void put_reshard_behind(struct sharder *s, struct node *n, int result, const struct sharding *to) {
    struct value *v = n->results[result];
    struct node *r = node_new(s->g, OP_reshard, 1, &v, n->loc);
    r->operands[0] = node_put_behind(s->g, n, result, r);
    v->sharding = keep(s, to);
    explain_reshard(s, r->operands[0], r, NULL);
}

static void place_results(struct sharder *s, struct node *n, const struct factors *f, const struct cut *cut,
                          uint32_t passed) {
    for (int i = 0; i < n->results_count; i++) {
        struct value *v = n->results[i];
        struct sharding made, wanted = target_of(s, v);
        if (!shard_result_place(f, i, cut, &made)) ice("a cut was chosen that cannot be");
        made.partial |= passed;
        v->sharding = keep(s, &made);
        if (made.partial && !wanted.partial && may_stay_partial(s, v)) continue;
        if (!sharding_equal(&made, &wanted)) put_reshard_behind(s, n, i, &wanted);
    }
}

static void execute_node(struct sharder *s, struct node *n) {
    const struct factors *f = shard_factors(s, n);
    if (!f) return;
    uint32_t passed = passes_partial(s, n);
    struct cut cut = shard_choose(s, f);
    if (passed && cuts_axes(f, &cut, passed)) passed = 0;
    for (int i = 0; i < n->operands_count; i++) {
        struct sharding place;
        if (!n->operands[i]) continue;
        struct value *v = value_now(n->operands[i]);
        if (!shard_operand_place(f, i, &cut, &place)) ice("a cut was chosen that cannot be");
        if (passed && shard_place(v)->partial) place.partial = passed;
        n->operands[i] = moved(s, v, &place, n);
    }
    place_results(s, n, f, &cut, passed);
}

/* ---- Structure ---- */

static void settle_list(struct sharder *s, struct value **list, int count, struct value *const *like,
                        const struct node *reader) {
    for (int i = 0; i < count; i++) {
        struct sharding place = shard_settled(s, like[i]);
        list[i] = moved(s, value_now(list[i]), &place, reader);
    }
}

static void execute_block(struct sharder *s, struct block *b);

static void execute_scan(struct sharder *s, struct node *n) {
    struct block *b = n->body;
    struct sharding whole = {.mesh = s->mesh};
    b->args[0]->sharding = keep(s, &whole);
    for (int i = 1; i < b->args_count; i++) {
        struct sharding place = shard_settled(s, b->args[i]);
        b->args[i]->sharding = keep(s, &place);
    }
    settle_list(s, n->operands, n->operands_count, b->args + 1, n);
    execute_block(s, b);
    settle_list(s, b->results, b->results_count, b->args + 1, n);
    for (int i = 0; i < n->results_count; i++) n->results[i]->sharding = b->args[i + 1]->sharding;
}

/* What is made of nothing is made whole, or as its global lives. */
static void execute_source(struct sharder *s, struct node *n) {
    for (int i = 0; i < n->results_count; i++) {
        struct sharding place = n->op == OP_param
                                    ? shard_settled(s, n->results[i])
                                    : (struct sharding){.mesh = s->mesh, .rank = n->results[i]->type.rank};
        n->results[i]->sharding = keep(s, &place);
    }
}

static void execute_assign(struct sharder *s, struct node *n) {
    struct sharding place = without_partial(&s->globals[n->global->id]);
    n->operands[0] = moved(s, value_now(n->operands[0]), &place, n);
}

/* A reshard that a person wrote: from where its operand is to where they want it. */
static void execute_reshard(struct sharder *s, struct node *n) {
    struct sharding to = *shard_slot(s, n->results[0]);
    n->results[0]->sharding = keep(s, &to);
    explain_reshard(s, value_now(n->operands[0]), n, NULL);
}

static void execute_block(struct sharder *s, struct block *b) {
    for (struct node *n = b->first, *next; n; n = next) {
        next = n->next;
        for (int i = 0; i < n->operands_count; i++) n->operands[i] = value_now(n->operands[i]);
        if (n->id >= s->nodes) continue; /* a reshard made here */
        if (n->op == OP_scan)
            execute_scan(s, n);
        else if (n->op == OP_assign)
            execute_assign(s, n);
        else if (n->op == OP_reshard)
            execute_reshard(s, n);
        else if (shard_factors(s, n))
            execute_node(s, n);
        else
            execute_source(s, n);
    }
}

void shard_execute(struct sharder *s, struct function *f) {
    s->f = f;
    for (int i = 0; i < f->body->args_count; i++) {
        struct sharding place = *shard_slot(s, f->body->args[i]);
        f->body->args[i]->sharding = keep(s, &place);
    }
    execute_block(s, f->body);
    for (int i = 0; i < f->body->results_count; i++) {
        struct sharding to = shard_result(s, f, i);
        f->body->results[i] = moved(s, value_now(f->body->results[i]), &to, NULL);
    }
}
