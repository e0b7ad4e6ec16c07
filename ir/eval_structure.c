/* Interprets structure: blocks, params and states, kernels and loops, checks. */
#include "ir/eval.h"
#include "ir/exchange.h"
#include <string.h>

static bool (*const families[])(struct eval *, const struct node *) = {
#define FAMILY(name) eval_##name,
#include "ir/families.def"
#undef FAMILY
};

/* Rounds floats to what their type can hold and wraps integers. */
static void round_array(struct array *x) {
    if (x->dtype == DTYPE_F32)
        for (int64_t i = 0; i < x->elements; i++) x->floats[i] = (double)(float)x->floats[i];
    else if (x->floats && x->dtype != DTYPE_F64)
        for (int64_t i = 0; i < x->elements; i++) x->floats[i] = dtype_round_float(x->dtype, x->floats[i]);
    else if (x->integers && x->dtype != DTYPE_I64)
        for (int64_t i = 0; i < x->elements; i++)
            x->integers[i] = dtype_wrap_integer(x->dtype, x->integers[i]);
}

static bool eval_node(struct eval *e, const struct node *n) {
    const struct op_info *op = op_info(n->op);
    if (!families[op->family](e, n)) return false;
    if (op->level == LEVEL_STRUCTURE) return true; /* made by nodes that were rounded */
    for (int k = 0; k < n->results_count; k++) {
        struct array *x = e->cells[n->results[k]->id].array;
        if (x->integers || !e->interp->exact) round_array(x);
    }
    return true;
}

bool eval_block(struct eval *e, const struct block *b) {
    for (const struct node *n = b->first; n; n = n->next)
        if (!eval_node(e, n)) return false;
    return true;
}

/* The tensor of a global that a node means: n->element plus operand `k`, if present. */
static bool element_of(struct eval *e, const struct node *n, int k, int64_t *element) {
    const struct array *index = eval_operand(e, n, k);
    int64_t count = global_elements(n->global);
    *element = n->element;
    if (index && __builtin_add_overflow(index->integers[0], n->element, element)) *element = -1;
    if (*element >= 0 && *element < count) return true;
    return eval_fail(e, n, "index %lld of %s is outside 0..%lld", (long long)*element, n->global->name,
                     (long long)count);
}

/* Reading shares the numbers; in a loop, whose assignments reuse the buffer, it copies them. */
bool eval_param(struct eval *e, const struct node *n) {
    int64_t element;
    if (!element_of(e, n, 0, &element)) return false;
    struct cell cell = interp_global(e->interp, n->global, element);
    struct slot *slot = &e->interp->slots[n->global->id][element];
    if (n->global->assigned && e->depth && !cell.stored) cell.array = array_copy_of(e->arena, cell.array);
    if (!e->depth) slot->reusable = false;
    e->cells[n->results[0]->id] = cell;
    return true;
}

/* What is assigned lasts longer than an iteration of a loop, so there it is copied. */
bool eval_assign(struct eval *e, const struct node *n) {
    int64_t element;
    if (!element_of(e, n, 1, &element)) return false;
    struct slot *slot = &e->interp->slots[n->global->id][element];
    const struct cell *cell = &e->cells[value_now(n->operands[0])->id];
    struct array *x = cell->stored ? eval_decoded(e->arena, cell) : cell->array;
    if (!e->depth) {
        slot->pending = x;
        slot->reusable = false;
        return true;
    }
    if (!slot->pending || !slot->reusable) slot->pending = array_new(e->call, x->dtype, x->rank, x->extents);
    slot->reusable = true;
    array_copy(slot->pending, 0, x, 0, x->elements);
    return true;
}

bool eval_constant(struct eval *e, const struct node *n) {
    e->cells[n->results[0]->id].array = array_from_bytes(e->arena, n->constant);
    return true;
}

/* A result that a kernel makes in a state's own buffer is what the state can hold, also for who reads it in
 * this call. */
