/* Facts that fusion decides by: roles of ops, sizes, who uses what, what must stay in order. */
#include "ir/contraction.h"
#include "passes/fuse.h"

/* Every family has a role here: a new family does not compile without one. */
enum {
    ROLE_OF_pointwise = ROLE_POINTWISE,
    ROLE_OF_cast = ROLE_POINTWISE,
    ROLE_OF_reduce = ROLE_REDUCE,
    ROLE_OF_argreduce = ROLE_REDUCE,
    ROLE_OF_cumsum = ROLE_ORDERED,
    ROLE_OF_linear = ROLE_CONTRACT,
    ROLE_OF_matmul = ROLE_CONTRACT,
    ROLE_OF_einsum = ROLE_CONTRACT,
    ROLE_OF_quantize = ROLE_QUANTIZE,
    ROLE_OF_qlinear = ROLE_CONTRACT,
    ROLE_OF_reshape = ROLE_VIEW,
    ROLE_OF_transpose = ROLE_VIEW,
    ROLE_OF_broadcast = ROLE_VIEW,
    ROLE_OF_slice = ROLE_VIEW,
    ROLE_OF_reshard = ROLE_VIEW,
    ROLE_OF_concat = ROLE_VIEW,
    ROLE_OF_pad = ROLE_VIEW,
    ROLE_OF_flip = ROLE_VIEW,
    ROLE_OF_gather = ROLE_INDEXED,
    ROLE_OF_take_along = ROLE_INDEXED,
    ROLE_OF_scatter = ROLE_ORDERED,
    ROLE_OF_one_hot = ROLE_INDEXED,
    ROLE_OF_iota = ROLE_MAKER,
    ROLE_OF_topk = ROLE_ORDERED,
    ROLE_OF_sort = ROLE_ORDERED,
    ROLE_OF_write = ROLE_WRITE,
    ROLE_OF_normalize = ROLE_ORDERED, /* decompose leaves none; the backend says so if one is left */
    ROLE_OF_cross_entropy = ROLE_ORDERED,
    ROLE_OF_rope = ROLE_INDEXED,
    ROLE_OF_sdpa = ROLE_ATTENTION,
    ROLE_OF_conv = ROLE_REDUCE,
    ROLE_OF_conv_transpose = ROLE_REDUCE,
    ROLE_OF_pool = ROLE_REDUCE,
    ROLE_OF_random = ROLE_POINTWISE,
    ROLE_OF_guard = ROLE_STRUCTURE,
    ROLE_OF_collective = ROLE_STRUCTURE,
    ROLE_OF_send = ROLE_STRUCTURE,
    ROLE_OF_receive = ROLE_STRUCTURE,
    ROLE_OF_sugar = ROLE_STRUCTURE,
    ROLE_OF_extent = ROLE_MAKER,
    ROLE_OF_param = ROLE_STRUCTURE,
    ROLE_OF_constant = ROLE_STRUCTURE,
    ROLE_OF_assign = ROLE_STRUCTURE,
    ROLE_OF_kernel = ROLE_STRUCTURE,
    ROLE_OF_scan = ROLE_STRUCTURE
};
static const enum role roles[FAMILY_COUNT] = {
#define FAMILY(name) [FAMILY_##name] = (enum role)ROLE_OF_##name,
#include "ir/families.def"
#undef FAMILY
};

enum role node_role(const struct node *n) { return roles[op_info(n->op)->family]; }

struct global *kernel_param(const struct node *kernel, const struct value *v) {
    if (v->def) return NULL;
    const struct node *n = kernel->operands[v->index]->def;
    return n && n->op == OP_param && n->global->kind == GLOBAL_PARAM ? n->global : NULL;
}

/* Contractions that register tiles cannot do are reductions like others: f64 and integers, products of three.
 */
static enum role role_here(const struct fuser *f, const struct node *n) {
    struct contraction axes;
    enum role role = node_role(n);
    if (role != ROLE_CONTRACT || n->op == OP_qlinear) return role;
    enum dtype dtype = n->results[0]->type.dtype;
    bool tiles = dtype_class(dtype) == CLASS_FLOAT && dtype != DTYPE_F64;
    return tiles && contraction_of(f->scratch, f->g, n, &axes) ? ROLE_CONTRACT : ROLE_REDUCE;
}

double value_elements(const struct value *v) {
    double elements = 1;
    for (int i = 0; i < v->type.rank; i++) elements *= (double)extent_max(v->type.extents[i]);
    return elements;
}

double value_bytes(const struct value *v) { return value_elements(v) * dtype_bytes(v->type.dtype); }

static double node_reads(const struct fuser *f, const struct node *n) {
    enum role role = node_role(n);
    if (role == ROLE_STRUCTURE || (role != ROLE_REDUCE && role != ROLE_CONTRACT))
        return op_info(n->op)->family == FAMILY_rope ? 2 : 1;
    const struct imap *map = imap_of(f->scratch, f->g, n);
    double reads = 1;
    for (int i = 0; i < map->loops_count; i++)
        if (map->loops[i].kind != LOOP_PARALLEL) reads *= (double)extent_max(map->loops[i].extent);
    return reads;
}

