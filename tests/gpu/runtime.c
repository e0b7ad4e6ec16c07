/* The runtime on a GPU, which is the stand-in: results, graphs, states, guards, memory, traces, threads. */
#include "runtime/cuda.h"
#include "tests/gpu/device.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { S = DEVICE_S };

Test(cuda, results_and_states) {
    struct fixture f = {0};
    device_start(&f);
    for (int call = 0; call < 20; call++) {
        int64_t extent = call % 3 == 0 ? 1 : call % 3 == 1 ? S : 1000;
        f.call.a = (float)call;
        cr_assert_eq(device_mix(&f, extent), MDL_OK, "%s", mdl_error(f.session));
        cr_assert_eq(f.call.count, 8 + call, "%d", f.call.count);
        cr_assert(handmade_mix_is_right(&f.call, extent), "call %d", call);
    }
    cr_assert_eq(mdl_session_reset(f.session), MDL_OK);
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    cr_assert_eq(f.call.count, 8);
    device_end(&f);
}

/* ring: 64 bytes of zeros; count: 7. */
Test(cuda, states_begin_with_their_initial_values) {
    struct fixture f = {0};
    char states[128], dirty[128];
    int32_t count;
    device_start(&f);
    memset(dirty, 0x33, sizeof dirty);
    for (int i = 0; i < 2; i++) {
        memset(states, 0x55, sizeof states);
        cr_assert_eq(cuda_read_states(f.session, states), MDL_OK);
        memcpy(&count, states + 64, sizeof count);
        cr_assert_eq(count, 7);
        for (int b = 0; b < 64; b++) cr_assert_eq(states[b], 0, "%d", b);
        cr_assert_eq(cuda_write_states(f.session, dirty), MDL_OK);
        cr_assert_eq(mdl_session_reset(f.session), MDL_OK);
    }
    device_end(&f);
}

static void check_scan(struct fixture *f, int64_t extent) {
    float y[4 * 2 * 8];
    int32_t count = -1;
    cr_assert_eq(handmade_scan(f->session, f->call.x, extent, y, &count), MDL_OK, "%s", mdl_error(f->session));
    cr_assert(handmade_scan_is_right(f->call.x, extent, y, count));
}

Test(cuda, loops_with_strides_and_counters) {
    struct fixture f = {0};
    device_start(&f);
    for (int64_t extent = 1; extent < 6; extent++) {
        f.call.x[0] = (float)extent / 8;
        check_scan(&f, extent);
    }
    check_scan(&f, 1000);
    device_end(&f);
}

static void check_outer(struct mdl_session *s, int32_t m, int32_t n) {
    int32_t x[100], y[100], z[100 * 100];
    for (int i = 0; i < 100; i++) x[i] = i - 3, y[i] = 2 * i + 1;
    memset(z, 0x55, sizeof z);
    cr_assert_eq(device_outer(s, m, n, x, y, z), MDL_OK, "%s", mdl_error(s));
    for (int i = 0; i < m * n; i++)
        cr_assert_eq(z[i], x[i / n] * y[i % n] + (m == 2 ? 1000 : 0), "%d x %d: %d", m, n, i);
    for (int i = m * n; i < 100 * 100; i++) cr_assert_eq(z[i], 0x55555555);
}

Test(cuda, several_dims_and_versions) {
    struct fixture f = {0};
    device_start(&f);
    for (int32_t m = 1; m < 5; m++)
        for (int32_t n = 1; n < 5; n++) check_outer(f.session, m, n);
    check_outer(f.session, 100, 100);
    check_outer(f.session, 2, 100);
    device_end(&f);
}

Test(cuda, a_guard_refuses_before_any_state_changes) {
    struct fixture f = {0};
    device_start(&f);
    f.call.ids[70] = -5;
    f.call.ids[30] = 9;
    f.call.y[0] = 42;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(device_mix(&f, S), MDL_INVALID);
        cr_assert_str_eq(mdl_error(f.session), "handmade.mdl:7:22: gather: id 9 is outside 0..4");
        cr_assert_eq(f.call.y[0], 42, "a refused call wrote a result");
    }
    f.call.ids[30] = 0;
    cr_assert_eq(device_mix(&f, S), MDL_INVALID);
    cr_assert_str_eq(mdl_error(f.session), "handmade.mdl:7:22: gather: id -5 is outside 0..4");
    handmade_inputs(&f.call);
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    cr_assert_str_eq(mdl_error(f.session), "");
    cr_assert_eq(f.call.count, 8, "a refused call counted: %d", f.call.count);
    cr_assert(handmade_mix_is_right(&f.call, S));
    device_end(&f);
}

