/* Shuffles, votes and barriers of a warp, by LLVM's intrinsics for PTX. */
#include "backend/simt.h"
#include "backend/emulate.h"

enum { SHARED = 3 /* LLVM's address space for it */, LEAST_ALIGN = 64 };
enum { ALL = -1, WHOLE_WARP = 31 /* the clamp of a shuffle: lanes up to it, of one segment */ };

typedef LLVMValueRef V;

/* Of 32 bits. */
static V shuffle_word(struct emitter *e, const char *name, V word, V from) {
    V arguments[] = {emit_i32(e, ALL), word, from, emit_i32(e, WHOLE_WARP)};
    return emit_intrinsic(e, name, NULL, 0, arguments, 4);
}

/* Of two halves, the lower one first. */
static V shuffle_pair(struct emitter *e, const char *name, V wide, V from) {
    V low = LLVMBuildTrunc(e->builder, wide, e->i32, "");
    V high = LLVMBuildTrunc(e->builder, LLVMBuildLShr(e->builder, wide, emit_i64(e, 32), ""), e->i32, "");
    low = LLVMBuildZExt(e->builder, shuffle_word(e, name, low, from), e->i64, "");
    high = LLVMBuildZExt(e->builder, shuffle_word(e, name, high, from), e->i64, "");
    return LLVMBuildOr(e->builder, low, LLVMBuildShl(e->builder, high, emit_i64(e, 32), ""), "");
}

static V shuffle(struct emitter *e, const char *name, V value, V from) {
    LLVMTypeRef type = LLVMTypeOf(value);
    if (type == e->f32)
        return LLVMBuildBitCast(e->builder,
                                shuffle_word(e, name, LLVMBuildBitCast(e->builder, value, e->i32, ""), from),
                                type, "");
    if (type == e->f64)
        return LLVMBuildBitCast(e->builder,
                                shuffle_pair(e, name, LLVMBuildBitCast(e->builder, value, e->i64, ""), from),
                                type, "");
    if (type == e->i64) return shuffle_pair(e, name, value, from);
    if (type == e->i32) return shuffle_word(e, name, value, from);
    V wide = LLVMBuildZExt(e->builder, value, e->i32, "");
    return LLVMBuildTrunc(e->builder, shuffle_word(e, name, wide, from), type, "");
}

struct index simt_lanes(struct emitter *e) { return index_lanes(emit_i64(e, 0), e->lanes); }

V simt_shuffle_xor(struct emitter *e, V value, int mask) {
    if (!e->threaded) {
        V order[MAX_LANES];
        for (int l = 0; l < e->lanes; l++) order[l] = emit_i32(e, l ^ mask);
        return LLVMBuildShuffleVector(e->builder, value, LLVMGetPoison(LLVMTypeOf(value)),
                                      LLVMConstVector(order, (unsigned)e->lanes), "");
    }
    return shuffle(e, "llvm.nvvm.shfl.sync.bfly.i32", value, emit_i32(e, mask));
}

V simt_shuffle_from(struct emitter *e, V value, V lane) {
    if (!e->threaded) return LLVMBuildExtractElement(e->builder, value, lane, "");
    return shuffle(e, "llvm.nvvm.shfl.sync.idx.i32", value, lane);
}

V simt_any(struct emitter *e, V condition) {
    V arguments[] = {emit_i32(e, ALL), condition};
    return emit_intrinsic(e, "llvm.nvvm.vote.any.sync", NULL, 0, arguments, 2);
}

V simt_ballot(struct emitter *e, V condition) {
    V arguments[] = {emit_i32(e, ALL), condition};
    return emit_intrinsic(e, "llvm.nvvm.vote.ballot.sync", NULL, 0, arguments, 2);
}

void simt_warp_barrier(struct emitter *e) {
    V all = emit_i32(e, ALL);
    if (e->threaded) emit_intrinsic(e, "llvm.nvvm.bar.warp.sync", NULL, 0, &all, 1);
}

void simt_block_barrier(struct emitter *e) {
    if (!e->threaded) {
        emulate_barrier(e);
        return;
    }
    V all = emit_i32(e, 0);
    emit_intrinsic(e, "llvm.nvvm.barrier.cta.sync.aligned.all", NULL, 0, &all, 1);
}

V simt_shared(struct emitter *e, int64_t bytes) { return simt_shared_aligned(e, bytes, LEAST_ALIGN); }

V simt_shared_aligned(struct emitter *e, int64_t bytes, int align) {
    int64_t at = (e->shared_bytes + align - 1) / align * align;
    e->shared_bytes = (at + bytes + 63) & ~(int64_t)63;
    if (e->shared_bytes > e->target->shared_bytes)
        emit_error(e, e->kernel->loc,
                   "schedule: the kernel's tiles need %lld bytes of shared memory, %s has %lld",
                   (long long)e->shared_bytes, e->target->cpu, (long long)e->target->shared_bytes);
    if (!e->threaded) return emit_offset(e, e->shared, emit_i64(e, at));
    V memory = LLVMGetNamedGlobal(e->module, "shared");
    if (!memory) {
        memory = LLVMAddGlobalInAddressSpace(e->module, LLVMArrayType2(e->i8, 0), "shared", SHARED);
        LLVMSetAlignment(memory, LEAST_ALIGN);
    }
    if ((int)LLVMGetAlignment(memory) < align) LLVMSetAlignment(memory, (unsigned)align);
    return emit_offset(e, memory, emit_i64(e, at));
}

void simt_split(struct emitter *e, V count, V *begin, V *end) {
    V share = emit_div_up(e, count, e->blocks);
    *begin = emit_mul(e, e->block, share);
    *end = emit_min(e, emit_add(e, *begin, share), count);
}

V simt_dot4(struct emitter *e, V w, V x, V sum) {
    if (!e->threaded) return emulate_dot4(e, w, x, sum);
    V arguments[] = {LLVMBuildBitCast(e->builder, w, e->i32, ""), LLVMBuildBitCast(e->builder, x, e->i32, ""),
                     sum};
    return emit_intrinsic(e, "llvm.nvvm.idp4a.u.s", NULL, 0, arguments, 3);
}

V simt_register(struct emitter *e, const char *name) {
    const char *full = arena_printf(e->arena, "llvm.nvvm.read.ptx.sreg.%s", name);
    return LLVMBuildZExt(e->builder, emit_intrinsic(e, full, NULL, 0, NULL, 0), e->i64, "");
}
