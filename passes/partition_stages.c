/* Programs by role: what is placed at a coordinate of an axis runs on the ranks there only.
 *
 *     x = gather(embed, tokens) on m.pipeline(0)          export fn f(...) fixed(m.pipeline=0) {
 *     y = linear(x, w)          on m.pipeline(1)              x = gather(embed, tokens)
 *                                                   =>        send("m.pipeline", to=1, x)
 *                                                         export fn f(...) fixed(m.pipeline=1) {
 *                                                             x = receive("m.pipeline", from=0, ...)
 *                                                             y = linear(x, w)
 *
 * A value is sent once to each place that needs it (TensorFlow, OSDI 2016, section 3.3). What nobody placed
 * runs where it is used: params and constants are at hand everywhere. Messages keep the order of the one
 * program that all roles are cut from, so they cannot wait for each other in a circle. */
#include "passes/partition.h"
#include <string.h>

enum { MAX_STAGES = 64 };

struct transfer {
    struct value *value;
    struct node *receive;
};
struct stages {
    struct partition *p;
    struct function *f;
    int axis, count;
    uint64_t *where; /* [nodes] bit k: runs at coordinate k */
    int nodes;
    uint64_t **read, **assigned; /* [globals][elements] where */
    struct transfer *transfers;
    int transfers_count, transfers_capacity;
};

static uint64_t all_stages(const struct stages *s) {
    return s->count == MAX_STAGES ? UINT64_MAX : (UINT64_C(1) << s->count) - 1;
}

/* ---- Where nodes run ---- */

static bool find_axis(struct stages *s) {
    struct graph *g = s->p->g;
    const struct placement *first = NULL;
    for (struct node *n = NULL; (n = node_walk(s->f->body, n));) {
        if (!n->on || n->on->mesh->axes[n->on->axis].size == 1) continue;
        if (!first) first = n->on;
        if (n->on->axis == first->axis) continue;
        diag_error(g->diag, n->loc,
                   "this is placed on axis %s, what came before on axis %s: a program has stages "
                   "along one axis",
                   n->on->mesh->axes[n->on->axis].coordinate->name,
                   first->mesh->axes[first->axis].coordinate->name);
        return false;
    }
    if (!first) return false;
    s->axis = first->axis;
    s->count = (int)first->mesh->axes[first->axis].size;
    if (s->count <= MAX_STAGES) return true;
    diag_error(g->diag, s->f->loc, "axis %s has %d stages; %d are supported here",
               first->mesh->axes[first->axis].coordinate->name, s->count, MAX_STAGES);
    return false;
}

static bool inside_is_placed_alike(struct stages *s, const struct node *scan) {
    for (struct node *n = NULL; (n = node_walk(scan->body, n));)
        if (n->on && (!scan->on || n->on->index != scan->on->index)) {
            diag_error(s->p->g->diag, n->loc,
                       "a stage cannot be inside of a scan; place the loop, or write it as "
                       "`for i in`, which is unrolled");
            return false;
        }
    return true;
}

/* The tensor of a global that a node names; of those that a run-time index chooses, the first stands for all.
 */
static uint64_t *state_of(uint64_t **of, const struct node *n) {
    int index = n->op == OP_assign ? 1 : 0;
    bool any = n->operands_count > index && n->operands[index];
    return &of[n->global->id][any ? 0 : n->element];
}

/* Calls visit for everything that n, or what is inside of it, reads. */
static void each_read(struct stages *s, const struct node *n,
                      void (*visit)(struct stages *, const struct value *, void *), void *data) {
    for (int i = 0; i < n->operands_count; i++) visit(s, value_now(n->operands[i]), data);
    for (int i = 0; n->body && i < n->body->results_count; i++)
        visit(s, value_now(n->body->results[i]), data);
    for (const struct node *inner = n->body ? n->body->first : NULL; inner; inner = inner->next)
        each_read(s, inner, visit, data);
}

static void use(struct stages *s, const struct value *v, void *where) {
    if (v && v->def && v->def->id < s->nodes) s->where[v->def->id] |= *(uint64_t *)where;
}

/* On every rank that uses it; a state that is assigned is only where it is assigned. */
static bool is_at_hand(const struct node *n) {
    return n->op == OP_constant ||
           (n->op == OP_param && n->global->kind == GLOBAL_PARAM && !n->global->assigned);
}

/* A read of a state is where that is assigned, whoever wants it; other nodes where a person has put them; of
 * the rest an assignment where the state is read, and what only makes values where they are used. */
static uint64_t place_of(struct stages *s, const struct node *n, uint64_t users) {
    if (n->op == OP_param && *state_of(s->assigned, n)) return *state_of(s->assigned, n);
    if (is_at_hand(n)) return users;
    if (n->on) return UINT64_C(1) << n->on->index;
    if (n->op == OP_guard || (n->op == OP_scan && node_has_effect(n))) return all_stages(s);
    if (n->op == OP_assign) return *state_of(s->read, n) ? *state_of(s->read, n) : all_stages(s);
    return users;
}

