/* Random gathers, sorts and the like; ops of reals: norms, softmax, attention. */
#include "random_statements.h"
#include <math.h>
#include <string.h>

/* ---- Indexing ---- */

/* Ids below n. */
static bool any_ids(struct rx_model *m, int rank, int n, struct rx_value *ids) {
    if (!rx_pick(m, 'i', rank ? rank : 1, ids) || (rank && ids->rank != rank)) return false;
    if (ids->lo >= 0 && ids->hi < n) return true;
    struct rx_value made = *ids;
    made.lo = 0, made.hi = n - 1;
    *ids = rx_chance(m, 50) ? rx_let(m, made, "%s %% %d", ids->name, n)
                            : rx_let(m, made, "clip(%s, 0, %d)", ids->name, n - 1);
    return true;
}

static bool gather(struct rx_model *m) {
    struct rx_value table, ids;
    if (!rx_pick(m, 'f', 1, &table)) return false;
    int axis = rx_const_axis(m, &table, 1);
    if (axis < 0 || !any_ids(m, 0, table.extents[axis].factor, &ids)) return false;
    struct rx_value made = table;
    made.extents[axis] = ids.extents[0];
    if (ids.rank > 2 || (ids.rank == 2 && !rx_insert_axis(&made, axis + 1, ids.extents[1]))) return false;
    rx_let(m, made, "gather(%s, %s, axis=%d)", table.name, ids.name, axis);
    return true;
}

static bool take_along(struct rx_model *m) {
    struct rx_value x, y;
    if (!rx_pick(m, 'f', 1, &x) || !rx_partner(m, &x, true, &y) || !rx_may_jump(m, &y)) return false;
    int axis = rx_below(m, x.rank);
    struct rx_value ids = x;
    ids.kind = 'i', ids.lo = 0, ids.hi = rx_largest(m, x.extents[axis]) - 1, ids.steady = true;
    ids = rx_let(m, ids, "argsort(%s, axis=%d)", y.name, axis);
    rx_let(m, x, "take_along(%s, %s, axis=%d)", x.name, ids.name, axis);
    return true;
}

static bool scatter(struct rx_model *m) {
    struct rx_value x, ids;
    if (!rx_pick(m, 'f', 1, &x)) return false;
    x = rx_small(m, x, 1 << 8);
    int axis = rx_const_axis(m, &x, 1);
    if (axis < 0 || !any_ids(m, 1, x.extents[axis].factor, &ids)) return false;
    struct rx_value updates = x, made = x;
    updates.extents[axis] = ids.extents[0];
    updates = rx_let(m, updates, "gather(%s, %s, axis=%d)", x.name, ids.name, axis);
    made.hi = fmax(fabs(x.lo), fabs(x.hi)) * (1 + rx_largest(m, ids.extents[0]));
    made.lo = -made.hi, made.steady = false;
    rx_let(m, made, "scatter(%s, %s, %s, axis=%d, reduce=add)", x.name, ids.name, updates.name, axis);
    return true;
}

static bool one_hot(struct rx_model *m) {
    struct rx_value ids;
    int n = 2 + rx_below(m, 7);
    if (!any_ids(m, 0, n, &ids) || ids.rank == RX_RANK) return false;
    struct rx_value made = ids;
    made.kind = 'f', made.lo = 0, made.hi = 1, made.steady = true;
    made.extents[made.rank++] = (struct rx_extent){n, -1};
    rx_let(m, made, "one_hot(%s, %d)", ids.name, n);
    return true;
}

static bool iota(struct rx_model *m) {
    struct rx_value x;
    if (!rx_pick(m, 'f', 1, &x)) return false;
    struct rx_value made = {.kind = 'i', .rank = 1, .steady = true};
    made.extents[0] = x.extents[rx_below(m, x.rank)];
    made.hi = rx_largest(m, made.extents[0]) - 1;
    rx_let(m, made, "iota(%s)", rx_extents_text(m, 1, made.extents));
    return true;
}

static bool argreduce(struct rx_model *m) {
    struct rx_value x;
    if (!rx_pick(m, 'f', 1, &x) || !rx_may_jump(m, &x)) return false;
    int axis = rx_below(m, x.rank);
    struct rx_value made = x;
    made.kind = 'i', made.lo = 0, made.hi = rx_largest(m, x.extents[axis]) - 1, made.steady = true;
    rx_remove_axis(&made, axis);
    rx_let(m, made, "%s(%s, axis=%d)", rx_chance(m, 50) ? "argmax" : "argmin", x.name, axis);
    return true;
}

