/* Storage formats: every conversion against its definition, computed here in another way. */
#include "ir/format.h"
#include "ir/half.h"
#include <criterion/criterion.h>
#include <math.h>

static uint32_t random_bits(void) { /* a linear congruential generator; its upper bits */
    static uint64_t state = 88172645463325252u;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 32);
}
static float random_float(void) { return (float)((double)random_bits() / 0x1p32 * 2 - 1); }

/* What a binary16 means, by its definition. */
static double half_meaning(uint16_t h) {
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double magnitude = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    if (exponent == 31) magnitude = mantissa ? NAN : INFINITY;
    return h & 0x8000 ? -magnitude : magnitude;
}

Test(half, every_f16_is_what_it_means_and_comes_back) {
    for (int h = 0; h < 0x10000; h++) {
        double meaning = half_meaning((uint16_t)h);
        float value = half_to_float((uint16_t)h);
        if (isnan(meaning)) {
            cr_assert(isnan(value) && isnan(half_to_float(float_to_half(value))));
            continue;
        }
        cr_assert_eq(value, meaning, "%04x", h);
        cr_assert_eq(float_to_half(value), h, "%04x", h);
    }
}

Test(half, rounding_agrees_with_the_element_types) {
    for (int i = 0; i < 400000; i++) {
        uint32_t bits = random_bits();
        if (i % 2) bits = (bits & 0x8fffffff) | 0x30000000; /* about f16's range */
        float value = float_from_bits(bits);
        if (isnan(value)) continue;
        cr_assert_eq(half_to_float(float_to_half(value)), dtype_round_float(DTYPE_F16, value), "%08x", bits);
        cr_assert_eq(bf16_to_float(float_to_bf16(value)), dtype_round_float(DTYPE_BF16, value), "%08x", bits);
    }
    cr_assert_eq(float_to_half(65519.996f), 0x7bff);
    cr_assert_eq(float_to_half(65520.0f), 0x7c00);
    cr_assert_eq(float_to_half(-0x1p-25f), 0x8000);
    cr_assert_eq(float_to_half(0x1.000002p-25f), 1);
    cr_assert(isnan(bf16_to_float(float_to_bf16(float_from_bits(0x7f800001)))));
}

Test(format, rows_are_consistent) {
    for (int f = 0; f < FORMAT_COUNT; f++) {
        const struct format_info *info = format_info((enum format)f);
        cr_assert_eq(format_find(info->name), f);
        if (info->gguf >= 0) cr_assert_eq(format_from_gguf((uint32_t)info->gguf), f);
        if (info->safetensors[0]) cr_assert_eq(format_from_safetensors(info->safetensors), f);
        if (info->bits) cr_assert_eq(info->elements % info->group, 0);
        if (!info->bits) cr_assert_eq(info->bytes, dtype_bytes(info->dtype));
        if (!info->bits) cr_assert_str_eq(info->name, dtype_name(info->dtype));
    }
    cr_assert_eq(format_find("q9"), FORMAT_COUNT);
    cr_assert_eq(format_from_gguf(UINT32_MAX), FORMAT_COUNT);
    cr_assert_eq(format_from_safetensors(""), FORMAT_COUNT);
    int64_t bytes;
    cr_assert(format_bytes(FORMAT_q4_k, 512, &bytes) && bytes == 288);
    cr_assert_not(format_bytes(FORMAT_q4_k, 32, &bytes));
    cr_assert_not(format_bytes(FORMAT_f64, INT64_MAX, &bytes));
    cr_assert_not(format_bytes(FORMAT_f32, -1, &bytes));
}

/* The value of element i of a block, straight from the bytes of the format's definition. */
static unsigned bit_field(const uint8_t *bytes, int bit, int width) {
    unsigned value = 0;
    for (int i = 0; i < width; i++) value |= (unsigned)(bytes[(bit + i) / 8] >> (bit + i) % 8 & 1) << i;
    return value;
}
static double half_at(const uint8_t *at) { return half_meaning((uint16_t)(at[0] + 256 * at[1])); }
static unsigned nibble(const uint8_t *bytes, int i) { return bit_field(bytes, i % 16 * 8 + i / 16 * 4, 4); }

