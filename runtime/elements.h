/* The element types of tensors, for tools: names, sizes, and single values to and from long double (which
 * holds every value of every type where it has 64 bits of mantissa, as on x86). */
#ifndef RUNTIME_ELEMENTS_H
#define RUNTIME_ELEMENTS_H
#include "runtime/abi.h"
#include <stdbool.h>
#include <stddef.h>

enum element_class { ELEMENT_FLOAT, ELEMENT_INTEGER, ELEMENT_BOOL };
struct element_type {
    const char *name;  /* as in the language: "f32" */
    const char *descr; /* as in .npy files: "<f4" */
    size_t bytes;
    enum element_class class;
    int digits;              /* that tell two values apart, at most 17 */
    long double least, most; /* ELEMENT_INTEGER and BOOL */
};
enum { ELEMENT_TYPES = MDL_BOOL + 1 };
extern const struct element_type element_types[ELEMENT_TYPES]; /* [enum mdl_dtype] */

long double element_get(uint32_t dtype, const void *data, size_t i);
/* Rounds to the nearest value of a float type (halves to even); integers must be within least..most. */
void element_set(uint32_t dtype, void *data, size_t i, long double value);
/* Whether any value of `from` can be stored as `to` unchanged; between integers, each value has yet to be
 * looked at. */
bool element_converts(uint32_t from, uint32_t to);

#endif
