/* Literals and attributes as text that parses again to the same bits. */
#ifndef IR_LITERAL_H
#define IR_LITERAL_H
#include "ir/graph.h"

/* The shortest decimal number that rounds to `value` in type `t`; with a point or an exponent; inf, -inf,
 * nan. */
const char *float_text(struct arena *a, enum dtype t, double value);
/* "..." with \" and \\ escaped. */
const char *string_text(struct arena *a, const char *text);
/* [1, 2, 3] */
const char *ints_text(struct arena *a, const int64_t *ints, int count);
/* A scalar as a literal, else a nested list: [[1.0, 2.0], [3.0, 4.0]]. */
const char *tensor_text(struct arena *a, const struct tensor *t);
/* The value of attribute number `k` of `n`: 1e-05, [0, 2], [[1, 1], [0, 0]], causal. */
const char *attr_text(struct arena *a, const struct node *n, int k);
/* Whether an attribute means what its absence would, so that it need not be written. */
bool attr_is_default(const struct node *n, int k);

#endif
