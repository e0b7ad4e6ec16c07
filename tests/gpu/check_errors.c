/* Each error that the interpreter can report, provoked; and the same without its cause, so that it is the
 * cause. */
#include "tests/gpu/ptx_check.h"
#include <stdio.h>
#include <string.h>

#define BOX ".extern .shared .align 16 .b8 box[];\n"
#define SLOT "mov.b32 %r1, box; mad.lo.u32 %r2, %thread, 4, %r1; "
static void fails(const char *before, const char *body, uint32_t threads, const char *words) {
    for (uint64_t seed = 0; seed < 4; seed++) {
        uint32_t in[64] = {0}, out[64];
        check_fails(&(struct check_run){.before = before,
                                        .body = body,
                                        .threads = threads,
                                        .shared = 1024,
                                        .in = in,
                                        .in_bytes = sizeof in,
                                        .out = out,
                                        .out_bytes = sizeof out,
                                        .seed = seed,
                                        .limit = 100000},
                    words);
    }
}
static void passes(const char *before, const char *body, uint32_t threads) {
    for (uint64_t seed = 0; seed < 4; seed++) {
        uint32_t in[64] = {0}, out[64];
        check_good(&(struct check_run){.before = before,
                                       .body = body,
                                       .threads = threads,
                                       .shared = 1024,
                                       .in = in,
                                       .in_bytes = sizeof in,
                                       .out = out,
                                       .out_bytes = sizeof out,
                                       .seed = seed},
                   NULL);
    }
}

Test(errors, addresses) {
    fails(NULL, "ld.global.b32 %r1, [%in+256];", 32, "outside its allocation of 256 bytes");
    fails(NULL, "ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%in+248];", 32, "outside its allocation");
    fails(NULL, "st.global.b32 [%out+-4], 1;", 32, "(offset -4)");
    fails(NULL, "mov.b64 %rd1, 4096; ld.global.b32 %r1, [%rd1];", 32, "is in no allocation");
    fails(NULL, "ld.global.b32 %r1, [%in+2];", 32, "not aligned to 4 bytes");
    fails(NULL, "ld.global.v2.b64 {%rd1, %rd2}, [%in+8];", 32, "not aligned to 16 bytes");
    fails(BOX, "mov.b32 %r1, box; st.shared.b32 [%r1+1024], 1;", 32, "is outside the block's 1024 bytes");
    fails(BOX, "mov.b32 %r1, 0; st.shared.b32 [%r1], 1;", 32, "is outside the block's");
    fails(BOX, "mov.b32 %r1, box; st.shared.b64 [%r1+4], 1;", 32, "is not aligned to 8 bytes");
    fails(NULL, ".local .b32 x; mov.b64 %rd1, x; st.local.b32 [%rd1+16], 1;", 32, "local address");
    fails(NULL, "ld.param.b32 %r1, [k_n+4];", 32, "parameter address");
    fails(BOX, "cp.async.ca.shared.global [box], [%in+2], 4;", 32, "not aligned to 4 bytes");
    fails(BOX, "cp.async.ca.shared.global [box], [%in+256], 4;", 1, "outside its allocation");
    fails(NULL, "cvta.to.shared.u64 %rd1, %in;", 32, "is not of this space");
    passes(NULL, "ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%in+240];", 32);
}

Test(errors, thread_and_source_are_named) {
    uint32_t out[1];
    char message[PTX_MESSAGE];
    bool good = check_run(&(struct check_run){.before = ".file 1 \"model.mdl\"\n",
                                              .threads = 64,
                                              .blocks = 3,
                                              .out = out,
                                              .out_bytes = 4,
                                              .body = "mov.u32 %r1, %ctaid.x; setp.ne.u32 %p1, %r1, 2; @%p1 "
                                                      "exit; setp.ne.u32 %p1, %thread, 37; @%p1 exit;\n"
                                                      ".loc 1 12 3\nld.global.b32 %r1,\n [%out+4];"},
                          NULL, message);
    cr_assert(!good);
    cr_assert(strstr(message, "kernel k, block (2, 0, 0), thread (37, 0, 0): global address"), "%s", message);
    cr_assert(strstr(message, ": ld.global.b32 %r1,  [%out+4];\n  from model.mdl:12"), "%s", message);
}

