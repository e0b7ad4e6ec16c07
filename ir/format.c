/* The table of storage formats, and decoding and encoding of runs of elements: plain formats element by
 * element, quantised ones group by group through unpack and pack. */
#include "ir/format.h"
#include "ir/diag.h"
#include "ir/format_blocks.h"
#include "ir/half.h"
#include <math.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weight files are little-endian, and so must be the machine that compiles them"
#endif

static const struct format_info infos[FORMAT_COUNT] = {
#define FORMAT(name, elements, bytes, gguf, safetensors, dtype, bits, bias, group, minimum, levels)          \
    {#name, elements, bytes, gguf,    safetensors, dtype,                                                    \
     bits,  bias,     group, minimum, levels,      levels < 2 && dtype_encodes(dtype)},
#define dtype_encodes(t) ((t) == DTYPE_F32 || (t) == DTYPE_F16 || (t) == DTYPE_BF16)
#include "ir/formats.def"
#undef FORMAT
};

const struct format_info *format_info(enum format f) {
    if ((unsigned)f >= FORMAT_COUNT) ice("no storage format has number %d", (int)f);
    return &infos[f];
}

enum format format_find(const char *name) {
    for (int f = 0; f < FORMAT_COUNT; f++)
        if (!strcmp(infos[f].name, name)) return (enum format)f;
    return FORMAT_COUNT;
}

enum format format_from_gguf(uint32_t type) {
    for (int f = 0; f < FORMAT_COUNT; f++)
        if (infos[f].gguf >= 0 && (uint32_t)infos[f].gguf == type) return (enum format)f;
    return FORMAT_COUNT;
}

enum format format_from_safetensors(const char *dtype) {
    for (int f = 0; f < FORMAT_COUNT; f++)
        if (infos[f].safetensors[0] && !strcmp(infos[f].safetensors, dtype)) return (enum format)f;
    return FORMAT_COUNT;
}

enum format format_of_dtype(enum dtype t) { return (enum format)t; } /* formats.def keeps their order */
_Static_assert((int)FORMAT_f64 == (int)DTYPE_F64 && (int)FORMAT_bf16 == (int)DTYPE_BF16 &&
                   (int)FORMAT_i8 == (int)DTYPE_I8 && (int)FORMAT_bool == (int)DTYPE_BOOL,
               "plain formats come first, in the order of enum dtype");

bool format_bytes(enum format f, int64_t elements, int64_t *bytes) {
    const struct format_info *info = format_info(f);
    if (elements < 0 || elements % info->elements) return false;
    return !__builtin_mul_overflow(elements / info->elements, (int64_t)info->bytes, bytes);
}

/* Plain formats: how an element of storage type `stored` becomes a number. */
#define PLAIN(_)                                                                                             \
    _(f64, double, value)                                                                                    \
    _(f32, float, value)                                                                                     \
    _(f16, uint16_t, half_to_float(value))                                                                   \
    _(bf16, uint16_t, bf16_to_float(value))                                                                  \
    _(i64, int64_t, value)                                                                                   \
    _(i32, int32_t, value)                                                                                   \
    _(i16, int16_t, value)                                                                                   \
    _(i8, int8_t, value)                                                                                     \
    _(u8, uint8_t, value)                                                                                    \
    _(bool, uint8_t, value != 0)
#define DECODE_PLAIN(function, stored, number, type)                                                         \
    static void function(const uint8_t *data, int64_t count, type *out) {                                    \
        for (int64_t i = 0; i < count; i++) {                                                                \
            stored value;                                                                                    \
            memcpy(&value, data + (size_t)i * sizeof value, sizeof value);                                   \
            out[i] = (type)(number);                                                                         \
        }                                                                                                    \
    }
