/* Whether this processor has what a model was compiled for. */
#ifndef RUNTIME_CPU_H
#define RUNTIME_CPU_H
#include <stdbool.h>
#include <stddef.h>

/* Whether processor and system have all of `features`, names as LLVM spells them, separated by spaces. If
 * not, the first that is missing (or that nobody here can test for) is copied to `missing`. */
bool cpu_has(const char *features, char *missing, size_t size);

#endif