static bool sort(struct rx_model *m) {
    struct rx_value x;
    if (!rx_pick(m, 'f', 1, &x) || !rx_may_jump(m, &x)) return false;
    rx_let(m, x, "sort(%s, axis=%d)", x.name, rx_below(m, x.rank));
    return true;
}

static bool topk(struct rx_model *m) {
    struct rx_value x;
    if (!rx_pick(m, 'f', 1, &x) || !rx_may_jump(m, &x)) return false;
    int axis = rx_const_axis(m, &x, 1);
    if (axis < 0) return false;
    int k = 1 + rx_below(m, x.extents[axis].factor);
    struct rx_value v = x, ids = x;
    v.extents[axis].factor = ids.extents[axis].factor = k;
    ids.kind = 'i', ids.lo = 0, ids.hi = x.extents[axis].factor - 1, ids.steady = true;
    snprintf(v.name, sizeof v.name, "v%d", m->names++);
    snprintf(ids.name, sizeof ids.name, "v%d", m->names++);
    fprintf(m->out, "    %s, %s = topk(%s, k=%d, axis=%d)\n", v.name, ids.name, x.name, k, axis);
    rx_add(m, &v);
    rx_add(m, &ids);
    return true;
}

const struct rx_row rx_indexing[] = {{6, gather},    {2, take_along}, {2, scatter}, {3, one_hot}, {2, iota},
                                     {2, argreduce}, {2, sort},       {2, topk},    {0, NULL}};

/* ---- Reals ---- */

static bool normalise(struct rx_model *m) {
    static const char *const forms[] = {"softmax(%s, axis=%d)", "log_softmax(%s, axis=%d)"};
    struct rx_value x;
    int k = rx_below(m, 4);
    if (!rx_pick(m, 'f', 1, &x)) return false;
    x.steady = false;
    if (k == 2) rx_let(m, x, "rms_norm(%s, eps=0.0009765625)", x.name);
    if (k == 3) rx_let(m, x, "layer_norm(%s, eps=0.0009765625)", x.name);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (k < 2) rx_let(m, x, "%s", arena_printf(m->a, forms[k], x.name, rx_below(m, x.rank)));
#pragma GCC diagnostic pop
    return true;
}

static bool rope(struct rx_model *m) {
    struct rx_value x;
    if (!rx_pick(m, 'f', 3, &x)) return false;
    struct rx_extent last = x.extents[x.rank - 1];
    if (last.dim >= 0 || last.factor % 2) return false;
    rx_let(m, x, "rope(%s, at=%d, style=%s)", x.name, rx_below(m, 3),
           rx_chance(m, 50) ? "halves" : "interleaved");
    return true;
}

/* Queries of n times the heads of keys: x joined n times along the heads. */
static bool attention(struct rx_model *m) {
    struct rx_value k, v;
    if (!rx_pick(m, 'f', 3, &k) || !rx_partner(m, &k, true, &v)) return false;
    int heads = k.rank - 2, last = k.rank - 1;
    struct rx_value q = k;
    if (k.extents[heads].dim >= 0 || k.extents[last].dim >= 0) return false;
    q.steady = false;
    if (rx_chance(m, 40)) {
        q.extents[heads].factor *= 2;
        q = rx_let(m, q, "concat(%s, %s, axis=%d)", v.name, k.name, heads);
    }
    struct rx_value made = q;
    int width = k.extents[last].factor;
    if (width > 1 && rx_chance(m, 25)) {
        v.extents[last].factor = made.extents[last].factor = width / 2;
        v = rx_let(m, v, "%s[%s:, 0:%d]", v.name, k.rank == 4 ? ":, :, " : ":, ", width / 2);
    }
    rx_let(m, made, "sdpa(%s, %s, %s, scale=0.5%s)", q.name, k.name, v.name,
           rx_chance(m, 50) ? ", causal" : "");
    return true;
}

/* A vector as heads: so that rope and attention have something to work on. */
static bool heads(struct rx_model *m) {
    struct rx_value x;
    if (!rx_pick(m, 'f', 2, &x) || x.rank != 2) return false;
    struct rx_extent e = x.extents[1];
    int n = 1 + rx_below(m, 4);
    if (e.dim >= 0 || e.factor % (2 * n)) return false;
    struct rx_value made = x;
    made.rank = 3;
    made.extents[1] = (struct rx_extent){n, -1};
    made.extents[2] = (struct rx_extent){e.factor / n, -1};
    rx_let(m, made, "reshape(%s, [%s])", x.name, rx_extents_text(m, 3, made.extents));
    return true;
}

const struct rx_row rx_reals[] = {{10, normalise}, {5, rope}, {9, attention}, {6, heads}, {0, NULL}};
