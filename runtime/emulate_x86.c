/* Instructions of x86, one lane after the other. Results are written when all of the operands are read. */
#include "runtime/emulate_x86.h"
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- matrix registers ---- */

enum { TILES = 8, ROWS = 16, LINE = 64, PALETTE = 1, PAIRS = LINE / 4 };

static _Thread_local struct {
    bool configured;
    int rows[TILES], bytes[TILES];
    uint8_t data[TILES][ROWS][LINE];
} amx;

static void refuse(const char *instruction, int tile, const char *what) {
    fprintf(stderr, "emulated AMX: %s tmm%d: %s\n", instruction, tile, what);
    abort();
}

static void need(const char *instruction, int8_t tile) {
    if (!amx.configured) refuse(instruction, tile, "no configuration is loaded");
    if (tile < 0 || tile >= TILES) refuse(instruction, tile, "no such register");
    if (!amx.rows[tile] || !amx.bytes[tile]) refuse(instruction, tile, "is not configured");
}

/* Bytes: palette, row to begin at, 14 of zeros; 16 words of bytes a row; 16 bytes of rows. The upper half of both is of no register. */
void mdl_x86_ldtilecfg(const uint8_t configuration[64]) {
    enum { BYTES_AT = 16, ROWS_AT = 48 };
    memset(&amx, 0, sizeof amx);
    if (configuration[0] != PALETTE) refuse("ldtilecfg", 0, "palette is not 1");
    for (int i = 1; i < LINE; i++) {
        bool used = (i >= BYTES_AT && i < BYTES_AT + 2 * TILES) || (i >= ROWS_AT && i < ROWS_AT + TILES);
        if (!used && configuration[i]) refuse("ldtilecfg", 0, "reserved bytes are not 0");
    }
    for (int i = 0; i < TILES; i++) {
        amx.bytes[i] = configuration[BYTES_AT + 2 * i] | configuration[BYTES_AT + 2 * i + 1] << 8;
        amx.rows[i] = configuration[ROWS_AT + i];
        if (amx.bytes[i] > LINE || amx.rows[i] > ROWS || !amx.bytes[i] != !amx.rows[i])
            refuse("ldtilecfg", i, "has no such rows or bytes");
    }
    amx.configured = true;
}

void mdl_x86_tilerelease(void) { memset(&amx, 0, sizeof amx); }

void mdl_x86_tilezero(int8_t to) {
    need("tilezero", to);
    memset(amx.data[to], 0, sizeof amx.data[to]);
}

void mdl_x86_tileloadd64(int8_t to, const char *from, int64_t stride) {
    need("tileloadd", to);
    memset(amx.data[to], 0, sizeof amx.data[to]);
    for (int row = 0; row < amx.rows[to]; row++)
        memcpy(amx.data[to][row], from + row * stride, (size_t)amx.bytes[to]);
}

void mdl_x86_tilestored64(int8_t from, char *to, int64_t stride) {
    need("tilestored", from);
    for (int row = 0; row < amx.rows[from]; row++)
        memcpy(to + row * stride, amx.data[from][row], (size_t)amx.bytes[from]);
}

/* ---- bf16: denormals are 0, of operands and of results ---- */

static float flush(float x) { return fpclassify(x) == FP_SUBNORMAL ? copysignf(0, x) : x; }

static float of_bf16(const uint8_t *bytes) {
    uint16_t half;
    memcpy(&half, bytes, sizeof half);
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return flush(x);
}

static float add_product(float sum, const uint8_t *a, const uint8_t *b) {
    return flush(fmaf(of_bf16(a), of_bf16(b), sum));
}

/* What products ask of their operands; how many outputs there are. */
static int need_all(const char *name, int8_t sums, int8_t rows, int8_t weights) {
    const int8_t all[] = {sums, rows, weights};
    for (int i = 0; i < 3; i++) need(name, all[i]);
    if (sums == rows || sums == weights || rows == weights) refuse(name, sums, "is named twice");
    if (amx.rows[sums] != amx.rows[rows] || amx.bytes[sums] != amx.bytes[weights] ||
        amx.rows[weights] != amx.bytes[rows] / 4 || amx.bytes[rows] % 4 || amx.bytes[sums] % 4)
        refuse(name, sums, "the extents of its operands differ");
    return amx.bytes[sums] / 4;
}

void mdl_x86_tdpbf16ps(int8_t sums, int8_t rows, int8_t weights) {
    int outputs = need_all("tdpbf16ps", sums, rows, weights);
    for (int row = 0; row < amx.rows[sums]; row++) {
        float parts[PAIRS][2] = {{0}};
        for (int k = 0; k < amx.rows[weights]; k++)
            for (int n = 0; n < outputs; n++)
                for (int odd = 0; odd < 2; odd++)
                    parts[n][odd] = add_product(parts[n][odd], &amx.data[rows][row][4 * k + 2 * odd],
                                                &amx.data[weights][k][4 * n + 2 * odd]);
        for (int n = 0; n < outputs; n++) {
            float sum;
            memcpy(&sum, &amx.data[sums][row][4 * n], sizeof sum);
            sum = flush(flush(sum) + flush(parts[n][0] + parts[n][1]));
            memcpy(&amx.data[sums][row][4 * n], &sum, sizeof sum);
        }
    }
}

