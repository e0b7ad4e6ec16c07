/* A dump is a program: what is parsed from a dump prints the same dump, for every construct that a dump has.
 */
#include "frontend/frontend.h"
#include "ir/print.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char header[] = "model t\n"
                             "option precision = bf16\n"
                             "dim S in 1..16\n"
                             "dim T in 0..8\n"
                             "weights \"a.gguf\"\n"
                             "param whole : f32[32, 32] from \"w\" store(q8_0)\n"
                             "weights \"b.npz\"\n"
                             "param v[2] : i8[4] from \"v.{i}\" layout(\"0/2 0:2\")\n"
                             "param e[2][3] : f32[4] = normal(std=0.02)\n"
                             "param table : f32[2, 2] = [[1, 2], [-3.5, inf]]\n"
                             "param u[4] : f32[4, 4] = uniform(lo=-1, hi=1)\n"
                             "state s[2] : f32[4] = 0.1\n"
                             "state c : i32 = -1\n"
                             "state flags : bool[2] = ones\n";

/* Bodies of f(x: f32[S, 4], t: i32, h: bf16[4], ticks: f32[T]). */
static const char *const bodies[] = {
    "a = x * 2.0 + 1\n b = where(a > 0, a, -0.5)\n return (-2.0) ** clip(b, -1e30, inf), h * 0.1, not (b > "
    "nan)",
    "most, i = topk(x, k=2)\n return most, i, sum(x, axis=all, keep), mean(x, axis=0), argmax(x)",
    "y = x[0]\n z = x[S-1]\n for j scan 0..T {\n w = y + e[1][2] + x[j]\n y = z\n z = w\n s[0] = w\n c = j + "
    "c\n }\n"
    "return y, z, s[0], c",
    "o = x\n for j scan 0..4 { o = linear(o, u[j]) }\n return o, x[:, 1:3], flip(x, axis=1), e[1][1]",
    "k = [1, 2, 3, 4]\n return gather(x, k - 1 + 0 * t), cast(x, f16), einsum(\"sd,dk->sk\", x, u[0]), v[1]",
    "r = rope(reshape(x, [S, 1, 4]), at=3)\n return sdpa(r, r, r, causal, at=t), sdpa(r, r, r, scale=0.3)",
    "return pad(x, [[0, 0], [1, 1]], value=-1.5), conv(reshape(x, [S, 1, 4]), reshape(u[0][0], [1, 1, 4]), "
    "pad=2), whole",
    "kernel k7 (x, u[0], e[1][0]) -> q : f32[S, 4] in arena(64) over(0), p : f32[S, 4] layout(\"1 0\") "
    "schedule(contract, atom=fma, tile=[6, 16], block=[96, 0, 256]) {\n"
    "t0 : f32[S, 4] = linear(x, u[0])\n q : f32[S, 4] = t0 + e[1][0]\n p : f32[S, 4] = x\n }\n"
    "guard(t, 0, S, \"an \\\"id\\\"\")\n return q, p, x[t]",
    "x1 = neg(x)\n x0 = abs(x1)\n x = exp(x0)\n x = log(x)\n causal = x\n return causal, flags, true, 1.5, 7",
    "b : f32[S, 4] = x\n for i in 0..2 { for j scan 0..3 { b = b + x\n for l scan 0..2 { x = b * x } } }\n "
    "return x, b",
};

struct parsed {
    struct arena *arena;
    struct diag diag;
    struct graph *graph;
};

static struct parsed *parse(const char *text) {
    struct arena *a = arena_new();
    struct parsed *p = arena_new_object(a, struct parsed);
    const struct frontend_options options = {0};
    p->arena = a;
    diag_init(&p->diag, a, stderr);
    p->graph = frontend_parse(a, &p->diag, "t.mdl", text, strlen(text), &options);
    cr_assert_eq(p->diag.errors, 0, "%s", text);
    return p;
}

static const char *dump(const struct parsed *p) { return graph_text(p->arena, p->graph); }

Test(roundtrip, a_dump_parses_to_the_same_dump) {
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char text[8192];
        snprintf(text, sizeof text,
                 "%sexport fn f(x: f32[S, 4], t: i32, h: bf16[4], ticks: f32[T]) {\n%s\n}\n", header,
                 bodies[i]);
        struct parsed *first = parse(text);
        const char *one = dump(first);
        struct parsed *second = parse(one);
        const char *two = dump(second);
        cr_expect_str_eq(two, one, "first:\n%s\nsecond:\n%s", one, two);
        cr_expect_eq(second->graph->globals_count, first->graph->globals_count);
        arena_release(first->arena);
        arena_release(second->arena);
    }
}
