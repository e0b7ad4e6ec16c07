/* Blackwell's way: products into tensor memory. What they give by kind, shape and layout, and what goes wrong
 * without each of the things they need. */
#include "tests/gpu/ptx_check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARED                                                                                               \
    ".extern .shared .align 1024 .b8 box[];\n.shared .align 8 .b64 done;\n.shared .align 4 .b32 slot;\n"
enum { B_AT = 16384, ROOM = 49152, STEP = 32 }; /* bytes; of a row, what one product takes */

/* What a kernel is made of, so that a test can leave out or change a piece. Warp 0 allocates and frees,
 * thread 0 issues two products along K, all four warps load. %r10: the allocation, %r11: the warp's lanes of
 * it. */
struct pieces {
    const char *allocate, *proxy, *before_products, *commit, *wait, *after, *lanes, *wait_load, *before,
        *joined, *free;
};
#define SPIN "{ W: mbarrier.try_wait.parity.shared::cta.b64 %p8, [done], 0; @!%p8 bra W; }\n"
#define COMMIT "tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [done];\n"
#define OWN_LANES "and.b32 %r11, %thread, 96; shl.b32 %r11, %r11, 16; add.u32 %r11, %r11, %r10;\n"
#define ALONE "bar.sync 0;\n"
#define ALLOC(columns) "@%p7 tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [slot], " columns ";\n"
#define FREE(columns) "@%p7 tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r10, " columns ";\n"
#define AFTER "tcgen05.fence::after_thread_sync;\n"
#define BEFORE "tcgen05.fence::before_thread_sync;\n"
static const struct pieces whole = {
    .allocate = ALLOC("256"),
    .proxy = "fence.proxy.async.shared::cta;\n",
    .before_products = "",
    .commit = COMMIT,
    .wait = SPIN,
    .after = AFTER,
    .lanes = OWN_LANES,
    .wait_load = "tcgen05.wait::ld.sync.aligned;\n",
    .before = BEFORE,
    .joined = ALONE,
    .free = FREE("256"),
};

struct layout {
    const char *kind;
    unsigned d, a, b; /* numbers in the instruction descriptor */
    unsigned bytes;   /* of an element */
    unsigned m, n, swizzle;
};
static uint32_t shape_bits(const struct layout *t) {
    return t->d << 4 | t->a << 7 | t->b << 10 | t->n / 8 << 17 | t->m / 16 << 24;
}
static uint64_t descriptor(unsigned swizzle, unsigned rows) {
    static const uint64_t modes[] = {0, 6, 4, 2};
    uint64_t stride = swizzle ? 8 * (16u << swizzle) : 128, leading = swizzle ? 16 : rows * 16;
    return modes[swizzle] << 61 | UINT64_C(1) << 46 | stride / 16 << 32 | leading / 16 << 16;
}

