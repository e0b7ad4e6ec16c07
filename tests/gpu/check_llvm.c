/* PTX as LLVM writes it: functions in its IR, made for three generations of GPUs at three levels of
 * optimisation, give what C gives. */
#include "tests/gpu/ptx_check.h"
#include <llvm-c/Core.h>
#include <llvm-c/IRReader.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ir[] =
    "target triple = \"nvptx64-nvidia-cuda\"\n"
    "@table = internal addrspace(4) constant [8 x i32] [i32 3, i32 1, i32 4, i32 1, i32 5, i32 9, i32 2, i32 "
    "6]\n"
    "@box = internal addrspace(3) global [256 x float] undef, align 16\n"
    "declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n"
    "declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)\n"
    "declare i32 @llvm.nvvm.shfl.sync.bfly.i32(i32, i32, i32, i32)\n"
    "declare i32 @llvm.fshl.i32(i32, i32, i32)\n"
    "declare i32 @llvm.ctpop.i32(i32)\n"
    "declare i32 @llvm.smax.i32(i32, i32)\n"
    "declare float @llvm.fma.f32(float, float, float)\n"
    "declare float @llvm.maxnum.f32(float, float)\n"
    "declare float @llvm.floor.f32(float)\n"
    "declare float @llvm.copysign.f32(float, float)\n"
    "declare i32 @llvm.fptosi.sat.i32.f32(float)\n"
    /* Integers of all widths, a switch, a call, an array that lives in local memory. */
    "define internal i32 @mix(i32 %a, i32 %b) noinline {\n"
    "  %r = call i32 @llvm.fshl.i32(i32 %a, i32 %b, i32 13)\n  %p = call i32 @llvm.ctpop.i32(i32 %r)\n  %s = "
    "add i32 %r, %p\n  ret i32 %s\n}\n"
    "define ptx_kernel void @whole(ptr addrspace(1) align 16 %in, ptr addrspace(1) align 16 %out, i32 %n) {\n"
    "entry:\n  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n  %own = alloca [8 x i32], align 4\n"
    "  %p = getelementptr i32, ptr addrspace(1) %in, i32 %t\n  %v = load i32, ptr addrspace(1) %p\n  br "
    "label %fill\n"
    "fill:\n  %i = phi i32 [0, %entry], [%i2, %fill]\n  %q = getelementptr i32, ptr %own, i32 %i\n  %c = "
    "getelementptr [8 x i32], ptr addrspace(4) @table, i32 0, i32 %i\n"
    "  %w = load i32, ptr addrspace(4) %c\n  %x = mul i32 %w, %v\n  store i32 %x, ptr %q\n  %i2 = add i32 "
    "%i, 1\n  %d = icmp eq i32 %i2, 8\n  br i1 %d, label %use, label %fill\n"
    "use:\n  %k = and i32 %v, 7\n  %kp = getelementptr i32, ptr %own, i32 %k\n  %y = load i32, ptr %kp\n  %m "
    "= call i32 @mix(i32 %y, i32 %v)\n  %b8 = trunc i32 %m to i8\n  %e = sext i8 %b8 to i32\n"
    "  %s = sdiv i32 %m, 7\n  %u = urem i32 %m, 10\n  %z = add i32 %s, %u\n  %z2 = add i32 %z, %e\n  %wide = "
    "zext i32 %z2 to i128\n  %w3 = mul i128 %wide, 123456789012345678901\n  %w4 = lshr i128 %w3, 60\n  %w5 = "
    "trunc i128 %w4 to i32\n"
    "  switch i32 %k, label %other [ i32 0, label %zero\n i32 1, label %one\n i32 2, label %two\n i32 3, "
    "label %three\n i32 4, label %four ]\n"
    "zero:\n  br label %done\none:\n  %o1 = xor i32 %w5, 255\n  br label %done\ntwo:\n  %o2 = call i32 "
    "@llvm.smax.i32(i32 %w5, i32 1000)\n  br label %done\n"
    "three:\n  %o3 = ashr i32 %w5, 3\n  br label %done\nfour:\n  %o4 = sub i32 0, %w5\n  br label "
    "%done\nother:\n  %o5 = mul i32 %w5, %n\n  br label %done\n"
    "done:\n  %r = phi i32 [%w5, %zero], [%o1, %one], [%o2, %two], [%o3, %three], [%o4, %four], [%o5, "
    "%other]\n"
    "  %op = getelementptr i32, ptr addrspace(1) %out, i32 %t\n  store i32 %r, ptr addrspace(1) %op\n  ret "
    "void\n}\n"
    /* Floats, halves, a sum over a warp and over a block. */
    "define ptx_kernel void @floats(ptr addrspace(1) align 16 %in, ptr addrspace(1) align 16 %out, i32 %n) "
    "{\n"
    "entry:\n  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n  %p = getelementptr float, ptr addrspace(1) "
    "%in, i32 %t\n  %v = load float, ptr addrspace(1) %p\n"
    "  %f = call float @llvm.floor.f32(float %v)\n  %c = call float @llvm.copysign.f32(float 2.0, float "
    "%v)\n  %m = call float @llvm.fma.f32(float %v, float %c, float %f)\n  %x = call float "
    "@llvm.maxnum.f32(float %m, float -1.0)\n"
    "  %h = fptrunc float %x to half\n  %h2 = fadd half %h, 0xH3C00\n  %hb = fpext half %h2 to float\n  %b = "
    "fptrunc float %x to bfloat\n  %bb = fpext bfloat %b to float\n  %sum = fadd float %hb, %bb\n"
    "  %i = call i32 @llvm.fptosi.sat.i32.f32(float %sum)\n  %fi = sitofp i32 %i to float\n  %div = fdiv "
    "float %fi, 3.0\n"
    "  %q = getelementptr [256 x float], ptr addrspace(3) @box, i32 0, i32 %t\n  store float %div, ptr "
    "addrspace(3) %q\n  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)\n"
    "  %o = xor i32 %t, 37\n  %q2 = getelementptr [256 x float], ptr addrspace(3) @box, i32 0, i32 %o\n  %w "
    "= load float, ptr addrspace(3) %q2\n"
    "  %wi = bitcast float %w to i32\n  %s = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %wi, i32 1, "
    "i32 31)\n  %sf = bitcast i32 %s to float\n  %r = fadd float %w, %sf\n"
    "  %op = getelementptr float, ptr addrspace(1) %out, i32 %t\n  store float %r, ptr addrspace(1) %op\n  "
    "ret void\n}\n";

