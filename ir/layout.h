/* Layouts: how a tensor's elements lie in memory, and where its buffer is.
 *
 * A layout is the ordered list of the loops, outermost first, that walk memory from start to end; each is a
 * part of one dimension. Row-major f32[O, I] is "0 1". In tiles of 32 outputs by 4 inputs: "0/32 1/4 0:32
 * 1:4", where d/n is the part of dimension d counted in steps of n and d:n the n positions inside. Dimensions
 * are padded to whole tiles. */
#ifndef IR_LAYOUT_H
#define IR_LAYOUT_H
#include "ir/extent.h"

enum { MAX_LAYOUT = 16 };
struct layout_part {
    int dim;
    int64_t step;  /* elements of the dimension from one count of this part to the next */
    int64_t count; /* how many, or 0: as many as the dimension needs (outermost part of its dimension) */
};
struct layout {
    int count;
    struct layout_part parts[MAX_LAYOUT];
};
bool layout_equal(const struct layout *a, const struct layout *b); /* NULL is row-major */
/* Whether the parts of `dim` count each of its indices once: steps of 1 innermost, no count outermost. */
bool layout_covers(const struct layout *l, int dim);
/* One more part, the innermost so far. Room for MAX_LAYOUT is the caller's care. */
void layout_add(struct layout *l, int dim, int64_t step, int64_t count);
const char *layout_text(struct arena *a, const struct layout *l);
const struct layout *layout_parse(struct arena *a, const char *text); /* NULL: malformed */

/* Weights as tensor cores take them (backend/simt_operand.h): chunks of `chunk` neighbouring inputs, 16 bytes, outputs adjacent, after
 * the other axes whole; inputs are padded to 8 chunks.   chunk 8: "1/64 1/8:8 0 1:8" */
struct layout layout_of_chunks(int rank, int outputs, int inputs, int chunk);

/* Weights of bf16 as AMX takes them (backend/amx.h): of 32 outputs and 32 inputs two registers, [16 pairs of inputs][16 outputs][2], after the other
 * axes whole: "0/32 1/32 0/16:2 1/2:16 0:16 1:2" */
struct layout layout_of_registers(int rank, int outputs, int inputs);

/* Caches as attention's register tiles read them: each head by itself; keys in panels with tokens as lanes,
 * and values in rows, both with `group` inputs of an atom adjacent: dims of a key, tokens of a value. `rank`
 * 3 is [tokens, heads, dim], 4 has the batch before it.
 *
 *     keys   "1 0/64 2/2 0:64 2:2"      values   "1 0/2 2 0:2"      for pairs */
enum { PANEL_KEYS = 64 };
struct layout layout_of_keys(int rank, int group);
struct layout layout_of_values(int rank, int group);

enum space { SPACE_NONE, SPACE_ARENA, SPACE_STATE, SPACE_INPUT, SPACE_RESULT, SPACE_WEIGHT };
struct place {
    int in_place; /* 1 + number of the kernel operand whose buffer this result overwrites; 0: none */
    enum space space;
    int64_t offset; /* bytes; SPACE_ARENA */
};

#endif
