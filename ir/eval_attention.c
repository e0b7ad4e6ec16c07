/* Interprets rotary position embedding and attention. */
#include "ir/eval.h"
#include <math.h>

/* [S, heads, dim] or [B, S, heads, dim] */
struct heads {
    const struct array *x;
    int64_t batch, rows, heads, dim;
};
static struct heads heads_of(const struct array *x) {
    int first = x->rank - 3;
    return (struct heads){x, first ? x->extents[0] : 1, x->extents[first], x->extents[first + 1],
                          x->extents[first + 2]};
}
static int64_t head_at(const struct heads *h, int64_t batch, int64_t row, int64_t head) {
    return ((batch * h->rows + row) * h->heads + head) * h->dim;
}

/* Where row 0 of a batch row stands: 0, one number for all, or one a batch row. */
static int64_t start_of(const struct array *at, int64_t batch) {
    if (!at) return 0;
    return at->integers[at->rank ? batch : 0];
}

/* Turns pair j of a head at position p by p * base^(-2j/dim). */
static void rotate(const double *x, double *y, int64_t dim, double position, double base, bool interleaved) {
    for (int64_t j = 0; j < dim / 2; j++) {
        int64_t first = interleaved ? 2 * j : j, second = interleaved ? 2 * j + 1 : j + dim / 2;
        double angle = position * pow(base, -2.0 * (double)j / (double)dim);
        y[first] = x[first] * cos(angle) - x[second] * sin(angle);
        y[second] = x[first] * sin(angle) + x[second] * cos(angle);
    }
}

bool eval_rope(struct eval *e, const struct node *n) {
    struct heads x = heads_of(eval_operand(e, n, 0));
    const struct array *at = eval_operand(e, n, 1);
    struct array *y = eval_result(e, n, 0);
    bool interleaved = attr_is_word(n, "style", "interleaved");
    double base = attr_float(n, "base");
    if (!y) return false;
    for (int64_t b = 0; b < x.batch; b++)
        for (int64_t s = 0; s < x.rows; s++)
            for (int64_t h = 0; h < x.heads; h++) {
                int64_t i = head_at(&x, b, s, h);
                rotate(x.x->floats + i, y->floats + i, x.dim, (double)(start_of(at, b) + s), base,
                       interleaved);
            }
    return true;
}

struct attention {
    struct heads q, k, v;
    const struct array *mask, *at;
    int64_t mask_strides[4]; /* batch, head, query, key */
    double scale;
    bool causal;
    double *scores; /* [keys] */
};

/* How many keys a query may look at, from the first on. */
static int64_t keys_seen(const struct attention *a, int64_t batch, int64_t row) {
    int64_t seen = start_of(a->at, batch) + row + 1;
    if (!a->causal || seen > a->k.rows) return a->k.rows;
    return seen < 0 ? 0 : seen;
}

static double masked(const struct attention *a, const int64_t *place, double score) {
    if (!a->mask) return score;
    int64_t i = 0;
    for (int d = 0; d < 4; d++) i += place[d] * a->mask_strides[d];
    if (a->mask->floats) return score + a->mask->floats[i];
    return a->mask->integers[i] ? score : -INFINITY;
}

/* One head of one query: softmax(scale * q k^T + mask) v. If nothing may be seen, the result is NaN. */
static void attend(const struct attention *a, int64_t batch, int64_t row, int64_t head, double *out) {
    int64_t keys = keys_seen(a, batch, row), shared = head / (a->q.heads / a->k.heads);
    const double *q = a->q.x->floats + head_at(&a->q, batch, row, head);
    double largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < keys; j++) {
        const double *k = a->k.x->floats + head_at(&a->k, batch, j, shared);
        double score = 0;
        for (int64_t d = 0; d < a->q.dim; d++) score += q[d] * k[d];
        a->scores[j] = masked(a, (int64_t[]){batch, head, row, j}, score * a->scale);
        largest = scalar_eval_float(SCALAR_max, largest, a->scores[j], 0);
    }
    for (int64_t j = 0; j < keys; j++) sum += a->scores[j] = exp(a->scores[j] - largest);
    for (int64_t d = 0; d < a->v.dim; d++) out[d] = 0;
    for (int64_t j = 0; j < keys; j++) {
        const double *v = a->v.x->floats + head_at(&a->v, batch, j, shared);
        for (int64_t d = 0; d < a->v.dim; d++) out[d] += a->scores[j] * v[d];
    }
    for (int64_t d = 0; d < a->v.dim; d++) out[d] /= sum;
}

static void find_mask_strides(struct attention *a) {
    int64_t extents[4] = {a->q.batch, a->q.heads, a->q.rows, a->k.rows};
    if (a->mask) array_broadcast_strides(a->mask, 4, extents, a->mask_strides);
}

bool eval_sdpa(struct eval *e, const struct node *n) {
    struct attention a = {.q = heads_of(eval_factor(e, n, 0)),
                          .k = heads_of(eval_factor(e, n, 1)),
                          .v = heads_of(eval_factor(e, n, 2)),
                          .at = eval_operand(e, n, 3),
                          .mask = eval_operand(e, n, 4),
                          .causal = attr_flag(n, "causal")};
    struct array *y = eval_result(e, n, 0);
    if (!y) return false;
    a.scale = node_attr(n, "scale")->set ? node_attr(n, "scale")->f : 1 / sqrt((double)a.q.dim);
    a.scores = arena_new_array(e->arena, double, (size_t)a.k.rows);
    find_mask_strides(&a);
    struct heads out = heads_of(y);
    for (int64_t b = 0; b < a.q.batch; b++)
        for (int64_t r = 0; r < a.q.rows; r++)
            for (int64_t h = 0; h < a.q.heads; h++) attend(&a, b, r, h, y->floats + head_at(&out, b, r, h));
    return true;
}
