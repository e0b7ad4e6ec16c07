/* Forms kernels: groups of nodes that are computed together, so that what passes between them stays in
 * registers or L1.
 *
 *     n : f32[S, 576] = rms_norm...     kernel k0 (x, g) -> n : f32[S, 576] { ... }
 *     q : f32[S, 576] = linear(n, w)    kernel k1 (n, w, x) -> h : f32[S, 576] {
 *     h : f32[S, 576] = q + x               q : f32[S, 576] = linear(n, w)
 *                                           h : f32[S, 576] = q + x
 *                                       }
 *
 * Every node begins as a group of its own. First views dissolve into whoever reads them, as only another
 * index. Then, most bytes saved first: a group is put together with one that reads it, or with one that reads
 * the same; or dissolves into all its readers, computed anew in each. fuse_domain.c says what one kernel can
 * do; nothing is put together that would make a circle of groups. */
#include "passes/fuse.h"
#include <stdlib.h>
#include <string.h>

static int group_new(struct fuser *f, const int *members, int count, enum domain domain) {
    struct group made = {.alive = true, .into = -1, .domain = domain, .count = count};
    made.members = arena_new_array(f->scratch, int, (size_t)count);
    memcpy(made.members, members, (size_t)count * sizeof *members);
    arena_push(f->scratch, f->groups, f->groups_count, f->groups_capacity, made);
    int group = f->groups_count - 1;
    for (int i = 0; i < count; i++) {
        struct edge_list *in = &f->items[members[i]].groups;
        arena_push(f->scratch, in->to, in->count, in->capacity, group);
    }
    return group;
}

static void group_end(struct fuser *f, int group) {
    struct group *g = &f->groups[group];
    g->alive = false;
    for (int i = 0; i < g->count; i++) {
        struct edge_list *in = &f->items[g->members[i]].groups;
        int kept = 0;
        for (int k = 0; k < in->count; k++)
            if (in->to[k] != group) in->to[kept++] = in->to[k];
        in->count = kept;
    }
}

/* The members of two groups, ascending, each once. */
static struct trial trial_of(struct fuser *f, int a, int b) {
    const struct group *x = &f->groups[a], *y = &f->groups[b];
    struct trial t = {arena_new_array(f->scratch, int, (size_t)(x->count + y->count)), 0, {a, b}, NULL};
    for (int i = 0, k = 0; i < x->count || k < y->count;) {
        int left = i < x->count ? x->members[i] : INT32_MAX, right = k < y->count ? y->members[k] : INT32_MAX;
        t.members[t.count++] = left < right ? left : right;
        i += left <= right;
        k += right <= left;
    }
    return t;
}

/* ---- Circles ---- */

bool group_successors(struct fuser *f, int group, bool (*visit)(struct fuser *f, int next, void *data),
                      void *data) {
    const struct group *g = &f->groups[group];
    for (int i = 0; i < g->count; i++) {
        const struct item *it = &f->items[g->members[i]];
        for (int u = 0; it->home == group && u < it->users.count; u++) {
            const struct edge_list *in = &f->items[it->users.to[u]].groups;
            for (int k = 0; k < in->count; k++)
                if (in->to[k] != group && !group_contains(f, in->to[k], g->members[i]) &&
                    visit(f, in->to[k], data))
                    return true;
        }
        for (int u = 0; u < it->after.count; u++) {
            const struct edge_list *in = &f->items[it->after.to[u]].groups;
            for (int k = 0; k < in->count; k++)
                if (in->to[k] != group && visit(f, in->to[k], data)) return true;
        }
    }
    return false;
}

struct search {
    int stamp; /* f->seen[group] == stamp: looked at */
    int goal;
};

static struct search search_new(struct fuser *f, int from, int goal) {
    if (f->groups_capacity > f->seen_capacity) {
        f->seen_capacity = f->groups_capacity;
        f->seen = arena_new_array(f->scratch, int, (size_t)f->seen_capacity);
    }
    struct search s = {++f->seen_stamp, goal};
    f->seen[from] = s.stamp;
    return s;
}

static bool search_from(struct fuser *f, int group, void *data) {
    struct search *s = data;
    if (group == s->goal) return true;
    if (f->seen[group] == s->stamp) return false;
    f->seen[group] = s->stamp;
    return group_successors(f, group, search_from, s);
}

static bool search_indirect(struct fuser *f, int group, void *data) {
    const struct search *s = data;
    return group != s->goal && search_from(f, group, data);
}

