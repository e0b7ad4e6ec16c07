/* From a model's images to kernels on a device. PTX is compiled by the driver for any device that is not
 * older than it; a cubin is ready, for devices of its own generation. */
#include "runtime/cuda.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_cubin(const struct mdl_image *i) {
    return i->bytes >= 4 && memcmp(i->code, "\177ELF", 4) == 0;
}

/* How well an image suits a device of this capability; negative: it does not run there. Of an architecture
 * with a letter, "a" is for that one alone, "f" for its generation. A cubin runs from its own on in its
 * generation, PTX from its own on. */
static int suits(const struct mdl_image *image, int capability) {
    char *letter;
    if (strncmp(image->arch, "sm_", 3) || !isdigit((unsigned char)image->arch[3])) return -1;
    int arch = (int)strtol(image->arch + 3, &letter, 10);
    bool generation = is_cubin(image) || *letter == 'f';
    if (arch > capability || (*letter == 'a' && arch != capability)) return -1;
    if (generation && arch / 10 != capability / 10) return -1;
    return 4 * arch + 2 * (*letter != 0) + is_cubin(image);
}

static const struct mdl_image *choose(const struct mdl_device *d, int capability) {
    const struct mdl_image *best = NULL;
    for (uint32_t i = 0; i < d->images_count; i++) {
        int here = suits(&d->images[i], capability);
        if (here >= 0 && (!best || here > suits(best, capability))) best = &d->images[i];
    }
    return best;
}

const struct mdl_descriptor *cuda_choose(const struct mdl_descriptor *first, int capability) {
    const struct mdl_descriptor *best = first;
    const struct mdl_image *of_best = choose(first->device, capability);
    for (const struct mdl_descriptor *d = first->other; d; d = d->other) {
        const struct mdl_image *image =
            d->device && d->device->calls == &mdl_cuda ? choose(d->device, capability) : NULL;
        if (!image || (of_best && suits(image, capability) <= suits(of_best, capability))) continue;
        best = d;
        of_best = image;
    }
    return best;
}

static int no_image(struct cuda_visit *v, const struct mdl_descriptor *d) {
    char list[200] = "";
    size_t length = 0;
    for (const struct mdl_descriptor *p = d; p; p = p->other)
        for (uint32_t i = 0; p->device && i < p->device->images_count && length < sizeof list - 1; i++) {
            int n = snprintf(list + length, sizeof list - length, "%s%s%s", length ? ", " : "",
                             p->device->images[i].arch, is_cubin(&p->device->images[i]) ? " (cubin)" : "");
            length += n > 0 ? (size_t)n : 0;
        }
    return cuda_fail(v, MDL_UNSUPPORTED,
                     "has compute capability %d.%d, for which model %s has no code: it has %s",
                     v->device->capability / 10, v->device->capability % 10, d->name, *list ? list : "none");
}

/* The text that the driver's compiler left, on one line. */
static void one_line(char *log) {
    size_t end = strlen(log);
    while (end && isspace((unsigned char)log[end - 1])) log[--end] = 0;
    for (char *c = log; *c; c++)
        if (iscntrl((unsigned char)*c)) *c = ' ';
}

static int load_module(struct cuda_visit *v, const struct mdl_descriptor *d, const struct mdl_image *image) {
    char log[400] = "";
    int options[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
    void *values[] = {log, (void *)(uintptr_t)(sizeof log - 1)};
    struct device *device = v->device;
    int code = device->driver.cuModuleLoadDataEx(&device->module, image->code, 2, options, values);
    if (!code) return MDL_OK;
    device->module = NULL;
    one_line(log);
    return cuda_check(v, code, "the code of model %s for %s cannot be loaded%s%.200s", d->name, image->arch,
                      *log ? ": " : "", log);
}

/* The driver may load a kernel only when it is first asked about; here it may, in a recording not. */
static int find_kernel(struct cuda_visit *v, const struct mdl_launch *l, struct cu_function **kernel) {
    const struct cuda_driver *driver = &v->device->driver;
    int most = 0;
    int status =
        cuda_check(v, driver->cuModuleGetFunction(kernel, v->device->module, l->name), "kernel %s", l->name);
    if (!status)
        status = cuda_check(v, driver->cuFuncGetAttribute(&most, CU_FUNC_MAX_THREADS_PER_BLOCK, *kernel),
                            "kernel %s: how many threads it may have", l->name);
    if (status) return status;
    if (l->threads > (uint32_t)most)
        return cuda_fail(v, MDL_UNSUPPORTED,
                         "kernel %s has blocks of %u threads, of which its registers allow %d", l->name,
                         l->threads, most);
    if (!l->shared) return MDL_OK;
    return cuda_check(v, driver->cuFuncSetAttribute(*kernel, CU_FUNC_MAX_DYNAMIC_SHARED, (int)l->shared),
                      "kernel %s wants %u bytes of shared memory a block", l->name, l->shared);
}

static int find_resident(struct cuda_visit *v, const struct mdl_launch *l, struct cu_function *kernel, int *resident) {
    int blocks = 0;
    if (!l->resident) return MDL_OK;
    int code = v->device->driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, (int)l->threads, l->shared);
    *resident = blocks * v->device->processors;
    return cuda_check(v, code, "kernel %s: how many of its blocks run at a time", l->name);
}

int cuda_load(struct cuda_visit *v, const struct mdl_descriptor *d) {
    const struct mdl_image *image = choose(d->device, v->device->capability);
    if (!image) return no_image(v, d);
    v->device->kernels = calloc((size_t)d->kernels_count + 1, sizeof *v->device->kernels);
    v->device->resident = calloc((size_t)d->kernels_count + 1, sizeof *v->device->resident);
    if (!v->device->kernels || !v->device->resident) return cuda_fail(v, MDL_NO_MEMORY, "out of memory");
    int status = load_module(v, d, image);
    for (uint32_t i = 0; i < d->kernels_count && !status; i++) {
        const struct mdl_launch *l = &d->device->launches[i];
        status = find_kernel(v, l, &v->device->kernels[i]);
        if (!status) status = find_resident(v, l, v->device->kernels[i], &v->device->resident[i]);
    }
    return status;
}
