/* Row programs, planned: how each result of a kernel is reached from a row of its anchor, and in how many
 * passes over the row.
 *
 *     anchor x [S, 576] ── reshape [S, 9, 64] ── rope ── write(k_cache, at) = result
 *     row s, columns c..c+16  →  [s, c/64, c%64..]  →  the same  →  [at+s, ...] of the state
 *
 * A stage is one loop along the row; each reduction along the row ends a stage. */
#include "backend/row.h"
#include "ir/number.h"
#include <string.h>

static bool is_family(const struct value *v, enum op_family family) {
    return v->def && op_info(v->def->op)->family == family;
}

/* The anchor's shape without its last axis, or with 1 there. */
bool row_has_one(const struct type *anchor, const struct type *t) {
    int64_t one;
    for (int i = 0; i < anchor->rank - 1; i++)
        if (i >= t->rank || t->extents[i] != anchor->extents[i]) return false;
    return t->rank == anchor->rank - 1 ||
           (t->rank == anchor->rank && extent_is_const(t->extents[t->rank - 1], &one) && one == 1);
}

/* Reductions along the whole of a row. */
bool row_reduces(const struct row_program *p, const struct node *n) {
    enum op_family family = op_info(n->op)->family;
    if (family != FAMILY_reduce && family != FAMILY_argreduce) return false;
    const struct attr *axis = node_attr(n, "axis");
    int last = p->anchor->type.rank - 1;
    bool along = family == FAMILY_argreduce ? axis->i == last : axis->count == 1 && axis->ints[0] == last;
    return along && shape_equal(&n->operands[0]->type, &p->anchor->type);
}

/* The operand that carries v's elements on, from which the way back to the anchor's shape goes; NULL: none.
 */
static struct value *carrier(const struct row_program *p, const struct value *v);

static bool leads_back(const struct row_program *p, const struct value *v) {
    if (p->in_place[v->id]) return true;
    return v->def && carrier(p, v);
}

static struct value *carrier(const struct row_program *p, const struct value *v) {
    enum op_family family = op_info(v->def->op)->family;
    struct node *n = v->def;
    bool one = family == FAMILY_reshape || family == FAMILY_transpose || family == FAMILY_cast ||
               family == FAMILY_rope;
    if (one) return leads_back(p, n->operands[0]) ? n->operands[0] : NULL;
    for (int i = 0; family == FAMILY_pointwise && i < n->operands_count; i++)
        if (shape_equal(&n->operands[i]->type, &v->type) && leads_back(p, n->operands[i]))
            return n->operands[i];
    return NULL;
}

/* The nodes from a value in place to v, in order; false: there is no such way. */
static bool find_path(struct emitter *e, const struct row_program *p, struct row_result *r, struct value *v) {
    struct node *back[64];
    int count = 0;
    for (; !p->in_place[v->id]; v = carrier(p, v)) {
        if (!v->def || !carrier(p, v) || count == 64) return false;
        back[count++] = v->def;
    }
    r->path = arena_new_array(e->arena, struct node *, count + 1);
    r->path_count = count;
    for (int i = 0; i < count; i++) r->path[i] = back[count - 1 - i];
    return true;
}

struct node *row_write(const struct node *kernel, int result) {
    bool rows = kernel->schedule && kernel->schedule->domain != DOMAIN_loops;
    const struct value *v = kernel->body->results[result];
    return rows && is_family(v, FAMILY_write) && !v->def->operands[0]->def ? v->def : NULL;
}

static bool plan_result(struct emitter *e, struct row_program *p, struct row_result *r, int number) {
    struct value *v = e->kernel->body->results[number];
    *r = (struct row_result){.number = number, .value = v};
    if (is_family(v, FAMILY_quantize) && v->index) { /* a block's scale or sum: stored with its codes */
        r->kind = ROW_BLOCK;
        r->value = v->def->results[0];
        return find_path(e, p, r, r->value->def->operands[0]);
    }
    r->write = row_write(e->kernel, number);
    if (r->write) r->value = r->write->operands[1];
    if (!r->write && row_has_one(&p->anchor->type, &v->type) && !shape_equal(&v->type, &p->anchor->type)) {
        r->kind = ROW_SCALAR;
        return true;
    }
    r->kind = ROW_COLUMNS;
    return find_path(e, p, r, is_family(r->value, FAMILY_quantize) ? r->value->def->operands[0] : r->value);
}

