/* Index maps: for every family and for random extents, the accesses stay inside (unless guarded) and cover
 * the results, each element by iterations that differ in reduction loops only; views and products mean what
 * they should. */
#include "ir/imap.h"
#include "cases.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *op, *operands, *attrs;
} cases[] = {
    {"add", "f32[S, 1]; f32[T]", ""},
    {"where", "bool[S, 1, T]; f32; f32[4, 1]", ""},
    {"cast", "f32[S, E]", "to=bf16"},
    {"sum", "f32[S, 3, T]", "axis=[0, 2]"},
    {"max", "f32[S, 3]", "axis=0 keep"},
    {"mean", "f32[S, 3]", "axis=all"},
    {"argmax", "f32[S, 3, T]", "axis=1"},
    {"cumsum", "f32[S, 3]", "axis=0"},
    {"linear", "f32[S, E]; f32[3, E]; f32[3]", ""},
    {"linear", "f32[2, S, 4]; f32[T, 4]", ""},
    {"matmul", "f32[S, 1, 3, 4]; f32[T, 4, 2]", ""},
    {"matmul", "f32[4]; f32[S, 4, 2]", ""},
    {"matmul", "f32[S, T]; f32[T]", ""},
    {"matmul", "f32[T]; f32[T]", ""},
    {"einsum", "f32[S, T, T]; f32[S, 3]", "spec=\"abb,ac->cb\""},
    {"quantize", "f32[S, 64]", ""},
    {"qlinear", "i8[S, 64]; f32[S, 2]; i32[S, 2]; f32[3, 64]", ""},
    {"reshape", "f32[S, 6, T]", "shape=[S, T, 6]"},
    {"reshape", "f32[S, 12, T]", "shape=[S, 3, 4, T]"},
    {"reshape", "f32[2, S, 12]", "shape=[2*S, 4, 3]"},
    {"reshape", "f32[4, 6]", "shape=[8, 3]"},
    {"reshape", "f32[4, 6]", "shape=[3, 8]"},
    {"reshape", "f32[S, 1, 3]", "shape=[1, S, 3, 1]"},
    {"reshape", "f32[0, 3]", "shape=[0, 7]"},
    {"reshape", "f32[1, 1]", "shape=[]"},
    {"transpose", "f32[S, 3, T]", "perm=[2, 0, 1]"},
    {"broadcast", "f32[3, 1]", "shape=[S, 3, T]"},
    {"slice", "f32[S + 3, 7]", "start=[2, 6] extent=[S, 4] step=[1, -2]"},
    {"slice", "f32[S]", "start=[0] extent=[(S + 1) // 2] step=[2]"},
    {"concat", "f32[S, 2]; f32[T, 2]; f32[E, 2]", "axis=0"},
    {"pad", "f32[S, 2]", "pads=[[0, 0], [2, 1]]"},
    {"flip", "f32[S, 2, T]", "axis=[0, 2]"},
    {"reshard", "f32[S, 2, T]", ""},
    {"gather", "f32[3, 5, T]; i32[S, 2]", "axis=1"},
    {"take_along", "f32[S, 5, T]; i32[S, 2, T]", "axis=1"},
    {"scatter", "f32[3, 5, T]; i32[S, 2]; f32[3, S, 2, T]", "axis=1"},
    {"one_hot", "i32[S, T]", "n=3"},
    {"iota", "", "n=S"},
    {"topk", "f32[S, 5]", "k=2"},
    {"topk", "f32[T, S]", "k=2 axis=0"},
    {"sort", "f32[S, 5]", "axis=0"},
    {"write", "f32[50, 3]; f32[S, 3]; i32", ""},
    {"write", "f32[S, 50, 3]; f32[S, T, 3]; i32[S]", "axis=1"},
    {"write", "f32[8, 50, 3]; f32[S, T, 3]; i32[S]; i32[S]", "axis=1"},
    {"softmax", "f32[S, 3]", "axis=0"},
    {"rms_norm", "f32[S, 3]", ""},
    {"cross_entropy", "f32[S, T, 3]; i32[S, T]", ""},
    {"rope", "f32[2, S, 3, 4]; i32[2]", ""},
    {"sdpa", "f32[S, 6, 4]; f32[T, 2, 4]; f32[T, 2, 3]; i32; bool[6, S, T]", "causal"},
    {"sdpa", "f32[2, S, 2, 4]; f32[2, T, 2, 4]; f32[2, T, 2, 4]; i32[2]; f32[2, 1, 1, T]", "causal"},
    {"sdpa", "f32[S, 2*T, 4]; f32[S, 2, 4]; f32[S, 2, 4]", ""},
    {"conv", "f32[2, 4, S, 9]; f32[6, 2, 1, 3]", "groups=2 stride=[1, 2] pad=[[0, 0], [1, 0]] dilation=2"},
    {"conv", "f32[1, T*2, 3]; f32[2, T, 3]", "groups=2 pad=1"},
    {"conv_transpose", "f32[2, 4, S]; f32[4, 3, 3]", "groups=2 stride=2 pad=1 output_pad=1"},
    {"conv_transpose", "f32[2, 4, 3, S]; f32[4, 2, 2, 3]", "pad=[[0, 1], [1, 1]]"},
    {"max_pool", "f32[S, 2, 8, 5]", "size=[3, 2] pad=1 stride=2"},
    {"normal", "", "shape=[S, 3]"},
    {"guard", "i32[S, 2]", "lo=0 hi=S what=\"id\""},
    {"all_reduce", "f32[S, 4]", "over=\"m.tensor\""},
    {"all_gather", "f32[S, T]", "over=\"m.data,m.tensor\""},
    {"reduce_scatter", "f32[3, S, T]", "over=\"m.tensor\""},
    {"all_to_all", "f32[2, S]", "over=\"m.data\""},
    {"permute", "f32[S]", "over=\"m.tensor\" to=[1, 2, 0]"},
    {"send", "f32[S]", "over=\"m.data\" to=1"},
    {"receive", "", "over=\"m.data\" from=0 shape=[S, T] dtype=f32"},
    {"extent", "", "n=S"},
};

