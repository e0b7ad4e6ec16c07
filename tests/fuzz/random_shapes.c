/* Random views, reductions and contractions. */
#include "random_statements.h"
#include <math.h>
#include <string.h>

static bool any_kind(struct rx_model *m, int least_rank, struct rx_value *x) {
    return rx_pick(m, rx_chance(m, 85) ? 'f' : 'i', least_rank, x);
}

/* ---- Views ---- */

static bool transpose(struct rx_model *m) {
    struct rx_value x, made;
    int perm[RX_RANK];
    const char *text = "";
    if (!any_kind(m, 2, &x)) return false;
    made = x;
    for (int d = 0; d < x.rank; d++) perm[d] = d;
    for (int d = x.rank - 1; d > 0; d--) {
        int other = rx_below(m, d + 1), was = perm[d];
        perm[d] = perm[other];
        perm[other] = was;
    }
    for (int d = 0; d < x.rank; d++) {
        made.extents[d] = x.extents[perm[d]];
        text = arena_printf(m->a, "%s%s%d", text, d ? ", " : "", perm[d]);
    }
    rx_let(m, made, "transpose(%s, [%s])", x.name, text);
    return true;
}

/* [.., e, f, ..] to [.., e*f, ..] */
static bool merge(struct rx_model *m) {
    struct rx_value x;
    if (!any_kind(m, 2, &x)) return false;
    int d = rx_below(m, x.rank - 1);
    struct rx_extent a = x.extents[d], b = x.extents[d + 1];
    if ((a.dim >= 0 && b.dim >= 0) || a.factor * b.factor > 192) return false;
    struct rx_value made = x;
    rx_remove_axis(&made, d);
    made.extents[d] = (struct rx_extent){a.factor * b.factor, a.dim >= 0 ? a.dim : b.dim};
    rx_let(m, made, "reshape(%s, [%s])", x.name, rx_extents_text(m, made.rank, made.extents));
    return true;
}

/* [.., n*e, ..] to [.., n, e, ..] or [.., e, n, ..] */
static bool unmerge(struct rx_model *m) {
    struct rx_value x;
    if (!any_kind(m, 1, &x)) return false;
    int d = rx_below(m, x.rank), n = 1 + rx_below(m, 6);
    struct rx_extent e = x.extents[d];
    if (e.factor % n) return false;
    struct rx_value made = x;
    struct rx_extent part = {n, -1}, rest = {e.factor / n, e.dim};
    bool first = rx_chance(m, 50);
    made.extents[d] = first ? rest : part;
    if (!rx_insert_axis(&made, d, first ? part : rest)) return false;
    rx_let(m, made, "reshape(%s, [%s])", x.name, rx_extents_text(m, made.rank, made.extents));
    return true;
}

static bool broadcast(struct rx_model *m) {
    struct rx_value x, like;
    if (!any_kind(m, 0, &x) || x.rank > 2 || !any_kind(m, 1, &like)) return false;
    struct rx_value made = x;
    if (!rx_insert_axis(&made, 0, like.extents[0])) return false;
    rx_let(m, made, "broadcast(%s, [%s])", x.name, rx_extents_text(m, made.rank, made.extents));
    return true;
}

/* x[:, 1:5, :], also with a step, or one index. */
static bool slice(struct rx_model *m) {
    struct rx_value x;
    if (!any_kind(m, 1, &x)) return false;
    int d = rx_const_axis(m, &x, 2);
    if (d < 0) return false;
    int n = x.extents[d].factor, from = rx_below(m, n), to = from + 1 + rx_below(m, n - from),
        form = rx_below(m, 4);
    struct rx_value made = x;
    const char *text = "";
    const char *own = form == 0   ? arena_printf(m->a, "%d", from)
                      : form == 1 ? arena_printf(m->a, "%d::2", from)
                                  : arena_printf(m->a, "%d:%d", from, to);
    for (int i = 0; i < x.rank; i++)
        text = arena_printf(m->a, "%s%s%s", text, i ? ", " : "", i == d ? own : ":");
    made.extents[d].factor = form == 1 ? (n - from + 1) / 2 : to - from;
    if (form == 0) rx_remove_axis(&made, d);
    rx_let(m, made, "%s[%s]", x.name, text);
    return true;
}

