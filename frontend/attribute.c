/* Attributes of ops, read as their kind in ops.def says. */
#include "frontend/expand.h"
#include <string.h>

struct reader {
    struct expander *x;
    const char *what; /* "topk: axis", for messages */
    const struct attr_spec *spec;
    const struct expr *e;
    struct attr *to;
};

static bool wrong(const struct reader *r, struct loc loc, const char *wanted) {
    if (r->e->kind != EXPR_ERROR) diag_error(r->x->diag, loc, "%s must be %s", r->what, wanted);
    return false;
}

static bool read_int(const struct reader *r) { return evaluate_int(r->x, r->e, r->what, &r->to->i); }

static bool read_float(const struct reader *r) {
    struct item i = evaluate_constant(r->x, r->e, r->what);
    return item_to_real(r->x, &i, r->what, r->e->loc, &r->to->f);
}

static bool read_flag(const struct reader *r) {
    struct item i = evaluate_constant(r->x, r->e, r->what);
    if (i.kind == ITEM_ERROR) return false;
    if (i.kind != ITEM_BOOL) return wrong(r, r->e->loc, "true or false");
    r->to->i = i.integer;
    return true;
}

static const char *words_text(const struct reader *r) {
    const char *list = "";
    for (int i = 0; r->spec->words[i]; i++)
        list = arena_printf(r->x->arena, "%s%s'%s'", list, i ? " or " : "", r->spec->words[i]);
    return list;
}

static bool read_word(const struct reader *r) {
    if (r->e->kind != EXPR_NAME) return wrong(r, r->e->loc, words_text(r));
    int count = 0;
    for (; r->spec->words[count]; count++)
        if (!strcmp(r->spec->words[count], r->e->text)) return r->to->s = r->spec->words[count], true;
    diag_error(r->x->diag, r->e->loc, "%s must be %s, not '%s'%s", r->what, words_text(r), r->e->text,
               did_you_mean(r->x, r->e->text, r->spec->words, count));
    return false;
}

static bool read_string(const struct reader *r) {
    if (r->e->kind != EXPR_STRING) return wrong(r, r->e->loc, "a string");
    r->to->s = r->e->text;
    return true;
}

static bool read_dtype(const struct reader *r) {
    if (r->e->kind != EXPR_DTYPE) return wrong(r, r->e->loc, "an element type");
    r->to->dtype = r->e->dtype;
    return true;
}

static bool read_extent(const struct reader *r) { return evaluate_extent(r->x, r->e, r->what, &r->to->e); }

/* The elements of a list, or the one expression that stands for a list of one. */
static const struct arg *elements(const struct reader *r, struct arg *one) {
    *one = (struct arg){.value = (struct expr *)r->e, .loc = r->e->loc};
    return r->e->kind == EXPR_LIST ? r->e->args : one;
}

static int elements_count(const struct reader *r) { return r->e->kind == EXPR_LIST ? r->e->count : 1; }

static bool read_ints(const struct reader *r) {
    struct arg one;
    bool good = true;
    int64_t *ints = arena_new_array(r->x->graph->arena, int64_t, elements_count(r) + 1);
    for (const struct arg *a = elements(r, &one); a; a = a->next)
        good &= evaluate_int(r->x, a->value, r->what, &ints[r->to->count++]);
    r->to->ints = ints;
    return good;
}

static bool read_extents(const struct reader *r) {
    struct arg one;
    bool good = true;
    const struct extent **list =
        arena_new_array(r->x->graph->arena, const struct extent *, elements_count(r) + 1);
    for (const struct arg *a = elements(r, &one); a; a = a->next) {
        const struct extent **e = &list[r->to->count++];
        int64_t value;
        good &= evaluate_extent(r->x, a->value, r->what, e);
        if (good && extent_is_const(*e, &value) && value == -1) *e = NULL;
    }
    r->to->extents = list;
    return good;
}

static bool read_axes(const struct reader *r) {
    bool all = r->e->kind == EXPR_NAME && !strcmp(r->e->text, "all");
    if (all) return r->to->count = -1, true;
    return read_ints(r);
}

/* p: both sides; a list of numbers: both sides, an entry an axis; a list of [lo, hi]. */
static bool read_pairs(const struct reader *r) {
    struct arg one;
    bool good = true;
    int64_t *ints = arena_new_array(r->x->graph->arena, int64_t, 2 * elements_count(r) + 2);
    for (const struct arg *a = elements(r, &one); a; a = a->next) {
        int64_t *pair = &ints[2 * r->to->count++];
        const struct arg *inner = a->value->kind == EXPR_LIST ? a->value->args : NULL;
        if (a->value->kind == EXPR_LIST && a->value->count != 2)
            return wrong(r, a->value->loc, "a number, a list of numbers, or a list of [before, after]");
        good &= evaluate_int(r->x, inner ? inner->value : a->value, r->what, &pair[0]);
        pair[1] = pair[0];
        if (inner) good &= evaluate_int(r->x, inner->next->value, r->what, &pair[1]);
    }
    r->to->ints = ints;
    return good;
}

static bool (*const readers[])(const struct reader *) = {
    [ATTR_INT] = read_int,       [ATTR_FLOAT] = read_float,   [ATTR_FLAG] = read_flag,
    [ATTR_WORD] = read_word,     [ATTR_STRING] = read_string, [ATTR_DTYPE] = read_dtype,
    [ATTR_EXTENT] = read_extent, [ATTR_INTS] = read_ints,     [ATTR_EXTENTS] = read_extents,
    [ATTR_AXES] = read_axes,     [ATTR_PAIRS] = read_pairs};

bool attribute(struct expander *x, const struct op_info *op, const struct attr_spec *spec,
               const struct expr *e, struct attr *attr) {
    struct reader r = {x, arena_printf(x->arena, "%s: %s", op->name, spec->name), spec, e, attr};
    *attr = (struct attr){.set = true};
    return readers[spec->kind](&r);
}
