/* Names in force: a chain of scopes from the innermost block to the function, then the top level. */
#include "frontend/expand.h"
#include <string.h>

struct local *scope_find(const struct expander *x, const char *name) {
    for (const struct scope *s = x->scope; s; s = s->kind == SCOPE_BLOCK ? s->outer : NULL) {
        struct local *found = table_find(&s->names, name);
        if (found) return found;
    }
    return NULL;
}

void scope_define(struct expander *x, const char *name, struct item item, struct loc loc) {
    struct local *made = arena_new_object(x->arena, struct local);
    *made = (struct local){item, loc, NULL};
    table_set(x->arena, &x->scope->names, name, made);
}

void scope_assign(struct expander *x, const char *name, struct item item, struct loc loc) {
    struct local *found = scope_find(x, name);
    if (found)
        found->item = item;
    else
        scope_define(x, name, item, loc);
}

void scope_push(struct expander *x, struct scope *s, enum scope_kind kind) {
    *s = (struct scope){.kind = kind, .outer = x->scope};
    x->scope = s;
}

void scope_pop(struct expander *x) { x->scope = x->scope->outer; }

const char *did_you_mean(struct expander *x, const char *word, const char *const *candidates, int count) {
    const char *nearest = word[0] && word[1] ? diag_nearest(word, candidates, count) : NULL; /* x is not y */
    return nearest ? arena_printf(x->arena, "; did you mean '%s'?", nearest) : "";
}

struct candidates {
    const char **words;
    int count, capacity;
};

static void add_names(struct expander *x, struct candidates *c, const struct table *names) {
    for (int i = 0; i < names->count; i++)
        arena_push(x->arena, c->words, c->count, c->capacity, names->entries[i].name);
}

/* Messages past the limit are not printed, so nothing is searched for them. */
static bool unheard(const struct expander *x) { return x->diag->limit && x->diag->errors >= x->diag->limit; }

void report_unknown_name(struct expander *x, const char *name, struct loc loc) {
    struct candidates c = {0};
    if (!unheard(x)) {
        for (const struct scope *s = x->scope; s; s = s->kind == SCOPE_BLOCK ? s->outer : NULL)
            add_names(x, &c, &s->names);
        add_names(x, &c, &x->values);
    }
    if (table_find(&x->functions, name) || op_find(name) != OP_COUNT)
        diag_error(x->diag, loc, "'%s' is a function: call it as %s(…)", name, name);
    else
        diag_error(x->diag, loc, "unknown name '%s'%s", name, did_you_mean(x, name, c.words, c.count));
}

void report_unknown_function(struct expander *x, const char *name, struct loc loc) {
    struct candidates c = {0};
    if (!unheard(x)) {
        add_names(x, &c, &x->functions);
        for (int op = 0; op < OP_COUNT; op++)
            if (op_info((enum op)op)->level != LEVEL_STRUCTURE && !op_info((enum op)op)->infix)
                arena_push(x->arena, c.words, c.count, c.capacity, op_info((enum op)op)->name);
    }
    if (scope_find(x, name) || table_find(&x->values, name))
        diag_error(x->diag, loc, "'%s' is not a function", name);
    else
        diag_error(x->diag, loc, "unknown function '%s'%s", name, did_you_mean(x, name, c.words, c.count));
}