/* One iteration of a map's loops, for given dims. */
struct point {
    const struct imap *m;
    int64_t dims[3], at[MAX_LOOPS];
};

static int64_t index_of(const struct axis_map *axis, const struct point *p) {
    int64_t index = axis->offset ? extent_eval(axis->offset, p->dims) : 0;
    for (int i = 0; i < axis->count; i++) index += axis->terms[i].coefficient * p->at[axis->terms[i].loop];
    return index;
}

static int64_t loop_extent(const struct point *p, int loop) {
    return extent_eval(p->m->loops[loop].extent, p->dims);
}

static bool first_point(struct point *p) {
    memset(p->at, 0, sizeof p->at);
    for (int i = 0; i < p->m->loops_count; i++)
        if (loop_extent(p, i) <= 0) return false;
    return true;
}

static bool next_point(struct point *p) {
    for (int i = p->m->loops_count - 1; i >= 0; i--) {
        if (++p->at[i] < loop_extent(p, i)) return true;
        p->at[i] = 0;
    }
    return false;
}

static int64_t element_count(const struct type *t, const struct point *p) {
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) count *= extent_eval(t->extents[i], p->dims);
    return count;
}

/* Row-major number of the element accessed; -1 outside a guarded axis, -2 outside another, -3 not affine. */
static int64_t element_of(const struct access_map *access, const struct type *t, const struct point *p) {
    int64_t element = 0, outside = 0;
    for (int i = 0; i < t->rank; i++) {
        int64_t extent = extent_eval(t->extents[i], p->dims), index = index_of(&access->axes[i], p);
        if (access->axes[i].whole) return -3;
        if (index < 0 || index >= extent) outside = access->axes[i].guarded && outside > -2 ? -1 : -2;
        element = element * extent + index;
    }
    return outside ? outside : element;
}

