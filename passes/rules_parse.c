/* Parses patterns and replacements of rules. The tables are ours, so a mistake in one is an ice(). */
#include "passes/rules.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    struct arena *a;
    const char *text, *at;
};

_Noreturn static void fail(const struct parser *p, const char *what) {
    ice("rule \"%s\": %s at \"%s\"", p->text, what, p->at);
}

static void skip(struct parser *p) { p->at += strspn(p->at, " "); }

static bool accept(struct parser *p, const char *token) {
    skip(p);
    size_t n = strlen(token);
    if (strncmp(p->at, token, n)) return false;
    if (isalpha((unsigned char)*token) && (isalnum((unsigned char)p->at[n]) || p->at[n] == '_')) return false;
    p->at += n;
    return true;
}

static void expect(struct parser *p, const char *token) {
    if (!accept(p, token)) fail(p, arena_printf(p->a, "expected '%s'", token));
}

static const char *word(struct parser *p) {
    skip(p);
    size_t n = 0;
    while (isalnum((unsigned char)p->at[n]) || p->at[n] == '_') n++;
    if (!n) fail(p, "expected a word");
    const char *text = arena_strndup(p->a, p->at, n);
    p->at += n;
    return text;
}

static struct pattern *new_pattern(struct parser *p, enum pattern_kind kind) {
    struct pattern *made = arena_new_object(p->a, struct pattern);
    made->kind = kind;
    return made;
}

static struct pattern *new_op(struct parser *p, enum op op, struct pattern *x, struct pattern *y) {
    struct pattern *made = new_pattern(p, PATTERN_OP);
    made->op = op;
    made->operands[0] = x;
    made->operands[1] = y;
    made->operands_count = y ? 2 : 1;
    return made;
}

static bool starts_number(const char *s) {
    return isdigit((unsigned char)s[0]) || (s[0] == '-' && isdigit((unsigned char)s[1])) ||
           (!strncmp(s, "inf", 3) && !isalnum((unsigned char)s[3]));
}

static double number(struct parser *p) {
    char *end;
    double value = strtod(p->at, &end);
    p->at = end;
    return value;
}

static void parse_attr(struct parser *p, struct pattern *call, const char *name, bool given) {
    if (call->attrs_count == MAX_ATTRS) fail(p, "too many attributes");
    struct pattern_attr *attr = &call->attrs[call->attrs_count++];
    attr->slot = call->kind == PATTERN_OP ? op_attr(call->op, name) : -1;
    attr->number = 1; /* a bare flag: set */
    skip(p);
    if (!given) return;
    if (starts_number(p->at))
        attr->number = number(p);
    else if (isupper((unsigned char)*p->at))
        attr->name = word(p);
    else
        attr->word = word(p);
}

/* The slot of the op's operand that is written as `name=...`, or -1. */
static int named_operand(const struct pattern *call, const char *name) {
    const struct op_info *info = call->kind == PATTERN_OP ? op_info(call->op) : NULL;
    for (int i = 0; info && i < info->operands_count; i++)
        if (info->operands[i].by_name && !strcmp(info->operands[i].name, name)) return i;
    return -1;
}

static bool is_flag(const struct pattern *call, const char *name) {
    const struct op_info *info = call->kind == PATTERN_OP ? op_info(call->op) : NULL;
    for (int i = 0; info && i < info->attrs_count; i++)
        if (info->attrs[i].kind == ATTR_FLAG && !strcmp(info->attrs[i].name, name)) return true;
    return false;
}

static struct pattern *expression(struct parser *p, int level);

static void set_operand(struct pattern *call, int slot, struct pattern *x) {
    call->operands[slot] = x;
    if (call->operands_count <= slot) call->operands_count = slot + 1;
}

static void parse_argument(struct parser *p, struct pattern *call) {
    const char *start = p->at;
    skip(p);
    if (isalpha((unsigned char)*p->at)) {
        const char *name = word(p);
        skip(p);
        bool given = *p->at == '=' && p->at[1] != '=';
        if (given) p->at++;
        int operand = named_operand(call, name);
        if (given && operand >= 0) {
            set_operand(call, operand, expression(p, 0));
            return;
        }
        if (given || is_flag(call, name)) {
            parse_attr(p, call, name, given);
            return;
        }
        p->at = start;
    }
    if (call->operands_count == MAX_OPERANDS) fail(p, "too many operands");
    set_operand(call, call->operands_count, expression(p, 0));
}

