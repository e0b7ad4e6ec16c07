/* Hopper's way: mbarriers, bulk and tensor copies, products of a warp group; what they give, and what goes
 * wrong without each of the things they need. */
#include "tests/gpu/ptx_check.h"
#include "tests/gpu/ptx_tensor.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOX                                                                                                  \
    ".extern .shared .align 1024 .b8 box[];\n.shared .align 8 .b64 full;\n.shared .align 8 .b64 empty;\n"
#define FIRST "setp.eq.u32 %p1, %thread, 0;\n"
#define INIT                                                                                                 \
    FIRST "@%p1 mbarrier.init.shared::cta.b64 [full], 1; fence.mbarrier_init.release.cluster; bar.sync 0;\n"
#define WAIT(parity) "{ W: mbarrier.try_wait.parity.shared::cta.b64 %p2, [full], " parity "; @!%p2 bra W; }\n"
#define OUT "mad.wide.u32 %rd31, %thread, 4, %out; st.global.b32 [%rd31], "

static struct check_run run_of(const char *body, uint32_t threads, uint32_t *in, uint32_t *out,
                               uint64_t seed) {
    for (uint32_t i = 0; i < 256; i++) in[i] = i * 2654435761u;
    return (struct check_run){.before = BOX,
                              .body = body,
                              .threads = threads,
                              .shared = 8192,
                              .in = in,
                              .in_bytes = 1024,
                              .out = out,
                              .out_bytes = 1024,
                              .seed = seed};
}
static void gives(const char *body, uint32_t threads, uint32_t (*expected)(uint32_t)) {
    uint32_t in[256], out[256];
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct check_run run = run_of(body, threads, in, out, seed);
        check_good(&run, NULL);
        for (uint32_t i = 0; i < threads; i++)
            cr_expect_eq(out[i], expected(i), "%u: %#x, not %#x", i, out[i], expected(i));
    }
}
static void fails(const char *body, uint32_t threads, const char *words) {
    uint32_t in[256], out[256];
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct check_run run = run_of(body, threads, in, out, seed);
        check_fails(&run, words);
    }
}

static uint32_t same(uint32_t i) { return i * 2654435761u; }
static uint32_t counted(uint32_t i) { return i >= 32 ? 45 : 0; }

/* Warp 0 writes ten numbers into one place, warp 1 adds them up: each waits for the other. */
#define HANDSHAKE(wait_full, wait_empty)                                                                     \
    FIRST "@%p1 mbarrier.init.shared::cta.b64 [full], 32; @%p1 mbarrier.init.shared::cta.b64 [empty], 32; "  \
          "bar.sync 0;\n"                                                                                    \
          "mov.u32 %r1, 0; mov.u32 %r2, 0; mov.b32 %r3, box; mad.lo.u32 %r3, %lane, 4, %r3; setp.ge.u32 "    \
          "%p3, %thread, 32; @%p3 bra TAKE;\n"                                                               \
          "GIVE: and.b32 %r4, %r1, 1; xor.b32 %r4, %r4, 1;\n" wait_empty                                     \
          "st.shared.b32 [%r3], %r1; mbarrier.arrive.shared::cta.b64 _, [full]; add.u32 %r1, %r1, 1; "       \
          "setp.lt.u32 %p4, %r1, 10; @%p4 bra GIVE; bra DONE;\n"                                             \
          "TAKE: and.b32 %r4, %r1, 1;\n" wait_full                                                           \
          "ld.shared.b32 %r5, [%r3]; add.u32 %r2, %r2, %r5; mbarrier.arrive.release.cta.shared::cta.b64 _, " \
          "[empty]; add.u32 %r1, %r1, 1; setp.lt.u32 %p4, %r1, 10; @%p4 bra TAKE;\n"                         \
          "DONE: " OUT "%r2;"
