/* Each family of ops, interpreted, against what a formula written here gives; and the awkward cases. */
#include "ir/interp.h"
#include "tests/unit/build.h"
#include <criterion/criterion.h>
#include <math.h>

/* What the function that returns `results` gives; the first of them. */
static struct array **run_all(struct build *b, bool exact, int count, struct value *const *results) {
    struct array **arrays = arena_new_array(b->arena, struct array *, count);
    const char *error = "inference failed";
    for (int i = 0; i < count; i++) cr_assert(results[i], "inference refused");
    build_return(b, count, results);
    struct interp *p = interp_new(b->arena, b->graph, exact);
    cr_assert(p);
    cr_assert(interp_call(p, b->function, NULL, arrays, &error), "%s", error);
    return arrays;
}
static struct array *run(struct build *b, struct value *v) { return run_all(b, false, 1, &v)[0]; }

/* Why the call fails; dies if it does not. */
static const char *run_wrong(struct build *b, struct value *v) {
    struct array *result;
    const char *error = NULL;
    cr_assert(v, "inference refused");
    RETURN(b, v);
    struct interp *p = interp_new(b->arena, b->graph, false);
    cr_assert_not(interp_call(p, b->function, NULL, &result, &error));
    cr_assert(error);
    return error;
}

static void expect_floats(const struct array *x, int64_t count, const double *wanted) {
    cr_assert_eq(x->elements, count);
    for (int64_t i = 0; i < count; i++) {
        double have = x->floats ? x->floats[i] : (double)x->integers[i];
        bool same = have == wanted[i] || (isnan(have) && isnan(wanted[i])) ||
                    fabs(have - wanted[i]) <= 1e-6 * fmax(1, fabs(wanted[i]));
        cr_expect(same, "element %d is %.9g instead of %.9g", (int)i, have, wanted[i]);
    }
}
#define EXPECT(array, ...)                                                                                   \
    expect_floats((array), (int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)),                      \
                  (double[]){__VA_ARGS__})
#define SHAPE(...)                                                                                           \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }
#define VALUES(...)                                                                                          \
    (double[]) { __VA_ARGS__ }

/* Numbers in -1..1 that look like noise, and the constant made of them. */
static double noise(int64_t i) { return sin((double)i * 12.9898 + 1) * 0.999; }
static struct value *noisy(struct build *b, int rank, const int64_t *extents, int64_t salt) {
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= extents[i];
    double *values = arena_new_array(b->arena, double, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++) values[i] = noise(i + salt);
    return build_constant(b, DTYPE_F64, rank, extents, values);
}

Test(pointwise, integers_wrap_and_keep_the_divisors_sign) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_I32, SHAPE(6), VALUES(7, -7, 7, -7, 5, 2147483647));
    struct value *y = build_constant(b, DTYPE_I32, SHAPE(6), VALUES(3, 3, -3, -3, 0, 1));
    struct value *results[] = {build_inferred(b, OPEN(b, rem, x, y)), build_inferred(b, OPEN(b, add, x, y)),
                               build_inferred(b, OPEN(b, lt, x, y)), build_inferred(b, OPEN(b, sign, x))};
    struct array **r = run_all(b, false, 4, results);
    EXPECT(r[0], 1, 2, -2, -1, 0, 0);
    EXPECT(r[1], 10, -4, 4, -10, 5, -2147483648.0);
    EXPECT(r[2], 0, 1, 0, 1, 0, 0);
    EXPECT(r[3], 1, -1, 1, -1, 1, 1);
    cr_expect_eq(r[2]->dtype, DTYPE_BOOL);
}

Test(pointwise, floats_round_to_their_type_unless_exact) {
    for (int exact = 0; exact < 2; exact++) {
        struct build *b = build_new();
        struct value *x = build_constant(b, DTYPE_BF16, SHAPE(2), VALUES(1, -5.5));
        struct value *y = build_constant(b, DTYPE_BF16, SHAPE(2), VALUES(0.0078125 / 2, 3));
        struct value *results[] = {build_inferred(b, OPEN(b, add, x, y)),
                                   build_inferred(b, OPEN(b, rem, x, y))};
        struct array **r = run_all(b, exact, 2, results);
        EXPECT(r[0], exact ? 1.00390625 : 1, -2.5); /* half way between two bf16, to even */
        EXPECT(r[1], exact ? 0 : 0, 0.5);
        arena_release(b->arena);
    }
}

