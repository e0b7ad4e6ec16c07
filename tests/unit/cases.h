/* For tests of the IR: nodes from one line of text, so that a table can hold a case a row.
 *
 *     struct test t = test_new();
 *     struct node *n = test_node(&t, "linear", "f32[S, 576]; f32[192, 576]", "");
 *     struct node *m = test_node(&t, "sum", "f32[S, 4]", "axis=[0, 1] keep");
 *
 * Dims: S in 1..100, T in 2..50, E in 0..9. A `-` in place of a type is an absent operand. */
#ifndef TESTS_UNIT_CASES_H
#define TESTS_UNIT_CASES_H
#include "ir/graph.h"
#include <stdio.h>

struct test {
    struct arena *arena;
    struct diag diag;
    struct graph *g;
    struct block *body; /* of the one function */
    struct loc loc;     /* t.mdl:7:5, where test_node puts its nodes */
    char *messages;     /* test_messages() */
    size_t length;
};
struct test *test_new(void);
const char *test_messages(struct test *t); /* all diagnostics so far */

const struct extent *test_extent(struct test *t, const char *text);
struct type test_type(struct test *t, const char *text);
struct value *test_argument(struct test *t, const char *type); /* of the function, named x0, x1, ... */
/* A node not yet inferred, at the body's end; `operands` are types, each made an argument. */
struct node *test_node(struct test *t, const char *op, const char *operands, const char *attrs);
/* Types of the results, joined by "; ". */
const char *test_results(struct test *t, const struct node *n);

#endif
