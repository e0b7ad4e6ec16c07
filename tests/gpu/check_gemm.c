/* A tiled product as a compiler makes it for sm_100a: D [128, 128] f32 = A [128, 256] B [128, 256]' of bf16,
 * in LLVM's IR. Warp 0 fetches tiles along K into a ring of three, A by a tensor map from its rows, B as it
 * was laid out in advance; warp 1 issues products; all four warps take the sums. An element of the ring is
 * full by the bytes that came and empty again by the commit of the products that read it. */
#include "tests/gpu/ptx_check.h"
#include "tests/gpu/ptx_tensor.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { M = 128, N = 128, K = 256, DEPTH = 64, STAGES = 3, TILE = M * DEPTH * 2 };

static const char whole[] =
    "target triple = \"nvptx64-nvidia-cuda\"\n"
    "@ring = external addrspace(3) global [0 x i8], align 1024\n" /* [3] tiles of A, then of B */
    "@full = internal addrspace(3) global [3 x i64] undef, align 8\n"
    "@empty = internal addrspace(3) global [3 x i64] undef, align 8\n"
    "@done = internal addrspace(3) global i64 undef, align 8\n"
    "@slot = internal addrspace(3) global i32 undef, align 4\n"
    "declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n"
    "declare { i32, i1 } @llvm.nvvm.elect.sync(i32)\n"
    "declare void @llvm.nvvm.bar.warp.sync(i32)\n"
    "declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)\n"
    "declare void @llvm.nvvm.mbarrier.init.shared(ptr addrspace(3), i32)\n"
    "declare void @llvm.nvvm.fence.mbarrier_init.release.cluster()\n"
    "declare i64 @llvm.nvvm.mbarrier.arrive.expect.tx.scope.cta.space.cta(ptr addrspace(3), i32)\n"
    "declare i1 @llvm.nvvm.mbarrier.try.wait.parity.scope.cta.space.cta(ptr addrspace(3), i32)\n"
    "declare void @llvm.nvvm.cp.async.bulk.tensor.g2s.cta.tile.2d(ptr addrspace(3), ptr addrspace(3), ptr, "
    "i32, "
    "i32, i64, i1)\n"
    "declare void @llvm.nvvm.cp.async.bulk.global.to.shared.cta(ptr addrspace(3), ptr addrspace(3), ptr "
    "addrspace(1), i32, i64, i1)\n"
    "declare void @llvm.nvvm.tcgen05.alloc.shared.cg1(ptr addrspace(3), i32)\n"
    "declare void @llvm.nvvm.tcgen05.relinq.alloc.permit.cg1()\n"
    "declare void @llvm.nvvm.tcgen05.dealloc.cg1(ptr addrspace(6), i32)\n"
    "declare void @llvm.nvvm.tcgen05.fence.before.thread.sync()\n"
    "declare void @llvm.nvvm.tcgen05.fence.after.thread.sync()\n"
    "declare void @llvm.nvvm.tcgen05.mma.shared(ptr addrspace(6), i64, i64, i32, i1, i32, i32, i32)\n"
    "declare void @llvm.nvvm.tcgen05.commit.shared.cg1(ptr addrspace(3))\n"
    "declare <32 x i32> @llvm.nvvm.tcgen05.ld.32x32b.x32(ptr addrspace(6), i1)\n"
    "declare void @llvm.nvvm.tcgen05.wait.ld()\n"

    "define ptx_kernel void @gemm(ptr byval([128 x i8]) align 64 \"nvvm.grid_constant\" %map, ptr "
    "addrspace(1) "
    "align 16 %b, ptr addrspace(1) align 16 %d) \"nvvm.reqntid\"=\"128\" {\n"
    "  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n"
    "  %warp = lshr i32 %t, 5\n"
    "  %first = icmp eq i32 %warp, 0\n"
    "  br i1 %first, label %allocate, label %ready\n"
    "allocate:\n"
    "  call void @llvm.nvvm.tcgen05.alloc.shared.cg1(ptr addrspace(3) @slot, i32 128)\n"
    "  call void @llvm.nvvm.tcgen05.relinq.alloc.permit.cg1()\n"
    "  %e0 = call { i32, i1 } @llvm.nvvm.elect.sync(i32 -1)\n"
    "  %p0 = extractvalue { i32, i1 } %e0, 1\n"
    "  br i1 %p0, label %barriers, label %prepared\n"
    "barriers:\n"
    "  %s0 = phi i32 [ 0, %allocate ], [ %s1, %barriers ]\n"
    "  %f0 = getelementptr i64, ptr addrspace(3) @full, i32 %s0\n"
    "  %e1 = getelementptr i64, ptr addrspace(3) @empty, i32 %s0\n"
    "  call void @llvm.nvvm.mbarrier.init.shared(ptr addrspace(3) %f0, i32 1)\n"
    "  call void @llvm.nvvm.mbarrier.init.shared(ptr addrspace(3) %e1, i32 1)\n"
    "  %s1 = add i32 %s0, 1\n"
    "  %s2 = icmp ult i32 %s1, 3\n"
    "  br i1 %s2, label %barriers, label %last\n"
    "last:\n"
    "  call void @llvm.nvvm.mbarrier.init.shared(ptr addrspace(3) @done, i32 1)\n"
    "  call void @llvm.nvvm.fence.mbarrier_init.release.cluster()\n"
    "  br label %prepared\n"
    "prepared:\n"
    "  call void @llvm.nvvm.bar.warp.sync(i32 -1)\n"
    "  br label %ready\n"
    "ready:\n"
    "  call void @llvm.nvvm.tcgen05.fence.before.thread.sync()\n"
    "  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)\n"
    "  call void @llvm.nvvm.tcgen05.fence.after.thread.sync()\n"
    "  %sums = load i32, ptr addrspace(3) @slot\n"
    "  %tmem = inttoptr i32 %sums to ptr addrspace(6)\n"
    "  switch i32 %warp, label %take [ i32 0, label %elect.fetch\n i32 1, label %elect.multiply ]\n"
    /* Warp 0: round r of a stage begins when its products of round r - 1 are over; the first at once. */
    "elect.fetch:\n"
    "  %e2 = call { i32, i1 } @llvm.nvvm.elect.sync(i32 -1)\n"
    "  %p2 = extractvalue { i32, i1 } %e2, 1\n"
    "  br i1 %p2, label %fetch, label %joined\n"
    "fetch:\n"
    "  %fi = phi i32 [ 0, %elect.fetch ], [ %fi1, %copy ]\n"
    "  %fs = urem i32 %fi, 3\n"
    "  %fr = udiv i32 %fi, 3\n"
    "  %fodd = and i32 %fr, 1\n"
    "  %fparity = xor i32 %fodd, 1\n"
    "  %fempty = getelementptr i64, ptr addrspace(3) @empty, i32 %fs\n"
    "  %ffull = getelementptr i64, ptr addrspace(3) @full, i32 %fs\n"
    "  br label %wait.empty\n"
    "wait.empty:\n"
    "  %free = call i1 @llvm.nvvm.mbarrier.try.wait.parity.scope.cta.space.cta(ptr addrspace(3) %fempty, i32 "
    "%fparity)\n"
    "  br i1 %free, label %copy, label %wait.empty\n"
    "copy:\n"
    "  %expected = call i64 @llvm.nvvm.mbarrier.arrive.expect.tx.scope.cta.space.cta(ptr addrspace(3) "
    "%ffull, i32 "
    "32768)\n"
    "  %fa = mul i32 %fs, 16384\n"
    "  %fb = add i32 %fa, 49152\n"
    "  %ato = getelementptr i8, ptr addrspace(3) @ring, i32 %fa\n"
    "  %bto = getelementptr i8, ptr addrspace(3) @ring, i32 %fb\n"
    "  %column = mul i32 %fi, 64\n"
    "  call void @llvm.nvvm.cp.async.bulk.tensor.g2s.cta.tile.2d(ptr addrspace(3) %ato, ptr addrspace(3) "
    "%ffull, "
    "ptr %map, i32 %column, i32 0, i64 0, i1 false)\n"
    "  %boffset = mul i32 %fi, 16384\n"
    "  %bfrom = getelementptr i8, ptr addrspace(1) %b, i32 %boffset\n"
    "  call void @llvm.nvvm.cp.async.bulk.global.to.shared.cta(ptr addrspace(3) %bto, ptr addrspace(3) "
    "%ffull, "
    "ptr addrspace(1) %bfrom, i32 16384, i64 0, i1 false)\n"
    "  %fi1 = add i32 %fi, 1\n"
    "  %fmore = icmp ult i32 %fi1, 4\n"
    "  br i1 %fmore, label %fetch, label %joined\n"
    /* Warp 1: four products of 16 along K for each stage; descriptors count 16 bytes. */
    "elect.multiply:\n"
    "  %e3 = call { i32, i1 } @llvm.nvvm.elect.sync(i32 -1)\n"
    "  %p3 = extractvalue { i32, i1 } %e3, 1\n"
    "  br i1 %p3, label %multiply, label %joined\n"
    "multiply:\n"
    "  %mi = phi i32 [ 0, %elect.multiply ], [ %mi1, %committed ]\n"
    "  %ms = urem i32 %mi, 3\n"
    "  %mr = udiv i32 %mi, 3\n"
    "  %mparity = and i32 %mr, 1\n"
    "  %mempty = getelementptr i64, ptr addrspace(3) @empty, i32 %ms\n"
    "  %mfull = getelementptr i64, ptr addrspace(3) @full, i32 %ms\n"
    "  br label %wait.full\n"
    "wait.full:\n"
    "  %there = call i1 @llvm.nvvm.mbarrier.try.wait.parity.scope.cta.space.cta(ptr addrspace(3) %mfull, i32 "
    "%mparity)\n"
    "  br i1 %there, label %issue, label %wait.full\n"
    "issue:\n"
    "  call void @llvm.nvvm.tcgen05.fence.after.thread.sync()\n"
    "  %ring = ptrtoint ptr addrspace(3) @ring to i32\n"
    "  %moffset = mul i32 %ms, 16384\n"
    "  %mat = add i32 %ring, %moffset\n"
    "  %m16 = lshr i32 %mat, 4\n"
    "  %mwide = zext i32 %m16 to i64\n"
    /* 128 bytes of swizzle 2 << 61, 1 << 46, 1024 bytes between eight rows, 1 where no offset is meant */
    "  %adesc = or i64 %mwide, u0x4000404000010000\n"
    "  %bdesc = add i64 %adesc, 3072\n"
    "  br label %product\n"
    "product:\n"
    "  %j = phi i32 [ 0, %issue ], [ %j1, %product ]\n"
    "  %any = or i32 %mi, %j\n"
    "  %adds = icmp ne i32 %any, 0\n"
    "  %j2 = mul i32 %j, 2\n"
    "  %jw = zext i32 %j2 to i64\n"
    "  %aj = add i64 %adesc, %jw\n"
    "  %bj = add i64 %bdesc, %jw\n"
    /* f32 sums 1 << 4, bf16 1 << 7 and 1 << 10, N / 8 << 17, M / 16 << 24; kind::f16, one block, no reuse of
       A */
    "  call void @llvm.nvvm.tcgen05.mma.shared(ptr addrspace(6) %tmem, i64 %aj, i64 %bj, i32 u0x8200490, i1 "
    "%adds, "
    "i32 0, i32 1, i32 0)\n"
    "  %j1 = add i32 %j, 1\n"
    "  %jmore = icmp ult i32 %j1, 4\n"
    "  br i1 %jmore, label %product, label %committed\n"
    "committed:\n"
    "  call void @llvm.nvvm.tcgen05.commit.shared.cg1(ptr addrspace(3) %mempty)\n"
    "  %mi1 = add i32 %mi, 1\n"
    "  %mmore = icmp ult i32 %mi1, 4\n"
    "  br i1 %mmore, label %multiply, label %finished\n"
    "finished:\n"
    "  call void @llvm.nvvm.tcgen05.commit.shared.cg1(ptr addrspace(3) @done)\n"
    "  br label %joined\n"
    "joined:\n"
    "  call void @llvm.nvvm.bar.warp.sync(i32 -1)\n"
    "  br label %take\n"
    "take:\n"
    "  %over = call i1 @llvm.nvvm.mbarrier.try.wait.parity.scope.cta.space.cta(ptr addrspace(3) @done, i32 "
    "0)\n"
    "  br i1 %over, label %sums.there, label %take\n"
    "sums.there:\n"
    "  call void @llvm.nvvm.tcgen05.fence.after.thread.sync()\n"
    "  %lane0 = shl i32 %warp, 21\n" /* 32 lanes a warp, the lane in the upper half */
    "  %own = add i32 %sums, %lane0\n"
    "  %row = mul i32 %t, 512\n"
    "  %to = getelementptr i8, ptr addrspace(1) %d, i32 %row\n"
    "  br label %chunk\n"
    "chunk:\n"
    "  %c = phi i32 [ 0, %sums.there ], [ %c1, %chunk ]\n"
    "  %place = add i32 %own, %c\n"
    "  %from = inttoptr i32 %place to ptr addrspace(6)\n"
    "  %bits = call <32 x i32> @llvm.nvvm.tcgen05.ld.32x32b.x32(ptr addrspace(6) %from, i1 false)\n"
    "  call void @llvm.nvvm.tcgen05.wait.ld()\n"
    "  %v32 = bitcast <32 x i32> %bits to <32 x float>\n"
    "  %at = getelementptr float, ptr addrspace(1) %to, i32 %c\n"
    "  store <32 x float> %v32, ptr addrspace(1) %at, align 16\n"
    "  %c1 = add i32 %c, 32\n"
    "  %cmore = icmp ult i32 %c1, 128\n"
    "  br i1 %cmore, label %chunk, label %taken\n"
    "taken:\n"
    "  call void @llvm.nvvm.tcgen05.fence.before.thread.sync()\n"
    "  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)\n"
    "  br i1 %first, label %release, label %end\n"
    "release:\n"
    "  call void @llvm.nvvm.tcgen05.dealloc.cg1(ptr addrspace(6) %tmem, i32 128)\n"
    "  br label %end\n"
    "end:\n"
    "  ret void\n}\n";

