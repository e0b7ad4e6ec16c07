/* Barriers, bulk copies, and boxes by a tensor map, as the compiler's lowerings emit them (backend/simt.h): the
 * same kernels as PTX for two GPUs, and emulated on this machine. */
#include "backend/device.h"
#include "backend/emulate.h"
#include "tests/gpu/ptx_check.h"
#include "tests/gpu/ptx_tensor.h"
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
/* Of rows of 32 floats: those that there are; of a box; of a block's warp. */
enum { ROWS = ROUNDS * WORDS / 32, THERE = ROWS - 3, LINES = 8, OWN = LINES / WARPS };

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

/* Where lanes find a swizzled line, in elements from its box on. */
static struct index in_line(struct emitter *e, V line) {
    struct index lanes = simt_lanes(e), chunk = index_div_by(e, lanes, 4, e->lanes);
    V place = index_vector(e, &chunk, e->lanes), number = emit_splat(e, emit_rem(e, line, emit_i64(e, 8)), e->lanes);
    struct index swizzled = {.vector = LLVMBuildXor(e->builder, place, number, ""), .align = 1};
    struct index at = index_add(e, index_scale_by(e, swizzled, 4, e->lanes), index_rem_by(e, lanes, 4, e->lanes), e->lanes);
    return index_add(e, at, index_uniform(emit_mul(e, line, emit_i64(e, 32))), e->lanes);
}

/* One thread has a box brought a round, as soon as all warps have done with the one before; they copy its lines. */
static void emit_boxes(struct emitter *e, V to, bool waits) {
    struct simt_one one;
    struct emit_loop rounds, lines;
    V full = simt_shared(e, 2 * MBARRIER_BYTES), empty = simt_mbarrier(e, full, emit_i64(e, 1)), before;
    V box = simt_shared_aligned(e, LINES * SWIZZLE_LINE, SWIZZLE_ALIGN);
    simt_mbarriers_begin(e, full, 1, 1);
    simt_mbarriers_begin(e, empty, 1, WARPS);
    simt_block_barrier(e);
    emit_loop_begin(e, &rounds, emit_i64(e, 0), emit_i64(e, (ROWS + LINES - 1) / LINES), 1, 0, NULL);
    V first = emit_mul(e, rounds.counter, emit_i64(e, LINES)), own = emit_mul(e, e->warp, emit_i64(e, OWN));
    before = emit_sub(e, rounds.counter, emit_i64(e, 1));
    simt_one_begin(e, &one);
    if (waits) simt_mbarrier_wait(e, empty, before);
    simt_mbarrier_expect(e, full, emit_i32(e, LINES * SWIZZLE_LINE));
    simt_copy_box(e, &e->maps[0], (V[]){emit_i64(e, 0), first}, box, full);
    simt_one_end(e, &one);
    simt_mbarrier_wait(e, full, rounds.counter);
    emit_loop_begin(e, &lines, own, emit_add(e, own, emit_i64(e, OWN)), 1, 0, NULL);
    V words = emit_load_at(e, e->f32, box, in_line(e, lines.counter), e->lanes, NULL), row = emit_add(e, first, lines.counter);
    struct emit_if there;
    emit_if_begin(e, &there, LLVMBuildICmp(e->builder, LLVMIntSLT, row, emit_i64(e, ROWS), ""));
    emit_store_lanes(e, words, emit_offset(e, to, emit_mul(e, row, emit_i64(e, SWIZZLE_LINE))), NULL);
    emit_if_end(e, &there);
    emit_loop_end(e, &lines, NULL);
    simt_mbarrier_arrive(e, empty);
    emit_loop_end(e, &rounds, NULL);
}

static V emulated_buffer(struct emitter *e, int number) {
    return LLVMBuildLoad2(e->builder, e->ptr, emit_offset(e, e->buffers, emit_i64(e, 8 * number)), "");
}