static double meaning_q4_0(const uint8_t *b, int i) { return ((int)nibble(b + 2, i) - 8) * half_at(b); }
static double meaning_q4_1(const uint8_t *b, int i) { return nibble(b + 4, i) * half_at(b) + half_at(b + 2); }
static double meaning_q5_0(const uint8_t *b, int i) {
    return ((int)(nibble(b + 6, i) + 16 * bit_field(b + 2, i, 1)) - 16) * half_at(b);
}
static double meaning_q5_1(const uint8_t *b, int i) {
    return (nibble(b + 8, i) + 16 * bit_field(b + 4, i, 1)) * half_at(b) + half_at(b + 2);
}
static double meaning_q8_0(const uint8_t *b, int i) { return (int8_t)b[2 + i] * half_at(b); }

/* The twelve bytes as three groups of four: [0] = sc 0..3 (6 bits) and 2 upper bits of sc 4..7, [1] the same
 * of m, [2] the 4 lower bits of sc 4..7 and of m 4..7. */
static void k_scales(const uint8_t *b, int group, double *scale, double *minimum) {
    static const int sc_low[] = {0, 8, 16, 24, 64, 72, 80, 88}, m_low[] = {32, 40, 48, 56, 68, 76, 84, 92};
    unsigned sc, m;
    if (group < 4) {
        sc = bit_field(b + 4, sc_low[group], 6);
        m = bit_field(b + 4, m_low[group], 6);
    } else {
        sc = bit_field(b + 4, sc_low[group], 4) + 16 * bit_field(b + 4, sc_low[group - 4] + 6, 2);
        m = bit_field(b + 4, m_low[group], 4) + 16 * bit_field(b + 4, m_low[group - 4] + 6, 2);
    }
    *scale = sc * half_at(b);
    *minimum = m * half_at(b + 2);
}
static unsigned k_nibble(const uint8_t *b, int i) {
    return bit_field(b, (i / 64 * 32 + i % 32) * 8 + i / 32 % 2 * 4, 4);
}
static double meaning_q4_k(const uint8_t *b, int i) {
    double scale, minimum;
    k_scales(b, i / 32, &scale, &minimum);
    return k_nibble(b + 16, i) * scale - minimum;
}
static double meaning_q5_k(const uint8_t *b, int i) {
    double scale, minimum;
    k_scales(b, i / 32, &scale, &minimum);
    return (k_nibble(b + 48, i) + 16 * bit_field(b + 16, i % 32 * 8 + i / 32, 1)) * scale - minimum;
}
static double meaning_q6_k(const uint8_t *b, int i) {
    int half = i / 128, quarter = i % 128 / 32, l = i % 32;
    unsigned low = bit_field(b + 64 * half, ((quarter % 2) * 32 + l) * 8 + quarter / 2 * 4, 4);
    unsigned high = bit_field(b + 128 + 32 * half, l * 8 + 2 * quarter, 2);
    return ((int)(low + 16 * high) - 32) * ((int8_t)b[192 + i / 16] * half_at(b + 208));
}

static double (*const meanings[FORMAT_COUNT])(const uint8_t *block, int i) = {
    [FORMAT_q4_0] = meaning_q4_0, [FORMAT_q4_1] = meaning_q4_1, [FORMAT_q5_0] = meaning_q5_0,
    [FORMAT_q5_1] = meaning_q5_1, [FORMAT_q8_0] = meaning_q8_0, [FORMAT_q4_k] = meaning_q4_k,
    [FORMAT_q5_k] = meaning_q5_k, [FORMAT_q6_k] = meaning_q6_k,
};