/* The kernel's text; its second product adds if n is not 0. */
static char *text_of(const struct layout *t, const struct pieces *p) {
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    unsigned step_a = t->swizzle ? STEP : STEP * t->m, step_b = t->swizzle ? STEP : STEP * t->n;
    fprintf(
        f,
        "mov.b32 %%r1, box; mov.u32 %%r2, %%thread;\nFILL: shl.b32 %%r3, %%r2, 4; cvt.u64.u32 %%rd1, %%r3; "
        "add.u64 %%rd1, %%rd1, %%in; ld.global.v4.b32 {%%r4, %%r5, %%r6, %%r7}, [%%rd1]; add.u32 %%r3, "
        "%%r3, %%r1;\nst.shared.v4.b32 [%%r3], {%%r4, %%r5, %%r6, %%r7}; add.u32 %%r2, %%r2, 128; "
        "setp.lt.u32 %%p1, %%r2, %d; @%%p1 bra FILL;\n",
        ROOM / 16);
    fprintf(
        f,
        "setp.lt.u32 %%p7, %%thread, 32; setp.eq.u32 %%p6, %%thread, 0; @%%p6 mbarrier.init.shared::cta.b64 "
        "[done], 1;\n%s%sbar.sync 0;\nld.shared.b32 %%r10, [slot];\n",
        p->allocate, p->proxy);
    fprintf(f,
            "setp.ne.u32 %%p5, %%n, 0; shr.u32 %%r8, %%r1, 4; cvt.u64.u32 %%rd2, %%r8; add.u64 %%rd3, %%rd2, "
            "%#llx; add.u64 %%rd4, %%rd2, %#llx; add.u64 %%rd5, %%rd3, %u; add.u64 %%rd6, %%rd4, %u;\n"
            "%s@!%%p6 bra ISSUED;\n",
            (unsigned long long)descriptor(t->swizzle, t->m),
            (unsigned long long)descriptor(t->swizzle, t->n) + B_AT / 16, step_a / 16, step_b / 16,
            p->before_products);
    fprintf(f,
            "mov.pred %%p4, 0; tcgen05.mma.cta_group::1.kind::%s [%%r10], %%rd3, %%rd4, %#x, %%p4;\n"
            "tcgen05.mma.cta_group::1.kind::%s [%%r10], %%rd5, %%rd6, %#x, %%p5;\n%sISSUED:\n%s%s%s",
            t->kind, shape_bits(t), t->kind, shape_bits(t), p->commit, p->wait, p->after, p->lanes);
    fprintf(
        f,
        "mad.lo.u32 %%r12, %%thread, %u, 0; cvt.u64.u32 %%rd7, %%r12; add.u64 %%rd7, %%rd7, %%out; "
        "setp.lt.u32 %%p3, %%lane, %u; mov.u32 %%r9, 0;\n"
        "LOAD: tcgen05.ld.sync.aligned.32x32b.x8.b32 {%%r20, %%r21, %%r22, %%r23, %%r24, %%r25, %%r26, "
        "%%r27}, [%%r11];\n%s"
        "@%%p3 st.global.v4.b32 [%%rd7], {%%r20, %%r21, %%r22, %%r23}; @%%p3 st.global.v4.b32 [%%rd7+16], "
        "{%%r24, %%r25, %%r26, %%r27};\nadd.u64 %%rd7, %%rd7, 32; add.u32 %%r11, %%r11, 8; add.u32 "
        "%%r9, %%r9, 8; setp.lt.u32 %%p2, %%r9, %u; @%%p2 bra LOAD;\n%s%s%s",
        t->n * 4, t->m == 64 ? 16 : 32, p->wait_load, t->n, p->before, p->joined, p->free);
    fclose(f);
    return text;
}

static uint32_t encoded(const struct layout *t, unsigned number, int v) {
    __extension__ union {
        _Float16 h;
        uint16_t u;
    } half = {(_Float16)v};
    if (t->bytes == 2) return number ? check_bfloat(v) : half.u;
    return t->bytes == 4 ? (uint32_t)check_bfloat(v) << 16 | 0x1fff
                         : (uint32_t)v & 255; /* tf32: low bits are noise */
}
/* Rows of small numbers, as the layout places them; values [rows][2 K]. */
static void fill(const struct layout *t, unsigned rows, unsigned number, unsigned char *at, int *values) {
    unsigned k = 2 * STEP / t->bytes, signed_too = t->bytes != 1 || number;
    for (unsigned r = 0; r < rows; r++)
        for (unsigned i = 0; i < k; i++) {
            int v = (int)(check_random() % 9) - (signed_too ? 4 : 0);
            uint32_t bits = encoded(t, number, values[r * k + i] = v);
            unsigned byte = i * t->bytes;
            memcpy(at + check_place(t->swizzle, rows, r, byte / 16) + byte % 16, &bits, t->bytes);
        }
}

static unsigned char in[ROOM];
static uint32_t sums[128][256];

static struct check_run run_of(const char *body, uint32_t n, uint64_t seed) {
    return (struct check_run){.before = SHARED,
                              .body = body,
                              .threads = 128,
                              .shared = ROOM,
                              .in = in,
                              .in_bytes = sizeof in,
                              .out = sums,
                              .out_bytes = sizeof sums,
                              .n = n,
                              .seed = seed};
}

