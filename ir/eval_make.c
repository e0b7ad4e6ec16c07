/* Interprets ops that make numbers of nothing but extents: iota, one_hot, extent, random numbers. */
#include "ir/eval.h"
#include "ir/random.h"

bool eval_iota(struct eval *e, const struct node *n) {
    struct array *y = eval_result(e, n, 0);
    for (int64_t i = 0; y && i < y->elements; i++) y->integers[i] = i;
    return y;
}

/* An id that is no class has no 1 in its row. */
bool eval_one_hot(struct eval *e, const struct node *n) {
    const struct array *ids = eval_operand(e, n, 0);
    struct array *y = eval_result(e, n, 0);
    if (!y) return false;
    int64_t classes = y->extents[y->rank - 1];
    for (int64_t i = 0; i < ids->elements; i++)
        if (ids->integers[i] >= 0 && ids->integers[i] < classes)
            y->floats[i * classes + ids->integers[i]] = 1;
    return true;
}

bool eval_extent(struct eval *e, const struct node *n) {
    struct array *y = eval_result(e, n, 0);
    if (y) y->integers[0] = eval_length(e, node_attr(n, "n")->e);
    return y;
}

static double normal_at(const struct node *n, struct random_key key, uint64_t stream, uint64_t i) {
    return random_normal(key, stream, i, attr_float(n, "std"));
}
static double uniform_at(const struct node *n, struct random_key key, uint64_t stream, uint64_t i) {
    return random_uniform(key, stream, i, attr_float(n, "lo"), attr_float(n, "hi"));
}
static double (*const distributions[OP_COUNT])(const struct node *, struct random_key, uint64_t, uint64_t) = {
    [OP_normal] = normal_at, [OP_uniform] = uniform_at};

bool eval_random(struct eval *e, const struct node *n) {
    struct array *y = eval_result(e, n, 0);
    struct random_key key = random_key(e->graph->seed, RANDOM_OPS);
    uint64_t stream = (uint64_t)attr_int(n, "seed");
    for (int64_t i = 0; y && i < y->elements; i++)
        y->floats[i] = distributions[n->op](n, key, stream, (uint64_t)i);
    return y;
}
