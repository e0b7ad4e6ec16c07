/* Control flow, calls, memory spaces, atomics, what lanes do together, copies, and what LLVM makes of them.
 */
#include "tests/gpu/ptx_check.h"
#include <string.h>

#define STORE "mad.wide.u32 %rd31, %thread, 4, %out; st.global.b32 [%rd31], "
static void expect(const struct check_run *run, const uint32_t *expected) {
    uint32_t n = run->threads ? run->threads : 32;
    for (uint32_t i = 0; i < n; i++)
        cr_expect_eq(((uint32_t *)run->out)[i], expected[i], "%u: %#x, not %#x", i, ((uint32_t *)run->out)[i],
                     expected[i]);
}
static void check(const char *before, const char *body, uint32_t threads, uint32_t shared,
                  uint32_t (*of)(uint32_t i)) {
    uint32_t in[256], out[256], expected[256];
    for (uint32_t i = 0; i < 256; i++) {
        in[i] = i * 2654435761u;
        expected[i] = of(i);
    }
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct check_run run = {.before = before,
                                .body = body,
                                .threads = threads,
                                .shared = shared,
                                .in = in,
                                .in_bytes = sizeof in,
                                .out = out,
                                .out_bytes = sizeof out,
                                .n = 7,
                                .seed = seed};
        check_good(&run, NULL);
        expect(&run, expected);
    }
}

static uint32_t collatz(uint32_t i) {
    uint32_t steps = 0;
    for (uint32_t v = i + 1; v != 1; steps++) v = v % 2 ? 3 * v + 1 : v / 2;
    return steps;
}
Test(control, lanes_part_and_meet) {
    check(NULL,
          "add.u32 %r1, %thread, 1; mov.u32 %r2, 0;\n"
          "AGAIN: setp.eq.u32 %p1, %r1, 1; @%p1 bra DONE;\n"
          "and.b32 %r3, %r1, 1; setp.eq.u32 %p2, %r3, 0; @%p2 bra EVEN;\n"
          "mad.lo.u32 %r1, %r1, 3, 1; bra NEXT;\nEVEN: shr.u32 %r1, %r1, 1;\nNEXT: add.u32 %r2, %r2, 1; bra "
          "AGAIN;\n"
          "DONE: bar.warp.sync -1;\n" STORE "%r2;",
          256, 0, collatz);
}

static uint32_t by_table(uint32_t i) { return i % 3 == 0 ? 100 : i % 3 == 1 ? 211 : 322; }
Test(control, tables_of_labels) {
    check(NULL,
          "rem.u32 %r1, %thread, 3;\nT: .branchtargets A, B, C;\nbrx.idx %r1, T;\n"
          "A: mov.u32 %r2, 100; bra OUT;\nB: mov.u32 %r2, 211; bra OUT;\nC: mov.u32 %r2, 322;\nOUT: " STORE
          "%r2;",
          64, 0, by_table);
}

static uint32_t called(uint32_t i) { return i % 4 == 3 ? i : 3 * i + 12; }
Test(control, functions) {
    check(
        ".func (.param .b32 ret) twice(.param .b32 x, .param .align 8 .b8 pair[8])\n{\n.reg .b32 "
        "%r<8>;\n.local .align 4 .b8 own[8];\n"
        ".reg .b64 %rd<4>;\nld.param.b32 %r1, [x]; ld.param.b32 %r2, [pair+4]; mov.b64 %rd1, own; "
        "st.local.b32 [%rd1+4], %r1;\n"
        "ld.local.b32 %r3, [%rd1+4]; mad.lo.u32 %r4, %r3, 3, %r2; st.param.b32 [ret], %r4; ret;\n}\n",
        "mov.u32 %r1, %thread; and.b32 %r2, %thread, 3; setp.eq.u32 %p1, %r2, 3; @%p1 bra OUT;\n"
        "{\n.param .b32 p0;\n.param .align 8 .b8 p1[8];\n.param .b32 r0;\nst.param.b32 [p0], %thread; "
        "mov.b32 %r3, 12;\n"
        "st.param.b32 [p1+4], %r3;\ncall.uni (r0), twice, (p0, p1);\nld.param.b32 %r1, [r0];\n}\nOUT: " STORE
        "%r1;",
        64, 0, called);
}