#define TO_FLOATS(name, stored, number)                                                                      \
    DECODE_PLAIN(name##_as_double, stored, number, double)                                                   \
    DECODE_PLAIN(name##_as_float, stored, number, float)
PLAIN(TO_FLOATS)
DECODE_PLAIN(i64_as_integer, int64_t, value, int64_t)
DECODE_PLAIN(i32_as_integer, int32_t, value, int64_t)
DECODE_PLAIN(i16_as_integer, int16_t, value, int64_t)
DECODE_PLAIN(i8_as_integer, int8_t, value, int64_t)
DECODE_PLAIN(u8_as_integer, uint8_t, value, int64_t)
DECODE_PLAIN(bool_as_integer, uint8_t, value != 0, int64_t)

typedef void decode_double(const uint8_t *data, int64_t count, double *out);
typedef void decode_float(const uint8_t *data, int64_t count, float *out);
typedef void decode_integer(const uint8_t *data, int64_t count, int64_t *out);
#define TO_DOUBLE_ROW(name, stored, number) [FORMAT_##name] = name##_as_double,
#define TO_FLOAT_ROW(name, stored, number) [FORMAT_##name] = name##_as_float,
static decode_double *const to_double[FORMAT_COUNT] = {PLAIN(TO_DOUBLE_ROW)};
static decode_float *const to_float[FORMAT_COUNT] = {PLAIN(TO_FLOAT_ROW)};
static decode_integer *const to_integer[FORMAT_COUNT] = {
    [FORMAT_i64] = i64_as_integer, [FORMAT_i32] = i32_as_integer, [FORMAT_i16] = i16_as_integer,
    [FORMAT_i8] = i8_as_integer,   [FORMAT_u8] = u8_as_integer,   [FORMAT_bool] = bool_as_integer,
};

static const struct {
    unpack_block *unpack;
    pack_block *pack;
} blocks[FORMAT_COUNT] = {
    [FORMAT_q4_0] = {unpack_q4_0, pack_q4_0}, [FORMAT_q4_1] = {unpack_q4_1, pack_q4_1},
    [FORMAT_q5_0] = {unpack_q5_0, pack_q5_0}, [FORMAT_q5_1] = {unpack_q5_1, pack_q5_1},
    [FORMAT_q8_0] = {unpack_q8_0, pack_q8_0}, [FORMAT_q4_k] = {unpack_q4_k, NULL},
    [FORMAT_q5_k] = {unpack_q5_k, NULL},      [FORMAT_q6_k] = {unpack_q6_k, NULL},
};

void format_unpack(enum format f, const void *block, int group, struct format_group *out) {
    const struct format_info *info = format_info(f);
    if (!info->bits || group < 0 || group >= info->elements / info->group)
        ice("format_unpack: %s has no group %d", info->name, group);
    *out = (struct format_group){0};
    blocks[f].unpack(block, group, out);
}

/* Quantised: whole groups are decoded in place, a part of one through a buffer. */
#define DECODE_GROUPS(type)                                                                                  \
    static void groups_to_##type(enum format f, const uint8_t *data, int64_t first, int64_t count,           \
                                 type *out) {                                                                \
        const struct format_info *info = &infos[f];                                                          \
        struct format_group g = {0};                                                                         \
        while (count > 0) {                                                                                  \
            int64_t block = first / info->elements;                                                          \
            int inside = (int)(first % info->elements), skip = inside % info->group;                         \
            int taken = info->group - skip < count ? info->group - skip : (int)count;                        \
            blocks[f].unpack(data + block * info->bytes, inside / info->group, &g);                          \
            type scale = (type)g.scale, minimum = (type)g.minimum;                                           \
            for (int i = 0; i < taken; i++)                                                                  \
                out[i] = (type)(g.codes[skip + i] - info->bias) * scale + minimum;                           \
            out += taken, first += taken, count -= taken;                                                    \
        }                                                                                                    \
    }
DECODE_GROUPS(double)
DECODE_GROUPS(float)

void format_decode(enum format f, const void *data, int64_t first, int64_t count, double *out) {
    const struct format_info *info = format_info(f);
    if (info->bits)
        groups_to_double(f, data, first, count, out);
    else
        to_double[f]((const uint8_t *)data + first * info->bytes, count, out);
}

void format_decode_float(enum format f, const void *data, int64_t first, int64_t count, float *out) {
    const struct format_info *info = format_info(f);
    if (info->bits)
        groups_to_float(f, data, first, count, out);
    else
        to_float[f]((const uint8_t *)data + first * info->bytes, count, out);
}

void format_decode_integer(enum format f, const void *data, int64_t first, int64_t count, int64_t *out) {
    const struct format_info *info = format_info(f);
    if (!to_integer[f]) ice("format_decode_integer: %s holds no integers", info->name);
    to_integer[f]((const uint8_t *)data + first * info->bytes, count, out);
}

/* The code nearest to `x`, halves up, within 0..top; 0 for NaN, which an infinite inverse of a tiny scale
 * times 0 gives. */
static uint8_t nearest_code(float x, int top) {
    float up = x + 0.5f;
    return (uint8_t)(up > 0 ? up < (float)top ? (int)up : top : 0);
}

/* Scale from the value of largest magnitude, which gets the lowest code, so that one code more is on its side
 * of zero. */
static void quantise_signed(const struct format_info *info, const float *values, struct format_group *g) {
    float largest = 0;
    for (int i = 0; i < info->group; i++)
        if (fabsf(values[i]) > fabsf(largest)) largest = values[i];
    g->scale = largest / (float)-info->bias;
    float inverse = g->scale != 0 ? 1 / g->scale : 0;
    for (int i = 0; i < info->group; i++)
        g->codes[i] = nearest_code(values[i] * inverse + (float)info->bias, (1 << info->bits) - 1);
}

/* Scale and minimum from the smallest and the largest value. */
static void quantise_range(const struct format_info *info, const float *values, struct format_group *g) {
    float low = values[0], high = values[0];
    for (int i = 1; i < info->group; i++) {
        if (values[i] < low) low = values[i];
        if (values[i] > high) high = values[i];
    }
    int top = (1 << info->bits) - 1;
    g->minimum = low;
    g->scale = (high - low) / (float)top;
    float inverse = g->scale != 0 ? 1 / g->scale : 0;
    for (int i = 0; i < info->group; i++) g->codes[i] = nearest_code((values[i] - low) * inverse, top);
}

/* Eight bits: symmetric, -127..127, halves away from zero. */
static void quantise_bytes(const struct format_info *info, const float *values, struct format_group *g) {
    float largest = 0;
    for (int i = 0; i < info->group; i++)
        if (fabsf(values[i]) > largest) largest = fabsf(values[i]);
    g->scale = largest / 127;
    float inverse = g->scale != 0 ? 1 / g->scale : 0;
    for (int i = 0; i < info->group; i++) {
        uint8_t magnitude = nearest_code(roundf(fabsf(values[i]) * inverse), 127);
        g->codes[i] = (uint8_t)(values[i] < 0 ? info->bias - magnitude : info->bias + magnitude);
    }
}

/* False: a value is not finite, or scale or minimum overflows f16. */
static bool encode_block(enum format f, const float *values, uint8_t *out) {
    const struct format_info *info = &infos[f];
    struct format_group g = {0};
    for (int i = 0; i < info->group; i++)
        if (!isfinite(values[i])) return false;
    if (info->bits == 8)
        quantise_bytes(info, values, &g);
    else if (info->minimum)
        quantise_range(info, values, &g);
    else
        quantise_signed(info, values, &g);
    if (!isfinite(half_to_float(float_to_half(g.scale)))) return false;
    if (!isfinite(half_to_float(float_to_half(g.minimum)))) return false;
    blocks[f].pack(&g, out);
    return true;
}

static void encode_plain(enum format f, const float *values, int64_t count, uint8_t *out) {
    if (f == FORMAT_f32) {
        if (count) memcpy(out, values, (size_t)count * sizeof *values);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        uint16_t bits = f == FORMAT_f16 ? float_to_half(values[i]) : float_to_bf16(values[i]);
        memcpy(out + 2 * i, &bits, 2);
    }
}

bool format_encode(enum format f, const float *values, int64_t count, void *out, int64_t *bad) {
    const struct format_info *info = format_info(f);
    if (!info->encodes || count % info->elements) ice("format_encode: %s cannot encode that", info->name);
    if (!info->bits) return encode_plain(f, values, count, out), true;
    for (int64_t i = 0; i < count; i += info->elements)
        if (!encode_block(f, values + i, (uint8_t *)out + i / info->elements * info->bytes))
            return *bad = i, false;
    return true;
}
