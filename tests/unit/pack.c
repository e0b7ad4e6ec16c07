/* Packing: what lies in the weights is what lay in the file, found where tiles and layouts say. */
#include "backend/pack.h"
#include "backend/tile.h"
#include "ir/half.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct graph *new_graph(void) {
    static struct diag d;
    struct arena *a = arena_new();
    diag_init(&d, a, stderr);
    return graph_new(a, &d);
}

static struct global *param(struct graph *g, enum format store, const char *layout, int rank,
                            const int64_t *extents) {
    struct global *w = graph_global(g, GLOBAL_PARAM, "w", (struct loc){0});
    w->type = (struct type){.dtype = DTYPE_F32, .rank = rank};
    for (int i = 0; i < rank; i++) w->type.extents[i] = extent_const(g->extents, extents[i]);
    w->store = store;
    w->layout = layout ? layout_parse(g->arena, layout) : NULL;
    return w;
}

static float value_of(int64_t i) { return (float)sin((double)i * 0.7) * (float)(1 + i % 5); }

/* A param of rows x columns whose file holds value_of() in format `f`. */
static struct global *stored_param(struct graph *g, enum format f, const char *layout, int64_t rows,
                                   int64_t columns) {
    int64_t extents[] = {rows, columns}, bytes, bad;
    struct global *w = param(g, f, layout, 2, extents);
    float *values = arena_new_array(g->arena, float, (size_t)(rows * columns));
    for (int64_t i = 0; i < rows * columns; i++) values[i] = value_of(i);
    cr_assert(format_bytes(f, rows * columns, &bytes));
    void *data = arena_alloc(g->arena, (size_t)bytes, 1);
    cr_assert(format_encode(f, values, rows * columns, data, &bad));
    w->stored = arena_new_object(g->arena, struct stored);
    *w->stored = (struct stored){f, data, (size_t)bytes};
    return w;
}

static void *pack(struct graph *g, const struct global *w) {
    void *out = arena_alloc(g->arena, (size_t)packed_bytes(w), 1);
    const char *error = pack_tensor(g, g->arena, w, 0, NULL, out);
    cr_assert_null(error, "%s", error);
    return out;
}

static float scale_at(const struct format_info *f, const uint8_t *at) {
    uint16_t half;
    float wide;
    memcpy(&half, at, 2), memcpy(&wide, at, 4);
    return tile_scale_type(f) == DTYPE_F32 ? wide : half_to_float(half);
}

/* One element of a packed tensor, straight from the description at the head of tile.h. */
static double tiled(const struct format_info *f, const uint8_t *data, int64_t columns, int step, int64_t row,
                    int64_t column) {
    const uint8_t *tile = data + (row / 32 * (columns / 32) + column / 32) * tile_bytes(f);
    int o = (int)(row % 32), i = (int)(column % 32), group = i / f->group,
        size = dtype_bytes(tile_scale_type(f));
    int p = (i / step * 32 + o) * step + i % step;
    const uint8_t *codes = tile + tile_codes(f);
    int code = f->bits == 8 ? codes[p] : codes[p % 512] >> (p / 512 * 4) & 15;
    if (f->bits > 4 && f->bits < 8) {
        int upper = f->bits - 4, plane = 128 * upper;
        code |= (codes[512 + p % plane] >> (p / plane * upper) & ((1 << upper) - 1)) << 4;
    }
    double scale = (double)scale_at(f, tile + tile_scales(f, group) + o * size);
    double minimum = f->minimum ? (double)scale_at(f, tile + tile_minima(f, group) + o * size) : 0;
    return (code - f->bias) * scale + minimum;
}

static void check_tiles(enum format f, const char *layout, int step) {
    struct graph *g = new_graph();
    enum { ROWS = 45, COLUMNS = 96 }; /* rows are no multiple of a tile's */
    struct global *w = stored_param(g, f, layout, ROWS, COLUMNS);
    const uint8_t *data = pack(g, w);
    double expected[COLUMNS];
    for (int r = 0; r < ROWS; r++) {
        format_decode(f, w->stored->data, r * COLUMNS, COLUMNS, expected);
        for (int c = 0; c < COLUMNS; c++)
            cr_assert_float_eq(tiled(format_info(f), data, COLUMNS, step, r, c), expected[c], 1e-6,
                               "%s step %d at [%d, %d]", format_name(f), step, r, c);
    }
    for (int c = 0; c < COLUMNS; c++) cr_assert_eq(tiled(format_info(f), data, COLUMNS, step, 63, c), 0);
}

Test(pack, tiles_hold_the_blocks_of_the_file) {
    static const enum format formats[] = {FORMAT_q4_0, FORMAT_q4_1, FORMAT_q5_0, FORMAT_q5_1, FORMAT_q8_0};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        check_tiles(formats[i], NULL, 1);
        check_tiles(formats[i], "0/32 1/32 1/4:8 0:32 1:4", 4);
    }
}

