/* Features of the processor: tables of where each one's bit stands, by LLVM's names (X86.td,
 * AArch64Features.td). x86-64: by CPUID, and of the system by XCR0 (Intel SDM volume 2A, CPUID; AMD APM
 * volume 3, appendix E). aarch64: what the kernel says in the auxiliary vector (Linux,
 * Documentation/arch/arm64/elf_hwcaps.rst). */
#include "runtime/cpu.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum reg { EAX, EBX, ECX, EDX };
enum {
    NONE = 0,
    YMM = 0x6,
    ZMM = 0xe6,
    TILE = 0x60000
}; /* register state that the system must save: bits of XCR0 */

static const struct feature {
    const char *name;
    uint32_t leaf, subleaf;
    enum reg reg;
    uint32_t bit, state;
} table[] = {
    {"cx8", 1, 0, EDX, 8, NONE},
    {"cmov", 1, 0, EDX, 15, NONE},
    {"mmx", 1, 0, EDX, 23, NONE},
    {"fxsr", 1, 0, EDX, 24, NONE},
    {"sse", 1, 0, EDX, 25, NONE},
    {"sse2", 1, 0, EDX, 26, NONE},
    {"sse3", 1, 0, ECX, 0, NONE},
    {"pclmul", 1, 0, ECX, 1, NONE},
    {"ssse3", 1, 0, ECX, 9, NONE},
    {"fma", 1, 0, ECX, 12, YMM},
    {"cx16", 1, 0, ECX, 13, NONE},
    {"sse4.1", 1, 0, ECX, 19, NONE},
    {"sse4.2", 1, 0, ECX, 20, NONE},
    {"crc32", 1, 0, ECX, 20, NONE},
    {"movbe", 1, 0, ECX, 22, NONE},
    {"popcnt", 1, 0, ECX, 23, NONE},
    {"aes", 1, 0, ECX, 25, NONE},
    {"xsave", 1, 0, ECX, 27, NONE},
    {"avx", 1, 0, ECX, 28, YMM},
    {"f16c", 1, 0, ECX, 29, YMM},
    {"rdrnd", 1, 0, ECX, 30, NONE},
    {"fsgsbase", 7, 0, EBX, 0, NONE},
    {"bmi", 7, 0, EBX, 3, NONE},
    {"avx2", 7, 0, EBX, 5, YMM},
    {"bmi2", 7, 0, EBX, 8, NONE},
    {"invpcid", 7, 0, EBX, 10, NONE},
    {"avx512f", 7, 0, EBX, 16, ZMM},
    {"avx512dq", 7, 0, EBX, 17, ZMM},
    {"rdseed", 7, 0, EBX, 18, NONE},
    {"adx", 7, 0, EBX, 19, NONE},
    {"avx512ifma", 7, 0, EBX, 21, ZMM},
    {"clflushopt", 7, 0, EBX, 23, NONE},
    {"clwb", 7, 0, EBX, 24, NONE},
    {"avx512cd", 7, 0, EBX, 28, ZMM},
    {"sha", 7, 0, EBX, 29, NONE},
    {"avx512bw", 7, 0, EBX, 30, ZMM},
    {"avx512vl", 7, 0, EBX, 31, ZMM},
    {"avx512vbmi", 7, 0, ECX, 1, ZMM},
    {"pku", 7, 0, ECX, 4, NONE},
    {"avx512vbmi2", 7, 0, ECX, 6, ZMM},
    {"shstk", 7, 0, ECX, 7, NONE},
    {"gfni", 7, 0, ECX, 8, NONE},
    {"vaes", 7, 0, ECX, 9, YMM},
    {"vpclmulqdq", 7, 0, ECX, 10, YMM},
    {"avx512vnni", 7, 0, ECX, 11, ZMM},
    {"avx512bitalg", 7, 0, ECX, 12, ZMM},
    {"avx512vpopcntdq", 7, 0, ECX, 14, ZMM},
    {"rdpid", 7, 0, ECX, 22, NONE},
    {"cldemote", 7, 0, ECX, 25, NONE},
    {"movdiri", 7, 0, ECX, 27, NONE},
    {"movdir64b", 7, 0, ECX, 28, NONE},
    {"avx512vp2intersect", 7, 0, EDX, 8, ZMM},
    {"serialize", 7, 0, EDX, 14, NONE},
    {"amx-bf16", 7, 0, EDX, 22, TILE},
    {"avx512fp16", 7, 0, EDX, 23, ZMM},
    {"amx-tile", 7, 0, EDX, 24, TILE},
    {"amx-int8", 7, 0, EDX, 25, TILE},
    {"avxvnni", 7, 1, EAX, 4, YMM},
    {"avx512bf16", 7, 1, EAX, 5, ZMM},
    {"amx-fp16", 7, 1, EAX, 21, TILE},
    {"avxifma", 7, 1, EAX, 23, YMM},
    {"avxvnniint8", 7, 1, EDX, 4, YMM},
    {"avxneconvert", 7, 1, EDX, 5, YMM},
    {"avxvnniint16", 7, 1, EDX, 10, YMM},
    {"xsaveopt", 0xd, 1, EAX, 0, NONE},
    {"xsavec", 0xd, 1, EAX, 1, NONE},
    {"xsaves", 0xd, 1, EAX, 3, NONE},
    {"sahf", 0x80000001, 0, ECX, 0, NONE},
    {"lzcnt", 0x80000001, 0, ECX, 5, NONE},
    {"sse4a", 0x80000001, 0, ECX, 6, NONE},
    {"prfchw", 0x80000001, 0, ECX, 8, NONE},
    {"mwaitx", 0x80000001, 0, ECX, 29, NONE},
    {"64bit", 0x80000001, 0, EDX, 29, NONE},
    {"clzero", 0x80000008, 0, EBX, 0, NONE},
    {"rdpru", 0x80000008, 0, EBX, 4, NONE},
    {"wbnoinvd", 0x80000008, 0, EBX, 9, NONE},
};