Test(errors, registers_without_value) {
    fails(NULL, "add.u32 %r1, %r2, 1;", 32, "operand 2 is a register that was never written");
    fails(NULL, "@%p1 exit;", 32, "the predicate was never written");
    fails(NULL, "setp.lt.u32 %p1, %lane, 5; @%p1 mov.u32 %r1, 1; add.u32 %r2, %r1, 1;", 32, "never written");
    passes(NULL, "setp.lt.u32 %p1, %lane, 5; @%p1 mov.u32 %r1, 1; @%p1 add.u32 %r2, %r1, 1;", 32);
    passes(NULL, "// implicit-def: %r2\nadd.u32 %r1, %r2, 1;", 32);
}

Test(errors, barriers) {
    fails(NULL, "setp.lt.u32 %p1, %lane, 5; @%p1 bra SKIP; bar.sync 0; SKIP:", 64, "divergent barrier");
    fails(NULL, "setp.lt.u32 %p1, %thread, 32; @%p1 bra A; bar.sync 1, 64; bra B; A: bar.sync 2, 64; B:", 64,
          "deadlock: waits at barrier");
    fails(NULL, "setp.lt.u32 %p1, %thread, 32; @%p1 bra A; bar.sync 1, 64; A:", 64, "deadlock");
    fails(NULL, "setp.lt.u32 %p1, %thread, 32; @%p1 bra A; bar.sync 1, 64; bra B; A: bar.sync 1, 96; B:", 128,
          "by others with");
    fails(NULL, "bar.sync 1, 40;", 64, "not whole warps");
    fails(NULL, "bar.sync 16;", 64, "barrier 16");
    passes(NULL, "setp.lt.u32 %p1, %thread, 32; @%p1 exit; bar.sync 0;", 64);
    fails(NULL, "AGAIN: bra AGAIN;", 32, "instructions and no end");
    fails(NULL, "trap;", 32, "the kernel stopped itself");
}

Test(errors, lanes_that_are_not_here) {
    fails(NULL, "setp.lt.u32 %p1, %lane, 5; @%p1 shfl.sync.bfly.b32 %r1, %lane, 1, 31, -1;", 32,
          "switched off by the predicate");
    fails(NULL,
          "setp.lt.u32 %p1, %lane, 5; @%p1 bra A; shfl.sync.bfly.b32 %r1, %lane, 1, 31, -1; A: bar.warp.sync "
          "31;",
          32, "have ended or never were");
    fails(NULL,
          "setp.lt.u32 %p1, %lane, 6; @!%p1 bra OUT; shfl.sync.idx.b32 %r1, %lane, 6, 31, 0x3f; OUT:", 32,
          "reads lane 6, which is not active");
    fails(NULL, "setp.lt.u32 %p1, %lane, 6; @%p1 exit; vote.sync.ballot.b32 %r1, %p1, -1;", 32,
          "have ended or never were");
    fails(NULL,
          "setp.lt.u32 %p1, %lane, 6; @%p1 bra A; bar.warp.sync -1; bra B; A: vote.sync.ballot.b32 %r1, %p1, "
          "-1; B:",
          32, "the others never come");
    fails(NULL,
          "mov.b32 %r1, 0; mov.b32 %r2, 0; setp.lt.u32 %p1, %lane, 16; @%p1 "
          "mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%r1, %r1, %r1, %r1}, {%r1, %r1}, {%r1}, {%r1, "
          "%r1, %r1, %r1};",
          32, "all 32 lanes are needed");
    fails(BOX,
          "mov.b32 %r2, box; setp.lt.u32 %p1, %lane, 16; @%p1 ldmatrix.sync.aligned.m8n8.x1.shared.b16 "
          "{%r1}, [%r2];",
          32, "all 32 lanes are needed");
    passes(NULL,
           "setp.lt.u32 %p1, %lane, 6; @%p1 bra A; nanosleep.u32 5; A: bar.warp.sync -1; shfl.sync.bfly.b32 "
           "%r1, %lane, 1, 31, -1;",
           32);
}

