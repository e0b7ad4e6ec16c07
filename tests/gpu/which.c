/* Which GPU the tests run on:  which [cuda:N]
 * Prints its architecture, the best of ir/targets.def that runs there, and its name: "sm_90a NVIDIA H100".
 * Exit status 77, after saying why, where there is none. */
#include "ir/target.h"
#include "runtime/cuda_driver.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NO_GPU = 77 };

static int no_gpu(const char *why) {
    printf("no GPU: %s\n", why);
    return NO_GPU;
}

/* An architecture with a letter runs on devices of its own capability only (runtime/cuda_image.c). */
static const struct target *best_target(int capability) {
    const struct target *t, *best = NULL;
    for (int i = 0; (t = target_number(i)); i++) {
        if (!t->simt || t->capability > capability) continue;
        bool only = strchr("af", t->cpu[strlen(t->cpu) - 1]) != NULL;
        if ((!only || t->capability == capability) && (!best || t->capability > best->capability)) best = t;
    }
    return best;
}

/* The words of the driver for a code that is not 0. */
static int refused(const struct cuda_driver *d, int code) {
    char why[200];
    cuda_driver_text(d, code, why, sizeof why);
    return no_gpu(why);
}

int main(int argc, char **argv) {
    struct cuda_driver d = {0};
    char why[400], name[80] = "";
    int count = 0, device = 0, major = 0, minor = 0;
    const char *colon = argc > 1 ? strchr(argv[1], ':') : NULL;
    int number = colon ? atoi(colon + 1) : 0;
    if (cuda_driver_open(&d, why, sizeof why)) return no_gpu(why);
    int code = d.cuInit(0);
    if (!code) code = d.cuDeviceGetCount(&count);
    if (code) return refused(&d, code);
    if (number >= count) return no_gpu("the system has no device of this number");
    code = d.cuDeviceGet(&device, number);
    if (!code) code = d.cuDeviceGetName(name, sizeof name - 1, device);
    if (!code) code = d.cuDeviceGetAttribute(&major, CU_DEVICE_CAPABILITY_MAJOR, device);
    if (!code) code = d.cuDeviceGetAttribute(&minor, CU_DEVICE_CAPABILITY_MINOR, device);
    if (code) return refused(&d, code);
    const struct target *t = best_target(10 * major + minor);
    if (!t) return no_gpu("it is older than all that code is made for (mdlc --list-cpus)");
    printf("%s %s\n", t->cpu, name);
    cuda_driver_close(&d);
    return 0;
}