Test(pointwise, broadcasts_from_the_right) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F32, SHAPE(2, 1), VALUES(10, 20));
    struct value *y = build_constant(b, DTYPE_F32, SHAPE(3), VALUES(1, 2, NAN));
    struct value *c = build_inferred(b, OPEN(b, eq, y, y));
    struct value *z = build_inferred(b, OPEN(b, where, c, build_inferred(b, OPEN(b, sub, x, y)), x));
    EXPECT(run(b, z), 9, 8, 10, 19, 18, 20);
}

Test(pointwise, bodies) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F64, SHAPE(5), VALUES(-40, -0.5, 0, 0.7, 750));
    struct value *results[] = {build_inferred(b, OPEN(b, silu, x)), build_inferred(b, OPEN(b, softplus, x)),
                               build_inferred(b, OPEN(b, gelu_erf, x)), build_inferred(b, OPEN(b, round, x)),
                               build_inferred(b, OPEN(b, sigmoid, x))};
    struct array **r = run_all(b, false, 5, results);
    EXPECT(r[0], -40 / (1 + exp(40)), -0.5 / (1 + exp(0.5)), 0, 0.7 / (1 + exp(-0.7)), 750);
    EXPECT(r[1], log1p(exp(-40)), log(1 + exp(-0.5)), log(2), log(1 + exp(0.7)), 750);
    EXPECT(r[2], 0, -0.25 * erfc(0.5 / sqrt(2)), 0, 0.35 * (2 - erfc(0.7 / sqrt(2))), 750);
    EXPECT(r[3], -40, 0, 0, 1, 750);
    EXPECT(r[4], 0, 1 / (1 + exp(0.5)), 0.5, 1 / (1 + exp(-0.7)), 1);
}

Test(cast, saturates_truncates_and_wraps) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F64, SHAPE(6), VALUES(-1.9, 1e20, -1e20, NAN, 254.7, -0.3));
    const enum dtype types[] = {DTYPE_I32, DTYPE_U8, DTYPE_I64, DTYPE_BOOL, DTYPE_BF16};
    struct value *results[6];
    for (int i = 0; i < 5; i++) {
        struct node *n = OPEN(b, cast, x);
        open_attr(n, "to")->dtype = types[i];
        results[i] = build_inferred(b, n);
    }
    struct node *again = OPEN(b, cast, results[0]);
    open_attr(again, "to")->dtype = DTYPE_I8;
    results[5] = build_inferred(b, again);
    struct array **r = run_all(b, false, 6, results);
    EXPECT(r[0], -1, 2147483647, -2147483648.0, 0, 254, 0);
    EXPECT(r[1], 0, 255, 0, 0, 254, 0);
    cr_expect_eq(r[2]->integers[1], INT64_MAX);
    cr_expect_eq(r[2]->integers[2], INT64_MIN);
    EXPECT(r[3], 1, 1, 1, 1, 1, 1);
    cr_expect_eq(r[4]->floats[4], 255);
    EXPECT(r[5], -1, -1, 0, 0, -2, 0);
}

static struct value *reduce(struct build *b, enum op op, struct value *x, int count, const int64_t *axes,
                            bool keep) {
    struct node *n = build_open(b, op, 1, &x);
    open_ints(b, n, "axis", count, axes);
    if (keep) open_attr(n, "keep")->i = 1;
    return build_inferred(b, n);
}

Test(reduce, awkward_rows) {
    struct build *b = build_new();
    struct value *x = build_constant(
        b, DTYPE_F32, SHAPE(3, 3), VALUES(1000, 1000, -INFINITY, -INFINITY, -INFINITY, -INFINITY, 1, NAN, 2));
    struct value *results[] = {
        reduce(b, OP_logsumexp, x, 1, (int64_t[]){-1}, false), reduce(b, OP_max, x, 1, (int64_t[]){1}, false),
        build_inferred(b, OPEN(b, softmax, x)), build_inferred(b, OPEN(b, log_softmax, x))};
    struct array **r = run_all(b, false, 4, results);
    EXPECT(r[0], 1000 + log(2), -INFINITY, NAN);
    EXPECT(r[1], 1000, -INFINITY, NAN);
    EXPECT(r[2], 0.5, 0.5, 0, NAN, NAN, NAN, NAN, NAN, NAN);
    EXPECT(r[3], -log(2), -log(2), -INFINITY, NAN, NAN, NAN, NAN, NAN, NAN);
}

