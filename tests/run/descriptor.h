/* What every descriptor made by hand has, of the tables that its file calls `functions`, `refs` and `extent`.
 */
#ifndef TESTS_DESCRIPTOR_H
#define TESTS_DESCRIPTOR_H
#include "runtime/abi.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define DESCRIPTOR(model, file, machine)                                                                     \
    .abi_version = MDL_ABI_VERSION, .weights_suffix = ".weights", .functions_count = COUNT(functions),       \
    .name = model, .source = file, .target = machine, .features = "", .functions = functions, .refs = refs,  \
    .extent = extent, .api = &mdl_api

/* And of one with a mesh called m: `axes`, `groups`, `collectives`, `sections`. */
#define DESCRIPTOR_OF_MESH                                                                                   \
    .mesh = "m", .axes = axes, .groups = groups, .collectives = collectives, .sections = sections,           \
    .axes_count = COUNT(axes), .groups_count = COUNT(groups), .collectives_count = COUNT(collectives),       \
    .sections_count = COUNT(sections), .distributed = &mdl_distributed

#endif
