/* The interpreter around the ops: dims, states, loops, kernels, params as they are stored, random numbers. */
#include "ir/interp.h"
#include "ir/init.h"
#include "ir/random.h"
#include "tests/unit/build.h"
#include <criterion/criterion.h>
#include <math.h>

static struct array *floats(struct build *b, int rank, const int64_t *extents, const double *values) {
    struct array *x = array_new(b->arena, DTYPE_F32, rank, extents);
    for (int64_t i = 0; i < x->elements; i++) x->floats[i] = values[i];
    return x;
}

static struct array *integer(struct build *b, int64_t value) {
    struct array *x = array_new(b->arena, DTYPE_I32, 0, NULL);
    x->integers[0] = value;
    return x;
}

#define VECTOR(b, ...)                                                                                       \
    floats((b), 1, (int64_t[]){(int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double))},                 \
           (double[]){__VA_ARGS__})

static void use_dims(struct build *b, int count) {
    const struct dim **dims = arena_new_array(b->arena, const struct dim *, (size_t)count);
    for (int i = 0; i < count; i++) dims[i] = b->graph->dims[i];
    b->function->dims = dims;
    b->function->dims_count = count;
}

/* f(x: f32[S], y: f32[2*S + 1]) */
Test(interp, dims_are_bound_and_checked) {
    struct build *b = build_new();
    struct extents *e = b->graph->extents;
    const struct extent *s = extent_dim(e, graph_dim(b->graph, "S", 1, 4, b->loc));
    use_dims(b, 1);
    struct type tx = {DTYPE_F32, 1, {s}};
    struct type ty = {DTYPE_F32, 1, {extent_add(e, extent_add(e, s, s), extent_const(e, 1))}};
    build_argument(b, ty, "y");
    struct value *x = build_argument(b, tx, "x");
    RETURN(b, build_inferred(b, OPEN(b, neg, x)));
    struct interp *p = interp_new(b->arena, b->graph, false);
    const double values[16] = {0};
    const struct {
        int64_t y, x;
        const char *error; /* NULL: fine */
    } cases[] = {{5, 2, NULL},       {9, 4, NULL},      {7, 2, "S = 3"},
                 {11, 5, "in 1..4"}, {1, 0, "in 1..4"}, {6, 3, "2*S + 1 = 5"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct array *inputs[] = {floats(b, 1, &cases[i].y, values), floats(b, 1, &cases[i].x, values)},
                     *result;
        const char *error = "";
        bool good = interp_call(p, b->function, inputs, &result, &error);
        cr_expect_eq(good, !cases[i].error, "case %d: %s", (int)i, error);
        cr_expect(good || strstr(error, cases[i].error), "case %d: %s", (int)i, error);
        cr_expect(!good || result->elements == cases[i].x);
    }
    struct array *wrong[] = {integer(b, 1), integer(b, 1)}, *result;
    const char *error = "";
    cr_expect_not(interp_call(p, b->function, wrong, &result, &error));
    cr_expect(strstr(error, "y is i32, but f32[2*S + 1] is wanted"), "%s", error);
}

/* a, b = b, a + x; a guard on `at` that may fail afterwards */
Test(interp, a_failed_call_changes_no_state) {
    struct build *b = build_new();
    struct type type = TYPE(b, F32, 2);
    struct global *first = build_global(b, GLOBAL_STATE, "first", type, 1);
    struct global *second = build_global(b, GLOBAL_STATE, "second", type, 2);
    struct value *x = build_argument(b, type, "x"), *at = build_argument(b, SCALAR_TYPE(b, I32), "at");
    struct value *old = build_read(b, first, 0), *other = build_read(b, second, 0);
    build_write_state(b, first, 0, other);
    build_write_state(b, second, 0, build_inferred(b, OPEN(b, add, old, x)));
    struct value *now = build_read(b, first, 0), *then = build_read(b, second, 0);
    struct node *guard = OPEN(b, guard, at);
    open_attr(guard, "lo")->e = extent_const(b->graph->extents, 0);
    open_attr(guard, "hi")->e = extent_const(b->graph->extents, 3);
    open_attr(guard, "what")->s = "the place";
    build_inferred(b, guard);
    RETURN(b, now, then);
    struct interp *p = interp_new(b->arena, b->graph, false);
    const struct {
        int64_t at;
        double first, second; /* after it */
    } calls[] = {{0, 2, 11}, {3, 0, 0}, {1, 11, 12}, {-1, 0, 0}, {2, 12, 21}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct array *inputs[] = {VECTOR(b, 10, 10), integer(b, calls[i].at)}, *results[2];
        const char *error = "";
        bool good = interp_call(p, b->function, inputs, results, &error);
        cr_assert_eq(good, calls[i].first != 0, "call %d", (int)i);
        if (!good) cr_expect(strstr(error, "the place is"), "%s", error);
        if (!good) continue;
        cr_expect_eq(results[0]->floats[1], calls[i].first, "call %d: %g", (int)i, results[0]->floats[1]);
        cr_expect_eq(results[1]->floats[1], calls[i].second, "call %d: %g", (int)i, results[1]->floats[1]);
    }
    interp_reset(p);
    struct array *inputs[] = {VECTOR(b, 10, 10), integer(b, 0)}, *results[2];
    const char *error = "";
    cr_assert(interp_call(p, b->function, inputs, results, &error));
    cr_expect_eq(results[0]->floats[0], 2);
    cr_expect_eq(results[1]->floats[0], 11);
}

/* for t scan 0..T: a, b = b, a + b; trace[t] = a */
Test(interp, scans_carry_all_at_once_and_write_states) {
    struct build *b = build_new();
    struct type type = SCALAR_TYPE(b, I32), column = TYPE(b, I32, 1);
    const struct extent *t = extent_dim(b->graph->extents, graph_dim(b->graph, "T", 0, 9, b->loc));
    use_dims(b, 1);
    struct type ticks = {DTYPE_F32, 1, {t}};
    struct global *trace = build_global(b, GLOBAL_STATE, "trace", TYPE(b, I32, 9), -1);
    build_argument(b, ticks, "ticks");
    struct value *zero = build_scalar(b, DTYPE_I32, 0), *one = build_scalar(b, DTYPE_I32, 1);
    struct node *scan = OPEN(b, scan, zero, one);
    struct block *body = scan->body = block_new(b->graph, scan), *outer = b->block;
    scan->count = t;
    b->block = body;
    struct value *step = build_argument(b, type, "t"), *a = build_argument(b, type, "a");
    struct value *c = build_argument(b, type, "c");
    struct node *flat = OPEN(b, reshape, a);
    open_extents(b, flat, "shape", 1, (int64_t[]){1});
    struct value *row = build_inferred(b, flat);
    cr_assert(type_equal(&row->type, &column));
    struct value *old = build_read(b, trace, 0);
    build_write_state(b, trace, 0, build_inferred(b, OPEN(b, write, old, row, step)));
    RETURN(b, c, build_inferred(b, OPEN(b, add, a, c)));
    b->block = outer;
    struct value *last = build_inferred(b, scan);
    RETURN(b, last, scan->results[1], build_read(b, trace, 0));
    struct interp *p = interp_new(b->arena, b->graph, false);
    const double values[9] = {0};
    const int fibonacci[] = {0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55};
    for (int64_t count = 0; count <= 9; count += 3) {
        struct array *inputs[] = {floats(b, 1, &count, values)}, *results[3];
        const char *error = "";
        cr_assert(interp_call(p, b->function, inputs, results, &error), "%s", error);
        cr_expect_eq(results[0]->integers[0], fibonacci[count]);
        cr_expect_eq(results[1]->integers[0], fibonacci[count + 1]);
        for (int i = 0; i < 9; i++)
            cr_expect_eq(results[2]->integers[i], i < count ? fibonacci[i] : -1, "%d of %d", i, (int)count);
    }
}

/* A failure inside a loop leaves the states of the steps before it behind, too. */
Test(interp, a_failed_step_undoes_all_steps) {
    struct build *b = build_new();
    struct global *sum = build_global(b, GLOBAL_STATE, "sum", SCALAR_TYPE(b, F32), 0);
    struct value *table = build_argument(b, TYPE(b, F32, 2), "table");
    struct node *scan = build_open(b, OP_scan, 0, NULL);
    struct block *body = scan->body = block_new(b->graph, scan), *outer = b->block;
    struct value *limit = build_argument(b, SCALAR_TYPE(b, I32), "limit");
    scan->count = extent_const(b->graph->extents, 3);
    b->block = body;
    struct value *t = build_argument(b, SCALAR_TYPE(b, I32), "t");
    struct value *id = build_inferred(b, OPEN(b, minimum, t, limit));
    struct value *x = build_inferred(b, OPEN(b, gather, table, id));
    build_write_state(b, sum, 0, build_inferred(b, OPEN(b, add, build_read(b, sum, 0), x)));
    b->block = outer;
    build_inferred(b, scan);
    RETURN(b, build_read(b, sum, 0));
    struct interp *p = interp_new(b->arena, b->graph, false);
    struct array *bad[] = {VECTOR(b, 1, 10), integer(b, 2)}, *good[] = {VECTOR(b, 1, 10), integer(b, 1)},
                 *result;
    const char *error = "";
    cr_expect_not(interp_call(p, b->function, bad, &result, &error));
    cr_expect(strstr(error, "gather: id 2 is outside 0..2"), "%s", error);
    cr_assert(interp_call(p, b->function, good, &result, &error), "%s", error);
    cr_expect_eq(result->floats[0], 21);
}

Test(interp, kernels_are_their_bodies) {
    struct build *b = build_new();
    struct type type = TYPE(b, F32, 2);
    struct value *x = build_argument(b, type, "x");
    struct node *kernel = OPEN(b, kernel, x, x);
    struct block *body = kernel->body = block_new(b->graph, kernel), *outer = b->block;
    b->block = body;
    struct value *left = build_argument(b, type, NULL), *right = build_argument(b, type, NULL);
    RETURN(b, build_inferred(b, OPEN(b, mul, left, right)), left);
    b->block = outer;
    RETURN(b, build_inferred(b, kernel), kernel->results[1]);
    struct interp *p = interp_new(b->arena, b->graph, false);
    struct array *inputs[] = {VECTOR(b, 3, -4)}, *results[2];
    const char *error = "";
    cr_assert(interp_call(p, b->function, inputs, results, &error), "%s", error);
    cr_expect(results[0]->floats[0] == 9 && results[0]->floats[1] == 16 && results[1]->floats[1] == -4);
}

/* Large enough to be decoded row by row: linear and gather read it, transpose reads it whole. */
Test(interp, stored_params_are_decoded_by_those_who_read_them) {
    enum { ROWS = 1100, COLUMNS = 64 };
    struct build *b = build_new();
    float *values = arena_new_array(b->arena, float, ROWS *COLUMNS);
    for (int i = 0; i < ROWS * COLUMNS; i++) values[i] = (float)sin(i * 0.7);
    int64_t bytes, bad;
    cr_assert(format_bytes(FORMAT_q8_0, ROWS * COLUMNS, &bytes));
    char *data = arena_new_array(b->arena, char, (size_t)bytes);
    cr_assert(format_encode(FORMAT_q8_0, values, ROWS * COLUMNS, data, &bad));
    double *plain = arena_new_array(b->arena, double, ROWS *COLUMNS);
    format_decode(FORMAT_q8_0, data, 0, ROWS * COLUMNS, plain);
    struct global *w = build_global(b, GLOBAL_PARAM, "w", TYPE(b, F32, ROWS, COLUMNS), 0);
    w->counts_rank = 1, w->counts[0] = 2;
    w->init = (struct init){.kind = INIT_FILE, .file = "w", .tensor = "w{i}"};
    cr_assert_null(interp_new(b->arena, b->graph, false), "not bound to a file yet");
    cr_expect_eq(b->diag.errors, 1);
    w->stored = arena_new_array(b->arena, struct stored, 2);
    w->stored[1] = (struct stored){FORMAT_q8_0, data, (size_t)bytes};
    struct value *x = build_argument(b, TYPE(b, F32, COLUMNS), "x"),
                 *i = build_argument(b, SCALAR_TYPE(b, I32), "i");
    struct node *read = build_open(b, OP_param, 1, &i);
    read->global = w;
    struct value *weights = build_inferred(b, read);
    struct node *turned = OPEN(b, transpose, weights);
    open_ints(b, turned, "perm", 2, (int64_t[]){1, 0});
    struct value *ids = build_constant(b, DTYPE_I32, 1, (int64_t[]){2}, (double[]){1099, 3});
    RETURN(b, build_inferred(b, OPEN(b, linear, x, weights)), build_inferred(b, turned),
           build_inferred(b, OPEN(b, gather, weights, ids)));
    struct interp *p = interp_new(b->arena, b->graph, true);
    double ones[COLUMNS];
    for (int k = 0; k < COLUMNS; k++) ones[k] = k % 3;
    struct array *inputs[] = {floats(b, 1, (int64_t[]){COLUMNS}, ones), integer(b, 1)}, *results[3];
    const char *error = "";
    cr_assert(interp_call(p, b->function, inputs, results, &error), "%s", error);
    for (int r = 0; r < ROWS; r++) {
        double sum = 0;
        for (int k = 0; k < COLUMNS; k++) sum += ones[k] * plain[r * COLUMNS + k];
        cr_assert_float_eq(results[0]->floats[r], sum, 1e-5);
        cr_assert_float_eq(results[1]->floats[5 * ROWS + r], plain[r * COLUMNS + 5], 1e-7);
    }
    cr_expect_float_eq(results[2]->floats[COLUMNS + 7], plain[3 * COLUMNS + 7], 1e-7);
    cr_expect_float_eq(results[2]->floats[7], plain[1099 * COLUMNS + 7], 1e-7);
    inputs[1] = integer(b, 2);
    cr_expect_not(interp_call(p, b->function, inputs, results, &error));
    cr_expect(strstr(error, "index 2 of w is outside 0..2"), "%s", error);
}

Test(random, is_philox) {
    /* The known answers that come with Random123, its authors' library. */
    const uint32_t answers[3][3][4] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
    for (int i = 0; i < 3; i++) {
        uint32_t words[4];
        struct random_key key = {{answers[i][1][0], answers[i][1][1]}};
        random_words(key, answers[i][0], words);
        for (int k = 0; k < 4; k++) cr_expect_eq(words[k], answers[i][2][k]);
    }
}

/* Moments of 40,000 numbers, within five standard errors. */
Test(random, has_its_moments) {
    enum { COUNT = 40000 };
    struct random_key key = random_key(7, "w");
    double sum = 0, squares = 0, cubes = 0, flat = 0, least = 1, most = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        double x = random_normal(key, 3, i, 2), u = random_uniform(key, 4, i, 0, 1);
        sum += x, squares += x * x, cubes += x * x * x, flat += u;
        least = fmin(least, u), most = fmax(most, u);
    }
    cr_expect_float_eq(sum / COUNT, 0, 5 * 2 / 200.0);
    cr_expect_float_eq(squares / COUNT, 4, 5 * 4 * sqrt(2) / 200);
    cr_expect_float_eq(cubes / COUNT, 0, 5 * 8 * sqrt(15) / 200);
    cr_expect_float_eq(flat / COUNT, 0.5, 5 * sqrt(1.0 / 12) / 200);
    cr_expect(least >= 0 && most < 1 && least < 0.001 && most > 0.999);
}