static uint32_t reversed(uint32_t i) { return (255 - i) * 2654435761u; }
Test(memory, shared_memory_and_barriers) {
    const char *dynamic = ".extern .shared .align 16 .b8 dynamic[];\n.shared .align 8 .b8 fixed[24];\n";
    check(dynamic,
          "mad.wide.u32 %rd1, %thread, 4, %in; ld.global.nc.b32 %r1, [%rd1]; mov.b32 %r2, dynamic; shl.b32 "
          "%r3, %thread, 2;\n"
          "add.u32 %r4, %r2, %r3; st.shared.b32 [%r4], %r1; setp.eq.u32 %p1, %thread, 0; @%p1 st.shared.b64 "
          "[fixed+16], 0; bar.sync 0;\n"
          "sub.u32 %r5, %r2, %r3; ld.shared.b32 %r6, [%r5+1020]; barrier.cta.sync 1, 256;\n" STORE "%r6;",
          256, 1024, reversed);
    check(dynamic,
          "mad.wide.u32 %rd1, %thread, 4, %in; ld.global.b32 %r1, [%rd1]; mov.u64 %rd2, dynamic; "
          "cvta.shared.u64 %rd3, %rd2;\n"
          "mad.wide.u32 %rd4, %thread, 4, %rd3; st.b32 [%rd4], %r1; bar.sync 0; sub.u64 %rd5, %rd4, %rd3; "
          "sub.u64 %rd6, %rd3, %rd5;\n"
          "isspacep.shared %p1, %rd4; @!%p1 trap; ld.b32 %r6, [%rd6+1020];\n" STORE
          "%r6;\nsetp.eq.u32 %p1, %thread, 0; @%p1 st.shared.b64 [fixed], 1;",
          256, 1024, reversed);
}
Test(memory, static_shared_by_all_names) {
    /* A race on purpose is not there: one warp writes `fixed`. */
    struct check_run run = {
        .before = ".shared .align 8 .b8 fixed[256];\n",
        .body = "mad.lo.u32 %r1, %lane, 8, 0; mov.b32 %r2, fixed; add.u32 %r1, %r1, %r2; st.shared.b64 "
                "[%r1], 5; ld.shared.v2.b32 {%r3, %r4}, [%r1]; add.u32 %r3, %r3, %r4;" STORE "%r3;",
        .out_bytes = 128};
    uint32_t out[32];
    run.out = out;
    check_good(&run, NULL);
    for (int i = 0; i < 32; i++) cr_expect_eq(out[i], 5);
}

static uint32_t arrived(uint32_t i) { return i < 128 ? 1000 + i : i; }
Test(memory, barriers_of_some_warps) { /* warps 4-7 give, 0-3 take */
    check(".shared .align 4 .b8 box[512];\n",
          "mov.b32 %r1, box; and.b32 %r2, %thread, 127; mad.lo.u32 %r3, %r2, 4, %r1; mov.u32 %r6, "
          "%thread;\nsetp.lt.u32 %p1, %thread, 128; @%p1 bra TAKE;\n"
          "add.u32 %r4, %r2, 1000; st.shared.b32 [%r3], %r4; bar.arrive 3, 256; bra OUT;\nTAKE: bar.sync 3, "
          "256; ld.shared.b32 %r6, [%r3];\nOUT: " STORE "%r6;",
          256, 0, arrived);
}

Test(memory, a_cluster_of_one_block) {
    check(".extern .shared .align 16 .b8 dynamic[];\n",
          "mad.wide.u32 %rd1, %thread, 4, %in; ld.global.b32 %r1, [%rd1]; mov.b32 %r2, dynamic; "
          "mapa.shared::cluster.u32 %r2, %r2, 0; shl.b32 %r3, %thread, 2; add.u32 %r4, %r2, %r3;\n"
          "st.shared::cluster.b32 [%r4], %r1; barrier.cluster.arrive.release.aligned; "
          "barrier.cluster.wait.acquire.aligned; sub.u32 %r5, %r2, %r3; mov.u32 %r7, %cluster_ctarank; "
          "add.u32 %r5, %r5, %r7; ld.shared.b32 %r6, [%r5+1020];\n" STORE "%r6;",
          256, 1024, reversed);
}

