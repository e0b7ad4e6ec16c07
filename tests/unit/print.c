/* Dumps: what is written for each construct, names, literals that parse back to the same bits. */
#include "ir/print.h"
#include "ir/literal.h"
#include "tests/unit/build.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static const char *dump(struct build *b) { return graph_text(b->arena, b->graph); }

static void expect(struct build *b, const char *wanted) {
    const char *text = dump(b);
    cr_expect_str_eq(text, wanted, "printed:\n%s\nwanted:\n%s", text, wanted);
    cr_expect_str_eq(dump(b), text, "printing changes nothing");
    arena_release(b->arena);
}

Test(print, statements_literals_and_params_in_place) {
    struct build *b = build_new();
    struct dim *s = graph_dim(b->graph, "S", 1, 8192, b->loc);
    (void)s;
    struct global *w = build_global(b, GLOBAL_PARAM, "wq", TYPE(b, F32, 4, 8), 0);
    w->counts_rank = 1, w->counts[0] = 3;
    w->init = (struct init){.kind = INIT_FILE, .file = "w \"1\".gguf", .tensor = "blk.{i}.q"};
    w->store = FORMAT_q4_1;
    struct value *x = build_argument(b, TYPE(b, F32, -1, 8), "x");
    struct value *read = build_read(b, w, 2);
    struct value *y = NODE(b, linear, TYPE(b, F32, -1, 4), x, read, NULL);
    y->name = "y";
    y->def->loc = (struct loc){diag_source(&b->diag, "a.mdl", NULL, 0), 3, 9};
    struct value *half = build_scalar(b, DTYPE_F32, 0.5);
    struct value *z = NODE(b, mul, TYPE(b, F32, -1, 4), y, half);
    struct value *soft = NODE(b, softmax, TYPE(b, F32, -1, 4), z);
    build_attr(soft, "axis")->i = 1; /* the default, as inference writes it */
    struct value *norm = NODE(b, rms_norm, TYPE(b, F32, -1, 4), soft);
    build_attr(norm, "eps")->f = 1e-6;
    RETURN(b, norm);
    expect(b, "model m\n"
              "dim S in 1..8192\n"
              "weights \"w \\\"1\\\".gguf\"\n"
              "param wq[3] : f32[4, 8] from \"blk.{i}.q\" store(q4_1)\n"
              "\n"
              "export fn f(x: f32[S, 8]) -> f32[S, 4] {\n"
              "    y : f32[S, 4] = linear(x, wq[2]) loc(\"a.mdl\":3:9)\n"
              "    v0 : f32[S, 4] = y * 0.5\n"
              "    v1 : f32[S, 4] = softmax(v0)\n"
              "    v2 : f32[S, 4] = rms_norm(v1, eps=1e-06)\n"
              "    return v2\n"
              "}\n");
}

Test(print, a_literal_stands_in_place_only_where_its_type_is_clear) {
    struct build *b = build_new();
    struct value *x = build_argument(b, TYPE(b, BF16, 3), "x");
    struct value *half = build_scalar(b, DTYPE_BF16, 0.5), *two = build_scalar(b, DTYPE_BF16, -2);
    struct value *sum = NODE(b, add, TYPE(b, BF16, 3), x, half);
    struct value *power = NODE(b, pow, TYPE(b, BF16, 3), two, sum);
    struct value *both = NODE(b, add, SCALAR_TYPE(b, BF16), half, two); /* else it would be folded */
    RETURN(b, power, both);
    expect(b, "model m\n"
              "\n"
              "export fn f(x: bf16[3]) -> bf16[3], bf16 {\n"
              "    v0 : bf16 = 0.5\n"
              "    v1 : bf16 = -2.0\n"
              "    v2 : bf16[3] = x + 0.5\n"
              "    v3 : bf16[3] = (-2.0) ** v2\n"
              "    v4 : bf16 = v0 + v1\n"
              "    return v3, v4\n"
              "}\n");
}

