/* Checks a graph's invariants: first that it hangs together (links, ids, definitions), then function by
 * function that each operand is visible and each type is what inference gives.
 *
 *     kernel k0 (a) -> c {          a body sees its own arguments only: b is an error here, and so are
 *         c = a + b                 reads of params, assigns, guards, loops and kernels
 *     }
 *
 * A graph whose links are broken is not looked at further: nothing could be said about it safely. */
#include "ir/verify.h"
#include "ir/verify_parts.h"
#include <string.h>

bool verify_error(struct verify *v, struct loc loc, const char *format, ...) {
    va_list args;
    va_start(args, format);
    diag_error(v->g->diag, loc, "%s", arena_vprintf(v->g->arena, format, args));
    va_end(args);
    v->errors++;
    return false;
}

const char *verify_name(const struct verify *v, const struct value *value) {
    if (value->name) return value->name;
    return arena_printf(v->g->arena, "value %d", value->id);
}

/* Whether `b` may use what is defined in `home`: it is around `b`, and no kernel lies between. */
static bool sees(const struct block *b, const struct block *home) {
    while (b && b != home) b = b->owner && b->owner->op != OP_kernel ? b->owner->parent : NULL;
    return b;
}

/* `value`, as used in `b`, is defined before and visible; `what` says who uses it. */
static void check_use(struct verify *v, const struct block *b, const struct value *value, struct loc loc,
                      const char *what) {
    const struct block *home = v->home[value->id];
    if (value->replaced)
        verify_error(v, loc, "%s: %s has been replaced by %s", what, verify_name(v, value),
                     verify_name(v, value->replaced));
    else if (!home)
        verify_error(v, loc, "%s: %s is used before it is defined", what, verify_name(v, value));
    else if (!sees(b, home))
        verify_error(v, loc, "%s: %s is not visible here%s", what, verify_name(v, value),
                     b->owner && b->owner->op == OP_kernel ? "; a kernel sees only its arguments" : "");
}

/* Attributes that inference would leave as they are. */
static bool same_attr(const struct attr *a, const struct attr *b, enum attr_kind kind) {
    if (a->set != b->set) return false;
    if (!a->set) return true;
    size_t each = kind == ATTR_PAIRS ? 2 : 1;
    switch (kind) {
    case ATTR_INTS:
    case ATTR_AXES:
    case ATTR_PAIRS:
        return a->count == b->count &&
               (a->count <= 0 || !memcmp(a->ints, b->ints, (size_t)a->count * each * sizeof *a->ints));
    case ATTR_EXTENTS:
        return a->count == b->count &&
               (!a->count ||
                !memcmp(a->extents, b->extents, (size_t)a->count * sizeof(const struct extent *)));
    case ATTR_INT:
        return a->i == b->i;
    default:
        return true;
    }
}

static void check_attrs(struct verify *v, const struct node *n, const struct attr *before) {
    const struct op_info *info = op_info(n->op);
    for (int i = 0; i < info->attrs_count; i++)
        if (!same_attr(&before[i], &n->attrs[i], info->attrs[i].kind))
            verify_error(v, n->loc, "%s: %s is not canonical", info->name, info->attrs[i].name);
}

static struct type *result_types(struct verify *v, const struct node *n) {
    struct type *types = arena_new_array(v->g->arena, struct type, n->results_count);
    for (int i = 0; i < n->results_count; i++) types[i] = n->results[i]->type;
    return types;
}

/* Infers the node again and compares; what it was is put back, so that verifying changes nothing. */
static void check_types(struct verify *v, struct node *n) {
    const struct op_info *info = op_info(n->op);
    int results = info->results, operands = n->operands_count;
    if (n->body) results = n->body->results_count;
    if (results < 0) results = operands; /* one for each */
    if (n->results_count != results) {
        verify_error(v, n->loc, "%s: has %d results, needs %d", info->name, n->results_count, results);
        return;
    }
    struct type *types = result_types(v, n);
    struct attr *attrs = arena_new_array(v->g->arena, struct attr, info->attrs_count);
    if (info->attrs_count) memcpy(attrs, n->attrs, (size_t)info->attrs_count * sizeof *attrs);
    if (!node_infer(v->g, n)) {
        v->errors++;
    } else {
        check_attrs(v, n, attrs);
        if (n->operands_count != operands) verify_error(v, n->loc, "%s: lacks operands", info->name);
        for (int i = 0; i < n->results_count; i++)
            if (!type_equal(&types[i], &n->results[i]->type))
                verify_error(v, n->loc, "%s: %s is %s, inference gives %s", info->name,
                             verify_name(v, n->results[i]), type_text(v->g->arena, &types[i]),
                             type_text(v->g->arena, &n->results[i]->type));
    }
    for (int i = 0; i < n->results_count; i++) n->results[i]->type = types[i];
    if (info->attrs_count) memcpy(n->attrs, attrs, (size_t)info->attrs_count * sizeof *attrs);
}