/* The kernel's IR, in which `find` is `by`. */
static char *changed(const char *find, const char *by) {
    char *text;
    const char *place = strstr(whole, find);
    cr_assert(place, "'%s' is not in the kernel", find);
    cr_assert(asprintf(&text, "%.*s%s%s", (int)(place - whole), whole, by, place + strlen(find)) > 0);
    return text;
}

static int a[M][K], b[N][K];
static struct ptx_module *compiled(const char *ir, int optimise) {
    char message[PTX_MESSAGE], *text = check_llvm(ir, "sm_100a", optimise);
    struct ptx_module *m = ptx_module_new(text, message);
    cr_assert(m, "%s\n%s", message, text);
    free(text);
    return m;
}
static bool run(const struct ptx_module *m, uint64_t seed, float d[M][N], char *message) {
    struct {
        struct tensor_map map;
        uint64_t b, d;
    } params = {{.magic = TENSOR_MAP_MAGIC,
                 .element = 2,
                 .rank = 2,
                 .swizzle = 3,
                 .address = ptx_allocate(sizeof(uint16_t[M][K])),
                 .strides = {K * 2},
                 .extents = {K, M},
                 .box = {DEPTH, M},
                 .steps = {1, 1}},
                ptx_allocate(K / DEPTH * TILE),
                ptx_allocate(sizeof(float[M][N]))};
    uint16_t *rows = ptx_memory(params.map.address, sizeof(uint16_t[M][K]));
    unsigned char *tiles = ptx_memory(params.b, K / DEPTH * TILE);
    for (int r = 0; r < M; r++)
        for (int k = 0; k < K; k++) {
            uint16_t v = check_bfloat(b[r][k] = (int)(check_random() % 9) - 4);
            unsigned piece = (unsigned)k % DEPTH / 8;
            memcpy(tiles + k / DEPTH * TILE + check_place(3, N, (unsigned)r, piece) + k % 8 * 2, &v, 2);
            rows[r * K + k] = check_bfloat(a[r][k] = (int)(check_random() % 9) - 4);
        }
    struct ptx_launch launch = {
        .grid = {1, 1, 1}, .block = {128, 1, 1}, .shared = 2 * STAGES * TILE, .seed = seed};
    bool good = ptx_run(ptx_module_kernel(m, "gemm"), &launch, &params, NULL, message);
    memcpy(d, ptx_memory(params.d, sizeof(float[M][N])), sizeof(float[M][N]));
    ptx_release(params.map.address);
    ptx_release(params.b);
    ptx_release(params.d);
    return good;
}

