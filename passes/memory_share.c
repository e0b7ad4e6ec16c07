/* Who may be in whose buffer: results of the function, states, operands that die. */
#include "ir/collective.h"
#include "passes/fuse.h"
#include "passes/memory.h"

/* ---- Inside a kernel ---- */

/* Whether all uses of the operand in the kernel lead only to `result`, each through nodes that take of every
 * operand the element at their own index. Reductions of rows may look too: a row is read before it is
 * written. Nodes on the way there are marked by `rewriting`. */
static bool read_in_step(const struct block *body, struct value *operand, const struct value *result,
                         bool rows) {
    for (struct node *n = body->first; n; n = n->next) {
        bool reads = false;
        for (int k = 0; k < n->operands_count; k++) {
            const struct value *v = n->operands[k];
            reads |= v == operand || (v && v->def && v->def->rewriting == operand);
        }
        enum role role = node_role(n);
        n->rewriting = NULL;
        if (!reads || (role == ROLE_REDUCE && rows && reduces_last_axis(n))) continue;
        if (role != ROLE_POINTWISE || !shape_equal(&n->results[0]->type, &result->type)) return false;
        if (n->results[0] != result) n->rewriting = operand;
    }
    return true;
}

static bool only_write_reads(const struct block *body, const struct value *v, const struct node *write) {
    for (const struct node *n = body->first; n; n = n->next)
        for (int k = 0; k < n->operands_count; k++)
            if (n->operands[k] == v && !(n == write && k == 0)) return false;
    for (int i = 0; i < body->results_count; i++)
        if (body->results[i] == v) return false;
    return true;
}

static bool is_operand_once(const struct node *n, int operand) {
    for (int i = 0; i < n->operands_count; i++)
        if (i != operand && n->operands[i] == n->operands[operand]) return false;
    return true;
}

bool may_overwrite(const struct node *kernel, int operand, int result) {
    const struct block *body = kernel->body;
    const struct value *made = body->results[result];
    struct value *v = body->args[operand];
    if (!made->def || !is_operand_once(kernel, operand)) return false;
    if (made->def->op == OP_write && made->def->operands[0] == v)
        return shape_equal(&v->type, &made->type) && v->type.dtype == made->type.dtype &&
               only_write_reads(body, v, made->def);
    enum domain domain = kernel->schedule ? kernel->schedule->domain : DOMAIN_loops;
    if (domain == DOMAIN_ordered || domain == DOMAIN_attention || kernel->results_count != 1) return false;
    if (!shape_equal(&v->type, &made->type) || dtype_bytes(v->type.dtype) != dtype_bytes(made->type.dtype))
        return false;
    for (int i = 0; i < body->results_count; i++)
        if (body->results[i] == v) return false;
    return read_in_step(body, v, made, domain == DOMAIN_rows);
}

/* ---- States ---- */

/* Whether two accesses may be to the same tensor of a global. */
static bool may_be_same(const struct node *a, const struct value *a_index, const struct node *b,
                        const struct value *b_index) {
    if (a->global != b->global || a->element != b->element)
        return a->global == b->global && (a_index || b_index);
    return true;
}

static const struct value *index_of(const struct node *n) {
    int slot = n->op == OP_assign ? 1 : 0;
    return n->operands_count > slot ? n->operands[slot] : NULL;
}

static const struct node *scan_around(const struct node *n) {
    const struct node *owner = n->parent->owner;
    while (owner && owner->op != OP_scan) owner = owner->parent->owner;
    return owner;
}

static bool is_inside(const struct node *n, const struct node *scan) {
    for (const struct node *at = n; at; at = at->parent->owner)
        if (at == scan) return true;
    return false;
}

/* Whether somebody looks at v after `n` has been carried out: behind it, or in the next round of a loop around n that
 * does not make v anew. */
static bool looked_at_later(const struct plan *p, const struct value *v, const struct node *n) {
    const struct node *again = NULL; /* the outermost of such loops */
    for (const struct node *scan = scan_around(n); scan && !is_inside(v->def, scan); scan = scan_around(scan))
        again = scan;
    for (const struct use *u = p->uses[v->id]; u; u = u->next) {
        if (u->position > p->position[n->id]) return true;
        if (again && u->node && is_inside(u->node, again)) return true;
    }
    return false;
}

/* The value that a node finds or leaves in the buffer of what `assign` sets; NULL: it has nothing to do with
 * it. */
static struct value *value_in_state(const struct node *n, const struct node *assign) {
    bool touches = n->op == OP_param || (n->op == OP_assign && n != assign);
    if (!touches || !may_be_same(n, index_of(n), assign, index_of(assign))) return NULL;
    return n->op == OP_param ? n->results[0] : n->operands[0];
}