/* The last row of a dim. */
static bool last_row(struct rx_model *m) {
    struct rx_value x;
    if (!any_kind(m, 1, &x) || x.extents[0].dim < 0 || x.extents[0].factor != 1) return false;
    struct rx_value made = x;
    made.extents[0] = (struct rx_extent){1, -1};
    rx_let(m, made, "%s[%c-1:%c]", x.name, 'S' + x.extents[0].dim, 'S' + x.extents[0].dim);
    return true;
}

static bool concat(struct rx_model *m) {
    struct rx_value x, y;
    if (!any_kind(m, 1, &x) || !rx_partner(m, &x, true, &y)) return false;
    int d = rx_below(m, x.rank);
    struct rx_value made = x;
    made.lo = fmin(x.lo, y.lo), made.hi = fmax(x.hi, y.hi);
    made.steady = x.steady && y.steady;
    bool stack = rx_chance(m, 30);
    if (stack && !rx_insert_axis(&made, d, (struct rx_extent){2, -1})) return false;
    if (!stack) made.extents[d].factor *= 2;
    rx_let(m, made, "%s(%s, %s, axis=%d)", stack ? "stack" : "concat", x.name, y.name, d);
    return true;
}

static bool split(struct rx_model *m) {
    struct rx_value x;
    if (!any_kind(m, 1, &x)) return false;
    int d = rx_const_axis(m, &x, 2);
    if (d < 0) return false;
    int n = x.extents[d].factor, first = rx_chance(m, 60) ? (n + 1) / 2 : 1 + rx_below(m, n - 1);
    struct rx_value a = x, b = x;
    a.extents[d].factor = first, b.extents[d].factor = n - first;
    snprintf(a.name, sizeof a.name, "v%d", m->names++);
    snprintf(b.name, sizeof b.name, "v%d", m->names++);
    fprintf(m->out, "    %s, %s = split(%s, [%d, %d], axis=%d)\n", a.name, b.name, x.name, first, n - first,
            d);
    rx_add(m, &a);
    rx_add(m, &b);
    return true;
}

static bool pad(struct rx_model *m) {
    struct rx_value x;
    if (!rx_pick(m, 'f', 1, &x)) return false;
    int d = rx_const_axis(m, &x, 1), before = rx_below(m, 3), after = rx_below(m, 3);
    if (d < 0) return false;
    struct rx_value made = x;
    const char *text = "";
    made.extents[d].factor += before + after;
    made.lo = fmin(x.lo, 2), made.hi = fmax(x.hi, 2);
    for (int i = 0; i < x.rank; i++)
        text =
            arena_printf(m->a, "%s%s[%d, %d]", text, i ? ", " : "", i == d ? before : 0, i == d ? after : 0);
    rx_let(m, made, "pad(%s, [%s], value=%d)", x.name, text, rx_below(m, 3));
    return true;
}

static bool flip(struct rx_model *m) {
    struct rx_value x;
    if (!any_kind(m, 1, &x)) return false;
    rx_let(m, x, "flip(%s, axis=%d)", x.name, rx_below(m, x.rank));
    return true;
}

const struct rx_row rx_shapes[] = {{5, transpose}, {5, merge},    {6, unmerge}, {4, broadcast},
                                   {5, slice},     {1, last_row}, {3, concat},  {2, split},
                                   {3, pad},       {2, flip},     {0, NULL}};

/* ---- Reductions ---- */

/* Axes to reduce, at least one, as a list; `made` loses them, or keeps ones. Returns how many elements go
 * into one. */
static double reduce_axes(struct rx_model *m, struct rx_value *made, bool keep, const char **text) {
    double count = 1;
    int chosen = 0, must = rx_below(m, made->rank);
    *text = "";
    for (int d = 0, at = 0, rank = made->rank; d < rank; d++) {
        if (d != must && !rx_chance(m, 25)) {
            at++;
            continue;
        }
        count *= rx_largest(m, made->extents[at]);
        *text = arena_printf(m->a, "%s%s%d", *text, chosen++ ? ", " : "", d);
        if (keep)
            made->extents[at++] = (struct rx_extent){1, -1};
        else
            rx_remove_axis(made, at);
    }
    return count;
}

