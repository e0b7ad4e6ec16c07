/* From the program of the whole to the program of one rank.
 *
 *     param w : f32[1536, 576] @m(tensor, _)               param w : f32[512, 576] @m(tensor, _) local
 *     h : f32[S, 1536] @m(_, tensor) = linear(x, w)   =>   h : f32[S, 512] = linear(x, w)
 *     y : f32[S, 576] @m(_, _) = reshard(y0)               y : f32[S, 576] = all_reduce("m.tensor", y0)
 *
 * All ranks run the same program (SPMD): what differs is a rank's coordinates, which are dims that the
 * runtime fills in. `shard` has made sure that every node fits: on pieces it is the same op with smaller
 * extents, but for a reduction that is no sum, which is combined at once, and a table of which a rank has
 * some rows. */
#include "passes/partition.h"
#include "passes/factors.h"
#include "passes/shard.h"
#include <string.h>

struct type local_type(struct graph *g, const struct type *whole, const struct sharding *s) {
    struct type t = *whole;
    for (int d = 0; s && !s->local && d < t.rank; d++) {
        t.extents[d] =
            extent_divide(g->extents, t.extents[d], extent_const(g->extents, sharding_pieces(s, d)));
        if (!t.extents[d]) ice("an extent is not divisible by its pieces");
    }
    return t;
}

const struct sharding *local_sharding(struct graph *g, const struct sharding *s) {
    if (!s || !sharding_used(s)) return NULL;
    struct sharding *local = arena_new_object(g->arena, struct sharding);
    *local = *s;
    local->local = true;
    return local;
}

/* ---- Nodes ---- */

/* Mesh axes that cut what n reduces in operand 0. */
static uint32_t reduced_axes(const struct node *n) {
    const struct sharding *s = n->operands[0]->sharding;
    const struct attr *axes = node_attr(n, "axis");
    uint32_t cut = 0;
    for (int i = 0; s && i < axes->count; i++)
        for (int k = 0; k < s->dims[axes->ints[i]].count; k++) cut |= 1u << s->dims[axes->ints[i]].axes[k];
    return cut;
}

static void combine_pieces(struct partition *p, struct node *n) {
    static const struct {
        enum op op;
        const char *reduce;
    } rows[] = {{OP_max, "max"}, {OP_min, "min"}, {OP_prod, "prod"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (n->op == rows[i].op && reduced_axes(n)) combine_behind(p, n, reduced_axes(n), rows[i].reduce);
}

static bool table_is_cut(const struct node *n) {
    const struct sharding *s = n->op == OP_gather ? n->operands[0]->sharding : NULL;
    return s && s->dims[node_attr(n, "axis")->i].count > 0;
}

static void localise_node(struct partition *p, struct node *n) {
    struct type expected[4];
    int results = n->results_count;
    if (results > 4) ice("%s has more results than partitioning knows", op_info(n->op)->name);
    for (int i = 0; i < results; i++)
        expected[i] = local_type(p->g, &n->results[i]->type, n->results[i]->sharding);
    if (results) node_take_shape(p->g, n, &expected[0]);
    if (!node_infer(p->g, n)) ice("a node that was cut does not infer");
    for (int i = 0; i < results; i++)
        if (!type_equal(&expected[i], &n->results[i]->type))
            ice("%s: a piece is %s, not %s", op_info(n->op)->name,
                type_text(p->g->pass->scratch, &n->results[i]->type),
                type_text(p->g->pass->scratch, &expected[i]));
    if (table_is_cut(n)) partition_gather(p, n);
    if (op_info(n->op)->family == FAMILY_reduce) combine_pieces(p, n);
}

static void localise_block(struct partition *p, struct block *b) {
    for (struct node *n = b->first, *next; n; n = next) {
        next = n->next;
        for (int i = 0; i < n->operands_count; i++) n->operands[i] = value_now(n->operands[i]);
        if (n->op == OP_reshard) {
            struct value *there = partition_reshard(p, n);
            if (!there->name || there == n->operands[0]) there->name = n->results[0]->name;
            there->sharding = n->results[0]->sharding;
            value_replace(n->results[0], there);
            node_remove(n);
            continue;
        }
        if (n->op == OP_scan) {
            for (int i = 0; i < n->body->args_count; i++)
                n->body->args[i]->type =
                    local_type(p->g, &n->body->args[i]->type, n->body->args[i]->sharding);
            localise_block(p, n->body);
            for (int i = 0; i < n->body->results_count; i++)
                n->body->results[i] = value_now(n->body->results[i]);
        }
        localise_node(p, n);
    }
}

/* ---- Functions ---- */

/* Shardings have served: what is left stands beside arguments and results, which callers see. */
static void forget_shardings(struct function *f) {
    for (struct node *n = NULL; (n = node_walk(f->body, n));) {
        for (int i = 0; i < n->results_count; i++) n->results[i]->sharding = NULL;
        for (int i = 0; n->body && i < n->body->args_count; i++) n->body->args[i]->sharding = NULL;
    }
}

static void localise_function(struct partition *p, struct function *f) {
    struct graph *g = p->g;
    struct block *b = f->body;
    const struct sharding **results =
        arena_new_array(g->arena, const struct sharding *, (size_t)b->results_count + 1);
    for (int i = 0; i < b->results_count; i++)
        results[i] = local_sharding(g, value_now(b->results[i])->sharding);
    for (int i = 0; i < b->args_count; i++)
        b->args[i]->type = local_type(g, &b->args[i]->type, b->args[i]->sharding);
    localise_block(p, b);
    for (int i = 0; i < b->results_count; i++) b->results[i] = value_now(b->results[i]);
    forget_shardings(f);
    for (int i = 0; i < b->args_count; i++) b->args[i]->sharding = local_sharding(g, b->args[i]->sharding);
    f->result_shardings = results;
}

static bool is_sharded(const struct graph *g, const struct mesh **m) {
    for (const struct function *f = g->functions; f; f = f->next) {
        for (int i = 0; i < f->body->args_count; i++)
            if (f->body->args[i]->sharding && f->body->args[i]->sharding->local) return false;
        for (struct node *n = NULL; (n = node_walk(f->body, n));)
            for (int i = 0; i < n->results_count; i++)
                if (n->results[i]->sharding) *m = n->results[i]->sharding->mesh;
        for (int i = 0; i < f->body->args_count; i++)
            if (f->body->args[i]->sharding) *m = f->body->args[i]->sharding->mesh;
    }
    for (const struct global *w = g->globals; w; w = w->next)
        if (w->sharding && w->sharding->local) return false;
    return *m != NULL;
}

bool pass_partition(struct graph *g) {
    struct partition p = {.g = g, .typical = pass_option(g, "typical")};
    if (!is_sharded(g, &p.mesh)) return false;
    graph_settle(g);
    if (!partition_dims(&p)) return true;
    for (struct global *w = g->globals; w; w = w->next) {
        w->type = local_type(g, &w->type, w->sharding);
        w->sharding = local_sharding(g, w->sharding);
    }
    for (struct function *f = g->functions; f; f = f->next) localise_function(&p, f);
    partition_stages(&p);
    return true;
}