Test(errors, races) {
    fails(BOX, SLOT "st.shared.b32 [%r2], 1; sub.u32 %r3, %r1, 0; ld.shared.b32 %r4, [%r3];", 64, "");
    fails(BOX, "mov.b32 %r1, box; st.shared.b32 [%r1], %thread;", 64, "write-after-write race");
    fails(BOX,
          SLOT "st.shared.b32 [%r2], 1; bar.sync 0; xor.b32 %r3, %thread, 32; mad.lo.u32 %r3, %r3, 4, %r1; "
               "ld.shared.b32 %r4, [%r3]; st.shared.b32 [%r2], 2;",
          64, "race on shared memory");
    passes(BOX,
           SLOT "st.shared.b32 [%r2], 1; bar.sync 0; xor.b32 %r3, %thread, 32; mad.lo.u32 %r3, %r3, 4, %r1; "
                "ld.shared.b32 %r4, [%r3]; bar.sync 0; st.shared.b32 [%r2], 2;",
           64);
    /* A barrier that the reader did not pass with the writer orders nothing. */
    fails(BOX,
          SLOT "setp.ge.u32 %p1, %thread, 32; @%p1 bra B; st.shared.b32 [%r2], 1; bar.sync 1, 32; bra OUT; "
               "B: bar.sync 2, 32; ld.shared.b32 %r4, [%r1];\nOUT:",
          64, "");
    passes(BOX,
           SLOT "setp.ge.u32 %p1, %thread, 32; @%p1 bra B; st.shared.b32 [%r2], 1; bar.arrive 1, 64; bra "
                "OUT; B: bar.sync 1, 64; ld.shared.b32 %r4, [%r1];\nOUT:",
           64);
    /* Bytes of one word are not each other's. */
    passes(BOX,
           "mov.b32 %r1, box; shr.u32 %r2, %thread, 5; mad.lo.u32 %r2, %r2, 2, %r1; setp.eq.u32 %p1, %lane, "
           "0; mov.b16 %rs1, 1; @%p1 st.shared.b16 [%r2], %rs1; @%p1 ld.shared.b16 %rs2, [%r2];",
           64);
    passes(BOX,
           "mov.b32 %r1, box; setp.eq.u32 %p1, %thread, 0; @%p1 st.shared.b32 [%r1], 0; bar.sync 0; "
           "red.shared.add.u32 [%r1], 1; bar.sync 0; ld.shared.b32 %r2, [%r1]; setp.ne.u32 %p2, %r2, 64; "
           "@%p2 trap;",
           64);
    fails(BOX, "mov.b32 %r1, box; red.shared.add.u32 [%r1], 1;", 64, "was never written");
}

#define COPY SLOT "mad.wide.u32 %rd1, %thread, 4, %in; cp.async.ca.shared.global [%r2], [%rd1], 4; "
Test(errors, copies_not_waited_for) {
    fails(BOX, SLOT "ld.shared.b32 %r3, [%r2];", 32, "was never written");
    fails(BOX, COPY "ld.shared.b32 %r3, [%r2];", 32, "was not waited for");
    fails(BOX, COPY "cp.async.commit_group; cp.async.wait_group 1; ld.shared.b32 %r3, [%r2];", 32,
          "was not waited for");
    fails(BOX, COPY "cp.async.wait_group 0; ld.shared.b32 %r3, [%r2];", 32, "was not waited for");
    fails(BOX, COPY "st.shared.b32 [%r2], 1;", 32, "will write too");
    fails(
        BOX,
        COPY
        "cp.async.wait_all; xor.b32 %r3, %thread, 32; mad.lo.u32 %r3, %r3, 4, %r1; ld.shared.b32 %r4, [%r3];",
        64, "shared memory at");
    passes(BOX, COPY "cp.async.wait_all; ld.shared.b32 %r3, [%r2];", 32);
    passes(BOX,
           COPY "cp.async.commit_group; cp.async.wait_group 0; bar.sync 0; xor.b32 %r3, %thread, 32; "
                "mad.lo.u32 %r3, %r3, 4, %r1; ld.shared.b32 %r4, [%r3];",
           64);
}

