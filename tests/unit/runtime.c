/* The runtime on the hand-made model: results, states, guards, loops, threads, tracing, damaged weights. */
#include "runtime/crc32c.h"
#include "runtime/pool.h"
#include "tests/run/handmade_calls.h"
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { S = 100 };

struct fixture {
    struct mdl_model *model;
    struct mdl_session *session;
    char weights[64];
    struct handmade_call call;
};

static void open_model(struct fixture *f, int threads) {
    char error[200];
    struct mdl_options options = {
        .size = sizeof options, .threads = threads, .error = error, .error_size = sizeof error};
    snprintf(f->weights, sizeof f->weights, "/tmp/mdl-test-XXXXXX");
    int fd = mkstemp(f->weights);
    cr_assert(fd >= 0);
    close(fd);
    cr_assert(handmade_write_weights(f->weights, SOUND));
    cr_assert_eq(mdl_open(&mdl_descriptor, f->weights, &options, &f->model), MDL_OK, "%s", error);
    cr_assert_eq(mdl_session_new(f->model, &f->session), MDL_OK);
    handmade_inputs(&f->call);
}

static void close_model(struct fixture *f) {
    mdl_session_free(f->session);
    mdl_close(f->model);
    unlink(f->weights);
}

static int mix(struct fixture *f, int64_t extent) { return handmade_mix(f->session, &f->call, extent); }

Test(runtime, results_and_states) {
    for (int threads = 1; threads <= 4; threads++) {
        struct fixture f = {0};
        open_model(&f, threads);
        for (int call = 0; call < 50; call++) {
            int64_t extent = call % 3 ? S : 1;
            cr_assert_eq(mix(&f, extent), MDL_OK, "%s", mdl_error(f.session));
            cr_assert_eq(f.call.count, 8 + call, "%d", f.call.count);
            cr_assert(handmade_mix_is_right(&f.call, extent));
        }
        cr_assert_eq(mdl_session_reset(f.session), MDL_OK);
        cr_assert_eq(mix(&f, S), MDL_OK);
        cr_assert_eq(f.call.count, 8);
        close_model(&f);
    }
}

Test(runtime, guard_refuses_before_any_state_changes) {
    for (int threads = 1; threads <= 3; threads++) {
        struct fixture f = {0};
        open_model(&f, threads);
        f.call.ids[70] = -5;
        f.call.ids[30] = 9;
        for (int i = 0; i < 20; i++) {
            cr_assert_eq(mix(&f, S), MDL_INVALID);
            cr_assert_str_eq(mdl_error(f.session), "handmade.mdl:7:22: gather: id 9 is outside 0..4");
        }
        handmade_inputs(&f.call);
        cr_assert_eq(mix(&f, S), MDL_OK);
        cr_assert_str_eq(mdl_error(f.session), "");
        cr_assert_eq(f.call.count, 8, "a refused call counted: %d", f.call.count);
        cr_assert(handmade_mix_is_right(&f.call, S));
        close_model(&f);
    }
}

Test(runtime, dims_and_buffers_are_checked) {
    struct fixture f = {0};
    open_model(&f, 2);
    cr_assert_eq(mix(&f, 0), MDL_INVALID);
    cr_assert_str_eq(mdl_error(f.session), "mix: dim S is 0, outside 1..1000");
    cr_assert_eq(mix(&f, 1001), MDL_INVALID);
    const void *inputs[] = {f.call.x, NULL, &f.call.a};
    void *results[] = {f.call.y, NULL};
    cr_assert_eq(mdl_call(f.session, HANDMADE_MIX, (int64_t[]){S}, inputs, results), MDL_INVALID);
    cr_assert_str_eq(mdl_error(f.session), "mix: input ids is NULL");
    inputs[1] = f.call.ids;
    cr_assert_eq(mdl_call(f.session, HANDMADE_MIX, (int64_t[]){S}, inputs, results), MDL_INVALID);
    cr_assert_str_eq(mdl_error(f.session), "mix: result 1 is NULL");
    cr_assert_eq(mdl_call(f.session, 2, (int64_t[]){S}, inputs, results), MDL_INVALID);
    close_model(&f);
}

