/* Types of results from types of operands: node_infer() fills in defaults, then asks the op's family.
 *
 *     x1 = sum(x0, axis=-1)        x0: f32[S, 576]
 *  => x1 : f32[S] = sum(x0, axis=1)
 *
 * The families' rules are in infer_*.c; infer.h says what a rule is. */
#include "ir/infer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool (*const rules[])(const struct infer *) = {
#define FAMILY(name) infer_##name,
#include "ir/families.def"
#undef FAMILY
};

/* Pads absent optional operands with NULL, so that rules may ask for each by its number. */
static bool complete_operands(const struct infer *f) {
    struct node *n = f->n;
    const struct op_info *info = f->info;
    int wanted = info->operands_count;
    bool variadic = wanted && info->operands[wanted - 1].variadic;
    if (n->operands_count > wanted && !variadic)
        return infer_error(f, 0, "takes %d operand%s, given %d", wanted, wanted == 1 ? "" : "s",
                           n->operands_count);
    if (n->operands_count < wanted && variadic && info->level != LEVEL_STRUCTURE)
        return infer_error(f, 0, "%s is missing", info->operands[wanted - 1].name);
    if (n->operands_count < wanted) {
        struct value **longer = arena_new_array(f->g->arena, struct value *, wanted);
        if (n->operands_count) memcpy(longer, n->operands, (size_t)n->operands_count * sizeof *longer);
        n->operands = longer;
        if (!variadic) n->operands_count = wanted;
    }
    for (int i = 0; i < n->operands_count; i++)
        if (!n->operands[i] && !info->operands[i < wanted ? i : wanted - 1].optional)
            return infer_error(f, 0, "%s is missing", operand_name(f, i));
    return true;
}

/* Reads a default of ops.def into an empty attribute. */
static void fill(const struct infer *f, struct attr *a, const struct attr_spec *spec) {
    int each = spec->kind == ATTR_PAIRS ? 2 : 1;
    int64_t *ints = arena_new_array(f->g->arena, int64_t, each);
    for (int i = 0; i < each; i++) ints[i] = strtoll(spec->fallback, NULL, 10);
    a->i = ints[0];
    a->f = strtod(spec->fallback, NULL);
    a->s = spec->fallback;
    a->count = 1;
    a->ints = ints;
    a->set = spec->kind != ATTR_FLAG;
}

static bool check_word(const struct infer *f, const struct attr *a, const struct attr_spec *spec) {
    const char *list = "";
    for (const char *const *w = spec->words; *w; w++) {
        if (a->s && !strcmp(a->s, *w)) return true;
        list = arena_printf(f->g->arena, "%s%s%s", list, *list ? " or " : "", *w);
    }
    return infer_error(f, 0, "%s must be %s", spec->name, list);
}

/* What holds for an attribute of its kind, whatever the op. */
static bool check_attr(const struct infer *f, const struct attr *a, const struct attr_spec *spec) {
    switch (spec->kind) {
    case ATTR_WORD:
        return check_word(f, a, spec);
    case ATTR_FLOAT:
        return !isnan(a->f) || infer_error(f, 0, "%s is not a number", spec->name);
    case ATTR_STRING:
        return a->s || infer_error(f, 0, "%s is missing", spec->name);
    case ATTR_EXTENT:
        return a->e || infer_error(f, 0, "%s is too large to compute", spec->name);
    default:
        return true;
    }
}

static bool complete_attrs(const struct infer *f) {
    for (int i = 0; i < f->info->attrs_count; i++) {
        const struct attr_spec *spec = &f->info->attrs[i];
        struct attr *a = &f->n->attrs[i];
        if (!a->set && spec->required) return infer_error(f, 0, "%s is missing", spec->name);
        if (!a->set && spec->fallback) fill(f, a, spec);
        if (a->set && !check_attr(f, a, spec)) return false;
    }
    return true;
}

bool node_infer(struct graph *g, struct node *n) {
    const struct infer f = {g, g->extents, n, op_info(n->op)};
    return complete_operands(&f) && complete_attrs(&f) && rules[f.info->family](&f);
}