Test(cuda, a_guard_behind_kernels_is_known_by_its_step) {
    struct fixture f = {0};
    int32_t x[] = {1, 2, 3}, y[] = {1, -7, 2}, z[9] = {5};
    device_start(&f);
    cr_assert_eq(device_outer(f.session, 3, 3, x, y, z), MDL_INVALID);
    cr_assert_str_eq(mdl_error(f.session), "handmade.mdl:21:5: outer: -7 is negative");
    cr_assert_eq(z[0], 5);
    check_outer(f.session, 3, 3);
    device_end(&f);
}

Test(cuda, dims_and_buffers_are_checked) {
    struct fixture f = {0};
    device_start(&f);
    cr_assert_eq(device_mix(&f, 1001), MDL_INVALID);
    cr_assert_str_eq(mdl_error(f.session), "mix: dim S is 1001, outside 1..1000");
    const void *inputs[] = {f.call.x, NULL, &f.call.a};
    void *results[] = {f.call.y, &f.call.count};
    cr_assert_eq(mdl_call(f.session, HANDMADE_MIX, (int64_t[]){S}, inputs, results), MDL_INVALID);
    cr_assert_str_eq(mdl_error(f.session), "mix: input ids is NULL");
    cr_assert_eq(f.watch.calls("cuGraphLaunch"), 0);
    device_end(&f);
}

Test(cuda, a_call_is_recorded_once_and_a_repeated_one_only_launches) {
    struct fixture f = {0};
    device_start(&f);
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    f.watch.fail(NULL, 0, 0);
    for (int i = 0; i < 30; i++) cr_assert_eq(device_mix(&f, S), MDL_OK);
    for (int i = 0; f.watch.name(i); i++) {
        const char *name = f.watch.name(i);
        bool launches = !strcmp(name, "cuGraphLaunch") || !strcmp(name, "cuStreamSynchronize"),
             context = !strncmp(name, "cuCtx", 5);
        if (!context)
            cr_assert_eq(f.watch.calls(name), launches ? 30 : 0, "%s: %ld", name, f.watch.calls(name));
    }
    cr_assert_eq(f.call.count, 8 + 30);
    cr_assert(handmade_mix_is_right(&f.call, S));
    device_end(&f);
}

Test(cuda, the_least_recently_used_graph_goes_first) {
    struct fixture f = {0};
    device_start(&f);
    cr_assert_eq(device_mix(&f, 1000), MDL_OK); /* memory does not grow from here on */
    f.watch.fail(NULL, 0, 0);
    for (int64_t extent = 1; extent <= CUDA_GRAPHS; extent++) {
        cr_assert_eq(device_mix(&f, 1000), MDL_OK);
        cr_assert_eq(device_mix(&f, extent), MDL_OK);
        cr_assert(handmade_mix_is_right(&f.call, extent));
    }
    cr_assert_eq(f.watch.done("cuGraphInstantiateWithFlags"), CUDA_GRAPHS);
    cr_assert_eq(f.watch.done("cuGraphExecDestroy"), 1);
    cr_assert_eq(device_mix(&f, 2), MDL_OK);
    cr_assert_eq(f.watch.done("cuGraphInstantiateWithFlags"), CUDA_GRAPHS, "2 was not kept");
    cr_assert_eq(device_mix(&f, 1), MDL_OK);
    cr_assert_eq(f.watch.done("cuGraphInstantiateWithFlags"), CUDA_GRAPHS + 1, "1 was kept");
    cr_assert_eq(f.watch.done("cuGraphDestroy"), CUDA_GRAPHS + 1);
    device_end(&f);
}

