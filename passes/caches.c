/* Finds caches: follows each state's contents from where it is read through `write`, through `gather` of a
 * batch's rows and into kernels, and looks at every use on the way.
 *
 *     s0 = k_cache[0]    w0 = write(s0, k, at=pos)    k_cache[0] = w0    a = sdpa(q, w0, ...)
 *                                                                        only keys: a cache */
#include "passes/caches.h"

struct search {
    struct graph *g;
    int *state;      /* [values] 1 + id of the state whose contents it is, or 0 */
    unsigned *roles; /* [globals] */
    bool *other;     /* [globals] used in another way */
    bool changed;
};

static void set(struct search *s, const struct value *v, int state) {
    if (!state || s->state[v->id]) return;
    s->state[v->id] = state;
    s->changed = true;
}

/* Whole rows of a batch, chosen by ids: gather(k_cache[0], slots). */
static bool takes_rows(const struct node *n) { return n->op == OP_gather && node_attr(n, "axis")->i == 0; }

static void follow(struct search *s, struct node *n) {
    if (n->op == OP_param && n->global->kind == GLOBAL_STATE) set(s, n->results[0], n->global->id + 1);
    if (n->op == OP_write || takes_rows(n)) set(s, n->results[0], s->state[n->operands[0]->id]);
    if (n->op != OP_kernel) return;
    for (int i = 0; i < n->operands_count; i++) set(s, n->body->args[i], s->state[n->operands[i]->id]);
    for (int i = 0; i < n->results_count; i++) set(s, n->results[i], s->state[n->body->results[i]->id]);
}

/* How the schedule of attention's kernel takes inputs: one at a time, or in pairs; 0: there is no schedule
 * yet. */
static unsigned inputs_of(const struct node *n) {
    const struct node *kernel = n->parent->owner;
    if (!kernel || kernel->op != OP_kernel || !kernel->schedule) return 0;
    return atom_info(kernel->schedule->atom)->k == 2 ? CACHE_PAIRS : CACHE_SINGLES;
}

/* What a node does with operand `i`, the contents of a state. */
static void judge(struct search *s, const struct node *n, int i) {
    int state = s->state[n->operands[i]->id] - 1;
    bool attends = op_info(n->op)->family == FAMILY_sdpa && (i == 1 || i == 2);
    bool stays = ((n->op == OP_write || takes_rows(n)) && i == 0) || n->op == OP_kernel ||
                 (n->op == OP_assign && i == 0 && n->global->id == state);
    if (attends)
        s->roles[state] |= (i == 1 ? CACHE_KEYS : CACHE_VALUES) | inputs_of(n);
    else if (!stays)
        s->other[state] = true;
}

static void judge_results(struct search *s, const struct block *b) {
    for (int i = 0; i < b->results_count; i++)
        if (s->state[b->results[i]->id]) s->other[s->state[b->results[i]->id] - 1] = true;
}

static void judge_all(struct search *s, const struct function *f) {
    judge_results(s, f->body);
    for (struct node *n = NULL; (n = node_walk(f->body, n));) {
        if (n->body && n->op != OP_kernel) judge_results(s, n->body);
        for (int i = 0; i < n->operands_count; i++)
            if (n->operands[i] && s->state[n->operands[i]->id]) judge(s, n, i);
    }
}

unsigned *find_caches(struct graph *g, struct arena *scratch) {
    struct search s = {.g = g, .state = arena_new_array(scratch, int, (size_t)g->values + 1)};
    s.roles = arena_new_array(scratch, unsigned, (size_t)g->globals_count + 1);
    s.other = arena_new_array(scratch, bool, (size_t)g->globals_count + 1);
    do {
        s.changed = false;
        for (struct function *f = g->functions; f; f = f->next)
            for (struct node *n = NULL; (n = node_walk(f->body, n));) follow(&s, n);
    } while (s.changed);
    for (struct function *f = g->functions; f; f = f->next) judge_all(&s, f);
    for (int i = 0; i < g->globals_count; i++)
        if (s.other[i]) s.roles[i] = 0;
    return s.roles;
}
