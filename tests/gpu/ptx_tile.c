/* Elements of matrices in shared memory. */
#include "tests/gpu/ptx_tile.h"
#include "tests/gpu/ptx_ops.h"
#include "tests/gpu/ptx_tensor.h"
#include <string.h>

struct tile ptx_tile(uint64_t bits, uint32_t swizzle) {
    return (struct tile){(uint32_t)(bits & 0x3fff) << 4, (uint32_t)(bits >> 16 & 0x3fff) << 4,
                         (uint32_t)(bits >> 32 & 0x3fff) << 4, swizzle, false};
}

/* The address of 16 bytes of a row, k bytes from its beginning. */
static uint32_t piece(struct tile t, uint32_t row, uint32_t k) {
    if (!t.swizzle) return t.start + row / 8 * t.stride + k / 16 * t.leading + row % 8 * 16;
    return tensor_swizzled(t.start + row / 8 * t.stride + row % 8 * (16u << t.swizzle) + k, t.swizzle);
}

/* That of eight rows from `row` on, at number k. */
static uint32_t piece_across(struct tile t, uint32_t row, uint32_t k) {
    uint32_t piece = row / 8, together = 1u << t.swizzle;
    if (!t.swizzle) return t.start + piece * t.stride + k / 8 * t.leading + k % 8 * 16;
    return tensor_swizzled(t.start + piece / together * t.leading + piece % together * 16 + k / 8 * t.stride +
                               k % 8 * 16 * together,
                           t.swizzle);
}

void ptx_gather(struct warp *w, const struct insn *in, uint32_t lane, struct tile t, enum ptx_type type,
                uint32_t first, uint32_t rows, uint32_t k, ptx_note *note, float *to) {
    uint32_t width = ptx_element_bits(type), per = 128 / width, group[8];
    float some[16];
    for (uint32_t n = 0; n < rows * k / per; n++) {
        uint32_t r = t.transposed ? n / k * per : n % rows, i = t.transposed ? n % k : n / rows * per,
                 words[4];
        uint32_t address = t.transposed ? piece_across(t, first + r, i) : piece(t, first + r, i * width / 8);
        memcpy(words, ptx_shared(w, in, lane, address, 16, 16), sizeof words);
        note(w, in, lane, address);
        ptx_shared_fenced(w, in, lane, address, 16);
        ptx_expand(type, words, 4, some);
        for (uint32_t e = 0; e < per; e++) to[t.transposed ? (r + e) * k + i : r * k + i + e] = some[e];
        group[n % 8] = address;
        if (n % 8 == 7) ptx_conflicts(w, in, 0xff, group, 16);
    }
}