Test(reduce, any_axes) {
    struct build *b = build_new();
    double values[24], kept[3] = {0}, var = 0, mean = 0;
    for (int i = 0; i < 24; i++) {
        values[i] = noise(i);
        kept[i / 4 % 3] += values[i];
        mean += values[i] / 24;
    }
    for (int i = 0; i < 24; i++) var += (values[i] - mean) * (values[i] - mean) / 24;
    struct value *x = build_constant(b, DTYPE_F64, SHAPE(2, 3, 4), values);
    struct value *results[] = {reduce(b, OP_sum, x, 2, (int64_t[]){0, 2}, true),
                               reduce(b, OP_var, x, -1, NULL, false), reduce(b, OP_mean, x, -1, NULL, true)};
    struct array **r = run_all(b, false, 3, results);
    EXPECT(r[0], kept[0], kept[1], kept[2]);
    cr_expect_eq(r[0]->rank, 3);
    EXPECT(r[1], var);
    EXPECT(r[2], mean);
}

Test(reduce, of_nothing) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F32, SHAPE(2, 0), NULL);
    struct value *i = build_constant(b, DTYPE_I8, SHAPE(0), NULL);
    struct value *results[] = {
        reduce(b, OP_sum, x, 1, (int64_t[]){1}, false),  reduce(b, OP_prod, x, 1, (int64_t[]){1}, false),
        reduce(b, OP_mean, x, 1, (int64_t[]){1}, false), reduce(b, OP_logsumexp, x, 1, (int64_t[]){1}, false),
        reduce(b, OP_sum, x, 1, (int64_t[]){0}, false),  reduce(b, OP_sum, i, 1, (int64_t[]){0}, false)};
    struct array **r = run_all(b, false, 6, results);
    EXPECT(r[0], 0, 0);
    EXPECT(r[1], 1, 1);
    EXPECT(r[2], NAN, NAN);
    EXPECT(r[3], -INFINITY, -INFINITY);
    cr_expect_eq(r[4]->elements, 0);
    EXPECT(r[5], 0);
}

Test(reduce, argmax_takes_the_first_of_equals) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F32, SHAPE(2, 4), VALUES(1, 3, 3, 0, -1, -5, -5, -1));
    struct node *columns = OPEN(b, argmax, x);
    open_attr(columns, "axis")->i = 0;
    struct value *results[] = {build_inferred(b, OPEN(b, argmax, x)), build_inferred(b, OPEN(b, argmin, x)),
                               build_inferred(b, columns)};
    struct array **r = run_all(b, false, 3, results);
    EXPECT(r[0], 1, 0);
    EXPECT(r[1], 3, 1);
    EXPECT(r[2], 0, 0, 0, 0);
}

Test(reduce, running_sums_and_norms) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F64, SHAPE(2, 3), VALUES(1, 2, 3, 4, 5, 9));
    struct node *down = OPEN(b, cumsum, x);
    open_attr(down, "axis")->i = 0;
    struct value *results[] = {build_inferred(b, OPEN(b, cumsum, x)), build_inferred(b, down),
                               build_inferred(b, OPEN(b, rms_norm, x)),
                               build_inferred(b, OPEN(b, layer_norm, x))};
    struct array **r = run_all(b, false, 4, results);
    EXPECT(r[0], 1, 3, 6, 4, 9, 18);
    EXPECT(r[1], 1, 2, 3, 5, 7, 12);
    double rms = sqrt(14.0 / 3 + 1e-5), other = sqrt(122.0 / 3 + 1e-5);
    EXPECT(r[2], 1 / rms, 2 / rms, 3 / rms, 4 / other, 5 / other, 9 / other);
    double root = sqrt(2.0 / 3 + 1e-5), far = sqrt(14.0 / 3 + 1e-5);
    EXPECT(r[3], -1 / root, 0, 1 / root, -2 / far, -1 / far, 3 / far);
}

Test(reduce, cross_entropy) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F64, SHAPE(2, 3), VALUES(1, 2, 3, 800, 0, 0));
    struct value *ids = build_constant(b, DTYPE_I32, SHAPE(2), VALUES(0, 1));
    double first = log(exp(1) + exp(2) + exp(3)) - 1;
    EXPECT(run(b, build_inferred(b, OPEN(b, cross_entropy, x, ids))), (first + 800) / 2);
    struct value *wrong = build_constant(b, DTYPE_I32, SHAPE(2), VALUES(0, 3));
    cr_expect(strstr(run_wrong(b, build_inferred(b, OPEN(b, cross_entropy, x, wrong))), "target 3"));
}

