/* What the backend promises about its outputs: the same bytes each time, all files or none, each kernel once,
 * barriers only where they are needed, nothing exported but the model's own. */
#include "backend/backend.h"
#include "backend/checksum.h"
#include "frontend/frontend.h"
#include "passes/pass.h"
#include "runtime/abi.h"
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct arena *arena;
static char folder[64];

static void begin(void) {
    arena = arena_new();
    strcpy(folder, "/tmp/mdl-backend-XXXXXX");
    cr_assert(mkdtemp(folder));
}

static void end(void) {
    cr_expect_eq(system(arena_printf(arena, "rm -r '%s'", folder)), 0);
    arena_release(arena);
}

static const char *in_folder(const char *name) { return arena_printf(arena, "%s/%s", folder, name); }

static struct graph *prepare(const char *text, FILE *messages) {
    struct diag *d = arena_new_object(arena, struct diag);
    struct frontend_options o = {.seed = 1};
    const char *error;
    diag_init(d, arena, messages);
    struct graph *g = frontend_parse(arena, d, "test.mdl", text, strlen(text), &o);
    cr_assert(d->errors == 0 && frontend_bind(g, NULL));
    g->target = backend_target(arena, NULL, NULL, &error);
    struct pipeline p = {.bisect_limit = -1, .out = stderr};
    cr_assert(pipeline_run(g, &p));
    return g;
}

static enum backend_status emit(const char *text, enum artifact kind, const char *output,
                                int64_t embed_limit) {
    const char *runtime = getenv("MDL_RUNTIME");
    struct backend_options o = {.output = output,
                                .runtime = runtime ? runtime : "runtime/libmdl-runtime.a",
                                .opt_level = 1,
                                .embed_limit = embed_limit};
    return backend_emit(prepare(text, stderr), kind, &o);
}

static char *contents(const char *path, size_t *size) {
    FILE *in = fopen(path, "rb");
    cr_assert(in, "%s", path);
    char *bytes = arena_alloc(arena, 1 << 22, 1);
    *size = fread(bytes, 1, 1 << 22, in);
    fclose(in);
    return bytes;
}

static const struct mdl_descriptor *load(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    cr_assert(library, "%s", dlerror());
    return dlsym(library, "mdl_descriptor");
}

static const char layers[] = "model deep\n"
                             "dim S in 1..64\n"
                             "const L = %d\n"
                             "param w[L] : f32[48, 48] = normal(std=0.1)\n"
                             "param g[L] : f32[48] = ones\n"
                             "export fn f(x: f32[S, 48]) -> f32[S, 48] {\n"
                             "    for i in 0..L {\n"
                             "        x = x + silu(linear(rms_norm(x) * g[i], w[i]))\n"
                             "    }\n"
                             "    return softmax(x)\n"
                             "}\n";

TestSuite(backend, .init = begin, .fini = end);

Test(backend, same_bytes_twice) {
    const char *text = arena_printf(arena, layers, 3), *names[] = {"libdeep.so", "deep.h", "deep.weights"};
    size_t sizes[3], size;
    char *first[3];
    cr_assert_eq(emit(text, ARTIFACT_SO, in_folder("libdeep.so"), 0), BACKEND_DONE);
    for (int i = 0; i < 3; i++) first[i] = contents(in_folder(names[i]), &sizes[i]);
    cr_assert_eq(emit(text, ARTIFACT_SO, in_folder("libdeep.so"), 0), BACKEND_DONE);
    for (int i = 0; i < 3; i++) {
        char *second = contents(in_folder(names[i]), &size);
        cr_expect(size == sizes[i] && !memcmp(first[i], second, size), "%s differs", names[i]);
    }
}

Test(backend, code_does_not_grow_with_depth) {
    uint32_t kernels[2];
    for (int i = 0; i < 2; i++) {
        const char *path = in_folder(i ? "libmany.so" : "libfew.so");
        cr_assert_eq(emit(arena_printf(arena, layers, i ? 12 : 4), ARTIFACT_SO, path, 1 << 30), BACKEND_DONE);
        kernels[i] = load(path)->kernels_count;
    }
    cr_expect_eq(kernels[0], kernels[1], "%u kernels for 4 layers, %u for 12", kernels[0], kernels[1]);
}

