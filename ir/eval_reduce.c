/* Interprets reductions, running sums and what works on rows: softmax, norms, cross-entropy. */
#include "ir/eval.h"
#include <math.h>

static double sum_floats(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum;
}
static double mean_floats(const double *x, int64_t n) { return sum_floats(x, n) / (double)n; }
static double prod_floats(const double *x, int64_t n) {
    double product = 1;
    for (int64_t i = 0; i < n; i++) product *= x[i];
    return product;
}
static double max_floats(const double *x, int64_t n) {
    double best = -INFINITY;
    for (int64_t i = 0; i < n; i++) best = scalar_eval_float(SCALAR_max, best, x[i], 0);
    return best;
}
static double min_floats(const double *x, int64_t n) {
    double best = INFINITY;
    for (int64_t i = 0; i < n; i++) best = scalar_eval_float(SCALAR_min, best, x[i], 0);
    return best;
}
static double any_floats(const double *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (x[i] != 0) return 1;
    return 0;
}
static double all_floats(const double *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (x[i] == 0) return 0;
    return 1;
}
/* Relative to the largest, so that nothing overflows; an infinite largest is the result. */
static double logsumexp_floats(const double *x, int64_t n) {
    double largest = max_floats(x, n), sum = 0;
    if (isinf(largest) || isnan(largest)) return largest;
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - largest);
    return largest + log(sum);
}
static double var_floats(const double *x, int64_t n) {
    double mean = mean_floats(x, n), sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return sum / (double)n;
}

/* Integers wrap; the first value is what an empty reduction gives. */
static int64_t fold_integers(enum scalar_op op, int64_t first, const int64_t *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) first = scalar_eval_integer(op, first, x[i], 0);
    return first;
}

enum start { START_ZERO, START_ONE, START_LEAST, START_MOST };
static const struct reducer {
    double (*floats)(const double *x, int64_t n);
    enum scalar_op integers; /* SCALAR_ARGUMENT: not for integers, which are taken as floats */
    enum start start;
} reducers[OP_COUNT] = {
    [OP_sum] = {sum_floats, SCALAR_add, START_ZERO},
    [OP_mean] = {mean_floats, SCALAR_ARGUMENT, START_ZERO},
    [OP_prod] = {prod_floats, SCALAR_mul, START_ONE},
    [OP_max] = {max_floats, SCALAR_max, START_LEAST},
    [OP_min] = {min_floats, SCALAR_min, START_MOST},
    [OP_any] = {any_floats, SCALAR_or, START_ZERO},
    [OP_all] = {all_floats, SCALAR_and, START_ONE},
    [OP_logsumexp] = {logsumexp_floats, SCALAR_ARGUMENT, START_ZERO},
    [OP_var] = {var_floats, SCALAR_ARGUMENT, START_ZERO},
};

static int64_t start_value(enum start start, enum dtype t) {
    bool is_unsigned = t == DTYPE_U8 || t == DTYPE_BOOL;
    int bits = t == DTYPE_BOOL ? 1 : 8 * dtype_bytes(t) - !is_unsigned;
    int64_t most = (int64_t)(((uint64_t)1 << bits) - 1);
    const int64_t values[] = {
        [START_ZERO] = 0, [START_ONE] = 1, [START_LEAST] = is_unsigned ? 0 : -most - 1, [START_MOST] = most};
    return values[start];
}

/* Which axes are reduced. */
static void find_axes(const struct node *n, int rank, bool *reduced) {
    const struct attr *attr = node_attr(n, "axis");
    int count = attr->set ? attr->count : rank ? 1 : 0;
    for (int d = 0; d < rank; d++) reduced[d] = count < 0;
    for (int i = 0; i < count; i++) {
        int64_t axis = attr->set ? attr->ints[i] : -1;
        reduced[axis < 0 ? axis + rank : axis] = true;
    }
}

