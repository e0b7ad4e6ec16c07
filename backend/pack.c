/* Packing of params. Plain formats: a layout's parts are separable by dimension, so an element's offset is a
 * sum of one table look-up a dimension. Block formats: codes and scales move from blocks to tiles (tile.h),
 * unchanged. */
#include "backend/pack.h"
#include "backend/tile.h"
#include "ir/init.h"
#include "ir/tensor.h"
#include <string.h>

static int64_t extent_value(const struct type *t, int dim) {
    int64_t value = 0;
    if (!extent_is_const(t->extents[dim], &value)) ice("a param's extent is not constant");
    return value;
}

static bool multiply(int64_t *product, int64_t by) { return !__builtin_mul_overflow(*product, by, product); }

static int64_t divide_up(int64_t a, int64_t by) { return a / by + (a % by != 0); }

struct shape { /* of a tensor as rows of its last dimension */
    int64_t rows, columns;
};

static bool shape_of(const struct type *t, struct shape *s) {
    *s = (struct shape){1, t->rank ? extent_value(t, t->rank - 1) : 1};
    for (int i = 0; i + 1 < t->rank; i++)
        if (!multiply(&s->rows, extent_value(t, i))) return false;
    return true;
}

/* How often each part of the layout counts. */
static int64_t part_count(const struct type *t, const struct layout_part *p) {
    return p->count ? p->count : divide_up(extent_value(t, p->dim), p->step);
}

static int64_t plain_bytes(const struct global *w, const struct shape *s) {
    int64_t bytes = format_info(w->store)->bytes;
    if (!w->layout) return multiply(&bytes, s->rows) && multiply(&bytes, s->columns) ? bytes : -1;
    for (int i = 0; i < w->layout->count; i++)
        if (!multiply(&bytes, part_count(&w->type, &w->layout->parts[i]))) return -1;
    return bytes;
}

int64_t packed_bytes(const struct global *w) {
    const struct format_info *tile = tile_format(w->store);
    struct shape s;
    if (!shape_of(&w->type, &s)) return -1;
    int64_t bytes = tile ? tile_bytes(tile) : plain_bytes(w, &s);
    if (tile &&
        (!multiply(&bytes, divide_up(s.rows, TILE_OUTPUTS)) || !multiply(&bytes, s.columns / TILE_INPUTS)))
        return -1;
    return bytes < 0 || bytes > INT64_MAX - 63 ? -1 : (bytes + 63) & ~(int64_t)63;
}

/* ---- plain formats ---- */

/* [extent of dim] bytes from the tensor's start that an index of this dimension contributes. */
static int64_t *offsets_of(struct arena *scratch, const struct global *w, int dim) {
    int64_t extent = extent_value(&w->type, dim), stride = format_info(w->store)->bytes;
    int64_t *table = arena_new_array(scratch, int64_t, (size_t)extent);
    for (int i = w->layout->count - 1; i >= 0; i--) {
        const struct layout_part *p = &w->layout->parts[i];
        int64_t count = part_count(&w->type, p);
        for (int64_t at = 0; p->dim == dim && at < extent; at++) table[at] += at / p->step % count * stride;
        stride *= count;
    }
    return table;
}

/* Which part of a whole tensor is packed. */
struct piece {
    int64_t start[MAX_RANK], whole[MAX_RANK];
};

static struct piece piece_of(const struct global *w, const int64_t *coordinates) {
    struct piece p = {{0}, {0}};
    const struct sharding *s = w->sharding;
    for (int d = 0; d < w->type.rank; d++) {
        int64_t number = 0, extent = extent_value(&w->type, d);
        for (int i = 0; s && i < s->dims[d].count; i++) {
            int axis = s->dims[d].axes[i];
            number = number * s->mesh->axes[axis].size + coordinates[axis];
        }
        p.start[d] = number * extent;
        p.whole[d] = sharding_pieces(s, d) * extent;
    }
    return p;
}

struct reader { /* one tensor's source, and room for a row of it */
    const struct graph *graph;
    const struct global *global;
    const struct stored *from; /* NULL: the initialiser */
    int64_t element, columns;
    struct piece piece;
    struct arena *scratch;
    float *floats;
    double *doubles;
    int64_t *integers;
};

static struct reader reader_new(const struct graph *g, struct arena *scratch, const struct global *w,
                                int64_t element, const int64_t *coordinates, int64_t columns) {
    struct reader r = {.graph = g,
                       .global = w,
                       .from = w->stored ? &w->stored[element] : NULL,
                       .element = element,
                       .columns = columns,
                       .scratch = scratch};
    r.piece = piece_of(w, coordinates);
    r.floats = arena_new_array(scratch, float, (size_t)columns);
    r.doubles = arena_new_array(scratch, double, (size_t)columns);
    r.integers = arena_new_array(scratch, int64_t, (size_t)columns);
    return r;
}