/* Ops that a block may hold. */
static void check_place(struct verify *v, const struct node *n) {
    const struct op_info *info = op_info(n->op);
    if (info->level == LEVEL_SUGAR) verify_error(v, n->loc, "%s has not been expanded", info->name);
    if (n->schedule && n->op != OP_kernel) verify_error(v, n->loc, "%s has a schedule", info->name);
    if (!n->parent->owner || n->parent->owner->op != OP_kernel) return;
    bool structure = info->level == LEVEL_STRUCTURE && n->op != OP_constant;
    if (structure || n->op == OP_guard) verify_error(v, n->loc, "%s may not stand in a kernel", info->name);
}

/* The node as far as only it is concerned; false: asking for its type makes no sense. */
static bool check_parts(struct verify *v, const struct node *n) {
    const struct op_info *info = op_info(n->op);
    int before = v->errors;
    verify_places(v, n);
    bool structured = n->op == OP_kernel || n->op == OP_scan;
    bool global = n->op == OP_param || n->op == OP_assign;
    if (structured != (n->body != NULL))
        verify_error(v, n->loc, "%s: %s", info->name, n->body ? "has a body" : "has no body");
    if (global != (n->global != NULL))
        verify_error(v, n->loc, "%s: %s", info->name, n->global ? "names a global" : "names no global");
    if ((n->op == OP_constant) != (n->constant != NULL))
        verify_error(v, n->loc, "%s: %s", info->name, n->constant ? "has data" : "has no data");
    if (n->op == OP_scan && !n->count) verify_error(v, n->loc, "scan: has no number of steps");
    if (n->op == OP_scan && n->body && n->body->args_count < 1)
        verify_error(v, n->loc, "scan: has no variable");
    if (n->op == OP_assign && n->global && !n->global->assigned)
        verify_error(v, n->loc, "assign: %s is not marked as assigned", n->global->name);
    if (n->global && !verify_has_global(v, n->global))
        verify_error(v, n->loc, "%s: %s is not of this graph", info->name, n->global->name);
    return v->errors == before;
}

static void define(struct verify *v, const struct block *b, struct value *const *values, int count) {
    for (int i = 0; i < count; i++) v->home[values[i]->id] = b;
}

static void check_block(struct verify *v, struct block *b);

static void check_node(struct verify *v, struct node *n) {
    const char *name = op_info(n->op)->name;
    int before = v->errors;
    for (int i = 0; i < n->operands_count; i++)
        if (n->operands[i]) check_use(v, n->parent, n->operands[i], n->loc, name);
    check_place(v, n);
    bool sound = check_parts(v, n);
    if (n->body) check_block(v, n->body);
    if (sound && v->errors == before) check_types(v, n);
    define(v, n->parent, n->results, n->results_count);
}

/* Nodes in order, then what the block gives. */
static void check_block(struct verify *v, struct block *b) {
    for (int i = 0; i < b->args_count; i++) verify_sharding(v, b->args[i]->sharding, b->args[i]);
    define(v, b, b->args, b->args_count);
    for (struct node *n = b->first; n; n = n->next) check_node(v, n);
    for (int i = 0; i < b->results_count; i++)
        check_use(v, b, b->results[i], b->owner ? b->owner->loc : b->results[i]->loc, "result");
}

bool graph_verify(struct graph *g) {
    struct verify v = {.g = g};
    verify_globals(&v);
    if (!verify_links(&v) || v.errors) return false; /* sizes that overflow would make the rest unsafe */
    v.home = arena_new_array(g->arena, const struct block *, g->values);
    for (struct function *f = g->functions; f; f = f->next) {
        check_block(&v, f->body);
        for (int i = 0; f->result_shardings && i < f->body->results_count; i++)
            verify_sharding(&v, f->result_shardings[i], f->body->results[i]);
    }
    return !v.errors;
}
