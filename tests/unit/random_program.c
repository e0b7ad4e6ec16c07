/* Random programs from a table of statements over values of a few shapes. */
#include "random_program.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shapes by letter: A [S, 8], B [S, 4, 2], C [S, 1], V [8], I i32[S]. In a statement, $A is any value of
 * shape A so far, @A is one that is bound again. */
static const char letters[] = "ABCVI";
enum { LETTERS = sizeof letters - 1, MAX_VALUES = 64 };

static const struct {
    char shape; /* of the result, or 0: a statement as it stands */
    const char *text;
} statements[] = {
    {'A', "tanh($A)"},
    {'A', "$A + $A * 0.5"},
    {'A', "tanh($A * $V)"},
    {'A', "neg(neg($A)) - $C * 1.0"},
    {'A', "maximum(0.25, $A)"},
    {'A', "where($A > $C, $A, 0.5)"},
    {'A', "(1 + 2) * $A - 0.0"},
    {'A', "$A / 4.0"},
    {'A', "cast(cast($A, f64), f32)"},
    {'A', "softmax($A)"},
    {'A', "softmax($A, axis=0)"},
    {'A', "log_softmax($A)"},
    {'A', "rms_norm($A, eps=0.0009765625) * $V"},
    {'A', "layer_norm($A, eps=0.0078125)"},
    {'A', "reshape($B, [S, 8])"},
    {'A', "tanh(cumsum($A, axis=0))"},
    {'A', "tanh(linear($A, w))"},
    {'A', "$A + linear(silu(linear($A, w)) * linear($A, u), w, b)"},
    {'A', "tanh(matmul($A, transpose(u, [1, 0])))"},
    {'A', "tanh(einsum(\"sd,de->se\", $A, w))"},
    {'A', "gather(w, $I)"},
    {'A', "gather($A, iota(S))"},
    {'A', "concat($A[:, 4:8], $A[:, 0:4], axis=1)"},
    {'A', "concat($A, $A, axis=1)[:, 8:16]"},
    {'A', "flip($A, axis=1)"},
    {'A', "pad($A[:, 2:6], [[0, 0], [1, 3]], value=0.5)"},
    {'A', "transpose(transpose($A, [1, 0]), [1, 0])"},
    {'A', "broadcast($V, [S, 8]) + $C"},
    {'A', "sort($A)"},
    {'A', "one_hot($I, 8)"},
    {'A', "take_along($A, argsort($A))"},
    {'A', "scatter($A, iota(S), $A)"},
    {'A',
     "reshape(sdpa(reshape($A, [S, 2, 4]), reshape($A, [S, 2, 4]), reshape($A, [S, 2, 4]), causal), [S, 8])"},
    {'A', "c[0:S] * 0.5"},
    {'A', "$A + cross_entropy($A, $I)"},
    {'A', "$A * cast(any($A > 1.0, axis=all), f32)"},
    {'B', "reshape($A, [S, 4, 2])"},
    {'B', "rope(reshape($A, [S, 4, 2]), at=t)"},
    {'B', "tanh($B) * reshape($C, [S, 1, 1])"},
    {'C', "tanh(sum($A, keep))"},
    {'C', "mean($A * $A, keep)"},
    {'C', "var($A, keep)"},
    {'C', "max($A, keep) - min($A, keep)"},
    {'C', "logsumexp($A, keep)"},
    {'C', "reshape(mean($A), [S, 1])"},
    {'V', "mean($A, axis=0)"},
    {'V', "$A[0] + $A[S-1]"},
    {'V', "$A[t] * 0.5"},
    {'V', "reshape(tanh(sum($B, axis=0)), [8])"},
    {'V', "c[t] + s"},
    {'V', "w[cast(abs(s[0]) * 2.0, i32)] * 0.5"},
    {'V', "tanh(gather(c, cast(abs(s) * 2.0, i32))[2])"},
    {'V', "max($A, axis=0)"},
    {'V', "($A + linear(silu(linear(rms_norm($A, eps=0.5), w)), u, b))[S-1]"},
    {'V', "reshape(sdpa(rope(reshape(tanh($A), [S, 2, 4]), at=t), reshape($A, [S, 2, 4]), reshape($A, [S, 2, 4]), causal), [S, 8])[S-1]"},
    {'C', "transpose(reshape(tanh($A * $V), [S, 2, 4]), [1, 0, 2])[1, :, 1:4:3][:, 0:1]"},
    {'I', "argmax($A)"},
    {'I', "($I + 3) % 8"},
    {'I', "clip($I, 1, 5)"},
    {0, "s = tanh(s * 0.5 + $V)"},
    {0, "c = write(c, $A, at=t)"},
    {0, "c = write(c, reshape($V * 0.5, [1, 8]), at=1)"},
    {0, "c = write(c, $A[:, 0:2], at=$I % 7, axis=1, rows=argsort($A[:, 1]))"},
    {0, "c = tanh(c)"},
    {0, "for i scan 0..3 { @V = tanh(@V * 0.5 + c[i]) }"},
    {0, "for i scan 0..S { s = s * 0.5 + x[i] }"},
    {0, "for i scan 0..2 {\n z = @A\n @A = tanh(z + $V)\n c = write(c, @A * 0.5, at=i)\n }"},
    {0, "for i scan 0..3 {\n z = @V\n @V = $V * 0.5\n s = z + s * 0.25\n }"},
};
enum { STATEMENTS = sizeof statements / sizeof *statements };

