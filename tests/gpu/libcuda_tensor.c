/* cuTensorMapEncodeTiled: what the driver checks of a tensor map, and the map in this stand-in's layout. */
#include "tests/gpu/libcuda.h"
#include "tests/gpu/ptx_tensor.h"
#include <string.h>

/* By CUtensorMapDataType: 8, 16, 32, 32, 64, 64 bits whole; f16, f32, f64, bf16, f32 flushed, tf32, tf32
 * flushed. */
static const uint8_t element_bytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};

static bool bounds(uint32_t rank, const uint64_t *extents, const uint64_t *strides, const uint32_t *box,
                   const uint32_t *steps) {
    for (uint32_t i = 0; i < rank; i++) {
        if (!extents[i] || extents[i] > UINT32_MAX || !box[i] || box[i] > 256 || !steps[i] || steps[i] > 8)
            return false;
        if (i && (strides[i - 1] % 16 || strides[i - 1] >> 40 || (i > 1 && strides[i - 1] < strides[i - 2])))
            return false;
    }
    return true;
}

CALL(cuTensorMapEncodeTiled, void *map, int type, uint32_t rank, void *address, const uint64_t *extents,
     const uint64_t *strides, const uint32_t *box, const uint32_t *steps, int interleave, int swizzle,
     int promotion, int fill) {
    struct tensor_map m = {.magic = TENSOR_MAP_MAGIC,
                           .rank = (uint8_t)rank,
                           .swizzle = (uint8_t)swizzle,
                           .fill_nan = fill == 1,
                           .address = (uint64_t)(uintptr_t)address};
    _Static_assert(sizeof m == 128, "as large as the driver's");
    if (!map || (uintptr_t)map % 64 || type < 0 || type > 12 || !rank || rank > 5 || m.address % 16)
        return INVALID_VALUE;
    if (promotion < 0 || promotion > 3 || fill < 0 || fill > 1 || swizzle < 0 || swizzle > 3)
        return INVALID_VALUE;
    if (interleave) return NOT_SUPPORTED; /* none of our kernels' */
    if (!bounds(rank, extents, strides, box, steps)) return INVALID_VALUE;
    m.element = element_bytes[type];
    uint32_t inner = box[0] * m.element;
    if (inner % 16 || (swizzle && inner > 16u << swizzle)) return INVALID_VALUE;
    for (uint32_t i = 0; i < rank; i++) {
        m.extents[i] = (uint32_t)extents[i];
        m.box[i] = (uint16_t)box[i];
        m.steps[i] = (uint8_t)steps[i];
        if (i) m.strides[i - 1] = strides[i - 1];
    }
    memcpy(map, &m, sizeof m);
    return CUDA_SUCCESS;
}
