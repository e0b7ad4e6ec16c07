/* What a step costs beyond its kernel: runs a call of 240 empty steps, with and without barriers, and prints
 * the time of a step. Not a test; by hand: tests/run/step_overhead [THREADS] */
#include "tests/bench/measure.h"
#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 240, REFS = 6, CALLS = 2000 };

static int32_t nothing(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    (void)b, (void)dims, (void)scratch, (void)thread, (void)threads;
    return 0;
}

static void measure(uint32_t barrier, int threads) {
    static mdl_kernel *const kernels[] = {nothing};
    static struct mdl_ref refs[STEPS * REFS];
    static struct mdl_step steps[STEPS];
    static double times[CALLS];
    for (uint32_t i = 0; i < STEPS; i++)
        steps[i] = (struct mdl_step){
            .kind = MDL_STEP_KERNEL, .barrier = barrier, .first_ref = i * REFS, .refs = REFS};
    struct mdl_variant variant = {
        .steps = steps, .steps_count = STEPS, .arena_bytes = 4096, .scratch_bytes = 64};
    struct mdl_function function = {.name = "f", .variants = &variant, .variants_count = 1};
    struct mdl_descriptor d = {.abi_version = MDL_ABI_VERSION,
                               .functions_count = 1,
                               .name = "m",
                               .features = "",
                               .functions = &function,
                               .kernels = kernels,
                               .refs = refs};
    struct mdl_options options = {.size = sizeof options, .threads = threads};
    struct mdl_model *model;
    struct mdl_session *session;
    if (mdl_open(&d, NULL, &options, &model) || mdl_session_new(model, &session)) exit(1);
    for (int i = 0; i < CALLS; i++) {
        double start = measure_now();
        mdl_call(session, 0, NULL, NULL, NULL);
        times[i] = measure_now() - start;
    }
    double median = measure_median(times, CALLS);
    printf("%d threads, %s: step %.0f ns (min), %.0f ns (median); call of %d steps %.1f us (median)\n",
           threads, barrier ? "barriers" : "no barriers", 1e9 * times[0] / STEPS, 1e9 * median / STEPS, STEPS,
           1e6 * median);
    mdl_session_free(session);
    mdl_close(model);
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    measure(0, threads);
    measure(1, threads);
    return 0;
}