struct program {
    struct arena *a;
    uint64_t state;
    char *values[LETTERS][MAX_VALUES];
    int counts[LETTERS];
    int names;
};

/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014) */
static uint64_t next(struct program *p) {
    uint64_t z = p->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void add_value(struct program *p, char letter, const char *name) {
    int shape = (int)(strchr(letters, letter) - letters);
    if (p->counts[shape] < MAX_VALUES) p->values[shape][p->counts[shape]++] = arena_strdup(p->a, name);
}

static const char *any_value(struct program *p, char letter) {
    int shape = (int)(strchr(letters, letter) - letters);
    return p->values[shape][next(p) % (uint64_t)p->counts[shape]];
}

/* The template with names in place of $A (each its own) and @A (one for all). */
static void write_statement(struct program *p, const char *text, FILE *out) {
    const char *again[LETTERS] = {0};
    for (; *text; text++) {
        const char *shape = *text == '$' || *text == '@' ? strchr(letters, text[1]) : NULL;
        if (!shape) {
            fputc(*text, out);
            continue;
        }
        if (*text == '@' && !again[shape - letters]) again[shape - letters] = any_value(p, *shape);
        fputs(*text == '@' ? again[shape - letters] : any_value(p, *shape), out);
        text++;
    }
}

const char *random_program(struct arena *a, uint64_t seed, int count) {
    struct program p = {.a = a, .state = seed};
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    fputs("model t\ndim S in 1..12\nparam w : f32[8, 8] = normal(std=0.4)\nparam u : f32[8, 8] = "
          "normal(std=0.4)\n"
          "param b : f32[8] = uniform(lo=-1, hi=1)\nstate s : f32[8] = 0.5\nstate c : f32[24, 8] = 0.25\n"
          "export fn f(x: f32[S, 8], y: f32[S, 8], t: i32, ids: i32[S]) {\n",
          out);
    add_value(&p, 'A', "x");
    add_value(&p, 'A', "y");
    add_value(&p, 'I', "ids");
    fputs("v = x[0]\nadd_c = sum(y, keep)\nh = reshape(x, [S, 4, 2])\n", out);
    add_value(&p, 'V', "v");
    add_value(&p, 'C', "add_c");
    add_value(&p, 'B', "h");
    for (int i = 0; i < count; i++) {
        int which = (int)(next(&p) % STATEMENTS);
        char name[16];
        snprintf(name, sizeof name, "a%d", p.names++);
        if (statements[which].shape) fprintf(out, "%s = ", name);
        write_statement(&p, statements[which].text, out);
        fputc('\n', out);
        if (statements[which].shape) add_value(&p, statements[which].shape, name);
    }
    fputs("return ", out);
    for (int i = 0; i < 3; i++) fprintf(out, "%s, ", any_value(&p, letters[next(&p) % LETTERS]));
    fputs("s, c\n}\n", out);
    fclose(out);
    const char *copy = arena_strdup(a, text);
    free(text);
    return copy;
}
