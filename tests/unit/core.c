/* The IR's basics: symbolic extents, types' rounding, scalar bodies, the op table, layouts' and schedules'
 * text. */
#include "ir/graph.h"
#include <criterion/criterion.h>
#include <math.h>

static struct graph *new_graph(void) {
    static struct diag d;
    struct arena *a = arena_new();
    diag_init(&d, a, stderr);
    return graph_new(a, &d);
}

#define TEXT(e) extent_text(g->arena, (e))

Test(extent, equal_polynomials_are_one_pointer) {
    struct graph *g = new_graph();
    struct extents *x = g->extents;
    const struct extent *s = extent_dim(x, graph_dim(g, "S", 1, 100, (struct loc){0}));
    const struct extent *t = extent_dim(x, graph_dim(g, "T", 0, 7, (struct loc){0}));
    const struct extent *one = extent_const(x, 1);
    const struct extent *square = extent_mul(x, extent_add(x, s, one), extent_add(x, s, one));
    const struct extent *expanded =
        extent_add(x, extent_add(x, extent_mul(x, s, s), extent_mul(x, extent_const(x, 2), s)), one);
    cr_assert_eq(square, expanded);
    cr_assert_eq(extent_mul(x, s, t), extent_mul(x, t, s));
    cr_assert_eq(extent_sub(x, s, s), extent_const(x, 0));
    cr_assert_neq(s, t);
    cr_assert_str_eq(TEXT(extent_sub(x, s, one)), "S - 1");
    cr_assert_str_eq(TEXT(square), "S*S + 2*S + 1");
    cr_assert_str_eq(TEXT(extent_sub(x, one, s)), "-S + 1");
}

Test(extent, floor_division) {
    struct graph *g = new_graph();
    struct extents *x = g->extents;
    const struct extent *s = extent_dim(x, graph_dim(g, "S", 1, 100, (struct loc){0}));
    const struct extent *odd = extent_add(x, extent_mul(x, s, extent_const(x, 4)), extent_const(x, 3));
    cr_assert_str_eq(TEXT(extent_floordiv(x, odd, 4)), "S"); /* 4S/4 leaves, 3/4 is 0 */
    cr_assert_str_eq(TEXT(extent_floordiv(x, extent_add(x, s, extent_const(x, 5)), 2)), "(S + 1) // 2 + 2");
    const struct extent *half = extent_floordiv(x, s, 2);
    cr_assert_eq(extent_floordiv(x, half, 3), extent_floordiv(x, s, 6));
    cr_assert_str_eq(TEXT(extent_mul(x, half, extent_const(x, 3))), "3*(S // 2)");
    const struct extent *third = extent_floordiv(x, extent_sub(x, s, extent_const(x, 7)), 3);
    for (int64_t v = 1; v < 40; v++)
        cr_assert_eq(extent_eval(third, &v), (int64_t)floor((double)(v - 7) / 3));
}

Test(extent, exact_division_and_bounds) {
    struct graph *g = new_graph();
    struct extents *x = g->extents;
    const struct extent *s = extent_dim(x, graph_dim(g, "S", 2, 100, (struct loc){0}));
    const struct extent *b = extent_dim(x, graph_dim(g, "B", 1, 8, (struct loc){0}));
    const struct extent *product = extent_mul(x, extent_mul(x, s, b), extent_const(x, 576));
    cr_assert_eq(extent_divide(x, product, extent_mul(x, b, extent_const(x, 64))),
                 extent_mul(x, s, extent_const(x, 9)));
    cr_assert_null(extent_divide(x, product, extent_const(x, 5)));
    cr_assert_null(extent_divide(x, product, extent_add(x, s, b)));
    const struct extent *sum = extent_add(x, s, b);
    cr_assert_eq(extent_divide(x, extent_mul(x, sum, sum), sum), sum);
    cr_assert_eq(extent_min(extent_sub(x, s, b)), -6);
    cr_assert_eq(extent_max(extent_sub(x, s, b)), 99);
    const struct extent *by[] = {extent_const(x, 7), NULL};
    cr_assert_str_eq(TEXT(extent_replace(x, product, by)), "4032*B");
}

Test(extent, overflow_is_no_extent) {
    struct graph *g = new_graph();
    struct extents *x = g->extents;
    const struct extent *big = extent_const(x, INT64_MAX);
    cr_assert_null(extent_add(x, big, extent_const(x, 1)));
    cr_assert_null(extent_mul(x, big, extent_const(x, 2)));
    cr_assert_null(extent_add(x, NULL, big));
    const struct extent *s = extent_dim(x, graph_dim(g, "S", 1, INT64_MAX, (struct loc){0}));
    cr_assert_eq(extent_max(extent_mul(x, s, s)), INT64_MAX);
}

