/* The verifier: a sound graph passes and stays as it is; each way to break one is reported in its words. */
#include "ir/verify.h"
#include "cases.h"
#include <criterion/criterion.h>
#include <string.h>

/* f(x0: f32[S, 4]) { y = w[1]; z = linear(x0, y); kernel k0 (z) -> e { e = exp(a) }; st = e;
 * h = e; for t scan 0..S { h = h + x0 }; return h } */
struct sample {
    struct test *t;
    struct graph *g;
    struct global *w, *st;
    struct value *x;
    struct node *param, *linear, *kernel, *exp, *assign, *scan, *add;
};

static struct node *append(struct test *t, struct block *b, enum op op, struct value *first,
                           struct value *second) {
    struct value *operands[] = {first, second};
    struct node *n = node_new(t->g, op, second ? 2 : first ? 1 : 0, operands, t->loc);
    block_append(b, n);
    return n;
}

static struct node *infer(struct test *t, struct node *n) {
    cr_assert(node_infer(t->g, n), "%s", test_messages(t));
    return n;
}

static struct global *declare(struct test *t, enum global_kind kind, const char *name, const char *type) {
    struct global *made = graph_global(t->g, kind, name, (struct loc){t->loc.source, 3, 1});
    made->type = test_type(t, type);
    made->init.kind = INIT_FILL;
    return made;
}

static void give(struct test *t, struct block *b, struct value *v) {
    b->results = arena_new_array(t->arena, struct value *, 1);
    b->results[0] = v;
    b->results_count = 1;
}

static void make_kernel(struct sample *s) {
    struct test *t = s->t;
    s->kernel = append(t, t->body, OP_kernel, s->linear->results[0], NULL);
    s->kernel->name = "k0";
    s->kernel->body = block_new(t->g, s->kernel);
    struct value *a = block_argument(t->g, s->kernel->body, &s->linear->results[0]->type, "a", t->loc);
    s->exp = infer(t, append(t, s->kernel->body, OP_exp, a, NULL));
    s->exp->results[0]->name = "e";
    give(t, s->kernel->body, s->exp->results[0]);
    infer(t, s->kernel);
}

static void make_scan(struct sample *s) {
    struct test *t = s->t;
    struct value *h = s->kernel->results[0];
    const struct type index = test_type(t, "i32");
    s->scan = append(t, t->body, OP_scan, h, NULL);
    s->scan->count = test_extent(t, "S");
    s->scan->body = block_new(t->g, s->scan);
    block_argument(t->g, s->scan->body, &index, "t", t->loc);
    struct value *inner = block_argument(t->g, s->scan->body, &h->type, "h", t->loc);
    s->add = infer(t, append(t, s->scan->body, OP_add, inner, s->x));
    give(t, s->scan->body, s->add->results[0]);
    infer(t, s->scan);
}

static struct sample *sample_new(void) {
    struct test *t = test_new();
    struct sample *s = arena_new_object(t->arena, struct sample);
    s->t = t;
    s->g = t->g;
    s->w = declare(t, GLOBAL_PARAM, "w", "f32[4, 4]");
    s->w->counts_rank = 1;
    s->w->counts[0] = 2;
    s->st = declare(t, GLOBAL_STATE, "st", "f32[4]");
    s->st->assigned = true;
    s->x = test_argument(t, "f32[S, 4]");
    s->param = append(t, t->body, OP_param, NULL, NULL);
    s->param->global = s->w;
    s->param->element = 1;
    infer(t, s->param);
    s->linear = infer(t, append(t, t->body, OP_linear, s->x, s->param->results[0]));
    make_kernel(s);
    struct node *sum = infer(t, test_node(t, "sum", "f32[S, 4]", "axis=0"));
    s->assign = append(t, t->body, OP_assign, sum->results[0], NULL);
    s->assign->global = s->st;
    infer(t, s->assign);
    make_scan(s);
    give(t, t->body, s->scan->results[0]);
    return s;
}

Test(verify, a_sound_graph_passes_and_stays) {
    struct sample *s = sample_new();
    int nodes = s->g->nodes, values = s->g->values;
    cr_assert(graph_verify(s->g), "%s", test_messages(s->t));
    cr_assert(graph_verify(s->g), "%s", test_messages(s->t));
    cr_assert(s->g->nodes == nodes && s->g->values == values);
    cr_assert_str_eq(test_messages(s->t), "");
}

