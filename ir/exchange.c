/* Meetings of ranks: who waits for whom, and what is said when nobody can go on. */
#include "ir/exchange.h"
#include "ir/collective.h"
#include "ir/piece.h"
#include <pthread.h>
#include <string.h>

enum state { OUTSIDE, RUNNING, WAITING, ENDED };
struct member { /* a rank */
    struct eval *eval;
    const struct node *at; /* WAITING: where */
    enum state state;
};
struct letter { /* sent and not yet received */
    int64_t from, to;
    struct array *array;
    struct letter *next;
};
struct exchange {
    const struct mesh *mesh;
    struct arena *arena;
    int64_t count;
    struct member *members; /* [count] */
    struct letter *letters; /* in the order in which they were sent */
    bool failed;            /* some rank ended badly, or nobody could go on */
    pthread_mutex_t turn;   /* who has it runs */
    pthread_cond_t changed;
};

struct exchange *exchange_new(struct arena *a, const struct mesh *m) {
    struct exchange *x = arena_new_object(a, struct exchange);
    *x = (struct exchange){.mesh = m, .arena = a, .count = mesh_ranks(m)};
    x->members = arena_new_array(a, struct member, (size_t)x->count);
    pthread_mutex_init(&x->turn, NULL);
    pthread_cond_init(&x->changed, NULL);
    return x;
}

void exchange_free(struct exchange *x) {
    pthread_cond_destroy(&x->changed);
    pthread_mutex_destroy(&x->turn);
}

/* Where each rank waits, for the message. */
static const char *waiting(const struct exchange *x) {
    const char *text = "";
    for (int64_t i = 0; i < x->count; i++) {
        const struct node *n = x->members[i].at;
        const char *what = x->members[i].state == ENDED ? "has ended" : n ? op_info(n->op)->name : "runs";
        text = arena_printf(x->arena, "%s%srank %lld %s%s", text, *text ? ", " : "", (long long)i,
                            n ? "is at " : "", what);
        if (n && n->loc.source) text = arena_printf(x->arena, "%s (line %d)", text, n->loc.line);
    }
    return text;
}

/* If all that have not ended wait, none of them will ever go on. */
static void look_for_deadlock(struct exchange *x) {
    int waiters = 0;
    for (int64_t i = 0; i < x->count; i++) {
        if (x->members[i].state == RUNNING || x->members[i].state == OUTSIDE) return;
        waiters += x->members[i].state == WAITING;
    }
    if (!waiters || x->failed) return;
    const char *where = waiting(x);
    x->failed = true;
    for (int64_t i = 0; i < x->count; i++) {
        struct member *m = &x->members[i];
        if (m->state == WAITING) eval_fail(m->eval, m->at, "ranks wait for each other: %s", where);
    }
    pthread_cond_broadcast(&x->changed);
}

void exchange_enter(struct exchange *x, int64_t rank, struct eval *e) {
    pthread_mutex_lock(&x->turn);
    x->members[rank].eval = e;
    x->members[rank].state = RUNNING;
}

void exchange_leave(struct exchange *x, int64_t rank, bool good) {
    x->members[rank].state = ENDED;
    if (!good) x->failed = true;
    if (!good) pthread_cond_broadcast(&x->changed);
    look_for_deadlock(x);
    pthread_mutex_unlock(&x->turn);
}

/* Until `m` is let go on; false: it never will be. */
static bool wait_here(struct exchange *x, struct member *m, const struct node *n) {
    m->at = n;
    m->state = WAITING;
    look_for_deadlock(x);
    while (m->state == WAITING && !x->failed) pthread_cond_wait(&x->changed, &x->turn);
    bool good = m->state == RUNNING;
    if (good) m->at = NULL;
    return good;
}

/* ---- Groups ---- */

/* The ranks of the group that `rank` is in, in the order of members; how many. */
static int group_ranks(struct exchange *x, const struct rank_group *group, int64_t rank, int64_t *ranks) {
    int64_t coordinates[MAX_MESH_AXES], members = rank_group_members(group);
    mesh_coordinates(x->mesh, rank, coordinates);
    for (int64_t i = 0; i < members; i++) {
        int64_t rest = i, number = 0;
        for (int k = group->count - 1; k >= 0; k--) {
            int64_t size = x->mesh->axes[group->axes[k]].size;
            coordinates[group->axes[k]] = rest % size;
            rest /= size;
        }
        for (int k = 0; k < x->mesh->axes_count; k++)
            number = number * x->mesh->axes[k].size + coordinates[k];
        ranks[i] = number;
    }
    return (int)members;
}

