/* --const=L=4: constants of a file by other values, so that one model serves many sizes and meshes. */
#include "frontend/expand.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A number of 64 bits, a real number, true or false. */
static bool parse_value(struct frontend_constant *c, const char *text) {
    char *end;
    errno = 0;
    c->kind = FRONTEND_INTEGER;
    c->integer = strtoll(text, &end, 10);
    if (end != text && !*end) return !errno;
    c->kind = FRONTEND_REAL;
    c->real = strtod(text, &end);
    if (end != text && !*end) return isfinite(c->real);
    c->kind = FRONTEND_LOGICAL;
    c->integer = !strcmp(text, "true");
    return c->integer || !strcmp(text, "false");
}

bool frontend_constants(struct arena *a, const char *text, struct frontend_constant **list) {
    while (*text) {
        size_t length = strcspn(text, ","), name = strcspn(text, "=");
        if (!name || name >= length) return false;
        struct frontend_constant *c = arena_new_object(a, struct frontend_constant);
        c->name = arena_strndup(a, text, name);
        c->text = arena_strndup(a, text, length);
        if (!parse_value(c, c->text + name + 1)) return false;
        c->next = *list;
        *list = c;
        text += length + (text[length] == ',');
    }
    return *list != NULL;
}

bool override_find(const struct expander *x, const char *name, struct item *item) {
    const struct frontend_constant *c = x->options->constants;
    while (c && strcmp(c->name, name)) c = c->next;
    if (!c) return false;
    *item = c->kind == FRONTEND_INTEGER ? item_int(c->integer)
            : c->kind == FRONTEND_REAL  ? item_real(c->real)
                                        : item_bool(c->integer);
    return true;
}

void check_overrides(struct expander *x) {
    const char **names = arena_new_array(x->arena, const char *, (size_t)x->values.count + 1);
    int count = 0;
    for (int i = 0; i < x->values.count; i++) {
        const struct declared *d = x->values.entries[i].data;
        if (d->decl->kind == DECL_CONST) names[count++] = d->decl->name;
    }
    for (const struct frontend_constant *c = x->options->constants; c; c = c->next) {
        const struct declared *d = declared_find(x, c->name);
        if (d && d->decl->kind == DECL_CONST) continue;
        const char *given = arena_printf(x->arena, "--const=%s", c->text);
        diag_error(x->diag, (struct loc){.source = diag_source(x->diag, given, NULL, 0)},
                   "the model has no constant '%s'%s", c->name, did_you_mean(x, c->name, names, count));
    }
}