#define EMPTY "E: mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 %p2, [empty], %r4; @!%p2 bra E;\n"
#define FULL "F: mbarrier.test_wait.parity.shared::cta.b64 %p2, [full], %r4; @!%p2 bra F;\n"
Test(async, two_warps_take_turns) {
    gives(HANDSHAKE(FULL, EMPTY), 64, counted);
    fails(HANDSHAKE("", EMPTY), 64, "shared memory at");
    fails(HANDSHAKE(FULL, ""), 64, "");
}

static uint32_t phases(uint32_t i) { return i == 0 ? 2 : 1; }
Test(async, states_of_arrivals) {
    gives(
        FIRST
        "@%p1 mbarrier.init.shared::cta.b64 [full], 64; bar.sync 0; mbarrier.arrive.shared::cta.b64 %rd1, "
        "[full];\n"
        "S: mbarrier.test_wait.shared::cta.b64 %p2, [full], %rd1; @!%p2 bra S; mov.u32 %r1, 1; bar.sync 0;\n"
        "@%p1 mbarrier.inval.shared::cta.b64 [full]; @%p1 mov.u32 %r1, 2;" OUT "%r1;",
        64, phases);
    fails("mbarrier.arrive.shared::cta.b64 _, [full];", 32, "no mbarrier was initialised");
    fails(FIRST "@%p1 mbarrier.init.shared::cta.b64 [full], 1; bar.sync 0; @%p1 "
                "mbarrier.arrive.shared::cta.b64 _, [full], 2;",
          32, "arrivals, but");
    fails(FIRST "@!%p1 bra OTHER; mbarrier.init.shared::cta.b64 [full], 64; OTHER: "
                "mbarrier.arrive.shared::cta.b64 _, [full];",
          64, "");
    fails(INIT WAIT("0"), 32, "deadlock");
}

static uint32_t carried(uint32_t i) { return i * 2654435761u; }
Test(async, ordinary_copies_arrive_at_a_barrier) {
    const char *body = FIRST "@%p1 mbarrier.init.shared::cta.b64 [full], 64; bar.sync 0; mov.b32 %r1, box; "
                             "mad.lo.u32 %r1, %thread, 4, %r1; mad.wide.u32 %rd1, %thread, 4, %in;\n"
                             "cp.async.ca.shared.global [%r1], [%rd1], 4; "
                             "cp.async.mbarrier.arrive.noinc.shared::cta.b64 [full];\n";
    char whole[2048];
    snprintf(whole, sizeof whole, "%s%s", body,
             WAIT("0") "mov.b32 %r2, box; xor.b32 %r3, %thread, 32; mad.lo.u32 %r2, %r3, 4, %r2; "
                       "ld.shared.b32 %r4, [%r2]; xor.b32 %r5, %thread, 32; mad.wide.u32 %rd2, %r5, 4, %out; "
                       "st.global.b32 [%rd2], %r4;");
    gives(whole, 64, carried);
    snprintf(whole, sizeof whole, "%sld.shared.b32 %%r4, [%%r1];", body);
    uint32_t in[256], out[256];
    struct check_run run = run_of(whole, 64, in, out, 1);
    check_fails(&run, "was not waited for");
}

#define EXPECT(bytes) "@%p1 mbarrier.arrive.expect_tx.shared::cta.b64 _, [full], " bytes ";\n"
#define BULK                                                                                                 \
    "@%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [box], [%in], 512, [full]; "     \
    "@%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [box+512], [%in+512], 512, "     \
    "[full];\n"
#define READ "mov.b32 %r1, box; mad.lo.u32 %r1, %thread, 4, %r1; ld.shared.b32 %r2, [%r1];\n"
Test(async, bulk_copies) {
    gives(INIT EXPECT("1024") BULK WAIT("0") READ OUT "%r2;", 256, same);
    fails(INIT EXPECT("1024") BULK READ, 32, "shared memory at");
    fails(INIT EXPECT("1040") BULK WAIT("0"), 32, "deadlock");
    fails(INIT EXPECT("512") BULK WAIT("1") READ, 32, "");
    fails(
        INIT
        "@%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [box], [%in+8], 512, [full];",
        32, "aligned to 16");
    fails(
        INIT
        "@%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [box], [%in], 1040, [full];",
        32, "outside its allocation");
}

