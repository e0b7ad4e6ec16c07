/* Which sets of nodes one kernel can do: what the emitters of each domain promise, as code. A domain's check
 * is a list of small rules over the members; the first that is broken is the reason given by --explain=fuse.
 */
#include "passes/fuse.h"
#include <string.h>

enum { MAX_KERNEL_BUFFERS = 60 };

void trial_mark(struct fuser *f, const struct trial *t) {
    f->stamp++;
    for (int i = 0; i < t->count; i++) f->stamps[t->members[i]] = f->stamp;
}

int trial_item(const struct fuser *f, const struct value *v) {
    if (!v || !v->def || v->def->id >= f->g->nodes) return -1;
    int item = f->item_of[v->def->id];
    return item >= 0 && f->stamps[item] == f->stamp ? item : -1;
}

bool group_contains(const struct fuser *f, int group, int item) {
    const struct edge_list *groups = &f->items[item].groups;
    for (int i = 0; i < groups->count; i++)
        if (groups->to[i] == group) return true;
    return false;
}

static bool is_part(const struct trial *t, int group) {
    return group >= 0 && (group == t->parts[0] || group == t->parts[1]);
}

/* A user outside: one that is computed in a group that does not compute `item` itself. */
static bool used_outside(const struct fuser *f, const struct trial *t, int item, int user) {
    const struct edge_list *groups = &f->items[user].groups;
    for (int i = 0; i < groups->count; i++)
        if (!is_part(t, groups->to[i]) && !group_contains(f, groups->to[i], item)) return true;
    return false;
}

bool trial_result(const struct fuser *f, const struct trial *t, int item) {
    const struct item *it = &f->items[item];
    if (!is_part(t, it->home)) return false;
    if (it->needed) return true;
    for (int i = 0; i < it->users.count; i++)
        if (used_outside(f, t, item, it->users.to[i])) return true;
    return false;
}

/* ---- Facts about the members of the trial at hand ---- */

struct facts {
    struct fuser *f;
    struct trial *t;
    bool *result;  /* [count] in the order of members */
    bool *depends; /* on an anchor: a reduction, contraction, quantize inside */
    bool *feeds;   /* an anchor, through members */
    double *evals; /* how often an element is computed, over the whole kernel */
    int roles[ROLE_WRITE + 1];
    int results;
};

static struct node *member(const struct facts *x, int i) { return x->f->items[x->t->members[i]].node; }
static enum role role_of(const struct facts *x, int i) { return x->f->items[x->t->members[i]].role; }

static bool refuse(struct trial *t, const char *why) {
    t->why = why;
    return false;
}

/* Member that computes operand `k` of `n`, or -1: it comes from outside. */
static int inner_operand(const struct facts *x, const struct node *n, int k) {
    int item = trial_item(x->f, n->operands[k]);
    return item < 0 ? -1 : x->f->slots[item];
}

static bool is_anchor(enum role r) {
    return r == ROLE_REDUCE || r == ROLE_CONTRACT || r == ROLE_QUANTIZE || r == ROLE_ATTENTION;
}

static double operand_evals(const struct facts *x, int user, const struct value *operand) {
    const struct node *n = member(x, user);
    double evals = x->evals[user] * x->f->items[x->t->members[user]].reads;
    bool parts = n->op == OP_concat || n->op == OP_pad;
    double size = value_elements(n->results[0]);
    return parts && size > 0 ? evals * value_elements(operand) / size : evals;
}

static void gather_facts(struct facts *x) {
    int n = x->t->count;
    struct arena *a = x->f->scratch;
    x->result = arena_new_array(a, bool, (size_t)n);
    x->depends = arena_new_array(a, bool, (size_t)n);
    x->feeds = arena_new_array(a, bool, (size_t)n);
    x->evals = arena_new_array(a, double, (size_t)n);
    trial_mark(x->f, x->t);
    for (int i = 0; i < n; i++) {
        x->f->slots[x->t->members[i]] = i;
        x->result[i] = trial_result(x->f, x->t, x->t->members[i]);
        x->results += x->result[i];
        x->roles[role_of(x, i)]++;
        for (int k = 0; k < member(x, i)->operands_count; k++) {
            int from = inner_operand(x, member(x, i), k);
            if (from >= 0 && (x->depends[from] || is_anchor(role_of(x, from)))) x->depends[i] = true;
        }
    }
    for (int i = n - 1; i >= 0; i--) {
        if (x->result[i] && x->evals[i] < x->f->items[x->t->members[i]].elements)
            x->evals[i] = x->f->items[x->t->members[i]].elements;
        for (int k = 0; k < member(x, i)->operands_count; k++) {
            int from = inner_operand(x, member(x, i), k);
            if (from < 0) continue;
            double evals = operand_evals(x, i, member(x, i)->operands[k]);
            if (evals > x->evals[from]) x->evals[from] = evals;
            if (x->feeds[i] || is_anchor(role_of(x, i))) x->feeds[from] = true;
        }
    }
}