/* The axes of `x` split in two walks: over those that stay and over those that are reduced. */
struct split {
    struct walk kept, reduced;
    int64_t *offsets, count; /* of the elements that are reduced to one */
};
static struct split split_axes(struct eval *e, const struct array *x, const bool *reduced) {
    struct split s = {.count = 1};
    int64_t strides[MAX_RANK], i = 0;
    array_strides(x, strides);
    walk_add(&s.kept, strides);
    walk_add(&s.reduced, strides);
    for (int d = 0; d < x->rank; d++) {
        struct walk *w = reduced[d] ? &s.reduced : &s.kept;
        w->extents[w->rank] = x->extents[d];
        w->strides[0][w->rank++] = strides[d];
        if (reduced[d]) s.count *= x->extents[d];
    }
    s.offsets = arena_new_array(e->arena, int64_t, (size_t)s.count);
    for (bool more = walk_start(&s.reduced); more; more = walk_next(&s.reduced))
        s.offsets[i++] = s.reduced.at[0];
    return s;
}

static void reduce_floats(struct eval *e, const struct reducer *r, const struct array *x, struct split *s,
                          struct array *y) {
    double *row = arena_new_array(e->arena, double, (size_t)s->count);
    int64_t i = 0;
    for (bool more = walk_start(&s->kept); more; more = walk_next(&s->kept), i++) {
        for (int64_t j = 0; j < s->count; j++) row[j] = array_float(x, s->kept.at[0] + s->offsets[j]);
        double value = r->floats(row, s->count);
        if (y->floats)
            y->floats[i] = value;
        else
            y->integers[i] = (int64_t)value;
    }
}

static void reduce_integers(struct eval *e, const struct reducer *r, const struct array *x, struct split *s,
                            struct array *y) {
    int64_t *row = arena_new_array(e->arena, int64_t, (size_t)s->count), i = 0;
    for (bool more = walk_start(&s->kept); more; more = walk_next(&s->kept), i++) {
        for (int64_t j = 0; j < s->count; j++) row[j] = x->integers[s->kept.at[0] + s->offsets[j]];
        y->integers[i] = fold_integers(r->integers, start_value(r->start, y->dtype), row, s->count);
    }
}

bool eval_reduce(struct eval *e, const struct node *n) {
    const struct reducer *r = &reducers[n->op];
    const struct array *x = eval_operand(e, n, 0);
    struct array *y = eval_result(e, n, 0);
    bool reduced[MAX_RANK];
    if (!y) return false;
    find_axes(n, x->rank, reduced);
    struct split s = split_axes(e, x, reduced);
    if (x->integers && y->integers && r->integers != SCALAR_ARGUMENT)
        reduce_integers(e, r, x, &s, y);
    else
        reduce_floats(e, r, x, &s, y);
    return true;
}

/* Whether element `i` beats element `best`: larger (or smaller), or the first NaN, as numpy has it. */
static bool beats(const struct array *x, int64_t i, int64_t best, bool largest) {
    if (x->integers) return largest ? x->integers[i] > x->integers[best] : x->integers[i] < x->integers[best];
    double a = x->floats[i], b = x->floats[best];
    if (isnan(a) || isnan(b)) return isnan(a) && !isnan(b);
    return largest ? a > b : a < b;
}

bool eval_argreduce(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    struct array *y = eval_result(e, n, 0);
    int axis = attr_axis(n, x->rank);
    int64_t outer = array_outer(x, axis), inner = array_inner(x, axis), count = x->extents[axis];
    if (!y) return false;
    if (!count && y->elements) return eval_fail(e, n, "no elements to choose from");
    for (int64_t i = 0; i < outer * inner; i++) {
        int64_t from = i / inner * count * inner + i % inner, best = 0;
        for (int64_t j = 1; j < count; j++)
            if (beats(x, from + j * inner, from + best * inner, n->op == OP_argmax)) best = j;
        y->integers[i] = best;
    }
    return true;
}