enum copies { STRETCHES, BOXES };
static struct emitter *kernel(const struct target *t, enum copies copies, bool waits) {
    struct emitter *e = emitter_new(NULL, t, "bulk", "bulk.mdl", 1);
    struct extents *x = extents_new(e->arena);
    struct operand_map map = {.dtype = DTYPE_F32, .rank = 2, .extents = {extent_const(x, 32), extent_const(x, THERE)}, .box = {32, LINES}};
    if (copies == BOXES) arena_push(e->arena, e->maps, e->maps_count, e->maps_capacity, map);
    e->threaded ? device_entry_begin(e, "k", WARPS, 2, 0) : emulate_warp_begin(e, "k", WARPS);
    LLVMBasicBlockRef start = LLVMAppendBasicBlockInContext(e->context, e->function, "start");
    LLVMBuildBr(e->builder, start);
    LLVMPositionBuilderAtEnd(e->builder, start);
    emit_scope_begin(e);
    emit_scope_begin(e);
    V from = e->threaded ? device_buffer(e, 0) : emulated_buffer(e, 0),
      to = e->threaded ? device_buffer(e, 1) : emulated_buffer(e, 1);
    e->operands[0].base = from;
    if (copies == BOXES)
        emit_boxes(e, to, waits);
    else
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

/* What must have come: of boxes zeros, where there are no rows. */
static bool is_right(enum copies copies) {
    int there = copies == BOXES ? THERE * 32 : ROUNDS * WORDS;
    for (int i = 0; i < ROUNDS * WORDS; i++)
        if (out[i] != (i < there ? in[i] : 0)) return false;
    return true;
}

static bool interpret(const char *cpu, enum copies copies, bool waits, uint64_t seed, char *message) {
    struct emitter *e = kernel(target_find(CUDA_TRIPLE, cpu), copies, waits);
    LLVMMemoryBufferRef text = emitter_code(e, true);
    check_dump(LLVMGetBufferStart(text));
    struct ptx_module *m = ptx_module_new(LLVMGetBufferStart(text), message);
    cr_assert(m, "%s", message);
    struct {
        uint64_t in, out, scratch, failure;
        int64_t step;
        _Alignas(64) struct tensor_map map;
    } params = {ptx_allocate(sizeof in), ptx_allocate(sizeof out), ptx_allocate(4096), ptx_allocate(64), 0, {0}};
    params.map = (struct tensor_map){.magic = TENSOR_MAP_MAGIC,
                                     .element = 4,
                                     .rank = 2,
                                     .swizzle = 3,
                                     .address = params.in,
                                     .strides = {SWIZZLE_LINE},
                                     .extents = {32, THERE},
                                     .box = {32, LINES},
                                     .steps = {1, 1}};
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

static void check_interpreted(enum copies copies, const char *without) {
    static const char *const cpus[] = {"sm_90a", "sm_100a"};
    char message[PTX_MESSAGE];
    bool found = false;
    for (uint64_t seed = 0; seed < 8; seed++) {
        fill();
        cr_assert(interpret(cpus[seed % 2], copies, true, seed, message), "%s", message);
        cr_assert(is_right(copies));
        cr_assert(!interpret("sm_90a", copies, false, seed, message));
        found |= strstr(message, without) != NULL;
    }
    cr_assert(found, "the last: %s", message);
}

Test(bulk, interpreted) { check_interpreted(STRETCHES, "asynchronous copy has not reached"); }
Test(bulk, boxes_interpreted) { check_interpreted(BOXES, "race on shared memory"); }

typedef int32_t code(void *const *buffers, const int64_t *dims, char *scratch, int64_t thread, int64_t threads);

static void check_emulated(enum copies copies) {
    char folder[] = "/tmp/mdl-bulk-XXXXXX", path[64], command[256];
    cr_assert(mkdtemp(folder));
    struct arena *arena = arena_new();
    struct emitter *e = kernel(backend_emulated(arena, "sm_90a"), copies, true);
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
        cr_assert(is_right(copies));
    }
    LLVMDisposeMemoryBuffer(object);
    emitter_release(e);
    arena_release(arena);
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

Test(bulk, emulated, .disabled = SANITIZED) { check_emulated(STRETCHES); }
Test(bulk, boxes_emulated, .disabled = SANITIZED) { check_emulated(BOXES); }