Test(cuda, functions_of_the_same_dims_have_graphs_of_their_own) {
    struct fixture f = {0};
    device_start(&f);
    for (int i = 0; i < 3; i++) {
        check_scan(&f, S);
        cr_assert_eq(device_mix(&f, S), MDL_OK);
        cr_assert(handmade_mix_is_right(&f.call, S));
    }
    device_end(&f);
}

Test(cuda, all_that_is_taken_is_given_back) {
    static const char *const pairs[][2] = {{"cuMemAlloc_v2", "cuMemFree_v2"},
                                           {"cuMemAllocHost_v2", "cuMemFreeHost"},
                                           {"cuStreamCreate", "cuStreamDestroy_v2"},
                                           {"cuEventCreate", "cuEventDestroy_v2"},
                                           {"cuGraphInstantiateWithFlags", "cuGraphExecDestroy"},
                                           {"cuModuleLoadDataEx", "cuModuleUnload"},
                                           {"cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2"}};
    struct fixture f = {0};
    struct mdl_event events[8];
    uint64_t count;
    device_start(&f);
    cr_assert_eq(device_mix(&f, 1), MDL_OK);
    check_scan(&f, 1000);
    check_outer(f.session, 100, 100);
    mdl_api.trace(f.session, events, 8, &count);
    cr_assert_eq(device_mix(&f, 7), MDL_OK);
    device_end(&f);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        cr_assert(f.watch.done(pairs[i][0]) > 0, "%s", pairs[i][0]);
        cr_assert_eq(f.watch.done(pairs[i][0]), f.watch.done(pairs[i][1]), "%s", pairs[i][0]);
    }
}

Test(cuda, poison_fills_arena_and_scratch_but_not_its_counters) {
    struct fixture f = {0};
    int32_t words[4];
    void *results[] = {words};
    device_start(&f);
    mdl_api.poison(f.session, 1);
    cr_assert_eq(mdl_call(f.session, HANDMADE_PEEK, NULL, NULL, results), MDL_OK, "%s", mdl_error(f.session));
    cr_assert_eq(words[0], -1);
    cr_assert_eq(words[1], -1);
    cr_assert_eq(words[2], 0, "the first of the counters, or the last");
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    cr_assert(handmade_mix_is_right(&f.call, S));
    device_end(&f);
}

Test(cuda, memory_is_reported) {
    struct fixture f = {0};
    struct mdl_memory m;
    device_start(&f);
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    mdl_api.memory(f.session, &m);
    cr_assert_eq(m.arena, 8192);
    cr_assert_eq(m.states, 128);
    cr_assert_eq(m.scratch, CUDA_JOIN_BYTES + S * 2 * 128, "a warp of 64 threads is half of a block's scratch");
    cr_assert_eq(m.threads, 0);
    cr_assert_eq(m.weights, mdl_descriptor.weights_bytes);
    cr_assert_eq(m.buffers, 448 + 448 + 64 + 64 + 448 + 64, "%lld", (long long)m.buffers);
    device_end(&f);
}

/* Scratch is for blocks that there are. */
Test(cuda, no_more_blocks_than_run_at_a_time) {
    enum { MANY = 1000, REVERSE = 3 /* the kernel */ };
    struct fixture f = {0};
    struct mdl_memory m;
    device_start(&f);
    int resident = f.model->device->resident[REVERSE];
    cr_assert(resident > 0 && resident % f.model->device->processors == 0, "%d", resident);
    cr_assert_eq(device_mix(&f, MANY), MDL_OK);
    cr_assert(handmade_mix_is_right(&f.call, MANY));
    mdl_api.memory(f.session, &m);
    cr_assert_eq(m.scratch, CUDA_JOIN_BYTES + (resident < MANY ? resident : MANY) * 2 * 128);
    device_end(&f);
}