static void check_layout(struct layout t) {
    static int a[128 * 64], b[256 * 64];
    unsigned k = 2 * STEP / t.bytes;
    char *body = text_of(&t, &whole);
    memset(in, 0, sizeof in);
    fill(&t, t.m, t.a, in, a);
    fill(&t, t.n, t.b, in + B_AT, b);
    for (uint32_t add = 0; add < 2; add++) {
        struct check_run run = run_of(body, add, t.n + add);
        run.out_bytes = 128 * t.n * 4;
        check_good(&run, NULL);
        for (unsigned m = 0; m < t.m; m++)
            for (unsigned n = 0; n < t.n; n++) {
                int sum = 0, got;
                for (unsigned i = add ? 0 : k / 2; i < k; i++) sum += a[m * k + i] * b[n * k + i];
                unsigned thread = t.m == 64 ? m / 16 * 32 + m % 16 : m;
                uint32_t bits = (&sums[0][0])[thread * t.n + n];
                float value;
                memcpy(&value, &bits, sizeof value);
                got = t.d == 2 ? (int)bits : (int)value;
                cr_assert_eq(got, sum, "kind::%s M %u N %u swizzle %u add %u: D[%u][%u] is %d, not %d",
                             t.kind, t.m, t.n, t.swizzle, add, m, n, got, sum);
            }
    }
    free(body);
}
static const struct layout bf16 = {"f16", 1, 1, 1, 2, 128, 32, 3};
Test(tcgen05, products) {
    static const struct layout kinds[] = {{"f16", 1, 0, 0, 2, 128, 32, 3},  {"f16", 1, 1, 1, 2, 128, 32, 3},
                                          {"tf32", 1, 2, 2, 4, 128, 32, 3}, {"i8", 2, 0, 0, 1, 128, 32, 3},
                                          {"i8", 2, 1, 1, 1, 128, 32, 3},   {"i8", 2, 0, 1, 1, 128, 32, 3}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (unsigned swizzle = 0; swizzle < 4; swizzle++) {
            struct layout t = kinds[i];
            t.swizzle = swizzle;
            if (swizzle != 1) check_layout(t); /* 32 bytes a row are one product's */
        }
    static const unsigned shapes[][2] = {{64, 8}, {64, 24}, {64, 256}, {128, 8}, {128, 40}, {128, 256}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct layout t = bf16;
        t.m = shapes[i][0];
        t.n = shapes[i][1];
        check_layout(t);
    }
    check_layout((struct layout){"i8", 2, 1, 1, 1, 64, 24, 3});
    check_layout((struct layout){"i8", 2, 1, 1, 1, 128, 48, 3});
}

static void fails_as(const struct layout *t, const struct pieces *p, const char *words) {
    char *body = text_of(t, p);
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct check_run run = run_of(body, 1, seed);
        check_fails(&run, words);
    }
    free(body);
}
#define FAILS(piece, by, words)                                                                              \
    do {                                                                                                     \
        struct pieces changed = whole;                                                                       \
        changed.piece = by;                                                                                  \
        fails_as(&bf16, &changed, words);                                                                    \
    } while (0)

Test(tcgen05, what_must_be_waited_for) {
    FAILS(proxy, "", "without a fence.proxy.async");
    FAILS(wait, ALONE, "its commit was not waited for");
    FAILS(commit, "", "deadlock");
    FAILS(after, "", "no tcgen05.fence::after_thread_sync");
    FAILS(wait_load, "", "race on tensor memory");
    FAILS(wait, "setp.eq.u32 %p1, %thread, 64; @%p1 st.shared.b32 [box+8192], 0;\n" SPIN,
          "race on shared memory at");
    FAILS(before, "", "no tcgen05.fence::before_thread_sync and barrier are between");
    FAILS(joined, "", "tensor memory");
    /* Another product into sums that are still loaded, of another shape than the one under way. */
    FAILS(free, "@%p6 tcgen05.mma.cta_group::1.kind::f16 [%r10], %rd3, %rd4, 0x8080490, %p4;\n" FREE("256"),
          "no tcgen05.fence::after_thread_sync");
    FAILS(commit, "tcgen05.mma.cta_group::1.kind::f16 [%r10], %rd3, %rd4, 0x4080490, %p4;\n" COMMIT,
          "its commit was not waited for");
}

