/* An einsum's text: "bqd,bkd->bqk". */
#ifndef IR_EINSUM_H
#define IR_EINSUM_H
#include "ir/imap.h"

/* An einsum's letters: what each operand and the result walk, each named by a loop's number.
 *
 *     "bqd,bkd->bqk"     letters b q k d     axes 0 1 3, 0 2 3     result 0 1 2 */
struct einsum {
    int letters;            /* distinct ones */
    char letter[MAX_LOOPS]; /* loop number -> letter: the result's first, in order, then the summed */
    int operands, ranks[MAX_OPERANDS];
    int axes[MAX_OPERANDS][MAX_RANK]; /* loop numbers */
    int result_rank;                  /* the result walks loops 0..result_rank-1 */
};
/* NULL, or what is wrong with the text. */
const char *einsum_parse(struct arena *a, const char *spec, struct einsum *e);

#endif