Test(print, attributes_in_the_order_of_the_signature) {
    struct build *b = build_new();
    struct value *x = build_argument(b, TYPE(b, F32, 2, 3), "x");
    struct value *c = NODE(b, cast, TYPE(b, BF16, 2, 3), x);
    build_attr(c, "to")->dtype = DTYPE_BF16;
    struct value *e = NODE(b, einsum, TYPE(b, F32, 2, 2), x, x);
    build_attr(e, "spec")->s = "ij,kj->ik";
    struct value *s = NODE(b, sum, SCALAR_TYPE(b, F32), x);
    build_ints(b, s, "axis", 2, (int64_t[]){0, 1});
    struct value *p = NODE(b, pad, TYPE(b, F32, 4, 3), x);
    build_ints(b, p, "pads", 2, (int64_t[]){1, 1, 0, 0});
    build_attr(p, "value")->f = -INFINITY;
    struct value *r = NODE(b, reshape, TYPE(b, F32, 6), x);
    build_extents(b, r, "shape", 1, (int64_t[]){6});
    struct value *t = NODE(b, topk, TYPE(b, F32, 2, 2), x);
    struct type indices = TYPE(b, I32, 2, 2);
    struct value *i = node_add_result(b->graph, t->def, &indices);
    build_attr(t, "k")->e = extent_const(b->graph->extents, 2);
    i->name = "best";
    struct value *any = NODE(b, max, TYPE(b, F32, 1, 3), x);
    build_ints(b, any, "axis", 1, (int64_t[]){0});
    build_attr(any, "keep")->i = 1;
    RETURN(b, c, e, s, p, r, t, i, any);
    expect(
        b,
        "model m\n"
        "\n"
        "export fn f(x: f32[2, 3]) -> bf16[2, 3], f32[2, 2], f32, f32[4, 3], f32[6], f32[2, 2], i32[2, 2], "
        "f32[1, 3] {\n"
        "    v0 : bf16[2, 3] = cast(x, bf16)\n"
        "    v1 : f32[2, 2] = einsum(\"ij,kj->ik\", x, x)\n"
        "    v2 : f32 = sum(x, axis=[0, 1])\n"
        "    v3 : f32[4, 3] = pad(x, [[1, 1], [0, 0]], value=-inf)\n"
        "    v4 : f32[6] = reshape(x, [6])\n"
        "    v5 : f32[2, 2], best : i32[2, 2] = topk(x, k=2)\n"
        "    v6 : f32[1, 3] = max(x, axis=0, keep)\n"
        "    return v0, v1, v2, v3, v4, v5, best, v6\n"
        "}\n");
}

Test(print, names_are_unique_and_mean_nothing_else) {
    struct build *b = build_new();
    graph_dim(b->graph, "T", 1, 4, b->loc);
    build_global(b, GLOBAL_PARAM, "w", TYPE(b, F32, 2), 1);
    struct value *x = build_argument(b, TYPE(b, F32, 2), "x");
    const char *wishes[] = {"x", "w", "T", "for", "causal", "3d", "a.b", "f", "x0", "_", "x"};
    const char *given[] = {"x0", "w0", "T0", "for0", "causal0", "v3d", "a_b", "f0", "x1", "_0", "x2"};
    int count = (int)(sizeof wishes / sizeof *wishes);
    for (int i = 0; i < count; i++) NODE(b, neg, TYPE(b, F32, 2), x)->name = wishes[i];
    int i = 0;
    for (struct node *n = b->block->first; n; n = n->next, i++) {
        const char *text = node_text(b->arena, b->graph, n);
        const char *wanted = arena_printf(b->arena, "%s : f32[2] = neg(x)", given[i]);
        cr_expect_str_eq(text, wanted, "%s instead of %s", text, wanted);
        n->results[0]->name = given[i];
    }
    cr_expect_eq(i, count);
    const char *first = dump(b);
    cr_expect_str_eq(dump(b), first);
    cr_expect(strstr(first, "v3d : f32[2] = neg(x)"), "names from a dump are kept");
    cr_expect(strstr(first, "x2 : f32[2] = neg(x)"), "names from a dump are kept");
    arena_release(b->arena);
}

/* kernel k0 (x, w) -> y { v = x + w; y = v * 2.0 } with an argument passed through */
Test(print, kernels) {
    struct build *b = build_new();
    struct global *w = build_global(b, GLOBAL_PARAM, "w", TYPE(b, F32, 2), 1);
    struct value *x = build_argument(b, TYPE(b, F32, 2), "x");
    struct value *read = build_read(b, w, 0);
    struct value *y = NODE(b, kernel, TYPE(b, F32, 2), x, read);
    struct type type = TYPE(b, F32, 2);
    struct value *same = node_add_result(b->graph, y->def, &type);
    same->name = "same";
    y->name = "y";
    y->place = (struct place){.space = SPACE_ARENA, .offset = 4096, .in_place = 1};
    y->def->schedule = arena_new_object(b->arena, struct schedule);
    struct block *body = y->def->body = block_new(b->graph, y->def), *outer = b->block;
    b->block = body;
    struct value *ax = build_argument(b, type, NULL), *aw = build_argument(b, type, NULL);
    struct value *sum = NODE(b, add, type, ax, aw);
    struct value *two = build_scalar(b, DTYPE_F32, 2);
    struct value *product = NODE(b, mul, type, sum, two);
    RETURN(b, product, ax);
    b->block = outer;
    RETURN(b, y, same);
    expect(b, "model m\n"
              "param w : f32[2] = ones\n"
              "\n"
              "export fn f(x: f32[2]) -> f32[2], f32[2] {\n"
              "    kernel k0 (x, w) -> y : f32[2] in arena(4096) over(0), same : f32[2] schedule(loops) {\n"
              "        v0 : f32[2] = x + w\n"
              "        y : f32[2] = v0 * 2.0\n"
              "        same : f32[2] = x\n"
              "    }\n"
              "    return y, same\n"
              "}\n");
}