Test(tcgen05, who_issues) {
    FAILS(before_products, "@%p7 tcgen05.mma.cta_group::1.kind::f16 [%r10], %rd3, %rd4, 0x8080490, 0;\n",
          "one thread issues this");
    FAILS(before_products,
          "setp.eq.u32 %p1, %thread, 5; @%p1 tcgen05.mma.cta_group::1.kind::f16 [%r10], %rd3, "
          "%rd4, 0x8080490, 0;\n",
          "lane 5's products are not committed");
    struct pieces other = whole;
    other.commit = "";
    other.wait = "setp.eq.u32 %p1, %thread, 5; @%p1 " COMMIT SPIN;
    fails_as(&bf16, &other, "commits its own products, but lane 0 issued them");
    FAILS(commit, "mbarrier.arrive.expect_tx.shared::cta.b64 _, [done], 16;\n" COMMIT,
          "phase waits for none");
}

Test(tcgen05, allocations) {
    FAILS(allocate, "mul.lo.u32 %r13, %n, 48;\n" ALLOC("%r13"), "a power of two");
    FAILS(allocate, "mul.lo.u32 %r13, %n, 16;\n" ALLOC("%r13"), "a power of two");
    FAILS(free, "", "never freed");
    FAILS(free, FREE("128"), "not what was allocated");
    FAILS(free, FREE("256") "@%p7 tcgen05.ld.sync.aligned.32x32b.x1.b32 {%r20}, [%r10];\n",
          "is not allocated");
    FAILS(lanes, "mov.b32 %r11, %r10;\n", "reaches lanes");
    FAILS(lanes, OWN_LANES "add.u32 %r11, %r11, 252;\n", "outside of the 256 allocated");
    FAILS(lanes, OWN_LANES "add.u32 %r11, %r11, 128;\n", "was never written");
    FAILS(before_products, ALONE ALLOC("256") ALLOC("256"), "its own block holds");
    FAILS(before_products, ALONE ALLOC("512"), "may not increase");
    FAILS(before_products,
          "@%p7 tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;\n" ALONE ALLOC("32"),
          "after tcgen05.relinquish_alloc_permit");
    FAILS(before_products, "@%p6 tcgen05.mma.cta_group::1.kind::f16 [%r10+64], %rd3, %rd4, 0x8080490, %p6;\n",
          "adds to tensor memory");
    FAILS(before_products,
          "@%p6 tcgen05.mma.cta_group::1.kind::f16 [%r10+248], %rd3, %rd4, 0x8080490, %p6;\n",
          "outside of the 256 allocated");
}

