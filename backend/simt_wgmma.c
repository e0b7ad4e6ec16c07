/* Products by a group of four warps, both operands in shared memory: wgmma.mma_async of sm_90a, which LLVM 22
 * has no intrinsic for.  (PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions".) */
#include "backend/emulate.h"
#include "backend/simt.h"
#include <string.h>

typedef LLVMValueRef V;

/* "{$0, $1, ...}" */
static const char *registers(struct emitter *e, int count) {
    char *text = arena_alloc(e->arena, (size_t)count * 8 + 3, 1), *end = text;
    *end++ = '{';
    for (int i = 0; i < count; i++) end += sprintf(end, i ? ", $%d" : "$%d", i);
    memcpy(end, "}", 2);
    return text;
}

/* `count` results that are operands too, and two descriptors. */
static const char *constraints(struct emitter *e, int count) {
    char *text = arena_alloc(e->arena, (size_t)count * 9 + 8, 1), *end = text;
    for (int i = 0; i < count; i++) end += sprintf(end, i ? ",=f" : "=f");
    for (int i = 0; i < count; i++) end += sprintf(end, ",%d", i);
    memcpy(end, ",l,l", 5);
    return text;
}

/* The instruction as a function {sums, a, b} -> sums. */
static V assembly(struct emitter *e, enum atom atom, int outputs, LLVMTypeRef *type) {
    int count = outputs / 2;
    LLVMTypeRef types[MAX_CARRIED + 2];
    for (int i = 0; i < count; i++) types[i] = e->f32;
    LLVMTypeRef result = LLVMStructTypeInContext(e->context, types, (unsigned)count, 0);
    types[count] = types[count + 1] = e->i64;
    *type = LLVMFunctionType(result, types, (unsigned)count + 2, 0);
    static const char *const inputs[ATOM_COUNT] = {
        [ATOM_wgmma_bf16] = "bf16", [ATOM_wgmma_f16] = "f16", [ATOM_wgmma_tf32] = "tf32"};
    /* Halves may be transposed on the way: they are not. */
    const char *in = inputs[atom], *transposed = atom == ATOM_wgmma_tf32 ? "" : ", 0, 0";
    const char *text = arena_printf(
        e->arena,
        "{ .reg .pred add; setp.ne.b32 add, 1, 0; "
        "wgmma.mma_async.sync.aligned.m64n%dk%d.f32.%s.%s %s, $%d, $%d, add, 1, 1%s; }",
        outputs, atom_info(atom)->k, in, in, registers(e, count), 2 * count, 2 * count + 1, transposed);
    const char *operands = constraints(e, count);
    return LLVMGetInlineAsm(*type, text, strlen(text), operands, strlen(operands), 1, 0,
                            LLVMInlineAsmDialectATT, 0);
}

/* Addresses of shared memory are below 2^18. */
V simt_columns_descriptor(struct emitter *e, const struct simt_columns *m) {
    uint64_t pitches = (uint64_t)(m->pitch / 16) << 16 | UINT64_C(128 / 16) << 32;
    if (!m->pitch) pitches = UINT64_C(1) << 16 | UINT64_C(8 * SWIZZLE_LINE / 16) << 32 | UINT64_C(1) << 62;
    V start = LLVMBuildPtrToInt(e->builder, emit_offset(e, m->base, m->bytes), e->i32, "");
    start = LLVMBuildZExt(e->builder, LLVMBuildLShr(e->builder, start, emit_i32(e, 4), ""), e->i64, "");
    return LLVMBuildOr(e->builder, start, emit_i64(e, (int64_t)pitches), "");
}

void simt_wgmma(struct emitter *e, enum atom atom, int outputs, const struct simt_columns *a,
                const struct simt_columns *b, V *sums) {
    if (!e->threaded) {
        emulate_wgmma(e, atom, outputs, a, b, sums);
        return;
    }
    int count = outputs / 2;
    LLVMTypeRef type;
    V f = assembly(e, atom, outputs, &type), arguments[MAX_CARRIED + 2];
    memcpy(arguments, sums, (size_t)count * sizeof *sums);
    arguments[count] = simt_columns_descriptor(e, a);
    arguments[count + 1] = simt_columns_descriptor(e, b);
    V made = LLVMBuildCall2(e->builder, type, f, arguments, (unsigned)count + 2, "");
    for (int i = 0; i < count; i++) sums[i] = LLVMBuildExtractValue(e->builder, made, (unsigned)i, "");
}

static void only_threads(struct emitter *e, const char *name) {
    if (e->threaded) emit_intrinsic(e, name, NULL, 0, NULL, 0);
}

void simt_wgmma_begin(struct emitter *e) { only_threads(e, "llvm.nvvm.wgmma.fence.sync.aligned"); }
void simt_proxy_fence(struct emitter *e) { only_threads(e, "llvm.nvvm.fence.proxy.async.shared_cta"); }

void simt_wgmma_commit(struct emitter *e) {
    if (e->threaded)
        emit_intrinsic(e, "llvm.nvvm.wgmma.commit_group.sync.aligned", NULL, 0, NULL, 0);
    else
        emulate_commit(e, "wgmma");
}

void simt_wgmma_wait(struct emitter *e, int pending) {
    V left = emit_i64(e, pending);
    if (e->threaded)
        emit_intrinsic(e, "llvm.nvvm.wgmma.wait_group.sync.aligned", NULL, 0, &left, 1);
    else
        emulate_wait(e, "wgmma", pending);
}
