/* Tensor maps, which say to the GPU's engine where boxes of a tensor lie: made when a kernel is launched or its launch is
 * recorded, which keeps a copy. */
#include "runtime/cuda.h"

/* Where there is nothing, there is no map, and nobody to read it. */
static bool is_empty(const uint64_t *extents, uint32_t rank) {
    for (uint32_t i = 0; i < rank; i++)
        if (!extents[i]) return true;
    return false;
}

static int encode(const struct cuda_driver *d, void *to, const struct mdl_map *m, uint64_t at,
                  const uint64_t *extents) {
    static const struct {
        int type, bytes;
    } elements[] = {
        [MDL_F32] = {CU_MAP_FLOAT32, 4}, [MDL_F16] = {CU_MAP_FLOAT16, 2}, [MDL_BF16] = {CU_MAP_BFLOAT16, 2}};
    static const uint32_t steps[MDL_MAP_DIMS] = {1, 1, 1, 1, 1};
    uint64_t strides[MDL_MAP_DIMS], stride = (uint64_t)elements[m->dtype].bytes;
    for (uint32_t i = 0; i + 1 < m->rank; i++) strides[i] = stride *= extents[i];
    return d->cuTensorMapEncodeTiled(to, elements[m->dtype].type, m->rank, at, extents, strides, m->box,
                                     steps, 0, CU_MAP_SWIZZLE_128B, CU_MAP_L2_256B, 0);
}

int cuda_encode_maps(struct cuda_visit *v, struct mdl_session *s, const struct mdl_step *step) {
    const struct mdl_descriptor *d = s->model->descriptor;
    const struct mdl_launch *l = &d->device->launches[step->kernel];
    if (l->maps_count && !v->device->driver.cuTensorMapEncodeTiled)
        return cuda_fail(v, MDL_UNSUPPORTED,
                         "kernel %s needs tensor maps, which drivers before CUDA 12 do not have", l->name);
    for (uint32_t i = 0; i < l->maps_count; i++) {
        const struct mdl_map *m = &l->maps[i];
        uint64_t extents[MDL_MAP_DIMS] = {0};
        for (uint32_t k = 0; k < m->rank; k++) extents[k] = (uint64_t)d->extent(m->extents[k], s->call.dims);
        if (is_empty(extents, m->rank)) continue;
        uint64_t at = cuda_resolve(s, &d->refs[step->first_ref + m->buffer]);
        int code = encode(&v->device->driver, s->device->maps + (size_t)i * MDL_MAP_BYTES, m, at, extents);
        int status = cuda_check(v, code, "a tensor map of kernel %s cannot be made", l->name);
        if (status) return status;
    }
    return MDL_OK;
}
