/* What collectives compute, once all members' operands are at hand (collective.h has who takes and gives
 * parts). */
#include "ir/collective.h"
#include "ir/exchange.h"
#include <math.h>

struct meeting {
    struct eval *const *members;
    const struct node *const *nodes;
    int count, k; /* members; which operand of the bundle */
    const struct array **from;
    struct array **to;
};

static double combined_floats(const struct meeting *m, int64_t i, const char *reduce) {
    double sum = m->from[0]->floats[i];
    for (int j = 1; j < m->count; j++) {
        double x = m->from[j]->floats[i];
        switch (reduce[1]) {
        case 'u':
            sum += x;
            break;
        case 'r':
            sum *= x;
            break;
        case 'a':
            sum = isnan(x) || x > sum ? x : sum;
            break;
        default:
            sum = isnan(x) || x < sum ? x : sum;
            break;
        }
    }
    return sum;
}

/* Integers wrap. */
static int64_t combined_integers(const struct meeting *m, int64_t i, const char *reduce) {
    int64_t sum = m->from[0]->integers[i];
    for (int j = 1; j < m->count; j++) {
        int64_t x = m->from[j]->integers[i];
        switch (reduce[1]) {
        case 'u':
            sum = (int64_t)((uint64_t)sum + (uint64_t)x);
            break;
        case 'r':
            sum = (int64_t)((uint64_t)sum * (uint64_t)x);
            break;
        case 'a':
            sum = x > sum ? x : sum;
            break;
        default:
            sum = x < sum ? x : sum;
            break;
        }
    }
    return sum;
}

/* all_reduce, and reduce_scatter, of which member j keeps part j. */
static void reduce(const struct meeting *m, bool scatter) {
    const char *word = scatter ? "sum" : node_attr(m->nodes[0], "reduce")->s;
    for (int j = 0; j < m->count; j++)
        for (int64_t i = 0; i < m->to[j]->elements; i++) {
            int64_t at = scatter ? j * m->to[j]->elements + i : i;
            if (m->to[j]->floats)
                m->to[j]->floats[i] = combined_floats(m, at, word);
            else
                m->to[j]->integers[i] = combined_integers(m, at, word);
        }
}

static void gather(const struct meeting *m) {
    for (int j = 0; j < m->count; j++)
        for (int i = 0; i < m->count; i++)
            array_copy(m->to[j], i * m->from[i]->elements, m->from[i], 0, m->from[i]->elements);
}

static void transpose(const struct meeting *m) {
    int64_t part = m->from[0]->elements / m->count;
    for (int j = 0; j < m->count; j++)
        for (int i = 0; i < m->count; i++) array_copy(m->to[j], i * part, m->from[i], j * part, part);
}

static void permute(const struct meeting *m) {
    const struct attr *to = node_attr(m->nodes[0], "to");
    for (int i = 0; i < m->count; i++) array_copy(m->to[to->ints[i]], 0, m->from[i], 0, m->from[i]->elements);
}

static void combine_one(const struct meeting *m) {
    switch (m->nodes[0]->op) {
    case OP_all_reduce:
        reduce(m, false);
        break;
    case OP_reduce_scatter:
        reduce(m, true);
        break;
    case OP_all_gather:
        gather(m);
        break;
    case OP_all_to_all:
        transpose(m);
        break;
    case OP_permute:
        permute(m);
        break;
    default:
        ice("%s is no collective", op_info(m->nodes[0]->op)->name);
    }
}

static bool same_shape(const struct array *a, const struct array *b) {
    bool same = a->rank == b->rank && a->dtype == b->dtype;
    for (int d = 0; same && d < a->rank; d++) same = a->extents[d] == b->extents[d];
    return same;
}

bool exchange_combine(struct eval *const *members, const struct node *const *nodes, int count) {
    struct arena *a = members[0]->arena;
    struct meeting m = {members, nodes, count, 0, NULL, NULL};
    m.from = arena_new_array(a, const struct array *, (size_t)count);
    m.to = arena_new_array(a, struct array *, (size_t)count);
    for (; m.k < nodes[0]->operands_count; m.k++) {
        for (int j = 0; j < count; j++) {
            m.from[j] = eval_operand(members[j], nodes[j], m.k);
            m.to[j] = eval_result(members[j], nodes[j], m.k);
            if (!m.to[j]) return false;
            if (!same_shape(m.from[j], m.from[0]))
                return eval_fail(members[j], nodes[j], "its operand's shape is not that of the other ranks");
        }
        combine_one(&m);
    }
    return true;
}
