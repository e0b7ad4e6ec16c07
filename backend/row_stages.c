/* A row program's stages; what is one for each row behind them; and which values are kept from one to the next instead of being computed
 * again: those that several stages use and that cost more than a load or two.
 *
 *     softmax: m = max(x) │ e = exp(x - m), s = sum(e) │ e / s          e is kept, x is not */
#include "backend/row.h"

enum { WORTH_KEEPING = 5, MOST_BYTES = 256 * 1024, MAX_STAGES = 30 };

/* About how many instructions a primitive takes. */
static const int costs[SCALAR_COUNT] = {
    [SCALAR_exp] = 12,  [SCALAR_exp2] = 10, [SCALAR_expm1] = 14, [SCALAR_log] = 20, [SCALAR_log1p] = 24,
    [SCALAR_sin] = 40,  [SCALAR_cos] = 40,  [SCALAR_tanh] = 20,  [SCALAR_erf] = 40, [SCALAR_pow] = 80,
    [SCALAR_gelu] = 25, [SCALAR_div] = 4,   [SCALAR_sqrt] = 6,   [SCALAR_rem] = 40,
};

static int body_cost(const struct scalar *s) {
    if (!s || s->op == SCALAR_ARGUMENT || s->op == SCALAR_CONSTANT) return 0;
    int cost = costs[s->op] ? costs[s->op] : 1;
    for (int i = 0; i < scalar_arity(s->op); i++) cost += body_cost(s->operands[i]);
    return cost;
}

struct analysis {
    struct emitter *e;
    struct row_program *p;
    int *cost;        /* [values] of computing one element */
    unsigned *direct; /* [values] stages that use it at their own column, bit by bit */
    unsigned *any;    /* [values] stages that use it at all */
    int *kept;        /* [values] 1 + number in p->kept, or 0 */
};

static bool is_elementwise(const struct node *n) {
    enum op_family family = op_info(n->op)->family;
    return family == FAMILY_pointwise || family == FAMILY_cast;
}

static bool is_stage(const struct analysis *a, const struct value *v) {
    return v->def && row_reduces(a->p, v->def);
}

static void find_costs(struct analysis *a) {
    const struct block *b = a->e->kernel->body;
    for (int i = 0; i < b->args_count; i++) a->cost[b->args[i]->id] = b->args[i]->type.rank ? 1 : 0;
    for (const struct node *n = b->first; n; n = n->next) {
        int cost = is_elementwise(n) ? body_cost(op_info(n->op)->body) : n->op == OP_constant ? 0 : 2;
        enum op_family family = op_info(n->op)->family;
        if (family == FAMILY_reduce && !row_reduces(a->p, n)) cost = 1000;
        for (int i = 0; i < n->operands_count; i++)
            if (n->operands[i]) cost += a->cost[n->operands[i]->id];
        for (int i = 0; i < n->results_count; i++)
            a->cost[n->results[i]->id] = row_reduces(a->p, n) ? 0 : cost;
    }
}

/* Marks what computing v in `stage` uses; `own`: at the column the stage is at. What is kept ends the walk,
 * but in the stage that makes it. */
static void mark(struct analysis *a, const struct value *v, int stage, bool own) {
    unsigned bit = 1u << stage, *marks = own ? a->direct : a->any;
    if (marks[v->id] & bit) return;
    marks[v->id] |= bit;
    a->any[v->id] |= bit;
    int kept = a->kept[v->id];
    if (!v->def || is_stage(a, v) || v == a->p->anchor || (kept && a->p->kept[kept - 1].stage < stage))
        return;
    for (int i = 0; i < v->def->operands_count; i++)
        if (v->def->operands[i]) mark(a, v->def->operands[i], stage, own && is_elementwise(v->def));
}

static void mark_all(struct analysis *a) {
    for (int i = 0; i < a->e->graph->values; i++) a->direct[i] = a->any[i] = 0;
    for (int i = 0; i < a->p->stages_count; i++) mark(a, a->p->stages[i].reduction->operands[0], i, true);
    for (int i = 0; i < a->p->results_count; i++)
        if (a->p->results[i].kind != ROW_SCALAR) mark(a, a->p->results[i].value, a->p->stages_count, true);
}

