/* Packed tiles: how a weight in a block format lies in the weights file, so that a register tile reads it
 * straight.
 *
 *     tile = 32 outputs x 32 inputs:
 *         scales [groups][32] | minima [groups][32] | codes [32 / step][32 outputs][step inputs]
 *
 * Values are (code - bias) * scale + minimum, as in the file (ir/formats.def). `step` is the atom's number of
 * inputs, so lanes are outputs and no sum ever crosses lanes. Codes of 4 bits lie two a byte, code p in byte
 * p mod 512, low half first: one load gives inputs k and k + 16. Codes of 5 and 6 bits have their upper bits
 * in a plane behind, split the same way. Tiles follow each other along the inputs, then along the outputs;
 * outputs are padded to 32 with zero scales. A tile takes the bytes of its blocks in the file, but for
 * formats with two levels of scale: their product is kept, an f32 a group. */
#ifndef BACKEND_TILE_H
#define BACKEND_TILE_H
#include "ir/format.h"
#include "ir/layout.h"

enum { TILE_OUTPUTS = 32, TILE_INPUTS = 32, TILE_CODES = TILE_OUTPUTS * TILE_INPUTS };

/* The format's description if it is one of blocks, which lie in tiles; else NULL. */
const struct format_info *tile_format(enum format f);
int tile_groups(const struct format_info *f); /* scales along the 32 inputs: 1, or 2 for groups of 16 */
enum dtype tile_scale_type(const struct format_info *f);     /* f16, or f32 */
bool tile_is_even(const struct format_info *f); /* codes of 4 or 8 bits, all with one scale: its quarters differ only in where they lie */
int64_t tile_scales(const struct format_info *f, int group); /* offsets in a tile, bytes */
int64_t tile_minima(const struct format_info *f, int group);
int64_t tile_codes(const struct format_info *f);
int64_t tile_upper(const struct format_info *f); /* the plane of upper bits */
int64_t tile_bytes(const struct format_info *f);
int tile_low_bytes(const struct format_info *f);   /* of the codes' low bits; codes that far apart share a byte */
int tile_upper_bytes(const struct format_info *f); /* the same of their upper bits; 0: there are none */
/* The atom's number of inputs in a layout of tiles: "0/32 1/32 1/4:8 0:32 1:4" has 4; NULL, or one ending in
 * 0:32: 1. */
int tile_step(const struct layout *l);
/* Position of the code of (input, output) for an atom of `step` inputs. */
int tile_position(int input, int output, int step);
/* Where code `position` lies: its low bits in byte `low` >> `low_shift`, its upper bits (if any) likewise. */
struct tile_code {
    int64_t low, upper;
    int low_shift, upper_shift;
};
struct tile_code tile_code(const struct format_info *f, int position);

#endif
