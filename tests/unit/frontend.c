/* The frontend: texts become the graphs they mean, and their dumps parse again. */
#include "frontend/frontend.h"
#include "ir/print.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *messages;

/* The dump of a text without the places, or NULL where it has errors; messages are in `messages`. */
static char *parse_bytes(const char *path, const char *text, size_t size, bool locs) {
    struct arena *a = arena_new();
    struct diag d;
    size_t length, heard;
    char *dump;
    FILE *errors = open_memstream(&messages, &heard);
    diag_init(&d, a, errors);
    struct graph *g = frontend_parse(a, &d, path, text, size, NULL);
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

static char *parse_to(const char *path, const char *text, bool locs) {
    return parse_bytes(path, text, strlen(text), locs);
}

/* The text's dump holds `wanted` (without places), and gives itself when parsed. */
static void check(const char *text, const char *wanted) {
    char *dump = parse_to("t.mdl", text, true);
    cr_assert(dump, "%s\n%s", text, messages);
    char *plain = parse_to("t.mdl", text, false), *again = parse_to("-", dump, true);
    cr_assert(again, "%s\n%s", dump, messages);
    cr_expect_str_eq(dump, again);
    cr_expect(strstr(plain, wanted), "%s\n---\n%s\n---\n%s", text, plain, wanted);
}

/* The text is refused, and the messages hold `wanted`. */
static void refuse(const char *text, const char *wanted) {
    char *dump = parse_to("t.mdl", text, true);
    cr_expect(!dump, "accepted: %s", text);
    if (!dump) cr_expect(strstr(messages, wanted), "%s\n---\n%s\n---\n%s", text, messages, wanted);
}

/* What a language sentence needs around it: declarations, and a function with some arguments. */
#define TOP                                                                                                  \
    "const L = 2, D = 4\ndim S in 1..16, T in 1..9\nparam w[L] : f32[D, D] = ones\n"                         \
    "param e[L][3] : f32[D] = ones\nstate k[L] : f32[D] = zeros\nstate n : i32 = 0\n"
#define IN(body)                                                                                             \
    TOP "export fn f(x: f32[S, D], y: f32[D], i: i32, b: bool[D], h: bf16[D], t: f32[2*S, T]) {\n" body      \
        "\n}\n"
#define body_is(body, wanted) check(IN(body), wanted)
#define body_refused(body, wanted) refuse(IN(body), wanted)

Test(text, statements_end_at_newlines) {
    body_is("a = maximum(y,\n  y)\nreturn a", "a : f32[4] = maximum(y, y)\n");
    body_is("a = [1,\n\n 2, # comment ) (\n 3,\n 4,] * y\nreturn a", "[1.0, 2.0, 3.0, 4.0]\n");
    body_is("for i in 0..1 { y = y * 2 }\nreturn y", "y0 : f32[4] = y * 2.0\n");
    body_refused("a =\n y\nreturn a", "t.mdl:8:4: error: unexpected end of the line");
    body_refused("a = y\n + y\nreturn a", "does nothing");
    body_refused("a = y y\nreturn a", "unexpected 'y'");
    refuse("fn f(x: f32)\n{\n return x\n}\n", "t.mdl:2:1: error: an opening '{' stands on the line");
    body_refused("y\nreturn y", "a statement without '=' is a call");
    body_refused("a = maximum(y,, y)\nreturn a", "unexpected ','");
    check("export fn f(x: f32[4]) = x", "return x");
    check("\r\n\texport fn f(x : f32[ 4 , ] , ) = x # end", "return x");
}

Test(text, words) {
    check("param from : f32 = 1\nexport fn model(loc: f32, kernel: f32, index: f32, zeros: f32) {\n"
          "scan = loc * kernel * from\nlayout = scan + index\nstate = layout - zeros\nreturn state\n}\n",
          "state0 : f32 = layout0 - zeros0\n");
    refuse("const in = 1\n", "unexpected 'in'; expected a name");
    refuse("const true = 1\n", "unexpected 'true'");
    refuse("const f16 = 1\n", "unexpected 'f16'");
    refuse("fn index() = 1\nexport fn g(x: f32[2]) = index\n", "'index' is a function");
    check("fn relu(x: f32[N]) = x * 2\nexport fn g(relu1: f32[2]) = relu(relu1)\n",
          "v0 : f32[2] = relu1 * 2.0\n");
    check("param sum : f32[2] = ones\nexport fn g(x: f32[2]) = sum(x * sum)\n", "v1 : f32 = sum(v0)\n");
}

Test(text, numbers_and_strings) {
    body_is("return y * 1e-3 + 1.5E+2 - 0.5", "y * 0.001\n");
    body_refused("return y * 1.", "digits on both sides");
    body_refused("return y * .5", "digits on both sides");
    body_refused("return y * 2x", "a digit never begins a name");
    body_refused("return x[0..2]", "unexpected '..'");
    body_refused("return y * 9223372036854775808", "does not fit 64 bits");
    check("param p : i64 = 1\nexport fn f() = p * -9223372036854775808\n", "-9223372036854775808");
    body_is("guard(i, lo=0, hi=S, what=\"a \\\"b\\\" \\\\\")\nreturn y",
            "guard(i, 0, S, \"a \\\"b\\\" \\\\\")\n");
    body_refused("guard(i, lo=0, hi=S, what=\"a\\n\")", "only \\\" and \\\\ are escapes");
    body_is("return where(b, inf, -inf)", "where(b, inf, -inf)\n");
    body_is("return where(b, nan, 0)", "where(b, nan, 0.0)\n");
}

Test(text, precedence_is_pythons) {
    body_is("a = -y ** 2\nreturn a", "v0 : f32[4] = y ** 2.0\n    a : f32[4] = neg(v0)\n");
    body_is("a = y ** -y ** y\nreturn a",
            "v0 : f32[4] = y ** y\n    v1 : f32[4] = neg(v0)\n    a : f32[4] = y ** v1\n");
    body_is("a = y - y - y\nreturn a", "v0 : f32[4] = y - y\n    a : f32[4] = v0 - y\n");
    body_is("a = y + y * y % y\nreturn a",
            "v0 : f32[4] = y * y\n    v1 : f32[4] = v0 % y\n    a : f32[4] = y + v1\n");
    body_is("a = not b or b and y < y + 1\nreturn a",
            "v0 : bool[4] = not b\n    v1 : f32[4] = y + 1.0\n    v2 : bool[4] = y < v1\n"
            "    v3 : bool[4] = b and v2\n    a : bool[4] = v0 or v3\n");
    body_refused("return 0 < y < 1", "comparisons do not chain");
    body_is("return (y < 1) == (0 < y)", "0.0 < y\n");
    check("const A = -2 ** 2, B = 7 % -3, C = -7 // 2, E = 2 ** 3 ** 2\nexport fn f(x: i32[4]) = x + A * "
          "1000 + B * 100 + C + E\n",
          "x + -4000\n    v1 : i32[4] = v0 + -200\n    v2 : i32[4] = v1 + -4\n    v3 : i32[4] = v2 + 512\n");
}

Test(text, top_level_order_is_free) {
    check("export fn f(x: f32[A]) = g(x) * p\nfn g(x: f32[N]) = x + B\nparam p : f32[A] = ones\nconst A = B "
          "+ 1\nconst B = 3\n",
          "v0 : f32[4] = x + 3.0\n");
    refuse("fn a(x: f32) = b(x)\nfn b(x: f32) = a(x)\nexport fn f(x: f32) = a(x)\n", "a calls b calls a");
    refuse("const A = B, B = A\n", "A is defined by itself");
}

Test(names, bind_and_rebind) {
    body_is("y = y + 1\ny = y * 2\nreturn y",
            "y0 : f32[4] = y + 1.0\n    y1 : f32[4] = y0 * 2.0\n    return y1\n");
    body_refused("for j in 0..2 {\n inner = y\n}\nreturn inner", "unknown name 'inner'");
    body_is("for j in 0..2 {\n y = y + j\n}\nreturn y", "y1 : f32[4] = y0 + 1.0\n");
    check("state s : f32 = 0\nexport fn f(s: f32) {\n s = s + 1\n return s\n}\n",
          "s1 : f32 = s0 + 1.0\n    return s1\n");
    body_is("D = y\nreturn D", "return y");
    body_refused("y[0] = 1\nreturn y", "y is a value and does not change");
}

Test(names, effects_happen_in_order) {
    check("state s : f32 = 0\nfn bump(x: f32) {\n s = s + x\n return s\n}\n"
          "export fn f(x: f32) {\n a = bump(x) - bump(x)\n s = 0\n return a\n}\n",
          "    v0 : f32 = s\n    v1 : f32 = v0 + x\n    s = v1\n    v2 : f32 = s\n    v3 : f32 = s\n"
          "    v4 : f32 = v3 + x\n    s = v4\n    v5 : f32 = s\n    a : f32 = v2 - v5\n");
    body_is("k[1] = y\nw[0] = broadcast(y, [D, D])\nreturn k[-1]", "    k[1] = y\n");
    body_refused("k = y\nreturn y", "k is an array: assign one of its tensors, with 1 index");
    body_refused("n = y\nreturn y", "the value assigned to n is f32[4], not i32");
    body_refused("k[2] = y\nreturn y", "2 is outside k, which has 2 tensors");
}

Test(types, extents) {
    check("const H = 3, F = 12\ndim S in 0..9\nexport fn f(x: f32[F/H, 2*S + 1, (S + 1) // 2]) = x\n",
          "x: f32[4, 2*S + 1, (S + 1) // 2]");
    refuse("export fn f(x: f32[7/2]) = x\n", "an extent must be whole, not 3.5");
    refuse("dim S in 1..9\nexport fn f(x: f32[S/2]) = x\n", "(S) / (2) is not whole");
    refuse("dim S in 1..9\nexport fn f(x: f32[S-2]) = x\n", "may be negative");
    refuse("export fn f(x: f32[N]) = x\n", "'N' is neither a constant nor a dim");
    refuse("dim S in 1..9\nparam p : f32[S] = ones\n", "a param's extents are constants");
    refuse("dim S in 9..1\n", "9..1 is not a range");
    body_is("for j in 0..2 { y = y + j }\nreturn y", "y0 + 1.0\n    return y1\n"); /* lo..hi excludes hi */
    body_is("a = i + S\nreturn a", "v0 : i32 = extent(S)\n    a : i32 = i + v0\n");
    body_refused("return y * S", "element types differ");
    body_refused("return x[0] + t[0, 0:S]", "end S is not provably inside");
    check("export fn f(x: f32[16]) = x / sqrt(64) + exp(0) + log(1)\n",
          "x / 8.0\n    v1 : f32[16] = v0 + 1.0\n");
    refuse("dim S in 1..4\ndim T in 1..4\nexport fn f(x: f32[S]) = broadcast(0.0, [T])\n",
           "a call of f does not give T");
    refuse("dim S in 1..4, T in 1..4\nconst K = (T + 1)//2\nexport fn f(x: f32[S]) = broadcast(0.0, [K])\n",
           "a call of f does not give T");
    refuse("export fn f(x: f33[2]) = x\n", "unknown element type 'f33'; did you mean 'f32'?");
}

Test(conversions, are_written) {
    body_is("return h * 0.5", "h * 0.5\n");
    body_is("a : bf16 = 0.5\nreturn a", "a : bf16 = 0.5\n");
    body_refused("return h * y", "write a cast");
    body_refused("return i / 2", "float type");
    body_refused("return i * 0.5", "0.5 cannot be i32");
    body_is("return i % 3", "i % 3\n");
    body_is("return y == 1", "bool[4] = y == 1.0\n");
    body_is("v, j = topk(y, k=2)\nreturn argmax(y) + j", "v : f32[2], j : i32[2] = topk(y, k=2)\n");
    body_is("k[0] = write(k[0], h[0:2], at=i)\nreturn y", "write(v0, v1, at=i)\n");
    body_is("return x[i]", "f32[4] = gather(x, i)\n");
    body_is("return 3 * 2.5 + y", "7.5 + y\n");
    check("export fn f(x: i8[2]) = x + 127\n", "x + 127\n");
    refuse("export fn f(x: i8[2]) = x + 128\n", "128 cannot be i8");
    refuse("export fn f(x: index) = 1\n", "no argument of type index");
}

static const char *folder_of_weights(const char *path) {
    static const char text[] = "weights \"w.npz\"\nparam w : f32[3] loc(\"/etc/m.mdl\":1:1)\n";
    struct diag d;
    struct arena *a = arena_new();
    diag_init(&d, a, stderr);
    return frontend_parse(a, &d, path, text, sizeof text - 1, NULL)->globals->init.folder;
}

Test(weights, places_say_the_folder_of_a_piped_dump_only) {
    cr_expect_str_eq(folder_of_weights("-"), "/etc/");
    cr_expect_str_eq(folder_of_weights("dir/m.mdl"), "dir/");
    cr_expect_str_eq(folder_of_weights("m.mdl"), "");
}

Test(weights, initialisers) {
    check("param a : i64 = 9007199254740993\n", "param a : i64 = 9007199254740993\n"); /* 2^53 + 1 */
    check("state b : i64[2] = 9223372036854775807\n", "state b : i64[2] = 9223372036854775807\n");
    check("state c[2] : i64 = -9223372036854775808\n", "state c[2] : i64 = -9223372036854775808\n");
    check("param a : f32[2] = normal(std=0.02)\nparam b : f32[2] = uniform(lo=-1, hi=1)\nparam c : i32 = 7\n"
          "param d : f32[2, 1] = [[1], [2.5]]\nparam g : bool = true\nstate s : f16[3] = ones\n",
          "param a : f32[2] = normal(std=0.02)\nparam b : f32[2] = uniform(lo=-1.0, hi=1.0)\nparam c : i32 = "
          "7\n"
          "param d : f32[2, 1] = [[1.0], [2.5]]\nparam g : bool = ones\nstate s : f16[3] = ones\n");
    check(
        "weights \"missing.gguf\"\nparam a : f32[2]\nparam b[3][2] : f32[2] from \"x.{i}.{j}\"\n",
        "weights \"missing.gguf\"\nparam a : f32[2] from \"a\"\nparam b[3][2] : f32[2] from \"x.{i}.{j}\"\n");
    refuse("param a : f32[2]\nweights \"below.gguf\"\n", "no 'weights \"file\"' stands above it");
    refuse("weights \"m\"\nparam a[2] : f32 from \"x\"\n", "must contain {i}");
    refuse("param a : f32[2] = [1, 2, 3]\n", "the list is f32[3], not f32[2]");
}

Test(functions, signatures) {
    check("fn lin(x: f32[M, K], w: f32[N, K], s: f32 = 0.5) = linear(x, w) * s\n"
          "export fn f(x: f32[2, 3], w: f32[4, 3]) = lin(w=w, x=x) + lin(x, w, s=2)\n",
          "v1 : f32[2, 4] = v0 * 0.5\n    v2 : f32[2, 4] = linear(x, w)\n    v3 : f32[2, 4] = v2 * 2.0\n");
    check("fn rows(x: f32[N, M]) = reshape(x, [M * N]) / N\nexport fn f(x: f32[2, 3]) = rows(x)\n",
          "v0 / 2.0\n");
    refuse(
        "fn lin(x: f32[M, K], w: f32[N, K]) = linear(x, w)\nexport fn f(x: f32[2, 3]) = lin(x, x[:, 0:2])\n",
        "lin: argument w is f32[2, 2], not f32[2, 3]");
    check("fn two(x: f32[N]) -> f32[N], i32[N] {\n return sort(x), argsort(x)\n}\n"
          "fn same(x: f32[N]) -> f32[N], i32[N] {\n return two(x)\n}\n"
          "export fn f(x: f32[2]) -> f32[2], i32[2] {\n a, b = same(x)\n return a, b\n}\n",
          "a : f32[2] = sort(x)\n    b : i32[2] = argsort(x)\n    return a, b\n");
    refuse("export fn f(x: f32[2]) -> f32[3] = x\n", "f: the result is f32[2], not f32[3]");
    check("export fn f(x: f32[2]) -> bf16, i32 {\n return 0.5, 2\n}\n", "v0 : bf16 = 0.5\n");
    refuse("fn g(x: f32[2], i: index) = x\nexport fn f(x: f32[2], n: i32) = g(x, n)\n",
           "must be an integer known at compile time");
    refuse("fn g(x: f32[2]) = x\nexport fn f(x: f32[2]) = g(x, y=x)\n", "g has no argument 'y'");
    check("fn hidden(x: f32[2]) = x\nfn seen(x: f32[2]) = hidden(x)\n",
          "fn seen(x: f32[2]) -> f32[2] {\n    return x\n}\n");
}

Test(loops, scan) {
    check("dim T in 1..8\nexport fn f(x: f32[T, 4], h: f32[4]) {\n c = 0\n for t scan 0..T {\n  h = tanh(h + "
          "x[t])\n  c = c + t\n }\n"
          " return h, c\n}\n",
          "    v0 : i32 = 0\n    h0 : f32[4] = h\n    c : i32 = v0\n    for t scan 0..T {\n");
    body_is("for t scan 0..L {\n y = y + e[1][t] + w[t][0]\n k[t] = y\n}\nreturn y", "k[t0] = y1\n");
    body_is("for u scan 1..L {\n y = y + w[u][0]\n}\nreturn y", "for u scan 0..1 {\n");
    body_refused("for u scan 0..3 {\n y = y + w[u][0]\n}\nreturn y", "2 is outside w");
    body_refused("for u scan 0..2 {\n y = concat(y, y, axis=0)\n}\nreturn y", "keeps its type");
    body_refused("for u in 0..S {\n y = y + 1\n}\nreturn y", "use 'scan'");
    body_refused("return w[i]", "or by a scan's variable");
}

Test(text, zero_bytes_in_options) {
    static const char after[] = "option precision = f32\0\nexport fn f() = 1\n",
                      only[] = "option precision = \0\0";
    cr_assert_null(parse_bytes("t.mdl", after, sizeof after - 1, true));
    cr_expect_str_eq(strchr(messages, ' '), " error: an option's value holds no zero byte\n"
                                            "    option precision = f32\n                       ^\n");
    cr_assert_null(parse_bytes("t.mdl", only, sizeof only - 1, true));
    cr_expect(strstr(messages, "t.mdl:1:20: error: an option's value holds no zero byte"), "%s", messages);
}

/* No time that grows exponentially with what is nested. */
Test(text, deep_lists, .timeout = 10) {
    char text[256], *at = text;
    for (int i = 0; i < 100; i++) *at++ = '[';
    *at++ = '1';
    for (int i = 0; i < 100; i++) *at++ = ']';
    *at = 0;
    char *whole;
    cr_assert(asprintf(&whole, "export fn f(x: f32[1]) = x + %s\n", text) > 0);
    refuse(whole, "a list nests at most 8 deep");
}

Test(text, deep_floors, .timeout = 10) {
    char *text = strdup("dim S in 1..800\nconst K0 = S");
    for (int i = 1; i < 20; i++)
        cr_assert(
            asprintf(&text, "%s, K%d = (K%d*3 + K%d*K%d*5) // %d", text, i, i - 1, i - 1, i - 1, 6 + i) > 0);
    refuse(text, ": error: this extent is too large");
    refuse("dim S in 1..8\nconst K = S // 0\n",
           "'//' of an extent needs a positive integer on its right, not 0");
    refuse("dim S in 1..8\nconst K = S % S\n",
           "'%' of an extent needs a positive integer on its right, not S");
}

Test(kernels, schedules_find_what_they_carry_out) {
    body_refused("kernel k (x) -> z : f32[S, D] schedule(attention) {\n z = x + 1\n}\nreturn z",
                 "schedule: attention carries out an sdpa, which kernel k does not hold");
    body_refused("kernel k (x) -> z : f32[S, D] schedule(contract, tile=[4, 16]) {\n z = x + 1\n}\nreturn z",
                 "schedule: contract carries out a product of two operands, which kernel k does not hold");
    body_is("kernel k (x, w[0]) -> z : f32[S, D] schedule(contract, tile=[4, 16]) {\n z = linear(x, "
            "w[0])\n}\nreturn z",
            "schedule(contract");
}

Test(marks, stand_where_they_mean_something) {
    body_refused("return y store(f32)", ":8:16: error: 'store' means nothing behind a statement");
    body_refused("a = y + 1 layout(\"0\")\nreturn a",
                 ":8:18: error: 'layout' means nothing behind a statement");
    body_refused("guard(i, lo=0, hi=4) over(1)\nreturn y", "'over' means nothing behind a statement");
    body_refused("for u in 0..2 {\n y = y + 1\n} in arena(0)\nreturn y",
                 "'in' means nothing behind a statement");
    body_refused("a : f32[D] from \"w\" = y + 1\nreturn a", "'from' means nothing beside a value");
    body_refused("a : f32[D] loc(\"m.mdl\":1:1) = y + 1\nreturn a", "'loc' means nothing beside a value");
    body_refused("kernel k (y), z : f32[D] {\n z = y + 1\n}\nreturn y", "unexpected ','");
    body_is("kernel k (y) -> z : f32[D], q : f32[D] {\n z = y + 1\n q = y + 2\n}\nreturn z",
            "-> z : f32[4], q : f32[4]");
    refuse("export fn f(x: f32[4] store(f32)) = x\n", ":1:29: error: 'store' means nothing beside a value");
    refuse("export fn f(x: f32[4]) -> f32[4] in arena(0) = x\n", "'in' means nothing beside a result");
    refuse("export fn f(x: f32[4]) {\n return x\n} from \"x\"\n", "'from' means nothing behind a function");
    refuse("fn g(x: f32[4] in arena(0)) = x\nexport fn f(x: f32[4]) = g(x) + g(x)\n",
           ":1:6: error: layout, in and over mean nothing beside an argument of g");
}

Test(loops, variables_fit_an_i32) {
    body_refused("for u scan 0..3000000000 {\n y = y + 1\n}\nreturn y",
                 "a loop's variable is an i32: 0..3000000000");
    body_refused("for u scan -3000000000..0 {\n y = y + 1\n}\nreturn y",
                 "a loop's variable is an i32: -3000000000..0");
    body_is("for u scan 2147483646..2147483647 {\n y = y + 1\n}\nreturn y", "scan");
}

Test(constants, remainders_of_the_smallest) { /* by no product that overflows: UBSan sees one */
    check("const A = -9223372036854775808 % 3\nexport fn f(x: f32[4]) = x * A\n", "x * 1.0");
    refuse("dim S in 1..2\nexport fn f(x: f32[S]) = x * (S*-9223372036854775807 // 3)\n",
           "-3074457345618258603*S + (2*S) // 3 may");
}

static void refuse_once(const char *text, const char *wanted) {
    refuse(text, wanted);
    const char *first = strstr(messages, wanted);
    cr_expect(first && !strstr(first + 1, wanted), "%s", messages);
}

Test(errors, are_reported_once) {
    refuse_once(IN("for u in 0..2 {\n for v in 0..none {\n y = y + 1\n }\n}\nreturn y"),
                "unknown name 'none'");
    refuse_once(IN("for t scan 0..2 {\n y = y + k[t + none]\n}\nreturn y"), "unknown name 'none'");
    refuse_once(IN("return w[1 + none]"), "unknown name 'none'");
}

Test(functions, extents_bind_in_any_order) {
    check("fn g(a: f32[N + 1], b: f32[N]) = sum(a) + sum(b)\nexport fn f(x: f32[5], y: f32[4]) = g(x, y)\n",
          "sum(y");
    refuse("fn g(a: f32[N + 1], b: f32[N]) = sum(a)\nexport fn f(x: f32[5], y: f32[5]) = g(x, y)\n",
           "g: argument a is f32[5], not f32[6]");
}

Test(slices, forms) {
    body_is("return x[S-1:S][0]", "slice(x, [S - 1, 0], [1, 4], [1, 1])\n");
    body_is("return x[-1]", "slice(x, [S - 1, 0], [1, 4], [1, 1])\n");
    body_is("return t[:, ::2]", "slice(t, [0, 0], [2*S, (T + 1) // 2], [1, 2])\n");
    body_is("return y[::9223372036854775807]", "slice(y, [0], [1], [4])\n");
    body_is("return t[:, ::9223372036854775807]", "slice(t, [0, 0], [2*S, (T + 8) // 9], [1, 9])\n");
    body_is("return t[::2, 0:T]", "slice(t, [0, 0], [S, T], [2, 1])\n");
    body_is("return y[1:-1]", "slice(y, [1], [2], [1])\n");
    body_is("return y[:]", "return y");
    body_is("return w[1][i, 2]", "gather(");
    body_refused("return y[4]", "the index 4 is not provably inside");
    body_refused("return y[0:5]", "the slice's end 5 is not provably inside");
    body_refused("return y[::-1]", "flip() reverses");
    body_refused("return x[2:]", "may end (S) before it starts (2)");
    body_refused("return y[0, 0]", "2 subscripts for f32[4]");
}

#define MESH "mesh m = <data=2, pipeline=2>\n"
#define placed(body, wanted) check(MESH IN(body), wanted)
#define place_refused(body, wanted) refuse(MESH IN(body), wanted)

Test(mesh, declarations) {
    check("const N = 2\nmesh m = <a=N*2, b=1,> ranks 4..7 on cuda\n",
          "mesh m = <a=4, b=1> ranks 4..7 on cuda\n");
    check("const C = m.a * 2\nmesh m = <a=2>\nexport fn f(x: f32[4]) = x[C:C+2]\n", "slice(x, [2*m.a], [2]");
    refuse("mesh m = <a=C>\nconst C = m.a\n", "there is no mesh axis 'm.a'");
    check("mesh m = <a=2> ranks 0..1 on cpu\nmesh n = <a=2>\n", "mesh m = <a=2>\nmesh n = <a=2>\n");
    check("dim S in 1..8 unit 2, T in 1..4 unit 1\n", "dim S in 1..8 unit 2\ndim T in 1..4\n");
    refuse("mesh m = <>\n", "unexpected '>'");
    refuse("mesh m = <a=64, b=64, c=2>\n", "a mesh has 1 to 4096 ranks");
    refuse("mesh m = <a=4611686018427387904, b=4>\n", "a mesh has 1 to 4096 ranks");
    refuse("mesh m = <a=1, b=1, c=1, d=1, e=1, f=1, g=1, h=1, i=1>\n", "at most 8 axes");
    refuse("mesh m = <a=2> ranks 9223372036854775807..9223372036854775807\n", "ranks are counted from 0");
    refuse("dim S in 1..2147483647 unit 2\n", "are no extent");
}

Test(mesh, coordinates_are_extents) {
    placed("return y[m.data*2 : m.data*2 + 2]", "slice(y, [2*m.data], [2], [1])\n");
    placed("return i + m.data", "extent(m.data)\n");
    place_refused("return y[m.data*3 : m.data*3 + 2]", "is not provably inside");
    place_refused("return i + m.date", "there is no mesh axis 'm.date'; did you mean 'm.data'?");
    place_refused("m.data = 1\nreturn y", "only a name");
    check("dim L in 1..4\nexport fn f(x: f32[L]) {\nfor t scan 0..L { x = x + 1 }\nreturn x\n}\n",
          "scan 0..L");
}

Test(mesh, shardings) {
    placed("a : f32[4] @m([data, pipeline]) = y * 2\nreturn a",
           "a : f32[4] @m([data, pipeline]) = y * 2.0\n");
    placed("a : f32[4] @m([data, ?]!7, pipeline partial) local = y * 2\nreturn a",
           "a : f32[4] @m([data, ?]!7, pipeline partial) local = y * 2.0\n");
    placed("a = y * 2 @m(?)\nreturn a", "a : f32[4] @m(?) = y * 2.0\n");
    placed("a : f32[4] @m(data) = y\nreturn a", "a : f32[4] @m(data) = reshard(y)\n");
    placed("a : f32[4, 4] @m(data, _) = w[1]\nreturn a", "a : f32[4, 4] @m(data, _) = reshard(w[1])\n");
    placed("return y * 2 @m(data)", "v0 : f32[4] @m(data) = y * 2.0\n");
    placed("a : f32[4] @m(data) = k[0]\nreturn a", "a : f32[4] @m(data) = k[0]\n");
    placed("a : f32[4] @m(data) = y\nfor t scan 0..S { a = a + 1 }\nreturn a",
           "a : f32[4] @m(data) = y\n    for t");
    placed("a : f32[4] @m(data) = relu(y)\nb : f32[4] @m(data) = a\nreturn b", "return a\n");
    placed("for j in 0..2 {\nh = y @m(data)\nfor t scan 0..3 { h = h + 1 }\ny = h\n}\nreturn y",
           "h2 : f32[4] @m(data) = h0\n    for t1 scan 0..3 {\n");
    place_refused("a : f32[4] @m(data!9223372036854775808) = y\nreturn a", "a priority is 0 to 999");
    place_refused("a : f32[4] @m([data, data]) = y\nreturn a", "axis data is used twice");
    place_refused("a : f32[4] @m(data, _) = y\nreturn a", "@m(…) has 2 entries, but f32[4] has 1 dimension");
    place_refused("a : f32[4] @n(data) = y\nreturn a", "there is no mesh 'n'");
    place_refused("a : f32[4] @m(dat) = y\nreturn a", "has no axis 'dat'; did you mean 'data'?");
    place_refused("a = y[0:3] @m(data)\nreturn a", "3 is not divisible by 2 ranks of data; 3 divides it");
    body_refused("a : f32[4] @m(_) = y\nreturn a", "declare it, mesh m = <data=2>");
}

Test(mesh, shardings_of_signatures) {
    check(MESH "export fn f(x: f32[4] @m(data)) -> f32[4] @m(_), f32[4] {\nreturn x, x\n}\n",
          "f(x: f32[4] @m(data)) -> f32[4] @m(_), f32[4] {\n    return x, x\n");
    check(MESH "fn g(x: f32[N] @m(data)) -> f32[N] @m(_) = x\nexport fn f(x: f32[4]) = g(x) * 2\n",
          "x0 : f32[4] @m(data) = reshard(x)\n    v0 : f32[4] @m(_) = reshard(x0)\n    v1 : f32[4] = v0 * "
          "2.0\n");
    refuse(MESH "export fn f(x: f32[4] @m(_, data partial)) = x\n", "an argument is no partial sum");
    refuse(MESH "export fn f(x: f32[4]) -> f32[4] @m(_, data partial) = x\n", "a result is no partial sum");
    refuse(MESH "dim S in 3..3\nexport fn f(x: f32[S] @m(data)) = x\n", "S is within 3..3");
}

Test(mesh, placements) {
    placed("a = relu(y) on pipeline(1)\nreturn a", "relu(y) on m.pipeline(1)\n");
    placed("stage 1 { a = relu(y * 2) }\nreturn a", "v0 : f32[4] = y * 2.0 on m.pipeline(1)\n");
    placed("for j in 0..2 { stage 1 - j { y = relu(y) } }\nreturn y",
           "y0 : f32[4] = relu(y) on m.pipeline(1)\n");
    placed("stage 1 {\nfor u scan 0..3 { y = y + 1 }\n}\nreturn y",
           "        y0 = y1\n    } on m.pipeline(1)\n");
    placed("stage = y * 2\nreturn stage", "stage : f32[4] = y * 2.0\n");
    check("mesh m = <a=2>\nexport fn f(x: f32) = relu(x) on dev(1)\n", "relu(x) on m.a(1)\n");
    check("mesh m = <a=2>\nexport fn f(x: f32) = relu(x) on m(1)\n", "relu(x) on m.a(1)\n");
    place_refused("a = relu(y) on pipeline(2)\nreturn a", "2 is no place on m.pipeline, which has 0..1");
    place_refused("a = relu(y) on pipe(1)\nreturn a", "there is no mesh axis 'pipe'");
    place_refused("a = relu(y) on dev(1)\nreturn a", "here are 2: write which, m.data");
    place_refused("stage 0 { stage 1 { y = y } }\nreturn y", "stages do not nest");
    body_refused("stage 0 { y = y }\nreturn y", "and there is none");
}

Test(later, is_answered_at_its_place) {
    body_refused("l, g = grad(loss)(y)\nreturn l", "grad is not yet supported here");
    body_refused("for p in params {\n p = p\n}\nreturn y", "a loop over params is not yet supported here");
    refuse("option pipeline = gpipe(stages=2, micro=4)\n", "option pipeline is not yet supported here");
    check("option precision = int8   # why\n", "option precision = int8\n");
}

Test(ops, arguments) {
    body_is("return sum(x, axis=all, keep)", "sum(x, axis=[0, 1], keep)\n");
    body_is("return sum(x, keep, axis=0)", "sum(x, axis=0, keep)\n");
    body_is("keep = 1\nreturn sum(x, keep) * keep", "sum(x, keep)\n");
    body_is("return gelu(y, approximate=tanh)", "gelu_tanh(y)\n");
    body_is("return linear(x, w[0], y)", "linear(x, w[0])\n    v1 : f32[S, 4] = v0 + y\n");
    body_is("a, c = split(y, [1, -1])\nreturn c", "c : f32[3] = slice(y, [1], [3], [1])\n");
    body_is("return stack(y, y, axis=-1)", "concat(v0, v1, axis=1)\n");
    body_is("return unsqueeze(y, axis=-1)", "reshape(y, [4, 1])\n");
    body_is("return squeeze(unsqueeze(y, axis=[0, 1]), axis=all)", "reshape(v0, [4])\n");
    body_is("return dropout(y, p=0.5)", "return y\n");
    body_is("return reshape(x, [S, 2, -1])", "reshape(x, [S, 2, 2])\n");
    body_is("return pad(y, 1)", "pad(y, [[1, 1]])\n");
    body_is("return einsum(\"sd,d->s\", x, y)", "einsum(\"sd,d->s\", x, y)\n");
    body_is("return gather(x, 0)", "v0 : i32 = 0\n    v1 : f32[4] = gather(x, v0)\n");
    body_refused("return sum(x, 0)", "'axis' is given by name: axis=");
    body_refused("return topk(y, 2)", "'k' is given by name");
    body_refused("return softmax(x, axes=0)", "did you mean 'axis'?");
    body_refused("return sofmax(x)", "unknown function 'sofmax'; did you mean 'softmax'?");
    body_refused("return add(x, x)", "unknown function 'add'");
}

Test(dumps, forms_parse) {
    check("model m\ndim S in 1..8\nparam w : f32[4, 4] = ones store(f16) layout(\"0/32 1/4 0:32 1:4\")\n"
          "export fn f(x: f32[S, 4]) -> f32[S, 4] fixed(S=2) {\n"
          "  kernel k0 (x, w) -> y : f32[S, 4] layout(\"0 1\") in arena(64), z : f32[S, 4] over(0) "
          "schedule(contract, atom=fma, tile=[6, 64]) {\n"
          "    a : f32[S, 4] = linear(x, w) loc(\"o.mdl\":3:4)\n    y : f32[S, 4] = a + 1.0\n    z = x\n  } "
          "loc(\"o.mdl\":3:1)\n"
          "  u : i32 = extent((S + 1) // 2)\n  return y\n}\n",
          "    kernel k0 (x, w) -> y : f32[S, 4] layout(\"0 1\") in arena(64), z : f32[S, 4] over(0) "
          "schedule(contract, "
          "atom=fma, tile=[6, 64]) {\n");
    body_refused("kernel k (y) -> z : f32[4] {\n z = y + h\n}\nreturn z", "unknown name 'h'");
    body_refused("kernel k (y) -> z : f32[4] schedule(what) {\n z = y\n}\nreturn z",
                 "a schedule begins with");
}

/* A safetensors file in a folder of its own: wq.0, wq.1 : f32[2, 2]; ids : i64[2]. Returns the folder. */
static char *weights_folder(void) {
    static char folder[] = "/tmp/frontend-XXXXXX";
    static const char header[] = "{\"wq.0\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
                                 "\"wq.1\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[16,32]},"
                                 "\"ids\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[32,48]}}    ";
    uint64_t length = 256; /* blanks after the header align the data */
    char path[64], data[48] = {1}, padded[256];
    memset(padded, ' ', sizeof padded);
    memcpy(padded, header, sizeof header - 1);
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/w.safetensors", folder);
    FILE *f = fopen(path, "wb");
    fwrite(&length, 8, 1, f);
    fwrite(padded, length, 1, f);
    fwrite(data, sizeof data, 1, f);
    fclose(f);
    return folder;
}

struct bound {
    struct graph *graph;
    struct diag diag;
    bool parsed, complete;
};

/* Parses the text as FOLDER/m.mdl, then binds it. */
static struct bound bind_in(const char *folder, const char *text, const char *weights) {
    struct arena *a = arena_new();
    struct bound b = {0};
    struct frontend_options options = {.weights = weights};
    size_t heard;
    FILE *errors = open_memstream(&messages, &heard);
    struct diag *d = arena_new_object(a, struct diag);
    diag_init(d, a, errors);
    b.graph = frontend_parse(a, d, arena_printf(a, "%s/m.mdl", folder), text, strlen(text), &options);
    b.parsed = !d->errors;
    b.complete = b.parsed && frontend_bind(b.graph, weights);
    fclose(errors);
    b.diag = *d;
    return b;
}

static void unlink_folder(const char *folder) {
    char path[64];
    snprintf(path, sizeof path, "%s/w.safetensors", folder);
    remove(path);
    remove(folder);
}

Test(weights, bind_to_files) {
    char *folder = weights_folder(), file[64];
    snprintf(file, sizeof file, "%s/w.safetensors", folder);
    const char *text =
        "weights \"w.safetensors\"\nparam wq[2] : f32[2, 2] from \"wq.{i}\"\nparam ids : i64[2]\n";
    struct bound b = bind_in(folder, text, NULL);
    cr_assert(b.complete, "%s", messages);
    const struct global *wq = b.graph->globals;
    cr_expect_eq(wq->stored[1].format, FORMAT_f32);
    cr_expect_eq((const char *)wq->stored[1].data - (const char *)wq->stored[0].data, 16);
    cr_expect_eq(wq->next->stored[0].bytes, 16);

    b = bind_in("/nowhere", text, folder);
    cr_expect(b.complete, "%s", messages);
    b = bind_in("/nowhere", text, file);
    cr_expect(b.complete, "%s", messages);
    b = bind_in("/nowhere", text, NULL);
    cr_expect(b.parsed && !b.complete, "a file is missing only when it is needed");
    cr_expect(strstr(messages, "/nowhere/m.mdl:1:9: error: "), "%s", messages);

    b = bind_in(folder, "weights \"w.safetensors\"\nparam wq[2] : f32[2, 3] from \"wq.{i}\"\n", NULL);
    cr_expect(!b.parsed && strstr(messages, "2:7: error: shapes differ: wq is f32[2, 3], but 'wq.0' in"),
              "%s", messages);
    b = bind_in(folder, "weights \"w.safetensors\"\nparam wq[3] : f32[2, 2] from \"wq.{i}\"\n", NULL);
    cr_expect(!b.parsed && strstr(messages, "no tensor 'wq.2' for wq"), "%s", messages);
    b = bind_in(folder, "weights \"w.safetensors\"\nparam ids : i32[2]\n", NULL);
    cr_expect(!b.parsed && strstr(messages, "ids is i32, but 'ids' in"), "%s", messages);
    b = bind_in(folder, "weights \"w.safetensors\"\nparam ids : f32[2]\n", NULL);
    cr_expect(!b.parsed && strstr(messages, "stored as i64"), "%s", messages);
    b = bind_in(folder, "weights \"../w.safetensors\"\nparam ids : i64[2]\n", NULL);
    cr_expect(!b.complete && strstr(messages, "--weights"), "%s", messages);
    unlink_folder(folder);
}

Test(options, the_later_value_holds) {
    struct arena *a = arena_new();
    struct diag d;
    const char *text = "option precision = bf16\n";
    diag_init(&d, a, stderr);
    struct graph *g = frontend_parse(a, &d, "t.mdl", text, strlen(text), NULL);
    cr_expect(frontend_option(g, "precision", "int8", (struct loc){0}));
    cr_expect_str_eq(graph_option(g, "precision"), "int8");
    cr_expect_null(g->options->next);
    refuse("option precision = bf16\noption precision = f32\n",
           "t.mdl:2:8: error: option precision is given twice");
    refuse("option precison = bf16\n", "did you mean 'precision'?");
}