static int lowest(unsigned bits) { return __builtin_ctz(bits); }

/* Used in several stages, first at its own column by one that covers the whole row. */
static bool is_worth_keeping(const struct analysis *a, const struct value *v) {
    unsigned any = a->any[v->id];
    if (a->kept[v->id] || !v->def || a->cost[v->id] < WORTH_KEEPING || !(any & (any - 1))) return false;
    if (v->type.rank != a->p->anchor->type.rank || dtype_class(v->type.dtype) == CLASS_LOGICAL) return false;
    for (int i = 0; i < v->type.rank; i++)
        if (v->type.extents[i] != a->p->anchor->type.extents[i]) return false;
    return a->direct[v->id] >> lowest(any) & 1 && lowest(any) < a->p->stages_count;
}

static bool fits(const struct row_program *p) {
    return extent_max(p->anchor->type.extents[p->anchor->type.rank - 1]) <= MOST_BYTES / 8;
}

/* Outer values first: what is inside them need not be kept then. */
static void find_kept(struct analysis *a) {
    for (const struct node *n = a->e->kernel->body->last; n && fits(a->p); n = n->prev) {
        for (int i = 0; i < n->results_count; i++) {
            struct value *v = n->results[i];
            if (v == a->p->anchor && !v->def) continue;
            mark_all(a);
            if (!is_worth_keeping(a, v)) continue;
            a->p->kept[a->p->kept_count] = (struct row_kept){v, lowest(a->any[v->id])};
            a->kept[v->id] = ++a->p->kept_count;
        }
    }
}

/* The last stage that v, an operand of elementwise ops, waits for if it is one for each row, or for all; none: -1; if it is neither: MAX_STAGES. */
static int last_stage(const struct row_program *p, const int *stage, const struct value *v) {
    if (!v || (v->def && v->def->op == OP_constant)) return -1;
    bool one = !v->type.rank || row_has_one(&p->anchor->type, &v->type);
    return one ? stage[v->id] : MAX_STAGES;
}

/* Elementwise values that are one for each row and wait for some stage; what waits for none is as good as a load. */
static void find_scalars(struct emitter *e, struct row_program *p) {
    int *stage = arena_new_array(e->arena, int, e->graph->values); /* of what is one for each row */
    for (int i = 0; i < e->graph->values; i++) stage[i] = MAX_STAGES;
    for (int i = 0; i < e->kernel->body->args_count; i++) stage[e->kernel->body->args[i]->id] = -1;
    for (int i = 0; i < p->stages_count; i++) stage[p->stages[i].reduction->results[0]->id] = i;
    for (const struct node *n = e->kernel->body->first; n; n = n->next) {
        if (!is_elementwise(n) || !row_has_one(&p->anchor->type, &n->results[0]->type)) continue;
        int last = -1;
        for (int i = 0; i < n->operands_count; i++) {
            int waits = last_stage(p, stage, n->operands[i]);
            if (waits > last) last = waits;
        }
        stage[n->results[0]->id] = last;
        if (last >= 0 && last < p->stages_count)
            p->scalars[p->scalars_count++] = (struct row_scalar){n->results[0], last};
    }
}

void row_plan_stages(struct emitter *e, struct row_program *p, const bool *dependent) {
    int values = e->graph->values, nodes = 0;
    struct analysis a = {e,
                         p,
                         arena_new_array(e->arena, int, values),
                         arena_new_array(e->arena, unsigned, values),
                         arena_new_array(e->arena, unsigned, values),
                         arena_new_array(e->arena, int, values)};
    for (const struct node *n = e->kernel->body->first; n; n = n->next) nodes++;
    p->stages = arena_new_array(e->arena, struct row_stage, nodes + 1);
    p->kept = arena_new_array(e->arena, struct row_kept, nodes + 1);
    p->scalars = arena_new_array(e->arena, struct row_scalar, nodes + 1);
    for (struct node *n = e->kernel->body->first; n; n = n->next)
        if (n->results_count && dependent[n->results[0]->id] && row_reduces(p, n))
            p->stages[p->stages_count++].reduction = n;
    if (p->stages_count > MAX_STAGES || !p->stages_count) return; /* nothing between stages is kept */
    find_costs(&a);
    find_kept(&a);
    find_scalars(e, p);
}