Test(contract, linear_matmul_and_einsum_agree) {
    enum { B = 2, S = 3, K = 7, N = 5 };
    struct build *b = build_new();
    struct value *x = noisy(b, SHAPE(B, S, K), 0), *w = noisy(b, SHAPE(N, K), 500),
                 *c = noisy(b, SHAPE(N), 900);
    double wanted[B * S * N];
    for (int r = 0; r < B * S; r++)
        for (int n = 0; n < N; n++) {
            wanted[r * N + n] = noise(900 + n);
            for (int k = 0; k < K; k++) wanted[r * N + n] += noise(r * K + k) * noise(500 + n * K + k);
        }
    struct node *turned = OPEN(b, transpose, w);
    open_ints(b, turned, "perm", 2, (int64_t[]){1, 0});
    struct value *product = build_inferred(b, OPEN(b, matmul, x, build_inferred(b, turned)));
    struct node *sum = OPEN(b, einsum, w, x);
    open_attr(sum, "spec")->s = "nk,bsk->bsn";
    struct value *letters = build_inferred(b, sum);
    struct value *results[] = {build_inferred(b, OPEN(b, linear, x, w, c)),
                               build_inferred(b, OPEN(b, add, product, c)),
                               build_inferred(b, OPEN(b, add, letters, c))};
    struct array **r = run_all(b, false, 3, results);
    for (int i = 0; i < 3; i++) expect_floats(r[i], B * S * N, wanted);
}

Test(contract, matmul_has_numpys_rules) {
    struct build *b = build_new();
    struct value *m = build_constant(b, DTYPE_I32, SHAPE(2, 2), VALUES(1, 2, 3, 4));
    struct value *v = build_constant(b, DTYPE_I32, SHAPE(2), VALUES(10, 1));
    struct value *batch = build_constant(b, DTYPE_I32, SHAPE(2, 1, 1, 2), VALUES(1, 0, 0, 1));
    struct value *results[] = {
        build_inferred(b, OPEN(b, matmul, m, v)), build_inferred(b, OPEN(b, matmul, v, m)),
        build_inferred(b, OPEN(b, matmul, v, v)), build_inferred(b, OPEN(b, matmul, batch, m))};
    struct array **r = run_all(b, false, 4, results);
    EXPECT(r[0], 12, 34);
    EXPECT(r[1], 13, 24);
    EXPECT(r[2], 101);
    EXPECT(r[3], 1, 2, 3, 4);
    cr_expect_eq(r[3]->rank, 4);
}

Test(contract, einsum_takes_diagonals_and_sums) {
    struct build *b = build_new();
    struct value *m = build_constant(b, DTYPE_F32, SHAPE(2, 2), VALUES(1, 2, 3, 4));
    struct value *v = build_constant(b, DTYPE_F32, SHAPE(2), VALUES(10, 100));
    const char *specs[] = {"ii->i", "ii->", "ij->ji", "ij,j,i->i"};
    struct value *results[4];
    for (int i = 0; i < 4; i++) {
        struct node *n = i == 3 ? OPEN(b, einsum, m, v, v) : OPEN(b, einsum, m);
        open_attr(n, "spec")->s = specs[i];
        results[i] = build_inferred(b, n);
    }
    struct array **r = run_all(b, false, 4, results);
    EXPECT(r[0], 1, 4);
    EXPECT(r[1], 5);
    EXPECT(r[2], 1, 3, 2, 4);
    EXPECT(r[3], 10 * (10 + 200), 100 * (30 + 400));
}

Test(contract, compute_rounds_factors_first) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F32, SHAPE(1, 2), VALUES(1.00390625, 1));
    struct value *w = build_constant(b, DTYPE_F32, SHAPE(1, 2), VALUES(1, 1.01171875));
    struct node *n = OPEN(b, linear, x, w);
    open_attr(n, "compute")->dtype = DTYPE_BF16;
    EXPECT(run(b, build_inferred(b, n)), 1 + 1.015625); /* halves go to even: down, then up */
}

