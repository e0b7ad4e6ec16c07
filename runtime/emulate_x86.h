/* Instructions of x86 that this machine may lack, for code of `mdlc --target=emulate:CPU`: what Intel's manual says they do (SDM volume 2;
 * AMX: volume 1, chapter 18). Each is named after LLVM's intrinsic, whose arguments it takes; vectors lie anywhere in memory, the result's
 * comes first. What the processor would not do ends the program with a message. */
#ifndef RUNTIME_EMULATE_X86_H
#define RUNTIME_EMULATE_X86_H
#include <stdint.h>

/* AMX: this thread's registers, [8][16 rows][64 bytes]. */
void mdl_x86_ldtilecfg(const uint8_t configuration[64]);
void mdl_x86_tilerelease(void);
void mdl_x86_tilezero(int8_t to);
void mdl_x86_tileloadd64(int8_t to, const char *from, int64_t stride);
void mdl_x86_tilestored64(int8_t from, char *to, int64_t stride);
/* sums[row][output] += rows[row][pair] . weights[pair][output], in f32: even inputs and odd ones for themselves, then both, then
 * what was there. */
void mdl_x86_tdpbf16ps(int8_t sums, int8_t rows, int8_t weights);
/* The same of four s8 * u8, in i32. */
void mdl_x86_tdpbsud(int8_t sums, int8_t rows, int8_t weights);

/* r[i] = s[i] + a[i] . b[i] of pairs of bf16: the odd product is added first. */
void mdl_x86_avx512bf16_dpbf16ps_512(float r[16], const float s[16], const uint16_t a[16][2],
                                     const uint16_t b[16][2]);
/* a * 2^floor(b); all lanes, by the current rounding. */
void mdl_x86_avx512_mask_scalef_ps_512(float r[16], const float a[16], const float b[16],
                                       const float other[16], int16_t mask, int32_t rounding);

/* r[i] = s[i] + a[i] . b[i] of four u8 * s8. */
void mdl_x86_avx512_vpdpbusd_512(int32_t r[16], const int32_t s[16], const uint8_t a[16][4],
                                 const int8_t b[16][4]);
void mdl_x86_avx512_vpdpbusd_256(int32_t r[8], const int32_t s[8], const uint8_t a[8][4],
                                 const int8_t b[8][4]);
/* r[i] = a[i] . b[i] of pairs of s16. */
void mdl_x86_sse2_pmadd_wd(int32_t r[4], const int16_t a[4][2], const int16_t b[4][2]);
void mdl_x86_avx2_pmadd_wd(int32_t r[8], const int16_t a[8][2], const int16_t b[8][2]);
void mdl_x86_avx512_pmaddw_d_512(int32_t r[16], const int16_t a[16][2], const int16_t b[16][2]);
/* The same of pairs u8 * s8, in the nearest s16. */
void mdl_x86_ssse3_pmadd_ub_sw_128(int16_t r[8], const uint8_t a[8][2], const int8_t b[8][2]);
void mdl_x86_avx2_pmadd_ub_sw(int16_t r[16], const uint8_t a[16][2], const int8_t b[16][2]);
void mdl_x86_avx512_pmaddubs_w_512(int16_t r[32], const uint8_t a[32][2], const int8_t b[32][2]);

#endif
