/* Geometry of packed tiles. */
#include "backend/tile.h"

const struct format_info *tile_format(enum format f) {
    const struct format_info *info = format_info(f);
    return info->bits ? info : NULL;
}

int tile_groups(const struct format_info *f) { return TILE_INPUTS / f->group; }
enum dtype tile_scale_type(const struct format_info *f) { return f->levels == 2 ? DTYPE_F32 : DTYPE_F16; }

static int64_t scales_bytes(const struct format_info *f) {
    return (int64_t)TILE_OUTPUTS * dtype_bytes(tile_scale_type(f));
}

int64_t tile_scales(const struct format_info *f, int group) { return group * scales_bytes(f); }
int64_t tile_minima(const struct format_info *f, int group) {
    return (tile_groups(f) + group) * scales_bytes(f);
}
int64_t tile_codes(const struct format_info *f) {
    return scales_bytes(f) * tile_groups(f) * (f->minimum ? 2 : 1);
}

int tile_low_bytes(const struct format_info *f) { return f->bits == 8 ? TILE_CODES : TILE_CODES / 2; }
static int upper_bits(const struct format_info *f) { return f->bits == 8 ? 0 : f->bits - 4; }
int tile_upper_bytes(const struct format_info *f) { return TILE_CODES / 8 * upper_bits(f); }

bool tile_is_even(const struct format_info *f) { return tile_groups(f) == 1 && !upper_bits(f); }

int64_t tile_upper(const struct format_info *f) { return tile_codes(f) + tile_low_bytes(f); }
int64_t tile_bytes(const struct format_info *f) { return tile_upper(f) + tile_upper_bytes(f); }

int tile_position(int input, int output, int step) {
    return (input / step * TILE_OUTPUTS + output) * step + input % step;
}

struct tile_code tile_code(const struct format_info *f, int position) {
    int low = tile_low_bytes(f), bits = upper_bits(f), plane = tile_upper_bytes(f);
    struct tile_code c = {.low = tile_codes(f) + position % low, .low_shift = position / low * 4};
    if (bits) c.upper = tile_upper(f) + position % plane, c.upper_shift = position / plane * bits;
    return c;
}

int tile_step(const struct layout *l) {
    if (!l) return 1;
    const struct layout_part *last = &l->parts[l->count - 1];
    return last->step == 1 && last->count && last->count < TILE_INPUTS ? (int)last->count : 1;
}
