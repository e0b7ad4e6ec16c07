/* What the files of random statements share: choosing operands. */
#ifndef TESTS_FUZZ_RANDOM_STATEMENTS_H
#define TESTS_FUZZ_RANDOM_STATEMENTS_H
#include "random_model.h"

typedef bool rx_maker(struct rx_model *m); /* writes a statement, or returns false: nothing at hand fits */
struct rx_row {
    int weight;
    rx_maker *make;
};
extern const struct rx_row rx_pointwise[], rx_shapes[], rx_contractions[], rx_indexing[],
    rx_reals[]; /* end: make NULL */

bool rx_pick(struct rx_model *m, char kind, int least_rank, struct rx_value *v);
/* v, or what it becomes when it is brought down to |x| <= limit. */
struct rx_value rx_small(struct rx_model *m, struct rx_value v, double limit);
bool rx_same_extent(struct rx_extent a, struct rx_extent b);
bool rx_same_shape(const struct rx_value *a, const struct rx_value *b);
/* A value of the shape of x, or one that broadcasts to it; of the same kind. */
bool rx_partner(struct rx_model *m, const struct rx_value *x, bool same, struct rx_value *y);
/* Whether ops that jump (sort, comparisons) may be given v: reals that are sums may differ in the last bit.
 */
bool rx_may_jump(const struct rx_model *m, const struct rx_value *v);
void rx_remove_axis(struct rx_value *v, int d);
bool rx_insert_axis(struct rx_value *v, int d, struct rx_extent e); /* false: too many */
int rx_const_axis(struct rx_model *m, const struct rx_value *v,
                  int least); /* one of a constant extent, or -1 */
#endif
