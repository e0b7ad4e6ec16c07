/* Quantised blocks taken apart and put together, one pair of functions a format: columns of format.c's table.
 */
#ifndef IR_FORMAT_BLOCKS_H
#define IR_FORMAT_BLOCKS_H
#include "ir/format.h"

typedef void unpack_block(const uint8_t *block, int group, struct format_group *g);
/* Writes a block of one group from g->codes, g->scale and g->minimum (rounded to f16). */
typedef void pack_block(const struct format_group *g, uint8_t *block);

unpack_block unpack_q4_0, unpack_q4_1, unpack_q5_0, unpack_q5_1, unpack_q8_0, unpack_q4_k, unpack_q5_k,
    unpack_q6_k;
pack_block pack_q4_0, pack_q4_1, pack_q5_0, pack_q5_1, pack_q8_0;

#endif