static void round_to_state(struct eval *e, const struct node *kernel, int k) {
    const struct value *v = kernel->results[k];
    struct array *x = e->cells[v->id].array;
    const struct node *n = kernel;
    while (n && !(n->op == OP_assign && value_now(n->operands[0]) == v)) n = n->next;
    if (v->place.space != SPACE_STATE || !n || !n->global->store || !x || !x->floats || e->interp->exact)
        return;
    const struct format_info *f = format_info(n->global->store);
    for (int64_t i = 0; !f->bits && f->dtype != x->dtype && i < x->elements; i++)
        x->floats[i] = dtype_round_float(f->dtype, x->floats[i]);
}

bool eval_kernel(struct eval *e, const struct node *n) {
    const struct block *b = n->body;
    for (int k = 0; k < n->operands_count; k++)
        e->cells[b->args[k]->id] = e->cells[value_now(n->operands[k])->id];
    if (!eval_block(e, b)) return false;
    for (int k = 0; k < n->results_count; k++) {
        e->cells[n->results[k]->id] = e->cells[value_now(b->results[k])->id];
        round_to_state(e, n, k);
    }
    return true;
}

/* Copies what the body gave into buffers that outlive the iteration. */
static void keep_carried(struct eval *e, const struct node *n, struct array **to) {
    for (int k = 0; k < n->results_count; k++) {
        const struct cell *cell = &e->cells[value_now(n->body->results[k])->id];
        const struct array *from = cell->stored ? eval_decoded(e->arena, cell) : cell->array;
        array_copy(to[k], 0, from, 0, from->elements);
    }
}

static void carry_in(struct eval *e, const struct node *n, int64_t iteration, struct array *const *carried) {
    struct array *variable = array_new(e->arena, DTYPE_I32, 0, NULL);
    variable->integers[0] = iteration;
    e->cells[n->body->args[0]->id] = (struct cell){variable, NULL};
    for (int k = 0; k < n->results_count; k++)
        e->cells[n->body->args[k + 1]->id] = (struct cell){carried[k], NULL};
}

/* Carried values live in two sets of buffers, read and written in turn; all else of an iteration is forgotten
 * after it. */
bool eval_scan(struct eval *e, const struct node *n) {
    struct arena *outer = e->arena, *step = arena_new();
    struct array **sets[2];
    int64_t count = eval_length(e, n->count);
    bool good = true;
    for (int s = 0; s < 2; s++) {
        sets[s] = arena_new_array(outer, struct array *, (size_t)n->results_count);
        for (int k = 0; k < n->results_count; k++) sets[s][k] = array_copy_of(outer, eval_operand(e, n, k));
    }
    e->arena = step;
    e->depth++;
    for (int64_t i = 0; i < count && good; i++) {
        carry_in(e, n, i, sets[i % 2]);
        good = eval_block(e, n->body);
        if (good) keep_carried(e, n, sets[(i + 1) % 2]);
        arena_reset(step);
    }
    e->depth--;
    e->arena = outer;
    arena_release(step);
    for (int k = 0; k < n->results_count; k++)
        e->cells[n->results[k]->id] = (struct cell){sets[count > 0 ? count % 2 : 0][k], NULL};
    return good;
}

bool eval_guard(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    int64_t lo = eval_length(e, node_attr(n, "lo")->e), hi = eval_length(e, node_attr(n, "hi")->e);
    for (int64_t i = 0; i < x->elements; i++) {
        if (x->integers[i] >= lo && x->integers[i] < hi) continue;
        return eval_fail(e, n, "%s is %lld, outside %lld..%lld", node_attr(n, "what")->s,
                         (long long)x->integers[i], (long long)lo, (long long)hi);
    }
    return true;
}

/* The frontend has expanded sugar before anything is interpreted. */
bool eval_sugar(struct eval *e, const struct node *n) {
    (void)e;
    ice("%s is written by users and must have been expanded", op_info(n->op)->name);
}

/* Ranks meet (exchange.h); what is no program of several ranks has none to meet. */
bool eval_collective(struct eval *e, const struct node *n) {
    if (e->interp->exchange) return exchange_collective(e, n);
    return eval_fail(e, n, "this graph has no mesh whose ranks could run it");
}
bool eval_send(struct eval *e, const struct node *n) { return eval_collective(e, n); }
bool eval_receive(struct eval *e, const struct node *n) { return eval_collective(e, n); }
