/* The table of CPUs, and the triples in it. */
#include "ir/target.h"
#include <stddef.h>
#include <string.h>

static const struct target targets[] = {
#define TARGET(cpu, triple, features, bytes, registers, fma, bf16, dot_bf16, byte_dot, amx, amx_fast, l1, l2) \
    {triple,         cpu, features, bytes, registers, fma,   bf16, dot_bf16,                                 \
     DOT_##byte_dot, amx, amx_fast,  l1,    l2,        false, false, 0,    0},
#define GPU(cpu, capability, shared)                                                                         \
    {CUDA_TRIPLE, cpu,   "",     128,      255,  true,  true,       false,                                   \
     DOT_widen,   false, false, 131072, 50 << 20, true, false, capability, shared},
#include "ir/targets.def"
#undef GPU
#undef TARGET
};
enum { COUNT = sizeof targets / sizeof *targets };

const struct target *target_number(int number) { return number < COUNT ? &targets[number] : NULL; }

const struct target *target_find(const char *triple, const char *cpu) {
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(targets[i].cpu, cpu) && (!triple || !strcmp(targets[i].triple, triple)))
            return &targets[i];
    return NULL;
}

const char *target_triple_number(int number) {
    for (int i = 0; i < COUNT; i++)
        if (!i || strcmp(targets[i].triple, targets[i - 1].triple))
            if (!number--) return targets[i].triple;
    return NULL;
}

/* machine-system-library, or machine-vendor-system-library. */
static bool is_spelled(const char *triple, const char *given) {
    size_t machine = strcspn(triple, "-");
    if (strncmp(triple, given, machine) || given[machine] != '-') return false;
    const char *system = triple + machine, *rest = given + machine, *vendor = strchr(rest + 1, '-');
    return !strcmp(system, rest) || (vendor && !strcmp(system, vendor));
}

const char *target_triple(const char *given) {
    const char *triple;
    for (int i = 0; (triple = target_triple_number(i)); i++)
        if (is_spelled(triple, given)) return triple;
    return NULL;
}