static uint32_t whole(uint32_t v, uint32_t n) {
    static const uint32_t table[] = {3, 1, 4, 1, 5, 9, 2, 6};
    uint32_t k = v & 7, y = table[k] * v, r = y << 13 | v >> 19, m = r + (uint32_t)__builtin_popcount(r);
    uint32_t z = (uint32_t)((int32_t)m / 7) + m % 10 + (uint32_t)(int32_t)(int8_t)m;
    __extension__ unsigned __int128 big = (unsigned __int128)12345678901u * 10000000000u + 2345678901u;
    uint32_t w = (uint32_t)(big * z >> 60);
    switch (k) {
    case 0:
        return w;
    case 1:
        return w ^ 255;
    case 2:
        return (int32_t)w > 1000 ? w : 1000;
    case 3:
        return (uint32_t)((int32_t)w >> 3);
    case 4:
        return 0 - w;
    default:
        return w * n;
    }
}
static float floats(float v) {
    float x = fmaxf(fmaf(v, copysignf(2, v), floorf(v)), -1);
    __extension__ _Float16 h = (_Float16)((_Float16)x + (_Float16)1.0f);
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    u = (u + 0x7fff + (u >> 16 & 1)) & 0xffff0000;
    memcpy(&x, &u, sizeof x);
    return (float)(int32_t)((float)h + x) / 3;
}

