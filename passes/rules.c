/* The driver of rule tables: matches patterns at nodes, builds replacements in front of them. */
#include "passes/rules.h"
#include "passes/pass.h"
#include <string.h>

struct compiled {
    const struct rule *rule;
    struct pattern *pattern;
    struct let *replacement;
    struct compiled *next; /* of the same op, in the table's order */
};
struct driver {
    struct graph *g;
    struct arena *scratch;
    struct compiled *by_op[OP_COUNT];
};

bool always(const struct match *m) { return m != NULL; }

bool floats(const struct match *m) { return dtype_class(m->root->results[0]->type.dtype) == CLASS_FLOAT; }

bool integers(const struct match *m) { return !floats(m); }

/* ---- Matching ---- */

struct value *match_value(const struct match *m, const char *name) {
    for (int i = 0; i < m->values_count; i++)
        if (!strcmp(m->value_names[i], name)) return m->values[i];
    ice("a rule for %s uses '%s', which its pattern does not bind", op_info(m->root->op)->name, name);
}

static int attr_index(const struct match *m, const char *name) {
    for (int i = 0; i < m->attrs_count; i++)
        if (!strcmp(m->attr_names[i], name)) return i;
    return -1;
}

const struct attr *match_attr(const struct match *m, const char *name) {
    int i = attr_index(m, name);
    if (i < 0)
        ice("a rule for %s uses '%s', which its pattern does not bind", op_info(m->root->op)->name, name);
    return m->attrs[i];
}

/* Names say what they match: `c...` constants, `v...` what is not constant. */
static bool name_admits(const char *name, const struct value *v) {
    if (*name == 'c') return value_is_constant(v);
    return *name != 'v' || !value_is_constant(v);
}

static void bind_value(struct match *m, const char *name, struct value *v) {
    if (m->values_count == MAX_BINDINGS) ice("a rule binds too many values");
    m->value_names[m->values_count] = name;
    m->values[m->values_count++] = v;
}

static bool match_name(struct match *m, const char *name, struct value *v) {
    for (int i = 0; i < m->values_count; i++)
        if (!strcmp(m->value_names[i], name)) return m->values[i] == v;
    if (!v || !name_admits(name, v)) return false;
    bind_value(m, name, v);
    return true;
}

static bool match_number(const struct match *m, double number, const struct value *v) {
    double splat;
    if (!value_splat(m->g->pass->scratch, v, &splat)) return false;
    return !memcmp(&splat, &number, sizeof splat); /* so 0 is not -0 */
}

static bool match_attr_variable(struct match *m, const char *name, enum attr_kind kind,
                                const struct attr *attr) {
    int i = attr_index(m, name);
    if (i >= 0) return m->kinds[i] == kind && attr_equal(kind, m->attrs[i], attr);
    if (m->attrs_count == MAX_BINDINGS) ice("a rule binds too many attributes");
    m->attr_names[m->attrs_count] = name;
    m->kinds[m->attrs_count] = kind;
    m->attrs[m->attrs_count++] = attr;
    return true;
}

static bool match_literal(enum attr_kind kind, const struct pattern_attr *p, const struct attr *attr) {
    if (kind == ATTR_FLOAT) return attr->f == p->number;
    if (kind == ATTR_WORD) return attr->s && !strcmp(attr->s, p->word ? p->word : "");
    if (kind == ATTR_AXES || kind == ATTR_INTS) return attr->count == 1 && (double)attr->ints[0] == p->number;
    return (double)attr->i == p->number;
}

static bool match_node(struct match *m, const struct pattern *p, const struct node *n);

static bool match_pattern(struct match *m, const struct pattern *p, struct value *v) {
    v = value_now(v);
    if (p->kind == PATTERN_NAME) return match_name(m, p->name, v);
    if (p->kind == PATTERN_NUMBER) return match_number(m, p->number, v);
    return v && v->def && v->def->op == p->op && v->def->results_count == 1 && match_node(m, p, v->def);
}