Test(contract, quantised_in_blocks) {
    enum { K = 64 };
    struct build *b = build_new();
    double values[2 * K], codes_back[2 * K];
    for (int i = 0; i < 2 * K; i++) values[i] = i < 32 ? 0 : (double)(float)noise(i);
    struct value *x = build_constant(b, DTYPE_F32, SHAPE(2, K), values);
    struct node *n = OPEN(b, quantize, x);
    struct value *codes = build_inferred(b, n), *w = noisy(b, SHAPE(3, K), 77);
    struct node *narrow = OPEN(b, cast, w);
    open_attr(narrow, "to")->dtype = DTYPE_F32;
    w = build_inferred(b, narrow);
    struct value *y = build_inferred(b, OPEN(b, qlinear, codes, n->results[1], n->results[2], w));
    struct value *results[] = {codes, n->results[1], n->results[2], y};
    struct array **r = run_all(b, false, 4, results);
    for (int i = 0; i < 2 * K; i++) {
        double scale = r[1]->floats[i / 32];
        codes_back[i] = (double)r[0]->integers[i] * scale;
        cr_expect(fabs(codes_back[i] - values[i]) <= scale / 2 * (1 + 1e-6), "element %d", i);
        cr_expect(llabs(r[0]->integers[i]) <= 127);
    }
    cr_expect_eq(r[1]->floats[0], 0, "a block of zeros");
    for (int i = 0; i < 4; i++) {
        int64_t sum = 0;
        for (int j = 0; j < 32; j++) sum += r[0]->integers[i * 32 + j];
        cr_expect_eq(r[2]->integers[i], sum);
    }
    for (int i = 0; i < 6; i++) {
        double wanted = 0;
        for (int k = 0; k < K; k++)
            wanted += codes_back[i / 3 * K + k] * (double)(float)noise(77 + i % 3 * K + k);
        cr_expect_float_eq(r[3]->floats[i], wanted, 1e-6);
    }
}

Test(shape, moves) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_I32, SHAPE(2, 3), VALUES(0, 1, 2, 3, 4, 5));
    struct node *turned = OPEN(b, transpose, x), *cut = OPEN(b, slice, x), *wide = OPEN(b, pad, x);
    struct node *back = OPEN(b, flip, x), *joined = OPEN(b, concat, x, x, x), *flat = OPEN(b, reshape, x);
    struct node *spread = OPEN(b, broadcast, build_constant(b, DTYPE_I32, SHAPE(2, 1), VALUES(7, 8)));
    open_ints(b, turned, "perm", 2, (int64_t[]){1, 0});
    open_extents(b, cut, "start", 2, (int64_t[]){0, 2});
    open_extents(b, cut, "extent", 2, (int64_t[]){2, 2});
    open_ints(b, cut, "step", 2, (int64_t[]){1, -2});
    open_ints(b, wide, "pads", 2, (int64_t[]){0, 1, 2, 0});
    open_attr(wide, "value")->f = 9;
    open_ints(b, back, "axis", -1, NULL);
    open_attr(joined, "axis")->i = 1;
    open_extents(b, flat, "shape", 1, (int64_t[]){6});
    open_extents(b, spread, "shape", 3, (int64_t[]){2, 2, 2});
    struct node *nodes[] = {turned, cut, wide, back, joined, flat, spread};
    struct value *results[7];
    for (int i = 0; i < 7; i++) results[i] = build_inferred(b, nodes[i]);
    struct array **r = run_all(b, false, 7, results);
    EXPECT(r[0], 0, 3, 1, 4, 2, 5);
    EXPECT(r[1], 2, 0, 5, 3);
    EXPECT(r[2], 9, 9, 0, 1, 2, 9, 9, 3, 4, 5, 9, 9, 9, 9, 9);
    EXPECT(r[3], 5, 4, 3, 2, 1, 0);
    EXPECT(r[4], 0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5, 3, 4, 5);
    EXPECT(r[5], 0, 1, 2, 3, 4, 5);
    EXPECT(r[6], 7, 7, 8, 8, 7, 7, 8, 8);
}