static const struct feature *find(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strncmp(table[i].name, name, length) && !table[i].name[length]) return &table[i];
    return NULL;
}

/* What register state the system saves; 0 when it does not say. */
static uint64_t saved_state(void) {
    unsigned a, b, c = 0, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t)d << 32 | a;
}

/* Linux gives a process room for AMX's registers when it is asked to (Documentation/arch/x86/xstate.rst). */
static bool may_use_tiles(void) {
#ifdef __linux__
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA);
#else
    return true;
#endif
}

static bool has(const char *name, size_t length) {
    const struct feature *f = find(name, length);
    uint32_t r[4] = {0};
    if (!f || !__get_cpuid_count(f->leaf, f->subleaf, &r[EAX], &r[EBX], &r[ECX], &r[EDX])) return false;
    if (!(r[f->reg] >> f->bit & 1) || (saved_state() & f->state) != f->state) return false;
    return f->state != TILE || may_use_tiles();
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

static const struct feature {
    const char *name;
    unsigned long type, bits;
} table[] = {
    {"fp-armv8", AT_HWCAP, 1 << 0},
    {"neon", AT_HWCAP, 1 << 1},
    {"aes", AT_HWCAP, 1 << 3},
    {"sha2", AT_HWCAP, 1 << 6},
    {"crc", AT_HWCAP, 1 << 7},
    {"lse", AT_HWCAP, 1 << 8},
    {"fullfp16", AT_HWCAP, 1 << 9 | 1 << 10}, /* FPHP, ASIMDHP */
    {"rdm", AT_HWCAP, 1 << 12},
    {"jsconv", AT_HWCAP, 1 << 13},
    {"complxnum", AT_HWCAP, 1 << 14},
    {"rcpc", AT_HWCAP, 1 << 15},
    {"dotprod", AT_HWCAP, 1 << 20},
    {"sve", AT_HWCAP, 1 << 22},
    {"fp16fml", AT_HWCAP, 1 << 23},
    {"sve2", AT_HWCAP2, 1 << 1},
    {"i8mm", AT_HWCAP2, 1 << 13},
    {"bf16", AT_HWCAP2, 1 << 14},
};

static bool has(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strncmp(table[i].name, name, length) && !table[i].name[length])
            return (getauxval(table[i].type) & table[i].bits) == table[i].bits;
    return false;
}
#else
static bool has(const char *name, size_t length) {
    (void)name, (void)length;
    return false;
}
#endif

bool cpu_has(const char *features, char *missing, size_t size) {
    while (*(features += strspn(features, " "))) {
        size_t length = strcspn(features, " ");
        if (!has(features, length)) {
            snprintf(missing, size, "%.*s", (int)length, features);
            return false;
        }
        features += length;
    }
    return true;
}
