/* The frame of a random model: mesh, dims, params, states, functions and their annotations. */
#include "random_model.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014) */
uint64_t rx_next(struct rx_model *m) {
    uint64_t z = m->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
int rx_below(struct rx_model *m, int n) { return (int)(rx_next(m) % (uint64_t)n); }
bool rx_chance(struct rx_model *m, int percent) { return rx_below(m, 100) < percent; }

/* ---- Extents ---- */

double rx_largest(const struct rx_model *m, struct rx_extent e) {
    return e.dim < 0 ? e.factor : e.factor * (double)m->dim_max;
}

static const char *extent_text(struct rx_model *m, struct rx_extent e) {
    if (e.dim < 0) return arena_printf(m->a, "%d", e.factor);
    if (e.factor == 1) return arena_printf(m->a, "%c", 'S' + e.dim);
    return arena_printf(m->a, "%d*%c", e.factor, 'S' + e.dim);
}

const char *rx_extents_text(struct rx_model *m, int rank, const struct rx_extent *e) {
    const char *text = "";
    for (int d = 0; d < rank; d++)
        text = arena_printf(m->a, "%s%s%s", text, d ? ", " : "", extent_text(m, e[d]));
    return text;
}

static struct rx_extent any_extent(struct rx_model *m, bool symbolic) {
    static const int factors[] = {2, 3, 4, 6, 8, 12, 12, 24, 1, 5};
    if (symbolic && rx_chance(m, 50)) return (struct rx_extent){1, rx_below(m, m->dims_count)};
    return (struct rx_extent){factors[rx_below(m, (int)(sizeof factors / sizeof *factors))], -1};
}

/* ---- Annotations ---- */

/* Axes that are free and divide the extent, one to three of them, as text; NULL if there are none. */
static const char *axes_for(struct rx_model *m, struct rx_extent e, unsigned *used) {
    const char *text = "";
    int count = 0, pieces = 1, wanted = 1 + rx_chance(m, 30) + rx_chance(m, 20);
    for (int tries = 0; tries < 6 && count < wanted; tries++) {
        int axis = rx_below(m, m->axes_count);
        if (*used >> axis & 1) continue;
        if (e.dim < 0 && e.factor % (pieces * m->sizes[axis])) continue;
        pieces *= m->sizes[axis];
        *used |= 1u << axis;
        text = arena_printf(m->a, "%s%s%c", text, count++ ? ", " : "", 'a' + axis);
    }
    if (!count) return NULL;
    return count > 1 || rx_chance(m, 10) ? arena_printf(m->a, "[%s%s]", text, rx_chance(m, 15) ? ", ?" : "")
                                         : text;
}

const char *rx_annotation(struct rx_model *m, int rank, const struct rx_extent *e) {
    const char *text = " @m(";
    unsigned used = 0;
    if (!rank || rx_chance(m, 40)) return "";
    for (int d = 0; d < rank; d++) {
        const char *axes = rx_chance(m, 55) ? axes_for(m, e[d], &used) : NULL;
        const char *entry = axes ? axes : rx_chance(m, 50) ? "_" : "?";
        const char *priority = rx_chance(m, 12) ? arena_printf(m->a, "!%d", rx_below(m, 3)) : "";
        text = arena_printf(m->a, "%s%s%s%s", text, d ? ", " : "", entry, priority);
    }
    return arena_printf(m->a, "%s)", text);
}

const char *rx_placement(struct rx_model *m, const struct rx_value *state) {
    if (!m->stages || m->depth || (!state && rx_chance(m, 40))) return "";
    int at = state ? atoi(state->name + 1) % m->stages : rx_below(m, m->stages); /* a state's own */
    return arena_printf(m->a, " on m.p(%d)", at);
}

/* ---- Values ---- */

void rx_add(struct rx_model *m, const struct rx_value *v) {
    if (m->values_count < RX_VALUES) m->values[m->values_count++] = *v;
}

static const char *type_text(struct rx_model *m, const struct rx_value *v) {
    const char *dtype = v->kind == 'f' ? "f32" : v->kind == 'i' ? "i32" : "bool";
    if (!v->rank) return dtype;
    return arena_printf(m->a, "%s[%s]", dtype, rx_extents_text(m, v->rank, v->extents));
}

struct rx_value rx_let(struct rx_model *m, struct rx_value v, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(m->a, format, args);
    va_end(args);
    snprintf(v.name, sizeof v.name, "v%d", m->names++);
    const char *where = rx_chance(m, 25) ? rx_annotation(m, v.rank, v.extents) : "";
    if (*where && rx_chance(m, 50))
        fprintf(m->out, "    %s : %s%s = %s%s\n", v.name, type_text(m, &v), where, text,
                rx_placement(m, NULL));
    else
        fprintf(m->out, "    %s = %s%s%s\n", v.name, text, where, rx_placement(m, NULL));
    rx_add(m, &v);
    return v;
}

/* ---- Declarations ---- */

static void choose_mesh(struct rx_model *m) {
    do {
        m->axes_count = 1 + rx_below(m, RX_AXES);
        m->ranks = 1;
        for (int i = 0; i < m->axes_count; i++) m->ranks *= m->sizes[i] = 1 + rx_below(m, 4);
        m->stages = rx_chance(m, 30) ? 2 + rx_chance(m, 30) : 0;
        if (m->stages) m->ranks *= m->stages;
    } while (m->ranks < 2 || m->ranks > 8);
    m->dim_max = 3 * m->ranks;
    m->dims_count = 1 + rx_chance(m, 40);
    fputs("model t\nmesh m = <", m->out);
    for (int i = 0; i < m->axes_count; i++) fprintf(m->out, "%s%c=%d", i ? ", " : "", 'a' + i, m->sizes[i]);
    if (m->stages) fprintf(m->out, ", p=%d", m->stages);
    fputs(">\n", m->out);
    for (int i = 0; i < m->dims_count; i++) fprintf(m->out, "dim %c in 1..%d\n", 'S' + i, (int)m->dim_max);
}

static void write_list(struct rx_model *m, const struct rx_value *v, int d) {
    if (d == v->rank) {
        fprintf(m->out, "%d", (int)v->lo + rx_below(m, (int)(v->hi - v->lo) + 1));
        return;
    }
    fputc('[', m->out);
    for (int i = 0; i < v->extents[d].factor; i++) {
        if (i) fputs(", ", m->out);
        write_list(m, v, d + 1);
    }
    fputc(']', m->out);
}

static struct rx_value any_shape(struct rx_model *m, char kind, bool symbolic, int least) {
    struct rx_value v = {
        .kind = kind, .rank = least + rx_below(m, 4 - least), .lo = -4, .hi = 4, .steady = true};
    for (int d = 0; d < v.rank; d++) v.extents[d] = any_extent(m, symbolic);
    return v;
}

static void declare_param(struct rx_model *m, struct rx_value v) {
    snprintf(v.name, sizeof v.name, "p%d", m->globals_count);
    fprintf(m->out, "param %s : %s%s = ", v.name, type_text(m, &v), rx_annotation(m, v.rank, v.extents));
    if (m->exact)
        write_list(m, &v, 0);
    else
        fputs("normal(std=0.7)", m->out);
    fputc('\n', m->out);
    m->globals[m->globals_count++] = v;
    rx_add(m, &v);
}

static void declare_state(struct rx_model *m) {
    struct rx_value v = any_shape(m, 'f', false, 1);
    snprintf(v.name, sizeof v.name, "s%d", m->globals_count);
    v.lo = -8, v.hi = 8, v.steady = false;
    fprintf(m->out, "state %s : %s%s = %s\n", v.name, type_text(m, &v), rx_annotation(m, v.rank, v.extents),
            rx_chance(m, 50) ? "zeros" : "ones");
    m->is_state[m->globals_count] = true;
    m->globals[m->globals_count++] = v;
    rx_add(m, &v);
}

static const struct rx_value *any_of(struct rx_model *m, const struct rx_value *values, int count) {
    return &values[rx_below(m, count)];
}

/* Params that fit what there is: a matrix for the last axis of some argument, or of its own. */
static void declare_globals(struct rx_model *m) {
    int count = 1 + rx_below(m, 4);
    for (int i = 0; i < count; i++) {
        struct rx_value v = any_shape(m, 'f', false, 1);
        const struct rx_value *x = any_of(m, m->args, m->args_count);
        if (rx_chance(m, 60) && x->rank && x->extents[x->rank - 1].dim < 0) {
            v.rank = 1 + rx_chance(m, 80);
            v.extents[v.rank - 1] = x->extents[x->rank - 1];
        }
        declare_param(m, v);
    }
    if (rx_chance(m, 40)) declare_state(m);
    if (rx_chance(m, 15)) declare_state(m);
}

static void choose_args(struct rx_model *m) {
    int count = 1 + rx_below(m, 3);
    for (int i = 0; i < count; i++) m->args[m->args_count++] = any_shape(m, 'f', true, 1);
    if (rx_chance(m, 40)) {
        struct rx_value like = *any_of(m, m->args, count);
        m->args[m->args_count++] = like;
    }
    if (rx_chance(m, 50)) {
        struct rx_value ids = {.kind = 'i', .rank = 1 + rx_chance(m, 20), .lo = 0, .hi = 1, .steady = true};
        for (int d = 0; d < ids.rank; d++) ids.extents[d] = any_extent(m, true);
        m->args[m->args_count++] = ids;
    }
    if (rx_chance(m, 25))
        m->args[m->args_count++] = (struct rx_value){.kind = 'i', .lo = 0, .hi = 1, .steady = true};
    for (int i = 0; i < m->args_count; i++) snprintf(m->args[i].name, sizeof m->args[i].name, "x%d", i);
}

/* A dim must be told by some argument. */
static void tell_dims(struct rx_model *m) {
    struct rx_value *x = &m->args[0];
    for (int i = 0; i < m->dims_count; i++) {
        if (x->rank == i) x->rank++;
        x->extents[i] = (struct rx_extent){1, i};
    }
}

static void write_results(struct rx_model *m, const struct rx_value *results, int count) {
    fputs(" -> ", m->out);
    for (int i = 0; i < count; i++)
        fprintf(m->out, "%s%s%s", i ? ", " : "", type_text(m, &results[i]),
                rx_annotation(m, results[i].rank, results[i].extents));
}

static void write_function(struct rx_model *m) {
    char *body;
    size_t length;
    FILE *whole = m->out;
    struct rx_value results[3];
    int statements = 3 + rx_below(m, 9), count = 1 + rx_below(m, 3);
    m->out = open_memstream(&body, &length);
    for (int i = 0; i < m->args_count; i++) rx_add(m, &m->args[i]);
    for (int i = 0; i < statements; i++) rx_statement(m);
    fclose(m->out);
    m->out = whole;
    for (int i = 0; i < count; i++)
        results[i] = m->values[i == 0 ? m->values_count - 1 : rx_below(m, m->values_count)];
    fputs("export fn f(", m->out);
    for (int i = 0; i < m->args_count; i++) {
        const struct rx_value *x = &m->args[i];
        fprintf(m->out, "%s%s: %s%s", i ? ", " : "", x->name, type_text(m, x),
                rx_annotation(m, x->rank, x->extents));
    }
    fputc(')', m->out);
    write_results(m, results, count);
    fprintf(m->out, " {\n%s    return ", body);
    for (int i = 0; i < count; i++) fprintf(m->out, "%s%s", i ? ", " : "", results[i].name);
    fputs("\n}\n", m->out);
    free(body);
}

struct rx_model *random_model(struct arena *a, uint64_t seed, bool exact) {
    struct rx_model *m = arena_new_object(a, struct rx_model);
    char *text;
    size_t length;
    *m = (struct rx_model){.a = a, .state = seed * 2 + exact, .exact = exact};
    m->out = open_memstream(&text, &length);
    choose_mesh(m);
    choose_args(m);
    tell_dims(m);
    declare_globals(m);
    write_function(m);
    fclose(m->out);
    m->text = arena_strdup(a, text);
    free(text);
    return m;
}
