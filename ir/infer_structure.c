/* Types of what has a syntax of its own: params and states, constants, kernels and loops. */
#include "ir/infer.h"

/* The tensor of a global that a node names exists; operand `index`, if present, is a run-time index. */
static bool check_element(const struct infer *f, int index) {
    const struct global *global = f->n->global;
    if (!global) ice("a %s without its global", f->info->name);
    int64_t elements = global_elements(global);
    if (f->n->element < 0 || f->n->element >= elements)
        return infer_error(f, 0, "%s has %lld tensors, not a tensor %lld", global->name, (long long)elements,
                           (long long)f->n->element);
    if (!has(f, index)) return true;
    if (!global->counts_rank) return infer_error(f, 0, "%s is no array", global->name);
    return check_dtype(f, index, IDS) && check_rank(f, index, 0, 0);
}

bool infer_param(const struct infer *f) { return check_element(f, 0) && give(f, 0, &f->n->global->type); }

bool infer_constant(const struct infer *f) {
    const struct tensor *c = f->n->constant;
    if (!c) ice("a constant without its tensor");
    struct type t = {c->dtype, c->rank, {NULL}};
    for (int i = 0; i < c->rank; i++) t.extents[i] = extent_const(f->x, c->extents[i]);
    return give(f, 0, &t);
}

bool infer_assign(const struct infer *f) {
    if (!check_element(f, 1)) return false;
    const struct global *global = f->n->global;
    if (type_equal(type_of(f, 0), &global->type)) return true;
    infer_error(f, ABOUT(0), "%s is %s, the value is %s", global->name, type_text(f->g->arena, &global->type),
                operand_text(f, 0));
    diag_note(f->g->diag, global->loc, "%s declared here", global->name);
    return false;
}

/* The block's argument has its operand's type. */
static bool check_argument(const struct infer *f, int operand, int argument) {
    const struct value *inner = f->n->body->args[argument];
    if (type_equal(type_of(f, operand), &inner->type)) return true;
    return infer_error(f, ABOUT(operand), "%s is %s inside, %s outside",
                       inner->name ? inner->name : "an argument", type_text(f->g->arena, &inner->type),
                       operand_text(f, operand));
}

static bool give_results(const struct infer *f) {
    for (int i = 0; i < f->n->body->results_count; i++)
        if (!give(f, i, &f->n->body->results[i]->type)) return false;
    return true;
}

/* The body's arguments stand for the operands one by one. */
bool infer_kernel(const struct infer *f) {
    const struct block *body = f->n->body;
    if (!body) ice("a kernel without its body");
    if (body->args_count != f->n->operands_count)
        return infer_error(f, 0, "takes %d operands, given %d", body->args_count, f->n->operands_count);
    for (int i = 0; i < f->n->operands_count; i++)
        if (!check_argument(f, i, i)) return false;
    return give_results(f);
}

/* A carried value enters, is seen, leaves and results with one type. */
static bool check_carried(const struct infer *f, int i) {
    const struct value *leaves = f->n->body->results[i];
    if (!check_argument(f, i, i + 1)) return false;
    if (type_equal(type_of(f, i), &leaves->type)) return true;
    const struct value *enters = f->n->body->args[i + 1];
    return infer_error(f, ABOUT(i), "%s changes its type in the loop: %s before, %s after a step",
                       enters->name ? enters->name : "a carried value", operand_text(f, i),
                       type_text(f->g->arena, &leaves->type));
}

bool infer_scan(const struct infer *f) {
    const struct block *body = f->n->body;
    if (!body) ice("a scan without its body");
    if (!f->n->count || !extent_nonnegative(f->x, f->n->count))
        return infer_error(f, 0, "the number of steps may be negative: %s", text_of(f, f->n->count));
    const struct type index = {DTYPE_I32, 0, {NULL}};
    if (body->args_count != f->n->operands_count + 1 || body->results_count != f->n->operands_count ||
        !type_equal(&body->args[0]->type, &index))
        return infer_error(f, 0, "carries %d values, its body takes %d and gives %d", f->n->operands_count,
                           body->args_count - 1, body->results_count);
    for (int i = 0; i < f->n->operands_count; i++)
        if (!check_carried(f, i)) return false;
    return give_results(f);
}