#define FILL                                                                                                 \
    "mov.b32 %r1, box; mad.lo.u32 %r2, %thread, 4, %r1; mad.wide.u32 %rd1, %thread, 4, %in; ld.global.b32 "  \
    "%r3, [%rd1]; st.shared.b32 [%r2], %r3;\n"
#define STORE                                                                                                \
    FIRST "@%p1 cp.async.bulk.global.shared::cta.bulk_group [%out], [box], 1024; @%p1 "                      \
          "cp.async.bulk.commit_group; @%p1 cp.async.bulk.wait_group.read 0;"
Test(async, bulk_stores_need_a_fence) {
    gives(FILL "fence.proxy.async.shared::cta; bar.sync 0; " STORE, 256, same);
    fails(FILL "bar.sync 0; " STORE, 256, "without a fence.proxy.async");
    fails(FILL "fence.proxy.async.shared::cta; " STORE, 256, "");
}

/* A box of 16-bit elements of a tensor [10, 100]: 6 rows from row 6 on (two are outside), 64 columns from 50
 * on. */
static void check_tensor(unsigned swizzle, unsigned columns) {
    enum { ROWS = 10, WIDTH = 104, VALID = 100, TILE = 6 };
    uint64_t data = ptx_allocate(ROWS * WIDTH * 2);
    uint16_t *host = ptx_memory(data, ROWS * WIDTH * 2), out[TILE * 64], back[ROWS * WIDTH];
    for (int i = 0; i < ROWS * WIDTH; i++) host[i] = (uint16_t)(i * 31 + 7);
    memcpy(back, host, sizeof back);
    struct tensor_map map = {.magic = TENSOR_MAP_MAGIC,
                             .element = 2,
                             .rank = 2,
                             .swizzle = (uint8_t)swizzle,
                             .address = data,
                             .strides = {WIDTH * 2},
                             .extents = {VALID, ROWS},
                             .box = {(uint16_t)columns, TILE},
                             .steps = {1, 1}};
    char body[2048];
    unsigned bytes = TILE * columns * 2;
    snprintf(
        body, sizeof body,
        "%s@%%p1 mbarrier.arrive.expect_tx.shared::cta.b64 _, [full], %u; mov.b32 %%r1, 50; mov.b32 %%r2, 6; "
        "mov.b32 %%r9, box;\n"
        "@%%p1 cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%%r9], "
        "[%%in, {%%r1, %%r2}], [full];\n%smov.u32 %%r3, %%thread;\nCOPY: shl.b32 %%r5, %%r3, 2; add.u32 "
        "%%r6, %%r5, %%r9; "
        "ld.shared.b32 %%r7, [%%r6]; cvt.u64.u32 %%rd1, %%r5; add.u64 %%rd1, %%rd1, %%out; "
        "st.global.b32 [%%rd1], %%r7;\n"
        "add.u32 %%r3, %%r3, 32; setp.lt.u32 %%p3, %%r3, %u; @%%p3 bra COPY;\nbar.sync 0;\n"
        "mov.b32 %%r1, 51; @%%p1 cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%%in, "
        "{%%r1, %%r2}], [%%r9]; @%%p1 cp.async.bulk.commit_group; @%%p1 cp.async.bulk.wait_group 0;",
        INIT, bytes, WAIT("0"), bytes / 4);
    check_good(&(struct check_run){.before = BOX,
                                   .body = body,
                                   .shared = 8192,
                                   .in = &map,
                                   .in_bytes = sizeof map,
                                   .out = out,
                                   .out_bytes = bytes},
               NULL);
    for (unsigned r = 0; r < TILE; r++)
        for (unsigned c = 0; c < columns; c++) {
            unsigned at = r * columns * 2 + c * 2, chunk = at / 16;
            /* 16-byte pieces of 128-byte lines: the line's number is added without carries */
            if (swizzle) chunk ^= at / 128 % (1u << swizzle);
            uint16_t expected = r + 6 < ROWS && c + 50 < VALID ? back[(r + 6) * WIDTH + c + 50] : 0;
            cr_expect_eq(out[chunk * 8 + at % 16 / 2], expected, "swizzle %u: row %u, column %u: %u, not %u",
                         swizzle, r, c, out[chunk * 8 + at % 16 / 2], expected);
            if (r + 6 < ROWS && c + 51 < VALID)
                cr_expect_eq(host[(r + 6) * WIDTH + c + 51], expected, "stored: row %u, column %u", r, c);
        }
    ptx_release(data);
}
Test(async, tensor_copies) {
    check_tensor(0, 64);
    check_tensor(1, 16);
    check_tensor(2, 32);
    check_tensor(3, 64);
    check_refused(BOX,
                  "mbarrier.init.shared.b64 [full], 1; "
                  "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [box], "
                  "[%in, {%r1}], [full];",
                  "only tiles");
}