/* Whether `to` must run after `from` because of a third group that must run between the two. */
static bool leads_indirectly(struct fuser *f, int from, int to) {
    struct search s = search_new(f, from, to);
    return group_successors(f, from, search_indirect, &s);
}

/* ---- Putting groups together ---- */

static const char *group_text(const struct fuser *f, int group) {
    const struct group *g = &f->groups[group];
    const char *text = "";
    for (int i = 0; i < g->count && i < 4; i++)
        text = arena_printf(f->scratch, "%s%s%s", text, i ? "+" : "",
                            op_info(f->items[g->members[i]].node->op)->name);
    return g->count > 4 ? arena_printf(f->scratch, "%s+%d more", text, g->count - 4) : text;
}

static struct loc group_loc(const struct fuser *f, int group) {
    return f->items[f->groups[group].members[0]].node->loc;
}

enum how { TOGETHER, SIDE_BY_SIDE, DISSOLVED };
struct candidate {
    enum how how;
    int from, to; /* groups; DISSOLVED: only `from` */
    double saved; /* bytes */
};

/* The trial becomes a group in place of its parts. */
static void form_group(struct fuser *f, const struct trial *t, enum domain domain) {
    bool *home = arena_new_array(f->scratch, bool, (size_t)t->count);
    for (int i = 0; i < t->count; i++) home[i] = trial_result(f, t, t->members[i]);
    for (int p = 0; p < 2; p++)
        for (int i = 0; t->parts[p] >= 0 && i < f->groups[t->parts[p]].count; i++) {
            struct item *it = &f->items[f->groups[t->parts[p]].members[i]];
            if (it->home == t->parts[p]) it->home = -1;
        }
    for (int p = 0; p < 2; p++)
        if (t->parts[p] >= 0) group_end(f, t->parts[p]);
    int made = group_new(f, t->members, t->count, domain);
    for (int p = 0; p < 2; p++)
        if (t->parts[p] >= 0) f->groups[t->parts[p]].into = made;
    for (int i = 0; i < t->count; i++)
        if (home[i]) f->items[t->members[i]].home = made;
}

static bool refused(const char **why, const char *reason) {
    *why = reason;
    return false;
}

static bool try_together(struct fuser *f, const struct candidate *c, const char **why) {
    struct trial t = trial_of(f, c->from, c->to);
    enum domain domain;
    if (t.count > f->max) return refused(why, "more nodes than max");
    if (!trial_domain(f, &t, &domain)) return refused(why, t.why);
    if (leads_indirectly(f, c->from, c->to) || leads_indirectly(f, c->to, c->from))
        return refused(why, "a third kernel has to run between the two");
    pass_explain(f->g, group_loc(f, c->to), "%s %s %s: one kernel (%s) saves %.0f bytes",
                 group_text(f, c->from), c->how == TOGETHER ? "into" : "beside", group_text(f, c->to),
                 domain_name(domain), c->saved);
    form_group(f, &t, domain);
    return true;
}

/* Groups that read what `group` puts in memory; structure nodes are groups too. */
static struct edge_list readers(struct fuser *f, int group) {
    struct edge_list list = {NULL, 0, 0};
    const struct group *g = &f->groups[group];
    for (int i = 0; i < g->count; i++) {
        const struct item *it = &f->items[g->members[i]];
        for (int u = 0; it->home == group && u < it->users.count; u++) {
            const struct edge_list *in = &f->items[it->users.to[u]].groups;
            for (int k = 0; k < in->count; k++) {
                bool known = group_contains(f, in->to[k], g->members[i]);
                for (int j = 0; j < list.count; j++) known |= list.to[j] == in->to[k];
                if (!known) arena_push(f->scratch, list.to, list.count, list.capacity, in->to[k]);
            }
        }
    }
    return list;
}

static bool is_structure(const struct fuser *f, int group) {
    return f->items[f->groups[group].members[0]].role == ROLE_STRUCTURE;
}

/* Whether `to` must run after something that must run after `from`: an assignment to what `from` reads. */
static bool must_run_before(struct fuser *f, int from, int to) {
    const struct group *g = &f->groups[from];
    struct search s = search_new(f, from, to);
    for (int i = 0; i < g->count; i++) {
        const struct edge_list *after = &f->items[g->members[i]].after;
        for (int u = 0; u < after->count; u++) {
            const struct edge_list *in = &f->items[after->to[u]].groups;
            for (int k = 0; k < in->count; k++)
                if (in->to[k] != to && search_from(f, in->to[k], &s)) return true;
        }
    }
    return false;
}