/* Where a block has f16 numbers: random bits there would be NaN now and then. */
static const int halves[FORMAT_COUNT][2] = {
    [FORMAT_q4_0] = {0, -1}, [FORMAT_q4_1] = {0, 2}, [FORMAT_q5_0] = {0, -1}, [FORMAT_q5_1] = {0, 2},
    [FORMAT_q8_0] = {0, -1}, [FORMAT_q4_k] = {0, 2}, [FORMAT_q5_k] = {0, 2},  [FORMAT_q6_k] = {208, -1},
};

static void random_blocks(enum format f, uint8_t *data, int blocks) {
    int bytes = format_info(f)->bytes;
    for (int i = 0; i < blocks * bytes; i++) data[i] = (uint8_t)random_bits();
    for (int b = 0; b < blocks; b++)
        for (int h = 0; h < 2; h++) {
            if (halves[f][h] < 0) continue;
            uint8_t *at = data + b * bytes + halves[f][h];
            if ((at[1] & 0x7c) == 0x7c) at[1] ^= 0x40;
        }
}

enum { BLOCKS = 40 };

Test(format, quantised_blocks_decode_to_what_their_bytes_mean) {
    static uint8_t data[BLOCKS * 210];
    static double out[BLOCKS * 256];
    static float narrow[BLOCKS * 256];
    for (int f = FORMAT_q4_0; f < FORMAT_COUNT; f++) {
        const struct format_info *info = format_info((enum format)f);
        int64_t count = BLOCKS * info->elements;
        random_blocks((enum format)f, data, BLOCKS);
        format_decode((enum format)f, data, 0, count, out);
        format_decode_float((enum format)f, data, 0, count, narrow);
        for (int i = 0; i < count; i++) {
            double meant = meanings[f](data + i / info->elements * info->bytes, i % info->elements);
            cr_assert_eq(out[i], meant, "%s[%d]: %.17g, not %.17g", info->name, i, out[i], meant);
            cr_assert_float_eq(narrow[i], meant, 3e-7 * (fabs(meant) + 1e5), "%s[%d]", info->name, i);
        }
    }
}

Test(format, any_range_decodes_as_the_whole_does) {
    static uint8_t data[3 * 210];
    static double all[3 * 256], out[3 * 256];
    static float narrow[3 * 256];
    for (int f = 0; f < FORMAT_COUNT; f++) {
        const struct format_info *info = format_info((enum format)f);
        int count = 3 * info->elements;
        if (info->bits) random_blocks((enum format)f, data, 3);
        for (size_t i = 0; !info->bits && i < sizeof data; i++) data[i] = random_bits() & 0x3f;
        format_decode((enum format)f, data, 0, count, all);
        for (int i = 0; i < 300; i++) {
            int first = (int)(random_bits() % (unsigned)(count + 1));
            int taken = (int)(random_bits() % (unsigned)(count - first + 1));
            out[taken] = -1e300;
            format_decode((enum format)f, data, first, taken, out);
            format_decode_float((enum format)f, data, first, taken, narrow);
            cr_assert(!memcmp(out, all + first, (size_t)taken * sizeof *out), "%s", info->name);
            cr_assert_eq(out[taken], -1e300, "%s writes past the end", info->name);
            for (int k = 0; k < taken; k++)
                cr_assert_float_eq(narrow[k], out[k], 3e-7 * (fabs(out[k]) + 1e5), "%s", info->name);
        }
    }
}