Test(cuda, states_are_saved_and_loaded) {
    struct fixture f = {0};
    char path[64], note[16];
    uint64_t bytes = 0;
    struct mdl_session *first, *second;
    snprintf(path, sizeof path, "/tmp/mdl-cuda-%d.session", (int)getpid());
    device_start(&f);
    first = f.session;
    for (int i = 0; i < 5; i++) cr_assert_eq(device_mix(&f, S), MDL_OK);
    cr_assert_eq(mdl_session_save(first, path, "five", 5), MDL_OK, "%s", mdl_error(first));
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    cr_assert_eq(mdl_session_new(f.model, &second), MDL_OK);
    f.session = second;
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    cr_assert_eq(f.call.count, 8);
    cr_assert_eq(mdl_session_load(second, path, note, sizeof note, &bytes), MDL_OK, "%s", mdl_error(second));
    cr_assert_str_eq(note, "five");
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    cr_assert_eq(f.call.count, 7 + 5 + 1);
    cr_assert_eq(truncate(path, 100), 0);
    cr_assert_neq(mdl_session_load(second, path, NULL, 0, NULL), MDL_OK);
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    cr_assert_eq(f.call.count, 7 + 5 + 2, "a load that failed changed the states");
    f.session = first;
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    cr_assert_eq(f.call.count, 7 + 7);
    unlink(path);
    mdl_session_free(second);
    device_end(&f);
}

/* Longer than the two pieces through which copies go, and no multiple of them. */
Test(cuda, large_copies_go_in_pieces) {
    enum { BYTES = (20 << 20) + 13 };
    struct fixture f = {0};
    struct cuda_visit v;
    struct cuda_block b;
    char *from = malloc(BYTES), *to = calloc(1, BYTES);
    device_start(&f);
    for (int i = 0; i < BYTES; i++) from[i] = (char)(i * 2654435761u >> 24);
    cr_assert_eq(cuda_enter(&v, f.session), MDL_OK);
    for (size_t bytes = BYTES; bytes; bytes = bytes == BYTES ? 16 << 20 : bytes == 16 << 20 ? 77 : 0) {
        cr_assert_eq(cuda_allocate(&v, &b, bytes, "a test"), MDL_OK);
        memset(to, 0, BYTES);
        cr_assert_eq(cuda_upload(&v, b.at, from, bytes, f.session->device->stream), MDL_OK, "%s",
                     f.session->error);
        cr_assert_eq(cuda_download(&v, to, b.at, bytes, f.session->device->stream), MDL_OK, "%s",
                     f.session->error);
        cr_assert_eq(memcmp(from, to, bytes), 0, "%zu", bytes);
        cuda_free(&v, &b);
    }
    cuda_leave(&v);
    free(from);
    free(to);
    device_end(&f);
}

Test(cuda, a_trace_has_a_slice_for_each_kernel) {
    struct fixture f = {0};
    struct mdl_event events[40];
    uint64_t count = 99;
    device_start(&f);
    mdl_api.trace(f.session, events, 40, &count);
    cr_assert_eq(count, 0);
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    cr_assert_eq(count, 4);
    cr_assert(handmade_mix_is_right(&f.call, S));
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert(events[i].step == i && events[i].thread == 0 && events[i].start <= events[i].end);
        cr_assert_eq(events[i].what, &mdl_descriptor.functions[HANDMADE_MIX].variants[1].steps[i]);
        if (i) cr_assert_eq(events[i].start, events[i - 1].end);
    }
    check_scan(&f, 3); /* zero, eight rows, two notes */
    cr_assert_eq(count, 4 + 11);
    cr_assert_eq(events[5].what->line, 12);
    check_scan(&f, 30);
    cr_assert_eq(count, 40, "more kernels than there is room for");
    check_scan(&f, 30);
    cr_assert_eq(count, 40);
    cr_assert_eq(f.watch.calls("cuGraphLaunch"), 0);
    mdl_api.trace(f.session, NULL, 0, NULL);
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    cr_assert_eq(f.watch.calls("cuGraphLaunch"), 1);
    device_end(&f);
}

static uint32_t next_random(uint32_t *state) { return (*state = *state * 1664525 + 1013904223) >> 8; }