static bool reduce(struct rx_model *m) {
    static const char *const words[] = {"sum", "max", "min", "prod", "mean", "logsumexp", "var"};
    struct rx_value x;
    int k = rx_below(m, m->exact ? 4 : 7);
    bool keep = rx_chance(m, 40);
    if (!rx_pick(m, k < 4 && rx_chance(m, 10) ? 'i' : 'f', 1, &x)) return false;
    x = rx_small(m, x, k == 3 ? 1 : 1 << 10);
    struct rx_value made = x;
    const char *axes;
    double count = reduce_axes(m, &made, keep, &axes);
    if (k == 0) made.lo *= count, made.hi *= count;
    made.lo = fmin(made.lo, -fabs(made.hi)), made.hi = fmax(made.hi, fabs(made.lo));
    if (k == 0 || k > 2) made.steady = false;
    if (m->exact && fmax(fabs(made.lo), made.hi) > 1 << 23) return false;
    rx_let(m, made, "%s(%s, axis=[%s]%s)", words[k], x.name, axes, keep ? ", keep" : "");
    return true;
}

static bool reduce_bools(struct rx_model *m) {
    struct rx_value x;
    if (!rx_pick(m, 'b', 1, &x)) return false;
    bool keep = rx_chance(m, 40);
    struct rx_value made = x;
    const char *axes;
    reduce_axes(m, &made, keep, &axes);
    rx_let(m, made, "%s(%s, axis=[%s]%s)", rx_chance(m, 50) ? "any" : "all", x.name, axes,
           keep ? ", keep" : "");
    return true;
}

static bool cumsum(struct rx_model *m) {
    struct rx_value x;
    if (!rx_pick(m, 'f', 1, &x)) return false;
    x = rx_small(m, x, 1 << 10);
    int d = rx_below(m, x.rank);
    double count = rx_largest(m, x.extents[d]);
    struct rx_value made = x;
    made.lo = fmin(x.lo, x.lo * count), made.hi = fmax(x.hi, x.hi * count);
    made.steady = false;
    rx_let(m, made, "cumsum(%s, axis=%d)", x.name, d);
    return true;
}

/* ---- Contractions ---- */

static double absolute(const struct rx_value *v) { return fmax(fabs(v->lo), fabs(v->hi)); }

static void make_product(struct rx_model *m, struct rx_value made, double count, const struct rx_value *x,
                         const struct rx_value *y, const char *text) {
    made.kind = 'f';
    made.hi = count * absolute(x) * absolute(y);
    made.lo = -made.hi;
    made.steady = false;
    rx_let(m, made, "%s", text);
}

/* A matrix whose last axis is e, params first. */
static bool any_matrix(struct rx_model *m, struct rx_extent e, struct rx_value *w) {
    int start = rx_below(m, m->values_count);
    for (int i = 0; i < 2 * m->values_count; i++) {
        *w = m->values[(start + i) % m->values_count];
        bool fits = w->kind == 'f' && w->rank == 2 && rx_same_extent(w->extents[1], e);
        if (fits && (i >= m->values_count || w->name[0] == 'p')) return true;
    }
    return false;
}

static bool linear(struct rx_model *m) {
    struct rx_value x, w;
    if (!rx_pick(m, 'f', 1, &x) || !any_matrix(m, x.extents[x.rank - 1], &w)) return false;
    x = rx_small(m, x, 16);
    w = rx_small(m, w, 16);
    struct rx_value made = x;
    made.extents[x.rank - 1] = w.extents[0];
    double count = rx_largest(m, x.extents[x.rank - 1]);
    make_product(m, made, count, &x, &w, arena_printf(m->a, "linear(%s, %s)", x.name, w.name));
    return true;
}