/* What all layers give, and some rows of it: a function with one dim, one with two. */
static const char both[] = "model both\n"
                           "dim S in 1..64, T in 1..8\n"
                           "param w[4] : f32[48, 48] = normal(std=0.1)\n"
                           "fn deep(x: f32[S, 48]) {\n"
                           "    for i in 0..4 { x = x + silu(linear(rms_norm(x), w[i])) }\n"
                           "    return x\n"
                           "}\n"
                           "export fn all(x: f32[S, 48]) -> f32[S, 48] = softmax(deep(x))\n"
                           "export fn some(x: f32[S, 48], rows: i32[T]) -> f32[T, 48] {\n"
                           "    return softmax(gather(deep(x), rows))\n"
                           "}\n";

Test(backend, functions_share_kernels_and_refs_whatever_their_other_dims) {
    cr_assert_eq(emit(both, ARTIFACT_SO, in_folder("libboth.so"), 1 << 30), BACKEND_DONE);
    const struct mdl_descriptor *d = load(in_folder("libboth.so"));
    const struct mdl_variant *all = d->functions[0].variants, *some = d->functions[1].variants;
    uint32_t same = 0; /* steps of `all` that `some` has too */
    for (uint32_t i = 0; i < all->steps_count; i++)
        for (uint32_t j = 0; j < some->steps_count; j++)
            same += all->steps[i].kernel == some->steps[j].kernel &&
                    all->steps[i].first_ref == some->steps[j].first_ref;
    cr_expect_geq(same, 4, "%u of %u steps", same, all->steps_count);

    enum { S = 10 };
    struct mdl_model *model;
    struct mdl_session *session;
    float x[S][48], y[S][48], z[2][48];
    const int32_t rows[] = {7, 2};
    for (int i = 0; i < S * 48; i++) x[i / 48][i % 48] = (float)(i * 37 % 101) / 50 - 1;
    cr_assert_eq(d->api->open(d, NULL, NULL, &model), MDL_OK);
    cr_assert_eq(d->api->session_new(model, &session), MDL_OK);
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(d->api->call(session, 0, (int64_t[]){S}, (const void *[]){x}, (void *[]){y}), MDL_OK);
        cr_assert_eq(d->api->call(session, 1, (int64_t[]){S, 2}, (const void *[]){x, rows}, (void *[]){z}),
                     MDL_OK);
        cr_expect_arr_eq(z[0], y[7], sizeof z[0]);
        cr_expect_arr_eq(z[1], y[2], sizeof z[1]);
    }
    d->api->session_free(session);
    d->api->close(model);
}

Test(backend, barriers_only_between_dependent_steps) {
    const char *apart =
        "model a\nexport fn f(x: f32[64, 64], y: f32[32, 8]) -> f32[64], f32[32] { return sum(x), max(y) }\n";
    const char *chain = "model b\nexport fn f(x: f32[64, 64]) -> f32[64, 64] = softmax(cumsum(x, axis=0))\n";
    cr_assert_eq(emit(apart, ARTIFACT_SO, in_folder("liba.so"), 0), BACKEND_DONE);
    cr_assert_eq(emit(chain, ARTIFACT_SO, in_folder("libb.so"), 0), BACKEND_DONE);
    const struct mdl_variant *a = load(in_folder("liba.so"))->functions->variants;
    const struct mdl_variant *b = load(in_folder("libb.so"))->functions->variants;
    cr_assert(a->steps_count == 2 && b->steps_count == 2);
    cr_expect_eq(a->steps[0].barrier, 0);
    cr_expect_eq(b->steps[0].barrier, 1);
}

Test(backend, nothing_is_left_of_a_failure) {
    const char *text = arena_printf(arena, layers, 1);
    cr_expect_eq(emit(text, ARTIFACT_SO, in_folder("none/libdeep.so"), 0), BACKEND_IO);
    struct backend_options o = {
        .output = in_folder("libdeep.so"), .runtime = in_folder("missing.a"), .opt_level = 1};
    cr_expect_neq(backend_emit(prepare(text, stderr), ARTIFACT_SO, &o), BACKEND_DONE);
    cr_expect_eq(system(arena_printf(arena, "test -z \"$(ls -A '%s')\"", folder)), 0, "files are left");
}

Test(backend, assigned_params_are_refused) {
    const char *text =
        "model a\nparam w : f32[8] = zeros\nexport fn f(x: f32[8]) -> f32[8] {\n    w = x\n    return w\n}\n";
    cr_expect_eq(emit(text, ARTIFACT_SO, in_folder("liba.so"), 0), BACKEND_INPUT);
    cr_expect_neq(access(in_folder("liba.so"), F_OK), 0);
}