Test(type, rounding_to_narrow_types) {
    cr_assert_eq(dtype_round_float(DTYPE_F16, 2049), 2048); /* halves to even */
    cr_assert_eq(dtype_round_float(DTYPE_F16, 2051), 2052);
    cr_assert(isinf(dtype_round_float(DTYPE_F16, 65520)));
    cr_assert_eq(dtype_round_float(DTYPE_F16, 65519), 65504);
    cr_assert_eq(dtype_round_float(DTYPE_F16, 0x1p-25), 0);
    cr_assert_eq(dtype_round_float(DTYPE_F16, 0x1.8p-25), 0x1p-24);
    cr_assert_eq(dtype_round_float(DTYPE_BF16, 257), 256);
    cr_assert_eq(dtype_round_float(DTYPE_BF16, 259), 260);
    cr_assert(isinf(dtype_round_float(DTYPE_BF16, 0x1.ffp127)));
    cr_assert_eq(dtype_wrap_integer(DTYPE_I8, 200), -56);
    cr_assert_eq(dtype_wrap_integer(DTYPE_U8, -1), 255);
}

static double eval(const struct scalar *s, const double *arguments) {
    double v[3] = {0};
    if (s->op == SCALAR_CONSTANT) return s->value;
    if (s->op == SCALAR_ARGUMENT) return arguments[s->argument];
    for (int i = 0; i < scalar_arity(s->op); i++) v[i] = eval(s->operands[i], arguments);
    return scalar_eval_float(s->op, v[0], v[1], v[2]);
}

Test(scalar, bodies_compute_what_their_rows_say) {
    double x = 0.7, one[] = {x, 0, 0};
    new_graph();
    cr_assert_float_eq(eval(op_info(OP_silu)->body, one), x / (1 + exp(-x)), 1e-15);
    cr_assert_float_eq(eval(op_info(OP_softplus)->body, one), log(1 + exp(x)), 1e-15);
    cr_assert_float_eq(eval(op_info(OP_gelu_erf)->body, one), x / 2 * (1 + erf(x / sqrt(2))), 1e-15);
    double pi = acos(-1), inner = sqrt(2 / pi) * (x + 0.044715 * x * x * x);
    cr_assert_float_eq(eval(op_info(OP_gelu_tanh)->body, one), x / 2 * (1 + tanh(inner)), 1e-9);
    double three[] = {5, 0, 2};
    cr_assert_eq(eval(op_info(OP_clip)->body, three), 2);
    cr_assert_eq(eval(op_info(OP_gt)->body, three), 1);
    cr_assert_eq(scalar_eval_integer(SCALAR_rem, -7, 3, 0), 2);
    cr_assert_eq(scalar_eval_integer(SCALAR_rem, 7, -3, 0), -2);
    cr_assert_eq(scalar_eval_float(SCALAR_rem, -7.5, 2, 0), 0.5);
}

Test(op, signatures_become_operands_and_attributes) {
    new_graph();
    const struct op_info *sdpa = op_info(OP_sdpa);
    cr_assert_eq(sdpa->operands_count, 5);
    cr_assert_str_eq(sdpa->operands[3].name, "at");
    cr_assert(sdpa->operands[3].optional && sdpa->operands[3].by_name);
    cr_assert_eq(sdpa->attrs[op_attr(OP_sdpa, "causal")].kind, ATTR_FLAG);
    cr_assert_null(sdpa->attrs[op_attr(OP_sdpa, "scale")].fallback);
    const struct op_info *rope = op_info(OP_rope);
    cr_assert_str_eq(rope->attrs[op_attr(OP_rope, "style")].words[1], "interleaved");
    cr_assert_str_eq(rope->attrs[op_attr(OP_rope, "style")].fallback, "halves");
    cr_assert_str_eq(op_info(OP_add)->infix, "+");
    cr_assert_str_eq(op_info(OP_not)->infix, "not");
    cr_assert(op_info(OP_concat)->operands[0].variadic);
    cr_assert(op_info(OP_topk)->attrs[op_attr(OP_topk, "k")].required);
    cr_assert_eq(op_find("softmax"), OP_softmax);
    cr_assert_eq(op_find("kernel"), OP_COUNT);
}

Test(text, layouts_and_schedules_survive_printing) {
    struct graph *g = new_graph();
    const char *layout = "0/32 1/4 0:32 1:4", *error = NULL;
    cr_assert_str_eq(layout_text(g->arena, layout_parse(g->arena, layout)), layout);
    cr_assert_null(layout_parse(g->arena, "0/x"));
    cr_assert_null(layout_parse(g->arena, ""));
    const char *schedule = "contract, atom=dot_int8, tile=[6, 32], block=[96, 0, 256], unroll=4";
    cr_assert_str_eq(schedule_text(g->arena, schedule_parse(g->arena, schedule, &error)), schedule);
    cr_assert_null(schedule_parse(g->arena, "contract, atom=dot_int9", &error));
    cr_assert(strstr(error, "dot_int9"));
    cr_assert_null(schedule_parse(g->arena, "loops, tile=[1, ", &error));
}

Test(diag, nearest_of_long_names) {
    char word[201], near[201], far[201];
    const char *const both[] = {far, near};
    memset(word, 'a', 200), memset(near, 'a', 200), memset(far, 'b', 200);
    word[200] = near[200] = far[200] = 0;
    near[100] = 'c';
    cr_expect_eq(diag_nearest(word, both, 1), NULL);
    cr_expect_eq(diag_nearest(word, both, 2), near);
}
