/* Barriers and bulk copies as the compiler's lowerings emit them (backend/simt.h): the same kernel as PTX for
 * two GPUs, and emulated on this machine. */
#include "backend/device.h"
#include "backend/emulate.h"
#include "tests/gpu/ptx_check.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 }; /* which follows one stack only: no coroutines */
#else
enum { SANITIZED = 0 };
#endif
enum { WARPS = 4, WORDS = WARPS * 32, BYTES = 4 * WORDS, ROUNDS = 5 };

typedef LLVMValueRef V;

static float in[ROUNDS * WORDS], out[ROUNDS * WORDS];

/* One thread has BYTES brought a round, all copy their words to `to`. */
static void emit_rounds(struct emitter *e, V from, V to, bool waits) {
    struct simt_one one;
    struct emit_loop rounds;
    V barrier = simt_shared(e, MBARRIER_BYTES), box = simt_shared(e, BYTES), bytes = emit_i32(e, BYTES);
    simt_mbarriers_begin(e, barrier, 1, 1);
    simt_block_barrier(e);
    emit_loop_begin(e, &rounds, emit_i64(e, 0), emit_i64(e, ROUNDS), 1, 0, NULL);
    V round = emit_mul(e, rounds.counter, emit_i64(e, BYTES)), warp = emit_mul(e, e->warp, emit_i64(e, 128));
    simt_one_begin(e, &one);
    simt_mbarrier_expect(e, barrier, bytes);
    simt_copy_bulk(e, box, emit_offset(e, from, round), bytes, barrier);
    simt_one_end(e, &one);
    if (waits) simt_mbarrier_wait(e, barrier, rounds.counter);
    V words = emit_load_lanes(e, e->f32, emit_offset(e, box, warp), e->lanes, NULL);
    emit_store_lanes(e, words, emit_offset(e, to, emit_add(e, round, warp)), NULL);
    simt_block_barrier(e);
    emit_loop_end(e, &rounds, NULL);
    simt_mbarriers_end(e, barrier, 1);
}

static V emulated_buffer(struct emitter *e, int number) {
    return LLVMBuildLoad2(e->builder, e->ptr, emit_offset(e, e->buffers, emit_i64(e, 8 * number)), "");
}

static struct emitter *kernel(const struct target *t, bool waits) {
    struct emitter *e = emitter_new(NULL, t, "bulk", "bulk.mdl", 1);
    e->threaded ? device_entry_begin(e, "k", WARPS, 2, 0) : emulate_warp_begin(e, "k", WARPS);
    LLVMBasicBlockRef start = LLVMAppendBasicBlockInContext(e->context, e->function, "start");
    LLVMBuildBr(e->builder, start);
    LLVMPositionBuilderAtEnd(e->builder, start);
    emit_scope_begin(e);
    emit_scope_begin(e);
    V from = e->threaded ? device_buffer(e, 0) : emulated_buffer(e, 0),
      to = e->threaded ? device_buffer(e, 1) : emulated_buffer(e, 1);
    emit_rounds(e, from, to, waits);
    e->threaded ? device_entry_end(e) : emulate_warp_end(e, "k");
    LLVMSetVisibility(e->function, LLVMDefaultVisibility);
    cr_assert(emitter_finish(e));
    return e;
}

static void fill(void) {
    for (int i = 0; i < ROUNDS * WORDS; i++) in[i] = (float)i;
    memset(out, 0xff, sizeof out);
}

static bool interpret(const char *cpu, bool waits, uint64_t seed, char *message) {
    struct emitter *e = kernel(target_find(CUDA_TRIPLE, cpu), waits);
    LLVMMemoryBufferRef text = emitter_code(e, true);
    check_dump(LLVMGetBufferStart(text));
    struct ptx_module *m = ptx_module_new(LLVMGetBufferStart(text), message);
    cr_assert(m, "%s", message);
    struct {
        uint64_t in, out, scratch, failure;
        int64_t step;
    } params = {ptx_allocate(sizeof in), ptx_allocate(sizeof out), ptx_allocate(4096), ptx_allocate(64), 0};
    struct ptx_launch launch = {
        .grid = {1, 1, 1}, .block = {WARPS * 32, 1, 1}, .shared = (uint32_t)e->shared_bytes, .seed = seed};
    memcpy(ptx_memory(params.in, sizeof in), in, sizeof in);
    memset(ptx_memory(params.failure, 64), 0, 64);
    bool good = ptx_run(ptx_module_kernel(m, "k"), &launch, &params, NULL, message);
    memcpy(out, ptx_memory(params.out, sizeof out), sizeof out);
    uint64_t all[] = {params.in, params.out, params.scratch, params.failure};
    for (int i = 0; i < 4; i++) ptx_release(all[i]);
    ptx_module_free(m);
    LLVMDisposeMemoryBuffer(text);
    emitter_release(e);
    return good;
}

Test(bulk, interpreted) {
    static const char *const cpus[] = {"sm_90a", "sm_100a"};
    char message[PTX_MESSAGE];
    bool found = false;
    for (uint64_t seed = 0; seed < 8; seed++) {
        fill();
        cr_assert(interpret(cpus[seed % 2], true, seed, message), "%s", message);
        cr_assert(!memcmp(in, out, sizeof in));
        cr_assert(!interpret("sm_90a", false, seed, message));
        found |= strstr(message, "asynchronous copy has not reached") != NULL;
    }
    cr_assert(found, "the last: %s", message);
}

typedef int32_t code(void *const *buffers, const int64_t *dims, char *scratch, int64_t thread, int64_t threads);

Test(bulk, emulated, .disabled = SANITIZED) {
    char folder[] = "/tmp/mdl-bulk-XXXXXX", path[64], command[256];
    cr_assert(mkdtemp(folder));
    struct arena *arena = arena_new();
    struct emitter *e = kernel(backend_emulated(arena, "sm_90a"), true);
    LLVMMemoryBufferRef object = emitter_code(e, false);
    snprintf(path, sizeof path, "%s/k.o", folder);
    FILE *f = fopen(path, "wb");
    fwrite(LLVMGetBufferStart(object), LLVMGetBufferSize(object), 1, f);
    fclose(f);
    snprintf(command, sizeof command, "cc -shared -o %s/k.so %s runtime/libmdl-runtime.a -lpthread -lm -ldl",
             folder, path);
    cr_assert_eq(system(command), 0);
    snprintf(path, sizeof path, "%s/k.so", folder);
    void *library = dlopen(path, RTLD_NOW);
    cr_assert(library, "%s", dlerror());
    code *k;
    *(void **)&k = dlsym(library, "k");
    cr_assert(k);
    for (int seed = 0; seed < 8; seed++) {
        snprintf(command, sizeof command, "%d", seed);
        setenv("MDL_EMULATE_SEED", command, 1);
        fill();
        void *buffers[] = {in, out};
        k(buffers, NULL, NULL, 0, 1);
        cr_assert(!memcmp(in, out, sizeof in));
    }
    LLVMDisposeMemoryBuffer(object);
    emitter_release(e);
    arena_release(arena);
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}
