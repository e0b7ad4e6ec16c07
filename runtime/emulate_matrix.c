/* Products. mma.sync by the fragments that the PTX ISA documents ("Matrix Fragments for mma.m16n8k..."). A
 * register holds 4 bytes of a row of A, 16 x k, or of a column of B, k x 8; k is 32 bytes of elements.
 * Register i of A has row l / 4 + 8 (i % 2), of B column l / 4, bytes 16 (i / 2 or i) + 4 (l % 4) and on; sum
 * i has row l / 4
 * + 8 (i / 2), column 2 (l % 4) + i % 2. */
#include "runtime/emulate_block.h"
#include <stdbool.h>
#include <string.h>

enum { ROWS = 16, COLUMNS = 8, WORDS = 8 /* of a row's 32 bytes */ };

typedef uint32_t fragment[32];

static uint32_t word_of_row(const fragment a[4], int row, int word) {
    return a[row / 8 + word / 4 * 2][row % 8 * 4 + word % 4];
}
static uint32_t word_of_column(const fragment b[2], int column, int word) {
    return b[word / 4][column * 4 + word % 4];
}

static double from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static double bf16_of(uint32_t word, int i) { return from_bits((i ? word >> 16 : word & 0xffff) << 16); }

/* The 15 lower bits at a float's place are the value times 2^-112; exponent 31 is infinity or NaN. */
static double f16_of(uint32_t word, int i) {
    uint32_t half = i ? word >> 16 : word & 0xffff, sign = (half & 0x8000) << 16, rest = half & 0x7fff;
    if (rest >= 0x7c00) return from_bits(sign | 0x7f800000 | rest << 13);
    return from_bits(sign | rest << 13) * 0x1p112;
}

/* The 13 low bits are not looked at. */
static double tf32_of(uint32_t word, int i) {
    (void)i;
    return from_bits(word & 0xffffe000);
}

static void multiply(const fragment a[4], const fragment b[2], float sums[4][32], int elements,
                     double (*element)(uint32_t, int)) {
    for (int row = 0; row < ROWS; row++)
        for (int column = 0; column < COLUMNS; column++) {
            float *sum = &sums[row / 8 * 2 + column % 2][row % 8 * 4 + column / 2];
            double total = (double)*sum;
            for (int w = 0; w < WORDS; w++)
                for (int i = 0; i < elements; i++)
                    total += element(word_of_row(a, row, w), i) * element(word_of_column(b, column, w), i);
            *sum = (float)total;
        }
}

void mdl_emulate_mma_bf16(const fragment a[4], const fragment b[2], float sums[4][32]) {
    multiply(a, b, sums, 2, bf16_of);
}
void mdl_emulate_mma_f16(const fragment a[4], const fragment b[2], float sums[4][32]) {
    multiply(a, b, sums, 2, f16_of);
}
void mdl_emulate_mma_tf32(const fragment a[4], const fragment b[2], float sums[4][32]) {
    multiply(a, b, sums, 1, tf32_of);
}

/* Eight lines by 32 bytes of them as registers of fragments: words l % 4 of line l / 4 of each chunk. */
static void load_lines(const struct product_operand *o, int64_t line, uint32_t *low, uint32_t *high) {
    for (int l = 0; l < 32; l++) {
        memcpy(&low[l], product_chunk(o, line + l / 4, 0) + 4 * (l % 4), 4);
        memcpy(&high[l], product_chunk(o, line + l / 4, 1) + 4 * (l % 4), 4);
    }
}

/* The same of eight outputs, chunk number `chunk`, whose inputs are 16 lines: a word is lines 2 (l % 4), + 1 at output l / 4.
 */
static void load_outputs(const struct product_operand *o, int64_t chunk, uint32_t *low, uint32_t *high) {
    for (int l = 0; l < 32; l++)
        for (int i = 0; i < 2; i++) {
            uint16_t halves[2];
            for (int h = 0; h < 2; h++)
                memcpy(&halves[h], product_chunk(o, 8 * i + l % 4 * 2 + h, chunk) + l / 4 * 2, 2);
            (i ? high : low)[l] = halves[0] | (uint32_t)halves[1] << 16;
        }
}

static struct product_operand lines_of(const struct mdl_warp *w, const char *columns, int64_t pitch,
                                       int64_t lines) {
    return (struct product_operand){columns, pitch, lines, 2, w->shared};
}

/* A warp's 16 rows by `outputs` of B. */
static void multiply_rows(const fragment rows[4], const struct product_operand *b, int64_t outputs,
                          bool transposed, float (*sums)[32], int elements,
                          double (*element)(uint32_t, int)) {
    fragment columns[2];
    for (int64_t n = 0; n < outputs / 8; n++) {
        if (transposed)
            load_outputs(b, n, columns[0], columns[1]);
        else
            load_lines(b, 8 * n, columns[0], columns[1]);
        multiply(rows, (const fragment *)columns, sums + 4 * n, elements, element);
    }
}

static void multiply_group(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b, int64_t b_pitch,
                           int64_t outputs, float (*sums)[32], int elements,
                           double (*element)(uint32_t, int)) {
    fragment rows[4];
    int64_t row = w->warp % 4 * 16;
    struct product_operand of_a = lines_of(w, a, a_pitch, 64), of_b = lines_of(w, b, b_pitch, outputs);
    product_begin((struct coroutine *)w, of_a, of_b);
    load_lines(&of_a, row, rows[0], rows[2]);
    load_lines(&of_a, row + 8, rows[1], rows[3]);
    multiply_rows((const fragment *)rows, &of_b, outputs, false, sums, elements, element);
}