Test(indices, gather_and_take_along) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F32, SHAPE(2, 3), VALUES(0, 1, 2, 3, 4, 5));
    struct value *ids = build_constant(b, DTYPE_I32, SHAPE(2, 2), VALUES(2, 0, 1, 1));
    struct node *columns = OPEN(b, gather, x, ids);
    open_attr(columns, "axis")->i = -1;
    struct value *results[] = {build_inferred(b, columns), build_inferred(b, OPEN(b, take_along, x, ids)),
                               build_inferred(b, OPEN(b, gather, x, build_scalar(b, DTYPE_I32, 1)))};
    struct array **r = run_all(b, false, 3, results);
    EXPECT(r[0], 2, 0, 1, 1, 5, 3, 4, 4);
    EXPECT(r[1], 2, 0, 4, 4);
    EXPECT(r[2], 3, 4, 5);
    const double outside[] = {2, -1};
    for (int i = 0; i < 2; i++) {
        struct value *id = build_scalar(b, DTYPE_I32, outside[i]);
        const char *error = run_wrong(b, build_inferred(b, OPEN(b, gather, x, id)));
        cr_expect(strstr(error, "outside 0..2"), "%s", error);
    }
}

Test(indices, scatter_meets_equal_ids) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F32, SHAPE(3, 2), VALUES(0, 0, 1, 1, 2, 2));
    struct value *ids = build_constant(b, DTYPE_I64, SHAPE(3), VALUES(2, 0, 2));
    struct value *updates = build_constant(b, DTYPE_F32, SHAPE(3, 2), VALUES(10, 20, 30, 40, 50, 60));
    struct node *add = OPEN(b, scatter, x, ids, updates);
    open_attr(add, "reduce")->s = "add";
    struct value *results[] = {build_inferred(b, OPEN(b, scatter, x, ids, updates)), build_inferred(b, add)};
    struct array **r = run_all(b, false, 2, results);
    EXPECT(r[0], 30, 40, 1, 1, 50, 60);
    EXPECT(r[1], 30, 40, 1, 1, 62, 82);
}

Test(indices, sorting_is_stable_and_puts_nan_last) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F32, SHAPE(6), VALUES(3, 1, NAN, 3, -INFINITY, 1));
    struct node *best =
        OPEN(b, topk, build_constant(b, DTYPE_I32, SHAPE(2, 4), VALUES(5, 7, 7, 5, 0, 0, 0, 0)));
    open_attr(best, "k")->e = extent_const(b->graph->extents, 3);
    struct value *values = build_inferred(b, best);
    struct value *results[] = {build_inferred(b, OPEN(b, sort, x)), build_inferred(b, OPEN(b, argsort, x)),
                               values, best->results[1]};
    struct array **r = run_all(b, false, 4, results);
    EXPECT(r[0], -INFINITY, 1, 1, 3, 3, NAN);
    EXPECT(r[1], 4, 1, 5, 0, 3, 2);
    EXPECT(r[2], 7, 7, 5, 0, 0, 0);
    EXPECT(r[3], 1, 2, 0, 0, 1, 2);
}

Test(indices, write_casts_and_checks) {
    struct build *b = build_new();
    struct value *buffer = build_constant(b, DTYPE_BF16, SHAPE(4, 1), VALUES(1, 2, 3, 4));
    struct value *x = build_constant(b, DTYPE_F32, SHAPE(2, 1), VALUES(1.001, 9));
    struct value *at = build_scalar(b, DTYPE_I32, 2);
    EXPECT(run(b, build_inferred(b, OPEN(b, write, buffer, x, at))), 1, 2, 1, 9);
    const double outside[] = {3, -1, 2147483647};
    for (int i = 0; i < 3; i++) {
        struct value *wrong = build_scalar(b, DTYPE_I32, outside[i]);
        cr_expect(strstr(run_wrong(b, build_inferred(b, OPEN(b, write, buffer, x, wrong))), "inside 0..4"));
    }
}

static struct value *write_rows(struct build *b, struct value *at, double first, double second) {
    struct value *buffer = build_constant(b, DTYPE_I32, SHAPE(3, 3), VALUES(0, 1, 2, 3, 4, 5, 6, 7, 8));
    struct value *x = build_constant(b, DTYPE_I32, SHAPE(2, 2), VALUES(10, 11, 20, 21));
    struct value *rows = build_constant(b, DTYPE_I32, SHAPE(2), VALUES(first, second));
    struct node *n = OPEN(b, write, buffer, x, at, rows);
    open_attr(n, "axis")->i = 1;
    return build_inferred(b, n);
}