static bool try_dissolve(struct fuser *f, const struct candidate *c, const char **why) {
    struct edge_list to = readers(f, c->from);
    struct trial *trials = arena_new_array(f->scratch, struct trial, (size_t)to.count);
    enum domain *domains = arena_new_array(f->scratch, enum domain, (size_t)to.count);
    for (int i = 0; i < to.count; i++) {
        if (is_structure(f, to.to[i])) return refused(why, "it is needed in memory");
        trials[i] = trial_of(f, to.to[i], c->from);
        trials[i].parts[1] = -1;
        if (trials[i].count > f->max) return refused(why, "more nodes than max");
        if (!trial_domain(f, &trials[i], &domains[i])) return refused(why, trials[i].why);
        if (must_run_before(f, c->from, to.to[i]))
            return refused(why, "what it reads is assigned before a reader can run");
    }
    pass_explain(f->g, group_loc(f, c->from), "%s: computed anew in each of its %d readers, saves %.0f bytes",
                 group_text(f, c->from), to.count, c->saved);
    for (int i = 0; i < f->groups[c->from].count; i++) f->items[f->groups[c->from].members[i]].home = -1;
    group_end(f, c->from);
    for (int i = 0; i < to.count; i++) form_group(f, &trials[i], domains[i]);
    return true;
}

/* What a group has become part of; -1: it is dissolved. */
static int group_now(const struct fuser *f, int group) {
    while (group >= 0 && !f->groups[group].alive) group = f->groups[group].into;
    return group;
}

static double bytes_between(const struct fuser *f, int from, int to);

/* Groups that were put together with others meanwhile are tried as what they are now, if that saves no less:
 * else the next round sees to them. */
static bool try_candidate(struct fuser *f, struct candidate *c, const char **why) {
    int from = group_now(f, c->from), to = c->how == DISSOLVED ? -1 : group_now(f, c->to);
    bool changed = from != c->from || (c->how != DISSOLVED && to != c->to);
    *why = NULL;
    if (from < 0 || from == to || (c->how != DISSOLVED && to < 0)) return false;
    if (changed && (c->how != TOGETHER || bytes_between(f, from, to) < c->saved)) return false;
    c->from = from;
    c->to = to;
    return c->how == DISSOLVED ? try_dissolve(f, c, why) : try_together(f, c, why);
}

/* ---- Candidates ---- */

struct candidates {
    struct candidate *list;
    int count, capacity;
};

static void propose(struct fuser *f, struct candidates *c, enum how how, int from, int to, double saved) {
    struct candidate made = {how, from, to, saved};
    if (saved > 0) arena_push(f->scratch, c->list, c->count, c->capacity, made);
}

/* Bytes not moved when `to` computes what it reads of `from` itself, or they are one kernel: the read, and
 * the write where nobody else reads it. */
static double bytes_between(const struct fuser *f, int from, int to) {
    double bytes = 0;
    const struct group *g = &f->groups[from];
    for (int i = 0; i < g->count; i++) {
        const struct item *it = &f->items[g->members[i]];
        struct trial pair = {NULL, 0, {from, to}, NULL};
        bool read = false;
        for (int u = 0; u < it->users.count; u++) read |= group_contains(f, to, it->users.to[u]);
        if (it->home != from || !read || group_contains(f, to, g->members[i])) continue;
        bytes += it->bytes * (trial_result(f, &pair, g->members[i]) ? 1 : 2);
    }
    return bytes;
}

static bool is_cheap(const struct fuser *f, int group, bool *views) {
    const struct group *g = &f->groups[group];
    *views = true;
    for (int i = 0; i < g->count; i++) {
        const struct item *it = &f->items[g->members[i]];
        if (it->needed) return false;
        bool view = it->role == ROLE_VIEW || it->role == ROLE_MAKER;
        *views &= view;
        if (!view && it->role != ROLE_POINTWISE && it->role != ROLE_INDEXED) return false;
        if (op_info(it->node->op)->family == FAMILY_random) return false;
    }
    return true;
}

/* Bytes that a group reads of memory: each operand whole, or as much as the group's results can take of it.
 */