/* Blocks of columns that must be at hand together. */
static int64_t group_of(const struct node *n) {
    int64_t dim;
    enum op_family family = op_info(n->op)->family;
    if (family == FAMILY_quantize) return 32;
    if (family != FAMILY_rope) return 1;
    const struct type *t = &n->results[0]->type;
    return extent_is_const(t->extents[t->rank - 1], &dim) ? dim : 0;
}

/* [values] whether a value depends on the anchor. In the domain `rows` the anchor only stands for the space:
 * all is its own. */
static bool *find_dependent(struct emitter *e, const struct value *anchor) {
    bool *dependent = arena_new_array(e->arena, bool, e->graph->values);
    const struct block *b = e->kernel->body;
    bool all = e->kernel->schedule && e->kernel->schedule->domain == DOMAIN_rows;
    for (int i = 0; i < b->args_count; i++) dependent[b->args[i]->id] = all;
    dependent[anchor->id] = true;
    for (const struct node *n = b->first; n; n = n->next) {
        bool any = all;
        for (int i = 0; i < n->operands_count; i++)
            any = any || (n->operands[i] && dependent[n->operands[i]->id]);
        for (int i = 0; i < n->results_count; i++)
            dependent[n->results[i]->id] = any || n->results[i] == anchor;
    }
    return dependent;
}

/* [values] whether a value's element of a row and column has those as its indices: it is of the anchor's shape, and no
 * transposition stands between. */
static bool *find_in_place(struct emitter *e, const struct value *anchor, const bool *dependent) {
    bool *in_place = arena_new_array(e->arena, bool, e->graph->values);
    bool *moved = arena_new_array(e->arena, bool, e->graph->values);
    const struct block *b = e->kernel->body;
    for (int i = 0; i < b->args_count; i++)
        in_place[b->args[i]->id] = dependent[b->args[i]->id] && shape_equal(&b->args[i]->type, &anchor->type);
    for (const struct node *n = b->first; n; n = n->next) {
        bool any = op_info(n->op)->family == FAMILY_transpose;
        for (int i = 0; i < n->operands_count; i++)
            any = any || (n->operands[i] && moved[n->operands[i]->id]);
        for (int i = 0; i < n->results_count; i++) {
            const struct value *v = n->results[i];
            moved[v->id] = any && dependent[v->id] && v != anchor;
            in_place[v->id] = dependent[v->id] && !moved[v->id] && shape_equal(&v->type, &anchor->type);
        }
    }
    in_place[anchor->id] = true;
    return in_place;
}

/* Every op after the anchor: those that work column by column, in groups, along rows; false: something else.
 */
static bool plan_needs(struct emitter *e, struct row_program *p, const bool *dependent) {
    p->column_group = 1;
    for (struct node *n = e->kernel->body->first; n; n = n->next) {
        enum op_family family = op_info(n->op)->family;
        if (n == p->anchor->def || !dependent[n->results[0]->id]) continue;
        int64_t group = group_of(n);
        if (row_reduces(p, n) || !group)
            p->whole_rows = true;
        else if (family == FAMILY_reduce || family == FAMILY_argreduce)
            return false;
        else if (group > 1)
            p->column_group = p->column_group / greatest_common_divisor(p->column_group, group) * group;
        else if (family == FAMILY_slice || family == FAMILY_concat || family == FAMILY_pad ||
                 family == FAMILY_flip || family == FAMILY_gather || family == FAMILY_take_along)
            p->whole_rows = true;
    }
    return true;
}

const struct row_program *row_plan(struct emitter *e, struct value *anchor) {
    struct row_program *p = arena_new_object(e->arena, struct row_program);
    *p = (struct row_program){.anchor = anchor};
    if (!anchor->type.rank) return NULL;
    p->results = arena_new_array(e->arena, struct row_result, e->kernel->body->results_count + 1);
    bool *dependent = find_dependent(e, anchor);
    p->in_place = find_in_place(e, anchor, dependent);
    if (!plan_needs(e, p, dependent)) return NULL;
    for (int i = 0; i < e->kernel->body->results_count; i++) {
        if (!dependent[e->kernel->body->results[i]->id]) continue;
        struct row_result *r = &p->results[p->results_count++];
        if (!plan_result(e, p, r, i)) return NULL;
        if (r->kind == ROW_SCALAR) p->whole_rows = true;
    }
    row_plan_stages(e, p, dependent);
    return p;
}
