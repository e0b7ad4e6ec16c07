/* Initialisers of params and states: zeros, ones, normal(std=0.02), uniform(lo=-1, hi=1), a number, a nested
 * list. */
#include "frontend/expand.h"
#include <string.h>

static bool random_argument(struct expander *x, const struct arg *a, const char *const *names,
                            double *const *to) {
    for (int i = 0; i < 2 && names[i]; i++) {
        if (!a->name || strcmp(a->name, names[i])) continue;
        struct item item = evaluate_constant(x, a->value, names[i]);
        return item_to_real(x, &item, names[i], a->value->loc, to[i]);
    }
    diag_error(x->diag, a->loc,
               names[1] ? "this initialiser takes %s= and %s=" : "this initialiser takes %s=", names[0],
               names[1]);
    return false;
}

/* normal(std=…) or uniform(lo=…, hi=…) */
static bool random_initializer(struct expander *x, const struct expr *e, struct init *init) {
    static const char *const names[2][2] = {{"std", NULL}, {"lo", "hi"}};
    bool uniform = !strcmp(e->left->text, "uniform");
    double *const to[2] = {&init->a, &init->b};
    init->kind = uniform ? INIT_UNIFORM : INIT_NORMAL;
    init->a = uniform ? 0 : 1;
    init->b = 1;
    for (const struct arg *a = e->args; a; a = a->next)
        if (!random_argument(x, a, names[uniform], to)) return false;
    bool good = uniform ? init->a <= init->b : init->a >= 0;
    if (!good) diag_error(x->diag, e->loc, uniform ? "uniform: lo is above hi" : "normal: std is negative");
    return good;
}

static bool list_initializer(struct expander *x, const struct item *i, const struct expr *e,
                             const struct type *type, struct init *init) {
    init->kind = INIT_LIST;
    init->list = literal_tensor(x, i, type->dtype, e->loc);
    if (!init->list) return false;
    struct type given = {.dtype = type->dtype, .rank = init->list->rank};
    for (int k = 0; k < given.rank; k++)
        given.extents[k] = extent_const(x->graph->extents, init->list->extents[k]);
    if (type_equal(&given, type)) return true;
    diag_error(x->diag, e->loc, "the list is %s, not %s", type_text(x->arena, &given),
               type_text(x->arena, type));
    return false;
}

/* One number for all elements, which must fit the element type. */
static bool fill_initializer(struct expander *x, const struct item *i, const struct expr *e,
                             const struct type *type, struct init *init) {
    const int64_t exact = INT64_C(1) << 53; /* beyond it doubles skip integers: a list of rank 0 keeps them */
    bool large = i->kind == ITEM_INT && (i->integer > exact || i->integer < -exact);
    init->kind = large && dtype_class(type->dtype) == CLASS_INTEGER ? INIT_LIST : INIT_FILL;
    init->a = i->kind == ITEM_REAL ? i->real : (double)i->integer;
    init->list = literal_tensor(x, i, type->dtype, e->loc);
    return init->list != NULL;
}

bool initializer(struct expander *x, const struct expr *e, const struct type *type, struct init *init) {
    bool word = e->kind == EXPR_NAME && (!strcmp(e->text, "zeros") || !strcmp(e->text, "ones"));
    if (word) {
        *init = (struct init){.kind = INIT_FILL, .a = !strcmp(e->text, "ones")};
        return true;
    }
    bool call = e->kind == EXPR_CALL && e->left->kind == EXPR_NAME;
    if (call && (!strcmp(e->left->text, "normal") || !strcmp(e->left->text, "uniform"))) {
        if (dtype_class(type->dtype) == CLASS_FLOAT) return random_initializer(x, e, init);
        diag_error(x->diag, e->loc, "random initialisers make floats, not %s", dtype_name(type->dtype));
        return false;
    }
    struct item i = evaluate_constant(x, e, "an initialiser");
    if (i.kind == ITEM_ERROR) return false;
    if (i.kind == ITEM_LIST) return list_initializer(x, &i, e, type, init);
    if (item_number(&i)) return fill_initializer(x, &i, e, type, init);
    diag_error(x->diag, e->loc,
               "an initialiser is zeros, ones, normal(…), uniform(…), a number or a list, not %s",
               item_text(x, &i));
    return false;
}