Test(indices, write_gives_each_batch_row_its_own_place) {
    struct build *b = build_new();
    struct value *each = build_constant(b, DTYPE_I32, SHAPE(2), VALUES(1, 0));
    EXPECT(run(b, write_rows(b, each, 2, 0)), 20, 21, 2, 3, 4, 5, 6, 10, 11);
    EXPECT(run(b, write_rows(b, build_scalar(b, DTYPE_I32, 1), 2, 0)), 0, 20, 21, 3, 4, 5, 6, 10, 11);
}

Test(indices, write_to_rows_is_checked) {
    static const struct {
        double position, first, second;
        const char *what;
    } cases[] = {{0, 1, 1, "two batch rows go to row 1"},
                 {0, 0, 3, "id 3 is outside 0..3"},
                 {2, 0, 1, "2 positions from 2 on are not inside 0..3"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct build *b = build_new();
        struct value *at = build_constant(b, DTYPE_I32, SHAPE(2), VALUES(0, cases[i].position));
        cr_expect(strstr(run_wrong(b, write_rows(b, at, cases[i].first, cases[i].second)), cases[i].what));
    }
}

Test(indices, one_hot_and_iota) {
    struct build *b = build_new();
    struct node *hot = OPEN(b, one_hot, build_constant(b, DTYPE_I32, SHAPE(3), VALUES(1, -1, 2)));
    struct node *count = build_open(b, OP_iota, 0, NULL);
    open_attr(hot, "n")->e = extent_const(b->graph->extents, 3);
    open_attr(count, "n")->e = extent_const(b->graph->extents, 4);
    struct value *results[] = {build_inferred(b, hot), build_inferred(b, count)};
    struct array **r = run_all(b, false, 2, results);
    EXPECT(r[0], 0, 1, 0, 0, 0, 0, 0, 0, 1);
    EXPECT(r[1], 0, 1, 2, 3);
}

/* Pair j of position p, turned by p * 100^(-2j/4). */
Test(attention, rope_turns_pairs) {
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        struct build *b = build_new();
        struct value *x = noisy(b, SHAPE(2, 3, 1, 4), 3),
                     *at = build_constant(b, DTYPE_I32, SHAPE(2), VALUES(5, 0));
        struct node *n = OPEN(b, rope, x, at);
        open_attr(n, "base")->f = 100;
        open_attr(n, "style")->s = interleaved ? "interleaved" : "halves";
        double wanted[24];
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 2; j++) {
                double angle = ((i < 3 ? 5 : 0) + i % 3) * (j ? 0.1 : 1);
                int first = i * 4 + (interleaved ? 2 * j : j), second = first + (interleaved ? 1 : 2);
                double a = noise(3 + first), c = noise(3 + second);
                wanted[first] = a * cos(angle) - c * sin(angle);
                wanted[second] = a * sin(angle) + c * cos(angle);
            }
        expect_floats(run(b, build_inferred(b, n)), 24, wanted);
        arena_release(b->arena);
    }
}

/* 4 query heads share 2 key heads; queries stand at 2, 3 among 6 keys; a float mask for each head. */
Test(attention, grouped_causal_masked) {
    enum { S = 2, H = 4, D = 3, T = 6, KV = 2, AT = 2 };
    struct build *b = build_new();
    struct value *q = noisy(b, SHAPE(S, H, D), 0), *k = noisy(b, SHAPE(T, KV, D), 100);
    struct value *v = noisy(b, SHAPE(T, KV, D), 200), *mask = noisy(b, SHAPE(H, 1, T), 300);
    struct node *n = OPEN(b, sdpa, q, k, v, build_scalar(b, DTYPE_I32, AT), mask);
    open_attr(n, "causal")->i = 1;
    double wanted[S * H * D] = {0};
    for (int s = 0; s < S; s++)
        for (int h = 0; h < H; h++) {
            double weights[T], sum = 0;
            for (int t = 0; t < T; t++) {
                double score = noise(300 + h * T + t);
                for (int d = 0; d < D; d++)
                    score += noise((s * H + h) * D + d) * noise(100 + (t * KV + h / 2) * D + d) / sqrt(D);
                sum += weights[t] = t <= AT + s ? exp(score) : 0;
            }
            for (int t = 0; t < T; t++)
                for (int d = 0; d < D; d++)
                    wanted[(s * H + h) * D + d] += weights[t] / sum * noise(200 + (t * KV + h / 2) * D + d);
        }
    expect_floats(run(b, build_inferred(b, n)), S * H * D, wanted);
}

