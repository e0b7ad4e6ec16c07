/* What this machine can do at most, for shares of it: operations a second on operands that stay in registers,
 * and bytes a second that are read, each by as many threads as are asked for.
 *
 *     bench-limits [--threads=2] [--only=NAME]        NAME: f32, bf16, int8, ram, l3
 *
 * The loops are the atoms of passes/schedule.c alone: the multiply-add of each, in enough independent
 * accumulators to hide its latency. A multiply-add counts as two operations. Prints one JSON object a line,
 * as peers.py does. */
#include "runtime/cpu.h"
#include "runtime/options.h"
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

static const struct option_spec options[] = {
    {0, "threads", "N", "threads that work at once [2]", NULL},
    {0, "only", "NAME", "one of f32, bf16, int8, ram, l3 [all]", NULL},
    {0}};
static const struct option_program program = {
    .name = "bench-limits",
    .version = "0",
    .summary = "measure the limits of this machine",
    .usage = (const char *const[]){"[OPTION...]", NULL},
    .description = "Prints operations and bytes a second, the best of several runs.",
    .options = options,
};

enum { RUNS = 7, MOST_THREADS = 256, CHAINS = 12, LINE = 64, AMX_PART = 8 /* of the others' steps: its take longer */ };
enum { L3_MOST = 32 << 20 }; /* a virtual machine may name the L3 of a larger part */

/* One thread's share of the work: `count` steps of a loop, or that many bytes to be read. */
struct part {
    void (*loop)(const struct part *);
    size_t count, passes;
    const char *bytes;
    pthread_barrier_t *together;
    double begun, ended;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "bench-limits: %s\n", what);
    exit(1);
}

/* ---- operations ---- */

#ifdef __x86_64__
/* The compiler knows nothing of this value, and that it is needed. */
#define OPAQUE(VALUE) __asm__ volatile("" : "+v"(VALUE))
#define EACH_CHAIN _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++)
/* CHAINS accumulators of type V, all kept in registers. */
#define LOOP(NAME, TARGET, V, ZERO, STEP)                                                                    \
    __attribute__((target(TARGET), noinline)) static void NAME(const struct part *part) {                    \
        V a[CHAINS], x = ZERO;                                                                               \
        OPAQUE(x);                                                                                           \
        EACH_CHAIN {                                                                                         \
            a[i] = ZERO;                                                                                     \
            OPAQUE(a[i]);                                                                                    \
        }                                                                                                    \
        for (size_t n = 0; n < part->count; n++) {                                                           \
            EACH_CHAIN { a[i] = STEP; }                                                                      \
        }                                                                                                    \
        EACH_CHAIN { OPAQUE(a[i]); }                                                                         \
    }

LOOP(fma_avx512, "avx512f", __m512, _mm512_setzero_ps(), _mm512_fmadd_ps(x, x, a[i]))
LOOP(fma_avx2, "avx2,fma", __m256, _mm256_setzero_ps(), _mm256_fmadd_ps(x, x, a[i]))
LOOP(bf16_avx512, "avx512f,avx512bf16", __m512, _mm512_setzero_ps(),
     _mm512_dpbf16_ps(a[i], (__m512bh)x, (__m512bh)x))