bool eval_cumsum(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    struct array *y = eval_result(e, n, 0);
    int axis = attr_axis(n, x->rank);
    int64_t inner = array_inner(x, axis), count = x->extents[axis];
    if (!y) return false;
    for (int64_t i = 0; i < x->elements; i++) {
        bool first = i / inner % count == 0;
        if (y->floats)
            y->floats[i] = x->floats[i] + (first ? 0 : y->floats[i - inner]);
        else
            y->integers[i] =
                scalar_eval_integer(SCALAR_add, x->integers[i], first ? 0 : y->integers[i - inner], 0);
    }
    return true;
}

/* A row of nothing but -inf gives NaN, as its formula does. */
static void softmax_row(double *x, int64_t n, double eps) {
    double largest = max_floats(x, n), sum = 0;
    (void)eps;
    for (int64_t i = 0; i < n; i++) sum += x[i] = exp(x[i] - largest);
    for (int64_t i = 0; i < n; i++) x[i] /= sum;
}
static void log_softmax_row(double *x, int64_t n, double eps) {
    double largest = max_floats(x, n), sum = 0;
    (void)eps;
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - largest);
    for (int64_t i = 0; i < n; i++) x[i] = x[i] - largest - log(sum);
}
static void layer_norm_row(double *x, int64_t n, double eps) {
    double mean = mean_floats(x, n), root = sqrt(var_floats(x, n) + eps);
    for (int64_t i = 0; i < n; i++) x[i] = (x[i] - mean) / root;
}
static void rms_norm_row(double *x, int64_t n, double eps) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
    double root = sqrt(sum / (double)n + eps);
    for (int64_t i = 0; i < n; i++) x[i] /= root;
}

static const struct row_op {
    void (*run)(double *x, int64_t n, double eps);
    bool has_axis; /* else the last, and eps */
} row_ops[OP_COUNT] = {
    [OP_softmax] = {softmax_row, true},
    [OP_log_softmax] = {log_softmax_row, true},
    [OP_layer_norm] = {layer_norm_row, false},
    [OP_rms_norm] = {rms_norm_row, false},
};

bool eval_normalize(struct eval *e, const struct node *n) {
    const struct row_op *op = &row_ops[n->op];
    const struct array *x = eval_operand(e, n, 0);
    struct array *y = eval_result(e, n, 0);
    int axis = op->has_axis ? attr_axis(n, x->rank) : x->rank - 1;
    double eps = op->has_axis ? 0 : attr_float(n, "eps");
    int64_t outer = array_outer(x, axis), inner = array_inner(x, axis), count = x->extents[axis];
    if (!y) return false;
    double *row = arena_new_array(e->arena, double, (size_t)count);
    for (int64_t i = 0; i < outer * inner; i++) {
        int64_t from = i / inner * count * inner + i % inner;
        for (int64_t j = 0; j < count; j++) row[j] = x->floats[from + j * inner];
        op->run(row, count, eps);
        for (int64_t j = 0; j < count; j++) y->floats[from + j * inner] = row[j];
    }
    return true;
}

bool eval_cross_entropy(struct eval *e, const struct node *n) {
    const struct array *logits = eval_operand(e, n, 0), *targets = eval_operand(e, n, 1);
    struct array *y = eval_result(e, n, 0);
    int64_t classes = logits->extents[logits->rank - 1], rows = targets->elements;
    double sum = 0;
    if (!y) return false;
    for (int64_t i = 0; i < rows; i++) {
        int64_t target = targets->integers[i];
        if (target < 0 || target >= classes)
            return eval_fail(e, n, "target %lld is outside 0..%lld", (long long)target, (long long)classes);
        const double *row = logits->floats + i * classes;
        sum += logsumexp_floats(row, classes) - row[target];
    }
    y->floats[0] = sum / (double)rows;
    return true;
}