char *check_llvm(const char *text, const char *cpu, int optimise) {
    static const char *const passes[] = {"default<O0>", "early-cse", "default<O2>"};
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    LLVMContextRef context = LLVMContextCreate();
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(text, strlen(text), "ir"), out;
    LLVMModuleRef m;
    LLVMTargetRef target;
    char *error = NULL;
    cr_assert(!LLVMParseIRInContext(context, buffer, &m, &error), "%s", error);
    cr_assert(!LLVMGetTargetFromTriple("nvptx64-nvidia-cuda", &target, &error), "%s", error);
    LLVMTargetMachineRef machine =
        LLVMCreateTargetMachine(target, "nvptx64-nvidia-cuda", cpu, "+ptx86", (LLVMCodeGenOptLevel)optimise,
                                LLVMRelocDefault, LLVMCodeModelDefault);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(m, layout);
    LLVMDisposeTargetData(layout);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    cr_assert(!LLVMRunPasses(m, passes[optimise], machine, options));
    cr_assert(!LLVMTargetMachineEmitToMemoryBuffer(machine, m, LLVMAssemblyFile, &error, &out), "%s", error);
    char *ptx = strndup(LLVMGetBufferStart(out), LLVMGetBufferSize(out));
    LLVMDisposeMemoryBuffer(out);
    LLVMDisposePassBuilderOptions(options);
    LLVMDisposeTargetMachine(machine);
    LLVMDisposeModule(m);
    LLVMContextDispose(context);
    check_dump(ptx);
    return ptx;
}

static void run(const struct ptx_module *m, const char *name, const void *in, void *out) {
    struct {
        uint64_t in, out;
        uint32_t n;
    } params = {ptx_allocate(1024), ptx_allocate(1024), 77};
    char message[PTX_MESSAGE];
    struct ptx_launch launch = {.grid = {1, 1, 1}, .block = {256, 1, 1}};
    memcpy(ptx_memory(params.in, 1024), in, 1024);
    cr_assert(ptx_run(ptx_module_kernel(m, name), &launch, &params, NULL, message), "%s", message);
    memcpy(out, ptx_memory(params.out, 1024), 1024);
    ptx_release(params.in);
    ptx_release(params.out);
}

static void check_made(const char *cpu, int optimise) {
    char *text = check_llvm(ir, cpu, optimise), message[PTX_MESSAGE];
    struct ptx_module *m = ptx_module_new(text, message);
    cr_assert(m, "%s\n%s", message, text);
    uint32_t in[256], out[256];
    float numbers[256], sums[256], expected[256];
    for (uint32_t i = 0; i < 256; i++) {
        in[i] = (uint32_t)check_random();
        numbers[i] = ((float)(int)(check_random() % 20001) - 10000) / 64;
    }
    run(m, "whole", in, out);
    for (uint32_t i = 0; i < 256; i++)
        cr_expect_eq(out[i], whole(in[i], 77), "%s O%d: of %#x: %#x, not %#x", cpu, optimise, in[i], out[i],
                     whole(in[i], 77));
    run(m, "floats", numbers, sums);
    for (uint32_t i = 0; i < 256; i++) expected[i] = floats(numbers[i ^ 37]);
    for (uint32_t i = 0; i < 256; i++)
        cr_expect(sums[i] == expected[i] + expected[i ^ 1], "%s O%d: %g, not %g", cpu, optimise,
                  (double)sums[i], (double)(expected[i] + expected[i ^ 1]));
    ptx_module_free(m);
    free(text);
}

Test(llvm, its_text_means_what_its_IR_means) {
    static const char *const cpus[] = {"sm_80", "sm_90a", "sm_100a"};
    for (int i = 0; i < 9; i++) check_made(cpus[i / 3], i % 3);
}