/* Whether member i, computed anew wherever it is used, is computed too often. Numbers alone and views cost
 * nothing. */
static bool recomputed(const struct facts *x, int i) {
    double elements = x->f->items[x->t->members[i]].elements;
    if (role_of(x, i) == ROLE_VIEW || role_of(x, i) == ROLE_MAKER || elements <= 1) return false;
    return x->evals[i] > x->f->recompute * elements;
}

static bool any_recomputed(const struct facts *x, const bool *exempt) {
    for (int i = 0; i < x->t->count; i++)
        if (!(exempt && exempt[i]) && !is_anchor(role_of(x, i)) && recomputed(x, i)) return true;
    return false;
}

static bool buffers_fit(const struct facts *x) {
    int count = x->results;
    for (int i = 0; i < x->t->count; i++)
        for (int k = 0; k < member(x, i)->operands_count; k++) count += inner_operand(x, member(x, i), k) < 0;
    return count <= MAX_KERNEL_BUFFERS;
}

/* ---- Loops: each element of each result alone ---- */

/* Members that follow a reduction must use each of its elements once. */
static bool one_to_one(const struct facts *x, int i) {
    const struct node *n = member(x, i);
    if (n->op == OP_reshape || n->op == OP_transpose || n->op == OP_write) return true;
    if (role_of(x, i) != ROLE_POINTWISE) return false;
    for (int k = 0; k < n->operands_count; k++) {
        int from = inner_operand(x, n, k);
        if (from < 0 || !(x->depends[from] || is_anchor(role_of(x, from)))) continue;
        if (!shape_equal(&n->operands[k]->type, &n->results[0]->type)) return false;
    }
    return true;
}

static bool same_shapes(const struct facts *x) {
    const struct type *first = NULL;
    for (int i = 0; i < x->t->count; i++) {
        if (!x->result[i]) continue;
        if (first && !shape_equal(first, &member(x, i)->results[0]->type)) return false;
        first = &member(x, i)->results[0]->type;
    }
    return true;
}

/* Whether every write is a result of its own over a buffer from outside. */
static bool writes_end(const struct facts *x) {
    for (int i = 0; i < x->t->count; i++) {
        if (role_of(x, i) != ROLE_WRITE) continue;
        if (inner_operand(x, member(x, i), 0) >= 0) return false;
        for (int u = 0; u < x->f->items[x->t->members[i]].users.count; u++)
            if (x->f->stamps[x->f->items[x->t->members[i]].users.to[u]] == x->f->stamp) return false;
    }
    return true;
}

static bool check_loops(struct facts *x) {
    struct trial *t = x->t;
    int reductions = x->roles[ROLE_REDUCE];
    if (x->roles[ROLE_CONTRACT] || x->roles[ROLE_QUANTIZE] || x->roles[ROLE_ATTENTION] ||
        x->roles[ROLE_ORDERED])
        return refuse(t, "loops make each element alone");
    if (reductions > 1) return refuse(t, "one reduction a result");
    if (!writes_end(x)) return refuse(t, "a write ends its kernel");
    if (x->roles[ROLE_WRITE] && x->results > 1) return refuse(t, "a write is its kernel's only result");
    if (!same_shapes(x)) return refuse(t, "results of different shapes");
    for (int i = 0; i < t->count; i++) {
        if (x->depends[i] && !one_to_one(x, i)) return refuse(t, "it would repeat the reduction");
        if (reductions && x->result[i] && !x->depends[i] && role_of(x, i) != ROLE_REDUCE)
            return refuse(t, "a reduction and a result that does not need it");
    }
    if (any_recomputed(x, NULL)) return refuse(t, "it would be computed again too often");
    return true;
}

/* ---- Rows: reductions along the last axis, any number of stages ---- */

