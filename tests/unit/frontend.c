/* The frontend: texts become the graphs they mean, and their dumps parse again. */
#include "frontend/frontend.h"
#include "ir/print.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *messages;

/* The dump of a text without the places, or NULL where it has errors; messages are in `messages`. */
static char *parse_to(const char *path, const char *text, bool locs) {
    struct arena *a = arena_new();
    struct diag d;
    size_t length, heard;
    char *dump;
    FILE *errors = open_memstream(&messages, &heard);
    diag_init(&d, a, errors);
    struct graph *g = frontend_parse(a, &d, path, text, strlen(text), NULL);
    fclose(errors);
    if (d.errors) return NULL;
    FILE *out = open_memstream(&dump, &length);
    graph_print(g, out);
    fclose(out);
    for (char *at = dump; !locs && (at = strstr(at, " loc(\""));) {
        char *end = strchr(at, '\n');
        memmove(at, end, strlen(end) + 1);
    }
    return dump;
}

/* `body` inside a function gives the statements `wanted`, and its dump gives itself. */
static void check(const char *text, const char *wanted) {
    char *dump = parse_to("t.mdl", text, true), *plain = parse_to("t.mdl", text, false);
    cr_assert(dump, "%s\n%s", text, messages);
    char *again = parse_to("-", dump, true);
    cr_assert(again, "%s\n%s", dump, messages);
    cr_expect_str_eq(dump, again);
    cr_expect(strstr(plain, wanted), "%s\n---\n%s\n---\n%s", text, plain, wanted);
}

Test(frontend, expands_functions_and_loops) {
    check("param w[2] : f32[4, 4] = ones\n"
          "fn f(x: f32[N, 4], i: index) = linear(x, w[i])\n"
          "export fn g(x: f32[3, 4]) {\n    for i in 0..2 {\n        x = relu(f(x, i))\n    }\n    return "
          "x\n}\n",
          "    v0 : f32[3, 4] = linear(x, w[0])\n"
          "    x0 : f32[3, 4] = relu(v0)\n"
          "    v1 : f32[3, 4] = linear(x0, w[1])\n"
          "    x1 : f32[3, 4] = relu(v1)\n"
          "    return x1\n");
}
