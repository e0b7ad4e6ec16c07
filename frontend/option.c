/* Options that leave the mathematics unchanged: `option precision = int8`, and --precision=int8. */
#include "frontend/frontend.h"
#include <string.h>

static const char any[] = "";

/* Those without values are for parts that are not there yet; `any` is checked where it is used. */
static const struct {
    const char *name, *values[8];
} options[] = {{"precision", {"f32", "tf32", "bf16", "int8"}},
               {"quantize", {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0"}},
               {"fast-math", {"0", "1"}},
               {"dim", {any}},    /* S=1,128 */
               {"bucket", {any}}, /* 25M */
               {"deny", {any}},   /* reshard, reshard:1M */
               {"remat", {0}},
               {"pipeline", {0}},
               {"sync", {0}},
               {"memory", {0}}};
enum { OPTIONS = sizeof options / sizeof *options };

static bool refuse(struct graph *g, struct loc loc, const char *problem, const char *word,
                   const char *const *words, int count) {
    const char *nearest = diag_nearest(word, words, count);
    if (nearest)
        diag_error(g->diag, loc, "%s; did you mean '%s'?", problem, nearest);
    else
        diag_error(g->diag, loc, "%s", problem);
    return false;
}

static bool check_value(struct graph *g, int option, const char *value, struct loc loc) {
    int count = 0;
    for (; options[option].values[count]; count++)
        if (options[option].values[count] == any || !strcmp(options[option].values[count], value))
            return true;
    const char *problem =
        count ? arena_printf(g->arena, "option %s cannot be '%s'", options[option].name, value)
              : arena_printf(g->arena, "option %s is not yet supported here", options[option].name);
    return refuse(g, loc, problem, value, options[option].values, count);
}

static bool check_option(struct graph *g, const char *name, const char *value, struct loc loc) {
    const char *names[OPTIONS];
    for (int i = 0; i < OPTIONS; i++) {
        if (!strcmp(name, options[i].name)) return check_value(g, i, value, loc);
        names[i] = options[i].name;
    }
    return refuse(g, loc, arena_printf(g->arena, "there is no option '%s'", name), name, names, OPTIONS);
}

bool frontend_option(struct graph *g, const char *name, const char *value, struct loc loc) {
    struct option **end = &g->options, *o = arena_new_object(g->arena, struct option);
    if (!check_option(g, name, value, loc)) return false;
    while (*end && strcmp((*end)->name, name)) end = &(*end)->next;
    if (*end) return (*end)->value = arena_strdup(g->arena, value), (*end)->loc = loc, true;
    *o = (struct option){arena_strdup(g->arena, name), arena_strdup(g->arena, value), loc, NULL};
    *end = o;
    return true;
}