/* One call or other doing with a session; *count is the state's value. */
static void do_anything(struct fixture *f, uint32_t *random, int32_t *count) {
    int64_t extent = 1 + next_random(random) % (next_random(random) % 4 ? 40 : 1000);
    struct mdl_event events[8];
    uint64_t events_count;
    switch (next_random(random) % 8) {
    case 0:
        check_outer(f->session, 1 + (int32_t)(extent % 9), 1 + (int32_t)(extent % 100));
        return;
    case 1:
        f->call.x[0] = (float)(extent % 16);
        check_scan(f, 1 + extent % 50);
        return;
    case 2:
        mdl_api.poison(f->session, (int)(next_random(random) % 2));
        return;
    case 3:
        if (next_random(random) % 4) return;
        cr_assert_eq(mdl_session_reset(f->session), MDL_OK);
        *count = 7;
        return;
    case 4:
        f->call.ids[extent - 1] = 4;
        cr_assert_eq(device_mix(f, extent), MDL_INVALID);
        f->call.ids[extent - 1] = 1;
        return;
    case 5:
        mdl_api.trace(f->session, next_random(random) % 3 ? NULL : events, 8, &events_count);
        break;
    }
    f->call.a = (float)(next_random(random) % 100);
    cr_assert_eq(device_mix(f, extent), MDL_OK, "%s", mdl_error(f->session));
    cr_assert_eq(f->call.count, ++*count);
    cr_assert(handmade_mix_is_right(&f->call, extent));
    mdl_api.trace(f->session, NULL, 0, NULL);
}

Test(cuda, any_order_of_calls) {
    struct fixture f[2] = {{0}};
    int32_t counts[2] = {7, 7};
    uint32_t random = 1;
    device_start(&f[0]);
    f[1] = f[0];
    cr_assert_eq(mdl_session_new(f[0].model, &f[1].session), MDL_OK);
    for (int i = 0; i < 1000; i++) {
        uint32_t which = next_random(&random) % 2;
        do_anything(&f[which], &random, &counts[which]);
    }
    mdl_session_free(f[1].session);
    device_end(&f[0]);
}

struct user {
    struct fixture fixture;
    int first;
    const char *wrong;
};

static void *use_session(void *argument) {
    struct user *u = argument;
    for (int call = 0; call < 60 && !u->wrong; call++) {
        int64_t extent = 1 + (call * 37 + u->first) % 200;
        u->fixture.call.a = (float)(u->first + call);
        if (device_mix(&u->fixture, extent) != MDL_OK)
            u->wrong = mdl_error(u->fixture.session);
        else if (u->fixture.call.count != 8 + call)
            u->wrong = "the state";
        else if (!handmade_mix_is_right(&u->fixture.call, extent))
            u->wrong = "a result";
    }
    return NULL;
}

Test(cuda, sessions_in_threads_do_not_disturb_each_other) {
    static struct user users[3];
    struct fixture f = {0};
    pthread_t threads[3];
    device_start(&f);
    for (int i = 0; i < 3; i++) {
        users[i] = (struct user){.fixture = f, .first = 1 + 50 * i};
        cr_assert_eq(mdl_session_new(f.model, &users[i].fixture.session), MDL_OK);
    }
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, use_session, &users[i]);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++) cr_assert_null(users[i].wrong, "session %d: %s", i, users[i].wrong);
    mdl_session_free(f.session);
    mdl_close(f.model); /* the sessions keep it */
    for (int i = 0; i < 3; i++) mdl_session_free(users[i].fixture.session);
    cr_assert_eq(f.watch.done("cuMemAlloc_v2"), f.watch.done("cuMemFree_v2"));
    cr_assert_eq(f.watch.done("cuModuleUnload"), 1);
}

Test(cuda, a_session_in_use_is_busy) {
    struct fixture f = {0};
    device_start(&f);
    atomic_store(&f.session->busy, 1);
    cr_assert_eq(device_mix(&f, S), MDL_BUSY);
    cr_assert_eq(mdl_session_reset(f.session), MDL_BUSY);
    atomic_store(&f.session->busy, 0);
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    device_end(&f);
}

/* The caller may use CUDA itself. */
Test(cuda, the_threads_context_is_left_as_it_was) {
    struct fixture f = {0};
    struct cu_context *now = NULL;
    device_start(&f);
    const struct cuda_driver *d = &f.model->device->driver;
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    d->cuCtxGetCurrent(&now);
    cr_assert_null(now);
    d->cuCtxSetCurrent(f.model->device->context);
    cr_assert_eq(device_mix(&f, S), MDL_OK);
    d->cuCtxGetCurrent(&now);
    cr_assert_eq(now, f.model->device->context);
    d->cuCtxSetCurrent(NULL);
    device_end(&f);
}
