/* Calls of ops: arguments meet the op's signature, literals meet their types.
 *
 *     sum(x, axis=0, keep)     positional operands, then attributes by name, flags as bare words
 */
#include "frontend/expand.h"
#include <string.h>

struct op_call {
    struct expander *x;
    const struct op_info *op;
    enum op number;
    struct loc loc;
    struct item operands[MAX_OPERANDS];
    struct loc locs[MAX_OPERANDS];
    bool given[MAX_OPERANDS]; /* by kind of operand; a variadic one is in `rest` */
    struct item *rest;
    struct loc *rest_locs;
    int rest_count, rest_capacity, rest_locs_count, rest_locs_capacity;
    struct attr attrs[MAX_ATTRS];
    int position; /* next slot for a positional argument */
};

/* What the signature has at a position: an operand (>= 0) or an attribute (-1 - number); false: its end. */
static bool slot_at(const struct op_info *op, int position, int *slot) {
    if (position >= op->operands_count + op->attrs_count) return false;
    int attrs = 0;
    for (int i = 0; i < op->attrs_count; i++) {
        if (op->attrs[i].position == position) return *slot = -1 - i, true;
        attrs += op->attrs[i].position < position;
    }
    return *slot = position - attrs, true;
}

static bool is_positional(const struct op_info *op, int slot) {
    if (slot >= 0) return !op->operands[slot].by_name;
    return !op->attrs[-1 - slot].by_name && op->attrs[-1 - slot].kind != ATTR_FLAG;
}

static bool fail(struct op_call *c, struct loc loc, const char *problem) {
    diag_error(c->x->diag, loc, "%s: %s", c->op->name, problem);
    if (!c->op->infix) diag_note(c->x->diag, c->loc, "it is written %s(%s)", c->op->name, c->op->signature);
    return false;
}

static bool set_operand(struct op_call *c, int number, const struct arg *a) {
    struct item i = evaluate(c->x, a->value);
    if (i.kind == ITEM_ERROR) return false;
    if (c->op->operands[number].variadic) {
        arena_push(c->x->arena, c->rest, c->rest_count, c->rest_capacity, i);
        arena_push(c->x->arena, c->rest_locs, c->rest_locs_count, c->rest_locs_capacity, a->value->loc);
        return true;
    }
    if (c->given[number])
        return fail(c, a->loc, arena_printf(c->x->arena, "%s is given twice", c->op->operands[number].name));
    c->operands[number] = i;
    c->locs[number] = a->value->loc;
    return c->given[number] = true;
}

static bool set_attr(struct op_call *c, int number, const struct arg *a) {
    const struct attr_spec *spec = &c->op->attrs[number];
    if (c->attrs[number].set)
        return fail(c, a->loc, arena_printf(c->x->arena, "%s is given twice", spec->name));
    return attribute(c->x, c->op, spec, a->value, &c->attrs[number]);
}

static bool set_slot(struct op_call *c, int slot, const struct arg *a) {
    return slot >= 0 ? set_operand(c, slot, a) : set_attr(c, -1 - slot, a);
}

static bool named(struct op_call *c, const struct arg *a) {
    const char *names[MAX_OPERANDS + MAX_ATTRS];
    int slot, count = 0;
    for (int at = 0; slot_at(c->op, at, &slot); at++) {
        const char *name = slot >= 0 ? c->op->operands[slot].name : c->op->attrs[-1 - slot].name;
        if (!strcmp(name, a->name)) return set_slot(c, slot, a);
        names[count++] = name;
    }
    return fail(c, a->loc,
                arena_printf(c->x->arena, "there is no argument '%s'%s", a->name,
                             did_you_mean(c->x, a->name, names, count)));
}

static bool operands_complete(const struct op_call *c) {
    for (int i = 0; i < c->op->operands_count; i++) {
        const struct operand_spec *spec = &c->op->operands[i];
        if (spec->variadic ? !c->rest_count : !spec->optional && !c->given[i]) return false;
    }
    return true;
}

/* A bare word the op lists: keep, causal; or a value of an attribute: interleaved. */
static bool bare_word(struct op_call *c, const struct arg *a, bool *good) {
    if (a->value->kind != EXPR_NAME || !operands_complete(c)) return false;
    for (int i = 0; i < c->op->attrs_count; i++) {
        const struct attr_spec *spec = &c->op->attrs[i];
        if (spec->kind == ATTR_FLAG && !strcmp(spec->name, a->value->text)) {
            *good = !c->attrs[i].set ||
                    fail(c, a->loc, arena_printf(c->x->arena, "%s is given twice", spec->name));
            c->attrs[i] = (struct attr){.set = true, .i = 1};
            return true;
        }
        for (int w = 0; spec->kind == ATTR_WORD && spec->words[w]; w++)
            if (!strcmp(spec->words[w], a->value->text)) return *good = set_attr(c, i, a), true;
    }
    return false;
}

static bool too_many(struct op_call *c, const struct arg *a) {
    int slot;
    for (int at = 0; slot_at(c->op, at, &slot); at++) {
        if (is_positional(c->op, slot) || (slot < 0 && c->op->attrs[-1 - slot].kind == ATTR_FLAG)) continue;
        bool set = slot >= 0 ? c->given[slot] : c->attrs[-1 - slot].set;
        const char *name = slot >= 0 ? c->op->operands[slot].name : c->op->attrs[-1 - slot].name;
        if (!set)
            return fail(
                c, a->value->loc,
                arena_printf(c->x->arena, "too many arguments; '%s' is given by name: %s=…", name, name));
    }
    return fail(c, a->value->loc, "too many arguments");
}