static void read_floats(struct reader *r, int64_t first) {
    if (r->from) {
        format_decode_float(r->from->format, r->from->data, first, r->columns, r->floats);
        return;
    }
    init_floats(r->graph, r->global, r->element, first, r->columns, r->doubles);
    for (int64_t i = 0; i < r->columns; i++) r->floats[i] = (float)r->doubles[i];
}

/* Integers, booleans and f64: through the widest type of their class. */
static void read_exactly(struct reader *r, int64_t first, void *out) {
    enum dtype t = r->global->type.dtype;
    bool real = dtype_class(t) == CLASS_FLOAT;
    if (real && r->from)
        format_decode(r->from->format, r->from->data, first, r->columns, r->doubles);
    else if (real)
        init_floats(r->graph, r->global, r->element, first, r->columns, r->doubles);
    else if (r->from)
        format_decode_integer(r->from->format, r->from->data, first, r->columns, r->integers);
    else
        init_integers(r->graph, r->global, r->element, first, r->columns, r->integers);
    for (int64_t i = 0; i < r->columns; i++) {
        if (real)
            element_set_float(t, out, i, r->doubles[i]);
        else
            element_set_integer(t, out, i, r->integers[i]);
    }
}

/* Where row `row` of the piece begins in the whole. */
static int64_t first_of(const struct reader *r, int64_t row) {
    const struct type *t = &r->global->type;
    int64_t first = 0, stride = 1;
    for (int d = t->rank - 1; d >= 0; d--) {
        int64_t extent = extent_value(t, d), index = d == t->rank - 1 ? 0 : row % extent;
        if (d < t->rank - 1) row /= extent;
        first += (r->piece.start[d] + index) * stride;
        stride *= r->piece.whole[d];
    }
    return first;
}

/* Row `row` of the source, as the store format holds elements, into `out`. NULL, or what is wrong. */
static const char *read_row(struct reader *r, int64_t row, uint8_t *out) {
    enum format store = r->global->store;
    const struct format_info *f = format_info(store);
    int64_t first = first_of(r, row), bad;
    if (r->from && r->from->format == store) {
        const uint8_t *from = (const uint8_t *)r->from->data + first / f->elements * f->bytes;
        memcpy(out, from, (size_t)(r->columns / f->elements * f->bytes));
        return NULL;
    }
    if (dtype_class(r->global->type.dtype) != CLASS_FLOAT || store == FORMAT_f64) {
        read_exactly(r, first, out);
        return NULL;
    }
    read_floats(r, first);
    if (format_encode(store, r->floats, r->columns, out, &bad)) return NULL;
    return arena_printf(r->scratch, "%s: element %lld cannot be stored as %s: %g", r->global->name,
                        (long long)(first + bad), f->name, (double)r->floats[bad]);
}

static void scatter_row(uint8_t *out, const uint8_t *row, const int64_t *offsets, int64_t columns,
                        int bytes) {
    for (int64_t i = 0; i < columns; i++) memcpy(out + offsets[i], row + i * bytes, (size_t)bytes);
}

static const char *pack_plain(const struct graph *g, struct arena *scratch, const struct global *w,
                              int64_t element, const int64_t *coordinates, const struct shape *s,
                              uint8_t *out) {
    int bytes = format_info(w->store)->bytes, rank = w->type.rank;
    struct reader reader = reader_new(g, scratch, w, element, coordinates, s->columns);
    uint8_t *row = arena_alloc(scratch, (size_t)s->columns, (size_t)bytes);
    int64_t *offsets[MAX_RANK], index[MAX_RANK] = {0};
    for (int d = 0; w->layout && d < rank; d++) offsets[d] = offsets_of(scratch, w, d);
    for (int64_t r = 0; r < s->rows; r++) {
        uint8_t *to = w->layout ? row : out + r * s->columns * bytes;
        const char *error = read_row(&reader, r, to);
        if (error) return error;
        if (!w->layout) continue;
        int64_t base = 0;
        for (int d = 0; d + 1 < rank; d++) base += offsets[d][index[d]];
        scatter_row(out + base, row, offsets[rank - 1], s->columns, bytes);
        for (int d = rank - 2; d >= 0 && ++index[d] == extent_value(&w->type, d); d--) index[d] = 0;
    }
    return NULL;
}

/* ---- block formats ---- */

/* What a tile is made of: the codes in the order of their positions. */
struct tile_codes {
    int step;
    uint8_t at[TILE_CODES];
};

static void put_scale(const struct format_info *f, uint8_t *to, int output, float scale) {
    int64_t bad;
    bool wide = tile_scale_type(f) == DTYPE_F32;
    format_encode(wide ? FORMAT_f32 : FORMAT_f16, &scale, 1, to + output * (wide ? 4 : 2), &bad);
}