static void check_scan(struct fixture *f, int64_t extent) {
    float y[4 * 2 * 8];
    int32_t count = -1;
    cr_assert_eq(handmade_scan(f->session, f->call.x, extent, y, &count), MDL_OK, "%s", mdl_error(f->session));
    cr_assert(handmade_scan_is_right(f->call.x, extent, y, count));
}

Test(runtime, loops_with_strides_and_counters) {
    for (int threads = 1; threads <= 3; threads++) {
        struct fixture f = {0};
        open_model(&f, threads);
        for (int64_t extent = 1; extent < 9; extent++) {
            f.call.x[0] = (float)extent / 8;
            check_scan(&f, extent);
        }
        close_model(&f);
    }
}

struct user {
    struct fixture *fixture;
    struct mdl_session *session;
    int first;
    const char *wrong;
};

static void *use_session(void *argument) {
    struct user *u = argument;
    struct fixture f = *u->fixture;
    for (int call = 0; call < 300 && !u->wrong; call++) {
        f.call.a = (float)(u->first + call);
        if (handmade_mix(u->session, &f.call, S) != MDL_OK)
            u->wrong = "status";
        else if (f.call.count != 8 + call)
            u->wrong = "state";
        else if (f.call.y[0] != f.call.x[S - 1] * f.call.a * 1000)
            u->wrong = "result";
    }
    return NULL;
}

Test(runtime, sessions_in_threads_do_not_disturb_each_other) {
    struct fixture f = {0};
    open_model(&f, 2);
    struct mdl_session *second;
    cr_assert_eq(mdl_session_new(f.model, &second), MDL_OK);
    struct user users[] = {{&f, f.session, 1, NULL}, {&f, second, 1000, NULL}};
    pthread_t thread;
    pthread_create(&thread, NULL, use_session, &users[0]);
    use_session(&users[1]);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) cr_assert_null(users[i].wrong, "session %d: wrong %s", i, users[i].wrong);
    mdl_session_free(second);
    close_model(&f);
}

/* A kernel that calls its own session: as a second thread would find it. */
static struct mdl_session *busy_session;
static int busy_status[2];
static int32_t call_again(void *const *b, const int64_t *dims, char *scratch, int64_t thread,
                          int64_t threads) {
    (void)b, (void)scratch, (void)threads;
    if (thread) return 0;
    busy_status[0] = mdl_call(busy_session, 0, dims, NULL, NULL);
    busy_status[1] = mdl_session_reset(busy_session);
    return 0;
}

/* The hand-made model with these steps as its only function, without inputs and results. */
struct bare {
    struct mdl_descriptor descriptor;
    struct mdl_function function;
    struct mdl_variant variant;
};
static void make_bare(struct bare *b, mdl_kernel *const *kernels, const struct mdl_step *steps,
                      uint32_t count) {
    b->variant = (struct mdl_variant){
        .steps = steps, .steps_count = count, .arena_bytes = 1 << 20, .scratch_bytes = 4096};
    b->function = mdl_descriptor.functions[0];
    b->function.inputs_count = b->function.results_count = 0;
    b->function.variants = &b->variant;
    b->function.variants_count = 1;
    b->descriptor = mdl_descriptor;
    b->descriptor.functions = &b->function;
    b->descriptor.functions_count = 1;
    b->descriptor.kernels = kernels;
    b->descriptor.weights_bytes = 0;
    b->descriptor.states_count = 0;
}

static void open_bare(struct bare *b, int threads, struct mdl_model **model, struct mdl_session **session) {
    struct mdl_options options = {.size = sizeof options, .threads = threads};
    cr_assert_eq(mdl_open(&b->descriptor, NULL, &options, model), MDL_OK);
    cr_assert_eq(mdl_session_new(*model, session), MDL_OK);
}