Test(errors, texts) {
    check_refused(NULL, "frobnicate.b32 %r1, %r2;", "frobnicate.b32 %r1, %r2;: opcode is not known");
    check_refused(NULL, "add.u32 %r1, %r2;", "an operand is missing");
    check_refused(NULL, "add.u32 %r1, %r2, %r3, %r4;", "operand too many");
    check_refused(NULL, "add.u32 %r1, %rd2, 1;", "a register of another size");
    check_refused(NULL, "add.u32 %r1, %r2+4, %r3;", "a sum cannot stand here");
    check_refused(NULL, "add.u32 %r1, %p1, 1;", "a predicate where a value is wanted");
    check_refused(NULL, "setp.lt.u8 %p1, %rs1, %rs2;", "the comparison is not known");
    check_refused(NULL, "setp.like.u32 %p1, %r1, %r2;", "the comparison is not known");
    check_refused(NULL, "atom.global.min.f32 %r1, [%in], %r2;", "this atomic operation is not known");
    check_refused(NULL, "cvt.rn.e4m3x2.u32 %rs1, %r2;", "this conversion is not known");
    check_refused(NULL, "bra NOWHERE;", "NOWHERE is not a label here");
    check_refused(NULL, "{ IN: } bra IN;", "IN is not a label here");
    check_refused(NULL, "mov.b32 %r1, nothing;", "a name is not known here");
    check_refused(NULL, "mov.b64 {%r1, %r2, %r3}, %rd1;", "registers do not make up");
    check_refused(NULL, "ld.global.v2.b32 {%r1, %r2, %r3}, [%in];", "the vector has another length");
    check_refused(NULL,
                  "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r1, %r2, %r3, %r4}, {%r1, %r2}, "
                  "{%r1, %r2}, {%r1, %r2, %r3, %r4};",
                  "another number of registers");
    check_refused(NULL,
                  "mma.sync.aligned.m8n8k4.row.col.f32.bf16.bf16.f32 {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%r1, "
                  "%r2}, {%r1, %r2, %r3, %r4};",
                  "not known");
    check_refused(NULL, "cp.async.cg.shared.global [%r1], [%in], 8;", "copies 4, 8 or 16 bytes");
    check_refused(NULL, "call other, ();", "is not a function with a body");
    check_refused(".hidden .b32 x;\n", "", "directive .hidden is not known");
    check_refused(".global .b32 x[2] = {1, 2, 3};\n", "", "more values than places");
}

Test(errors, launches) {
    struct ptx_module *m = check_module(
        ".visible .entry bound() .maxntid 64 { ret; }\n.visible .entry exact() .reqntid 32, 2 { ret; }\n",
        "");
    char message[PTX_MESSAGE];
    struct ptx_launch launch = {.grid = {1, 1, 1}, .block = {96, 1, 1}};
    cr_assert(!ptx_run(ptx_module_kernel(m, "bound"), &launch, NULL, NULL, message) &&
              strstr(message, ".maxntid"));
    launch.block[0] = 64;
    cr_assert(ptx_run(ptx_module_kernel(m, "bound"), &launch, NULL, NULL, message), "%s", message);
    cr_assert(!ptx_run(ptx_module_kernel(m, "exact"), &launch, NULL, NULL, message) &&
              strstr(message, ".reqntid"));
    launch.grid[1] = 0;
    cr_assert(!ptx_run(ptx_module_kernel(m, "bound"), &launch, NULL, NULL, message) &&
              strstr(message, "grid is empty"));
    cr_assert(!ptx_module_kernel(m, "none"));
    ptx_module_free(m);
}

