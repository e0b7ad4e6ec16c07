/* Assignments wait until the last guard has passed, so that a call that fails has changed nothing.
 *
 *     s = s1                                 for t scan 0..T { s1 = ...; k = k1 }
 *     for t scan 0..T { k = f(k, t) }        guard(...)
 *     guard(...)                             s = s1
 *                                            k = k1
 *
 * What reads a state in between gets the value itself; a state assigned in a loop is carried through it. */
#include "passes/build.h"
#include "passes/guards.h"
#include <string.h>

static bool is_dynamic(const struct node *n) {
    int slot = n->op == OP_assign ? 1 : 0;
    return n->operands_count > slot && n->operands[slot];
}

static bool same_element(const struct node *a, const struct node *b) {
    return a->global == b->global && a->element == b->element;
}

/* Replaces reads of what `like` assigns, at `n` and inside it, by v. While the assignment is `waiting` for a check
 * behind them, none may be left that reads it by a variable. */
static void replace_reads(struct graph *g, struct node *n, const struct node *like, struct value *v,
                          bool waiting) {
    struct node *stop = n->next, *next;
    for (struct node *at = n; at && at != stop; at = next) {
        next = at == n && !n->body ? NULL : node_walk(n->body, at == n ? NULL : at);
        if (at->op != OP_param || at->global != like->global) continue;
        if (is_dynamic(at) && waiting)
            diag_error(
                g->diag, at->loc,
                "%s is read by a variable index after it is assigned and before a check: not supported here",
                at->global->name);
        if (is_dynamic(at) || !same_element(at, like)) continue;
        value_replace(at->results[0], v);
        node_remove(at);
    }
}

/* ---- States assigned in a loop ---- */

/* The state that `assign`, in the body of `scan`, sets becomes a value that the loop carries, assigned behind
 * it. */
static void carry(struct graph *g, struct node *scan, struct node *assign) {
    struct builder before = {g, scan, assign->loc};
    struct block *body = scan->body;
    struct node *read = node_new(g, OP_param, 1, NULL, assign->loc), *next;
    read->global = assign->global;
    read->element = assign->element;
    struct value *start = build_finish(&before, read);
    struct value *now = block_argument(g, body, &start->type, assign->global->name, assign->loc);
    scan->operands = value_list_with(g, scan->operands, scan->operands_count++, start);
    for (struct node *n = body->first; n; n = next) {
        next = n->next;
        replace_reads(g, n, assign, now, true);
        if (n->op != OP_assign || !same_element(n, assign)) continue;
        now = n->operands[0];
        node_remove(n);
    }
    body->results = value_list_with(g, body->results, body->results_count++, now);
    struct value *end = node_add_result(g, scan, &start->type);
    struct node *set = node_new(g, OP_assign, 2, (struct value *[]){end, NULL}, assign->loc);
    set->global = assign->global;
    set->element = assign->element;
    if (scan->next)
        node_insert_before(set, scan->next);
    else
        block_append(scan->parent, set);
}

static struct node *first_assignment(struct block *b) {
    for (struct node *n = b->first; n; n = n->next)
        if (n->op == OP_assign) return n;
    return NULL;
}

/* In loops before `end`. Inner loops first, so that what they assign is assigned behind them, in the outer loop's
 * body. */
static bool carry_states(struct graph *g, struct block *b, const struct node *end) {
    for (struct node *scan = b->first; scan != end; scan = scan->next) {
        if (scan->op != OP_scan) continue;
        if (!carry_states(g, scan->body, NULL)) return false;
        for (struct node *assign; (assign = first_assignment(scan->body));) {
            if (is_dynamic(assign)) {
                diag_error(g->diag, assign->loc,
                           "%s is assigned by a variable index before a check: not supported here",
                           assign->global->name);
                return false;
            }
            carry(g, scan, assign);
        }
    }
    return true;
}

/* ---- Assignments of the function's level ---- */

static bool may_set(struct node *n, const struct node *assign) {
    if (n->op == OP_assign && same_element(n, assign)) return true;
    for (struct node *in = NULL; n->body && (in = node_walk(n->body, in));)
        if (in->op == OP_assign && in->global == assign->global &&
            (is_dynamic(in) || in->element == assign->element))
            return true;
    return false;
}

/* Reads behind the assignment, up to what may assign it again, give the value. It will be behind `stop`. */
static void forward(struct graph *g, struct node *assign, const struct node *stop) {
    bool waiting = true;
    for (struct node *n = assign->next, *next; n && !may_set(n, assign); n = next) {
        next = n->next;
        bool last = n == stop;
        replace_reads(g, n, assign, assign->operands[0], waiting);
        waiting &= !last;
    }
}

void delay_assignments(struct graph *g, struct function *f, struct node *last) {
    struct node *at = last, *next;
    while (at->parent->owner) at = at->parent->owner;
    struct node *stop = at;
    if (!carry_states(g, f->body, stop->next)) return;
    for (struct node *n = f->body->first; n && n != stop; n = next) {
        if (n->op == OP_assign) forward(g, n, stop);
        next = n->next; /* forwarded reads are gone */
        if (n->op != OP_assign) continue;
        struct node *behind = at->next;
        node_remove(n);
        if (behind)
            node_insert_before(n, behind);
        else
            block_append(f->body, n);
        at = n;
    }
}