static struct pattern *parse_call(struct parser *p, struct pattern *call) {
    expect(p, "(");
    while (!accept(p, ")")) {
        parse_argument(p, call);
        skip(p);
        if (*p->at != ')') expect(p, ",");
    }
    return call;
}

static struct pattern *parse_named(struct parser *p) {
    bool helper = accept(p, "$");
    const char *name = word(p);
    struct pattern *made;
    if (helper) {
        made = new_pattern(p, PATTERN_HELPER);
        made->name = name;
        return parse_call(p, made);
    }
    if (*p->at == '(') {
        enum op op = op_find(name);
        if (op == OP_COUNT) fail(p, arena_printf(p->a, "no op '%s'", name));
        made = new_op(p, op, NULL, NULL);
        made->operands_count = 0;
        return parse_call(p, made);
    }
    made = new_pattern(p, isupper((unsigned char)*name) ? PATTERN_ATTR : PATTERN_NAME);
    made->name = name;
    return made;
}

static struct pattern *primary(struct parser *p) {
    skip(p);
    if (accept(p, "(")) {
        struct pattern *inner = expression(p, 0);
        expect(p, ")");
        return inner;
    }
    if (accept(p, "not")) return new_op(p, OP_not, primary(p), NULL);
    if (starts_number(p->at)) {
        struct pattern *made = new_pattern(p, PATTERN_NUMBER);
        made->number = number(p);
        return made;
    }
    return parse_named(p);
}

/* Operators by precedence, loosest first; longer spellings before those they begin with. */
static const struct {
    int level;
    const char *text;
    enum op op;
} operators[] = {{0, "or", OP_or},  {1, "and", OP_and}, {2, "==", OP_eq}, {2, "!=", OP_ne}, {2, "<=", OP_le},
                 {2, ">=", OP_ge},  {2, "<", OP_lt},    {2, ">", OP_gt},  {3, "+", OP_add}, {3, "-", OP_sub},
                 {5, "**", OP_pow}, {4, "*", OP_mul},   {4, "/", OP_div}, {4, "%", OP_rem}};
enum { OPERATORS = sizeof operators / sizeof *operators, TIGHTEST = 5 };

static int accept_operator(struct parser *p, int level) {
    for (int i = 0; i < OPERATORS; i++)
        if (operators[i].level == level && !(level == 4 && !strncmp(p->at + strspn(p->at, " "), "**", 2)) &&
            accept(p, operators[i].text))
            return i;
    return -1;
}

static struct pattern *expression(struct parser *p, int level) {
    if (level > TIGHTEST) return primary(p);
    struct pattern *left = expression(p, level + 1);
    for (int o; (o = accept_operator(p, level)) >= 0;)
        left = new_op(p, operators[o].op, left, expression(p, level + 1));
    return left;
}

struct pattern *pattern_parse(struct arena *a, const char *text) {
    struct parser p = {a, text, text};
    struct pattern *made = expression(&p, 0);
    skip(&p);
    if (*p.at) fail(&p, "something follows the pattern");
    if (made->kind != PATTERN_OP) fail(&p, "a pattern is an op");
    return made;
}

/* "m = max(x); e = exp(x - m); e / sum(e)" */
struct let *replacement_parse(struct arena *a, const char *text) {
    struct parser p = {a, text, text};
    struct let *first = NULL, **end = &first;
    for (;;) {
        struct let *l = *end = arena_new_object(a, struct let);
        end = &l->next;
        const char *semicolon = strchr(p.at, ';');
        if (semicolon) {
            l->name = word(&p);
            expect(&p, "=");
        }
        l->expression = expression(&p, 0);
        skip(&p);
        if (!*p.at && !l->name) return first;
        expect(&p, ";");
    }
}