/* What n, or a loop's body, reads and assigns, it does so there. */
static void note_states(struct stages *s, const struct node *n, uint64_t where) {
    if (n->op == OP_param) *state_of(s->read, n) |= where;
    if (n->op == OP_assign) *state_of(s->assigned, n) |= where;
    for (const struct node *inner = n->body ? n->body->first : NULL; inner; inner = inner->next)
        note_states(s, inner, where);
}

/* From the last node to the first. */
static void sweep(struct stages *s) {
    const struct block *b = s->f->body;
    uint64_t all = all_stages(s);
    for (int i = 0; i < b->results_count; i++) use(s, value_now(b->results[i]), &all);
    for (struct node *n = b->last; n; n = n->prev) {
        uint64_t *where = &s->where[n->id];
        *where = place_of(s, n, *where);
        note_states(s, n, *where);
        each_read(s, n, use, where);
    }
}

/* What one sweep found of the assignments, the next knows of the reads before them. */
static void start_sweep(struct stages *s) {
    memset(s->where, 0, (size_t)s->nodes * sizeof *s->where);
    for (const struct global *w = s->p->g->globals; w; w = w->next)
        memset(s->read[w->id], 0, (size_t)global_elements(w) * sizeof **s->read);
}

static bool check_state(struct stages *s, const struct node *n, uint64_t here) {
    bool alike = here == *state_of(s->assigned, n);
    if (n->op == OP_param && !*state_of(s->assigned, n)) return true;
    if (alike || (n->op != OP_param && n->op != OP_assign)) return true;
    diag_error(s->p->g->diag, n->loc,
               n->op == OP_assign
                   ? "%s is assigned in several stages: place all assignments in one"
                   : "%s is read in a loop, but assigned in another stage: read it before the loop",
               n->global->name);
    return false;
}

/* A state is where it is written: nobody else sees it change. */
static bool check_states(struct stages *s, const struct block *b, uint64_t here) {
    bool good = true;
    for (struct node *n = b->first; n; n = n->next) {
        uint64_t there = b->owner ? here : s->where[n->id];
        if (n->op == OP_param || n->op == OP_assign) good &= check_state(s, n, there);
        if (n->body) good &= check_states(s, n->body, there);
    }
    return good;
}

/* ---- Messages ---- */

static struct node *message(struct stages *s, enum op op, struct value *x, const char *attr, int member,
                            struct node *before) {
    struct graph *g = s->p->g;
    struct rank_group over = {.mesh = s->p->mesh, .count = 1, .axes = {(uint8_t)s->axis}};
    struct node *n = node_new(g, op, op == OP_send, &x, x->loc);
    *node_attr(n, "over") = (struct attr){.set = true, .s = rank_group_text(g->arena, &over)};
    *node_attr(n, attr) = (struct attr){.set = true, .i = member};
    if (op == OP_receive) {
        *node_attr(n, "shape") = attr_extents(g, x->type.rank, x->type.extents);
        *node_attr(n, "dtype") = (struct attr){.set = true, .dtype = x->type.dtype};
    }
    if (!node_infer(g, n)) ice("a message does not infer");
    if (before)
        node_insert_before(n, before);
    else
        block_append(s->f->body, n);
    return n;
}

static void grow_where(struct stages *s, const struct node *n, uint64_t where) {
    uint64_t *longer = arena_new_array(s->p->g->pass->scratch, uint64_t, (size_t)n->id + 64);
    if (n->id >= s->nodes) {
        memcpy(longer, s->where, (size_t)s->nodes * sizeof *longer);
        s->where = longer;
        s->nodes = n->id + 64;
    }
    s->where[n->id] = where;
}

/* From a place that has the value to one that needs it. */
static void transfer(struct stages *s, struct value *v, int from, int to, struct node *before) {
    struct node *send = message(s, OP_send, v, "to", to, before);
    grow_where(s, send, UINT64_C(1) << from);
    struct node *receive = message(s, OP_receive, v, "from", from, before);
    grow_where(s, receive, UINT64_C(1) << to);
    receive->results[0]->name = v->name;
    arena_push(s->p->g->pass->scratch, s->transfers, s->transfers_count, s->transfers_capacity,
               ((struct transfer){v, receive}));
}

struct search {
    const struct value *value;
    bool found;
};

static void see(struct stages *s, const struct value *v, void *data) {
    struct search *search = data;
    (void)s;
    search->found |= v && v == search->value;
}

/* Where a value is used in the function's body. */
static uint64_t users_of(struct stages *s, const struct value *v) {
    uint64_t users = 0;
    for (const struct node *n = v->def->next; n; n = n->next) {
        struct search search = {v, false};
        each_read(s, n, see, &search);
        if (search.found) users |= s->where[n->id];
    }
    return users;
}