/* Passes that shared accesses need beyond one for a phase. */
static void conflicts(const char *body, uint64_t expected) {
    struct ptx_stats stats = {0};
    check_good(&(struct check_run){.before = ".extern .shared .align 1024 .b8 box[];\n",
                                   .body = body,
                                   .shared = 16384},
               &stats);
    cr_expect_eq(stats.bank_conflicts, expected, "%s: %llu conflicts, not %llu", body,
                 (unsigned long long)stats.bank_conflicts, (unsigned long long)expected);
}
#define AT(expression) "mov.b32 %r1, box; " expression " add.u32 %r2, %r2, %r1; mov.b32 %r3, 0; "
Test(banks, conflicts_are_counted) {
    conflicts(AT("shl.b32 %r2, %lane, 2;") "st.shared.b32 [%r2], %r3;", 0);
    conflicts(AT("shl.b32 %r2, %lane, 3;") "st.shared.b32 [%r2], %r3;", 1);
    conflicts(AT("shl.b32 %r2, %lane, 7;") "st.shared.b32 [%r2], %r3;", 31);
    conflicts(AT("mov.b32 %r2, 0;") "st.shared.b32 [%r2], %r3; ld.shared.b32 %r4, [%r2];",
              0); /* one word for all */
    conflicts(AT("shl.b32 %r2, %lane, 3;") "st.shared.v2.b32 [%r2], {%r3, %r3};", 0);
    conflicts(AT("shl.b32 %r2, %lane, 4;") "st.shared.v4.b32 [%r2], {%r3, %r3, %r3, %r3};", 0);
    conflicts(AT("shl.b32 %r2, %lane, 5;") "st.shared.v4.b32 [%r2], {%r3, %r3, %r3, %r3};", 4);
    /* Rows of 128 bytes: ldmatrix meets one bank 8 times, unless rows are swizzled. */
    const char *fill =
        AT("shl.b32 %r2, %lane, 7;") "mov.b32 %r5, 0;\nFILL: add.u32 %r6, %r2, %r5; st.shared.b32 [%r6], "
                                     "%r3; add.u32 %r5, %r5, 4; setp.lt.u32 %p1, %r5, 128; @%p1 bra FILL; "
                                     "bar.warp.sync -1;\n";
    char body[2048];
    const uint64_t filling = 32 * 31;
    snprintf(body, sizeof body,
             "%sldmatrix.sync.aligned.m8n8.x4.shared.b16 {%%r7, %%r8, %%r9, %%r10}, [%%r2];", fill);
    conflicts(body, filling + 4 * 7);
    snprintf(body, sizeof body,
             "%sand.b32 %%r11, %%lane, 7; shl.b32 %%r11, %%r11, 4; xor.b32 %%r2, %%r2, %%r11; "
             "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%%r7, %%r8, %%r9, %%r10}, [%%r2];",
             fill);
    conflicts(body, filling);
}
Test(banks, conflicts_have_their_instruction) {
    struct ptx_module *m =
        check_module(".extern .shared .align 1024 .b8 box[];\n",
                     "mov.b32 %r1, box; mad.lo.u32 %r2, %lane, 8, %r1; st.shared.b32 [%r2], %lane; "
                     "mad.lo.u32 %r2, %lane, 4, %r1; st.shared.b32 [%r2], %lane;");
    const struct ptx_kernel *k = ptx_module_kernel(m, "k");
    uint64_t lines[64] = {0}, params[3] = {0};
    struct ptx_stats stats = {.lines = lines};
    struct ptx_launch launch = {.grid = {1, 1, 1}, .block = {32, 1, 1}, .shared = 1024};
    char message[PTX_MESSAGE];
    cr_assert(ptx_kernel_instructions(k) <= 64);
    cr_assert(ptx_run(k, &launch, params, &stats, message), "%s", message);
    int found = 0;
    for (size_t i = 0; i < ptx_kernel_instructions(k); i++) {
        const char *text;
        ptx_kernel_line(k, i, &text);
        if (lines[i])
            cr_expect(lines[i] == 1 && !strncmp(text, "st.shared.b32", 13) && !found++, "%s: %llu", text,
                      (unsigned long long)lines[i]);
    }
    cr_expect_eq(found, 1);
    ptx_module_free(m);
}