static double bytes_in(const struct fuser *f, int group) {
    const struct group *g = &f->groups[group];
    double bytes = 0, elements = 0;
    for (int i = 0; i < g->count; i++)
        if (f->items[g->members[i]].home == group) elements += f->items[g->members[i]].elements;
    for (int i = 0; i < g->count; i++) {
        const struct node *n = f->items[g->members[i]].node;
        for (int k = 0; k < n->operands_count; k++) {
            struct value *v = n->operands[k];
            bool inner = v && v->def && f->item_of[v->def->id] >= 0 &&
                         group_contains(f, group, f->item_of[v->def->id]);
            if (!v || inner || value_is_constant(v)) continue;
            double size = value_elements(v);
            bytes += (size < elements ? size : elements) * dtype_bytes(v->type.dtype);
        }
    }
    return bytes;
}

static void propose_dissolving(struct fuser *f, struct candidates *c, int group, const struct edge_list *to) {
    bool views;
    if (!is_cheap(f, group, &views) || to->count < 2) return; /* one reader: put together with it */
    if (!views && (double)to->count > f->recompute) return;
    double out = 0, in = bytes_in(f, group);
    for (int i = 0; i < f->groups[group].count; i++)
        if (f->items[f->groups[group].members[i]].home == group)
            out += f->items[f->groups[group].members[i]].bytes;
    propose(f, c, DISSOLVED, group, -1, in + out + to->count * (out - in));
}

/* Groups that read the same value, neighbours in the block's order. */
static void propose_siblings(struct fuser *f, struct candidates *c, const struct value *v,
                             const struct edge_list *users) {
    int last = -1;
    for (int u = 0; u < users->count; u++) {
        const struct edge_list *in = &f->items[users->to[u]].groups;
        for (int k = 0; k < in->count; k++) {
            int group = in->to[k];
            if (is_structure(f, group) || group == last) continue;
            if (last >= 0 && f->groups[last].domain == f->groups[group].domain)
                propose(f, c, SIDE_BY_SIDE, last, group, value_bytes(v));
            last = group;
        }
    }
}

static struct edge_list users_of_argument(struct fuser *f, const struct value *v) {
    struct edge_list users = {NULL, 0, 0};
    for (int i = 0; i < f->count; i++) {
        const struct node *n = f->items[i].node;
        bool uses = false;
        for (int k = 0; k < n->operands_count; k++) uses |= n->operands[k] == v;
        if (uses) arena_push(f->scratch, users.to, users.count, users.capacity, i);
    }
    return users;
}

static struct candidates candidates_of(struct fuser *f) {
    struct candidates c = {NULL, 0, 0};
    for (int g = 0; g < f->groups_count; g++) {
        if (!f->groups[g].alive || is_structure(f, g)) continue;
        struct edge_list to = readers(f, g);
        for (int i = 0; i < to.count; i++)
            if (!is_structure(f, to.to[i]))
                propose(f, &c, TOGETHER, g, to.to[i], bytes_between(f, g, to.to[i]));
        propose_dissolving(f, &c, g, &to);
    }
    for (int i = 0; i < f->count; i++) {
        const struct item *it = &f->items[i];
        bool in_memory = it->home >= 0 || (it->role == ROLE_STRUCTURE && it->node->op != OP_constant);
        if (in_memory && it->node->results_count) propose_siblings(f, &c, it->node->results[0], &it->users);
    }
    for (int i = 0; i < f->block->args_count; i++) {
        struct edge_list users = users_of_argument(f, f->block->args[i]);
        propose_siblings(f, &c, f->block->args[i], &users);
    }
    return c;
}

static int by_saved(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (x->saved != y->saved) return x->saved > y->saved ? -1 : 1;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    if (x->to != y->to) return x->to < y->to ? -1 : 1;
    return (int)x->how - (int)y->how;
}

static void explain_refusal(const struct fuser *f, const struct candidate *c, const char *why) {
    if (!why) return;
    if (c->how == DISSOLVED) return;
    pass_explain(f->g, group_loc(f, c->to), "%s not %s %s: %s", group_text(f, c->from),
                 c->how == TOGETHER ? "into" : "beside", group_text(f, c->to), why);
}

/* One round: all candidates of the groups as they are, best first. False: none could be done. */
static bool fuse_round(struct fuser *f) {
    struct candidates c = candidates_of(f);
    const char **why = arena_new_array(f->scratch, const char *, (size_t)c.count + 1);
    bool changed = false;
    if (c.count) qsort(c.list, (size_t)c.count, sizeof *c.list, by_saved);
    for (int i = 0; i < c.count; i++) changed |= try_candidate(f, &c.list[i], &why[i]);
    for (int i = 0; !changed && i < c.count; i++) explain_refusal(f, &c.list[i], why[i]);
    return changed;
}

