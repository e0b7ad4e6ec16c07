/* The runtime on a GPU where something is wrong: the device, the images, the driver, a kernel, each call of
 * the driver in turn. */
#include "runtime/cuda.h"
#include "tests/gpu/device.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { S = DEVICE_S, LAUNCH_FAILED = 719 };

static void refuses(const char *device, int status, const char *message) {
    struct fixture f = {0};
    device_watch(&f);
    cr_assert_eq(device_open(&f, &mdl_descriptor, device), status, "%s: %s", device, f.error);
    cr_assert_str_eq(f.error, message);
    cr_assert_null(f.model);
}

Test(cuda_failures, devices_that_there_are_not) {
    refuses("cpu", MDL_UNSUPPORTED,
            "model handmade_gpu was compiled for cuda (sm_80): it cannot run on device cpu");
    refuses("cuda:x", MDL_INVALID, "options.device is cuda:x: cuda:N was expected");
    refuses("cuda:", MDL_INVALID, "options.device is cuda:: cuda:N was expected");
    refuses("cuda:-1", MDL_INVALID, "options.device is cuda:-1: cuda:N was expected");
    refuses("cud:0", MDL_UNSUPPORTED,
            "model handmade_gpu was compiled for cuda (sm_80): it cannot run on device cud:0");
    refuses("cuda:7", MDL_UNSUPPORTED, "cuda:7: there is no such device: there is 1");
}

Test(cuda_failures, devices_by_name) {
    static const char *const names[] = {NULL, "cuda", "cuda:0"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct fixture f = {0};
        device_watch(&f);
        cr_assert_eq(device_open(&f, &mdl_descriptor, names[i]), MDL_OK, "%s", f.error);
        device_end(&f);
    }
}

Test(cuda_failures, no_driver) {
    struct fixture f = {0};
    setenv("MDL_CUDA", "/nowhere/libcuda.so.1", 1);
    cr_assert_eq(device_open(&f, &mdl_descriptor, NULL), MDL_UNSUPPORTED);
    cr_assert_eq(strncmp(f.error,
                         "model handmade_gpu was compiled for cuda: /nowhere/libcuda.so.1 cannot be opened",
                         77),
                 0, "%s", f.error);
    setenv("MDL_CUDA", "libm.so.6", 1);
    cr_assert_eq(device_open(&f, &mdl_descriptor, NULL), MDL_UNSUPPORTED);
    cr_assert(strstr(f.error, "libm.so.6 has no cuInit"), "%s", f.error);
}

/* The model with other images; `capability` is the stand-in's. */
static int open_images(struct fixture *f, const char *capability, const struct mdl_image *images,
                       uint32_t count) {
    struct mdl_descriptor d = mdl_descriptor;
    struct mdl_device device = *mdl_descriptor.device;
    device.images = images;
    device.images_count = count;
    d.device = &device;
    setenv("MDL_FAKE_SM", capability, 1);
    int status = device_open(f, &d, NULL);
    if (!status) mdl_close(f->model);
    return status;
}

#define NOT_PTX(arch)                                                                                        \
    { arch, "not for this device", 20 }
#define PTX(arch)                                                                                            \
    { arch, handmade_ptx, 0 }
#define CUBIN(arch)                                                                                          \
    { arch, "\177ELF for another device", 24 }

