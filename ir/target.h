/* What passes and schedules know about the machine that code is made for: plain facts, no code generator. */
#ifndef IR_TARGET_H
#define IR_TARGET_H
#include <stdbool.h>
#include <stdint.h>

struct target {
    const char *triple;         /* "x86_64-pc-linux-gnu" */
    const char *cpu;            /* as LLVM spells it: "sapphirerapids", "x86-64-v3" */
    const char *features;       /* LLVM features added to the CPU's: "+avx512bf16,+avx512vnni" */
    int vector_bytes;           /* of a register: 64 AVX-512, 32 AVX2, 16 SSE2 and NEON */
    int vector_registers;       /* 32 or 16 */
    bool fma;                   /* fused multiply-add */
    bool bf16;                  /* conversion from f32 to bf16 */
    bool dot_bf16;              /* vdpbf16ps, and it is faster than multiply-adds in f32 */
    bool dot_int8;              /* vpdpbusd: u8 * s8 sums of four into i32 */
    int64_t l1_bytes, l2_bytes; /* data caches of one core */
};

/* The CPU with this name (`--mcpu`), or NULL if it is not in targets.def. "native" is resolved by the
 * backend. */
const struct target *target_find(const char *cpu);
/* All names, NULL-terminated: for --help and "did you mean". */
const char *const *target_names(void);

#endif
