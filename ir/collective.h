/* What passes and the backend know of collectives, in one table: which of them take or give a leading axis, a
 * part for each member of the group. */
#ifndef IR_COLLECTIVE_H
#define IR_COLLECTIVE_H
#include "ir/graph.h"

struct collective {
    enum op op;
    bool takes_parts; /* operands are [N, d] */
    bool gives_parts; /* results are [N, d] */
    bool reduces;     /* elements of members are combined */
};
/* The row of a node of families collective, send and receive; NULL: it is none. */
const struct collective *collective_of(const struct node *n);
/* The group that it runs over; inference has checked the text. */
struct rank_group collective_group(struct graph *g, const struct node *n);
/* A collective only begins at its place. The node of its block before which it must have ended: the first
 * that reads what it brings; for a send the next one to the same member. NULL: the block's end. */
const struct node *collective_end(const struct node *n);

#endif