/* Only the image that is the best can be loaded. */
Test(cuda_failures, the_best_image_is_taken) {
    static const struct {
        const char *capability;
        uint32_t count;
        struct mdl_image images[4];
    } cases[] = {
        {"80", 3, {PTX("sm_80"), NOT_PTX("sm_90a"), NOT_PTX("sm_100a")}},
        {"86", 3, {NOT_PTX("sm_75"), PTX("sm_80"), NOT_PTX("sm_89")}},
        {"90", 3, {NOT_PTX("sm_80"), PTX("sm_90a"), NOT_PTX("sm_90")}},
        {"100", 3, {PTX("sm_90"), NOT_PTX("sm_90a"), NOT_PTX("sm_103a")}},
        {"103", 3, {NOT_PTX("sm_100a"), PTX("sm_100f"), NOT_PTX("sm_90")}},
        {"120", 3, {NOT_PTX("sm_100a"), NOT_PTX("sm_100f"), PTX("sm_90")}},
        {"90", 4, {CUBIN("sm_80"), CUBIN("sm_89"), PTX("sm_80"), CUBIN("sm_100")}},
        {"86", 2, {CUBIN("sm_89"), PTX("sm_70")}},
        {"90", 2, {NOT_PTX("gfx942"), PTX("sm_80")}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f = {0};
        device_watch(&f);
        cr_assert_eq(open_images(&f, cases[i].capability, cases[i].images, cases[i].count), MDL_OK, "%zu: %s",
                     i, f.error);
        cr_assert_eq(f.watch.calls("cuModuleLoadDataEx"), 1);
    }
}

/* The stand-in takes no cubins: so it was one that was chosen. */
Test(cuda_failures, a_cubin_goes_before_ptx) {
    static const struct mdl_image images[] = {PTX("sm_86"), CUBIN("sm_86"), PTX("sm_80"), CUBIN("sm_80")};
    struct fixture f = {0};
    device_watch(&f);
    cr_assert_neq(open_images(&f, "86", images, 4), MDL_OK);
    cr_assert(strstr(f.error, "the code of model handmade_gpu for sm_86 cannot be loaded"), "%s", f.error);
}

Test(cuda_failures, no_image_for_the_device) {
    static const struct mdl_image images[] = {NOT_PTX("sm_90a"), CUBIN("sm_80"), NOT_PTX("sm_100a")};
    struct fixture f = {0};
    device_watch(&f);
    cr_assert_eq(open_images(&f, "75", images, 3), MDL_UNSUPPORTED);
    cr_assert(strstr(f.error,
                     "has compute capability 7.5, for which model handmade_gpu has no code: it has sm_90a, "
                     "sm_80 (cubin), sm_100a"),
              "%s", f.error);
    cr_assert_eq(open_images(&f, "75", images, 0), MDL_UNSUPPORTED);
    cr_assert(strstr(f.error, "it has none"), "%s", f.error);
}

Test(cuda_failures, what_is_not_ptx) {
    static const struct mdl_image images[] = {NOT_PTX("sm_80")};
    struct fixture f = {0};
    device_watch(&f);
    cr_assert_eq(open_images(&f, "80", images, 1), MDL_UNSUPPORTED, "%s", f.error);
    cr_assert(strstr(f.error, "the code of model handmade_gpu for sm_80 cannot be loaded"), "%s", f.error);
    cr_assert(strstr(f.error, "CUDA_ERROR_INVALID_PTX"), "%s", f.error);
}

Test(cuda_failures, kernels_that_are_not_in_the_image) {
    struct fixture f = {0};
    struct mdl_descriptor d = mdl_descriptor;
    struct mdl_device device = *mdl_descriptor.device;
    struct mdl_launch launches[2] = {device.launches[0], {.name = "nothing", .threads = 32}};
    device.launches = launches;
    d.device = &device;
    d.kernels_count = 2;
    device_watch(&f);
    cr_assert_eq(device_open(&f, &d, NULL), MDL_DEVICE);
    cr_assert(strstr(f.error, "kernel nothing: CUDA_ERROR_NOT_FOUND"), "%s", f.error);
    launches[1] = (struct mdl_launch){.name = "copy", .threads = 4096};
    cr_assert_eq(device_open(&f, &d, NULL), MDL_UNSUPPORTED);
    cr_assert(strstr(f.error, "kernel copy has blocks of 4096 threads, of which its registers allow 1024"),
              "%s", f.error);
    launches[1] = (struct mdl_launch){.name = "copy", .threads = 32, .shared = 1 << 20};
    cr_assert_neq(device_open(&f, &d, NULL), MDL_OK);
    cr_assert(strstr(f.error, "kernel copy wants 1048576 bytes of shared memory a block"), "%s", f.error);
}

Test(cuda_failures, a_model_for_the_processor_on_a_gpu) {
    struct fixture f = {0};
    struct mdl_descriptor d = mdl_descriptor;
    d.device = NULL;
    d.target = "znver5";
    cr_assert_eq(device_open(&f, &d, "cuda:0"), MDL_UNSUPPORTED);
    cr_assert_str_eq(f.error,
                     "model handmade_gpu was compiled for cpu (znver5): it cannot run on device cuda:0");
    struct mdl_device device = *mdl_descriptor.device;
    device.calls = NULL;
    d.device = &device;
    cr_assert_eq(device_open(&f, &d, NULL), MDL_UNSUPPORTED);
    cr_assert_str_eq(f.error,
                     "model handmade_gpu was compiled for cuda, but linked without what runs it there");
}

/* The watched driver is one of before CUDA 12. */
Test(cuda_failures, tensor_maps_that_there_are_not) {
    struct fixture f = {0};
    struct mdl_descriptor d = mdl_descriptor;
    struct mdl_device device = *mdl_descriptor.device;
    struct mdl_launch launches[32];
    struct mdl_map map = {.dtype = MDL_F32, .rank = 1};
    int32_t result;
    device_watch(&f);
    cr_assert_leq(d.kernels_count, 32);
    memcpy(launches, device.launches, d.kernels_count * sizeof *launches);
    for (uint32_t i = 0; i < d.kernels_count; i++) launches[i].maps = &map, launches[i].maps_count = 1;
    device.launches = launches;
    d.device = &device;
    cr_assert_eq(device_open(&f, &d, NULL), MDL_OK, "%s", f.error);
    cr_assert_eq(mdl_session_new(f.model, &f.session), MDL_OK);
    cr_assert_eq(mdl_call(f.session, HANDMADE_PEEK, NULL, NULL, (void *[]){&result}), MDL_UNSUPPORTED);
    cr_assert(strstr(mdl_error(f.session), "kernel peek needs tensor maps, which drivers before CUDA 12 do not have"), "%s",
              mdl_error(f.session));
    device_end(&f);
}

Test(cuda_failures, memory_that_there_is_not) {
    struct fixture f = {0};
    struct mdl_session *s;
    device_start(&f);
    f.watch.fail("cuMemAlloc_v2", 1, CU_OUT_OF_MEMORY);
    cr_assert_eq(mdl_session_new(f.model, &s), MDL_NO_MEMORY);
    cr_assert_null(s);
    cr_assert(strstr(mdl_error(NULL), "8192 bytes for the arena: CUDA_ERROR_OUT_OF_MEMORY"), "%s",
              mdl_error(NULL));
    f.watch.fail("cuMemAlloc_v2", 2, CU_OUT_OF_MEMORY); /* the exchange, then the scratch */
    cr_assert_eq(device_mix(&f, S), MDL_NO_MEMORY);
    cr_assert(strstr(mdl_error(f.session), "41984 bytes for the scratch of a step: CUDA_ERROR_OUT_OF_MEMORY"),
              "%s", mdl_error(f.session));
    cr_assert_eq(device_mix(&f, S), MDL_OK, "%s", mdl_error(f.session));
    cr_assert(handmade_mix_is_right(&f.call, S));
    device_end(&f);
    f.watch.fail("cuMemAlloc_v2", 1, CU_OUT_OF_MEMORY);
    cr_assert_eq(device_open(&f, &mdl_descriptor, NULL), MDL_NO_MEMORY);
    cr_assert(strstr(f.error, "192 bytes for the weights"), "%s", f.error);
}

/* Room for more than is needed is taken only where there is any. */
Test(cuda_failures, memory_that_is_just_enough) {
    struct fixture f = {0};
    struct mdl_memory m;
    device_start(&f);
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    f.watch.fail("cuMemAlloc_v2", 1, CU_OUT_OF_MEMORY);
    cr_assert_eq(device_mix(&f, S + 16), MDL_OK, "%s", mdl_error(f.session));
    cr_assert(handmade_mix_is_right(&f.call, S + 16));
    mdl_api.memory(f.session, &m);
    cr_assert_eq(m.buffers, 512 + 512 + 64 + 64 + 512 + 64);
    cr_assert_eq(m.scratch, 2 * (CUDA_JOIN_BYTES + S * 2 * 128));
    device_end(&f);
}

/* Where a thread has a GPU already, and names none. */
Test(cuda_failures, the_current_gpu_is_taken) {
    struct fixture f = {0}, g = {0};
    device_start(&f);
    const struct cuda_driver *d = &f.model->device->driver;
    device_watch(&g);
    cr_assert_eq(device_open(&g, &mdl_descriptor, NULL), MDL_OK, "%s", g.error);
    cr_assert_eq(g.watch.calls("cuCtxGetDevice"), 0);
    mdl_close(g.model);
    cr_assert_eq(d->cuCtxSetCurrent(f.model->device->context), 0);
    cr_assert_eq(device_open(&g, &mdl_descriptor, NULL), MDL_OK, "%s", g.error);
    cr_assert_eq(g.watch.calls("cuCtxGetDevice"), 1);
    cr_assert_eq(g.model->device->number, 0);
    mdl_close(g.model);
    cr_assert_eq(device_open(&g, &mdl_descriptor, "cuda:0"), MDL_OK, "%s", g.error);
    cr_assert_eq(g.watch.calls("cuCtxGetDevice"), 1);
    mdl_close(g.model);
    g.watch.fail("cuCtxGetDevice", 1, LAUNCH_FAILED);
    cr_assert_eq(device_open(&g, &mdl_descriptor, NULL), MDL_DEVICE);
    d->cuCtxSetCurrent(NULL);
    device_end(&f);
}

static int crash(struct fixture *f) {
    int32_t result;
    void *results[] = {&result};
    return mdl_call(f->session, HANDMADE_CRASH, NULL, NULL, results);
}

Test(cuda_failures, a_kernel_that_crashes) {
    struct fixture f = {0};
    device_start(&f);
    cr_assert_eq(crash(&f), MDL_DEVICE);
    cr_assert(strstr(mdl_error(f.session),
                     "a kernel of crash failed (CUDA_LAUNCH_BLOCKING=1 tells which): CUDA_ERROR_"),
              "%s", mdl_error(f.session));
    device_end(&f);
}

Test(cuda_failures, a_kernel_that_crashes_has_a_name_when_kernels_run_one_by_one) {
    struct fixture f = {0};
    setenv("CUDA_LAUNCH_BLOCKING", "1", 1);
    device_start(&f);
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    cr_assert(handmade_mix_is_right(&f.call, S));
    cr_assert_eq(f.watch.calls("cuGraphLaunch"), 0);
    cr_assert_eq(crash(&f), MDL_DEVICE);
    cr_assert(strstr(mdl_error(f.session), "kernel crash (handmade.mdl:40:3) failed: CUDA_ERROR_"), "%s",
              mdl_error(f.session));
    device_end(&f);
}

static int scan(struct fixture *f, int64_t extent, float (*y)[2][8], int32_t *n) {
    return mdl_call(f->session, HANDMADE_SCAN, &extent, (const void *[]){f->call.x}, (void *[]){y, n});
}

/* All that a program may do; the first status that is not MDL_OK, with its message in *why. */
static int life(struct fixture *f, const char *path, const char **why) {
    struct mdl_event events[8];
    uint64_t count;
    float y[4][2][8];
    int32_t n;
    int status = device_open(f, &mdl_descriptor, "cuda:0");
    *why = f->error;
    if (status) return status;
    status = mdl_session_new(f->model, &f->session);
    *why = mdl_error(f->session);
    if (!status) status = device_mix(f, 3);
    if (!status) status = device_mix(f, S);
    if (!status) status = device_mix(f, S);
    if (!status) status = scan(f, 3, y, &n);
    if (!status) status = mdl_session_save(f->session, path, NULL, 0);
    if (!status) status = mdl_session_load(f->session, path, NULL, 0, NULL);
    if (!status) status = mdl_session_reset(f->session);
    if (!status) mdl_api.trace(f->session, events, 8, &count);
    if (!status) mdl_api.poison(f->session, 1);
    if (!status) status = device_mix(f, S);
    if (f->session) mdl_api.trace(f->session, NULL, 0, NULL);
    return status;
}

/* After a call that failed the session is as good as before. */
static void use_again(struct fixture *f, const char *name, long call) {
    float y[4][2][8];
    int32_t n = 0;
    if (!f->session) return;
    f->watch.fail(NULL, 0, 0);
    cr_assert_eq(device_mix(f, S), MDL_OK, "%s, call %ld: %s", name, call, mdl_error(f->session));
    cr_assert(handmade_mix_is_right(&f->call, S), "%s, call %ld", name, call);
    cr_assert_eq(scan(f, 9, y, &n), MDL_OK, "%s, call %ld: %s", name, call, mdl_error(f->session));
    cr_assert(n == 8 && y[3][1][7] == 1107, "%s, call %ld", name, call);
}

/* Functions whose failure is nobody's who could do anything about it. */
static bool is_ignored(const char *name) {
    return strstr(name, "Free") || strstr(name, "Destroy") || strstr(name, "Unload") ||
           strstr(name, "Release");
}

/* Whether the function has a call of this number; it fails, and the program is told and goes on. */
static bool fails(const char *name, long call, const char *path) {
    struct fixture f = {0};
    const char *why = "";
    device_watch(&f);
    handmade_inputs(&f.call);
    f.watch.fail(name, call, LAUNCH_FAILED);
    int status = life(&f, path, &why);
    bool was_called = f.watch.calls(name) >= call;
    bool asks = !strncmp(name, "cuGetError", 10), leaves = !strcmp(name, "cuCtxSetCurrent");
    if (was_called && !is_ignored(name) && !asks && !leaves) {
        cr_assert_eq(status, MDL_DEVICE, "%s, call %ld: %d", name, call, status);
        cr_assert(strstr(why, "CUDA_ERROR_LAUNCH_FAILED (719)"), "%s, call %ld: %s", name, call, why);
    }
    if (was_called) use_again(&f, name, call);
    device_end(&f);
    return was_called || f.watch.calls(name) >= call; /* or only as it was closed */
}

Test(cuda_failures, every_call_of_the_driver_in_turn, .timeout = 300) {
    struct fixture f = {0};
    char path[64];
    int failed = 0;
    snprintf(path, sizeof path, "/tmp/mdl-cuda-%d.session", (int)getpid());
    device_watch(&f);
    for (int i = 0; f.watch.name(i); i++) {
        long call = 1;
        for (; fails(f.watch.name(i), call, path); call++) failed++;
        bool elsewhere =
            !strncmp(f.watch.name(i), "cuGetError", 10) || !strcmp(f.watch.name(i), "cuCtxGetDevice");
        if (!elsewhere) cr_assert(call > 1, "%s was never called", f.watch.name(i));
    }
    cr_assert(failed > 200, "%d", failed);
    unlink(path);
}