Test(random, initialisers_depend_on_seed_name_and_place_alone) {
    struct build *b = build_new();
    const char *names[] = {"u", "v"};
    struct global *globals[2];
    for (int i = 0; i < 2; i++) {
        globals[i] = build_global(b, GLOBAL_PARAM, names[i], TYPE(b, F32, 8), 0);
        globals[i]->counts_rank = 1, globals[i]->counts[0] = 2;
        globals[i]->init = (struct init){.kind = INIT_NORMAL, .a = 1};
    }
    double whole[8], other[8], part[3];
    init_floats(b->graph, globals[0], 1, 0, 8, whole);
    init_floats(b->graph, globals[0], 1, 5, 3, part);
    cr_expect(!memcmp(part, whole + 5, sizeof part));
    init_floats(b->graph, globals[0], 0, 0, 8, other);
    cr_expect(memcmp(other, whole, sizeof whole));
    init_floats(b->graph, globals[1], 1, 0, 8, other);
    cr_expect(memcmp(other, whole, sizeof whole));
    RETURN(b, build_read(b, globals[0], 1));
    struct interp *p = interp_new(b->arena, b->graph, false);
    struct array *result;
    const char *error = "";
    cr_assert(interp_call(p, b->function, NULL, &result, &error), "%s", error);
    cr_expect(!memcmp(result->floats, whole, sizeof whole));
    b->graph->seed = 1;
    init_floats(b->graph, globals[0], 1, 0, 8, other);
    cr_expect(memcmp(other, whole, sizeof whole));
}
