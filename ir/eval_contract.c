/* Interprets contractions: linear, matmul, einsum, and linear of an input quantised in blocks. */
#include "ir/einsum.h"
#include "ir/eval.h"
#include <math.h>

/* Four sums, so that the additions of a row do not wait for each other. */
static double dot(const double *a, const double *b, int64_t n) {
    double s[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++) s[k] += a[i + k] * b[i + k];
    for (; i < n; i++) s[0] += a[i] * b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static int64_t dot_integers(const int64_t *a, const int64_t *b, int64_t n) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (uint64_t)a[i] * (uint64_t)b[i];
    return (int64_t)sum;
}

/* One row of weights, rounded to the compute type, times all rows of x. */
static void linear_floats(struct eval *e, const struct node *n, const struct array *x, struct array *y,
                          int64_t outputs, int64_t inputs) {
    double *decoded = arena_new_array(e->arena, double, (size_t)inputs);
    double *rounded = arena_new_array(e->arena, double, (size_t)inputs);
    int64_t rows = y->elements / (outputs ? outputs : 1);
    const struct attr *compute = node_attr(n, "compute");
    bool narrow = compute->set && dtype_class(compute->dtype) == CLASS_FLOAT && compute->dtype != DTYPE_F64;
    for (int64_t o = 0; o < outputs; o++) {
        const double *w = eval_floats(e, n, 1, o * inputs, inputs, decoded);
        for (int64_t i = 0; narrow && i < inputs; i++) rounded[i] = dtype_round_float(compute->dtype, w[i]);
        for (int64_t r = 0; r < rows; r++)
            y->floats[r * outputs + o] = dot(x->floats + r * inputs, narrow ? rounded : w, inputs);
    }
}

static void linear_integers(const struct array *x, const struct array *w, struct array *y, int64_t outputs,
                            int64_t inputs) {
    for (int64_t i = 0; i < y->elements; i++)
        y->integers[i] =
            dot_integers(x->integers + i / outputs * inputs, w->integers + i % outputs * inputs, inputs);
}

static void add_bias(const struct array *b, struct array *y) {
    for (int64_t i = 0; i < y->elements; i++)
        if (y->floats)
            y->floats[i] += b->floats[i % b->elements];
        else
            y->integers[i] = (int64_t)((uint64_t)y->integers[i] + (uint64_t)b->integers[i % b->elements]);
}

bool eval_linear(struct eval *e, const struct node *n) {
    const struct array *x = eval_factor(e, n, 0), *w = eval_shape_of(e, n, 1), *b = eval_operand(e, n, 2);
    struct array *y = eval_result(e, n, 0);
    if (!y) return false;
    if (y->floats)
        linear_floats(e, n, x, y, w->extents[0], w->extents[1]);
    else
        linear_integers(x, eval_operand(e, n, 1), y, w->extents[0], w->extents[1]);
    if (b) add_bias(b, y);
    return true;
}

/* Matrices of one operand of matmul, as numpy sees them: a vector is one row on the left, one column on the
 * right. */
struct matrices {
    const struct array *x;
    int64_t rows, columns, row_stride, column_stride;
    int batch_rank;
};
static struct matrices matrices_of(const struct array *x, bool left) {
    struct matrices m = {.x = x, .rows = 1, .columns = 1, .batch_rank = x->rank > 2 ? x->rank - 2 : 0};
    int64_t last = x->extents[x->rank - 1];
    if (x->rank == 1 && left)
        m.columns = last, m.column_stride = 1;
    else if (x->rank == 1)
        m.rows = last, m.row_stride = 1;
    else
        m.rows = x->extents[x->rank - 2], m.columns = last, m.row_stride = last, m.column_stride = 1;
    return m;
}

