/* Products by a group of four warps, B in shared memory, A there or in registers: wgmma.mma_async of sm_90a,
 * which LLVM 22 has no intrinsic for.  (PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions".) */
#include "backend/emulate.h"
#include "backend/simt.h"
#include <string.h>

typedef LLVMValueRef V;

enum { A_WORDS = 4, STRIDE = 128 /* bytes of eight lines of a chunk */ };

/* How a product is written. */
struct form {
    enum atom atom;
    int outputs;
    bool registers, transposed, adds; /* A is in registers; B's lines are inputs; what D has is added */
};

/* "{$3, $4, ...}" */
static const char *registers(struct emitter *e, int first, int count) {
    char *text = arena_alloc(e->arena, (size_t)count * 8 + 3, 1), *end = text;
    *end++ = '{';
    for (int i = 0; i < count; i++) end += sprintf(end, i ? ", $%d" : "$%d", first + i);
    memcpy(end, "}", 2);
    return text;
}

/* `results` floats, the first `tied` of which are operands too, and the others' letters. */
static const char *constraints(struct emitter *e, int results, int tied, const char *others) {
    char *text = arena_alloc(e->arena, (size_t)results * 9 + strlen(others) + 1, 1), *end = text;
    for (int i = 0; i < results; i++) end += sprintf(end, i ? ",=f" : "=f");
    for (int i = 0; i < tied; i++) end += sprintf(end, ",%d", i);
    strcpy(end, others);
    return text;
}

/* An instruction that makes `results` of operands, as a call. */
static void assemble(struct emitter *e, const char *text, const char *constraints, V *operands, int count,
                     V *results, int results_count) {
    LLVMTypeRef types[MAX_CARRIED + A_WORDS + 1], made[MAX_CARRIED];
    for (int i = 0; i < count; i++) types[i] = LLVMTypeOf(operands[i]);
    for (int i = 0; i < results_count; i++) made[i] = e->f32;
    LLVMTypeRef result = LLVMStructTypeInContext(e->context, made, (unsigned)results_count, 0);
    LLVMTypeRef type = LLVMFunctionType(result, types, (unsigned)count, 0);
    V f = LLVMGetInlineAsm(type, text, strlen(text), constraints, strlen(constraints), 1, 0,
                           LLVMInlineAsmDialectATT, 0);
    V all = LLVMBuildCall2(e->builder, type, f, operands, (unsigned)count, "");
    for (int i = 0; i < results_count; i++)
        results[i] = LLVMBuildExtractValue(e->builder, all, (unsigned)i, "");
}

/* D = A B, or + D; A: a descriptor, or words. */
static void multiply(struct emitter *e, const struct form *f, const V *a, V b, V *sums) {
    int count = f->outputs / 2, tied = f->adds ? count : 0, words = f->registers ? A_WORDS : 1;
    V operands[MAX_CARRIED + A_WORDS + 1];
    static const char *const inputs[ATOM_COUNT] = {
        [ATOM_wgmma_bf16] = "bf16", [ATOM_wgmma_f16] = "f16", [ATOM_wgmma_tf32] = "tf32"};
    memcpy(operands, sums, (size_t)tied * sizeof *sums);
    memcpy(operands + tied, a, (size_t)words * sizeof *a);
    operands[tied + words] = b;
    /* Halves may be transposed on the way from shared memory. */
    const char *in = inputs[f->atom], *of_b = f->transposed ? ", 1" : ", 0",
               *of_a = f->registers ? "" : ", 0";
    if (f->atom == ATOM_wgmma_tf32) of_a = of_b = "";
    const char *from =
        f->registers ? registers(e, count + tied, words) : arena_printf(e->arena, "$%d", count + tied);
    const char *text =
        arena_printf(e->arena,
                     "{ .reg .pred add; setp.ne.b32 add, %d, 0; "
                     "wgmma.mma_async.sync.aligned.m64n%dk%d.f32.%s.%s %s, %s, $%d, add, 1, 1%s%s; }",
                     f->adds, f->outputs, atom_info(f->atom)->k, in, in, registers(e, 0, count), from,
                     count + tied + words, of_a, of_b);
    assemble(e, text, constraints(e, count, tied, f->registers ? ",r,r,r,r,l" : ",l,l"), operands,
             tied + words + 1, sums, count);
}

/* Addresses of shared memory are below 2^18. mode 1: swizzled lines of 128 bytes. */
static V descriptor(struct emitter *e, const struct simt_columns *m, int64_t leading, int64_t stride,
                    uint64_t mode) {
    uint64_t offsets = (uint64_t)(leading / 16) << 16 | (uint64_t)(stride / 16) << 32 | mode << 62;
    V start = LLVMBuildPtrToInt(e->builder, emit_offset(e, m->base, m->bytes), e->i32, "");
    start = LLVMBuildZExt(e->builder, LLVMBuildLShr(e->builder, start, emit_i32(e, 4), ""), e->i64, "");
    return LLVMBuildOr(e->builder, start, emit_i64(e, (int64_t)offsets), "");
}

V simt_columns_descriptor(struct emitter *e, const struct simt_columns *m) {
    return m->pitch ? descriptor(e, m, m->pitch, STRIDE, 0) : descriptor(e, m, 16, 8 * SWIZZLE_LINE, 1);
}

void simt_wgmma(struct emitter *e, enum atom atom, int outputs, const struct simt_columns *a,
                const struct simt_columns *b, V *sums) {
    if (!e->threaded) {
        emulate_wgmma(e, atom, outputs, a, b, sums);
        return;
    }
    V from = simt_columns_descriptor(e, a);
    multiply(e, &(struct form){atom, outputs, false, false, true}, &from, simt_columns_descriptor(e, b),
             sums);
}

/* Of a transposed operand the leading offset is from eight lines to the next, the stride from a chunk to the
 * next. (PTX ISA, "Strides", MN-major without swizzle) */
void simt_wgmma_registers(struct emitter *e, enum atom atom, int outputs, const V a[4],
                          const struct simt_columns *b, bool transposed, bool adds, V *sums) {
    if (!e->threaded) {
        for (int i = 0; !adds && i < outputs / 2; i++) sums[i] = emit_splat(e, emit_f32(e, 0), e->lanes);
        emulate_wgmma_registers(e, atom, outputs, a, b, transposed, sums);
        return;
    }
    V from = transposed ? descriptor(e, b, STRIDE, b->pitch, 0) : simt_columns_descriptor(e, b);
    multiply(e, &(struct form){atom, outputs, true, transposed, adds}, a, from, sums);
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

/* Instructions that use the sums come behind one that makes them. */
void simt_wgmma_wait_for(struct emitter *e, int pending, V *sums, int count) {
    if (!e->threaded) {
        emulate_wait(e, "wgmma", pending);
        return;
    }
    const char *text = arena_printf(e->arena, "wgmma.wait_group.sync.aligned %d;", pending);
    assemble(e, text, constraints(e, count, count, ""), sums, count, sums, count);
}