Test(tcgen05, descriptors) {
    static const struct {
        unsigned d, a, b, m, n;
        const char *words;
    } bad[] = {{0, 1, 1, 128, 32, "types or flags"},
               {1, 1, 0, 128, 32, "types or flags"},
               {1, 2, 2, 128, 32, "types or flags"},
               {1, 1, 1, 32, 32, "no product of M = 32"},
               {1, 1, 1, 128, 264, "no product of M = 128, N = 264"},
               {1, 1 | 1 << 6, 1, 128, 32, "types or flags"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct layout t = bf16;
        t.d = bad[i].d, t.a = bad[i].a, t.b = bad[i].b, t.m = bad[i].m, t.n = bad[i].n;
        fails_as(&t, &whole, bad[i].words);
    }
    fails_as(&(struct layout){"i8", 2, 1, 1, 1, 128, 40, 3}, &whole, "no product of M = 128, N = 40");
    FAILS(before_products, "xor.b64 %rd3, %rd3, 0x400000000000;\n", "is none of shared memory");
    FAILS(before_products, "xor.b64 %rd4, %rd4, 0x6000000000000000;\n", "is none of shared memory");
    FAILS(before_products, "add.u32 %r10, %r10, 0x100000;\n", "cannot begin at lane 16");
}

/* Numbers of each lane's own to tensor memory and back. */
static void check_moves(unsigned n, const char *wait_store, const char *error) {
    char *body, list[2048];
    size_t size, used = 0;
    FILE *f = open_memstream(&body, &size);
    fprintf(f,
            "setp.lt.u32 %%p7, %%thread, 32; { .reg .b32 %%q<%u>;\n%sbar.sync 0; ld.shared.b32 %%r10, "
            "[slot];\n%s",
            2 * n, ALLOC("128"), OWN_LANES);
    for (unsigned i = 0; i < n; i++) fprintf(f, "mad.lo.u32 %%q%u, %%thread, 1000, %u; ", i, i);
    for (unsigned i = 0; i < n; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%%q%u", i ? ", " : "", i);
    fprintf(f, "\ntcgen05.st.sync.aligned.32x32b.x%u.b32 [%%r11], {%s};\n%s", n, list, wait_store);
    used = 0;
    for (unsigned i = 0; i < n; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%%q%u", i ? ", " : "", n + i);
    fprintf(f, "tcgen05.ld.sync.aligned.32x32b.x%u.b32 {%s}, [%%r11];\ntcgen05.wait::ld.sync.aligned;\n", n,
            list);
    fprintf(f, "mad.wide.u32 %%rd7, %%thread, %u, %%out;\n", 4 * n);
    for (unsigned i = 0; i < n; i++) fprintf(f, "st.global.b32 [%%rd7+%u], %%q%u; ", 4 * i, n + i);
    fprintf(f, "%sbar.sync 0;\n%s}\n", BEFORE, FREE("128"));
    fclose(f);
    static uint32_t out[128 * 128];
    struct check_run run = {
        .before = SHARED, .body = body, .threads = 128, .shared = 64, .out = out, .out_bytes = 512 * n};
    if (error)
        check_fails(&run, error);
    else {
        check_good(&run, NULL);
        for (unsigned i = 0; i < 128 * n; i++)
            cr_expect_eq(out[i], i / n * 1000 + i % n, "x%u: %u", n, out[i]);
    }
    free(body);
}
Test(tcgen05, loads_and_stores) {
    for (unsigned n = 1; n <= 128; n *= 2) check_moves(n, "tcgen05.wait::st.sync.aligned;\n", NULL);
    check_moves(8, "", "no tcgen05.wait is between");
}

Test(tcgen05, what_is_not_known_is_refused) {
    static const char *const texts[] = {
        "tcgen05.alloc.cta_group::2.sync.aligned.shared::cta.b32 [slot], 32;",
        "tcgen05.mma.cta_group::1.kind::f8f6f4 [%r1], %rd1, %rd2, %r2, %p1;",
        "tcgen05.mma.cta_group::1.kind::f16.collector::a::fill [%r1], %rd1, %rd2, %r2, %p1;",
        "tcgen05.mma.ws.cta_group::1.kind::f16 [%r1], %rd1, %rd2, %r2, %p1;",
        "tcgen05.ld.sync.aligned.16x64b.x1.b32 {%r1}, [%r2];",
        "tcgen05.ld.sync.aligned.32x32b.x2.pack::16b.b32 {%r1, %r3}, [%r2];",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_refused(SHARED, texts[i], "this form of tcgen05 is not known");
    check_refused(SHARED, "tcgen05.cp.cta_group::1.128x256b [%r1], %rd1;", "opcode is not known");
    check_refused(SHARED, "tcgen05.mma.cta_group::1.kind::f16 [%r1], [%r3], %rd2, %r2, %p1;",
                  "this operand cannot stand here");
}