Test(format, unpacked_groups_are_exact) {
    static uint8_t data[BLOCKS * 210];
    for (int f = FORMAT_q4_0; f < FORMAT_COUNT; f++) {
        const struct format_info *info = format_info((enum format)f);
        random_blocks((enum format)f, data, BLOCKS);
        for (int i = 0; i < BLOCKS * info->elements; i++) {
            const uint8_t *block = data + i / info->elements * info->bytes;
            int inside = i % info->elements;
            struct format_group g;
            format_unpack((enum format)f, block, inside / info->group, &g);
            int code = g.codes[inside % info->group];
            cr_assert_lt(code, 1 << info->bits);
            double value = (code - info->bias) * (double)g.scale + (double)g.minimum;
            cr_assert_eq(value, meanings[f](block, inside), "%s", info->name);
            if (!info->minimum) cr_assert_eq(g.minimum, 0);
            if (info->levels < 2) continue;
            cr_assert_eq((double)g.scale, (double)g.super_scale * g.scale_code);
            cr_assert_eq((double)g.minimum, -((double)g.super_minimum * g.minimum_code));
        }
    }
}

Test(format, plain_elements_decode_exactly) {
    int64_t wide[] = {INT64_MIN, -1, 0, (1ll << 53) + 1, INT64_MAX}, integers[5];
    format_decode_integer(FORMAT_i64, wide, 0, 5, integers);
    cr_assert_arr_eq(integers, wide, sizeof wide);
    int8_t bytes[] = {-128, -1, 0, 1, 127};
    double doubles[5];
    float floats[5];
    format_decode(FORMAT_i8, bytes, 1, 4, doubles);
    cr_assert(doubles[0] == -1 && doubles[3] == 127);
    format_decode_integer(FORMAT_u8, bytes, 0, 5, integers);
    cr_assert(integers[0] == 128 && integers[1] == 255);
    format_decode_integer(FORMAT_bool, bytes, 0, 5, integers);
    cr_assert(integers[0] == 1 && integers[2] == 0);
    uint16_t short_floats[] = {0x3f80, 0xc000};
    format_decode_float(FORMAT_bf16, short_floats, 0, 2, floats);
    cr_assert(floats[0] == 1.0f && floats[1] == -2.0f);
    format_decode_float(FORMAT_f16, short_floats, 0, 2, floats);
    cr_assert(floats[0] == 1.875f && floats[1] == -2.0f);
    double pi = acos(-1);
    format_decode(FORMAT_f64, &pi, 0, 1, doubles);
    cr_assert_eq(doubles[0], pi);
    format_decode_float(FORMAT_f64, &pi, 0, 1, floats);
    cr_assert_eq(floats[0], (float)pi);
}

/* Within half a step, plus what rounding scale and minimum to f16 adds; the side opposite to the value of
 * largest magnitude has one code less in q4_0 and q5_0, so there a whole step. */
Test(format, encoding_errors_are_bounded) {
    enum { COUNT = 64 * 32 };
    static float values[COUNT], back[COUNT];
    static uint8_t data[COUNT * 4];
    for (int f = 0; f < FORMAT_COUNT; f++) {
        const struct format_info *info = format_info((enum format)f);
        if (!info->bits || !info->encodes) continue;
        for (int i = 0; i < COUNT; i++) values[i] = random_float() * (float)exp2(i / 32 % 16 - 8);
        int64_t bad = -1;
        cr_assert(format_encode((enum format)f, values, COUNT, data, &bad));
        format_decode_float((enum format)f, data, 0, COUNT, back);
        for (int i = 0; i < COUNT; i++) {
            struct format_group g;
            format_unpack((enum format)f, data + i / 32 * info->bytes, 0, &g);
            double step = fabs((double)g.scale),
                   slack = ((1 << info->bits) * step + fabs(g.minimum)) * 0x1p-10;
            double bound = step * (info->minimum || info->bits == 8 ? 0.5 : 1) + slack;
            cr_assert(fabs((double)back[i] - values[i]) <= bound, "%s[%d]: %g for %g", info->name, i, back[i],
                      values[i]);
        }
    }
}