static bool match_node(struct match *m, const struct pattern *p, const struct node *n) {
    const struct op_info *info = op_info(n->op);
    for (int i = p->operands_count; i < n->operands_count; i++)
        if (n->operands[i]) return false;
    for (int i = 0; i < p->operands_count; i++) {
        struct value *v = i < n->operands_count ? n->operands[i] : NULL;
        if (p->operands[i] ? !match_pattern(m, p->operands[i], v) : v != NULL) return false;
    }
    for (int i = 0; i < p->attrs_count; i++) {
        const struct pattern_attr *want = &p->attrs[i];
        enum attr_kind kind = info->attrs[want->slot].kind;
        const struct attr *have = &n->attrs[want->slot];
        if (want->name ? !match_attr_variable(m, want->name, kind, have) : !match_literal(kind, want, have))
            return false;
    }
    return true;
}

/* ---- Building ---- */

static struct value *build(struct builder *b, struct match *m, const struct pattern *p, enum dtype literals);

/* A bound attribute as another kind: an axis as a list of axes. */
static struct attr converted(struct graph *g, const struct attr *a, enum attr_kind from, enum attr_kind to) {
    if (from == ATTR_INT && (to == ATTR_AXES || to == ATTR_INTS)) return attr_ints(g, 1, &a->i);
    return *a;
}

static struct attr literal_attr(struct graph *g, const struct pattern_attr *p, enum attr_kind kind) {
    struct attr a = {.set = true};
    int64_t integer = (int64_t)p->number;
    if (kind == ATTR_AXES || kind == ATTR_INTS) return attr_ints(g, 1, &integer);
    if (kind == ATTR_DTYPE && !dtype_from_name(p->word, &a.dtype)) ice("a rule names no type: %s", p->word);
    a.i = integer;
    a.f = p->number;
    a.s = p->word ? arena_strdup(g->arena, p->word) : NULL; /* the rules go with their pass */
    return a;
}

static void set_attrs(struct builder *b, const struct match *m, const struct pattern *p, struct node *n) {
    for (int i = 0; i < p->attrs_count; i++) {
        const struct pattern_attr *from = &p->attrs[i];
        enum attr_kind kind = op_info(p->op)->attrs[from->slot].kind;
        int bound = from->name ? attr_index(m, from->name) : -1;
        if (from->name && bound < 0) ice("a rule uses '%s', which its pattern does not bind", from->name);
        n->attrs[from->slot] = from->name ? converted(b->g, m->attrs[bound], m->kinds[bound], kind)
                                          : literal_attr(b->g, from, kind);
    }
}

static bool is_literal(const struct pattern *p) {
    return p && (p->kind == PATTERN_NUMBER || p->kind == PATTERN_ATTR);
}

static struct value *build_op(struct builder *b, struct match *m, const struct pattern *p,
                              enum dtype literals) {
    int variadic = op_info(p->op)->operands_count, count = p->operands_count;
    struct node *n = node_new(b->g, p->op, count > variadic ? count : variadic, NULL, b->loc);
    for (int i = 0; i < count; i++)
        if (p->operands[i] && !is_literal(p->operands[i])) {
            n->operands[i] = build(b, m, p->operands[i], literals);
            literals = n->operands[i]->type.dtype;
        }
    for (int i = 0; i < count; i++)
        if (is_literal(p->operands[i])) n->operands[i] = build(b, m, p->operands[i], literals);
    set_attrs(b, m, p, n);
    return build_finish(b, n);
}

static struct value *build_helper(struct builder *b, struct match *m, const struct pattern *p,
                                  enum dtype literals) {
    const struct rule_helper_row *row = rule_helpers;
    while (row->name && strcmp(row->name, p->name)) row++;
    if (!row->name) ice("a rule calls an unknown helper $%s", p->name);
    struct value *x = p->operands_count ? build(b, m, p->operands[0], literals) : NULL;
    struct attr attr;
    int bound = p->attrs_count ? attr_index(m, p->attrs[0].name) : -1;
    if (bound >= 0) attr = converted(b->g, m->attrs[bound], m->kinds[bound], ATTR_AXES);
    return row->run(b, m, x, bound >= 0 ? &attr : NULL);
}