static void add_batch(struct walk *w, const struct matrices *m) {
    int64_t strides[MAX_RANK];
    struct array batch = {.rank = m->batch_rank};
    for (int d = 0; d < m->batch_rank; d++) batch.extents[d] = m->x->extents[d];
    array_broadcast_strides(&batch, w->rank, w->extents, strides);
    for (int d = 0; d < w->rank; d++) strides[d] *= m->rows * m->columns;
    walk_add(w, strides);
}

/* Copies a column of `m`, so that dot() reads it in a row. */
static void take_column(const struct matrices *m, int64_t base, int64_t column, double *floats,
                        int64_t *integers) {
    for (int64_t k = 0; k < m->rows; k++) {
        int64_t at = base + k * m->row_stride + column * m->column_stride;
        if (m->x->floats)
            floats[k] = m->x->floats[at];
        else
            integers[k] = m->x->integers[at];
    }
}

static void multiply(struct eval *e, const struct matrices *a, const struct matrices *b, struct walk *w,
                     struct array *y) {
    int64_t inner = a->columns, at = 0;
    double *floats = arena_new_array(e->arena, double, (size_t)inner);
    int64_t *integers = arena_new_array(e->arena, int64_t, (size_t)inner);
    for (bool more = walk_start(w); more; more = walk_next(w), at += a->rows * b->columns)
        for (int64_t j = 0; j < b->columns; j++) {
            take_column(b, w->at[1], j, floats, integers);
            for (int64_t i = 0; i < a->rows; i++) {
                int64_t row = w->at[0] + i * a->row_stride, to = at + i * b->columns + j;
                if (y->floats)
                    y->floats[to] = dot(a->x->floats + row, floats, inner);
                else
                    y->integers[to] = dot_integers(a->x->integers + row, integers, inner);
            }
        }
}

bool eval_matmul(struct eval *e, const struct node *n) {
    struct matrices a = matrices_of(eval_factor(e, n, 0), true);
    struct matrices b = matrices_of(eval_factor(e, n, 1), false);
    struct array *y = eval_result(e, n, 0);
    if (!y) return false;
    int batch_rank = a.batch_rank > b.batch_rank ? a.batch_rank : b.batch_rank;
    struct walk w = walk_over(batch_rank, y->extents);
    add_batch(&w, &a);
    add_batch(&w, &b);
    multiply(e, &a, &b, &w, y);
    return true;
}

/* An einsum: a walk over the letters of the result, and in it one over those that are summed. */
struct letters {
    int operands;
    const struct array *x[MAX_OPERANDS];
    struct walk kept, summed;
};

/* A letter that an operand has twice walks its diagonal: strides add up. */
static void walk_letters(struct letters *s, const struct einsum *m) {
    s->kept.streams = s->summed.streams = s->operands;
    s->kept.rank = m->result_rank;
    s->summed.rank = m->letters - m->result_rank;
    for (int k = 0; k < s->operands; k++) {
        int64_t strides[MAX_RANK];
        array_strides(s->x[k], strides);
        for (int d = 0; d < m->ranks[k]; d++) {
            int loop = m->axes[k][d], inner = loop - m->result_rank;
            struct walk *w = inner < 0 ? &s->kept : &s->summed;
            w->extents[inner < 0 ? loop : inner] = s->x[k]->extents[d];
            w->strides[k][inner < 0 ? loop : inner] += strides[d];
        }
    }
}

static double sum_floats(struct letters *s) {
    double sum = 0;
    for (bool more = walk_start(&s->summed); more; more = walk_next(&s->summed)) {
        double product = 1;
        for (int k = 0; k < s->operands; k++) product *= s->x[k]->floats[s->kept.at[k] + s->summed.at[k]];
        sum += product;
    }
    return sum;
}

static int64_t sum_integers(struct letters *s) {
    uint64_t sum = 0;
    for (bool more = walk_start(&s->summed); more; more = walk_next(&s->summed)) {
        uint64_t product = 1;
        for (int k = 0; k < s->operands; k++)
            product *= (uint64_t)s->x[k]->integers[s->kept.at[k] + s->summed.at[k]];
        sum += product;
    }
    return (int64_t)sum;
}