Test(format, encoding_follows_the_reference_by_hand) {
    float values[32] = {-8, 7, 0.5f, -0.5f, 3.4f, 3.6f};
    uint8_t data[40];
    int64_t bad = -1;
    cr_assert(format_encode(FORMAT_q4_0, values, 32, data, &bad)); /* d = -8 / -8 = 1 */
    cr_assert_eq(half_to_float((uint16_t)(data[0] | data[1] << 8)), 1);
    struct format_group g;
    format_unpack(FORMAT_q4_0, data, 0, &g);
    uint8_t codes[] = {0, 15, 9, 8, 11, 12, 8};
    cr_assert_arr_eq(g.codes, codes, sizeof codes);
    float positive[32] = {8, -7}; /* d = 8 / -8: the sign of d follows the largest */
    cr_assert(format_encode(FORMAT_q4_0, positive, 32, data, &bad));
    format_unpack(FORMAT_q4_0, data, 0, &g);
    cr_assert(g.scale == -1 && g.codes[0] == 0 && g.codes[1] == 15);
    float range[32] = {-1, 14, 0.4f, 0.5f};
    cr_assert(format_encode(FORMAT_q4_1, range, 32, data, &bad));
    format_unpack(FORMAT_q4_1, data, 0, &g);
    cr_assert(g.scale == 1 && g.minimum == -1);
    cr_assert(g.codes[0] == 0 && g.codes[1] == 15 && g.codes[2] == 1 && g.codes[3] == 2 && g.codes[4] == 1);
    float bytes[32] = {127, -127, 2.5f, -2.5f};
    cr_assert(format_encode(FORMAT_q8_0, bytes, 32, data, &bad));
    cr_assert((int8_t)data[2] == 127 && (int8_t)data[3] == -127 && (int8_t)data[4] == 3 &&
              (int8_t)data[5] == -3);
    float wide[32] = {-16, 15};
    cr_assert(format_encode(FORMAT_q5_0, wide, 32, data, &bad));
    format_unpack(FORMAT_q5_0, data, 0, &g);
    cr_assert(g.scale == 1 && g.codes[0] == 0 && g.codes[1] == 31 && g.codes[2] == 16);
}

Test(format, encoding_again_changes_nothing) { /* what a format can hold exactly, it keeps */
    static float values[64], again[64];
    static uint8_t data[64 * 4], second[64 * 4];
    for (int f = 0; f < FORMAT_COUNT; f++) {
        const struct format_info *info = format_info((enum format)f);
        if (!info->encodes || info->minimum) continue; /* with a minimum, 15 * d rounds once more */
        for (int i = 0; i < 64; i++) values[i] = random_float();
        int64_t bad = -1, bytes = 0;
        cr_assert(format_bytes((enum format)f, 64, &bytes));
        cr_assert(format_encode((enum format)f, values, 64, data, &bad));
        format_decode_float((enum format)f, data, 0, 64, values);
        cr_assert(format_encode((enum format)f, values, 64, second, &bad));
        format_decode_float((enum format)f, second, 0, 64, again);
        cr_assert_arr_eq(values, again, sizeof values, "%s", info->name);
    }
}

Test(format, what_cannot_be_quantised_is_refused) {
    float values[64] = {0};
    uint8_t data[64 * 4];
    int64_t bad = -1;
    for (int f = FORMAT_q4_0; f <= FORMAT_q8_0; f++) {
        values[40] = NAN;
        cr_assert_not(format_encode((enum format)f, values, 64, data, &bad));
        cr_assert_eq(bad, 32);
        values[40] = INFINITY;
        cr_assert_not(format_encode((enum format)f, values, 64, data, &bad));
        values[40] = 3e38f;
        values[41] = -3e38f;
        cr_assert_not(format_encode((enum format)f, values, 64, data, &bad));
        values[40] = values[41] = 1e-44f; /* a scale that is subnormal or zero */
        cr_assert(format_encode((enum format)f, values, 64, data, &bad));
        values[40] = values[41] = 0;
        cr_assert(format_encode((enum format)f, values, 64, data, &bad));
    }
}