static void send_value(struct stages *s, struct value *v, struct node *behind, uint64_t users) {
    uint64_t have = s->where[v->def->id], missing = users & ~have;
    for (int k = 0; k < s->count; k++)
        if (missing >> k & 1) transfer(s, v, __builtin_ctzll(have), k, behind);
}

static bool is_result(const struct function *f, const struct value *v) {
    for (int i = 0; i < f->body->results_count; i++)
        if (value_now(f->body->results[i]) == v) return true;
    return false;
}

static bool was_sent(const struct stages *s, const struct value *v, int to) {
    for (int i = 0; i < s->transfers_count; i++)
        if (s->transfers[i].value == v && s->where[s->transfers[i].receive->id] >> to & 1) return true;
    return false;
}

/* To others right behind their definition; results, which nobody waits for, at the end. */
static void send_all(struct stages *s) {
    struct block *b = s->f->body;
    for (struct node *n = b->first, *next; n; n = next) {
        next = n->next;
        if (is_at_hand(n) || !s->where[n->id]) continue;
        for (int i = 0; i < n->results_count; i++) {
            send_value(s, n->results[i], next, users_of(s, n->results[i]));
        }
    }
    for (struct node *n = b->first, *last = b->last; n; n = n->next) {
        for (int i = 0; !is_at_hand(n) && i < n->results_count && is_result(s->f, n->results[i]); i++) {
            uint64_t needed = 0;
            for (int k = 0; k < s->count; k++)
                if (!was_sent(s, n->results[i], k)) needed |= UINT64_C(1) << k;
            if (n->op != OP_receive) send_value(s, n->results[i], NULL, needed);
        }
        if (n == last) break;
    }
}

/* ---- Roles ---- */

/* The copy of the function for one coordinate: without what others run, with received values for theirs. */
static struct function *role(struct stages *s, int stage) {
    struct graph *g = s->p->g;
    int64_t *fixed = arena_new_array(g->pass->scratch, int64_t, (size_t)g->dims_count + 1);
    for (int i = 0; i < g->dims_count; i++) fixed[i] = s->f->fixed ? s->f->fixed[i] : -1;
    fixed[s->p->mesh->axes[s->axis].coordinate->id] = stage;
    struct function *made = function_version(g, s->f, fixed);
    struct node *from = s->f->body->first;
    struct node **copies = arena_new_array(g->pass->scratch, struct node *, (size_t)s->nodes + 1);
    for (struct node *n = made->body->first; n; n = n->next, from = from->next) copies[from->id] = n;
    for (int i = 0; i < s->transfers_count; i++) {
        const struct transfer *t = &s->transfers[i];
        if (!(s->where[t->receive->id] >> stage & 1)) continue;
        value_replace(copies[t->value->def->id]->results[t->value->index],
                      copies[t->receive->id]->results[0]);
    }
    for (from = s->f->body->first; from; from = from->next)
        if (!(s->where[from->id] >> stage & 1)) node_remove(copies[from->id]);
    return made;
}

static bool split(struct partition *p, struct function *f, struct function ***end) {
    struct graph *g = p->g;
    struct stages s = {.p = p, .f = f, .nodes = g->nodes + 1};
    int errors = g->diag->errors;
    if (!find_axis(&s)) {
        **end = f;
        *end = &f->next;
        return g->diag->errors == errors;
    }
    for (struct node *n = f->body->first; n; n = n->next)
        if (n->op == OP_scan && !inside_is_placed_alike(&s, n)) return false;
    s.where = arena_new_array(g->pass->scratch, uint64_t, (size_t)s.nodes);
    s.read = arena_new_array(g->pass->scratch, uint64_t *, (size_t)g->globals_count + 1);
    s.assigned = arena_new_array(g->pass->scratch, uint64_t *, (size_t)g->globals_count + 1);
    for (const struct global *w = g->globals; w; w = w->next) {
        s.read[w->id] = arena_new_array(g->pass->scratch, uint64_t, (size_t)global_elements(w));
        s.assigned[w->id] = arena_new_array(g->pass->scratch, uint64_t, (size_t)global_elements(w));
    }
    for (int i = 0; i < 3; i++) { /* assignments, reads of what they assign, what these need */
        start_sweep(&s);
        sweep(&s);
    }
    if (!check_states(&s, f->body, 0)) return false;
    send_all(&s);
    for (int k = 0; k < s.count; k++) {
        **end = role(&s, k);
        *end = &(**end)->next;
    }
    return true;
}

bool partition_stages(struct partition *p) {
    struct function *list = NULL, **end = &list;
    bool good = true;
    for (struct function *f = p->g->functions, *next; f; f = next) {
        next = f->next;
        good &= split(p, f, &end);
    }
    *end = NULL;
    if (!good) return false;
    p->g->functions = list;
    for (struct function *f = list; f; f = f->next)
        for (struct node *n = NULL; (n = node_walk(f->body, n));) n->on = NULL;
    return true;
}
