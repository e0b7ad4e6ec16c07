/* Names of a function's values in dumps: the wished ones where they can be had, unique, never a word that
 * means something else. */
#ifndef IR_NAMES_H
#define IR_NAMES_H
#include "ir/graph.h"

/* Names for all that is in `root`, a function's body; lives in `a`. The same graph gives the same names, and
 * names that came from a dump are kept. */
struct names *names_new(struct arena *a, const struct graph *g, const struct block *root);

/* How an operand is written: its name, or in place: wq[0]. */
const char *names_value(const struct names *names, struct value *v);
/* The name of a kernel. */
const char *names_node(const struct names *names, const struct node *n);
/* A name that nothing in the function has yet. */
const char *names_fresh(struct names *names, const char *wish);
/* A global's tensor: k_cache[0], wq[t]. `index`: operand, or NULL. */
const char *names_global(const struct names *names, const struct global *global, int64_t element,
                         struct value *index);

/* Whether the use of `n`'s operand number `k` is written as a literal in place. */
bool literal_in_place(const struct node *n, int k);
/* Whether a node is written where it is used and so has no statement: params that nobody assigns. */
bool node_in_place(const struct node *n);
/* Whether a statement must be printed for the node. */
bool names_has_statement(const struct names *names, const struct node *n);

#endif