bool reduces_last_axis(const struct node *n) {
    int rank = n->operands[0]->type.rank;
    enum op_family family = op_info(n->op)->family;
    if (!rank) return false;
    if (family == FAMILY_quantize) return true;
    if (family == FAMILY_argreduce) return node_attr(n, "axis")->i == rank - 1;
    if (family != FAMILY_reduce) return false;
    const struct attr *axis = node_attr(n, "axis");
    return (axis->count == 1 && axis->ints[0] == rank - 1) || (axis->count < 0 && rank == 1);
}

/* Whether `t` is rows over leading extents rows[0..count): rows x something, or one number a row. */
static bool has_rows(const struct type *t, const struct type *rows) {
    int count = rows->rank - 1;
    if (t->rank != count && t->rank != count + 1) return false;
    return !count || !memcmp(t->extents, rows->extents, (size_t)count * sizeof *t->extents);
}

/* The type whose leading extents are the kernel's rows: the operand of its first reduction. */
static const struct type *row_type(const struct facts *x) {
    for (int i = 0; i < x->t->count; i++)
        if (role_of(x, i) == ROLE_REDUCE || role_of(x, i) == ROLE_QUANTIZE)
            return &member(x, i)->operands[0]->type;
    return NULL;
}

/* Members that follow a reduction stay in its row. */
static bool stays_in_row(const struct facts *x, int i, const struct type *rows) {
    const struct node *n = member(x, i);
    if (!has_rows(&n->results[0]->type, rows)) return false;
    if (role_of(x, i) == ROLE_POINTWISE || is_anchor(role_of(x, i))) return true;
    if (n->op != OP_reshape && n->op != OP_broadcast) return false;
    return has_rows(&n->operands[0]->type, rows) &&
           (n->op == OP_broadcast ? n->operands[0]->type.rank == n->results[0]->type.rank
                                  : value_elements(n->operands[0]) <= value_elements(n->results[0]));
}

static bool check_rows(struct facts *x) {
    struct trial *t = x->t;
    const struct type *rows = row_type(x);
    bool *exempt = arena_new_array(x->f->scratch, bool, (size_t)t->count);
    if (!rows) return refuse(t, "no reduction");
    if (x->roles[ROLE_CONTRACT] || x->roles[ROLE_ATTENTION] || x->roles[ROLE_ORDERED] || x->roles[ROLE_WRITE])
        return refuse(t, "rows do reductions and elementwise ops only");
    for (int i = 0; i < t->count; i++) {
        const struct node *n = member(x, i);
        bool anchor = is_anchor(role_of(x, i));
        if (anchor && !reduces_last_axis(n)) return refuse(t, "a reduction not along the last axis");
        if (anchor && (!has_rows(&n->operands[0]->type, rows) || n->operands[0]->type.rank != rows->rank))
            return refuse(t, "reductions over different rows");
        if (x->depends[i] && !stays_in_row(x, i, rows)) return refuse(t, "it leaves the row");
        if (x->result[i] && !has_rows(&n->results[0]->type, rows))
            return refuse(t, "a result that is not rows");
        exempt[i] = has_rows(&n->results[0]->type, rows);
    }
    if (any_recomputed(x, exempt)) return refuse(t, "it would be computed again too often");
    return true;
}

/* ---- Contractions with what follows them ---- */

/* What an anchor may read through: views of buffers, which are copied to scratch where they do not lie right.
 */
static bool reads_memory(const struct facts *x, const struct node *n, int k) {
    int from = n->operands[k] ? inner_operand(x, n, k) : -1;
    if (from < 0) return true;
    if (role_of(x, from) != ROLE_VIEW || x->result[from]) return false;
    for (int i = 0; i < member(x, from)->operands_count; i++)
        if (!reads_memory(x, member(x, from), i)) return false;
    return true;
}

static bool anchor_operands_fit(const struct facts *x, const struct node *n) {
    for (int k = 0; k < n->operands_count; k++)
        if (!reads_memory(x, n, k)) return false;
    return true;
}

/* Anchors of one kernel read the same x in the same way, by weights stored alike, and make rows of the same number. */
static bool siblings(const struct node *a, const struct node *b) {
    enum op_family family = op_info(a->op)->family;
    int weight = family == FAMILY_qlinear ? 3 : 1;
    if (a->op != b->op || family == FAMILY_matmul || a->results[0]->type.rank != b->results[0]->type.rank)
        return false;
    if (a->operands[0] != b->operands[0] || a->operands_count <= weight || b->operands_count <= weight)
        return false;
    const struct node *wa = a->operands[weight]->def, *wb = b->operands[weight]->def;
    if (!wa || !wb || !wa->global || !wb->global || wa->global->store != wb->global->store) return false;
    for (int i = 0; i < op_info(a->op)->attrs_count; i++)
        if (!attr_equal(op_info(a->op)->attrs[i].kind, &a->attrs[i], &b->attrs[i])) return false;
    return true;
}

