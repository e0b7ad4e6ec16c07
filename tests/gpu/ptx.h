/* PTX text on machines without a GPU: parsed, decoded once, interpreted with 32 lanes in lockstep.
 * What a GPU leaves to chance is made visible: memory is poisoned, copies arrive only at their wait, warps
 * run in a random order, and races, divergence and bad addresses end the launch with a located message. */
#ifndef TESTS_GPU_PTX_H
#define TESTS_GPU_PTX_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PTX_MESSAGE = 4096 };

struct ptx_module;
struct ptx_kernel;

/* NULL: `message` [PTX_MESSAGE] says what is wrong, one line an error, each with its line in the text. */
struct ptx_module *ptx_module_new(const char *text, char *message);
void ptx_module_free(struct ptx_module *module);
const struct ptx_kernel *ptx_module_kernel(const struct ptx_module *module, const char *name);
/* The i-th kernel, or NULL past the last. */
const struct ptx_kernel *ptx_module_kernel_at(const struct ptx_module *module, size_t i);
/* A device pointer to a variable of the module, or 0. */
uint64_t ptx_module_global(const struct ptx_module *module, const char *name, uint64_t *bytes);

const char *ptx_kernel_name(const struct ptx_kernel *kernel);
uint32_t ptx_kernel_params(const struct ptx_kernel *kernel);
void ptx_kernel_param(const struct ptx_kernel *kernel, uint32_t i, uint32_t *offset, uint32_t *bytes);
uint32_t ptx_kernel_param_bytes(const struct ptx_kernel *kernel);
uint32_t ptx_kernel_shared_bytes(const struct ptx_kernel *kernel); /* static ones */
uint32_t ptx_kernel_local_bytes(const struct ptx_kernel *kernel);
uint32_t ptx_kernel_max_threads(const struct ptx_kernel *kernel); /* by .maxntid or .reqntid; 1024 without */
size_t ptx_kernel_instructions(const struct ptx_kernel *kernel);

struct ptx_launch {
    uint32_t grid[3], block[3];
    uint32_t shared; /* dynamic shared memory of a block, bytes */
    uint64_t seed;   /* of the order in which warps run */
    uint64_t limit;  /* instructions of a warp before it counts as endless; 0: 2^30 */
};
/* Sums over a launch; `lines`, if not NULL, is [ptx_kernel_instructions] conflicts by instruction. */
struct ptx_stats {
    uint64_t instructions, lane_operations;   /* of warps; of their active lanes */
    uint64_t shared_accesses, bank_conflicts; /* phases of shared accesses; further passes they took */
    uint64_t *lines;
};
/* False: `message` [PTX_MESSAGE] has kernel, block, thread, line and what was wrong. */
bool ptx_run(const struct ptx_kernel *kernel, const struct ptx_launch *launch, const void *params,
             struct ptx_stats *stats, char *message);
/* Line in the text of an instruction of the kernel, and the text. */
uint32_t ptx_kernel_line(const struct ptx_kernel *kernel, size_t instruction, const char **text);

/* Device memory: addresses that no host can read, so that mixing them up is a crash. Memory is poisoned. */
uint64_t ptx_allocate(uint64_t bytes);
bool ptx_release(uint64_t address);
/* The host's view of `bytes` at a device address; NULL: not all of it is in one allocation. */
void *ptx_memory(uint64_t address, uint64_t bytes);
/* The allocation an address is in. */
bool ptx_allocation(uint64_t address, uint64_t *base, uint64_t *bytes);
#endif
