/* Types as written: evaluated, and demanded of items. */
#include "frontend/expand.h"

bool evaluate_type(struct expander *x, const struct type_expr *t, struct type *type) {
    static const char *const names[] = {"f64", "f32", "f16", "bf16", "i64",  "i32",
                                        "i16", "i8",  "u8",  "bool", "index"};
    *type = (struct type){.dtype = t->dtype, .rank = t->rank};
    if (t->bad) {
        diag_error(x->diag, t->loc, "unknown element type '%s'%s", t->bad,
                   did_you_mean(x, t->bad, names, sizeof names / sizeof *names));
        return false;
    }
    if (t->index) {
        diag_error(x->diag, t->loc, "'index' is the type of a function's argument only");
        return false;
    }
    if (t->rank > MAX_RANK) {
        diag_error(x->diag, t->loc, "a tensor has at most %d dimensions, not %d", MAX_RANK, t->rank);
        return false;
    }
    bool good = true;
    int i = 0;
    for (const struct arg *a = t->extents; a; a = a->next, i++) {
        if (!evaluate_extent(x, a->value, "an extent", &type->extents[i]))
            good = false;
        else if (!extent_nonnegative(x->graph->extents, type->extents[i])) {
            diag_error(x->diag, a->loc, "the extent %s may be negative",
                       extent_text(x->arena, type->extents[i]));
            good = false;
        }
    }
    if (good && !type_bytes(x->graph->extents, type)) {
        diag_error(x->diag, t->loc, "this tensor is too large");
        good = false;
    }
    return good;
}

struct value *value_of_type(struct expander *x, const struct item *i, const struct type *type,
                            const char *what, struct loc loc) {
    if (i->kind == ITEM_ERROR) return NULL;
    struct value *v = item_as_value(x, i, type->dtype, loc);
    if (!v || type_equal(&v->type, type)) return v;
    diag_error(x->diag, loc, "%s is %s, not %s", what, type_text(x->arena, &v->type),
               type_text(x->arena, type));
    if (v->loc.source && (v->loc.line != loc.line || v->loc.column != loc.column))
        diag_note(x->diag, v->loc, "the value comes from here");
    return NULL;
}
