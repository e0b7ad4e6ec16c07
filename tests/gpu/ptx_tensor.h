/* Tensor maps: what cuTensorMapEncodeTiled makes and bulk tensor copies read. The layout is this stand-in's
 * own. */
#ifndef TESTS_GPU_PTX_TENSOR_H
#define TESTS_GPU_PTX_TENSOR_H
#include <stdint.h>

#define TENSOR_MAP_MAGIC UINT32_C(0x70616d74)
struct tensor_map { /* extents and strides from the innermost dimension on */
    uint32_t magic;
    uint8_t element, rank, swizzle, fill_nan; /* bytes; 1-5; 0-3: none, 32, 64, 128 bytes */
    uint64_t address;
    uint64_t strides[4]; /* bytes; of dimensions 1 and on */
    uint32_t extents[5];
    uint16_t box[5];
    uint8_t steps[5];
    uint8_t spare[128 - 16 - 32 - 20 - 10 - 5];
};

/* Where a byte of a tile at a shared address lies: 16-byte pieces exchanged by the address's upper bits. */
static inline uint32_t tensor_swizzled(uint32_t address, uint32_t swizzle) {
    return address ^ ((address >> 7 & ((1u << swizzle) - 1)) << 4);
}
#endif
