/* Random statements: operands, elementwise ops, loops, states; the table of all kinds. */
#include "random_statements.h"
#include <math.h>
#include <string.h>

/* ---- Operands ---- */

bool rx_pick(struct rx_model *m, char kind, int least_rank, struct rx_value *v) {
    for (int tries = 0; tries < 12; tries++) {
        int late = rx_chance(m, 50) && m->values_count > 4 ? m->values_count - 4 : 0;
        *v = m->values[late + rx_below(m, m->values_count - late)];
        if (v->kind == kind && v->rank >= least_rank) return true;
    }
    return false;
}

static double bound(const struct rx_value *v) { return fmax(fabs(v->lo), fabs(v->hi)); }

struct rx_value rx_small(struct rx_model *m, struct rx_value v, double limit) {
    if (bound(&v) <= limit) return v;
    struct rx_value made = v;
    limit = floor(fmax(limit, 1));
    made.lo = fmax(v.lo, -limit);
    made.hi = fmin(v.hi, limit);
    if (made.lo > made.hi) made.lo = made.hi = v.lo > limit ? limit : -limit;
    if (v.kind == 'f' && !m->exact) return rx_let(m, made, "tanh(%s)", v.name);
    if (v.kind == 'f') return rx_let(m, made, "clip(%s, -%.1f, %.1f)", v.name, limit, limit);
    return rx_let(m, made, "clip(%s, -%.0f, %.0f)", v.name, limit, limit);
}

bool rx_same_extent(struct rx_extent a, struct rx_extent b) { return a.factor == b.factor && a.dim == b.dim; }

bool rx_same_shape(const struct rx_value *a, const struct rx_value *b) {
    bool same = a->rank == b->rank;
    for (int d = 0; same && d < a->rank; d++) same = rx_same_extent(a->extents[d], b->extents[d]);
    return same;
}

static bool broadcasts(const struct rx_value *y, const struct rx_value *x) {
    if (y->rank > x->rank) return false;
    for (int d = 0; d < y->rank; d++) {
        struct rx_extent e = y->extents[d], to = x->extents[x->rank - y->rank + d];
        if (!rx_same_extent(e, to) && (e.dim >= 0 || e.factor != 1)) return false;
    }
    return true;
}

bool rx_partner(struct rx_model *m, const struct rx_value *x, bool same, struct rx_value *y) {
    int start = rx_below(m, m->values_count);
    for (int i = 0; i < m->values_count; i++) {
        *y = m->values[(start + i) % m->values_count];
        if (y->kind == x->kind && (same ? rx_same_shape(y, x) : broadcasts(y, x))) return true;
    }
    return false;
}

bool rx_may_jump(const struct rx_model *m, const struct rx_value *v) {
    return m->exact || v->steady || v->kind != 'f';
}

void rx_remove_axis(struct rx_value *v, int d) {
    memmove(v->extents + d, v->extents + d + 1, (size_t)(v->rank - d - 1) * sizeof *v->extents);
    v->rank--;
}

bool rx_insert_axis(struct rx_value *v, int d, struct rx_extent e) {
    if (v->rank == RX_RANK) return false;
    memmove(v->extents + d + 1, v->extents + d, (size_t)(v->rank - d) * sizeof *v->extents);
    v->extents[d] = e;
    v->rank++;
    return true;
}

int rx_const_axis(struct rx_model *m, const struct rx_value *v, int least) {
    for (int tries = 0; v->rank && tries < 6; tries++) {
        int d = rx_below(m, v->rank);
        if (v->extents[d].dim < 0 && v->extents[d].factor >= least) return d;
    }
    return -1;
}

/* ---- Elementwise ---- */

static bool unary(struct rx_model *m) {
    static const struct {
        const char *text;
        double lo, hi; /* of the result, where it is not the operand's turned about */
        bool real, jumps;
    } rows[] = {
        {"neg(%s)", 0, 0, false, false},
        {"abs(%s)", 0, 0, false, false},
        {"relu(%s)", 0, 0, false, false},
        {"%s * 2.0 - 1.0", 0, 0, false, false},
        {"clip(%s, -3.0, 2.0)", -3, 2, false, false},
        {"sign(%s)", -1, 1, false, true},
        {"%s %% 3.0", 0, 3, false, true},
        {"floor(%s)", 0, 0, false, true},
        {"tanh(%s)", -1, 1, true, false},
        {"silu(%s)", 0, 0, true, false},
        {"sigmoid(%s)", 0, 1, true, false},
        {"gelu(%s)", 0, 0, true, false},
        {"sin(%s)", -1, 1, true, false},
        {"exp(tanh(%s))", 0, 3, true, false},
    };
    struct rx_value x;
    int k = rx_below(m, (int)(sizeof rows / sizeof *rows));
    if (!rx_pick(m, 'f', 0, &x) || (m->exact && rows[k].real) || (rows[k].jumps && !rx_may_jump(m, &x)))
        return false;
    x = rx_small(m, x, 1 << 18);
    double limit = 2 * bound(&x) + 1;
    bool own = rows[k].lo < rows[k].hi;
    struct rx_value made = x;
    made.lo = own ? rows[k].lo : -limit;
    made.hi = own ? rows[k].hi : limit;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const char *text = arena_printf(m->a, rows[k].text, x.name);
#pragma GCC diagnostic pop
    rx_let(m, made, "%s", text);
    return true;
}

