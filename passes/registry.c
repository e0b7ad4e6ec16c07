/* Which passes there are: ours from passes.def, a plug-in's from its shared library; and the text form of a
 * pipeline, "fold,fuse{max=8}", in terms of them. */
#include "passes/passes.h"
#include <ctype.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char default_pipeline[] =
    "specialise,fold,simplify,cse,dce,bubble,decompose,shard,partition,precision,fold,simplify,cse,dce,"
    "guards,fuse,overlap,schedule,narrow,layout,memory";

const char pass_leave_out[] = "leave out", pass_always[] = "always";
#define LEAVE_OUT pass_leave_out
#define ALWAYS pass_always

static const struct pass ours[] = {
#define PASS(name, skipped, options, meaning) {#name, pass_##name, meaning, options},
#include "passes/passes.def"
#undef PASS
};
static const char *const ours_skipped[] = {
#define PASS(name, skipped, options, meaning) skipped,
#include "passes/passes.def"
#undef PASS
};
enum { OURS = sizeof ours / sizeof *ours, MAX_PLUGINS = 32 };
static const struct pass_plugin *plugins[MAX_PLUGINS];
static int plugins_count;

const struct pass *pass_find(const char *name) {
    for (int p = 0; p < plugins_count; p++)
        for (int i = 0; i < plugins[p]->count; i++)
            if (!strcmp(plugins[p]->passes[i].name, name)) return &plugins[p]->passes[i];
    for (int i = 0; i < OURS; i++)
        if (!strcmp(ours[i].name, name)) return &ours[i];
    return NULL;
}

const char *pass_skipped(const struct pass *p) {
    bool mine = p >= ours && p < ours + OURS;
    return mine ? ours_skipped[p - ours] : pass_leave_out;
}

const char *pass_nearest(const char *name, struct arena *a) {
    const char **names = NULL;
    int count = 0, capacity = 0;
    for (int i = 0; i < OURS; i++) arena_push(a, names, count, capacity, ours[i].name);
    for (int p = 0; p < plugins_count; p++)
        for (int i = 0; i < plugins[p]->count; i++)
            arena_push(a, names, count, capacity, plugins[p]->passes[i].name);
    return diag_nearest(name, names, count);
}

static bool plugin_refuse(struct arena *a, const char **error, const char *path, const char *why) {
    *error = arena_printf(a, "%s: %s", path, why);
    return false;
}

bool passes_load(const char *path, struct arena *a, const char **error) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *why = dlerror();
        *error = arena_printf(a, "cannot load a pass: %s", why ? why : path);
        return false;
    }
    const struct pass_plugin *plugin = dlsym(library, MDL_PASS_PLUGIN_SYMBOL);
    if (!plugin) return plugin_refuse(a, error, path, "it does not export '" MDL_PASS_PLUGIN_SYMBOL "'");
    if (plugin->abi != MDL_PASS_ABI) {
        *error = arena_printf(a,
                              "%s: it was built for version %d of the passes' interface, this program has "
                              "version %d: build it again with this version's headers",
                              path, plugin->abi, MDL_PASS_ABI);
        return false;
    }
    if (plugin->count < 0 || (plugin->count > 0 && !plugin->passes))
        return plugin_refuse(a, error, path, "its table of passes is not valid");
    for (int i = 0; i < plugin->count; i++) {
        const struct pass *p = &plugin->passes[i];
        if (!p->name || !p->run || !p->meaning || !p->options)
            return plugin_refuse(a, error, path, "a row of its table of passes has empty fields");
    }
    if (plugins_count == MAX_PLUGINS) return plugin_refuse(a, error, path, "too many plug-ins");
    plugins[plugins_count++] = plugin;
    return true;
}

static void list_pass(FILE *out, const struct pass *p) {
    fprintf(out, "%-12s %s", p->name, p->meaning);
    if (*p->options) fprintf(out, " {%s}", p->options);
    fputc('\n', out);
}

void passes_list(FILE *out) {
    for (int i = 0; i < OURS; i++) list_pass(out, &ours[i]);
    for (int p = 0; p < plugins_count; p++)
        for (int i = 0; i < plugins[p]->count; i++) list_pass(out, &plugins[p]->passes[i]);
    fprintf(out, "\ndefault pipeline: %s\n", default_pipeline);
}

/* The next "name=value" of a list separated by spaces: its start, with the lengths of name and value; NULL at
 * the end. A word without '=' has value length 0 and `value` NULL. */
