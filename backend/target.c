/* CPUs: "native" found out, and what compiled code asks of the machine it runs on. */
#include "backend/code.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define AMX "amx-tile amx-bf16 amx-int8"

/* What LLVM may use for a CPU of targets.def beyond its class (by vector registers), as far as the runtime
 * can check it. */
static const struct {
    const char *cpu, *features;
} extras[] = {
    {"alderlake", "avxvnni gfni"},
    {"cascadelake", "avx512vnni"},
    {"cooperlake", "avx512vnni avx512bf16"},
    {"icelake-client", "avx512vnni avx512vbmi avx512vbmi2 avx512ifma gfni"},
    {"icelake-server", "avx512vnni avx512vbmi avx512vbmi2 avx512ifma gfni"},
    {"tigerlake", "avx512vnni avx512vbmi avx512vbmi2 avx512ifma gfni"},
    {"sapphirerapids", "avx512vnni avx512bf16 avx512fp16 avx512vbmi avx512vbmi2 avx512ifma gfni " AMX},
    {"emeraldrapids", "avx512vnni avx512bf16 avx512fp16 avx512vbmi avx512vbmi2 avx512ifma gfni " AMX},
    {"graniterapids", "avx512vnni avx512bf16 avx512fp16 avx512vbmi avx512vbmi2 avx512ifma gfni " AMX},
    {"znver4", "avx512vnni avx512bf16 avx512vbmi avx512vbmi2 avx512ifma gfni"},
    {"znver5", "avx512vnni avx512bf16 avx512vbmi avx512vbmi2 avx512ifma gfni"},
    {"cortex-a53", "crc"},
    {"cortex-a72", "crc"},
    {"cortex-a76", "crc lse rdm fullfp16 dotprod rcpc"},
    {"neoverse-n1", "crc lse rdm fullfp16 dotprod rcpc"},
    {"neoverse-v1", "crc lse rdm fullfp16 dotprod rcpc complxnum jsconv fp16fml sve bf16 i8mm"},
    {"neoverse-n2", "crc lse rdm fullfp16 dotprod rcpc complxnum jsconv fp16fml sve bf16 i8mm sve2"},
    {"neoverse-v2", "crc lse rdm fullfp16 dotprod rcpc complxnum jsconv fp16fml sve bf16 i8mm sve2"},
    {"apple-m1", "crc lse rdm fullfp16 dotprod rcpc complxnum jsconv fp16fml"},
    {"apple-m2", "crc lse rdm fullfp16 dotprod rcpc complxnum jsconv fp16fml bf16 i8mm"},
};
static const char *const checked[] = {/* features worth checking, among those a host lists */
                                      "avxvnni",    "sse3",       "ssse3",      "sse4.1",      "sse4.2",
                                      "popcnt",     "avx",        "avx2",       "fma",         "f16c",
                                      "bmi",        "bmi2",       "movbe",      "gfni",        "avx512f",
                                      "avx512bw",   "avx512cd",   "avx512dq",   "avx512vl",    "avx512vnni",
                                      "avx512bf16", "avx512fp16", "avx512vbmi", "avx512vbmi2", "avx512ifma",
                                      "crc",        "lse",        "rdm",        "fullfp16",    "dotprod",
                                      "rcpc",       "complxnum",  "jsconv",     "fp16fml",     "sve",
                                      "sve2",       "bf16",       "i8mm",       "amx-tile",    "amx-bf16",
                                      "amx-int8"};

/* Whether `features` ("+a,-b,+c") switches `name` on. */
static bool has(const char *features, const char *name) {
    size_t length = strlen(name);
    for (const char *p = features; (p = strstr(p, name)); p += length)
        if (p > features && p[-1] == '+' && (p[length] == ',' || !p[length])) return true;
    return false;
}