/* Sums of 16 x 16 in four registers, of 32 pairs' products each. */
__attribute__((target("amx-tile,amx-bf16"), noinline)) static void bf16_amx(const struct part *part) {
    static const struct {
        uint8_t palette, first, none[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } registers = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    __asm__ volatile("ldtilecfg %0" : : "m"(registers)); /* gcc 12's _tile_loadconfig says that 8 bytes are read */
    for (size_t n = 0; n < part->count / AMX_PART; n++)
        for (int i = 0; i < CHAINS / 4; i++) {
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    _tile_release();
}
LOOP(int8_avx512, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(), _mm512_dpbusd_epi32(a[i], x, x))
#endif

/* The first row of a name that the CPU can execute is its limit. */
struct peak {
    const char *name, *feature;
    void (*loop)(const struct part *);
    int operations; /* of one instruction */
};

static const struct peak *peaks(size_t *count) {
#ifdef __x86_64__
    static struct peak all[4];
    size_t n = 0;
    if (__builtin_cpu_supports("avx512f"))
        all[n++] = (struct peak){"f32", "AVX-512", fma_avx512, 32};
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        all[n++] = (struct peak){"f32", "AVX2", fma_avx2, 16};
    char missing[32];
    if (cpu_has("amx-tile amx-bf16", missing, sizeof missing))
        all[n++] = (struct peak){"bf16", "AMX-BF16", bf16_amx, 2 * 16 * 16 * 32 / AMX_PART};
    else if (__builtin_cpu_supports("avx512bf16"))
        all[n++] = (struct peak){"bf16", "AVX512-BF16", bf16_avx512, 64};
    if (__builtin_cpu_supports("avx512vnni"))
        all[n++] = (struct peak){"int8", "AVX512-VNNI", int8_avx512, 128};
    *count = n;
    return all;
#else
    *count = 0;
    return NULL;
#endif
}

/* ---- bytes ---- */

typedef unsigned long long words __attribute__((vector_size(LINE)));

/* Each byte is read once a pass: whole cache lines in order, into several sums. */
#ifdef __x86_64__
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static void
read_bytes(const struct part *part) {
    enum { SUMS = 4 };
    const words *base = (const words *)part->bytes;
    size_t lines = part->count / LINE / SUMS;
    words sum[SUMS] = {0};
    for (size_t pass = 0; pass < part->passes; pass++)
        for (size_t i = 0; i < lines; i++)
            for (int s = 0; s < SUMS; s++) sum[s] += base[i * SUMS + (size_t)s];
    words all = sum[0] + sum[1] + sum[2] + sum[3];
    __asm__ volatile("" : : "m"(all));
}

/* ---- threads ---- */

static void *work(void *data) {
    struct part *part = data;
    pthread_barrier_wait(part->together);
    part->begun = now();
    part->loop(part);
    part->ended = now();
    return NULL;
}

/* Seconds from the first thread's begin to the last one's end. */
static double together(struct part *parts, int threads) {
    pthread_t ids[MOST_THREADS];
    pthread_barrier_t barrier;
    if (pthread_barrier_init(&barrier, NULL, (unsigned)threads)) fail("no barrier");
    for (int t = 0; t < threads; t++) {
        parts[t].together = &barrier;
        if (pthread_create(&ids[t], NULL, work, &parts[t])) fail("no thread");
    }
    for (int t = 0; t < threads; t++) pthread_join(ids[t], NULL);
    pthread_barrier_destroy(&barrier);
    double begun = parts[0].begun, ended = parts[0].ended;
    for (int t = 1; t < threads; t++) {
        if (parts[t].begun < begun) begun = parts[t].begun;
        if (parts[t].ended > ended) ended = parts[t].ended;
    }
    return ended - begun;
}

static double shortest(const struct part *part, int threads, size_t apart) {
    static struct part parts[MOST_THREADS];
    double best = 0;
    for (int run = 0; run < RUNS; run++) {
        for (int t = 0; t < threads; t++) {
            parts[t] = *part;
            if (part->bytes) parts[t].bytes += (size_t)t * apart;
        }
        double seconds = together(parts, threads);
        if (!run || seconds < best) best = seconds;
    }
    return best;
}

static void print(const char *name, const char *how, double value, const char *unit) {
    printf("{\"peer\": \"limit\", \"work\": \"%s\", \"how\": \"%s\", \"value\": %.1f, \"unit\": \"%s\"}\n",
           name, how, value, unit);
}

static void operations(const struct peak *peak, int threads) {
    struct part part = {.loop = peak->loop, .count = 4000000};
    double each = (double)part.count * CHAINS * peak->operations;
    print(peak->name, peak->feature, 1e-9 * each * threads / shortest(&part, threads, 0), "Gop/s");
}

static void bytes(const char *name, size_t all, size_t passes, int threads) {
    size_t each = all / (size_t)threads / 4096 * 4096;
    char *memory = aligned_alloc(4096, each * (size_t)threads), how[60];
    if (!memory) fail("out of memory");
    memset(memory, 1, each * (size_t)threads);
    struct part part = {.loop = read_bytes, .count = each, .passes = passes, .bytes = memory};
    double read = (double)each * (double)threads * (double)passes;
    snprintf(how, sizeof how, "reading %zu MiB", all >> 20);
    print(name, how, 1e-9 * read / shortest(&part, threads, each), "GB/s");
    free(memory);
}

int main(int argc, char **argv) {
    struct option_list list;
    int status = options_parse(&program, argc, argv, &list);
    if (status >= 0) return status;
    const char *only = options_value(&list, "only"), *text = options_value(&list, "threads");
    long threads = text ? strtol(text, NULL, 10) : 2;
    if (threads < 1 || threads > MOST_THREADS) return options_error(&program, "--threads: from 1 to 256");
    size_t count, l3 = (size_t)(sysconf(_SC_LEVEL3_CACHE_SIZE) > 0 ? sysconf(_SC_LEVEL3_CACHE_SIZE) : 0);
    const struct peak *all = peaks(&count);
    for (size_t i = 0; i < count; i++)
        if (!only || !strcmp(only, all[i].name)) operations(&all[i], (int)threads);
    if (!only || !strcmp(only, "ram")) bytes("ram", (size_t)1 << 30, 1, (int)threads);
    if (l3 && (!only || !strcmp(only, "l3")))
        bytes("l3", l3 < L3_MOST ? l3 / 2 : L3_MOST / 2, 16, (int)threads);
    options_free(&list);
    return 0;
}
