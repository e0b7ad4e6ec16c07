/* What passes and schedules know about the machine that code is made for: plain facts, no code generator. */
#ifndef IR_TARGET_H
#define IR_TARGET_H
#include <stdbool.h>
#include <stdint.h>

/* How sums of four products u8 * s8 into i32 are had. */
enum byte_dot {
    DOT_widen,   /* multiplies of wider integers */
    DOT_maddubs, /* x86's vpmaddubsw: pairs of products into i16, which saturate, so for codes of few bits; else as widen */
    DOT_busd,    /* x86's vpdpbusd, in vectors of `vector_bytes` */
    DOT_sdot,    /* aarch64's dotprod: s8 * s8 */
    DOT_usdot,   /* aarch64's i8mm */
};

struct target {
    const char *triple;   /* machine, system, C library: "x86_64-linux-gnu" */
    const char *cpu;      /* as LLVM spells it: "sapphirerapids", "x86-64-v3" */
    const char *features; /* LLVM features added to the CPU's: "+avx512bf16,+avx512vnni" */
    int vector_bytes;     /* of a register: 64 AVX-512, 32 AVX2, 16 SSE2 and NEON; 128 of a warp */
    int vector_registers; /* 32 or 16 */
    bool fma;             /* fused multiply-add */
    bool bf16;            /* conversion from f32 to bf16 */
    bool dot_bf16;        /* vdpbf16ps, and it is faster than multiply-adds in f32 */
    enum byte_dot byte_dot;
    bool amx;                   /* Intel's registers of 16 rows of 64 bytes, and their products of bf16 and of bytes */
    bool amx_fast;              /* and products of f32 and of codes are faster by them than by lanes, too */
    int64_t l1_bytes, l2_bytes; /* data caches of one core */
    bool simt;           /* a GPU: a vector's lanes are the threads of a warp */
    bool emulated;       /* code with another processor's schedules for this machine: a GPU's lanes are lanes, its warps take turns; what x86 has
                            instructions for are the runtime's functions */
    int capability;      /* of a GPU: 10 * major + minor of its compute capability */
    int64_t shared_bytes; /* of a GPU: what a thread block may have (CUDA Programming Guide, table of technical specifications) */
};

/* Whether L2 is as large as Intel's servers have it, whose L3 is on the other side of a mesh: reading it takes twice as long as elsewhere. */
static inline bool target_l3_is_far(const struct target *t) { return !t->simt && t->l2_bytes >= 2 << 20; }

/* A GPU that code is made for; one whose lanes and warps this machine stands in for. */
static inline bool target_is_gpu(const struct target *t) { return t->simt && !t->emulated; }
static inline bool target_emulates_gpu(const struct target *t) { return t->simt && t->emulated; }

#define CUDA_TRIPLE "nvptx64-nvidia-cuda"

/* The triple as targets.def spells it; `given` may name a vendor ("aarch64-unknown-linux-gnu"). NULL:
 * unknown. */
const char *target_triple(const char *given);
/* All triples, one after the other in each call: 0, 1, ... until NULL. */
const char *target_triple_number(int number);
/* The CPU with this name (`--mcpu`), of `triple`, or, if that is NULL, of the first that has one. NULL: not
 * in targets.def. "native" is resolved by the backend. */
const struct target *target_find(const char *triple, const char *cpu);
/* The target of row `number`, NULL past the last: for --list-cpus and "did you mean". */
const struct target *target_number(int number);

#endif
