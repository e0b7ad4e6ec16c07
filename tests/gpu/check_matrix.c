/* Matrix instructions against a plain product: every shape and kind of element; fragments as the PTX manual
 * places them, written here from its pictures and not from the interpreter's formula. */
#include "tests/gpu/ptx_check.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { F16, BF16, TF32, S8, U8, E4M3 };
static const char *const names[] = {"f16", "bf16", "tf32", "s8", "u8", "e4m3"};
static const int widths[] = {16, 16, 32, 8, 8, 8};

/* Small whole numbers, which all of the formats have: products and sums are exact. */
static uint32_t encoded(enum kind kind, int v) {
    float f = (float)v;
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    __extension__ _Float16 h = (_Float16)v;
    uint16_t half;
    memcpy(&half, &h, sizeof half);
    static const uint8_t e4m3[] = {0, 0x38, 0x40, 0x44, 0x48};
    switch (kind) {
    case F16:
        return half;
    case BF16:
        return u >> 16;
    case TF32:
        return u;
    case E4M3:
        return e4m3[abs(v)] | (v < 0 ? 0x80u : 0);
    default:
        return (uint32_t)v & 255;
    }
}

/* Row and column of an element of A, of B (k, n), by lane and number: groups of `k` elements as the manual
 * draws them. */
static void place_a(int width, int lane, int i, int *row, int *k) {
    int per = 32 / width, group = lane >> 2, in_group = lane % 4, reg = i / per;
    *row = reg == 0 || reg == 2 ? group : group + 8;
    *k = in_group * per + i % per + (reg >= 2 ? 4 * per : 0);
}
static void place_b(int width, int lane, int i, int *k, int *n) {
    int per = 32 / width;
    *k = (lane % 4) * per + i % per + (i >= per ? 4 * per : 0);
    *n = lane >> 2;
}

struct shape {
    int k;
    enum kind a, b;
    const char *d;
};
static void check_shape(struct shape s) {
    int a[16][64], b[64][8], c[16][8], width = widths[s.a], regs_a = 16 * s.k * width / 1024,
                                       regs_b = 8 * s.k * width / 1024;
    bool half = !strcmp(s.d, "f16"), whole = !strcmp(s.d, "s32");
    int regs_c = half ? 2 : 4;
    for (int m = 0; m < 16; m++)
        for (int k = 0; k < s.k; k++) a[m][k] = (int)(check_random() % 7) - (s.a == U8 ? 0 : 3);
    for (int k = 0; k < s.k; k++)
        for (int n = 0; n < 8; n++) b[k][n] = (int)(check_random() % 7) - (s.b == U8 ? 0 : 3);
    uint32_t in[32][12] = {{0}}, out[32][4];
    for (int l = 0; l < 32; l++) {
        for (int i = 0; i < regs_a * 32 / width; i++) {
            int row, k;
            place_a(width, l, i, &row, &k);
            in[l][i * width / 32] |= encoded(s.a, a[row][k]) << i * width % 32;
        }
        for (int i = 0; i < regs_b * 32 / width; i++) {
            int k, n;
            place_b(width, l, i, &k, &n);
            in[l][4 + i * width / 32] |= encoded(s.b, b[k][n]) << i * width % 32;
        }
        for (int i = 0; i < 4; i++) {
            int v = (int)(check_random() % 100) - 50;
            c[(l >> 2) + (i < 2 ? 0 : 8)][l % 4 * 2 + (i & 1)] = v;
            if (half)
                in[l][6 + i / 2] |= encoded(F16, v) << 16 * (i & 1);
            else
                in[l][6 + i] = whole ? (uint32_t)v : encoded(TF32, v);
        }
    }
    char body[2048], list_a[64], list_b[64];
    snprintf(list_a, sizeof list_a,
             regs_a == 1   ? "{%%r1}"
             : regs_a == 2 ? "{%%r1, %%r2}"
                           : "{%%r1, %%r2, %%r3, %%r4}");
    snprintf(list_b, sizeof list_b, regs_b == 1 ? "{%%r5}" : "{%%r5, %%r6}");
    snprintf(body, sizeof body,
             "mad.wide.u32 %%rd1, %%lane, 48, %%in; mad.wide.u32 %%rd2, %%lane, 16, %%out; ld.global.v4.b32 "
             "{%%r1, %%r2, %%r3, %%r4}, [%%rd1];\n"
             "ld.global.v2.b32 {%%r5, %%r6}, [%%rd1+16]; ld.global.v2.b32 {%%r7, %%r8}, [%%rd1+24]; "
             "ld.global.v2.b32 {%%r9, %%r10}, [%%rd1+32];\n"
             "mov.b32 %%r13, 0; mov.b32 %%r14, 0;\n"
             "mma.sync.aligned.m16n8k%d.row.col.%s.%s.%s.%s %s, %s, %s, %s;\n"
             "st.global.v4.b32 [%%rd2], {%%r11, %%r12, %%r13, %%r14};",
             s.k, s.d, names[s.a], names[s.b], s.d, half ? "{%r11, %r12}" : "{%r11, %r12, %r13, %r14}",
             list_a, list_b, half ? "{%r7, %r8}" : "{%r7, %r8, %r9, %r10}");
    check_good(
        &(struct check_run){
            .body = body, .in = in, .in_bytes = sizeof in, .out = out, .out_bytes = sizeof out},
        NULL);
    for (int l = 0; l < 32; l++)
        for (int i = 0; i < 4; i++) {
            int m = (l >> 2) + (i < 2 ? 0 : 8), n = l % 4 * 2 + (i & 1), sum = c[m][n];
            for (int k = 0; k < s.k; k++) sum += a[m][k] * b[k][n];
            uint32_t expected = half ? encoded(F16, sum) : whole ? (uint32_t)sum : encoded(TF32, sum);
            uint32_t got = half ? out[l][i / 2] >> 16 * (i & 1) & 0xffff : out[l][i];
            cr_expect_eq(got, expected, "m16n8k%d %s %s: D[%d][%d] is %#x, not %#x", s.k, names[s.a], s.d, m,
                         n, got, expected);
        }
    (void)regs_c;
}
Test(matrix, products_of_every_shape) {
    static const struct shape shapes[] = {
        {16, F16, F16, "f32"}, {16, BF16, BF16, "f32"}, {8, F16, F16, "f32"},   {8, BF16, BF16, "f32"},
        {16, F16, F16, "f16"}, {8, F16, F16, "f16"},    {8, TF32, TF32, "f32"}, {4, TF32, TF32, "f32"},
        {32, S8, S8, "s32"},   {16, S8, S8, "s32"},     {32, U8, S8, "s32"},    {32, S8, U8, "s32"},
        {16, U8, U8, "s32"},   {32, E4M3, E4M3, "f32"}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) check_shape(shapes[i]);
}