Test(attention, bool_masks_keep_where_true) {
    struct build *b = build_new();
    struct value *q = noisy(b, SHAPE(1, 1, 1, 2), 0),
                 *v = build_constant(b, DTYPE_F64, SHAPE(1, 3, 1, 2), VALUES(1, 2, 30, 40, 500, 600));
    struct value *mask = build_constant(b, DTYPE_BOOL, SHAPE(3), VALUES(0, 1, 0));
    EXPECT(run(b, build_inferred(b, OPEN(b, sdpa, q, v, v, NULL, mask))), 30, 40);
}

static double inner(const struct array *a, int64_t salt) {
    double sum = 0;
    for (int64_t i = 0; i < a->elements; i++) sum += a->floats[i] * noise(i + salt);
    return sum;
}

/* conv_transpose is the transpose of conv: <conv(x), y> = <x, conv_transpose(y)>, and conv is what its sum
 * says. */
Test(spatial, conv_and_its_transpose) {
    struct build *b = build_new();
    struct value *x = noisy(b, SHAPE(2, 4, 7, 6), 0), *w = noisy(b, SHAPE(6, 2, 3, 2), 1000);
    struct value *y = noisy(b, SHAPE(2, 6, 4, 3), 2000);
    struct node *forward = OPEN(b, conv, x, w), *back = OPEN(b, conv_transpose, y, w);
    struct node *nodes[] = {forward, back};
    for (int i = 0; i < 2; i++) {
        open_attr(nodes[i], "groups")->i = 2;
        open_ints(b, nodes[i], "stride", 2, (int64_t[]){2, 2});
        open_ints(b, nodes[i], "pad", 2, (int64_t[]){1, 1, 0, 1});
    }
    open_ints(b, back, "output_pad", 2, (int64_t[]){0, 1});
    struct value *results[] = {build_inferred(b, forward), build_inferred(b, back)};
    struct array **r = run_all(b, false, 2, results);
    cr_assert_eq(r[0]->elements, 2 * 6 * 4 * 3);
    cr_assert_eq(r[1]->elements, 2 * 4 * 7 * 6);
    cr_expect_float_eq(inner(r[0], 2000), inner(r[1], 0), 1e-9);
    double wanted = 0; /* image 1, output 4 (group 1), row 1, column 2 */
    for (int c = 0; c < 2; c++)
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 2; j++) {
                int row = 1 * 2 - 1 + i, column = 2 * 2 + j;
                if (column < 6)
                    wanted += noise(((4 + 2 + c) * 7 + row) * 6 + column) *
                              noise(1000 + ((4 * 2 + c) * 3 + i) * 2 + j);
            }
    cr_expect_float_eq(r[0]->floats[((6 + 4) * 4 + 1) * 3 + 2], wanted, 1e-12);
}

Test(spatial, one_axis_dilated) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F32, SHAPE(1, 1, 6), VALUES(1, 2, 3, 4, 5, 6));
    struct value *w = build_constant(b, DTYPE_F32, SHAPE(1, 1, 2), VALUES(1, 10));
    struct node *n = OPEN(b, conv, x, w);
    open_ints(b, n, "dilation", 1, (int64_t[]){3});
    EXPECT(run(b, build_inferred(b, n)), 41, 52, 63);
}

Test(spatial, pools_do_not_count_padding) {
    struct build *b = build_new();
    struct value *x = build_constant(b, DTYPE_F32, SHAPE(1, 1, 4), VALUES(-1, -2, -3, 8));
    struct value *i = build_constant(b, DTYPE_I32, SHAPE(1, 1, 4), VALUES(-1, -2, -3, 8));
    struct node *nodes[] = {OPEN(b, max_pool, x), OPEN(b, avg_pool, x), OPEN(b, max_pool, i)};
    struct value *results[3];
    for (int k = 0; k < 3; k++) {
        open_ints(b, nodes[k], "size", 1, (int64_t[]){3});
        open_ints(b, nodes[k], "stride", 1, (int64_t[]){2});
        open_ints(b, nodes[k], "pad", 1, (int64_t[]){1, 1});
        results[k] = build_inferred(b, nodes[k]);
    }
    struct array **r = run_all(b, false, 3, results);
    EXPECT(r[0], -1, 8);
    EXPECT(r[1], -1.5, 1);
    EXPECT(r[2], -1, 8);
}