void mdl_x86_avx512bf16_dpbf16ps_512(float r[16], const float s[16], const uint16_t a[16][2],
                                     const uint16_t b[16][2]) {
    for (int i = 0; i < 16; i++) {
        float sum = add_product(flush(s[i]), (const uint8_t *)&a[i][1], (const uint8_t *)&b[i][1]);
        r[i] = add_product(sum, (const uint8_t *)&a[i][0], (const uint8_t *)&b[i][0]);
    }
}

/* ---- bytes ---- */

void mdl_x86_tdpbsud(int8_t sums, int8_t rows, int8_t weights) {
    int outputs = need_all("tdpbsud", sums, rows, weights);
    for (int row = 0; row < amx.rows[sums]; row++)
        for (int n = 0; n < outputs; n++) {
            uint32_t sum;
            memcpy(&sum, &amx.data[sums][row][4 * n], sizeof sum);
            for (int k = 0; k < 4 * amx.rows[weights]; k++)
                sum += (uint32_t)((int8_t)amx.data[rows][row][k] * amx.data[weights][k / 4][4 * n + k % 4]);
            memcpy(&amx.data[sums][row][4 * n], &sum, sizeof sum);
        }
}

/* ---- powers of two ---- */

static float scale(float a, float b) {
    enum { BEYOND = 600 /* more than takes the smallest float to infinity, and the largest to 0 */ };
    if (isnan(a) || isnan(b)) return NAN;
    if (isinf(b)) return b > 0 ? a * INFINITY : isinf(a) ? NAN : copysignf(0, a);
    float n = floorf(b);
    return ldexpf(a, n > BEYOND ? BEYOND : n < -BEYOND ? -BEYOND : (int)n);
}

void mdl_x86_avx512_mask_scalef_ps_512(float r[16], const float a[16], const float b[16],
                                       const float other[16], int16_t mask, int32_t rounding) {
    (void)rounding; /* only the current one is asked for */
    for (int i = 0; i < 16; i++) r[i] = (uint16_t)mask >> i & 1 ? scale(a[i], b[i]) : other[i];
}

/* ---- integers ---- */

static void add_quads(int lanes, int32_t *r, const int32_t *s, const uint8_t (*a)[4], const int8_t (*b)[4]) {
    for (int i = 0; i < lanes; i++) {
        uint32_t sum = (uint32_t)s[i];
        for (int k = 0; k < 4; k++) sum += (uint32_t)(a[i][k] * b[i][k]);
        r[i] = (int32_t)sum;
    }
}
static void multiply_pairs(int lanes, int32_t *r, const int16_t (*a)[2], const int16_t (*b)[2]) {
    for (int i = 0; i < lanes; i++)
        r[i] = (int32_t)((uint32_t)(a[i][0] * b[i][0]) + (uint32_t)(a[i][1] * b[i][1]));
}
static void add_pairs(int lanes, int16_t *r, const uint8_t (*a)[2], const int8_t (*b)[2]) {
    for (int i = 0; i < lanes; i++) {
        int sum = a[i][0] * b[i][0] + a[i][1] * b[i][1];
        r[i] = (int16_t)(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
    }
}

void mdl_x86_avx512_vpdpbusd_512(int32_t r[16], const int32_t s[16], const uint8_t a[16][4],
                                 const int8_t b[16][4]) {
    add_quads(16, r, s, a, b);
}
void mdl_x86_avx512_vpdpbusd_256(int32_t r[8], const int32_t s[8], const uint8_t a[8][4],
                                 const int8_t b[8][4]) {
    add_quads(8, r, s, a, b);
}
void mdl_x86_sse2_pmadd_wd(int32_t r[4], const int16_t a[4][2], const int16_t b[4][2]) {
    multiply_pairs(4, r, a, b);
}
void mdl_x86_avx2_pmadd_wd(int32_t r[8], const int16_t a[8][2], const int16_t b[8][2]) {
    multiply_pairs(8, r, a, b);
}
void mdl_x86_avx512_pmaddw_d_512(int32_t r[16], const int16_t a[16][2], const int16_t b[16][2]) {
    multiply_pairs(16, r, a, b);
}
void mdl_x86_ssse3_pmadd_ub_sw_128(int16_t r[8], const uint8_t a[8][2], const int8_t b[8][2]) {
    add_pairs(8, r, a, b);
}
void mdl_x86_avx2_pmadd_ub_sw(int16_t r[16], const uint8_t a[16][2], const int8_t b[16][2]) {
    add_pairs(16, r, a, b);
}
void mdl_x86_avx512_pmaddubs_w_512(int16_t r[32], const uint8_t a[32][2], const int8_t b[32][2]) {
    add_pairs(32, r, a, b);
}