static const char *next_option(const char **at, size_t *name, const char **value, size_t *length) {
    const char *p = *at + strspn(*at, " ");
    size_t word = strcspn(p, " ");
    if (!word) return NULL;
    const char *equals = memchr(p, '=', word);
    *name = equals ? (size_t)(equals - p) : word;
    *value = equals ? equals + 1 : NULL;
    *length = equals ? word - *name - 1 : 0;
    *at = p + word;
    return p;
}

const char *pass_option_find(const char *list, const char *name, size_t *length) {
    size_t name_length;
    const char *value, *found = NULL;
    for (const char *p; (p = next_option(&list, &name_length, &value, length));)
        if (name_length == strlen(name) && !strncmp(p, name, name_length))
            found = value, list += strlen(list);
    return found;
}

/* The whole number written there, up to INT_MAX; else -1. */
static long long whole_number(const char *text, size_t length) {
    long long number = 0;
    for (size_t i = 0; i < length && number >= 0; i++)
        number = isdigit((unsigned char)text[i]) && number <= INT_MAX ? number * 10 + (text[i] - '0') : -1;
    return number <= INT_MAX ? number : -1;
}

bool pass_options_check(const struct pass *p, const char *given, struct arena *a, const char **error) {
    size_t name, length, width;
    const char *value;
    for (const char *o; (o = next_option(&given, &name, &value, &length));) {
        const char *word = arena_strndup(a, o, name);
        const char *fallback = value && length ? pass_option_find(p->options, word, &width) : NULL;
        if (!*p->options) return *error = arena_printf(a, "pass %s has no options", p->name), false;
        if (!fallback)
            return *error = arena_printf(a, "pass %s has no option '%s=...'; it has: %s", p->name, word,
                                         p->options),
                   false;
        if (whole_number(fallback, width) >= 0 && whole_number(value, length) < 0)
            return *error = arena_printf(a, "pass %s: %s=%.*s: a whole number from 0 to %d was expected",
                                         p->name, word, (int)length, value, INT_MAX),
                   false;
    }
    return true;
}

static bool parse_step(const char *text, size_t length, struct arena *a, struct step *s, const char **error) {
    while (length && isspace((unsigned char)*text)) text++, length--;
    while (length && isspace((unsigned char)text[length - 1])) length--;
    const char *brace = memchr(text, '{', length);
    size_t name_length = brace ? (size_t)(brace - text) : length;
    const char *name = arena_strndup(a, text, name_length);
    s->options = brace ? arena_strndup(a, brace + 1, length - name_length - 2) : "";
    s->pass = pass_find(name);
    if (!s->pass) {
        const char *near = pass_nearest(name, a);
        *error = !*name ? "a pass's name is missing"
                 : near ? arena_printf(a, "there is no pass '%s'; did you mean '%s'?", name, near)
                        : arena_printf(a, "there is no pass '%s'", name);
        return false;
    }
    return pass_options_check(s->pass, s->options, a, error);
}

/* The length of the step at `text`: up to a comma outside braces, or the end; 0 with *error if a brace is
 * open or something follows one. */
static bool step_length(const char *text, size_t *length, const char **error) {
    size_t n = strcspn(text, ",{}");
    if (text[n] == '{') {
        n += strcspn(text + n, "}");
        if (text[n] != '}') return *error = "a '{' is not closed", false;
        n++;
    }
    *length = n;
    if (!text[n] || text[n] == ',') return true;
    return *error = "passes are separated by commas: fold,fuse{max=8}", false;
}

int pipeline_parse(const char *text, struct arena *a, struct step **steps, const char **error) {
    int count = 0, capacity = 0;
    *steps = NULL;
    if (!*text) return 0;
    for (;; text++) {
        struct step s;
        size_t length;
        if (!step_length(text, &length, error) || !parse_step(text, length, a, &s, error)) return -1;
        arena_push(a, *steps, count, capacity, s);
        text += length;
        if (!*text) return count;
    }
}

const char *pipeline_until(struct arena *a, const char *pass) {
    const char *at = default_pipeline;
    while (*at) {
        size_t length = strcspn(at, ",{"), whole = *(at + length) == '{' ? strcspn(at, "}") + 1 : length;
        if (strlen(pass) == length && !memcmp(at, pass, length))
            return arena_strndup(a, default_pipeline, (size_t)(at - default_pipeline) + whole);
        at += whole + (at[whole] == ',');
    }
    return "";
}

bool pipeline_check(const char *text, struct arena *a, const char **error) {
    struct step *steps;
    return pipeline_parse(text, a, &steps, error) >= 0;
}
