/* The table of CPUs. */
#include "ir/target.h"
#include <stddef.h>
#include <string.h>

static const struct target targets[] = {
#define TARGET(cpu, triple, features, bytes, registers, fma, bf16, dot_bf16, int8, l1, l2)                             \
    {triple, cpu, features, bytes, registers, fma, bf16, dot_bf16, int8, l1, l2},
#include "ir/targets.def"
#undef TARGET
};
static const char *const names[] = {
#define TARGET(cpu, triple, features, bytes, registers, fma, bf16, dot_bf16, int8, l1, l2) cpu,
#include "ir/targets.def"
#undef TARGET
    NULL};

const struct target *target_find(const char *cpu) {
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (!strcmp(targets[i].cpu, cpu)) return &targets[i];
    return NULL;
}

const char *const *target_names(void) { return names; }