/* The parallel loops' iteration as one number. */
static int64_t owner_of(const struct point *p) {
    int64_t owner = 0;
    for (int i = 0; i < p->m->loops_count; i++)
        if (p->m->loops[i].kind == LOOP_PARALLEL) owner = owner * loop_extent(p, i) + p->at[i];
    return owner;
}

static void check_operands(const struct node *n, const struct point *p) {
    for (int i = 0; i < n->operands_count; i++) {
        if (!n->operands[i]) continue;
        cr_assert_eq(p->m->operands[i].rank, n->operands[i]->type.rank);
        cr_assert_neq(element_of(&p->m->operands[i], &n->operands[i]->type, p), -2, "%s: operand %d is left",
                      op_info(n->op)->name, i);
    }
}

static void check_point(const struct node *n, const struct point *p, int64_t **owners) {
    check_operands(n, p);
    for (int r = 0; r < n->results_count; r++) {
        int64_t element = element_of(&p->m->results[r], &n->results[r]->type, p);
        cr_assert_geq(element, 0, "%s: result %d", op_info(n->op)->name, r);
        cr_assert(owners[r][element] < 0 || owners[r][element] == owner_of(p),
                  "%s: two iterations make one element", op_info(n->op)->name);
        owners[r][element] = owner_of(p);
    }
}

/* Whether a reduction has nothing to combine: then it makes its results without an iteration. */
static bool empty_reduction(const struct point *p) {
    bool empty = false;
    for (int i = 0; i < p->m->loops_count; i++)
        empty |= p->m->loops[i].kind == LOOP_REDUCTION && loop_extent(p, i) <= 0;
    return empty;
}

static void check_map(struct test *t, const struct node *n, const int64_t *dims) {
    struct point p = {.m = imap_of(t->arena, t->g, n), .dims = {dims[0], dims[1], dims[2]}};
    int64_t *owners[3];
    for (int r = 0; r < n->results_count; r++) {
        int64_t count = element_count(&n->results[r]->type, &p);
        owners[r] = malloc((size_t)(count + 1) * sizeof **owners);
        for (int64_t i = 0; i < count; i++) owners[r][i] = -1;
    }
    for (bool more = first_point(&p); more; more = next_point(&p)) check_point(n, &p, owners);
    for (int r = 0; r < n->results_count; r++) {
        int64_t count = element_count(&n->results[r]->type, &p);
        for (int64_t i = 0; i < count && !empty_reduction(&p); i++)
            cr_assert_geq(owners[r][i], 0, "%s: element %lld is never made", op_info(n->op)->name,
                          (long long)i);
        free(owners[r]);
    }
}

Test(imap, accesses_stay_inside_and_cover_the_results) {
    srand(1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct test *t = test_new();
        struct node *n = test_node(t, cases[i].op, cases[i].operands, cases[i].attrs);
        cr_assert(node_infer(t->g, n), "%s(%s): %s", cases[i].op, cases[i].operands, test_messages(t));
        for (int run = 0; run < 6; run++)
            check_map(t, n, (int64_t[]){1 + rand() % 4, 2 + rand() % 3, rand() % 3});
    }
}

Test(imap, each_family_is_tested) {
    bool tested[FAMILY_COUNT] = {false};
    test_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tested[op_info(op_find(cases[i].op))->family] = true;
    for (int op = 0; op < OP_COUNT; op++) {
        const struct op_info *info = op_info((enum op)op);
        if (info->level != LEVEL_STRUCTURE && info->level != LEVEL_SUGAR)
            cr_expect(tested[info->family], "%s", info->name);
    }
}

