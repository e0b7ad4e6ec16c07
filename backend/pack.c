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
    struct reader r = {.graph = g, .global = w, .from = w->stored ? &w->stored[element] : NULL,
                       .element = element, .columns = columns, .scratch = scratch};
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
                              int64_t element, const int64_t *coordinates, const struct shape *s, uint8_t *out) {
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

struct tile_map { /* where the codes of a tile lie */
    struct tile_code code[TILE_OUTPUTS][TILE_INPUTS];
};

static void put_scale(const struct format_info *f, uint8_t *to, int output, float scale) {
    int64_t bad;
    bool wide = tile_scale_type(f) == DTYPE_F32;
    format_encode(wide ? FORMAT_f32 : FORMAT_f16, &scale, 1, to + output * (wide ? 4 : 2), &bad);
}

/* Block column `block` (32 inputs) of one row. */
static void put_block(enum format format, const struct format_info *f, const struct tile_map *map,
                      const uint8_t *row, int64_t block, int output, uint8_t *tile) {
    int64_t first = block * TILE_INPUTS;
    const uint8_t *data = row + first / f->elements * f->bytes;
    for (int group = 0; group < tile_groups(f); group++) {
        struct format_group unpacked;
        format_unpack(format, data, (int)(first % f->elements) / f->group + group, &unpacked);
        put_scale(f, tile + tile_scales(f, group), output, unpacked.scale);
        if (f->minimum) put_scale(f, tile + tile_minima(f, group), output, unpacked.minimum);
        for (int i = 0; i < f->group; i++) {
            const struct tile_code *c = &map->code[output][group * f->group + i];
            uint8_t code = unpacked.codes[i];
            tile[c->low] |= f->bits == 8 ? code : (uint8_t)((code & 15) << c->low_shift);
            if (f->bits != 8 && f->bits > 4) tile[c->upper] |= (uint8_t)((code >> 4) << c->upper_shift);
        }
    }
}

static const char *pack_tiles(const struct graph *g, struct arena *scratch, const struct global *w,
                              int64_t element, const int64_t *coordinates, const struct shape *s, uint8_t *out) {
    const struct format_info *f = tile_format(w->store);
    struct tile_map *map = arena_new_object(scratch, struct tile_map);
    int64_t blocks = s->columns / TILE_INPUTS, bytes = tile_bytes(f);
    int step = tile_step(w->layout);
    struct reader reader = reader_new(g, scratch, w, element, coordinates, s->columns);
    uint8_t *row = arena_alloc(scratch, (size_t)(s->columns / f->elements), (size_t)f->bytes);
    for (int o = 0; o < TILE_OUTPUTS; o++)
        for (int i = 0; i < TILE_INPUTS; i++) map->code[o][i] = tile_code(f, tile_position(i, o, step));
    for (int64_t r = 0; r < s->rows; r++) {
        const char *error = read_row(&reader, r, row);
        if (error) return error;
        uint8_t *tiles = out + r / TILE_OUTPUTS * blocks * bytes;
        for (int64_t b = 0; b < blocks; b++)
            put_block(w->store, f, map, row, b, (int)(r % TILE_OUTPUTS), tiles + b * bytes);
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