Test(pack, tiles_take_the_bytes_of_their_blocks) {
    static const enum format formats[] = {FORMAT_q4_0, FORMAT_q4_1, FORMAT_q5_0, FORMAT_q5_1, FORMAT_q8_0};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        cr_assert_eq(tile_bytes(format_info(formats[i])), 32 * format_info(formats[i])->bytes);
}

/* Blocks with two levels of scale cannot be encoded here: their bytes are made up, with finite scales. */
Test(pack, two_levels_of_scale_become_one) {
    static const enum format formats[] = {FORMAT_q4_k, FORMAT_q5_k, FORMAT_q6_k};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct graph *g = new_graph();
        const struct format_info *f = format_info(formats[i]);
        int64_t extents[] = {33, 512}, bytes;
        struct global *w = param(g, formats[i], NULL, 2, extents);
        cr_assert(format_bytes(formats[i], 33 * 512, &bytes));
        uint8_t *data = arena_alloc(g->arena, (size_t)bytes, 1);
        for (int64_t b = 0; b < bytes; b++)
            data[b] = (uint8_t)(b * 73 + b / 7 * 5) & 0x3b; /* f16 exponents stay small */
        w->stored = arena_new_object(g->arena, struct stored);
        *w->stored = (struct stored){formats[i], data, (size_t)bytes};
        const uint8_t *packed = pack(g, w);
        double expected[512];
        for (int r = 0; r < 33; r++) {
            format_decode(formats[i], data, r * 512, 512, expected);
            for (int c = 0; c < 512; c++) {
                double error = fabs(tiled(f, packed, 512, 1, r, c) - expected[c]);
                cr_assert(error <= 1e-6 * (1 + fabs(expected[c])), "%s at [%d, %d]", f->name, r, c);
            }
        }
    }
}

Test(pack, panels_put_outputs_beside_each_other) {
    struct graph *g = new_graph();
    struct global *w = stored_param(g, FORMAT_f32, "0/16 1 0:16", 20, 7);
    const float *data = pack(g, w);
    cr_assert_eq(packed_bytes(w), (2 * 7 * 16 * 4 + 63) / 64 * 64);
    for (int r = 0; r < 32; r++)
        for (int c = 0; c < 7; c++) {
            float expected = r < 20 ? value_of(r * 7 + c) : 0;
            cr_assert_eq(data[(r / 16 * 7 + c) * 16 + r % 16], expected);
        }
}

Test(pack, pairs_of_inputs_for_bf16) {
    struct graph *g = new_graph();
    struct global *w = stored_param(g, FORMAT_f32, "0/16 1/2 0:16 1:2", 16, 5);
    w->store = FORMAT_bf16;
    const uint16_t *data = pack(g, w);
    for (int r = 0; r < 16; r++)
        for (int c = 0; c < 6; c++) {
            float expected = c < 5 ? bf16_to_float(float_to_bf16(value_of(r * 5 + c))) : 0;
            cr_assert_eq(bf16_to_float(data[(c / 2 * 16 + r) * 2 + c % 2]), expected);
        }
}

Test(pack, requantises_where_the_store_format_differs) {
    struct graph *g = new_graph();
    struct global *w = stored_param(g, FORMAT_f32, NULL, 32, 64);
    w->store = FORMAT_q8_0;
    const uint8_t *data = pack(g, w);
    for (int r = 0; r < 32; r++)
        for (int c = 0; c < 64; c++)
            cr_assert_float_eq(tiled(format_info(FORMAT_q8_0), data, 64, 1, r, c), value_of(r * 64 + c),
                               0.03);
}

Test(pack, a_value_that_its_format_cannot_hold_is_named) {
    struct graph *g = new_graph();
    struct global *w = stored_param(g, FORMAT_f32, NULL, 1, 32);
    float huge = 1e30f;
    memcpy((char *)w->stored->data + 5 * 4, &huge, 4);
    w->store = FORMAT_q8_0;
    const char *error = pack_tensor(g, g->arena, w, 0, NULL, arena_alloc(g->arena, (size_t)packed_bytes(w), 1));
    cr_assert(error && strstr(error, "q8_0"), "%s", error);
}

Test(pack, sizes_that_overflow_are_refused) {
    struct graph *g = new_graph();
    int64_t extents[] = {INT64_MAX / 4, 64};
    cr_assert_eq(packed_bytes(param(g, FORMAT_f32, NULL, 2, extents)), -1);
    cr_assert_eq(packed_bytes(param(g, FORMAT_q8_0, NULL, 2, extents)), -1);
}