/* "s:p k:r" then "x[s, 2*k-1?]": the map as text, with ? for guarded and * for whole. */
static const char *access_text(struct test *t, const struct access_map *access) {
    const char *text = "[";
    for (int i = 0; i < access->rank; i++) {
        const struct axis_map *axis = &access->axes[i];
        text = arena_printf(t->arena, "%s%s%s", text, i ? ", " : "",
                            axis->whole   ? "*"
                            : axis->count ? ""
                                          : "0");
        for (int j = 0; j < axis->count; j++)
            text = arena_printf(t->arena, "%s%s%lld%c", text, j ? "+" : "",
                                (long long)axis->terms[j].coefficient, 'a' + axis->terms[j].loop);
        if (axis->offset) text = arena_printf(t->arena, "%s+(%s)", text, extent_text(t->arena, axis->offset));
        if (axis->guarded) text = arena_printf(t->arena, "%s?", text);
    }
    return arena_printf(t->arena, "%s]", text);
}

static const char *map_text(struct test *t, const struct imap *m) {
    const char *text = "";
    for (int i = 0; i < m->loops_count; i++)
        text = arena_printf(t->arena, "%s%s%c", text, extent_text(t->arena, m->loops[i].extent),
                            "pro"[m->loops[i].kind]);
    for (int i = 0; i < m->operands_count; i++)
        text = arena_printf(t->arena, "%s %s", text, access_text(t, &m->operands[i]));
    for (int i = 0; i < m->results_count; i++)
        text = arena_printf(t->arena, "%s -> %s", text, access_text(t, &m->results[i]));
    return text;
}

