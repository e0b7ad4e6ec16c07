/* Rewriting by tables of rules: (pattern, replacement, when, why), tried at every node by one driver.
 *
 *     RULE("neg(neg(x))", "x", always, "two changes of sign cancel")
 *     RULE("c + v", "v + c", always, "constants to the right")
 *     RULE("mean(x, axis=A, keep=K)", "sum(x, axis=A, keep=K) / $count(x, axis=A)", always, "...")
 *     CALL("reshape(x, shape=S)", merge_reshape, "...")
 *
 * Patterns and replacements are expressions in the language's spelling:
 *     x, y1, ...  a value; twice the same name: the same value. c... is a constant, v... is not one
 *     1, inf      in a pattern: a constant whose elements all equal it; in a replacement: a constant
 *                 of the other operand's type (or of the result's)
 *     axis=A      in a pattern: binds A to the attribute; in a replacement: sets it
 *     E           where a value stands: the number bound to E, as a constant
 *     axis=-1     must match (pattern), is set (replacement); attributes not named: anything, defaults
 *     m = ...; e  replacements may name parts
 *     $name(x)    a helper in C (rules_helpers.c), for what the table cannot say
 *
 * Laws (README.md says why): type and shape are kept, or the rule does not fire; no rule makes the graph
 * worse; constants go to the right first; what is not exact in floating point stands in a table of its own.
 */
#ifndef PASSES_RULES_H
#define PASSES_RULES_H
#include "passes/build.h"

struct match;
typedef bool rule_condition(const struct match *m);
/* The new value for the root's result, or NULL where the rule does not apply. */
typedef struct value *rule_function(struct builder *b, const struct match *m);

struct rule {
    const char *pattern, *replacement, *why;
    rule_condition *when;
    rule_function *call; /* instead of a replacement */
};
#define RULE(pattern, replacement, when, why) {pattern, replacement, why, when, NULL},
#define CALL(pattern, function, why) {pattern, NULL, why, NULL, function},

enum { MAX_BINDINGS = 12 };
struct match {
    struct graph *g;
    struct node *root;
    int values_count, attrs_count;
    const char *value_names[MAX_BINDINGS];
    struct value *values[MAX_BINDINGS];
    const char *attr_names[MAX_BINDINGS];
    const struct attr *attrs[MAX_BINDINGS];
    enum attr_kind kinds[MAX_BINDINGS];
};
struct value *match_value(const struct match *m, const char *name); /* dies with ice() if not bound */
const struct attr *match_attr(const struct match *m, const char *name);

/* Conditions. */
bool always(const struct match *m);
bool integers(const struct match *m); /* the root's result is an integer or bool tensor */
bool floats(const struct match *m);   /* or one of floats */

/* Applies the rules until none fires; true if one did. Rules for the same op are tried in the table's order.
 */
bool rules_apply(struct graph *g, const struct rule *rules, int count);
/* Checks that all patterns parse (dies with ice() otherwise) without a graph: for tests. */
void rules_check(const struct rule *rules, int count);

/* The tables. */
extern const struct rule simplify_rules[], fastmath_rules[], decompose_rules[];
extern const int simplify_rules_count, fastmath_rules_count, decompose_rules_count;

/* Helpers: called from a replacement as $name(x, axis=A): x may be NULL, `attr` NULL or the one given. */
typedef struct value *rule_helper(struct builder *b, const struct match *m, struct value *x,
                                  const struct attr *attr);
struct rule_helper_row {
    const char *name;
    rule_helper *run;
};
extern const struct rule_helper_row rule_helpers[]; /* ends with a NULL name */

/* ---- Between the parser (rules_parse.c) and the driver (rules.c) ---- */
enum pattern_kind { PATTERN_NAME, PATTERN_NUMBER, PATTERN_ATTR, PATTERN_OP, PATTERN_HELPER };
struct pattern_attr {
    int slot;         /* in node->attrs; in a helper call: -1 */
    const char *name; /* bound or used attribute variable, or NULL: a literal */
    const char *word;
    double number;
};
struct pattern {
    enum pattern_kind kind;
    const char *name; /* NAME, ATTR, HELPER */
    double number;
    enum op op;
    int operands_count, attrs_count;
    struct pattern *operands[MAX_OPERANDS];
    struct pattern_attr attrs[MAX_ATTRS];
};
struct let {
    const char *name; /* NULL: the replacement's value */
    struct pattern *expression;
    struct let *next;
};
struct pattern *pattern_parse(struct arena *a, const char *text);
struct let *replacement_parse(struct arena *a, const char *text);
#endif
