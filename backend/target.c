/* CPUs: "native" found out, and what compiled code asks of the machine it runs on. */
#include "backend/code.h"
#include <ctype.h>
#include <string.h>

/* What LLVM may use for a CPU of targets.def beyond its class (by vector registers), as far as the runtime
 * can check it. */
static const struct {
    const char *cpu, *features;
} extras[] = {
    {"cascadelake", "avx512vnni"},
    {"cooperlake", "avx512vnni avx512bf16"},
    {"icelake-client", "avx512vnni avx512vbmi avx512vbmi2 avx512ifma gfni"},
    {"icelake-server", "avx512vnni avx512vbmi avx512vbmi2 avx512ifma gfni"},
    {"tigerlake", "avx512vnni avx512vbmi avx512vbmi2 avx512ifma gfni"},
    {"sapphirerapids", "avx512vnni avx512bf16 avx512fp16 avx512vbmi avx512vbmi2 avx512ifma gfni"},
    {"emeraldrapids", "avx512vnni avx512bf16 avx512fp16 avx512vbmi avx512vbmi2 avx512ifma gfni"},
    {"graniterapids", "avx512vnni avx512bf16 avx512fp16 avx512vbmi avx512vbmi2 avx512ifma gfni"},
    {"znver4", "avx512vnni avx512bf16 avx512vbmi avx512vbmi2 avx512ifma gfni"},
    {"znver5", "avx512vnni avx512bf16 avx512vbmi avx512vbmi2 avx512ifma gfni"},
};
static const char *const checked[] = {/* features worth checking, among those a host lists */
                                      "sse3",       "ssse3",      "sse4.1",      "sse4.2",     "popcnt",
                                      "avx",        "avx2",       "fma",         "f16c",       "bmi",
                                      "bmi2",       "movbe",      "gfni",        "avx512f",    "avx512bw",
                                      "avx512cd",   "avx512dq",   "avx512vl",    "avx512vnni", "avx512bf16",
                                      "avx512fp16", "avx512vbmi", "avx512vbmi2", "avx512ifma"};

/* Whether `features` ("+a,-b,+c") switches `name` on. */
static bool has(const char *features, const char *name) {
    size_t length = strlen(name);
    for (const char *p = features; (p = strstr(p, name)); p += length)
        if (p > features && p[-1] == '+' && (p[length] == ',' || !p[length])) return true;
    return false;
}

const char *target_needs(struct arena *a, const struct target *t) {
    const char *needs = "";
    if (strncmp(t->triple, "x86_64", 6)) return needs;
    if (has(t->features, "sse2")) { /* a host's full list */
        for (size_t i = 0; i < sizeof checked / sizeof *checked; i++)
            if (has(t->features, checked[i]))
                needs = arena_printf(a, "%s%s%s", needs, *needs ? " " : "", checked[i]);
        return needs;
    }
    if (t->vector_bytes == 16 && !strcmp(t->cpu, "x86-64-v2")) return "sse3 ssse3 sse4.1 sse4.2 popcnt";
    if (t->vector_bytes >= 32) needs = "avx avx2 fma f16c bmi bmi2 movbe popcnt";
    if (t->vector_bytes >= 64)
        needs = "avx avx2 fma f16c bmi bmi2 movbe popcnt avx512f avx512bw avx512cd avx512dq avx512vl";
    for (size_t i = 0; i < sizeof extras / sizeof *extras; i++)
        if (!strcmp(extras[i].cpu, t->cpu)) needs = arena_printf(a, "%s %s", needs, extras[i].features);
    return needs;
}

/* This machine: its CPU's row if there is one and nothing of it is hidden (by a virtual machine), else by
 * what it has. */
static const struct target *native(struct arena *a) {
    char *name = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
    struct target *t = arena_new_object(a, struct target);
    bool avx512 = has(features, "avx512f") && has(features, "avx512bw") && has(features, "avx512dq") &&
                  has(features, "avx512vl");
    bool avx2 = has(features, "avx2") && has(features, "fma") && has(features, "f16c");
    const char *class = avx512 ? "x86-64-v4" : avx2 ? "x86-64-v3" : "x86-64";
#ifdef __aarch64__
    class = "aarch64";
#endif
    const struct target *known = target_find(name), *base = target_find(class);
    *t = known ? *known : *base;
    t->vector_bytes = base->vector_bytes;
    t->vector_registers = base->vector_registers;
    t->fma = base->fma;
    t->bf16 = avx512 && has(features, "avx512bf16");
    t->dot_bf16 = t->bf16 && (!known || known->dot_bf16);
    t->dot_int8 = avx512 && has(features, "avx512vnni");
    t->cpu = arena_strdup(a, name);
    t->features = arena_strdup(a, features);
    LLVMDisposeMessage(name);
    LLVMDisposeMessage(features);
    return t;
}

const struct target *backend_target(struct arena *a, const char *cpu, const char **error) {
    *error = NULL;
    if (!strcmp(cpu, "native")) return native(a);
    const struct target *t = target_find(cpu);
    if (t) return t;
    int count = 0;
    const char *const *names = target_names();
    while (names[count]) count++;
    const char *near = diag_nearest(cpu, names, count);
    *error = near ? arena_printf(a, "unknown CPU '%s'; did you mean '%s'?", cpu, near)
                  : arena_printf(a, "unknown CPU '%s'; known are native and those that --help lists", cpu);
    return NULL;
}
