/* What the runtime calls of CUDA's driver, libcuda, which is opened at run time: so its interface is declared
 * here, as cuda.h of CUDA 12 has it. Handles are pointers to what only the driver knows; memory of a device
 * is a number, which the host cannot take for a pointer by accident. */
#ifndef RUNTIME_CUDA_DRIVER_H
#define RUNTIME_CUDA_DRIVER_H
#include <stddef.h>
#include <stdint.h>

struct cu_context;
struct cu_module;
struct cu_function;
struct cu_stream;
struct cu_event;
struct cu_graph;
struct cu_exec; /* of a graph: ready to be launched */

/* A row a function: F(name, (parameters)). All return a CUresult, 0 when it went well. */
#define CUDA_DRIVER_FUNCTIONS(F)                                                                             \
    F(cuInit, (unsigned flags))                                                                              \
    F(cuGetErrorName, (int code, const char **name))                                                         \
    F(cuGetErrorString, (int code, const char **text))                                                       \
    F(cuDeviceGetCount, (int *count))                                                                        \
    F(cuDeviceGet, (int *device, int number))                                                                \
    F(cuDeviceGetName, (char *name, int size, int device))                                                   \
    F(cuDeviceGetAttribute, (int *value, int attribute, int device))                                         \
    F(cuDevicePrimaryCtxRetain, (struct cu_context **, int device))                                          \
    F(cuDevicePrimaryCtxRelease_v2, (int device))                                                            \
    F(cuCtxGetCurrent, (struct cu_context **))                                                               \
    F(cuCtxGetDevice, (int *device))                                                                         \
    F(cuCtxSetCurrent, (struct cu_context *))                                                                \
    F(cuModuleLoadDataEx,                                                                                    \
      (struct cu_module **, const void *image, unsigned count, int *options, void **values))                 \
    F(cuModuleUnload, (struct cu_module *))                                                                  \
    F(cuModuleGetFunction, (struct cu_function **, struct cu_module *, const char *name))                    \
    F(cuFuncGetAttribute, (int *value, int attribute, struct cu_function *))                                 \
    F(cuFuncSetAttribute, (struct cu_function *, int attribute, int value))                                  \
    F(cuOccupancyMaxActiveBlocksPerMultiprocessor,                                                           \
      (int *blocks, struct cu_function *, int threads, size_t shared))                                       \
    F(cuMemAlloc_v2, (uint64_t * at, size_t bytes))                                                          \
    F(cuMemFree_v2, (uint64_t at))                                                                           \
    F(cuMemAllocHost_v2, (void **at, size_t bytes))                                                          \
    F(cuMemFreeHost, (void *at))                                                                             \
    F(cuMemcpyHtoDAsync_v2, (uint64_t to, const void *from, size_t bytes, struct cu_stream *))               \
    F(cuMemcpyDtoHAsync_v2, (void *to, uint64_t from, size_t bytes, struct cu_stream *))                     \
    F(cuMemcpyDtoDAsync_v2, (uint64_t to, uint64_t from, size_t bytes, struct cu_stream *))                  \
    F(cuMemsetD8Async, (uint64_t at, unsigned char value, size_t bytes, struct cu_stream *))                 \
    F(cuStreamCreate, (struct cu_stream **, unsigned flags))                                                 \
    F(cuStreamDestroy_v2, (struct cu_stream *))                                                              \
    F(cuStreamSynchronize, (struct cu_stream *))                                                             \
    F(cuStreamBeginCapture_v2, (struct cu_stream *, int mode))                                               \
    F(cuStreamEndCapture, (struct cu_stream *, struct cu_graph **))                                          \
    F(cuGraphInstantiateWithFlags, (struct cu_exec **, struct cu_graph *, unsigned long long flags))         \
    F(cuGraphDestroy, (struct cu_graph *))                                                                   \
    F(cuGraphLaunch, (struct cu_exec *, struct cu_stream *))                                                 \
    F(cuGraphExecDestroy, (struct cu_exec *))                                                                \
    F(cuLaunchKernel, (struct cu_function *, unsigned grid_x, unsigned grid_y, unsigned grid_z,              \
                       unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,                \
                       struct cu_stream *, void **parameters, void **extra))                                 \
    F(cuEventCreate, (struct cu_event **, unsigned flags))                                                   \
    F(cuEventRecord, (struct cu_event *, struct cu_stream *))                                                \
    F(cuEventSynchronize, (struct cu_event *))                                                               \
    F(cuEventElapsedTime, (float *ms, struct cu_event *start, struct cu_event *end))                         \
    F(cuEventDestroy_v2, (struct cu_event *))
/* The same of CUDA 12, which only kernels for 9.0 and later need: NULL where the driver has none. */
#define CUDA_DRIVER_LATER_FUNCTIONS(F)                                                                       \
    F(cuTensorMapEncodeTiled,                                                                                \
      (void *map, int type, unsigned rank, uint64_t at, const uint64_t *extents, const uint64_t *strides,    \
       const uint32_t *box, const uint32_t *steps, int interleave, int swizzle, int promotion, int fill))

/* Numbers of cuda.h that are meant by these calls. */
enum {
    CU_OUT_OF_MEMORY = 2,
    CU_INSUFFICIENT_DRIVER = 35,
    CU_NO_DEVICE = 100,
    CU_NO_BINARY_FOR_GPU = 209,
    CU_INVALID_PTX = 218,
    CU_UNSUPPORTED_PTX_VERSION = 222,
    CU_JIT_COMPILER_NOT_FOUND = 221,
    CU_SYSTEM_DRIVER_MISMATCH = 803
};
enum { CU_JIT_ERROR_LOG = 5, CU_JIT_ERROR_LOG_BYTES = 6 };
enum { CU_FUNC_MAX_THREADS_PER_BLOCK = 0, CU_FUNC_MAX_DYNAMIC_SHARED = 8 };
enum { CU_DEVICE_MULTIPROCESSORS = 16, CU_DEVICE_CAPABILITY_MAJOR = 75, CU_DEVICE_CAPABILITY_MINOR = 76 };
/* Of a map: types of elements, places of a line's pieces, what L2 reads at a time. */
enum { CU_MAP_FLOAT16 = 6, CU_MAP_FLOAT32 = 7, CU_MAP_BFLOAT16 = 9 };
enum { CU_MAP_SWIZZLE_128B = 3, CU_MAP_L2_256B = 3 };
enum { CU_STREAM_NON_BLOCKING = 1, CU_CAPTURE_THREAD_LOCAL = 1, CU_EVENT_DISABLE_TIMING = 2 };

struct cuda_driver {
    void *library; /* of dlopen */
#define CUDA_DRIVER_FIELD(name, parameters) int(*name) parameters;
    CUDA_DRIVER_FUNCTIONS(CUDA_DRIVER_FIELD)
    CUDA_DRIVER_LATER_FUNCTIONS(CUDA_DRIVER_FIELD)
#undef CUDA_DRIVER_FIELD
};

/* Opens libcuda.so.1, or $MDL_CUDA. An enum mdl_status, with the reason in `error`. */
int cuda_driver_open(struct cuda_driver *d, char *error, size_t size);
void cuda_driver_close(struct cuda_driver *d);

/* "CUDA_ERROR_OUT_OF_MEMORY: out of memory" */
void cuda_driver_text(const struct cuda_driver *d, int code, char *text, size_t size);
/* The enum mdl_status that a CUresult comes to. */
int cuda_driver_status(int code);

#endif