static bool binary(struct rx_model *m) {
    static const char *const forms[] = {"%s + %s", "%s - %s", "%s * %s", "maximum(%s, %s)",
                                        "minimum(%s, %s)"};
    struct rx_value x, y;
    int k = rx_below(m, 5);
    if (!rx_pick(m, rx_chance(m, 90) ? 'f' : 'i', 0, &x) || !rx_partner(m, &x, false, &y)) return false;
    x = rx_small(m, x, k == 2 ? 1 << 9 : 1 << 20);
    y = rx_small(m, y, k == 2 ? 1 << 9 : 1 << 20);
    struct rx_value made = x;
    double limit = k == 2 ? bound(&x) * bound(&y) : bound(&x) + bound(&y);
    made.lo = -limit, made.hi = limit;
    made.steady = x.steady && y.steady;
    bool swap = rx_chance(m, 30);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const char *text = arena_printf(m->a, forms[k], swap ? y.name : x.name, swap ? x.name : y.name);
#pragma GCC diagnostic pop
    rx_let(m, made, "%s", text);
    return true;
}

static bool compare(struct rx_model *m) {
    static const char *const words[] = {">", "<=", "==", "!=", "<"};
    struct rx_value x, y;
    if (!rx_pick(m, rx_chance(m, 70) ? 'f' : 'i', 0, &x) || !rx_partner(m, &x, false, &y)) return false;
    if (!rx_may_jump(m, &x) || !rx_may_jump(m, &y)) return false;
    struct rx_value made = x;
    made.kind = 'b', made.lo = 0, made.hi = 1, made.steady = true;
    rx_let(m, made, "%s %s %s", x.name, words[rx_below(m, 5)], y.name);
    return true;
}

static bool choose(struct rx_model *m) {
    struct rx_value c, x, y;
    if (!rx_pick(m, 'b', 0, &c)) return false;
    struct rx_value like = c;
    like.kind = 'f';
    if (!rx_partner(m, &like, false, &x) || !rx_partner(m, &like, false, &y)) return false;
    like.lo = fmin(x.lo, y.lo), like.hi = fmax(x.hi, y.hi);
    like.steady = x.steady && y.steady;
    rx_let(m, like, "where(%s, %s, %s)", c.name, x.name, y.name);
    return true;
}

static bool convert(struct rx_model *m) {
    struct rx_value x;
    static const char kinds[] = "fib";
    if (!rx_pick(m, kinds[rx_below(m, 3)], 0, &x)) return false;
    if (x.kind == 'f' && !m->exact) return false;
    struct rx_value made = x;
    made.kind = x.kind == 'f' ? 'i' : 'f';
    made.steady = true;
    rx_let(m, made, "cast(%s, %s)", x.name, x.kind == 'f' ? "i32" : "f32");
    return true;
}

/* The same value in another place. */
static bool move(struct rx_model *m) {
    struct rx_value x;
    if (!rx_pick(m, 'f', 1, &x)) return false;
    const char *where = rx_annotation(m, x.rank, x.extents);
    if (!*where) return false;
    struct rx_value made = x;
    snprintf(made.name, sizeof made.name, "v%d", m->names++);
    fprintf(m->out, "    %s : f32[%s]%s = %s\n", made.name, rx_extents_text(m, x.rank, x.extents), where,
            x.name);
    rx_add(m, &made);
    return true;
}

const struct rx_row rx_pointwise[] = {{10, unary},  {14, binary}, {4, compare}, {4, choose},
                                      {3, convert}, {5, move},    {0, NULL}};

/* ---- States and loops ---- */

static bool any_state(struct rx_model *m, struct rx_value *s) {
    int start = rx_below(m, m->globals_count + 1);
    for (int i = 0; i < m->globals_count; i++) {
        int k = (start + i) % m->globals_count;
        *s = m->globals[k];
        if (m->is_state[k]) return true;
    }
    return false;
}

static bool assign(struct rx_model *m) {
    struct rx_value s, x;
    if (!any_state(m, &s)) return false;
    if (!rx_partner(m, &s, true, &x)) x = s;
    fprintf(m->out, "    %s = clip(%s + %s, -8.0, 8.0)%s\n", s.name, s.name, x.name, rx_placement(m, &s));
    return true;
}

