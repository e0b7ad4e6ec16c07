/* Index maps: an op's iteration space as data (Linalg's indexing maps, Shardy's factors).
 *
 *     linear(x: f32[S, 576], w: f32[192, 576]):   loops s (parallel, S), n (parallel, 192), k (reduction, 576)
 *                                                 x: [s, k]   w: [n, k]   result: [s, n]
 *
 * From it derive fusion's legality, sharding, layouts, loop nests, and the counts of operations and bytes. */
#ifndef IR_IMAP_H
#define IR_IMAP_H
#include "ir/graph.h"

enum loop_kind {
    LOOP_PARALLEL,  /* each iteration makes elements of its own */
    LOOP_REDUCTION, /* iterations are combined */
    LOOP_ORDERED    /* iterations depend on each other in a way only the op knows: sort, cumsum */
};
struct loop {
    const struct extent *extent;
    enum loop_kind kind;
};
enum { MAX_LOOPS = 16, MAX_AXIS_TERMS = 4 };
struct axis_map {
    bool whole; /* any index of this dimension may be touched in any iteration (ids decide, or no affine map
                   exists) */
    int count;  /* else index = sum of coefficient * loop + offset */
    struct axis_term {
        int loop;
        int64_t coefficient;
    } terms[MAX_AXIS_TERMS];
    const struct extent *offset; /* NULL: 0 */
    bool guarded;                /* the index may fall outside (padding): such elements do not contribute */
};
struct access_map { /* how one operand or result is walked, an entry a dimension */
    int rank;
    struct axis_map axes[MAX_RANK];
};
struct imap {
    int loops_count;
    struct loop loops[MAX_LOOPS];
    int operands_count, results_count;
    struct access_map *operands; /* absent operands have rank 0 */
    struct access_map *results;
};

/* The node's index map, made anew in `a`, of an inferred node. Ops of structure have none: NULL. Where a
 * reduction loop has no iterations, results are made without one. */
const struct imap *imap_of(struct arena *a, struct graph *g, const struct node *n);

/* Arithmetic operations of one run of the node (a multiply-add is two), and bytes of operands read and
 * results written once each; as extents, NULL on overflow. */
const struct extent *node_flops(struct graph *g, const struct node *n);
const struct extent *node_bytes(struct graph *g, const struct node *n);

#endif