static struct value *build(struct builder *b, struct match *m, const struct pattern *p, enum dtype literals) {
    if (p->kind == PATTERN_NAME) return match_value(m, p->name);
    if (p->kind == PATTERN_NUMBER) return build_scalar(b, literals, p->number);
    if (p->kind == PATTERN_ATTR) return build_scalar(b, literals, match_attr(m, p->name)->f);
    return p->kind == PATTERN_HELPER ? build_helper(b, m, p, literals) : build_op(b, m, p, literals);
}

static struct value *build_replacement(struct builder *b, struct match *m, const struct let *l) {
    const struct type *type = &m->root->results[0]->type;
    struct value *v = NULL;
    for (; l; l = l->next) {
        v = build(b, m, l->expression, type->dtype);
        if (l->name)
            bind_value(m, l->name, v);
        else if (is_literal(l->expression))
            v = build_broadcast(b, v, type->rank, type->extents);
    }
    return v;
}

/* ---- Driving ---- */

static struct value *fire(struct driver *d, const struct compiled *c, struct node *n) {
    struct match m = {.g = d->g, .root = n};
    struct builder b = {d->g, n, n->loc};
    if (!match_node(&m, c->pattern, n)) return NULL;
    if (c->rule->when && !c->rule->when(&m)) return NULL;
    struct value *v = c->rule->call ? c->rule->call(&b, &m) : build_replacement(&b, &m, c->replacement);
    return v && type_equal(&v->type, &n->results[0]->type) ? v : NULL;
}

static bool rewrite(struct driver *d, struct node *n) {
    if (n->results_count != 1) return false;
    for (const struct compiled *c = d->by_op[n->op]; c; c = c->next) {
        struct value *v = fire(d, c, n), *old = n->results[0];
        if (!v) continue;
        if (!v->name && v->def && v->loc.line == old->loc.line) v->name = old->name;
        pass_explain(d->g, n->loc, "%s: %s", c->rule->pattern, c->rule->why);
        value_replace(old, v);
        node_remove(n);
        return true;
    }
    return false;
}

static bool round_over(struct driver *d, struct function *f) {
    bool fired = false;
    for (struct node *n = node_walk(f->body, NULL), *next; n; n = next) {
        next = node_walk(f->body, n);
        fired |= rewrite(d, n);
    }
    return fired;
}

static void compile(struct driver *d, const struct rule *rules, int count) {
    for (int i = count - 1; i >= 0; i--) { /* backwards, so that lists come out in order */
        struct compiled *c = arena_new_object(d->scratch, struct compiled);
        c->rule = &rules[i];
        c->pattern = pattern_parse(d->scratch, rules[i].pattern);
        if (rules[i].replacement) c->replacement = replacement_parse(d->scratch, rules[i].replacement);
        c->next = d->by_op[c->pattern->op];
        d->by_op[c->pattern->op] = c;
    }
}

bool rules_apply(struct graph *g, const struct rule *rules, int count) {
    enum { MAX_ROUNDS = 200 };
    struct driver d = {.g = g, .scratch = g->pass->scratch};
    bool changed = false;
    compile(&d, rules, count);
    for (struct function *f = g->functions; f; f = f->next)
        for (int round = 0; round_over(&d, f); round++) {
            changed = true;
            if (round == MAX_ROUNDS) ice("rules never come to an end in function %s", f->name);
        }
    return changed;
}

void rules_check(const struct rule *rules, int count) {
    struct driver d = {.scratch = arena_new()};
    compile(&d, rules, count);
    arena_release(d.scratch);
}