/* One rounding at the end: a sum of halves that only f32 can hold. */
Test(matrix, sums_are_rounded_once) {
    uint32_t out[32];
    check_good(
        &(struct check_run){
            .body = "mov.b32 %r1, 0x3f803f80; mov.b32 %r2, 0x4b80; mov.b32 %r3, 0;\n" /* 2^24 + 1 + ... */
                    "mov.b32 %r4, 0f4B800000; mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%r5, %r6, "
                    "%r7, %r8}, {%r1, %r1}, {%r1}, {%r4, %r4, %r4, %r4};\n"
                    "mad.wide.u32 %rd1, %lane, 4, %out; st.global.b32 [%rd1], %r5;",
            .out = out,
            .out_bytes = sizeof out},
        NULL);
    for (int i = 0; i < 32; i++) cr_expect_eq(out[i], 0x4b800004); /* 2^24 + 8 */
}

/* ldmatrix and back by stmatrix: each matrix of 8 rows of 16 bytes, and its transposition. */
static void check_moves(int count, bool transposed) {
    uint16_t in[4][8][8], out[32][8], stored[32][8];
    for (int i = 0; i < 256; i++) ((uint16_t *)in)[i] = (uint16_t)(i * 257);
    char body[2048];
    static const char *const lists[] = {"", "{%r10}", "{%r10, %r11}", "", "{%r10, %r11, %r12, %r13}"};
    snprintf(body, sizeof body,
             "mov.b32 %%r1, box; mad.lo.u32 %%r2, %%lane, 16, %%r1; mad.wide.u32 %%rd1, %%lane, 16, %%in; "
             "mad.wide.u32 %%rd2, %%lane, 16, %%out;\n"
             "ld.global.v4.b32 {%%r3, %%r4, %%r5, %%r6}, [%%rd1]; st.shared.v4.b32 [%%r2], {%%r3, %%r4, "
             "%%r5, %%r6}; bar.warp.sync -1;\n"
             "mov.b32 %%r10, 0; mov.b32 %%r11, 0; mov.b32 %%r12, 0; mov.b32 %%r13, 0;\n"
             "ldmatrix.sync.aligned.m8n8.x%d%s.shared.b16 %s, [%%r2]; st.global.v4.b32 [%%rd2], {%%r10, "
             "%%r11, %%r12, %%r13};\n"
             "stmatrix.sync.aligned.m8n8.x%d%s.shared.b16 [%%r2], %s; bar.warp.sync -1; ld.shared.v4.b32 "
             "{%%r3, %%r4, %%r5, %%r6}, [%%r2];\n"
             "st.global.v4.b32 [%%rd2+512], {%%r3, %%r4, %%r5, %%r6};",
             count, transposed ? ".trans" : "", lists[count], count, transposed ? ".trans" : "",
             lists[count]);
    uint16_t both[2][32][8];
    check_good(&(struct check_run){.before = ".shared .align 16 .b8 box[512];\n",
                                   .body = body,
                                   .in = in,
                                   .in_bytes = sizeof in,
                                   .out = both,
                                   .out_bytes = sizeof both},
               NULL);
    memcpy(out, both[0], sizeof out);
    memcpy(stored, both[1], sizeof stored);
    for (int l = 0; l < 32; l++)
        for (int i = 0; i < count; i++)
            for (int e = 0; e < 2; e++) {
                uint16_t expected =
                    transposed ? in[i][2 * (l % 4) + e][l / 4] : in[i][l / 4][2 * (l % 4) + e];
                cr_expect_eq(out[l][2 * i + e], expected, "x%d: lane %d, matrix %d: %#x, not %#x", count, l,
                             i, out[l][2 * i + e], expected);
            }
    cr_expect(!memcmp(stored, in, sizeof in), "stmatrix is not the inverse of ldmatrix, x%d", count);
}
Test(matrix, loads_and_stores) {
    for (int count = 1; count <= 4; count *= 2)
        for (int transposed = 0; transposed < 2; transposed++) check_moves(count, transposed);
}