Test(runtime, a_session_in_use_is_busy) {
    static mdl_kernel *const kernels[] = {call_again};
    static const struct mdl_step step = {.kind = MDL_STEP_KERNEL, .name = "k"};
    struct bare b;
    struct mdl_model *model;
    make_bare(&b, kernels, &step, 1);
    open_bare(&b, 2, &model, &busy_session);
    cr_assert_eq(mdl_call(busy_session, 0, (int64_t[]){1}, NULL, NULL), MDL_OK);
    cr_assert_eq(busy_status[0], MDL_BUSY);
    cr_assert_eq(busy_status[1], MDL_BUSY);
    mdl_close(model); /* the session keeps it */
    cr_assert_eq(mdl_call(busy_session, 0, (int64_t[]){1}, NULL, NULL), MDL_OK);
    mdl_session_free(busy_session);
}

Test(runtime, a_forked_child_runs_on_its_own_thread) {
    struct fixture f = {0};
    open_model(&f, 2);
    cr_assert_eq(mix(&f, S), MDL_OK);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        bool good = mix(&f, S) == MDL_OK && f.call.count == 9;
        mdl_session_free(f.session);
        mdl_close(f.model);
        _exit(good ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    close_model(&f);
}

static volatile sig_atomic_t faults;
static void note_fault(int number) { faults += number == SIGSEGV; }

static void fault(void *blocks_others, int64_t thread, int64_t threads) {
    sigset_t blocked;
    (void)threads;
    if (!thread) return;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    *(bool *)blocks_others = sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGALRM);
    raise(SIGSEGV);
}

Test(runtime, a_worker_takes_the_signals_of_its_own_faults_only) {
    struct pool *p = pool_new(2);
    bool blocks_others = false;
    cr_assert(p && pool_threads(p) == 2);
    signal(SIGSEGV, note_fault);
    pool_run(p, fault, &blocks_others);
    pool_free(p);
    cr_assert_eq(faults, 1);
    cr_assert(blocks_others);
}

Test(runtime, trace_has_a_slice_for_each_step_and_thread) {
    struct fixture f = {0};
    struct mdl_event events[6];
    uint64_t count = 99;
    open_model(&f, 1);
    mdl_api.trace(f.session, events, 6, &count);
    cr_assert_eq(count, 0);
    cr_assert_eq(mix(&f, S), MDL_OK);
    cr_assert_eq(count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert(events[i].step == i && events[i].thread == 0 && events[i].start <= events[i].end);
        cr_assert_eq(events[i].what, &mdl_descriptor.functions[HANDMADE_MIX].variants[1].steps[i]);
    }
    cr_assert_eq(mix(&f, S), MDL_OK);
    cr_assert_eq(count, 6, "more events than there is room for");
    mdl_api.trace(f.session, NULL, 0, NULL);
    cr_assert_eq(mix(&f, S), MDL_OK);
    close_model(&f);
}

/* Leaves in the first bytes of the arena whether they were NaN before. */
static bool was_poisoned;
static int32_t look(void *const *b, const int64_t *dims, char *scratch, int64_t thread, int64_t threads) {
    (void)dims, (void)threads;
    if (thread == 0) was_poisoned = isnan(*(float *)b[0]) && isnan(*(float *)scratch);
    return 0;
}

Test(runtime, poison_fills_arena_and_scratch) {
    static mdl_kernel *const kernels[] = {look};
    static const struct mdl_step step = {.kind = MDL_STEP_KERNEL, .first_ref = 7, .refs = 1, .name = "k"};
    struct bare b;
    struct mdl_model *model;
    struct mdl_session *session;
    make_bare(&b, kernels, &step, 1);
    open_bare(&b, 2, &model, &session);
    cr_assert_eq(mdl_call(session, 0, (int64_t[]){1}, NULL, NULL), MDL_OK);
    cr_assert_not(was_poisoned);
    mdl_api.poison(session, 1);
    cr_assert_eq(mdl_call(session, 0, (int64_t[]){1}, NULL, NULL), MDL_OK);
    cr_assert(was_poisoned);
    mdl_session_free(session);
    mdl_close(model);
}

