/* The texts of tests/frontend give the messages (x.err) or the dump (x.out) beside them; `# EXIT: 1` in their
 * head says which. MDL_BLESS=1 writes what is found instead, for a look at the difference. */
#include "frontend/frontend.h"
#include "ir/print.h"
#include "ir/verify.h"
#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

static char *read_all(const char *path) {
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    if (!f) return text;
    size_t length = fread(text, 1, (1 << 20) - 1, f);
    text[length] = 0;
    fclose(f);
    return text;
}

/* Takes folders out of every mention of `name`, which depend on where a test runs. */
static char *without_folders(char *text, const char *name) {
    for (char *at = text; (at = strstr(at, name)); at++) {
        char *start = at;
        while (start > text && !strchr(" \"\n", start[-1])) start--;
        memmove(start, at, strlen(at) + 1);
        at = start;
    }
    return text;
}

static void compare(const char *path, const char *name, const char *suffix, char *found) {
    char other[4096];
    snprintf(other, sizeof other, "%.*s.%s", (int)strlen(path) - 4, path, suffix);
    if (getenv("MDL_BLESS")) {
        FILE *f = fopen(other, "wb");
        if (*found && f) fputs(found, f);
        if (f) fclose(f);
        if (!*found) remove(other);
        return;
    }
    char *wanted = without_folders(read_all(other), name);
    cr_expect_str_eq(found, wanted, "%s differs:\n%s", other, found);
    free(wanted);
}

/* Returns the number of errors. */
static int run(const char *path) {
    const char *name = strrchr(path, '/') + 1;
    char *text = read_all(path), *messages, *dump;
    size_t heard, length;
    struct arena *a = arena_new();
    struct diag d;
    FILE *errors = open_memstream(&messages, &heard), *out = open_memstream(&dump, &length);
    diag_init(&d, a, errors);
    struct graph *g = frontend_parse(a, &d, name, text, strlen(text), NULL);
    if (!d.errors && graph_verify(g)) graph_print(g, out);
    fclose(errors);
    fclose(out);
    cr_expect_eq(d.errors > 0, strstr(text, "# EXIT: 1") != NULL, "%s: exit status", name);
    compare(path, name, "err", messages);
    compare(path, name, "out", dump);
    free(messages);
    free(dump);
    free(text);
    arena_release(a);
    return d.errors;
}

Test(frontend_golden, texts) {
    char pattern[4096];
    glob_t found;
    int refused = 0;
    snprintf(pattern, sizeof pattern, "%s/tests/frontend/*.mdl", getenv("srcdir") ? getenv("srcdir") : ".");
    cr_assert(!glob(pattern, 0, NULL, &found), "no texts at %s", pattern);
    for (size_t i = 0; i < found.gl_pathc; i++) refused += run(found.gl_pathv[i]) > 0;
    cr_expect(refused >= 40, "only %d broken texts", refused);
    globfree(&found);
}