/* Operands moved to where the sum is cut; its result said to be partial. */
static bool partial(struct rx_model *m) {
    struct rx_value x, w;
    if (!rx_pick(m, 'f', 1, &x) || !any_matrix(m, x.extents[x.rank - 1], &w)) return false;
    struct rx_extent k = x.extents[x.rank - 1];
    int axis = rx_below(m, m->axes_count);
    if (x.rank > 3 || (k.dim < 0 && k.factor % m->sizes[axis])) return false;
    x = rx_small(m, x, 16);
    w = rx_small(m, w, 16);
    const char *holes = x.rank == 3 ? "_, _, " : x.rank == 2 ? "_, " : "";
    int n = m->names;
    m->names += 3;
    struct rx_value made = x;
    made.extents[x.rank - 1] = w.extents[0];
    fprintf(m->out, "    v%d : f32[%s] @m(%s%c) = %s\n", n, rx_extents_text(m, x.rank, x.extents), holes,
            'a' + axis, x.name);
    fprintf(m->out, "    v%d : f32[%s] @m(_, %c) = %s\n", n + 1, rx_extents_text(m, 2, w.extents), 'a' + axis,
            w.name);
    fprintf(m->out, "    v%d : f32[%s] @m(%s_, %c partial) = linear(v%d, v%d)\n", n + 2,
            rx_extents_text(m, x.rank, made.extents), holes, 'a' + axis, n, n + 1);
    made.hi = rx_largest(m, k) * absolute(&x) * absolute(&w), made.lo = -made.hi, made.steady = false;
    snprintf(made.name, sizeof made.name, "v%d", n + 2);
    rx_add(m, &made);
    return true;
}

static bool matmul(struct rx_model *m) {
    struct rx_value x, y;
    if (!rx_pick(m, 'f', 2, &x) || !rx_pick(m, 'f', 2, &y)) return false;
    bool batched = y.rank > 2;
    if (!rx_same_extent(x.extents[x.rank - 1], y.extents[y.rank - 2]) || (batched && y.rank != x.rank))
        return false;
    for (int d = 0; batched && d < x.rank - 2; d++)
        if (!rx_same_extent(x.extents[d], y.extents[d])) return false;
    x = rx_small(m, x, 16);
    y = rx_small(m, y, 16);
    struct rx_value made = x;
    made.extents[x.rank - 1] = y.extents[y.rank - 1];
    double count = rx_largest(m, x.extents[x.rank - 1]);
    make_product(m, made, count, &x, &y, arena_printf(m->a, "matmul(%s, %s)", x.name, y.name));
    return true;
}

/* Letters of y: those of x with the same extent, or new ones. */
static void name_axes(struct rx_model *m, const struct rx_value *x, const struct rx_value *y, char *letters,
                      struct rx_extent *extents, int *count) {
    unsigned used = 0;
    for (int d = 0; d < y->rank; d++) {
        int found = -1;
        for (int k = 0; k < x->rank && found < 0; k++)
            if (rx_same_extent(x->extents[k], y->extents[d]) && !(used >> k & 1) && rx_chance(m, 75))
                found = k;
        if (found >= 0) used |= 1u << found;
        if (found < 0) extents[found = (*count)++] = y->extents[d];
        letters[d] = (char)('a' + found);
    }
    letters[y->rank] = 0;
}

static bool einsum(struct rx_model *m) {
    struct rx_value x, y;
    char letters[RX_RANK + 1], out[RX_RANK + 1], own[RX_RANK + 1];
    struct rx_extent extents[2 * RX_RANK];
    int count;
    double summed = 1;
    if (!rx_pick(m, 'f', 1, &x) || !rx_pick(m, 'f', 1, &y)) return false;
    x = rx_small(m, x, 4);
    y = rx_small(m, y, 4);
    memcpy(extents, x.extents, sizeof x.extents);
    for (int d = 0; d < x.rank; d++) own[d] = (char)('a' + d);
    own[x.rank] = 0;
    count = x.rank;
    name_axes(m, &x, &y, letters, extents, &count);
    struct rx_value made = {.kind = 'f'};
    for (int i = count - 1, k = rx_below(m, count); i >= 0; i--) {
        int letter = (i + k) % count;
        bool keep = made.rank < 3 && rx_chance(m, 60);
        if (!keep) summed *= rx_largest(m, extents[letter]);
        if (!keep) continue;
        out[made.rank] = (char)('a' + letter);
        made.extents[made.rank++] = extents[letter];
    }
    out[made.rank] = 0;
    if (summed > 1 << 14) return false;
    const char *text = arena_printf(m->a, "einsum(\"%s,%s->%s\", %s, %s)", own, letters, out, x.name, y.name);
    make_product(m, made, summed, &x, &y, text);
    return true;
}

const struct rx_row rx_contractions[] = {{10, reduce}, {3, reduce_bools}, {2, cumsum}, {16, linear},
                                         {3, partial}, {5, matmul},       {8, einsum}, {0, NULL}};