/* A map that is a parameter of the kernel, as cuLaunchKernel packs it. */
Test(async, maps_as_parameters) {
    struct ptx_module *m = check_module(
        BOX ".visible .entry tma(.param .align 64 .b8 tma_map[128], .param .u64 tma_out)\n{\n.reg .pred "
            "%p<4>; .reg .b32 %r<9>; .reg .b64 %rd<5>;\n"
            "mov.b64 %rd1, tma_map; cvta.param.u64 %rd2, %rd1; ld.param.u64 %rd3, [tma_out]; mov.u32 %r1, "
            "%tid.x; setp.eq.u32 %p1, %r1, 0; mov.b32 %r2, box; mov.b32 %r3, 0;\n"
            "@%p1 prefetch.tensormap [%rd2]; @%p1 mbarrier.init.shared::cta.b64 [full], 1; bar.sync 0; @%p1 "
            "mbarrier.arrive.expect_tx.shared::cta.b64 _, [full], 128;\n"
            "@%p1 cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r2], "
            "[%rd2, {%r3}], [full];\n"
            "W: mbarrier.try_wait.parity.shared::cta.b64 %p2, [full], 0; @!%p2 bra W; mad.lo.u32 %r4, %r1, "
            "4, %r2; ld.shared.b32 %r5, [%r4]; mad.wide.u32 %rd4, %r1, 4, %rd3; st.global.b32 [%rd4], %r5; "
            "ret;\n}\n",
        "");
    struct {
        struct tensor_map map;
        uint64_t out;
    } params = {{.magic = TENSOR_MAP_MAGIC,
                 .element = 4,
                 .rank = 1,
                 .address = ptx_allocate(128),
                 .extents = {32},
                 .box = {32},
                 .steps = {1}},
                ptx_allocate(128)};
    for (uint32_t i = 0; i < 32; i++) ((uint32_t *)ptx_memory(params.map.address, 128))[i] = same(i);
    struct ptx_launch launch = {.grid = {1, 1, 1}, .block = {32, 1, 1}, .shared = 128};
    char message[PTX_MESSAGE];
    cr_assert(ptx_run(ptx_module_kernel(m, "tma"), &launch, &params, NULL, message), "%s", message);
    for (uint32_t i = 0; i < 32; i++) cr_expect_eq(((uint32_t *)ptx_memory(params.out, 128))[i], same(i));
    ptx_release(params.map.address);
    ptx_release(params.out);
    ptx_module_free(m);
}

enum { GROUP_K = 16 };

/* Where element [row][k] is. Along rows, eight of them are a piece of 16 bytes: pieces of a swizzle's width by eight k are
 * together, and those of the next eight k follow. */
