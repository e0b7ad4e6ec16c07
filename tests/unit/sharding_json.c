/* Plans: what is written is read back, and no text of a plan, cut or changed, does more than be refused. */
#include "frontend/sharding_json.h"
#include "frontend/frontend.h"
#include "ir/print.h"
#include "ir/verify.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char annotated[] =
    "mesh m = <data=2, tensor=2> ranks 4..7\nmesh n = <x=3>\ndim S in 2..8\n"
    "param w[2] : f32[4, 6] @m([tensor, data], _) = ones\nstate k : f32[6] @n(x) = zeros\n"
    "export fn f(x: f32[S, 6] @m(data, [tensor, ?]!3), y: f32) -> f32[S, 4] @m(data, _), f32 {\n"
    "a : f32[S, 4] @m(_, ?, tensor partial) = linear(x, w[1])\na = a + y\n"
    "for t scan 0..3 { a = a * y }\nreturn a, y\n}\n";
static const char plain[] = "mesh m = <data=2, tensor=2> ranks 4..7\nmesh n = <x=3>\ndim S in 2..8\n"
                            "param w[2] : f32[4, 6] = ones\nstate k : f32[6] = zeros\n"
                            "export fn f(x: f32[S, 6], y: f32) -> f32[S, 4], f32 {\n"
                            "a = linear(x, w[1])\na = a + y\nfor t scan 0..3 { a = a * y }\nreturn a, y\n}\n";

struct model {
    struct arena *arena;
    struct diag diag;
    struct graph *graph;
    char *messages;
    size_t heard;
    FILE *errors;
};

static void open_model(struct model *m, const char *text) {
    m->arena = arena_new();
    m->errors = open_memstream(&m->messages, &m->heard);
    diag_init(&m->diag, m->arena, m->errors);
    m->graph = frontend_parse(m->arena, &m->diag, "t.mdl", text, strlen(text), NULL);
    fflush(m->errors);
    cr_assert_eq(m->diag.errors, 0, "%s", m->messages);
    sharding_json_names(m->graph);
}

static void close_model(struct model *m) {
    fclose(m->errors);
    free(m->messages);
    arena_release(m->arena);
}

static char *written(const struct graph *g, void (*print)(const struct graph *, FILE *)) {
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    print(g, out);
    fclose(out);
    return text;
}

static char *plan_of(const char *text) {
    struct model m;
    open_model(&m, text);
    char *plan = written(m.graph, sharding_json_write);
    close_model(&m);
    return plan;
}

Test(sharding_json, what_is_written_is_read_back) {
    struct model m;
    char *plan = plan_of(annotated);
    open_model(&m, plain);
    cr_assert(sharding_json_read(m.graph, "p.json", plan, strlen(plan)));
    cr_assert(graph_verify(m.graph));
    char *again = written(m.graph, sharding_json_write);
    cr_expect_str_eq(plan, again);
    char *dump = written(m.graph, graph_print);
    cr_expect(
        strstr(dump, "f(x: f32[S, 6] @m(data, [tensor, ?]!3), y: f32) -> f32[S, 4] @m(data, _), f32 {"));
    cr_expect(strstr(dump, "a : f32[S, 4] @m(_, ?, tensor partial) = linear(x, w[1])"));
    free(dump);
    free(again);
    free(plan);
    close_model(&m);
}

/* Reads a plan that may be anything: refused with a message, or a graph that is sound. */
static bool feed(const char *plan, size_t length) {
    struct model m;
    open_model(&m, plain);
    bool good = sharding_json_read(m.graph, "p.json", plan, length);
    cr_expect_eq(good, m.diag.errors == 0);
    cr_expect(!good || graph_verify(m.graph));
    close_model(&m);
    return good;
}

Test(sharding_json, every_cut_is_refused) {
    char *plan = plan_of(annotated);
    size_t length = strlen(plan) - 1; /* without its newline */
    for (size_t n = 0; n < length; n++) cr_expect(!feed(plan, n), "the first %zu bytes pass", n);
    cr_expect(feed(plan, length));
    free(plan);
}

Test(sharding_json, every_byte_may_change) {
    static const char others[] = "\"[]{},: 0m?\xff";
    char *plan = plan_of(annotated);
    size_t length = strlen(plan);
    for (size_t n = 0; n < length; n++) {
        char kept = plan[n];
        for (size_t k = 0; k < sizeof others; k++) {
            plan[n] = others[k];
            feed(plan, length);
        }
        plan[n] = kept;
    }
    free(plan);
}

Test(sharding_json, says_where) {
    static const struct {
        const char *plan, *expected;
    } rows[] = {
        {"[]", "p.json:1:1: error: a plan is an object"},
        {"{\n\"globals\": {\n \"v\": {}}}", "p.json:3:2: error: the model has no param or state 'v'"},
        {"{\"globals\": {\"w\": {\"mesh\": \"o\"}}}", "there is no mesh 'o'"},
        {"{\"globals\": {\"w\": {\"mesh\": \"m\", \"dims\": [[]]}}}",
         "each of the 2 dimensions of f32[4, 6]"},
        {"{\"globals\": {\"w\": {\"mesh\": \"n\", \"dims\": [[\"x\"], []]}}}",
         "4 is not divisible by 3 ranks of x; 2, 4 divide it"},
        {"{\"functions\": {\"f\": {\"results\": []}}}", "f has 2 results"},
        {"{\"functions\": {\"f\": {\"values\": {\"b\": {}}}}}", "the model has no value 'b'"},
        {"{\"functions\": {\"g\": {}}}", "the model has no function 'g'"},
        {"{\"meshes\": {\"m\": {\"axes\": [[\"data\", 2], [\"tensor\", 3]]}}}", "mesh m is another one"},
        {"{\"a\": 1, \"a\": 2}", "duplicate"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct model m;
        open_model(&m, plain);
        cr_expect(!sharding_json_read(m.graph, "p.json", rows[i].plan, strlen(rows[i].plan)), "%s",
                  rows[i].plan);
        fflush(m.errors);
        cr_expect(strstr(m.messages, rows[i].expected), "wanted %s, said %s", rows[i].expected, m.messages);
        close_model(&m);
    }
}