static uint32_t table_of(uint32_t i) { return (uint32_t[]){3, 1, 4, 1}[i % 4] + 70; }
Test(memory, variables_of_the_module) {
    check(".global .align 4 .u32 base[4] = {3, 1, 4, 1};\n.global .align 8 .u64 where[2] = {base, "
          "generic(base)+8};\n.const .align 4 .b32 seven = 70;\n",
          "and.b32 %r1, %thread, 3; ld.global.u64 %rd1, [where]; mad.wide.u32 %rd2, %r1, 4, %rd1; "
          "ld.global.u32 %r2, [%rd2];\n"
          "ld.const.b32 %r3, [seven]; add.u32 %r2, %r2, %r3; ld.global.u64 %rd3, [where+8]; ld.u32 %r4, "
          "[%rd3]; setp.ne.u32 %p1, %r4, 4; @%p1 trap;\n" STORE "%r2;",
          64, 0, table_of);
}

static uint32_t counted(uint32_t i) {
    return i == 0 ? 256 * 255 / 2 : i == 1 ? 255 : i == 2 ? 0x43800000 : i == 3 ? 31 : i == 4 ? 1000 : ~0u;
}
Test(memory, atomic_operations) {
    check(NULL,
          "setp.lt.u32 %p1, %thread, 8; @%p1 bra ZERO; bra READY;\nZERO: mad.wide.u32 %rd1, %thread, 4, "
          "%out; st.global.b32 [%rd1], 0;\nREADY: bar.sync 0;\n"
          "red.global.add.u32 [%out], %thread; red.relaxed.gpu.global.max.s32 [%out+4], %thread; "
          "atom.global.add.f32 %r1, [%out+8], 0f3F800000;\n"
          "atom.global.or.b32 %r2, [%out+12], 31; atom.global.cas.b32 %r3, [%out+16], 0, 1000; bar.sync 0;\n"
          "setp.ge.u32 %p2, %thread, 5; setp.lt.and.u32 %p2, %thread, 8, %p2; mad.wide.u32 %rd2, %thread, 4, "
          "%out; @%p2 st.global.b32 [%rd2], -1;\n",
          256, 0, counted);
}

