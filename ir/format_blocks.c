/* The layouts of quantised blocks. Numbers are little-endian, d, m and dmin are f16:
 *
 *     q4_0  d   16 bytes: the low nibbles are codes 0..15, the high nibbles codes 16..31
 *     q4_1  d m 16 bytes, as q4_0
 *     q5_0  d   u32: bit i is bit 4 of code i; 16 bytes with the lower bits, as q4_0
 *     q5_1  d m u32, 16 bytes, as q5_0
 *     q8_0  d   32 signed bytes (codes less 128)
 *     q4_k  d dmin, 12 bytes: eight pairs of 6-bit sc and m; 4 x 32 bytes: low nibbles are the codes of
 *           group 2c, high ones those of 2c + 1
 *     q5_k  d dmin, 12 bytes, as q4_k; 32 bytes: bit g of byte i is bit 4 of code i of group g; 4 x 32
 *           bytes, as q4_k
 *     q6_k  two halves of 128 elements: 2 x 64 bytes with lower nibbles, 2 x 32 bytes with upper pairs of
 *           bits; 16 signed bytes sc; d. In a half, element 32*r + i has its nibble in byte 32*(r % 2) + i,
 *           low for r < 2, else high, and its upper bits in byte i, from bit 2*r.
 *
 * Source: the definitions block_q4_0 ... block_q6_K of ggml-common.h, github.com/ggml-org/ggml. */
#include "ir/format_blocks.h"
#include "ir/half.h"

static float load_half(const uint8_t *at) { return half_to_float((uint16_t)(at[0] | at[1] << 8)); }

static void store_half(uint8_t *at, float value) {
    uint16_t half = float_to_half(value);
    at[0] = (uint8_t)half;
    at[1] = (uint8_t)(half >> 8);
}

static uint32_t load_bits(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void unpack_nibbles(const uint8_t *bytes, uint8_t *codes) {
    for (int i = 0; i < 16; i++) codes[i] = bytes[i] & 15;
    for (int i = 0; i < 16; i++) codes[16 + i] = bytes[i] >> 4;
}

static void unpack_fifth_bits(const uint8_t *bytes, uint8_t *codes) {
    uint32_t bits = load_bits(bytes);
    for (int i = 0; i < 32; i++) codes[i] |= (uint8_t)((bits >> i & 1) << 4);
}

void unpack_q4_0(const uint8_t *block, int group, struct format_group *g) {
    (void)group;
    g->scale = load_half(block);
    unpack_nibbles(block + 2, g->codes);
}

void unpack_q4_1(const uint8_t *block, int group, struct format_group *g) {
    (void)group;
    g->scale = load_half(block);
    g->minimum = load_half(block + 2);
    unpack_nibbles(block + 4, g->codes);
}

void unpack_q5_0(const uint8_t *block, int group, struct format_group *g) {
    (void)group;
    g->scale = load_half(block);
    unpack_nibbles(block + 6, g->codes);
    unpack_fifth_bits(block + 2, g->codes);
}

void unpack_q5_1(const uint8_t *block, int group, struct format_group *g) {
    (void)group;
    g->scale = load_half(block);
    g->minimum = load_half(block + 2);
    unpack_nibbles(block + 8, g->codes);
    unpack_fifth_bits(block + 4, g->codes);
}

void unpack_q8_0(const uint8_t *block, int group, struct format_group *g) {
    (void)group;
    g->scale = load_half(block);
    for (int i = 0; i < 32; i++) g->codes[i] = block[2 + i] ^ 0x80; /* + 128 */
}

/* Groups 0..3 have their 6 bits in the lower ones of bytes 0..3 (sc) and 4..7 (m). Groups 4..7 have the lower
 * four in the nibbles of bytes 8..11, the upper two on top of bytes 0..3 and 4..7. */
static void unpack_k_scales(const uint8_t *block, int group, struct format_group *g) {
    const uint8_t *bytes = block + 4;
    const uint8_t *sc = bytes + group % 4, *m = sc + 4, *low = sc + 8;
    g->scale_code = group < 4 ? *sc & 63 : (*low & 15) | *sc >> 6 << 4;
    g->minimum_code = group < 4 ? *m & 63 : *low >> 4 | *m >> 6 << 4;
    g->super_scale = load_half(block);
    g->super_minimum = load_half(block + 2);
    g->scale = g->super_scale * (float)g->scale_code;
    g->minimum = -(g->super_minimum * (float)g->minimum_code);
}

static void unpack_k_nibbles(const uint8_t *bytes, int group, uint8_t *codes) {
    int shift = group % 2 * 4;
    for (int i = 0; i < 32; i++) codes[i] = bytes[group / 2 * 32 + i] >> shift & 15;
}

void unpack_q4_k(const uint8_t *block, int group, struct format_group *g) {
    unpack_k_scales(block, group, g);
    unpack_k_nibbles(block + 16, group, g->codes);
}

void unpack_q5_k(const uint8_t *block, int group, struct format_group *g) {
    unpack_k_scales(block, group, g);
    unpack_k_nibbles(block + 48, group, g->codes);
    for (int i = 0; i < 32; i++) g->codes[i] |= (uint8_t)((block[16 + i] >> group & 1) << 4);
}

void unpack_q6_k(const uint8_t *block, int group, struct format_group *g) {
    int half = group / 8, r = group % 8 / 2, from = group % 2 * 16;
    const uint8_t *low = block + half * 64 + r % 2 * 32 + from;
    const uint8_t *high = block + 128 + half * 32 + from;
    for (int i = 0; i < 16; i++)
        g->codes[i] = (uint8_t)((low[i] >> (r / 2 * 4) & 15) | (high[i] >> (2 * r) & 3) << 4);
    g->super_scale = load_half(block + 208);
    g->scale_code = (int8_t)block[192 + group];
    g->scale = g->super_scale * (float)g->scale_code;
}

static void pack_nibbles(const uint8_t *codes, uint8_t *bytes) {
    for (int i = 0; i < 16; i++) bytes[i] = (uint8_t)((codes[i] & 15) | (codes[16 + i] & 15) << 4);
}

static void pack_fifth_bits(const uint8_t *codes, uint8_t *bytes) {
    for (int i = 0; i < 4; i++) bytes[i] = 0;
    for (int i = 0; i < 32; i++) bytes[i / 8] |= (uint8_t)((codes[i] >> 4 & 1) << i % 8);
}

void pack_q4_0(const struct format_group *g, uint8_t *block) {
    store_half(block, g->scale);
    pack_nibbles(g->codes, block + 2);
}

void pack_q4_1(const struct format_group *g, uint8_t *block) {
    store_half(block, g->scale);
    store_half(block + 2, g->minimum);
    pack_nibbles(g->codes, block + 4);
}

void pack_q5_0(const struct format_group *g, uint8_t *block) {
    store_half(block, g->scale);
    pack_fifth_bits(g->codes, block + 2);
    pack_nibbles(g->codes, block + 6);
}

void pack_q5_1(const struct format_group *g, uint8_t *block) {
    store_half(block, g->scale);
    store_half(block + 2, g->minimum);
    pack_fifth_bits(g->codes, block + 4);
    pack_nibbles(g->codes, block + 8);
}

void pack_q8_0(const struct format_group *g, uint8_t *block) {
    store_half(block, g->scale);
    for (int i = 0; i < 32; i++) block[2 + i] = g->codes[i] ^ 0x80;
}