/* Views and indices dissolve first, from the last to the first, so that chains of them go together. */
static void dissolve_views(struct fuser *f) {
    const char *why;
    for (int i = f->count - 1; i >= 0; i--) {
        const struct item *it = &f->items[i];
        struct candidate c = {DISSOLVED, it->home, -1, it->bytes};
        if ((it->role == ROLE_VIEW || it->role == ROLE_MAKER) && !it->needed) try_candidate(f, &c, &why);
    }
}

static void start_groups(struct fuser *f) {
    for (int i = 0; i < f->count; i++) {
        struct trial alone = {&i, 1, {-1, -1}, NULL};
        enum domain domain = DOMAIN_loops;
        bool good = f->items[i].role == ROLE_STRUCTURE || trial_domain(f, &alone, &domain);
        if (!good) ice("no kernel can do %s: %s", op_info(f->items[i].node->op)->name, alone.why);
        f->items[i].home = group_new(f, &i, 1, domain);
    }
}

/* ---- States ---- */

static bool assigns(const struct node *n, const struct global *global) {
    if (n->op == OP_assign && n->global == global) return true;
    for (struct node *inner = NULL; n->body && (inner = node_walk(n->body, inner));)
        if (inner->op == OP_assign && inner->global == global) return true;
    return false;
}

/* Puts `by`, if it is one, for v in a list of operands or results; whether v is there. */
static bool in_list(struct value **list, int count, const struct value *v, struct value *by) {
    bool found = false;
    for (int i = 0; i < count; i++) {
        if (list[i] != v) continue;
        found = true;
        if (by) list[i] = by;
    }
    return found;
}

/* The same for all that running n reads, in its body too. */
static bool uses_value(struct node *n, const struct value *v, struct value *by) {
    bool found = in_list(n->operands, n->operands_count, v, by);
    if (!n->body) return found;
    for (struct node *inner = n->body->first; inner; inner = inner->next) found |= uses_value(inner, v, by);
    return in_list(n->body->results, n->body->results_count, v, by) || found;
}

/* A state's old value that is used after the state is assigned is copied before. */
static bool keep_old_value(struct graph *g, struct node *read) {
    bool assigned = false, late = false;
    struct block *b = read->parent;
    for (struct node *n = read->next; n && !late; n = n->next) {
        bool around = n->op == OP_scan && assigns(n, read->global); /* its next round comes after */
        late = (assigned || around) && uses_value(n, read->results[0], NULL);
        assigned = assigned || assigns(n, read->global);
    }
    late |= assigned && in_list(b->results, b->results_count, read->results[0], NULL);
    if (!late) return false;
    struct value *old = read->results[0];
    struct builder at = {g, read->next, read->loc};
    struct node *copy = node_new(g, OP_reshape, 1, &old, read->loc);
    *node_attr(copy, "shape") = attr_extents(g, old->type.rank, old->type.extents);
    struct value *kept = build_finish(&at, copy);
    for (struct node *n = copy->next; n; n = n->next) uses_value(n, old, kept);
    in_list(b->results, b->results_count, old, kept);
    return true;
}

/* ---- The pass ---- */

static bool fuse_block(struct graph *g, struct block *b, int *kernels) {
    bool changed = false, any = false;
    for (struct node *n = b->first; n; n = n->next) {
        if (n->op == OP_scan) changed |= fuse_block(g, n->body, kernels);
        if (n->op == OP_param && (n->global->kind == GLOBAL_STATE || n->global->assigned))
            changed |= keep_old_value(g, n);
        any |= node_role(n) != ROLE_STRUCTURE;
    }
    if (!any) return changed;
    struct fuser f = {.g = g, .scratch = g->pass->scratch, .block = b, .kernels = kernels};
    f.max = (int)pass_option(g, "max");
    f.recompute = (double)pass_option(g, "recompute");
    fuser_prepare(&f);
    start_groups(&f);
    if (f.max > 1) {
        dissolve_views(&f);
        while (fuse_round(&f)) continue;
    }
    fuser_build(&f);
    return true;
}

static int kernels_so_far(const struct graph *g) {
    int count = 0;
    for (const struct function *f = g->functions; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));) count += n->op == OP_kernel;
    return count;
}

bool pass_fuse(struct graph *g) {
    bool changed = false;
    int kernels = kernels_so_far(g);
    for (struct function *f = g->functions; f; f = f->next) changed |= fuse_block(g, f->body, &kernels);
    graph_settle(g);
    return pass_dce(g) || changed; /* constants now live in the kernels that use them */
}