/* Whether two ranks stand at the same collective: not the same node where their roles differ. */
static bool same_collective(const struct node *a, const struct node *b) {
    if (a == b) return true;
    if (a->op != b->op || a->operands_count != b->operands_count) return false;
    if (strcmp(node_attr(a, "over")->s, node_attr(b, "over")->s) != 0) return false;
    return a->op != OP_all_reduce || !strcmp(node_attr(a, "reduce")->s, node_attr(b, "reduce")->s);
}

/* If the whole group stands at n, exchanges and lets the others go on. */
static bool meet(struct exchange *x, struct eval *e, const struct node *n, bool *met) {
    struct arena *a = e->arena;
    struct rank_group group = collective_group(e->graph, n);
    int64_t members = rank_group_members(&group), *ranks = arena_new_array(a, int64_t, (size_t)members);
    struct eval **evals = arena_new_array(a, struct eval *, (size_t)members);
    const struct node **nodes = arena_new_array(a, const struct node *, (size_t)members);
    int count = group_ranks(x, &group, e->interp->rank, ranks);
    for (int i = 0; i < count; i++) {
        const struct member *m = &x->members[ranks[i]];
        evals[i] = m->eval;
        nodes[i] = ranks[i] == e->interp->rank ? n : m->at;
        if (ranks[i] == e->interp->rank) continue;
        if (m->state != WAITING || !same_collective(n, m->at)) return true;
    }
    *met = true;
    if (!exchange_combine(evals, nodes, count)) return false;
    for (int i = 0; i < count; i++) x->members[ranks[i]].state = RUNNING;
    pthread_cond_broadcast(&x->changed);
    return true;
}

/* ---- From one to another ---- */

static int64_t peer(struct exchange *x, struct eval *e, const struct node *n, const char *attr) {
    struct rank_group group = collective_group(e->graph, n);
    int64_t *ranks = arena_new_array(e->arena, int64_t, (size_t)rank_group_members(&group));
    group_ranks(x, &group, e->interp->rank, ranks);
    return ranks[node_attr(n, attr)->i];
}

/* Whoever waits for a letter looks again. */
static bool post(struct exchange *x, struct eval *e, const struct node *n) {
    struct letter **end = &x->letters, *letter = arena_new_object(x->arena, struct letter);
    const struct array *from = eval_operand(e, n, 0);
    *letter = (struct letter){.from = e->interp->rank, .to = peer(x, e, n, "to")};
    letter->array = array_new(x->arena, from->dtype, from->rank, from->extents);
    array_copy(letter->array, 0, from, 0, from->elements);
    while (*end) end = &(*end)->next;
    *end = letter;
    struct member *m = &x->members[letter->to];
    if (m->state != WAITING || m->at->op != OP_receive) return true;
    m->state = RUNNING;
    pthread_cond_broadcast(&x->changed);
    return true;
}

static bool fetch(struct exchange *x, struct eval *e, const struct node *n) {
    int64_t rank = e->interp->rank, from = peer(x, e, n, "from");
    for (;;) {
        for (struct letter **at = &x->letters; *at; at = &(*at)->next) {
            struct letter *letter = *at;
            if (letter->from != from || letter->to != rank) continue;
            struct array *to = eval_result(e, n, 0);
            if (!to) return false;
            if (to->elements != letter->array->elements || to->dtype != letter->array->dtype)
                return eval_fail(e, n, "what rank %lld sent is of another type", (long long)from);
            array_copy(to, 0, letter->array, 0, to->elements);
            *at = letter->next;
            return true;
        }
        if (!wait_here(x, &x->members[rank], n)) return false;
    }
}

bool exchange_collective(struct eval *e, const struct node *n) {
    struct exchange *x = e->interp->exchange;
    bool met = false;
    if (n->op == OP_send) return post(x, e, n);
    if (n->op == OP_receive) return fetch(x, e, n);
    if (!meet(x, e, n, &met)) return false;
    return met || wait_here(x, &x->members[e->interp->rank], n);
}