static void order(struct sample *s) {
    node_remove(s->param);
    block_append(s->t->body, s->param);
}
static void kernel_sees(struct sample *s) { s->exp->operands[0] = s->linear->results[0]; }
static void inner_escapes(struct sample *s) { give(s->t, s->t->body, s->add->results[0]); }
static void replaced(struct sample *s) { value_replace(s->linear->results[0], s->x); }
static void wrong_type(struct sample *s) { s->add->results[0]->type = test_type(s->t, "f32[S, 5]"); }
static void bad_operand(struct sample *s) { s->linear->operands[1] = s->x; }
static void not_canonical(struct sample *s) {
    static const int64_t last = -2;
    node_attr(s->assign->prev, "axis")->ints = &last;
}
static void two_ids(struct sample *s) { s->add->id = s->exp->id; }
static void wide_id(struct sample *s) { s->add->results[0]->id = s->g->values; }
static void wrong_parent(struct sample *s) { s->exp->parent = s->t->body; }
static void wrong_prev(struct sample *s) { s->linear->prev = NULL; }
static void wrong_last(struct sample *s) { s->t->body->last = s->linear; }
static void cycle(struct sample *s) { s->scan->next = s->param; }
static void wrong_def(struct sample *s) { s->add->results[0]->def = s->exp; }
static void wrong_owner(struct sample *s) { s->kernel->body->owner = s->scan; }
static void too_many_results(struct sample *s) { node_add_result(s->g, s->linear, &s->x->type); }
static void kernel_reads(struct sample *s) {
    struct node *n = node_new(s->g, OP_param, 0, NULL, s->t->loc);
    n->global = s->w;
    node_insert_before(n, s->exp);
    infer(s->t, n);
}
static void kernel_assigns(struct sample *s) {
    node_remove(s->assign);
    s->assign->operands[0] = s->exp->results[0];
    block_append(s->kernel->body, s->assign);
}
static void no_body(struct sample *s) { s->kernel->body = NULL; }
static void no_global(struct sample *s) { s->param->global = NULL; }
static void foreign_global(struct sample *s) {
    struct global *copy = arena_new_object(s->t->arena, struct global);
    *copy = *s->w;
    s->param->global = copy;
}
static void unmarked(struct sample *s) { s->st->assigned = false; }
static void scheduled(struct sample *s) {
    s->linear->schedule = arena_new_object(s->t->arena, struct schedule);
}
static void sugar(struct sample *s) { s->exp->op = OP_dropout; }
static void symbolic_global(struct sample *s) { s->w->type = test_type(s->t, "f32[S, 4]"); }
static void same_names(struct sample *s) { s->st->name = "w"; }
static void same_dims(struct sample *s) { graph_dim(s->g, "S", 1, 2, s->t->loc); }
static void empty_dim(struct sample *s) { s->g->dims[1]->max = 1; }
static void wide_counts(struct sample *s) {
    s->w->counts_rank = 2;
    s->w->counts[0] = s->w->counts[1] = INT64_MAX;
}
static void wide_layout(struct sample *s) { s->w->layout = layout_parse(s->t->arena, "0 1 2"); }
/* A mesh, and where w, z and the scan are on it. */
static struct sharding *on_a_mesh(struct sample *s) {
    struct mesh *m = s->g->meshes;
    m->axes[1].size = 2;
    ((struct dim *)m->axes[1].coordinate)->max = 1;
    struct sharding *placed = arena_new_object(s->t->arena, struct sharding);
    *placed = (struct sharding){
        .mesh = m, .rank = 2, .dims = {{.count = 1, .axes = {0}}, {.count = 1, .axes = {1}}}};
    s->linear->results[0]->sharding = placed;
    return placed;
}
static void sharded_twice(struct sample *s) { on_a_mesh(s)->dims[1].axes[0] = 0; }
static void sharded_and_partial(struct sample *s) { on_a_mesh(s)->partial = 2; }
static void partial_nowhere(struct sample *s) { on_a_mesh(s)->partial = 4; }
static void no_such_axis(struct sample *s) { on_a_mesh(s)->dims[1].axes[0] = 2; }
static void other_rank(struct sample *s) { on_a_mesh(s)->rank = 1; }
static void other_mesh(struct sample *s) {
    struct mesh *copy = arena_new_object(s->t->arena, struct mesh);
    struct sharding *placed = on_a_mesh(s);
    *copy = *placed->mesh;
    placed->mesh = copy;
}
static void global_rank(struct sample *s) {
    struct sharding *placed = on_a_mesh(s);
    s->linear->results[0]->sharding = NULL;
    s->st->sharding = placed;
}
static void no_such_place(struct sample *s) {
    struct placement *on = arena_new_object(s->t->arena, struct placement);
    *on = (struct placement){on_a_mesh(s)->mesh, 1, 2};
    s->add->on = on;
}
static void empty_axis(struct sample *s) { ((struct mesh *)on_a_mesh(s)->mesh)->axes[1].size = 0; }
static void same_meshes(struct sample *s) {
    on_a_mesh(s);
    graph_mesh(s->g, "m", s->t->loc);
}
static void kernel_arguments(struct sample *s) { s->kernel->operands[0] = s->param->results[0]; }