/* a, b = b, a in a loop: the assignments happen at once. */
Test(print, scans_and_states) {
    struct build *b = build_new();
    struct global *state = build_global(b, GLOBAL_STATE, "cache", TYPE(b, F32, 2), 0.25);
    state->counts_rank = 2, state->counts[0] = 3, state->counts[1] = 4;
    struct type type = TYPE(b, F32, 2);
    struct value *x = build_argument(b, type, "x"), *z = build_argument(b, type, "z");
    struct value *p = NODE(b, scan, type, x, z);
    struct value *q = node_add_result(b->graph, p->def, &type);
    struct block *body = p->def->body = block_new(b->graph, p->def), *outer = b->block;
    p->name = "p", q->name = "q";
    p->def->count = extent_const(b->graph->extents, 5);
    b->block = body;
    build_argument(b, SCALAR_TYPE(b, I32), "t");
    struct value *cp = build_argument(b, type, NULL), *cq = build_argument(b, type, NULL);
    struct value *old = build_read(b, state, 6);
    old->name = "old";
    struct value *sum = NODE(b, add, type, old, x);
    build_write_state(b, state, 7, sum);
    RETURN(b, cq, cp);
    b->block = outer;
    struct node *guard = node_new(b->graph, OP_guard, 1, &p, b->loc);
    node_attr(guard, "lo")->set = node_attr(guard, "hi")->set = node_attr(guard, "what")->set = true;
    node_attr(guard, "lo")->e = extent_const(b->graph->extents, 0);
    node_attr(guard, "hi")->e = extent_const(b->graph->extents, 9);
    node_attr(guard, "what")->s = "an id";
    block_append(b->block, guard);
    RETURN(b, p, q);
    expect(b, "model m\n"
              "state cache[3][4] : f32[2] = 0.25\n"
              "\n"
              "export fn f(x: f32[2], z: f32[2]) -> f32[2], f32[2] {\n"
              "    p : f32[2] = x\n"
              "    q : f32[2] = z\n"
              "    for t scan 0..5 {\n"
              "        old : f32[2] = cache[1][2]\n"
              "        v0 : f32[2] = old + x\n"
              "        cache[1][3] = v0\n"
              "        kept : f32[2] = q\n"
              "        kept0 : f32[2] = p\n"
              "        p = kept\n"
              "        q = kept0\n"
              "    }\n"
              "    guard(p, 0, 9, \"an id\")\n"
              "    return p, q\n"
              "}\n");
}

Test(print, floats_come_back_to_the_same_bits) {
    struct arena *a = arena_new();
    const double values[] = {
        0,     -0.0,   1,    0.1,  1.0 / 3,   16777217, 1e300, 5e-324, 3.4028234663852886e38,
        1e-45, 100000, 1e15, 1e22, 123456789, 0x1p-149};
    const enum dtype types[] = {DTYPE_F64, DTYPE_F32, DTYPE_F16, DTYPE_BF16};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        for (size_t k = 0; k < 4; k++) {
            double value = dtype_round_float(types[k], values[i]);
            const char *text = float_text(a, types[k], value);
            double back = dtype_round_float(types[k], strtod(text, NULL));
            cr_expect(back == value && signbit(back) == signbit(value), "%s", text);
            cr_expect(isinf(value) || strpbrk(text, ".e"), "%s", text);
        }
    cr_expect_str_eq(float_text(a, DTYPE_F32, dtype_round_float(DTYPE_F32, 0.1)), "0.1");
    cr_expect_str_eq(float_text(a, DTYPE_F64, 1e-5), "1e-05");
    cr_expect_str_eq(float_text(a, DTYPE_F32, NAN), "nan");
    arena_release(a);
}

Test(print, elements_keep_their_bits) {
    for (int bits = 0; bits < 65536; bits++) {
        const enum dtype types[] = {DTYPE_F16, DTYPE_BF16, DTYPE_I16};
        uint16_t before = (uint16_t)bits, after = 0;
        for (int k = 0; k < 2; k++) {
            double value = element_float(types[k], &before, 0);
            if (isnan(value)) continue;
            element_set_float(types[k], &after, 0, value);
            cr_assert_eq(before, after, "%s %04x became %04x", dtype_name(types[k]), before, after);
        }
        element_set_integer(DTYPE_I16, &after, 0, element_integer(DTYPE_I16, &before, 0));
        cr_assert_eq(before, after);
    }
    float one_and_a_bit = 1.00048828125f; /* half way between two f16: to even */
    cr_expect_eq(dtype_round_float(DTYPE_F16, (double)one_and_a_bit), 1.0);
}

Test(print, tensors_of_every_shape) {
    struct arena *a = arena_new();
    const float data[] = {1, 2.5f, -3, INFINITY};
    const uint8_t logical[] = {1, 0};
    struct tensor t = {DTYPE_F32, 2, {2, 2}, data};
    cr_expect_str_eq(tensor_text(a, &t), "[[1.0, 2.5], [-3.0, inf]]");
    t.extents[1] = 0;
    cr_expect_str_eq(tensor_text(a, &t), "[[], []]");
    struct tensor flags = {DTYPE_BOOL, 1, {2}, logical};
    cr_expect_str_eq(tensor_text(a, &flags), "[true, false]");
    arena_release(a);
}