const char *target_needs(struct arena *a, const struct target *t) {
    const char *needs = "";
    if (has(t->features, "sse2") || has(t->features, "neon")) { /* a host's full list */
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

const char *backend_host_triple(void) {
    char *given = LLVMGetDefaultTargetTriple();
    const char *triple = target_triple(given);
    LLVMDisposeMessage(given);
    return triple;
}

/* The class of CPUs that has no more than this machine. */
static const char *host_class(const char *features) {
    bool avx512 = has(features, "avx512f") && has(features, "avx512bw") && has(features, "avx512dq") &&
                  has(features, "avx512vl");
    bool avx2 = has(features, "avx2") && has(features, "fma") && has(features, "f16c");
    return avx512 ? "x86-64-v4" : avx2 ? "x86-64-v3" : "generic";
}

static enum byte_dot host_dot(const char *features, bool avx512) {
    if (!avx512 && has(features, "avxvnni")) return DOT_busd;
    if (has(features, "i8mm")) return DOT_usdot;
    if (has(features, "dotprod")) return DOT_sdot;
    if (avx512 && has(features, "avx512vnni")) return DOT_busd;
    return has(features, "ssse3") ? DOT_maddubs : DOT_widen;
}

/* Of those of `wanted` that are in `features`, the number; -1 unless all are. */
static int count_all(const char *features, const char *wanted) {
    int count = 0;
    char name[16];
    for (int length; sscanf(wanted, " %15s%n", name, &length) == 1; wanted += length, count++)
        if (!has(features, name)) return -1;
    return count;
}

/* A CPU that LLVM does not know, or a virtual machine hides behind another's number: the row with most of what it
 * has beyond its class, the last of several; NULL: it has nothing. */
static const struct target *alike(const char *triple, const char *features) {
    const struct target *best = NULL, *base = target_find(triple, host_class(features));
    int most = 0;
    for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
        const struct target *t = target_find(triple, extras[i].cpu);
        int count = count_all(features, extras[i].features);
        if (!t || t->vector_bytes != base->vector_bytes || count < most) continue;
        best = t;
        most = count;
    }
    return best;
}

const struct target *backend_host(struct arena *a, const char *triple, const char *name,
                                  const char *features) {
    struct target *t = arena_new_object(a, struct target);
    const struct target *known = target_find(triple, name), *base = target_find(triple, host_class(features));
    if (!known) known = alike(triple, features);
    bool avx512 = base->vector_bytes == 64;
    *t = known ? *known : *base;
    t->vector_bytes = base->vector_bytes;
    t->vector_registers = base->vector_registers;
    t->fma = base->fma;
    t->bf16 = (avx512 && has(features, "avx512bf16")) || has(features, "bf16");
    t->dot_bf16 = t->bf16 && (known ? known->dot_bf16 : avx512);
    t->byte_dot = host_dot(features, avx512);
    t->amx = avx512 && has(features, "amx-tile") && has(features, "amx-bf16") && has(features, "amx-int8");
    t->amx_fast = t->amx && known && known->amx_fast;
    t->cpu = arena_strdup(a, known ? known->cpu : name);
    t->features = arena_strdup(a, features);
    return t;
}

static const struct target *native(struct arena *a, const char *triple) {
    char *name = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
    const struct target *t = backend_host(a, triple, name, features);
    LLVMDisposeMessage(name);
    LLVMDisposeMessage(features);
    return t;
}

const struct target *backend_emulated(struct arena *a, const char *cpu) {
    const char *host = backend_host_triple();
    const struct target *gpu = target_find(CUDA_TRIPLE, cpu),
                        *known = gpu ? gpu : target_find("x86_64-linux-gnu", cpu),
                        *own = known && host ? native(a, host) : NULL;
    if (!own) return NULL;
    struct target *t = arena_new_object(a, struct target);
    *t = *known;
    t->triple = own->triple;
    t->cpu = own->cpu;
    t->features = own->features;
    t->fma = own->fma;
    if (gpu) t->bf16 = own->bf16;
    /* Not by the same instructions that are emulated, nor by some of their extensions without others. */
    if (!gpu && has(own->features, "avx512f")) t->features = arena_printf(a, "%s,-avx512f", own->features);
    t->emulated = true;
    return t;
}

/* Why there is no such CPU. */
static const char *explain_unknown(struct arena *a, const char *triple, const char *cpu) {
    const struct target *elsewhere = target_find(NULL, cpu), *t;
    if (!strcmp(cpu, "native"))
        return arena_printf(a, "native is this machine, and that is no %s: name a CPU", triple);
    if (elsewhere)
        return arena_printf(a, "'%s' is a CPU of %s, not of %s: give --target=%s too", cpu, elsewhere->triple,
                            triple, elsewhere->triple);
    const char *names[128];
    int count = 0, most = sizeof names / sizeof *names;
    for (int i = 0; (t = target_number(i)) && count < most; i++)
        if (!strcmp(t->triple, triple)) names[count++] = t->cpu;
    const char *near = diag_nearest(cpu, names, count);
    return near ? arena_printf(a, "unknown CPU '%s'; did you mean '%s'?", cpu, near)
                : arena_printf(a, "unknown CPU '%s'; known are native and those that --list-cpus lists", cpu);
}

const struct target *backend_target(struct arena *a, const char *triple, const char *cpu,
                                    const char **error) {
    const char *host = backend_host_triple();
    *error = NULL;
    if (!triple) triple = host;
    if (!triple) return *error = "this machine's kind is not known here: --target says which is meant", NULL;
    bool here = host && !strcmp(host, triple);
    if (!cpu) cpu = here ? "native" : "generic";
    if (here && !strcmp(cpu, "native")) return native(a, triple);
    const struct target *t = target_find(triple, cpu);
    if (!t) *error = explain_unknown(a, triple, cpu);
    return t;
}