static bool in_epilogue(const struct facts *x, int i) {
    const struct node *n = member(x, i);
    return one_to_one(x, i) || n->op == OP_rope || n->op == OP_quantize;
}

static bool check_contract(struct facts *x) {
    struct trial *t = x->t;
    const struct node *first = NULL;
    if (!x->roles[ROLE_CONTRACT]) return refuse(t, "no contraction");
    if (x->roles[ROLE_REDUCE] || x->roles[ROLE_ATTENTION] || x->roles[ROLE_ORDERED])
        return refuse(t, "a contraction's tiles are not whole rows");
    if (!writes_end(x)) return refuse(t, "a write ends its kernel");
    for (int i = 0; i < t->count; i++) {
        const struct node *n = member(x, i);
        bool anchor = role_of(x, i) == ROLE_CONTRACT;
        if (anchor && x->depends[i]) return refuse(t, "one contraction after the other");
        if (anchor && !anchor_operands_fit(x, n))
            return refuse(t, "a contraction reads its operands from memory");
        if (anchor && first && !siblings(first, n))
            return refuse(t, "contractions that do not share their input");
        if (anchor && !first) first = n;
        if (!anchor && x->depends[i] && !in_epilogue(x, i)) return refuse(t, "it is not done tile by tile");
        if (x->result[i] && !anchor && !x->depends[i])
            return refuse(t, "a result that the contraction does not make");
    }
    if (any_recomputed(x, x->depends)) return refuse(t, "it would be computed again too often");
    return true;
}

/* ---- Attention, ordered ops ---- */

/* What attention reads through: another index into its operands, or rows of them that ids choose. */
static bool is_index(const struct facts *x, int i) {
    const struct node *n = member(x, i);
    bool rows = n->op == OP_gather && node_attr(n, "axis")->i == 0;
    return (rows || role_of(x, i) == ROLE_VIEW) && x->feeds[i] && !x->result[i];
}

static bool check_attention(struct facts *x) {
    struct trial *t = x->t;
    if (x->roles[ROLE_ATTENTION] != 1) return refuse(t, "one attention a kernel");
    for (int i = 0; i < t->count; i++) {
        bool after = x->depends[i] && role_of(x, i) == ROLE_POINTWISE && one_to_one(x, i);
        if (role_of(x, i) != ROLE_ATTENTION && !is_index(x, i) && !after)
            return refuse(t, "attention reads its operands from memory and is followed by elementwise ops");
    }
    return true;
}

static bool check_ordered(struct facts *x) {
    if (x->t->count == 1 && x->roles[ROLE_ORDERED] == 1) return true;
    return refuse(x->t, "ordered ops stand alone");
}

/* Domains in the order they are tried; each has the role that makes a kernel its own, if any. */
static const struct {
    enum domain domain;
    enum role role;
    bool (*check)(struct facts *x);
} checks[] = {
    {DOMAIN_ordered, ROLE_ORDERED, check_ordered},    {DOMAIN_attention, ROLE_ATTENTION, check_attention},
    {DOMAIN_contract, ROLE_CONTRACT, check_contract}, {DOMAIN_rows, ROLE_REDUCE, check_rows},
    {DOMAIN_rows, ROLE_QUANTIZE, check_rows},         {DOMAIN_loops, ROLE_STRUCTURE, check_loops}};

bool trial_domain(struct fuser *f, struct trial *t, enum domain *domain) {
    struct facts x = {.f = f, .t = t};
    t->why = NULL;
    gather_facts(&x);
    if (x.roles[ROLE_STRUCTURE]) return refuse(t, "it is no computation");
    if (t->count > 1 && !buffers_fit(&x)) return refuse(t, "too many buffers");
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        enum role role = checks[i].role;
        if (role != ROLE_STRUCTURE && !x.roles[role]) continue;
        *domain = checks[i].domain;
        if (checks[i].check(&x)) return true;
        if (role != ROLE_REDUCE) return false; /* a reduction that is not rows may be loops */
    }
    return false;
}
