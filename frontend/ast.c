/* Building the syntax tree, with the limits that keep every later walk over it shallow. */
#include "frontend/ast.h"
#include "frontend/parser.h"
#include <string.h>

struct expr *ast_expr(struct parser *p, enum expr_kind kind, struct loc loc) {
    struct expr *e = arena_new_object(p->arena, struct expr);
    e->kind = kind;
    e->loc = loc;
    e->depth = 1;
    return e;
}

/* Makes `child` a part of `e`; past the depth that evaluation can follow, `e` becomes an error. */
static void adopt(struct parser *p, struct expr *e, const struct expr *child) {
    if (!child) return;
    if (child->depth >= e->depth) e->depth = child->depth + 1;
    if (e->depth <= MAX_EXPR_DEPTH) return;
    diag_error(p->diag, e->loc, "this expression is nested too deeply: give its parts names");
    e->kind = EXPR_ERROR;
    e->depth = 1;
}

struct expr *ast_unary(struct parser *p, const char *op, struct expr *x, struct loc loc) {
    struct expr *e = ast_expr(p, EXPR_UNARY, loc);
    e->text = op;
    e->left = x;
    adopt(p, e, x);
    return e;
}

struct expr *ast_binary(struct parser *p, const char *op, struct expr *a, struct expr *b, struct loc loc) {
    struct expr *e = ast_expr(p, EXPR_BINARY, loc);
    e->text = op;
    e->left = a;
    e->right = b;
    adopt(p, e, a);
    if (e->kind != EXPR_ERROR) adopt(p, e, b);
    return e;
}

struct expr *ast_apply(struct parser *p, enum expr_kind kind, struct expr *left, struct arg *args,
                       struct loc loc) {
    struct expr *e = ast_expr(p, kind, loc);
    e->left = left;
    e->args = args;
    adopt(p, e, left);
    for (struct arg *a = args; a && e->kind != EXPR_ERROR; a = a->next, e->count++) {
        adopt(p, e, a->value);
        if (e->kind != EXPR_ERROR) adopt(p, e, a->stop);
        if (e->kind != EXPR_ERROR) adopt(p, e, a->step);
    }
    return e;
}

struct arg *ast_arg(struct parser *p, const char *name, struct expr *value, struct loc loc) {
    struct arg *a = arena_new_object(p->arena, struct arg);
    a->name = name;
    a->value = value;
    a->loc = loc;
    return a;
}

struct arg *ast_range(struct parser *p, struct expr *start, struct expr *stop, struct expr *step,
                      struct loc loc) {
    struct arg *a = ast_arg(p, NULL, start, start ? start->loc : loc);
    a->stop = stop;
    a->step = step;
    a->range = true;
    return a;
}

struct sharding_entry *ast_entry(struct parser *p, struct loc loc) {
    struct sharding_entry *e = arena_new_object(p->arena, struct sharding_entry);
    *e = (struct sharding_entry){.loc = loc, .priority = -1};
    return e;
}

void ast_entry_axis(struct parser *p, struct sharding_entry *e, const char *name, struct loc loc) {
    struct arg **end = &e->axes;
    if (e->open) diag_error(p->diag, loc, "'?' comes last: what stands before it is in its place");
    if (!name) {
        e->open = true;
        return;
    }
    while (*end) end = &(*end)->next;
    *end = ast_arg(p, name, NULL, loc);
}

/* Collects the subscripts of x[i][j], innermost bracket first. */
static struct expr *strip_subscripts(struct assignee *t, struct expr *e) {
    if (e->kind != EXPR_INDEX) return e;
    struct expr *base = strip_subscripts(t, e->left);
    struct arg **end = &t->subscripts;
    while (*end) end = &(*end)->next;
    *end = e->args;
    t->subscripts_count += e->count;
    return base;
}

struct assignee *ast_target(struct parser *p, struct expr *left, struct type_expr *type, struct marks marks) {
    struct assignee *t = arena_new_object(p->arena, struct assignee);
    t->loc = left->loc;
    t->type = type;
    t->marks = marks;
    struct expr *base = strip_subscripts(t, left);
    if (base->kind == EXPR_NAME && !base->parenthesised && !strchr(base->text, '.'))
        t->name = base->text;
    else if (base->kind != EXPR_ERROR)
        diag_error(p->diag, t->loc, "only a name, or a state or param with its index, can be assigned");
    return t;
}

struct stmt *ast_stmt(struct parser *p, enum stmt_kind kind, struct loc loc) {
    struct stmt *s = arena_new_object(p->arena, struct stmt);
    s->kind = kind;
    s->loc = loc;
    s->marks = ast_marks();
    return s;
}

struct decl *ast_decl(struct parser *p, enum decl_kind kind, const char *name, struct loc loc) {
    struct decl *d = arena_new_object(p->arena, struct decl);
    d->kind = kind;
    d->name = name;
    d->loc = loc;
    d->marks = ast_marks();
    return d;
}

struct marks ast_marks(void) {
    return (struct marks){.offset = -1, .over = -1};
}

static bool same_arg(const struct arg *a, const struct arg *b) {
    if (a->range || b->range || !a->name != !b->name) return false;
    return (!a->name || !strcmp(a->name, b->name)) && ast_same(a->value, b->value);
}

bool ast_same(const struct expr *a, const struct expr *b) {
    if (!a || !b) return a == b;
    if (a->kind != b->kind || !a->text != !b->text || (a->text && strcmp(a->text, b->text))) return false;
    if (a->integer != b->integer || a->count != b->count) return false;
    if (a->real < b->real || a->real > b->real) return false;
    const struct arg *x = a->args, *y = b->args;
    for (; x && y; x = x->next, y = y->next)
        if (!same_arg(x, y)) return false;
    return ast_same(a->left, b->left) && ast_same(a->right, b->right);
}
