/* Interprets elementwise ops, by their scalar bodies in ops.def, and casts. */
#include "ir/eval.h"

static double float_tree(const struct scalar *s, const double *args) {
    if (s->op == SCALAR_ARGUMENT) return args[s->argument];
    if (s->op == SCALAR_CONSTANT) return s->value;
    double values[3] = {0};
    for (int k = 0; k < scalar_arity(s->op); k++) values[k] = float_tree(s->operands[k], args);
    return scalar_eval_float(s->op, values[0], values[1], values[2]);
}

static int64_t integer_tree(const struct scalar *s, const int64_t *args) {
    if (s->op == SCALAR_ARGUMENT) return args[s->argument];
    if (s->op == SCALAR_CONSTANT) return (int64_t)s->value;
    int64_t values[3] = {0};
    for (int k = 0; k < scalar_arity(s->op); k++) values[k] = integer_tree(s->operands[k], args);
    return scalar_eval_integer(s->op, values[0], values[1], values[2]);
}

enum { MAX_ARGS = 3 };
struct pointwise {
    const struct scalar *body;
    const struct array *args[MAX_ARGS];
    int count;
    struct array *result;
    struct walk walk; /* over the result; a stream an argument */
};

static void run_floats(struct pointwise *p) {
    double args[MAX_ARGS];
    int64_t i = 0;
    for (bool more = walk_start(&p->walk); more; more = walk_next(&p->walk), i++) {
        for (int k = 0; k < p->count; k++) args[k] = array_float(p->args[k], p->walk.at[k]);
        double value = float_tree(p->body, args);
        if (p->result->floats)
            p->result->floats[i] = value;
        else
            p->result->integers[i] = value != 0;
    }
}

static void run_integers(struct pointwise *p) {
    int64_t args[MAX_ARGS], i = 0;
    for (bool more = walk_start(&p->walk); more; more = walk_next(&p->walk), i++) {
        for (int k = 0; k < p->count; k++) args[k] = p->args[k]->integers[p->walk.at[k]];
        p->result->integers[i] = integer_tree(p->body, args);
    }
}

bool eval_pointwise(struct eval *e, const struct node *n) {
    struct pointwise p = {.body = op_info(n->op)->body, .count = n->operands_count};
    p.result = eval_result(e, n, 0);
    if (!p.result) return false;
    bool floats = p.result->floats;
    p.walk = walk_over(p.result->rank, p.result->extents);
    for (int k = 0; k < p.count; k++) {
        int64_t strides[MAX_RANK];
        p.args[k] = eval_operand(e, n, k);
        floats |= p.args[k]->floats != NULL;
        array_broadcast_strides(p.args[k], p.result->rank, p.result->extents, strides);
        walk_add(&p.walk, strides);
    }
    if (floats)
        run_floats(&p);
    else
        run_integers(&p);
    return true;
}

bool eval_cast(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    struct array *y = eval_result(e, n, 0);
    for (int64_t i = 0; y && i < y->elements; i++) array_cast_element(y, i, x, i);
    return y;
}
