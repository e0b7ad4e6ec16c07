/* Elements of constant tensors and of any buffer in a dtype's own bytes. */
#ifndef IR_TENSOR_H
#define IR_TENSOR_H
#include "ir/graph.h"

int64_t tensor_elements(const struct tensor *t);
/* Element number `i` (row-major) of `data`, whatever its type: integers as floats and floats as integers are
 * converted as C does, so ask for the class that the type has. */
double element_float(enum dtype t, const void *data, int64_t i);
int64_t element_integer(enum dtype t, const void *data, int64_t i);
/* Stores a value there, rounded to nearest even or wrapped to the type. */
void element_set_float(enum dtype t, void *data, int64_t i, double value);
void element_set_integer(enum dtype t, void *data, int64_t i, int64_t value);

#endif