static uint32_t summed(uint32_t i) { return i / 32 * 32 * 32 + 31 * 16; }
Test(lanes, butterflies) {
    check(NULL,
          "mov.u32 %r1, %thread;\nshfl.sync.bfly.b32 %r2, %r1, 16, 31, -1; add.u32 %r1, %r1, "
          "%r2;\nshfl.sync.bfly.b32 %r2, %r1, 8, 31, -1; add.u32 %r1, %r1, %r2;\n"
          "shfl.sync.bfly.b32 %r2, %r1, 4, 31, -1; add.u32 %r1, %r1, %r2;\nshfl.sync.bfly.b32 %r2|%p1, %r1, "
          "2, 31, -1; add.u32 %r1, %r1, %r2;\n"
          "shfl.sync.bfly.b32 %r2, %r1, 1, 31, -1; add.u32 %r1, %r1, %r2;\n" STORE "%r1;",
          64, 0, summed);
}
static uint32_t shuffled(uint32_t i) {
    uint32_t l = i % 32, up = l >= 3 ? l - 3 : l, down = l % 8 + 2 < 8 ? l + 2 : l, index = l / 16 * 16 + 5;
    return up | down << 8 | index << 16 | (uint32_t)(l >= 3) << 24 | (uint32_t)(l % 8 + 2 < 8) << 25;
}
Test(lanes, shuffles_in_segments) {
    check(NULL,
          "shfl.sync.up.b32 %r1|%p1, %lane, 3, 0, -1; shfl.sync.down.b32 %r2|%p2, %lane, 2, 0x181f, -1; "
          "shfl.sync.idx.b32 %r3, %lane, 5, 0x101f, -1;\n"
          "shl.b32 %r2, %r2, 8; shl.b32 %r3, %r3, 16; or.b32 %r1, %r1, %r2; or.b32 %r1, %r1, %r3; selp.b32 "
          "%r4, 0x1000000, 0, %p1; or.b32 %r1, %r1, %r4;\n"
          "selp.b32 %r4, 0x2000000, 0, %p2; or.b32 %r1, %r1, %r4;" STORE "%r1;",
          64, 0, shuffled);
}
static uint32_t voted(uint32_t i) {
    (void)i;
    return 0x55555555 ^ 1 ^ 0 ^ 4;
}
Test(lanes, votes) {
    check(NULL,
          "and.b32 %r1, %lane, 1; setp.eq.u32 %p1, %r1, 0; vote.sync.ballot.b32 %r2, %p1, -1; "
          "vote.sync.any.pred %p2, %p1, -1; vote.sync.all.pred %p3, %p1, -1;\n"
          "selp.b32 %r3, 1, 0, %p2; selp.b32 %r4, 2, 0, %p3; vote.sync.uni.pred %p4, !%p3, -1; selp.b32 %r5, "
          "4, 0, %p4;\n"
          "xor.b32 %r2, %r2, %r3; xor.b32 %r2, %r2, %r4; xor.b32 %r2, %r2, %r5;" STORE "%r2;",
          64, 0, voted);
}
static uint32_t matched(uint32_t i) { return (0x11111111u << i % 4) + 28 + 31 + 1; }
Test(lanes, matches_and_reductions) {
    check(NULL,
          "and.b32 %r1, %lane, 3; match.any.sync.b32 %r2, %r1, -1; redux.sync.add.s32 %r3, 1, -1; "
          "redux.sync.max.u32 %r4, %lane, -1; redux.sync.min.s32 %r5, %lane, -1;\n"
          "activemask.b32 %r6; setp.ne.u32 %p1, %r6, -1; @%p1 trap; add.u32 %r3, %r3, -4; add.u32 %r2, %r2, "
          "%r3; add.u32 %r2, %r2, %r4; add.u32 %r2, %r2, %r5;\n"
          "elect.sync %r7|%p2, -1; selp.b32 %r8, 1, 0, %p2; redux.sync.add.u32 %r8, %r8, -1; add.u32 %r2, "
          "%r2, %r8;\n" STORE "%r2;",
          64, 0, matched);
}
static uint32_t half_matched(uint32_t i) { return i % 32 < 16 ? 120 : i; }
Test(lanes, some_of_them) { /* the others are elsewhere meanwhile */
    check(NULL,
          "mov.u32 %r1, %thread; setp.ge.u32 %p1, %lane, 16; @%p1 bra OUT; redux.sync.add.s32 %r1, %lane, "
          "0xffff; OUT: " STORE "%r1;",
          64, 0, half_matched);
}

/* Two copies a lane under way; the first is waited for alone. A lane in four copies 8 of 16 bytes. */
static uint32_t copied(uint32_t i) {
    uint32_t first = i * 4 % 256 * 2654435761u, last = i % 4 ? (i * 4 % 256 + 3) * 2654435761u : 0;
    return first ^ last ^ (i * 2654435761u);
}
Test(copies, arrive_at_their_wait) {
    check(".extern .shared .align 16 .b8 box[];\n",
          "mov.b32 %r1, box; mad.lo.u32 %r2, %thread, 16, %r1; mad.wide.u32 %rd1, %thread, 16, %in; and.b32 "
          "%r3, %thread, 3; setp.eq.u32 %p1, %r3, 0; selp.b32 %r4, 8, 16, %p1;\n"
          "cp.async.cg.shared.global [%r2], [%rd1], 16, %r4; cp.async.commit_group;\n"
          "mad.lo.u32 %r5, %thread, 4, %r1; mad.wide.u32 %rd2, %thread, 4, %in; cp.async.ca.shared.global "
          "[%r5+1024], [%rd2], 4; cp.async.commit_group;\n"
          "cp.async.wait_group 1; bar.warp.sync -1; ld.shared.v4.b32 {%r6, %r7, %r8, %r9}, [%r2];\n"
          "cp.async.wait_group 0; ld.shared.b32 %r10, [%r5+1024]; xor.b32 %r6, %r6, %r9; xor.b32 %r6, %r6, "
          "%r10;\n" STORE "%r6;",
          64, 1280, copied);
}