static int last_use(const struct plan *p, const struct value *v) {
    int last = -1;
    for (const struct use *u = p->uses[v->id]; u; u = u->next)
        if (u->position > last) last = u->position;
    return last;
}

/* Whether `kernel` may make the new value where `old`, found or left there by n, is. If it reads `old`, *over
 * is that operand. */
static bool may_replace(const struct plan *p, const struct node *n, const struct value *old,
                        const struct node *assign, int *over) {
    const struct value *v = assign->operands[0];
    struct node *kernel = v->def;
    int at = p->position[n->id];
    if (n->op == OP_assign && at > p->position[assign->id])
        return !looked_at_later(p, v, n); /* the next change */
    if (n->op == OP_assign && at > p->position[kernel->id]) return false;
    if (n->op == OP_assign && old->place.space != SPACE_STATE) return true; /* it was copied there */
    if (at > p->position[assign->id] && !scan_around(assign)) return true;
    if (at < p->position[assign->id] && looked_at_later(p, old, kernel)) return false;
    for (int i = 0; i < kernel->operands_count; i++) {
        if (kernel->operands[i] != old) continue;
        bool same = n->element == assign->element && index_of(n) == index_of(assign);
        if (!same || !may_overwrite(kernel, i, v->index)) return false;
        *over = i;
    }
    return true;
}

/* Whether v has been assigned before: its home is the first state that it is assigned to. */
static bool assigned_before(const struct plan *p, const struct value *v, const struct node *assign) {
    for (const struct use *u = p->uses[v->id]; u; u = u->next)
        if (u->node && u->node->op == OP_assign && u->position < p->position[assign->id]) return true;
    return false;
}

/* Puts the value that is assigned into the state's own buffer, if nobody misses the old contents and no check
 * can fail any more. */
static void place_in_state(struct plan *p, const struct node *assign) {
    struct value *v = assign->operands[0], *old;
    int over = -1;
    if (!made_by_kernel(v) || v->place.space || p->same[v->id] || v->def->parent != assign->parent) return;
    if (p->position[v->def->id] < p->last_guard || assigned_before(p, v, assign)) return;
    for (struct node *n = NULL; (n = node_walk(p->f->body, n));)
        if ((old = value_in_state(n, assign)) && !may_replace(p, n, old, assign, &over)) return;
    v->place.space = SPACE_STATE;
    v->place.in_place = over + 1;
}

/* ---- Results, operands ---- */

static void place_in_results(struct plan *p) {
    const struct block *body = p->f->body;
    for (int i = 0; i < body->results_count; i++) {
        struct value *v = body->results[i];
        bool made = made_by_kernel(v) || (v->def && collective_of(v->def));
        if (!made || v->def->parent != body || v->place.space || p->same[v->id]) continue;
        v->place = (struct place){.space = SPACE_RESULT, .offset = i};
    }
}

/* Whether the operand's buffer is in the arena, belongs to it alone, and is not needed after the kernel. */
static bool dies_here(const struct plan *p, const struct node *kernel, const struct value *v) {
    return made_by_kernel(v) && v->def->parent == kernel->parent && !v->place.space &&
           last_use(p, v) == p->position[kernel->id];
}

/* carried: values in a loop's buffer, which only plan_scans gives away. */
static void place_over_operands(struct plan *p, const bool *carried) {
    for (struct node *n = NULL; (n = node_walk(p->f->body, n));) {
        if (n->op != OP_kernel) continue;
        for (int r = 0; r < n->results_count; r++)
            for (int k = 0; k < n->operands_count; k++) {
                struct value *made = n->results[r], *v = n->operands[k];
                if (made->place.space || p->same[made->id] || carried[made->id] || carried[v->id]) continue;
                if (!dies_here(p, n, v)) continue;
                if (!may_overwrite(n, k, r)) continue;
                made->place.in_place = k + 1;
                p->same[made->id] = v;
            }
    }
}

void plan_places(struct plan *p) {
    bool *carried = arena_new_array(p->scratch, bool, (size_t)p->g->values + 1);
    for (int i = 0; i < p->g->values; i++)
        if (p->same[i]) carried[i] = carried[p->same[i]->id] = true;
    for (struct node *n = NULL; (n = node_walk(p->f->body, n));)
        if (n->op == OP_assign && !carried[n->operands[0]->id]) place_in_state(p, n);
    place_in_results(p);
    place_over_operands(p, carried);
}