static const struct {
    void (*spoil)(struct sample *);
    const char *expected;
} rows[] = {
    {order, "linear: value 1 is used before it is defined"},
    {kernel_sees, "exp: value 2 is not visible here; a kernel sees only its arguments"},
    {inner_escapes, "is not visible here"},
    {replaced, "kernel: value 2 has been replaced by x0"},
    {wrong_type, "is f32[S, 5], inference gives f32[S, 4]"},
    {bad_operand, "linear: value 2 is f32[S, 4], inference gives f32[S, S]"},
    {not_canonical, "sum: axis is not canonical"},
    {two_ids, "stands in two places"},
    {wide_id, "has an id that was not given out"},
    {wrong_parent, "does not point to its block and neighbours"},
    {wrong_prev, "does not point to its block and neighbours"},
    {wrong_last, "a block does not end at its last node"},
    {cycle, "stands in two places"},
    {wrong_def, "does not point to where it is defined"},
    {wrong_owner, "a block does not point to its owner"},
    {too_many_results, "linear: has 2 results, needs 1"},
    {kernel_reads, "param may not stand in a kernel"},
    {kernel_assigns, "assign may not stand in a kernel"},
    {no_body, "kernel: has no body"},
    {no_global, "param: names no global"},
    {foreign_global, "param: w is not of this graph"},
    {unmarked, "assign: st is not marked as assigned"},
    {scheduled, "linear has a schedule"},
    {sugar, "dropout has not been expanded"},
    {symbolic_global, "w: extent 0 is S, not a constant"},
    {same_names, "two params or states are named w"},
    {same_dims, "two dims are named S"},
    {empty_dim, "dim T has the empty or negative range 2..1"},
    {wide_counts, "elements on axis 1"},
    {wide_layout, "w: its layout names axis 2 of 2"},
    {sharded_twice, "value 2: it uses axis data twice"},
    {sharded_and_partial, "value 2: it uses axis tensor twice"},
    {partial_nowhere, "it is partial over an axis that its mesh has not"},
    {no_such_axis, "its dimension 1 is split by an axis that its mesh has not"},
    {other_rank, "its sharding has 1 entries for 2 dimensions"},
    {other_mesh, "its mesh is not of this graph"},
    {global_rank, "st: its sharding has 2 entries for"},
    {no_such_place, "add: 2 is no place on m.tensor, which has 0..1"},
    {empty_axis, "mesh m: axis tensor is empty"},
    {same_meshes, "two meshes are named m"},
    {kernel_arguments, "kernel: a is f32[S, 4] inside, f32[4, 4] outside"},
};

Test(verify, each_violation_is_reported) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sample *s = sample_new();
        rows[i].spoil(s);
        cr_expect(!graph_verify(s->g), "row %zu passes: %s", i, rows[i].expected);
        cr_expect(strstr(test_messages(s->t), rows[i].expected), "wanted %s, said %s", rows[i].expected,
                  test_messages(s->t));
        cr_expect_gt(s->t->diag.errors, 0);
    }
}