Test(backend, header_is_c_and_cxx) {
    const char *text = "model a\ndim S in 0..9\nexport fn f(for_: f32[S, 2], int: bf16, b: bool[3]) -> "
                       "f32[S], bf16 { return sum(for_), int }\n";
    cr_assert_eq(emit(text, ARTIFACT_HEADER, in_folder("a.h"), 0), BACKEND_DONE);
    const char *source = getenv("srcdir") ? getenv("srcdir") : ".";
    const char *const languages[] = {"c -std=c11", "c++ -std=c++11"};
    for (int i = 0; i < 2; i++) {
        char *command = arena_printf(arena, "cc -Wall -Wextra -Werror -fsyntax-only -I'%s' -x %s '%s'",
                                     source, languages[i], in_folder("a.h"));
        cr_expect_eq(system(command), 0, "%s", command);
    }
}

Test(backend, exports_only_its_own) {
    cr_assert_eq(emit(arena_printf(arena, layers, 1), ARTIFACT_SO, in_folder("libdeep.so"), 1 << 20),
                 BACKEND_DONE);
    FILE *names = popen(arena_printf(arena, "nm -D --defined-only '%s'", in_folder("libdeep.so")), "r");
    char line[256], name[200];
    int count = 0;
    while (fgets(line, sizeof line, names)) {
        cr_assert_eq(sscanf(line, "%*s %*s %199s", name), 1);
        cr_expect(!strncmp(name, "deep_", 5) || !strcmp(name, "mdl_descriptor"), "%s is exported", name);
        count++;
    }
    pclose(names);
    cr_expect_geq(count, 9);
}

Test(backend, checksum) {
    cr_expect_eq(checksum("123456789", 9), 0xe3069283u); /* RFC 3720's check value */
    cr_expect_eq(checksum("", 0), 0);
}

/* ---- machines that are not what they say they are ---- */

#define AVX2 "+sse2,+ssse3,+avx,+avx2,+fma,+f16c"
#define AVX512 AVX2 ",+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx512cd"
#define VNNI AVX512 ",+avx512vnni,+avx512bf16,+avx512vbmi,+avx512vbmi2,+avx512ifma,+gfni"
#define AMX VNNI ",+avx512fp16,+amx-tile,+amx-bf16,+amx-int8"

static const struct target *host(const char *name, const char *features) {
    return backend_host(arena, "x86_64-linux-gnu", name, features);
}

Test(hosts, takes_the_row_most_like_an_unknown_one, .init = begin, .fini = end) {
    const struct target *large = host("rocketlake", AMX), *zen = host("znver9", VNNI),
                        *old = host("odd", AVX2), *plain = host("odd", AVX512);
    cr_expect_str_eq(large->cpu, "graniterapids");
    cr_expect(large->amx && large->amx_fast && large->bf16 && !large->dot_bf16 && large->l2_bytes == 2 << 20);
    cr_expect_str_eq(zen->cpu, "znver5");
    cr_expect(!zen->amx && zen->dot_bf16 && zen->l2_bytes == 1 << 20);
    cr_expect_str_eq(old->cpu, "odd");
    cr_expect(old->vector_bytes == 32 && old->byte_dot == DOT_maddubs);
    cr_expect_str_eq(plain->cpu, "odd");
    cr_expect(plain->vector_bytes == 64 && plain->byte_dot == DOT_maddubs && !plain->bf16);
}

Test(hosts, multiplies_floats_by_matrix_registers_where_that_pays, .init = begin, .fini = end) {
    const struct target *emerald = host("emeraldrapids", AMX), *granite = host("graniterapids", AMX);
    cr_expect(emerald->amx && !emerald->amx_fast);
    cr_expect(granite->amx && granite->amx_fast);
}

Test(hosts, leaves_out_what_is_hidden_of_a_known_one, .init = begin, .fini = end) {
    const struct target *less = host("graniterapids", AVX512), *none = host("graniterapids", AVX2);
    cr_expect_str_eq(less->cpu, "graniterapids");
    cr_expect(!less->amx && !less->bf16 && less->byte_dot == DOT_maddubs && less->vector_bytes == 64 && !less->amx_fast);
    cr_expect(none->vector_bytes == 32 && none->vector_registers == 16 && !none->amx);
}