static void multiply_registers(struct mdl_warp *w, const fragment a[4], const char *b, int64_t b_pitch,
                               int64_t outputs, int32_t transposed, float (*sums)[32],
                               double (*element)(uint32_t, int)) {
    struct product_operand from = transposed
                                      ? (struct product_operand){b, b_pitch, 16, outputs / 8, w->shared}
                                      : lines_of(w, b, b_pitch, outputs);
    product_begin((struct coroutine *)w, (struct product_operand){0}, from);
    multiply_rows(a, &from, outputs, transposed, sums, 2, element);
}

void mdl_emulate_wgmma_registers_bf16(struct mdl_warp *w, const fragment a[4], const char *b, int64_t b_pitch,
                                      int64_t outputs, int32_t transposed, float (*sums)[32]) {
    multiply_registers(w, a, b, b_pitch, outputs, transposed, sums, bf16_of);
}
void mdl_emulate_wgmma_registers_f16(struct mdl_warp *w, const fragment a[4], const char *b, int64_t b_pitch,
                                     int64_t outputs, int32_t transposed, float (*sums)[32]) {
    multiply_registers(w, a, b, b_pitch, outputs, transposed, sums, f16_of);
}

void mdl_emulate_wgmma_bf16(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b,
                            int64_t b_pitch, int64_t outputs, float (*sums)[32]) {
    multiply_group(w, a, a_pitch, b, b_pitch, outputs, sums, 2, bf16_of);
}
void mdl_emulate_wgmma_f16(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b, int64_t b_pitch,
                           int64_t outputs, float (*sums)[32]) {
    multiply_group(w, a, a_pitch, b, b_pitch, outputs, sums, 2, f16_of);
}

void mdl_emulate_wgmma_tf32(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b,
                            int64_t b_pitch, int64_t outputs, float (*sums)[32]) {
    multiply_group(w, a, a_pitch, b, b_pitch, outputs, sums, 1, tf32_of);
}

enum { MOST_OUTPUTS = 256, MOST_INPUTS = 2 * WORDS };

/* Lines of two chunks each, as numbers. */
static void unpack(const struct product_operand *o, int elements, double (*element)(uint32_t, int),
                   double (*to)[MOST_INPUTS]) {
    for (int64_t line = 0; line < o->lines; line++)
        for (int word = 0; word < WORDS; word++) {
            uint32_t bits;
            memcpy(&bits, product_chunk(o, line, word / 4) + word % 4 * 4, sizeof bits);
            for (int i = 0; i < elements; i++) to[line][word * elements + i] = element(bits, i);
        }
}

void tensor_multiply(const struct tensor_product *p) {
    double rows[MDL_TENSOR_ROWS][MOST_INPUTS], columns[MOST_OUTPUTS][MOST_INPUTS];
    unpack(&p->a, p->elements, p->element, rows);
    unpack(&p->b, p->elements, p->element, columns);
    for (int64_t row = 0; row < p->a.lines; row++)
        for (int64_t n = 0; n < p->b.lines; n++) {
            float *sum = &p->w->tensor[row * MDL_TENSOR_COLUMNS + n];
            double total = p->adds ? (double)*sum : 0;
            for (int k = 0; k < WORDS * p->elements; k++) total += rows[row][k] * columns[n][k];
            *sum = (float)total;
        }
}

static void begin_block(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b, int64_t b_pitch,
                        int64_t outputs, bool adds, int elements, double (*element)(uint32_t, int)) {
    struct tensor_product p = {
        w,      lines_of(w, a, a_pitch, MDL_TENSOR_ROWS), lines_of(w, b, b_pitch, outputs), adds, elements,
        element};
    engine_multiply((struct coroutine *)w, &p);
}

void mdl_emulate_tcgen05_bf16(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b,
                              int64_t b_pitch, int64_t outputs, int32_t adds) {
    begin_block(w, a, a_pitch, b, b_pitch, outputs, adds, 2, bf16_of);
}
void mdl_emulate_tcgen05_f16(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b,
                             int64_t b_pitch, int64_t outputs, int32_t adds) {
    begin_block(w, a, a_pitch, b, b_pitch, outputs, adds, 2, f16_of);
}
void mdl_emulate_tcgen05_tf32(struct mdl_warp *w, const char *a, int64_t a_pitch, const char *b,
                              int64_t b_pitch, int64_t outputs, int32_t adds) {
    begin_block(w, a, a_pitch, b, b_pitch, outputs, adds, 1, tf32_of);
}

void mdl_emulate_tensor_load(struct mdl_warp *w, int64_t column, int64_t count, float (*to)[32]) {
    for (int64_t i = 0; i < count; i++)
        for (int64_t l = 0; l < 32; l++)
            to[i][l] = w->tensor[(w->warp % 4 * 32 + l) * MDL_TENSOR_COLUMNS + column + i];
}

void mdl_emulate_mma_int8(const fragment a[4], const fragment b[2], int32_t sums[4][32]) {
    for (int row = 0; row < ROWS; row++)
        for (int column = 0; column < COLUMNS; column++) {
            uint32_t total = 0;
            for (int w = 0; w < WORDS; w++)
                for (int i = 0; i < 32; i += 8)
                    total += (uint32_t)((int8_t)(word_of_row(a, row, w) >> i) *
                                        (int)(uint8_t)(word_of_column(b, column, w) >> i));
            sums[row / 8 * 2 + column % 2][row % 8 * 4 + column / 2] += (int32_t)total;
        }
}

void mdl_emulate_dot4(const uint8_t w[32][4], const int8_t x[32][4], int32_t sums[32]) {
    for (int l = 0; l < 32; l++) {
        uint32_t total = (uint32_t)sums[l];
        for (int i = 0; i < 4; i++) total += (uint32_t)(w[l][i] * x[l][i]);
        sums[l] = (int32_t)total;
    }
}