Test(runtime, damaged_weights_are_refused) {
    static const struct {
        enum handmade_damage damage;
        const char *message;
    } cases[] = {
        {BAD_MAGIC, "not a weights file of this version"},
        {BAD_SUM, "damaged: wrong checksum of the header"},
        {BAD_BUILD, "belongs to another build of model handmade"},
        {BAD_SIZE, "damaged: has 384 bytes, but 385 were written"},
        {TRUNCATED, "damaged: has 192 bytes, but 384 were written"},
        {BAD_BOUNDS, "damaged: its data do not fit the file"},
        {BAD_ENTRY, "damaged: tensor 1 does not fit the file"},
        {BAD_NAMES, "damaged: its names do not fit the file"},
    };
    char path[64], error[300], wanted[300];
    snprintf(path, sizeof path, "/tmp/mdl-test-%d.weights", (int)getpid());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mdl_options options = {
            .size = sizeof options, .threads = 1, .error = error, .error_size = sizeof error};
        struct mdl_model *model;
        cr_assert(handmade_write_weights(path, cases[i].damage));
        cr_assert_eq(mdl_open(&mdl_descriptor, path, &options, &model), MDL_MISMATCH);
        snprintf(wanted, sizeof wanted, "%s: %s", path, cases[i].message);
        cr_assert_str_eq(error, wanted);
        cr_assert_null(model);
    }
    unlink(path);
}

Test(runtime, verify_finds_a_changed_tensor) {
    struct fixture f = {0};
    struct mdl_model *model;
    char message[100];
    open_model(&f, 1);
    cr_assert_eq(mdl_api.verify(f.model, message, sizeof message), MDL_OK);
    unlink(f.weights);
    cr_assert(handmade_write_weights(f.weights, BAD_TENSOR));
    cr_assert_eq(mdl_open(&mdl_descriptor, f.weights, NULL, &model), MDL_OK);
    cr_assert_eq(mdl_api.verify(model, message, sizeof message), MDL_MISMATCH);
    cr_assert_str_eq(message, "tensor table is damaged: wrong checksum");
    mdl_close(model);
    close_model(&f);
}

Test(runtime, weights_are_found_by_the_environment) {
    struct fixture f = {0};
    struct mdl_model *model;
    char error[300];
    struct mdl_options options = {
        .size = sizeof options, .threads = 1, .error = error, .error_size = sizeof error};
    open_model(&f, 1);
    cr_assert_eq(mdl_open(&mdl_descriptor, NULL, &options, &model), MDL_IO);
    cr_assert(strstr(error, ".weights: No such file"), "%s", error);
    setenv("MDL_WEIGHTS", "/nowhere", 1);
    cr_assert_eq(mdl_open(&mdl_descriptor, NULL, &options, &model), MDL_IO);
    cr_assert_str_eq(error, "/nowhere: No such file or directory");
    setenv("HANDMADE_WEIGHTS", f.weights, 1);
    cr_assert_eq(mdl_open(&mdl_descriptor, NULL, &options, &model), MDL_OK);
    mdl_close(model);
    close_model(&f);
}

Test(runtime, a_machine_without_the_features_is_refused) {
    struct mdl_descriptor d = mdl_descriptor;
    struct mdl_model *model;
    char error[300];
    struct mdl_options options = {
        .size = sizeof options, .threads = 1, .error = error, .error_size = sizeof error};
    d.features = "sse2  feature9000 avx";
    cr_assert_eq(mdl_open(&d, NULL, &options, &model), MDL_UNSUPPORTED);
    cr_assert(strstr(error, "lacks feature9000"), "%s", error);
    d.abi_version++;
    cr_assert_eq(mdl_open(&d, NULL, &options, &model), MDL_UNSUPPORTED);
}

Test(runtime, crc32c_of_rfc_3720) {
    uint8_t bytes[200];
    for (int i = 0; i < 200; i++) bytes[i] = (uint8_t)i;
    cr_assert_eq(crc32c(0, bytes, 32), 0x46dd794e);
    cr_assert_eq(crc32c_portable(0, bytes, 32), 0x46dd794e);
    for (size_t n = 0; n < 200; n++) {
        cr_assert_eq(crc32c(0, bytes, n), crc32c_portable(0, bytes, n));
        cr_assert_eq(crc32c(crc32c(0, bytes, n / 3), bytes + n / 3, n - n / 3), crc32c(0, bytes, n));
    }
}