/* An output's codes, `step` side by side, to where those of other outputs are between. The two steps that there are are written out:
 * a copy of a length that is not known is a call. */
static void spread(const uint8_t *from, int count, int step, uint8_t *to) {
    enum { QUAD = 4 };
    if (step == 1)
        for (int i = 0; i < count; i++) to[i * TILE_OUTPUTS] = from[i];
    else if (step == QUAD)
        for (int i = 0; i < count; i += QUAD) memcpy(to + i * TILE_OUTPUTS, from + i, QUAD);
    else
        ice("packed tiles for atoms of %d inputs", step);
}

/* Block column `block` (32 inputs) of one row. */
static void put_block(enum format format, const struct format_info *f, const uint8_t *row, int64_t block,
                      int output, struct tile_codes *codes, uint8_t *tile) {
    int64_t first = block * TILE_INPUTS;
    const uint8_t *data = row + first / f->elements * f->bytes;
    for (int group = 0; group < tile_groups(f); group++) {
        struct format_group unpacked;
        format_unpack(format, data, (int)(first % f->elements) / f->group + group, &unpacked);
        put_scale(f, tile + tile_scales(f, group), output, unpacked.scale);
        if (f->minimum) put_scale(f, tile + tile_minima(f, group), output, unpacked.minimum);
        spread(unpacked.codes, f->group, codes->step,
               &codes->at[tile_position(group * f->group, output, codes->step)]);
    }
}

/* to[i] |= (codes[i] >> right & mask) << left, eight bytes at a time. */
static void add_bits(uint8_t *to, const uint8_t *codes, int count, int right, int mask, int left) {
    const uint64_t mask_of_each = UINT64_C(0x0101010101010101) * (uint64_t)mask;
    for (int i = 0; i < count; i += 8) {
        uint64_t there, more;
        memcpy(&there, to + i, sizeof there);
        memcpy(&more, codes + i, sizeof more);
        there |= (more >> right & mask_of_each) << left;
        memcpy(to + i, &there, sizeof there);
    }
}

/* All codes into the tile, which is 0 there: each plane as the stretches that lie on each other. */
static void put_codes(const struct format_info *f, const struct tile_codes *codes, uint8_t *tile) {
    int low = tile_low_bytes(f), upper = tile_upper_bytes(f);
    for (int p = 0; p < TILE_CODES; p += low) {
        struct tile_code c = tile_code(f, p);
        add_bits(tile + c.low, codes->at + p, low, 0, f->bits == 8 ? 0xff : 15, c.low_shift);
    }
    for (int p = 0; upper && p < TILE_CODES; p += upper) {
        struct tile_code c = tile_code(f, p);
        add_bits(tile + c.upper, codes->at + p, upper, 4, 15, c.upper_shift);
    }
}

static const char *pack_tiles(const struct graph *g, struct arena *scratch, const struct global *w,
                              int64_t element, const int64_t *coordinates, const struct shape *s,
                              uint8_t *out) {
    const struct format_info *f = tile_format(w->store);
    struct tile_codes codes = {.step = tile_step(w->layout)};
    int64_t blocks = s->columns / TILE_INPUTS, bytes = tile_bytes(f),
            row_bytes = s->columns / f->elements * f->bytes;
    struct reader reader = reader_new(g, scratch, w, element, coordinates, s->columns);
    uint8_t *rows = arena_alloc(scratch, (size_t)row_bytes, TILE_OUTPUTS);
    for (int64_t first = 0; first < s->rows; first += TILE_OUTPUTS) {
        int count = s->rows - first < TILE_OUTPUTS ? (int)(s->rows - first) : TILE_OUTPUTS;
        for (int o = 0; o < count; o++) {
            const char *error = read_row(&reader, first + o, rows + o * row_bytes);
            if (error) return error;
        }
        memset(codes.at, 0, sizeof codes.at); /* of outputs that are not there */
        for (int64_t b = 0; b < blocks; b++, out += bytes) {
            for (int o = 0; o < count; o++) put_block(w->store, f, rows + o * row_bytes, b, o, &codes, out);
            put_codes(f, &codes, out);
        }
    }
    return NULL;
}

const char *pack_tensor(const struct graph *g, struct arena *scratch, const struct global *w, int64_t element,
                        const int64_t *coordinates, void *out) {
    struct shape s;
    shape_of(&w->type, &s);
    memset(out, 0, (size_t)packed_bytes(w));
    return tile_format(w->store) ? pack_tiles(g, scratch, w, element, coordinates, &s, out)
                                 : pack_plain(g, scratch, w, element, coordinates, &s, out);
}