bool eval_einsum(struct eval *e, const struct node *n) {
    struct letters s = {.operands = n->operands_count};
    struct einsum letters;
    struct array *y = eval_result(e, n, 0);
    int64_t i = 0;
    if (!y) return false;
    for (int k = 0; k < s.operands; k++) s.x[k] = eval_factor(e, n, k);
    const char *wrong = einsum_parse(e->arena, node_attr(n, "spec")->s, &letters);
    if (wrong) ice("einsum: %s", wrong);
    walk_letters(&s, &letters);
    for (bool more = walk_start(&s.kept); more; more = walk_next(&s.kept), i++)
        if (y->floats)
            y->floats[i] = sum_floats(&s);
        else
            y->integers[i] = sum_integers(&s);
    return true;
}

enum { BLOCK = 32 }; /* elements that share a scale */

/* d = max|x| / 127 as an f32 (as compiled code has it); codes round(x / d), halves to even. A block of zeros,
 * or with a value that is no number, has codes 0. */
static void quantize_block(const struct eval *e, const double *x, int64_t count, int64_t *codes,
                           double *scale, int64_t *sum) {
    double largest = 0;
    for (int64_t i = 0; i < count; i++)
        if (fabs(x[i]) > largest) largest = fabs(x[i]);
    *scale = e->interp->exact ? largest / 127 : (double)(float)(largest / 127);
    *sum = 0;
    for (int64_t i = 0; i < count; i++) {
        double code = *scale > 0 ? nearbyint(x[i] / *scale) : 0;
        codes[i] = code >= -127 && code <= 127 ? (int64_t)code : code > 0 ? 127 : code < 0 ? -127 : 0;
        *sum += codes[i];
    }
}

bool eval_quantize(struct eval *e, const struct node *n) {
    const struct array *x = eval_operand(e, n, 0);
    struct array *codes = eval_result(e, n, 0), *scales = eval_result(e, n, 1), *sums = eval_result(e, n, 2);
    if (!codes || !scales || !sums) return false;
    int64_t inputs = x->extents[x->rank - 1], blocks = scales->extents[scales->rank - 1];
    for (int64_t i = 0; i < scales->elements; i++) {
        int64_t first = i % blocks * BLOCK, from = i / blocks * inputs + first;
        int64_t count = inputs - first < BLOCK ? inputs - first : BLOCK;
        quantize_block(e, x->floats + from, count, codes->integers + from, &scales->floats[i],
                       &sums->integers[i]);
    }
    return true;
}

/* The sums are there for compiled code, which multiplies weights without their minimum; what they add up to
 * is the same as codes * scales times the weights as they are. */
bool eval_qlinear(struct eval *e, const struct node *n) {
    const struct array *codes = eval_operand(e, n, 0), *scales = eval_operand(e, n, 1);
    const struct array *w = eval_shape_of(e, n, 3);
    struct array *y = eval_result(e, n, 0);
    if (!y) return false;
    int64_t inputs = codes->extents[codes->rank - 1], blocks = scales->extents[scales->rank - 1];
    int64_t outputs = w->extents[0], rows = inputs ? codes->elements / inputs : 0;
    double *x = arena_new_array(e->arena, double, (size_t)codes->elements);
    double *buffer = arena_new_array(e->arena, double, (size_t)inputs);
    for (int64_t i = 0; i < codes->elements; i++)
        x[i] = (double)codes->integers[i] * scales->floats[i / inputs * blocks + i % inputs / BLOCK];
    for (int64_t o = 0; o < outputs; o++) {
        const double *row = eval_floats(e, n, 3, o * inputs, inputs, buffer);
        for (int64_t r = 0; r < rows; r++) y->floats[r * outputs + o] = dot(x + r * inputs, row, inputs);
    }
    return true;
}
