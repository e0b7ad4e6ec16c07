/* Compiled code against the interpreter: every op, for each element type it takes and each class of shapes.
 *
 *     ops.def's rows x {f32, f64, f16, ..., bool} x {constant shapes, symbolic ones}
 *
 * All cases of one type and one class are one model, so that a few dozen libraries cover everything.
 * Arguments: a CPU to compile for (default native; emulate:sm_90a), a part of the name of a type, to run less,
 * and for another kind of machine its triple and, if it is no GPU of this one, the command that runs `remote` there.
 */
#include "tests/numeric/compiled.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct op_case {
    const char *types, *inputs, *expression;
} cases[] = {
#define CASE(types, inputs, expression) {types, inputs, expression},
#include "tests/numeric/ops.def"
#undef CASE
};
enum { CASES = sizeof cases / sizeof *cases };

/* Values of R and C: written into the text, or left to dims. */
static const int64_t sizes[][2] = {{3, 7}, {1, 1}, {2, 64}, {5, 37}, {0, 5}, {4, 0}, {17, 1}};
enum { SIZES = sizeof sizes / sizeof *sizes, SYMBOLIC = SIZES };

static bool takes(const struct op_case *k, enum dtype t) {
    static const char letters[] = {[CLASS_FLOAT] = 'f', [CLASS_INTEGER] = 'i', [CLASS_LOGICAL] = 'b'};
    return strchr(k->types, letters[dtype_class(t)]);
}

/* Whether the case can be had in a shape class: nothing is empty where it may not be. */
static bool has_class(const struct op_case *k, int size) {
    return size == SYMBOLIC || !strchr(k->types, 'n') || (sizes[size][0] && sizes[size][1]);
}

/* `text` with T, R and C (where they stand alone) replaced. */
static void put(FILE *out, const char *text, const char *type, const char *r, const char *c) {
    for (const char *p = text; *p; p++) {
        bool word =
            (p > text && (p[-1] == '_' || (p[-1] >= 'a' && p[-1] <= 'z'))) || (p[1] >= 'a' && p[1] <= 'z');
        const char *with = word ? NULL : *p == 'T' ? type : *p == 'R' ? r : *p == 'C' ? c : NULL;
        if (with)
            fputs(with, out);
        else
            fputc(*p, out);
    }
}

static char *model_text(enum dtype t, int size) {
    char *text, r[24] = "R", c[24] = "C";
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (size != SYMBOLIC)
        snprintf(r, sizeof r, "%lld", (long long)sizes[size][0]),
            snprintf(c, sizeof c, "%lld", (long long)sizes[size][1]);
    fputs("model test\n", out);
    if (size == SYMBOLIC) fputs("dim R in 0..64, C in 0..64, R1 in 1..64, C1 in 1..64\n", out);
    for (int i = 0; i < CASES; i++) {
        if (!takes(&cases[i], t) || !has_class(&cases[i], size)) continue;
        const char *some_r = size == SYMBOLIC && strchr(cases[i].types, 'n') ? "R1" : r;
        const char *some_c = size == SYMBOLIC && strchr(cases[i].types, 'n') ? "C1" : c;
        bool two = !strncmp(cases[i].expression, "topk", 4);
        fprintf(out, "export fn op%d(", i);
        put(out, cases[i].inputs, dtype_name(t), some_r, some_c);
        fputs(two ? ") {\n    v, i = " : ") = ", out);
        put(out, cases[i].expression, dtype_name(t), some_r, some_c);
        fputs(two ? "\n    return v, i\n}\n" : "\n", out);
    }
    fclose(out);
    return text;
}

/* Values of the function's dims: R is sizes[size][0], C sizes[size][1]. */
static bool set_dims(const struct compiled *c, const char *function, int size, int64_t *dims) {
    for (uint32_t f = 0; f < c->pair.descriptor->functions_count; f++) {
        const struct mdl_function *found = &c->pair.descriptor->functions[f];
        if (strcmp(found->name, function)) continue;
        for (uint32_t i = 0; i < found->dims_count; i++) dims[i] = sizes[size][found->dims[i].name[0] == 'C'];
        return true;
    }
    return false;
}

static int check_case(struct compiled *c, enum dtype t, int number, int size, bool symbolic) {
    char function[16];
    int64_t dims[8] = {0};
    int wrong = 0;
    snprintf(function, sizeof function, "op%d", number);
    if (!set_dims(c, function, size, dims)) return 1;
    for (int side = 0; side < 2; side++) {
        const char *what;
        struct check k = {function, dims, (enum guard_side)side, (unsigned)(number * 31 + size), 2e-6};
        if (compiled_agrees(c, &k, &what)) continue;
        printf("%s  [%s, R = %lld, C = %lld%s]: %s\n", cases[number].expression, dtype_name(t),
               (long long)sizes[size][0], (long long)sizes[size][1], symbolic ? ", symbolic" : "", what);
        wrong = 1;
    }
    return wrong;
}

static int check_model(enum dtype t, int size, const struct machine *m, int *checked) {
    char *text = model_text(t, size);
    struct compiled *c = compiled_new(text, m, "");
    int wrong = 0, first = size == SYMBOLIC ? 0 : size, last = size == SYMBOLIC ? SIZES - 1 : size;
    free(text);
    if (!c) {
        printf("%s, shape class %d: not compiled\n", dtype_name(t), size);
        return 1;
    }
    for (int i = 0; i < CASES; i++)
        for (int s = first; takes(&cases[i], t) && s <= last; s++) {
            if (!has_class(&cases[i], s)) continue;
            wrong += check_case(c, t, i, s, size == SYMBOLIC);
            ++*checked;
        }
    compiled_free(c);
    return wrong;
}

/* f32 in every class; other types in two constant ones and the symbolic one. */
int main(int argc, char **argv) {
    struct machine m = machine_of(argc, argv);
    const char *only = argc > 2 ? argv[2] : "";
    int wrong = 0, checked = 0;
    for (int t = 0; t < DTYPE_COUNT; t++) {
        if (!strstr(dtype_name((enum dtype)t), only)) continue;
        for (int size = 0; size <= SIZES; size++)
            if (t == DTYPE_F32 || size == SYMBOLIC || size == 0 || size == 2)
                wrong += check_model((enum dtype)t, size, &m, &checked);
    }
    printf("%d cases for %s, %d wrong\n", checked, m.cpu ? m.cpu : "native", wrong);
    return wrong != 0;
}