static float sort_row[5000];
static int ascending(const void *a, const void *b) {
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    float x = sort_row[i], y = sort_row[j];
    if (isnan(x) || isnan(y)) return isnan(x) == isnan(y) ? i - j : isnan(x) ? 1 : -1;
    return x < y ? -1 : x > y ? 1 : i - j;
}
static int descending(const void *a, const void *b) {
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    float x = sort_row[i], y = sort_row[j];
    if (isnan(x) || isnan(y)) return isnan(x) == isnan(y) ? i - j : isnan(x) ? -1 : 1;
    return x > y ? -1 : x < y ? 1 : i - j;
}

Test(runtime, argsort_is_total) {
    static int32_t order[5000], wanted[5000];
    uint32_t random = 1;
    for (int n = 0; n < 5000; n = n * 3 / 2 + 1) {
        for (int i = 0; i < n; i++) {
            random = random * 1664525 + 1013904223;
            uint32_t kind = random >> 28;
            sort_row[i] = kind == 0   ? NAN
                          : kind == 1 ? -0.0f
                          : kind == 2 ? 0
                          : kind == 3 ? -INFINITY
                                      : (float)(int32_t)random / (float)(1 << kind);
            if (n % 2) sort_row[i] = (float)(i % 7);
        }
        for (int down = 0; down < 2; down++) {
            for (int i = 0; i < n; i++) wanted[i] = i;
            qsort(wanted, (size_t)n, sizeof *wanted, down ? descending : ascending);
            mdl_argsort(MDL_F32, sort_row, n, down, order);
            cr_assert_eq(memcmp(order, wanted, (size_t)n * sizeof *order), 0, "n=%d down=%d", n, down);
        }
    }
}

/* The same few numbers in each type: -2, 1, -1, 0, 1 where it has signs. */
Test(runtime, argsort_of_every_type) {
    static const double f64[] = {-2, 1, -1, 0, 1};
    static const uint16_t f16[] = {0xc000, 0x3c00, 0xbc00, 0, 0x3c00},
                          bf16[] = {0xc000, 0x3f80, 0xbf80, 0x8000, 0x3f80};
    static const int64_t i64[] = {-2, 1, -1, 0, 1};
    static const int32_t i32[] = {-2, 1, -1, 0, 1};
    static const int16_t i16[] = {-2, 1, -1, 0, 1};
    static const int8_t i8[] = {-2, 1, -1, 0, 1};
    static const uint8_t u8[] = {0, 200, 1, 2, 200}, b[] = {0, 1, 0, 0, 1};
    static const struct {
        enum mdl_dtype dtype;
        const void *row;
        int32_t up[5], down[5];
    } cases[] = {
        {MDL_F64, f64, {0, 2, 3, 1, 4}, {1, 4, 3, 2, 0}},   {MDL_F16, f16, {0, 2, 3, 1, 4}, {1, 4, 3, 2, 0}},
        {MDL_BF16, bf16, {0, 2, 3, 1, 4}, {1, 4, 3, 2, 0}}, {MDL_I64, i64, {0, 2, 3, 1, 4}, {1, 4, 3, 2, 0}},
        {MDL_I32, i32, {0, 2, 3, 1, 4}, {1, 4, 3, 2, 0}},   {MDL_I16, i16, {0, 2, 3, 1, 4}, {1, 4, 3, 2, 0}},
        {MDL_I8, i8, {0, 2, 3, 1, 4}, {1, 4, 3, 2, 0}},     {MDL_U8, u8, {0, 2, 3, 1, 4}, {1, 4, 3, 2, 0}},
        {MDL_BOOL, b, {0, 2, 3, 1, 4}, {1, 4, 0, 2, 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t order[5];
        mdl_argsort(cases[i].dtype, cases[i].row, 5, 0, order);
        cr_assert_eq(memcmp(order, cases[i].up, sizeof order), 0, "type %u", cases[i].dtype);
        mdl_argsort(cases[i].dtype, cases[i].row, 5, 1, order);
        cr_assert_eq(memcmp(order, cases[i].down, sizeof order), 0, "type %u, descending", cases[i].dtype);
    }
}