Test(gemm, of_a_ring_and_tensor_memory) {
    static float d[M][N];
    char message[PTX_MESSAGE];
    for (int optimise = 0; optimise < 3; optimise++) {
        struct ptx_module *module = compiled(whole, optimise);
        for (uint64_t seed = 0; seed < 4; seed++) {
            cr_assert(run(module, seed, d, message), "%s", message);
            for (int m = 0; m < M; m++)
                for (int n = 0; n < N; n++) {
                    int sum = 0;
                    for (int k = 0; k < K; k++) sum += a[m][k] * b[n][k];
                    cr_assert(d[m][n] == (float)sum, "O%d: D[%d][%d] is %g, not %d", optimise, m, n,
                              (double)d[m][n], sum);
                }
        }
        ptx_module_free(module);
    }
}

/* Without one of the things it waits for it always fails, and in some order of warps with these words. */
Test(gemm, with_a_wait_less) {
    static const struct {
        const char *find, *by, *words;
    } bugs[] = {
        {"(ptr addrspace(3) %fempty, i32 %fparity)", "(ptr addrspace(3) %ffull, i32 %fparity)",
         "with a product of warp 1"},
        {"br i1 %there, label %issue", "br i1 true, label %issue", "asynchronous copy has not reached"},
        {"br i1 %over, label %sums.there", "br i1 true, label %sums.there", "its commit was not waited for"},
        {"sums.there:\n  call void @llvm.nvvm.tcgen05.fence.after.thread.sync()", "sums.there:\n",
         "no tcgen05.fence::after_thread_sync"},
        {"tcgen05.commit.shared.cg1(ptr addrspace(3) %mempty)",
         "tcgen05.commit.shared.cg1(ptr addrspace(3) @done)", "its commit was not waited for"},
    };
    static float d[M][N];
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++) {
        char message[PTX_MESSAGE] = "", *ir = changed(bugs[i].find, bugs[i].by);
        struct ptx_module *module = compiled(ir, 2);
        bool found = false;
        for (uint64_t seed = 0; seed < 16; seed++) {
            cr_assert(!run(module, seed, d, message), "no error with %s", bugs[i].by);
            found |= strstr(message, bugs[i].words) != NULL;
        }
        cr_expect(found, "'%s' is in no message; the last: %s", bugs[i].words, message);
        ptx_module_free(module);
        free(ir);
    }
}