static void add(struct fuser *f, struct edge_list *list, int to) {
    if (list->count && list->to[list->count - 1] == to) return;
    arena_push(f->scratch, list->to, list->count, list->capacity, to);
}

static int item_of(const struct fuser *f, const struct value *v) {
    return v && v->def && v->def->id < f->g->nodes ? f->item_of[v->def->id] : -1;
}

static void use(struct fuser *f, const struct value *v, int user) {
    int from = item_of(f, v);
    if (from < 0) return;
    add(f, &f->items[from].users, user);
    if (f->items[user].role == ROLE_STRUCTURE) f->items[from].needed = true;
}

static void use_list(struct fuser *f, struct value *const *list, int count, int user) {
    for (int i = 0; i < count; i++) use(f, list[i], user);
}

/* What a node uses, and the nodes inside it. */
static void use_all(struct fuser *f, int user) {
    struct node *n = f->items[user].node;
    use_list(f, n->operands, n->operands_count, user);
    if (!n->body || n->op == OP_kernel) return;
    use_list(f, n->body->results, n->body->results_count, user);
    for (struct node *inner = NULL; (inner = node_walk(n->body, inner));) {
        use_list(f, inner->operands, inner->operands_count, user);
        if (inner->op == OP_scan) use_list(f, inner->body->results, inner->body->results_count, user);
    }
}

static void order(struct fuser *f, int before, int after) {
    if (before != after) add(f, &f->items[before].after, after);
}

/* Whether running `n` reads or assigns the state or assigned param `global`, or one it may be the same as. */
static bool touches(const struct node *n, enum op op, const struct global *global) {
    if (n->op == op && n->global == global) return true;
    for (struct node *inner = NULL; n->body && (inner = node_walk(n->body, inner));)
        if (inner->op == op && inner->global == global) return true;
    return false;
}

/* The users of a read must run before the next assignment to what was read, as they may look at its buffer.
 */
static void order_read(struct fuser *f, int read, int assign) {
    const struct edge_list *users = &f->items[read].users;
    order(f, read, assign);
    for (int i = 0; i < users->count; i++)
        if (users->to[i] < assign) order(f, users->to[i], assign);
}

static void order_assignment(struct fuser *f, int assign, const struct global *global) {
    for (int i = 0; i < f->count; i++) {
        if (!touches(f->items[i].node, OP_param, global)) continue;
        if (i < assign) order_read(f, i, assign);
        if (i > assign) order(f, assign, i);
    }
}

/* A place that a guard has checked is not to be looked up before, and a write may be in place: after all checks. */
static void order_checked(struct fuser *f, int guard, int i) {
    const struct node *n = f->items[i].node;
    bool read = n->op == OP_param && n->operands_count && n->operands[0];
    for (int k = 0; read && k < f->items[i].users.count; k++) order(f, guard, f->items[i].users.to[k]);
    if (n->op == OP_write || n->op == OP_gather || n->op == OP_take_along || n->op == OP_scatter ||
        n->op == OP_scan)
        order(f, guard, i);
}

static void order_effects(struct fuser *f) {
    int last = -1, guard = -1;
    for (int i = 0; i < f->count; i++) {
        const struct node *n = f->items[i].node;
        if (n->op == OP_guard) guard = i;
        if (node_has_effect(n)) {
            if (last >= 0) order(f, last, i);
            last = i;
        }
        if (guard >= 0) order_checked(f, guard, i);
        for (const struct global *global = f->g->globals; node_has_effect(n) && global; global = global->next)
            if (touches(n, OP_assign, global)) order_assignment(f, i, global);
    }
}

void fuser_prepare(struct fuser *f) {
    int i = 0;
    for (struct node *n = f->block->first; n; n = n->next) f->count++;
    f->items = arena_new_array(f->scratch, struct item, (size_t)f->count + 1);
    f->stamps = arena_new_array(f->scratch, int, (size_t)f->count + 1);
    f->slots = arena_new_array(f->scratch, int, (size_t)f->count + 1);
    f->item_of = arena_new_array(f->scratch, int, (size_t)f->g->nodes + 1);
    for (int k = 0; k < f->g->nodes; k++) f->item_of[k] = -1;
    for (struct node *n = f->block->first; n; n = n->next, i++) {
        struct item *it = &f->items[i];
        *it = (struct item){.node = n, .role = role_here(f, n), .reads = node_reads(f, n), .home = -1};
        f->item_of[n->id] = i;
        if (n->results_count) it->elements = value_elements(n->results[0]);
        for (int r = 0; r < n->results_count; r++) it->bytes += value_bytes(n->results[r]);
    }
    for (i = 0; i < f->count; i++) use_all(f, i);
    for (i = 0; i < f->block->results_count; i++) {
        int from = item_of(f, f->block->results[i]);
        if (from >= 0) f->items[from].needed = true;
    }
    order_effects(f);
}