static unsigned place_of(unsigned swizzle, unsigned rows, bool along_rows, unsigned row, unsigned k) {
    if (!along_rows) return check_place(swizzle, rows, row, k / 8) + k % 8 * 2;
    unsigned width = 1u << swizzle, piece = row / 8, together = piece / width * (GROUP_K / 8) + k / 8;
    return together * 128 * width + check_place(swizzle, 8, k % 8, piece % width) + row % 8 * 2;
}
/* Leading and stride offset of this. */
static uint64_t offsets_of(unsigned swizzle, unsigned rows, bool along_rows) {
    uint64_t width = UINT64_C(1) << swizzle, eight = 128 * width, leading = swizzle ? 1 : rows,
             stride = eight / 16;
    if (along_rows) {
        uint64_t next_rows = eight * (GROUP_K / 8) / 16, next_k = eight / 16;
        leading = swizzle ? next_rows : next_k;
        stride = swizzle ? next_k : next_rows;
    }
    return leading << 16 | stride << 32;
}

struct group {
    unsigned swizzle;
    bool registers, along_rows, no_fence;
    const char *meanwhile, *error; /* before the wait */
};
/* A [64, k] and B [n, k] of bf16. */
static void check_group(struct group g) {
    enum { N = 24, K = GROUP_K };
    unsigned swizzle = g.swizzle;
    bool registers = g.registers;
    int a[64][K], b[N][K];
    static unsigned char in[16384];
    static float out[64][N];
    unsigned b_at = 8192;
    memset(in, 0, sizeof in);
    for (unsigned r = 0; r < 64; r++)
        for (unsigned k = 0; k < K; k++) {
            uint16_t v = check_bfloat(a[r][k] = (int)(check_random() % 9) - 4);
            memcpy(in + place_of(swizzle, 64, g.along_rows, r, k), &v, 2);
        }
    for (unsigned r = 0; r < N; r++)
        for (unsigned k = 0; k < K; k++) {
            uint16_t v = check_bfloat(b[r][k] = (int)(check_random() % 9) - 4);
            memcpy(in + b_at + place_of(swizzle, N, g.along_rows, r, k), &v, 2);
        }
    if (registers) /* fragments, at the end */
        for (unsigned t = 0; t < 128; t++)
            for (unsigned i = 0; i < 8; i++) {
                unsigned row = t / 32 * 16 + t % 32 / 4 + (i / 2 % 2 ? 8 : 0),
                         k = t % 4 * 2 + i % 2 + (i >= 4 ? 8 : 0);
                uint16_t v = check_bfloat(a[row][k]);
                memcpy(in + 12288 + t * 16 + i * 2, &v, 2);
            }
    static const unsigned modes[] = {0, 3, 2, 1};
    uint64_t kind = (uint64_t)modes[swizzle] << 62, of_a = kind | offsets_of(swizzle, 64, g.along_rows),
             of_b = kind | offsets_of(swizzle, N, g.along_rows);
    char body[6000], list[256];
    int used = 0;
    for (int i = 0; i < N / 2; i++)
        used += snprintf(list + used, sizeof list - (size_t)used, "%s%%r%d", i ? ", " : "", 20 + i);
    used = snprintf(
        body, sizeof body,
        "mov.b32 %%r1, box; mov.u32 %%r2, %%thread;\nFILL: shl.b32 %%r3, %%r2, 4; cvt.u64.u32 %%rd1, %%r3; "
        "add.u64 %%rd1, %%rd1, %%in; ld.global.v4.b32 {%%r4, %%r5, %%r6, %%r7}, [%%rd1]; add.u32 %%r3, %%r3, "
        "%%r1;\n"
        "st.shared.v4.b32 [%%r3], {%%r4, %%r5, %%r6, %%r7}; add.u32 %%r2, %%r2, 128; setp.lt.u32 %%p1, %%r2, "
        "1024; @%%p1 bra FILL;\n%s bar.sync 0;\n"
        "mad.lo.u32 %%r3, %%thread, 16, %%r1; ld.shared.v4.b32 {%%r4, %%r5, %%r6, %%r7}, [%%r3+12288];\n"
        "shr.u32 %%r8, %%r1, 4; cvt.u64.u32 %%rd2, %%r8; or.b64 %%rd3, %%rd2, %#llx; add.u64 %%rd4, %%rd2, "
        "%u; or.b64 %%rd4, %%rd4, %#llx; setp.ne.u32 %%p2, %%n, 0;\n",
        g.no_fence ? "" : "fence.proxy.async;", (unsigned long long)of_a, b_at / 16,
        (unsigned long long)of_b);
    for (int i = 0; i < N / 2; i++)
        used += snprintf(body + used, sizeof body - (size_t)used, "mov.b32 %%r%d, 0f3F800000; ", 20 + i);
    used += snprintf(
        body + used, sizeof body - (size_t)used,
        "\nwgmma.fence.sync.aligned; wgmma.mma_async.sync.aligned.m64n24k16.f32.bf16.bf16 {%s}, %s, %%rd4, "
        "%%p2, 1, -1%s%s;\nwgmma.commit_group.sync.aligned; %s wgmma.wait_group.sync.aligned 0;\n"
        "mad.wide.u32 %%rd5, %%thread, %d, %%out;\n",
        list, registers ? "{%r4, %r5, %r6, %r7}" : "%rd3",
        registers      ? ""
        : g.along_rows ? ", 1"
                       : ", 0",
        g.along_rows ? ", 1" : ", 0", g.meanwhile ? g.meanwhile : "", N * 2);
    for (int i = 0; i < N / 2; i++)
        used += snprintf(body + used, sizeof body - (size_t)used, "st.global.b32 [%%rd5+%d], %%r%d; ", 4 * i,
                         20 + i);
    for (uint32_t add = 0; add < 2; add++) {
        float frag[128][N / 2];
        struct check_run run = {.before = ".extern .shared .align 1024 .b8 box[];\n",
                                .body = body,
                                .threads = 128,
                                .shared = 16384,
                                .in = in,
                                .in_bytes = sizeof in,
                                .out = frag,
                                .out_bytes = sizeof frag,
                                .n = add};
        if (g.error) {
            check_fails(&run, g.error);
            continue;
        }
        check_good(&run, NULL);
        for (unsigned t = 0; t < 128; t++)
            for (unsigned i = 0; i < N / 2; i++)
                out[t / 32 * 16 + t % 32 / 4 + (i / 2 % 2 ? 8 : 0)][i / 4 * 8 + t % 4 * 2 + i % 2] =
                    frag[t][i];
        for (unsigned m = 0; m < 64; m++)
            for (unsigned n = 0; n < N; n++) {
                int sum = 0;
                for (unsigned k = 0; k < K; k++) sum += a[m][k] * b[n][k];
                cr_expect(out[m][n] == (float)((int)add - sum), "swizzle %u: D[%u][%u] is %g, not %d",
                          swizzle, m, n, (double)out[m][n], (int)add - sum);
            }
    }
}
Test(async, products_of_a_warp_group) {
    for (unsigned i = 0; i < 16; i++)
        check_group((struct group){.swizzle = i / 4, .registers = i & 1, .along_rows = i & 2});
    check_group((struct group){3, .no_fence = true, .error = "without a fence.proxy.async"});
    static const struct group early[] = {
        {3, .meanwhile = "bar.sync 0; st.shared.b32 [%r1+8192], 0;", .error = "race on shared memory"},
        {3, .meanwhile = "mov.b32 %r2, %r20;", .error = "a register that was never written"},
        {3, .meanwhile = "mov.b32 %r20, 0;", .error = "that a product makes was written"},
        {3, .registers = true, .meanwhile = "add.u32 %r7, %r7, 1;",
         .error = "that the product reads was written"}};
    for (size_t i = 0; i < sizeof early / sizeof *early; i++) check_group(early[i]);
    check_refused(NULL,
                  "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%r1, %r2, %r3, %r4}, %rd1, %rd2, "
                  "%p1, 1, 1, 2, 0;",
                  "transpositions 0 or 1");
    check_refused(NULL,
                  "wgmma.mma_async.sync.aligned.m64n8k8.f32.tf32.tf32 {%r1, %r2, %r3, %r4}, %rd1, %rd2, "
                  "%p1, 1, 1, 0, 1;",
                  "another number of operands");
}