Test(imap, texts) {
    static const struct {
        const char *op, *operands, *attrs, *expected;
    } rows[] = {
        {"linear", "f32[S, 576]; f32[192, 576]", "", "Sp192p576r [1a, 1c] [1b, 1c] [] -> [1a, 1b]"},
        {"reshape", "f32[S, 576]", "shape=[S, 9, 64]", "Sp9p64p [1a, 64b+1c] -> [1a, 1b, 1c]"},
        {"reshape", "f32[S, 9, 64]", "shape=[S, 576]", "Sp9p64p [1a, 1b, 1c] -> [1a, 64b+1c]"},
        {"reshape", "f32[4, 6]", "shape=[8, 3]", "4p2p3p [1a, 3b+1c] -> [2a+1b, 1c]"},
        {"reshape", "f32[S, 4, 6]", "shape=[S, 3, 8]", "Sp3p8p [1a, *, *] -> [1a, 1b, 1c]"},
        {"reshape", "f32[S, 1]", "shape=[1, S]", "Sp [1a, 0] -> [0, 1a]"},
        {"reshape", "f32[4, S]", "shape=[4*S]", "4*Sp [*, *] -> [1a]"},
        {"gather", "f32[9, 6]; i32[S]", "", "Sp6p [*, 1b] [1a] -> [1a, 1b]"},
        {"concat", "f32[S]; f32[T]", "axis=0", "S + Tp [1a+(0)?] [1a+(-S)?] -> [1a]"},
        {"sdpa", "f32[S, 6, 64]; f32[T, 2, 64]; f32[T, 2, 32]", "",
         "Sp2p3p32pTr64r [1a, 3b+1c, 1f] [1e, 1b, 1f] [1e, 1b, 1d] [] [] -> [1a, 3b+1c, 1d]"},
        {"conv", "f32[1, 4, 9]; f32[6, 4, 3]", "stride=2 pad=1",
         "1p6p5p4r3r [1a, 1d, 2c+1e+(-1)?] [1b, 1d, 1e] -> [1a, 1b, 1c]"},
        {"softmax", "f32[S, 4]", "", "Sp4o [1a, 1b] -> [1a, 1b]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct test *t = test_new();
        struct node *n = test_node(t, rows[i].op, rows[i].operands, rows[i].attrs);
        cr_assert(node_infer(t->g, n), "%s", test_messages(t));
        cr_expect_str_eq(map_text(t, imap_of(t->arena, t->g, n)), rows[i].expected, "%s %s", rows[i].op,
                         map_text(t, imap_of(t->arena, t->g, n)));
    }
}

/* A random shape of `elements` elements, as the text of a list. */
static const char *random_shape(struct test *t, int elements) {
    const char *text = rand() % 3 ? "" : "1, ";
    for (int rest = elements, axes = 0; axes < 4; axes++) {
        int factor = 1 + rand() % rest;
        while (rest % factor) factor--;
        if (axes == 3) factor = rest;
        rest /= factor;
        text = arena_printf(t->arena, "%s%s%d", text, axes ? ", " : "", factor);
    }
    return text;
}

/* Where a reshape's map is affine, both sides are the same element in row-major order. */
Test(imap, reshapes_keep_the_order_of_elements) {
    static const int sizes[] = {1, 6, 12, 24, 36, 64, 60};
    int affine = 0;
    srand(2);
    for (int run = 0; run < 300; run++) {
        struct test *t = test_new();
        int elements = sizes[rand() % 7];
        const char *from = arena_printf(t->arena, "f32[%s]", random_shape(t, elements));
        const char *to = arena_printf(t->arena, "shape=[%s]", random_shape(t, elements));
        struct node *n = test_node(t, "reshape", from, to);
        cr_assert(node_infer(t->g, n), "%s", test_messages(t));
        check_map(t, n, (int64_t[]){1, 2, 0});
        struct point p = {.m = imap_of(t->arena, t->g, n)};
        for (bool more = first_point(&p); more; more = next_point(&p)) {
            int64_t x = element_of(&p.m->operands[0], &n->operands[0]->type, &p);
            int64_t y = element_of(&p.m->results[0], &n->results[0]->type, &p);
            cr_assert(x == y || x == -3, "%s %s", from, to);
            affine += x == y;
        }
    }
    cr_assert_gt(affine, 1000);
}

/* What a contraction's map computes: sums of products of operands that hold 1, 2, 3, ... each. */
static void contract(const struct node *n, struct point *p, int64_t *result) {
    for (bool more = first_point(p); more; more = next_point(p)) {
        int64_t product = 1;
        for (int i = 0; i < n->operands_count; i++) {
            if (!n->operands[i]) continue;
            int64_t element = element_of(&p->m->operands[i], &n->operands[i]->type, p);
            cr_assert_geq(element, -1);
            product *= element < 0 ? 0 : element % 13 + i;
        }
        result[element_of(&p->m->results[0], &n->results[0]->type, p)] += product;
    }
}

struct conv { /* with channels [groups, c], outputs [groups, o] */
    int groups, c, o, length, window, stride, lo, hi, dilation;
};

static int64_t conv_at(const struct conv *v, int n, int out, int position) {
    int64_t sum = 0;
    for (int c = 0; c < v->c; c++)
        for (int j = 0; j < v->window; j++) {
            int channel = out / v->o * v->c + c, at = position * v->stride + j * v->dilation - v->lo;
            int64_t x = ((int64_t)n * v->groups * v->c + channel) * v->length + at;
            int64_t w = ((int64_t)out * v->c + c) * v->window + j;
            if (at >= 0 && at < v->length) sum += (x % 13) * (w % 13 + 1);
        }
    return sum;
}

Test(imap, convolutions_sum_the_right_products) {
    srand(3);
    for (int run = 0; run < 60; run++) {
        struct conv v = {1 + rand() % 3, 1 + rand() % 3, 1 + rand() % 3, 6 + rand() % 4, 1 + rand() % 3,
                         1 + rand() % 3, rand() % 3,     rand() % 3,     1 + rand() % 2};
        struct test *t = test_new();
        const char *operands = arena_printf(t->arena, "f32[2, %d, %d]; f32[%d, %d, %d]", v.groups * v.c,
                                            v.length, v.groups * v.o, v.c, v.window);
        struct node *n = test_node(t, "conv", operands,
                                   arena_printf(t->arena, "groups=%d stride=%d pad=[[%d, %d]] dilation=%d",
                                                v.groups, v.stride, v.lo, v.hi, v.dilation));
        cr_assert(node_infer(t->g, n), "%s", test_messages(t));
        struct point p = {.m = imap_of(t->arena, t->g, n)};
        int outputs = v.groups * v.o;
        int64_t count = element_count(&n->results[0]->type, &p), positions = count / (2 * outputs);
        int64_t *result = arena_new_array(t->arena, int64_t, count);
        contract(n, &p, result);
        for (int64_t i = 0; i < count; i++)
            cr_assert_eq(result[i], conv_at(&v, (int)(i / positions / outputs),
                                            (int)(i / positions % outputs), (int)(i % positions)));
    }
}

/* conv_transpose scatters what conv gathers. */
Test(imap, transposed_convolutions_sum_the_right_products) {
    struct test *t = test_new();
    struct node *n = test_node(t, "conv_transpose", "f32[1, 4, 5]; f32[4, 3, 3]", "groups=2 pad=1");
    cr_assert(node_infer(t->g, n), "%s", test_messages(t));
    struct point p = {.m = imap_of(t->arena, t->g, n)};
    int64_t result[6 * 5] = {0}, expected[6 * 5] = {0};
    contract(n, &p, result);
    for (int c = 0; c < 4; c++)
        for (int o = 0; o < 3; o++)
            for (int i = 0; i < 5; i++)
                for (int j = 0; j < 3; j++) {
                    int at = i + j - 1;
                    if (at >= 0 && at < 5)
                        expected[(c / 2 * 3 + o) * 5 + at] +=
                            (c * 5 + i) % 13 * (((c * 3 + o) * 3 + j) % 13 + 1);
                }
    for (int i = 0; i < 30; i++) cr_assert_eq(result[i], expected[i], "element %d", i);
}

Test(imap, matrix_products_broadcast_their_batches) {
    struct test *t = test_new();
    struct node *n = test_node(t, "matmul", "f32[2, 1, 3, 4]; f32[5, 4, 2]", "");
    cr_assert(node_infer(t->g, n), "%s", test_messages(t));
    struct point p = {.m = imap_of(t->arena, t->g, n)};
    int64_t result[2 * 5 * 3 * 2] = {0};
    contract(n, &p, result);
    for (int64_t e = 0; e < 60; e++) {
        int64_t j = e % 2, i = e / 2 % 3, u = e / 6 % 5, s = e / 30, sum = 0;
        for (int64_t k = 0; k < 4; k++)
            sum += (((s * 3 + i) * 4 + k) % 13) * (((u * 4 + k) * 2 + j) % 13 + 1);
        cr_assert_eq(result[e], sum);
    }
}

Test(cost, operations_and_bytes) {
    static const struct {
        const char *op, *operands, *attrs, *flops, *bytes;
    } rows[] = {
        {"linear", "f32[S, 576]; f32[192, 576]", "", "221184*S", "3072*S + 442368"},
        {"linear", "f32[S, 8]; f32[4, 8]; f32[4]", "", "68*S", "48*S + 144"},
        {"add", "f32[S]; f32[S]", "", "S", "12*S"},
        {"silu", "bf16[S]", "", "4*S", "4*S"},
        {"reshape", "f32[S, 4]", "shape=[4, S]", "0", "32*S"},
        {"gather", "f32[49152, 576]; i32[S]", "", "0", "4612*S"},
        {"sdpa", "f32[S, 6, 64]; f32[T, 2, 64]; f32[T, 2, 32]", "", "1152*S*T", "2304*S + 768*T"},
        {"conv_transpose", "f32[1, 4, S]; f32[4, 3, 2]", "stride=2", "48*S", "40*S + 96"},
        {"sum", "f32[S, 4]", "axis=all", "4*S", "16*S + 4"},
        {"var", "f32[S, 4]", "", "12*S", "20*S"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct test *t = test_new();
        struct node *n = test_node(t, rows[i].op, rows[i].operands, rows[i].attrs);
        cr_assert(node_infer(t->g, n), "%s", test_messages(t));
        const char *flops = extent_text(t->arena, node_flops(t->g, n));
        const char *bytes = extent_text(t->arena, node_bytes(t->g, n));
        cr_expect_str_eq(flops, rows[i].flops, "%s: %s operations", rows[i].op, flops);
        cr_expect_str_eq(bytes, rows[i].bytes, "%s: %s bytes", rows[i].op, bytes);
    }
}