static bool positional(struct op_call *c, const struct arg *a) {
    bool good;
    int slot;
    if (bare_word(c, a, &good)) return good;
    while (slot_at(c->op, c->position, &slot) && !is_positional(c->op, slot)) c->position++;
    if (!slot_at(c->op, c->position, &slot)) return too_many(c, a);
    c->position += slot < 0 || !c->op->operands[slot].variadic;
    return set_slot(c, slot, a);
}

static bool missing(struct op_call *c) {
    for (int i = 0; i < c->op->operands_count; i++) {
        const struct operand_spec *spec = &c->op->operands[i];
        bool there = spec->variadic ? c->rest_count > 0 : c->given[i] || spec->optional;
        if (!there) return fail(c, c->loc, arena_printf(c->x->arena, "%s is missing", spec->name));
    }
    for (int i = 0; i < c->op->attrs_count; i++)
        if (c->op->attrs[i].required && !c->attrs[i].set)
            return fail(c, c->loc, arena_printf(c->x->arena, "%s is missing", c->op->attrs[i].name));
    return true;
}

/* The element type an operand has whatever the others are, or DTYPE_ANY. Literals there take it. */
static int own_dtype(const struct operand_spec *spec) {
    static const struct {
        const char *name;
        enum dtype dtype;
    } own[] = {{"ids", DTYPE_I32},
               {"at", DTYPE_I32},
               {"rows", DTYPE_I32},
               {"targets", DTYPE_I32},
               {"c", DTYPE_BOOL}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!strcmp(spec->name, own[i].name)) return (int)own[i].dtype;
    return DTYPE_ANY;
}

static const struct operand_spec *spec_of(const struct op_info *op, int i) {
    return &op->operands[i < op->operands_count ? i : op->operands_count - 1];
}

/* The type that literals take: that of the first value among the operands which share one, else their own. */
static int shared_dtype(const struct op_info *op, int count, const struct item *items) {
    int literals = DTYPE_ANY;
    for (int i = 0; i < count; i++) {
        if (own_dtype(spec_of(op, i)) != DTYPE_ANY || items[i].kind == ITEM_ERROR) continue;
        if (items[i].kind == ITEM_VALUE) return (int)items[i].value->type.dtype;
        if (items[i].kind == ITEM_EXTENT) return DTYPE_I32;
        int d = (int)literal_dtype(&items[i]);
        if (literals != DTYPE_F32) literals = d;
    }
    return literals;
}

bool operands_as_values(struct expander *x, enum op op, int count, const struct item *items,
                        const struct loc *locs, struct value **values) {
    const struct op_info *info = op_info(op);
    int shared = shared_dtype(info, count, items);
    bool good = true;
    for (int i = 0; i < count; i++) {
        int own = own_dtype(spec_of(info, i));
        values[i] = NULL;
        if (items[i].kind == ITEM_ERROR) continue; /* absent */
        values[i] = item_as_value(x, &items[i], own == DTYPE_ANY ? shared : own, locs[i]);
        good &= values[i] != NULL;
    }
    return good;
}

/* All operands in the table's order; absent ones are ITEM_ERROR. */
static int gather_operands(struct op_call *c, struct item **items, struct loc **locs) {
    int fixed = c->op->operands_count, count = 0;
    *items = arena_new_array(c->x->arena, struct item, fixed + c->rest_count + 1);
    *locs = arena_new_array(c->x->arena, struct loc, fixed + c->rest_count + 1);
    for (int i = 0; i < fixed; i++) {
        if (c->op->operands[i].variadic) continue;
        (*items)[count] = c->operands[i], (*locs)[count++] = c->locs[i];
    }
    for (int i = 0; i < c->rest_count; i++) (*items)[count] = c->rest[i], (*locs)[count++] = c->rest_locs[i];
    return count;
}

/* linear(x, w, b) = linear(x, w) + b */
static struct node *add_bias(struct expander *x, struct node *n, struct value *bias, struct loc loc) {
    if (!n || !bias) return n;
    struct value *operands[2] = {n->results[0], bias};
    return place_node(x, new_node(x, OP_add, 2, operands, loc));
}

static int place_call(struct op_call *c, int count, struct value **values, struct value **results) {
    struct expander *x = c->x;
    struct value *bias = c->number == OP_linear ? values[2] : NULL;
    if (bias) values[2] = NULL;
    struct node *n = new_node(x, c->number, count, values, c->loc);
    for (int i = 0; i < c->op->attrs_count; i++) n->attrs[i] = c->attrs[i];
    n = add_bias(x, place_node(x, n), bias, c->loc);
    for (int i = 0; n && i < n->results_count; i++) results[i] = n->results[i];
    return n ? n->results_count : -1;
}

static int finish(struct op_call *c, struct item *results) {
    struct item *items;
    struct loc *locs;
    struct value *made[MAX_RESULTS];
    int count = gather_operands(c, &items, &locs);
    struct value **values = arena_new_array(c->x->graph->arena, struct value *, count + 1);
    if (!operands_as_values(c->x, c->number, count, items, locs, values)) return -1;
    if (c->op->level == LEVEL_SUGAR) {
        struct sugar_call s = {c->number, c->loc, count, values, c->attrs};
        count = expand_sugar(c->x, &s, made);
    } else
        count = place_call(c, count, values, made);
    for (int i = 0; i < count; i++) results[i] = item_value(made[i]);
    return count;
}

int call_operation(struct expander *x, enum op op, const struct expr *call, struct item *results) {
    struct op_call c = {.x = x, .op = op_info(op), .number = op, .loc = call->loc};
    bool good = true;
    for (const struct arg *a = call->args; a && good; a = a->next)
        good = a->name ? named(&c, a) : positional(&c, a);
    return good && missing(&c) ? finish(&c, results) : -1;
}