/* A position that a caller gives, below 2; NULL if there is none. */
static const char *any_position(struct rx_model *m) {
    for (int i = 0; i < m->args_count; i++)
        if (m->args[i].kind == 'i' && !m->args[i].rank) return m->args[i].name;
    return NULL;
}

/* write(buffer, x, at, axis): x has fewer or as many rows. */
static bool write_rows(struct rx_model *m) {
    struct rx_value s;
    if (!any_state(m, &s)) return false;
    int axis = rx_const_axis(m, &s, 1);
    if (axis < 0) return false;
    int rows = 1 + rx_below(m, s.extents[axis].factor), at = rx_below(m, s.extents[axis].factor - rows + 1);
    struct rx_value x = s;
    x.extents[axis].factor = rows;
    struct rx_value y;
    const char *text = rx_partner(m, &x, true, &y) ? arena_printf(m->a, "clip(%s, -8.0, 8.0)", y.name)
                                                   : arena_printf(m->a, "broadcast(3.0, [%s])",
                                                                  rx_extents_text(m, x.rank, x.extents));
    const char *position = rows < s.extents[axis].factor ? any_position(m) : NULL;
    if (!position) position = arena_printf(m->a, "%d", at);
    fprintf(m->out, "    %s = write(%s, %s, at=%s, axis=%d)%s\n", s.name, s.name, text, position, axis,
            rx_placement(m, &s));
    return true;
}

/* A value whose rows are of x's shape, for a loop over them. */
static bool any_rows(struct rx_model *m, const struct rx_value *x, struct rx_value *rows) {
    struct rx_value like = *x;
    for (int i = 0; i < m->values_count; i++) {
        like = *rows = m->values[(i + m->names) % m->values_count];
        if (rows->kind != 'f' || rows->rank != x->rank + 1) continue;
        rx_remove_axis(&like, 0);
        if (rx_same_shape(&like, x)) return true;
    }
    return false;
}

/* for t scan 0..n { ... x = clip(x + y) }: names of the body end with it. */
static bool loop(struct rx_model *m) {
    struct rx_value x, y;
    if (m->depth || !rx_pick(m, 'f', 0, &x)) return false;
    x = rx_small(m, x, 8);
    x = rx_let(m, x, "%s * 1.0", x.name);
    x.lo = -8, x.hi = 8, x.steady = false;
    struct rx_value *slot = &m->values[m->values_count - 1];
    if (strcmp(slot->name, x.name) != 0) return false;
    *slot = x;
    int count = m->values_count, statements = rx_below(m, 3), trips = 1 + rx_below(m, 4);
    struct rx_value rows;
    bool by_rows = rx_chance(m, 50) && any_rows(m, &x, &rows);
    const char *count_text = by_rows ? rx_extents_text(m, 1, rows.extents) : arena_printf(m->a, "%d", trips);
    int counter = m->names++;
    m->depth++;
    fprintf(m->out, "    for t%d scan 0..%s {\n", counter, count_text);
    for (int i = 0; i < statements; i++) rx_statement(m);
    if (by_rows) {
        y = rows;
        rx_remove_axis(&y, 0);
        y = rx_let(m, y, "%s[t%d]", rows.name, counter);
    } else if (!rx_partner(m, &x, true, &y)) {
        y = x;
    }
    y = rx_small(m, y, 1 << 20);
    if (m->exact)
        fprintf(m->out, "    %s = clip(%s + %s, -8.0, 8.0)\n", x.name, x.name, y.name);
    else
        fprintf(m->out, "    %s = tanh(%s + %s)\n", x.name, x.name, y.name);
    fputs("    }\n", m->out);
    m->depth--;
    m->values_count = count;
    return true;
}

static const struct rx_row effects[] = {{5, assign}, {5, write_rows}, {4, loop}, {0, NULL}};

/* ---- All ---- */

static rx_maker *any_maker(struct rx_model *m) {
    const struct rx_row *const tables[] = {rx_pointwise, rx_shapes, rx_contractions,
                                           rx_indexing,  effects,   rx_reals};
    int total = 0, count = m->exact ? 5 : 6;
    for (int t = 0; t < count; t++)
        for (const struct rx_row *row = tables[t]; row->make; row++) total += row->weight;
    int at = rx_below(m, total);
    for (int t = 0; t < count; t++)
        for (const struct rx_row *row = tables[t]; row->make; row++)
            if ((at -= row->weight) < 0) return row->make;
    return NULL;
}

void rx_statement(struct rx_model *m) {
    for (int tries = 0; tries < 40; tries++)
        if (m->values_count > RX_VALUES - 6 || any_maker(m)(m)) return;
}
